/* BiSeNet version 2 in CoinCheung's layout; see bisenet.h.
 * Source: Yu et al. 2020, "BiSeNet V2: Bilateral Network with Guided Aggregation". */
#include "models/bisenet.h"

#include <stdio.h>

/* A "ConvBNReLU" module: PREFIX.conv and PREFIX.bn. */
static void bind_cbr(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *out, int ch, int k,
                     const char *prefix)
{
    vbg_bind_conv_bn(b, pool, out,
                     (vbg_conv_bn){ .conv = ".conv", .bn = ".bn", .c = ch, .k = k }, "%s",
                     prefix);
}

/* A pair of a Sequential: PREFIX.i is the convolution, PREFIX.i+1 its norm. */
static void bind_pair(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *out, vbg_conv_bn o,
                      int i, const char *prefix)
{
    char conv[8], bn[8];

    snprintf(conv, sizeof conv, ".%d", i);
    snprintf(bn, sizeof bn, ".%d", i + 1);
    o.conv = conv;
    o.bn = bn;
    vbg_bind_conv_bn(b, pool, out, o, "%s", prefix);
}

static void bind_ge(vbg_bind *b, vbg_pool_mem *pool, vbg_ge_layer *g, int ch,
                    bool stride2, const char *prefix)
{
    const vbg_conv_bn dw = { .k = 3, .c = 1, .flags = VBG_BIND_DEPTHWISE };
    char p[96];

    snprintf(p, sizeof p, "%s.conv1", prefix);
    bind_cbr(b, pool, &g->conv1, ch, 3, p);
    snprintf(p, sizeof p, stride2 ? "%s.dwconv1" : "%s.dwconv", prefix);
    bind_pair(b, pool, &g->dw1, dw, 0, p);
    vbg_conv_bn one = { .oc = stride2 ? 0 : ch, .c = g->dw1.oc, .k = 1 };
    if (stride2) {
        const vbg_conv_bn same = { .oc = g->dw1.oc, .c = 1, .k = 3, .flags = dw.flags };
        snprintf(p, sizeof p, "%s.dwconv2", prefix);
        bind_pair(b, pool, &g->dw2, same, 0, p);
        snprintf(p, sizeof p, "%s.shortcut", prefix);
        bind_pair(b, pool, &g->skip_dw,
                  (vbg_conv_bn){ .oc = ch, .c = 1, .k = 3, .flags = dw.flags }, 0, p);
        bind_pair(b, pool, &g->skip, (vbg_conv_bn){ .c = ch, .k = 1 }, 2, p);
        one.oc = g->skip.oc;
    }
    snprintf(p, sizeof p, "%s.conv2", prefix);
    bind_pair(b, pool, &g->conv2, one, 0, p);
    if (g->conv1.oc > 0 && g->dw1.oc % g->conv1.oc != 0)
        vbg_bind_problem(b, "%s: %d depthwise channels of %d", prefix, g->dw1.oc,
                         g->conv1.oc);
}

/* Batch norm of a vector, without a convolution in front. */
static void bind_context_norm(vbg_bind *b, vbg_pool_mem *pool, vbg_bisenet2 *m, int n)
{
    m->context_norm = (vbg_weight){ .oc = n, .groups = 1 };
    vbg_bind_batch_norm(b, pool, &m->context_norm, 1e-5f, "segment.S5_5.bn");
}

static void bind_detail(vbg_bind *b, vbg_pool_mem *pool, vbg_weight d[8])
{
    static const char *const name[8] = { "S1.0", "S1.1", "S2.0", "S2.1",
                                         "S2.2", "S3.0", "S3.1", "S3.2" };
    char p[32];

    for (int i = 0; i < 8; i++) {
        snprintf(p, sizeof p, "detail.%s", name[i]);
        bind_cbr(b, pool, &d[i], i ? d[i - 1].oc : 3, 3, p);
    }
}

static void bind_semantic(vbg_bind *b, vbg_pool_mem *pool, vbg_bisenet2 *m)
{
    static const char *const name[8] = { "S3.0",   "S3.1",   "S4.0",   "S4.1",
                                         "S5_4.0", "S5_4.1", "S5_4.2", "S5_4.3" };
    char p[48];

    bind_cbr(b, pool, &m->stem, 3, 3, "segment.S1S2.conv");
    bind_cbr(b, pool, &m->stem_left1, m->stem.oc, 1, "segment.S1S2.left.0");
    bind_cbr(b, pool, &m->stem_left2, m->stem_left1.oc, 3, "segment.S1S2.left.1");
    bind_cbr(b, pool, &m->stem_fuse, m->stem_left2.oc + m->stem.oc, 3,
             "segment.S1S2.fuse");
    int ch = m->stem_fuse.oc;
    for (int i = 0; i < 8; i++) {
        snprintf(p, sizeof p, "segment.%s", name[i]);
        bind_ge(b, pool, &m->ge[i], ch, i == 0 || i == 2 || i == 4, p);
        ch = m->ge[i].conv2.oc;
    }
    bind_context_norm(b, pool, m, ch);
    bind_cbr(b, pool, &m->context_gap, ch, 1, "segment.S5_5.conv_gap");
    bind_cbr(b, pool, &m->context_last, ch, 3, "segment.S5_5.conv_last");
    if (m->context_gap.oc != ch || m->context_last.oc != m->detail[7].oc)
        vbg_bind_problem(b, "segment.S5_5: width of another map");
}

static void bind_aggregation(vbg_bind *b, vbg_pool_mem *pool, vbg_bisenet2 *m)
{
    const int ch = m->detail[7].oc;
    const vbg_conv_bn dw = { .oc = ch, .c = 1, .k = 3, .flags = VBG_BIND_DEPTHWISE };
    const vbg_conv_bn k3 = { .oc = ch, .c = ch, .k = 3 };

    bind_pair(b, pool, &m->left1_dw, dw, 0, "bga.left1");
    vbg_bind_layer(b, &m->left1, ch, ch, 1, 1, 0, "bga.left1.2");
    bind_pair(b, pool, &m->left2, k3, 0, "bga.left2");
    bind_pair(b, pool, &m->right1, k3, 0, "bga.right1");
    bind_pair(b, pool, &m->right2_dw, dw, 0, "bga.right2");
    vbg_bind_layer(b, &m->right2, ch, ch, 1, 1, 0, "bga.right2.2");
    bind_pair(b, pool, &m->merge, k3, 0, "bga.conv");
}

vbg_status vbg_bisenet2_bind(vbg_bisenet2 *m, vbg_pool_mem *pool, const vbg_weights *w,
                             const char *component, vbg_err *err)
{
    static const char *const aux[4] = { "aux2", "aux3", "aux4", "aux5_4" };
    static const int from[4] = { -1, 1, 3, 7 }; /* the stem or a layer of ge */
    char p[32];
    vbg_bind b;

    *m = (vbg_bisenet2){ 0 };
    vbg_bind_start(&b, w, component);
    bind_detail(&b, pool, m->detail);
    bind_semantic(&b, pool, m);
    bind_aggregation(&b, pool, m);
    bind_cbr(&b, pool, &m->out.conv, m->merge.oc, 3, "head.conv");
    vbg_bind_layer(&b, &m->out.out, 0, m->out.conv.oc, 1, 1, VBG_BIND_BIAS,
                   "head.conv_out.1");
    m->classes = m->out.out.oc;
    for (int i = 0; i < 4; i++) {
        vbg_bisenet2_aux *a = &m->aux[i];
        if (!vbg_bind_maybe(&b, "%s.conv_out.1.weight", aux[i]))
            continue;
        snprintf(p, sizeof p, "%s.conv", aux[i]);
        bind_cbr(&b, pool, &a->conv,
                 from[i] < 0 ? m->stem_fuse.oc : m->ge[from[i]].conv2.oc, 3, p);
        snprintf(p, sizeof p, "%s.conv_out.0.1", aux[i]);
        bind_cbr(&b, pool, &a->expand, a->conv.oc, 3, p);
        vbg_bind_layer(&b, &a->out, m->classes, a->expand.oc, 1, 1, VBG_BIND_BIAS,
                       "%s.conv_out.1", aux[i]);
    }
    return vbg_bind_finish(&b, err);
}

/* Figure 5 of the paper: expansion by depthwise convolution. */
static vbg_tensor *gather_expand(vbg_ctx *c, const vbg_ge_layer *g, const vbg_tensor *x)
{
    const bool stride2 = g->skip.data != NULL;
    const vbg_conv_opt k3 = { .pad = 1, .act = VBG_ACT_RELU };
    const vbg_conv_opt half = { .stride = 2, .pad = 1 };
    const vbg_tensor *skip = x;

    vbg_scope_open(c);
    vbg_tensor *y = vbg_conv2d(c, x, &g->conv1, k3);
    if (stride2) {
        y = vbg_conv2d(c, y, &g->dw1, half);
        y = vbg_conv2d(c, y, &g->dw2, k3);
        skip = vbg_conv2d(c, x, &g->skip_dw, half);
        skip = vbg_linear(c, skip, &g->skip);
    } else {
        y = vbg_conv2d(c, y, &g->dw1, k3);
    }
    y = vbg_linear_ex(c, y, &g->conv2,
                      (vbg_linear_opt){ .residual = skip, .act = VBG_ACT_RELU });
    return vbg_scope_close(c, y);
}

/* Stem: 3x3/2, then convolutions and a max pool side by side. */
static vbg_tensor *stem(vbg_ctx *c, const vbg_bisenet2 *m, const vbg_tensor *x)
{
    const vbg_conv_opt half = { .stride = 2, .pad = 1, .act = VBG_ACT_RELU };
    const vbg_pool_opt pool = { .k_y = 3, .k_x = 3, .stride = 2, .pad = 1, .max = true };

    vbg_scope_open(c);
    x = vbg_conv2d(c, x, &m->stem, half);
    vbg_tensor *left =
        vbg_linear_ex(c, x, &m->stem_left1, (vbg_linear_opt){ .act = VBG_ACT_RELU });
    left = vbg_conv2d(c, left, &m->stem_left2, half);
    vbg_tensor *y = vbg_concat(c, left, vbg_pool(c, x, pool));
    y = vbg_conv2d(c, y, &m->stem_fuse, (vbg_conv_opt){ .pad = 1, .act = VBG_ACT_RELU });
    return vbg_scope_close(c, y);
}

/* Context embedding: conv3x3(x + relu(bn(conv(bn(mean x))))). */
static vbg_tensor *embed_context(vbg_ctx *c, const vbg_bisenet2 *m, const vbg_tensor *x)
{
    vbg_scope_open(c);
    const vbg_weight *norm = &m->context_norm;
    vbg_tensor *g = vbg_global_mean(c, x);
    g = norm->bn ? vbg_batch_norm(c, g, norm->bn, NULL, VBG_ACT_NONE)
                 : vbg_scale_shift(c, g, norm->scale, norm->bias, VBG_ACT_NONE);
    g = vbg_linear_ex(c, g, &m->context_gap, (vbg_linear_opt){ .act = VBG_ACT_RELU });
    vbg_tensor *y = vbg_conv2d(c, vbg_add(c, x, g, VBG_ACT_NONE), &m->context_last,
                               (vbg_conv_opt){ .pad = 1, .act = VBG_ACT_RELU });
    return vbg_scope_close(c, y);
}

/* Bilateral guided aggregation (figure 6): detail at 1/8, context at 1/32. */
static vbg_tensor *aggregate(vbg_ctx *c, const vbg_bisenet2 *m, const vbg_tensor *detail,
                             const vbg_tensor *context, const vbg_probe *probe)
{
    const vbg_pool_opt pool = {
        .k_y = 3, .k_x = 3, .stride = 2, .pad = 1, .count_padding = true
    };

    vbg_scope_open(c);
    vbg_tensor *left1 = vbg_conv2d(c, detail, &m->left1_dw, (vbg_conv_opt){ .pad = 1 });
    left1 = vbg_linear(c, left1, &m->left1);
    vbg_tensor *left2 =
        vbg_conv2d(c, detail, &m->left2, (vbg_conv_opt){ .stride = 2, .pad = 1 });
    left2 = vbg_pool(c, left2, pool);
    vbg_tensor *right1 = vbg_conv2d(c, context, &m->right1, (vbg_conv_opt){ .pad = 1 });
    vbg_tensor *right2 =
        vbg_conv2d(c, context, &m->right2_dw, (vbg_conv_opt){ .pad = 1 });
    right2 = vbg_linear(c, right2, &m->right2);
    vbg_see(c, probe, "bga.left1", left1);
    vbg_see(c, probe, "bga.left2", left2);
    vbg_see(c, probe, "bga.right1", right1);
    vbg_see(c, probe, "bga.right2", right2);

    /* sigmoid before the nearest upsampling: 16 times fewer, the same values */
    right1 = vbg_activate(c, right1, VBG_ACT_SIGMOID);
    right1 = vbg_resize(c, right1, detail->h, detail->w, VBG_RESIZE_NEAREST);
    right2 = vbg_gated(c, left2, right2);
    right2 = vbg_resize(c, right2, detail->h, detail->w, VBG_RESIZE_NEAREST);
    vbg_tensor *y = vbg_add(c, vbg_mul(c, left1, right1), right2, VBG_ACT_NONE);
    y = vbg_conv2d(c, y, &m->merge, (vbg_conv_opt){ .pad = 1, .act = VBG_ACT_RELU });
    return vbg_scope_close(c, y);
}

/* The auxiliary map of a head: only training and the oracles want it.  Kept two scopes
 * out, that of semantic and that of the forward. */
static vbg_tensor *classify_aux(vbg_ctx *c, const vbg_bisenet2_aux *a,
                                const vbg_tensor *x, int up, const vbg_probe *probe,
                                const char *name)
{
    const vbg_conv_opt k3 = { .pad = 1, .act = VBG_ACT_RELU };
    const vbg_conv_opt up3 = { .pad = 1, .upsample2 = true, .act = VBG_ACT_RELU };

    if (!a->out.data)
        return NULL;
    vbg_scope_open(c);
    vbg_tensor *y = vbg_conv2d(c, vbg_conv2d(c, x, &a->conv, k3), &a->expand, up3);
    y = vbg_linear_ex(c, y, &a->out, (vbg_linear_opt){ .f32_out = true });
    y = vbg_resize(c, y, y->h * up, y->w * up, VBG_RESIZE_BILINEAR);
    vbg_see(c, probe, name, y);
    vbg_scope_close(c, y);
    vbg_keep(c, y);
    vbg_keep(c, y);
    return y;
}

/* Semantic branch to 1/32; aux (may be NULL): gets the auxiliary maps. */
static vbg_tensor *semantic(vbg_ctx *c, const vbg_bisenet2 *m, const vbg_tensor *x,
                            const vbg_probe *probe, vbg_tensor **aux)
{
    static const char *const name[8] = { NULL, "seg.s3", NULL, "seg.s4",
                                         NULL, NULL,     NULL, "seg.s5_4" };
    static const char *const shown[8] = { NULL, "aux2", NULL, "aux3",
                                          NULL, NULL,   NULL, "aux4" };

    vbg_scope_open(c);
    vbg_tensor *y = stem(c, m, x);
    vbg_see(c, probe, "seg.stem", y);
    if (aux)
        aux[0] = classify_aux(c, &m->aux[0], y, 2, probe, "aux1");
    for (int i = 0, k = 1; i < 8; i++) {
        y = gather_expand(c, &m->ge[i], y);
        if (!name[i])
            continue;
        vbg_see(c, probe, name[i], y);
        if (aux)
            aux[k] = classify_aux(c, &m->aux[k], y, 2 << k, probe, shown[i]);
        k++;
    }
    y = embed_context(c, m, y);
    vbg_see(c, probe, "seg.s5_5", y);
    return vbg_scope_close(c, y);
}

static vbg_tensor *forward(vbg_ctx *c, const vbg_bisenet2 *m, const vbg_tensor *x,
                           const vbg_probe *probe, vbg_tensor **aux)
{
    static const int stride[8] = { 2, 1, 2, 1, 1, 2, 1, 1 };

    VBG_CHECK(x->h % 32 == 0 && x->w % 32 == 0, "BiSeNet of %dx%d, not in steps of 32",
              x->w, x->h);
    vbg_scope_open(c);
    vbg_tensor *context = semantic(c, m, x, probe, aux), *detail = NULL;
    for (int i = 0; i < 8; i++)
        detail = vbg_conv2d(
            c, detail ? detail : x, &m->detail[i],
            (vbg_conv_opt){ .stride = stride[i], .pad = 1, .act = VBG_ACT_RELU });
    vbg_see(c, probe, "detail", detail);
    vbg_tensor *y = aggregate(c, m, detail, context, probe);
    vbg_see(c, probe, "bga", y);
    y = vbg_conv2d(c, y, &m->out.conv, (vbg_conv_opt){ .pad = 1, .act = VBG_ACT_RELU });
    y = vbg_linear_ex(c, y, &m->out.out, (vbg_linear_opt){ .f32_out = true });
    vbg_see(c, probe, "head.low", y);
    return vbg_scope_close(c, vbg_resize(c, y, y->h * 8, y->w * 8, VBG_RESIZE_BILINEAR));
}

vbg_tensor *vbg_bisenet2_forward(vbg_ctx *c, const vbg_bisenet2 *m, const vbg_tensor *x,
                                 const vbg_probe *probe)
{
    vbg_tensor *aux[4];

    return forward(c, m, x, probe, probe ? aux : NULL);
}

vbg_tensor *vbg_bisenet2_train(vbg_ctx *c, const vbg_bisenet2 *m, const vbg_tensor *x,
                               vbg_tensor *aux[4])
{
    return forward(c, m, x, NULL, aux);
}
