/* Latents of all pictures of a list, made once by a VAE and kept in a file. */
#ifndef VBG_TOOLS_TRAIN_LATENTS_H
#define VBG_TOOLS_TRAIN_LATENTS_H

#include "models/vae.h"
#include "tools/train/samples.h"

typedef struct vbg_latents {
    vbg_weights *file;    /* the cache, mapped */
    const uint16_t *data; /* bf16 [count][1 + mirrored][side][side][channels] */
    size_t count, each;   /* each: values of one picture */
    int side, channels;
    bool mirrored;
} vbg_latents;

typedef struct vbg_latents_opt {
    const char *cache; /* file to keep them in; used again when it fits */
    int picture;       /* side in pixels, the middle of each picture */
    bool mirrored;     /* also of the mirrored pictures */
} vbg_latents_opt;

/* Latents are means times the config's scaling.  A picture that cannot be read leaves
 * latents that are not a number (vbg_latents_good).  weights: the VAE's file, whose
 * checksums say whether a cache fits.
 * Errors: VBG_EIO, VBG_ENOMEM, VBG_EFORMAT, VBG_ECANCEL (signal). */
vbg_status vbg_latents_open(vbg_latents *out, vbg_ctx *c, const vbg_vae *vae,
                            const vbg_weights *weights, vbg_samples *list,
                            const vbg_latents_opt *opt, vbg_err *err);
void vbg_latents_close(vbg_latents *l); /* accepts zeroed */

bool vbg_latents_good(const vbg_latents *l, size_t i);
/* Those of picture i as f32 [side][side][channels]. */
void vbg_latents_get(const vbg_latents *l, size_t i, bool mirrored, float *out);

#endif
