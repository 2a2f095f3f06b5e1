/* The tracking and viewport parts of the video chain at 1280x720: pyramid, corners and
 * Lucas-Kanade on one thread beside OpenCV (bench/peers/opencv_lk.py) on the same data in
 * the same run, a whole tracker step, the viewport with and without its composite. */
#define _POSIX_C_SOURCE 200809L /* mkstemp, popen */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "video/colour.h"
#include "video/corners.h"
#include "video/stitch.h"
#include "video/tracker.h"
#include "video/viewport.h"

enum { W = 1280, H = 720, POINTS = 300, PANO_W = 4096, PANO_H = 2048 };

typedef struct motion {
    vbg_ctx *one, *all; /* one thread; those asked for */
    uint8_t *frame[2];
    vbg_pyramid pyramid[2];
    vbg_corners *corners;
    vbg_tracker *tracker;
    vbg_viewport *viewport;
    vbg_picture pano, view, alpha;
    vbg_point from[POINTS], to[POINTS];
    uint8_t status[POINTS];
    float err[POINTS];
    int count, turn;
} motion;

/* Smooth texture of several scales, moved by (dx, dy) and rolled by 0.8 degrees when
 * moved; noise as of a camera. */
static void draw(uint8_t *y, double dx, double dy, uint32_t seed)
{
    const double a = dx != 0 ? 0.8 / 57.29577951 : 0, c = cos(a), s = sin(a);

    for (int r = 0; r < H; r++)
        for (int q = 0; q < W; q++) {
            const double u = c * q + s * r - dx, v = c * r - s * q - dy;
            double t = 128;
            for (int k = 0; k < 6; k++) {
                const double f = 0.07 * pow(1.6, k) / 2, b = 1.1 * k * k + 0.3 * k;
                t += 21 *
                     sin(f * (u * cos(b) + v * sin(b)) + 3 * sin(0.013 * k * v + b)) *
                     cos(f * 0.7 * (v * cos(b) - u * sin(b)) + 2 * cos(0.011 * u + k));
            }
            seed = seed * 1664525u + 1013904223u;
            t += (double)(seed >> 24) / 51.0 - 2.5;
            y[r * W + q] = (uint8_t)lrint(fmin(fmax(t, 0), 255));
        }
}

static const vbg_corner_opt corner_opt = {
    .max_corners = POINTS, .quality = 0.01f, .min_distance = 7, .block = 3
};

static void once_pyramid(void *arg)
{
    motion *m = arg;
    vbg_pyramid_build(&m->pyramid[0], m->frame[0], W, &vbg_ctx_kernels(m->one)->lk);
}

static void once_corners(void *arg)
{
    motion *m = arg;
    vbg_point_list list = { .p = m->from, .cap = POINTS };

    vbg_corners_find(m->corners, m->one, &m->pyramid[0].level[0], &corner_opt, &list);
    m->count = list.count;
}

/* Like the peer's call: both pyramids are built. */
static void once_flow(void *arg)
{
    static const vbg_flow_opt opt = { .win_w = 21,
                                      .win_h = 21,
                                      .max_level = 3,
                                      .iterations = 30,
                                      .epsilon = 0.01f,
                                      .min_eigenvalue = 1e-4f };
    motion *m = arg;

    for (int i = 0; i < 2; i++)
        vbg_pyramid_build(&m->pyramid[i], m->frame[i], W, &vbg_ctx_kernels(m->one)->lk);
    vbg_flow_track(m->one, &m->pyramid[0], &m->pyramid[1], &opt,
                   &(vbg_flow_points){ .count = m->count,
                                       .from = m->from,
                                       .to = m->to,
                                       .status = m->status,
                                       .err = m->err });
}

static void once_tracker(void *arg)
{
    motion *m = arg;
    vbg_tracker_state s;

    vbg_tracker_update(m->tracker, m->frame[m->turn ^= 1], W, NULL, &s);
}

static void once_viewport(void *arg)
{
    motion *m = arg;
    const vbg_pinhole camera = { .fov_x = 1.22, .yaw = 0.5, .pitch = 0.1, .roll = 0.05 };

    vbg_viewport_render(m->viewport, m->all, &m->view, &camera);
}

/* The composite of one strip of the frame. */
static void mix_strip(void *arg, size_t i, int thread)
{
    motion *m = arg;

    (void)thread;
    vbg_composite(vbg_ctx_kernels(m->all), &m->view, &m->view, &m->view, &m->alpha,
                  (int)i * 48, (int)i * 48 + 48);
}

static void once_both(void *arg)
{
    motion *m = arg;

    once_viewport(m);
    vbg_parallel(m->all, H / 48, mix_strip, m);
}

/* OpenCV's medians in ms: pyramid, corners, flow; NAN where it is not installed. */
static void peer(const motion *m, double ms[3])
{
    char path[] = "/tmp/vbg-bench-XXXXXX", command[256];
    const int32_t head[3] = { W, H, m->count };
    const int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");

    ms[0] = ms[1] = ms[2] = NAN;
    if (!f)
        return;
    fwrite(head, sizeof head, 1, f);
    fwrite(m->frame[0], (size_t)W * H, 1, f);
    fwrite(m->frame[1], (size_t)W * H, 1, f);
    fwrite(m->from, sizeof *m->from, (size_t)m->count, f);
    fclose(f);
    snprintf(command, sizeof command, "%s bench/peers/opencv_lk.py %s 2>/dev/null",
             access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "python3",
             path);
    FILE *p = popen(command, "r");
    if (p) {
        if (fscanf(p, "%lf %lf %lf", &ms[0], &ms[1], &ms[2]) != 3)
            ms[0] = ms[1] = ms[2] = NAN;
        pclose(p);
    }
    unlink(path);
}

static void close_motion(motion *m)
{
    for (int i = 0; i < 2; i++) {
        free(m->frame[i]);
        vbg_pyramid_free(&m->pyramid[i]);
    }
    vbg_corners_free(m->corners);
    vbg_tracker_free(m->tracker);
    vbg_viewport_free(m->viewport);
    vbg_picture_free(&m->pano);
    vbg_picture_free(&m->view);
    vbg_picture_free(&m->alpha);
    vbg_ctx_free(m->one);
    vbg_ctx_free(m->all);
}

static vbg_status open_motion(motion *m, const bench *b, vbg_err *err)
{
    const vbg_ctx_opt one = { .threads = 1, .isa = b->isa, .precision = VBG_F32 };
    const vbg_ctx_opt all = { .threads = b->threads,
                              .isa = b->isa,
                              .precision = VBG_F32 };
    const vbg_tracker_opt tracker = { .w = W, .h = H, .fov_x = 1.22 };
    vbg_status st = vbg_ctx_new(&m->one, &one, err);

    for (int i = 0; i < 2 && st == VBG_OK; i++) {
        m->frame[i] = malloc((size_t)W * H);
        if (!m->frame[i])
            return vbg_fail(err, VBG_ENOMEM, "not enough memory for a frame");
        draw(m->frame[i], 7.3 * i, -4.6 * i, (uint32_t)i + 1);
        st = vbg_pyramid_new(&m->pyramid[i], W, H, 3, 21, err);
    }
    if (st == VBG_OK)
        st = vbg_ctx_new(&m->all, &all, err);
    if (st == VBG_OK)
        st = vbg_corners_new(&m->corners, W, H, err);
    if (st == VBG_OK)
        st = vbg_tracker_new(&m->tracker, m->all, &tracker, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&m->pano, PANO_W, PANO_H, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&m->view, W, H, 3, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&m->alpha, W, H, 1, err);
    if (st == VBG_OK)
        st = vbg_viewport_new(&m->viewport, &m->pano, err);
    if (st == VBG_OK)
        once_pyramid(m);
    if (st == VBG_OK)
        once_corners(m);
    return st;
}

int bench_run_motion(bench *b)
{
    static const struct {
        const char *name, *shape;
        void (*once)(void *);
        int peer; /* column of the peer's output, -1: none */
        bool threads;
    } cases[] = {
        { "pyramid", "1280x720, 4 levels", once_pyramid, 0, false },
        { "corners", "1280x720, 300", once_corners, 1, false },
        { "flow", "1280x720, 300, win 21", once_flow, 2, false },
        { "tracker", "1280x720, both ways", once_tracker, -1, true },
        { "viewport", "4096x2048>1280x720", once_viewport, -1, true },
        { "viewport+composite", "4096x2048>1280x720", once_both, -1, true },
    };
    motion m = { .count = 0 };
    vbg_err err = { { 0 } };
    double peer_ms[3] = { NAN, NAN, NAN };
    bool asked = false;

    if (open_motion(&m, b, &err) != VBG_OK) {
        vbg_error("%s", err.text);
        close_motion(&m);
        return 1;
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench_row r = { .dtype = "u8",
                        .isa = b->isa,
                        .threads = cases[i].threads ? b->threads : 1 };
        if (!bench_wanted(b, cases[i].name, cases[i].shape))
            continue;
        if (cases[i].peer >= 0 && !asked)
            peer(&m, peer_ms);
        asked = asked || cases[i].peer >= 0;
        strcpy(r.name, cases[i].name);
        strcpy(r.shape, cases[i].shape);
        bench_measure(b, &r, cases[i].once, &m);
        if (cases[i].peer >= 0 && isfinite(peer_ms[cases[i].peer])) {
            strcpy(r.peer, "OpenCV");
            r.peer_ms = peer_ms[cases[i].peer];
        }
        bench_add(b, &r);
    }
    close_motion(&m);
    return 0;
}
