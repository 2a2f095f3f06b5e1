/* Viewport rows with AVX-512, see view_tmpl.h. */
#include "kernels/view.h"

#include <stdbool.h>

#include "kernels/x86/simd.h"

enum { LANES = 16 };

VF_INLINE vf vf_abs(vf a)
{
    return _mm512_abs_ps(a);
}

/* a < b ? x : y */
VF_INLINE vf vf_if_less(vf a, vf b, vf x, vf y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}

VF_INLINE vf vf_copy_sign(vf magnitude, vf sign)
{
    return _mm512_or_ps(magnitude, _mm512_and_ps(sign, _mm512_set1_ps(-0.0f)));
}

VF_INLINE vi vf_to_int(vf a)
{
    return _mm512_cvtps_epi32(a);
}

VF_INLINE vi vi_set1(int v)
{
    return _mm512_set1_epi32(v);
}

VF_INLINE vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}

VF_INLINE vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}

VF_INLINE vi vi_mul(vi a, vi b)
{
    return _mm512_mullo_epi32(a, b);
}

VF_INLINE vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}

VF_INLINE vi vi_shift_right7(vi a)
{
    return _mm512_srli_epi32(a, 7);
}

VF_INLINE vi vi_shift_left8(vi a)
{
    return _mm512_slli_epi32(a, 8);
}

VF_INLINE __m256i vi_half(vi a, int half)
{
    return half ? _mm512_extracti64x4_epi64(a, 1) : _mm512_castsi512_si256(a);
}

VF_INLINE vf vf_count(void)
{
    return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

VF_INLINE vf group_order(void)
{
    return _mm512_setr_ps(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
}

/* The low 16 bits of each value four times in a row. */
VF_INLINE __m512i spread(__m256i w)
{
    const __m512i pattern =
        _mm512_set4_epi32(0x09080908, 0x09080908, 0x01000100, 0x01000100);

    return _mm512_shuffle_epi8(_mm512_cvtepi32_epi64(w), pattern);
}

/* Eight pixels: four words (R G B X) each, 128 times the level minus 128. */
VF_INLINE __m512i mix_pairs(const uint8_t *data, const uint8_t *below, __m256i at,
                            __m256i wx, __m256i wy)
{
    /* R0 G0 B0 X0 R1 G1 B1 X1  ->  R0 R1 G0 G1 B0 B1 X0 X1 */
    const __m512i pair =
        _mm512_set4_epi32(0x0f0b0e0a, 0x0d090c08, 0x07030602, 0x05010400);
    const __m512i weight = spread(wx);
    __m512i top = _mm512_i32gather_epi64(at, data, 4);
    __m512i bottom = _mm512_i32gather_epi64(at, below, 4);

    top = _mm512_maddubs_epi16(weight, _mm512_shuffle_epi8(top, pair));
    bottom = _mm512_maddubs_epi16(weight, _mm512_shuffle_epi8(bottom, pair));
    const __m512i step = _mm512_mulhrs_epi16(_mm512_sub_epi16(bottom, top), spread(wy));
    return _mm512_add_epi16(top, step);
}

/* Both groups back to bytes, X dropped: 48 bytes. */
VF_INLINE void store_rgb(uint8_t *rgb, __m512i a, __m512i b)
{
    const __m512i half = _mm512_set1_epi16(64);
    const __m512i drop = _mm512_set4_epi32(-1, 0x0e0d0c0a, 0x09080605, 0x04020100);
    const __m512i close =
        _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15);

    a = _mm512_srai_epi16(_mm512_add_epi16(a, half), 7);
    b = _mm512_srai_epi16(_mm512_add_epi16(b, half), 7);
    __m512i p = _mm512_xor_si512(_mm512_packs_epi16(a, b), _mm512_set1_epi8(-128));
    p = _mm512_permutexvar_epi32(close, _mm512_shuffle_epi8(p, drop));
    _mm512_mask_storeu_epi32(rgb, 0x0fff, p);
}

#include "kernels/x86/view_tmpl.h"

void vbg_view_init_avx512(vbg_view_kernels *k)
{
    k->row = row;
}
