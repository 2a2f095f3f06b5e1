/* Listings of .vbg files, safetensors, folders and TensorFlow Lite models. */
#define _POSIX_C_SOURCE 200809L
#include "convert/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "convert/names.h"
#include "convert/source.h"
#include "convert/tflite_map.h"
#include "engine/weights_format.h"

static json_t *shape_of(int rank, const int64_t *dim)
{
    json_t *list = json_array();

    for (int i = 0; i < rank; i++)
        json_array_append_new(list, json_integer(dim[i]));
    return list;
}

/* Kinds of safetensors in lower case, as vbg spells them. */
static json_t *lower(const char *kind)
{
    char text[16];
    size_t i;

    for (i = 0; kind[i] && i + 1 < sizeof text; i++)
        text[i] = (char)(kind[i] >= 'A' && kind[i] <= 'Z' ? kind[i] + 32 : kind[i]);
    text[i] = 0;
    return json_string(text);
}

/* The frame of a listing; tensors are appended to "tensors". */
static json_t *frame(const char *path, const char *format)
{
    return json_pack("{s:s,s:s,s:n,s:n,s:{},s:i,s:i,s:[]}", "file", path, "format",
                     format, "arch", "what", "metadata", "parameters", 0, "bytes", 0,
                     "tensors");
}

static void set_totals(json_t *root, uint64_t parameters, uint64_t bytes)
{
    json_object_set_new(root, "parameters", json_integer((json_int_t)parameters));
    json_object_set_new(root, "bytes", json_integer((json_int_t)bytes));
}

/* Metadata that vbg-convert writes. */
static void add_metadata(json_t *meta, const vbg_weights *w)
{
    static const char *const strings[] = {
        "model.arch",   "model.name",       "model.hash",
        "model.source", "unet.config",      "vae.config",
        "text.config",  "scheduler.config", "tokenizer.config",
    };
    const char *value;
    const void *data;
    size_t bytes;
    char text[64];

    static const char *const sizes[] = { "segmenter.width", "segmenter.height",
                                         "segmenter.stride", "segmenter.person" };
    int64_t number;

    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (vbg_weights_string(w, strings[i], &value))
            json_object_set_new(meta, strings[i], json_string(value));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (vbg_weights_int(w, sizes[i], &number)) {
            snprintf(text, sizeof text, "%lld", (long long)number);
            json_object_set_new(meta, sizes[i], json_string(text));
        }
    if (vbg_weights_bytes(w, "tokenizer.merges", &data, &bytes)) {
        snprintf(text, sizeof text, "%zu bytes", bytes);
        json_object_set_new(meta, "tokenizer.merges", json_string(text));
    }
}

static vbg_status list_vbg(json_t **out, const char *path, vbg_err *err)
{
    vbg_weights *w = NULL;
    uint64_t parameters = 0, bytes = 0;
    const char *value;
    vbg_status st = vbg_weights_open(&w, path, err);

    if (st != VBG_OK)
        return st;
    json_t *root = frame(path, "vbg");
    add_metadata(json_object_get(root, "metadata"), w);
    if (vbg_weights_string(w, "model.arch", &value))
        json_object_set_new(root, "arch", json_string(value));
    if (vbg_weights_string(w, "model.source", &value))
        json_object_set_new(root, "what", json_string(value));
    for (size_t i = 0; i < vbg_weights_count(w); i++) {
        const vbg_entry *e = vbg_weights_at(w, i);
        size_t count = 0;
        vbg_dims_count(&count, e->rank, e->dim);
        parameters += count;
        bytes += e->file_bytes;
        json_array_append_new(
            json_object_get(root, "tensors"),
            json_pack("{s:s,s:s,s:s,s:o,s:I,s:s}", "component", e->component, "name",
                      e->name, "dtype", vbg_dtype_name(e->stored), "shape",
                      shape_of(e->rank, e->dim), "bytes", (json_int_t)e->file_bytes,
                      "layout", vbg_layout_name(e->layout)));
    }
    set_totals(root, parameters, bytes);
    vbg_weights_close(w);
    *out = root;
    return VBG_OK;
}

static vbg_status list_source(json_t **out, const char *path, vbg_err *err)
{
    vbg_source *s = NULL;
    vbg_detected what = { .arch = NULL };
    uint64_t parameters = 0, bytes = 0;
    vbg_status st = vbg_source_open(&s, path, err);

    if (st != VBG_OK)
        return st;
    json_t *root = frame(path, s->format);
    if (vbg_detect(&what, s, NULL) == VBG_OK)
        json_object_set_new(root, "arch", json_string(what.arch));
    if (what.kind)
        json_object_set_new(root, "what", json_string(what.kind));
    for (size_t i = 0; i < s->count; i++) {
        const vbg_st_tensor *t = s->tensor[i].t;
        json_t *j =
            json_pack("{s:s,s:o,s:o,s:I}", "name", t->name, "dtype", lower(t->kind),
                      "shape", shape_of(t->rank, t->dim), "bytes", (json_int_t)t->bytes);
        if (s->tensor[i].part[0])
            json_object_set_new(j, "component", json_string(s->tensor[i].part));
        json_array_append_new(json_object_get(root, "tensors"), j);
        parameters += t->count;
        bytes += t->bytes;
    }
    set_totals(root, parameters, bytes);
    vbg_source_close(s);
    *out = root;
    return VBG_OK;
}

/* Constants are the tensors of a listing; activations belong to the graph. */
static vbg_status list_tflite(json_t **out, const char *path, vbg_err *err)
{
    vbg_tflite *m = NULL;
    vbg_tfl_network *net = calloc(1, sizeof *net);
    uint64_t parameters = 0, bytes = 0;
    char text[64];
    vbg_status st =
        net ? vbg_tflite_open(&m, path, err) : vbg_fail(err, VBG_ENOMEM, "out of memory");

    if (st != VBG_OK) {
        free(net);
        return st;
    }
    json_t *root = frame(path, "tflite");
    if (vbg_tflite_recognise(net, m, path, NULL) == VBG_OK) {
        json_object_set_new(root, "arch", json_string(net->arch));
        json_object_set_new(root, "what", json_string(net->what));
    }
    json_t *meta = json_object_get(root, "metadata");
    snprintf(text, sizeof text, "%d operators, %d tensors", vbg_tflite_ops(m),
             vbg_tflite_tensors(m));
    json_object_set_new(meta, "graph", json_string(text));
    json_object_set_new(meta, "description", json_string(vbg_tflite_description(m)));
    for (int i = 0; i < vbg_tflite_tensors(m); i++) {
        const vbg_tfl_tensor *t = vbg_tflite_tensor(m, i);
        int64_t dim[VBG_TFL_MAX_RANK];
        if (!t->data)
            continue;
        for (int k = 0; k < t->rank; k++)
            dim[k] = t->dim[k];
        json_array_append_new(json_object_get(root, "tensors"),
                              json_pack("{s:s,s:s,s:o,s:I}", "name", t->name, "dtype",
                                        vbg_dtype_name(t->dtype), "shape",
                                        shape_of(t->rank, dim), "bytes",
                                        (json_int_t)t->bytes));
        parameters += t->count;
        bytes += t->bytes;
    }
    set_totals(root, parameters, bytes);
    vbg_tflite_close(m);
    free(net);
    *out = root;
    return VBG_OK;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* The first bytes of a file, zero-padded. */
static void peek(unsigned char head[8], const char *path)
{
    FILE *f = fopen(path, "rb");

    memset(head, 0, 8);
    if (f && fread(head, 1, 8, f) < 8)
        head[7] = 0;
    if (f)
        fclose(f);
}

vbg_status vbg_list(json_t **out, const char *path, vbg_err *err)
{
    unsigned char head[8] = { 0 };
    struct stat info;
    char *folder = NULL;
    vbg_status st;

    *out = NULL;
    if (stat(path, &info) < 0 && strchr(path, '/') && path[0] != '/' && path[0] != '.') {
        st = vbg_hub_folder(&folder, path, err);
        if (st == VBG_OK)
            st = list_source(out, folder, err);
        free(folder);
        return st;
    }
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode))
        peek(head, path);
    if (memcmp(head, VBG_FILE_MAGIC, 8) == 0 || ends_with(path, ".vbg"))
        return list_vbg(out, path, err);
    if (memcmp(head + 4, "TFL3", 4) == 0 || ends_with(path, ".tflite"))
        return list_tflite(out, path, err);
    return list_source(out, path, err);
}
