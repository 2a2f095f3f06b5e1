/* Attention: every ISA against the reference, and thread independence of the op. */
#include "engine/ops.h"
#include "tests/guard.h"

/* Around vectors and tiles of queries and keys; heads of SD1, SD2, the multi-view
 * blocks, the VAE; cross attention to 77 tokens; sharp scores. */
static const struct {
    int tq, tk, d;
    size_t pad;
    bool causal;
    float spread;
} cases[] = {
    { 1, 1, 1, 0, false, 1 },      { 1, 2, 8, 0, false, 1 },
    { 7, 9, 5, 3, false, 1 },      { 16, 16, 16, 0, false, 1 },
    { 17, 33, 32, 4, false, 1 },   { 31, 77, 40, 280, false, 1 },
    { 33, 77, 64, 0, false, 4 },   { 64, 77, 80, 16, false, 1 },
    { 40, 77, 160, 0, false, 1 },  { 130, 300, 64, 256, false, 2 },
    { 77, 77, 64, 0, true, 1 },    { 77, 77, 20, 1, true, 3 },
    { 200, 200, 24, 0, true, 1 },  { 20, 259, 512, 0, false, 1 },
    { 300, 513, 12, 0, false, 5 }, { 64, 64, 96, 0, false, 1 },
    { 129, 257, 33, 0, false, 1 },
};
enum { CASES = sizeof cases / sizeof cases[0] };
static const vbg_dtype types[] = { VBG_F32, VBG_BF16 };

/* Errors, for scores s = scale q.k of magnitude up to S and |v| <= 1:
 *   f32   a score is off by about sqrt(d)*eps*S and the base-2 exponent by 2*S*eps;
 *         a probability by that, relatively; the sum of |p v| is at most 1
 *   bf16  the AMX path also rounds p to 8 bits (2^-9 each, both ways) and every path
 *         rounds y */
static double tolerance(size_t i, vbg_dtype t)
{
    double s = (double)cases[i].spread, d = (double)cases[i].d;
    double magnitude = s * s * sqrt(d); /* |q||k|/sqrt(d) at most s*s*d/sqrt(d) */
    double f32 = (4 + sqrt(d)) * magnitude * 0x1p-23 + 8 * 0x1p-23;

    return t == VBG_BF16 ? f32 + 0x1p-8 : f32;
}

static void try_case(vbg_isa isa, size_t i, vbg_dtype t)
{
    size_t tq = (size_t)cases[i].tq, tk = (size_t)cases[i].tk, d = (size_t)cases[i].d;
    size_t ld = d + cases[i].pad;
    vbg_kernels ref, k;
    guarded q = guard_filled(t, tq, d, ld, 0, cases[i].spread, 1);
    guarded key = guard_filled(t, tk, d, ld, 0, cases[i].spread, 2);
    guarded v = guard_filled(t, tk, d, ld, 0, 1, 3);
    guarded y = guard_new(t, tq, d, ld), want = guard_new(t, tq, d, ld);
    vbg_attention_args a = { .q = guard_data(&q),
                             .k = guard_data(&key),
                             .v = guard_data(&v),
                             .y = guard_data(&want),
                             .ldq = ld,
                             .ldk = ld,
                             .ldv = ld,
                             .ldy = ld,
                             .tq = cases[i].tq,
                             .tk = cases[i].tk,
                             .d = cases[i].d,
                             .t = t,
                             .scale = (float)(1 / sqrt((double)d)),
                             .causal = cases[i].causal };

    vbg_kernels_init(&ref, VBG_ISA_REF);
    vbg_kernels_init(&k, isa);
    void *s = vbg_alloc(ref.attention.scratch(&a));
    ref.attention.run(&a, 0, a.tq, s);
    vbg_free_mem(s);
    size_t bytes = k.attention.scratch(&a);
    s = malloc(bytes);
    memset(s, 0xff, bytes); /* NaN: nothing may be taken for zero */
    a.y = guard_data(&y);
    k.attention.run(&a, 0, a.tq / 2, s); /* any cut gives the same */
    k.attention.run(&a, a.tq / 2, a.tq, s);
    free(s);
    guard_check(&y, &want, tolerance(i, t), 2 * guard_eps(t), vbg_isa_name(isa), i);
    guard_free(&q);
    guard_free(&key);
    guard_free(&v);
    guard_free(&y);
    guard_free(&want);
}

Test(attention, every_isa_like_the_reference)
{
    for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++)
        for (size_t i = 0; i < CASES; i++)
            for (size_t t = 0; t < 2; t++)
                try_case((vbg_isa)isa, i, types[t]);
}

/* Scores of +-50000 (SD2.1 is known for such) and more: key i alone, or all but it. */
static void try_huge(vbg_isa isa, vbg_dtype t, float sign, float size)
{
    enum { D = 64, TQ = 40, TK = 300 };
    vbg_kernels k;
    guarded q = guard_filled(t, TQ, D, D, 0, 0, 1),
            key = guard_filled(t, TK, D, D, 0, 0, 1);
    guarded v = guard_filled(t, TK, D, D, 0, 1, 3);
    guarded y = guard_new(t, TQ, D, D), want = guard_new(t, TQ, D, D);

    for (size_t i = 0; i < TQ; i++) {
        guard_put(&q, i * D + i, sign * size);
        guard_put(&key, (7 * i + 3) * D + i, 100);
    }
    for (size_t i = 0; i < TQ; i++)
        for (size_t j = 0; j < D; j++) {
            float only = guard_get(&v, (7 * i + 3) * D + j), sum = 0;
            for (size_t x = 0; x < TK; x++)
                sum += guard_get(&v, x * D + j);
            guard_put(&want, i * D + j, sign > 0 ? only : (sum - only) / (TK - 1));
        }
    vbg_attention_args a = { .q = guard_data(&q),
                             .k = guard_data(&key),
                             .v = guard_data(&v),
                             .y = guard_data(&y),
                             .ldq = D,
                             .ldk = D,
                             .ldv = D,
                             .ldy = D,
                             .tq = TQ,
                             .tk = TK,
                             .d = D,
                             .t = t,
                             .scale = 0.125f };
    vbg_kernels_init(&k, isa);
    void *s = vbg_alloc(k.attention.scratch(&a));
    k.attention.run(&a, 0, TQ, s);
    vbg_free_mem(s);
    guard_check(&y, &want, 1e-6, 2 * guard_eps(t), vbg_isa_name(isa), sign > 0);
    guard_free(&q);
    guard_free(&key);
    guard_free(&v);
    guard_free(&y);
    guard_free(&want);
}

Test(attention, huge_scores)
{
    for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
        for (size_t t = 0; t < 2; t++) {
            try_huge((vbg_isa)isa, types[t], 1, 4096);
            try_huge((vbg_isa)isa, types[t], -1, 4096);
            try_huge((vbg_isa)isa, types[t], 1, 65536);
            try_huge((vbg_isa)isa, types[t], -1, 65536);
        }
}

typedef struct op_case {
    int n, kn, tq, tk, heads, d;
    bool causal;
    float *qkv, *kv, *y;
} op_case;

/* q, k, v as column views of one projection; with kn == 1 k and v are shared. */
static vbg_status op_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    const op_case *o = arg;
    int ch = o->heads * o->d;
    vbg_tensor *x =
        vbg_cast(c, vbg_wrap(c, o->qkv, VBG_F32, o->n, 1, o->tq, 3 * ch), vbg_ctx_act(c));
    vbg_tensor *z =
        vbg_cast(c, vbg_wrap(c, o->kv, VBG_F32, o->kn, 1, o->tk, 2 * ch), vbg_ctx_act(c));
    vbg_tensor *y = vbg_attention(c, vbg_columns(c, x, ch, ch), vbg_columns(c, z, 0, ch),
                                  vbg_columns(c, z, ch, ch), o->heads, o->causal);

    (void)err;
    vbg_copy_out(c, o->y, VBG_F32, y);
    return VBG_OK;
}

static op_case op_open(int n, int kn, int tq, int tk, int heads, int d)
{
    op_case o = { .n = n, .kn = kn, .tq = tq, .tk = tk, .heads = heads, .d = d };
    size_t ch = (size_t)(heads * d), nq = (size_t)(n * tq) * ch,
           nk = (size_t)(kn * tk) * ch;
    uint32_t seed = 99;

    o.qkv = malloc(3 * nq * sizeof(float));
    o.kv = malloc(2 * nk * sizeof(float));
    o.y = calloc(nq, sizeof(float));
    for (size_t i = 0; i < 3 * nq; i++)
        o.qkv[i] = guard_random(&seed);
    for (size_t i = 0; i < 2 * nk; i++)
        o.kv[i] = guard_random(&seed);
    return o;
}

static void op_close(op_case *o)
{
    free(o->qkv);
    free(o->kv);
    free(o->y);
}

static void op_run(op_case *o, vbg_isa isa, vbg_dtype precision, int threads)
{
    vbg_ctx *c;
    vbg_err err = { { 0 } };
    vbg_ctx_opt opt = { .threads = threads, .isa = isa, .precision = precision };

    cr_assert(vbg_ctx_new(&c, &opt, &err) == VBG_OK);
    cr_assert(vbg_run(c, op_job, o, &err) == VBG_OK, "%s", err.text);
    vbg_ctx_free(c);
}

Test(attention, op_and_threads)
{
    static const int shapes[][6] = { { 2, 2, 1500, 60, 3, 8 }, { 3, 1, 70, 77, 2, 40 } };

    for (size_t s = 0; s < 2; s++)
        for (size_t t = 0; t < 2; t++) {
            const int *p = shapes[s];
            op_case ref = op_open(p[0], p[1], p[2], p[3], p[4], p[5]);
            size_t count = (size_t)(p[0] * p[2] * p[4] * p[5]);
            op_run(&ref, VBG_ISA_REF, VBG_F32, 1);
            for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++) {
                op_case one = op_open(p[0], p[1], p[2], p[3], p[4], p[5]);
                op_run(&one, (vbg_isa)isa, types[t], 1);
                double tol = types[t] == VBG_BF16 ? 0.03 : 1e-5; /* inputs rounded too */
                for (size_t i = 0; i < count; i++)
                    cr_assert(fabsf(one.y[i] - ref.y[i]) <= (float)tol, "%zu: %g, %g", i,
                              (double)one.y[i], (double)ref.y[i]);
                for (int threads = 2; threads <= 5; threads += 3) {
                    op_case many = op_open(p[0], p[1], p[2], p[3], p[4], p[5]);
                    op_run(&many, (vbg_isa)isa, types[t], threads);
                    cr_assert(memcmp(one.y, many.y, count * sizeof(float)) == 0);
                    op_close(&many);
                }
                op_close(&one);
            }
            op_close(&ref);
        }
}
