/* Resizing, gathering, pooling, embedding, pixel shuffle. */
#include "engine/op_util.h"
#include "engine/ops.h"

#include <string.h>

typedef struct resize_job {
    const vbg_kernels *k;
    int *x0, *x1; /* [w] of y, the same for all rows */
    float *fx;
    const vbg_tensor *x;
    vbg_tensor *y;
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
static void resize_columns(const resize_job *j)
{
    for (int i = 0; i < j->y->w; i++) {
        lerp_at l = source_of(i, j->x->w, j->y->w, j->mode);
        j->x0[i] = l.i0;
        j->x1[i] = l.i1;
        j->fx[i] = l.f;
    }
}

static void nearest_row(const resize_job *j, size_t n, int oy)
{
    const vbg_tensor *x = j->x, *y = j->y;
    size_t bytes = (size_t)x->c * vbg_dtype_size(x->dtype);
    size_t sy = (size_t)oy * (size_t)x->h / (size_t)y->h;
    size_t row = (n * (size_t)x->h + sy) * (size_t)x->w;
    size_t out = (n * (size_t)y->h + (size_t)oy) * (size_t)y->w;

    for (size_t ox = 0; ox < (size_t)y->w; ox++) {
        size_t sx = ox * (size_t)x->w / (size_t)y->w;
        memcpy(vbg_row_at(y, out + ox), vbg_row_at(x, row + sx), bytes);
    }
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

vbg_tensor *vbg_resize(vbg_ctx *c, const vbg_tensor *x, int h, int w,
                       vbg_resize_mode mode)
{
    resize_job j = { .k = vbg_ctx_kernels(c),
                     .x = x,
                     .y = vbg_new_typed(c, x->dtype, x->n, h, w, x->c),
                     .mode = mode };

    VBG_CHECK(vbg_is_float_act(x), "resize of %s", vbg_dtype_name(x->dtype));
    vbg_tensor *table = vbg_new_typed(c, VBG_I32, 1, 1, w, 3);
    if (!vbg_planning(c)) {
        j.x0 = table->data;
        j.x1 = j.x0 + w;
        j.fx = (float *)(j.x1 + w);
        resize_columns(&j);
        vbg_parallel(c, (size_t)x->n * (size_t)h, resize_row, &j);
    }
    vbg_drop(c, table);
    return j.y;
}

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

vbg_tensor *vbg_gather(vbg_ctx *c, const vbg_tensor *x, const int *index,
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

/* Output size and padding of one axis. */
typedef struct pool_axis {
    int out, before, after;
} pool_axis;

static pool_axis pool_shape(int in, int k, int stride, const vbg_pool_opt *o)
{
    pool_axis a = { .before = o->pad, .after = o->pad };

    if (o->same) {
        a.out = (in + stride - 1) / stride;
        int pad = vbg_max_int((a.out - 1) * stride + k - in, 0);
        a.before = pad / 2;
        a.after = pad - a.before;
        return a;
    }
    VBG_CHECK(in + 2 * o->pad >= k, "pool window %d on %d pixels", k, in);
    int room = in + 2 * o->pad - k;
    a.out = (o->ceil_mode ? room + stride - 1 : room) / stride + 1;
    if (o->ceil_mode && (a.out - 1) * stride >= in + o->pad)
        a.out--; /* the last window must start inside the picture */
    return a;
}

typedef struct pool_job {
    const vbg_kernels *k;
    const vbg_tensor *x;
    vbg_tensor *y;
    vbg_pool_args a; /* of image 0 */
} pool_job;

static void pool_task(void *arg, size_t index, int thread)
{
    const pool_job *j = arg;
    size_t n = index / (size_t)j->y->h;
    vbg_pool_args a = j->a;

    (void)thread;
    a.x = vbg_row_at(j->x, n * (size_t)j->x->h * (size_t)j->x->w);
    a.y = vbg_row_at(j->y, n * (size_t)j->y->h * (size_t)j->y->w);
    j->k->resample.pool_row(&a, (int)(index % (size_t)j->y->h));
}

vbg_tensor *vbg_pool(vbg_ctx *c, const vbg_tensor *x, vbg_pool_opt opt)
{
    int stride = opt.stride ? opt.stride : 1, kx = opt.k_x ? opt.k_x : opt.k_y;
    pool_axis v = pool_shape(x->h, opt.k_y, stride, &opt);
    pool_axis s = pool_shape(x->w, kx, stride, &opt);

    VBG_CHECK(vbg_is_float_act(x) && opt.k_y > 0, "pool of %s with window %d x %d",
              vbg_dtype_name(x->dtype), opt.k_y, kx);
    pool_job j = { .k = vbg_ctx_kernels(c),
                   .x = x,
                   .y = vbg_new_typed(c, x->dtype, x->n, v.out, s.out, x->c) };
    j.a = (vbg_pool_args){ .ldy = j.y->ld,
                           .ldx = x->ld,
                           .c = (size_t)x->c,
                           .h = x->h,
                           .w = x->w,
                           .ow = s.out,
                           .kh = opt.k_y,
                           .kw = kx,
                           .stride = stride,
                           .pad_top = v.before,
                           .pad_left = s.before,
                           .pad_bottom = v.after,
                           .pad_right = s.after,
                           .max = opt.max,
                           .count_padding = opt.count_padding,
                           .t = x->dtype };
    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)x->n * (size_t)v.out, pool_task, &j);
    return j.y;
}

vbg_tensor *vbg_embed(vbg_ctx *c, const void *table, vbg_dtype t, int rows, int ch,
                      const int *ids, int n, int count)
{
    vbg_tensor *y = vbg_new(c, n, 1, count, ch);
    size_t row = (size_t)ch * vbg_dtype_size(t);

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
    const vbg_tensor *x;
    vbg_tensor *y;
    size_t r;
} shuffle_job;

/* One output row: channel (oc, dy, dx) of a pixel moves to place (dy, dx). */
static void shuffle_row(void *arg, size_t index, int thread)
{
    const shuffle_job *j = arg;
    size_t r = j->r, h = (size_t)j->y->h, w = (size_t)j->x->w, oc = (size_t)j->y->c;
    size_t n = index / h, oy = index % h, size = vbg_dtype_size(j->x->dtype);

    (void)thread;
    for (size_t x = 0; x < w; x++) {
        const char *from = vbg_row_at(j->x, (n * (h / r) + oy / r) * w + x);
        for (size_t dx = 0; dx < r; dx++) {
            char *to = vbg_row_at(j->y, index * w * r + x * r + dx);
            for (size_t k = 0; k < oc; k++)
                memcpy(to + k * size, from + (k * r * r + oy % r * r + dx) * size, size);
        }
    }
}

vbg_tensor *vbg_pixel_shuffle(vbg_ctx *c, const vbg_tensor *x, int r)
{
    VBG_CHECK(r > 0 && x->c % (r * r) == 0, "pixel shuffle by %d of %d channels", r,
              x->c);
    shuffle_job j = { .x = x,
                      .y = vbg_new_typed(c, x->dtype, x->n, x->h * r, x->w * r,
                                         x->c / (r * r)),
                      .r = (size_t)r };

    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)j.y->n * (size_t)j.y->h, shuffle_row, &j);
    return j.y;
}
