/* The system calls of cameras and virtual cameras, as function pointers: the real ones,
 * or a scripted fake that can lie, stall, cut frames short and vanish.
 *
 * Every call behaves as the POSIX function of its name: -1 (mmap: MAP_FAILED) and errno
 * on failure.  u is handed to each. */
#ifndef VBG_VIDEO_DEVICE_H
#define VBG_VIDEO_DEVICE_H

#include <sys/types.h>

#include "engine/base.h"

typedef struct vbg_device {
    int (*open)(void *u, const char *path, int flags);
    int (*close)(void *u, int fd);
    int (*ioctl)(void *u, int fd, unsigned long request, void *arg);
    void *(*mmap)(void *u, size_t bytes, int prot, int flags, int fd, int64_t offset);
    int (*munmap)(void *u, void *p, size_t bytes);
    /* events and the result are those of poll(2); 0: nothing within timeout_ms */
    int (*poll)(void *u, int fd, short events, short *revents, int timeout_ms);
    ssize_t (*write)(void *u, int fd, const void *data, size_t bytes);
    /* Paths of video devices that exist now, at most cap, sorted; returns how many. */
    int (*list)(void *u, char (*path)[64], int cap);
    /* Who holds a path open: see video/device_watch.h. */
    int (*watch)(void *u, const char *path);
    bool (*stirred)(void *u, int watch);
    int (*holders)(void *u, const char *path);
    void *u;
} vbg_device;

/* The machine's own devices. */
const vbg_device *vbg_device_system(void);

/* ioctl, repeated while a signal interrupts it. */
int vbg_device_ioctl(const vbg_device *d, int fd, unsigned long request, void *arg);

#endif
