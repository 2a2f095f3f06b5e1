/* Correspondence-aware attention blocks: couple each view to its two neighbours.
 *
 *     g  = x + enc(0)                          query, encoding of displacement zero
 *     e  = gather(neighbour, t_n) + enc(d_n)   18 entries, masked ones are zero
 *     x1 = x + out(attention(q LN1(g), k LN1(e), v LN1(e)))     heads 32 wide
 *     y  = x1 + ff2(geglu(ff1(LN2(x1))))
 *
 * A masked entry is the constant token LN1(0) = beta and takes part in the softmax.
 * K and V are projected once per map and gathered afterwards (kernels/caa.h); what
 * depends only on the weights and the rig is kept in tables, made once.
 * With zero output layers (the initialisation) the block is the exact identity.
 * Source: Tang et al. 2023, section 4.1. */
#ifndef VBG_MODELS_CAA_H
#define VBG_MODELS_CAA_H

#include "engine/bind.h"
#include "engine/ops.h"
#include "models/camera.h"

typedef struct vbg_caa_block {
    int c; /* a multiple of 32 */
    vbg_norm_w norm1, norm2;
    vbg_weight q, k, v, out, ff1, ff2;
    const float *freq; /* [c/4] */
} vbg_caa_block;

/* Binds PREFIXtransformer.attn1.to_q.weight, ..., PREFIXpe.freq_bands.  What the file
 * lacks and the parameters declare starts as in MVDiffusion: to_out and ff.net.2 zero,
 * so that the block is the identity; frequencies by the formula.  Those are never
 * trained, only kept with the parameters. */
void vbg_caa_bind(vbg_bind *b, vbg_caa_block *m, int c, const char *prefix);
/* Frequencies of blocks among the parameters are at most max; before tables are made. */
void vbg_caa_limit_bands(vbg_params *p, float max);

/* Tables of one block at one level of a rig. */
typedef struct vbg_caa_tables vbg_caa_tables;

/* share (may be NULL): tables of the same level; their encodings are used when the
 * frequencies agree (then share must live as long).  level is borrowed.
 * Errors: VBG_ENOMEM. */
vbg_status vbg_caa_tables_new(vbg_caa_tables **out, vbg_ctx *c, const vbg_caa_block *m,
                              const vbg_caa_level *level, const vbg_caa_tables *share,
                              vbg_err *err);
/* Tables for training: only what does not depend on the weights; the rest is part of
 * each forward pass, and gradients reach all parameters but freq. */
vbg_status vbg_caa_tables_train(vbg_caa_tables **out, vbg_ctx *c, const vbg_caa_block *m,
                                const vbg_caa_level *level, const vbg_caa_tables *share,
                                vbg_err *err);
/* Tables without contents, enough to plan a forward pass. */
vbg_status vbg_caa_tables_shape(vbg_caa_tables **out, const vbg_caa_block *m,
                                const vbg_caa_level *level, vbg_dtype t, vbg_err *err);
void vbg_caa_tables_free(vbg_caa_tables *t); /* accepts NULL */
/* Bytes such tables take (without the job that makes them). */
size_t vbg_caa_tables_bytes(const vbg_caa_block *m, const vbg_caa_level *level,
                            bool shared, vbg_dtype t);

/* x [n,h,w,c] with n a multiple of the views (each group is one panorama) -> the
 * same shape, new. */
vbg_tensor *vbg_caa_forward(vbg_ctx *c, const vbg_caa_block *m, const vbg_caa_tables *t,
                            const vbg_tensor *x);

/* The parts, for oracles: queries and attention (to_out included, no residual). */
vbg_tensor *vbg_caa_query(vbg_ctx *c, const vbg_caa_block *m, const vbg_caa_tables *t,
                          const vbg_tensor *x);
vbg_tensor *vbg_caa_attend(vbg_ctx *c, const vbg_caa_block *m, const vbg_caa_tables *t,
                           const vbg_tensor *x);

#endif
