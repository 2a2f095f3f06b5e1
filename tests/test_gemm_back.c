/* Backward of linear layers and convolutions of every kind. */
#include "tests/gradient.h"

/* A layer with its parameters; sizes as PyTorch has them. */
typedef struct layer_case {
    const char *name;
    int n, h, w, c, oc, kh, kw, groups;
    bool no_bias, residual, geglu, transposed;
    vbg_conv_opt opt;
    int out_pad;
    bool frozen, batch_norm;
    vbg_weight weight;
    void *packed; /* of a frozen layer */
    vbg_batch_norm_w bn;
    float mean[64], var[64];
} layer_case;

static const layer_case cases[] = {
    { "linear", 2, 3, 7, 20, 13, 1, 1, 1, .no_bias = false },
    { "linear wide", 1, 1, 70, 64, 96, 1, 1, 1, .no_bias = true },
    { "linear relu", 1, 5, 7, 16, 32, 1, 1, 1, .opt = { .act = VBG_ACT_RELU } },
    { "linear silu", 2, 5, 7, 33, 20, 1, 1, 1, .opt = { .act = VBG_ACT_SILU } },
    { "linear residual", 2, 4, 4, 32, 48, 1, 1, 1, .residual = true },
    { "geglu", 2, 3, 7, 20, 64, 1, 1, 1, .geglu = true },
    { "1x1 stride 2", 2, 9, 11, 8, 5, 1, 1, 1, .opt = { .stride = 2 }, .no_bias = true },
    { "3x3", 2, 9, 11, 5, 7, 3, 3, 1, .opt = { .pad = 1 } },
    { "3x3 wide", 1, 6, 8, 40, 20, 3, 3, 1, .opt = { .pad = 1 } },
    { "3x3 leaky residual", 1, 7, 6, 16, 16, 3, 3, 1,
      .opt = { .pad = 1, .act = VBG_ACT_LEAKY_RELU }, .residual = true },
    { "3x3 gelu residual", 2, 6, 5, 8, 24, 3, 3, 1,
      .opt = { .pad = 1, .act = VBG_ACT_GELU }, .residual = true },
    { "3x3 valid", 2, 9, 11, 3, 4, 3, 3, 1, .no_bias = false },
    { "3x3 stride 2", 2, 9, 11, 4, 6, 3, 3, 1, .opt = { .stride = 2, .pad = 1 } },
    { "3x3 stride 3", 2, 11, 10, 4, 6, 3, 3, 1, .opt = { .stride = 3, .pad = 2 } },
    { "7x7 stride 2", 2, 17, 14, 3, 8, 7, 7, 1, .opt = { .stride = 2, .pad = 3 } },
    { "5x5", 1, 9, 12, 6, 4, 5, 5, 1, .opt = { .pad = 2 } },
    { "3x3 dilation 2", 2, 9, 11, 4, 5, 3, 3, 1, .opt = { .pad = 2, .dilation = 2 } },
    { "3x3 dilation 12", 1, 17, 13, 3, 4, 3, 3, 1, .opt = { .pad = 12, .dilation = 12 } },
    { "3x3 dilation 2 stride 2", 1, 9, 11, 3, 4, 3, 3, 1,
      .opt = { .pad = 2, .dilation = 2, .stride = 2 } },
    { "3x3 groups", 2, 9, 11, 6, 8, 3, 3, 2, .opt = { .pad = 1 } },
    { "3x3 groups 32", 1, 7, 6, 64, 32, 3, 3, 2, .opt = { .pad = 1, .stride = 2 } },
    { "1x3 strides 2 and 1", 2, 9, 11, 3, 5, 1, 3, 1,
      .opt = { .stride = 2, .stride_x = 1, .pad_left = 1, .pad_right = 1 } },
    { "right and bottom", 2, 10, 8, 4, 6, 3, 3, 1,
      .opt = { .stride = 2, .pad_right = 1, .pad_bottom = 1 } },
    { "large pads", 1, 6, 5, 4, 6, 3, 3, 1, .opt = { .pad_top = 4, .pad_left = 3 } },
    { "same", 2, 9, 10, 4, 6, 3, 3, 1, .opt = { .stride = 2, .same = true } },
    { "upsampled", 2, 5, 6, 6, 5, 3, 3, 1, .opt = { .pad = 1, .upsample2 = true } },
    { "upsampled wide", 1, 6, 6, 32, 18, 3, 3, 1,
      .opt = { .pad = 1, .upsample2 = true } },
    { "upsampled 5x5", 1, 4, 4, 3, 5, 5, 5, 1, .opt = { .pad = 2, .upsample2 = true } },
    { "depthwise", 2, 9, 11, 8, 8, 3, 3, 8, .no_bias = true, .opt = { .pad = 1 } },
    { "depthwise 40", 2, 6, 7, 40, 40, 3, 3, 40, .opt = { .pad = 1 } },
    { "depthwise x3", 2, 9, 11, 4, 12, 3, 3, 4, .opt = { .pad = 1, .stride = 2 } },
    { "depthwise x6", 1, 5, 6, 16, 96, 3, 3, 16, .opt = { .pad = 1 } },
    { "depthwise 5x5", 2, 9, 11, 6, 6, 5, 5, 6, .opt = { .pad = 2, .stride = 2 } },
    { "depthwise dilated", 2, 9, 11, 6, 6, 3, 3, 6, .opt = { .pad = 2, .dilation = 2 } },
    { "depthwise large pads", 1, 6, 5, 4, 4, 3, 3, 4,
      .opt = { .pad_top = 4, .pad_left = 3 } },
    { "depthwise relu", 1, 6, 5, 20, 20, 3, 3, 20,
      .opt = { .pad = 1, .act = VBG_ACT_RELU } },
    { "transposed 2x2", 2, 4, 5, 6, 3, 2, 2, 1, .transposed = true,
      .opt = { .stride = 2 } },
    { "transposed 3x3", 2, 5, 4, 4, 5, 3, 3, 1, .transposed = true, .out_pad = 1,
      .opt = { .stride = 2, .pad = 1 } },
    { "transposed wide", 1, 5, 4, 32, 24, 4, 4, 1, .transposed = true,
      .opt = { .stride = 2, .pad = 1, .act = VBG_ACT_SILU } },
    { "frozen linear", 2, 3, 7, 20, 13, 1, 1, 1, .frozen = true },
    { "frozen 3x3", 1, 7, 6, 18, 20, 3, 3, 1, .frozen = true,
      .opt = { .pad = 1, .stride = 2 } },
    { "batch norm", 2, 5, 4, 6, 8, 3, 3, 1, .batch_norm = true, .no_bias = true,
      .opt = { .pad = 1 } },
    { "many positions", 3, 70, 60, 4, 4, 3, 3, 1, .opt = { .pad = 1 } },
    { "many images", 40, 12, 12, 4, 4, 3, 3, 1, .opt = { .pad = 1 } },
};

static vbg_tensor *build(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    layer_case *l = arg;
    vbg_conv_opt opt = l->opt;

    if (l->transposed)
        return vbg_conv_transpose2d(c, x[0], &l->weight, opt.stride, opt.pad, l->out_pad,
                                    opt.act);
    if (l->geglu)
        return vbg_linear_geglu(c, x[0], &l->weight);
    opt.residual = l->residual ? x[1] : NULL;
    return vbg_conv2d(c, x[0], &l->weight, opt);
}

static vbg_param *take(vbg_params *p, const char *name, vbg_layout layout, int rank,
                       const int *dim)
{
    vbg_entry e = { .component = "m", .name = name, .layout = layout, .rank = rank };

    for (int i = 0; i < rank; i++)
        e.dim[i] = dim[i];
    vbg_param *m = vbg_params_take(p, NULL, &e, VBG_INIT_UNIFORM, 0.5f);
    cr_assert(m);
    return m;
}

/* Weights that are no parameters, always the same. */
static void freeze(layer_case *l, vbg_dtype t)
{
    const size_t taps = (size_t)(l->kh * l->kw), oc = (size_t)l->oc, c = (size_t)l->c;
    float *w = malloc(oc * c * taps * sizeof *w);
    uint32_t seed = 5;

    for (size_t i = 0; i < oc * c * taps; i++)
        w[i] = vbg_bf16_to_f32(vbg_f32_to_bf16(0.5f * guard_random(&seed)));
    free(l->packed);
    l->packed = malloc(vbg_pack_bytes(t, oc, c, taps) + 64);
    vbg_pack(l->packed, t, w, oc, c, (size_t)l->kh, (size_t)l->kw);
    l->weight.data = l->packed;
    free(w);
}

static void params(vbg_params *p, void *arg)
{
    layer_case *l = arg;
    int groups = l->groups;
    bool depthwise = groups > 1 && groups == l->c;
    int dim[4] = { l->oc, l->c / groups, l->kh, l->kw };
    vbg_layout layout = depthwise ? VBG_LAYOUT_DEPTHWISE : VBG_LAYOUT_PACK16;

    if (l->transposed) {
        dim[0] = l->c;
        dim[1] = l->oc;
        layout = VBG_LAYOUT_TRANSPOSED;
    }
    vbg_param *w = take(p, "w", layout, 4, dim);
    l->weight = (vbg_weight){ .data = w->packed,
                              .dtype = w->dtype,
                              .oc = l->oc,
                              .c = l->c / groups,
                              .kh = l->kh,
                              .kw = l->kw,
                              .groups = depthwise ? l->oc : groups,
                              .transposed = l->transposed };
    if (l->frozen)
        freeze(l, w->dtype);
    if (l->batch_norm) {
        l->bn =
            (vbg_batch_norm_w){ .gamma = take(p, "g", VBG_LAYOUT_PLAIN, 1, &l->oc)->value,
                                .beta = take(p, "e", VBG_LAYOUT_PLAIN, 1, &l->oc)->value,
                                .mean = l->mean,
                                .var = l->var,
                                .c = l->oc,
                                .eps = 1e-5f,
                                .momentum = 0.1f };
        l->weight.bn = &l->bn;
    }
    if (!l->no_bias)
        l->weight.bias = take(p, "b", VBG_LAYOUT_PLAIN, 1, &l->oc)->value;
}

/* Layers whose weight gradients are cut into chunks and parts, and those large enough
 * for threads to share a chunk: the fast levels against AVX2 in f32. */
static const layer_case large[] = {
    { "wide linear", 1, 1, 70, 400, 400, 1, 1, 1, .no_bias = false },
    { "wide linear of odd sizes", 1, 80, 70, 401, 395, 1, 1, 1, .no_bias = true },
    { "long linear", 3, 70, 90, 24, 40, 1, 1, 1, .no_bias = false },
    { "wide 3x3", 1, 70, 70, 136, 132, 3, 3, 1, .opt = { .pad = 1 } },
    { "wide 3x3 on small maps", 9, 9, 8, 130, 140, 3, 3, 1, .opt = { .pad = 1 } },
    { "large maps", 2, 130, 140, 16, 32, 3, 3, 1, .opt = { .pad = 1, .stride = 2 } },
    { "large maps dilated", 2, 100, 90, 9, 10, 3, 3, 1,
      .opt = { .pad = 12, .dilation = 12 } },
    { "upsampled maps", 2, 60, 50, 32, 32, 3, 3, 1,
      .opt = { .pad = 1, .upsample2 = true } },
};

static void check_large(const gradient_case *g)
{
    gradient_run want = gradient_open(g, VBG_ISA_AVX2, VBG_F32, 1);

    gradient_step(&want);
    for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++)
        for (int t = VBG_F32; t <= VBG_BF16; t++) {
            gradient_run r = gradient_open(g, (vbg_isa)isa, (vbg_dtype)t, 1);
            bool bf16 = vbg_ctx_act(r.c) == VBG_BF16;
            if (bf16 == (t == VBG_BF16)) {
                gradient_step(&r);
                gradient_compare(&r, &want, bf16 ? 2e-2 : 1e-5,
                                 vbg_dtype_name((vbg_dtype)t), isa);
                gradient_threads(&r, (vbg_isa)isa, (vbg_dtype)t);
            }
            gradient_close(&r);
        }
    gradient_close(&want);
}

Test(gemm_back, large_layers, .timeout = 300)
{
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        layer_case l = large[i];
        check_large(
            &(gradient_case){ .name = l.name,
                              .build = build,
                              .params = params,
                              .arg = &l,
                              .in = { { .n = l.n, .h = l.h, .w = l.w, .c = l.c } } });
    }
}

Test(gemm_back, every_kind_of_layer, .timeout = 300)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        layer_case l = cases[i];
        gradient_case g = { .name = l.name,
                            .build = build,
                            .params = params,
                            .arg = &l,
                            .in = { { .n = l.n, .h = l.h, .w = l.w, .c = l.c } } };
        if (l.residual)
            g.in[1] = (gradient_input){ .n = l.n, .h = l.h, .w = l.w, .c = l.oc };
        if (l.opt.act != VBG_ACT_NONE) { /* few values within a step of a kink */
            g.step = vbg_act_from_result(l.opt.act) ? 0x1p-14 : 0x1p-8;
            g.tol = 1e-2;
        }

        g.training = l.batch_norm;
        if (l.batch_norm) { /* curved; gradients that nearly cancel in bf16 */
            g.step = 0x1p-9;
            g.tol = 5e-3;
            g.tol_bf16 = 5e-2;
        }
        gradient_check(&g);
        free(l.packed);
    }
}
