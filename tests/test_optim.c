/* Parameter updates: every ISA against the reference, and the optimiser around them. */
#include "engine/optim.h"
#include "engine/schedule.h"
#include "engine/tensor.h"
#include "tests/guard.h"

/* Around one vector, around the blocks of the sum of squares. */
static const size_t counts[] = { 1, 7, 8, 9, 15, 16, 17, 33, 255, 256, 257, 1000 };
enum { COUNTS = sizeof counts / sizeof *counts, ARRAYS = 6 };

static const struct {
    const char *what;
    int rule; /* 0 sgd, 1 adam, 2 rmsprop */
    bool m, vmax, ema, nesterov;
    float decay, shrink;
} cases[] = {
    { "sgd", 0, false, false, false, false, 0, 1 },
    { "sgd momentum", 0, true, false, true, false, 0.01f, 1 },
    { "sgd nesterov", 0, true, false, false, true, 0, 1 },
    { "adam", 1, true, false, false, false, 0.01f, 1 },
    { "adamw ema", 1, true, false, true, false, 0, 0.99f },
    { "amsgrad", 1, true, true, true, false, 0, 1 },
    { "rmsprop", 2, false, false, false, false, 0, 1 },
    { "rmsprop momentum", 2, true, false, true, false, 0.1f, 1 },
};
enum { CASES = sizeof cases / sizeof *cases };

/* value, grad, m, v, vmax, ema of one run. */
typedef struct arrays {
    guarded a[ARRAYS];
} arrays;

static arrays open_arrays(size_t n)
{
    arrays s;

    for (uint32_t i = 0; i < ARRAYS; i++) /* mean squares are positive */
        s.a[i] = guard_filled(VBG_F32, 1, n, n, i == 3 || i == 4 ? 0.6f : 0, 0.5f, i + 1);
    return s;
}

static float *use(arrays *s, int i, bool used)
{
    return used ? guard_data(&s->a[i]) : NULL;
}

static vbg_update update_of(arrays *s, size_t c, size_t n)
{
    return (vbg_update){ .value = use(s, 0, true),
                         .grad = use(s, 1, true),
                         .m = use(s, 2, cases[c].m),
                         .v = use(s, 3, cases[c].rule > 0),
                         .vmax = use(s, 4, cases[c].vmax),
                         .ema = use(s, 5, cases[c].ema),
                         .count = n,
                         .grad_scale = 0.7f,
                         .decay = cases[c].decay,
                         .shrink = cases[c].shrink,
                         .lr = 0.1f,
                         .beta1 = 0.9f,
                         .beta1_rest = cases[c].rule == 1 ? 0.1f : 1,
                         .beta2 = 0.99f,
                         .beta2_rest = 0.01f,
                         .root_scale = 1.25f,
                         .eps = 1e-8f,
                         .ema_decay = 0.95f,
                         .ema_rest = 0.05f,
                         .nesterov = cases[c].nesterov };
}

static void run_rule(const vbg_kernels *k, int rule, const vbg_update *u)
{
    (rule == 0 ? k->optim.sgd : rule == 1 ? k->optim.adam : k->optim.rmsprop)(u);
}

/* Values are at most 1, the mean squares at least 0.1, so a step is at most a few times
 * lr; a rule has fewer than 12 roundings. */
Test(optim, every_isa_like_the_reference)
{
    for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++)
        for (size_t c = 0; c < CASES; c++)
            for (size_t i = 0; i < COUNTS; i++) {
                vbg_kernels ref, k;
                arrays want = open_arrays(counts[i]), got = open_arrays(counts[i]);
                vbg_update uw = update_of(&want, c, counts[i]);
                vbg_update ug = update_of(&got, c, counts[i]);
                vbg_kernels_init(&ref, VBG_ISA_REF);
                vbg_kernels_init(&k, (vbg_isa)isa);
                run_rule(&ref, cases[c].rule, &uw);
                run_rule(&k, cases[c].rule, &ug);
                for (int a = 0; a < ARRAYS; a++) {
                    guard_check(&got.a[a], &want.a[a], 12 * 0x1p-24, 12 * 0x1p-24,
                                cases[c].what, i * 10 + (size_t)a);
                    guard_free(&got.a[a]);
                    guard_free(&want.a[a]);
                }
            }
}

Test(optim, sum_of_squares)
{
    for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++)
        for (size_t i = 0; i < COUNTS; i++) {
            vbg_kernels ref, k;
            guarded x = guard_filled(VBG_F32, 1, counts[i], counts[i], 0, 1e3f, 3);
            vbg_kernels_init(&ref, VBG_ISA_REF);
            vbg_kernels_init(&k, (vbg_isa)isa);
            double want = ref.optim.squares(guard_data(&x), counts[i]);
            double got = k.optim.squares(guard_data(&x), counts[i]);
            /* at most 256 / 8 additions and 4 of the lanes in f32 */
            cr_assert(fabs(got - want) <= 36 * 0x1p-24 * want, "%zu values: %g, want %g",
                      counts[i], got, want);
            guard_free(&x);
        }
}

/* ---- the optimiser ---- */

static vbg_ctx *new_ctx(int threads)
{
    vbg_ctx *c = NULL;
    vbg_err err = { 0 };
    vbg_ctx_opt o = { .threads = threads, .isa = VBG_ISA_AMX_BF16, .precision = VBG_F32 };

    cr_assert(vbg_ctx_new(&c, &o, &err) == VBG_OK, "%s", err.text);
    return c;
}

static vbg_param *take(vbg_params *p, const char *name, int rank, int64_t count)
{
    vbg_entry e = { .component = "m", .name = name, .rank = rank, .dim = { count, 1 } };
    vbg_param *m = vbg_params_take(p, NULL, &e, VBG_INIT_NORMAL, 1);

    cr_assert(m != NULL);
    return m;
}

static vbg_params *new_params(void)
{
    vbg_params *p = NULL;
    vbg_err err = { 0 };

    cr_assert(vbg_params_new(&p, VBG_F32, &err) == VBG_OK);
    vbg_params_declare(p, 7);
    vbg_params_select(p, "m", "*", true);
    take(p, "weight", 2, 50000);
    take(p, "bias", 1, 100);
    vbg_param_is_buffer(take(p, "mean", 1, 10));
    return p;
}

static vbg_optim *new_optim(vbg_params *p, const vbg_optim_opt *opt)
{
    vbg_optim *o = NULL;
    vbg_err err = { 0 };

    cr_assert(vbg_optim_new(&o, p, opt, &err) == VBG_OK, "%s", err.text);
    return o;
}

static void fill_gradient(vbg_params *p, uint32_t seed)
{
    for (size_t i = 0; i < vbg_params_count(p); i++) {
        vbg_param *m = vbg_params_at(p, i);
        for (size_t j = 0; m->grad && j < m->count; j++)
            m->grad[j] = guard_random(&seed);
    }
}

Test(optim, threads_do_not_change_a_bit)
{
    static const int threads[] = { 1, 2, 5 };
    float *first = NULL;

    for (int t = 0; t < 3; t++) {
        vbg_params *p = new_params();
        vbg_ctx *c = new_ctx(threads[t]);
        vbg_optim_opt opt = vbg_optim_defaults(VBG_ADAMW);
        opt.clip = 1;
        opt.ema = 0.9;
        vbg_optim *o = new_optim(p, &opt);
        for (uint32_t s = 0; s < 3; s++) {
            fill_gradient(p, s);
            vbg_optim_step(o, c, 0.01, 0.5);
        }
        vbg_param *m = vbg_params_at(p, 0);
        size_t bytes = m->count * sizeof(float);
        if (!first) {
            first = malloc(bytes);
            memcpy(first, m->value, bytes);
        }
        cr_assert(memcmp(first, m->value, bytes) == 0, "%d threads differ", threads[t]);
        vbg_optim_free(o);
        vbg_ctx_free(c);
        vbg_params_free(p);
    }
    free(first);
}

Test(optim, groups_decay_and_buffers)
{
    vbg_params *p = new_params();
    vbg_ctx *c = new_ctx(1);
    vbg_optim_opt opt = vbg_optim_defaults(VBG_SGD);
    opt.weight_decay = 0.5;
    vbg_optim *o = new_optim(p, &opt);
    float *w = vbg_params_at(p, 0)->value, *b = vbg_params_at(p, 1)->value;
    float w0 = w[3], b0 = b[3], mean = vbg_params_at(p, 2)->value[3];

    vbg_optim_step(o, c, 0.1, 1); /* no gradient: only rank 2 shrinks */
    cr_assert_float_eq(w[3], w0 * 0.95f, 1e-6);
    cr_assert(b[3] == b0);
    vbg_optim_group(o, "m", "bi*", 10, -1);
    vbg_params_at(p, 1)->grad[3] = 1;
    vbg_optim_step(o, c, 0.1, 1);
    cr_assert_float_eq(b[3], b0 - 1, 1e-6);
    cr_assert(vbg_params_at(p, 1)->grad[3] == 0);
    cr_assert(vbg_params_at(p, 2)->value[3] == mean);
    vbg_optim_free(o);
    vbg_ctx_free(c);
    vbg_params_free(p);
}

/* A gradient that is not finite leaves everything as it was. */
Test(optim, not_a_number)
{
    vbg_params *p = new_params();
    vbg_ctx *c = new_ctx(2);
    vbg_optim_opt opt = vbg_optim_defaults(VBG_ADAM);
    vbg_optim *o = new_optim(p, &opt);
    float *w = vbg_params_at(p, 0)->value, w0 = w[7];

    vbg_params_at(p, 0)->grad[49999] = NAN;
    cr_assert(!isfinite(vbg_optim_step(o, c, 0.1, 1)));
    cr_assert(w[7] == w0 && vbg_optim_steps(o) == 0);
    cr_assert(vbg_params_at(p, 0)->grad[49999] == 0);
    vbg_optim_free(o);
    vbg_ctx_free(c);
    vbg_params_free(p);
}

Test(optim, averages_swap_and_warm_up)
{
    vbg_params *p = new_params();
    vbg_ctx *c = new_ctx(1);
    vbg_optim_opt opt = vbg_optim_defaults(VBG_SGD);
    opt.ema = 0.9;
    opt.ema_warmup = true;
    vbg_optim *o = new_optim(p, &opt);
    float *b = vbg_params_at(p, 1)->value, b0 = b[0];

    vbg_params_at(p, 1)->grad[0] = 1;
    vbg_optim_step(o, c, 1, 1);
    vbg_optim_swap_ema(o, c, 0); /* first step: decay 1/10 */
    cr_assert_float_eq(b[0], 0.1f * b0 + 0.9f * (b0 - 1), 1e-6);
    vbg_optim_swap_ema(o, c, 0);
    cr_assert_float_eq(b[0], b0 - 1, 1e-6);
    vbg_optim_free(o);
    vbg_ctx_free(c);
    vbg_params_free(p);
}

/* Two averages beside each other, each with its own decay. */
Test(optim, two_averages)
{
    vbg_params *p = new_params();
    vbg_ctx *c = new_ctx(2);
    vbg_optim_opt opt = vbg_optim_defaults(VBG_ADAMW);
    opt.ema = 0.9;
    opt.ema2 = 0.5;
    vbg_optim *o = new_optim(p, &opt);
    float *b = vbg_params_at(p, 1)->value;
    float slow = b[0], fast = b[0];

    for (int step = 0; step < 3; step++) {
        vbg_params_at(p, 1)->grad[0] = (float)(1 - step);
        vbg_optim_step(o, c, 0.1, 1);
        slow = 0.9f * slow + 0.1f * b[0];
        fast = 0.5f * fast + 0.5f * b[0];
    }
    const float now = b[0];
    vbg_optim_swap_ema(o, c, 0);
    cr_assert_float_eq(b[0], slow, 1e-6);
    vbg_optim_swap_ema(o, c, 0);
    vbg_optim_swap_ema(o, c, 1);
    cr_assert_float_eq(b[0], fast, 1e-6);
    vbg_optim_swap_ema(o, c, 1);
    cr_assert_eq(b[0], now);
    vbg_optim_free(o);
    vbg_ctx_free(c);
    vbg_params_free(p);
}

Test(schedule, parts_follow_each_other)
{
    vbg_schedule s = { .decay = VBG_DECAY_LINEAR,
                       .total = 100,
                       .warmup = 10,
                       .warmup_from = 0.1,
                       .hold = 0.5,
                       .min = 0.01 };

    cr_assert_float_eq(vbg_schedule_at(&s, 0), 0.1, 1e-12);
    cr_assert_float_eq(vbg_schedule_at(&s, 5), 0.55, 1e-12);
    cr_assert_float_eq(vbg_schedule_at(&s, 10), 1, 1e-12);
    cr_assert_float_eq(vbg_schedule_at(&s, 55), 1, 1e-12);
    cr_assert_float_eq(vbg_schedule_at(&s, 77.5), 0.5, 1e-12);
    cr_assert_float_eq(vbg_schedule_at(&s, 100), 0.01, 1e-12);
    cr_assert_float_eq(vbg_schedule_at(&s, 1000), 0.01, 1e-12);
    s.decay = VBG_DECAY_CONSTANT;
    cr_assert_float_eq(vbg_schedule_at(&s, 99), 1, 1e-12);
}
