/* The temporal filter of masks. */
#include "video/steady.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/cell_flow.h"

enum {
    LEAST = 16, /* pixels of the small picture's side */
    MOST_GAP = 5
};

static const float farthest = 40; /* pixels of the small picture */

typedef struct cell {
    float dx, dy, trust; /* from now to before, in mask pixels */
} cell;

struct vbg_steady {
    int mask_w, mask_h;
    vbg_cell_flow flow;
    vbg_picture small;
    int now; /* which of the flow's pyramids */
    vbg_image before;
    bool has_before;
    int64_t index, epoch;
    cell *cells;
    uint8_t *near;
};

vbg_status vbg_steady_new(vbg_steady **out, int w, int h, int mask_w, int mask_h,
                          vbg_err *err)
{
    vbg_steady *s = calloc(1, sizeof *s);
    vbg_status st;

    *out = NULL;
    if (!s)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    s->mask_w = mask_w;
    s->mask_h = mask_h;
    st = vbg_cell_flow_open(&s->flow, w, h, LEAST, err);
    const size_t n = vbg_cell_flow_cells(&s->flow);
    if (st == VBG_OK)
        st = vbg_picture_new(&s->small, s->flow.w, s->flow.h, 1, err);
    if (st == VBG_OK)
        st = vbg_image_new(&s->before, mask_w, mask_h, 1, err);
    if (st == VBG_OK) {
        s->cells = vbg_alloc(n * sizeof *s->cells);
        s->near = vbg_alloc(2 * n);
        if (!s->cells || !s->near)
            st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    if (st == VBG_OK)
        *out = s;
    else
        vbg_steady_free(s);
    return st;
}

void vbg_steady_free(vbg_steady *s)
{
    if (!s)
        return;
    vbg_cell_flow_close(&s->flow);
    vbg_picture_free(&s->small);
    vbg_image_free(&s->before);
    vbg_free_mem(s->cells);
    vbg_free_mem(s->near);
    free(s);
}

enum { RUN = 16 };

/* Something in these n values is neither 0 nor 1, or differs from the mask before (NULL:
 * only the former). */
static bool unsure(const float *now, const float *before, int n, float least)
{
    int any = 0;

#pragma omp simd reduction(| : any)
    for (int x = 0; x < n; x++)
        any |= (now[x] > least) & (now[x] < 1 - least);
    if (!before)
        return any;
#pragma omp simd reduction(| : any)
    for (int x = 0; x < n; x++)
        any |= ((before[x] > least) & (before[x] < 1 - least)) |
               (fabsf(now[x] - before[x]) > least);
    return any;
}

/* Cells where one of both masks is neither 0 nor 1, and their neighbours. */
static void mark_edges(vbg_steady *s, const vbg_image *prob)
{
    const int cw = s->flow.cells_w, ch = s->flow.cells_h;
    uint8_t *own = s->near + (size_t)cw * (size_t)ch;

    memset(own, 0, (size_t)cw * (size_t)ch);
    for (int y = 0; y < s->mask_h; y++) {
        const float *a = vbg_image_row(prob, y), *b = vbg_image_row(&s->before, y);
        uint8_t *row = own + y * ch / s->mask_h * cw;
        for (int x0 = 0; x0 < s->mask_w; x0 += RUN) {
            const int n = vbg_min_int(RUN, s->mask_w - x0);
            if (!unsure(a + x0, b + x0, n, 0.02f))
                continue;
            for (int x = x0; x < x0 + n; x++)
                if (unsure(a + x, b + x, 1, 0.02f))
                    row[x * cw / s->mask_w] = 1;
        }
    }
    for (int y = 0; y < ch; y++)
        for (int x = 0; x < cw; x++) {
            uint8_t any = 0;
            for (int v = vbg_max_int(y - 1, 0); v <= vbg_min_int(y + 1, ch - 1); v++)
                for (int u = vbg_max_int(x - 1, 0); u <= vbg_min_int(x + 1, cw - 1); u++)
                    any |= own[v * cw + u];
            s->near[y * cw + x] = any;
        }
}

/* Flow of the marked cells, back into the frame before. */
static void measure(vbg_steady *s, vbg_ctx *c)
{
    vbg_cell_flow *f = &s->flow;
    const float sx = (float)s->mask_w / (float)f->w, sy = (float)s->mask_h / (float)f->h;

    vbg_cell_flow_clear(f);
    for (int i = 0; i < f->cells_w * f->cells_h; i++) {
        s->cells[i] = (cell){ 0, 0, s->near[i] ? 0 : 1 };
        if (s->near[i])
            vbg_cell_flow_add(f, i);
    }
    vbg_cell_flow_track(f, c, s->now);
    for (int i = 0; i < f->count; i++) {
        const float dx = f->to[i].x - f->from[i].x, dy = f->to[i].y - f->from[i].y;
        cell *k = &s->cells[f->cell[i]];
        if (!f->ok[i]) { /* a flat window: nothing moves there that could be seen */
            k->trust = 0.5f;
            continue;
        }
        if (!(fabsf(dx) < farthest && fabsf(dy) < farthest))
            continue;
        k->dx = dx * sx;
        k->dy = dy * sy;
        k->trust = vbg_cell_flow_trust(f, i);
    }
}

/* Bilinear, the border repeated. */
static float sample(const vbg_image *p, float x, float y)
{
    x = fminf(fmaxf(x, 0), (float)(p->w - 1));
    y = fminf(fmaxf(y, 0), (float)(p->h - 1));
    const int x0 = (int)x, y0 = (int)y;
    const int x1 = vbg_min_int(x0 + 1, p->w - 1), y1 = vbg_min_int(y0 + 1, p->h - 1);
    const float fx = x - (float)x0, fy = y - (float)y0;
    const float *a = vbg_image_row(p, y0), *b = vbg_image_row(p, y1);
    const float top = a[x0] + fx * (a[x1] - a[x0]), low = b[x0] + fx * (b[x1] - b[x0]);

    return top + fy * (low - top);
}

/* Flow and trust between the four cells around a mask pixel. */
static cell flow_at(const vbg_steady *s, float gx, float gy)
{
    const int cw = s->flow.cells_w, ch = s->flow.cells_h;

    gx = fminf(fmaxf(gx, 0), (float)(cw - 1));
    gy = fminf(fmaxf(gy, 0), (float)(ch - 1));
    const int x0 = (int)gx, y0 = (int)gy;
    const int x1 = vbg_min_int(x0 + 1, cw - 1);
    const int y1 = vbg_min_int(y0 + 1, ch - 1);
    const float fx = gx - (float)x0, fy = gy - (float)y0;
    const cell *k[4] = { &s->cells[y0 * cw + x0], &s->cells[y0 * cw + x1],
                         &s->cells[y1 * cw + x0], &s->cells[y1 * cw + x1] };
    const float w[4] = { (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy };
    cell r = { 0, 0, 0 };

    for (int i = 0; i < 4; i++) {
        r.dx += w[i] * k[i]->dx;
        r.dy += w[i] * k[i]->dy;
        r.trust += w[i] * k[i]->trust;
    }
    return r;
}

/* The steadied value of one mask pixel. */
static float blend_pixel(const vbg_steady *s, float now, int x, int y, float ratio)
{
    const float gx = (float)s->flow.cells_w / (float)s->mask_w;
    const float gy = (float)s->flow.cells_h / (float)s->mask_h;
    const float u = 1 - (2 * now - 1) * (2 * now - 1);

    if (!(u > 1e-3f)) /* sure, or no number */
        return now;
    const cell f =
        flow_at(s, ((float)x + 0.5f) * gx - 0.5f, ((float)y + 0.5f) * gy - 0.5f);
    const float old = sample(&s->before, (float)x + f.dx, (float)y + f.dy);
    return now + ratio * u * f.trust * (old - now);
}

static void blend(vbg_steady *s, vbg_image *prob, float ratio)
{
    for (int y = 0; y < s->mask_h; y++) {
        float *p = vbg_image_row(prob, y);
        for (int x0 = 0; x0 < s->mask_w; x0 += RUN) {
            const int n = vbg_min_int(RUN, s->mask_w - x0);
            if (!unsure(p + x0, NULL, n, 2e-4f)) /* u of blend_pixel is less */
                continue;
            for (int x = x0; x < x0 + n; x++)
                p[x] = blend_pixel(s, p[x], x, y, ratio);
        }
    }
}

void vbg_steady_run(vbg_steady *s, vbg_ctx *c, const vbg_raw_frame *raw, vbg_image *prob,
                    double ratio)
{
    const vbg_kernels *k = vbg_ctx_kernels(c);
    const bool follows = s->has_before && raw->epoch == s->epoch &&
                         raw->index > s->index && raw->index - s->index <= MOST_GAP;

    s->now = !s->now;
    vbg_cell_flow_shrink(&s->flow, k, &s->small, raw);
    vbg_cell_flow_look(&s->flow, k, s->now, &s->small);
    if (follows && ratio > 0) {
        mark_edges(s, prob);
        measure(s, c);
        blend(s, prob, (float)ratio);
    }
    for (int y = 0; y < s->mask_h; y++)
        memcpy(vbg_image_row(&s->before, y), vbg_image_row(prob, y),
               (size_t)s->mask_w * sizeof(float));
    s->has_before = true;
    s->index = raw->index;
    s->epoch = raw->epoch;
}
