/* The uncovered caps of a stitched panorama.
 *
 * From the outermost fully covered row the picture is carried row by row towards the
 * pole.  Each new row is the one before, circularly blurred with three box passes and
 * drawn to the mean colour, which the pole row has.  All blurs together are as wide as the
 * row is far from the border, on the sphere: nothing that was at the border is told apart
 * from further away than its own size.
 * Where views still cover part of a row (their upper borders are arcs) those pixels stay
 * and feed the next row.  No step from one filled row to the next exceeds `limit`
 * levels, so that strong contrast at the border fades instead of ending in a line. */
#include "video/stitch.h"

#include <math.h>
#include <string.h>

/* Circular box blur of one channel plane of w values, radius r. */
static void box(float *dst, const float *src, int w, int r)
{
    double sum = 0;

    r = vbg_min_int(r, (w - 1) / 2);
    for (int i = -r; i <= r; i++)
        sum += (double)src[(i + w) % w];
    for (int x = 0; x < w; x++) {
        dst[x] = (float)(sum / (2 * r + 1));
        sum += (double)src[(x + r + 1) % w] - (double)src[(x - r + w) % w];
    }
}

typedef struct cap {
    vbg_picture *pano;
    const uint8_t *covered;
    float *row, *soft, *spare; /* [3][w] each: the row before, its blur, scratch */
    int first, rows, dir;      /* from row `first` on, `rows` rows, +1 or -1     */
    float limit;
} cap;

/* One row: i of c->rows. */
static void fill_row(const cap *c, int i)
{
    const int w = c->pano->w, y = c->first + i * c->dir;
    const double t = (i + 1.0) / c->rows;
    /* sigma^2 = i^2 after i rows takes 2 i from row to row, and three boxes of radius r
     * have r (r + 1); a row of the sphere is a circle shorter by the cosine */
    const double shrunk = sin((y + 0.5) / c->pano->h * 3.14159265358979323846);
    const int radius = (int)fmin(0.5 + sqrt(2.0 * (i + 1)) / shrunk, w);
    uint8_t *out = c->pano->data + (size_t)y * c->pano->stride;
    const uint8_t *covered = c->covered + (size_t)y * (size_t)w;

    for (int k = 0; k < 3; k++) {
        float *row = c->row + k * w, *soft = c->soft + k * w;
        double mean = 0;
        box(soft, row, w, vbg_max_int(radius, i & 1));
        box(c->spare, soft, w, radius);
        box(soft, c->spare, w, radius);
        for (int x = 0; x < w; x++)
            mean += (double)row[x];
        mean /= w;
        const double pull =
            i == c->rows - 1 ? 1.0 : t * t * t * t / (1.0 + c->rows * 0.02);
        for (int x = 0; x < w; x++) {
            const float to = soft[x] + (float)(pull * (mean - (double)soft[x]));
            const float step = fminf(fmaxf(to - row[x], -c->limit), c->limit);
            if (covered[x])
                row[x] = out[x * 3 + k];
            else
                row[x] += step;
            out[x * 3 + k] = (uint8_t)lrintf(fminf(fmaxf(row[x], 0.0f), 255.0f));
        }
    }
}

/* The row nearest the equator in direction dir that is not fully covered, seen from the
 * middle; h or -1 when there is none. */
static int first_open_row(const vbg_picture *p, const uint8_t *covered, int dir)
{
    int y = dir < 0 ? (p->h - 1) / 2 : p->h / 2;

    while (y >= 0 && y < p->h &&
           !memchr(covered + (size_t)y * (size_t)p->w, 0, (size_t)p->w))
        y += dir;
    return y;
}

vbg_status vbg_stitch_caps(vbg_picture *pano, const uint8_t *covered, vbg_err *err)
{
    const int w = pano->w, h = pano->h;
    const size_t plane = 3 * (size_t)w;
    float *memory = vbg_alloc(3 * plane * sizeof *memory);

    if (!memory)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a row of %d pixels", w);
    for (int dir = -1; dir <= 1; dir += 2) {
        const int first = first_open_row(pano, covered, dir);
        const int rows = dir < 0 ? first + 1 : h - first;
        cap c = { .pano = pano,
                  .covered = covered,
                  .row = memory,
                  .soft = memory + plane,
                  .spare = memory + 2 * plane,
                  .first = first,
                  .rows = rows,
                  .dir = dir };
        if (rows < 1)
            continue;
        /* 3 levels a row, more only where there are too few rows to end in one colour */
        c.limit = fmaxf(3.0f, 400.0f / (float)rows);
        const int border = first - dir;
        for (int x = 0; x < w; x++)
            for (int k = 0; k < 3; k++)
                c.row[k * w + x] = border < 0 || border >= h
                                       ? 127.0f
                                       : pano->data[(size_t)border * pano->stride +
                                                    (size_t)x * 3 + (size_t)k];
        for (int i = 0; i < rows; i++)
            fill_row(&c, i);
    }
    vbg_free_mem(memory);
    return VBG_OK;
}
