/* Pyramidal Lucas-Kanade.  See flow.h for the conventions; every window sum is an exact
 * integer (kernels/lk.h), the 2x2 solve is f32 as in the implementation compared with. */
#include "video/flow.h"

#include <float.h>
#include <math.h>

enum { CHUNK = 16 }; /* points per task */

static const float scale = 1.0f / (1 << 20);

typedef struct job {
    const vbg_pyramid *prev, *next;
    const vbg_flow_opt *opt;
    const vbg_lk_kernels *k;
    const vbg_point *from;
    vbg_point *to;
    uint8_t *status;
    float *err;
    int count, top;
} job;

/* lrintf without its call: 0 <= v < 2^22. */
static int nearest(float v)
{
    return (int)(v + 8388608.0f - 8388608.0f);
}

/* Splits a position into corner and weights; false when the window lies more than its
 * own size outside the picture. */
static bool place(vbg_lk_spot *s, const vbg_plane *im, const vbg_flow_opt *opt, float x,
                  float y)
{
    /* also false for NaN; keeps the conversion to int defined */
    if (!(x >= -64.0f && y >= -64.0f && x <= 65536.0f && y <= 65536.0f))
        return false;
    s->x = (int)x - ((float)(int)x > x); /* floor; the library's is a call */
    s->y = (int)y - ((float)(int)y > y);
    if (s->x < -opt->win_w || s->x >= im->w || s->y < -opt->win_h || s->y >= im->h)
        return false;
    const float a = x - (float)s->x, b = y - (float)s->y;
    s->weight[0] = nearest((1.0f - a) * (1.0f - b) * 16384.0f);
    s->weight[1] = nearest(a * (1.0f - b) * 16384.0f);
    s->weight[2] = nearest((1.0f - a) * b * 16384.0f);
    s->weight[3] = 16384 - s->weight[0] - s->weight[1] - s->weight[2];
    return true;
}

/* Newton steps of one level; *x, *y is the window's corner.  False when it left. */
static bool iterate(const job *j, const vbg_lk_patch *p, const vbg_plane *im, float *x,
                    float *y)
{
    const float a11 = (float)p->a11 * scale, a12 = (float)p->a12 * scale;
    const float a22 = (float)p->a22 * scale;
    const float inverse = 1.0f / (a11 * a22 - a12 * a12);
    const double stop = (double)j->opt->epsilon * (double)j->opt->epsilon;
    float last_x = 0, last_y = 0;

    for (int i = 0; i < j->opt->iterations; i++) {
        vbg_lk_spot s;
        int64_t b[2];
        if (!place(&s, im, j->opt, *x, *y))
            return false;
        j->k->step(b, p, im, &s);
        const float b1 = (float)b[0] * scale, b2 = (float)b[1] * scale;
        const float dx = (a12 * b2 - a22 * b1) * inverse;
        const float dy = (a12 * b1 - a11 * b2) * inverse;
        *x += dx;
        *y += dy;
        if ((double)dx * (double)dx + (double)dy * (double)dy <= stop)
            break;
        if (i > 0 && fabsf(dx + last_x) < 0.01f && fabsf(dy + last_y) < 0.01f) {
            *x -= dx * 0.5f;
            *y -= dy * 0.5f;
            break;
        }
        last_x = dx;
        last_y = dy;
    }
    return true;
}

/* One point on one level.  *to: in and out in pixels of this level. */
static void track_level(const job *j, int index, int level, vbg_lk_patch *p,
                        vbg_point *to)
{
    const vbg_plane *prev = &j->prev->level[level], *next = &j->next->level[level];
    const vbg_flow_opt *opt = j->opt;
    const float half_x = (float)(opt->win_w - 1) * 0.5f;
    const float half_y = (float)(opt->win_h - 1) * 0.5f;
    const float shrink = 1.0f / (float)(1 << level);
    const vbg_point from = j->from[index];
    vbg_lk_spot s;

    if (!place(&s, prev, opt, from.x * shrink - half_x, from.y * shrink - half_y)) {
        if (level == 0)
            j->status[index] = 0;
        return;
    }
    j->k->patch(p, prev, &s);
    const float a11 = (float)p->a11 * scale, a12 = (float)p->a12 * scale;
    const float a22 = (float)p->a22 * scale;
    const float det = a11 * a22 - a12 * a12;
    const float eigen =
        (a22 + a11 - sqrtf((a11 - a22) * (a11 - a22) + 4.0f * a12 * a12)) /
        (float)(2 * opt->win_w * opt->win_h);
    if (j->err && opt->want_eigenvalue)
        j->err[index] = eigen;
    if (eigen < opt->min_eigenvalue || det < FLT_EPSILON) {
        if (level == 0)
            j->status[index] = 0;
        return;
    }
    float x = to->x - half_x, y = to->y - half_y;
    const bool inside = iterate(j, p, next, &x, &y);
    to->x = x + half_x;
    to->y = y + half_y;
    if (level > 0)
        return;
    if (!inside || !place(&s, next, opt, to->x - half_x, to->y - half_y))
        j->status[index] = 0;
    else if (j->err && !opt->want_eigenvalue)
        j->err[index] =
            (float)j->k->residual(p, next, &s) / (float)(32 * opt->win_w * opt->win_h);
}

static void track_chunk(void *arg, size_t chunk, int thread)
{
    const job *j = arg;
    const int first = (int)chunk * CHUNK;
    vbg_lk_patch p;

    (void)thread;
    p.w = j->opt->win_w;
    p.h = j->opt->win_h;
    for (int i = first; i < first + CHUNK && i < j->count; i++) {
        const float shrink = 1.0f / (float)(1 << j->top);
        const vbg_point start = j->opt->use_guess ? j->to[i] : j->from[i];
        vbg_point to = { start.x * shrink, start.y * shrink };

        j->status[i] = 1;
        if (j->err)
            j->err[i] = 0;
        for (int level = j->top; level >= 0; level--) {
            track_level(j, i, level, &p, &to);
            if (level > 0) {
                to.x *= 2.0f;
                to.y *= 2.0f;
            }
        }
        j->to[i] = to;
        if (j->err && !j->status[i] && !j->opt->want_eigenvalue)
            j->err[i] = 0;
    }
}

void vbg_flow_track(vbg_ctx *c, const vbg_pyramid *prev, const vbg_pyramid *next,
                    const vbg_flow_opt *opt, const vbg_flow_points *points)
{
    const int levels = vbg_min_int(prev->levels, next->levels);
    job j = { .prev = prev,
              .next = next,
              .opt = opt,
              .k = &vbg_ctx_kernels(c)->lk,
              .from = points->from,
              .to = points->to,
              .status = points->status,
              .err = points->err,
              .count = points->count,
              .top = vbg_min_int(opt->max_level, levels - 1) };

    VBG_CHECK(opt->win_w >= 1 && opt->win_h >= 1 && opt->win_w <= VBG_LK_WINDOW_MAX &&
                  opt->win_h <= VBG_LK_WINDOW_MAX && opt->max_level >= 0,
              "flow: window %dx%d, level %d", opt->win_w, opt->win_h, opt->max_level);
    VBG_CHECK(prev->pad >= opt->win_w + VBG_LK_MARGIN &&
                  prev->pad >= opt->win_h + VBG_LK_MARGIN && next->pad == prev->pad,
              "flow: pyramid padding %d is too small for the window", prev->pad);
    vbg_parallel(c, (size_t)(points->count + CHUNK - 1) / CHUNK, track_chunk, &j);
}
