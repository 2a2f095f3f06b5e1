/* A .vbg file again, with its layers stored in another type. */
#ifndef VBG_CONVERT_RETYPE_H
#define VBG_CONVERT_RETYPE_H

#include "engine/weights.h"

typedef struct vbg_retype_result {
    size_t tensors;
    uint64_t parameters;
} vbg_retype_result;

/* Writes in to out, metadata and all, packed layers and lookup tables as t (f32, f16,
 * bf16, or i8 where convert/package.c finds that a layer bears it).  vae: a .vbg file
 * whose autoencoder takes the place of in's, or NULL.
 * Errors: those of vbg_weights_open and of the writer; VBG_EFORMAT (values that are not
 * finite or too large for t, no autoencoder); VBG_EUNSUPPORTED (latents of another kind).
 */
vbg_status vbg_retype(const char *in, const char *vae, const char *out, vbg_dtype t,
                      vbg_retype_result *result, vbg_err *err);

#endif
