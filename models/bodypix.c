/* BodyPix; see models/bodypix.h. */
#include "models/bodypix.h"

vbg_status vbg_bodypix_bind(vbg_bodypix *m, const vbg_weights *w, const char *component,
                            int output_stride, vbg_err *err)
{
    vbg_bind b;

    *m = (vbg_bodypix){ .output_stride = output_stride };
    vbg_bind_start(&b, w, component);
    if (output_stride != 8 && output_stride != 16)
        vbg_bind_problem(&b, "output stride %d", output_stride);
    vbg_bind_layer(&b, &m->conv0, 0, 3, 3, 3, VBG_BIND_BIAS, "conv0");
    int ch = m->conv0.oc;
    for (int i = 0; i < VBG_BODYPIX_LAYERS; i++) {
        vbg_bind_layer(&b, &m->dw[i], ch, 1, 3, 3, VBG_BIND_BIAS | VBG_BIND_DEPTHWISE,
                       "dw%d", i + 1);
        vbg_bind_layer(&b, &m->pw[i], 0, ch, 1, 1, VBG_BIND_BIAS, "pw%d", i + 1);
        ch = m->pw[i].oc;
    }
    vbg_bind_layer(&b, &m->segments, 1, ch, 1, 1, VBG_BIND_BIAS, "segments");
    return vbg_bind_finish(&b, err);
}

vbg_tensor *vbg_bodypix_forward(vbg_ctx *c, const vbg_bodypix *m, const vbg_tensor *x)
{
    const vbg_linear_opt relu6 = { .act = VBG_ACT_RELU6 };

    vbg_scope_open(c);
    vbg_tensor *y =
        vbg_conv2d(c, x, &m->conv0,
                   (vbg_conv_opt){ .stride = 2, .same = true, .act = VBG_ACT_RELU6 });
    for (int i = 0; i < VBG_BODYPIX_LAYERS; i++) {
        vbg_stride_plan p = vbg_bodypix_layer_plan(i + 1, m->output_stride);
        vbg_tensor *d = vbg_conv2d(c, y, &m->dw[i],
                                   (vbg_conv_opt){ .stride = p.stride,
                                                   .dilation = p.dilation,
                                                   .same = true,
                                                   .act = VBG_ACT_RELU6 });
        vbg_drop(c, y);
        y = vbg_linear_ex(c, d, &m->pw[i], relu6);
        vbg_drop(c, d);
    }
    y = vbg_linear_ex(c, y, &m->segments, (vbg_linear_opt){ .f32_out = true });
    return vbg_scope_close(c, y);
}
