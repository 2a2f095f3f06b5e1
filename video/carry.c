/* Masks carried along by the person's flow. */
#include "video/carry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/doubt.h"
#include "video/flow.h"
#include "video/resize.h"

enum {
    CELL = 8, /* pixels of the small picture */
    WINDOW = 11,
    LEVELS = 3,
    RING = 16,  /* frames */
    SPREAD = 3, /* cells around the person that move with him */
    PERSON = 128
};

static const float same_levels = 14; /* mean difference up to which a match is believed */

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
    int w, h, scale;
    vbg_resizer *shrink;
    seen ring[RING];
    vbg_pyramid before, now;
    int cells_w, cells_h;
    cell *cells, *spare;
    vbg_point *from, *to;
    uint8_t *ok;
    float *diff;
    int *which; /* point -> cell */
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
    k->scale = w >= 960 ? 4 : w >= 480 ? 2 : 1;
    const int sw = vbg_max_int(1, w / k->scale), sh = vbg_max_int(1, h / k->scale);
    k->cells_w = (sw + CELL - 1) / CELL;
    k->cells_h = (sh + CELL - 1) / CELL;
    const size_t n = (size_t)k->cells_w * (size_t)k->cells_h;
    st = vbg_resizer_new(&k->shrink, w, h, sw, sh, 1, VBG_INTERP_AREA, err);
    for (int i = 0; i < RING && st == VBG_OK; i++)
        st = vbg_picture_new(&k->ring[i].small, sw, sh, 1, err);
    if (st == VBG_OK)
        st = vbg_pyramid_new(&k->before, sw, sh, LEVELS - 1, WINDOW, err);
    if (st == VBG_OK)
        st = vbg_pyramid_new(&k->now, sw, sh, LEVELS - 1, WINDOW, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&k->moved.alpha, w, h, 1, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&k->expected, sw, sh, 1, err);
    if (st == VBG_OK)
        st = vbg_doubt_new(&k->doubt, sw, sh, err);
    k->cells = vbg_alloc(n * sizeof *k->cells);
    k->spare = vbg_alloc(n * sizeof *k->spare);
    k->from = vbg_alloc(n * sizeof *k->from);
    k->to = vbg_alloc(n * sizeof *k->to);
    k->ok = vbg_alloc(n);
    k->diff = vbg_alloc(n * sizeof *k->diff);
    k->which = vbg_alloc(n * sizeof *k->which);
    if (st == VBG_OK &&
        (!k->cells || !k->spare || !k->from || !k->to || !k->ok || !k->diff || !k->which))
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
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
    vbg_resizer_free(k->shrink);
    for (int i = 0; i < RING; i++)
        vbg_picture_free(&k->ring[i].small);
    vbg_pyramid_free(&k->before);
    vbg_pyramid_free(&k->now);
    vbg_picture_free(&k->moved.alpha);
    vbg_picture_free(&k->expected);
    vbg_doubt_free(k->doubt);
    vbg_free_mem(k->cells);
    vbg_free_mem(k->spare);
    vbg_free_mem(k->from);
    vbg_free_mem(k->to);
    vbg_free_mem(k->ok);
    vbg_free_mem(k->diff);
    vbg_free_mem(k->which);
    free(k);
}

/* Points in the middle of the cells that the person covers. */
static int choose_points(vbg_carry *k, const vbg_picture *alpha)
{
    int n = 0;

    for (int i = 0; i < k->cells_w * k->cells_h; i++) {
        const int x = i % k->cells_w * CELL + CELL / 2;
        const int y = i / k->cells_w * CELL + CELL / 2;
        const int fx = vbg_min_int(x * k->scale, k->w - 1);
        const int fy = vbg_min_int(y * k->scale, k->h - 1);
        k->cells[i] = (cell){ 0, 0, false };
        if (vbg_picture_row(alpha, fy)[fx] < PERSON)
            continue;
        k->from[n] = (vbg_point){ (float)x, (float)y };
        k->which[n++] = i;
    }
    return n;
}

static void measure(vbg_carry *k, vbg_ctx *c, int n)
{
    static const vbg_flow_opt opt = { .win_w = WINDOW,
                                      .win_h = WINDOW,
                                      .max_level = LEVELS - 1,
                                      .iterations = 10,
                                      .epsilon = 0.03f,
                                      .min_eigenvalue = 1e-4f };

    vbg_flow_track(
        c, &k->before, &k->now, &opt,
        &(vbg_flow_points){
            .count = n, .from = k->from, .to = k->to, .status = k->ok, .err = k->diff });
    for (int i = 0; i < n; i++)
        if (k->ok[i] && k->diff[i] < same_levels)
            k->cells[k->which[i]] =
                (cell){ k->to[i].x - k->from[i].x, k->to[i].y - k->from[i].y, true };
}

/* Cells that know nothing take the mean of their neighbours. */
static void spread(vbg_carry *k)
{
    const int w = k->cells_w, h = k->cells_h;

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
    const int side = CELL * scale, x0 = gx * side + side / 2, y0 = gy * side + side / 2;
    const int u0 = vbg_max_int(gx, 0), u1 = vbg_min_int(gx + 1, k->cells_w - 1);
    const int v0 = vbg_max_int(gy, 0), v1 = vbg_min_int(gy + 1, k->cells_h - 1);
    const cell *c[4] = { &k->cells[v0 * k->cells_w + u0], &k->cells[v0 * k->cells_w + u1],
                         &k->cells[v1 * k->cells_w + u0],
                         &k->cells[v1 * k->cells_w + u1] };
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
    for (int y = -1; y < k->cells_h; y++)
        for (int x = -1; x < k->cells_w; x++)
            move_square(k, to, from, scale, x, y);
}

static void remember(vbg_carry *k, vbg_ctx *c, const vbg_raw_frame *raw)
{
    const vbg_yuv *v = &raw->frame.yuv;
    const vbg_picture luma = {
        .data = v->plane[0], .w = v->w, .h = v->h, .channels = 1, .stride = v->stride[0]
    };
    seen *s = &k->ring[raw->index % RING];

    vbg_resizer_u8(k->shrink, vbg_ctx_kernels(c), &s->small, &luma);
    s->index = raw->index;
    s->epoch = raw->epoch;
    s->valid = true;
}

const vbg_mask *vbg_carry_run(vbg_carry *k, vbg_ctx *c, const vbg_raw_frame *raw,
                              const vbg_mask *mask)
{
    const vbg_lk_kernels *lk = &vbg_ctx_kernels(c)->lk;
    const seen *now = &k->ring[raw->index % RING];

    remember(k, c, raw);
    if (!vbg_mask_usable(mask, raw) || mask->index == raw->index)
        return mask;
    const seen *then = &k->ring[mask->index % RING];
    if (!then->valid || then->index != mask->index || then->epoch != mask->epoch)
        return mask;
    vbg_pyramid_build(&k->before, then->small.data, then->small.stride, lk);
    vbg_pyramid_build(&k->now, now->small.data, now->small.stride, lk);
    measure(k, c, choose_points(k, &mask->alpha));
    for (int i = 0; i < SPREAD; i++)
        spread(k);
    move(k, &k->moved.alpha, &mask->alpha, k->scale);
    move(k, &k->expected, &then->small, 1);
    vbg_doubt_run(k->doubt, &k->expected, &now->small, &k->moved.alpha, k->scale);
    const vbg_picture alpha = k->moved.alpha;
    k->moved = *mask;
    k->moved.alpha = alpha;
    return &k->moved;
}
