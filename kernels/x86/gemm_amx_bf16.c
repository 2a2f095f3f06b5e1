/* Matrix products and convolutions on AMX tiles: bf16 times bf16, f32 sums.
 *
 * Two tiles of pixels times two blocks of 16 channels fill the eight tile
 * registers: 4 sums, 2 of A, 2 of B, so every loaded tile is used twice and one
 * tile load feeds one 16-cycle product.
 *
 *     for each patch of up to 32 tiles of pixels (kernels/x86/strip.h)
 *       for each group of blocks
 *         for each piece of k             copies the piece's channels into the strip
 *           for each pair of blocks       its weights (<= 200 KB) pass through L1
 *             for each pair of tiles      2x2 products over the piece
 *
 * Sums wait in memory between the pieces of a deep k.  After the last one they go
 * through the epilogue while they are in L1.
 *
 * Operands that are not bf16 on both sides take the AVX-512 f32 kernels. */
#include "kernels/x86/gemm_x86.h"
#include "kernels/x86/vf_avx512.h"

#include "kernels/x86/store_tmpl.h"
#include "kernels/x86/strip.h"

enum {
    BLOCK = 16,
    PATCH_TILES = 32,
    GROUP = 20,                      /* blocks whose sums wait together      */
    GROUP_BYTES = 480 << 10,         /* their weights, for plain products    */
    SUMS = 2 * TILE * 2 * BLOCK,     /* floats of one pair of tiles x blocks */
    SUMS_ALL = (PATCH_TILES / 2) * (GROUP / 2) * SUMS
};

/* All eight tiles 16 rows x 64 bytes.  Tile state belongs to the thread, so every
 * kernel call sets it.  gcc 12 may drop plain stores into the struct: volatile. */
static void tiles_on(void)
{
    volatile struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t colsb[16];
        uint8_t rows[16];
    } config;

    for (size_t i = 0; i < sizeof config; i++)
        ((volatile uint8_t *)&config)[i] = 0;
    config.palette = 1;
    for (int i = 0; i < 8; i++) {
        config.rows[i] = TILE;
        config.colsb[i] = 64;
    }
    __asm__ volatile("" ::: "memory");
    _tile_loadconfig((const void *)(uintptr_t)&config);
}

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
    const char *p;              /* current pixel */
    size_t line, lines, cols, col, rows; /* rows: left, 0: done */
    size_t pitch, row_pitch;
} walk;

/* Everything one pair of tiles needs. */
typedef struct product {
    const tile *t0, *t1;  /* t1 NULL: one tile  */
    const char *b0, *b1;  /* b1 NULL: one block */
    float *sums;          /* [2 tiles][2 blocks][16][16] */
    bool first;           /* start from zero */
    int k0, k1;           /* steps */
    /* What will be needed soon; a core reads L3 at a few bytes per cycle, so a
     * panel of weights or a patch that is not in L2 yet would stop the tiles. */
    const char *next_b;   /* slice of the next panel: two lines per step */
    const char *next_a;   /* four rows of the next tiles, a line each per step */
    size_t next_pitch;
    const char *y[2];     /* first output row of each tile, NULL: not yet */
    const char *r[2];     /* residual */
    size_t y_pitch, r_pitch;
    walk *source;         /* what the next copy will read, NULL: nothing */
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
    const char *res = residual ? (const char *)s->ep.residual + pixel * rstep + o0 * size : NULL;

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
        store_vector(s->y, s->yt, pixel * s->ldy + o0,
                     finish_vector(&s->ep, &c, s->yt, sums + r * BLOCK,
                                   pixel * s->ep.ldr + o0));
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

/* ---- one patch ---- */

/* The work of one call: blocks [b0, b1); with geglu, block i is paired with
 * block gate + i, else with its neighbour. */
typedef struct call {
    const strips *s;
    const char *x, *w;
    size_t b0, b1, gate, block_bytes;
    size_t group; /* blocks that take turns over a patch, even */
    bool geglu;
    vbg_store out;
    char *strip, *tail; /* tail: a last tile of DIRECT that is not full */
    float *sums;
    segment seg[MAX_TILES];
    const segment *next; /* first of the next patch, NULL: none */
    walk source;
    tile tiles[MAX_TILES];
    int segments, count;
} call;

/* Queues what a pair has finished; what was pending before has left by then. */
static void queue(const call *c, pending *d, const product *p, size_t block)
{
    pending_store(d);
    *d = (pending){ .out = &c->out,
                    .sums = p->sums,
                    .pixel = { p->t0->pixel, p->t1 ? p->t1->pixel : 0 },
                    .rows = { p->t0->rows, p->t1 ? p->t1->rows : 0 },
                    .o0 = block * BLOCK,
                    .gate = c->gate * BLOCK,
                    .two = p->b1 != NULL,
                    .geglu = c->geglu };
}

/* One pass over one piece of k: blocks [b0, b1), which start and end the sums. */
typedef struct pass {
    const steps *st;
    size_t b0, b1;
    bool first, last;
} pass;

/* Lines of the output and residual that will be needed for the pixels of this pair,
 * or those `rows` further on. */
static void plan_output(const call *c, product *p, size_t b, size_t rows, bool over)
{
    const tile *t[2] = { p->t0, p->t1 ? p->t1 : p->t0 };
    const size_t size = vbg_dtype_size(c->out.yt), at = b * BLOCK * size;

    p->y[0] = p->r[0] = NULL;
    if (!over)
        return;
    p->y_pitch = c->out.ldy * size;
    p->r_pitch = c->out.ep.ldr * size;
    for (int j = 0; j < 2; j++) {
        p->y[j] = (const char *)c->out.y + (t[j]->pixel + rows) * p->y_pitch + at;
        if (c->out.ep.residual)
            p->r[j] = (const char *)c->out.ep.residual + (t[j]->pixel + rows) * p->r_pitch +
                      at;
    }
}

static void plan_weights(const call *c, product *p, size_t b, size_t b1)
{
    size_t other = c->geglu ? c->gate + b : b + 1;

    p->b0 = c->w + b * c->block_bytes;
    p->b1 = c->geglu || other < b1 ? c->w + other * c->block_bytes : NULL;
}

/* A slice of two lines of every tile of the panel at block b, which will be wanted
 * after about 16 pairs. */
static const char *panel_slice(const call *c, size_t b, size_t pair)
{
    const size_t slice = pair % 16;
    const size_t block = slice < 8 ? b : c->geglu ? c->gate + b : b + 1;

    return c->w + block * c->block_bytes + slice % 8 * 128;
}

static void plan_pair(const call *c, product *p, int i)
{
    p->t0 = &c->tiles[i];
    p->t1 = i + 1 < c->count ? &c->tiles[i + 1] : NULL;
}

/* Convolutions: a panel of weights stays in L1 or L2 while all tiles of the patch
 * pass; each 3x3 reads its pixels three times in a row, so A keeps to L1. */
static void pass_by_panels(call *c, const pass *s)
{
    const size_t stride = c->geglu ? 1 : 2;
    const bool deep = !(s->first && s->last);
    /* sums that nobody adds to later alternate between two places in L1 */
    size_t slot = 0;
    pending d = { .sums = NULL };
    product p = { .first = s->first, .k1 = s->st->count, .source = &c->source };

    for (size_t b = s->b0; b < s->b1; b += stride) {
        plan_weights(c, &p, b, s->b1);
        for (int i = 0; i < c->count; i += 2, slot++) {
            plan_pair(c, &p, i);
            p.sums = c->sums + (deep ? slot : slot % 2) * SUMS;
            p.next_b = b + stride < s->b1 ? panel_slice(c, b + stride, (size_t)i / 2) : NULL;
            plan_output(c, &p, b, 0, s->last);
            products_any(&p, s->st, &d);
            if (s->last)
                queue(c, &d, &p, b);
        }
    }
    pending_store(&d);
}

/* Plain products: a pair of tiles stays in L1 while the panels of the group pass,
 * in turns of at most 8 steps (16 KB of A) when k is long. */
static void pass_by_tiles(const call *c, const pass *s)
{
    const size_t stride = c->geglu ? 1 : 2, panels = (s->b1 - s->b0 + stride - 1) / stride;
    const int turns = s->st->count <= 12 ? 1 : (s->st->count + 7) / 8;
    const int turn = (s->st->count + turns - 1) / turns;
    const bool deep = !(s->first && s->last), brief = !deep && turns == 1;
    pending d = { .sums = NULL };
    product p = { .sums = NULL };

    for (int i = 0; i < c->count; i += 2) {
        plan_pair(c, &p, i);
        p.next_pitch = p.t0->pitch;
        for (p.k0 = 0; p.k0 < s->st->count; p.k0 = p.k1) {
            p.k1 = p.k0 + turn < s->st->count ? p.k0 + turn : s->st->count;
            p.first = s->first && p.k0 == 0;
            bool over = s->last && p.k1 == s->st->count;
            for (size_t j = 0; j < panels; j++) {
                size_t b = s->b0 + j * stride, row = 4 * j;
                size_t slot = deep ? (size_t)i / 2 * panels + j
                                   : (size_t)(i / 2 % 2) * panels + j;
                p.sums = c->sums + (brief ? j % 2 : slot) * SUMS;
                plan_weights(c, &p, b, s->b1);
                p.next_b = b + c->group < c->b1 ? panel_slice(c, b + c->group, (size_t)i / 2)
                                                : NULL;
                p.next_a = row < 2 * TILE ? p.t0->a + (2 * TILE + row) * p.next_pitch : NULL;
                plan_output(c, &p, b, 2 * TILE, over);
                products_any(&p, s->st, &d);
                if (over)
                    queue(c, &d, &p, b);
            }
        }
    }
    pending_store(&d);
}

/* The walk over what follows piece c0: the next piece of these segments or the
 * first of the next patch's.  Segments of whole rows follow each other in memory. */
static void plan_source(call *c, size_t c0, size_t total)
{
    const strips *s = c->s;
    const vbg_conv_args *a = s->a;
    const bool more = c0 + s->chunk < total;
    const segment *g = more ? &c->seg[0] : c->next;
    const int up = a->upsample2 ? 1 : 0;

    c->source = (walk){ .rows = 0 };
    if (!g || s->mode == DIRECT || s->mode == PATCHES)
        return;
    int y0 = (g->y0 * a->stride_y - a->pad_top) >> up, x0 = (g->x0 * a->stride_x) >> up;
    int y1 = y0 + (copy_rows(a, g->y1 - g->y0) >> up) * c->segments;
    int x1 = (g->x1 * a->stride_x) >> up, limit = (a->n - (int)g->image) * a->h;
    y0 = y0 < 0 ? 0 : y0;
    y1 = y1 < limit ? y1 : limit;
    x1 = x1 < a->w_in ? x1 : a->w_in;
    if (y1 <= y0 || x1 <= x0)
        return;
    size_t row = (g->image * (size_t)a->h + (size_t)y0) * (size_t)a->w_in + (size_t)x0;
    c->source = (walk){ .p = c->x + (row * a->ldx + (more ? c0 + s->chunk : 0)) * 2,
                        .lines = s->chunk * 2 / 64,
                        .cols = (size_t)(x1 - x0),
                        .rows = (size_t)(y1 - y0),
                        .pitch = a->ldx * 2,
                        .row_pitch = (size_t)a->w_in * a->ldx * 2 };
}

static void patch_run(call *c)
{
    const strips *s = c->s;
    const size_t total = s->mode == PATCHES ? s->k : s->cp;

    for (size_t b = c->b0; b < c->b1; b += c->group) {
        size_t end = b + c->group < c->b1 ? b + c->group : c->b1;
        for (size_t c0 = 0; c0 < total; c0 += s->chunk) {
            steps st;
            for (int i = 0; i < c->segments && s->mode != DIRECT; i++)
                copy_segment(s, c->strip, &c->seg[i], c->x, c0);
            st.count = fill_steps(s, &c->seg[0], c0, st.a, st.b);
            plan_source(c, c0, total);
            const pass now = { .st = &st,
                               .b0 = b,
                               .b1 = end,
                               .first = c0 == 0,
                               .last = c0 + s->chunk >= total };
            if (s->taps == 1 || s->mode == PATCHES)
                pass_by_tiles(c, &now);
            else
                pass_by_panels(c, &now);
        }
    }
}

/* A DIRECT tile of fewer than 16 rows may end at the end of x: its rows are copied
 * so that nothing beyond is read. */
static void copy_tail(call *c)
{
    tile *t = &c->tiles[c->count - 1];

    if (c->s->mode != DIRECT || t->rows == TILE)
        return;
    for (int r = 0; r < t->rows; r++)
        memcpy(c->tail + (size_t)r * c->s->pitch, t->a + (size_t)r * t->pitch, c->s->c * 2);
    t->a = c->tail;
    t->pitch = c->s->pitch;
}

/* Rows of the next segment that starts at output row y of `left` rows. */
static int segment_rows(const strips *s, int left)
{
    const int cols = segment_cols(s), across = (cols + TILE - 1) / TILE;
    int rows = s->mode == PADDED ? PATCH_TILES / across : PATCH_TILES * TILE / s->a->ow;

    rows = rows < 1 ? 1 : rows > left ? left : rows;
    while (rows > 1 && s->mode != DIRECT && segment_bytes(s, rows, cols) > s->bytes)
        rows--;
    return rows;
}

static int tiles_of(const strips *s, const segment *g)
{
    int rows = g->y1 - g->y0;
    if (s->mode == PADDED)
        return rows * ((g->x1 - g->x0 + TILE - 1) / TILE);
    return (rows * s->a->ow + TILE - 1) / TILE;
}

/* Adds a segment to the patch; false when it must wait for the next one. */
static bool patch_add(call *c, segment *g, size_t *used)
{
    const strips *s = c->s;
    const segment *h = &c->seg[0];
    size_t bytes = segment_bytes(s, g->y1 - g->y0, g->x1 - g->x0);

    if (c->segments &&
        (c->count + tiles_of(s, g) > PATCH_TILES || *used + bytes > s->bytes ||
         g->y1 - g->y0 != h->y1 - h->y0 || g->x1 - g->x0 != h->x1 - h->x0))
        return false;
    g->at = *used;
    g->width = copy_width(s->a, g->x1 - g->x0);
    *used += bytes;
    c->seg[c->segments++] = *g;
    c->count += segment_tiles(s, c->strip, g, c->x, c->tiles + c->count);
    return true;
}

static void patch_flush(call *c, size_t *used, const segment *next)
{
    c->next = next;
    if (c->count) {
        if (c->s->mode == DIRECT)
            copy_tail(c);
        patch_run(c);
    }
    c->count = c->segments = 0;
    *used = 0;
}

/* Output rows [r0, r1) of n*oh: segments, gathered into patches. */
static void call_run(call *c, size_t r0, size_t r1)
{
    const vbg_conv_args *a = c->s->a;
    size_t used = 0;

    for (size_t r = r0; r < r1;) {
        segment g = { .image = r / (size_t)a->oh, .y0 = (int)(r % (size_t)a->oh) };
        int left = a->oh - g.y0, cols = segment_cols(c->s);
        if (r1 - r < (size_t)left)
            left = (int)(r1 - r);
        g.y1 = g.y0 + segment_rows(c->s, left);
        for (g.x0 = 0; g.x0 < a->ow; g.x0 += cols) {
            g.x1 = vbg_min_int(a->ow, g.x0 + cols);
            if (!patch_add(c, &g, &used)) {
                patch_flush(c, &used, &g);
                patch_add(c, &g, &used);
            }
        }
        r += (size_t)(g.y1 - g.y0);
    }
    patch_flush(c, &used, NULL);
}

/* ---- the table's functions ---- */

/* A matrix is a picture one pixel wide. */
static vbg_conv_args as_conv(const vbg_gemm_args *g, int rows)
{
    return (vbg_conv_args){ .x = g->x, .ldx = g->ldx, .w = g->w, .n = 1, .h = rows,
                            .w_in = 1, .c = (int)g->k, .oh = rows, .ow = 1,
                            .oc = (int)g->oc, .kh = 1, .kw = 1, .stride_y = 1,
                            .stride_x = 1, .dil_y = 1, .dil_x = 1, .groups = 1,
                            .xt = g->xt, .wt = g->wt, .yt = g->yt, .ep = g->ep };
}

static size_t scratch_bytes(const strips *s)
{
    return SUMS_ALL * sizeof(float) + TILE * good_pitch(s->c * 2) + 64 + s->bytes;
}

static void call_setup(call *c, const strips *s, char *scratch)
{
    c->s = s;
    c->block_bytes = s->k * BLOCK * 2;
    c->sums = (float *)(void *)scratch;
    c->tail = scratch + SUMS_ALL * sizeof(float);
    c->strip = c->tail + TILE * good_pitch(s->c * 2) + 64;
    c->strip -= (uintptr_t)c->strip % 64;
    c->count = c->segments = 0;
}

/* Blocks per group: all for a shallow convolution, else so many that their sums
 * find room; for plain products so many that their weights stay in L2. */
static void call_group(call *c)
{
    const strips *s = c->s;
    const bool deep = s->mode != PATCHES && s->cp > s->chunk;
    const size_t most = c->geglu ? GROUP / 2 : GROUP;
    size_t group = c->b1 - c->b0;

    if (s->taps == 1 || s->mode == PATCHES) {
        size_t fit = GROUP_BYTES / (s->chunk * BLOCK * 2) / (c->geglu ? 2 : 1) / 2 * 2;
        if (s->chunk > 12 * DEPTH || deep)
            fit = fit < most ? fit : most;
        group = fit < 2 ? 2 : fit;
    } else if (deep) {
        group = most;
    }
    c->group = group > 2 ? group / 2 * 2 + group % 2 : 2;
}

static bool fits(vbg_dtype xt, vbg_dtype wt)
{
    return xt == VBG_BF16 && wt == VBG_BF16;
}

static void gemm(const vbg_gemm_args *g, size_t r0, size_t r1, size_t b0, size_t b1,
                 void *scratch)
{
    if (!fits(g->xt, g->wt)) {
        vbg_gemm_avx512(g, r0, r1, b0, b1, scratch);
        return;
    }
    const vbg_conv_args a = as_conv(g, (int)r1);
    const strips s = strips_plan(&a);
    call c;

    call_setup(&c, &s, scratch);
    c.x = g->x;
    c.w = g->w;
    c.b0 = b0;
    c.b1 = b1;
    c.gate = g->oc / 2 / BLOCK;
    c.geglu = g->geglu;
    c.out = (vbg_store){ .y = g->y,
                         .ldy = g->ldy,
                         .oc = g->geglu ? g->oc / 2 : g->oc,
                         .yt = g->yt,
                         .ep = g->ep };
    call_group(&c);
    tiles_on();
    call_run(&c, r0, r1);
    _tile_release();
}

static size_t gemm_scratch(const vbg_gemm_args *g)
{
    if (!fits(g->xt, g->wt))
        return vbg_gemm_scratch_avx512(g);
    const vbg_conv_args a = as_conv(g, 1);
    const strips s = strips_plan(&a);
    return scratch_bytes(&s);
}

static bool conv_fits(const vbg_conv_args *a)
{
    return fits(a->xt, a->wt) && (a->groups == 1 || a->oc / a->groups % BLOCK == 0);
}

static void conv(const vbg_conv_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                 void *scratch)
{
    if (!conv_fits(a)) {
        vbg_conv_avx512(a, r0, r1, b0, b1, scratch);
        return;
    }
    const strips s = strips_plan(a);
    const size_t per_group = (size_t)a->oc / (size_t)a->groups / BLOCK;
    call c;

    call_setup(&c, &s, scratch);
    c.w = a->w;
    c.geglu = false;
    c.gate = 0;
    c.out = (vbg_store){
        .y = a->y, .ldy = a->ldy, .oc = (size_t)a->oc, .yt = a->yt, .ep = a->ep
    };
    tiles_on();
    for (size_t b = b0; b < b1; b = c.b1) {
        size_t g = a->groups > 1 ? b / per_group : 0;
        c.x = (const char *)a->x + g * s.c * 2;
        c.b0 = b;
        c.b1 = a->groups > 1 && (g + 1) * per_group < b1 ? (g + 1) * per_group : b1;
        call_group(&c);
        call_run(&c, r0, r1);
    }
    _tile_release();
}

static size_t conv_scratch(const vbg_conv_args *a)
{
    if (!conv_fits(a))
        return vbg_conv_scratch_avx512(a);
    const strips s = strips_plan(a);
    return scratch_bytes(&s);
}

void vbg_gemm_init_amx_bf16(vbg_gemm_kernels *k)
{
    k->gemm = gemm;
    k->gemm_scratch = gemm_scratch;
    k->conv = conv;
    k->conv_scratch = conv_scratch;
}
