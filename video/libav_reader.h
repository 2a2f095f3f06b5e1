/* Decoding through libav; its types stay in the libav_*.c files. */
#ifndef VBG_VIDEO_LIBAV_READER_H
#define VBG_VIDEO_LIBAV_READER_H

#include "video/reader.h"

typedef struct vbg_libav_reader vbg_libav_reader;

vbg_status vbg_libav_open(vbg_libav_reader **out, const char *path, vbg_err *err);
void vbg_libav_close(vbg_libav_reader *r); /* accepts NULL */
void vbg_libav_get_info(const vbg_libav_reader *r, vbg_reader_info *info);
vbg_status vbg_libav_next(vbg_libav_reader *r, vbg_frame *f, bool *end, vbg_err *err);
int64_t vbg_libav_skipped(const vbg_libav_reader *r);
bool vbg_libav_rewind(vbg_libav_reader *r);

/* The sound, for the writer: codec parameters (AVCodecParameters), time base as a
 * ratio, and the packets read so far (AVPacket, owned by the caller; NULL: none now).
 * Safe beside vbg_libav_next in another thread. */
const void *vbg_libav_audio(const vbg_libav_reader *r, int *tb_num, int *tb_den);
void *vbg_libav_take_audio(vbg_libav_reader *r);
/* Where the video's first frame lies in the file's time, seconds. */
double vbg_libav_start(const vbg_libav_reader *r);

#endif
