/* A virtual camera: the writing side of a v4l2loopback node.
 *
 * Facts that shape it (measured on 0.12.7 and 0.15.4): S_FMT answers "ok" and keeps the
 * old format while a reader is attached; without STREAMON before the first write 0.12.7
 * is dead until its module is loaded again; 0.15 answers STREAMON with EINVAL and works;
 * closing the node takes the camera out of every list. */
#ifndef VBG_VIDEO_LOOPBACK_H
#define VBG_VIDEO_LOOPBACK_H

#include "video/camera_modes.h"
#include "video/compose.h"

typedef struct vbg_loopback vbg_loopback;

typedef struct vbg_loopback_info {
    char card[40];
    uint32_t fourcc; /* YUYV, YU12 or NV12 */
    int w, h;        /* what the node holds: frames are scaled to it */
    bool kept;       /* a reader holds another format than was asked for */
} vbg_loopback_info;

/* w and h: what is wanted, even.  d is borrowed.  The text names which of the usual
 * faults holds and the command that mends it: module missing, no permission, a real
 * camera, another writer.
 * Errors: VBG_EIO, VBG_EUSAGE (no virtual camera), VBG_EUNSUPPORTED, VBG_ENOMEM. */
vbg_status vbg_loopback_open(vbg_loopback **out, const vbg_device *d, const char *path,
                             int w, int h, double fps, vbg_err *err);
void vbg_loopback_close(vbg_loopback *l); /* accepts NULL */
void vbg_loopback_get_info(const vbg_loopback *l, vbg_loopback_info *info);

/* One whole frame of any size, which is scaled; *dropped: the node had no room.
 * Composed frames only: there is no way to hand it a raw one.
 * Errors: VBG_EIO (close it and open it again). */
vbg_status vbg_loopback_write(vbg_loopback *l, const vbg_kernels *k,
                              const vbg_out_frame *f, bool *dropped, vbg_err *err);

/* True when it is known how many read: the driver tells (0.13 and newer), else those who
 * hold the node open, probes left out; *readers is then set. */
bool vbg_loopback_readers(vbg_loopback *l, int *readers);

/* The module line of every message and of the README. */
#define VBG_LOOPBACK_MODPROBE                                                            \
    "sudo modprobe v4l2loopback exclusive_caps=1 card_label=vbg video_nr=10"

#endif
