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
 * Plain products turn the last two loops around and take k in turns of 14 steps, so
 * that a pair of tiles stays in L1 while the blocks of the group pass.  Sums wait in
 * memory between the pieces of a deep k.  After the last one they leave through the
 * epilogue between the steps of the next pair (kernels/x86/tile_products.h).
 *
 * Operands that are not bf16 on both sides take the AVX-512 f32 kernels. */
#include "kernels/x86/gemm_x86.h"
#include "kernels/x86/vf_avx512.h"

#include "kernels/x86/tile_products.h"

enum {
    GROUP = 20,              /* blocks whose sums wait together      */
    GROUP_BYTES = 256 << 10, /* their weights, for plain products    */
    GROUP_LEAST = 12,        /* blocks that a pair of tiles in L1 is worth */
    SUMS_ALL = (PATCH_TILES / 2) * (GROUP / 2) * SUMS,
    SCRAP = 256 /* floats */
};

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

/* Queues the sums of a pair; what was pending before has left by then.  Only full
 * pairs may wait in the tiles. */
static void queue(const call *c, pending *d, const product *p, size_t block, bool over)
{
    const bool full = p->t1 && p->b1;

    if (!full)
        tiles_out(p->sums);
    *d = (pending){ .out = &c->out,
                    .sums = p->sums,
                    .held = full,
                    .over = over,
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

/* Lines of the output and residual that will be needed after this pair. */
static void plan_output(const call *c, product *p, size_t b, bool over)
{
    const tile *t[2] = { p->t0, p->t1 ? p->t1 : p->t0 };
    const size_t size = vbg_dtype_size(c->out.yt), at = b * BLOCK * size;

    p->y[0] = p->r[0] = NULL;
    p->y_pitch = c->out.ldy * size;
    p->r_pitch = c->out.ep.ldr * size;
    for (int j = 0; j < 2 && over; j++) {
        p->y[j] = (const char *)c->out.y + t[j]->pixel * p->y_pitch + at;
        if (c->out.ep.residual)
            p->r[j] = (const char *)c->out.ep.residual + t[j]->pixel * p->r_pitch + at;
    }
}

static void plan_weights(const call *c, product *p, size_t b, size_t b1)
{
    size_t other = c->geglu ? c->gate + b : b + 1;

    p->b0 = c->w + b * c->block_bytes;
    p->b1 = c->geglu || other < b1 ? c->w + other * c->block_bytes : NULL;
}

/* How many lines of every tile a pair prefetches, for a whole panel to be there when
 * the pairs of the patch have passed. */
static int panel_lines(const call *c)
{
    return c->count > 30 ? 2 : c->count > 14 ? 4 : 8;
}

/* A slice of that many lines of every tile of the panel at block b, NULL: done. */
static const char *panel_slice(const call *c, size_t b, size_t pair)
{
    const size_t lines = (size_t)panel_lines(c), half = TILE / lines;
    const size_t block = pair < half ? b : c->geglu ? c->gate + b : b + 1;

    if (pair >= 2 * half)
        return NULL;
    return c->w + block * c->block_bytes + pair % half * lines * 64;
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
    product p = { .scrap = c->sums + SUMS_ALL,
                  .first = s->first,
                  .k1 = s->st->count,
                  .b_lines = panel_lines(c),
                  .source = &c->source };

    for (size_t b = s->b0; b < s->b1; b += stride) {
        plan_weights(c, &p, b, s->b1);
        for (int i = 0; i < c->count; i += 2, slot++) {
            plan_pair(c, &p, i);
            p.sums = c->sums + (deep ? slot : slot % 2) * SUMS;
            p.next_b =
                b + stride < s->b1 ? panel_slice(c, b + stride, (size_t)i / 2) : NULL;
            plan_output(c, &p, b, s->last);
            products_any(&p, s->st, &d);
            queue(c, &d, &p, b, s->last);
        }
    }
    pending_store(&d);
}

/* Plain products: a pair of tiles stays in L1 while the panels of the group pass,
 * in turns of at most 14 steps (28 KB of A) when k is long. */
static void pass_by_tiles(const call *c, const pass *s)
{
    const size_t stride = c->geglu ? 1 : 2,
                 panels = (s->b1 - s->b0 + stride - 1) / stride;
    const int turns = s->st->count <= 12 ? 1 : (s->st->count + 13) / 14;
    const int turn = (s->st->count + turns - 1) / turns;
    const bool deep = !(s->first && s->last), brief = !deep && turns == 1;
    pending d = { .sums = NULL };
    product p = { .scrap = c->sums + SUMS_ALL,
                  .b_lines = panel_lines(c),
                  .next_rows = panels >= 32   ? 1
                               : panels >= 16 ? 2
                                              : 4 };

    for (int i = 0; i < c->count; i += 2) {
        plan_pair(c, &p, i);
        p.next_pitch = p.t0->pitch;
        for (p.k0 = 0; p.k0 < s->st->count; p.k0 = p.k1) {
            p.k1 = p.k0 + turn < s->st->count ? p.k0 + turn : s->st->count;
            p.first = s->first && p.k0 == 0;
            bool over = s->last && p.k1 == s->st->count;
            for (size_t j = 0; j < panels; j++) {
                size_t b = s->b0 + j * stride, row = j * (size_t)p.next_rows;
                size_t slot =
                    deep ? (size_t)i / 2 * panels + j : (size_t)(i / 2 % 2) * panels + j;
                p.sums = c->sums + (brief ? j % 2 : slot) * SUMS;
                plan_weights(c, &p, b, s->b1);
                p.next_b = b + c->group < c->b1
                               ? panel_slice(c, b + c->group, (size_t)i / 2)
                               : NULL;
                p.next_a =
                    row < 2 * TILE ? p.t0->a + (2 * TILE + row) * p.next_pitch : NULL;
                plan_output(c, &p, b, over);
                products_any(&p, s->st, &d);
                queue(c, &d, &p, b, over);
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
    const size_t pitch = good_pitch(c->s->c * 2); /* all of k, not one piece */

    if (c->s->mode != DIRECT || t->rows == TILE)
        return;
    for (int r = 0; r < t->rows; r++)
        memcpy(c->tail + (size_t)r * pitch, t->a + (size_t)r * t->pitch, c->s->c * 2);
    t->a = c->tail;
    t->pitch = pitch;
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
    return (vbg_conv_args){ .x = g->x,
                            .ldx = g->ldx,
                            .w = g->w,
                            .n = 1,
                            .h = rows,
                            .w_in = 1,
                            .c = (int)g->k,
                            .oh = rows,
                            .ow = 1,
                            .oc = (int)g->oc,
                            .kh = 1,
                            .kw = 1,
                            .stride_y = 1,
                            .stride_x = 1,
                            .dil_y = 1,
                            .dil_x = 1,
                            .groups = 1,
                            .xt = g->xt,
                            .wt = g->wt,
                            .yt = g->yt,
                            .ep = g->ep };
}

static size_t scratch_bytes(const strips *s)
{
    return (SUMS_ALL + SCRAP) * sizeof(float) + TILE * good_pitch(s->c * 2) + 64 +
           s->bytes;
}

static void call_setup(call *c, const strips *s, char *scratch)
{
    c->s = s;
    c->block_bytes = s->k * BLOCK * 2;
    c->sums = (float *)(void *)scratch;
    c->tail = scratch + (SUMS_ALL + SCRAP) * sizeof(float);
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
        size_t fit = GROUP_BYTES / (s->chunk * BLOCK * 2);
        fit = (fit < GROUP_LEAST ? GROUP_LEAST : fit) / (c->geglu ? 2 : 1) / 2 * 2;
        if (s->chunk > 12 * DEPTH || deep)
            fit = fit < most ? fit : most;
        group = fit;
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
