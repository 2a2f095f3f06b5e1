/* Not one allocation once a session is warm, in both mask modes and both kinds of
 * camera: every allocation of the process is counted.
 *
 * The soak test of `make soak` is here too: SOAK_FRAMES of the same, faster than real
 * time, with memory, threads and descriptors watched. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <dirent.h>
#include <linux/videodev2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "tests/fake/device.h"
#include "tests/program.h"
#include "video/live.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTED 1
static atomic_long allocations;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t m);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

/* The program's own heap, counted. */
void *malloc(size_t n)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t m)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_calloc(n, m);
}

void *realloc(void *p, size_t n)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    atomic_fetch_add(&allocations, 1);
    return __libc_memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
    atomic_fetch_add(&allocations, 1);
    *out = __libc_memalign(align, n);
    return *out ? 0 : 12;
}
#else
#define COUNTED 0
static atomic_long allocations;
#endif

enum { W = 320, H = 180 };

static void paint(void *arg, int64_t n, vbg_frame *f)
{
    (void)arg;
    for (int p = 0; p < 3; p++) {
        const int w = p ? (f->yuv.w + 1) / 2 : f->yuv.w;
        const int h = p ? (f->yuv.h + 1) / 2 : f->yuv.h;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                const bool in = x > w / 3 + n && x < 2 * w / 3 + n && y > h / 3;
                uint32_t t = (uint32_t)((x / 6) * 131 + (y / 6) * 37) * 2654435761u;
                f->yuv.plane[p][(size_t)y * f->yuv.stride[p] + (size_t)x] =
                    (uint8_t)(p ? (in ? 128 : 150) : (in ? 180 : 60 + t % 97));
            }
    }
}

/* A network in all but name: the person by his colour, softly. */
static vbg_status find(void *arg, const vbg_raw_frame *raw, vbg_image *prob, vbg_err *err)
{
    const vbg_yuv *v = &raw->frame.yuv;

    (void)arg;
    (void)err;
    for (int y = 0; y < prob->h; y++)
        for (int x = 0; x < prob->w; x++) {
            const int c = v->plane[1][(size_t)(y * v->h / prob->h / 2) * v->stride[1] +
                                      (size_t)(x * v->w / prob->w / 2)];
            prob->data[(size_t)y * prob->stride + (size_t)x] =
                (float)(150 - c) / 22 * 0.9f + 0.05f;
        }
    return VBG_OK;
}

static void nap(double s)
{
    nanosleep(&(struct timespec){ (time_t)s, (long)((s - (double)(time_t)s) * 1e9) },
              NULL);
}

typedef struct rig {
    fake_device fake;
    vbg_ctx *ctx;
    vbg_live *live;
} rig;

static void start(rig *g, bool latest, uint32_t fourcc, double fps)
{
    const vbg_ctx_opt two = { .threads = 2, .isa = VBG_ISA_BEST };
    const vbg_background_opt back = { .w = W, .h = H, .fov_x = 1.2, .yuv = true };
    vbg_live_opt opt = { .device = &g->fake.device,
                         .camera = "/dev/video0",
                         .w = W,
                         .h = H,
                         .ctx_opt = two,
                         .mask = { .source = { find, NULL, 128, 72 },
                                   .threshold = -1,
                                   .feather = 2,
                                   .smooth = 0.95,
                                   .islands = 0.03,
                                   .max_cover = 0.97,
                                   .max_age = latest ? 15 : 0 },
                         .fov_x = 1.2,
                         .relight = { 0.5, 0.2, 0.5 },
                         .latest = latest };
    vbg_picture pano;
    vbg_sink *sink;
    vbg_err err = { "" };

    fake_device_init(&g->fake);
    g->fake.modes[0] = (vbg_camera_mode){ fourcc, W, H, 30, 1 };
    g->fake.mode_count = 1;
    g->fake.fps = fps;
    g->fake.paint = paint;
    cr_assert_eq(vbg_ctx_new(&g->ctx, &two, &err), VBG_OK);
    opt.ctx = g->ctx;
    cr_assert_eq(vbg_picture_new(&pano, 512, 256, 3, &err), VBG_OK);
    for (int y = 0; y < 256; y++)
        for (int x = 0; x < 1536; x++)
            pano.data[(size_t)y * pano.stride + (size_t)x] = (uint8_t)(x * 7 + y * 3);
    cr_assert_eq(vbg_background_picture(&opt.background, &pano, NULL, &back, &err),
                 VBG_OK);
    vbg_picture_free(&pano);
    cr_assert_eq(
        vbg_sink_loopback(&sink, &g->fake.device, "/dev/video10", W, H, 30, &err),
        VBG_OK);
    cr_assert_eq(vbg_live_start(&g->live, &opt, &sink, 1, &err), VBG_OK, "%s", err.text);
}

static int64_t frames_of(rig *g)
{
    pthread_mutex_lock(&g->fake.lock);
    const int64_t n = g->fake.written;
    pthread_mutex_unlock(&g->fake.lock);
    return n;
}

static void wait_frames(rig *g, int64_t n, double most)
{
    const double end = vbg_now() + most;

    while (frames_of(g) < n && vbg_now() < end)
        nap(0.01);
    cr_assert_geq(frames_of(g), n, "%lld frames", (long long)frames_of(g));
}

Test(live_memory, no_allocation_when_warm, .timeout = 120)
{
    static const uint32_t formats[] = { V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_MJPEG };

    for (int latest = 0; latest < 2 && COUNTED; latest++)
        for (int i = 0; i < 2; i++) {
            rig g = { .live = NULL };
            vbg_live_status s;
            start(&g, latest, formats[i], 120);
            wait_frames(&g, 60, 20);
            const long before = allocations;
            wait_frames(&g, frames_of(&g) + 100, 20);
            const long after = allocations;
            vbg_live_get_status(g.live, &s);
            cr_expect_eq(after, before, "%ld allocations, latest %d, format %d",
                         after - before, latest, i);
            cr_expect(s.person, "latest %d, format %d: %s", latest, i, s.note);
            cr_expect(vbg_live_stop(g.live));
            vbg_ctx_free(g.ctx);
            fake_device_free(&g.fake);
        }
}

static long rss_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f && fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * 4;
}

static int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* SOAK_FRAMES=108000 is an hour at 30 a second; a short run by default. */
Test(live_memory, soak, .timeout = 3600)
{
    const char *text = getenv("SOAK_FRAMES");
    const int64_t frames = text ? atoll(text) : 600, warm = frames / 10 + 50;
    rig g = { .live = NULL };
    vbg_live_status s;

    start(&g, false, V4L2_PIX_FMT_MJPEG, 0); /* as fast as it goes */
    wait_frames(&g, warm, 600);
    const long rss = rss_kib(), heap = allocations;
    const int fds = entries("/proc/self/fd"), threads = entries("/proc/self/task");
    for (int64_t n = warm; n < frames; n += 1000)
        wait_frames(&g, n + 1000 < frames ? n + 1000 : frames, 600);
    vbg_live_get_status(g.live, &s);
    const long rss_end = rss_kib();
    cr_log_info(
        "soak: %lld frames, memory %ld -> %ld KiB, %ld allocations, latency %.1f/%.1f "
        "ms",
        (long long)s.frames, rss, rss_end, (long)allocations - heap, s.latency_p50_ms,
        s.latency_p95_ms);
    cr_expect_leq(rss_end, rss + rss / 50 + 256, "%ld -> %ld KiB", rss, rss_end);
    cr_expect_lt(rss_end, 200 * 1024, "%ld KiB", rss_end);
    cr_expect_eq(entries("/proc/self/fd"), fds);
    cr_expect_eq(entries("/proc/self/task"), threads);
    cr_expect_geq(s.frames, frames);
    cr_expect(vbg_live_stop(g.live));
    vbg_ctx_free(g.ctx);
    fake_device_free(&g.fake);
}
