/* Turning, packing and adding up for any vector width: included by train_<isa>.c after
 * simd.h.  16-bit values are moved in pairs of pixels, as 32-bit lanes. */
#include "kernels/train.h"

enum { BLOCK = 16, MAX_TAPS = 64, SIDES = VBG_TURN / VF };

#ifdef __AVX512F__
/* Lanes: a[j] below, b[j] above; zero from n on. */
VF_INLINE vf join_bf16(const uint16_t *a, const uint16_t *b, size_t n)
{
    __mmask16 m = vf_mask(n);
    __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, a));
    __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, b));
    return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

/* Values rounded to bf16, low below and high above in each lane. */
VF_INLINE vf narrow_pair(vf low, vf high)
{
#ifdef __AVX512BF16__
    static const uint16_t zip[32] = { 0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                      21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                      11, 27, 12, 28, 13, 29, 14, 30, 15, 31 };
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(_mm512_loadu_si512(zip), both));
#else
    __m512i l = _mm512_cvtepu16_epi32(vf_narrow16(low));
    __m512i h = _mm512_cvtepu16_epi32(vf_narrow16(high));
    return _mm512_castsi512_ps(_mm512_or_si512(l, _mm512_slli_epi32(h, 16)));
#endif
}

/* p[at[j]] for j < n, else zero. */
VF_INLINE vf pick_n(const float *p, const int32_t *at, size_t n)
{
    return _mm512_mask_i32gather_ps(vf_zero(), vf_mask(n), _mm512_loadu_si512(at), p, 4);
}
#else
VF_INLINE vf join_bf16(const uint16_t *a, const uint16_t *b, size_t n)
{
    uint16_t pair[2][VF] = { { 0 } };

    memcpy(pair[0], a, n * sizeof *a);
    memcpy(pair[1], b, n * sizeof *b);
    vi low = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(void *)pair[0]));
    vi high = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(void *)pair[1]));
    return _mm256_castsi256_ps(_mm256_or_si256(low, _mm256_slli_epi32(high, 16)));
}

VF_INLINE vf narrow_pair(vf low, vf high)
{
    vi l = _mm256_cvtepu16_epi32(vf_narrow16(low));
    vi h = _mm256_cvtepu16_epi32(vf_narrow16(high));
    return _mm256_castsi256_ps(_mm256_or_si256(l, _mm256_slli_epi32(h, 16)));
}

VF_INLINE vf pick_n(const float *p, const int32_t *at, size_t n)
{
    vi index = _mm256_loadu_si256((const __m256i *)(const void *)at);

    return _mm256_mask_i32gather_ps(vf_zero(), p, index, _mm256_castsi256_ps(vf_mask(n)),
                                    4);
}
#endif

/* Pixels first.. (for bf16: pairs of them) of up to VF channels from j on, as rows of
 * lanes; then turned, rows ldd bytes apart. */
VF_INLINE void turn_square(char *dst, size_t ldd, const void *const *px, size_t j,
                           size_t n, vbg_dtype t)
{
    vf r[VF];

    VF_UNROLL
    for (size_t i = 0; i < VF; i++) {
        if (t == VBG_F32)
            r[i] = vf_load_n((const float *)px[i] + j, n);
        else
            r[i] = join_bf16((const uint16_t *)px[2 * i] + j,
                             (const uint16_t *)px[2 * i + 1] + j, n);
    }
    vf_transpose(r);
    if (n == VF) {
        VF_UNROLL
        for (size_t i = 0; i < VF; i++)
            vf_store((float *)(void *)(dst + i * ldd), r[i]);
        return;
    }
    float rows[VF][VF];
    VF_UNROLL
    for (size_t i = 0; i < VF; i++)
        vf_store(rows[i], r[i]);
    for (size_t i = 0; i < n; i++)
        memcpy(dst + i * ldd, rows[i], sizeof rows[i]);
}

#ifdef __AVX512F__
/* Eight channels from j on of all 32 pixels.  Register i holds pixels i, 8+i, 16+i, 24+i,
 * a quarter each, so turning eight by eight within the quarters is all. */
VF_INLINE void turn_eight(char *dst, const void *const *px, size_t j)
{
    __m512i r[8], s[8];

    VF_UNROLL
    for (size_t i = 0; i < 8; i++) {
        __m128i q[4];
        VF_UNROLL
        for (size_t l = 0; l < 4; l++)
            q[l] = _mm_loadu_si128(
                (const __m128i *)(const void *)((const uint16_t *)px[8 * l + i] + j));
        r[i] = _mm512_castsi128_si512(q[0]);
        r[i] = _mm512_mask_broadcast_i32x4(r[i], 0x00f0, q[1]);
        r[i] = _mm512_mask_broadcast_i32x4(r[i], 0x0f00, q[2]);
        r[i] = _mm512_mask_broadcast_i32x4(r[i], 0xf000, q[3]);
    }
    VF_UNROLL
    for (size_t i = 0; i < 8; i += 2) { /* channels 0-3 and 4-7 of two pixels */
        s[i] = _mm512_unpacklo_epi16(r[i], r[i + 1]);
        s[i + 1] = _mm512_unpackhi_epi16(r[i], r[i + 1]);
    }
    VF_UNROLL
    for (size_t i = 0; i < 8; i += 4) /* two channels of four */
        for (size_t h = 0; h < 2; h++) {
            r[i + 2 * h] = _mm512_unpacklo_epi32(s[i + h], s[i + 2 + h]);
            r[i + 2 * h + 1] = _mm512_unpackhi_epi32(s[i + h], s[i + 2 + h]);
        }
    VF_UNROLL
    for (size_t i = 0; i < 4; i++) { /* one channel of eight */
        _mm512_storeu_si512(dst + 2 * i * VBG_TURN * 2,
                            _mm512_unpacklo_epi64(r[i], r[i + 4]));
        _mm512_storeu_si512(dst + (2 * i + 1) * VBG_TURN * 2,
                            _mm512_unpackhi_epi64(r[i], r[i + 4]));
    }
}
#endif

static void transpose(void *dst, size_t block, const void *const *px, size_t cols,
                      vbg_dtype t)
{
    const size_t size = vbg_dtype_size(t), row = VBG_TURN * size;

    for (size_t j = 0; j < cols; j += VF) {
        const size_t n = cols - j < VF ? cols - j : VF;
        char *to = (char *)dst + vbg_turned_at(j, 0, block) * size;
#ifdef __AVX512F__
        if (t == VBG_BF16 && n == VF) {
            turn_eight(to, px, j);
            turn_eight(to + 8 * row, px, j + 8);
            continue;
        }
#endif
        if (t == VBG_F32)
            for (size_t s = 0; s < SIDES; s++)
                turn_square(to + s * VF * 4, row, px + s * VF, j, n, VBG_F32);
        else
            for (size_t s = 0; s < SIDES / 2; s++)
                turn_square(to + s * VF * 4, row, px + s * 2 * VF, j, n, VBG_BF16);
    }
}

/* n of the 16 channels of one block; what is missing is zero. */
VF_INLINE void interleave_block(float *dst, const void *const *px, size_t j, size_t n,
                                vbg_dtype t)
{
    const size_t rows = t == VBG_F32 ? VBG_TURN : VBG_TURN / 2;

    for (size_t i = 0; i < rows; i++, dst += BLOCK)
        for (size_t v = 0; v < BLOCK; v += VF) {
            const size_t left = n < v ? 0 : n - v, m = left < VF ? left : VF;
            vf r;
            if (t == VBG_F32)
                r = vf_load_n((const float *)px[i] + j + v, m);
            else
                r = join_bf16((const uint16_t *)px[2 * i] + j + v,
                              (const uint16_t *)px[2 * i + 1] + j + v, m);
            vf_store(dst + v, r);
        }
}

static void interleave(void *dst, size_t block, const void *const *px, size_t cols,
                       vbg_dtype t)
{
    const size_t size = vbg_dtype_size(t);

    for (size_t j = 0; j < cols; j += BLOCK) {
        float *to = (float *)(void *)((char *)dst + j / BLOCK * block * size);
        const size_t n = cols - j < BLOCK ? cols - j : BLOCK;
        if (t == VBG_F32)
            interleave_block(to, px, j, n, VBG_F32);
        else if (n == BLOCK)
            interleave_block(to, px, j, BLOCK, VBG_BF16);
        else
            interleave_block(to, px, j, n, VBG_BF16);
    }
}

/* ---- weights ---- */

/* Values of up to 16 output channels of one block at p. */
typedef struct lanes {
    int32_t at[BLOCK];
    size_t n;
    bool together; /* neighbours in memory */
} lanes;

VF_INLINE vf lanes_load(const lanes *l, const float *p, size_t v)
{
    const size_t left = l->n < v ? 0 : l->n - v, n = left < VF ? left : VF;

    return l->together ? vf_load_n(p + v, n) : pick_n(p, l->at + v, n);
}

/* Tap k of the values at w, v lanes on: one, or the sum of a few. */
VF_INLINE vf lanes_tap(const vbg_pack_args *a, const lanes *l, const float *w, size_t k,
                       size_t v)
{
    if (!a->until)
        return lanes_load(l, w + a->tap[k], v);
    size_t s = k ? a->until[k - 1] : 0;
    vf sum = lanes_load(l, w + a->tap[s], v);
    while (++s < a->until[k])
        sum = vf_add(sum, lanes_load(l, w + a->tap[s], v));
    return sum;
}

/* Input channels i (and i+1 for bf16) of tap k, packed. */
VF_INLINE void pack_step(const vbg_pack_args *a, const lanes *l, const float *w,
                         float *block, size_t cp, size_t i, size_t k, vbg_dtype t)
{
    const float *p = w + i * a->si;
    float *to = block + (t == VBG_F32 ? k * cp + i : (k * cp + i) / 2) * BLOCK;

    VF_UNROLL
    for (size_t v = 0; v < BLOCK; v += VF) {
        vf r = lanes_tap(a, l, p, k, v);
        if (t == VBG_BF16)
            r = narrow_pair(r,
                            i + 1 < a->c ? lanes_tap(a, l, p + a->si, k, v) : vf_zero());
        vf_store(to + v, r);
    }
}

static void pack(const vbg_pack_args *a, size_t b0, size_t b1)
{
    const vbg_pack_dims d = vbg_pack_shape(a->t, a->c, a->taps);
    const size_t size = vbg_dtype_size(a->t), bytes = d.k * BLOCK * size;

    for (size_t b = b0; b < b1; b++) {
        const size_t o0 = b * BLOCK, n = a->oc - o0 < BLOCK ? a->oc - o0 : BLOCK;
        const float *w = a->w + o0 / a->group * a->sg + o0 % a->group * a->so;
        char *block = (char *)a->dst + b * bytes;
        lanes l = { .n = n, .together = a->so == 1 && a->group == a->oc };
        for (size_t o = 0; o < n; o++)
            l.at[o] = (int32_t)(a->w - w +
                                (ptrdiff_t)((o0 + o) / a->group * a->sg +
                                            (o0 + o) % a->group * a->so));
        if (d.cp != a->c || d.k != d.cp * a->taps)
            memset(block, 0, bytes);
        float *to = (float *)(void *)block;
        for (size_t i = 0; i < a->c && a->t == VBG_F32; i++)
            for (size_t k = 0; k < a->taps; k++)
                pack_step(a, &l, w, to, d.cp, i, k, VBG_F32);
        for (size_t i = 0; i < a->c && a->t == VBG_BF16; i += 2)
            for (size_t k = 0; k < a->taps; k++)
                pack_step(a, &l, w, to, d.cp, i, k, VBG_BF16);
    }
}

/* Few channels are packed without padding; an odd number of them pairs up across taps. */
static void pack_any(const vbg_pack_args *a, size_t b0, size_t b1)
{
    if (a->t == VBG_BF16 && a->c < BLOCK && a->c % 2)
        vbg_pack_blocks_ref(a, b0, b1);
    else
        pack(a, b0, b1);
}

#ifdef __AVX512F__
/* Transposes eight rows of eight quadwords. */
VF_INLINE void turn_quads(__m512i r[8])
{
    __m512i t[8];

    VF_UNROLL
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm512_unpacklo_epi64(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi64(r[i], r[i + 1]);
    }
    VF_UNROLL
    for (int i = 0; i < 2; i++) { /* columns of rows 0-3, of rows 4-7 */
        r[i] = _mm512_shuffle_i64x2(t[i], t[i + 2], 0x88);
        r[i + 2] = _mm512_shuffle_i64x2(t[i], t[i + 2], 0xdd);
        r[i + 4] = _mm512_shuffle_i64x2(t[i + 4], t[i + 6], 0x88);
        r[i + 6] = _mm512_shuffle_i64x2(t[i + 4], t[i + 6], 0xdd);
    }
    VF_UNROLL
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i64x2(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i64x2(r[i], r[i + 4], 0xdd);
    }
    VF_UNROLL
    for (int i = 0; i < 8; i++)
        r[i] = t[i];
}

/* 16 by 16 values: eight rows of 16 pairs of input channels at src become eight rows of
 * 16 pairs of output channels.  First the two of each pair part, then quads of one pair
 * of both kinds are turned. */
VF_INLINE void turn_block(uint16_t *dst, const uint16_t *src)
{
    static const uint16_t part[32] = { 0,  2,  1,  3,  4,  6,  5,  7,  8,  10, 9,
                                       11, 12, 14, 13, 15, 16, 18, 17, 19, 20, 22,
                                       21, 23, 24, 26, 25, 27, 28, 30, 29, 31 };
    const __m512i order = _mm512_loadu_si512(part);
    __m512i r[8];

    VF_UNROLL
    for (size_t i = 0; i < 8; i++)
        r[i] = _mm512_permutexvar_epi16(order, _mm512_loadu_si512(src + i * 2 * BLOCK));
    turn_quads(r);
    VF_UNROLL
    for (size_t i = 0; i < 8; i++)
        _mm512_storeu_si512(dst + i * 2 * BLOCK, r[i]);
}

static void turn_weights(const vbg_turn_args *a, size_t b0, size_t b1)
{
    const uint16_t *src = a->src;
    uint16_t *dst = a->dst;

    for (size_t b = b0; b < b1; b++)
        for (size_t o = 0; o < a->oc; o += BLOCK)
            for (size_t k = 0; k < a->taps; k++)
                turn_block(dst + (b * a->taps + k) * a->oc * BLOCK + o * BLOCK,
                           src + (o * a->all + a->tap[k] * BLOCK) * a->c +
                               b * BLOCK * BLOCK);
}
#endif

/* ---- sums ---- */

/* ROWS rows of dy, of one block, times one block of x: the sums stay in registers over
 * SUB positions. */
#ifdef __AVX512F__
enum { ROWS = 16 };
#else
enum { ROWS = 4 };
#endif
enum { SUB = 256, NV = BLOCK / VF };

/* acc += rows of dy times x, 32 positions, f32. */
VF_INLINE void tap_steps_f32(vf acc[ROWS][NV], const float *dy, const float *x, int rows)
{
    for (size_t p = 0; p < VBG_TURN; p++, x += BLOCK) {
        vf b[NV];
        VF_UNROLL
        for (int v = 0; v < NV; v++)
            b[v] = vf_load(x + v * VF);
        VF_UNROLL
        for (int r = 0; r < rows; r++) {
            const vf a = vf_set1(dy[(size_t)r * VBG_TURN + p]);
            VF_UNROLL
            for (int v = 0; v < NV; v++)
                acc[r][v] = vf_fma(a, b[v], acc[r][v]);
        }
    }
}

#ifdef __AVX512BF16__
/* Pairs of positions, bf16. */
VF_INLINE void tap_steps_bf16(vf acc[ROWS][NV], const uint16_t *dy, const uint16_t *x,
                              int rows)
{
    for (size_t p = 0; p < VBG_TURN; p += 2, x += 2 * BLOCK) {
        const __m512i b = _mm512_loadu_si512(x);
        VF_UNROLL
        for (int r = 0; r < rows; r++) {
            int pair;
            memcpy(&pair, dy + (size_t)r * VBG_TURN + p, sizeof pair);
            acc[r][0] = _mm512_dpbf16_ps(acc[r][0], (__m512bh)_mm512_set1_epi32(pair),
                                         (__m512bh)b);
        }
    }
}
#endif

/* Positions [p0, p1) of rows o.. and block b for one tap. */
VF_INLINE void tap_tile(const vbg_tap_args *a, size_t k, size_t o, size_t b, size_t p0,
                        size_t p1, int rows)
{
    float *sum = a->sum + k * a->tap_sum + o * a->ld_sum + b * BLOCK;
    size_t at = b * a->block + p0 * BLOCK, from = vbg_turned_at(o, p0, a->dy_block);
    vf acc[ROWS][NV];

    VF_UNROLL
    for (int r = 0; r < rows; r++) {
        VF_UNROLL
        for (int v = 0; v < NV; v++)
            acc[r][v] = a->first && p0 == 0
                            ? vf_zero()
                            : vf_load(sum + (size_t)r * a->ld_sum + v * VF);
    }
    for (size_t p = p0; p < p1; p += VBG_TURN) {
#ifdef __AVX512BF16__
        if (a->t == VBG_BF16)
            tap_steps_bf16(acc, (const uint16_t *)a->dy + from,
                           (const uint16_t *)a->x[k] + at, rows);
        else
#endif
            tap_steps_f32(acc, (const float *)a->dy + from, (const float *)a->x[k] + at,
                          rows);
        at += VBG_TURN * BLOCK;
        from += VBG_TURN * BLOCK;
    }
    VF_UNROLL
    for (int r = 0; r < rows; r++) {
        VF_UNROLL
        for (int v = 0; v < NV; v++)
            vf_store(sum + (size_t)r * a->ld_sum + v * VF, acc[r][v]);
    }
}

static void taps_fast(const vbg_tap_args *a, size_t o0, size_t o1, size_t b0, size_t b1)
{
    const size_t end = o1 * BLOCK < a->oc ? o1 * BLOCK : a->oc;

    for (size_t p = 0; p < a->m; p += SUB) {
        const size_t p1 = p + SUB < a->m ? p + SUB : a->m;
        for (size_t b = b0; b < b1; b++)
            for (size_t k = 0; k < a->taps; k++) {
                size_t o = o0 * BLOCK;
                for (; o + ROWS <= end; o += ROWS)
                    tap_tile(a, k, o, b, p, p1, ROWS);
                for (; o < end; o++)
                    tap_tile(a, k, o, b, p, p1, 1);
            }
    }
}

/* Of a row at `at`, its runs of 32 positions a block of 16 rows apart. */
VF_INLINE float row_sum_of(const void *row, size_t at, size_t m, vbg_dtype t)
{
    vf s[SIDES];

    VF_UNROLL
    for (size_t v = 0; v < SIDES; v++)
        s[v] = vf_zero();
    for (size_t p = 0; p < m; p += VBG_TURN, at += VBG_TURN * BLOCK)
        VF_UNROLL
    for (size_t v = 0; v < SIDES; v++)
        s[v] = vf_add(s[v], vf_get(row, t, at + v * VF));
    for (size_t v = 1; v < SIDES; v++)
        s[0] = vf_add(s[0], s[v]);
    return vf_sum(s[0]);
}

static void row_sums(double *sum, const void *rows, size_t block, size_t count, size_t m,
                     vbg_dtype t)
{
    for (size_t o = 0; o < count; o++) {
        const size_t at = vbg_turned_at(o, 0, block);
        sum[o] += (double)(t == VBG_BF16 ? row_sum_of(rows, at, m, VBG_BF16)
                                         : row_sum_of(rows, at, m, VBG_F32));
    }
}

/* Added in grad's order: taps of neighbouring channels are picked from their sums. */
static void add_taps(const vbg_add_args *a)
{
    const bool plain = a->taps == 1 && a->col == 1;
    const size_t cycle = a->taps * VF; /* channels after which the picking repeats */
    int32_t at[MAX_TAPS * VF];

    for (size_t j = 0; j < cycle; j++)
        at[j] = (int32_t)(a->tap[j % a->taps] + j / a->taps * a->col);
    for (size_t o = 0; o < a->rows; o++)
        for (size_t i = 0; i < a->cols; i += VF) {
            const float *sum = a->sum + o * a->row + i * a->col;
            float *to = a->grad + o * a->run + i * a->taps;
            const size_t left = (a->cols - i) * a->taps;
            for (size_t j = 0; j < cycle && j < left; j += VF) {
                const size_t n = left - j < VF ? left - j : VF;
                vf v = plain ? vf_load_n(sum + a->tap[0], n) : pick_n(sum, at + j, n);
                vf_store_n(to + j, vf_add(vf_load_n(to + j, n), v), n);
            }
        }
}

/* ---- depthwise ---- */

/* A vector full of each value, stored over what the one before left too much. */
static void repeat(const vbg_row_io *io, size_t times)
{
    const size_t size = vbg_dtype_size(io->xt), full = VF * sizeof(float) / size;
    const size_t all = io->cols * times;

    for (size_t r = 0; r < io->rows; r++) {
        const char *x = (const char *)io->x + r * io->ldx * size;
        char *y = (char *)io->y + r * io->ldy * size;
        for (size_t i = 0, at = 0; i < io->cols; i++, at += times) {
            char word[sizeof(float)];
            float v;
            for (size_t b = 0; b < sizeof word; b += size)
                memcpy(word + b, x + i * size, size);
            memcpy(&v, word, sizeof v);
            if (times <= full && at + full <= all) {
                vf_store((float *)(void *)(y + at * size), vf_set1(v));
                continue;
            }
            for (size_t q = 0; q < times; q++)
                memcpy(y + (at + q) * size, word, size);
        }
    }
}

static void fold(const vbg_row_io *io, size_t times)
{
    int32_t at[VF];

    if (io->xt != VBG_F32) {
        vbg_fold_ref(io, times);
        return;
    }
    for (size_t i = 0; i < VF; i++)
        at[i] = (int32_t)(i * times);
    for (size_t r = 0; r < io->rows; r++)
        for (size_t i = 0; i < io->cols; i += VF) {
            const float *x = (const float *)io->x + r * io->ldx + i * times;
            const size_t n = io->cols - i < VF ? io->cols - i : VF;
            vf sum = pick_n(x, at, n);
            for (size_t q = 1; q < times; q++)
                sum = vf_add(sum, pick_n(x + q, at, n));
            vf_put_n(io->y, io->yt, r * io->ldy + i, sum, n);
        }
}

enum { MAX_K = 7 };

/* One row of dy against one row of x: where they are, and which columns of dy have all
 * taps inside the picture. */
typedef struct dw_row {
    size_t x, dy; /* elements of their first pixels */
    int inside0, inside1;
} dw_row;

/* Output columns [x0, x1), all taps inside when whole. */
VF_INLINE void dw_columns(vf acc[MAX_K], const vbg_depthwise_grad_args *g,
                          const dw_row *r, int x0, int x1, size_t j, size_t n, int kw,
                          bool whole)
{
    const vbg_conv_args *a = g->a;

    for (int ox = x0; ox < x1; ox++) {
        const vf d = vf_get_n(g->dy, a->xt, r->dy + (size_t)ox * g->lddy + j, n);
        VF_UNROLL
        for (int k = 0; k < MAX_K; k++) {
            int x = ox * a->stride_x + k * a->dil_x - a->pad_left;
            if (k >= kw || (!whole && (x < 0 || x >= a->w_in)))
                continue;
            vf v = vf_get_n(a->x, a->xt, r->x + (size_t)x * a->ldx + j, n);
            acc[k] = vf_fma(v, d, acc[k]);
        }
    }
}

/* Channels j.. of one row of taps. */
VF_INLINE void dw_taps(const vbg_depthwise_grad_args *g, const dw_row *r, float *sum,
                       size_t j, size_t n, int kw)
{
    const size_t oc = (size_t)g->a->oc;
    vf acc[MAX_K];

    VF_UNROLL
    for (int k = 0; k < MAX_K; k++)
        acc[k] = vf_zero();
    dw_columns(acc, g, r, 0, r->inside0, j, n, kw, false);
    dw_columns(acc, g, r, r->inside0, r->inside1, j, n, kw, true);
    dw_columns(acc, g, r, r->inside1, g->a->ow, j, n, kw, false);
    VF_UNROLL
    for (int k = 0; k < MAX_K; k++) {
        float *s = sum + (size_t)k * oc + j;
        if (k < kw)
            vf_store_n(s, vf_add(vf_load_n(s, n), acc[k]), n);
    }
}

static void dw_row_run(const vbg_depthwise_grad_args *g, const dw_row *r, float *sum)
{
    const size_t oc = (size_t)g->a->oc;

    for (size_t j = 0; j < oc; j += VF) {
        const size_t n = oc - j < VF ? oc - j : VF;
        if (g->a->kw == 3 && n == VF)
            dw_taps(g, r, sum, j, VF, 3);
        else
            dw_taps(g, r, sum, j, n, g->a->kw);
    }
}

static void depthwise_grad(const vbg_depthwise_grad_args *g, size_t r0, size_t r1)
{
    const vbg_conv_args *a = g->a;
    const int reach = (a->kw - 1) * a->dil_x;
    /* first column whose first tap is inside, first whose last tap is not */
    int in0 = (a->pad_left + a->stride_x - 1) / a->stride_x;
    int in1 = a->w_in - 1 + a->pad_left - reach;

    in1 = in1 < 0 ? 0 : in1 / a->stride_x + 1;
    in0 = in0 < 0 ? 0 : in0 < a->ow ? in0 : a->ow;
    in1 = in1 < a->ow ? in1 : a->ow;
    for (size_t r = r0; r < r1; r++) {
        const size_t image = r / (size_t)a->oh;
        for (int ky = 0; ky < a->kh; ky++) {
            const int y = (int)(r % (size_t)a->oh) * a->stride_y + ky * a->dil_y;
            if (y < a->pad_top || y - a->pad_top >= a->h)
                continue;
            const size_t row = image * (size_t)a->h + (size_t)(y - a->pad_top);
            const dw_row at = { .x = row * (size_t)a->w_in * a->ldx,
                                .dy = r * (size_t)a->ow * g->lddy,
                                .inside0 = in0,
                                .inside1 = in1 > in0 ? in1 : in0 };
            dw_row_run(g, &at, g->sum + (size_t)(ky * a->kw) * (size_t)a->oc);
        }
    }
}

/* Without products of bf16 pairs only f32 is worth a kernel. */
static void taps_any(const vbg_tap_args *a, size_t o0, size_t o1, size_t b0, size_t b1)
{
#ifndef __AVX512BF16__
    if (a->t == VBG_BF16) {
        vbg_taps_ref(a, o0, o1, b0, b1);
        return;
    }
#endif
    taps_fast(a, o0, o1, b0, b1);
}

static void fill(vbg_train_kernels *k)
{
    k->transpose = transpose;
    k->interleave = interleave;
    k->pack = pack_any;
#ifdef __AVX512F__
    k->turn_weights = turn_weights;
#endif
    k->taps = taps_any;
    k->row_sums = row_sums;
    k->add_taps = add_taps;
    k->repeat = repeat;
    k->fold = fold;
    k->depthwise_grad = depthwise_grad;
}
