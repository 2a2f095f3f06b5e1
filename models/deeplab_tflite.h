/* DeepLabV3 on a narrow MobileNetV2 (deeplabv3_257_mv_gpu.tflite): output stride 8, a
 * pyramid of two branches, 21 classes of PASCAL VOC (person 15).
 *
 *   conv0       3x3/2, ReLU6
 *   block0..16  inverted residuals: expand (not in 0), depthwise, project
 *   aspp_pool   relu(1x1 of the mean), spread over the map     aspp_conv  relu(1x1)
 *   project     relu(1x1 of both)     logits  1x1, bilinear with corners aligned
 *
 * Input v / 127.5 - 1, TensorFlow's SAME padding.
 * Source: Sandler et al. 2018; Chen et al. 2017; the operator list of the file. */
#ifndef VBG_MODELS_DEEPLAB_TFLITE_H
#define VBG_MODELS_DEEPLAB_TFLITE_H

#include "convert/tflite_plans.h"
#include "models/convnet.h"

/* expand is absent in block 0. */
typedef struct vbg_deeplab_tflite_block {
    vbg_weight expand, depthwise, project;
} vbg_deeplab_tflite_block;

typedef struct vbg_deeplab_tflite {
    vbg_weight conv0;
    vbg_deeplab_tflite_block block[VBG_DEEPLAB_TFLITE_BLOCKS];
    vbg_weight aspp_pool, aspp_conv, project, logits;
} vbg_deeplab_tflite;

/* Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_deeplab_tflite_bind(vbg_deeplab_tflite *m, const vbg_weights *w,
                                   const char *component, vbg_err *err);

/* x [n,h,w,3] -> logits [n, ceil(h/8), ceil(w/8), 21] f32, before the resize. */
vbg_tensor *vbg_deeplab_tflite_forward(vbg_ctx *c, const vbg_deeplab_tflite *m,
                                       const vbg_tensor *x);

#endif
