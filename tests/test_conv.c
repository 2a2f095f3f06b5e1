/* Convolutions of every kind: each level against the reference, poisoned gaps,
 * any cut bit for bit the same, and the reference itself against sums written
 * down by hand. */
#include "tests/gemm_case.h"

typedef struct conv_case {
    int n, h, w, c, oc, k, stride, dil, pad, groups;
    vbg_dtype xt, wt, yt;
    bool bias, scale, residual, upsample2;
    vbg_act act;
    int kw, extra; /* kw when not k; one-sided padding at bottom and right */
} conv_case;

#define F VBG_F32, VBG_F32, VBG_F32
#define H VBG_F32, VBG_BF16, VBG_F32
#define B VBG_BF16, VBG_BF16, VBG_BF16
static const conv_case cases[] = {
    { 1, 3, 3, 1, 1, 3, 1, 1, 1, 1, F, .bias = true },
    { 1, 9, 11, 3, 20, 7, 2, 1, 3, 1, F, .scale = true, .bias = true },
    { 2, 5, 6, 40, 33, 3, 1, 1, 1, 1, F, .residual = true },
    { 1, 8, 7, 24, 32, 3, 1, 2, 2, 1, F, .act = VBG_ACT_RELU },
    { 1, 7, 9, 32, 48, 3, 2, 1, 0, 1, F, .extra = 1 },
    { 1, 6, 6, 64, 64, 3, 1, 1, 1, 4, F, .bias = true },
    { 1, 6, 5, 24, 36, 3, 1, 1, 1, 3, F, .bias = true }, /* 12 wide groups */
    { 1, 5, 8, 20, 18, 3, 1, 1, 1, 1, F, .upsample2 = true, .bias = true },
    { 1, 6, 6, 17, 16, 5, 1, 1, 2, 1, F, .bias = true, .kw = 1 },
    { 1, 9, 9, 300, 32, 3, 1, 1, 1, 1, H, .bias = true, .act = VBG_ACT_SILU },
    { 1, 12, 12, 3, 16, 3, 2, 1, 1, 1, H, .bias = true, .act = VBG_ACT_HSWISH },
    { 1, 7, 7, 33, 17, 3, 1, 1, 1, 1, VBG_F32, VBG_F16, VBG_F32, .bias = true },
    { 1, 9, 9, 16, 32, 1, 2, 1, 0, 1, H, .bias = true },
    /* bf16: rows wider and narrower than a tile, deep and shallow channels */
    { 1, 5, 16, 32, 32, 3, 1, 1, 1, 1, B, .bias = true },
    { 2, 4, 33, 64, 48, 3, 1, 1, 1, 1, B, .bias = true, .residual = true },
    { 3, 8, 8, 64, 64, 3, 1, 1, 1, 1, B, .bias = true },
    { 1, 3, 5, 96, 32, 3, 1, 1, 1, 1, B, .act = VBG_ACT_SILU },
    { 1, 17, 40, 40, 33, 3, 1, 1, 1, 1, VBG_BF16, VBG_BF16, VBG_F32, .scale = true },
    { 1, 20, 20, 4, 320, 3, 1, 1, 1, 1, B, .bias = true },
    { 1, 18, 20, 32, 4, 3, 1, 1, 1, 1, VBG_BF16, VBG_BF16, VBG_F32, .bias = true },
    { 1, 16, 32, 64, 32, 3, 2, 1, 1, 1, B, .bias = true },
    { 1, 17, 35, 32, 32, 3, 2, 1, 0, 1, B, .extra = 1 },
    { 1, 15, 24, 32, 32, 3, 1, 4, 4, 1, B, .bias = true },
    { 1, 9, 18, 64, 64, 3, 1, 1, 1, 1, B, .upsample2 = true, .bias = true },
    { 2, 4, 4, 64, 64, 3, 1, 1, 1, 1, B, .upsample2 = true, .bias = true },
    { 1, 33, 70, 3, 32, 7, 2, 1, 3, 1, B, .bias = true, .act = VBG_ACT_RELU },
    { 1, 8, 20, 64, 64, 3, 1, 1, 1, 2, B, .bias = true },
    { 1, 6, 20, 24, 36, 3, 1, 1, 1, 3, B, .bias = true },
    { 1, 10, 12, 64, 32, 1, 2, 1, 0, 1, B, .bias = true },
    { 1, 12, 30, 64, 32, 1, 1, 1, 0, 1, B, .bias = true, .kw = 5 },
    { 1, 9, 37, 512, 32, 3, 1, 1, 1, 1, B, .bias = true },
    { 2, 3, 2, 128, 64, 3, 1, 1, 1, 1, B, .bias = true },
    { 1, 7, 19, 64, 40, 3, 1, 1, 1, 1, VBG_BF16, VBG_F16, VBG_BF16, .bias = true },
    { 1, 7, 19, 40, 40, 3, 1, 1, 1, 1, VBG_BF16, VBG_F32, VBG_BF16, .bias = true },
};

/* oc is a multiple of c. */
static const conv_case depthwise_cases[] = {
    { 1, 5, 6, 7, 7, 3, 1, 1, 1, 1, F, .bias = true },
    { 2, 8, 9, 32, 32, 3, 2, 1, 1, 1, F, .scale = true, .act = VBG_ACT_RELU6 },
    { 1, 9, 9, 40, 40, 5, 1, 2, 4, 1, F, .bias = true, .act = VBG_ACT_HSWISH },
    { 1, 6, 7, 16, 96, 3, 1, 1, 1, 1, F, .scale = true, .bias = true },
    { 1, 6, 7, 72, 72, 5, 2, 1, 2, 1, VBG_BF16, VBG_F32, VBG_BF16, .bias = true },
    { 1, 5, 4, 1, 24, 3, 1, 1, 1, 1, VBG_BF16, VBG_F32, VBG_F32, .residual = true },
    /* whole rows: four pixels abreast, parts of a vector, multipliers */
    { 1, 7, 23, 24, 24, 3, 1, 1, 1, 1, VBG_BF16, VBG_F32, VBG_BF16, .bias = true },
    { 1, 6, 21, 19, 19, 3, 2, 1, 1, 1, F, .bias = true, .residual = true },
    { 2, 6, 19, 16, 96, 3, 1, 1, 1, 1, VBG_BF16, VBG_F32, VBG_BF16, .bias = true },
    { 1, 5, 18, 5, 80, 3, 2, 1, 1, 1, F, .bias = true, .act = VBG_ACT_RELU },
    { 1, 3, 2, 32, 32, 5, 1, 4, 8, 1, F, .bias = true },
};

/* stride is the factor, pad the transposed convolution's own padding. */
static const conv_case transpose_cases[] = {
    { 1, 3, 4, 5, 3, 2, 2, 1, 0, 1, F, .bias = true },
    { 2, 4, 3, 35, 17, 3, 2, 1, 1, 1, F, .scale = true, .act = VBG_ACT_RELU },
    { 1, 4, 4, 16, 1, 4, 2, 1, 1, 1, VBG_BF16, VBG_F32, VBG_BF16, .bias = true },
    { 1, 5, 5, 33, 33, 3, 1, 1, 1, 1, VBG_BF16, VBG_F32, VBG_F32, .bias = true },
    /* without overlap */
    { 1, 5, 7, 16, 1, 2, 2, 1, 0, 1, VBG_BF16, VBG_F32, VBG_BF16, .bias = true },
    { 2, 3, 6, 37, 4, 2, 2, 1, 0, 1, F, .scale = true, .act = VBG_ACT_SIGMOID },
};

typedef enum kind { PACKED, DEPTHWISE, TRANSPOSE } kind;

typedef struct operands {
    matrix x, res;
    void *w;
    float *bias, *scale;
    vbg_conv_args a;
} operands;

static operands operands_new(const conv_case *t, kind what, bool absolute)
{
    const int up = t->upsample2 ? 2 : 1, kw = t->kw ? t->kw : t->k;
    uint64_t seed = 5;
    operands o = { .a = { .n = t->n,
                          .h = t->h,
                          .w_in = t->w,
                          .c = t->c,
                          .oc = t->oc,
                          .kh = t->k,
                          .kw = kw,
                          .stride_y = t->stride,
                          .stride_x = t->stride,
                          .pad_top = t->pad,
                          .pad_left = t->pad,
                          .dil_y = t->dil,
                          .dil_x = t->dil,
                          .groups = t->groups,
                          .xt = t->xt,
                          .wt = t->wt,
                          .yt = t->yt,
                          .upsample2 = t->upsample2 } };
    vbg_conv_args *a = &o.a;

    if (what == TRANSPOSE) {
        a->oh = (t->h - 1) * t->stride + t->k - 2 * t->pad + t->extra;
        a->ow = (t->w - 1) * t->stride + kw - 2 * t->pad + t->extra;
    } else {
        int pads = 2 * t->pad + t->extra;
        a->oh = (t->h * up + pads - t->dil * (t->k - 1) - 1) / t->stride + 1;
        a->ow = (t->w * up + pads - t->dil * (kw - 1) - 1) / t->stride + 1;
    }
    size_t rows = (size_t)t->n * (size_t)a->oh * (size_t)a->ow;
    size_t in = (size_t)t->n * (size_t)t->h * (size_t)t->w;
    size_t c = (size_t)(t->c / t->groups), oc = (size_t)t->oc;
    size_t taps = (size_t)(t->k * kw);
    o.x = matrix_new(t->xt, in, (size_t)t->c, (size_t)t->c + 4);
    o.res = matrix_new(t->yt, rows, oc, oc + 2);
    matrix_fill(&o.x, &seed, absolute);
    matrix_fill(&o.res, &seed, absolute);
    o.w =
        what == PACKED
            ? case_weights(t->wt, oc, c, (size_t)t->k, (size_t)kw, 11, absolute)
            : (void *)case_vector(taps * oc * (what == TRANSPOSE ? c : 1), 11, absolute);
    o.bias = case_vector(oc, 13, absolute);
    o.scale = case_vector(oc, 17, absolute);
    a->x = o.x.data;
    a->ldx = o.x.ld;
    a->w = o.w;
    a->ep = (vbg_epilogue){ .bias = t->bias ? o.bias : NULL,
                            .scale = t->scale ? o.scale : NULL,
                            .residual = t->residual && !absolute ? o.res.data : NULL,
                            .ldr = o.res.ld,
                            .act = absolute ? VBG_ACT_NONE : t->act };
    return o;
}

static void operands_free(operands *o)
{
    matrix_free(&o->x);
    matrix_free(&o->res);
    free(o->w);
    free(o->bias);
    free(o->scale);
}

static matrix run(const vbg_gemm_kernels *k, operands *o, kind what, size_t rows,
                  size_t blocks, vbg_dtype yt)
{
    vbg_conv_args *a = &o->a;
    size_t oc = (size_t)a->oc, all = (oc + 15) / 16, m = (size_t)a->n * (size_t)a->oh;
    matrix y = matrix_new(yt, m * (size_t)a->ow, oc, oc + 9);

    a->y = y.data;
    a->ldy = y.ld;
    a->yt = yt;
    void *scratch = vbg_alloc(what == PACKED ? k->conv_scratch(a) + 64 : 64);
    for (size_t r = 0; r < m; r += rows) {
        size_t end = r + rows < m ? r + rows : m;
        if (what == DEPTHWISE)
            k->depthwise(a, r, end);
        else if (what == TRANSPOSE)
            k->transpose(a, r, end);
        for (size_t b = 0; b < all && what == PACKED; b += blocks)
            k->conv(a, r, end, b, b + blocks < all ? b + blocks : all, scratch);
    }
    vbg_free_mem(scratch);
    return y;
}

static void check(const conv_case *t, kind what)
{
    char name[160];
    snprintf(name, sizeof name,
             "conv kind %d [%d,%d,%d,%d] oc %d k %d s %d d %d p %d g %d %s %s", what,
             t->n, t->h, t->w, t->c, t->oc, t->k, t->stride, t->dil, t->pad, t->groups,
             vbg_dtype_name(t->xt), vbg_dtype_name(t->wt));
    vbg_gemm_kernels k;
    case_kernels(&k, VBG_ISA_REF);
    operands o = operands_new(t, what, false), abs = operands_new(t, what, true);
    matrix want = run(&k, &o, what, 1000, 1000, t->yt);
    matrix mag = run(&k, &abs, what, 1000, 1000, VBG_F32);
    size_t sums = (size_t)(t->k * (t->kw ? t->kw : t->k) * t->c / t->groups);
    for (size_t r = 0; r < mag.rows; r++)
        for (size_t c = 0; c < mag.cols; c++)
            matrix_set(&mag, r, c, matrix_get(&mag, r, c) + 1); /* the residual */

    for (int isa = 0; isa < VBG_ISA_COUNT; isa++) {
        if (!case_kernels(&k, (vbg_isa)isa))
            continue;
        matrix y = run(&k, &o, what, 1000, 1000, t->yt);
        case_compare(name, (vbg_isa)isa, &y, &want, &mag, sums);
        matrix cut = run(&k, &o, what, 3, 1, t->yt);
        cr_assert(memcmp(y.data, cut.data, y.bytes) == 0, "%s %s: depends on the cut",
                  name, vbg_isa_name((vbg_isa)isa));
        matrix_free(&y);
        matrix_free(&cut);
    }
    operands_free(&o);
    operands_free(&abs);
    matrix_free(&want);
    matrix_free(&mag);
}

Test(conv, every_level)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i], PACKED);
}

Test(conv, depthwise)
{
    for (size_t i = 0; i < sizeof depthwise_cases / sizeof *depthwise_cases; i++)
        check(&depthwise_cases[i], DEPTHWISE);
}

Test(conv, transposed)
{
    for (size_t i = 0; i < sizeof transpose_cases / sizeof *transpose_cases; i++)
        check(&transpose_cases[i], TRANSPOSE);
}

/* The reference by hand: a 3x3 picture of 1..9 and a kernel of 1..9. */
Test(conv, reference_by_hand)
{
    float x[9], w[9], packed[16 * 9], y[9];
    static const float same[9] = { 94, 154, 106, 186, 285, 186, 106, 154, 94 };
    vbg_gemm_kernels k;

    for (int i = 0; i < 9; i++)
        x[i] = w[i] = (float)(i + 1);
    vbg_pack(packed, VBG_F32, w, 1, 1, 3, 3);
    vbg_conv_args a = { .x = x,
                        .ldx = 1,
                        .w = packed,
                        .y = y,
                        .ldy = 1,
                        .n = 1,
                        .h = 3,
                        .w_in = 3,
                        .c = 1,
                        .oh = 3,
                        .ow = 3,
                        .oc = 1,
                        .kh = 3,
                        .kw = 3,
                        .stride_y = 1,
                        .stride_x = 1,
                        .pad_top = 1,
                        .pad_left = 1,
                        .dil_y = 1,
                        .dil_x = 1,
                        .groups = 1 };
    case_kernels(&k, VBG_ISA_REF);
    k.conv(&a, 0, 3, 0, 1, NULL);
    for (int i = 0; i < 9; i++)
        cr_assert(y[i] == same[i], "[%d] is %g, not %g", i, (double)y[i],
                  (double)same[i]);
    /* transposed, 2x2 input, stride 2, no padding: y = sum x * w at 2*i + k */
    vbg_conv_args t = { .x = x,
                        .ldx = 1,
                        .w = w,
                        .y = y,
                        .ldy = 1,
                        .n = 1,
                        .h = 1,
                        .w_in = 2,
                        .c = 1,
                        .oh = 1,
                        .ow = 4,
                        .oc = 1,
                        .kh = 1,
                        .kw = 2,
                        .stride_y = 2,
                        .stride_x = 2,
                        .dil_y = 1,
                        .dil_x = 1,
                        .groups = 1 };
    k.transpose(&t, 0, 1);
    cr_assert(y[0] == 1 && y[1] == 2 && y[2] == 2 && y[3] == 4);
}
