/* --segmenter auto: the choice, and the whole way with real networks (with ../shared). */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include "tests/program.h"
#include "tools/run.h"

/* The first that is fast enough, else the fastest; the order is that of quality. */
Test(auto_segmenter, choice)
{
    static const struct {
        double seconds[4];
        int n;
        double budget;
        int want;
    } cases[] = { { { 0.030, 0.010, 0.002 }, 3, 0.011, 1 },
                  { { 0.030, 0.010, 0.002 }, 3, 0.001, 2 },
                  { { 0.030, 0.010, 0.002 }, 3, 1e9, 0 },
                  { { 0.030, 0.002, 0.002 }, 3, 0.001, 1 },
                  { { 0.030 }, 1, 0.001, 0 } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(vbg_pick_by_speed(cases[i].seconds, cases[i].n, cases[i].budget),
                     cases[i].want, "case %zu", i);
}

Test(auto_segmenter, run, .fini = remove_scratch, .timeout = 120)
{
    static const char *const files[][2] = {
        { "selfiesegmentation_mlkit-256x256-2021_01_19-v1215.f16.tflite", "selfie.vbg" },
        { "body-pix-float-050-8.tflite", "bodypix.vbg" }
    };
    const char *clip = in_scratch("c.y4m"), *out = in_scratch("o.y4m");
    char in[1200];

    setenv("VBG_MODEL_PATH", scratch_dir(), 1);
    setenv("HOME", scratch_dir(), 1);
    FILE *f = fopen(clip, "wb");
    cr_assert(f);
    fputs("YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\nFRAME\n", f);
    for (int i = 0; i < 64 * 48 * 3 / 2; i++)
        putc(128, f);
    fclose(f);
    const char *shared = shared_dir();
    for (int i = 0; shared && i < 2; i++) {
        snprintf(in, sizeof in, "%s/data/weights/%s", shared, files[i][0]);
        const said c = RUN("vbg-convert", in, "-o", in_scratch(files[i][1]), "-q");
        cr_assert_eq(c.code, 0, "%s", c.err);
    }
    if (!shared)
        return;
    const said s =
        RUN("vbg-run", "-v", "--segmenter", "auto", "-i", clip, "-b", "black", "-o", out);
    cr_expect_eq(s.code, 0, "%s", s.err);
    cr_expect(strstr(s.err, "segmenter selfie:") && strstr(s.err, "segmenter bodypix:"),
              "%s", s.err);
}
