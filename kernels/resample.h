/* Resizing, pooling and gathering of feature maps, f32 or bf16.  x and y have the
 * same type t; pixels are ldx and ldy elements apart.  The backward kernels add to f32
 * gradients dx. */
#ifndef VBG_KERNELS_RESAMPLE_H
#define VBG_KERNELS_RESAMPLE_H

#include "engine/base.h"

/* y[i][0..c) = sum_{k<taps} weight[i*taps+k] * x[index[i*taps+k]][0..c) for i <
 * count; index < 0 contributes nothing. */
typedef struct vbg_gather_args {
    void *y;
    const void *x;
    size_t ldy, ldx, count, c;
    const int *index;
    const float *weight;
    int taps;
    vbg_dtype t;
} vbg_gather_args;

/* One output row of a bilinear resize:
 *   y[i] = (1-fy) * lerp(row0, i) + fy * lerp(row1, i)
 *   lerp(row, i) = (1-fx[i]) * row[x0[i]] + fx[i] * row[x1[i]]            i < ow */
typedef struct vbg_bilinear_args {
    void *y;
    const void *row0, *row1;
    size_t ldy, ldx, ow, c;
    const int *x0, *x1;
    const float *fx;
    float fy;
    vbg_dtype t;
} vbg_bilinear_args;

/* One image of a pooling with windows of kh x kw. */
typedef struct vbg_pool_args {
    void *y;       /* [oh][ow] */
    const void *x; /* [h][w] */
    size_t ldy, ldx, c;
    int h, w, ow, kh, kw, stride, pad_top, pad_left;
    int pad_bottom, pad_right; /* only their share in the divisor counts */
    bool max, count_padding;
    vbg_dtype t;
} vbg_pool_args;

/* dx[index[i*taps+k]] += weight[i*taps+k] * dy[i], i after i. */
typedef struct vbg_gather_back_args {
    float *dx;
    const void *dy;
    size_t lddx, lddy, count, c;
    const int *index;
    const float *weight;
    int taps;
    vbg_dtype t; /* of dy */
} vbg_gather_back_args;

/* One output row's share in the gradient of one source row:
 *   dx[x0[i]] += weight * (1-fx[i]) * dy[i],  dx[x1[i]] += weight * fx[i] * dy[i] */
typedef struct vbg_bilinear_back_args {
    float *dx; /* pixels c apart */
    const void *dy;
    size_t lddy, ow, c;
    const int *x0, *x1;
    const float *fx;
    float weight;
    vbg_dtype t; /* of dy */
} vbg_bilinear_back_args;

typedef struct vbg_resample_kernels {
    void (*gather)(const vbg_gather_args *a);
    void (*bilinear_row)(const vbg_bilinear_args *a);
    /* output row oy */
    void (*pool_row)(const vbg_pool_args *a, int oy);
    void (*gather_back)(const vbg_gather_back_args *a);
    void (*bilinear_row_back)(const vbg_bilinear_back_args *a);
    /* dy: [oh][ow], pixels a->ldy apart; dx: [h][w], lddx apart.  The gradient of a
     * maximum goes to the first of equal values, row after row. */
    void (*pool_row_back)(const vbg_pool_args *a, const void *dy, float *dx, size_t lddx,
                          int oy);
} vbg_resample_kernels;

/* Each fills in what its level has and leaves the rest as it was. */
void vbg_resample_init_ref(vbg_resample_kernels *k);
void vbg_resample_init_avx2(vbg_resample_kernels *k);
void vbg_resample_init_avx512(vbg_resample_kernels *k);
void vbg_resample_init_avx512_bf16(vbg_resample_kernels *k);

#endif
