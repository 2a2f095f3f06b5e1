/* L-BFGS with a strong Wolfe search, so that every iterate is torch.optim.LBFGS's.
 * Source: Nocedal and Wright 2006, algorithms 7.4, 7.5, 3.5 and 3.6; the order of the
 * stopping rules and the safeguards of the search are torch.optim's. */
#include "engine/optim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A point of the search line: step length, value, slope, gradient. */
typedef struct point {
    double t, f, slope;
    double *g;
} point;

struct vbg_lbfgs {
    size_t n;
    vbg_lbfgs_opt opt;
    int pairs;
    long iterations;
    double **y, **s, *rho, *alpha; /* y, s: history vectors, oldest first */
    double *d, *g, *previous;      /* direction, gradient, gradient before */
    double *x0, *gline[4];         /* of the search */
    double t, diagonal;
};

static bool make_vectors(vbg_lbfgs *l)
{
    size_t h = (size_t)l->opt.history, bytes = (l->n + 1) * sizeof(double);
    double **own[] = { &l->d,        &l->g,        &l->previous, &l->x0,
                       &l->gline[0], &l->gline[1], &l->gline[2], &l->gline[3] };
    bool ok = true;

    l->y = calloc(h + 1, sizeof(double *));
    l->s = calloc(h + 1, sizeof(double *));
    l->rho = calloc(h + 1, sizeof(double));
    l->alpha = calloc(h + 1, sizeof(double));
    if (!l->y || !l->s || !l->rho || !l->alpha)
        return false;
    for (size_t i = 0; i < h; i++) {
        l->y[i] = malloc(bytes);
        l->s[i] = malloc(bytes);
        ok = ok && l->y[i] && l->s[i];
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        ok = (*own[i] = malloc(bytes)) && ok;
    return ok;
}

vbg_status vbg_lbfgs_new(vbg_lbfgs **out, size_t n, const vbg_lbfgs_opt *opt,
                         vbg_err *err)
{
    vbg_lbfgs *l = calloc(1, sizeof *l);

    if (l) {
        l->n = n;
        l->opt = *opt;
        l->diagonal = 1;
    }
    if (!l || !make_vectors(l)) {
        vbg_lbfgs_free(l);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for L-BFGS over %zu values",
                        n);
    }
    *out = l;
    return VBG_OK;
}

void vbg_lbfgs_free(vbg_lbfgs *l)
{
    if (!l)
        return;
    for (int i = 0; i < l->opt.history; i++) {
        if (l->y)
            free(l->y[i]);
        if (l->s)
            free(l->s[i]);
    }
    for (int i = 0; i < 4; i++)
        free(l->gline[i]);
    free(l->y);
    free(l->s);
    free(l->rho);
    free(l->alpha);
    free(l->d);
    free(l->g);
    free(l->previous);
    free(l->x0);
    free(l);
}

static double dot(const double *a, const double *b, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

static double largest(const double *a, size_t n)
{
    double m = 0;

    for (size_t i = 0; i < n; i++)
        m = fmax(m, fabs(a[i]));
    return m;
}

static double sum_abs(const double *a, size_t n)
{
    double s = 0;

    for (size_t i = 0; i < n; i++)
        s += fabs(a[i]);
    return s;
}

/* y += f x */
static void add_scaled(double *y, double f, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += f * x[i];
}

/* ---- direction ---- */

/* Takes in the pair of the last step: the oldest goes when the history is full. */
static void remember(vbg_lbfgs *l)
{
    int last = l->opt.history - 1;
    bool full = l->pairs == l->opt.history;
    double *y = full ? l->y[0] : l->y[l->pairs], *s = full ? l->s[0] : l->s[l->pairs];
    double *step = l->gline[0], *change = l->gline[1];

    for (size_t i = 0; i < l->n; i++) {
        change[i] = l->g[i] - l->previous[i];
        step[i] = l->d[i] * l->t;
    }
    double ys = dot(change, step, l->n);
    if (ys <= 1e-10 || l->opt.history == 0)
        return;
    memcpy(y, change, l->n * sizeof *y);
    memcpy(s, step, l->n * sizeof *s);
    if (full) {
        memmove(l->y, l->y + 1, (size_t)last * sizeof *l->y);
        memmove(l->s, l->s + 1, (size_t)last * sizeof *l->s);
        memmove(l->rho, l->rho + 1, (size_t)last * sizeof *l->rho);
        l->y[last] = y;
        l->s[last] = s;
        l->pairs--;
    }
    l->rho[l->pairs++] = 1 / ys;
    l->diagonal = ys / dot(y, y, l->n);
}

/* Two loops over the history: d = -H g. */
static void direction(vbg_lbfgs *l)
{
    for (size_t i = 0; i < l->n; i++)
        l->d[i] = -l->g[i];
    for (int k = l->pairs - 1; k >= 0; k--) {
        l->alpha[k] = dot(l->s[k], l->d, l->n) * l->rho[k];
        add_scaled(l->d, -l->alpha[k], l->y[k], l->n);
    }
    for (size_t i = 0; i < l->n; i++)
        l->d[i] *= l->diagonal;
    for (int k = 0; k < l->pairs; k++) {
        double beta = dot(l->y[k], l->d, l->n) * l->rho[k];
        add_scaled(l->d, l->alpha[k] - beta, l->s[k], l->n);
    }
}

/* ---- search ---- */

/* Minimum of the cubic through two points with slopes, inside [low, high]. */
static double cubic(const point *a, const point *b, double low, double high)
{
    double d1 = a->slope + b->slope - 3 * (a->f - b->f) / (a->t - b->t);
    double square = d1 * d1 - a->slope * b->slope, at;

    if (!(square >= 0))
        return (low + high) / 2;
    double d2 = sqrt(square);
    if (a->t <= b->t)
        at = b->t -
             (b->t - a->t) * ((b->slope + d2 - d1) / (b->slope - a->slope + 2 * d2));
    else
        at = a->t -
             (a->t - b->t) * ((a->slope + d2 - d1) / (a->slope - b->slope + 2 * d2));
    return fmin(fmax(at, low), high);
}

typedef struct search {
    vbg_lbfgs *l;
    double *x;
    vbg_objective *fn;
    void *arg;
    double f0, slope0;
    int evaluations, rounds;
    point low, high; /* the bracket */
    bool done;
} search;

enum { MAX_ROUNDS = 25 };
static const double sufficient = 1e-4, curvature = 0.9, least_change = 1e-9;

/* The point at step length t, its gradient in g. */
static point evaluate(search *q, double t, double *g)
{
    vbg_lbfgs *l = q->l;
    point p = { .t = t, .g = g };

    for (size_t i = 0; i < l->n; i++)
        q->x[i] = l->x0[i] + t * l->d[i];
    p.f = q->fn(q->arg, q->x, g);
    p.slope = dot(g, l->d, l->n);
    q->evaluations++;
    return p;
}

static bool too_high(const search *q, const point *p)
{
    return p->f > q->f0 + sufficient * p->t * q->slope0;
}

static bool flat_enough(const search *q, const point *p)
{
    return fabs(p->slope) <= -curvature * q->slope0;
}

/* Goes out until a minimum is bracketed or a point is good: low and high are then in the
 * order of their step lengths.  Vectors: previous in gline[0], newest in 1 or 2. */
static void bracket(search *q, double t)
{
    vbg_lbfgs *l = q->l;
    point before = { 0, q->f0, q->slope0, l->gline[0] };

    memcpy(before.g, l->g, l->n * sizeof(double));
    point now = evaluate(q, t, l->gline[1]);
    double *spare = l->gline[2];
    while (q->rounds < MAX_ROUNDS) {
        bool bad = too_high(q, &now) || (q->rounds > 1 && now.f >= before.f);
        q->low = before;
        q->high = now;
        if (bad)
            return;
        if (flat_enough(q, &now)) {
            q->low = now;
            q->done = true;
            return;
        }
        if (now.slope >= 0)
            return;
        double next = cubic(&before, &now, now.t + 0.01 * (now.t - before.t), 10 * now.t);
        double *old = before.g;
        before = now;
        now = evaluate(q, next, spare);
        spare = old;
        q->rounds++;
    }
    memcpy(spare, l->g, l->n * sizeof(double));
    q->low = (point){ 0, q->f0, q->slope0, spare };
    q->high = now;
}

/* A trial inside the bracket, kept away from its ends. */
static double trial(const search *q, const point *a, const point *b, bool *slow)
{
    double low = fmin(a->t, b->t), high = fmax(a->t, b->t), t = cubic(a, b, low, high);
    double margin = 0.1 * (high - low);

    (void)q;
    if (fmin(high - t, t - low) >= margin) {
        *slow = false;
        return t;
    }
    if (!*slow && t < high && t > low) {
        *slow = true;
        return t;
    }
    *slow = false;
    return fabs(t - high) < fabs(t - low) ? high - margin : low + margin;
}

/* Narrows the bracket; the result is its lower end. */
static void zoom(search *q)
{
    vbg_lbfgs *l = q->l;
    point b[2] = { q->low, q->high };
    int low = b[0].f <= b[1].f ? 0 : 1;
    double reach = largest(l->d, l->n);
    bool slow = false;
    double *spare = NULL;

    for (int i = 0; i < 4; i++)
        if (l->gline[i] != b[0].g && l->gline[i] != b[1].g)
            spare = l->gline[i];
    while (!q->done && q->rounds < MAX_ROUNDS) {
        if (fabs(b[1].t - b[0].t) * reach < least_change)
            break;
        point p = evaluate(q, trial(q, &b[0], &b[1], &slow), spare);
        point *worse = &b[1 - low], *better = &b[low];
        q->rounds++;
        if (too_high(q, &p) || p.f >= better->f) {
            spare = worse->g;
            *worse = p;
            low = b[0].f <= b[1].f ? 0 : 1;
            continue;
        }
        if (flat_enough(q, &p)) {
            q->done = true;
        } else if (p.slope * (worse->t - better->t) >= 0) {
            double *g = worse->g;
            *worse = *better;
            better->g = g; /* overwritten below */
        }
        spare = better->g;
        *better = p;
    }
    q->low = b[low];
}

/* Returns the step length; value and gradient of its point are taken over. */
static double search_line(vbg_lbfgs *l, search *q, double t, double *f)
{
    memcpy(l->x0, q->x, l->n * sizeof(double));
    bracket(q, t);
    if (!q->done)
        zoom(q);
    memcpy(l->g, q->low.g, l->n * sizeof(double));
    for (size_t i = 0; i < l->n; i++)
        q->x[i] = l->x0[i] + q->low.t * l->d[i];
    *f = q->low.f;
    return q->low.t;
}

/* ---- iterations ---- */

/* One step along the new direction.  False: the direction does not go down. */
static bool iterate(vbg_lbfgs *l, search *q, double *f, bool last)
{
    double first = sum_abs(l->g, l->n);

    if (l->iterations++ > 0)
        remember(l);
    direction(l);
    memcpy(l->previous, l->g, l->n * sizeof(double));
    l->t = l->iterations == 1 ? fmin(1, 1 / first) * l->opt.lr : l->opt.lr;
    q->f0 = *f;
    q->slope0 = dot(l->g, l->d, l->n);
    q->rounds = 0;
    q->done = false;
    if (q->slope0 > -l->opt.tolerance_change)
        return false;
    if (l->opt.strong_wolfe) {
        l->t = search_line(l, q, l->t, f);
        return true;
    }
    add_scaled(q->x, l->t, l->d, l->n);
    if (!last) {
        *f = q->fn(q->arg, q->x, l->g);
        q->evaluations++;
    }
    return true;
}

double vbg_lbfgs_run(vbg_lbfgs *l, double *x, int iterations, vbg_objective *fn,
                     void *arg, bool *done)
{
    search q = { .l = l, .x = x, .fn = fn, .arg = arg, .evaluations = 1 };
    int most = l->opt.max_eval > 0 ? l->opt.max_eval : iterations * 5 / 4;
    double first = fn(arg, x, l->g), f = first;
    bool end = largest(l->g, l->n) <= l->opt.tolerance_grad;

    for (int i = 0; i < iterations && !end; i++) {
        double before = f;
        bool last = i == iterations - 1;
        if (!iterate(l, &q, &f, last)) {
            end = true;
            break;
        }
        if (last || q.evaluations >= most)
            break;
        end = largest(l->g, l->n) <= l->opt.tolerance_grad ||
              largest(l->d, l->n) * fabs(l->t) <= l->opt.tolerance_change ||
              fabs(f - before) < l->opt.tolerance_change;
    }
    if (done)
        *done = end;
    return first;
}
