/* Read-only mappings and the atomic writer. */
#define _GNU_SOURCE
#include "engine/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/map_guard.h"

vbg_status vbg_map_open(vbg_map *out, const char *path, uint64_t max_bytes, vbg_err *err)
{
    return vbg_map_open_at(out, AT_FDCWD, path, path, max_bytes, err);
}

vbg_status vbg_map_open_at(vbg_map *out, int dir, const char *name, const char *shown,
                           uint64_t max_bytes, vbg_err *err)
{
    vbg_status st = VBG_OK;
    struct stat info;
    void *p = NULL;

    *out = (vbg_map){ 0 };
    /* O_NONBLOCK: a fifo without a writer must not hang the program. */
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &info) < 0) {
        st = vbg_fail(err, VBG_EIO, "%s: %s", shown, strerror(errno));
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        st = vbg_fail(err, VBG_EFORMAT, "%s: not a regular file", shown);
        goto done;
    }
    if (info.st_size < 0 || (uint64_t)info.st_size > max_bytes) {
        st = vbg_fail(err, VBG_ELIMIT, "%s: %lld bytes, the limit is %llu", shown,
                      (long long)info.st_size, (unsigned long long)max_bytes);
        goto done;
    }
    if (info.st_size > 0) {
        p = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            st = vbg_fail(err, VBG_EIO, "%s: cannot map: %s", shown, strerror(errno));
            goto done;
        }
    }
    *out = (vbg_map){ .data = p,
                      .bytes = (size_t)info.st_size,
                      .device = (uint64_t)info.st_dev,
                      .inode = (uint64_t)info.st_ino,
                      .guard =
                          p ? vbg_map_guard_add(p, (size_t)info.st_size, shown) + 1 : 0 };
done:
    if (fd >= 0)
        close(fd);
    return st;
}

vbg_status vbg_map_zero(vbg_map *out, uint64_t bytes, vbg_err *err)
{
    void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return vbg_fail(err, VBG_ENOMEM, "out of memory (%llu bytes of address space)",
                        (unsigned long long)bytes);
    *out = (vbg_map){ .data = p, .bytes = (size_t)bytes };
    return VBG_OK;
}

void vbg_map_close(vbg_map *m)
{
    vbg_map_guard_remove(m->guard - 1);
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->bytes);
    *m = (vbg_map){ 0 };
}

void vbg_map_release(const vbg_map *m, size_t offset, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t from = (offset + page - 1) / page * page, to = (offset + bytes) / page * page;

    if (m->data && to > from && to <= m->bytes)
        madvise((void *)(uintptr_t)(m->data + from), to - from, MADV_DONTNEED);
}

/* The folder of path, malloc'd; NULL without memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Opens a file without a name in the folder of path: a program that is killed leaves
 * nothing behind.  Returns the descriptor, -1 where the system cannot. */
static int unnamed_file(const char *path)
{
    char *dir = folder_of(path), link[32];
    int fd = dir ? open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666) : -1;

    free(dir);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (fd >= 0 && access(link, W_OK) != 0) { /* no /proc: it could never get a name */
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Gives the unnamed file fd a name that must not exist.  Returns 0, or -1 and errno. */
static int name_file(int fd, const char *name)
{
    char link[32];

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

struct vbg_file {
    int fd;
    bool named;        /* temp exists */
    char *path, *temp; /* target and temporary name, same folder */
    uint64_t at;
};

/* Frees the object and closes its descriptor; keeps the files. */
static void forget(vbg_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f->temp);
    free(f);
}

vbg_status vbg_file_create(vbg_file **out, const char *path, vbg_err *err)
{
    vbg_file *f = calloc(1, sizeof *f);
    size_t room = strlen(path) + 40;
    struct stat info;

    if (!f)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    f->fd = -1;
    f->path = strdup(path);
    f->temp = malloc(room);
    if (!f->path || !f->temp) {
        forget(f);
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    }
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        forget(f);
        return vbg_fail(err, VBG_EIO, "%s: exists and is not a regular file", path);
    }
    f->fd = unnamed_file(path);
    for (int i = 0; i < 100 && f->fd < 0; i++) {
        snprintf(f->temp, room, "%s.tmp-%ld-%d", path, (long)getpid(), i);
        f->fd = open(f->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        f->named = f->fd >= 0;
        if (f->fd < 0 && errno != EEXIST)
            break;
    }
    if (f->fd < 0) {
        vbg_fail(err, VBG_EIO, "%s: cannot be written: %s", path, strerror(errno));
        forget(f);
        return VBG_EIO;
    }
    *out = f;
    return VBG_OK;
}

vbg_status vbg_file_write_at(vbg_file *f, const void *data, size_t bytes, uint64_t offset,
                             vbg_err *err)
{
    const char *p = data;

    while (bytes > 0) {
        size_t part = bytes < (size_t)1 << 30 ? bytes : (size_t)1 << 30;
        ssize_t n = pwrite(f->fd, p, part, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return vbg_fail(err, VBG_EIO, "%s: cannot write %zu bytes: %s", f->path,
                            bytes, n < 0 ? strerror(errno) : "no space");
        p += n;
        bytes -= (size_t)n;
        offset += (uint64_t)n;
    }
    return VBG_OK;
}

vbg_status vbg_file_write(vbg_file *f, const void *data, size_t bytes, vbg_err *err)
{
    vbg_status st = vbg_file_write_at(f, data, bytes, f->at, err);

    if (st == VBG_OK)
        f->at += bytes;
    return st;
}

vbg_status vbg_file_resize(vbg_file *f, uint64_t bytes, vbg_err *err)
{
    if (ftruncate(f->fd, (off_t)bytes) < 0)
        return vbg_fail(err, VBG_EIO, "%s: cannot make it %llu bytes long: %s", f->path,
                        (unsigned long long)bytes, strerror(errno));
    return VBG_OK;
}

/* fsyncs the folder that holds path, so that the rename survives power loss. */
static int sync_folder(const char *path)
{
    char *dir = folder_of(path);
    int fd, r;

    if (!dir)
        return -1;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd < 0)
        return -1;
    r = fsync(fd);
    if (r < 0 && errno == EINVAL) /* some file systems cannot sync folders */
        r = 0;
    close(fd);
    return r;
}

/* Gives an unnamed file its temporary name. */
static int give_name(vbg_file *f)
{
    size_t room = strlen(f->path) + 40;

    for (int i = 0; i < 100 && !f->named; i++) {
        snprintf(f->temp, room, "%s.tmp-%ld-%d", f->path, (long)getpid(), i);
        f->named = name_file(f->fd, f->temp) == 0;
        if (!f->named && errno != EEXIST)
            break;
    }
    return f->named ? 0 : -1;
}

vbg_status vbg_file_commit(vbg_file *f, vbg_err *err)
{
    const char *what = "fsync";
    int bad = fsync(f->fd) < 0;

    if (!bad) {
        what = "naming it";
        bad = give_name(f) < 0;
    }
    if (!bad) {
        what = "close";
        int fd = f->fd;
        f->fd = -1;
        bad = close(fd) < 0;
    }
    if (!bad) {
        what = "rename";
        bad = rename(f->temp, f->path) < 0;
    }
    if (bad) {
        vbg_fail(err, VBG_EIO, "%s: %s failed: %s", f->path, what, strerror(errno));
        vbg_file_abort(f);
        return VBG_EIO;
    }
    bad = sync_folder(f->path) < 0;
    if (bad)
        vbg_fail(err, VBG_EIO, "%s: written, but its folder cannot be synced: %s",
                 f->path, strerror(errno));
    forget(f);
    return bad ? VBG_EIO : VBG_OK;
}

void vbg_file_opened_path(const vbg_file *f, char *path, size_t size)
{
    if (f->named)
        snprintf(path, size, "%s", f->temp);
    else
        snprintf(path, size, "/proc/self/fd/%d", f->fd);
}

void vbg_file_abort(vbg_file *f)
{
    if (!f)
        return;
    if (f->named)
        unlink(f->temp);
    forget(f);
}

bool vbg_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

bool vbg_same_place(const char *a, const char *b)
{
    const char *sa = strrchr(a, '/'), *sb = strrchr(b, '/');

    if (strcmp(a, b) == 0 || vbg_same_file(a, b))
        return true;
    if (strcmp(sa ? sa + 1 : a, sb ? sb + 1 : b) != 0)
        return false;
    char *da = folder_of(a), *db = folder_of(b);
    bool same = da && db && vbg_same_file(da, db);
    free(da);
    free(db);
    return same;
}

/* Length of the valid UTF-8 character at p (n bytes left), 0 when there is none. */
static size_t utf8_char(const unsigned char *p, size_t n)
{
    size_t len = p[0] < 0x80   ? 1
                 : p[0] < 0xc2 ? 0
                 : p[0] < 0xe0 ? 2
                 : p[0] < 0xf0 ? 3
                 : p[0] < 0xf5 ? 4
                               : 0;

    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0; /* overlong, surrogate, beyond U+10FFFF */
    return len;
}

bool vbg_name_ok(const char *name, size_t bytes, size_t max_bytes)
{
    const unsigned char *p = (const unsigned char *)name;

    if (bytes == 0 || bytes > max_bytes)
        return false;
    for (size_t i = 0; i < bytes;) {
        size_t len = utf8_char(p + i, bytes - i);
        if (len == 0 || p[i] < 0x20 || p[i] == 0x7f)
            return false;
        if (len == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0) /* U+0080..U+009F */
            return false;
        i += len;
    }
    return true;
}

const char *vbg_shorten(char *dst, size_t size, const char *name)
{
    size_t n = strlen(name);

    if (n < size) {
        memcpy(dst, name, n + 1);
        return dst;
    }
    n = size - 4;
    while (n > 0 && ((unsigned char)name[n] & 0xc0) == 0x80)
        n--;
    memcpy(dst, name, n);
    memcpy(dst + n, "...", 4);
    return dst;
}
