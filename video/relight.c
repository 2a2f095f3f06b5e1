/* Spill, light wrap and lighting match. */
#include "video/relight.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/light.h"
#include "video/image.h"

enum { SCALE = VBG_LIGHT_SCALE, RADIUS = 1, STRIP = 32, FIELDS = 8 };

/* Fields of a small pixel: alpha, person (Y U V, weighted by alpha squared), their
 * weight, background (Y U V). */
enum { A, PY, PU, PV, PW, BY, BU, BV };

struct vbg_relight {
    vbg_raw_frame lit;
    int w, h;                 /* small */
    vbg_image small, blurred; /* FIELDS planes below each other */
    double mean[3];           /* smoothed match: additions */
    bool matched;
    /* of the run */
    const vbg_raw_frame *raw;
    const vbg_picture *alpha;
    const vbg_light_kernels *k;
    vbg_relight_opt opt;
};

vbg_status vbg_relight_new(vbg_relight **out, int w, int h, vbg_err *err)
{
    vbg_relight *r = calloc(1, sizeof *r);
    vbg_status st;

    *out = NULL;
    if (!r)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    r->w = (w + SCALE - 1) / SCALE;
    r->h = (h + SCALE - 1) / SCALE;
    st = vbg_frame_new(&r->lit.frame, w, h, err);
    if (st == VBG_OK)
        st = vbg_image_new(&r->small, r->w, r->h * FIELDS, 1, err);
    if (st == VBG_OK)
        st = vbg_image_new(&r->blurred, r->w, r->h * FIELDS, 1, err);
    if (st == VBG_OK)
        *out = r;
    else
        vbg_relight_free(r);
    return st;
}

void vbg_relight_free(vbg_relight *r)
{
    if (!r)
        return;
    vbg_frame_free(&r->lit.frame);
    vbg_image_free(&r->small);
    vbg_image_free(&r->blurred);
    free(r);
}

static float *field(const vbg_image *p, const vbg_relight *r, int f, int y)
{
    return vbg_image_row(p, f * r->h + y);
}

static const uint8_t *row_of(const vbg_yuv *v, int p, int y)
{
    return v->plane[p] + (size_t)y * v->stride[p];
}

/* One pixel in each block stands for it: light is smooth. */
static void gather(vbg_relight *r, const vbg_picture *back)
{
    const vbg_yuv *v = &r->raw->frame.yuv;

    for (int y = 0; y < r->h; y++) {
        const int fy = vbg_min_int(y * SCALE + SCALE / 2, v->h - 1);
        const uint8_t *a = vbg_picture_row(r->alpha, fy), *b = vbg_picture_row(back, fy);
        const uint8_t *l = row_of(v, 0, fy), *u = row_of(v, 1, fy / 2),
                      *w = row_of(v, 2, fy / 2);
        float *d[FIELDS];
        for (int f = 0; f < FIELDS; f++)
            d[f] = field(&r->small, r, f, y);
        for (int x = 0; x < r->w; x++) {
            const int fx = vbg_min_int(x * SCALE + SCALE / 2, v->w - 1);
            const float alpha = (float)a[fx] / 255, k = alpha * alpha * alpha;
            d[A][x] = alpha;
            d[PY][x] = k * (float)l[fx];
            d[PU][x] = k * (float)u[fx / 2];
            d[PV][x] = k * (float)w[fx / 2];
            d[PW][x] = k;
            for (int i = 0; i < 3; i++)
                d[BY + i][x] = b[3 * fx + i];
        }
    }
}

/* The top row's mean over the rows around it; later rows add and subtract. */
static void first_row(vbg_relight *r, int f, float *d)
{
    for (int x = 0; x < r->w; x++)
        d[x] = field(&r->small, r, f, 0)[x] * (RADIUS + 1) / (2 * RADIUS + 1);
    for (int k = 1; k <= RADIUS; k++) {
        const float *s = field(&r->small, r, f, vbg_min_int(k, r->h - 1));
        for (int x = 0; x < r->w; x++)
            d[x] += s[x] / (2 * RADIUS + 1);
    }
}

/* Means over 2 RADIUS + 1 in both directions, the border repeated; small -> blurred. */
static void blur(vbg_relight *r)
{
    const float share = 1.0f / (2 * RADIUS + 1);
    float line[4096];

    for (int y = 0; y < r->h * FIELDS; y++) {
        float *s = vbg_image_row(&r->small, y), sum = 0;
        const int w = vbg_min_int(r->w, 4096);
        memcpy(line, s, (size_t)w * sizeof *line);
        for (int k = -RADIUS; k <= RADIUS; k++)
            sum += line[vbg_min_int(vbg_max_int(k, 0), w - 1)];
        for (int x = 0; x < w; x++) {
            s[x] = sum * share;
            sum += line[vbg_min_int(x + RADIUS + 1, w - 1)] -
                   line[vbg_max_int(x - RADIUS, 0)];
        }
    }
    for (int f = 0; f < FIELDS; f++)
        for (int y = 0; y < r->h; y++) {
            const int in = vbg_min_int(y + RADIUS, r->h - 1);
            const int gone = vbg_max_int(y - RADIUS - 1, 0);
            const float *before = field(&r->blurred, r, f, vbg_max_int(y - 1, 0));
            const float *add = field(&r->small, r, f, in);
            const float *less = field(&r->small, r, f, gone);
            float *d = field(&r->blurred, r, f, y);
            if (y == 0) {
                first_row(r, f, d);
                continue;
            }
#pragma omp simd
            for (int x = 0; x < r->w; x++)
                d[x] = before[x] + (add[x] - less[x]) * share;
        }
}

/* How far the person's light is from the room's, carried over smoothly. */
static void measure(vbg_relight *r, double share)
{
    double p[3] = { 0 }, b[3] = { 0 }, weight = 0, room = 0;

    for (int y = 0; y < r->h; y++) {
        const float *a = field(&r->small, r, A, y), *k = field(&r->small, r, PW, y);
        for (int x = 0; x < r->w; x++) {
            weight += k[x];
            room += 1 - a[x];
            for (int i = 0; i < 3; i++) {
                p[i] += field(&r->small, r, PY + i, y)[x];
                b[i] += (1 - a[x]) * field(&r->small, r, BY + i, y)[x];
            }
        }
    }
    if (weight < 20 || room < 20)
        return;
    for (int i = 0; i < 3; i++) {
        double d = b[i] / room - p[i] / weight;
        /* a hint of the room, not its colour: at most 24 levels, tint less */
        const double most = i ? 6 : 24;
        d = fmax(-most, fmin(most, (i ? 0.3 : 0.4) * d));
        r->mean[i] += (r->matched ? share : 1) * (d - r->mean[i]);
    }
    r->matched = true;
}

/* Fields a row of the plane is lit by, in its vertical place: [-1] to [w + 8] of each. */
enum { PERSON, WEIGHT, INSIDE, BACK, ROWS };
typedef struct row_fields {
    float data[ROWS][VBG_VIDEO_MAX_SIDE / SCALE + 16];
} row_fields;

/* Columns from .. to-1 and what lies around them; the rest stays. */
static void field_rows(row_fields *t, const vbg_relight *r, int p, int y, int from,
                       int to)
{
    const int x0 = vbg_max_int(from - 1, 0), x1 = vbg_min_int(to + 2, r->w);
    const int which[ROWS] = { PY + p, PW, A, BY + p };
    const float sy = fminf(fmaxf(((float)y - SCALE / 2) / SCALE, 0), (float)(r->h - 1));
    const int y0 = (int)sy, y1 = vbg_min_int(y0 + 1, r->h - 1);
    const float f = sy - (float)y0;

    for (int i = 0; i < ROWS; i++) {
        const float *a = field(&r->blurred, r, which[i], y0);
        const float *b = field(&r->blurred, r, which[i], y1);
        float *d = t->data[i] + 1;
#pragma omp simd
        for (int x = x0; x < x1; x++)
            d[x] = a[x] + f * (b[x] - a[x]);
        if (x0 == 0)
            d[-1] = d[0];
        for (int x = x1; x < x1 + 9; x++) /* at the border repeated; else not used */
            d[x] = d[x1 - 1];
    }
}

/* Deep inside only the match changes anything. */
static void shift(uint8_t *d, const uint8_t *s, int n, float add)
{
    const int by = (int)floorf(add + 0.5f);

#pragma omp simd
    for (int x = 0; x < n; x++) {
        const int v = s[x] + by;
        d[x] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

typedef enum block { NOBODY, EDGE, DEEP } block;

static block kind_of(float inside, float add)
{
    if (inside < 0.004f || (inside > 0.996f && add == 0))
        return NOBODY;
    return inside > 0.996f ? DEEP : EDGE;
}

/* Blocks of one kind beside each other, NOBODY left out: columns from .. to-1. */
typedef struct run_of {
    block kind;
    short from, to;
} run_of;

typedef struct runs {
    int count;
    run_of run[VBG_VIDEO_MAX_SIDE / SCALE + 1];
} runs;

/* What is to be done in the frame's rows of small row y, plane p. */
static void find_runs(runs *s, const vbg_relight *r, int p, int y)
{
    const float add = (float)r->opt.match * (float)r->mean[p];
    const float *wide = field(&r->blurred, r, A, vbg_min_int(y, r->h - 1));

    s->count = 0;
    for (int x = 0, end; x < r->w; x = end) {
        const block kind = kind_of(wide[x], add);
        for (end = x + 1; end < r->w && kind_of(wide[end], add) == kind;)
            end++;
        if (kind != NOBODY)
            s->run[s->count++] = (run_of){ kind, (short)x, (short)end };
    }
}

/* A row is copied; then what is near the outline is changed, as far as it is shown. */
static void plane_row(const vbg_relight *r, const runs *s, int p, int y)
{
    const vbg_yuv *v = &r->raw->frame.yuv;
    const int half = p ? 2 : 1, w = p ? (v->w + 1) / 2 : v->w, per = SCALE / half;
    const float add = (float)r->opt.match * (float)r->mean[p];
    uint8_t *d = r->lit.frame.yuv.plane[p] + (size_t)y * r->lit.frame.yuv.stride[p];
    row_fields t;
    const vbg_light_row job = { .dst = d,
                                .src = row_of(v, p, y),
                                .alpha = vbg_picture_row(r->alpha,
                                                         vbg_min_int(y * half, v->h - 1)),
                                .person = t.data[PERSON] + 1,
                                .weight = t.data[WEIGHT] + 1,
                                .inside = t.data[INSIDE] + 1,
                                .back = t.data[BACK] + 1,
                                .spill = (float)r->opt.spill,
                                .wrap = 0.5f * (float)r->opt.wrap,
                                .add = add,
                                .half = p > 0 };

    memcpy(d, job.src, (size_t)w);
    for (int i = 0; i < s->count; i++) {
        const int x = s->run[i].from;
        int end = s->run[i].to;
        if (s->run[i].kind == DEEP) {
            shift(d + x * per, job.src + x * per, vbg_min_int(end * per, w) - x * per,
                  add);
            continue;
        }
        end = vbg_min_int((end + half - 1) / half * half, r->w);
        field_rows(&t, r, p, y * half, x / half * half, end);
        r->k->edge(&job, x / half * half, (end + half - 1) / half * half);
    }
}

static void strip(void *arg, size_t index, int thread)
{
    vbg_relight *r = arg;
    const int h = r->raw->frame.yuv.h, y0 = (int)index * STRIP;
    const int y1 = vbg_min_int(y0 + STRIP, h);

    (void)thread;
    for (int p = 0; p < 3; p++) {
        const int half = p ? 2 : 1;
        runs s;
        s.count = 0;
        for (int y = y0 / half; y < (y1 + half - 1) / half; y++) {
            if (y == y0 / half || y * half % SCALE == 0)
                find_runs(&s, r, p, y * half / SCALE);
            plane_row(r, &s, p, y);
        }
    }
}

const vbg_raw_frame *vbg_relight_run(vbg_relight *r, vbg_ctx *c,
                                     const vbg_relight_opt *opt, const vbg_raw_frame *raw,
                                     const vbg_mask *mask, const vbg_picture *back)
{
    if ((opt->spill <= 0 && opt->wrap <= 0 && opt->match <= 0) ||
        !vbg_mask_usable(mask, raw))
        return raw;
    r->raw = raw;
    r->alpha = &mask->alpha;
    r->opt = *opt;
    r->k = &vbg_ctx_kernels(c)->light;
    gather(r, back);
    if (opt->match > 0)
        measure(r, 0.05);
    blur(r);
    vbg_parallel(c, (size_t)((raw->frame.yuv.h + STRIP - 1) / STRIP), strip, r);
    r->lit.index = raw->index;
    r->lit.epoch = raw->epoch;
    r->lit.frame.time_s = raw->frame.time_s;
    r->lit.frame.yuv.bt709 = raw->frame.yuv.bt709;
    r->lit.frame.yuv.full_range = raw->frame.yuv.full_range;
    return &r->lit;
}
