/* The way back through the norms; forward in op_norm.c, formulas in kernels/norm.h.
 *
 * Sums over pixels are f32 within an image row or a short run of rows and f64 beyond,
 * added in an order that only the shape decides. */
#include "engine/op_norm.h"

#include <string.h>

/* Rows of a chunk of layer norm: a bound on f32 sums of parameter gradients. */
enum { LAYER_ROWS = 64, CHANNELS = 64 };

/* dst[i] += from[i] */
static void add_grad(vbg_param *p, const double *from)
{
    if (p)
        for (size_t i = 0; i < p->count; i++)
            p->grad[i] = (float)((double)p->grad[i] + from[i]);
}

static bool any_grad(const vbg_ctx *c, const vbg_tensor *x, const float *gamma,
                     const float *beta)
{
    return vbg_needs_grad(c, x) || vbg_trainable(c, gamma) || vbg_trainable(c, beta);
}

/* ---- layer norm ---- */

typedef struct layer_saved {
    const vbg_tensor *x;
    vbg_norm_w w;
    float eps;
} layer_saved;

typedef struct layer_job {
    const vbg_kernels *k;
    const layer_saved *s;
    const vbg_tensor *dy, *plus; /* plus: the gradient so far, or NULL */
    vbg_tensor *dx;
    float *sums;   /* [chunks][2][c] or NULL */
    double *total; /* [2][c] */
    size_t chunks, rows, cols;
} layer_job;

/* Row r of a gradient so far of rows of cols, whatever its shape. */
static const void *plus_row(const vbg_tensor *plus, size_t r, size_t cols)
{
    return plus ? (const char *)plus->data + r * cols * vbg_dtype_size(plus->dtype)
                : NULL;
}

static void layer_chunk(void *arg, size_t index, int thread)
{
    const layer_job *j = arg;
    const vbg_tensor *x = j->s->x;
    const size_t r0 = index * j->rows, all = vbg_rows(x);
    float *sum = j->sums ? j->sums + index * 2 * j->cols : NULL;
    vbg_norm_back b = { .x = vbg_row_at(x, r0),
                        .dy = vbg_row_at(j->dy, r0),
                        .dx = j->dx ? vbg_row_at(j->dx, r0) : NULL,
                        .ldx = x->ld,
                        .lddy = j->dy->ld,
                        .lddx = j->cols,
                        .plus = plus_row(j->plus, r0, j->cols),
                        .ldplus = j->cols,
                        .rows = all - r0 < j->rows ? all - r0 : j->rows,
                        .cols = j->cols,
                        .xt = x->dtype,
                        .yt = j->dy->dtype };

    (void)thread;
    for (size_t i = 0; sum && i < 2 * j->cols; i++)
        sum[i] = 0;
    j->k->norm.layer_back(&b, j->s->w.gamma, j->s->eps, sum, sum ? sum + j->cols : NULL);
}

/* A run of channels of the parameters' sums. */
static void layer_total(void *arg, size_t index, int thread)
{
    const layer_job *j = arg;
    const size_t i0 = index * CHANNELS, n = 2 * j->cols;
    const size_t i1 = i0 + CHANNELS < n ? i0 + CHANNELS : n;

    (void)thread;
    for (size_t i = i0; i < i1; i++)
        j->total[i] = 0;
    for (size_t k = 0; k < j->chunks; k++)
        for (size_t i = i0; i < i1; i++)
            j->total[i] += (double)j->sums[k * n + i];
}

static void layer_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const layer_saved *s = arg;
    const vbg_tensor *x = s->x;
    vbg_param *gamma = vbg_trainable(c, s->w.gamma), *beta = vbg_trainable(c, s->w.beta);
    const bool params = gamma || beta;
    layer_job j = { .k = vbg_ctx_kernels(c), .s = s, .dy = dy, .cols = (size_t)x->c };

    j.rows = LAYER_ROWS;
    j.chunks = (vbg_rows(x) + j.rows - 1) / j.rows;
    if (vbg_needs_grad(c, x)) {
        j.dx = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c);
        j.plus = vbg_grad_so_far(c, x);
    }
    if (params) {
        j.sums = vbg_new_typed(c, VBG_F32, 1, (int)j.chunks, 2, x->c)->data;
        j.total = vbg_new_typed(c, VBG_F64, 1, 1, 2, x->c)->data;
    }
    if (!vbg_planning(c)) {
        vbg_parallel(c, j.chunks, layer_chunk, &j);
        if (params) {
            vbg_parallel(c, (2 * j.cols + CHANNELS - 1) / CHANNELS, layer_total, &j);
            add_grad(gamma, j.total);
            add_grad(beta, j.total + j.cols);
        }
    }
    if (j.dx)
        vbg_grad_replace(c, x, j.dx);
}

void vbg_record_layer_norm(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x,
                           const vbg_norm_w *w, float eps)
{
    if (!any_grad(c, x, w->gamma, w->beta))
        return;
    layer_saved *s = vbg_record(c, y, layer_back, sizeof *s);
    if (s)
        *s = (layer_saved){ .x = vbg_save(c, x), .w = *w, .eps = eps };
}

/* ---- group norm, batch norm, scale and shift ---- */

typedef struct norm_saved {
    const vbg_tensor *x, *res; /* res may be NULL */
    vbg_norm_stats s;          /* no factors: scale_shift */
    vbg_norm_w w;              /* of scale_shift: scale and shift */
    vbg_act act;
} norm_saved;

typedef struct norm_job {
    const vbg_kernels *k;
    const norm_saved *s;
    const vbg_tensor *x, *dy, *plus; /* plus: the gradient so far, or NULL */
    vbg_tensor *dx, *dres;
    vbg_chunks cut;
    double *sums;   /* [n][chunks][2][c] */
    float *factors; /* [n][3][c]: of dz, of x - centre, constant */
} norm_job;

static const float *row_of(const norm_saved *s, int row, size_t n)
{
    if (s->s.factors)
        return vbg_norm_row(&s->s, row, n);
    return row == VBG_NORM_SCALE ? s->w.gamma : row == VBG_NORM_SHIFT ? s->w.beta : NULL;
}

/* Pixels of a chunk. */
static vbg_norm_back back_of(const norm_job *j, const vbg_chunk *k)
{
    const norm_saved *s = j->s;

    return (vbg_norm_back){ .x = vbg_row_at(j->x, k->first),
                            .dy = vbg_row_at(j->dy, k->first),
                            .res = s->res ? vbg_row_at(s->res, k->first) : NULL,
                            .dx = j->dx ? vbg_row_at(j->dx, k->first) : NULL,
                            .dres = j->dres ? vbg_row_at(j->dres, k->first) : NULL,
                            .ldx = j->x->ld,
                            .lddy = j->dy->ld,
                            .ldres = s->res ? s->res->ld : 0,
                            .lddx = j->dx ? j->dx->ld : 0,
                            .lddres = j->dres ? j->dres->ld : 0,
                            .plus = plus_row(j->plus, k->first, (size_t)j->x->c),
                            .ldplus = (size_t)j->x->c,
                            .rows = k->rows,
                            .cols = (size_t)j->x->c,
                            .xt = j->x->dtype,
                            .yt = j->dy->dtype,
                            .scale = row_of(s, VBG_NORM_SCALE, k->image),
                            .shift = row_of(s, VBG_NORM_SHIFT, k->image),
                            .centre = row_of(s, VBG_NORM_CENTRE, k->image),
                            .act = s->act };
}

static void sum_chunk(void *arg, size_t index, int thread)
{
    const norm_job *j = arg;
    const vbg_chunk k = vbg_chunk_at(j->cut, j->x, index);
    const size_t cols = (size_t)j->x->c;
    const vbg_norm_back b = back_of(j, &k);
    double *sum = j->sums + index * 2 * cols;

    (void)thread;
    for (size_t i = 0; i < 2 * cols; i++)
        sum[i] = 0;
    j->k->norm.back_sums(sum, sum + cols, &b, (size_t)j->x->w);
}

/* The sums of channel products of image n, now around the mean. */
static void centre_sums(const norm_job *j, size_t n, size_t g)
{
    const vbg_norm_stats *s = &j->s->s;
    const size_t cols = (size_t)j->x->c, per = cols / (size_t)s->groups;
    const double *m = vbg_norm_moments(s, n, g);
    const float *centre = vbg_norm_row(s, VBG_NORM_CENTRE, n);
    double *sum = j->sums + n * j->cut.count * 2 * cols, *sumx = sum + cols;

    for (size_t i = g * per; i < (g + 1) * per; i++)
        sumx[i] = m[1] * (sumx[i] + ((double)centre[i] - m[0]) * sum[i]);
}

/* Factors of group g of image n from sum[2][c].  With N values in the group, n = (x -
 * mean)*rstd: dx = rstd*(gamma dz - sum(gamma dz)/N - n sum(gamma dz n)/N) */
static void group_back(const norm_job *j, size_t n, size_t g, const double *sum)
{
    const vbg_norm_stats *s = &j->s->s;
    const size_t cols = (size_t)j->x->c, per = cols / (size_t)s->groups;
    const double *m = vbg_norm_moments(s, n, g);
    const double total =
        (double)j->x->h * (double)j->x->w * (double)per * vbg_max_int(s->sharers, 1);
    const float *centre = vbg_norm_row(s, VBG_NORM_CENTRE, n), *gamma = j->s->w.gamma;
    double s1 = 0, s2 = 0;

    for (size_t i = g * per; i < (g + 1) * per; i++) {
        s1 += sum[i] * (gamma ? (double)gamma[i] : 1) / total;
        s2 += sum[cols + i] * (gamma ? (double)gamma[i] : 1) / total;
    }
    float *f = j->factors + n * 3 * cols;
    for (size_t i = g * per; i < (g + 1) * per; i++) {
        double fx = s->fixed ? 0 : -m[1] * m[1] * s2;
        double f1 = s->fixed ? 0 : fx * ((double)centre[i] - m[0]) - m[1] * s1;
        f[i] = (float)(m[1] * (gamma ? (double)gamma[i] : 1));
        f[cols + i] = (float)fx;
        f[2 * cols + i] = (float)f1;
    }
}

/* Adds the chunks of image n and makes its factors. */
static void finish_image(void *arg, size_t n, int thread)
{
    const norm_job *j = arg;
    const size_t cols = (size_t)j->x->c;

    (void)thread;
    vbg_add_chunks(j->sums + n * j->cut.count * 2 * cols, j->cut.count, 2 * cols);
    for (size_t g = 0; g < (size_t)j->s->s.groups; g++) {
        centre_sums(j, n, g);
        group_back(j, n, g, j->sums + n * j->cut.count * 2 * cols);
    }
}

/* The same of one image that several processes hold parts of: its own sums stay, for the
 * parameters; all[2][c] gets everybody's. */
static void finish_shared(vbg_ctx *c, const norm_job *j, double *all)
{
    const size_t cols = (size_t)j->x->c;

    vbg_add_chunks(j->sums, j->cut.count, 2 * cols);
    for (size_t g = 0; g < (size_t)j->s->s.groups; g++)
        centre_sums(j, 0, g);
    memcpy(all, j->sums, 2 * cols * sizeof *all);
    vbg_share(c, all, (int)(2 * cols));
    for (size_t g = 0; g < (size_t)j->s->s.groups; g++)
        group_back(j, 0, g, all);
}

static void map_chunk(void *arg, size_t index, int thread)
{
    const norm_job *j = arg;
    const vbg_chunk k = vbg_chunk_at(j->cut, j->x, index);
    const vbg_norm_back b = back_of(j, &k);
    const size_t cols = (size_t)j->x->c;
    const float *f = j->factors ? j->factors + k.image * 3 * cols : NULL;

    (void)thread;
    if (f && !j->s->s.fixed)
        j->k->norm.back_map(&b, f, f + cols, f + 2 * cols);
    else
        j->k->norm.back_map(&b, f ? f : row_of(j->s, VBG_NORM_SCALE, k.image), NULL,
                            NULL);
}

/* Sums, factors and gradient of one image. */
static void whole_image(void *arg, size_t n, int thread)
{
    norm_job *j = arg;

    for (size_t k = 0; k < j->cut.count; k++)
        sum_chunk(j, n * j->cut.count + k, thread);
    finish_image(j, n, thread);
    /* what was read last is still near */
    for (size_t k = j->cut.count; k-- > 0 && (j->dx || j->dres);)
        map_chunk(j, n * j->cut.count + k, thread);
}

/* Parameters' gradients: what the images' first chunks hold now. */
static void param_grads(const norm_job *j, vbg_param *gamma, vbg_param *beta)
{
    const size_t cols = (size_t)j->x->c;
    double *sum = j->sums;

    for (size_t n = 1; n < (size_t)j->x->n; n++)
        for (size_t i = 0; i < 2 * cols; i++)
            sum[i] += j->sums[n * j->cut.count * 2 * cols + i];
    add_grad(gamma, sum + cols);
    add_grad(beta, sum);
}

static void norm_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const norm_saved *s = arg;
    const vbg_tensor *x = s->x;
    vbg_param *gamma = vbg_trainable(c, s->w.gamma), *beta = vbg_trainable(c, s->w.beta);
    const bool stats = s->s.factors != NULL, params = gamma || beta;
    const bool sums = params || (stats && !s->s.fixed && vbg_needs_grad(c, x));
    norm_job j = { .k = vbg_ctx_kernels(c), .s = s, .x = x, .cut = vbg_chunks_of(x) };

    j.dy = vbg_view(c, dy, x->n, x->h, x->w, x->c);
    if (vbg_needs_grad(c, x)) {
        j.dx = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c);
        j.plus = vbg_grad_so_far(c, x);
    }
    if (s->res && vbg_needs_grad(c, s->res))
        j.dres = s->act == VBG_ACT_NONE
                     ? NULL
                     : vbg_new_typed(c, dy->dtype, x->n, x->h, x->w, x->c);
    if (sums) {
        j.sums = vbg_new_typed(c, VBG_F64, x->n, (int)j.cut.count, 2, x->c)->data;
        j.factors = stats ? vbg_new_typed(c, VBG_F32, x->n, 3, 1, x->c)->data : NULL;
    }
    const size_t chunks = (size_t)x->n * j.cut.count;
    const bool shared = s->s.sharers > 1 && sums && stats;
    double *all = shared ? vbg_new_typed(c, VBG_F64, 1, 1, 2, x->c)->data : NULL;
    if (!vbg_planning(c) && sums && stats && !shared && vbg_image_tasks(c, x)) {
        vbg_parallel(c, (size_t)x->n, whole_image, &j);
        if (params)
            param_grads(&j, gamma, beta);
    } else if (!vbg_planning(c)) {
        if (sums)
            vbg_parallel(c, chunks, sum_chunk, &j);
        if (shared)
            finish_shared(c, &j, all);
        else if (sums && stats)
            vbg_parallel(c, (size_t)x->n, finish_image, &j);
        else if (sums)
            for (size_t n = 0; n < (size_t)x->n; n++)
                vbg_add_chunks(j.sums + n * j.cut.count * 2 * (size_t)x->c, j.cut.count,
                               2 * (size_t)x->c);
        if (params)
            param_grads(&j, gamma, beta);
        if (j.dx || j.dres)
            vbg_parallel(c, chunks, map_chunk, &j);
    }
    if (j.dx)
        vbg_grad_replace(c, x, j.dx);
    if (s->res)
        vbg_grad_add(c, s->res, j.dres ? j.dres : dy);
}

void vbg_record_norm(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x,
                     const vbg_norm_stats *st, const vbg_norm_w *w, const vbg_tensor *res,
                     vbg_act act)
{
    if (!any_grad(c, x, w->gamma, w->beta) && !(res && vbg_needs_grad(c, res)))
        return;
    norm_saved *s = vbg_record(c, y, norm_back, sizeof *s);
    if (!s)
        return;
    *s = (norm_saved){ .x = vbg_save(c, x), .s = *st, .w = *w, .act = act };
    vbg_save(c, st->factors);
    vbg_save(c, st->moments);
    if (res)
        s->res = vbg_save(c, res);
}

void vbg_record_scale_shift(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x,
                            const float *scale, const float *shift, vbg_act act)
{
    const vbg_norm_w w = { .gamma = scale, .beta = shift, .c = x->c };

    if (!any_grad(c, x, scale, shift))
        return;
    norm_saved *s = vbg_record(c, y, norm_back, sizeof *s);
    if (s)
        *s = (norm_saved){ .x = vbg_save(c, x), .w = w, .act = act };
}

/* ---- softmax ---- */

typedef struct softmax_saved {
    const vbg_tensor *x;
    vbg_tensor *y;
} softmax_saved;

typedef struct softmax_job {
    const vbg_kernels *k;
    const vbg_tensor *y, *dy;
    vbg_tensor *dx;
} softmax_job;

static void softmax_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const softmax_job *j = arg;
    vbg_norm_back b = { .x = vbg_row_at(j->y, r0),
                        .dy = vbg_row_at(j->dy, r0),
                        .dx = vbg_row_at(j->dx, r0),
                        .ldx = j->y->ld,
                        .lddy = j->dy->ld,
                        .lddx = j->dx->ld,
                        .rows = r1 - r0,
                        .cols = (size_t)j->y->c,
                        .xt = j->y->dtype,
                        .yt = j->dy->dtype };

    (void)thread;
    j->k->norm.softmax_back(&b);
}

static void softmax_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const softmax_saved *s = arg;
    const vbg_tensor *y = s->y;
    softmax_job j = { .k = vbg_ctx_kernels(c), .y = y, .dy = dy };

    j.dx = vbg_new_typed(c, y->dtype, y->n, y->h, y->w, y->c);
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(y), (size_t)y->c, softmax_rows, &j);
    vbg_grad_add(c, s->x, j.dx);
}

void vbg_record_softmax(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x)
{
    if (!vbg_needs_grad(c, x))
        return;
    softmax_saved *s = vbg_record(c, y, softmax_back, sizeof *s);
    if (s)
        *s = (softmax_saved){ .x = vbg_save(c, x), .y = vbg_save(c, y) };
}
