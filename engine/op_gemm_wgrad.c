/* Weight gradients of linear layers and convolutions: products over pixels.
 *
 * The output pixels, and the input pixels of each phase of the stride, are laid out on
 * one grid with shared borders, image after image in one row of positions:
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
 * where zeros of dy cancel whatever x holds there.  A tap is a shift of x alone; packed
 * bf16 comes in pairs of positions, so odd shifts read a second copy that starts one
 * position later.  One tap without stride or borders needs no grid: positions are pixels.
 *
 * The positions are cut into chunks.  Where the sums are small, a task turns and
 * multiplies whole chunks in L2, and up to PARTS sums of consecutive chunks are added up
 * at the end; where they are large, all threads share a chunk and cut the sums.  All
 * cuts depend on shapes only or do not change any element, so results do not depend on
 * the number of threads. */
#include "engine/op_gemm.h"

#include <string.h>

#include "engine/op_util.h"

enum {
    BLOCK = 16,
    MAX_TAPS = 64,
    TURNS = 8,                /* blocks of 32 positions of a task        */
    CHUNK = 4096,             /* positions where threads share a chunk   */
    LEAST = 512,              /* of a chunk of one task                  */
    CHUNK_BYTES = 1000 << 10, /* operands of a chunk that stay in L2     */
    SUM_BYTES = 600 << 10,    /* sums that stay there beside them        */
    PARTS = 8,
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
    int rows, width;  /* of an image on the grid */
    int images, band; /* of a chunk: images, and output rows of each */
    size_t chunks;
    size_t m, len, ld; /* positions of a chunk; with what taps reach; of a row of dy^T */
    size_t phases, copies, taps, size; /* copies of x; bytes of an element */
    size_t oc_blocks, c_blocks;
    size_t dy_bytes, x_bytes;
    const char *zeros; /* a pixel of zeros */
    bool shared;       /* threads share a chunk */
    size_t parts;      /* sums */
    vbg_tap_args sums; /* sum: of the first part */
    char *work;        /* shared: operands of the chunk */
} grid;

/* ---- shape ---- */

/* The least part that cuts all into no more parts than `part` does. */
static int even_cut(int all, int part)
{
    const int parts = (all + part - 1) / part;

    return (all + parts - 1) / parts;
}

/* Images or bands of rows of about `target` positions. */
static void grid_cut(grid *g, size_t target)
{
    const vbg_conv_args *a = g->a;
    const int up = a->upsample2 ? 2 : 1, h = a->h * up, w = a->w_in * up;
    const int ph = (h + a->stride_y - 1) / a->stride_y;
    const int pw = (w + a->stride_x - 1) / a->stride_x;

    g->v = reach_of(a->kh, a->stride_y, a->dil_y, a->pad_top);
    g->h = reach_of(a->kw, a->stride_x, a->dil_x, a->pad_left);
    g->width = vbg_max_int(g->h.lead + pw, a->ow + g->h.last);
    g->width += g->width % 2; /* whole pairs */
    g->rows = vbg_max_int(g->v.lead + ph, a->oh + g->v.last);
    const size_t image = (size_t)g->rows * (size_t)g->width;
    g->images = even_cut(a->n, vbg_min_int(a->n, vbg_max_int(1, (int)(target / image))));
    g->band = a->oh;
    if (2 * image > 3 * target) { /* borders cost up to a quarter */
        int least = 4 * (g->v.lead + g->v.last);
        g->band = vbg_max_int(vbg_max_int(1, least), (int)(target / (size_t)g->width));
        g->band = even_cut(a->oh, vbg_min_int(a->oh, g->band));
        g->rows = g->band < a->oh ? g->v.lead + g->band + g->v.last : g->rows;
    }
    g->m = vbg_round_up((size_t)(g->images * g->rows) * (size_t)g->width, VBG_TURN);
    g->len = g->m + (size_t)((g->v.lead + g->v.last) * g->width + g->h.lead + g->h.last);
    g->chunks = g->band < a->oh
                    ? (size_t)a->n * vbg_divide_up((size_t)a->oh, (size_t)g->band)
                    : vbg_divide_up((size_t)a->n, (size_t)g->images);
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
    g->copies = a->xt == VBG_BF16 && a->kw > 1 ? 2 : 1;
    g->oc_blocks = vbg_divide_up(oc, BLOCK);
    g->c_blocks = vbg_divide_up(c, BLOCK);
    const size_t sum = g->taps * g->oc_blocks * g->c_blocks * BLOCK * BLOCK;
    const size_t position =
        g->size * BLOCK * (g->oc_blocks + g->phases * g->copies * g->c_blocks);
    size_t target = CHUNK;
    g->shared = sum * sizeof(float) > SUM_BYTES;
    if (!g->shared) {
        target = CHUNK_BYTES / position;
        target = target < LEAST ? LEAST : target < CHUNK ? target : CHUNK;
    }
    if (g->flat)
        flat_cut(g, target);
    else
        grid_cut(g, target);
    g->len = vbg_round_up(g->len, VBG_TURN);
    g->ld = g->m / VBG_TURN % 2 ? g->m : g->m + VBG_TURN; /* rows in different sets */
    g->parts = g->shared ? 1 : g->chunks < PARTS ? g->chunks : PARTS;
    g->dy_bytes = vbg_round_up(g->oc_blocks * BLOCK * g->ld * g->size, 64);
    g->x_bytes = g->phases * g->copies * g->c_blocks * g->len * BLOCK * g->size;
}

/* ---- turning ---- */

/* A position of a chunk: image, row and column of the grid. */
typedef struct place {
    int image, row, col;
} place;

/* Where a chunk starts: image and output row. */
static place chunk_at(const grid *g, size_t chunk)
{
    if (g->band == g->a->oh)
        return (place){ .image = (int)chunk * g->images };
    const size_t bands = vbg_divide_up((size_t)g->a->oh, (size_t)g->band);
    return (place){ .image = (int)(chunk / bands),
                    .row = (int)(chunk % bands) * g->band };
}

static place place_at(const grid *g, size_t position)
{
    const size_t row = position / (size_t)g->width;

    return (place){ (int)(row / (size_t)g->rows), (int)(row % (size_t)g->rows),
                    (int)(position % (size_t)g->width) };
}

static void place_next(const grid *g, place *p)
{
    if (++p->col < g->width)
        return;
    p->col = 0;
    if (++p->row < g->rows)
        return;
    p->row = 0;
    p->image++;
}

static const void *dy_at(const grid *g, const place *start, const place *p)
{
    const vbg_tensor *dy = g->dy;
    const int image = start->image + p->image, row = start->row + p->row;

    if (p->image >= g->images || image >= dy->n || p->row >= g->band || row >= dy->h ||
        p->col >= dy->w)
        return g->zeros;
    size_t at =
        ((size_t)image * (size_t)dy->h + (size_t)row) * (size_t)dy->w + (size_t)p->col;
    return (const char *)dy->data + (at * dy->ld + g->first_oc) * g->size;
}

static const void *x_at(const grid *g, const place *start, const place *p, int phase)
{
    const vbg_conv_args *a = g->a;
    const int up = a->upsample2 ? 1 : 0, image = start->image + p->image;
    const int j = start->row + p->row - g->v.lead, i = p->col - g->h.lead;
    const int y = (j * a->stride_y + phase / a->stride_x) >> up;
    const int x = (i * a->stride_x + phase % a->stride_x) >> up;

    if (p->image >= g->images || image >= a->n || j < 0 || i < 0 || y >= a->h ||
        x >= a->w_in)
        return g->zeros;
    size_t at = ((size_t)image * (size_t)a->h + (size_t)y) * (size_t)a->w_in + (size_t)x;
    return (const char *)a->x + (at * a->ldx + g->first_c) * g->size;
}

/* Addresses of the 32 pixels of x or dy at a position. */
static void flat_pixels(const grid *g, size_t pixel, bool of_dy, const void **px)
{
    const char *base = of_dy ? g->dy->data : g->a->x;
    const size_t step = (of_dy ? g->dy->ld : g->a->ldx) * g->size;
    const size_t pixels = vbg_rows(g->dy);

    for (size_t i = 0; i < VBG_TURN; i++, pixel++)
        px[i] = pixel < pixels ? base + pixel * step : g->zeros;
}

/* Blocks [t0, t1) of dy^T. */
static void turn_dy(const grid *g, size_t chunk, char *dst, size_t t0, size_t t1)
{
    const place start = g->flat ? (place){ 0 } : chunk_at(g, chunk);
    place p = g->flat ? start : place_at(g, t0 * VBG_TURN);

    for (size_t t = t0; t < t1; t++) {
        const void *px[VBG_TURN];
        if (g->flat)
            flat_pixels(g, chunk * g->m + t * VBG_TURN, true, px);
        for (int i = 0; i < VBG_TURN && !g->flat; i++, place_next(g, &p))
            px[i] = dy_at(g, &start, &p);
        g->k->transpose(dst + t * VBG_TURN * g->size, g->ld, px, (size_t)g->a->oc,
                        g->a->xt);
    }
}

/* Blocks [t0, t1) of one copy of one phase of x. */
static void turn_x(const grid *g, size_t chunk, size_t copy, char *dst, size_t t0,
                   size_t t1)
{
    const size_t bytes = g->c_blocks * g->len * BLOCK * g->size;
    const place start = g->flat ? (place){ 0 } : chunk_at(g, chunk);
    place p = g->flat ? start : place_at(g, t0 * VBG_TURN + copy % g->copies);

    dst += copy * bytes;
    for (size_t t = t0; t < t1; t++) {
        const void *px[VBG_TURN];
        if (g->flat)
            flat_pixels(g, chunk * g->m + t * VBG_TURN, false, px);
        for (int i = 0; i < VBG_TURN && !g->flat; i++, place_next(g, &p))
            px[i] = x_at(g, &start, &p, (int)(copy / g->copies));
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
        size_t at = g->flat ? 0 : (size_t)((g->v.lead + sy) * g->width + g->h.lead + sx);
        size_t odd = g->copies == 2 ? at % 2 : 0;
        o->x[k] =
            x + ((size_t)phase * g->copies + odd) * bytes + (at - odd) * BLOCK * g->size;
    }
    o->a = g->sums;
    o->a.dy = work;
    o->a.x = o->x;
    o->a.sum += part * g->taps * g->sums.tap_sum;
    o->a.first = first && g->sums.first;
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
        for (size_t i = 0; i < g->phases * g->copies; i++)
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

static void product_task(void *arg, size_t index, int thread)
{
    const chunk_job *j = arg;
    const grid *g = j->g;
    const size_t o_tasks = vbg_divide_up(g->oc_blocks, j->o_step);
    const size_t o0 = index % o_tasks * j->o_step, b0 = index / o_tasks * C_STEP;
    const size_t o1 = o0 + j->o_step, b1 = b0 + C_STEP;

    (void)thread;
    g->k->taps(&j->o.a, o0, o1 < g->oc_blocks ? o1 : g->oc_blocks, b0,
               b1 < g->c_blocks ? b1 : g->c_blocks);
}

static void shared_chunk(grid *g, size_t chunk)
{
    const size_t turns = vbg_divide_up(g->m / VBG_TURN, TURNS) +
                         g->phases * g->copies * vbg_divide_up(g->len / VBG_TURN, TURNS);
    chunk_job j = { .g = g, .chunk = chunk, .o_step = O_STEP };
    const size_t pairs = vbg_divide_up(g->c_blocks, C_STEP);

    vbg_parallel(g->c, turns, turn_task, &j);
    operands_at(g, &j.o, g->work, 0, chunk == 0);
    while (j.o_step > 2 && pairs * vbg_divide_up(g->oc_blocks, j.o_step) <
                               4 * (size_t)vbg_ctx_threads(g->c))
        j.o_step /= 2;
    vbg_parallel(g->c, pairs * vbg_divide_up(g->oc_blocks, j.o_step), product_task, &j);
}

typedef struct add_job {
    const grid *g;
    float *grad;
} add_job;

static void add_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const add_job *j = arg;
    vbg_tap_args a = j->g->sums;

    (void)thread;
    for (size_t p = 0; p < j->g->parts; p++, a.sum += a.taps * a.tap_sum)
        j->g->k->add_taps(j->grad, &a, r0, r1);
}

/* A tensor of count values of type t, for any use. */
static void *room(vbg_ctx *c, vbg_dtype t, size_t count)
{
    const size_t width = 1 << 16;

    return vbg_new_typed(c, t, 1, 1, (int)vbg_divide_up(count, width), (int)width)->data;
}

static char *zero_pixel(vbg_ctx *c, size_t bytes)
{
    char *p = room(c, VBG_U8, bytes);

    if (p)
        memset(p, 0, bytes);
    return p;
}

static void grid_run(grid *g, float *grad)
{
    const size_t c = (size_t)g->a->c, oc = (size_t)g->a->oc;
    const bool direct = g->taps == 1 && g->parts == 1 && c % BLOCK == 0 &&
                        oc % BLOCK == 0; /* straight into the gradient */
    add_job add = { g, grad };

    g->zeros = zero_pixel(g->c, (c > oc ? c : oc) * g->size);
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
        g->sums.sum = room(g->c, VBG_F32, g->parts * g->taps * g->sums.tap_sum);
    if (g->shared)
        g->work = room(g->c, VBG_U8, g->dy_bytes + g->x_bytes);
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
}

void vbg_conv_weight_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                          float *grad)
{
    const int groups = a->groups;
    const size_t taps = (size_t)(a->kh * a->kw);
    vbg_conv_args one = *a;

    VBG_CHECK(a->xt == dy->dtype, "weight gradient of %s and %s", vbg_dtype_name(a->xt),
              vbg_dtype_name(dy->dtype));
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
                           a->ow == a->w_in && !a->upsample2 && a->pad_top == 0 &&
                           a->pad_left == 0 };
        vbg_scope_open(c);
        grid_shape(&g);
        grid_run(&g, grad + n * oc * ic * taps);
        vbg_scope_close(c, NULL);
    }
}

/* ---- depthwise ---- */

enum { PIECES = 16 }; /* of the rows, whose sums are added in order */

typedef struct depthwise_job {
    const vbg_train_kernels *k;
    vbg_depthwise_grad_args args;
    size_t rows, pieces, count; /* count: taps * oc */
    size_t times;               /* output channels of an input channel */
    const vbg_tensor *x;
    vbg_tensor *wide;
    float *grad;
} depthwise_job;

static void depthwise_piece(void *arg, size_t index, int thread)
{
    const depthwise_job *j = arg;
    vbg_depthwise_grad_args a = j->args;

    (void)thread;
    a.sum += index * j->count;
    memset(a.sum, 0, j->count * sizeof *a.sum);
    j->k->depthwise_grad(&a, index * j->rows / j->pieces,
                         (index + 1) * j->rows / j->pieces);
}

static void repeat_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const depthwise_job *j = arg;
    vbg_row_io io = vbg_io_of(j->wide, j->x, r0, r1);

    (void)thread;
    io.cols = (size_t)j->x->c;
    j->k->repeat(&io, j->times);
}

/* grad [oc][taps] += the pieces' sums [taps][oc]. */
static void add_pieces(const depthwise_job *j)
{
    const size_t oc = (size_t)j->args.a->oc, taps = j->count / oc;

    for (size_t o = 0; o < oc; o++)
        for (size_t t = 0; t < taps; t++) {
            double sum = 0;
            for (size_t p = 0; p < j->pieces; p++)
                sum += (double)j->args.sum[p * j->count + t * oc + o];
            j->grad[o * taps + t] += (float)sum;
        }
}

void vbg_depthwise_weight_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                               float *grad)
{
    const size_t rows = (size_t)(a->n * a->oh), oc = (size_t)a->oc;
    vbg_conv_args all = *a;
    depthwise_job j = { .k = &vbg_ctx_kernels(c)->train,
                        .rows = rows,
                        .pieces = rows < PIECES ? rows : PIECES,
                        .count = (size_t)(a->kh * a->kw) * oc,
                        .times = oc / (size_t)a->c,
                        .grad = grad };

    vbg_scope_open(c);
    if (j.times > 1) {
        vbg_tensor *x = vbg_wrap(c, a->x, a->xt, a->n, a->h, a->w_in, a->c);
        x->ld = a->ldx;
        j.x = x;
        j.wide = vbg_new_typed(c, a->xt, a->n, a->h, a->w_in, a->oc);
        if (!vbg_planning(c))
            vbg_parallel_rows(c, vbg_rows(x), oc, repeat_rows, &j);
        all.x = j.wide->data;
        all.ldx = oc;
        all.c = a->oc;
    }
    j.args = (vbg_depthwise_grad_args){ .a = &all,
                                        .dy = dy->data,
                                        .lddy = dy->ld,
                                        .sum = room(c, VBG_F32, j.pieces * j.count) };
    if (!vbg_planning(c)) {
        vbg_parallel(c, j.pieces, depthwise_piece, &j);
        add_pieces(&j);
    }
    vbg_scope_close(c, NULL);
}
