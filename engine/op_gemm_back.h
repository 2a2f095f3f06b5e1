/* What the backward of linear layers and convolutions shares.  Private to engine/.
 *
 * The input gradient of a convolution is a convolution of dy.  With stride s the input
 * pixels fall into s*s phases, each reached by every s-th tap only:
 *
 *     dx[s*j + p] = sum over the taps k with s | p + pad - k*dil of
 *                   dy[j + (p + pad - k*dil)/s] w[k]
 *
 * so each phase is a plain convolution of dy with some of the taps, the last first.  With
 * stride 1 there is one phase, written in place.  Upsampling by two in front of a k x k
 * kernel is, backwards, one convolution of stride 2 with (k+1) x (k+1) sums of taps; a
 * transposed convolution is a strided one. */
#ifndef VBG_ENGINE_OP_GEMM_BACK_H
#define VBG_ENGINE_OP_GEMM_BACK_H

#include "engine/op_gemm.h"

enum { VBG_BACK_TAPS = 64 };

/* What a recorded layer keeps. */
typedef struct vbg_layer {
    vbg_conv_args a; /* sizes; pointers are those of the forward and not read */
    vbg_weight w;
    vbg_tensor x, residual; /* data is read only where it was saved */
    vbg_tensor *y;          /* for the slope of act */
    vbg_act act;
    bool has_residual;
} vbg_layer;

/* One axis of one phase. */
typedef struct vbg_phase {
    int count, first, step; /* taps first, first - step, ... */
    int dil, pad;           /* of the convolution over dy */
    int out;                /* input pixels of the phase */
} vbg_phase;

vbg_phase vbg_phase_y(const vbg_layer *l, int p);
vbg_phase vbg_phase_x(const vbg_layer *l, int p);

/* The packed kernels of l's input gradient, phase after phase (py outside, px inside),
 * each of vbg_phase_bytes; made again where the values changed.  They stay with the
 * parameter, or for frozen weights with the tape.  Planning: NULL. */
const char *vbg_back_kernels(vbg_ctx *c, const vbg_layer *l);
/* Of a kernel of that many taps. */
size_t vbg_phase_bytes(const vbg_ctx *c, const vbg_layer *l, int taps);

#endif
