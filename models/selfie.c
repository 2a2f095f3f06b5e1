/* Selfie segmentation; see models/selfie.h. */
#include "models/selfie.h"

#include <stdio.h>

/* A layer with a bias, or with a batch norm where the file has one. */
static void bind_normed(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *out,
                        const int shape[3], int flags, const char *name)
{
    const bool norm = vbg_bind_maybe(b, "%s.bn.weight", name) != NULL;

    vbg_bind_layer(b, out, shape[0], shape[1], shape[2], shape[2],
                   flags | (norm ? VBG_BIND_MAYBE_BIAS : VBG_BIND_BIAS), "%s", name);
    if (norm)
        vbg_bind_batch_norm(b, pool, out, 1e-5f, "%s.bn", name);
}

static void bind_block(vbg_bind *b, vbg_pool_mem *pool, vbg_selfie_block *m, int ch,
                       int i)
{
    char name[32];
    const vbg_selfie_plan p = vbg_selfie_block_plan(i);
    const int n = i + 1;

    snprintf(name, sizeof name, "block%d.expand", n);
    bind_normed(b, pool, &m->expand, (int[]){ 0, ch, 1 }, 0, name);
    const int mid = m->expand.oc;
    snprintf(name, sizeof name, "block%d.depthwise", n);
    bind_normed(b, pool, &m->depthwise, (int[]){ mid, 1, p.k }, VBG_BIND_DEPTHWISE, name);
    if (p.se) {
        vbg_bind_layer(b, &m->se1, 0, mid, 1, 1, VBG_BIND_BIAS, "block%d.se1", n);
        vbg_bind_layer(b, &m->se2, mid, m->se1.oc, 1, 1, VBG_BIND_BIAS, "block%d.se2", n);
    }
    snprintf(name, sizeof name, "block%d.project", n);
    bind_normed(b, pool, &m->project, (int[]){ p.skip ? ch : 0, mid, 1 }, 0, name);
}

/* width: channels of the skip and of the map from below. */
static void bind_up(vbg_bind *b, vbg_pool_mem *pool, vbg_selfie_up *m, int width,
                    int below, int i)
{
    char name[32];

    vbg_bind_layer(b, &m->gate1, 0, width, 1, 1, VBG_BIND_BIAS, "up%d.gate1", i);
    vbg_bind_layer(b, &m->gate2, width, m->gate1.oc, 1, 1, VBG_BIND_BIAS, "up%d.gate2",
                   i);
    snprintf(name, sizeof name, "up%d.conv", i);
    bind_normed(b, pool, &m->conv, (int[]){ 0, width, 1 }, 0, name);
    snprintf(name, sizeof name, "up%d.depthwise", i);
    bind_normed(b, pool, &m->depthwise, (int[]){ m->conv.oc, 1, 3 }, VBG_BIND_DEPTHWISE,
                name);
    snprintf(name, sizeof name, "up%d.project", i);
    if (below)
        bind_normed(b, pool, &m->project, (int[]){ below, m->conv.oc, 1 }, 0, name);
}

vbg_status vbg_selfie_bind(vbg_selfie *m, vbg_pool_mem *pool, const vbg_weights *w,
                           const char *component, vbg_err *err)
{
    vbg_bind b;

    *m = (vbg_selfie){ 0 };
    vbg_bind_start(&b, w, component);
    bind_normed(&b, pool, &m->stem, (int[]){ 0, 3, 3 }, 0, "stem");
    int ch = m->stem.oc;
    for (int i = 0; i < VBG_SELFIE_BLOCKS; i++) {
        bind_block(&b, pool, &m->block[i], ch, i);
        ch = m->block[i].project.oc;
    }
    const int at_a = m->stem.oc, at_b = m->block[VBG_SELFIE_BLOCK_B].project.oc;
    const int at_c = m->block[VBG_SELFIE_BLOCK_C].project.oc;
    bind_normed(&b, pool, &m->head, (int[]){ 0, ch, 1 }, 0, "head");
    vbg_bind_layer(&b, &m->head_gate, m->head.oc, ch, 1, 1, VBG_BIND_BIAS, "head_gate");
    bind_normed(&b, pool, &m->head_project, (int[]){ at_c, m->head.oc, 1 }, 0,
                "head_project");
    bind_up(&b, pool, &m->up[0], at_c, at_b, 0);
    bind_up(&b, pool, &m->up[1], at_b, at_a, 1);
    bind_up(&b, pool, &m->up[2], at_a, 0, 2);
    vbg_bind_layer(&b, &m->out, 1, m->up[2].conv.oc, 2, 2,
                   VBG_BIND_BIAS | VBG_BIND_TRANSPOSED, "out");
    return vbg_bind_finish(&b, err);
}

/* sigmoid(w2 relu(w1 mean)), [n,1,1,c] */
static vbg_tensor *attention(vbg_ctx *c, const vbg_weight *w1, const vbg_weight *w2,
                             const vbg_tensor *mean)
{
    vbg_scope_open(c);
    vbg_tensor *s = vbg_linear_ex(c, mean, w1, (vbg_linear_opt){ .act = VBG_ACT_RELU });
    s = vbg_linear_ex(c, s, w2, (vbg_linear_opt){ .act = VBG_ACT_SIGMOID });
    return vbg_scope_close(c, s);
}

/* Inverted residual of MobileNetV3. */
static vbg_tensor *block(vbg_ctx *c, const vbg_selfie_block *m, vbg_selfie_plan p,
                         const vbg_tensor *x)
{
    const vbg_act act = p.hswish ? VBG_ACT_HSWISH : VBG_ACT_RELU;

    vbg_scope_open(c);
    vbg_tensor *y = vbg_linear_ex(c, x, &m->expand, (vbg_linear_opt){ .act = act });
    y = vbg_conv2d(c, y, &m->depthwise,
                   (vbg_conv_opt){ .stride = p.stride, .same = true, .act = act });
    if (p.se)
        y = vbg_mul(c, y, attention(c, &m->se1, &m->se2, vbg_global_mean(c, y)));
    y = vbg_linear_ex(c, y, &m->project,
                      (vbg_linear_opt){ .residual = p.skip ? x : NULL });
    return vbg_scope_close(c, y);
}

/* Weighs the skip by the mean of skip + below, then y + dw(y); the last has no way up. */
static vbg_tensor *up(vbg_ctx *c, const vbg_selfie_up *m, const vbg_tensor *skip,
                      const vbg_tensor *below)
{
    const vbg_linear_opt relu = { .act = VBG_ACT_RELU };

    vbg_scope_open(c);
    const vbg_tensor *mean =
        vbg_add(c, vbg_global_mean(c, skip), vbg_global_mean(c, below), VBG_ACT_NONE);
    const vbg_tensor *gate = attention(c, &m->gate1, &m->gate2, mean);
    vbg_tensor *y = vbg_add(c, vbg_mul(c, skip, gate), below, VBG_ACT_NONE);
    y = vbg_linear_ex(c, y, &m->conv, relu);
    vbg_tensor *d = vbg_conv2d(c, y, &m->depthwise,
                               (vbg_conv_opt){ .same = true, .act = VBG_ACT_RELU });
    y = vbg_add(c, y, d, VBG_ACT_NONE);
    if (m->project.data) {
        /* The file resizes first; a 1x1 convolution commutes with that. */
        y = vbg_linear(c, y, &m->project);
        y = vbg_resize(c, y, y->h * 2, y->w * 2, VBG_RESIZE_BILINEAR);
    }
    return vbg_scope_close(c, y);
}

vbg_tensor *vbg_selfie_forward(vbg_ctx *c, const vbg_selfie *m, const vbg_tensor *x,
                               const vbg_probe *probe)
{
    vbg_tensor *deep = NULL, *at_b = NULL, *at_c = NULL;

    VBG_CHECK(x->h % 16 == 0 && x->w % 16 == 0, "selfie of %dx%d, not in steps of 16",
              x->w, x->h);
    vbg_scope_open(c);
    vbg_tensor *at_a =
        vbg_conv2d(c, x, &m->stem,
                   (vbg_conv_opt){ .stride = 2, .same = true, .act = VBG_ACT_HSWISH });
    vbg_see(c, probe, "stem", at_a);
    for (int i = 0; i < VBG_SELFIE_BLOCKS; i++) {
        deep = block(c, &m->block[i], vbg_selfie_block_plan(i), i ? deep : at_a);
        if (i == VBG_SELFIE_BLOCK_B)
            at_b = deep;
        if (i == VBG_SELFIE_BLOCK_C)
            at_c = deep;
    }
    vbg_tensor *gate = vbg_linear_ex(c, vbg_global_mean(c, deep), &m->head_gate,
                                     (vbg_linear_opt){ .act = VBG_ACT_SIGMOID });
    vbg_tensor *y =
        vbg_linear_ex(c, deep, &m->head, (vbg_linear_opt){ .act = VBG_ACT_RELU });
    y = vbg_linear(c, vbg_mul(c, y, gate), &m->head_project);
    y = vbg_resize(c, y, y->h * 2, y->w * 2, VBG_RESIZE_BILINEAR);
    y = up(c, &m->up[0], at_c, y);
    y = up(c, &m->up[1], at_b, y);
    y = up(c, &m->up[2], at_a, y);
    return vbg_scope_close(c, vbg_conv_transpose2d(c, y, &m->out, 2, 0, 0, VBG_ACT_NONE));
}
