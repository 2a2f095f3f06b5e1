/* The TFLite reader: a small valid model built here, every byte of it damaged in turn,
 * single lies, and (where ../shared exists) the collection of broken files and the
 * byte patches to the real Selfie file. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/tflite.h"
#include "convert/tflite_map.h"
#include "engine/io.h"

/* ---- a FlatBuffer writer for one little model ----
 * Everything is appended; offsets lead forward and are patched once the target is
 * there.  Scalars take 4 bytes but for the types, which are bytes at the field's start
 * (little-endian: the rest is zero). */

enum { ROOM = 4096 };

typedef struct builder {
    uint8_t data[ROOM];
    size_t used;
} builder;

static size_t put32(builder *b, uint32_t v)
{
    size_t at = b->used;
    memcpy(b->data + at, &v, 4);
    b->used += 4;
    return at;
}

static void put16(builder *b, unsigned v)
{
    b->data[b->used++] = (uint8_t)v;
    b->data[b->used++] = (uint8_t)(v >> 8);
}

/* A table of n fields of 4 bytes, bit i of present saying which exist; returns the
 * place of the table.  Field k (counting the present ones) is at +4 + 4k. */
static size_t table(builder *b, unsigned fields, unsigned present)
{
    unsigned count = 0;
    size_t vtable = b->used;

    for (unsigned i = 0; i < fields; i++)
        count += present >> i & 1;
    put16(b, 4 + 2 * fields);
    put16(b, 4 + 4 * count);
    for (unsigned i = 0, k = 0; i < fields; i++)
        put16(b, present >> i & 1 ? 4 + 4 * k++ : 0);
    if (b->used % 4)
        put16(b, 0);
    size_t at = put32(b, 0);
    uint32_t back = (uint32_t)(at - vtable);
    memcpy(b->data + at, &back, 4);
    for (unsigned k = 0; k < count; k++)
        put32(b, 0);
    return at;
}

static size_t field(size_t t, unsigned k)
{
    return t + 4 + 4 * k;
}

static void set(builder *b, size_t at, uint32_t v)
{
    memcpy(b->data + at, &v, 4);
}

/* Makes the offset at `from` lead to the end, where the target is written next. */
static void link_here(builder *b, size_t from)
{
    set(b, from, (uint32_t)(b->used - from));
}

static void link_to(builder *b, size_t from, size_t to)
{
    set(b, from, (uint32_t)(to - from));
}

/* A vector of n zeroed u32. */
static size_t vector(builder *b, size_t from, uint32_t n)
{
    link_here(b, from);
    size_t at = put32(b, n) + 4;
    for (uint32_t i = 0; i < n; i++)
        put32(b, 0);
    return at;
}

static void ints(builder *b, size_t from, uint32_t n, const int *v)
{
    size_t at = vector(b, from, n);
    for (uint32_t i = 0; i < n; i++)
        set(b, at + 4 * i, (uint32_t)v[i]);
}

static void string(builder *b, size_t from, const char *s)
{
    size_t n = strlen(s);
    link_here(b, from);
    put32(b, (uint32_t)n);
    memcpy(b->data + b->used, s, n + 1);
    b->used += n + 1;
    b->used = (b->used + 3) / 4 * 4;
}

/* Places in the model that tests damage. */
typedef struct places {
    size_t version, stride_w, padding, bias_input, output, shape_in, shape_out,
        options_type, kernel_buffer, op_code;
} places;

static void tensor(builder *b, size_t from, const char *name, int rank, const int *dim,
                   uint32_t buffer, size_t *shape, size_t *buffer_field)
{
    size_t t =
        (b->used = (b->used + 3) / 4 * 4, table(b, 4, 0xd)); /* shape, buffer, name */
    link_to(b, from, t);
    *shape = b->used + 4;
    ints(b, field(t, 0), (uint32_t)rank, dim);
    set(b, field(t, 1), buffer);
    *buffer_field = field(t, 1);
    string(b, field(t, 2), name);
}

/* input [1,5,4,2] -> 3x3/2 SAME convolution -> [1,3,2,3] */
static places build(builder *b)
{
    static const int in[] = { 1, 5, 4, 2 }, k[] = { 3, 3, 3, 2 }, bias[] = { 3 },
                     out[] = { 1, 3, 2, 3 };
    static const int op_in[] = { 0, 1, 2 }, op_out[] = { 3 }, graph_in[] = { 0 };
    places p;
    size_t unused;

    *b = (builder){ .used = 0 };
    put32(b, 0);
    memcpy(b->data + 4, "TFL3", 4);
    b->used = 8;
    size_t model = table(b, 5, 0x17); /* version, codes, subgraphs, buffers */
    link_to(b, 0, model);
    p.version = field(model, 0);
    set(b, p.version, 3);

    size_t codes = vector(b, field(model, 1), 1);
    size_t code = table(b, 4, 0x9); /* deprecated code, code */
    link_to(b, codes, code);
    set(b, field(code, 0), 3);
    p.op_code = field(code, 1);
    set(b, p.op_code, 3);

    size_t buffers = vector(b, field(model, 3), 3);
    for (size_t i = 0; i < 3; i++) {
        static const uint32_t bytes[3] = { 0, 3 * 3 * 3 * 2 * 4, 3 * 4 };
        size_t t = table(b, 1, i ? 1 : 0);
        link_to(b, buffers + 4 * i, t);
        if (!i)
            continue;
        link_here(b, field(t, 0));
        put32(b, bytes[i]);
        for (uint32_t v = 0; v < bytes[i] / 4; v++) {
            float x = 0.25f * (float)(v % 7) - 0.5f;
            memcpy(b->data + b->used, &x, 4);
            b->used += 4;
        }
    }
    size_t graphs = vector(b, field(model, 2), 1);
    size_t graph = table(b, 4, 0xf);
    link_to(b, graphs, graph);
    size_t tensors = vector(b, field(graph, 0), 4);
    tensor(b, tensors, "input", 4, in, 0, &p.shape_in, &unused);
    tensor(b, tensors + 4, "kernel", 4, k, 1, &unused, &p.kernel_buffer);
    tensor(b, tensors + 8, "bias", 1, bias, 2, &unused, &unused);
    tensor(b, tensors + 12, "output", 4, out, 0, &p.shape_out, &unused);
    ints(b, field(graph, 1), 1, graph_in);
    ints(b, field(graph, 2), 1, op_out);
    size_t ops = vector(b, field(graph, 3), 1);
    size_t op = table(b, 5, 0x1e); /* inputs, outputs, options type, options */
    link_to(b, ops, op);
    p.bias_input = b->used + 4 + 8;
    ints(b, field(op, 0), 3, op_in);
    p.output = b->used + 4;
    ints(b, field(op, 1), 1, op_out);
    p.options_type = field(op, 2);
    set(b, p.options_type, 1);
    size_t options = table(b, 4, 0xf); /* padding, stride_w, stride_h, activation */
    link_to(b, field(op, 3), options);
    p.padding = field(options, 0);
    p.stride_w = field(options, 1);
    set(b, p.stride_w, 2);
    set(b, field(options, 2), 2);
    set(b, field(options, 3), 1);
    return p;
}

/* Parses a copy of exactly n bytes, so that a sanitizer sees any overread. */
static vbg_status parse(const uint8_t *data, size_t n, vbg_err *err)
{
    vbg_tflite *m = NULL;
    uint8_t *copy = malloc(n ? n : 1);

    cr_assert_not_null(copy);
    memcpy(copy, data, n);
    vbg_status st = vbg_tflite_parse(&m, copy, n, "test", err);
    vbg_tflite_close(m);
    free(copy);
    return st;
}

Test(tflite, reads_a_small_model)
{
    builder b;
    vbg_tflite *m = NULL;
    vbg_err err = { "" };

    build(&b);
    cr_assert_eq(vbg_tflite_parse(&m, b.data, b.used, "test", &err), VBG_OK, "%s",
                 err.text);
    cr_assert_eq(vbg_tflite_ops(m), 1);
    cr_assert_eq(vbg_tflite_tensors(m), 4);
    const vbg_tfl_op *op = vbg_tflite_op(m, 0);
    cr_assert(op->same && op->stride_w == 2 && op->activation == VBG_TFL_FUSED_RELU);
    const vbg_tfl_tensor *k = vbg_tflite_constant(m, 1);
    cr_assert(k && k->count == 54 && k->dim[0] == 3);
    float v[54];
    vbg_tflite_to_f32(v, k);
    cr_assert(v[0] == -0.5f && v[1] == -0.25f);
    cr_assert_null(vbg_tflite_constant(m, 0));

    vbg_tfl_network *net = malloc(sizeof *net);
    cr_assert_not_null(net);
    cr_assert_eq(vbg_tflite_recognise(net, m, "test", &err), VBG_EUNSUPPORTED);
    free(net);
    vbg_tflite_close(m);
}

Test(tflite, refuses_every_truncation)
{
    builder b;

    build(&b);
    for (size_t n = 0; n < b.used; n++)
        cr_assert_neq(parse(b.data, n, NULL), VBG_OK, "%zu of %zu bytes", n, b.used);
}

/* Nothing to expect but that it returns (and what the sanitizers say). */
Test(tflite, survives_every_damaged_byte)
{
    static const uint8_t flips[] = { 0x01, 0x80, 0xff, 0x04 };
    builder b;

    build(&b);
    for (size_t i = 0; i < b.used; i++)
        for (size_t k = 0; k < sizeof flips; k++) {
            b.data[i] ^= flips[k];
            parse(b.data, b.used, NULL);
            b.data[i] ^= flips[k];
        }
}

Test(tflite, refuses_single_lies)
{
    builder b;
    const places p = build(&b);
    const struct {
        size_t at;
        uint32_t value;
        const char *word; /* in the message */
    } lies[] = {
        { p.version, 0, "version" },        { p.version, 999, "version 3" },
        { p.stride_w, 0, "stride" },        { p.stride_w, 0xffffffff, "stride" },
        { p.stride_w, 65, "stride" },       { p.padding, 7, "padding" },
        { p.bias_input, 4, "input 4" },     { p.bias_input, 0x80000000, "input" },
        { p.output, 0, "writes tensor 0" }, { p.output, 1, "writes tensor 1" },
        { p.shape_in, 0, "dimension" },     { p.shape_in + 4, 0x7fffffff, "shapes" },
        { p.shape_in + 12, 3, "shapes" },   { p.shape_out + 4, 4, "shapes" },
        { p.options_type, 5, "options" },   { p.kernel_buffer, 2, "size" },
        { p.kernel_buffer, 3, "buffer" },   { p.op_code, 9999, "9999" },
    };

    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        vbg_err err = { "" };
        uint32_t was;
        memcpy(&was, b.data + lies[i].at, 4);
        set(&b, lies[i].at, lies[i].value);
        cr_expect_neq(parse(b.data, b.used, &err), VBG_OK, "lie %zu", i);
        cr_expect(strstr(err.text, lies[i].word), "lie %zu: \"%s\" lacks \"%s\"", i,
                  err.text, lies[i].word);
        set(&b, lies[i].at, was);
    }
    cr_assert_eq(parse(b.data, b.used, NULL), VBG_OK);
    /* an absent bias is allowed */
    set(&b, p.bias_input, 0xffffffff);
    cr_assert_eq(parse(b.data, b.used, NULL), VBG_OK);
}

/* ---- with ../shared ---- */

static const char *shared(char *dst, size_t size, const char *rest)
{
    const char *dir = getenv("VBG_SHARED");
    snprintf(dst, size, "%s/%s", dir && *dir ? dir : "../shared", rest);
    return access(dst, R_OK) == 0 ? dst : NULL;
}

Test(tflite, verdicts_of_the_broken_files)
{
    char path[1024], file[1024];
    json_error_t jerr;
    const char *key;
    json_t *value;

    if (!shared(path, sizeof path, "golden/malformed_media/index.json"))
        cr_skip_test("no ../shared");
    json_t *root = json_load_file(path, 0, &jerr);
    cr_assert_not_null(root);
    json_object_foreach(json_object_get(root, "cases"), key, value)
    {
        vbg_tflite *m = NULL;
        vbg_err err = { "" };
        if (strncmp(key, "tflite/", 7) != 0 || strstr(key, ".json"))
            continue;
        snprintf(file, sizeof file, "%.*s/%s", (int)(strrchr(path, '/') - path), path,
                 key);
        const char *verdict = json_string_value(json_object_get(value, "verdict"));
        vbg_status st = vbg_tflite_open(&m, file, &err);
        if (strcmp(verdict, "accept") == 0) {
            cr_expect_eq(st, VBG_OK, "%s: %s", key, err.text);
            if (m)
                cr_expect_eq(vbg_tflite_tensors(m),
                             json_integer_value(json_object_get(value, "tensors")));
        } else if (strcmp(verdict, "reject") == 0) {
            cr_expect(st != VBG_OK && err.text[0], "%s was read", key);
        }
        vbg_tflite_close(m);
    }
    json_decref(root);
}

static unsigned nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

Test(tflite, refuses_every_patch_of_selfie)
{
    char list[1024], path[1024], weights[1024];
    json_error_t jerr;
    vbg_map map;
    vbg_err err = { "" };
    size_t i;
    json_t *patch;

    if (!shared(list, sizeof list, "golden/malformed_media/tflite/selfie_patches.json"))
        cr_skip_test("no ../shared");
    json_t *root = json_load_file(list, 0, &jerr);
    cr_assert_not_null(root);
    snprintf(weights, sizeof weights, "data/weights/%s",
             json_string_value(json_object_get(root, "file")));
    if (!shared(path, sizeof path, weights))
        cr_skip_test("no weights");
    cr_assert_eq(vbg_map_open(&map, path, 1 << 30, &err), VBG_OK, "%s", err.text);
    uint8_t *data = malloc(map.bytes);
    cr_assert_not_null(data);
    json_array_foreach(json_object_get(root, "patches"), i, patch)
    {
        size_t at = (size_t)json_integer_value(json_object_get(patch, "offset"));
        const char *hex = json_string_value(json_object_get(patch, "hex"));
        memcpy(data, map.data, map.bytes);
        for (size_t k = 0; hex[2 * k]; k++)
            data[at + k] = (uint8_t)(nibble(hex[2 * k]) << 4 | nibble(hex[2 * k + 1]));
        cr_expect_neq(parse(data, map.bytes, NULL), VBG_OK, "%s",
                      json_string_value(json_object_get(patch, "name")));
    }
    cr_assert_eq(parse(map.data, map.bytes, &err), VBG_OK, "%s", err.text);
    free(data);
    vbg_map_close(&map);
    json_decref(root);
}

Test(tflite, recognises_the_real_files)
{
    static const struct {
        const char *file, *arch;
        int width, height, stride, weights;
    } real[] = {
        { "selfiesegmentation_mlkit-256x256-2021_01_19-v1215.f16.tflite", "selfie", 256,
          256, 0, 110 },
        { "selfie_segmentation_landscape.tflite", "selfie", 256, 144, 0, 110 },
        { "body-pix-float-050-8.tflite", "bodypix-mobilenet", 257, 257, 8, 56 },
        { "deeplabv3_257_mv_gpu.tflite", "deeplab-tflite", 257, 257, 0, 110 },
    };
    vbg_tfl_network *net = malloc(sizeof *net);
    char rest[256], path[1024];

    cr_assert_not_null(net);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
        vbg_tflite *m = NULL;
        vbg_err err = { "" };
        snprintf(rest, sizeof rest, "data/weights/%s", real[i].file);
        if (!shared(path, sizeof path, rest))
            continue;
        cr_assert_eq(vbg_tflite_open(&m, path, &err), VBG_OK, "%s", err.text);
        cr_assert_eq(vbg_tflite_recognise(net, m, path, &err), VBG_OK, "%s", err.text);
        cr_expect_str_eq(net->arch, real[i].arch);
        cr_expect(net->width == real[i].width && net->height == real[i].height);
        cr_expect(net->stride == real[i].stride && net->weights == real[i].weights,
                  "%s: %d weights", real[i].file, net->weights);
        vbg_tflite_close(m);
    }
    free(net);
}
