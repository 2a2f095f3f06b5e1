/* Patches of a mask that stand apart, against a flood fill. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guard.h"
#include "video/islands.h"

enum { W = 41, H = 29 };

/* Marks the patch of (x, y) with number; returns its sum. */
static float flood(const vbg_image *m, int *mark, int x, int y, int number, float veil)
{
    if (x < 0 || y < 0 || x >= W || y >= H || mark[y * W + x] ||
        !(vbg_image_row(m, y)[x] > veil))
        return 0;
    mark[y * W + x] = number;
    return vbg_image_row(m, y)[x] + flood(m, mark, x - 1, y, number, veil) +
           flood(m, mark, x + 1, y, number, veil) +
           flood(m, mark, x, y - 1, number, veil) +
           flood(m, mark, x, y + 1, number, veil);
}

static void drop_plainly(vbg_image *m, float veil, double share)
{
    static int mark[W * H];
    static float sum[W * H + 1];
    float largest = 0;
    int n = 0;

    memset(mark, 0, sizeof mark);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            if (!mark[y * W + x] && vbg_image_row(m, y)[x] > veil) {
                sum[n + 1] = flood(m, mark, x, y, n + 1, veil);
                n++;
                largest = sum[n] > largest ? sum[n] : largest;
            }
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            if (mark[y * W + x] && sum[mark[y * W + x]] < (float)share * largest)
                vbg_image_row(m, y)[x] = 0;
}

/* Values in steps of 1/8, so that sums are exact in any order. */
static void fill(vbg_image *m, uint32_t *seed, float density)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            const float v = (guard_random(seed) + 1) / 2;
            vbg_image_row(m, y)[x] =
                v < density ? 0.125f * (float)(1 + (int)(v * 64) % 8) : 0;
        }
}

Test(islands, as_a_flood_fill_finds_them)
{
    vbg_image a, b;
    vbg_islands *d;
    vbg_err err = { "" };
    uint32_t seed = 3;

    cr_assert_eq(vbg_image_new(&a, W, H, 1, &err), VBG_OK);
    cr_assert_eq(vbg_image_new(&b, W, H, 1, &err), VBG_OK);
    cr_assert_eq(vbg_islands_new(&d, W, H, &err), VBG_OK);
    for (int i = 0; i < 200; i++) {
        fill(&a, &seed, 0.3f + 0.6f * (float)i / 200);
        for (int y = 0; y < H; y++)
            memcpy(vbg_image_row(&b, y), vbg_image_row(&a, y), W * sizeof(float));
        const double share = i % 4 * 0.25;
        vbg_islands_drop(d, &a, i % 3 ? 0 : 0.25f, share);
        drop_plainly(&b, i % 3 ? 0 : 0.25f, share);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                cr_assert_eq(vbg_image_row(&a, y)[x], vbg_image_row(&b, y)[x],
                             "mask %d at %d, %d", i, x, y);
    }
    vbg_islands_free(d);
    vbg_islands_free(NULL);
    vbg_image_free(&a);
    vbg_image_free(&b);
}

/* Nothing marked, all marked, every second pixel: no patch too many, none lost. */
Test(islands, extremes)
{
    vbg_image a;
    vbg_islands *d;
    vbg_err err = { "" };

    cr_assert_eq(vbg_image_new(&a, W, H, 1, &err), VBG_OK);
    cr_assert_eq(vbg_islands_new(&d, W, H, &err), VBG_OK);
    for (int kind = 0; kind < 3; kind++) {
        for (int i = 0; i < W * H; i++)
            vbg_image_row(&a, i / W)[i % W] =
                kind == 2 ? (float)((i % W + i / W) % 2 == 0) : (float)kind;
        vbg_islands_drop(d, &a, 0, 0.5);
        for (int i = 0; i < W * H; i++)
            cr_assert_eq(vbg_image_row(&a, i / W)[i % W],
                         kind == 2 ? (float)((i % W + i / W) % 2 == 0) : (float)kind);
    }
    vbg_islands_free(d);
    vbg_image_free(&a);
}
