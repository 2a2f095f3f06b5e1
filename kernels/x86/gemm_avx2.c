/* f32 matrix products and convolutions with AVX2 and FMA: tiles of 6 x 16 sums. */
#include <immintrin.h>
#include <stdint.h>

typedef __m256 vf;
enum { LANES = 8, MR = 6, NB = 1 };

static inline vf vf_zero(void) { return _mm256_setzero_ps(); }
static inline vf vf_set1(float v) { return _mm256_set1_ps(v); }
static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }

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

#include "kernels/x86/store_tmpl.h"
#include "kernels/x86/gemm_f32_tmpl.h"
#include "kernels/x86/conv_small_tmpl.h"

void vbg_gemm_init_avx2(vbg_gemm_kernels *k)
{
    *k = (vbg_gemm_kernels){ .gemm = gemm,
                             .gemm_scratch = gemm_scratch,
                             .conv = conv,
                             .conv_scratch = conv_scratch,
                             .depthwise = depthwise,
                             .transpose = transpose };
}
