/* From a row of f32 sums to the output: scale, bias, residual, activation,
 * rounding to the output type.  Included after the vector wrapper; shared by
 * every fast matrix product so that they agree in the last bit.
 *
 * Sums come in whole blocks of 16 columns; a last block that the output fills
 * only partly goes value by value. */
#include "kernels/gemm.h"
#include "kernels/ref/act.h"

#include <math.h>

typedef struct vbg_store {
    void *y;
    size_t ldy, oc;
    vbg_dtype yt;
    vbg_epilogue ep;
} vbg_store;

static float act_one(float v, vbg_act act)
{
    return (float)vbg_act_ref((double)v, act);
}

/* Activations that are a few instructions; false for the others. */
static inline bool act_cheap(vbg_act act)
{
    return act == VBG_ACT_NONE || act == VBG_ACT_RELU || act == VBG_ACT_RELU6 ||
           act == VBG_ACT_HSWISH || act == VBG_ACT_HSIGMOID;
}

static inline vf vf_act(vf v, vbg_act act)
{
    const vf zero = vf_zero(), six = vf_set1(6);

    if (act == VBG_ACT_RELU)
        return vf_max(zero, v);
    if (act == VBG_ACT_RELU6)
        return vf_min(six, vf_max(zero, v));
    if (act == VBG_ACT_HSWISH || act == VBG_ACT_HSIGMOID) {
        vf t = vf_min(six, vf_max(zero, vf_add(v, vf_set1(3))));
        t = vf_mul(t, vf_set1(1.0f / 6));
        return act == VBG_ACT_HSWISH ? vf_mul(v, t) : t;
    }
    if (act == VBG_ACT_NONE)
        return v;
    float t[LANES];
    vf_store(t, v);
    for (int i = 0; i < LANES; i++)
        t[i] = act_one(t[i], act);
    return vf_load(t);
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

static float load_one(const void *p, vbg_dtype t, size_t i)
{
    return t == VBG_F32 ? ((const float *)p)[i]
                        : vbg_bf16_to_f32(((const uint16_t *)p)[i]);
}

static void store_one(void *p, vbg_dtype t, size_t i, float v)
{
    if (t == VBG_F32)
        ((float *)p)[i] = v;
    else
        ((uint16_t *)p)[i] = vbg_f32_to_bf16(v);
}

static inline float affine_one(const vbg_epilogue *e, size_t o, float v)
{
    if (e->scale)
        v *= e->scale[o];
    return e->bias ? v + e->bias[o] : v;
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
        store_any(s->y, s->yt, base + i, vf_act(v, e->act));
    }
    for (; i < n; i++) {
        float v = affine_one(e, o0 + i, sums[i]);
        if (e->residual)
            v += load_one(e->residual, s->yt, rbase + i);
        store_one(s->y, s->yt, base + i, act_one(v, e->act));
    }
}

/* a * gelu(b): a = sums [cols] are channels o0.., b = the next cols sums are
 * channels gate + o0.. */
static void store_geglu(const vbg_store *s, const float *sums, size_t pixel, size_t o0,
                        size_t gate, size_t cols)
{
    const size_t base = pixel * s->ldy + o0;

    for (size_t i = 0; i < cols; i += LANES) {
        vf a = affine(&s->ep, o0 + i, vf_load(sums + i));
        vf b = affine(&s->ep, gate + o0 + i, vf_load(sums + cols + i));
        store_any(s->y, s->yt, base + i, vf_mul(a, vf_act(b, VBG_ACT_GELU)));
    }
}
