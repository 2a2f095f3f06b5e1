/* Camera rigs; see models/camera.h. */
#define _GNU_SOURCE /* sincos */
#include "models/camera.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HALF = VBG_CAA_ENTRIES / 2 };

static const double PI = 3.14159265358979323846;

static void multiply(double out[9], const double a[9], const double b[9])
{
    double m[9];

    for (int i = 0; i < 9; i++)
        m[i] = a[i / 3 * 3] * b[i % 3] + a[i / 3 * 3 + 1] * b[3 + i % 3] +
               a[i / 3 * 3 + 2] * b[6 + i % 3];
    memcpy(out, m, sizeof m);
}

/* By cofactors; a singular matrix gives infinities, which the caller looks for. */
static void invert(double out[9], const double m[9])
{
    double c[9];

    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            int r0 = (j + 1) % 3 * 3, r1 = (j + 2) % 3 * 3;
            int c0 = (i + 1) % 3, c1 = (i + 2) % 3;
            c[i * 3 + j] = m[r0 + c0] * m[r1 + c1] - m[r0 + c1] * m[r1 + c0];
        }
    double det = m[0] * c[0] + m[1] * c[3] + m[2] * c[6];
    for (int i = 0; i < 9; i++)
        out[i] = c[i] / det;
}

vbg_camera vbg_camera_look(double fov_deg, double yaw_deg, double pitch_deg, int w, int h)
{
    const double f = 0.5 * w / tan(fov_deg * PI / 360);
    const double cy = cos(yaw_deg * PI / 180), sy = sin(yaw_deg * PI / 180);
    const double cp = cos(pitch_deg * PI / 180), sp = sin(pitch_deg * PI / 180);
    vbg_camera c = { .k = { f, 0, (w - 1) / 2.0, 0, f, (h - 1) / 2.0, 0, 0, 1 } };
    /* R2 R1 = R1 Rx(pitch): pitch about the turned x axis */
    const double turn[9] = { cy, 0, sy, 0, 1, 0, -sy, 0, cy };
    const double tilt[9] = { 1, 0, 0, 0, cp, -sp, 0, sp, cp };

    multiply(c.r, turn, tilt);
    return c;
}

void vbg_camera_homography(double out[9], const vbg_camera *a, const vbg_camera *b)
{
    double k[9], r[9];

    invert(k, a->k);
    multiply(out, a->r, k);
    invert(r, b->r);
    multiply(out, r, out);
    multiply(out, b->k, out);
}

double vbg_homography_apply(double out[2], const double m[9], double u, double v)
{
    double z = m[6] * u + m[7] * v + m[8];

    out[0] = (m[0] * u + m[1] * v + m[2]) / z;
    out[1] = (m[3] * u + m[4] * v + m[5]) / z;
    return z;
}

/* ---- one level ---- */

/* What one view sees of its two neighbours. */
typedef struct pose {
    double there[2][9], back[2][9];
} pose;

typedef struct grid {
    int w, h, picture_w, picture_h;
    double sx, sy; /* picture pixels per map pixel */
} grid;

static bool same_pose(const pose *a, const pose *b)
{
    const double *x = &a->there[0][0], *y = &b->there[0][0];

    for (size_t i = 0; i < sizeof *a / sizeof *x; i++)
        if (fabs(x[i] - y[i]) > 1e-9 * (1 + fabs(x[i])))
            return false;
    return true;
}

static bool finite_pose(const pose *p)
{
    const double *x = &p->there[0][0];

    for (size_t i = 0; i < sizeof *p / sizeof *x; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* Where the first query lies and how far the next: s//2 + s*index as the reference
 * for whole s, the same with fractions where the map does not divide the picture. */
static double query(double s, int index)
{
    double first = s == floor(s) ? floor(s / 2) : s / 2;

    return first + s * index;
}

static void fill_spot(vbg_caa_spot *s, float *offset, const grid *g, const pose *p,
                      int side, int a, int b)
{
    const double u = query(g->sx, a), v = query(g->sy, b);
    double c[2], back[2];
    double z = vbg_homography_apply(c, p->there[side], u, v);
    double tx = c[0] / g->sx - 0.5, ty = c[1] / g->sy - 0.5;
    /* far outside: any patch without a pixel of the map will do */
    double x0 = floor(fmin(fmax(tx, -1e6), 1e6)), y0 = floor(fmin(fmax(ty, -1e6), 1e6));

    *s = (vbg_caa_spot){ .x0 = (int32_t)x0 - 1,
                         .y0 = (int32_t)y0 - 1,
                         .fx = (float)fmin(fmax(tx - x0, 0), 1),
                         .fy = (float)fmin(fmax(ty - y0, 0), 1) };
    for (int i = 0; i < HALF; i++) {
        double px = c[0] + g->sx * (i / 3 - 1), py = c[1] + g->sy * (i % 3 - 1);
        if (z > 0 && px > 0 && px < g->picture_w && py > 0 && py < g->picture_h)
            s->mask |= 1u << i;
        vbg_homography_apply(back, p->back[side], px, py);
        offset[2 * i] = (float)((back[0] - u) / g->sx);
        offset[2 * i + 1] = (float)((back[1] - v) / g->sy);
    }
}

/* The centre entry comes back to where it started: exactly zero, not 1e-14. */
static void zero_centres(vbg_caa_level *l)
{
    size_t spots = (size_t)l->poses * (size_t)l->h * (size_t)l->w * 2;

    for (size_t i = 0; i < spots; i++) {
        float *centre = l->offset + (i * HALF + HALF / 2) * 2;
        centre[0] = centre[1] = 0;
    }
}

static void number_rows(vbg_caa_level *l)
{
    size_t spots = (size_t)l->poses * (size_t)l->h * (size_t)l->w * 2;

    l->rows = 0;
    for (size_t i = 0; i < spots; i++) {
        l->spot[i].row = (uint32_t)l->rows;
        for (uint32_t m = l->spot[i].mask; m; m &= m - 1)
            l->rows++;
    }
}

static vbg_status take_arrays(vbg_caa_level *l, int poses, vbg_err *err)
{
    size_t pixels = (size_t)poses * (size_t)l->h * (size_t)l->w;
    vbg_caa_spot *spot = calloc(pixels * 2, sizeof *spot);
    float *offset = calloc(pixels * VBG_CAA_ENTRIES * 2, sizeof *offset);

    if (!spot || !offset) {
        free(spot);
        free(offset);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the camera geometry");
    }
    free(l->spot);
    free(l->offset);
    l->spot = spot;
    l->offset = offset;
    l->poses = poses;
    return VBG_OK;
}

/* Relative poses of all views; which are the same. */
static int find_poses(pose *p, int *index, const vbg_camera *cam, int views)
{
    int poses = 0;

    for (int i = 0; i < views; i++) {
        const vbg_camera *near[2] = { &cam[(i + views - 1) % views],
                                      &cam[(i + 1) % views] };
        pose *mine = &p[poses];
        for (int s = 0; s < 2; s++) {
            vbg_camera_homography(mine->there[s], &cam[i], near[s]);
            vbg_camera_homography(mine->back[s], near[s], &cam[i]);
        }
        int k = 0;
        while (k < poses && !same_pose(&p[k], mine))
            k++;
        index[i] = k;
        poses += k == poses;
    }
    return poses;
}

vbg_status vbg_caa_level_new(vbg_caa_level *out, const vbg_camera *cam, int views,
                             int picture_w, int picture_h, int w, int h, vbg_err *err)
{
    vbg_caa_level l = { .views = views, .h = h, .w = w };
    const grid g = {
        w, h, picture_w, picture_h, (double)picture_w / w, (double)picture_h / h
    };
    vbg_status st = VBG_ENOMEM;

    VBG_CHECK(views >= 2 && w > 0 && h > 0, "rig of %d views, map %dx%d", views, w, h);
    pose *p = calloc((size_t)views + 1, sizeof *p);
    l.pose = calloc((size_t)views, sizeof *l.pose);
    if (p && l.pose)
        st = take_arrays(&l, find_poses(p, l.pose, cam, views), err);
    else
        vbg_fail(err, st, "not enough memory for the camera geometry");
    for (int k = 0; k < l.poses && st == VBG_OK; k++)
        if (!finite_pose(&p[k]))
            st = vbg_fail(err, VBG_EUSAGE, "a camera of the rig is singular");
    size_t spots = 2 * (size_t)h * (size_t)w;
    for (size_t i = 0; i < (size_t)l.poses * spots && st == VBG_OK; i++) {
        int at = (int)(i % spots / 2);
        fill_spot(&l.spot[i], l.offset + i * HALF * 2, &g, &p[i / spots], (int)(i % 2),
                  at % w, at / w);
    }
    free(p);
    if (st != VBG_OK) {
        vbg_caa_level_free(&l);
        return st;
    }
    zero_centres(&l);
    number_rows(&l);
    *out = l;
    return VBG_OK;
}

void vbg_caa_level_free(vbg_caa_level *l)
{
    if (!l)
        return;
    free(l->pose);
    free(l->spot);
    free(l->offset);
    *l = (vbg_caa_level){ 0 };
}

vbg_status vbg_caa_level_feed(vbg_caa_level *l, const float *xy, const uint8_t *mask,
                              vbg_err *err)
{
    const size_t pixels = (size_t)l->h * (size_t)l->w;
    vbg_caa_level old = *l;

    l->spot = NULL;
    l->offset = NULL;
    vbg_status st = take_arrays(l, l->views, err);
    if (st != VBG_OK) {
        *l = old;
        return st;
    }
    for (size_t i = 0; i < (size_t)l->views * pixels * 2; i++) {
        size_t view = i / pixels / 2, at = i / 2 % pixels, side = i % 2;
        l->spot[i] = old.spot[((size_t)old.pose[view] * pixels + at) * 2 + side];
        l->spot[i].mask = 0;
        for (size_t e = 0; e < HALF; e++) {
            size_t from = (view * VBG_CAA_ENTRIES + side * HALF + e) * pixels + at;
            l->spot[i].mask |= (uint32_t)(mask[from] != 0) << e;
            memcpy(l->offset + (i * HALF + e) * 2, xy + from * 2, 2 * sizeof *xy);
        }
    }
    for (int v = 0; v < l->views; v++)
        l->pose[v] = v;
    number_rows(l);
    free(old.spot);
    free(old.offset);
    return VBG_OK;
}

void vbg_caa_level_dump(const vbg_caa_level *l, float *xy, uint8_t *mask)
{
    const size_t pixels = (size_t)l->h * (size_t)l->w;

    for (size_t i = 0; i < (size_t)l->views * pixels * 2; i++) {
        size_t view = i / pixels / 2, at = i / 2 % pixels, side = i % 2;
        size_t from = ((size_t)l->pose[view] * pixels + at) * 2 + side;
        for (size_t e = 0; e < HALF; e++) {
            size_t to = (view * VBG_CAA_ENTRIES + side * HALF + e) * pixels + at;
            mask[to] = l->spot[from].mask >> e & 1;
            memcpy(xy + to * 2, l->offset + (from * HALF + e) * 2, 2 * sizeof *xy);
        }
    }
}

/* ---- the encoding ---- */

void vbg_encoding_bands(float *freq, int c)
{
    const int n = c / 4;
    const double base = n <= 80 ? 2 : pow(5000, 2.5 / n);

    for (int i = 0; i < n; i++)
        freq[i] = (float)pow(base, i);
}

void vbg_encoding(float *y, const float d[2], const float *freq, int n)
{
    for (int axis = 0; axis < 2; axis++)
        for (int i = 0; i < n; i++) {
            float product = d[axis] * freq[i];
            double s, c;
            sincos((double)product, &s, &c);
            y[axis * n + i] = (float)s;
            y[(2 + axis) * n + i] = (float)c;
        }
}
