/* The camera tracker: rendered paths through a made-up panorama (always), a full turn
 * through the real ones and the composed pans with exact truth (with ../shared).
 * Accuracies are those of the project's goal: 5 % of the span, 2 px after going back,
 * 1 px a second of drift behind a moving person, 1 degree after a full turn. */
#include <stdio.h>
#include <unistd.h>

#include "engine/picture_io.h"
#include "tests/scene.h"
#include "video/pipeline.h"

static const char *shared(void)
{
    const char *s = getenv("VBG_SHARED");

    return s ? s : "../shared";
}

/* A swaying path; frame 0 is at rest at 0. */
static void sway(vbg_pinhole *camera, double frame)
{
    camera->yaw = 12 * degree * sin(frame * 0.09);
    camera->pitch = 3 * degree * sin(frame * 0.17);
    camera->roll = 2 * degree * sin(frame * 0.13);
}

/* 0.03 degrees are 0.15 px of these small frames. */
Test(tracking, follows_a_path_and_threads_change_nothing)
{
    vbg_picture pano = made_up_panorama(1024, 512);
    scene s = scene_new(&pano, small, 1);
    scene other = scene_new(&pano, small, 5);
    vbg_tracker *t = tracker_of(&s), *u = tracker_of(&other);

    for (int i = 0; i < 50; i++) {
        vbg_tracker_state a, b;
        sway(&s.camera, i);
        const uint8_t *y = shoot(&s, (uint32_t)i);
        vbg_tracker_update(t, y, (size_t)s.camera.w, NULL, &a);
        vbg_tracker_update(u, y, (size_t)s.camera.w, NULL, &b);
        cr_assert(memcmp(&a.yaw, &b.yaw, 3 * sizeof a.yaw) == 0 && a.inliers == b.inliers,
                  "frame %d depends on the threads", i);
        cr_assert(i == 0 || a.tracked);
        cr_assert(fabs(a.yaw - s.camera.yaw) < 0.03 * degree &&
                      fabs(a.pitch - s.camera.pitch) < 0.03 * degree &&
                      fabs(a.roll - s.camera.roll) < 0.06 * degree,
                  "frame %d: %.4f %.4f %.4f, true %.4f %.4f %.4f degrees", i,
                  a.yaw / degree, a.pitch / degree, a.roll / degree,
                  s.camera.yaw / degree, s.camera.pitch / degree, s.camera.roll / degree);
    }
    vbg_tracker_free(t);
    vbg_tracker_free(u);
    scene_free(&s);
    scene_free(&other);
    vbg_picture_free(&pano);
}

/* Covered for ten frames, the camera comes back to where it was: nothing is lost. */
Test(tracking, survives_blank_and_covered_frames)
{
    vbg_picture pano = made_up_panorama(1024, 512);
    scene s = scene_new(&pano, small, 1);
    vbg_tracker *t = tracker_of(&s);
    vbg_tracker_state a;
    uint8_t *blank = calloc((size_t)small.w, (size_t)small.h);

    cr_assert(blank != NULL);
    for (int i = 0; i < 3; i++) { /* blank from the start */
        vbg_tracker_update(t, blank, (size_t)small.w, NULL, &a);
        cr_assert(!a.tracked && a.inliers == 0 && a.yaw == 0);
    }
    for (int i = 0; i < 40; i++) {
        const bool covered = i >= 15 && i < 25;
        s.camera.yaw = 0.4 * degree * (i < 15 ? i : i < 25 ? 15 : i - 10);
        const uint8_t *y = shoot(&s, (uint32_t)i);
        vbg_tracker_update(t, covered ? blank : y, (size_t)small.w, NULL, &a);
        cr_assert(!covered || !a.tracked);
        if (!covered)
            cr_assert(fabs(a.yaw - s.camera.yaw) < 0.05 * degree, "frame %d: %.3f", i,
                      a.yaw / degree);
    }
    for (int i = 0; i < 40; i++) /* covered for good */
        vbg_tracker_update(t, blank, (size_t)small.w, NULL, &a);
    cr_assert(!a.tracked && isfinite(a.yaw));
    free(blank);
    vbg_tracker_free(t);
    scene_free(&s);
    vbg_picture_free(&pano);
}

/* A textured block walks through a still picture: with its mask nothing moves, without
 * it at most 1 px a second (30 frames). */
Test(tracking, a_moving_person_moves_nothing)
{
    vbg_picture pano = made_up_panorama(1024, 512);
    scene s = scene_new(&pano, small, 1);
    const double f = vbg_pinhole_focal(&small);
    uint8_t mask[20 * 32];

    for (int masked = 0; masked < 2; masked++) {
        vbg_tracker *t = tracker_of(&s);
        vbg_tracker_state a = { .yaw = 1 };
        for (int i = 0; i < 30; i++) {
            uint8_t *y = s.grey;
            shoot(&s, 5);
            memset(mask, 0, sizeof mask);
            for (int r = 60; r < 200; r++)
                for (int c = 0; c < 90; c++) {
                    const int x = 60 + 3 * i + c;
                    y[r * small.w + x] =
                        (uint8_t)((c / 7 + r / 9) % 2 ? 220 : 30 + (r & 31));
                    mask[r / 10 * 32 + x / 10] = 255;
                }
            const vbg_tracker_mask person = {
                .data = mask, .stride = 32, .w = 32, .h = 20
            };
            vbg_tracker_update(t, y, (size_t)small.w, masked ? &person : NULL, &a);
        }
        const double px = f * hypot(a.yaw, a.pitch), edge = 0.5 * small.w * fabs(a.roll);
        cr_assert(px + edge < (masked ? 0.01 : 1.0), "%s: %.3f px, %.3f px by roll",
                  masked ? "masked" : "not masked", px, edge);
        vbg_tracker_free(t);
    }
    scene_free(&s);
    vbg_picture_free(&pano);
}

Test(tracking, refuses_impossible_cameras)
{
    vbg_ctx *c = context(1);
    vbg_tracker *t = NULL;
    vbg_err err = { "" };

    vbg_tracker_opt opt = { .w = 320, .h = 200, .fov_x = 0 };
    cr_assert_eq(vbg_tracker_new(&t, c, &opt, &err), VBG_EUSAGE);
    opt = (vbg_tracker_opt){ .w = 0, .h = 200, .fov_x = 1 };
    err.text[0] = 0;
    cr_assert_eq(vbg_tracker_new(&t, c, &opt, &err), VBG_ELIMIT);
    for (int size = 1; size < 40; size += 6) { /* tiny frames: no crash */
        uint8_t y[40 * 40];
        vbg_tracker_state a;
        memset(y, size, sizeof y);
        y[size / 2 * size] = 255;
        opt = (vbg_tracker_opt){ .w = size, .h = size, .fov_x = 1 };
        cr_assert_eq(vbg_tracker_new(&t, c, &opt, &err), VBG_OK);
        for (int i = 0; i < 3; i++)
            vbg_tracker_update(t, y, (size_t)size, NULL, &a);
        vbg_tracker_free(t);
    }
    vbg_ctx_free(c);
}

/* ---- real material ---- */

/* A full turn in 90 steps of 4 degrees, the camera nodding and tilting. */
static void full_turn(const char *name)
{
    char path[1024];
    vbg_picture pano;
    vbg_err err = { "" };
    vbg_pinhole camera = { .w = 640, .h = 360, .fov_x = 70 * degree };
    vbg_tracker_state a = { .yaw = 0 };

    snprintf(path, sizeof path, "%s/data/pano/%s.jpg", shared(), name);
    if (access(path, R_OK) != 0)
        return;
    cr_assert_eq(vbg_picture_load(&pano, NULL, path, 3, &err), VBG_OK, "%s", err.text);
    scene s = scene_new(&pano, camera, 0);
    vbg_tracker *t = tracker_of(&s);
    for (int i = 0; i <= 90; i++) {
        s.camera.yaw = 4 * degree * i;
        s.camera.pitch = 5 * degree * sin(2 * pi * i / 45);
        s.camera.roll = 2 * degree * sin(2 * pi * i / 30);
        vbg_tracker_update(t, shoot(&s, (uint32_t)i), (size_t)camera.w, NULL, &a);
    }
    cr_assert(fabs(a.yaw - 2 * pi) < degree && fabs(a.pitch) < degree &&
                  fabs(a.roll) < degree,
              "%s: %.3f %.3f %.3f degrees after a full turn", name, a.yaw / degree,
              a.pitch / degree, a.roll / degree);
    vbg_tracker_free(t);
    scene_free(&s);
    vbg_picture_free(&pano);
}

Test(tracking, full_turns_close, .timeout = 120)
{
    static const char *const names[] = { "city", "forest", "hall", "night" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        full_turn(names[i]);
}

/* All luma planes of a clip, one after the other; NULL when it is not there. */
static uint8_t *read_luma(const char *path, int *w, int *h, int *frames)
{
    vbg_reader *r = NULL;
    vbg_reader_info info;
    vbg_frame f;
    vbg_err err = { "" };
    bool end = false;
    uint8_t *all = NULL;

    if (access(path, R_OK) != 0)
        return NULL;
    const vbg_status st = vbg_reader_open(&r, path, &err);
    if (st == VBG_EUNSUPPORTED)
        return NULL;
    cr_assert_eq(st, VBG_OK, "%s", err.text);
    vbg_reader_get_info(r, &info);
    *w = info.w;
    *h = info.h;
    *frames = 0;
    const size_t pixels = (size_t)info.w * (size_t)info.h;
    cr_assert_eq(vbg_frame_new(&f, info.w, info.h, &err), VBG_OK);
    while (vbg_reader_next(r, &f, &end, &err) == VBG_OK && !end) {
        all = realloc(all, pixels * (size_t)(*frames + 1));
        cr_assert(all != NULL);
        for (int y = 0; y < info.h; y++)
            memcpy(all + pixels * (size_t)*frames + (size_t)y * (size_t)info.w,
                   f.yuv.plane[0] + (size_t)y * f.yuv.stride[0], (size_t)info.w);
        ++*frames;
    }
    vbg_frame_free(&f);
    vbg_reader_close(r);
    return all;
}

/* A pan with its person and its truth. */
typedef struct pan {
    uint8_t *luma, *alpha;
    double (*truth)[3]; /* radians per frame */
    int w, h, frames;
    double fov_x;
} pan;

/* stem: folder and name without the suffixes. */
static bool pan_open(pan *p, const char *stem, double fov_deg)
{
    char path[1024], line[256];
    int w, h, frames;

    *p = (pan){ .fov_x = fov_deg * degree };
    snprintf(path, sizeof path, "%s.mp4", stem);
    p->luma = read_luma(path, &p->w, &p->h, &p->frames);
    snprintf(path, sizeof path, "%s.alpha.mp4", stem);
    p->alpha = p->luma ? read_luma(path, &w, &h, &frames) : NULL;
    if (!p->alpha) {
        free(p->luma);
        return false;
    }
    cr_assert(w == p->w && h == p->h && frames == p->frames);
    p->truth = calloc((size_t)frames, sizeof *p->truth);
    snprintf(path, sizeof path, "%s.csv", stem);
    FILE *f = fopen(path, "r");
    cr_assert(f && p->truth);
    cr_assert(fgets(line, sizeof line, f) != NULL);
    for (int i = 0; i < frames && fgets(line, sizeof line, f); i++) {
        double t[3];
        int index;
        cr_assert_eq(sscanf(line, "%d,%*f,%lf,%lf,%lf", &index, &t[0], &t[1], &t[2]), 4);
        for (int k = 0; k < 3; k++)
            p->truth[i][k] = t[k] * degree;
    }
    fclose(f);
    return true;
}

static void pan_free(pan *p)
{
    free(p->luma);
    free(p->alpha);
    free(p->truth);
}

/* The next frame of a pan, with its person masked. */
static void feed(vbg_tracker *t, const pan *p, const uint8_t *luma, int frame,
                 vbg_tracker_state *a)
{
    const size_t at = (size_t)frame * (size_t)p->w * (size_t)p->h;
    const vbg_tracker_mask person = {
        .data = p->alpha + at, .stride = (size_t)p->w, .w = p->w, .h = p->h
    };

    vbg_tracker_update(t, luma ? luma : p->luma + at, (size_t)p->w, &person, a);
}

static vbg_tracker *pan_tracker(const pan *p, vbg_ctx *c)
{
    const vbg_tracker_opt opt = { .w = p->w,
                                  .h = p->h,
                                  .fov_x = p->fov_x,
                                  .yaw = p->truth[0][0],
                                  .pitch = p->truth[0][1],
                                  .roll = p->truth[0][2] };
    vbg_tracker *t = NULL;

    cr_assert_eq(vbg_tracker_new(&t, c, &opt, NULL), VBG_OK);
    return t;
}

/* How far angles were off the truth, at most, and how far the truth went. */
typedef struct span {
    double worst[3], low[3], high[3];
} span;

static void span_add(span *s, int frame, const double now[3], const double truth[3])
{
    for (int k = 0; k < 3; k++) {
        s->worst[k] = fmax(s->worst[k], fabs(now[k] - truth[k]));
        s->low[k] = frame ? fmin(s->low[k], truth[k]) : truth[k];
        s->high[k] = frame ? fmax(s->high[k], truth[k]) : truth[k];
    }
}

static void span_check(const span *s, const char *name)
{
    for (int k = 0; k < 3; k++)
        cr_assert(s->worst[k] <= 0.05 * (s->high[k] - s->low[k]),
                  "%s: axis %d is off by %.4f of %.3f degrees", name, k,
                  s->worst[k] / degree, (s->high[k] - s->low[k]) / degree);
}

/* Forwards against the truth, then backwards to the start. */
static void follow_clip(const char *name, double fov_deg)
{
    pan p;
    vbg_ctx *c = context(0);
    span s = { .worst = { 0 } };
    vbg_tracker_state a = { .yaw = 0 };

    if (!pan_open(&p, name, fov_deg)) {
        vbg_ctx_free(c);
        return;
    }
    vbg_tracker *t = pan_tracker(&p, c);
    for (int i = 0; i < p.frames; i++) {
        feed(t, &p, NULL, i, &a);
        span_add(&s, i, (double[]){ a.yaw, a.pitch, a.roll }, p.truth[i]);
    }
    span_check(&s, name);
    for (int i = p.frames - 1; i >= 0; i--)
        feed(t, &p, NULL, i, &a);
    const double f = 0.5 * p.w / tan(0.5 * p.fov_x);
    const double px = f * hypot(a.yaw - p.truth[0][0], a.pitch - p.truth[0][1]);
    const double edge = 0.5 * p.w * fabs(a.roll - p.truth[0][2]);
    cr_assert(px + edge < 2.0, "%s: back at the start %.3f px, %.3f px by roll", name, px,
              edge);
    vbg_tracker_free(t);
    vbg_ctx_free(c);
    pan_free(&p);
}

static void follow_pan(const char *name, double fov_deg)
{
    char stem[1024];

    snprintf(stem, sizeof stem, "%s/data/video/%s", shared(), name);
    follow_clip(stem, fov_deg);
}

/* The rendered figure of the demo (make figure-clip), from the clone's root. */
static const char *const figure_clip = "examples/figure";
static const double figure_fov_deg = 66;

Test(tracking, rendered_figure, .timeout = 120)
{
    cr_assert_eq(access("examples/figure.csv", R_OK), 0, "run from the clone's root");
    follow_clip(figure_clip, figure_fov_deg);
}

static void fill(vbg_frame *f, const uint8_t *luma, int w, int h)
{
    for (int y = 0; y < h; y++)
        memcpy(f->yuv.plane[0] + (size_t)y * f->yuv.stride[0],
               luma + (size_t)y * (size_t)w, (size_t)w);
}

/* The chain itself: frames of 1280 columns (the pans) are tracked at half their size, of
 * 960 (the figure) as they are. */
static void follow_in_chain(const char *stem, double fov_deg)
{
    pan p;
    span s = { .worst = { 0 } };
    vbg_raw_frame raw = { .index = 0 };
    vbg_frame given;
    vbg_chain *chain;
    vbg_chain_report r;
    double first[9], turn[9], now[9], angles[3];

    if (!pan_open(&p, stem, fov_deg))
        return;
    vbg_ctx *c = context(0);
    const vbg_chain_opt opt = { .mask = { .w = p.w, .h = p.h, .threshold = -1 },
                                .fov_x = p.fov_x,
                                .track = true };
    cr_assert_geq(p.w, 960);
    cr_assert_eq(vbg_chain_new(&chain, c, &opt, NULL), VBG_OK);
    cr_assert_eq(vbg_frame_new(&raw.frame, p.w, p.h, NULL), VBG_OK);
    cr_assert_eq(vbg_frame_new(&given, p.w, p.h, NULL), VBG_OK);
    vbg_rotation_from_angles(first, p.truth[0][0], p.truth[0][1], p.truth[0][2]);
    for (int i = 0; i < p.frames; i++) {
        const size_t at = (size_t)i * (size_t)p.w * (size_t)p.h;
        fill(&raw.frame, p.luma + at, p.w, p.h);
        fill(&given, p.alpha + at, p.w, p.h);
        raw.index = i;
        raw.frame.time_s = i / 30.0;
        vbg_chain_find(chain, &raw, &given, &r);
        vbg_chain_follow(chain, &raw, vbg_chain_mask(chain), &r);
        vbg_rotation_from_angles(turn, r.motion.yaw, r.motion.pitch, r.motion.roll);
        vbg_rotation_multiply(now, first, turn, false);
        vbg_rotation_angles(angles, now);
        span_add(&s, i, angles, p.truth[i]);
    }
    span_check(&s, stem);
    vbg_frame_free(&given);
    vbg_frame_free(&raw.frame);
    vbg_chain_free(chain);
    vbg_ctx_free(c);
    pan_free(&p);
}

Test(tracking, large_frames_in_the_chain, .timeout = 120)
{
    char stem[1024];

    follow_in_chain(figure_clip, figure_fov_deg);
    for (int k = 0; k < 3; k++) {
        snprintf(stem, sizeof stem, "%s/data/video/pan_%c", shared(), 'a' + k);
        follow_in_chain(stem, k < 2 ? 60 : 75);
    }
}

/* Truth and alpha belong together: what is no figure in two frames is the same room seen
 * at their angles.  The codec's and the shutter's share on edges is
 * 2 grey levels; angles that are off by a tenth of the turn make 9. */
Test(tracking, rendered_figure_agrees_with_its_truth, .timeout = 120)
{
    enum { APART = 6 };
    pan p;

    if (!pan_open(&p, figure_clip, figure_fov_deg))
        return; /* built without libav */
    cr_assert(p.w == 960 && p.h == 540 && p.frames >= 190);
    const size_t pixels = (size_t)p.w * (size_t)p.h;
    double worst = 0, covered = 0;
    for (int f = 0; f + APART < p.frames; f += 17) {
        const vbg_pinhole a = { p.w,           p.h,           p.fov_x,
                                p.truth[f][0], p.truth[f][1], p.truth[f][2] };
        const double *t = p.truth[f + APART];
        const vbg_pinhole b = { p.w, p.h, p.fov_x, t[0], t[1], t[2] };
        const uint8_t *ya = p.luma + pixels * (size_t)f, *yb = ya + pixels * APART;
        const uint8_t *ma = p.alpha + pixels * (size_t)f, *mb = ma + pixels * APART;
        double sum = 0;
        int n = 0, person = 0;
        for (int y = 2; y < p.h - 2; y += 5)
            for (int x = 2; x < p.w - 2; x += 5) {
                double d[3], q[2];
                const int i = y * p.w + x;
                person += ma[i] > 127;
                vbg_pinhole_ray(d, &a, x, y);
                if (!vbg_pinhole_project(q, &b, d) || q[0] < 1 || q[1] < 1 ||
                    q[0] > p.w - 3 || q[1] > p.h - 3)
                    continue;
                const int u = (int)q[0], v = (int)q[1], k = v * p.w + u;
                if (ma[i] > 3 || mb[k] > 3 || mb[k + 1] > 3 || mb[k + p.w] > 3 ||
                    mb[k + p.w + 1] > 3)
                    continue;
                const double s = q[0] - u, r = q[1] - v;
                sum += fabs((yb[k] * (1 - s) + yb[k + 1] * s) * (1 - r) +
                            (yb[k + p.w] * (1 - s) + yb[k + p.w + 1] * s) * r - ya[i]);
                n++;
            }
        cr_assert_gt(n, 4000);
        covered += (double)person * 25 / (double)pixels;
        worst = fmax(worst, sum / n);
    }
    covered /= ceil((p.frames - APART) / 17.);
    cr_assert_lt(worst, 4, "frames differ by %.2f grey levels", worst);
    cr_assert(covered > .15 && covered < .5, "the figure covers %.2f", covered);
    pan_free(&p);
}

Test(tracking, pan_a, .timeout = 120)
{
    follow_pan("pan_a", 60);
}

Test(tracking, pan_b, .timeout = 120)
{
    follow_pan("pan_b", 60);
}

Test(tracking, pan_c, .timeout = 120)
{
    follow_pan("pan_c", 75);
}

/* The person of pan_a over its first frame, the camera still: 1 px a second at most. */
Test(tracking, a_real_person_before_a_still_camera, .timeout = 120)
{
    pan p;
    vbg_ctx *c = context(0);
    vbg_tracker_state a = { .yaw = 0 };

    char stem[1024];
    snprintf(stem, sizeof stem, "%s/data/video/pan_a", shared());
    if (!pan_open(&p, stem, 60)) {
        vbg_ctx_free(c);
        return;
    }
    const size_t pixels = (size_t)p.w * (size_t)p.h;
    uint8_t *luma = malloc(pixels);
    cr_assert(luma != NULL);
    vbg_tracker *t = pan_tracker(&p, c);
    for (int i = 0; i < 90; i++) {
        for (size_t k = 0; k < pixels; k++) {
            const int alpha = p.alpha[(size_t)i * pixels + k];
            luma[k] = (uint8_t)((p.luma[(size_t)i * pixels + k] * alpha +
                                 p.luma[k] * (255 - alpha) + 127) /
                                255);
        }
        feed(t, &p, luma, i, &a);
        const double f = 0.5 * p.w / tan(0.5 * p.fov_x), seconds = fmax(i / 30.0, 1.0);
        const double px = f * hypot(a.yaw - p.truth[0][0], a.pitch - p.truth[0][1]);
        const double edge = 0.5 * p.w * fabs(a.roll - p.truth[0][2]);
        cr_assert(px + edge < seconds, "frame %d: %.3f px, %.3f px by roll", i, px, edge);
    }
    vbg_tracker_free(t);
    vbg_ctx_free(c);
    free(luma);
    pan_free(&p);
}
