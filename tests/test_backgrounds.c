/* Backgrounds that change by themselves, and streams: loops at their own rate, folders
 * with broken files, a pipe whose reader is slow or gone. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <time.h>

#include "engine/picture_io.h"
#include "tests/program.h"
#include "video/background.h"
#include "video/preview.h"
#include "video/sink.h"

enum { W = 64, H = 48 };

/* A y4m clip of frames that are 40, 80, 120 ... bright, 10 a second. */
static void make_clip(const char *path, int frames, bool full)
{
    FILE *f = fopen(path, "wb");

    cr_assert(f);
    fprintf(f, "YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420jpeg XCOLORRANGE=%s\n", 32, 24,
            full ? "FULL" : "LIMITED");
    for (int n = 0; n < frames; n++) {
        fputs("FRAME\n", f);
        for (int i = 0; i < 32 * 24; i++)
            putc(40 * (n + 1), f);
        for (int i = 0; i < 32 * 24 / 2; i++)
            putc(128, f);
    }
    fclose(f);
}

static vbg_ctx *context(void)
{
    const vbg_ctx_opt one = { .threads = 1, .isa = VBG_ISA_BEST };
    vbg_ctx *c;

    cr_assert_eq(vbg_ctx_new(&c, &one, NULL), VBG_OK);
    return c;
}

static const vbg_background_opt opt = { .w = W, .h = H, .fov_x = 1.2, .yuv = true };

static int level(vbg_background *b, vbg_ctx *c, double time_s)
{
    vbg_raw_frame raw = { .frame = { .time_s = time_s } };
    const vbg_picture *v = vbg_background_view(b, c, 0, 0, 0, &raw, NULL);

    cr_expect(v->w == W && v->h == H);
    return v->data[(size_t)(H / 2) * v->stride + 3 * (W / 2)];
}

/* Its own rate, whatever the camera's; round and round; a pause is no race. */
Test(backgrounds, video_loop, .fini = remove_scratch)
{
    const char *clip = in_scratch("clip.y4m");
    vbg_ctx *c = context();
    vbg_background *b;
    vbg_err err = { "" };

    make_clip(clip, 4, false);
    cr_assert_eq(vbg_background_open(&b, clip, &opt, &err), VBG_OK, "%s", err.text);
    cr_expect_str_eq(vbg_background_kind(b), "video");
    for (int i = 0; i < 100; i++) { /* a camera at 30, 3.3 seconds: eight rounds */
        const double t = 1000 + i / 30.0 + 0.001;
        const int want = 40 * (1 + (int)floor((t - 1000) * 10 + 1e-6) % 4);
        cr_expect_eq(level(b, c, t), want, "frame %d: %d", i, level(b, c, t));
    }
    level(b, c, 2000); /* idle for a quarter of an hour */
    const int now = level(b, c, 2000.01);
    cr_expect(now >= 40 && now <= 160);
    vbg_background_close(b);
    vbg_ctx_free(c);
}

/* Full-range clips become limited codes; one frame is a still; a cut file keeps what it
 * had. */
Test(backgrounds, video_kinds, .fini = remove_scratch)
{
    const char *clip = in_scratch("clip.y4m");
    vbg_ctx *c = context();
    vbg_background *b;
    size_t n;

    make_clip(clip, 1, true);
    cr_assert_eq(vbg_background_open(&b, clip, &opt, NULL), VBG_OK);
    for (int i = 0; i < 5; i++)
        cr_expect_eq(level(b, c, i), (int)lrint(16 + 40 * 219 / 255.0));
    vbg_background_close(b);
    make_clip(clip, 3, false);
    unsigned char *data = slurp(clip, &n);
    FILE *f = fopen(clip, "wb");
    cr_assert_eq(fwrite(data, 1, n - 500, f), n - 500);
    fclose(f);
    free(data);
    cr_assert_eq(vbg_background_open(&b, clip, &opt, NULL), VBG_OK);
    for (int i = 0; i < 10; i++) {
        const int l = level(b, c, i / 10.0);
        cr_expect(l == 40 || l == 80);
    }
    vbg_background_close(b);
    vbg_ctx_free(c);
}

static void make_picture(const char *path, int value)
{
    vbg_picture p;

    cr_assert_eq(vbg_picture_new(&p, 20, 16, 3, NULL), VBG_OK);
    memset(p.data, value, p.stride * 16);
    cr_assert_eq(vbg_picture_save(path, &p, NULL, 90, NULL), VBG_OK);
    vbg_picture_free(&p);
}

/* Pictures in order of their names; what is none is passed over; nothing but broken
 * files is an error that says so. */
Test(backgrounds, folder, .fini = remove_scratch)
{
    vbg_background_opt slow = opt;
    char dir[300], path[400];
    vbg_ctx *c = context();
    vbg_background *b;
    vbg_err err = { "" };

    snprintf(dir, sizeof dir, "%s/slides", scratch_dir());
    mkdir(dir, 0700);
    cr_expect_neq(vbg_background_open(&b, dir, &opt, &err), VBG_OK);
    snprintf(path, sizeof path, "%s/2.png", dir);
    FILE *f = fopen(path, "w");
    fputs("\x89PNG\r\n\x1a\nnothing", f);
    fclose(f);
    snprintf(path, sizeof path, "%s/inner", dir);
    mkdir(path, 0700);
    err.text[0] = 0;
    cr_expect_neq(vbg_background_open(&b, dir, &opt, &err), VBG_OK);
    cr_expect(strstr(err.text, "none of its 2 files"), "%s", err.text);
    snprintf(path, sizeof path, "%s/1.png", dir);
    make_picture(path, 0);
    snprintf(path, sizeof path, "%s/10.png", dir);
    make_picture(path, 255);
    slow.slide_s = 1;
    cr_assert_eq(vbg_background_open(&b, dir, &slow, &err), VBG_OK);
    cr_expect_str_eq(vbg_background_kind(b), "slides");
    cr_expect_eq(level(b, c, 5), 16);
    cr_expect_eq(level(b, c, 5.9), 16);
    int now = 0;
    for (int i = 0; i < 400 && now != 235; i++) { /* read by its own thread */
        now = level(b, c, 6.1);
        nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
    }
    cr_expect_eq(now, 235);
    cr_expect_eq(level(b, c, 6.2), 235);
    vbg_background_close(b);
    vbg_ctx_free(c);
}

/* A flat picture answers to a head, and to nothing else. */
Test(backgrounds, flat_pictures_lean, .timeout = 60)
{
    vbg_background_opt lean = { .w = W, .h = H, .fov_x = 1.2, .yuv = true, .lean = true };
    vbg_ctx *c = context();
    vbg_background *b;
    vbg_picture p;
    int before = -1;

    cr_assert_eq(vbg_picture_new(&p, 200, 150, 3, NULL), VBG_OK);
    for (int y = 0; y < p.h; y++) /* brighter to the right and downwards */
        for (int x = 0; x < p.w; x++)
            memset(vbg_picture_row(&p, y) + 3 * x, 20 + x / 2 + y / 2, 3);
    lean.type = VBG_BACK_FLAT;
    cr_assert_eq(vbg_background_picture(&b, &p, NULL, &lean, NULL), VBG_OK);
    const int plain = vbg_picture_row(vbg_background_view(b, c, 0.2, 0, 0, NULL, NULL),
                                      H / 2)[3 * (W / 2)];
    for (int i = -2; i <= 2; i++) { /* who looks past the near edge sees more of it */
        vbg_background_zoom(b, 1, true);
        const vbg_picture *v = vbg_background_view(b, c, 0.06 * i, 0, 0, NULL, NULL);
        const int now = vbg_picture_row(v, H / 2)[3 * (W / 2)];
        cr_expect(v->w == W && v->h == H);
        cr_expect_gt(now, before, "step %d: %d after %d", i, now, before);
        if (i == 0)
            cr_expect_leq(abs(now - plain), 1, "in the middle %d, plain %d", now, plain);
        before = now;
    }
    const int up = vbg_picture_row(vbg_background_view(b, c, 0, 0.1, 0, NULL, NULL),
                                   H / 2)[3 * (W / 2)];
    cr_expect_lt(up, plain, "upwards %d, plain %d", up, plain);
    for (int i = 0; i < 3; i++) { /* never beyond the picture */
        const vbg_picture *v = (vbg_background_zoom(b, i ? 0.5 : 2, true),
                                vbg_background_view(b, c, 50, -50, 0, NULL, NULL));
        cr_expect_geq(vbg_picture_row(v, H - 1)[3 * (W - 1)], plain);
    }
    vbg_background_zoom(b, 1.2, false);
    cr_expect_eq(vbg_picture_row(vbg_background_view(b, c, 0.1, 0, 0, NULL, NULL),
                                 H / 2)[3 * (W / 2)],
                 plain, "a camera that turns does not move it");
    vbg_background_close(b);
    vbg_picture_free(&p);
    vbg_ctx_free(c);
}

/* ---- streams ---- */

static vbg_out_frame *composed(vbg_ctx *c, int value)
{
    vbg_picture back;
    vbg_out_frame *f;

    cr_assert_eq(vbg_picture_new(&back, W, H, 3, NULL), VBG_OK);
    memset(back.data, value, back.stride * H);
    cr_assert_eq(vbg_out_frame_new(&f, W, H, NULL), VBG_OK);
    vbg_compose_background(c, f, &back, 0, 0);
    vbg_picture_free(&back);
    return f;
}

/* A reader that sleeps loses whole frames, never the step; one that is gone ends it. */
Test(streams, slow_and_gone, .timeout = 60)
{
    const size_t frame = 6 + W * H * 3 / 2;
    const vbg_video_opt stream = { .w = W, .h = H, .rate_num = 30, .rate_den = 1 };
    vbg_ctx *c = context();
    vbg_sink *s;
    int fd[2], dropped_count = 0;
    bool dropped;

    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(fd), 0);
    cr_assert_eq(vbg_sink_stream(&s, fd[1], VBG_STREAM_Y4M, &stream, NULL), VBG_OK);
    for (int i = 0; i < 40; i++) { /* the pipe holds 14 of them */
        vbg_out_frame *f = composed(c, 50 + i);
        cr_assert_eq(s->class->write(s, vbg_ctx_kernels(c), f, &dropped, NULL), VBG_OK);
        dropped_count += dropped;
        vbg_out_frame_free(f);
    }
    cr_expect_geq(dropped_count, 20);
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    static unsigned char all[1 << 20];
    ssize_t n = read(fd[0], all, sizeof all), more;
    vbg_sink_close(s); /* finishes the frame that was begun */
    while (n > 0 && (more = read(fd[0], all + n, sizeof all - (size_t)n)) > 0)
        n += more;
    const unsigned char *p = memchr(all, '\n', (size_t)n);
    cr_assert(p && memcmp(all, "YUV4MPEG2 W64 H48 F30:1 ", 24) == 0);
    const size_t body = (size_t)n - (size_t)(p + 1 - all);
    cr_expect_eq(body % frame, 0, "%zu bytes", body);
    for (size_t i = 0; i < body / frame; i++)
        cr_expect_eq(memcmp(p + 1 + i * frame, "FRAME\n", 6), 0);
    cr_assert_eq(vbg_sink_stream(&s, fd[1], VBG_STREAM_RAW, &stream, NULL), VBG_OK);
    close(fd[0]);
    vbg_out_frame *f = composed(c, 50);
    cr_expect_eq(s->class->write(s, vbg_ctx_kernels(c), f, &dropped, NULL), VBG_ECANCEL);
    vbg_out_frame_free(f);
    vbg_sink_close(s);
    close(fd[1]);
    vbg_ctx_free(c);
}

/* A window on SDL's driver without a screen; without SDL2 one line says what to install,
 * without a screen one says so. */
Test(streams, preview, .timeout = 60)
{
    vbg_ctx *c = context();
    vbg_sink *s;
    vbg_err err = { "" };
    bool dropped;

    unsetenv("SDL_VIDEODRIVER");
    unsetenv("DISPLAY");
    unsetenv("WAYLAND_DISPLAY");
    cr_expect_eq(vbg_sink_preview(&s, "test", &err), VBG_EUNSUPPORTED);
    cr_expect(strstr(err.text, "display") || strstr(err.text, "SDL2"), "%s", err.text);
    setenv("SDL_VIDEODRIVER", "dummy", 1);
    if (vbg_sink_preview(&s, "test", &err) != VBG_OK) {
        cr_expect(strstr(err.text, "SDL2"), "%s", err.text);
        vbg_ctx_free(c);
        return;
    }
    for (int i = 0; i < 5; i++) {
        vbg_out_frame *f = composed(c, 50 + i);
        cr_expect_eq(s->class->write(s, vbg_ctx_kernels(c), f, &dropped, &err), VBG_OK,
                     "%s", err.text);
        vbg_out_frame_free(f);
    }
    cr_expect_eq(vbg_preview_key(s), 0);
    vbg_sink_close(s);
    vbg_ctx_free(c);
}
