/* What the files of the CAA blocks share.  Private to models/. */
#ifndef VBG_MODELS_CAA_INTERNAL_H
#define VBG_MODELS_CAA_INTERNAL_H

#include "models/caa.h"

/* Vectors that depend on the weights, f32 [c] each; VBG_CAA_ZERO is zero. */
enum {
    VBG_CAA_K_ONE,
    VBG_CAA_V_ONE,
    VBG_CAA_K_NULL,
    VBG_CAA_V_NULL,
    VBG_CAA_ZERO,
    VBG_CAA_VECS
};

struct vbg_caa_tables {
    const vbg_caa_level *level;
    const float *freq;
    vbg_dtype t;
    int c;
    bool train;          /* no ek and ev: they change with every step */
    float *vec;          /* [VBG_CAA_VECS][c] */
    void *centre;        /* enc(0), [c] of type t */
    void *enc, *ek, *ev; /* [rows][c] of type t */
    float *sums;         /* [rows][2]: sum and squares of enc, see kernels/caa.h */
    bool shared;         /* enc belongs to another */
};

/* What the attention of a block reads: maps [n,h,w,c], tables [1,1,rows,c], vectors
 * f32 [1,1,1,c]; see vbg_caa_args. */
typedef struct vbg_caa_inputs {
    const vbg_caa_tables *t;
    const vbg_tensor *x, *q, *k, *v, *ek, *ev;
    const vbg_tensor *k_one, *v_one, *k_null, *v_null;
} vbg_caa_inputs;

/* Attention before to_out, [n,h,w,c]; gradients go to all but k_null, which shifts all
 * scores of a query alike.  (models/caa_attend.c) */
vbg_tensor *vbg_caa_couple(vbg_ctx *c, const vbg_caa_inputs *in);

#endif
