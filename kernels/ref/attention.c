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
    if (a->top) {
        a->top[i] = (float)(max * 1.4426950408889634);
        a->rsum[i] = (float)(1 / sum);
    }
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

/* ---- backwards ---- */

/* p becomes the probabilities of query i; returns how many keys it sees. */
static size_t probabilities(const vbg_attention_args *a, size_t i, double *p)
{
    size_t keys = a->causal && (int)i < a->tk ? i + 1 : (size_t)a->tk;
    double max = -INFINITY, sum = 0;

    for (size_t j = 0; j < keys; j++) {
        p[j] = (double)a->scale * dot(a->q, i * a->ldq, a->k, j * a->ldk, a->t, a->d);
        max = fmax(max, p[j]);
    }
    for (size_t j = 0; j < keys; j++)
        sum += p[j] = exp(p[j] - max);
    for (size_t j = 0; j < keys; j++)
        p[j] /= sum;
    return keys;
}

/* What query i adds to dq, and to dk and dv (in double, rows from k0 on). */
static void back_query(const vbg_attention_back *b, size_t i, int k0, int k1, double *p,
                       double *dk)
{
    const vbg_attention_args *a = &b->of;
    const size_t d = (size_t)a->d, keys = probabilities(a, i, p);
    const double delta = dot(b->dy, i * b->lddy, a->y, i * a->ldy, a->t, a->d);
    double *dv = dk + (size_t)(k1 - k0) * d, *dq = dv + (size_t)(k1 - k0) * d;

    for (size_t x = 0; x < d; x++)
        dq[x] = 0;
    for (size_t j = (size_t)k0; j < (size_t)k1 && j < keys; j++) {
        double dp = dot(b->dy, i * b->lddy, a->v, j * a->ldv, a->t, a->d);
        double ds = p[j] * (dp - delta) * (double)a->scale;
        for (size_t x = 0; x < d; x++) {
            size_t at = (j - (size_t)k0) * d + x;
            dq[x] += ds * (double)vbg_ref_get(a->k, a->t, j * a->ldk + x);
            dk[at] += ds * (double)vbg_ref_get(a->q, a->t, i * a->ldq + x);
            dv[at] += p[j] * (double)vbg_ref_get(b->dy, a->t, i * b->lddy + x);
        }
    }
    for (size_t x = 0; x < d; x++)
        vbg_ref_put(b->dq, b->dqt, i * b->lddq + x, (float)dq[x]);
}

static void back(const vbg_attention_back *b, int k0, int k1, void *scratch_)
{
    const size_t d = (size_t)b->of.d, rows = (size_t)(k1 - k0);
    double *p = scratch_, *dk = p + b->of.tk, *dv = dk + rows * d;

    for (size_t i = 0; i < 2 * rows * d; i++)
        dk[i] = 0;
    for (size_t i = 0; i < (size_t)b->of.tq; i++)
        back_query(b, i, k0, k1, p, dk);
    for (size_t j = 0; b->dk && j < rows; j++)
        for (size_t x = 0; x < d; x++) {
            vbg_ref_put(b->dk, b->dkt, ((size_t)k0 + j) * b->lddk + x,
                        (float)dk[j * d + x]);
            vbg_ref_put(b->dv, b->dkt, ((size_t)k0 + j) * b->lddv + x,
                        (float)dv[j * d + x]);
        }
}

static size_t back_scratch(const vbg_attention_back *b)
{
    const size_t d = (size_t)b->of.d, tk = (size_t)b->of.tk;

    return (tk + 2 * tk * d + d) * sizeof(double);
}

void vbg_attention_init_ref(vbg_attention_kernels *k)
{
    *k = (vbg_attention_kernels){
        .run = run, .scratch = scratch, .back = back, .back_scratch = back_scratch
    };
}
