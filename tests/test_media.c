/* Pictures in and out: every malformed PNG and JPEG of the oracles (where ../shared is
 * there), round trips with metadata, cases made here for plain clones. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/picture_io.h"
#include "tests/malformed.h"
#include "tests/program.h"

/* Name for a scratch file of this test. */
static const char *scratch(char *buf, size_t size, const char *name)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(buf, size, "%s/vbg-media-%ld-%s", tmp ? tmp : "/tmp", (long)getpid(), name);
    return buf;
}

static vbg_picture gradient(int w, int h, int ch)
{
    vbg_picture p;

    cr_assert(vbg_picture_new(&p, w, h, ch, NULL) == VBG_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w * ch; x++)
            p.data[(size_t)y * p.stride + (size_t)x] = (uint8_t)(x * 3 + y * 5);
    return p;
}

/* One case of the index: right verdict, one clean line, the size that must come out. */
static void check_case(const char *file, const json_t *c)
{
    char path[1600];
    const char *verdict = json_string_value(json_object_get(c, "verdict"));
    const json_t *size = json_object_get(c, "shown");
    bool may_fail = json_object_get(c, "verdict_note") != NULL;
    vbg_picture p;
    vbg_picture_info info;
    vbg_err err = { "" };

    if (!size)
        size = json_object_get(c, "size");
    snprintf(path, sizeof path, "%s/golden/malformed_media/%s", shared_dir(), file);
    vbg_status st = vbg_picture_load(&p, &info, path, 3, &err);
    if (strcmp(verdict, "accept") == 0 && !may_fail)
        cr_expect(st == VBG_OK, "%s: refused: %s", file, err.text);
    if (strcmp(verdict, "reject") == 0)
        cr_expect(st != VBG_OK, "%s: accepted", file);
    if (st == VBG_OK && json_is_array(size)) {
        cr_expect_eq(p.w, json_integer_value(json_array_get(size, 0)), "%s: width %d",
                     file, p.w);
        cr_expect_eq(p.h, json_integer_value(json_array_get(size, 1)), "%s: height %d",
                     file, p.h);
    }
    if (st != VBG_OK) {
        cr_expect(err.text[0] && strlen(err.text) <= 300, "%s: message", file);
        cr_expect(p.data == NULL, "%s: picture left behind", file);
    }
    vbg_picture_free(&p);
    vbg_picture_info_free(&info);
}

Test(media, malformed)
{
    if (!shared_dir())
        cr_skip_test("no ../shared");
    cr_expect_gt(each_malformed("png/", "jpeg/", check_case), 120);
}

Test(media, png_keeps_pixels_and_texts)
{
    char path[256];
    const vbg_pano pano = { .full_w = 40, .full_h = 20, .left = 0, .top = 5 };
    const vbg_picture_meta meta = { .pano = &pano,
                                    .source_photos = 8,
                                    .description = "a <room> & \"more\"",
                                    .source_type = "trainedAlgorithmicMedia",
                                    .parameters = "caf\xc3\xa9\nSteps: 20",
                                    .vbg = "{\"a\":1}",
                                    .software = "vbg test" };
    static const int channels[] = { 1, 3, 4 };

    scratch(path, sizeof path, "a.png");
    for (int i = 0; i < 3; i++) {
        vbg_picture p = gradient(40, 10, channels[i]), q;
        vbg_picture_info info;
        vbg_err err = { "" };
        cr_assert(vbg_picture_save(path, &p, &meta, 92, &err) == VBG_OK, "%s", err.text);
        cr_assert(vbg_picture_load(&q, &info, path, 0, &err) == VBG_OK, "%s", err.text);
        cr_assert_eq(q.channels, channels[i]);
        for (int y = 0; y < p.h; y++)
            cr_assert(memcmp(p.data + (size_t)y * p.stride, q.data + (size_t)y * q.stride,
                             (size_t)(p.w * p.channels)) == 0);
        cr_expect_str_eq(info.parameters, meta.parameters);
        cr_expect_str_eq(info.vbg, meta.vbg);
        cr_expect_str_eq(info.software, meta.software);
        cr_expect(info.pano.sphere && info.pano.full_w == 40 && info.pano.top == 5);
        vbg_picture_free(&p);
        vbg_picture_free(&q);
        vbg_picture_info_free(&info);
    }
    unlink(path);
}

Test(media, jpeg_keeps_texts)
{
    char path[256];
    const vbg_pano pano = { .full_w = 64, .full_h = 32 };
    const vbg_picture_meta meta = { .pano = &pano,
                                    .parameters = "caf\xc3\xa9, \xf0\x9f\x8f\xa0",
                                    .vbg = "{\"text\":\"x < y\"}",
                                    .software = "vbg test" };
    vbg_picture p = gradient(64, 32, 3), q;
    vbg_picture_info info;
    vbg_err err = { "" };
    double sum = 0;

    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 64; x++)
            for (int c = 0; c < 3; c++)
                p.data[(size_t)y * p.stride + (size_t)(3 * x + c)] = (uint8_t)(3 * x + y);
    scratch(path, sizeof path, "a.jpg");
    cr_assert(vbg_picture_save(path, &p, &meta, 92, &err) == VBG_OK, "%s", err.text);
    cr_assert(vbg_picture_load(&q, &info, path, 3, &err) == VBG_OK, "%s", err.text);
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 192; x++)
            sum += abs(p.data[(size_t)y * p.stride + (size_t)x] -
                       q.data[(size_t)y * q.stride + (size_t)x]);
    cr_expect_lt(sum / (32 * 192), 2.0);
    cr_assert(info.parameters && info.vbg && info.software);
    cr_expect_str_eq(info.parameters, meta.parameters);
    cr_expect_str_eq(info.vbg, meta.vbg);
    cr_expect_str_eq(info.software, meta.software);
    cr_expect(info.pano.sphere && info.pano.full_w == 64);
    vbg_picture_free(&p);
    vbg_picture_free(&q);
    vbg_picture_info_free(&info);
    unlink(path);
}

/* Every proper prefix of a small PNG and JPEG is refused or, where only the end mark is
 * missing, shown; nothing crashes. */
Test(media, prefixes)
{
    static const char *const names[] = { "p.png", "p.jpg" };
    char path[256];
    vbg_err err = { "" };

    for (int k = 0; k < 2; k++) {
        vbg_picture p = gradient(13, 7, 3), q;
        cr_assert(vbg_picture_save(scratch(path, sizeof path, names[k]), &p, NULL, 92,
                                   &err) == VBG_OK);
        FILE *f = fopen(path, "rb");
        unsigned char data[65536];
        size_t n = fread(data, 1, sizeof data, f);
        fclose(f);
        for (size_t i = 0; i < n; i++) {
            vbg_status st = vbg_picture_load_memory(&q, NULL, data, i, "prefix", 3, NULL);
            if (i + 16 < n)
                cr_expect(st != VBG_OK, "%s: %zu of %zu bytes accepted", names[k], i, n);
            vbg_picture_free(&q);
        }
        vbg_picture_free(&p);
        unlink(path);
    }
}

Test(media, refuses)
{
    vbg_picture p = gradient(4, 4, 3), q;
    vbg_err err = { "" };

    cr_expect_eq(vbg_picture_save("/tmp/x.tga", &p, NULL, 92, &err), VBG_EUSAGE);
    err.text[0] = 0;
    cr_expect_eq(vbg_picture_save("/nonexistent/x.png", &p, NULL, 92, &err), VBG_EIO);
    err.text[0] = 0;
    cr_expect_neq(vbg_picture_load(&q, NULL, "/tmp", 3, &err), VBG_OK);
    cr_expect_eq(vbg_picture_new(&q, 32769, 1, 3, NULL), VBG_ELIMIT);
    vbg_picture_free(&p);
}
