/* BodyPix person segmentation: MobileNetV1 of any width, output stride 8 or 16.
 *
 *   conv0      3x3/2, ReLU6
 *   dw1..13    3x3 depthwise, ReLU6     pw1..13  1x1, ReLU6
 *   segments   1x1 to one logit
 *
 * Strides 2 at conv0, 2, 4 and 6; with output stride 8 layer 6 has stride 1 and the
 * depthwise layers behind it dilation 2.  Input v / 127.5 - 1, TensorFlow's SAME
 * padding.  Source: Howard et al. 2017; spec/seeds.md 5.2. */
#ifndef VBG_MODELS_BODYPIX_H
#define VBG_MODELS_BODYPIX_H

#include "convert/tflite_plans.h"
#include "models/convnet.h"

typedef struct vbg_bodypix {
    vbg_weight conv0, dw[VBG_BODYPIX_LAYERS], pw[VBG_BODYPIX_LAYERS], segments;
    int output_stride;
} vbg_bodypix;

/* Errors: VBG_EFORMAT naming all missing and misshapen tensors; another stride. */
vbg_status vbg_bodypix_bind(vbg_bodypix *m, const vbg_weights *w, const char *component,
                            int output_stride, vbg_err *err);

/* x [n,h,w,3] -> logits [n, ceil(h/stride), ceil(w/stride), 1] f32; the person is
 * sigmoid(logit). */
vbg_tensor *vbg_bodypix_forward(vbg_ctx *c, const vbg_bodypix *m, const vbg_tensor *x);

#endif
