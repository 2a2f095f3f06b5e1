/* Quality of pictures, masks and generators; everything in double.
 *
 * Conventions: those of scikit-image (SSIM), pytorch-fid (FID), Salimans et al. 2016
 * (inception score) and torchmetrics (CLIP score). */
#ifndef VBG_MODELS_METRICS_H
#define VBG_MODELS_METRICS_H

#include "engine/picture.h"

/* 10 log10(255^2 / mean squared difference) over all channels; +infinity for equal
 * pictures.  Sizes and channels of both are the same (aborts otherwise). */
double vbg_psnr(const vbg_picture *a, const vbg_picture *b);
/* Mean absolute difference in levels. */
double vbg_mean_abs_diff(const vbg_picture *a, const vbg_picture *b);
/* Structural similarity of the gray pictures (rounded .299/.587/.114 of RGB): 11-tap
 * Gaussian sigma 1.5, population covariance, k1 0.01, k2 0.03, range 255, mean
 * without a border of 5.  Both sides at least 11.  *out in [-1, 1].
 * Errors: VBG_EUSAGE (size), VBG_ENOMEM.  Source: Wang et al. 2004. */
vbg_status vbg_ssim(double *out, const vbg_picture *a, const vbg_picture *b,
                    vbg_err *err);

/* counts[truth * classes + prediction] of n labels below classes (others are left
 * out); counts is [classes*classes], overwritten. */
void vbg_confusion(int64_t *counts, const uint8_t *truth, const uint8_t *prediction,
                   size_t n, int classes);
/* iou[c] = intersection / union, NaN where a class appears in neither. */
void vbg_confusion_iou(double *iou, const int64_t *counts, int classes);
/* Share of correct labels; mean over the classes present of recall and of IoU. */
double vbg_confusion_accuracy(const int64_t *counts, int classes);
double vbg_confusion_mean_recall(const int64_t *counts, int classes);
double vbg_confusion_mean_iou(const int64_t *counts, int classes);

/* Frechet distance of two sets of features a [na][d], b [nb][d] (row-major f32):
 * |mean difference|^2 + tr(Sa + Sb - 2 sqrt(Sa Sb)), covariances with n - 1.
 * Rank-deficient covariances are fine: tr sqrt(Sa Sb) is the sum of square roots of
 * the eigenvalues of A Sb A with A = sqrt(Sa), both symmetric.
 * Errors: VBG_EUSAGE (fewer than 2 rows), VBG_ENOMEM.  Source: Heusel et al. 2017. */
vbg_status vbg_frechet_distance(double *out, const float *a, size_t na, const float *b,
                                size_t nb, size_t d, vbg_err *err);
/* Inception score of logits [n][classes]: mean and population standard deviation over
 * `splits` contiguous parts (the first n % splits one longer) of
 * exp(mean KL(p(y|x) || p(y))).  Errors: VBG_EUSAGE (n < splits), VBG_ENOMEM. */
vbg_status vbg_inception_score(double *mean, double *deviation, const float *logits,
                               size_t n, size_t classes, int splits, vbg_err *err);

/* Mean distance of n items, pair by pair.  Item i has the rows x[first[i]..first[i+1]-1]
 * of d values; the distance of two items is the mean Euclidean distance of their rows in
 * order (as many as both have).  n >= 2, no item without rows. */
double vbg_pair_distance(const float *x, const size_t *first, size_t n, size_t d);

/* Cosine of two vectors of c values (0 when one is zero). */
double vbg_cosine(const float *a, const float *b, size_t c);
/* max(100 cos, 0).  Source: Hessel et al. 2021, as torchmetrics scales it. */
double vbg_clip_score(const float *image, const float *text, size_t c);

/* Eigenvalues of a symmetric matrix a [n][n] in ascending order and, when vectors is
 * not NULL, the eigenvector of values[i] as row i of vectors [n][n].  a is destroyed.
 * Householder tridiagonalisation, implicit QL: O(n^3), a residual of about
 * n * 1e-16 |a|.  Errors: VBG_EFORMAT (no convergence: NaN or infinity inside),
 * VBG_ENOMEM.  Source: Golub and Van Loan, sections 8.3.1 and 8.3.5. */
vbg_status vbg_symmetric_eigen(double *values, double *vectors, double *a, size_t n,
                               vbg_err *err);

#endif
