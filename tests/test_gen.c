/* vbg-gen as a user meets it: the oracle's pictures through convert and generate,
 * same seed same bytes, metadata and replay, and everything that can be wrong. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <glob.h>
#include <jansson.h>

#include "engine/picture_io.h"
#include "tests/program.h"

static char model[256], flat_model[256];

/* Converts the tiny checkpoints once per test process; false without the data. */
static bool have_models(void)
{
    char folder[1200], caa[1200];

    if (!shared_dir())
        return false;
    snprintf(folder, sizeof folder, "%s/golden/checkpoint/tiny_sd2_a", shared_dir());
    snprintf(caa, sizeof caa, "%s/golden/checkpoint/tiny_sd2_mvd_a.safetensors",
             shared_dir());
    snprintf(model, sizeof model, "%s/room.vbg", scratch_dir());
    snprintf(flat_model, sizeof flat_model, "%s/flat.vbg", scratch_dir());
    said s = RUN("vbg-convert", folder, "--dtype", "f32", "--caa", caa, "-o", model);
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = RUN("vbg-convert", folder, "--dtype", "f32", "-o", flat_model);
    cr_assert_eq(s.code, 0, "%s", s.err);
    return true;
}

/* Largest difference and share of differing bytes of two PNGs. */
static void compare_pictures(const char *a, const char *b, int *levels, double *share)
{
    vbg_picture p = { 0 }, q = { 0 };
    vbg_err err = { 0 };
    size_t differ = 0;

    cr_assert_eq(vbg_picture_load(&p, NULL, a, 3, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_picture_load(&q, NULL, b, 3, &err), VBG_OK, "%s", err.text);
    cr_assert(p.w == q.w && p.h == q.h, "%dx%d and %dx%d", p.w, p.h, q.w, q.h);
    *levels = 0;
    for (int y = 0; y < p.h; y++)
        for (int x = 0; x < 3 * p.w; x++) {
            int d = abs(p.data[(size_t)y * p.stride + (size_t)x] -
                        q.data[(size_t)y * q.stride + (size_t)x]);
            *levels = d > *levels ? d : *levels;
            differ += d != 0;
        }
    *share = (double)differ / (3.0 * p.w * p.h);
    vbg_picture_free(&p);
    vbg_picture_free(&q);
}

/* One recorded run of tiny_sd2_expect_SUFFIX through convert and generate. */
static void check_run(const char *dir, const char *suffix, const char *prompt,
                      const char *negative, const char *name, const json_t *run)
{
    char folder[1300], latents[1400], png[1400], steps[16], guidance[32];
    const char *kind = json_string_value(json_object_get(run, "sampler"));
    const char *prediction = json_string_value(json_object_get(run, "prediction_type"));
    const json_t *hw = json_object_get(run, "latent");
    const char *out = in_scratch("flat.png"), *vbg = in_scratch("run.vbg");
    int levels;
    double share;

    snprintf(folder, sizeof folder, "%s/tiny_sd2_%s", dir, suffix);
    snprintf(steps, sizeof steps, "%d",
             (int)json_integer_value(json_object_get(run, "steps")));
    snprintf(guidance, sizeof guidance, "%g",
             json_number_value(json_object_get(run, "guidance")));
    snprintf(latents, sizeof latents,
             "%s/tiny_sd2_expect_%s.safetensors:in.latents.%dx%d", dir, suffix,
             (int)json_integer_value(json_array_get(hw, 0)),
             (int)json_integer_value(json_array_get(hw, 1)));
    snprintf(png, sizeof png, "%s/tiny_sd2_%s_%s.png", dir, suffix, name);
    said s = RUN("vbg-convert", folder, "--dtype", "f32", "--prediction", prediction,
                 "-o", vbg);
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = RUN("vbg-gen", "--flat", "--model", vbg, "--text", prompt, "--negative",
            negative ? negative : "", "--steps", steps, "--guidance", guidance,
            "--sampler", strcmp(kind, "dpmpp") == 0 ? "dpmpp_2m" : kind, "--latents",
            latents, "--precision", "f32", "-o", out);
    cr_assert_eq(s.code, 0, "%s: %s", name, s.err);
    if (access(png, R_OK) != 0)
        return; /* some runs have no picture */
    compare_pictures(out, png, &levels, &share);
    cr_expect(levels <= 1 && share <= 0.003, "%s: %d levels, %g of the bytes", name,
              levels, share);
}

Test(gen, pictures_of_the_oracle, .fini = remove_scratch, .timeout = 120)
{
    char dir[1200], pattern[1300];
    glob_t found;
    const char *name;
    json_t *run;

    if (!shared_dir())
        cr_skip_test("no ../shared");
    snprintf(dir, sizeof dir, "%s/golden/checkpoint", shared_dir());
    snprintf(pattern, sizeof pattern, "%s/tiny_sd2_expect_*.json", dir);
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char suffix[64];
        snprintf(suffix, sizeof suffix, "%.60s", strrchr(found.gl_pathv[i], '_') + 1);
        *strrchr(suffix, '.') = 0;
        json_t *j = json_load_file(found.gl_pathv[i], 0, NULL);
        json_object_foreach(json_object_get(j, "runs"), name, run) check_run(
            dir, suffix, json_string_value(json_object_get(j, "prompt")),
            json_string_value(json_object_get(j, "negative_prompt")), name, run);
        json_decref(j);
    }
    globfree(&found);
}

Test(gen, same_seed_same_bytes_and_replay, .fini = remove_scratch, .timeout = 120)
{
    if (!have_models())
        cr_skip_test("no ../shared");
    const char *a = in_scratch("a.png"), *b = in_scratch("b.png"),
               *c = in_scratch("c.png");
    said s =
        RUN("vbg-gen", "--model", model, "--text", "a room, with <a> \"door\"", "--steps",
            "2", "--view-size", "64", "--size", "256x128", "--threads", "1", "-o", a);
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = RUN("vbg-gen", "--model", model, "--text", "a room, with <a> \"door\"", "--steps",
            "2", "--view-size", "64", "--size", "256x128", "--threads", "2", "-o", b);
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_expect(same_bytes(a, b), "one and two threads differ");
    s = RUN("vbg-gen", "--model", model, "--replay", a, "-o", c);
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_expect(same_bytes(a, c), "the replay differs");
    s = RUN("vbg-gen", "--info", a);
    cr_expect(strstr(s.out, "a room, with <a> \"door\"\nSteps: 2, Sampler:"), "%s",
              s.out);
    const char *page = in_scratch("a.html");
    s = RUN("vbg-gen", "view", a, "-o", page);
    cr_expect_eq(s.code, 0, "%s", s.err);
    s = RUN("vbg-gen", "--model", model, "--text", "other", "--seed", "7", "--steps", "2",
            "--view-size", "64", "--size", "256x128", "-o", b, "--views",
            in_scratch("views"), "--dump", in_scratch("d.safetensors"));
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_expect_not(same_bytes(a, b));
    cr_expect_eq(access(in_scratch("views/7.png"), R_OK), 0);
    s = RUN("vbg-gen", "stitch", in_scratch("views"), "--size", "256x128", "-o", c);
    cr_expect_eq(s.code, 0, "%s", s.err);
    int levels;
    double share;
    compare_pictures(b, c, &levels, &share);
    cr_expect_eq(levels, 0, "stitching the written views gives another panorama");
}

/* One line, the right code, no output. */
static void refused(said s, int code, const char *says, const char *out)
{
    cr_expect_eq(s.code, code, "code %d, not %d: %s", s.code, code, s.err);
    cr_expect_eq(s.err_lines, 1, "%s", s.err);
    cr_expect(strstr(s.err, says), "'%s' is not in: %s", says, s.err);
    for (const char *p = s.err; *p; p++)
        cr_expect((unsigned char)*p >= 0x20 || *p == '\n', "control character");
    if (out)
        cr_expect_neq(access(out, F_OK), 0, "%s was written", out);
}

Test(gen, wrong_usage, .fini = remove_scratch)
{
    const char *out = in_scratch("x.png");

    refused(RUN("vbg-gen", "-o", out), 2, "--text", out);
    refused(RUN("vbg-gen", "--text", "a"), 2, "-o FILE", NULL);
    refused(RUN("vbg-gen", "--text", "a", "-o", "x.gif"), 2, ".png or .jpg", "x.gif");
    refused(RUN("vbg-gen", "--text", "a", "--view-prompts", "f", "-o", out), 2, "exclude",
            out);
    refused(RUN("vbg-gen", "--text", " \n ", "-o", out), 2, "empty", out);
    refused(RUN("vbg-gen", "--text", "a\xff", "-o", out), 2, "byte 1", out);
    refused(RUN("vbg-gen", "--text", "(a:1e999)", "-o", out), 2, "weight", out);
    refused(RUN("vbg-gen", "--text", "a", "--view-size", "65", "-o", out), 2,
            "multiple of 8", out);
    refused(RUN("vbg-gen", "--text", "a", "--size", "255x128", "-o", out), 2, "even",
            out);
    refused(RUN("vbg-gen", "--text", "a", "--model", "/nonexistent.vbg", "-o", out), 1,
            "/nonexistent.vbg", out);
    refused(RUN("vbg-gen", "--text", "a", "-o", "/nonexistent/x.png"), 1, "/nonexistent",
            NULL);
    refused(RUN("vbg-gen", "--text", "a", "--flat", "--html", "x.html", "-o", out), 2,
            "--html", out);
    refused(RUN("vbg-gen", "draw", "-o", out), 2, "unknown command", out);
    refused(RUN("vbg-gen", "stitch", scratch_dir(), "-o", out), 1, "holds 0 views", out);
    refused(RUN("vbg-gen", "--info", "/nonexistent.png"), 1, "/nonexistent.png", NULL);
}

Test(gen, wrong_models, .fini = remove_scratch, .timeout = 60)
{
    const char *out = in_scratch("x.png"), *cut = in_scratch("cut.vbg");
    char selfie[1200];

    if (!have_models())
        cr_skip_test("no ../shared");
    size_t n;
    unsigned char *data = slurp(flat_model, &n);
    FILE *f = fopen(cut, "wb");
    cr_assert(data && f && fwrite(data, 1, n / 2, f) == n / 2);
    fclose(f);
    free(data);
    refused(RUN("vbg-gen", "--text", "a", "--model", cut, "-o", out), 1, "cut.vbg", out);
    refused(RUN("vbg-gen", "--text", "a", "--model", flat_model, "-o", out), 2,
            "flat picture", out);
    snprintf(
        selfie, sizeof selfie,
        "%s/data/weights/selfiesegmentation_mlkit-256x256-2021_01_19-v1215.f16.tflite",
        shared_dir());
    refused(RUN("vbg-gen", "--text", "a", "--model", selfie, "-o", out), 1, "selfie",
            out);
    cr_expect_eq(RUN("vbg-convert", selfie, "-o", in_scratch("p.vbg")).code, 0);
    refused(RUN("vbg-gen", "--text", "a", "--model", in_scratch("p.vbg"), "-o", out), 1,
            "p.vbg", out);
}

Test(gen, prompts_of_the_malformed_set, .fini = remove_scratch, .timeout = 120)
{
    char path[1300];
    const char *name;
    json_t *item;

    if (!have_models())
        cr_skip_test("no ../shared");
    snprintf(path, sizeof path, "%s/golden/malformed_media/index.json", shared_dir());
    json_t *j = json_load_file(path, 0, NULL);
    json_object_foreach(json_object_get(j, "cases"), name, item)
    {
        const char *verdict = json_string_value(json_object_get(item, "verdict"));
        if (strncmp(name, "prompt/", 7) != 0)
            continue;
        snprintf(path, sizeof path, "%s/golden/malformed_media/%s", shared_dir(), name);
        const char *out = in_scratch("x.png");
        bool views = strstr(name, "views_") != NULL;
        said s = RUN("vbg-gen", views ? "--view-prompts" : "--text-file", path, "--model",
                     model, "--steps", "1", "--guidance", "1", "--view-size", "64",
                     "--size", "128x64", "-o", out);
        for (const char *p = s.err; *p; p++)
            cr_expect((unsigned char)*p >= 0x20 || *p == '\n', "%s: raw control", name);
        if (strcmp(verdict, "accept") == 0)
            cr_expect_eq(s.code, 0, "%s: %s", name, s.err);
        if (strcmp(verdict, "reject") == 0)
            refused(s, s.code == 2 ? 2 : 1, "", out);
        cr_expect(s.code >= 0 && s.code <= 2, "%s: code %d", name, s.code);
        unlink(out);
    }
    json_decref(j);
}
