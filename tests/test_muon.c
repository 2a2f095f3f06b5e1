/* Muon: directions against a plain reference in double, matrices whose result is known in
 * closed form, and the update around them. */
#include "engine/muon.h"

#include "engine/optim.h"
#include "tests/guard.h"

static vbg_ctx *new_ctx(int threads, vbg_isa isa)
{
    vbg_ctx *c = NULL;
    vbg_ctx_opt o = { .threads = threads, .isa = isa, .precision = VBG_F32 };

    cr_assert(vbg_ctx_new(&c, &o, NULL) == VBG_OK);
    return c;
}

/* One step of a singular value. */
static double push(double s)
{
    return 3.4445 * s - 4.7750 * s * s * s + 2.0315 * s * s * s * s * s;
}

static double pushed(double s)
{
    for (int i = 0; i < 5; i++)
        s = push(s);
    return s;
}

/* y[r][c] = x[r][k] w[c][k]' or, turned, x[r][k] w[k][c]. */
static void product(double *y, const double *x, const double *w, int r, int c, int k,
                    bool turned)
{
    for (int i = 0; i < r; i++)
        for (int o = 0; o < c; o++) {
            double sum = 0;
            for (int j = 0; j < k; j++)
                sum += x[i * k + j] * (turned ? w[j * c + o] : w[o * k + j]);
            y[i * c + o] = sum;
        }
}

/* As the definition says, without turning: A = X X' of the rows' side, large or not. */
static void reference(double *x, int rows, int cols)
{
    double *a = calloc((size_t)(rows * rows), sizeof *a);
    double *aa = calloc((size_t)(rows * rows), sizeof *aa);
    double *y = calloc((size_t)(rows * cols), sizeof *y), norm = 0;

    for (int i = 0; i < rows * cols; i++)
        norm += x[i] * x[i];
    for (int i = 0; i < rows * cols; i++)
        x[i] /= sqrt(norm);
    for (int step = 0; step < 5; step++) {
        product(a, x, x, rows, rows, cols, false);
        product(aa, a, a, rows, rows, rows, false);
        for (int i = 0; i < rows * rows; i++)
            a[i] = -4.7750 * a[i] + 2.0315 * aa[i];
        product(y, a, x, rows, cols, rows, true);
        for (int i = 0; i < rows * cols; i++)
            x[i] = 3.4445 * x[i] + y[i];
    }
    free(a);
    free(aa);
    free(y);
}

static const int sides[][2] = { { 2, 2 },   { 2, 9 },   { 17, 5 },  { 16, 144 },
                                { 33, 33 }, { 100, 7 }, { 65, 130 } };

static void direction(vbg_ctx *c, float *g, int rows, int cols)
{
    vbg_muon *m = NULL;

    cr_assert(vbg_muon_new(&m, (size_t)rows, (size_t)cols, NULL) == VBG_OK);
    vbg_muon_direction(m, c, g, (size_t)rows, (size_t)cols);
    vbg_muon_free(m);
}

/* f32 rounds a step's entries (below 1) at 6e-8 times the root of the terms of a sum; the
 * steps enlarge what is small by up to 3.4445 each, 485 in all: 5e-4 at most, of entries
 * that are about 1/sqrt(larger side); a tenth of it is what the worst of them needs. */
Test(muon, like_the_reference_on_every_isa)
{
    for (int isa = VBG_ISA_REF; isa <= VBG_ISA_AMX_BF16; isa++) {
        vbg_ctx *c = new_ctx(2, (vbg_isa)isa);
        for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
            const int rows = sides[i][0], cols = sides[i][1], n = rows * cols;
            guarded g =
                guard_filled(VBG_F32, (size_t)rows, (size_t)cols, (size_t)cols, 0, 3, 5);
            double *want = calloc((size_t)n, sizeof *want);
            float *got = guard_data(&g);
            for (int k = 0; k < n; k++)
                want[k] = (double)got[k];
            reference(want, rows, cols);
            direction(c, got, rows, cols);
            for (int k = 0; k < n; k++)
                cr_assert(fabs((double)got[k] - want[k]) < 5e-5,
                          "isa %d, %dx%d at %d: %g, want %g", isa, rows, cols, k,
                          (double)got[k], want[k]);
            free(want);
            guard_free(&g);
        }
        vbg_ctx_free(c);
    }
}

/* A diagonal stays one: each value goes its own way, and the signs stay. */
Test(muon, diagonals)
{
    enum { N = 4, COLS = 6 };
    const double s[N] = { 3, -2, 0.5, 0 };
    float g[N * COLS] = { 0 };
    vbg_ctx *c = new_ctx(1, VBG_ISA_BEST);
    double norm = 0;

    for (int i = 0; i < N; i++) {
        g[i * COLS + i] = (float)s[i];
        norm += s[i] * s[i];
    }
    direction(c, g, N, COLS);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < COLS; k++)
            cr_assert_float_eq((double)g[i * COLS + k],
                               k == i ? pushed(s[i] / sqrt(norm)) : 0, 1e-5);
    memset(g, 0, sizeof g);
    direction(c, g, N, COLS);
    for (int i = 0; i < N * COLS; i++)
        cr_assert_eq(g[i], 0);
    vbg_ctx_free(c);
}

/* ---- the update ---- */

enum { ROWS = 8, COLS = 12 };

static vbg_params *new_params(int rows, int cols)
{
    const vbg_entry weight = { .component = "m",
                               .name = "weight",
                               .layout = VBG_LAYOUT_PACK16,
                               .dtype = VBG_F32,
                               .rank = 2,
                               .dim = { rows, cols } };
    const vbg_entry bias = { .component = "m", .name = "bias", .rank = 1, .dim = { 5 } };
    vbg_params *p = NULL;

    cr_assert(vbg_params_new(&p, VBG_F32, NULL) == VBG_OK);
    vbg_params_declare(p, 7);
    vbg_params_select(p, "m", "*", true);
    cr_assert(vbg_params_take(p, NULL, &weight, VBG_INIT_NORMAL, 1) != NULL);
    cr_assert(vbg_params_take(p, NULL, &bias, VBG_INIT_NORMAL, 1) != NULL);
    return p;
}

/* Two steps with the same gradient, 4 on the diagonal: the direction is the same both
 * times; the bias follows AdamW, whose first steps are lr times the sign. */
Test(muon, updates)
{
    vbg_params *p = new_params(ROWS, COLS);
    vbg_ctx *c = new_ctx(2, VBG_ISA_BEST);
    vbg_optim_opt opt = vbg_optim_defaults(VBG_MUON);
    vbg_optim *o = NULL;
    vbg_param *w = vbg_params_at(p, 0), *b = vbg_params_at(p, 1);
    const double lr = 0.01, entry = 0.2 * sqrt(COLS) * pushed(1 / sqrt(ROWS));
    double want[ROWS * COLS], bias = (double)b->value[2];

    opt.weight_decay = 0.5;
    cr_assert(vbg_optim_new(&o, p, &opt, NULL) == VBG_OK);
    cr_assert(vbg_optim_slot(o, 0, 0) && !vbg_optim_slot(o, 0, 1) &&
              vbg_optim_slot(o, 1, 1));
    for (int i = 0; i < ROWS * COLS; i++)
        want[i] = (double)w->value[i];
    for (int step = 0; step < 2; step++) {
        for (int i = 0; i < ROWS * COLS; i++)
            want[i] = want[i] * (1 - lr * 0.5) - (i % (COLS + 1) ? 0 : lr * entry);
        for (int i = 0; i < ROWS; i++)
            w->grad[i * COLS + i] = 4;
        b->grad[2] = -3;
        bias += lr;
        vbg_optim_step(o, c, lr, 1);
    }
    for (int i = 0; i < ROWS * COLS; i++) {
        cr_assert_float_eq((double)w->value[i], want[i], 1e-6);
        cr_assert_eq(w->grad[i], 0);
    }
    cr_assert_float_eq((double)vbg_optim_slot(o, 0, 0)[0], 4 + 0.95 * 4, 1e-5);
    cr_assert_float_eq((double)b->value[2], bias, 1e-6);
    vbg_optim_free(o);
    vbg_ctx_free(c);
    vbg_params_free(p);
}

Test(muon, threads_do_not_change_a_bit)
{
    static const int threads[] = { 1, 2, 5 };
    enum { R = 70, C = 200 };
    float first[R * C];

    for (int t = 0; t < 3; t++) {
        vbg_params *p = new_params(R, C);
        vbg_ctx *c = new_ctx(threads[t], VBG_ISA_BEST);
        vbg_optim_opt opt = vbg_optim_defaults(VBG_MUON);
        vbg_optim *o = NULL;
        vbg_param *w = vbg_params_at(p, 0);
        opt.clip = 1;
        opt.ema = 0.9;
        cr_assert(vbg_optim_new(&o, p, &opt, NULL) == VBG_OK);
        for (uint32_t step = 0, seed = 1; step < 3; step++) {
            for (int i = 0; i < R * C; i++)
                w->grad[i] = guard_random(&seed);
            vbg_optim_step(o, c, 0.01, 0.5);
        }
        if (t == 0)
            memcpy(first, w->value, sizeof first);
        cr_assert(memcmp(first, w->value, sizeof first) == 0, "%d threads", threads[t]);
        vbg_optim_free(o);
        vbg_ctx_free(c);
        vbg_params_free(p);
    }
}
