/* Matrix products: every level against the reference, poisoned gaps, any cut of
 * the rectangle bit for bit the same; packing and its inverse. */
#include "engine/ops.h"
#include "tests/gemm_case.h"

typedef struct gemm_case {
    size_t m, oc, k;
    vbg_dtype xt, wt, yt;
    bool bias, scale, residual, geglu;
    vbg_act act;
} gemm_case;

static const gemm_case cases[] = {
    /* around one tile of 14 or 6 x 32 or 16, k around a vector and a piece */
    { 1, 1, 1, VBG_F32, VBG_F32, VBG_F32, .bias = true },
    { 1, 17, 33, VBG_F32, VBG_BF16, VBG_F32, .bias = true },
    { 13, 31, 7, VBG_F32, VBG_F32, VBG_F32, .scale = true },
    { 14, 32, 256, VBG_F32, VBG_F32, VBG_F32, .bias = true, .act = VBG_ACT_RELU },
    { 15, 33, 257, VBG_F32, VBG_F32, VBG_F32, .residual = true },
    { 7, 48, 255, VBG_F32, VBG_F16, VBG_F32, .bias = true, .act = VBG_ACT_SILU },
    { 29, 64, 320, VBG_F32, VBG_BF16, VBG_F32, .bias = true, .residual = true },
    { 33, 100, 600, VBG_F32, VBG_BF16, VBG_F32, .act = VBG_ACT_HSWISH },
    { 3, 16, 12, VBG_F32, VBG_F16, VBG_F32, .act = VBG_ACT_RELU6 },
    { 20, 64, 40, VBG_F32, VBG_F32, VBG_F32, .bias = true, .geglu = true },
    { 9, 96, 64, VBG_F32, VBG_BF16, VBG_F32, .geglu = true, .scale = true, .bias = true },
    /* bf16 activations: tiles of 16 x 16 x 32 and their tails */
    { 1, 32, 64, VBG_BF16, VBG_BF16, VBG_BF16, .bias = true },
    { 16, 32, 32, VBG_BF16, VBG_BF16, VBG_F32, .bias = true },
    { 32, 32, 96, VBG_BF16, VBG_BF16, VBG_BF16, .residual = true },
    { 33, 49, 64, VBG_BF16, VBG_BF16, VBG_BF16, .bias = true, .act = VBG_ACT_SILU },
    { 47, 80, 320, VBG_BF16, VBG_BF16, VBG_BF16, .bias = true, .act = VBG_ACT_GELU },
    { 70, 160, 333, VBG_BF16, VBG_BF16, VBG_F32, .scale = true, .residual = true },
    { 35, 64, 9, VBG_BF16, VBG_BF16, VBG_BF16, .bias = true },
    { 5, 19, 16, VBG_BF16, VBG_BF16, VBG_F32, .act = VBG_ACT_QUICK_GELU },
    { 40, 128, 1280, VBG_BF16, VBG_BF16, VBG_BF16, .bias = true, .geglu = true },
    { 100, 64, 40, VBG_BF16, VBG_BF16, VBG_F32, .geglu = true, .scale = true },
    { 18, 40, 70, VBG_BF16, VBG_F32, VBG_BF16, .bias = true },
    { 18, 40, 70, VBG_BF16, VBG_F16, VBG_F32, .bias = true, .act = VBG_ACT_TANH },
    { 4, 4, 4352, VBG_BF16, VBG_BF16, VBG_F32, .residual = true },
    { 64, 36, 2592, VBG_BF16, VBG_BF16, VBG_F32, .residual = true },
    { 21, 36, 64, VBG_F32, VBG_BF16, VBG_BF16, .act = VBG_ACT_SIGMOID },
    { 16, 320, 2560, VBG_BF16, VBG_BF16, VBG_BF16, .residual = true },
    /* whole pairs of tiles whose sums leave during the next pair, every way */
    { 70, 96, 352, VBG_BF16, VBG_BF16, VBG_BF16, .bias = true },
    { 96, 64, 64, VBG_BF16, VBG_BF16, VBG_BF16, .scale = true, .act = VBG_ACT_RELU },
    { 70, 96, 640, VBG_BF16, VBG_BF16, VBG_BF16, .bias = true, .residual = true },
    { 64, 96, 320, VBG_BF16, VBG_BF16, VBG_F32, .bias = true },
    { 80, 64, 1600, VBG_BF16, VBG_BF16, VBG_F32, .residual = true },
    { 70, 192, 480, VBG_BF16, VBG_BF16, VBG_BF16, .bias = true, .geglu = true },
    { 64, 64, 3000, VBG_BF16, VBG_BF16, VBG_F32, .bias = true }, /* k in pieces */
    { 550, 48, 96, VBG_BF16, VBG_BF16, VBG_BF16, .bias = true }, /* two patches */
};

/* What one case needs; mag is the same with absolute operands. */
typedef struct operands {
    matrix x, res;
    void *w;
    float *bias, *scale;
    vbg_gemm_args a;
} operands;

static operands operands_new(const gemm_case *g, bool absolute)
{
    uint64_t seed = 7;
    size_t cols = g->geglu ? g->oc / 2 : g->oc;
    operands o = { .x = matrix_new(g->xt, g->m, g->k, g->k + 5),
                   .res = matrix_new(g->yt, g->m, cols, cols + 3),
                   .w = case_weights(g->wt, g->oc, g->k, 1, 1, 11, absolute),
                   .bias = case_vector(g->oc, 13, absolute),
                   .scale = case_vector(g->oc, 17, absolute) };

    matrix_fill(&o.x, &seed, absolute);
    matrix_fill(&o.res, &seed, absolute);
    o.a = (vbg_gemm_args){ .x = o.x.data,
                           .ldx = o.x.ld,
                           .w = o.w,
                           .k = g->k,
                           .oc = g->oc,
                           .xt = g->xt,
                           .wt = g->wt,
                           .yt = g->yt,
                           .geglu = g->geglu,
                           .ep = { .bias = g->bias ? o.bias : NULL,
                                   .scale = g->scale ? o.scale : NULL,
                                   .residual = g->residual ? o.res.data : NULL,
                                   .ldr = o.res.ld,
                                   .act = absolute ? VBG_ACT_NONE : g->act } };
    return o;
}

static void operands_free(operands *o)
{
    matrix_free(&o->x);
    matrix_free(&o->res);
    free(o->w);
    free(o->bias);
    free(o->scale);
}

/* Runs the rectangle in pieces of rows x blocks. */
static matrix run(const vbg_gemm_kernels *k, operands *o, size_t m, size_t rows,
                  size_t blocks, vbg_dtype yt)
{
    size_t cols = o->a.geglu ? o->a.oc / 2 : o->a.oc, all = (cols + 15) / 16;
    matrix y = matrix_new(yt, m, cols, cols + 7);

    o->a.y = y.data;
    o->a.ldy = y.ld;
    o->a.yt = yt;
    void *scratch = vbg_alloc(k->gemm_scratch(&o->a) + 64);
    for (size_t r = 0; r < m; r += rows)
        for (size_t b = 0; b < all; b += blocks)
            k->gemm(&o->a, r, r + rows < m ? r + rows : m, b,
                    b + blocks < all ? b + blocks : all, scratch);
    vbg_free_mem(scratch);
    return y;
}

static void check(const gemm_case *g)
{
    char name[128];
    snprintf(name, sizeof name, "gemm %zux%zux%zu %s %s %s%s", g->m, g->oc, g->k,
             vbg_dtype_name(g->xt), vbg_dtype_name(g->wt), vbg_dtype_name(g->yt),
             g->geglu ? " geglu" : "");
    vbg_gemm_kernels k;
    case_kernels(&k, VBG_ISA_REF);
    operands o = operands_new(g, false), abs = operands_new(g, true);
    matrix want = run(&k, &o, g->m, g->m, 1000, g->yt);
    abs.a.ep.residual = NULL; /* its type is not f32; at most 1 */
    matrix mag = run(&k, &abs, g->m, g->m, 1000, VBG_F32);
    for (size_t r = 0; r < mag.rows; r++)
        for (size_t c = 0; c < mag.cols; c++)
            matrix_set(&mag, r, c, matrix_get(&mag, r, c) * (g->geglu ? 2 : 1) + 1);

    for (int isa = 0; isa < VBG_ISA_COUNT; isa++) {
        if (!case_kernels(&k, (vbg_isa)isa))
            continue;
        matrix y = run(&k, &o, g->m, g->m, 1000, g->yt);
        case_compare(name, (vbg_isa)isa, &y, &want, &mag, g->k);
        matrix cut = run(&k, &o, g->m, 17, 1, g->yt);
        cr_assert(memcmp(y.data, cut.data, y.bytes) == 0, "%s %s: depends on the cut",
                  name, vbg_isa_name((vbg_isa)isa));
        matrix_free(&y);
        matrix_free(&cut);
    }
    operands_free(&o);
    operands_free(&abs);
    matrix_free(&want);
    matrix_free(&mag);
}

Test(gemm, every_level)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i]);
}

Test(gemm, pack_round_trip)
{
    static const struct {
        size_t oc, c, kh, kw;
    } shapes[] = {
        { 1, 1, 1, 1 },   { 17, 3, 7, 7 }, { 16, 16, 3, 3 },
        { 40, 33, 3, 1 }, { 5, 64, 1, 1 },
    };
    static const vbg_dtype types[] = { VBG_F32, VBG_BF16, VBG_F16 };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int t = 0; t < 3; t++) {
            size_t n = shapes[i].oc * shapes[i].c * shapes[i].kh * shapes[i].kw;
            float *w = case_vector(n, 3, false), *back = malloc(n * sizeof *back);
            size_t bytes = vbg_pack_bytes(types[t], shapes[i].oc, shapes[i].c,
                                          shapes[i].kh * shapes[i].kw);
            void *packed = malloc(bytes);
            vbg_pack(packed, types[t], w, shapes[i].oc, shapes[i].c, shapes[i].kh,
                     shapes[i].kw);
            vbg_unpack(back, packed, types[t], shapes[i].oc, shapes[i].c, shapes[i].kh,
                       shapes[i].kw);
            for (size_t j = 0; j < n; j++) {
                float v = types[t] == VBG_F32    ? w[j]
                          : types[t] == VBG_BF16 ? vbg_bf16_to_f32(vbg_f32_to_bf16(w[j]))
                                                 : vbg_f16_to_f32(vbg_f32_to_f16(w[j]));
                cr_assert(back[j] == v, "shape %zu %s [%zu]: %g, not %g", i,
                          vbg_dtype_name(types[t]), j, (double)back[j], (double)v);
            }
            free(w);
            free(back);
            free(packed);
        }
}

/* A linear layer and a 3x3 as ops: what a job of any number of threads returns. */
typedef struct op_job {
    const float *x;
    void *packed_l, *packed_c;
    vbg_dtype type;
    float *y;
} op_job;

enum { OP_N = 2, OP_SIZE = 18, OP_C = 48, OP_OC = 80 };

static vbg_status op_run(vbg_ctx *c, void *arg, vbg_err *err)
{
    const op_job *j = arg;
    const vbg_weight l = { .data = j->packed_l,
                           .dtype = j->type,
                           .oc = OP_OC,
                           .c = OP_C,
                           .kh = 1,
                           .kw = 1,
                           .groups = 1 };
    const vbg_weight k = { .data = j->packed_c,
                           .dtype = j->type,
                           .oc = OP_OC,
                           .c = OP_OC,
                           .kh = 3,
                           .kw = 3,
                           .groups = 1 };
    vbg_tensor *x = vbg_wrap(c, j->x, VBG_F32, OP_N, OP_SIZE, OP_SIZE, OP_C);

    (void)err;
    vbg_tensor *h = vbg_linear(c, vbg_cast(c, x, vbg_ctx_act(c)), &l);
    h = vbg_conv2d(c, h, &k,
                   (vbg_conv_opt){ .pad = 1, .residual = h, .act = VBG_ACT_SILU });
    vbg_copy_out(c, j->y, VBG_F32, h);
    return VBG_OK;
}

Test(gemm, threads_do_not_matter)
{
    enum { COUNT = OP_N * OP_SIZE * OP_SIZE * OP_OC };
    static const int threads[] = { 1, 2, 5 };
    op_job j = { .x = case_vector(OP_N * OP_SIZE * OP_SIZE * OP_C, 3, false) };
    float *first = malloc(COUNT * sizeof *first);

    j.y = malloc(COUNT * sizeof *j.y);
    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
        for (int t = 0; t < 3; t++) {
            vbg_ctx_opt opt = { .threads = threads[t],
                                .isa = (vbg_isa)isa,
                                .precision = VBG_BF16 };
            vbg_ctx *c;
            cr_assert(vbg_ctx_new(&c, &opt, NULL) == VBG_OK);
            j.type = vbg_ctx_act(c);
            j.packed_l = case_weights(j.type, OP_OC, OP_C, 1, 1, 5, false);
            j.packed_c = case_weights(j.type, OP_OC, OP_OC, 3, 3, 6, false);
            cr_assert(vbg_run(c, op_run, &j, NULL) == VBG_OK);
            if (t == 0)
                memcpy(first, j.y, COUNT * sizeof *first);
            cr_assert(memcmp(first, j.y, COUNT * sizeof *first) == 0,
                      "%s: %d threads give other bits than one",
                      vbg_isa_name((vbg_isa)isa), threads[t]);
            free(j.packed_l);
            free(j.packed_c);
            vbg_ctx_free(c);
        }
    free(first);
    free(j.y);
    free((void *)(uintptr_t)j.x);
}
