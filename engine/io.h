/* Files: read-only mappings and the atomic writer that every output goes through.
 *
 * A new file is written without a name (or under a temporary one where the system has
 * no O_TMPFILE) in the same folder, fsynced, named, closed with the result checked,
 * renamed over the target, and the folder is fsynced.  Any
 * failure removes the temporary file and leaves an older target untouched. */
#ifndef VBG_ENGINE_IO_H
#define VBG_ENGINE_IO_H

#include "engine/base.h"

/* Bytes of a regular file, mapped read-only.  data is NULL when bytes is 0. */
typedef struct vbg_map {
    const unsigned char *data;
    size_t bytes;
    uint64_t device, inode; /* which file this is */
    int guard;              /* place in engine/map_guard.h, and one more; 0: none */
} vbg_map;

/* Maps path.  Anything but a regular file is refused without blocking on it.
 * Errors: VBG_EIO, VBG_EFORMAT (no regular file), VBG_ELIMIT (beyond max_bytes). */
vbg_status vbg_map_open(vbg_map *out, const char *path, uint64_t max_bytes, vbg_err *err);
/* The same for a plain file name inside the open folder dir; shown is the path for
 * messages. */
vbg_status vbg_map_open_at(vbg_map *out, int dir, const char *name, const char *shown,
                           uint64_t max_bytes, vbg_err *err);
/* A private mapping of zero bytes, writable until closed.  Errors: VBG_ENOMEM. */
vbg_status vbg_map_zero(vbg_map *out, uint64_t bytes, vbg_err *err);
void vbg_map_close(vbg_map *m); /* accepts a zeroed map */
/* Tells the kernel that whole pages inside [offset, offset+bytes) may leave memory. */
void vbg_map_release(const vbg_map *m, size_t offset, size_t bytes);

typedef struct vbg_file vbg_file;

/* Starts a new file that will become path.  Errors: VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_file_create(vbg_file **out, const char *path, vbg_err *err);
/* Appends bytes (short writes and EINTR are handled).  Errors: VBG_EIO. */
vbg_status vbg_file_write(vbg_file *f, const void *data, size_t bytes, vbg_err *err);
/* Writes at an offset; does not move the appending position. */
vbg_status vbg_file_write_at(vbg_file *f, const void *data, size_t bytes, uint64_t offset,
                             vbg_err *err);
/* Sets the length; what was never written reads as zero. */
vbg_status vbg_file_resize(vbg_file *f, uint64_t bytes, vbg_err *err);
/* fsync, close, rename, fsync of the folder.  f is freed in every case; on failure
 * the temporary file is gone. */
vbg_status vbg_file_commit(vbg_file *f, vbg_err *err);
/* A path under which a library can open the unfinished file itself, by name; it closes
 * what it opened before the commit. */
void vbg_file_opened_path(const vbg_file *f, char *path, size_t size);
void vbg_file_abort(vbg_file *f); /* removes the temporary file; accepts NULL */

/* True when both paths name the same existing file (links followed). */
bool vbg_same_file(const char *a, const char *b);

/* True when writing a would replace b: one name, one file, or the same name in the
 * same folder. */
bool vbg_same_place(const char *a, const char *b);

/* True for 1..max_bytes bytes of valid UTF-8 without control characters. */
bool vbg_name_ok(const char *name, size_t bytes, size_t max_bytes);

/* Copies name for a message: at most size-1 bytes, cut with "..." at a character. */
const char *vbg_shorten(char *dst, size_t size, const char *name);

#endif
