/* How the view answers to the camera and to the person.
 *
 *   camera   the measured rotation, as it is
 *   head     the camera stands still in the room: a little parallax from where the
 *            person is in the picture and how large
 *   none     the view stays
 *
 * Slow re-centring takes what the view has turned back with a time constant: for a camera
 * that is bumped once and never turned back. */
#ifndef VBG_VIDEO_FOLLOW_H
#define VBG_VIDEO_FOLLOW_H

#include "video/compose.h"
#include "video/tracker.h"

typedef enum vbg_follow_mode {
    VBG_FOLLOW_CAMERA,
    VBG_FOLLOW_HEAD,
    VBG_FOLLOW_NONE
} vbg_follow_mode;

typedef struct vbg_follow_opt {
    vbg_follow_mode mode;
    double recenter_s; /* time constant; 0: never */
    double fov_x;      /* radians */
} vbg_follow_opt;

/* A view: angles in radians; zoom 1 is the camera's own field of view.  head: flat
 * pictures answer too. */
typedef struct vbg_outlook {
    double yaw, pitch, roll, zoom;
    bool head;
} vbg_outlook;

/* Zeroed at first; all of it is the caller's. */
typedef struct vbg_follow {
    bool started, seen;   /* seen: a person, ever */
    double time_s;        /* of the last call */
    vbg_outlook taken;    /* what re-centring took away */
    double x, y, size;    /* of the person, smoothed: 0..1 of the frame */
    double x0, y0, size0; /* slowly: where he usually is */
} vbg_follow;

/* The view for a frame at time_s.  alpha NULL: no person is known (the last one counts).
 * Any size, one channel. */
void vbg_follow_update(vbg_follow *f, const vbg_follow_opt *opt, vbg_outlook *view,
                       const vbg_tracker_state *motion, const vbg_picture *alpha,
                       double time_s);
/* The present view becomes the middle. */
void vbg_follow_recenter(vbg_follow *f, const vbg_tracker_state *motion);

#endif
