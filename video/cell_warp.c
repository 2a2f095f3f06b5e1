/* A picture moved along the flow of its cells.
 *
 * The picture is cut into blocks of 8 x 8 pixels.  A block whose source is flat (all
 * blocks that it may come from have one and the same value) is filled with that value:
 * nine tenths of a mask of 1280x720, and of the time. */
#include "video/cell_warp.h"

#include <math.h>
#include <string.h>

enum {
    BLOCK = 8,
    MIXED = 1 /* of flat: neither all 0 nor all 255 */
};

typedef struct shift {
    float dx, dy;
} shift;

/* One square between the middles of four cells. */
typedef struct square {
    int x0, y0, side;
    float by, part; /* scale; 1 / side */
    const vbg_cell_shift *c[4];
} square;

static float between(float a, float b, float c, float d, float fx, float fy)
{
    const float top = a + fx * (b - a), low = c + fx * (d - c);

    return top + fy * (low - top);
}

static float clamp(float x, float most)
{
    return x < 0 ? 0 : x > most ? most : x;
}

static shift shift_at(const square *s, int x, int y)
{
    const float fx = (float)(x - s->x0) * s->part, fy = (float)(y - s->y0) * s->part;
    const vbg_cell_shift *const *c = s->c;

    return (shift){
        s->by * between(c[0]->dx, c[1]->dx, c[2]->dx, c[3]->dx, fx, fy),
        s->by * between(c[0]->dy, c[1]->dy, c[2]->dy, c[3]->dy, fx, fy),
    };
}

static uint8_t sample(const vbg_picture *p, float x, float y)
{
    x = clamp(x, (float)(p->w - 1));
    y = clamp(y, (float)(p->h - 1));
    const int x0 = (int)x, y0 = (int)y, x1 = vbg_min_int(x0 + 1, p->w - 1);
    const uint8_t *a = vbg_picture_row(p, y0);
    const uint8_t *b = vbg_picture_row(p, vbg_min_int(y0 + 1, p->h - 1));

    return (uint8_t)(between(a[x0], a[x1], b[x0], b[x1], x - (float)x0, y - (float)y0) +
                     0.5f);
}

static void compute(const square *s, vbg_picture *to, const vbg_picture *from, int x0,
                    int y0, int x1, int y1)
{
    for (int y = y0; y < y1; y++) {
        const shift left = shift_at(s, s->x0, y), right = shift_at(s, s->x0 + s->side, y);
        const float grow_x = (right.dx - left.dx) * s->part;
        const float grow_y = (right.dy - left.dy) * s->part;
        uint8_t *d = vbg_picture_row(to, y);
        for (int x = x0; x < x1; x++) {
            const float at = (float)(x - s->x0);
            d[x] = sample(from, (float)x - left.dx - at * grow_x,
                          (float)y - left.dy - at * grow_y);
        }
    }
}

/* The one value of everything that x0..x1-1, y0..y1-1 may come from, or MIXED. */
static int flat_source(const square *s, const vbg_picture *from, const uint8_t *flat,
                       int x0, int y0, int x1, int y1)
{
    const shift a = shift_at(s, x0, y0), b = shift_at(s, x1, y0);
    const shift c = shift_at(s, x0, y1), d = shift_at(s, x1, y1);
    const float most_x = fmaxf(fmaxf(a.dx, b.dx), fmaxf(c.dx, d.dx));
    const float most_y = fmaxf(fmaxf(a.dy, b.dy), fmaxf(c.dy, d.dy));
    const float least_x = fminf(fminf(a.dx, b.dx), fminf(c.dx, d.dx));
    const float least_y = fminf(fminf(a.dy, b.dy), fminf(c.dy, d.dy));
    const float w = (float)(from->w - 1), h = (float)(from->h - 1);
    const int u0 = (int)clamp((float)x0 - most_x, w) / BLOCK;
    const int u1 = (int)clamp((float)x1 - least_x + 1, w) / BLOCK;
    const int v0 = (int)clamp((float)y0 - most_y, h) / BLOCK;
    const int v1 = (int)clamp((float)y1 - least_y + 1, h) / BLOCK;
    const int pitch = (from->w + BLOCK - 1) / BLOCK;
    const int first = flat[v0 * pitch + u0];

    for (int v = v0; v <= v1; v++)
        for (int u = u0; u <= u1; u++)
            if (flat[v * pitch + u] != first)
                return MIXED;
    return first;
}

static void move_square(const square *s, vbg_picture *to, const vbg_picture *from,
                        const uint8_t *flat)
{
    const bool still =
        !s->c[0]->known && !s->c[1]->known && !s->c[2]->known && !s->c[3]->known;
    const int left = vbg_max_int(s->x0, 0), right = vbg_min_int(s->x0 + s->side, to->w);
    const int top = vbg_max_int(s->y0, 0), end = vbg_min_int(s->y0 + s->side, to->h);
    const int step = flat ? BLOCK : s->side;

    for (int y = top; y < end && left < right && still; y++)
        memcpy(vbg_picture_row(to, y) + left, vbg_picture_row(from, y) + left,
               (size_t)(right - left));
    for (int y0 = top; y0 < end && !still; y0 += step)
        for (int x0 = left; x0 < right; x0 += step) {
            const int x1 = vbg_min_int(x0 + step, right);
            const int y1 = vbg_min_int(y0 + step, end);
            const int value = flat ? flat_source(s, from, flat, x0, y0, x1, y1) : MIXED;
            if (value == MIXED) {
                compute(s, to, from, x0, y0, x1, y1);
                continue;
            }
            for (int y = y0; y < y1; y++)
                memset(vbg_picture_row(to, y) + x0, value, (size_t)(x1 - x0));
        }
}

static void warp(const vbg_cell_grid *g, vbg_picture *to, const vbg_picture *from,
                 const uint8_t *flat)
{
    for (int gy = -1; gy < g->h; gy++)
        for (int gx = -1; gx < g->w; gx++) {
            const int u0 = vbg_max_int(gx, 0), u1 = vbg_min_int(gx + 1, g->w - 1);
            const int v0 = vbg_max_int(gy, 0), v1 = vbg_min_int(gy + 1, g->h - 1);
            const square s = {
                .x0 = gx * g->side + g->side / 2,
                .y0 = gy * g->side + g->side / 2,
                .side = g->side,
                .by = (float)g->scale,
                .part = 1 / (float)g->side,
                .c = { &g->cells[v0 * g->w + u0], &g->cells[v0 * g->w + u1],
                       &g->cells[v1 * g->w + u0], &g->cells[v1 * g->w + u1] }
            };
            move_square(&s, to, from, flat);
        }
}

void vbg_cell_warp(const vbg_cell_grid *grid, vbg_picture *to, const vbg_picture *from)
{
    warp(grid, to, from, NULL);
}

size_t vbg_cell_warp_flat_bytes(int w, int h)
{
    return (size_t)((w + BLOCK - 1) / BLOCK) * (size_t)((h + BLOCK - 1) / BLOCK);
}

/* Are n values, at most BLOCK, all v? */
static bool all(const uint8_t *p, int n, uint8_t v)
{
    uint64_t row = 0x0101010101010101u * (uint64_t)v;

    memcpy(&row, p, (size_t)n);
    return row == 0x0101010101010101u * (uint64_t)v;
}

void vbg_cell_warp_flat(const vbg_cell_grid *grid, vbg_picture *to,
                        const vbg_picture *from, uint8_t *flat)
{
    uint8_t *f = flat;

    for (int y0 = 0; y0 < from->h; y0 += BLOCK)
        for (int x0 = 0; x0 < from->w; x0 += BLOCK, f++) {
            const int n = vbg_min_int(BLOCK, from->w - x0);
            const int y1 = vbg_min_int(y0 + BLOCK, from->h);
            const uint8_t v = vbg_picture_row(from, y0)[x0];
            *f = v == 0 || v == 255 ? v : MIXED;
            for (int y = y0; y < y1 && *f != MIXED; y++)
                if (!all(vbg_picture_row(from, y) + x0, n, v))
                    *f = MIXED;
        }
    warp(grid, to, from, flat);
}
