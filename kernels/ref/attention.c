/* Reference of attention: the whole row of scores at once, in double. */
#include "kernels/attention.h"
#include "kernels/ref/scalar.h"

/* Sum of a[i] * b[i]. */
static double dot(const void *a, size_t at_a, const void *b, size_t at_b, vbg_dtype t,
                  int d)
{
    double s = 0;

    for (size_t i = 0; i < (size_t)d; i++)
        s += (double)vbg_ref_get(a, t, at_a + i) * (double)vbg_ref_get(b, t, at_b + i);
    return s;
}

static void attend(const vbg_attention_args *a, size_t i, double *p)
{
    size_t keys = a->causal && (int)i < a->tk ? i + 1 : (size_t)a->tk;
    double max = -INFINITY, sum = 0;

    for (size_t j = 0; j < keys; j++) {
        p[j] = (double)a->scale * dot(a->q, i * a->ldq, a->k, j * a->ldk, a->t, a->d);
        max = fmax(max, p[j]);
    }
    for (size_t j = 0; j < keys; j++)
        sum += p[j] = exp(p[j] - max);
    for (size_t x = 0; x < (size_t)a->d; x++) {
        double y = 0;
        for (size_t j = 0; j < keys; j++)
            y += p[j] * (double)vbg_ref_get(a->v, a->t, j * a->ldv + x);
        vbg_ref_put(a->y, a->t, i * a->ldy + x, (float)(y / sum));
    }
}

static void run(const vbg_attention_args *a, int q0, int q1, void *scratch)
{
    for (int i = q0; i < q1; i++)
        attend(a, (size_t)i, scratch);
}

static size_t scratch(const vbg_attention_args *a)
{
    return (size_t)a->tk * sizeof(double);
}

static void neighbourhood_head(const vbg_neighbourhood_args *a, size_t at)
{
    double p[VBG_NEIGHBOURHOOD_MAX], scale = (double)a->scale, p0 = 0;
    double max = -INFINITY, sum = 0;
    size_t entries = (size_t)a->entries;

    for (size_t e = 0; e < entries; e++) {
        p[e] = scale * dot(a->q, at, a->k, e * a->ldk + at, a->t, a->d);
        max = fmax(max, p[e]);
    }
    if (a->repeat > 0) {
        p0 = scale * dot(a->q, at, a->k0, at, a->t, a->d);
        max = fmax(max, p0);
        sum = p0 = exp(p0 - max) * a->repeat;
    }
    for (size_t e = 0; e < entries; e++)
        sum += p[e] = exp(p[e] - max);
    for (size_t j = at; j < at + (size_t)a->d; j++) {
        double y = a->repeat > 0 ? p0 * (double)vbg_ref_get(a->v0, a->t, j) : 0;
        for (size_t e = 0; e < entries; e++)
            y += p[e] * (double)vbg_ref_get(a->v, a->t, e * a->ldv + j);
        vbg_ref_put(a->y, a->t, j, (float)(y / sum));
    }
}

static void neighbourhood(const vbg_neighbourhood_args *a)
{
    for (int h = 0; h < a->heads; h++)
        neighbourhood_head(a, (size_t)h * (size_t)a->d);
}

void vbg_attention_init_ref(vbg_attention_kernels *k)
{
    *k = (vbg_attention_kernels){ .run = run,
                                  .scratch = scratch,
                                  .neighbourhood = neighbourhood };
}
