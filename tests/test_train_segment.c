/* vbg-train segment as a user runs it: little networks on little pictures, repeated and
 * continued bit for bit, the recipe's configuration, new networks in every layout. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights.h"
#include "models/segmenter.h"
#include "models/segnet.h"
#include "tests/malformed.h"
#include "tests/portraits.h"
#include "tools/train/segment_new.h"

TestSuite(segment, .fini = remove_scratch, .timeout = 600);

/* The last value of a key in the training's log. */
static double last_logged(const char *out, const char *key)
{
    size_t bytes;
    char path[128], quoted[64];
    double v = NAN;

    snprintf(path, sizeof path, "%s/log.jsonl", out);
    unsigned char *text = slurp(in_scratch(path), &bytes);
    cr_assert(text, "no %s", path);
    text = realloc(text, bytes + 1);
    text[bytes] = 0;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    for (const char *at = (char *)text; (at = strstr(at, quoted)); at++)
        v = atof(at + strlen(quoted));
    free(text);
    return v;
}

/* argv of a training of six portraits at 64x64; further options follow. */
#define TRAIN(out, ...)                                                                  \
    RUN("vbg-train", "segment", "--data", in_scratch("people"), "--val-data",            \
        in_scratch("people"), "--size", "64x64", "--batch", "3", "--out",                \
        in_scratch(out), "--log-every", "5", "--sample-every", "1000", __VA_ARGS__)

Test(segment, a_network_learns_its_portraits_and_is_used)
{
    vbg_segmenter *s;
    int w, h;

    write_people("people", 6);
    const said r =
        TRAIN("fit", "--arch", "selfie", "--augment", "none", "--steps", "90", "--lr",
              "0.01", "--weight-decay", "0", "--precision", "f32", "--store", "f32");
    cr_assert_eq(r.code, 0, "%s", r.err);
    cr_assert_gt(last_logged("fit", "val/iou_person"), 0.97);
    cr_assert_gt(last_logged("fit", "val/miou"), 0.97);
    cr_assert_gt(last_logged("fit", "val/boundary_f"), 0.8);

    /* the result is a segmenter like any other */
    cr_assert_eq(vbg_segmenter_open(&s, in_scratch("fit/model.vbg"),
                                    &(vbg_ctx_opt){ .threads = 1, .isa = VBG_ISA_BEST },
                                    64, 64, NULL),
                 VBG_OK);
    vbg_segmenter_size(s, &w, &h);
    cr_assert(w == 64 && h == 64);
    vbg_segmenter_close(s);
}

static void run_selfie(const char *out, const char *loaders, const char *threads)
{
    const said r = TRAIN(out, "--arch", "selfie", "--width", "0.5", "--steps", "6",
                         "--lr", "0.01", "--loaders", loaders, "--threads", threads);
    cr_assert_eq(r.code, 0, "%s", r.err);
}

static bool same_results(const char *a, const char *b, const char *name)
{
    char x[128], y[128];

    snprintf(x, sizeof x, "%s/%s", a, name);
    snprintf(y, sizeof y, "%s/%s", b, name);
    return same_bytes(in_scratch(x), in_scratch(y));
}

Test(segment, threads_and_loaders_change_nothing)
{
    write_people("people", 6);
    run_selfie("one", "1", "1");
    run_selfie("two", "3", "2");
    cr_assert(same_results("one", "two", "model.vbg"));
    cr_assert(same_results("one", "two", "last.vbg"));
}

Test(segment, a_continued_training_repeats_an_undisturbed_one)
{
    write_people("people", 6);
    for (int part = 0; part < 3; part++) {
        const said r =
            TRAIN(part ? "parts" : "whole", "--arch", "selfie", "--width", "0.5",
                  "--schedule", "constant", "--ema", "0.9", "--val-every", "2", "--steps",
                  part == 1 ? "4" : "9", part ? "--resume" : "--fresh");
        cr_assert_eq(r.code, 0, "%s", r.err);
    }
    cr_assert(same_results("whole", "parts", "model.vbg"));
    cr_assert(same_results("whole", "parts", "last.vbg"));
}

Test(segment, begins_with_a_file_and_a_teacher)
{
    write_people("people", 6);
    said r = TRAIN("a", "--arch", "bisenetv1", "--width", "0.125", "--head", "8",
                   "--steps", "2", "--store", "f32");
    cr_assert_eq(r.code, 0, "%s", r.err);
    r = TRAIN("b", "--model", in_scratch("a/model.vbg"), "--teacher",
              in_scratch("a/model.vbg"), "--freeze-norms", "--steps", "2", "--lr", "0",
              "--weight-decay", "0", "--store", "f32");
    cr_assert_eq(r.code, 0, "%s", r.err);
    cr_assert(same_results("a", "b", "model.vbg"), "rate 0 and frozen norms");
    r = TRAIN("c", "--model", in_scratch("a/model.vbg"), "--size", "72x64");
    cr_assert_eq(r.code, 2, "%s", r.err);
    cr_assert(strstr(r.err, "multiples of 32"), "%s", r.err);
    r = RUN("vbg-train", "segment", "--data", in_scratch("nothing"), "--out",
            in_scratch("d"));
    cr_assert_eq(r.code, 1, "%s", r.err);
    cr_assert_eq(r.err_lines, 1, "%s", r.err);
}

#ifdef VBG_HAVE_LIBCSV
/* The JSON cases: refused with a line, or read (a sheet of samples is made). */
static void check_config(const char *name, const json_t *j)
{
    const char *verdict = json_string_value(json_object_get(j, "verdict"));
    char config[1200], data[1200];

    snprintf(config, sizeof config, "%s/golden/malformed_media/%s", shared_dir(), name);
    snprintf(data, sizeof data, "%s/golden/malformed_media/csv/ok_plain.csv",
             shared_dir());
    const said r =
        RUN("vbg-train", "segment", "--config", config, "--data", data, "--val", "0",
            "--size", "32x32", "--preview", in_scratch("sheet.png"));
    if (strcmp(verdict, "reject") == 0) {
        cr_assert(r.code == 1 || r.code == 2, "%s: exit %d", name, r.code);
        cr_assert_eq(r.err_lines, 1, "%s: %s", name, r.err);
        cr_assert_neq(access(in_scratch("sheet.png"), F_OK), 0, "%s", name);
    } else if (strcmp(verdict, "accept") == 0) {
        cr_assert_eq(r.code, 0, "%s: %s", name, r.err);
        cr_assert_eq(unlink(in_scratch("sheet.png")), 0);
    } else {
        unlink(in_scratch("sheet.png"));
    }
}

Test(segment, configurations_of_the_malformed_set)
{
    if (!shared_dir())
        cr_skip_test("no oracles at hand");
    cr_assert_gt(each_malformed("json/", "json/", check_config), 35);
}

/* A whole run by configuration, the command line winning. */
Test(segment, the_recipe_from_its_configuration)
{
    static const char text[] =
        "{\"project_name\":\"p\",\"device\":\"cuda:0\",\"n_gpu\":1,\"run_id\":\"v1\","
        "\"n_class\":2,\"model\":{\"type\":\"BiSeNet\",\"args\":{\"in_channels\":3,"
        "\"num_classes\":1,\"training\":true}},\"data_loaders\":{\"type\":\"D\",\"args\":"
        "{"
        "\"csv_path\":\"t.csv\",\"batch_size\":4,\"shuffle\":true,\"num_workers\":2}},"
        "\"optimizer\":{\"type\":\"Adam\",\"args\":{\"lr\":0.002,\"weight_decay\":1e-05,"
        "\"amsgrad\":true}},\"loss\":\"dice_bce\",\"metrics\":[\"iou\"],\"lr_scheduler\":"
        "{"
        "\"type\":\"StepLR\",\"args\":{\"step_size\":100,\"gamma\":0.3}},\"trainer\":{"
        "\"epochs\":7,\"save_dir\":\"saved/\",\"save_period\":1,\"verbosity\":2}}";
    FILE *f;
    char log[128];
    size_t bytes;

    write_people("people", 6);
    f = fopen(in_scratch("t.csv"), "w");
    fprintf(f, "img_path,matting_path\n");
    for (int i = 0; i < 6; i++)
        fprintf(f, "people/%d.png,people/%d.mask.png\n", i, i);
    fclose(f);
    f = fopen(in_scratch("c.json"), "w");
    fputs(text, f);
    fclose(f);
    const said r = RUN("vbg-train", "segment", "-c", in_scratch("c.json"), "--out",
                       in_scratch("run"), "--size", "64x64", "--width", "0.125",
                       "--batch", "2", "--epochs", "1", "--log-every", "1");
    cr_assert_eq(r.code, 0, "%s", r.err);
    snprintf(log, sizeof log, "run/log.jsonl");
    unsigned char *said_text = slurp(in_scratch(log), &bytes);
    cr_assert(said_text && bytes > 100);
    said_text[bytes - 1] = 0;
    cr_assert(strstr((char *)said_text, "\"lr\":\"0.002"), "rate of the configuration");
    cr_assert(strstr((char *)said_text, "\"optimizer\":\"amsgrad\""));
    cr_assert(strstr((char *)said_text, "\"batch\":\"2\""), "the command line wins");
    cr_assert(strstr((char *)said_text, "\"arch\":\"bisenet-noisrucer\""));
    free(said_text);
}
#endif

/* ---- new networks and exports ---- */

static void make_new(const vbg_segment_shape *shape, const char *path)
{
    vbg_weights *w;
    vbg_params *p;
    vbg_segnet *net;
    vbg_err err = { "" };

    cr_assert_eq(vbg_segment_new(&w, shape, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_params_new(&p, VBG_F32, NULL), VBG_OK);
    vbg_params_select(p, "segmenter", "*", true);
    vbg_params_attach(p, w);
    cr_assert_eq(vbg_segnet_open(&net, w, "new", &err), VBG_OK, "%s", err.text);
    vbg_segment_init(p, 3);
    for (size_t i = 0; i < vbg_weights_count(w); i++)
        cr_assert(vbg_params_take(p, vbg_weights_at(w, i), NULL, VBG_INIT_ZERO, 0));
    cr_assert_eq(vbg_segment_write(path, w, p, VBG_F32, false, "n", &err), VBG_OK, "%s",
                 err.text);
    vbg_segnet_close(net);
    vbg_params_free(p);
    vbg_weights_close(w);
}

/* Every tensor that b has is bit for bit that of a. */
static size_t compare_files(const char *a, const char *b)
{
    vbg_weights *x, *y;
    size_t same = 0;

    cr_assert_eq(vbg_weights_open(&x, a, NULL), VBG_OK);
    cr_assert_eq(vbg_weights_open(&y, b, NULL), VBG_OK);
    for (size_t i = 0; i < vbg_weights_count(y); i++) {
        const vbg_entry *e = vbg_weights_at(y, i);
        const vbg_entry *f = vbg_weights_find(x, e->component, e->name);
        cr_assert(f && f->bytes == e->bytes && f->layout == e->layout &&
                      memcmp(f->data, e->data, e->bytes) == 0,
                  "%s", e->name);
        same++;
    }
    vbg_weights_close(x);
    vbg_weights_close(y);
    return same;
}

/* To safetensors and back; *names gets what is inside. */
static size_t there_and_back(const char *vbg, const char *layout)
{
    said r =
        RUN("vbg-convert", vbg, "-o", in_scratch("x.safetensors"), "--layout", layout);
    cr_assert_eq(r.code, 0, "%s", r.err);
    r = RUN("vbg-convert", in_scratch("x.safetensors"), "-o", in_scratch("x.vbg"),
            "--dtype", "f32", "--skip-unknown");
    cr_assert_eq(r.code, 0, "%s", r.err);
    return compare_files(vbg, in_scratch("x.vbg"));
}

Test(segment, exports_come_back_bit_for_bit)
{
    static const struct {
        const char *arch, *layout;
    } cases[] = { { "bisenet-noisrucer", "noisrucer" },
                  { "bisenetv1", "coincheung" },
                  { "bisenetv2", "coincheung" } };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const vbg_segment_shape shape = {
            .arch = cases[i].arch, .width = 0.25, .classes = 1, .w = 64, .h = 64
        };
        make_new(&shape, in_scratch("n.vbg"));
        const size_t n = there_and_back(in_scratch("n.vbg"), cases[i].layout);
        cr_assert_gt(n, 100, "%s: %zu", cases[i].arch, n);
    }
    said r = RUN("vbg-convert", in_scratch("n.vbg"), "-o", in_scratch("y.safetensors"),
                 "--layout", "caa");
    cr_assert_eq(r.code, 2, "%s", r.err);
}
