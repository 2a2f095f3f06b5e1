/* Writer of .vbg files (layout: engine/weights_format.h).
 *
 * Everything is announced before the first data, so that the place of every tensor is
 * known and data can stream in any order: memory is one packed tensor at a time. */
#define _POSIX_C_SOURCE 200809L
#include "engine/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/io.h"
#include "engine/map_guard.h"
#include "engine/weights_format.h"
#include "kernels/gemm.h"

typedef struct meta_item {
    char *key;
    void *value;
    size_t bytes;
    vbg_meta_type type;
} meta_item;

typedef struct tensor_item {
    char *component, *name;
    vbg_dtype dtype;
    vbg_layout layout;
    int rank;
    int64_t dim[VBG_MAX_RANK];
    size_t bytes;
    uint64_t offset, checksum;
    bool written;
} tensor_item;

struct vbg_writer {
    vbg_file *file;
    char *path;
    meta_item *meta;
    size_t meta_count, meta_room, meta_bytes;
    tensor_item *tensor;
    size_t count, room, index_bytes;
    uint64_t data_at, end;
    bool placed; /* sorted, offsets given: nothing more can be announced */
    void *buffer;
    size_t buffer_bytes;
};

vbg_status vbg_writer_new(vbg_writer **out, const char *path, vbg_err *err)
{
    vbg_writer *w = calloc(1, sizeof *w);
    vbg_status st;

    if (!w || !(w->path = strdup(path))) {
        free(w);
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    }
    st = vbg_file_create(&w->file, path, err);
    if (st != VBG_OK) {
        vbg_writer_abort(w);
        return st;
    }
    *out = w;
    return VBG_OK;
}

vbg_status vbg_writer_new_preview(vbg_writer **out, vbg_err *err)
{
    vbg_writer *w = calloc(1, sizeof *w);

    if (!w || !(w->path = strdup("model"))) {
        free(w);
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    *out = w;
    return VBG_OK;
}

void vbg_writer_abort(vbg_writer *w)
{
    if (!w)
        return;
    vbg_file_abort(w->file);
    for (size_t i = 0; i < w->meta_count; i++) {
        free(w->meta[i].key);
        free(w->meta[i].value);
    }
    for (size_t i = 0; i < w->count; i++) {
        free(w->tensor[i].component);
        free(w->tensor[i].name);
    }
    free(w->meta);
    free(w->tensor);
    vbg_free_mem(w->buffer);
    free(w->path);
    free(w);
}

/* Makes room for one more element of size bytes in the array *items. */
static bool grow(void **items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : 64;
    void *p = realloc(*items, more * size);
    if (!p)
        return false;
    *items = p;
    *room = more;
    return true;
}

static bool has_meta(const vbg_writer *w, const char *key)
{
    for (size_t i = 0; i < w->meta_count; i++)
        if (strcmp(w->meta[i].key, key) == 0)
            return true;
    return false;
}

static vbg_status add_meta(vbg_writer *w, const char *key, vbg_meta_type type,
                           const void *value, size_t bytes, vbg_err *err)
{
    void *items = w->meta;

    VBG_CHECK(!w->placed, "metadata %s announced after data", key);
    if (w->meta_count >= VBG_MAX_META || bytes > VBG_MAX_META_VALUE ||
        !vbg_name_ok(key, strlen(key), VBG_MAX_META_KEY))
        return vbg_fail(err, VBG_ELIMIT,
                        "%s: metadata beyond the limits (%d keys of %d bytes, values of "
                        "%d bytes)",
                        w->path, VBG_MAX_META, VBG_MAX_META_KEY, VBG_MAX_META_VALUE);
    VBG_CHECK(!has_meta(w, key), "metadata %s given twice", key);
    if (!grow(&items, w->meta_count, &w->meta_room, sizeof *w->meta))
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", w->path);
    w->meta = items;
    meta_item m = {
        .key = strdup(key), .value = malloc(bytes + 1), .bytes = bytes, .type = type
    };
    if (!m.key || !m.value) {
        free(m.key);
        free(m.value);
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", w->path);
    }
    if (bytes)
        memcpy(m.value, value, bytes);
    ((char *)m.value)[bytes] = 0;
    w->meta[w->meta_count++] = m;
    return VBG_OK;
}

vbg_status vbg_writer_string(vbg_writer *w, const char *key, const char *value,
                             vbg_err *err)
{
    return add_meta(w, key, VBG_META_STRING, value, strlen(value), err);
}

vbg_status vbg_writer_int(vbg_writer *w, const char *key, int64_t value, vbg_err *err)
{
    return add_meta(w, key, VBG_META_INT, &value, sizeof value, err);
}

vbg_status vbg_writer_real(vbg_writer *w, const char *key, double value, vbg_err *err)
{
    if (!isfinite(value))
        return vbg_fail(err, VBG_EFORMAT, "%s: metadata %s is not finite", w->path, key);
    return add_meta(w, key, VBG_META_REAL, &value, sizeof value, err);
}

vbg_status vbg_writer_bytes(vbg_writer *w, const char *key, const void *data,
                            size_t bytes, vbg_err *err)
{
    return add_meta(w, key, VBG_META_BYTES, data, bytes, err);
}

vbg_status vbg_writer_copy_meta(vbg_writer *w, const vbg_weights *from, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < vbg_weights_meta_count(from) && st == VBG_OK; i++) {
        const void *value;
        size_t bytes;
        int type;
        const char *key = vbg_weights_meta_at(from, i, &type, &value, &bytes);
        if (!has_meta(w, key))
            st = add_meta(w, key, (vbg_meta_type)type, value, bytes, err);
    }
    return st;
}

vbg_status vbg_writer_declare(vbg_writer *w, const char *component, const char *name,
                              vbg_dtype dtype, vbg_layout layout, int rank,
                              const int64_t *dim, vbg_err *err)
{
    void *items = w->tensor;
    char shown[200];
    tensor_item t = { .dtype = dtype, .layout = layout, .rank = rank };

    VBG_CHECK(!w->placed, "tensor %s announced after data", name);
    vbg_shorten(shown, sizeof shown, name);
    if (w->count >= VBG_MAX_TENSORS)
        return vbg_fail(err, VBG_ELIMIT, "%s: more than %d tensors", w->path,
                        VBG_MAX_TENSORS);
    if (!vbg_name_ok(name, strlen(name), VBG_MAX_NAME) ||
        !vbg_name_ok(component, strlen(component), VBG_MAX_NAME))
        return vbg_fail(err, VBG_ELIMIT,
                        "%s: tensor name %s is empty, longer than %d bytes, or not clean "
                        "UTF-8",
                        w->path, shown, VBG_MAX_NAME);
    if (!vbg_layout_bytes(&t.bytes, dtype, layout, rank, dim))
        return vbg_fail(err, VBG_ELIMIT,
                        "%s: tensor %s/%s: shape does not fit layout %s %s", w->path,
                        component, shown, vbg_dtype_name(dtype), vbg_layout_name(layout));
    memcpy(t.dim, dim, (size_t)rank * sizeof *dim);
    if (!grow(&items, w->count, &w->room, sizeof *w->tensor))
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", w->path);
    w->tensor = items;
    t.component = strdup(component);
    t.name = strdup(name);
    if (!t.component || !t.name) {
        free(t.component);
        free(t.name);
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", w->path);
    }
    w->tensor[w->count++] = t;
    return VBG_OK;
}

static int by_name(const void *a, const void *b)
{
    const tensor_item *x = a, *y = b;
    int c = strcmp(x->component, y->component);
    return c ? c : strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const meta_item *)a)->key, ((const meta_item *)b)->key);
}

static size_t meta_record(const meta_item *m)
{
    return vbg_round_up(16 + strlen(m->key) + 1 + m->bytes + 1, 8);
}

static size_t index_record(const tensor_item *t)
{
    return vbg_round_up(
        16 + 8 * (size_t)t->rank + 24 + strlen(t->component) + strlen(t->name) + 2, 8);
}

/* Sorts everything and gives every tensor its place. */
static vbg_status place(vbg_writer *w, vbg_err *err)
{
    size_t components = 0;

    if (w->placed)
        return VBG_OK;
    if (w->meta_count)
        qsort(w->meta, w->meta_count, sizeof *w->meta, by_key);
    if (w->count)
        qsort(w->tensor, w->count, sizeof *w->tensor, by_name);
    w->meta_bytes = w->index_bytes = 8;
    for (size_t i = 0; i < w->meta_count; i++)
        w->meta_bytes += meta_record(&w->meta[i]);
    for (size_t i = 0; i < w->count; i++)
        w->index_bytes += index_record(&w->tensor[i]);
    w->data_at =
        vbg_round_up(VBG_FILE_HEADER + w->meta_bytes + w->index_bytes, VBG_FILE_ALIGN);
    w->end = w->data_at;
    for (size_t i = 0; i < w->count; i++) {
        tensor_item *t = &w->tensor[i];
        if (i > 0 && by_name(t - 1, t) == 0)
            return vbg_fail(err, VBG_EFORMAT, "%s: tensor %s/%s is there twice", w->path,
                            t->component, t->name);
        if (i == 0 || strcmp(t[-1].component, t->component) != 0)
            components++;
        t->offset = w->end;
        w->end = vbg_round_up(w->end + t->bytes, VBG_FILE_ALIGN);
        if (w->end > VBG_MAX_MODEL_BYTES || components > VBG_MAX_COMPONENTS)
            return vbg_fail(err, VBG_ELIMIT,
                            "%s: more than 64 GiB of weights or %d components", w->path,
                            VBG_MAX_COMPONENTS);
    }
    w->placed = true;
    if (!w->file)
        return VBG_OK;
    return vbg_file_resize(w->file, w->end + VBG_FILE_TAIL, err);
}

vbg_status vbg_writer_data(vbg_writer *w, const char *component, const char *name,
                           const void *values, vbg_err *err)
{
    tensor_item key = { .component = (char *)(uintptr_t)component,
                        .name = (char *)(uintptr_t)name };
    vbg_status st = place(w, err);

    if (st != VBG_OK)
        return st;
    tensor_item *t =
        w->count ? bsearch(&key, w->tensor, w->count, sizeof key, by_name) : NULL;
    VBG_CHECK(t && !t->written, "data of %s/%s was not announced or is given twice",
              component, name);
    const void *data = values;
    bool floats = t->dtype == VBG_F32 || t->dtype == VBG_BF16 || t->dtype == VBG_F16 ||
                  t->layout == VBG_LAYOUT_PACK16;
    if (floats && !(t->dtype == VBG_F32 && t->layout == VBG_LAYOUT_PLAIN)) {
        if (t->bytes > w->buffer_bytes) {
            vbg_free_mem(w->buffer);
            w->buffer = vbg_alloc(t->bytes);
            w->buffer_bytes = w->buffer ? t->bytes : 0;
            if (!w->buffer)
                return vbg_fail(err, VBG_ENOMEM, "%s: out of memory (%zu bytes for %s)",
                                w->path, t->bytes, name);
        }
        vbg_layout_pack(w->buffer, t->dtype, t->layout, t->rank, t->dim, values);
        data = w->buffer;
    }
    t->checksum = XXH3_64bits(data, t->bytes);
    t->written = true;
    return vbg_file_write_at(w->file, data, t->bytes, t->offset, err);
}

/* Appends bytes at *p. */
static void put(unsigned char **p, const void *data, size_t bytes)
{
    if (bytes)
        memcpy(*p, data, bytes);
    *p += bytes;
}

static void put32(unsigned char **p, size_t v)
{
    uint32_t x = (uint32_t)v;
    put(p, &x, sizeof x);
}

static void put64(unsigned char **p, uint64_t v)
{
    put(p, &v, sizeof v);
}

static void put_meta(const vbg_writer *w, unsigned char *p)
{
    put64(&p, w->meta_count);
    for (size_t i = 0; i < w->meta_count; i++) {
        const meta_item *m = &w->meta[i];
        unsigned char *at = p;
        put32(&at, strlen(m->key));
        put32(&at, (size_t)m->type);
        put64(&at, m->bytes);
        put(&at, m->key, strlen(m->key) + 1);
        put(&at, m->value, m->bytes + 1);
        p += meta_record(m);
    }
}

static void put_index(const vbg_writer *w, unsigned char *p)
{
    put64(&p, w->count);
    for (size_t i = 0; i < w->count; i++) {
        const tensor_item *t = &w->tensor[i];
        unsigned char *at = p;
        unsigned char kind[8] = { (unsigned char)t->dtype, (unsigned char)t->layout,
                                  (unsigned char)t->rank };
        put32(&at, strlen(t->component));
        put32(&at, strlen(t->name));
        put(&at, kind, sizeof kind);
        put(&at, t->dim, (size_t)t->rank * sizeof *t->dim);
        put64(&at, t->offset);
        put64(&at, t->bytes);
        put64(&at, t->checksum);
        put(&at, t->component, strlen(t->component) + 1);
        put(&at, t->name, strlen(t->name) + 1);
        p += index_record(t);
    }
}

/* Header, metadata and index into head, which has room for them and is zeroed. */
static void put_head(const vbg_writer *w, unsigned char *head)
{
    unsigned char *p = head;

    put(&p, VBG_FILE_MAGIC, 8);
    put32(&p, VBG_FILE_VERSION);
    put32(&p, 0);
    put64(&p, VBG_FILE_HEADER);
    put64(&p, w->meta_bytes);
    put64(&p, VBG_FILE_HEADER + w->meta_bytes);
    put64(&p, w->index_bytes);
    put64(&p, w->data_at);
    put_meta(w, head + VBG_FILE_HEADER);
    put_index(w, head + VBG_FILE_HEADER + w->meta_bytes);
    put64(&p, XXH3_64bits(head, VBG_FILE_HEADER + w->meta_bytes + w->index_bytes));
}

vbg_status vbg_writer_preview(vbg_writer *w, vbg_weights **out, vbg_err *err)
{
    vbg_map map;
    vbg_status st = place(w, err);

    if (st == VBG_OK)
        st = vbg_map_zero(&map, w->end + VBG_FILE_TAIL, err);
    if (st != VBG_OK)
        return st;
    put_head(w, (unsigned char *)(uintptr_t)map.data);
    return vbg_weights_open_preview(out, &map, err);
}

vbg_status vbg_writer_finish(vbg_writer *w, vbg_err *err)
{
    vbg_status st = place(w, err);

    if (st == VBG_OK)
        st = vbg_map_guard_check(err); /* the values may be zeros */
    if (st != VBG_OK)
        return st;
    for (size_t i = 0; i < w->count; i++)
        VBG_CHECK(w->tensor[i].written, "no data for %s/%s", w->tensor[i].component,
                  w->tensor[i].name);
    size_t bytes = VBG_FILE_HEADER + w->meta_bytes + w->index_bytes;
    unsigned char *head = vbg_alloc(bytes);
    if (!head)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", w->path);
    put_head(w, head);
    st = vbg_file_write_at(w->file, head, bytes, 0, err);
    vbg_free_mem(head);
    if (st != VBG_OK)
        return st;
    vbg_file *file = w->file;
    w->file = NULL;
    st = vbg_file_commit(file, err);
    if (st == VBG_OK)
        vbg_writer_abort(w); /* the file is gone from it: only memory is freed */
    return st;
}
