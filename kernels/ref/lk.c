/* Reference of the tracking kernels: plain loops, exact integers.
 * Sources: Bouguet 2000, "Pyramidal implementation of the Lucas Kanade feature tracker";
 * Burt and Adelson 1983 (5-tap pyramid); Shi and Tomasi 1994; Harris and Stephens 1988.
 */
#include "kernels/lk.h"

#include <math.h>
#include <stdlib.h>

/* Rounded shift, towards plus infinity at a half. */
static int descale(int v, int bits)
{
    return (v + (1 << (bits - 1))) >> bits;
}

static int bilinear(const int v[4], const int weight[4])
{
    return v[0] * weight[0] + v[1] * weight[1] + v[2] * weight[2] + v[3] * weight[3];
}

/* Sample of the picture at window column c, row r: level << 5. */
static int sample(const vbg_plane *im, const vbg_lk_spot *s, int c, int r)
{
    const uint8_t *p = im->data + (ptrdiff_t)im->stride * (s->y + r) + s->x + c;
    const uint8_t *q = p + im->stride;
    const int v[4] = { p[0], p[1], q[0], q[1] };

    return descale(bilinear(v, s->weight), 9);
}

/* Scharr derivative at pixel (x, y), zero outside the picture. */
static void scharr(int d[2], const vbg_plane *im, int x, int y)
{
    d[0] = d[1] = 0;
    if (x < 0 || x >= im->w || y < 0 || y >= im->h)
        return;
    const uint8_t *b = im->data + (ptrdiff_t)im->stride * y + x;
    const uint8_t *a = b - im->stride, *c = b + im->stride;
    d[0] = 3 * (a[1] - a[-1] + c[1] - c[-1]) + 10 * (b[1] - b[-1]);
    d[1] = 3 * (c[-1] - a[-1] + c[1] - a[1]) + 10 * (c[0] - a[0]);
}

static void patch(vbg_lk_patch *p, const vbg_plane *im, const vbg_lk_spot *s)
{
    p->a11 = p->a12 = p->a22 = 0;
    for (int r = 0; r < p->h; r++)
        for (int c = 0; c < VBG_LK_LD; c++) {
            const int i = r * VBG_LK_LD + c;
            p->level[i] = p->dx[i] = p->dy[i] = 0;
            if (c >= p->w)
                continue;
            int x[4], y[4];
            for (int t = 0; t < 4; t++) {
                int d[2];
                scharr(d, im, s->x + c + (t & 1), s->y + r + (t >> 1));
                x[t] = d[0];
                y[t] = d[1];
            }
            const int dx = descale(bilinear(x, s->weight), 14);
            const int dy = descale(bilinear(y, s->weight), 14);
            p->level[i] = (int16_t)sample(im, s, c, r);
            p->dx[i] = (int16_t)dx;
            p->dy[i] = (int16_t)dy;
            p->a11 += dx * dx;
            p->a12 += dx * dy;
            p->a22 += dy * dy;
        }
}

static void step(int64_t b[2], const vbg_lk_patch *p, const vbg_plane *im,
                 const vbg_lk_spot *s)
{
    b[0] = b[1] = 0;
    for (int r = 0; r < p->h; r++)
        for (int c = 0; c < p->w; c++) {
            const int i = r * VBG_LK_LD + c;
            const int diff = sample(im, s, c, r) - p->level[i];
            b[0] += diff * p->dx[i];
            b[1] += diff * p->dy[i];
        }
}

static int64_t residual(const vbg_lk_patch *p, const vbg_plane *im, const vbg_lk_spot *s)
{
    int64_t sum = 0;

    for (int r = 0; r < p->h; r++)
        for (int c = 0; c < p->w; c++)
            sum += abs(sample(im, s, c, r) - p->level[r * VBG_LK_LD + c]);
    return sum;
}

static void halve(uint8_t *dst, const uint8_t *const rows[5], int w, uint16_t *tmp)
{
    for (int x = 0; x < 2 * w + 3; x++) {
        const int i = x - 2;
        tmp[x] = (uint16_t)(rows[0][i] + rows[4][i] + 4 * (rows[1][i] + rows[3][i]) +
                            6 * rows[2][i]);
    }
    for (int x = 0; x < w; x++) {
        const uint16_t *t = tmp + 2 * x;
        dst[x] = (uint8_t)((t[0] + t[4] + 4 * (t[1] + t[3]) + 6 * t[2] + 128) >> 8);
    }
}

static void corner_row(int32_t *const sum[3], const uint8_t *const rows[3], int w,
                       int sign)
{
    const uint8_t *a = rows[0], *b = rows[1], *c = rows[2];

    for (int x = 0; x < w; x++) {
        const int dx =
            a[x + 1] - a[x - 1] + c[x + 1] - c[x - 1] + 2 * (b[x + 1] - b[x - 1]);
        const int dy = c[x - 1] - a[x - 1] + c[x + 1] - a[x + 1] + 2 * (c[x] - a[x]);
        sum[0][x] += sign * dx * dx;
        sum[1][x] += sign * dx * dy;
        sum[2][x] += sign * dy * dy;
    }
}

static void corner_response(float *dst, int32_t *const sum[3], int w, int block,
                            float scale, float k)
{
    for (int x = 0; x < w; x++) {
        int32_t s[3] = { 0, 0, 0 };
        for (int t = 0; t < 3; t++)
            for (int i = -(block / 2); i < block - block / 2; i++)
                s[t] += sum[t][x + i];
        const float a = (float)s[0] * scale, b = (float)s[1] * scale;
        const float c = (float)s[2] * scale, d = (a - c) * 0.5f;
        if (k < 0)
            dst[x] = (a + c) * 0.5f - sqrtf(d * d + b * b);
        else
            dst[x] = a * c - b * b - k * (a + c) * (a + c);
    }
}

static void corner_peaks(uint8_t *peak, const float *const rows[3], int w, float limit)
{
    const float *a = rows[0], *b = rows[1], *c = rows[2];

    peak[0] = peak[w - 1] = 0;
    for (int x = 1; x < w - 1; x++) {
        const float v = b[x];
        peak[x] = (v > limit) & (v >= b[x - 1]) & (v >= b[x + 1]) & (v >= a[x - 1]) &
                  (v >= a[x]) & (v >= a[x + 1]) & (v >= c[x - 1]) & (v >= c[x]) &
                  (v >= c[x + 1]);
    }
}

void vbg_lk_init_ref(vbg_lk_kernels *k)
{
    *k = (vbg_lk_kernels){ .patch = patch,
                           .step = step,
                           .residual = residual,
                           .halve = halve,
                           .corner_row = corner_row,
                           .corner_response = corner_response,
                           .corner_peaks = corner_peaks };
}
