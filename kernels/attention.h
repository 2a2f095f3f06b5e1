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
} vbg_attention_args;

typedef struct vbg_attention_kernels {
    /* Queries [q0, q1) of one head.  scratch: private, scratch(a) bytes; what is
     * repacked of K and V stays in it, so make the range long (512 and more). */
    void (*run)(const vbg_attention_args *a, int q0, int q1, void *scratch);
    size_t (*scratch)(const vbg_attention_args *a);
} vbg_attention_kernels;

/* Each fills in what its level has and leaves the rest as it was. */
void vbg_attention_init_ref(vbg_attention_kernels *k);
void vbg_attention_init_avx2(vbg_attention_kernels *k);
void vbg_attention_init_avx512(vbg_attention_kernels *k);
void vbg_attention_init_avx512_bf16(vbg_attention_kernels *k);
void vbg_attention_init_amx_bf16(vbg_attention_kernels *k);

#endif
