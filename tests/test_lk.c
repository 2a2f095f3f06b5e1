/* Tracking and viewport kernels: every ISA against the reference.  The tracking kernels
 * are integer arithmetic with exact sums: the results must be the same bits. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/table.h"
#include "video/pyramid.h"

/* A picture with its mirrored border, random bytes or extremes. */
static vbg_pyramid picture(int w, int h, int max_level, uint32_t seed, bool extreme,
                           const vbg_lk_kernels *k)
{
    vbg_pyramid p;
    uint8_t *y = malloc((size_t)w * (size_t)h);

    cr_assert(y != NULL);
    for (int i = 0; i < w * h; i++) {
        seed = seed * 1664525u + 1013904223u;
        y[i] = extreme ? (uint8_t)(seed >> 31 ? 255 : 0) : (uint8_t)(seed >> 24);
    }
    cr_assert_eq(vbg_pyramid_new(&p, w, h, max_level, VBG_LK_WINDOW_MAX, NULL), VBG_OK);
    vbg_pyramid_build(&p, y, (size_t)w, k);
    free(y);
    return p;
}

static const struct {
    int w, h;     /* window            */
    int x, y;     /* its corner        */
    int a, b;     /* fractions, 1/128  */
    bool extreme; /* only 0 and 255    */
} windows[] = {
    { 21, 21, 30, 20, 64, 32, false },   { 15, 15, 5, 7, 1, 127, false },
    { 1, 1, 0, 0, 0, 0, false },         { 16, 16, 10, 10, 17, 99, false },
    { 17, 3, 40, 9, 50, 50, true },      { 31, 31, 20, 5, 127, 1, false },
    { 32, 32, 20, 5, 127, 1, false },    { 33, 20, 20, 5, 90, 3, true },
    { 48, 48, -48, -48, 10, 10, false }, { 48, 48, 96, 70, 100, 110, true },
    { 21, 21, -21, 30, 5, 5, false },    { 21, 21, 96, 70, 5, 120, false },
    { 21, 5, 90, -4, 5, 120, true },     { 7, 40, -3, 60, 33, 77, false },
};
enum { WINDOWS = sizeof windows / sizeof windows[0] };

static vbg_lk_spot spot(size_t i, int shift)
{
    const int a = (windows[i].a + 9 * shift) % 128, b = (windows[i].b + 5 * shift) % 128;

    return (vbg_lk_spot){ .x = windows[i].x,
                          .y = windows[i].y,
                          .weight = { (128 - a) * (128 - b), a * (128 - b), (128 - a) * b,
                                      a * b } };
}

/* One window: template, step and residual of k against the reference. */
static void check_window(size_t i, const vbg_lk_kernels *ref, const vbg_lk_kernels *k,
                         const char *isa)
{
    vbg_pyramid p = picture(97, 71, 0, 3 + (uint32_t)i, windows[i].extreme, ref);
    vbg_pyramid q = picture(97, 71, 0, 77 + (uint32_t)i, windows[i].extreme, ref);
    vbg_lk_patch *want = aligned_alloc(64, sizeof *want);
    vbg_lk_patch *got = aligned_alloc(64, sizeof *got);
    const vbg_lk_spot s = spot(i, 0), t = spot(i, 1);
    int64_t bw[2], bg[2];

    cr_assert(want && got);
    memset(want, 0x5a, sizeof *want);
    memset(got, 0xa5, sizeof *got);
    want->w = got->w = windows[i].w;
    want->h = got->h = windows[i].h;
    ref->patch(want, &p.level[0], &s);
    k->patch(got, &p.level[0], &s);
    cr_assert(want->a11 == got->a11 && want->a12 == got->a12 && want->a22 == got->a22,
              "%s window %zu: sums differ", isa, i);
    for (int r = 0; r < want->h; r++)
        for (int c = 0; c < want->w; c++) {
            const int at = r * VBG_LK_LD + c;
            cr_assert(want->level[at] == got->level[at] && want->dx[at] == got->dx[at] &&
                          want->dy[at] == got->dy[at],
                      "%s window %zu at %d,%d: %d %d %d, reference %d %d %d", isa, i, c,
                      r, got->level[at], got->dx[at], got->dy[at], want->level[at],
                      want->dx[at], want->dy[at]);
        }
    ref->step(bw, want, &q.level[0], &t);
    k->step(bg, got, &q.level[0], &t);
    cr_assert(bw[0] == bg[0] && bw[1] == bg[1],
              "%s window %zu: step %ld %ld, not %ld %ld", isa, i, (long)bg[0],
              (long)bg[1], (long)bw[0], (long)bw[1]);
    cr_assert_eq(ref->residual(want, &q.level[0], &t), k->residual(got, &q.level[0], &t),
                 "%s window %zu: residual", isa, i);
    free(want);
    free(got);
    vbg_pyramid_free(&p);
    vbg_pyramid_free(&q);
}

Test(lk, windows)
{
    vbg_kernels ref;

    vbg_kernels_init(&ref, VBG_ISA_REF);
    for (vbg_isa isa = VBG_ISA_AVX2; isa < VBG_ISA_COUNT; isa++) {
        vbg_kernels k;
        vbg_kernels_init(&k, isa);
        for (size_t i = 0; i < WINDOWS; i++)
            check_window(i, &ref.lk, &k.lk, vbg_isa_name(k.isa));
    }
}

static const struct {
    int w, h;
} sizes[] = { { 1, 1 },   { 2, 3 },   { 15, 9 },  { 16, 5 },   { 17, 4 },
              { 33, 31 }, { 64, 48 }, { 99, 50 }, { 255, 60 }, { 320, 33 } };
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* All levels of a pyramid, its borders included. */
Test(lk, pyramids)
{
    vbg_kernels ref;

    vbg_kernels_init(&ref, VBG_ISA_REF);
    for (vbg_isa isa = VBG_ISA_AVX2; isa < VBG_ISA_COUNT; isa++)
        for (size_t i = 0; i < SIZES; i++) {
            vbg_kernels k;
            vbg_kernels_init(&k, isa);
            vbg_pyramid a, b;
            a = picture(sizes[i].w, sizes[i].h, 5, 9, i & 1, &ref.lk);
            b = picture(sizes[i].w, sizes[i].h, 5, 9, i & 1, &k.lk);
            cr_assert_eq(a.levels, b.levels);
            for (int l = 0; l < a.levels; l++)
                for (int y = -a.pad; y < a.level[l].h + a.pad; y++)
                    cr_assert_arr_eq(
                        a.level[l].data + (ptrdiff_t)a.level[l].stride * y - a.pad,
                        b.level[l].data + (ptrdiff_t)b.level[l].stride * y - b.pad,
                        (size_t)(a.level[l].w + 2 * a.pad), "%s %dx%d level %d row %d",
                        vbg_isa_name(isa), sizes[i].w, sizes[i].h, l, y);
            vbg_pyramid_free(&a);
            vbg_pyramid_free(&b);
        }
}

/* Rows of the corner response; both kinds, even and odd boxes.  The sums are exact, the
 * few float operations after them may be fused or not: 8 roundings of the largest term.
 */
Test(lk, corners)
{
    static const int blocks[] = { 1, 2, 3, 7, 31 };
    enum { SIDE = 64, W = 300 };
    vbg_kernels ref;
    int32_t memory[2][3][W + 2 * SIDE];
    float want[W], got[W];

    vbg_kernels_init(&ref, VBG_ISA_REF);
    vbg_pyramid p = picture(W, 9, 0, 4, false, &ref.lk);
    for (vbg_isa isa = VBG_ISA_AVX2; isa < VBG_ISA_COUNT; isa++)
        for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
            vbg_kernels k;
            int32_t *sum[2][3];
            vbg_kernels_init(&k, isa);
            memset(memory, 0, sizeof memory);
            for (int t = 0; t < 6; t++)
                sum[t / 3][t % 3] = memory[t / 3][t % 3] + SIDE;
            for (int y = 0; y < 5; y++) {
                const uint8_t *b = p.level[0].data + (size_t)y * p.level[0].stride;
                const uint8_t *rows[3] = { b - p.level[0].stride, b,
                                           b + p.level[0].stride };
                ref.lk.corner_row(sum[0], rows, W, y == 3 ? -1 : 1);
                k.lk.corner_row(sum[1], rows, W, y == 3 ? -1 : 1);
            }
            cr_assert_arr_eq(memory[0], memory[1], sizeof memory[0], "%s: sums",
                             vbg_isa_name(isa));
            for (int kind = 0; kind < 2; kind++) {
                const float harris = kind ? 0.04f : -1.0f, scale = 1e-6f;
                ref.lk.corner_response(want, sum[0], W, blocks[i], scale, harris);
                k.lk.corner_response(got, sum[1], W, blocks[i], scale, harris);
                const float *const three[3] = { want, want + 50, want + 100 };
                uint8_t peaks[2][W] = { { 9 }, { 9 } };
                ref.lk.corner_peaks(peaks[0], three, W - 100, want[60]);
                k.lk.corner_peaks(peaks[1], three, W - 100, want[60]);
                cr_assert_arr_eq(peaks[0], peaks[1], W);
                const double trace = 2.0 * 1020 * 1020 * 5 * blocks[i] * 1e-6;
                const double tolerance = 8 * 6e-8 * (kind ? trace * trace : trace);
                for (int x = 0; x < W; x++)
                    cr_assert(fabs((double)want[x] - (double)got[x]) <= tolerance,
                              "%s block %d column %d: %g, reference %g",
                              vbg_isa_name(isa), blocks[i], x, (double)got[x],
                              (double)want[x]);
            }
        }
    vbg_pyramid_free(&p);
}

/* Viewport rows over a smooth sphere: levels change by at most 6 a pixel, positions by
 * 0.01 pixel between the versions, fractions are 1/128: one level at most. */
Test(lk, viewport_rows)
{
    enum { W = 256, H = 128, LD = W + 32, N = 333, MARGIN = 64 };
    static uint8_t data[LD * (H + 2) * 4 + 64];
    static const float rows[][6] = {
        /* dir, step */
        { -1, 0, 1, 0.006f, 0, 0 },          { 1, 0.3f, -1, -0.006f, 0.0f, 0.001f },
        { -0.7f, -1, 0.01f, 0.0042f, 0, 0 }, { -0.7f, 1, -0.01f, 0.0042f, 0, 0.0001f },
        { 0, 0.5f, -2, 0.0001f, 0, 0 },      { -1, 0, 1, 0.1f, 0.02f, 0 },
    };
    vbg_kernels ref;
    uint8_t want[3 * N + 2 * MARGIN], got[3 * N + 2 * MARGIN];
    const vbg_sphere_table t = { .data = data, .stride = LD, .w = W, .h = H };

    for (int y = -1; y <= H; y++)
        for (int x = -1; x <= W; x++)
            for (int k = 0; k < 3; k++) {
                const double lon = (x + 0.5) / W * 6.283185307,
                             lat = (y + 0.5) / H * 3.14159265;
                data[((y + 1) * LD + x + 1) * 4 + k] =
                    (uint8_t)lrint(127 + 100 * sin(lon + k) * sin(lat)) ^ 0x80;
            }
    vbg_kernels_init(&ref, VBG_ISA_REF);
    for (vbg_isa isa = VBG_ISA_AVX2; isa < VBG_ISA_COUNT; isa++)
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            for (int n = 1; n <= N; n += n < 40 ? 1 : 97) {
                vbg_kernels k;
                vbg_kernels_init(&k, isa);
                memset(want, 0x77, sizeof want);
                memset(got, 0x77, sizeof got);
                ref.view.row(want + MARGIN, n, &t, rows[i], rows[i] + 3);
                k.view.row(got + MARGIN, n, &t, rows[i], rows[i] + 3);
                for (size_t b = 0; b < sizeof want; b++)
                    cr_assert(abs(want[b] - got[b]) <=
                                  (b < MARGIN || b >= MARGIN + 3 * (size_t)n ? 0 : 1),
                              "%s row %zu of %d, byte %d: %d, reference %d",
                              vbg_isa_name(isa), i, n, (int)b - MARGIN, got[b], want[b]);
            }
}
