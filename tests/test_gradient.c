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
            .in = { { .n = 2, 3, 5, 37, .spread = 5, .fill = GRADIENT_STEPS } } });
        gradient_check(&(gradient_case){
            .name = name,
            .build = sum_activated,
            .arg = &a,
            .in = { { .n = 2, 1, 5, 9, .spread = 3, .fill = GRADIENT_STEPS },
                    { .n = 2, 1, 1, 9, .spread = 0.01f, .fill = GRADIENT_SMOOTH } } });
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
    gradient_check(&(gradient_case){
        .name = "square", .build = square, .in = { { .n = 2, 3, 5, 19 } } });
    gradient_check(&(gradient_case){
        .name = "affine", .build = scaled, .in = { { .n = 2, 3, 5, 19 } } });
    gradient_check(&(gradient_case){
        .name = "geglu", .build = gated, .in = { { .n = 2, 3, 5, 38, .spread = 3 } } });
    gradient_check(
        &(gradient_case){ .name = "concat",
                          .build = beside,
                          .in = { { .n = 2, 3, 5, 7 }, { .n = 2, 3, 5, 18 } } });
    gradient_check(
        &(gradient_case){ .name = "stack",
                          .build = below,
                          .in = { { .n = 2, 3, 5, 7 }, { .n = 1, 3, 5, 7 } } });
    gradient_check(&(gradient_case){
        .name = "parts", .build = parts, .in = { { .n = 3, 3, 4, 6 } } });
    gradient_check(
        &(gradient_case){ .name = "cast",
                          .build = cast,
                          .in = { { .n = 2, 3, 5, 7, .fill = GRADIENT_STEPS } },
                          .step = 1.0 / 128 });
}

/* ---- resampling ---- */

typedef struct resize_to {
    int h, w;
    vbg_resize_mode mode;
} resize_to;

static vbg_tensor *resized(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    const resize_to *r = arg;

    return vbg_resize(c, x[0], r->h, r->w, r->mode);
}

Test(gradient, resize)
{
    static const int to[][2] = { { 10, 14 }, { 5, 7 }, { 3, 2 },  { 1, 1 },
                                 { 40, 9 },  { 4, 7 }, { 13, 20 } };

    for (int mode = 0; mode <= VBG_RESIZE_AREA; mode++)
        for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
            resize_to r = { to[i][0], to[i][1], (vbg_resize_mode)mode };
            char name[40];
            snprintf(name, sizeof name, "resize mode %d to %d x %d", mode, r.w, r.h);
            gradient_check(
                &(gradient_case){ .name = name,
                                  .build = resized,
                                  .arg = &r,
                                  .in = { { .n = 2, 5, 7, i % 2 ? 19 : 1 } } });
        }
}

static vbg_tensor *pooled(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    const vbg_pool_opt *o = arg;

    return vbg_pool(c, x[0], *o);
}

static vbg_tensor *mean(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_mul(c, vbg_global_mean(c, x[0]), vbg_global_mean(c, x[0]));
}

Test(gradient, pool)
{
    static const vbg_pool_opt opts[] = {
        { .k_y = 3, .stride = 2, .pad = 1, .max = true },
        { .k_y = 2, .stride = 2, .max = true },
        { .k_y = 2, .stride = 2, .max = true, .ceil_mode = true },
        { .k_y = 3, .k_x = 2, .same = true, .max = true },
        { .k_y = 2, .stride = 2 },
        { .k_y = 3, .stride = 2, .pad = 1, .count_padding = true },
        { .k_y = 3, .stride = 2, .pad = 1 },
        { .k_y = 5, .k_x = 3, .stride = 1, .same = true },
    };

    for (size_t i = 0; i < sizeof opts / sizeof *opts; i++) {
        vbg_pool_opt o = opts[i];
        gradient_fill fill = o.max ? GRADIENT_DISTINCT : GRADIENT_SMOOTH;
        char name[16];
        snprintf(name, sizeof name, "pool %zu", i);
        gradient_check(&(gradient_case){ .name = name,
                                         .build = pooled,
                                         .arg = &o,
                                         .in = { { .n = 2, 9, 7, 11, .fill = fill } } });
        gradient_check(&(gradient_case){ .name = name,
                                         .build = pooled,
                                         .arg = &o,
                                         .in = { { .n = 1, 5, 6, 81, .fill = fill } } });
    }
    gradient_check(&(gradient_case){
        .name = "mean", .build = mean, .in = { { .n = 2, 9, 7, 11 } } });
}

static vbg_tensor *sampled(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    const vbg_grid_opt *o = arg;

    return vbg_grid_sample(c, x[0], x[1], *o);
}

/* Linear in the picture; smooth in the grid only between pixels, so the steps there are
 * small. */
Test(gradient, grid_sample)
{
    for (int i = 0; i < 4; i++) {
        vbg_grid_opt o = { .border = i & 1, .align = i & 2 };
        char name[16];
        snprintf(name, sizeof name, "grid %d", i);
        gradient_check(&(gradient_case){
            .name = name,
            .build = sampled,
            .arg = &o,
            .in = {
                { .n = 2, 5, 8, 19 },
                { .n = 2, 3, 4, 2, .spread = 1.2f, .constant = true, .f32 = true } } });
        gradient_check(
            &(gradient_case){ .name = name,
                              .build = sampled,
                              .arg = &o,
                              .in = { { .n = 2, 5, 8, 3, .constant = true },
                                      { .n = 2, 3, 4, 2, .spread = 1.2f, .f32 = true } },
                              .step = 1.0 / 4096,
                              .tol = 5e-3 });
    }
}

static vbg_tensor *gathered(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    static const int index[] = { 3, 1, 0, -1, 2, 2, 14, 3 };
    static const float weight[] = { 1, 0.5f, -2, 9, 0.25f, 3, 1, 1 };

    (void)arg;
    return vbg_gather(c, x[0], index, weight, 2, 2, 2);
}

static vbg_tensor *shuffled(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_pixel_shuffle(c, x[0], 2);
}

static vbg_tensor *padded(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    const vbg_pad_opt *o = arg;

    return vbg_pad(c, x[0], *o);
}

Test(gradient, other_resampling_ops)
{
    gradient_check(&(gradient_case){
        .name = "gather", .build = gathered, .in = { { .n = 2, 3, 5, 70 } } });
    gradient_check(&(gradient_case){
        .name = "shuffle", .build = shuffled, .in = { { .n = 2, 3, 5, 12 } } });
    for (int mode = VBG_PAD_ZERO; mode <= VBG_PAD_REPLICATE; mode++) {
        vbg_pad_opt o = {
            .top = 1, .left = 2, .bottom = 3, .right = 1, .mode = (vbg_pad_mode)mode
        };
        gradient_check(&(gradient_case){
            .name = "pad", .build = padded, .arg = &o, .in = { { .n = 2, 4, 5, 9 } } });
    }
}

static void embedding_params(vbg_params *p, void *arg)
{
    vbg_entry shape = { .component = "m", .name = "table", .rank = 2, .dim = { 9, 13 } };

    *(vbg_param **)arg = vbg_params_take(p, NULL, &shape, VBG_INIT_NORMAL, 1);
}

static vbg_tensor *embedded(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    static const int ids[] = { 3, 0, 3, 8, 3, 1 };
    vbg_param *m = *(vbg_param **)arg;

    return vbg_add(c, vbg_embed(c, m->packed, VBG_F32, 9, 13, ids, 2, 3), x[0],
                   VBG_ACT_NONE);
}

Test(gradient, embedding)
{
    vbg_param *m;

    gradient_check(&(gradient_case){ .name = "embedding",
                                     .build = embedded,
                                     .params = embedding_params,
                                     .arg = &m,
                                     .in = { { .n = 2, 1, 3, 13 } } });
}

static vbg_tensor *unit_vectors(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_unit_vectors(c, x[0]);
}

static vbg_tensor *log_softmax(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    (void)arg;
    return vbg_log_softmax(c, x[0]);
}

Test(gradient, over_channels)
{
    gradient_check(&(gradient_case){
        .name = "unit vectors", .build = unit_vectors, .in = { { .n = 2, 3, 4, 11 } } });
    gradient_check(&(gradient_case){
        .name = "log softmax", .build = log_softmax, .in = { { .n = 2, 3, 4, 11 } } });
}
