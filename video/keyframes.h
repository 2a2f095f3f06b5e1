/* Key frames of a camera that turns: views that are remembered with their orientation,
 * so that errors cannot add up over hours and a camera that was covered finds back.
 *
 * Whenever the view is near a remembered one it is matched against it now and then, and
 * the orientation moves towards the answer; where no view is remembered yet, the present
 * one is.  One that does not fit for long (other light, other furniture) is replaced. */
#ifndef VBG_VIDEO_KEYFRAMES_H
#define VBG_VIDEO_KEYFRAMES_H

#include "engine/tensor.h"
#include "video/flow.h"
#include "video/motion.h"

typedef struct vbg_keyframes vbg_keyframes;

typedef struct vbg_keyframes_opt {
    int w, h;
    vbg_lens lens;
    double fov_x; /* radians */
    vbg_flow_opt flow;
} vbg_keyframes_opt;

/* The present frame. */
typedef struct vbg_keyframes_view {
    const vbg_pyramid *pyramid;
    const uint8_t *y; /* the picture again, to be remembered */
    size_t stride;
    const vbg_point *at; /* good points, count of them */
    int count;
    bool found_again; /* the frame before could not be followed: look at once */
    /* May a point be used there (inside, nobody)? */
    bool (*usable)(const void *arg, vbg_point p);
    const void *arg;
} vbg_keyframes_view;

/* All memory is taken here.  c must outlive k.  Errors: VBG_ENOMEM. */
vbg_status vbg_keyframes_new(vbg_keyframes **out, vbg_ctx *c,
                             const vbg_keyframes_opt *opt, vbg_err *err);
void vbg_keyframes_free(vbg_keyframes *k); /* accepts NULL */

/* Once for every frame that could be followed.  turn: what the camera-to-world rotation r
 * is to be multiplied by from the left (row-major).  False: nothing to correct. */
bool vbg_keyframes_visit(vbg_keyframes *k, const vbg_keyframes_view *v, const double r[9],
                         double turn[9]);

#endif
