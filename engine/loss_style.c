/* Losses of style transfer: Gram matrices and total variation. */
#include "engine/loss.h"

#include <math.h>
#include <string.h>

#include "engine/loss_internal.h"
#include "engine/op_util.h"
#include "engine/ops.h"
#include "engine/tape.h"

/* ---- Gram matrices ---- */

typedef struct gram_job {
    const vbg_tensor *x;
    float *g; /* [n][c][c] */
} gram_job;

/* Row i of image n's matrix. */
static void gram_row(void *arg, size_t index, int thread)
{
    const gram_job *j = arg;
    const vbg_tensor *x = j->x;
    const size_t c = (size_t)x->c, n = index / c, i = index % c;
    const size_t pixels = (size_t)x->h * (size_t)x->w;
    float *out = j->g + index * c;

    (void)thread;
    for (size_t k = 0; k < c; k++) {
        double sum = 0;
        for (size_t p = n * pixels; p < (n + 1) * pixels; p++)
            sum += vbg_loss_get(x, p, i) * vbg_loss_get(x, p, k);
        out[k] = (float)(sum / ((double)pixels * (double)c));
    }
}

typedef struct gram_back_job {
    const vbg_tensor *x, *dy;
    vbg_tensor *dx;
} gram_back_job;

/* dx = x (dG + dG') / (c h w) */
static void gram_back_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const gram_back_job *j = arg;
    const vbg_tensor *x = j->x;
    const size_t c = (size_t)x->c, pixels = (size_t)x->h * (size_t)x->w;
    const double scale = 1 / ((double)pixels * (double)c);

    (void)thread;
    for (size_t r = r0; r < r1; r++) {
        const float *g = (const float *)j->dy->data + r / pixels * c * c;
        for (size_t i = 0; i < c; i++) {
            double sum = 0;
            for (size_t k = 0; k < c; k++)
                sum +=
                    ((double)g[i * c + k] + (double)g[k * c + i]) * vbg_loss_get(x, r, k);
            vbg_loss_put(j->dx, r, i, sum * scale);
        }
    }
}

static void gram_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    vbg_tensor *x = *(vbg_tensor **)arg;
    gram_back_job j = { .x = x,
                        .dy = dy,
                        .dx = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c) };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), 8 * (size_t)x->c * (size_t)x->c, gram_back_rows,
                          &j);
    vbg_grad_add(c, x, j.dx);
}

vbg_tensor *vbg_gram(vbg_ctx *c, const vbg_tensor *x)
{
    vbg_tensor *y = vbg_new_typed(c, VBG_F32, x->n, 1, x->c, x->c);
    gram_job j = { .x = x, .g = y->data };

    VBG_CHECK(vbg_is_float_act(x), "Gram matrix of %s", vbg_dtype_name(x->dtype));
    if (!vbg_planning(c))
        vbg_parallel(c, (size_t)x->n * (size_t)x->c, gram_row, &j);
    if (vbg_needs_grad(c, x)) {
        vbg_tensor **s = vbg_record(c, y, gram_back, sizeof *s);
        if (s)
            *s = vbg_save(c, x);
    }
    return y;
}

/* ---- total variation ---- */

typedef struct variation_job {
    const vbg_tensor *x;
    vbg_tensor *dx;
    double *sums; /* of each row of pixels */
    bool squared;
    double g;
} variation_job;

/* Difference of pixels a and b in channel k: its loss. */
static double change(const variation_job *j, size_t a, size_t b, size_t k)
{
    double d = vbg_loss_get(j->x, a, k) - vbg_loss_get(j->x, b, k);

    return j->squared ? d * d : fabs(d);
}

/* ... and its slope for a; equal neighbours give 0. */
static double slope(const variation_job *j, size_t a, size_t b, size_t k)
{
    double d = vbg_loss_get(j->x, a, k) - vbg_loss_get(j->x, b, k);

    return j->squared ? 2 * d : d > 0 ? 1 : d < 0 ? -1 : 0;
}

static void variation_row(void *arg, size_t row, int thread)
{
    const variation_job *j = arg;
    const size_t w = (size_t)j->x->w, first = row * w;
    const bool last = row % (size_t)j->x->h == (size_t)j->x->h - 1;
    double sum = 0;

    (void)thread;
    for (size_t p = first; p < first + w; p++)
        for (size_t k = 0; k < (size_t)j->x->c; k++) {
            if (p + 1 < first + w)
                sum += change(j, p, p + 1, k);
            if (!last)
                sum += change(j, p, p + w, k);
        }
    j->sums[row] = sum;
}

static void variation_back_row(void *arg, size_t row, int thread)
{
    const variation_job *j = arg;
    const size_t w = (size_t)j->x->w, h = (size_t)j->x->h, y = row % h;

    (void)thread;
    for (size_t i = 0; i < w; i++)
        for (size_t k = 0; k < (size_t)j->x->c; k++) {
            size_t p = row * w + i;
            double d = 0;
            d += i > 0 ? slope(j, p, p - 1, k) : 0;
            d += i + 1 < w ? slope(j, p, p + 1, k) : 0;
            d += y > 0 ? slope(j, p, p - w, k) : 0;
            d += y + 1 < h ? slope(j, p, p + w, k) : 0;
            vbg_loss_put(j->dx, p, k, d * j->g);
        }
}

typedef struct variation_saved {
    vbg_tensor *x;
    bool squared;
} variation_saved;

static void variation_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const variation_saved *s = arg;
    const vbg_tensor *x = s->x;
    variation_job j = { .x = x,
                        .dx = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c),
                        .squared = s->squared };

    if (!vbg_planning(c)) {
        j.g = vbg_loss_get(dy, 0, 0);
        vbg_parallel(c, (size_t)x->n * (size_t)x->h, variation_back_row, &j);
    }
    vbg_grad_add(c, x, j.dx);
}

vbg_tensor *vbg_loss_variation(vbg_ctx *c, const vbg_tensor *x, bool squared)
{
    const size_t rows = (size_t)x->n * (size_t)x->h;
    double sum = 0;

    vbg_scope_open(c);
    vbg_tensor *sums = vbg_new_typed(c, VBG_F64, x->n, x->h, 1, 1);
    variation_job j = { .x = x, .sums = sums->data, .squared = squared };
    if (!vbg_planning(c)) {
        vbg_parallel(c, rows, variation_row, &j);
        for (size_t i = 0; i < rows; i++)
            sum += j.sums[i];
    }
    vbg_tensor *y = vbg_loss_value(c, &sum);
    if (vbg_needs_grad(c, x)) {
        variation_saved *s = vbg_record(c, y, variation_back, sizeof *s);
        if (s)
            *s = (variation_saved){ vbg_save(c, x), squared };
    }
    return vbg_scope_close(c, y);
}
