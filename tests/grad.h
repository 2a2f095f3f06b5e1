/* Gradients of ops: a step on the tape, and central differences of a plain function in
 * double to compare with. */
#ifndef VBG_TESTS_GRAD_H
#define VBG_TESTS_GRAD_H

#include "engine/ops.h"
#include "engine/tape.h"
#include "tests/guard.h"

enum { GRAD_INPUTS = 4, GRAD_PARAMS = 2 };

/* An op under test: inputs [n,h,w,c] and parameter vectors, all f32 outside. */
typedef struct grad_case {
    int shape[GRAD_INPUTS][4], inputs;
    int count[GRAD_PARAMS], params;
    vbg_tensor *(*op)(vbg_ctx *c, const struct grad_case *g, vbg_tensor *const *in,
                      vbg_param *const *p);
    bool eval, checkpoint; /* batch norm by its running statistics; inside a segment */
    bool keep_f32;         /* inputs are not cast to the context's type */
    const void *arg;
    float *in[GRAD_INPUTS], *value[GRAD_PARAMS], *gout;       /* owned */
    float *out, *grad[GRAD_INPUTS], *param_grad[GRAD_PARAMS]; /* owned */
    size_t outs;
} grad_case;

static inline size_t grad_size(const int s[4])
{
    return (size_t)s[0] * (size_t)s[1] * (size_t)s[2] * (size_t)s[3];
}

static inline float *grad_values(size_t n, float centre, float spread, uint32_t seed)
{
    float *v = malloc(n * sizeof *v);

    for (size_t i = 0; i < n; i++) /* the same for f32 and bf16 */
        v[i] = vbg_bf16_to_f32(vbg_f32_to_bf16(centre + spread * guard_random(&seed)));
    return v;
}

/* Fills inputs, parameters and the upstream gradient; outs: values of the output. */
static inline void grad_open(grad_case *g, size_t outs, float centre)
{
    for (int i = 0; i < g->inputs; i++) {
        g->in[i] = grad_values(grad_size(g->shape[i]), centre, 1, 11 + (uint32_t)i);
        g->grad[i] = calloc(grad_size(g->shape[i]), sizeof(float));
    }
    for (int i = 0; i < g->params; i++) {
        g->value[i] = grad_values((size_t)g->count[i], 0.8f, 0.6f, 21 + (uint32_t)i);
        g->param_grad[i] = calloc((size_t)g->count[i], sizeof(float));
    }
    g->gout = grad_values(outs, 0, 1, 31);
    g->out = calloc(outs, sizeof(float));
    g->outs = outs;
}

static inline void grad_close(grad_case *g)
{
    for (int i = 0; i < g->inputs; i++) {
        free(g->in[i]);
        free(g->grad[i]);
    }
    for (int i = 0; i < g->params; i++) {
        free(g->value[i]);
        free(g->param_grad[i]);
    }
    free(g->gout);
    free(g->out);
}

typedef struct grad_step {
    grad_case *g;
    vbg_tape *tape;
    vbg_params *params;
} grad_step;

typedef struct grad_inner {
    const grad_case *g;
    vbg_tensor *in[GRAD_INPUTS];
    vbg_param *p[GRAD_PARAMS];
} grad_inner;

static inline vbg_tensor *grad_segment(vbg_ctx *c, void *arg)
{
    const grad_inner *i = arg;

    return i->g->op(c, i->g, i->in, i->p);
}

static inline vbg_status grad_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    grad_step *s = arg;
    grad_case *g = s->g;
    grad_inner in = { .g = g };

    (void)err;
    vbg_tape_start(s->tape, !g->eval);
    for (int i = 0; i < g->inputs; i++) {
        const int *d = g->shape[i];
        vbg_tensor *x = vbg_wrap(c, g->in[i], VBG_F32, d[0], d[1], d[2], d[3]);
        in.in[i] = vbg_cast(c, x, g->keep_f32 ? VBG_F32 : vbg_ctx_act(c));
        vbg_require_grad(c, in.in[i]);
    }
    for (int i = 0; i < g->params; i++)
        in.p[i] = vbg_params_at(s->params, (size_t)i);
    vbg_tensor *y = g->checkpoint
                        ? vbg_checkpoint(c, grad_segment, &in, sizeof in,
                                         (const vbg_tensor *const *)in.in, g->inputs)
                        : grad_segment(c, &in);
    cr_assert_eq(vbg_rows(y) * (size_t)y->c, g->outs);
    vbg_copy_out(c, g->out, VBG_F32, y);
    vbg_tensor *dy = vbg_wrap(c, g->gout, VBG_F32, y->n, y->h, y->w, y->c);
    vbg_backward_from(c, y, dy);
    for (int i = 0; i < g->inputs; i++) {
        const vbg_tensor *d = vbg_grad(c, in.in[i]);
        cr_assert(d, "input %d has a gradient", i);
        vbg_copy_out(c, g->grad[i], VBG_F32, d);
    }
    vbg_tape_stop(s->tape);
    return VBG_OK;
}

static inline void grad_run(grad_case *g, vbg_isa isa, vbg_dtype precision, int threads)
{
    static const char *names[] = { "first", "second" };
    vbg_ctx_opt opt = { .threads = threads, .isa = isa, .precision = precision };
    grad_step s = { .g = g };
    vbg_ctx *c;
    vbg_err err = { { 0 } };

    cr_assert_eq(vbg_ctx_new(&c, &opt, &err), VBG_OK);
    cr_assert_eq(vbg_params_new(&s.params, VBG_F32, &err), VBG_OK);
    vbg_params_select(s.params, "m", "*", true);
    vbg_params_declare(s.params, 1);
    for (int i = 0; i < g->params; i++) {
        vbg_entry e = { .component = "m",
                        .name = names[i],
                        .dtype = VBG_F32,
                        .rank = 1,
                        .dim = { g->count[i] } };
        vbg_param *p = vbg_params_take(s.params, NULL, &e, VBG_INIT_ZERO, 0);
        cr_assert(p);
        memcpy(p->value, g->value[i], p->count * sizeof(float));
    }
    cr_assert_eq(vbg_tape_new(&s.tape, c, s.params, &err), VBG_OK);
    cr_assert_eq(vbg_run(c, grad_job, &s, &err), VBG_OK, "%s", err.text);
    for (int i = 0; i < g->params; i++)
        memcpy(g->param_grad[i], vbg_params_at(s.params, (size_t)i)->grad,
               (size_t)g->count[i] * sizeof(float));
    vbg_tape_free(s.tape);
    vbg_params_free(s.params);
    vbg_ctx_free(c);
}

/* The op in double: y from inputs and parameters. */
typedef void grad_formula(double *y, const grad_case *g, double *const *in,
                          double *const *p);

static inline double grad_dot(const grad_case *g, grad_formula *f, double *const *in,
                              double *const *p, double *y)
{
    double sum = 0;

    f(y, g, in, p);
    for (size_t i = 0; i < g->outs; i++)
        sum += y[i] * (double)g->gout[i];
    return sum;
}

static inline double *grad_doubles(const float *v, size_t n)
{
    double *d = malloc(n * sizeof *d);

    for (size_t i = 0; i < n; i++)
        d[i] = (double)v[i];
    return d;
}

/* |got - want| <= tol * (rms of want + |want|) for up to 64 values of v. */
static inline void grad_compare(const grad_case *g, grad_formula *f, double **in,
                                double **p, double *v, size_t n, const float *got,
                                double tol, const char *what)
{
    double *y = malloc(g->outs * sizeof *y), want[64], rms = 0;
    const size_t step = (n + 63) / 64;
    size_t count = 0;

    for (size_t i = 0; i < n; i += step, count++) {
        const double h = 1e-4, at = v[i];
        v[i] = at + h;
        double up = grad_dot(g, f, in, p, y);
        v[i] = at - h;
        want[count] = (up - grad_dot(g, f, in, p, y)) / (2 * h);
        v[i] = at;
        rms += want[count] * want[count];
    }
    rms = sqrt(rms / (double)count);
    for (size_t i = 0; i < count; i++)
        cr_assert(fabs((double)got[i * step] - want[i]) <=
                      tol * (rms + fabs(want[i])) + 1e-7,
                  "%s %zu: %.9g, differences give %.9g", what, i * step,
                  (double)got[i * step], want[i]);
    free(y);
}

/* Output and all gradients against f and its central differences, whose own error is
 * h^2 = 1e-8 times third derivatives. */
static inline void grad_check(const grad_case *g, grad_formula *f, double tol,
                              const char *what)
{
    double *in[GRAD_INPUTS], *p[GRAD_PARAMS], *y = malloc(g->outs * sizeof *y);

    for (int i = 0; i < g->inputs; i++)
        in[i] = grad_doubles(g->in[i], grad_size(g->shape[i]));
    for (int i = 0; i < g->params; i++)
        p[i] = grad_doubles(g->value[i], (size_t)g->count[i]);
    f(y, g, in, p);
    for (size_t i = 0; i < g->outs; i++)
        cr_assert(fabs((double)g->out[i] - y[i]) <= tol * (1 + fabs(y[i])),
                  "%s: output %zu is %.9g, not %.9g", what, i, (double)g->out[i], y[i]);
    for (int i = 0; i < g->inputs; i++)
        grad_compare(g, f, in, p, in[i], grad_size(g->shape[i]), g->grad[i], tol, what);
    for (int i = 0; i < g->params; i++)
        grad_compare(g, f, in, p, p[i], (size_t)g->count[i], g->param_grad[i], tol, what);
    for (int i = 0; i < g->inputs; i++)
        free(in[i]);
    for (int i = 0; i < g->params; i++)
        free(p[i]);
    free(y);
}

/* The same bytes as with another run's. */
static inline void grad_same(const grad_case *a, const grad_case *b)
{
    cr_assert(memcmp(a->out, b->out, a->outs * sizeof(float)) == 0, "other outputs");
    for (int i = 0; i < a->inputs; i++)
        cr_assert(
            memcmp(a->grad[i], b->grad[i], grad_size(a->shape[i]) * sizeof(float)) == 0,
            "other gradient of input %d", i);
    for (int i = 0; i < a->params; i++)
        cr_assert(memcmp(a->param_grad[i], b->param_grad[i],
                         (size_t)a->count[i] * sizeof(float)) == 0,
                  "other gradient of parameter %d", i);
}

#endif
