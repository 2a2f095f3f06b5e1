/* A .vbg file again, with its layers stored in another type. */
#ifndef VBG_CONVERT_RETYPE_H
#define VBG_CONVERT_RETYPE_H

#include "engine/weights.h"

typedef struct vbg_retype_result {
    size_t tensors;
    uint64_t parameters;
} vbg_retype_result;

/* .vbg files whose components take the place of the file's own; NULL: none. */
typedef struct vbg_retype_parts {
    const char *vae; /* another autoencoder of the same latents */
    const char *caa; /* correspondence-aware attention for the same UNet shape */
} vbg_retype_parts;

/* Writes in to out, metadata and all, packed layers and lookup tables as t (f32, f16,
 * bf16, or i8 where convert/package.c finds that a layer bears it).
 * Errors: those of vbg_weights_open and of the writer; VBG_EFORMAT (values that are not
 * finite or too large for t, no autoencoder); VBG_EUNSUPPORTED (parts that do not fit).
 */
vbg_status vbg_retype(const char *in, const vbg_retype_parts *parts, const char *out,
                      vbg_dtype t, vbg_retype_result *result, vbg_err *err);

#endif
