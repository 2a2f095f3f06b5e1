/* Windows of a flat picture.  Shift and scale alone: rows first, then columns. */
#include "video/lean.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/image.h"

struct vbg_lean {
    vbg_picture wide;
    int w, h;
    int *first;    /* [w] column left of each pixel */
    float *weight; /* [2][w] */
    float *row, *out;
};

vbg_status vbg_lean_new(vbg_lean **out, vbg_picture *wide, int w, int h, vbg_err *err)
{
    vbg_lean *l = calloc(1, sizeof *l);

    *out = NULL;
    if (!l) {
        vbg_picture_free(wide);
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    VBG_CHECK(wide->channels == 3 && wide->w > w && wide->h > h,
              "a window of %dx%d in %dx%dx%d", w, h, wide->w, wide->h, wide->channels);
    l->wide = *wide;
    *wide = (vbg_picture){ .data = NULL };
    l->w = w;
    l->h = h;
    l->first = vbg_alloc((size_t)w * sizeof *l->first);
    l->weight = vbg_alloc(2 * (size_t)w * sizeof *l->weight);
    l->row = vbg_alloc((3 * (size_t)l->wide.w + 32) * sizeof *l->row);
    l->out = vbg_alloc((3 * (size_t)w + 32) * sizeof *l->out);
    if (l->first && l->weight && l->row && l->out) {
        *out = l;
        return VBG_OK;
    }
    vbg_lean_free(l);
    return vbg_fail(err, VBG_ENOMEM, "out of memory");
}

void vbg_lean_free(vbg_lean *l)
{
    if (!l)
        return;
    vbg_picture_free(&l->wide);
    vbg_free_mem(l->first);
    vbg_free_mem(l->weight);
    vbg_free_mem(l->row);
    vbg_free_mem(l->out);
    free(l);
}

/* Source position of view pixel 0 of an axis. */
static double origin(int wide, int n, double shift, double step)
{
    const double span = (n - 1) * step, most = wide - 1 - span;
    const double at = 0.5 * most + shift * step;

    return fmin(fmax(at, 0), most);
}

void vbg_lean_run(vbg_lean *l, const vbg_kernels *k, vbg_picture *dst, double x, double y,
                  double zoom)
{
    const vbg_picture *s = &l->wide;
    /* never more than there is */
    const double step = fmin(1 / zoom, fmin((s->w - 1.0) / l->w, (s->h - 1.0) / l->h));
    const double x0 = origin(s->w, l->w, x, step), y0 = origin(s->h, l->h, y, step);

    VBG_CHECK(dst->w == l->w && dst->h == l->h && dst->channels == 3,
              "a window of %dx%d into %dx%dx%d", l->w, l->h, dst->w, dst->h,
              dst->channels);
    for (int i = 0; i < l->w; i++) {
        const double at = x0 + i * step;
        l->first[i] = vbg_min_int((int)at, s->w - 2);
        l->weight[l->w + i] = (float)(at - l->first[i]);
        l->weight[i] = 1 - l->weight[l->w + i];
    }
    for (int i = 0; i < l->h; i++) {
        const double at = y0 + i * step;
        const int top = vbg_min_int((int)at, s->h - 2);
        const uint8_t *rows[2] = { vbg_picture_row(s, top), vbg_picture_row(s, top + 1) };
        const float w[2] = { (float)(1 - (at - top)), (float)(at - top) };
        k->picture.column_u8(l->row, rows, w, 2, 3 * (size_t)s->w);
        k->picture.row_taps(l->out, l->row, l->first, l->weight, 2, (size_t)l->w, 3);
        k->picture.to_u8(vbg_picture_row(dst, i), l->out, 3 * (size_t)l->w);
    }
}
