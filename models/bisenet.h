/* BiSeNet, bilateral segmentation networks: a spatial path that stays at 1/8 of the
 * picture and a context path that goes down to 1/32, fused at 1/8.
 *
 *   vbg_bisenet   noisrucer/virtual-background: version 1 on ResNet-18 with its own
 *                 attention and fusion (spec/seeds.md 3.1)
 *   vbg_bisenet1  CoinCheung/BiSeNet, version 1
 *   vbg_bisenet2  CoinCheung/BiSeNet, version 2: no backbone, depthwise blocks
 *
 * Input [1,h,w,3] normalised with ImageNet's mean and deviation.  Batch norms are
 * folded while binding; a net borrows from the weights file and from the pool.
 * Source: Yu et al. 2018 (version 1), Yu et al. 2020 (version 2). */
#ifndef VBG_MODELS_BISENET_H
#define VBG_MODELS_BISENET_H

#include "models/convnet.h"
#include "models/resnet.h"

/* ---- noisrucer ---- */

typedef struct vbg_bisenet {
    vbg_weight spatial[3];
    vbg_resnet context;
    vbg_weight attention16, attention32; /* 1x1 of the refinement modules */
    vbg_weight fusion, fusion_gate;      /* 3x3 to the classes; 1x1, used twice */
    vbg_weight out;                      /* 1x1 over the classes */
    int classes;
    bool detach; /* training as the original: no gradient through what the attention
                    modules multiply, only through their factors */
} vbg_bisenet;

/* Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_bisenet_bind(vbg_bisenet *m, vbg_pool_mem *pool, const vbg_weights *w,
                            const char *component, vbg_err *err);

/* x [n,h,w,3] -> logits [n, 8*ceil(h/8), 8*ceil(w/8), classes] f32.  The person is
 * sigmoid(logit) with one class, softmax class 1 with two. */
vbg_tensor *vbg_bisenet_forward(vbg_ctx *c, const vbg_bisenet *m, const vbg_tensor *x,
                                const vbg_probe *probe);

/* ---- CoinCheung, version 1 ---- */

/* A 3x3 convolution and a 1x1 to the classes. */
typedef struct vbg_bisenet_head {
    vbg_weight conv, out;
} vbg_bisenet_head;

typedef struct vbg_bisenet1 {
    vbg_weight spatial[4];
    vbg_resnet context;
    vbg_weight arm16, arm16_gate, arm32, arm32_gate, head16, head32, average;
    vbg_weight fusion, fusion_gate;
    vbg_bisenet_head out, aux16, aux32; /* aux absent (data NULL) in trimmed files */
    int classes;
} vbg_bisenet1;

vbg_status vbg_bisenet1_bind(vbg_bisenet1 *m, vbg_pool_mem *pool, const vbg_weights *w,
                             const char *component, vbg_err *err);

/* x [n,h,w,3], h and w multiples of 32 -> logits [n,h,w,classes] f32.  With a probe the
 * auxiliary heads are computed too and shown as "aux1" and "aux2". */
vbg_tensor *vbg_bisenet1_forward(vbg_ctx *c, const vbg_bisenet1 *m, const vbg_tensor *x,
                                 const vbg_probe *probe);
/* For training: the logits and those of the auxiliary heads, f32 of the same shape (NULL
 * where the file has none). */
vbg_tensor *vbg_bisenet1_train(vbg_ctx *c, const vbg_bisenet1 *m, const vbg_tensor *x,
                               vbg_tensor *aux[2]);

/* ---- CoinCheung, version 2 ---- */

/* Gather-and-expansion layer.  With stride 2: two depthwise convolutions and a
 * convolution in the skip; with stride 1 dw2 and the skip are absent. */
typedef struct vbg_ge_layer {
    vbg_weight conv1, dw1, dw2, conv2, skip_dw, skip;
} vbg_ge_layer;

typedef struct vbg_bisenet2_aux {
    vbg_weight conv, expand, out; /* 3x3; 3x3 after nearest x2; 1x1 */
} vbg_bisenet2_aux;

typedef struct vbg_bisenet2 {
    vbg_weight detail[8];
    vbg_weight stem, stem_left1, stem_left2, stem_fuse;
    vbg_ge_layer ge[8];      /* S3.0 S3.1 S4.0 S4.1 S5_4.0 .. S5_4.3 */
    vbg_weight context_norm; /* no layer, only its batch norm */
    vbg_weight context_gap, context_last;
    vbg_weight left1_dw, left1, left2, right1, right2_dw, right2, merge;
    vbg_bisenet_head out;
    vbg_bisenet2_aux aux[4]; /* absent in trimmed files */
    int classes;
} vbg_bisenet2;

vbg_status vbg_bisenet2_bind(vbg_bisenet2 *m, vbg_pool_mem *pool, const vbg_weights *w,
                             const char *component, vbg_err *err);

/* As vbg_bisenet1_forward; four auxiliary maps "aux1" to "aux4". */
vbg_tensor *vbg_bisenet2_forward(vbg_ctx *c, const vbg_bisenet2 *m, const vbg_tensor *x,
                                 const vbg_probe *probe);
vbg_tensor *vbg_bisenet2_train(vbg_ctx *c, const vbg_bisenet2 *m, const vbg_tensor *x,
                               vbg_tensor *aux[4]);

#endif
