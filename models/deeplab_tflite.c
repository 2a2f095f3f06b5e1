/* DeepLab on MobileNetV2; see models/deeplab_tflite.h. */
#include "models/deeplab_tflite.h"

static void bind_block(vbg_bind *b, vbg_deeplab_tflite_block *m, int ch, int i)
{
    int mid = ch;

    if (i > 0) {
        vbg_bind_layer(b, &m->expand, 0, ch, 1, 1, VBG_BIND_BIAS, "block%d.expand", i);
        mid = m->expand.oc;
    }
    vbg_bind_layer(b, &m->depthwise, mid, 1, 3, 3, VBG_BIND_BIAS | VBG_BIND_DEPTHWISE,
                   "block%d.depthwise", i);
    vbg_bind_layer(b, &m->project, 0, mid, 1, 1, VBG_BIND_BIAS, "block%d.project", i);
}

vbg_status vbg_deeplab_tflite_bind(vbg_deeplab_tflite *m, const vbg_weights *w,
                                   const char *component, vbg_err *err)
{
    vbg_bind b;

    *m = (vbg_deeplab_tflite){ 0 };
    vbg_bind_start(&b, w, component);
    vbg_bind_layer(&b, &m->conv0, 0, 3, 3, 3, VBG_BIND_BIAS, "conv0");
    int ch = m->conv0.oc;
    for (int i = 0; i < VBG_DEEPLAB_TFLITE_BLOCKS; i++) {
        bind_block(&b, &m->block[i], ch, i);
        ch = m->block[i].project.oc;
    }
    vbg_bind_layer(&b, &m->aspp_pool, 0, ch, 1, 1, VBG_BIND_BIAS, "aspp_pool");
    vbg_bind_layer(&b, &m->aspp_conv, 0, ch, 1, 1, VBG_BIND_BIAS, "aspp_conv");
    vbg_bind_layer(&b, &m->project, 0, m->aspp_pool.oc + m->aspp_conv.oc, 1, 1,
                   VBG_BIND_BIAS, "project");
    vbg_bind_layer(&b, &m->logits, 0, m->project.oc, 1, 1, VBG_BIND_BIAS, "logits");
    return vbg_bind_finish(&b, err);
}

/* Inverted residual with a linear bottleneck. */
static vbg_tensor *block(vbg_ctx *c, const vbg_deeplab_tflite_block *m,
                         const vbg_tensor *x, vbg_stride_plan p)
{
    const bool skip = m->expand.data && p.stride == 1 && m->project.oc == x->c;
    const vbg_tensor *y = x;

    vbg_scope_open(c);
    if (m->expand.data)
        y = vbg_linear_ex(c, y, &m->expand, (vbg_linear_opt){ .act = VBG_ACT_RELU6 });
    y = vbg_conv2d(c, y, &m->depthwise,
                   (vbg_conv_opt){ .stride = p.stride,
                                   .dilation = p.dilation,
                                   .same = true,
                                   .act = VBG_ACT_RELU6 });
    vbg_tensor *out =
        vbg_linear_ex(c, y, &m->project, (vbg_linear_opt){ .residual = skip ? x : NULL });
    return vbg_scope_close(c, out);
}

vbg_tensor *vbg_deeplab_tflite_forward(vbg_ctx *c, const vbg_deeplab_tflite *m,
                                       const vbg_tensor *x)
{
    const vbg_linear_opt relu = { .act = VBG_ACT_RELU };

    vbg_scope_open(c);
    vbg_tensor *y =
        vbg_conv2d(c, x, &m->conv0,
                   (vbg_conv_opt){ .stride = 2, .same = true, .act = VBG_ACT_RELU6 });
    for (int i = 0; i < VBG_DEEPLAB_TFLITE_BLOCKS; i++) {
        vbg_tensor *next = block(c, &m->block[i], y, vbg_deeplab_tflite_block_plan(i));
        vbg_drop(c, y);
        y = next;
    }
    vbg_tensor *pool = vbg_linear_ex(c, vbg_global_mean(c, y), &m->aspp_pool, relu);
    pool = vbg_resize(c, pool, y->h, y->w, VBG_RESIZE_BILINEAR_ALIGN); /* constant */
    y = vbg_concat(c, pool, vbg_linear_ex(c, y, &m->aspp_conv, relu));
    y = vbg_linear_ex(c, y, &m->project, relu);
    y = vbg_linear_ex(c, y, &m->logits, (vbg_linear_opt){ .f32_out = true });
    return vbg_scope_close(c, y);
}
