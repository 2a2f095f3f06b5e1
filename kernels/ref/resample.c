/* Reference of gather, bilinear rows and pooling. */
#include "kernels/resample.h"
#include "kernels/ref/scalar.h"

static void gather(const vbg_gather_args *a)
{
    size_t taps = (size_t)a->taps;

    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < a->c; j++) {
            double sum = 0;
            for (size_t k = i * taps; k < (i + 1) * taps; k++)
                if (a->index[k] >= 0)
                    sum +=
                        (double)a->weight[k] *
                        (double)vbg_ref_get(a->x, a->t, (size_t)a->index[k] * a->ldx + j);
            vbg_ref_put(a->y, a->t, i * a->ldy + j, (float)sum);
        }
}

static void bilinear_row(const vbg_bilinear_args *a)
{
    for (size_t i = 0; i < a->ow; i++)
        for (size_t j = 0; j < a->c; j++) {
            size_t l = (size_t)a->x0[i] * a->ldx + j, r = (size_t)a->x1[i] * a->ldx + j;
            double fx = (double)a->fx[i], fy = (double)a->fy;
            double top = (1 - fx) * (double)vbg_ref_get(a->row0, a->t, l) +
                         fx * (double)vbg_ref_get(a->row0, a->t, r);
            double low = (1 - fx) * (double)vbg_ref_get(a->row1, a->t, l) +
                         fx * (double)vbg_ref_get(a->row1, a->t, r);
            vbg_ref_put(a->y, a->t, i * a->ldy + j, (float)((1 - fy) * top + fy * low));
        }
}

/* The window [y0,y1) x [x0,x1) of one output, in and out of the picture. */
static float pool_one(const vbg_pool_args *a, int y0, int x0, size_t j)
{
    int y1 = vbg_min_int(y0 + a->kh, a->h + a->pad_bottom);
    int x1 = vbg_min_int(x0 + a->kw, a->w + a->pad_right);
    int whole = (y1 - y0) * (x1 - x0), inside = 0;
    double sum = 0;
    float max = -INFINITY;

    for (int y = vbg_max_int(y0, 0); y < vbg_min_int(y1, a->h); y++)
        for (int x = vbg_max_int(x0, 0); x < vbg_min_int(x1, a->w); x++) {
            size_t at = ((size_t)y * (size_t)a->w + (size_t)x) * a->ldx + j;
            float v = vbg_ref_get(a->x, a->t, at);
            max = v > max || isnan(v) ? v : max;
            sum += (double)v;
            inside++;
        }
    if (a->max)
        return max;
    return (float)(sum / (a->count_padding ? whole : vbg_max_int(inside, 1)));
}

static void pool_row(const vbg_pool_args *a, int oy)
{
    for (int ox = 0; ox < a->ow; ox++)
        for (size_t j = 0; j < a->c; j++) {
            size_t at = ((size_t)oy * (size_t)a->ow + (size_t)ox) * a->ldy + j;
            vbg_ref_put(a->y, a->t, at,
                        pool_one(a, oy * a->stride - a->pad_top,
                                 ox * a->stride - a->pad_left, j));
        }
}

static void gather_back(const vbg_gather_back_args *a)
{
    size_t taps = (size_t)a->taps;

    for (size_t i = 0; i < a->count; i++)
        for (size_t k = i * taps; k < (i + 1) * taps; k++)
            for (size_t j = 0; j < a->c && a->index[k] >= 0; j++)
                a->dx[(size_t)a->index[k] * a->lddx + j] +=
                    a->weight[k] * vbg_ref_get(a->dy, a->t, i * a->lddy + j);
}

static void bilinear_row_back(const vbg_bilinear_back_args *a)
{
    for (size_t i = 0; i < a->ow; i++)
        for (size_t j = 0; j < a->c; j++) {
            float d = a->weight * vbg_ref_get(a->dy, a->t, i * a->lddy + j);
            a->dx[(size_t)a->x0[i] * a->c + j] += (1 - a->fx[i]) * d;
            a->dx[(size_t)a->x1[i] * a->c + j] += a->fx[i] * d;
        }
}

/* dx of one channel of one window; max is what came out of it. */
static void pool_one_back(const vbg_pool_args *a, int y0, int x0, size_t j, float d,
                          float *dx, size_t lddx)
{
    int y1 = vbg_min_int(y0 + a->kh, a->h + a->pad_bottom);
    int x1 = vbg_min_int(x0 + a->kw, a->w + a->pad_right);
    int whole = (y1 - y0) * (x1 - x0);
    int top = vbg_max_int(y0, 0), low = vbg_min_int(y1, a->h);
    int left = vbg_max_int(x0, 0), right = vbg_min_int(x1, a->w);
    float max = a->max ? pool_one(a, y0, x0, j) : 0;

    if (!a->max)
        d /= (float)(a->count_padding ? whole
                                      : vbg_max_int((low - top) * (right - left), 1));
    for (int y = top; y < low; y++)
        for (int x = left; x < right; x++) {
            size_t at = (size_t)y * (size_t)a->w + (size_t)x;
            if (a->max && !(vbg_ref_get(a->x, a->t, at * a->ldx + j) >= max))
                continue;
            dx[at * lddx + j] += d;
            if (a->max)
                return;
        }
}

static void pool_row_back(const vbg_pool_args *a, const void *dy, float *dx, size_t lddx,
                          int oy)
{
    for (int ox = 0; ox < a->ow; ox++)
        for (size_t j = 0; j < a->c; j++) {
            size_t at = ((size_t)oy * (size_t)a->ow + (size_t)ox) * a->ldy + j;
            pool_one_back(a, oy * a->stride - a->pad_top, ox * a->stride - a->pad_left, j,
                          vbg_ref_get(dy, a->t, at), dx, lddx);
        }
}

void vbg_resample_init_ref(vbg_resample_kernels *k)
{
    *k = (vbg_resample_kernels){ .gather = gather,
                                 .bilinear_row = bilinear_row,
                                 .pool_row = pool_row,
                                 .gather_back = gather_back,
                                 .bilinear_row_back = bilinear_row_back,
                                 .pool_row_back = pool_row_back };
}
