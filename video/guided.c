/* The exact filter with running sums in double, and the fast one on SIMD rows. */
#include "video/guided.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/frame.h"
#include "video/resize.h"

/* ---- exact ---- */

/* Mean over the window of `radius`, clipped at the border; line: w doubles. */
static void box_mean(double *dst, const double *src, double *line, int w, int h, int r)
{
    size_t sw = (size_t)w;

    memset(line, 0, sw * sizeof *line);
    for (int y = 0; y < vbg_min_int(r, h); y++)
        for (size_t x = 0; x < sw; x++)
            line[x] += src[(size_t)y * sw + x];
    for (int y = 0; y < h; y++) {
        if (y + r < h)
            for (size_t x = 0; x < sw; x++)
                line[x] += src[(size_t)(y + r) * sw + x];
        if (y - r - 1 >= 0)
            for (size_t x = 0; x < sw; x++)
                line[x] -= src[(size_t)(y - r - 1) * sw + x];
        int rows = vbg_min_int(y + r, h - 1) - vbg_max_int(y - r, 0) + 1;
        double sum = 0;
        for (int x = 0; x < vbg_min_int(r, w); x++)
            sum += line[x];
        for (int x = 0; x < w; x++) {
            if (x + r < w)
                sum += line[x + r];
            if (x - r - 1 >= 0)
                sum -= line[x - r - 1];
            int columns = vbg_min_int(x + r, w - 1) - vbg_max_int(x - r, 0) + 1;
            dst[(size_t)y * sw + (size_t)x] = sum / ((double)rows * columns);
        }
    }
}

vbg_status vbg_guided_filter(vbg_image *dst, const vbg_image *guide, const vbg_image *p,
                             int radius, double eps, vbg_err *err)
{
    int w = p->w, h = p->h;
    size_t n = (size_t)w * (size_t)h;

    VBG_CHECK(guide->w == w && guide->h == h && dst->w == w && dst->h == h &&
                  guide->channels == 1 && p->channels == 1 && radius >= 0,
              "guided filter of %dx%d by %dx%d", w, h, guide->w, guide->h);
    double *plane[6] = { malloc((6 * n + (size_t)w) * sizeof(double)) };
    if (!plane[0])
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a filter of %dx%d", w, h);
    for (int i = 1; i < 6; i++)
        plane[i] = plane[0] + (size_t)i * n;
    double *i1 = plane[0], *p1 = plane[1], *in = plane[4], *out = plane[5];
    double *line = plane[0] + 6 * n;
    for (int k = 0; k < 4; k++) { /* means of I, p, Ip, II */
        for (size_t y = 0; y < (size_t)h; y++)
            for (size_t x = 0; x < (size_t)w; x++) {
                double a = (double)vbg_image_row(guide, (int)y)[x];
                double b = (double)vbg_image_row(p, (int)y)[x];
                const double v[4] = { a, b, a * b, a * a };
                in[y * (size_t)w + x] = v[k];
            }
        box_mean(plane[k], in, line, w, h, radius);
    }
    for (size_t i = 0; i < n; i++) {
        double a = (plane[2][i] - i1[i] * p1[i]) / (plane[3][i] - i1[i] * i1[i] + eps);
        in[i] = a;
        p1[i] -= a * i1[i];
    }
    box_mean(out, in, line, w, h, radius);
    box_mean(in, p1, line, w, h, radius);
    for (size_t y = 0; y < (size_t)h; y++)
        for (size_t x = 0; x < (size_t)w; x++)
            vbg_image_row(dst, (int)y)[x] =
                (float)(out[y * (size_t)w + x] * (double)vbg_image_row(guide, (int)y)[x] +
                        in[y * (size_t)w + x]);
    free(plane[0]);
    return VBG_OK;
}

/* ---- fast ---- */

enum {
    MAX_RADIUS = 64,
    PLANES = 6,
    TILE = 16, /* small pixels, both ways */
    MAX_SCALE = 8
};

typedef enum tile { NOBODY, SOMEBODY, UNEVEN } tile;

struct vbg_refiner {
    int w, h, mask_w, mask_h, small_w, small_h, scale;
    bool tiles; /* scale divides the frame: even parts of the mask are left out */
    int tiles_w, tiles_h;
    uint8_t *tile;
    float *lines; /* a row of each coefficient, one more value on both sides */
    int first[TILE * MAX_SCALE];
    float weight[2 * TILE * MAX_SCALE];
    vbg_resizer *luma_down, *mask_to_small, *widen_a, *widen_b;
    vbg_image plane[PLANES]; /* I, p, Ip, II, and two results */
    vbg_image wide_a, wide_b;
    float *line; /* a padded row */
    const float **rows;
};

/* One value before the row, whole tiles, and what the kernel reads beyond. */
static size_t line_length(const vbg_refiner *r)
{
    return vbg_round_up((size_t)r->small_w + 2 * TILE + 16, 16);
}

/* How a tile's row is widened: pixel x lies between small pixels first[x] - 1 and
 * first[x] of the tile. */
static bool prepare_tiles(vbg_refiner *r)
{
    const int n = TILE * r->scale;

    r->tiles_w = (r->small_w + TILE - 1) / TILE;
    r->tiles_h = (r->small_h + TILE - 1) / TILE;
    r->tile = calloc((size_t)r->tiles_w * (size_t)r->tiles_h, 1);
    r->lines = vbg_alloc(2 * line_length(r) * sizeof *r->lines);
    for (int x = 0; x < n; x++) {
        const float at = ((float)x + 0.5f) / (float)r->scale + 0.5f;
        r->first[x] = (int)at;
        r->weight[x] = 1 - (at - (float)(int)at);
        r->weight[n + x] = at - (float)(int)at;
    }
    return r->tile && r->lines;
}

vbg_status vbg_refiner_new(vbg_refiner **out, int w, int h, int mask_w, int mask_h,
                           int scale, vbg_err *err)
{
    VBG_CHECK(w > 0 && h > 0 && mask_w > 0 && mask_h > 0 && scale >= 1 && scale <= 8,
              "refiner %dx%d from %dx%d, scale %d", w, h, mask_w, mask_h, scale);
    vbg_refiner *r = calloc(1, sizeof *r);
    if (!r)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory to refine masks");
    *r = (vbg_refiner){
        .w = w, .h = h, .mask_w = mask_w, .mask_h = mask_h, .scale = scale
    };
    r->small_w = (w + scale - 1) / scale;
    r->small_h = (h + scale - 1) / scale;
    int sw = r->small_w, sh = r->small_h;
    vbg_status st = vbg_resizer_new(&r->luma_down, w, h, sw, sh, 1, VBG_INTERP_AREA, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&r->mask_to_small, mask_w, mask_h, sw, sh, 1,
                             VBG_INTERP_SMOOTH, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&r->widen_a, sw, sh, w, h, 1, VBG_INTERP_LINEAR, err);
    if (st == VBG_OK)
        st = vbg_resizer_new(&r->widen_b, sw, sh, w, h, 1, VBG_INTERP_LINEAR, err);
    for (int i = 0; i < PLANES && st == VBG_OK; i++)
        st = vbg_image_new(&r->plane[i], sw, sh, 1, err);
    if (st == VBG_OK) {
        r->line = vbg_alloc(((size_t)sw + 2 * MAX_RADIUS + 16) * sizeof *r->line);
        r->rows = calloc(2 * MAX_RADIUS + 1, sizeof *r->rows);
        r->tiles = w % scale == 0 && h % scale == 0;
        if (!r->line || !r->rows || (r->tiles && !prepare_tiles(r)))
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory to refine masks");
    }
    if (st == VBG_OK)
        *out = r;
    else
        vbg_refiner_free(r);
    return st;
}

void vbg_refiner_free(vbg_refiner *r)
{
    if (!r)
        return;
    vbg_resizer_free(r->luma_down);
    vbg_resizer_free(r->mask_to_small);
    vbg_resizer_free(r->widen_a);
    vbg_resizer_free(r->widen_b);
    for (int i = 0; i < PLANES; i++)
        vbg_image_free(&r->plane[i]);
    vbg_free_mem(r->line);
    vbg_free_mem(r->lines);
    free(r->tile);
    free(r->rows);
    free(r);
}

/* dst = clipped mean of src over the window; dst is another plane. */
static void small_mean(vbg_refiner *r, const vbg_picture_kernels *k, vbg_image *dst,
                       const vbg_image *src, int radius)
{
    int w = r->small_w, h = r->small_h;
    float weight[2 * MAX_RADIUS + 1], ones[2 * MAX_RADIUS + 1];
    float *middle = r->line + radius;

    memset(r->line, 0, (size_t)radius * sizeof *r->line);
    memset(middle + w, 0, (size_t)radius * sizeof *r->line);
    for (int i = 0; i <= 2 * radius; i++)
        ones[i] = 1.0f / (float)(2 * radius + 1);
    for (int y = 0; y < h; y++) {
        int from = vbg_max_int(y - radius, 0), to = vbg_min_int(y + radius, h - 1);
        for (int i = from; i <= to; i++) {
            r->rows[i - from] = vbg_image_row(src, i);
            weight[i - from] = 1.0f / (float)(to - from + 1);
        }
        k->column_f32(middle, r->rows, weight, to - from + 1, (size_t)w);
        float *d = vbg_image_row(dst, y);
        k->row_filter(d, r->line, ones, 2 * radius + 1, 1, (size_t)w);
        for (int x = 0; x < w; x++) { /* near the ends fewer columns counted */
            if (x == radius && w - radius > x)
                x = w - radius;
            int columns = vbg_min_int(x + radius, w - 1) - vbg_max_int(x - radius, 0) + 1;
            if (x < w)
                d[x] *= (float)(2 * radius + 1) / (float)columns;
        }
    }
}

static tile kind_of(const vbg_image *p, int x0, int y0)
{
    const int x1 = vbg_min_int(x0 + TILE, p->w), y1 = vbg_min_int(y0 + TILE, p->h);
    int some = 0, none = 0;

    for (int y = y0; y < y1; y++) {
        const float *row = vbg_image_row(p, y);
#pragma omp simd reduction(+ : some, none)
        for (int x = x0; x < x1; x++) {
            none += row[x] < 1e-5f;
            some += row[x] > 1 - 1e-5f;
        }
    }
    const int all = (x1 - x0) * (y1 - y0);
    return none == all ? NOBODY : some == all ? SOMEBODY : UNEVEN;
}

static void find_tiles(vbg_refiner *r, const vbg_image *p)
{
    for (int y = 0; y < r->tiles_h; y++)
        for (int x = 0; x < r->tiles_w; x++)
            r->tile[y * r->tiles_w + x] = (uint8_t)kind_of(p, x * TILE, y * TILE);
}

/* What the tile becomes: of one kind where all within reach of two windows is. */
static tile result_of(const vbg_refiner *r, int tx, int ty, int reach)
{
    const int t = (reach + TILE - 1) / TILE;
    const uint8_t kind = r->tile[ty * r->tiles_w + tx];

    for (int y = vbg_max_int(ty - t, 0); y <= vbg_min_int(ty + t, r->tiles_h - 1); y++)
        for (int x = vbg_max_int(tx - t, 0); x <= vbg_min_int(tx + t, r->tiles_w - 1);
             x++)
            if (r->tile[y * r->tiles_w + x] != kind)
                return UNEVEN;
    return (tile)kind;
}

/* Row y of a coefficient between its small rows, from line[1] on, the ends repeated. */
static void lay_line(const vbg_refiner *r, const vbg_picture_kernels *k, float *line,
                     const vbg_image *p, int y)
{
    const float at = fmaxf(((float)y + 0.5f) / (float)r->scale - 0.5f, 0);
    const int y0 = (int)at;
    const float f = at - (float)y0, weight[2] = { 1 - f, f };
    const float *rows[2] = { vbg_image_row(p, y0),
                             vbg_image_row(p, vbg_min_int(y0 + 1, r->small_h - 1)) };

    k->column_f32(line + 1, rows, weight, 2, (size_t)r->small_w);
    line[0] = line[1];
    for (size_t i = (size_t)r->small_w + 1; i < line_length(r); i++)
        line[i] = line[r->small_w];
}

/* Rows of a row of tiles: even ones filled, the others by their coefficients. */
static void apply_tiles(vbg_refiner *r, const vbg_picture_kernels *k, vbg_picture *alpha,
                        const vbg_picture *luma, int ty, int reach,
                        void (*finish)(uint8_t *alpha, int n))
{
    const int n = TILE * r->scale, y1 = vbg_min_int((ty + 1) * n, r->h);
    float *a = r->lines, *b = r->lines + line_length(r);
    float wide_a[TILE * MAX_SCALE + 16], wide_b[TILE * MAX_SCALE + 16];
    uint8_t kind[VBG_VIDEO_MAX_SIDE / TILE];
    bool any = false;

    for (int x = 0; x < r->tiles_w; x++) {
        kind[x] = (uint8_t)result_of(r, x, ty, reach);
        any |= kind[x] == UNEVEN;
    }
    for (int y = ty * n; y < y1; y++) {
        uint8_t *d = vbg_picture_row(alpha, y);
        if (any) {
            lay_line(r, k, a, &r->plane[1], y);
            lay_line(r, k, b, &r->plane[2], y);
        }
        for (int x = 0; x < r->tiles_w; x++) {
            const int count = vbg_min_int(n, r->w - x * n);
            if (kind[x] != UNEVEN) {
                memset(d + x * n, kind[x] == SOMEBODY ? 255 : 0, (size_t)count);
                continue;
            }
            k->row_taps(wide_a, a + x * TILE, r->first, r->weight, 2, (size_t)n, 1);
            k->row_taps(wide_b, b + x * TILE, r->first, r->weight, 2, (size_t)n, 1);
            k->apply(d + x * n, wide_a, wide_b, vbg_picture_row(luma, y) + x * n,
                     (size_t)count);
            if (finish)
                finish(d + x * n, count);
        }
    }
}

/* Any size: all of every row. */
static void apply_rows(vbg_refiner *r, const vbg_kernels *k, vbg_picture *alpha,
                       const vbg_picture *luma, void (*finish)(uint8_t *alpha, int n))
{
    for (int y = 0; y < r->h; y++) { /* row by row: wide coefficients never leave L1 */
        const float *a = vbg_resizer_row_f32(r->widen_a, k, &r->plane[1], y);
        const float *b = vbg_resizer_row_f32(r->widen_b, k, &r->plane[2], y);
        k->picture.apply(vbg_picture_row(alpha, y), a, b, vbg_picture_row(luma, y),
                         (size_t)r->w);
        if (finish)
            finish(vbg_picture_row(alpha, y), r->w);
    }
}

void vbg_refiner_run(vbg_refiner *r, const vbg_kernels *k, vbg_picture *alpha,
                     const vbg_picture *luma, const vbg_image *mask, int radius,
                     float eps, void (*finish)(uint8_t *alpha, int n))
{
    vbg_image *p = r->plane;
    size_t sw = (size_t)r->small_w;

    VBG_CHECK(luma->channels == 1 && alpha->channels == 1 && mask->channels == 1 &&
                  alpha->w == r->w && alpha->h == r->h && radius >= 1 &&
                  radius <= MAX_RADIUS,
              "refiner of %dx%d given %dx%d, radius %d", r->w, r->h, alpha->w, alpha->h,
              radius);
    vbg_resizer_u8_f32(r->luma_down, k, &p[0], luma);
    vbg_resizer_f32(r->mask_to_small, k, &p[1], mask);
    if (r->tiles)
        find_tiles(r, &p[1]);
    for (int y = 0; y < r->small_h; y++)
        k->picture.products(vbg_image_row(&p[0], y), vbg_image_row(&p[2], y),
                            vbg_image_row(&p[3], y), vbg_image_row(&p[1], y),
                            1.0f / 255.0f, sw);
    /* means wander: II -> 4, Ip -> 3, p -> 2, I -> 1, each into the freed plane */
    small_mean(r, &k->picture, &p[4], &p[3], radius);
    small_mean(r, &k->picture, &p[3], &p[2], radius);
    small_mean(r, &k->picture, &p[2], &p[1], radius);
    small_mean(r, &k->picture, &p[1], &p[0], radius);
    for (int y = 0; y < r->small_h; y++)
        k->picture.guided(vbg_image_row(&p[0], y), vbg_image_row(&p[5], y),
                          vbg_image_row(&p[1], y), vbg_image_row(&p[2], y),
                          vbg_image_row(&p[3], y), vbg_image_row(&p[4], y), eps, sw);
    small_mean(r, &k->picture, &p[1], &p[0], radius);
    small_mean(r, &k->picture, &p[2], &p[5], radius);
    for (int ty = 0; ty < r->tiles_h; ty++)
        apply_tiles(r, &k->picture, alpha, luma, ty, 2 * radius + 1, finish);
    if (!r->tiles)
        apply_rows(r, k, alpha, luma, finish);
}
