/* The metrics of tolerances.json, in double. */
#include "tests/golden/golden_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double number(const json_t *check, const char *key, double otherwise)
{
    const json_t *v = json_object_get(check, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

static double difference(const golden_pair *p, size_t i)
{
    if (isnan(p->x[i]) && isnan(p->r[i]))
        return 0;
    double d = fabs(p->x[i] - p->r[i]);
    return isnan(d) ? INFINITY : d;
}

static double max_abs(const golden_pair *p)
{
    double v = 0;

    for (size_t i = 0; i < p->nr; i++)
        v = fmax(v, p->x[i] == p->r[i] ? 0 : difference(p, i));
    return v;
}

static double mean_abs(const golden_pair *p)
{
    double v = 0;

    for (size_t i = 0; i < p->nr; i++)
        v += difference(p, i);
    return p->nr ? v / (double)p->nr : 0;
}

static double max_rel(const golden_pair *p)
{
    double v = 0;

    for (size_t i = 0; i < p->nr; i++) {
        double r = fabs(p->r[i]);
        v = fmax(v, r > 0 ? difference(p, i) / r : fabs(p->x[i]));
    }
    return v;
}

static double rel_l2(const golden_pair *p)
{
    double num = 0, den = 0;

    for (size_t i = 0; i < p->nr; i++) {
        double d = difference(p, i);
        num += d * d;
        den += p->r[i] * p->r[i];
    }
    return sqrt(num) / (den > 0 ? sqrt(den) : 1);
}

static double count_different(const golden_pair *p)
{
    double n = 0;

    for (size_t i = 0; i < p->nr; i++)
        n += difference(p, i) > 0;
    return n;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest value with at least q n values <= it. */
static double quantile(double *v, size_t n, double q)
{
    if (n == 0)
        return 0;
    qsort(v, n, sizeof *v, by_value);
    size_t k = (size_t)ceil(q * (double)n);
    return v[k > 0 ? k - 1 : 0];
}

static double *distances(const golden_pair *p)
{
    double *d = malloc((p->nr / 2 + 1) * sizeof *d);

    VBG_CHECK(d, "out of memory");
    for (size_t i = 0; i < p->nr / 2; i++)
        d[i] = hypot(difference(p, 2 * i), difference(p, 2 * i + 1));
    return d;
}

static double fraction_above(const golden_pair *p)
{
    const char *unit = json_string_value(json_object_get(p->check, "unit"));
    size_t group = unit && strcmp(unit, "pixel") == 0 ? p->last : 1,
           units = p->nr / group;
    double threshold = number(p->check, "threshold", 0), n = 0;

    for (size_t i = 0; i < units; i++) {
        bool above = false;
        for (size_t k = 0; k < group; k++)
            above |= difference(p, i * group + k) > threshold;
        n += above;
    }
    return units ? n / (double)units : 0;
}

static void transform(const double *m, size_t count, double px, double py, double *q)
{
    double w = count >= 9 ? m[6] * px + m[7] * py + m[8] : 1;

    q[0] = (m[0] * px + m[1] * py + m[2]) / w;
    q[1] = (m[3] * px + m[4] * py + m[5]) / w;
}

static double corner_px(const golden_pair *p)
{
    static const double corner[4][2] = { { 0, 0 }, { 639, 0 }, { 0, 479 }, { 639, 479 } };
    double v = 0, a[2], b[2];

    for (int i = 0; i < 4; i++) {
        transform(p->x, p->nx, corner[i][0], corner[i][1], a);
        transform(p->r, p->nr, corner[i][0], corner[i][1], b);
        double d = fmax(fabs(a[0] - b[0]), fabs(a[1] - b[1]));
        v = fmax(v, isnan(d) ? INFINITY : d);
    }
    return v;
}

static double point_set(const golden_pair *p, bool *counts_ok, double limit)
{
    double radius = number(p->check, "radius", 0);
    size_t nx = p->nx / 2, nr = p->nr / 2, found = 0;

    for (size_t i = 0; i < nr; i++)
        for (size_t j = 0; j < nx; j++)
            if (hypot(p->x[2 * j] - p->r[2 * i], p->x[2 * j + 1] - p->r[2 * i + 1]) <=
                radius) {
                found++;
                break;
            }
    *counts_ok = fabs((double)nx - (double)nr) <= (1 - limit) * (double)nr + 1e-9;
    return nr ? (double)found / (double)nr : 1;
}

static bool same_partition(const golden_pair *p)
{
    enum { LABELS = 65536 };
    static double to[LABELS], from[LABELS];

    for (size_t i = 0; i < LABELS; i++)
        to[i] = from[i] = -1;
    for (size_t i = 0; i < p->nr; i++) {
        size_t a = (size_t)p->x[i], b = (size_t)p->r[i];
        if (a >= LABELS || b >= LABELS || (a == 0) != (b == 0))
            return false;
        if (to[a] < 0 && from[b] < 0) {
            to[a] = (double)b;
            from[b] = (double)a;
        }
        if (to[a] != (double)b || from[b] != (double)a)
            return false;
    }
    return true;
}

static bool same_rows(const golden_pair *p)
{
    size_t rows = p->nr / p->last;
    char *used = calloc(rows + 1, 1);
    bool same = p->nx == p->nr;

    for (size_t i = 0; i < rows && same; i++) {
        bool found = false;
        for (size_t j = 0; j < rows && !found; j++)
            if (!used[j] && memcmp(p->r + i * p->last, p->x + j * p->last,
                                   p->last * sizeof(double)) == 0)
                used[j] = found = true;
        same = found;
    }
    free(used);
    return same;
}

/* Metrics on pairs of points and on whole sets. */
static bool set_metric(const char *m, const golden_pair *p, double *error, double *limit,
                       bool *ok)
{
    double *d;

    if (strcmp(m, "endpoint_px") == 0) {
        d = distances(p);
        *error = quantile(d, p->nr / 2, number(p->check, "q", 0.5));
        free(d);
    } else if (strcmp(m, "endpoint_fraction") == 0) {
        double n = 0, threshold = number(p->check, "threshold", 0);
        d = distances(p);
        for (size_t i = 0; i < p->nr / 2; i++)
            n += d[i] > threshold;
        *error = p->nr ? n / ((double)p->nr / 2) : 0;
        free(d);
    } else if (strcmp(m, "corner_px") == 0) {
        *error = corner_px(p);
    } else if (strcmp(m, "same_partition") == 0) {
        *error = same_partition(p) ? 0 : 1;
    } else if (strcmp(m, "same_rows") == 0) {
        *error = same_rows(p) ? 0 : 1;
    } else if (strcmp(m, "point_set") == 0) {
        bool counts;
        double v = point_set(p, &counts, *limit);
        *ok = v >= *limit && counts;
        *error = 1 - v;
        *limit = 1 - *limit;
        return true;
    } else {
        return false;
    }
    *ok = *error <= *limit;
    return true;
}

/* Of an even number of values the mean of the two in the middle. */
static double median_abs(const golden_pair *p)
{
    double *d = malloc((p->nr + 1) * sizeof *d);

    VBG_CHECK(d, "out of memory");
    for (size_t i = 0; i < p->nr; i++)
        d[i] = difference(p, i);
    qsort(d, p->nr, sizeof *d, by_value);
    double v = p->nr ? 0.5 * (d[(p->nr - 1) / 2] + d[p->nr / 2]) : 0;
    free(d);
    return v;
}

bool golden_metric(const golden_pair *p, double *error, double *limit, bool *ok)
{
    const char *m = json_string_value(json_object_get(p->check, "metric"));
    double *d;

    *limit = number(p->check, "limit", 0);
    if (set_metric(m, p, error, limit, ok))
        return true;
    if (strcmp(m, "equal") == 0 || strcmp(m, "mismatch_px") == 0) {
        *error = count_different(p);
    } else if (strcmp(m, "max_abs") == 0) {
        *error = max_abs(p);
    } else if (strcmp(m, "mean_abs") == 0) {
        *error = mean_abs(p);
    } else if (strcmp(m, "max_rel") == 0) {
        *error = max_rel(p);
    } else if (strcmp(m, "rel_l2") == 0 || strcmp(m, "report") == 0) {
        *error = rel_l2(p);
    } else if (strcmp(m, "fraction_above") == 0) {
        *error = fraction_above(p);
    } else if (strcmp(m, "accept_fraction") == 0) {
        *error = p->nr ? count_different(p) / (double)p->nr : 0;
        *limit = 1 - *limit;
    } else if (strcmp(m, "png_levels") == 0) {
        *error = max_abs(p);
        *ok = *error <= *limit &&
              count_different(p) / (double)p->nr <= number(p->check, "fraction", 0);
        return true;
    } else if (strcmp(m, "median_max_abs") == 0) {
        *error = median_abs(p);
    } else if (strcmp(m, "quantile_abs") == 0) {
        d = malloc((p->nr + 1) * sizeof *d);
        VBG_CHECK(d, "out of memory");
        for (size_t i = 0; i < p->nr; i++)
            d[i] = difference(p, i);
        *error = quantile(d, p->nr, number(p->check, "q", 0.5));
        free(d);
    } else {
        return false;
    }
    *ok = strcmp(m, "report") == 0 || *error <= *limit + 1e-15;
    return true;
}
