/* Remembered views. */
#include "video/keyframes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/panorama.h"

enum {
    KEYS = 8,
    POINTS = 120,
    ENOUGH = 24,  /* points that make a view worth remembering */
    LEAST = 12,   /* inliers of an answer that is believed */
    EVERY = 30,   /* frames between two looks */
    HURRY = 5,    /* while something is to be corrected */
    GIVE_UP = 20, /* looks that fail before a view is replaced */
    ROUNDS = 100  /* of the rotation fit */
};

static const double spacing = 0.25;     /* of the field of view, between two views */
static const double both_ways_px = 0.7; /* forward-backward distance of a good point */
static const double inlier_px = 1.5;
static const double small_px = 0.5; /* errors below are mended slowly: noise */
static const double slow = 0.3, fast = 0.6; /* share of the way at one look */
static const double failed_rad = 0.1;       /* as if a view were so much farther off */

typedef struct key {
    vbg_pyramid pyramid;
    double r[9];
    int count; /* 0: free */
    vbg_point at[POINTS];
    double ray[POINTS][3];
    int failed;
    int64_t used;
} key;

struct vbg_keyframes {
    vbg_ctx *c;
    vbg_keyframes_opt opt;
    key keys[KEYS];
    int64_t frame, due;
    /* of a look */
    vbg_point from[POINTS], to[POINTS], back[POINTS];
    uint8_t ok[POINTS], ok_back[POINTS], inlier[POINTS];
    vbg_sighting seen[POINTS];
    int which[POINTS];
};

vbg_status vbg_keyframes_new(vbg_keyframes **out, vbg_ctx *c,
                             const vbg_keyframes_opt *opt, vbg_err *err)
{
    vbg_keyframes *k = calloc(1, sizeof *k);
    vbg_status st = VBG_OK;

    *out = NULL;
    if (!k)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    k->c = c;
    k->opt = *opt;
    k->opt.flow.use_guess = true;
    for (int i = 0; i < KEYS && st == VBG_OK; i++)
        st = vbg_pyramid_new(&k->keys[i].pyramid, opt->w, opt->h, opt->flow.max_level,
                             opt->flow.win_w, err);
    if (st == VBG_OK)
        *out = k;
    else
        vbg_keyframes_free(k);
    return st;
}

void vbg_keyframes_free(vbg_keyframes *k)
{
    if (!k)
        return;
    for (int i = 0; i < KEYS; i++)
        vbg_pyramid_free(&k->keys[i].pyramid);
    free(k);
}

/* What turns r into `to`: to r^T. */
static void between(double d[9], const double to[9], const double r[9])
{
    const double back[9] = { r[0], r[3], r[6], r[1], r[4], r[7], r[2], r[5], r[8] };

    vbg_rotation_multiply(d, to, back, false);
}

static double angle_of(const double r[9])
{
    return acos(fmax(-1, fmin(1, (r[0] + r[4] + r[8] - 1) / 2)));
}

/* The rotation about the same axis by a share of the angle (below pi). */
static void part_of(double out[9], const double r[9], double share)
{
    const double angle = angle_of(r), s = sin(angle);
    double axis[3] = { r[7] - r[5], r[2] - r[6], r[3] - r[1] };
    const double a = angle * share, c = cos(a), v = 1 - c;

    for (int i = 0; i < 3; i++)
        axis[i] = s > 1e-12 ? axis[i] / (2 * s) : 0;
    const double x = axis[0], y = axis[1], z = axis[2], n = sin(a);
    const double m[9] = { c + x * x * v,     x * y * v - z * n, x * z * v + y * n,
                          y * x * v + z * n, c + y * y * v,     y * z * v - x * n,
                          z * x * v - y * n, z * y * v + x * n, c + z * z * v };
    memcpy(out, m, sizeof m);
}

static double distance(const double a[9], const double b[9])
{
    double d[9];

    between(d, a, b);
    return angle_of(d);
}

static void remember(vbg_keyframes *k, key *to, const vbg_keyframes_view *v,
                     const double r[9])
{
    vbg_pyramid_build(&to->pyramid, v->y, v->stride, &vbg_ctx_kernels(k->c)->lk);
    memcpy(to->r, r, sizeof to->r);
    to->count = vbg_min_int(v->count, POINTS);
    for (int i = 0; i < to->count; i++) { /* spread over all of them */
        to->at[i] = v->at[(int64_t)i * v->count / to->count];
        vbg_lens_ray(to->ray[i], &k->opt.lens, r, (double)to->at[i].x,
                     (double)to->at[i].y);
    }
    to->failed = 0;
    to->used = k->frame;
}

/* A free place, else the one not seen for the longest time. */
static key *place(vbg_keyframes *k)
{
    key *best = &k->keys[0];

    for (int i = 0; i < KEYS; i++) {
        if (k->keys[i].count == 0)
            return &k->keys[i];
        if (k->keys[i].used < best->used)
            best = &k->keys[i];
    }
    return best;
}

/* The view to look for; *away: the true distance of the nearest one. */
static key *nearest(vbg_keyframes *k, const double r[9], double *away)
{
    key *best = NULL;
    double least = 1e9;

    *away = 1e9;
    for (int i = 0; i < KEYS; i++) {
        key *y = &k->keys[i];
        if (y->count == 0)
            continue;
        const double d = distance(r, y->r), cost = d + failed_rad * y->failed;
        *away = fmin(*away, d);
        if (cost < least) {
            least = cost;
            best = y;
        }
    }
    return best;
}

/* Points of the view that should be in the frame, and where. */
static int predict(vbg_keyframes *k, const key *y, const double r[9])
{
    int n = 0;

    for (int i = 0; i < y->count; i++) {
        double xy[2];
        if (!vbg_lens_project(xy, &k->opt.lens, r, y->ray[i]) || xy[0] < 0 || xy[1] < 0 ||
            xy[0] > k->opt.w - 1 || xy[1] > k->opt.h - 1)
            continue;
        k->from[n] = y->at[i];
        k->to[n] = (vbg_point){ (float)xy[0], (float)xy[1] };
        k->which[n++] = i;
    }
    return n;
}

/* The orientation by this view into fit; false when it does not answer. */
static bool look(vbg_keyframes *k, const key *y, const vbg_keyframes_view *v,
                 const double r[9], double fit[9])
{
    const int n = predict(k, y, r);
    int m = 0;

    if (n < LEAST)
        return false;
    vbg_flow_track(
        k->c, &y->pyramid, v->pyramid, &k->opt.flow,
        &(vbg_flow_points){ .count = n, .from = k->from, .to = k->to, .status = k->ok });
    memcpy(k->back, k->from, (size_t)n * sizeof *k->back);
    vbg_flow_track(k->c, v->pyramid, &y->pyramid, &k->opt.flow,
                   &(vbg_flow_points){
                       .count = n, .from = k->to, .to = k->back, .status = k->ok_back });
    for (int i = 0; i < n; i++) {
        const double dx = (double)(k->back[i].x - k->from[i].x);
        const double dy = (double)(k->back[i].y - k->from[i].y);
        if (!k->ok[i] || !k->ok_back[i] || !(hypot(dx, dy) <= both_ways_px) ||
            !v->usable(v->arg, k->to[i]))
            continue;
        memcpy(k->seen[m].ray, y->ray[k->which[i]], sizeof k->seen[m].ray);
        k->seen[m].x = (double)k->to[i].x;
        k->seen[m++].y = (double)k->to[i].y;
    }
    memcpy(fit, r, 9 * sizeof *fit);
    const int good =
        vbg_rotation_fit(fit, &k->opt.lens, k->seen, m, inlier_px, ROUNDS, k->inlier);
    return good >= LEAST && 4 * good >= n && 2 * good >= m;
}

bool vbg_keyframes_visit(vbg_keyframes *k, const vbg_keyframes_view *v, const double r[9],
                         double turn[9])
{
    double fit[9], whole[9], away;

    k->frame++;
    if (v->found_again)
        k->due = k->frame;
    if (k->frame < k->due)
        return false;
    k->due = k->frame + EVERY;
    key *y = nearest(k, r, &away);
    if (away > spacing * k->opt.fov_x && v->count >= ENOUGH && !v->found_again) {
        remember(k, place(k), v, r);
        return false;
    }
    if (!y)
        return false;
    if (!look(k, y, v, r, fit)) {
        if (++y->failed >= GIVE_UP && v->count >= ENOUGH)
            remember(k, y, v, r);
        return false;
    }
    y->failed = 0;
    y->used = k->frame;
    between(whole, fit, r);
    const bool far = angle_of(whole) * k->opt.lens.f > small_px;
    part_of(turn, whole, far ? fast : slow);
    if (far)
        k->due = k->frame + HURRY;
    return true;
}
