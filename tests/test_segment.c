/* Segmenters through their common face: little networks with random weights, written
 * here.  The networks' numbers are proven by the oracles; this is about sizes, alpha,
 * NaN, threads, precision and wrong files. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/map_guard.h"
#include "engine/weights.h"
#include "models/segmenter.h"

/* One layer of a little network. */
typedef enum shape { CONV, DEPTHWISE, TRANSPOSED } shape;
typedef struct layer {
    const char *name; /* in the table below; a net has its own copy */
    shape shape;
    int oc, c, k;
    bool bias;
} layer;

/* Selfie with widths of about a quarter. */
static const layer selfie[] = {
    { "stem", CONV, 4, 3, 3, true },
    { "block1.expand", CONV, 4, 4, 1, true },
    { "block1.depthwise", DEPTHWISE, 4, 1, 3, true },
    { "block1.se1", CONV, 2, 4, 1, true },
    { "block1.se2", CONV, 4, 2, 1, true },
    { "block1.project", CONV, 5, 4, 1, true },
    { "block2.expand", CONV, 7, 5, 1, true },
    { "block2.depthwise", DEPTHWISE, 7, 1, 3, true },
    { "block2.project", CONV, 6, 7, 1, true },
    { "block3.expand", CONV, 9, 6, 1, true },
    { "block3.depthwise", DEPTHWISE, 9, 1, 3, true },
    { "block3.project", CONV, 6, 9, 1, true },
    { "head", CONV, 20, 8, 1, true },
    { "head_gate", CONV, 20, 8, 1, true },
    { "head_project", CONV, 6, 20, 1, true },
    { "up0.gate1", CONV, 6, 6, 1, true },
    { "up0.gate2", CONV, 6, 6, 1, true },
    { "up0.conv", CONV, 6, 6, 1, true },
    { "up0.depthwise", DEPTHWISE, 6, 1, 3, true },
    { "up0.project", CONV, 5, 6, 1, true },
    { "up1.gate1", CONV, 5, 5, 1, true },
    { "up1.gate2", CONV, 5, 5, 1, true },
    { "up1.conv", CONV, 5, 5, 1, true },
    { "up1.depthwise", DEPTHWISE, 5, 1, 3, true },
    { "up1.project", CONV, 4, 5, 1, true },
    { "up2.gate1", CONV, 4, 4, 1, true },
    { "up2.gate2", CONV, 4, 4, 1, true },
    { "up2.conv", CONV, 4, 4, 1, true },
    { "up2.depthwise", DEPTHWISE, 4, 1, 3, true },
    { "out", TRANSPOSED, 1, 4, 2, true },
};

enum { SELFIE_LAYERS = sizeof selfie / sizeof *selfie, MAX_LAYERS = 96 };

typedef struct net {
    const char *arch;
    layer layer[MAX_LAYERS];
    char name[MAX_LAYERS][48];
    int count;
    int64_t width, height;
    bool poison; /* the last layer's bias is NaN */
} net;

static void add(net *n, const char *name, shape s, int oc, int c, int k, bool bias)
{
    snprintf(n->name[n->count], sizeof n->name[0], "%s", name);
    n->layer[n->count++] = (layer){ NULL, s, oc, c, k, bias };
}

static net little_selfie(void)
{
    net n = { .arch = "selfie", .width = 64, .height = 48 };
    char name[48];

    for (int i = 0; i < SELFIE_LAYERS; i++)
        add(&n, selfie[i].name, selfie[i].shape, selfie[i].oc, selfie[i].c, selfie[i].k,
            true);
    for (int i = 4; i <= 8; i++) {
        const int in = i == 4 ? 6 : 8;
        const struct {
            const char *part;
            shape shape;
            int oc, c, k;
        } part[] = { { "expand", CONV, 11, in, 1 },
                     { "depthwise", DEPTHWISE, 11, 1, 5 },
                     { "se1", CONV, 3, 11, 1 },
                     { "se2", CONV, 11, 3, 1 },
                     { "project", CONV, 8, 11, 1 } };
        for (size_t k = 0; k < 5; k++) {
            snprintf(name, sizeof name, "block%d.%s", i, part[k].part);
            add(&n, name, part[k].shape, part[k].oc, part[k].c, part[k].k, true);
        }
    }
    return n;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static vbg_status write_values(vbg_writer *w, const char *name, size_t count, float scale,
                               float offset, uint32_t *seed)
{
    float *v = malloc(count * sizeof *v);

    cr_assert_not_null(v);
    for (size_t i = 0; i < count; i++)
        v[i] = offset + scale * ((float)next_random(seed) / 8388608.0f - 1);
    vbg_status st = vbg_writer_data(w, "segmenter", name, v, NULL);
    free(v);
    return st;
}

static void tensor_dims(int64_t dim[4], const layer *l)
{
    dim[0] = l->shape == TRANSPOSED ? l->c : l->oc;
    dim[1] = l->shape == TRANSPOSED ? l->oc : l->c;
    dim[2] = dim[3] = l->k;
}

static void declare(vbg_writer *w, const net *n)
{
    static const vbg_layout layouts[] = { VBG_LAYOUT_PACK16, VBG_LAYOUT_DEPTHWISE,
                                          VBG_LAYOUT_TRANSPOSED };
    char name[64];

    vbg_writer_string(w, "model.arch", n->arch, NULL);
    if (n->width) {
        vbg_writer_int(w, "segmenter.width", n->width, NULL);
        vbg_writer_int(w, "segmenter.height", n->height, NULL);
    }
    for (int i = 0; i < n->count; i++) {
        const layer *l = &n->layer[i];
        int64_t dim[4];
        tensor_dims(dim, l);
        snprintf(name, sizeof name, "%s.weight", n->name[i]);
        vbg_status st = vbg_writer_declare(w, "segmenter", name, VBG_F32,
                                           layouts[l->shape], 4, dim, NULL);
        snprintf(name, sizeof name, "%s.bias", n->name[i]);
        dim[0] = l->oc;
        if (st == VBG_OK && l->bias)
            st = vbg_writer_declare(w, "segmenter", name, VBG_F32, VBG_LAYOUT_PLAIN, 1,
                                    dim, NULL);
        cr_assert_eq(st, VBG_OK);
    }
}

/* Writes n to a temporary .vbg; path needs 64 bytes. */
static void write_net(const net *n, char *path)
{
    vbg_err err = { "" };
    vbg_writer *w = NULL;
    uint32_t seed = 7;
    char name[64];

    strcpy(path, "/tmp/vbg-test-segment-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(vbg_writer_new(&w, path, &err), VBG_OK, "%s", err.text);
    declare(w, n);
    for (int i = 0; i < n->count; i++) {
        const layer *l = &n->layer[i];
        size_t taps = (size_t)l->k * (size_t)l->k, count = taps * (size_t)(l->oc * l->c);
        size_t fan = taps * (size_t)l->c;
        snprintf(name, sizeof name, "%s.weight", n->name[i]);
        vbg_status st = write_values(w, name, count, 1.7f / sqrtf((float)fan), 0, &seed);
        snprintf(name, sizeof name, "%s.bias", n->name[i]);
        bool poison = n->poison && strcmp(n->name[i], "out") == 0;
        if (st == VBG_OK && l->bias)
            st = write_values(w, name, (size_t)l->oc, 0.2f, poison ? NAN : 0, &seed);
        cr_assert_eq(st, VBG_OK);
    }
    cr_assert_eq(vbg_writer_finish(w, &err), VBG_OK, "%s", err.text);
}

static vbg_picture test_picture(int w, int h)
{
    vbg_picture p;

    cr_assert_eq(vbg_picture_new(&p, w, h, 3, NULL), VBG_OK);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w * 3; x++)
            p.data[(size_t)y * p.stride + (size_t)x] = (uint8_t)(7 * x + 13 * y + x * y);
    return p;
}

/* Opens, runs once and returns the alpha (freed by the caller). */
static float *alpha_of(const char *path, vbg_ctx_opt opt, size_t *count)
{
    vbg_segmenter *s = NULL;
    vbg_err err = { "" };
    int w, h, mw, mh;

    cr_assert_eq(vbg_segmenter_open(&s, path, &opt, 0, 0, &err), VBG_OK, "%s", err.text);
    vbg_segmenter_size(s, &w, &h);
    vbg_segmenter_mask_size(s, &mw, &mh);
    *count = (size_t)mw * (size_t)mh;
    float *alpha = malloc(*count * sizeof *alpha);
    cr_assert_not_null(alpha);
    for (size_t i = 0; i < *count; i++)
        alpha[i] = NAN;
    vbg_picture p = test_picture(w, h);
    cr_assert_eq(vbg_segmenter_run(s, &p, alpha, &err), VBG_OK, "%s", err.text);
    vbg_picture_free(&p);
    vbg_segmenter_close(s);
    return alpha;
}

Test(segment, same_on_every_level_and_thread_count)
{
    const net n = little_selfie();
    char path[64];
    size_t count, again;

    write_net(&n, path);
    float *want =
        alpha_of(path, (vbg_ctx_opt){ .threads = 1, .isa = VBG_ISA_REF }, &count);
    cr_assert_eq(count, 64u * 48u);
    double mean = 0;
    for (size_t i = 0; i < count; i++) {
        cr_assert(want[i] >= 0 && want[i] <= 1, "alpha[%zu] = %g", i, (double)want[i]);
        mean += (double)want[i] / (double)count;
    }
    cr_assert(mean > 0.01 && mean < 0.99, "mean %g tells nothing", mean);

    for (vbg_isa isa = VBG_ISA_REF; isa <= vbg_isa_detect(); isa++) {
        /* f32: some 40 layers of a few roundings each on logits of size 1..10, whose
         * sigmoid is at most a quarter as steep; 1e-4 leaves a factor of ten. */
        float *first = NULL;
        for (int threads = 1; threads <= 5; threads += 2) {
            float *a =
                alpha_of(path, (vbg_ctx_opt){ .threads = threads, .isa = isa }, &again);
            for (size_t i = 0; i < count; i++)
                cr_assert(fabsf(a[i] - want[i]) < 1e-4f, "%s [%zu]: %g, not %g",
                          vbg_isa_name(isa), i, (double)a[i], (double)want[i]);
            if (first)
                cr_assert_eq(memcmp(first, a, count * sizeof *a), 0, "%d threads",
                             threads);
            else
                first = a;
            if (first != a)
                free(a);
        }
        free(first);
    }
    free(want);
    unlink(path);
}

Test(segment, bf16_is_near)
{
    const net n = little_selfie();
    char path[64];
    size_t count;
    double sum = 0;

    write_net(&n, path);
    float *want = alpha_of(path, (vbg_ctx_opt){ .isa = VBG_ISA_BEST }, &count);
    float *a = alpha_of(path, (vbg_ctx_opt){ .isa = VBG_ISA_BEST, .precision = VBG_BF16 },
                        &count);
    /* 2^-9 of rounding in each of 40 layers, random signs: sqrt(40)*2^-9 = 1.2 % of
     * logits of size 1..10, a quarter of that in alpha. */
    for (size_t i = 0; i < count; i++)
        sum += fabs((double)a[i] - (double)want[i]) / (double)count;
    cr_assert(sum < 0.03, "mean difference %g", sum);
    free(want);
    free(a);
    unlink(path);
}

Test(segment, not_a_number_is_background)
{
    net n = little_selfie();
    char path[64];
    size_t count;

    n.poison = true;
    write_net(&n, path);
    float *a = alpha_of(path, (vbg_ctx_opt){ .isa = VBG_ISA_BEST }, &count);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(a[i], 0.0f);
    free(a);
    unlink(path);
}

/* Opening path must fail with word in the message. */
static void refused(const char *path, vbg_status want, const char *word)
{
    const vbg_ctx_opt opt = { .isa = VBG_ISA_BEST };
    vbg_segmenter *s = NULL;
    vbg_err err = { "" };
    vbg_status st = vbg_segmenter_open(&s, path, &opt, 0, 0, &err);

    cr_expect_eq(st, want, "status %d: %s", st, err.text);
    cr_expect(strstr(err.text, word), "\"%s\" lacks \"%s\"", err.text, word);
    cr_expect_null(s);
}

Test(segment, wrong_files_are_refused)
{
    net n = little_selfie();
    char path[64];

    refused("/nonexistent/x.vbg", VBG_EIO, "x.vbg");

    n.arch = "taesd";
    write_net(&n, path);
    refused(path, VBG_EUNSUPPORTED, "taesd");
    unlink(path);

    n.arch = "selfie";
    n.width = 50;
    write_net(&n, path);
    refused(path, VBG_EFORMAT, "segmenter.width");
    unlink(path);

    n.width = 64;
    n.layer[2].oc = 3; /* block1.depthwise of another width */
    n.count--;         /* block8.project missing */
    write_net(&n, path);
    refused(path, VBG_EFORMAT, "block1.depthwise");
    refused(path, VBG_EFORMAT, "block8.project");
    unlink(path);
}

Test(segment, every_architecture_names_what_it_lacks)
{
    static const struct {
        const char *arch, *word;
    } archs[] = {
        { "bisenet-noisrucer", "spatial_path.0" },
        { "bisenetv1", "sp.conv1" },
        { "bisenetv2", "detail.S1.0" },
        { "deeplabv3-resnet50", "backbone.conv1" },
        { "deeplabv3-resnet101", "backbone.layer1.0" },
        { "deeplabv3-mobilenetv3", "backbone." },
        { "lraspp-mobilenetv3", "backbone.0.0" },
        { "bodypix-mobilenet", "stride" },
        { "deeplab-tflite", "block0.depthwise" },
    };
    char path[64];

    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        net n = { .arch = archs[i].arch, .width = 64, .height = 64 };
        add(&n, "something", CONV, 4, 4, 1, true);
        write_net(&n, path);
        refused(path, VBG_EFORMAT, archs[i].word);
        unlink(path);
    }
}

/* What zeros in place of weights would say is never shown. */
Test(segment, weights_cut_short_while_in_use)
{
    const net n = little_selfie();
    const vbg_ctx_opt opt = { .isa = VBG_ISA_BEST };
    static float alpha[64 * 64];
    vbg_segmenter *s = NULL;
    vbg_err err = { "" };
    char path[64];
    int w, h;

    vbg_map_guard_install();
    write_net(&n, path);
    cr_assert_eq(vbg_segmenter_open(&s, path, &opt, 0, 0, &err), VBG_OK, "%s", err.text);
    vbg_segmenter_size(s, &w, &h);
    vbg_picture p = test_picture(w, h);
    cr_assert_eq(vbg_segmenter_run(s, &p, alpha, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(truncate(path, 64), 0);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(vbg_segmenter_run(s, &p, alpha, &err), VBG_EIO);
    cr_assert(strstr(err.text, "cut short"), "%s", err.text);
    vbg_picture_free(&p);
    vbg_segmenter_close(s);
    unlink(path);
}

Test(segment, picture_of_another_size)
{
    const net n = little_selfie();
    const vbg_ctx_opt opt = { .isa = VBG_ISA_BEST };
    vbg_segmenter *s = NULL;
    vbg_err err = { "" };
    char path[64];
    float alpha[1];

    write_net(&n, path);
    cr_assert_eq(vbg_segmenter_open(&s, path, &opt, 320, 200, &err), VBG_OK, "%s",
                 err.text);
    vbg_picture p = test_picture(63, 48);
    cr_assert_eq(vbg_segmenter_run(s, &p, alpha, &err), VBG_EUSAGE);
    cr_assert(strstr(err.text, "63x48"));
    vbg_picture_free(&p);
    vbg_segmenter_close(s);
    vbg_segmenter_close(NULL);
    unlink(path);
}
