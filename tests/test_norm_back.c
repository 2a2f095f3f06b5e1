/* The way back through the norms: kernels of every ISA against the reference, ops
 * against differences in double, the same bytes for any number of threads. */
#include "tests/grad.h"

/* ---- kernels ---- */

static const struct {
    size_t rows, cols, pad;
    float offset;
} cases[] = {
    { 1, 2, 0, 0 },   { 1, 7, 2, 0 },     { 3, 8, 0, 0 },     { 2, 9, 0, 0 },
    { 5, 320, 0, 0 }, { 4, 1280, 16, 0 }, { 2, 333, 5, 50 },  { 7, 16, 0, 0 },
    { 6, 17, 1, 0 },  { 9, 65, 0, 3 },    { 12, 128, 0, -2 },
};
enum { CASES = sizeof cases / sizeof cases[0] };
static const vbg_dtype types[] = { VBG_F32, VBG_BF16 };

typedef struct setup {
    vbg_kernels ref, k;
    guarded x, dy, res, plus, f[4], dx[2], dres[2];
    vbg_norm_back b[2]; /* reference, tested */
} setup;

static setup open_case(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt, vbg_act act)
{
    size_t rows = cases[i].rows, cols = cases[i].cols, ld = cols + cases[i].pad;
    setup s = { .x = guard_filled(xt, rows, cols, ld, cases[i].offset, 2, 1),
                .dy = guard_filled(yt, rows, cols, ld, 0, 1, 2),
                .res = guard_filled(yt, rows, cols, ld, 0, 1, 3),
                .plus = guard_filled(xt, rows, cols, ld, 0, 1, 9) };

    vbg_kernels_init(&s.ref, VBG_ISA_REF);
    vbg_kernels_init(&s.k, isa);
    for (int k = 0; k < 4; k++) /* scale, shift, centre, and one more */
        s.f[k] = guard_filled(VBG_F32, 1, cols, cols, k == 2 ? cases[i].offset : 0.1f, 1,
                              4 + (uint32_t)k);
    for (int k = 0; k < 2; k++) {
        s.dx[k] = guard_new(xt, rows, cols, ld);
        s.dres[k] = guard_new(yt, rows, cols, ld);
        s.b[k] = (vbg_norm_back){ .x = guard_data(&s.x),
                                  .dy = guard_data(&s.dy),
                                  .res = guard_data(&s.res),
                                  .dx = guard_data(&s.dx[k]),
                                  .dres = guard_data(&s.dres[k]),
                                  .ldx = ld,
                                  .lddy = ld,
                                  .ldres = ld,
                                  .lddx = ld,
                                  .lddres = ld,
                                  .rows = rows,
                                  .cols = cols,
                                  .xt = xt,
                                  .yt = yt,
                                  .scale = guard_data(&s.f[0]),
                                  .shift = guard_data(&s.f[1]),
                                  .centre = guard_data(&s.f[2]),
                                  .plus = guard_data(&s.plus),
                                  .ldplus = ld,
                                  .act = act };
    }
    return s;
}

static void close_case(setup *s)
{
    guard_free(&s->x);
    guard_free(&s->dy);
    guard_free(&s->res);
    guard_free(&s->plus);
    for (int k = 0; k < 4; k++)
        guard_free(&s->f[k]);
    for (int k = 0; k < 2; k++) {
        guard_free(&s->dx[k]);
        guard_free(&s->dres[k]);
    }
}

/* z = x*scale + shift + res is of size m = 2*|offset| + 6 and off by m*eps, a slope
 * changes by at most 1 per unit (hard corners: one value may flip, none does here) and
 * is itself within 2e-6 (silu of a bf16 result within 4e-4, see simd.h); |dy| <= 1 and
 * the factors are below 1.1, x - centre below 4. */
static double tolerance(const setup *s, size_t i)
{
    double m = 2 * fabs((double)cases[i].offset) + 6;
    bool coarse = s->b[0].yt == VBG_BF16 && s->b[0].act == VBG_ACT_SILU;

    return 8 * m * 0x1p-24 + (coarse ? 1.2e-3 : 4e-6);
}

static void try_map(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt, vbg_act act)
{
    setup s = open_case(isa, i, xt, yt, act);
    const double tol = tolerance(&s, i);
    const float *f = guard_data(&s.f[3]), *g = guard_data(&s.f[0]);

    s.ref.norm.back_map(&s.b[0], f, g, f);
    s.k.norm.back_map(&s.b[1], f, g, f);
    guard_check(&s.dx[1], &s.dx[0], tol, 2 * guard_eps(xt), "back_map", i);
    guard_check(&s.dres[1], &s.dres[0], tol, 2 * guard_eps(yt), "back_map dz", i);
    close_case(&s);
    s = open_case(isa, i, xt, yt, act);
    for (int k = 0; k < 2; k++) {
        s.b[k].res = s.b[k].plus = s.b[k].centre = NULL;
        s.b[k].dres = NULL;
    }
    f = guard_data(&s.f[3]);
    s.ref.norm.back_map(&s.b[0], f, NULL, NULL);
    s.k.norm.back_map(&s.b[1], f, NULL, NULL);
    guard_check(&s.dx[1], &s.dx[0], tol, 2 * guard_eps(xt), "plain back_map", i);
    guard_check(&s.dres[1], &s.dres[1], 0, 0, "unwritten dz", i);
    close_case(&s);
}

static void try_sums(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt, vbg_act act)
{
    setup s = open_case(isa, i, xt, yt, act);
    double sum[2][1280] = { { 0 } }, sumx[2][1280] = { { 0 } };
    const double tol = 4 * (double)cases[i].rows * tolerance(&s, i);

    s.ref.norm.back_sums(sum[0], sumx[0], &s.b[0], 3);
    s.k.norm.back_sums(sum[1], sumx[1], &s.b[1], 3);
    for (size_t j = 0; j < cases[i].cols; j++) {
        cr_assert(fabs(sum[1][j] - sum[0][j]) <= tol, "sum %zu of case %zu", j, i);
        cr_assert(fabs(sumx[1][j] - sumx[0][j]) <= tol, "product %zu of case %zu", j, i);
    }
    close_case(&s);
}

/* Normalised values are below 4 here, rstd below 2 and as exact as the mean: m*eps; two
 * values in a row are as close as they like, so rows begin at 7. */
static void try_rows(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt)
{
    setup s = open_case(isa, i, xt, yt, VBG_ACT_NONE);
    const double m = fabs((double)cases[i].offset) + 2, tol = 200 * m * 0x1p-24;
    float sums[2][2][1280] = { 0 };
    const float *gamma = guard_data(&s.f[0]);

    s.ref.norm.layer_back(&s.b[0], gamma, 1e-5f, sums[0][0], sums[0][1]);
    s.k.norm.layer_back(&s.b[1], gamma, 1e-5f, sums[1][0], sums[1][1]);
    guard_check(&s.dx[1], &s.dx[0], tol, 2 * guard_eps(xt), "layer_back", i);
    s.b[0].plus = s.b[1].plus = NULL;
    for (size_t j = 0; j < 2 * 1280; j++)
        cr_assert_float_eq(sums[1][j / 1280][j % 1280], sums[0][j / 1280][j % 1280],
                           (double)cases[i].rows * tol);
    s.ref.norm.layer_back(&s.b[0], NULL, 1e-5f, NULL, NULL);
    s.k.norm.layer_back(&s.b[1], NULL, 1e-5f, NULL, NULL);
    guard_check(&s.dx[1], &s.dx[0], tol, 2 * guard_eps(xt), "plain layer_back", i);
    close_case(&s);
    s = open_case(isa, i, xt, yt, VBG_ACT_NONE);
    s.ref.norm.softmax_back(&s.b[0]);
    s.k.norm.softmax_back(&s.b[1]);
    /* a sum of cols products of m */
    double sum = m * m * (double)cases[i].cols * 8 * 0x1p-24;
    guard_check(&s.dx[1], &s.dx[0], sum, 2 * guard_eps(xt), "softmax_back", i);
    close_case(&s);
}

Test(norm_back, every_isa_like_the_reference)
{
    for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++)
        for (size_t i = 0; i < CASES; i++)
            for (size_t t = 0; t < 4; t++) {
                for (int act = VBG_ACT_NONE; act <= (int)VBG_ACT_TANH; act++) {
                    try_map((vbg_isa)isa, i, types[t & 1], types[t >> 1], (vbg_act)act);
                    try_sums((vbg_isa)isa, i, types[t & 1], types[t >> 1], (vbg_act)act);
                }
                if (cases[i].cols >= 7)
                    try_rows((vbg_isa)isa, i, types[t & 1], types[t >> 1]);
            }
}

/* ---- ops ---- */

typedef struct norm_arg {
    int groups;
    vbg_act act;
} norm_arg;

static double act_plain(double v, vbg_act act)
{
    return act == VBG_ACT_SILU ? v / (1 + exp(-v)) : act == VBG_ACT_TANH ? tanh(v) : v;
}

/* y = act((x - mean)/deviation*gamma + beta + res), statistics over images [n0, n1)
 * and channels [c0, c1). */
static void normalise(double *y, const grad_case *g, double *const *in, double *const *p,
                      const size_t range[4])
{
    const int *d = g->shape[0];
    const norm_arg *a = g->arg;
    const size_t pixels = (size_t)d[1] * (size_t)d[2], c = (size_t)d[3];
    const size_t first = range[0] * pixels, last = range[1] * pixels;
    const double count = (double)((last - first) * (range[3] - range[2]));
    double mean = 0, var = 0;

    for (size_t r = first; r < last; r++)
        for (size_t j = range[2]; j < range[3]; j++)
            mean += in[0][r * c + j] / count;
    for (size_t r = first; r < last; r++)
        for (size_t j = range[2]; j < range[3]; j++)
            var += pow(in[0][r * c + j] - mean, 2) / count;
    for (size_t r = first; r < last; r++)
        for (size_t j = range[2]; j < range[3]; j++) {
            double v = (in[0][r * c + j] - mean) / sqrt(var + 1e-5);
            v = v * p[0][j] + p[1][j] + (g->inputs > 1 ? in[1][r * c + j] : 0);
            y[r * c + j] = act_plain(v, a->act);
        }
}

static void group_formula(double *y, const grad_case *g, double *const *in,
                          double *const *p)
{
    const norm_arg *a = g->arg;
    const size_t per = (size_t)(g->shape[0][3] / a->groups);

    for (size_t n = 0; n < (size_t)g->shape[0][0]; n++)
        for (size_t k = 0; k < (size_t)a->groups; k++)
            normalise(y, g, in, p, (const size_t[]){ n, n + 1, k * per, (k + 1) * per });
}

static vbg_tensor *group_op(vbg_ctx *c, const grad_case *g, vbg_tensor *const *in,
                            vbg_param *const *p)
{
    const norm_arg *a = g->arg;
    vbg_norm_w w = { .gamma = p[0]->value, .beta = p[1]->value, .c = g->shape[0][3] };

    return vbg_group_norm(c, in[0], &w, a->groups, 1e-5f, a->act);
}

static void layer_formula(double *y, const grad_case *g, double *const *in,
                          double *const *p)
{
    grad_case row = *g;
    const size_t c = (size_t)g->shape[0][3];

    for (int i = 0; i < 3; i++)
        row.shape[0][i] = 1;
    row.inputs = 1;
    for (size_t r = 0; r < grad_size(g->shape[0]) / c; r++)
        normalise(y + r * c, &row, (double *const[]){ in[0] + r * c }, p,
                  (const size_t[]){ 0, 1, 0, c });
}

static vbg_tensor *layer_op(vbg_ctx *c, const grad_case *g, vbg_tensor *const *in,
                            vbg_param *const *p)
{
    vbg_norm_w w = { .gamma = p[0]->value, .beta = p[1]->value, .c = g->shape[0][3] };

    return vbg_layer_norm(c, in[0], &w, 1e-5f);
}

static void batch_formula(double *y, const grad_case *g, double *const *in,
                          double *const *p)
{
    for (size_t j = 0; j < (size_t)g->shape[0][3]; j++)
        normalise(y, g, in, p, (const size_t[]){ 0, (size_t)g->shape[0][0], j, j + 1 });
}

enum { BATCH_CHANNELS = 35 };

static vbg_tensor *batch_op(vbg_ctx *c, const grad_case *g, vbg_tensor *const *in,
                            vbg_param *const *p)
{
    const norm_arg *a = g->arg;
    float mean[BATCH_CHANNELS], var[BATCH_CHANNELS];

    for (int i = 0; i < BATCH_CHANNELS; i++) {
        mean[i] = 0.25f;
        var[i] = 0.5f + 0.01f * (float)i;
    }
    vbg_batch_norm_w w = { .gamma = p[0]->value,
                           .beta = p[1]->value,
                           .mean = mean,
                           .var = var,
                           .c = g->shape[0][3],
                           .eps = 1e-5f,
                           .momentum = 0.1f };
    return vbg_batch_norm(c, in[0], &w, g->inputs > 1 ? in[1] : NULL, a->act);
}

static void batch_eval_formula(double *y, const grad_case *g, double *const *in,
                               double *const *p)
{
    const norm_arg *a = g->arg;
    const size_t c = (size_t)g->shape[0][3];

    for (size_t i = 0; i < g->outs; i++) {
        double var = (double)(0.5f + 0.01f * (float)(i % c));
        double v = (in[0][i] - 0.25) / sqrt(var + (double)1e-5f) * p[0][i % c];
        v += p[1][i % c] + (g->inputs > 1 ? in[1][i] : 0);
        y[i] = act_plain(v, a->act);
    }
}

static void scale_formula(double *y, const grad_case *g, double *const *in,
                          double *const *p)
{
    const norm_arg *a = g->arg;
    const size_t c = (size_t)g->shape[0][3];

    for (size_t i = 0; i < g->outs; i++)
        y[i] = act_plain(in[0][i] * p[0][i % c] + p[1][i % c], a->act);
}

static vbg_tensor *scale_op(vbg_ctx *c, const grad_case *g, vbg_tensor *const *in,
                            vbg_param *const *p)
{
    const norm_arg *a = g->arg;

    return vbg_scale_shift(c, in[0], p[0]->value, p[1]->value, a->act);
}

static void softmax_formula(double *y, const grad_case *g, double *const *in,
                            double *const *p)
{
    const size_t c = (size_t)g->shape[0][3];

    (void)p;
    for (size_t r = 0; r < g->outs / c; r++) {
        double sum = 0;
        for (size_t j = 0; j < c; j++)
            sum += exp(in[0][r * c + j]);
        for (size_t j = 0; j < c; j++)
            y[r * c + j] = exp(in[0][r * c + j]) / sum;
    }
}

static vbg_tensor *softmax_op(vbg_ctx *c, const grad_case *g, vbg_tensor *const *in,
                              vbg_param *const *p)
{
    (void)g;
    (void)p;
    return vbg_softmax(c, in[0]);
}

static const norm_arg silu4 = { 4, VBG_ACT_SILU }, plain1 = { 1, VBG_ACT_NONE },
                      tanh_all = { 0, VBG_ACT_TANH };

static const struct {
    const char *name;
    grad_formula *formula;
    grad_case g;
    float centre;
} ops[] = {
    { "group norm",
      group_formula,
      { .shape = { { 2, 5, 3, 12 } }, .inputs = 1, .op = group_op, .arg = &silu4 },
      0 },
    { "one group",
      group_formula,
      { .shape = { { 2, 7, 9, 35 } }, .inputs = 1, .op = group_op, .arg = &plain1 },
      3 },
    { "group norm in a segment",
      group_formula,
      { .shape = { { 1, 40, 41, 64 } },
        .inputs = 1,
        .op = group_op,
        .arg = &silu4,
        .checkpoint = true },
      0 },
    { "layer norm",
      layer_formula,
      { .shape = { { 2, 3, 37, 24 } }, .inputs = 1, .op = layer_op, .arg = &plain1 },
      1 },
    { "batch norm",
      batch_formula,
      { .shape = { { 3, 4, 5, 35 }, { 3, 4, 5, 35 } },
        .inputs = 2,
        .op = batch_op,
        .arg = &silu4 },
      0.5f },
    { "batch norm without activation",
      batch_formula,
      { .shape = { { 3, 4, 5, 6 }, { 3, 4, 5, 6 } },
        .inputs = 2,
        .op = batch_op,
        .arg = &plain1 },
      0 },
    { "batch norm of 1x1",
      batch_formula,
      { .shape = { { 5, 1, 1, 6 } }, .inputs = 1, .op = batch_op, .arg = &tanh_all },
      0 },
    { "batch norm, evaluation",
      batch_eval_formula,
      { .shape = { { 3, 4, 5, 35 }, { 3, 4, 5, 35 } },
        .inputs = 2,
        .op = batch_op,
        .arg = &silu4,
        .eval = true },
      0 },
    { "scale and shift",
      scale_formula,
      { .shape = { { 2, 4, 5, 17 } }, .inputs = 1, .op = scale_op, .arg = &tanh_all },
      0 },
    { "softmax",
      softmax_formula,
      { .shape = { { 2, 3, 4, 9 } }, .inputs = 1, .op = softmax_op, .arg = &plain1 },
      0 },
};
enum { OPS = sizeof ops / sizeof ops[0] };

static grad_case open_op(size_t i)
{
    grad_case g = ops[i].g;

    if (g.op != softmax_op) {
        g.params = 2;
        g.count[0] = g.count[1] = g.shape[0][3];
    }
    grad_open(&g, grad_size(g.shape[0]), ops[i].centre);
    return g;
}

/* f32: sums of up to 1e3 terms of relative error 2^-24, values around 1, differences
 * exact to 1e-7.  bf16: every tensor is rounded by 2^-9, gradients twice, and x before
 * its statistics. */
Test(norm_back, ops_like_differences)
{
    for (size_t i = 0; i < OPS; i++)
        for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
            for (int t = 0; t < 2; t++) {
                bool fast = types[t] == VBG_BF16 && isa >= VBG_ISA_AVX512_BF16;
                grad_case g = open_op(i);
                grad_run(&g, (vbg_isa)isa, types[t], 2);
                grad_check(&g, ops[i].formula, fast ? 0x1p-6 : 1e-5, ops[i].name);
                grad_close(&g);
            }
}

Test(norm_back, threads_do_not_change_a_bit)
{
    for (size_t i = 0; i < OPS; i++)
        for (int t = 0; t < 2; t++) {
            grad_case one = open_op(i);
            grad_run(&one, VBG_ISA_AMX_BF16, types[t], 1);
            for (int threads = 2; threads <= 5; threads += 3) {
                grad_case many = open_op(i);
                grad_run(&many, VBG_ISA_AMX_BF16, types[t], threads);
                grad_same(&one, &many);
                grad_close(&many);
            }
            grad_close(&one);
        }
}

/* ---- running statistics ---- */

typedef struct running {
    vbg_tape *tape;
    const float *x;
    float mean[3], var[3];
    bool train;
} running;

static vbg_tensor *running_op(vbg_ctx *c, void *arg)
{
    vbg_tensor *x = ((vbg_tensor **)arg)[0];
    running *r = ((void **)arg)[1];
    static const float one[3] = { 1, 1, 1 }, none[3] = { 0 };
    vbg_batch_norm_w w = { one, none, r->mean, r->var, 3, 1e-5f, 0.1f };

    return vbg_batch_norm(c, x, &w, NULL, VBG_ACT_NONE);
}

static vbg_status running_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    running *r = arg;

    (void)err;
    vbg_tape_start(r->tape, r->train);
    vbg_tensor *x = vbg_wrap(c, r->x, VBG_F32, 2, 2, 2, 3);
    vbg_require_grad(c, x);
    void *both[2] = { x, r };
    vbg_tensor *y =
        vbg_checkpoint(c, running_op, both, sizeof both, (const vbg_tensor *[]){ x }, 1);
    vbg_backward_from(c, y, y);
    vbg_tape_stop(r->tape);
    return VBG_OK;
}

/* Once a step, also inside a segment that is computed twice. */
Test(norm_back, running_statistics_move_once)
{
    running r = { .x = grad_values(24, 2, 1, 5), .train = true, .var = { 1, 1, 1 } };
    vbg_ctx *c;

    cr_assert_eq(vbg_ctx_new(&c, &(vbg_ctx_opt){ .threads = 1 }, NULL), VBG_OK);
    cr_assert_eq(vbg_tape_new(&r.tape, c, NULL, NULL), VBG_OK);
    cr_assert_eq(vbg_run(c, running_job, &r, NULL), VBG_OK);
    for (int j = 0; j < 3; j++) {
        double mean = 0, var = 0;
        for (int i = 0; i < 8; i++)
            mean += (double)r.x[i * 3 + j] / 8;
        for (int i = 0; i < 8; i++)
            var += pow((double)r.x[i * 3 + j] - mean, 2) / 7;
        cr_assert_float_eq(r.mean[j], 0.1 * mean, 1e-7);
        cr_assert_float_eq(r.var[j], 0.9 + 0.1 * var, 1e-7);
    }
    running before = r;
    r.train = false;
    cr_assert_eq(vbg_run(c, running_job, &r, NULL), VBG_OK);
    cr_assert(memcmp(before.mean, r.mean, sizeof r.mean + sizeof r.var) == 0);
    vbg_tape_free(r.tape);
    vbg_ctx_free(c);
    free((void *)(uintptr_t)r.x);
}
