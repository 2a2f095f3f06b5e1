/* Correspondence-aware attention: every pixel of a view asks 3x3 places around its
 * own image in each of two neighbouring views (MVDiffusion, Tang et al. 2023).
 *
 * An entry e = gather(F) + enc goes through LayerNorm and the K and V projections.
 * Both are linear but for a scalar shift and scale, so the projections are made once
 * per map and gathered instead; with A = Wk diag(gamma):
 *
 *     k = (gather(A F) + A enc - mean(e) A 1) / std(e) + Wk beta       (v alike)
 *
 * Entries outside the neighbour's picture are the constant token (Wk beta, Wv beta).
 *
 * The 9 entries of one neighbour share their sub-pixel position: they lie in a patch
 * of 4x4 pixels.  Entry dx*3 + dy (dx, dy in 0..2) reads the columns dx, dx+1 and the
 * rows dy, dy+1 of the patch:
 *
 *      (x0,y0) o . . .        entry 0 (dx = 0, dy = 0): the upper left 2x2
 *              . . . .        entry 4: the middle 2x2
 *              . . . .        pixels outside the map count as zero
 *              . . . .
 */
#ifndef VBG_KERNELS_CAA_H
#define VBG_KERNELS_CAA_H

#include "engine/base.h"

enum { VBG_CAA_HEAD = 32, VBG_CAA_ENTRIES = 18, VBG_CAA_GRAM = 6 };

/* One pixel and one neighbour. */
typedef struct vbg_caa_spot {
    int32_t x0, y0; /* corner of the patch, may lie outside */
    float fx, fy;   /* in [0, 1) */
    uint32_t row;   /* of the first in-view entry in the tables */
    uint32_t mask;  /* bit e: entry e is in view */
} vbg_caa_spot;

/* Query image of h*w pixels; c is a multiple of 32, heads are 32 wide.  Maps and
 * tables are of type t (f32, bf16).  Tables hold one row of c values per in-view
 * entry, in the order pixel, neighbour, entry. */
typedef struct vbg_caa_args {
    const void *q;                  /* [h*w][c] */
    void *y;                        /* [h*w][c] */
    const void *x[2], *k[2], *v[2]; /* F, A F, Av F of the neighbours [h*w][c] */
    size_t ldq, ldy, ldx, ldk, ldv;
    const void *enc, *ek, *ev;                    /* tables: enc, A enc, Av enc */
    const float *k_one, *v_one, *k_null, *v_null; /* A 1, Av 1, Wk beta, Wv beta */
    const vbg_caa_spot *spot;                     /* [h*w][2] */
    /* For the kernels that want them (vbg_caa_kernels.gram), else NULL: what gram()
     * makes of the neighbours' F, and per table row the sum and the sum of squares of
     * enc. */
    const float *gram[2];  /* [h*w][VBG_CAA_GRAM] */
    const float *enc_sums; /* [rows][2] */
    int h, w, c;
    vbg_dtype t;
    float eps; /* of the LayerNorm */
} vbg_caa_args;

/* The way back.  With kraw = gather(A F) + A enc of an entry, vraw alike, r = 1/std(e)
 * and m = mean(e), the constant tokens shift all scores of a query alike, so that only
 * scores relative to theirs matter, and A 1, Av 1 and Wv beta add up:
 *
 *     s = scale r q.(kraw - m k_one)   p = softmax with 18 - n tokens of score 0
 *     t = r dy.(vraw - m v_one)        ds = p (t - sum p t)
 *     alpha = scale r ds,  beta = r p  (per entry and head)
 *     dq = sum alpha (kraw - m k_one)
 *     dkraw = alpha q,  dvraw = beta dy
 *     dk_one = -sum alpha m q,  dv_one = -sum beta m dy,  dv_null = sum dy
 *     dr = sum over heads of (ds s + p t)/r
 *     dm = -sum over heads of (alpha q.k_one + beta dy.v_one)
 *     de = one[0] + one[1] e  with  one[1] = -dr r^3/c,  one[0] = dm/c - one[1] m
 *
 * dkraw and dvraw go to the tables' gradients and, like de, through the transposed
 * gather to those of the maps. */
typedef struct vbg_caa_back {
    vbg_caa_args of; /* the forward's; y, k_null, gram and enc_sums are not read */
    const void *dy;  /* [h*w][c] of type of.t */
    void *dq;        /* the same */
    size_t lddy, lddq;
    uint32_t row0;       /* row of the tables at which the following begin */
    float *dek, *dev;    /* [rows][c], += */
    float *coef;         /* [rows][c/32][2]: alpha, beta */
    float *line;         /* [rows][2]: see above */
    float *dvec;         /* [3][c]: of k_one, v_one, v_null, += */
    float *dx, *dk, *dv; /* [h*w][32]: 32 channels of the neighbour's gradients, += */
} vbg_caa_back;

typedef struct vbg_caa_kernels {
    /* Pixels [p0, p1). */
    void (*run)(const vbg_caa_args *a, size_t p0, size_t p1);
    /* NULL, or run needs args.gram for bf16: for the pixels of row y of a map x
     * [h][w][c] the sum of its channels and its products with itself and with the
     * pixels right, below, below right and below left of it (0 outside). */
    void (*gram)(float *out, const void *x, size_t ldx, int h, int w, int c, int y);
    /* Pixels [p0, p1): writes dq, coef and line, adds to dek, dev, dvec. */
    void (*back)(const vbg_caa_back *b, size_t p0, size_t p1);
    /* All pixels: adds what neighbour `side` gets in channels [c0, c0 + 32) to dx, dk
     * and dv; reads coef and line. */
    void (*scatter)(const vbg_caa_back *b, int side, size_t c0);
} vbg_caa_kernels;

/* Each fills in what its level has and leaves the rest as it was. */
void vbg_caa_init_ref(vbg_caa_kernels *k);
void vbg_caa_init_avx2(vbg_caa_kernels *k);
void vbg_caa_init_avx512(vbg_caa_kernels *k);
void vbg_caa_init_avx512_bf16(vbg_caa_kernels *k);

#endif
