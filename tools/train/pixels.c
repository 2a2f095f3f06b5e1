/* Pixel operations of augmentation; see tools/train/pixels.h. */
#include "tools/train/pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/blur.h"

static size_t values(const vbg_levels *p)
{
    return (size_t)p->w * (size_t)p->h * (size_t)p->channels;
}

vbg_status vbg_levels_new(vbg_levels *out, int w, int h, int channels, vbg_err *err)
{
    *out = (vbg_levels){ .w = w, .h = h, .channels = channels };
    out->v = vbg_alloc(values(out) * sizeof *out->v);
    return out->v
               ? VBG_OK
               : vbg_fail(err, VBG_ENOMEM, "not enough memory for a %dx%d picture", w, h);
}

void vbg_levels_free(vbg_levels *p)
{
    if (!p)
        return;
    vbg_free_mem(p->v);
    *p = (vbg_levels){ 0 };
}

void vbg_levels_store(vbg_picture *dst, const vbg_levels *p)
{
    const size_t row = (size_t)p->w * (size_t)p->channels;

    for (size_t y = 0; y < (size_t)p->h; y++)
        for (size_t i = 0; i < row; i++) {
            const float v = p->v[y * row + i];
            dst->data[y * dst->stride + i] = (uint8_t)(v <= 0     ? 0
                                                       : v >= 255 ? 255
                                                                  : v + 0.5f);
        }
}

/* ---- geometry ---- */

/* One pixel, bilinear, between four pixels that exist. */
static void sample(float *out, const vbg_picture *s, double x, double y)
{
    const int x0 = (int)x, y0 = (int)y;
    const int x1 = vbg_min_int(x0 + 1, s->w - 1), y1 = vbg_min_int(y0 + 1, s->h - 1);
    const float fx = (float)(x - x0), fy = (float)(y - y0);
    const uint8_t *top = s->data + (size_t)y0 * s->stride;
    const uint8_t *low = s->data + (size_t)y1 * s->stride;

    for (int k = 0; k < s->channels; k++) {
        const int a = x0 * s->channels + k, b = x1 * s->channels + k;
        const float t = (float)top[a] + (float)(top[b] - top[a]) * fx;
        const float l = (float)low[a] + (float)(low[b] - low[a]) * fx;
        out[k] = t + (l - t) * fy;
    }
}

static double within(double v, double top)
{
    return v > 0 ? v < top ? v : top : 0; /* NaN too becomes 0 */
}

void vbg_warp(vbg_levels *dst, const vbg_picture *src, const double m[6], bool empty)
{
    for (int y = 0; y < dst->h; y++)
        for (int x = 0; x < dst->w; x++) {
            const double u = m[0] * x + m[1] * y + m[2], v = m[3] * x + m[4] * y + m[5];
            float *out =
                dst->v + ((size_t)y * (size_t)dst->w + (size_t)x) * (size_t)dst->channels;
            if (empty && (u < -0.5 || v < -0.5 || u > src->w - 0.5 || v > src->h - 0.5))
                memset(out, 0, (size_t)dst->channels * sizeof *out);
            else
                sample(out, src, within(u, src->w - 1), within(v, src->h - 1));
        }
}

/* ---- blurs ---- */

/* Sums over a window that moves along a row of pixels, divided by the pixels in it. */
static void box_row(float *to, const float *from, int n, int channels, int radius)
{
    float sum[4] = { 0 };
    int count = 0;

    for (int i = 0; i < n + radius; i++) {
        const int gone = i - 2 * radius - 1;
        count += (i < n) - (gone >= 0 && gone < n);
        for (int k = 0; k < channels; k++) {
            if (i < n)
                sum[k] += from[i * channels + k];
            if (gone >= 0 && gone < n)
                sum[k] -= from[gone * channels + k];
            if (i >= radius)
                to[(i - radius) * channels + k] = sum[k] / (float)count;
        }
    }
}

/* The same down the columns, a whole row at a time; sum holds a row. */
static void box_columns(vbg_levels *to, const vbg_levels *from, float *sum, int radius)
{
    const size_t row = (size_t)to->w * (size_t)to->channels;
    int count = 0;

    memset(sum, 0, row * sizeof *sum);
    for (int i = 0; i < to->h + radius; i++) {
        const int gone = i - 2 * radius - 1;
        const bool comes = i < to->h, goes = gone >= 0 && gone < to->h;
        count += comes - goes;
        for (size_t k = 0; comes && k < row; k++)
            sum[k] += from->v[(size_t)i * row + k];
        for (size_t k = 0; goes && k < row; k++)
            sum[k] -= from->v[(size_t)gone * row + k];
        const float share = 1 / (float)count;
        for (size_t k = 0; i >= radius && k < row; k++)
            to->v[(size_t)(i - radius) * row + k] = sum[k] * share;
    }
}

void vbg_box_blur(vbg_levels *p, vbg_levels *scratch, int radius)
{
    const size_t row = (size_t)p->w * (size_t)p->channels;

    /* scratch has a row more than the picture: the sums */
    for (size_t y = 0; y < (size_t)p->h; y++)
        box_row(scratch->v + y * row, p->v + y * row, p->w, p->channels, radius);
    box_columns(p, scratch, scratch->v + (size_t)p->h * row, radius);
}

vbg_status vbg_gauss_blur(vbg_levels *p, const vbg_kernels *k, double sigma, vbg_err *err)
{
    vbg_image all = { p->v, p->w, p->h, p->channels, (size_t)p->w * (size_t)p->channels };

    return vbg_gauss_f32(k, &all, &all, 0, sigma, err);
}

/* ---- compositing ---- */

/* rgb and alpha weighted for blurring: [rgb * a^2, a^2], or with 1 - a.  The square keeps
 * mixed pixels out of the averages. */
static void weigh(vbg_levels *out, const vbg_levels *rgb, const vbg_levels *alpha,
                  bool rest)
{
    const size_t n = (size_t)rgb->w * (size_t)rgb->h;

    for (size_t i = 0; i < n; i++) {
        const float share = rest ? 1 - alpha->v[i] / 255 : alpha->v[i] / 255;
        const float a = share * share;
        for (size_t k = 0; k < 3; k++)
            out->v[4 * i + k] = rgb->v[3 * i + k] * a;
        out->v[4 * i + 3] = a;
    }
}

/* One pass: rgb (the foreground so far) from picture, with a window of radius. */
static void fuse(vbg_levels *rgb, const vbg_levels *picture, const vbg_levels *alpha,
                 vbg_levels work[3], int radius)
{
    const size_t n = (size_t)rgb->w * (size_t)rgb->h;

    weigh(&work[0], rgb, alpha, false);
    weigh(&work[1], picture, alpha, true);
    vbg_box_blur(&work[0], &work[2], radius);
    vbg_box_blur(&work[1], &work[2], radius);
    for (size_t i = 0; i < n; i++) {
        const float a = alpha->v[i] / 255;
        const float fa = work[0].v[4 * i + 3], ba = work[1].v[4 * i + 3];
        for (size_t k = 0; k < 3; k++) {
            const float is = picture->v[3 * i + k];
            const float f = fa > 1e-4f ? work[0].v[4 * i + k] / fa : is;
            const float b = ba > 1e-4f ? work[1].v[4 * i + k] / ba : is;
            const float v = f + a * (is - a * f - (1 - a) * b);
            rgb->v[3 * i + k] = v < 0 ? 0 : v > 255 ? 255 : v;
        }
    }
}

vbg_status vbg_foreground_colours(vbg_levels *rgb, const vbg_levels *alpha, vbg_err *err)
{
    const int wide = vbg_max_int(vbg_max_int(rgb->w, rgb->h) / 8, 2);
    vbg_levels picture = { 0 }, work[3] = { { 0 } };
    vbg_status st = vbg_levels_new(&picture, rgb->w, rgb->h, 3, err);

    for (int i = 0; st == VBG_OK && i < 3; i++)
        st = vbg_levels_new(&work[i], rgb->w, rgb->h + (i == 2), 4, err);
    if (st == VBG_OK) {
        memcpy(picture.v, rgb->v, values(rgb) * sizeof *rgb->v);
        fuse(rgb, &picture, alpha, work, wide);
        fuse(rgb, &picture, alpha, work, vbg_max_int(wide / 4, 1));
    }
    vbg_levels_free(&picture);
    for (int i = 0; i < 3; i++)
        vbg_levels_free(&work[i]);
    return st;
}

/* Mean and deviation of a channel under weights (NULL: all alike). */
static void moments(double out[2], const vbg_levels *rgb, const vbg_levels *weight, int k)
{
    const size_t n = (size_t)rgb->w * (size_t)rgb->h;
    double sum = 0, square = 0, total = 0;

    for (size_t i = 0; i < n; i++) {
        const double w = weight ? (double)weight->v[i] / 255 : 1;
        const double v = (double)rgb->v[3 * i + (size_t)k];
        sum += w * v;
        square += w * v * v;
        total += w;
    }
    out[0] = total > 0 ? sum / total : 0;
    out[1] = total > 0 ? sqrt(fmax(square / total - out[0] * out[0], 1)) : 1;
}

void vbg_match_colours(vbg_levels *rgb, const vbg_levels *alpha, const vbg_levels *back,
                       double strength)
{
    const size_t n = (size_t)rgb->w * (size_t)rgb->h;

    for (int k = 0; k < 3; k++) {
        double is[2], want[2];
        moments(is, rgb, alpha, k);
        moments(want, back, NULL, k);
        /* a night scene does not make the person black */
        const double mean = is[0] + strength * 0.6 * (want[0] - is[0]);
        const double ratio = fmin(fmax(want[1] / is[1], 0.6), 1.4);
        const float scale = (float)(1 + strength * (ratio - 1));
        for (size_t i = 0; i < n; i++) {
            float *v = &rgb->v[3 * i + (size_t)k];
            *v = (*v - (float)is[0]) * scale + (float)mean;
        }
    }
}

/* ---- light ---- */

void vbg_apply_tone(vbg_levels *rgb, const vbg_tone *t)
{
    const size_t n = (size_t)rgb->w * (size_t)rgb->h;
    float curve[1024]; /* the levels are 8-bit values and means of them */

    for (int i = 0; i < 1024; i++)
        curve[i] = (float)(pow(i / 1023.0, t->gamma) * 255);
    for (size_t i = 0; i < n; i++) {
        float v[3], luma;
        for (size_t k = 0; k < 3; k++) {
            const float level = rgb->v[3 * i + k] * (1023.0f / 255);
            const int at = level <= 0 ? 0 : level >= 1023 ? 1023 : (int)(level + 0.5f);
            v[k] = curve[at] * (float)t->gain[k] + (float)t->offset;
        }
        luma = 0.299f * v[0] + 0.587f * v[1] + 0.114f * v[2];
        for (size_t k = 0; k < 3; k++)
            rgb->v[3 * i + k] = luma + (v[k] - luma) * (float)t->saturation;
    }
}

void vbg_light_ramp(vbg_levels *rgb, double depth, double angle_rad)
{
    const double cx = cos(angle_rad) * 2 / rgb->w, cy = sin(angle_rad) * 2 / rgb->h;

    for (int y = 0; y < rgb->h; y++)
        for (int x = 0; x < rgb->w; x++) {
            const double at = cx * (x - rgb->w / 2.0) + cy * (y - rgb->h / 2.0);
            const float f = (float)(1 + depth * fmax(-1, fmin(at, 1)));
            float *v = rgb->v + ((size_t)y * (size_t)rgb->w + (size_t)x) * 3;
            for (int k = 0; k < 3; k++)
                v[k] *= f;
        }
}

/* About normal, deviation 1: four uniform bytes. */
static float grain(uint32_t word)
{
    const int sum = (int)(word & 255) + (int)(word >> 8 & 255) + (int)(word >> 16 & 255) +
                    (int)(word >> 24);
    return (float)(sum - 510) * (1 / 147.8f); /* sqrt(4 (256^2 - 1) / 12) */
}

void vbg_add_grain(vbg_levels *rgb, double sigma, vbg_dice *dice)
{
    const size_t n = (size_t)rgb->w * (size_t)rgb->h;
    const float own = (float)(sigma * 0.7), shared = (float)(sigma * 0.7);

    for (size_t i = 0; i < n; i++) {
        const float all = shared * grain(vbg_dice_word(dice));
        for (size_t k = 0; k < 3; k++)
            rgb->v[3 * i + k] += all + own * grain(vbg_dice_word(dice));
    }
}
