/* MobileNetV3-Large backbone; see models/mobilenetv3.h. */
#include "models/mobilenetv3.h"

#include <stdio.h>

/* Table 1 of the paper; the strides of the last stage are dilations here. */
typedef struct plan {
    int k, stride, dilation;
    bool expand, se, hswish;
} plan;

static const plan table[VBG_MOBILENETV3_BLOCKS] = {
    { 3, 1, 1, false, false, false }, { 3, 2, 1, true, false, false },
    { 3, 1, 1, true, false, false },  { 5, 2, 1, true, true, false },
    { 5, 1, 1, true, true, false },   { 5, 1, 1, true, true, false },
    { 3, 2, 1, true, false, true },   { 3, 1, 1, true, false, true },
    { 3, 1, 1, true, false, true },   { 3, 1, 1, true, false, true },
    { 3, 1, 1, true, true, true },    { 3, 1, 1, true, true, true },
    { 5, 1, 2, true, true, true },    { 5, 1, 2, true, true, true },
    { 5, 1, 2, true, true, true },
};

static const float EPS = 1e-3f;

static void bind_block(vbg_bind *b, vbg_pool_mem *pool, vbg_mobilenetv3_block *m,
                       const plan *p, int ch, const char *prefix, int i)
{
    int at = 0; /* place in the Sequential "block" */
    vbg_conv_bn o = { .conv = ".0", .bn = ".1", .c = ch, .k = 1, .eps = EPS };

    if (p->expand)
        vbg_bind_conv_bn(b, pool, &m->expand, o, "%s.%d.block.%d", prefix, i, at++);
    const int mid = p->expand ? m->expand.oc : ch;
    o = (vbg_conv_bn){
        .conv = ".0", .bn = ".1", .oc = mid, .c = 1, .k = p->k, .eps = EPS
    };
    o.flags = VBG_BIND_DEPTHWISE;
    vbg_bind_conv_bn(b, pool, &m->depthwise, o, "%s.%d.block.%d", prefix, i, at++);
    if (p->se) {
        vbg_bind_layer(b, &m->se1, 0, mid, 1, 1, VBG_BIND_BIAS, "%s.%d.block.%d.fc1",
                       prefix, i, at);
        vbg_bind_layer(b, &m->se2, mid, m->se1.oc, 1, 1, VBG_BIND_BIAS,
                       "%s.%d.block.%d.fc2", prefix, i, at++);
    }
    o = (vbg_conv_bn){ .conv = ".0", .bn = ".1", .c = mid, .k = 1, .eps = EPS };
    vbg_bind_conv_bn(b, pool, &m->project, o, "%s.%d.block.%d", prefix, i, at);
}

void vbg_mobilenetv3_bind(vbg_bind *b, vbg_pool_mem *pool, vbg_mobilenetv3 *m,
                          const char *prefix)
{
    vbg_conv_bn o = { .conv = ".0", .bn = ".1", .c = 3, .k = 3, .eps = EPS };

    *m = (vbg_mobilenetv3){ 0 };
    vbg_bind_conv_bn(b, pool, &m->first, o, "%s.0", prefix);
    int ch = m->first.oc;
    for (int i = 0; i < VBG_MOBILENETV3_BLOCKS; i++) {
        bind_block(b, pool, &m->block[i], &table[i], ch, prefix, i + 1);
        ch = m->block[i].project.oc;
    }
    o.c = ch;
    o.k = 1;
    vbg_bind_conv_bn(b, pool, &m->last, o, "%s.16", prefix);
}

/* x * hard_sigmoid(fc2(relu(fc1(mean x)))) */
static vbg_tensor *squeeze_excite(vbg_ctx *c, const vbg_mobilenetv3_block *m,
                                  const vbg_tensor *x)
{
    vbg_scope_open(c);
    vbg_tensor *s = vbg_linear_ex(c, vbg_global_mean(c, x), &m->se1,
                                  (vbg_linear_opt){ .act = VBG_ACT_RELU });
    s = vbg_linear_ex(c, s, &m->se2, (vbg_linear_opt){ .act = VBG_ACT_HSIGMOID });
    return vbg_scope_close(c, vbg_mul(c, x, s));
}

/* Inverted residual: 1x1 expansion, depthwise, squeeze-excite, linear 1x1; with a skip
 * where the shape stays. */
static vbg_tensor *inverted_residual(vbg_ctx *c, const vbg_mobilenetv3_block *m,
                                     const plan *p, const vbg_tensor *x)
{
    const vbg_act act = p->hswish ? VBG_ACT_HSWISH : VBG_ACT_RELU;
    const bool skip = p->stride == 1 && m->project.oc == x->c;
    const vbg_tensor *y = x;

    vbg_scope_open(c);
    if (p->expand)
        y = vbg_linear_ex(c, y, &m->expand, (vbg_linear_opt){ .act = act });
    y = vbg_conv2d(c, y, &m->depthwise,
                   (vbg_conv_opt){ .stride = p->stride,
                                   .dilation = p->dilation,
                                   .pad = (p->k - 1) / 2 * p->dilation,
                                   .act = act });
    if (p->se)
        y = squeeze_excite(c, m, y);
    vbg_tensor *out =
        vbg_linear_ex(c, y, &m->project, (vbg_linear_opt){ .residual = skip ? x : NULL });
    return vbg_scope_close(c, out);
}

vbg_tensor *vbg_mobilenetv3_forward(vbg_ctx *c, const vbg_mobilenetv3 *m,
                                    const vbg_tensor *x, vbg_tensor **low,
                                    const vbg_probe *probe)
{
    char name[16];

    vbg_scope_open(c);
    vbg_tensor *y = vbg_conv2d(
        c, x, &m->first, (vbg_conv_opt){ .stride = 2, .pad = 1, .act = VBG_ACT_HSWISH });
    vbg_see(c, probe, "feat0", y);
    for (int i = 0; i < VBG_MOBILENETV3_BLOCKS; i++) {
        vbg_tensor *next = inverted_residual(c, &m->block[i], &table[i], y);
        if (!low || i != VBG_MOBILENETV3_LOW)
            vbg_drop(c, y); /* feature i; the one that low wants stays */
        y = next;
        snprintf(name, sizeof name, "feat%d", i + 1);
        vbg_see(c, probe, name, y);
        if (low && i + 1 == VBG_MOBILENETV3_LOW)
            *low = y;
    }
    y = vbg_linear_ex(c, y, &m->last, (vbg_linear_opt){ .act = VBG_ACT_HSWISH });
    vbg_see(c, probe, "feat16", y);
    if (low)
        vbg_keep(c, *low);
    return vbg_scope_close(c, y);
}
