/* Panorama geometry: the viewport against the double reference on every ISA, stitching
 * an analytic scene, the caps; with ../shared also the real panoramas. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/picture_io.h"
#include "video/stitch.h"
#include "video/viewport.h"

static const double pi = 3.14159265358979323846;

/* A smooth scene on the sphere, levels 27..227. */
static double scene(const double d[3], int channel)
{
    const double n = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
    const double x = d[0] / n, y = d[1] / n, z = d[2] / n;

    return 127 +
           100 * sin(3 * x + channel) * cos(4 * y - 0.5 * channel) * cos(2 * z + 0.3);
}

static vbg_ctx *context(vbg_isa isa, int threads)
{
    const vbg_ctx_opt opt = { .threads = threads, .isa = isa, .precision = VBG_F32 };
    vbg_ctx *c = NULL;

    cr_assert_eq(vbg_ctx_new(&c, &opt, NULL), VBG_OK);
    return c;
}

static vbg_picture blank(int w, int h)
{
    vbg_picture p;

    cr_assert_eq(vbg_picture_new(&p, w, h, 3, NULL), VBG_OK);
    return p;
}

static uint8_t *at(const vbg_picture *p, int x, int y)
{
    return p->data + (size_t)y * p->stride + (size_t)x * 3;
}

/* The scene as an equirect picture, rounded to 8 bits. */
static vbg_picture scene_panorama(int w, int h)
{
    vbg_picture p = blank(w, h);

    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double d[3];
            vbg_equirect_direction(d, x, y, w, h);
            for (int k = 0; k < 3; k++)
                at(&p, x, y)[k] = (uint8_t)lrint(scene(d, k));
        }
    return p;
}

static const vbg_pinhole cameras[] = {
    { 160, 90, 1.22, 0, 0, 0 },       { 160, 90, 1.22, 3.1, 0.1, 0 },
    { 81, 77, 1.8, -1.0, 1.4, 0.3 },  { 64, 48, 0.9, 2.0, -1.55, -0.8 },
    { 33, 20, 2.2, -3.14, 0.0, 3.0 }, { 1, 1, 1.0, 0.5, 0.5, 0 },
};
enum { CAMERAS = sizeof cameras / sizeof cameras[0] };

/* The scene changes by at most 8 levels a pixel of this panorama: 8-bit rounding of the
 * panorama and of the result 0.5 each, fractions of 1/128 pixel 0.06 (doubled for two
 * axes), positions 0.1, the curvature of the scene between pixels 0.2. */
Test(panorama, viewport_shows_the_scene)
{
    vbg_picture pano = scene_panorama(512, 256);
    vbg_viewport *v = NULL;

    cr_assert_eq(vbg_viewport_new(&v, &pano, NULL), VBG_OK);
    for (vbg_isa isa = VBG_ISA_REF; isa < VBG_ISA_COUNT; isa++)
        for (size_t i = 0; i < 2 * CAMERAS; i++) {
            const vbg_pinhole *camera = &cameras[i / 2];
            vbg_ctx *c = context(isa, i & 1 ? 2 : 1);
            vbg_picture out = blank(camera->w, camera->h);
            if (i & 1)
                vbg_viewport_render_bicubic(v, c, &out, camera);
            else
                vbg_viewport_render(v, c, &out, camera);
            for (int y = 0; y < out.h; y++)
                for (int x = 0; x < out.w; x++) {
                    double d[3];
                    vbg_pinhole_ray(d, camera, x, y);
                    for (int k = 0; k < 3; k++)
                        cr_assert(fabs(at(&out, x, y)[k] - scene(d, k)) < 1.6,
                                  "%s camera %zu at %d,%d: %d, scene %.2f",
                                  vbg_isa_name(isa), i, x, y, at(&out, x, y)[k],
                                  scene(d, k));
                }
            vbg_picture_free(&out);
            vbg_ctx_free(c);
        }
    vbg_viewport_free(v);
    vbg_picture_free(&pano);
}

Test(panorama, a_full_turn_changes_nothing)
{
    vbg_picture pano = scene_panorama(512, 256), a = blank(100, 60), b = blank(100, 60);
    vbg_ctx *c = context(VBG_ISA_BEST, 1);
    vbg_viewport *v = NULL;
    vbg_pinhole camera = { 100, 60, 1.2, 0.4, 0.1, 0.05 };

    cr_assert_eq(vbg_viewport_new(&v, &pano, NULL), VBG_OK);
    vbg_viewport_render(v, c, &a, &camera);
    camera.yaw += 2 * pi;
    vbg_viewport_render(v, c, &b, &camera);
    for (int y = 0; y < a.h; y++)
        for (int x = 0; x < 3 * a.w; x++)
            cr_assert(abs(at(&a, 0, y)[x] - at(&b, 0, y)[x]) <= 1);
    vbg_viewport_free(v);
    vbg_ctx_free(c);
    vbg_picture_free(&pano);
    vbg_picture_free(&a);
    vbg_picture_free(&b);
}

Test(panorama, strange_pictures)
{
    vbg_ctx *c = context(VBG_ISA_BEST, 2);
    const vbg_pinhole camera = { 40, 30, 1.2, 3.0, 1.5, 0 };

    for (int kind = 0; kind < 4; kind++) {
        static const int size[4][3] = {
            { 1, 1, 1 }, { 2, 1, 4 }, { 16384, 1, 3 }, { 3, 50, 1 }
        };
        vbg_picture pano, out = blank(40, 30);
        vbg_viewport *v = NULL;
        cr_assert_eq(
            vbg_picture_new(&pano, size[kind][0], size[kind][1], size[kind][2], NULL),
            VBG_OK);
        memset(pano.data, 200, pano.stride * (size_t)pano.h);
        cr_assert_eq(vbg_viewport_new(&v, &pano, NULL), VBG_OK);
        vbg_viewport_render(v, c, &out, &camera);
        cr_assert(at(&out, 20, 15)[0] == 200 && at(&out, 39, 29)[2] == 200);
        vbg_viewport_render_bicubic(v, c, &out, &camera);
        cr_assert(at(&out, 20, 15)[0] == 200 && at(&out, 39, 29)[2] == 200);
        vbg_viewport_free(v);
        vbg_picture_free(&pano);
        vbg_picture_free(&out);
    }
    vbg_viewport *none = NULL;
    vbg_err err = { "" };
    cr_assert_eq(vbg_viewport_new(&none, &(vbg_picture){ .w = 0 }, &err), VBG_EUSAGE);
    vbg_ctx_free(c);
}

Test(panorama, pitch_is_eased_at_the_limit)
{
    double last = -10;

    for (double p = -3; p <= 3; p += 0.01) {
        const double e = vbg_viewport_ease_pitch(p, 1.0);
        cr_assert(e > last || fabs(p) > 2.5);
        cr_assert(e - last < 0.0101 || last < -5);
        cr_assert(fabs(e) <= 1.0);
        cr_assert(fabs(p) > 0.7 || e == p);
        last = e;
    }
    cr_assert_eq(vbg_viewport_ease_pitch(0.5, 0), 0.0);
}

/* n views of the scene. */
static void scene_views(vbg_picture *views, const vbg_pinhole *rig, int n)
{
    for (int i = 0; i < n; i++) {
        views[i] = blank(rig[i].w, rig[i].h);
        for (int y = 0; y < rig[i].h; y++)
            for (int x = 0; x < rig[i].w; x++) {
                double d[3];
                vbg_pinhole_ray(d, &rig[i], x, y);
                for (int k = 0; k < 3; k++)
                    at(&views[i], x, y)[k] = (uint8_t)lrint(scene(d, k));
            }
    }
}

/* The covered band shows the scene: 0.5 for either rounding and 0.3 for the bicubic
 * reads, which extrapolate a little at the borders.  Threads change nothing. */
Test(panorama, stitching_the_scene)
{
    enum { N = 8, W = 200, H = 100 };
    vbg_pinhole rig[N];
    vbg_picture views[N], out = blank(W, H), again = blank(W, H);
    static uint8_t covered[W * H];

    vbg_stitch_ring(rig, N, 96);
    scene_views(views, rig, N);
    for (int threads = 1; threads <= 5; threads += 2) {
        vbg_ctx *c = context(VBG_ISA_BEST, threads);
        cr_assert_eq(
            vbg_stitch(c, threads == 1 ? &out : &again, covered, views, rig, N, NULL),
            VBG_OK);
        vbg_ctx_free(c);
    }
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            double d[3];
            vbg_equirect_direction(d, x, y, W, H);
            for (int k = 0; k < 3; k++) {
                cr_assert_eq(at(&out, x, y)[k], at(&again, x, y)[k]);
                cr_assert(
                    !covered[y * W + x] || fabs(at(&out, x, y)[k] - scene(d, k)) < 1.3,
                    "at %d,%d: %d, scene %.2f", x, y, at(&out, x, y)[k], scene(d, k));
            }
        }
    cr_assert(covered[H / 2 * W] && !covered[0] && !covered[W * H - 1]);
    for (int k = 0; k < 3 * W; k++) /* one colour at the poles */
        cr_assert(at(&out, 0, 0)[k] == at(&out, 0, 0)[k % 3] &&
                  at(&out, 0, H - 1)[k] == at(&out, 0, H - 1)[k % 3]);
    for (int i = 0; i < N; i++)
        vbg_picture_free(&views[i]);
    vbg_picture_free(&out);
    vbg_picture_free(&again);
}

Test(panorama, constant_views_give_that_constant)
{
    enum { N = 5, W = 120, H = 60 };
    vbg_pinhole rig[N];
    vbg_picture views[N], out = blank(W, H);
    vbg_ctx *c = context(VBG_ISA_BEST, 2);
    vbg_err err = { "" };

    vbg_stitch_ring(rig, N, 32);
    for (int i = 0; i < N; i++) {
        views[i] = blank(32, 32);
        memset(views[i].data, 93, views[i].stride * 32);
    }
    cr_assert_eq(vbg_stitch(c, &out, NULL, views, rig, N, &err), VBG_OK);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < 3 * W; x++)
            cr_assert_eq(at(&out, 0, y)[x], 93);
    rig[2].w = 31;
    cr_assert_eq(vbg_stitch(c, &out, NULL, views, rig, N, &err), VBG_EUSAGE);
    cr_assert(strstr(err.text, "view 2"));
    cr_assert_eq(vbg_stitch(c, &out, NULL, views, rig, 0, NULL), VBG_EUSAGE);
    for (int i = 0; i < N; i++)
        vbg_picture_free(&views[i]);
    vbg_picture_free(&out);
    vbg_ctx_free(c);
}

/* ---- the real panoramas ---- */

/* What a stitched picture is judged by. */
typedef struct quality {
    double psnr;     /* dB where covered                                        */
    double seam;     /* mean |first - last column|, covered rows                */
    double own_seam; /* the same of the picture the views were cut from         */
    double inner;    /* mean difference of neighbouring columns of that picture */
    double row_step; /* largest step between rows beyond the covered band       */
} quality;

/* Mean difference of two columns over rows [y0, y1), all channels. */
static double column_step(const vbg_picture *p, int a, int b, int y0, int y1)
{
    double sum = 0;

    for (int y = y0; y < y1; y++)
        for (int k = 0; k < 3; k++)
            sum += abs(at(p, a, y)[k] - at(p, b, y)[k]);
    return sum / (3 * (y1 - y0));
}

/* The seam over the rows that every view column covers (+-35 degrees). */
static void judge_seam(quality *q, const vbg_picture *out, const vbg_picture *truth)
{
    const int y0 = out->h * 55 / 180, y1 = out->h - y0;

    q->seam = column_step(out, 0, out->w - 1, y0, y1);
    q->own_seam = column_step(truth, 0, out->w - 1, y0, y1);
    for (int x = 0; x + 1 < truth->w; x++)
        q->inner += column_step(truth, x, x + 1, y0, y1) / (truth->w - 1);
}

static quality judge(const vbg_picture *out, const vbg_picture *truth,
                     const uint8_t *covered)
{
    quality q = { .psnr = 0 };
    double square = 0;
    size_t count = 0;

    for (int y = 0; y < out->h; y++)
        for (int x = 0; x < out->w; x++) {
            const bool here = covered[(size_t)y * (size_t)out->w + (size_t)x];
            for (int k = 0; k < 3; k++) {
                const int d = at(out, x, y)[k] - at(truth, x, y)[k];
                square += here ? d * d : 0;
                count += here;
                if (y > 0 &&
                    !(here && covered[(size_t)(y - 1) * (size_t)out->w + (size_t)x]))
                    q.row_step =
                        fmax(q.row_step, abs(at(out, x, y)[k] - at(out, x, y - 1)[k]));
            }
        }
    judge_seam(&q, out, truth);
    q.psnr = 10 * log10(255.0 * 255.0 / fmax(square / (double)count, 1e-9));
    return q;
}

static const char *const names[] = { "apartment", "bridge",   "city", "dawn",
                                     "esplanade", "forest",   "hall", "lab",
                                     "lobby",     "night",    "park", "sunset",
                                     "venice",    "warehouse" };

/* Eight views of 512x512 cut from each and stitched again. */
Test(panorama, real_panoramas_survive, .timeout = 120)
{
    const char *shared = getenv("VBG_SHARED");
    vbg_ctx *c = context(VBG_ISA_BEST, 0);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[1024];
        vbg_picture pano, views[8], out;
        vbg_pinhole rig[8];
        vbg_viewport *v = NULL;
        vbg_err err = { "" };
        snprintf(path, sizeof path, "%s/data/pano/%s.jpg", shared ? shared : "../shared",
                 names[i]);
        if (access(path, R_OK) != 0)
            continue;
        cr_assert_eq(vbg_picture_load(&pano, NULL, path, 3, &err), VBG_OK, "%s",
                     err.text);
        uint8_t *covered = malloc((size_t)pano.w * (size_t)pano.h);
        cr_assert(covered != NULL);
        cr_assert_eq(vbg_viewport_new(&v, &pano, &err), VBG_OK, "%s", err.text);
        vbg_stitch_ring(rig, 8, 512);
        for (int k = 0; k < 8; k++) {
            views[k] = blank(512, 512);
            vbg_viewport_render_bicubic(v, c, &views[k], &rig[k]);
        }
        out = blank(pano.w, pano.h);
        cr_assert_eq(vbg_stitch(c, &out, covered, views, rig, 8, &err), VBG_OK);
        const quality q = judge(&out, &pano, covered);
        cr_assert(q.psnr >= 50, "%s: %.2f dB", names[i], q.psnr);
        cr_assert(q.row_step <= 4, "%s: a step of %.0f levels in the caps", names[i],
                  q.row_step);
        /* Many of these pictures change more at their own seam than elsewhere (up to
         * twice as much); stitching must not add to that. */
        cr_assert(q.seam <= 1.1 * fmax(q.inner, q.own_seam), "%s: seam %.2f, own %.2f",
                  names[i], q.seam, q.own_seam);
        for (int k = 0; k < 8; k++)
            vbg_picture_free(&views[k]);
        vbg_picture_free(&out);
        vbg_picture_free(&pano);
        vbg_viewport_free(v);
        free(covered);
    }
    vbg_ctx_free(c);
}
