/* MVDiffusion's panorama conventions.  Axes here: x forward, y right, z up. */
#include "video/compat.h"

#include <math.h>
#include <string.h>

#include "video/panorama.h"

static const double radian = 3.14159265358979323846 / 180.0;

/* Bicubic read at (u, v), both directions wrapping. */
static void sample_wrapped(double out[3], const vbg_picture *p, double u, double v)
{
    const int x = (int)floor(u), y = (int)floor(v);
    double wx[4], wy[4];

    vbg_cubic_weights(wx, u - x);
    vbg_cubic_weights(wy, v - y);
    out[0] = out[1] = out[2] = 0;
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) {
            const int row = ((y + j - 1) % p->h + p->h) % p->h;
            const int col = ((x + i - 1) % p->w + p->w) % p->w;
            const uint8_t *px = p->data + (size_t)row * p->stride + (size_t)col * 3;
            for (int k = 0; k < 3; k++)
                out[k] += wx[i] * wy[j] * px[k];
        }
}

/* The triangle 0 -> 1 -> 0 over n columns, both middle columns 1, read like a picture. */
static double sample_triangle(int n, double u)
{
    const int x = (int)floor(u), half = n / 2;
    double w[4], sum = 0;

    vbg_cubic_weights(w, u - x);
    for (int i = 0; i < 4; i++) {
        const int c = ((x + i - 1) % n + n) % n;
        const int steps = c < half ? c : n - 1 - c;
        sum += w[i] * (half > 1 ? (double)steps / (half - 1) : 1.0);
    }
    return sum;
}

/* Position of panorama pixel (px, py) in a view; false when it does not fall inside. */
static bool locate(double uv[2], int px, int py, int w, int h, const vbg_picture *view,
                   double yaw_deg, double fov_deg)
{
    const double lon = (w > 1 ? -180.0 + 360.0 * px / (w - 1) : 0.0) * radian;
    const double lat = (h > 1 ? 90.0 - 180.0 * py / (h - 1) : 0.0) * radian;
    const double turned = lon - yaw_deg * radian;
    const double x = cos(lat) * cos(turned), y = cos(lat) * sin(turned), z = sin(lat);
    const double wl = tan(0.5 * fov_deg * radian);
    const double hl = tan(0.5 * fov_deg * view->h / view->w * radian);

    if (!(x > 0) || !(fabs(y / x) < wl) || !(fabs(z / x) < hl))
        return false;
    uv[0] = (y / x + wl) / (2.0 * wl) * view->w;
    uv[1] = (hl - z / x) / (2.0 * hl) * view->h;
    return true;
}

vbg_status vbg_compat_stitch(float *pano, float *weight_sum, int w, int h,
                             const vbg_compat_ring *ring, vbg_err *err)
{
    const vbg_picture *views = ring->views;
    const int n = ring->n;

    if (n < 1 || w < 2 || h < 2)
        return vbg_fail(err, VBG_EUSAGE, "stitching %d views to %dx%d: nothing to do", n,
                        w, h);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const size_t at = (size_t)y * (size_t)w + (size_t)x;
            double sum[3] = { 0, 0, 0 }, total = 0;
            for (int i = 0; i < n; i++) {
                double uv[2], level[3];
                if (!locate(uv, x, y, w, h, &views[i], ring->yaw_deg[i], ring->fov_deg))
                    continue;
                const double weight = sample_triangle(views[i].w, uv[0]);
                sample_wrapped(level, &views[i], uv[0], uv[1]);
                for (int k = 0; k < 3; k++)
                    sum[k] += weight * level[k];
                total += weight;
            }
            weight_sum[at] = (float)total;
            for (size_t k = 0; k < 3; k++)
                pano[at * 3 + k] = total != 0.0 ? (float)(sum[k] / total) : 255.0f;
        }
    return VBG_OK;
}

void vbg_compat_project(float *image, uint8_t *mask, int w, int h,
                        const vbg_picture *view, double yaw_deg, double fov_deg)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            const size_t at = (size_t)y * (size_t)w + (size_t)x;
            double uv[2], level[3] = { 0, 0, 0 };
            mask[at] = locate(uv, x, y, w, h, view, yaw_deg, fov_deg);
            if (mask[at])
                sample_wrapped(level, view, uv[0], uv[1]);
            for (size_t k = 0; k < 3; k++)
                image[at * 3 + k] = (float)level[k];
        }
}

static uint8_t to_u8(double v)
{
    return (uint8_t)lrint(fmin(fmax(v, 0.0), 255.0));
}

void vbg_compat_crop(vbg_picture *out, const vbg_picture *pano, double fov_deg,
                     double yaw_deg, double pitch_deg)
{
    const double wl = tan(0.5 * fov_deg * radian);
    const double hl = tan(0.5 * fov_deg * out->h / out->w * radian);
    const double ca = cos(yaw_deg * radian), sa = sin(yaw_deg * radian);
    const double cb = cos(pitch_deg * radian), sb = sin(pitch_deg * radian);
    const double cx = 0.5 * (pano->w - 1), cy = 0.5 * (pano->h - 1);

    for (int r = 0; r < out->h; r++)
        for (int c = 0; c < out->w; c++) {
            const double y = out->w > 1 ? -wl + 2.0 * wl * c / (out->w - 1) : 0.0;
            const double z = out->h > 1 ? hl - 2.0 * hl * r / (out->h - 1) : 0.0;
            const double n = sqrt(1.0 + y * y + z * z);
            const double x1 = cb - z * sb, z1 = sb + z * cb;
            const double lon = atan2(x1 * sa + y * ca, x1 * ca - y * sa) / radian;
            const double lat = asin(z1 / n) / radian;
            double level[3];
            sample_wrapped(level, pano, lon / 180.0 * cx + cx, -lat / 90.0 * cy + cy);
            for (int k = 0; k < 3; k++)
                out->data[(size_t)r * out->stride + (size_t)c * 3 + (size_t)k] =
                    to_u8(level[k]);
        }
}

/* Bilinear read, black outside. */
static void sample_black(double out[3], const vbg_picture *p, double u, double v)
{
    out[0] = out[1] = out[2] = 0;
    if (!(u > -1.0 && v > -1.0 && u < p->w && v < p->h))
        return;
    const int x = (int)floor(u), y = (int)floor(v);
    const double wx[2] = { 1.0 - (u - x), u - x }, wy[2] = { 1.0 - (v - y), v - y };
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) {
            if (x + i < 0 || y + j < 0 || x + i >= p->w || y + j >= p->h)
                continue;
            const uint8_t *px =
                p->data + (size_t)(y + j) * p->stride + (size_t)(x + i) * 3;
            for (int k = 0; k < 3; k++)
                out[k] += wx[i] * wy[j] * px[k];
        }
}

/* Adds rows [first, last) of one face as seen from yaw_deg. */
static void add_face(vbg_picture *out, const vbg_picture *face, double face_yaw,
                     double face_pitch, double yaw_deg, int first, int last)
{
    const double c = 0.5 * (out->w - 1), f = 0.5 * out->w;
    double view[9], side[9], m[9];

    vbg_rotation_from_angles(view, yaw_deg * radian, 0, 0);
    vbg_rotation_from_angles(side, face_yaw * radian, face_pitch * radian, 0);
    vbg_rotation_multiply(m, side, view, true);
    for (int y = first; y < last; y++)
        for (int x = 0; x < out->w; x++) {
            const double d[3] = { (x - c) / f, (y - c) / f, 1.0 };
            const double z = m[6] * d[0] + m[7] * d[1] + m[8] * d[2];
            double level[3];
            if (fabs(z) < 1e-12)
                continue;
            sample_black(level, face,
                         (m[0] * d[0] + m[1] * d[1] + m[2] * d[2]) / z * f + c,
                         (m[3] * d[0] + m[4] * d[1] + m[5] * d[2]) / z * f + c);
            uint8_t *px = out->data + (size_t)y * out->stride + (size_t)x * 3;
            for (int k = 0; k < 3; k++)
                px[k] = to_u8(px[k] + rint(level[k]));
        }
}

void vbg_compat_skybox(vbg_picture *out, const vbg_picture faces[6], double yaw_deg)
{
    static const double yaw[6] = { -90, 270, 0, 90, 180, -90 };
    const int h = out->h;

    for (int y = 0; y < h; y++)
        memset(out->data + (size_t)y * out->stride, 0, (size_t)out->w * 3);
    add_face(out, &faces[0], yaw[0], 90, yaw_deg, 0, h / 2);
    for (int i = 1; i < 5; i++)
        if (fabs(remainder(yaw[i] - yaw_deg, 360.0)) <= 90.0)
            add_face(out, &faces[i], yaw[i], 0, yaw_deg, 0, h);
    add_face(out, &faces[5], yaw[5], -90, yaw_deg, h / 2, h);
}
