/* Norms: every ISA against the reference; group norm against a plain formula. */
#include "engine/ops.h"
#include "tests/guard.h"

static const struct {
    size_t rows, cols, pad;
    float offset;
} cases[] = {
    { 1, 1, 0, 0 },      { 1, 7, 2, 0 },   { 3, 8, 0, 0 },     /* around one vector */
    { 2, 9, 0, 0 },      { 5, 320, 0, 0 }, { 4, 1280, 16, 0 }, /* widths of the UNet */
    { 2, 333, 5, 1e3f },                                       /* mean far from zero */
    { 7, 16, 0, 0 },     { 6, 17, 1, 0 },  { 9, 65, 0, 3 },    { 12, 128, 0, -2 },
};
enum { CASES = sizeof cases / sizeof cases[0] };
static const vbg_dtype types[] = { VBG_F32, VBG_BF16 };

typedef struct setup {
    vbg_kernels ref, k;
    guarded x, y, want, gamma, beta;
    vbg_row_io io, io_ref;
} setup;

static setup open_case(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt)
{
    size_t rows = cases[i].rows, cols = cases[i].cols, ld = cols + cases[i].pad;
    setup s = { .x = guard_filled(xt, rows, cols, ld, cases[i].offset, 2, 1),
                .gamma = guard_filled(VBG_F32, 1, cols, cols, 1, 0.5f, 2),
                .beta = guard_filled(VBG_F32, 1, cols, cols, 0, 1, 3),
                .y = guard_new(yt, rows, cols, ld),
                .want = guard_new(yt, rows, cols, ld) };

    vbg_kernels_init(&s.ref, VBG_ISA_REF);
    vbg_kernels_init(&s.k, isa);
    s.io = (vbg_row_io){ .y = guard_data(&s.y),
                         .x = guard_data(&s.x),
                         .ldy = ld,
                         .ldx = ld,
                         .rows = rows,
                         .cols = cols,
                         .yt = yt,
                         .xt = xt };
    s.io_ref = s.io;
    s.io_ref.y = guard_data(&s.want);
    return s;
}

static void close_case(setup *s)
{
    guard_free(&s->x);
    guard_free(&s->y);
    guard_free(&s->want);
    guard_free(&s->gamma);
    guard_free(&s->beta);
}

/* The mean of f32 values of size m is off by about m*eps, y by that over the
 * standard deviation (about 1 here), by a few roundings of its own (|y| < 4), and by
 * one rounding to its type.  A row of one value is 0/sqrt(eps): m*eps*300. */
static void check(setup *s, size_t i, const char *what)
{
    double m = fabs((double)cases[i].offset) + 2;
    double tol = 4 * m * 0x1p-23 * (cases[i].cols == 1 ? 300 : 1) + 8 * 0x1p-23;

    guard_check(&s->y, &s->want, tol, 4 * 0x1p-23 + 2 * guard_eps(s->y.t), what, i);
    close_case(s);
}

static void try_case(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt)
{
    setup s = open_case(isa, i, xt, yt);
    const float *gamma = guard_data(&s.gamma), *beta = guard_data(&s.beta);

    s.ref.norm.layer(&s.io_ref, gamma, beta, 1e-5f);
    s.k.norm.layer(&s.io, gamma, beta, 1e-5f);
    check(&s, i, "layer norm");
    s = open_case(isa, i, xt, yt);
    s.ref.norm.layer(&s.io_ref, NULL, NULL, 1e-5f);
    s.k.norm.layer(&s.io, NULL, NULL, 1e-5f);
    check(&s, i, "plain layer norm");
    s = open_case(isa, i, xt, yt);
    s.ref.norm.softmax(&s.io_ref);
    s.k.norm.softmax(&s.io);
    check(&s, i, "softmax");
    s = open_case(isa, i, xt, yt);
    gamma = guard_data(&s.gamma);
    beta = guard_data(&s.beta);
    s.ref.norm.scale_shift(&s.io_ref, gamma, beta, NULL, 0, VBG_ACT_SILU);
    s.k.norm.scale_shift(&s.io, gamma, beta, NULL, 0, VBG_ACT_SILU);
    check(&s, i, "scale_shift");
}

static void try_sums(vbg_isa isa, size_t i, vbg_dtype xt)
{
    setup s = open_case(isa, i, xt, xt);
    double sum[2][1280] = { { 0 } }, sq[2][1280] = { { 0 } };
    float shift[1280];

    for (size_t j = 0; j < cases[i].cols; j++)
        shift[j] = cases[i].offset + 0.1f;
    s.ref.norm.channel_sums(sum[0], sq[0], shift, &s.io, 3);
    s.k.norm.channel_sums(sum[1], sq[1], shift, &s.io, 3);
    for (size_t j = 0; j < cases[i].cols; j++) {
        /* rows values of at most 2.1, each off by a rounding, 3 to a piece */
        double tol = (double)cases[i].rows * 5 * 0x1p-22;
        cr_assert(fabs(sum[1][j] - sum[0][j]) <= tol, "sum of %zu in case %zu", j, i);
        cr_assert(fabs(sq[1][j] - sq[0][j]) <= tol, "squares of %zu in case %zu", j, i);
    }
    s.k.norm.channel_sums(sum[1], NULL, NULL, &s.io, 3);
    close_case(&s);
}

Test(norm, every_isa_like_the_reference)
{
    for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++)
        for (size_t i = 0; i < CASES; i++)
            for (size_t t = 0; t < 4; t++) {
                try_case((vbg_isa)isa, i, types[t & 1], types[t >> 1]);
                try_sums((vbg_isa)isa, i, types[t & 1]);
            }
}

typedef struct group_case {
    int n, h, w, c, groups;
    float offset;
    float *x, *gamma, *beta, *y, *mean, *layer;
} group_case;

static vbg_status group_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    const group_case *g = arg;
    vbg_norm_w w = { .gamma = g->gamma, .beta = g->beta, .c = g->c };
    vbg_tensor *x = vbg_wrap(c, g->x, VBG_F32, g->n, g->h, g->w, g->c);

    (void)err;
    x = vbg_cast(c, x, vbg_ctx_act(c));
    vbg_copy_out(c, g->y, VBG_F32,
                 vbg_group_norm(c, x, &w, g->groups, 1e-5f, VBG_ACT_SILU));
    vbg_copy_out(c, g->mean, VBG_F32, vbg_global_mean(c, x));
    vbg_copy_out(c, g->layer, VBG_F32, vbg_layer_norm(c, x, &w, 1e-5f));
    return VBG_OK;
}

static void run_group(const group_case *g, vbg_isa isa, vbg_dtype precision, int threads)
{
    vbg_ctx *c;
    vbg_err err = { { 0 } };
    vbg_ctx_opt opt = { .threads = threads, .isa = isa, .precision = precision };

    cr_assert(vbg_ctx_new(&c, &opt, &err) == VBG_OK);
    cr_assert(vbg_run(c, group_job, (void *)(uintptr_t)g, &err) == VBG_OK, "%s",
              err.text);
    vbg_ctx_free(c);
}

/* Image n, group k, in plain double. */
static void group_plain(const group_case *g, size_t n, size_t k, double tol)
{
    size_t per = (size_t)(g->c / g->groups), pixels = (size_t)(g->h * g->w);
    size_t c = (size_t)g->c, c0 = k * per;
    double count = (double)(pixels * per), mean = 0, var = 0;

    for (size_t p = 0; p < pixels; p++)
        for (size_t j = c0; j < c0 + per; j++)
            mean += (double)g->x[(n * pixels + p) * c + j] / count;
    for (size_t p = 0; p < pixels; p++)
        for (size_t j = c0; j < c0 + per; j++)
            var += pow((double)g->x[(n * pixels + p) * c + j] - mean, 2) / count;
    for (size_t p = 0; p < pixels; p++)
        for (size_t j = c0; j < c0 + per; j++) {
            size_t at = (n * pixels + p) * c + j;
            double v = ((double)g->x[at] - mean) / sqrt(var + 1e-5);
            v = v * (double)g->gamma[j] + (double)g->beta[j];
            v /= 1 + exp(-v);
            cr_assert(fabs((double)g->y[at] - v) <= tol * (1 + fabs(v)),
                      "image %zu pixel %zu channel %zu: %g, %g", n, p, j,
                      (double)g->y[at], v);
        }
}

static float *values(size_t n, float centre, float spread, uint32_t seed)
{
    float *v = malloc(n * sizeof *v);

    for (size_t i = 0; i < n; i++)
        v[i] = centre + spread * guard_random(&seed);
    return v;
}

static group_case group_open(int n, int h, int w, int c, int groups, float offset)
{
    size_t count = (size_t)n * (size_t)h * (size_t)w * (size_t)c;
    group_case g = { .n = n, .h = h, .w = w, .c = c, .groups = groups, .offset = offset };

    g.x = values(count, offset, 1, 7);
    for (size_t i = 0; i < count; i++) /* the same input for f32 and bf16 */
        g.x[i] = vbg_bf16_to_f32(vbg_f32_to_bf16(g.x[i]));
    g.gamma = values((size_t)c, 1, 0.5f, 8);
    g.beta = values((size_t)c, 0, 0.5f, 9);
    g.y = values(count, 0, 0, 1);
    g.mean = values((size_t)(n * c), 0, 0, 1);
    g.layer = values(count, 0, 0, 1);
    return g;
}

static void group_close(group_case *g)
{
    free(g->x);
    free(g->gamma);
    free(g->beta);
    free(g->y);
    free(g->mean);
    free(g->layer);
}

Test(norm, group_norm_like_the_formula)
{
    static const struct {
        int n, h, w, c, groups;
        float offset;
    } shapes[] = { { 1, 1, 1, 4, 2, 0 },     { 2, 5, 3, 6, 3, 0 },
                   { 1, 9, 7, 32, 32, 2 },   { 2, 8, 8, 320, 32, 0 },
                   { 1, 33, 31, 64, 32, 0 }, { 1, 40, 40, 96, 4, 50 } };

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
            for (int t = 0; t < 2; t++) {
                group_case g =
                    group_open(shapes[i].n, shapes[i].h, shapes[i].w, shapes[i].c,
                               shapes[i].groups, shapes[i].offset);
                /* offset*eps over a deviation of 0.6, SiLU's slope up to 1.1 */
                double tol = (fabs((double)g.offset) + 4) * 4 * 0x1p-23;
                if (types[t] == VBG_BF16 && isa >= VBG_ISA_AVX512_BF16)
                    tol += 0x1p-8;
                run_group(&g, (vbg_isa)isa, types[t], 2);
                for (int n = 0; n < g.n; n++)
                    for (int k = 0; k < g.groups; k++)
                        group_plain(&g, (size_t)n, (size_t)k, tol);
                group_close(&g);
            }
}

Test(norm, threads_do_not_change_a_bit)
{
    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++) {
        group_case one = group_open(2, 37, 41, 96, 32, 0);
        run_group(&one, (vbg_isa)isa, VBG_BF16, 1);
        for (int threads = 2; threads <= 5; threads += 3) {
            group_case many = group_open(2, 37, 41, 96, 32, 0);
            run_group(&many, (vbg_isa)isa, VBG_BF16, threads);
            size_t count = 2 * 37 * 41 * 96;
            cr_assert(memcmp(one.y, many.y, count * sizeof(float)) == 0);
            cr_assert(memcmp(one.layer, many.layer, count * sizeof(float)) == 0);
            cr_assert(memcmp(one.mean, many.mean, 2 * 96 * sizeof(float)) == 0);
            group_close(&many);
        }
        group_close(&one);
    }
}
