/* Sharp borders, still masks; see tools/train/segment_loss.h.
 * Both are sums of |a - b| of alphas, so one table of slopes with respect to alpha is
 * filled together with the value and turned into that of the logits at the end. */
#include "tools/train/segment_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ops.h"

/* ---- band ---- */

/* out[i] = whether any of in[i - radius .. i + radius] is set; step apart. */
static void spread_line(uint8_t *out, const uint8_t *in, int n, int step, int radius)
{
    int set = 0;

    for (int i = 0; i < n + radius; i++) {
        set += i < n && in[i * step];
        if (i > 2 * radius)
            set -= in[(i - 2 * radius - 1) * step];
        if (i >= radius)
            out[(i - radius) * step] = set > 0;
    }
}

void vbg_border_band(uint8_t *band, uint8_t *room, const uint8_t *label, int w, int h,
                     int radius)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const int at = y * w + x;
            band[at] = (x + 1 < w && label[at] != label[at + 1]) ||
                       (y + 1 < h && label[at] != label[at + w]);
        }
    for (int y = 0; y < h; y++)
        spread_line(room + y * w, band + y * w, w, 1, radius);
    for (int x = 0; x < w; x++)
        spread_line(band + x, room + x, h, w, radius);
}

/* ---- values on the tape ---- */

typedef struct saved {
    vbg_tensor x; /* outline of the logits */
    const vbg_tensor *dx;
} saved;

static void scaled_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const saved *s = arg;
    const float weight = vbg_planning(c) ? 0 : *(const float *)dy->data;

    vbg_grad_add(c, &s->x, vbg_affine(c, s->dx, weight, 0));
}

/* The loss `value` whose gradient with respect to x is dx. */
static vbg_tensor *value_of(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *dx,
                            double value)
{
    vbg_tensor *y = vbg_new_typed(c, VBG_F32, 1, 1, 1, 1);

    if (!vbg_planning(c))
        *(float *)y->data = (float)value;
    if (!vbg_needs_grad(c, x))
        return y;
    saved *s = vbg_record(c, y, scaled_back, sizeof *s);
    if (s)
        *s = (saved){ .x = vbg_outline(x), .dx = vbg_save(c, dx) };
    return y;
}

static float sigmoid(float v)
{
    return 1 / (1 + expf(-v));
}

/* What a task of one image or one pair works on. */
typedef struct loss_job {
    const vbg_tensor *x;
    float *alpha, *d;
    const float *target;
    const uint8_t *band;
    const int (*move)[2];
    size_t tasks;
    double *mean; /* of each task */
} loss_job;

static void alphas(const loss_job *j, size_t first, size_t n)
{
    const float *x = j->x->data;

    for (size_t i = first; i < first + n; i++) {
        j->alpha[i] = sigmoid(x[i]);
        j->d[i] = 0;
    }
}

/* The mean of `count` distances; slopes with respect to alpha become those of the mean
 * with respect to the logits. */
static double finish(const loss_job *j, size_t first, size_t n, double sum, double count)
{
    const double share = 1 / (fmax(count, 1) * (double)j->tasks);

    for (size_t i = first; i < first + n; i++) {
        const float a = j->alpha[i];
        j->d[i] = (float)((double)j->d[i] * (double)(a * (1 - a)) * share);
    }
    return sum / fmax(count, 1);
}

/* |v|, whose slope is added at +1 and taken at -1.  Below one grey level of an 8-bit
 * alpha the slope shrinks with v: neighbours that are equal but for rounding (flat parts
 * of a mask, repeated rows of a resize) would pull with the full slope whichever way the
 * last bit fell, and no two sums of another order would train alike. */
static double distance(float v, float *plus, float *minus)
{
    const float knee = 1 / 255.0f, size = fabsf(v);
    const float s = size >= knee ? copysignf(1, v) : v / knee;

    *plus += s;
    *minus -= s;
    return size >= knee ? (double)(size - knee / 2) : (double)(size * size / (2 * knee));
}

static void borders_of(void *arg, size_t n, int thread)
{
    const loss_job *j = arg;
    const size_t h = (size_t)j->x->h, w = (size_t)j->x->w, first = n * h * w;
    double sum = 0, count = 0;

    (void)thread;
    alphas(j, first, h * w);
    for (size_t y = 0; y + 1 < h; y++)
        for (size_t x = 0; x + 1 < w; x++) {
            const size_t at = first + y * w + x, right = at + 1, low = at + w;
            if (!j->band[at])
                continue;
            const float *a = j->alpha, *t = j->target;
            sum +=
                distance(a[right] - a[at] - (t[right] - t[at]), &j->d[right], &j->d[at]);
            sum += distance(a[low] - a[at] - (t[low] - t[at]), &j->d[low], &j->d[at]);
            count++;
        }
    j->mean[n] = finish(j, first, h * w, sum, count);
}

static void still_of(void *arg, size_t pair, int thread)
{
    const loss_job *j = arg;
    const int h = j->x->h, w = j->x->w;
    const size_t px = (size_t)h * (size_t)w, a = 2 * pair * px, b = a + px;
    const int *m = j->move[2 * pair + 1];
    double sum = 0, count = 0;

    (void)thread;
    alphas(j, a, 2 * px);
    for (int y = vbg_max_int(0, -m[1]); y < vbg_min_int(h, h - m[1]); y++)
        for (int x = vbg_max_int(0, -m[0]); x < vbg_min_int(w, w - m[0]); x++) {
            const size_t i = a + (size_t)(y * w + x);
            const size_t k = b + (size_t)((y + m[1]) * w + x + m[0]);
            sum += distance(j->alpha[i] - j->alpha[k], &j->d[i], &j->d[k]);
            count++;
        }
    j->mean[pair] = finish(j, a, 2 * px, sum, count);
}

/* fn for each of tasks, then the mean of them. */
static vbg_tensor *run_loss(vbg_ctx *c, loss_job *j, size_t tasks,
                            void (*fn)(void *, size_t, int))
{
    const vbg_tensor *x = j->x;
    const size_t all = vbg_rows(x);
    double mean = 0;

    VBG_CHECK(x->c == 1 && x->dtype == VBG_F32 && vbg_contiguous(x),
              "loss of logits with %d channels", x->c);
    vbg_scope_open(c);
    vbg_tensor *alpha = vbg_new_typed(c, VBG_F32, x->n, x->h, x->w, 1);
    vbg_tensor *d = vbg_new_typed(c, VBG_F32, x->n, x->h, x->w, 1);
    if (!vbg_planning(c)) {
        j->alpha = alpha->data;
        j->d = d->data;
        memset(d->data, 0, all * sizeof(float));
        j->mean = calloc(tasks + 1, sizeof *j->mean);
        VBG_CHECK(j->mean, "out of memory for a loss");
        j->tasks = tasks;
        vbg_parallel(c, tasks, fn, j);
        for (size_t i = 0; i < tasks; i++) /* in order: the same for any threads */
            mean += j->mean[i] / (double)tasks;
        free(j->mean);
    }
    return vbg_scope_close(c, value_of(c, x, d, mean));
}

vbg_tensor *vbg_loss_borders(vbg_ctx *c, const vbg_tensor *logits, const float *target,
                             const uint8_t *band)
{
    loss_job j = { .x = logits, .target = target, .band = band };

    return run_loss(c, &j, (size_t)logits->n, borders_of);
}

vbg_tensor *vbg_loss_still(vbg_ctx *c, const vbg_tensor *logits, const int (*move)[2])
{
    loss_job j = { .x = logits, .move = move };

    return run_loss(c, &j, (size_t)logits->n / 2, still_of);
}
