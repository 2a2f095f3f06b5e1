/* Layer norm, group norm, folded batch norm, softmax over channels. */
#include "engine/op_util.h"
#include "engine/ops.h"

#include <math.h>

typedef struct norm_job {
    const vbg_kernels *k;
    const vbg_tensor *x;
    vbg_tensor *y;
    const float *scale, *shift; /* [c], or [n][c] for group norm */
    bool per_image;
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
    return j.y;
}

static void scale_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const norm_job *j = arg;
    size_t pixels = (size_t)j->x->h * (size_t)j->x->w;

    (void)thread;
    while (r0 < r1) {
        size_t image = r0 / pixels, end = j->per_image ? (image + 1) * pixels : r1;
        size_t at = j->per_image ? image * (size_t)j->x->c : 0;
        if (end > r1)
            end = r1;
        vbg_row_io io = vbg_io_of(j->y, j->x, r0, end);
        j->k->norm.scale_shift(&io, j->scale + at, j->shift + at, j->act);
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
    double *sums;                 /* [n][chunks][2][c] */
    float *first, *scale, *shift; /* [n][c] */
    size_t chunks, rows;          /* image rows of a chunk */
    int groups;
    float eps;
} stats_job;

static void sum_chunk(void *arg, size_t index, int thread)
{
    const stats_job *j = arg;
    const vbg_tensor *x = j->x;
    size_t n = index / j->chunks, chunk = index % j->chunks, cols = (size_t)x->c;
    size_t w = (size_t)x->w, h = (size_t)x->h;
    size_t y0 = chunk * j->rows, y1 = y0 + j->rows < h ? y0 + j->rows : h;
    double *sum = j->sums + index * 2 * cols;
    vbg_row_io io = { .x = vbg_row_at(x, (n * h + y0) * w),
                      .ldx = x->ld,
                      .xt = x->dtype,
                      .rows = (y1 - y0) * w,
                      .cols = cols };

    (void)thread;
    for (size_t i = 0; i < 2 * cols; i++)
        sum[i] = 0;
    j->k->norm.channel_sums(sum, sum + cols, j->first ? j->first + n * cols : NULL, &io,
                            w);
}

/* Mean and variance of channels [c0, c1) of image n, each summed around its own
 * first value f:  sum (x-m)^2 = sq - 2 (m-f) sum + count (m-f)^2. */
static void group_factors(const stats_job *j, size_t n, size_t c0, size_t c1)
{
    size_t cols = (size_t)j->x->c, first = n * cols;
    double count = (double)j->x->h * (double)j->x->w;
    double total = count * (double)(c1 - c0), mean = 0, var = 0;
    const double *sum = j->sums + n * j->chunks * 2 * cols, *sq = sum + cols;

    for (size_t i = c0; i < c1; i++)
        mean += (sum[i] + count * (double)j->first[first + i]) / total;
    for (size_t i = c0; i < c1; i++) {
        double off = mean - (double)j->first[first + i];
        var += (sq[i] - 2 * off * sum[i] + count * off * off) / total;
    }
    double rstd = 1 / sqrt((var > 0 ? var : var != var ? var : 0) + (double)j->eps);
    for (size_t i = c0; i < c1; i++) {
        double scale = rstd * (j->w->gamma ? (double)j->w->gamma[i] : 1);
        j->scale[first + i] = (float)scale;
        j->shift[first + i] =
            (float)((j->w->beta ? (double)j->w->beta[i] : 0) - mean * scale);
    }
}

/* Adds the chunks of image n to its first one, in order. */
static void add_chunks(double *sums, size_t chunks, size_t count)
{
    for (size_t k = 1; k < chunks; k++)
        for (size_t i = 0; i < count; i++)
            sums[i] += sums[k * count + i];
}

static void finish_image(void *arg, size_t n, int thread)
{
    const stats_job *j = arg;
    size_t cols = (size_t)j->x->c, per = cols / (size_t)j->groups;

    (void)thread;
    add_chunks(j->sums + n * j->chunks * 2 * cols, j->chunks, 2 * cols);
    for (size_t g = 0; g < (size_t)j->groups; g++)
        group_factors(j, n, g * per, (g + 1) * per);
}

static void first_pixels(const stats_job *j)
{
    size_t cols = (size_t)j->x->c, pixels = (size_t)j->x->h * (size_t)j->x->w;

    for (size_t n = 0; n < (size_t)j->x->n; n++)
        j->k->pointwise.convert(j->first + n * cols, VBG_F32,
                                vbg_row_at(j->x, n * pixels), j->x->dtype, cols);
}

static stats_job stats_of(vbg_ctx *c, const vbg_tensor *x)
{
    size_t row = (size_t)x->w * (size_t)x->c;
    stats_job s = { .k = vbg_ctx_kernels(c), .x = x };

    s.rows = row < CHUNK_ELEMENTS ? CHUNK_ELEMENTS / row : 1;
    s.chunks = ((size_t)x->h + s.rows - 1) / s.rows;
    s.sums = vbg_new_typed(c, VBG_F64, x->n, (int)s.chunks, 2, x->c)->data;
    return s;
}

vbg_tensor *vbg_group_norm(vbg_ctx *c, const vbg_tensor *x, const vbg_norm_w *w,
                           int groups, float eps, vbg_act act)
{
    check_weights("group norm", x, w);
    VBG_CHECK(groups > 0 && x->c % groups == 0, "%d groups of %d channels", groups, x->c);
    vbg_scope_open(c);
    vbg_tensor *y = vbg_new(c, x->n, x->h, x->w, x->c);
    stats_job s = stats_of(c, x);
    float *f = vbg_new_typed(c, VBG_F32, x->n, 3, 1, x->c)->data;

    s.w = w;
    s.groups = groups;
    s.eps = eps;
    if (!vbg_planning(c)) {
        s.first = f;
        s.scale = f + (size_t)x->n * (size_t)x->c;
        s.shift = s.scale + (size_t)x->n * (size_t)x->c;
        first_pixels(&s);
        vbg_parallel(c, (size_t)x->n * s.chunks, sum_chunk, &s);
        vbg_parallel(c, (size_t)x->n, finish_image, &s);
        norm_job j = { .k = s.k,
                       .x = x,
                       .y = y,
                       .scale = s.scale,
                       .shift = s.shift,
                       .per_image = true,
                       .act = act };
        vbg_parallel_rows(c, vbg_rows(x), (size_t)x->c, scale_rows, &j);
    }
    return vbg_scope_close(c, y);
}

vbg_tensor *vbg_global_mean(vbg_ctx *c, const vbg_tensor *x)
{
    VBG_CHECK(vbg_is_float_act(x), "mean of %s", vbg_dtype_name(x->dtype));
    vbg_scope_open(c);
    vbg_tensor *y = vbg_new_typed(c, x->dtype, x->n, 1, 1, x->c);
    stats_job s = stats_of(c, x);
    size_t cols = (size_t)x->c;

    if (!vbg_planning(c)) {
        vbg_parallel(c, (size_t)x->n * s.chunks, sum_chunk, &s);
        for (size_t n = 0; n < (size_t)x->n; n++) {
            const double *sum = s.sums + n * s.chunks * 2 * cols;
            add_chunks(s.sums + n * s.chunks * 2 * cols, s.chunks, 2 * cols);
            for (size_t i = 0; i < cols; i++) {
                float v = (float)(sum[i] / ((double)x->h * (double)x->w));
                if (y->dtype == VBG_BF16)
                    ((uint16_t *)y->data)[n * cols + i] = vbg_f32_to_bf16(v);
                else
                    ((float *)y->data)[n * cols + i] = v;
            }
        }
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
    return j.y;
}
