/* The way back through attention in f32 for any vector width, after attention_tmpl.h.
 *
 * Blocks of keys go past tiles of queries.  Scores lie as in the forward, queries in the
 * lanes, and are computed again; a second set holds dy v^T.  With rows [KEYS][TILE]:
 *
 *     s  = k q^T   p  = 2^(s - top)*rsum      dv [KEYS][dp] += p  dy
 *     g  = v dy^T  ds = p*(g - delta)*scale   dk [KEYS][dp] += ds q
 *                                             dq^T [d][TILE] += k^T ds
 *
 * q and dy of a tile are there twice: transposed [d][TILE] and, padded with zeros to dp
 * columns, as rows [TILE][dp].  dq stays in the scratch until all keys have passed.
 * bf16 is widened first.  Source: Dao et al. 2022, algorithm 4. */

typedef struct back_plan {
    size_t d, dp, tiles;       /* dp: d in whole pairs of vectors; tiles of queries */
    float *s, *g;              /* [KEYS][TILE] */
    float *qt, *gt;            /* [d][TILE] */
    float *q, *dy;             /* [TILE][dp] */
    float *top, *rsum, *delta; /* [TILE] */
    float *dk, *dv;            /* [KEYS][dp] */
    float *wide;               /* [2][KEYS][d]: keys and values that were bf16 */
    float *dqt;                /* [tiles][d][TILE] */
} back_plan;

static back_plan back_plan_of(const vbg_attention_back *b, void *scratch, size_t *bytes)
{
    const size_t d = (size_t)b->of.d, dp = vbg_round_up(d, 2 * VF);
    back_plan p = { .d = d, .dp = dp, .tiles = ((size_t)b->of.tq + TILE - 1) / TILE };
    float **const part[] = { &p.s,    &p.g,     &p.qt, &p.gt, &p.q,    &p.dy, &p.top,
                             &p.rsum, &p.delta, &p.dk, &p.dv, &p.wide, &p.dqt };
    const size_t size[] = { (size_t)KEYS * TILE,
                            (size_t)KEYS * TILE,
                            d * TILE,
                            d * TILE,
                            dp * TILE,
                            dp * TILE,
                            TILE,
                            TILE,
                            TILE,
                            KEYS * dp,
                            KEYS * dp,
                            b->of.t == VBG_BF16 ? 2 * KEYS * d : 0,
                            p.tiles * d * TILE };
    size_t at = 0;

    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
        if (scratch)
            *part[i] = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63) + at;
        at += vbg_round_up(size[i], 16);
    }
    *bytes = at * sizeof(float) + 64;
    return p;
}

static size_t flash_back_scratch(const vbg_attention_back *b)
{
    size_t bytes;

    back_plan_of(b, NULL, &bytes);
    return bytes;
}

/* Rows [r0, r0+count) of x as rows [TILE][dp] and, transposed, as [d][TILE]; zero where
 * there is nothing. */
static void back_load(float *rows, float *cols, const back_plan *p, const void *x,
                      vbg_dtype t, size_t ld, size_t r0, size_t count)
{
    for (size_t i = 0; i < TILE; i++)
        for (size_t j = 0; j < p->dp; j += VF) {
            size_t n = j >= p->d ? 0 : p->d - j < VF ? p->d - j : VF;
            vf v = vf_zero();
            if (i < count && n)
                v = vf_get_n(x, t, (r0 + i) * ld + j, n);
            vf_store(rows + i * p->dp + j, v);
        }
    for (size_t i0 = 0; i0 < TILE; i0 += VF)
        for (size_t j = 0; j < p->d; j += VF) {
            vf r[VF];
            VF_UNROLL
            for (size_t i = 0; i < VF; i++)
                r[i] = vf_load(rows + (i0 + i) * p->dp + j);
            vf_transpose(r);
            for (size_t k = 0; k < VF && j + k < p->d; k++)
                vf_store(cols + (j + k) * TILE + i0, r[k]);
        }
}

/* Tile `index` of queries; those beyond the last have no weight. */
static void back_queries(const vbg_attention_back *b, const back_plan *p, size_t index)
{
    const vbg_attention_args *a = &b->of;
    const size_t q0 = index * TILE, left = (size_t)a->tq - q0;
    const size_t count = left < TILE ? left : TILE;

    back_load(p->q, p->qt, p, a->q, a->t, a->ldq, q0, count);
    back_load(p->dy, p->gt, p, b->dy, a->t, b->lddy, q0, count);
    for (size_t i = 0; i < TILE; i++) {
        vf sum = vf_zero();
        for (size_t j = 0; i < count && j < p->d; j += VF) {
            size_t n = p->d - j < VF ? p->d - j : VF;
            vf y = vf_get_n(a->y, a->t, (q0 + i) * a->ldy + j, n);
            sum = vf_fma(y, vf_load(p->dy + i * p->dp + j), sum);
        }
        p->delta[i] = vf_sum(sum);
        p->top[i] = i < count ? a->top[q0 + i] : 0;
        p->rsum[i] = i < count ? a->rsum[q0 + i] : 0;
    }
}

/* s becomes p, g becomes ds. */
static void back_scores(const back_plan *p, size_t n, float scale)
{
    const vf c = vf_set1(scale * 1.44269504f), f = vf_set1(scale);

    for (size_t x = 0; x < TILE; x += VF) {
        const vf top = vf_load(p->top + x), rsum = vf_load(p->rsum + x);
        const vf delta = vf_load(p->delta + x);
        for (size_t i = 0; i < n; i++) {
            float *s = p->s + i * TILE + x, *g = p->g + i * TILE + x;
            vf e = vf_mul(vf_exp2(vf_sub(vf_mul(vf_load(s), c), top)), rsum);
            vf_store(s, e);
            vf_store(g, vf_mul(vf_mul(e, vf_sub(vf_load(g), delta)), f));
        }
    }
}

/* acc[i][j] += sum_q w[i][q] x[q][j] for STEP rows i and two vectors of columns. */
static void outer_step(float *acc, const float *w, const float *x, size_t dp)
{
    vf r[STEP][2];

    VF_UNROLL
    for (size_t i = 0; i < STEP; i++) {
        r[i][0] = vf_load(acc + i * dp);
        r[i][1] = vf_load(acc + i * dp + VF);
    }
    for (size_t q = 0; q < TILE; q++) {
        vf x0 = vf_load(x + q * dp), x1 = vf_load(x + q * dp + VF);
        VF_UNROLL
        for (size_t i = 0; i < STEP; i++) {
            vf k = vf_set1(w[i * TILE + q]);
            r[i][0] = vf_fma(k, x0, r[i][0]);
            r[i][1] = vf_fma(k, x1, r[i][1]);
        }
    }
    VF_UNROLL
    for (size_t i = 0; i < STEP; i++) {
        vf_store(acc + i * dp, r[i][0]);
        vf_store(acc + i * dp + VF, r[i][1]);
    }
}

/* Rows beyond n, up to a whole STEP, are not meant. */
static void outer(float *acc, const float *w, const float *x, size_t n, size_t dp)
{
    for (size_t i = 0; i < n; i += STEP)
        for (size_t j = 0; j < dp; j += 2 * VF)
            outer_step(acc + i * dp + j, w + i * TILE, x + j, dp);
}

/* Keys k0.., n of them, as f32 rows; *ld gets their distance. */
static const float *back_rows(const vbg_attention_args *a, const void *x, size_t *ld,
                              size_t k0, size_t n, float *wide)
{
    if (a->t != VBG_BF16)
        return (const float *)x + k0 * *ld;
    widen_rows(wide, (const uint16_t *)x + k0 * *ld, *ld, n, (size_t)a->d);
    *ld = (size_t)a->d;
    return wide;
}

/* Keys [k0, k0+n) and all queries. */
static void back_block(const vbg_attention_back *b, const back_plan *p, size_t k0,
                       size_t n)
{
    const vbg_attention_args *a = &b->of;
    size_t ldk = a->ldk, ldv = a->ldv;
    const float *k = back_rows(a, a->k, &ldk, k0, n, p->wide);
    const float *v = back_rows(a, a->v, &ldv, k0, n, p->wide + KEYS * p->d);

    memset(p->dk, 0, KEYS * p->dp * sizeof(float));
    memset(p->dv, 0, KEYS * p->dp * sizeof(float));
    for (size_t i = 0; i < p->tiles; i++) {
        if (a->causal && k0 >= (i + 1) * TILE)
            continue;
        back_queries(b, p, i);
        scores(p->s, k, ldk, n, p->qt, p->d);
        scores(p->g, v, ldv, n, p->gt, p->d);
        if (a->causal && k0 + n > i * TILE + 1)
            mask_causal(p->s, (int)k0, n, (int)(i * TILE));
        back_scores(p, n, a->scale);
        values(p->dqt + i * p->d * TILE, k, ldk, p->g, n, p->d);
        if (!b->dk)
            continue;
        outer(p->dv, p->s, p->dy, n, p->dp);
        outer(p->dk, p->g, p->q, n, p->dp);
    }
    for (size_t i = 0; b->dk && i < n; i++)
        for (size_t j = 0; j < p->d; j += VF) {
            size_t cols = p->d - j < VF ? p->d - j : VF;
            vf_put_n(b->dk, b->dkt, (k0 + i) * b->lddk + j,
                     vf_load(p->dk + i * p->dp + j), cols);
            vf_put_n(b->dv, b->dkt, (k0 + i) * b->lddv + j,
                     vf_load(p->dv + i * p->dp + j), cols);
        }
}

/* Rows [q0, q0+count) of dq from t [d][ld], queries in its columns. */
static void back_store(const vbg_attention_back *b, const float *t, size_t ld, size_t q0,
                       size_t count)
{
    const size_t d = (size_t)b->of.d;

    for (size_t i0 = 0; i0 < count; i0 += VF)
        for (size_t j = 0; j < d; j += VF) {
            size_t n = d - j < VF ? d - j : VF;
            vf r[VF];
            for (size_t k = 0; k < VF; k++)
                r[k] = k < n ? vf_load(t + (j + k) * ld + i0) : vf_zero();
            vf_transpose(r);
            for (size_t i = 0; i < VF && i0 + i < count; i++)
                vf_put_n(b->dq, b->dqt, (q0 + i0 + i) * b->lddq + j, r[i], n);
        }
}

static void flash_back(const vbg_attention_back *b, int k0, int k1, void *scratch)
{
    size_t bytes;
    const back_plan p = back_plan_of(b, scratch, &bytes);
    const size_t tq = (size_t)b->of.tq;

    memset(p.dqt, 0, p.tiles * p.d * TILE * sizeof(float));
    for (; k0 < k1; k0 += KEYS)
        back_block(b, &p, (size_t)k0, (size_t)vbg_min_int(KEYS, k1 - k0));
    for (size_t i = 0; i < p.tiles; i++) {
        size_t left = tq - i * TILE;
        back_store(b, p.dqt + i * p.d * TILE, TILE, i * TILE, left < TILE ? left : TILE);
    }
}
