/* Video out: .mp4 .mkv .mov .webm .avi .gif .ts .mjpeg through libav, .y4m (or "-")
 * always.
 * A file is written under a temporary name and renamed at the successful end, so a
 * failed run never leaves part of one and never costs an older one. */
#ifndef VBG_VIDEO_VIDEO_OUT_H
#define VBG_VIDEO_VIDEO_OUT_H

#include "video/frame.h"
#include "video/reader.h"

typedef struct vbg_video_out vbg_video_out;

typedef struct vbg_video_opt {
    int w, h;
    int rate_num, rate_den;
    bool bt709, full_range;
    vbg_reader *audio_from; /* copies its sound when the container takes it; or NULL */
    int threads;            /* of the encoder, 0: its choice */
    int crf;                /* 0: 20 */
    bool alpha;             /* .mov (ProRes 4444), .webm (VP9), .y4m (444alpha) */
    /* For "-": "ts" (MPEG-TS with H.264), "mjpeg"; NULL: y4m.  Written to descriptor fd,
     * which stays open. */
    const char *stream;
    int fd;
} vbg_video_opt;

/* Errors: VBG_EUSAGE (suffix unknown), VBG_EUNSUPPORTED, VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_video_create(vbg_video_out **out, const char *path,
                            const vbg_video_opt *opt, vbg_err *err);
/* Appends a frame of w x h; time_s orders it (repeated or backward times are moved on
 * by one tick).  alpha: of w x h when the options say so, else NULL.
 * Errors: VBG_ECANCEL (the reader of a pipe has gone), VBG_EIO. */
vbg_status vbg_video_write(vbg_video_out *v, const vbg_frame *f, const vbg_picture *alpha,
                           vbg_err *err);
/* True when the suffix is one that carries alpha in this build. */
bool vbg_video_has_alpha(const char *path);
/* Writes what is pending, renames.  Frees v in every case. */
vbg_status vbg_video_finish(vbg_video_out *v, vbg_err *err);
void vbg_video_abort(vbg_video_out *v); /* removes the temporary file; accepts NULL */
/* True when the suffix is one that vbg_video_create writes in this build. */
bool vbg_video_writable(const char *path);
/* Why the sound was left out, "" when it was not. */
const char *vbg_video_audio_note(const vbg_video_out *v);

#endif
