/* Camera buffers to frames. */
#define _GNU_SOURCE
#include "video/camera_pixels.h"

#include <linux/videodev2.h>
#include <string.h>

#include "video/camera_jpeg.h"

struct vbg_camera_decoder {
    vbg_camera_layout layout;
    vbg_mjpeg *mjpeg;
};

static bool is_jpeg(uint32_t fourcc)
{
    return fourcc == V4L2_PIX_FMT_MJPEG || fourcc == V4L2_PIX_FMT_JPEG;
}

vbg_status vbg_camera_decoder_new(vbg_camera_decoder **out,
                                  const vbg_camera_layout *layout, vbg_err *err)
{
    vbg_camera_decoder *d = vbg_alloc(sizeof *d);
    vbg_status st = VBG_OK;

    *out = NULL;
    if (!d)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    d->layout = *layout;
    if (is_jpeg(layout->fourcc))
        st = vbg_mjpeg_new(&d->mjpeg, layout->w, layout->h, err);
    else if (vbg_camera_frame_bytes(layout) == 0)
        st = vbg_fail(err, VBG_EUNSUPPORTED, "a pixel format that is not read");
    if (st == VBG_OK)
        *out = d;
    else
        vbg_camera_decoder_free(d);
    return st;
}

void vbg_camera_decoder_free(vbg_camera_decoder *d)
{
    if (!d)
        return;
    vbg_mjpeg_free(d->mjpeg);
    vbg_free_mem(d);
}

size_t vbg_camera_frame_bytes(const vbg_camera_layout *l)
{
    const size_t w = (size_t)l->w, h = (size_t)l->h, ch = (h + 1) / 2;

    switch (l->fourcc) {
    case V4L2_PIX_FMT_YUYV: /* the last row needs no padding */
        return l->stride * (h - 1) + 2 * ((w + 1) / 2 * 2);
    case V4L2_PIX_FMT_NV12:
        return l->stride * (h + ch - 1) + (w + 1) / 2 * 2;
    case V4L2_PIX_FMT_YUV420:
        return l->stride * h + ((l->stride + 1) / 2) * (2 * ch - 1) + (w + 1) / 2;
    default:
        return 0;
    }
}

static uint8_t *row_of(vbg_frame *f, int plane, int y)
{
    return f->yuv.plane[plane] + (size_t)y * f->yuv.stride[plane];
}

static void from_yuyv(vbg_frame *f, const uint8_t *data, size_t stride)
{
    const int w = f->yuv.w, h = f->yuv.h, cw = (w + 1) / 2;

    for (int y = 0; y < h; y++) {
        const uint8_t *s = data + (size_t)y * stride;
        uint8_t *d = row_of(f, 0, y);
#pragma omp simd
        for (int x = 0; x < w; x++)
            d[x] = s[2 * x];
    }
    for (int y = 0; y < h; y += 2) {
        const uint8_t *a = data + (size_t)y * stride;
        const uint8_t *b = y + 1 < h ? a + stride : a;
        uint8_t *u = row_of(f, 1, y / 2), *v = row_of(f, 2, y / 2);
#pragma omp simd
        for (int x = 0; x < cw; x++) {
            u[x] = (uint8_t)((a[4 * x + 1] + b[4 * x + 1] + 1) >> 1);
            v[x] = (uint8_t)((a[4 * x + 3] + b[4 * x + 3] + 1) >> 1);
        }
    }
}

static void from_nv12(vbg_frame *f, const uint8_t *data, size_t stride)
{
    const int w = f->yuv.w, h = f->yuv.h, cw = (w + 1) / 2;
    const uint8_t *chroma = data + stride * (size_t)h;

    for (int y = 0; y < h; y++)
        memcpy(row_of(f, 0, y), data + (size_t)y * stride, (size_t)w);
    for (int y = 0; y < (h + 1) / 2; y++) {
        const uint8_t *s = chroma + (size_t)y * stride;
        uint8_t *u = row_of(f, 1, y), *v = row_of(f, 2, y);
#pragma omp simd
        for (int x = 0; x < cw; x++) {
            u[x] = s[2 * x];
            v[x] = s[2 * x + 1];
        }
    }
}

static void from_i420(vbg_frame *f, const uint8_t *data, size_t stride)
{
    const int w = f->yuv.w, h = f->yuv.h, cw = (w + 1) / 2, ch = (h + 1) / 2;
    const size_t half = (stride + 1) / 2;
    const uint8_t *u = data + stride * (size_t)h, *v = u + half * (size_t)ch;

    for (int y = 0; y < h; y++)
        memcpy(row_of(f, 0, y), data + (size_t)y * stride, (size_t)w);
    for (int y = 0; y < ch; y++) {
        memcpy(row_of(f, 1, y), u + (size_t)y * half, (size_t)cw);
        memcpy(row_of(f, 2, y), v + (size_t)y * half, (size_t)cw);
    }
}

/* 0..255 to 16..235 and 16..240, rounded (BT.601-7). */
static void narrow(const vbg_light_kernels *light, vbg_frame *f)
{
    for (int p = 0; p < 3; p++) {
        const int w = p ? (f->yuv.w + 1) / 2 : f->yuv.w;
        const int h = p ? (f->yuv.h + 1) / 2 : f->yuv.h;
        /* (v * k + c) >> 16: k = 65536 * 219/255 or 224/255; chroma keeps 128 */
        const uint32_t k = p ? 57568 : 56283;
        const uint32_t c =
            p ? (128u << 16) - 128u * 57568u + 32768u : (16u << 16) + 32768u;
        for (int y = 0; y < h; y++)
            light->range(row_of(f, p, y), row_of(f, p, y), k, c, (size_t)w);
    }
}

vbg_status vbg_camera_decode(vbg_camera_decoder *d, const vbg_kernels *k, vbg_frame *f,
                             const uint8_t *data, size_t bytes, vbg_err *err)
{
    const vbg_camera_layout *l = &d->layout;
    bool full = l->full_range;

    VBG_CHECK(f->yuv.w == l->w && f->yuv.h == l->h, "a frame of %dx%d for %dx%d",
              f->yuv.w, f->yuv.h, l->w, l->h);
    if (d->mjpeg) {
        vbg_status st = vbg_mjpeg_decode(d->mjpeg, f, data, bytes, err);
        if (st != VBG_OK)
            return st;
        full = true;
    } else if (bytes < vbg_camera_frame_bytes(l)) {
        return vbg_fail(err, VBG_EFORMAT, "a frame of %zu bytes instead of %zu", bytes,
                        vbg_camera_frame_bytes(l));
    } else if (l->fourcc == V4L2_PIX_FMT_YUYV) {
        from_yuyv(f, data, l->stride);
    } else if (l->fourcc == V4L2_PIX_FMT_NV12) {
        from_nv12(f, data, l->stride);
    } else {
        from_i420(f, data, l->stride);
    }
    if (full)
        narrow(&k->light, f);
    f->yuv.bt709 = f->yuv.full_range = false;
    return VBG_OK;
}
