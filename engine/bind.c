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
    *b = (vbg_bind){ .file = w, .params = vbg_weights_params(w), .component = component };
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

/* How a tensor that the file lacks begins its life. */
typedef struct birth {
    vbg_init init;
    float scale;
    bool buffer;
} birth;

/* The tensor, or the parameter that stands for it.  shape (may be NULL) without names:
 * what to declare when the file lacks it. */
static const vbg_entry *look_up(const vbg_bind *b, const char *name,
                                const vbg_entry *shape, birth from)
{
    const vbg_entry *e = vbg_weights_find(b->file, b->component, name);
    vbg_entry wanted = { 0 };

    if (!b->params)
        return e;
    if (shape) {
        wanted = *shape;
        wanted.component = b->component;
        wanted.name = name;
    }
    vbg_param *m =
        vbg_params_take(b->params, e, shape ? &wanted : NULL, from.init, from.scale);
    if (!m && !e) /* declared before by hand */
        m = vbg_params_find(b->params, b->component, name);
    if (m && from.buffer && !m->buffer)
        vbg_param_is_buffer(m);
    return m ? &m->entry : e;
}

static const vbg_entry *find(const vbg_bind *b, const char *name)
{
    return look_up(b, name, NULL, (birth){ VBG_INIT_ZERO, 0, false });
}

static bool has(const vbg_bind *b, const char *prefix, const char *suffix)
{
    char name[NAME_ROOM + 32];

    snprintf(name, sizeof name, "%s%s", prefix, suffix);
    return vbg_weights_find(b->file, b->component, name) ||
           (b->params && vbg_params_find(b->params, b->component, name));
}

/* PREFIX+suffix as a plain f32 vector of count (0: any) values. */
static const vbg_entry *vector_entry(vbg_bind *b, const char *prefix, const char *suffix,
                                     size_t count, birth from)
{
    char name[NAME_ROOM + 32], shape[128];
    vbg_entry wanted = { .dtype = VBG_F32, .rank = 1, .dim = { (int64_t)count } };

    snprintf(name, sizeof name, "%s%s", prefix, suffix);
    const vbg_entry *e = look_up(b, name, count ? &wanted : NULL, from);
    if (!e) {
        vbg_bind_problem(b, "%s missing", name);
        return NULL;
    }
    if (e->dtype != VBG_F32 || e->layout != VBG_LAYOUT_PLAIN ||
        (count && dims_count(e) != count)) {
        vbg_bind_problem(b, "%s is %s %s (expected f32, %zu values)", name,
                         vbg_dtype_name(e->dtype),
                         shape_text(shape, sizeof shape, e->rank, e->dim), count);
        return NULL;
    }
    return e;
}

static const float *vector(vbg_bind *b, const char *prefix, const char *suffix,
                           size_t count, birth from)
{
    const vbg_entry *e = vector_entry(b, prefix, suffix, count, from);

    return e ? e->data : NULL;
}

static const birth zero = { VBG_INIT_ZERO, 0, false }, one = { VBG_INIT_ONE, 0, false };

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

/* Bound of the uniform distribution that weight and bias start from: PyTorch's
 * kaiming_uniform with a = sqrt(5). */
static float usual_bound(const int shape[4])
{
    return 1 / sqrtf((float)shape[1] * (float)shape[2] * (float)shape[3]);
}

/* want: oc, c, kh, kw; all stated: enough to declare the layer. */
static const vbg_entry *find_layer(vbg_bind *b, const char *prefix, const int want[4],
                                   int flags)
{
    const bool known = want[0] && want[1] && want[2] && want[3];
    const bool swap = (flags & VBG_BIND_TRANSPOSED) != 0;
    char name[NAME_ROOM + 32];
    vbg_entry shape = { .layout = wanted_layout(flags),
                        .rank = want[2] * want[3] == 1 ? 2 : 4,
                        .dim = { want[swap], want[!swap], want[2], want[3] } };

    snprintf(name, sizeof name, "%s.weight", prefix);
    return look_up(b, name, known && !(flags & VBG_BIND_OPTIONAL) ? &shape : NULL,
                   (birth){ VBG_INIT_UNIFORM, known ? usual_bound(want) : 0, false });
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
    const vbg_entry *e = find_layer(b, name, want, flags);
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
    bool bias =
        flags & VBG_BIND_BIAS || (flags & VBG_BIND_MAYBE_BIAS && has(b, name, ".bias"));
    if (bias)
        out->bias = vector(b, name, ".bias", (size_t)out->oc,
                           (birth){ VBG_INIT_UNIFORM, usual_bound(got), false });
    return !bias || out->bias;
}

bool vbg_bind_norm(vbg_bind *b, vbg_norm_w *out, int c, const char *prefix, ...)
{
    char name[NAME_ROOM];
    va_list ap;

    va_start(ap, prefix);
    vsnprintf(name, sizeof name, prefix, ap);
    va_end(ap);
    *out = (vbg_norm_w){ 0 };
    const vbg_entry *gamma = vector_entry(b, name, ".weight", (size_t)c, one);
    if (!gamma)
        return false;
    out->c = (int)dims_count(gamma);
    out->gamma = gamma->data;
    out->beta = vector(b, name, ".bias", (size_t)out->c, zero);
    return out->beta != NULL;
}

const float *vbg_bind_vector(vbg_bind *b, size_t count, size_t *count_out,
                             const char *name, ...)
{
    char text[NAME_ROOM];
    va_list ap;

    va_start(ap, name);
    vsnprintf(text, sizeof text, name, ap);
    va_end(ap);
    const vbg_entry *e = vector_entry(b, text, "", count, zero);
    if (e && count_out)
        *count_out = dims_count(e);
    return e ? e->data : NULL;
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

/* The four vectors of a batch norm. */
typedef struct bn_vectors {
    const float *gamma, *beta, *mean, *var;
} bn_vectors;

/* Trained: kept beside the layer. */
static bool keep_batch_norm(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *layer, float eps,
                            const bn_vectors *v, const char *name)
{
    vbg_batch_norm_w *bn = vbg_pool_take(pool, sizeof *bn);

    if (!bn) {
        vbg_bind_problem(b, "%s: out of memory", name);
        return false;
    }
    *bn = (vbg_batch_norm_w){ .gamma = v->gamma,
                              .beta = v->beta,
                              .mean = (float *)(uintptr_t)v->mean,
                              .var = (float *)(uintptr_t)v->var,
                              .c = layer->oc,
                              .eps = eps,
                              .momentum = 0.1f };
    layer->bn = bn;
    return true;
}

static bool fold_batch_norm(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *layer, float eps,
                            const bn_vectors *v, const char *name)
{
    size_t n = (size_t)layer->oc;
    float *scale = vbg_pool_take(pool, n * sizeof *scale);
    float *bias = vbg_pool_take(pool, n * sizeof *bias);

    if (!scale || !bias) {
        vbg_bind_problem(b, "%s: out of memory", name);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        double s = (double)v->gamma[i] / sqrt((double)v->var[i] + (double)eps);
        double shift = (double)v->beta[i] - (double)v->mean[i] * s;
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

bool vbg_bind_batch_norm(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *layer, float eps,
                         const char *prefix, ...)
{
    const birth mean = { VBG_INIT_ZERO, 0, true }, var = { VBG_INIT_ONE, 0, true };
    char name[NAME_ROOM];
    size_t n = (size_t)layer->oc;
    va_list ap;

    va_start(ap, prefix);
    vsnprintf(name, sizeof name, prefix, ap);
    va_end(ap);
    bn_vectors v = { .gamma = vector(b, name, ".weight", n, one),
                     .beta = vector(b, name, ".bias", n, zero),
                     .mean = vector(b, name, ".running_mean", n, mean),
                     .var = vector(b, name, ".running_var", n, var) };
    if (!v.gamma || !v.beta || !v.mean || !v.var || n == 0)
        return false;
    if (b->params && vbg_params_by_data(b->params, v.mean))
        return keep_batch_norm(b, pool, layer, eps, &v, name);
    return fold_batch_norm(b, pool, layer, eps, &v, name);
}
