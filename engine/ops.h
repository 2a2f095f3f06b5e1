/* Operations: shape check, arena allocation, kernel call.  Each op lies in the
 * file named after its family (engine/op_<family>.c), with room for its
 * backward directly below it.
 *
 * Unless said otherwise: arguments are NHWC of the context's activation type
 * (f32 or bf16), the result is new, of the same type, and belongs to the current
 * scope.  Shapes are the caller's contract and abort when wrong; nothing else can
 * fail.  Results do not depend on the number of threads. */
#ifndef VBG_ENGINE_OPS_H
#define VBG_ENGINE_OPS_H

#include "engine/tensor.h"

/* A batch norm that is not folded, [c] each; mean and var are updated in training. */
typedef struct vbg_batch_norm_w {
    const float *gamma, *beta;
    float *mean, *var;
    int c;
    float eps, momentum; /* share of the new statistics, 0.1 in PyTorch */
} vbg_batch_norm_w;

/* A linear layer or convolution as a model holds it: pointers into the weights
 * file (or into memory of the model), bound once by engine/bind.h. */
typedef struct vbg_weight {
    const void *data; /* packed as in kernels/gemm.h; NULL: the layer is absent */
    vbg_dtype dtype;
    int oc, c, kh, kw;          /* c: input channels of one group */
    int groups;                 /* 1 if not stated; depthwise: groups == oc, c == 1,
                                   data is f32 [kh*kw][oc] */
    bool transposed;            /* transposed convolution, data f32 [kh*kw][oc][c] */
    const float *scale, *bias;  /* [oc] or NULL; scale holds a folded batch norm */
    const void *phases;         /* see vbg_weight_phases; usually NULL */
    const vbg_batch_norm_w *bn; /* usually NULL: y = act(bn(w x + bias) + residual) */
    bool idle_bias; /* for the backward: batch statistics take the bias away again, so
                       its gradient is 0 and not the rounding errors of a sum */
} vbg_weight;

/* Normalisation weights, [c] each. */
typedef struct vbg_norm_w {
    const float *gamma, *beta;
    int c;
} vbg_norm_w;

/* ---- op_gemm.c ---- */

/* x [n,h,w,c] times w [oc,c] -> [n,h,w,oc], with the weight's scale and bias. */
vbg_tensor *vbg_linear(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w);

/* residual: [n,h,w,oc] or NULL, added before act. */
typedef struct vbg_linear_opt {
    vbg_act act;
    const vbg_tensor *residual;
    bool f32_out; /* store f32 whatever the activation type */
} vbg_linear_opt;
vbg_tensor *vbg_linear_ex(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                          vbg_linear_opt opt);

/* Linear to 2m channels, then first half * gelu(second half) -> [n,h,w,m]. */
vbg_tensor *vbg_linear_geglu(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w);

/* 2-D convolution.  Zero in a field means its usual value: stride 1, dilation 1.
 * pad_* may differ per side; out = (in + pads - dilation*(k-1) - 1)/stride + 1.
 * same: TensorFlow's SAME padding, pads ignored.
 * upsample2: the input is nearest-upsampled by two first (fused). */
typedef struct vbg_conv_opt {
    int stride, dilation, pad;                    /* both axes */
    int stride_x;                                 /* of columns where it differs */
    int pad_top, pad_left, pad_bottom, pad_right; /* added to pad */
    bool same, upsample2;
    vbg_act act;
    const vbg_tensor *residual; /* of the output's shape, added before act */
    bool f32_out;
} vbg_conv_opt;
vbg_tensor *vbg_conv2d(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                       vbg_conv_opt opt);

/* A 3x3 convolution of a nearest-upsampled map equals four 2x2 convolutions of the
 * map itself, one for each parity of the output's row and column: 4/9 of the work.
 * bytes: what their packed kernels need in a context like c, 0 where nothing is gained
 * (other CPUs, f32, other layers).  make: writes them to dst (64-byte aligned, owned by
 * the caller) and points w->phases to them; vbg_conv2d with upsample2 then uses them
 * where the map's width allows.  The sums of weights are rounded to bf16 again. */
size_t vbg_weight_phases_bytes(const vbg_ctx *c, const vbg_weight *w);
void vbg_weight_phases_make(vbg_weight *w, void *dst);

/* Transposed convolution: out = (in-1)*stride + k - 2*pad + out_pad. */
vbg_tensor *vbg_conv_transpose2d(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                                 int stride, int pad, int out_pad, vbg_act act);

/* ---- op_attention.c ---- */

/* q [n,1,tq,heads*d], k and v [n,1,tk,heads*d] (column views allowed; h and w are
 * flattened: h*w tokens) -> [n,qh,qw,heads*d].  k and v with n == 1 are shared by
 * all images.  Scores are q.k/sqrt(d). */
vbg_tensor *vbg_attention(vbg_ctx *c, const vbg_tensor *q, const vbg_tensor *k,
                          const vbg_tensor *v, int heads, bool causal);

/* ---- op_norm.c ----
 * Layer and group norm store the context's activation type, whatever x is (f32 or
 * bf16); statistics are f32 within an image row and f64 across rows. */

/* Over the channels of each pixel. Source: Ba et al. 2016. */
vbg_tensor *vbg_layer_norm(vbg_ctx *c, const vbg_tensor *x, const vbg_norm_w *w,
                           float eps);
/* Over h*w*(c/groups) values per image and group, followed by act.
 * Source: Wu and He 2018, eq. 1-4. */
vbg_tensor *vbg_group_norm(vbg_ctx *c, const vbg_tensor *x, const vbg_norm_w *w,
                           int groups, float eps, vbg_act act);
/* y = act(x*scale[c] + shift[c]): batch norm in evaluation mode. */
vbg_tensor *vbg_scale_shift(vbg_ctx *c, const vbg_tensor *x, const float *scale,
                            const float *shift, vbg_act act);
/* act(bn(x) + residual), residual of x's shape or NULL: by the running statistics, or,
 * when vbg_training, by those of x over n, h and w (biased variance), which then update
 * the running ones (unbiased variance).  Source: Ioffe and Szegedy 2015. */
vbg_tensor *vbg_batch_norm(vbg_ctx *c, const vbg_tensor *x, const vbg_batch_norm_w *bn,
                           const vbg_tensor *residual, vbg_act act);
/* Softmax over channels. */
vbg_tensor *vbg_softmax(vbg_ctx *c, const vbg_tensor *x);

/* ---- op_unit.c ---- */

/* x / max(|x|, 1e-12) and log softmax over the channels of each pixel. */
vbg_tensor *vbg_unit_vectors(vbg_ctx *c, const vbg_tensor *x);
vbg_tensor *vbg_log_softmax(vbg_ctx *c, const vbg_tensor *x);

/* ---- op_pointwise.c ---- */

vbg_tensor *vbg_activate(vbg_ctx *c, const vbg_tensor *x, vbg_act act);
/* act(a + b); b may be [n,1,1,c] or [1,1,1,c], then it is broadcast. */
vbg_tensor *vbg_add(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b, vbg_act act);
/* y += x in place, x of y's shape or broadcast as in vbg_add, of one type; never
 * recorded. */
void vbg_add_to(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x);
/* a * b, b broadcast as in vbg_add. */
vbg_tensor *vbg_mul(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b);
/* x*scale + shift */
vbg_tensor *vbg_affine(vbg_ctx *c, const vbg_tensor *x, float scale, float shift);
/* First half of the channels * gelu(second half) -> [n,h,w,c/2]. */
vbg_tensor *vbg_geglu(vbg_ctx *c, const vbg_tensor *x);
/* Channels of a, then those of b. */
vbg_tensor *vbg_concat(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b);
/* Images of a, then those of b. */
vbg_tensor *vbg_stack(vbg_ctx *c, const vbg_tensor *a, const vbg_tensor *b);
/* A copy as another type, contiguous. */
vbg_tensor *vbg_cast(vbg_ctx *c, const vbg_tensor *x, vbg_dtype t);
/* Into dst of the same shape (contiguous f32 or bf16), e.g. a job's result. */
void vbg_copy_out(vbg_ctx *c, void *dst, vbg_dtype t, const vbg_tensor *x);

/* ---- op_resize.c ---- */

typedef enum vbg_resize_mode {
    VBG_RESIZE_NEAREST,        /* source index floor(i*in/out) */
    VBG_RESIZE_BILINEAR,       /* half-pixel centres (align_corners false) */
    VBG_RESIZE_BILINEAR_ALIGN, /* corners on corners (align_corners true)  */
    VBG_RESIZE_CUBIC,          /* Keys' with a = -0.75, half-pixel centres */
    VBG_RESIZE_ANTIALIAS,      /* bilinear over the area of an output      */
    VBG_RESIZE_AREA            /* mean over an output's area (adaptive pooling) */
} vbg_resize_mode;
vbg_tensor *vbg_resize(vbg_ctx *c, const vbg_tensor *x, int h, int w,
                       vbg_resize_mode mode);

/* ---- op_resample.c ---- */

/* y[i] = sum over taps of weight[i*taps+k] * pixel index[i*taps+k] of each image
 * (index < 0: nothing) -> [n, oh, ow, c].  Bilinear gathers use taps 4.  On a tape,
 * index and weight must outlive the backward. */
vbg_tensor *vbg_gather(vbg_ctx *c, const vbg_tensor *x, const int *index,
                       const float *weight, int taps, int oh, int ow);
/* x at the places grid says, bilinear: grid [n,oh,ow,2] f32 holds (x, y) with -1 and 1
 * at the picture's edges or, align, at the centres of its corner pixels.  Outside there
 * is zero or, border, the nearest pixel -> [n,oh,ow,c]. */
typedef struct vbg_grid_opt {
    bool border, align;
} vbg_grid_opt;
vbg_tensor *vbg_grid_sample(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *grid,
                            vbg_grid_opt opt);
/* x with a frame around it: of zeros, mirrored (without repeating the edge; the frame
 * is narrower than the picture) or repeating the edge. */
typedef enum vbg_pad_mode {
    VBG_PAD_ZERO,
    VBG_PAD_REFLECT,
    VBG_PAD_REPLICATE
} vbg_pad_mode;
typedef struct vbg_pad_opt {
    int top, left, bottom, right;
    vbg_pad_mode mode;
} vbg_pad_opt;
vbg_tensor *vbg_pad(vbg_ctx *c, const vbg_tensor *x, vbg_pad_opt opt);
/* Rows of table (dtype, [rows][c]) picked by ids [n][t] -> [n,1,t,c]. */
vbg_tensor *vbg_embed(vbg_ctx *c, const void *table, vbg_dtype t, int rows, int ch,
                      const int *ids, int n, int count);
/* [n,h,w,c] -> [n,h*r,w*r,c/r^2] as PyTorch's pixel_shuffle. */
vbg_tensor *vbg_pixel_shuffle(vbg_ctx *c, const vbg_tensor *x, int r);

/* ---- op_pool.c ---- */

typedef struct vbg_pool_opt {
    int k_y, k_x, stride, pad; /* stride 0: 1; same: TensorFlow's SAME */
    bool max, same;
    bool count_padding; /* average divides by the whole window (PyTorch default) */
    bool ceil_mode;
} vbg_pool_opt;
vbg_tensor *vbg_pool(vbg_ctx *c, const vbg_tensor *x, vbg_pool_opt opt);
/* Mean over h and w -> [n,1,1,c]. */
vbg_tensor *vbg_global_mean(vbg_ctx *c, const vbg_tensor *x);

#endif
