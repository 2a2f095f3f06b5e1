/* MediaPipe / ML Kit "selfie segmentation", general (256x256) and landscape (144x256):
 * a MobileNetV3-like encoder and a decoder that weighs each skip by its mean.
 *
 *   stem      3x3/2, 16, hard swish                                   1/2   A
 *   blocks    1: 1/4, 16 (B)   2, 3: 1/8, 24 (C)   4..8: 1/16, 32
 *   head      relu(1x1 128) * sigmoid(1x1 of the mean), x2, 1x1       1/8
 *   up 0..2   with the skips C, B, A                                  1/2
 *   out       transposed 2x2/2 to one logit                           1/1
 *
 * Input v / 255.  The stored tensors keep roles as names: "block4.se1", "up1.gate2";
 * widths come from the file, kernel sizes, strides and activations from
 * convert/tflite_plans.h.  Batch norms were folded by the authors; a network that was
 * trained here has them beside its layers ("stem.bn"), gates and "out" excepted.
 * Source: the operator list of the published file (spec/seeds.md 5.1); blocks as in
 * Howard et al. 2019. */
#ifndef VBG_MODELS_SELFIE_H
#define VBG_MODELS_SELFIE_H

#include "convert/tflite_plans.h"
#include "models/convnet.h"

/* se1 and se2 are absent where the table has none. */
typedef struct vbg_selfie_block {
    vbg_weight expand, depthwise, se1, se2, project;
} vbg_selfie_block;

/* project is absent in the last one. */
typedef struct vbg_selfie_up {
    vbg_weight gate1, gate2, conv, depthwise, project;
} vbg_selfie_up;

typedef struct vbg_selfie {
    vbg_weight stem;
    vbg_selfie_block block[VBG_SELFIE_BLOCKS];
    vbg_weight head, head_gate, head_project;
    vbg_selfie_up up[VBG_SELFIE_UPS];
    vbg_weight out;
} vbg_selfie;

/* Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_selfie_bind(vbg_selfie *m, vbg_pool_mem *pool, const vbg_weights *w,
                           const char *component, vbg_err *err);

/* x [n,h,w,3], h and w multiples of 16 -> logits [n,h,w,1]; the person (or any large
 * foreground subject) is sigmoid(logit).  Shows "stem". */
vbg_tensor *vbg_selfie_forward(vbg_ctx *c, const vbg_selfie *m, const vbg_tensor *x,
                               const vbg_probe *probe);

#endif
