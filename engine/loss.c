/* Losses by element and by image; those by class are in loss_class.c. */
#include "engine/loss.h"

#include <math.h>

#include "engine/loss_internal.h"
#include "engine/op_util.h"
#include "engine/ops.h"
#include "engine/tape.h"

double vbg_loss_get(const vbg_tensor *t, size_t row, size_t col)
{
    const void *p = vbg_row_at(t, row);

    return t->dtype == VBG_BF16 ? (double)vbg_bf16_to_f32(((const uint16_t *)p)[col])
                                : (double)((const float *)p)[col];
}

void vbg_loss_put(const vbg_tensor *t, size_t row, size_t col, double v)
{
    void *p = vbg_row_at(t, row);

    if (t->dtype == VBG_BF16)
        ((uint16_t *)p)[col] = vbg_f32_to_bf16((float)v);
    else
        ((float *)p)[col] = (float)v;
}

vbg_tensor *vbg_loss_value(vbg_ctx *c, const double *value)
{
    vbg_tensor *y = vbg_new_typed(c, VBG_F32, 1, 1, 1, 1);

    if (!vbg_planning(c))
        *(float *)y->data = (float)*value;
    return y;
}

/* ---- sums over elements ---- */

typedef enum kind { SQUARE, ABSOLUTE, SMOOTH, BINARY, DICE } kind;

enum { SUMS = 2, CHUNK = 1 << 14 }; /* sums of a chunk; its elements, about */

typedef struct element_job {
    const vbg_tensor *x, *target, *factor;
    kind kind;
    size_t rows, chunks; /* of an image: rows of a chunk, chunks */
    double *sums;        /* [n][chunks][SUMS] */
    vbg_tensor *dx;
    const double *scale; /* backward: of each image, [n][SUMS] */
} element_job;

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

static double value_of(kind k, double x, double t)
{
    double d = fabs(x - t);

    switch (k) {
    case SQUARE:
        return d * d;
    case ABSOLUTE:
        return d;
    case SMOOTH:
        return d < 1 ? 0.5 * d * d : d - 0.5;
    default:
        return (x > 0 ? x : 0) - x * t + log1p(exp(-fabs(x)));
    }
}

static double slope_of(kind k, double x, double t)
{
    double d = x - t, sign = d > 0 ? 1 : d < 0 ? -1 : 0;

    switch (k) {
    case SQUARE:
        return 2 * d;
    case ABSOLUTE:
        return sign;
    case SMOOTH:
        return fabs(d) < 1 ? d : sign;
    default:
        return logistic(x) - t;
    }
}

/* The rows of chunk `index` of its image. */
typedef struct run {
    size_t image, r0, r1;
} run;

static run run_of(const element_job *j, size_t index)
{
    size_t pixels = (size_t)j->x->h * (size_t)j->x->w;
    run r = { .image = index / j->chunks };
    size_t first = index % j->chunks * j->rows, end = first + j->rows;

    r.r0 = r.image * pixels + first;
    r.r1 = r.image * pixels + (end < pixels ? end : pixels);
    return r;
}

static void sum_chunk(void *arg, size_t index, int thread)
{
    const element_job *j = arg;
    run r = run_of(j, index);
    double sum = 0, total = 0;

    (void)thread;
    for (size_t i = r.r0; i < r.r1; i++)
        for (size_t k = 0; k < (size_t)j->x->c; k++) {
            double x = vbg_loss_get(j->x, i, k), t = vbg_loss_get(j->target, i, k);
            if (j->kind == DICE) {
                double p = logistic(x);
                sum += p * t;
                total += p + t;
            } else {
                sum += value_of(j->kind, x, t);
            }
        }
    j->sums[index * SUMS] = sum;
    j->sums[index * SUMS + 1] = total;
}

/* dx = scale[0] * slope, or p (1-p) (scale[0] t + scale[1]). */
static void slope_chunk(void *arg, size_t index, int thread)
{
    const element_job *j = arg;
    run r = run_of(j, index);
    const double *scale = j->scale + r.image * SUMS;

    (void)thread;
    for (size_t i = r.r0; i < r.r1; i++)
        for (size_t k = 0; k < (size_t)j->x->c; k++) {
            double x = vbg_loss_get(j->x, i, k), t = vbg_loss_get(j->target, i, k);
            double d;
            if (j->kind == DICE) {
                double p = logistic(x);
                d = p * logistic(-x) * (scale[0] * t + scale[1]);
            } else {
                d = scale[0] * slope_of(j->kind, x, t);
            }
            vbg_loss_put(j->dx, i, k, d);
        }
}

typedef struct element_saved {
    vbg_tensor *x, *target;
    vbg_tensor *scale; /* f64 [n][SUMS]: of each image for a loss gradient of 1 */
    kind kind;
} element_saved;

static element_job job_of(const vbg_tensor *x, const vbg_tensor *target, kind k)
{
    size_t pixels = (size_t)x->h * (size_t)x->w, rows = CHUNK / (size_t)x->c;
    element_job j = { .x = x, .target = target, .kind = k, .rows = rows ? rows : 1 };

    j.chunks = (pixels + j.rows - 1) / j.rows;
    return j;
}

static void element_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const element_saved *s = arg;
    const vbg_tensor *x = s->x;
    element_job j = job_of(x, s->target, s->kind);
    size_t n = (size_t)x->n;
    vbg_tensor *scale = vbg_new_typed(c, VBG_F64, 1, 1, x->n, SUMS);

    j.dx = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c);
    if (!vbg_planning(c)) {
        double g = vbg_loss_get(dy, 0, 0), *to = scale->data;
        for (size_t i = 0; i < n * SUMS; i++)
            to[i] = g * ((const double *)s->scale->data)[i];
        j.scale = to;
        vbg_parallel(c, n * j.chunks, slope_chunk, &j);
    }
    vbg_grad_add(c, x, j.dx);
}

/* Loss and slopes out of the sums of image i. */
static double finish_image(const element_job *j, size_t i, const double *sum,
                           double *scale)
{
    size_t n = (size_t)j->x->n;

    if (j->kind == DICE) {
        double all = sum[1] + 1e-5;
        scale[0] = -2 / (all * (double)n);
        scale[1] = 2 * sum[0] / (all * all * (double)n);
        return (1 - 2 * sum[0] / all) / (double)n;
    }
    double f = j->factor ? vbg_loss_get(j->factor, i, 0) : 1;
    scale[0] = f / ((double)vbg_rows(j->x) * (double)j->x->c);
    scale[1] = 0;
    return sum[0] * scale[0];
}

static double finish(const element_job *j, double *scale)
{
    double loss = 0;

    for (size_t i = 0; i < (size_t)j->x->n; i++) {
        double sum[SUMS] = { 0 };
        for (size_t k = 0; k < j->chunks; k++)
            for (size_t s = 0; s < SUMS; s++)
                sum[s] += j->sums[(i * j->chunks + k) * SUMS + s];
        loss += finish_image(j, i, sum, scale + i * SUMS);
    }
    return loss;
}

static vbg_tensor *element_loss(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *target,
                                const vbg_tensor *factor, kind what)
{
    element_job j = job_of(x, target, what);
    double loss = 0;

    VBG_CHECK(vbg_rows(x) == vbg_rows(target) && x->n == target->n && x->c == target->c &&
                  vbg_is_float_act(x) && vbg_is_float_act(target),
              "loss of [%d,%d,%d,%d] %s against [%d,%d,%d,%d] %s", x->n, x->h, x->w, x->c,
              vbg_dtype_name(x->dtype), target->n, target->h, target->w, target->c,
              vbg_dtype_name(target->dtype));
    VBG_CHECK(!factor || (factor->n == x->n && vbg_rows(factor) == (size_t)x->n),
              "%d factors for %d images", factor->n, x->n);
    vbg_scope_open(c);
    j.factor = factor;
    vbg_tensor *sums = vbg_new_typed(c, VBG_F64, 1, x->n, (int)j.chunks, SUMS);
    vbg_tensor *scale = vbg_new_typed(c, VBG_F64, 1, 1, x->n, SUMS);
    j.sums = sums->data;
    if (!vbg_planning(c)) {
        vbg_parallel(c, (size_t)x->n * j.chunks, sum_chunk, &j);
        loss = finish(&j, scale->data);
    }
    vbg_tensor *y = vbg_loss_value(c, &loss);
    if (vbg_needs_grad(c, x)) {
        element_saved *s = vbg_record(c, y, element_back, sizeof *s);
        if (s)
            *s = (element_saved){ vbg_save(c, x), vbg_save(c, target), vbg_save(c, scale),
                                  what };
    }
    return vbg_scope_close(c, y);
}

vbg_tensor *vbg_loss_mse(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *target)
{
    return element_loss(c, x, target, NULL, SQUARE);
}

vbg_tensor *vbg_loss_mse_weighted(vbg_ctx *c, const vbg_tensor *x,
                                  const vbg_tensor *target, const vbg_tensor *factor)
{
    return element_loss(c, x, target, factor, SQUARE);
}

vbg_tensor *vbg_loss_l1(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *target)
{
    return element_loss(c, x, target, NULL, ABSOLUTE);
}

vbg_tensor *vbg_loss_smooth_l1(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *target)
{
    return element_loss(c, x, target, NULL, SMOOTH);
}

vbg_tensor *vbg_loss_bce(vbg_ctx *c, const vbg_tensor *logits, const vbg_tensor *target)
{
    return element_loss(c, logits, target, NULL, BINARY);
}

vbg_tensor *vbg_loss_dice(vbg_ctx *c, const vbg_tensor *logits, const vbg_tensor *target)
{
    return element_loss(c, logits, target, NULL, DICE);
}

vbg_tensor *vbg_loss_sum(vbg_ctx *c, vbg_tensor *const *terms, const float *weight, int n)
{
    VBG_CHECK(n > 0, "sum of %d losses", n);
    vbg_scope_open(c);
    vbg_tensor *y = vbg_affine(c, terms[0], weight[0], 0);
    for (int i = 1; i < n; i++)
        y = vbg_add(c, y, vbg_affine(c, terms[i], weight[i], 0), VBG_ACT_NONE);
    return vbg_scope_close(c, y);
}
