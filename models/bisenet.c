/* BiSeNet version 1 in the layouts of noisrucer and CoinCheung; see bisenet.h. */
#include "models/bisenet.h"

#include "engine/tape.h"

/* ---- noisrucer ---- */

vbg_status vbg_bisenet_bind(vbg_bisenet *m, vbg_pool_mem *pool, const vbg_weights *w,
                            const char *component, vbg_err *err)
{
    vbg_conv_bn arm = {
        .conv = ".conv_1x1", .bn = ".batch_norm", .k = 1, .flags = VBG_BIND_BIAS
    };
    vbg_bind b;

    *m = (vbg_bisenet){ 0 };
    vbg_bind_start(&b, w, component);
    for (int i = 0; i < 3; i++)
        vbg_bind_conv_bn(&b, pool, &m->spatial[i],
                         (vbg_conv_bn){ .conv = ".0",
                                        .bn = ".1",
                                        .c = i ? m->spatial[i - 1].oc : 3,
                                        .k = 3,
                                        .flags = VBG_BIND_BIAS },
                         "spatial_path.%d", i);
    vbg_resnet_bind(&b, pool, &m->context, "context_path", ".conv_block.0",
                    ".conv_block.1", false);
    arm.oc = arm.c = vbg_resnet_width(&m->context, 2);
    vbg_bind_conv_bn(&b, pool, &m->attention16, arm, "attention_refinement_module_16x");
    arm.oc = arm.c = vbg_resnet_width(&m->context, 3);
    vbg_bind_conv_bn(&b, pool, &m->attention32, arm, "attention_refinement_module_32x");
    const int wide = m->spatial[2].oc + m->attention16.oc + m->attention32.oc;
    vbg_bind_conv_bn(
        &b, pool, &m->fusion,
        (vbg_conv_bn){
            .conv = ".0", .bn = ".1", .c = wide, .k = 3, .flags = VBG_BIND_BIAS },
        "feature_fusion_module.conv_block");
    const int n = m->classes = m->fusion.oc;
    vbg_bind_layer(&b, &m->fusion_gate, n, n, 1, 1, VBG_BIND_BIAS,
                   "feature_fusion_module.conv_1x1");
    vbg_bind_layer(&b, &m->out, n, n, 1, 1, VBG_BIND_BIAS, "final_conv");
    return vbg_bind_finish(&b, err);
}

/* Attention refinement: x * sigmoid(bn(conv(mean x))). */
static vbg_tensor *refine(vbg_ctx *c, const vbg_weight *w, const vbg_tensor *x,
                          bool detach)
{
    vbg_scope_open(c);
    vbg_tensor *a = vbg_linear_ex(c, vbg_global_mean(c, x), w,
                                  (vbg_linear_opt){ .act = VBG_ACT_SIGMOID });
    return vbg_scope_close(c, vbg_mul(c, detach ? vbg_detach(c, x) : x, a));
}

/* [256 spatial, 256 at 1/16, 512 at 1/32], all resized to the spatial path's size. */
static vbg_tensor *join(vbg_ctx *c, const vbg_bisenet *m, const vbg_tensor *x,
                        const vbg_probe *probe)
{
    const vbg_conv_opt half = { .stride = 2, .pad = 1, .act = VBG_ACT_RELU };

    vbg_scope_open(c);
    vbg_tensor *y = vbg_resnet_stem(c, &m->context, x);
    y = vbg_resnet_layer(c, &m->context, y, 0);
    vbg_see(c, probe, "layer1", y);
    y = vbg_resnet_layer(c, &m->context, y, 1);
    vbg_see(c, probe, "layer2", y);
    const vbg_tensor *down16 = vbg_resnet_layer(c, &m->context, y, 2);
    const vbg_tensor *down32 = vbg_resnet_layer(c, &m->context, down16, 3);
    const vbg_tensor *tail = vbg_global_mean(c, down32);
    vbg_see(c, probe, "down16", down16);
    vbg_see(c, probe, "down32", down32);
    vbg_see(c, probe, "tail", tail);

    vbg_tensor *a16 = refine(c, &m->attention16, down16, m->detach);
    vbg_tensor *a32 = refine(c, &m->attention32, down32, m->detach);
    vbg_see(c, probe, "arm16", a16);
    vbg_see(c, probe, "arm32", a32);
    a32 = vbg_mul(c, a32, tail);

    vbg_tensor *sp = vbg_conv2d(c, x, &m->spatial[0], half);
    sp = vbg_conv2d(c, sp, &m->spatial[1], half);
    sp = vbg_conv2d(c, sp, &m->spatial[2], half);
    vbg_see(c, probe, "sp", sp);
    a16 = vbg_resize(c, a16, sp->h, sp->w, VBG_RESIZE_BILINEAR_ALIGN);
    a32 = vbg_resize(c, a32, sp->h, sp->w, VBG_RESIZE_BILINEAR_ALIGN);
    return vbg_scope_close(c, vbg_concat(c, vbg_concat(c, sp, a16), a32));
}

vbg_tensor *vbg_bisenet_forward(vbg_ctx *c, const vbg_bisenet *m, const vbg_tensor *x,
                                const vbg_probe *probe)
{
    const vbg_conv_opt k3 = { .pad = 1, .act = VBG_ACT_RELU };
    const vbg_linear_opt relu = { .act = VBG_ACT_RELU };

    vbg_scope_open(c);
    const vbg_tensor *f = vbg_conv2d(c, join(c, m, x, probe), &m->fusion, k3);
    vbg_see(c, probe, "ffm.F", f);
    vbg_tensor *a = vbg_linear_ex(c, vbg_global_mean(c, f), &m->fusion_gate, relu);
    a = vbg_linear_ex(c, a, &m->fusion_gate, relu);
    vbg_tensor *y = vbg_add(c, f, vbg_mul(c, f, a), VBG_ACT_NONE);
    vbg_see(c, probe, "ffm.out", y);

    /* The original resizes first; a 1x1 convolution commutes with that and costs 64
     * times less here. */
    y = vbg_linear_ex(c, y, &m->out, (vbg_linear_opt){ .f32_out = true });
    return vbg_scope_close(
        c, vbg_resize(c, y, y->h * 8, y->w * 8, VBG_RESIZE_BILINEAR_ALIGN));
}

/* ---- CoinCheung, version 1 ---- */

/* A "ConvBNReLU" module: PREFIX.conv and PREFIX.bn. */
static void bind_cbr(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *out, int ch, int k,
                     const char *prefix)
{
    vbg_bind_conv_bn(b, pool, out,
                     (vbg_conv_bn){ .conv = ".conv", .bn = ".bn", .c = ch, .k = k }, "%s",
                     prefix);
}

static void bind_head(vbg_bind *b, vbg_pool_mem *pool, vbg_bisenet_head *h, int ch,
                      int classes, const char *prefix)
{
    vbg_bind_conv_bn(
        b, pool, &h->conv,
        (vbg_conv_bn){ .conv = ".conv.conv", .bn = ".conv.bn", .c = ch, .k = 3 }, "%s",
        prefix);
    vbg_bind_layer(b, &h->out, classes, h->conv.oc, 1, 1, VBG_BIND_MAYBE_BIAS,
                   "%s.conv_out", prefix);
}

/* Spatial path: 7x7/2, two 3x3/2, 1x1. */
static void bind_spatial(vbg_bind *b, vbg_pool_mem *pool, vbg_weight s[4])
{
    static const char *const name[4] = { "sp.conv1", "sp.conv2", "sp.conv3",
                                         "sp.conv_out" };
    static const int k[4] = { 7, 3, 3, 1 };

    for (int i = 0; i < 4; i++)
        bind_cbr(b, pool, &s[i], i ? s[i - 1].oc : 3, k[i], name[i]);
}

static void bind_context(vbg_bind *b, vbg_pool_mem *pool, vbg_bisenet1 *m)
{
    vbg_conv_bn gate = { .conv = ".conv_atten", .bn = ".bn_atten", .k = 1 };

    vbg_resnet_bind(b, pool, &m->context, "cp.resnet", ".conv1", ".bn1", false);
    bind_cbr(b, pool, &m->arm16, vbg_resnet_width(&m->context, 2), 3, "cp.arm16.conv");
    bind_cbr(b, pool, &m->arm32, vbg_resnet_width(&m->context, 3), 3, "cp.arm32.conv");
    gate.oc = gate.c = m->arm16.oc;
    vbg_bind_conv_bn(b, pool, &m->arm16_gate, gate, "cp.arm16");
    gate.oc = gate.c = m->arm32.oc;
    vbg_bind_conv_bn(b, pool, &m->arm32_gate, gate, "cp.arm32");
    bind_cbr(b, pool, &m->head16, m->arm16.oc, 3, "cp.conv_head16");
    bind_cbr(b, pool, &m->head32, m->arm32.oc, 3, "cp.conv_head32");
    bind_cbr(b, pool, &m->average, m->arm32.c, 1, "cp.conv_avg");
    if (m->average.oc != m->arm32.oc || m->head32.oc != m->arm16.oc)
        vbg_bind_problem(b, "cp: maps of different widths are added");
}

vbg_status vbg_bisenet1_bind(vbg_bisenet1 *m, vbg_pool_mem *pool, const vbg_weights *w,
                             const char *component, vbg_err *err)
{
    vbg_bind b;

    *m = (vbg_bisenet1){ 0 };
    vbg_bind_start(&b, w, component);
    bind_spatial(&b, pool, m->spatial);
    bind_context(&b, pool, m);
    bind_cbr(&b, pool, &m->fusion, m->spatial[3].oc + m->head16.oc, 1, "ffm.convblk");
    vbg_bind_conv_bn(
        &b, pool, &m->fusion_gate,
        (vbg_conv_bn){
            .conv = ".conv", .bn = ".bn", .oc = m->fusion.oc, .c = m->fusion.oc, .k = 1 },
        "ffm");
    bind_head(&b, pool, &m->out, m->fusion.oc, 0, "conv_out");
    m->classes = m->out.out.oc;
    if (vbg_bind_maybe(&b, "conv_out16.conv_out.weight"))
        bind_head(&b, pool, &m->aux16, m->head16.oc, m->classes, "conv_out16");
    if (vbg_bind_maybe(&b, "conv_out32.conv_out.weight"))
        bind_head(&b, pool, &m->aux32, m->head32.oc, m->classes, "conv_out32");
    return vbg_bind_finish(&b, err);
}

/* Attention refinement: f = conv(x), f * sigmoid(bn(conv(mean f))). */
static vbg_tensor *refine1(vbg_ctx *c, const vbg_weight *conv, const vbg_weight *gate,
                           const vbg_tensor *x)
{
    vbg_scope_open(c);
    vbg_tensor *f =
        vbg_conv2d(c, x, conv, (vbg_conv_opt){ .pad = 1, .act = VBG_ACT_RELU });
    return vbg_scope_close(c, refine(c, gate, f, false));
}

/* The context path's two results, at 1/8 and at 1/16. */
typedef struct context1 {
    vbg_tensor *at8, *at16;
} context1;

static context1 context(vbg_ctx *c, const vbg_bisenet1 *m, const vbg_tensor *x,
                        const vbg_probe *probe)
{
    const vbg_conv_opt up3 = { .pad = 1, .upsample2 = true, .act = VBG_ACT_RELU };
    context1 out;

    vbg_scope_open(c);
    vbg_tensor *y = vbg_resnet_stem(c, &m->context, x);
    y = vbg_resnet_layer(c, &m->context, y, 0);
    const vbg_tensor *f8 = vbg_resnet_layer(c, &m->context, y, 1);
    const vbg_tensor *f16 = vbg_resnet_layer(c, &m->context, f8, 2);
    const vbg_tensor *f32 = vbg_resnet_layer(c, &m->context, f16, 3);
    vbg_see(c, probe, "cp.feat8", f8);
    vbg_see(c, probe, "cp.feat16", f16);
    vbg_see(c, probe, "cp.feat32", f32);

    const vbg_tensor *average = vbg_linear_ex(c, vbg_global_mean(c, f32), &m->average,
                                              (vbg_linear_opt){ .act = VBG_ACT_RELU });
    vbg_see(c, probe, "cp.avg", average);
    y = refine1(c, &m->arm32, &m->arm32_gate, f32);
    vbg_see(c, probe, "cp.arm32", y);
    /* nearest x2, then 3x3 */
    out.at16 = vbg_conv2d(c, vbg_add(c, y, average, VBG_ACT_NONE), &m->head32, up3);
    vbg_see(c, probe, "cp.head32", out.at16);
    y = refine1(c, &m->arm16, &m->arm16_gate, f16);
    vbg_see(c, probe, "cp.arm16", y);
    out.at8 = vbg_conv2d(c, vbg_add(c, y, out.at16, VBG_ACT_NONE), &m->head16, up3);
    vbg_see(c, probe, "cp.head16", out.at8);
    vbg_keep(c, out.at16);
    vbg_scope_close(c, out.at8);
    return out;
}

/* Head and bilinear upsampling; low (may be NULL): name under which the small map is
 * shown. */
static vbg_tensor *classify(vbg_ctx *c, const vbg_bisenet_head *h, const vbg_tensor *x,
                            int up, const vbg_probe *probe, const char *low)
{
    vbg_scope_open(c);
    vbg_tensor *y =
        vbg_conv2d(c, x, &h->conv, (vbg_conv_opt){ .pad = 1, .act = VBG_ACT_RELU });
    y = vbg_linear_ex(c, y, &h->out, (vbg_linear_opt){ .f32_out = true });
    if (low)
        vbg_see(c, probe, low, y);
    return vbg_scope_close(c,
                           vbg_resize(c, y, y->h * up, y->w * up, VBG_RESIZE_BILINEAR));
}

/* An auxiliary map, kept in the scope outside; NULL without the head. */
static vbg_tensor *classify_aux(vbg_ctx *c, const vbg_bisenet_head *h,
                                const vbg_tensor *x, int up, const vbg_probe *probe,
                                const char *name)
{
    if (!h->out.data)
        return NULL;
    vbg_tensor *y = classify(c, h, x, up, NULL, NULL);
    vbg_see(c, probe, name, y);
    vbg_keep(c, y);
    return y;
}

/* aux (may be NULL): gets the auxiliary maps. */
static vbg_tensor *forward1(vbg_ctx *c, const vbg_bisenet1 *m, const vbg_tensor *x,
                            const vbg_probe *probe, vbg_tensor **aux)
{
    const vbg_conv_opt half = { .stride = 2, .pad = 1, .act = VBG_ACT_RELU };
    const vbg_linear_opt relu = { .act = VBG_ACT_RELU };

    VBG_CHECK(x->h % 32 == 0 && x->w % 32 == 0, "BiSeNet of %dx%d, not in steps of 32",
              x->w, x->h);
    vbg_scope_open(c);
    context1 cp = context(c, m, x, probe);
    vbg_tensor *sp =
        vbg_conv2d(c, x, &m->spatial[0],
                   (vbg_conv_opt){ .stride = 2, .pad = 3, .act = VBG_ACT_RELU });
    sp = vbg_conv2d(c, sp, &m->spatial[1], half);
    sp = vbg_conv2d(c, sp, &m->spatial[2], half);
    sp = vbg_linear_ex(c, sp, &m->spatial[3], relu);
    vbg_see(c, probe, "sp", sp);

    vbg_tensor *f = vbg_linear_ex(c, vbg_concat(c, sp, cp.at8), &m->fusion, relu);
    f = vbg_add(c, f, refine(c, &m->fusion_gate, f, false), VBG_ACT_NONE);
    vbg_see(c, probe, "ffm", f);
    if (aux) {
        aux[0] = classify_aux(c, &m->aux16, cp.at8, 8, probe, "aux1");
        aux[1] = classify_aux(c, &m->aux32, cp.at16, 16, probe, "aux2");
    }
    return vbg_scope_close(c, classify(c, &m->out, f, 8, probe, "head.low"));
}

vbg_tensor *vbg_bisenet1_forward(vbg_ctx *c, const vbg_bisenet1 *m, const vbg_tensor *x,
                                 const vbg_probe *probe)
{
    vbg_tensor *aux[2];

    return forward1(c, m, x, probe, probe ? aux : NULL);
}

vbg_tensor *vbg_bisenet1_train(vbg_ctx *c, const vbg_bisenet1 *m, const vbg_tensor *x,
                               vbg_tensor *aux[2])
{
    return forward1(c, m, x, NULL, aux);
}
