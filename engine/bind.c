/* Binding of weights by name, and batch-norm folding. */
#include "engine/bind.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_ROOM = 1100 };

void vbg_bind_start(vbg_bind *b, const vbg_weights *w, const char *component)
{
    *b = (vbg_bind){ .file = w, .component = component };
}

/* Appends one problem to the report; what no longer fits is only counted. */
static void note(vbg_bind *b, const char *text)
{
    size_t n = strlen(text), room = sizeof b->report - b->used;

    if (b->used + n + 3 < sizeof b->report)
        b->used += (size_t)snprintf(b->report + b->used, room, "%s%s",
                                    b->used ? ", " : "", text);
    b->problems++;
}

void vbg_bind_problem(vbg_bind *b, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    note(b, text);
}

vbg_status vbg_bind_finish(const vbg_bind *b, vbg_err *err)
{
    if (b->problems == 0)
        return VBG_OK;
    return vbg_fail(err, VBG_EFORMAT, "%s: %d tensor%s missing or misshapen: %s%s",
                    b->component, b->problems, b->problems > 1 ? "s are" : " is",
                    b->report, b->used + 200 > sizeof b->report ? ", ..." : "");
}

/* Shape as "[320,4,3,3]". */
static const char *shape_text(char *dst, size_t size, int rank, const int64_t *dim)
{
    size_t o = (size_t)snprintf(dst, size, "[");

    for (int i = 0; i < rank && o + 24 < size; i++)
        o += (size_t)snprintf(dst + o, size - o, "%s%lld", i ? "," : "",
                              (long long)dim[i]);
    snprintf(dst + o, size - o, "]");
    return dst;
}

static size_t dims_count(const vbg_entry *e)
{
    size_t n = 1;
    for (int i = 0; i < e->rank; i++)
        n *= (size_t)e->dim[i];
    return n;
}

static const vbg_entry *find(const vbg_bind *b, const char *name)
{
    return vbg_weights_find(b->file, b->component, name);
}

static const vbg_entry *find_joined(const vbg_bind *b, const char *prefix,
                                    const char *suffix)
{
    char name[NAME_ROOM + 32];

    snprintf(name, sizeof name, "%s%s", prefix, suffix);
    return find(b, name);
}

/* PREFIX+suffix as a plain f32 vector of count (0: any) values. */
static const float *vector(vbg_bind *b, const char *prefix, const char *suffix,
                           size_t count, size_t *found)
{
    const vbg_entry *e = find_joined(b, prefix, suffix);
    char shape[128];

    if (!e) {
        vbg_bind_problem(b, "%s%s missing", prefix, suffix);
        return NULL;
    }
    if (e->dtype != VBG_F32 || e->layout != VBG_LAYOUT_PLAIN ||
        (count && dims_count(e) != count)) {
        vbg_bind_problem(b, "%s%s is %s %s (expected f32, %zu values)", prefix, suffix,
                         vbg_dtype_name(e->dtype),
                         shape_text(shape, sizeof shape, e->rank, e->dim), count);
        return NULL;
    }
    if (found)
        *found = dims_count(e);
    return e->data;
}

/* oc, c, kh, kw of a layer tensor of any layout; false when it is none. */
static bool layer_shape(const vbg_entry *e, int shape[4])
{
    if (e->rank != 2 && e->rank != 4)
        return false;
    for (int i = 0; i < 4; i++)
        shape[i] = i < e->rank ? (int)e->dim[i] : 1;
    if (e->layout == VBG_LAYOUT_TRANSPOSED) { /* stored [c][oc][kh][kw] */
        int c = shape[0];
        shape[0] = shape[1];
        shape[1] = c;
    }
    return e->layout != VBG_LAYOUT_PLAIN;
}

static vbg_layout wanted_layout(int flags)
{
    return flags & VBG_BIND_TRANSPOSED  ? VBG_LAYOUT_TRANSPOSED
           : flags & VBG_BIND_DEPTHWISE ? VBG_LAYOUT_DEPTHWISE
                                        : VBG_LAYOUT_PACK16;
}

bool vbg_bind_layer(vbg_bind *b, vbg_weight *out, int oc, int c, int kh, int kw,
                    int flags, const char *prefix, ...)
{
    char name[NAME_ROOM], shape[128];
    int got[4], want[4] = { oc, c, kh, kw };
    va_list ap;

    va_start(ap, prefix);
    vsnprintf(name, sizeof name, prefix, ap);
    va_end(ap);
    *out = (vbg_weight){ .groups = 1 };
    const vbg_entry *e = find_joined(b, name, ".weight");
    if (!e) {
        if (!(flags & VBG_BIND_OPTIONAL))
            vbg_bind_problem(b, "%s.weight missing", name);
        return (flags & VBG_BIND_OPTIONAL) != 0;
    }
    bool fits = layer_shape(e, got) && e->layout == wanted_layout(flags);
    for (int i = 0; i < 4 && fits; i++)
        fits = !want[i] || want[i] == got[i];
    if (!fits) {
        vbg_bind_problem(b, "%s.weight is %s (expected [%d,%d,%d,%d])", name,
                         shape_text(shape, sizeof shape, e->rank, e->dim), oc, c, kh, kw);
        return false;
    }
    *out = (vbg_weight){ .data = e->data,
                         .dtype = e->dtype,
                         .oc = got[0],
                         .c = got[1],
                         .kh = got[2],
                         .kw = got[3],
                         .groups = flags & VBG_BIND_DEPTHWISE ? got[0] : 1,
                         .transposed = (flags & VBG_BIND_TRANSPOSED) != 0 };
    bool bias = flags & VBG_BIND_BIAS ||
                (flags & VBG_BIND_MAYBE_BIAS && find_joined(b, name, ".bias"));
    if (bias)
        out->bias = vector(b, name, ".bias", (size_t)out->oc, NULL);
    return !bias || out->bias;
}

bool vbg_bind_norm(vbg_bind *b, vbg_norm_w *out, int c, const char *prefix, ...)
{
    char name[NAME_ROOM];
    size_t found = 0;
    va_list ap;

    va_start(ap, prefix);
    vsnprintf(name, sizeof name, prefix, ap);
    va_end(ap);
    *out = (vbg_norm_w){ 0 };
    out->gamma = vector(b, name, ".weight", (size_t)c, &found);
    out->beta = vector(b, name, ".bias", c ? (size_t)c : found, NULL);
    out->c = (int)found;
    return out->gamma && out->beta;
}

const float *vbg_bind_vector(vbg_bind *b, size_t count, size_t *count_out,
                             const char *name, ...)
{
    char text[NAME_ROOM];
    va_list ap;

    va_start(ap, name);
    vsnprintf(text, sizeof text, name, ap);
    va_end(ap);
    return vector(b, text, "", count, count_out);
}

const vbg_entry *vbg_bind_entry(vbg_bind *b, const char *name, ...)
{
    char text[NAME_ROOM];
    va_list ap;

    va_start(ap, name);
    vsnprintf(text, sizeof text, name, ap);
    va_end(ap);
    const vbg_entry *e = find(b, text);
    if (!e)
        vbg_bind_problem(b, "%s missing", text);
    return e;
}

const vbg_entry *vbg_bind_maybe(vbg_bind *b, const char *name, ...)
{
    char text[NAME_ROOM];
    va_list ap;

    va_start(ap, name);
    vsnprintf(text, sizeof text, name, ap);
    va_end(ap);
    return find(b, text);
}

/* ---- memory of folded constants ---- */

typedef struct pool_block {
    struct pool_block *next;
    void *data;
} pool_block;

struct vbg_pool_mem {
    pool_block *first;
};

vbg_pool_mem *vbg_pool_new(void)
{
    return calloc(1, sizeof(vbg_pool_mem));
}

void vbg_pool_free(vbg_pool_mem *p)
{
    if (!p)
        return;
    for (pool_block *b = p->first, *next; b; b = next) {
        next = b->next;
        vbg_free_mem(b->data);
        free(b);
    }
    free(p);
}

void *vbg_pool_take(vbg_pool_mem *p, size_t bytes)
{
    pool_block *b = calloc(1, sizeof *b);

    if (!b)
        return NULL;
    b->data = vbg_alloc(bytes);
    if (!b->data) {
        free(b);
        return NULL;
    }
    b->next = p->first;
    p->first = b;
    return b->data;
}

bool vbg_bind_batch_norm(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *layer, float eps,
                         const char *prefix, ...)
{
    char name[NAME_ROOM];
    size_t n = (size_t)layer->oc;
    va_list ap;

    va_start(ap, prefix);
    vsnprintf(name, sizeof name, prefix, ap);
    va_end(ap);
    const float *gamma = vector(b, name, ".weight", n, NULL);
    const float *beta = vector(b, name, ".bias", n, NULL);
    const float *mean = vector(b, name, ".running_mean", n, NULL);
    const float *var = vector(b, name, ".running_var", n, NULL);
    if (!gamma || !beta || !mean || !var || n == 0)
        return false;
    float *scale = vbg_pool_take(pool, n * sizeof *scale);
    float *bias = vbg_pool_take(pool, n * sizeof *bias);
    if (!scale || !bias) {
        vbg_bind_problem(b, "%s: out of memory", name);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        double s = (double)gamma[i] / sqrt((double)var[i] + (double)eps);
        double shift = (double)beta[i] - (double)mean[i] * s;
        if (layer->bias)
            shift += (double)layer->bias[i] * s;
        scale[i] = (float)s;
        bias[i] = (float)shift;
        if (!isfinite(scale[i]) || !isfinite(bias[i])) {
            vbg_bind_problem(b, "%s: variance is negative or not a number", name);
            return false;
        }
    }
    layer->scale = scale;
    layer->bias = bias;
    return true;
}
