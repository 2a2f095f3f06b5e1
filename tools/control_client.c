/* vbg-run ctl: one command to a running vbg-run. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/control.h"

static const char usage[] =
    "usage: vbg-run ctl [--socket PATH] COMMAND\n"
    "\n"
    "  set NAME=VALUE ...   change options while it runs (all or nothing)\n"
    "  get NAME             the value of an option\n"
    "  status               frames/s, masks/s, mask age, latency, camera\n"
    "  pause, resume        background only and the camera off; back again\n"
    "  recenter             the present view becomes the middle\n"
    "  reload               read the configuration again\n"
    "  watch                a status line every second, until Ctrl-C\n"
    "  quit                 end the session\n"
    "\n"
    "Example: vbg-run ctl set background=beach.png blur=8\n";

/* The words as one line; values with spaces are quoted. */
static bool join(char *line, size_t size, int argc, char **argv)
{
    size_t used = 0;

    for (int i = 0; i < argc; i++) {
        const bool quote = strpbrk(argv[i], " \t") != NULL;
        if (strpbrk(argv[i], "\n\""))
            return false;
        used += (size_t)snprintf(line + used, size - used, "%s%s%s%s", i ? " " : "",
                                 quote ? "\"" : "", argv[i], quote ? "\"" : "");
        if (used + 2 >= size)
            return false;
    }
    line[used] = '\n';
    line[used + 1] = 0;
    return true;
}

/* A relative background means this folder, not the one the server was started in. */
static const char *absolute(char *dst, size_t size, const char *word)
{
    static const char key[] = "background=";
    char dir[2048];
    const char *path = word + sizeof key - 1;

    if (strncmp(word, key, sizeof key - 1) != 0 || *path == '/' ||
        access(path, F_OK) != 0 || !getcwd(dir, sizeof dir) ||
        (size_t)snprintf(dst, size, "%s%s/%s", key, dir, path) >= size)
        return word;
    return dst;
}

int vbg_control_client(int argc, char **argv)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    char path[4096] = "", line[4096], full[4096], part[4096];
    int i = 0;

    vbg_message_start("vbg-run ctl");
    if (argc > 1 && strcmp(argv[0], "--socket") == 0) {
        snprintf(path, sizeof path, "%s", argv[1]);
        i = 2;
    }
    if (i >= argc || strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
        const bool asked = i < argc;
        fputs(usage, asked ? stdout : stderr);
        return asked ? vbg_finish_output(0) : 2;
    }
    if (!path[0] && !vbg_control_default_path(path, sizeof path)) {
        vbg_error("XDG_RUNTIME_DIR is not set; name the socket with --socket PATH");
        return 2;
    }
    for (int k = i; k < argc; k++)
        argv[k] = (char *)(uintptr_t)absolute(full, sizeof full, argv[k]);
    if (strlen(path) >= sizeof a.sun_path ||
        !join(line, sizeof line, argc - i, argv + i)) {
        vbg_error("%.80s: too long", strlen(path) >= sizeof a.sun_path ? path : argv[i]);
        return 2;
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        vbg_error("%s: %s", path,
                  errno == ENOENT || errno == ECONNREFUSED ? "no vbg-run is running there"
                                                           : strerror(errno));
        return 1;
    }
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
        vbg_error("%s: %s", path, strerror(errno));
        return 1;
    }
    const bool watch = strcmp(argv[i], "watch") == 0;
    bool good = false, first = true;
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (!watch && poll(&p, 1, 10000) == 0) {
            vbg_error("%s: no answer within 10 s", path);
            break;
        }
        const ssize_t n = recv(fd, part, sizeof part, 0);
        if (n <= 0)
            break;
        if (first)
            good = n >= 2 && memcmp(part, "ok", 2) == 0;
        first = false;
        fwrite(part, 1, (size_t)n, good ? stdout : stderr);
        fflush(stdout);
        if (!watch && part[n - 1] == '\n')
            break;
    }
    close(fd);
    return vbg_finish_output(good ? 0 : 1);
}
