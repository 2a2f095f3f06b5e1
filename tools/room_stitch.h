/* The stitcher and the shrinker as vbg-gen and vbg-run call them. */
#ifndef VBG_TOOLS_ROOM_STITCH_H
#define VBG_TOOLS_ROOM_STITCH_H

#include "engine/picture.h"

/* views square RGB pictures at yaw 360 i / views, each fov_deg wide, to a w x h
 * equirectangular panorama (a new picture).  Errors: those of the stitcher. */
vbg_status vbg_room_stitch(vbg_picture *out, const vbg_picture *view, int views,
                           double fov_deg, int w, int h, int threads, vbg_err *err);

/* A new picture of w x h, antialiased. */
vbg_status vbg_room_shrink(vbg_picture *out, const vbg_picture *in, int w, int h,
                           vbg_err *err);

#endif
