/* The way back through attention: every ISA against the reference, the op against
 * differences in double, the same bytes for any number of threads. */
#include "tests/grad.h"

/* Around vectors, tiles and blocks of queries and keys; heads of SD1, SD2, the VAE. */
static const struct {
    int tq, tk, d;
    size_t pad;
    bool causal;
    float spread;
} cases[] = {
    { 1, 1, 1, 0, false, 1 },      { 1, 2, 8, 0, false, 1 },
    { 7, 9, 5, 3, false, 1 },      { 16, 16, 16, 0, false, 1 },
    { 17, 33, 32, 4, false, 1 },   { 31, 77, 40, 280, false, 1 },
    { 33, 77, 64, 0, false, 2 },   { 140, 77, 80, 16, false, 1 },
    { 40, 77, 160, 0, false, 1 },  { 130, 300, 64, 256, false, 2 },
    { 77, 77, 64, 0, true, 1 },    { 77, 77, 20, 1, true, 2 },
    { 200, 200, 24, 0, true, 1 },  { 20, 259, 512, 0, false, 1 },
    { 300, 513, 12, 0, false, 2 }, { 64, 64, 96, 0, false, 1 },
    { 129, 257, 33, 0, true, 1 },  { 60, 20, 16, 0, true, 1 },
};
enum { CASES = sizeof cases / sizeof cases[0] };
static const vbg_dtype types[] = { VBG_F32, VBG_BF16 };

typedef struct setup {
    guarded q, k, v, y, dy, dq, dk, dv, top, rsum;
    vbg_attention_back b;
} setup;

static setup open_case(size_t i, vbg_dtype t, vbg_dtype out)
{
    const size_t tq = (size_t)cases[i].tq, tk = (size_t)cases[i].tk;
    const size_t d = (size_t)cases[i].d, ld = d + cases[i].pad;
    setup s = { .q = guard_filled(t, tq, d, ld, 0, cases[i].spread, 1),
                .k = guard_filled(t, tk, d, ld, 0, cases[i].spread, 2),
                .v = guard_filled(t, tk, d, ld, 0, 1, 3),
                .dy = guard_filled(t, tq, d, ld, 0, 1, 4),
                .y = guard_new(t, tq, d, ld),
                .dq = guard_new(out, tq, d, ld),
                .dk = guard_new(out, tk, d, ld),
                .dv = guard_new(out, tk, d, ld),
                .top = guard_new(VBG_F32, 1, tq, tq),
                .rsum = guard_new(VBG_F32, 1, tq, tq) };

    s.b = (vbg_attention_back){ .of = { .q = guard_data(&s.q),
                                        .k = guard_data(&s.k),
                                        .v = guard_data(&s.v),
                                        .y = guard_data(&s.y),
                                        .ldq = ld,
                                        .ldk = ld,
                                        .ldv = ld,
                                        .ldy = ld,
                                        .tq = cases[i].tq,
                                        .tk = cases[i].tk,
                                        .d = cases[i].d,
                                        .t = t,
                                        .scale = (float)(1 / sqrt((double)d)),
                                        .causal = cases[i].causal,
                                        .top = guard_data(&s.top),
                                        .rsum = guard_data(&s.rsum) },
                                .dy = guard_data(&s.dy),
                                .dq = guard_data(&s.dq),
                                .dk = guard_data(&s.dk),
                                .dv = guard_data(&s.dv),
                                .lddy = ld,
                                .lddq = ld,
                                .lddk = ld,
                                .lddv = ld,
                                .dqt = out,
                                .dkt = out };
    return s;
}

static void close_case(setup *s)
{
    guarded *all[] = { &s->q,  &s->k,  &s->v,  &s->y,   &s->dy,
                       &s->dq, &s->dk, &s->dv, &s->top, &s->rsum };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        guard_free(all[i]);
}

static void run_case(setup *s, vbg_isa isa, bool keys)
{
    vbg_kernels k;

    vbg_kernels_init(&k, isa);
    if (!keys)
        s->b.dk = s->b.dv = NULL;
    size_t bytes = k.attention.scratch(&s->b.of), more = k.attention.back_scratch(&s->b);
    bytes = bytes > more ? bytes : more;
    void *mem = malloc(bytes);
    memset(mem, 0xff, bytes); /* NaN: nothing may be taken for zero */
    k.attention.run(&s->b.of, 0, s->b.of.tq, mem);
    memset(mem, 0xff, bytes);
    k.attention.back(&s->b, 0, s->b.of.tk, mem);
    free(mem);
}

/* dv sums tq products of p, which sum to about tq/tk per key (at most tq); ds is at
 * most p*2d*scale, so dq and dk add up to about 2 sqrt(d) |k| and that times tq/tk.
 * Each product is off, relatively, by what the scores are (as in test_attention.c), and
 * by two roundings of p and ds in bf16, of random signs. */
static void check(const setup *got, const setup *want, size_t i, vbg_isa isa, bool keys)
{
    const double d = cases[i].d, s = (double)cases[i].spread;
    const double per_key = (double)cases[i].tq / (double)cases[i].tk + 2;
    const double score = (4 + sqrt(d)) * s * s * sqrt(d) * 0x1p-23 + 16 * 0x1p-23;
    const double e = got->b.of.t == VBG_BF16 ? score + 0x1p-7 : score;
    const double out = 2 * guard_eps(got->dq.t);

    guard_check(&got->dq, &want->dq, e * 2 * s * sqrt(d), out, vbg_isa_name(isa), i);
    if (!keys)
        return;
    guard_check(&got->dk, &want->dk, e * 2 * s * sqrt(d) * per_key, out,
                vbg_isa_name(isa), i);
    guard_check(&got->dv, &want->dv, e * per_key, out, vbg_isa_name(isa), i);
}

Test(attention_back, every_isa_like_the_reference)
{
    for (size_t i = 0; i < CASES; i++)
        for (size_t t = 0; t < 4; t++) {
            setup want = open_case(i, types[t & 1], types[t >> 1]);
            run_case(&want, VBG_ISA_REF, true);
            for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++)
                for (int keys = 0; keys < 2; keys++) {
                    setup got = open_case(i, types[t & 1], types[t >> 1]);
                    run_case(&got, (vbg_isa)isa, keys);
                    check(&got, &want, i, (vbg_isa)isa, keys);
                    close_case(&got);
                }
            close_case(&want);
        }
}

/* ---- the op ---- */

typedef struct attention_arg {
    int heads;
    bool causal;
} attention_arg;

static void attention_head(double *y, const double *q, const double *k, const double *v,
                           const size_t s[4], bool causal)
{
    const size_t tq = s[0], tk = s[1], d = s[2], c = s[3];
    double *p = malloc(tk * sizeof *p);

    for (size_t i = 0; i < tq; i++) {
        size_t keys = causal && i < tk ? i + 1 : tk;
        double top = -INFINITY, sum = 0;
        for (size_t j = 0; j < keys; j++) {
            p[j] = 0;
            for (size_t x = 0; x < d; x++)
                p[j] += q[i * c + x] * k[j * c + x] / sqrt((double)d);
            top = fmax(top, p[j]);
        }
        for (size_t j = 0; j < keys; j++)
            sum += p[j] = exp(p[j] - top);
        for (size_t x = 0; x < d; x++) {
            y[i * c + x] = 0;
            for (size_t j = 0; j < keys; j++)
                y[i * c + x] += p[j] / sum * v[j * c + x];
        }
    }
    free(p);
}

static void attention_formula(double *y, const grad_case *g, double *const *in,
                              double *const *p)
{
    const attention_arg *a = g->arg;
    const size_t n = (size_t)g->shape[0][0], kn = (size_t)g->shape[1][0];
    const size_t tq = (size_t)(g->shape[0][1] * g->shape[0][2]);
    const size_t tk = (size_t)(g->shape[1][1] * g->shape[1][2]);
    const size_t c = (size_t)g->shape[0][3], d = c / (size_t)a->heads;

    (void)p;
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < (size_t)a->heads; h++) {
            size_t q = i * tq * c + h * d, k = (kn > 1 ? i : 0) * tk * c + h * d;
            attention_head(y + q, in[0] + q, in[1] + k, in[2] + k,
                           (const size_t[]){ tq, tk, d, c }, a->causal);
        }
}

static vbg_tensor *attention_op(vbg_ctx *c, const grad_case *g, vbg_tensor *const *in,
                                vbg_param *const *p)
{
    const attention_arg *a = g->arg;

    (void)p;
    return vbg_attention(c, in[0], in[1], in[2], a->heads, a->causal);
}

/* q, k and v as thirds of one tensor. */
static vbg_tensor *thirds_op(vbg_ctx *c, const grad_case *g, vbg_tensor *const *in,
                             vbg_param *const *p)
{
    const attention_arg *a = g->arg;
    const int d = g->shape[0][3];

    (void)p;
    vbg_tensor *x = vbg_concat(c, vbg_concat(c, in[0], in[1]), in[2]);
    return vbg_attention(c, vbg_columns(c, x, 0, d), vbg_columns(c, x, d, d),
                         vbg_columns(c, x, 2 * d, d), a->heads, a->causal);
}

static const attention_arg two = { 2, false }, two_causal = { 2, true },
                           three = { 3, false }, one = { 1, false };

static const struct {
    const char *name;
    grad_case g;
} ops[] = {
    { "self",
      { .shape = { { 2, 3, 7, 24 }, { 2, 3, 7, 24 }, { 2, 3, 7, 24 } }, .arg = &three } },
    { "cross",
      { .shape = { { 2, 3, 5, 16 }, { 2, 1, 9, 16 }, { 2, 1, 9, 16 } }, .arg = &two } },
    { "shared keys",
      { .shape = { { 3, 3, 5, 16 }, { 1, 1, 9, 16 }, { 1, 1, 9, 16 } }, .arg = &two } },
    { "causal",
      { .shape = { { 2, 1, 19, 16 }, { 2, 1, 19, 16 }, { 2, 1, 19, 16 } },
        .arg = &two_causal } },
    { "runs of keys",
      { .shape = { { 1, 2, 3, 4 }, { 1, 1, 1100, 4 }, { 1, 1, 1100, 4 } },
        .arg = &one } },
    { "thirds",
      { .shape = { { 2, 3, 7, 16 }, { 2, 3, 7, 16 }, { 2, 3, 7, 16 } },
        .op = thirds_op,
        .arg = &two } },
    { "thirds in a segment",
      { .shape = { { 2, 3, 7, 16 }, { 2, 3, 7, 16 }, { 2, 3, 7, 16 } },
        .op = thirds_op,
        .arg = &two,
        .checkpoint = true } },
};
enum { OPS = sizeof ops / sizeof ops[0] };

static grad_case open_op(size_t i)
{
    grad_case g = ops[i].g;

    g.inputs = 3;
    if (!g.op)
        g.op = attention_op;
    grad_open(&g, grad_size(g.shape[0]), 0);
    return g;
}

/* f32: see check; bf16: p, ds, y (through sum(dy*y)) and the result rounded to 2^-9. */
Test(attention_back, ops_like_differences)
{
    for (size_t i = 0; i < OPS; i++)
        for (int isa = VBG_ISA_REF; isa <= (int)vbg_isa_detect(); isa++)
            for (int t = 0; t < 2; t++) {
                bool fast = types[t] == VBG_BF16 && isa >= VBG_ISA_AVX512_BF16;
                grad_case g = open_op(i);
                grad_run(&g, (vbg_isa)isa, types[t], 2);
                grad_check(&g, attention_formula, fast ? 0x1p-5 : 1e-5, ops[i].name);
                grad_close(&g);
            }
}

Test(attention_back, threads_do_not_change_a_bit)
{
    for (size_t i = 0; i < OPS; i++)
        for (int t = 0; t < 2; t++) {
            grad_case alone = open_op(i);
            grad_run(&alone, VBG_ISA_AMX_BF16, types[t], 1);
            for (int threads = 2; threads <= 5; threads += 3) {
                grad_case many = open_op(i);
                grad_run(&many, VBG_ISA_AMX_BF16, types[t], threads);
                grad_same(&alone, &many);
                grad_close(&many);
            }
            grad_close(&alone);
        }
}
