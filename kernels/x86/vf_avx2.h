/* The vector wrapper of the matrix products for AVX2 with FMA and F16C: 8 floats. */
#ifndef VBG_KERNELS_X86_VF_AVX2_H
#define VBG_KERNELS_X86_VF_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m256 vf;
enum { LANES = 8 };

static inline vf vf_zero(void)
{
    return _mm256_setzero_ps();
}
static inline vf vf_set1(float v)
{
    return _mm256_set1_ps(v);
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
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
/* NaN in b stays. */
static inline vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
static inline vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
static inline vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
static inline vf vf_round(vf a)
{
    return _mm256_round_ps(a, 8);
}
/* p * 2^n, n whole, -126 <= n <= 127 */
static inline vf vf_scale2(vf p, vf n)
{
    __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(e, 23)));
}
/* x < 0 ? a : b */
static inline vf vf_if_negative(vf x, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, vf_zero(), _CMP_LT_OQ));
}

static inline __m128i load_128(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

static inline __m256i load_256(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline vf vf_load_bf16(const uint16_t *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_128(p)), 16));
}

/* The low 16 bits of each of 8 lanes. */
static inline __m128i low_halves(__m256i v)
{
    v = _mm256_and_si256(v, _mm256_set1_epi32(0xffff));
    return _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

/* Round to nearest even; NaN stays a (quiet) NaN. */
static inline void vf_store_bf16(uint16_t *p, vf v)
{
    __m256i u = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i r = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    r = _mm256_blendv_epi8(r, quiet, nan);
    _mm_storeu_si128((__m128i *)(void *)p, low_halves(_mm256_srli_epi32(r, 16)));
}

/* Lane i of the result is lane index[i] of v. */
static inline vf vf_pick(vf v, const int32_t index[8])
{
    return _mm256_permutevar8x32_ps(v, load_256(index));
}

/* The first n lanes, 0 < n < 8; loads fill the rest with zero. */
static inline vf vf_load_n(const float *p, size_t n)
{
    float t[8] = { 0 };
    for (size_t i = 0; i < n; i++)
        t[i] = p[i];
    return vf_load(t);
}

static inline void vf_store_n(float *p, vf v, size_t n)
{
    float t[8];
    vf_store(t, v);
    for (size_t i = 0; i < n; i++)
        p[i] = t[i];
}

static inline vf vf_load_bf16_n(const uint16_t *p, size_t n)
{
    uint16_t t[8] = { 0 };
    for (size_t i = 0; i < n; i++)
        t[i] = p[i];
    return vf_load_bf16(t);
}

static inline void vf_store_bf16_n(uint16_t *p, vf v, size_t n)
{
    uint16_t t[8];
    vf_store_bf16(t, v);
    for (size_t i = 0; i < n; i++)
        p[i] = t[i];
}

/* One of each pair of 16-bit weights, 8 pairs at p. */
static inline vf vf_pair_bf16(const char *p, int odd)
{
    __m256i v = load_256(p);
    return _mm256_castsi256_ps(odd ? _mm256_and_si256(v, _mm256_set1_epi32(-65536))
                                   : _mm256_slli_epi32(v, 16));
}

static inline vf vf_pair_f16(const char *p, int odd)
{
    __m256i v = load_256(p);
    return _mm256_cvtph_ps(low_halves(odd ? _mm256_srli_epi32(v, 16) : v));
}

#endif
