/* Elementwise kernels on rows of contiguous elements, f32 or bf16. */
#ifndef VBG_KERNELS_POINTWISE_H
#define VBG_KERNELS_POINTWISE_H

#include "kernels/gemm.h" /* vbg_act */
#include "kernels/rows.h"

typedef struct vbg_pointwise_kernels {
    /* y = act(x) */
    void (*act)(const vbg_row_io *io, vbg_act act);
    /* y = act(x + b); b is of type io->xt, ldb 0 repeats one row of b for all */
    void (*add)(const vbg_row_io *io, const void *b, size_t ldb, vbg_act act);
    /* y = x * b */
    void (*mul)(const vbg_row_io *io, const void *b, size_t ldb);
    /* y = x * scale + shift */
    void (*affine)(const vbg_row_io *io, float scale, float shift);
    /* y[r][j] = x[r][j] * gelu(x[r][cols + j]); x rows hold 2*cols */
    void (*geglu)(const vbg_row_io *io);
    /* Conversion between f32, bf16 and f16 (and u8, i32 -> f32), round to nearest
     * even, NaN stays NaN. */
    void (*convert)(void *y, vbg_dtype yt, const void *x, vbg_dtype xt, size_t count);
} vbg_pointwise_kernels;

/* Each fills in what its level has and leaves the rest as it was. */
void vbg_pointwise_init_ref(vbg_pointwise_kernels *k);
void vbg_pointwise_init_avx2(vbg_pointwise_kernels *k);
void vbg_pointwise_init_avx512(vbg_pointwise_kernels *k);
void vbg_pointwise_init_avx512_bf16(vbg_pointwise_kernels *k);

#endif
