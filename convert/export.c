/* .vbg files to safetensors; see convert/export.h.
 * Names: ../shared/spec/ecosystem.md section 7, generation.md section 5. */
#define _GNU_SOURCE
#include "convert/export.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "convert/safetensors.h"
#include "engine/io.h"

/* One file on its way. */
typedef struct outgoing {
    const vbg_weights *w;
    vbg_dtype dtype;
    vbg_st_out *out;
    const vbg_entry **from; /* of each out; NULL: data is there */
    size_t count, room;
    char **names; /* owned, one each */
    float *values;
    void *cast;
    vbg_export_result *result;
    bool failed;
} outgoing;

static const int64_t zero_counter = 0;

/* ---- names ---- */

/* A layout: which component, and what stands before its names. */
typedef struct naming {
    const char *layout, *component, *prefix;
    const char *arch[3]; /* model.arch that it fits; NULL: any */
} naming;

static const naming files[] = {
    { "noisrucer", "segmenter", "", { "bisenet-noisrucer" } },
    { "coincheung", "segmenter", "", { "bisenetv1", "bisenetv2" } },
    { "caa", "caa", "mv_base_model.", { "sd" } },
    { "plain", "segmenter", "", { NULL } },
    { "plain", "taesd", "", { "taesd" } },
};

/* The parts of a diffusers folder. */
static const struct {
    const char *component, *folder, *file, *prefix, *config, *config_file;
} parts[] = {
    { "unet", "unet", "diffusion_pytorch_model.safetensors", "", "unet.config",
      "config.json" },
    { "vae", "vae", "diffusion_pytorch_model.safetensors", "", "vae.config",
      "config.json" },
    { "text", "text_encoder", "model.safetensors", "text_model.", "text.config",
      "config.json" },
    { NULL, "scheduler", NULL, NULL, "scheduler.config", "scheduler_config.json" },
};

/* ---- tensors of a file ---- */

static vbg_status no_memory(vbg_err *err)
{
    return vbg_fail(err, VBG_ENOMEM, "not enough memory to export");
}

/* A place for one more tensor, with its name. */
static vbg_st_out *place(outgoing *o, const char *prefix, const char *name)
{
    if (o->count == o->room) {
        const size_t room = o->room ? 2 * o->room : 256;
        vbg_st_out *out = realloc(o->out, room * sizeof *out);
        o->out = out ? out : o->out;
        const vbg_entry **from = realloc(o->from, room * sizeof *from);
        o->from = from ? from : o->from;
        char **names = realloc(o->names, room * sizeof *names);
        o->names = names ? names : o->names;
        if (!out || !from || !names)
            return NULL;
        o->room = room;
    }
    if (asprintf(&o->names[o->count], "%s%s", prefix, name) < 0)
        return NULL;
    vbg_st_out *t = &o->out[o->count];
    *t = (vbg_st_out){ .name = o->names[o->count] };
    o->from[o->count++] = NULL;
    return t;
}

static bool is_float(vbg_dtype t)
{
    return t == VBG_F32 || t == VBG_BF16 || t == VBG_F16;
}

static bool ends(const char *s, const char *tail)
{
    const size_t n = strlen(s), k = strlen(tail);
    return n >= k && strcmp(s + n - k, tail) == 0;
}

/* Whether the UNet's config asks for linear layers around its transformers. */
static bool linear_projection(const vbg_weights *w)
{
    const char *text = "{}";

    vbg_weights_string(w, "unet.config", &text);
    json_t *o = json_loads(text, 0, NULL);
    const bool linear = json_is_true(json_object_get(o, "use_linear_projection"));
    json_decref(o);
    return linear;
}

/* Layers that are convolutions in diffusers, and 1x1: a file may hold them with rank 2,
 * as networks that were made here do, but there they only load with rank 4. */
static bool is_convolution(const outgoing *o, const vbg_entry *e)
{
    if (e->rank != 2 || strcmp(e->component, "text") == 0)
        return false;
    if (ends(e->name, "conv_shortcut.weight") || ends(e->name, "quant_conv.weight"))
        return true;
    return strcmp(e->component, "unet") == 0 &&
           (ends(e->name, ".proj_in.weight") || ends(e->name, ".proj_out.weight")) &&
           !linear_projection(o->w);
}

static vbg_status add_tensor(outgoing *o, const char *prefix, const vbg_entry *e,
                             vbg_err *err)
{
    vbg_st_out *t = place(o, prefix, e->name);

    if (!t)
        return no_memory(err);
    if (!is_float(e->dtype) && e->layout != VBG_LAYOUT_PLAIN)
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s: %s layers cannot be exported",
                        e->name, vbg_dtype_name(e->dtype));
    t->dtype = is_float(e->dtype) ? o->dtype : e->dtype;
    t->rank = e->rank;
    memcpy(t->dim, e->dim, sizeof t->dim);
    if (is_convolution(o, e)) {
        t->rank = 4;
        t->dim[2] = t->dim[3] = 1;
    }
    o->from[o->count - 1] = e;
    o->result->tensors++;
    uint64_t n = 1;
    for (int i = 0; i < e->rank; i++)
        n *= (uint64_t)e->dim[i];
    o->result->parameters += n;
    return VBG_OK;
}

/* PyTorch's batch norms count their batches; the count is of no use. */
static vbg_status add_counter(outgoing *o, const char *prefix, const vbg_entry *e,
                              vbg_err *err)
{
    char name[1100];

    snprintf(name, sizeof name, "%.*s.num_batches_tracked",
             (int)(strlen(e->name) - strlen(".running_var")), e->name);
    vbg_st_out *t = place(o, prefix, name);
    if (!t)
        return no_memory(err);
    t->dtype = VBG_I64;
    t->data = &zero_counter;
    o->result->tensors++;
    o->result->added++;
    return VBG_OK;
}

static vbg_status add_component(outgoing *o, const char *component, const char *prefix,
                                vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (size_t i = 0; st == VBG_OK && i < vbg_weights_count(o->w); i++) {
        const vbg_entry *e = vbg_weights_at(o->w, i);
        if (strcmp(e->component, component) != 0)
            continue;
        st = add_tensor(o, prefix, e, err);
        if (st == VBG_OK && ends(e->name, ".running_var"))
            st = add_counter(o, prefix, e, err);
    }
    return st;
}

/* noisrucer's two auxiliary heads, which no importer keeps since nothing reads them: its
 * loader wants to see them. */
static vbg_status add_unused_heads(outgoing *o, vbg_err *err)
{
    static const char *const head[2] = { "aux_conv_16x", "aux_conv_32x" };
    static const char *const like[2] = {
        "attention_refinement_module_16x.conv_1x1.weight",
        "attention_refinement_module_32x.conv_1x1.weight"
    };
    const vbg_entry *last = vbg_weights_find(o->w, "segmenter", "final_conv.weight");
    char name[64];

    for (int i = 0; i < 2; i++) {
        const vbg_entry *e = vbg_weights_find(o->w, "segmenter", like[i]);
        snprintf(name, sizeof name, "%s.weight", head[i]);
        if (vbg_weights_find(o->w, "segmenter", name) || !e || !last)
            continue;
        vbg_st_out *t = place(o, "", name);
        if (!t)
            return no_memory(err);
        *t =
            (vbg_st_out){ t->name, o->dtype, 4, { last->dim[0], e->dim[0], 1, 1 }, NULL };
        snprintf(name, sizeof name, "%s.bias", head[i]);
        t = place(o, "", name);
        if (!t)
            return no_memory(err);
        *t = (vbg_st_out){ t->name, o->dtype, 1, { last->dim[0] }, NULL };
        o->result->tensors += 2;
        o->result->added += 2;
    }
    return VBG_OK;
}

static size_t count_of(const vbg_st_out *t)
{
    size_t n = 1;

    for (int i = 0; i < t->rank; i++)
        n *= (size_t)t->dim[i];
    return n;
}

/* The bytes of one tensor, in the wanted type. */
static const void *fill(void *arg, const vbg_st_out *t)
{
    outgoing *o = arg;
    const vbg_entry *e = o->from[t - o->out];
    const size_t n = count_of(t);
    uint16_t *half = o->cast;

    if (!e)
        memset(o->values, 0, n * sizeof *o->values);
    else if (!is_float(e->dtype))
        return e->data;
    else if (!vbg_entry_values(o->values, e))
        return NULL;
    if (t->dtype == VBG_F32)
        return o->values;
    for (size_t i = 0; i < n; i++)
        half[i] = t->dtype == VBG_BF16 ? vbg_f32_to_bf16(o->values[i])
                                       : vbg_f32_to_f16(o->values[i]);
    return half;
}

static vbg_status write_file(outgoing *o, const char *path, const char *architecture,
                             vbg_err *err)
{
    const char *title = "", *source = "";
    size_t most = 1;

    for (size_t i = 0; i < o->count; i++)
        most = count_of(&o->out[i]) > most ? count_of(&o->out[i]) : most;
    o->values = malloc(most * sizeof *o->values);
    o->cast = malloc(most * sizeof(uint16_t));
    if (!o->values || !o->cast)
        return no_memory(err);
    vbg_weights_string(o->w, "model.name", &title);
    vbg_weights_string(o->w, "model.source", &source);
    const char *meta[] = { "format",
                           "pt",
                           "modelspec.sai_model_spec",
                           "1.0.1",
                           "modelspec.architecture",
                           architecture,
                           "modelspec.implementation",
                           "https://github.com/huggingface/diffusers",
                           "modelspec.title",
                           title,
                           "vbg.source",
                           source,
                           "vbg.version",
                           VBG_VERSION,
                           NULL };
    if (strcmp(architecture, "stable-diffusion") != 0)
        meta[7] = "PyTorch";
    return vbg_st_write_stream(path, o->out, o->count, meta, fill, o, err);
}

static void free_outgoing(outgoing *o)
{
    for (size_t i = 0; i < o->count; i++)
        free(o->names[i]);
    free(o->names);
    free(o->out);
    free(o->from);
    free(o->values);
    free(o->cast);
}

/* ---- one file ---- */

static vbg_status export_file(const vbg_weights *w, const naming *n, const char *path,
                              vbg_dtype dtype, vbg_export_result *r, vbg_err *err)
{
    outgoing o = { .w = w, .dtype = dtype, .result = r };
    const char *arch = "";
    vbg_status st = add_component(&o, n->component, n->prefix, err);

    vbg_weights_string(w, "model.arch", &arch);
    if (st == VBG_OK && strcmp(n->layout, "noisrucer") == 0)
        st = add_unused_heads(&o, err);
    if (st == VBG_OK)
        st = write_file(&o, path,
                        strcmp(n->layout, "caa") == 0 ? "mvdiffusion-caa" : arch, err);
    free_outgoing(&o);
    return st;
}

/* ---- a folder ---- */

static vbg_status make_folder(const char *path, vbg_err *err)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return VBG_OK;
    return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
}

vbg_status vbg_export_text(const char *path, const char *text, size_t bytes, vbg_err *err)
{
    vbg_file *f;
    vbg_status st = vbg_file_create(&f, path, err);

    if (st != VBG_OK)
        return st;
    st = vbg_file_write(f, text, bytes, err);
    if (st == VBG_OK)
        return vbg_file_commit(f, err);
    vbg_file_abort(f);
    return st;
}

/* Which classes load the parts. */
static vbg_status write_index(const vbg_weights *w, const char *out, vbg_err *err)
{
    const char *scheduler = NULL, *kind = "PNDMScheduler";
    char path[4096];
    json_t *config = NULL;

    if (vbg_weights_string(w, "scheduler.config", &scheduler))
        config = json_loads(scheduler, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_string(json_object_get(config, "_class_name")))
        kind = json_string_value(json_object_get(config, "_class_name"));
    json_t *index = json_pack(
        "{s:s,s:s,s:[nn],s:b,s:[nn],s:[ss],s:[ss],s:[ss],s:[ss],s:[ss]}", "_class_name",
        "StableDiffusionPipeline", "_diffusers_version", "0.16.1", "feature_extractor",
        "requires_safety_checker", 0, "safety_checker", "scheduler", "diffusers", kind,
        "text_encoder", "transformers", "CLIPTextModel", "tokenizer", "transformers",
        "CLIPTokenizer", "unet", "diffusers", "UNet2DConditionModel", "vae", "diffusers",
        "AutoencoderKL");
    char *text = index ? json_dumps(index, JSON_INDENT(2)) : NULL;
    snprintf(path, sizeof path, "%s/model_index.json", out);
    vbg_status st =
        text ? vbg_export_text(path, text, strlen(text), err) : no_memory(err);
    free(text);
    json_decref(index);
    json_decref(config);
    return st;
}

static vbg_status export_part(const vbg_weights *w, size_t i, const char *out,
                              vbg_dtype dtype, vbg_export_result *r, vbg_err *err)
{
    outgoing o = { .w = w, .dtype = dtype, .result = r };
    char folder[4096], path[4200];
    const char *config = NULL;

    vbg_weights_string(w, parts[i].config, &config);
    if (parts[i].component ? !vbg_weights_has_component(w, parts[i].component) : !config)
        return VBG_OK;
    snprintf(folder, sizeof folder, "%s/%s", out, parts[i].folder);
    vbg_status st = make_folder(folder, err);
    snprintf(path, sizeof path, "%s/%s", folder, parts[i].config_file);
    if (st == VBG_OK && config)
        st = vbg_export_text(path, config, strlen(config), err);
    if (st == VBG_OK && parts[i].component) {
        st = add_component(&o, parts[i].component, parts[i].prefix, err);
        snprintf(path, sizeof path, "%s/%s", folder, parts[i].file);
        if (st == VBG_OK)
            st = write_file(&o, path, "stable-diffusion", err);
    }
    free_outgoing(&o);
    return st;
}

static vbg_status export_folder(const vbg_weights *w, const char *out, vbg_dtype dtype,
                                vbg_export_result *r, vbg_err *err)
{
    char folder[4096];
    struct stat info;

    snprintf(folder, sizeof folder, "%s/model_index.json", out);
    if (stat(out, &info) == 0 && !S_ISDIR(info.st_mode))
        return vbg_fail(err, VBG_EUSAGE, "%s: a file; layout diffusers makes a folder",
                        out);
    vbg_status st = make_folder(out, err);
    for (size_t i = 0; st == VBG_OK && i < sizeof parts / sizeof *parts; i++)
        st = export_part(w, i, out, dtype, r, err);
    snprintf(folder, sizeof folder, "%s/tokenizer", out);
    if (st == VBG_OK && vbg_weights_bytes(w, "tokenizer.merges", &(const void *){ NULL },
                                          &(size_t){ 0 })) {
        st = make_folder(folder, err);
        if (st == VBG_OK)
            st = vbg_export_tokenizer(w, folder, err);
    }
    return st == VBG_OK ? write_index(w, out, err) : st;
}

/* ---- choosing ---- */

static bool fits(const naming *n, const vbg_weights *w, const char *arch)
{
    bool known = !n->arch[0];

    for (int i = 0; i < 3 && n->arch[i]; i++)
        known = known || strcmp(n->arch[i], arch) == 0;
    return known && vbg_weights_has_component(w, n->component);
}

static vbg_status export_open(const vbg_weights *w, const char *in, const char *out,
                              const vbg_export_opt *opt, vbg_export_result *r,
                              vbg_err *err)
{
    const char *arch = "", *layout = opt->layout;

    vbg_weights_string(w, "model.arch", &arch);
    const bool diffusion =
        strcmp(arch, "sd") == 0 &&
        (vbg_weights_has_component(w, "unet") || vbg_weights_has_component(w, "vae"));
    if (layout ? strcmp(layout, "diffusers") == 0 : diffusion) {
        r->layout = "diffusers";
        if (!diffusion)
            return vbg_fail(err, VBG_EUSAGE, "%s: layout diffusers is not for %s", in,
                            *arch ? arch : "this file");
        return export_folder(w, out, opt->dtype, r, err);
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if ((!layout || strcmp(layout, files[i].layout) == 0) &&
            fits(&files[i], w, arch)) {
            r->layout = files[i].layout;
            return export_file(w, &files[i], out, opt->dtype, r, err);
        }
    return vbg_fail(err, VBG_EUSAGE, "%s: layout %s is not for %s", in,
                    layout ? layout : "of safetensors", *arch ? arch : "this file");
}

vbg_status vbg_export(const char *in, const char *out, const vbg_export_opt *opt,
                      vbg_export_result *result, vbg_err *err)
{
    vbg_export_result none;
    vbg_weights *w;

    if (vbg_same_place(in, out))
        return vbg_fail(err, VBG_EUSAGE, "%s: output and input are the same file", out);
    vbg_status st = vbg_weights_open(&w, in, err);
    if (st != VBG_OK)
        return st;
    result = result ? result : &none;
    *result = (vbg_export_result){ 0 };
    st = export_open(w, in, out, opt, result, err);
    vbg_weights_close(w);
    return st;
}
