/* Backgrounds that change by themselves: a video or GIF in a loop at its own rate, a
 * folder of pictures one after the other. */
#ifndef VBG_VIDEO_MOVING_H
#define VBG_VIDEO_MOVING_H

#include "video/background.h"

typedef struct vbg_loop vbg_loop;

/* Errors: those of vbg_reader_open. */
vbg_status vbg_loop_open(vbg_loop **out, const char *path, const vbg_background_opt *opt,
                         vbg_err *err);
void vbg_loop_close(vbg_loop *l); /* accepts NULL */
/* Brings view (w x h, Y U V codes or RGB as opt says) to the picture of time_s; the first
 * call is the start of the loop.  At most a few frames are decoded; after a long pause
 * the loop goes on where it was.  A clip that breaks leaves its last picture.  True when
 * view has changed. */
bool vbg_loop_show(vbg_loop *l, const vbg_kernels *k, vbg_picture *view, double time_s);

typedef struct vbg_slides vbg_slides;

/* The pictures of a folder in order of their names, each for so many seconds; the next
 * one is read by a thread of its own.  Files that are no pictures are passed over.
 * Errors: VBG_EFORMAT (not one can be read), VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_slides_open(vbg_slides **out, const char *folder,
                           const vbg_background_opt *opt, vbg_err *err);
void vbg_slides_close(vbg_slides *s); /* accepts NULL */
/* The one to show at time_s; stays the slides' own, valid until the next call. */
vbg_background *vbg_slides_show(vbg_slides *s, double time_s);

#endif
