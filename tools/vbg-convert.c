/* vbg-convert: checkpoints of other programs to .vbg files, and listings of both. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/convert.h"
#include "convert/export.h"
#include "convert/list.h"
#include "convert/retype.h"
#include "engine/io.h"
#include "models/check.h"
#include "tools/options.h"

static const vbg_option options[] = {
    { "output", 'o', VBG_OPT_STRING, "FILE", NULL, NULL,
      "the .vbg file to write (the safetensors file or folder, when IN is a .vbg file)",
      "output", VBG_OPT_COMMON },
    { "dtype", 0, VBG_OPT_CHOICE, "TYPE", NULL, "bf16|f16|f32|int8",
      "how layers are stored (default bf16, exports f32)", "output", VBG_OPT_COMMON },
    { "layout", 0, VBG_OPT_CHOICE, "NAME", NULL,
      "noisrucer|coincheung|caa|diffusers|plain",
      "names of an export (default: those of the model's project)", "output",
      VBG_OPT_COMMON },
    { "list", 'l', VBG_OPT_FLAG, NULL, NULL, NULL,
      "print what is inside a model of any format", "output", VBG_OPT_COMMON },
    { "json", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "with --list: as JSON", "output",
      VBG_OPT_COMMON },
    { "verify", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "compare every checksum of a .vbg file", "output", VBG_OPT_COMMON },
    { "config-from", 0, VBG_OPT_STRING, "DIR", NULL, NULL,
      "folder for configs and tokenizer the file lacks", "input", VBG_OPT_COMMON },
    { "caa", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "add the panorama (CAA) blocks of FILE", "input",
      VBG_OPT_COMMON },
    { "vae", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "IN is a .vbg file: the autoencoder of FILE, another one, instead of its own",
      "input", 0 },
    { "prediction", 0, VBG_OPT_CHOICE, "TYPE", NULL, "epsilon|v_prediction",
      "UNet output", "input", VBG_OPT_COMMON },
    { "name", 0, VBG_OPT_STRING, "NAME", NULL, NULL, "model name in metadata", "input",
      0 },
    { "skip-unknown", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "leave out tensors that no network uses", "input", 0 },
    { "no-clobber", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "refuse to replace FILE", "output",
      0 },
    { "yes", 'y', VBG_OPT_FLAG, NULL, NULL, NULL,
      "accepted for habit's sake: output is replaced anyway", "output", VBG_OPT_HIDDEN },
    { "type", 0, VBG_OPT_STRING, NULL, NULL, NULL, "dtype", NULL, VBG_OPT_ALIAS },
    { 0 }
};

static const vbg_program program = {
    .name = "vbg-convert",
    .purpose = "converts model checkpoints to .vbg files",
    .usage = "vbg-convert IN -o OUT.vbg [options]\n       vbg-convert M.vbg -o OUT "
             "[--layout NAME]\n       vbg-convert --list FILE [--json]",
    .examples = { "vbg-convert stable-diffusion-2-1-base -o room.vbg --caa "
                  "pano.safetensors",
                  "vbg-convert --list room.vbg" },
    .extra =
        "IN is a diffusers folder, a .safetensors file (Stable Diffusion 1 and 2 in ldm "
        "names,\nMVDiffusion, TAESD, CLIP, BiSeNet, DeepLabV3, LR-ASPP), a .tflite file "
        "(Selfie,\nBodyPix, DeepLab) or the id of a model in the local hub cache; or a "
        ".vbg file, to\nstore it in another --dtype (int8: half of bf16, for layers that "
        "bear it) or, with\n--layout, back to safetensors for Python.\n",
    .options = options,
    .max_positional = 1,
};

/* ---- listing ---- */

/* "[320,4,3,3]" */
static const char *shape_text(char *dst, size_t size, const json_t *shape)
{
    size_t o = (size_t)snprintf(dst, size, "[");

    for (size_t i = 0; i < json_array_size(shape) && o + 24 < size; i++)
        o += (size_t)snprintf(dst + o, size - o, "%s%lld", i ? "," : "",
                              (long long)json_integer_value(json_array_get(shape, i)));
    snprintf(dst + o, size - o, "]");
    return dst;
}

static const char *text_of(const json_t *j, const char *key, const char *otherwise)
{
    const char *s = json_string_value(json_object_get(j, key));
    return s ? s : otherwise;
}

/* One line whatever the white space of the value. */
static void print_folded(const char *key, const char *value)
{
    printf("  %-18s ", key);
    for (bool gap = false; *value; value++) {
        bool space = *value == ' ' || *value == '\n' || *value == '\r' || *value == '\t';
        if (!space) {
            if (gap)
                putchar(' ');
            putchar(*value);
        }
        gap = space;
    }
    putchar('\n');
}

static void print_list(const json_t *root)
{
    char shape[256];
    const char *key;
    json_t *value;
    size_t i;

    printf("%s: %s, %s\n", text_of(root, "file", ""), text_of(root, "format", ""),
           text_of(root, "what", "unknown architecture"));
    json_object_foreach(json_object_get(root, "metadata"), key, value)
        print_folded(key, json_string_value(value));
    json_array_foreach(json_object_get(root, "tensors"), i, value)
    {
        const char *component = text_of(value, "component", "");
        printf("  %s%s%s  %s %s", component, component[0] ? "/" : "",
               text_of(value, "name", ""), text_of(value, "dtype", ""),
               shape_text(shape, sizeof shape, json_object_get(value, "shape")));
        printf("%s%s\n", json_object_get(value, "layout") ? " " : "",
               text_of(value, "layout", ""));
    }
    printf("%zu tensors, %lld values, %.1f MB\n",
           json_array_size(json_object_get(root, "tensors")),
           (long long)json_integer_value(json_object_get(root, "parameters")),
           (double)json_integer_value(json_object_get(root, "bytes")) * 1e-6);
}

static vbg_status list(const vbg_values *v, const char *path, vbg_err *err)
{
    json_t *root = NULL;
    vbg_status st = vbg_list(&root, path, err);

    if (st != VBG_OK)
        return st;
    if (vbg_value_flag(v, "json")) {
        json_dumpf(root, stdout, JSON_INDENT(1));
        putchar('\n');
    } else {
        print_list(root);
    }
    json_decref(root);
    return VBG_OK;
}

static vbg_status verify(const char *path, vbg_err *err)
{
    vbg_weights *w = NULL;
    vbg_status st = vbg_weights_open(&w, path, err);

    if (st == VBG_OK)
        st = vbg_weights_verify(w, err);
    if (st == VBG_OK)
        vbg_note("%s: all %zu checksums are right", path, vbg_weights_count(w));
    vbg_weights_close(w);
    return st;
}

/* ---- converting ---- */

static vbg_status check(void *arg, const vbg_weights *w, const char *arch, vbg_err *err)
{
    (void)arg;
    return vbg_model_check(w, arch, err);
}

static bool progress(void *arg, uint64_t done, uint64_t total)
{
    vbg_progress *p = arg;

    if (p->total == 0)
        vbg_progress_start(p, "converting", (long)(total >> 20) + 1);
    vbg_progress_step(p, (long)(done >> 20));
    return !vbg_stop_signal();
}

static vbg_dtype dtype_of(const char *name)
{
    return strcmp(name, "f32") == 0    ? VBG_F32
           : strcmp(name, "f16") == 0  ? VBG_F16
           : strcmp(name, "int8") == 0 ? VBG_I8
                                       : VBG_BF16;
}

/* True for an existing file below folder that is no earlier conversion. */
static bool inside(const char *file, const char *folder)
{
    char *f = realpath(file, NULL), *d = realpath(folder, NULL);
    size_t n = d ? strlen(d) : 0, m = f ? strlen(f) : 0;
    bool in = f && d && strncmp(f, d, n) == 0 && f[n] == '/' &&
              !(m > 4 && strcmp(f + m - 4, ".vbg") == 0);

    free(f);
    free(d);
    return in;
}

/* A file of our own, by its name. */
static bool is_vbg(const char *path)
{
    size_t n = strlen(path);

    return n > 4 && strcmp(path + n - 4, ".vbg") == 0;
}

/* Options about checkpoints say nothing about a .vbg file, which is complete. */
static vbg_status only_retype(const vbg_values *v, const char *in, vbg_err *err)
{
    static const char *const no[] = { "config-from", "prediction", "name",
                                      "skip-unknown" };
    const char *caa = vbg_value(v, "caa");

    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (vbg_value_given(v, no[i]))
            return vbg_fail(err, VBG_EUSAGE,
                            "--%s is for checkpoints, %s is a .vbg file already: export "
                            "it (--layout diffusers) and convert that folder",
                            no[i], in);
    if (caa && !is_vbg(caa))
        return vbg_fail(
            err, VBG_EUSAGE,
            "--caa %s: %s is a .vbg file, its blocks come from another one: "
            "export it (--layout diffusers) and convert that folder with them",
            caa, in);
    return VBG_OK;
}

/* The same model with layers of another type. */
static vbg_status retype(const vbg_values *v, const char *in, const char *out,
                         vbg_dtype t, vbg_err *err)
{
    const vbg_retype_parts parts = { vbg_value(v, "vae"), vbg_value(v, "caa") };
    vbg_retype_result r;
    double start = vbg_now();
    vbg_status st = only_retype(v, in, err);

    if (st == VBG_OK)
        st = vbg_retype(in, &parts, out, t, &r, err);

    if (st == VBG_OK)
        vbg_note("%s: %zu tensors, %.1f million values, %.1f s", out, r.tensors,
                 (double)r.parameters * 1e-6, vbg_now() - start);
    return st;
}

static vbg_status convert(const vbg_values *v, const char *in, vbg_err *err)
{
    vbg_progress bar = { 0 };
    vbg_convert_result r;
    const char *out = vbg_value(v, "output"), *dtype = vbg_value(v, "dtype");
    const char *vae = vbg_value(v, "vae");
    double start = vbg_now();
    vbg_convert_opt opt = {
        .package = { .dtype = dtype_of(dtype ? dtype : "bf16"),
                     .config_from = vbg_value(v, "config-from"),
                     .caa = vbg_value(v, "caa"),
                     .prediction = vbg_value(v, "prediction"),
                     .name = vbg_value(v, "name") },
        .skip_unknown = vbg_value_flag(v, "skip-unknown"),
        .check = check,
        .progress = progress,
        .arg = &bar,
    };

    if (!out)
        return vbg_fail(err, VBG_EUSAGE, "no output: give -o FILE.vbg");
    if (strcmp(out, "-") == 0)
        return vbg_fail(err, VBG_EUSAGE, "-o -: a .vbg file cannot go to stdout");
    if (vbg_same_place(out, in) ||
        (opt.package.caa && vbg_same_place(out, opt.package.caa)) ||
        (vae && vbg_same_place(out, vae)))
        return vbg_fail(err, VBG_EUSAGE, "%s: output and input are the same file", out);
    if (inside(out, in) ||
        (opt.package.config_from && inside(out, opt.package.config_from)))
        return vbg_fail(err, VBG_EUSAGE, "%s: output and input are the same file", out);
    if (vbg_value_flag(v, "no-clobber") && access(out, F_OK) == 0)
        return vbg_fail(err, VBG_EIO, "%s: exists, and --no-clobber is given", out);
    if (is_vbg(in))
        return retype(v, in, out, opt.package.dtype, err);
    if (vae)
        return vbg_fail(err, VBG_EUSAGE,
                        "--vae is for .vbg files: convert %s first, then the autoencoder",
                        in);
    vbg_status st = vbg_convert(in, out, &opt, &r, err);
    if (bar.total)
        vbg_progress_end(&bar);
    if (st != VBG_OK)
        return st;
    vbg_note("%s: %s, %zu tensors, %.1f million values, %.1f s", out, r.kind, r.tensors,
             (double)r.parameters * 1e-6, vbg_now() - start);
    if (r.left_out)
        vbg_detail("%zu tensors that inference does not use were left out", r.left_out);
    if (strcmp(r.arch, "sd") == 0 && r.text && !r.tokenizer)
        vbg_warning("%s has no tokenizer, which vbg-gen needs: convert again with "
                    "--config-from DIR (a folder with tokenizer/)",
                    out);
    return VBG_OK;
}

/* A .vbg file that is to become something else than another one. */
static bool wants_export(const vbg_values *v)
{
    const char *out = vbg_value(v, "output");
    const size_t n = out ? strlen(out) : 0;

    return is_vbg(vbg_positional(v, 0)) &&
           (vbg_value(v, "layout") || n < 5 || strcmp(out + n - 4, ".vbg") != 0);
}

static vbg_status export_model(const vbg_values *v, const char *in, vbg_err *err)
{
    const char *out = vbg_value(v, "output"), *dtype = vbg_value(v, "dtype");
    const vbg_export_opt opt = { .layout = vbg_value(v, "layout"),
                                 .dtype = dtype_of(dtype ? dtype : "f32") };
    vbg_export_result r;

    if (!out)
        return vbg_fail(err, VBG_EUSAGE, "no output: give -o OUT");
    if (opt.dtype == VBG_I8)
        return vbg_fail(err, VBG_EUSAGE, "--dtype int8 is for .vbg files");
    if (vbg_value_flag(v, "no-clobber") && access(out, F_OK) == 0)
        return vbg_fail(err, VBG_EIO, "%s: exists, and --no-clobber is given", out);
    const vbg_status st = vbg_export(in, out, &opt, &r, err);
    if (st != VBG_OK)
        return st;
    vbg_note("%s: layout %s, %zu tensors, %.1f million values", out, r.layout, r.tensors,
             (double)r.parameters * 1e-6);
    if (r.added)
        vbg_detail("%zu of them are counters and unused heads that the loader wants",
                   r.added);
    return st;
}

int main(int argc, char **argv)
{
    vbg_values *v;
    vbg_err err = { "" };
    int code = vbg_options_start(&v, &program, argc, argv);

    if (code >= 0)
        return code;
    vbg_message_setup(v);
    vbg_signals_setup();
    vbg_status st;
    const bool lists = vbg_value_flag(v, "list"), verifies = vbg_value_flag(v, "verify");
    if (vbg_positionals(v) == 0)
        st = vbg_fail(&err, VBG_EUSAGE, "no input: name a checkpoint, folder or hub id");
    else if (lists + verifies + (vbg_value(v, "output") != NULL) > 1)
        st = vbg_fail(&err, VBG_EUSAGE,
                      "--list, --verify and --output exclude each other");
    else if (vbg_value_flag(v, "json") && !lists)
        st = vbg_fail(&err, VBG_EUSAGE, "--json goes with --list");
    else if (vbg_value_flag(v, "list"))
        st = list(v, vbg_positional(v, 0), &err);
    else if (vbg_value_flag(v, "verify"))
        st = verify(vbg_positional(v, 0), &err);
    else if (wants_export(v))
        st = export_model(v, vbg_positional(v, 0), &err);
    else if (vbg_value(v, "layout"))
        st = vbg_fail(&err, VBG_EUSAGE, "--layout goes with a .vbg file as input");
    else
        st = convert(v, vbg_positional(v, 0), &err);
    code = vbg_exit_code(st, &err);
    if (vbg_stop_signal() && st == VBG_ECANCEL)
        code = 128 + vbg_stop_signal();
    vbg_values_free(v);
    return vbg_finish_output(code);
}
