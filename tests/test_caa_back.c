/* The way back through CAA blocks: kernels of every ISA against the reference, whole
 * blocks against differences (tests/gradient.h). */
#include "models/caa.h"
#include "tests/caa_spots.h"
#include "tests/gradient.h"

#include <stdio.h>

/* ---- kernels ---- */

static const struct {
    int h, w, c;
    size_t pad;
} cases[] = { { 1, 1, 32, 0 },  { 2, 2, 32, 5 },  { 3, 5, 64, 0 },  { 8, 8, 96, 32 },
              { 4, 7, 320, 0 }, { 3, 3, 640, 0 }, { 2, 2, 1280, 8 } };
enum { CASES = sizeof cases / sizeof cases[0], MAPS = 8 };

typedef struct setup {
    guarded map[MAPS], table[3]; /* q, dy, and x, k, v of both neighbours */
    guarded dq, dek, dev, coef, line, dvec, dx, dk, dv;
    vbg_caa_spot *spot;
    float *vec;
    vbg_caa_back b;
} setup;

static guarded zeros(size_t rows, size_t cols)
{
    return guard_filled(VBG_F32, rows, cols, cols, 0, 0, 1);
}

static setup open_case(size_t i, vbg_dtype t)
{
    const size_t px = (size_t)(cases[i].h * cases[i].w), c = (size_t)cases[i].c;
    const size_t ld = c + cases[i].pad;
    uint32_t seed = (uint32_t)(i + 1);
    setup s = { .spot = calloc(2 * px, sizeof *s.spot),
                .vec = calloc(4 * c, sizeof *s.vec) };
    const size_t rows = fill_spots(s.spot, cases[i].h, cases[i].w, &seed);

    for (uint32_t n = 0; n < MAPS; n++)
        s.map[n] = guard_filled(t, px, c, ld, 0, 1, 10 + n);
    for (uint32_t n = 0; n < 3; n++)
        s.table[n] = guard_filled(t, rows + 1, c, c, 0, 1, 20 + n);
    for (size_t n = 0; n < 4 * c; n++)
        s.vec[n] = guard_random(&seed);
    s.dq = guard_new(t, px, c, ld);
    s.dek = zeros(rows + 1, c);
    s.dev = zeros(rows + 1, c);
    s.coef = zeros(rows + 1, c / 16);
    s.line = zeros(rows + 1, 2);
    s.dvec = zeros(3, c);
    s.dx = zeros(px, 32);
    s.dk = zeros(px, 32);
    s.dv = zeros(px, 32);
    s.b = (vbg_caa_back){ .of = { .q = guard_data(&s.map[0]),
                                  .ldq = ld,
                                  .ldx = ld,
                                  .ldk = ld,
                                  .ldv = ld,
                                  .enc = guard_data(&s.table[0]),
                                  .ek = guard_data(&s.table[1]),
                                  .ev = guard_data(&s.table[2]),
                                  .k_one = s.vec,
                                  .v_one = s.vec + c,
                                  .k_null = s.vec + 2 * c,
                                  .v_null = s.vec + 3 * c,
                                  .spot = s.spot,
                                  .h = cases[i].h,
                                  .w = cases[i].w,
                                  .c = cases[i].c,
                                  .t = t,
                                  .eps = 1e-5f },
                          .dy = guard_data(&s.map[1]),
                          .dq = guard_data(&s.dq),
                          .lddy = ld,
                          .lddq = ld,
                          .dek = guard_data(&s.dek),
                          .dev = guard_data(&s.dev),
                          .coef = guard_data(&s.coef),
                          .line = guard_data(&s.line),
                          .dvec = guard_data(&s.dvec),
                          .dx = guard_data(&s.dx),
                          .dk = guard_data(&s.dk),
                          .dv = guard_data(&s.dv) };
    for (size_t side = 0; side < 2; side++) {
        s.b.of.x[side] = guard_data(&s.map[2 + side]);
        s.b.of.k[side] = guard_data(&s.map[4 + side]);
        s.b.of.v[side] = guard_data(&s.map[6 + side]);
    }
    return s;
}

static void run_case(setup *s, vbg_isa isa)
{
    const size_t px = (size_t)(s->b.of.h * s->b.of.w), last = (size_t)s->b.of.c - 32;
    vbg_kernels k;

    vbg_kernels_init(&k, isa);
    k.caa.back(&s->b, 0, px / 2);
    k.caa.back(&s->b, px / 2, px);
    for (int side = 0; side < 2; side++) {
        k.caa.scatter(&s->b, side, 0);
        k.caa.scatter(&s->b, side, last);
    }
}

static void close_case(setup *s)
{
    guarded *all[] = { &s->dq,   &s->dek, &s->dev, &s->coef, &s->line,
                       &s->dvec, &s->dx,  &s->dk,  &s->dv };

    for (size_t i = 0; i < MAPS; i++)
        guard_free(&s->map[i]);
    for (size_t i = 0; i < 3; i++)
        guard_free(&s->table[i]);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        guard_free(all[i]);
    free(s->spot);
    free(s->vec);
}

/* Scores are sums of 32 products of size 1 and the norm's mean and spread are sums of c;
 * p follows the scores' absolute error, everything else is sums of products with p.
 * dm and dr add up c/32 heads, sums over pixels their number; `size` is what a sum may
 * reach. */
static void check_one(const guarded *got, const guarded *want, double size, double c,
                      const char *what, size_t i)
{
    guard_check(got, want, size * 128 * sqrt(c) * 0x1p-24, 2 * guard_eps(got->t), what,
                i);
}

static void check(const setup *got, const setup *want, size_t i)
{
    const double c = cases[i].c, px = (double)(cases[i].h * cases[i].w), heads = c / 32;

    check_one(&got->dq, &want->dq, 4, c, "dq", i);
    check_one(&got->dek, &want->dek, 1, c, "dek", i);
    check_one(&got->dev, &want->dev, 1, c, "dev", i);
    check_one(&got->coef, &want->coef, 1, c, "coef", i);
    check_one(&got->line, &want->line, heads / c * 32, c, "line", i);
    check_one(&got->dvec, &want->dvec, px, c, "dvec", i);
    check_one(&got->dx, &want->dx, px, c, "dx", i);
    check_one(&got->dk, &want->dk, px, c, "dk", i);
    check_one(&got->dv, &want->dv, px, c, "dv", i);
}

Test(caa_back, every_isa_like_the_reference)
{
    for (size_t i = 0; i < CASES; i++)
        for (int t = VBG_F32; t <= VBG_BF16; t++) {
            setup want = open_case(i, (vbg_dtype)t);
            run_case(&want, VBG_ISA_REF);
            for (int isa = VBG_ISA_AVX2; isa <= (int)vbg_isa_detect(); isa++) {
                setup got = open_case(i, (vbg_dtype)t);
                run_case(&got, (vbg_isa)isa);
                check(&got, &want, i);
                close_case(&got);
            }
            close_case(&want);
        }
}

/* ---- blocks ---- */

typedef struct block_case {
    vbg_caa_level level;
    vbg_caa_block m;
    vbg_caa_tables *tables[2]; /* f32, bf16 */
    float freq[16];
} block_case;

static vbg_weight layer_param(vbg_params *p, const char *name, int oc, int c, bool bias)
{
    char label[32];
    vbg_entry e = { .component = "m",
                    .name = label,
                    .layout = VBG_LAYOUT_PACK16,
                    .rank = 2,
                    .dim = { oc, c } };
    vbg_entry v = {
        .component = "m", .name = label, .dtype = VBG_F32, .rank = 1, .dim = { oc }
    };

    snprintf(label, sizeof label, "%s.weight", name);
    vbg_param *m = vbg_params_take(p, NULL, &e, VBG_INIT_UNIFORM, 0.2f);
    vbg_weight w = { .data = m->packed,
                     .dtype = m->dtype,
                     .oc = oc,
                     .c = c,
                     .kh = 1,
                     .kw = 1,
                     .groups = 1 };
    snprintf(label, sizeof label, "%s.bias", name);
    if (bias)
        w.bias = vbg_params_take(p, NULL, &v, VBG_INIT_UNIFORM, 0.2f)->value;
    return w;
}

static vbg_norm_w norm_param(vbg_params *p, const char *name, int c)
{
    char label[32];
    vbg_entry v = {
        .component = "m", .name = label, .dtype = VBG_F32, .rank = 1, .dim = { c }
    };
    vbg_norm_w w = { .c = c };

    snprintf(label, sizeof label, "%s.weight", name);
    w.gamma = vbg_params_take(p, NULL, &v, VBG_INIT_UNIFORM, 1)->value;
    snprintf(label, sizeof label, "%s.bias", name);
    w.beta = vbg_params_take(p, NULL, &v, VBG_INIT_UNIFORM, 0.3f)->value;
    return w;
}

static void block_params(vbg_params *p, void *arg)
{
    block_case *b = arg;
    const int c = b->m.c;

    b->m.q = layer_param(p, "q", c, c, false);
    b->m.k = layer_param(p, "k", c, c, false);
    b->m.v = layer_param(p, "v", c, c, false);
    b->m.out = layer_param(p, "out", c, c, true);
    b->m.ff1 = layer_param(p, "ff1", 8 * c, c, true);
    b->m.ff2 = layer_param(p, "ff2", c, 4 * c, true);
    b->m.norm1 = norm_param(p, "norm1", c);
    b->m.norm2 = norm_param(p, "norm2", c);
}

static vbg_tensor *block(vbg_ctx *c, vbg_tensor *const *x, void *arg)
{
    const block_case *b = arg;

    return vbg_caa_forward(c, &b->m, b->tables[vbg_ctx_act(c) == VBG_BF16], x[0]);
}

/* Four views of 75 degrees, one of them pitched, so that poses differ. */
static void block_open(block_case *b, int h, int w, int c, double pitch)
{
    vbg_camera cam[4];
    vbg_ctx *ctx;

    for (int i = 0; i < 4; i++)
        cam[i] = vbg_camera_look(100, 75 * i, i == 2 ? pitch : 0, 8 * w, 8 * h);
    *b = (block_case){ .m = { .c = c, .freq = b->freq } };
    cr_assert_eq(vbg_caa_level_new(&b->level, cam, 4, 8 * w, 8 * h, w, h, NULL), VBG_OK);
    cr_assert(b->level.rows > 10);
    vbg_encoding_bands(b->freq, c);
    for (int t = VBG_F32; t <= VBG_BF16; t++) {
        vbg_ctx_opt opt = { .threads = 1,
                            .isa = VBG_ISA_AMX_BF16,
                            .precision = (vbg_dtype)t };
        cr_assert_eq(vbg_ctx_new(&ctx, &opt, NULL), VBG_OK);
        cr_assert_eq(vbg_caa_tables_train(&b->tables[vbg_ctx_act(ctx) == VBG_BF16], ctx,
                                          &b->m, &b->level, NULL, NULL),
                     VBG_OK);
        vbg_ctx_free(ctx);
    }
}

static void block_close(block_case *b)
{
    vbg_caa_tables_free(b->tables[0]);
    vbg_caa_tables_free(b->tables[1]);
    vbg_caa_level_free(&b->level);
}

/* The loss is rounded to 2e-6, which differences by 1/64 make 1e-4: 2 % of the smaller
 * gradients.  bf16 rounds every tensor, and gradients of norm1 pass some twenty. */
Test(caa_back, blocks_like_differences)
{
    static const struct {
        int h, w, c;
        double pitch;
    } sizes[] = { { 4, 2, 32, 12 } };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        block_case b;
        block_open(&b, sizes[i].h, sizes[i].w, sizes[i].c, sizes[i].pitch);
        gradient_check(&(gradient_case){
            .name = "CAA block",
            .build = block,
            .params = block_params,
            .arg = &b,
            .in = { { .n = 4, .h = sizes[i].h, .w = sizes[i].w, .c = sizes[i].c } },
            .tol = 2e-2,
            .tol_bf16 = 5e-2,
        });
        block_close(&b);
    }
}
