/* Where composed frames go while a live session runs: a virtual camera, a pipe, a
 * window.  A sink takes composed frames only. */
#ifndef VBG_VIDEO_SINK_H
#define VBG_VIDEO_SINK_H

#include "video/compose.h"
#include "video/device.h"
#include "video/video_out.h"

typedef struct vbg_sink vbg_sink;

typedef struct vbg_sink_class {
    /* One frame; *dropped: the reader had no room for it.
     * Errors: VBG_EIO and others (reopened after a while), VBG_ECANCEL (the reader has
     * seen enough: the session ends). */
    vbg_status (*write)(vbg_sink *s, const vbg_kernels *k, const vbg_out_frame *f,
                        bool *dropped, vbg_err *err);
    /* After a failed write.  NULL: it stays lost. */
    vbg_status (*reopen)(vbg_sink *s, vbg_err *err);
    /* How many read; false: not known. */
    bool (*readers)(vbg_sink *s, int *n);
    void (*close)(vbg_sink *s); /* frees s */
} vbg_sink_class;

struct vbg_sink {
    const vbg_sink_class *class;
    const char *name; /* for messages; the sink's own */
    bool lost;        /* kept by the session */
    double retry_at;
};

void vbg_sink_close(vbg_sink *s); /* accepts NULL */

/* A v4l2loopback node.  Errors as vbg_loopback_open. */
vbg_status vbg_sink_loopback(vbg_sink **out, const vbg_device *d, const char *path, int w,
                             int h, double fps, vbg_err *err);

typedef enum vbg_stream_format {
    VBG_STREAM_Y4M,
    VBG_STREAM_RAW /* planes Y, U, V of frame after frame */
} vbg_stream_format;

/* An open descriptor (a pipe; it is not closed).  A reader that is too slow loses
 * frames, whole ones.  Of opt: size, rate and alpha (Y4M alone: 444alpha).  Errors:
 * VBG_ENOMEM. */
vbg_status vbg_sink_stream(vbg_sink **out, int fd, vbg_stream_format format,
                           const vbg_video_opt *opt, vbg_err *err);

/* A recording, or with path "-" and opt->stream an encoded stream; *result and
 * *result_err tell at the end whether it was finished. Errors as vbg_video_create. */
vbg_status vbg_sink_file(vbg_sink **out, const char *path, const vbg_video_opt *opt,
                         vbg_status *result, vbg_err *result_err, vbg_err *err);

/* For tests and measurements: a function per frame. */
typedef void vbg_sink_fn(void *arg, const vbg_out_frame *f);
vbg_status vbg_sink_call(vbg_sink **out, vbg_sink_fn *fn, void *arg, vbg_err *err);

#endif
