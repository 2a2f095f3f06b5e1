/* Windows of a maximum by doubling: after step k each value covers 2^k neighbours, a
 * last overlapping step reaches any length.  Erosion is dilation of the complement. */
#include "video/morphology.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SIZE = 1023, MAX_TIMES = 64 };

/* a[i] = max(a[i], a[i + step]) for i < n; a ascends, so one array is enough. */
static void max_step(uint8_t *a, size_t step, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        a[i] = a[i] > a[i + step] ? a[i] : a[i + step];
}

/* a[i] = max of a[i .. i + size - 1] in units of `unit` bytes (1 along a row, the
 * row's length down the columns); n + (size - 1) * unit bytes are readable. */
static void running_max(uint8_t *a, size_t size, size_t unit, size_t n)
{
    size_t have = 1, tail = (size - 1) * unit;

    while (2 * have <= size) {
        tail -= have * unit;
        max_step(a, have * unit, n + tail);
        have *= 2;
    }
    if (have < size)
        max_step(a, (size - have) * unit, n);
}

static void dilate_rect(vbg_picture *p, uint8_t *pad, int size, int anchor)
{
    size_t w = (size_t)p->w, h = (size_t)p->h, s = (size_t)size, a = (size_t)anchor;

    for (int y = 0; y < p->h; y++) {
        memset(pad, 0, w + s);
        memcpy(pad + a, vbg_picture_row(p, y), w);
        running_max(pad, s, 1, w);
        memcpy(vbg_picture_row(p, y), pad, w);
    }
    memset(pad, 0, w * (h + s));
    for (int y = 0; y < p->h; y++)
        memcpy(pad + ((size_t)y + a) * w, vbg_picture_row(p, y), w);
    running_max(pad, s, w, w * h);
    for (int y = 0; y < p->h; y++)
        memcpy(vbg_picture_row(p, y), pad + (size_t)y * w, w);
}

/* First and last column of row i of the ellipse; false: the row is empty. */
static bool ellipse_row(int size, int i, int *from, int *to)
{
    int r = size / 2, c = size / 2, dy = i - r;

    if (abs(dy) > r)
        return false;
    double inv = r ? 1.0 / ((double)r * r) : 0;
    int dx = (int)lrint(c * sqrt((double)(r * r - dy * dy) * inv));
    *from = vbg_max_int(c - dx, 0);
    *to = vbg_min_int(c + dx + 1, size);
    return *to > *from;
}

void vbg_ellipse(uint8_t *element, int size)
{
    memset(element, 0, (size_t)size * (size_t)size);
    for (int i = 0; i < size; i++) {
        int from, to;
        if (ellipse_row(size, i, &from, &to))
            memset(element + i * size + from, 1, (size_t)(to - from));
    }
}

/* pad: room for w + size bytes and a copy of the picture. */
static void dilate_ellipse(vbg_picture *p, uint8_t *pad, int size)
{
    size_t w = (size_t)p->w, s = (size_t)size;
    uint8_t *copy = pad + w + s;
    int anchor = size / 2;

    for (int y = 0; y < p->h; y++) {
        memcpy(copy + (size_t)y * w, vbg_picture_row(p, y), w);
        memset(vbg_picture_row(p, y), 0, w);
    }
    for (int i = 0; i < size; i++) {
        int from, to;
        if (!ellipse_row(size, i, &from, &to))
            continue;
        for (int y = 0; y < p->h; y++) {
            int sy = y + i - anchor;
            if (sy < 0 || sy >= p->h)
                continue;
            memset(pad, 0, w + s);
            memcpy(pad + anchor, copy + (size_t)sy * w, w);
            running_max(pad + from, (size_t)(to - from), 1, w);
            uint8_t *d = vbg_picture_row(p, y);
            for (size_t x = 0; x < w; x++)
                d[x] = d[x] > pad[(size_t)from + x] ? d[x] : pad[(size_t)from + x];
        }
    }
}

static void invert(vbg_picture *p)
{
    for (int y = 0; y < p->h; y++) {
        uint8_t *row = vbg_picture_row(p, y);
        for (int x = 0; x < p->w; x++)
            row[x] = (uint8_t)~row[x];
    }
}

static void one_pass(vbg_picture *p, uint8_t *pad, bool erode, vbg_shape shape, int size,
                     int times)
{
    if (erode)
        invert(p);
    if (shape == VBG_SHAPE_RECT) /* repeated squares are one larger square */
        dilate_rect(p, pad, size + (times - 1) * (size - 1), size / 2 * times);
    else
        for (int i = 0; i < times; i++)
            dilate_ellipse(p, pad, size);
    if (erode)
        invert(p);
}

vbg_status vbg_morphology(vbg_picture *dst, const vbg_picture *src, vbg_morph op,
                          vbg_shape shape, int size, int times, vbg_err *err)
{
    VBG_CHECK(src->channels == 1 && dst->channels == 1 && dst->w == src->w &&
                  dst->h == src->h,
              "morphology of %dx%dx%d", src->w, src->h, src->channels);
    if (size < 1 || size > MAX_SIZE || times < 1 || times > MAX_TIMES)
        return vbg_fail(err, VBG_EUSAGE, "morphology with size %d, %d times", size,
                        times);
    size_t reach = (size_t)size * (size_t)times, w = (size_t)src->w;
    uint8_t *pad = malloc((w + reach) * 2 + w * ((size_t)src->h + reach));
    if (!pad)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a mask of %dx%d", src->w,
                        src->h);
    for (int y = 0; dst->data != src->data && y < src->h; y++)
        memcpy(vbg_picture_row(dst, y), vbg_picture_row(src, y), w);
    bool erode_first = op == VBG_ERODE || op == VBG_OPEN;
    one_pass(dst, pad, erode_first, shape, size, times);
    if (op == VBG_OPEN || op == VBG_CLOSE)
        one_pass(dst, pad, !erode_first, shape, size, times);
    free(pad);
    return VBG_OK;
}

/* ---- distances ---- */

/* Lower envelope of the parabolas f[q] + (x - q)^2 at every x of n; v, z: n+1 each. */
static void envelope(double *out, const double *f, int *v, double *z, int n)
{
    int k = -1;

    for (int q = 0; q < n; q++) {
        if (isinf(f[q]))
            continue;
        double cut = -INFINITY;
        while (k >= 0) {
            int p = v[k];
            cut = ((f[q] + (double)q * q) - (f[p] + (double)p * p)) / (2.0 * (q - p));
            if (cut > z[k])
                break;
            k--;
        }
        k++;
        v[k] = q;
        z[k] = k == 0 ? -INFINITY : cut;
        z[k + 1] = INFINITY;
    }
    for (int x = 0, i = 0; x < n; x++) {
        while (k >= 0 && z[i + 1] < x)
            i++;
        out[x] = k < 0 ? INFINITY : f[v[i]] + (double)(x - v[i]) * (x - v[i]);
    }
}

vbg_status vbg_distance(vbg_image *dst, const vbg_picture *src, vbg_err *err)
{
    size_t w = (size_t)src->w, h = (size_t)src->h, longest = w > h ? w : h;
    double *square = malloc(w * h * sizeof *square);
    double *line = malloc((3 * longest + 2) * sizeof *line);
    int *v = malloc((longest + 1) * sizeof *v);

    if (!square || !line || !v) {
        free(square);
        free(line);
        free(v);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a mask of %dx%d", src->w,
                        src->h);
    }
    double *out = line + longest, *z = out + longest;
    for (size_t x = 0; x < w; x++) {
        for (size_t y = 0; y < h; y++)
            line[y] = vbg_picture_row(src, (int)y)[x] ? INFINITY : 0;
        envelope(out, line, v, z, src->h);
        for (size_t y = 0; y < h; y++)
            square[y * w + x] = out[y];
    }
    for (size_t y = 0; y < h; y++) {
        envelope(out, square + y * w, v, z, src->w);
        for (size_t x = 0; x < w; x++)
            vbg_image_row(dst, (int)y)[x] = (float)sqrt(out[x]);
    }
    free(square);
    free(line);
    free(v);
    return VBG_OK;
}

/* ---- components ---- */

static int32_t root_of(int32_t *parent, int32_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

/* First pass: provisional labels from the four neighbours already seen. */
static int32_t provisional(int32_t *labels, int32_t *parent, const vbg_picture *src)
{
    int32_t next = 1;
    int w = src->w;

    for (int y = 0; y < src->h; y++) {
        const uint8_t *row = vbg_picture_row(src, y);
        int32_t *l = labels + (size_t)y * (size_t)w;
        for (int x = 0; x < w; x++) {
            int32_t best = 0;
            l[x] = 0;
            if (!row[x])
                continue;
            for (int d = 0; d < 4; d++) {
                int nx = d < 3 ? x + d - 1 : x - 1, up = d < 3;
                if (nx < 0 || nx >= w || (up && y == 0))
                    continue;
                int32_t other = up ? l[nx - w] : l[nx];
                if (!other)
                    continue;
                other = root_of(parent, other);
                if (best && other != best) {
                    int32_t low = best < other ? best : other;
                    parent[best < other ? other : best] = low;
                    best = low;
                } else {
                    best = other;
                }
            }
            if (!best) {
                best = next++;
                parent[best] = best;
            }
            l[x] = best;
        }
    }
    return next;
}

/* Parents (always the smaller label) become dense numbers; returns their count + 1. */
static int renumber(int32_t *parent, int32_t used)
{
    int32_t count = 1;

    for (int32_t i = 1; i < used; i++)
        parent[i] = parent[i] == i ? count++ : parent[parent[i]];
    return count;
}

static void measure(vbg_component *s, int32_t *labels, const int32_t *number, int w,
                    int h)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int32_t *l = &labels[(size_t)y * (size_t)w + (size_t)x];
            *l = *l ? number[*l] : 0;
            vbg_component *c = &s[*l]; /* w and h hold the last column and row so far */
            if (c->area++ == 0)
                *c = (vbg_component){ x, y, x, y, 1 };
            c->x = vbg_min_int(c->x, x);
            c->w = vbg_max_int(c->w, x);
            c->h = y;
        }
}

vbg_status vbg_components(int32_t *labels, vbg_component **stats, int *count,
                          const vbg_picture *src, vbg_err *err)
{
    /* No two new labels touch: at most one per 2x2 block. */
    size_t most = ((size_t)src->w + 1) / 2 * (((size_t)src->h + 1) / 2) + 1;
    int32_t *parent = malloc(most * sizeof *parent);

    if (!parent)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a mask of %dx%d", src->w,
                        src->h);
    parent[0] = 0;
    int n = renumber(parent, provisional(labels, parent, src));
    vbg_component *s = calloc((size_t)n, sizeof *s);
    if (!s) {
        free(parent);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for %d components", n);
    }
    measure(s, labels, parent, src->w, src->h);
    for (int i = 0; i < n; i++)
        if (s[i].area) {
            s[i].w -= s[i].x - 1;
            s[i].h -= s[i].y - 1;
        }
    free(parent);
    *stats = s;
    *count = n;
    return VBG_OK;
}

/* Sets the components of mask that are smaller than min_area to 0. */
static vbg_status drop_small(vbg_picture *mask, int32_t *labels, int64_t min_area,
                             vbg_err *err)
{
    vbg_component *s;
    int count;
    vbg_status st = vbg_components(labels, &s, &count, mask, err);

    if (st != VBG_OK)
        return st;
    for (int y = 0; y < mask->h; y++)
        for (int x = 0; x < mask->w; x++)
            if (s[labels[(size_t)y * (size_t)mask->w + (size_t)x]].area < min_area)
                vbg_picture_row(mask, y)[x] = 0;
    free(s);
    return VBG_OK;
}

vbg_status vbg_mask_clean(vbg_picture *mask, int64_t min_area, vbg_err *err)
{
    int32_t *labels = malloc((size_t)mask->w * (size_t)mask->h * sizeof *labels);

    if (!labels)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a mask of %dx%d", mask->w,
                        mask->h);
    vbg_status st = drop_small(mask, labels, min_area, err);
    if (st == VBG_OK) {
        invert(mask);
        st = drop_small(mask, labels, min_area, err);
        invert(mask);
    }
    free(labels);
    return st;
}
