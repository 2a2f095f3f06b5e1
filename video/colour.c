/* Layouts over the exact rows of kernels/picture.h; the rest is plain formulas. */
#include "video/colour.h"

#include <math.h>

void vbg_yuv_matrix_make(vbg_yuv_matrix *m, bool bt709, bool full_range)
{
    double kr = bt709 ? 0.2126 : 0.299, kb = bt709 ? 0.0722 : 0.114, kg = 1 - kr - kb;
    double luma = full_range ? 1 : 219.0 / 255, chroma = full_range ? 1 : 224.0 / 255;
    double cb = chroma / (2 * (1 - kb)), cr = chroma / (2 * (1 - kr));

    *m = (vbg_yuv_matrix){
        .y = { kr * luma, kg * luma, kb * luma },
        .u = { -kr * cb, -kg * cb, (1 - kb) * cb },
        .v = { (1 - kr) * cr, -kg * cr, -kb * cr },
        .y_off = full_range ? 0 : 16,
        .ry = 1 / luma,
        .rv = 2 * (1 - kr) / chroma,
        .gu = -2 * (1 - kb) * kb / kg / chroma,
        .gv = -2 * (1 - kr) * kr / kg / chroma,
        .bu = 2 * (1 - kb) / chroma,
    };
}

/* Where row y of a frame finds its samples. */
typedef struct row_view {
    uint8_t *y, *u, *v;
    size_t y_step, step;
    int shift;
} row_view;

static row_view row_of(const vbg_yuv *f, int y)
{
    size_t at = (size_t)y, half = (size_t)(y / 2);
    uint8_t *luma = f->plane[0] + at * f->stride[0];

    switch (f->layout) {
    case VBG_YUV_YUYV:
        return (row_view){ luma, luma + 1, luma + 3, 2, 4, 1 };
    case VBG_YUV_NV12: {
        uint8_t *uv = f->plane[1] + half * f->stride[1];
        return (row_view){ luma, uv, uv + 1, 1, 2, 1 };
    }
    case VBG_YUV_I420:
        return (row_view){ luma,
                           f->plane[1] + half * f->stride[1],
                           f->plane[2] + half * f->stride[2],
                           1,
                           1,
                           1 };
    default:
        return (row_view){
            luma, f->plane[1] + at * f->stride[1], f->plane[2] + at * f->stride[2], 1, 1,
            0
        };
    }
}

void vbg_yuv_to_rgb(const vbg_kernels *k, vbg_picture *dst, const vbg_yuv *src, int y0,
                    int y1)
{
    vbg_yuv_matrix m;

    VBG_CHECK(dst->w == src->w && dst->h == src->h && dst->channels == 3,
              "YUV %dx%d to %dx%dx%d", src->w, src->h, dst->w, dst->h, dst->channels);
    vbg_yuv_matrix_make(&m, src->bt709, src->full_range);
    for (int y = y0; y < (y1 > 0 ? y1 : src->h); y++) {
        row_view r = row_of(src, y);
        k->picture.yuv_rgb(vbg_picture_row(dst, y), r.y, r.y_step, r.u, r.v, r.step,
                           r.shift, &m, (size_t)src->w);
    }
}

/* One chroma sample from up to four pixels (tiny widths, odd edges, 4:4:4). */
static void chroma_sample(uint8_t *u, uint8_t *v, const uint8_t *const px[], int count,
                          const vbg_yuv_matrix *m)
{
    double s[3] = { 0 };

    for (int i = 0; i < count; i++)
        for (int c = 0; c < 3; c++)
            s[c] += px[i][c];
    for (int c = 0; c < 3; c++)
        s[c] /= count;
    double a = rint(128 + m->u[0] * s[0] + m->u[1] * s[1] + m->u[2] * s[2]);
    double b = rint(128 + m->v[0] * s[0] + m->v[1] * s[1] + m->v[2] * s[2]);
    *u = (uint8_t)fmin(fmax(a, 0), 255);
    *v = (uint8_t)fmin(fmax(b, 0), 255);
}

/* The chroma row of RGB rows a and b (the same for 4:2:2 and at an odd end). */
static void chroma_row(const vbg_kernels *k, const row_view *r, const uint8_t *a,
                       const uint8_t *b, int w, vbg_chroma chroma,
                       const vbg_yuv_matrix *m)
{
    int x = 0;

    if (r->shift == 1 && chroma == VBG_CHROMA_MEAN) {
        k->picture.rgb_uv(r->u, r->v, r->step, a, b, m, (size_t)(w / 2));
        x = w / 2 * 2;
    }
    for (; x < w; x += 1 << r->shift) {
        const uint8_t *const px[2] = { a + 3 * x, b + 3 * x };
        size_t at = (size_t)(x >> r->shift) * r->step;
        chroma_sample(r->u + at, r->v + at, px, chroma == VBG_CHROMA_MEAN ? 2 : 1, m);
    }
}

void vbg_yuv_from_rgb(const vbg_kernels *k, vbg_yuv *dst, const vbg_picture *src,
                      vbg_chroma chroma, int y0, int y1)
{
    bool halved = dst->layout == VBG_YUV_I420 || dst->layout == VBG_YUV_NV12;
    vbg_yuv_matrix m;

    VBG_CHECK(dst->w == src->w && dst->h == src->h && src->channels == 3,
              "RGB %dx%dx%d to %dx%d", src->w, src->h, src->channels, dst->w, dst->h);
    vbg_yuv_matrix_make(&m, dst->bt709, dst->full_range);
    for (int y = y0; y < (y1 > 0 ? y1 : src->h); y++) {
        const uint8_t *a = vbg_picture_row(src, y);
        row_view r = row_of(dst, y);
        k->picture.rgb_y(r.y, r.y_step, a, &m, (size_t)src->w);
        if (halved && y % 2 == 1)
            continue;
        bool pair = halved && y + 1 < src->h;
        chroma_row(k, &r, a, pair ? vbg_picture_row(src, y + 1) : a, src->w, chroma, &m);
        if (dst->layout == VBG_YUV_YUYV && src->w % 2 == 1)
            r.y[(size_t)src->w * 2] = r.y[(size_t)(src->w - 1) * 2];
    }
}

void vbg_rgb_to_gray(vbg_picture *dst, const vbg_picture *src)
{
    VBG_CHECK(dst->w == src->w && dst->h == src->h && dst->channels == 1 &&
                  src->channels >= 3,
              "gray of %dx%dx%d", src->w, src->h, src->channels);
    for (int y = 0; y < src->h; y++) {
        const uint8_t *s = vbg_picture_row(src, y);
        uint8_t *d = vbg_picture_row(dst, y);
        for (int x = 0; x < src->w; x++, s += src->channels) {
            /* thousandths are exact, so are halves: to even as everywhere */
            int v = 299 * s[0] + 587 * s[1] + 114 * s[2], q = v / 1000, rest = v % 1000;
            d[x] = (uint8_t)(q + (rest > 500 || (rest == 500 && q % 2 == 1)));
        }
    }
}

void vbg_rgb_to_hsv(uint8_t hsv[3], const uint8_t rgb[3])
{
    int r = rgb[0], g = rgb[1], b = rgb[2];
    int top = vbg_max_int(r, vbg_max_int(g, b)), low = vbg_min_int(r, vbg_min_int(g, b));
    int range = top - low;
    double hue = 0;

    if (range && top == r)
        hue = 60.0 * (g - b) / range;
    else if (range && top == g)
        hue = 120 + 60.0 * (b - r) / range;
    else if (range)
        hue = 240 + 60.0 * (r - g) / range;
    if (hue < 0)
        hue += 360;
    hsv[0] = (uint8_t)((int)lrint(hue / 2) % 180);
    hsv[1] = (uint8_t)(top ? lrint(255.0 * range / top) : 0);
    hsv[2] = (uint8_t)top;
}

double vbg_srgb_to_linear(double v)
{
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

double vbg_linear_to_srgb(double v)
{
    return v <= 0.0031308 ? v * 12.92 : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static double lab_curve(double t)
{
    return t > 0.008856 ? cbrt(t) : 7.787 * t + 16.0 / 116;
}

void vbg_rgb_to_lab(double lab[3], const double rgb[3])
{
    double r = vbg_srgb_to_linear(rgb[0]), g = vbg_srgb_to_linear(rgb[1]);
    double b = vbg_srgb_to_linear(rgb[2]);
    double x = (0.412453 * r + 0.357580 * g + 0.180423 * b) / 0.950456;
    double y = 0.212671 * r + 0.715160 * g + 0.072169 * b;
    double z = (0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.088754;
    double fx = lab_curve(x), fy = lab_curve(y), fz = lab_curve(z);

    lab[0] = y > 0.008856 ? 116 * fy - 16 : 903.3 * y;
    lab[1] = 500 * (fx - fy);
    lab[2] = 200 * (fy - fz);
}

static void check_layers(const vbg_picture *dst, const vbg_picture *front,
                         const vbg_picture *back, const vbg_picture *alpha)
{
    bool same = front->w == dst->w && back->w == dst->w && alpha->w == dst->w &&
                front->h == dst->h && back->h == dst->h && alpha->h == dst->h;

    VBG_CHECK(same && alpha->channels == 1 && dst->channels == 3 &&
                  front->channels == 3 && back->channels == 3,
              "composite of pictures that differ in size or channels (%dx%d)", dst->w,
              dst->h);
}

void vbg_composite(const vbg_kernels *k, vbg_picture *dst, const vbg_picture *front,
                   const vbg_picture *back, const vbg_picture *alpha, int y0, int y1)
{
    check_layers(dst, front, back, alpha);
    for (int y = y0; y < (y1 > 0 ? y1 : dst->h); y++)
        k->picture.mix(vbg_picture_row(dst, y), vbg_picture_row(front, y),
                       vbg_picture_row(back, y), vbg_picture_row(alpha, y),
                       (size_t)dst->w);
}

void vbg_composite_linear(vbg_picture *dst, const vbg_picture *front,
                          const vbg_picture *back, const vbg_picture *alpha)
{
    double light[256];

    check_layers(dst, front, back, alpha);
    for (int i = 0; i < 256; i++)
        light[i] = vbg_srgb_to_linear(i / 255.0);
    for (int y = 0; y < dst->h; y++) {
        const uint8_t *f = vbg_picture_row(front, y), *b = vbg_picture_row(back, y);
        const uint8_t *a = vbg_picture_row(alpha, y);
        uint8_t *d = vbg_picture_row(dst, y);
        for (int x = 0; x < dst->w; x++)
            for (int c = 3 * x; c < 3 * x + 3; c++) {
                double t = a[x] / 255.0;
                double v = light[f[c]] * t + light[b[c]] * (1 - t);
                d[c] = (uint8_t)lrint(255 * vbg_linear_to_srgb(v));
            }
    }
}
