/* The person alone: frames, videos and pictures with an alpha; encoded streams. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include "engine/picture_io.h"
#include "engine/tensor.h"
#include "tests/program.h"
#include "video/compose.h"
#include "video/video_out.h"

#define WORKED(...)                                                                      \
    do {                                                                                 \
        const said r = RUN("vbg-run", __VA_ARGS__);                                      \
        cr_assert_eq(r.code, 0, "%s", r.err);                                            \
    } while (0)
#define REFUSED(exit, word, ...)                                                         \
    do {                                                                                 \
        const said r = RUN("vbg-run", __VA_ARGS__);                                      \
        cr_expect(r.code == exit && r.err_lines == 1 && strstr(r.err, word), "%d %s",    \
                  r.code, r.err);                                                        \
    } while (0)

enum { W = 64, H = 48, FRAMES = 6 };

/* A gray person in a magenta room; as a mask white on black. */
static void make_clip(const char *path, bool mask)
{
    FILE *f = fopen(path, "wb");

    cr_assert(f);
    fprintf(f, "YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL\n", W, H);
    for (int n = 0; n < FRAMES; n++) {
        fputs("FRAME\n", f);
        for (int p = 0; p < 3; p++)
            for (int y = 0; y < (p ? H / 2 : H); y++)
                for (int x = 0; x < (p ? W / 2 : W); x++) {
                    const int px = p ? 2 * x : x, py = p ? 2 * y : y;
                    const bool in = px >= 16 && px < 48 && py >= 16;
                    static const int room[3] = { 105, 212, 234 };
                    putc(mask ? (p    ? 128
                                 : in ? 255
                                      : 0)
                         : in ? (p ? 128 : 100)
                              : room[p],
                         f);
                }
    }
    cr_assert_eq(fclose(f), 0);
}

/* Alpha goes out as it is; what is mixed by is four times as steep. */
Test(alpha, frames)
{
    const vbg_ctx_opt opt = { .threads = 1 };
    vbg_ctx *c;
    vbg_raw_frame raw = { .index = 3 };
    vbg_mask mask = { .index = 3, .valid = true };
    vbg_picture back;
    vbg_out_frame *out;

    cr_assert_eq(vbg_ctx_new(&c, &opt, NULL), VBG_OK);
    cr_assert_eq(vbg_frame_new(&raw.frame, W, H, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&mask.alpha, W, H, 1, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&back, W, H, 3, NULL), VBG_OK);
    cr_assert_eq(vbg_out_frame_new_alpha(&out, W, H, NULL), VBG_OK);
    cr_expect(vbg_out_frame_alpha(out) != NULL);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            raw.frame.yuv.plane[0][(size_t)y * raw.frame.yuv.stride[0] + (size_t)x] = 200;
            vbg_picture_row(&mask.alpha, y)[x] = (uint8_t)(4 * x);
            vbg_picture_row(&back, y)[3 * x] = 16;
        }
    cr_expect(vbg_compose(c, out, &raw, &mask, &back));
    const vbg_yuv *v = &vbg_out_frame_pixels(out)->yuv;
    for (int x = 0; x < W; x++) {
        const int a = x < 16 ? 16 * x : 255,
                  want = (200 * a + 16 * (255 - a) + 127) / 255;
        cr_expect_eq(vbg_picture_row(vbg_out_frame_alpha(out), 5)[x], 4 * x);
        cr_expect_leq(abs(v->plane[0][5 * v->stride[0] + (size_t)x] - want), 1, "at %d",
                      x);
    }
    mask.valid = false; /* nobody: nothing of the frame, and all of it clear */
    cr_expect_not(vbg_compose(c, out, &raw, &mask, &back));
    for (int x = 0; x < W; x++) {
        cr_expect_eq(vbg_picture_row(vbg_out_frame_alpha(out), 5)[x], 0);
        cr_expect_eq(v->plane[0][5 * v->stride[0] + (size_t)x], 16);
    }
    vbg_compose_background(c, out, &back, 0, 0);
    cr_expect_eq(vbg_picture_row(vbg_out_frame_alpha(out), 5)[W - 1], 0);
    vbg_out_frame_free(out);
    vbg_frame_free(&raw.frame);
    vbg_picture_free(&mask.alpha);
    vbg_picture_free(&back);
    vbg_ctx_free(c);
}

/* A y4m of 444alpha: full planes, the mask as fourth, nothing of the room. */
Test(alpha, y4m, .fini = remove_scratch, .timeout = 60)
{
    const char *clip = in_scratch("c.y4m"), *mask = in_scratch("m.y4m");
    const char *out = in_scratch("o.y4m");
    static uint8_t all[FRAMES * (6 + 4 * W * H) + 200];

    make_clip(clip, false);
    make_clip(mask, true);
    WORKED("-i", clip, "--mask", mask, "-b", "alpha", "-o", out, "--feather", "0");
    FILE *f = fopen(out, "rb");
    cr_assert(f);
    const size_t n = fread(all, 1, sizeof all, f);
    fclose(f);
    const uint8_t *p = memchr(all, '\n', n);
    cr_assert(p && strstr((const char *)all, "C444alpha"));
    cr_assert_eq(n - (size_t)(p + 1 - all), FRAMES * (size_t)(6 + 4 * W * H));
    for (int i = 0; i < FRAMES; i++) {
        const uint8_t *frame = p + 1 + (size_t)i * (6 + 4 * W * H) + 6;
        for (int k = 0; k < W * H; k++) {
            const bool in = k % W >= 16 && k % W < 48 && k / W >= 16;
            cr_assert_eq(frame[3 * W * H + k], in ? 255 : 0);
            cr_assert(abs(frame[W * H + k] - 128) < 2 &&
                          abs(frame[2 * W * H + k] - 128) < 2,
                      "the room shows at %d", k);
        }
    }
}

Test(alpha, files, .fini = remove_scratch, .timeout = 90)
{
    const char *clip = in_scratch("c.y4m"), *mask = in_scratch("m.y4m");
    char still[300], cut[300], shape[300]; /* in_scratch forgets */
    vbg_picture p;

    snprintf(still, sizeof still, "%s", in_scratch("s.png"));
    snprintf(cut, sizeof cut, "%s", in_scratch("cut.png"));
    snprintf(shape, sizeof shape, "%s", in_scratch("shape.png"));
    make_clip(clip, false);
    make_clip(mask, true);
    if (vbg_video_has_alpha("x.mov")) {
        WORKED("-i", clip, "--mask", mask, "-b", "transparent", "-o",
               in_scratch("o.mov"));
        WORKED("-i", clip, "--mask", mask, "-b", "alpha", "-o", in_scratch("o.webm"));
    }
    cr_assert_eq(vbg_picture_new(&p, W, H, 3, NULL), VBG_OK);
    memset(p.data, 90, p.stride * H);
    cr_assert_eq(vbg_picture_save(still, &p, NULL, 92, NULL), VBG_OK);
    vbg_picture_free(&p);
    cr_assert_eq(vbg_picture_new(&p, W, H, 1, NULL), VBG_OK);
    for (int y = 16; y < H; y++)
        memset(vbg_picture_row(&p, y) + 16, 255, 32);
    cr_assert_eq(vbg_picture_save(shape, &p, NULL, 92, NULL), VBG_OK);
    vbg_picture_free(&p);
    WORKED("-i", still, "--mask", shape, "-b", "alpha", "-o", cut, "--feather", "0");
    cr_assert_eq(vbg_picture_load(&p, NULL, cut, 4, NULL), VBG_OK);
    for (int k = 0; k < W * H; k++) {
        const bool in = k % W >= 16 && k % W < 48 && k / W >= 16;
        const uint8_t *d = vbg_picture_row(&p, k / W) + 4 * (k % W);
        cr_assert(d[3] == (in ? 255 : 0) && d[0] == (in ? 90 : 0), "at %d: %d %d", k,
                  d[0], d[3]);
    }
    vbg_picture_free(&p);
    REFUSED(2, "carries no alpha", "-i", clip, "--mask", mask, "-b", "alpha", "-o", "-",
            "--output-format", "ts");
    REFUSED(2, "carries no alpha", "-i", clip, "--mask", mask, "-b", "alpha", "-o",
            in_scratch("o.mp4"));
    REFUSED(2, "name a .png", "-i", still, "--mask", shape, "-b", "alpha", "-o",
            in_scratch("o.jpg"));
}

/* Frames of an encoded stream on standard output. */
Test(alpha, streams, .fini = remove_scratch, .timeout = 60)
{
    char program[1100], command[5000];
    static uint8_t all[1 << 20];

    if (!vbg_video_writable("x.ts"))
        return;
    make_clip(in_scratch("c.y4m"), false);
    make_clip(in_scratch("m.y4m"), true);
    snprintf(program, sizeof program, "%s/vbg-run", program_dir());
    for (int i = 0; i < 2; i++) {
        char clip[1000], mask[1000];
        snprintf(clip, sizeof clip, "%s", in_scratch("c.y4m"));
        snprintf(mask, sizeof mask, "%s", in_scratch("m.y4m"));
        snprintf(command, sizeof command,
                 "%s -q -i %s --mask %s -b green -o - --output-format %s | cat > %s",
                 program, clip, mask, i ? "ts" : "mjpeg", in_scratch("stream"));
        cr_assert_eq(system(command), 0);
        FILE *f = fopen(in_scratch("stream"), "rb");
        cr_assert(f);
        const size_t n = fread(all, 1, sizeof all, f);
        fclose(f);
        int starts = 0;
        for (size_t k = 0; k + 2 < n; k++) /* of pictures; of packets */
            starts += i ? k % 188 == 0 && all[k] == 0x47
                        : all[k] == 0xff && all[k + 1] == 0xd8 && all[k + 2] == 0xff;
        cr_expect_eq(starts, i ? (int)n / 188 : FRAMES);
        cr_expect_gt(n, 1000);
        cr_expect_eq(i ? n % 188 : 0, 0);
    }
    snprintf(
        command, sizeof command,
        "%s -q -i %s --chroma '#ff00ff' -b green -o - --output-format ts 2>%s | true; "
        "test ! -s %s",
        program, in_scratch("c.y4m"), in_scratch("err"), in_scratch("err"));
    cr_expect_eq(system(command), 0, "a reader that leaves ends it without a word");
}
