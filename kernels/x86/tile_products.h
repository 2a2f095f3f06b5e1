/* Two tiles of pixels times two blocks of channels on AMX: the products, what is
 * prefetched beside them, and how finished sums leave.  Part of gemm_amx_bf16.c,
 * after the vector wrapper, store_tmpl.h and strip.h. */
#ifndef VBG_KERNELS_X86_TILE_PRODUCTS_H
#define VBG_KERNELS_X86_TILE_PRODUCTS_H

#include "kernels/x86/store_tmpl.h"
#include "kernels/x86/strip.h"
#include "kernels/x86/tiles.h"

enum { BLOCK = 16, SUMS = 2 * TILE * 2 * BLOCK /* floats of a pair of tiles x blocks */ };

#define INLINE static inline __attribute__((always_inline))

typedef struct steps {
    int count;
    size_t a[MAX_STEPS], b[MAX_STEPS];
} steps;

/* Finished sums on their way to the output: 2 tiles x 2 blocks (geglu: a and its
 * gate).  They leave a few rows at a time between the steps of the next pair, so
 * that the vector units work while the tile unit does. */
typedef struct pending {
    const vbg_store *out;
    const float *sums; /* [2 tiles][2 blocks][16][16], NULL: nothing pending */
    size_t pixel[2];   /* first output row of each tile */
    int rows[2];       /* 0 in the second: one tile */
    size_t o0, gate;   /* first channel; of the gate, with geglu */
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
    bool first;          /* start from zero */
    int k0, k1;          /* steps */
    /* What will be needed soon; a core reads L3 at a few bytes per cycle, so a
     * panel of weights or a patch that is not in L2 yet would stop the tiles. */
    const char *next_b; /* slice of the next panel: two lines per step */
    const char *next_a; /* four rows of the next tiles, a line each per step */
    size_t next_pitch;
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

    if (p->next_b) {
        _mm_prefetch(p->next_b + s->b[k], _MM_HINT_T1);
        _mm_prefetch(p->next_b + s->b[k] + 64, _MM_HINT_T1);
    }
    if (p->next_a) {
        const char *next = p->next_a + s->a[k];
        const size_t pitch = p->next_pitch;
        _mm_prefetch(next, _MM_HINT_T1);
        _mm_prefetch(next + pitch, _MM_HINT_T1);
        _mm_prefetch(next + 2 * pitch, _MM_HINT_T1);
        _mm_prefetch(next + 3 * pitch, _MM_HINT_T1);
    }
    if (p->source) {
        walk_on(p->source);
        walk_on(p->source);
    }
    if (p->y[0] && i < TILE / 2) {
        const size_t at = 2 * (size_t)i * p->y_pitch;
        will_write(p->y[0] + at);
        will_write(p->y[0] + at + p->y_pitch);
        will_write(p->y[1] + at);
        will_write(p->y[1] + at + p->y_pitch);
    }
    if (p->r[0] && i < TILE / 2) {
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

/* Lets whatever is pending leave. */
static void pending_store(pending *d)
{
    for (int i = 0; i < 2 && d->sums; i++) {
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
    d->sums = NULL;
}

/* ---- products ---- */

/* How finished sums of the pair before leave during this one. */
typedef enum leaving { ALREADY, PLAIN, RESIDUAL, GATED } leaving;

/* Four rows of them: row r of 32, all whole blocks, no activation, bf16. */
INLINE void four_rows(const pending *d, int r, leaving how)
{
    const vbg_store *s = d->out;
    const float *sums = d->sums + r / TILE * 512 + r % TILE * BLOCK;
    const size_t pixel = d->pixel[r / TILE] + (size_t)(r % TILE);

    if (how == GATED)
        store_gated(s, sums, pixel, 4, d->o0, d->gate);
    else
        store_pair_as(s, sums, pixel, 4, d->o0, VBG_BF16, how == RESIDUAL, true);
}

/* Sums: tiles 0, 1 of the first pixels, 2, 3 of the second; A in 4, 5; B in 6, 7. */
INLINE void products(const product *p, const steps *s, pending *d, bool two_a, bool two_b,
                     leaving how)
{
    const char *a0 = p->t0->a, *a1 = two_a ? p->t1->a : NULL;
    const char *b0 = p->b0, *b1 = p->b1;
    const size_t pitch0 = p->t0->pitch, pitch1 = two_a ? p->t1->pitch : 0;
    const size_t *ka = s->a + p->k0, *kb = s->b + p->k0;
    const int n = p->k1 - p->k0;
    float *sums = p->sums;

    if (p->first) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sums, 64);
        _tile_loadd(1, sums + 256, 64);
        _tile_loadd(2, sums + 512, 64);
        _tile_loadd(3, sums + 768, 64);
    }
    for (int i = 0; i < n; i++) {
        _tile_loadd(4, a0 + ka[i], pitch0);
        _tile_loadd(6, b0 + kb[i], 64);
        _tile_dpbf16ps(0, 4, 6);
        if (two_a) {
            _tile_loadd(5, a1 + ka[i], pitch1);
            _tile_dpbf16ps(2, 5, 6);
        }
        if (two_b) {
            _tile_loadd(7, b1 + kb[i], 64);
            _tile_dpbf16ps(1, 4, 7);
            if (two_a)
                _tile_dpbf16ps(3, 5, 7);
        }
        look_ahead(p, s, i);
        if (how != ALREADY && i < TILE / 2)
            four_rows(d, 4 * i, how);
    }
    if (how != ALREADY) {
        for (int i = n; i < TILE / 2; i++)
            four_rows(d, 4 * i, how);
        d->sums = NULL;
    }
    _tile_stored(0, sums, 64);
    _tile_stored(1, sums + 256, 64);
    _tile_stored(2, sums + 512, 64);
    _tile_stored(3, sums + 768, 64);
}

static leaving leaving_of(const pending *d)
{
    const vbg_store *s = d->out;

    if (!d->sums || d->rows[0] + d->rows[1] < 2 * TILE || s->yt != VBG_BF16)
        return ALREADY;
    if (d->geglu)
        return GATED;
    if (!d->two || s->oc - d->o0 < 2 * BLOCK || s->ep.act != VBG_ACT_NONE)
        return ALREADY;
    return s->ep.residual ? RESIDUAL : PLAIN;
}

static void products_any(const product *p, const steps *s, pending *d)
{
    const leaving how = p->t1 && p->b1 ? leaving_of(d) : ALREADY;

    if (how == ALREADY)
        pending_store(d);
    if (how == PLAIN)
        products(p, s, d, true, true, PLAIN);
    else if (how == RESIDUAL)
        products(p, s, d, true, true, RESIDUAL);
    else if (how == GATED)
        products(p, s, d, true, true, GATED);
    else if (p->t1 && p->b1)
        products(p, s, d, true, true, ALREADY);
    else if (p->b1)
        products(p, s, d, false, true, ALREADY);
    else if (p->t1)
        products(p, s, d, true, false, ALREADY);
    else
        products(p, s, d, false, false, ALREADY);
}

#endif
