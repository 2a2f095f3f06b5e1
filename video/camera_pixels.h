/* A camera's buffer to a frame: planar 4:2:0, BT.601, 16..235 (what virtual cameras are
 * taken for), from MJPG, YUYV, NV12 and YU12. */
#ifndef VBG_VIDEO_CAMERA_PIXELS_H
#define VBG_VIDEO_CAMERA_PIXELS_H

#include "kernels/table.h"
#include "video/frame.h"

/* What the driver says lies in a buffer. */
typedef struct vbg_camera_layout {
    uint32_t fourcc;
    int w, h;
    size_t stride; /* bytes from row to row of the first plane; no meaning for MJPG */
    bool full_range;
} vbg_camera_layout;

typedef struct vbg_camera_decoder vbg_camera_decoder;

/* Errors: VBG_ENOMEM, VBG_EUNSUPPORTED (the format). */
vbg_status vbg_camera_decoder_new(vbg_camera_decoder **out,
                                  const vbg_camera_layout *layout, vbg_err *err);
void vbg_camera_decoder_free(vbg_camera_decoder *d); /* accepts NULL */

/* Bytes that a whole frame has at least; 0 for MJPG. */
size_t vbg_camera_frame_bytes(const vbg_camera_layout *layout);

/* f has the layout's size.  Nothing is allocated after the first frames.
 * Errors: VBG_EFORMAT: cut short, damaged, of another size: the frame is lost, the next
 * one may be good; f then holds anything. */
vbg_status vbg_camera_decode(vbg_camera_decoder *d, const vbg_kernels *k, vbg_frame *f,
                             const uint8_t *data, size_t bytes, vbg_err *err);

#endif
