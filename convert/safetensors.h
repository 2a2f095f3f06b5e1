/* Reader and writer of safetensors files: u64 header length, JSON header, data.
 * Everything is validated before a pointer leaves the reader (limits: see
 * safetensors.c).  Names are checked UTF-8 without control characters. */
#ifndef VBG_CONVERT_SAFETENSORS_H
#define VBG_CONVERT_SAFETENSORS_H

#include "engine/base.h"
#include "engine/weights.h" /* VBG_MAX_RANK */

typedef struct vbg_st_tensor {
    const char *name;
    const char *kind; /* dtype as the file spells it ("F16", "U32", ...) */
    vbg_dtype dtype;  /* VBG_DTYPES for kinds that vbg has no type for   */
    int rank;
    int64_t dim[VBG_MAX_RANK];
    size_t count, bytes;
    size_t offset;    /* from the start of the file */
    const void *data; /* mapped, any alignment */
} vbg_st_tensor;

typedef struct vbg_safetensors vbg_safetensors;

/* Errors: VBG_EIO, VBG_EFORMAT, VBG_ELIMIT, VBG_ENOMEM; the text names file, tensor
 * and cause. */
vbg_status vbg_st_open(vbg_safetensors **out, const char *path, vbg_err *err);
/* The same for the plain file name inside the open folder dir; shown is the path for
 * messages. */
vbg_status vbg_st_open_at(vbg_safetensors **out, int dir, const char *name,
                          const char *shown, vbg_err *err);
/* The same over bytes in memory, which must outlive the reader (fuzzing, tests). */
vbg_status vbg_st_open_memory(vbg_safetensors **out, const void *data, size_t bytes,
                              vbg_err *err);
void vbg_st_close(vbg_safetensors *f); /* accepts NULL */
size_t vbg_st_count(const vbg_safetensors *f);
const vbg_st_tensor *vbg_st_at(const vbg_safetensors *f, size_t i); /* sorted by name */
const vbg_st_tensor *vbg_st_find(const vbg_safetensors *f, const char *name);
/* Value of a __metadata__ key or NULL. */
const char *vbg_st_metadata(const vbg_safetensors *f, const char *key);

/* Copies a tensor widened to f32; dst holds count values.  dtype is not VBG_DTYPES. */
void vbg_st_to_f32(float *dst, const vbg_st_tensor *t);
/* Tells the kernel that the pages of t are no longer needed. */
void vbg_st_release(const vbg_safetensors *f, const vbg_st_tensor *t);

/* Writing: all tensors at once, names sorted, no holes, atomic by rename. */
typedef struct vbg_st_out {
    const char *name;
    vbg_dtype dtype;
    int rank;
    int64_t dim[VBG_MAX_RANK];
    const void *data;
} vbg_st_out;
/* fill gives the bytes of one tensor (in sorted order), valid until the next call; NULL
 * stops with VBG_ECANCEL.  Tensors whose data is not NULL need no call. */
typedef const void *vbg_st_fill(void *arg, const vbg_st_out *t);
vbg_status vbg_st_write_stream(const char *path, const vbg_st_out *t, size_t count,
                               const char *const *meta, vbg_st_fill *fill, void *arg,
                               vbg_err *err);
/* meta: pairs key, value, NULL-terminated; may be NULL. */
vbg_status vbg_st_write(const char *path, const vbg_st_out *t, size_t count,
                        const char *const *meta, vbg_err *err);

#endif
