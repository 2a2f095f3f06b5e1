/* Figures before a turning camera: geometry, surfaces, motion, exact alpha, and the
 * committed clip against its truth. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/rooms/figure.h"
#include "tools/rooms/figure_light.h"
#include "tools/rooms/figure_motion.h"
#include "tools/rooms/surface_net.h"
#include "video/panorama.h"

static float ball_field(const void *radius, vec3 p)
{
    return v3_len(p) - *(const float *)radius;
}

/* Closed, on the surface, with the right normals and the outside outside. */
Test(figure, nets_of_a_ball_are_closed)
{
    surface_net n = { 0 };
    const float radius = .31f, cell = .02f;

    cr_assert(vr_net_build(&n, v3s(-.4f), v3s(.4f), cell, ball_field, &radius));
    cr_assert_gt(n.nv, 2000);
    /* Euler: a closed surface of genus 0 has nt = 2 nv - 4 */
    cr_assert_eq(n.nt, 2 * n.nv - 4);
    for (size_t i = 0; i < n.nv; i++) {
        cr_assert_float_eq(v3_len(n.pos[i]), radius, .01f * cell);
        cr_assert_gt(v3_dot(n.nrm[i], v3_unit(n.pos[i])), .9999f);
    }
    double volume =
        0; /* of the tetrahedra to the middle: positive when turned outwards */
    for (size_t i = 0; i < n.nt; i++)
        volume += (double)v3_dot(n.pos[n.idx[3 * i]], v3_cross(n.pos[n.idx[3 * i + 1]],
                                                               n.pos[n.idx[3 * i + 2]])) /
                  6;
    cr_assert_float_eq(volume, 4. / 3 * 3.14159265 * pow((double)radius, 3), .002);
    /* a second surface out of the same memory */
    const float smaller = .1f;
    cr_assert(vr_net_build(&n, v3s(-.4f), v3s(.4f), cell, ball_field, &smaller));
    cr_assert_eq(n.nt, 2 * n.nv - 4);
    vr_net_free(&n);
}

/* One function turns the truth's axes into the scene's: what is right, below and ahead
 * of a camera stays so. */
Test(figure, scene_axes)
{
    const vec3 right = vr_scene_axes(v3(1, 0, 0)), down = vr_scene_axes(v3(0, 1, 0)),
               ahead = vr_scene_axes(v3(0, 0, 1));

    cr_assert(right.x == 1 && down.y == -1 && ahead.z == -1);
    cr_assert_gt(v3_dot(v3_cross(right, down), ahead), .99f, "mirrored");
}

Test(figure, bones_have_the_sizes_of_people)
{
    for (uint64_t seed = 0; seed < 40; seed++) {
        const figure_look k = vr_figure_look(seed);
        const figure_pose p = vr_photo_pose(&k, seed * 7 + 1);
        figure_bones b;
        vr_figure_bones(&b, &k, &p);
        for (int i = 0; i < BONES; i++) {
            const frame *f = &b.at[i];
            cr_assert(isfinite(v3_dot(f->o, f->o)));
            cr_assert_float_eq(v3_dot(v3_cross(f->x, f->y), f->z), 1, 1e-4f);
        }
        for (int side = 0; side < 2; side++) {
            const vec3 s = b.at[B_UPPER_L + 3 * side].o, e = b.at[B_FORE_L + 3 * side].o,
                       w = b.at[B_HAND_L + 3 * side].o;
            cr_assert_float_eq(v3_len(v3_sub(e, s)), b.upper, 1e-3f);
            cr_assert_float_eq(v3_len(v3_sub(w, e)), b.fore, 1e-3f);
        }
        /* eyes .10 .. .14 m below the crown of a stature of 1.4 .. 2.05 m */
        cr_assert(k.h > 1.4f && k.h < 2.05f);
        cr_assert_float_eq(b.rest[B_HEAD].o.y, k.h - .125f, .04f);
    }
}

/* With unmoved bones nothing moves; with turned heads the face turns stiffly. */
Test(figure, points_go_with_their_bones)
{
    const figure_look k = vr_figure_look(3);
    figure_pose p = vr_figure_rest(&k);
    figure_bones now, then;

    vr_figure_bones(&now, &k, &p);
    p.turn = 30;
    vr_figure_bones(&then, &k, &p);
    for (int i = 0; i < 50; i++) {
        const vec3 q = v3_add(now.at[B_CHEST].o, v3(.01f * (float)(i - 25), .1f, .05f));
        const vec3 same = vr_figure_carry(&now, now.at, G_BODY, q);
        cr_assert_lt(v3_len(v3_sub(same, q)), 1e-5f);
    }
    const vec3 nose = frame_point(&now.at[B_HEAD], v3(0, -.03f, .10f));
    const vec3 moved = vr_figure_carry(&now, then.at, G_HEAD, nose);
    cr_assert_lt(v3_len(v3_sub(moved, frame_point(&then.at[B_HEAD], v3(0, -.03f, .10f)))),
                 .008f);
}

/* Motion is a smooth function of time; the camera's speed is a hand's. */
Test(figure, motion_is_smooth)
{
    const figure_look k = vr_figure_look(5);
    const hand_held c = vr_hand_held(9, 10);
    double before[3], fastest = 0, span[2] = { 0, 0 };

    vr_hand_held_at(&c, 0, before);
    for (int i = 1; i < 1000; i++) {
        double a[3];
        const figure_pose p = vr_act_pose(&k, 5, .01f * (float)(i - 1)),
                          q = vr_act_pose(&k, 5, .01f * (float)i);
        for (int side = 0; side < 2; side++)
            cr_assert_lt(v3_len(v3_sub(p.hand[side], q.hand[side])), .05f, "%d", i);
        cr_assert_lt(fabsf(p.turn - q.turn), 2);
        vr_hand_held_at(&c, .01f * (float)i, a);
        for (int j = 0; j < 3; j++)
            fastest = fmax(fastest, fabs(a[j] - before[j]) / .01);
        span[0] = fmin(span[0], a[0]);
        span[1] = fmax(span[1], a[0]);
        memcpy(before, a, sizeof a);
    }
    cr_assert_lt(fastest, 60, "%g degrees a second", fastest);
    cr_assert_gt(span[1] - span[0], 10);
}

/* A white surrounding lights all sides alike; a bright spot becomes the key light. */
Test(figure, light_of_a_picture)
{
    figure_light l;
    vbg_picture p;

    cr_assert_eq(vbg_picture_new(&p, 256, 128, 3, NULL), VBG_OK);
    for (int y = 0; y < 128; y++)
        memset(p.data + (size_t)y * p.stride, 128, 256 * 3);
    vr_light_from_picture(&l, &p, true, 0);
    for (int i = 0; i < 6; i++) {
        const float s = i & 1 ? -1.f : 1.f;
        const vec3 e = vr_light_at(
            &l, v3(i / 2 == 0 ? s : 0, i / 2 == 1 ? s : 0, i / 2 == 2 ? s : 0));
        cr_assert_float_eq(e.y, .216f, .005f, "%d: %f", i, (double)e.y);
    }
    /* a lamp at longitude 90 degrees: to the right of who looks at longitude 0 */
    for (int y = 50; y < 60; y++)
        memset(p.data + (size_t)y * p.stride + (size_t)(187 * 3), 255, 10 * 3);
    vr_light_from_picture(&l, &p, true, 0);
    cr_assert_gt(l.key_dir.x, .95f);
    vr_light_from_picture(&l, &p, true, 1.5707963f);
    cr_assert_lt(l.key_dir.z, -.95f, "the camera looks at it");
    vbg_picture_free(&p);
}

#ifdef VBG_HAVE_EMBREE

#include "tools/rooms/figure_film.h"

static backdrop plain_backdrop(int w, int h)
{
    vbg_picture p;
    backdrop b;

    cr_assert_eq(vbg_picture_new(&p, w, h, 3, NULL), VBG_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w * 3; x++)
            p.data[(size_t)y * p.stride + (size_t)x] =
                (uint8_t)(90 + 60 * ((x / 24 + y / 8) & 1));
    cr_assert_eq(vr_backdrop_new(&b, &p, true, NULL), VBG_OK);
    return b;
}

typedef struct pair {
    vbg_picture rgb, alpha;
} pair;

static pair pair_new(int w, int h)
{
    pair p;

    cr_assert_eq(vbg_picture_new(&p.rgb, w, h, 3, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&p.alpha, w, h, 1, NULL), VBG_OK);
    return p;
}

static void pair_free(pair *p)
{
    vbg_picture_free(&p->rgb);
    vbg_picture_free(&p->alpha);
}

static bool same(const vbg_picture *a, const vbg_picture *b)
{
    for (int y = 0; y < a->h; y++)
        if (memcmp(a->data + (size_t)y * a->stride, b->data + (size_t)y * b->stride,
                   (size_t)a->w * (size_t)a->channels) != 0)
            return false;
    return true;
}

/* The same seed, the same still, whatever was made before; people cover some, not all. */
Test(figure, stills_repeat, .timeout = 120)
{
    backdrop b = plain_backdrop(256, 128);
    pair one = pair_new(96, 96), two = pair_new(96, 96);
    film *f = NULL;

    cr_assert_eq(vr_film_new(&f, 96, 96, NULL), VBG_OK);
    cr_assert_eq(vr_film_still(f, &b, 11, &one.rgb, &one.alpha, NULL), VBG_OK);
    cr_assert_eq(vr_film_still(f, &b, 12, &two.rgb, &two.alpha, NULL), VBG_OK);
    cr_assert_not(same(&one.rgb, &two.rgb));
    cr_assert_eq(vr_film_still(f, &b, 11, &two.rgb, &two.alpha, NULL), VBG_OK);
    cr_assert(same(&one.rgb, &two.rgb) && same(&one.alpha, &two.alpha));
    int covered = 0;
    for (int y = 0; y < 96; y++)
        for (int x = 0; x < 96; x++)
            covered += one.alpha.data[(size_t)y * one.alpha.stride + (size_t)x] > 127;
    cr_assert(covered > 96 * 96 / 50 && covered < 96 * 96 * 9 / 10, "%d", covered);
    vr_film_free(f);
    pair_free(&one);
    pair_free(&two);
    vr_backdrop_free(&b);
}

/* Away from the figure a frame is the panorama at the angles that are said: the mean over
 * the shutter differs little from the picture at mid exposure. */
Test(figure, frames_show_the_backdrop_at_their_angles, .timeout = 120)
{
    enum { W = 160, H = 96 };
    backdrop b = plain_backdrop(512, 256);
    pair p = pair_new(W, H);
    film *f = NULL;
    double angles[3];
    film_clip c = vr_film_clip(4, 60, 4, 30);

    cr_assert_eq(vr_film_new(&f, W, H, NULL), VBG_OK);
    cr_assert_eq(vr_film_frame(f, &b, &c, 40, &p.rgb, &p.alpha, angles, NULL), VBG_OK);
    const double rad = 3.14159265358979323846 / 180;
    const vbg_pinhole camera = { .w = W,
                                 .h = H,
                                 .fov_x = (double)c.fov_x,
                                 .yaw = angles[0] * rad + (double)c.yaw,
                                 .pitch = angles[1] * rad,
                                 .roll = angles[2] * rad };
    const vbg_ctx_opt opt = { .threads = 1, .isa = VBG_ISA_BEST, .precision = VBG_F32 };
    vbg_ctx *ctx = NULL;
    vbg_picture want;
    double off = 0, n = 0, inside = 0;
    cr_assert_eq(vbg_ctx_new(&ctx, &opt, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&want, W, H, 3, NULL), VBG_OK);
    vbg_viewport_render(b.view, ctx, &want, &camera);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            if (p.alpha.data[(size_t)y * p.alpha.stride + (size_t)x] > 0) {
                inside++;
                continue;
            }
            off += abs(p.rgb.data[(size_t)y * p.rgb.stride + (size_t)(3 * x)] -
                       want.data[(size_t)y * want.stride + (size_t)(3 * x)]);
            n++;
        }
    cr_assert(inside > 500 && n > 2000);
    cr_assert_lt(off / n, 5, "mean difference %g of 255", off / n);
    vbg_picture_free(&want);
    vbg_ctx_free(ctx);
    vr_film_free(f);
    pair_free(&p);
    vr_backdrop_free(&b);
}

#endif
