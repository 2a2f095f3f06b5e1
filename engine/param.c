/* Sets of trainable parameters; see engine/param.h. */
#define _GNU_SOURCE
#include "engine/param.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tensor.h"
#include "engine/weights_format.h"

typedef struct choice {
    char *component, *pattern;
    bool train;
} choice;

/* Open addressing by address: every pointer that an op may read. */
typedef struct place {
    const void *data;
    vbg_param *param;
} place;

struct vbg_params {
    vbg_dtype type;
    bool declare;
    uint64_t seed;
    choice *choices;
    size_t nchoices;
    vbg_param **param;
    size_t *first; /* [count]: runs of packing before it (vbg_params_refresh) */
    size_t count, cap;
    place *places;
    size_t nplaces, slots; /* slots: a power of two */
};

vbg_status vbg_params_new(vbg_params **out, vbg_dtype t, vbg_err *err)
{
    vbg_params *p = calloc(1, sizeof *p);

    if (!p)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for parameters");
    p->type = t;
    *out = p;
    return VBG_OK;
}

static void free_param(vbg_param *m)
{
    if (!m)
        return;
    if (m->packed != m->value)
        vbg_free_mem(m->packed);
    vbg_free_mem(m->value);
    vbg_free_mem(m->grad);
    vbg_free_mem(m->back);
    free((void *)(uintptr_t)m->entry.component);
    free((void *)(uintptr_t)m->entry.name);
    free(m);
}

void vbg_params_free(vbg_params *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        free_param(p->param[i]);
    for (size_t i = 0; i < p->nchoices; i++) {
        free(p->choices[i].component);
        free(p->choices[i].pattern);
    }
    free(p->choices);
    free(p->param);
    free(p->first);
    free(p->places);
    free(p);
}

void vbg_params_select(vbg_params *p, const char *component, const char *pattern,
                       bool train)
{
    choice *more = realloc(p->choices, (p->nchoices + 1) * sizeof *more);

    VBG_CHECK(more, "out of memory for a selection");
    p->choices = more;
    p->choices[p->nchoices++] = (choice){ strdup(component), strdup(pattern), train };
}

void vbg_params_declare(vbg_params *p, uint64_t seed)
{
    p->declare = true;
    p->seed = seed;
}

bool vbg_params_selected(const vbg_params *p, const char *component, const char *name)
{
    for (size_t i = p->nchoices; i-- > 0;)
        if (strcmp(p->choices[i].component, component) == 0 &&
            fnmatch(p->choices[i].pattern, name, 0) == 0)
            return p->choices[i].train;
    return false;
}

size_t vbg_params_count(const vbg_params *p)
{
    return p->count;
}

vbg_param *vbg_params_at(const vbg_params *p, size_t i)
{
    return p->param[i];
}

vbg_param *vbg_params_find(const vbg_params *p, const char *component, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->param[i]->entry.name, name) == 0 &&
            strcmp(p->param[i]->entry.component, component) == 0)
            return p->param[i];
    return NULL;
}

size_t vbg_params_values(const vbg_params *p)
{
    size_t n = 0;

    for (size_t i = 0; i < p->count; i++)
        n += p->param[i]->buffer ? 0 : p->param[i]->count;
    return n;
}

/* ---- by address ---- */

static size_t slot_of(const vbg_params *p, const void *data)
{
    uint64_t h = (uint64_t)(uintptr_t)data * 0x9E3779B97F4A7C15u;
    size_t i = (size_t)(h >> 32) & (p->slots - 1);

    while (p->places[i].data && p->places[i].data != data)
        i = (i + 1) & (p->slots - 1);
    return i;
}

vbg_param *vbg_params_by_data(const vbg_params *p, const void *data)
{
    return p->slots ? p->places[slot_of(p, data)].param : NULL;
}

static bool place_data(vbg_params *p, const void *data, vbg_param *m)
{
    if (2 * (p->nplaces + 1) > p->slots) {
        size_t n = p->slots, slots = n ? 2 * n : 64;
        place *old = p->places;
        p->places = calloc(slots, sizeof *p->places);
        if (!p->places) {
            p->places = old;
            return false;
        }
        p->slots = slots;
        for (size_t i = 0; i < n; i++)
            if (old[i].data)
                p->places[slot_of(p, old[i].data)] = old[i];
        free(old);
    }
    p->places[slot_of(p, data)] = (place){ data, m };
    p->nplaces++;
    return true;
}

/* ---- making ---- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* Value i of the stream of (seed, name), uniform in (0, 1). */
static double uniform(uint64_t stream, size_t i)
{
    uint64_t z = mix(stream + ((uint64_t)i + 1) * 0x9E3779B97F4A7C15u);

    return ((double)(z >> 11) + 0.5) * 0x1p-53;
}

static uint64_t stream_of(const vbg_params *p, const vbg_param *m)
{
    uint64_t h = 0xCBF29CE484222325u; /* FNV-1a of component/name */

    for (const char *s = m->entry.component; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001B3u;
    h = (h ^ '/') * 0x100000001B3u;
    for (const char *s = m->entry.name; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001B3u;
    return mix(h ^ p->seed * 0x9E3779B97F4A7C15u);
}

static void initialise(const vbg_params *p, vbg_param *m, vbg_init init, float scale)
{
    const uint64_t s = stream_of(p, m);

    for (size_t i = 0; i < m->count; i++) {
        double v = init == VBG_INIT_ONE ? 1 : 0;
        if (init == VBG_INIT_UNIFORM)
            v = (2 * uniform(s, i) - 1) * (double)scale;
        else if (init == VBG_INIT_NORMAL) /* Box and Muller */
            v = sqrt(-2 * log(uniform(s, 2 * i))) *
                cos(6.283185307179586 * uniform(s, 2 * i + 1)) * (double)scale;
        m->value[i] = (float)v;
    }
}

/* Sizes of a layer: output channels, input channels of a group, height, width. */
typedef struct sizes {
    size_t oc, c, kh, kw;
} sizes;

static sizes layer_sizes(const vbg_entry *e)
{
    size_t d[4] = { 1, 1, 1, 1 };

    for (int i = 0; i < e->rank && i < 4; i++)
        d[i] = (size_t)e->dim[i];
    if (e->layout == VBG_LAYOUT_TRANSPOSED) /* dims [c][oc][kh][kw] */
        return (sizes){ d[1], d[0], d[2], d[3] };
    return (sizes){ d[0], d[1], d[2], d[3] };
}

static void pack(vbg_param *m)
{
    const vbg_entry *e = &m->entry;

    if (m->packed != m->value)
        vbg_layout_pack(m->packed, m->dtype, e->layout, e->rank, e->dim, m->value);
    m->fresh = m->version;
}

static size_t packed_bytes(const vbg_param *m)
{
    const vbg_entry *e = &m->entry;
    size_t bytes = 0;

    vbg_layout_bytes(&bytes, m->dtype, e->layout, e->rank, e->dim);
    return bytes;
}

/* Everything but the values. */
static vbg_param *new_param(const vbg_params *p, const vbg_entry *shape)
{
    vbg_param *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->entry = *shape;
    m->entry.component = strdup(shape->component);
    m->entry.name = strdup(shape->name);
    m->count = 1;
    for (int i = 0; i < shape->rank; i++)
        m->count *= (size_t)shape->dim[i];
    m->dtype = shape->layout == VBG_LAYOUT_PACK16 ? p->type : VBG_F32;
    m->value = vbg_alloc(m->count * sizeof *m->value);
    m->grad = vbg_alloc(m->count * sizeof *m->grad);
    m->packed = shape->layout == VBG_LAYOUT_PLAIN ? m->value : vbg_alloc(packed_bytes(m));
    m->entry.dtype = m->dtype;
    m->entry.data = m->packed;
    m->entry.bytes = packed_bytes(m);
    if (m->entry.component && m->entry.name && m->value && m->grad && m->packed)
        return m;
    free_param(m);
    return NULL;
}

static bool enter(vbg_params *p, vbg_param *m)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        vbg_param **more = realloc(p->param, cap * sizeof(vbg_param *));
        if (more)
            p->param = more;
        size_t *first = realloc(p->first, cap * sizeof *first);
        if (first)
            p->first = first;
        if (!more || !first)
            return false;
        p->cap = cap;
    }
    if (!place_data(p, m->packed, m) ||
        (m->packed != m->value && !place_data(p, m->value, m)))
        return false;
    p->param[p->count++] = m;
    return true;
}

vbg_param *vbg_params_take(vbg_params *p, const vbg_entry *e, const vbg_entry *shape,
                           vbg_init init, float scale)
{
    const vbg_entry *like = e ? e : shape;

    if (!like || !vbg_params_selected(p, like->component, like->name) ||
        (!e && !p->declare))
        return NULL;
    vbg_param *m = vbg_params_find(p, like->component, like->name);
    if (m)
        return m;
    m = new_param(p, like);
    if (!m)
        return NULL;
    bool ok = true;
    if (e)
        ok = vbg_entry_values(m->value, e);
    else
        initialise(p, m, init, scale);
    pack(m);
    if (ok && enter(p, m))
        return m;
    free_param(m);
    return NULL;
}

void vbg_param_is_buffer(vbg_param *m)
{
    m->buffer = true;
    vbg_free_mem(m->grad);
    m->grad = NULL;
}

void vbg_param_changed(vbg_param *m)
{
    m->version++;
}

/* ---- all of them ---- */

static void zero_one(void *arg, size_t i, int thread)
{
    const vbg_params *p = arg;

    (void)thread;
    if (p->param[i]->grad)
        memset(p->param[i]->grad, 0, p->param[i]->count * sizeof(float));
}

void vbg_params_zero_grad(vbg_params *p, vbg_ctx *c)
{
    vbg_parallel(c, p->count, zero_one, p);
}

/* Packing of what changed, cut into runs of RUN blocks of 16 output channels. */
enum { BLOCK = 16, RUN = 4, MAX_TAPS = 64 };

typedef struct refresh_job {
    const vbg_params *p;
    const vbg_train_kernels *k;
} refresh_job;

static bool packs_fast(const vbg_param *m)
{
    const sizes s = layer_sizes(&m->entry);

    return m->entry.layout == VBG_LAYOUT_PACK16 && s.kh * s.kw <= MAX_TAPS;
}

static size_t blocks_of(const vbg_param *m)
{
    return (layer_sizes(&m->entry).oc + BLOCK - 1) / BLOCK;
}

static size_t runs_of(const vbg_param *m)
{
    if (m->fresh == m->version)
        return 0;
    if (!packs_fast(m))
        return 1;
    return (blocks_of(m) + RUN - 1) / RUN;
}

/* Blocks [b0, b1) of 16 output channels. */
static void pack_blocks(const vbg_param *m, const vbg_train_kernels *k, size_t b0,
                        size_t b1)
{
    const sizes s = layer_sizes(&m->entry);
    const size_t taps = s.kh * s.kw;
    size_t tap[MAX_TAPS];

    for (size_t i = 0; i < taps; i++)
        tap[i] = i;
    k->pack(&(vbg_pack_args){ .dst = m->packed,
                              .t = m->dtype,
                              .w = m->value,
                              .oc = s.oc,
                              .c = s.c,
                              .taps = taps,
                              .group = s.oc,
                              .so = s.c * taps,
                              .si = taps,
                              .tap = tap },
            b0, b1);
}

size_t vbg_param_run(const vbg_param *m)
{
    const sizes s = layer_sizes(&m->entry);

    if (m->packed == m->value)
        return 1;
    return packs_fast(m) ? BLOCK * s.c * s.kh * s.kw : 0;
}

void vbg_param_pack(vbg_param *m, const vbg_train_kernels *k, size_t first, size_t count)
{
    const size_t run = vbg_param_run(m);

    if (run > 1)
        pack_blocks(m, k, first / run, (first + count + run - 1) / run);
}

void vbg_param_packed(vbg_param *m)
{
    m->version++;
    if (vbg_param_run(m))
        m->fresh = m->version;
}

static void refresh_run(void *arg, size_t index, int thread)
{
    const refresh_job *j = arg;
    const vbg_params *p = j->p;
    size_t low = 0, high = p->count; /* the last parameter whose first is <= index */

    (void)thread;
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (p->first[mid] <= index)
            low = mid;
        else
            high = mid;
    }
    vbg_param *m = p->param[low];
    if (packs_fast(m)) {
        const size_t b0 = (index - p->first[low]) * RUN, b1 = b0 + RUN;
        pack_blocks(m, j->k, b0, b1 < blocks_of(m) ? b1 : blocks_of(m));
    } else {
        pack(m);
    }
}

void vbg_params_refresh(vbg_params *p, vbg_ctx *c)
{
    refresh_job j = { p, &vbg_ctx_kernels(c)->train };
    size_t runs = 0;

    for (size_t i = 0; i < p->count; i++) {
        p->first[i] = runs;
        runs += runs_of(p->param[i]);
    }
    if (runs)
        vbg_parallel(c, runs, refresh_run, &j);
    for (size_t i = 0; i < p->count; i++)
        p->param[i]->fresh = p->param[i]->version;
}

void vbg_params_attach(vbg_params *p, vbg_weights *w)
{
    vbg_weights_set_params(w, p);
}
