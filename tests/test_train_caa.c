/* vbg-train caa on a tiny package and the sample panoramas: only the blocks change, the
 * loss falls, what is kept on disk changes nothing, a continued training is the same as
 * an undisturbed one, the result makes panoramas, and what can be wrong. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include "engine/weights.h"
#include "tests/program.h"

static char model[256], data[256];

static void link_panorama(const char *name, const char *caption)
{
    char from[1200], to[600];

    snprintf(from, sizeof from, "%s/data/pano/%s.jpg", shared_dir(), name);
    snprintf(to, sizeof to, "%s/%s.jpg", data, name);
    char *whole = realpath(from, NULL);
    cr_assert(whole && symlink(whole, to) == 0, "%s", from);
    free(whole);
    snprintf(to, sizeof to, "%s/%s.txt", data, name);
    FILE *f = fopen(to, "w");
    cr_assert(f && fputs(caption, f) >= 0 && fclose(f) == 0);
}

/* The tiny package and two panoramas; false without the data. */
static bool have_all(void)
{
    char folder[1200];

    if (!shared_dir())
        return false;
    snprintf(folder, sizeof folder, "%s/golden/checkpoint/tiny_sd2_a", shared_dir());
    snprintf(model, sizeof model, "%s/base.vbg", scratch_dir());
    snprintf(data, sizeof data, "%s/panos", scratch_dir());
    said s = RUN("vbg-convert", folder, "-o", model);
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert_eq(mkdir(data, 0700), 0);
    link_panorama("hall", "a hall with stairs");
    link_panorama("apartment",
                  "whole\na window\na sofa\na wall\na door\na lamp\na table\n"
                  "a chair\na shelf\n");
    return true;
}

static vbg_weights *opened(const char *dir)
{
    char path[600];
    vbg_weights *w = NULL;
    vbg_err err = { { 0 } };

    snprintf(path, sizeof path, "%s/model.vbg", dir);
    cr_assert_eq(vbg_weights_open(&w, path, &err), VBG_OK, "%s", err.text);
    return w;
}

/* Whether all tensors of both files are the same, those of caa apart. */
static void compare(const vbg_weights *a, const vbg_weights *b, bool caa_too)
{
    size_t compared = 0;

    for (size_t i = 0; i < vbg_weights_count(a); i++) {
        const vbg_entry *x = vbg_weights_at(a, i);
        if (strcmp(x->component, "caa") == 0 && !caa_too)
            continue;
        const vbg_entry *y = vbg_weights_find(b, x->component, x->name);
        cr_assert(y && y->bytes == x->bytes, "%s/%s", x->component, x->name);
        cr_assert(memcmp(x->data, y->data, x->bytes) == 0, "%s/%s differs", x->component,
                  x->name);
        compared++;
    }
    cr_assert(compared > 100);
}

#define TRAIN(out, ...)                                                                  \
    RUN("vbg-train", "caa", "-m", model, "-d", data, "-o", out, "--caa-max-freq",        \
        "4096", "--threads", "1", "--schedule", "constant", __VA_ARGS__)

/* Loss of the first and the last step in DIR/log.jsonl. */
static void losses(const char *dir, double *first, double *last)
{
    char path[600], line[4096];

    snprintf(path, sizeof path, "%s/log.jsonl", dir);
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s", path);
    *first = *last = -1;
    while (fgets(line, sizeof line, f)) {
        const char *at = strstr(line, "\"loss\":");
        if (!at || !strstr(line, "\"step\""))
            continue;
        *last = strtod(at + 7, NULL);
        *first = *first < 0 ? *last : *first;
    }
    fclose(f);
    cr_assert(*first > 0 && *last > 0);
}

Test(train_caa, learns_only_the_blocks, .fini = remove_scratch)
{
    vbg_err err = { { 0 } };
    vbg_weights *base = NULL;
    double first, last;
    char path[600];

    if (!have_all())
        return;
    said s = TRAIN(in_scratch("a"), "--steps", "40", "--lr", "0.006", "--log-every", "10",
                   "--precision", "f32");
    cr_assert_eq(s.code, 0, "%s", s.err);
    losses(in_scratch("a"), &first, &last);
    cr_assert(last < first, "loss %g, then %g", first, last);
    vbg_weights *got = opened(in_scratch("a"));
    cr_assert_eq(vbg_weights_open(&base, model, &err), VBG_OK);
    compare(base, got, false);
    const vbg_entry *bands = vbg_weights_find(got, "caa", "cp_blocks_mid.pe.freq_bands");
    cr_assert(bands && bands->rank == 3);
    for (int64_t i = 0; i < bands->dim[2]; i++)
        cr_assert(((const float *)bands->data)[i] <= 4096);
    vbg_weights_close(base);
    vbg_weights_close(got);
    snprintf(path, sizeof path, "%s/model.vbg", in_scratch("a"));
    s = RUN("vbg-gen", "-m", path, "--text", "a room", "--steps", "1", "-o",
            in_scratch("room.png"), "--threads", "1");
    cr_assert_eq(s.code, 0, "%s", s.err);
}

Test(train_caa, continued_and_cached_trainings_are_the_same, .fini = remove_scratch)
{
    char command[600];

    if (!have_all())
        return;
    said s = TRAIN(in_scratch("a"), "--steps", "6", "--save-every", "3",
                   "--prompt-dropout", "0.3");
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = TRAIN(in_scratch("b"), "--steps", "3", "--prompt-dropout", "0.3", "--save-every",
              "3");
    cr_assert_eq(s.code, 0, "%s", s.err);
    snprintf(command, sizeof command, "rm -f %s/latents/*[0-7].moments", in_scratch("b"));
    cr_assert_eq(system(command), 0); /* some must be made again */
    s = TRAIN(in_scratch("b"), "--steps", "6", "--prompt-dropout", "0.3", "--save-every",
              "3", "--resume");
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = TRAIN(in_scratch("c"), "--steps", "6", "--prompt-dropout", "0.3",
              "--keep-activations", "--save-every", "3");
    cr_assert_eq(s.code, 0, "%s", s.err);
    vbg_weights *a = opened(in_scratch("a")), *b = opened(in_scratch("b"));
    vbg_weights *c = opened(in_scratch("c"));
    compare(a, b, true);
    compare(a, c, true); /* blocks computed twice, or not */
    vbg_weights_close(a);
    vbg_weights_close(b);
    vbg_weights_close(c);
}

/* Pictures of the held-out panorama; the package itself is written at the end. */
Test(train_caa, shows_what_it_can, .fini = remove_scratch)
{
    if (!have_all())
        return;
    said s = TRAIN(in_scratch("a"), "--steps", "3", "--sample-every", "2", "--val-share",
                   "0.5", "--sample-steps", "2", "--save-every", "1");
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(access(in_scratch("a/samples/0000002.png"), R_OK) == 0);
    cr_assert(access(in_scratch("a/samples/0000003.png"), R_OK) == 0);
    cr_assert(access(in_scratch("a/samples/0000002.png.vbg"), R_OK) != 0);
    cr_assert(access(in_scratch("a/model.vbg"), R_OK) == 0);
    cr_assert(!strstr(s.err, "no samples"), "%s", s.err);
}

/* What Python loads is what the package holds: converted back, the same bytes. */
Test(train_caa, blocks_under_their_other_names, .fini = remove_scratch)
{
    char folder[1200];
    vbg_err err = { { 0 } };
    vbg_weights *back = NULL;

    if (!have_all())
        return;
    said s = TRAIN(in_scratch("a"), "--steps", "2", "--safetensors",
                   in_scratch("caa.safetensors"));
    cr_assert_eq(s.code, 0, "%s", s.err);
    snprintf(folder, sizeof folder, "%s/golden/checkpoint/tiny_sd2_a", shared_dir());
    s = RUN("vbg-convert", folder, "-o", in_scratch("back.vbg"), "--dtype", "bf16",
            "--caa", in_scratch("caa.safetensors"));
    cr_assert_eq(s.code, 0, "%s", s.err);
    vbg_weights *a = opened(in_scratch("a"));
    cr_assert_eq(vbg_weights_open(&back, in_scratch("back.vbg"), &err), VBG_OK);
    for (size_t i = 0; i < vbg_weights_count(a); i++) {
        const vbg_entry *x = vbg_weights_at(a, i);
        if (strcmp(x->component, "caa") != 0)
            continue;
        const vbg_entry *y = vbg_weights_find(back, "caa", x->name);
        cr_assert(y && y->bytes == x->bytes && memcmp(x->data, y->data, x->bytes) == 0,
                  "%s", x->name);
    }
    vbg_weights_close(a);
    vbg_weights_close(back);
}

static void refused(said s, int code, const char *word)
{
    cr_assert_eq(s.code, code, "%d: %s", s.code, s.err);
    cr_assert(strstr(s.err, word), "no \"%s\" in: %s", word, s.err);
}

Test(train_caa, what_is_wrong_is_said, .fini = remove_scratch)
{
    if (!have_all())
        return;
    refused(RUN("vbg-train", "caa", "-d", data, "-o", in_scratch("x")), 2, "--model");
    refused(RUN("vbg-train", "caa", "-m", model, "-o", in_scratch("x")), 2, "--data");
    refused(RUN("vbg-train", "caa", "-m", model, "-d", data), 2, "--out");
    refused(RUN("vbg-train", "caa", "-m", in_scratch("none.vbg"), "-d", data, "-o",
                in_scratch("x")),
            1, "none.vbg");
    refused(RUN("vbg-train", "caa", "-m", model, "-d", in_scratch("nowhere"), "-o",
                in_scratch("x")),
            1, "nowhere");
    refused(TRAIN(in_scratch("x"), "--size", "100"), 2, "multiple");
    refused(TRAIN(in_scratch("x"), "--val-share", "0.9"), 2, "held out");
}
