/* Separable resizing: each output row is a weighted sum of input rows (vertical),
 * then of its own pixels (horizontal); no intermediate picture. */
#include "video/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Output i = sum over taps of weight[i*taps+k] * input[first[i] + k]. */
typedef struct axis {
    int taps;
    int *first;
    float *weight;
} axis;

struct vbg_resizer {
    int w, h, out_w, out_h, channels;
    bool nearest, same_w;
    bool half, fourth; /* means of 2 x 2 and 4 x 4 pixels */
    axis x, y;
    float *row;        /* the vertical sum of one row, then its padding */
    float *out;        /* one output row */
    const void **rows; /* [y.taps] */
    float *x_weight;   /* x.weight transposed: [taps][out_w] */
};

static double kernel(vbg_interp mode, double x)
{
    const double pi = 3.14159265358979323846, a = -0.75;

    x = fabs(x);
    if (mode == VBG_INTERP_LINEAR || mode == VBG_INTERP_SMOOTH)
        return x < 1 ? 1 - x : 0;
    if (mode == VBG_INTERP_CUBIC) {
        if (x <= 1)
            return ((a + 2) * x - (a + 3)) * x * x + 1;
        return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
    }
    if (x >= 4)
        return 0;
    return x < 1e-9 ? 1 : sin(pi * x) * sin(pi * x / 4) * 4 / (pi * pi * x * x);
}

static double reach_of(vbg_interp mode, double scale)
{
    switch (mode) {
    case VBG_INTERP_CUBIC:
        return 2;
    case VBG_INTERP_LANCZOS4:
        return 4;
    case VBG_INTERP_SMOOTH:
        return scale > 1 ? scale : 1;
    default:
        return 1;
    }
}

/* Adds v to input position p, clamped to the picture, of the window from `first`. */
static void add_tap(float *w, int first, int p, int in, double v)
{
    p = p < 0 ? 0 : p >= in ? in - 1 : p;
    w[p - first] = (float)((double)w[p - first] + v);
}

static void kernel_weights(axis *a, int i, int in, int out, vbg_interp mode)
{
    double scale = (double)in / out, reach = reach_of(mode, scale);
    double stretch = mode == VBG_INTERP_SMOOTH && scale > 1 ? scale : 1;
    double centre = (i + 0.5) * scale - 0.5, sum = 0;
    int from = (int)floor(centre - reach) + 1, to = (int)ceil(centre + reach) - 1;
    int low = from < 0 ? 0 : from > in - a->taps ? in - a->taps : from;
    float *w = a->weight + (size_t)i * (size_t)a->taps;

    for (int p = from; p <= to; p++)
        sum += kernel(mode, (p - centre) / stretch);
    for (int p = from; p <= to; p++)
        add_tap(w, low, p, in, kernel(mode, (p - centre) / stretch) / sum);
    a->first[i] = low;
}

/* Exact coverage of [i, i+1) * in/out. */
static void area_weights(axis *a, int i, int in, int out)
{
    double scale = (double)in / out, from = i * scale, to = (i + 1) * scale;
    int low = (int)floor(from);

    low = low > in - a->taps ? in - a->taps : low;
    a->first[i] = low < 0 ? 0 : low;
    for (int p = (int)floor(from); p < in && p < to; p++) {
        double part = fmin(p + 1, to) - fmax(p, from);
        if (part > 0)
            add_tap(a->weight + (size_t)i * (size_t)a->taps, a->first[i], p, in,
                    part / scale);
    }
}

static void axis_free(axis *a)
{
    free(a->first);
    free(a->weight);
}

static bool axis_new(axis *a, int in, int out, vbg_interp mode)
{
    double scale = (double)in / out;

    if (mode == VBG_INTERP_AREA && scale <= 1)
        mode = VBG_INTERP_LINEAR;
    if (mode == VBG_INTERP_NEAREST)
        a->taps = 1;
    else if (mode == VBG_INTERP_AREA)
        a->taps = (int)ceil(scale) + 1;
    else
        a->taps = 2 * (int)ceil(reach_of(mode, scale));
    a->taps = a->taps > in ? in : a->taps;
    a->first = calloc((size_t)out, sizeof *a->first);
    a->weight = calloc((size_t)out * (size_t)a->taps, sizeof *a->weight);
    if (!a->first || !a->weight)
        return false;
    for (int i = 0; i < out; i++) {
        if (mode == VBG_INTERP_NEAREST) {
            int p = (int)floor(i * (1.0 / ((double)out / in)));
            a->first[i] = p < in ? p : in - 1;
            a->weight[i] = 1;
        } else if (mode == VBG_INTERP_AREA) {
            area_weights(a, i, in, out);
        } else {
            kernel_weights(a, i, in, out, mode);
        }
    }
    return true;
}

vbg_status vbg_resizer_new(vbg_resizer **out, int w, int h, int out_w, int out_h,
                           int channels, vbg_interp mode, vbg_err *err)
{
    VBG_CHECK(w > 0 && h > 0 && out_w > 0 && out_h > 0 && channels > 0 && channels <= 4,
              "resize %dx%dx%d to %dx%d", w, h, channels, out_w, out_h);
    vbg_resizer *r = calloc(1, sizeof *r);
    bool ok = r && axis_new(&r->x, w, out_w, mode) && axis_new(&r->y, h, out_h, mode);
    if (ok) {
        size_t ch = (size_t)channels;
        r->row = vbg_alloc(((size_t)w * ch + 16) * sizeof *r->row);
        r->out = vbg_alloc(((size_t)out_w * ch + 16) * sizeof *r->out);
        r->rows = calloc((size_t)r->y.taps, sizeof *r->rows);
        r->x_weight = malloc((size_t)out_w * (size_t)r->x.taps * sizeof *r->x_weight);
        ok = r->row && r->out && r->rows && r->x_weight;
    }
    if (!ok) {
        vbg_resizer_free(r);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory to resize to %dx%d", out_w,
                        out_h);
    }
    for (size_t i = 0, n = (size_t)out_w, t = (size_t)r->x.taps; i < n * t; i++)
        r->x_weight[i % t * n + i / t] = r->x.weight[i];
    r->w = w;
    r->h = h;
    r->out_w = out_w;
    r->out_h = out_h;
    r->channels = channels;
    r->nearest = mode == VBG_INTERP_NEAREST;
    const bool means = mode == VBG_INTERP_AREA && channels == 1;
    r->half = means && w == 2 * out_w && h == 2 * out_h;
    r->fourth = means && w == 4 * out_w && h == 4 * out_h;
    r->same_w = w == out_w && mode != VBG_INTERP_CUBIC && mode != VBG_INTERP_LANCZOS4;
    *out = r;
    return VBG_OK;
}

void vbg_resizer_free(vbg_resizer *r)
{
    if (!r)
        return;
    axis_free(&r->x);
    axis_free(&r->y);
    vbg_free_mem(r->row);
    vbg_free_mem(r->out);
    free(r->rows);
    free(r->x_weight);
    free(r);
}

/* One end of a resize: rows of u8 or f32, `stride` bytes apart. */
typedef struct side {
    void *data;
    size_t stride;
    bool bytes;
} side;

static void copy_nearest(const vbg_resizer *r, side dst, side src)
{
    size_t px = (size_t)r->channels * (src.bytes ? 1 : sizeof(float));

    for (int y = 0; y < r->out_h; y++) {
        char *d = (char *)dst.data + (size_t)y * dst.stride;
        const char *s = (char *)src.data + (size_t)r->y.first[y] * src.stride;
        for (int x = 0; x < r->out_w; x++)
            memcpy(d + (size_t)x * px, s + (size_t)r->x.first[x] * px, px);
    }
}

/* Row y of the result: vertical sum, then horizontal. */
static const float *resize_row(vbg_resizer *r, const vbg_picture_kernels *k, side src,
                               int y)
{
    const float *w = r->y.weight + (size_t)y * (size_t)r->y.taps;
    size_t n = (size_t)r->w * (size_t)r->channels;
    int taps = r->y.taps, skip = 0;

    if (r->fourth && src.bytes) {
        const uint8_t *rows[4];
        for (int i = 0; i < 4; i++)
            rows[i] = (const uint8_t *)src.data + (size_t)(4 * y + i) * src.stride;
        k->mean4(r->out, rows, (size_t)r->out_w);
        return r->out;
    }
    while (taps > 1 && w[taps - 1] == 0)
        taps--;
    while (taps > 1 && w[skip] == 0) {
        skip++;
        taps--;
    }
    for (int i = 0; i < taps; i++)
        r->rows[i] = (char *)src.data + (size_t)(r->y.first[y] + skip + i) * src.stride;
    if (src.bytes)
        k->column_u8(r->row, (const uint8_t *const *)r->rows, w + skip, taps, n);
    else
        k->column_f32(r->row, (const float *const *)r->rows, w + skip, taps, n);
    if (r->same_w)
        return r->row;
    k->row_taps(r->out, r->row, r->x.first, r->x_weight, r->x.taps, (size_t)r->out_w,
                r->channels);
    return r->out;
}

static void halve(const vbg_resizer *r, const vbg_picture_kernels *k, side dst, side src)
{
    for (int y = 0; y < r->out_h; y++) {
        const uint8_t *s = (const uint8_t *)src.data + (size_t)(2 * y) * src.stride;
        const uint8_t *rows[2] = { s, s + src.stride };
        k->mean2((uint8_t *)dst.data + (size_t)y * dst.stride, rows, (size_t)r->out_w);
    }
}

static void run(vbg_resizer *r, const vbg_picture_kernels *k, side dst, side src)
{
    size_t m = (size_t)r->out_w * (size_t)r->channels;

    if (r->nearest && dst.bytes == src.bytes) {
        copy_nearest(r, dst, src);
        return;
    }
    if (r->half && dst.bytes && src.bytes) {
        halve(r, k, dst, src);
        return;
    }
    for (int y = 0; y < r->out_h; y++) {
        const float *line = resize_row(r, k, src, y);
        char *d = (char *)dst.data + (size_t)y * dst.stride;
        if (dst.bytes)
            k->to_u8((uint8_t *)d, line, m);
        else
            memcpy(d, line, m * sizeof *line);
    }
}

static side of_picture(const vbg_picture *p, int w, int h, int channels)
{
    VBG_CHECK(p->w == w && p->h == h && p->channels == channels,
              "resizer of %dx%dx%d given %dx%dx%d", w, h, channels, p->w, p->h,
              p->channels);
    return (side){ p->data, p->stride, true };
}

static side of_image(const vbg_image *p, int w, int h, int channels)
{
    VBG_CHECK(p->w == w && p->h == h && p->channels == channels,
              "resizer of %dx%dx%d given %dx%dx%d", w, h, channels, p->w, p->h,
              p->channels);
    return (side){ p->data, p->stride * sizeof *p->data, false };
}

void vbg_resizer_u8(vbg_resizer *r, const vbg_kernels *k, vbg_picture *dst,
                    const vbg_picture *src)
{
    run(r, &k->picture, of_picture(dst, r->out_w, r->out_h, r->channels),
        of_picture(src, r->w, r->h, r->channels));
}

void vbg_resizer_u8_f32(vbg_resizer *r, const vbg_kernels *k, vbg_image *dst,
                        const vbg_picture *src)
{
    run(r, &k->picture, of_image(dst, r->out_w, r->out_h, r->channels),
        of_picture(src, r->w, r->h, r->channels));
}

void vbg_resizer_f32(vbg_resizer *r, const vbg_kernels *k, vbg_image *dst,
                     const vbg_image *src)
{
    run(r, &k->picture, of_image(dst, r->out_w, r->out_h, r->channels),
        of_image(src, r->w, r->h, r->channels));
}

const float *vbg_resizer_row_f32(vbg_resizer *r, const vbg_kernels *k,
                                 const vbg_image *src, int y)
{
    return resize_row(r, &k->picture, of_image(src, r->w, r->h, r->channels), y);
}

void vbg_resizer_f32_u8(vbg_resizer *r, const vbg_kernels *k, vbg_picture *dst,
                        const vbg_image *src)
{
    run(r, &k->picture, of_picture(dst, r->out_w, r->out_h, r->channels),
        of_image(src, r->w, r->h, r->channels));
}
