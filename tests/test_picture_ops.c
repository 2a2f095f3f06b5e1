/* Resizing, blurring, colour, morphology and the guided filter on small cases whose
 * answers are known; the oracles seg/{resize,blur,colour} prove them on pictures. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_resize.h"
#include "video/blur.h"
#include "video/colour.h"
#include "video/guided.h"
#include "video/morphology.h"
#include "video/resize.h"

static const vbg_isa levels[] = { VBG_ISA_REF, VBG_ISA_AVX2, VBG_ISA_AVX512 };

static vbg_picture picture(int w, int h, int channels, uint32_t seed)
{
    vbg_picture p;
    vbg_err err = { 0 };

    cr_assert(vbg_picture_new(&p, w, h, channels, &err) == VBG_OK, "%s", err.text);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w * channels; x++) {
            seed = seed * 1664525u + 1013904223u;
            vbg_picture_row(&p, y)[x] = (uint8_t)(seed >> 24);
        }
    return p;
}

static vbg_image image(int w, int h, int channels)
{
    vbg_image p;
    vbg_err err = { 0 };

    cr_assert(vbg_image_new(&p, w, h, channels, &err) == VBG_OK, "%s", err.text);
    return p;
}

static void fill(vbg_picture *p, int level)
{
    for (int y = 0; y < p->h; y++)
        memset(vbg_picture_row(p, y), level, (size_t)(p->w * p->channels));
}

/* Sizes that shrink, grow, keep and degenerate. */
static const int sizes[][4] = {
    { 7, 5, 7, 5 },     { 7, 5, 1, 1 },   { 1, 1, 9, 4 },   { 40, 30, 13, 11 },
    { 13, 11, 40, 30 }, { 64, 2, 3, 50 }, { 3, 50, 64, 2 }, { 100, 80, 50, 40 },
};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* All weights sum to one: a constant picture stays what it is. */
Test(resize, constant_stays)
{
    vbg_err err = { 0 };

    for (size_t i = 0; i < SIZES * 18; i++) {
        const int *s = sizes[i / 18];
        int mode = (int)(i % 6);
        vbg_kernels k;
        vbg_kernels_init(&k, levels[i / 6 % 3]);
        vbg_picture src = picture(s[0], s[1], 3, 1), dst = picture(s[2], s[3], 3, 2);
        vbg_resizer *r = NULL;
        fill(&src, 201);
        cr_assert(vbg_resizer_new(&r, s[0], s[1], s[2], s[3], 3, (vbg_interp)mode,
                                  &err) == VBG_OK);
        vbg_resizer_u8(r, &k, &dst, &src);
        for (int y = 0; y < s[3]; y++)
            for (int x = 0; x < 3 * s[2]; x++)
                cr_assert(vbg_picture_row(&dst, y)[x] == 201, "case %zu", i);
        cr_assert(vbg_picture_resample(&dst, &src, (vbg_filter)mode, &err) == VBG_OK);
        for (int y = 0; y < s[3]; y++)
            for (int x = 0; x < 3 * s[2]; x++)
                cr_assert(vbg_picture_row(&dst, y)[x] == 201, "resample case %zu", i);
        vbg_resizer_free(r);
        vbg_picture_free(&src);
        vbg_picture_free(&dst);
    }
}

/* Halving by area is the mean of four; linear doubling interpolates at quarters. */
Test(resize, known_values)
{
    for (size_t l = 0; l < 3; l++) {
        vbg_kernels k;
        vbg_err err = { 0 };
        vbg_resizer *r = NULL;
        vbg_image src = image(4, 2, 1), half = image(2, 1, 1), wide = image(8, 2, 1);
        const float in[2][4] = { { 0, 4, 8, 12 }, { 4, 8, 12, 20 } };
        vbg_kernels_init(&k, levels[l]);
        for (int y = 0; y < 2; y++)
            memcpy(vbg_image_row(&src, y), in[y], sizeof in[y]);
        cr_assert(vbg_resizer_new(&r, 4, 2, 2, 1, 1, VBG_INTERP_AREA, &err) == VBG_OK);
        vbg_resizer_f32(r, &k, &half, &src);
        cr_assert(half.data[0] == 4 && half.data[1] == 13);
        vbg_resizer_free(r);
        cr_assert(vbg_resizer_new(&r, 4, 2, 8, 2, 1, VBG_INTERP_LINEAR, &err) == VBG_OK);
        vbg_resizer_f32(r, &k, &wide, &src);
        const float want[8] = { 0, 1, 3, 5, 7, 9, 11, 12 };
        for (int x = 0; x < 8; x++)
            cr_assert(fabsf(wide.data[x] - want[x]) < 1e-5f, "%d: %g", x,
                      (double)wide.data[x]);
        vbg_resizer_free(r);
        vbg_image_free(&src);
        vbg_image_free(&half);
        vbg_image_free(&wide);
    }
}

/* Against the sum as the definition says it, borders and both axes included. */
Test(blur, gaussian_definition)
{
    enum { W = 23, H = 9, TAPS = 7 };
    vbg_kernels k;
    vbg_err err = { 0 };
    double w[TAPS];
    vbg_image src = image(W, H, 1), dst = image(W, H, 1);

    vbg_gauss_kernel(w, TAPS, 1.3);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            vbg_image_row(&src, y)[x] = (float)((x * 31 + y * 17) % 11) / 11;
    for (size_t l = 0; l < 3; l++) {
        vbg_kernels_init(&k, levels[l]);
        cr_assert(vbg_gauss_f32(&k, &dst, &src, TAPS, 1.3, &err) == VBG_OK);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                double s = 0;
                for (int i = 0; i < TAPS; i++)
                    for (int j = 0; j < TAPS; j++) {
                        int sy = abs(y + i - 3), sx = abs(x + j - 3);
                        sy = sy >= H ? 2 * (H - 1) - sy : sy;
                        sx = sx >= W ? 2 * (W - 1) - sx : sx;
                        s += w[i] * w[j] * (double)vbg_image_row(&src, sy)[sx];
                    }
                /* 14 rounded products of values up to 1 */
                cr_assert(fabs(s - (double)vbg_image_row(&dst, y)[x]) < 2 * 14 * 0x1p-24);
            }
    }
    cr_assert(vbg_gauss_f32(&k, &dst, &src, 4, 1, &err) == VBG_EUSAGE);
    vbg_image_free(&src);
    vbg_image_free(&dst);
}

Test(blur, box_and_in_place)
{
    vbg_kernels k;
    vbg_err err = { 0 };
    vbg_picture p = picture(20, 12, 3, 3), q = picture(20, 12, 3, 4),
                r = picture(20, 12, 3, 3);

    vbg_kernels_init(&k, VBG_ISA_BEST);
    cr_assert(vbg_box_u8(&q, &p, 4, &err) == VBG_OK);
    for (int c = 0; c < 3; c++) { /* pixel (6,5): rows 3..6, columns 4..7 */
        int sum = 0;
        for (int y = 3; y < 7; y++)
            for (int x = 4; x < 8; x++)
                sum += vbg_picture_row(&p, y)[3 * x + c];
        cr_assert(abs(vbg_picture_row(&q, 5)[18 + c] * 16 - sum) <= 8);
    }
    cr_assert(vbg_box_u8(&r, &r, 4, &err) == VBG_OK);
    for (int y = 0; y < 12; y++)
        cr_assert(memcmp(vbg_picture_row(&r, y), vbg_picture_row(&q, y), 60) == 0);
    cr_assert(vbg_gauss_u8(&k, &q, &p, 5, 1.1, &err) == VBG_OK);
    cr_assert(vbg_gauss_u8(&k, &p, &p, 5, 1.1, &err) == VBG_OK);
    for (int y = 0; y < 12; y++)
        cr_assert(memcmp(vbg_picture_row(&p, y), vbg_picture_row(&q, y), 60) == 0);
    vbg_picture_free(&p);
    vbg_picture_free(&q);
    vbg_picture_free(&r);
}

/* The fast wide blur against the exact one on a picture with large shapes. */
Test(blur, wide_is_close)
{
    enum { W = 160, H = 120 };
    vbg_kernels k;
    vbg_err err = { 0 };
    vbg_picture p = picture(W, H, 3, 1), exact = picture(W, H, 3, 2),
                fast = picture(W, H, 3, 3);
    vbg_blurrer *b = NULL;

    vbg_kernels_init(&k, VBG_ISA_BEST);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < 3 * W; x++)
            vbg_picture_row(&p, y)[x] =
                (x / 3 - 60) * (x / 3 - 60) + y * y < 3000 ? 230 : 20;
    cr_assert(vbg_gauss_u8(&k, &exact, &p, 0, 9, &err) == VBG_OK);
    cr_assert(vbg_blurrer_new(&b, W, H, 3, 9, &err) == VBG_OK);
    vbg_blurrer_run(b, &k, &fast, &p);
    for (int y = 12; y < H - 12; y++)
        for (int x = 36; x < 3 * (W - 12); x++)
            cr_assert(abs(vbg_picture_row(&fast, y)[x] - vbg_picture_row(&exact, y)[x]) <=
                          2,
                      "(%d,%d): %d, exact %d", x / 3, y, vbg_picture_row(&fast, y)[x],
                      vbg_picture_row(&exact, y)[x]);
    vbg_blurrer_free(b);
    cr_assert(vbg_blurrer_new(&b, W, H, 3, 0.1, &err) == VBG_EUSAGE);
    vbg_picture_free(&p);
    vbg_picture_free(&exact);
    vbg_picture_free(&fast);
}

/* Odd sizes, every layout: gray survives the round trip, colours nearly. */
Test(colour, round_trip)
{
    enum { W = 37, H = 15, BYTES = 3 * W * H + 256 };
    uint8_t data[BYTES];

    for (size_t i = 0; i < 3 * 4 * 4; i++) {
        vbg_kernels k;
        vbg_picture p = picture(W, H, 3, 5), q = picture(W, H, 3, 6);
        vbg_yuv f = { .layout = (vbg_yuv_layout)(i % 4),
                      .bt709 = i / 4 % 2,
                      .full_range = i / 8 % 2,
                      .w = W,
                      .h = H };
        vbg_kernels_init(&k, levels[i / 16]);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                memset(vbg_picture_row(&p, y) + 3 * x, (x * 7 + y * 3) & 255, 3);
        f.plane[0] = data;
        f.stride[0] = f.layout == VBG_YUV_YUYV ? 2 * (W + 1) : W;
        f.plane[1] = data + W * H;
        f.stride[1] = f.layout == VBG_YUV_444    ? W
                      : f.layout == VBG_YUV_NV12 ? W + 1
                                                 : (W + 1) / 2;
        f.plane[2] =
            data + W * H + f.stride[1] * (f.layout == VBG_YUV_444 ? H : (H + 1) / 2);
        f.stride[2] = f.stride[1];
        vbg_yuv_from_rgb(&k, &f, &p, VBG_CHROMA_MEAN, 0, 0);
        vbg_yuv_to_rgb(&k, &q, &f, 0, 0);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < 3 * W; x++)
                cr_assert(abs(vbg_picture_row(&p, y)[x] - vbg_picture_row(&q, y)[x]) <= 1,
                          "case %zu at %d,%d: %d, was %d", i, x / 3, y,
                          vbg_picture_row(&q, y)[x], vbg_picture_row(&p, y)[x]);
        vbg_picture_free(&p);
        vbg_picture_free(&q);
    }
}

Test(colour, known_values)
{
    const uint8_t red[3] = { 255, 0, 0 }, gray[3] = { 77, 77, 77 },
                  mix[3] = { 10, 200, 100 };
    const double white[3] = { 1, 1, 1 };
    uint8_t hsv[3];
    double lab[3];

    vbg_rgb_to_hsv(hsv, red);
    cr_assert(hsv[0] == 0 && hsv[1] == 255 && hsv[2] == 255);
    vbg_rgb_to_hsv(hsv, gray);
    cr_assert(hsv[0] == 0 && hsv[1] == 0 && hsv[2] == 77);
    vbg_rgb_to_hsv(hsv, mix); /* 120 + 60 * 90/190 = 148.4 degrees */
    cr_assert(hsv[0] == 74 && hsv[1] == 242 && hsv[2] == 200);
    vbg_rgb_to_lab(lab, white);
    cr_assert(fabs(lab[0] - 100) < 1e-3 && fabs(lab[1]) < 1e-2 && fabs(lab[2]) < 1e-2);
    for (int i = 0; i < 256; i++)
        cr_assert(fabs(vbg_linear_to_srgb(vbg_srgb_to_linear(i / 255.0)) - i / 255.0) <
                  1e-6);
}

/* Alpha 0 and 255 give the layers themselves, in either light. */
Test(colour, composite_ends)
{
    vbg_kernels k;
    vbg_picture f = picture(33, 3, 3, 1), b = picture(33, 3, 3, 2),
                a = picture(33, 3, 1, 3);
    vbg_picture d = picture(33, 3, 3, 4);

    vbg_kernels_init(&k, VBG_ISA_BEST);
    for (int end = 0; end < 2; end++) {
        const vbg_picture *want = end ? &f : &b;
        fill(&a, end ? 255 : 0);
        for (int light = 0; light < 2; light++) {
            if (light)
                vbg_composite_linear(&d, &f, &b, &a);
            else
                vbg_composite(&k, &d, &f, &b, &a, 0, 0);
            for (int y = 0; y < 3; y++)
                cr_assert(memcmp(vbg_picture_row(&d, y), vbg_picture_row(want, y), 99) ==
                          0);
        }
    }
    vbg_picture_free(&f);
    vbg_picture_free(&b);
    vbg_picture_free(&a);
    vbg_picture_free(&d);
}

/* Against the definition, all sizes up to wider than the mask. */
Test(morphology, definition)
{
    enum { W = 19, H = 11 };
    vbg_err err = { 0 };

    for (int i = 0; i < 2 * 2 * 24; i++) {
        int size = i / 4 + 1, anchor = size / 2;
        vbg_shape shape = (vbg_shape)(i % 2);
        bool erode = i / 2 % 2;
        vbg_picture p = picture(W, H, 1, (uint32_t)i), q = picture(W, H, 1, 9);
        uint8_t *element = calloc((size_t)size, (size_t)size);
        memset(element, 1, (size_t)(size * size));
        if (shape == VBG_SHAPE_ELLIPSE)
            vbg_ellipse(element, size);
        cr_assert(vbg_morphology(&q, &p, erode ? VBG_ERODE : VBG_DILATE, shape, size, 1,
                                 &err) == VBG_OK);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                int best = erode ? 255 : 0;
                for (int e = 0; e < size * size; e++) {
                    int sy = y + e / size - anchor, sx = x + e % size - anchor;
                    if (!element[e] || sy < 0 || sy >= H || sx < 0 || sx >= W)
                        continue;
                    int v = vbg_picture_row(&p, sy)[sx];
                    best = erode ? (v < best ? v : best) : (v > best ? v : best);
                }
                cr_assert(vbg_picture_row(&q, y)[x] == best, "size %d shape %d at %d,%d",
                          size, shape, x, y);
            }
        free(element);
        vbg_picture_free(&p);
        vbg_picture_free(&q);
    }
}

Test(morphology, distance_and_components)
{
    enum { W = 31, H = 17 };
    vbg_err err = { 0 };
    vbg_picture p = picture(W, H, 1, 8);
    vbg_image d = image(W, H, 1);
    int32_t labels[W * H];
    vbg_component *s = NULL;
    int count = 0;

    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            vbg_picture_row(&p, y)[x] = vbg_picture_row(&p, y)[x] < 250 ? 255 : 0;
    cr_assert(vbg_distance(&d, &p, &err) == VBG_OK);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            int best = W * W + H * H;
            for (int i = 0; i < W * H; i++)
                if (!vbg_picture_row(&p, i / W)[i % W])
                    best = vbg_min_int(best, (i % W - x) * (i % W - x) +
                                                 (i / W - y) * (i / W - y));
            cr_assert(vbg_image_row(&d, y)[x] == (float)sqrt(best));
        }
    /* a U whose arms meet late, a diagonal pair, a dot */
    fill(&p, 0);
    for (int y = 0; y < 6; y++)
        vbg_picture_row(&p, y)[2] = vbg_picture_row(&p, y)[8] = 255;
    memset(vbg_picture_row(&p, 6) + 2, 255, 7);
    vbg_picture_row(&p, 10)[4] = vbg_picture_row(&p, 11)[5] = 255;
    vbg_picture_row(&p, 16)[30] = 1;
    cr_assert(vbg_components(labels, &s, &count, &p, &err) == VBG_OK);
    cr_assert(count == 4 && s[1].area == 19 && s[1].x == 2 && s[1].w == 7 && s[1].h == 7);
    cr_assert(s[2].area == 2 && s[2].w == 2 && s[3].area == 1 && s[3].x == 30 &&
              s[0].area == W * H - 22);
    free(s);
    cr_assert(vbg_mask_clean(&p, 5, &err) == VBG_OK);
    cr_assert(vbg_picture_row(&p, 10)[4] == 0 && vbg_picture_row(&p, 6)[5] == 255);
    vbg_picture_free(&p);
    vbg_image_free(&d);
}

/* A mask that is a line of the guide is reproduced; the fast form follows an edge. */
Test(guided, edges)
{
    enum { W = 64, H = 48 };
    vbg_kernels k;
    vbg_err err = { 0 };
    vbg_image guide = image(W, H, 1), p = image(W, H, 1), q = image(W, H, 1);
    vbg_picture luma = picture(W, H, 1, 1), alpha = picture(W, H, 1, 2);
    vbg_refiner *r = NULL;

    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            float v = (float)((x * 13 + y * 7) % 32) / 32;
            vbg_image_row(&guide, y)[x] = v;
            vbg_image_row(&p, y)[x] = 0.2f + 0.5f * v;
        }
    cr_assert(vbg_guided_filter(&q, &guide, &p, 3, 1e-9, &err) == VBG_OK);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            cr_assert(fabsf(vbg_image_row(&q, y)[x] - vbg_image_row(&p, y)[x]) < 1e-5f);
    /* the true edge is at column 30, the mask's is blurred around column 34 */
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            vbg_picture_row(&luma, y)[x] = x < 30 ? 40 : 200;
            vbg_image_row(&p, y)[x] = fminf(fmaxf((float)(x - 30) / 8, 0), 1);
        }
    for (size_t l = 0; l < 3; l++) {
        vbg_kernels_init(&k, levels[l]);
        cr_assert(vbg_refiner_new(&r, W, H, W, H, 2, &err) == VBG_OK);
        vbg_refiner_run(r, &k, &alpha, &luma, &p, 4, 1e-4f, NULL);
        for (int y = 0; y < H; y++) {
            const uint8_t *row = vbg_picture_row(&alpha, y);
            cr_assert(row[10] == 0 && row[60] == 255, "%d %d", row[10], row[60]);
            cr_assert(row[30] - row[29] > 40, "step of %d levels", row[30] - row[29]);
        }
        vbg_refiner_free(r);
    }
    vbg_image_free(&guide);
    vbg_image_free(&p);
    vbg_image_free(&q);
    vbg_picture_free(&luma);
    vbg_picture_free(&alpha);
}
