/* Attention with bf16 tiles; f32 goes the way of attention_tmpl.h.
 *
 * As there, queries lie in the lanes and everything is transposed, 32 queries to a
 * tile of work.  In tile registers (A is 16 x 32, B 32 x 16 in pairs, C 16 x 16):
 *
 *     S^T [16 keys][16 queries]  +=  K [16 keys][32 of d] * Q^T [32 of d][16 queries]
 *     O^T [16 of d][16 queries]  +=  V^T [16 of d][32 keys] * P^T [32 keys][16 queries]
 *
 * so maxima and sums run down the rows, and two neighbouring rows of S^T, packed to
 * bf16, already are a row of the B tile P^T: P overwrites S in place.  K and V^T are
 * repacked to whole tiles once per call, Q^T once per tile of queries.
 *
 * The online softmax moves its maximum only when it grows by more than 2^8, so the
 * sums are rarely rescaled; probabilities up to 256 cost nothing in bf16.
 * The exponential is a table lookup on bf16 bits: about 6 cycles for 32 values.
 *
 * Measured on one core, 4096 x 4096, d = 64, in cycles for 16 scores: scores 4,
 * softmax 5, values 4, where the products alone need 4.  What did not help: mixing the
 * instructions of the three (the vector units lose a port), blocks of other sizes,
 * Q in registers for all widths, prefetching K. */
#include "kernels/attention.h"
#include "kernels/x86/tiles.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/attention_tmpl.h"
#include "kernels/x86/attention_back_tmpl.h"

enum {
    AMX_KEYS = 128,   /* of a block: S, K and V take 16 KB of L1 each at d = 64 */
    A_TILE = 16 * 32, /* elements of a tile of 1 KB  */
    S_ROW = TILE * (int)sizeof(float), /* bytes */
    O_ROW = TILE * (int)sizeof(float)
};
#define RESCALE_ABOVE 8.0f

/* Sizes in tiles, and where things lie in the scratch. */
typedef struct amx_plan {
    size_t d, kd;    /* head width; steps of 32 along it */
    size_t vd;       /* tiles of 16 along it */
    size_t keys;     /* padded to 32 */
    uint16_t *k, *v; /* [keys/16][kd] and [keys/32][vd] tiles */
    float *s;
    uint16_t *q[GROUP]; /* [kd][2] tiles */
    flash_tile tile[GROUP];
} amx_plan;

static amx_plan plan_of(const vbg_attention_args *a)
{
    size_t d = (size_t)a->d;

    return (amx_plan){ .d = d,
                       .kd = (d + 31) / 32,
                       .vd = (d + 15) / 16,
                       .keys = vbg_round_up((size_t)a->tk, 32) };
}

/* Bytes of O, maximum, sum and Q^T of one tile of queries. */
static size_t tile_bytes(const amx_plan *p)
{
    return (p->vd * 16 + 2) * O_ROW + p->kd * 2 * A_TILE * sizeof(uint16_t);
}

static size_t amx_scratch(const vbg_attention_args *a)
{
    amx_plan p = plan_of(a);

    if (a->t != VBG_BF16)
        return flash_scratch(a);
    return p.keys * (p.kd * 32 + p.vd * 16) * sizeof(uint16_t) +
           (size_t)AMX_KEYS * S_ROW + GROUP * tile_bytes(&p) + 64;
}

static void place(amx_plan *p, void *scratch)
{
    char *at = (char *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);

    p->s = (float *)(void *)at;
    at += (size_t)AMX_KEYS * S_ROW;
    for (size_t i = 0; i < GROUP; i++) {
        flash_tile *t = &p->tile[i];
        t->o = (float *)(void *)at;
        t->top = t->o + p->vd * 16 * TILE;
        t->sum = t->top + TILE;
        p->q[i] = (uint16_t *)(void *)(t->sum + TILE);
        at += tile_bytes(p);
    }
    p->k = (uint16_t *)(void *)at;
    p->v = p->k + p->keys * p->kd * 32;
}

/* Rows of up to 32 values as 16 dwords; zero beyond n. */
static __m512i load_row(const uint16_t *p, size_t n)
{
    return _mm512_maskz_loadu_epi16(n < 32 ? (1u << n) - 1 : ~0u, p);
}

/* n rows of d values, `padded` in all: [row/16][d/32][16 rows][32 of d], zero where there
 * is neither. */
static void pack_rows(uint16_t *dst, const uint16_t *x, size_t ld, size_t n,
                      size_t padded, size_t d)
{
    const size_t kd = (d + 31) / 32;

    for (size_t i = 0; i < padded; i++)
        for (size_t s = 0; s < kd; s++) {
            size_t left = d - s * 32;
            __m512i r = _mm512_setzero_si512();
            if (i < n)
                r = load_row(x + i * ld + s * 32, left < 32 ? left : 32);
            _mm512_store_si512(dst + ((i / 16 * kd + s) * 16 + i % 16) * 32, r);
        }
}

/* One tile [16 of d][32 keys] from n rows of 16 values at v, c of them real. */
static void pack_value_tile(uint16_t *tile, const uint16_t *v, size_t ldv, size_t n,
                            size_t c)
{
    vf r[16];

    VF_UNROLL
    for (size_t i = 0; i < 16; i++) {
        __m512i lo = _mm512_setzero_si512(), hi = lo;
        if (2 * i < n)
            lo = _mm512_cvtepu16_epi32(
                _mm256_maskz_loadu_epi16(vf_mask(c), v + 2 * i * ldv));
        if (2 * i + 1 < n)
            hi = _mm512_cvtepu16_epi32(
                _mm256_maskz_loadu_epi16(vf_mask(c), v + (2 * i + 1) * ldv));
        r[i] = _mm512_castsi512_ps(_mm512_or_si512(lo, _mm512_slli_epi32(hi, 16)));
    }
    vf_transpose(r);
    VF_UNROLL
    for (size_t i = 0; i < 16; i++)
        _mm512_store_ps((float *)(void *)(tile + i * 32), r[i]);
}

static void pack_values(const vbg_attention_args *a, const amx_plan *p)
{
    const uint16_t *v = a->v;

    for (size_t i = 0; i < p->keys; i += 32)
        for (size_t j = 0; j < p->vd; j++) {
            size_t n = (size_t)a->tk - i, c = p->d - j * 16;
            pack_value_tile(p->v + (i / 32 * p->vd + j) * A_TILE, v + i * a->ldv + j * 16,
                            a->ldv, n < 32 ? n : 32, c < 16 ? c : 16);
        }
}

/* Q^T of one tile of queries: [d/32][2][16 pairs of d][16 queries]. */
static void pack_queries(const vbg_attention_args *a, const amx_plan *p,
                         const flash_tile *t, uint16_t *dst)
{
    const uint16_t *q = a->q;

    for (size_t s = 0; s < p->kd; s++)
        for (size_t half = 0; half < 2; half++) {
            size_t left = p->d - s * 32;
            vf r[16];
            VF_UNROLL
            for (size_t i = 0; i < 16; i++) {
                int at = t->q0 + vbg_min_int((int)(half * 16 + i), t->count - 1);
                r[i] = _mm512_castsi512_ps(
                    load_row(q + (size_t)at * a->ldq + s * 32, left < 32 ? left : 32));
            }
            vf_transpose(r);
            uint16_t *tile = dst + (s * 2 + half) * A_TILE;
            VF_UNROLL
            for (size_t i = 0; i < 16; i++)
                _mm512_store_ps((float *)(void *)(tile + i * 32), r[i]);
        }
}

/* S of 16 keys each, heads of at most 64: Q^T stays in four registers. */
static void scores_narrow(float *s, const uint16_t *k, const uint16_t *q, size_t keys,
                          size_t kd)
{
    _tile_loadd(4, q, 64);
    _tile_loadd(5, q + A_TILE, 64);
    if (kd > 1) {
        _tile_loadd(6, q + 2 * A_TILE, 64);
        _tile_loadd(7, q + 3 * A_TILE, 64);
    }
    for (size_t i = 0; i < keys; i += 16, s += 16 * TILE, k += kd * A_TILE) {
        _tile_loadd(2, k, 64);
        _tile_zero(0);
        _tile_zero(1);
        _tile_dpbf16ps(0, 2, 4);
        _tile_dpbf16ps(1, 2, 5);
        if (kd > 1) {
            _tile_loadd(3, k + A_TILE, 64);
            _tile_dpbf16ps(0, 3, 6);
            _tile_dpbf16ps(1, 3, 7);
        }
        _tile_stored(0, s, S_ROW);
        _tile_stored(1, s + 16, S_ROW);
    }
}

/* The same for any width, 32 keys at a time. */
static void scores_wide(float *s, const uint16_t *k, const uint16_t *q, size_t keys,
                        size_t kd)
{
    for (size_t i = 0; i < keys; i += 32, s += 32 * TILE, k += 2 * kd * A_TILE) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (size_t j = 0; j < kd; j++) {
            _tile_loadd(4, k + j * A_TILE, 64);
            _tile_loadd(6, q + 2 * j * A_TILE, 64);
            _tile_loadd(7, q + (2 * j + 1) * A_TILE, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, k + (kd + j) * A_TILE, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, s, S_ROW);
        _tile_stored(1, s + 16, S_ROW);
        _tile_stored(2, s + 16 * TILE, S_ROW);
        _tile_stored(3, s + 16 * TILE + 16, S_ROW);
    }
}

/* O^T [vd*16][32] += V^T * P^T over `keys` keys, two tiles of channels at a time; an
 * odd last one is computed twice over rather than written again. */
static void weigh_values(float *o, const uint16_t *v, const float *s, size_t keys,
                         size_t vd, bool first)
{
    const char *p = (const char *)s;

    for (size_t j = 0; j < vd; j += 2) {
        float *o0 = o + j * 16 * TILE, *o1 = o0 + 16 * TILE;
        bool two = j + 1 < vd;
        const uint16_t *v0 = v + j * A_TILE, *v1 = two ? v0 + A_TILE : v0;
        if (first) {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
        } else {
            _tile_loadd(0, o0, O_ROW);
            _tile_loadd(1, o0 + 16, O_ROW);
            if (two) {
                _tile_loadd(2, o1, O_ROW);
                _tile_loadd(3, o1 + 16, O_ROW);
            }
        }
        for (size_t i = 0; i < keys / 32; i++) {
            _tile_loadd(4, v0 + i * vd * A_TILE, 64);
            _tile_loadd(6, p + i * 16 * S_ROW, S_ROW);
            _tile_loadd(7, p + i * 16 * S_ROW + 64, S_ROW);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, v1 + i * vd * A_TILE, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, o0, O_ROW);
        _tile_stored(1, o0 + 16, O_ROW);
        if (two) {
            _tile_stored(2, o1, O_ROW);
            _tile_stored(3, o1 + 16, O_ROW);
        }
    }
}

/* 2^t straight to the bits of a bf16: t in steps of 1/128, plus 127*128, has the
 * exponent and, taken linearly, the mantissa.  This table, by the upper six bits of
 * the fraction f, holds how far the line lies above the curve: f - 128*(2^(f/128)-1),
 * the mean of two neighbours, rounded.  At most 1.2 units in the last place. */
static const uint8_t line_above_curve[64] = {
    0,  1,  1,  2,  2,  3,  4,  4,  5,  5,  5,  6,  6,  7,  7,  8,
    8,  8,  9,  9,  9,  9,  10, 10, 10, 10, 10, 11, 11, 11, 11, 11,
    11, 11, 11, 11, 11, 11, 11, 11, 11, 10, 10, 10, 10, 10, 9,  9,
    9,  8,  8,  8,  7,  7,  6,  6,  5,  5,  4,  3,  3,  2,  1,  1,
};
/* 1.5 * 2^23: floats around it hold whole numbers in their low bits. */
#define FIXED_ZERO 12582912.0f

/* Two rows of S to one row of P^T for 16 queries; the sum is that of the rounded.
 * c is the scale of the scores times 128, b the whole number that takes the maximum
 * away; their sum is rounded once, so large scores lose no more than in floats.
 * Whole-number instructions where possible: while tiles are in use, vector
 * instructions of four cycles find only one port (measured). */
VF_INLINE vf pack_pair(float *s, size_t i, vf c, vf b, __m512i table, vf sum)
{
    const vf zero = vf_set1(FIXED_ZERO);
    vf u0 = vf_max(vf_fma(vf_load(s + i * TILE), c, b), zero);
    vf u1 = vf_max(vf_fma(vf_load(s + (i + 1) * TILE), c, b), zero);
    __m512i high = _mm512_slli_epi32(_mm512_castps_si512(u1), 16);
    __m512i pair = _mm512_mask_mov_epi16(_mm512_castps_si512(u0), 0xaaaaaaaau, high);
    __m512i d = _mm512_maskz_permutexvar_epi8(0x5555555555555555u,
                                              _mm512_srli_epi16(pair, 1), table);
    __m512bh bits, ones;
    const __m512i one = _mm512_set1_epi16(0x3f80);

    pair = _mm512_sub_epi16(pair, d);
    _mm512_store_ps(s + i / 2 * TILE, _mm512_castsi512_ps(pair));
    memcpy(&bits, &pair, sizeof bits);
    memcpy(&ones, &one, sizeof ones);
    return _mm512_dpbf16_ps(sum, bits, ones);
}

/* The maximum follows where it grew by more than RESCALE_ABOVE. */
static vf move_top(const amx_plan *p, const flash_tile *t, size_t x, vf m, bool first)
{
    vf old = vf_load(t->top + x);
    __mmask16 grew =
        _mm512_cmp_ps_mask(m, vf_add(old, vf_set1(RESCALE_ABOVE)), _CMP_GT_OQ);

    if (!grew)
        return old;
    m = _mm512_mask_mov_ps(old, grew, _mm512_roundscale_ps(m, 7 << 4)); /* to 1/128 */
    vf_store(t->top + x, m);
    if (!first) {
        vf shrink = vf_exp2(vf_sub(old, m));
        vf_store(t->sum + x, vf_mul(vf_load(t->sum + x), shrink));
        for (size_t j = 0; j < p->vd * 16; j++)
            vf_store(t->o + j * TILE + x, vf_mul(vf_load(t->o + j * TILE + x), shrink));
    }
    return m;
}

/* S of one block becomes P^T in place.  ahead: the V tiles that come next, 4 KB for 32
 * keys are fetched into L1 meanwhile (3 %). */
static void softmax_block(const amx_plan *p, const flash_tile *t, size_t keys,
                          float factor, bool first, const char *ahead)
{
    const __m512i table = _mm512_loadu_si512(line_above_curve);
    const vf c = vf_set1(factor), c128 = vf_set1(factor * 128);
    const vf zero = vf_set1(FIXED_ZERO + 127 * 128);
    float *s = p->s;
    vf m0 = vf_load(s), m1 = vf_load(s + VF), m2 = m0, m3 = m1;

    for (size_t i = 0; i < keys; i += 4) {
        m0 = vf_max(m0, vf_load(s + i * TILE));
        m1 = vf_max(m1, vf_load(s + i * TILE + VF));
        m2 = vf_max(m2, vf_load(s + (i + 1) * TILE));
        m3 = vf_max(m3, vf_load(s + (i + 1) * TILE + VF));
        m0 = vf_max(m0, vf_load(s + (i + 2) * TILE));
        m1 = vf_max(m1, vf_load(s + (i + 2) * TILE + VF));
        m2 = vf_max(m2, vf_load(s + (i + 3) * TILE));
        m3 = vf_max(m3, vf_load(s + (i + 3) * TILE + VF));
    }
    m0 = move_top(p, t, 0, vf_mul(vf_max(m0, m2), c), first);
    m1 = move_top(p, t, VF, vf_mul(vf_max(m1, m3), c), first);
    vf b0 = vf_fnma(m0, vf_set1(128), zero), b1 = vf_fnma(m1, vf_set1(128), zero);
    vf s0 = vf_zero(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < keys; i += 4, ahead += 512) {
        s0 = pack_pair(s, i, c128, b0, table, s0);
        s1 = pack_pair(s + VF, i, c128, b1, table, s1);
        s2 = pack_pair(s, i + 2, c128, b0, table, s2);
        s3 = pack_pair(s + VF, i + 2, c128, b1, table, s3);
        VF_UNROLL
        for (size_t k = 0; k < 512; k += 64)
            _mm_prefetch(ahead + k, _MM_HINT_T0);
    }
    s0 = vf_add(s0, s2);
    s1 = vf_add(s1, s3);
    vf_store(t->sum, first ? s0 : vf_add(vf_load(t->sum), s0));
    vf_store(t->sum + VF, first ? s1 : vf_add(vf_load(t->sum + VF), s1));
}

/* Keys [k0, k0+n) for one tile of queries. */
static void amx_block(const vbg_attention_args *a, const amx_plan *p, size_t i, size_t k0,
                      size_t n)
{
    const flash_tile *t = &p->tile[i];
    const uint16_t *k = p->k + k0 / 16 * p->kd * A_TILE;
    const uint16_t *v = p->v + k0 / 32 * p->vd * A_TILE;
    size_t keys = vbg_round_up(n, 32);
    bool first = k0 == 0;

    if (p->kd <= 2)
        scores_narrow(p->s, k, p->q[i], keys, p->kd);
    else
        scores_wide(p->s, k, p->q[i], keys, p->kd);
    for (size_t j = n * TILE; j < keys * TILE; j++)
        p->s[j] = FLASH_MASKED;
    if (a->causal && (int)(k0 + n) > t->q0 + 1)
        mask_causal(p->s, (int)k0, n, t->q0);
    softmax_block(p, t, keys, a->scale * 1.44269504f, first, (const char *)v);
    weigh_values(t->o, v, p->s, keys, p->vd, first);
}

static void amx_group(const vbg_attention_args *a, amx_plan *p, int q0, int q1)
{
    size_t tiles = 0;

    for (int q = q0; q < q1 && tiles < GROUP; q += TILE, tiles++) {
        flash_tile *t = &p->tile[tiles];
        t->q0 = q;
        t->count = vbg_min_int(TILE, q1 - q);
        for (size_t i = 0; i < TILE; i++)
            t->top[i] = FLASH_MASKED;
        pack_queries(a, p, t, p->q[tiles]);
    }
    for (size_t k0 = 0; k0 < (size_t)a->tk; k0 += AMX_KEYS)
        for (size_t i = 0; i < tiles; i++) {
            size_t n = (size_t)a->tk - k0;
            if (!a->causal || (int)k0 < p->tile[i].q0 + p->tile[i].count)
                amx_block(a, p, i, k0, n < AMX_KEYS ? n : AMX_KEYS);
        }
    for (size_t i = 0; i < tiles; i++)
        tile_finish(a, &p->tile[i]);
}

static void amx_run(const vbg_attention_args *a, int q0, int q1, void *scratch)
{
    amx_plan p = plan_of(a);

    if (a->t != VBG_BF16) {
        flash_run(a, q0, q1, scratch);
        return;
    }
    place(&p, scratch);
    pack_rows(p.k, a->k, a->ldk, (size_t)a->tk, p.keys, p.d);
    pack_values(a, &p);
    tiles_on();
    for (; q0 < q1; q0 += GROUP * TILE)
        amx_group(a, &p, q0, q1);
    _tile_release();
}

#include "kernels/x86/attention_back_amx.h"

void vbg_attention_init_amx_bf16(vbg_attention_kernels *k)
{
    *k = (vbg_attention_kernels){ .run = amx_run,
                                  .scratch = amx_scratch,
                                  .back = amx_back,
                                  .back_scratch = amx_back_scratch };
}
