/* The grid of a weight gradient: shape and turning; see op_gemm_grid.h. */
#include "engine/op_gemm_grid.h"

#include "engine/op_util.h"

enum {
    BLOCK = VBG_GRID_BLOCK,
    LANES = VBG_GRID_LANES,
    CHUNK = 4096, /* positions where threads share a chunk */
    MOST = 8192,  /* of a chunk of one task                */
    LEAST = 512,
    CHUNK_BYTES = 1000 << 10, /* operands of a chunk that stay in L2 */
    SUM_BYTES = 600 << 10,    /* sums that stay there beside them    */
    AHEAD = 512,              /* bytes of a pixel that are worth prefetching */
    FEW = 8                   /* strips among which an odd one costs more than borders */
};

static int floor_div(int a, int b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

static vbg_reach reach_of(int k, int stride, int dil, int pad)
{
    const int low = floor_div(-pad, stride),
              high = floor_div((k - 1) * dil - pad, stride);

    return (vbg_reach){ vbg_max_int(-low, 0), vbg_max_int(high, 0) };
}

/* ---- shape ---- */

/* The least part that cuts all into no more parts than `part` does. */
static int even_cut(int all, int part)
{
    const int parts = (all + part - 1) / part;

    return (all + parts - 1) / parts;
}

static int cut_up(int a, int b)
{
    return (a + b - 1) / b;
}

/* Output rows of a strip: images, or bands of them where two of `pixels` would not fit,
 * or where the last lane would lack a strip. */
static int band_rows(const vbg_grid *g, int rows, int pixels)
{
    const vbg_conv_args *a = g->a;
    int band = a->oh;

    if (2 * rows * g->width > 3 * pixels) { /* borders cost up to a quarter */
        band =
            vbg_max_int(vbg_max_int(1, 4 * (g->v.lead + g->v.last)), pixels / g->width);
        band = even_cut(a->oh, vbg_min_int(a->oh, band));
    }
    const int bands = cut_up(a->oh, band);
    if (a->n * bands % g->lanes && a->n * bands < FEW)
        band = cut_up(a->oh, bands + 1);
    return band;
}

/* Chunks of about `target` positions. */
static void grid_cut(vbg_grid *g, size_t target)
{
    const vbg_conv_args *a = g->a;
    const int ph = cut_up(a->h, a->stride_y), pw = cut_up(a->w_in, a->stride_x);

    g->lanes = a->xt == VBG_BF16 ? LANES : 1;
    const int pixels = (int)target / g->lanes;
    g->v = reach_of(a->kh, a->stride_y, a->dil_y, a->pad_top);
    g->h = reach_of(a->kw, a->stride_x, a->dil_x, a->pad_left);
    g->width = vbg_max_int(g->h.lead + pw, a->ow + g->h.last);
    g->rows = vbg_max_int(g->v.lead + ph, a->oh + g->v.last);
    g->band = band_rows(g, g->rows, pixels);
    g->bands = cut_up(a->oh, g->band);
    if (g->bands > 1)
        g->rows = g->v.lead + g->band + g->v.last;
    const int all = cut_up(a->n * g->bands, g->lanes);
    g->layers = vbg_max_int(1, pixels / (g->rows * g->width));
    g->layers = even_cut(all, vbg_min_int(all, g->layers));
    g->strips = g->layers * g->lanes;
    g->chunks = (size_t)cut_up(all, g->layers);
    const size_t line = (size_t)(g->width * g->lanes);
    g->m = vbg_round_up((size_t)((g->layers - 1) * g->rows + g->band) * line, VBG_TURN);
    g->len = g->m + (size_t)(g->v.lead + g->v.last) * line +
             (size_t)((g->h.lead + g->h.last) * g->lanes);
}

static void flat_cut(vbg_grid *g, size_t target)
{
    const size_t pixels = vbg_rows(g->dy);

    g->m = vbg_round_up(pixels < target ? pixels : target, VBG_TURN);
    g->len = g->m;
    g->chunks = vbg_divide_up(pixels, g->m);
}

/* At least m positions, so many that blocks of channels lie in different sets. */
static size_t odd_runs(size_t m)
{
    return m / VBG_TURN % 2 ? m : m + VBG_TURN;
}

void vbg_grid_shape(vbg_grid *g)
{
    const vbg_conv_args *a = g->a;
    const size_t c = (size_t)a->c, oc = (size_t)a->oc;

    g->size = vbg_dtype_size(a->xt);
    g->taps = (size_t)(a->kh * a->kw);
    g->phases = (size_t)(a->stride_y * a->stride_x);
    g->oc_blocks = vbg_divide_up(oc, BLOCK);
    g->c_blocks = vbg_divide_up(c, BLOCK);
    const size_t sum = g->taps * g->oc_blocks * g->c_blocks * BLOCK * BLOCK;
    const size_t position = g->size * BLOCK * (g->oc_blocks + g->phases * g->c_blocks);
    size_t target = CHUNK;
    g->shared = sum * sizeof(float) > SUM_BYTES;
    if (!g->shared) {
        target = CHUNK_BYTES / position;
        target = target < LEAST ? LEAST : target < MOST ? target : MOST;
    }
    if (g->flat)
        flat_cut(g, target);
    else
        grid_cut(g, target);
    g->len = vbg_round_up(g->len, VBG_TURN);
    g->dy_block = odd_runs(g->m) * BLOCK;
    g->block = odd_runs(g->len) * BLOCK;
    g->dy_bytes = g->oc_blocks * g->dy_block * g->size;
    g->x_bytes = g->phases * g->c_blocks * g->block * g->size;
}

/* ---- turning ---- */

/* dy, or one phase of x, as it lies on the grid: grid row r and column q of a strip that
 * begins at row s show pixel ((s + r - lead_y)*stride_y + y, (q - lead_x)*stride_x + x).
 */
typedef struct side {
    const char *data;
    size_t pixel, line, image; /* bytes from one to the next */
    int h, w, lead_y, lead_x, stride_y, stride_x, y, x;
    int rows; /* of a layer that show anything */
} side;

static side side_of_dy(const vbg_grid *g)
{
    const vbg_tensor *dy = g->dy;
    const size_t pixel = dy->ld * g->size, line = (size_t)dy->w * pixel;

    return (side){ .data = (const char *)dy->data + g->first_oc * g->size,
                   .pixel = pixel,
                   .line = line,
                   .image = (size_t)dy->h * line,
                   .h = dy->h,
                   .w = dy->w,
                   .stride_y = 1,
                   .stride_x = 1,
                   .rows = g->band };
}

static side side_of_x(const vbg_grid *g, int phase)
{
    const vbg_conv_args *a = g->a;
    const size_t pixel = a->ldx * g->size, line = (size_t)a->w_in * pixel;

    return (side){ .data = (const char *)a->x + g->first_c * g->size,
                   .pixel = pixel,
                   .line = line,
                   .image = (size_t)a->h * line,
                   .h = a->h,
                   .w = a->w_in,
                   .lead_y = g->v.lead,
                   .lead_x = g->h.lead,
                   .stride_y = a->stride_y,
                   .stride_x = a->stride_x,
                   .y = phase / a->stride_x,
                   .x = phase % a->stride_x,
                   .rows = g->rows };
}

/* A place on the grid: layer, row and column, and where its row lies in each lane. */
typedef struct place {
    int layer, row, col;
    const char *line[LANES]; /* NULL: zeros */
} place;

static void find_lines(const vbg_grid *g, const side *s, size_t chunk, place *p)
{
    for (int lane = 0; lane < g->lanes; lane++) {
        const int strip = (int)chunk * g->strips + p->layer * g->lanes + lane;
        const int image = strip / g->bands;
        const int r = strip % g->bands * g->band + p->row - s->lead_y;
        const int y = r * s->stride_y + s->y;
        const bool inside = p->layer < g->layers && image < g->dy->n &&
                            p->row < s->rows && r >= 0 && y < s->h;
        p->line[lane] =
            inside ? s->data + (size_t)image * s->image + (size_t)y * s->line : NULL;
    }
}

/* The place of block t of a chunk. */
static place place_of(const vbg_grid *g, const side *s, size_t chunk, size_t t)
{
    const size_t pixel = t * VBG_TURN / (size_t)g->lanes;
    const size_t row = pixel / (size_t)g->width;
    place p = { .layer = (int)(row / (size_t)g->rows),
                .row = (int)(row % (size_t)g->rows),
                .col = (int)(pixel % (size_t)g->width) };

    find_lines(g, s, chunk, &p);
    return p;
}

/* Addresses of the next 32 positions. */
static void next_positions(const vbg_grid *g, const side *s, size_t chunk, place *p,
                           const void **px)
{
    for (int i = 0; i < VBG_TURN; i += g->lanes) {
        const int x = (p->col - s->lead_x) * s->stride_x + s->x;
        const bool inside = p->col >= s->lead_x && x < s->w;
        for (int lane = 0; lane < g->lanes; lane++)
            px[i + lane] =
                inside && p->line[lane] ? p->line[lane] + (size_t)x * s->pixel : g->zeros;
        if (++p->col < g->width)
            continue;
        p->col = 0;
        if (++p->row == g->rows) {
            p->row = 0;
            p->layer++;
        }
        find_lines(g, s, chunk, p);
    }
}

/* Addresses of the 32 pixels of x or dy at a position. */
static void flat_positions(const vbg_grid *g, const side *s, size_t pixel,
                           const void **px)
{
    const size_t pixels = vbg_rows(g->dy);

    for (size_t i = 0; i < VBG_TURN; i++, pixel++)
        px[i] = pixel < pixels ? s->data + pixel * s->pixel : g->zeros;
}

/* One side's blocks of positions on their way to where they are multiplied. */
typedef struct turning {
    const vbg_grid *g;
    side s;
    size_t chunk;
    void (*turn)(void *dst, size_t block, const void *const *px, size_t cols,
                 vbg_dtype t);
    char *dst;
    size_t block, cols;
} turning;

/* Lines of the next block's pixels, in their order: turning reads 32 pixels side by side,
 * which no prefetcher follows.  It does follow the long rows of many channels. */
static void look_ahead(const void *const *px, size_t bytes)
{
    if (bytes > AHEAD)
        return;
    for (size_t i = 0; i < VBG_TURN; i++)
        for (size_t at = 0; at < bytes; at += 64)
            __builtin_prefetch((const char *)px[i] + at);
}

static void turn_blocks(const turning *j, size_t t0, size_t t1)
{
    const vbg_grid *g = j->g;
    const void *px[2][VBG_TURN];
    place p = { 0 };

    if (!g->flat)
        p = place_of(g, &j->s, j->chunk, t0);
    for (size_t t = t0; t <= t1; t++) {
        if (t < t1 && g->flat)
            flat_positions(g, &j->s, j->chunk * g->m + t * VBG_TURN, px[t % 2]);
        else if (t < t1)
            next_positions(g, &j->s, j->chunk, &p, px[t % 2]);
        if (t < t1)
            look_ahead(px[t % 2], j->cols * g->size);
        if (t > t0)
            j->turn(j->dst + (t - 1) * VBG_TURN * BLOCK * g->size, j->block,
                    px[(t - 1) % 2], j->cols, g->a->xt);
    }
}

/* Blocks [t0, t1) of dy^T. */
void vbg_grid_turn_dy(const vbg_grid *g, size_t chunk, char *work, size_t t0, size_t t1)
{
    turn_blocks(&(turning){ .g = g,
                            .s = side_of_dy(g),
                            .chunk = chunk,
                            .turn = g->k->transpose,
                            .dst = work,
                            .block = g->dy_block,
                            .cols = (size_t)g->a->oc },
                t0, t1);
}

/* Blocks [t0, t1) of one phase of x. */
void vbg_grid_turn_x(const vbg_grid *g, size_t chunk, size_t phase, char *work, size_t t0,
                     size_t t1)
{
    turn_blocks(
        &(turning){ .g = g,
                    .s = side_of_x(g, (int)phase),
                    .chunk = chunk,
                    .turn = g->k->interleave,
                    .dst = work + g->dy_bytes + phase * g->c_blocks * g->block * g->size,
                    .block = g->block,
                    .cols = (size_t)g->a->c },
        t0, t1);
}

void vbg_grid_operands_at(const vbg_grid *g, vbg_grid_operands *o, const char *work)
{
    const vbg_conv_args *v = g->a;
    const char *x = work + g->dy_bytes;
    const size_t bytes = g->c_blocks * g->block * g->size;

    for (size_t k = 0; k < g->taps; k++) {
        const int ty = (int)k / v->kw * v->dil_y - v->pad_top;
        const int tx = (int)k % v->kw * v->dil_x - v->pad_left;
        const int sy = floor_div(ty, v->stride_y), sx = floor_div(tx, v->stride_x);
        const int phase = (ty - sy * v->stride_y) * v->stride_x + tx - sx * v->stride_x;
        const int shift = (g->v.lead + sy) * g->width + g->h.lead + sx;
        const size_t at = g->flat ? 0 : (size_t)(shift * g->lanes);
        o->x[k] = x + (size_t)phase * bytes + at * BLOCK * g->size;
    }
    o->a = (vbg_tap_args){ .dy = work,
                           .dy_block = g->dy_block,
                           .x = o->x,
                           .block = g->block,
                           .m = g->m,
                           .oc = (size_t)v->oc,
                           .c = (size_t)v->c,
                           .taps = g->taps,
                           .t = v->xt };
}
