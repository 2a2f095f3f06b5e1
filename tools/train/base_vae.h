/* What the files of `vbg-train base vae` share. */
#ifndef VBG_TOOLS_TRAIN_BASE_VAE_H
#define VBG_TOOLS_TRAIN_BASE_VAE_H

#include "engine/tape.h"
#include "models/vae.h"
#include "tools/train/base_vae_gan.h"
#include "tools/train/base_vae_loss.h"
#include "tools/train/crops.h"
#include "tools/train/loop.h"

enum { VBG_VAE_DEPTH = 3, VBG_VAE_PER_PICTURE = 4, VBG_VAE_VAL_CROPS = 16 };

/* Crops of a micro-batch.  Sides: side of what is encoded, grow times that of what is
 * decoded. */
typedef struct vbg_vae_slot {
    float *whole;  /* [batch][grow * side][grow * side][3] */
    float *x;      /* encoded: whole, or (grow > 1) whole shrunk */
    float *target; /* whole shrunk to grow * target_side, where latents are shrunk too */
    int target_side;
} vbg_vae_slot;

typedef struct vbg_vae_trainer {
    vbg_loop loop;
    vbg_values *v;
    char *config;
    vbg_weights *file;
    vbg_vae vae;
    vbg_critic critic; /* used where gan > 0 */
    vbg_tape *tape;
    vbg_crops crops;
    vbg_vae_slot slots[VBG_VAE_DEPTH];
    int batch, side, val_side;
    int factor, grow; /* pixels per latent; what comes out is grow times as large */
    double detail, spectrum, shrink, gan, gan_start;
    float kl, noise;
    bool decoder_only;
    float *val;   /* [VAL_CROPS][grow * val_side][grow * val_side][3] */
    float *val_x; /* encoded: val, or (grow > 1) val shrunk */
} vbg_vae_trainer;

/* ---- base_vae_step.c ---- */

/* n crops of from x from pixels shrunk to `to` pixels.  Errors: VBG_ENOMEM. */
vbg_status vbg_vae_shrink(float *dst, int to, const float *src, int from, int n,
                          vbg_err *err);
vbg_status vbg_vae_load(void *arg, uint64_t job, int n, vbg_err *err);
vbg_status vbg_vae_step(void *arg, uint64_t job, int n, vbg_measure *m, vbg_err *err);
vbg_status vbg_vae_plan(void *arg, size_t *bytes, vbg_err *err);
void vbg_vae_describe(void *arg, uint64_t job, int n, char *text, size_t size);

/* ---- base_vae_out.c ---- */

/* The held-out crops, always the same.  Errors: those of vbg_crops_take. */
vbg_status vbg_vae_load_val(vbg_vae_trainer *t, vbg_err *err);
vbg_status vbg_vae_validate(void *arg, vbg_measure *m, vbg_err *err);
vbg_status vbg_vae_sample(void *arg, const char *path, vbg_err *err);
vbg_status vbg_vae_export(void *arg, const char *path, vbg_err *err);

#endif
