/* Losses of the VAE; see tools/train/base_vae_loss.h. */
#include "tools/train/base_vae_loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/train/data.h"

enum { LEVELS = 3, CH = 3 };

/* ---- pictures ---- */

/* Along one axis with step `step`: out = [1 4 6 4 1]/16 * in, zero outside. */
static void blur_line(float *out, const float *in, size_t n, size_t step)
{
    static const float w[3] = { 6.0f / 16, 4.0f / 16, 1.0f / 16 };

    for (size_t i = 0; i < n; i++) {
        float s = w[0] * in[i * step];
        for (size_t k = 1; k <= 2; k++) {
            if (i >= k)
                s += w[k] * in[(i - k) * step];
            if (i + k < n)
                s += w[k] * in[(i + k) * step];
        }
        out[i * step] = s;
    }
}

/* Both axes of [h,w,3]; its own adjoint. */
static void blur(float *out, float *half, const float *in, size_t h, size_t w)
{
    for (size_t y = 0; y < h; y++)
        for (size_t k = 0; k < CH; k++)
            blur_line(half + y * w * CH + k, in + y * w * CH + k, w, CH);
    for (size_t x = 0; x < w * CH; x++)
        blur_line(out + x, half + x, h, w * CH);
}

/* Every second pixel: to [h',w'] halves rounded up. */
static void decimate(float *out, const float *in, size_t h, size_t w)
{
    for (size_t y = 0; y < h; y += 2)
        for (size_t x = 0; x < w; x += 2, out += CH)
            memcpy(out, in + (y * w + x) * CH, CH * sizeof *out);
}

/* Its adjoint: out += in at every second pixel. */
static void spread(float *out, const float *in, size_t h, size_t w)
{
    for (size_t y = 0; y < h; y += 2)
        for (size_t x = 0; x < w; x += 2, in += CH)
            for (size_t k = 0; k < CH; k++)
                out[(y * w + x) * CH + k] += in[k];
}

typedef struct level {
    size_t h, w;
    float *g, *b, *d; /* picture, blurred, gradient */
} level;

/* sum |g - b| and, in b, the gradient with respect to g - b. */
static double residual_sum(const level *l, float share)
{
    double sum = 0;

    for (size_t i = 0; i < l->h * l->w * CH; i++) {
        float r = l->g[i] - l->b[i];
        sum += fabs((double)r);
        l->d[i] = r > 0 ? share : r < 0 ? -share : 0;
    }
    return sum;
}

/* Adds the pyramid's gradient to l[0].d's picture; returns the sum of level means times
 * the values of this image's share. */
static double pyramid(level *l, float *half, double weight, double images)
{
    double value = 0;

    for (int k = 0; k < LEVELS; k++) {
        double count = (double)(l[k].h * l[k].w * CH) * images;
        blur(l[k].b, half, l[k].g, l[k].h, l[k].w);
        value += residual_sum(&l[k], (float)(weight / count)) / count;
        if (k + 1 < LEVELS)
            decimate(l[k + 1].g, l[k].b, l[k].h, l[k].w);
    }
    for (int k = LEVELS - 1; k >= 0; k--) { /* b becomes the gradient of B g */
        size_t n = l[k].h * l[k].w * CH;
        for (size_t i = 0; i < n; i++)
            l[k].b[i] = -l[k].d[i];
        if (k + 1 < LEVELS)
            spread(l[k].b, l[k + 1].d, l[k].h, l[k].w);
        blur(l[k].g, half, l[k].b, l[k].h, l[k].w);
        for (size_t i = 0; i < n; i++)
            l[k].d[i] += l[k].g[i];
    }
    return value;
}

typedef struct picture_job {
    const vbg_tensor *y, *x;
    vbg_tensor *dy;
    double weight;
    float *room; /* images of `each` floats */
    size_t each;
    vbg_picture_loss *part; /* one per image */
} picture_job;

static size_t level_floats(size_t h, size_t w)
{
    size_t n = h * w * CH; /* the row buffer */

    for (int k = 0; k < LEVELS; k++, h = (h + 1) / 2, w = (w + 1) / 2)
        n += 3 * h * w * CH;
    return n;
}

static void one_picture(void *arg, size_t i, int thread)
{
    picture_job *j = arg;
    const size_t h = (size_t)j->y->h, w = (size_t)j->y->w, n = h * w * CH;
    const float *y = (const float *)j->y->data + i * n;
    const float *x = (const float *)j->x->data + i * n;
    const double count = (double)n * j->y->n;
    float *at = j->room + i * j->each;
    level l[LEVELS];
    vbg_picture_loss p = { 0 };

    (void)thread;
    for (size_t k = 0, lh = h, lw = w; k < LEVELS; k++) {
        l[k] = (level){ lh, lw, at, at + lh * lw * CH, at + 2 * lh * lw * CH };
        at += 3 * lh * lw * CH;
        lh = (lh + 1) / 2;
        lw = (lw + 1) / 2;
    }
    for (size_t k = 0; k < n; k++) {
        double d = (double)(y[k] - x[k]),
               e = fmin(fmax((double)y[k], -1), 1) - (double)x[k];
        l[0].g[k] = (float)d;
        p.l1 += fabs(d) / count;
        p.mse += e * e / count;
    }
    p.detail = pyramid(l, at, j->weight, j->y->n);
    if (j->dy) {
        float *dy = (float *)j->dy->data + i * n, share = (float)(1 / count);
        for (size_t k = 0; k < n; k++)
            dy[k] = l[0].d[k] + (y[k] > x[k] ? share : y[k] < x[k] ? -share : 0);
    }
    j->part[i] = p;
}

vbg_picture_loss vbg_loss_picture(vbg_ctx *c, const vbg_tensor *y, const vbg_tensor *x,
                                  double weight, vbg_tensor *dy)
{
    vbg_picture_loss sum = { 0 };
    size_t n = (size_t)y->n;
    picture_job j = { .y = y, .x = x, .dy = dy, .weight = weight };

    VBG_CHECK(y->c == CH && x->c == CH && y->h == x->h && y->w == x->w && y->n == x->n,
              "picture loss of %dx%d and %dx%d", y->w, y->h, x->w, x->h);
    vbg_scope_open(c);
    j.each = level_floats((size_t)y->h, (size_t)y->w);
    vbg_tensor *room = vbg_new_typed(c, VBG_F32, y->n, 1, 1, (int)j.each);
    if (!vbg_planning(c)) {
        j.room = room->data;
        j.part = calloc(n, sizeof *j.part);
        VBG_CHECK(j.part, "out of memory");
        vbg_parallel(c, n, one_picture, &j);
        for (size_t i = 0; i < n; i++) { /* in order: the same for any threads */
            sum.l1 += j.part[i].l1;
            sum.detail += j.part[i].detail;
            sum.mse += j.part[i].mse;
        }
        free(j.part);
    }
    vbg_scope_close(c, NULL);
    return sum;
}

/* ---- latents ---- */

typedef struct draw_saved {
    vbg_tensor *moments;
    vbg_draw_opt opt;
} draw_saved;

static vbg_dice draw_dice(vbg_draw_opt opt)
{
    return vbg_dice_for(opt.seed, 0, 0, 77);
}

static float clamp_logvar(float v)
{
    return v < -30 ? -30 : v > 20 ? 20 : v;
}

static void draw_back(vbg_ctx *c, const vbg_tensor *dz, void *arg)
{
    const draw_saved *s = arg;
    const vbg_tensor *m = s->moments;
    const size_t rows = vbg_rows(m), l = (size_t)dz->c;
    const float share = s->opt.kl / (float)(rows * l);
    vbg_tensor *dm = vbg_new_typed(c, VBG_F32, m->n, m->h, m->w, m->c);
    vbg_dice dice = draw_dice(s->opt);

    for (size_t r = 0; r < rows && !vbg_planning(c); r++) {
        const float *v = (const float *)m->data + r * m->ld;
        const float *d = (const float *)dz->data + r * dz->ld;
        float *out = (float *)dm->data + r * dm->ld;
        for (size_t i = 0; i < l; i++) {
            float lv = clamp_logvar(v[l + i]), e1 = (float)vbg_dice_normal(&dice);
            (void)vbg_dice_normal(&dice); /* e2 */
            out[i] = d[i] + share * v[i];
            out[l + i] = lv == v[l + i] ? d[i] * 0.5f * expf(0.5f * lv) * e1 +
                                              share * 0.5f * (expf(lv) - 1)
                                        : 0;
        }
    }
    vbg_grad_add(c, m, dm);
}

static double rms_of_means(const vbg_tensor *m, size_t l)
{
    double sum = 0;

    for (size_t r = 0; r < vbg_rows(m); r++)
        for (size_t i = 0; i < l; i++) {
            double v = (double)((const float *)m->data)[r * m->ld + i];
            sum += v * v;
        }
    return sqrt(sum / (double)(vbg_rows(m) * l));
}

vbg_tensor *vbg_draw_latents(vbg_ctx *c, const vbg_tensor *m, vbg_draw_opt opt,
                             double *kl_value)
{
    const size_t l = (size_t)m->c / 2, rows = vbg_rows(m);
    vbg_tensor *z = vbg_new_typed(c, VBG_F32, m->n, m->h, m->w, (int)l);
    vbg_dice dice = draw_dice(opt);
    double kl = 0;

    VBG_CHECK(m->dtype == VBG_F32, "moments are f32");
    if (!vbg_planning(c)) {
        float extra = opt.noise * (float)rms_of_means(m, l);
        for (size_t r = 0; r < rows; r++) {
            const float *v = (const float *)m->data + r * m->ld;
            float *out = (float *)z->data + r * z->ld;
            for (size_t i = 0; i < l; i++) {
                float lv = clamp_logvar(v[l + i]), var = expf(lv);
                float e1 = (float)vbg_dice_normal(&dice);
                float e2 = (float)vbg_dice_normal(&dice);
                out[i] = v[i] + sqrtf(var) * e1 + extra * e2;
                kl += (double)(v[i] * v[i] + var - 1 - lv) / 2;
            }
        }
        *kl_value = kl / (double)(rows * l);
    }
    if (vbg_needs_grad(c, m)) {
        draw_saved *s = vbg_record(c, z, draw_back, sizeof *s);
        if (s)
            *s = (draw_saved){ vbg_save(c, m), opt };
    }
    return z;
}
