/* Reader and writer of safetensors files: u64 header length, JSON header, data.
 * Everything is validated before a pointer leaves the reader (limits: see
 * safetensors.c).  Names are checked UTF-8 without control characters. */
#ifndef VBG_CONVERT_SAFETENSORS_H
#define VBG_CONVERT_SAFETENSORS_H

#include "engine/base.h"
#include "engine/weights.h" /* VBG_MAX_RANK */

typedef struct vbg_st_tensor {
    const char *name;
    vbg_dtype dtype;
    int rank;
    int64_t dim[VBG_MAX_RANK];
    size_t count, bytes;
    size_t offset;    /* from the start of the file */
    const void *data; /* mapped, any alignment */
} vbg_st_tensor;

typedef struct vbg_safetensors vbg_safetensors;

vbg_status vbg_st_open(vbg_safetensors **out, const char *path, vbg_err *err);
void vbg_st_close(vbg_safetensors *f); /* accepts NULL */
size_t vbg_st_count(const vbg_safetensors *f);
const vbg_st_tensor *vbg_st_at(const vbg_safetensors *f, size_t i); /* sorted by name */
const vbg_st_tensor *vbg_st_find(const vbg_safetensors *f, const char *name);
/* Value of a __metadata__ key or NULL. */
const char *vbg_st_metadata(const vbg_safetensors *f, const char *key);

/* Copies a tensor widened to f32; dst holds count values. */
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
/* meta: pairs key, value, NULL-terminated; may be NULL. */
vbg_status vbg_st_write(const char *path, const vbg_st_out *t, size_t count,
                        const char *const *meta, vbg_err *err);

#endif
