/* File operations that fail, for LD_PRELOAD: the N-th call of FAULT (fsync, rename,
 * ftruncate, pwrite) fails with a fitting errno; FAULT=short cuts every pwrite to three
 * quarters, FAULT=intr interrupts the N-th one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/tools/fault.h"

/* Whether this call of operation is the one that must fail. */
static bool strike(const char *operation)
{
    static int seen;
    const char *fault = getenv("FAULT"), *nth = getenv("FAULT_N");

    return fault && strcmp(fault, operation) == 0 && ++seen == (nth ? atoi(nth) : 1);
}

static bool chosen(const char *operation)
{
    const char *fault = getenv("FAULT");
    return fault && strcmp(fault, operation) == 0;
}

/* The real function behind ours. */
static void real(void *function, const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    memcpy(function, &p, sizeof p);
}

int fsync(int fd)
{
    int (*f)(int);

    real(&f, "fsync");
    if (!strike("fsync"))
        return f(fd);
    errno = EIO;
    return -1;
}

int rename(const char *from, const char *to)
{
    int (*f)(const char *, const char *);

    real(&f, "rename");
    if (!strike("rename"))
        return f(from, to);
    errno = EACCES;
    return -1;
}

int ftruncate(int fd, off_t length)
{
    int (*f)(int, off_t);

    real(&f, "ftruncate");
    if (!strike("ftruncate"))
        return f(fd, length);
    errno = ENOSPC;
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    ssize_t (*f)(int, const void *, size_t, off_t);

    real(&f, "pwrite");
    if (strike("pwrite") || strike("intr")) {
        errno = chosen("pwrite") ? ENOSPC : EINTR;
        return -1;
    }
    return f(fd, data, chosen("short") && bytes > 4 ? bytes / 4 * 3 : bytes, at);
}
