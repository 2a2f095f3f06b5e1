/* Key frames: hours without drift, and the way back after a cover. */
#define _GNU_SOURCE
#include <stdio.h>

#include "tests/scene.h"

enum { CYCLE = 150 };

/* Noise of a cheap camera, other in every frame. */
static void add_noise(uint8_t *d, const uint8_t *s, size_t n, uint64_t frame)
{
    uint64_t seed = frame * 0x9e3779b97f4a7c15u + 1;

    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
        }
        const int v = s[i] + (int)(seed >> (i % 8 * 8) & 7) - 3;
        d[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

/* Somebody who walks to and fro before the picture, and where he is. */
static void walk(uint8_t *y, uint8_t mask[20 * 32], int i)
{
    const int at = 60 + (int)(70 * (1 + sin(2 * pi * i / CYCLE)));

    memset(mask, 0, 20 * 32);
    for (int r = 60; r < 200; r++)
        for (int c = 0; c < 90; c++) {
            y[r * small.w + at + c] =
                (uint8_t)((c / 7 + r / 9) % 2 ? 220 : 30 + (r & 31));
            mask[r / 10 * 32 + (at + c) / 10] = 255;
        }
}

/* The largest error of any axis, in degrees, after so many frames of a swaying camera
 * with somebody before it. */
static double drift(int frames, bool keys)
{
    const size_t n = (size_t)small.w * (size_t)small.h;
    vbg_picture pano = made_up_panorama(1024, 512);
    scene s = scene_new(&pano, small, 1);
    vbg_tracker_opt opt = {
        .w = small.w, .h = small.h, .fov_x = small.fov_x, .points = 80, .no_keys = !keys
    };
    vbg_tracker *t;
    vbg_tracker_state a = { .yaw = 0 };
    uint8_t *cycle = malloc(CYCLE * n), *frame = malloc(n);
    static uint8_t mask[CYCLE][20 * 32];
    double worst = 0;

    cr_assert(cycle && frame);
    for (int i = 0; i < CYCLE; i++) {
        s.camera.yaw = 5 * degree * sin(2 * pi * i / CYCLE);
        s.camera.pitch = 2 * degree * sin(4 * pi * i / CYCLE);
        s.camera.roll = 1 * degree * sin(6 * pi * i / CYCLE);
        memcpy(cycle + (size_t)i * n, shoot(&s, 1), n);
        walk(cycle + (size_t)i * n, mask[i], i);
    }
    cr_assert_eq(vbg_tracker_new(&t, s.c, &opt, NULL), VBG_OK);
    for (int i = 0; i <= frames; i++) {
        const int k = i % CYCLE;
        const vbg_tracker_mask person = {
            .data = mask[k], .stride = 32, .w = 32, .h = 20
        };
        add_noise(frame, cycle + (size_t)k * n, n, (uint64_t)i);
        vbg_tracker_update(t, frame, (size_t)small.w, &person, &a);
        if (k == 0) /* back at 0 0 0 */
            worst = fmax(worst, fmax(fabs(a.yaw), fmax(fabs(a.pitch), fabs(a.roll))));
    }
    vbg_tracker_free(t);
    free(cycle);
    free(frame);
    scene_free(&s);
    vbg_picture_free(&pano);
    return worst / degree;
}

/* Two minutes here; TRACK_FRAMES=108000 is the hour (make soak). */
Test(keyframes, hours_do_not_drift, .timeout = 1800)
{
    const char *want = getenv("TRACK_FRAMES");
    const int frames = want ? atoi(want) / CYCLE * CYCLE : 3600;
    const double with = drift(frames, true);

    if (want)
        printf("drift: %d frames, at most %.4f degrees; without key frames %.4f\n",
               frames, with, drift(frames, false));
    cr_expect_lt(with, 0.2, "%d frames: %.4f degrees", frames,
                 with); /* a pixel is 0.22 */
}

/* Covered, turned by five degrees and uncovered: the view is where it should be within a
 * second. */
Test(keyframes, finds_back_after_a_cover, .timeout = 60)
{
    vbg_picture pano = made_up_panorama(1024, 512);
    scene s = scene_new(&pano, small, 1);
    uint8_t *blank = calloc((size_t)small.w, (size_t)small.h);
    vbg_tracker *t = tracker_of(&s);
    vbg_tracker_state a;

    cr_assert(blank != NULL);
    for (int i = 0; i < 200; i++) {
        const bool covered = i >= 60 && i < 100;
        s.camera.yaw = i < 60 ? 0.1 * degree * i : i < 100 ? 6 * degree : 1 * degree;
        const uint8_t *y = shoot(&s, (uint32_t)i);
        vbg_tracker_update(t, covered ? blank : y, (size_t)small.w, NULL, &a);
        if (i >= 145) /* 30 frames after the 15 of the tracker's patience */
            cr_assert(fabs(a.yaw - degree) < 0.05 * degree &&
                          fabs(a.pitch) < 0.05 * degree && fabs(a.roll) < 0.1 * degree,
                      "frame %d: %.3f %.3f %.3f degrees", i, a.yaw / degree,
                      a.pitch / degree, a.roll / degree);
    }
    free(blank);
    vbg_tracker_free(t);
    scene_free(&s);
    vbg_picture_free(&pano);
}

/* Another scene where one is remembered: the camera is not pulled anywhere, and the new
 * view is remembered in the end. */
Test(keyframes, another_room, .timeout = 120)
{
    vbg_picture pano = made_up_panorama(1024, 512);
    scene s = scene_new(&pano, small, 1);
    vbg_tracker *t = tracker_of(&s);
    vbg_tracker_state a;
    double before = 0;

    for (int i = 0; i < 40; i++)
        vbg_tracker_update(t, shoot(&s, (uint32_t)i), (size_t)small.w, NULL, &a);
    for (int i = 0; i < 900; i++) {
        s.camera.yaw = 90 * degree + 0.5 * degree * sin(0.05 * i);
        vbg_tracker_update(t, shoot(&s, (uint32_t)i), (size_t)small.w, NULL, &a);
        if (i == 60)
            before = a.yaw - s.camera.yaw; /* wherever it stood */
        if (i > 60)
            cr_assert_lt(fabs(a.yaw - s.camera.yaw - before), 0.1 * degree, "frame %d",
                         i);
    }
    vbg_tracker_free(t);
    scene_free(&s);
    vbg_picture_free(&pano);
}
