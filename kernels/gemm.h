/* Matrix products and convolutions over NHWC with packed weights.
 *
 * Packed weights ("pack16"): output channels in blocks of 16, k innermost but
 * for the vector unit's group:
 *
 *     f32         [oc/16][K][16]
 *     bf16, f16   [oc/16][K/2][16][2]          pairs of k
 *     i8          [oc/16][K/4][16][4]          quads of k
 *
 * k runs over taps (ky, kx) and inside a tap over the input channels of one
 * group, each tap padded to cp channels; K is padded again at the end, padding
 * is zero.  vbg_pack_shape gives cp and K: for the 16-bit types taps are padded
 * to 32 channels so that an AMX tile (16 pixels x 32 channels) is read straight
 * from the activation map; 16 or fewer channels stay unpadded and only K is.
 * A 32-deep piece of one block is 1 KB in a row: exactly one AMX B tile.
 */
#ifndef VBG_KERNELS_GEMM_H
#define VBG_KERNELS_GEMM_H

#include "engine/base.h"
#include "kernels/isa.h"

typedef enum vbg_act {
    VBG_ACT_NONE,
    VBG_ACT_RELU,
    VBG_ACT_RELU6,
    VBG_ACT_SILU,       /* x sigmoid(x)             */
    VBG_ACT_GELU,       /* exact, with erf          */
    VBG_ACT_QUICK_GELU, /* x sigmoid(1.702 x)       */
    VBG_ACT_HSWISH,     /* x clip(x+3,0,6)/6        */
    VBG_ACT_HSIGMOID,   /* clip(x+3,0,6)/6          */
    VBG_ACT_SIGMOID,
    VBG_ACT_TANH,
    /* from here on for elementwise and normalising kernels only */
    VBG_ACT_GELU_TANH,  /* x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)) */
    VBG_ACT_LEAKY_RELU, /* x, 0.1 x below 0         */
    VBG_ACT_ELU,        /* x, e^x - 1 below 0       */
    VBG_ACT_SOFTPLUS,   /* log(1 + e^x)             */
    VBG_ACT_EXP
} vbg_act;
enum { VBG_ACTS = VBG_ACT_EXP + 1 };

/* What happens to a sum before it is stored, in this order:
 *   y = act(sum * scale[oc] + bias[oc] + residual[pixel][oc])
 * NULL leaves a step out.  scale and bias carry a folded batch norm. */
typedef struct vbg_epilogue {
    const float *scale, *bias;
    const void *residual; /* of y's dtype, ldr elements from pixel to pixel */
    size_t ldr;
    vbg_act act;
} vbg_epilogue;

/* Channels per tap and total K after padding. */
typedef struct vbg_pack_dims {
    size_t cp, k;
} vbg_pack_dims;
vbg_pack_dims vbg_pack_shape(vbg_dtype t, size_t c, size_t taps);
/* Bytes of the packed form of oc x taps x c. */
size_t vbg_pack_bytes(vbg_dtype t, size_t oc, size_t c, size_t taps);
/* Packs w, f32 [oc][c][kh][kw] (PyTorch order; kh = kw = 1 for linear), into dst
 * of vbg_pack_bytes, rounding to t (f32, bf16, f16). */
void vbg_pack(void *dst, vbg_dtype t, const float *w, size_t oc, size_t c, size_t kh,
              size_t kw);
/* The inverse, widened to f32. */
void vbg_unpack(float *w, const void *src, vbg_dtype t, size_t oc, size_t c, size_t kh,
                size_t kw);

/* y[m][oc] = epilogue(sum_k x[m][k] w[oc][k]).
 * geglu: y has oc/2 columns, a * gelu(b), where a and b are the first and the
 * second half of the oc sums (each with its scale and bias; residual and act are
 * not used).  oc is then a multiple of 32 and output block i needs the weight
 * blocks i and oc/32 + i. */
typedef struct vbg_gemm_args {
    const void *x; /* xt (f32, bf16), rows ldx elements apart */
    size_t ldx;
    const void *w; /* packed, wt (f32, bf16, f16) */
    void *y;       /* yt (f32, bf16), rows ldy elements apart */
    size_t ldy;
    size_t k, oc; /* unpadded */
    vbg_dtype xt, wt, yt;
    bool geglu;
    bool short_sums; /* vector kernels in f32: chains of 160 products instead of 320 */
    vbg_epilogue ep;
} vbg_gemm_args;

/* y[n][oy][ox][oc] = epilogue(sum over taps and channels), groups included.
 * Outside the picture x is zero. */
typedef struct vbg_conv_args {
    const void *x;
    size_t ldx;
    const void *w;
    void *y;
    size_t ldy;
    int n, h, w_in, c; /* input */
    int oh, ow, oc;    /* output */
    int kh, kw, stride_y, stride_x, pad_top, pad_left, dil_y, dil_x, groups;
    vbg_dtype xt, wt, yt;
    vbg_epilogue ep;
    bool short_sums; /* as above */
    bool upsample2;  /* x is read as if nearest-upsampled by 2 first */
    size_t y_row;    /* pixels from one row of y to the next, 0: ow.  Only the AMX
                       kernel knows it, for ow of whole tiles or from 64 on */
} vbg_conv_args;

/* Depthwise: w f32 [kh*kw][oc]; output channel o reads input channel o/(oc/c). */
typedef vbg_conv_args vbg_depthwise_args;

/* Transposed convolution: w f32 [kh*kw][oc][c]; input pixel (iy,ix) adds to output
 * (iy*stride_y - pad_top + ky, ix*stride_x - pad_left + kx). */
typedef vbg_conv_args vbg_transpose_args;

/* All kernels compute a rectangle of the output, from rows [r0, r1) and output
 * channel blocks of 16 [b0, b1), so that the caller may cut the work freely; the
 * result of an element does not depend on the cut.  Rows are m for gemm and
 * n*oh for conv.  scratch is private, gemm_scratch/conv_scratch bytes. */
typedef struct vbg_gemm_kernels {
    void (*gemm)(const vbg_gemm_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                 void *scratch);
    size_t (*gemm_scratch)(const vbg_gemm_args *a);
    void (*conv)(const vbg_conv_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                 void *scratch);
    size_t (*conv_scratch)(const vbg_conv_args *a);
    /* rows [r0, r1) of n*oh, all channels */
    void (*depthwise)(const vbg_depthwise_args *a, size_t r0, size_t r1);
    void (*transpose)(const vbg_transpose_args *a, size_t r0, size_t r1);
} vbg_gemm_kernels;

/* The plain convolution: also taken by the fast ones for group widths that do not
 * fill blocks of 16 output channels. */
void vbg_conv_ref(const vbg_conv_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                  void *scratch);

void vbg_gemm_init_ref(vbg_gemm_kernels *k);
void vbg_gemm_init_avx2(vbg_gemm_kernels *k);
void vbg_gemm_init_avx512(vbg_gemm_kernels *k);
void vbg_gemm_init_avx512_bf16(vbg_gemm_kernels *k);
void vbg_gemm_init_amx_bf16(vbg_gemm_kernels *k);

#endif
