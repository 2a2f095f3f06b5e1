/* Exports of diffusion models: the names that diffusers and MVDiffusion load, the way
 * back bit for bit, refusals. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <jansson.h>

#include "convert/safetensors.h"
#include "engine/weights.h"
#include "tests/program.h"

TestSuite(export, .fini = remove_scratch, .timeout = 120);

static const char *golden(const char *name)
{
    static char path[4][1200];
    static int next;
    char *p = path[next++ % 4];

    snprintf(p, 1200, "%s/golden/checkpoint/%s", shared_dir(), name);
    return p;
}

static void convert(const char *in, const char *out)
{
    const said r = RUN("vbg-convert", in, "-o", out, "--dtype", "f32");
    cr_assert_eq(r.code, 0, "%s", r.err);
}

static const char *text_of(const vbg_weights *w, const char *key)
{
    const char *s = "";

    vbg_weights_string(w, key, &s);
    return s;
}

Test(export, a_diffusers_folder_comes_back_bit_for_bit)
{
    static const char *const key[] = { "unet.config", "vae.config", "text.config",
                                       "scheduler.config", "tokenizer.config" };
    vbg_weights *a, *b;

    if (!shared_dir())
        cr_skip_test("no oracles at hand");
    convert(golden("tiny_sd2_a"), in_scratch("a.vbg"));
    const said r = RUN("vbg-convert", in_scratch("a.vbg"), "-o", in_scratch("folder"));
    cr_assert_eq(r.code, 0, "%s", r.err);
    convert(in_scratch("folder"), in_scratch("b.vbg"));
    cr_assert_eq(vbg_weights_open(&a, in_scratch("a.vbg"), NULL), VBG_OK);
    cr_assert_eq(vbg_weights_open(&b, in_scratch("b.vbg"), NULL), VBG_OK);
    cr_assert_eq(vbg_weights_count(a), vbg_weights_count(b));
    for (size_t i = 0; i < vbg_weights_count(a); i++) {
        const vbg_entry *e = vbg_weights_at(a, i);
        const vbg_entry *f = vbg_weights_find(b, e->component, e->name);
        cr_assert(f && f->bytes == e->bytes && memcmp(f->data, e->data, e->bytes) == 0,
                  "%s", e->name);
    }
    for (size_t i = 0; i < sizeof key / sizeof *key; i++)
        cr_assert_str_eq(text_of(a, key[i]), text_of(b, key[i]));
    vbg_weights_close(a);
    vbg_weights_close(b);

    /* the vocabulary that the merges imply is the one that was there */
    char path[1300];
    snprintf(path, sizeof path, "%s/tokenizer/vocab.json", golden("tiny_sd2_a"));
    json_t *was = json_load_file(path, 0, NULL);
    json_t *is = json_load_file(in_scratch("folder/tokenizer/vocab.json"), 0, NULL);
    cr_assert(was && json_equal(was, is));
    json_decref(was);
    json_decref(is);
    json_t *index = json_load_file(in_scratch("folder/model_index.json"), 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(index, "_class_name")),
                     "StableDiffusionPipeline");
    json_decref(index);
}

/* Every tensor of every file of the folder stands in the original folder under the same
 * name with the same shape. */
Test(export, names_and_shapes_are_those_of_diffusers)
{
    static const char *const file[] = { "unet/diffusion_pytorch_model.safetensors",
                                        "vae/diffusion_pytorch_model.safetensors",
                                        "text_encoder/model.safetensors" };
    char x[1300], y[256];

    if (!shared_dir())
        cr_skip_test("no oracles at hand");
    convert(golden("tiny_sd2_a"), in_scratch("a.vbg"));
    const said r = RUN("vbg-convert", in_scratch("a.vbg"), "-o", in_scratch("folder"));
    cr_assert_eq(r.code, 0, "%s", r.err);
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        vbg_safetensors *was, *is;
        size_t found = 0;
        snprintf(x, sizeof x, "%s/%s", golden("tiny_sd2_a"), file[i]);
        snprintf(y, sizeof y, "%s/%s", in_scratch("folder"), file[i]);
        cr_assert_eq(vbg_st_open(&was, x, NULL), VBG_OK);
        cr_assert_eq(vbg_st_open(&is, y, NULL), VBG_OK);
        cr_assert_str_eq(vbg_st_metadata(is, "format"), "pt");
        for (size_t k = 0; k < vbg_st_count(is); k++) {
            const vbg_st_tensor *t = vbg_st_at(is, k), *u = vbg_st_find(was, t->name);
            /* the VAE's attention may be spelt in the old way there */
            if (!u && strstr(t->name, ".attentions."))
                continue;
            cr_assert(u && u->rank == t->rank, "%s: %s", file[i], t->name);
            for (int d = 0; d < t->rank; d++)
                cr_assert_eq(u->dim[d], t->dim[d], "%s: %s", file[i], t->name);
            found++;
        }
        cr_assert_gt(found, vbg_st_count(is) - 20);
        vbg_st_close(was);
        vbg_st_close(is);
    }
}

Test(export, panorama_blocks_have_their_126_names)
{
    vbg_safetensors *was, *is;
    size_t blocks = 0;

    if (!shared_dir())
        cr_skip_test("no oracles at hand");
    const said c =
        RUN("vbg-convert", golden("tiny_sd2_mvd_a.safetensors"), "-o",
            in_scratch("m.vbg"), "--dtype", "f32", "--config-from", golden("tiny_sd2_a"));
    cr_assert_eq(c.code, 0, "%s", c.err);
    const said r = RUN("vbg-convert", in_scratch("m.vbg"), "-o",
                       in_scratch("caa.safetensors"), "--layout", "caa");
    cr_assert_eq(r.code, 0, "%s", r.err);
    cr_assert_eq(vbg_st_open(&was, golden("tiny_sd2_mvd_a.safetensors"), NULL), VBG_OK);
    cr_assert_eq(vbg_st_open(&is, in_scratch("caa.safetensors"), NULL), VBG_OK);
    for (size_t i = 0; i < vbg_st_count(was); i++) {
        const vbg_st_tensor *t = vbg_st_at(was, i);
        if (strncmp(t->name, "mv_base_model.cp_blocks_", 24) != 0)
            continue;
        const vbg_st_tensor *u = vbg_st_find(is, t->name);
        cr_assert(u && u->count == t->count && u->rank == t->rank, "%s", t->name);
        float *a = malloc(t->count * sizeof *a), *b = malloc(t->count * sizeof *b);
        vbg_st_to_f32(a, t);
        vbg_st_to_f32(b, u);
        cr_assert_eq(memcmp(a, b, t->count * sizeof *a), 0, "%s", t->name);
        free(a);
        free(b);
        blocks++;
    }
    cr_assert_eq(blocks, 126);
    cr_assert_eq(vbg_st_count(is), 126);
    vbg_st_close(was);
    vbg_st_close(is);

    /* the same file as a table of blocks to add */
    const said back = RUN("vbg-convert", in_scratch("caa.safetensors"), "-o",
                          in_scratch("caa.vbg"), "--dtype", "f32");
    cr_assert_eq(back.code, 0, "%s", back.err);
}

Test(export, refusals)
{
    said r = RUN("vbg-convert", in_scratch("none.vbg"), "-o", in_scratch("x"));
    cr_assert_eq(r.code, 1);
    cr_assert_eq(r.err_lines, 1);
    if (!shared_dir())
        cr_skip_test("no oracles at hand");
    convert(golden("tiny_sd2_a"), in_scratch("a.vbg"));
    r = RUN("vbg-convert", in_scratch("a.vbg"), "-o", in_scratch("x"), "--layout",
            "noisrucer");
    cr_assert_eq(r.code, 2, "%s", r.err);
    r = RUN("vbg-convert", in_scratch("a.vbg"), "-o", in_scratch("a.vbg"));
    cr_assert_eq(r.code, 2, "%s", r.err);
    r = RUN("vbg-convert", golden("tiny_sd2_a"), "-o", in_scratch("x"), "--layout",
            "diffusers");
    cr_assert_eq(r.code, 2, "%s", r.err);
}
