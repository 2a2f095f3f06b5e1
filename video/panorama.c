/* Geometry of panoramas and views, in double: the reference of everything fast. */
#include "video/panorama.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

void vbg_rotation_from_angles(double r[9], double yaw, double pitch, double roll)
{
    const double cy = cos(yaw), sy = sin(yaw), cp = cos(pitch), sp = sin(pitch);
    const double cr = cos(roll), sr = sin(roll);
    const double out[9] = {
        cy * cr + sy * sp * sr,  -cy * sr + sy * sp * cr, sy * cp, cp * sr, cp * cr, -sp,
        -sy * cr + cy * sp * sr, sy * sr + cy * sp * cr,  cy * cp
    };

    for (int i = 0; i < 9; i++)
        r[i] = out[i];
}

void vbg_rotation_angles(double angles[3], const double r[9])
{
    const double s = fmin(fmax(-r[5], -1.0), 1.0);

    angles[1] = asin(s);
    if (fabs(s) > 1.0 - 1e-12) { /* straight up or down: all turn is yaw */
        angles[0] = atan2(-r[6], r[0]);
        angles[2] = 0.0;
        return;
    }
    angles[0] = atan2(r[2], r[8]);
    angles[2] = atan2(r[3], r[4]);
}

void vbg_rotation_multiply(double out[9], const double a[9], const double b[9],
                           bool transpose_a)
{
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            double s = 0;
            for (int k = 0; k < 3; k++)
                s += (transpose_a ? a[k * 3 + i] : a[i * 3 + k]) * b[k * 3 + j];
            out[i * 3 + j] = s;
        }
}

double vbg_pinhole_focal(const vbg_pinhole *v)
{
    return 0.5 * v->w / tan(0.5 * v->fov_x);
}

void vbg_pinhole_ray(double d[3], const vbg_pinhole *v, double x, double y)
{
    const double f = vbg_pinhole_focal(v);
    const double p[3] = { (x - 0.5 * (v->w - 1)) / f, (y - 0.5 * (v->h - 1)) / f, 1.0 };
    double r[9];

    vbg_rotation_from_angles(r, v->yaw, v->pitch, v->roll);
    for (int i = 0; i < 3; i++)
        d[i] = r[i * 3] * p[0] + r[i * 3 + 1] * p[1] + r[i * 3 + 2] * p[2];
}

bool vbg_pinhole_project(double xy[2], const vbg_pinhole *v, const double d[3])
{
    const double f = vbg_pinhole_focal(v);
    double r[9], p[3];

    vbg_rotation_from_angles(r, v->yaw, v->pitch, v->roll);
    for (int i = 0; i < 3; i++)
        p[i] = r[i] * d[0] + r[3 + i] * d[1] + r[6 + i] * d[2];
    if (!(p[2] > 1e-9))
        return false;
    xy[0] = p[0] / p[2] * f + 0.5 * (v->w - 1);
    xy[1] = p[1] / p[2] * f + 0.5 * (v->h - 1);
    return true;
}

void vbg_equirect_position(double uv[2], const double d[3], int w, int h)
{
    const double lon = atan2(d[0], d[2]);
    const double down = atan2(d[1], hypot(d[0], d[2]));

    uv[0] = (lon / (2.0 * pi) + 0.5) * w - 0.5;
    uv[1] = (down / pi + 0.5) * h - 0.5;
}

void vbg_equirect_direction(double d[3], double u, double v, int w, int h)
{
    const double lon = ((u + 0.5) / w - 0.5) * 2.0 * pi;
    const double down = ((v + 0.5) / h - 0.5) * pi;

    d[0] = cos(down) * sin(lon);
    d[1] = sin(down);
    d[2] = cos(down) * cos(lon);
}

void vbg_cubic_weights(double weight[4], double t)
{
    const double a = -0.75, s = 1.0 - t;

    weight[0] = ((a * (t + 1.0) - 5.0 * a) * (t + 1.0) + 8.0 * a) * (t + 1.0) - 4.0 * a;
    weight[1] = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
    weight[2] = ((a + 2.0) * s - (a + 3.0)) * s * s + 1.0;
    weight[3] = 1.0 - weight[0] - weight[1] - weight[2];
}

/* The pixel of column x, row y: columns wrap, rows go over the pole. */
static const float *pixel(const vbg_image *pano, int x, int y)
{
    const int w = pano->w, h = pano->h;

    if (y < 0 || y >= h) {
        y = y < 0 ? -1 - y : 2 * h - 1 - y;
        x += w / 2;
        y = y < 0 ? 0 : y >= h ? h - 1 : y; /* pictures of one or two rows */
    }
    x %= w;
    if (x < 0)
        x += w;
    return vbg_image_row(pano, y) + (size_t)x * (size_t)pano->channels;
}

void vbg_equirect_sample(float *out, const vbg_image *pano, double u, double v,
                         vbg_sphere_filter filter)
{
    const int x = (int)floor(u), y = (int)floor(v);
    double wx[4] = { 0, 1.0 - (u - x), u - x, 0 }, wy[4] = { 0, 1.0 - (v - y), v - y, 0 };
    double sum[4] = { 0, 0, 0, 0 };

    if (filter == VBG_SPHERE_BICUBIC) {
        vbg_cubic_weights(wx, u - x);
        vbg_cubic_weights(wy, v - y);
    }
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) {
            if (wx[i] == 0.0 || wy[j] == 0.0)
                continue;
            const float *p = pixel(pano, x + i - 1, y + j - 1);
            for (int k = 0; k < pano->channels; k++)
                sum[k] += wx[i] * wy[j] * (double)p[k];
        }
    for (int k = 0; k < pano->channels; k++)
        out[k] = (float)sum[k];
}
