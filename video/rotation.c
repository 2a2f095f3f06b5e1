/* Robust rotation of a camera with known focal length from points at infinity. */
#include <math.h>
#include <string.h>

#include "video/motion.h"
#include "video/panorama.h"

void vbg_lens_ray(double ray[3], const vbg_lens *lens, const double r[9], double x,
                  double y)
{
    const double c[3] = { (x - lens->cx) / lens->f, (y - lens->cy) / lens->f, 1.0 };

    for (int i = 0; i < 3; i++)
        ray[i] = r[i * 3] * c[0] + r[i * 3 + 1] * c[1] + r[i * 3 + 2] * c[2];
}

/* c = r^T ray */
static void to_camera(double c[3], const double r[9], const double ray[3])
{
    for (int i = 0; i < 3; i++)
        c[i] = r[i] * ray[0] + r[3 + i] * ray[1] + r[6 + i] * ray[2];
}

bool vbg_lens_project(double xy[2], const vbg_lens *lens, const double r[9],
                      const double ray[3])
{
    double c[3];

    to_camera(c, r, ray);
    if (!(c[2] > 1e-9))
        return false;
    xy[0] = c[0] / c[2] * lens->f + lens->cx;
    xy[1] = c[1] / c[2] * lens->f + lens->cy;
    return true;
}

static double error2(const vbg_lens *lens, const double r[9], const vbg_sighting *s)
{
    double xy[2];

    if (!vbg_lens_project(xy, lens, r, s->ray))
        return 1e30;
    return (xy[0] - s->x) * (xy[0] - s->x) + (xy[1] - s->y) * (xy[1] - s->y);
}

/* Sum of squares, each at most limit2; *inliers counts those below. */
static double score(const vbg_lens *lens, const double r[9], const vbg_sighting *s, int n,
                    double limit2, int *inliers)
{
    double sum = 0;

    *inliers = 0;
    for (int i = 0; i < n; i++) {
        const double e = error2(lens, r, &s[i]);
        *inliers += e <= limit2;
        sum += fmin(e, limit2);
    }
    return sum;
}

/* Hypotheses after which one of only inliers has been drawn but for 1 in 10^9. */
static int enough(int rounds, int inliers, int n)
{
    const double good = (double)inliers / n, miss = 1.0 - good * good;

    if (miss < 1e-9)
        return 0;
    return miss < 1.0 ? (int)fmin(rounds, ceil(log(1e-9) / log(miss))) : rounds;
}

static bool normalise(double v[3])
{
    const double n = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);

    if (!(n > 1e-12))
        return false;
    for (int i = 0; i < 3; i++)
        v[i] /= n;
    return true;
}

static void cross(double o[3], const double a[3], const double b[3])
{
    o[0] = a[1] * b[2] - a[2] * b[1];
    o[1] = a[2] * b[0] - a[0] * b[2];
    o[2] = a[0] * b[1] - a[1] * b[0];
}

/* Orthonormal frame of two directions: rows a+b, a-b made orthogonal, and their cross
 * product; the sum treats both alike. */
static bool frame(double m[9], const double a[3], const double b[3])
{
    double x[3] = { a[0], a[1], a[2] }, y[3] = { b[0], b[1], b[2] };

    if (!normalise(x) || !normalise(y))
        return false;
    for (int i = 0; i < 3; i++) {
        m[i] = x[i] + y[i];
        m[3 + i] = x[i] - y[i];
    }
    if (!normalise(m) || !normalise(m + 3))
        return false;
    cross(m + 6, m, m + 3);
    return true;
}

/* The rotation that two sightings determine (their angle need not agree exactly). */
static bool from_two(double r[9], const vbg_lens *lens, const vbg_sighting *a,
                     const vbg_sighting *b)
{
    static const double unit[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };
    double ca[3], cb[3], world[9], camera[9];

    vbg_lens_ray(ca, lens, unit, a->x, a->y);
    vbg_lens_ray(cb, lens, unit, b->x, b->y);
    if (!frame(world, a->ray, b->ray) || !frame(camera, ca, cb))
        return false;
    vbg_rotation_multiply(r, world, camera, true);
    return true;
}

/* r = r exp(w), by Rodrigues. */
static void turn(double r[9], const double w[3])
{
    const double angle = sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
    const double s = angle > 1e-12 ? sin(angle) / angle : 1.0;
    const double c = angle > 1e-12 ? (1.0 - cos(angle)) / (angle * angle) : 0.5;
    double e[9], out[9];

    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            e[i * 3 + k] = c * w[i] * w[k] + (i == k ? cos(angle) : 0.0);
    e[1] -= s * w[2];
    e[2] += s * w[1];
    e[3] += s * w[2];
    e[5] -= s * w[0];
    e[6] -= s * w[1];
    e[7] += s * w[0];
    vbg_rotation_multiply(out, r, e, false);
    /* orthonormal again: rounding would grow over hours of frames */
    normalise(out);
    cross(out + 6, out, out + 3);
    normalise(out + 6);
    cross(out + 3, out + 6, out);
    memcpy(r, out, sizeof out);
}

/* One Gauss-Newton step with Tukey weights; returns the size of the step in radians,
 * negative when the sightings do not determine it. */
static double refine(double r[9], const vbg_lens *lens, const vbg_sighting *s, int n,
                     double limit2)
{
    double a[6] = { 0 }, b[3] = { 0 }; /* a: xx xy xz yy yz zz */

    for (int i = 0; i < n; i++) {
        double c[3];
        to_camera(c, r, s[i].ray);
        if (!(c[2] > 1e-9))
            continue;
        const double x = c[0] / c[2], y = c[1] / c[2];
        const double ex = s[i].x - lens->cx - lens->f * x;
        const double ey = s[i].y - lens->cy - lens->f * y;
        const double part = 1.0 - (ex * ex + ey * ey) / limit2;
        if (part <= 0)
            continue;
        const double w = part * part;
        /* turning the camera by w moves the ray by -w x c */
        const double jx[3] = { lens->f * x * y, -lens->f * (1.0 + x * x), lens->f * y };
        const double jy[3] = { lens->f * (1.0 + y * y), -lens->f * x * y, -lens->f * x };
        for (int k = 0, at = 0; k < 3; k++) {
            for (int l = k; l < 3; l++)
                a[at++] += w * (jx[k] * jx[l] + jy[k] * jy[l]);
            b[k] += w * (jx[k] * ex + jy[k] * ey);
        }
    }
    const double c0 = a[3] * a[5] - a[4] * a[4], c1 = a[2] * a[4] - a[1] * a[5];
    const double c2 = a[1] * a[4] - a[2] * a[3];
    const double det = a[0] * c0 + a[1] * c1 + a[2] * c2;
    if (!(fabs(det) > 1e-9))
        return -1.0;
    const double w[3] = { (c0 * b[0] + c1 * b[1] + c2 * b[2]) / det,
                          (c1 * b[0] + (a[0] * a[5] - a[2] * a[2]) * b[1] +
                           (a[1] * a[2] - a[0] * a[4]) * b[2]) /
                              det,
                          (c2 * b[0] + (a[1] * a[2] - a[0] * a[4]) * b[1] +
                           (a[0] * a[3] - a[1] * a[1]) * b[2]) /
                              det };
    turn(r, w);
    return sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2]);
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int vbg_rotation_fit(double r[9], const vbg_lens *lens, const vbg_sighting *s, int n,
                     double threshold, int rounds, uint8_t *inlier)
{
    const double limit2 = threshold * threshold;
    double best[9], least;
    uint64_t seed = 42;
    int count = 0, agree;

    memcpy(best, r, sizeof best);
    least = score(lens, r, s, n, limit2, &agree);
    for (int i = 0; i < rounds && n >= 2; i++) {
        double g[9];
        const int a = (int)(next_random(&seed) % (uint64_t)n);
        const int b = (int)(next_random(&seed) % (uint64_t)n);
        if (a == b || hypot(s[a].x - s[b].x, s[a].y - s[b].y) < 0.05 * lens->f ||
            !from_two(g, lens, &s[a], &s[b]))
            continue;
        const double value = score(lens, g, s, n, limit2, &agree);
        if (value < least) {
            least = value;
            memcpy(best, g, sizeof g);
            rounds = enough(rounds, agree, n);
        }
    }
    for (int i = 0; i < 15; i++) {
        const double step = refine(best, lens, s, n, limit2);
        if (step < 1e-9)
            break;
    }
    for (int i = 0; i < n; i++) {
        inlier[i] = error2(lens, best, &s[i]) <= limit2;
        count += inlier[i];
    }
    if (count < 3)
        return 0;
    memcpy(r, best, sizeof best);
    return count;
}
