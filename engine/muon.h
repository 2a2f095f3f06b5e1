/* The orthogonal direction of Muon: the momentum of a weight seen as a matrix G with its
 * singular values pushed towards 1 (between about 0.7 and 1.2) by five steps of
 *
 *     X <- a X + (b A + c A A) X,   A = X X',   X = G / |G| at first
 *
 * (Newton and Schulz; a, b, c = 3.4445, -4.7750, 2.0315).  About 20 r r n multiply-adds
 * for an r x n matrix, r the smaller side.  f32; tiles are fixed, so results do not depend
 * on the number of threads.  A zero matrix stays zero.
 * Sources: Jordan et al. 2024 (Muon); Liu et al. 2025 (scale by the larger side). */
#ifndef VBG_ENGINE_MUON_H
#define VBG_ENGINE_MUON_H

#include "engine/tensor.h"

/* Working memory for matrices up to a size. */
typedef struct vbg_muon vbg_muon;

/* The largest sides of the matrices to come, in any order.  Errors: VBG_ENOMEM. */
vbg_status vbg_muon_new(vbg_muon **out, size_t rows, size_t cols, vbg_err *err);
void vbg_muon_free(vbg_muon *m); /* accepts NULL */

/* g [rows][cols] is replaced by its direction; neither side is larger than the larger
 * one of vbg_muon_new nor both larger than the smaller one. */
void vbg_muon_direction(vbg_muon *m, vbg_ctx *c, float *g, size_t rows, size_t cols);

#endif
