/* Tables of the TFLite networks; see tflite_plans.h. */
#include "convert/tflite_plans.h"

static const vbg_selfie_plan selfie[VBG_SELFIE_BLOCKS] = {
    { .k = 3, .stride = 2, .se = true },
    { .k = 3, .stride = 2 },
    { .k = 3, .stride = 1, .skip = true },
    { .k = 5, .stride = 2, .hswish = true, .se = true },
    { .k = 5, .stride = 1, .hswish = true, .se = true, .skip = true },
    { .k = 5, .stride = 1, .hswish = true, .se = true, .skip = true },
    { .k = 5, .stride = 1, .hswish = true, .se = true, .skip = true },
    { .k = 5, .stride = 1, .hswish = true, .se = true, .skip = true },
};

vbg_selfie_plan vbg_selfie_block_plan(int i)
{
    return selfie[i];
}

vbg_stride_plan vbg_bodypix_layer_plan(int i, int output_stride)
{
    const bool dense = output_stride == 8;

    if (i == 2 || i == 4 || (i == 6 && !dense))
        return (vbg_stride_plan){ 2, 1 };
    return (vbg_stride_plan){ 1, dense && i > 6 ? 2 : 1 };
}

vbg_stride_plan vbg_deeplab_tflite_block_plan(int i)
{
    return (vbg_stride_plan){ .stride = i == 1 || i == 3 ? 2 : 1,
                              .dilation = i >= 14  ? 4
                                          : i >= 7 ? 2
                                                   : 1 };
}
