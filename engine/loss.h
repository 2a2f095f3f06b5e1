/* Losses: one f32 value [1,1,1,1] each, recorded on the tape (engine/tape.h).
 *
 * Logits and predictions are [n,h,w,c] f32 or bf16; what they are compared with wants no
 * gradient.  Sums are f64 over fixed runs of pixels, so no number of threads changes a
 * bit.  Shapes are the caller's contract and abort when wrong; nothing else can fail. */
#ifndef VBG_ENGINE_LOSS_H
#define VBG_ENGINE_LOSS_H

#include "engine/tensor.h"

/* Mean of (x - target)^2; target of x's shape, f32 or bf16. */
vbg_tensor *vbg_loss_mse(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *target);
/* The same with a factor for each image, f32 [n,1,1,1]: mean of factor (x - target)^2. */
vbg_tensor *vbg_loss_mse_weighted(vbg_ctx *c, const vbg_tensor *x,
                                  const vbg_tensor *target, const vbg_tensor *factor);
/* Mean of |x - target|. */
vbg_tensor *vbg_loss_l1(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *target);
/* Mean of d^2/2 where d = |x - target| < 1, else d - 1/2. */
vbg_tensor *vbg_loss_smooth_l1(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *target);

/* Mean binary cross entropy of logits against targets in [0,1] of the same shape; exact
 * for logits of any size. */
vbg_tensor *vbg_loss_bce(vbg_ctx *c, const vbg_tensor *logits, const vbg_tensor *target);
/* p = sigmoid(logits); 1 - 2 sum(p t) / (sum(p + t) + 1e-5) of each image, then the mean
 * of the images. */
vbg_tensor *vbg_loss_dice(vbg_ctx *c, const vbg_tensor *logits, const vbg_tensor *target);

/* Cross entropy of each pixel over the c classes.  labels: u8 or i32 [n,h,w,1], each
 * below c or equal to ignore (no such pixel: 0 in an option struct ignores class 0, so
 * state -1 when nothing is to be ignored).
 * weight: [c] or NULL, read at once; the mean is sum(weight loss) / sum(weight) over the
 * pixels that count, 0 when none does.  Where several processes train as one
 * (vbg_tape_share) sum(weight) is the mean of theirs, so that the mean of their losses and
 * gradients is that of all pixels. */
typedef struct vbg_cross_entropy_opt {
    int ignore;
    const float *weight;
} vbg_cross_entropy_opt;
vbg_tensor *vbg_loss_cross_entropy(vbg_ctx *c, const vbg_tensor *logits,
                                   const vbg_tensor *labels, vbg_cross_entropy_opt opt);

/* Mean cross entropy of the hard pixels: those with a loss above -ln(threshold) or, when
 * they are fewer than 1/16 of the pixels that count, that many with the largest losses
 * (of equal ones the first).  kept (may be NULL) gets their number.  0 when there are
 * none.  Each process chooses among its own pixels.  Source: online hard example mining as in BiSeNet's training. */
typedef struct vbg_ohem_opt {
    int ignore;
    float threshold; /* probability, 0.7 usually */
    int64_t *kept;
} vbg_ohem_opt;
vbg_tensor *vbg_loss_ohem(vbg_ctx *c, const vbg_tensor *logits, const vbg_tensor *labels,
                          vbg_ohem_opt opt);

/* Sum of the absolute or squared differences of neighbours to the right and below; of
 * equal ones the slope is 0. */
vbg_tensor *vbg_loss_variation(vbg_ctx *c, const vbg_tensor *x, bool squared);
/* Gram matrices X'X / (c h w) of the pixels X [h*w][c] of each image -> f32 [n,1,c,c].
 * Source: Gatys et al. 2016. */
vbg_tensor *vbg_gram(vbg_ctx *c, const vbg_tensor *x);

/* weight[0] terms[0] + ... of n losses. */
vbg_tensor *vbg_loss_sum(vbg_ctx *c, vbg_tensor *const *terms, const float *weight,
                         int n);

#endif
