/* Video in: any file Debian's libav decodes (when built with it), y4m from a file or
 * standard input always.  Frames come out as vbg_frame, upright, in order of time.
 *
 * Only local files are opened: containers are limited to a list, protocols to `file`,
 * so that a playlist cannot name other files or addresses. */
#ifndef VBG_VIDEO_READER_H
#define VBG_VIDEO_READER_H

#include "video/frame.h"

typedef struct vbg_reader vbg_reader;

typedef struct vbg_reader_info {
    int w, h;               /* of the frames, after rotation */
    int rate_num, rate_den; /* frames per second; 25/1 with odd rates */
    bool odd_rate;          /* the file's own rate made no sense */
    int64_t frames;         /* 0: unknown */
    double duration_s;      /* 0: unknown */
    bool has_audio;
    char format[32]; /* container name */
} vbg_reader_info;

/* path "-" is y4m on standard input.
 * Errors: VBG_EIO, VBG_EFORMAT (damaged, no video in it), VBG_EUNSUPPORTED (built
 * without libav), VBG_ELIMIT, VBG_ENOMEM. */
vbg_status vbg_reader_open(vbg_reader **out, const char *path, vbg_err *err);
void vbg_reader_close(vbg_reader *r); /* accepts NULL */
void vbg_reader_get_info(const vbg_reader *r, vbg_reader_info *info);

/* The next frame into f, which the caller made with the reader's w and h (frames of
 * another size are rescaled to it).  *end: there is none.  Damaged frames are skipped
 * and counted; 300 in a row end the clip with an error. */
vbg_status vbg_reader_next(vbg_reader *r, vbg_frame *f, bool *end, vbg_err *err);
int64_t vbg_reader_skipped(const vbg_reader *r);

/* Starts again at the first frame (files only; false when it cannot). */
bool vbg_reader_rewind(vbg_reader *r);

#endif
