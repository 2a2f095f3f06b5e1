/* What linear layers and convolutions share with their backward.  Private to engine/. */
#ifndef VBG_ENGINE_OP_GEMM_H
#define VBG_ENGINE_OP_GEMM_H

#include "engine/ops.h"
#include "engine/tape.h"
#include "engine/tensor_internal.h"

/* The kernels over a whole output, cut for the context's threads.  Planning: only the
 * scratch is reserved. */
void vbg_gemm_run(vbg_ctx *c, const vbg_gemm_args *a, size_t rows);
void vbg_conv_run(vbg_ctx *c, const vbg_conv_args *a);
void vbg_depthwise_run(vbg_ctx *c, const vbg_conv_args *a);

/* Whether a gradient will be wanted through this layer. */
bool vbg_conv_recorded(const vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                       const vbg_tensor *residual);
/* Records y = act(w x + bias + residual), where w is without batch norm; a: the sizes of
 * the forward.  w->transposed tells transposed convolutions apart. */
void vbg_conv_record(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x, const vbg_weight *w,
                     const vbg_conv_args *a, const vbg_tensor *residual, vbg_act act);

/* Where a weight gradient goes; grad may be NULL while planning. */
typedef struct vbg_wgrad_out {
    float *grad; /* [oc][c of a group][kh][kw], added to */
    float *bias; /* [oc], may be NULL: sums of dy over its pixels are added */
    int folded;  /* k of an upsampled layer with k x k taps whose input gradient is the
                    convolution a over dy: grad is then that layer's, [c][oc of a
                    group][k][k] with the letters of a; 0 otherwise */
} vbg_wgrad_out;

/* The weight gradient of the convolution a (its x is read, in the type a->xt; not
 * upsampled) for dy [n,oh,ow,oc] of the same type. */
void vbg_conv_weight_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                          const vbg_wgrad_out *out);
/* grad [oc][1][kh][kw] += the same for a depthwise convolution. */
void vbg_depthwise_weight_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                               float *grad);

/* Memory of the current scope for count values of type t; planning: NULL. */
void *vbg_room(vbg_ctx *c, vbg_dtype t, size_t count);

static inline bool vbg_is_depthwise(const vbg_weight *w)
{
    return w->c == 1 && w->groups == w->oc && w->groups > 1;
}

/* Multiply-adds of a convolution or of its weight gradient. */
static inline double vbg_conv_macs(const vbg_conv_args *a)
{
    return (double)a->n * a->oh * a->ow * a->oc * (a->c / a->groups) * a->kh * a->kw;
}

static inline size_t vbg_divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

#endif
