/* What the TFLite networks' weights do not say: kernel sizes, strides, dilations and
 * activations, block by block.  The forward functions in models/ run by these tables,
 * tflite_map.c compares files with them. */
#ifndef VBG_CONVERT_TFLITE_PLANS_H
#define VBG_CONVERT_TFLITE_PLANS_H

#include <stdbool.h>

enum {
    VBG_SELFIE_BLOCKS = 8,
    VBG_SELFIE_UPS = 3,
    VBG_SELFIE_BLOCK_B = 0, /* the decoder's skips lie behind these blocks */
    VBG_SELFIE_BLOCK_C = 2,
    VBG_BODYPIX_LAYERS = 13,
    VBG_DEEPLAB_TFLITE_BLOCKS = 17
};

/* Block i in 0..7 of Selfie. */
typedef struct vbg_selfie_plan {
    int k, stride;         /* of the depthwise convolution           */
    bool hswish, se, skip; /* else ReLU; squeeze-excite; residual    */
} vbg_selfie_plan;
vbg_selfie_plan vbg_selfie_block_plan(int i);

typedef struct vbg_stride_plan {
    int stride, dilation;
} vbg_stride_plan;
/* Depthwise layer i in 1..13 of BodyPix for an output stride of 8 or 16. */
vbg_stride_plan vbg_bodypix_layer_plan(int i, int output_stride);
/* Depthwise layer of block i in 0..16 of the TFLite DeepLab. */
vbg_stride_plan vbg_deeplab_tflite_block_plan(int i);

#endif
