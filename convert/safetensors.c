/* Reader of safetensors files: u64 header length, JSON header, data.
 *
 * Limits: file 64 GiB, header 2..100,000,000 bytes, JSON depth 4, 65,536 tensors,
 * names 1..1,024 bytes, rank 8, metadata 1 MiB of strings.  Data ranges must cover the
 * data section exactly: sorted by offset each begins where the one before it ended.
 * An empty tensor owns no bytes.  Everything is checked before a pointer leaves. */
#define _GNU_SOURCE
#include "convert/safetensors.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "convert/json_text.h"
#include "engine/io.h"
#include "engine/weights_format.h"

enum { MAX_HEADER = 100000000, MAX_DEPTH = 4, MAX_METADATA = 1 << 20 };

struct vbg_safetensors {
    vbg_map map;
    bool borrowed; /* map points into the caller's memory */
    char *path;
    json_t *root; /* owns names and metadata */
    vbg_st_tensor *tensor;
    size_t count;
};

static const struct {
    const char *name;
    vbg_dtype dtype;
    int bits;
} kinds[] = {
    { "F32", VBG_F32, 32 },       { "F16", VBG_F16, 16 },
    { "BF16", VBG_BF16, 16 },     { "F64", VBG_F64, 64 },
    { "I64", VBG_I64, 64 },       { "I32", VBG_I32, 32 },
    { "I8", VBG_I8, 8 },          { "U8", VBG_U8, 8 },
    { "BOOL", VBG_BOOL, 8 },      { "I16", VBG_DTYPES, 16 },
    { "U16", VBG_DTYPES, 16 },    { "U32", VBG_DTYPES, 32 },
    { "U64", VBG_DTYPES, 64 },    { "C64", VBG_DTYPES, 64 },
    { "F8_E4M3", VBG_DTYPES, 8 }, { "F8_E5M2", VBG_DTYPES, 8 },
    { "F8_E8M0", VBG_DTYPES, 8 }, { "F6_E2M3", VBG_DTYPES, 6 },
    { "F6_E3M2", VBG_DTYPES, 6 }, { "F4", VBG_DTYPES, 4 },
};

static vbg_status bad(const vbg_safetensors *f, vbg_err *err, const char *what)
{
    return vbg_fail(err, VBG_EFORMAT, "%s: %s", f->path, what);
}

/* The same with the tensor's name, shortened. */
static vbg_status bad_tensor(const vbg_safetensors *f, vbg_err *err, const char *name,
                             const char *what)
{
    char shown[96];
    return vbg_fail(err, VBG_EFORMAT, "%s: tensor \"%s\": %s", f->path,
                    vbg_shorten(shown, sizeof shown, name), what);
}

/* Finds the header and parses it into f->root; *data gets the data offset. */
static vbg_status read_header(vbg_safetensors *f, size_t *data, vbg_err *err)
{
    const unsigned char *p = f->map.data;
    uint64_t length;
    const char *cause;

    if (f->map.bytes == 0)
        return bad(f, err, "empty file");
    if (f->map.bytes < 8)
        return bad(f, err, "too short for a safetensors file");
    memcpy(&length, p, 8);
    if (length < 2 || length > MAX_HEADER || length > f->map.bytes - 8)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: byte 0: header length %llu is not possible; not a "
                        "safetensors file, or truncated",
                        f->path, (unsigned long long)length);
    if (p[8] != '{')
        return bad(f, err, "byte 8: header does not start with {");
    f->root = vbg_json_parse((const char *)p + 8, (size_t)length, MAX_DEPTH,
                             VBG_MAX_TENSORS * 16 + 64, &cause);
    if (!f->root)
        return vbg_fail(err, VBG_EFORMAT, "%s: header: %s", f->path, cause);
    if (!json_is_object(f->root))
        return bad(f, err, "header is not a JSON object");
    *data = 8 + (size_t)length;
    return VBG_OK;
}

static vbg_status check_metadata(const vbg_safetensors *f, json_t *meta, vbg_err *err)
{
    const char *key;
    json_t *value;
    size_t total = 0;

    if (!json_is_object(meta))
        return bad(f, err, "__metadata__ is not an object");
    json_object_foreach(meta, key, value)
    {
        if (!json_is_string(value))
            return bad(f, err, "a value of __metadata__ is not a string");
        total += strlen(key) + json_string_length(value);
        if (total > MAX_METADATA)
            return bad(f, err, "__metadata__ is larger than 1 MiB");
    }
    return VBG_OK;
}

/* A JSON integer that is not negative. */
static bool natural(const json_t *j, int64_t *out)
{
    if (!json_is_integer(j) || json_integer_value(j) < 0)
        return false;
    *out = json_integer_value(j);
    return true;
}

static vbg_status read_shape(const vbg_safetensors *f, vbg_st_tensor *t, json_t *shape,
                             vbg_err *err)
{
    if (!json_is_array(shape))
        return bad_tensor(f, err, t->name, "shape is missing or not an array");
    if (json_array_size(shape) > VBG_MAX_RANK)
        return bad_tensor(f, err, t->name, "more than 8 dimensions");
    t->rank = (int)json_array_size(shape);
    for (int i = 0; i < t->rank; i++)
        if (!natural(json_array_get(shape, (size_t)i), &t->dim[i]))
            return bad_tensor(f, err, t->name, "a dimension is not a natural number");
    if (!vbg_dims_count(&t->count, t->rank, t->dim))
        return bad_tensor(f, err, t->name, "shape is beyond the limits");
    return VBG_OK;
}

static vbg_status read_kind(const vbg_safetensors *f, vbg_st_tensor *t, json_t *kind,
                            size_t *bits, vbg_err *err)
{
    const char *name = json_string_value(kind);

    if (!name)
        return bad_tensor(f, err, t->name, "dtype is missing or not a string");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            t->kind = kinds[i].name;
            t->dtype = kinds[i].dtype;
            *bits = (size_t)kinds[i].bits;
            return VBG_OK;
        }
    return bad_tensor(f, err, t->name, "unknown dtype");
}

/* One entry of the header.  data: offset of the data section. */
static vbg_status read_tensor(vbg_safetensors *f, vbg_st_tensor *t, json_t *j,
                              size_t data, vbg_err *err)
{
    int64_t begin, end;
    size_t bits = 0, total;
    vbg_status st;

    if (!vbg_name_ok(t->name, strlen(t->name), VBG_MAX_NAME))
        return bad_tensor(f, err, t->name,
                          "name is empty, longer than 1,024 bytes or has control "
                          "characters");
    if (!json_is_object(j))
        return bad_tensor(f, err, t->name, "entry is not an object");
    if (json_object_size(j) > 3)
        return bad_tensor(f, err, t->name, "unknown field");
    st = read_kind(f, t, json_object_get(j, "dtype"), &bits, err);
    if (st == VBG_OK)
        st = read_shape(f, t, json_object_get(j, "shape"), err);
    if (st != VBG_OK)
        return st;
    json_t *range = json_object_get(j, "data_offsets");
    if (!json_is_array(range) || json_array_size(range) != 2 ||
        !natural(json_array_get(range, 0), &begin) ||
        !natural(json_array_get(range, 1), &end))
        return bad_tensor(f, err, t->name, "data_offsets are not two natural numbers");
    if (begin > end || (uint64_t)end > f->map.bytes - data)
        return bad_tensor(f, err, t->name,
                          "data range lies outside the file (truncated?)");
    t->offset = data + (size_t)begin;
    t->bytes = (size_t)(end - begin);
    if (!vbg_mul_size(&total, t->count, bits) || total % 8 || total / 8 != t->bytes)
        return bad_tensor(f, err, t->name, "shape and data range disagree");
    t->data = f->map.data + t->offset;
    return VBG_OK;
}

static int by_offset(const void *a, const void *b)
{
    const vbg_st_tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones first */
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const vbg_st_tensor *)a)->name, ((const vbg_st_tensor *)b)->name);
}

/* The ranges must cover the data section without overlap, hole or rest. */
static vbg_status check_cover(const vbg_safetensors *f, size_t data, vbg_err *err)
{
    size_t at = data;

    for (size_t i = 0; i < f->count; i++) {
        const vbg_st_tensor *t = &f->tensor[i];
        if (t->offset != at)
            return bad_tensor(f, err, t->name,
                              t->offset < at ? "overlaps another tensor"
                                             : "unused bytes before its data");
        at += t->bytes;
    }
    if (at != f->map.bytes)
        return vbg_fail(err, VBG_EFORMAT, "%s: byte %zu: data behind the last tensor",
                        f->path, at);
    return VBG_OK;
}

static vbg_status read_all(vbg_safetensors *f, vbg_err *err)
{
    size_t data = 0, entries;
    const char *key;
    json_t *value;
    vbg_status st = read_header(f, &data, err);

    if (st != VBG_OK)
        return st;
    entries = json_object_size(f->root);
    if (entries > VBG_MAX_TENSORS + 1)
        return bad(f, err, "more than 65,536 tensors");
    f->tensor = calloc(entries + 1, sizeof *f->tensor);
    if (!f->tensor)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", f->path);
    json_object_foreach(f->root, key, value)
    {
        if (strcmp(key, "__metadata__") == 0) {
            st = check_metadata(f, value, err);
        } else {
            vbg_st_tensor *t = &f->tensor[f->count];
            t->name = key;
            st = read_tensor(f, t, value, data, err);
            f->count++;
        }
        if (st != VBG_OK)
            return st;
    }
    if (f->count > VBG_MAX_TENSORS)
        return bad(f, err, "more than 65,536 tensors");
    qsort(f->tensor, f->count, sizeof *f->tensor, by_offset);
    st = check_cover(f, data, err);
    qsort(f->tensor, f->count, sizeof *f->tensor, by_name);
    return st;
}

vbg_status vbg_st_open_at(vbg_safetensors **out, int dir, const char *name,
                          const char *shown, vbg_err *err)
{
    vbg_safetensors *f = calloc(1, sizeof *f);
    vbg_status st = VBG_ENOMEM;

    if (!f || !(f->path = strdup(shown))) {
        vbg_fail(err, st, "%s: out of memory", shown);
        goto done;
    }
    st = vbg_map_open_at(&f->map, dir, name, shown, VBG_MAX_MODEL_BYTES, err);
    if (st == VBG_OK)
        st = read_all(f, err);
    if (st == VBG_OK) {
        *out = f;
        f = NULL;
    }
done:
    vbg_st_close(f);
    return st;
}

vbg_status vbg_st_open(vbg_safetensors **out, const char *path, vbg_err *err)
{
    return vbg_st_open_at(out, AT_FDCWD, path, path, err);
}

vbg_status vbg_st_open_memory(vbg_safetensors **out, const void *data, size_t bytes,
                              vbg_err *err)
{
    vbg_safetensors *f = calloc(1, sizeof *f);
    vbg_status st = VBG_ENOMEM;

    if (!f || !(f->path = strdup("memory"))) {
        vbg_fail(err, st, "out of memory");
        goto done;
    }
    f->borrowed = true;
    f->map = (vbg_map){ .data = data, .bytes = bytes };
    st = read_all(f, err);
    if (st == VBG_OK) {
        *out = f;
        f = NULL;
    }
done:
    vbg_st_close(f);
    return st;
}

void vbg_st_close(vbg_safetensors *f)
{
    if (!f)
        return;
    if (!f->borrowed)
        vbg_map_close(&f->map);
    json_decref(f->root);
    free(f->tensor);
    free(f->path);
    free(f);
}

size_t vbg_st_count(const vbg_safetensors *f)
{
    return f->count;
}

const vbg_st_tensor *vbg_st_at(const vbg_safetensors *f, size_t i)
{
    return &f->tensor[i];
}

const vbg_st_tensor *vbg_st_find(const vbg_safetensors *f, const char *name)
{
    vbg_st_tensor key = { .name = name };
    return f->count ? bsearch(&key, f->tensor, f->count, sizeof key, by_name) : NULL;
}

const char *vbg_st_metadata(const vbg_safetensors *f, const char *key)
{
    return json_string_value(
        json_object_get(json_object_get(f->root, "__metadata__"), key));
}

void vbg_st_release(const vbg_safetensors *f, const vbg_st_tensor *t)
{
    if (!f->borrowed)
        vbg_map_release(&f->map, t->offset, t->bytes);
}

void vbg_st_to_f32(float *dst, const vbg_st_tensor *t)
{
    const unsigned char *p = t->data;
    size_t width = vbg_dtype_size(t->dtype);

    VBG_CHECK(t->dtype < VBG_DTYPES, "%s has no type that widens", t->name);
    if (t->dtype == VBG_F32) {
        if (t->bytes)
            memcpy(dst, p, t->bytes);
        return;
    }
    for (size_t i = 0; i < t->count; i++, p += width) {
        uint16_t half;
        int32_t i32;
        int64_t i64;
        double f64;
        switch (t->dtype) {
        case VBG_F16:
        case VBG_BF16:
            memcpy(&half, p, 2);
            dst[i] = t->dtype == VBG_F16 ? vbg_f16_to_f32(half) : vbg_bf16_to_f32(half);
            break;
        case VBG_F64:
            memcpy(&f64, p, 8);
            dst[i] = (float)f64;
            break;
        case VBG_I64:
            memcpy(&i64, p, 8);
            dst[i] = (float)i64;
            break;
        case VBG_I32:
            memcpy(&i32, p, 4);
            dst[i] = (float)i32;
            break;
        case VBG_I8:
            dst[i] = (float)(int8_t)p[0];
            break;
        default: /* u8, bool */
            dst[i] = (float)p[0];
            break;
        }
    }
}
