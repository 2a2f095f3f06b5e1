/* Sparse optical flow: pyramidal Lucas-Kanade, iterative, with bilinear windows.
 *
 * Conventions follow the widely used fixed-point implementation, so that results can be
 * compared point by point: mirrored pictures, derivatives zero outside the frame,
 * thresholds on the window matrix scaled by 2^-20, two opposite steps below 0.01 px go
 * back half a step, and the window is tested once more after the last iteration.
 * Status is no validity test (on pure noise all points keep it): add a
 * forward-backward test and a robust fit. */
#ifndef VBG_VIDEO_FLOW_H
#define VBG_VIDEO_FLOW_H

#include "engine/tensor.h"
#include "video/pyramid.h"

typedef struct vbg_point {
    float x, y; /* pixels; pixel centres at whole numbers */
} vbg_point;

typedef struct vbg_flow_opt {
    int win_w, win_h;     /* window, 1..VBG_LK_WINDOW_MAX each             */
    int max_level;        /* coarsest pyramid level to use (0: one level)  */
    int iterations;       /* per level, 1..100                             */
    float epsilon;        /* stop below this step in pixels                */
    float min_eigenvalue; /* smaller windows are lost; 1e-4 is usual       */
    bool use_guess;       /* next holds a first guess on entry             */
    bool want_eigenvalue; /* err gets the smaller eigenvalue instead       */
} vbg_flow_opt;

/* The points of one call; the arrays are the caller's. */
typedef struct vbg_flow_points {
    int count;
    const vbg_point *from; /* positions in prev                                         */
    vbg_point *to;         /* positions in next (guess on entry when opt.use_guess)     */
    uint8_t *status;       /* 1 found, 0 lost                                           */
    float *err;            /* mean absolute level difference of the window at level 0,
                            * or the smaller eigenvalue; 0 for lost points; may be NULL */
} vbg_flow_points;

/* Tracks points of prev into next: pyramids of the same size with pad >= window + 2.
 * c: threads and kernels; results do not depend on either.  Positions far outside the
 * picture are lost.  Nothing can fail.
 * Source: Bouguet 2000; Lucas and Kanade 1981. */
void vbg_flow_track(vbg_ctx *c, const vbg_pyramid *prev, const vbg_pyramid *next,
                    const vbg_flow_opt *opt, const vbg_flow_points *points);

#endif
