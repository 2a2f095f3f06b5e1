/* Encoding through libav; its types stay in the libav_*.c files. */
#ifndef VBG_VIDEO_LIBAV_WRITER_H
#define VBG_VIDEO_LIBAV_WRITER_H

#include "video/video_out.h"

typedef struct vbg_libav_writer vbg_libav_writer;

/* True when files with this suffix ("mp4", "gif", ...) can be written. */
bool vbg_libav_writable(const char *suffix);
/* True for those that can carry an alpha ("mov", "webm"). */
bool vbg_libav_alpha(const char *suffix);
/* Writes into path; shown is the name for messages. */
vbg_status vbg_libav_create(vbg_libav_writer **out, const char *path, const char *shown,
                            const vbg_video_opt *opt, vbg_err *err);
vbg_status vbg_libav_write(vbg_libav_writer *w, const vbg_frame *f,
                           const vbg_picture *alpha, vbg_err *err);
vbg_status vbg_libav_finish(vbg_libav_writer *w, vbg_err *err); /* frees w */
void vbg_libav_abort(vbg_libav_writer *w);                      /* accepts NULL */
const char *vbg_libav_audio_note(const vbg_libav_writer *w);

#endif
