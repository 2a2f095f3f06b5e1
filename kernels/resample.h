/* Resizing, pooling and gathering of feature maps, f32 or bf16. */
#ifndef VBG_KERNELS_RESAMPLE_H
#define VBG_KERNELS_RESAMPLE_H

#include "engine/base.h"

/* One output row of c-channel pixels: y[x] = sum over 4 taps of weight * source. */
typedef struct vbg_resample_kernels {
    /* y[i][0..c) = sum_{k<taps} weight[i*taps+k] * x[index[i*taps+k]][0..c);
     * index < 0 contributes zero.  x pixels are ldx apart. */
    void (*gather)(void *y, size_t ldy, const void *x, size_t ldx, vbg_dtype t,
                   const int *index, const float *weight, int taps, size_t count,
                   size_t c);
    /* pooling of one output pixel row: max or average over kh x kw windows */
    void (*pool_row)(void *y, size_t ldy, const void *x, size_t ldx, vbg_dtype t, int h,
                     int w, int oy, int ow, int kh, int kw, int stride, int pad_top,
                     int pad_left, size_t c, bool max, bool count_padding);
} vbg_resample_kernels;

void vbg_resample_init_ref(vbg_resample_kernels *k);
void vbg_resample_init_avx2(vbg_resample_kernels *k);
void vbg_resample_init_avx512(vbg_resample_kernels *k);

#endif
