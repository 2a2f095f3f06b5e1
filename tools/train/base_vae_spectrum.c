/* Loss on the strengths of frequencies; see tools/train/base_vae_loss.h.
 *
 * y and x are the real and the imaginary part of one picture z; with Z its transform,
 *
 *     Y(k) = (Z(k) + conj Z(-k)) / 2,     X(k) = (Z(k) - conj Z(-k)) / 2i,
 *
 * and the gradient of sum | |Y| - |X| | with respect to y is the transform of the
 * conjugate of sign(|Y| - |X|) Y / |Y|, which is real. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/train/base_vae_loss.h"

enum { N = 32, BITS = 5, CH = 3 };

/* Rows are lanes: a transform along the columns works on whole rows at once. */
typedef struct plane {
    float re[N][N], im[N][N];
} plane;

typedef struct twiddles {
    float re[N / 2], im[N / 2];
} twiddles;

static twiddles make_twiddles(void)
{
    twiddles t;

    for (int k = 0; k < N / 2; k++) {
        const double a = -2 * 3.14159265358979323846 * k / N;
        t.re[k] = (float)cos(a);
        t.im[k] = (float)sin(a);
    }
    return t;
}

static void swap_rows(float *a, float *b)
{
    float t[N];

    memcpy(t, a, sizeof t);
    memcpy(a, b, sizeof t);
    memcpy(b, t, sizeof t);
}

/* (a, b) -> (a + w b, a - w b), elementwise */
static void butterfly(float *restrict ar, float *restrict ai, float *restrict br,
                      float *restrict bi, float wr, float wi)
{
    for (int x = 0; x < N; x++) {
        const float r = wr * br[x] - wi * bi[x], i = wr * bi[x] + wi * br[x];
        br[x] = ar[x] - r;
        bi[x] = ai[x] - i;
        ar[x] += r;
        ai[x] += i;
    }
}

/* Along y, radix 2, decimation in time (Cooley and Tukey 1965). */
static void columns(plane *p, const twiddles *t)
{
    for (int y = 0; y < N; y++) {
        int back = 0;
        for (int k = 0; k < BITS; k++)
            back |= (y >> k & 1) << (BITS - 1 - k);
        if (back > y) {
            swap_rows(p->re[y], p->re[back]);
            swap_rows(p->im[y], p->im[back]);
        }
    }
    for (int half = 1; half < N; half *= 2)
        for (int y = 0; y < N; y += 2 * half)
            for (int k = 0; k < half; k++) {
                const int a = y + k, b = a + half, w = k * (N / 2 / half);
                butterfly(p->re[a], p->im[a], p->re[b], p->im[b], t->re[w], t->im[w]);
            }
}

static void transpose(float v[N][N])
{
    for (int y = 0; y < N; y++)
        for (int x = 0; x < y; x++) {
            const float t = v[y][x];
            v[y][x] = v[x][y];
            v[x][y] = t;
        }
}

/* Both axes; the result lies transposed. */
static void transform(plane *p, const twiddles *t)
{
    columns(p, t);
    transpose(p->re);
    transpose(p->im);
    columns(p, t);
}

/* Sum of ||Y| - |X||; z becomes the conjugate of its slope at Y. */
static double compare(plane *g, const plane *z)
{
    double sum = 0;

    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            const int ni = (N - i) % N, nk = (N - k) % N;
            const float ar = z->re[i][k], ai = z->im[i][k];
            const float br = z->re[ni][nk], bi = -z->im[ni][nk];
            const float yr = (ar + br) / 2, yi = (ai + bi) / 2;
            const float xr = (ai - bi) / 2, xi = (br - ar) / 2;
            const float y = sqrtf(yr * yr + yi * yi), x = sqrtf(xr * xr + xi * xi);
            const float s = y > x ? 1.0f : -1.0f, share = y > 0 && y != x ? s / y : 0;
            sum += fabs((double)(y - x));
            g->re[i][k] = share * yr;
            g->im[i][k] = -share * yi;
        }
    return sum;
}

typedef struct spectrum_job {
    const vbg_tensor *y, *x;
    vbg_tensor *dy;
    twiddles t;
    double weight, coefficients; /* compared in all */
    double *part;                /* one per image */
} spectrum_job;

/* One channel of the window at offset `at` (in floats). */
static double window(const spectrum_job *j, size_t at)
{
    const size_t row = (size_t)j->y->w * CH;
    const float *y = (const float *)j->y->data + at, *x = (const float *)j->x->data + at;
    const float share = (float)(j->weight / j->coefficients / N);
    plane z, g;

    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < N; k++) {
            z.re[i][k] = y[i * row + k * CH];
            z.im[i][k] = x[i * row + k * CH];
        }
    transform(&z, &j->t);
    const double sum = compare(&g, &z);
    if (!j->dy)
        return sum;
    transform(&g, &j->t); /* transposed twice: upright again */
    float *dy = (float *)j->dy->data + at;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < N; k++)
            dy[i * row + k * CH] += share * g.re[i][k];
    return sum;
}

static void one_picture(void *arg, size_t n, int thread)
{
    const spectrum_job *j = arg;
    const size_t h = (size_t)j->y->h, w = (size_t)j->y->w;
    double sum = 0;

    (void)thread;
    for (size_t y = 0; y + N <= h; y += N)
        for (size_t x = 0; x + N <= w; x += N)
            for (size_t k = 0; k < CH; k++)
                sum += window(j, ((n * h + y) * w + x) * CH + k);
    j->part[n] = sum;
}

double vbg_loss_spectrum(vbg_ctx *c, const vbg_tensor *y, const vbg_tensor *x,
                         double weight, vbg_tensor *dy)
{
    const size_t n = (size_t)y->n;
    double sum = 0;

    VBG_CHECK(y->c == CH && x->c == CH && y->h == x->h && y->w == x->w && y->n == x->n,
              "spectra of %dx%d and %dx%d", y->w, y->h, x->w, x->h);
    if (vbg_planning(c) || y->h < N || y->w < N)
        return 0;
    spectrum_job j = { .y = y,
                       .x = x,
                       .dy = dy,
                       .t = make_twiddles(),
                       .weight = weight,
                       .coefficients = (double)(y->h / N * N) * (double)(y->w / N * N) *
                                       (double)n * CH,
                       .part = calloc(n, sizeof(double)) };
    VBG_CHECK(j.part, "out of memory");
    vbg_parallel(c, n, one_picture, &j);
    for (size_t i = 0; i < n; i++) /* in order: the same for any threads */
        sum += j.part[i];
    free(j.part);
    return sum / j.coefficients / N;
}
