/* Where a carried mask is not believed. */
#include "video/doubt.h"

#include <stdlib.h>
#include <string.h>

enum {
    PERSON = 128,
    STEP = 28, /* levels of luma that no noise makes */
    LEVELS = 511
};

enum {
    ALIKE,
    SHIFTED, /* like something within a pixel: a flow not quite right, or a rim */
    UNLIKE
};

struct vbg_doubt {
    int w, h;
    int16_t *change; /* now - expected */
    uint8_t *doubt;  /* how it looks: ALIKE to UNLIKE */
    bool *open;      /* an edge or doubtful, and not reached yet */
    int *queue;
    vbg_picture keep; /* 255 believed, 0 not */
};

vbg_status vbg_doubt_new(vbg_doubt **out, int w, int h, vbg_err *err)
{
    const size_t n = (size_t)w * (size_t)h;
    vbg_doubt *d = calloc(1, sizeof *d);

    *out = NULL;
    if (!d)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    d->w = w;
    d->h = h;
    d->change = vbg_alloc(n * sizeof *d->change);
    d->doubt = vbg_alloc(n);
    d->open = vbg_alloc(n * sizeof *d->open);
    d->queue = vbg_alloc(n * sizeof *d->queue);
    vbg_status st = vbg_picture_new(&d->keep, w, h, 1, err);
    if (st == VBG_OK && (!d->change || !d->doubt || !d->open || !d->queue))
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (st == VBG_OK)
        *out = d;
    else
        vbg_doubt_free(d);
    return st;
}

void vbg_doubt_free(vbg_doubt *d)
{
    if (!d)
        return;
    vbg_free_mem(d->change);
    vbg_free_mem(d->doubt);
    vbg_free_mem(d->open);
    vbg_free_mem(d->queue);
    vbg_picture_free(&d->keep);
    free(d);
}

/* Alpha in the middle of a small pixel. */
static int alpha_at(const vbg_picture *alpha, int x, int y, int scale)
{
    return vbg_picture_row(alpha, y * scale + scale / 2)[x * scale + scale / 2];
}

/* Fills d->change; the person's median. */
static int compare(vbg_doubt *d, const vbg_picture *expected, const vbg_picture *now,
                   const vbg_picture *alpha, int scale)
{
    int count[LEVELS] = { 0 }, n = 0, below = 0, level = 0;

    for (int y = 0; y < d->h; y++) {
        const uint8_t *e = vbg_picture_row(expected, y), *s = vbg_picture_row(now, y);
        for (int x = 0; x < d->w; x++) {
            const int change = s[x] - e[x];
            d->change[y * d->w + x] = (int16_t)change;
            if (alpha_at(alpha, x, y, scale) < PERSON)
                continue;
            count[change + LEVELS / 2]++;
            n++;
        }
    }
    while (level < LEVELS - 1 && 2 * (below + count[level]) < n)
        below += count[level++];
    return level - LEVELS / 2;
}

static uint8_t judge(const vbg_doubt *d, const vbg_picture *expected, int x, int y,
                     int light)
{
    const int i = y * d->w + x;
    const int level = d->change[i] - light + vbg_picture_row(expected, y)[x];
    int low = 255, high = 0;

    if (abs(d->change[i] - light) <= STEP)
        return ALIKE;
    for (int v = vbg_max_int(y - 1, 0); v <= vbg_min_int(y + 1, d->h - 1); v++)
        for (int u = vbg_max_int(x - 1, 0); u <= vbg_min_int(x + 1, d->w - 1); u++) {
            low = vbg_min_int(low, vbg_picture_row(expected, v)[u]);
            high = vbg_max_int(high, vbg_picture_row(expected, v)[u]);
        }
    return level < low - STEP || level > high + STEP ? UNLIKE : SHIFTED;
}

/* Marks what the search may walk through, and puts the background at its start; how many
 * that are. */
static int start(vbg_doubt *d, const vbg_picture *expected, const vbg_picture *alpha,
                 int scale, int light)
{
    int n = 0;

    for (int y = 0; y < d->h; y++) {
        memset(vbg_picture_row(&d->keep, y), 255, (size_t)d->w);
        for (int x = 0; x < d->w; x++) {
            const int a = alpha_at(alpha, x, y, scale), i = y * d->w + x;
            d->doubt[i] = a > 0 ? judge(d, expected, x, y, light) : ALIKE;
            d->open[i] = a > 0 && (a < PERSON || d->doubt[i] != ALIKE);
            if (a == 0)
                d->queue[n++] = i;
        }
    }
    return n;
}

/* Where background is reached that is unlike, it and its doubtful neighbours are not
 * believed. */
static void disbelieve(vbg_doubt *d, int at)
{
    const int x = at % d->w, y = at / d->w;

    for (int v = vbg_max_int(y - 1, 0); v <= vbg_min_int(y + 1, d->h - 1); v++)
        for (int u = vbg_max_int(x - 1, 0); u <= vbg_min_int(x + 1, d->w - 1); u++)
            if (d->doubt[v * d->w + u] != ALIKE)
                vbg_picture_row(&d->keep, v)[u] = 0;
}

/* From the background inwards.  True when something is not believed. */
static bool search(vbg_doubt *d, int n)
{
    static const int step_x[4] = { 1, -1, 0, 0 }, step_y[4] = { 0, 0, 1, -1 };
    bool any = false;

    for (int i = 0; i < n; i++) {
        const int from = d->queue[i], x = from % d->w, y = from / d->w;
        for (int k = 0; k < 4; k++) {
            const int u = x + step_x[k], v = y + step_y[k], at = v * d->w + u;
            if (u < 0 || v < 0 || u >= d->w || v >= d->h || !d->open[at])
                continue;
            d->open[at] = false;
            d->queue[n++] = at;
            if (d->doubt[at] == UNLIKE) {
                disbelieve(d, at);
                any = true;
            }
        }
    }
    return any;
}

/* Is the small pixel, or one beside it, not believed? */
static bool near_doubt(const vbg_doubt *d, int x, int y)
{
    for (int v = vbg_max_int(y - 1, 0); v <= vbg_min_int(y + 1, d->h - 1); v++)
        for (int u = vbg_max_int(x - 1, 0); u <= vbg_min_int(x + 1, d->w - 1); u++)
            if (vbg_picture_row(&d->keep, v)[u] == 0)
                return true;
    return false;
}

/* What is believed around a pixel, widened bilinearly. */
static float believed(const vbg_doubt *d, int x, int y, int scale)
{
    const float u = ((float)x + 0.5f) / (float)scale - 0.5f;
    const float v = ((float)y + 0.5f) / (float)scale - 0.5f;
    const int x0 = vbg_max_int(0, (int)u), x1 = vbg_min_int(x0 + 1, d->w - 1);
    const int y0 = vbg_max_int(0, (int)v), y1 = vbg_min_int(y0 + 1, d->h - 1);
    const uint8_t *a = vbg_picture_row(&d->keep, y0), *b = vbg_picture_row(&d->keep, y1);
    const float fx = u > 0 ? u - (float)x0 : 0, fy = v > 0 ? v - (float)y0 : 0;
    const float top = (float)a[x0] + fx * (float)(a[x1] - a[x0]);
    const float low = (float)b[x0] + fx * (float)(b[x1] - b[x0]);

    return (top + fy * (low - top)) / 255;
}

void vbg_doubt_run(vbg_doubt *d, const vbg_picture *expected, const vbg_picture *now,
                   vbg_picture *alpha, int scale)
{
    const int light = compare(d, expected, now, alpha, scale);

    if (!search(d, start(d, expected, alpha, scale, light)))
        return;
    for (int i = 0; i < d->w * d->h; i++) {
        const int u = i % d->w, v = i / d->w, x0 = u * scale, y0 = v * scale;
        if (!near_doubt(d, u, v))
            continue;
        for (int y = y0; y < y0 + scale; y++)
            for (int x = x0; x < x0 + scale; x++) {
                uint8_t *a = vbg_picture_row(alpha, y) + x;
                *a = (uint8_t)((float)*a * believed(d, x, y, scale));
            }
    }
}
