/* What the two halves of the TFLite reader share. */
#ifndef VBG_CONVERT_TFLITE_INTERNAL_H
#define VBG_CONVERT_TFLITE_INTERNAL_H

#include "convert/flatbuffer.h"
#include "convert/tflite.h"
#include "engine/io.h"

struct vbg_tflite {
    vbg_map map; /* zero when opened from memory */
    vbg_fb fb;
    const char *path, *description;
    int tensors, ops, inputs, outputs;
    vbg_tfl_tensor *tensor;
    vbg_tfl_op *op;
    int *input, *output;
    bool *is_input;
};

/* Options of operator i (type tag and table) into op: the tag must be that of the
 * operator, values within the limits.  custom: bytes of custom_options. */
vbg_status vbg_tfl_options(vbg_tflite *m, int i, int tag, vbg_fb_table options,
                           vbg_fb_vector custom, vbg_err *err);

/* Types and shapes of operator i: its output must be what its inputs give. */
vbg_status vbg_tfl_check_shapes(vbg_tflite *m, int i, vbg_err *err);

/* Value i of a constant i32 tensor. */
int32_t vbg_tfl_int(const vbg_tfl_tensor *t, size_t i);

/* "name: operator 12 (CONV_2D): cause" */
vbg_status vbg_tfl_fail_op(const vbg_tflite *m, int i, vbg_err *err, const char *fmt, ...)
    VBG_PRINTF(4, 5);

/* Name of a code or NULL when the reader does not know it. */
const char *vbg_tfl_code_name(int code);
/* Tag of the options union that belongs to a code; 0: no options. */
int vbg_tfl_code_tag(int code);

#endif
