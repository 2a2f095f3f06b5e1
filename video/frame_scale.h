/* Frames to another size. */
#ifndef VBG_VIDEO_FRAME_SCALE_H
#define VBG_VIDEO_FRAME_SCALE_H

#include "kernels/table.h"
#include "video/frame.h"

/* One pair of sizes at a time; made anew when the sizes change. */
typedef struct vbg_frame_scaler vbg_frame_scaler;

/* Errors: VBG_ENOMEM. */
vbg_status vbg_frame_scaler_new(vbg_frame_scaler **out, vbg_err *err);
void vbg_frame_scaler_free(vbg_frame_scaler *s); /* accepts NULL */
/* Fills dst from src keeping the shape of things: the middle part of src that has dst's
 * proportions.  Equal sizes are copied.  Flags and time are carried over.
 * Errors: VBG_ENOMEM (only when the sizes have changed). */
vbg_status vbg_frame_scale(vbg_frame_scaler *s, const vbg_kernels *k, vbg_frame *dst,
                           const vbg_frame *src, vbg_err *err);

/* Planes, flags and time of one frame to another of the same size. */
void vbg_frame_copy(vbg_frame *dst, const vbg_frame *src);

#endif
