/* Agreement of views; see models/overlap.h. */
#include "models/overlap.h"

#include <math.h>
#include <stdlib.h>

#include "engine/picture_resize.h"
#include "models/camera.h"

/* p brought to the common side; a copy that the caller frees. */
static vbg_status at_side(vbg_picture *out, const vbg_picture *p, vbg_err *err)
{
    vbg_status st = vbg_picture_new(out, VBG_OVERLAP_SIDE, VBG_OVERLAP_SIDE, 3, err);

    return st == VBG_OK ? vbg_picture_resample(out, p, VBG_FILTER_BILINEAR, err) : st;
}

/* Channel c of p between pixels; (u, v) has all four neighbours inside. */
static double between(const vbg_picture *p, double u, double v, int c)
{
    int x = (int)u, y = (int)v;
    double fx = u - x, fy = v - y;
    const uint8_t *r0 = p->data + (size_t)y * p->stride + (size_t)(3 * x + c);
    const uint8_t *r1 = r0 + (fy > 0 ? p->stride : 0);
    int right = fx > 0 ? 3 : 0;

    return (1 - fy) * ((1 - fx) * r0[0] + fx * r0[right]) +
           fy * ((1 - fx) * r1[0] + fx * r1[right]);
}

static vbg_status compare(double *out, const vbg_picture *a, const vbg_picture *b,
                          double fov_deg, double yaw_deg, vbg_err *err)
{
    const int side = a->w;
    vbg_camera ca = vbg_camera_look(fov_deg, 0, 0, side, side);
    vbg_camera cb = vbg_camera_look(fov_deg, yaw_deg, 0, side, side);
    double m[9], sum = 0;
    size_t pixels = 0;

    vbg_camera_homography(m, &ca, &cb);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double p[2], z = vbg_homography_apply(p, m, x, y);
            if (!(z > 0 && p[0] >= 0 && p[1] >= 0 && p[0] <= side - 1 &&
                  p[1] <= side - 1))
                continue;
            const uint8_t *q = a->data + (size_t)y * a->stride + 3 * (size_t)x;
            for (int c = 0; c < 3; c++) {
                double d = (between(b, p[0], p[1], c) - q[c]) / 255;
                sum += d * d;
            }
            pixels++;
        }
    if (!pixels)
        return vbg_fail(err, VBG_EUSAGE, "views %g degrees apart do not overlap",
                        yaw_deg);
    *out = sum > 0 ? -10 * log10(sum / (3 * (double)pixels)) : INFINITY;
    return VBG_OK;
}

vbg_status vbg_overlap_psnr(double *out, const vbg_picture *a, const vbg_picture *b,
                            double fov_deg, double yaw_deg, vbg_err *err)
{
    vbg_picture pa = { 0 }, pb = { 0 };

    if (a->w != a->h || a->w != b->w || a->h != b->h || a->channels != 3 ||
        b->channels != 3)
        return vbg_fail(err, VBG_EUSAGE, "views are square, of one size and in colour");
    vbg_status st = at_side(&pa, a, err);
    if (st == VBG_OK)
        st = at_side(&pb, b, err);
    if (st == VBG_OK)
        st = compare(out, &pa, &pb, fov_deg, yaw_deg, err);
    vbg_picture_free(&pa);
    vbg_picture_free(&pb);
    return st;
}

double vbg_seam_ratio(const vbg_picture *pano)
{
    double seam = 0, inside = 0;

    for (int y = 0; y < pano->h; y++) {
        const uint8_t *r = pano->data + (size_t)y * pano->stride;
        const int n = pano->channels, last = (pano->w - 1) * n;
        for (int c = 0; c < n; c++)
            seam += abs(r[c] - r[last + c]);
        for (int i = n; i <= last + n - 1; i++)
            inside += abs(r[i] - r[i - n]);
    }
    inside /= pano->w > 1 ? pano->w - 1 : 1;
    return inside > 0 ? seam / inside : seam > 0 ? INFINITY : 1;
}
