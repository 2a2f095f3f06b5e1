/* Flash attention in f32 for any vector width: included by attention_<isa>.c after
 * simd.h.
 *
 * Queries lie in the lanes, two vectors of them make a tile.  Everything is kept
 * transposed, so that no horizontal step is needed and K and V are read as they are:
 *
 *     qt [d][TILE]      the tile's queries
 *     s  [KEYS][TILE]   scores, then probabilities, of one block of keys
 *     o  [d][TILE]      weighted sum of V so far
 *     top, sum [TILE]   running maximum (times scale*log2 e) and denominator
 *
 * A group of GROUP tiles visits a block of keys before the next block is touched,
 * and K and V pass through the cache once per group.  bf16 blocks are widened first.
 * Source of the online softmax: Milakov and Gimelshein 2018; Dao et al. 2022. */

enum {
    TILE = 2 * VF,
    STEP = VF == 16 ? 12 : 6, /* rows of a register block: 2*STEP accumulators */
    KEYS = 120,               /* a multiple of STEP */
    GROUP = 4
};
#define FLASH_MASKED (-1e30f)

/* One tile's state inside the scratch. */
typedef struct flash_tile {
    float *qt, *o, *top, *sum;
    int q0, count; /* queries [q0, q0+count) */
} flash_tile;

static size_t tile_floats(size_t d)
{
    return 2 * d * TILE + 2 * TILE;
}

static size_t flash_scratch(const vbg_attention_args *a)
{
    size_t d = (size_t)a->d, wide = a->t == VBG_BF16 ? 2 * KEYS * d : 0;

    return (GROUP * tile_floats(d) + (size_t)KEYS * TILE + wide) * sizeof(float) + 64;
}

static size_t flash_offset(vbg_dtype t, size_t i)
{
    return i * (t == VBG_BF16 ? sizeof(uint16_t) : sizeof(float));
}

/* qt[j][i] = q[q0+i][j]; lanes beyond count repeat the last query. */
static void load_queries(const vbg_attention_args *a, const flash_tile *t)
{
    size_t d = (size_t)a->d;

    for (size_t i0 = 0; i0 < TILE; i0 += VF)
        for (size_t j = 0; j < d; j += VF) {
            size_t n = d - j < VF ? d - j : VF;
            vf r[VF];
            VF_UNROLL
            for (size_t i = 0; i < VF; i++) {
                int q = t->q0 + vbg_min_int((int)(i0 + i), t->count - 1);
                r[i] = vf_get_n(a->q, a->t, (size_t)q * a->ldq + j, n);
            }
            vf_transpose(r);
            for (size_t k = 0; k < n; k++)
                vf_store(t->qt + (j + k) * TILE + i0, r[k]);
        }
}

static void tile_start(const vbg_attention_args *a, flash_tile *t)
{
    load_queries(a, t);
    memset(t->o, 0, (size_t)a->d * TILE * sizeof(float));
    for (size_t i = 0; i < TILE; i++) {
        t->top[i] = FLASH_MASKED;
        t->sum[i] = 0;
    }
}

/* Scores of STEP keys: s[i][TILE] = sum_j key[i][j] * qt[j]. */
static void scores_step(float *s, const float *const key[STEP], const float *qt, size_t d)
{
    vf acc[STEP][2];

    VF_UNROLL
    for (size_t i = 0; i < STEP; i++)
        acc[i][0] = acc[i][1] = vf_zero();
    for (size_t j = 0; j < d; j++) {
        vf q0 = vf_load(qt + j * TILE), q1 = vf_load(qt + j * TILE + VF);
        VF_UNROLL
        for (size_t i = 0; i < STEP; i++) {
            vf k = vf_set1(key[i][j]);
            acc[i][0] = vf_fma(k, q0, acc[i][0]);
            acc[i][1] = vf_fma(k, q1, acc[i][1]);
        }
    }
    VF_UNROLL
    for (size_t i = 0; i < STEP; i++) {
        vf_store(s + i * TILE, acc[i][0]);
        vf_store(s + i * TILE + VF, acc[i][1]);
    }
}

/* Scores of n keys; the rows after them, up to a whole STEP, are not meant. */
static void scores(float *s, const float *k, size_t ldk, size_t n, const float *qt,
                   size_t d)
{
    for (size_t i = 0; i < n; i += STEP) {
        const float *key[STEP];
        for (size_t x = 0; x < STEP; x++)
            key[x] = k + (i + x < n ? i + x : n - 1) * ldk;
        scores_step(s + i * TILE, key, qt, d);
    }
}

/* Keys after a query are masked; key0 is the number of the block's first. */
static void mask_causal(float *s, int key0, size_t n, int q0)
{
    for (size_t i = 0; i < n; i++)
        for (int x = 0; x < TILE && q0 + x < key0 + (int)i; x++)
            s[i * TILE + (size_t)x] = FLASH_MASKED;
}

/* s becomes the probabilities relative to the new maximum; o and sum follow it. */
static void online_softmax(const flash_tile *t, float *s, size_t n, size_t d,
                           float factor)
{
    const vf c = vf_set1(factor);

    for (size_t x = 0; x < TILE; x += VF) {
        vf old = vf_load(t->top + x), m = vf_set1(FLASH_MASKED), sum = vf_zero();
        for (size_t i = 0; i < n; i++)
            m = vf_max(m, vf_load(s + i * TILE + x));
        m = vf_max(old, vf_mul(m, c));
        for (size_t i = 0; i < n; i++) {
            vf p = vf_exp2(vf_sub(vf_mul(vf_load(s + i * TILE + x), c), m));
            vf_store(s + i * TILE + x, p);
            sum = vf_add(sum, p);
        }
        vf shrink = vf_exp2(vf_sub(old, m));
        vf_store(t->top + x, m);
        vf_store(t->sum + x, vf_fma(vf_load(t->sum + x), shrink, sum));
        for (size_t j = 0; j < d; j++)
            vf_store(t->o + j * TILE + x, vf_mul(vf_load(t->o + j * TILE + x), shrink));
    }
}

/* o[j] += sum_i v[i][j] * p[i] for `rows` <= STEP channels. */
VF_INLINE void values_step(float *o, const float *v, size_t ldv, const float *p, size_t n,
                           size_t rows)
{
    vf acc[STEP][2];

    VF_UNROLL
    for (size_t j = 0; j < rows; j++)
        acc[j][0] = acc[j][1] = vf_zero();
    for (size_t i = 0; i < n; i++) {
        vf p0 = vf_load(p + i * TILE), p1 = vf_load(p + i * TILE + VF);
        VF_UNROLL
        for (size_t j = 0; j < rows; j++) {
            vf x = vf_set1(v[i * ldv + j]);
            acc[j][0] = vf_fma(x, p0, acc[j][0]);
            acc[j][1] = vf_fma(x, p1, acc[j][1]);
        }
    }
    VF_UNROLL
    for (size_t j = 0; j < rows; j++) {
        float *at = o + j * TILE;
        vf_store(at, vf_add(vf_load(at), acc[j][0]));
        vf_store(at + VF, vf_add(vf_load(at + VF), acc[j][1]));
    }
}

static void values(float *o, const float *v, size_t ldv, const float *p, size_t n,
                   size_t d)
{
    size_t j = 0;

    for (; j + STEP <= d; j += STEP)
        values_step(o + j * TILE, v + j, ldv, p, n, STEP);
    for (; j + 4 <= d; j += 4)
        values_step(o + j * TILE, v + j, ldv, p, n, 4);
    for (; j < d; j++)
        values_step(o + j * TILE, v + j, ldv, p, n, 1);
}

/* y[q0+i][j] = o[j][i] / sum[i] */
static void tile_finish(const vbg_attention_args *a, const flash_tile *t)
{
    size_t d = (size_t)a->d;

    for (size_t i0 = 0; i0 < (size_t)t->count; i0 += VF) {
        vf f = vf_div(vf_set1(1), vf_load(t->sum + i0));
        size_t rows = (size_t)t->count - i0 < VF ? (size_t)t->count - i0 : VF;
        if (a->top) {
            vf_store_n(a->top + (size_t)t->q0 + i0, vf_load(t->top + i0), rows);
            vf_store_n(a->rsum + (size_t)t->q0 + i0, f, rows);
        }
        for (size_t j = 0; j < d; j += VF) {
            size_t n = d - j < VF ? d - j : VF;
            vf r[VF];
            for (size_t k = 0; k < VF; k++)
                r[k] = k < n ? vf_mul(vf_load(t->o + (j + k) * TILE + i0), f) : vf_zero();
            vf_transpose(r);
            for (size_t i = 0; i < rows; i++)
                vf_put_n(a->y, a->t, ((size_t)t->q0 + i0 + i) * a->ldy + j, r[i], n);
        }
    }
}

/* n rows of x (bf16) widened to w, d apart. */
static void widen_rows(float *w, const uint16_t *x, size_t ldx, size_t n, size_t d)
{
    for (size_t i = 0; i < n; i++) {
        size_t j = 0;
        for (; j + VF <= d; j += VF)
            vf_store(w + i * d + j, vf_load_bf16(x + i * ldx + j));
        if (j < d)
            vf_store_n(w + i * d + j, vf_load_bf16_n(x + i * ldx + j, d - j), d - j);
    }
}

/* Keys [k0, k0+n) for the tiles of a group. */
static void visit_block(const vbg_attention_args *a, flash_tile *tile, int tiles, int k0,
                        size_t n, float *s, float *wide)
{
    size_t d = (size_t)a->d, ldk = a->ldk, ldv = a->ldv;
    size_t ok = flash_offset(a->t, (size_t)k0 * ldk),
           ov = flash_offset(a->t, (size_t)k0 * ldv);
    const float *k = (const float *)(const void *)((const char *)a->k + ok);
    const float *v = (const float *)(const void *)((const char *)a->v + ov);

    if (a->t == VBG_BF16) {
        widen_rows(wide, (const uint16_t *)(const void *)k, ldk, n, d);
        widen_rows(wide + n * d, (const uint16_t *)(const void *)v, ldv, n, d);
        k = wide;
        v = wide + n * d;
        ldk = ldv = d;
    }
    for (int i = 0; i < tiles; i++) {
        flash_tile *t = &tile[i];
        if (a->causal && k0 >= t->q0 + t->count)
            continue;
        scores(s, k, ldk, n, t->qt, d);
        if (a->causal && k0 + (int)n > t->q0 + 1)
            mask_causal(s, k0, n, t->q0);
        online_softmax(t, s, n, d, a->scale * 1.44269504f);
        values(t->o, v, ldv, s, n, d);
    }
}

static void flash_run(const vbg_attention_args *a, int q0, int q1, void *scratch)
{
    float *s = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    float *wide = s + (size_t)KEYS * TILE, *rest;
    flash_tile tile[GROUP];

    rest = wide + (a->t == VBG_BF16 ? 2 * KEYS * (size_t)a->d : 0);
    for (int i = 0; i < GROUP; i++, rest += tile_floats((size_t)a->d)) {
        tile[i].top = rest;
        tile[i].sum = rest + TILE;
        tile[i].qt = rest + 2 * TILE;
        tile[i].o = tile[i].qt + (size_t)a->d * TILE;
    }
    for (; q0 < q1; q0 += GROUP * TILE) {
        int tiles = 0;
        for (int q = q0; q < q1 && tiles < GROUP; q += TILE, tiles++) {
            tile[tiles].q0 = q;
            tile[tiles].count = vbg_min_int(TILE, q1 - q);
            tile_start(a, &tile[tiles]);
        }
        for (int k0 = 0; k0 < a->tk; k0 += KEYS)
            visit_block(a, tile, tiles, k0, (size_t)vbg_min_int(KEYS, a->tk - k0), s,
                        wide);
        for (int i = 0; i < tiles; i++)
            tile_finish(a, &tile[i]);
    }
}
