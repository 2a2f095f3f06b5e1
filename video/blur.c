/* Separable filters row by row, and box means by running sums. */
#include "video/blur.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/resize.h"

enum { MAX_TAPS = 2047, MAX_BOX = 4095 };

/* ---- kernels ---- */

void vbg_gauss_kernel(double *w, int n, double sigma)
{
    static const double small[4][7] = {
        { 1 },
        { 0.25, 0.5, 0.25 },
        { 0.0625, 0.25, 0.375, 0.25, 0.0625 },
        { 0.03125, 0.109375, 0.21875, 0.28125, 0.21875, 0.109375, 0.03125 },
    };
    double sum = 0;

    if (sigma <= 0 && n <= 7) {
        memcpy(w, small[n / 2], (size_t)n * sizeof *w);
        return;
    }
    if (sigma <= 0)
        sigma = 0.3 * ((n - 1) * 0.5 - 1) + 0.8;
    for (int i = 0; i < n; i++) {
        double x = i - (n - 1) * 0.5;
        w[i] = exp(-x * x / (2 * sigma * sigma));
        sum += w[i];
    }
    for (int i = 0; i < n; i++)
        w[i] /= sum;
}

int vbg_gauss_length(double sigma, double spread)
{
    return (int)lrint(2 * spread * sigma + 1) | 1;
}

/* ---- separable filter ---- */

/* Where position i of an axis of n is taken from. */
static int border_index(int i, int n, vbg_border border)
{
    int edge = border == VBG_BORDER_REFLECT; /* the end itself is repeated */

    if (border == VBG_BORDER_REPLICATE || n == 1)
        return i < 0 ? 0 : i >= n ? n - 1 : i;
    while (i < 0 || i >= n) /* more than once for windows wider than the picture */
        i = i < 0 ? -i - edge : 2 * (n - 1) + edge - i;
    return i;
}

/* Fills the `radius` pixels left and right of row (w pixels of ch values). */
static void extend_row(float *row, int w, int ch, int radius, vbg_border border)
{
    for (int x = 1; x <= radius; x++)
        for (int c = 0; c < ch; c++) {
            row[-x * ch + c] = row[border_index(-x, w, border) * ch + c];
            row[(w - 1 + x) * ch + c] = row[border_index(w - 1 + x, w, border) * ch + c];
        }
}

/* Either type of picture: exactly one of the pointers is set. */
typedef struct source {
    const vbg_picture *u8;
    const vbg_image *f32;
    int w, h, ch;
} source;

/* Scratch: the result of the vertical pass needs the whole source below, so the
 * output goes to a copy when dst is src; rows of f32 lines otherwise. */
typedef struct work {
    float *line;       /* extended line, of w + 2 radius pixels */
    float *out;        /* one output row */
    const void **rows; /* [taps] */
} work;

static bool work_new(work *k, const source *s, int radius, int taps)
{
    size_t ch = (size_t)s->ch, line = ((size_t)s->w + 2 * (size_t)radius) * ch;

    k->line = vbg_alloc((line + 16) * sizeof *k->line);
    k->out = vbg_alloc(((size_t)s->w * ch + 16) * sizeof *k->out);
    k->rows = malloc((size_t)taps * sizeof *k->rows);
    return k->line && k->out && k->rows;
}

static void work_free(work *k)
{
    vbg_free_mem(k->line);
    vbg_free_mem(k->out);
    free(k->rows);
}

/* Output row y into k->out. */
static void filter_row(const vbg_picture_kernels *f, work *k, const source *s, int y,
                       const float *w, int taps, vbg_border border)
{
    int radius = taps / 2;
    size_t n = (size_t)s->w * (size_t)s->ch;
    float *middle = k->line + (size_t)radius * (size_t)s->ch;

    for (int i = 0; i < taps; i++) {
        int sy = border_index(y + i - radius, s->h, border);
        k->rows[i] = s->u8 ? (const void *)vbg_picture_row(s->u8, sy)
                           : (const void *)vbg_image_row(s->f32, sy);
    }
    if (s->u8)
        f->column_u8(middle, (const uint8_t *const *)k->rows, w, taps, n);
    else
        f->column_f32(middle, (const float *const *)k->rows, w, taps, n);
    extend_row(middle, s->w, s->ch, radius, border);
    f->row_filter(k->out, k->line, w, taps, (size_t)s->ch, n);
}

vbg_status vbg_filter_f32(const vbg_kernels *k, vbg_image *dst, const vbg_image *src,
                          const float *w, int taps, vbg_border border, vbg_err *err)
{
    source s = { .f32 = src, .w = src->w, .h = src->h, .ch = src->channels };
    vbg_image copy = { .data = NULL };
    work scratch = { .line = NULL };
    vbg_status st = VBG_OK;

    VBG_CHECK(dst->w == src->w && dst->h == src->h && dst->channels == src->channels,
              "filter %dx%d into %dx%d", src->w, src->h, dst->w, dst->h);
    if (dst->data == src->data) {
        st = vbg_image_new(&copy, s.w, s.h, s.ch, err);
        if (st != VBG_OK)
            return st;
        for (int y = 0; y < s.h; y++)
            memcpy(vbg_image_row(&copy, y), vbg_image_row(src, y),
                   (size_t)s.w * (size_t)s.ch * sizeof(float));
        s.f32 = &copy;
    }
    if (work_new(&scratch, &s, taps / 2, taps))
        for (int y = 0; y < s.h; y++) {
            filter_row(&k->picture, &scratch, &s, y, w, taps, border);
            memcpy(vbg_image_row(dst, y), scratch.out,
                   (size_t)s.w * (size_t)s.ch * sizeof(float));
        }
    else
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory to filter %dx%d", s.w, s.h);
    work_free(&scratch);
    vbg_image_free(&copy);
    return st;
}

vbg_status vbg_filter_u8(const vbg_kernels *k, vbg_picture *dst, const vbg_picture *src,
                         const float *w, int taps, vbg_border border, vbg_err *err)
{
    source s = { .u8 = src, .w = src->w, .h = src->h, .ch = src->channels };
    vbg_picture copy = { .data = NULL };
    work scratch = { .line = NULL };
    size_t n = (size_t)s.w * (size_t)s.ch;
    vbg_status st = VBG_OK;

    VBG_CHECK(dst->w == src->w && dst->h == src->h && dst->channels == src->channels,
              "filter %dx%d into %dx%d", src->w, src->h, dst->w, dst->h);
    if (dst->data == src->data) {
        st = vbg_picture_new(&copy, s.w, s.h, s.ch, err);
        if (st != VBG_OK)
            return st;
        for (int y = 0; y < s.h; y++)
            memcpy(vbg_picture_row(&copy, y), vbg_picture_row(src, y), n);
        s.u8 = &copy;
    }
    if (work_new(&scratch, &s, taps / 2, taps))
        for (int y = 0; y < s.h; y++) {
            filter_row(&k->picture, &scratch, &s, y, w, taps, border);
            k->picture.to_u8(vbg_picture_row(dst, y), scratch.out, n);
        }
    else
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory to filter %dx%d", s.w, s.h);
    work_free(&scratch);
    vbg_picture_free(&copy);
    return st;
}

/* ---- Gaussian ---- */

/* Checks and completes taps and sigma, fills w; VBG_EUSAGE. */
static vbg_status gauss_weights(float w[MAX_TAPS], int *taps, double sigma, double spread,
                                vbg_err *err)
{
    double exact[MAX_TAPS];

    if (*taps == 0 && sigma > 0 && sigma <= 200)
        *taps = vbg_gauss_length(sigma, spread);
    if (*taps < 1 || *taps > MAX_TAPS || *taps % 2 == 0)
        return vbg_fail(err, VBG_EUSAGE, "Gaussian of %d taps, sigma %g", *taps, sigma);
    vbg_gauss_kernel(exact, *taps, sigma);
    for (int i = 0; i < *taps; i++)
        w[i] = (float)exact[i];
    return VBG_OK;
}

vbg_status vbg_gauss_f32(const vbg_kernels *k, vbg_image *dst, const vbg_image *src,
                         int taps, double sigma, vbg_err *err)
{
    float w[MAX_TAPS];
    vbg_status st = gauss_weights(w, &taps, sigma, 4, err);

    if (st != VBG_OK)
        return st;
    return vbg_filter_f32(k, dst, src, w, taps, VBG_BORDER_REFLECT_101, err);
}

vbg_status vbg_gauss_u8(const vbg_kernels *k, vbg_picture *dst, const vbg_picture *src,
                        int taps, double sigma, vbg_err *err)
{
    float w[MAX_TAPS];
    vbg_status st = gauss_weights(w, &taps, sigma, 3, err);

    if (st != VBG_OK)
        return st;
    return vbg_filter_u8(k, dst, src, w, taps, VBG_BORDER_REFLECT_101, err);
}

/* ---- wide blurs of every frame ---- */

struct vbg_blurrer {
    vbg_resizer *down, *up;
    vbg_image small, blurred;
    float weight[MAX_TAPS];
    int taps;
    work scratch;
};

vbg_status vbg_blurrer_new(vbg_blurrer **out, int w, int h, int channels, double sigma,
                           vbg_err *err)
{
    int scale = 1;

    if (!(sigma >= 0.5 && sigma <= 200))
        return vbg_fail(err, VBG_EUSAGE, "blur of %g pixels (0.5 to 200)", sigma);
    while (sigma / scale > 4 && 2 * scale <= w && 2 * scale <= h)
        scale *= 2;
    /* Shrinking by means and widening by triangles blur too: scale^2/12 + scale^2/6 */
    double own = scale > 1 ? 0.25 * scale * scale : 0;
    double left = sqrt(sigma * sigma - own) / scale;
    int sw = (w + scale - 1) / scale, sh = (h + scale - 1) / scale;
    vbg_blurrer *b = calloc(1, sizeof *b);
    if (!b)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory to blur %dx%d", w, h);
    vbg_status st = gauss_weights(b->weight, &b->taps, left, 3, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&b->down, w, h, sw, sh, channels, VBG_INTERP_AREA, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&b->up, sw, sh, w, h, channels, VBG_INTERP_LINEAR, err);
    if (st == VBG_OK)
        st = vbg_image_new(&b->small, sw, sh, channels, err);
    if (st == VBG_OK)
        st = vbg_image_new(&b->blurred, sw, sh, channels, err);
    const source s = { .f32 = &b->small, .w = sw, .h = sh, .ch = channels };
    if (st == VBG_OK && !work_new(&b->scratch, &s, b->taps / 2, b->taps))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory to blur %dx%d", w, h);
    if (st == VBG_OK)
        *out = b;
    else
        vbg_blurrer_free(b);
    return st;
}

void vbg_blurrer_free(vbg_blurrer *b)
{
    if (!b)
        return;
    vbg_resizer_free(b->down);
    vbg_resizer_free(b->up);
    vbg_image_free(&b->small);
    vbg_image_free(&b->blurred);
    work_free(&b->scratch);
    free(b);
}

void vbg_blurrer_run(vbg_blurrer *b, const vbg_kernels *k, vbg_picture *dst,
                     const vbg_picture *src)
{
    const vbg_image *small = &b->small;
    const source s = {
        .f32 = small, .w = small->w, .h = small->h, .ch = small->channels
    };

    vbg_resizer_u8_f32(b->down, k, &b->small, src);
    for (int y = 0; y < s.h; y++) {
        filter_row(&k->picture, &b->scratch, &s, y, b->weight, b->taps,
                   VBG_BORDER_REFLECT);
        memcpy(vbg_image_row(&b->blurred, y), b->scratch.out,
               (size_t)s.w * (size_t)s.ch * sizeof(float));
    }
    vbg_resizer_f32_u8(b->up, k, dst, &b->blurred);
}

/* ---- box ---- */

/* sums[x*ch + c] += sign * row */
static void add_row(int32_t *sums, const uint8_t *row, size_t n, int sign)
{
    for (size_t i = 0; i < n; i++)
        sums[i] += sign * row[i];
}

/* Running sums along one line of column sums: out[x] = window around x. */
static void box_line(int64_t *out, const int32_t *sums, int w, int ch, int size)
{
    const vbg_border reflect = VBG_BORDER_REFLECT_101;
    int before = size / 2;

    for (int c = 0; c < ch; c++) {
        int64_t s = 0;
        for (int x = -before; x < size - before; x++)
            s += sums[border_index(x, w, reflect) * ch + c];
        for (int x = 0; x < w; x++) {
            out[x * ch + c] = s;
            s += sums[border_index(x + size - before, w, reflect) * ch + c];
            s -= sums[border_index(x - before, w, reflect) * ch + c];
        }
    }
}

/* Both outputs: exactly one of u8 and f32 is set. */
static vbg_status box(vbg_picture *u8, vbg_image *f32, const vbg_picture *src, int size,
                      vbg_err *err)
{
    size_t n = (size_t)src->w * (size_t)src->channels;
    double area = (double)size * size;
    int before = size / 2;

    if (size < 1 || size > MAX_BOX)
        return vbg_fail(err, VBG_EUSAGE, "box of %d pixels", size);
    int32_t *sums = calloc(n, sizeof *sums);
    int64_t *line = malloc(n * sizeof *line);
    uint8_t *copy = malloc(n * (size_t)src->h); /* dst may be src */
    if (!sums || !line || !copy) {
        free(sums);
        free(line);
        free(copy);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory to blur %dx%d", src->w,
                        src->h);
    }
    for (int y = 0; y < src->h; y++)
        memcpy(copy + (size_t)y * n, vbg_picture_row(src, y), n);
    for (int y = -before; y < size - before; y++)
        add_row(sums, copy + (size_t)border_index(y, src->h, VBG_BORDER_REFLECT_101) * n,
                n, 1);
    for (int y = 0; y < src->h; y++) {
        box_line(line, sums, src->w, src->channels, size);
        for (size_t i = 0; i < n; i++) {
            double v = (double)line[i] / area;
            if (u8)
                vbg_picture_row(u8, y)[i] = (uint8_t)lrint(v);
            else
                vbg_image_row(f32, y)[i] = (float)v;
        }
        int in = border_index(y + size - before, src->h, VBG_BORDER_REFLECT_101);
        int out = border_index(y - before, src->h, VBG_BORDER_REFLECT_101);
        add_row(sums, copy + (size_t)in * n, n, 1);
        add_row(sums, copy + (size_t)out * n, n, -1);
    }
    free(sums);
    free(line);
    free(copy);
    return VBG_OK;
}

vbg_status vbg_box_u8(vbg_picture *dst, const vbg_picture *src, int size, vbg_err *err)
{
    return box(dst, NULL, src, size, err);
}

vbg_status vbg_box_u8_f32(vbg_image *dst, const vbg_picture *src, int size, vbg_err *err)
{
    return box(NULL, dst, src, size, err);
}
