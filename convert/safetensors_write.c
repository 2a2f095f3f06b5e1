/* Writer of safetensors files: sorted names, no holes, header padded with spaces to a
 * multiple of 8, atomic. */
#define _POSIX_C_SOURCE 200809L
#include "convert/safetensors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/io.h"
#include "engine/weights_format.h"

static const char *kind_of(vbg_dtype t)
{
    static const char *const names[VBG_DTYPES] = {
        [VBG_F32] = "F32", [VBG_BF16] = "BF16", [VBG_F16] = "F16",
        [VBG_I8] = "I8",   [VBG_U8] = "U8",     [VBG_I32] = "I32",
        [VBG_I64] = "I64", [VBG_F64] = "F64",   [VBG_BOOL] = "BOOL",
    };
    return names[t];
}

static int by_name(const void *a, const void *b)
{
    const vbg_st_out *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* {"dtype":...,"shape":[...],"data_offsets":[at,end]} */
static json_t *entry(const vbg_st_out *t, size_t at, size_t end)
{
    json_t *shape = json_array();

    for (int i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer(t->dim[i]));
    return json_pack("{s:s,s:o,s:[I,I]}", "dtype", kind_of(t->dtype), "shape", shape,
                     "data_offsets", (json_int_t)at, (json_int_t)end);
}

/* The header as text, without padding; NULL when out of memory or a name is no UTF-8. */
static char *header_text(const vbg_st_out *const *sorted, const size_t *bytes,
                         size_t count, const char *const *meta)
{
    json_t *root = json_object();
    size_t at = 0;
    int bad = 0;

    if (meta && meta[0]) {
        json_t *m = json_object();
        for (size_t i = 0; meta[i]; i += 2)
            bad |= json_object_set_new(m, meta[i], json_string(meta[i + 1]));
        bad |= json_object_set_new(root, "__metadata__", m);
    }
    for (size_t i = 0; i < count; i++) {
        bad |= json_object_set_new(root, sorted[i]->name,
                                   entry(sorted[i], at, at + bytes[i]));
        at += bytes[i];
    }
    char *text = bad ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

/* Sorted pointers and byte counts; refuses duplicate names and shapes beyond limits. */
static vbg_status plan(const vbg_st_out **sorted, size_t *bytes, const vbg_st_out *t,
                       size_t count, const char *path, vbg_err *err)
{
    for (size_t i = 0; i < count; i++)
        sorted[i] = &t[i];
    if (count)
        qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return vbg_fail(err, VBG_EFORMAT, "%s: tensor %.80s is there twice", path,
                            sorted[i]->name);
        if (!vbg_layout_bytes(&bytes[i], sorted[i]->dtype, VBG_LAYOUT_PLAIN,
                              sorted[i]->rank, sorted[i]->dim))
            return vbg_fail(err, VBG_ELIMIT, "%s: tensor %.80s: shape beyond the limits",
                            path, sorted[i]->name);
    }
    return VBG_OK;
}

typedef struct stream {
    vbg_st_fill *fill;
    void *arg;
} stream;

static vbg_status write_all(vbg_file *f, const char *text,
                            const vbg_st_out *const *sorted, const size_t *bytes,
                            size_t count, stream from, vbg_err *err)
{
    uint64_t length = strlen(text), padded = vbg_round_up(length, 8);
    vbg_status st = vbg_file_write(f, &padded, 8, err);

    if (st == VBG_OK)
        st = vbg_file_write(f, text, length, err);
    if (st == VBG_OK)
        st = vbg_file_write(f, "        ", padded - length, err);
    for (size_t i = 0; i < count && st == VBG_OK; i++) {
        const void *data = sorted[i]->data;
        if (!data && bytes[i])
            data = from.fill(from.arg, sorted[i]);
        st = data || !bytes[i] ? vbg_file_write(f, data, bytes[i], err)
                               : vbg_fail(err, VBG_ECANCEL, "stopped");
    }
    return st;
}

vbg_status vbg_st_write(const char *path, const vbg_st_out *t, size_t count,
                        const char *const *meta, vbg_err *err)
{
    return vbg_st_write_stream(path, t, count, meta, NULL, NULL, err);
}

vbg_status vbg_st_write_stream(const char *path, const vbg_st_out *t, size_t count,
                               const char *const *meta, vbg_st_fill *fill, void *arg,
                               vbg_err *err)
{
    const vbg_st_out **sorted = calloc(count + 1, sizeof *sorted);
    size_t *bytes = calloc(count + 1, sizeof *bytes);
    char *text = NULL;
    vbg_file *file = NULL;
    vbg_status st = VBG_ENOMEM;

    if (!sorted || !bytes) {
        vbg_fail(err, st, "%s: out of memory", path);
        goto done;
    }
    st = plan(sorted, bytes, t, count, path, err);
    if (st != VBG_OK)
        goto done;
    text = header_text(sorted, bytes, count, meta);
    if (!text) {
        st = vbg_fail(err, VBG_EFORMAT, "%s: out of memory or a name is not UTF-8", path);
        goto done;
    }
    st = vbg_file_create(&file, path, err);
    if (st == VBG_OK)
        st = write_all(file, text, sorted, bytes, count, (stream){ fill, arg }, err);
    if (st == VBG_OK) {
        st = vbg_file_commit(file, err);
        file = NULL;
    }
done:
    vbg_file_abort(file);
    free(text);
    free(bytes);
    free(sorted);
    return st;
}
