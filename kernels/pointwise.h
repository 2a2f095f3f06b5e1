/* Elementwise kernels on rows of contiguous elements, f32 or bf16. */
#ifndef VBG_KERNELS_POINTWISE_H
#define VBG_KERNELS_POINTWISE_H

#include "engine/base.h"
#include "kernels/gemm.h" /* vbg_act */

typedef struct vbg_pointwise_kernels {
    /* y[i] = act(x[i]) */
    void (*act)(void *y, const void *x, vbg_dtype t, size_t count, vbg_act act);
    /* y[i] = act(a[i] + b[i]) */
    void (*add)(void *y, const void *a, const void *b, vbg_dtype t, size_t count,
                vbg_act act);
    void (*mul)(void *y, const void *a, const void *b, vbg_dtype t, size_t count);
    /* y[i] = x[i] * scale + shift */
    void (*affine)(void *y, const void *x, vbg_dtype t, size_t count, float scale,
                   float shift);
    /* y[r][j] = x[r][j] * gelu(x[r][cols + j]); x rows hold 2*cols */
    void (*geglu)(void *y, size_t ldy, const void *x, size_t ldx, vbg_dtype t,
                  size_t rows, size_t cols);
    /* conversion between f32, bf16 and f16 (and u8 -> f32), round to nearest even */
    void (*convert)(void *y, vbg_dtype yt, const void *x, vbg_dtype xt, size_t count);
} vbg_pointwise_kernels;

void vbg_pointwise_init_ref(vbg_pointwise_kernels *k);
void vbg_pointwise_init_avx2(vbg_pointwise_kernels *k);
void vbg_pointwise_init_avx512(vbg_pointwise_kernels *k);
void vbg_pointwise_init_avx512_bf16(vbg_pointwise_kernels *k);

#endif
