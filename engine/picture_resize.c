/* Separable resampling; the weights of each output position are computed once. */
#include "engine/picture_resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 22 }; /* 8 value bits + sign and overshoot leave 22 in an int32 */

/* One axis: output i is the sum of count[i] inputs from first[i] on. */
typedef struct axis {
    int taps; /* room per output */
    int *first, *count;
    int32_t *weight; /* [n][taps], sum 2^BITS */
} axis;

static double sinc(double x)
{
    const double pi = 3.14159265358979323846;

    return x == 0.0 ? 1.0 : sin(pi * x) / (pi * x);
}

static double value(vbg_filter f, double x)
{
    const double pi = 3.14159265358979323846, a = -0.5;

    if (f == VBG_FILTER_BOX)
        return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
    x = fabs(x);
    switch (f) {
    case VBG_FILTER_BILINEAR:
        return x < 1.0 ? 1.0 - x : 0.0;
    case VBG_FILTER_HAMMING:
        return x < 1.0 ? sinc(x) * (0.54 + 0.46 * cos(pi * x)) : 0.0;
    case VBG_FILTER_BICUBIC:
        if (x < 1.0)
            return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
        return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
    default:
        return x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
    }
}

static double support(vbg_filter f)
{
    switch (f) {
    case VBG_FILTER_BOX:
        return 0.5;
    case VBG_FILTER_BICUBIC:
        return 2.0;
    case VBG_FILTER_LANCZOS:
        return 3.0;
    default:
        return 1.0;
    }
}

static void axis_free(axis *a)
{
    free(a->first);
    free(a->count);
    free(a->weight);
}

/* Weights of output i from the filter centred at (i + 0.5) * in/out. */
static void fill_weights(axis *a, int i, int in, double scale, double reach, vbg_filter f)
{
    double stretch = scale > 1.0 ? scale : 1.0;
    double centre = ((double)i + 0.5) * scale, sum = 0;
    int from = (int)(centre - reach + 0.5), to = (int)(centre + reach + 0.5);

    from = from < 0 ? 0 : from;
    to = to > in ? in : to;
    int n = to - from;
    int32_t *w = a->weight + (size_t)i * (size_t)a->taps;
    for (int k = 0; k < n; k++)
        sum += value(f, ((double)(k + from) - centre + 0.5) / stretch);
    for (int k = 0; k < n; k++) {
        double v = value(f, ((double)(k + from) - centre + 0.5) / stretch);
        v = sum != 0.0 ? v / sum : v;
        w[k] = (int32_t)lround(v * (1 << BITS));
    }
    a->first[i] = from;
    a->count[i] = n;
}

static bool axis_new(axis *a, int in, int out, vbg_filter f)
{
    double scale = (double)in / (double)out;
    double reach = support(f) * (scale > 1.0 ? scale : 1.0);

    *a = (axis){ .taps = (int)ceil(reach) * 2 + 1 };
    a->first = calloc((size_t)out, sizeof *a->first);
    a->count = calloc((size_t)out, sizeof *a->count);
    a->weight = calloc((size_t)out * (size_t)a->taps, sizeof *a->weight);
    if (!a->first || !a->count || !a->weight)
        return false;
    for (int i = 0; i < out; i++)
        fill_weights(a, i, in, scale, reach, f);
    return true;
}

static uint8_t clip8(int32_t sum)
{
    int32_t v = sum >> BITS;

    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void row_pass(uint8_t *dst, const uint8_t *src, const axis *a, int out, int ch)
{
    for (int i = 0; i < out; i++) {
        const int32_t *w = a->weight + (size_t)i * (size_t)a->taps;
        const uint8_t *s = src + (size_t)a->first[i] * (size_t)ch;
        for (int k = 0; k < ch; k++) {
            int32_t sum = 1 << (BITS - 1);
            for (int j = 0; j < a->count[i]; j++)
                sum += w[j] * s[j * ch + k];
            *dst++ = clip8(sum);
        }
    }
}

/* One output row as a weighted sum of whole rows. */
static void column_pass(uint8_t *dst, int32_t *sum, const uint8_t *src, size_t stride,
                        const int32_t *w, int count, size_t n)
{
    for (size_t x = 0; x < n; x++)
        sum[x] = 1 << (BITS - 1);
    for (int j = 0; j < count; j++, src += stride)
        for (size_t x = 0; x < n; x++)
            sum[x] += w[j] * src[x];
    for (size_t x = 0; x < n; x++)
        dst[x] = clip8(sum[x]);
}

static void nearest(vbg_picture *dst, const vbg_picture *src)
{
    size_t ch = (size_t)src->channels;

    /* Pillow walks: half a step, then whole steps, added up in double. */
    double down = 0.5 * ((double)src->h / dst->h);
    for (int y = 0; y < dst->h; y++, down += (double)src->h / dst->h) {
        int sy = (int)down;
        uint8_t *d = dst->data + (size_t)y * dst->stride;
        const uint8_t *s = src->data + (size_t)vbg_min_int(sy, src->h - 1) * src->stride;
        double at = 0.5 * ((double)src->w / dst->w);
        for (int x = 0; x < dst->w; x++, at += (double)src->w / dst->w)
            memcpy(d + (size_t)x * ch, s + (size_t)vbg_min_int((int)at, src->w - 1) * ch,
                   ch);
    }
}

vbg_status vbg_picture_resample(vbg_picture *dst, const vbg_picture *src,
                                vbg_filter filter, vbg_err *err)
{
    axis ax = { .taps = 0 }, ay = { .taps = 0 };
    uint8_t *middle = NULL;
    int32_t *sum = NULL;
    vbg_status st = VBG_OK;
    int ch = src->channels;
    size_t row = (size_t)dst->w * (size_t)ch;

    if (dst->channels != ch)
        return vbg_fail(err, VBG_EUSAGE, "resample: %d channels from %d", dst->channels,
                        ch);
    if (filter == VBG_FILTER_NEAREST) {
        nearest(dst, src);
        return VBG_OK;
    }
    middle = malloc(row * (size_t)src->h);
    sum = malloc(row * sizeof *sum);
    if (!middle || !sum || !axis_new(&ax, src->w, dst->w, filter) ||
        !axis_new(&ay, src->h, dst->h, filter)) {
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory to resize to %dx%d", dst->w,
                      dst->h);
        goto done;
    }
    for (int y = 0; y < src->h; y++)
        row_pass(middle + (size_t)y * row, src->data + (size_t)y * src->stride, &ax,
                 dst->w, ch);
    for (int y = 0; y < dst->h; y++)
        column_pass(dst->data + (size_t)y * dst->stride, sum,
                    middle + (size_t)ay.first[y] * row, row,
                    ay.weight + (size_t)y * (size_t)ay.taps, ay.count[y], row);
done:
    axis_free(&ax);
    axis_free(&ay);
    free(middle);
    free(sum);
    return st;
}
