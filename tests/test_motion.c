/* Robust motion models and the rotation fit on synthetic matches. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "video/motion.h"
#include "video/panorama.h"

enum { N = 200 };

static double uniform(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 11) * 0x1p-53;
}

/* N matches of h; every third is wrong, half of these move together (a person). */
static void make(vbg_point p[N], vbg_point q[N], const double h[9], bool outliers)
{
    uint64_t s = 7;

    for (int i = 0; i < N; i++) {
        const double x = 640 * uniform(&s), y = 480 * uniform(&s);
        const double w = h[6] * x + h[7] * y + h[8];
        p[i] = (vbg_point){ (float)x, (float)y };
        q[i] = (vbg_point){ (float)((h[0] * x + h[1] * y + h[2]) / w),
                            (float)((h[3] * x + h[4] * y + h[5]) / w) };
        if (outliers && i % 3 == 0) {
            q[i].x += i % 2 ? 40.0f : (float)(200 * uniform(&s));
            q[i].y += i % 2 ? -25.0f : (float)(200 * uniform(&s));
        }
    }
}

static const double shift[9] = { 1, 0, 12.5, 0, 1, -7.25, 0, 0, 1 };
static const double similar[9] = { 1.02, -0.05, 3, 0.05, 1.02, -8, 0, 0, 1 };
static const double warped[9] = { 1.01, 0.02, 5, -0.03, 0.98, 2, 2e-5, -3e-5, 1 };

Test(motion, models_with_a_third_of_outliers)
{
    static const struct {
        vbg_motion_model model;
        const double *h;
    } cases[] = { { VBG_MOTION_TRANSLATION, shift },
                  { VBG_MOTION_SIMILARITY, similar },
                  { VBG_MOTION_HOMOGRAPHY, warped } };
    vbg_point p[N], q[N];
    uint8_t inlier[N];

    for (size_t c = 0; c < 3; c++)
        for (int median = 0; median < 2; median++) {
            const vbg_motion_opt opt = { .model = cases[c].model,
                                         .median = median != 0,
                                         .threshold = 1,
                                         .iterations = 2000,
                                         .confidence = 0.999 };
            double h[9];
            make(p, q, cases[c].h, true);
            const int found = vbg_motion_fit(h, &opt, p, q, inlier, N);
            cr_assert(found >= N * 2 / 3 - 1 && found <= N * 2 / 3 + 5, "case %zu: %d", c,
                      found);
            for (int i = 0; i < N; i++)
                cr_assert(inlier[i] || i % 3 == 0, "case %zu: match %d lost", c, i);
            /* matches are stored in f32: 6e-8 * 640 px, times the lever of the model */
            const double x = 320, y = 240, w = h[6] * x + h[7] * y + h[8];
            const double tw = cases[c].h[6] * x + cases[c].h[7] * y + 1;
            cr_assert_float_eq(
                (h[0] * x + h[1] * y + h[2]) / w,
                (cases[c].h[0] * x + cases[c].h[1] * y + cases[c].h[2]) / tw, 2e-3);
        }
}

Test(motion, degenerate_matches)
{
    const vbg_motion_opt opt = { .model = VBG_MOTION_HOMOGRAPHY,
                                 .threshold = 1,
                                 .iterations = 50,
                                 .confidence = 0.99 };
    vbg_point p[8];
    uint8_t inlier[8];
    double h[9];

    memset(p, 0, sizeof p);
    cr_assert_eq(vbg_motion_fit(h, &opt, p, p, inlier, 0), 0);
    cr_assert_eq(vbg_motion_fit(h, &opt, p, p, inlier, 3), 0);
    cr_assert_eq(vbg_motion_fit(h, &opt, p, p, inlier, 8), 0); /* one place only */
    cr_assert_not(vbg_motion_least_squares(h, VBG_MOTION_SIMILARITY, p, p, NULL, 8));
    cr_assert_eq(h[0], 1.0);
    cr_assert_eq(h[8], 1.0);
}

Test(motion, angles_and_rotations)
{
    for (double yaw = -3; yaw < 3.1; yaw += 0.7)
        for (double pitch = -1.5; pitch < 1.55; pitch += 0.5)
            for (double roll = -3; roll < 3.1; roll += 0.9) {
                double r[9], a[3];
                vbg_rotation_from_angles(r, yaw, pitch, roll);
                vbg_rotation_angles(a, r);
                cr_assert_float_eq(a[0], yaw, 1e-12);
                cr_assert_float_eq(a[1], pitch, 1e-12);
                cr_assert_float_eq(a[2], roll, 1e-12);
            }
    /* positive yaw looks right, positive pitch up */
    double r[9];
    vbg_rotation_from_angles(r, 0.1, 0.2, 0);
    cr_assert(r[2] > 0 && r[5] < 0 && r[8] > 0);
}

Test(motion, rotation_fit)
{
    const vbg_lens lens = { .f = 800, .cx = 639.5, .cy = 359.5 };
    const double unit[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
    double truth[9], r[9];
    vbg_sighting s[N];
    uint8_t inlier[N];
    uint64_t seed = 3;

    vbg_rotation_from_angles(truth, 0.12, -0.05, 0.08);
    for (int i = 0; i < N; i++) {
        double xy[2];
        do {
            vbg_lens_ray(s[i].ray, &lens, unit, 1280 * uniform(&seed),
                         720 * uniform(&seed));
        } while (!vbg_lens_project(xy, &lens, truth, s[i].ray));
        s[i].x = xy[0] + (i % 5 < 2 ? 30 + 50 * uniform(&seed) : 0.0);
        s[i].y = xy[1];
    }
    memcpy(r, unit, sizeof r);
    cr_assert_eq(vbg_rotation_fit(r, &lens, s, N, 1.5, 200, inlier), N * 3 / 5);
    for (int i = 0; i < 9; i++)
        cr_assert_float_eq(r[i], truth[i], 1e-9);
    for (int i = 0; i < N; i++)
        cr_assert_eq(inlier[i], i % 5 >= 2);
    memcpy(r, unit, sizeof r);
    cr_assert_eq(vbg_rotation_fit(r, &lens, s, 0, 1.5, 200, inlier), 0);
    cr_assert_eq(r[0], 1.0);
}
