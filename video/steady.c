/* The temporal filter of masks. */
#include "video/steady.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/flow.h"
#include "video/resize.h"

enum {
    CELL = 8,    /* pixels of the small picture */
    WINDOW = 11, /* of the flow */
    LEVELS = 3,
    MOST_GAP = 5
};

static const float same_levels = 14; /* mean difference up to which a match is believed */
static const float farthest = 40;    /* pixels of the small picture */

typedef struct cell {
    float dx, dy, trust; /* from now to before, in mask pixels */
} cell;

struct vbg_steady {
    int w, h, mask_w, mask_h;
    vbg_resizer *shrink;
    vbg_picture small;
    vbg_pyramid pyramid[2];
    int now;
    vbg_image before;
    bool has_before;
    int64_t index, epoch;
    int cells_w, cells_h;
    cell *cells;
    vbg_point *from, *to;
    uint8_t *ok, *near;
    float *diff;
    int *which; /* point -> cell */
};

vbg_status vbg_steady_new(vbg_steady **out, int w, int h, int mask_w, int mask_h,
                          vbg_err *err)
{
    vbg_steady *s = calloc(1, sizeof *s);
    const int scale = w >= 960 ? 4 : w >= 480 ? 2 : 1;
    const int sw = vbg_max_int(16, w / scale), sh = vbg_max_int(16, h / scale);
    vbg_status st;

    *out = NULL;
    if (!s)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    s->w = sw;
    s->h = sh;
    s->mask_w = mask_w;
    s->mask_h = mask_h;
    s->cells_w = (sw + CELL - 1) / CELL;
    s->cells_h = (sh + CELL - 1) / CELL;
    const size_t n = (size_t)s->cells_w * (size_t)s->cells_h;
    st = vbg_resizer_new(&s->shrink, w, h, sw, sh, 1, VBG_INTERP_AREA, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&s->small, sw, sh, 1, err);
    for (int i = 0; i < 2 && st == VBG_OK; i++)
        st = vbg_pyramid_new(&s->pyramid[i], sw, sh, LEVELS - 1, WINDOW, err);
    if (st == VBG_OK)
        st = vbg_image_new(&s->before, mask_w, mask_h, 1, err);
    s->cells = vbg_alloc(n * sizeof *s->cells);
    s->from = vbg_alloc(n * sizeof *s->from);
    s->to = vbg_alloc(n * sizeof *s->to);
    s->ok = vbg_alloc(n);
    s->near = vbg_alloc(2 * n);
    s->diff = vbg_alloc(n * sizeof *s->diff);
    s->which = vbg_alloc(n * sizeof *s->which);
    if (st == VBG_OK &&
        (!s->cells || !s->from || !s->to || !s->ok || !s->near || !s->diff || !s->which))
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
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
    vbg_resizer_free(s->shrink);
    vbg_picture_free(&s->small);
    vbg_pyramid_free(&s->pyramid[0]);
    vbg_pyramid_free(&s->pyramid[1]);
    vbg_image_free(&s->before);
    vbg_free_mem(s->cells);
    vbg_free_mem(s->from);
    vbg_free_mem(s->to);
    vbg_free_mem(s->ok);
    vbg_free_mem(s->near);
    vbg_free_mem(s->diff);
    vbg_free_mem(s->which);
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
    const int cw = s->cells_w, ch = s->cells_h;
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
    static const vbg_flow_opt opt = { .win_w = WINDOW,
                                      .win_h = WINDOW,
                                      .max_level = LEVELS - 1,
                                      .iterations = 10,
                                      .epsilon = 0.03f,
                                      .min_eigenvalue = 1e-4f };
    const float sx = (float)s->mask_w / (float)s->w, sy = (float)s->mask_h / (float)s->h;
    int n = 0;

    for (int i = 0; i < s->cells_w * s->cells_h; i++) {
        const int x = i % s->cells_w * CELL + CELL / 2,
                  y = i / s->cells_w * CELL + CELL / 2;
        s->cells[i] = (cell){ 0, 0, s->near[i] ? 0 : 1 };
        if (!s->near[i])
            continue;
        s->from[n] = (vbg_point){ (float)vbg_min_int(x, s->w - 1),
                                  (float)vbg_min_int(y, s->h - 1) };
        s->which[n++] = i;
    }
    vbg_flow_track(
        c, &s->pyramid[s->now], &s->pyramid[!s->now], &opt,
        &(vbg_flow_points){
            .count = n, .from = s->from, .to = s->to, .status = s->ok, .err = s->diff });
    for (int i = 0; i < n; i++) {
        const float dx = s->to[i].x - s->from[i].x, dy = s->to[i].y - s->from[i].y;
        cell *k = &s->cells[s->which[i]];
        if (!s->ok[i]) { /* a flat window: nothing moves there that could be seen */
            k->trust = 0.5f;
            continue;
        }
        if (!(fabsf(dx) < farthest && fabsf(dy) < farthest))
            continue;
        k->dx = dx * sx;
        k->dy = dy * sy;
        k->trust = fmaxf(0, 1 - s->diff[i] / same_levels);
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
    gx = fminf(fmaxf(gx, 0), (float)(s->cells_w - 1));
    gy = fminf(fmaxf(gy, 0), (float)(s->cells_h - 1));
    const int x0 = (int)gx, y0 = (int)gy;
    const int x1 = vbg_min_int(x0 + 1, s->cells_w - 1);
    const int y1 = vbg_min_int(y0 + 1, s->cells_h - 1);
    const float fx = gx - (float)x0, fy = gy - (float)y0;
    const cell *k[4] = { &s->cells[y0 * s->cells_w + x0], &s->cells[y0 * s->cells_w + x1],
                         &s->cells[y1 * s->cells_w + x0],
                         &s->cells[y1 * s->cells_w + x1] };
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
    const float gx = (float)s->cells_w / (float)s->mask_w;
    const float gy = (float)s->cells_h / (float)s->mask_h;
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
    const vbg_yuv *v = &raw->frame.yuv;
    const vbg_picture luma = {
        .data = v->plane[0], .w = v->w, .h = v->h, .channels = 1, .stride = v->stride[0]
    };
    const bool follows = s->has_before && raw->epoch == s->epoch &&
                         raw->index > s->index && raw->index - s->index <= MOST_GAP;

    s->now = !s->now;
    vbg_resizer_u8(s->shrink, vbg_ctx_kernels(c), &s->small, &luma);
    vbg_pyramid_build(&s->pyramid[s->now], s->small.data, s->small.stride,
                      &vbg_ctx_kernels(c)->lk);
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
