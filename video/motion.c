/* Planar motion models.  Source of the normalisation: Hartley 1997. */
#include "video/motion.h"

#include <math.h>
#include <string.h>

static const double identity[9] = { 1, 0, 0, 0, 1, 0, 0, 0, 1 };

/* Solves the n x n system a x = b (row-major, destroyed) with partial pivoting. */
static bool solve(double *a, double *b, int n)
{
    for (int i = 0; i < n; i++) {
        int best = i;
        for (int r = i + 1; r < n; r++)
            if (fabs(a[r * n + i]) > fabs(a[best * n + i]))
                best = r;
        if (!(fabs(a[best * n + i]) > 1e-12))
            return false;
        for (int k = 0; best != i && k <= n; k++) {
            double *x = k < n ? &a[i * n + k] : &b[i];
            double *y = k < n ? &a[best * n + k] : &b[best];
            const double t = *x;
            *x = *y;
            *y = t;
        }
        for (int r = i + 1; r < n; r++) {
            const double f = a[r * n + i] / a[i * n + i];
            for (int k = i; k < n; k++)
                a[r * n + k] -= f * a[i * n + k];
            b[r] -= f * b[i];
        }
    }
    for (int i = n - 1; i >= 0; i--) {
        for (int k = i + 1; k < n; k++)
            b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    return true;
}

/* Where h sends (x, y); false at infinity. */
static bool apply(double out[2], const double h[9], double x, double y)
{
    const double w = h[6] * x + h[7] * y + h[8];

    if (!(fabs(w) > 1e-12))
        return false;
    out[0] = (h[0] * x + h[1] * y + h[2]) / w;
    out[1] = (h[3] * x + h[4] * y + h[5]) / w;
    return true;
}

/* Squared distance between h p and q. */
static double error2(const double h[9], vbg_point p, vbg_point q)
{
    double o[2];

    if (!apply(o, h, (double)p.x, (double)p.y))
        return 1e30;
    return (o[0] - (double)q.x) * (o[0] - (double)q.x) +
           (o[1] - (double)q.y) * (o[1] - (double)q.y);
}

/* Mean and mean distance from it (at least 1e-6) of the used points. */
static int centre(double m[3], const vbg_point *p, const uint8_t *use, int n)
{
    int count = 0;

    m[0] = m[1] = m[2] = 0;
    for (int i = 0; i < n; i++)
        if (!use || use[i]) {
            m[0] += (double)p[i].x;
            m[1] += (double)p[i].y;
            count++;
        }
    if (count == 0)
        return 0;
    m[0] /= count;
    m[1] /= count;
    for (int i = 0; i < n; i++)
        if (!use || use[i])
            m[2] += hypot((double)p[i].x - m[0], (double)p[i].y - m[1]);
    m[2] = fmax(m[2] / count, 1e-6);
    return count;
}

/* Translation or similarity: with complex numbers q - mq = s (p - mp), so that
 * s = sum conj(p) q / sum |p|^2. */
static bool fit_similarity(double h[9], bool turn, const vbg_point *p, const vbg_point *q,
                           const uint8_t *use, int n)
{
    double mp[3], mq[3], re = 0, im = 0, norm = 0;
    const int count = centre(mp, p, use, n);

    centre(mq, q, use, n);
    if (count < (turn ? 2 : 1))
        return false;
    for (int i = 0; i < n && turn; i++) {
        if (use && !use[i])
            continue;
        const double ax = (double)p[i].x - mp[0], ay = (double)p[i].y - mp[1];
        const double bx = (double)q[i].x - mq[0], by = (double)q[i].y - mq[1];
        re += ax * bx + ay * by;
        im += ax * by - ay * bx;
        norm += ax * ax + ay * ay;
    }
    if (turn && !(norm > 1e-9))
        return false;
    const double a = turn ? re / norm : 1.0, b = turn ? im / norm : 0.0;
    const double out[9] = { a, -b, mq[0] - a * mp[0] + b * mp[1],
                            b, a,  mq[1] - b * mp[0] - a * mp[1],
                            0, 0,  1 };
    memcpy(h, out, sizeof out);
    return true;
}

/* Adds one equation row . x = value to normal equations of 8 unknowns. */
static void add_row(double a[64], double b[8], const double row[8], double value)
{
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 8; k++)
            a[i * 8 + k] += row[i] * row[k];
        b[i] += row[i] * value;
    }
}

/* Gauss-Newton step on the distances in normalised coordinates; h[8] = 1 stays. */
static bool newton(double h[9], const vbg_point *p, const vbg_point *q,
                   const uint8_t *use, int n, const double mp[3], const double mq[3])
{
    double a[64] = { 0 }, b[8] = { 0 };

    for (int i = 0; i < n; i++) {
        if (use && !use[i])
            continue;
        const double x = ((double)p[i].x - mp[0]) / mp[2],
                     y = ((double)p[i].y - mp[1]) / mp[2];
        const double u = ((double)q[i].x - mq[0]) / mq[2],
                     v = ((double)q[i].y - mq[1]) / mq[2];
        const double w = h[6] * x + h[7] * y + h[8];
        double o[2];
        if (!apply(o, h, x, y))
            return false;
        const double r0[8] = {
            x / w, y / w, 1 / w, 0, 0, 0, -x * o[0] / w, -y * o[0] / w
        };
        const double r1[8] = {
            0, 0, 0, x / w, y / w, 1 / w, -x * o[1] / w, -y * o[1] / w
        };
        add_row(a, b, r0, u - o[0]);
        add_row(a, b, r1, v - o[1]);
    }
    if (!solve(a, b, 8))
        return false;
    for (int i = 0; i < 8; i++)
        h[i] += b[i];
    return true;
}

/* h = T(mq)^-1 h T(mp): from normalised to pixel coordinates. */
static void denormalise(double h[9], const double mp[3], const double mq[3])
{
    double t[9];

    for (int r = 0; r < 3; r++) {
        t[r * 3] = h[r * 3] / mp[2];
        t[r * 3 + 1] = h[r * 3 + 1] / mp[2];
        t[r * 3 + 2] = h[r * 3 + 2] - t[r * 3] * mp[0] - t[r * 3 + 1] * mp[1];
    }
    for (int c = 0; c < 3; c++) {
        h[c] = mq[2] * t[c] + mq[0] * t[6 + c];
        h[3 + c] = mq[2] * t[3 + c] + mq[1] * t[6 + c];
        h[6 + c] = t[6 + c];
    }
    for (int i = 0; i < 9 && fabs(t[8]) > 1e-12; i++)
        h[i] /= t[8];
}

static bool fit_homography(double h[9], const vbg_point *p, const vbg_point *q,
                           const uint8_t *use, int n)
{
    double mp[3], mq[3], a[64] = { 0 }, b[8] = { 0 };
    const int count = centre(mp, p, use, n);

    centre(mq, q, use, n);
    if (count < 4)
        return false;
    for (int i = 0; i < n; i++) {
        if (use && !use[i])
            continue;
        const double x = ((double)p[i].x - mp[0]) / mp[2],
                     y = ((double)p[i].y - mp[1]) / mp[2];
        const double u = ((double)q[i].x - mq[0]) / mq[2],
                     v = ((double)q[i].y - mq[1]) / mq[2];
        const double r0[8] = { x, y, 1, 0, 0, 0, -x * u, -y * u };
        const double r1[8] = { 0, 0, 0, x, y, 1, -x * v, -y * v };
        add_row(a, b, r0, u);
        add_row(a, b, r1, v);
    }
    if (!solve(a, b, 8))
        return false;
    memcpy(h, b, sizeof b);
    h[8] = 1;
    for (int i = 0; i < 5 && count > 4; i++)
        if (!newton(h, p, q, use, n, mp, mq))
            return false;
    denormalise(h, mp, mq);
    return true;
}

bool vbg_motion_least_squares(double h[9], vbg_motion_model model, const vbg_point *p,
                              const vbg_point *q, const uint8_t *use, int n)
{
    const bool ok = model == VBG_MOTION_HOMOGRAPHY
                        ? fit_homography(h, p, q, use, n)
                        : fit_similarity(h, model == VBG_MOTION_SIMILARITY, p, q, use, n);

    if (!ok)
        memcpy(h, identity, sizeof identity);
    return ok;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* The k-th smallest (k from 0) of v[n], which is reordered. */
static double nth(double *v, int n, int k)
{
    int lo = 0, hi = n - 1;

    while (lo < hi) {
        const double pivot = v[(lo + hi) / 2];
        int i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                const double t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (k <= j)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            return v[k];
    }
    return v[k];
}

/* How bad h is, smaller is better: truncated squares, or the median square. */
static double score(const double h[9], const vbg_motion_opt *opt, const vbg_point *p,
                    const vbg_point *q, int n, int *inliers)
{
    const double t2 = opt->threshold * opt->threshold;
    double square[VBG_MOTION_MAX], sum = 0;

    *inliers = 0;
    for (int i = 0; i < n; i++) {
        square[i] = error2(h, p[i], q[i]);
        *inliers += square[i] <= t2;
        sum += fmin(square[i], t2);
    }
    return opt->median ? nth(square, n, n / 2) : sum;
}

/* Draws `size` different matches and fits them exactly. */
static bool hypothesis(double h[9], const vbg_motion_opt *opt, const vbg_point *p,
                       const vbg_point *q, int n, uint64_t *seed)
{
    const int size = opt->model == VBG_MOTION_HOMOGRAPHY   ? 4
                     : opt->model == VBG_MOTION_SIMILARITY ? 2
                                                           : 1;
    vbg_point a[4], b[4];
    int index[4];

    for (int i = 0; i < size; i++) {
        bool again = true;
        for (int tries = 0; again && tries < 50; tries++) {
            index[i] = (int)(next_random(seed) % (uint64_t)n);
            again = false;
            for (int k = 0; k < i; k++)
                again = again || index[k] == index[i];
        }
        if (again)
            return false;
        a[i] = p[index[i]];
        b[i] = q[index[i]];
    }
    return vbg_motion_least_squares(h, opt->model, a, b, NULL, size);
}

/* Marks the inliers of h and counts them. */
static int mark(const double h[9], double limit2, const vbg_point *p, const vbg_point *q,
                uint8_t *inlier, int n)
{
    int count = 0;

    for (int i = 0; i < n; i++) {
        inlier[i] = error2(h, p[i], q[i]) <= limit2;
        count += inlier[i];
    }
    return count;
}

int vbg_motion_fit(double h[9], const vbg_motion_opt *opt, const vbg_point *p,
                   const vbg_point *q, uint8_t *inlier, int n)
{
    const int size = opt->model == VBG_MOTION_HOMOGRAPHY   ? 4
                     : opt->model == VBG_MOTION_SIMILARITY ? 2
                                                           : 1;
    uint64_t seed = 42;
    double best = INFINITY;
    int rounds = opt->iterations;

    VBG_CHECK(n <= VBG_MOTION_MAX, "motion: %d matches", n);
    memcpy(h, identity, sizeof identity);
    memset(inlier, 0, (size_t)n);
    for (int i = 0; i < rounds && n >= size; i++) {
        double g[9];
        int found;
        if (!hypothesis(g, opt, p, q, n, &seed))
            continue;
        const double value = score(g, opt, p, q, n, &found);
        if (!(value < best))
            continue;
        best = value;
        memcpy(h, g, sizeof g);
        const double all = opt->median ? 0.5 : pow((double)found / n, size);
        if (all > 1e-9 && all < 1.0)
            rounds = vbg_min_int(
                rounds, (int)fmin(1e6, log(1.0 - opt->confidence) / log(1.0 - all)) + 1);
        else if (all >= 1.0)
            break;
    }
    if (!(best < INFINITY))
        return 0;
    /* Rousseeuw's robust standard deviation, 2.5 of it, when there is no threshold */
    const double sigma = 1.4826 * (1.0 + 5.0 / fmax(n - size, 1)) * sqrt(best);
    const double limit = opt->median ? fmax(2.5 * sigma, 0.01) : opt->threshold;
    int count = mark(h, limit * limit, p, q, inlier, n);
    for (int i = 0; i < 5; i++) {
        double g[9];
        if (!vbg_motion_least_squares(g, opt->model, p, q, inlier, n))
            break;
        memcpy(h, g, sizeof g);
        const int now = mark(h, limit * limit, p, q, inlier, n);
        if (now == count && i > 0)
            break;
        count = now;
    }
    return count;
}
