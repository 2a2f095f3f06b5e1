/* Gradients of an op or of a chain of ops, tried on everything at once:
 *
 *   - the reference kernels in f32 against central differences (the sum of dy*y, which
 *     is differentiated, is added up in double): single elements and one random
 *     direction of each input and parameter
 *   - every instruction set in f32 against the reference
 *   - bf16 contexts against the reference at the same (bf16) values
 *   - the same bytes with 1, 2 and 5 threads
 *
 *     static vbg_tensor *product(vbg_ctx *c, vbg_tensor *const *x, void *arg)
 *     {
 *         return vbg_mul(c, x[0], x[1]);
 *     }
 *     gradient_check(&(gradient_case){ .name = "mul", .build = product,
 *                                      .in = { { 2, 3, 5, 7 }, { 1, 1, 1, 7 } } });
 */
#ifndef VBG_TESTS_GRADIENT_H
#define VBG_TESTS_GRADIENT_H

#include "engine/ops.h"
#include "engine/tape.h"
#include "tests/guard.h"

enum { GRADIENT_INPUTS = 4, GRADIENT_SAMPLES = 40 };

typedef enum gradient_fill {
    GRADIENT_SMOOTH,  /* anything in centre +- spread */
    GRADIENT_STEPS,   /* odd eighths: an eighth away from kinks at 0, 3 and 6 */
    GRADIENT_DISTINCT /* no two closer than a quarter: no ties in a maximum */
} gradient_fill;

typedef struct gradient_input {
    int n, h, w, c;       /* n == 0 ends the list */
    float centre, spread; /* spread 0: 2 */
    gradient_fill fill;
    bool constant; /* its gradient is not wanted */
    bool f32;      /* f32 in bf16 contexts too */
} gradient_input;

typedef struct gradient_case {
    const char *name;
    /* y from the inputs (and the parameters, whose addresses params left in arg) */
    vbg_tensor *(*build)(vbg_ctx *c, vbg_tensor *const *x, void *arg);
    void (*params)(vbg_params *p, void *arg); /* takes them, often; may be NULL */
    void *arg;
    gradient_input in[GRADIENT_INPUTS];
    double step;     /* of the differences, 0: 1/64 */
    double tol;      /* against differences, 0: 1e-3 of |gradient| + its mean size */
    double tol_isa;  /* relative L2 of other instruction sets, 0: 1e-5 */
    double tol_bf16; /* relative L2 of bf16, 0: 2e-2 */
    bool training;   /* batch statistics */
} gradient_case;

typedef struct gradient_run {
    const gradient_case *g;
    vbg_ctx *c;
    vbg_params *params;
    vbg_tape *tape;
    float *x[GRADIENT_INPUTS], *dx[GRADIENT_INPUTS];
    float *y, *dy;
    size_t count;
} gradient_run;

static inline size_t gradient_count(const gradient_input *in)
{
    return (size_t)in->n * (size_t)in->h * (size_t)in->w * (size_t)in->c;
}

/* bf16 values, so that f32 and bf16 contexts start from the same. */
static inline void gradient_fill_input(float *x, const gradient_input *in, uint32_t seed)
{
    size_t count = gradient_count(in), prime = 7919;
    float spread = in->spread != 0 ? in->spread : 2;

    while (count % prime == 0)
        prime += 2;
    for (size_t i = 0; i < count; i++) {
        float v = in->centre + spread * guard_random(&seed);
        if (in->fill == GRADIENT_STEPS)
            v = (floorf(v * 4) + 0.5f) / 4;
        else if (in->fill == GRADIENT_DISTINCT)
            v = 0.25f * ((float)(i * prime % count) - 0.5f * (float)count);
        x[i] = vbg_bf16_to_f32(vbg_f32_to_bf16(v));
    }
}

static inline void gradient_keep_y(gradient_run *r, const vbg_tensor *y)
{
    uint32_t seed = 99;

    r->count = vbg_rows(y) * (size_t)y->c;
    if (!r->y) {
        r->y = calloc(r->count, sizeof *r->y);
        r->dy = calloc(r->count, sizeof *r->dy);
        for (size_t i = 0; i < r->count; i++)
            r->dy[i] = vbg_bf16_to_f32(vbg_f32_to_bf16(guard_random(&seed)));
    }
}

static inline vbg_status gradient_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    gradient_run *r = arg;
    const gradient_case *g = r->g;
    vbg_tensor *x[GRADIENT_INPUTS] = { NULL };

    (void)err;
    vbg_tape_start(r->tape, g->training);
    for (size_t i = 0; i < GRADIENT_INPUTS && g->in[i].n; i++) {
        const gradient_input *in = &g->in[i];
        vbg_tensor *raw = vbg_wrap(c, r->x[i], VBG_F32, in->n, in->h, in->w, in->c);
        x[i] = vbg_cast(c, raw, in->f32 ? VBG_F32 : vbg_ctx_act(c));
        if (!in->constant)
            vbg_require_grad(c, x[i]);
    }
    vbg_tensor *y = g->build(c, x, g->arg);
    gradient_keep_y(r, y);
    vbg_copy_out(c, r->y, VBG_F32, y);
    vbg_tensor *dy = vbg_wrap(c, r->dy, VBG_F32, y->n, y->h, y->w, y->c);
    cr_assert(vbg_needs_grad(c, y), "%s: nothing was recorded", g->name);
    vbg_backward_from(c, y, vbg_cast(c, dy, y->dtype));
    for (size_t i = 0; i < GRADIENT_INPUTS && g->in[i].n; i++) {
        const vbg_tensor *dx = vbg_grad(c, x[i]);
        if (dx)
            vbg_copy_out(c, r->dx[i], VBG_F32, dx);
    }
    vbg_tape_stop(r->tape);
    return VBG_OK;
}

static inline gradient_run gradient_open(const gradient_case *g, vbg_isa isa, vbg_dtype t,
                                         int threads)
{
    gradient_run r = { .g = g };
    vbg_ctx_opt opt = { .threads = threads, .isa = isa, .precision = t };

    cr_assert(vbg_ctx_new(&r.c, &opt, NULL) == VBG_OK);
    cr_assert(vbg_params_new(&r.params, vbg_ctx_act(r.c), NULL) == VBG_OK);
    vbg_params_select(r.params, "m", "*", true);
    vbg_params_declare(r.params, 5);
    if (g->params)
        g->params(r.params, g->arg);
    for (size_t i = 0; i < vbg_params_count(r.params); i++) {
        vbg_param *m = vbg_params_at(r.params, i);
        for (size_t k = 0; k < m->count; k++)
            m->value[k] = vbg_bf16_to_f32(vbg_f32_to_bf16(m->value[k]));
        vbg_param_changed(m);
    }
    for (size_t i = 0; i < GRADIENT_INPUTS && g->in[i].n; i++) {
        r.x[i] = calloc(gradient_count(&g->in[i]), sizeof(float));
        r.dx[i] = calloc(gradient_count(&g->in[i]), sizeof(float));
        gradient_fill_input(r.x[i], &g->in[i], (uint32_t)i + 1);
    }
    cr_assert(vbg_tape_new(&r.tape, r.c, r.params, NULL) == VBG_OK);
    return r;
}

static inline void gradient_step(gradient_run *r)
{
    if (r->g->params) /* arg is shared by all runs: the addresses of this one again */
        r->g->params(r->params, r->g->arg);
    vbg_params_refresh(r->params, r->c);
    vbg_params_zero_grad(r->params, r->c);
    cr_assert(vbg_run(r->c, gradient_job, r, NULL) == VBG_OK);
}

static inline void gradient_close(gradient_run *r)
{
    for (size_t i = 0; i < GRADIENT_INPUTS; i++) {
        free(r->x[i]);
        free(r->dx[i]);
    }
    free(r->y);
    free(r->dy);
    vbg_tape_free(r->tape);
    vbg_params_free(r->params);
    vbg_ctx_free(r->c);
}

/* The inputs and then the parameters that have gradients; false after the last. */
typedef struct gradient_leaf {
    const char *name;
    float *value, *grad;
    size_t count;
    vbg_param *param;
} gradient_leaf;

static inline bool gradient_leaf_at(const gradient_run *r, size_t i, gradient_leaf *l)
{
    static const char *const names[GRADIENT_INPUTS] = { "x0", "x1", "x2", "x3" };
    size_t inputs = 0;

    while (inputs < GRADIENT_INPUTS && r->g->in[inputs].n)
        inputs++;
    if (i < inputs) {
        *l = (gradient_leaf){ names[i], r->x[i], r->dx[i], gradient_count(&r->g->in[i]),
                              NULL };
        return true;
    }
    if (i - inputs >= vbg_params_count(r->params))
        return false;
    vbg_param *m = vbg_params_at(r->params, i - inputs);
    *l = (gradient_leaf){ m->entry.name, m->value, m->grad, m->count, m };
    return true;
}

static inline bool gradient_wanted(const gradient_run *r, size_t i,
                                   const gradient_leaf *l)
{
    return l->param ? l->grad != NULL : !r->g->in[i].constant;
}

static inline double gradient_loss(gradient_run *r)
{
    double sum = 0;

    gradient_step(r);
    for (size_t i = 0; i < r->count; i++)
        sum += (double)r->dy[i] * (double)r->y[i];
    return sum;
}

/* Slope along direction d (NULL: element at alone). */
static inline double gradient_slope(gradient_run *r, const gradient_leaf *l, size_t at,
                                    const float *d, double h)
{
    float *keep = malloc(l->count * sizeof *keep);
    double value[2];

    memcpy(keep, l->value, l->count * sizeof *keep);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < l->count; i++) {
            double step = (d ? (double)d[i] : i == at ? 1 : 0) * (side ? h : -h);
            l->value[i] = (float)((double)keep[i] + step);
        }
        if (l->param)
            vbg_param_changed(l->param);
        value[side] = gradient_loss(r);
    }
    memcpy(l->value, keep, l->count * sizeof *keep);
    if (l->param)
        vbg_param_changed(l->param);
    free(keep);
    return (value[1] - value[0]) / (2 * h);
}

static inline void gradient_differences(const gradient_case *g, gradient_run *r,
                                        gradient_leaf l)
{
    float *grad = malloc(l.count * sizeof *grad), *d = malloc(l.count * sizeof *d);
    double h = g->step > 0 ? g->step : 1.0 / 64, tol = g->tol > 0 ? g->tol : 1e-3;
    double size = 0, along = 0;
    uint32_t seed = 17;

    memcpy(grad, l.grad, l.count * sizeof *grad);
    for (size_t i = 0; i < l.count; i++) {
        d[i] = guard_random(&seed) < 0 ? -1 : 1;
        size += (double)grad[i] * (double)grad[i];
        along += (double)grad[i] * (double)d[i];
    }
    double mean = sqrt(size / (double)l.count);
    size_t stride = (l.count + GRADIENT_SAMPLES - 1) / GRADIENT_SAMPLES;
    for (size_t i = 0; i < l.count; i += stride) {
        double want = gradient_slope(r, &l, i, NULL, h), got = (double)grad[i];
        cr_assert(fabs(got - want) <= tol * (fabs(want) + mean) + 1e-6,
                  "%s: gradient of %s[%zu] is %.7g, differences give %.7g", g->name,
                  l.name, i, got, want);
    }
    double want = gradient_slope(r, &l, 0, d, h);
    cr_assert(fabs(along - want) <= tol * (fabs(want) + sqrt(size)) + 1e-6,
              "%s: %s in a random direction: %.7g, differences give %.7g", g->name,
              l.name, along, want);
    free(grad);
    free(d);
}

/* Relative L2 of r's gradients and result from want's. */
static inline void gradient_compare(const gradient_run *r, const gradient_run *want,
                                    double limit, const char *what, int isa)
{
    gradient_leaf a, b;

    for (size_t i = 0; gradient_leaf_at(r, i, &a) && gradient_leaf_at(want, i, &b); i++) {
        double diff = 0, size = 1e-20;
        if (!gradient_wanted(r, i, &a))
            continue;
        for (size_t k = 0; k < a.count; k++) {
            double e = (double)a.grad[k] - (double)b.grad[k];
            diff += e * e;
            size += (double)b.grad[k] * (double)b.grad[k];
        }
        cr_assert(sqrt(diff / size) <= limit,
                  "%s: gradient of %s, %s, instruction set %d: off by %.3g", r->g->name,
                  a.name, what, isa, sqrt(diff / size));
    }
}

/* The same bytes whatever the number of threads. */
static inline void gradient_threads(const gradient_run *one, vbg_isa isa, vbg_dtype t)
{
    static const int threads[] = { 2, 5 };
    gradient_leaf a, b;

    for (size_t n = 0; n < 2; n++) {
        gradient_run r = gradient_open(one->g, isa, t, threads[n]);
        gradient_step(&r);
        cr_assert(memcmp(r.y, one->y, r.count * sizeof *r.y) == 0,
                  "%s: result with %d threads", r.g->name, threads[n]);
        for (size_t i = 0; gradient_leaf_at(&r, i, &a) && gradient_leaf_at(one, i, &b);
             i++)
            if (gradient_wanted(&r, i, &a))
                cr_assert(memcmp(a.grad, b.grad, a.count * sizeof(float)) == 0,
                          "%s: gradient of %s with %d threads, %s", r.g->name, a.name,
                          threads[n], vbg_dtype_name(t));
        gradient_close(&r);
    }
}

static inline void gradient_check(const gradient_case *g)
{
    gradient_run ref = gradient_open(g, VBG_ISA_REF, VBG_F32, 1);
    gradient_leaf l;

    gradient_step(&ref);
    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
        for (int t = VBG_F32; t <= VBG_BF16; t++) {
            gradient_run r = gradient_open(g, (vbg_isa)isa, (vbg_dtype)t, 1);
            bool bf16 = vbg_ctx_act(r.c) == VBG_BF16;
            if (bf16 == (t == VBG_BF16)) {
                double limit = bf16 ? (g->tol_bf16 > 0 ? g->tol_bf16 : 2e-2)
                                    : (g->tol_isa > 0 ? g->tol_isa : 1e-5);
                gradient_step(&r);
                gradient_compare(&r, &ref, limit, vbg_dtype_name((vbg_dtype)t), isa);
                gradient_threads(&r, (vbg_isa)isa, (vbg_dtype)t);
            }
            gradient_close(&r);
        }
    for (size_t i = 0; gradient_leaf_at(&ref, i, &l); i++)
        if (gradient_wanted(&ref, i, &l)) {
            gradient_step(&ref);
            gradient_differences(g, &ref, l);
        }
    gradient_close(&ref);
}

#endif
