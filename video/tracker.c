/* The camera tracker.  One frame:
 *
 *     pyramid -> flow forwards and backwards -> rotation against the frame before
 *             -> rotation against the remembered directions -> drop, top up
 *
 * The first fit decides what moves with the camera (it also holds when the field of view
 * is not quite right), the second removes the drift. */
#include "video/tracker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/corners.h"
#include "video/keyframes.h"
#include "video/panorama.h"

enum {
    CELL = 8,      /* pixels of one cell of the person map                      */
    MARGIN = 2,    /* cells kept free around a person: half a window            */
    PERSON = 32,   /* mask value from which a pixel counts as person            */
    LEAST = 8,     /* inliers below which a frame is not trusted                */
    PATIENCE = 15, /* frames for which the last good frame is kept              */
    TILES_X = 4,   /* corners are shared out among tiles                        */
    TILES_Y = 3,
    DETECT_WIDTH = 800, /* corners are looked for on the first level this narrow     */
    BACK_LEVEL = 1, /* coarsest level of the way back                           */
    ROUNDS = 150        /* hypotheses; half wrong matches: 0.75^150 = 1e-19 to miss  */
};

/* Chosen on the pans with truth; worst error of any axis in percent of its span, with and
 * without the person's mask: anchor 3 px, topped up below 80 %, quality 0.005: 2.8;
 * anchor 1 px, below 60 %, quality 0.01: 1.6.  Quality 0.02 loses pan_c to the person
 * when there is no mask. */
static const double both_ways_px = 0.5; /* forward-backward distance of a good point  */
static const double step_px = 1.5;      /* inlier against the frame before            */
static const double anchor_px = 1.0;    /* inlier against the remembered direction    */

/* A followed point. */
typedef struct track {
    double ray[3]; /* world direction in which it was first seen */
} track;

struct vbg_tracker {
    vbg_ctx *c;
    vbg_tracker_opt opt;
    vbg_lens lens;
    vbg_flow_opt flow;
    vbg_pyramid pyramid[2]; /* [now] is the frame before, [!now] the new one */
    int now;
    bool has_frame;
    int lost; /* frames since the last good one */
    vbg_corners *corners;
    int detect_level;
    int cap, count;
    vbg_point *at, *to, *back;
    uint8_t *ok, *ok_back, *inlier;
    track *tracks;
    vbg_sighting *seen;
    int *index;       /* sighting -> track */
    uint8_t *person;  /* cells, 1 = keep out */
    uint8_t *allowed; /* detection mask */
    int cells_w, cells_h;
    vbg_keyframes *keys;  /* NULL: none */
    double r[9];          /* camera to world, last frame */
    double last_yaw, yaw; /* as from the matrix, and continuous */
};

void vbg_tracker_free(vbg_tracker *t)
{
    if (!t)
        return;
    vbg_pyramid_free(&t->pyramid[0]);
    vbg_pyramid_free(&t->pyramid[1]);
    vbg_corners_free(t->corners);
    vbg_keyframes_free(t->keys);
    vbg_free_mem(t->at);
    vbg_free_mem(t->to);
    vbg_free_mem(t->back);
    vbg_free_mem(t->ok);
    vbg_free_mem(t->ok_back);
    vbg_free_mem(t->inlier);
    vbg_free_mem(t->tracks);
    vbg_free_mem(t->seen);
    vbg_free_mem(t->index);
    vbg_free_mem(t->person);
    vbg_free_mem(t->allowed);
    free(t);
}

/* Arrays of the points and the maps; false when memory ran out. */
static bool take_memory(vbg_tracker *t)
{
    const size_t n = (size_t)t->cap;
    const vbg_plane *level = &t->pyramid[0].level[t->detect_level];

    t->at = vbg_alloc(n * sizeof *t->at);
    t->to = vbg_alloc(n * sizeof *t->to);
    t->back = vbg_alloc(n * sizeof *t->back);
    t->ok = vbg_alloc(n);
    t->ok_back = vbg_alloc(n);
    t->inlier = vbg_alloc(n);
    t->tracks = vbg_alloc(n * sizeof *t->tracks);
    t->seen = vbg_alloc(n * sizeof *t->seen);
    t->index = vbg_alloc(n * sizeof *t->index);
    t->person = vbg_alloc(2 * (size_t)t->cells_w * (size_t)t->cells_h);
    t->allowed = vbg_alloc((size_t)level->w * (size_t)level->h);
    return t->at && t->to && t->back && t->ok && t->ok_back && t->inlier && t->tracks &&
           t->seen && t->index && t->person && t->allowed;
}

/* Fills in defaults and what follows from the options. */
static void configure(vbg_tracker *t, vbg_ctx *c, const vbg_tracker_opt *opt)
{
    t->c = c;
    t->opt = *opt;
    if (opt->points == 0)
        t->opt.points = 300;
    if (opt->levels == 0)
        t->opt.levels = 5;
    if (opt->window == 0)
        t->opt.window = 21;
    t->cap = t->opt.points;
    t->lens = (vbg_lens){ .f = 0.5 * opt->w / tan(0.5 * opt->fov_x),
                          .cx = 0.5 * (opt->w - 1),
                          .cy = 0.5 * (opt->h - 1) };
    t->flow = (vbg_flow_opt){ .win_w = t->opt.window,
                              .win_h = t->opt.window,
                              .max_level = t->opt.levels - 1,
                              .iterations = 30,
                              .epsilon = 0.01f,
                              .min_eigenvalue = 1e-4f };
    t->cells_w = (opt->w + CELL - 1) / CELL;
    t->cells_h = (opt->h + CELL - 1) / CELL;
    vbg_rotation_from_angles(t->r, opt->yaw, opt->pitch, opt->roll);
    t->yaw = t->last_yaw = opt->yaw;
}

vbg_status vbg_tracker_new(vbg_tracker **out, vbg_ctx *c, const vbg_tracker_opt *opt,
                           vbg_err *err)
{
    vbg_status st;

    if (!(opt->fov_x > 0.01 && opt->fov_x < 3.1))
        return vbg_fail(err, VBG_EUSAGE,
                        "a field of view of %.3g degrees is out of range",
                        opt->fov_x * 57.29577951308232);
    if (opt->points < 0 || opt->points > VBG_MOTION_MAX || opt->levels < 0 ||
        opt->window < 0 || opt->window > VBG_LK_WINDOW_MAX)
        return vbg_fail(err, VBG_EUSAGE, "tracking with %d points, %d levels, window %d",
                        opt->points, opt->levels, opt->window);
    vbg_tracker *t = calloc(1, sizeof *t);
    if (!t)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the tracker");
    configure(t, c, opt);
    st = vbg_pyramid_new(&t->pyramid[0], opt->w, opt->h, t->flow.max_level, t->opt.window,
                         err);
    if (st == VBG_OK)
        st = vbg_pyramid_new(&t->pyramid[1], opt->w, opt->h, t->flow.max_level,
                             t->opt.window, err);
    if (st == VBG_OK) {
        while (t->pyramid[0].level[t->detect_level].w > DETECT_WIDTH &&
               t->detect_level + 1 < t->pyramid[0].levels)
            t->detect_level++;
        const vbg_plane *level = &t->pyramid[0].level[t->detect_level];
        st = vbg_corners_new(&t->corners, level->w, level->h, err);
    }
    if (st == VBG_OK && !opt->no_keys) {
        const vbg_keyframes_opt k = { .w = opt->w,
                                      .h = opt->h,
                                      .lens = t->lens,
                                      .fov_x = opt->fov_x,
                                      .flow = t->flow };
        st = vbg_keyframes_new(&t->keys, c, &k, err);
    }
    if (st == VBG_OK && !take_memory(t))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for the tracker");
    if (st == VBG_OK) {
        *out = t;
        t = NULL;
    }
    vbg_tracker_free(t);
    return st;
}

/* One axis of the dilation: out[i] = any of in[i-MARGIN..i+MARGIN]. */
static void dilate(uint8_t *out, const uint8_t *in, int n, int step)
{
    for (int i = 0; i < n; i++) {
        uint8_t any = 0;
        for (int k = vbg_max_int(i - MARGIN, 0); k <= vbg_min_int(i + MARGIN, n - 1); k++)
            any |= in[k * step];
        out[i * step] = any;
    }
}

/* True when one of n mask values counts as person, eight at a time. */
static bool any_person(const uint8_t *p, int n)
{
    const uint64_t high = (0xff & -(uint64_t)PERSON) * 0x0101010101010101u;
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, sizeof v);
        if (v & high)
            return true;
    }
    for (; i < n; i++)
        if (p[i] >= PERSON)
            return true;
    return false;
}

/* Cells that hold a person, with a margin. */
static void map_person(vbg_tracker *t, const vbg_tracker_mask *mask)
{
    const int cw = t->cells_w, ch = t->cells_h;
    uint8_t *cell = t->person, *spare = t->person + (size_t)cw * (size_t)ch;

    memset(cell, 0, (size_t)cw * (size_t)ch);
    if (!mask || !mask->data || mask->w < 1 || mask->h < 1)
        return;
    for (int y = 0; y < ch; y++)
        for (int x = 0; x < cw; x++) {
            const int64_t mw = mask->w, mh = mask->h, w = t->opt.w, h = t->opt.h;
            const int x0 = (int)(x * CELL * mw / w), y0 = (int)(y * CELL * mh / h);
            const int x1 =
                (int)((vbg_min_int((x + 1) * CELL, t->opt.w) * mw + w - 1) / w);
            const int y1 =
                (int)((vbg_min_int((y + 1) * CELL, t->opt.h) * mh + h - 1) / h);
            bool any = false;
            for (int r = y0; r < y1 && !any; r++)
                any = any_person(mask->data + (size_t)r * mask->stride + (size_t)x0,
                                 x1 - x0);
            cell[y * cw + x] = any;
        }
    for (int y = 0; y < ch; y++)
        dilate(spare + y * cw, cell + y * cw, cw, 1);
    for (int x = 0; x < cw; x++)
        dilate(cell + x, spare + x, ch, cw);
}

/* True when a point may be used there: inside the frame and not on a person. */
static bool usable(const vbg_tracker *t, vbg_point p)
{
    if (!(p.x >= 1.0f && p.y >= 1.0f && p.x <= (float)(t->opt.w - 2) &&
          p.y <= (float)(t->opt.h - 2)))
        return false;
    return !t->person[(int)p.y / CELL * t->cells_w + (int)p.x / CELL];
}

/* Corners of one tile of the picture, up to its share, each at least the minimum distance
 * from all others.  The strongest corner of the tile sets its threshold: a soft
 * background gets its points beside a person full of contrast. */
static void detect_tile(vbg_tracker *t, const vbg_plane *im, const vbg_corner_opt *opt,
                        int tile)
{
    const int x0 = im->w * (tile % TILES_X) / TILES_X;
    const int x1 = im->w * (tile % TILES_X + 1) / TILES_X;
    const int y0 = im->h * (tile / TILES_X) / TILES_Y;
    const int y1 = im->h * (tile / TILES_X + 1) / TILES_Y;
    const vbg_plane part = { .data = im->data + (size_t)y0 * im->stride + x0,
                             .stride = im->stride,
                             .w = x1 - x0,
                             .h = y1 - y0 };
    const int share = t->cap * 3 / (2 * TILES_X * TILES_Y) + 1;
    vbg_point_list list = { .p = t->back };
    vbg_corner_opt here = *opt;

    if (part.w < 3 || part.h < 3) /* no room for a local maximum */
        return;
    for (int i = 0; i < t->count; i++)
        if (t->to[i].x >= (float)x0 && t->to[i].x < (float)x1 &&
            t->to[i].y >= (float)y0 && t->to[i].y < (float)y1)
            list.p[list.count++] =
                (vbg_point){ t->to[i].x - (float)x0, t->to[i].y - (float)y0 };
    const int inside = list.count;
    list.cap = vbg_min_int(vbg_max_int(share, inside), inside + t->cap - t->count);
    here.mask = t->allowed + (size_t)y0 * (size_t)im->w + x0;
    here.mask_stride = (size_t)im->w;
    vbg_corners_find(t->corners, t->c, &part, &here, &list);
    for (int i = inside; i < list.count; i++)
        t->to[t->count++] =
            (vbg_point){ list.p[i].x + (float)x0, list.p[i].y + (float)y0 };
}

/* Tops up the points of the frame in pyramid `which` with fresh corners. */
static void detect(vbg_tracker *t, const vbg_pyramid *p)
{
    const vbg_plane *im = &p->level[t->detect_level];
    const float grow = (float)(1 << t->detect_level);
    const double area = (double)im->w * im->h;
    const vbg_corner_opt opt = {
        .quality = 0.01f,
        .min_distance = (float)fmax(sqrt(area / t->cap) * 0.45, 4.0),
        .block = 3,
    };

    for (int y = 0; y < im->h; y++) {
        const int cy = vbg_min_int((y << t->detect_level) / CELL, t->cells_h - 1);
        for (int x = 0; x < im->w; x++) {
            const int cx = vbg_min_int((x << t->detect_level) / CELL, t->cells_w - 1);
            t->allowed[(size_t)y * (size_t)im->w + (size_t)x] =
                !t->person[cy * t->cells_w + cx];
        }
    }
    for (int i = 0; i < t->count; i++)
        t->to[i] = (vbg_point){ t->at[i].x / grow, t->at[i].y / grow };
    const int had = t->count;
    for (int i = 0; i < TILES_X * TILES_Y; i++)
        detect_tile(t, im, &opt, i);
    for (int i = had; i < t->count; i++) {
        t->at[i] = (vbg_point){ t->to[i].x * grow, t->to[i].y * grow };
        vbg_lens_ray(t->tracks[i].ray, &t->lens, t->r, (double)t->at[i].x,
                     (double)t->at[i].y);
    }
}

/* Flow to the new frame and back; seen/index get the points that agree.  Returns how
 * many, with rays of the frame before. */
static int follow(vbg_tracker *t, const vbg_pyramid *before, const vbg_pyramid *after)
{
    int n = 0;

    vbg_flow_track(t->c, before, after, &t->flow,
                   &(vbg_flow_points){
                       .count = t->count, .from = t->at, .to = t->to, .status = t->ok });
    /* The way back begins where it should end, on the finest levels alone: what was
     * matched wrongly does not get there from any start. */
    vbg_flow_opt back = t->flow;
    back.use_guess = true;
    back.max_level = vbg_min_int(back.max_level, BACK_LEVEL);
    memcpy(t->back, t->at, (size_t)t->count * sizeof *t->back);
    vbg_flow_track(
        t->c, after, before, &back,
        &(vbg_flow_points){
            .count = t->count, .from = t->to, .to = t->back, .status = t->ok_back });
    for (int i = 0; i < t->count; i++) {
        const double dx = (double)(t->back[i].x - t->at[i].x);
        const double dy = (double)(t->back[i].y - t->at[i].y);
        if (!t->ok[i] || !t->ok_back[i] || !(hypot(dx, dy) <= both_ways_px) ||
            !usable(t, t->to[i]))
            continue;
        vbg_lens_ray(t->seen[n].ray, &t->lens, t->r, (double)t->at[i].x,
                     (double)t->at[i].y);
        t->seen[n].x = (double)t->to[i].x;
        t->seen[n].y = (double)t->to[i].y;
        t->index[n++] = i;
    }
    return n;
}

/* Keeps the inliers of the step only; track i moves to its place in the new frame. */
static int keep_inliers(vbg_tracker *t, int n)
{
    int kept = 0;

    for (int i = 0; i < n; i++) {
        if (!t->inlier[i])
            continue;
        const int k = t->index[i];
        t->at[kept] = t->to[k];
        t->tracks[kept] = t->tracks[k];
        memcpy(t->seen[kept].ray, t->tracks[k].ray, sizeof t->seen[kept].ray);
        t->seen[kept].x = t->seen[i].x;
        t->seen[kept].y = t->seen[i].y;
        kept++;
    }
    return kept;
}

/* Pulls the orientation to the remembered directions; points whose direction no longer
 * fits get a new one. */
static void anchor(vbg_tracker *t, int n)
{
    double r[9];

    memcpy(r, t->r, sizeof r);
    const int fits = vbg_rotation_fit(r, &t->lens, t->seen, n, anchor_px, 0, t->inlier);
    if (2 * fits < n || fits < LEAST)
        memset(t->inlier, 0, (size_t)n);
    else
        memcpy(t->r, r, sizeof r);
    for (int i = 0; i < n; i++)
        if (!t->inlier[i])
            vbg_lens_ray(t->tracks[i].ray, &t->lens, t->r, (double)t->at[i].x,
                         (double)t->at[i].y);
}

/* Starts anew from the frame in the new pyramid. */
static void restart(vbg_tracker *t)
{
    t->count = 0;
    t->lost = 0;
    t->now = !t->now;
    detect(t, &t->pyramid[t->now]);
}

/* One step; returns the inliers, 0 when the frame could not be matched. */
static int step(vbg_tracker *t, int *points)
{
    const int n = follow(t, &t->pyramid[t->now], &t->pyramid[!t->now]);
    double r[9];

    *points = t->count;
    memcpy(r, t->r, sizeof r);
    const int found =
        vbg_rotation_fit(r, &t->lens, t->seen, n, step_px, ROUNDS, t->inlier);
    /* fewer than a quarter agree: a cut or a cover rather than a turn */
    if (found < LEAST || 4 * found < n)
        return 0;
    memcpy(t->r, r, sizeof r);
    t->count = keep_inliers(t, n);
    anchor(t, t->count);
    t->now = !t->now;
    t->lost = 0;
    if (t->count < t->cap * 3 / 5)
        detect(t, &t->pyramid[t->now]);
    return found;
}

static bool usable_point(const void *arg, vbg_point p)
{
    return usable(arg, p);
}

/* What the key frames say: the orientation and all remembered directions turn. */
static void correct(vbg_tracker *t, const uint8_t *y, size_t stride, bool found_again)
{
    const vbg_keyframes_view v = { .pyramid = &t->pyramid[t->now],
                                   .y = y,
                                   .stride = stride,
                                   .at = t->at,
                                   .count = t->count,
                                   .found_again = found_again,
                                   .usable = usable_point,
                                   .arg = t };
    double turn[9], r[9];

    if (!t->keys || !vbg_keyframes_visit(t->keys, &v, t->r, turn))
        return;
    vbg_rotation_multiply(r, turn, t->r, false);
    memcpy(t->r, r, sizeof r);
    for (int n = 0; n < t->count; n++) {
        const double *a = t->tracks[n].ray;
        const double b[3] = { turn[0] * a[0] + turn[1] * a[1] + turn[2] * a[2],
                              turn[3] * a[0] + turn[4] * a[1] + turn[5] * a[2],
                              turn[6] * a[0] + turn[7] * a[1] + turn[8] * a[2] };
        memcpy(t->tracks[n].ray, b, sizeof b);
    }
}

void vbg_tracker_update(vbg_tracker *t, const uint8_t *y, size_t stride,
                        const vbg_tracker_mask *mask, vbg_tracker_state *state)
{
    double angles[3];
    int points = 0, inliers = 0;
    bool again = false; /* tracking starts anew */

    vbg_pyramid_build(&t->pyramid[!t->now], y, stride, &vbg_ctx_kernels(t->c)->lk);
    map_person(t, mask);
    if (t->has_frame && t->count >= LEAST)
        inliers = step(t, &points);
    if (inliers == 0 && (!t->has_frame || t->count < LEAST || ++t->lost > PATIENCE)) {
        again = t->has_frame;
        restart(t);
    }
    if (inliers > 0 || again)
        correct(t, y, stride, again);
    t->has_frame = true;
    vbg_rotation_angles(angles, t->r);
    t->yaw += remainder(angles[0] - t->last_yaw, 2.0 * 3.14159265358979323846);
    t->last_yaw = angles[0];
    *state = (vbg_tracker_state){ .yaw = t->yaw,
                                  .pitch = angles[1],
                                  .roll = angles[2],
                                  .points = points,
                                  .inliers = inliers,
                                  .tracked = inliers > 0 };
}

void vbg_tracker_rotation(const vbg_tracker *t, double r[9])
{
    memcpy(r, t->r, sizeof t->r);
}

int vbg_tracker_points(const vbg_tracker *t, const vbg_point **p)
{
    *p = t->at;
    return t->count;
}
