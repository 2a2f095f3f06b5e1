/* Two tiles of pixels times two blocks of channels on AMX: the products, what is
 * prefetched beside them, and how finished sums leave.  Part of gemm_amx_bf16.c,
 * after the vector wrapper, store_tmpl.h and strip.h. */
#ifndef VBG_KERNELS_X86_TILE_PRODUCTS_H
#define VBG_KERNELS_X86_TILE_PRODUCTS_H

#include "kernels/x86/store_tmpl.h"
#include "kernels/x86/strip.h"
#include "kernels/x86/tiles.h"

#include <math.h>

enum { BLOCK = 16, SUMS = 2 * TILE * 2 * BLOCK /* floats of a pair of tiles x blocks */ };

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

typedef struct steps {
    int count;
    size_t a[MAX_STEPS], b[MAX_STEPS];
} steps;

/* The sums of the pair before: 2 tiles x 2 blocks (geglu: a and its gate).  They go
 * from the tile registers to memory during the first step of the next pair, and when
 * they are over, from there to the output a few rows at a time between its other
 * steps, so that the vector units work while the tile unit does. */
typedef struct pending {
    const vbg_store *out;
    float *sums;     /* [2 tiles][2 blocks][16][16], NULL: nothing pending */
    bool held;       /* still in tiles 0 to 3 */
    bool over;       /* no more of k comes */
    size_t pixel[2]; /* first output row of each tile */
    int rows[2];     /* 0 in the second: one tile */
    size_t o0, gate; /* first channel; of the gate, with geglu */
    bool two, geglu;
} pending;

/* A walk over what the next copy will read, a line at a time: rows x cols pixels,
 * `lines` of each.  A copy that finds its source in L3 or DRAM takes a quarter of
 * the time of a 3x3 at 64x64x320. */
typedef struct walk {
    const char *p;                       /* current pixel */
    size_t line, lines, cols, col, rows; /* rows: left, 0: done */
    size_t pitch, row_pitch;
} walk;

/* Everything one pair of tiles needs. */
typedef struct product {
    const tile *t0, *t1; /* t1 NULL: one tile  */
    const char *b0, *b1; /* b1 NULL: one block */
    float *sums;         /* [2 tiles][2 blocks][16][16] */
    float *scrap;        /* 1 KB */
    bool first;          /* start from zero */
    int k0, k1;          /* steps */
    /* What will be needed soon; a core reads L3 at a few bytes per cycle, so a
     * panel of weights or a patch that is not in L2 yet would stop the tiles. */
    const char *next_b; /* slice of the next panel: some lines of a tile per step */
    int b_lines;        /* 2, 4 or 8 */
    const char *next_a; /* some rows of the next tiles, a line each per step */
    size_t next_pitch;
    int next_rows;    /* 1, 2 or 4 */
    const char *y[2]; /* first output row of each tile, NULL: not yet */
    const char *r[2]; /* residual */
    size_t y_pitch, r_pitch;
    walk *source; /* what the next copy will read, NULL: nothing */
} product;

/* prefetchw: every AVX-512 CPU has it, but compilers want an option of its own. */
INLINE void will_write(const char *p)
{
    __asm__ volatile("prefetchw %0" : : "m"(*p));
}

INLINE void walk_on(walk *w)
{
    if (!w->rows)
        return;
    _mm_prefetch(w->p + w->line * 64, _MM_HINT_T1);
    if (++w->line < w->lines)
        return;
    w->line = 0;
    w->p += w->pitch;
    if (++w->col < w->cols)
        return;
    w->col = 0;
    w->rows--;
    w->p += w->row_pitch - w->cols * w->pitch;
}

/* The prefetches that go with step i of this turn. */
INLINE void look_ahead(const product *p, const steps *s, int i)
{
    const int k = p->k0 + i;

    for (int line = 0; p->next_b && line < p->b_lines; line += 2) {
        _mm_prefetch(p->next_b + s->b[k] + 64 * line, _MM_HINT_T1);
        _mm_prefetch(p->next_b + s->b[k] + 64 * line + 64, _MM_HINT_T1);
    }
    if (p->next_a) {
        const char *next = p->next_a + s->a[k];
        const size_t pitch = p->next_pitch;
        _mm_prefetch(next, _MM_HINT_T1);
        if (p->next_rows > 1)
            _mm_prefetch(next + pitch, _MM_HINT_T1);
        if (p->next_rows > 2) {
            _mm_prefetch(next + 2 * pitch, _MM_HINT_T1);
            _mm_prefetch(next + 3 * pitch, _MM_HINT_T1);
        }
    }
    if (p->source) {
        walk_on(p->source);
        walk_on(p->source);
    }
    if (i >= TILE / 2)
        return;
    if (p->y[0]) {
        const size_t at = 2 * (size_t)i * p->y_pitch;
        will_write(p->y[0] + at);
        will_write(p->y[0] + at + p->y_pitch);
        will_write(p->y[1] + at);
        will_write(p->y[1] + at + p->y_pitch);
    }
    if (p->r[0]) {
        const size_t at = 2 * (size_t)i * p->r_pitch;
        _mm_prefetch(p->r[0] + at, _MM_HINT_T0);
        _mm_prefetch(p->r[0] + at + p->r_pitch, _MM_HINT_T0);
        _mm_prefetch(p->r[1] + at, _MM_HINT_T0);
        _mm_prefetch(p->r[1] + at + p->r_pitch, _MM_HINT_T0);
    }
}

/* ---- epilogue ---- */

/* Constants of one block's channels. */
typedef struct channel {
    vf scale, bias;
} channel;

static inline channel channel_load(const vbg_epilogue *e, size_t o0)
{
    return (channel){ .scale = e->scale ? vf_load(e->scale + o0) : vf_set1(1),
                      .bias = e->bias ? vf_load(e->bias + o0) : vf_zero() };
}

static inline vf finish_vector(const vbg_epilogue *e, const channel *c, vbg_dtype t,
                               const float *sums, size_t residual_at)
{
    vf v = vf_fma(vf_load(sums), c->scale, c->bias);

    if (e->residual)
        v = vf_add(v, load_any(e->residual, t, residual_at));
    if (e->act == VBG_ACT_GELU)
        return t == VBG_BF16 ? vf_gelu_fast(v) : vf_gelu(v);
    return e->act == VBG_ACT_NONE ? v : vf_act_quick(v, e->act);
}

static inline void store_vector(void *y, vbg_dtype t, size_t at, vf v)
{
    if (t == VBG_F32)
        vf_store((float *)y + at, v);
    else
        _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)y + at),
                            (__m256i)_mm512_cvtneps_pbh(v));
}

/* Four of vf_gelu_fast. */
INLINE void gelu_fast_4(vf *x)
{
    static const float poly[] = { 1.04195191e-07f, -3.65711199e-06f, 7.48547852e-05f,
                                  -0.00100648864f, 0.00950539212f,   -0.0658878327f,
                                  0.398673388f };
    vf v[4], u[4], p[4];

    UNROLL
    for (int i = 0; i < 4; i++) {
        v[i] = vf_min(vf_set1(4), vf_max(vf_set1(-4), x[i]));
        u[i] = vf_mul(v[i], v[i]);
        p[i] = vf_set1(-1.30128047e-09f);
    }
    UNROLL
    for (int k = 0; k < 7; k++)
        UNROLL
    for (int i = 0; i < 4; i++)
        p[i] = vf_fma(p[i], u[i], vf_set1(poly[k]));
    UNROLL
    for (int i = 0; i < 4; i++)
        x[i] = vf_mul(x[i], vf_fma(p[i], v[i], vf_set1(0.5f)));
}

/* count rows of one tile, two whole blocks of 16 channels; the parts of a pair
 * are 256 floats apart.  Every test is a constant here: a linear layer of 320
 * channels spends a third of its time in these rows. */
INLINE void store_pair_as(const vbg_store *s, const float *sums, size_t pixel, int count,
                          size_t o0, vbg_dtype t, bool residual, bool plain)
{
    const channel c0 = channel_load(&s->ep, o0), c1 = channel_load(&s->ep, o0 + BLOCK);
    const size_t size = t == VBG_F32 ? 4 : 2, step = s->ldy * size;
    const size_t rstep = s->ep.ldr * size;
    const vbg_act act = s->ep.act;
    char *y = (char *)s->y + pixel * step + o0 * size;
    const char *res =
        residual ? (const char *)s->ep.residual + pixel * rstep + o0 * size : NULL;

    for (int r = 0; r < count; r++, sums += BLOCK, y += step) {
        vf v0 = vf_fma(vf_load(sums), c0.scale, c0.bias);
        vf v1 = vf_fma(vf_load(sums + 256), c1.scale, c1.bias);
        if (residual) {
            v0 = vf_add(v0, load_any(res, t, 0));
            v1 = vf_add(v1, load_any(res, t, BLOCK));
            res += rstep;
        }
        if (!plain) {
            bool fast = act == VBG_ACT_GELU && t == VBG_BF16;
            v0 = fast ? vf_gelu_fast(v0) : vf_act_quick(v0, act);
            v1 = fast ? vf_gelu_fast(v1) : vf_act_quick(v1, act);
        }
        if (t == VBG_F32) {
            vf_store((float *)(void *)y, v0);
            vf_store((float *)(void *)y + BLOCK, v1);
        } else {
            _mm512_storeu_si512(y, (__m512i)_mm512_cvtne2ps_pbh(v1, v0));
        }
    }
}

static void store_pair(const vbg_store *s, const float *sums, size_t pixel, int count,
                       size_t o0)
{
    const bool plain = s->ep.act == VBG_ACT_NONE;

    if (s->yt == VBG_BF16 && plain && !s->ep.residual)
        store_pair_as(s, sums, pixel, count, o0, VBG_BF16, false, true);
    else if (s->yt == VBG_BF16 && plain)
        store_pair_as(s, sums, pixel, count, o0, VBG_BF16, true, true);
    else if (s->yt == VBG_BF16 && !s->ep.residual)
        store_pair_as(s, sums, pixel, count, o0, VBG_BF16, false, false);
    else if (s->yt == VBG_BF16)
        store_pair_as(s, sums, pixel, count, o0, VBG_BF16, true, false);
    else if (!s->ep.residual)
        store_pair_as(s, sums, pixel, count, o0, VBG_F32, false, plain);
    else
        store_pair_as(s, sums, pixel, count, o0, VBG_F32, true, plain);
}

static void store_single(const vbg_store *s, const float *sums, size_t pixel, int count,
                         size_t o0)
{
    if (s->oc - o0 < BLOCK) {
        for (int r = 0; r < count; r++)
            store_row(s, sums + r * BLOCK, pixel + (size_t)r, o0, BLOCK);
        return;
    }
    const channel c = channel_load(&s->ep, o0);
    for (int r = 0; r < count; r++, pixel++)
        store_vector(
            s->y, s->yt, pixel * s->ldy + o0,
            finish_vector(&s->ep, &c, s->yt, sums + r * BLOCK, pixel * s->ep.ldr + o0));
}

/* a * gelu(b): a in the first 16x16 sums, b in the next. */
INLINE void store_gated(const vbg_store *s, const float *sums, size_t pixel, int count,
                        size_t o0, size_t gate)
{
    const channel ca = channel_load(&s->ep, o0), cb = channel_load(&s->ep, gate + o0);
    const vbg_dtype t = s->yt;

    for (int r = 0; r < count; r++, pixel++) {
        vf a = vf_fma(vf_load(sums + r * BLOCK), ca.scale, ca.bias);
        vf b = vf_fma(vf_load(sums + 256 + r * BLOCK), cb.scale, cb.bias);
        b = t == VBG_BF16 ? vf_gelu_fast(b) : vf_gelu(b);
        store_vector(s->y, t, pixel * s->ldy + o0, vf_mul(a, b));
    }
}

/* Lets finished sums leave. */
static void pending_rows(pending *d)
{
    for (int i = 0; i < 2; i++) {
        const float *sums = d->sums + 512 * i;
        if (d->geglu) {
            store_gated(d->out, sums, d->pixel[i], d->rows[i], d->o0, d->gate);
        } else if (d->two && d->out->oc - d->o0 >= 2 * BLOCK) {
            store_pair(d->out, sums, d->pixel[i], d->rows[i], d->o0);
        } else {
            store_single(d->out, sums, d->pixel[i], d->rows[i], d->o0);
            if (d->two)
                store_single(d->out, sums + 256, d->pixel[i], d->rows[i], d->o0 + BLOCK);
        }
    }
}

static void tiles_out(float *sums)
{
    _tile_stored(0, sums, 64);
    _tile_stored(1, sums + 256, 64);
    _tile_stored(2, sums + 512, 64);
    _tile_stored(3, sums + 768, 64);
}

/* Lets whatever is pending leave at once. */
static void pending_store(pending *d)
{
    if (!d->sums)
        return;
    if (d->held)
        tiles_out(d->sums);
    if (d->over)
        pending_rows(d);
    d->sums = NULL;
}

/* ---- products ---- */

/* How finished sums of the pair before leave during this one: to bf16 or f32, with a
 * residual or without, or gated.  All of whole blocks, ALREADY: they have left. */
typedef enum leaving { ALREADY, BF16, BF16_ADD, F32, F32_ADD, GATED } leaving;

/* What the rows need, ready in registers. */
typedef struct leave {
    const float *sums;
    char *y[2];
    const char *residual[2];
    size_t y_pitch, r_pitch;
    channel c0, c1; /* of the two blocks; of a and its gate */
    vf least;       /* 0 for relu, else -infinity */
} leave;

INLINE leave leave_start(const pending *d, leaving how)
{
    const vbg_store *s = d->out;
    const size_t size = how == F32 || how == F32_ADD ? 4 : 2;
    leave l = { .sums = d->sums, .y_pitch = s->ldy * size, .r_pitch = s->ep.ldr * size };

    l.c0 = channel_load(&s->ep, d->o0);
    l.c1 = channel_load(&s->ep, d->o0 + (how == GATED ? d->gate : BLOCK));
    l.least = vf_set1(s->ep.act == VBG_ACT_RELU ? 0 : -INFINITY);
    for (int i = 0; i < 2; i++) {
        l.y[i] = (char *)s->y + d->pixel[i] * l.y_pitch + d->o0 * size;
        if (how == BF16_ADD || how == F32_ADD)
            l.residual[i] =
                (const char *)s->ep.residual + d->pixel[i] * l.r_pitch + d->o0 * size;
    }
    return l;
}

/* Rows r to r+3 of 32, four chains at a time: a chain of its own for each row would
 * fill the scheduler with waiting instructions and starve the tiles. */
INLINE void four_rows(const leave *l, int r, leaving how)
{
    const int t = r / TILE, at = r % TILE;
    const float *sums = l->sums + t * 512 + at * BLOCK;
    const vbg_dtype type = how == F32 || how == F32_ADD ? VBG_F32 : VBG_BF16;
    char *y = l->y[t] + (size_t)at * l->y_pitch;
    vf v0[4], v1[4];

    UNROLL
    for (int i = 0; i < 4; i++) {
        v0[i] = vf_fma(vf_load(sums + i * BLOCK), l->c0.scale, l->c0.bias);
        v1[i] = vf_fma(vf_load(sums + 256 + i * BLOCK), l->c1.scale, l->c1.bias);
    }
    if (how == BF16_ADD || how == F32_ADD) {
        const char *res = l->residual[t] + (size_t)at * l->r_pitch;
        UNROLL
        for (int i = 0; i < 4; i++, res += l->r_pitch) {
            v0[i] = vf_add(v0[i], load_any(res, type, 0));
            v1[i] = vf_add(v1[i], load_any(res, type, BLOCK));
        }
    }
    if (how == GATED)
        gelu_fast_4(v1);
    UNROLL
    for (int i = 0; i < 4; i++, y += l->y_pitch) {
        if (how == GATED) {
            store_vector(y, type, 0, vf_mul(v0[i], v1[i]));
            continue;
        }
        v0[i] = vf_max(l->least, v0[i]);
        v1[i] = vf_max(l->least, v1[i]);
        if (type == VBG_F32) {
            store_vector(y, type, 0, v0[i]);
            store_vector(y, type, BLOCK, v1[i]);
        } else {
            _mm512_storeu_si512(y, (__m512i)_mm512_cvtne2ps_pbh(v1[i], v0[i]));
        }
    }
}

/* The first step.  A tile store beside products costs nothing, four in a row cost 20
 * ns: the sums of the pair before leave each tile just before it is needed. */
INLINE void first_step(const product *p, size_t ka, size_t kb, const pending *d,
                       bool two_a, bool two_b)
{
    const char *a0 = p->t0->a + ka, *b0 = p->b0 + kb;
    float *sums = p->sums, *old = two_a && two_b && d->sums && d->held ? d->sums : NULL;

    _tile_loadd(4, a0, p->t0->pitch);
    _tile_stream_loadd(6, b0, 64);
    if (old)
        _tile_stored(0, old, 64);
    if (p->first)
        _tile_zero(0);
    else
        _tile_loadd(0, sums, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (two_a) {
        _tile_loadd(5, p->t1->a + ka, p->t1->pitch);
        if (old)
            _tile_stored(2, old + 512, 64);
        if (p->first)
            _tile_zero(2);
        else
            _tile_loadd(2, sums + 512, 64);
        _tile_dpbf16ps(2, 5, 6);
    }
    if (!two_b)
        return;
    _tile_stream_loadd(7, p->b1 + kb, 64);
    if (old)
        _tile_stored(1, old + 256, 64);
    if (p->first)
        _tile_zero(1);
    else
        _tile_loadd(1, sums + 256, 64);
    _tile_dpbf16ps(1, 4, 7);
    if (two_a) {
        if (old)
            _tile_stored(3, old + 768, 64);
        if (p->first)
            _tile_zero(3);
        else
            _tile_loadd(3, sums + 768, 64);
        _tile_dpbf16ps(3, 5, 7);
    }
}

/* Any other step. */
INLINE void step(const product *p, size_t ka, size_t kb, bool two_a, bool two_b)
{
    _tile_loadd(4, p->t0->a + ka, p->t0->pitch);
    _tile_stream_loadd(6, p->b0 + kb, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (two_a) {
        _tile_loadd(5, p->t1->a + ka, p->t1->pitch);
        _tile_dpbf16ps(2, 5, 6);
    }
    if (two_b) {
        _tile_stream_loadd(7, p->b1 + kb, 64);
        _tile_dpbf16ps(1, 4, 7);
        if (two_a)
            _tile_dpbf16ps(3, 5, 7);
    }
}

/* Sums: tiles 0, 1 of the first pixels, 2, 3 of the second; A in 4, 5; B in 6, 7. */
INLINE void products(const product *p, const steps *s, pending *d, bool two_a, bool two_b,
                     leaving how)
{
    const size_t *ka = s->a + p->k0, *kb = s->b + p->k0;
    const int n = p->k1 - p->k0;
    leave l;

    if (how != ALREADY)
        l = leave_start(d, how);
    first_step(p, ka[0], kb[0], d, two_a, two_b);
    look_ahead(p, s, 0);
    int i = 1;
    for (; i < n && i <= TILE / 2; i++) {
        step(p, ka[i], kb[i], two_a, two_b);
        look_ahead(p, s, i);
        if (how != ALREADY)
            four_rows(&l, 4 * (i - 1), how);
    }
    if (how != ALREADY)
        for (int j = i; j <= TILE / 2; j++)
            four_rows(&l, 4 * (j - 1), how);
    for (; i < n; i++) {
        step(p, ka[i], kb[i], two_a, two_b);
        look_ahead(p, s, i);
        if (i % 16 == 0)
            _tile_stored(4, p->scrap, 64);
    }
}

static leaving leaving_of(const pending *d)
{
    const vbg_store *s = d->out;

    if (!d->sums || !d->over || d->rows[0] + d->rows[1] < 2 * TILE)
        return ALREADY;
    if (d->geglu)
        return s->yt == VBG_BF16 ? GATED : ALREADY;
    if (!d->two || s->oc - d->o0 < 2 * BLOCK || s->ep.act > VBG_ACT_RELU)
        return ALREADY;
    if (s->ep.residual)
        return s->yt == VBG_BF16 ? BF16_ADD : F32_ADD;
    return s->yt == VBG_BF16 ? BF16 : F32;
}

/* The products of one pair; d, what was pending before, has left afterwards. */
static void products_any(const product *p, const steps *s, pending *d)
{
    const bool full = p->t1 && p->b1;
    const leaving how = full ? leaving_of(d) : ALREADY;

    if (!full || (how == ALREADY && d->over))
        pending_store(d);
    if (how == BF16)
        products(p, s, d, true, true, BF16);
    else if (how == BF16_ADD)
        products(p, s, d, true, true, BF16_ADD);
    else if (how == F32)
        products(p, s, d, true, true, F32);
    else if (how == F32_ADD)
        products(p, s, d, true, true, F32_ADD);
    else if (how == GATED)
        products(p, s, d, true, true, GATED);
    else if (full)
        products(p, s, d, true, true, ALREADY);
    else if (p->b1)
        products(p, s, d, false, true, ALREADY);
    else if (p->t1)
        products(p, s, d, true, false, ALREADY);
    else
        products(p, s, d, false, false, ALREADY);
    d->sums = NULL;
}

#endif
