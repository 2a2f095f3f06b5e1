/* Picture, mask and generator metrics; conventions in the header. */
#include "models/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- pictures ---- */

static void check_pair(const vbg_picture *a, const vbg_picture *b)
{
    VBG_CHECK(a->w == b->w && a->h == b->h && a->channels == b->channels,
              "metric of %dx%dx%d and %dx%dx%d", a->w, a->h, a->channels, b->w, b->h,
              b->channels);
}

double vbg_psnr(const vbg_picture *a, const vbg_picture *b)
{
    uint64_t sum = 0;
    size_t row = (size_t)a->w * (size_t)a->channels;

    check_pair(a, b);
    for (int y = 0; y < a->h; y++) {
        const uint8_t *p = a->data + (size_t)y * a->stride;
        const uint8_t *q = b->data + (size_t)y * b->stride;
        for (size_t i = 0; i < row; i++)
            sum += (uint64_t)((p[i] - q[i]) * (p[i] - q[i]));
    }
    double mse = (double)sum / ((double)row * a->h);
    return sum == 0 ? INFINITY : 10 * log10(255.0 * 255.0 / mse);
}

double vbg_mean_abs_diff(const vbg_picture *a, const vbg_picture *b)
{
    uint64_t sum = 0;
    size_t row = (size_t)a->w * (size_t)a->channels;

    check_pair(a, b);
    for (int y = 0; y < a->h; y++) {
        const uint8_t *p = a->data + (size_t)y * a->stride;
        const uint8_t *q = b->data + (size_t)y * b->stride;
        for (size_t i = 0; i < row; i++)
            sum += (uint64_t)abs(p[i] - q[i]);
    }
    return (double)sum / ((double)row * a->h);
}

enum { TAPS = 11, SUMS = 5 }; /* a, b, aa, bb, ab */

static void gray_row(double *dst, const vbg_picture *p, int y)
{
    const uint8_t *s = p->data + (size_t)y * p->stride;

    for (int x = 0; x < p->w; x++, s += p->channels)
        /* fused, so that exact halves fall as in NumPy's matrix product */
        dst[x] = p->channels < 3 ? s[0]
                                 : rint(fma(0.114, s[2], fma(0.587, s[1], 0.299 * s[0])));
}

/* Horizontal window sums of the five products of one row, [SUMS][w - 10]. */
static void ssim_row(double *dst, const double *a, const double *b, const double *kernel,
                     size_t out)
{
    for (size_t x = 0; x < out; x++) {
        double s[SUMS] = { 0 };
        for (size_t k = 0; k < TAPS; k++) {
            double u = a[x + k], v = b[x + k], g = kernel[k];
            s[0] += g * u;
            s[1] += g * v;
            s[2] += g * u * u;
            s[3] += g * v * v;
            s[4] += g * u * v;
        }
        for (size_t i = 0; i < SUMS; i++)
            dst[i * out + x] = s[i];
    }
}

static double ssim_pixel(const double m[SUMS])
{
    const double c1 = 0.01 * 255 * 0.01 * 255, c2 = 0.03 * 255 * 0.03 * 255;
    double ab = m[0] * m[1], aa = m[0] * m[0], bb = m[1] * m[1];

    return (2 * ab + c1) * (2 * (m[4] - ab) + c2) /
           ((aa + bb + c1) * (m[2] - aa + m[3] - bb + c2));
}

vbg_status vbg_ssim(double *out, const vbg_picture *a, const vbg_picture *b, vbg_err *err)
{
    double kernel[TAPS], total = 0, sum = 0;

    check_pair(a, b);
    if (a->w < TAPS || a->h < TAPS)
        return vbg_fail(err, VBG_EUSAGE, "SSIM needs at least 11x11 pixels, not %dx%d",
                        a->w, a->h);
    size_t w = (size_t)a->w, wide = w - TAPS + 1, plane = SUMS * wide;
    double *rows = malloc((2 * w + TAPS * plane) * sizeof *rows); /* ring of 11 */
    if (!rows)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for SSIM");
    for (int k = 0; k < TAPS; k++) {
        kernel[k] = exp(-0.5 * (k - 5) * (k - 5) / (1.5 * 1.5));
        total += kernel[k];
    }
    for (int k = 0; k < TAPS; k++)
        kernel[k] /= total;
    double *ring = rows + 2 * w;
    for (int y = 0; y < a->h; y++) {
        gray_row(rows, a, y);
        gray_row(rows + w, b, y);
        ssim_row(ring + (size_t)(y % TAPS) * plane, rows, rows + w, kernel, wide);
        for (size_t x = 0; y >= TAPS - 1 && x < wide; x++) {
            double m[SUMS] = { 0 };
            for (int k = 0; k < TAPS; k++) {
                const double *r = ring + (size_t)((y + 1 + k) % TAPS) * plane;
                for (size_t i = 0; i < SUMS; i++)
                    m[i] += kernel[k] * r[i * wide + x];
            }
            sum += ssim_pixel(m);
        }
    }
    free(rows);
    *out = sum / ((double)wide * (a->h - TAPS + 1));
    return VBG_OK;
}

/* ---- masks ---- */

void vbg_confusion(int64_t *counts, const uint8_t *truth, const uint8_t *prediction,
                   size_t n, int classes)
{
    memset(counts, 0, (size_t)classes * (size_t)classes * sizeof *counts);
    for (size_t i = 0; i < n; i++)
        if (truth[i] < classes && prediction[i] < classes)
            counts[truth[i] * classes + prediction[i]]++;
}

/* Row sum (truth), column sum (prediction) and hits of one class. */
static void class_sums(const int64_t *counts, int classes, int k, double *row,
                       double *column, double *hit)
{
    *row = *column = 0;
    for (int i = 0; i < classes; i++) {
        *row += (double)counts[k * classes + i];
        *column += (double)counts[i * classes + k];
    }
    *hit = (double)counts[k * classes + k];
}

void vbg_confusion_iou(double *iou, const int64_t *counts, int classes)
{
    for (int k = 0; k < classes; k++) {
        double row, column, hit;
        class_sums(counts, classes, k, &row, &column, &hit);
        double all = row + column - hit;
        iou[k] = all > 0 ? hit / all : NAN;
    }
}

double vbg_confusion_accuracy(const int64_t *counts, int classes)
{
    double all = 0, right = 0;

    for (int i = 0; i < classes * classes; i++)
        all += (double)counts[i];
    for (int k = 0; k < classes; k++)
        right += (double)counts[k * classes + k];
    return all > 0 ? right / all : NAN;
}

double vbg_confusion_mean_recall(const int64_t *counts, int classes)
{
    double sum = 0;
    int present = 0;

    for (int k = 0; k < classes; k++) {
        double row, column, hit;
        class_sums(counts, classes, k, &row, &column, &hit);
        if (row > 0) {
            sum += hit / row;
            present++;
        }
    }
    return present ? sum / present : NAN;
}

double vbg_confusion_mean_iou(const int64_t *counts, int classes)
{
    double sum = 0;
    int present = 0;

    for (int k = 0; k < classes; k++) {
        double row, column, hit;
        class_sums(counts, classes, k, &row, &column, &hit);
        if (row + column > 0) {
            sum += hit / (row + column - hit);
            present++;
        }
    }
    return present ? sum / present : NAN;
}

/* ---- generators ---- */

/* Mean [d] and covariance [d][d] (n - 1) of x [n][d]; centred: n*d doubles of scratch. */
static void moments(double *mean, double *cov, double *centred, const float *x, size_t n,
                    size_t d)
{
    memset(mean, 0, d * sizeof *mean);
    memset(cov, 0, d * d * sizeof *cov);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++)
            mean[k] += (double)x[i * d + k];
    for (size_t k = 0; k < d; k++)
        mean[k] /= (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++)
            centred[i * d + k] = (double)x[i * d + k] - mean[k];
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++) {
            double v = centred[i * d + k];
            for (size_t j = 0; j < d; j++)
                cov[k * d + j] += v * centred[i * d + j];
        }
    for (size_t k = 0; k < d * d; k++)
        cov[k] /= (double)(n - 1);
}

/* c = a b, all [d][d] */
static void product(double *c, const double *a, const double *b, size_t d)
{
    memset(c, 0, d * d * sizeof *c);
    for (size_t i = 0; i < d; i++)
        for (size_t k = 0; k < d; k++) {
            double v = a[i * d + k];
            for (size_t j = 0; j < d; j++)
                c[i * d + j] += v * b[k * d + j];
        }
}

/* root = sqrt(s) of a symmetric semidefinite s (destroyed); tmp [d][d], values [d]. */
static vbg_status square_root(double *root, double *s, double *tmp, double *values,
                              size_t d, vbg_err *err)
{
    vbg_status st = vbg_symmetric_eigen(values, tmp, s, d, err);

    if (st != VBG_OK)
        return st;
    memset(root, 0, d * d * sizeof *root);
    for (size_t r = 0; r < d; r++) {
        const double *v = tmp + r * d;
        double f = values[r] > 0 ? sqrt(values[r]) : 0;
        for (size_t i = 0; f > 0 && i < d; i++)
            for (size_t j = 0; j < d; j++)
                root[i * d + j] += f * v[i] * v[j];
    }
    return VBG_OK;
}

static double trace(const double *a, size_t d)
{
    double s = 0;

    for (size_t i = 0; i < d; i++)
        s += a[i * d + i];
    return s;
}

vbg_status vbg_frechet_distance(double *out, const float *a, size_t na, const float *b,
                                size_t nb, size_t d, vbg_err *err)
{
    size_t rows = na > nb ? na : nb, square, centred, total;

    if (na < 2 || nb < 2 || d == 0)
        return vbg_fail(err, VBG_EUSAGE, "FID needs two pictures in each set");
    double *block = NULL;
    if (vbg_mul_size(&square, d, d) && vbg_mul_size(&centred, rows, d) &&
        vbg_mul_size(&total, square, 5 * sizeof *block) && centred < SIZE_MAX / 64 &&
        vbg_add_size(&total, total, (centred + 3 * d) * sizeof *block))
        block = malloc(total);
    if (!block)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a FID of %zu features",
                        d);
    double *sa = block, *sb = sa + square, *root = sb + square, *tmp = root + square;
    double *mean = tmp + 2 * square, *values = mean + 2 * d, *spare = values + d;
    moments(mean, sa, spare, a, na, d);
    moments(mean + d, sb, spare, b, nb, d);
    double distance = trace(sa, d) + trace(sb, d);
    for (size_t k = 0; k < d; k++)
        distance += (mean[k] - mean[d + k]) * (mean[k] - mean[d + k]);
    vbg_status st = square_root(root, sa, tmp, values, d, err);
    if (st == VBG_OK) {
        product(tmp, root, sb, d);
        product(sa, tmp, root, d);
        for (size_t i = 0; i < d; i++) /* symmetric up to rounding: make it so */
            for (size_t j = 0; j < i; j++)
                sa[i * d + j] = sa[j * d + i] = 0.5 * (sa[i * d + j] + sa[j * d + i]);
        st = vbg_symmetric_eigen(values, NULL, sa, d, err);
    }
    for (size_t k = 0; st == VBG_OK && k < d; k++)
        distance -= 2 * (values[k] > 0 ? sqrt(values[k]) : 0);
    free(block);
    if (st == VBG_OK)
        *out = distance;
    return st;
}

/* p = softmax(x) */
static void softmax(double *p, const float *x, size_t c)
{
    double top = -INFINITY, sum = 0;

    for (size_t k = 0; k < c; k++)
        top = fmax(top, (double)x[k]);
    for (size_t k = 0; k < c; k++)
        sum += p[k] = exp((double)x[k] - top);
    for (size_t k = 0; k < c; k++)
        p[k] /= sum;
}

/* exp(mean KL) of one part; p and marginal: c doubles each. */
static double inception_part(const float *x, size_t n, size_t c, double *p,
                             double *marginal)
{
    double kl = 0;

    memset(marginal, 0, c * sizeof *marginal);
    for (size_t i = 0; i < n; i++) {
        softmax(p, x + i * c, c);
        for (size_t k = 0; k < c; k++)
            marginal[k] += p[k] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        softmax(p, x + i * c, c);
        for (size_t k = 0; k < c; k++)
            if (p[k] > 0)
                kl += p[k] * (log(p[k]) - log(marginal[k]));
    }
    return exp(kl / (double)n);
}

vbg_status vbg_inception_score(double *mean, double *deviation, const float *logits,
                               size_t n, size_t classes, int splits, vbg_err *err)
{
    if (splits < 1 || n < (size_t)splits || classes == 0)
        return vbg_fail(err, VBG_EUSAGE, "inception score: %zu pictures in %d parts", n,
                        splits);
    double *p = malloc(2 * classes * sizeof *p), sum = 0, squares = 0;
    if (!p)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for %zu classes", classes);
    size_t parts = (size_t)splits, from = 0;
    double first = 0; /* deviations are taken from the first score: no cancellation */
    for (size_t s = 0; s < parts; s++) {
        size_t count = n / parts + (s < n % parts);
        double v =
            inception_part(logits + from * classes, count, classes, p, p + classes);
        first = s == 0 ? v : first;
        sum += v - first;
        squares += (v - first) * (v - first);
        from += count;
    }
    free(p);
    sum /= splits;
    *mean = first + sum;
    *deviation = sqrt(fmax(squares / splits - sum * sum, 0));
    return VBG_OK;
}

static double row_distance(const float *a, const float *b, size_t d)
{
    double sum = 0;

    for (size_t i = 0; i < d; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

double vbg_pair_distance(const float *x, const size_t *first, size_t n, size_t d)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            const size_t a = first[i + 1] - first[i], b = first[j + 1] - first[j];
            const size_t rows = a < b ? a : b;
            double pair = 0;
            for (size_t k = 0; k < rows; k++)
                pair += row_distance(x + (first[i] + k) * d, x + (first[j] + k) * d, d);
            sum += pair / (double)rows;
        }
    return sum / (0.5 * (double)n * (double)(n - 1));
}

double vbg_cosine(const float *a, const float *b, size_t c)
{
    double ab = 0, aa = 0, bb = 0;

    for (size_t k = 0; k < c; k++) {
        ab += (double)a[k] * (double)b[k];
        aa += (double)a[k] * (double)a[k];
        bb += (double)b[k] * (double)b[k];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

double vbg_clip_score(const float *image, const float *text, size_t c)
{
    return fmax(100 * vbg_cosine(image, text, c), 0);
}
