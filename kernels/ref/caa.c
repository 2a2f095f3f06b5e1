/* Reference of correspondence-aware attention, in double; see kernels/caa.h. */
#include "kernels/caa.h"

#include <math.h>

#include "kernels/ref/scalar.h"

/* One in-view entry: its taps and what LayerNorm makes of it. */
typedef struct entry {
    int side;      /* neighbour 0 or 1 */
    long pixel[4]; /* -1: outside */
    double weight[4], mean, rstd;
    size_t row;
} entry;

static void set_taps(entry *e, const vbg_caa_spot *s, int index, int h, int w)
{
    for (int k = 0; k < 4; k++) {
        int x = s->x0 + index / 3 + (k & 1), y = s->y0 + index % 3 + (k >> 1);
        double fx = (double)s->fx, fy = (double)s->fy;
        bool inside = x >= 0 && x < w && y >= 0 && y < h;
        e->pixel[k] = inside ? (long)y * w + x : -1;
        e->weight[k] = (k & 1 ? fx : 1 - fx) * (k >> 1 ? fy : 1 - fy);
    }
}

/* Channel i of a gathered map. */
static double gather(const entry *e, const void *map, vbg_dtype t, size_t ld, size_t i)
{
    double sum = 0;

    for (int k = 0; k < 4; k++)
        if (e->pixel[k] >= 0)
            sum +=
                e->weight[k] * (double)vbg_ref_get(map, t, (size_t)e->pixel[k] * ld + i);
    return sum;
}

static double value(const vbg_caa_args *a, const entry *e, size_t i)
{
    size_t c = (size_t)a->c;

    return gather(e, a->x[e->side], a->t, a->ldx, i) +
           (double)vbg_ref_get(a->enc, a->t, e->row * c + i);
}

static void set_stats(const vbg_caa_args *a, entry *e)
{
    double mean = 0, var = 0, c = a->c;

    for (size_t i = 0; i < (size_t)a->c; i++)
        mean += value(a, e, i) / c;
    for (size_t i = 0; i < (size_t)a->c; i++) {
        double d = value(a, e, i) - mean;
        var += d * d / c;
    }
    e->mean = mean;
    e->rstd = 1 / sqrt(var + (double)a->eps);
}

static int list_entries(const vbg_caa_args *a, size_t p, entry *e)
{
    int n = 0;

    for (int side = 0; side < 2; side++) {
        const vbg_caa_spot *s = &a->spot[p * 2 + (size_t)side];
        size_t row = s->row;
        for (int i = 0; i < VBG_CAA_ENTRIES / 2; i++) {
            if (!(s->mask >> i & 1))
                continue;
            e[n].side = side;
            e[n].row = row++;
            set_taps(&e[n], s, i, a->h, a->w);
            set_stats(a, &e[n++]);
        }
    }
    return n;
}

/* Channel i of an entry after LayerNorm and projection. */
static double projected(const vbg_caa_args *a, const entry *e, bool keys, size_t i)
{
    const void *const *map = keys ? a->k : a->v;
    const void *table = keys ? a->ek : a->ev;
    const float *one = keys ? a->k_one : a->v_one, *null = keys ? a->k_null : a->v_null;
    double g = gather(e, map[e->side], a->t, keys ? a->ldk : a->ldv, i) +
               (double)vbg_ref_get(table, a->t, e->row * (size_t)a->c + i);

    return (g - e->mean * (double)one[i]) * e->rstd + (double)null[i];
}

static void head(const vbg_caa_args *a, size_t p, size_t c0, const entry *e, int n)
{
    double s[VBG_CAA_ENTRIES], null = 0, top, sum;
    const double scale = 1 / sqrt((double)VBG_CAA_HEAD);

    for (int k = 0; k < n; k++)
        s[k] = 0;
    for (size_t i = c0; i < c0 + VBG_CAA_HEAD; i++) {
        double q = (double)vbg_ref_get(a->q, a->t, p * a->ldq + i) * scale;
        null += q * (double)a->k_null[i];
        for (int k = 0; k < n; k++)
            s[k] += q * projected(a, &e[k], true, i);
    }
    top = n < VBG_CAA_ENTRIES ? null : s[0];
    for (int k = 0; k < n; k++)
        top = s[k] > top ? s[k] : top;
    null = (VBG_CAA_ENTRIES - n) * exp(null - top);
    sum = null;
    for (int k = 0; k < n; k++)
        sum += s[k] = exp(s[k] - top);
    for (size_t i = c0; i < c0 + VBG_CAA_HEAD; i++) {
        double y = null / sum * (double)a->v_null[i];
        for (int k = 0; k < n; k++)
            y += s[k] / sum * projected(a, &e[k], false, i);
        vbg_ref_put(a->y, a->t, p * a->ldy + i, (float)y);
    }
}

static void run(const vbg_caa_args *a, size_t p0, size_t p1)
{
    entry e[VBG_CAA_ENTRIES];

    for (size_t p = p0; p < p1; p++) {
        int n = list_entries(a, p, e);
        for (size_t c0 = 0; c0 < (size_t)a->c; c0 += VBG_CAA_HEAD)
            head(a, p, c0, e, n);
    }
}

/* ---- backwards ---- */

/* What one head finds out about its entries. */
typedef struct head_back {
    double s[VBG_CAA_ENTRIES], t[VBG_CAA_ENTRIES], p[VBG_CAA_ENTRIES];
    double alpha[VBG_CAA_ENTRIES], beta[VBG_CAA_ENTRIES];
    double q_one, dy_one;
} head_back;

/* gather + table row of a map, channel i. */
static double raw(const vbg_caa_args *a, const entry *e, bool keys, size_t i)
{
    const void *const *map = keys ? a->k : a->v;

    return gather(e, map[e->side], a->t, keys ? a->ldk : a->ldv, i) +
           (double)vbg_ref_get(keys ? a->ek : a->ev, a->t, e->row * (size_t)a->c + i);
}

static void weigh(const vbg_caa_back *b, size_t p, size_t c0, const entry *e, int n,
                  head_back *h)
{
    const vbg_caa_args *a = &b->of;
    const double scale = 1 / sqrt((double)VBG_CAA_HEAD);
    double top = n < VBG_CAA_ENTRIES ? 0 : -INFINITY, sum, mean = 0;

    *h = (head_back){ 0 };
    for (size_t i = c0; i < c0 + VBG_CAA_HEAD; i++) {
        double q = (double)vbg_ref_get(a->q, a->t, p * a->ldq + i);
        double dy = (double)vbg_ref_get(b->dy, a->t, p * b->lddy + i);
        h->q_one += q * (double)a->k_one[i];
        h->dy_one += dy * (double)a->v_one[i];
        for (int k = 0; k < n; k++) {
            h->s[k] += q * raw(a, &e[k], true, i);
            h->t[k] += dy * raw(a, &e[k], false, i);
        }
    }
    for (int k = 0; k < n; k++) {
        h->s[k] = scale * e[k].rstd * (h->s[k] - e[k].mean * h->q_one);
        h->t[k] = e[k].rstd * (h->t[k] - e[k].mean * h->dy_one);
        top = h->s[k] > top ? h->s[k] : top;
    }
    sum = (VBG_CAA_ENTRIES - n) * exp(-top);
    for (int k = 0; k < n; k++)
        sum += h->p[k] = exp(h->s[k] - top);
    for (int k = 0; k < n; k++)
        mean += (h->p[k] /= sum) * h->t[k];
    for (int k = 0; k < n; k++) {
        h->alpha[k] = scale * e[k].rstd * h->p[k] * (h->t[k] - mean);
        h->beta[k] = e[k].rstd * h->p[k];
    }
}

/* Gradients of q, tables and vectors from one head. */
static void spread(const vbg_caa_back *b, size_t p, size_t c0, const entry *e, int n,
                   const head_back *h)
{
    const vbg_caa_args *a = &b->of;
    const size_t c = (size_t)a->c;

    for (size_t i = c0; i < c0 + VBG_CAA_HEAD; i++) {
        double q = (double)vbg_ref_get(a->q, a->t, p * a->ldq + i), dq = 0;
        double dy = (double)vbg_ref_get(b->dy, a->t, p * b->lddy + i);
        for (int k = 0; k < n; k++) {
            size_t at = (e[k].row - b->row0) * c + i;
            double m = e[k].mean;
            dq += h->alpha[k] * (raw(a, &e[k], true, i) - m * (double)a->k_one[i]);
            b->dek[at] += (float)(h->alpha[k] * q);
            b->dev[at] += (float)(h->beta[k] * dy);
            b->dvec[i] -= (float)(h->alpha[k] * m * q);
            b->dvec[c + i] -= (float)(h->beta[k] * m * dy);
        }
        b->dvec[2 * c + i] += (float)dy;
        vbg_ref_put(b->dq, a->t, p * b->lddq + i, (float)dq);
    }
}

static void back(const vbg_caa_back *b, size_t p0, size_t p1)
{
    const size_t c = (size_t)b->of.c, heads = c / VBG_CAA_HEAD;
    entry e[VBG_CAA_ENTRIES];
    head_back h;

    for (size_t p = p0; p < p1; p++) {
        double dr[VBG_CAA_ENTRIES] = { 0 }, dm[VBG_CAA_ENTRIES] = { 0 };
        int n = list_entries(&b->of, p, e);
        for (size_t k = 0; k < heads; k++) {
            weigh(b, p, k * VBG_CAA_HEAD, e, n, &h);
            spread(b, p, k * VBG_CAA_HEAD, e, n, &h);
            for (int i = 0; i < n; i++) {
                float *coef = b->coef + ((e[i].row - b->row0) * heads + k) * 2;
                coef[0] = (float)h.alpha[i];
                coef[1] = (float)h.beta[i];
                dr[i] += (h.alpha[i] * sqrt((double)VBG_CAA_HEAD) / e[i].rstd * h.s[i] +
                          h.p[i] * h.t[i]) /
                         e[i].rstd;
                dm[i] -= h.alpha[i] * h.q_one + h.beta[i] * h.dy_one;
            }
        }
        for (int i = 0; i < n; i++) {
            float *line = b->line + (e[i].row - b->row0) * 2;
            double slope = -dr[i] * pow(e[i].rstd, 3) / (double)c;
            line[1] = (float)slope;
            line[0] = (float)(dm[i] / (double)c - slope * e[i].mean);
        }
    }
}

static void scatter(const vbg_caa_back *b, int side, size_t c0)
{
    const vbg_caa_args *a = &b->of;
    const size_t c = (size_t)a->c, heads = c / VBG_CAA_HEAD;

    for (size_t p = 0; p < (size_t)a->h * (size_t)a->w; p++) {
        const vbg_caa_spot *s = &a->spot[2 * p + (size_t)side];
        entry e = { .side = side, .row = s->row };
        for (int i = 0; i < VBG_CAA_ENTRIES / 2; i++) {
            if (!(s->mask >> i & 1))
                continue;
            const float *coef =
                b->coef + ((e.row - b->row0) * heads + c0 / VBG_CAA_HEAD) * 2;
            const float *line = b->line + (e.row - b->row0) * 2;
            set_taps(&e, s, i, a->h, a->w);
            for (size_t j = c0; j < c0 + VBG_CAA_HEAD; j++) {
                double q = (double)vbg_ref_get(a->q, a->t, p * a->ldq + j);
                double dy = (double)vbg_ref_get(b->dy, a->t, p * b->lddy + j);
                double de = (double)line[0] + (double)line[1] * value(a, &e, j);
                for (int k = 0; k < 4; k++) {
                    if (e.pixel[k] < 0)
                        continue;
                    size_t at = (size_t)e.pixel[k] * VBG_CAA_HEAD + j - c0;
                    b->dx[at] += (float)(e.weight[k] * de);
                    b->dk[at] += (float)(e.weight[k] * (double)coef[0] * q);
                    b->dv[at] += (float)(e.weight[k] * (double)coef[1] * dy);
                }
            }
            e.row++;
        }
    }
}

void vbg_caa_init_ref(vbg_caa_kernels *k)
{
    k->run = run;
    k->back = back;
    k->scatter = scatter;
}
