/* Oracles of the family group "flow": corners and optical flow, motion models, tracking.
 * The panorama oracles are in pano.c. */
#include "tests/golden/flow.h"

#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "video/corners.h"
#include "video/flow.h"
#include "video/motion.h"
#include "video/panorama.h"
#include "video/tracker.h"

static const double degree = 3.14159265358979323846 / 180.0;

/* An 8-bit grey PNG beside the oracle, owned by g; false when it cannot be read. */
static bool grey_png(golden *g, vbg_plane *out, const char *path)
{
    png_image im = { .version = PNG_IMAGE_VERSION };

    if (!png_image_begin_read_from_file(&im, path)) {
        golden_fail(g, "%s: %s", path, im.message);
        return false;
    }
    im.format = PNG_FORMAT_GRAY;
    uint8_t *data = golden_alloc(g, PNG_IMAGE_SIZE(im));
    *out = (vbg_plane){
        .data = data, .stride = im.width, .w = (int)im.width, .h = (int)im.height
    };
    if (!png_image_finish_read(&im, NULL, data, 0, NULL)) {
        golden_fail(g, "%s: %s", path, im.message);
        return false;
    }
    return true;
}

/* A pyramid of the picture; the caller frees it. */
static bool pyramid_of(golden *g, vbg_pyramid *p, const vbg_plane *im, int level,
                       int window)
{
    vbg_err err = { "" };

    if (vbg_pyramid_new(p, im->w, im->h, level, window, &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        return false;
    }
    vbg_pyramid_build(p, im->data, im->stride, &vbg_ctx_kernels(golden_ctx(g))->lk);
    return true;
}

/* The stored points "pair/name", [n, 2] f32. */
static vbg_point *points_in(golden *g, const char *pair, const char *name, int *count)
{
    const vbg_st_tensor *t = golden_in(g, "%s/%s", pair, name);
    vbg_point *p = (vbg_point *)(void *)golden_in_f32(g, "%s/%s", pair, name);

    *count = t ? (int)t->dim[0] : 0;
    return p;
}

static double number(const json_t *o, const char *key, double otherwise)
{
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : otherwise;
}

/* ---- flow ---- */

/* One LK parameter set of the JSON. */
static vbg_flow_opt flow_opt(const json_t *o)
{
    const json_t *win = json_object_get(o, "winSize");
    const json_t *stop = json_object_get(o, "criteria");

    return (vbg_flow_opt){
        .win_w = (int)json_integer_value(json_array_get(win, 0)),
        .win_h = (int)json_integer_value(json_array_get(win, 1)),
        .max_level = (int)number(o, "maxLevel", 3),
        .iterations = (int)json_number_value(json_array_get(stop, 1)),
        .epsilon = (float)json_number_value(json_array_get(stop, 2)),
        .min_eigenvalue = (float)number(o, "minEigThreshold", 1e-4),
        .want_eigenvalue = ((int)number(o, "flags", 0) & 8) != 0,
    };
}

/* Response of every step-th pixel as the stored tensor wants it. */
static void report_response(golden *g, vbg_corners *c, const vbg_plane *im,
                            const char *name, const vbg_corner_opt *opt)
{
    const vbg_st_tensor *t = vbg_st_find(golden_data(g), name);

    if (!t)
        return;
    const float *r = vbg_corners_response(c, golden_ctx(g), im, opt);
    const int rows = (int)t->dim[0], cols = (int)t->dim[1];
    const int sy = (im->h + rows - 1) / rows, sx = (im->w + cols - 1) / cols;
    float *out = golden_alloc(g, t->count * sizeof *out);
    for (int y = 0; y < rows; y++)
        for (int x = 0; x < cols; x++)
            out[y * cols + x] = r[(size_t)(y * sy) * (size_t)im->w + (size_t)(x * sx)];
    golden_out_f32(g, name, out, t->count);
}

/* Every corner set of the JSON, and the stored responses. */
static void run_corners(golden *g, const char *pair, const vbg_pyramid *p)
{
    json_t *sets = json_object_get(golden_json(g), "corners"), *o;
    const vbg_plane *im = &p->level[0];
    const char *key;
    char name[160];
    vbg_corners *c = NULL;
    vbg_err err = { "" };

    if (vbg_corners_new(&c, im->w, im->h, &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        return;
    }
    json_object_foreach(sets, key, o)
    {
        const int cap = (int)number(o, "maxCorners", 1000);
        const vbg_corner_opt opt = {
            .max_corners = cap,
            .quality = (float)number(o, "qualityLevel", 0.01),
            .min_distance = (float)number(o, "minDistance", 0),
            .block = (int)number(o, "blockSize", 3),
            .harris = json_is_true(json_object_get(o, "useHarrisDetector")),
            .k = (float)number(o, "k", 0.04),
        };
        vbg_point_list list = { .p = golden_alloc(g, (size_t)cap * sizeof *list.p),
                                .cap = cap };
        vbg_corners_find(c, golden_ctx(g), im, &opt, &list);
        snprintf(name, sizeof name, "%s/gftt.%s", pair, key);
        golden_out_f32(g, name, &list.p->x, 2 * (size_t)list.count);
    }
    for (int block = 1; block <= VBG_CORNER_BLOCK_MAX; block++) {
        snprintf(name, sizeof name, "%s/mineigen.block%d", pair, block);
        report_response(g, c, im, name, &(vbg_corner_opt){ .block = block });
        snprintf(name, sizeof name, "%s/harris.block%d", pair, block);
        report_response(g, c, im, name,
                        &(vbg_corner_opt){ .block = block, .harris = true, .k = 0.04f });
    }
    vbg_corners_free(c);
}

/* Scharr derivatives of a level through the patch kernel: windows at whole pixels. */
static void report_scharr(golden *g, const char *pair, const vbg_pyramid *p, int level)
{
    const vbg_plane *im = &p->level[level];
    const vbg_lk_kernels *k = &vbg_ctx_kernels(golden_ctx(g))->lk;
    const size_t pixels = (size_t)im->w * (size_t)im->h;
    float *dx = golden_alloc(g, pixels * sizeof *dx),
          *dy = golden_alloc(g, pixels * sizeof *dy);
    vbg_lk_patch w = { .w = 16, .h = 16 };
    char name[160];

    snprintf(name, sizeof name, "%s/scharr.dx", pair);
    if (!vbg_st_find(golden_data(g), name))
        return;
    for (int y = 0; y < im->h; y += w.h)
        for (int x = 0; x < im->w; x += w.w) {
            const vbg_lk_spot s = { .x = x, .y = y, .weight = { 16384, 0, 0, 0 } };
            k->patch(&w, im, &s);
            for (int r = 0; r < w.h && y + r < im->h; r++)
                for (int c = 0; c < w.w && x + c < im->w; c++) {
                    const size_t at = (size_t)(y + r) * (size_t)im->w + (size_t)(x + c);
                    dx[at] = w.dx[r * VBG_LK_LD + c];
                    dy[at] = w.dy[r * VBG_LK_LD + c];
                }
        }
    golden_out_f32(g, name, dx, pixels);
    snprintf(name, sizeof name, "%s/scharr.dy", pair);
    golden_out_f32(g, name, dy, pixels);
}

/* The stored pyramid levels of a pair, and the derivatives of level 1. */
static void run_pyramid(golden *g, const char *pair, const vbg_plane *im)
{
    vbg_pyramid p;
    char name[160];

    if (!pyramid_of(g, &p, im, VBG_PYRAMID_LEVELS - 1, 4))
        return;
    for (int i = 1; i < p.levels; i++) {
        const vbg_plane *level = &p.level[i];
        const size_t w = (size_t)level->w, h = (size_t)level->h;
        snprintf(name, sizeof name, "%s/pyramid.%d", pair, i);
        if (!vbg_st_find(golden_data(g), name))
            continue;
        uint8_t *flat = golden_alloc(g, w * h);
        for (size_t y = 0; y < h; y++)
            memcpy(flat + y * w, level->data + y * level->stride, w);
        golden_out_u8(g, name, flat, w * h);
    }
    if (p.levels > 1)
        report_scharr(g, pair, &p, 1);
    vbg_pyramid_free(&p);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Errors against the truth: corners (not the last 12, hand-made points) with status 1
 * whose true position lies more than 12 px inside. */
static void report_truth(golden *g, const char *pair, const char *key,
                         const vbg_plane *im, const vbg_flow_points *found)
{
    const vbg_st_tensor *t = golden_in(g, "%s/true.points", pair);
    double *d;
    int n = 0, near = 0;
    char path[200];

    if (!t || t->dtype != VBG_F64)
        return;
    d = golden_alloc(g, t->count * sizeof *d);
    for (int i = 0; i + 12 < (int)t->dim[0]; i++) {
        double x, y;
        memcpy(&x, (const char *)t->data + (size_t)i * 16, 8);
        memcpy(&y, (const char *)t->data + (size_t)i * 16 + 8, 8);
        if (!found->status[i] || !(x > 12 && y > 12 && x < im->w - 13 && y < im->h - 13))
            continue;
        d[n] = hypot((double)found->to[i].x - x, (double)found->to[i].y - y);
        near += d[n++] <= 0.5;
    }
    if (n == 0)
        return;
    qsort(d, (size_t)n, sizeof *d, ascending);
    snprintf(path, sizeof path, "pairs/%s/lk/%s/median_err_px", pair, key);
    golden_out_number(g, path, 0.5 * (d[(n - 1) / 2] + d[n / 2]));
    snprintf(path, sizeof path, "pairs/%s/lk/%s/share_within_0.5px", pair, key);
    golden_out_number(g, path, (double)near / n);
}

/* Reports one result as pair/lk.key.what. */
static void report_flow(golden *g, const char *pair, const char *key, bool back,
                        const vbg_flow_points *found)
{
    const size_t n = (size_t)found->count;
    char name[200];

    snprintf(name, sizeof name, "%s/lk.%s.%s", pair, key, back ? "back" : "next");
    golden_out_f32(g, name, &found->to->x, 2 * n);
    snprintf(name, sizeof name, "%s/lk.%s.%s", pair, key,
             back ? "back_status" : "status");
    golden_out_u8(g, name, found->status, n);
    if (back)
        return;
    snprintf(name, sizeof name, "%s/lk.%s.err", pair, key);
    golden_out_f32(g, name, found->err, n);
}

/* One parameter set on one pair: forwards, and backwards where stored. */
static void run_set(golden *g, const char *pair, const char *key, const vbg_flow_opt *opt,
                    const vbg_plane im[2])
{
    int n, count;
    vbg_point *from = points_in(g, pair, "lk.points", &n);
    vbg_pyramid p[2] = { { .levels = 0 }, { .levels = 0 } };
    char name[200];

    snprintf(name, sizeof name, "%s/lk.%s.next", pair, key);
    if (!from || !vbg_st_find(golden_data(g), name))
        return;
    vbg_flow_points f = { .count = n,
                          .from = from,
                          .to = golden_alloc(g, (size_t)n * sizeof *f.to),
                          .status = golden_alloc(g, (size_t)n),
                          .err = golden_alloc(g, (size_t)n * sizeof *f.err) };
    if (opt->use_guess) {
        const vbg_point *guess = points_in(g, pair, "lk.guess.start", &count);
        if (guess && count == n)
            memcpy(f.to, guess, (size_t)n * sizeof *f.to);
    }
    const int window = vbg_max_int(opt->win_w, opt->win_h);
    if (pyramid_of(g, &p[0], &im[0], opt->max_level, window) &&
        pyramid_of(g, &p[1], &im[1], opt->max_level, window)) {
        vbg_flow_track(golden_ctx(g), &p[0], &p[1], opt, &f);
        report_flow(g, pair, key, false, &f);
        if (!opt->use_guess)
            report_truth(g, pair, key, &im[1], &f);
        snprintf(name, sizeof name, "%s/lk.%s.back", pair, key);
        if (vbg_st_find(golden_data(g), name)) {
            snprintf(name, sizeof name, "lk.%s.next", key);
            f.from = points_in(g, pair, name, &count);
            vbg_flow_track(golden_ctx(g), &p[1], &p[0], opt, &f);
            report_flow(g, pair, key, true, &f);
        }
    }
    vbg_pyramid_free(&p[0]);
    vbg_pyramid_free(&p[1]);
}

static void run_flow(golden *g)
{
    json_t *pairs = json_object_get(golden_json(g), "pairs"), *v, *o;
    json_t *sets = json_object_get(golden_json(g), "lk");
    const char *pair, *key;

    json_object_foreach(pairs, pair, v)
    {
        vbg_plane im[2];
        vbg_pyramid p;
        if (!grey_png(g, &im[0], golden_path(g, "%s/%s_0.png", golden_stem(g), pair)) ||
            !grey_png(g, &im[1], golden_path(g, "%s/%s_1.png", golden_stem(g), pair)))
            return;
        if (!pyramid_of(g, &p, &im[0], 0, VBG_CORNER_BLOCK_MAX))
            return;
        run_corners(g, pair, &p);
        vbg_pyramid_free(&p);
        run_pyramid(g, pair, &im[0]);
        json_object_foreach(sets, key, o)
        {
            vbg_flow_opt opt = flow_opt(o);
            run_set(g, pair, key, &opt, im);
            if (strcmp(key, "default") == 0) {
                opt.use_guess = true;
                run_set(g, pair, "guess", &opt, im);
            }
        }
    }
}

/* ---- motion ---- */

/* One robust fit, reported as case/name and case/name_inlier. */
static void report_fit(golden *g, const char *c, const char *name, vbg_motion_model model,
                       bool median)
{
    const vbg_motion_opt opt = { .model = model,
                                 .median = median,
                                 .threshold = 3.0,
                                 .iterations = 2000,
                                 .confidence =
                                     model == VBG_MOTION_HOMOGRAPHY ? 0.995 : 0.99 };
    int n, m;
    const vbg_point *p = points_in(g, c, "p", &n), *q = points_in(g, c, "q", &m);
    char path[200];
    double h[9];

    if (!p || !q || m != n)
        return;
    uint8_t *inlier = golden_alloc(g, (size_t)n);
    vbg_motion_fit(h, &opt, p, q, inlier, n);
    snprintf(path, sizeof path, "%s/%s", c, name);
    golden_out_f64(g, path, h, model == VBG_MOTION_HOMOGRAPHY ? 9 : 6);
    snprintf(path, sizeof path, "%s/%s_inlier", c, name);
    golden_out_u8(g, path, inlier, (size_t)n);
}

/* Case "rotation": angles of the rotation that carries p to q. */
static void report_rotation(golden *g)
{
    const json_t *k = json_object_get(golden_json(g), "rotation_K");
    const double unit[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
    vbg_lens lens = {
        .f = json_number_value(json_array_get(json_array_get(k, 0), 0)),
        .cx = json_number_value(json_array_get(json_array_get(k, 0), 2)),
        .cy = json_number_value(json_array_get(json_array_get(k, 1), 2)),
    };
    int n, m;
    const vbg_point *p = points_in(g, "rotation", "p", &n);
    const vbg_point *q = points_in(g, "rotation", "q", &m);
    double r[9], turned[9], angles[3];

    if (!p || !q || n != m)
        return;
    vbg_sighting *s = golden_alloc(g, (size_t)n * sizeof *s);
    uint8_t *inlier = golden_alloc(g, (size_t)n);
    for (int i = 0; i < n; i++) {
        vbg_lens_ray(s[i].ray, &lens, unit, (double)p[i].x, (double)p[i].y);
        s[i].x = (double)q[i].x;
        s[i].y = (double)q[i].y;
    }
    memcpy(r, unit, sizeof r);
    vbg_rotation_fit(r, &lens, s, n, 3.0, 300, inlier);
    /* the oracle's q = K R K^-1 p turns the scene, our r the camera */
    vbg_rotation_multiply(turned, r, unit, true);
    vbg_rotation_angles(angles, turned);
    for (int i = 0; i < 3; i++) {
        char path[100];
        snprintf(path, sizeof path, "rotation_deg [yaw, pitch, roll]/%d", i);
        golden_out_number(g, path, angles[i] / degree);
    }
}

static void run_motion(golden *g)
{
    json_t *cases = json_object_get(golden_json(g), "cases"), *v;
    const char *c;

    json_object_foreach(cases, c, v)
    {
        int n, m;
        double h[9];
        char path[200];
        report_fit(g, c, "cv.partial", VBG_MOTION_SIMILARITY, false);
        report_fit(g, c, "cv.partial_lmeds", VBG_MOTION_SIMILARITY, true);
        report_fit(g, c, "cv.homography", VBG_MOTION_HOMOGRAPHY, false);
        const vbg_point *p = points_in(g, c, "p", &n), *q = points_in(g, c, "q", &m);
        const vbg_st_tensor *use = golden_in(g, "%s/true.inlier", c);
        if (!p || !q || !use || m != n)
            return;
        vbg_motion_least_squares(h, VBG_MOTION_SIMILARITY, p, q, use->data, n);
        snprintf(path, sizeof path, "%s/ls.similarity", c);
        golden_out_f64(g, path, h, 6);
    }
    report_rotation(g);
}

/* ---- track ---- */

/* The foreground ellipse (centre, half axes) of a frame as a mask. */
static void draw_ellipse(uint8_t *mask, int w, int h, const double e[4])
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const double dx = (x - e[0]) / e[2], dy = (y - e[1]) / e[3];
            mask[(size_t)y * (size_t)w + (size_t)x] = dx * dx + dy * dy <= 1.0 ? 255 : 0;
        }
}

static void run_track(golden *g)
{
    const vbg_st_tensor *truth = golden_in(g, "true.angles_deg");
    const vbg_st_tensor *k = golden_in(g, "true.K");
    const vbg_st_tensor *ellipse = golden_in(g, "true.foreground_ellipse");
    double first[3], lens[9];
    vbg_tracker *t = NULL;
    vbg_err err = { "" };

    if (!truth || !k || !ellipse || truth->dtype != VBG_F64)
        return;
    const int frames = (int)truth->dim[0];
    double *out = golden_alloc(g, truth->count * sizeof *out);
    memcpy(first, truth->data, sizeof first);
    memcpy(lens, k->data, sizeof lens);
    for (int i = 0; i < frames; i++) {
        vbg_plane im;
        double e[4];
        vbg_tracker_state s;
        if (!grey_png(g, &im, golden_path(g, "%s/f%02d.png", golden_stem(g), i)))
            break;
        const vbg_tracker_opt opt = { .w = im.w,
                                      .h = im.h,
                                      .fov_x = 2.0 * atan(0.5 * im.w / lens[0]),
                                      .yaw = first[0] * degree,
                                      .pitch = first[1] * degree,
                                      .roll = first[2] * degree };
        if (!t && vbg_tracker_new(&t, golden_ctx(g), &opt, &err) != VBG_OK) {
            golden_fail(g, "%s", err.text);
            break;
        }
        memcpy(e, (const char *)ellipse->data + (size_t)i * sizeof e, sizeof e);
        uint8_t *mask = golden_alloc(g, (size_t)im.w * (size_t)im.h);
        draw_ellipse(mask, im.w, im.h, e);
        const vbg_tracker_mask person = {
            .data = mask, .stride = (size_t)im.w, .w = im.w, .h = im.h
        };
        vbg_tracker_update(t, im.data, im.stride, &person, &s);
        out[i * 3] = s.yaw / degree;
        out[i * 3 + 1] = s.pitch / degree;
        out[i * 3 + 2] = s.roll / degree;
    }
    vbg_tracker_free(t);
    golden_out_f64(g, "cv.angles_deg", out, truth->count);
}

const golden_family golden_families_flow[] = {
    { "seg/flow", run_flow },        { "seg/motion", run_motion },
    { "seg/track", run_track },      { "seg/panogeo", golden_run_panogeo },
    { "mvd/pano", golden_run_pano }, { NULL, NULL },
};
