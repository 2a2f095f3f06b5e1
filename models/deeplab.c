/* DeepLabV3 and LR-ASPP; see models/deeplab.h. */
#include "models/deeplab.h"

#include <stdio.h>

/* Atrous spatial pyramid pooling and the two layers behind it. */
static void bind_head(vbg_bind *b, vbg_pool_mem *pool, vbg_deeplab *m, int ch)
{
    vbg_conv_bn o = { .conv = ".0", .bn = ".1", .c = ch };

    for (int i = 0; i < 4; i++) {
        o.k = i ? 3 : 1;
        o.oc = i ? m->aspp[0].oc : 0;
        vbg_bind_conv_bn(b, pool, &m->aspp[i], o, "classifier.0.convs.%d", i);
    }
    o = (vbg_conv_bn){ .conv = ".1", .bn = ".2", .oc = m->aspp[0].oc, .c = ch, .k = 1 };
    vbg_bind_conv_bn(b, pool, &m->pooled, o, "classifier.0.convs.4");
    o = (vbg_conv_bn){ .conv = ".0", .bn = ".1", .c = 5 * m->aspp[0].oc, .k = 1 };
    vbg_bind_conv_bn(b, pool, &m->project, o, "classifier.0.project");
    o = (vbg_conv_bn){ .conv = ".1", .bn = ".2", .c = m->project.oc, .k = 3 };
    vbg_bind_conv_bn(b, pool, &m->conv, o, "classifier");
    vbg_bind_layer(b, &m->out, 0, m->conv.oc, 1, 1, VBG_BIND_BIAS, "classifier.4");
    m->classes = m->out.oc;
}

vbg_status vbg_deeplab_bind(vbg_deeplab *m, vbg_pool_mem *pool, const vbg_weights *w,
                            const char *component, vbg_err *err)
{
    int high, low; /* channels of the last map and of the auxiliary head's */
    vbg_bind b;

    *m = (vbg_deeplab){ 0 };
    vbg_bind_start(&b, w, component);
    m->mobilenet = vbg_bind_maybe(&b, "backbone.1.block.0.0.weight") != NULL;
    if (m->mobilenet) {
        vbg_mobilenetv3_bind(&b, pool, &m->mobilenetv3, "backbone");
        high = m->mobilenetv3.last.oc;
        low = m->mobilenetv3.block[VBG_MOBILENETV3_LOW - 1].project.oc;
    } else {
        vbg_resnet_bind(&b, pool, &m->resnet, "backbone", ".conv1", ".bn1", true);
        if (b.problems)
            return vbg_bind_finish(&b, err);
        high = m->resnet.block[3][0].conv3.oc;
        low = m->resnet.block[2][0].conv3.oc;
        if (high == 0 || low == 0)
            vbg_bind_problem(&b, "backbone: basic blocks cannot be dilated");
    }
    bind_head(&b, pool, m, high);
    if (vbg_bind_maybe(&b, "aux_classifier.0.weight")) {
        vbg_bind_conv_bn(&b, pool, &m->aux_conv,
                         (vbg_conv_bn){ .conv = ".0", .bn = ".1", .c = low, .k = 3 },
                         "aux_classifier");
        vbg_bind_layer(&b, &m->aux_out, m->classes, m->aux_conv.oc, 1, 1, VBG_BIND_BIAS,
                       "aux_classifier.4");
    }
    return vbg_bind_finish(&b, err);
}

/* Five views of one map, concatenated and projected. */
static vbg_tensor *pyramid(vbg_ctx *c, const vbg_deeplab *m, const vbg_tensor *x,
                           const vbg_probe *probe)
{
    static const int rate[4] = { 1, 12, 24, 36 };
    const vbg_linear_opt relu = { .act = VBG_ACT_RELU };
    vbg_tensor *all = NULL;
    char name[24];

    vbg_scope_open(c);
    for (int i = 0; i < 5; i++) {
        vbg_tensor *y;
        if (i < 4) {
            y = vbg_conv2d(c, x, &m->aspp[i],
                           (vbg_conv_opt){ .dilation = rate[i],
                                           .pad = i ? rate[i] : 0,
                                           .act = VBG_ACT_RELU });
        } else {
            y = vbg_linear_ex(c, vbg_global_mean(c, x), &m->pooled, relu);
            y = vbg_resize(c, y, x->h, x->w, VBG_RESIZE_BILINEAR); /* constant */
        }
        snprintf(name, sizeof name, "aspp.%d", i);
        vbg_see(c, probe, name, y);
        all = all ? vbg_concat(c, all, y) : y;
    }
    vbg_tensor *out = vbg_linear_ex(c, all, &m->project, relu);
    vbg_see(c, probe, "aspp.out", out);
    return vbg_scope_close(c, out);
}

/* Last map of the backbone, and the auxiliary head's where a probe wants it. */
static vbg_tensor *backbone(vbg_ctx *c, const vbg_deeplab *m, const vbg_tensor *x,
                            vbg_tensor **low, const vbg_probe *probe)
{
    static const char *const name[4] = { "layer1", "layer2", "layer3", "layer4" };

    if (m->mobilenet)
        return vbg_mobilenetv3_forward(c, &m->mobilenetv3, x, low, probe);
    vbg_scope_open(c);
    vbg_tensor *y = vbg_resnet_stem(c, &m->resnet, x);
    vbg_see(c, probe, "stem", y);
    for (int i = 0; i < 4; i++) {
        vbg_tensor *next = vbg_resnet_layer(c, &m->resnet, y, i);
        if (i == 3 && low) {
            *low = y;
            vbg_keep(c, y);
        } else {
            vbg_drop(c, y);
        }
        y = next;
        vbg_see(c, probe, name[i], y);
    }
    return vbg_scope_close(c, y);
}

vbg_tensor *vbg_deeplab_forward(vbg_ctx *c, const vbg_deeplab *m, const vbg_tensor *x,
                                const vbg_probe *probe)
{
    const vbg_conv_opt k3 = { .pad = 1, .act = VBG_ACT_RELU };
    const vbg_linear_opt f32 = { .f32_out = true };
    const bool aux = probe && m->aux_out.data;
    vbg_tensor *low = NULL;

    vbg_scope_open(c);
    vbg_tensor *high = backbone(c, m, x, aux ? &low : NULL, probe);
    vbg_tensor *y = vbg_conv2d(c, pyramid(c, m, high, probe), &m->conv, k3);
    y = vbg_linear_ex(c, y, &m->out, f32);
    vbg_see(c, probe, "head.low", y);
    if (aux) {
        low = vbg_linear_ex(c, vbg_conv2d(c, low, &m->aux_conv, k3), &m->aux_out, f32);
        vbg_see(c, probe, "aux", vbg_resize(c, low, x->h, x->w, VBG_RESIZE_BILINEAR));
    }
    return vbg_scope_close(c, vbg_resize(c, y, x->h, x->w, VBG_RESIZE_BILINEAR));
}

/* ---- LR-ASPP ---- */

vbg_status vbg_lraspp_bind(vbg_lraspp *m, vbg_pool_mem *pool, const vbg_weights *w,
                           const char *component, vbg_err *err)
{
    vbg_bind b;

    *m = (vbg_lraspp){ 0 };
    vbg_bind_start(&b, w, component);
    vbg_mobilenetv3_bind(&b, pool, &m->backbone, "backbone");
    const int high = m->backbone.last.oc;
    const int low = m->backbone.block[VBG_MOBILENETV3_LOW - 1].project.oc;
    vbg_bind_conv_bn(&b, pool, &m->cbr,
                     (vbg_conv_bn){ .conv = ".0", .bn = ".1", .c = high, .k = 1 },
                     "classifier.cbr");
    vbg_bind_layer(&b, &m->scale, m->cbr.oc, high, 1, 1, VBG_BIND_MAYBE_BIAS,
                   "classifier.scale.1");
    vbg_bind_layer(&b, &m->low, 0, low, 1, 1, VBG_BIND_BIAS, "classifier.low_classifier");
    vbg_bind_layer(&b, &m->high, m->low.oc, m->cbr.oc, 1, 1, VBG_BIND_BIAS,
                   "classifier.high_classifier");
    m->classes = m->low.oc;
    return vbg_bind_finish(&b, err);
}

vbg_tensor *vbg_lraspp_forward(vbg_ctx *c, const vbg_lraspp *m, const vbg_tensor *x,
                               const vbg_probe *probe)
{
    vbg_tensor *low = NULL;

    vbg_scope_open(c);
    vbg_tensor *high = vbg_mobilenetv3_forward(c, &m->backbone, x, &low, probe);
    vbg_tensor *y =
        vbg_linear_ex(c, high, &m->cbr, (vbg_linear_opt){ .act = VBG_ACT_RELU });
    vbg_see(c, probe, "head.cbr", y);
    vbg_tensor *s = vbg_linear_ex(c, vbg_global_mean(c, high), &m->scale,
                                  (vbg_linear_opt){ .act = VBG_ACT_SIGMOID });
    vbg_see(c, probe, "head.scale", s);
    y = vbg_resize(c, vbg_mul(c, y, s), low->h, low->w, VBG_RESIZE_BILINEAR);
    y = vbg_linear_ex(c, y, &m->high, (vbg_linear_opt){ .f32_out = true });
    y = vbg_linear_ex(c, low, &m->low,
                      (vbg_linear_opt){ .residual = y, .f32_out = true });
    vbg_see(c, probe, "head.low", y);
    return vbg_scope_close(c, vbg_resize(c, y, x->h, x->w, VBG_RESIZE_BILINEAR));
}
