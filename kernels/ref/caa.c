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

void vbg_caa_init_ref(vbg_caa_kernels *k)
{
    k->run = run;
}
