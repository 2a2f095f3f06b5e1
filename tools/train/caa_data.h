/* Latents of panoramas for `vbg-train caa`: eight views through the VAE, once.
 *
 * A sample is a panorama turned by some whole degrees.  With `turns` of them per octant
 * (start at 0, 45/turns, ...) and any of the 8 views first, every turn comes from 8*turns
 * pictures whose moments are kept in a folder; with turns 0 any of 360 degrees may come,
 * as in MVDiffusion, and the VAE runs every time.  Moments are rounded to f16, kept or
 * not, so that both give the same training. */
#ifndef VBG_TOOLS_TRAIN_CAA_DATA_H
#define VBG_TOOLS_TRAIN_CAA_DATA_H

#include "engine/tensor.h"
#include "models/vae.h"
#include "tools/train/panoramas.h"

/* Where samples come from. */
typedef struct vbg_pano_latents {
    vbg_panos panos;
    size_t count; /* trained on; the rest is held out */
    const vbg_vae *vae;
    char *folder;  /* of kept moments, owned */
    uint64_t salt; /* stands for the VAE */
    int side;      /* pixels of a view */
    int turns;
    uint64_t seed;
} vbg_pano_latents;

/* One panorama. */
typedef struct vbg_pano_sample {
    uint32_t epoch, place; /* place in the epoch's order: what chance follows from */
    size_t item;           /* as listed, then as used */
    int start, first;      /* degrees; view that comes first */
    bool ready;            /* moments are there */
    float *moments;        /* [8 views][pixels][2*latent]: means, deviations */
    float *pixels;         /* [8][side][side][3], -1..1, when not ready */
    char path[1024];       /* where the moments are kept, "" nowhere */
    const char *caption[VBG_PANO_VIEWS]; /* in the order of the sample's views */
    const char *whole;                   /* what is said of all at once, or NULL */
} vbg_pano_sample;

/* Opens data (see panoramas.h); moments are kept in folder, made when missing.
 * held_out: share of the panoramas that are not trained on.
 * Errors: those of vbg_panos_open, VBG_EIO, VBG_ENOMEM, VBG_EUSAGE (nothing left). */
vbg_status vbg_pano_latents_open(vbg_pano_latents *l, const char *data,
                                 const char *folder, bool strict, double held_out,
                                 vbg_err *err);
void vbg_pano_latents_close(vbg_pano_latents *l);

/* Memory of a sample.  Errors: VBG_ENOMEM. */
vbg_status vbg_pano_sample_new(vbg_pano_sample *s, const vbg_pano_latents *l,
                               vbg_err *err);
void vbg_pano_sample_free(vbg_pano_sample *s);

/* Sample number `number` of the training: moments when they are kept, else pictures.
 * Thread-safe. */
vbg_status vbg_pano_sample_load(vbg_pano_latents *l, vbg_pano_sample *s, uint64_t number,
                                vbg_err *err);
/* Held-out panorama i, not turned. */
vbg_status vbg_pano_sample_held_out(vbg_pano_latents *l, vbg_pano_sample *s, size_t i,
                                    vbg_err *err);
/* Moments of s in any case: runs the VAE when they are not there, and keeps them. */
vbg_status vbg_pano_sample_encode(const vbg_pano_latents *l, vbg_pano_sample *s,
                                  vbg_ctx *c, vbg_err *err);
/* Bytes of the slab that encoding takes. */
vbg_status vbg_pano_encode_plan(const vbg_pano_latents *l, vbg_ctx *c, size_t *bytes,
                                vbg_err *err);

/* Latents of view k (0..7) of s, [pixels][latent]: a draw from the posterior, scaled. */
void vbg_pano_draw(const vbg_pano_latents *l, const vbg_pano_sample *s, int k,
                   vbg_dice *dice, float *z);

/* Pixels of a latent, and the values of all moments of a sample. */
size_t vbg_pano_pixels(const vbg_pano_latents *l);
size_t vbg_pano_moments(const vbg_pano_latents *l);

#endif
