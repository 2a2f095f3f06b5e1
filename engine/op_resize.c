/* Resizing of feature maps.  Nearest and bilinear read one or two neighbours on each
 * axis; the other modes are gathers by a table of weights. */
#include "engine/op_util.h"
#include "engine/ops.h"
#include "engine/tape.h"

#include <math.h>
#include <string.h>

typedef struct resize_job {
    const vbg_kernels *k;
    int *x0, *x1; /* [w] of y, the same for all rows */
    float *fx;
    const vbg_tensor *x, *y; /* backward: dx and dy */
    vbg_resize_mode mode;
} resize_job;

/* The two source positions of output i and the weight of the second, in f32 as
 * PyTorch computes them. */
typedef struct lerp_at {
    int i0, i1;
    float f;
} lerp_at;

static lerp_at source_of(int i, int in, int out, vbg_resize_mode mode)
{
    float s;

    if (mode == VBG_RESIZE_NEAREST) {
        int at = (int)((int64_t)i * in / out);
        return (lerp_at){ at, at, 0 };
    }
    if (mode == VBG_RESIZE_BILINEAR_ALIGN)
        s = out > 1 ? (float)i * ((float)(in - 1) / (float)(out - 1)) : 0;
    else
        s = ((float)i + 0.5f) * ((float)in / (float)out) - 0.5f;
    if (s < 0)
        s = 0;
    lerp_at r = { .i0 = vbg_min_int((int)s, in - 1) };
    r.i1 = vbg_min_int(r.i0 + 1, in - 1);
    r.f = s - (float)r.i0;
    return r;
}

/* The columns' table. */
static vbg_tensor *resize_columns(vbg_ctx *c, resize_job *j)
{
    int w = j->y->w;
    vbg_tensor *table = vbg_new_typed(c, VBG_I32, 1, 1, w, 3);

    if (vbg_planning(c))
        return table;
    j->x0 = table->data;
    j->x1 = j->x0 + w;
    j->fx = (float *)(j->x1 + w);
    for (int i = 0; i < w; i++) {
        lerp_at l = source_of(i, j->x->w, w, j->mode);
        j->x0[i] = l.i0;
        j->x1[i] = l.i1;
        j->fx[i] = l.f;
    }
    return table;
}

static void nearest_row(const resize_job *j, size_t n, int oy)
{
    const vbg_tensor *x = j->x, *y = j->y;
    size_t bytes = (size_t)x->c * vbg_dtype_size(x->dtype);
    size_t sy = (size_t)source_of(oy, x->h, y->h, j->mode).i0;
    size_t row = (n * (size_t)x->h + sy) * (size_t)x->w;
    size_t out = (n * (size_t)y->h + (size_t)oy) * (size_t)y->w;

    for (size_t ox = 0; ox < (size_t)y->w; ox++)
        memcpy(vbg_row_at(y, out + ox), vbg_row_at(x, row + (size_t)j->x0[ox]), bytes);
}

static void resize_row(void *arg, size_t index, int thread)
{
    const resize_job *j = arg;
    const vbg_tensor *x = j->x, *y = j->y;
    size_t n = index / (size_t)y->h;
    int oy = (int)(index % (size_t)y->h);

    (void)thread;
    if (j->mode == VBG_RESIZE_NEAREST) {
        nearest_row(j, n, oy);
        return;
    }
    lerp_at v = source_of(oy, x->h, y->h, j->mode);
    size_t top = n * (size_t)x->h;
    vbg_bilinear_args a = { .y = vbg_row_at(y, index * (size_t)y->w),
                            .row0 = vbg_row_at(x, (top + (size_t)v.i0) * (size_t)x->w),
                            .row1 = vbg_row_at(x, (top + (size_t)v.i1) * (size_t)x->w),
                            .ldy = y->ld,
                            .ldx = x->ld,
                            .ow = (size_t)y->w,
                            .c = (size_t)y->c,
                            .x0 = j->x0,
                            .x1 = j->x1,
                            .fx = j->fx,
                            .fy = v.f,
                            .t = x->dtype };
    j->k->resample.bilinear_row(&a);
}

/* One row of dx: what every output row that reads it sends back, summed in f32. */
static void resize_row_back(void *arg, size_t index, int thread)
{
    const resize_job *j = arg;
    const vbg_tensor *dx = j->x, *dy = j->y;
    size_t n = index / (size_t)dx->h, count = (size_t)dx->w * (size_t)dx->c;
    int sy = (int)(index % (size_t)dx->h);
    float *sum = (float *)dx->data + index * count;
    vbg_bilinear_back_args a = { .dx = sum,
                                 .lddy = dy->ld,
                                 .ow = (size_t)dy->w,
                                 .c = (size_t)dx->c,
                                 .x0 = j->x0,
                                 .x1 = j->x1,
                                 .fx = j->fx,
                                 .t = dy->dtype };

    (void)thread;
    memset(sum, 0, count * sizeof *sum);
    for (int oy = 0; oy < dy->h; oy++) {
        lerp_at v = source_of(oy, dx->h, dy->h, j->mode);
        a.weight = (v.i0 == sy ? 1 - v.f : 0) + (v.i1 == sy ? v.f : 0);
        if (a.weight == 0)
            continue;
        a.dy = vbg_row_at(dy, (n * (size_t)dy->h + (size_t)oy) * (size_t)dy->w);
        j->k->resample.bilinear_row_back(&a);
    }
}

typedef struct resize_saved {
    vbg_tensor x;
    vbg_resize_mode mode;
} resize_saved;

static void resize_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const resize_saved *s = arg;
    const vbg_tensor *x = &s->x;
    vbg_tensor *dx = vbg_new_typed(c, VBG_F32, x->n, x->h, x->w, x->c);
    resize_job j = { .k = vbg_ctx_kernels(c), .x = dx, .y = dy, .mode = s->mode };
    vbg_tensor *table = resize_columns(c, &j);

    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)x->n * (size_t)x->h, resize_row_back, &j);
    vbg_drop(c, table);
    vbg_grad_add(c, x, dx);
}

/* ---- modes with more than two neighbours ---- */

/* Sources and weights of each output of one axis; taps of them, index -1 beyond. */
typedef struct axis {
    vbg_tensor *index, *weight;
    int taps;
} axis;

/* Keys' cubic with a = -0.75, at a distance of d >= 0. */
static double cubic(double d)
{
    const double a = -0.75;

    if (d < 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* Output i of a cubic resize. */
static void cubic_taps(int *index, float *weight, int i, int in, int out)
{
    double s = (i + 0.5) * in / out - 0.5, base = floor(s);

    for (int k = 0; k < 4; k++) {
        index[k] = vbg_min_int(vbg_max_int((int)base + k - 1, 0), in - 1);
        weight[k] = (float)cubic(fabs(s - (base + k - 1)));
    }
}

/* The mean over the sources that output i covers even in part, as PyTorch's adaptive
 * pooling and "area" have it. */
static void area_taps(int *index, float *weight, int i, int in, int out, int taps)
{
    int first = (int)((int64_t)i * in / out);
    int end = (int)(((int64_t)(i + 1) * in + out - 1) / out);

    for (int k = 0; k < taps; k++) {
        index[k] = first + k < end ? first + k : -1;
        weight[k] = 1 / (float)(end - first);
    }
}

/* A triangle as wide as an output, cut at the border and scaled to a sum of 1. */
static void antialias_taps(int *index, float *weight, int i, int in, int out, int taps)
{
    double scale = (double)in / out, reach = scale > 1 ? scale : 1;
    double centre = scale * (i + 0.5), sum = 0;
    int first = vbg_max_int((int)(centre - reach + 0.5), 0);
    int end = vbg_min_int((int)(centre + reach + 0.5), in);

    for (int k = first; k < end; k++)
        sum += fmax(0, 1 - fabs((k - centre + 0.5) / reach));
    for (int k = 0; k < taps; k++) {
        double w = fmax(0, 1 - fabs((first + k - centre + 0.5) / reach));
        index[k] = first + k < end ? first + k : -1;
        weight[k] = (float)(w / sum);
    }
}

static axis make_axis(vbg_ctx *c, int in, int out, vbg_resize_mode mode)
{
    axis a = { .taps = 4 };

    if (mode == VBG_RESIZE_AREA)
        a.taps = (in + out - 1) / out + 1;
    else if (mode == VBG_RESIZE_ANTIALIAS)
        a.taps = 2 * ((in + out - 1) / out) + 1;
    a.index = vbg_new_typed(c, VBG_I32, 1, 1, out, a.taps);
    a.weight = vbg_new_typed(c, VBG_F32, 1, 1, out, a.taps);
    for (int i = 0; i < out && !vbg_planning(c); i++) {
        int *index = (int *)a.index->data + (size_t)i * (size_t)a.taps;
        float *weight = (float *)a.weight->data + (size_t)i * (size_t)a.taps;
        if (mode == VBG_RESIZE_AREA)
            area_taps(index, weight, i, in, out, a.taps);
        else if (mode == VBG_RESIZE_ANTIALIAS)
            antialias_taps(index, weight, i, in, out, a.taps);
        else
            cubic_taps(index, weight, i, in, out);
    }
    return a;
}

typedef struct table_job {
    axis v, s;
    int *index;
    float *weight;
    int in_w, ow;
} table_job;

/* The taps of one row of outputs: every one of its row with every one of its column. */
static void table_row(void *arg, size_t oy, int thread)
{
    const table_job *j = arg;
    const size_t ty = (size_t)j->v.taps, tx = (size_t)j->s.taps;
    const int *iy = (const int *)j->v.index->data + oy * ty;
    const float *wy = (const float *)j->v.weight->data + oy * ty;
    size_t at = oy * (size_t)j->ow * ty * tx;

    (void)thread;
    for (size_t ox = 0; ox < (size_t)j->ow; ox++) {
        const int *ix = (const int *)j->s.index->data + ox * tx;
        const float *wx = (const float *)j->s.weight->data + ox * tx;
        for (size_t y = 0; y < ty; y++)
            for (size_t x = 0; x < tx; x++, at++) {
                j->index[at] = iy[y] < 0 || ix[x] < 0 ? -1 : iy[y] * j->in_w + ix[x];
                j->weight[at] = wy[y] * wx[x];
            }
    }
}

static vbg_tensor *resize_by_table(vbg_ctx *c, const vbg_tensor *x, int h, int w,
                                   vbg_resize_mode mode)
{
    vbg_scope_open(c);
    table_job j = { .v = make_axis(c, x->h, h, mode),
                    .s = make_axis(c, x->w, w, mode),
                    .in_w = x->w,
                    .ow = w };
    int taps = j.v.taps * j.s.taps;
    vbg_tensor *index = vbg_new_typed(c, VBG_I32, 1, h, w, taps);
    vbg_tensor *weight = vbg_new_typed(c, VBG_F32, 1, h, w, taps);

    j.index = index->data;
    j.weight = weight->data;
    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)h, table_row, &j);
    return vbg_scope_close(c, vbg_gather_table(c, x, index, weight));
}

vbg_tensor *vbg_resize(vbg_ctx *c, const vbg_tensor *x, int h, int w,
                       vbg_resize_mode mode)
{
    VBG_CHECK(vbg_is_float_act(x), "resize of %s", vbg_dtype_name(x->dtype));
    if (mode > VBG_RESIZE_BILINEAR_ALIGN)
        return resize_by_table(c, x, h, w, mode);
    vbg_tensor *y = vbg_new_typed(c, x->dtype, x->n, h, w, x->c);
    resize_job j = { .k = vbg_ctx_kernels(c), .x = x, .y = y, .mode = mode };
    vbg_tensor *table = resize_columns(c, &j);

    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)x->n * (size_t)h, resize_row, &j);
    vbg_drop(c, table);
    if (vbg_needs_grad(c, x)) {
        resize_saved *s = vbg_record(c, y, resize_back, sizeof *s);
        if (s)
            *s = (resize_saved){ vbg_outline(x), mode };
    }
    return y;
}
