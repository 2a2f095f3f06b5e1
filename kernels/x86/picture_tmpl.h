/* Picture rows for any vector width: included by picture_<isa>.c after simd.h.
 *
 * Colour is computed in f32 (error below 6e-5 over all codes) and rounded; where a
 * value comes within 1e-4 of a half, about one in 5,000, the whole block of 16 pixels
 * is done again in double, so that results equal the reference's bit for bit. */
#include "kernels/ref/picture_scalar.h"

enum { BLOCK = 16, PARTS = BLOCK / VF }; /* pixels per block; vectors that hold them */

#ifdef __AVX512F__
static inline vi u8_wide(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline vf vi_float(vi v)
{
    return _mm512_cvtepi32_ps(v);
}
static inline vi vi_load(const int *p)
{
    return _mm512_loadu_si512(p);
}
static inline vi vi_set1(int v)
{
    return _mm512_set1_epi32(v);
}
static inline vi vi_sub(vi a, vi b)
{
    return _mm512_sub_epi32(a, b);
}
static inline vf vf_permute(vf v, vi index)
{
    return _mm512_permutexvar_ps(index, v);
}
static inline vf vf_gather(const float *p, vi index)
{
    return _mm512_i32gather_ps(index, p, 4);
}
/* Is any lane of a above limit? */
static inline bool vf_any_above(vf a, float limit)
{
    return _mm512_cmp_ps_mask(a, vf_set1(limit), _CMP_GT_OQ) != 0;
}
static inline vi vf_int(vf v)
{
    return _mm512_cvtps_epi32(v);
}
/* 16 values clipped to 0..255. */
static inline __m128i clip16(const vi v[PARTS])
{
    return _mm512_cvtusepi32_epi8(_mm512_max_epi32(v[0], _mm512_setzero_si512()));
}
#else
static inline vi u8_wide(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
static inline vf vi_float(vi v)
{
    return _mm256_cvtepi32_ps(v);
}
static inline vi vi_load(const int *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
static inline vi vi_set1(int v)
{
    return _mm256_set1_epi32(v);
}
static inline vi vi_sub(vi a, vi b)
{
    return _mm256_sub_epi32(a, b);
}
static inline vf vf_permute(vf v, vi index)
{
    return _mm256_permutevar8x32_ps(v, index);
}
static inline vf vf_gather(const float *p, vi index)
{
    return _mm256_i32gather_ps(p, index, 4);
}
static inline bool vf_any_above(vf a, float limit)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, vf_set1(limit), _CMP_GT_OQ)) != 0;
}
static inline vi vf_int(vf v)
{
    return _mm256_cvtps_epi32(v);
}
static inline __m128i clip16(const vi v[PARTS])
{
    vi w = _mm256_permute4x64_epi64(_mm256_packs_epi32(v[0], v[1]), 0xd8);
    return _mm_packus_epi16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
}
#endif

static inline vf u8_float(const uint8_t *p)
{
    return vi_float(u8_wide(p));
}

/* 16 values, rounded half to even and clipped; NaN gives 0. */
static inline __m128i bytes16(const vf v[PARTS])
{
    vi r[PARTS];

    VF_UNROLL
    for (int j = 0; j < PARTS; j++)
        r[j] = vf_int(vf_min(vf_set1(255), v[j]));
    return clip16(r);
}

/* ---- weighted sums ---- */

enum { WIDE = 4 }; /* vectors in flight: hides the latency of the sums */

static void column_u8(float *dst, const uint8_t *const *rows, const float *w, int taps,
                      size_t n)
{
    size_t i = 0;

    for (; i + WIDE * VF <= n; i += WIDE * VF) {
        vf s[WIDE] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
        for (int k = 0; k < taps; k++) {
            vf f = vf_set1(w[k]);
            VF_UNROLL
            for (size_t j = 0; j < WIDE; j++)
                s[j] = vf_fma(f, u8_float(rows[k] + i + j * VF), s[j]);
        }
        VF_UNROLL
        for (size_t j = 0; j < WIDE; j++)
            vf_store(dst + i + j * VF, s[j]);
    }
    for (; i < n; i++) {
        float s = 0;
        for (int k = 0; k < taps; k++)
            s = fmaf(w[k], (float)rows[k][i], s);
        dst[i] = s;
    }
}

static void column_f32(float *dst, const float *const *rows, const float *w, int taps,
                       size_t n)
{
    size_t i = 0;

    for (; i + WIDE * VF <= n; i += WIDE * VF) {
        vf s[WIDE] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
        for (int k = 0; k < taps; k++) {
            vf f = vf_set1(w[k]);
            VF_UNROLL
            for (size_t j = 0; j < WIDE; j++)
                s[j] = vf_fma(f, vf_load(rows[k] + i + j * VF), s[j]);
        }
        VF_UNROLL
        for (size_t j = 0; j < WIDE; j++)
            vf_store(dst + i + j * VF, s[j]);
    }
    for (; i < n; i++) {
        float s = 0;
        for (int k = 0; k < taps; k++)
            s = fmaf(w[k], rows[k][i], s);
        dst[i] = s;
    }
}

/* Means of 16 pairs over two rows, in 16 bits. */
static __m256i pair_means(const uint8_t *a, const uint8_t *b)
{
    const __m256i ones = _mm256_set1_epi8(1);
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)a);
    const __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)b);
    const __m256i s =
        _mm256_add_epi16(_mm256_maddubs_epi16(x, ones), _mm256_maddubs_epi16(y, ones));

    return _mm256_srli_epi16(_mm256_add_epi16(s, _mm256_set1_epi16(2)), 2);
}

static void mean2(uint8_t *dst, const uint8_t *const rows[2], size_t n)
{
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        const __m256i low = pair_means(rows[0] + 2 * i, rows[1] + 2 * i);
        const __m256i high = pair_means(rows[0] + 2 * i + 32, rows[1] + 2 * i + 32);
        const __m256i v = _mm256_permute4x64_epi64(_mm256_packus_epi16(low, high), 0xd8);
        _mm256_storeu_si256((__m256i *)(void *)(dst + i), v);
    }
    for (; i < n; i++)
        dst[i] = (uint8_t)((rows[0][2 * i] + rows[0][2 * i + 1] + rows[1][2 * i] +
                            rows[1][2 * i + 1] + 2) >>
                           2);
}

static void mean4(float *dst, const uint8_t *const rows[4], size_t n)
{
    const __m256i ones8 = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        __m256i s = _mm256_setzero_si256();
        VF_UNROLL
        for (int r = 0; r < 4; r++)
            s = _mm256_add_epi16(
                s,
                _mm256_maddubs_epi16(
                    _mm256_loadu_si256((const __m256i *)(const void *)(rows[r] + 4 * i)),
                    ones8));
        const __m256 v = _mm256_cvtepi32_ps(_mm256_madd_epi16(s, ones));
        _mm256_storeu_ps(dst + i, _mm256_mul_ps(v, _mm256_set1_ps(1.0f / 16)));
    }
    for (; i < n; i++) {
        int sum = 0;
        for (int r = 0; r < 4; r++)
            for (int k = 0; k < 4; k++)
                sum += rows[r][4 * i + (size_t)k];
        dst[i] = (float)sum / 16;
    }
}

static void row_filter(float *dst, const float *src, const float *w, int taps,
                       size_t step, size_t n)
{
    size_t i = 0;

    for (; i + WIDE * VF <= n; i += WIDE * VF) {
        vf s[WIDE] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
        for (int k = 0; k < taps; k++) {
            vf f = vf_set1(w[k]);
            const float *p = src + i + (size_t)k * step;
            VF_UNROLL
            for (size_t j = 0; j < WIDE; j++)
                s[j] = vf_fma(f, vf_load(p + j * VF), s[j]);
        }
        VF_UNROLL
        for (size_t j = 0; j < WIDE; j++)
            vf_store(dst + i + j * VF, s[j]);
    }
    for (; i < n; i++) {
        float s = 0;
        for (int k = 0; k < taps; k++)
            s = fmaf(w[k], src[i + (size_t)k * step], s);
        dst[i] = s;
    }
}

/* VF outputs of one channel.  When they come from fewer than VF neighbours (growing)
 * a load and a permutation serve each tap, otherwise a gather. */
static inline vf gray_taps(const float *src, const int *first, const float *w, int taps,
                           size_t n)
{
    vi at = vi_load(first), near = vi_sub(at, vi_set1(first[0]));
    vf s = vf_zero();

    if (first[VF - 1] - first[0] < VF)
        for (int k = 0; k < taps; k++)
            s = vf_fma(vf_load(w + (size_t)k * n),
                       vf_permute(vf_load(src + first[0] + k), near), s);
    else
        for (int k = 0; k < taps; k++)
            s = vf_fma(vf_load(w + (size_t)k * n), vf_gather(src + k, at), s);
    return s;
}

/* One pixel of up to four channels in a register of four. */
static inline __m128 pixel_taps(const float *p, const float *w, int taps, size_t n,
                                size_t ch)
{
    __m128 s = _mm_setzero_ps();

    for (int k = 0; k < taps; k++, p += ch, w += n)
        s = _mm_fmadd_ps(_mm_set1_ps(*w), _mm_loadu_ps(p), s);
    return s;
}

static void row_taps(float *dst, const float *src, const int *first, const float *w,
                     int taps, size_t n, int ch)
{
    size_t x = 0, c = (size_t)ch;

    if (ch == 1)
        for (; x + VF <= n; x += VF)
            vf_store(dst + x, gray_taps(src, first + x, w + x, taps, n));
    for (; x < n; x++) /* each store runs over the next pixel, which comes later */
        _mm_storeu_ps(dst + x * c,
                      pixel_taps(src + (size_t)first[x] * c, w + x, taps, n, c));
}

static void to_u8(uint8_t *dst, const float *src, size_t n)
{
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t left = n - i < BLOCK ? n - i : BLOCK;
        float tail[BLOCK] = { 0 };
        const float *p = src + i;
        uint8_t out[BLOCK];
        vf v[PARTS];
        if (left < BLOCK) {
            memcpy(tail, p, left * sizeof *p);
            p = tail;
        }
        VF_UNROLL
        for (int j = 0; j < PARTS; j++)
            v[j] = vf_load(p + j * VF);
        if (left == BLOCK) {
            _mm_storeu_si128((__m128i *)(void *)(dst + i), bytes16(v));
        } else {
            _mm_storeu_si128((__m128i *)(void *)out, bytes16(v));
            memcpy(dst + i, out, left);
        }
    }
}

/* ---- colour ---- */

/* 16 bytes each of r, g, b -> 48 interleaved, and back. */
static inline void interleave(uint8_t *rgb, __m128i r, __m128i g, __m128i b)
{
    const __m128i r0 =
        _mm_setr_epi8(0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5);
    const __m128i r1 =
        _mm_setr_epi8(-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1);
    const __m128i r2 =
        _mm_setr_epi8(-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1);
    const __m128i g0 =
        _mm_setr_epi8(-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1);
    const __m128i g1 =
        _mm_setr_epi8(5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10);
    const __m128i g2 =
        _mm_setr_epi8(-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1);
    const __m128i b0 =
        _mm_setr_epi8(-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1);
    const __m128i b1 =
        _mm_setr_epi8(-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1);
    const __m128i b2 =
        _mm_setr_epi8(10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15);
    __m128i *d = (__m128i *)(void *)rgb;

    _mm_storeu_si128(
        d, _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, r0), _mm_shuffle_epi8(g, g0)),
                        _mm_shuffle_epi8(b, b0)));
    _mm_storeu_si128(d + 1, _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, r1),
                                                      _mm_shuffle_epi8(g, g1)),
                                         _mm_shuffle_epi8(b, b1)));
    _mm_storeu_si128(d + 2, _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, r2),
                                                      _mm_shuffle_epi8(g, g2)),
                                         _mm_shuffle_epi8(b, b2)));
}

/* Bytes first, first + 3, ... of 48. */
static inline __m128i every_third(__m128i a, __m128i b, __m128i c, int first)
{
    __m128i ia, ib, ic;

    if (first == 0) {
        ia = _mm_setr_epi8(0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        ib = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14, -1, -1, -1, -1, -1);
        ic = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 4, 7, 10, 13);
    } else if (first == 1) {
        ia = _mm_setr_epi8(1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        ib = _mm_setr_epi8(-1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1);
        ic = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14);
    } else {
        ia = _mm_setr_epi8(2, 5, 8, 11, 14, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
        ib = _mm_setr_epi8(-1, -1, -1, -1, -1, 1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1);
        ic = _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15);
    }
    return _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(a, ia), _mm_shuffle_epi8(b, ib)),
                        _mm_shuffle_epi8(c, ic));
}

static inline void deinterleave(__m128i px[3], const uint8_t *rgb)
{
    const __m128i *s = (const __m128i *)(const void *)rgb;
    __m128i a = _mm_loadu_si128(s), b = _mm_loadu_si128(s + 1),
            c = _mm_loadu_si128(s + 2);

    px[0] = every_third(a, b, c, 0);
    px[1] = every_third(a, b, c, 1);
    px[2] = every_third(a, b, c, 2);
}

static const float NEAR_HALF = 0.4999f * 0.4999f;

/* v rounded; *far becomes the larger of itself and the squared distance to that. */
static inline vi settle(vf v, vf *far)
{
    vi r = vf_int(v);
    vf d = vf_sub(v, vi_float(r));
    *far = vf_max(*far, vf_mul(d, d));
    return r;
}

/* The matrix in f32, widened to vectors by each block (the compiler hoists that). */
typedef struct matrix {
    float y[3], y_off, y_base, ry, rv, gu, gv, bu; /* y_base = -ry y_off */
} matrix;

static matrix narrow(const vbg_yuv_matrix *m)
{
    return (matrix){ .y = { (float)m->y[0], (float)m->y[1], (float)m->y[2] },
                     .y_off = (float)m->y_off,
                     .y_base = (float)(-m->ry * m->y_off),
                     .ry = (float)m->ry,
                     .rv = (float)m->rv,
                     .gu = (float)m->gu,
                     .gv = (float)m->gv,
                     .bu = (float)m->bu };
}

/* 16 codes each -> 48 bytes */
static inline void rgb_block(uint8_t *rgb, const uint8_t *y, const uint8_t *u,
                             const uint8_t *v, const matrix *f, const vbg_yuv_matrix *m)
{
    vf far = vf_zero();
    vi r[PARTS], g[PARTS], b[PARTS];

    VF_UNROLL
    for (int j = 0; j < PARTS; j++) {
        vf luma = vf_fma(vf_set1(f->ry), u8_float(y + j * VF), vf_set1(f->y_base));
        vf du = vf_sub(u8_float(u + j * VF), vf_set1(128));
        vf dv = vf_sub(u8_float(v + j * VF), vf_set1(128));
        vf green = vf_fma(vf_set1(f->gv), dv, vf_fma(vf_set1(f->gu), du, luma));
        r[j] = settle(vf_fma(vf_set1(f->rv), dv, luma), &far);
        g[j] = settle(green, &far);
        b[j] = settle(vf_fma(vf_set1(f->bu), du, luma), &far);
    }
    interleave(rgb, clip16(r), clip16(g), clip16(b));
    if (__builtin_expect(vf_any_above(far, NEAR_HALF), 0))
        for (int x = 0; x < BLOCK; x++)
            vbg_yuv_pixel(rgb + 3 * x, y[x], u[x], v[x], m);
}

/* dst[x] = src[(x >> shift) * step] for x < n */
static inline void spread(uint8_t *dst, const uint8_t *src, size_t step, int shift,
                          size_t n)
{
    if (n == BLOCK && step == 1 && shift == 1) {
        __m128i c = _mm_loadl_epi64((const __m128i *)(const void *)src);
        _mm_storeu_si128((__m128i *)(void *)dst, _mm_unpacklo_epi8(c, c));
    } else if (n == BLOCK && step == 1) {
        memcpy(dst, src, BLOCK);
    } else {
        for (size_t x = 0; x < n; x++)
            dst[x] = src[(x >> shift) * step];
    }
}

/* Both chroma samples of 8 pairs from interleaved bytes u v u v ... */
static inline void spread_nv12(uint8_t *u, uint8_t *v, const uint8_t *uv)
{
    const __m128i even =
        _mm_setr_epi8(0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14);
    __m128i c = _mm_loadu_si128((const __m128i *)(const void *)uv);

    _mm_storeu_si128((__m128i *)(void *)u, _mm_shuffle_epi8(c, even));
    _mm_storeu_si128((__m128i *)(void *)v,
                     _mm_shuffle_epi8(c, _mm_add_epi8(even, _mm_set1_epi8(1))));
}

static void yuv_rgb(uint8_t *rgb, const uint8_t *y, size_t y_step, const uint8_t *u,
                    const uint8_t *v, size_t step, int shift, const vbg_yuv_matrix *m,
                    size_t n)
{
    const matrix f = narrow(m);
    uint8_t ly[BLOCK] = { 0 }, lu[BLOCK] = { 0 }, lv[BLOCK] = { 0 }, out[3 * BLOCK];

    for (size_t x = 0; x < n; x += BLOCK) {
        size_t left = n - x < BLOCK ? n - x : BLOCK, c = (x >> shift) * step;
        const uint8_t *py = y + x;
        if (left < BLOCK || y_step > 1) {
            spread(ly, y + x * y_step, y_step, 0, left);
            py = ly;
        }
        if (left == BLOCK && step == 2 && shift == 1 && v == u + 1) {
            spread_nv12(lu, lv, u + c);
        } else {
            spread(lu, u + c, step, shift, left);
            spread(lv, v + c, step, shift, left);
        }
        if (left == BLOCK) {
            rgb_block(rgb + 3 * x, py, lu, lv, &f, m);
        } else {
            rgb_block(out, py, lu, lv, &f, m);
            memcpy(rgb + 3 * x, out, 3 * left);
        }
    }
}

/* 16 pixels -> 16 luma codes */
static inline void luma_block(uint8_t *y, const uint8_t *rgb, const matrix *f,
                              const vbg_yuv_matrix *m)
{
    __m128i px[3];
    uint8_t c[3][BLOCK];
    vf far = vf_zero();
    vi s[PARTS];

    deinterleave(px, rgb);
    for (int k = 0; k < 3; k++)
        _mm_storeu_si128((__m128i *)(void *)c[k], px[k]);
    VF_UNROLL
    for (int j = 0; j < PARTS; j++) {
        vf v = vf_fma(vf_set1(f->y[0]), u8_float(c[0] + j * VF), vf_set1(f->y_off));
        v = vf_fma(vf_set1(f->y[1]), u8_float(c[1] + j * VF), v);
        s[j] = settle(vf_fma(vf_set1(f->y[2]), u8_float(c[2] + j * VF), v), &far);
    }
    _mm_storeu_si128((__m128i *)(void *)y, clip16(s));
    if (__builtin_expect(vf_any_above(far, NEAR_HALF), 0))
        for (int x = 0; x < BLOCK; x++)
            y[x] = vbg_luma_pixel(rgb + 3 * x, m);
}

static void rgb_y(uint8_t *y, size_t y_step, const uint8_t *rgb, const vbg_yuv_matrix *m,
                  size_t n)
{
    const matrix f = narrow(m);
    uint8_t in[3 * BLOCK] = { 0 }, out[BLOCK];

    for (size_t x = 0; x < n; x += BLOCK) {
        size_t left = n - x < BLOCK ? n - x : BLOCK;
        const uint8_t *p = rgb + 3 * x;
        if (left < BLOCK) {
            memcpy(in, p, 3 * left);
            p = in;
        }
        if (left == BLOCK && y_step == 1) {
            luma_block(y + x, p, &f, m);
            continue;
        }
        luma_block(out, p, &f, m);
        for (size_t i = 0; i < left; i++)
            y[(x + i) * y_step] = out[i];
    }
}

/* Eight blocks of 2x2 from 16 columns of two rows. */
static inline void chroma_block(uint8_t u[8], uint8_t v[8], const uint8_t *a,
                                const uint8_t *b, const vbg_yuv_matrix *m)
{
    __m128i pa[3], pb[3], zero = _mm_setzero_si128(), ones = _mm_set1_epi8(1);
    int sum[3][8];
    __m256 su = _mm256_set1_ps(128), sv = su;

    deinterleave(pa, a);
    deinterleave(pb, b);
    for (int c = 0; c < 3; c++) {
        __m128i s =
            _mm_add_epi16(_mm_maddubs_epi16(pa[c], ones), _mm_maddubs_epi16(pb[c], ones));
        __m256i wide = _mm256_cvtepu16_epi32(s);
        __m256 mean = _mm256_mul_ps(_mm256_cvtepi32_ps(wide), _mm256_set1_ps(0.25f));
        _mm256_storeu_si256((__m256i *)(void *)sum[c], wide);
        su = _mm256_fmadd_ps(_mm256_set1_ps((float)m->u[c]), mean, su);
        sv = _mm256_fmadd_ps(_mm256_set1_ps((float)m->v[c]), mean, sv);
    }
    __m256i iu = _mm256_cvtps_epi32(su), iv = _mm256_cvtps_epi32(sv);
    __m256 du = _mm256_sub_ps(su, _mm256_cvtepi32_ps(iu));
    __m256 dv = _mm256_sub_ps(sv, _mm256_cvtepi32_ps(iv));
    __m256 far = _mm256_max_ps(_mm256_mul_ps(du, du), _mm256_mul_ps(dv, dv));
    __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi32(iu, iv), 0xd8);
    __m128i lu = _mm_packus_epi16(_mm256_castsi256_si128(both), zero);
    __m128i lv = _mm_packus_epi16(_mm256_extracti128_si256(both, 1), zero);
    _mm_storel_epi64((__m128i *)(void *)u, lu);
    _mm_storel_epi64((__m128i *)(void *)v, lv);
    __m256 redo = _mm256_cmp_ps(far, _mm256_set1_ps(NEAR_HALF), _CMP_GT_OQ);
    if (__builtin_expect(_mm256_movemask_ps(redo) != 0, 0))
        for (int x = 0; x < 8; x++) {
            const int s[3] = { sum[0][x], sum[1][x], sum[2][x] };
            vbg_chroma_block(u + x, v + x, s, m);
        }
}

static void rgb_uv(uint8_t *u, uint8_t *v, size_t step, const uint8_t *a,
                   const uint8_t *b, const vbg_yuv_matrix *m, size_t n)
{
    uint8_t ta[3 * BLOCK] = { 0 }, tb[3 * BLOCK] = { 0 }, lu[8], lv[8];

    for (size_t x = 0; x < n; x += 8) {
        size_t left = n - x < 8 ? n - x : 8;
        const uint8_t *pa = a + 6 * x, *pb = b + 6 * x;
        if (left < 8) {
            memcpy(ta, pa, 6 * left);
            memcpy(tb, pb, 6 * left);
            pa = ta;
            pb = tb;
        }
        if (left == 8 && step == 1) {
            chroma_block(u + x, v + x, pa, pb, m);
            continue;
        }
        chroma_block(lu, lv, pa, pb, m);
        for (size_t i = 0; i < left; i++) {
            u[(x + i) * step] = lu[i];
            v[(x + i) * step] = lv[i];
        }
    }
}

/* ---- masks ---- */

static void products(float *i, float *ip, float *ii, const float *p, float scale,
                     size_t n)
{
    size_t x = 0;

    for (; x + VF <= n; x += VF) {
        vf v = vf_mul(vf_load(i + x), vf_set1(scale));
        vf_store(i + x, v);
        vf_store(ip + x, vf_mul(v, vf_load(p + x)));
        vf_store(ii + x, vf_mul(v, v));
    }
    for (; x < n; x++) {
        i[x] *= scale;
        ip[x] = i[x] * p[x];
        ii[x] = i[x] * i[x];
    }
}

/* n lanes of the coefficients */
static inline void guided_lanes(float *a, float *b, vf i, vf p, vf ip, vf ii, float eps,
                                size_t n)
{
    vf var = vf_add(vf_fnma(i, i, ii), vf_set1(eps));
    vf slope = vf_div(vf_fnma(i, p, ip), var), rest = vf_fnma(slope, i, p);

    vf_store_n(a, slope, n);
    vf_store_n(b, rest, n);
}

static void guided(float *a, float *b, const float *i, const float *p, const float *ip,
                   const float *ii, float eps, size_t n)
{
    for (size_t x = 0; x < n; x += VF) {
        size_t left = n - x < VF ? n - x : VF;
        guided_lanes(a + x, b + x, vf_load_n(i + x, left), vf_load_n(p + x, left),
                     vf_load_n(ip + x, left), vf_load_n(ii + x, left), eps, left);
    }
}

static void apply(uint8_t *dst, const float *a, const float *b, const uint8_t *src,
                  size_t n)
{
    size_t x = 0;

    for (; x + BLOCK <= n; x += BLOCK) {
        vf v[PARTS];
        VF_UNROLL
        for (int j = 0; j < PARTS; j++) {
            size_t at = x + (size_t)(j * VF);
            vf l = vf_mul(vf_load(a + at), u8_float(src + at));
            v[j] = vf_fma(vf_load(b + at), vf_set1(255), l);
        }
        _mm_storeu_si128((__m128i *)(void *)(dst + x), bytes16(v));
    }
    for (; x < n; x++)
        dst[x] = vbg_clip_level((double)fmaf(b[x], 255, a[x] * (float)src[x]));
}

/* 16 bytes of each: round((front*a + back*(255 - a)) / 255) */
static inline __m128i mix16(__m128i front, __m128i back, __m128i alpha)
{
    __m256i a = _mm256_cvtepu8_epi16(alpha), f = _mm256_cvtepu8_epi16(front);
    __m256i b = _mm256_cvtepu8_epi16(back);
    __m256i rest = _mm256_sub_epi16(_mm256_set1_epi16(255), a);
    __m256i s = _mm256_add_epi16(_mm256_mullo_epi16(f, a), _mm256_mullo_epi16(b, rest));

    s = _mm256_add_epi16(s, _mm256_set1_epi16(128)); /* at most 65,153 */
    s = _mm256_srli_epi16(_mm256_add_epi16(s, _mm256_srli_epi16(s, 8)), 8);
    return _mm_packus_epi16(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
}

static void mix(uint8_t *dst, const uint8_t *front, const uint8_t *back,
                const uint8_t *alpha, size_t n)
{
    const __m128i a0 = _mm_setr_epi8(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5);
    const __m128i a1 = _mm_setr_epi8(5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10);
    const __m128i a2 =
        _mm_setr_epi8(10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15);
    size_t x = 0;

    for (; x + BLOCK <= n; x += BLOCK) {
        const __m128i *f = (const __m128i *)(const void *)(front + 3 * x);
        const __m128i *b = (const __m128i *)(const void *)(back + 3 * x);
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(alpha + x));
        __m128i *d = (__m128i *)(void *)(dst + 3 * x);
        __m128i v0 =
            mix16(_mm_loadu_si128(f), _mm_loadu_si128(b), _mm_shuffle_epi8(a, a0));
        __m128i v1 = mix16(_mm_loadu_si128(f + 1), _mm_loadu_si128(b + 1),
                           _mm_shuffle_epi8(a, a1));
        __m128i v2 = mix16(_mm_loadu_si128(f + 2), _mm_loadu_si128(b + 2),
                           _mm_shuffle_epi8(a, a2));
        _mm_storeu_si128(d, v0);
        _mm_storeu_si128(d + 1, v1);
        _mm_storeu_si128(d + 2, v2);
    }
    for (; x < n; x++)
        for (size_t c = 3 * x; c < 3 * x + 3; c++)
            dst[c] =
                (uint8_t)((front[c] * alpha[x] + back[c] * (255 - alpha[x]) + 127) / 255);
}

static void fill(vbg_picture_kernels *k)
{
    *k = (vbg_picture_kernels){
        .column_u8 = column_u8,
        .column_f32 = column_f32,
        .mean2 = mean2,
        .mean4 = mean4,
        .row_taps = row_taps,
        .row_filter = row_filter,
        .to_u8 = to_u8,
        .yuv_rgb = yuv_rgb,
        .rgb_y = rgb_y,
        .rgb_uv = rgb_uv,
        .products = products,
        .guided = guided,
        .apply = apply,
        .mix = mix,
    };
}
