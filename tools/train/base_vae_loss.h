/* Losses of the VAE that need no other network. */
#ifndef VBG_TOOLS_TRAIN_BASE_VAE_LOSS_H
#define VBG_TOOLS_TRAIN_BASE_VAE_LOSS_H

#include "engine/tape.h"

typedef struct vbg_picture_loss {
    double l1, detail; /* means: |d|; |Laplacian pyramid of d|, summed over 3 levels */
    double mse;        /* of values clamped to -1..1 */
} vbg_picture_loss;

/* loss = l1 + weight * detail of d = y - x, both f32 [n,h,w,3]; dy (of y's size, or NULL:
 * only the values) gets its gradient.  The pyramid is made with the 5-tap binomial
 * filter and reaches 1, 2 and 4 pixels; outside the picture d is zero.
 * Source: Burt and Adelson 1983. */
vbg_picture_loss vbg_loss_picture(vbg_ctx *c, const vbg_tensor *y, const vbg_tensor *x,
                                  double weight, vbg_tensor *dy);

/* Mean of ||Y| - |X|| over the coefficients of the (orthonormal) Fourier transforms of
 * windows of 32 x 32 pixels of every channel: strengths, whatever the phases.  What does
 * not fill a window is left out.  weight times its gradient is added to dy (NULL: only
 * the value). */
double vbg_loss_spectrum(vbg_ctx *c, const vbg_tensor *y, const vbg_tensor *x,
                         double weight, vbg_tensor *dy);

/* Latents from moments [n,h,w,2l] (mean, log variance), both f32:
 *     z = mean + exp(logvar / 2) e1 + noise rms e2,   rms: of all means
 * with normal e1 and e2 from seed.  Backwards the gradient of kl times the mean of
 * (mean^2 + exp(logvar) - 1 - logvar) / 2 is added; *kl_value gets that mean. */
typedef struct vbg_draw_opt {
    uint64_t seed;
    float noise, kl;
} vbg_draw_opt;
vbg_tensor *vbg_draw_latents(vbg_ctx *c, const vbg_tensor *moments, vbg_draw_opt opt,
                             double *kl_value);

#endif
