/* Tracking kernels with AVX2, see lk_tmpl.h. */
#include "kernels/lk.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define VS_INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };

typedef __m256i vs;

VS_INLINE vs vs_zero(void)
{
    return _mm256_setzero_si256();
}

VS_INLINE vs vs_set1(int v)
{
    return _mm256_set1_epi16((short)v);
}

VS_INLINE vs vs_set1_32(int v)
{
    return _mm256_set1_epi32(v);
}

/* a in the even words, b in the odd ones */
VS_INLINE vs vs_set_pair(int a, int b)
{
    return _mm256_set1_epi32((int)((unsigned)b << 16 | (unsigned)a));
}

VS_INLINE vs vs_load_u8(const uint8_t *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

VS_INLINE vs vs_load(const int16_t *p)
{
    return _mm256_load_si256((const __m256i *)(const void *)p);
}

VS_INLINE vs vs_loadu(const int16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

VS_INLINE void vs_store(int16_t *p, vs v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

VS_INLINE void vs_storeu(uint16_t *p, vs v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

VS_INLINE vs vs_add(vs a, vs b)
{
    return _mm256_add_epi16(a, b);
}

VS_INLINE vs vs_sub(vs a, vs b)
{
    return _mm256_sub_epi16(a, b);
}

VS_INLINE vs vs_mul(vs a, vs b)
{
    return _mm256_mullo_epi16(a, b);
}

VS_INLINE vs vs_abs(vs a)
{
    return _mm256_abs_epi16(a);
}

VS_INLINE vs vs_and(vs a, vs b)
{
    return _mm256_and_si256(a, b);
}

/* b without a */
VS_INLINE vs vs_andnot(vs a, vs b)
{
    return _mm256_andnot_si256(a, b);
}

/* all bits in the first n words (n may be negative or large) */
VS_INLINE vs vs_first(int n)
{
    const vs index =
        _mm256_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const int m = n < 0 ? 0 : n > LANES ? LANES : n;

    return _mm256_cmpgt_epi16(vs_set1(m), index);
}

VS_INLINE vs vs_unpack_lo(vs a, vs b)
{
    return _mm256_unpacklo_epi16(a, b);
}

VS_INLINE vs vs_unpack_hi(vs a, vs b)
{
    return _mm256_unpackhi_epi16(a, b);
}

VS_INLINE vs vs_madd(vs a, vs b)
{
    return _mm256_madd_epi16(a, b);
}

VS_INLINE vs vs_add32(vs a, vs b)
{
    return _mm256_add_epi32(a, b);
}

VS_INLINE vs vs_shift32(vs a, int bits)
{
    return _mm256_srai_epi32(a, bits);
}

VS_INLINE vs vs_pack32(vs lo, vs hi)
{
    return _mm256_packs_epi32(lo, hi);
}

/* sum of the 32-bit lanes, wide */
VS_INLINE int64_t vs_sum32(vs a)
{
    const __m256i low = _mm256_cvtepi32_epi64(_mm256_castsi256_si128(a));
    const __m256i high = _mm256_cvtepi32_epi64(_mm256_extracti128_si256(a, 1));
    const __m256i four = _mm256_add_epi64(low, high);
    const __m128i two =
        _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));

    return _mm_extract_epi64(two, 0) + _mm_extract_epi64(two, 1);
}

/* the first n of 8 values 0..255 */
VS_INLINE void vs_store32_u8(uint8_t *p, vs v, int n)
{
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i bytes = _mm_packus_epi16(words, words);
    uint8_t eight[16];

    if (n >= 8) {
        _mm_storel_epi64((__m128i *)(void *)p, bytes);
        return;
    }
    _mm_storeu_si128((__m128i *)(void *)eight, bytes);
    memcpy(p, eight, (size_t)n);
}

/* Square roots in place; v has room for a whole vector at the end. */
static void roots(float *v, int n)
{
    for (int x = 0; x < n; x += 8)
        _mm256_storeu_ps(v + x, _mm256_sqrt_ps(_mm256_loadu_ps(v + x)));
}

#include "kernels/x86/lk_corner_tmpl.h"
#include "kernels/x86/lk_tmpl.h"

void vbg_lk_init_avx2(vbg_lk_kernels *k)
{
    *k = (vbg_lk_kernels){ .patch = patch,
                           .step = step,
                           .residual = residual,
                           .halve = halve,
                           .corner_row = corner_row,
                           .corner_response = corner_response,
                           .corner_peaks = corner_peaks };
}
