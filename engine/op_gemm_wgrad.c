/* Weight gradients of linear layers and convolutions: products over pixels.
 *
 * The output pixels, and the input pixels of each phase of the stride, are laid out on
 * one grid with shared borders, image after image in one row of m positions:
 *
 *     dy   v v v v v . .        v: a pixel, .: zero; width: input row + borders
 *     x    . a b c d e .        tap (ky,kx) reads x at position + ky*width + kx
 *
 * dy is packed as weights are, k = position (kernels/train.h, interleave), x turned on
 * its side (transpose) to rows of positions.  Then each tap is one long product,
 *
 *     sum[tap][c][oc] = sum over positions of x^T[c][position + offset] *
 * dy[position][oc]
 *
 * where zeros of dy cancel whatever x holds there.  A tap is a shift of x alone.  One tap
 * without stride or borders needs no grid, and with the roles exchanged (dy on its side,
 * x packed) it goes straight into the gradient.
 *
 * Large batches are done in chunks of about CHUNK positions, added up in order.  Cuts
 * depend on shapes only, so results do not depend on the number of threads. */
#include "engine/op_gemm.h"

#include <string.h>

#include "engine/op_util.h"

enum { BLOCK = 16, CHUNK = 4096, TASK_TURNS = 8 };

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
    const vbg_conv_args *a; /* one group */
    const vbg_tensor *dy;
    const vbg_train_kernels *train;
    const vbg_gemm_kernels *gemm;
    vbg_ctx *c;
    reach v, h;
    int rows, width;   /* of an image on the grid */
    int images, band;  /* of a chunk: images, and output rows of each */
    size_t m, ld;      /* positions of a chunk; of a row of x^T */
    int image, row;    /* first of the current chunk */
    const char *zeros; /* a pixel of zeros */
    size_t first_c, first_oc;
    void *xt, *dyp;
    float *sum;
    bool more; /* adds to sum */
} grid;

static void grid_shape(grid *g)
{
    const vbg_conv_args *a = g->a;
    const int up = a->upsample2 ? 2 : 1, h = a->h * up, w = a->w_in * up;
    const int ph = (h + a->stride_y - 1) / a->stride_y;
    const int pw = (w + a->stride_x - 1) / a->stride_x;

    g->v = reach_of(a->kh, a->stride_y, a->dil_y, a->pad_top);
    g->h = reach_of(a->kw, a->stride_x, a->dil_x, a->pad_left);
    g->width = vbg_max_int(g->h.lead + pw, a->ow + g->h.last);
    g->rows = vbg_max_int(g->v.lead + ph, a->oh + g->v.last);
    g->images = vbg_max_int(1, CHUNK / (g->rows * g->width));
    g->images = vbg_min_int(g->images, a->n);
    g->band = a->oh;
    if (g->rows * g->width > 2 * CHUNK) {
        g->band = vbg_min_int(a->oh, vbg_max_int(1, CHUNK / g->width));
        g->rows = g->v.lead + g->band + g->v.last;
    }
    g->m = vbg_round_up((size_t)(g->images * g->rows) * (size_t)g->width, VBG_TURN);
    size_t beyond = (size_t)((g->v.lead + g->v.last) * g->width + g->h.lead + g->h.last);
    g->ld = vbg_round_up(g->m + beyond, VBG_TURN);
    if (g->ld / VBG_TURN % 2 == 0) /* rows of x^T in different sets of the cache */
        g->ld += VBG_TURN;
}

/* A position of the grid: image of the chunk, row and column. */
typedef struct place {
    int image, row, col;
} place;

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

static const void *dy_at(const grid *g, const place *p)
{
    const vbg_tensor *dy = g->dy;
    const int image = g->image + p->image, row = g->row + p->row;

    if (p->image >= g->images || image >= dy->n || p->row >= g->band || row >= dy->h ||
        p->col >= dy->w)
        return g->zeros;
    size_t at =
        ((size_t)image * (size_t)dy->h + (size_t)row) * (size_t)dy->w + (size_t)p->col;
    return (const char *)dy->data +
           (at * dy->ld + g->first_oc) * vbg_dtype_size(dy->dtype);
}

static const void *x_at(const grid *g, const place *p, int phase)
{
    const vbg_conv_args *a = g->a;
    const int up = a->upsample2 ? 1 : 0, image = g->image + p->image;
    const int j = g->row + p->row - g->v.lead, i = p->col - g->h.lead;
    const int y = (j * a->stride_y + phase / a->stride_x) >> up;
    const int x = (i * a->stride_x + phase % a->stride_x) >> up;

    if (p->image >= g->images || image >= a->n || j < 0 || i < 0 || y >= a->h ||
        x >= a->w_in)
        return g->zeros;
    size_t at = ((size_t)image * (size_t)a->h + (size_t)y) * (size_t)a->w_in + (size_t)x;
    return (const char *)a->x + (at * a->ldx + g->first_c) * vbg_dtype_size(a->xt);
}

/* x^T of a phase: TASK_TURNS blocks of 32 positions. */
static void turn_x(void *arg, size_t index, int thread)
{
    const grid *g = arg;
    const vbg_conv_args *a = g->a;
    const size_t size = vbg_dtype_size(a->xt), turns = g->ld / VBG_TURN;
    const size_t tasks = vbg_divide_up(turns, TASK_TURNS);
    const size_t phase = index / tasks, t0 = index % tasks * TASK_TURNS;
    char *dst = (char *)g->xt + phase * (size_t)a->c * g->ld * size;
    place p = place_at(g, t0 * VBG_TURN);

    (void)thread;
    for (size_t t = t0; t < t0 + TASK_TURNS && t < turns; t++) {
        const void *px[VBG_TURN];
        for (int i = 0; i < VBG_TURN; i++, place_next(g, &p))
            px[i] = x_at(g, &p, (int)phase);
        g->train->transpose(dst + t * VBG_TURN * size, g->ld, px, (size_t)a->c, a->xt);
    }
}

static void turn_dy(void *arg, size_t index, int thread)
{
    const grid *g = arg;
    const size_t size = vbg_dtype_size(g->a->xt), t0 = index * TASK_TURNS;
    place p = place_at(g, t0 * VBG_TURN);

    (void)thread;
    for (size_t t = t0; t < t0 + TASK_TURNS && t * VBG_TURN < g->m; t++) {
        const void *px[VBG_TURN];
        for (int i = 0; i < VBG_TURN; i++, place_next(g, &p))
            px[i] = dy_at(g, &p);
        g->train->interleave((char *)g->dyp + t * VBG_TURN * BLOCK * size, g->m * BLOCK,
                             px, (size_t)g->a->oc, g->a->xt);
    }
}

/* ---- products ---- */

/* Many products of one size, cut alike. */
typedef struct product_job {
    vbg_ctx *c;
    const vbg_gemm_kernels *k;
    const grid *g; /* taps, or NULL: the one product of gemm */
    vbg_gemm_args gemm;
    size_t rows, blocks, row_step, block_step;
} product_job;

static void product_task(void *arg, size_t index, int thread)
{
    const product_job *j = arg;
    const size_t row_tasks = vbg_divide_up(j->rows, j->row_step);
    const size_t block_tasks = vbg_divide_up(j->blocks, j->block_step);
    const size_t r0 = index % row_tasks * j->row_step;
    const size_t b0 = index / row_tasks % block_tasks * j->block_step;
    const size_t r1 = r0 + j->row_step, b1 = b0 + j->block_step;
    vbg_gemm_args a = j->gemm;

    if (j->g) {
        const vbg_conv_args *v = j->g->a;
        const int tap = (int)(index / row_tasks / block_tasks);
        const int ty = tap / v->kw * v->dil_y - v->pad_top;
        const int tx = tap % v->kw * v->dil_x - v->pad_left;
        const int sy = floor_div(ty, v->stride_y), sx = floor_div(tx, v->stride_x);
        const int phase = (ty - sy * v->stride_y) * v->stride_x + tx - sx * v->stride_x;
        size_t at = (size_t)((j->g->v.lead + sy) * j->g->width + j->g->h.lead + sx);
        at += (size_t)phase * j->rows * j->g->ld;
        a.x = (const char *)a.x + at * vbg_dtype_size(a.xt);
        a.y = (float *)a.y + (size_t)tap * j->rows * a.oc;
        a.ep.residual = a.ep.residual ? a.y : NULL;
    }
    j->k->gemm(&a, r0, r1 < j->rows ? r1 : j->rows, b0, b1 < j->blocks ? b1 : j->blocks,
               vbg_scratch(j->c, thread));
}

/* Rectangles of at most 128 rows x 8 blocks, smaller when threads would wait. */
static void products_run(product_job *j, size_t count)
{
    const size_t want = 4 * (size_t)vbg_ctx_threads(j->c);

    j->row_step = 128;
    j->block_step = 8;
    while (count * vbg_divide_up(j->rows, j->row_step) *
               vbg_divide_up(j->blocks, j->block_step) <
           want) {
        if (j->row_step > 32)
            j->row_step /= 2;
        else if (j->block_step > 2)
            j->block_step /= 2;
        else
            break;
    }
    vbg_parallel(j->c,
                 count * vbg_divide_up(j->rows, j->row_step) *
                     vbg_divide_up(j->blocks, j->block_step),
                 product_task, j);
}

static void chunk_run(grid *g)
{
    const vbg_conv_args *a = g->a;
    const size_t phases = (size_t)(a->stride_y * a->stride_x);
    const size_t turns = g->ld / VBG_TURN, taps = (size_t)(a->kh * a->kw);
    product_job j = { .c = g->c,
                      .k = g->gemm,
                      .g = g,
                      .gemm = { .x = g->xt,
                                .ldx = g->ld,
                                .w = g->dyp,
                                .y = g->sum,
                                .ldy = (size_t)a->oc,
                                .k = g->m,
                                .oc = (size_t)a->oc,
                                .xt = a->xt,
                                .wt = a->xt,
                                .yt = VBG_F32,
                                .ep = { .residual = g->more ? g->sum : NULL,
                                        .ldr = (size_t)a->oc } },
                      .rows = (size_t)a->c,
                      .blocks = vbg_divide_up((size_t)a->oc, BLOCK) };

    vbg_scratch_reserve(g->c, g->gemm->gemm_scratch(&j.gemm));
    if (vbg_planning(g->c))
        return;
    vbg_parallel(g->c, phases * vbg_divide_up(turns, TASK_TURNS), turn_x, g);
    vbg_parallel(g->c, vbg_divide_up(g->m / VBG_TURN, TASK_TURNS), turn_dy, g);
    products_run(&j, taps);
    g->more = true;
}

typedef struct add_job {
    const grid *g;
    float *grad;
} add_job;

static void add_block(void *arg, size_t index, int thread)
{
    const add_job *j = arg;
    const vbg_conv_args *a = j->g->a;
    const size_t oc = (size_t)a->oc, o0 = index * BLOCK;

    (void)thread;
    j->g->train->add_taps(j->grad, j->g->sum, oc, (size_t)a->c, (size_t)(a->kh * a->kw),
                          o0, o0 + BLOCK < oc ? o0 + BLOCK : oc);
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

/* One group: its channels of x and dy. */
static void group_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                       size_t first_c, size_t first_oc, float *grad)
{
    const size_t size = vbg_dtype_size(a->xt), channels = (size_t)a->c,
                 oc = (size_t)a->oc, phases = (size_t)(a->stride_y * a->stride_x);
    grid g = { .a = a,
               .dy = dy,
               .train = &vbg_ctx_kernels(c)->train,
               .gemm = &vbg_ctx_kernels(c)->gemm,
               .c = c,
               .first_c = first_c,
               .first_oc = first_oc };
    add_job add = { &g, grad };

    vbg_scope_open(c);
    grid_shape(&g);
    g.zeros = zero_pixel(c, (channels > oc ? channels : oc) * size);
    g.xt = room(c, a->xt, phases * channels * g.ld);
    g.dyp = room(c, a->xt, vbg_round_up(oc, BLOCK) * g.m);
    g.sum = room(c, VBG_F32, (size_t)(a->kh * a->kw) * channels * oc);
    for (g.image = 0; g.image < a->n; g.image += g.images)
        for (g.row = 0; g.row < a->oh; g.row += g.band)
            chunk_run(&g);
    if (!vbg_planning(c))
        vbg_parallel(c, vbg_divide_up(oc, BLOCK), add_block, &add);
    vbg_scope_close(c, NULL);
}

/* ---- one tap ---- */

/* dy^T and packed x of a run of pixels. */
typedef struct flat {
    vbg_ctx *c;
    const vbg_train_kernels *train;
    const vbg_conv_args *a;
    const vbg_tensor *dy;
    size_t pixels, first, m, ld; /* all; of the chunk; positions; of a row of dy^T */
    const char *zeros;
    char *dyt, *xp;
} flat;

static void turn_flat(void *arg, size_t index, int thread)
{
    const flat *f = arg;
    const vbg_conv_args *a = f->a;
    const size_t size = vbg_dtype_size(a->xt);

    (void)thread;
    for (size_t t = index * TASK_TURNS; t < (index + 1) * TASK_TURNS; t++) {
        const void *px[2][VBG_TURN];
        if (t * VBG_TURN >= f->m)
            return;
        for (size_t i = 0; i < VBG_TURN; i++) {
            size_t p = f->first + t * VBG_TURN + i;
            bool in = p < f->pixels;
            px[0][i] = in ? (const char *)f->dy->data + p * f->dy->ld * size : f->zeros;
            px[1][i] = in ? (const char *)a->x + p * a->ldx * size : f->zeros;
        }
        f->train->transpose(f->dyt + t * VBG_TURN * size, f->ld, px[0], (size_t)a->oc,
                            a->xt);
        f->train->interleave(f->xp + t * VBG_TURN * BLOCK * size, f->m * BLOCK, px[1],
                             (size_t)a->c, a->xt);
    }
}

static void flat_chunk(flat *f, float *grad)
{
    const vbg_conv_args *a = f->a;
    product_job j = { .c = f->c,
                      .k = &vbg_ctx_kernels(f->c)->gemm,
                      .gemm = { .x = f->dyt,
                                .ldx = f->ld,
                                .w = f->xp,
                                .y = grad,
                                .ldy = (size_t)a->c,
                                .k = f->m,
                                .oc = (size_t)a->c,
                                .xt = a->xt,
                                .wt = a->xt,
                                .yt = VBG_F32,
                                .ep = { .residual = grad, .ldr = (size_t)a->c } },
                      .rows = (size_t)a->oc,
                      .blocks = vbg_divide_up((size_t)a->c, BLOCK) };

    vbg_scratch_reserve(f->c, j.k->gemm_scratch(&j.gemm));
    if (vbg_planning(f->c))
        return;
    vbg_parallel(f->c, vbg_divide_up(f->m / VBG_TURN, TASK_TURNS), turn_flat, f);
    products_run(&j, 1);
}

static void flat_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                      float *grad)
{
    const size_t size = vbg_dtype_size(a->xt), oc = (size_t)a->oc, ic = (size_t)a->c;
    flat f = { .c = c,
               .train = &vbg_ctx_kernels(c)->train,
               .a = a,
               .dy = dy,
               .pixels = vbg_rows(dy) };

    f.m = vbg_round_up(f.pixels < CHUNK ? f.pixels : CHUNK, VBG_TURN);
    f.ld = f.m / VBG_TURN % 2 ? f.m : f.m + VBG_TURN;
    vbg_scope_open(c);
    f.zeros = zero_pixel(c, (ic > oc ? ic : oc) * size);
    f.dyt = room(c, a->xt, oc * f.ld);
    f.xp = room(c, a->xt, vbg_round_up(ic, BLOCK) * f.m);
    for (f.first = 0; f.first < f.pixels; f.first += f.m)
        flat_chunk(&f, grad);
    vbg_scope_close(c, NULL);
}

void vbg_conv_weight_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                          float *grad)
{
    const int groups = a->groups;
    const size_t taps = (size_t)(a->kh * a->kw);
    vbg_conv_args one = *a;

    VBG_CHECK(a->xt == dy->dtype, "weight gradient of %s and %s", vbg_dtype_name(a->xt),
              vbg_dtype_name(dy->dtype));
    if (taps == 1 && groups == 1 && a->oh == a->h && a->ow == a->w_in && !a->upsample2 &&
        a->pad_top == 0 && a->pad_left == 0) {
        flat_grad(c, a, dy, grad);
        return;
    }
    one.c /= groups;
    one.oc /= groups;
    one.groups = 1;
    for (int i = 0; i < groups; i++) {
        size_t ic = (size_t)one.c, oc = (size_t)one.oc, g = (size_t)i;
        group_grad(c, &one, dy, g * ic, g * oc, grad + g * oc * ic * taps);
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
