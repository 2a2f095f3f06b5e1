/* Frames to another size: each plane through the resizer, cut to shape before. */
#include "video/frame_scale.h"

#include <math.h>
#include <string.h>

#include "video/resize.h"

struct vbg_frame_scaler {
    int w, h, out_w, out_h;
    int x, y, part_w, part_h; /* of the source, even */
    vbg_resizer *luma, *chroma;
};

vbg_status vbg_frame_scaler_new(vbg_frame_scaler **out, vbg_err *err)
{
    *out = vbg_alloc(sizeof **out);
    return *out ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "out of memory");
}

static void clear(vbg_frame_scaler *s)
{
    vbg_resizer_free(s->luma);
    vbg_resizer_free(s->chroma);
    *s = (vbg_frame_scaler){ .w = 0 };
}

void vbg_frame_scaler_free(vbg_frame_scaler *s)
{
    if (!s)
        return;
    clear(s);
    vbg_free_mem(s);
}

void vbg_frame_copy(vbg_frame *d, const vbg_frame *s)
{
    for (int p = 0; p < 3; p++) {
        const int h = p ? (s->yuv.h + 1) / 2 : s->yuv.h;
        const size_t w = (size_t)(p ? (s->yuv.w + 1) / 2 : s->yuv.w);
        for (int y = 0; y < h; y++)
            memcpy(d->yuv.plane[p] + (size_t)y * d->yuv.stride[p],
                   s->yuv.plane[p] + (size_t)y * s->yuv.stride[p], w);
    }
    d->yuv.bt709 = s->yuv.bt709;
    d->yuv.full_range = s->yuv.full_range;
    d->time_s = s->time_s;
}

static vbg_status prepare(vbg_frame_scaler *s, const vbg_yuv *d, const vbg_yuv *f,
                          vbg_err *err)
{
    clear(s);
    const double scale = fmin((double)f->w / d->w, (double)f->h / d->h);
    const int w = vbg_min_int(f->w, vbg_max_int(2, (int)lround(d->w * scale)));
    const int h = vbg_min_int(f->h, vbg_max_int(2, (int)lround(d->h * scale)));
    s->x = (f->w - w) / 4 * 2;
    s->y = (f->h - h) / 4 * 2;
    s->part_w = w;
    s->part_h = h;
    vbg_status st =
        vbg_resizer_new(&s->luma, w, h, d->w, d->h, 1, VBG_INTERP_SMOOTH, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&s->chroma, (w + 1) / 2, (h + 1) / 2, (d->w + 1) / 2,
                             (d->h + 1) / 2, 1, VBG_INTERP_SMOOTH, err);
    if (st != VBG_OK) {
        clear(s);
        return st;
    }
    s->w = f->w;
    s->h = f->h;
    s->out_w = d->w;
    s->out_h = d->h;
    return VBG_OK;
}

vbg_status vbg_frame_scale(vbg_frame_scaler *s, const vbg_kernels *k, vbg_frame *dst,
                           const vbg_frame *src, vbg_err *err)
{
    vbg_yuv *d = &dst->yuv;
    const vbg_yuv *f = &src->yuv;

    if (d->w == f->w && d->h == f->h) {
        vbg_frame_copy(dst, src);
        return VBG_OK;
    }
    if (s->w != f->w || s->h != f->h || s->out_w != d->w || s->out_h != d->h) {
        vbg_status st = prepare(s, d, f, err);
        if (st != VBG_OK)
            return st;
    }
    for (int p = 0; p < 3; p++) {
        const int half = p ? 2 : 1;
        vbg_picture from = { .data = f->plane[p] + (size_t)(s->y / half) * f->stride[p] +
                                     s->x / half,
                             .w = p ? (s->part_w + 1) / 2 : s->part_w,
                             .h = p ? (s->part_h + 1) / 2 : s->part_h,
                             .channels = 1,
                             .stride = f->stride[p] };
        vbg_picture to = { .data = d->plane[p],
                           .w = p ? (d->w + 1) / 2 : d->w,
                           .h = p ? (d->h + 1) / 2 : d->h,
                           .channels = 1,
                           .stride = d->stride[p] };
        vbg_resizer_u8(p ? s->chroma : s->luma, k, &to, &from);
    }
    d->bt709 = f->bt709;
    d->full_range = f->full_range;
    dst->time_s = src->time_s;
    return VBG_OK;
}
