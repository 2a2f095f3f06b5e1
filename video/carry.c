/* Masks carried along by the person's flow. */
#include "video/carry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/cell_flow.h"
#include "video/cell_warp.h"
#include "video/doubt.h"

enum {
    RING = 16,  /* frames */
    SPREAD = 3, /* cells around the person that move with him */
    PERSON = 128
};

typedef struct seen {
    vbg_picture small;
    int64_t index, epoch;
    bool valid;
} seen;

struct vbg_carry {
    int w, h;
    seen ring[RING];
    vbg_cell_flow flow; /* pyramid 0: the mask's frame, 1: now */
    vbg_cell_shift *cells, *spare;
    uint8_t *flat; /* for the mask's moving */
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
        k->flat = vbg_alloc(vbg_cell_warp_flat_bytes(w, h));
        if (!k->cells || !k->spare || !k->flat)
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
    vbg_free_mem(k->flat);
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
        k->cells[i] = (vbg_cell_shift){ 0, 0, false };
        if (vbg_picture_row(alpha, y)[x] >= PERSON)
            vbg_cell_flow_add(f, i);
    }
    vbg_cell_flow_track(f, c, 0);
    vbg_cell_flow_check(f, c, 0);
    for (int i = 0; i < f->count; i++)
        if (vbg_cell_flow_trust(f, i) > 0)
            k->cells[f->cell[i]] = (vbg_cell_shift){ f->to[i].x - f->from[i].x,
                                                     f->to[i].y - f->from[i].y, true };
}

/* The middle one of n values, which are sorted for it. */
static float median(float *v, int n)
{
    for (int i = 1; i < n; i++) {
        const float x = v[i];
        int k = i;
        for (; k > 0 && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
    return v[n / 2];
}

/* Is the way of a cell about that of the cells around it?  A person bends, he does not
 * scatter. */
static bool agrees(const vbg_carry *k, int x, int y)
{
    const int w = k->flow.cells_w, h = k->flow.cells_h;
    const vbg_cell_shift *own = &k->cells[y * w + x];
    float dx[9], dy[9];
    int n = 0;

    for (int v = vbg_max_int(y - 1, 0); v <= vbg_min_int(y + 1, h - 1); v++)
        for (int u = vbg_max_int(x - 1, 0); u <= vbg_min_int(x + 1, w - 1); u++) {
            const vbg_cell_shift *c = &k->cells[v * w + u];
            if (!c->known)
                continue;
            dx[n] = c->dx;
            dy[n++] = c->dy;
        }
    const float mx = median(dx, n), my = median(dy, n);
    const float ex = own->dx - mx, ey = own->dy - my;
    return ex * ex + ey * ey <= 1 + 0.25f * (mx * mx + my * my);
}

static void swap(vbg_carry *k)
{
    vbg_cell_shift *t = k->cells;
    k->cells = k->spare;
    k->spare = t;
}

/* Forgets the ways of cells that do not agree with their neighbours. */
static void weed(vbg_carry *k)
{
    const int w = k->flow.cells_w, h = k->flow.cells_h;

    memcpy(k->spare, k->cells, (size_t)w * (size_t)h * sizeof *k->spare);
    for (int i = 0; i < w * h; i++)
        if (k->cells[i].known && !agrees(k, i % w, i / w))
            k->spare[i] = (vbg_cell_shift){ 0, 0, false };
    swap(k);
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
                const vbg_cell_shift *c = &k->cells[v * w + u];
                dx += c->known ? c->dx : 0;
                dy += c->known ? c->dy : 0;
                n += c->known;
            }
        if (n > 0)
            k->spare[i] = (vbg_cell_shift){ dx / (float)n, dy / (float)n, true };
    }
    swap(k);
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
    weed(k);
    for (int i = 0; i < SPREAD; i++)
        spread(k);
    vbg_cell_grid grid = { .cells = k->cells,
                           .w = k->flow.cells_w,
                           .h = k->flow.cells_h,
                           .side = VBG_CELL * k->flow.scale,
                           .scale = k->flow.scale };
    vbg_cell_warp_flat(&grid, &k->moved.alpha, &mask->alpha, k->flat);
    grid.side = VBG_CELL;
    grid.scale = 1;
    vbg_cell_warp(&grid, &k->expected, &then->small);
    vbg_doubt_run(k->doubt, &k->expected, &now->small, &k->moved.alpha, k->flow.scale);
    const vbg_picture alpha = k->moved.alpha;
    k->moved = *mask;
    k->moved.alpha = alpha;
    return &k->moved;
}
