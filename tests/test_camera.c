/* Cameras and virtual cameras over the scripted device: every format, every fault. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/videodev2.h>
#include <string.h>

#include "tests/fake/device.h"
#include "video/camera.h"
#include "video/frame_scale.h"
#include "video/loopback.h"

/* A smooth picture that every format can carry: ramps, limited range. */
static void ramps(void *arg, int64_t n, vbg_frame *f)
{
    (void)arg;
    for (int p = 0; p < 3; p++) {
        const int w = p ? (f->yuv.w + 1) / 2 : f->yuv.w;
        const int h = p ? (f->yuv.h + 1) / 2 : f->yuv.h;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                f->yuv.plane[p][(size_t)y * f->yuv.stride[p] + (size_t)x] =
                    (uint8_t)(p == 0   ? 40 + 150 * x / w + (int)n
                              : p == 1 ? 60 + 120 * y / h
                                       : 90 + 100 * x / w);
    }
}

/* Largest difference from the ramps; JPEG codes are narrowed by the reader. */
static int worst(const vbg_frame *f, int64_t n, bool jpeg)
{
    vbg_frame t;
    int most = 0;

    cr_assert_eq(vbg_frame_new(&t, f->yuv.w, f->yuv.h, NULL), VBG_OK);
    ramps(NULL, n, &t);
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? (t.yuv.h + 1) / 2 : t.yuv.h); y++)
            for (int x = 0; x < (p ? (t.yuv.w + 1) / 2 : t.yuv.w); x++) {
                int a = f->yuv.plane[p][(size_t)y * f->yuv.stride[p] + (size_t)x];
                double b = t.yuv.plane[p][(size_t)y * t.yuv.stride[p] + (size_t)x];
                if (jpeg)
                    b = p ? 128 + (b - 128) * 224 / 255 : 16 + b * 219 / 255;
                int d = abs(a - (int)(b + 0.5));
                most = d > most ? d : most;
            }
    vbg_frame_free(&t);
    return most;
}

static const uint32_t formats[] = { V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_NV12,
                                    V4L2_PIX_FMT_YUV420, V4L2_PIX_FMT_MJPEG };

static vbg_camera_event next(vbg_camera *c, vbg_frame *f, int timeout_ms, vbg_err *err)
{
    vbg_kernels k;

    vbg_kernels_init(&k, VBG_ISA_AMX_BF16);
    return vbg_camera_next(c, &k, f, timeout_ms, err);
}

/* What was painted comes out, in every format, with and without padded rows, at sizes
 * that are no multiple of anything. */
Test(camera, formats)
{
    static const int sizes[][2] = { { 640, 480 }, { 64, 36 }, { 322, 178 }, { 48, 50 } };

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int odd = 0; odd < 2; odd++) {
                fake_device fake;
                vbg_camera *c;
                vbg_frame f;
                vbg_err err = { "" };
                const bool jpeg = formats[i] == V4L2_PIX_FMT_MJPEG;
                fake_device_init(&fake);
                fake.paint = ramps;
                fake.odd_stride = odd;
                fake.no_tables = odd;
                fake.modes[0] =
                    (vbg_camera_mode){ formats[i], sizes[s][0], sizes[s][1], 30, 1 };
                fake.mode_count = 1;
                cr_assert_eq(vbg_camera_open(&c, &fake.device, "/dev/video0",
                                             &(vbg_camera_want){ 0 }, &err),
                             VBG_OK, "%s", err.text);
                cr_assert_eq(vbg_frame_new(&f, sizes[s][0], sizes[s][1], NULL), VBG_OK);
                for (int n = 0; n < 3; n++) {
                    cr_assert_eq(next(c, &f, 1000, &err), VBG_CAMERA_FRAME, "%s",
                                 err.text);
                    int d = worst(&f, n, jpeg);
                    /* quality 90 on a ramp: a few levels */
                    cr_expect_leq(d, jpeg ? 6 : 1, "format %zu size %zu odd %d: %d", i, s,
                                  odd, d);
                }
                vbg_camera_close(c);
                vbg_frame_free(&f);
                cr_expect_eq(fake.open_now, 0);
                fake_device_free(&fake);
            }
}

/* Every fault costs its frame, or the camera; the next frames are good again. */
Test(camera, faults)
{
    static const struct {
        fake_fault fault;
        vbg_camera_event event;
    } cases[] = {
        { FAKE_EIO, VBG_CAMERA_DAMAGED },    { FAKE_EAGAIN, VBG_CAMERA_NOTHING },
        { FAKE_SHORT, VBG_CAMERA_DAMAGED },  { FAKE_FLAGGED, VBG_CAMERA_DAMAGED },
        { FAKE_EMPTY, VBG_CAMERA_DAMAGED },  { FAKE_TOO_LONG, VBG_CAMERA_DAMAGED },
        { FAKE_BAD_INDEX, VBG_CAMERA_GONE }, { FAKE_GARBAGE, VBG_CAMERA_DAMAGED },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int jpeg = 0; jpeg < 2; jpeg++) {
            fake_device fake;
            vbg_camera *c;
            vbg_frame f;
            vbg_err err = { "" };
            if (!jpeg && cases[i].fault == FAKE_GARBAGE)
                continue; /* any bytes are a picture */
            fake_device_init(&fake);
            fake.paint = ramps;
            fake.modes[0].fourcc = jpeg ? V4L2_PIX_FMT_MJPEG : V4L2_PIX_FMT_YUYV;
            fake.mode_count = 1;
            cr_assert_eq(vbg_camera_open(&c, &fake.device, "/dev/video0",
                                         &(vbg_camera_want){ 0 }, &err),
                         VBG_OK, "%s", err.text);
            cr_assert_eq(vbg_frame_new(&f, 640, 480, NULL), VBG_OK);
            cr_expect_eq(next(c, &f, 100, &err), VBG_CAMERA_FRAME);
            fake_device_break(&fake, cases[i].fault, 1);
            vbg_camera_event e = next(c, &f, 100, &err);
            cr_expect_eq(e, cases[i].event, "case %zu jpeg %d: %d %s", i, jpeg, (int)e,
                         err.text);
            if (e != VBG_CAMERA_GONE)
                cr_expect_eq(next(c, &f, 100, &err), VBG_CAMERA_FRAME, "after case %zu",
                             i);
            fake_device_break(&fake, cases[i].fault, 1000); /* it never ends */
            for (int n = 0; n < 100 && e != VBG_CAMERA_GONE; n++)
                if ((e = next(c, &f, 1, NULL)) == VBG_CAMERA_NOTHING)
                    break;
            cr_expect(e == VBG_CAMERA_GONE || e == VBG_CAMERA_NOTHING, "case %zu", i);
            vbg_camera_close(c);
            vbg_frame_free(&f);
            fake_device_free(&fake);
        }
}

Test(camera, unplugged_and_stalled)
{
    fake_device fake;
    vbg_camera *c;
    vbg_frame f;
    vbg_err err = { "" };

    fake_device_init(&fake);
    cr_assert_eq(vbg_camera_open(&c, &fake.device, "/dev/video0",
                                 &(vbg_camera_want){ .w = 640, .h = 480 }, &err),
                 VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_frame_new(&f, 640, 480, NULL), VBG_OK);
    fake_device_stall(&fake, true);
    cr_expect_eq(next(c, &f, 10, &err), VBG_CAMERA_NOTHING);
    fake_device_stall(&fake, false);
    cr_expect_eq(next(c, &f, 10, &err), VBG_CAMERA_FRAME);
    fake_device_plug(&fake, false);
    cr_expect_eq(next(c, &f, 10, &err), VBG_CAMERA_GONE);
    vbg_camera_close(c);
    vbg_frame_free(&f);
    fake_device_free(&fake);
}

/* The mode that is taken, and why. */
Test(camera, choice)
{
    const vbg_camera_mode modes[] = { { V4L2_PIX_FMT_YUYV, 640, 480, 30, 1 },
                                      { V4L2_PIX_FMT_YUYV, 1280, 720, 10, 1 },
                                      { V4L2_PIX_FMT_MJPEG, 640, 480, 60, 1 },
                                      { V4L2_PIX_FMT_MJPEG, 1280, 720, 30000, 1001 },
                                      { V4L2_PIX_FMT_MJPEG, 1920, 1080, 30, 1 },
                                      { V4L2_PIX_FMT_H264, 1280, 720, 60, 1 } };
    static const struct {
        vbg_camera_want want;
        int index;
    } cases[] = {
        { { 0 }, 3 },               /* not the slow raw one */
        { { 640, 480, 30, 0 }, 0 }, /* raw where it is fast enough */
        { { 640, 480, 60, 0 }, 2 }, /* reaches the rate */
        { { 1920, 1080, 30, 0 }, 4 },
        { { 0, 0, 10, 0 }, 1 },
        { { .fourcc = V4L2_PIX_FMT_YUYV }, 0 },
        { { .fourcc = V4L2_PIX_FMT_H264 }, -1 },
        { { .fourcc = V4L2_PIX_FMT_NV12 }, -1 },
    };
    char why[160];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(vbg_camera_choose(modes, 6, &cases[i].want, why, sizeof why),
                     cases[i].index, "case %zu", i);
    cr_expect_eq(vbg_camera_choose(modes + 5, 1, &(vbg_camera_want){ 0 }, NULL, 0), -1);
    cr_expect_eq(vbg_camera_choose(modes, 0, &(vbg_camera_want){ 0 }, NULL, 0), -1);
}

/* What cannot be opened says what to do, in one line. */
Test(camera, refusals)
{
    static const struct {
        const char *path, *text;
        bool busy, denied;
    } cases[] = { { "/dev/video1", "gives no pictures", false, false },
                  { "/dev/video2", "offers H264", false, false },
                  { "/dev/video9", "no such camera", false, false },
                  { "/dev/video0", "another program", true, false },
                  { "/dev/video0", "no permission", false, true } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_device fake;
        vbg_camera *c = NULL;
        vbg_err err = { "" };
        fake_device_init(&fake);
        fake.busy = cases[i].busy;
        fake.denied = cases[i].denied;
        cr_expect_neq(vbg_camera_open(&c, &fake.device, cases[i].path,
                                      &(vbg_camera_want){ 0 }, &err),
                      VBG_OK);
        cr_expect(!c && strstr(err.text, cases[i].text), "case %zu: %s", i, err.text);
        cr_expect_eq(fake.open_now, 0);
        fake_device_free(&fake);
    }
}

/* The driver's own answer counts; a lying one is refused. */
Test(camera, takes_what_it_gets)
{
    fake_device fake;
    vbg_camera *c;
    vbg_camera_info info;
    vbg_err err = { "" };

    fake_device_init(&fake);
    fake.swap_w = 320;
    fake.swap_h = 240;
    cr_assert_eq(
        vbg_camera_open(&c, &fake.device, "/dev/video0", &(vbg_camera_want){ 0 }, &err),
        VBG_OK, "%s", err.text);
    vbg_camera_get_info(c, &info);
    cr_expect(info.mode.w == 320 && info.mode.h == 240);
    cr_expect_str_eq(info.name.card, "Fake Camera");
    vbg_camera_close(c);
    fake.swap_w = 20000;
    cr_expect_eq(
        vbg_camera_open(&c, &fake.device, "/dev/video0", &(vbg_camera_want){ 0 }, NULL),
        VBG_EUNSUPPORTED);
    fake_device_free(&fake);
}

Test(camera, names)
{
    fake_device fake;
    char path[64];
    vbg_err err = { "" };

    fake_device_init(&fake);
    cr_expect_eq(vbg_camera_find(path, &fake.device, "fake", &err), VBG_OK);
    cr_expect_str_eq(path, "/dev/video0");
    cr_expect_eq(vbg_camera_find(path, &fake.device, "10", &err), VBG_OK);
    cr_expect_str_eq(path, "/dev/video10");
    cr_expect_eq(vbg_camera_find(path, &fake.device, "/dev/video3", &err), VBG_OK);
    cr_expect_eq(vbg_camera_find(path, &fake.device, "brio", &err), VBG_EUSAGE);
    cr_expect(strstr(err.text, "'Fake Camera'"), "%s", err.text);
    fake_device_free(&fake);
}

/* ---- the virtual camera ---- */

typedef struct seen {
    uint8_t *data;
    size_t bytes;
    uint32_t fourcc;
    int w, h, frames;
} seen;

static void keep(void *arg, const uint8_t *data, size_t bytes, uint32_t fourcc, int w,
                 int h)
{
    seen *s = arg;

    free(s->data);
    s->data = malloc(bytes);
    memcpy(s->data, data, bytes);
    s->bytes = bytes;
    s->fourcc = fourcc;
    s->w = w;
    s->h = h;
    s->frames++;
}

/* A composed frame: the only kind there is is the background alone, gray ramps. */
static vbg_out_frame *composed(vbg_ctx *c, int w, int h)
{
    vbg_raw_frame raw = { .index = 0 };
    vbg_picture back;
    vbg_out_frame *out;

    cr_assert_eq(vbg_frame_new(&raw.frame, w, h, NULL), VBG_OK);
    cr_assert_eq(vbg_out_frame_new(&out, w, h, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&back, w, h, 3, NULL), VBG_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            uint8_t *d = back.data + (size_t)y * back.stride + 3 * (size_t)x;
            d[0] = (uint8_t)(20 + 200 * x / w);
            d[1] = 90;
            d[2] = 170;
        }
    cr_expect_not(vbg_compose(c, out, &raw, NULL, &back));
    vbg_frame_free(&raw.frame);
    vbg_picture_free(&back);
    return out;
}

static int luma_at(const seen *s, int x, int y)
{
    return s->fourcc == V4L2_PIX_FMT_YUYV ? s->data[2 * (y * s->w + x)]
                                          : s->data[y * s->w + x];
}

/* Asked size, then a size and format that a reader holds: scaled to it. */
Test(loopback, formats)
{
    static const struct {
        uint32_t fourcc;
        int w, h;
    } held[] = { { 0, 64, 48 },
                 { V4L2_PIX_FMT_YUYV, 32, 24 },
                 { V4L2_PIX_FMT_YUV420, 128, 96 },
                 { V4L2_PIX_FMT_NV12, 64, 48 } };
    const vbg_ctx_opt opt = { .threads = 1, .isa = VBG_ISA_BEST };
    vbg_ctx *ctx;

    cr_assert_eq(vbg_ctx_new(&ctx, &opt, NULL), VBG_OK);
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        for (int old = 0; old < 2; old++) {
            fake_device fake;
            vbg_loopback *l;
            vbg_loopback_info info;
            vbg_err err = { "" };
            seen s = { 0 };
            bool dropped;
            fake_device_init(&fake);
            fake.old_driver = old;
            fake.sink = keep;
            fake.sink_arg = &s;
            if (held[i].fourcc) {
                fake.loop_held = true;
                fake.loop_fourcc = held[i].fourcc;
                fake.loop_w = held[i].w;
                fake.loop_h = held[i].h;
            }
            cr_assert_eq(
                vbg_loopback_open(&l, &fake.device, "/dev/video10", 64, 48, 30, &err),
                VBG_OK, "%s", err.text);
            vbg_loopback_get_info(l, &info);
            cr_expect(info.w == held[i].w && info.h == held[i].h);
            vbg_out_frame *f = composed(ctx, 64, 48);
            cr_expect_eq(vbg_loopback_write(l, vbg_ctx_kernels(ctx), f, &dropped, &err),
                         VBG_OK, "%s", err.text);
            cr_expect(!dropped && s.frames == 1 && fake.short_written == 0);
            for (int x = 0; x < s.w; x++) {
                int want = 20 + 200 * x / s.w;
                cr_expect_leq(abs(luma_at(&s, x, s.h / 2) - want), 6, "x %d: %d", x,
                              luma_at(&s, x, s.h / 2));
            }
            vbg_loopback_close(l);
            cr_expect_not(fake.loop_dead); /* STREAMON came before the write */
            vbg_out_frame_free(f);
            free(s.data);
            fake_device_free(&fake);
        }
    vbg_ctx_free(ctx);
}

Test(loopback, refusals)
{
    static const struct {
        const char *path, *text;
        int what;
    } cases[] = { { "/dev/video0", "real camera", 0 },
                  { "/dev/video77", "modprobe", 0 },
                  { "/dev/video10", "another program", 1 },
                  { "/dev/video10", "stuck", 2 },
                  { "/dev/video10", "a reader holds it", 3 } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_device fake;
        vbg_loopback *l = NULL;
        vbg_err err = { "" };
        fake_device_init(&fake);
        fake.loop_open = cases[i].what == 1;
        fake.loop_capture = cases[i].what == 2;
        fake.loop_held = cases[i].what == 3;
        fake.loop_fourcc = V4L2_PIX_FMT_GREY;
        fake.loop_w = fake.loop_h = 64;
        cr_expect_neq(
            vbg_loopback_open(&l, &fake.device, cases[i].path, 64, 48, 30, &err), VBG_OK);
        cr_expect(!l && strstr(err.text, cases[i].text), "case %zu: %s", i, err.text);
        fake_device_free(&fake);
    }
}

Test(loopback, readers_and_errors)
{
    const vbg_ctx_opt opt = { .threads = 1, .isa = VBG_ISA_BEST };
    fake_device fake;
    vbg_ctx *ctx;
    vbg_loopback *l;
    bool dropped;
    int readers = 9;

    cr_assert_eq(vbg_ctx_new(&ctx, &opt, NULL), VBG_OK);
    fake_device_init(&fake);
    fake.old_driver = false;
    cr_assert_eq(vbg_loopback_open(&l, &fake.device, "/dev/video10", 64, 48, 30, NULL),
                 VBG_OK);
    cr_expect(vbg_loopback_readers(l, &readers) && readers == 0);
    fake.readers = 1;
    cr_expect(vbg_loopback_readers(l, &readers) && readers == 1);
    vbg_out_frame *f = composed(ctx, 64, 48);
    fake.loop_error = EAGAIN;
    cr_expect_eq(vbg_loopback_write(l, vbg_ctx_kernels(ctx), f, &dropped, NULL), VBG_OK);
    cr_expect(dropped);
    fake.loop_error = EIO;
    cr_expect_eq(vbg_loopback_write(l, vbg_ctx_kernels(ctx), f, &dropped, NULL), VBG_EIO);
    vbg_loopback_close(l);
    vbg_out_frame_free(f);
    fake_device_free(&fake);
    vbg_ctx_free(ctx);
}

static pid_t hold(const char *path)
{
    int ready[2];

    cr_assert_eq(pipe(ready), 0);
    fflush(NULL);
    const pid_t p = fork();
    if (p == 0) {
        const int fd = open(path, O_RDONLY);
        if (write(ready[1], &fd, sizeof fd) == (ssize_t)sizeof fd)
            pause();
        _exit(0);
    }
    int fd;
    cr_assert_eq(read(ready[0], &fd, sizeof fd), (ssize_t)sizeof fd);
    close(ready[0]);
    close(ready[1]);
    return p;
}

/* Opens and closes are told, holders counted; one's own do not count. */
Test(device, watch)
{
    char path[] = "/tmp/vbg-watch-XXXXXX";
    const vbg_device *d = vbg_device_system();
    const int own = mkstemp(path);
    const int watch = d->watch(d->u, path);

    cr_assert(own >= 0 && watch >= 0);
    cr_expect_not(d->stirred(d->u, watch));
    cr_expect_eq(d->holders(d->u, path), 0);
    const pid_t p = hold(path);
    cr_expect(d->stirred(d->u, watch));
    cr_expect_not(d->stirred(d->u, watch));
    /* the child has the inherited one too: a holder counts once */
    cr_expect_eq(d->holders(d->u, path), 1);
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);
    cr_expect(d->stirred(d->u, watch));
    cr_expect_eq(d->holders(d->u, path), 0);
    cr_expect_eq(d->watch(d->u, "/tmp/vbg-no-such-file"), -1);
    close(own);
    close(watch);
    unlink(path);
}
