/* Cross entropy over classes, of all pixels or of the hard ones. */
#include "engine/loss.h"

#include <math.h>
#include <string.h>

#include "engine/loss_internal.h"
#include "engine/op_util.h"
#include "engine/tape.h"

/* Of each pixel: log of the sum of the exponentials, loss, and its share in the result's
 * gradient. */
typedef struct class_job {
    const vbg_tensor *x, *labels;
    int ignore;
    double *lse, *loss;
    float *share;
    const float *weight;
    vbg_tensor *dx;
    double g;
} class_job;

static int label_at(const vbg_tensor *labels, size_t row)
{
    const void *p = vbg_row_at(labels, row);

    return labels->dtype == VBG_U8 ? *(const uint8_t *)p : *(const int32_t *)p;
}

static void loss_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const class_job *j = arg;
    const size_t classes = (size_t)j->x->c;

    (void)thread;
    for (size_t r = r0; r < r1; r++) {
        int label = label_at(j->labels, r);
        double max = -INFINITY, sum = 0;
        j->loss[r] = j->lse[r] = 0;
        j->share[r] = 0;
        if (label == j->ignore)
            continue;
        VBG_CHECK(label >= 0 && label < j->x->c, "label %d of %d classes", label,
                  j->x->c);
        for (size_t k = 0; k < classes; k++)
            max = fmax(max, vbg_loss_get(j->x, r, k));
        for (size_t k = 0; k < classes; k++)
            sum += exp(vbg_loss_get(j->x, r, k) - max);
        j->lse[r] = max + log(sum);
        j->loss[r] = max - vbg_loss_get(j->x, r, (size_t)label) + log(sum);
        j->share[r] = j->weight ? j->weight[label] : 1;
    }
}

static void slope_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const class_job *j = arg;
    const size_t classes = (size_t)j->x->c;

    (void)thread;
    for (size_t r = r0; r < r1; r++) {
        double share = (double)j->share[r] * j->g;
        int label = label_at(j->labels, r);
        for (size_t k = 0; k < classes; k++) {
            double p = 0;
            if (share != 0)
                p = exp(vbg_loss_get(j->x, r, k) - j->lse[r]) - ((int)k == label);
            vbg_loss_put(j->dx, r, k, p * share);
        }
    }
}

typedef struct class_saved {
    vbg_tensor *x, *labels, *lse, *share;
} class_saved;

static void class_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const class_saved *s = arg;
    const vbg_tensor *x = s->x;
    class_job j = { .x = x,
                    .labels = s->labels,
                    .lse = s->lse->data,
                    .share = s->share->data,
                    .dx = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c) };

    if (!vbg_planning(c)) {
        j.g = vbg_loss_get(dy, 0, 0);
        vbg_parallel_rows(c, vbg_rows(x), 8 * (size_t)x->c, slope_rows, &j);
    }
    vbg_grad_add(c, x, j.dx);
}

/* The loss out of what is known of each pixel; sets the shares. */
typedef double finish_fn(vbg_ctx *c, class_job *j, size_t rows, void *arg);

static vbg_tensor *class_loss(vbg_ctx *c, class_job j, finish_fn *finish, void *arg)
{
    const vbg_tensor *x = j.x, *labels = j.labels;
    size_t rows = vbg_rows(x);
    double loss = 0;

    VBG_CHECK(vbg_rows(labels) == rows && labels->c == 1 && vbg_is_float_act(x) &&
                  (labels->dtype == VBG_U8 || labels->dtype == VBG_I32),
              "labels [%d,%d,%d,%d] %s for [%d,%d,%d,%d] %s", labels->n, labels->h,
              labels->w, labels->c, vbg_dtype_name(labels->dtype), x->n, x->h, x->w, x->c,
              vbg_dtype_name(x->dtype));
    vbg_scope_open(c);
    vbg_tensor *lse = vbg_new_typed(c, VBG_F64, x->n, x->h, x->w, 1);
    vbg_tensor *each = vbg_new_typed(c, VBG_F64, x->n, x->h, x->w, 1);
    vbg_tensor *share = vbg_new_typed(c, VBG_F32, x->n, x->h, x->w, 1);
    j.lse = lse->data;
    j.loss = each->data;
    j.share = share->data;
    if (!vbg_planning(c)) {
        vbg_parallel_rows(c, rows, 8 * (size_t)x->c, loss_rows, &j);
        loss = finish(c, &j, rows, arg);
    }
    vbg_tensor *y = vbg_loss_value(c, &loss);
    if (vbg_needs_grad(c, x)) {
        class_saved *s = vbg_record(c, y, class_back, sizeof *s);
        if (s)
            *s = (class_saved){ vbg_save(c, x), vbg_save(c, labels), vbg_save(c, lse),
                                vbg_save(c, share) };
    }
    return vbg_scope_close(c, y);
}

static double finish_mean(vbg_ctx *c, class_job *j, size_t rows, void *arg)
{
    double sum = 0, weight = 0;

    (void)arg;
    for (size_t r = 0; r < rows; r++) {
        sum += (double)j->share[r] * j->loss[r];
        weight += (double)j->share[r];
    }
    vbg_share_mean(c, &weight, 1);
    for (size_t r = 0; r < rows; r++)
        j->share[r] = weight > 0 ? (float)((double)j->share[r] / weight) : 0;
    return weight > 0 ? sum / weight : 0;
}

vbg_tensor *vbg_loss_cross_entropy(vbg_ctx *c, const vbg_tensor *logits,
                                   const vbg_tensor *labels, vbg_cross_entropy_opt opt)
{
    class_job j = {
        .x = logits, .labels = labels, .ignore = opt.ignore, .weight = opt.weight
    };

    return class_loss(c, j, finish_mean, NULL);
}

/* The k-th largest (k >= 1) of v[n], which is reordered. */
static double kth_largest(double *v, size_t n, size_t k)
{
    size_t low = 0, high = n - 1;

    k--;
    while (low < high) {
        double pivot = v[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;;) { /* Hoare: larger ones to the left */
            while (v[i] > pivot)
                i++;
            while (v[j] < pivot)
                j--;
            if (i >= j)
                break;
            double t = v[i];
            v[i++] = v[j];
            v[j--] = t;
        }
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
    return v[k];
}

typedef struct hard {
    double above;
    double *copy; /* [rows] */
    int64_t *kept;
} hard;

static double finish_hard(vbg_ctx *c, class_job *j, size_t rows, void *arg)
{
    const hard *h = arg;
    size_t valid = 0, over = 0, ties = 0;
    double limit = h->above, sum = 0;

    (void)c;
    for (size_t r = 0; r < rows; r++) {
        valid += j->share[r] > 0;
        over += j->loss[r] > limit;
    }
    if (over < valid / 16) {
        over = valid / 16;
        memcpy(h->copy, j->loss, rows * sizeof *h->copy);
        limit = kth_largest(h->copy, rows, over);
        ties = over;
        for (size_t r = 0; r < rows; r++)
            ties -= j->loss[r] > limit;
    }
    for (size_t r = 0; r < rows; r++) {
        bool keep = j->loss[r] > limit;
        if (j->loss[r] == limit && ties > 0 && j->share[r] > 0) {
            keep = true;
            ties--;
        }
        sum += keep ? j->loss[r] : 0;
        j->share[r] = keep ? 1 / (float)over : 0;
    }
    if (h->kept)
        *h->kept = (int64_t)over;
    return over ? sum / (double)over : 0;
}

vbg_tensor *vbg_loss_ohem(vbg_ctx *c, const vbg_tensor *logits, const vbg_tensor *labels,
                          vbg_ohem_opt opt)
{
    class_job j = { .x = logits, .labels = labels, .ignore = opt.ignore };
    hard h = { .above = -log((double)opt.threshold), .kept = opt.kept };

    vbg_scope_open(c);
    vbg_tensor *copy = vbg_new_typed(c, VBG_F64, logits->n, logits->h, logits->w, 1);
    h.copy = copy->data;
    return vbg_scope_close(c, class_loss(c, j, finish_hard, &h));
}
