/* Video frames in memory: planar YUV 4:2:0, 8 bits. */
#ifndef VBG_VIDEO_FRAME_H
#define VBG_VIDEO_FRAME_H

#include "video/colour.h"

enum { /* limits of everything that comes from outside */
       VBG_VIDEO_MAX_SIDE = 16384,
       VBG_VIDEO_MAX_PIXELS = 1 << 26
};

/* Planes Y [h][w], U and V [(h+1)/2][(w+1)/2]; rows 64-byte aligned, each plane
 * followed by 64 readable bytes. */
typedef struct vbg_frame {
    vbg_yuv yuv;   /* layout VBG_YUV_I420 */
    double time_s; /* presentation time from the start of the clip */
    void *memory;  /* what vbg_frame_free frees */
} vbg_frame;

/* Allocates planes; contents are black.  Errors: VBG_ELIMIT, VBG_ENOMEM. */
vbg_status vbg_frame_new(vbg_frame *out, int w, int h, vbg_err *err);
void vbg_frame_free(vbg_frame *f); /* accepts NULL and zeroed; zeroes *f */

#endif
