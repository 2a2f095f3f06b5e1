/* Reader of TensorFlow Lite models (FlatBuffers, schema 3, one subgraph).
 *
 * Opening validates everything that later code relies on: the buffer, every tensor's
 * shape against its bytes, every operator's options, wiring and output shape, and that
 * each tensor is written once, before it is read.  What leaves the reader may be
 * trusted without looking.
 *
 * Limits: 256 MiB; 65,536 tensors and operators; rank 6; 16 inputs of an operator;
 * strides, dilations and filters 1..64 (pooling up to the whole map).
 * Source: tensorflow/lite/schema/schema.fbs as summed up in golden/segmenters. */
#ifndef VBG_CONVERT_TFLITE_H
#define VBG_CONVERT_TFLITE_H

#include "engine/base.h"

enum { VBG_TFL_MAX_RANK = 6, VBG_TFL_MAX_INPUTS = 16 };

/* Codes of the operators that the reader knows. */
enum {
    VBG_TFL_ADD = 0,
    VBG_TFL_AVERAGE_POOL = 1,
    VBG_TFL_CONCATENATION = 2,
    VBG_TFL_CONV = 3,
    VBG_TFL_DEPTHWISE_CONV = 4,
    VBG_TFL_DEQUANTIZE = 6,
    VBG_TFL_LOGISTIC = 14,
    VBG_TFL_MAX_POOL = 17,
    VBG_TFL_MUL = 18,
    VBG_TFL_RELU = 19,
    VBG_TFL_RESHAPE = 22,
    VBG_TFL_RESIZE_BILINEAR = 23,
    VBG_TFL_SOFTMAX = 25,
    VBG_TFL_CUSTOM = 32, /* only Convolution2DTransposeBias */
    VBG_TFL_PAD = 34,
    VBG_TFL_MEAN = 40,
    VBG_TFL_STRIDED_SLICE = 45,
    VBG_TFL_PRELU = 54,
    VBG_TFL_TRANSPOSE_CONV = 67,
    VBG_TFL_HARD_SWISH = 117
};

/* Fused activations of operators. */
enum { VBG_TFL_NONE = 0, VBG_TFL_FUSED_RELU = 1, VBG_TFL_FUSED_RELU6 = 3 };

typedef struct vbg_tfl_tensor {
    const char *name;
    vbg_dtype dtype; /* f32, f16, i32, u8, i64, i8 */
    int rank, dim[VBG_TFL_MAX_RANK];
    size_t count, bytes;
    const uint8_t *data; /* constants: mapped, unaligned; NULL for activations */
    bool quantised;      /* has scales */
    int writer;          /* operator that writes it, -1 for inputs and constants */
} vbg_tfl_tensor;

typedef struct vbg_tfl_op {
    int code;
    int inputs, in[VBG_TFL_MAX_INPUTS]; /* tensor numbers, -1: optional, absent */
    int out;
    bool same; /* padding SAME, else VALID */
    int stride_w, stride_h, dilation_w, dilation_h, filter_w, filter_h, multiplier;
    int activation, axis;
    bool align_corners, half_pixel, keep_dims;
} vbg_tfl_op;

typedef struct vbg_tflite vbg_tflite;

/* Errors: VBG_EIO, VBG_EFORMAT, VBG_EUNSUPPORTED (unknown operator, named), VBG_ELIMIT,
 * VBG_ENOMEM. */
vbg_status vbg_tflite_open(vbg_tflite **out, const char *path, vbg_err *err);
/* The same from memory, which must outlive the reader; name is for messages. */
vbg_status vbg_tflite_parse(vbg_tflite **out, const void *data, size_t bytes,
                            const char *name, vbg_err *err);
void vbg_tflite_close(vbg_tflite *m); /* accepts NULL */

const char *vbg_tflite_description(const vbg_tflite *m); /* "" when there is none */
int vbg_tflite_tensors(const vbg_tflite *m);
const vbg_tfl_tensor *vbg_tflite_tensor(const vbg_tflite *m, int i);
int vbg_tflite_ops(const vbg_tflite *m);
const vbg_tfl_op *vbg_tflite_op(const vbg_tflite *m, int i);
const char *vbg_tflite_op_name(const vbg_tflite *m, int i);
/* The first graph input and output. */
int vbg_tflite_input(const vbg_tflite *m);
int vbg_tflite_output(const vbg_tflite *m);

/* The constant behind tensor i: itself, or what its DEQUANTIZE reads; NULL when i is
 * computed. */
const vbg_tfl_tensor *vbg_tflite_constant(const vbg_tflite *m, int i);
/* Widens a constant f32 or f16 tensor to f32; dst holds count values. */
void vbg_tflite_to_f32(float *dst, const vbg_tfl_tensor *t);

#endif
