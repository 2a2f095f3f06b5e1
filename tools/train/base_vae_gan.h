/* The critic that tells pictures from what the VAE makes of them: decoded textures that
 * it believes are sharp where L1 alone leaves them blurred.
 *
 *     picture -> 3x3/2, leaky -> 3x3/2, norm, silu -> 3x3, norm, silu -> 3x3 -> score
 *
 * Every score judges about 35 x 35 pixels (Isola et al. 2017); hinge losses (Lim and Ye
 * 2017); how much the critic may say is fixed by the gradients that reach the decoder's
 * last layer (Esser et al. 2021). */
#ifndef VBG_TOOLS_TRAIN_BASE_VAE_GAN_H
#define VBG_TOOLS_TRAIN_BASE_VAE_GAN_H

#include "engine/bind.h"
#include "engine/tape.h"

typedef struct vbg_critic {
    vbg_weight conv[4];
    vbg_norm_w norm[2];
} vbg_critic;

/* Declares the critic's tensors (component "critic") in the parameters attached to w.
 * Errors: VBG_ENOMEM. */
vbg_status vbg_critic_bind(vbg_critic *d, const vbg_weights *w, vbg_err *err);

typedef struct vbg_gan_in {
    const vbg_critic *critic;
    vbg_params *params;      /* that hold it */
    const vbg_tensor *y, *x; /* decoded and true pictures, f32 [n,h,w,3] */
    const vbg_tensor *last;  /* what the decoder's last convolution read, [n,h,w,c] */
    double share;            /* of the other losses' gradient at that layer */
} vbg_gan_in;

typedef struct vbg_gan_out {
    double critic; /* its hinge loss: 2 when it knows nothing, 0 when it knows all */
    double weight; /* of the adversarial term */
} vbg_gan_out;

/* On a recording tape, with dy the gradient of all other losses at y: adds that of the
 * adversarial term to it, and the gradients of the critic's own loss to its parameters.
 * The tape's entries so far stay.  Gradients compared: of the last convolution's weights
 * at their middle tap.
 * The critic's gradients are a hundredth of what they are: Adam takes no notice, and the
 * common clipping is left to the VAE. */
vbg_gan_out vbg_gan(vbg_ctx *c, const vbg_gan_in *in, vbg_tensor *dy);

#endif
