/* Over the channels of each pixel: unit vectors and log softmax.  Both belong to losses
 * and features, are small, and are computed in double. */
#include "engine/loss_internal.h"
#include "engine/op_util.h"
#include "engine/ops.h"
#include "engine/tape.h"

#include <math.h>

typedef struct unit_job {
    const vbg_tensor *x, *dy;
    const vbg_tensor *y; /* result, or dx */
    bool log_softmax;
} unit_job;

static const double SMALLEST = 1e-12; /* length that is divided by at least */

static double length_of(const vbg_tensor *x, size_t r)
{
    double sum = 0;

    for (size_t k = 0; k < (size_t)x->c; k++)
        sum += vbg_loss_get(x, r, k) * vbg_loss_get(x, r, k);
    return fmax(sqrt(sum), SMALLEST);
}

/* log of the sum of the exponentials */
static double log_sum(const vbg_tensor *x, size_t r)
{
    double max = -INFINITY, sum = 0;

    for (size_t k = 0; k < (size_t)x->c; k++)
        max = fmax(max, vbg_loss_get(x, r, k));
    for (size_t k = 0; k < (size_t)x->c; k++)
        sum += exp(vbg_loss_get(x, r, k) - max);
    return max + log(sum);
}

static void unit_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const unit_job *j = arg;

    (void)thread;
    for (size_t r = r0; r < r1; r++) {
        double l = j->log_softmax ? log_sum(j->x, r) : length_of(j->x, r);
        for (size_t k = 0; k < (size_t)j->x->c; k++) {
            double x = vbg_loss_get(j->x, r, k);
            vbg_loss_put(j->y, r, k, j->log_softmax ? x - l : x / l);
        }
    }
}

/* (dy - u (u.dy)) / length for a unit vector u, dy - p sum(dy) for log softmax. */
static void unit_back_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const unit_job *j = arg;

    (void)thread;
    for (size_t r = r0; r < r1; r++) {
        double l = j->log_softmax ? log_sum(j->x, r) : length_of(j->x, r), dot = 0;
        for (size_t k = 0; k < (size_t)j->x->c; k++)
            dot += vbg_loss_get(j->dy, r, k) *
                   (j->log_softmax ? 1 : vbg_loss_get(j->x, r, k) / l);
        for (size_t k = 0; k < (size_t)j->x->c; k++) {
            double x = vbg_loss_get(j->x, r, k), d = vbg_loss_get(j->dy, r, k);
            if (j->log_softmax)
                d -= exp(x - l) * dot;
            else if (l > SMALLEST)
                d = (d - x / l * dot) / l;
            else
                d /= l;
            vbg_loss_put(j->y, r, k, d);
        }
    }
}

typedef struct unit_saved {
    vbg_tensor *x;
    bool log_softmax;
} unit_saved;

static void unit_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const unit_saved *s = arg;
    const vbg_tensor *x = s->x;
    unit_job j = { .x = x,
                   .dy = dy,
                   .y = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c),
                   .log_softmax = s->log_softmax };

    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), 8 * (size_t)x->c, unit_back_rows, &j);
    vbg_grad_add(c, x, j.y);
}

static vbg_tensor *unit(vbg_ctx *c, const vbg_tensor *x, bool log_softmax)
{
    vbg_tensor *y = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c);
    unit_job j = { .x = x, .y = y, .log_softmax = log_softmax };

    VBG_CHECK(vbg_is_float_act(x), "unit vectors of %s", vbg_dtype_name(x->dtype));
    if (!vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(x), 8 * (size_t)x->c, unit_rows, &j);
    if (vbg_needs_grad(c, x)) {
        unit_saved *s = vbg_record(c, y, unit_back, sizeof *s);
        if (s)
            *s = (unit_saved){ vbg_save(c, x), log_softmax };
    }
    return y;
}

vbg_tensor *vbg_unit_vectors(vbg_ctx *c, const vbg_tensor *x)
{
    return unit(c, x, false);
}

vbg_tensor *vbg_log_softmax(vbg_ctx *c, const vbg_tensor *x)
{
    return unit(c, x, true);
}
