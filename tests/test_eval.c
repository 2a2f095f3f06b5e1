/* vbg-eval: closed forms of the metrics, and the program on files made for it. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "convert/safetensors.h"
#include "engine/picture_io.h"
#include "models/camera.h"
#include "models/matting.h"
#include "models/overlap.h"
#include "tests/json_answer.h"

/* ---- metrics ---- */

Test(matting, a_constant_offset_has_known_errors)
{
    float a[20 * 10], t[20 * 10];
    vbg_matting_errors e;

    for (int i = 0; i < 200; i++) {
        t[i] = 0.25f;
        a[i] = 0.35f;
    }
    cr_assert_eq(vbg_matting_compare(&e, a, t, 20, 10, NULL), VBG_OK);
    cr_expect_float_eq(e.mad, 100, 1e-4);
    cr_expect_float_eq(e.mse, 10, 1e-4);
    cr_expect_float_eq(e.grad, 0, 1e-9);
    cr_expect_float_eq(vbg_matting_dtssd(t, a, t, t, 200), 10, 1e-4);
    cr_expect_float_eq(vbg_matting_dtssd(t, a, t, a, 200), 0, 1e-12);
    cr_expect_float_eq(vbg_matting_change(t, a, 200), 0.1, 1e-6);
}

Test(matting, a_ramp_has_its_slope_as_gradient)
{
    enum { W = 40, H = 30 };
    float a[W * H], t[W * H];
    vbg_matting_errors e;
    double g = 0, norm_g = 0, norm_d = 0;

    for (int i = 0; i < W * H; i++) {
        t[i] = 0;
        a[i] = (float)(i % W) / W;
    }
    /* the filter's answer to slope 1: sum of g times sum of -i d, both of norm 1 */
    double sum_g = 0, sum_d = 0;
    for (int i = -4; i <= 4; i++) {
        g = exp(-i * i / (2 * 1.96));
        sum_g += g;
        sum_d += i * i * g;
        norm_g += g * g;
        norm_d += i * g * i * g;
    }
    double slope = sum_g / sqrt(norm_g) * sum_d / sqrt(norm_d) / W;
    cr_assert_eq(vbg_matting_compare(&e, a, t, W, H, NULL), VBG_OK);
    /* all rows, columns at least 4 from the sides; the rest is smaller */
    double inner = slope * slope * (W - 8) * H / 1e3;
    cr_expect(e.grad > inner && e.grad < inner * W / (W - 8), "%g beside %g", e.grad,
              inner);
}

static void box(uint8_t *m, int w, int x0, int y0, int x1, int y1)
{
    for (int y = y0; y < y1; y++)
        memset(m + y * w + x0, 1, (size_t)(x1 - x0));
}

Test(matting, boundaries_agree_within_the_radius)
{
    uint8_t a[64 * 64] = { 0 }, b[64 * 64] = { 0 }, none[64 * 64] = { 0 };
    double f;

    box(a, 64, 10, 10, 40, 40);
    box(b, 64, 13, 10, 43, 40); /* three to the right */
    cr_assert_eq(vbg_boundary_f(&f, a, a, 64, 64, 1, NULL), VBG_OK);
    cr_expect_eq(f, 1);
    cr_assert_eq(vbg_boundary_f(&f, a, b, 64, 64, 4, NULL), VBG_OK);
    cr_expect_eq(f, 1);
    /* radius 2: lost are the 30 pixels of the near side and those 24 of the far side
     * that no edge of the other box touches, of 116 */
    cr_assert_eq(vbg_boundary_f(&f, a, b, 64, 64, 2, NULL), VBG_OK);
    cr_expect_float_eq(f, 62.0 / 116, 1e-12);
    cr_assert_eq(vbg_boundary_f(&f, none, none, 64, 64, 2, NULL), VBG_OK);
    cr_expect_eq(f, 1);
    cr_assert_eq(vbg_boundary_f(&f, a, none, 64, 64, 2, NULL), VBG_OK);
    cr_expect_eq(f, 0);
}

/* A smooth function of direction, seen by a camera. */
static void render(vbg_picture *p, double fov, double yaw)
{
    vbg_camera k = vbg_camera_look(fov, yaw, 0, p->w, p->h);

    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++) {
            double v[3] = { (x - k.k[2]) / k.k[0], (y - k.k[5]) / k.k[4], 1 }, d[3];
            double n = 0;
            for (int i = 0; i < 3; i++)
                d[i] = k.r[3 * i] * v[0] + k.r[3 * i + 1] * v[1] + k.r[3 * i + 2] * v[2];
            for (int i = 0; i < 3; i++)
                n += d[i] * d[i];
            for (int i = 0; i < 3; i++)
                p->data[(size_t)y * p->stride + (size_t)(3 * x + i)] =
                    (uint8_t)lrint(128 + 100 * sin(3 * d[i] / sqrt(n) + i));
        }
}

Test(overlap, views_of_one_world_agree_and_others_do_not)
{
    vbg_picture a, b;
    double same, other;
    vbg_err err = { "" };

    cr_assert_eq(vbg_picture_new(&a, 1024, 1024, 3, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&b, 1024, 1024, 3, NULL), VBG_OK);
    render(&a, 90, 0);
    render(&b, 90, 45);
    cr_assert_eq(vbg_overlap_psnr(&same, &a, &b, 90, 45, NULL), VBG_OK);
    cr_assert_eq(vbg_overlap_psnr(&other, &b, &a, 90, 45, NULL), VBG_OK);
    cr_expect(same > 50, "%g dB", same);
    cr_expect(other < 20, "%g dB the wrong way round", other);
    cr_expect_eq(vbg_overlap_psnr(&same, &a, &b, 90, 170, &err), VBG_EUSAGE);
    vbg_picture_free(&a);
    vbg_picture_free(&b);
}

Test(overlap, the_seam_of_a_turn_is_one_and_of_a_ramp_is_not)
{
    vbg_picture p;

    cr_assert_eq(vbg_picture_new(&p, 360, 16, 3, NULL), VBG_OK);
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 3 * 360; x++)
            p.data[(size_t)y * p.stride + (size_t)x] =
                (uint8_t)lrint(128 + 120 * sin((x / 3) * 6.28318530718 / 90));
    double ratio = vbg_seam_ratio(&p);
    cr_expect(ratio > 0.5 && ratio < 1.8, "%g", ratio);
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 3 * 360; x++)
            p.data[(size_t)y * p.stride + (size_t)x] = (uint8_t)(x / 3 * 255 / 359);
    cr_expect(vbg_seam_ratio(&p) > 100);
    vbg_picture_free(&p);
}

/* ---- the program ---- */

static const char *feature_file(const char *name, size_t n, size_t d, double shift)
{
    const char *path = in_scratch(name);
    float *x = calloc(n * d, sizeof *x);
    vbg_st_out t = { .name = "features",
                     .dtype = VBG_F32,
                     .rank = 2,
                     .dim = { (int64_t)n, (int64_t)d },
                     .data = x };

    /* a full set of corners: mean shift, covariance n/(n-1) I exactly */
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < d; k++)
            x[i * d + k] = (float)((i >> k & 1 ? 1 : -1) + shift);
    cr_assert_eq(vbg_st_write(path, &t, 1, NULL, NULL), VBG_OK);
    free(x);
    return path;
}

Test(program, fid_of_known_sets, .fini = remove_scratch)
{
    const char *a = feature_file("a.safetensors", 16, 4, 0);
    const char *b = feature_file("b.safetensors", 16, 4, 0.5);
    json_t *same = answer(RUN("vbg-eval", "fid", a, a, "--json"));
    json_t *moved = answer(RUN("vbg-eval", "fid", a, b, "--json"));

    cr_expect(fabs(number(same, "FID")) < 1e-6);
    cr_expect_float_eq(number(moved, "FID"), 4 * 0.25, 1e-6);
    json_decref(same);
    json_decref(moved);
    said s = RUN("vbg-eval", "fid", a, in_scratch("missing"));
    cr_expect_eq(s.code, 1);
    s = RUN("vbg-eval", "fid", a);
    cr_expect_eq(s.code, 2);
    s = RUN("vbg-eval", "nothing", a);
    cr_expect_eq(s.code, 2);
}

Test(program, inception_score_of_uniform_logits_is_one, .fini = remove_scratch)
{
    float zero[20 * 5] = { 0 };
    const char *path = in_scratch("l.safetensors");
    vbg_st_out t = {
        .name = "logits", .dtype = VBG_F32, .rank = 2, .dim = { 20, 5 }, .data = zero
    };

    cr_assert_eq(vbg_st_write(path, &t, 1, NULL, NULL), VBG_OK);
    json_t *j = answer(RUN("vbg-eval", "is", path, "--json", "--splits", "4"));
    cr_expect_float_eq(number(j, "inception score"), 1, 1e-9);
    json_decref(j);
    said s = RUN("vbg-eval", "is", path, "--splits", "40");
    cr_expect_eq(s.code, 2, "%s", s.err);
}

static void save_views(const char *dir, double yaw_step)
{
    vbg_picture p;
    char path[600];

    mkdir(dir, 0777);
    cr_assert_eq(vbg_picture_new(&p, 256, 256, 3, NULL), VBG_OK);
    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "%s/%d.png", dir, i);
        render(&p, 90, yaw_step * i);
        cr_assert_eq(vbg_picture_save(path, &p, NULL, 92, NULL), VBG_OK);
    }
    vbg_picture_free(&p);
}

Test(program, overlap_of_rooms_beside_the_truth, .fini = remove_scratch)
{
    char good[600], bad[600];

    snprintf(good, sizeof good, "%s", in_scratch("good"));
    snprintf(bad, sizeof bad, "%s", in_scratch("bad"));
    save_views(good, 45);
    save_views(bad, 44);
    json_t *j = answer(RUN("vbg-eval", "overlap", "--json", good));
    double best = number(j, "overlap PSNR dB");
    cr_expect(best > 40, "%g", best);
    json_decref(j);
    j = answer(RUN("vbg-eval", "overlap", "--json", bad));
    cr_expect(number(j, "overlap PSNR dB") < best - 5);
    json_decref(j);
    j = answer(RUN("vbg-eval", "overlap", "--json", "--truth", in_scratch("."), good));
    cr_expect_float_eq(number(j, "ratio"), 1, 1e-9);
    json_decref(j);
    said s = RUN("vbg-eval", "overlap", in_scratch("."));
    cr_expect_eq(s.code, 1);
    s = RUN("vbg-eval", "overlap", good, bad, "--plot", in_scratch("plot.txt"));
    cr_expect_eq(s.code, 2, "%s", s.err);
    const char *plot = in_scratch("plot.png");
    s = RUN("vbg-eval", "overlap", good, bad, "--plot", plot);
    if (strstr(s.err, "libcairo"))
        cr_skip_test("a build without cairo");
    cr_expect_eq(s.code, 0, "%s", s.err);
    vbg_picture p;
    cr_assert_eq(vbg_picture_load(&p, NULL, plot, 0, NULL), VBG_OK);
    cr_expect_gt(p.w, 500);
    vbg_picture_free(&p);
}

Test(program, mattes_frame_by_frame, .fini = remove_scratch)
{
    vbg_picture p;
    char truth[600], alpha[600], path[700];

    snprintf(truth, sizeof truth, "%s", in_scratch("t"));
    snprintf(alpha, sizeof alpha, "%s", in_scratch("a"));
    mkdir(truth, 0777);
    mkdir(alpha, 0777);
    cr_assert_eq(vbg_picture_new(&p, 32, 32, 1, NULL), VBG_OK);
    for (int i = 0; i < 3; i++) {
        memset(p.data, 51, p.stride * 32); /* 0.2 */
        snprintf(path, sizeof path, "%s/%d.png", truth, i);
        cr_assert_eq(vbg_picture_save(path, &p, NULL, 92, NULL), VBG_OK);
        memset(p.data, i % 2 ? 102 : 51, p.stride * 32); /* 0.4 in the middle frame */
        snprintf(path, sizeof path, "%s/%d.png", alpha, i);
        cr_assert_eq(vbg_picture_save(path, &p, NULL, 92, NULL), VBG_OK);
    }
    vbg_picture_free(&p);
    json_t *j = answer(RUN("vbg-eval", "matting", truth, alpha, "--json"));
    cr_expect_float_eq(number(j, "MAD x 1e3"), 200.0 / 3, 1e-3);
    cr_expect_float_eq(number(j, "MSE x 1e3"), 40.0 / 3, 1e-3);
    cr_expect_float_eq(number(j, "dtSSD x 1e2"), 20, 1e-3);
    cr_expect_float_eq(number(j, "mean |a_t - a_t-1|"), 0.2, 1e-5);
    json_decref(j);
    snprintf(path, sizeof path, "%s/2.png", alpha);
    remove(path);
    said s = RUN("vbg-eval", "matting", truth, alpha);
    cr_expect_eq(s.code, 2);
}
