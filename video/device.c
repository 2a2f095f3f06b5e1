/* The real devices. */
#define _GNU_SOURCE
#include "video/device.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "video/device_watch.h"

static int sys_open(void *u, const char *path, int flags)
{
    (void)u;
    return open(path, flags | O_CLOEXEC);
}

static int sys_close(void *u, int fd)
{
    (void)u;
    return close(fd);
}

static int sys_ioctl(void *u, int fd, unsigned long request, void *arg)
{
    (void)u;
    return ioctl(fd, request, arg);
}

static void *sys_mmap(void *u, size_t bytes, int prot, int flags, int fd, int64_t offset)
{
    (void)u;
    return mmap(NULL, bytes, prot, flags, fd, (off_t)offset);
}

static int sys_munmap(void *u, void *p, size_t bytes)
{
    (void)u;
    return munmap(p, bytes);
}

static int sys_poll(void *u, int fd, short events, short *revents, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = events };
    const int n = poll(&p, 1, timeout_ms);

    (void)u;
    *revents = p.revents;
    return n;
}

static ssize_t sys_write(void *u, int fd, const void *data, size_t bytes)
{
    (void)u;
    return write(fd, data, bytes);
}

static int by_number(const void *a, const void *b)
{
    return atoi((const char *)a + strlen("/dev/video")) -
           atoi((const char *)b + strlen("/dev/video"));
}

static int sys_list(void *u, char (*path)[64], int cap)
{
    DIR *d = opendir("/dev");
    int n = 0;

    (void)u;
    if (!d)
        return 0;
    for (struct dirent *e; n < cap && (e = readdir(d));)
        if (strncmp(e->d_name, "video", 5) == 0 && strlen(e->d_name) < 12 &&
            strspn(e->d_name + 5, "0123456789") == strlen(e->d_name + 5) && e->d_name[5])
            snprintf(path[n++], 64, "/dev/%.20s", e->d_name);
    closedir(d);
    qsort(path, (size_t)n, sizeof *path, by_number);
    return n;
}

static int sys_watch(void *u, const char *path)
{
    (void)u;
    return vbg_watch_open(path);
}

static bool sys_stirred(void *u, int watch)
{
    (void)u;
    return vbg_watch_stirred(watch);
}

static int sys_holders(void *u, const char *path)
{
    (void)u;
    return vbg_watch_holders(path);
}

const vbg_device *vbg_device_system(void)
{
    static const vbg_device system = { .open = sys_open,
                                       .close = sys_close,
                                       .ioctl = sys_ioctl,
                                       .mmap = sys_mmap,
                                       .munmap = sys_munmap,
                                       .poll = sys_poll,
                                       .write = sys_write,
                                       .list = sys_list,
                                       .watch = sys_watch,
                                       .stirred = sys_stirred,
                                       .holders = sys_holders };
    return &system;
}

int vbg_device_ioctl(const vbg_device *d, int fd, unsigned long request, void *arg)
{
    int r;

    do
        r = d->ioctl(d->u, fd, request, arg);
    while (r == -1 && errno == EINTR);
    return r;
}
