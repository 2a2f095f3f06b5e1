/* Readers of training data: what they find, what they leave out, order and chance. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "tests/malformed.h"
#include "tools/options.h"
#include "tools/train/captions.h"
#include "tools/train/masks.h"
#include "tools/train/npy.h"
#include "tools/train/panoramas.h"
#include "tools/train/prefetch.h"
#include "video/panorama.h"

/* Warnings of skipped samples go to stderr, which a test run need not show. */
static void quiet(void)
{
    vbg_message_start("test");
    cr_assert(freopen("/dev/null", "w", stderr));
}

TestSuite(data, .init = quiet, .fini = remove_scratch);

/* ---- making data ---- */

static void make_folder(const char *name)
{
    cr_assert_eq(mkdir(in_scratch(name), 0700), 0, "%s", name);
}

static void write_bytes(const char *name, const void *data, size_t bytes)
{
    FILE *f = fopen(in_scratch(name), "wb");

    cr_assert(f, "%s", name);
    cr_assert_eq(fwrite(data, 1, bytes, f), bytes);
    fclose(f);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* A picture whose first pixel is level and whose others are a ramp. */
static void write_picture(const char *name, int w, int h, int channels, int level)
{
    vbg_picture p;

    cr_assert_eq(vbg_picture_new(&p, w, h, channels, NULL), VBG_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w * channels; x++)
            p.data[(size_t)y * p.stride + (size_t)x] = (uint8_t)(level + x + y);
    cr_assert_eq(vbg_picture_save(in_scratch(name), &p, NULL, 95, NULL), VBG_OK);
    vbg_picture_free(&p);
}

/* A mask: person where x < edge. */
static void write_mask(const char *name, int w, int h, int edge, int level)
{
    vbg_picture p;

    cr_assert_eq(vbg_picture_new(&p, w, h, 1, NULL), VBG_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < edge; x++)
            p.data[(size_t)y * p.stride + (size_t)x] = (uint8_t)level;
    cr_assert_eq(vbg_picture_save(in_scratch(name), &p, NULL, 95, NULL), VBG_OK);
    vbg_picture_free(&p);
}

/* ---- captions ---- */

static vbg_status captions(vbg_captions *c, const char *name, bool strict, vbg_err *err)
{
    const vbg_captions_opt opt = { .strict = strict, .min_side = 8 };

    return vbg_captions_open(c, in_scratch(name), &opt, err);
}

Test(data, captioned_folder)
{
    vbg_captions c;
    vbg_err err = { "" };
    char *big = malloc(100 << 10);

    make_folder("d");
    make_folder("d/sub");
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "d/%d.png", i);
        write_picture(name, 20 + i, 16, 3, 0);
        snprintf(name, sizeof name, "d/%d.txt", i);
        write_text(name, i == 1 ? "\xef\xbb\xbf  a r\xc3\xb6om\n" : "a room");
    }
    write_picture("d/sub/q.JPG.jpg", 16, 16, 3, 0);
    write_text("d/sub/q.JPG.txt", "below");
    cr_assert_eq(captions(&c, "d", true, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(c.count, 4);
    cr_assert_str_eq(c.item[1].text, "a r\xc3\xb6om");
    cr_assert_str_eq(c.item[3].text, "below");
    cr_assert_eq(c.item[2].w, 22);
    vbg_captions_free(&c);

    /* missing, empty, blank, too long, not UTF-8; one picture too small */
    memset(big, 'x', 100 << 10);
    write_bytes("d/0.txt", big, 100 << 10);
    write_text("d/2.txt", "bad \xff\xfe bytes");
    write_text("d/sub/q.JPG.txt", " \n\t");
    for (int i = 3; i < 9; i++) {
        char name[32];
        snprintf(name, sizeof name, "d/%d.png", i);
        write_picture(name, 16, 16, 3, 0);
        snprintf(name, sizeof name, "d/%d.txt", i);
        write_text(name, "fine");
    }
    write_picture("d/a.png", 7, 40, 3, 0);
    write_text("d/a.txt", "thin");
    write_picture("d/b.png", 16, 16, 3, 0);
    cr_assert_eq(captions(&c, "d", false, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(c.count, 7);
    cr_assert_eq(c.tally.broken, 5);
    vbg_captions_free(&c);
    cr_assert_eq(captions(&c, "d", true, &err), VBG_EFORMAT);
    cr_assert(strstr(err.text, "0.txt: a caption of 102400 bytes"), "%s", err.text);
    free(big);
}

Test(data, metadata_files)
{
    vbg_captions c;
    vbg_err err = { "" };

    make_folder("m");
    write_picture("m/a.png", 16, 16, 3, 0);
    write_picture("m/b.png", 16, 16, 1, 0);
    write_text("m/metadata.jsonl",
               "{\"file_name\": \"a.png\", \"text\": \"one\", \"extra\": 3}\n\n"
               "{\"file_name\": \"b.png\", \"text\": \"two\\nlines\"}\n"
               "{\"file_name\": \"b.png\"}\n"
               "{\"file_name\": \"c.png\", \"text\": \"missing\"}");
    cr_assert_eq(captions(&c, "m", false, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(c.count, 2);
    cr_assert_eq(c.tally.broken, 2);
    cr_assert_str_eq(c.item[1].text, "two lines");
    vbg_captions_free(&c);
    write_text("m/metadata.jsonl",
               "{\"file_name\": \"a.png\", \"text\": \"\xff\"}\n"
               "not json\n[]\n{\"file_name\":\"a.png\",\"text\":\"x\"}"
               "\n{\"file_name\":\"b.png\",\"text\":\"y\"}");
    cr_assert_eq(captions(&c, "m", false, &err), VBG_EFORMAT, "3 of 5 are broken");
    cr_assert_eq(captions(&c, "nothing", false, &err), VBG_EIO);
#ifdef VBG_HAVE_LIBCSV
    write_text("m/t.csv",
               "text,id,file_name\r\n\"a, \"\"b\"\"\nc\",1,a.png\r\nx,2,b.png");
    cr_assert_eq(captions(&c, "m/t.csv", true, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(c.count, 2);
    cr_assert_str_eq(c.item[0].text, "a, \"b\" c");
    vbg_captions_free(&c);
#endif
}

/* A row of the ramp must stay a ramp, and the middle in the middle. */
Test(data, captioned_picture_is_cut_to_size)
{
    vbg_captions c;
    vbg_picture p, q;
    size_t used = 9;

    make_folder("p");
    write_picture("p/a.png", 40, 20, 3, 0);
    write_text("p/a.txt", "a");
    write_picture("p/b.png", 40, 20, 3, 0);
    write_text("p/b.txt", "b");
    cr_assert_eq(captions(&c, "p", true, NULL), VBG_OK);
    const vbg_crop_opt opt = { .w = 20, .h = 20, .flip = true };
    cr_assert_eq(vbg_captions_picture(&c, 0, &p, &opt, NULL, &used, NULL), VBG_OK);
    cr_assert(p.w == 20 && p.h == 20 && used == 0);
    cr_assert_eq(p.data[0], 30); /* column 10 of a ramp of 3 a pixel */
    vbg_picture_free(&p);
    vbg_dice d = vbg_dice_for(5, 1, 2, 3), e = d;
    cr_assert_eq(vbg_captions_picture(&c, 1, &p, &opt, &d, &used, NULL), VBG_OK);
    cr_assert_eq(vbg_captions_picture(&c, 1, &q, &opt, &e, &used, NULL), VBG_OK);
    cr_assert_eq(memcmp(p.data, q.data, p.stride * 20), 0);
    vbg_picture_free(&p);
    vbg_picture_free(&q);

    /* a picture that turns out broken while decoding */
    size_t bytes;
    unsigned char *png = slurp(in_scratch("p/a.png"), &bytes);
    png[bytes - 40] ^= 0xff;
    write_bytes("p/a.png", png, bytes);
    free(png);
    cr_assert_eq(captions(&c, "p", false, NULL), VBG_OK);
    cr_assert_eq(vbg_captions_picture(&c, 0, &p, &opt, NULL, &used, NULL), VBG_OK);
    cr_assert_eq(used, 1);
    cr_assert_eq(c.tally.broken, 1);
    vbg_picture_free(&p);
    cr_assert_eq(vbg_captions_picture(&c, 0, &p, &opt, NULL, &used, NULL), VBG_OK);
    cr_assert_eq(c.tally.broken, 1, "counted once");
    vbg_picture_free(&p);
    vbg_captions_free(&c);
    cr_assert_eq(captions(&c, "p", true, NULL), VBG_OK);
    cr_assert_eq(vbg_captions_picture(&c, 0, &p, &opt, NULL, &used, NULL), VBG_EFORMAT);
    vbg_captions_free(&c);
}

/* Every odd picture of the malformed set beside a whole one: what must be read is read
 * as RGB, what must be refused is skipped. */
static void check_odd_picture(const char *name, const json_t *j)
{
    const char *verdict = json_string_value(json_object_get(j, "verdict"));
    const char *dot = strrchr(name, '.');
    char target[1200], odd[128], text[128];
    vbg_captions c;
    vbg_picture p;
    size_t used;
    const vbg_crop_opt opt = { .w = 8, .h = 8 };

    snprintf(odd, sizeof odd, "o/a%s", dot);
    snprintf(text, sizeof text, "o/a.txt");
    char *real = realpath(shared_dir(), NULL);
    snprintf(target, sizeof target, "%s/golden/malformed_media/%s", real, name);
    free(real);
    unlink(in_scratch("o/a.png"));
    unlink(in_scratch("o/a.jpg"));
    cr_assert_eq(symlink(target, in_scratch(odd)), 0);
    write_text(text, "odd");
    cr_assert_eq(vbg_captions_open(&c, in_scratch("o"), &(vbg_captions_opt){ 0 }, NULL),
                 VBG_OK);
    const bool listed = c.count == 2;
    cr_assert_eq(vbg_captions_picture(&c, 0, &p, &opt, NULL, &used, NULL), VBG_OK);
    const bool read = listed && used == 0;
    cr_assert_eq(c.tally.broken, !read, "%s", name);
    if (strcmp(verdict, "accept") == 0)
        cr_assert(read, "%s must be read", name);
    else if (strcmp(verdict, "reject") == 0)
        cr_assert_not(read, "%s must be skipped", name);
    vbg_picture_free(&p);
    vbg_captions_free(&c);
}

Test(data, odd_pictures_are_read_or_skipped)
{
    if (!shared_dir())
        cr_skip_test("no oracles at hand");
    make_folder("o");
    write_picture("o/z.png", 16, 16, 3, 0);
    write_text("o/z.txt", "whole");
    cr_assert_gt(each_malformed("png/", "jpeg/", check_odd_picture), 100);
}

/* ---- masks ---- */

Test(data, masks_beside_pictures)
{
    vbg_masks m;
    vbg_picture p, k;
    vbg_err err = { "" };
    size_t used;

    make_folder("s");
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "s/%d.jpg", i);
        write_picture(name, 24, 18, 3, 0);
        snprintf(name, sizeof name, "s/%d.mask.png", i);
        write_mask(name, 24, 18, 10, i == 1 ? 1 : 200); /* soft, or classes */
    }
    cr_assert_eq(vbg_masks_open(&m, in_scratch("s"), true, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(m.count, 4);
    cr_assert_eq(vbg_masks_load(&m, 0, &p, &k, &used, NULL), VBG_OK);
    cr_assert(p.channels == 3 && k.channels == 1 && k.data[9] == 200 && k.data[10] == 0);
    vbg_picture_free(&p);
    vbg_picture_free(&k);
    cr_assert_eq(vbg_masks_load(&m, 1, &p, &k, &used, NULL), VBG_OK);
    cr_assert(k.data[9] == 255 && k.data[10] == 0, "classes");
    vbg_picture_free(&p);
    vbg_picture_free(&k);
    vbg_masks_free(&m);

    write_mask("s/2.mask.png", 24, 17, 10, 255); /* another size */
    unlink(in_scratch("s/3.mask.png"));
    cr_assert_eq(vbg_masks_open(&m, in_scratch("s"), false, &err), VBG_OK);
    cr_assert(m.count == 2 && m.tally.broken == 2);
    vbg_masks_free(&m);
    cr_assert_eq(vbg_masks_open(&m, in_scratch("s"), true, &err), VBG_EFORMAT);
    cr_assert(strstr(err.text, "mask of 24x17 for a picture of 24x18"), "%s", err.text);
}

Test(data, masks_in_two_folders)
{
    static const char *const name[] = { "a-1.b", "a", "b" };
    vbg_masks m;
    vbg_picture p, k;
    char path[64];

    make_folder("t");
    make_folder("t/images");
    make_folder("t/masks");
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "t/images/%s.jpg", name[i]);
        write_picture(path, 12, 12, 3, 0);
        snprintf(path, sizeof path, "t/masks/%s.png", name[i]);
        write_picture(path, 12, 12, i == 2 ? 4 : 1, 20 * i); /* one with transparency */
    }
    write_picture("t/images/c.jpg", 12, 12, 3, 0);
    cr_assert_eq(vbg_masks_open(&m, in_scratch("t"), false, NULL), VBG_OK);
    cr_assert(m.count == 3 && m.tally.broken == 1);
    cr_assert(strstr(m.item[0].picture, "a-1.b.jpg") &&
              strstr(m.item[0].mask, "a-1.b.png"));
    cr_assert(strstr(m.item[1].picture, "/a.jpg") && strstr(m.item[1].mask, "/a.png"));
    cr_assert_eq(vbg_masks_load(&m, 2, &p, &k, NULL, NULL), VBG_OK);
    cr_assert(k.channels == 1 && k.data[1] == 40 + 7, "alpha of the second pixel");
    vbg_picture_free(&p);
    vbg_picture_free(&k);
    vbg_masks_free(&m);
}

#ifdef VBG_HAVE_LIBCSV
static void check_csv(const char *name, const json_t *j)
{
    const char *verdict = json_string_value(json_object_get(j, "verdict"));
    const json_int_t rows = json_integer_value(json_object_get(j, "rows"));
    const json_int_t bad = json_integer_value(json_object_get(j, "bad_rows"));
    char path[1200];
    vbg_masks m;
    vbg_err err = { "" };
    vbg_picture p, k;

    if (!strstr(name, ".csv"))
        return;
    snprintf(path, sizeof path, "%s/golden/malformed_media/%s", shared_dir(), name);
    const vbg_status st = vbg_masks_open(&m, path, false, &err);
    if (strcmp(verdict, "reject") == 0) {
        cr_assert_neq(st, VBG_OK, "%s must be refused", name);
        cr_assert(err.text[0] && !strpbrk(err.text, "\x1b\n"), "%s: %s", name, err.text);
        return;
    }
    cr_assert_eq(st, VBG_OK, "%s: %s", name, err.text);
    cr_assert_eq(m.count, (size_t)rows, "%s: %zu rows", name, m.count);
    cr_assert_eq(m.tally.broken, (size_t)bad, "%s: %zu broken", name, m.tally.broken);
    cr_assert_eq(vbg_masks_load(&m, 0, &p, &k, NULL, NULL), VBG_OK);
    cr_assert(p.w == 24 && p.h == 18 && k.w == 24 && k.channels == 1);
    for (int i = 0; i < 24 * 18; i++) {
        const uint8_t v = k.data[(size_t)(i / 24) * k.stride + (size_t)(i % 24)];
        cr_assert(v == 0 || v == 255, "the recipe's mask is hard");
    }
    vbg_picture_free(&p);
    vbg_picture_free(&k);
    vbg_masks_free(&m);
    if (bad)
        cr_assert_eq(vbg_masks_open(&m, path, true, &err), VBG_EFORMAT, "%s", name);
}

Test(data, csv_tables_of_the_malformed_set)
{
    if (!shared_dir())
        cr_skip_test("no oracles at hand");
    cr_assert_gt(each_malformed("csv/", "csv/", check_csv), 25);
}
#endif

/* ---- panoramas ---- */

/* Colour by direction, so that a view shows where it looks. */
static void colour_of(uint8_t rgb[3], const double d[3])
{
    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)lrint(127.5 + 100 * d[k]);
}

static void write_sphere(const char *name, int w, int h)
{
    vbg_picture p;

    cr_assert_eq(vbg_picture_new(&p, w, h, 3, NULL), VBG_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double d[3];
            vbg_equirect_direction(d, x, y, w, h);
            colour_of(p.data + (size_t)y * p.stride + 3 * (size_t)x, d);
        }
    cr_assert_eq(vbg_picture_save(in_scratch(name), &p, NULL, 95, NULL), VBG_OK);
    vbg_picture_free(&p);
}

/* Mean distance of the views from what they must show. */
static double views_error(const vbg_pano_views *v, int size, double start_deg)
{
    double sum = 0;

    for (int i = 0; i < VBG_PANO_VIEWS; i++) {
        const vbg_pinhole camera = { .w = size,
                                     .h = size,
                                     .fov_x = 1.5707963267948966,
                                     .yaw = (start_deg + 45 * i) * 0.017453292519943295 };
        for (int k = 0; k < size * size; k++) {
            double d[3];
            uint8_t rgb[3];
            vbg_pinhole_ray(d, &camera, k % size, k / size);
            const double n = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
            for (int j = 0; j < 3; j++)
                d[j] /= n;
            colour_of(rgb, d);
            const uint8_t *is =
                v->view[i].data + (size_t)(k / size) * v->view[i].stride + 3 * (k % size);
            for (int j = 0; j < 3; j++)
                sum += abs(is[j] - rgb[j]);
        }
    }
    return sum / (VBG_PANO_VIEWS * 3.0 * size * size);
}

Test(data, equirectangular_panoramas)
{
    vbg_panos p;
    vbg_pano_views v;
    vbg_err err = { "" };
    size_t used;

    make_folder("e");
    write_sphere("e/a.png", 128, 64);
    write_text("e/a.txt", "whole\n0\n45\n90\n135\n180\n225\n270\n315\n\n");
    write_sphere("e/b.png", 640, 320);
    write_text("e/b.txt", "one for all\n");
    cr_assert_eq(
        vbg_panos_open(&p, in_scratch("e"), &(vbg_panos_opt){ .strict = true }, &err),
        VBG_OK, "%s", err.text);
    cr_assert(p.count == 2 && !p.skybox);
    cr_expect_str_eq(p.item[0].whole, "whole");
    cr_expect_null(p.item[1].whole);
    cr_assert_eq(vbg_panos_views(&p, 0, 32, 100, &v, &used, NULL), VBG_OK);
    cr_assert_str_eq(v.caption[0], "90");
    cr_assert_str_eq(v.caption[6], "0", "yaw 370");
    cr_assert_lt(views_error(&v, 32, 100), 1.0);
    vbg_pano_views_free(&v);
    cr_assert_eq(vbg_panos_views(&p, 1, 40, 0, &v, &used, NULL), VBG_OK);
    cr_assert_str_eq(v.caption[5], "one for all");
    cr_assert_lt(views_error(&v, 40, 0), 1.0, "reduced first");
    vbg_pano_views_free(&v);
    vbg_panos_free(&p);

    write_text("e/a.txt", "whole\nand\nthree");
    cr_assert_eq(vbg_panos_open(&p, in_scratch("e"), &(vbg_panos_opt){ 0 }, &err),
                 VBG_OK);
    cr_assert(p.count == 1 && p.tally.broken == 1);
    vbg_panos_free(&p);
    write_picture("e/b.png", 100, 70, 3, 0);
    cr_assert_eq(vbg_panos_open(&p, in_scratch("e"), &(vbg_panos_opt){ 0 }, &err),
                 VBG_EFORMAT);
}

/* The six faces of the coloured sphere at yaw and pitch of the data set. */
static void write_faces(const char *folder, const char *pano, int size)
{
    static const double yaw[6] = { -90, 270, 0, 90, 180, -90 };
    static const double pitch[6] = { 90, 0, 0, 0, 0, -90 };
    vbg_picture p;
    char name[128];

    cr_assert_eq(vbg_picture_new(&p, size, size, 3, NULL), VBG_OK);
    for (int i = 0; i < 6; i++) {
        const vbg_pinhole camera = { .w = size,
                                     .h = size,
                                     .fov_x = 1.5707963267948966,
                                     .yaw = yaw[i] * 0.017453292519943295,
                                     .pitch = pitch[i] * 0.017453292519943295 };
        for (int k = 0; k < size * size; k++) {
            double d[3];
            vbg_pinhole_ray(d, &camera, k % size, k / size);
            const double n = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
            for (int j = 0; j < 3; j++)
                d[j] /= n;
            colour_of(p.data + (size_t)(k / size) * p.stride + 3 * (size_t)(k % size), d);
        }
        snprintf(name, sizeof name, "%s/%s_skybox%d_sami.png", folder, pano, i);
        cr_assert_eq(vbg_picture_save(in_scratch(name), &p, NULL, 95, NULL), VBG_OK);
    }
    vbg_picture_free(&p);
}

/* train.npy of rows x 6 strings as numpy writes it. */
static void write_npy(const char *name, const char *const *text, size_t count)
{
    enum { CHARS = 64 };
    char header[118], row[32];
    uint32_t wide[CHARS];
    FILE *f = fopen(in_scratch(name), "wb");

    cr_assert(f);
    snprintf(row, sizeof row, "(%zu, 6)", count / 6);
    memset(header, ' ', sizeof header);
    const int n =
        snprintf(header, sizeof header,
                 "{'descr': '<U%d', 'fortran_order': False, 'shape': %s, }", CHARS, row);
    header[n] = ' ';
    header[117] = '\n';
    fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f);
    fwrite(header, 1, sizeof header, f);
    for (size_t i = 0; i < count; i++) {
        memset(wide, 0, sizeof wide);
        for (size_t k = 0; text[i][k] && k < CHARS; k++)
            wide[k] = (unsigned char)text[i][k];
        fwrite(wide, sizeof *wide, CHARS, f);
    }
    fclose(f);
}

Test(data, matterport_layout)
{
    static const char *const scene = "s1/matterport_skybox_images";
    char name[12][96];
    const char *list[12];
    vbg_panos p;
    vbg_pano_views v;
    vbg_err err = { "" };

    make_folder("mp");
    make_folder("mp/s1");
    make_folder("mp/s1/matterport_skybox_images");
    make_folder("mp/s1/blip3");
    write_faces("mp/s1/matterport_skybox_images", "pa", 64);
    for (int i = 0; i < 12; i++) {
        snprintf(name[i], sizeof name[i], "%s/p%c_skybox%d_sami.png", scene,
                 i < 6 ? 'a' : 'b', i % 6);
        list[i] = name[i];
    }
    for (int i = 0; i < 8; i++) {
        char file[64], text[32];
        snprintf(file, sizeof file, "mp/s1/blip3/pa_%d.txt", 45 * i);
        snprintf(text, sizeof text, "view %d\nsecond line", i);
        write_text(file, text);
    }
    write_npy("mp/train.npy", list, 12); /* the second panorama is missing */
    cr_assert_eq(vbg_panos_open(&p, in_scratch("mp"), &(vbg_panos_opt){ 0 }, &err),
                 VBG_OK, "%s", err.text);
    cr_assert(p.count == 1 && p.skybox && p.tally.broken == 1);
    cr_assert_eq(vbg_panos_views(&p, 0, 32, 30, &v, NULL, &err), VBG_OK, "%s", err.text);
    cr_assert_str_eq(v.caption[0], "This is one view of a scene. view 1");
    cr_assert_str_eq(v.caption[7], "This is one view of a scene. view 0");
    cr_assert_eq(v.view[0].w, 32);
    cr_assert_lt(views_error(&v, 32, 30), 1.5);
    vbg_pano_views_free(&v);
    vbg_panos_free(&p);
    cr_assert_eq(
        vbg_panos_open(&p, in_scratch("mp"), &(vbg_panos_opt){ .strict = true }, &err),
        VBG_EFORMAT);
    write_text("mp/train.npy", "\x93NUMPY and so on, but not really");
    cr_assert_eq(vbg_panos_open(&p, in_scratch("mp"), &(vbg_panos_opt){ 0 }, &err),
                 VBG_EFORMAT);
}

Test(data, npy_files_that_lie)
{
    static const char *const bad[] = {
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 6), }",
        "{'descr': '<U4', 'fortran_order': True, 'shape': (1, 6), }",
        "{'descr': '<U4', 'fortran_order': False, 'shape': (99999999999, 6), }",
        "{'descr': '<U4', 'fortran_order': False, 'shape': (6,), }",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (1, 6), }",
        "{}",
    };
    vbg_npy_strings s;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unsigned char file[400] = "\x93NUMPY\x01";
        const size_t n = strlen(bad[i]);
        file[8] = (unsigned char)n;
        memcpy(file + 10, bad[i], n);
        write_bytes("x.npy", file, 10 + n + 96);
        vbg_err err = { "" };
        cr_assert_eq(vbg_npy_strings_read(&s, in_scratch("x.npy"), &err), VBG_EFORMAT,
                     "case %zu", i);
        cr_assert(err.text[0]);
    }
}

/* ---- order and chance ---- */

Test(data, order_is_a_permutation_of_its_own_for_each_epoch)
{
    enum { N = 1000 };
    uint32_t a[N], b[N];
    bool seen[N] = { false };
    int same = 0;

    vbg_epoch_order(a, N, 7, 3, true);
    vbg_epoch_order(b, N, 7, 3, true);
    cr_assert_eq(memcmp(a, b, sizeof a), 0);
    vbg_epoch_order(b, N, 7, 4, true);
    for (int i = 0; i < N; i++) {
        cr_assert(a[i] < N && !seen[a[i]]);
        seen[a[i]] = true;
        same += a[i] == b[i];
    }
    cr_assert_lt(same, 10); /* 1 expected */
    vbg_epoch_order(a, N, 7, 3, false);
    cr_assert(a[0] == 0 && a[N - 1] == N - 1);
}

Test(data, dice_are_fair)
{
    vbg_dice d = vbg_dice_for(1, 2, 3, 4);
    double sum = 0, square = 0;
    int count[6] = { 0 };

    for (int i = 0; i < 60000; i++) {
        const double v = vbg_dice_normal(&d);
        sum += v;
        square += v * v;
        count[vbg_dice_int(&d, 6)]++;
    }
    cr_assert_lt(fabs(sum / 60000), 4 / sqrt(60000));
    cr_assert_lt(fabs(square / 60000 - 1), 4 * sqrt(2.0 / 60000));
    for (int i = 0; i < 6; i++)
        cr_assert_lt(abs(count[i] - 10000), 4 * 92); /* sqrt(60000 * 5 / 36) */
}

/* ---- prefetching ---- */

static vbg_status make_square(void *arg, uint64_t job, int slot, vbg_err *err)
{
    uint64_t *slots = arg;

    if (job == 40)
        return vbg_fail(err, VBG_EFORMAT, "job %d", (int)job);
    if (job % 3 == 0)
        usleep(500);
    slots[slot] = job * job;
    return VBG_OK;
}

Test(data, prefetched_jobs_come_in_order)
{
    for (int threads = 1; threads <= 5; threads += 2) {
        uint64_t slots[4], job;
        vbg_prefetch *p;
        vbg_err err = { "" };
        int slot;

        cr_assert_eq(vbg_prefetch_new(&p, threads, 4, 10, make_square, slots, NULL),
                     VBG_OK);
        for (uint64_t want = 10; want < 40; want++) {
            cr_assert_eq(vbg_prefetch_next(p, &job, &slot, NULL), VBG_OK);
            cr_assert(job == want && slots[slot] == want * want);
            vbg_prefetch_done(p, slot);
        }
        cr_assert_eq(vbg_prefetch_next(p, &job, &slot, &err), VBG_EFORMAT);
        cr_assert_str_eq(err.text, "job 40");
        vbg_prefetch_done(p, slot);
        vbg_prefetch_free(p);
    }
}
