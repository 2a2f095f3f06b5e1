/* Corner detection.  The box sums run down the picture as exact integers: the products
 * of the row that enters are added, those of the row that leaves are taken away. */
#include "video/corners.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 64 /* columns around the running sums */ };

typedef struct candidate {
    float value;
    int at; /* y * w + x */
} candidate;

struct vbg_corners {
    int w, h;
    float *response;
    int32_t *sum[3];  /* running column sums, SIDE columns on either side  */
    candidate *list;  /* local maxima, and as much scratch for sorting     */
    uint8_t *peak;    /* one row of local maxima */
    int *cell, *next; /* grid: first point of a cell, next of the same one */
    int cap;          /* of list and next                                  */
};

vbg_status vbg_corners_new(vbg_corners **out, int w, int h, vbg_err *err)
{
    vbg_corners *c = calloc(1, sizeof *c);
    const size_t pixels = (size_t)w * (size_t)h;
    bool ok = c != NULL;

    if (c) {
        c->w = w;
        c->h = h;
        c->cap = (int)(pixels / 4 + 16); /* local maxima of 3x3 are at most a quarter */
        c->response = vbg_alloc(pixels * sizeof(float));
        for (int i = 0; i < 3; i++) {
            c->sum[i] = vbg_alloc(((size_t)w + 2 * SIDE) * sizeof(int32_t));
            ok = ok && c->sum[i];
        }
        c->list = vbg_alloc(2 * (size_t)c->cap * sizeof *c->list);
        c->peak = vbg_alloc((size_t)w + 64);
        c->next = vbg_alloc((size_t)c->cap * sizeof *c->next);
        c->cell = vbg_alloc(pixels * sizeof *c->cell);
        ok = ok && c->response && c->list && c->peak && c->next && c->cell;
    }
    if (!ok) {
        vbg_corners_free(c);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory to find corners in %dx%d", w,
                        h);
    }
    *out = c;
    return VBG_OK;
}

void vbg_corners_free(vbg_corners *c)
{
    if (!c)
        return;
    vbg_free_mem(c->response);
    for (int i = 0; i < 3; i++)
        vbg_free_mem(c->sum[i]);
    vbg_free_mem(c->list);
    vbg_free_mem(c->peak);
    vbg_free_mem(c->next);
    vbg_free_mem(c->cell);
    free(c);
}

/* Adds or removes the products of picture row y (mirrored when outside). */
static void change_row(int32_t *const sum[3], const vbg_lk_kernels *k,
                       const vbg_plane *im, int y, int sign)
{
    const uint8_t *b = im->data + (size_t)vbg_reflect(y, im->h) * im->stride;
    const uint8_t *rows[3] = { b - im->stride, b, b + im->stride };

    k->corner_row(sum, rows, im->w, sign);
}

const float *vbg_corners_response(vbg_corners *c, vbg_ctx *ctx, const vbg_plane *im,
                                  const vbg_corner_opt *opt)
{
    const vbg_lk_kernels *k = &vbg_ctx_kernels(ctx)->lk;
    const int w = im->w, half = opt->block / 2, low = opt->block - half - 1;
    const float s = 1.0f / (4.0f * 255.0f * (float)opt->block);
    int32_t *sum[3];

    VBG_CHECK(w <= c->w && im->h <= c->h, "corners: %dx%d in a workspace of %dx%d", w,
              im->h, c->w, c->h);
    VBG_CHECK(opt->block >= 1 && opt->block <= VBG_CORNER_BLOCK_MAX, "corners: block %d",
              opt->block);
    for (int t = 0; t < 3; t++) {
        sum[t] = c->sum[t] + SIDE;
        memset(c->sum[t], 0, ((size_t)w + 2 * SIDE) * sizeof(int32_t));
    }
    for (int y = -half; y < low; y++)
        change_row(sum, k, im, y, 1);
    for (int y = 0; y < im->h; y++) {
        change_row(sum, k, im, y + low, 1);
        for (int t = 0; t < 3; t++)
            for (int i = 1; i <= half; i++) {
                sum[t][-i] = sum[t][vbg_reflect(-i, w)];
                sum[t][w - 1 + i] = sum[t][vbg_reflect(w - 1 + i, w)];
            }
        k->corner_response(c->response + (size_t)y * (size_t)w, sum, w, opt->block, s * s,
                           opt->harris ? opt->k : -1.0f);
        change_row(sum, k, im, y - half, -1);
    }
    return c->response;
}

/* Sorts the n candidates strongest first, of equal ones the later pixel first, into
 * list: 11 bits at a time from the lowest (positive floats sort like their bits; each
 * pass keeps the order of equals).  Ten times faster than qsort on noisy pictures. */
static void sort(candidate *list, candidate *spare, int n)
{
    enum { BITS = 11, BINS = 1 << BITS };
    candidate *from = list, *to = spare;

    for (int i = 0; i < n / 2; i++) { /* later pixels first */
        const candidate t = list[i];
        list[i] = list[n - 1 - i];
        list[n - 1 - i] = t;
    }
    for (int shift = 0; shift < 3 * BITS; shift += BITS) {
        int start[BINS] = { 0 };
        uint32_t key;
        for (int i = 0; i < n; i++) {
            memcpy(&key, &from[i].value, sizeof key);
            start[~(key >> shift) & (BINS - 1)]++;
        }
        for (int bin = 0, sum = 0; bin < BINS; bin++) {
            const int count = start[bin];
            start[bin] = sum;
            sum += count;
        }
        for (int i = 0; i < n; i++) {
            memcpy(&key, &from[i].value, sizeof key);
            to[start[~(key >> shift) & (BINS - 1)]++] = from[i];
        }
        candidate *const t = from;
        from = to;
        to = t;
    }
    if (n > 0)
        memcpy(list, from, (size_t)n * sizeof *list); /* three passes end in spare */
}

/* Local maxima of 3x3 above the threshold, in reading order. */
static int collect(vbg_corners *c, const vbg_lk_kernels *k, const vbg_plane *im,
                   const vbg_corner_opt *opt, float limit)
{
    const size_t w = (size_t)im->w;
    int count = 0;

    for (int y = 1; y < im->h - 1; y++) {
        const float *row = c->response + (size_t)y * w;
        const float *const rows[3] = { row - w, row, row + w };
        k->corner_peaks(c->peak, rows, im->w, limit);
        for (size_t x = 0; x < w; x++) {
            uint64_t eight;
            memcpy(&eight, c->peak + x, sizeof eight); /* 64 bytes follow the row */
            if (eight == 0) {
                x += 7;
                continue;
            }
            if (c->peak[x] &&
                (!opt->mask || opt->mask[(size_t)y * opt->mask_stride + x]) &&
                count < c->cap)
                c->list[count++] =
                    (candidate){ .value = row[x], .at = (int)((size_t)y * w + x) };
        }
    }
    return count;
}

/* The grid of accepted points, cells as wide as the minimum distance. */
typedef struct grid {
    int size, cols, rows;
    float distance;
} grid;

/* Puts point i into its cell. */
static void grid_put(vbg_corners *c, const grid *g, vbg_point p, int i)
{
    const int x = vbg_min_int(vbg_max_int((int)p.x / g->size, 0), g->cols - 1);
    const int y = vbg_min_int(vbg_max_int((int)p.y / g->size, 0), g->rows - 1);

    c->next[i] = c->cell[y * g->cols + x];
    c->cell[y * g->cols + x] = i;
}

/* True when no accepted point lies nearer than the minimum distance. */
static bool grid_free(const vbg_corners *c, const grid *g, const vbg_point *out, int px,
                      int py)
{
    const int cx = px / g->size, cy = py / g->size;

    for (int y = vbg_max_int(cy - 1, 0); y <= vbg_min_int(cy + 1, g->rows - 1); y++)
        for (int x = vbg_max_int(cx - 1, 0); x <= vbg_min_int(cx + 1, g->cols - 1); x++)
            for (int i = c->cell[y * g->cols + x]; i >= 0; i = c->next[i]) {
                const float dx = out[i].x - (float)px, dy = out[i].y - (float)py;
                if (dx * dx + dy * dy < g->distance * g->distance)
                    return false;
            }
    return true;
}

/* The largest response where mask allows it. */
static float strongest(const vbg_corners *c, const vbg_plane *im, const uint8_t *mask,
                       size_t mask_stride)
{
    enum { LANES = 8 }; /* independent maxima: the compiler keeps them in a register */
    const size_t w = (size_t)im->w;
    float best[LANES] = { 0 };

    for (int y = 0; y < im->h; y++) {
        const float *row = c->response + (size_t)y * w;
        const uint8_t *m = mask ? mask + (size_t)y * mask_stride : NULL;
        size_t x = 0;
        for (; !m && x + LANES <= w; x += LANES)
            for (size_t i = 0; i < LANES; i++)
                best[i] = row[x + i] > best[i] ? row[x + i] : best[i];
        for (; x < w; x++)
            if (row[x] > best[0] && (!m || m[x]))
                best[0] = row[x];
    }
    for (int i = 1; i < LANES; i++)
        best[0] = fmaxf(best[0], best[i]);
    return best[0];
}

void vbg_corners_find(vbg_corners *c, vbg_ctx *ctx, const vbg_plane *im,
                      const vbg_corner_opt *opt, vbg_point_list *list)
{
    vbg_corners_response(c, ctx, im, opt);
    const float limit = strongest(c, im, opt->mask, opt->mask_stride) * opt->quality;
    const int found =
        limit > 0 ? collect(c, &vbg_ctx_kernels(ctx)->lk, im, opt, limit) : 0;
    const int room = vbg_min_int(list->cap, c->cap);
    const int most = opt->max_corners > 0 ? vbg_min_int(opt->max_corners, room) : room;
    const bool spaced = opt->min_distance >= 1.0f;
    const int size = spaced ? vbg_max_int((int)lrintf(opt->min_distance), 1) : 1;
    const grid g = { .size = size,
                     .cols = (im->w + size - 1) / size,
                     .rows = (im->h + size - 1) / size,
                     .distance = opt->min_distance };

    sort(c->list, c->list + c->cap, found);
    if (spaced) {
        for (int i = 0; i < g.cols * g.rows; i++)
            c->cell[i] = -1;
        for (int i = 0; i < vbg_min_int(list->count, c->cap); i++)
            grid_put(c, &g, list->p[i], i);
    }
    for (int i = 0; i < found && list->count < most; i++) {
        const int x = c->list[i].at % im->w, y = c->list[i].at / im->w;
        if (spaced && !grid_free(c, &g, list->p, x, y))
            continue;
        list->p[list->count] = (vbg_point){ (float)x, (float)y };
        if (spaced)
            grid_put(c, &g, list->p[list->count], list->count);
        list->count++;
    }
}
