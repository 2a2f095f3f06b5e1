/* Motion JPEG frames to planar YUV without an allocation per frame. */
#ifndef VBG_VIDEO_CAMERA_JPEG_H
#define VBG_VIDEO_CAMERA_JPEG_H

#include "video/frame.h"

typedef struct vbg_mjpeg vbg_mjpeg;

/* Errors: VBG_ENOMEM. */
vbg_status vbg_mjpeg_new(vbg_mjpeg **out, int w, int h, vbg_err *err);
void vbg_mjpeg_free(vbg_mjpeg *m); /* accepts NULL */
/* Full-range codes into f (w x h).  Baseline pictures of 4:2:0, 4:2:2, 4:4:0, 4:4:4 or
 * gray, with or without Huffman tables.  Any warning (a scan cut short) loses the frame.
 * Errors: VBG_EFORMAT. */
vbg_status vbg_mjpeg_decode(vbg_mjpeg *m, vbg_frame *f, const uint8_t *data, size_t bytes,
                            vbg_err *err);

#endif
