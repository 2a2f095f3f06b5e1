/* Rows of camera frames, 32 codes or 8 edge pixels at a time. */
#include "kernels/light.h"

#include <immintrin.h>
#include <string.h>

static inline __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

/* With the code in the high byte of 16 bits the high half of the product is src*k >> 8,
 * and no bit that could carry is lost: c ends in eight zeros. */
static void range(uint8_t *dst, const uint8_t *src, uint32_t k, uint32_t c, size_t n)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i by = _mm256_set1_epi16((short)(uint16_t)k);
    const __m256i add = _mm256_set1_epi16((short)(uint16_t)(c >> 8));
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        const __m256i v = load(src + i);
        __m256i lo = _mm256_mulhi_epu16(_mm256_unpacklo_epi8(zero, v), by);
        __m256i hi = _mm256_mulhi_epu16(_mm256_unpackhi_epi8(zero, v), by);
        lo = _mm256_srli_epi16(_mm256_add_epi16(lo, add), 8);
        hi = _mm256_srli_epi16(_mm256_add_epi16(hi, add), 8);
        _mm256_storeu_si256((__m256i *)(void *)(dst + i), _mm256_packus_epi16(lo, hi));
    }
    for (; i < n; i++)
        dst[i] = (uint8_t)((src[i] * k + c) >> 16);
}

static void yuyv(uint8_t *dst, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                 size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        const __m128i l = _mm_loadu_si128((const __m128i *)(const void *)(y + 2 * i));
        const __m128i c =
            _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(const void *)(u + i)),
                              _mm_loadl_epi64((const __m128i *)(const void *)(v + i)));
        __m128i *d = (__m128i *)(void *)(dst + 4 * i);
        _mm_storeu_si128(d, _mm_unpacklo_epi8(l, c));
        _mm_storeu_si128(d + 1, _mm_unpackhi_epi8(l, c));
    }
    for (; i < n; i++) {
        dst[4 * i] = y[2 * i];
        dst[4 * i + 1] = u[i];
        dst[4 * i + 2] = y[2 * i + 1];
        dst[4 * i + 3] = v[i];
    }
}

/* How 8 pixels lie between the small columns first-1, first, first+1, ... */
typedef struct places {
    __m256i low;     /* column before, counted from first-1 */
    __m256 fraction; /* way to the next */
} places;

static inline __m256 field(const float *f, int first, const places *p)
{
    const __m256 v = _mm256_loadu_ps(f + first - 1);
    const __m256i next = _mm256_add_epi32(p->low, _mm256_set1_epi32(1));
    const __m256 a = _mm256_permutevar8x32_ps(v, p->low);
    const __m256 b = _mm256_permutevar8x32_ps(v, next);

    return _mm256_fmadd_ps(p->fraction, _mm256_sub_ps(b, a), a);
}

static inline __m256 bytes_float(__m128i v)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(v));
}

/* Eight values in 0..255, rounded half up. */
static inline __m128i to_bytes(__m256 c)
{
    const __m256 in = _mm256_min_ps(
        _mm256_max_ps(_mm256_add_ps(c, _mm256_set1_ps(0.5f)), _mm256_setzero_ps()),
        _mm256_set1_ps(255));
    const __m256i v = _mm256_cvttps_epi32(in);
    const __m128i w =
        _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

    return _mm_packus_epi16(w, w);
}

/* 8 pixels from x on, which lie around small column first. */
static inline void eight(const vbg_light_row *r, const places *p, int x, int first)
{
    const __m256 one = _mm256_set1_ps(1);
    const __m128i s = _mm_loadl_epi64((const __m128i *)(const void *)(r->src + x));
    __m128i own;

    if (r->half) { /* every second of 16 */
        own = _mm_loadu_si128((const __m128i *)(const void *)(r->alpha + 2 * x));
        own = _mm_and_si128(own, _mm_set1_epi16(255));
        own = _mm_packus_epi16(own, own);
    } else {
        own = _mm_loadl_epi64((const __m128i *)(const void *)(r->alpha + x));
    }
    const __m256 out = /* 1 - a */
        _mm256_fnmadd_ps(bytes_float(own), _mm256_set1_ps(1.0f / 255), one);
    const __m256 weight = field(r->weight, first, p);
    const __m256 known = _mm256_cmp_ps(weight, _mm256_set1_ps(0.02f), _CMP_GT_OQ);
    const __m256 person = _mm256_div_ps(field(r->person, first, p), weight);
    __m256 c = bytes_float(s);
    const __m256 spill =
        _mm256_and_ps(known, _mm256_mul_ps(_mm256_set1_ps(r->spill), out));
    /* where the weight is nothing the quotient may be no number */
    c = _mm256_fmadd_ps(spill, _mm256_sub_ps(_mm256_blendv_ps(c, person, known), c), c);
    const __m256 wrap = _mm256_mul_ps(_mm256_set1_ps(r->wrap),
                                      _mm256_sub_ps(one, field(r->inside, first, p)));
    c = _mm256_fmadd_ps(wrap, _mm256_sub_ps(field(r->back, first, p), c), c);
    const __m128i lit = to_bytes(_mm256_add_ps(c, _mm256_set1_ps(r->add)));
    const __m128i none = _mm_cmpeq_epi8(own, _mm_setzero_si128());
    _mm_storel_epi64((__m128i *)(void *)(r->dst + x), _mm_blendv_epi8(lit, s, none));
}

static void edge(const vbg_light_row *r, int from, int to)
{
    const places luma = { _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1),
                          _mm256_setr_ps(0.5f, 0.625f, 0.75f, 0.875f, 0, 0.125f, 0.25f,
                                         0.375f) };
    const places chroma = { _mm256_setr_epi32(0, 0, 1, 1, 1, 1, 2, 2),
                            _mm256_setr_ps(0.5f, 0.75f, 0, 0.25f, 0.5f, 0.75f, 0,
                                           0.25f) };

    if (r->half)
        for (int i = from; i < to; i += 2)
            eight(r, &chroma, 4 * i, i);
    else
        for (int i = from; i < to; i++)
            eight(r, &luma, 8 * i, i);
}

void vbg_light_init_avx2(vbg_light_kernels *k)
{
    *k = (vbg_light_kernels){ .range = range, .yuyv = yuyv, .edge = edge };
}
