/* A camera in a made-up panorama, for tests of the tracker. */
#ifndef VBG_TESTS_SCENE_H
#define VBG_TESTS_SCENE_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/tracker.h"
#include "video/viewport.h"

static const double pi = 3.14159265358979323846;
static const double degree = 3.14159265358979323846 / 180.0;

static inline vbg_ctx *context(int threads)
{
    const vbg_ctx_opt opt = { .threads = threads,
                              .isa = VBG_ISA_BEST,
                              .precision = VBG_F32 };
    vbg_ctx *c = NULL;

    cr_assert_eq(vbg_ctx_new(&c, &opt, NULL), VBG_OK);
    return c;
}

/* Blobs of many sizes: value noise in four octaves. */
static inline vbg_picture made_up_panorama(int w, int h)
{
    vbg_picture p;

    cr_assert_eq(vbg_picture_new(&p, w, h, 3, NULL), VBG_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double v = 0;
            for (int octave = 0; octave < 4; octave++) {
                const int cell = 32 >> octave, cols = w / cell;
                const int ix = x / cell, iy = y / cell;
                const double a = (x % cell) / (double)cell, b = (y % cell) / (double)cell;
                double corner[4];
                for (int k = 0; k < 4; k++) {
                    uint32_t s = (uint32_t)((iy + k / 2) * cols + (ix + k % 2) % cols);
                    s = (s + 77u * (unsigned)octave) * 2654435761u;
                    s = (s ^ s >> 15) * 2246822519u;
                    corner[k] = (double)((s ^ s >> 13) & 255);
                }
                v += (corner[0] * (1 - a) + corner[1] * a) * (1 - b) +
                     (corner[2] * (1 - a) + corner[3] * a) * b;
            }
            for (int k = 0; k < 3; k++)
                p.data[(size_t)y * p.stride + (size_t)(3 * x + k)] = (uint8_t)(v / 4);
        }
    return p;
}

/* A camera in a panorama that yields grey frames. */
typedef struct scene {
    vbg_ctx *c;
    vbg_viewport *viewport;
    vbg_picture rgb;
    uint8_t *grey;
    vbg_pinhole camera;
} scene;

static inline scene scene_new(const vbg_picture *pano, vbg_pinhole camera, int threads)
{
    scene s = { .c = context(threads), .camera = camera };

    cr_assert_eq(vbg_viewport_new(&s.viewport, pano, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&s.rgb, camera.w, camera.h, 3, NULL), VBG_OK);
    s.grey = malloc((size_t)camera.w * (size_t)camera.h);
    cr_assert(s.grey != NULL);
    return s;
}

static inline void scene_free(scene *s)
{
    vbg_viewport_free(s->viewport);
    vbg_picture_free(&s->rgb);
    vbg_ctx_free(s->c);
    free(s->grey);
}

/* The frame at the camera's angles, with a little noise that differs per frame. */
static inline const uint8_t *shoot(scene *s, uint32_t frame)
{
    uint32_t seed = frame * 2654435761u + 1;

    vbg_viewport_render(s->viewport, s->c, &s->rgb, &s->camera);
    for (int y = 0; y < s->camera.h; y++)
        for (int x = 0; x < s->camera.w; x++) {
            const uint8_t *p = s->rgb.data + (size_t)y * s->rgb.stride + (size_t)x * 3;
            seed = seed * 1664525u + 1013904223u;
            const int v = (p[0] + 2 * p[1] + p[2]) / 4 + (int)(seed >> 30) - 1;
            s->grey[y * s->camera.w + x] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    return s->grey;
}

static inline vbg_tracker *tracker_of(const scene *s)
{
    const vbg_tracker_opt opt = { .w = s->camera.w,
                                  .h = s->camera.h,
                                  .fov_x = s->camera.fov_x,
                                  .points = 150,
                                  .yaw = s->camera.yaw,
                                  .pitch = s->camera.pitch,
                                  .roll = s->camera.roll };
    vbg_tracker *t = NULL;

    cr_assert_eq(vbg_tracker_new(&t, s->c, &opt, NULL), VBG_OK);
    return t;
}

static const vbg_pinhole small = { .w = 320, .h = 200, .fov_x = 1.1 };

#endif
