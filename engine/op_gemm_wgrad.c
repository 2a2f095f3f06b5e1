/* Weight gradients of linear layers and convolutions: products over pixels.
 *
 * The output pixels, and the input pixels of each phase of the stride, are laid out on
 * one grid with shared borders, strip after strip (images, or bands of their rows) in one
 * row of positions:
 *
 *     dy   v v v v v . .        v: a pixel, .: zero; width: input row + borders
 *     x    . a b c d e .        tap (ky,kx) reads x at position + ky*width + kx
 *
 * dy is turned on its side, rows of positions for each channel; x is packed as weights
 * are, k = position (kernels/train.h).  Then each tap is one long product,
 *
 *     sum[tap][oc][c] = sum over positions of dy^T[oc][position] * x[position +
 * offset][c]
 *
 * where zeros of dy cancel whatever x holds there.  A tap is a shift of x alone.  Packed
 * bf16 comes in pairs of positions, so two strips lie side by side, pixel for pixel: every
 * shift is then one of whole pairs.  One tap without stride or borders needs no grid:
 * positions are pixels.
 *
 * The positions are cut into chunks.  Where the sums are small, a task turns and
 * multiplies whole chunks in L2, and up to PARTS sums of consecutive chunks are added up
 * at the end; where they are large, all threads share a chunk and cut the sums.  All
 * cuts depend on shapes only or do not change any element, so results do not depend on
 * the number of threads.  The gradient of the bias is the sum of the rows of dy^T. */
#include "engine/op_gemm.h"

#include <string.h>

#include "engine/op_util.h"

enum {
    BLOCK = 16,
    MAX_TAPS = 64,
    LANES = 2,                /* strips side by side for bf16            */
    TURNS = 8,                /* blocks of 32 positions of a task        */
    CHUNK = 4096,             /* positions where threads share a chunk   */
    MOST = 8192,              /* of a chunk of one task                  */
    LEAST = 512,
    CHUNK_BYTES = 1000 << 10, /* operands of a chunk that stay in L2     */
    SUM_BYTES = 600 << 10,    /* sums that stay there beside them        */
    PARTS = 8,
    FEW = 8,    /* strips among which an odd one costs more than borders */
    O_STEP = 8, /* blocks of sums of a task: 128 rows x 32 columns */
    C_STEP = 2
};

/* Shifts of the taps of one axis in steps of the stride, and what they need around. */
typedef struct reach {
    int lead, last; /* borders in front; the largest shift, at least 0 */
} reach;

static int floor_div(int a, int b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

static reach reach_of(int k, int stride, int dil, int pad)
{
    const int low = floor_div(-pad, stride),
              high = floor_div((k - 1) * dil - pad, stride);

    return (reach){ vbg_max_int(-low, 0), vbg_max_int(high, 0) };
}

typedef struct grid {
    vbg_ctx *c;
    const vbg_train_kernels *k;
    const vbg_conv_args *a; /* one group */
    const vbg_tensor *dy;
    size_t first_c, first_oc; /* of the group */
    bool flat;                /* positions are pixels, one tap */
    reach v, h;
    int lanes;
    int bands, band;    /* strips of an image; output rows of each */
    int rows, width;    /* of a layer of strips on the grid, in pixels */
    int strips, layers; /* of a chunk: strips, layers of `lanes` of them */
    size_t chunks;
    size_t m, len, ld; /* positions of a chunk; with what taps reach; of a row of dy^T */
    size_t phases, taps, size; /* size: bytes of an element */
    size_t oc_blocks, c_blocks;
    size_t dy_bytes, x_bytes;
    const char *zeros; /* a pixel of zeros */
    bool shared;       /* threads share a chunk */
    size_t parts;      /* sums */
    vbg_tap_args sums; /* sum: of the first part */
    double *bias;      /* [parts][oc] or NULL */
    char *work;        /* shared: operands of the chunk */
} grid;

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
static int band_rows(const grid *g, int rows, int pixels)
{
    const vbg_conv_args *a = g->a;
    int band = a->oh;

    if (2 * rows * g->width > 3 * pixels) { /* borders cost up to a quarter */
        band = vbg_max_int(vbg_max_int(1, 4 * (g->v.lead + g->v.last)),
                           pixels / g->width);
        band = even_cut(a->oh, vbg_min_int(a->oh, band));
    }
    const int bands = cut_up(a->oh, band);
    if (a->n * bands % g->lanes && a->n * bands < FEW)
        band = cut_up(a->oh, bands + 1);
    return band;
}

/* Chunks of about `target` positions. */
static void grid_cut(grid *g, size_t target)
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

static void flat_cut(grid *g, size_t target)
{
    const size_t pixels = vbg_rows(g->dy);

    g->m = vbg_round_up(pixels < target ? pixels : target, VBG_TURN);
    g->len = g->m;
    g->chunks = vbg_divide_up(pixels, g->m);
}

static void grid_shape(grid *g)
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
    g->ld = g->m / VBG_TURN % 2 ? g->m : g->m + VBG_TURN; /* rows in different sets */
    g->parts = g->shared ? 1 : g->chunks < PARTS ? g->chunks : PARTS;
    g->dy_bytes = vbg_round_up(g->oc_blocks * BLOCK * g->ld * g->size, 64);
    g->x_bytes = g->phases * g->c_blocks * g->len * BLOCK * g->size;
}

/* ---- turning ---- */

/* dy, or one phase of x, as it lies on the grid: grid row r and column q of a strip that
 * begins at row s show pixel ((s + r - lead_y)*stride_y + y, (q - lead_x)*stride_x + x). */
typedef struct side {
    const char *data;
    size_t pixel, line, image; /* bytes from one to the next */
    int h, w, lead_y, lead_x, stride_y, stride_x, y, x;
    int rows; /* of a layer that show anything */
} side;

static side side_of_dy(const grid *g)
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

static side side_of_x(const grid *g, int phase)
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

static void find_lines(const grid *g, const side *s, size_t chunk, place *p)
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
static place place_of(const grid *g, const side *s, size_t chunk, size_t t)
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
static void next_positions(const grid *g, const side *s, size_t chunk, place *p,
                           const void **px)
{
    for (int i = 0; i < VBG_TURN; i += g->lanes) {
        const int x = (p->col - s->lead_x) * s->stride_x + s->x;
        const bool inside = p->col >= s->lead_x && x < s->w;
        for (int lane = 0; lane < g->lanes; lane++)
            px[i + lane] = inside && p->line[lane]
                               ? p->line[lane] + (size_t)x * s->pixel
                               : g->zeros;
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
static void flat_positions(const grid *g, const side *s, size_t pixel, const void **px)
{
    const size_t pixels = vbg_rows(g->dy);

    for (size_t i = 0; i < VBG_TURN; i++, pixel++)
        px[i] = pixel < pixels ? s->data + pixel * s->pixel : g->zeros;
}

/* Blocks [t0, t1) of dy^T. */
static void turn_dy(const grid *g, size_t chunk, char *dst, size_t t0, size_t t1)
{
    const side s = side_of_dy(g);
    place p = { 0 };

    if (!g->flat)
        p = place_of(g, &s, chunk, t0);
    for (size_t t = t0; t < t1; t++) {
        const void *px[VBG_TURN];
        if (g->flat)
            flat_positions(g, &s, chunk * g->m + t * VBG_TURN, px);
        else
            next_positions(g, &s, chunk, &p, px);
        g->k->transpose(dst + t * VBG_TURN * g->size, g->ld, px, (size_t)g->a->oc,
                        g->a->xt);
    }
}

/* Blocks [t0, t1) of one phase of x. */
static void turn_x(const grid *g, size_t chunk, size_t phase, char *dst, size_t t0,
                   size_t t1)
{
    const side s = side_of_x(g, (int)phase);
    place p = { 0 };

    if (!g->flat)
        p = place_of(g, &s, chunk, t0);
    dst += phase * g->c_blocks * g->len * BLOCK * g->size;
    for (size_t t = t0; t < t1; t++) {
        const void *px[VBG_TURN];
        if (g->flat)
            flat_positions(g, &s, chunk * g->m + t * VBG_TURN, px);
        else
            next_positions(g, &s, chunk, &p, px);
        g->k->interleave(dst + t * VBG_TURN * BLOCK * g->size, g->len * BLOCK, px,
                         (size_t)g->a->c, g->a->xt);
    }
}

/* ---- products ---- */

/* The operands of a chunk at work and where each tap reads x. */
typedef struct operands {
    vbg_tap_args a;
    const void *x[MAX_TAPS];
} operands;

static void operands_at(const grid *g, operands *o, const char *work, size_t part,
                        bool first)
{
    const vbg_conv_args *v = g->a;
    const char *x = work + g->dy_bytes;
    const size_t bytes = g->c_blocks * g->len * BLOCK * g->size;

    for (size_t k = 0; k < g->taps; k++) {
        const int ty = (int)k / v->kw * v->dil_y - v->pad_top;
        const int tx = (int)k % v->kw * v->dil_x - v->pad_left;
        const int sy = floor_div(ty, v->stride_y), sx = floor_div(tx, v->stride_x);
        const int phase = (ty - sy * v->stride_y) * v->stride_x + tx - sx * v->stride_x;
        const int shift = (g->v.lead + sy) * g->width + g->h.lead + sx;
        const size_t at = g->flat ? 0 : (size_t)(shift * g->lanes);
        o->x[k] = x + (size_t)phase * bytes + at * BLOCK * g->size;
    }
    o->a = g->sums;
    o->a.dy = work;
    o->a.x = o->x;
    o->a.sum += part * g->taps * g->sums.tap_sum;
    o->a.first = first && g->sums.first;
}

/* Adds the rows of dy^T at work to the bias sums of a part. */
static void add_bias_sums(const grid *g, const char *work, size_t part)
{
    const size_t oc = (size_t)g->a->oc;

    if (g->bias)
        g->k->row_sums(g->bias + part * oc, work, g->ld, oc, g->m, g->a->xt);
}

/* All of some chunks, by one thread. */
static void part_task(void *arg, size_t part, int thread)
{
    const grid *g = arg;
    const size_t c0 = part * g->chunks / g->parts, c1 = (part + 1) * g->chunks / g->parts;
    char *work = vbg_scratch(g->c, thread);
    operands o;

    for (size_t chunk = c0; chunk < c1; chunk++) {
        turn_dy(g, chunk, work, 0, g->m / VBG_TURN);
        add_bias_sums(g, work, part);
        for (size_t i = 0; i < g->phases; i++)
            turn_x(g, chunk, i, work + g->dy_bytes, 0, g->len / VBG_TURN);
        operands_at(g, &o, work, part, chunk == c0);
        g->k->taps(&o.a, 0, g->oc_blocks, 0, g->c_blocks);
    }
}

/* One chunk by all threads. */
typedef struct chunk_job {
    const grid *g;
    operands o;
    size_t chunk, o_step;
} chunk_job;

static void turn_task(void *arg, size_t index, int thread)
{
    const chunk_job *j = arg;
    const grid *g = j->g;
    const size_t dy_tasks = vbg_divide_up(g->m / VBG_TURN, TURNS);
    const size_t x_turns = g->len / VBG_TURN, x_tasks = vbg_divide_up(x_turns, TURNS);

    (void)thread;
    if (index < dy_tasks) {
        size_t t0 = index * TURNS, end = g->m / VBG_TURN;
        turn_dy(g, j->chunk, g->work, t0, t0 + TURNS < end ? t0 + TURNS : end);
        return;
    }
    index -= dy_tasks;
    size_t t0 = index % x_tasks * TURNS;
    turn_x(g, j->chunk, index / x_tasks, g->work + g->dy_bytes, t0,
           t0 + TURNS < x_turns ? t0 + TURNS : x_turns);
}

/* Index 0: the bias. */
static void product_task(void *arg, size_t index, int thread)
{
    const chunk_job *j = arg;
    const grid *g = j->g;

    (void)thread;
    if (index == 0) {
        add_bias_sums(g, g->work, 0);
        return;
    }
    index--;
    const size_t o_tasks = vbg_divide_up(g->oc_blocks, j->o_step);
    const size_t o0 = index % o_tasks * j->o_step, b0 = index / o_tasks * C_STEP;
    const size_t o1 = o0 + j->o_step, b1 = b0 + C_STEP;
    g->k->taps(&j->o.a, o0, o1 < g->oc_blocks ? o1 : g->oc_blocks, b0,
               b1 < g->c_blocks ? b1 : g->c_blocks);
}

static void shared_chunk(grid *g, size_t chunk)
{
    const size_t turns = vbg_divide_up(g->m / VBG_TURN, TURNS) +
                         g->phases * vbg_divide_up(g->len / VBG_TURN, TURNS);
    chunk_job j = { .g = g, .chunk = chunk, .o_step = O_STEP };
    const size_t pairs = vbg_divide_up(g->c_blocks, C_STEP);

    vbg_parallel(g->c, turns, turn_task, &j);
    operands_at(g, &j.o, g->work, 0, chunk == 0);
    while (j.o_step > 2 && pairs * vbg_divide_up(g->oc_blocks, j.o_step) <
                               4 * (size_t)vbg_ctx_threads(g->c))
        j.o_step /= 2;
    vbg_parallel(g->c, 1 + pairs * vbg_divide_up(g->oc_blocks, j.o_step), product_task,
                 &j);
}

/* ---- adding up ---- */

typedef struct add_job {
    const grid *g;
    const vbg_kernels *k;
    float *grad;
} add_job;

/* The parts' sums of rows of output channels, added to the first part's in order, and
 * those to the gradient. */
static void add_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const add_job *j = arg;
    const vbg_tap_args *a = &j->g->sums;

    (void)thread;
    for (size_t p = 1; p < j->g->parts; p++)
        for (size_t k = 0; k < a->taps; k++) {
            float *to = a->sum + k * a->tap_sum + r0 * a->ld_sum;
            vbg_row_io io = { .y = to,
                              .x = to,
                              .rows = 1,
                              .cols = (r1 - r0) * a->ld_sum,
                              .yt = VBG_F32,
                              .xt = VBG_F32 };
            j->k->pointwise.add(&io, to + p * a->taps * a->tap_sum, 0, VBG_ACT_NONE);
        }
    j->g->k->add_taps(j->grad, a, r0, r1);
}

static void add_bias(const grid *g, float *grad)
{
    const size_t oc = (size_t)g->a->oc;

    for (size_t i = 0; i < oc; i++) {
        double sum = 0;
        for (size_t p = 0; p < g->parts; p++)
            sum += g->bias[p * oc + i];
        grad[i] += (float)sum;
    }
}

void *vbg_room(vbg_ctx *c, vbg_dtype t, size_t count)
{
    const size_t width = 1 << 16;

    return vbg_new_typed(c, t, 1, 1, (int)vbg_divide_up(count, width), (int)width)->data;
}

/* count zeros of type t. */
static void *zeros(vbg_ctx *c, vbg_dtype t, size_t count)
{
    void *p = vbg_room(c, t, count);

    if (p)
        memset(p, 0, count * vbg_dtype_size(t));
    return p;
}

static void grid_run(grid *g, float *grad, float *bias)
{
    const size_t c = (size_t)g->a->c, oc = (size_t)g->a->oc;
    const bool direct = g->taps == 1 && g->parts == 1 && c % BLOCK == 0 &&
                        oc % BLOCK == 0; /* straight into the gradient */
    add_job add = { g, vbg_ctx_kernels(g->c), grad };

    g->zeros = zeros(g->c, VBG_U8, (c > oc ? c : oc) * g->size);
    g->bias = bias ? zeros(g->c, VBG_F64, g->parts * oc) : NULL;
    g->sums = (vbg_tap_args){ .ld = g->ld,
                              .block = g->len * BLOCK,
                              .sum = grad,
                              .ld_sum = g->c_blocks * BLOCK,
                              .tap_sum = g->oc_blocks * g->c_blocks * BLOCK * BLOCK,
                              .m = g->m,
                              .oc = oc,
                              .c = c,
                              .taps = g->taps,
                              .t = g->a->xt,
                              .first = !direct };
    if (!direct)
        g->sums.sum = vbg_room(g->c, VBG_F32, g->parts * g->taps * g->sums.tap_sum);
    if (g->shared)
        g->work = vbg_room(g->c, VBG_U8, g->dy_bytes + g->x_bytes);
    else
        vbg_scratch_reserve(g->c, g->dy_bytes + g->x_bytes);
    if (vbg_planning(g->c))
        return;
    if (!g->shared)
        vbg_parallel(g->c, g->parts, part_task, g);
    for (size_t chunk = 0; chunk < g->chunks && g->shared; chunk++)
        shared_chunk(g, chunk);
    if (!direct)
        vbg_parallel_rows(g->c, oc, c * g->taps * g->parts, add_rows, &add);
    if (bias)
        add_bias(g, bias);
}

void vbg_conv_weight_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                          float *grad, float *bias)
{
    const int groups = a->groups;
    const size_t taps = (size_t)(a->kh * a->kw);
    vbg_conv_args one = *a;

    VBG_CHECK(a->xt == dy->dtype && !a->upsample2, "weight gradient of %s and %s%s",
              vbg_dtype_name(a->xt), vbg_dtype_name(dy->dtype),
              a->upsample2 ? ", upsampled" : "");
    vbg_count_macs(c, vbg_conv_macs(a));
    one.c /= groups;
    one.oc /= groups;
    one.groups = 1;
    for (int i = 0; i < groups; i++) {
        size_t ic = (size_t)one.c, oc = (size_t)one.oc, n = (size_t)i;
        grid g = { .c = c,
                   .k = &vbg_ctx_kernels(c)->train,
                   .a = &one,
                   .dy = dy,
                   .first_c = n * ic,
                   .first_oc = n * oc,
                   .flat = taps == 1 && groups == 1 && a->oh == a->h &&
                           a->ow == a->w_in && a->pad_top == 0 && a->pad_left == 0 };
        vbg_scope_open(c);
        grid_shape(&g);
        grid_run(&g, grad + n * oc * ic * taps, bias ? bias + n * oc : NULL);
        vbg_scope_close(c, NULL);
    }
}
