/* A .vbg file again, with its layers stored in another type; and the values of any of its
 * tensors. */
#ifndef VBG_CONVERT_RETYPE_H
#define VBG_CONVERT_RETYPE_H

#include "engine/weights.h"

/* Values of a floating-point tensor of any layout as f32 in PyTorch order; dst holds the
 * product of its dims.  False: not floats. */
bool vbg_entry_values(float *dst, const vbg_entry *e);

typedef struct vbg_retype_result {
    size_t tensors;
    uint64_t parameters;
} vbg_retype_result;

/* Writes in to out, metadata and all, packed layers and lookup tables as t (f32, f16,
 * bf16, or i8 where convert/package.c finds that a layer bears it).
 * Errors: those of vbg_weights_open and of the writer; VBG_EFORMAT (values that are not
 * finite or too large for t). */
vbg_status vbg_retype(const char *in, const char *out, vbg_dtype t,
                      vbg_retype_result *result, vbg_err *err);

#endif
