/* Scaled dot-product attention with an online softmax (no tq x tk matrix). */
#ifndef VBG_KERNELS_ATTENTION_H
#define VBG_KERNELS_ATTENTION_H

#include "engine/base.h"

/* One (image, head): q [tq][d], k and v [tk][d], y [tq][d], rows ld* elements
 * apart, all of type t (f32 or bf16).  Scores are scale * q.k; with causal set,
 * key j is seen by query i only if j <= i. */
typedef struct vbg_attention_args {
    const void *q, *k, *v;
    void *y;
    size_t ldq, ldk, ldv, ldy;
    int tq, tk, d;
    vbg_dtype t;
    float scale;
    bool causal;
    /* What the way back wants to know of each query, [tq] each or NULL: a bound of its
     * scores (times scale*log2 e) and 1 / the sum of 2^(score - bound). */
    float *top, *rsum;
} vbg_attention_args;

/* The way back, with P the probabilities:
 *     dv = P^T dy,  ds = P*(dy v^T - sum(dy*y))*scale,  dq = ds k,  dk = ds^T q */
typedef struct vbg_attention_back {
    vbg_attention_args of; /* the forward's, after it: with y, top and rsum */
    const void *dy;        /* [tq][d] of type of.t */
    void *dq, *dk, *dv;    /* [tq][d], [tk][d] twice; dk and dv may both be NULL */
    size_t lddy, lddq, lddk, lddv;
    vbg_dtype dqt, dkt; /* of dq; of dk and dv: f32 or bf16 */
} vbg_attention_back;

typedef struct vbg_attention_kernels {
    /* Queries [q0, q1) of one head.  scratch: private, scratch(a) bytes; what is
     * repacked of K and V stays in it, so make the range long (512 and more). */
    void (*run)(const vbg_attention_args *a, int q0, int q1, void *scratch);
    size_t (*scratch)(const vbg_attention_args *a);
    /* Rows [k0, k1) of dk and dv, and the part of dq that comes from those keys. */
    void (*back)(const vbg_attention_back *b, int k0, int k1, void *scratch);
    size_t (*back_scratch)(const vbg_attention_back *b);
} vbg_attention_kernels;

/* Each fills in what its level has and leaves the rest as it was. */
void vbg_attention_init_ref(vbg_attention_kernels *k);
void vbg_attention_init_avx2(vbg_attention_kernels *k);
void vbg_attention_init_avx512(vbg_attention_kernels *k);
void vbg_attention_init_avx512_bf16(vbg_attention_kernels *k);
void vbg_attention_init_amx_bf16(vbg_attention_kernels *k);

#endif
