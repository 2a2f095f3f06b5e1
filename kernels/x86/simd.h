/* One f32 vector type for AVX2 (8 lanes) and AVX-512 (16 lanes), so that a kernel's
 * text serves both (the *_tmpl.h files).  Only static inline functions: the linker
 * can never pick an AVX-512 copy of something for a plain caller.
 *
 *   vf_get / vf_put        whole vectors of f32 or bf16 at element i
 *   vf_get_n / vf_put_n    the first n lanes; others read as zero, stay unwritten
 *   vf_exp, vf_sigmoid, vf_erf, vf_tanh, vf_act     a few ulp, see each
 *
 * Polynomials were fitted for this project (minimax in the relative error).
 * min and max keep NaN when it is the second argument. */
#ifndef VBG_KERNELS_X86_SIMD_H
#define VBG_KERNELS_X86_SIMD_H

#include "kernels/gemm.h" /* vbg_act */

#include <immintrin.h>
#include <string.h>

/* Unrolls the next loop of at most 32 rounds: arrays of vectors must end up in
 * registers, which neither compiler arranges by itself at -O2. */
#ifdef __clang__
#define VF_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VF_UNROLL _Pragma("GCC unroll 32")
#endif
/* For the inner blocks whose sizes must become constants. */
#define VF_INLINE static inline __attribute__((always_inline))

#ifdef __AVX512F__
enum { VF = 16 };
typedef __m512 vf;
typedef __m512i vi;

static inline vf vf_set1(float v)
{
    return _mm512_set1_ps(v);
}
static inline vf vf_zero(void)
{
    return _mm512_setzero_ps();
}
static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void vf_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}
static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static inline vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
static inline vf vf_sqrt(vf a)
{
    return _mm512_sqrt_ps(a);
}
/* a*b + c */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
/* c - a*b */
static inline vf vf_fnma(vf a, vf b, vf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}
static inline vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
static inline vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
/* x > 0 ? a : b */
static inline vf vf_if_positive(vf x, vf a, vf b)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, vf_zero(), _CMP_GT_OQ), b, a);
}
static inline vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* 1/a to about 1 ulp for normal a whose reciprocal is normal. */
static inline vf vf_rcp(vf a)
{
    vf r = _mm512_rcp14_ps(a);
    return vf_fma(r, vf_fnma(a, r, vf_set1(1)), r);
}
/* a * 2^n for whole n; under- and overflow as they should be. */
static inline vf vf_scale2(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}
static inline float vf_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}
static inline float vf_top(vf a)
{
    return _mm512_reduce_max_ps(a);
}
static inline __mmask16 vf_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}
static inline vf vf_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(vf_mask(n), p);
}
static inline void vf_store_n(float *p, vf v, size_t n)
{
    _mm512_mask_storeu_ps(p, vf_mask(n), v);
}
/* Lanes from n on become pad. */
static inline vf vf_fill_n(vf v, vf pad, size_t n)
{
    return _mm512_mask_mov_ps(pad, vf_mask(n), v);
}
static inline vf vf_widen16(__m256i h)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
static inline vf vf_load_bf16(const uint16_t *p)
{
    return vf_widen16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vf vf_load_bf16_n(const uint16_t *p, size_t n)
{
    return vf_widen16(_mm256_maskz_loadu_epi16(vf_mask(n), p));
}
/* Round to nearest even; NaN stays NaN. */
static inline __m256i vf_narrow16(vf v)
{
#ifdef __AVX512BF16__
    __m256bh h = _mm512_cvtneps_pbh(v);
    __m256i r;
    memcpy(&r, &h, sizeof r);
    return r;
#else
    vi u = _mm512_castps_si512(v), odd = _mm512_srli_epi32(u, 16);
    odd = _mm512_and_si512(odd, _mm512_set1_epi32(1));
    vi r = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    r = _mm512_mask_or_epi32(r, nan, u, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16));
#endif
}
static inline void vf_store_bf16(uint16_t *p, vf v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, vf_narrow16(v));
}
static inline void vf_store_bf16_n(uint16_t *p, vf v, size_t n)
{
    _mm256_mask_storeu_epi16(p, vf_mask(n), vf_narrow16(v));
}

/* r[i] lane j becomes r[j] lane i. */
VF_INLINE void vf_transpose(vf r[16])
{
    vf t[16];

    VF_UNROLL
    for (size_t i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    VF_UNROLL
    for (size_t i = 0; i < 16; i += 4) {
        __m512d a = _mm512_castps_pd(t[i]), b = _mm512_castps_pd(t[i + 1]);
        __m512d c = _mm512_castps_pd(t[i + 2]), d = _mm512_castps_pd(t[i + 3]);
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    VF_UNROLL
    for (size_t i = 0; i < 4; i++) { /* 4x4 of 128-bit lanes */
        vf a = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        vf b = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        vf c = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        vf d = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
        t[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        t[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        t[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
    VF_UNROLL
    for (size_t i = 0; i < 16; i++)
        r[i] = t[i];
}

#else /* AVX2 */
enum { VF = 8 };
typedef __m256 vf;
typedef __m256i vi;

static inline vf vf_set1(float v)
{
    return _mm256_set1_ps(v);
}
static inline vf vf_zero(void)
{
    return _mm256_setzero_ps();
}
static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void vf_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}
static inline vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
static inline vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
static inline vf vf_sqrt(vf a)
{
    return _mm256_sqrt_ps(a);
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf vf_fnma(vf a, vf b, vf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}
static inline vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
static inline vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
static inline vf vf_if_positive(vf x, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, vf_zero(), _CMP_GT_OQ));
}
static inline vf vf_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf vf_rcp(vf a)
{
    return _mm256_div_ps(vf_set1(1), a);
}
/* 2^n for whole n in -126..127. */
static inline vf vf_pow2(vi n)
{
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
/* In two halves, so that |n| may reach 250. */
static inline vf vf_scale2(vf a, vf n)
{
    vi whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return vf_mul(vf_mul(a, vf_pow2(half)), vf_pow2(_mm256_sub_epi32(whole, half)));
}
static inline float vf_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
static inline float vf_top(vf a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
static inline vi vf_mask(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vf vf_load_n(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, vf_mask(n));
}
static inline void vf_store_n(float *p, vf v, size_t n)
{
    _mm256_maskstore_ps(p, vf_mask(n), v);
}
static inline vf vf_fill_n(vf v, vf pad, size_t n)
{
    return _mm256_blendv_ps(pad, v, _mm256_castsi256_ps(vf_mask(n)));
}
static inline vf vf_load_bf16(const uint16_t *p)
{
    __m128i h = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
static inline vf vf_load_bf16_n(const uint16_t *p, size_t n)
{
    uint16_t lanes[8] = { 0 };
    memcpy(lanes, p, n * sizeof *p);
    return vf_load_bf16(lanes);
}
static inline __m128i vf_narrow16(vf v)
{
    vi u = _mm256_castps_si256(v), odd = _mm256_srli_epi32(u, 16);
    odd = _mm256_and_si256(odd, _mm256_set1_epi32(1));
    vi r = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    vi nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    r = _mm256_blendv_epi8(r, _mm256_or_si256(u, _mm256_set1_epi32(0x400000)), nan);
    r = _mm256_srli_epi32(r, 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256(r, 1));
}
static inline void vf_store_bf16(uint16_t *p, vf v)
{
    _mm_storeu_si128((__m128i *)(void *)p, vf_narrow16(v));
}
static inline void vf_store_bf16_n(uint16_t *p, vf v, size_t n)
{
    uint16_t lanes[8];
    vf_store_bf16(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}
VF_INLINE void vf_transpose(vf r[8])
{
    vf t[8];

    VF_UNROLL
    for (size_t i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    VF_UNROLL
    for (size_t i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    VF_UNROLL
    for (size_t i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    VF_UNROLL
    for (size_t i = 0; i < 8; i++)
        r[i] = t[i];
}
#endif

/* Element i of p on, f32 or bf16. */
static inline vf vf_get(const void *p, vbg_dtype t, size_t i)
{
    return t == VBG_BF16 ? vf_load_bf16((const uint16_t *)p + i)
                         : vf_load((const float *)p + i);
}
static inline vf vf_get_n(const void *p, vbg_dtype t, size_t i, size_t n)
{
    return t == VBG_BF16 ? vf_load_bf16_n((const uint16_t *)p + i, n)
                         : vf_load_n((const float *)p + i, n);
}
static inline void vf_put(void *p, vbg_dtype t, size_t i, vf v)
{
    if (t == VBG_BF16)
        vf_store_bf16((uint16_t *)p + i, v);
    else
        vf_store((float *)p + i, v);
}
static inline void vf_put_n(void *p, vbg_dtype t, size_t i, vf v, size_t n)
{
    if (t == VBG_BF16)
        vf_store_bf16_n((uint16_t *)p + i, v, n);
    else
        vf_store_n((float *)p + i, v, n);
}

/* Polynomial c[0] + c[1] x + ... + c[last] x^last. */
static inline vf vf_poly(vf x, const float *c, int last)
{
    vf r = vf_set1(c[last]);
    VF_UNROLL
    for (int i = last - 1; i >= 0; i--)
        r = vf_fma(r, x, vf_set1(c[i]));
    return r;
}

/* 2^t within 2 ulp; t above 150 must not occur, below -150 gives 0. */
static inline vf vf_exp2(vf t)
{
    static const float c[] = { 1.0f,           0.693147206f,   0.240226469f,
                               0.0555032878f,  0.00961848899f, 0.00133999311f,
                               0.000153458029f };
    t = vf_max(vf_set1(-160), t);
    vf n = vf_round(t);
    return vf_scale2(vf_poly(vf_sub(t, n), c, 6), n);
}

/* e^x within 2 ulp; 0 below -104, infinity above 89; NaN stays. */
static inline vf vf_exp(vf x)
{
    static const float c[] = { 1.0f,          1.0f,           0.499999921f,  0.166664202f,
                               0.0416682257f, 0.00837481576f, 0.00138368378f };
    x = vf_max(vf_set1(-105), vf_min(vf_set1(105), x));
    vf n = vf_round(vf_mul(x, vf_set1(1.44269504f)));
    vf r = vf_fnma(n, vf_set1(0.693145752f), x); /* ln 2, 16 bits and the rest */
    r = vf_fnma(n, vf_set1(1.42860677e-6f), r);
    return vf_scale2(vf_poly(r, c, 6), n);
}

/* 1 / (1 + e^-x) within 4 ulp above -80 (there 2e-35). */
static inline vf vf_sigmoid(vf x)
{
    /* -80 below: a denormal e^-x costs a hundred cycles in the addition and adds
     * nothing */
    vf m = vf_max(vf_set1(-80), vf_min(vf_set1(80), vf_sub(vf_zero(), x)));
    vf e = vf_exp(m);
    return vf_rcp(vf_add(e, vf_set1(1)));
}

/* Relative error 1.5e-4: for results that are stored as bf16 (2e-3). */
VF_INLINE vf vf_sigmoid_coarse(vf x)
{
#ifdef __AVX512F__
    enum { FLOOR = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC };
    static const float c[] = { 0.999925219f, 0.695833538f, 0.226067164f, 0.0780245168f };
    vf t = vf_max(vf_set1(-126), vf_mul(x, vf_set1(-1.44269504f))); /* no denormals */
    vf e = _mm512_scalef_ps(vf_poly(_mm512_reduce_ps(t, FLOOR), c, 3), t);
    return _mm512_rcp14_ps(vf_add(e, vf_set1(1)));
#else
    return vf_sigmoid(x);
#endif
}

/* erf(x/sqrt(2)), relative error 3e-7. */
static inline vf vf_erf_sqrt2(vf x)
{
    static const float p[] = { 0.797884548f,   0.0669139781f,  0.00930272559f,
                               0.00032910889f, 1.26029156e-5f, 4.58651055e-8f };
    static const float q[] = { 1.0f,           0.250530637f,   0.0284150342f,
                               0.00186053558f, 7.21608895e-5f, 1.19906e-6f };
    x = vf_max(vf_set1(-5.5f), vf_min(vf_set1(5.5f), x));
    vf u = vf_mul(x, x);
    vf r = vf_mul(vf_mul(x, vf_poly(u, p, 5)), vf_rcp(vf_poly(u, q, 5)));
    return vf_max(vf_set1(-1), vf_min(vf_set1(1), r));
}

/* Relative error 3e-7. */
static inline vf vf_tanh(vf x)
{
    static const float p[] = { 1.0f,           0.136808943f,   0.00386955512f,
                               2.80322391e-5f, 3.06446554e-8f, -1.2247716e-11f };
    static const float q[] = { 1.0f, 0.470142264f, 0.02725033f, 0.00039407957f,
                               1.28909861e-6f };
    x = vf_max(vf_set1(-9), vf_min(vf_set1(9), x));
    vf u = vf_mul(x, x);
    vf r = vf_mul(vf_mul(x, vf_poly(u, p, 5)), vf_rcp(vf_poly(u, q, 4)));
    return vf_max(vf_set1(-1), vf_min(vf_set1(1), r));
}

/* x Phi(x); absolute error 3e-7 |x|. */
static inline vf vf_gelu(vf x)
{
    vf h = vf_mul(x, vf_set1(0.5f));
    return vf_fma(h, vf_erf_sqrt2(x), h);
}

static inline vf vf_hsigmoid(vf x)
{
    vf y = vf_max(vf_zero(), vf_min(vf_set1(6), vf_add(x, vf_set1(3))));
    return vf_mul(y, vf_set1(1.0f / 6));
}

/* 2 sqrt(2/pi) (x + 0.044715 x^3), for |x| below 1e12 */
static inline vf vf_gelu_tanh_gate(vf x)
{
    vf u = vf_fma(vf_mul(x, x), vf_set1(0.0713548163f), vf_set1(1.59576912f));
    return vf_mul(x, u);
}

/* log(1 + e^x), absolute error 2e-7: log(1 + e) = 2 artanh(e / (2 + e)), e <= 1 */
static inline vf vf_softplus(vf x)
{
    static const float c[] = { 2.0f,        0.66666667f, 0.4f,        0.285714286f,
                               0.22222222f, 0.18181818f, 0.15384615f, 0.13333333f };
    vf e = vf_exp(vf_sub(vf_min(vf_zero(), x), vf_max(vf_zero(), x)));
    vf s = vf_mul(e, vf_rcp(vf_add(e, vf_set1(2))));
    vf l = vf_mul(s, vf_poly(vf_mul(s, s), c, 7));
    return vf_add(vf_max(vf_zero(), x), l);
}

/* e^x - 1 for x < 0, absolute error 2e-7 */
static inline vf vf_elu(vf x)
{
    vf y = vf_sub(vf_exp(vf_min(vf_zero(), x)), vf_set1(1));
    return vf_if_positive(x, x, y);
}

/* The activations of kernels/gemm.h.  The branches are the same for every vector
 * of a call, so they cost next to nothing. */
static inline vf vf_act(vf x, vbg_act act)
{
    if (act == VBG_ACT_NONE)
        return x;
    if (act == VBG_ACT_RELU)
        return vf_max(vf_zero(), x);
    if (act == VBG_ACT_SILU)
        return vf_mul(x, vf_sigmoid(x));
    if (act == VBG_ACT_GELU)
        return vf_gelu(x);
    switch (act) {
    case VBG_ACT_RELU6:
        return vf_max(vf_zero(), vf_min(vf_set1(6), x));
    case VBG_ACT_QUICK_GELU:
        return vf_mul(x, vf_sigmoid(vf_mul(x, vf_set1(1.702f))));
    case VBG_ACT_HSWISH:
        return vf_mul(x, vf_hsigmoid(x));
    case VBG_ACT_HSIGMOID:
        return vf_hsigmoid(x);
    case VBG_ACT_SIGMOID:
        return vf_sigmoid(x);
    case VBG_ACT_GELU_TANH:
        return vf_mul(x, vf_sigmoid(vf_gelu_tanh_gate(x)));
    case VBG_ACT_LEAKY_RELU:
        return vf_max(x, vf_mul(x, vf_set1(0.1f)));
    case VBG_ACT_ELU:
        return vf_elu(x);
    case VBG_ACT_SOFTPLUS:
        return vf_softplus(x);
    case VBG_ACT_EXP:
        return vf_exp(x);
    default:
        return vf_tanh(x);
    }
}

/* s(f) + x df s(f) s(-f): slope of x times the logistic function s of f(x).  Beyond
 * |f| = 80 nothing is left of the second term. */
static inline vf vf_gated_slope(vf x, vf f, vf df)
{
    vf m = vf_max(vf_set1(-80), vf_min(vf_set1(80), vf_sub(vf_zero(), f)));
    vf e = vf_exp(m), s = vf_rcp(vf_add(e, vf_set1(1)));
    return vf_fma(vf_mul(x, df), vf_mul(vf_mul(e, s), s), s);
}

/* gelu(x) as vf_gelu has it, and its slope phi(x) + x phi'(x). */
static inline vf vf_gelu_slope(vf x, vf *slope)
{
    vf v = vf_max(vf_set1(-15), vf_min(vf_set1(15), x)), half = vf_set1(0.5f);
    vf bell = vf_exp(vf_mul(vf_mul(v, v), vf_set1(-0.5f)));
    vf erf = vf_erf_sqrt2(v), h = vf_mul(x, half);

    *slope = vf_fma(vf_mul(v, bell), vf_set1(0.39894228f), vf_fma(erf, half, half));
    return vf_fma(h, erf, h);
}

/* The derivative of vf_act, absolute error 1e-6; at kinks as PyTorch has it. */
static inline vf vf_act_slope(vf x, vbg_act act)
{
    const vf one = vf_set1(1), zero = vf_zero();

    if (act == VBG_ACT_NONE)
        return one;
    if (act == VBG_ACT_RELU)
        return vf_if_positive(x, one, zero);
    if (act == VBG_ACT_GELU) {
        vf slope;
        vf_gelu_slope(x, &slope);
        return slope;
    }
    vf v = vf_max(vf_set1(-80), vf_min(vf_set1(80), x)), s;
    switch (act) {
    case VBG_ACT_SILU:
        return vf_gated_slope(v, v, one);
    case VBG_ACT_RELU6:
        return vf_if_positive(x, vf_if_positive(vf_sub(vf_set1(6), x), one, zero), zero);
    case VBG_ACT_QUICK_GELU:
        return vf_gated_slope(v, vf_mul(v, vf_set1(1.702f)), vf_set1(1.702f));
    case VBG_ACT_GELU_TANH:
        s = vf_fma(vf_mul(v, v), vf_set1(0.214064449f), vf_set1(1.59576912f));
        return vf_gated_slope(v, vf_gelu_tanh_gate(v), s);
    case VBG_ACT_HSWISH:
        s = vf_fma(v, vf_set1(1.0f / 3), vf_set1(0.5f));
        s = vf_if_positive(vf_sub(vf_set1(3), v), s, one);
        return vf_if_positive(vf_sub(vf_set1(-3), v), zero, s);
    case VBG_ACT_HSIGMOID:
        s = vf_if_positive(vf_sub(vf_set1(3), v), vf_set1(1.0f / 6), zero);
        return vf_if_positive(vf_add(v, vf_set1(3)), s, zero);
    case VBG_ACT_SIGMOID:
        s = vf_sigmoid(v);
        return vf_mul(s, vf_sigmoid(vf_sub(zero, v)));
    case VBG_ACT_LEAKY_RELU:
        return vf_if_positive(x, one, vf_set1(0.1f));
    case VBG_ACT_ELU:
        return vf_if_positive(x, one, vf_exp(v));
    case VBG_ACT_SOFTPLUS:
        return vf_sigmoid(v);
    case VBG_ACT_EXP:
        return vf_exp(x);
    default: /* tanh: 4 s(2x) s(-2x) */
        s = vf_mul(vf_set1(2), v);
        return vf_mul(vf_mul(vf_set1(4), vf_sigmoid(s)), vf_sigmoid(vf_sub(zero, s)));
    }
}

/* The same for a result that is stored as t. */
VF_INLINE vf vf_act_for(vf x, vbg_act act, vbg_dtype t)
{
    if (t == VBG_BF16 && act == VBG_ACT_SILU)
        return vf_mul(x, vf_sigmoid_coarse(x));
    return vf_act(x, act);
}

/* vf_act_slope for a product that is stored as t. */
VF_INLINE vf vf_act_slope_for(vf x, vbg_act act, vbg_dtype t)
{
    if (t != VBG_BF16 || act != VBG_ACT_SILU)
        return vf_act_slope(x, act);
    vf s = vf_sigmoid_coarse(x);
    return vf_mul(s, vf_fma(x, vf_sub(vf_set1(1), s), vf_set1(1)));
}

#endif
