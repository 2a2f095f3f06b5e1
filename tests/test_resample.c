/* Gather, resizing, pooling, embedding, pixel shuffle: kernels on every ISA against
 * the reference, ops against plain formulas. */
#include "engine/ops.h"
#include "tests/guard.h"

static const vbg_dtype types[] = { VBG_F32, VBG_BF16 };
static const size_t channels[] = { 1, 3, 8, 15, 16, 17, 33, 64, 320 };
enum { CHANNELS = sizeof channels / sizeof channels[0] };

/* Sums of at most 9 products of values below 1: 16 roundings, and that of the type. */
static void check(const guarded *y, const guarded *want, const char *what, size_t c)
{
    guard_check(y, want, 16 * 0x1p-23, 2 * guard_eps(y->t), what, c);
}

static void try_gather(const vbg_kernels *ref, const vbg_kernels *k, vbg_dtype t,
                       size_t c)
{
    enum { PIXELS = 12, COUNT = 9 };
    int index[COUNT * 4];
    float weight[COUNT * 4];
    uint32_t seed = 5;
    guarded x = guard_filled(t, PIXELS, c, c + 3, 0, 1, 1);
    guarded y = guard_new(t, COUNT, c, c + 1), want = guard_new(t, COUNT, c, c + 1);

    for (int taps = 1; taps <= 4; taps++) {
        for (int i = 0; i < COUNT * taps; i++) {
            index[i] = i % 5 == 4 ? -1 : (i * 7) % PIXELS;
            weight[i] = index[i] < 0 ? NAN : guard_random(&seed); /* -1: not even read */
        }
        vbg_gather_args a = { .y = guard_data(&want),
                              .x = guard_data(&x),
                              .ldy = c + 1,
                              .ldx = c + 3,
                              .count = COUNT,
                              .c = c,
                              .index = index,
                              .weight = weight,
                              .taps = taps,
                              .t = t };
        ref->resample.gather(&a);
        a.y = guard_data(&y);
        k->resample.gather(&a);
        check(&y, &want, "gather", c);
    }
    guard_free(&x);
    guard_free(&y);
    guard_free(&want);
}

static void try_bilinear(const vbg_kernels *ref, const vbg_kernels *k, vbg_dtype t,
                         size_t c)
{
    static const int x0[] = { 0, 0, 1, 2, 2, 4 }, x1[] = { 0, 1, 2, 3, 3, 4 };
    static const float fx[] = { 0, 0.25f, 0.5f, 0, 1, 0.3f };
    guarded r0 = guard_filled(t, 5, c, c + 2, 0, 1, 1);
    guarded r1 = guard_filled(t, 5, c, c + 2, 0, 1, 2);
    guarded y = guard_new(t, 6, c, c + 4), want = guard_new(t, 6, c, c + 4);
    vbg_bilinear_args a = { .y = guard_data(&want),
                            .row0 = guard_data(&r0),
                            .row1 = guard_data(&r1),
                            .ldy = c + 4,
                            .ldx = c + 2,
                            .ow = 6,
                            .c = c,
                            .x0 = x0,
                            .x1 = x1,
                            .fx = fx,
                            .fy = 0.7f,
                            .t = t };

    ref->resample.bilinear_row(&a);
    a.y = guard_data(&y);
    k->resample.bilinear_row(&a);
    check(&y, &want, "bilinear", c);
    guard_free(&r0);
    guard_free(&r1);
    guard_free(&y);
    guard_free(&want);
}

static void try_pool(const vbg_kernels *ref, const vbg_kernels *k, vbg_dtype t, size_t c,
                     bool max, bool count_padding)
{
    enum { H = 5, W = 6, OH = 3, OW = 4 };
    guarded x = guard_filled(t, (size_t)H * W, c, c + 2, 0, 1, 1);
    guarded y = guard_new(t, (size_t)OH * OW, c, c + 1);
    guarded want = guard_new(t, (size_t)OH * OW, c, c + 1);
    vbg_pool_args a = { .x = guard_data(&x),
                        .ldy = c + 1,
                        .ldx = c + 2,
                        .c = c,
                        .h = H,
                        .w = W,
                        .ow = OW,
                        .kh = 3,
                        .kw = 3,
                        .stride = 2,
                        .pad_top = 1,
                        .pad_left = 1,
                        .pad_bottom = 1,
                        .pad_right = 1,
                        .max = max,
                        .count_padding = count_padding,
                        .t = t };

    for (int oy = 0; oy < OH; oy++) {
        a.y = guard_data(&want);
        ref->resample.pool_row(&a, oy);
        a.y = guard_data(&y);
        k->resample.pool_row(&a, oy);
    }
    check(&y, &want, max ? "max pool" : "average pool", c);
    guard_free(&x);
    guard_free(&y);
    guard_free(&want);
}

/* Each of 12 pixels gets at most 4*9 products of values below 1: 36 roundings of sums
 * below 36. */
static void check_back(const guarded *dx, const guarded *want, const char *what, size_t c)
{
    guard_check(dx, want, 36 * 36 * 0x1p-24, 0x1p-22, what, c);
}

static void try_gather_back(const vbg_kernels *ref, const vbg_kernels *k, vbg_dtype t,
                            size_t c)
{
    enum { PIXELS = 12, COUNT = 9, TAPS = 4 };
    int index[COUNT * TAPS];
    float weight[COUNT * TAPS];
    uint32_t seed = 5;
    guarded dy = guard_filled(t, COUNT, c, c + 3, 0, 1, 1);
    guarded dx = guard_filled(VBG_F32, PIXELS, c, c + 1, 0, 1, 2);
    guarded want = guard_filled(VBG_F32, PIXELS, c, c + 1, 0, 1, 2);

    for (int i = 0; i < COUNT * TAPS; i++) {
        index[i] = i % 5 == 4 ? -1 : (i * 7) % PIXELS;
        weight[i] = index[i] < 0 ? NAN : guard_random(&seed);
    }
    vbg_gather_back_args a = { .dx = guard_data(&want),
                               .dy = guard_data(&dy),
                               .lddx = c + 1,
                               .lddy = c + 3,
                               .count = COUNT,
                               .c = c,
                               .index = index,
                               .weight = weight,
                               .taps = TAPS,
                               .t = t };
    ref->resample.gather_back(&a);
    a.dx = guard_data(&dx);
    k->resample.gather_back(&a);
    check_back(&dx, &want, "gather back", c);
    guard_free(&dy);
    guard_free(&dx);
    guard_free(&want);
}

static void try_bilinear_back(const vbg_kernels *ref, const vbg_kernels *k, vbg_dtype t,
                              size_t c)
{
    static const int x0[] = { 0, 0, 1, 2, 2, 4 }, x1[] = { 0, 1, 2, 3, 3, 4 };
    static const float fx[] = { 0, 0.25f, 0.5f, 0, 1, 0.3f };
    guarded dy = guard_filled(t, 6, c, c + 2, 0, 1, 1);
    guarded dx = guard_filled(VBG_F32, 1, 5 * c, 5 * c, 0, 1, 2);
    guarded want = guard_filled(VBG_F32, 1, 5 * c, 5 * c, 0, 1, 2);
    vbg_bilinear_back_args a = { .dx = guard_data(&want),
                                 .dy = guard_data(&dy),
                                 .lddy = c + 2,
                                 .ow = 6,
                                 .c = c,
                                 .x0 = x0,
                                 .x1 = x1,
                                 .fx = fx,
                                 .weight = 0.7f,
                                 .t = t };

    ref->resample.bilinear_row_back(&a);
    a.dx = guard_data(&dx);
    k->resample.bilinear_row_back(&a);
    check_back(&dx, &want, "bilinear back", c);
    guard_free(&dy);
    guard_free(&dx);
    guard_free(&want);
}

/* Values of nine steps: a window of nine has ties. */
static void quantise(guarded *x)
{
    for (size_t r = 0; r < x->rows; r++)
        for (size_t j = 0; j < x->cols; j++)
            guard_put(x, r * x->ld + j, roundf(guard_get(x, r * x->ld + j) * 4));
}

static void try_pool_back(const vbg_kernels *ref, const vbg_kernels *k, vbg_dtype t,
                          size_t c, bool max, bool count_padding)
{
    enum { H = 5, W = 6, OH = 3, OW = 4 };
    guarded x = guard_filled(t, (size_t)H * W, c, c + 2, 0, 1, 1);
    guarded dy = guard_filled(t, (size_t)OH * OW, c, c + 1, 0, 1, 2);
    guarded dx = guard_filled(VBG_F32, (size_t)H * W, c, c + 3, 0, 1, 3);
    guarded want = guard_filled(VBG_F32, (size_t)H * W, c, c + 3, 0, 1, 3);
    vbg_pool_args a = { .x = guard_data(&x),
                        .ldy = c + 1,
                        .ldx = c + 2,
                        .c = c,
                        .h = H,
                        .w = W,
                        .ow = OW,
                        .kh = 3,
                        .kw = 3,
                        .stride = 2,
                        .pad_top = 1,
                        .pad_left = 1,
                        .pad_bottom = 1,
                        .pad_right = 1,
                        .max = max,
                        .count_padding = count_padding,
                        .t = t };

    quantise(&x);
    for (int oy = 0; oy < OH; oy++) {
        ref->resample.pool_row_back(&a, guard_data(&dy), guard_data(&want), c + 3, oy);
        k->resample.pool_row_back(&a, guard_data(&dy), guard_data(&dx), c + 3, oy);
    }
    check_back(&dx, &want, max ? "max pool back" : "average pool back", c);
    guard_free(&x);
    guard_free(&dy);
    guard_free(&dx);
    guard_free(&want);
}

Test(resample, every_isa_like_the_reference)
{
    vbg_kernels ref, k;

    vbg_kernels_init(&ref, VBG_ISA_REF);
    for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++) {
        vbg_kernels_init(&k, (vbg_isa)isa);
        for (size_t i = 0; i < 2 * CHANNELS; i++) {
            size_t c = channels[i / 2];
            vbg_dtype t = types[i % 2];
            try_gather(&ref, &k, t, c);
            try_bilinear(&ref, &k, t, c);
            try_pool(&ref, &k, t, c, true, false);
            try_pool(&ref, &k, t, c, false, false);
            try_pool(&ref, &k, t, c, false, true);
            try_gather_back(&ref, &k, t, c);
            try_bilinear_back(&ref, &k, t, c);
            try_pool_back(&ref, &k, t, c, true, false);
            try_pool_back(&ref, &k, t, c, false, false);
            try_pool_back(&ref, &k, t, c, false, true);
        }
    }
}

/* What a job below computes, and what it should be. */
typedef struct op_case {
    const float *x;
    float *y;
    int h, w, c, oh, ow, oc;
    vbg_resize_mode mode;
    vbg_pool_opt pool;
    int shuffle;
} op_case;

static vbg_status op_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    op_case *o = arg;
    vbg_tensor *x = vbg_wrap(c, o->x, VBG_F32, 1, o->h, o->w, o->c), *y;

    (void)err;
    if (o->pool.k_y)
        y = vbg_pool(c, x, o->pool);
    else if (o->shuffle)
        y = vbg_pixel_shuffle(c, x, o->shuffle);
    else
        y = vbg_resize(c, x, o->oh, o->ow, o->mode);
    o->oh = y->h;
    o->ow = y->w;
    o->oc = y->c;
    vbg_copy_out(c, o->y, VBG_F32, y);
    return VBG_OK;
}

static void run_op(op_case *o, vbg_isa isa, int threads)
{
    vbg_ctx *c;
    vbg_err err = { { 0 } };
    vbg_ctx_opt opt = { .threads = threads, .isa = isa, .precision = VBG_F32 };

    cr_assert(vbg_ctx_new(&c, &opt, &err) == VBG_OK);
    cr_assert(vbg_run(c, op_job, o, &err) == VBG_OK, "%s", err.text);
    vbg_ctx_free(c);
}

static void expect(op_case *o, const float *want, size_t count, const char *what)
{
    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++) {
        run_op(o, (vbg_isa)isa, 2);
        cr_assert((size_t)(o->oh * o->ow * o->oc) == count, "%s: %d x %d x %d", what,
                  o->oh, o->ow, o->oc);
        for (size_t i = 0; i < count; i++)
            cr_assert(fabsf(o->y[i] - want[i]) <= 1e-6f, "%s isa %d at %zu: %g, %g", what,
                      isa, i, (double)o->y[i], (double)want[i]);
    }
}

/* Worked by hand: a row 0 1 2 3 made longer and shorter. */
Test(resample, resize_conventions)
{
    static const float row[] = { 0, 1, 2, 3 };
    static const float nearest[] = { 0, 0, 1, 2, 2, 3 }; /* floor(i*4/6) */
    static const float half[] = { 0, 0.5f, 7 / 6.0f, 11 / 6.0f, 2.5f, 3 };
    static const float align[] = { 0, 0.6f, 1.2f, 1.8f, 2.4f, 3 };
    static const float down[] = { 0.5f, 2.5f };
    float y[64];
    op_case o = { .x = row, .y = y, .h = 1, .w = 4, .c = 1, .oh = 1, .ow = 6 };

    o.mode = VBG_RESIZE_NEAREST;
    expect(&o, nearest, 6, "nearest");
    o.mode = VBG_RESIZE_BILINEAR;
    expect(&o, half, 6, "half-pixel");
    o.mode = VBG_RESIZE_BILINEAR_ALIGN;
    expect(&o, align, 6, "corners");
    o.mode = VBG_RESIZE_BILINEAR;
    o.ow = 2;
    expect(&o, down, 2, "half-pixel down");
    o.h = 4; /* the same along the other axis */
    o.w = 1;
    o.oh = 6;
    o.ow = 1;
    expect(&o, half, 6, "half-pixel rows");
    o.h = o.w = 1;
    o.oh = o.ow = 3;
    static const float same[9] = { 0 };
    expect(&o, same, 9, "one pixel");
}

/* PyTorch's answers for a row 1..5. */
Test(resample, pool_conventions)
{
    static const float row[] = { 1, 2, 3, 4, 5 };
    static const float max[] = { 2, 4, 5 };  /* k 3, stride 2, pad 1 */
    static const float with[] = { 1, 3, 3 }; /* divisor 3 everywhere */
    static const float without[] = { 1.5f, 3, 4.5f };
    static const float ceiled[] = { 1.5f, 3.5f, 5 }; /* k 2, stride 2, ceil */
    static const float same[] = { 1.5f, 3, 4.5f };   /* TensorFlow SAME, k 3 */
    float y[64];
    op_case o = { .x = row, .y = y, .h = 5, .w = 1, .c = 1 };

    o.pool = (vbg_pool_opt){ .k_y = 3, .k_x = 1, .stride = 2, .max = true, .same = true };
    expect(&o, max, 3, "max");
    o.pool = (vbg_pool_opt){ .k_y = 3, .k_x = 1, .stride = 2, .same = true };
    expect(&o, same, 3, "same");
    o.w = 5;
    o.h = 1;
    o.pool = (vbg_pool_opt){ .k_y = 1, .k_x = 3, .stride = 2, .same = true };
    expect(&o, without, 3, "average");
    o.pool.count_padding = true;
    expect(&o, with, 3, "average over padding");
    o.pool = (vbg_pool_opt){ .k_y = 1, .k_x = 2, .stride = 2, .ceil_mode = true };
    expect(&o, ceiled, 3, "ceil mode");
}

Test(resample, pixel_shuffle)
{
    /* 1x2 pixels of 8 channels: channel 4*oc + 2*dy + dx */
    static const float x[] = { 0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17 };
    static const float want[] = {
        0, 4, 1, 5, 10, 14, 11, 15, 2, 6, 3, 7, 12, 16, 13, 17
    };
    float y[16];
    op_case o = { .x = x, .y = y, .h = 1, .w = 2, .c = 8, .shuffle = 2 };

    expect(&o, want, 16, "pixel shuffle");
}

static vbg_status embed_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    static const float table[] = { 0, 1, 2, 10, 11, 12, 20, 21, 22 };
    static const int ids[] = { 2, 0, 1, 2 };
    static const int index[] = { 1, -1, 0, 1 };
    static const float weight[] = { 2, 5, 0.5f, 0.5f };

    (void)err;
    vbg_tensor *t = vbg_embed(c, table, VBG_F32, 3, 3, ids, 2, 2);
    cr_assert(t->n == 2 && t->h == 1 && t->w == 2 && t->c == 3);
    vbg_copy_out(c, arg, VBG_F32, t);
    vbg_copy_out(c, (float *)arg + 12, VBG_F32, vbg_gather(c, t, index, weight, 2, 1, 2));
    return VBG_OK;
}

Test(resample, embedding_and_gather_of_images)
{
    static const float want[] = { 20, 21, 22, 0,  1,  2,  10, 11, 12, 20, 21, 22,
                                  0,  2,  4,  10, 11, 12, 40, 42, 44, 15, 16, 17 };
    float y[24];
    vbg_ctx *c;
    vbg_ctx_opt opt = { .threads = 2, .isa = VBG_ISA_BEST, .precision = VBG_BF16 };

    cr_assert(vbg_ctx_new(&c, &opt, NULL) == VBG_OK);
    cr_assert(vbg_run(c, embed_job, y, NULL) == VBG_OK);
    for (size_t i = 0; i < 24; i++)
        cr_assert(y[i] == want[i], "%zu: %g, %g", i, (double)y[i], (double)want[i]);
    vbg_ctx_free(c);
}

Test(resample, threads_do_not_change_a_bit)
{
    enum { H = 37, W = 29, C = 24, OH = 71, OW = 53 };
    float *x = malloc((size_t)H * W * C * sizeof *x);
    float *y[3];
    uint32_t seed = 3;

    for (size_t i = 0; i < (size_t)H * W * C; i++)
        x[i] = guard_random(&seed);
    for (size_t t = 0; t < 3; t++) {
        y[t] = malloc((size_t)OH * OW * C * sizeof *x);
        op_case o = { .x = x, .y = y[t], .h = H, .w = W, .c = C, .oh = OH, .ow = OW };
        o.mode = VBG_RESIZE_BILINEAR;
        run_op(&o, VBG_ISA_BEST, t == 0 ? 1 : t == 1 ? 2 : 5);
        cr_assert(memcmp(y[0], y[t], (size_t)OH * OW * C * sizeof *x) == 0);
    }
    for (size_t t = 0; t < 3; t++)
        free(y[t]);
    free(x);
}
