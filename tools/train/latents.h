/* Latents of all pictures of a list, made once by a VAE and kept in a file; with them,
 * where they lie beside the pictures, regions and depths at half the latents' size. */
#ifndef VBG_TOOLS_TRAIN_LATENTS_H
#define VBG_TOOLS_TRAIN_LATENTS_H

#include "models/vae.h"
#include "tools/train/samples.h"

/* The cache is cut into runs of pictures, each a tensor "latents/RUN" of bf16
 * [pictures][1 + mirrored][side][side][channels]; truth: "label/RUN" u8 and "depth/RUN"
 * bf16 [pictures][(side+1)/2][(side+1)/2]. */
typedef struct vbg_latents {
    vbg_weights *file; /* the cache, mapped */
    const uint16_t **run, **depth;
    const uint8_t **label;
    size_t count, runs, each;       /* each: values of one picture */
    int side, channels, truth_side; /* truth_side 0: none of the pictures has any */
    bool mirrored;
} vbg_latents;

typedef struct vbg_latents_opt {
    const char *cache; /* file to keep them in; used again when it fits, else made anew */
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
/* Regions and log(metres) of picture i, [truth_side][truth_side] each: VBG_TRUTH_NONE and
 * not a number where nothing is known.  Only with truth_side > 0. */
void vbg_latents_truth(const vbg_latents *l, size_t i, bool mirrored, uint8_t *label,
                       float *depth);

#endif
