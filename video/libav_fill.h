/* Composed frames as encoders want them.  For the libav_*.c files alone. */
#ifndef VBG_VIDEO_LIBAV_FILL_H
#define VBG_VIDEO_LIBAV_FILL_H

#include <libavutil/frame.h>

#include "video/frame.h"

/* Fills `to`, whose format, width and height are set: YUV420P and YUVA420P (copied),
 * YUVJ420P (limited range is stretched to full), YUVA444P10 (chroma repeated).  A frame
 * that is smaller by one is continued by its last pixel.  alpha is used by the formats
 * that have one.  Returns 0 or an AVERROR. */
int vbg_libav_fill(AVFrame *to, const vbg_frame *f, const vbg_picture *alpha);

#endif
