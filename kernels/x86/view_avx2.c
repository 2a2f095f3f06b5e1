/* Viewport rows with AVX2, see view_tmpl.h. */
#include "kernels/view.h"

#include <stdbool.h>

#include "kernels/x86/simd.h"

enum { LANES = 8 };

VF_INLINE vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

/* a < b ? x : y */
VF_INLINE vf vf_if_less(vf a, vf b, vf x, vf y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

VF_INLINE vf vf_copy_sign(vf magnitude, vf sign)
{
    return _mm256_or_ps(magnitude, _mm256_and_ps(sign, _mm256_set1_ps(-0.0f)));
}

VF_INLINE vi vf_to_int(vf a)
{
    return _mm256_cvtps_epi32(a);
}

VF_INLINE vi vi_set1(int v)
{
    return _mm256_set1_epi32(v);
}

VF_INLINE vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}

VF_INLINE vi vi_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}

VF_INLINE vi vi_mul(vi a, vi b)
{
    return _mm256_mullo_epi32(a, b);
}

VF_INLINE vi vi_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}

VF_INLINE vi vi_shift_right7(vi a)
{
    return _mm256_srli_epi32(a, 7);
}

VF_INLINE vi vi_shift_left8(vi a)
{
    return _mm256_slli_epi32(a, 8);
}

VF_INLINE __m128i vi_half(vi a, int half)
{
    return half ? _mm256_extracti128_si256(a, 1) : _mm256_castsi256_si128(a);
}

VF_INLINE vf vf_count(void)
{
    return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
}

VF_INLINE vf group_order(void)
{
    return _mm256_setr_ps(0, 1, 4, 5, 2, 3, 6, 7);
}

/* The low 16 bits of each value four times in a row. */
VF_INLINE __m256i spread(__m128i w)
{
    const __m256i pattern =
        _mm256_setr_epi32(0x01000100, 0x01000100, 0x09080908, 0x09080908, 0x01000100,
                          0x01000100, 0x09080908, 0x09080908);

    return _mm256_shuffle_epi8(_mm256_cvtepi32_epi64(w), pattern);
}

/* Four pixels: four words (R G B X) each, 128 times the level minus 128. */
VF_INLINE __m256i mix_pairs(const uint8_t *data, const uint8_t *below, __m128i at,
                            __m128i wx, __m128i wy)
{
    /* R0 G0 B0 X0 R1 G1 B1 X1  ->  R0 R1 G0 G1 B0 B1 X0 X1 */
    const __m256i pair =
        _mm256_setr_epi32(0x05010400, 0x07030602, 0x0d090c08, 0x0f0b0e0a, 0x05010400,
                          0x07030602, 0x0d090c08, 0x0f0b0e0a);
    const __m256i weight = spread(wx);
    __m256i top = _mm256_i32gather_epi64((const void *)data, at, 4);
    __m256i bottom = _mm256_i32gather_epi64((const void *)below, at, 4);

    top = _mm256_maddubs_epi16(weight, _mm256_shuffle_epi8(top, pair));
    bottom = _mm256_maddubs_epi16(weight, _mm256_shuffle_epi8(bottom, pair));
    const __m256i step = _mm256_mulhrs_epi16(_mm256_sub_epi16(bottom, top), spread(wy));
    return _mm256_add_epi16(top, step);
}

/* Both groups back to bytes, X dropped: 24 bytes. */
VF_INLINE void store_rgb(uint8_t *rgb, __m256i a, __m256i b)
{
    const __m256i half = _mm256_set1_epi16(64);
    const __m256i drop = _mm256_setr_epi32(0x04020100, 0x09080605, 0x0e0d0c0a, -1,
                                           0x04020100, 0x09080605, 0x0e0d0c0a, -1);
    const __m256i close = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);

    a = _mm256_srai_epi16(_mm256_add_epi16(a, half), 7);
    b = _mm256_srai_epi16(_mm256_add_epi16(b, half), 7);
    __m256i p = _mm256_xor_si256(_mm256_packs_epi16(a, b), _mm256_set1_epi8(-128));
    p = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(p, drop), close);
    _mm_storeu_si128((__m128i *)(void *)rgb, _mm256_castsi256_si128(p));
    _mm_storel_epi64((__m128i *)(void *)(rgb + 16), _mm256_extracti128_si256(p, 1));
}

#include "kernels/x86/view_tmpl.h"

void vbg_view_init_avx2(vbg_view_kernels *k)
{
    k->row = row;
}
