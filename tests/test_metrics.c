/* Metrics against values worked out by hand or in closed form. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/metrics.h"

static double random_value(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u;
    return (double)(*s >> 8) * 0x1p-23 - 1;
}

/* A picture over a static-free buffer of the caller. */
static vbg_picture over(uint8_t *data, int w, int h, int channels)
{
    return (vbg_picture){ data, w, h, channels, (size_t)(w * channels) };
}

Test(metrics, pictures)
{
    uint8_t a[16 * 16 * 3], b[16 * 16 * 3];
    vbg_picture p = over(a, 16, 16, 3), q = over(b, 16, 16, 3);
    vbg_err err = { 0 };
    double v;
    uint32_t s = 7;

    for (size_t i = 0; i < sizeof a; i++) {
        a[i] = (uint8_t)(128 + 100 * random_value(&s));
        b[i] = (uint8_t)(a[i] + 5);
    }
    cr_assert(isinf(vbg_psnr(&p, &p)));
    cr_assert(fabs(vbg_psnr(&p, &q) - 10 * log10(255.0 * 255 / 25)) < 1e-12);
    cr_assert(vbg_mean_abs_diff(&p, &q) == 5);
    cr_assert(vbg_ssim(&v, &p, &p, &err) == VBG_OK && fabs(v - 1) < 1e-12);
    /* constant pictures: (2ab + c1) / (a^2 + b^2 + c1) */
    memset(a, 100, sizeof a);
    memset(b, 120, sizeof b);
    cr_assert(vbg_ssim(&v, &p, &q, &err) == VBG_OK);
    cr_assert(fabs(v - (2 * 100.0 * 120 + 6.5025) / (100.0 * 100 + 120 * 120 + 6.5025)) <
              1e-9);
    p.w = q.w = 10;
    cr_assert(vbg_ssim(&v, &p, &q, &err) == VBG_EUSAGE);
}

Test(metrics, masks)
{
    const uint8_t truth[8] = { 0, 0, 0, 1, 1, 2, 2, 255 };
    const uint8_t pred[8] = { 0, 0, 1, 1, 1, 2, 0, 0 };
    int64_t counts[16];
    double iou[4];

    vbg_confusion(counts, truth, pred, 8, 4);
    cr_assert(counts[0] == 2 && counts[1] == 1 && counts[5] == 2 && counts[8] == 1 &&
              counts[10] == 1);
    vbg_confusion_iou(iou, counts, 4);
    cr_assert(iou[0] == 0.5 && fabs(iou[1] - 2.0 / 3) < 1e-15 && iou[2] == 0.5 &&
              isnan(iou[3]));
    cr_assert(fabs(vbg_confusion_accuracy(counts, 4) - 5.0 / 7) < 1e-15);
    cr_assert(fabs(vbg_confusion_mean_iou(counts, 4) - 5.0 / 9) < 1e-15);
    cr_assert(fabs(vbg_confusion_mean_recall(counts, 4) - (2.0 / 3 + 1 + 0.5) / 3) <
              1e-15);
}

/* A v = lambda v and orthonormal rows, for full, singular and diagonal matrices. */
Test(metrics, eigenvalues)
{
    static const size_t sizes[] = { 1, 2, 3, 8, 31, 60 };
    vbg_err err = { 0 };

    for (size_t t = 0; t < sizeof sizes / sizeof *sizes * 3; t++) {
        size_t n = sizes[t / 3], rank = t % 3 == 0 ? n : t % 3 == 1 ? n / 2 : 0;
        double *a = calloc(4 * n * n + n, sizeof *a), *copy = a + n * n,
               *v = copy + n * n;
        double *x = v + n * n, *values = x + n * n, norm = 0;
        uint32_t s = (uint32_t)t;
        for (size_t i = 0; i < rank * n; i++)
            x[i] = random_value(&s);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                for (size_t k = 0; k < rank; k++)
                    a[i * n + j] += x[k * n + i] * x[k * n + j];
                if (rank == 0 && i == j)
                    a[i * n + j] = (double)(n - i);
                norm = fmax(norm, fabs(a[i * n + j]));
            }
        memcpy(copy, a, n * n * sizeof *a);
        cr_assert(vbg_symmetric_eigen(values, v, a, n, &err) == VBG_OK);
        double limit = 1e-14 * norm * (double)(n * n) + 1e-300;
        for (size_t r = 0; r < n; r++) {
            cr_assert(r == 0 || values[r] >= values[r - 1]);
            for (size_t i = 0; i < n; i++) {
                double sum = -values[r] * v[r * n + i], dot = -(double)(i == r);
                for (size_t k = 0; k < n; k++) {
                    sum += copy[i * n + k] * v[r * n + k];
                    dot += v[i * n + k] * v[r * n + k];
                }
                cr_assert(fabs(sum) <= limit, "case %zu: residual %g", t, sum);
                cr_assert(fabs(dot) <= 1e-13 * (double)n, "case %zu: dot %g", t, dot);
            }
        }
        free(a);
    }
    double bad[4] = { 1, NAN, NAN, 1 }, values[2];
    cr_assert(vbg_symmetric_eigen(values, NULL, bad, 2, &err) == VBG_EFORMAT);
}

Test(metrics, generators)
{
    /* Two points each: mean 0 and 1, variance 2 and 8 along one axis:
     * 1 + (sqrt 2 - sqrt 8)^2 = 3; the second axis is constant. */
    const float a[] = { -1, 5, 1, 5 }, b[] = { -1, 5, 3, 5 };
    vbg_err err = { 0 };
    double v, deviation;

    cr_assert(vbg_frechet_distance(&v, a, 2, b, 2, 2, &err) == VBG_OK);
    cr_assert(fabs(v - 3) < 1e-12, "%.17g", v);
    cr_assert(vbg_frechet_distance(&v, a, 1, b, 2, 2, &err) == VBG_EUSAGE);
    /* certain and balanced over four classes: score 4 in both halves */
    float logits[8 * 4] = { 0 };
    for (int i = 0; i < 8; i++)
        logits[i * 4 + i % 4] = 1000;
    cr_assert(vbg_inception_score(&v, &deviation, logits, 8, 4, 2, &err) == VBG_OK);
    cr_assert(fabs(v - 4) < 1e-12 && deviation == 0);
    cr_assert(vbg_inception_score(&v, &deviation, logits, 1, 4, 2, &err) == VBG_EUSAGE);

    const float x[] = { 3, 4 }, y[] = { 4, 3 }, z[] = { -3, -4 }, none[] = { 0, 0 };
    cr_assert(fabs(vbg_cosine(x, y, 2) - 0.96) < 1e-15);
    cr_assert(fabs(vbg_clip_score(x, y, 2) - 96) < 1e-13);
    cr_assert(vbg_clip_score(x, z, 2) == 0 && vbg_cosine(x, none, 2) == 0);
}
