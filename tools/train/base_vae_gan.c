/* The critic of the VAE; see tools/train/base_vae_gan.h. */
#include "tools/train/base_vae_gan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/op_util.h"

enum { WIDTH = 32, GROUPS = 8, CH = 3, MOST = 1024 /* channels of the last layer */ };

static const float QUIET = 0.01f; /* factor of the critic's gradients */

vbg_status vbg_critic_bind(vbg_critic *d, const vbg_weights *w, vbg_err *err)
{
    static const int width[] = { CH, WIDTH, 2 * WIDTH, 2 * WIDTH, 1 };
    vbg_bind b;

    vbg_bind_start(&b, w, "critic");
    for (int i = 0; i < 4; i++)
        vbg_bind_layer(&b, &d->conv[i], width[i + 1], width[i], 3, 3, VBG_BIND_BIAS,
                       "conv%d", i);
    for (int i = 0; i < 2; i++)
        vbg_bind_norm(&b, &d->norm[i], 2 * WIDTH, "norm%d", i);
    return vbg_bind_finish(&b, err);
}

/* x f32 [n,h,w,3] -> scores f32 [n,h/4,w/4,1] */
static vbg_tensor *scores(vbg_ctx *c, const vbg_critic *d, const vbg_tensor *x)
{
    const vbg_conv_opt half = { .stride = 2, .pad = 1 }, same = { .pad = 1 };

    vbg_scope_open(c);
    vbg_conv_opt first = half;
    first.act = VBG_ACT_LEAKY_RELU;
    vbg_tensor *h = vbg_conv2d(c, x, &d->conv[0], first);
    h = vbg_conv2d(c, h, &d->conv[1], half);
    h = vbg_group_norm(c, h, &d->norm[0], GROUPS, 1e-5f, VBG_ACT_SILU);
    h = vbg_conv2d(c, h, &d->conv[2], same);
    h = vbg_group_norm(c, h, &d->norm[1], GROUPS, 1e-5f, VBG_ACT_SILU);
    vbg_conv_opt last = { .pad = 1, .f32_out = true };
    return vbg_scope_close(c, vbg_conv2d(c, h, &d->conv[3], last));
}

/* ---- the critic's own step ---- */

/* Mean of max(0, 1 - sign s) over the scores of pictures that deserve `sign`. */
static double judge(vbg_ctx *c, const vbg_gan_in *in, const vbg_tensor *x, float sign)
{
    const size_t mark = vbg_tape_mark(c);
    vbg_tensor *s = scores(c, in->critic, x);
    vbg_tensor *ds = vbg_new_typed(c, VBG_F32, s->n, s->h, s->w, 1);
    const size_t count = vbg_rows(s);
    double sum = 0;

    for (size_t i = 0; i < count && !vbg_planning(c); i++) {
        const float v = 1 - sign * ((const float *)s->data)[i];
        sum += v > 0 ? (double)v : 0;
        ((float *)ds->data)[i] = v > 0 ? -sign * QUIET / (float)count : 0;
    }
    vbg_backward_to(c, s, ds, mark);
    return sum / (double)count;
}

/* ---- what it says to the decoder ---- */

static bool is_critic(const vbg_param *m)
{
    return m->grad && strcmp(m->entry.component, "critic") == 0;
}

/* The critic's gradients into kept, or back: saying something to the decoder is no step
 * of its own. */
static void keep_gradients(const vbg_gan_in *in, float *kept, bool back)
{
    for (size_t i = 0; i < vbg_params_count(in->params); i++) {
        vbg_param *m = vbg_params_at(in->params, i);
        if (!is_critic(m))
            continue;
        memcpy(back ? m->grad : kept, back ? kept : m->grad, m->count * sizeof(float));
        kept += m->count;
    }
}

static size_t critic_values(const vbg_gan_in *in)
{
    size_t n = 0;

    for (size_t i = 0; i < vbg_params_count(in->params); i++) {
        const vbg_param *m = vbg_params_at(in->params, i);
        n += is_critic(m) ? m->count : 0;
    }
    return n;
}

/* Gradient of the mean of -score at y; NULL while planning. */
static const vbg_tensor *wish(vbg_ctx *c, const vbg_gan_in *in)
{
    const size_t mark = vbg_tape_mark(c);
    vbg_tensor *kept = vbg_new_typed(c, VBG_F32, 1, 1, 1, (int)critic_values(in));
    vbg_tensor *y = vbg_detach(c, in->y);

    vbg_require_grad(c, y);
    vbg_tensor *s = scores(c, in->critic, y);
    vbg_tensor *ds = vbg_new_typed(c, VBG_F32, s->n, s->h, s->w, 1);
    for (size_t i = 0; i < vbg_rows(s) && !vbg_planning(c); i++)
        ((float *)ds->data)[i] = -1 / (float)vbg_rows(s);
    if (!vbg_planning(c))
        keep_gradients(in, kept->data, false);
    vbg_backward_to(c, s, ds, mark);
    if (!vbg_planning(c))
        keep_gradients(in, kept->data, true);
    return vbg_grad(c, y);
}

/* ---- how loud ---- */

typedef struct norm_job {
    const vbg_tensor *last;
    const float *dy[2];
    double *sum; /* [images][2][3][c] */
} norm_job;

static float value_at(const vbg_tensor *t, size_t row, size_t k)
{
    const void *p = vbg_row_at(t, row);

    return t->dtype == VBG_BF16 ? vbg_bf16_to_f32(((const uint16_t *)p)[k])
                                : ((const float *)p)[k];
}

/* One row of pixels: f32 within it, f64 across rows. */
static void one_row(const norm_job *j, size_t first, double *total)
{
    const size_t c = (size_t)j->last->c;
    float x[MOST], sum[2 * CH][MOST];

    for (size_t o = 0; o < 2 * CH; o++)
        memset(sum[o], 0, c * sizeof *sum[o]);
    for (size_t i = first; i < first + (size_t)j->last->w; i++) {
        for (size_t k = 0; k < c; k++)
            x[k] = value_at(j->last, i, k);
        for (size_t o = 0; o < 2 * CH; o++) {
            const float d = j->dy[o / CH][i * CH + o % CH];
            for (size_t k = 0; k < c; k++)
                sum[o][k] += d * x[k];
        }
    }
    for (size_t k = 0; k < 2 * CH * c; k++)
        total[k] += (double)sum[k / c][k % c];
}

/* Of one image: sum over its pixels of dy times what the last layer read.  Every fourth
 * row is enough for the ratio of two lengths. */
static void one_image(void *arg, size_t n, int thread)
{
    const norm_job *j = arg;
    const size_t h = (size_t)j->last->h, w = (size_t)j->last->w;

    (void)thread;
    for (size_t y = 1; y < h; y += 4)
        one_row(j, (n * h + y) * w, j->sum + n * 2 * CH * (size_t)j->last->c);
}

/* |gradient of the other losses| / |that of the adversarial one| at the last layer. */
static double loudness(vbg_ctx *c, const vbg_gan_in *in, const float *others,
                       const float *wish)
{
    const size_t n = (size_t)in->last->n, each = CH * (size_t)in->last->c;
    norm_job j = { in->last, { others, wish }, calloc(2 * n * each, sizeof(double)) };
    double norm[2] = { 0 };

    VBG_CHECK(j.sum && in->last->c <= MOST, "out of memory for a norm");
    vbg_parallel(c, n, one_image, &j);
    for (size_t k = 0; k < 2 * each; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += j.sum[i * 2 * each + k];
        norm[k / each] += sum * sum;
    }
    free(j.sum);
    return sqrt(norm[0] / (norm[1] + 1e-24));
}

vbg_gan_out vbg_gan(vbg_ctx *c, const vbg_gan_in *in, vbg_tensor *dy)
{
    vbg_gan_out out = { 0 };
    const size_t count = vbg_rows(in->y) * CH;

    vbg_scope_open(c);
    const vbg_tensor *g = wish(c, in);
    if (!vbg_planning(c)) {
        out.weight = fmin(in->share * loudness(c, in, dy->data, g->data), 1e4);
        for (size_t i = 0; i < count; i++)
            ((float *)dy->data)[i] += (float)out.weight * ((const float *)g->data)[i];
    }
    out.critic = judge(c, in, in->x, 1) + judge(c, in, vbg_detach(c, in->y), -1);
    vbg_scope_close(c, NULL);
    return out;
}
