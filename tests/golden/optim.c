/* Oracle of the optimisers, clipping, the moving average, schedules and L-BFGS. */
#include "engine/optim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/schedule.h"
#include "tests/golden/golden.h"

enum { MAX_TENSORS = 16 };

/* The oracle's parameters p0, p1, ... in a set of their own. */
typedef struct bench {
    golden *g;
    vbg_params *params;
    vbg_param *p[MAX_TENSORS];
    size_t count;
} bench;

static bool stored(const golden *g, const char *name)
{
    return vbg_st_find(golden_data(g), name) != NULL;
}

static void set_values(bench *b, bool zero)
{
    for (size_t i = 0; i < b->count; i++) {
        const float *v = golden_in_f32(b->g, "in.p%zu", i);
        for (size_t j = 0; j < b->p[i]->count; j++)
            b->p[i]->value[j] = zero ? 0 : v[j];
        vbg_param_changed(b->p[i]);
    }
}

static bool bench_open(bench *b, golden *g)
{
    char name[32];
    vbg_err err = { 0 };

    *b = (bench){ .g = g };
    if (vbg_params_new(&b->params, VBG_F32, &err) != VBG_OK)
        return false;
    vbg_params_declare(b->params, 1);
    vbg_params_select(b->params, "model", "*", true);
    for (; b->count < MAX_TENSORS; b->count++) {
        snprintf(name, sizeof name, "in.p%zu", b->count);
        if (!stored(g, name))
            break;
        const vbg_st_tensor *t = golden_in(g, "%s", name);
        vbg_entry e = { .component = "model", .name = name + 3, .rank = t->rank };
        for (int k = 0; k < t->rank; k++)
            e.dim[k] = t->dim[k];
        b->p[b->count] = vbg_params_take(b->params, NULL, &e, VBG_INIT_ZERO, 0);
    }
    set_values(b, false);
    return b->count > 0;
}

static void put_gradient(bench *b, size_t step)
{
    for (size_t i = 0; i < b->count; i++) {
        const float *v = golden_in_f32(b->g, "in.grad%zu", i);
        memcpy(b->p[i]->grad, v + step * b->p[i]->count, b->p[i]->count * sizeof *v);
    }
}

static double number(const json_t *o, const char *key, double otherwise)
{
    const json_t *v = json_object_get(o, key);

    if (json_is_boolean(v))
        return json_is_true(v);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

static vbg_optim_opt options(const char *name, const json_t *run)
{
    const json_t *d = json_object_get(run, "defaults"), *betas, *source = run;
    vbg_optim_kind kind = strncmp(name, "sgd", 3) == 0     ? VBG_SGD
                          : strncmp(name, "rms", 3) == 0   ? VBG_RMSPROP
                          : strncmp(name, "adamw", 5) == 0 ? VBG_ADAMW
                                                           : VBG_ADAM;
    vbg_optim_opt o = vbg_optim_defaults(kind);

    o.decay_all = true;
    for (int pass = 0; pass < 2; pass++, source = run) {
        source = pass ? run : d;
        o.momentum = number(source, "momentum", o.momentum);
        o.nesterov = number(source, "nesterov", o.nesterov) != 0;
        o.eps = number(source, "eps", o.eps);
        o.amsgrad = number(source, "amsgrad", o.amsgrad) != 0;
        o.weight_decay = number(source, "weight_decay", o.weight_decay);
        o.beta2 = number(source, "alpha", o.beta2);
        betas = json_object_get(source, "betas");
        if (betas) {
            o.beta1 = json_number_value(json_array_get(betas, 0));
            o.beta2 = json_number_value(json_array_get(betas, 1));
        }
    }
    return o;
}

static vbg_optim *new_optim(bench *b, const vbg_optim_opt *opt)
{
    vbg_err err = { 0 };
    vbg_optim *o = NULL;

    if (vbg_optim_new(&o, b->params, opt, &err) != VBG_OK)
        golden_fail(b->g, "%s", err.text);
    return o;
}

static void report(bench *b, const char *fmt, const char *name, size_t step)
{
    char label[128];

    for (size_t i = 0; i < b->count; i++) {
        snprintf(label, sizeof label, fmt, name, step);
        snprintf(label + strlen(label), sizeof label - strlen(label), ".p%zu", i);
        if (stored(b->g, label))
            golden_out_f32(b->g, label, b->p[i]->value, b->p[i]->count);
    }
}

static void run_sequence(bench *b, const char *name, const json_t *run, size_t steps)
{
    vbg_optim_opt opt = options(name, run);
    double lr = number(run, "lr", number(json_object_get(run, "defaults"), "lr", 0));
    vbg_optim *o;

    set_values(b, false);
    o = new_optim(b, &opt);
    for (size_t s = 0; o && s < steps; s++) {
        put_gradient(b, s);
        vbg_optim_step(o, golden_ctx(b->g), lr, 1);
        report(b, "out.%s.step%zu", name, s + 1);
    }
    vbg_optim_free(o);
}

/* Values start at zero and the rate is 1: what is subtracted is the clipped gradient. */
static void run_clip(bench *b)
{
    vbg_optim_opt opt = vbg_optim_defaults(VBG_SGD);
    char label[64];

    opt.clip = 1;
    set_values(b, true);
    vbg_optim *o = new_optim(b, &opt);
    if (!o)
        return;
    put_gradient(b, 0);
    double norm = vbg_optim_step(o, golden_ctx(b->g), 1, 1);
    golden_out_f64(b->g, "out.clip_norm1.norm", &norm, 1);
    for (size_t i = 0; i < b->count; i++) {
        for (size_t j = 0; j < b->p[i]->count; j++)
            b->p[i]->value[j] = -b->p[i]->value[j];
        snprintf(label, sizeof label, "out.clip_norm1.grad%zu", i);
        golden_out_f32(b->g, label, b->p[i]->value, b->p[i]->count);
    }
    vbg_optim_free(o);
}

/* The average follows the values, so the recorded gradients are put there. */
static void run_ema(bench *b, size_t steps)
{
    vbg_optim_opt opt = vbg_optim_defaults(VBG_SGD);

    opt.ema = 0.99;
    set_values(b, false);
    vbg_optim *o = new_optim(b, &opt);
    for (size_t s = 0; o && s < steps; s++) {
        for (size_t i = 0; i < b->count; i++) {
            const float *v = golden_in_f32(b->g, "in.grad%zu", i);
            memcpy(b->p[i]->value, v + s * b->p[i]->count, b->p[i]->count * sizeof *v);
        }
        vbg_optim_step(o, golden_ctx(b->g), 0, 1);
    }
    if (o)
        vbg_optim_swap_ema(o, golden_ctx(b->g), 0);
    report(b, "out.%s%.0zu", "ema099", 0);
    vbg_optim_free(o);
}

/* "step3_gamma0.3", "cosine10_min1e-7", "warmup_exp_poly0.9" with its rule's text. */
static bool schedule_of(const char *key, const char *rule, vbg_schedule *s)
{
    double from, warm, rest;

    *s = (vbg_schedule){ .decay = VBG_DECAY_STEP };
    if (sscanf(key, "step%lf_gamma%lf", &s->every, &s->gamma) == 2)
        return true;
    s->decay = VBG_DECAY_COSINE;
    if (sscanf(key, "cosine%lf_min%lf", &s->total, &s->min) == 2)
        return true;
    s->decay = VBG_DECAY_POLY;
    s->warmup_exp = true;
    if (sscanf(key, "warmup_exp_poly%lf", &s->power) != 1 ||
        sscanf(rule, "i < %lf: %lf^(1-i/%*f); else (1-(i-%*f)/%lf)", &warm, &from,
               &rest) != 3)
        return false;
    s->warmup = warm;
    s->warmup_from = from;
    s->total = warm + rest;
    return true;
}

static void run_schedules(golden *g)
{
    json_t *rules = json_object_get(golden_json(g), "lr"), *rule;
    const char *key;

    json_object_foreach(rules, key, rule)
    {
        const vbg_st_tensor *t = golden_in(g, "out.lr.%s", key);
        vbg_schedule s;
        char label[128];
        if (!t)
            continue;
        double *v = golden_alloc(g, t->count * sizeof *v);
        if (!schedule_of(key, json_string_value(rule), &s)) {
            golden_fail(g, "schedule %s is not understood", key);
            continue;
        }
        for (size_t i = 0; i < t->count; i++)
            v[i] = vbg_schedule_at(&s, (double)i);
        snprintf(label, sizeof label, "out.lr.%s", key);
        golden_out_f64(g, label, v, t->count);
    }
}

/* ---- L-BFGS ---- */

typedef struct problem {
    const float *a, *b; /* quadratic, or NULL: Rosenbrock */
    size_t n, count;
    double evals[256];
} problem;

static double quadratic(const problem *p, const double *x, double *g)
{
    double f = 0;

    for (size_t i = 0; i < p->n; i++) {
        double ax = 0;
        for (size_t j = 0; j < p->n; j++)
            ax += (double)p->a[i * p->n + j] * x[j];
        g[i] = ax - (double)p->b[i];
        f += x[i] * (ax / 2 - (double)p->b[i]);
    }
    return f;
}

static double rosenbrock(const problem *p, const double *x, double *g)
{
    double f = 0;

    memset(g, 0, p->n * sizeof *g);
    for (size_t i = 0; i + 1 < p->n; i++) {
        double u = x[i + 1] - x[i] * x[i], v = 1 - x[i];
        f += 100 * u * u + v * v;
        g[i + 1] += 200 * u;
        g[i] += -400 * x[i] * u - 2 * v;
    }
    return f;
}

static double objective(void *arg, const double *x, double *g)
{
    problem *p = arg;
    double f = p->a ? quadratic(p, x, g) : rosenbrock(p, x, g);

    if (p->count < sizeof p->evals / sizeof *p->evals)
        p->evals[p->count++] = f;
    return f;
}

/* The run of the given number of iterations, from the start each time. */
static void run_lbfgs(golden *g, const char *name, int iterations, bool log)
{
    vbg_lbfgs_opt opt = { .lr = 1,
                          .history = 10,
                          .tolerance_grad = 1e-9,
                          .tolerance_change = 1e-12,
                          .max_eval =
                              10 * iterations, /* 1.25 times would end short runs */
                          .strong_wolfe = strstr(name, "strong_wolfe") != NULL };
    const vbg_st_tensor *start = golden_in(g, "in.x0");
    const float *x0 = golden_in_f32(g, "in.x0");
    problem p = { .n = start ? start->count : 0 };
    double *x = golden_alloc(g, p.n * sizeof *x);
    char label[128];
    vbg_lbfgs *l;
    vbg_err err = { 0 };

    if (strstr(name, "quad")) {
        p.a = golden_in_f32(g, "in.quad.A");
        p.b = golden_in_f32(g, "in.quad.b");
    }
    for (size_t i = 0; i < p.n; i++)
        x[i] = (double)x0[i];
    if (vbg_lbfgs_new(&l, p.n, &opt, &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        return;
    }
    vbg_lbfgs_run(l, x, iterations, objective, &p, NULL);
    snprintf(label, sizeof label, "out.%s.x%d", name, iterations);
    golden_out_f64(g, label, x, p.n);
    snprintf(label, sizeof label, "out.%s.evals", name);
    if (log)
        golden_out_f64(g, label, p.evals, p.count);
    vbg_lbfgs_free(l);
}

static void run_optim(golden *g)
{
    json_t *runs = json_object_get(golden_json(g), "runs"), *run, *each;
    size_t steps = (size_t)number(golden_json(g), "steps", 0);
    const char *name, *iterations;
    bench b;

    if (!bench_open(&b, g)) {
        golden_fail(g, "no parameters");
        return;
    }
    json_object_foreach(runs, name, run)
    {
        int last = 0;
        if (strncmp(name, "lbfgs", 5) != 0) {
            run_sequence(&b, name, run, steps);
            continue;
        }
        json_object_foreach(run, iterations, each) last =
            atoi(iterations) > last ? atoi(iterations) : last;
        json_object_foreach(run, iterations, each)
            run_lbfgs(g, name, atoi(iterations), atoi(iterations) == last);
    }
    run_clip(&b);
    run_ema(&b, steps);
    run_schedules(g);
    vbg_params_free(b.params);
}

const golden_family golden_families_optim[] = { { "seg/optim", run_optim },
                                                { NULL, NULL } };
