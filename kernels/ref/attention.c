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

void vbg_attention_init_ref(vbg_attention_kernels *k)
{
    *k = (vbg_attention_kernels){ .run = run, .scratch = scratch };
}
