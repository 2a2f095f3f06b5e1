/* The head that only training has: from the up block at half the latents' size a 1x1
 * convolution says which region of the clean picture each cell shows and how far away it
 * is.  A network that has to know what stands where learns to draw it sooner (Yu et al.
 * 2025, where the features of a foreign network are matched; here the renderer's own
 * knowledge does).  It is no part of the exported model. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/op_util.h"
#include "tools/train/base_unet.h"

enum { OUT = VBG_TRUTH_REGIONS + 1 }; /* logits of the regions, then log(metres) */

/* Above this share of the schedule nothing of the picture is left to be seen. */
static const double LAST_TIME = 0.8;

vbg_status vbg_base_aux_bind(vbg_base *b, vbg_err *err)
{
    const vbg_unet_config *g = &b->unet.cfg;
    vbg_bind bind;

    if (b->aux <= 0 || !b->latents.truth_side)
        return VBG_OK;
    if (g->levels < 2)
        return vbg_fail(err, VBG_EFORMAT,
                        "config: --aux needs a UNet of two levels at least");
    vbg_params_select(b->loop.params, "aux", "*", true);
    vbg_bind_start(&bind, b->file, "aux");
    vbg_bind_layer(&bind, &b->head, OUT, g->width[1], 1, 1, VBG_BIND_BIAS, "head");
    return vbg_bind_finish(&bind, err);
}

void vbg_base_aux_fill(const vbg_base *b, vbg_base_batch *s, size_t i, size_t picture,
                       bool mirrored)
{
    const size_t cells = (size_t)b->latents.truth_side * (size_t)b->latents.truth_side;

    if (!b->head.data)
        return;
    vbg_latents_truth(&b->latents, picture, mirrored, s->label + i * cells,
                      s->depth + i * cells);
    for (size_t k = i * cells;
         k < (i + 1) * cells && s->time[i] >= LAST_TIME * b->schedule.train_steps; k++) {
        s->label[k] = VBG_TRUTH_NONE;
        s->depth[k] = NAN;
    }
}

/* ---- loss ---- */

typedef struct aux_job {
    const vbg_tensor *y;
    vbg_tensor *dy;
    const uint8_t *label;
    const float *depth;
    double weight;
    double *sum; /* [n][2]: cross entropy, depth */
} aux_job;

/* Smooth L1 of Huber with its kink at 1. */
static double smooth(double d, double *slope)
{
    *slope = fabs(d) < 1 ? d : d > 0 ? 1 : -1;
    return fabs(d) < 1 ? d * d / 2 : fabs(d) - 0.5;
}

/* Cross entropy of a cell; its gradient times share to d. */
static double cross_entropy(const float *y, int label, double share, float *d)
{
    float e[VBG_TRUTH_REGIONS], most = y[0];
    double sum = 0;

    for (int k = 1; k < VBG_TRUTH_REGIONS; k++)
        most = y[k] > most ? y[k] : most;
    for (int k = 0; k < VBG_TRUTH_REGIONS; k++) {
        e[k] = expf(y[k] - most);
        sum += (double)e[k];
    }
    for (int k = 0; k < VBG_TRUTH_REGIONS; k++)
        d[k] = (float)(share * ((double)e[k] / sum - (k == label)));
    return log(sum) + (double)(most - y[label]);
}

/* Means over the cells of an image that are known, its share in the mean of the images:
 * no count of a whole micro-batch, so that micro-batches and ranks add up.  The images of
 * late times, where nothing is known, are made up for by the others. */
static void one_image(void *arg, size_t n, int thread)
{
    const aux_job *j = arg;
    const size_t cells = (size_t)j->y->h * (size_t)j->y->w, end = (n + 1) * cells;
    double known = 0, deep = 0;

    (void)thread;
    for (size_t i = n * cells; i < end; i++) {
        known += j->label[i] < VBG_TRUTH_REGIONS;
        deep += isfinite(j->depth[i]);
    }
    known *= LAST_TIME * (double)j->y->n;
    deep *= LAST_TIME * (double)j->y->n;
    for (size_t i = n * cells; i < end; i++) {
        const float *y = vbg_row_at(j->y, i);
        float *d = vbg_row_at(j->dy, i);
        double slope;
        memset(d, 0, OUT * sizeof *d);
        if (j->label[i] < VBG_TRUTH_REGIONS)
            j->sum[2 * n] += cross_entropy(y, j->label[i], j->weight / known, d) / known;
        if (isfinite(j->depth[i])) {
            j->sum[2 * n + 1] +=
                smooth((double)(y[OUT - 1] - j->depth[i]), &slope) / deep;
            d[OUT - 1] = (float)(slope * j->weight / deep);
        }
    }
}

/* Both losses, and into dy their gradient times the weight. */
static void aux_loss(vbg_ctx *c, vbg_base_aux *a, const vbg_tensor *y, vbg_tensor *dy)
{
    const size_t n = (size_t)y->n;
    double *sum = calloc(2 * n, sizeof *sum);
    aux_job j = { .y = y,
                  .dy = dy,
                  .label = a->batch->label,
                  .depth = a->batch->depth,
                  .weight = a->base->aux,
                  .sum = sum };

    VBG_CHECK(sum, "out of memory for a loss");
    vbg_parallel(c, n, one_image, &j);
    a->regions = a->depth = 0;
    for (size_t i = 0; i < n; i++) { /* in order: the same for any threads */
        a->regions += sum[2 * i];
        a->depth += sum[2 * i + 1];
    }
    free(sum);
}

/* ---- the place in the network ---- */

/* A coupling that changes nothing: it looks, and seeds the gradient of what it saw. */
static vbg_tensor *look(void *arg, vbg_ctx *c, int place, const vbg_tensor *x)
{
    vbg_base_aux *a = arg;
    const int levels = a->base->unet.cfg.levels;

    if (place == 2 * levels - 1) { /* the up block at half the size, the last but one */
        const vbg_linear_opt f32 = { .f32_out = true };
        vbg_tensor *y = vbg_linear_ex(c, x, &a->base->head, f32);
        vbg_tensor *dy = vbg_new_typed(c, VBG_F32, y->n, y->h, y->w, y->c);
        if (!vbg_planning(c))
            aux_loss(c, a, y, dy);
        vbg_grad_add(c, y, dy);
    }
    return vbg_view(c, x, x->n, x->h, x->w, x->c);
}

vbg_unet_hooks vbg_base_aux_hooks(vbg_base_aux *a, const vbg_base *b,
                                  const vbg_base_batch *s)
{
    *a = (vbg_base_aux){ .base = b, .batch = s };
    return (vbg_unet_hooks){ .arg = a, .couple = look };
}
