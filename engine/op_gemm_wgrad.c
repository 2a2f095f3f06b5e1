/* Weight gradients of linear layers and convolutions: products over the positions of a
 * grid (op_gemm_grid.h).
 *
 * Where the sums are small, a task turns and multiplies whole chunks in L2, and up to
 * PARTS sums of consecutive chunks are added up at the end.  Where they are large, all
 * threads turn the chunks of a round; then a task makes a rectangle of the sums, which
 * stays in L2 over the chunks of the round, and adds it to the gradient.  All cuts depend
 * on shapes only or do not change any element, so results do not depend on the number of
 * threads.  The gradient of the bias is the sum of the rows of dy^T.
 *
 * An upsampled k x k layer is the strided convolution with (k+1) x (k+1) sums of taps
 * that its input gradient is: the sums here are those of that one, with dy and x in each
 * other's place, and each of the k x k taps is the sum of four of them. */
#include "engine/op_gemm_grid.h"

#include <string.h>

#include "engine/op_util.h"

enum {
    BLOCK = VBG_GRID_BLOCK,
    TURNS = 8, /* blocks of 32 positions of a task */
    PARTS = 8,
    ROUND_BYTES = 16 << 20, /* operands of a round */
    O_STEP = 8, /* blocks of sums of a task: 128 rows x 32 columns of each tap, */
    C_STEP = 2,
    ONE_STEP = 16,   /* 256 x 256 of a single one, whose operands count for more */
    ONE_DIRECT = 512 /* positions after which sums of one tap leave L2 for the gradient */
};

/* What is done with the sums of a grid. */
typedef struct wgrad {
    vbg_grid g;
    const vbg_kernels *k;
    float *grad;
    double *bias; /* [parts][oc] or NULL */
    int folded;   /* the side of an upsampled layer's kernel, 0: not upsampled */
    bool direct;  /* sums lie in the gradient itself */
    size_t parts; /* sums; shared: 1 */
    float *sums;  /* parts of them; direct: the gradient; shared: NULL, in the scratch */
    size_t ld_sum, tap_sum;
    char *work;   /* shared: operands of a round */
    size_t round; /* chunks of it */
} wgrad;

static size_t operand_bytes(const vbg_grid *g)
{
    return g->dy_bytes + g->x_bytes;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- from sums to the gradient ---- */

/* A rectangle of sums: rows from output channel o0 on, columns from c0 on. */
typedef struct sums {
    float *at;
    size_t ld, tap; /* values from row to row, from tap to tap */
    size_t o0, rows, c0, cols;
} sums;

/* to += from, both of count values. */
static void add_values(const wgrad *w, float *to, const float *from, size_t count)
{
    vbg_row_io io = {
        .y = to, .x = to, .rows = 1, .cols = count, .yt = VBG_F32, .xt = VBG_F32
    };

    w->k->pointwise.add(&io, from, 0, VBG_ACT_NONE);
}

/* Adds s to the gradient; tap: where each tap's sums lie. */
static void add_plain(const wgrad *w, const sums *s, const size_t *tap)
{
    const size_t taps = w->g.taps, run = (size_t)w->g.a->c * taps;

    w->k->train.add_taps(&(vbg_add_args){ .grad = w->grad + s->o0 * run + s->c0 * taps,
                                          .run = run,
                                          .sum = s->at,
                                          .tap = tap,
                                          .row = s->ld,
                                          .col = 1,
                                          .rows = s->rows,
                                          .cols = s->cols,
                                          .taps = taps });
}

/* The same for an upsampled layer of kernels k x k.  Its tap (ky,kx) is the sum of the
 * four around (d,e) = (k-1-ky, k-1-kx); that sum replaces tap (d,e), which no later one
 * needs.  Rows are input, columns output channels of the layer. */
static void add_folded(const wgrad *w, const sums *s, const size_t *tap)
{
    const size_t k = (size_t)w->folded, wide = k + 1, run = (size_t)w->g.a->oc * k * k;
    size_t at[VBG_GRID_TAPS];

    for (size_t d = 0; d < k; d++)
        for (size_t e = 0; e < k; e++) {
            const size_t *corner = tap + d * wide + e;
            float *to = s->at + corner[0];
            add_values(w, to, s->at + corner[1], s->rows * s->ld);
            add_values(w, to, s->at + corner[wide], s->rows * s->ld);
            add_values(w, to, s->at + corner[wide + 1], s->rows * s->ld);
            at[(k - 1 - d) * k + k - 1 - e] = corner[0];
        }
    w->k->train.add_taps(&(vbg_add_args){ .grad = w->grad + s->c0 * run + s->o0 * k * k,
                                          .run = run,
                                          .sum = s->at,
                                          .tap = at,
                                          .row = 1,
                                          .col = s->ld,
                                          .rows = s->cols,
                                          .cols = s->rows,
                                          .taps = k * k });
}

static void add_sums(const wgrad *w, const sums *s)
{
    size_t tap[VBG_GRID_TAPS];

    for (size_t i = 0; i < w->g.taps; i++)
        tap[i] = i * s->tap;
    if (w->folded)
        add_folded(w, s, tap);
    else
        add_plain(w, s, tap);
}

/* Adds the rows of dy^T at work to the bias sums of a part. */
static void add_bias_sums(const wgrad *w, const char *work, size_t part)
{
    const vbg_grid *g = &w->g;
    const size_t oc = (size_t)g->a->oc;

    if (w->bias)
        g->k->row_sums(w->bias + part * oc, work, g->dy_block, oc, g->m, g->a->xt);
}

static void add_bias(const wgrad *w, float *grad)
{
    const size_t oc = (size_t)w->g.a->oc;

    for (size_t i = 0; i < oc; i++) {
        double sum = 0;
        for (size_t p = 0; p < w->parts; p++)
            sum += w->bias[p * oc + i];
        grad[i] += (float)sum;
    }
}

/* ---- small sums: each thread its own chunks ---- */

static void part_task(void *arg, size_t part, int thread)
{
    const wgrad *w = arg;
    const vbg_grid *g = &w->g;
    const size_t c0 = part * g->chunks / w->parts, c1 = (part + 1) * g->chunks / w->parts;
    char *work = vbg_scratch(g->c, thread);
    vbg_grid_operands o;

    vbg_grid_operands_at(g, &o, work);
    o.a.sum = w->sums + part * g->taps * w->tap_sum;
    o.a.ld_sum = w->ld_sum;
    o.a.tap_sum = w->tap_sum;
    for (size_t chunk = c0; chunk < c1; chunk++) {
        vbg_grid_turn_dy(g, chunk, work, 0, g->m / VBG_TURN);
        add_bias_sums(w, work, part);
        for (size_t i = 0; i < g->phases; i++)
            vbg_grid_turn_x(g, chunk, i, work, 0, g->len / VBG_TURN);
        o.a.first = chunk == c0 && !w->direct;
        g->k->taps(&o.a, 0, g->oc_blocks, 0, g->c_blocks);
    }
}

/* The parts' sums of rows, added to the first part's in order, and those to the gradient.
 */
static void add_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const wgrad *w = arg;
    const size_t taps = w->g.taps;

    (void)thread;
    for (size_t p = 1; p < w->parts; p++)
        for (size_t k = 0; k < taps; k++) {
            float *to = w->sums + k * w->tap_sum + r0 * w->ld_sum;
            add_values(w, to, to + p * taps * w->tap_sum, (r1 - r0) * w->ld_sum);
        }
    add_sums(w, &(sums){ .at = w->sums + r0 * w->ld_sum,
                         .ld = w->ld_sum,
                         .tap = w->tap_sum,
                         .o0 = r0,
                         .rows = r1 - r0,
                         .cols = (size_t)w->g.a->c });
}

static void run_parts(wgrad *w)
{
    const vbg_grid *g = &w->g;

    vbg_parallel(g->c, w->parts, part_task, w);
    if (!w->direct)
        vbg_parallel_rows(g->c, (size_t)g->a->oc, (size_t)g->a->c * g->taps * w->parts,
                          add_rows, w);
}

/* ---- large sums: all threads share chunks ---- */

typedef struct round_job {
    const wgrad *w;
    size_t first, count;   /* chunks of the round */
    size_t o_step, c_step; /* blocks of sums of a task */
} round_job;

static size_t turns_of_dy(const vbg_grid *g)
{
    return vbg_divide_up(g->m / VBG_TURN, TURNS);
}

static size_t turns_of_x(const vbg_grid *g)
{
    return vbg_divide_up(g->len / VBG_TURN, TURNS);
}

static void turn_task(void *arg, size_t index, int thread)
{
    const round_job *j = arg;
    const vbg_grid *g = &j->w->g;
    const size_t dy_tasks = turns_of_dy(g), x_tasks = turns_of_x(g);
    const size_t chunk = index % j->count;
    char *work = j->w->work + chunk * operand_bytes(g);

    (void)thread;
    index /= j->count;
    if (index < dy_tasks) {
        const size_t t = index * TURNS;
        vbg_grid_turn_dy(g, j->first + chunk, work, t, least(t + TURNS, g->m / VBG_TURN));
        return;
    }
    index -= dy_tasks;
    const size_t t = index % x_tasks * TURNS;
    vbg_grid_turn_x(g, j->first + chunk, index / x_tasks, work, t,
                    least(t + TURNS, g->len / VBG_TURN));
}

/* Sums of blocks [o0, o1) x [b0, b1) over the round: into the gradient. */
static void rectangle(const round_job *j, size_t o0, size_t o1, size_t b0, size_t b1,
                      float *room)
{
    const wgrad *w = j->w;
    const vbg_grid *g = &w->g;
    const size_t ld = w->direct ? w->ld_sum : (b1 - b0) * BLOCK;
    const size_t tap = w->direct ? w->tap_sum : (o1 - o0) * BLOCK * ld;
    const sums s = { .at = w->direct ? w->sums + o0 * BLOCK * ld + b0 * BLOCK : room,
                     .ld = ld,
                     .tap = tap,
                     .o0 = o0 * BLOCK,
                     .rows = least((o1 - o0) * BLOCK, (size_t)g->a->oc - o0 * BLOCK),
                     .c0 = b0 * BLOCK,
                     .cols = least((b1 - b0) * BLOCK, (size_t)g->a->c - b0 * BLOCK) };
    vbg_grid_operands o;

    for (size_t i = 0; i < j->count; i++) {
        vbg_grid_operands_at(g, &o, w->work + i * operand_bytes(g));
        o.a.dy = (const char *)o.a.dy + o0 * g->dy_block * g->size;
        for (size_t k = 0; k < g->taps; k++)
            o.x[k] = (const char *)o.x[k] + b0 * o.a.block * g->size;
        o.a.sum = s.at;
        o.a.ld_sum = ld;
        o.a.tap_sum = tap;
        o.a.oc = s.rows;
        o.a.c = s.cols;
        o.a.first = i == 0 && !w->direct;
        g->k->taps(&o.a, 0, o1 - o0, 0, b1 - b0);
    }
    if (!w->direct)
        add_sums(w, &s);
}

/* Index 0: the bias. */
static void product_task(void *arg, size_t index, int thread)
{
    const round_job *j = arg;
    const vbg_grid *g = &j->w->g;

    if (index == 0) {
        for (size_t i = 0; i < j->count; i++)
            add_bias_sums(j->w, j->w->work + i * operand_bytes(g), 0);
        return;
    }
    index--;
    const size_t o_tasks = vbg_divide_up(g->oc_blocks, j->o_step);
    const size_t o0 = index % o_tasks * j->o_step, b0 = index / o_tasks * j->c_step;
    rectangle(j, o0, least(o0 + j->o_step, g->oc_blocks), b0,
              least(b0 + j->c_step, g->c_blocks), vbg_scratch(g->c, thread));
}

static void run_rounds(const wgrad *w)
{
    const vbg_grid *g = &w->g;
    const size_t turns = turns_of_dy(g) + g->phases * turns_of_x(g);
    const bool one = g->taps == 1;
    round_job j = { .w = w,
                    .o_step = one ? ONE_STEP : O_STEP,
                    .c_step = one ? ONE_STEP : C_STEP };
    const size_t columns = vbg_divide_up(g->c_blocks, j.c_step);

    while (j.o_step > 2 && columns * vbg_divide_up(g->oc_blocks, j.o_step) <
                               4 * (size_t)vbg_ctx_threads(g->c))
        j.o_step /= 2;
    for (; j.first < g->chunks; j.first += j.count) {
        j.count = least(w->round, g->chunks - j.first);
        vbg_parallel(g->c, j.count * turns, turn_task, &j);
        vbg_parallel(g->c, 1 + columns * vbg_divide_up(g->oc_blocks, j.o_step),
                     product_task, &j);
    }
}

/* ---- both ---- */

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

/* Memory of the sums and operands. */
static void reserve(wgrad *w)
{
    vbg_grid *g = &w->g;
    const size_t operands = operand_bytes(g);

    w->ld_sum = g->c_blocks * BLOCK;
    w->tap_sum = g->oc_blocks * BLOCK * w->ld_sum;
    w->sums = w->direct ? w->grad : NULL;
    if (g->shared) {
        w->round = ROUND_BYTES / operands;
        w->round = w->round < 1 ? 1 : least(w->round, g->chunks);
        w->work = vbg_room(g->c, VBG_U8, w->round * operands);
        const size_t blocks = g->taps == 1 ? ONE_STEP * ONE_STEP : O_STEP * C_STEP;
        vbg_scratch_reserve(g->c, g->taps * blocks * BLOCK * BLOCK * sizeof(float));
        return;
    }
    if (!w->direct)
        w->sums = vbg_room(g->c, VBG_F32, w->parts * g->taps * w->tap_sum);
    vbg_scratch_reserve(g->c, operands);
}

/* One group. */
static void run(wgrad *w, float *bias)
{
    vbg_grid *g = &w->g;
    const size_t c = (size_t)g->a->c, oc = (size_t)g->a->oc;

    vbg_grid_shape(g);
    w->k = vbg_ctx_kernels(g->c);
    w->parts = g->shared ? 1 : least(g->chunks, PARTS);
    w->direct = g->taps == 1 && w->parts == 1 && c % BLOCK == 0 && oc % BLOCK == 0 &&
                g->m * g->chunks <= ONE_DIRECT;
    g->zeros = zeros(g->c, VBG_U8, (c > oc ? c : oc) * g->size);
    w->bias = bias ? zeros(g->c, VBG_F64, w->parts * oc) : NULL;
    reserve(w);
    if (vbg_planning(g->c))
        return;
    if (g->shared)
        run_rounds(w);
    else
        run_parts(w);
    if (bias)
        add_bias(w, bias);
}

void vbg_conv_weight_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                          const vbg_wgrad_out *out)
{
    const int groups = a->groups;
    const size_t taps = (size_t)(a->kh * a->kw);
    const size_t kept = out->folded ? (size_t)(out->folded * out->folded) : taps;
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
        wgrad w = { .g = { .c = c,
                           .k = &vbg_ctx_kernels(c)->train,
                           .a = &one,
                           .dy = dy,
                           .first_c = n * ic,
                           .first_oc = n * oc,
                           .flat = taps == 1 && groups == 1 && a->oh == a->h &&
                                   a->ow == a->w_in && a->pad_top == 0 &&
                                   a->pad_left == 0 },
                    .grad = out->grad + n * oc * ic * kept,
                    .folded = out->folded };
        vbg_scope_open(c);
        run(&w, out->bias ? out->bias + n * oc : NULL);
        vbg_scope_close(c, NULL);
    }
}
