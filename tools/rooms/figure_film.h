/* Stills and clips of figures before a backdrop, as a camera would have taken them, with
 * the exact share of every pixel that the figures cover. */
#ifndef VBG_ROOMS_FIGURE_FILM_H
#define VBG_ROOMS_FIGURE_FILM_H

#include "engine/picture.h"
#include "engine/tensor.h"
#include "tools/rooms/figure_motion.h"
#include "tools/rooms/figure_trace.h"
#include "video/viewport.h"

/* A panorama or a photo. */
typedef struct backdrop {
    vbg_picture picture; /* RGB */
    vbg_viewport *view;  /* NULL: a photo */
} backdrop;

/* Takes over p, which is emptied.  sphere: p is a panorama.  Errors: VBG_ENOMEM. */
vbg_status vr_backdrop_new(backdrop *out, vbg_picture *p, bool sphere, vbg_err *err);
void vr_backdrop_free(backdrop *b); /* accepts a zeroed one */

/* Memory and machinery for one picture at a time. */
typedef struct film film;
/* Pictures of w x h.  Errors: VBG_ENOMEM. */
vbg_status vr_film_new(film **out, int w, int h, vbg_err *err);
void vr_film_free(film *f); /* accepts NULL */

/* A photo of one or two people drawn from seed: rgb (3 channels) and alpha (1), both
 * w x h and allocated by the caller.  Errors: VBG_ENOMEM. */
vbg_status vr_film_still(film *f, const backdrop *b, uint64_t seed, vbg_picture *rgb,
                         vbg_picture *alpha, vbg_err *err);

typedef struct film_clip {
    uint64_t seed;
    float fov_x;   /* radians */
    float seconds; /* of the whole clip, which plans the camera's turns */
    float rate;    /* frames a second; the shutter is open for half of each */
    float yaw;     /* of the panorama at angle 0, radians */
    hand_held camera;
    figure_look look;
} film_clip;

/* Everything about a clip that its seed decides. */
film_clip vr_film_clip(uint64_t seed, float fov_x_deg, float seconds, float rate);
/* Frame number i; angles: yaw, pitch, roll of its truth in degrees, at mid exposure.
 * Errors: VBG_ENOMEM. */
vbg_status vr_film_frame(film *f, const backdrop *b, const film_clip *clip, int i,
                         vbg_picture *rgb, vbg_picture *alpha, double angles[3],
                         vbg_err *err);

#endif
