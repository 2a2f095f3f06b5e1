/* Panorama oracles: seg/panogeo (the product's geometry) and mvd/pano (compatibility). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden/flow.h"
#include "video/compat.h"
#include "video/panorama.h"
#include "video/stitch.h"

static const double degree = 3.14159265358979323846 / 180.0;

/* Picture i of a stored u8 tensor [n, h, w, 3], or the only one of [h, w, 3]. */
static vbg_picture picture_in(golden *g, const char *name, int i)
{
    const vbg_st_tensor *t = golden_in(g, "%s", name);
    vbg_picture p = { .channels = 3 };

    if (!t || t->dtype != VBG_U8 || t->rank < 3)
        return p;
    const int64_t *dim = t->dim + (t->rank - 3);
    p.h = (int)dim[0];
    p.w = (int)dim[1];
    p.stride = (size_t)p.w * 3;
    const size_t bytes = p.stride * (size_t)p.h;
    p.data = golden_alloc(g, bytes);
    memcpy(p.data, (const uint8_t *)t->data + (size_t)i * bytes, bytes);
    return p;
}

static vbg_picture picture_flat(golden *g, int w, int h)
{
    return (vbg_picture){ .data = golden_alloc(g, (size_t)w * (size_t)h * 3),
                          .w = w,
                          .h = h,
                          .channels = 3,
                          .stride = (size_t)w * 3 };
}

static double field(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* ---- panogeo ---- */

/* One perspective view: positions, and what both panoramas show there. */
static void run_view(golden *g, int index, const json_t *v)
{
    const vbg_st_tensor *t = golden_in(g, "in.pano_f32");
    vbg_image pano = { .data = golden_in_f32(g, "in.pano_f32"), .channels = 3 };
    vbg_image coarse = { .data = golden_in_f32(g, "in.pano_u8") };
    const vbg_pinhole view = { .w = (int)field(v, "w"),
                               .h = (int)field(v, "h"),
                               .fov_x = field(v, "fov_x_deg") * degree,
                               .yaw = field(v, "yaw") * degree,
                               .pitch = field(v, "pitch") * degree,
                               .roll = field(v, "roll") * degree };
    const size_t pixels = (size_t)view.w * (size_t)view.h;
    char name[100];

    if (!t || !pano.data || !coarse.data)
        return;
    const int h = (int)t->dim[0], w = (int)t->dim[1];
    pano.w = w;
    pano.h = h;
    pano.stride = (size_t)w * 3;
    float *const rounded = coarse.data;
    coarse = pano;
    coarse.data = rounded;
    double *uv = golden_alloc(g, pixels * 2 * sizeof *uv);
    float *out = golden_alloc(g, pixels * 3 * sizeof *out);
    float *out8 = golden_alloc(g, pixels * 3 * sizeof *out8);
    for (size_t i = 0; i < pixels; i++) {
        double d[3];
        vbg_pinhole_ray(d, &view, (double)(i % (size_t)view.w),
                        (double)(i / (size_t)view.w));
        vbg_equirect_position(uv + 2 * i, d, w, h);
        vbg_equirect_sample(out + 3 * i, &pano, uv[2 * i], uv[2 * i + 1],
                            VBG_SPHERE_BILINEAR);
        vbg_equirect_sample(out8 + 3 * i, &coarse, uv[2 * i], uv[2 * i + 1],
                            VBG_SPHERE_BILINEAR);
    }
    snprintf(name, sizeof name, "view%d.uv", index);
    golden_out_f64(g, name, uv, pixels * 2);
    snprintf(name, sizeof name, "view%d.bilinear", index);
    golden_out_f32(g, name, out, pixels * 3);
    snprintf(name, sizeof name, "view%d.from_u8", index);
    golden_out_f32(g, name, out8, pixels * 3);
}

void golden_run_panogeo(golden *g)
{
    json_t *views = json_object_get(golden_json(g), "views"), *v;
    json_t *s = json_object_get(golden_json(g), "stitch");
    const json_t *size = json_object_get(s, "out");
    const int n = (int)field(s, "views"), side = (int)field(s, "view_size");
    const int h = (int)json_integer_value(json_array_get(size, 0));
    const int w = (int)json_integer_value(json_array_get(size, 1));
    vbg_err err = { "" };
    size_t i;

    json_array_foreach(views, i, v) run_view(g, (int)i, v);
    if (n < 1 || w < 1 || h < 1) {
        golden_fail(g, "the JSON has no stitch settings");
        return;
    }
    vbg_picture *pictures = golden_alloc(g, (size_t)n * sizeof *pictures);
    vbg_pinhole *cameras = golden_alloc(g, (size_t)n * sizeof *cameras);
    vbg_stitch_ring(cameras, n, side);
    for (int k = 0; k < n; k++) {
        pictures[k] = picture_in(g, "in.views_u8", k);
        cameras[k].fov_x = field(s, "fov_deg") * degree;
        cameras[k].yaw += field(s, "yaw0") * degree;
    }
    const size_t pixels = (size_t)w * (size_t)h;
    float *out = golden_alloc(g, pixels * 3 * sizeof *out);
    uint8_t *covered = golden_alloc(g, pixels);
    const vbg_stitch_out to = {
        .w = w, .h = h, .levels = out, .covered = covered, .filter = VBG_SPHERE_BILINEAR
    };
    if (vbg_stitch_f32(golden_ctx(g), &to, pictures, cameras, n, &err) != VBG_OK)
        golden_fail(g, "%s", err.text);
    golden_out_f32(g, "stitch.f32", out, pixels * 3);
    golden_out_u8(g, "stitch.covered", covered, pixels);
}

/* ---- mvd/pano ---- */

/* K and R of every listed camera. */
static void run_cameras(golden *g, int size)
{
    const vbg_st_tensor *t = golden_in(g, "cam.fov_theta_phi");
    const float *list = golden_in_f32(g, "cam.fov_theta_phi");

    if (!t || !list)
        return;
    const size_t n = (size_t)t->dim[0];
    double *k = golden_alloc(g, n * 9 * sizeof *k),
           *r = golden_alloc(g, n * 9 * sizeof *r);
    for (size_t i = 0; i < n; i++) {
        const vbg_pinhole view = { .w = size,
                                   .h = size,
                                   .fov_x = (double)list[i * 3] * degree,
                                   .yaw = (double)list[i * 3 + 1] * degree,
                                   .pitch = (double)list[i * 3 + 2] * degree };
        const double c = 0.5 * (size - 1), f = vbg_pinhole_focal(&view);
        const double m[9] = { f, 0, c, 0, f, c, 0, 0, 1 };
        memcpy(k + 9 * i, m, sizeof m);
        vbg_rotation_from_angles(r + 9 * i, view.yaw, view.pitch, view.roll);
    }
    golden_out_f64(g, "cam.K", k, n * 9);
    golden_out_f64(g, "cam.R", r, n * 9);
}

static void run_stitch(golden *g, const json_t *j)
{
    const json_t *size = json_object_get(j, "equirect_hw");
    const json_t *yaws = json_object_get(j, "stitch_yaws");
    const int h = (int)json_integer_value(json_array_get(size, 0));
    const int w = (int)json_integer_value(json_array_get(size, 1));
    const int n = (int)json_array_size(yaws);
    const double fov = field(j, "stitch_fov");
    const size_t pixels = (size_t)w * (size_t)h;
    vbg_err err = { "" };

    if (n < 2) {
        golden_fail(g, "the JSON lists no views");
        return;
    }
    vbg_picture *views = golden_alloc(g, (size_t)n * sizeof *views);
    double *yaw = golden_alloc(g, (size_t)n * sizeof *yaw);
    for (int i = 0; i < n; i++) {
        views[i] = picture_in(g, "in.views", i);
        yaw[i] = json_number_value(json_array_get(yaws, (size_t)i));
    }
    float *pano = golden_alloc(g, pixels * 3 * sizeof *pano);
    float *sum = golden_alloc(g, pixels * sizeof *sum);
    uint8_t *mask = golden_alloc(g, pixels);
    const vbg_compat_ring ring = {
        .views = views, .yaw_deg = yaw, .n = n, .fov_deg = fov
    };
    if (vbg_compat_stitch(pano, sum, w, h, &ring, &err) != VBG_OK)
        golden_fail(g, "%s", err.text);
    golden_out_f32(g, "out.stitch.pano", pano, pixels * 3);
    golden_out_f32(g, "out.stitch.weight_sum_own_float64", sum, pixels);
    vbg_compat_project(pano, mask, w, h, &views[1], yaw[1], fov);
    golden_out_f32(g, "out.project1.image", pano, pixels * 3);
    golden_out_u8(g, "out.project1.mask", mask, pixels);
}

void golden_run_pano(golden *g)
{
    const json_t *j = golden_json(g);
    json_t *list = json_object_get(j, "persp"), *v;
    const int size = (int)field(j, "image_size");
    const vbg_picture pano = picture_in(g, "in.equirect", 0);
    vbg_picture faces[6];
    char name[100];
    size_t i;

    if (!pano.data)
        return;
    run_cameras(g, size);
    run_stitch(g, j);
    json_array_foreach(list, i, v)
    {
        double p[5]; /* fov, theta, phi, h, w */
        for (size_t k = 0; k < 5; k++)
            p[k] = json_number_value(json_array_get(v, k));
        vbg_picture out = picture_flat(g, (int)p[4], (int)p[3]);
        vbg_compat_crop(&out, &pano, p[0], p[1], p[2]);
        snprintf(name, sizeof name, "out.persp.%zu", i);
        golden_out_u8(g, name, out.data, out.stride * (size_t)out.h);
    }
    for (int k = 0; k < 6; k++)
        faces[k] = picture_in(g, "in.skybox", k);
    list = json_object_get(j, "warp_thetas");
    json_array_foreach(list, i, v)
    {
        vbg_picture out = picture_flat(g, faces[0].w, faces[0].h);
        vbg_compat_skybox(&out, faces, json_number_value(v));
        snprintf(name, sizeof name, "out.warp.%g", json_number_value(v));
        golden_out_u8(g, name, out.data, out.stride * (size_t)out.h);
    }
}
