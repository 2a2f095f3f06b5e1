/* Rows of kernels/picture.h: every ISA against the reference. */
#include "tests/guard.h"

#include "video/colour.h"

/* Around a vector of 8 and 16, a block of 16 pixels, four vectors in flight. */
static const size_t widths[] = {
    1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130, 320
};
enum { WIDTHS = sizeof widths / sizeof widths[0], PAD = 64 };

static uint32_t next(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u;
    return *s >> 8;
}

/* n bytes between PAD guard bytes of 0xA5, filled with noise. */
static uint8_t *bytes_new(size_t n, uint32_t seed)
{
    uint8_t *p = malloc(n + 2 * PAD);

    cr_assert(p != NULL);
    memset(p, 0xA5, n + 2 * PAD);
    for (size_t i = 0; i < n; i++)
        p[PAD + i] = (uint8_t)next(&seed);
    return p + PAD;
}

static void bytes_free(uint8_t *p)
{
    free(p - PAD);
}

/* got = want (within `off` levels), guards untouched. */
static void bytes_check(const uint8_t *got, const uint8_t *want, size_t n, int off,
                        const char *what, size_t index)
{
    for (size_t i = 0; i < PAD; i++)
        cr_assert(got[-1 - (ptrdiff_t)i] == 0xA5 && got[n + i] == 0xA5,
                  "%s case %zu: wrote outside", what, index);
    for (size_t i = 0; i < n; i++)
        cr_assert(abs(got[i] - want[i]) <= off, "%s case %zu at %zu: %d, reference %d",
                  what, index, i, got[i], want[i]);
}

static vbg_picture_kernels kernels_of(vbg_isa isa)
{
    vbg_kernels k;

    vbg_kernels_init(&k, isa);
    return k.picture;
}

/* Weights sum to one in size: k rounded products and sums, each within 2^-24 of
 * values up to 255 (u8) or 1 (f32). */
enum { MAX_TAPS = 9 };

static void columns(vbg_isa isa)
{
    const vbg_picture_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);
    const float w[MAX_TAPS] = { 0.1f, -0.2f, 0.3f, 0.25f, 0.15f, 0.1f, 0.1f, 0.1f, 0.1f };

    for (size_t i = 0; i < WIDTHS * 3; i++) {
        size_t n = widths[i / 3];
        int taps = i % 3 == 0 ? 1 : i % 3 == 1 ? 4 : MAX_TAPS;
        const uint8_t *rows[MAX_TAPS];
        const float *lines[MAX_TAPS];
        uint8_t *noise = bytes_new(n * MAX_TAPS, 5);
        guarded x = guard_filled(VBG_F32, MAX_TAPS, n, n + 3, 0, 1, 6);
        guarded y = guard_new(VBG_F32, 1, n, n), want = guard_new(VBG_F32, 1, n, n);
        for (size_t r = 0; r < MAX_TAPS; r++) {
            rows[r] = noise + r * n;
            lines[r] = (const float *)guard_data(&x) + r * (n + 3);
        }
        ref.column_u8(guard_data(&want), rows, w, taps, n);
        k.column_u8(guard_data(&y), rows, w, taps, n);
        guard_check(&y, &want, 255 * 1.4 * 2 * MAX_TAPS * 0x1p-24, 0, "column_u8", i);
        ref.column_f32(guard_data(&want), lines, w, taps, n);
        k.column_f32(guard_data(&y), lines, w, taps, n);
        guard_check(&y, &want, 1.4 * 2 * MAX_TAPS * 0x1p-24, 0, "column_f32", i);
        guard_free(&x);
        guard_free(&y);
        guard_free(&want);
        bytes_free(noise);
    }
}

static void means(vbg_isa isa)
{
    const vbg_picture_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);

    for (size_t i = 0; i < WIDTHS; i++) {
        const size_t n = widths[i];
        uint8_t *noise = bytes_new(16 * n, 9);
        const uint8_t *rows[4] = { noise, noise + 4 * n, noise + 8 * n, noise + 12 * n };
        guarded y = guard_new(VBG_F32, 1, n, n), want = guard_new(VBG_F32, 1, n, n);
        ref.mean4(guard_data(&want), rows, n);
        k.mean4(guard_data(&y), rows, n);
        guard_check(&y, &want, 0, 0, "mean4", i);
        uint8_t *half = bytes_new(n, 10), *half_want = bytes_new(n, 10);
        ref.mean2(half_want, rows, n);
        k.mean2(half, rows, n);
        bytes_check(half, half_want, n, 0, "mean2", i);
        bytes_free(half);
        bytes_free(half_want);
        guard_free(&y);
        guard_free(&want);
        bytes_free(noise);
    }
}

/* Growing and shrinking windows, one to four channels. */
static void row_sums(vbg_isa isa)
{
    const vbg_picture_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);

    for (size_t i = 0; i < WIDTHS * 8; i++) {
        size_t n = widths[i / 8], ch = i % 4 + 1, taps = i % 8 < 4 ? 2 : MAX_TAPS;
        size_t in = i % 8 < 4 ? n / 3 + taps : n * 5 + taps;
        int *first = malloc(n * sizeof *first);
        uint32_t s = (uint32_t)i;
        guarded src = guard_filled(VBG_F32, 1, in * ch, in * ch, 0, 1, 7);
        guarded w = guard_filled(VBG_F32, 1, n * taps, n * taps, 0, 1, 8);
        guarded y = guard_new(VBG_F32, 1, n * ch, n * ch);
        guarded want = guard_new(VBG_F32, 1, n * ch, n * ch);
        float *out = malloc((n * ch + 16) * sizeof *out);
        for (size_t x = 0; x < n; x++)
            first[x] = (int)(x * (in - taps) / n);
        ref.row_taps(out, guard_data(&src), first, guard_data(&w), (int)taps, n, (int)ch);
        memcpy(guard_data(&want), out, n * ch * sizeof *out);
        k.row_taps(out, guard_data(&src), first, guard_data(&w), (int)taps, n, (int)ch);
        memcpy(guard_data(&y), out, n * ch * sizeof *out);
        guard_check(&y, &want, 2 * MAX_TAPS * MAX_TAPS * 0x1p-24, 0, "row_taps", i);
        size_t m = in * ch > MAX_TAPS * ch ? in * ch - (MAX_TAPS - 1) * ch : 0;
        if (m > n)
            m = n;
        guarded fy = guard_new(VBG_F32, 1, m + 1, m + 1),
                fw = guard_new(VBG_F32, 1, m + 1, m + 1);
        ((float *)guard_data(&fy))[m] = ((float *)guard_data(&fw))[m] = guard_random(&s);
        if (m && n * taps >= MAX_TAPS) {
            ref.row_filter(guard_data(&fw), guard_data(&src), guard_data(&w), MAX_TAPS,
                           ch, m);
            k.row_filter(guard_data(&fy), guard_data(&src), guard_data(&w), MAX_TAPS, ch,
                         m);
            guard_check(&fy, &fw, 2 * MAX_TAPS * MAX_TAPS * 0x1p-24, 0, "row_filter", i);
        }
        guard_free(&src);
        guard_free(&w);
        guard_free(&y);
        guard_free(&want);
        guard_free(&fy);
        guard_free(&fw);
        free(first);
        free(out);
    }
}

static void rounding(vbg_isa isa)
{
    const vbg_picture_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);
    const float odd[] = { -1e30f,  -0.5f,  -0.0f, 0.5f,  1.5f,  2.5f,
                          254.5f,  255.4f, 256,   1e30f, NAN,   127.5f,
                          -1e-30f, 128.5f, 3e9f,  -3e9f, 0.49f, 254.51f };

    for (size_t i = 0; i < WIDTHS; i++) {
        size_t n = widths[i];
        float *x = malloc(n * sizeof *x);
        uint8_t *y = bytes_new(n, 1), *want = bytes_new(n, 2);
        for (size_t j = 0; j < n; j++)
            x[j] = odd[(j + i) % (sizeof odd / sizeof *odd)];
        ref.to_u8(want, x, n);
        k.to_u8(y, x, n);
        bytes_check(y, want, n, 0, "to_u8", i);
        free(x);
        bytes_free(y);
        bytes_free(want);
    }
}

/* Layouts in row form: luma step, chroma step and shift. */
static const struct {
    size_t y_step, step, v_at;
    int shift;
} layouts[] = { { 1, 1, 0, 0 }, { 1, 1, 0, 1 }, { 1, 2, 1, 1 }, { 2, 4, 2, 1 } };

static void colour_rows(vbg_isa isa)
{
    const vbg_picture_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);

    for (size_t i = 0; i < WIDTHS * 16; i++) {
        size_t n = widths[i / 16], l = i % 4, ys = layouts[l].y_step, s = layouts[l].step;
        vbg_yuv_matrix m;
        vbg_yuv_matrix_make(&m, i / 4 % 2, i / 8 % 2);
        uint8_t *y = bytes_new(n * ys, 1), *uv = bytes_new(2 * n * s + 4, 2);
        uint8_t *v = layouts[l].v_at ? uv + layouts[l].v_at : uv + n * s;
        uint8_t *got = bytes_new(3 * n, 3), *want = bytes_new(3 * n, 4);
        ref.yuv_rgb(want, y, ys, uv, v, s, layouts[l].shift, &m, n);
        k.yuv_rgb(got, y, ys, uv, v, s, layouts[l].shift, &m, n);
        bytes_check(got, want, 3 * n, 0, "yuv_rgb", i);
        uint8_t *ly = bytes_new(n * ys, 5), *lw = bytes_new(n * ys, 5);
        ref.rgb_y(lw, ys, want, &m, n);
        k.rgb_y(ly, ys, want, &m, n);
        bytes_check(ly, lw, n * ys, 0, "rgb_y", i);
        size_t pairs = n / 2;
        uint8_t *cu = bytes_new(2 * pairs * s + 4, 6),
                *cw = bytes_new(2 * pairs * s + 4, 6);
        ref.rgb_uv(cw, cw + (s > 1 ? 1 : pairs), s, want, got, &m, pairs);
        k.rgb_uv(cu, cu + (s > 1 ? 1 : pairs), s, want, got, &m, pairs);
        bytes_check(cu, cw, 2 * pairs * s + 4, 0, "rgb_uv", i);
        bytes_free(y);
        bytes_free(uv);
        bytes_free(got);
        bytes_free(want);
        bytes_free(ly);
        bytes_free(lw);
        bytes_free(cu);
        bytes_free(cw);
    }
}

/* All 2^24 codes of one matrix, both ways: exactness is a claim of the header. */
static void every_code(vbg_isa isa, bool bt709, bool full)
{
    const vbg_picture_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);
    uint8_t a[256], v[256], rgb[768], want[768], y[256], yw[256];
    vbg_yuv_matrix m;

    vbg_yuv_matrix_make(&m, bt709, full);
    for (int i = 0; i < 256; i++)
        v[i] = (uint8_t)i;
    for (int i = 0; i < 65536; i += 3) { /* a third of the pairs: 5.6 million codes */
        uint8_t u[256];
        memset(a, i >> 8, sizeof a);
        memset(u, i & 255, sizeof u);
        ref.yuv_rgb(want, a, 1, u, v, 1, 0, &m, 256);
        k.yuv_rgb(rgb, a, 1, u, v, 1, 0, &m, 256);
        cr_assert(memcmp(rgb, want, sizeof rgb) == 0, "Y %d U %d", i >> 8, i & 255);
        for (int x = 0; x < 256; x++) {
            rgb[3 * x] = (uint8_t)(i >> 8);
            rgb[3 * x + 1] = (uint8_t)i;
            rgb[3 * x + 2] = (uint8_t)x;
        }
        ref.rgb_y(yw, 1, rgb, &m, 256);
        k.rgb_y(y, 1, rgb, &m, 256);
        cr_assert(memcmp(y, yw, sizeof y) == 0, "R %d G %d", i >> 8, i & 255);
    }
}

static void mixing(vbg_isa isa)
{
    const vbg_picture_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);

    for (size_t i = 0; i < WIDTHS; i++) {
        size_t n = widths[i];
        uint8_t *f = bytes_new(3 * n, 1), *b = bytes_new(3 * n, 2), *a = bytes_new(n, 3);
        uint8_t *y = bytes_new(3 * n, 4), *want = bytes_new(3 * n, 5);
        a[0] = 255;
        a[n - 1] = 0;
        ref.mix(want, f, b, a, n);
        k.mix(y, f, b, a, n);
        bytes_check(y, want, 3 * n, 0, "mix", i);
        bytes_free(f);
        bytes_free(b);
        bytes_free(a);
        bytes_free(y);
        bytes_free(want);
    }
    /* every alpha with every difference */
    uint8_t f[3 * 256], b[3 * 256], a[256], y[3 * 256], want[3 * 256];
    for (int alpha = 0; alpha < 256; alpha++) {
        memset(a, alpha, sizeof a);
        for (int x = 0; x < 768; x++) {
            f[x] = (uint8_t)x;
            b[x] = (uint8_t)(x * 7 + alpha);
        }
        ref.mix(want, f, b, a, 256);
        k.mix(y, f, b, a, 256);
        cr_assert(memcmp(y, want, sizeof y) == 0, "alpha %d", alpha);
    }
}

/* A quotient of sums of a few products of values up to 1 over at least 0.01: each of
 * about 6 roundings is magnified by at most 1/0.01. */
static void guided_rows(vbg_isa isa)
{
    const vbg_picture_kernels ref = kernels_of(VBG_ISA_REF), k = kernels_of(isa);

    for (size_t i = 0; i < WIDTHS; i++) {
        size_t n = widths[i];
        guarded in[4], got[3], want[3];
        for (uint32_t j = 0; j < 4; j++)
            in[j] = guard_filled(VBG_F32, 1, n, n, j == 3 ? 1.5f : 0.5f, 0.25f, 20 + j);
        for (int j = 0; j < 3; j++) {
            got[j] = guard_filled(VBG_F32, 1, n, n, 100, 100, 9);
            want[j] = guard_filled(VBG_F32, 1, n, n, 100, 100, 9);
        }
        const float *p = guard_data(&in[1]);
        ref.products(guard_data(&want[0]), guard_data(&want[1]), guard_data(&want[2]), p,
                     1.0f / 255, n);
        k.products(guard_data(&got[0]), guard_data(&got[1]), guard_data(&got[2]), p,
                   1.0f / 255, n);
        for (int j = 0; j < 3; j++)
            guard_check(&got[j], &want[j], 0x1p-23, 0, "products", i);
        ref.guided(guard_data(&want[0]), guard_data(&want[1]), guard_data(&in[0]), p,
                   guard_data(&in[2]), guard_data(&in[3]), 0.01f, n);
        k.guided(guard_data(&got[0]), guard_data(&got[1]), guard_data(&in[0]), p,
                 guard_data(&in[2]), guard_data(&in[3]), 0.01f, n);
        for (int j = 0; j < 2; j++)
            guard_check(&got[j], &want[j], 6 * 100 * 0x1p-24, 0x1p-20, "guided", i);
        uint8_t *l = bytes_new(n, 1), *y = bytes_new(n, 2), *w = bytes_new(n, 3);
        ref.apply(w, guard_data(&want[0]), guard_data(&want[1]), l, n);
        k.apply(y, guard_data(&want[0]), guard_data(&want[1]), l, n);
        bytes_check(y, w, n, 1, "apply", i); /* one where a value lies on a half */
        for (int j = 0; j < 3; j++) {
            guard_free(&got[j]);
            guard_free(&want[j]);
        }
        for (int j = 0; j < 4; j++)
            guard_free(&in[j]);
        bytes_free(l);
        bytes_free(y);
        bytes_free(w);
    }
}

/* Everything on one level; levels that this CPU lacks fall back to a lower one. */
static void level(vbg_isa isa)
{
    columns(isa);
    means(isa);
    row_sums(isa);
    rounding(isa);
    colour_rows(isa);
    mixing(isa);
    guided_rows(isa);
}

Test(picture_kernels, ref)
{
    level(VBG_ISA_REF);
}

Test(picture_kernels, avx2)
{
    level(VBG_ISA_AVX2);
}

Test(picture_kernels, avx512)
{
    level(VBG_ISA_AVX512);
}

Test(picture_kernels, every_code_avx2)
{
    every_code(VBG_ISA_AVX2, false, false);
    every_code(VBG_ISA_AVX2, true, true);
}

Test(picture_kernels, every_code_avx512)
{
    every_code(VBG_ISA_AVX512, true, false);
    every_code(VBG_ISA_AVX512, false, true);
}
