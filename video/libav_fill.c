/* Composed frames as encoders want them. */
#ifdef VBG_HAVE_LIBAV
#include "video/libav_fill.h"

#include <string.h>

#include <libavutil/pixfmt.h>

#include "video/y4m.h"

static uint8_t *row_to(AVFrame *to, int p, int y)
{
    return to->data[p] + (ptrdiff_t)y * to->linesize[p];
}

/* 8-bit rows; table NULL: as they are.  What `to` has beyond w and h repeats the last. */
static void copy_plane(AVFrame *to, int p, const uint8_t *s, size_t stride, int w, int h,
                       const uint8_t *table)
{
    const int shift = p == 1 || p == 2;
    const int tw = shift ? (to->width + 1) / 2 : to->width;
    const int th = shift ? (to->height + 1) / 2 : to->height;

    for (int y = 0; y < th; y++) {
        const uint8_t *from = s + (size_t)vbg_min_int(y, h - 1) * stride;
        uint8_t *d = row_to(to, p, y);
        if (table)
            for (int x = 0; x < w; x++)
                d[x] = table[from[x]];
        else
            memcpy(d, from, (size_t)w);
        for (int x = w; x < tw; x++)
            d[x] = d[w - 1];
    }
}

/* 16..235 (chroma 16..240) to 0..255, rounded. */
static void stretch(uint8_t table[256], bool chroma)
{
    const int span = chroma ? 224 : 219, zero = chroma ? 128 : 16;

    for (int i = 0; i < 256; i++) {
        const int v = 2 * 255 * (i - zero) + (chroma ? 2 * 128 * span : 0) + span;
        table[i] = (uint8_t)vbg_max_int(0, vbg_min_int(255, v / (2 * span)));
    }
}

static void fill_420(AVFrame *to, const vbg_frame *f)
{
    const vbg_yuv *v = &f->yuv;
    const bool full = to->format == AV_PIX_FMT_YUVJ420P && !v->full_range;
    uint8_t table[256];

    for (int p = 0; p < 3; p++) {
        stretch(table, p > 0);
        copy_plane(to, p, v->plane[p], v->stride[p], p ? (v->w + 1) / 2 : v->w,
                   p ? (v->h + 1) / 2 : v->h, full ? table : NULL);
    }
}

/* Ten bits: codes times four, alpha 0..1023. */
static void fill_444_10(AVFrame *to, const vbg_frame *f, const vbg_picture *alpha)
{
    uint8_t row[VBG_VIDEO_MAX_SIDE];

    for (int p = 0; p < 4; p++)
        for (int y = 0; y < to->height; y++) {
            const int from = vbg_min_int(y, f->yuv.h - 1);
            const uint8_t *s = row;
            if (p == 3)
                s = vbg_picture_row(alpha, from);
            else
                vbg_y4m_wide_row(row, &f->yuv, p, from);
            for (int x = 0; x < to->width; x++) {
                const unsigned v = s[vbg_min_int(x, f->yuv.w - 1)];
                const uint16_t wide = (uint16_t)(p == 3 ? (v * 1023 + 127) / 255 : 4 * v);
                memcpy(row_to(to, p, y) + 2 * x, &wide, sizeof wide);
            }
        }
}

int vbg_libav_fill(AVFrame *to, const vbg_frame *f, const vbg_picture *alpha)
{
    const int e = to->buf[0] ? av_frame_make_writable(to) : av_frame_get_buffer(to, 0);

    if (e < 0)
        return e;
    if (to->format == AV_PIX_FMT_YUVA444P10) {
        fill_444_10(to, f, alpha);
        return 0;
    }
    fill_420(to, f);
    if (to->format == AV_PIX_FMT_YUVA420P)
        copy_plane(to, 3, alpha->data, alpha->stride, alpha->w, alpha->h, NULL);
    return 0;
}
#else
typedef int vbg_no_libav; /* a file is never empty */
#endif
