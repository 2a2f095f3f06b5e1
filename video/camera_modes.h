/* What a camera offers, and which of it is taken. */
#ifndef VBG_VIDEO_CAMERA_MODES_H
#define VBG_VIDEO_CAMERA_MODES_H

#include "video/device.h"

enum { VBG_CAMERA_MODES = 256 /* of one camera, the rest is not looked at */ };

/* One pixel format at one size, with the fastest rate the driver names. */
typedef struct vbg_camera_mode {
    uint32_t fourcc;
    int w, h;
    int rate_num, rate_den; /* frames per second; 0/1: not said */
} vbg_camera_mode;

typedef struct vbg_camera_want {
    int w, h;        /* 0: the largest up to 1280x720, else the smallest */
    double fps;      /* 0: 30 */
    uint32_t fourcc; /* 0: any that is known */
} vbg_camera_want;

/* Pixel formats that the camera reader understands: MJPG, YUYV, NV12, YU12. */
bool vbg_camera_format_known(uint32_t fourcc);
/* "YUYV" into text (5 bytes), unprintable bytes as '?'. */
const char *vbg_fourcc_text(char text[5], uint32_t fourcc);

/* Everything fd offers: formats x sizes x rates (ranges become the sizes that people
 * ask for).  Returns how many, at most VBG_CAMERA_MODES. */
int vbg_camera_modes(vbg_camera_mode *modes, const vbg_device *d, int fd);

/* The index of the mode to take, -1 when none has a known format.  why (may be NULL)
 * gets a few words.  Order: reaches the rate; nearest size not below what is wanted;
 * then uncompressed before MJPG, for it costs no decoding. */
int vbg_camera_choose(const vbg_camera_mode *modes, int n, const vbg_camera_want *want,
                      char *why, size_t size);

typedef struct vbg_camera_name {
    char card[40], bus[40], driver[24];
    bool capture, output; /* what this node can do now */
    bool streaming;
} vbg_camera_name;
/* VIDIOC_QUERYCAP, capabilities of this node rather than of the whole device.
 * False when it is no video device. */
bool vbg_camera_query(vbg_camera_name *name, const vbg_device *d, int fd);

#endif
