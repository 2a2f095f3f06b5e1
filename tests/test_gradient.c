/* Backward of every elementwise and resampling op (tests/gradient.h says how). */
#include "tests/gradient.h"

#include <stdio.h>

static vbg_tensor *activation(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    return vbg_activate(c, x[0], *(vbg_act *)arg);
}

static vbg_tensor *sum_activated(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    return vbg_add(c, x[0], x[1], *(vbg_act *)arg);
}

Test(gradient, activations)
{
    for (int act = 0; act < VBG_ACTS; act++) {
        vbg_act a = (vbg_act)act;
        char name[32];
        snprintf(name, sizeof name, "activation %d", act);
        gradient_check(&(gradient_case){
            .name = name,
            .build = activation,
            .arg = &a,
            .in = { { 2, 3, 5, 37, .spread = 5, .fill = GRADIENT_STEPS } } });
        gradient_check(&(gradient_case){
            .name = name,
            .build = sum_activated,
            .arg = &a,
            .in = { { 2, 1, 5, 9, .spread = 3, .fill = GRADIENT_STEPS },
                    { 2, 1, 1, 9, .spread = 0.01f, .fill = GRADIENT_SMOOTH } } });
    }
}

static vbg_tensor *sum(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_add(c, x[0], x[1], VBG_ACT_NONE);
}

static vbg_tensor *product(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_mul(c, x[0], x[1]);
}

/* Whole tensors, one value per image and channel, one per channel; more than one part of
 * the sums over rows. */
static const int spread_out[][2][4] = {
    { { 2, 3, 5, 7 }, { 2, 3, 5, 7 } },   { { 3, 4, 5, 17 }, { 3, 1, 1, 17 } },
    { { 2, 4, 5, 33 }, { 1, 1, 1, 33 } }, { { 2, 19, 31, 3 }, { 2, 1, 1, 3 } },
    { { 2, 19, 31, 3 }, { 1, 1, 1, 3 } }, { { 1, 1, 1, 80 }, { 1, 1, 1, 80 } },
};

static gradient_input of_size(const int size[4])
{
    return (gradient_input){ .n = size[0], .h = size[1], .w = size[2], .c = size[3] };
}

Test(gradient, sums_and_products)
{
    for (size_t i = 0; i < sizeof spread_out / sizeof *spread_out; i++) {
        gradient_case g = { .name = "add",
                            .build = sum,
                            .in = { of_size(spread_out[i][0]),
                                    of_size(spread_out[i][1]) } };
        gradient_check(&g);
        g.name = "mul";
        g.build = product;
        gradient_check(&g);
    }
}

static vbg_tensor *square(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_mul(c, x[0], x[0]);
}

static vbg_tensor *scaled(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_affine(c, x[0], -1.5f, 0.25f);
}

static vbg_tensor *gated(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_geglu(c, x[0]);
}

static vbg_tensor *beside(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_concat(c, x[0], x[1]);
}

static vbg_tensor *below(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_stack(c, x[0], x[1]);
}

static vbg_tensor *cast(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_cast(c, vbg_cast(c, x[0], VBG_BF16), VBG_F32);
}

/* Views of every kind between ops. */
static vbg_tensor *parts(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    vbg_tensor *a = vbg_activate(c, x[0], VBG_ACT_SILU);
    vbg_tensor *low = vbg_images(c, a, 0, 2), *left = vbg_columns(c, low, 1, 4);
    vbg_tensor *flat = vbg_view(c, vbg_images(c, a, 1, 2), 2, 1, 12, 6);

    (void)arg;
    left = vbg_activate(c, vbg_view(c, left, 2, 1, 12, 4), VBG_ACT_TANH);
    return vbg_concat(c, vbg_mul(c, flat, flat), left);
}

Test(gradient, other_elementwise_ops)
{
    gradient_check(
        &(gradient_case){ .name = "square", .build = square, .in = { { 2, 3, 5, 19 } } });
    gradient_check(
        &(gradient_case){ .name = "affine", .build = scaled, .in = { { 2, 3, 5, 19 } } });
    gradient_check(&(gradient_case){
        .name = "geglu", .build = gated, .in = { { 2, 3, 5, 38, .spread = 3 } } });
    gradient_check(&(gradient_case){
        .name = "concat", .build = beside, .in = { { 2, 3, 5, 7 }, { 2, 3, 5, 18 } } });
    gradient_check(&(gradient_case){
        .name = "stack", .build = below, .in = { { 2, 3, 5, 7 }, { 1, 3, 5, 7 } } });
    gradient_check(
        &(gradient_case){ .name = "parts", .build = parts, .in = { { 3, 3, 4, 6 } } });
    gradient_check(&(gradient_case){ .name = "cast",
                                     .build = cast,
                                     .in = { { 2, 3, 5, 7, .fill = GRADIENT_STEPS } },
                                     .step = 1.0 / 128 });
}
