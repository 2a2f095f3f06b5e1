/* Losses: values worked by hand, gradients by differences (tests/gradient.h), the ends.
 */
#include "engine/loss.h"
#include "tests/gradient.h"

#include <stdio.h>

typedef vbg_tensor *pair_loss(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *target);

static vbg_tensor *against(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    return (*(pair_loss **)arg)(c, x[0], x[1]);
}

static vbg_tensor *weighted(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_loss_mse_weighted(c, x[0], x[1], x[2]);
}

/* The loss is one f32 value and each gradient about 1/count of it, so differences are
 * good to 6e-8 count / step = 1e-3 only. */
Test(loss, gradients_of_pairs)
{
    pair_loss *losses[] = { vbg_loss_mse, vbg_loss_l1, vbg_loss_smooth_l1, vbg_loss_bce,
                            vbg_loss_dice };

    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        char name[16];
        snprintf(name, sizeof name, "loss %zu", i);
        gradient_check(
            &(gradient_case){ .name = name,
                              .build = against,
                              .arg = &losses[i],
                              .in = { { .n = 2, 3, 5, 7, .fill = GRADIENT_STEPS },
                                      { .n = 2,
                                        3,
                                        5,
                                        7,
                                        .centre = 0.5f,
                                        .spread = 0.05f,
                                        .constant = true } },
                              .step = 1.0 / 32,
                              .tol = 5e-3 });
    }
    gradient_check(&(gradient_case){
        .name = "weighted",
        .build = weighted,
        .in = { { .n = 3, 3, 5, 2 },
                { .n = 3, 3, 5, 2, .constant = true },
                { .n = 3, 1, 1, 1, .centre = 1, .constant = true, .f32 = true } },
        .step = 1.0 / 16,
        .tol = 5e-3 });
    /* more than one run of rows */
    gradient_check(&(gradient_case){
        .name = "long",
        .build = against,
        .arg = &losses[0],
        .in = { { .n = 2, 70, 80, 9 }, { .n = 2, 70, 80, 9, .constant = true } },
        .step = 4,
        .tol = 5e-2 });
}

enum { N = 2, H = 7, W = 9, CLASSES = 5 };

typedef struct labelled {
    int32_t labels[N * H * W];
    float weight[CLASSES];
    bool hard;
    float threshold;
    int64_t kept;
} labelled;

static vbg_tensor *by_class(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    labelled *l = arg;
    vbg_tensor *labels = vbg_wrap(c, l->labels, VBG_I32, N, H, W, 1);

    if (l->hard)
        return vbg_loss_ohem(
            c, x[0], labels,
            (vbg_ohem_opt){ .ignore = 255, .threshold = l->threshold, .kept = &l->kept });
    return vbg_loss_cross_entropy(
        c, x[0], labels,
        (vbg_cross_entropy_opt){ .ignore = 255,
                                 .weight = l->weight[0] > 0 ? l->weight : NULL });
}

static labelled some_labels(void)
{
    labelled l = { .threshold = 0.5f };

    for (int i = 0; i < N * H * W; i++)
        l.labels[i] = i % 7 == 3 ? 255 : i * i % CLASSES;
    return l;
}

Test(loss, gradients_by_class)
{
    labelled l = some_labels();
    gradient_case g = { .name = "cross entropy",
                        .build = by_class,
                        .arg = &l,
                        .in = { { .n = N, H, W, CLASSES } },
                        .step = 1.0 / 16,
                        .tol = 1e-2 };

    gradient_check(&g);
    for (int k = 0; k < CLASSES; k++)
        l.weight[k] = 0.5f + (float)k;
    g.name = "weighted cross entropy";
    gradient_check(&g);
    l.hard = true;
    g.name = "hard pixels";
    g.step = 1.0 / 256; /* a larger one changes which pixels are hard */
    g.tol = 5e-2;
    g.tol_bf16 = 5e-2;
    gradient_check(&g);
    cr_assert(l.kept > N * H * W / 16);
    l.threshold = 1e-6f; /* nothing is as hard as that: the 1/16 with the largest loss */
    gradient_check(&g);
    cr_assert_eq(l.kept, (N * H * W - N * H * W / 7) / 16);
}

/* One loss of x against target, forward alone. */
typedef struct value_run {
    const float *x, *target;
    const int32_t *labels;
    int count, classes;
    pair_loss *pair;
    bool hard;
    int64_t kept;
    float y;
} value_run;

static vbg_status value_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    value_run *r = arg;
    vbg_tensor *x = vbg_wrap(c, r->x, VBG_F32, 1, 1, r->count, r->classes), *y;

    (void)err;
    if (r->pair) {
        y = r->pair(c, x, vbg_wrap(c, r->target, VBG_F32, 1, 1, r->count, r->classes));
    } else {
        vbg_tensor *labels = vbg_wrap(c, r->labels, VBG_I32, 1, 1, r->count, 1);
        vbg_ohem_opt o = { .ignore = 9, .threshold = 1e-3f, .kept = &r->kept };
        vbg_cross_entropy_opt e = { .ignore = 9 };
        y = r->hard ? vbg_loss_ohem(c, x, labels, o)
                    : vbg_loss_cross_entropy(c, x, labels, e);
    }
    vbg_copy_out(c, &r->y, VBG_F32, y);
    return VBG_OK;
}

static float value_of(value_run *r)
{
    vbg_ctx *c;

    cr_assert(vbg_ctx_new(&c, &(vbg_ctx_opt){ .threads = 1 }, NULL) == VBG_OK);
    cr_assert(vbg_run(c, value_job, r, NULL) == VBG_OK);
    vbg_ctx_free(c);
    return r->y;
}

Test(loss, values)
{
    static const float x[] = { 1, -2, 0.5f, 3 }, t[] = { 0, -2, 1, 0 };
    static const float far[] = { 200, -200, 200, -200 }, bit[] = { 1, 0, 0, 1 };
    static const float low[] = { -100, -100, -100, -100 }, none[4] = { 0 };
    value_run r = { .x = x, .target = t, .count = 4, .classes = 1, .pair = vbg_loss_mse };

    cr_assert_float_eq(value_of(&r), (1 + 0 + 0.25f + 9) / 4, 1e-6);
    r.pair = vbg_loss_l1;
    cr_assert_float_eq(value_of(&r), 4.5f / 4, 1e-6);
    r.pair = vbg_loss_smooth_l1;
    cr_assert_float_eq(value_of(&r), (0.5f + 0.125f + 2.5f) / 4, 1e-6);
    r.pair = vbg_loss_bce;
    r.x = far;
    r.target = bit;
    cr_assert_float_eq(value_of(&r), 100, 1e-4);
    r.pair = vbg_loss_dice;
    cr_assert_float_eq(value_of(&r), 1 - 2 / (2 + 2 + 1e-5f), 1e-6);
    r.x = low; /* nothing found where nothing is: 1 by definition */
    r.target = none;
    cr_assert_float_eq(value_of(&r), 1, 1e-6);
}

/* All pixels left out, and fewer than 16 of them: 0, not 0/0. */
Test(loss, nothing_to_average)
{
    static const float x[] = { 1, 2, 3, 4, 5, 6 };
    static const int32_t out[] = { 9, 9, 9 }, in[] = { 1, 1, 1 };
    value_run r = { .x = x, .labels = out, .count = 3, .classes = 2 };

    cr_assert_eq(value_of(&r), 0);
    r.hard = true;
    cr_assert_eq(value_of(&r), 0);
    r.labels = in;
    cr_assert_eq(value_of(&r), 0);
    cr_assert_eq(r.kept, 0);
}

/* ---- two processes ---- */

enum { SHARED = 12, CLASS3 = 3 };

/* Weighted cross entropy of `count` pixels from `first`, on a tape. */
typedef struct part_run {
    vbg_tape *tape;
    const float *x;
    const int32_t *labels;
    int first, count;
    double weights, y; /* weights: mean of both processes' sums */
    float dx[SHARED * CLASS3];
} part_run;

static void other_process(void *arg, double *v, int n)
{
    const part_run *r = arg;

    cr_assert_eq(n, 1);
    *v = 2 * r->weights;
}

static vbg_status part_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    static const float weight[CLASS3] = { 0.25f, 1, 3 };
    part_run *r = arg;
    const vbg_cross_entropy_opt o = { .ignore = 9, .weight = weight };

    (void)err;
    vbg_tape_start(r->tape, true);
    vbg_tensor *x =
        vbg_wrap(c, r->x + r->first * CLASS3, VBG_F32, 1, 1, r->count, CLASS3);
    vbg_require_grad(c, x);
    vbg_tensor *labels = vbg_wrap(c, r->labels + r->first, VBG_I32, 1, 1, r->count, 1);
    vbg_tensor *y = vbg_loss_cross_entropy(c, x, labels, o);
    vbg_backward(c, y);
    if (!vbg_planning(c)) {
        r->y = (double)*(const float *)y->data;
        memcpy(r->dx + r->first * CLASS3, vbg_grad(c, x)->data,
               (size_t)r->count * CLASS3 * sizeof(float));
    }
    vbg_tape_stop(r->tape);
    return VBG_OK;
}

/* Two processes with unequal parts of the pixels that count: the mean of their losses and
 * gradients is that of all pixels, where each divides by the weights of both. */
Test(loss, weights_of_all_processes)
{
    float x[SHARED * CLASS3], whole[SHARED * CLASS3];
    static const int32_t labels[SHARED] = { 0, 9, 0, 1, 9, 9, 2, 2, 1, 2, 2, 0 };
    part_run r = { .x = x, .labels = labels, .count = SHARED };
    vbg_ctx *c;

    for (int i = 0; i < SHARED * CLASS3; i++)
        x[i] = (float)(i * i % 11) / 4;
    cr_assert(vbg_ctx_new(&c, &(vbg_ctx_opt){ .threads = 1 }, NULL) == VBG_OK);
    cr_assert(vbg_tape_new(&r.tape, c, NULL, NULL) == VBG_OK);
    cr_assert(vbg_run(c, part_job, &r, NULL) == VBG_OK);
    memcpy(whole, r.dx, sizeof whole);
    const double loss = r.y;
    double both = 0;
    r.weights = (3 * 0.25 + 2 * 1 + 4 * 3) / 2;
    vbg_tape_share(r.tape, 2, other_process, &r);
    for (r.first = 0, r.count = SHARED / 2; r.first < SHARED; r.first += r.count) {
        cr_assert(vbg_run(c, part_job, &r, NULL) == VBG_OK);
        both += r.y / 2;
    }
    cr_assert_float_eq(both, loss, 1e-6);
    for (int i = 0; i < SHARED * CLASS3; i++)
        cr_assert_float_eq(r.dx[i] / 2, whole[i], 1e-7, "%d: %g, %g", i, r.dx[i] / 2,
                           whole[i]);
    vbg_tape_free(r.tape);
    vbg_ctx_free(c);
}

static vbg_tensor *combined(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    vbg_tensor *terms[] = { vbg_loss_dice(c, x[0], x[1]), vbg_loss_bce(c, x[0], x[1]) };
    static const float weight[] = { 0.25f, 0.75f };

    (void)arg;
    return vbg_loss_sum(c, terms, weight, 2);
}

Test(loss, sums)
{
    gradient_check(&(gradient_case){
        .name = "dice and cross entropy",
        .build = combined,
        .in = { { .n = 2, 3, 5, 3 },
                { .n = 2, 3, 5, 3, .centre = 0.5f, .spread = 0.5f, .constant = true } },
        .step = 1.0 / 32,
        .tol = 5e-3 });
}

static vbg_tensor *variation(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    return vbg_loss_variation(c, x[0], *(bool *)arg);
}

static vbg_tensor *gram(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_gram(c, x[0]);
}

Test(loss, style)
{
    bool squared = true;
    gradient_case g = { .name = "variation",
                        .build = variation,
                        .arg = &squared,
                        .in = { { .n = 2, 5, 6, 3, .fill = GRADIENT_DISTINCT } },
                        .tol = 1e-2 };

    gradient_check(&g);
    squared = false;
    gradient_check(&g);
    gradient_check(
        &(gradient_case){ .name = "Gram", .build = gram, .in = { { .n = 2, 5, 6, 7 } } });
}
