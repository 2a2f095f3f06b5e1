/* One trainer in a folder; see tools/train/lock.h. */
#define _GNU_SOURCE
#include "tools/train/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

vbg_status vbg_make_folder(const char *dir, vbg_err *err)
{
    char path[4096];
    struct stat info;
    size_t n = strlen(dir);

    if (n == 0 || n >= sizeof path)
        return vbg_fail(err, VBG_EIO, "%s: no usable folder name", dir);
    memcpy(path, dir, n + 1);
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char at = *p;
        *p = 0;
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
        *p = at;
        if (!at)
            break;
    }
    if (stat(dir, &info) != 0 || !S_ISDIR(info.st_mode))
        return vbg_fail(err, VBG_EIO, "%s: not a folder", dir);
    return VBG_OK;
}

static vbg_status busy(int fd, const char *dir, vbg_err *err)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    long holder = n > 0 ? strtol(text, NULL, 10) : 0;

    return vbg_fail(err, VBG_EUSAGE, "%s: another trainer works here (process %ld)", dir,
                    holder);
}

vbg_status vbg_lock_take(int *lock, const char *dir, vbg_err *err)
{
    char path[4200], text[32];
    vbg_status st = VBG_OK;

    snprintf(path, sizeof path, "%s/lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        st = errno == EWOULDBLOCK
                 ? busy(fd, dir, err)
                 : vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (st == VBG_OK && (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n))
        st = vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
    if (st != VBG_OK) {
        close(fd);
        return st;
    }
    *lock = fd;
    return VBG_OK;
}

void vbg_lock_release(int lock)
{
    if (lock >= 0)
        close(lock);
}
