/* Video out: .mp4 .mkv .mov .webm .avi .gif through libav, .y4m (or "-") always.
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
} vbg_video_opt;

/* Errors: VBG_EUSAGE (suffix unknown), VBG_EUNSUPPORTED, VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_video_create(vbg_video_out **out, const char *path,
                            const vbg_video_opt *opt, vbg_err *err);
/* Appends a frame of w x h; time_s orders it (repeated or backward times are moved on
 * by one tick). */
vbg_status vbg_video_write(vbg_video_out *v, const vbg_frame *f, vbg_err *err);
/* Writes what is pending, renames.  Frees v in every case. */
vbg_status vbg_video_finish(vbg_video_out *v, vbg_err *err);
void vbg_video_abort(vbg_video_out *v); /* removes the temporary file; accepts NULL */
/* True when the suffix is one that vbg_video_create writes in this build. */
bool vbg_video_writable(const char *path);
/* Why the sound was left out, "" when it was not. */
const char *vbg_video_audio_note(const vbg_video_out *v);

#endif
