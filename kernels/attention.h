/* Scaled dot-product attention with an online softmax (no tq x tk matrix). */
#ifndef VBG_KERNELS_ATTENTION_H
#define VBG_KERNELS_ATTENTION_H

#include "engine/base.h"

/* One (image, head) at a time: q [tq][d], k and v [tk][d], y [tq][d], rows ld*
 * elements apart, all of type t (f32 or bf16).  Scores are scale * q.k; with
 * causal set, key j is seen by query i only if j <= i. */
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
    /* queries [q0, q1); prepared: what prepare wrote for this head, or NULL */
    void (*run)(const vbg_attention_args *a, int q0, int q1, const void *prepared,
                void *scratch);
    size_t (*scratch)(const vbg_attention_args *a);
    /* optional repacking of one head's K and V, shared by its query tiles */
    size_t (*prepared_bytes)(const vbg_attention_args *a);
    void (*prepare)(const vbg_attention_args *a, void *prepared);
} vbg_attention_kernels;

void vbg_attention_init_ref(vbg_attention_kernels *k);
void vbg_attention_init_avx2(vbg_attention_kernels *k);
void vbg_attention_init_avx512(vbg_attention_kernels *k);
void vbg_attention_init_avx512_bf16(vbg_attention_kernels *k);
void vbg_attention_init_amx_bf16(vbg_attention_kernels *k);

#endif
