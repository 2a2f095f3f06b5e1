/* Layer norm, group norm, batch norm, softmax over channels; the way back is in
 * op_norm_back.c. */
#include "engine/op_norm.h"

#include <math.h>

typedef struct norm_job {
    const vbg_kernels *k;
    const vbg_tensor *x, *res; /* res: added before act, or NULL */
    vbg_tensor *y;
    const float *scale, *shift; /* [c] of image 0 */
    size_t next;                /* from there to those of the next image; 0: shared */
    float eps;
    vbg_act act;
} norm_job;

static void check_weights(const char *what, const vbg_tensor *x, const vbg_norm_w *w)
{
    VBG_CHECK(w->c == x->c && vbg_is_float_act(x), "%s of %d on [%d,%d,%d,%d] %s", what,
              w->c, x->n, x->h, x->w, x->c, vbg_dtype_name(x->dtype));
}

static void layer_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const norm_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    j->k->norm.layer(&io, j->scale, j->shift, j->eps);
}

vbg_tensor *vbg_layer_norm(vbg_ctx *c, const vbg_tensor *x, const vbg_norm_w *w,
                           float eps)
{
    check_weights("layer norm", x, w);
    norm_job j = { .k = vbg_ctx_kernels(c),
                   .x = x,
                   .y = vbg_new(c, x->n, x->h, x->w, x->c),
                   .scale = w->gamma,
                   .shift = w->beta,
                   .eps = eps };
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, layer_rows, &j);
    vbg_record_layer_norm(c, j.y, x, w, eps);
    return j.y;
}

static void scale_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const norm_job *j = arg;
    size_t pixels = (size_t)j->x->h * (size_t)j->x->w;

    (void)thread;
    while (r0 < r1) {
        size_t image = r0 / pixels, end = j->next ? (image + 1) * pixels : r1;
        size_t at = image * j->next;
        if (end > r1)
            end = r1;
        vbg_row_io io = vbg_io_of(j->y, j->x, r0, end);
        const void *res = j->res ? vbg_row_at(j->res, r0) : NULL;
        j->k->norm.scale_shift(&io, j->scale + at, j->shift + at, res,
                               j->res ? j->res->ld : 0, j->act);
        r0 = end;
    }
}

vbg_tensor *vbg_scale_shift(vbg_ctx *c, const vbg_tensor *x, const float *scale,
                            const float *shift, vbg_act act)
{
    norm_job j = { .k = vbg_ctx_kernels(c),
                   .x = x,
                   .y = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c),
                   .scale = scale,
                   .shift = shift,
                   .act = act };

    VBG_CHECK(vbg_is_float_act(x), "scale_shift of %s", vbg_dtype_name(x->dtype));
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, scale_rows, &j);
    vbg_record_scale_shift(c, j.y, x, scale, shift, act);
    return j.y;
}

/* Statistics of group norm, in three steps:
 *   1. every chunk of image rows sums its channels (fixed chunks, in parallel)
 *   2. every image adds its chunks in order and turns groups into [c] factors
 *   3. one pass of y = act(x*scale + shift)
 * Sums are taken of x minus the channel's first pixel: E[x^2] - E[x]^2 of plain
 * sums cancels when a mean is large. */
enum { CHUNK_ELEMENTS = 1 << 16 };

typedef struct stats_job {
    const vbg_kernels *k;
    const vbg_tensor *x;
    const vbg_norm_w *w;
    double *sums; /* [n][chunks][2][c] */
    vbg_norm_stats *out;
    vbg_chunks cut;
    float eps;
} stats_job;

vbg_chunks vbg_chunks_of(const vbg_tensor *x)
{
    size_t row = (size_t)x->w * (size_t)x->c;
    vbg_chunks k = { .rows = row < CHUNK_ELEMENTS ? CHUNK_ELEMENTS / row : 1 };

    k.count = ((size_t)x->h + k.rows - 1) / k.rows;
    return k;
}

vbg_chunk vbg_chunk_at(vbg_chunks k, const vbg_tensor *x, size_t index)
{
    size_t h = (size_t)x->h, w = (size_t)x->w;
    size_t n = index / k.count, y0 = index % k.count * k.rows;
    size_t y1 = y0 + k.rows < h ? y0 + k.rows : h;

    return (vbg_chunk){ .image = n, .first = (n * h + y0) * w, .rows = (y1 - y0) * w };
}

static void sum_chunk(void *arg, size_t index, int thread)
{
    const stats_job *j = arg;
    const vbg_tensor *x = j->x;
    const vbg_chunk k = vbg_chunk_at(j->cut, x, index);
    const size_t cols = (size_t)x->c;
    double *sum = j->sums + index * 2 * cols;
    vbg_row_io io = { .x = vbg_row_at(x, k.first),
                      .ldx = x->ld,
                      .xt = x->dtype,
                      .rows = k.rows,
                      .cols = cols };

    (void)thread;
    for (size_t i = 0; i < 2 * cols; i++)
        sum[i] = 0;
    j->k->norm.channel_sums(
        sum, sum + cols, j->out ? vbg_norm_row(j->out, VBG_NORM_CENTRE, k.image) : NULL,
        &io, (size_t)x->w);
}

/* Factors of channels [c0, c1) of image n from their mean and variance. */
static void set_factors(const vbg_norm_stats *s, const vbg_norm_w *w, size_t n,
                        const size_t channels[2], double mean, double rstd)
{
    float *to_scale = vbg_norm_row(s, VBG_NORM_SCALE, n);
    float *to_shift = vbg_norm_row(s, VBG_NORM_SHIFT, n);

    for (size_t i = channels[0]; i < channels[1]; i++) {
        double scale = rstd * (w->gamma ? (double)w->gamma[i] : 1);
        to_scale[i] = (float)scale;
        to_shift[i] = (float)((w->beta ? (double)w->beta[i] : 0) - mean * scale);
    }
}

/* Mean and variance of group g of image n, its channels each summed around its own
 * first value f:  sum (x-m)^2 = sq - 2 (m-f) sum + count (m-f)^2. */
static void group_factors(const stats_job *j, size_t n, size_t g)
{
    const size_t cols = (size_t)j->x->c, per = cols / (size_t)j->out->groups;
    const size_t c0 = g * per, c1 = c0 + per;
    double count = (double)j->x->h * (double)j->x->w * vbg_max_int(j->out->sharers, 1);
    double total = count * (double)per, mean = 0, var = 0;
    const double *sum = j->sums + n * j->cut.count * 2 * cols, *sq = sum + cols;
    const float *first = vbg_norm_row(j->out, VBG_NORM_CENTRE, n);
    double *moments = vbg_norm_moments(j->out, n, g);

    for (size_t i = c0; i < c1; i++)
        mean += (sum[i] + count * (double)first[i]) / total;
    for (size_t i = c0; i < c1; i++) {
        double off = mean - (double)first[i];
        var += (sq[i] - 2 * off * sum[i] + count * off * off) / total;
    }
    var = var > 0 ? var : var != var ? var : 0;
    moments[0] = mean;
    moments[1] = 1 / sqrt(var + (double)j->eps);
    moments[2] = var;
    set_factors(j->out, j->w, n, (const size_t[]){ c0, c1 }, mean, moments[1]);
}

void vbg_add_chunks(double *sums, size_t chunks, size_t count)
{
    for (size_t k = 1; k < chunks; k++)
        for (size_t i = 0; i < count; i++)
            sums[i] += sums[k * count + i];
}

static void finish_image(void *arg, size_t n, int thread)
{
    const stats_job *j = arg;
    const size_t cols = (size_t)j->x->c;

    (void)thread;
    vbg_add_chunks(j->sums + n * j->cut.count * 2 * cols, j->cut.count, 2 * cols);
    for (size_t g = 0; g < (size_t)j->out->groups; g++)
        group_factors(j, n, g);
}

/* A value of each channel that its mean is not far from: its first. */
static void first_pixels(const stats_job *j)
{
    size_t cols = (size_t)j->x->c, pixels = (size_t)j->x->h * (size_t)j->x->w;

    for (size_t n = 0; n < (size_t)j->x->n; n++)
        j->k->pointwise.convert(vbg_norm_row(j->out, VBG_NORM_CENTRE, n), VBG_F32,
                                vbg_row_at(j->x, n * pixels), j->x->dtype, cols);
}

/* Around the mean of all processes' first pixels, so that their sums can be added. */
static void share_centre(vbg_ctx *c, const stats_job *j)
{
    const size_t cols = (size_t)j->x->c;
    float *centre = vbg_norm_row(j->out, VBG_NORM_CENTRE, 0);

    for (size_t i = 0; i < cols; i++)
        j->sums[i] = (double)centre[i] / j->out->sharers;
    vbg_share(c, j->sums, (int)cols);
    for (size_t i = 0; i < cols; i++)
        centre[i] = (float)j->sums[i];
}

/* Statistics of one image that several processes hold parts of. */
static void shared_image(vbg_ctx *c, stats_job *j)
{
    const size_t cols = (size_t)j->x->c;

    share_centre(c, j);
    vbg_parallel(c, j->cut.count, sum_chunk, j);
    vbg_add_chunks(j->sums, j->cut.count, 2 * cols);
    vbg_share(c, j->sums, (int)(2 * cols));
    for (size_t g = 0; g < (size_t)j->out->groups; g++)
        group_factors(j, 0, g);
}

/* Sums, factors and result of one image. */
typedef struct image_job {
    stats_job *stats;
    norm_job *apply;
} image_job;

static void whole_image(void *arg, size_t n, int thread)
{
    const image_job *j = arg;
    stats_job *s = j->stats;

    for (size_t k = 0; k < s->cut.count; k++)
        sum_chunk(s, n * s->cut.count + k, thread);
    finish_image(s, n, thread);
    /* what was read last is still near */
    for (size_t k = s->cut.count; k-- > 0;) {
        const vbg_chunk part = vbg_chunk_at(s->cut, s->x, n * s->cut.count + k);
        scale_rows(j->apply, part.first, part.first + part.rows, thread);
    }
}

static stats_job stats_of(vbg_ctx *c, const vbg_tensor *x)
{
    stats_job s = { .k = vbg_ctx_kernels(c), .x = x, .cut = vbg_chunks_of(x) };

    s.sums = vbg_new_typed(c, VBG_F64, x->n, (int)s.cut.count, 2, x->c)->data;
    return s;
}

/* Room for the statistics of x in groups of channels. */
static vbg_norm_stats new_stats(vbg_ctx *c, const vbg_tensor *x, int groups)
{
    return (vbg_norm_stats){
        .groups = groups,
        .factors = vbg_new_typed(c, VBG_F32, x->n, VBG_NORM_ROWS, 1, x->c),
        .moments = vbg_new_typed(c, VBG_F64, x->n, groups, 1, VBG_NORM_MOMENTS),
    };
}

/* y = act(x*scale + shift + res) by the factors of s. */
static norm_job apply_of(const vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x,
                         const vbg_norm_stats *s, const vbg_tensor *res, vbg_act act)
{
    return (norm_job){ .k = vbg_ctx_kernels(c),
                       .x = x,
                       .res = res,
                       .y = y,
                       .scale = vbg_norm_row(s, VBG_NORM_SCALE, 0),
                       .shift = vbg_norm_row(s, VBG_NORM_SHIFT, 0),
                       .next = VBG_NORM_ROWS * (size_t)x->c,
                       .act = act };
}

/* Fills s with the statistics of x, then applies them. */
static void measure(vbg_ctx *c, norm_job *apply, const vbg_norm_w *w, float eps,
                    vbg_norm_stats *s)
{
    const vbg_tensor *x = apply->x;

    vbg_scope_open(c);
    stats_job j = stats_of(c, x);

    j.w = w;
    j.out = s;
    j.eps = eps;
    if (!vbg_planning(c)) {
        first_pixels(&j);
        if (s->sharers > 1) {
            shared_image(c, &j);
            vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, scale_rows, apply);
        } else if (vbg_image_tasks(c, x)) {
            vbg_parallel(c, (size_t)x->n, whole_image, &(image_job){ &j, apply });
        } else {
            vbg_parallel(c, (size_t)x->n * j.cut.count, sum_chunk, &j);
            vbg_parallel(c, (size_t)x->n, finish_image, &j);
            vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, scale_rows, apply);
        }
    }
    vbg_scope_close(c, NULL);
}

vbg_tensor *vbg_group_norm(vbg_ctx *c, const vbg_tensor *x, const vbg_norm_w *w,
                           int groups, float eps, vbg_act act)
{
    check_weights("group norm", x, w);
    VBG_CHECK(groups > 0 && x->c % groups == 0, "%d groups of %d channels", groups, x->c);
    vbg_scope_open(c);
    vbg_tensor *y = vbg_new(c, x->n, x->h, x->w, x->c);
    vbg_norm_stats s = new_stats(c, x, groups);

    norm_job apply = apply_of(c, y, x, &s, NULL, act);
    measure(c, &apply, w, eps, &s);
    vbg_record_norm(c, y, x, &s, w, NULL, act);
    return vbg_scope_close(c, y);
}

/* The statistics that a batch norm has gathered, as those of one image. */
static void use_running(const vbg_batch_norm_w *bn, const vbg_norm_w *w,
                        vbg_norm_stats *s)
{
    for (size_t i = 0; i < (size_t)bn->c; i++) {
        double *m = vbg_norm_moments(s, 0, i);
        m[0] = (double)bn->mean[i];
        m[2] = (double)bn->var[i];
        m[1] = 1 / sqrt(m[2] + (double)bn->eps);
        vbg_norm_row(s, VBG_NORM_CENTRE, 0)[i] = bn->mean[i];
        set_factors(s, w, 0, (const size_t[]){ i, i + 1 }, m[0], m[1]);
    }
}

static void update_running(const vbg_batch_norm_w *bn, const vbg_norm_stats *s,
                           double count)
{
    const double unbias = count > 1 ? count / (count - 1) : 1, k = (double)bn->momentum;

    for (size_t i = 0; i < (size_t)bn->c; i++) {
        const double *m = vbg_norm_moments(s, 0, i);
        bn->mean[i] = (float)((1 - k) * (double)bn->mean[i] + k * m[0]);
        bn->var[i] = (float)((1 - k) * (double)bn->var[i] + k * unbias * m[2]);
    }
}

vbg_tensor *vbg_batch_norm(vbg_ctx *c, const vbg_tensor *x, const vbg_batch_norm_w *bn,
                           const vbg_tensor *residual, vbg_act act)
{
    const vbg_norm_w w = { .gamma = bn->gamma, .beta = bn->beta, .c = bn->c };
    const vbg_tensor *r = residual;

    check_weights("batch norm", x, &w);
    VBG_CHECK(!r || (r->dtype == x->dtype && r->n == x->n && r->h == x->h &&
                     r->w == x->w && r->c == x->c),
              "batch norm of [%d,%d,%d,%d] with another residual", x->n, x->h, x->w,
              x->c);
    vbg_scope_open(c);
    vbg_tensor *y = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c);
    /* one image: its rows follow each other */
    vbg_tensor *flat = vbg_view(c, x, 1, x->n * x->h, x->w, x->c);
    vbg_norm_stats s = new_stats(c, flat, bn->c);

    s.fixed = !vbg_training(c);
    s.sharers = s.fixed ? 1 : vbg_sharers(c);
    vbg_tensor *flat_y = vbg_view(c, y, 1, x->n * x->h, x->w, x->c);
    norm_job apply = apply_of(c, flat_y, flat, &s, residual, act);
    if (!s.fixed) {
        measure(c, &apply, &w, bn->eps, &s);
    } else if (!vbg_planning(c)) {
        use_running(bn, &w, &s);
        vbg_parallel_rows(c, vbg_rows(flat), (size_t)x->c, scale_rows, &apply);
    }
    if (vbg_updates_statistics(c))
        update_running(bn, &s, (double)vbg_rows(x) * s.sharers);
    vbg_record_norm(c, y, flat, &s, &w, residual, act);
    return vbg_scope_close(c, y);
}

static void global_mean_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const vbg_tensor *x = arg;
    float share = 1 / ((float)x->h * (float)x->w);

    vbg_add_to(c, vbg_grad_full(c, x), vbg_affine(c, dy, share, 0));
}

vbg_tensor *vbg_global_mean(vbg_ctx *c, const vbg_tensor *x)
{
    VBG_CHECK(vbg_is_float_act(x), "mean of %s", vbg_dtype_name(x->dtype));
    vbg_scope_open(c);
    vbg_tensor *y = vbg_new_typed(c, x->dtype, x->n, 1, 1, x->c);
    stats_job s = stats_of(c, x);
    size_t cols = (size_t)x->c;

    if (!vbg_planning(c)) {
        vbg_parallel(c, (size_t)x->n * s.cut.count, sum_chunk, &s);
        for (size_t n = 0; n < (size_t)x->n; n++) {
            const double *sum = s.sums + n * s.cut.count * 2 * cols;
            vbg_add_chunks(s.sums + n * s.cut.count * 2 * cols, s.cut.count, 2 * cols);
            for (size_t i = 0; i < cols; i++) {
                float v = (float)(sum[i] / ((double)x->h * (double)x->w));
                if (y->dtype == VBG_BF16)
                    ((uint16_t *)y->data)[n * cols + i] = vbg_f32_to_bf16(v);
                else
                    ((float *)y->data)[n * cols + i] = v;
            }
        }
    }
    if (vbg_needs_grad(c, x)) {
        vbg_tensor *saved = vbg_record(c, y, global_mean_back, sizeof *saved);
        if (saved)
            *saved = vbg_outline(x);
    }
    return vbg_scope_close(c, y);
}

static void softmax_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const norm_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    j->k->norm.softmax(&io);
}

vbg_tensor *vbg_softmax(vbg_ctx *c, const vbg_tensor *x)
{
    norm_job j = { .k = vbg_ctx_kernels(c),
                   .x = x,
                   .y = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c) };

    VBG_CHECK(vbg_is_float_act(x), "softmax of %s", vbg_dtype_name(x->dtype));
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, softmax_rows, &j);
    vbg_record_softmax(c, j.y, x);
    return j.y;
}
