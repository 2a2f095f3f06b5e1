/* Pooling over windows. */
#include "engine/op_util.h"
#include "engine/ops.h"
#include "engine/tape.h"

#include <string.h>

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
    const vbg_tensor *x, *y; /* backward: y is dy */
    vbg_tensor *dx;
    vbg_pool_args a; /* of image 0 */
} pool_job;

/* x of shape [n,h,w,c] and what comes out of it; no addresses yet. */
static vbg_pool_args pool_args(const vbg_tensor *x, const vbg_pool_opt *opt, int *oh)
{
    int stride = opt->stride ? opt->stride : 1, kx = opt->k_x ? opt->k_x : opt->k_y;
    pool_axis v = pool_shape(x->h, opt->k_y, stride, opt);
    pool_axis s = pool_shape(x->w, kx, stride, opt);

    *oh = v.out;
    return (vbg_pool_args){ .ldy = (size_t)x->c,
                            .ldx = x->ld,
                            .c = (size_t)x->c,
                            .h = x->h,
                            .w = x->w,
                            .ow = s.out,
                            .kh = opt->k_y,
                            .kw = kx,
                            .stride = stride,
                            .pad_top = v.before,
                            .pad_left = s.before,
                            .pad_bottom = v.after,
                            .pad_right = s.after,
                            .max = opt->max,
                            .count_padding = opt->count_padding,
                            .t = x->dtype };
}

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

enum { BACK_CHANNELS = 64 }; /* one task's: windows overlap, so it alone adds to them */

static void pool_back_task(void *arg, size_t index, int thread)
{
    const pool_job *j = arg;
    size_t c = (size_t)j->x->c, blocks = (c + BACK_CHANNELS - 1) / BACK_CHANNELS;
    size_t n = index / blocks, first = index % blocks * BACK_CHANNELS;
    size_t in = (size_t)j->x->h * (size_t)j->x->w, ld = j->dx->ld;
    size_t skip = first * vbg_dtype_size(j->y->dtype);
    const char *dy = vbg_row_at(j->y, n * (size_t)j->y->h * (size_t)j->y->w);
    float *dx = (float *)vbg_row_at(j->dx, n * in) + first;
    vbg_pool_args a = j->a;

    (void)thread;
    a.c = c - first < BACK_CHANNELS ? c - first : BACK_CHANNELS;
    if (a.max)
        a.x = (const char *)vbg_row_at(j->x, n * in) + skip;
    for (size_t i = 0; i < in; i++)
        memset(dx + i * ld, 0, a.c * sizeof *dx);
    for (int oy = 0; oy < j->y->h; oy++)
        j->k->resample.pool_row_back(&a, dy + skip, dx, ld, oy);
}

typedef struct pool_saved {
    vbg_tensor outline, *x; /* x: to look for the maximum again, else NULL */
    vbg_pool_opt opt;
} pool_saved;

static void pool_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const pool_saved *s = arg;
    const vbg_tensor *x = s->x ? s->x : &s->outline;
    size_t blocks = ((size_t)x->c + BACK_CHANNELS - 1) / BACK_CHANNELS;
    pool_job j = { .k = vbg_ctx_kernels(c),
                   .x = x,
                   .y = dy,
                   .dx = vbg_new_typed(c, VBG_F32, x->n, x->h, x->w, x->c) };
    int oh;

    j.a = pool_args(x, &s->opt, &oh);
    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)x->n * blocks, pool_back_task, &j);
    vbg_grad_add(c, x, j.dx);
}

vbg_tensor *vbg_pool(vbg_ctx *c, const vbg_tensor *x, vbg_pool_opt opt)
{
    int oh;

    VBG_CHECK(vbg_is_float_act(x) && opt.k_y > 0, "pool of %s with window %d x %d",
              vbg_dtype_name(x->dtype), opt.k_y, opt.k_x);
    pool_job j = { .k = vbg_ctx_kernels(c), .x = x, .a = pool_args(x, &opt, &oh) };
    vbg_tensor *y = vbg_new_typed(c, x->dtype, x->n, oh, j.a.ow, x->c);
    j.y = y;
    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)x->n * (size_t)oh, pool_task, &j);
    if (vbg_needs_grad(c, x)) {
        pool_saved *s = vbg_record(c, y, pool_back, sizeof *s);
        if (s)
            *s = (pool_saved){ vbg_outline(x), opt.max ? vbg_save(c, x) : NULL, opt };
    }
    return y;
}
