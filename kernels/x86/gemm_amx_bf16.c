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

/* Everything one pair of tiles needs. */
typedef struct product {
    const tile *t0, *t1;  /* t1 NULL: one tile  */
    const char *b0, *b1;  /* b1 NULL: one block */
    float *sums;          /* [2 tiles][2 blocks][16][16] */
    bool first;           /* start from zero */
} product;

/* Sums: tiles 0, 1 of the first pixels, 2, 3 of the second; A in 4, 5; B in 6, 7. */
INLINE void products(const product *p, const steps *s, bool two_a, bool two_b)
{
    const char *a0 = p->t0->a, *a1 = two_a ? p->t1->a : NULL;
    const size_t pitch0 = p->t0->pitch, pitch1 = two_a ? p->t1->pitch : 0;

    if (p->first) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, p->sums, 64);
        _tile_loadd(1, p->sums + 256, 64);
        _tile_loadd(2, p->sums + 512, 64);
        _tile_loadd(3, p->sums + 768, 64);
    }
    for (int i = 0; i < s->count; i++) {
        _tile_loadd(4, a0 + s->a[i], pitch0);
        _tile_loadd(6, p->b0 + s->b[i], 64);
        _tile_dpbf16ps(0, 4, 6);
        if (two_a) {
            _tile_loadd(5, a1 + s->a[i], pitch1);
            _tile_dpbf16ps(2, 5, 6);
        }
        if (two_b) {
            _tile_loadd(7, p->b1 + s->b[i], 64);
            _tile_dpbf16ps(1, 4, 7);
            if (two_a)
                _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, p->sums, 64);
    _tile_stored(1, p->sums + 256, 64);
    _tile_stored(2, p->sums + 512, 64);
    _tile_stored(3, p->sums + 768, 64);
}

static void products_any(const product *p, const steps *s)
{
    if (p->t1 && p->b1)
        products(p, s, true, true);
    else if (p->b1)
        products(p, s, false, true);
    else if (p->t1)
        products(p, s, true, false);
    else
        products(p, s, false, false);
}

/* ---- epilogue ---- */

static inline void store_vector(void *y, vbg_dtype t, size_t at, vf v)
{
    if (t == VBG_F32)
        vf_store((float *)y + at, v);
    else
        _mm256_storeu_si256((__m256i *)(void *)((uint16_t *)y + at),
                            (__m256i)_mm512_cvtneps_pbh(v));
}

static inline vf gelu_for(vbg_dtype t, vf v)
{
    return t == VBG_BF16 ? vf_gelu_fast(v) : vf_gelu(v);
}

/* One block of a tile: rows x 16 sums, 16 apart, channels o0.. of pixels from
 * pixel on.  Constants of the channels are read once for all rows. */
static void store_block(const vbg_store *s, const float *sums, size_t pixel, int rows,
                        size_t o0)
{
    const vbg_epilogue *e = &s->ep;

    if (s->oc - o0 < BLOCK) {
        for (int r = 0; r < rows; r++)
            store_row(s, sums + r * BLOCK, pixel + (size_t)r, o0, BLOCK);
        return;
    }
    const vf scale = e->scale ? vf_load(e->scale + o0) : vf_set1(1);
    const vf bias = e->bias ? vf_load(e->bias + o0) : vf_zero();
    for (int r = 0; r < rows; r++, pixel++) {
        vf v = vf_fma(vf_load(sums + r * BLOCK), scale, bias);
        if (e->residual)
            v = vf_add(v, load_any(e->residual, s->yt, pixel * e->ldr + o0));
        if (e->act == VBG_ACT_GELU)
            v = gelu_for(s->yt, v);
        else if (e->act != VBG_ACT_NONE)
            v = vf_act_quick(v, e->act);
        store_vector(s->y, s->yt, pixel * s->ldy + o0, v);
    }
}

/* a * gelu(b) of one tile: a in the first 16x16 sums, b in the next. */
static void store_gated(const vbg_store *s, const float *sums, size_t pixel, int rows,
                        size_t o0, size_t gate)
{
    const vbg_epilogue *e = &s->ep;
    const vf one = vf_set1(1), zero = vf_zero();
    const vf sa = e->scale ? vf_load(e->scale + o0) : one;
    const vf sb = e->scale ? vf_load(e->scale + gate + o0) : one;
    const vf ba = e->bias ? vf_load(e->bias + o0) : zero;
    const vf bb = e->bias ? vf_load(e->bias + gate + o0) : zero;

    for (int r = 0; r < rows; r++, pixel++) {
        vf a = vf_fma(vf_load(sums + r * BLOCK), sa, ba);
        vf b = vf_fma(vf_load(sums + 256 + r * BLOCK), sb, bb);
        store_vector(s->y, s->yt, pixel * s->ldy + o0, vf_mul(a, gelu_for(s->yt, b)));
    }
}

/* ---- one patch ---- */

/* The work of one call: blocks [b0, b1); with geglu, block i is paired with
 * block gate + i, else with its neighbour. */
typedef struct call {
    const strips *s;
    const char *x, *w;
    size_t b0, b1, gate, block_bytes;
    bool geglu;
    vbg_store out;
    char *strip, *tail; /* tail: a last tile of DIRECT that is not full */
    float *sums;
    segment seg[MAX_TILES];
    tile tiles[MAX_TILES];
    int segments, count;
} call;

static void finish(const call *c, const product *p, size_t block)
{
    const tile *t[2] = { p->t0, p->t1 };

    for (int i = 0; i < 2 && t[i]; i++) {
        const float *sums = p->sums + 512 * i;
        if (c->geglu) {
            store_gated(&c->out, sums, t[i]->pixel, t[i]->rows, block * BLOCK,
                        c->gate * BLOCK);
            continue;
        }
        store_block(&c->out, sums, t[i]->pixel, t[i]->rows, block * BLOCK);
        if (p->b1)
            store_block(&c->out, sums + 256, t[i]->pixel, t[i]->rows,
                        (block + 1) * BLOCK);
    }
}

/* All tiles of the patch times blocks [b0, b1), one piece of k. */
static void piece_run(const call *c, const steps *st, size_t b0, size_t b1, bool first,
                      bool last)
{
    const size_t stride = c->geglu ? 1 : 2;
    const bool keep = !(first && last);
    float *sums = c->sums;

    for (size_t b = b0; b < b1; b += stride) {
        size_t other = c->geglu ? c->gate + b : b + 1;
        product p = { .b0 = c->w + b * c->block_bytes,
                      .b1 = c->geglu || other < b1 ? c->w + other * c->block_bytes : NULL,
                      .first = first };
        for (int i = 0; i < c->count; i += 2) {
            p.t0 = &c->tiles[i];
            p.t1 = i + 1 < c->count ? &c->tiles[i + 1] : NULL;
            p.sums = sums;
            products_any(&p, st);
            if (last)
                finish(c, &p, b);
            if (keep)
                sums += SUMS;
        }
    }
}

static void patch_run(const call *c)
{
    const strips *s = c->s;
    const size_t total = s->mode == PATCHES ? s->k : s->cp;
    const bool deep = total > s->chunk;
    const size_t group = deep ? (c->geglu ? GROUP / 2 : GROUP) : c->b1 - c->b0;

    for (size_t b = c->b0; b < c->b1; b += group) {
        size_t end = b + group < c->b1 ? b + group : c->b1;
        for (size_t c0 = 0; c0 < total; c0 += s->chunk) {
            steps st;
            for (int i = 0; i < c->segments && s->mode != DIRECT; i++)
                copy_segment(s, c->strip, &c->seg[i], c->x, c0);
            st.count = fill_steps(s, &c->seg[0], c0, st.a, st.b);
            piece_run(c, &st, b, end, c0 == 0, c0 + s->chunk >= total);
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

static void patch_flush(call *c, size_t *used)
{
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
                patch_flush(c, &used);
                patch_add(c, &g, &used);
            }
        }
        r += (size_t)(g.y1 - g.y0);
    }
    patch_flush(c, &used);
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
