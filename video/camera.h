/* A V4L2 camera, spoken to directly: mapped buffers, poll, conversion to frames.
 *
 * Nothing that a driver says is believed: sizes, indices, byte counts and formats are
 * checked for every buffer.  A frame that is cut short, damaged or flagged is dropped;
 * when the camera vanishes, stalls or changes its format, the caller closes it and opens
 * it again. */
#ifndef VBG_VIDEO_CAMERA_H
#define VBG_VIDEO_CAMERA_H

#include "kernels/table.h"
#include "video/camera_modes.h"
#include "video/frame.h"

typedef struct vbg_camera vbg_camera;

typedef struct vbg_camera_info {
    vbg_camera_name name;
    vbg_camera_mode mode; /* what the driver really gives, not what was asked */
    char why[160];        /* why this mode */
} vbg_camera_info;

typedef enum vbg_camera_event {
    VBG_CAMERA_FRAME,
    VBG_CAMERA_NOTHING, /* within the time */
    VBG_CAMERA_DAMAGED, /* a frame was lost; go on */
    VBG_CAMERA_GONE     /* close it and open it again */
} vbg_camera_event;

/* Takes the camera and starts it.  d is borrowed.  The text says what to do: busy, no
 * permission, no camera, no format that is known.
 * Errors: VBG_EIO, VBG_EUNSUPPORTED, VBG_ENOMEM. */
vbg_status vbg_camera_open(vbg_camera **out, const vbg_device *d, const char *path,
                           const vbg_camera_want *want, vbg_err *err);
/* What would be opened, without starting it.  Errors as above. */
vbg_status vbg_camera_probe(vbg_camera_info *info, const vbg_device *d, const char *path,
                            const vbg_camera_want *want, vbg_err *err);
void vbg_camera_close(vbg_camera *c); /* accepts NULL */
void vbg_camera_get_info(const vbg_camera *c, vbg_camera_info *info);

/* The next frame into f (made with the mode's w and h); time_s is vbg_now() when the
 * driver handed it out.  err tells what was wrong with a lost frame or camera. */
vbg_camera_event vbg_camera_next(vbg_camera *c, const vbg_kernels *k, vbg_frame *f,
                                 int timeout_ms, vbg_err *err);

/* What a failed open means, as one line with the remedy. */
vbg_status vbg_camera_explain(const char *path, int why, vbg_err *err);

/* The path that text names: a path, a number, or a part of a camera's name.
 * Errors: VBG_EUSAGE (no such camera; lists those that are there). */
vbg_status vbg_camera_find(char path[64], const vbg_device *d, const char *text,
                           vbg_err *err);

#endif
