/* Quality of mattes and masks against the truth, in double.  Mattes are f32 in 0..1,
 * row by row, w*h values.  Source of the four errors and their scales: the evaluation of
 * Robust Video Matting (Lin et al. 2021); dtSSD: Erofeev et al. 2015. */
#ifndef VBG_MODELS_MATTING_H
#define VBG_MODELS_MATTING_H

#include "engine/base.h"

typedef struct vbg_matting_errors {
    double mad;  /* mean |a - truth|, times 1e3 */
    double mse;  /* mean (a - truth)^2, times 1e3 */
    double grad; /* sum of squared differences of the gradients' lengths (Gaussian
                    derivatives, sigma 1.4, borders repeated), divided by 1e3 */
} vbg_matting_errors;

/* Errors: VBG_ENOMEM. */
vbg_status vbg_matting_compare(vbg_matting_errors *out, const float *a,
                               const float *truth, int w, int h, vbg_err *err);

/* Of two successive frames: sqrt(mean ((a1 - a0) - (t1 - t0))^2), times 1e2. */
double vbg_matting_dtssd(const float *a0, const float *a1, const float *t0,
                         const float *t1, size_t count);
/* Mean |a1 - a0|: what flickers (and what moves). */
double vbg_matting_change(const float *a0, const float *a1, size_t count);

/* Harmonic mean of precision and recall of the boundary pixels of mask against those of
 * truth (bytes, nonzero inside), found again within radius pixels (Euclid).  A boundary
 * pixel is inside with a 4-neighbour outside; the picture's edge is none.  1 when neither
 * has one.  Errors: VBG_ENOMEM.  Source: Perazzi et al. 2016 (DAVIS). */
vbg_status vbg_boundary_f(double *out, const uint8_t *mask, const uint8_t *truth, int w,
                          int h, int radius, vbg_err *err);

#endif
