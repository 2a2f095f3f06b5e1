/* The live session over the scripted devices: never a raw frame, whatever breaks, and
 * the picture comes back.
 *
 * The marker room: the camera paints its room in a colour that neither the person nor
 * the background has; whoever finds that colour in what the virtual camera received has
 * found the room. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/videodev2.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fake/device.h"
#include "video/carry.h"
#include "video/frame_scale.h"
#include "video/live.h"

enum { W = 160, H = 120 };
/* limited-range BT.601: room magenta, person gray, background (#404040) dark */
static const uint8_t room[3] = { 106, 202, 222 };
static const uint8_t person[3] = { 160, 128, 128 }; /* 160 + 8 n in frame n */

/* The scene is W x H; the person sways by so many pixels a frame. */
static bool inside(double x, double y, int64_t n, int step, double margin)
{
    const int at = step * (int)(n % 8 < 4 ? n % 8 : 8 - n % 8);
    const double dx = (x - W / 2 - at) / (W * 0.2 + margin);
    const double dy = (y - H * 2.0 / 3) / (H * 0.4 + margin);
    return dx * dx + dy * dy < 1;
}

typedef enum mask_fault {
    MASK_GOOD,
    MASK_ERROR,
    MASK_NAN,
    MASK_ALL,
    MASK_SLOW,
    MASK_HANG
} mask_fault;

typedef struct rig {
    fake_device fake;
    vbg_ctx *ctx;
    vbg_live *live;
    _Atomic mask_fault mask;
    _Atomic bool hanging;
    /* what the reader saw, under the fake's lock */
    int64_t frames, raw_frames, with_person, last_person, worst;
    double last_at, longest_gap;
    bool old;  /* a driver that does not tell who reads */
    bool fast; /* a camera that is never waited for */
    bool latest;
    int step;            /* the person's, pixels a frame; start() sets 2 */
    double first, pace;  /* how bright he is shown in frame 0, and more in each */
    bool seen[H][W / 2]; /* where the room's colour was shown, ever */
} rig;

/* A camera of any size sees the scene in its middle, as large as it fits. */
static void paint(void *arg, int64_t n, vbg_frame *f)
{
    const rig *g = arg;
    const double scale = fmin((double)f->yuv.w / W, (double)f->yuv.h / H);
    const double left = f->yuv.w / 2.0 - W / 2.0 * scale;
    const double top = f->yuv.h / 2.0 - H / 2.0 * scale;

    for (int p = 0; p < 3; p++) {
        const int pitch = p ? 2 : 1, w = (f->yuv.w + pitch - 1) / pitch,
                  h = (f->yuv.h + pitch - 1) / pitch;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                f->yuv.plane[p][(size_t)y * f->yuv.stride[p] + (size_t)x] =
                    inside((x * pitch - left) / scale, (y * pitch - top) / scale, n,
                           g->step, 0)
                        ? (uint8_t)(person[p] + (p ? 0 : 8 * n))
                        : room[p];
    }
}

/* The person by his colour: what a perfect network would say. */
static vbg_status find(void *arg, const vbg_raw_frame *raw, vbg_image *prob, vbg_err *err)
{
    rig *g = arg;
    const mask_fault f = g->mask;
    const vbg_yuv *v = &raw->frame.yuv;

    if (f == MASK_ERROR)
        return vbg_fail(err, VBG_EIO, "the network is broken");
    if (f == MASK_SLOW)
        nanosleep(&(struct timespec){ 0, 60000000 }, NULL);
    while (g->mask == MASK_HANG) {
        g->hanging = true;
        nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
    }
    g->hanging = false;
    for (int y = 0; y < prob->h; y++)
        for (int x = 0; x < prob->w; x++) {
            const int c = v->plane[1][(size_t)(y * v->h / prob->h / 2) * v->stride[1] +
                                      (size_t)(x * v->w / prob->w / 2)];
            float *d = prob->data + (size_t)y * prob->stride + x;
            *d = f == MASK_NAN ? NAN : f == MASK_ALL ? 1.0f : abs(c - 128) < 20;
        }
    return VBG_OK;
}

/* Counts the room's colour in a YUYV frame outside the true person and 8 pixels around
 * him, who tells by his brightness which frame it is. */
static void look(void *arg, const uint8_t *data, size_t bytes, uint32_t fourcc, int w,
                 int h)
{
    rig *g = arg;
    int64_t marker = 0, people = 0;
    const double now = vbg_now();

    cr_assert(fourcc == V4L2_PIX_FMT_YUYV && bytes == (size_t)w * (size_t)h * 2);
    const int seen = data[2 * ((size_t)(h * 2 / 3) * (size_t)w + (size_t)w / 2)];
    const int n = (int)floor((seen - g->first) / g->pace + 0.5);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x += 2) {
            const uint8_t *p = data + 2 * ((size_t)y * (size_t)w + (size_t)x);
            people += p[0] > 150;
            if (!(p[1] > 150 && p[3] > 150))
                continue;
            marker += n >= 0 && inside(x, y, n, g->step, 8) ? 0 : 2;
            if (!(n >= 0 && inside(x, y, n, g->step, 16)) && w == W && h == H)
                g->seen[y][x / 2] = true;
        }
    g->frames++;
    g->worst = marker > g->worst ? marker : g->worst;
    g->raw_frames += 1000 * marker > (int64_t)w * h; /* 0.1 % */
    g->last_person = people > 20;
    g->with_person += people > 20;
    if (g->last_at > 0 && now - g->last_at > g->longest_gap)
        g->longest_gap = now - g->last_at;
    g->last_at = now;
}

static void start(rig *g, bool latest, uint32_t fourcc, bool on_demand)
{
    const vbg_ctx_opt one = { .threads = 1, .isa = VBG_ISA_BEST };
    const vbg_background_opt back = { .w = W, .h = H, .fov_x = 1.2, .yuv = true };
    vbg_live_opt opt = { .device = &g->fake.device,
                         .camera = "/dev/video0",
                         .w = W,
                         .h = H,
                         .ctx_opt = one,
                         .mask = { .source = { find, g, 40, 30 },
                                   .threshold = -1,
                                   .max_cover = 0.97,
                                   .max_age = latest ? 10 : 0 },
                         .fov_x = 1.2,
                         .latest = latest,
                         .on_demand = on_demand };
    vbg_sink *sink;
    vbg_err err = { "" };

    g->latest = latest;
    g->step = 2;
    const bool full = fourcc == V4L2_PIX_FMT_MJPEG; /* JPEGs are taken for full range */
    g->first = full ? 16 + person[0] * 219 / 255.0 : person[0];
    g->pace = full ? 8 * 219 / 255.0 : 8;
    fake_device_init(&g->fake);
    g->fake.modes[0] = (vbg_camera_mode){ fourcc, W, H, 60, 1 };
    g->fake.mode_count = 1;
    g->fake.fps = g->fast ? 0 : 60;
    g->fake.paint = paint;
    g->fake.arg = g;
    g->fake.sink = look;
    g->fake.sink_arg = g;
    g->fake.old_driver = !on_demand || g->old;
    cr_assert_eq(vbg_ctx_new(&g->ctx, &one, &err), VBG_OK);
    opt.ctx = g->ctx;
    cr_assert_eq(vbg_background_open(&opt.background, "#404040", &back, &err), VBG_OK);
    cr_assert_eq(
        vbg_sink_loopback(&sink, &g->fake.device, "/dev/video10", W, H, 60, &err), VBG_OK,
        "%s", err.text);
    cr_assert_eq(vbg_live_start(&g->live, &opt, &sink, 1, &err), VBG_OK, "%s", err.text);
}

static void nap(double s)
{
    nanosleep(&(struct timespec){ (time_t)s, (long)((s - (double)(time_t)s) * 1e9) },
              NULL);
}

static void stop(rig *g)
{
    cr_expect(vbg_live_stop(g->live));
    cr_expect(!g->last_person, "the last frame shows a person");
    cr_expect_eq(
        g->raw_frames, 0, "mode %s: %lld frames show the room, at worst %lld pixels",
        g->latest ? "latest" : "frame", (long long)g->raw_frames, (long long)g->worst);
    cr_expect_eq(g->fake.open_now, 0);
    cr_expect_not(g->fake.loop_dead);
    vbg_ctx_free(g->ctx);
    fake_device_free(&g->fake);
}

/* Waits until the person is there (or not), at most so many seconds; the time it took. */
static double until_person(rig *g, bool there, double most)
{
    const double start_time = vbg_now();

    for (;;) {
        pthread_mutex_lock(&g->fake.lock);
        const bool now = g->last_person && vbg_now() - g->last_at < 0.5;
        pthread_mutex_unlock(&g->fake.lock);
        const double t = vbg_now() - start_time;
        if (now == there || t > most)
            return t;
        nap(0.005);
    }
}

static int64_t frames_of(rig *g)
{
    pthread_mutex_lock(&g->fake.lock);
    const int64_t n = g->frames;
    pthread_mutex_unlock(&g->fake.lock);
    return n;
}

/* The usual case in both mask modes and two formats: person on background, few frames
 * lost, status makes sense. */
Test(live, composes, .timeout = 60)
{
    static const uint32_t formats[] = { V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_MJPEG };

    for (int latest = 0; latest < 2; latest++)
        for (int i = 0; i < 2; i++) {
            rig g = { .mask = MASK_GOOD };
            vbg_live_status s;
            start(&g, latest, formats[i], false);
            cr_expect_lt(until_person(&g, true, 3), 3);
            nap(1.3);
            vbg_live_get_status(g.live, &s);
            cr_expect(s.frames_s > 20 && s.frames_s < 90, "%f frames/s", s.frames_s);
            cr_expect_gt(s.masks_s, 5);
            cr_expect(s.camera_on && s.person && s.camera.mode.w == W);
            cr_expect(s.latency_p95_ms > 0 && s.latency_p95_ms < 500, "%f",
                      s.latency_p95_ms);
            stop(&g);
        }
}

/* One fault after the other, in both mask modes: not one frame of the room, background
 * frames meanwhile, the person back within two seconds of the end. */
static void break_and_mend(rig *g, const char *what, void (*set)(rig *g, bool on),
                           bool loses_person)
{
    cr_expect_lt(until_person(g, true, 4), 4, "%s: no person before", what);
    set(g, true);
    if (loses_person)
        cr_expect_lt(until_person(g, false, 4), 4, "%s: the person stays", what);
    const int64_t before = frames_of(g);
    nap(0.5);
    /* five a second, less what a busy machine takes */
    cr_expect_geq(frames_of(g) - before, 2, "%s: %lld frames in half a second", what,
                  (long long)(frames_of(g) - before));
    set(g, false);
    const double t = until_person(g, true, 5);
    cr_expect_lt(t, 2, "%s: back after %.2f s", what, t);
}

static void set_unplugged(rig *g, bool on)
{
    fake_device_plug(&g->fake, !on);
}
static void set_stalled(rig *g, bool on)
{
    fake_device_stall(&g->fake, on);
}
static void set_error(rig *g, bool on)
{
    g->mask = on ? MASK_ERROR : MASK_GOOD;
}
static void set_nan(rig *g, bool on)
{
    g->mask = on ? MASK_NAN : MASK_GOOD;
}
static void set_all(rig *g, bool on)
{
    g->mask = on ? MASK_ALL : MASK_GOOD;
}
static void set_hang(rig *g, bool on)
{
    g->mask = on ? MASK_HANG : MASK_GOOD;
}
static void set_pause(rig *g, bool on)
{
    vbg_live_pause(g->live, on);
}
static void set_eio(rig *g, bool on)
{
    fake_device_break(&g->fake, FAKE_EIO, on ? 1000000 : 0);
}
static void set_short(rig *g, bool on)
{
    fake_device_break(&g->fake, FAKE_SHORT, on ? 1000000 : 0);
}
static void set_flagged(rig *g, bool on)
{
    fake_device_break(&g->fake, FAKE_FLAGGED, on ? 1000000 : 0);
}
static void set_index(rig *g, bool on)
{
    fake_device_break(&g->fake, FAKE_BAD_INDEX, on ? 1000000 : 0);
}

/* Another size while it runs, as after another program had the camera. */
static void set_size(rig *g, bool on)
{
    pthread_mutex_lock(&g->fake.lock);
    g->fake.swap_w = on ? 96 : 0;
    g->fake.swap_h = on ? 96 : 0;
    pthread_mutex_unlock(&g->fake.lock);
    fake_device_plug(&g->fake, false);
    nap(0.15);
    fake_device_plug(&g->fake, true);
}

static const struct {
    const char *name;
    void (*set)(rig *g, bool on);
    bool loses_person;
} faults[] = {
    { "unplugged", set_unplugged, true }, { "stalled", set_stalled, true },
    { "mask error", set_error, true },    { "mask of NaN", set_nan, true },
    { "mask of ones", set_all, true },    { "mask hangs", set_hang, true },
    { "paused", set_pause, true },        { "EIO", set_eio, true },
    { "short frames", set_short, true },  { "flagged frames", set_flagged, true },
    { "bad index", set_index, true },     { "other size", set_size, false },
};

enum { FAULTS = sizeof faults / sizeof *faults };

static void all_faults(bool latest, uint32_t fourcc)
{
    rig g = { .mask = MASK_GOOD };

    start(&g, latest, fourcc, false);
    for (size_t i = 0; i < FAULTS; i++)
        break_and_mend(&g, faults[i].name, faults[i].set, faults[i].loses_person);
    stop(&g);
}

/* Share of the picture in which the room's colour was ever seen, 16 pixels and more from
 * the person. */
static double shown_of_room(const rig *g)
{
    int n = 0;

    for (int y = 0; y < H; y++)
        for (int x = 0; x < W / 2; x++)
            n += g->seen[y][x];
    return 2.0 * n / (W * H);
}

/* MARKER_FRAMES frames as fast as they come, a fault in every thousand, both mask modes
 * and two formats in turn: 100,000 in `make soak`. */
Test(live, marker_soak, .timeout = 3600)
{
    const char *text = getenv("MARKER_FRAMES");
    const int64_t frames = text ? atoll(text) : 2000;
    int64_t seen = 0, worst = 0;
    double share = 0;
    size_t fault = 0;

    for (int part = 0; part < 4; part++) {
        rig g = { .mask = MASK_GOOD, .fast = true };
        start(&g, part % 2, part < 2 ? V4L2_PIX_FMT_YUYV : V4L2_PIX_FMT_MJPEG, false);
        for (int64_t next = 500; next < frames / 4; next += 1000, fault++) {
            const double end = vbg_now() + 60;
            while (frames_of(&g) < next && vbg_now() < end)
                nap(0.002);
            break_and_mend(&g, faults[fault % FAULTS].name, faults[fault % FAULTS].set,
                           faults[fault % FAULTS].loses_person);
        }
        while (frames_of(&g) < frames / 4)
            nap(0.002);
        seen += frames_of(&g);
        worst = g.worst > worst ? g.worst : worst;
        share = fmax(share, shown_of_room(&g));
        stop(&g);
    }
    cr_log_info("marker: %lld frames, %zu faults, at worst %lld of %d pixels of the room "
                "in a frame; %.2f %% of it in all of them together",
                (long long)seen, fault, (long long)worst, W * H, 100 * share);
    cr_expect_geq(seen, frames);
    cr_expect_leq(share, 0.02);
}

/* The room's pixels outside person n and 8 pixels around him. */
static int count_room(const vbg_yuv *v, int n, int step)
{
    int count = 0;

    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x += 2) {
            const size_t at = (size_t)(y / 2) * v->stride[1] + (size_t)x / 2;
            if (v->plane[1][at] > 150 && v->plane[2][at] > 150 &&
                !inside(x, y, n, step, 8))
                count += 2;
        }
    return count;
}

/* Pixels of person n, 16 and more from his rim, that are not or not wholly taken for him.
 */
static int count_holes(const vbg_picture *alpha, int n, int step)
{
    int count = 0;

    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            count += vbg_picture_row(alpha, y)[x] < 230 && inside(x, y, n, step, -16);
    return count;
}

/* The frames of a camera's cycle, as a session gets them. */
static void shoot(rig *g, const vbg_camera_mode *mode, vbg_raw_frame shot[FAKE_CYCLE])
{
    vbg_frame_scaler *scaler;
    vbg_camera *camera;
    vbg_frame f;
    vbg_err err = { "" };

    fake_device_init(&g->fake);
    g->fake.modes[0] = *mode;
    g->fake.mode_count = 1;
    g->fake.fps = 0;
    g->fake.paint = paint;
    g->fake.arg = g;
    cr_assert_eq(vbg_camera_open(&camera, &g->fake.device, "/dev/video0",
                                 &(vbg_camera_want){ .w = mode->w }, &err),
                 VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_frame_scaler_new(&scaler, NULL), VBG_OK);
    cr_assert_eq(vbg_frame_new(&f, mode->w, mode->h, NULL), VBG_OK);
    for (int i = 0; i < FAKE_CYCLE; i++) {
        cr_assert_eq(vbg_frame_new(&shot[i].frame, W, H, NULL), VBG_OK);
        cr_assert_eq(vbg_camera_next(camera, vbg_ctx_kernels(g->ctx), &f, 1000, &err),
                     VBG_CAMERA_FRAME, "%s", err.text);
        cr_assert_eq(
            vbg_frame_scale(scaler, vbg_ctx_kernels(g->ctx), &shot[i].frame, &f, NULL),
            VBG_OK);
    }
    vbg_frame_free(&f);
    vbg_frame_scaler_free(scaler);
    vbg_camera_close(camera);
    fake_device_free(&g->fake);
}

/* Whatever frame (of the eight there are) a mask of mode "latest" was made from: nothing
 * of the room in whatever frame it is used for, and at the soak's pace no hole in the
 * person.  All there is, without a session and its clock. */
static void all_old_masks(const vbg_camera_mode *mode, int step)
{
    const vbg_ctx_opt one = { .threads = 1, .isa = VBG_ISA_BEST };
    rig g = { .mask = MASK_GOOD, .step = step };
    const vbg_mask_opt opt = { .w = W,
                               .h = H,
                               .source = { find, &g, 40, 30 },
                               .threshold = -1,
                               .max_cover = 0.97,
                               .max_age = 10 };
    vbg_raw_frame shot[FAKE_CYCLE] = { { .epoch = 0 } };
    vbg_mask mask = { .valid = false };
    vbg_picture back;
    vbg_out_frame *out;
    vbg_masker *m;
    vbg_carry *k;
    char name[5];

    cr_assert_eq(vbg_ctx_new(&g.ctx, &one, NULL), VBG_OK);
    cr_assert_eq(vbg_masker_new(&m, &opt, NULL), VBG_OK);
    cr_assert_eq(vbg_carry_new(&k, W, H, NULL), VBG_OK);
    cr_assert_eq(vbg_out_frame_new(&out, W, H, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&mask.alpha, W, H, 1, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&back, W, H, 3, NULL), VBG_OK);
    for (int y = 0; y < H; y++)
        memset(vbg_picture_row(&back, y), 80, (size_t)W * 3);
    shoot(&g, mode, shot);
    for (int i = 0; i < FAKE_CYCLE * FAKE_CYCLE; i++) {
        vbg_raw_frame *then = &shot[i / FAKE_CYCLE], *now = &shot[i % FAKE_CYCLE];
        then->epoch = i;
        then->index = 0;
        cr_assert_eq(vbg_masker_run(m, g.ctx, then, NULL, &mask, NULL), VBG_OK);
        vbg_carry_run(k, g.ctx, then, &mask);
        now->epoch = i;
        now->index = 10;
        const vbg_mask *carried = vbg_carry_run(k, g.ctx, now, &mask);
        cr_assert(vbg_compose(g.ctx, out, now, carried, &back));
        const int n = count_room(&vbg_out_frame_pixels(out)->yuv, i % FAKE_CYCLE, step);
        const int holes = count_holes(&carried->alpha, i % FAKE_CYCLE, step);
        cr_expect(n == 0 && (step > 2 || 1000 * holes <= W * H),
                  "%s %dx%d, step %d, mask of frame %d in frame %d: %d pixels of the "
                  "room, %d of the person missing",
                  vbg_fourcc_text(name, mode->fourcc), mode->w, mode->h, step,
                  i / FAKE_CYCLE, i % FAKE_CYCLE, n, holes);
    }
    for (int i = 0; i < FAKE_CYCLE; i++)
        vbg_frame_free(&shot[i].frame);
    vbg_picture_free(&back);
    vbg_picture_free(&mask.alpha);
    vbg_out_frame_free(out);
    vbg_carry_free(k);
    vbg_masker_free(m);
    vbg_ctx_free(g.ctx);
}

Test(live, every_old_mask, .timeout = 60)
{
    static const vbg_camera_mode modes[] = {
        { V4L2_PIX_FMT_YUYV, W, H, 60, 1 },
        { V4L2_PIX_FMT_YUYV, 96, 96, 60, 1 }, /* what set_size makes of the camera */
        { V4L2_PIX_FMT_MJPEG, W, H, 60, 1 },
        { V4L2_PIX_FMT_MJPEG, 96, 96, 60, 1 },
    };

    for (int step = 2; step <= 6; step += 2)
        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
            all_old_masks(&modes[i], step);
}

Test(live, faults_each_frame, .timeout = 120)
{
    all_faults(false, V4L2_PIX_FMT_YUYV);
}

Test(live, faults_latest, .timeout = 120)
{
    all_faults(true, V4L2_PIX_FMT_MJPEG);
}

/* Nothing of the room before the first mask, however long it takes; no camera at all;
 * both end cleanly. */
Test(live, starts_closed, .timeout = 60)
{
    for (int kind = 0; kind < 3; kind++) {
        rig g = { .mask = kind == 0 ? MASK_HANG : MASK_ERROR };
        start(&g, false, V4L2_PIX_FMT_YUYV, false);
        if (kind == 2)
            fake_device_plug(&g.fake, false);
        nap(1);
        pthread_mutex_lock(&g.fake.lock);
        cr_expect_geq(g.frames, 5);
        cr_expect_eq(g.with_person, 0);
        cr_expect_eq(g.worst, 0);
        pthread_mutex_unlock(&g.fake.lock);
        g.mask = MASK_GOOD;
        fake_device_plug(&g.fake, true);
        cr_expect_lt(until_person(&g, true, 3), 2);
        stop(&g);
    }
}

/* A slow network: its own frames only, or old masks up to their age. */
Test(live, slow_network, .timeout = 60)
{
    for (int latest = 0; latest < 2; latest++) {
        rig g = { .mask = MASK_SLOW };
        vbg_live_status s;
        start(&g, latest, V4L2_PIX_FMT_YUYV, false);
        cr_expect_lt(until_person(&g, true, 3), 3);
        nap(2.2);
        vbg_live_get_status(g.live, &s);
        if (latest) {
            cr_expect_gt(s.frames_s, 1.5 * s.masks_s, "%f frames, %f masks", s.frames_s,
                         s.masks_s);
            cr_expect_gt(s.mask_age_ms, 0);
        } else {
            cr_expect(s.frames_s < 25 && s.background * 4 < s.frames, "%f frames/s",
                      s.frames_s);
        }
        cr_expect(vbg_live_stop(g.live));
        cr_expect(!g.last_person);
        cr_expect_eq(g.raw_frames, 0, "%lld", (long long)g.worst);
        vbg_ctx_free(g.ctx);
        fake_device_free(&g.fake);
    }
}

/* The virtual camera fails and comes back; the session goes on. */
Test(live, output_lost, .timeout = 60)
{
    rig g = { .mask = MASK_GOOD };

    start(&g, false, V4L2_PIX_FMT_YUYV, false);
    cr_expect_lt(until_person(&g, true, 3), 3);
    pthread_mutex_lock(&g.fake.lock);
    g.fake.loop_error = EIO;
    pthread_mutex_unlock(&g.fake.lock);
    nap(0.3);
    pthread_mutex_lock(&g.fake.lock);
    g.fake.loop_error = 0;
    g.last_person = 0;
    pthread_mutex_unlock(&g.fake.lock);
    cr_expect_lt(until_person(&g, true, 3), 2);
    stop(&g);
}

/* Camera off while nobody reads, on when somebody does; the node stays open. */
Test(live, on_demand, .timeout = 60)
{
    rig g = { .mask = MASK_GOOD };

    start(&g, false, V4L2_PIX_FMT_YUYV, true);
    for (int round = 0; round < 2; round++) {
        const double t0 = vbg_now();
        while (g.fake.open_now > 0 || vbg_now() - t0 < 1)
            if (nap(0.01), vbg_now() - t0 > 5)
                break;
        nap(1);
        pthread_mutex_lock(&g.fake.lock);
        cr_expect_eq(g.fake.open_now, 0, "the camera is on, and nobody looks");
        cr_expect(g.fake.loop_open);
        g.fake.readers = 1;
        pthread_mutex_unlock(&g.fake.lock);
        cr_expect_lt(until_person(&g, true, 3), 0.5);
        pthread_mutex_lock(&g.fake.lock);
        g.fake.readers = 0;
        pthread_mutex_unlock(&g.fake.lock);
        nap(0.3);
        cr_expect_eq(g.fake.open_now, 1, "a short absence closes it");
    }
    stop(&g);
}

/* The same with a driver that does not tell who reads: who holds the node open counts,
 * probes do not. */
Test(live, on_demand_by_holders, .timeout = 60)
{
    rig g = { .mask = MASK_GOOD, .old = true };
    vbg_live_status s;

    start(&g, false, V4L2_PIX_FMT_YUYV, true);
    const double t0 = vbg_now();
    while (g.fake.open_now > 0 || vbg_now() - t0 < 1)
        if (nap(0.01), vbg_now() - t0 > 5)
            break;
    nap(1);
    cr_expect_eq(g.fake.open_now, 0, "the camera is on, and nobody looks");
    const int opens = g.fake.opens;
    for (int i = 0; i < 5; i++) { /* somebody asks what there is */
        fake_device_hold(&g.fake, 1);
        nap(0.03);
        fake_device_hold(&g.fake, 0);
        nap(0.3);
    }
    cr_expect_eq(g.fake.opens, opens, "a probe starts the camera");
    fake_device_hold(&g.fake, 2);
    cr_expect_lt(until_person(&g, true, 3), 0.6);
    vbg_live_get_status(g.live, &s);
    cr_expect_eq(s.readers, 2);
    fake_device_hold(&g.fake, 0);
    const double t1 = vbg_now();
    while (g.fake.open_now > 0 && vbg_now() - t1 < 5)
        nap(0.01);
    cr_expect_eq(g.fake.open_now, 0, "they left, and the camera is on");
    stop(&g);
}

/* Settings while it runs. */
Test(live, settings, .timeout = 60)
{
    const vbg_background_opt back = { .w = W, .h = H, .fov_x = 1.2, .yuv = true };
    rig g = { .mask = MASK_GOOD };
    vbg_background *b;

    start(&g, false, V4L2_PIX_FMT_YUYV, false);
    cr_expect_lt(until_person(&g, true, 3), 3);
    for (int i = 0; i < 20; i++) {
        const vbg_mask_opt m = { .threshold = i % 2 ? 0.5 : -1,
                                 .feather = i % 5,
                                 .grow = i % 3 - 1 };
        cr_assert_eq(vbg_background_open(&b, i % 2 ? "blur:20" : "#202020", &back, NULL),
                     VBG_OK);
        vbg_live_set_background(g.live, b);
        vbg_live_set_mask(g.live, &m);
        vbg_live_set_flip(g.live, i % 2, i % 3 == 0);
        vbg_live_recenter(g.live);
        nap(0.03);
    }
    cr_expect(vbg_live_stop(g.live)); /* the blurred room is the room: not counted */
    vbg_ctx_free(g.ctx);
    fake_device_free(&g.fake);
}
