/* From a row of f32 sums to the output: scale, bias, residual, activation,
 * rounding to the output type.  Included after the vector wrapper; shared by
 * every fast matrix product so that they agree in the last bit.
 *
 * Sums come in whole blocks of 16 columns; of a last block that the output fills
 * only partly, the lanes that exist are written. */
#include "kernels/gemm.h"

typedef struct vbg_store {
    void *y;
    size_t ldy, oc;
    vbg_dtype yt;
    vbg_epilogue ep;
} vbg_store;

/* e^x, within 2 units in the last place; beyond +-87 it stays at the border. */
static inline vf vf_exp(vf x)
{
    x = vf_min(vf_set1(87.5f), vf_max(vf_set1(-87.0f), x));
    vf n = vf_round(vf_mul(x, vf_set1(1.44269504f)));
    vf r = vf_fma(n, vf_set1(-0.693145752f), x); /* ln 2 in two parts */
    r = vf_fma(n, vf_set1(-1.42860677e-6f), r);
    vf p = vf_set1(1.0f / 720);
    p = vf_fma(p, r, vf_set1(1.0f / 120));
    p = vf_fma(p, r, vf_set1(1.0f / 24));
    p = vf_fma(p, r, vf_set1(1.0f / 6));
    p = vf_fma(p, r, vf_set1(0.5f));
    p = vf_fma(p, r, vf_set1(1));
    p = vf_fma(p, r, vf_set1(1));
    return vf_scale2(p, n);
}

/* 1 / (1 + e^-x) */
static inline vf vf_sigmoid(vf x)
{
    vf one = vf_set1(1);
    return vf_div(one, vf_add(one, vf_exp(vf_sub(vf_zero(), x))));
}

/* x * Phi(x), absolute error below 1e-7 |x|.  With h = erfc(|x|/sqrt 2)/2 it is
 * x - x h above zero and x h below.  erfc: Abramowitz and Stegun 7.1.26. */
static inline vf vf_gelu(vf x)
{
    vf z = vf_mul(vf_abs(x), vf_set1(0.707106781f));
    vf t = vf_div(vf_set1(1), vf_fma(z, vf_set1(0.3275911f), vf_set1(1)));
    vf p = vf_set1(0.5f * 1.061405429f);
    p = vf_fma(p, t, vf_set1(0.5f * -1.453152027f));
    p = vf_fma(p, t, vf_set1(0.5f * 1.421413741f));
    p = vf_fma(p, t, vf_set1(0.5f * -0.284496736f));
    p = vf_fma(p, t, vf_set1(0.5f * 0.254829592f));
    vf h = vf_mul(vf_mul(p, t), vf_exp(vf_sub(vf_zero(), vf_mul(z, z))));
    vf xh = vf_mul(x, h);
    return vf_if_negative(x, xh, vf_sub(x, xh));
}

/* The same for results that are rounded to bf16: Phi as an odd polynomial on
 * [-4, 4], minimax in x Phi(x), error 4e-5 inside and 8e-5 |x| beyond. */
static inline vf vf_gelu_fast(vf x)
{
    vf v = vf_min(vf_set1(4), vf_max(vf_set1(-4), x)), u = vf_mul(v, v);
    vf p = vf_set1(-1.30128047e-09f);
    p = vf_fma(p, u, vf_set1(1.04195191e-07f));
    p = vf_fma(p, u, vf_set1(-3.65711199e-06f));
    p = vf_fma(p, u, vf_set1(7.48547852e-05f));
    p = vf_fma(p, u, vf_set1(-0.00100648864f));
    p = vf_fma(p, u, vf_set1(0.00950539212f));
    p = vf_fma(p, u, vf_set1(-0.0658878327f));
    p = vf_fma(p, u, vf_set1(0.398673388f));
    return vf_mul(x, vf_fma(p, v, vf_set1(0.5f)));
}

static inline vf vf_act(vf v, vbg_act act)
{
    const vf zero = vf_zero(), six = vf_set1(6);

    switch (act) {
    case VBG_ACT_NONE:
        return v;
    case VBG_ACT_RELU:
        return vf_max(zero, v);
    case VBG_ACT_RELU6:
        return vf_min(six, vf_max(zero, v));
    case VBG_ACT_SILU:
        return vf_mul(v, vf_sigmoid(v));
    case VBG_ACT_GELU:
        return vf_gelu(v);
    case VBG_ACT_QUICK_GELU:
        return vf_mul(v, vf_sigmoid(vf_mul(v, vf_set1(1.702f))));
    case VBG_ACT_HSWISH:
    case VBG_ACT_HSIGMOID: {
        vf t = vf_min(six, vf_max(zero, vf_add(v, vf_set1(3))));
        t = vf_mul(t, vf_set1(1.0f / 6));
        return act == VBG_ACT_HSWISH ? vf_mul(v, t) : t;
    }
    case VBG_ACT_SIGMOID:
        return vf_sigmoid(v);
    case VBG_ACT_TANH: /* 2 sigmoid(2x) - 1 */
        return vf_sub(vf_mul(vf_set1(2), vf_sigmoid(vf_add(v, v))), vf_set1(1));
    default: /* not fused */
        return v;
    }
}

static inline vf load_any(const void *p, vbg_dtype t, size_t i)
{
    return t == VBG_F32 ? vf_load((const float *)p + i)
                        : vf_load_bf16((const uint16_t *)p + i);
}

static inline void store_any(void *p, vbg_dtype t, size_t i, vf v)
{
    if (t == VBG_F32)
        vf_store((float *)p + i, v);
    else
        vf_store_bf16((uint16_t *)p + i, v);
}

static inline vf load_any_n(const void *p, vbg_dtype t, size_t i, size_t n)
{
    return t == VBG_F32 ? vf_load_n((const float *)p + i, n)
                        : vf_load_bf16_n((const uint16_t *)p + i, n);
}

static inline void store_any_n(void *p, vbg_dtype t, size_t i, vf v, size_t n)
{
    if (t == VBG_F32)
        vf_store_n((float *)p + i, v, n);
    else
        vf_store_bf16_n((uint16_t *)p + i, v, n);
}

static inline float load_one(const void *p, vbg_dtype t, size_t i)
{
    return t == VBG_F32 ? ((const float *)p)[i]
                        : vbg_bf16_to_f32(((const uint16_t *)p)[i]);
}

/* The frequent ones without a call. */
static inline vf vf_act_quick(vf v, vbg_act act)
{
    if (act == VBG_ACT_NONE)
        return v;
    return act == VBG_ACT_RELU ? vf_max(vf_zero(), v) : vf_act(v, act);
}

static inline vf affine(const vbg_epilogue *e, size_t o, vf v)
{
    if (e->scale)
        v = vf_mul(v, vf_load(e->scale + o));
    return e->bias ? vf_add(v, vf_load(e->bias + o)) : v;
}

/* sums [cols], cols a multiple of 16, are output channels o0.. of a pixel. */
static void store_row(const vbg_store *s, const float *sums, size_t pixel, size_t o0,
                      size_t cols)
{
    const vbg_epilogue *e = &s->ep;
    const size_t base = pixel * s->ldy + o0, rbase = pixel * e->ldr + o0;
    size_t n = s->oc - o0 < cols ? s->oc - o0 : cols, i = 0;

    for (; i + LANES <= n; i += LANES) {
        vf v = affine(e, o0 + i, vf_load(sums + i));
        if (e->residual)
            v = vf_add(v, load_any(e->residual, s->yt, rbase + i));
        store_any(s->y, s->yt, base + i, vf_act_quick(v, e->act));
    }
    if (i == n)
        return;
    vf v = vf_load_n(sums + i, n - i); /* a block that the output fills partly */
    if (e->scale)
        v = vf_mul(v, vf_load_n(e->scale + o0 + i, n - i));
    if (e->bias)
        v = vf_add(v, vf_load_n(e->bias + o0 + i, n - i));
    if (e->residual)
        v = vf_add(v, load_any_n(e->residual, s->yt, rbase + i, n - i));
    store_any_n(s->y, s->yt, base + i, vf_act_quick(v, e->act), n - i);
}

/* a * gelu(b): a = sums [cols] are channels o0.., b = the next cols sums are
 * channels gate + o0.. */
static inline void store_geglu(const vbg_store *s, const float *sums, size_t pixel,
                               size_t o0, size_t gate, size_t cols)
{
    const size_t base = pixel * s->ldy + o0;

    for (size_t i = 0; i < cols; i += LANES) {
        vf a = affine(&s->ep, o0 + i, vf_load(sums + i));
        vf b = affine(&s->ep, gate + o0 + i, vf_load(sums + cols + i));
        store_any(s->y, s->yt, base + i, vf_mul(a, vf_act(b, VBG_ACT_GELU)));
    }
}
