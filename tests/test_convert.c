/* vbg-convert: the program on small random checkpoints (make_checkpoint), on broken ones
 * and on wrong command lines; names of the ldm layout; the oracles of broken folders and
 * TensorFlow Lite files when ../shared is there. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert/names.h"
#include "convert/safetensors.h"
#include "engine/weights.h"
#include "kernels/gemm.h"
#include "tests/run_program.h"

static char dir[200]; /* of this test process */

/* dir/name */
static const char *in_dir(const char *name)
{
    static char ring[8][400];
    static int next;
    char *p = ring[next++ % 8];

    snprintf(p, 400, "%s/%s", dir, name);
    return p;
}

/* Runs a program of ours with up to 8 arguments, NULL ends. */
static program_result run(const char *name, const char *a, const char *b, const char *c,
                          const char *d, const char *e)
{
    char path[1200];
    const char *argv[16] = {
        program_beside(path, sizeof path, name), a, b, c, d, e, NULL
    };

    return run_program(argv);
}

/* A folder with the small model: 18.6 million values in it and in caa.safetensors. */
static void make_model(void)
{
    char path[1200];

    snprintf(dir, sizeof dir, "%s/vbg-convert-%ld",
             access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (long)getpid());
    mkdir(dir, 0777);
    const char *argv[] = { program_beside(path, sizeof path, "make_checkpoint"),
                           in_dir("model"),
                           "--width",
                           "32",
                           "--text-width",
                           "64",
                           "--text-layers",
                           "2",
                           "--vae-width",
                           "32",
                           NULL };
    mkdir(in_dir("model"), 0777);
    program_result r = run_program(argv);
    cr_assert_eq(r.code, 0, "make_checkpoint: %s", r.text);
}

static void remove_model(void)
{
    char command[300];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (dir[0] && system(command))
        perror(command);
}

TestSuite(convert, .init = make_model, .fini = remove_model);

static bool no_output(const char *name)
{
    char command[500];

    snprintf(command, sizeof command, "ls %s | grep -q '^%s'", dir, name);
    return system(command) != 0;
}

/* One clean line that names what. */
static void assert_refused(program_result r, int code, const char *what)
{
    cr_assert_eq(r.code, code, "exit %d: %s", r.code, r.text);
    cr_assert_eq(r.lines, 1, "%s", r.text);
    cr_assert(r.clean);
    cr_assert(strstr(r.text, what), "\"%s\" not in: %s", what, r.text);
}

static vbg_weights *open_out(const char *name)
{
    vbg_weights *w = NULL;
    vbg_err err = { "" };

    cr_assert_eq(vbg_weights_open(&w, in_dir(name), &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_weights_verify(w, &err), VBG_OK, "%s", err.text);
    return w;
}

Test(convert, folder_with_caa)
{
    char caa[400];
    const char *s;

    snprintf(caa, sizeof caa, "--caa=%s", in_dir("model/caa.safetensors"));
    program_result r =
        run("vbg-convert", in_dir("model"), "-o", in_dir("m.vbg"), caa, NULL);
    cr_assert_eq(r.code, 0, "%s", r.text);
    cr_assert(strstr(r.text, "no tokenizer"), "%s", r.text);
    vbg_weights *w = open_out("m.vbg");
    cr_assert_eq(vbg_weights_count(w), 686 + 248 + 36 + 126);
    cr_assert(vbg_weights_string(w, "model.arch", &s) && !strcmp(s, "sd"));
    cr_assert(vbg_weights_string(w, "model.name", &s) && !strcmp(s, "model"));
    cr_assert(vbg_weights_string(w, "unet.config", &s) &&
              strstr(s, "attention_head_dim"));
    cr_assert(vbg_weights_string(w, "scheduler.config", &s) && strstr(s, "PNDM"));
    const vbg_entry *e = vbg_weights_find(w, "caa", "cp_blocks_mid.pe.freq_bands");
    cr_assert(e && e->dtype == VBG_F32 && e->layout == VBG_LAYOUT_PLAIN);
    e = vbg_weights_find(w, "unet", "time_embedding.linear_1.weight");
    cr_assert(e && e->dtype == VBG_BF16 && e->layout == VBG_LAYOUT_PACK16);
    e = vbg_weights_find(w, "text", "embeddings.token_embedding.weight");
    cr_assert(e && e->layout == VBG_LAYOUT_PLAIN && e->dtype == VBG_BF16);
    e = vbg_weights_find(w, "unet", "conv_in.bias");
    cr_assert(e && e->dtype == VBG_F32);
    vbg_weights_close(w);
}

Test(convert, a_vbg_file_in_another_type)
{
    program_result r =
        run("vbg-convert", in_dir("model"), "-o", in_dir("a.vbg"), "--dtype=f32", "-q");
    cr_assert_eq(r.code, 0, "%s", r.text);
    r = run("vbg-convert", in_dir("a.vbg"), "-o", in_dir("b.vbg"), "--dtype=f32", "-q");
    cr_assert_eq(r.code, 0, "%s", r.text);
    r = run("vbg-convert", in_dir("a.vbg"), "-o", in_dir("c.vbg"), "--dtype=int8", "-q");
    cr_assert_eq(r.code, 0, "%s", r.text);
    vbg_weights *a = open_out("a.vbg"), *b = open_out("b.vbg"), *c = open_out("c.vbg");
    cr_assert_eq(vbg_weights_count(a), vbg_weights_count(b));
    for (size_t i = 0; i < vbg_weights_count(a); i++)
        cr_assert_eq(vbg_weights_at(a, i)->checksum, vbg_weights_at(b, i)->checksum);
    const vbg_entry *e = vbg_weights_find(c, "unet", "mid_block.resnets.0.conv1.weight");
    cr_assert(e && e->stored == VBG_I8 && e->dtype == VBG_BF16);
    e = vbg_weights_find(c, "unet", "conv_in.weight");
    cr_assert(e && e->stored == VBG_BF16);
    vbg_weights_close(a);
    vbg_weights_close(b);
    vbg_weights_close(c);
    assert_refused(run("vbg-convert", in_dir("a.vbg"), "-o", in_dir("a.vbg"), "-q", NULL),
                   2, "same file");
    assert_refused(run("vbg-convert", in_dir("a.vbg"), "-o", in_dir("d.vbg"), "--caa",
                       in_dir("model")),
                   2, "--layout diffusers");
}

static void in_other_type(const char *in, const char *out, const char *dtype)
{
    program_result r = run("vbg-convert", in, "-o", out, dtype, "-q");
    cr_assert_eq(r.code, 0, "%s", r.text);
}

/* Another autoencoder in a package; here the same model's, narrower stored. */
Test(convert, another_autoencoder)
{
    char vae[400];

    in_other_type(in_dir("model"), in_dir("a.vbg"), "--dtype=f32");
    in_other_type(in_dir("model"), in_dir("b.vbg"), "--dtype=bf16");
    snprintf(vae, sizeof vae, "--vae=%s", in_dir("b.vbg"));
    program_result r =
        run("vbg-convert", in_dir("a.vbg"), "-o", in_dir("c.vbg"), "--dtype=f32", vae);
    cr_assert_eq(r.code, 0, "%s", r.text);
    vbg_weights *a = open_out("a.vbg"), *c = open_out("c.vbg");
    cr_assert_eq(vbg_weights_count(a), vbg_weights_count(c));
    size_t changed = 0;
    for (size_t i = 0; i < vbg_weights_count(a); i++) {
        const vbg_entry *e = vbg_weights_at(a, i);
        const vbg_entry *now = vbg_weights_find(c, e->component, e->name);
        cr_assert(now, "%s is gone", e->name);
        if (now->checksum == e->checksum)
            continue;
        cr_assert_str_eq(e->component, "vae");
        changed++;
    }
    cr_assert_gt(changed, 0);
    vbg_weights_close(a);
    vbg_weights_close(c);
    assert_refused(run("vbg-convert", in_dir("model"), "-o", in_dir("d.vbg"), vae, "-q"),
                   2, "--vae is for .vbg files");
    assert_refused(run("vbg-convert", in_dir("a.vbg"), "-o", in_dir("b.vbg"), vae, "-q"),
                   2, "same file");
}

/* The coupling of one package in another of the same shape. */
Test(convert, another_package_s_coupling)
{
    char caa[400], from[400];

    snprintf(caa, sizeof caa, "--caa=%s", in_dir("model/caa.safetensors"));
    snprintf(from, sizeof from, "--caa=%s", in_dir("m.vbg"));
    in_other_type(in_dir("model"), in_dir("a.vbg"), "--dtype=bf16");
    in_other_type(in_dir("model"), in_dir("m.vbg"), caa);
    in_other_type(in_dir("a.vbg"), in_dir("c.vbg"), from);
    vbg_weights *m = open_out("m.vbg"), *c = open_out("c.vbg");
    cr_assert_eq(vbg_weights_count(m), vbg_weights_count(c));
    for (size_t i = 0; i < vbg_weights_count(m); i++) {
        const vbg_entry *e = vbg_weights_at(m, i);
        const vbg_entry *now = vbg_weights_find(c, e->component, e->name);
        cr_assert(now && now->checksum == e->checksum, "%s/%s", e->component, e->name);
    }
    vbg_weights_close(m);
    vbg_weights_close(c);
    snprintf(from, sizeof from, "--caa=%s", in_dir("a.vbg"));
    assert_refused(run("vbg-convert", in_dir("a.vbg"), "-o", in_dir("d.vbg"), from, "-q"),
                   1, "no CAA blocks");
}

/* f32 keeps every value, f16 too (the source is f16), bf16 rounds to nearest. */
Test(convert, types)
{
    static const char *const types[] = { "f32", "f16", "bf16" };
    static const char name[] = "down_blocks.1.resnets.0.conv1.weight";
    vbg_safetensors *f = NULL;
    vbg_err err = { "" };

    cr_assert_eq(
        vbg_st_open(&f, in_dir("model/unet/diffusion_pytorch_model.safetensors"), &err),
        VBG_OK, "%s", err.text);
    const vbg_st_tensor *t = vbg_st_find(f, name);
    float *want = malloc(t->count * 4), *got = malloc(t->count * 4);
    vbg_st_to_f32(want, t);
    for (int k = 0; k < 3; k++) {
        char dtype[32];
        snprintf(dtype, sizeof dtype, "--dtype=%s", types[k]);
        program_result r =
            run("vbg-convert", in_dir("model/unet"), "-o", in_dir("t.vbg"), dtype, "-q");
        cr_assert_eq(r.code, 0, "%s", r.text);
        vbg_weights *w = open_out("t.vbg");
        const vbg_entry *e = vbg_weights_find(w, "unet", name);
        cr_assert_str_eq(vbg_dtype_name(e->dtype), types[k]);
        vbg_unpack(got, e->data, e->dtype, (size_t)e->dim[0], (size_t)e->dim[1], 3, 3);
        for (size_t i = 0; i < t->count; i++)
            cr_assert_eq(got[i],
                         k < 2 ? want[i] : vbg_bf16_to_f32(vbg_f32_to_bf16(want[i])));
        vbg_weights_close(w);
    }
    free(want);
    free(got);
    vbg_st_close(f);
}

/* Appends a component's tensors behind a prefix; the file stays open for its data. */
static size_t append(vbg_st_out *list, size_t n, const char *file, const char *cut,
                     const char *prefix, vbg_safetensors **open)
{
    vbg_err err = { "" };

    cr_assert_eq(vbg_st_open(open, in_dir(file), &err), VBG_OK, "%s", err.text);
    for (size_t i = 0; i < vbg_st_count(*open); i++) {
        const vbg_st_tensor *t = vbg_st_at(*open, i);
        const char *rest = vbg_after(t->name, cut) ? vbg_after(t->name, cut) : t->name;
        char *name = malloc(strlen(prefix) + strlen(rest) + 1);
        sprintf(name, "%s%s", prefix, rest);
        list[n] = (vbg_st_out){
            .name = name, .dtype = t->dtype, .rank = t->rank, .data = t->data
        };
        memcpy(list[n++].dim, t->dim, sizeof t->dim);
    }
    return n;
}

static bool same_tensors(const vbg_weights *a, const vbg_weights *b)
{
    bool same = vbg_weights_count(a) == vbg_weights_count(b);

    for (size_t i = 0; same && i < vbg_weights_count(a); i++) {
        const vbg_entry *x = vbg_weights_at(a, i), *y = vbg_weights_at(b, i);
        same = !strcmp(x->name, y->name) && !strcmp(x->component, y->component) &&
               x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0;
    }
    return same;
}

/* One file of diffusers names behind the prefixes that trainers and MVDiffusion use:
 * the same tensors as the folder's, and the same configs from shapes alone. */
Test(convert, one_file_with_prefixes)
{
    static const char *const prefix[][3] = {
        { "unet.", "vae.", "te." },
        { "mv_base_model.unet.", "vae.", "text_encoder.text_model." },
        { "unet.", "vae.", "cond_stage_model.transformer.text_model." },
        { "unet.", "vae.", "conditioner.embedders.0.transformer.text_model." },
    };
    static vbg_st_out list[1200];
    vbg_safetensors *f[3];
    const char *a, *b;

    cr_assert_eq(
        run("vbg-convert", in_dir("model"), "-o", in_dir("m.vbg"), "-q", NULL).code, 0);
    vbg_weights *base = open_out("m.vbg");
    for (size_t k = 0; k < sizeof prefix / sizeof *prefix; k++) {
        size_t n = 0;
        n = append(list, n, "model/unet/diffusion_pytorch_model.safetensors", "",
                   prefix[k][0], &f[0]);
        n = append(list, n, "model/vae/diffusion_pytorch_model.safetensors", "",
                   prefix[k][1], &f[1]);
        n = append(list, n, "model/text_encoder/model.safetensors", "text_model.",
                   prefix[k][2], &f[2]);
        cr_assert_eq(vbg_st_write(in_dir("one.safetensors"), list, n, NULL, NULL),
                     VBG_OK);
        for (size_t i = 0; i < n; i++)
            free((void *)(uintptr_t)list[i].name);
        for (size_t i = 0; i < 3; i++)
            vbg_st_close(f[i]);
        program_result r = run("vbg-convert", in_dir("one.safetensors"), "-o",
                               in_dir("one.vbg"), "-q", NULL);
        cr_assert_eq(r.code, 0, "%s: %s", prefix[k][0], r.text);
        vbg_weights *w = open_out("one.vbg");
        cr_assert(same_tensors(base, w), "%s", prefix[k][2]);
        cr_assert(vbg_weights_string(w, "unet.config", &a));
        cr_assert(strstr(a, "\"block_out_channels\":[32,64,128,128]"), "%s", a);
        cr_assert(strstr(a, "\"attention_head_dim\":[1,1,2,2]"), "%s", a);
        cr_assert(vbg_weights_string(w, "scheduler.config", &b));
        cr_assert(strstr(b, "\"beta_start\":0.00085,"), "%s", b);
        vbg_weights_close(w);
    }
    vbg_weights_close(base);
}

/* Rewrites the CAA file after edit(t, n) changed its list; returns the new count. */
static void rewrite_caa(const char *to, size_t (*edit)(vbg_st_out *, size_t))
{
    vbg_safetensors *f = NULL;
    vbg_err err = { "" };
    static vbg_st_out list[200];

    cr_assert_eq(vbg_st_open(&f, in_dir("model/caa.safetensors"), &err), VBG_OK);
    size_t n = vbg_st_count(f);
    for (size_t i = 0; i < n; i++) {
        const vbg_st_tensor *t = vbg_st_at(f, i);
        list[i] = (vbg_st_out){
            .name = t->name, .dtype = t->dtype, .rank = t->rank, .data = t->data
        };
        memcpy(list[i].dim, t->dim, sizeof t->dim);
    }
    n = edit(list, n);
    cr_assert_eq(vbg_st_write(in_dir(to), list, n, NULL, &err), VBG_OK, "%s", err.text);
    vbg_st_close(f);
}

static uint16_t halves[1 << 16];

static size_t edit_wrong(vbg_st_out *t, size_t n)
{
    t[0] = t[n - 1]; /* one is missing ... */
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name,
                   "mv_base_model.cp_blocks_mid.transformer.attn1.to_q.weight") == 0)
            t[i].dim[0] = 64, t[i].dim[1] = 256; /* ... one misshapen ... */
    t[n - 1].name =
        "mv_base_model.cp_blocks_mid.transformer.extra.weight"; /* ... unknown */
    return n;
}

static size_t edit_nan(vbg_st_out *t, size_t n)
{
    int bad = 0;

    for (size_t i = 0; i < n && bad < 2; i++)
        if (strstr(t[i].name, "cp_blocks_mid.transformer.norm")) {
            memset(halves, 0, sizeof halves);
            halves[3] = bad ? 0x7c00 : 0x7e00; /* Inf, NaN */
            t[i].data = halves;
            bad++;
        }
    return n;
}

static size_t edit_integers(vbg_st_out *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(t[i].name, "cp_blocks_mid.transformer.norm1.weight")) {
            t[i].dtype = VBG_U8;
            t[i].data = halves;
        }
    return n;
}

Test(convert, missing_unknown_and_misshapen_at_once)
{
    char caa[400];

    rewrite_caa("wrong.safetensors", edit_wrong);
    snprintf(caa, sizeof caa, "--caa=%s", in_dir("wrong.safetensors"));
    program_result r =
        run("vbg-convert", in_dir("model"), "-o", in_dir("out.vbg"), caa, "-q");
    assert_refused(r, 1, "cp_blocks_decoder.0.pe.freq_bands missing");
    cr_assert(strstr(r.text, "to_q.weight is [64,256]"), "%s", r.text);
    cr_assert(strstr(r.text, "extra.weight"), "%s", r.text);
    cr_assert(no_output("out"));
}

Test(convert, values_that_are_not_finite)
{
    char caa[400];

    rewrite_caa("nan.safetensors", edit_nan);
    snprintf(caa, sizeof caa, "--caa=%s", in_dir("nan.safetensors"));
    program_result r =
        run("vbg-convert", in_dir("model"), "-o", in_dir("out.vbg"), caa, "-q");
    assert_refused(r, 1, "norm1.bias");
    cr_assert(strstr(r.text, "2 tensors") && strstr(r.text, "norm1.weight"), "%s",
              r.text);
    cr_assert(no_output("out"));
}

Test(convert, integers_are_no_weights)
{
    char caa[400];

    rewrite_caa("int.safetensors", edit_integers);
    snprintf(caa, sizeof caa, "--caa=%s", in_dir("int.safetensors"));
    assert_refused(
        run("vbg-convert", in_dir("model"), "-o", in_dir("out.vbg"), caa, "-q"), 1,
        "has type U8");
}

Test(convert, command_lines)
{
    struct stat before, after;

    assert_refused(run("vbg-convert", in_dir("model"), NULL, NULL, NULL, NULL), 2,
                   "-o FILE");
    assert_refused(run("vbg-convert", "-o", in_dir("x.vbg"), NULL, NULL, NULL), 2,
                   "no input");
    assert_refused(run("vbg-convert", in_dir("model"), "-o", "-", NULL, NULL), 2,
                   "stdout");
    assert_refused(
        run("vbg-convert", in_dir("absent"), "-o", in_dir("x.vbg"), NULL, NULL), 1,
        "absent");
    assert_refused(
        run("vbg-convert", in_dir("model"), "-o", "/nonexistent/x.vbg", "-q", NULL), 1,
        "/nonexistent/x.vbg");
    assert_refused(run("vbg-convert", in_dir("model"), "-o", "/dev/full", "-q", NULL), 1,
                   "/dev/full");
    assert_refused(run("vbg-convert", in_dir("model/caa.safetensors"), "-o",
                       in_dir("model/caa.safetensors"), NULL, NULL),
                   2, "same file");
    assert_refused(run("vbg-convert", in_dir("model"), "-o",
                       in_dir("model/vae/diffusion_pytorch_model.safetensors"), NULL,
                       NULL),
                   2, "same file");
    cr_assert_eq(link(in_dir("model/caa.safetensors"), in_dir("hard")), 0);
    assert_refused(run("vbg-convert", in_dir("model/caa.safetensors"), "-o",
                       in_dir("hard"), NULL, NULL),
                   2, "same file");
    cr_assert_eq(
        run("vbg-convert", in_dir("model/vae"), "-o", in_dir("v.vbg"), "-q", NULL).code,
        0);
    cr_assert_eq(stat(in_dir("v.vbg"), &before), 0);
    assert_refused(run("vbg-convert", in_dir("model/vae"), "-o", in_dir("v.vbg"),
                       "--no-clobber", NULL),
                   1, "--no-clobber");
    cr_assert_eq(stat(in_dir("v.vbg"), &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
}

/* A file size limit stands for a full disk: the old output survives. */
Test(convert, full_disk)
{
    char command[1600], path[1100];
    struct stat st;

    cr_assert_eq(
        run("vbg-convert", in_dir("model/vae"), "-o", in_dir("v.vbg"), "-q", NULL).code,
        0);
    program_beside(path, sizeof path, "vbg-convert");
    snprintf(command, sizeof command, "ulimit -f 2000; exec %s %s -o %s -q", path,
             in_dir("model"), in_dir("v.vbg"));
    const char *argv[] = { "/bin/sh", "-c", command, NULL };
    program_result r = run_program(argv);
    assert_refused(r, 1, "v.vbg");
    cr_assert(strstr(r.text, "bytes"), "%s", r.text);
    vbg_weights_close(open_out("v.vbg"));
    cr_assert_eq(stat(in_dir("v.vbg"), &st), 0);
    snprintf(command, sizeof command, "ls %s | grep -q tmp-", dir);
    cr_assert_neq(system(command), 0, "a temporary file was left");
}

Test(convert, unknown_architectures)
{
    float v[4] = { 0 };
    vbg_st_out sdxl[] = { { "conditioner.embedders.1.model.x", VBG_F32, 1, { 4 }, v },
                          { "model.diffusion_model.y", VBG_F32, 1, { 4 }, v } };
    vbg_st_out other[] = { { "gpt.h.0.weight", VBG_F32, 1, { 4 }, v } };

    vbg_st_write(in_dir("xl.safetensors"), sdxl, 2, NULL, NULL);
    assert_refused(
        run("vbg-convert", in_dir("xl.safetensors"), "-o", in_dir("o.vbg"), NULL, NULL),
        1, "Stable Diffusion XL");
    vbg_st_write(in_dir("gpt.safetensors"), other, 1, NULL, NULL);
    assert_refused(
        run("vbg-convert", in_dir("gpt.safetensors"), "-o", in_dir("o.vbg"), NULL, NULL),
        1, "none of the known architectures");
    cr_assert_eq(
        run("vbg-convert", "--list", in_dir("gpt.safetensors"), NULL, NULL, NULL).code,
        0);
    vbg_st_write(in_dir("none.safetensors"), other, 0, NULL, NULL);
    assert_refused(
        run("vbg-convert", in_dir("none.safetensors"), "-o", in_dir("o.vbg"), NULL, NULL),
        1, "no tensors");
    cr_assert(no_output("o.vbg"));
}

/* The local hub cache, as huggingface_hub lays it out (snapshots are links). */
Test(convert, hub_cache)
{
    char command[2000];

    snprintf(command, sizeof command,
             "mkdir -p %s/hub/models--o--n/refs %s/hub/models--o--n/snapshots && "
             "printf abc > %s/hub/models--o--n/refs/main && "
             "ln -s %s/model %s/hub/models--o--n/snapshots/abc",
             dir, dir, dir, dir, dir);
    cr_assert_eq(system(command), 0);
    setenv("HF_HUB_CACHE", in_dir("hub"), 1);
    program_result r = run("vbg-convert", "o/n", "-o", in_dir("h.vbg"), "-q", NULL);
    cr_assert_eq(r.code, 0, "%s", r.text);
    assert_refused(run("vbg-convert", "o/absent", "-o", in_dir("g.vbg"), NULL, NULL), 1,
                   "hub cache");
    snprintf(command, sizeof command,
             "printf ../../../model > %s/hub/models--o--n/refs/main", dir);
    cr_assert_eq(system(command), 0);
    assert_refused(run("vbg-convert", "o/n", "-o", in_dir("g.vbg"), NULL, NULL), 1,
                   "o/n");
    unsetenv("HF_HUB_CACHE");
}

Test(convert, verify_finds_a_flipped_value)
{
    char byte;

    cr_assert_eq(
        run("vbg-convert", in_dir("model/vae"), "-o", in_dir("v.vbg"), "-q", NULL).code,
        0);
    cr_assert_eq(run("vbg-convert", "--verify", in_dir("v.vbg"), "-q", NULL, NULL).code,
                 0);
    FILE *f = fopen(in_dir("v.vbg"), "r+b");
    fseek(f, -100000, SEEK_END);
    byte = (char)(fgetc(f) ^ 1);
    fseek(f, -100000, SEEK_END);
    fputc(byte, f);
    fclose(f);
    assert_refused(run("vbg-convert", "--verify", in_dir("v.vbg"), "-q", NULL, NULL), 1,
                   "checksum of vae/");
}

/* ---- names ---- */

Test(names, ldm)
{
    static const struct {
        bool vae;
        const char *ldm, *diffusers; /* NULL: no such name */
    } names[] = {
        { false, "input_blocks.0.0.weight", "conv_in.weight" },
        { false, "input_blocks.1.0.in_layers.0.bias",
          "down_blocks.0.resnets.0.norm1.bias" },
        { false, "input_blocks.5.1.proj_in.weight",
          "down_blocks.1.attentions.1.proj_in.weight" },
        { false, "input_blocks.9.0.op.weight",
          "down_blocks.2.downsamplers.0.conv.weight" },
        { false, "input_blocks.11.0.out_layers.3.weight",
          "down_blocks.3.resnets.1.conv2.weight" },
        { false, "middle_block.2.emb_layers.1.bias",
          "mid_block.resnets.1.time_emb_proj.bias" },
        { false, "middle_block.1.norm.weight", "mid_block.attentions.0.norm.weight" },
        { false, "output_blocks.2.1.conv.weight",
          "up_blocks.0.upsamplers.0.conv.weight" },
        { false, "output_blocks.8.2.conv.bias", "up_blocks.2.upsamplers.0.conv.bias" },
        { false, "output_blocks.11.1.proj_out.bias",
          "up_blocks.3.attentions.2.proj_out.bias" },
        { false, "output_blocks.3.0.skip_connection.weight",
          "up_blocks.1.resnets.0.conv_shortcut.weight" },
        { false, "time_embed.2.weight", "time_embedding.linear_2.weight" },
        { false, "out.2.bias", "conv_out.bias" },
        { false, "label_emb.0.0.weight", NULL },
        { false, "input_blocks.x.0.weight", NULL },
        { false, "input_blocks.1.0.strange.weight", NULL },
        { true, "encoder.down.2.block.0.nin_shortcut.weight",
          "encoder.down_blocks.2.resnets.0.conv_shortcut.weight" },
        { true, "decoder.up.3.block.1.norm2.bias",
          "decoder.up_blocks.0.resnets.1.norm2.bias" },
        { true, "decoder.up.1.upsample.conv.bias",
          "decoder.up_blocks.2.upsamplers.0.conv.bias" },
        { true, "encoder.down.0.downsample.conv.bias",
          "encoder.down_blocks.0.downsamplers.0.conv.bias" },
        { true, "decoder.mid.attn_1.proj_out.weight",
          "decoder.mid_block.attentions.0.to_out.0.weight" },
        { true, "encoder.mid.block_2.conv1.bias",
          "encoder.mid_block.resnets.1.conv1.bias" },
        { true, "encoder.norm_out.weight", "encoder.conv_norm_out.weight" },
        { true, "quant_conv.bias", "quant_conv.bias" },
        { true, "decoder.up.7.block.0.norm1.bias", NULL },
        { true, "loss.logvar", NULL },
    };
    char out[300];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool ok = names[i].vae ? vbg_ldm_vae_name(out, sizeof out, names[i].ldm)
                               : vbg_ldm_unet_name(out, sizeof out, names[i].ldm);
        cr_assert_eq(ok, names[i].diffusers != NULL, "%s", names[i].ldm);
        if (ok)
            cr_assert_str_eq(out, names[i].diffusers);
    }
}

Test(names, prefixes)
{
    static const struct {
        const char *name, *component, *mapped; /* component NULL: ignored, "": unknown */
    } names[] = {
        { "model.diffusion_model.out.2.bias", "unet", "conv_out.bias" },
        { "first_stage_model.decoder.mid.attn_1.q.weight", "vae",
          "decoder.mid_block.attentions.0.to_q.weight" },
        { "cond_stage_model.transformer.text_model.final_layer_norm.bias", "text",
          "final_layer_norm.bias" },
        { "cond_stage_model.transformer.final_layer_norm.bias", "text",
          "final_layer_norm.bias" },
        { "cond_stage_model.model.ln_final.weight", "text", "final_layer_norm.weight" },
        { "conditioner.embedders.0.model.ln_final.weight", "text",
          "final_layer_norm.weight" },
        { "te.text_model.final_layer_norm.bias", "text", "final_layer_norm.bias" },
        { "mv_base_model.unet.conv_in.bias", "unet", "conv_in.bias" },
        { "mv_base_model.cp_blocks_encoder.1.transformer.norm1.bias", "caa",
          "cp_blocks_encoder.1.transformer.norm1.bias" },
        { "mv_base_model.cp_blocks_decoder.cp_blocks.1.transformer.attn.key_projection."
          "weight",
          "caa", "cp_blocks_decoder.1.transformer.attn1.to_k.weight" },
        { "vae.encoder.mid_block.attentions.0.proj_attn.bias", "vae",
          "encoder.mid_block.attentions.0.to_out.0.bias" },
        { "model_ema.decay", NULL, NULL },
        { "alphas_cumprod_prev", NULL, NULL },
        { "sqrt_one_minus_alphas_cumprod", NULL, NULL },
        { "cond_stage_model.model.attn_mask", NULL, NULL },
        { "cond_stage_model.model.logit_scale", NULL, NULL },
        { "first_stage_model.loss.discriminator.main.0.weight", NULL, NULL },
        { "cond_stage_model.transformer.text_model.embeddings.position_ids", NULL, NULL },
        { "strange.weight", "", NULL },
        { "model.diffusion_model.strange.weight", "", NULL },
    };
    vbg_mapped m;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        vbg_name_fate fate = vbg_map_name(&m, VBG_NAMING_PREFIXED, "", names[i].name);
        vbg_name_fate want = !names[i].component      ? VBG_NAME_IGNORED
                             : !names[i].component[0] ? VBG_NAME_UNKNOWN
                                                      : VBG_NAME_MAPPED;
        cr_assert_eq(fate, want, "%s", names[i].name);
        if (want == VBG_NAME_MAPPED) {
            cr_assert_str_eq(m.component, names[i].component);
            cr_assert_str_eq(m.name, names[i].mapped);
        }
    }
    cr_assert_eq(vbg_map_name(&m, VBG_NAMING_TAESD_TINY, "", "decoder.layers.11.weight"),
                 VBG_NAME_MAPPED);
    cr_assert_str_eq(m.name, "decoder.12.weight");
    vbg_map_name(&m, VBG_NAMING_TAESD_TINY, "", "encoder.layers.3.conv.0.bias");
    cr_assert_str_eq(m.name, "encoder.3.conv.0.bias");
    vbg_map_name(&m, VBG_NAMING_PREFIXED, "",
                 "cond_stage_model.model.transformer.resblocks.3.attn.in_proj_weight");
    cr_assert_eq(m.change, VBG_CHANGE_SPLIT3);
    cr_assert_eq(m.openclip_layer, 3);
}

/* ---- oracles of broken files ---- */

static const char *media_dir(char *dst, size_t size)
{
    const char *shared = getenv("VBG_SHARED");

    snprintf(dst, size, "%s/golden/malformed_media", shared ? shared : "../shared");
    return access(dst, R_OK) == 0 ? dst : NULL;
}

Test(malformed, verdicts)
{
    char folder[600], path[1400];
    const char *name;
    json_t *entry;
    int judged = 0;

    if (!media_dir(folder, sizeof folder))
        cr_skip_test("no oracles here");
    snprintf(path, sizeof path, "%s/index.json", folder);
    json_t *index = json_load_file(path, 0, NULL);
    json_object_foreach(json_object_get(index, "cases"), name, entry)
    {
        const char *verdict = json_string_value(json_object_get(entry, "verdict"));
        size_t n = strlen(name);
        bool ours =
            strncmp(name, "sharded/", 8) == 0 ||
            (strncmp(name, "tflite/", 7) == 0 && strcmp(name + n - 5, ".json") != 0);
        if (!ours)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (n > 16 && strcmp(name + n - 16, "model_index.json") == 0)
            path[strlen(path) - 17] = 0; /* the folder itself */
        program_result r = run("vbg-convert", "--list", path, NULL, NULL, NULL);
        if (strstr(r.text, "not read yet"))
            continue;
        if (strcmp(verdict, "accept") == 0)
            cr_expect_eq(r.code, 0, "%s: %s", name, r.text);
        else if (strcmp(verdict, "reject") == 0)
            cr_expect_eq(r.code, 1, "%s is listed", name);
        else
            cr_expect(r.code == 0 || r.code == 1, "%s: exit %d", name, r.code);
        cr_expect(r.code == 0 || (r.lines == 1 && r.clean), "%s: %s", name, r.text);
        judged++;
    }
    cr_assert_gt(judged, 50);
    json_decref(index);
}

/* Byte patches to the real Selfie file, each a lie of its own. */
Test(malformed, selfie_patches)
{
    char folder[600], path[1400];
    size_t i;
    json_t *patch;
    struct stat st;

    if (!media_dir(folder, sizeof folder))
        cr_skip_test("no oracles here");
    snprintf(path, sizeof path, "%s/tflite/selfie_patches.json", folder);
    json_t *list = json_load_file(path, 0, NULL);
    snprintf(path, sizeof path, "%s/../../data/weights/%s", folder,
             json_string_value(json_object_get(list, "file")));
    if (!list || stat(path, &st) != 0)
        cr_skip_test("no weights here");
    unsigned char *p = malloc((size_t)st.st_size), *q = malloc((size_t)st.st_size);
    FILE *f = fopen(path, "rb");
    cr_assert(f && fread(p, 1, (size_t)st.st_size, f) == (size_t)st.st_size);
    fclose(f);
    snprintf(path, sizeof path, "/tmp/vbg-patch-%ld.tflite", (long)getpid());
    json_array_foreach(json_object_get(list, "patches"), i, patch)
    {
        const char *hex = json_string_value(json_object_get(patch, "hex"));
        size_t at = (size_t)json_integer_value(json_object_get(patch, "offset"));
        unsigned byte;
        memcpy(q, p, (size_t)st.st_size);
        for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
            q[at++] = (unsigned char)byte;
        f = fopen(path, "wb");
        cr_assert(f && fwrite(q, 1, (size_t)st.st_size, f) == (size_t)st.st_size);
        fclose(f);
        program_result r = run("vbg-convert", "--list", path, NULL, NULL, NULL);
        cr_expect(r.code == 1 && r.lines == 1 && r.clean, "%s: exit %d %s",
                  json_string_value(json_object_get(patch, "name")), r.code, r.text);
    }
    unlink(path);
    free(p);
    free(q);
    json_decref(list);
}
