/* What only training needs of the matrix products: operands turned on their side,
 * weights packed from their f32 masters.
 *
 * A weight gradient is a matrix product over pixels: k runs over pixels, so one operand
 * is wanted channel by channel (transpose), the other as packed weights are
 * (interleave).  Both take blocks of 32 pixels by address: strides, borders and
 * upsampling are a matter of which addresses the caller lists.
 *
 * A depthwise convolution whose channels are read several times goes through repeat and
 * fold: repeat makes as many input as output channels, fold adds them up again. */
#ifndef VBG_KERNELS_TRAIN_H
#define VBG_KERNELS_TRAIN_H

#include "kernels/gemm.h"
#include "kernels/rows.h"

enum { VBG_TURN = 32 }; /* pixels of a block */

/* Element of channel o, position p of a turned operand: runs of 32 positions of 16
 * channels lie together, as a tile wants them; block: elements from one block of 16
 * channels to the next. */
static inline size_t vbg_turned_at(size_t o, size_t p, size_t block)
{
    return o / 16 * block + (p / VBG_TURN * 16 + o % 16) * VBG_TURN + p % VBG_TURN;
}

/* Packed weights (pack16) from f32 values in any order: output channel o, input channel i
 * and tap k of the packed form are
 *     w[o / group * sg + o % group * so + i * si + tap[k]],
 * or where until is given the sum of those of tap[until[k-1]] .. tap[until[k] - 1]. */
typedef struct vbg_pack_args {
    void *dst;   /* vbg_pack_bytes(t, oc, c, taps) */
    vbg_dtype t; /* f32 or bf16 */
    const float *w;
    size_t oc, c, taps; /* c: of one group */
    size_t group;       /* output channels of one group, oc when there is only one */
    size_t sg, so, si;
    const size_t *tap, *until; /* until: NULL, or ascending */
} vbg_pack_args;

/* Packed bf16 weights the other way round: src is packed for oc x c x all taps, dst for
 * c output and oc input channels; its tap k is src's tap[k].  Both numbers of channels
 * are multiples of VBG_TURN, so neither form has padding. */
typedef struct vbg_turn_args {
    void *dst;
    const void *src;
    size_t oc, c, all, taps;
    const size_t *tap;
} vbg_turn_args;

/* The weight gradient of a depthwise convolution with as many output as input channels:
 * its sizes are those of the forward, dy is its output's gradient of type xt. */
typedef struct vbg_depthwise_grad_args {
    const vbg_conv_args *a;
    const void *dy;
    size_t lddy;
    float *sum; /* [kh*kw][oc] */
} vbg_depthwise_grad_args;

/* sum[k][o][i] += sum over p < m of dy[o][p] * x[k][p][i], for weight gradients: dy is
 * turned (blocks of 16 rows, dy_block elements apart: vbg_turned_at), x[k] interleaved
 * (blocks of 16 channels, block elements apart) and shifted as tap k wants it; all of
 * type t (f32 or bf16).  m is a multiple of
 * 32.  sum has rows of ld_sum and taps tap_sum elements apart, with room for whole blocks
 * of 16 both ways, and so has dy: what is computed there means nothing. */
typedef struct vbg_tap_args {
    const void *dy;
    size_t dy_block;
    const void *const *x;
    size_t block;
    float *sum;
    size_t ld_sum, tap_sum;
    size_t m, oc, c, taps;
    vbg_dtype t;
    bool first; /* sum starts from zero */
} vbg_tap_args;

/* Sums of taps on their way into a gradient,
 *     grad[o*run + i*taps + k] += sum[tap[k] + o*row + i*col],  o < rows, i < cols.
 * Either row or col is 1: of an upsampled layer both sides are exchanged. */
typedef struct vbg_add_args {
    float *grad;
    size_t run;
    const float *sum;
    const size_t *tap;
    size_t row, col, rows, cols, taps;
} vbg_add_args;

typedef struct vbg_train_kernels {
    /* dst[vbg_turned_at(j, i, block)] = px[i][j] for i < 32, j < cols; t: f32 or bf16 */
    void (*transpose)(void *dst, size_t block, const void *const *px, size_t cols,
                      vbg_dtype t);
    /* The 32 pixels as 32 values of k of weights with cols output channels: those of
     * block b are written from element b*block on, [32][16] or [16][16][2]; channels
     * that fill up the last block are zero. */
    void (*interleave)(void *dst, size_t block, const void *const *px, size_t cols,
                       vbg_dtype t);
    /* Output blocks [b0, b1) of 16 channels. */
    void (*pack)(const vbg_pack_args *a, size_t b0, size_t b1);
    /* Blocks [b0, b1) of 16 of dst's output channels. */
    void (*turn_weights)(const vbg_turn_args *a, size_t b0, size_t b1);
    /* Rows of blocks [o0, o1) and columns of blocks [b0, b1) of 16; the result of an
     * element does not depend on the cut. */
    void (*taps)(const vbg_tap_args *a, size_t o0, size_t o1, size_t b0, size_t b1);
    /* sum[o] += sum over p < m of turned rows, o < count; t: f32 or bf16.  m is a
     * multiple of 32; sums are f32 within a row. */
    void (*row_sums)(double *sum, const void *rows, size_t block, size_t count, size_t m,
                     vbg_dtype t);
    void (*add_taps)(const vbg_add_args *a);
    /* y[r][i*times + q] = x[r][i], q < times; y of x's type */
    void (*repeat)(const vbg_row_io *io, size_t times);
    /* y[r][i] = sum over q < times of x[r][i*times + q], i < cols */
    void (*fold)(const vbg_row_io *io, size_t times);
    /* sum += the part of output rows [r0, r1) of n*oh */
    void (*depthwise_grad)(const vbg_depthwise_grad_args *a, size_t r0, size_t r1);
} vbg_train_kernels;

/* The plain ones, also taken by the fast ones: for odd small numbers of channels, for
 * bf16 where the CPU does not multiply it. */
void vbg_pack_blocks_ref(const vbg_pack_args *a, size_t b0, size_t b1);
void vbg_taps_ref(const vbg_tap_args *a, size_t o0, size_t o1, size_t b0, size_t b1);
/* For sums of bf16. */
void vbg_fold_ref(const vbg_row_io *io, size_t times);
/* f32 for the AMX level. */
void vbg_taps_avx512(const vbg_tap_args *a, size_t o0, size_t o1, size_t b0, size_t b1);

/* Each fills in what its level has and leaves the rest as it was. */
void vbg_train_init_ref(vbg_train_kernels *k);
void vbg_train_init_avx2(vbg_train_kernels *k);
void vbg_train_init_avx512(vbg_train_kernels *k);
void vbg_train_init_avx512_bf16(vbg_train_kernels *k);
void vbg_train_init_amx_bf16(vbg_train_kernels *k);

#endif
