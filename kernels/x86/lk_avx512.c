/* Tracking kernels with AVX-512, see lk_tmpl.h. */
#include "kernels/lk.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>

#define VS_INLINE static inline __attribute__((always_inline))

enum { LANES = 32 };

typedef __m512i vs;

VS_INLINE vs vs_zero(void)
{
    return _mm512_setzero_si512();
}

VS_INLINE vs vs_set1(int v)
{
    return _mm512_set1_epi16((short)v);
}

VS_INLINE vs vs_set1_32(int v)
{
    return _mm512_set1_epi32(v);
}

/* a in the even words, b in the odd ones */
VS_INLINE vs vs_set_pair(int a, int b)
{
    return _mm512_set1_epi32((int)((unsigned)b << 16 | (unsigned)a));
}

VS_INLINE vs vs_load_u8(const uint8_t *p)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

VS_INLINE vs vs_load(const int16_t *p)
{
    return _mm512_load_si512(p);
}

VS_INLINE vs vs_loadu(const int16_t *p)
{
    return _mm512_loadu_si512(p);
}

VS_INLINE void vs_store(int16_t *p, vs v)
{
    _mm512_storeu_si512(p, v);
}

VS_INLINE void vs_storeu(uint16_t *p, vs v)
{
    _mm512_storeu_si512(p, v);
}

VS_INLINE vs vs_add(vs a, vs b)
{
    return _mm512_add_epi16(a, b);
}

VS_INLINE vs vs_sub(vs a, vs b)
{
    return _mm512_sub_epi16(a, b);
}

VS_INLINE vs vs_mul(vs a, vs b)
{
    return _mm512_mullo_epi16(a, b);
}

VS_INLINE vs vs_abs(vs a)
{
    return _mm512_abs_epi16(a);
}

VS_INLINE vs vs_and(vs a, vs b)
{
    return _mm512_and_si512(a, b);
}

/* b without a */
VS_INLINE vs vs_andnot(vs a, vs b)
{
    return _mm512_andnot_si512(a, b);
}

/* all bits in the first n words (n may be negative or large) */
VS_INLINE vs vs_first(int n)
{
    const __mmask32 m = n <= 0 ? 0u : n >= LANES ? 0xffffffffu : (1u << n) - 1u;

    return _mm512_movm_epi16(m);
}

VS_INLINE vs vs_unpack_lo(vs a, vs b)
{
    return _mm512_unpacklo_epi16(a, b);
}

VS_INLINE vs vs_unpack_hi(vs a, vs b)
{
    return _mm512_unpackhi_epi16(a, b);
}

VS_INLINE vs vs_madd(vs a, vs b)
{
    return _mm512_madd_epi16(a, b);
}

VS_INLINE vs vs_add32(vs a, vs b)
{
    return _mm512_add_epi32(a, b);
}

VS_INLINE vs vs_shift32(vs a, int bits)
{
    return _mm512_srai_epi32(a, (unsigned)bits);
}

VS_INLINE vs vs_pack32(vs lo, vs hi)
{
    return _mm512_packs_epi32(lo, hi);
}

/* sum of the 32-bit lanes, wide */
VS_INLINE int64_t vs_sum32(vs a)
{
    const __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(a));
    const __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(a, 1));

    return _mm512_reduce_add_epi64(_mm512_add_epi64(low, high));
}

/* the first n of 16 values 0..255 */
VS_INLINE void vs_store32_u8(uint8_t *p, vs v, int n)
{
    const __mmask16 m = n >= 16 ? 0xffff : (__mmask16)((1u << n) - 1u);

    _mm_mask_storeu_epi8(p, m, _mm512_cvtepi32_epi8(v));
}

/* Square roots in place; v has room for a whole vector at the end. */
static void roots(float *v, int n)
{
    for (int x = 0; x < n; x += 16)
        _mm512_storeu_ps(v + x, _mm512_sqrt_ps(_mm512_loadu_ps(v + x)));
}

#include "kernels/x86/lk_corner_tmpl.h"
#include "kernels/x86/lk_tmpl.h"

void vbg_lk_init_avx512(vbg_lk_kernels *k)
{
    *k = (vbg_lk_kernels){ .patch = patch,
                           .step = step,
                           .residual = residual,
                           .halve = halve,
                           .corner_row = corner_row,
                           .corner_response = corner_response,
                           .corner_peaks = corner_peaks };
}
