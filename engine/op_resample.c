/* Gathering by tables, padding, sampling on a grid, embedding, pixel shuffle. */
#include "engine/op_util.h"
#include "engine/ops.h"
#include "engine/tape.h"

#include <math.h>

#include <string.h>

typedef struct gather_job {
    const vbg_kernels *k;
    const vbg_tensor *x;
    vbg_tensor *y;
    const int *index;
    const float *weight;
    int taps;
} gather_job;

static void gather_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const gather_job *j = arg;
    size_t out = (size_t)j->y->h * (size_t)j->y->w;
    size_t in = (size_t)j->x->h * (size_t)j->x->w;

    (void)thread;
    while (r0 < r1) {
        size_t n = r0 / out, i = r0 % out, end = (n + 1) * out;
        if (end > r1)
            end = r1;
        vbg_gather_args a = { .y = vbg_row_at(j->y, r0),
                              .x = vbg_row_at(j->x, n * in),
                              .ldy = j->y->ld,
                              .ldx = j->x->ld,
                              .count = end - r0,
                              .c = (size_t)j->x->c,
                              .index = j->index + i * (size_t)j->taps,
                              .weight = j->weight + i * (size_t)j->taps,
                              .taps = j->taps,
                              .t = j->x->dtype };
        j->k->resample.gather(&a);
        r0 = end;
    }
}

static vbg_tensor *gather(vbg_ctx *c, const vbg_tensor *x, const int *index,
                          const float *weight, int taps, int oh, int ow)
{
    gather_job j = { .k = vbg_ctx_kernels(c),
                     .x = x,
                     .y = vbg_new_typed(c, x->dtype, x->n, oh, ow, x->c),
                     .index = index,
                     .weight = weight,
                     .taps = taps };

    VBG_CHECK(vbg_is_float_act(x) && taps > 0, "gather of %s, %d taps",
              vbg_dtype_name(x->dtype), taps);
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(j.y), (size_t)x->c * (size_t)taps, gather_rows, &j);
    return j.y;
}

/* ---- scattering back ---- */

enum { SCATTER_CHANNELS = 64 }; /* one task's: it alone adds to them, in fixed order */

typedef struct scatter_job {
    const vbg_kernels *k;
    vbg_tensor *dx; /* f32, zero at first */
    const vbg_tensor *dy;
    const int *index; /* of image 0; image_step further for each next one */
    const float *weight;
    size_t image_step;
    int taps;
} scatter_job;

static void scatter_task(void *arg, size_t task, int thread)
{
    const scatter_job *j = arg;
    const vbg_tensor *dx = j->dx, *dy = j->dy;
    size_t c = (size_t)dx->c, blocks = (c + SCATTER_CHANNELS - 1) / SCATTER_CHANNELS;
    size_t n = task / blocks, first = task % blocks * SCATTER_CHANNELS;
    size_t out = (size_t)dy->h * (size_t)dy->w, in = (size_t)dx->h * (size_t)dx->w;
    const char *from = vbg_row_at(dy, n * out);
    vbg_gather_back_args a = { .dx = (float *)vbg_row_at(dx, n * in) + first,
                               .dy = from + first * vbg_dtype_size(dy->dtype),
                               .lddx = dx->ld,
                               .lddy = dy->ld,
                               .count = out,
                               .c = c - first < SCATTER_CHANNELS ? c - first
                                                                 : SCATTER_CHANNELS,
                               .index = j->index + n * j->image_step,
                               .weight = j->weight + n * j->image_step,
                               .taps = j->taps,
                               .t = dy->dtype };

    (void)thread;
    for (size_t i = 0; i < in; i++)
        memset(a.dx + i * dx->ld, 0, a.c * sizeof *a.dx);
    j->k->resample.gather_back(&a);
}

/* The gradient of x [n,h,w,c] out of dy by a gather's tables. */
static vbg_tensor *scatter(vbg_ctx *c, const vbg_tensor *x, scatter_job j)
{
    size_t blocks = ((size_t)x->c + SCATTER_CHANNELS - 1) / SCATTER_CHANNELS;

    j.k = vbg_ctx_kernels(c);
    j.dx = vbg_new_typed(c, VBG_F32, x->n, x->h, x->w, x->c);
    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)x->n * blocks, scatter_task, &j);
    return j.dx;
}

typedef struct gather_saved {
    vbg_tensor x;
    const int *index;
    const float *weight;
    int taps;
} gather_saved;

static void gather_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const gather_saved *s = arg;
    scatter_job j = { .dy = dy, .index = s->index, .weight = s->weight, .taps = s->taps };

    vbg_grad_add(c, &s->x, scatter(c, &s->x, j));
}

vbg_tensor *vbg_gather(vbg_ctx *c, const vbg_tensor *x, const int *index,
                       const float *weight, int taps, int oh, int ow)
{
    vbg_tensor *y = gather(c, x, index, weight, taps, oh, ow);

    if (vbg_needs_grad(c, x)) {
        gather_saved *s = vbg_record(c, y, gather_back, sizeof *s);
        if (s)
            *s = (gather_saved){ vbg_outline(x), index, weight, taps };
    }
    return y;
}

vbg_tensor *vbg_gather_table(vbg_ctx *c, const vbg_tensor *x, vbg_tensor *index,
                             vbg_tensor *weight)
{
    int h = index->h, w = index->w, taps = index->c;
    vbg_tensor *y = gather(c, x, index->data, weight->data, taps, h, w);

    if (vbg_needs_grad(c, x)) {
        gather_saved *s = vbg_record(c, y, gather_back, sizeof *s);
        if (s) {
            *s = (gather_saved){ vbg_outline(x), index->data, weight->data, taps };
            vbg_save(c, index);
            vbg_save(c, weight);
        }
    }
    return y;
}

/* ---- frames ---- */

/* Source of place i of one axis, -1: none. */
static int padded_source(int i, int size, vbg_pad_mode mode)
{
    if (i >= 0 && i < size)
        return i;
    if (mode == VBG_PAD_ZERO)
        return -1;
    if (mode == VBG_PAD_REPLICATE)
        return i < 0 ? 0 : size - 1;
    return i < 0 ? -i : 2 * (size - 1) - i;
}

vbg_tensor *vbg_pad(vbg_ctx *c, const vbg_tensor *x, vbg_pad_opt o)
{
    int h = x->h + o.top + o.bottom, w = x->w + o.left + o.right;

    VBG_CHECK(o.mode != VBG_PAD_REFLECT || (vbg_max_int(o.top, o.bottom) < x->h &&
                                            vbg_max_int(o.left, o.right) < x->w),
              "mirrored frame wider than the picture %d x %d", x->w, x->h);
    vbg_scope_open(c);
    vbg_tensor *index = vbg_new_typed(c, VBG_I32, 1, h, w, 1);
    vbg_tensor *weight = vbg_new_typed(c, VBG_F32, 1, h, w, 1);
    int *at = index->data;
    float *one = weight->data;
    for (int y = 0; y < h && !vbg_planning(c); y++)
        for (int k = 0; k < w; k++) {
            int sy = padded_source(y - o.top, x->h, o.mode);
            int sx = padded_source(k - o.left, x->w, o.mode);
            *at++ = sy < 0 || sx < 0 ? -1 : sy * x->w + sx;
            *one++ = 1;
        }
    return vbg_scope_close(c, vbg_gather_table(c, x, index, weight));
}

/* ---- places on a grid ---- */

/* One coordinate: the pixel before it, the share of the next one, and what a change of
 * the grid's value changes. */
typedef struct grid_at {
    int i;
    double f, slope;
} grid_at;

static grid_at grid_coordinate(double g, int size, vbg_grid_opt o)
{
    grid_at r = { .slope = 0.5 * (o.align ? size - 1 : size) };
    double s = o.align ? (g + 1) * r.slope : (g + 1) * r.slope - 0.5;

    if (o.border && !(s > 0)) { /* as PyTorch: no slope on the border either; NaN: 0 */
        s = 0;
        r.slope = 0;
    } else if (o.border && s >= size - 1) {
        s = size - 1;
        r.slope = 0;
    }
    s = fmin(fmax(s, -2), size + 1.0); /* farther out is all the same */
    r.i = (int)floor(s);
    r.f = s - r.i;
    return r;
}

typedef struct grid_job {
    const vbg_kernels *k;
    const vbg_tensor *x, *grid, *dy;
    vbg_tensor *y; /* or the grid's gradient */
    int *index;
    float *weight;
    vbg_grid_opt opt;
} grid_job;

/* The pixel at (x, y), -1 outside. */
static int grid_pixel(const vbg_tensor *t, int x, int y)
{
    return x < 0 || y < 0 || x >= t->w || y >= t->h ? -1 : y * t->w + x;
}

/* The tables of rows [r0, r1) and their gather. */
static void grid_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const grid_job *j = arg;
    const vbg_tensor *x = j->x;
    size_t out = (size_t)j->grid->h * (size_t)j->grid->w;

    (void)thread;
    for (size_t r = r0; r < r1; r++) {
        const float *g = vbg_row_at(j->grid, r);
        grid_at u = grid_coordinate((double)g[0], x->w, j->opt);
        grid_at v = grid_coordinate((double)g[1], x->h, j->opt);
        for (int k = 0; k < 4; k++) {
            double fx = k & 1 ? u.f : 1 - u.f, fy = k & 2 ? v.f : 1 - v.f;
            j->index[4 * r + (size_t)k] = grid_pixel(x, u.i + (k & 1), v.i + (k >> 1));
            j->weight[4 * r + (size_t)k] = (float)(fx * fy);
        }
        vbg_gather_args a = { .y = vbg_row_at(j->y, r),
                              .x = vbg_row_at(x, r / out * (size_t)x->h * (size_t)x->w),
                              .ldy = j->y->ld,
                              .ldx = x->ld,
                              .count = 1,
                              .c = (size_t)x->c,
                              .index = j->index + 4 * r,
                              .weight = j->weight + 4 * r,
                              .taps = 4,
                              .t = x->dtype };
        j->k->resample.gather(&a);
    }
}

static double element(const vbg_tensor *t, size_t row, size_t c)
{
    const void *p = vbg_row_at(t, row);

    return t->dtype == VBG_BF16 ? (double)vbg_bf16_to_f32(((const uint16_t *)p)[c])
                                : (double)((const float *)p)[c];
}

/* Gradient of the grid: how the four pixels differ, weighed with dy. */
static void grid_back_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const grid_job *j = arg;
    const vbg_tensor *x = j->x;
    size_t out = (size_t)j->grid->h * (size_t)j->grid->w;
    size_t pixels = (size_t)x->h * (size_t)x->w;

    (void)thread;
    for (size_t r = r0; r < r1; r++) {
        const float *g = vbg_row_at(j->grid, r);
        float *to = vbg_row_at(j->y, r);
        grid_at u = grid_coordinate((double)g[0], x->w, j->opt);
        grid_at v = grid_coordinate((double)g[1], x->h, j->opt);
        double dot[4] = { 0 }; /* of dy with each pixel */
        for (size_t k = 0; k < 4; k++) {
            int at = j->index[4 * r + k];
            for (size_t c = 0; c < (size_t)x->c && at >= 0; c++)
                dot[k] +=
                    element(j->dy, r, c) * element(x, r / out * pixels + (size_t)at, c);
        }
        double du = (1 - v.f) * (dot[1] - dot[0]) + v.f * (dot[3] - dot[2]);
        double dv = (1 - u.f) * (dot[2] - dot[0]) + u.f * (dot[3] - dot[1]);
        to[0] = (float)(du * u.slope);
        to[1] = (float)(dv * v.slope);
    }
}

typedef struct grid_saved {
    vbg_tensor *x, *grid, *index, *weight;
    vbg_grid_opt opt;
} grid_saved;

static void grid_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const grid_saved *s = arg;
    const vbg_tensor *grid = s->grid;

    if (vbg_needs_grad(c, s->x)) {
        scatter_job j = { .dy = dy,
                          .index = s->index->data,
                          .weight = s->weight->data,
                          .image_step = 4 * (size_t)grid->h * (size_t)grid->w,
                          .taps = 4 };
        vbg_grad_add(c, s->x, scatter(c, s->x, j));
    }
    if (vbg_needs_grad(c, grid)) {
        grid_job j = { .x = s->x,
                       .grid = grid,
                       .dy = dy,
                       .y = vbg_new_typed(c, VBG_F32, grid->n, grid->h, grid->w, 2),
                       .index = s->index->data,
                       .opt = s->opt };
        if (!vbg_planning(c))
            vbg_parallel_rows(c, vbg_rows(grid), 8 * (size_t)s->x->c, grid_back_rows, &j);
        vbg_grad_add(c, grid, j.y);
    }
}

vbg_tensor *vbg_grid_sample(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *grid,
                            vbg_grid_opt opt)
{
    VBG_CHECK(
        vbg_is_float_act(x) && grid->dtype == VBG_F32 && grid->c == 2 && grid->n == x->n,
        "grid [%d,%d,%d,%d] %s for [%d,%d,%d,%d] %s", grid->n, grid->h, grid->w, grid->c,
        vbg_dtype_name(grid->dtype), x->n, x->h, x->w, x->c, vbg_dtype_name(x->dtype));
    vbg_scope_open(c);
    vbg_tensor *y = vbg_new_typed(c, x->dtype, x->n, grid->h, grid->w, x->c);
    vbg_tensor *index = vbg_new_typed(c, VBG_I32, grid->n, grid->h, grid->w, 4);
    vbg_tensor *weight = vbg_new_typed(c, VBG_F32, grid->n, grid->h, grid->w, 4);
    grid_job j = { .k = vbg_ctx_kernels(c),
                   .x = x,
                   .grid = grid,
                   .y = y,
                   .index = index->data,
                   .weight = weight->data,
                   .opt = opt };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(grid), 4 * (size_t)x->c, grid_rows, &j);
    if (vbg_needs_grad(c, x) || vbg_needs_grad(c, grid)) {
        grid_saved *s = vbg_record(c, y, grid_back, sizeof *s);
        if (s)
            *s = (grid_saved){ vbg_save(c, x), vbg_save(c, grid), vbg_save(c, index),
                               vbg_save(c, weight), opt };
    }
    return vbg_scope_close(c, y);
}

/* ---- embedding ---- */

typedef struct embed_saved {
    vbg_param *table;
    size_t count;
    int ids[];
} embed_saved;

/* Rows that were picked more than once add up, in order. */
static void embed_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const embed_saved *s = arg;
    const size_t ch = (size_t)dy->c;

    for (size_t i = 0; i < s->count && !vbg_planning(c); i++) {
        float *to = s->table->grad + (size_t)s->ids[i] * ch;
        for (size_t k = 0; k < ch; k++)
            to[k] += (float)element(dy, i, k);
    }
}

static void record_embed(vbg_ctx *c, vbg_tensor *y, vbg_param *table, const int *ids)
{
    size_t count = vbg_rows(y);
    embed_saved *s = vbg_record(c, y, embed_back, sizeof *s + count * sizeof *ids);

    if (!s)
        return;
    s->table = table;
    s->count = count;
    if (!vbg_planning(c))
        memcpy(s->ids, ids, count * sizeof *ids);
}

vbg_tensor *vbg_embed(vbg_ctx *c, const void *table, vbg_dtype t, int rows, int ch,
                      const int *ids, int n, int count)
{
    vbg_tensor *y = vbg_new(c, n, 1, count, ch);
    size_t row = (size_t)ch * vbg_dtype_size(t);
    vbg_param *trained = vbg_trainable(c, table);

    if (trained)
        record_embed(c, y, trained, ids);
    if (vbg_planning(c))
        return y;
    for (size_t i = 0; i < vbg_rows(y); i++) {
        VBG_CHECK(ids[i] >= 0 && ids[i] < rows, "embedding %d of %d", ids[i], rows);
        const char *from = (const char *)table + (size_t)ids[i] * row;
        if (t == y->dtype)
            memcpy(vbg_row_at(y, i), from, row);
        else
            vbg_ctx_kernels(c)->pointwise.convert(vbg_row_at(y, i), y->dtype, from, t,
                                                  (size_t)ch);
    }
    return y;
}

typedef struct shuffle_job {
    const vbg_tensor *x, *y;
    size_t r;
    bool back; /* x = unshuffled y */
} shuffle_job;

/* One output row: channel (oc, dy, dx) of a pixel moves to place (dy, dx). */
static void shuffle_row(void *arg, size_t index, int thread)
{
    const shuffle_job *j = arg;
    size_t r = j->r, h = (size_t)j->y->h, w = (size_t)j->x->w, oc = (size_t)j->y->c;
    size_t n = index / h, oy = index % h, size = vbg_dtype_size(j->x->dtype);

    (void)thread;
    for (size_t x = 0; x < w; x++) {
        char *one = vbg_row_at(j->x, (n * (h / r) + oy / r) * w + x);
        for (size_t dx = 0; dx < r; dx++) {
            char *other = vbg_row_at(j->y, index * w * r + x * r + dx);
            for (size_t k = 0; k < oc; k++) {
                char *p = one + (k * r * r + oy % r * r + dx) * size;
                memcpy(j->back ? p : other + k * size, j->back ? other + k * size : p,
                       size);
            }
        }
    }
}

typedef struct shuffle_saved {
    vbg_tensor x;
    int r;
} shuffle_saved;

static void shuffle_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const shuffle_saved *s = arg;
    const vbg_tensor *x = &s->x;
    shuffle_job j = { .x = vbg_new_typed(c, dy->dtype, x->n, x->h, x->w, x->c),
                      .y = dy,
                      .r = (size_t)s->r,
                      .back = true };

    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)dy->n * (size_t)dy->h, shuffle_row, &j);
    vbg_grad_add(c, x, j.x);
}

vbg_tensor *vbg_pixel_shuffle(vbg_ctx *c, const vbg_tensor *x, int r)
{
    VBG_CHECK(r > 0 && x->c % (r * r) == 0, "pixel shuffle by %d of %d channels", r,
              x->c);
    vbg_tensor *y = vbg_new_typed(c, x->dtype, x->n, x->h * r, x->w * r, x->c / (r * r));
    shuffle_job j = { .x = x, .y = y, .r = (size_t)r };

    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)y->n * (size_t)y->h, shuffle_row, &j);
    if (vbg_needs_grad(c, x)) {
        shuffle_saved *s = vbg_record(c, y, shuffle_back, sizeof *s);
        if (s)
            *s = (shuffle_saved){ vbg_outline(x), r };
    }
    return y;
}
