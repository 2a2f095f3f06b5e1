/* VGG19's features for style transfer: thirteen 3x3 convolutions with ReLU up to
 * conv5_1, 2x2 max pools between the groups.
 *
 * Input [n,h,w,3]: RGB 0..255 minus (123.675, 116.28, 103.53).  Names as torchvision's
 * state dict ("features.0.weight"); widths come from the file.
 * Source: Simonyan and Zisserman 2015; Gatys et al. 2016. */
#ifndef VBG_MODELS_VGG_H
#define VBG_MODELS_VGG_H

#include "engine/bind.h"

enum { VBG_VGG_CONVS = 13 };

typedef struct vbg_vgg {
    vbg_weight conv[VBG_VGG_CONVS];
} vbg_vgg;

/* What style transfer looks at. */
typedef enum vbg_vgg_tap {
    VBG_RELU1_1,
    VBG_RELU2_1,
    VBG_RELU3_1,
    VBG_RELU4_1,
    VBG_RELU5_1,
    VBG_VGG_STYLES,
    VBG_RELU4_2 = VBG_VGG_STYLES, /* the content */
    VBG_VGG_TAPS
} vbg_vgg_tap;

/* Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_vgg_bind(vbg_vgg *m, const vbg_weights *w, const char *component,
                        vbg_err *err);
/* tap[i] gets the map of each tap, in the current scope.  h and w of 16 at least. */
void vbg_vgg_forward(vbg_ctx *c, const vbg_vgg *m, const vbg_tensor *x,
                     vbg_tensor *tap[VBG_VGG_TAPS]);

#endif
