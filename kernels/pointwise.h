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
    /* y = dy * act'(x), dy of type io->yt.  x is what act was applied to or, where
     * vbg_act_from_result(act), what came out. */
    void (*act_back)(const vbg_row_io *io, const void *dy, size_t lddy, vbg_act act);
    /* Gradient of geglu: rows of x and y hold 2*cols, rows of dy (type io->yt) cols. */
    void (*geglu_back)(const vbg_row_io *io, const void *dy, size_t lddy);
    /* sum[j] += sum over r < io->rows of x[r][j] * b[r][j], in f32, row after row; b of
     * type io->xt, NULL: ones.  y is not used. */
    void (*dot_columns)(float *sum, const vbg_row_io *io, const void *b, size_t ldb);
    /* Conversion between f32, bf16 and f16 (and u8, i32 -> f32), round to nearest
     * even, NaN stays NaN. */
    void (*convert)(void *y, vbg_dtype yt, const void *x, vbg_dtype xt, size_t count);
} vbg_pointwise_kernels;

/* Whether the slope of act is the same at x and at act(x). */
static inline bool vbg_act_from_result(vbg_act act)
{
    return act == VBG_ACT_NONE || act == VBG_ACT_RELU || act == VBG_ACT_RELU6 ||
           act == VBG_ACT_LEAKY_RELU;
}

/* Each fills in what its level has and leaves the rest as it was. */
void vbg_pointwise_init_ref(vbg_pointwise_kernels *k);
void vbg_pointwise_init_avx2(vbg_pointwise_kernels *k);
void vbg_pointwise_init_avx512(vbg_pointwise_kernels *k);
void vbg_pointwise_init_avx512_bf16(vbg_pointwise_kernels *k);

#endif
