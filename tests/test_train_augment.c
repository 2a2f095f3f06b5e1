/* Augmentation: pixel operations against what they must give, samples that repeat. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "tests/portraits.h"
#include "tools/options.h"
#include "tools/train/augment.h"

static void quiet(void)
{
    vbg_message_start("test");
    cr_assert(freopen("/dev/null", "w", stderr));
}

TestSuite(augment, .init = quiet, .fini = remove_scratch);

/* ---- pixels ---- */

Test(augment, warp_moves_and_ends)
{
    uint8_t in[4 * 5] = { 0 };
    vbg_picture src = { .data = in, .w = 5, .h = 4, .channels = 1, .stride = 5 };
    const double shift[6] = { 1, 0, 1.5, 0, 1, -1 };
    vbg_levels dst;

    for (int i = 0; i < 20; i++)
        in[i] = (uint8_t)(10 * (i % 5) + i / 5);
    cr_assert_eq(vbg_levels_new(&dst, 5, 4, 1, NULL), VBG_OK);
    vbg_warp(&dst, &src, shift, false);
    cr_assert_float_eq(dst.v[5 * 1 + 0], 15, 1e-5, "row 0, between 10 and 20");
    cr_assert_float_eq(dst.v[5 * 3 + 4], 42, 1e-5, "border repeated");
    cr_assert_float_eq(dst.v[0], 15, 1e-5, "row above repeated");
    vbg_warp(&dst, &src, shift, true);
    cr_assert_float_eq(dst.v[0], 0, 0, "nothing above");
    cr_assert_float_eq(dst.v[5 * 1 + 4], 0, 0, "nothing on the right");
    vbg_levels_free(&dst);
}

Test(augment, box_blur_is_a_mean)
{
    enum { W = 13, H = 9, CH = 3 };
    vbg_levels p, q, scratch;
    vbg_dice d = vbg_dice_for(1, 2, 3, 4);

    for (int r = 1; r < 12; r += 2) {
        cr_assert_eq(vbg_levels_new(&p, W, H, CH, NULL), VBG_OK);
        cr_assert_eq(vbg_levels_new(&q, W, H, CH, NULL), VBG_OK);
        cr_assert_eq(vbg_levels_new(&scratch, W, H + 1, CH, NULL), VBG_OK);
        for (int i = 0; i < W * H * CH; i++)
            p.v[i] = q.v[i] = (float)vbg_dice_range(&d, 0, 255);
        vbg_box_blur(&p, &scratch, r);
        for (int i = 0; i < W * H * CH; i++) {
            const int k = i % CH, x = i / CH % W, y = i / CH / W;
            double sum = 0;
            int n = 0;
            for (int v = y - r; v <= y + r; v++)
                for (int u = x - r; u <= x + r; u++)
                    if (u >= 0 && v >= 0 && u < W && v < H) {
                        sum += (double)q.v[(v * W + u) * CH + k];
                        n++;
                    }
            /* running sums of up to 25 values of 255 in f32, twice */
            cr_assert_float_eq(p.v[i], sum / n, 2e-2, "radius %d value %d", r, i);
        }
        vbg_levels_free(&p);
        vbg_levels_free(&q);
        vbg_levels_free(&scratch);
    }
}

/* A red disc before a blue wall: at its soft edge the colour must be red again. */
Test(augment, foreground_colours_lose_the_background)
{
    enum { N = 64 };
    vbg_levels rgb, alpha;
    double worst = 0;

    cr_assert_eq(vbg_levels_new(&rgb, N, N, 3, NULL), VBG_OK);
    cr_assert_eq(vbg_levels_new(&alpha, N, N, 1, NULL), VBG_OK);
    for (int i = 0; i < N * N; i++) {
        const double r = hypot(i % N - 31.5, i / N - 31.5);
        const double a = fmin(fmax((20 - r) / 3 + 0.5, 0), 1);
        alpha.v[i] = (float)(255 * a);
        rgb.v[3 * i] = (float)(220 * a + 20 * (1 - a));
        rgb.v[3 * i + 1] = 30;
        rgb.v[3 * i + 2] = (float)(10 * a + 200 * (1 - a));
    }
    cr_assert_eq(vbg_foreground_colours(&rgb, &alpha, NULL), VBG_OK);
    for (int i = 0; i < N * N; i++)
        if (alpha.v[i] > 50) {
            worst = fmax(worst, fabs((double)rgb.v[3 * i] - 220));
            worst = fmax(worst, fabs((double)rgb.v[3 * i + 2] - 10));
        }
    cr_assert_lt(worst, 12, "off by %g levels of 190", worst);
    vbg_levels_free(&rgb);
    vbg_levels_free(&alpha);
}

/* ---- samples ---- */

static void write_backgrounds(const char *folder)
{
    static const int size[2][2] = { { 128, 64 }, { 90, 70 } }; /* a panorama, a picture */
    vbg_picture p;
    char name[64];

    cr_assert_eq(mkdir(in_scratch(folder), 0700), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(vbg_picture_new(&p, size[i][0], size[i][1], 3, NULL), VBG_OK);
        for (int y = 0; y < p.h; y++)
            for (int x = 0; x < 3 * p.w; x++)
                p.data[(size_t)y * p.stride + (size_t)x] = (uint8_t)(x * 7 ^ y * 5);
        snprintf(name, sizeof name, "%s/%d.png", folder, i);
        cr_assert_eq(vbg_picture_save(in_scratch(name), &p, NULL, 90, NULL), VBG_OK);
        vbg_picture_free(&p);
    }
}

typedef struct fixture {
    vbg_masks masks;
    vbg_backgrounds backgrounds;
    vbg_augmenter *a;
} fixture;

static void open_fixture(fixture *f, int slots, int cache_mb)
{
    const char *dir = in_scratch("back");

    cr_assert_eq(vbg_masks_open(&f->masks, in_scratch("people"), true, NULL), VBG_OK);
    cr_assert_eq(vbg_backgrounds_open(&f->backgrounds, &dir, 1, 48, true, NULL), VBG_OK);
    cr_assert(f->backgrounds.count == 2 && f->backgrounds.item[0].sphere &&
              !f->backgrounds.item[1].sphere);
    cr_assert_eq(
        vbg_augmenter_new(&f->a, &f->masks, &f->backgrounds, slots, cache_mb, NULL),
        VBG_OK);
}

static void close_fixture(fixture *f)
{
    vbg_augmenter_free(f->a);
    vbg_backgrounds_free(&f->backgrounds);
    vbg_masks_free(&f->masks);
}

static void make(const fixture *f, const vbg_augment_opt *o, int i, int slot,
                 vbg_sample *s)
{
    vbg_err err = { "" };

    cr_assert_eq(vbg_augment(f->a, o, (size_t)i % f->masks.count,
                             vbg_dice_for(9, 1, (uint32_t)i, 5), slot, s, &err),
                 VBG_OK, "%s", err.text);
}

static bool same_pictures(const vbg_picture *a, const vbg_picture *b)
{
    bool same = a->w == b->w && a->h == b->h && a->channels == b->channels;

    for (int y = 0; same && y < a->h; y++)
        same = memcmp(a->data + (size_t)y * a->stride, b->data + (size_t)y * b->stride,
                      (size_t)(a->w * a->channels)) == 0;
    return same;
}

/* Samples of every fourth index in a thread of its own. */
typedef struct quarter {
    const fixture *f;
    const vbg_augment_opt *o;
    vbg_sample *s;
    int slot;
} quarter;

static void *make_quarter(void *arg)
{
    const quarter *q = arg;

    for (int i = q->slot; i < 40; i += 4)
        make(q->f, q->o, i, q->slot, &q->s[i]);
    return NULL;
}

Test(augment, samples_do_not_depend_on_threads_or_memory)
{
    const vbg_augment_opt o = vbg_augment_usual(48, 32);
    static vbg_sample one[40], four[40];
    pthread_t thread[4];
    quarter q[4];
    fixture f;

    write_people("people", 5);
    write_backgrounds("back");
    open_fixture(&f, 1, 0); /* nothing is kept */
    for (int i = 39; i >= 0; i--)
        make(&f, &o, i, 0, &one[i]);
    close_fixture(&f);
    open_fixture(&f, 4, 64);
    for (int t = 0; t < 4; t++) {
        q[t] = (quarter){ &f, &o, four, t };
        cr_assert_eq(pthread_create(&thread[t], NULL, make_quarter, &q[t]), 0);
    }
    for (int t = 0; t < 4; t++)
        pthread_join(thread[t], NULL);
    close_fixture(&f);
    for (int i = 0; i < 40; i++) {
        cr_assert(same_pictures(&one[i].rgb, &four[i].rgb), "sample %d", i);
        cr_assert(same_pictures(&one[i].alpha, &four[i].alpha), "alpha %d", i);
        cr_assert_eq(one[i].kind, four[i].kind);
        vbg_sample_free(&one[i]);
        vbg_sample_free(&four[i]);
    }
}

/* The kinds have their shares; nobody is in the empty ones; a body cut off by the photo
 * reaches the bottom of the frame. */
Test(augment, kinds_of_samples)
{
    vbg_augment_opt o = vbg_augment_usual(48, 48);
    int count[3] = { 0 };
    vbg_sample s = { 0 };
    fixture f;

    o.second = 0;
    write_people("people", 3);
    write_backgrounds("back");
    open_fixture(&f, 1, 64);
    for (int i = 0; i < 400; i++) {
        int most = 0, low = 0;
        make(&f, &o, i, 0, &s);
        count[s.kind]++;
        for (int y = 0; y < 48; y++)
            for (int x = 0; x < 48; x++) {
                const int v = s.alpha.data[(size_t)y * s.alpha.stride + (size_t)x];
                most = v > most ? v : most;
                low = y == 47 && v > low ? v : low;
            }
        if (s.kind == VBG_SAMPLE_EMPTY)
            cr_assert_eq(most, 0, "sample %d", i);
        if (s.kind == VBG_SAMPLE_COMPOSITE && most == 255)
            cr_assert_gt(low, 200, "sample %d hangs in the air", i);
    }
    /* 4 standard deviations of 400 draws */
    cr_assert_float_eq(count[VBG_SAMPLE_COMPOSITE], 400 * o.replace, 40);
    cr_assert_float_eq(count[VBG_SAMPLE_EMPTY], 400 * o.empty, 20);
    vbg_sample_free(&s);
    close_fixture(&f);
}

Test(augment, nothing_changes_nothing)
{
    const vbg_augment_opt o = vbg_augment_none(80, 100);
    vbg_picture rgb, mask;
    vbg_sample s = { 0 };
    fixture f;

    write_people("people", 1);
    write_backgrounds("back");
    open_fixture(&f, 1, 64);
    make(&f, &o, 0, 0, &s);
    cr_assert_eq(vbg_masks_load(&f.masks, 0, &rgb, &mask, NULL, NULL), VBG_OK);
    cr_assert(same_pictures(&rgb, &s.rgb) && same_pictures(&mask, &s.alpha));
    vbg_picture_free(&rgb);
    vbg_picture_free(&mask);
    vbg_sample_free(&s);
    close_fixture(&f);
}
