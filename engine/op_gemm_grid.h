/* Pixels laid out for the products of weight gradients.  Private to engine/.
 *
 * The output pixels, and the input pixels of each phase of the stride, are laid out on
 * one grid with shared borders, strip after strip (images, or bands of their rows) in one
 * row of positions:
 *
 *     dy   v v v v v . .        v: a pixel, .: zero; width: input row + borders
 *     x    . a b c d e .        tap (ky,kx) reads x at position + ky*width + kx
 *
 * dy is turned on its side, rows of positions for each channel; x is packed as weights
 * are, k = position (kernels/train.h).  Then each tap is one long product,
 *
 *     sum[tap][oc][c] = sum over positions of dy^T[oc][position] * x[position +
 * offset][c]
 *
 * where zeros of dy cancel whatever x holds there.  A tap is a shift of x alone.  Packed
 * bf16 comes in pairs of positions, so two strips lie side by side, pixel for pixel:
 * every shift is then one of whole pairs.  One tap without stride or borders needs no
 * grid: positions are pixels.
 *
 * The positions are cut into chunks.  Where the sums are small, a chunk is what one task
 * turns and multiplies in L2; where they are large, all threads share it. */
#ifndef VBG_ENGINE_OP_GEMM_GRID_H
#define VBG_ENGINE_OP_GEMM_GRID_H

#include "engine/op_gemm.h"

enum {
    VBG_GRID_BLOCK = 16,
    VBG_GRID_TAPS = 64, /* most taps */
    VBG_GRID_LANES = 2  /* strips side by side for bf16 */
};

/* Shifts of the taps of one axis in steps of the stride, and what they need around. */
typedef struct vbg_reach {
    int lead, last; /* borders in front; the largest shift, at least 0 */
} vbg_reach;

typedef struct vbg_grid {
    vbg_ctx *c;
    const vbg_train_kernels *k;
    const vbg_conv_args *a; /* one group */
    const vbg_tensor *dy;
    size_t first_c, first_oc; /* of the group */
    bool flat;                /* positions are pixels, one tap */
    vbg_reach v, h;
    int lanes;
    int bands, band;    /* strips of an image; output rows of each */
    int rows, width;    /* of a layer of strips on the grid, in pixels */
    int strips, layers; /* of a chunk: strips, layers of `lanes` of them */
    size_t chunks;
    size_t m, len;          /* positions of a chunk; with what taps reach */
    size_t dy_block, block; /* elements from a block of 16 channels to the next: dy, x */
    size_t phases, taps, size; /* size: bytes of an element */
    size_t oc_blocks, c_blocks;
    size_t dy_bytes, x_bytes; /* of the operands of a chunk, x behind dy */
    const char *zeros;        /* a pixel of zeros */
    bool shared;              /* threads share a chunk */
} vbg_grid;

/* Everything but zeros from c, k, a, dy, first_c, first_oc and flat. */
void vbg_grid_shape(vbg_grid *g);
/* Blocks [t0, t1) of VBG_TURN positions of a chunk, its operands at work: dy^T, and one
 * phase of x. */
void vbg_grid_turn_dy(const vbg_grid *g, size_t chunk, char *work, size_t t0, size_t t1);
void vbg_grid_turn_x(const vbg_grid *g, size_t chunk, size_t phase, char *work, size_t t0,
                     size_t t1);

/* The operands of a chunk at work and where each tap reads x.  What concerns sums is left
 * to the caller. */
typedef struct vbg_grid_operands {
    vbg_tap_args a;
    const void *x[VBG_GRID_TAPS];
} vbg_grid_operands;
void vbg_grid_operands_at(const vbg_grid *g, vbg_grid_operands *o, const char *work);

#endif
