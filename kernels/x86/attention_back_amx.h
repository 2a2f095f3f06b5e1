/* The way back through attention with bf16 tiles.  Part of attention_amx_bf16.c.
 *
 * Keys come in stretches whose dk and dv stay in L2; past a stretch go blocks of qb
 * queries, and for each of them the stretch's blocks of KB keys.  qb is 128 or all
 * queries in whole pairs of tiles, and the last block of keys ends after a strip of 32:
 * small maps would else be padding mostly.  In tiles (A is 16 x 32, B 32 x 16 in pairs,
 * C 16 x 16), dp being d in whole tiles of 32:
 *
 *     S  [KB][qb]  = K   [KB][dp] * Q^T  [dp][qb]       G = V * dY^T alike
 *     dV [KB][dp] += P   [KB][qb] * dY   [qb][dp]      dK += dS * Q alike
 *     dQ^T [dp][qb] += K^T [dp][KB] * dS [KB][qb]
 *
 * A row of P or dS, rounded to bf16, is a row of an A tile; two rows interleaved are a
 * row of a B tile, so dS is stored twice.  P = 2^(scale*log2e*s - top + log2 rsum). */

enum { MOST_QB = 128, KB = 64, STRIP = 32, STRETCH = 1 << 16 /* elements of dk */ };
#define NEVER 1e30f

typedef struct amx_back_plan {
    size_t d, kd, nd, dp;      /* steps of 32, tiles of 16, padded width */
    size_t qb;                 /* queries of a block */
    size_t stretch, blocks;    /* keys of a stretch; blocks of queries */
    uint16_t *k, *v, *kt;      /* [stretch/16][kd] A twice, [stretch/KB][nd][KB/32] A */
    uint16_t *qt, *gt, *q, *g; /* [kd][qb/16] B twice, [qb/32][nd] B twice */
    uint16_t *p, *ds, *dsb;    /* [KB/16][qb/32] A twice, [KB/32][qb/16] B */
    float *s, *gs;             /* [STRIP][qb] */
    float *top, *delta;        /* [qb]: top - log2 rsum; sum(dy*y)*scale */
    float *dk, *dv;            /* [stretch][dp] */
    float *dqt;                /* [blocks][dp][qb] */
} amx_back_plan;

/* Takes bytes from *at on; counts only while there is no scratch. */
static void *part_of(void *scratch, size_t *at, size_t bytes)
{
    size_t here = *at;

    *at += vbg_round_up(bytes, 64);
    return scratch ? (char *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63) + here : NULL;
}

static amx_back_plan amx_back_place(const vbg_attention_back *b, void *mem, size_t *bytes)
{
    enum { H = sizeof(uint16_t), F = sizeof(float) };
    const size_t d = (size_t)b->of.d, keys = vbg_round_up((size_t)b->of.tk, KB);
    amx_back_plan p = { .d = d, .kd = (d + 31) / 32 };
    size_t at = 0;

    p.nd = 2 * p.kd;
    p.dp = 32 * p.kd;
    p.stretch = STRETCH / p.dp / KB * KB;
    p.stretch = p.stretch < KB ? KB : p.stretch > keys ? keys : p.stretch;
    p.qb = vbg_round_up((size_t)b->of.tq, STRIP);
    p.qb = p.qb < MOST_QB ? p.qb : MOST_QB;
    p.blocks = ((size_t)b->of.tq + p.qb - 1) / p.qb;
    uint16_t **const rows[] = { &p.k, &p.v, &p.kt };
    uint16_t **const queries[] = { &p.qt, &p.gt, &p.q, &p.g };
    uint16_t **const products[] = { &p.p, &p.ds, &p.dsb };
    for (size_t i = 0; i < 3; i++)
        *rows[i] = part_of(mem, &at, p.stretch * p.dp * H);
    for (size_t i = 0; i < 4; i++)
        *queries[i] = part_of(mem, &at, p.qb * p.dp * H);
    for (size_t i = 0; i < 3; i++)
        *products[i] = part_of(mem, &at, (size_t)KB * p.qb * H);
    p.s = part_of(mem, &at, (size_t)STRIP * p.qb * F);
    p.gs = part_of(mem, &at, (size_t)STRIP * p.qb * F);
    p.top = part_of(mem, &at, p.qb * F);
    p.delta = part_of(mem, &at, p.qb * F);
    p.dk = part_of(mem, &at, p.stretch * p.dp * F);
    p.dv = part_of(mem, &at, p.stretch * p.dp * F);
    p.dqt = part_of(mem, &at, p.blocks * p.dp * p.qb * F);
    *bytes = at + 64;
    return p;
}

static size_t amx_back_scratch(const vbg_attention_back *b)
{
    size_t bytes;

    if (b->of.t != VBG_BF16)
        return flash_back_scratch(b);
    amx_back_place(b, NULL, &bytes);
    return bytes;
}

/* Row i of rows at x from column j on, up to 32 values; zero beyond. */
static __m512i row_or_zero(const uint16_t *x, size_t ld, size_t i, size_t rows, size_t j,
                           size_t d)
{
    if (i >= rows)
        return _mm512_setzero_si512();
    return load_row(x + i * ld + j, d - j < 32 ? d - j : 32);
}

/* [kd][qb/16] B tiles: pairs along d, a column for each of `rows` queries. */
static void pack_columns(uint16_t *dst, const amx_back_plan *p, const uint16_t *x,
                         size_t ld, size_t rows)
{
    for (size_t s = 0; s < p->kd; s++)
        for (size_t i0 = 0; i0 < p->qb; i0 += 16, dst += A_TILE) {
            vf r[16];
            VF_UNROLL
            for (size_t i = 0; i < 16; i++)
                r[i] =
                    _mm512_castsi512_ps(row_or_zero(x, ld, i0 + i, rows, s * 32, p->d));
            vf_transpose(r);
            VF_UNROLL
            for (size_t i = 0; i < 16; i++)
                _mm512_store_ps((float *)(void *)(dst + i * 32), r[i]);
        }
}

/* Two rows of 32 bf16, interleaved: values 0..15 and 16..31. */
static void interleave(uint16_t *lo, uint16_t *hi, __m512i a, __m512i b)
{
    const __m512i word =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39,
                         7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i next = _mm512_add_epi16(word, _mm512_set1_epi16(16));

    _mm512_store_si512(lo, _mm512_permutex2var_epi16(a, word, b));
    _mm512_store_si512(hi, _mm512_permutex2var_epi16(a, next, b));
}

/* [qb/32][nd] B tiles: pairs along the queries, a column for each value. */
static void pack_pairs(uint16_t *dst, const amx_back_plan *p, const uint16_t *x,
                       size_t ld, size_t rows)
{
    for (size_t i = 0; i < p->qb; i += 2)
        for (size_t s = 0; s < p->kd; s++) {
            uint16_t *at = dst + ((i / 32 * p->nd) + 2 * s) * A_TILE + i % 32 / 2 * 32;
            interleave(at, at + A_TILE, row_or_zero(x, ld, i, rows, s * 32, p->d),
                       row_or_zero(x, ld, i + 1, rows, s * 32, p->d));
        }
}

/* c [16 m][16 n] (+)= a * b in tiles: a [m][k], b [k][n], rows of them so many tiles
 * apart; m and n are even. */
typedef struct amx_product {
    float *c;
    size_t ldc;
    const uint16_t *a, *b;
    size_t lda, ldb, m, n, k;
    bool add;
} amx_product;

static void multiply(const amx_product *x)
{
    const size_t pitch = x->ldc * sizeof(float);

    for (size_t i = 0; i < x->m; i += 2)
        for (size_t j = 0; j < x->n; j += 2) {
            float *c0 = x->c + i * 16 * x->ldc + j * 16, *c1 = c0 + 16 * x->ldc;
            const uint16_t *a = x->a + i * x->lda * A_TILE, *b = x->b + j * A_TILE;
            if (x->add) {
                _tile_loadd(0, c0, pitch);
                _tile_loadd(1, c0 + 16, pitch);
                _tile_loadd(2, c1, pitch);
                _tile_loadd(3, c1 + 16, pitch);
            } else {
                _tile_zero(0);
                _tile_zero(1);
                _tile_zero(2);
                _tile_zero(3);
            }
            for (size_t k = 0; k < x->k; k++, a += A_TILE, b += x->ldb * A_TILE) {
                _tile_loadd(4, a, 64);
                _tile_loadd(6, b, 64);
                _tile_loadd(7, b + A_TILE, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_loadd(5, a + x->lda * A_TILE, 64);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, c0, pitch);
            _tile_stored(1, c0 + 16, pitch);
            _tile_stored(2, c1, pitch);
            _tile_stored(3, c1 + 16, pitch);
        }
}

/* Keys [k0, k0 + keys) of a stretch, n of them real. */
static void pack_stretch(const vbg_attention_back *b, const amx_back_plan *p, size_t k0,
                         size_t n, size_t keys)
{
    const vbg_attention_args *a = &b->of;
    const uint16_t *k = (const uint16_t *)a->k + k0 * a->ldk;
    const uint16_t *v = (const uint16_t *)a->v + k0 * a->ldv;

    pack_rows(p->k, k, a->ldk, n, keys, p->d);
    pack_rows(p->v, v, a->ldv, n, keys, p->d);
    for (size_t i = 0; i < keys; i += 32)
        for (size_t j = 0; j < p->nd; j++) {
            size_t left = i < n ? n - i : 0, c = j * 16 < p->d ? p->d - j * 16 : 0;
            uint16_t *tile =
                p->kt + ((i / KB * p->nd + j) * (KB / 32) + i % KB / 32) * A_TILE;
            if (left && c)
                pack_value_tile(tile, k + i * a->ldk + j * 16, a->ldk,
                                left < 32 ? left : 32, c < 16 ? c : 16);
            else
                memset(tile, 0, A_TILE * sizeof *tile);
        }
}

/* Block of queries from q0 on, n of them real; those that are not weigh nothing. */
static void pack_block(const vbg_attention_back *b, const amx_back_plan *p, size_t q0,
                       size_t n)
{
    const vbg_attention_args *a = &b->of;
    const uint16_t *q = (const uint16_t *)a->q + q0 * a->ldq;
    const uint16_t *dy = (const uint16_t *)b->dy + q0 * b->lddy;
    const uint16_t *y = (const uint16_t *)a->y + q0 * a->ldy;

    pack_columns(p->qt, p, q, a->ldq, n);
    pack_columns(p->gt, p, dy, b->lddy, n);
    if (b->dk) {
        pack_pairs(p->q, p, q, a->ldq, n);
        pack_pairs(p->g, p, dy, b->lddy, n);
    }
    for (size_t i = 0; i < p->qb; i++) {
        vf sum = vf_zero();
        for (size_t j = 0; i < n && j < p->d; j += VF) {
            size_t left = p->d - j < VF ? p->d - j : VF;
            sum = vf_fma(vf_load_bf16_n(y + i * a->ldy + j, left),
                         vf_load_bf16_n(dy + i * b->lddy + j, left), sum);
        }
        p->delta[i] = vf_sum(sum) * a->scale;
        p->top[i] = i < n ? a->top[q0 + i] - __builtin_log2f(a->rsum[q0 + i]) : NEVER;
    }
}

/* 2^t within 1.5e-4, for what becomes bf16; 2^-60 below -60: no denormals. */
VF_INLINE vf exp2_coarse(vf t)
{
    enum { FLOOR = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC };
    static const float c[] = { 0.999925219f, 0.695833538f, 0.226067164f, 0.0780245168f };

    t = vf_max(vf_set1(-60), t);
    return _mm512_scalef_ps(vf_poly(_mm512_reduce_ps(t, FLOOR), c, 3), t);
}

VF_INLINE __m512i both_bf16(vf lo, vf hi)
{
    __m512bh h = _mm512_cvtne2ps_pbh(hi, lo);
    __m512i r;

    memcpy(&r, &h, sizeof r);
    return r;
}

/* Row `key` of a strip, 32 queries from x on: p is stored, ds returned. */
VF_INLINE __m512i strip_row(const amx_back_plan *p, size_t key, size_t x, uint16_t *to,
                            float scale)
{
    const vf c = vf_set1(scale * 1.44269504f), f = vf_set1(scale);
    vf e[2], g[2];

    VF_UNROLL
    for (size_t i = 0; i < 2; i++) {
        const size_t at = key * p->qb + x + i * VF;
        vf top = vf_load(p->top + x + i * VF), delta = vf_load(p->delta + x + i * VF);
        e[i] = exp2_coarse(_mm512_fmsub_ps(vf_load(p->s + at), c, top));
        g[i] = vf_mul(e[i], _mm512_fmsub_ps(vf_load(p->gs + at), f, delta));
    }
    _mm512_store_si512(to, both_bf16(e[0], e[1]));
    return both_bf16(g[0], g[1]);
}

/* P and dS of strip `strip` of a block of keys from its scores. */
static void strip_products(const amx_back_plan *p, size_t strip, float scale)
{
    for (size_t i = 0; i < STRIP; i += 2) {
        const size_t key = strip * STRIP + i;
        const size_t row = key / 16 * (p->qb / 32) * A_TILE + key % 16 * 32;
        uint16_t *pair = p->dsb + strip * (p->qb / 16) * A_TILE + i / 2 * 32;
        for (size_t x = 0; x < p->qb; x += 32) {
            const size_t at = row + x / 32 * A_TILE;
            __m512i d0 = strip_row(p, i, x, p->p + at, scale);
            __m512i d1 = strip_row(p, i + 1, x, p->p + at + 32, scale);
            _mm512_store_si512(p->ds + at, d0);
            _mm512_store_si512(p->ds + at + 32, d1);
            interleave(pair + x / 16 * A_TILE, pair + (x / 16 + 1) * A_TILE, d0, d1);
        }
    }
}

/* Scores that must not count: keys from n on and, causal, keys after the query. */
static void mask_strip(const vbg_attention_args *a, const amx_back_plan *p, size_t k0,
                       size_t n, size_t q0)
{
    for (size_t i = 0; i < STRIP; i++)
        for (size_t x = 0; x < p->qb; x++)
            if (k0 + i >= n || (a->causal && q0 + x < k0 + i))
                p->s[i * p->qb + x] = FLASH_MASKED;
}

/* Block `block` of the stretch (`keys` of its from k0 on, of n) and the queries from q0
 * on. */
static void back_pair(const vbg_attention_back *b, const amx_back_plan *p, size_t block,
                      size_t k0, size_t keys, size_t n, size_t q0)
{
    const vbg_attention_args *a = &b->of;
    const size_t at = block * KB / 16 * p->kd * A_TILE;
    float *dqt = p->dqt + q0 * p->dp;

    for (size_t s = 0; s < keys / STRIP; s++) {
        const size_t from = at + s * STRIP / 16 * p->kd * A_TILE;
        amx_product x = { .c = p->s,
                          .ldc = p->qb,
                          .a = p->k + from,
                          .b = p->qt,
                          .lda = p->kd,
                          .ldb = p->qb / 16,
                          .m = STRIP / 16,
                          .n = p->qb / 16,
                          .k = p->kd };
        multiply(&x);
        x.c = p->gs;
        x.a = p->v + from;
        x.b = p->gt;
        multiply(&x);
        if (k0 + (s + 1) * STRIP > n || (a->causal && k0 + (s + 1) * STRIP > q0))
            mask_strip(a, p, k0 + s * STRIP, n, q0);
        strip_products(p, s, a->scale);
    }
    multiply(&(amx_product){ dqt, p->qb, p->kt + block * p->nd * (KB / 32) * A_TILE,
                             p->dsb, KB / 32, p->qb / 16, p->nd, p->qb / 16, keys / 32,
                             true });
    if (!b->dk)
        return;
    multiply(&(amx_product){ p->dv + block * KB * p->dp, p->dp, p->p, p->g, p->qb / 32,
                             p->nd, keys / 16, p->nd, p->qb / 32, true });
    multiply(&(amx_product){ p->dk + block * KB * p->dp, p->dp, p->ds, p->q, p->qb / 32,
                             p->nd, keys / 16, p->nd, p->qb / 32, true });
}

/* n finished rows of a stretch from key k0 on. */
static void store_stretch(const vbg_attention_back *b, const amx_back_plan *p, size_t k0,
                          size_t n)
{
    for (size_t i = 0; b->dk && i < n; i++)
        for (size_t j = 0; j < p->d; j += VF) {
            size_t cols = p->d - j < VF ? p->d - j : VF;
            vf_put_n(b->dk, b->dkt, (k0 + i) * b->lddk + j,
                     vf_load(p->dk + i * p->dp + j), cols);
            vf_put_n(b->dv, b->dkt, (k0 + i) * b->lddv + j,
                     vf_load(p->dv + i * p->dp + j), cols);
        }
}

static void back_stretch(const vbg_attention_back *b, const amx_back_plan *p, size_t k0,
                         size_t n)
{
    const size_t keys = vbg_round_up(n, STRIP), tq = (size_t)b->of.tq;

    pack_stretch(b, p, k0, n, keys);
    memset(p->dk, 0, keys * p->dp * sizeof *p->dk);
    memset(p->dv, 0, keys * p->dp * sizeof *p->dv);
    for (size_t q0 = 0; q0 < tq; q0 += p->qb) {
        if (b->of.causal && k0 >= q0 + p->qb)
            continue;
        pack_block(b, p, q0, tq - q0 < p->qb ? tq - q0 : p->qb);
        for (size_t at = 0; at < keys; at += KB)
            if (!b->of.causal || k0 + at < q0 + p->qb)
                back_pair(b, p, at / KB, k0 + at, keys - at < KB ? keys - at : KB, k0 + n,
                          q0);
    }
    store_stretch(b, p, k0, n);
}

static void amx_back(const vbg_attention_back *b, int k0, int k1, void *scratch)
{
    size_t bytes;
    const size_t tq = (size_t)b->of.tq, end = (size_t)k1;

    if (b->of.t != VBG_BF16) {
        flash_back(b, k0, k1, scratch);
        return;
    }
    const amx_back_plan p = amx_back_place(b, scratch, &bytes);
    memset(p.dqt, 0, p.blocks * p.dp * p.qb * sizeof *p.dqt);
    tiles_on();
    for (size_t k = (size_t)k0; k < end; k += p.stretch)
        back_stretch(b, &p, k, end - k < p.stretch ? end - k : p.stretch);
    _tile_release();
    for (size_t q0 = 0; q0 < tq; q0 += p.qb)
        back_store(b, p.dqt + q0 * p.dp, p.qb, q0, tq - q0 < p.qb ? tq - q0 : p.qb);
}
