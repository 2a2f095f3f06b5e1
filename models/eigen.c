/* Symmetric eigenvalue problem in double: A = Q T Q^T, T tridiagonal, then implicit
 * QL on T.  Q is kept transposed, so that every inner loop runs along a row. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/metrics.h"

static double dot(const double *x, const double *y, size_t n)
{
    double s[4] = { 0 };
    size_t i = 0;

    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            s[k] += x[i + (size_t)k] * y[i + (size_t)k];
    for (; i < n; i++)
        s[0] += x[i] * y[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

/* y -= f x */
static void subtract(double *y, double f, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] -= f * x[i];
}

/* Turns x (n values) into the reflection I - beta v v^T that maps it to (alpha, 0..):
 * v replaces x, beta is returned (0: nothing to do). */
static double reflection(double *x, size_t n, double *alpha)
{
    double below = dot(x + 1, x + 1, n - 1);

    *alpha = x[0];
    if (below == 0)
        return 0;
    double norm = sqrt(x[0] * x[0] + below);
    *alpha = x[0] > 0 ? -norm : norm;
    x[0] -= *alpha;
    return 2 / (x[0] * x[0] + below);
}

/* a -> diagonal d [n], off-diagonal e [n-1]; row k of a keeps v_k behind its
 * diagonal, beta[k] its factor.  p: n values of scratch. */
static void tridiagonalise(double *a, double *d, double *e, double *beta, double *p,
                           size_t n)
{
    for (size_t k = 0; k + 1 < n; k++) {
        double *v = a + k * n + k + 1;
        size_t m = n - k - 1;
        d[k] = a[k * n + k];
        beta[k] = reflection(v, m, &e[k]);
        if (beta[k] == 0)
            continue;
        for (size_t i = 0; i < m; i++)
            p[i] = beta[k] * dot(a + (k + 1 + i) * n + k + 1, v, m);
        subtract(p, beta[k] / 2 * dot(p, v, m), v, m);
        for (size_t i = 0; i < m; i++) {
            double *row = a + (k + 1 + i) * n + k + 1;
            subtract(row, v[i], p, m);
            subtract(row, p[i], v, m);
        }
    }
    d[n - 1] = a[n * n - 1];
}

/* q = Q^T from the reflections left in a. */
static void accumulate(double *q, const double *a, const double *beta, size_t n)
{
    memset(q, 0, n * n * sizeof *q);
    for (size_t i = 0; i < n; i++)
        q[i * n + i] = 1;
    for (size_t k = n - 1; k-- > 0;) {
        const double *v = a + k * n + k + 1;
        size_t m = n - k - 1;
        for (size_t r = k + 1; beta[k] != 0 && r < n; r++) {
            double *row = q + r * n + k + 1;
            subtract(row, beta[k] * dot(row, v, m), v, m);
        }
    }
}

static void rotate(double *x, double *y, double c, double s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double f = y[i];
        y[i] = s * x[i] + c * f;
        x[i] = c * x[i] - s * f;
    }
}

/* One implicit QL sweep on rows l..m with Wilkinson's shift. */
static void sweep(double *d, double *e, double *q, size_t n, size_t l, size_t m)
{
    double g = (d[l + 1] - d[l]) / (2 * e[l]);
    double s = 1, c = 1, p = 0;

    g = d[m] - d[l] + e[l] / (g + copysign(hypot(g, 1), g));
    for (size_t i = m; i-- > l;) {
        double f = s * e[i], b = c * e[i], r = hypot(f, g);
        e[i + 1] = r;
        if (r == 0) { /* split: the rest is done by the next sweep */
            d[i + 1] -= p;
            e[m] = 0;
            return;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        if (q)
            rotate(q + i * n, q + (i + 1) * n, c, s, n);
    }
    d[l] -= p;
    e[l] = g;
    e[m] = 0;
}

/* d, e [n] (e[n-1] unused) -> eigenvalues in d; false: no convergence. */
static bool diagonalise(double *d, double *e, double *q, size_t n)
{
    double norm = 0;

    e[n - 1] = 0;
    for (size_t i = 0; i < n; i++)
        norm = fmax(norm, fabs(d[i]) + fabs(e[i]));
    for (size_t l = 0; l < n; l++) {
        for (int tries = 0;; tries++) {
            size_t m = l;
            while (m + 1 < n &&
                   !(fabs(e[m]) <= DBL_EPSILON * (fabs(d[m]) + fabs(d[m + 1])) +
                                       DBL_EPSILON / 64 * norm))
                m++;
            if (m == l)
                break;
            if (tries == 100)
                return false;
            sweep(d, e, q, n, l, m);
        }
    }
    for (size_t i = 0; i < n; i++)
        if (!isfinite(d[i]))
            return false;
    return true;
}

/* Ascending, by selection: n swaps of rows at most. */
static void sort_values(double *d, double *q, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t best = i;
        for (size_t k = i + 1; k < n; k++)
            if (d[k] < d[best])
                best = k;
        if (best == i)
            continue;
        double t = d[i];
        d[i] = d[best];
        d[best] = t;
        for (size_t k = 0; q && k < n; k++) {
            t = q[i * n + k];
            q[i * n + k] = q[best * n + k];
            q[best * n + k] = t;
        }
    }
}

vbg_status vbg_symmetric_eigen(double *values, double *vectors, double *a, size_t n,
                               vbg_err *err)
{
    if (n == 0)
        return VBG_OK;
    double *e = calloc(3 * n, sizeof *e);
    if (!e)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for %zu eigenvalues", n);
    tridiagonalise(a, values, e, e + n, e + 2 * n, n);
    if (vectors)
        accumulate(vectors, a, e + n, n);
    bool ok = diagonalise(values, e, vectors, n);
    if (ok)
        sort_values(values, vectors, n);
    free(e);
    return ok ? VBG_OK : vbg_fail(err, VBG_EFORMAT, "eigenvalues: values not finite");
}
