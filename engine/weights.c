/* Reader of .vbg files (layout: engine/weights_format.h).
 *
 * Every offset, size, name and number is checked in vbg_weights_open before any
 * pointer leaves this file, so the rest of the program may trust an entry without
 * looking.  Only the bytes of the tensors themselves are checked later, on demand.
 * Little-endian machines only: x86. */
#define _POSIX_C_SOURCE 200809L
#include "engine/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/io.h"
#include "engine/map_guard.h"
#include "engine/weights_format.h"
#include "kernels/gemm.h"

typedef struct meta_entry {
    const char *key;
    const unsigned char *value;
    size_t bytes;
    vbg_meta_type type;
} meta_entry;

struct vbg_weights {
    vbg_map map;
    char *path;
    meta_entry *meta;
    size_t meta_count;
    vbg_entry *entry;
    size_t count;
    unsigned char *asked; /* previews: entries that were found by name */
    struct vbg_params *params;
    uint16_t *wide; /* layers that the file holds in 8 bits, as bf16 */
};

typedef struct section {
    const unsigned char *p;
    size_t left;
} section;

static uint32_t load32(const unsigned char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t load64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

bool vbg_dims_count(size_t *count, int rank, const int64_t *dim)
{
    size_t product = 1;
    bool empty = false;

    if (rank < 0 || rank > VBG_MAX_RANK)
        return false;
    for (int i = 0; i < rank; i++)
        empty |= dim[i] == 0;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0 || (!empty && dim[i] > VBG_MAX_DIM))
            return false;
        if (dim[i] == 0)
            continue;
        if (!vbg_mul_size(&product, product, (size_t)dim[i]) ||
            product > VBG_MAX_TENSOR_BYTES)
            return false;
    }
    *count = empty ? 0 : product;
    return true;
}

/* Layer dims as oc, c, taps; false when the tensor is no layer. */
static bool layer_dims(int rank, const int64_t *dim, size_t out[3])
{
    if (rank != 2 && rank != 4)
        return false;
    for (int i = 0; i < rank; i++)
        if (dim[i] <= 0)
            return false;
    out[0] = (size_t)dim[0];
    out[1] = (size_t)dim[1];
    out[2] = rank == 4 ? (size_t)dim[2] * (size_t)dim[3] : 1;
    return true;
}

bool vbg_layout_bytes(size_t *bytes, vbg_dtype dtype, vbg_layout layout, int rank,
                      const int64_t *dim)
{
    size_t count, layer[3], b;

    if (!vbg_dims_count(&count, rank, dim))
        return false;
    switch (layout) {
    case VBG_LAYOUT_PLAIN:
        b = count * vbg_dtype_size(dtype);
        break;
    case VBG_LAYOUT_PACK16:
        if ((dtype != VBG_F32 && dtype != VBG_BF16 && dtype != VBG_F16 &&
             dtype != VBG_I8) ||
            !layer_dims(rank, dim, layer))
            return false;
        /* Cannot overflow: the product is at most 2^40, padding adds a factor of at
         * most 16 * 32 and the width is at most 4. */
        b = dtype == VBG_I8 ? vbg_int8_bytes(layer[0], layer[1], layer[2])
                            : vbg_pack_bytes(dtype, layer[0], layer[1], layer[2]);
        break;
    case VBG_LAYOUT_DEPTHWISE:
    case VBG_LAYOUT_TRANSPOSED:
        if (dtype != VBG_F32 || rank != 4 || !layer_dims(rank, dim, layer) ||
            (layout == VBG_LAYOUT_DEPTHWISE && layer[1] != 1))
            return false;
        b = count * sizeof(float);
        break;
    default:
        return false;
    }
    if (b > VBG_MAX_TENSOR_BYTES)
        return false;
    *bytes = b;
    return true;
}

const char *vbg_layout_name(vbg_layout layout)
{
    static const char *const names[] = { "plain", "pack16", "depthwise", "transposed" };
    return names[layout];
}

static bool all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* Takes n bytes from the front of s or returns NULL. */
static const unsigned char *take(section *s, size_t n)
{
    const unsigned char *p = s->p;

    if (n > s->left)
        return NULL;
    s->p += n;
    s->left -= n;
    return p;
}

/* Skips to the next multiple of 8, which must be zeros. */
static bool take_padding(section *s, size_t used)
{
    size_t pad = vbg_round_up(used, 8) - used;
    const unsigned char *p = take(s, pad);

    return p && all_zero(p, pad);
}

static vbg_status damaged(const vbg_weights *w, vbg_err *err, const char *what)
{
    return vbg_fail(err, VBG_EFORMAT, "%s: %s; convert the model again", w->path, what);
}

static uint64_t header_hash(const unsigned char *file, size_t meta_and_index)
{
    unsigned char head[VBG_FILE_HEADER];
    uint64_t hash;
    XXH3_state_t *s = XXH3_createState();

    if (!s)
        return 0;
    memcpy(head, file, sizeof head);
    memset(head + 56, 0, 8);
    XXH3_64bits_reset(s);
    XXH3_64bits_update(s, head, sizeof head);
    XXH3_64bits_update(s, file + VBG_FILE_HEADER, meta_and_index);
    hash = XXH3_64bits_digest(s);
    XXH3_freeState(s);
    return hash;
}

/* Checks the header; *meta and *index get their sections, *data the data offset. */
static vbg_status check_header(const vbg_weights *w, section *meta, section *index,
                               size_t *data, vbg_err *err)
{
    const unsigned char *p = w->map.data;
    size_t bytes = w->map.bytes, room;

    if (bytes == 0)
        return vbg_fail(err, VBG_EFORMAT, "%s: empty file", w->path);
    if (bytes < 8 || memcmp(p, VBG_FILE_MAGIC, 8) != 0)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: not a .vbg model; convert it with vbg-convert first",
                        w->path);
    if (bytes < VBG_FILE_HEADER + VBG_FILE_TAIL)
        return damaged(w, err, "truncated inside the header");
    if (load32(p + 8) > VBG_FILE_VERSION && load32(p + 8) < 0x10000)
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: made by a newer vbg (format version %u, this one reads %d)",
                        w->path, load32(p + 8), VBG_FILE_VERSION);
    if (load32(p + 8) != VBG_FILE_VERSION || load32(p + 12) != 0)
        return damaged(w, err, "wrong version or flags in the header");
    uint64_t meta_at = load64(p + 16), meta_bytes = load64(p + 24);
    uint64_t index_at = load64(p + 32), index_bytes = load64(p + 40);
    room = bytes - VBG_FILE_HEADER;
    if (meta_at != VBG_FILE_HEADER || meta_bytes < 8 || meta_bytes > room ||
        index_at != meta_at + meta_bytes || index_bytes < 8 ||
        index_bytes > room - meta_bytes)
        return damaged(w, err, "metadata or index outside the file");
    *data = vbg_round_up((size_t)(index_at + index_bytes), VBG_FILE_ALIGN);
    if (load64(p + 48) != *data || *data > bytes - VBG_FILE_TAIL)
        return damaged(w, err, "data section outside the file");
    if (header_hash(p, (size_t)(meta_bytes + index_bytes)) != load64(p + 56))
        return damaged(w, err, "checksum of header and index is wrong");
    if (!all_zero(p + index_at + index_bytes, *data - (size_t)(index_at + index_bytes)))
        return damaged(w, err, "bytes between index and data are not zero");
    *meta = (section){ p + meta_at, (size_t)meta_bytes };
    *index = (section){ p + index_at, (size_t)index_bytes };
    return VBG_OK;
}

static bool meta_value_ok(const meta_entry *m)
{
    double real;

    switch (m->type) {
    case VBG_META_STRING:
        return !memchr(m->value, 0, m->bytes);
    case VBG_META_INT:
        return m->bytes == 8;
    case VBG_META_REAL:
        if (m->bytes != 8)
            return false;
        memcpy(&real, m->value, 8);
        return isfinite(real);
    case VBG_META_BYTES:
        return true;
    }
    return false;
}

static vbg_status read_meta(vbg_weights *w, section s, vbg_err *err)
{
    uint64_t count = load64(take(&s, 8));

    if (count > VBG_MAX_META || count > s.left / 16)
        return damaged(w, err, "number of metadata keys is wrong");
    w->meta = calloc(count ? count : 1, sizeof *w->meta);
    if (!w->meta)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", w->path);
    for (size_t i = 0; i < count; i++) {
        meta_entry *m = &w->meta[i];
        const unsigned char *head = take(&s, 16);
        if (!head)
            return damaged(w, err, "metadata is truncated");
        size_t key_bytes = load32(head);
        uint64_t value_bytes = load64(head + 8);
        m->type = (vbg_meta_type)load32(head + 4);
        if (key_bytes > VBG_MAX_META_KEY || value_bytes > VBG_MAX_META_VALUE)
            return damaged(w, err, "metadata key or value beyond the limits");
        m->bytes = (size_t)value_bytes;
        m->key = (const char *)take(&s, key_bytes + 1);
        m->value = m->key ? take(&s, m->bytes + 1) : NULL;
        if (!m->value || m->key[key_bytes] || m->value[m->bytes] ||
            !take_padding(&s, 18 + key_bytes + m->bytes) ||
            !vbg_name_ok(m->key, key_bytes, VBG_MAX_META_KEY) || !meta_value_ok(m))
            return damaged(w, err, "metadata is malformed");
        if (i > 0 && strcmp(w->meta[i - 1].key, m->key) >= 0)
            return damaged(w, err, "metadata keys are not sorted");
        w->meta_count = i + 1;
    }
    return s.left == 0 ? VBG_OK : damaged(w, err, "bytes left behind the metadata");
}

/* Reads one index record; *offset and *bytes as stored. */
static bool read_record(section *s, vbg_entry *e, uint64_t *offset)
{
    const unsigned char *h = take(s, 16);

    if (!h)
        return false;
    size_t component = load32(h), name = load32(h + 4);
    if (component > VBG_MAX_NAME || name > VBG_MAX_NAME || h[8] >= VBG_DTYPES ||
        h[9] > VBG_LAYOUT_TRANSPOSED || h[10] > VBG_MAX_RANK || h[11] || load32(h + 12))
        return false;
    e->dtype = (vbg_dtype)h[8];
    e->layout = (vbg_layout)h[9];
    e->rank = h[10];
    const unsigned char *d = take(s, (size_t)e->rank * 8 + 24);
    if (!d)
        return false;
    memcpy(e->dim, d, (size_t)e->rank * 8);
    d += (size_t)e->rank * 8;
    *offset = load64(d);
    e->checksum = load64(d + 16);
    e->component = (const char *)take(s, component + 1);
    e->name = e->component ? (const char *)take(s, name + 1) : NULL;
    return e->name && !e->component[component] && !e->name[name] &&
           vbg_name_ok(e->component, component, VBG_MAX_NAME) &&
           vbg_name_ok(e->name, name, VBG_MAX_NAME) &&
           take_padding(s, component + name + 2) &&
           vbg_layout_bytes(&e->bytes, e->dtype, e->layout, e->rank, e->dim) &&
           load64(d + 8) == e->bytes;
}

static int compare_names(const vbg_entry *e, const char *component, const char *name)
{
    int c = strcmp(e->component, component);
    return c ? c : strcmp(e->name, name);
}

/* Offsets are fully determined by the sizes before them, so overlaps, holes and wraps
 * all show as an unexpected offset. */
static vbg_status read_index(vbg_weights *w, section s, size_t data, vbg_err *err)
{
    uint64_t count = load64(take(&s, 8)), offset;
    size_t at = data, components = 0, end;

    if (count > VBG_MAX_TENSORS || count > s.left / 40)
        return damaged(w, err, "number of tensors is wrong");
    w->entry = calloc(count ? count : 1, sizeof *w->entry);
    if (!w->entry)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", w->path);
    for (size_t i = 0; i < count; i++) {
        vbg_entry *e = &w->entry[i];
        if (!read_record(&s, e, &offset))
            return damaged(w, err, "index is malformed");
        if (i > 0 && compare_names(e - 1, e->component, e->name) >= 0)
            return damaged(w, err, "index is not sorted");
        if (i == 0 || strcmp(e[-1].component, e->component) != 0)
            components++;
        if (components > VBG_MAX_COMPONENTS)
            return damaged(w, err, "more than 64 components");
        if (offset != at || e->bytes > w->map.bytes - VBG_FILE_TAIL - at)
            return damaged(w, err, "a tensor lies outside its place");
        e->data = e->file = w->map.data + at;
        e->file_bytes = e->bytes;
        e->stored = e->dtype;
        end = at + e->bytes;
        at = vbg_round_up(end, VBG_FILE_ALIGN);
        if (at > w->map.bytes - VBG_FILE_TAIL)
            return damaged(w, err, "truncated");
        if (!all_zero(w->map.data + end, at - end))
            return damaged(w, err, "bytes between tensors are not zero");
        w->count = i + 1;
    }
    if (s.left)
        return damaged(w, err, "bytes left behind the index");
    if (at != w->map.bytes - VBG_FILE_TAIL || !all_zero(w->map.data + at, VBG_FILE_TAIL))
        return damaged(w, err, "the file is longer than its index says");
    return VBG_OK;
}

static bool is_small(const vbg_entry *e)
{
    return e->dtype == VBG_I8 && e->layout == VBG_LAYOUT_PACK16;
}

/* Puts bf16 in place of layers of 8 bits. */
static vbg_status widen(vbg_weights *w, vbg_err *err)
{
    size_t total = 0, d[3];

    for (size_t i = 0; i < w->count; i++)
        if (is_small(&w->entry[i]) && layer_dims(w->entry[i].rank, w->entry[i].dim, d))
            total += vbg_round_up(vbg_pack_bytes(VBG_BF16, d[0], d[1], d[2]), 64);
    if (total == 0)
        return VBG_OK;
    w->wide = vbg_alloc(total);
    if (!w->wide)
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory to unpack it (%zu MB)",
                        w->path, total >> 20);
    uint16_t *to = w->wide;
    for (size_t i = 0; i < w->count; i++) {
        vbg_entry *e = &w->entry[i];
        if (!is_small(e) || !layer_dims(e->rank, e->dim, d))
            continue;
        vbg_int8_widen(to, e->file, d[0], d[1], d[2]);
        e->data = to;
        e->dtype = VBG_BF16;
        e->bytes = vbg_pack_bytes(VBG_BF16, d[0], d[1], d[2]);
        to += vbg_round_up(e->bytes, 64) / sizeof *to;
    }
    return VBG_OK;
}

/* Checks everything in w->map; on success *out is w, else w is closed. */
static vbg_status open_mapped(vbg_weights **out, vbg_weights *w, vbg_err *err)
{
    section meta = { 0 }, index = { 0 };
    size_t data = 0;
    vbg_status st = check_header(w, &meta, &index, &data, err);

    if (st == VBG_OK)
        st = read_meta(w, meta, err);
    if (st == VBG_OK)
        st = read_index(w, index, data, err);
    if (st == VBG_OK)
        st = widen(w, err);
    if (st == VBG_OK)
        *out = w;
    else
        vbg_weights_close(w);
    return st;
}

vbg_status vbg_weights_open(vbg_weights **out, const char *path, vbg_err *err)
{
    vbg_weights *w = calloc(1, sizeof *w);
    vbg_status st = VBG_ENOMEM;

    if (!w || !(w->path = strdup(path))) {
        free(w);
        return vbg_fail(err, st, "%s: out of memory", path);
    }
    st = vbg_map_open(&w->map, path, VBG_MAX_MODEL_BYTES, err);
    if (st != VBG_OK) {
        vbg_weights_close(w);
        return st;
    }
    st = open_mapped(out, w, err);
    if (st == VBG_OK && (st = vbg_map_guard_check(err)) != VBG_OK) {
        vbg_weights_close(*out);
        *out = NULL;
    }
    return st;
}

vbg_status vbg_weights_open_preview(vbg_weights **out, vbg_map *map, vbg_err *err)
{
    vbg_weights *w = calloc(1, sizeof *w);

    if (!w || !(w->path = strdup("preview"))) {
        free(w);
        vbg_map_close(map);
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    w->map = *map;
    *map = (vbg_map){ 0 };
    vbg_status st = open_mapped(out, w, err);
    if (st != VBG_OK)
        return st;
    w->asked = calloc(w->count + 1, 1);
    if (w->asked)
        return VBG_OK;
    vbg_weights_close(w);
    return vbg_fail(err, VBG_ENOMEM, "out of memory");
}

void vbg_weights_close(vbg_weights *w)
{
    if (!w)
        return;
    vbg_map_close(&w->map);
    vbg_free_mem(w->wide);
    free(w->path);
    free(w->meta);
    free(w->entry);
    free(w->asked);
    free(w);
}

const vbg_entry *vbg_weights_find(const vbg_weights *w, const char *component,
                                  const char *name)
{
    size_t lo = 0, hi = w->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = compare_names(&w->entry[mid], component, name);
        if (c == 0) {
            if (w->asked)
                w->asked[mid] = 1;
            return &w->entry[mid];
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

bool vbg_weights_asked(const vbg_weights *w, size_t i)
{
    return w->asked && w->asked[i];
}

size_t vbg_weights_count(const vbg_weights *w)
{
    return w->count;
}

const vbg_entry *vbg_weights_at(const vbg_weights *w, size_t i)
{
    return &w->entry[i];
}

bool vbg_weights_has_component(const vbg_weights *w, const char *component)
{
    size_t lo = 0, hi = w->count;

    while (lo < hi) { /* first entry whose component is not smaller */
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(w->entry[mid].component, component) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < w->count && strcmp(w->entry[lo].component, component) == 0;
}

static const meta_entry *find_meta(const vbg_weights *w, const char *key,
                                   vbg_meta_type type)
{
    for (size_t i = 0; i < w->meta_count; i++)
        if (strcmp(w->meta[i].key, key) == 0)
            return w->meta[i].type == type ? &w->meta[i] : NULL;
    return NULL;
}

const char *vbg_weights_key(const vbg_weights *w, size_t i)
{
    return i < w->meta_count ? w->meta[i].key : NULL;
}

bool vbg_weights_string(const vbg_weights *w, const char *key, const char **value)
{
    const meta_entry *m = find_meta(w, key, VBG_META_STRING);

    if (m)
        *value = (const char *)m->value;
    return m != NULL;
}

bool vbg_weights_int(const vbg_weights *w, const char *key, int64_t *value)
{
    const meta_entry *m = find_meta(w, key, VBG_META_INT);

    if (m)
        memcpy(value, m->value, sizeof *value);
    return m != NULL;
}

bool vbg_weights_real(const vbg_weights *w, const char *key, double *value)
{
    const meta_entry *m = find_meta(w, key, VBG_META_REAL);

    if (m)
        memcpy(value, m->value, sizeof *value);
    return m != NULL;
}

bool vbg_weights_bytes(const vbg_weights *w, const char *key, const void **data,
                       size_t *bytes)
{
    const meta_entry *m = find_meta(w, key, VBG_META_BYTES);

    if (m) {
        *data = m->value;
        *bytes = m->bytes;
    }
    return m != NULL;
}

size_t vbg_weights_meta_count(const vbg_weights *w)
{
    return w->meta_count;
}

const char *vbg_weights_meta_at(const vbg_weights *w, size_t i, int *type,
                                const void **value, size_t *bytes)
{
    *type = (int)w->meta[i].type;
    *value = w->meta[i].value;
    *bytes = w->meta[i].bytes;
    return w->meta[i].key;
}

vbg_status vbg_weights_verify(const vbg_weights *w, vbg_err *err)
{
    char shown[200];

    for (size_t i = 0; i < w->count; i++) {
        const vbg_entry *e = &w->entry[i];
        const bool right = XXH3_64bits(e->file, e->file_bytes) == e->checksum;
        vbg_status st = vbg_map_guard_check(err);
        if (st != VBG_OK)
            return st;
        if (!right)
            return vbg_fail(err, VBG_EFORMAT,
                            "%s: checksum of %s/%s is wrong; convert the model again",
                            w->path, e->component,
                            vbg_shorten(shown, sizeof shown, e->name));
    }
    return VBG_OK;
}

vbg_status vbg_weights_empty(vbg_weights **out, vbg_err *err)
{
    vbg_weights *w = calloc(1, sizeof *w);

    if (!w)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a model");
    *out = w;
    return VBG_OK;
}

void vbg_weights_set_params(vbg_weights *w, struct vbg_params *p)
{
    w->params = p;
}

struct vbg_params *vbg_weights_params(const vbg_weights *w)
{
    return w->params;
}
