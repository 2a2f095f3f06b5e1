/* The virtual camera at 1280x720 through the scripted devices: MJPEG from a fake camera,
 * YUYV into a fake loopback node.
 *
 *     live_p50, live_p95   frame in hand to frame written, 30 frames/s
 *     live_cpu             processor time of the whole process per frame (33.3 ms would
 *                          be one core at 30 frames/s); the fake's copying included
 *     live_rss_mb          memory of the whole process, in MB: bench, clip and cycle of
 *                          JPEGs included
 *     live_period          time per frame with a camera that is never waited for
 *
 * The same with --mask-mode latest: "latest" in the shape.  The mask is the segmenter's
 * (--segmenter) on frames of a recorded clip, where the test data is at hand and libav
 * reads it; else frames are drawn and keyed by colour. */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/fake/device.h"
#include "tools/model_path.h"
#include "video/live.h"

#define LATEST "1280x720 latest" /* for --filter */

enum { W = 1280, H = 720 };

typedef struct rig {
    fake_device fake;
    vbg_ctx *ctx;
    vbg_segmenter *segmenter;
    vbg_live *live;
    vbg_reader *clip;
    bool latest;
} rig;

/* The clip's next frame, else stripes and a block that moves. */
static void paint(void *arg, int64_t n, vbg_frame *f)
{
    rig *g = arg;
    bool end = false;

    if (g->segmenter && g->clip && vbg_reader_next(g->clip, f, &end, NULL) == VBG_OK &&
        !end)
        return;
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? H / 2 : H); y++)
            for (int x = 0; x < (p ? W / 2 : W); x++) {
                const int at = x * (p ? 2 : 1) - 4 * (int)n;
                const bool in = at > 500 && at < 800 && y * (p ? 2 : 1) > 250;
                f->yuv.plane[p][(size_t)y * f->yuv.stride[p] + (size_t)x] =
                    (uint8_t)(p    ? (in ? 128 : 60)
                              : in ? 170
                                   : 60 + (x / 16 * 37 + y / 16 * 91) % 100);
            }
}

static double rss_mb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void open_clip(rig *g)
{
    const char *shared = getenv("VBG_SHARED");
    vbg_reader_info info;
    char path[1200];

    snprintf(path, sizeof path, "%s/data/video/pan_a.mp4", shared ? shared : "../shared");
    if (vbg_reader_open(&g->clip, path, NULL) != VBG_OK)
        return;
    vbg_reader_get_info(g->clip, &info);
    if (info.w != W || info.h != H) {
        vbg_reader_close(g->clip);
        g->clip = NULL;
    }
}

static vbg_status start(rig *g, const bench *b, const char *model, double fps,
                        vbg_err *err)
{
    const vbg_ctx_opt opt = { .threads = b->threads,
                              .isa = b->isa,
                              .precision = VBG_BF16 };
    const double fov = 70 * 3.14159265358979323846 / 180;
    const vbg_background_opt back = { .w = W, .h = H, .fov_x = fov, .yuv = true };
    vbg_live_opt live = { .device = &g->fake.device,
                          .camera = "/dev/video0",
                          .w = W,
                          .h = H,
                          .ctx_opt = opt,
                          .mask = { .threshold = -1,
                                    .feather = 2,
                                    .smooth = 0.95,
                                    .islands = 0.03,
                                    .max_cover = 0.97,
                                    .chroma = !model,
                                    .key = { 0, 255, 0 } },
                          .fov_x = fov,
                          .latest = g->latest,
                          .relight = { .spill = 0.5, .wrap = 0.2 } };
    vbg_picture pano;
    vbg_sink *sink = NULL;
    vbg_status st = vbg_ctx_new(&g->ctx, &opt, err);

    fake_device_init(&g->fake);
    g->fake.modes[0] = (vbg_camera_mode){ V4L2_PIX_FMT_MJPEG, W, H, 30, 1 };
    g->fake.mode_count = 1;
    g->fake.fps = fps;
    g->fake.paint = paint;
    g->fake.arg = g;
    open_clip(g);
    live.ctx = g->ctx;
    live.mask.max_age = g->latest ? 10 : 0;
    if (st == VBG_OK && model)
        st = vbg_segmenter_open(&g->segmenter, model, &opt, VBG_LIVE_NETWORK_W,
                                VBG_LIVE_NETWORK_H, err);
    live.mask.segmenter = g->segmenter;
    if (st == VBG_OK)
        st = vbg_picture_new(&pano, 4096, 2048, 3, err);
    if (st != VBG_OK)
        return st;
    for (int y = 0; y < pano.h; y++)
        for (int x = 0; x < 3 * pano.w; x++)
            pano.data[(size_t)y * pano.stride + (size_t)x] =
                (uint8_t)(x / 48 * 37 + y / 16 * 91);
    st = vbg_background_picture(&live.background, &pano, NULL, &back, err);
    vbg_picture_free(&pano);
    if (st == VBG_OK)
        st = vbg_sink_loopback(&sink, &g->fake.device, "/dev/video10", W, H, 30, err);
    if (st != VBG_OK) {
        vbg_background_close(live.background);
        return st;
    }
    return vbg_live_start(&g->live, &live, &sink, 1, err);
}

static void stop(rig *g)
{
    vbg_live_stop(g->live);
    vbg_segmenter_close(g->segmenter);
    vbg_ctx_free(g->ctx);
    vbg_reader_close(g->clip);
    fake_device_free(&g->fake);
}

static void wait_s(double s)
{
    nanosleep(&(struct timespec){ (time_t)s, (long)((s - (double)(time_t)s) * 1e9) },
              NULL);
}

static void add(bench *b, const char *name, const char *shape, double ms)
{
    bench_row r = { .dtype = "u8", .isa = b->isa, .threads = b->threads };

    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.shape, sizeof r.shape, "%s", shape);
    r.ms = r.sample_ms[0] = ms;
    r.samples = 1;
    bench_add(b, &r);
}

/* Some seconds at one rate (0: as fast as it goes). */
static vbg_status measure(bench *b, const char *model, double fps, bool latest,
                          vbg_err *err)
{
    rig g = { .latest = latest };
    vbg_live_status before, after;
    const double seconds = 6;
    vbg_status st = start(&g, b, model, fps, err);

    if (st == VBG_OK) {
        wait_s(1.5);
        vbg_live_get_status(g.live, &before);
        const double cpu = cpu_seconds(), from = vbg_now();
        wait_s(seconds);
        const double used = cpu_seconds() - cpu, took = vbg_now() - from;
        vbg_live_get_status(g.live, &after);
        const double n = (double)vbg_max_int(1, (int)(after.frames - before.frames));
        char shape[40];
        snprintf(shape, sizeof shape, "1280x720 %.20s%s",
                 g.segmenter ? vbg_segmenter_arch(g.segmenter) : "chroma",
                 latest ? " latest" : "");
        if (fps > 0) {
            add(b, "live_p50", shape, after.latency_p50_ms);
            add(b, "live_p95", shape, after.latency_p95_ms);
            add(b, "live_cpu", shape, 1e3 * used / n);
            add(b, "live_rss_mb", shape, rss_mb());
        } else {
            add(b, "live_period", shape, 1e3 * took / n);
        }
        if (after.background > before.background)
            vbg_warning("live: %lld of %.0f frames showed the background alone",
                        (long long)(after.background - before.background), n);
    }
    stop(&g);
    return st;
}

int bench_run_live(bench *b)
{
    const char *name = vbg_value(b->values, "segmenter");
    char path[4096];
    vbg_err err = { "" };
    vbg_status st = VBG_OK;

    if (!bench_wanted(b, "live", "1280x720") && !bench_wanted(b, "live", LATEST))
        return 0;
    if (name)
        st = vbg_model_find(path, sizeof path, name, &err);
    for (int i = 0; i < 4 && st == VBG_OK; i++)
        if (bench_wanted(b, "live", i < 2 ? "1280x720" : LATEST))
            st = measure(b, name ? path : NULL, i % 2 ? 0 : 30, i >= 2, &err);
    if (st != VBG_OK)
        vbg_error("%s", err.text);
    return st == VBG_OK ? 0 : 1;
}
