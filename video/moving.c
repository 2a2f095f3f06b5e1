/* A video as background: decoded at its own rate, in a loop. */
#include "video/moving.h"

#include <math.h>
#include <string.h>

#include "video/frame_scale.h"
#include "video/reader.h"

enum { MOST_AT_ONCE = 3 /* frames decoded for one view */ };

struct vbg_loop {
    vbg_background_opt opt;
    vbg_reader *reader;
    vbg_reader_info info;
    vbg_frame frame, scaled;
    vbg_frame_scaler *scaler;
    double base;  /* time of the loop's start */
    double shown; /* of the picture in view, within the loop */
    bool started, broken, ready;
    int64_t count; /* frames of this round */
};

vbg_status vbg_loop_open(vbg_loop **out, const char *path, const vbg_background_opt *opt,
                         vbg_err *err)
{
    vbg_loop *l = vbg_alloc(sizeof *l);
    bool end = false;
    vbg_status st;

    *out = NULL;
    if (!l)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    l->opt = *opt;
    st = vbg_reader_open(&l->reader, path, err);
    if (st == VBG_OK) {
        vbg_reader_get_info(l->reader, &l->info);
        st = vbg_frame_new(&l->frame, l->info.w, l->info.h, err);
    }
    if (st == VBG_OK)
        st = vbg_frame_new(&l->scaled, opt->w, opt->h, err);
    if (st == VBG_OK)
        st = vbg_frame_scaler_new(&l->scaler, err);
    if (st == VBG_OK)
        st = vbg_reader_next(l->reader, &l->frame, &end, err);
    if (st == VBG_OK && end)
        st = vbg_fail(err, VBG_EFORMAT, "%s: holds no readable frame", path);
    l->ready = st == VBG_OK;
    if (st == VBG_OK)
        *out = l;
    else
        vbg_loop_close(l);
    return st;
}

void vbg_loop_close(vbg_loop *l)
{
    if (!l)
        return;
    vbg_reader_close(l->reader);
    vbg_frame_free(&l->frame);
    vbg_frame_free(&l->scaled);
    vbg_frame_scaler_free(l->scaler);
    vbg_free_mem(l);
}

/* Codes of the clip to those of the view: 3x3 and an offset, through RGB in theory. */
static void conversion(float m[3][4], const vbg_yuv *from, const vbg_background_opt *to)
{
    const double kr[2] = { 0.299, 0.2126 }, kb[2] = { 0.114, 0.0722 };
    double back[3][3], there[3][3];

    for (int i = 0; i < 2; i++) { /* RGB = back * (y, u, v), (y, u, v) = there * RGB */
        const bool hd = i ? to->bt709 : from->bt709;
        const double r = kr[hd], b = kb[hd], g = 1 - r - b;
        if (i == 0) {
            const double t[3][3] = { { 1, 0, 2 - 2 * r },
                                     { 1, -2 * b * (1 - b) / g, -2 * r * (1 - r) / g },
                                     { 1, 2 - 2 * b, 0 } };
            memcpy(back, t, sizeof t);
        } else {
            const double t[3][3] = { { r, g, b },
                                     { -r / (2 - 2 * b), -g / (2 - 2 * b), 0.5 },
                                     { 0.5, -g / (2 - 2 * r), -b / (2 - 2 * r) } };
            memcpy(there, t, sizeof t);
        }
    }
    const double in_y = from->full_range ? 255 : 219, in_c = from->full_range ? 255 : 224;
    const double out_y = to->full_range ? 255 : 219, out_c = to->full_range ? 255 : 224;
    const double in_off[3] = { from->full_range ? 0 : 16, 128, 128 };
    const double out_off[3] = { to->full_range ? 0 : 16, 128, 128 };
    for (int i = 0; i < 3; i++) {
        double off = out_off[i];
        for (int j = 0; j < 3; j++) {
            double v = 0;
            for (int k = 0; k < 3; k++)
                v += there[i][k] * back[k][j];
            v *= (i ? out_c : out_y) / (j ? in_c : in_y);
            m[i][j] = (float)v;
            off -= v * in_off[j];
        }
        m[i][3] = (float)off;
    }
}

static uint8_t clip(float v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5f);
}

/* The planes, interleaved. */
static void interleave(vbg_picture *view, const vbg_yuv *v, const vbg_background_opt *o)
{
    const bool same = v->bt709 == o->bt709 && v->full_range == o->full_range;
    float m[3][4];

    conversion(m, v, o);
    for (int y = 0; y < view->h; y++) {
        const uint8_t *l = v->plane[0] + (size_t)y * v->stride[0];
        const uint8_t *u = v->plane[1] + (size_t)(y / 2) * v->stride[1];
        const uint8_t *w = v->plane[2] + (size_t)(y / 2) * v->stride[2];
        uint8_t *d = vbg_picture_row(view, y);
        for (int x = 0; x < view->w; x++, d += 3) {
            const float c[3] = { l[x], u[x / 2], w[x / 2] };
            for (int i = 0; i < 3; i++)
                d[i] = same ? (uint8_t)c[i]
                            : clip(m[i][0] * c[0] + m[i][1] * c[1] + m[i][2] * c[2] +
                                   m[i][3]);
        }
    }
}

/* The next frame of the loop; false when the clip is broken. */
static bool advance(vbg_loop *l)
{
    bool end = false;

    if (vbg_reader_next(l->reader, &l->frame, &end, NULL) != VBG_OK)
        return false;
    l->count++;
    if (!end)
        return true;
    const double length = l->shown + (double)l->info.rate_den / l->info.rate_num;
    if (!vbg_reader_rewind(l->reader) ||
        vbg_reader_next(l->reader, &l->frame, &end, NULL) != VBG_OK || end)
        return false;
    l->base += length;
    l->count = 0;
    return true;
}

bool vbg_loop_show(vbg_loop *l, const vbg_kernels *k, vbg_picture *view, double time_s)
{
    bool changed = !l->started;

    if (!l->started)
        l->base = time_s - l->frame.time_s;
    l->started = true;
    for (int i = 0; i < MOST_AT_ONCE && !l->broken; i++) {
        if (l->ready) { /* decoded, its time has not come yet or has */
            if (l->base + l->frame.time_s > time_s + 1e-4 && !changed)
                break;
            if (vbg_frame_scale(l->scaler, k, &l->scaled, &l->frame, NULL) != VBG_OK)
                break;
            l->shown = l->frame.time_s;
            changed = true;
            l->ready = false;
        }
        l->broken = !advance(l);
        l->ready = !l->broken;
        if (l->ready && l->base + l->frame.time_s > time_s + 1e-4)
            break;
    }
    if (l->ready && time_s - (l->base + l->frame.time_s) > 0.5) /* a pause: no race */
        l->base = time_s - l->frame.time_s;
    if (changed)
        interleave(view, &l->scaled.yuv, &l->opt);
    return changed;
}
