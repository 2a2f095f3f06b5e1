/* For the writer, which copies the sound. */
#ifndef VBG_VIDEO_READER_INTERNAL_H
#define VBG_VIDEO_READER_INTERNAL_H

#include "video/libav_reader.h"

/* The libav half of a reader, NULL for y4m. */
vbg_libav_reader *vbg_reader_libav(vbg_reader *r);

#endif
