/* The compositor's rows, 16 pixels at a time.
 *
 * 48 interleaved bytes become three vectors of 16: each of the three loaded vectors is
 * shuffled so that its share of a channel lands in place, then the shares are or-ed. */
#include "kernels/compose.h"

#include <immintrin.h>

#define Z (-128) /* pshufb writes zero */

/* Channel c of 16 pixels at p (48 bytes are read). */
static inline __m128i channel(const uint8_t *p, int c)
{
    static const int8_t pick[3][3][16] = {
        { { 0, 3, 6, 9, 12, 15, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z },
          { Z, Z, Z, Z, Z, Z, 2, 5, 8, 11, 14, Z, Z, Z, Z, Z },
          { Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, 1, 4, 7, 10, 13 } },
        { { 1, 4, 7, 10, 13, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z },
          { Z, Z, Z, Z, Z, 0, 3, 6, 9, 12, 15, Z, Z, Z, Z, Z },
          { Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, 2, 5, 8, 11, 14 } },
        { { 2, 5, 8, 11, 14, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z },
          { Z, Z, Z, Z, Z, 1, 4, 7, 10, 13, Z, Z, Z, Z, Z, Z },
          { Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, 0, 3, 6, 9, 12, 15 } },
    };
    __m128i out = _mm_setzero_si128();

    for (int i = 0; i < 3; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        __m128i m = _mm_loadu_si128((const __m128i *)(const void *)pick[c][i]);
        out = _mm_or_si128(out, _mm_shuffle_epi8(v, m));
    }
    return out;
}

/* Exact mix of 16 values in 16 bits. */
static inline __m256i mix16(__m256i f, __m256i b, __m256i a)
{
    const __m256i full = _mm256_set1_epi16(255), half = _mm256_set1_epi16(128);
    __m256i t = _mm256_add_epi16(_mm256_mullo_epi16(f, a),
                                 _mm256_mullo_epi16(b, _mm256_sub_epi16(full, a)));

    t = _mm256_add_epi16(t, half);
    return _mm256_srli_epi16(_mm256_add_epi16(t, _mm256_srli_epi16(t, 8)), 8);
}

static inline __m128i narrow(__m256i v)
{
    return _mm_packus_epi16(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

static inline __m128i load16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static void luma(uint8_t *dst, const uint8_t *front, const uint8_t *back,
                 const uint8_t *alpha, size_t n)
{
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        __m256i m = mix16(_mm256_cvtepu8_epi16(load16(front + i)),
                          _mm256_cvtepu8_epi16(channel(back + 3 * i, 0)),
                          _mm256_cvtepu8_epi16(load16(alpha + i)));
        _mm_storeu_si128((__m128i *)(void *)(dst + i), narrow(m));
    }
    for (; i < n; i++) {
        unsigned a = alpha[i], t = front[i] * a + back[3 * i] * (255 - a) + 128;
        dst[i] = (uint8_t)((t + (t >> 8)) >> 8);
    }
}

/* Means of 2x2 blocks of two rows of 16 bytes: 8 values of 16 bits. */
static inline __m128i mean8(__m128i a, __m128i b)
{
    const __m128i one = _mm_set1_epi8(1);
    __m128i s = _mm_add_epi16(_mm_maddubs_epi16(a, one), _mm_maddubs_epi16(b, one));

    return _mm_srli_epi16(_mm_add_epi16(s, _mm_set1_epi16(2)), 2);
}

static inline unsigned mean4(unsigned a, unsigned b, unsigned c, unsigned d)
{
    return (a + b + c + d + 2) >> 2;
}

static void chroma(uint8_t *u, uint8_t *v, const uint8_t *fu, const uint8_t *fv,
                   const uint8_t *back_a, const uint8_t *back_b, const uint8_t *alpha_a,
                   const uint8_t *alpha_b, size_t n)
{
    size_t i = 0;

    for (; i + 8 <= n; i += 8) { /* U in the low half, V in the high half */
        __m128i a = mean8(load16(alpha_a + 2 * i), load16(alpha_b + 2 * i));
        __m128i bu = mean8(channel(back_a + 6 * i, 1), channel(back_b + 6 * i, 1));
        __m128i bv = mean8(channel(back_a + 6 * i, 2), channel(back_b + 6 * i, 2));
        __m128i f =
            _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(fu + i)),
                               _mm_loadl_epi64((const __m128i *)(const void *)(fv + i)));
        __m128i m = narrow(mix16(_mm256_cvtepu8_epi16(f), _mm256_set_m128i(bv, bu),
                                 _mm256_set_m128i(a, a)));
        _mm_storel_epi64((__m128i *)(void *)(u + i), m);
        _mm_storel_epi64((__m128i *)(void *)(v + i), _mm_srli_si128(m, 8));
    }
    for (; i < n; i++) {
        const uint8_t *pa = back_a + 6 * i, *pb = back_b + 6 * i;
        unsigned a =
            mean4(alpha_a[2 * i], alpha_a[2 * i + 1], alpha_b[2 * i], alpha_b[2 * i + 1]);
        unsigned bu = mean4(pa[1], pa[4], pb[1], pb[4]);
        unsigned bv = mean4(pa[2], pa[5], pb[2], pb[5]);
        unsigned t = fu[i] * a + bu * (255 - a) + 128;
        unsigned s = fv[i] * a + bv * (255 - a) + 128;
        u[i] = (uint8_t)((t + (t >> 8)) >> 8);
        v[i] = (uint8_t)((s + (s >> 8)) >> 8);
    }
}

void vbg_compose_init_avx2(vbg_compose_kernels *k)
{
    *k = (vbg_compose_kernels){ .luma = luma, .chroma = chroma };
}
