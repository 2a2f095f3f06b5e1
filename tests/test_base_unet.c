/* vbg-train base text+unet: regions and depths beside panoramas, turns, the head that
 * only training has, a start from a package, and a second stage at another size. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <math.h>

#include "convert/safetensors.h"
#include "engine/weights.h"
#include "tests/little_rooms.h"
#include "tools/train/base_unet.h"

#define TRAIN(out, size, ...)                                                            \
    RUN("vbg-train", "base", "text+unet", "-d", in_scratch("data"), "--vae",             \
        in_scratch("vae/model.vbg"), "-o", out, "--size", size, "--mirror", "-b", "4",   \
        "--warmup", "1", "--schedule", "constant", "-t", "1", __VA_ARGS__)
#define CONFIG "--config", in_scratch("unet.json")
/* What a continued training must find again: Muon's momentum, a second average. */
#define KEPT "--optimizer", "muon", "--ema2", "0.5"

static vbg_weights *opened(const char *path)
{
    vbg_weights *w = NULL;
    vbg_err err = { 0 };

    cr_assert(vbg_weights_open(&w, path, &err) == VBG_OK, "%s", err.text);
    return w;
}

static bool same(const char *a, const char *b)
{
    char line[600];

    snprintf(line, sizeof line, "cmp -s %s %s", a, b);
    return system(line) == 0;
}

/* ---- weights of times ---- */

/* Where nothing of the picture is left the weight is not 0 (the first sampling step would
 * never be learned); elsewhere min(SNR, gamma) / (SNR + 1). */
Test(base_unet, weights_of_times)
{
    cr_assert_float_eq(vbg_base_weight(VBG_PREDICT_V, 0, 5), 0.2, 1e-12);
    cr_assert_float_eq(vbg_base_weight(VBG_PREDICT_V, 0.5, 5), 0.5, 1e-12);
    cr_assert_float_eq(vbg_base_weight(VBG_PREDICT_V, 0.9, 5), 0.5, 1e-12);
    cr_assert_float_eq(vbg_base_weight(VBG_PREDICT_EPSILON, 0, 5), 1, 1e-12);
    cr_assert_float_eq(vbg_base_weight(VBG_PREDICT_EPSILON, 0.9, 5), 5. / 9, 1e-12);
    cr_assert_eq(vbg_base_weight(VBG_PREDICT_V, 0, 0), 1);
}

/* ---- regions and depths ---- */

Test(base_unet, truth_of_views, .fini = remove_scratch)
{
    uint8_t label[64];
    float depth[64];
    vbg_truth t;
    vbg_err err = { 0 };

    write_truth(scratch_dir(), 0);
    cr_assert(vbg_truth_there(in_scratch("q0.png")));
    cr_assert(vbg_truth_load(&t, in_scratch("q0.png"), &err) == VBG_OK, "%s", err.text);
    cr_assert(t.w == W && t.h == H);
    cr_assert_eq(t.depth[(H - 1) * W + 5 * REGION], 3000);
    /* a view at yaw y shows the 90 degrees around column W/2 + y W / 360 */
    for (int yaw = 0; yaw < 360; yaw += 45) {
        vbg_truth_view(&t, yaw, 8, label, depth);
        const int left = (yaw / 45 + 3) % 8, right = (left + 1) % 8;
        cr_assert_eq(label[4 * 8 + 3], left, "yaw %d: %d", yaw, label[4 * 8 + 3]);
        cr_assert_eq(label[4 * 8 + 4], right);
        cr_assert_float_eq(depth[7 * 8 + 3], log(0.5 * (left + 1)), 1e-2);
        cr_assert(label[3] == VBG_TRUTH_NONE && isnan(depth[3])); /* the sky */
    }
    vbg_truth_middle(&t, 4, label, depth); /* columns 64..191 */
    cr_assert(label[8] == 2 && label[9] == 3 && label[11] == 5);
    vbg_truth_free(&t);
    write_text(in_scratch("q0.depth.png"), "no picture");
    cr_assert(vbg_truth_load(&t, in_scratch("q0.png"), &err) == VBG_EFORMAT);
    unlink(in_scratch("q0.depth.png"));
    cr_assert(!vbg_truth_there(in_scratch("q0.png")));
}

/* Between two views the caption is that of the nearer one, half way of the even one. */
Test(base_unet, turns_of_panoramas, .fini = remove_scratch)
{
    vbg_samples s;
    vbg_picture a, b;
    vbg_err err = { 0 };

    write_panorama(scratch_dir(), 0);
    cr_assert(vbg_samples_open(&s, scratch_dir(), &(vbg_samples_opt){ .starts = 2 },
                               &err) == VBG_OK,
              "%s", err.text);
    cr_assert_eq(vbg_samples_count(&s), 16);
    cr_assert_eq(vbg_samples_a_scene(&s), 16);
    cr_assert_str_eq(vbg_samples_text(&s, 7), "h");
    cr_assert_str_eq(vbg_samples_text(&s, 8), "a"); /* 22.5 degrees */
    cr_assert_str_eq(vbg_samples_text(&s, 9), "c"); /* 67.5 */
    cr_assert_str_eq(vbg_samples_text(&s, 15), "a");
    cr_assert(vbg_samples_picture(&s, 0, 64, &a, &err), "%s", err.text);
    cr_assert(vbg_samples_picture(&s, 8, 64, &b, &err), "%s", err.text);
    /* yaw 22.5 looks at the middle of the region that yaw 0 has right of its middle */
    cr_assert(abs(a.data[40 * a.stride + 3 * 40] - b.data[40 * b.stride + 3 * 32]) <= 1);
    cr_assert(b.data[40 * b.stride + 3 * 20] == b.data[40 * b.stride + 3 * 43]);
    vbg_picture_free(&a);
    vbg_picture_free(&b);
    cr_assert(!vbg_samples_has_truth(&s, 0));
    vbg_samples_close(&s);
}

/* ---- training ---- */

static bool logged(const char *dir, const char *what)
{
    char path[400], line[4096];
    bool found = false;

    snprintf(path, sizeof path, "%s/log.jsonl", dir);
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s", path);
    while (fgets(line, sizeof line, f))
        found = found || strstr(line, what);
    fclose(f);
    return found;
}

/* The head is in checkpoints and never in packages; continued, the bytes are the same. */
Test(base_unet, regions_help_and_are_not_exported, .fini = remove_scratch)
{
    vbg_err err = { 0 };

    make_data();
    said s = TRAIN(in_scratch("whole"), "64", CONFIG, KEPT, "--steps", "6");
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(access(in_scratch("whole/model-ema2.vbg"), R_OK) == 0);
    cr_assert(!same(in_scratch("whole/model.vbg"), in_scratch("whole/model-ema2.vbg")));
    cr_assert(logged(in_scratch("whole"), "\"regions\""));
    cr_assert(logged(in_scratch("whole"), "\"val/depth\""));
    vbg_weights *w = opened(in_scratch("whole/model.vbg"));
    cr_assert(!vbg_weights_has_component(w, "aux"));
    cr_assert(!vbg_weights_has_component(w, "texthead"));
    vbg_weights_close(w);
    w = opened(in_scratch("whole/last.vbg"));
    cr_assert(vbg_weights_has_component(w, "aux"));
    cr_assert(vbg_weights_has_component(w, "texthead"));
    vbg_weights_close(w);
    w = opened(in_scratch("whole/latents-64.vbg"));
    const vbg_entry *e = vbg_weights_find(w, "latents", "00000");
    cr_assert(e && e->dim[0] == 2 * 2 * 8 * PANOS && e->dim[1] == 16,
              "two turns, mirrored");
    cr_assert(vbg_weights_verify(w, &err) == VBG_OK);
    vbg_weights_close(w);

    s = TRAIN(in_scratch("part"), "64", CONFIG, KEPT, "--steps", "3");
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = TRAIN(in_scratch("part"), "64", CONFIG, KEPT, "--steps", "6", "--resume");
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(same(in_scratch("part/model.vbg"), in_scratch("whole/model.vbg")));

    s = TRAIN(in_scratch("none"), "64", CONFIG, "--steps", "2", "--aux", "0");
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(!logged(in_scratch("none"), "\"regions\""));
}

/* What diffusers makes as convolutions has rank 4 in what it loads. */
static void check_export(const char *model)
{
    static const char *const file[] = { "unet/diffusion_pytorch_model.safetensors",
                                        "vae/diffusion_pytorch_model.safetensors" };
    vbg_err err = { 0 };
    size_t found = 0;

    const said s = RUN("vbg-convert", model, "-o", in_scratch("folder"));
    cr_assert_eq(s.code, 0, "%s", s.err);
    for (int i = 0; i < 2; i++) {
        vbg_safetensors *f;
        char path[300];
        snprintf(path, sizeof path, "%s/%s", in_scratch("folder"), file[i]);
        cr_assert(vbg_st_open(&f, path, &err) == VBG_OK, "%s", err.text);
        for (size_t k = 0; k < vbg_st_count(f); k++) {
            const vbg_st_tensor *t = vbg_st_at(f, k);
            if (strstr(t->name, "proj_in.weight"))
                cr_assert_eq(t->rank, 2, "use_linear_projection");
            if (!strstr(t->name, "conv_shortcut.weight") &&
                !strstr(t->name, "quant_conv.weight"))
                continue;
            cr_assert(t->rank == 4 && t->dim[2] == 1 && t->dim[3] == 1, "%s", t->name);
            found++;
        }
        vbg_st_close(f);
    }
    cr_assert_gt(found, 6);
}

/* 64 pixels first, then 128 from that state; a package to go on from; what is wrong. */
Test(base_unet, stages, .fini = remove_scratch)
{
    make_data();
    said s = TRAIN(in_scratch("small"), "64", CONFIG, "--steps", "3", "--turns", "1");
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = TRAIN(in_scratch("large"), "128", CONFIG, "--steps", "5", "--from",
              in_scratch("small/last.vbg"));
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(strstr(s.err, "going on from step 3"), "%s", s.err);
    s = TRAIN(in_scratch("small"), "128", CONFIG, "--steps", "4", "--resume");
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(access(in_scratch("small/latents-64.vbg"), R_OK) == 0);
    cr_assert(access(in_scratch("small/latents-128.vbg"), R_OK) == 0);

    s = RUN("vbg-train", "base", "text+unet", "-d", in_scratch("data"), "-m",
            in_scratch("large/model.vbg"), "-o", in_scratch("on"), "--size", "128", "-b",
            "4", "--steps", "1", "--lr", "0", "--ema", "0", "-t", "1");
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(same(in_scratch("on/model.vbg"), in_scratch("large/model.vbg")),
              "a step of length 0 leaves the package as it was");
    check_export(in_scratch("large/model.vbg"));
    s = RUN("vbg-train", "base", "text+unet", "-d", in_scratch("data"), "-m",
            in_scratch("large/model.vbg"), "-o", in_scratch("b"), CONFIG);
    cr_assert(s.code == 2 && strstr(s.err, "--model brings"), "%s", s.err);
    s = RUN("vbg-train", "base", "text+unet", "-d", in_scratch("data"), "-m",
            in_scratch("vae/model.vbg"), "-o", in_scratch("c"));
    cr_assert(s.code == 1 && strstr(s.err, "no package with"), "%s", s.err);
}
