/* AutoencoderKL of Stable Diffusion: pictures to latents and back.
 *
 *     encode  [n,h,w,3] -1..1 -> moments [n,h/8,w/8,2*4]  (mean, log variance)
 *     decode  [n,h,w,4] latents / scaling -> [n,8h,8w,3], about -1..1
 *
 * Levels, widths, layers and groups come from the config and the file.  Stride-2
 * convolutions pad right and bottom only; the middle has one single-head attention or,
 * where the config says so, none.  With `up_block_out_channels` the decoder has widths of
 * its own; more of them than the encoder's make pictures larger than those that went in.
 * Sources: Esser et al. 2021 (the network), Rombach et al. 2022 (KL variant). */
#ifndef VBG_MODELS_VAE_H
#define VBG_MODELS_VAE_H

#include "engine/bind.h"
#include "engine/ops.h"

enum { VBG_VAE_LEVELS = 6, VBG_VAE_LAYERS = 6 };

typedef struct vbg_vae_config {
    int channels, latent, levels, layers, groups; /* 3, 4, 4, 2, 32 */
    int width[VBG_VAE_LEVELS];                    /* of the encoder */
    int up_levels, up_width[VBG_VAE_LEVELS];      /* of the decoder, widest last too */
    double scaling; /* latents of the UNet = sample * scaling */
    bool attention; /* in the middle blocks (mid_block_add_attention) */
} vbg_vae_config;

/* Reads a diffusers config.json; `up_block_out_channels` as diffusers' asymmetric
 * autoencoder spells it, the last (deepest) as the encoder's.  Errors: VBG_EFORMAT. */
vbg_status vbg_vae_config_read(vbg_vae_config *out, const char *json, vbg_err *err);

/* Pixels per latent of a side: of what is encoded, of what is decoded. */
int vbg_vae_down(const vbg_vae_config *cfg);
int vbg_vae_up(const vbg_vae_config *cfg);

typedef struct vbg_vae_resnet {
    vbg_norm_w norm1, norm2;
    vbg_weight conv1, conv2, skip;
} vbg_vae_resnet;

typedef struct vbg_vae_block {
    int count;
    vbg_vae_resnet resnet[VBG_VAE_LAYERS + 1];
    vbg_weight conv; /* sampler; data NULL in the last block */
} vbg_vae_block;

/* Encoder or decoder. */
typedef struct vbg_vae_half {
    vbg_weight conv_in, conv_out, quant; /* quant_conv or post_quant_conv */
    vbg_norm_w norm_out, attn_norm;
    vbg_weight q, k, v, out;
    vbg_vae_resnet mid[2];
    vbg_vae_block block[VBG_VAE_LEVELS];
} vbg_vae_half;

typedef struct vbg_vae {
    vbg_vae_config cfg;
    bool has_encoder;
    vbg_vae_half encoder, decoder;
} vbg_vae;

/* Binds to a component; both spellings of the attention are accepted.  A file
 * without encoder is fine, then has_encoder is false (unless parameters stand in for it).
 * m borrows from w.
 * Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_vae_bind(vbg_vae *m, const vbg_vae_config *cfg, const vbg_weights *w,
                        const char *component, vbg_err *err);

/* As vbg_unet_prepare, for the decoder. */
vbg_status vbg_vae_prepare(vbg_vae *m, const vbg_ctx *c, vbg_pool_mem *pool,
                           vbg_err *err);

/* Named intermediates, for oracles; NULL: none. */
typedef struct vbg_vae_trace {
    void *arg;
    void (*fn)(void *arg, vbg_ctx *c, const char *name, const vbg_tensor *x);
} vbg_vae_trace;

/* x f32 [n,h,w,3] -> f32 moments; latents are h/8 rounded down at every level. */
vbg_tensor *vbg_vae_encode(vbg_ctx *c, const vbg_vae *m, const vbg_tensor *x,
                           const vbg_vae_trace *trace);
/* z f32 [n,h,w,4], already divided by the scaling -> f32 [n,8h,8w,3]. */
vbg_tensor *vbg_vae_decode(vbg_ctx *c, const vbg_vae *m, const vbg_tensor *z,
                           const vbg_vae_trace *trace);

/* Splits moments of `pixels` pixels (NHWC, 2*latent channels): mean and, when not
 * NULL, log variance (clamped to [-30, 20]) and standard deviation, NHWC. */
void vbg_vae_moments(const vbg_vae *m, const float *moments, size_t pixels, float *mean,
                     float *logvar, float *std);

/* Multiply-adds of decoding h x w latents. */
double vbg_vae_decode_macs(const vbg_vae *m, int h, int w);

#endif
