/* Opens, closes and holders of a device. */
#define _GNU_SOURCE
#include "video/device_watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

int vbg_watch_open(const char *path)
{
    const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd >= 0 && inotify_add_watch(fd, path, IN_OPEN | IN_CLOSE) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool vbg_watch_stirred(int fd)
{
    char events[4096];
    bool any = false;

    while (read(fd, events, sizeof events) > 0)
        any = true;
    return any;
}

/* What getdents64 writes. */
typedef struct entry {
    uint64_t inode;
    int64_t next;
    unsigned short bytes;
    unsigned char type;
    char name[];
} entry;

/* Calls each(arg, name) for the numbers among the names of a folder until it says true;
 * opendir would ask for memory. */
static bool any_number(int dir, bool (*each)(void *arg, int dir, const char *name),
                       void *arg)
{
    _Alignas(8) char block[4096];
    long n;

    while ((n = syscall(SYS_getdents64, dir, block, sizeof block)) > 0)
        for (long at = 0; at < n;) {
            const entry *e = (const void *)(block + at);
            if (e->name[0] >= '0' && e->name[0] <= '9' && each(arg, dir, e->name))
                return true;
            at += e->bytes;
        }
    return false;
}

static bool is_path(void *arg, int dir, const char *name)
{
    const char *path = arg;
    char target[256];
    const ssize_t n = readlinkat(dir, name, target, sizeof target);

    return n > 0 && (size_t)n == strlen(path) && memcmp(target, path, (size_t)n) == 0;
}

typedef struct count {
    const char *path;
    int holders;
} count;

static bool process(void *arg, int proc, const char *name)
{
    count *c = arg;
    char fds[64];

    if (atoi(name) == (int)getpid())
        return false;
    snprintf(fds, sizeof fds, "%.40s/fd", name);
    const int dir = openat(proc, fds, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) /* another user's, or gone */
        return false;
    c->holders += any_number(dir, is_path, (void *)(uintptr_t)c->path);
    close(dir);
    return false;
}

int vbg_watch_holders(const char *path)
{
    count c = { .path = path };
    const int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (proc >= 0) {
        any_number(proc, process, &c);
        close(proc);
    }
    return c.holders;
}
