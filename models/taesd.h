/* TAESD: a tiny encoder and decoder for the latents of Stable Diffusion, 18 times
 * cheaper than the VAE.  Works with the UNet's scaled latents and pictures in 0..1.
 *
 *     block: relu(conv.4(relu(conv.2(relu(conv.0 x)))) + x), 64 channels, 3x3
 *     encoder: conv, block, 3 x (stride-2 conv without bias, 3 blocks), conv to 4
 *     decoder: 3 tanh(x/3), conv, relu, 3 x (3 blocks, nearest x2, conv without
 *              bias), block, conv to 3
 * Source: github.com/madebyollin/taesd (MIT), the README's network description. */
#ifndef VBG_MODELS_TAESD_H
#define VBG_MODELS_TAESD_H

#include "engine/bind.h"
#include "engine/ops.h"

enum { VBG_TAESD_ENCODER = 15, VBG_TAESD_DECODER = 20 };

/* Module N of the original: a lone convolution is layer[0], a block all three. */
typedef struct vbg_taesd_module {
    vbg_weight layer[3];
} vbg_taesd_module;

typedef struct vbg_taesd {
    bool has_encoder, has_decoder;
    vbg_taesd_module encoder[VBG_TAESD_ENCODER], decoder[VBG_TAESD_DECODER];
} vbg_taesd;

/* Binds what the component holds of `encoder.N` and `decoder.N`.
 * Errors: VBG_EFORMAT (missing, misshapen, neither half). */
vbg_status vbg_taesd_bind(vbg_taesd *m, const vbg_weights *w, const char *component,
                          vbg_err *err);

/* fn (may be NULL) sees the output of every module with its name ("decoder.3"). */
typedef void vbg_taesd_trace(void *arg, vbg_ctx *c, const char *name,
                             const vbg_tensor *x);

/* x f32 [n,h,w,3] in 0..1 -> f32 [n,h/8,w/8,4] scaled latents. */
vbg_tensor *vbg_taesd_encode(vbg_ctx *c, const vbg_taesd *m, const vbg_tensor *x,
                             vbg_taesd_trace *fn, void *arg);
/* z f32 [n,h,w,4] scaled latents -> f32 [n,8h,8w,3], about 0..1 (not clamped). */
vbg_tensor *vbg_taesd_decode(vbg_ctx *c, const vbg_taesd *m, const vbg_tensor *z,
                             vbg_taesd_trace *fn, void *arg);

#endif
