/* Layer and group norm, softmax rows. */
#ifndef VBG_KERNELS_NORM_H
#define VBG_KERNELS_NORM_H

#include "engine/base.h"
#include "kernels/gemm.h" /* vbg_act */

typedef struct vbg_norm_kernels {
    /* y[r][j] = (x[r][j] - mean_r) / sqrt(var_r + eps) * gamma[j] + beta[j];
     * two passes, biased variance; gamma and beta may be NULL (1 and 0). */
    void (*layer)(void *y, size_t ldy, const void *x, size_t ldx, vbg_dtype t,
                  const float *gamma, const float *beta, size_t rows, size_t cols,
                  float eps);
    /* Sums of one row range of an image, for the statistics of group norm:
     * sum[g] += sum x, sq[g] += sum (x - shift[g])^2 in double across rows. */
    void (*group_sums)(double *sum, double *sq, const float *shift, const void *x,
                       size_t ldx, vbg_dtype t, size_t rows, size_t cols, size_t groups);
    /* y[r][j] = act(x[r][j] * scale[j] + shift[j]) */
    void (*scale_shift)(void *y, size_t ldy, vbg_dtype yt, const void *x, size_t ldx,
                        vbg_dtype xt, const float *scale, const float *shift, size_t rows,
                        size_t cols, vbg_act act);
    /* y[r] = softmax(x[r]) over cols */
    void (*softmax)(void *y, size_t ldy, const void *x, size_t ldx, vbg_dtype t,
                    size_t rows, size_t cols);
} vbg_norm_kernels;

void vbg_norm_init_ref(vbg_norm_kernels *k);
void vbg_norm_init_avx2(vbg_norm_kernels *k);
void vbg_norm_init_avx512(vbg_norm_kernels *k);
void vbg_norm_init_avx512_bf16(vbg_norm_kernels *k);

#endif
