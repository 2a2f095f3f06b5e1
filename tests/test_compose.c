/* The compositor: rows of every instruction set against the reference, the rule that no
 * raw pixel is shown without a mask, and the blur without a halo. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "video/background.h"
#include "video/compose.h"
#include "video/mask.h"

static vbg_ctx *context(vbg_isa isa)
{
    vbg_ctx *c;
    const vbg_ctx_opt opt = { .threads = 2, .isa = isa, .precision = VBG_F32 };

    cr_assert(vbg_ctx_new(&c, &opt, NULL) == VBG_OK);
    return c;
}

static unsigned next(unsigned *s)
{
    return *s = *s * 1664525u + 1013904223u;
}

static void noise(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(next(&seed) >> 24);
}

/* Widths around the vector width, and real ones. */
static const int sizes[][2] = { { 1, 1 },     { 2, 2 },   { 3, 5 },   { 15, 7 },
                                { 16, 16 },   { 17, 3 },  { 33, 34 }, { 63, 65 },
                                { 320, 180 }, { 641, 33 } };

static void fill(vbg_raw_frame *raw, vbg_mask *mask, vbg_picture *back, int w, int h)
{
    cr_assert(vbg_frame_new(&raw->frame, w, h, NULL) == VBG_OK);
    cr_assert(vbg_picture_new(&mask->alpha, w, h, 1, NULL) == VBG_OK);
    cr_assert(vbg_picture_new(back, w, h, 3, NULL) == VBG_OK);
    for (int p = 0; p < 3; p++)
        noise(raw->frame.yuv.plane[p],
              raw->frame.yuv.stride[p] * (size_t)(p ? (h + 1) / 2 : h), 7u + (unsigned)p);
    noise(mask->alpha.data, mask->alpha.stride * (size_t)h, 11);
    noise(back->data, back->stride * (size_t)h, 13);
    raw->index = mask->index = 5;
    mask->valid = true;
}

static void drop(vbg_raw_frame *raw, vbg_mask *mask, vbg_picture *back)
{
    vbg_frame_free(&raw->frame);
    vbg_picture_free(&mask->alpha);
    vbg_picture_free(back);
}

static void same(const vbg_yuv *a, const vbg_yuv *b, const char *what)
{
    for (int p = 0; p < 3; p++)
        for (int y = 0; y < (p ? (a->h + 1) / 2 : a->h); y++)
            cr_assert(memcmp(a->plane[p] + (size_t)y * a->stride[p],
                             b->plane[p] + (size_t)y * b->stride[p],
                             (size_t)(p ? (a->w + 1) / 2 : a->w)) == 0,
                      "%s: %dx%d plane %d row %d", what, a->w, a->h, p, y);
}

Test(compose, every_level_is_exact)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int w = sizes[i][0], h = sizes[i][1];
        vbg_raw_frame raw = { 0 };
        vbg_mask mask = { 0 };
        vbg_picture back;
        vbg_out_frame *ref, *got;
        fill(&raw, &mask, &back, w, h);
        cr_assert(vbg_out_frame_new(&ref, w, h, NULL) == VBG_OK);
        cr_assert(vbg_out_frame_new(&got, w, h, NULL) == VBG_OK);
        for (int isa = 0; isa < VBG_ISA_COUNT; isa++) {
            vbg_ctx *c = context((vbg_isa)isa);
            cr_assert(vbg_compose(c, isa ? got : ref, &raw, &mask, &back));
            if (isa)
                same(&vbg_out_frame_pixels(ref)->yuv, &vbg_out_frame_pixels(got)->yuv,
                     vbg_isa_name((vbg_isa)isa));
            vbg_ctx_free(c);
        }
        /* The luma against the formula in double. */
        const vbg_yuv *o = &vbg_out_frame_pixels(ref)->yuv;
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                double a = vbg_picture_row(&mask.alpha, y)[x];
                double f = raw.frame.yuv
                               .plane[0][(size_t)y * raw.frame.yuv.stride[0] + (size_t)x];
                double b = vbg_picture_row(&back, y)[3 * x];
                int want = (int)((f * a + b * (255 - a)) / 255 + 0.5);
                cr_assert_eq(o->plane[0][(size_t)y * o->stride[0] + (size_t)x], want);
            }
        drop(&raw, &mask, &back);
        vbg_out_frame_free(ref);
        vbg_out_frame_free(got);
    }
}

/* Without a mask of this very frame nothing of the raw frame is seen. */
Test(compose, no_raw_pixel_without_its_mask)
{
    vbg_ctx *c = context(VBG_ISA_BEST);
    vbg_raw_frame raw = { 0 };
    vbg_mask mask = { 0 };
    vbg_picture back;
    vbg_out_frame *out;
    const int w = 37, h = 21;

    fill(&raw, &mask, &back, w, h);
    cr_assert(vbg_out_frame_new(&out, w, h, NULL) == VBG_OK);
    for (int y = 0; y < h; y++)
        memset(vbg_picture_row(&back, y), 40, 3 * (size_t)w);
    memset(mask.alpha.data, 255, mask.alpha.stride * (size_t)h);
    for (int kind = 0; kind < 4; kind++) {
        mask.valid = kind != 1;
        mask.index = kind == 2 ? raw.index - 1 : raw.index;
        mask.alpha.w = kind == 3 ? w - 1 : w;
        cr_expect(!vbg_compose(c, out, &raw, kind ? &mask : NULL, &back));
        const vbg_yuv *o = &vbg_out_frame_pixels(out)->yuv;
        for (int p = 0; p < 3; p++)
            for (int y = 0; y < (p ? (h + 1) / 2 : h); y++)
                for (int x = 0; x < (p ? (w + 1) / 2 : w); x++)
                    cr_assert_eq(o->plane[p][(size_t)y * o->stride[p] + (size_t)x], 40);
    }
    mask.alpha.w = w;
    drop(&raw, &mask, &back);
    vbg_out_frame_free(out);
    vbg_ctx_free(c);
}

/* A bright person on a dark wall: the blurred wall stays dark beside him. */
Test(compose, own_blur_has_no_halo)
{
    const int w = 160, h = 120;
    vbg_raw_frame raw = { 0 };
    vbg_mask mask = { 0 };
    vbg_picture back;
    vbg_own_blur *blur;
    vbg_kernels k;

    vbg_kernels_init(&k, VBG_ISA_REF);
    fill(&raw, &mask, &back, w, h);
    cr_assert(vbg_own_blur_new(&blur, w, h, 12, NULL) == VBG_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            bool person = x > 60 && x < 100 && y > 30;
            raw.frame.yuv.plane[0][(size_t)y * raw.frame.yuv.stride[0] + (size_t)x] =
                person ? 235 : 40;
            vbg_picture_row(&mask.alpha, y)[x] = person ? 255 : 0;
        }
    vbg_own_blur_run(blur, &k, &back, &raw, &mask);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            if (!vbg_picture_row(&mask.alpha, y)[x])
                cr_assert(abs(vbg_picture_row(&back, y)[3 * x] - 40) <= 2, "%d at %d,%d",
                          vbg_picture_row(&back, y)[3 * x], x, y);
    vbg_own_blur_free(blur);
    drop(&raw, &mask, &back);
}

/* Raising the threshold never adds foreground. */
Test(mask, threshold_is_monotone)
{
    const int w = 64, h = 48;
    vbg_ctx *c = context(VBG_ISA_REF);
    vbg_raw_frame raw = { 0 };
    vbg_mask mask = { 0 };
    vbg_picture back;
    vbg_frame given;
    uint8_t last[48][64];

    fill(&raw, &mask, &back, w, h);
    cr_assert(vbg_frame_new(&given, w, h, NULL) == VBG_OK);
    noise(given.yuv.plane[0], given.yuv.stride[0] * (size_t)h, 3);
    memset(last, 255, sizeof last);
    for (int t = 0; t <= 10; t++) {
        const vbg_mask_opt opt = { .w = w, .h = h, .threshold = t / 10.0 };
        vbg_masker *m;
        cr_assert(vbg_masker_new(&m, &opt, NULL) == VBG_OK);
        cr_assert(vbg_masker_run(m, c, &raw, &given, &mask, NULL) == VBG_OK);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                cr_assert(vbg_picture_row(&mask.alpha, y)[x] <= last[y][x]);
                last[y][x] = vbg_picture_row(&mask.alpha, y)[x];
            }
        vbg_masker_free(m);
    }
    vbg_frame_free(&given);
    drop(&raw, &mask, &back);
    vbg_ctx_free(c);
}

Test(background, colours)
{
    uint8_t rgb[3];

    cr_expect(vbg_colour_parse(rgb, "#0a141E") && rgb[0] == 10 && rgb[1] == 20 &&
              rgb[2] == 30);
    cr_expect(vbg_colour_parse(rgb, "Green") && rgb[1] == 255);
    cr_expect(!vbg_colour_parse(rgb, "#12345"));
    cr_expect(!vbg_colour_parse(rgb, "#12345g"));
    cr_expect(!vbg_colour_parse(rgb, "kitchen.png"));
}

/* What counts as a sphere, and the fits of flat pictures. */
Test(background, kinds)
{
    vbg_ctx *c = context(VBG_ISA_REF);
    vbg_raw_frame raw = { 0 };
    static const struct {
        int w, h;
        vbg_background_type type;
        const char *kind;
    } cases[] = {
        { 128, 64, VBG_BACK_AUTO, "sphere" },  { 129, 64, VBG_BACK_AUTO, "sphere" },
        { 131, 64, VBG_BACK_AUTO, "flat" },    { 128, 64, VBG_BACK_FLAT, "flat" },
        { 128, 30, VBG_BACK_STRIP, "strip" },  { 1, 1, VBG_BACK_AUTO, "flat" },
        { 100, 90, VBG_BACK_SPHERE, "sphere" }
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int fit = 0; fit < 4; fit++) {
            const vbg_background_opt opt = {
                .w = 41, .h = 23, .fov_x = 1.2, .fit = (vbg_fit)fit, .type = cases[i].type
            };
            vbg_background *b;
            vbg_picture p;
            vbg_err err = { "" };
            cr_assert(vbg_picture_new(&p, cases[i].w, cases[i].h, 3, NULL) == VBG_OK);
            memset(p.data, 77, p.stride * (size_t)p.h);
            cr_assert(vbg_background_picture(&b, &p, NULL, &opt, &err) == VBG_OK, "%s",
                      err.text);
            cr_expect_str_eq(vbg_background_kind(b), cases[i].kind);
            const vbg_picture *v = vbg_background_view(b, c, 3, 0.1, 0, &raw, NULL);
            if (fit != VBG_FIT_CONTAIN || vbg_background_turns(b))
                for (int y = 0; y < 23; y++)
                    for (int x = 0; x < 41 * 3; x++)
                        cr_assert_eq(vbg_picture_row(v, y)[x], 77, "case %zu fit %d", i,
                                     fit);
            vbg_background_close(b);
            vbg_picture_free(&p);
        }
    vbg_ctx_free(c);
}
