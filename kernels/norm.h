/* Layer and group norm, softmax: rows are pixels, columns channels. */
#ifndef VBG_KERNELS_NORM_H
#define VBG_KERNELS_NORM_H

#include "kernels/gemm.h" /* vbg_act */
#include "kernels/rows.h"

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
    /* y[r][j] = act(x[r][j] * scale[j] + shift[j]) */
    void (*scale_shift)(const vbg_row_io *io, const float *scale, const float *shift,
                        vbg_act act);
    /* y[r] = softmax(x[r]) over cols */
    void (*softmax)(const vbg_row_io *io);
} vbg_norm_kernels;

/* Each fills in what its level has and leaves the rest as it was. */
void vbg_norm_init_ref(vbg_norm_kernels *k);
void vbg_norm_init_avx2(vbg_norm_kernels *k);
void vbg_norm_init_avx512(vbg_norm_kernels *k);
void vbg_norm_init_avx512_bf16(vbg_norm_kernels *k);

#endif
