/* What an oracle holds and what the program reports. */
#define _GNU_SOURCE
#include "tests/golden/golden_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/gemm.h"
#include "tests/golden/recipe.h"

const vbg_safetensors *golden_data(const golden *g)
{
    return g->data;
}

json_t *golden_json(const golden *g)
{
    return g->json;
}

const char *golden_dir(const golden *g)
{
    return g->dir;
}

const char *golden_stem(const golden *g)
{
    return g->stem;
}

const char *golden_suffix(const golden *g)
{
    return g->suffix;
}

json_t *golden_tolerance(const golden *g)
{
    return g->family;
}

bool golden_own_geometry(const golden *g)
{
    return g->own;
}

void *golden_alloc(golden *g, size_t bytes)
{
    void *p = calloc(1, bytes + 64);
    void **m = realloc(g->memory, (g->nmemory + 1) * sizeof *m);

    VBG_CHECK(p && m, "out of memory in the oracle runner");
    g->memory = m;
    g->memory[g->nmemory++] = p;
    return p;
}

const char *golden_path(golden *g, const char *fmt, ...)
{
    char *p = golden_alloc(g, 1024);
    int n = snprintf(p, 1024, "%s/", g->dir);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p + n, 1024 - (size_t)n, fmt, ap);
    va_end(ap);
    return p;
}

void golden_note(golden *g, const char *fmt, ...)
{
    va_list ap;

    if (g->nnotes >= GOLDEN_NOTES)
        return;
    va_start(ap, fmt);
    vsnprintf(g->notes[g->nnotes++], sizeof g->notes[0], fmt, ap);
    va_end(ap);
}

void golden_fail(golden *g, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    golden_note(g, "%s", text);
    g->failed = true;
}

void golden_skip(golden *g, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(g->skip_reason, sizeof g->skip_reason, fmt, ap);
    va_end(ap);
    g->skipped = true;
}

static const vbg_st_tensor *find_quietly(golden *g, const char *fmt, va_list ap)
{
    char name[512];

    vsnprintf(name, sizeof name, fmt, ap);
    const vbg_st_tensor *t = g->data ? vbg_st_find(g->data, name) : NULL;
    if (!t)
        golden_fail(g, "the oracle holds no tensor %s", name);
    return t;
}

const vbg_st_tensor *golden_in(golden *g, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const vbg_st_tensor *t = find_quietly(g, fmt, ap);
    va_end(ap);
    return t;
}

float *golden_in_f32(golden *g, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const vbg_st_tensor *t = find_quietly(g, fmt, ap);
    va_end(ap);
    if (!t)
        return NULL;
    float *v = golden_alloc(g, t->count * sizeof *v);
    vbg_st_to_f32(v, t);
    return v;
}

float *golden_in_nhwc(golden *g, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const vbg_st_tensor *t = find_quietly(g, fmt, ap);
    va_end(ap);
    if (!t || t->rank < 3)
        return NULL;
    size_t c = (size_t)t->dim[t->rank - 3];
    size_t hw = (size_t)(t->dim[t->rank - 2] * t->dim[t->rank - 1]);
    size_t n = t->count / (c * hw);
    float *v = golden_alloc(g, t->count * sizeof *v);
    float *raw = golden_alloc(g, t->count * sizeof *raw);

    vbg_st_to_f32(raw, t);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < c; k++)
            for (size_t p = 0; p < hw; p++)
                v[(i * hw + p) * c + k] = raw[(i * c + k) * hw + p];
    return v;
}

vbg_ctx *golden_ctx(golden *g)
{
    vbg_err err = { 0 };

    if (!g->ctx) {
        vbg_ctx_opt opt = { .isa = g->isa, .precision = VBG_F32 };
        if (vbg_ctx_new(&g->ctx, &opt, &err) != VBG_OK)
            vbg_panic(__FILE__, __LINE__, "%s", err.text);
    }
    return g->ctx;
}

/* ---- weights ---- */

static bool in_list(const json_t *list, const char *name)
{
    size_t i;
    json_t *v;

    json_array_foreach(list, i,
                       v) if (golden_match(json_string_value(v), name, NULL)) return true;
    return false;
}

static vbg_layout layout_of(const char *name, int rank, const int64_t *dim,
                            const char *const *plain)
{
    for (; plain && *plain; plain++)
        if (strstr(name, *plain))
            return VBG_LAYOUT_PLAIN;
    bool table = strstr(name, "embedding") && rank < 4 && !strstr(name, "time_embedding");
    if (table || (rank != 2 && rank != 4))
        return VBG_LAYOUT_PLAIN;
    if (rank == 4 && dim[1] == 1 && dim[0] > 1)
        return VBG_LAYOUT_DEPTHWISE;
    return VBG_LAYOUT_PACK16;
}

typedef struct source {
    char name[256];
    const vbg_st_tensor *stored; /* or */
    const json_t *recipe;
    int rank;
    int64_t dim[8];
    size_t count;
} source;

/* Everything that counts as a weight, stored or computed; *n entries. */
static source *list_weights(golden *g, const char *prefix, size_t *n)
{
    const json_t *globs = json_object_get(g->family, "weights");
    json_t *recipe = json_object_get(g->json, "recipe"), *entry;
    size_t stored = g->data ? vbg_st_count(g->data) : 0,
           cut = prefix ? strlen(prefix) : 0;
    source *s = golden_alloc(g, (stored + json_object_size(recipe) + 1) * sizeof *s);
    const char *name;

    *n = 0;
    for (size_t i = 0; i < stored; i++) {
        const vbg_st_tensor *t = vbg_st_at(g->data, i);
        if (!in_list(globs, t->name) || (prefix && strncmp(t->name, prefix, cut) != 0) ||
            t->dtype == VBG_I64)
            continue;
        source *e = &s[(*n)++];
        snprintf(e->name, sizeof e->name, "%s", t->name + cut);
        e->stored = t;
        e->rank = t->rank;
        e->count = t->count;
        memcpy(e->dim, t->dim, sizeof e->dim);
    }
    json_object_foreach(recipe, name, entry)
    {
        if (prefix && strncmp(name, prefix, cut) != 0)
            continue;
        source *e = &s[(*n)++];
        snprintf(e->name, sizeof e->name, "%s", name + cut);
        e->recipe = entry;
        e->count = recipe_shape(entry, e->dim, &e->rank);
    }
    return s;
}

static bool load_values(golden *g, const source *s, const char *prefix, float *v,
                        vbg_err *err)
{
    char full[512];

    if (s->stored) {
        vbg_st_to_f32(v, s->stored);
        return true;
    }
    snprintf(full, sizeof full, "%s%s", prefix ? prefix : "", s->name);
    uint64_t seed = (uint64_t)json_integer_value(json_object_get(g->json, "recipe_seed"));
    return recipe_entry(v, full, s->recipe, seed, err);
}

static vbg_status write_weights(golden *g, vbg_writer *w, const char *component,
                                const char *prefix, const char *const *plain,
                                vbg_err *err)
{
    size_t n, largest = 1;
    source *s = list_weights(g, prefix, &n);
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < n && st == VBG_OK; i++) {
        largest = s[i].count > largest ? s[i].count : largest;
        st = vbg_writer_declare(w, component, s[i].name, VBG_F32,
                                layout_of(s[i].name, s[i].rank, s[i].dim, plain),
                                s[i].rank, s[i].dim, err);
    }
    float *v = malloc(largest * sizeof *v);
    VBG_CHECK(v, "out of memory");
    for (size_t i = 0; i < n && st == VBG_OK; i++) {
        if (!load_values(g, &s[i], prefix, v, err))
            st = VBG_EFORMAT;
        else
            st = vbg_writer_data(w, component, s[i].name, v, err);
    }
    free(v);
    return st;
}

vbg_weights *golden_weights(golden *g, const char *component, const char *prefix,
                            const char *const *plain)
{
    const char *shm = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    char path[128];
    vbg_writer *w = NULL;
    vbg_weights *out = NULL;
    vbg_err err = { 0 };

    snprintf(path, sizeof path, "%s/vbg-golden-%ld.vbg", shm, (long)getpid());
    vbg_status st = vbg_writer_new(&w, path, &err);
    if (st == VBG_OK)
        st = write_weights(g, w, component, prefix, plain, &err);
    if (st == VBG_OK)
        st = vbg_writer_finish(w, &err);
    else
        vbg_writer_abort(w);
    if (st == VBG_OK)
        st = vbg_weights_open(&out, path, &err);
    unlink(path);
    if (st != VBG_OK)
        golden_fail(g, "weights: %s", err.text);
    return out;
}

/* ---- reports ---- */

static double *add_out(golden *g, const char *name, size_t count)
{
    golden_out_value *o = realloc(g->outs, (g->nouts + 1) * sizeof *o);

    VBG_CHECK(o, "out of memory");
    g->outs = o;
    o += g->nouts++;
    o->name = golden_alloc(g, strlen(name) + 1);
    strcpy(o->name, name);
    o->count = count;
    o->v = golden_alloc(g, (count + 1) * sizeof *o->v);
    return o->v;
}

const golden_out_value *golden_find_out(const golden *g, const char *name)
{
    for (size_t i = 0; i < g->nouts; i++)
        if (strcmp(g->outs[i].name, name) == 0)
            return &g->outs[i];
    return NULL;
}

void golden_out_f32(golden *g, const char *name, const float *v, size_t count)
{
    double *d = add_out(g, name, count);
    for (size_t i = 0; i < count; i++)
        d[i] = (double)v[i];
}

void golden_out_f64(golden *g, const char *name, const double *v, size_t count)
{
    memcpy(add_out(g, name, count), v, count * sizeof *v);
}

void golden_out_u8(golden *g, const char *name, const uint8_t *v, size_t count)
{
    double *d = add_out(g, name, count);
    for (size_t i = 0; i < count; i++)
        d[i] = v[i];
}

void golden_out_i64(golden *g, const char *name, const int64_t *v, size_t count)
{
    double *d = add_out(g, name, count);
    for (size_t i = 0; i < count; i++)
        d[i] = (double)v[i];
}

void golden_out_nhwc(golden *g, const char *name, const float *x, int n, int h, int w,
                     int c, int channel_step)
{
    size_t step = channel_step > 0 ? (size_t)channel_step : 1, ch = (size_t)c;
    size_t kept = (ch + step - 1) / step, hw = (size_t)h * (size_t)w;
    double *d = add_out(g, name, (size_t)n * kept * hw);

    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t k = 0; k < kept; k++)
            for (size_t p = 0; p < hw; p++)
                *d++ = (double)x[(i * hw + p) * ch + k * step];
}

void golden_out_number(golden *g, const char *path, double v)
{
    golden_out_value *o = realloc(g->numbers, (g->nnumbers + 1) * sizeof *o);

    VBG_CHECK(o, "out of memory");
    g->numbers = o;
    o += g->nnumbers++;
    o->name = golden_alloc(g, strlen(path) + 1);
    strcpy(o->name, path);
    o->v = golden_alloc(g, sizeof *o->v);
    o->v[0] = v;
    o->count = 1;
}

void golden_verdict(golden *g, const char *what, double error, double limit, bool ok)
{
    double ratio = limit > 0 ? error / limit : ok ? 0 : 1e9;

    g->checks++;
    if (!ok) {
        golden_fail(g, "%s: error %.3g, limit %.3g", what, error, limit);
        ratio = ratio > 1 ? ratio : 1e9;
    }
    if (g->checks == 1 || ratio > g->worst_ratio) {
        g->worst_ratio = ratio;
        g->worst_error = error;
        g->worst_limit = limit;
        snprintf(g->worst, sizeof g->worst, "%s", what);
    }
}
