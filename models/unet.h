/* The UNet of Stable Diffusion 1 and 2 and of their inpainting variants.
 *
 *     x [n,h,w,in] -> conv_in -> down blocks -> mid -> up blocks -> [n,h,w,out]
 *
 * down block: layers of (resnet [+ transformer]), each pushed to the skip list, then
 *             a stride-2 convolution (not in the last), also pushed
 * mid:        resnet, transformer, resnet
 * up block:   layers + 1 of (concat skip, resnet [+ transformer]), then nearest
 *             resize to the size of the next skip and a convolution (not in the last)
 *
 * Everything that differs between the models (widths, levels, layers, head counts,
 * groups, input channels) comes from the config and the file.  Not handled: SDXL's
 * additions, more than one transformer block per layer, class embeddings.
 *
 * Keys and values of the cross-attention depend on the prompts only: they are made
 * once (vbg_unet_text_new) and used in every step.
 * Sources: Ho et al. 2020 (appendix B), Rombach et al. 2022 (appendix E). */
#ifndef VBG_MODELS_UNET_H
#define VBG_MODELS_UNET_H

#include "engine/bind.h"
#include "engine/ops.h"

enum { VBG_UNET_LEVELS = 6, VBG_UNET_LAYERS = 6, VBG_UNET_SKIPS = 48 };

typedef struct vbg_unet_config {
    int in_channels, out_channels, levels, layers;
    int width[VBG_UNET_LEVELS], heads[VBG_UNET_LEVELS];
    bool cross[VBG_UNET_LEVELS];    /* the down block of this level has transformers */
    bool up_cross[VBG_UNET_LEVELS]; /* the same of the up blocks, in their order    */
    int context, groups;            /* width of the text state, GroupNorm groups    */
    float eps;
    bool flip_sin_to_cos;
    double freq_shift;
    int sample_size; /* latents the model was made for (64, 96) */
} vbg_unet_config;

/* Reads a diffusers config.json.  Errors: VBG_EFORMAT, VBG_EUNSUPPORTED. */
vbg_status vbg_unet_config_read(vbg_unet_config *out, const char *json, vbg_err *err);

typedef struct vbg_resnet {
    vbg_norm_w norm1, norm2;
    vbg_weight conv1, conv2, temb, skip;
} vbg_resnet;

typedef struct vbg_attn_w {
    vbg_weight q, k, v, out;
} vbg_attn_w;

typedef struct vbg_transformer {
    vbg_norm_w norm, norm1, norm2, norm3;
    vbg_weight proj_in, proj_out, ff1, ff2;
    vbg_attn_w self, cross;
    int heads, index; /* index: place in vbg_unet_text */
} vbg_transformer;

typedef struct vbg_unet_block {
    int count;            /* resnets */
    bool cross, resample; /* transformers; down- or upsampler at the end */
    vbg_resnet resnet[VBG_UNET_LAYERS + 1];
    vbg_transformer attn[VBG_UNET_LAYERS + 1];
    vbg_weight conv; /* of the down- or upsampler */
} vbg_unet_block;

typedef struct vbg_unet {
    vbg_unet_config cfg;
    int transformers;
    vbg_weight conv_in, conv_out, time1, time2;
    vbg_norm_w norm_out;
    vbg_unet_block down[VBG_UNET_LEVELS], up[VBG_UNET_LEVELS];
    vbg_resnet mid[2];
    vbg_transformer mid_attn;
} vbg_unet;

/* Binds to a component (diffusers names); m borrows from w.
 * Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_unet_bind(vbg_unet *m, const vbg_unet_config *cfg, const vbg_weights *w,
                         const char *component, vbg_err *err);

/* Prepares what makes the network faster in a context like c (upsampling
 * convolutions); memory comes from pool, which must outlive m.  Errors: VBG_ENOMEM. */
vbg_status vbg_unet_prepare(vbg_unet *m, const vbg_ctx *c, vbg_pool_mem *pool,
                            vbg_err *err);

/* Keys and values of all cross-attentions for `texts` prompts. */
typedef struct vbg_unet_text vbg_unet_text;

/* state [texts][tokens][context] f32, or NULL: only shapes, enough to plan a forward
 * pass.  pick [n]: which prompt each of the n images of a batch attends to (not read
 * without state).  *out is freed by the caller.  Errors: VBG_ENOMEM. */
vbg_status vbg_unet_text_new(vbg_unet_text **out, vbg_ctx *c, const vbg_unet *m,
                             const float *state, int texts, int tokens, const int *pick,
                             int n, vbg_err *err);
void vbg_unet_text_free(vbg_unet_text *t); /* accepts NULL */
size_t vbg_unet_text_bytes(const vbg_unet *m, int tokens, int n, vbg_dtype t);

/* Places where views are coupled: down block i (before its downsampler) is place i,
 * mid (between its first resnet and its transformer) is `levels`, up block i (before
 * its upsampler) is levels + 1 + i.  couple returns a new tensor of x's shape. */
typedef struct vbg_unet_hooks {
    void *arg;
    vbg_tensor *(*couple)(void *arg, vbg_ctx *c, int place, const vbg_tensor *x);
    /* Named intermediates, for oracles; called while planning too. */
    void (*trace)(void *arg, vbg_ctx *c, const char *name, const vbg_tensor *x);
    /* Training: resnets, transformers and couplings keep only their inputs and are
     * computed again on the way back (engine/tape.h). */
    bool checkpoint;
} vbg_unet_hooks;

/* x [n,h,w,in] f32, any h and w of at least 2^(levels-1) pixels or so;
 * time [1] (for all images) or [n] timesteps, times of them; hooks may be NULL and, with
 * text, must live until the way back is over.
 * Returns [n,h,w,out] f32. */
vbg_tensor *vbg_unet_forward(vbg_ctx *c, const vbg_unet *m, const vbg_tensor *x,
                             const double *time, int times, const vbg_unet_text *text,
                             const vbg_unet_hooks *hooks);
/* The same with the text towers' states [n,1,tokens,context], one for each image: keys
 * and values are worked out inside, so that gradients reach them (training). */
vbg_tensor *vbg_unet_forward_state(vbg_ctx *c, const vbg_unet *m, const vbg_tensor *x,
                                   const double *time, int times, const vbg_tensor *state,
                                   const vbg_unet_hooks *hooks);

/* Multiply-adds of one image of h x w latents, without k, v of the text (about). */
double vbg_unet_macs(const vbg_unet *m, int h, int w, int tokens);

#endif
