/* Runs one of our programs and watches it: exit code, stderr, time, memory.
 * Static functions, so that test programs and the oracle runner share the text. */
#ifndef VBG_TESTS_RUN_PROGRAM_H
#define VBG_TESTS_RUN_PROGRAM_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base.h"

typedef struct program_result {
    int code;        /* exit code, 128 + signal, or -1 */
    char text[4096]; /* stderr */
    size_t lines;    /* newlines in stderr */
    bool clean;      /* no control characters but newlines */
    double seconds;
    long rss_kib;
} program_result;

/* Path of a program beside the running one ("vbg-convert"). */
static inline const char *program_beside(char *dst, size_t size, const char *name)
{
    char self[1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = 0;
    char *slash = strrchr(self, '/');
    snprintf(dst, size, "%.*s/%s", slash ? (int)(slash - self) : 0, self, name);
    return dst;
}

/* stdout goes to /dev/null.  argv[0] is the path. */
static inline program_result run_program(const char *const *argv)
{
    program_result r = { .code = -1, .clean = true };
    struct rusage use;
    int fd[2], status;
    size_t used = 0;
    char part[4096];
    double start = vbg_now();

    if (pipe(fd) < 0)
        return r;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(fd[1], 2);
        close(fd[0]);
        close(fd[1]);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(fd[1]);
    for (ssize_t n; (n = read(fd[0], part, sizeof part)) > 0;)
        for (ssize_t i = 0; i < n; i++) {
            r.lines += part[i] == '\n';
            if ((unsigned char)part[i] < 32 && part[i] != '\n')
                r.clean = false;
            if (used + 1 < sizeof r.text)
                r.text[used++] = part[i];
        }
    close(fd[0]);
    if (child > 0 && wait4(child, &status, 0, &use) == child) {
        r.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        r.rss_kib = use.ru_maxrss;
    }
    r.seconds = vbg_now() - start;
    return r;
}

/* Sanitizers change time and memory. */
static inline bool built_with_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

#endif
