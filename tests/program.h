/* Runs the installed programs as a user would and keeps what they said. */
#ifndef VBG_TESTS_PROGRAM_H
#define VBG_TESTS_PROGRAM_H

#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct said {
    int code;        /* exit code, 128 + signal when killed */
    char err[16384]; /* stderr */
    char out[16384]; /* stdout */
    int err_lines;
} said;

/* The folder of this test program, where the programs lie too. */
static inline const char *program_dir(void)
{
    static char dir[1024];

    if (!dir[0]) {
        ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);
        dir[n > 0 ? n : 0] = 0;
        char *slash = strrchr(dir, '/');
        if (slash)
            *slash = 0;
    }
    return dir;
}

/* Data of the oracles and clips, NULL when it is not at hand. */
static inline const char *shared_dir(void)
{
    const char *s = getenv("VBG_SHARED");
    static char path[1024];

    snprintf(path, sizeof path, "%s/golden/tolerances.json", s ? s : "../shared");
    return access(path, R_OK) == 0 ? (s ? s : "../shared") : NULL;
}

/* A folder of its own for each test process. */
static inline const char *scratch_dir(void)
{
    static char dir[64];

    if (!dir[0]) {
        snprintf(dir, sizeof dir, "/tmp/vbg-test-%ld", (long)getpid());
        mkdir(dir, 0700);
    }
    return dir;
}

/* A path inside that folder; the last 8 answers stay valid. */
static inline const char *in_scratch(const char *name)
{
    static char path[8][256];
    static int next;
    char *p = path[next++ % 8];

    snprintf(p, 256, "%s/%s", scratch_dir(), name);
    return p;
}

/* The .fini of tests that write there. */
static inline void remove_scratch(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", scratch_dir());
    if (system(command) != 0)
        fprintf(stderr, "%s failed\n", command);
}

static inline void read_back(char *text, size_t size, const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, size - 1, f) : 0;

    text[n] = 0;
    if (f)
        fclose(f);
    unlink(path);
}

/* argv[0] is the program's name; NULL ends. */
static inline said run_program(const char *const argv[])
{
    said s = { .code = -1 };
    char path[1200], out[128], err[128];
    posix_spawn_file_actions_t io;
    pid_t pid;
    int status;

    snprintf(path, sizeof path, "%s/%s", program_dir(), argv[0]);
    snprintf(out, sizeof out, "%s/stdout", scratch_dir());
    snprintf(err, sizeof err, "%s/stderr", scratch_dir());
    posix_spawn_file_actions_init(&io);
    posix_spawn_file_actions_addopen(&io, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&io, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&io, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (posix_spawn(&pid, path, &io, NULL, (char *const *)(uintptr_t)argv, environ) ==
            0 &&
        waitpid(pid, &status, 0) == pid)
        s.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    posix_spawn_file_actions_destroy(&io);
    read_back(s.out, sizeof s.out, out);
    read_back(s.err, sizeof s.err, err);
    for (const char *p = s.err; *p; p++)
        s.err_lines += *p == '\n';
    return s;
}

#define RUN(...) run_program((const char *const[]){ __VA_ARGS__, NULL })

/* Whole file, malloc'd; *bytes 0 and NULL when it cannot be read. */
static inline unsigned char *slurp(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data = NULL;
    long n = 0;

    if (f && fseek(f, 0, SEEK_END) == 0 && (n = ftell(f)) > 0) {
        rewind(f);
        data = malloc((size_t)n);
        if (data && fread(data, 1, (size_t)n, f) != (size_t)n)
            n = 0;
    }
    if (f)
        fclose(f);
    *bytes = data ? (size_t)n : 0;
    return data;
}

static inline bool same_bytes(const char *a, const char *b)
{
    size_t na, nb;
    unsigned char *da = slurp(a, &na), *db = slurp(b, &nb);
    bool same = da && db && na == nb && memcmp(da, db, na) == 0;

    free(da);
    free(db);
    return same;
}

#endif
