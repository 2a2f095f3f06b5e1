/* What stands behind the person: a panorama that follows the camera, a flat picture, a
 * video in a loop, a folder of pictures in turn, one colour, or the frame's own
 * background, blurred. */
#ifndef VBG_VIDEO_BACKGROUND_H
#define VBG_VIDEO_BACKGROUND_H

#include "engine/picture_io.h"
#include "engine/tensor.h"
#include "video/compose.h"

typedef enum vbg_fit {
    VBG_FIT_STRETCH,
    VBG_FIT_COVER,
    VBG_FIT_CONTAIN, /* black bars */
    VBG_FIT_TILE
} vbg_fit;

typedef enum vbg_background_type {
    VBG_BACK_AUTO,   /* GPano, or within a pixel of 2:1: sphere; else flat */
    VBG_BACK_SPHERE, /* the picture is the whole sphere */
    VBG_BACK_STRIP,  /* 360 degrees wide, centred on the horizon */
    VBG_BACK_FLAT
} vbg_background_type;

typedef struct vbg_background_opt {
    int w, h;     /* of the frames */
    double fov_x; /* radians */
    vbg_fit fit;
    vbg_background_type type;
    bool yuv;               /* views hold Y U V codes; else R G B */
    bool bt709, full_range; /* of the codes */
    double slide_s;         /* how long each picture of a folder is shown; 0: 10 s */
    bool no_folder;         /* refuse folders */
    double blur;            /* sigma in pixels of the frame; 0: none */
    bool lean;  /* flat pictures are made larger, for heads that move (VBG_FOLLOW_HEAD) */
    double yaw; /* radians: where the first frame looks, besides what the
                   picture asks for */
} vbg_background_opt;

typedef struct vbg_background vbg_background;

/* spec: a path of a picture, a video or a folder of pictures, "#rrggbb" or a few names
 * ("black", "white", "green", "blue", "gray"), "blur" or "blur:SIGMA" (pixels of the
 * frame, 1..256; 20). Errors: those of vbg_picture_load, VBG_EUSAGE, VBG_ENOMEM. */
vbg_status vbg_background_open(vbg_background **out, const char *spec,
                               const vbg_background_opt *opt, vbg_err *err);
/* The same from a picture in memory (RGB, copied). */
vbg_status vbg_background_picture(vbg_background **out, const vbg_picture *rgb,
                                  const vbg_pano *pano, const vbg_background_opt *opt,
                                  vbg_err *err);
void vbg_background_close(vbg_background *b); /* accepts NULL */

/* True when the view depends on the camera (a panorama). */
bool vbg_background_turns(const vbg_background *b);
/* "sphere", "strip", "flat", "video", "slides", "colour" or "blur". */
const char *vbg_background_kind(const vbg_background *b);

/* The picture behind raw for a camera at these angles; valid until the next call.  raw
 * NULL: the picture of this moment.  mask is used by "blur" only.  Pitch is eased at the
 * limits of the panorama. */
const vbg_picture *vbg_background_view(vbg_background *b, vbg_ctx *c, double yaw,
                                       double pitch, double roll,
                                       const vbg_raw_frame *raw, const vbg_mask *mask);

/* Narrows (above 1) or widens the view of a panorama, 0.5..2; 1 at first.  head: the
 * angles are those of a head, and a flat picture (opt.lean) answers to them too. */
void vbg_background_zoom(vbg_background *b, double zoom, bool head);

/* A colour as in spec.  False when it is none. */
bool vbg_colour_parse(uint8_t rgb[3], const char *text);

#endif
