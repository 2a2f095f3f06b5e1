/* checkpoint/tiny_sd2*: the same little Stable Diffusion in every layout.  The folder is
 * compared with its own safetensors files value by value, every other layout with the
 * converted folder bit by bit. */
#define _GNU_SOURCE
#include "tests/golden/files_same.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/convert.h"
#include "kernels/gemm.h"
#include "models/check.h"

static vbg_status check(void *arg, const vbg_weights *w, const char *arch, vbg_err *err)
{
    (void)arg;
    return vbg_model_check(w, arch, err);
}

/* Converts a file or folder of the oracle set in f32; the .vbg file is unlinked at once.
 * config_from may be NULL. */
static vbg_weights *convert(golden *g, const char *in, const char *config_from)
{
    const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    char path[128];
    vbg_err err = { "" };
    vbg_weights *w = NULL;
    vbg_convert_opt opt = { .package = { .dtype = VBG_F32, .config_from = config_from },
                            .check = check };

    snprintf(path, sizeof path, "%s/vbg-files-%ld.vbg", shm, (long)getpid());
    vbg_status st = vbg_convert(in, path, &opt, NULL, &err);
    if (st == VBG_OK)
        st = vbg_weights_open(&w, path, &err);
    if (st == VBG_OK)
        st = vbg_weights_verify(w, &err);
    unlink(path);
    if (st != VBG_OK)
        golden_fail(g, "%s", err.text);
    return w;
}

/* Stored values of an entry back in PyTorch order. */
static float *values_of(golden *g, const vbg_entry *e)
{
    size_t count = 1;

    for (int i = 0; i < e->rank; i++)
        count *= (size_t)e->dim[i];
    float *v = golden_alloc(g, (count + 1) * sizeof *v);
    if (e->layout == VBG_LAYOUT_PACK16)
        vbg_unpack(v, e->data, e->dtype, (size_t)e->dim[0], (size_t)e->dim[1],
                   e->rank == 4 ? (size_t)e->dim[2] : 1,
                   e->rank == 4 ? (size_t)e->dim[3] : 1);
    else
        memcpy(v, e->data, e->bytes);
    return v;
}

/* Differing values between a stored tensor and the converted entry. */
static double differing(golden *g, const vbg_st_tensor *t, const vbg_entry *e)
{
    float *want = golden_alloc(g, (t->count + 1) * sizeof *want), *got;
    double n = 0;

    if (!e || e->dtype != VBG_F32)
        return (double)t->count + 1;
    vbg_st_to_f32(want, t);
    got = values_of(g, e);
    for (size_t i = 0; i < t->count; i++)
        n += memcmp(&want[i], &got[i], sizeof *want) != 0;
    return n;
}

/* Every tensor of a safetensors file behind prefix must be in the component under its
 * own name, with cut removed from the front. */
static void compare_file(golden *g, const char *path, const vbg_weights *w,
                         const char *component, const char *prefix, const char *cut)
{
    static const struct {
        const char *old, *now;
    } spelling[] = { { ".query.", ".to_q." },
                     { ".key.", ".to_k." },
                     { ".value.", ".to_v." },
                     { ".proj_attn.", ".to_out.0." } };
    vbg_safetensors *f = NULL;
    vbg_err err = { "" };
    double worst = 0;
    size_t compared = 0, n = strlen(cut);
    char name[1200];

    if (vbg_st_open(&f, path, &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        return;
    }
    for (size_t i = 0; i < vbg_st_count(f); i++) {
        const vbg_st_tensor *t = vbg_st_at(f, i);
        if (strncmp(t->name, prefix, strlen(prefix)) != 0 || t->dtype == VBG_I64)
            continue;
        snprintf(name, sizeof name, "%s",
                 strncmp(t->name, cut, n) == 0 ? t->name + n : t->name);
        for (size_t k = 0; k < 4; k++) {
            char *at = strstr(name, spelling[k].old), tail[1200];
            if (!at || strcmp(component, "vae") != 0)
                continue;
            snprintf(tail, sizeof tail, "%s", at + strlen(spelling[k].old));
            snprintf(at, sizeof name - (size_t)(at - name), "%s%s", spelling[k].now,
                     tail);
        }
        double d = differing(g, t, vbg_weights_find(w, component, name));
        if (d > 0)
            golden_fail(g, "%s/%s differs or is missing", component, name);
        worst = d > worst ? d : worst;
        compared++;
    }
    vbg_st_close(f);
    golden_verdict(g, component, worst, 0, worst == 0 && compared > 0);
}

void files_tiny_sd2(golden *g)
{
    const char *dir = golden_path(g, "%s", golden_stem(g));
    vbg_weights *w = convert(g, dir, NULL);

    if (!w)
        return;
    compare_file(
        g, golden_path(g, "%s/unet/diffusion_pytorch_model.safetensors", golden_stem(g)),
        w, "unet", "", "");
    compare_file(
        g, golden_path(g, "%s/vae/diffusion_pytorch_model.safetensors", golden_stem(g)),
        w, "vae", "", "");
    compare_file(g, golden_path(g, "%s/text_encoder/model.safetensors", golden_stem(g)),
                 w, "text", "", "text_model.");
    vbg_weights_close(w);
}

static bool same_entry(const vbg_entry *a, const vbg_entry *b)
{
    return b && a->dtype == b->dtype && a->layout == b->layout && a->rank == b->rank &&
           memcmp(a->dim, b->dim, sizeof a->dim) == 0 && a->bytes == b->bytes &&
           memcmp(a->data, b->data, a->bytes) == 0;
}

/* Entries of component in a that b lacks or has otherwise, both ways. */
static void compare_component(golden *g, const vbg_weights *a, const vbg_weights *b,
                              const char *component)
{
    const vbg_weights *side[2] = { a, b };
    double bad = 0;
    size_t compared = 0;

    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < vbg_weights_count(side[s]); i++) {
            const vbg_entry *e = vbg_weights_at(side[s], i);
            if (strcmp(e->component, component) != 0)
                continue;
            compared++;
            if (!same_entry(e, vbg_weights_find(side[1 - s], component, e->name))) {
                golden_fail(g, "%s/%s differs from the folder", component, e->name);
                bad++;
            }
        }
    golden_verdict(g, component, bad, 0, bad == 0 && compared > 0);
}

/* Converts in and compares the listed components with the folder of the same suffix. */
static void same_as_folder(golden *g, const char *in, const char *const *components)
{
    const char *folder = golden_path(g, "tiny_sd2_%s", golden_suffix(g));
    vbg_weights *base = convert(g, folder, NULL), *w = convert(g, in, folder);

    for (size_t i = 0; base && w && components[i]; i++)
        compare_component(g, w, base, components[i]);
    vbg_weights_close(base);
    vbg_weights_close(w);
}

void files_tiny_sd2_ldm(golden *g)
{
    static const char *const all[] = { "unet", "vae", "text", NULL };
    same_as_folder(g, golden_path(g, "%s.safetensors", golden_stem(g)), all);
}

void files_tiny_sd2_sharded(golden *g)
{
    static const char *const unet[] = { "unet", NULL };
    same_as_folder(g, golden_path(g, "%s", golden_stem(g)), unet);
}

void files_tiny_sd2_vae_newnames(golden *g)
{
    static const char *const vae[] = { "vae", NULL };
    same_as_folder(g, golden_path(g, "%s.safetensors", golden_stem(g)), vae);
}

void files_tiny_sd2_mvd(golden *g)
{
    static const char *const unet[] = { "unet", NULL };
    const char *in = golden_path(g, "%s.safetensors", golden_stem(g));
    vbg_weights *w;

    same_as_folder(g, in, unet);
    w = convert(g, in, golden_path(g, "tiny_sd2_%s", golden_suffix(g)));
    if (w)
        compare_file(g, in, w, "caa", "mv_base_model.cp_blocks", "mv_base_model.");
    vbg_weights_close(w);
}
