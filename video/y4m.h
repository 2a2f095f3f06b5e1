/* YUV4MPEG2: a text header, then raw planes.  Reads 420*, 422, 444, 444alpha, mono
 * and 420p10; writes 420jpeg.  Source: mjpegtools' yuv4mpeg(5). */
#ifndef VBG_VIDEO_Y4M_H
#define VBG_VIDEO_Y4M_H

#include <stdio.h>

#include "video/video_out.h"

typedef struct vbg_y4m vbg_y4m;

/* Takes over an open stream (closed by vbg_y4m_close); name is for messages.
 * Errors: VBG_EFORMAT, VBG_EUNSUPPORTED (a colour space by name), VBG_ELIMIT. */
vbg_status vbg_y4m_open(vbg_y4m **out, FILE *f, const char *name, vbg_err *err);
void vbg_y4m_close(vbg_y4m *y); /* accepts NULL */
void vbg_y4m_get_info(const vbg_y4m *y, vbg_reader_info *info);
bool vbg_y4m_rewind(vbg_y4m *y);
/* *end only at the end between two frames; a frame cut short is VBG_EFORMAT. */
vbg_status vbg_y4m_next(vbg_y4m *y, vbg_frame *f, bool *end, vbg_err *err);

/* The header line, with its newline; alpha: of 444alpha instead of 420jpeg. */
void vbg_y4m_header(char *text, size_t size, const vbg_video_opt *o);
/* Writes header and frames to a stream.  alpha: as the header said, or NULL; chroma is
 * then repeated to full size. */
vbg_status vbg_y4m_write_header(FILE *f, const vbg_video_opt *o, const char *name,
                                vbg_err *err);
vbg_status vbg_y4m_write_frame(FILE *f, const vbg_frame *frame, const vbg_picture *alpha,
                               const char *name, vbg_err *err);
/* Row y of plane p of a frame with alpha: w bytes. */
void vbg_y4m_wide_row(uint8_t *d, const vbg_yuv *v, int p, int y);

#endif
