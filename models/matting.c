/* Errors of mattes; see models/matting.h. */
#include "models/matting.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- gradients ---- */

enum { REACH = 4 }; /* of sigma 1.4: exp(-(5/1.4)^2/2) is below 0.002 of the middle */

/* Gaussian and its derivative, scaled to unit L2 norm of the plane as the usual code
 * does (the 2-D kernel g(x) g'(y) has norm 1). */
typedef struct taps {
    double g[2 * REACH + 1], d[2 * REACH + 1];
} taps;

static taps make_taps(void)
{
    const double sigma = 1.4;
    double norm_g = 0, norm_d = 0;
    taps t;

    for (int i = -REACH; i <= REACH; i++) {
        double g =
            exp(-i * i / (2 * sigma * sigma)) / (sigma * sqrt(2 * 3.14159265358979));
        t.g[i + REACH] = g;
        t.d[i + REACH] = -i * g / (sigma * sigma);
        norm_g += g * g;
        norm_d += t.d[i + REACH] * t.d[i + REACH];
    }
    for (int i = 0; i <= 2 * REACH; i++) {
        t.g[i] /= sqrt(norm_g);
        t.d[i] /= sqrt(norm_d);
    }
    return t;
}

static int clamp(int v, int n)
{
    return v < 0 ? 0 : v >= n ? n - 1 : v;
}

/* along x of row y by k, into dst[w] */
static void filter_row(double *dst, const float *row, int w, const double *k)
{
    for (int x = 0; x < w; x++) {
        double s = 0;
        for (int i = -REACH; i <= REACH; i++)
            s += k[i + REACH] * (double)row[clamp(x + i, w)];
        dst[x] = s;
    }
}

/* Length of the gradient at every pixel into out [w*h]; room: [2][w*h]. */
static void gradient(double *out, double *room, const float *a, int w, int h,
                     const taps *t)
{
    const size_t n = (size_t)w * (size_t)h;
    double *smooth = room, *slope = room + n;

    for (int y = 0; y < h; y++) {
        size_t at = (size_t)y * (size_t)w;
        filter_row(smooth + at, a + at, w, t->g);
        filter_row(slope + at, a + at, w, t->d);
    }
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double gx = 0, gy = 0;
            for (int i = -REACH; i <= REACH; i++) {
                size_t at = (size_t)clamp(y + i, h) * (size_t)w + (size_t)x;
                gx += t->g[i + REACH] * slope[at];
                gy += t->d[i + REACH] * smooth[at];
            }
            out[(size_t)y * (size_t)w + (size_t)x] = sqrt(gx * gx + gy * gy);
        }
}

vbg_status vbg_matting_compare(vbg_matting_errors *out, const float *a,
                               const float *truth, int w, int h, vbg_err *err)
{
    const size_t n = (size_t)w * (size_t)h;
    const taps t = make_taps();
    double *room = malloc(4 * n * sizeof *room);

    if (!room)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory to compare mattes");
    gradient(room + 2 * n, room, a, w, h, &t);
    gradient(room + 3 * n, room, truth, w, h, &t);
    *out = (vbg_matting_errors){ 0 };
    for (size_t i = 0; i < n; i++) {
        double e = (double)a[i] - (double)truth[i];
        double g = room[2 * n + i] - room[3 * n + i];
        out->mad += fabs(e);
        out->mse += e * e;
        out->grad += g * g;
    }
    out->mad *= 1e3 / (double)n;
    out->mse *= 1e3 / (double)n;
    out->grad /= 1e3;
    free(room);
    return VBG_OK;
}

/* ---- between frames ---- */

double vbg_matting_dtssd(const float *a0, const float *a1, const float *t0,
                         const float *t1, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        double d = ((double)a1[i] - (double)a0[i]) - ((double)t1[i] - (double)t0[i]);
        sum += d * d;
    }
    return count ? 1e2 * sqrt(sum / (double)count) : 0;
}

double vbg_matting_change(const float *a0, const float *a1, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += fabs((double)a1[i] - (double)a0[i]);
    return count ? sum / (double)count : 0;
}

/* ---- boundaries ---- */

static bool on_boundary(const uint8_t *m, int x, int y, int w, int h)
{
    size_t at = (size_t)y * (size_t)w + (size_t)x;

    return m[at] && ((x > 0 && !m[at - 1]) || (x + 1 < w && !m[at + 1]) ||
                     (y > 0 && !m[at - (size_t)w]) || (y + 1 < h && !m[at + (size_t)w]));
}

/* Marks everything within radius of m's boundary. */
static void mark(uint8_t *near, const uint8_t *m, int w, int h, int radius)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            if (!on_boundary(m, x, y, w, h))
                continue;
            for (int dy = -radius; dy <= radius; dy++) {
                if (y + dy < 0 || y + dy >= h)
                    continue;
                int reach = (int)sqrt((double)(radius * radius - dy * dy));
                int x0 = x - reach < 0 ? 0 : x - reach;
                int x1 = x + reach >= w ? w - 1 : x + reach;
                memset(near + (size_t)(y + dy) * (size_t)w + (size_t)x0, 1,
                       (size_t)(x1 - x0 + 1));
            }
        }
}

/* Boundary pixels of m, and those of them that near marks. */
static void count(const uint8_t *m, const uint8_t *near, int w, int h, size_t *all,
                  size_t *found)
{
    *all = *found = 0;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            if (on_boundary(m, x, y, w, h)) {
                ++*all;
                *found += near[(size_t)y * (size_t)w + (size_t)x] != 0;
            }
}

vbg_status vbg_boundary_f(double *out, const uint8_t *mask, const uint8_t *truth, int w,
                          int h, int radius, vbg_err *err)
{
    const size_t n = (size_t)w * (size_t)h;
    uint8_t *near = calloc(2 * n + 1, 1);
    size_t in_mask, right, in_truth, recalled;

    if (!near)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory to compare boundaries");
    mark(near, truth, w, h, radius);
    mark(near + n, mask, w, h, radius);
    count(mask, near, w, h, &in_mask, &right);
    count(truth, near + n, w, h, &in_truth, &recalled);
    free(near);
    double precision = in_mask ? (double)right / (double)in_mask : 0;
    double recall = in_truth ? (double)recalled / (double)in_truth : 0;
    *out = !in_mask && !in_truth    ? 1
           : precision + recall > 0 ? 2 * precision * recall / (precision + recall)
                                    : 0;
    return VBG_OK;
}
