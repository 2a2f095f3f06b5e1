/* Layer and group norm, softmax: rows are pixels, columns channels. */
#ifndef VBG_KERNELS_NORM_H
#define VBG_KERNELS_NORM_H

#include "kernels/gemm.h" /* vbg_act */
#include "kernels/rows.h"

/* The way back through y = act(z), z = x*scale + shift (+ res), rows of cols:
 *     dz = dy * act'(z)
 * x and dx are of type xt, the others of type yt; ld*: elements from row to row. */
typedef struct vbg_norm_back {
    const void *x, *dy, *res; /* res may be NULL */
    void *dx, *dres;          /* either may be NULL; dres gets dz */
    size_t ldx, lddy, ldres, lddx, lddres, rows, cols;
    vbg_dtype xt, yt;
    const float *scale, *shift; /* not read when act is VBG_ACT_NONE */
    const float *centre;        /* what x is measured from; NULL: 0 */
    const void *plus;           /* added to dx, of its type, may be NULL; not in softmax */
    size_t ldplus;
    vbg_act act;
} vbg_norm_back;

typedef struct vbg_norm_kernels {
    /* y[r][j] = (x[r][j] - mean_r) / sqrt(var_r + eps) * gamma[j] + beta[j];
     * two passes, biased variance; gamma and beta may be NULL (1 and 0). */
    void (*layer)(const vbg_row_io *io, const float *gamma, const float *beta, float eps);
    /* Sums of each channel, for group norm and means:
     *   sum[j] += sum_r (x[r][j] - shift[j]),  sq[j] += sum_r (x[r][j] - shift[j])^2
     * shift may be NULL (zero), sq may be NULL.  Sums run in f32 over pieces of
     * `piece` consecutive rows (an image row) and in f64 across pieces.  y unused. */
    void (*channel_sums)(double *sum, double *sq, const float *shift,
                         const vbg_row_io *io, size_t piece);
    /* y[r][j] = act(x[r][j] * scale[j] + shift[j] + res[r*ldres + j]); res is of the
     * type of y, NULL: zero */
    void (*scale_shift)(const vbg_row_io *io, const float *scale, const float *shift,
                        const void *res, size_t ldres, vbg_act act);
    /* y[r] = softmax(x[r]) over cols */
    void (*softmax)(const vbg_row_io *io);

    /* ---- backwards ---- */

    /* sum[j] += sum_r dz, sumx[j] += sum_r dz * (x - centre[j]); added up as in
     * channel_sums. */
    void (*back_sums)(double *sum, double *sumx, const vbg_norm_back *b, size_t piece);
    /* dx = fz[j]*dz + fx[j]*(x - centre[j]) + f1[j]; fx and f1 may be NULL (0). */
    void (*back_map)(const vbg_norm_back *b, const float *fz, const float *fx,
                     const float *f1);
    /* Layer norm, statistics from x again: with n = (x - mean)*rstd and g = dy*gamma,
     * dx = rstd*(g - mean(g) - n*mean(g*n)), dgamma[j] += sum_r dy*n,
     * dbeta[j] += sum_r dy.  gamma may be NULL (1), dgamma with dbeta may be NULL. */
    void (*layer_back)(const vbg_norm_back *b, const float *gamma, float eps,
                       float *dgamma, float *dbeta);
    /* x is the softmax itself: dx = x*(dy - sum_j dy*x). */
    void (*softmax_back)(const vbg_norm_back *b);
} vbg_norm_kernels;

/* Each fills in what its level has and leaves the rest as it was. */
void vbg_norm_init_ref(vbg_norm_kernels *k);
void vbg_norm_init_avx2(vbg_norm_kernels *k);
void vbg_norm_init_avx512(vbg_norm_kernels *k);
void vbg_norm_init_avx512_bf16(vbg_norm_kernels *k);

#endif
