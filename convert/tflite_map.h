/* Which network a TFLite model is: its operator list is compared step by step with the
 * networks that models/ has code for, and every weight gets the name of its role.
 *
 * The comparison is exact: operator kinds, padding, strides, dilations, activations
 * and which tensor feeds which.  Only widths and the input's size are the file's. */
#ifndef VBG_CONVERT_TFLITE_MAP_H
#define VBG_CONVERT_TFLITE_MAP_H

#include "convert/tflite.h"

typedef enum vbg_tfl_kind {
    VBG_TFL_KERNEL,           /* (oc,kh,kw,c) -> [oc][c][kh][kw]     */
    VBG_TFL_DEPTHWISE_KERNEL, /* (1,kh,kw,c)  -> [c][1][kh][kw]      */
    VBG_TFL_TRANSPOSE_KERNEL, /* (oc,kh,kw,c) -> [c][oc][kh][kw]     */
    VBG_TFL_BIAS              /* (oc)                                */
} vbg_tfl_kind;

typedef struct vbg_tfl_weight {
    char name[40]; /* "block4.se1.weight" */
    vbg_tfl_kind kind;
    const vbg_tfl_tensor *from;
} vbg_tfl_weight;

enum { VBG_TFL_MAX_WEIGHTS = 256 };

typedef struct vbg_tfl_network {
    const char *arch, *what; /* model.arch and the same in words */
    int width, height;       /* of the input */
    int stride;              /* BodyPix: output stride, else 0 */
    int weights;
    vbg_tfl_weight weight[VBG_TFL_MAX_WEIGHTS];
} vbg_tfl_network;

/* Errors: VBG_EUNSUPPORTED when m is none of the networks, with the place where the
 * one that fits longest departs. */
vbg_status vbg_tflite_recognise(vbg_tfl_network *out, const vbg_tflite *m,
                                const char *path, vbg_err *err);

/* Shape in PyTorch order; returns the rank. */
int vbg_tfl_weight_shape(int64_t dim[4], const vbg_tfl_weight *w);
/* Values in PyTorch order; dst holds w->from->count. */
void vbg_tfl_weight_values(float *dst, const vbg_tfl_weight *w);

#endif
