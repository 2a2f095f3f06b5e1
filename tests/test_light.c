/* Rows of kernels/light.h: every ISA against the reference; the tiles of feathers. */
#include "tests/guard.h"

#include "engine/tensor.h"
#include "video/blur.h"
#include "video/feather.h"

enum { PAD = 64 };

static uint32_t next(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u;
    return *s >> 8;
}

static vbg_light_kernels kernels_of(vbg_isa isa)
{
    vbg_kernels k;

    vbg_kernels_init(&k, isa);
    return k.light;
}

static void ranges(vbg_isa isa)
{
    static const size_t widths[] = { 1, 7, 8, 31, 32, 33, 63, 64, 97, 256 };
    static const uint32_t rule[2][2] = { /* luma, chroma of video/camera_pixels.c */
                                         { 56283, (16u << 16) + 32768u },
                                         { 57568, (128u << 16) - 128u * 57568u + 32768u }
    };
    const vbg_light_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);

    for (size_t i = 0; i < 2 * sizeof widths / sizeof *widths; i++) {
        const size_t n = widths[i / 2];
        uint8_t src[256], want[256], got[256 + 2 * PAD];
        for (size_t x = 0; x < n; x++)
            src[x] = (uint8_t)(x * 255 / (n > 1 ? n - 1 : 1));
        memset(got, 0xA5, sizeof got);
        ref.range(want, src, rule[i % 2][0], rule[i % 2][1], n);
        k.range(got + PAD, src, rule[i % 2][0], rule[i % 2][1], n);
        for (size_t x = 0; x < n; x++)
            cr_assert_eq(got[PAD + x], want[x], "case %zu at %zu: %d, reference %d", i, x,
                         got[PAD + x], want[x]);
        for (size_t x = 0; x < PAD; x++)
            cr_assert(got[x] == 0xA5 && got[PAD + n + x] == 0xA5, "case %zu: outside", i);
        k.range(src, src, rule[i % 2][0], rule[i % 2][1], n);
        cr_assert_arr_eq(src, want, n, "case %zu in place", i);
    }
    uint8_t ends[3] = { 0, 128, 255 }, y[3], c[3];
    k.range(y, ends, rule[0][0], rule[0][1], 3);
    k.range(c, ends, rule[1][0], rule[1][1], 3);
    cr_expect(y[0] == 16 && y[2] == 235 && c[0] == 16 && c[1] == 128 && c[2] == 240);
}

static void edges(vbg_isa isa)
{
    enum { COLUMNS = 24 };
    static const struct {
        int from, to;
        bool half;
        float spill, wrap, add;
    } cases[] = {
        { 0, 1, false, 0.5f, 0.1f, 0 },    { 0, COLUMNS, false, 0.5f, 0.1f, 3.3f },
        { 3, 9, false, 1, 0, -20 },        { 0, 2, true, 0.5f, 0.1f, 0 },
        { 0, COLUMNS, true, 1, 0.5f, -4 }, { 6, 10, true, 0, 0.1f, 60 },
        { 5, 5, false, 1, 1, 1 },          { 22, 24, true, 0.5f, 0.1f, 0 },
    };
    const vbg_light_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int per = cases[i].half ? 4 : 8;
        uint32_t s = (uint32_t)i + 1;
        float field[4][COLUMNS + 16];
        uint8_t src[8 * COLUMNS], alpha[8 * COLUMNS], want[8 * COLUMNS],
            got[8 * COLUMNS + 2 * PAD];
        for (int f = 0; f < 4; f++)
            for (int x = 0; x < COLUMNS + 16; x++) /* weight, inside: 0..1 */
                field[f][x] =
                    (float)(next(&s) % 256) * (f == 1 || f == 2 ? 1.0f / 255 : 1.0f);
        for (int x = 4; x < 9; x++) /* nobody near: the quotient is no number */
            field[0][x] = field[1][x] = 0;
        for (int x = 0; x < 8 * COLUMNS; x++) {
            src[x] = (uint8_t)next(&s);
            alpha[x] = (uint8_t)(next(&s) % 3 == 0 ? 0 : next(&s));
        }
        vbg_light_row r = { .dst = want,
                            .src = src,
                            .alpha = alpha,
                            .person = field[0] + 1,
                            .weight = field[1] + 1,
                            .inside = field[2] + 1,
                            .back = field[3] + 1,
                            .spill = cases[i].spill,
                            .wrap = cases[i].wrap,
                            .add = cases[i].add,
                            .half = cases[i].half };
        memset(got, 0xA5, sizeof got);
        ref.edge(&r, cases[i].from, cases[i].to);
        r.dst = got + PAD;
        k.edge(&r, cases[i].from, cases[i].to);
        for (int x = 0; x < 8 * COLUMNS; x++) {
            const bool in = x >= cases[i].from * per && x < cases[i].to * per;
            if (in) /* one where c lies on a half */
                cr_assert(abs(got[PAD + x] - want[x]) <= 1,
                          "case %zu at %d: %d, reference %d", i, x, got[PAD + x],
                          want[x]);
            else
                cr_assert_eq(got[PAD + x], 0xA5, "case %zu: wrote at %d", i, x);
            if (in && alpha[cases[i].half ? 2 * x : x] == 0)
                cr_assert_eq(got[PAD + x], src[x], "case %zu at %d: hidden", i, x);
        }
    }
}

static void packed(vbg_isa isa)
{
    const vbg_light_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);

    for (size_t n = 0; n < 40; n++) {
        uint8_t y[80], u[40], v[40], want[160], got[160 + 2 * PAD];
        uint32_t s = (uint32_t)n;
        for (size_t i = 0; i < 80; i++)
            y[i] = (uint8_t)next(&s);
        for (size_t i = 0; i < 40; i++) {
            u[i] = (uint8_t)next(&s);
            v[i] = (uint8_t)next(&s);
        }
        memset(got, 0xA5, sizeof got);
        ref.yuyv(want, y, u, v, n);
        k.yuyv(got + PAD, y, u, v, n);
        cr_assert(memcmp(got + PAD, want, 4 * n) == 0, "%zu pairs", n);
        for (size_t i = 0; i < PAD; i++)
            cr_assert(got[i] == 0xA5 && got[PAD + 4 * n + i] == 0xA5, "%zu pairs", n);
    }
}

Test(light, every_isa)
{
    for (vbg_isa isa = VBG_ISA_REF; isa <= VBG_ISA_AMX_BF16; isa++) {
        ranges(isa);
        edges(isa);
        packed(isa);
    }
}

/* A feather equals the plain Gaussian of the whole mask, border mirrored. */
Test(light, feather)
{
    static const int sizes[][2] = { { 64, 16 }, { 200, 90 }, { 321, 67 }, { 40, 40 } };
    static const double widths[] = { 0.5, 2, 5, 9 };
    vbg_kernels k;

    vbg_kernels_init(&k, VBG_ISA_AMX_BF16);
    for (size_t i = 0; i < 16; i++) {
        const int w = sizes[i / 4][0], h = sizes[i / 4][1];
        const double sigma = fmax(0.5, widths[i % 4] / 2.6);
        const int taps = vbg_gauss_length(sigma, 3);
        double exact[64];
        float weight[64];
        vbg_picture p, want;
        vbg_feather *f;
        cr_assert_eq(vbg_picture_new(&p, w, h, 1, NULL), VBG_OK);
        cr_assert_eq(vbg_picture_new(&want, w, h, 1, NULL), VBG_OK);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) /* a disc that leaves the picture, and a dot */
                vbg_picture_row(&p, y)[x] =
                    (x - 20) * (x - 20) + (y - h) * (y - h) < h * h / 2 ||
                            (x == w - 3 && y == 2)
                        ? 255
                        : 0;
        vbg_gauss_kernel(exact, taps, sigma);
        for (int t = 0; t < taps; t++)
            weight[t] = (float)exact[t];
        cr_assert_eq(vbg_filter_u8(&k, &want, &p, weight, taps, VBG_BORDER_REFLECT, NULL),
                     VBG_OK);
        cr_assert_eq(vbg_feather_new(&f, w, h, widths[i % 4], NULL), VBG_OK);
        vbg_feather_run(f, &k, &p);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                cr_assert(abs(vbg_picture_row(&p, y)[x] - vbg_picture_row(&want, y)[x]) <=
                              1,
                          "case %zu at %d %d: %d, whole picture %d", i, x, y,
                          vbg_picture_row(&p, y)[x], vbg_picture_row(&want, y)[x]);
        vbg_feather_free(f);
        vbg_picture_free(&p);
        vbg_picture_free(&want);
    }
}
