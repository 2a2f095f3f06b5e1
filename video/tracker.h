/* Follows the turning of a camera through grey frames: corners outside the person, both
 * ways of Lucas-Kanade, a robust rotation fit, accumulated yaw, pitch and roll.
 *
 * The camera is an ideal pinhole with a known horizontal field of view that only turns
 * (background far away).  Every point remembers the world direction in which it was first
 * seen; a frame's orientation is fitted to all of them at once, so that errors do not add
 * up from frame to frame but only when points are replaced; key frames (keyframes.h) keep
 * even these from adding up.  Points that do not follow
 * the camera (people, leaves) fail the fit and are dropped.
 * A blank, covered or blurred frame leaves the orientation where it was; the last good
 * frame is tried for a while, then tracking starts anew from the same orientation. */
#ifndef VBG_VIDEO_TRACKER_H
#define VBG_VIDEO_TRACKER_H

#include "engine/tensor.h"
#include "video/flow.h"
#include "video/motion.h"

typedef struct vbg_tracker_opt {
    int w, h;                /* frame size                                              */
    double fov_x;            /* radians, horizontal                                     */
    int points;              /* points to follow; 0: 300                                */
    int levels;              /* pyramid levels of Lucas-Kanade; 0: 5                    */
    int window;              /* window side; 0: 21                                      */
    double yaw, pitch, roll; /* orientation of the first frame, radians             */
    bool no_keys;            /* without key frames (for measurements)                   */
} vbg_tracker_opt;

/* Where people are: 8-bit, 255 = person, any size, stretched over the frame; values of
 * 32 and more (and a margin around them) are not tracked.  data NULL: nobody. */
typedef struct vbg_tracker_mask {
    const uint8_t *data;
    size_t stride;
    int w, h;
} vbg_tracker_mask;

typedef struct vbg_tracker_state {
    double yaw, pitch, roll; /* radians; yaw is continuous: a full turn adds 2 pi   */
    int points;              /* points that were looked for in this frame           */
    int inliers;             /* those that follow the camera; 0: not tracked        */
    bool tracked;            /* false: first frame, blank or lost, angles are kept  */
} vbg_tracker_state;

typedef struct vbg_tracker vbg_tracker;

/* All memory is taken here; c (threads, kernels) must outlive the tracker.
 * Errors: VBG_ENOMEM, VBG_ELIMIT (size), VBG_EUSAGE (field of view, points). */
vbg_status vbg_tracker_new(vbg_tracker **out, vbg_ctx *c, const vbg_tracker_opt *opt,
                           vbg_err *err);
void vbg_tracker_free(vbg_tracker *t); /* accepts NULL */

/* The next frame: y is the 8-bit grey (luma) picture of the size given, stride bytes from
 * row to row; mask may be NULL.  Cannot fail; results do not depend on the threads. */
void vbg_tracker_update(vbg_tracker *t, const uint8_t *y, size_t stride,
                        const vbg_tracker_mask *mask, vbg_tracker_state *state);

/* Camera-to-world rotation of the last frame, row-major. */
void vbg_tracker_rotation(const vbg_tracker *t, double r[9]);
/* The points of the last frame (after update: those that are followed on).  Returns how
 * many; *p stays the tracker's, valid until the next update. */
int vbg_tracker_points(const vbg_tracker *t, const vbg_point **p);

#endif
