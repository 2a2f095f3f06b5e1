/* Elementwise kernels: every ISA against the reference. */
#include "engine/ops.h"
#include "tests/guard.h"

/* Around one vector, around the unrolling, widths of the UNet. */
static const struct {
    size_t rows, cols, pad;
} cases[] = {
    { 1, 1, 0 },  { 1, 7, 3 },   { 3, 8, 0 },   { 2, 9, 1 },   { 2, 15, 0 }, { 3, 16, 5 },
    { 2, 17, 0 }, { 2, 33, 31 }, { 4, 320, 0 }, { 1, 640, 7 }, { 2, 77, 2 },
};
enum { CASES = sizeof cases / sizeof cases[0], ACTS = VBG_ACTS };

static const vbg_dtype types[] = { VBG_F32, VBG_BF16 };

typedef struct setup {
    vbg_kernels ref, k;
    guarded x, b, y, want;
    vbg_row_io io, io_ref;
} setup;

static setup open_case(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt, size_t wide,
                       float spread)
{
    size_t rows = cases[i].rows, cols = cases[i].cols, pad = cases[i].pad;
    setup s = { .x = guard_filled(xt, rows, cols * wide, cols * wide + pad, 0, spread, 1),
                .b = guard_filled(xt, rows, cols, cols + pad, 0, 2, 2),
                .y = guard_new(yt, rows, cols, cols + pad),
                .want = guard_new(yt, rows, cols, cols + pad) };

    vbg_kernels_init(&s.ref, VBG_ISA_REF);
    vbg_kernels_init(&s.k, isa);
    s.io = (vbg_row_io){ .y = guard_data(&s.y),
                         .x = guard_data(&s.x),
                         .ldy = s.y.ld,
                         .ldx = s.x.ld,
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
    guard_free(&s->b);
    guard_free(&s->y);
    guard_free(&s->want);
}

/* The activations are within 4 ulp (3e-7) of |x| <= 12, times 1.5 for the factor x. */
static void check(setup *s, const char *what, size_t i)
{
    guard_check(&s->y, &s->want, 12 * 4.5e-7, 4.5e-7 + 2 * guard_eps(s->y.t), what, i);
    close_case(s);
}

static void try_acts(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt)
{
    for (int act = 0; act < ACTS; act++) {
        setup s = open_case(isa, i, xt, yt, 1, 12);
        s.ref.pointwise.act(&s.io_ref, (vbg_act)act);
        s.k.pointwise.act(&s.io, (vbg_act)act);
        check(&s, "act", i * 100 + (size_t)act);
        s = open_case(isa, i, xt, yt, 1, 9);
        s.ref.pointwise.add(&s.io_ref, guard_data(&s.b), s.b.ld, (vbg_act)act);
        s.k.pointwise.add(&s.io, guard_data(&s.b), s.b.ld, (vbg_act)act);
        check(&s, "add", i * 100 + (size_t)act);
    }
}

static void try_rest(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt)
{
    for (size_t ldb = 0; ldb < 2; ldb++) {
        setup s = open_case(isa, i, xt, yt, 1, 3);
        s.ref.pointwise.mul(&s.io_ref, guard_data(&s.b), ldb * s.b.ld);
        s.k.pointwise.mul(&s.io, guard_data(&s.b), ldb * s.b.ld);
        check(&s, "mul", i);
    }
    setup s = open_case(isa, i, xt, yt, 1, 3);
    s.ref.pointwise.affine(&s.io_ref, 0.5f, -0.25f);
    s.k.pointwise.affine(&s.io, 0.5f, -0.25f);
    check(&s, "affine", i);
    s = open_case(isa, i, xt, yt, 2, 3);
    s.ref.pointwise.geglu(&s.io_ref);
    s.k.pointwise.geglu(&s.io);
    check(&s, "geglu", i);
}

/* Slopes are within 1.2e-6 (12 for x in x s'(x) times 4 ulp of s' <= 1/2, twice that for
 * the gated ones), times |dy| <= 2. */
static void try_slopes(vbg_isa isa, size_t i, vbg_dtype xt, vbg_dtype yt)
{
    size_t rows = cases[i].rows, cols = cases[i].cols, ld = cols + cases[i].pad;
    guarded dy = guard_filled(yt, rows, cols, ld, 0, 2, 3);

    for (int act = 0; act < ACTS; act++) {
        setup s = open_case(isa, i, xt, yt, 1, 12);
        s.ref.pointwise.act_back(&s.io_ref, guard_data(&dy), ld, (vbg_act)act);
        s.k.pointwise.act_back(&s.io, guard_data(&dy), ld, (vbg_act)act);
        guard_check(&s.y, &s.want, 2 * 2.4e-6, 4.5e-7 + 2 * guard_eps(yt), "act back",
                    i * 100 + (size_t)act);
        close_case(&s);
    }
    setup s = open_case(isa, i, xt, yt, 2, 6);
    guard_free(&s.y);
    guard_free(&s.want);
    s.y = guard_new(yt, rows, 2 * cols, 2 * cols + 1);
    s.want = guard_new(yt, rows, 2 * cols, 2 * cols + 1);
    s.io.y = guard_data(&s.y);
    s.io_ref.y = guard_data(&s.want);
    s.io.ldy = s.io_ref.ldy = s.y.ld;
    s.ref.pointwise.geglu_back(&s.io_ref, guard_data(&dy), ld);
    s.k.pointwise.geglu_back(&s.io, guard_data(&dy), ld);
    guard_check(&s.y, &s.want, 2 * 6 * 2.4e-6, 4.5e-7 + 2 * guard_eps(yt), "geglu back",
                i);
    close_case(&s);
    guard_free(&dy);
}

/* 256 rows at most are summed in a row, in f32: half an ulp of each partial sum of terms
 * below 3*2. */
static void try_sums(vbg_isa isa, size_t i, vbg_dtype t)
{
    for (size_t kind = 0; kind < 3; kind++) {
        setup s = open_case(isa, i, t, t, 1, 3);
        size_t cols = cases[i].cols, rows = cases[i].rows;
        guarded sum = guard_filled(VBG_F32, 1, cols, cols, 0, 1, 4);
        guarded want = guard_filled(VBG_F32, 1, cols, cols, 0, 1, 4);
        const void *b = kind ? guard_data(&s.b) : NULL;
        s.io.y = NULL;
        s.ref.pointwise.dot_columns(guard_data(&want), &s.io, b, (kind - 1) * s.b.ld);
        s.k.pointwise.dot_columns(guard_data(&sum), &s.io, b, (kind - 1) * s.b.ld);
        guard_check(&sum, &want, 0x1p-24 * 7 * (double)(rows * rows + 1), 0x1p-23,
                    "dot columns", i);
        guard_free(&sum);
        guard_free(&want);
        close_case(&s);
    }
}

Test(pointwise, every_isa_like_the_reference)
{
    for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++)
        for (size_t i = 0; i < CASES; i++)
            for (size_t t = 0; t < 4; t++) {
                try_acts((vbg_isa)isa, i, types[t & 1], types[t >> 1]);
                try_rest((vbg_isa)isa, i, types[t & 1], types[t >> 1]);
                try_slopes((vbg_isa)isa, i, types[t & 1], types[t >> 1]);
                try_sums((vbg_isa)isa, i, types[t & 1]);
            }
}

/* Values far out must neither overflow to NaN nor lose their limit. */
Test(pointwise, activations_at_the_ends)
{
    static const float in[] = { -INFINITY, -1e30f, -200, -105, -89, 89, 105, 200, 1e30f };
    enum { ENDS = sizeof in / sizeof in[0] };

    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
        for (int act = 0; act < ACTS; act++) {
            vbg_kernels k;
            float y[ENDS];
            vbg_row_io io = { .y = y, .x = in + 1, .rows = 1, .cols = ENDS - 1 };
            vbg_kernels_init(&k, (vbg_isa)isa);
            k.pointwise.act(&io, (vbg_act)act);
            for (size_t i = 0; i < ENDS - 1; i++) {
                double x = (double)in[i + 1];
                double want = act == VBG_ACT_NONE                                 ? x
                              : x < 0                                             ? 0
                              : act == VBG_ACT_RELU6                              ? 6
                              : act == VBG_ACT_SIGMOID || act == VBG_ACT_HSIGMOID ? 1
                              : act == VBG_ACT_EXP ? (double)INFINITY
                                                   : x;
                if (act == VBG_ACT_TANH)
                    want = x < 0 ? -1 : 1;
                if (act == VBG_ACT_LEAKY_RELU && x < 0)
                    want = 0.1 * x;
                if (act == VBG_ACT_ELU && x < 0)
                    want = -1;
                cr_assert((double)y[i] == want ||
                              fabs((double)y[i] - want) <= 1e-6 * fabs(x) + 1e-6,
                          "isa %d act %d of %g: %g", isa, act, x, (double)y[i]);
            }
        }
}

/* Slopes far out are 0 or 1, never NaN. */
Test(pointwise, slopes_at_the_ends)
{
    static const float in[] = { -1e30f, -200, -105, 105, 200, 1e30f };
    enum { ENDS = sizeof in / sizeof in[0] };

    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
        for (int act = 0; act < VBG_ACT_EXP; act++) {
            vbg_kernels k;
            float y[ENDS], one[ENDS] = { 1, 1, 1, 1, 1, 1 };
            vbg_row_io io = { .y = y, .x = in, .rows = 1, .cols = ENDS };
            vbg_kernels_init(&k, (vbg_isa)isa);
            k.pointwise.act_back(&io, one, ENDS, (vbg_act)act);
            for (size_t i = 0; i < ENDS; i++) {
                bool flat = act == VBG_ACT_RELU6 || act == VBG_ACT_SIGMOID ||
                            act == VBG_ACT_HSIGMOID || act == VBG_ACT_TANH;
                double want = act == VBG_ACT_NONE ? 1 : i < 3 || flat ? 0 : 1;
                if (act == VBG_ACT_LEAKY_RELU && i < 3)
                    want = 0.1;
                cr_assert(fabs((double)y[i] - want) <= 1e-6, "isa %d act %d of %g: %g",
                          isa, act, (double)in[i], (double)y[i]);
            }
        }
}

Test(pointwise, nan_stays)
{
    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
        for (int act = 0; act < ACTS; act++) {
            vbg_kernels k;
            float x[20], y[20];
            for (size_t i = 0; i < 20; i++)
                x[i] = NAN;
            vbg_row_io io = { .y = y, .x = x, .rows = 1, .cols = 20 };
            vbg_kernels_init(&k, (vbg_isa)isa);
            k.pointwise.act(&io, (vbg_act)act);
            for (size_t i = 0; i < 20; i++)
                cr_assert(isnan(y[i]), "isa %d act %d lane %zu", isa, act, i);
        }
}

/* Every half value there and back, on every ISA; denormal bf16 may become zero (the
 * BF16 instructions flush them). */
static void there_and_back(const vbg_kernels *k, vbg_dtype t)
{
    static uint16_t in[65536], out[65536];
    static float wide[65536];

    for (size_t i = 0; i < 65536; i++)
        in[i] = (uint16_t)i;
    k->pointwise.convert(wide, VBG_F32, in, t, 65536);
    k->pointwise.convert(out, t, wide, VBG_F32, 65536);
    for (size_t i = 0; i < 65536; i++) {
        float v = t == VBG_BF16 ? vbg_bf16_to_f32(in[i]) : vbg_f16_to_f32(in[i]);
        if (isnan(v)) {
            cr_assert(isnan(wide[i]));
            continue;
        }
        cr_assert(memcmp(&v, &wide[i], sizeof v) == 0, "%s %04zx", vbg_dtype_name(t), i);
        bool denormal = t == VBG_BF16 && fabsf(v) < 0x1p-126f;
        cr_assert(out[i] == in[i] || (denormal && (out[i] & 0x7fff) == 0),
                  "%s %04zx came back as %04x", vbg_dtype_name(t), i, (unsigned)out[i]);
    }
}

Test(pointwise, conversions)
{
    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++) {
        vbg_kernels k;
        vbg_kernels_init(&k, (vbg_isa)isa);
        there_and_back(&k, VBG_BF16);
        there_and_back(&k, VBG_F16);
        for (size_t n = 1; n < 40; n++) { /* rounding of f32, and the rest of a vector */
            guarded x = guard_filled(VBG_F32, 1, n, n, 0, 100, (uint32_t)n);
            for (size_t t = VBG_F32; t <= VBG_F16; t++) {
                guarded y = guard_new((vbg_dtype)t, 1, n, n),
                        want = guard_new(VBG_F32, 1, n, n);
                k.pointwise.convert(guard_data(&y), (vbg_dtype)t, guard_data(&x), VBG_F32,
                                    n);
                for (size_t i = 0; i < n; i++) {
                    float v = guard_get(&x, i);
                    v = t == VBG_BF16  ? vbg_bf16_to_f32(vbg_f32_to_bf16(v))
                        : t == VBG_F16 ? vbg_f16_to_f32(vbg_f32_to_f16(v))
                                       : v;
                    guard_put(&want, i, v);
                }
                guard_check(&y, &want, 0, 0, "convert", n);
                guard_free(&y);
                guard_free(&want);
            }
            guard_free(&x);
        }
        uint8_t bytes[23];
        int32_t ints[23];
        float a[23], b[23];
        for (size_t i = 0; i < 23; i++) {
            bytes[i] = (uint8_t)(i * 11);
            ints[i] = (int32_t)i * 1000 - 11000;
        }
        k.pointwise.convert(a, VBG_F32, bytes, VBG_U8, 23);
        k.pointwise.convert(b, VBG_F32, ints, VBG_I32, 23);
        for (size_t i = 0; i < 23; i++)
            cr_assert(a[i] == (float)bytes[i] && b[i] == (float)ints[i], "%zu", i);
    }
}

/* ---- ops ---- */

enum { N = 2, H = 19, W = 23, C = 37, ALL = N * H * W * C };

typedef struct op_run {
    const float *a, *b; /* [N][H][W][C] */
    float *y[8];        /* results, ALL or 2*ALL each */
} op_run;

static vbg_status op_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    op_run *r = arg;
    vbg_tensor *a = vbg_wrap(c, r->a, VBG_F32, N, H, W, C);
    vbg_tensor *b = vbg_wrap(c, r->b, VBG_F32, N, H, W, C);
    vbg_tensor *per_image = vbg_wrap(c, r->b, VBG_F32, N, 1, 1, C);
    vbg_tensor *per_channel = vbg_wrap(c, r->b, VBG_F32, 1, 1, 1, C);
    vbg_tensor *halves = vbg_concat(c, a, b);

    (void)err;
    vbg_copy_out(c, r->y[0], VBG_F32, vbg_add(c, a, b, VBG_ACT_RELU));
    vbg_copy_out(c, r->y[1], VBG_F32, vbg_mul(c, a, per_image));
    vbg_copy_out(c, r->y[2], VBG_F32, vbg_add(c, a, per_channel, VBG_ACT_NONE));
    vbg_copy_out(c, r->y[3], VBG_F32, halves);
    vbg_copy_out(c, r->y[4], VBG_F32, vbg_stack(c, a, b));
    vbg_copy_out(c, r->y[5], VBG_F32, vbg_affine(c, a, 2, -1));
    /* columns of a wider tensor, through f16 */
    vbg_tensor *right = vbg_cast(c, vbg_columns(c, halves, C, C), VBG_F16);
    vbg_copy_out(c, r->y[6], VBG_F32, right);
    vbg_copy_out(c, r->y[7], VBG_F32,
                 vbg_mul(c, vbg_columns(c, halves, 0, C), vbg_columns(c, halves, C, C)));
    return VBG_OK;
}

static op_run op_open(const float *a, const float *b, vbg_isa isa, int threads)
{
    op_run r = { .a = a, .b = b };
    vbg_ctx *c;
    vbg_ctx_opt opt = { .threads = threads, .isa = isa, .precision = VBG_F32 };

    for (size_t i = 0; i < 8; i++)
        r.y[i] = calloc(2 * ALL, sizeof(float));
    cr_assert(vbg_ctx_new(&c, &opt, NULL) == VBG_OK);
    cr_assert(vbg_run(c, op_job, &r, NULL) == VBG_OK);
    vbg_ctx_free(c);
    return r;
}

static void op_close(op_run *r)
{
    for (size_t i = 0; i < 8; i++)
        free(r->y[i]);
}

/* Element i of pixel p, channel j. */
static void check_ops(const op_run *r, size_t i)
{
    size_t p = i / C, j = i % C, image = p / (H * W);
    float a = r->a[i], b = r->b[i], sum = a + b;

    cr_assert(r->y[0][i] == (sum > 0 ? sum : 0), "add at %zu", i);
    cr_assert(r->y[1][i] == a * r->b[image * C + j], "mul by image at %zu", i);
    cr_assert(r->y[2][i] == a + r->b[j], "add by channel at %zu", i);
    cr_assert(r->y[3][p * 2 * C + j] == a && r->y[3][p * 2 * C + C + j] == b,
              "concat at %zu", i);
    cr_assert(r->y[4][i] == a && r->y[4][ALL + i] == b, "stack at %zu", i);
    cr_assert(r->y[5][i] == 2 * a - 1, "affine at %zu", i);
    cr_assert(r->y[6][i] == vbg_f16_to_f32(vbg_f32_to_f16(b)), "cast at %zu", i);
    cr_assert(r->y[7][i] == a * b, "mul of columns at %zu", i);
}

Test(pointwise, ops_and_threads)
{
    float *a = malloc(ALL * sizeof *a), *b = malloc(ALL * sizeof *b);
    uint32_t seed = 11;

    for (size_t i = 0; i < ALL; i++) { /* short fractions: the formulas above are exact */
        a[i] = roundf(guard_random(&seed) * 256) / 64;
        b[i] = roundf(guard_random(&seed) * 256) / 64;
    }
    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
        for (int threads = 1; threads <= 5; threads += threads) {
            op_run r = op_open(a, b, (vbg_isa)isa, threads == 4 ? 5 : threads);
            for (size_t i = 0; i < ALL; i++)
                check_ops(&r, i);
            op_close(&r);
        }
    free(a);
    free(b);
}
