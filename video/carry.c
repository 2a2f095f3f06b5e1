/* Masks carried along by the person's flow. */
#include "video/carry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/cell_flow.h"
#include "video/doubt.h"

enum {
    RING = 16,  /* frames */
    SPREAD = 3, /* cells around the person that move with him */
    PERSON = 128
};

typedef struct cell {
    float dx, dy; /* of small pixels, from the mask's frame to now */
    bool known;
} cell;

typedef struct seen {
    vbg_picture small;
    int64_t index, epoch;
    bool valid;
} seen;

struct vbg_carry {
    int w, h;
    seen ring[RING];
    vbg_cell_flow flow; /* pyramid 0: the mask's frame, 1: now */
    cell *cells, *spare;
    vbg_mask moved;
    vbg_picture expected; /* small: how the mask's frame looks now, by the flow */
    vbg_doubt *doubt;
};

vbg_status vbg_carry_new(vbg_carry **out, int w, int h, vbg_err *err)
{
    vbg_carry *k = calloc(1, sizeof *k);
    vbg_status st;

    *out = NULL;
    if (!k)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    k->w = w;
    k->h = h;
    st = vbg_cell_flow_open(&k->flow, w, h, 1, err);
    const int sw = k->flow.w, sh = k->flow.h;
    const size_t n = vbg_cell_flow_cells(&k->flow);
    for (int i = 0; i < RING && st == VBG_OK; i++)
        st = vbg_picture_new(&k->ring[i].small, sw, sh, 1, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&k->moved.alpha, w, h, 1, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&k->expected, sw, sh, 1, err);
    if (st == VBG_OK)
        st = vbg_doubt_new(&k->doubt, sw, sh, err);
    if (st == VBG_OK) {
        k->cells = vbg_alloc(n * sizeof *k->cells);
        k->spare = vbg_alloc(n * sizeof *k->spare);
        if (!k->cells || !k->spare)
            st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    if (st == VBG_OK)
        *out = k;
    else
        vbg_carry_free(k);
    return st;
}

void vbg_carry_free(vbg_carry *k)
{
    if (!k)
        return;
    vbg_cell_flow_close(&k->flow);
    for (int i = 0; i < RING; i++)
        vbg_picture_free(&k->ring[i].small);
    vbg_picture_free(&k->moved.alpha);
    vbg_picture_free(&k->expected);
    vbg_doubt_free(k->doubt);
    vbg_free_mem(k->cells);
    vbg_free_mem(k->spare);
    free(k);
}

/* Flow of the cells whose middle the person covers. */
static void measure(vbg_carry *k, vbg_ctx *c, const vbg_picture *alpha)
{
    vbg_cell_flow *f = &k->flow;

    vbg_cell_flow_clear(f);
    for (int i = 0; i < f->cells_w * f->cells_h; i++) {
        const vbg_point p = vbg_cell_flow_middle(f, i);
        const int x = vbg_min_int((int)p.x * f->scale, k->w - 1);
        const int y = vbg_min_int((int)p.y * f->scale, k->h - 1);
        k->cells[i] = (cell){ 0, 0, false };
        if (vbg_picture_row(alpha, y)[x] >= PERSON)
            vbg_cell_flow_add(f, i);
    }
    vbg_cell_flow_track(f, c, 0);
    for (int i = 0; i < f->count; i++)
        if (vbg_cell_flow_trust(f, i) > 0)
            k->cells[f->cell[i]] =
                (cell){ f->to[i].x - f->from[i].x, f->to[i].y - f->from[i].y, true };
}

/* Cells that know nothing take the mean of their neighbours. */
static void spread(vbg_carry *k)
{
    const int w = k->flow.cells_w, h = k->flow.cells_h;

    memcpy(k->spare, k->cells, (size_t)w * (size_t)h * sizeof *k->spare);
    for (int i = 0; i < w * h; i++) {
        const int x = i % w, y = i / w;
        float dx = 0, dy = 0;
        int n = 0;
        if (k->cells[i].known)
            continue;
        for (int v = vbg_max_int(y - 1, 0); v <= vbg_min_int(y + 1, h - 1); v++)
            for (int u = vbg_max_int(x - 1, 0); u <= vbg_min_int(x + 1, w - 1); u++) {
                const cell *c = &k->cells[v * w + u];
                dx += c->known ? c->dx : 0;
                dy += c->known ? c->dy : 0;
                n += c->known;
            }
        if (n > 0)
            k->spare[i] = (cell){ dx / (float)n, dy / (float)n, true };
    }
    cell *t = k->cells;
    k->cells = k->spare;
    k->spare = t;
}

/* Between four corners with weights. */
static float between(float a, float b, float c, float d, float fx, float fy)
{
    const float top = a + fx * (b - a), low = c + fx * (d - c);

    return top + fy * (low - top);
}

static uint8_t sample(const vbg_picture *p, float x, float y)
{
    x = fminf(fmaxf(x, 0), (float)(p->w - 1));
    y = fminf(fmaxf(y, 0), (float)(p->h - 1));
    const int x0 = (int)x, y0 = (int)y, x1 = vbg_min_int(x0 + 1, p->w - 1);
    const uint8_t *a = vbg_picture_row(p, y0);
    const uint8_t *b = vbg_picture_row(p, vbg_min_int(y0 + 1, p->h - 1));

    return (uint8_t)(between(a[x0], a[x1], b[x0], b[x1], x - (float)x0, y - (float)y0) +
                     0.5f);
}

/* A square of pixels between the middles of four cells, of a picture scale times as large
 * as the small one. */
static void move_square(const vbg_carry *k, vbg_picture *to, const vbg_picture *from,
                        int scale, int gx, int gy)
{
    const int cw = k->flow.cells_w, ch = k->flow.cells_h;
    const int side = VBG_CELL * scale, x0 = gx * side + side / 2,
              y0 = gy * side + side / 2;
    const int u0 = vbg_max_int(gx, 0), u1 = vbg_min_int(gx + 1, cw - 1);
    const int v0 = vbg_max_int(gy, 0), v1 = vbg_min_int(gy + 1, ch - 1);
    const cell *c[4] = { &k->cells[v0 * cw + u0], &k->cells[v0 * cw + u1],
                         &k->cells[v1 * cw + u0], &k->cells[v1 * cw + u1] };
    const bool still = !c[0]->known && !c[1]->known && !c[2]->known && !c[3]->known;
    const int left = vbg_max_int(x0, 0), right = vbg_min_int(x0 + side, to->w);
    const float by = (float)scale;

    for (int y = vbg_max_int(y0, 0); y < vbg_min_int(y0 + side, to->h) && left < right;
         y++) {
        uint8_t *d = vbg_picture_row(to, y);
        if (still) {
            memcpy(d + left, vbg_picture_row(from, y) + left, (size_t)(right - left));
            continue;
        }
        const float fy = (float)(y - y0) / (float)side;
        for (int x = left; x < right; x++) {
            const float fx = (float)(x - x0) / (float)side;
            const float dx = between(c[0]->dx, c[1]->dx, c[2]->dx, c[3]->dx, fx, fy);
            const float dy = between(c[0]->dy, c[1]->dy, c[2]->dy, c[3]->dy, fx, fy);
            d[x] = sample(from, (float)x - by * dx, (float)y - by * dy);
        }
    }
}

static void move(const vbg_carry *k, vbg_picture *to, const vbg_picture *from, int scale)
{
    for (int y = -1; y < k->flow.cells_h; y++)
        for (int x = -1; x < k->flow.cells_w; x++)
            move_square(k, to, from, scale, x, y);
}

static void remember(vbg_carry *k, vbg_ctx *c, const vbg_raw_frame *raw)
{
    seen *s = &k->ring[raw->index % RING];

    vbg_cell_flow_shrink(&k->flow, vbg_ctx_kernels(c), &s->small, raw);
    s->index = raw->index;
    s->epoch = raw->epoch;
    s->valid = true;
}

const vbg_mask *vbg_carry_run(vbg_carry *k, vbg_ctx *c, const vbg_raw_frame *raw,
                              const vbg_mask *mask)
{
    const vbg_kernels *kernels = vbg_ctx_kernels(c);
    const seen *now = &k->ring[raw->index % RING];

    remember(k, c, raw);
    if (!vbg_mask_usable(mask, raw) || mask->index == raw->index)
        return mask;
    const seen *then = &k->ring[mask->index % RING];
    if (!then->valid || then->index != mask->index || then->epoch != mask->epoch)
        return mask;
    vbg_cell_flow_look(&k->flow, kernels, 0, &then->small);
    vbg_cell_flow_look(&k->flow, kernels, 1, &now->small);
    measure(k, c, &mask->alpha);
    for (int i = 0; i < SPREAD; i++)
        spread(k);
    move(k, &k->moved.alpha, &mask->alpha, k->flow.scale);
    move(k, &k->expected, &then->small, 1);
    vbg_doubt_run(k->doubt, &k->expected, &now->small, &k->moved.alpha, k->flow.scale);
    const vbg_picture alpha = k->moved.alpha;
    k->moved = *mask;
    k->moved.alpha = alpha;
    return &k->moved;
}
