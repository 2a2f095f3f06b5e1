/* Walks an oracle's tensors and JSON numbers, finds the check of each, applies it. */
#include "tests/golden/golden_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool golden_match(const char *glob, const char *name, golden_caught *caught)
{
    golden_caught local = { 0 };
    golden_caught *k = caught ? caught : &local;

    if (!*glob)
        return !*name;
    if (*glob != '*')
        return *glob == *name && golden_match(glob + 1, name + 1, k);
    int index = k->count < 8 ? k->count++ : 7;
    for (size_t len = 0;; len++) {
        k->star[index].at = name;
        k->star[index].len = len;
        int count = k->count;
        if (golden_match(glob + 1, name + len, k))
            return true;
        k->count = count;
        if (!name[len])
            break;
    }
    k->count--;
    return false;
}

/* "{1}/true.inlier" with what the stars matched put in. */
static void expand(char *out, size_t size, const char *pattern, const golden_caught *k)
{
    size_t o = 0;

    for (; *pattern && o + 1 < size; pattern++) {
        if (*pattern == '{' && pattern[1] >= '1' && pattern[1] <= '8' &&
            pattern[2] == '}') {
            int i = pattern[1] - '1';
            for (size_t j = 0; i < k->count && j < k->star[i].len && o + 1 < size; j++)
                out[o++] = k->star[i].at[j];
            pattern += 2;
        } else {
            out[o++] = *pattern;
        }
    }
    out[o] = 0;
}

static bool listed(const json_t *list, const char *name)
{
    size_t i;
    json_t *v;

    json_array_foreach(list, i,
                       v) if (golden_match(json_string_value(v), name, NULL)) return true;
    return false;
}

static double *stored_f64(golden *g, const vbg_st_tensor *t)
{
    double *d = golden_alloc(g, (t->count + 1) * sizeof *d);

    if (t->dtype == VBG_F64) {
        memcpy(d, t->data, t->count * sizeof *d);
    } else if (t->dtype == VBG_DTYPES && t->bytes == 2 * t->count) {
        /* I16 (derivatives of seg/flow), a type that the product never stores */
        for (size_t i = 0; i < t->count; i++) {
            int16_t v;
            memcpy(&v, (const char *)t->data + 2 * i, sizeof v);
            d[i] = v;
        }
    } else if (t->dtype == VBG_I64) {
        for (size_t i = 0; i < t->count; i++) {
            int64_t v;
            memcpy(&v, (const char *)t->data + 8 * i, sizeof v);
            d[i] = (double)v;
        }
    } else {
        float *f = malloc((t->count + 1) * sizeof *f);
        VBG_CHECK(f, "out of memory");
        vbg_st_to_f32(f, t);
        for (size_t i = 0; i < t->count; i++)
            d[i] = (double)f[i];
        free(f);
    }
    return d;
}

/* Selected elements of x and r of one or (pool) several tensors. */
typedef struct pool {
    double *x, *r;
    size_t nx, nr, last, tensors;
} pool;

static void append(golden *g, pool *p, const double *x, size_t nx, const double *r,
                   size_t nr)
{
    double *bx = golden_alloc(g, (p->nx + nx + 1) * sizeof *bx);
    double *br = golden_alloc(g, (p->nr + nr + 1) * sizeof *br);

    if (p->nx)
        memcpy(bx, p->x, p->nx * sizeof *bx);
    if (p->nr)
        memcpy(br, p->r, p->nr * sizeof *br);
    memcpy(bx + p->nx, x, nx * sizeof *bx);
    memcpy(br + p->nr, r, nr * sizeof *br);
    p->x = bx;
    p->r = br;
    p->nx += nx;
    p->nr += nr;
    p->tensors++;
}

/* Marks which of the units (points or elements) count. */
static bool unit_counts(golden *g, const json_t *check, const golden_caught *k,
                        size_t units, bool *use)
{
    const char *status = json_string_value(json_object_get(check, "status"));
    const char *inside = json_string_value(json_object_get(check, "inside"));
    char name[256];

    for (size_t i = 0; i < units; i++)
        use[i] = true;
    for (int pass = 0; pass < 2; pass++) {
        const char *pattern = pass ? inside : status;
        if (!pattern)
            continue;
        expand(name, sizeof name, pattern, k);
        const vbg_st_tensor *t = vbg_st_find(g->data, name);
        if (!t || t->count == 0 || units % t->count)
            return false;
        size_t each = units / t->count;
        const double *r = stored_f64(g, t);
        const golden_out_value *x = pass ? NULL : golden_find_out(g, name);
        for (size_t i = 0; i < units; i++) {
            use[i] &= r[i / each] != 0;
            if (x && x->count == t->count)
                use[i] &= x->v[i / each] != 0;
        }
    }
    return true;
}

static bool in_view(const golden *g, const double *point)
{
    json_t *hw = json_object_get(g->json, "image_hw");
    double h = json_number_value(json_array_get(hw, 0));
    double w = json_number_value(json_array_get(hw, 1));

    return point[0] > 0 && point[0] < w && point[1] > 0 && point[1] < h;
}

/* Entry i of the last axis lives on a ring: take the shorter way round. */
static void unwrap(golden *g, const json_t *check, double *x, const double *r, size_t n,
                   size_t last)
{
    json_t *m = json_object_get(check, "modulo");
    if (!m)
        return;
    size_t entry = (size_t)json_integer_value(json_array_get(m, 0));
    const vbg_st_tensor *t =
        vbg_st_find(g->data, json_string_value(json_array_get(m, 1)));
    json_int_t axis = json_integer_value(json_array_get(m, 2));
    if (!t)
        return;
    double ring = (double)t->dim[axis < 0 ? t->rank + axis : axis];
    for (size_t i = entry; i < n; i += last)
        x[i] -= ring * round((x[i] - r[i]) / ring);
}

static size_t last_axis(const vbg_st_tensor *t)
{
    return t->rank ? (size_t)t->dim[t->rank - 1] : 1;
}

/* Filters one tensor into the pool; false with a note when it cannot. */
static bool select_elements(golden *g, const json_t *check, const golden_caught *k,
                            const golden_out_value *o, const vbg_st_tensor *t, pool *p)
{
    const char *m = json_string_value(json_object_get(check, "metric"));
    bool view = json_is_true(json_object_get(check, "in_view"));
    bool filtered = view || json_object_get(check, "status") ||
                    json_object_get(check, "inside") || json_object_get(check, "modulo");
    bool points = strncmp(m, "endpoint", 8) == 0 || view;
    bool free_count = strcmp(m, "point_set") == 0 || strcmp(m, "corner_px") == 0 ||
                      strcmp(m, "same_rows") == 0;
    const double *r = stored_f64(g, t);
    golden_pair part;

    p->last = last_axis(t);
    if (golden_slice(g, check, o, t, r, &part)) {
        append(g, p, part.x, part.nx, part.r, part.nr);
        return true;
    }
    if (o->count != t->count && !free_count) {
        golden_note(g, "%s: %zu values, %zu stored", o->name, o->count, t->count);
        return false;
    }
    if (!filtered) {
        append(g, p, o->v, o->count, r, t->count);
        return true;
    }
    size_t each = points ? 2 : 1, units = t->count / each, kept = 0;
    bool *use = golden_alloc(g, units + 1);
    double *fx = golden_alloc(g, (t->count + 1) * sizeof *fx);
    double *fr = golden_alloc(g, (t->count + 1) * sizeof *fr);
    if (!unit_counts(g, check, k, units, use)) {
        golden_note(g, "%s: its status or inside tensor is missing", o->name);
        return false;
    }
    memcpy(fx, o->v, t->count * sizeof *fx);
    unwrap(g, check, fx, r, t->count, p->last);
    for (size_t i = 0; i < units; i++) {
        if (!use[i] || (view && !in_view(g, r + 2 * i)))
            continue;
        for (size_t j = 0; j < each; j++) {
            fr[kept] = r[i * each + j];
            fx[kept++] = fx[i * each + j];
        }
    }
    append(g, p, fx, kept, fr, kept);
    return true;
}

static void conclude(golden *g, const char *label, const json_t *check, const pool *p)
{
    golden_pair pair = { p->x, p->r, p->nx, p->nr, p->last, check };
    double error = 0, limit = 0;
    bool ok = false;

    if (p->tensors == 0)
        return;
    if (!golden_metric(&pair, &error, &limit, &ok)) {
        golden_fail(g, "%s: metric unknown to the runner", label);
        return;
    }
    const char *m = json_string_value(json_object_get(check, "metric"));
    if (strcmp(m, "report") != 0)
        golden_verdict(g, label, error, limit, ok);
    else if (g->own)
        golden_note(g, "report %s: own geometry %.3g", label, error);
}

static bool for_later(const json_t *check)
{
    const char *issue = json_string_value(json_object_get(check, "issue"));
    return issue && strcmp(issue, "formats") == 0;
}

/* Optional tensors may be left out, with a line that says so. */
static void note_left_out(golden *g, const char *name)
{
    size_t used = strlen(g->left_out);

    if (used + strlen(name) + 2 < sizeof g->left_out)
        snprintf(g->left_out + used, sizeof g->left_out - used, "%s%s", used ? " " : "",
                 name);
    g->nleft_out++;
}

/* The largest deviation in one, as an element of all. */
static void append_worst(golden *g, pool *all, const pool *one)
{
    const double zero = 0;
    double worst = 0;

    for (size_t i = 0; i < one->nr; i++)
        worst = fmax(worst, fabs(one->x[i] - one->r[i]));
    append(g, all, &worst, 1, &zero, 1);
}

/* One tensor against one check. */
static void apply(golden *g, const json_t *check, const golden_caught *k,
                  const vbg_st_tensor *t, pool *pooled)
{
    const char *against = json_string_value(json_object_get(check, "against"));
    const char *metric = json_string_value(json_object_get(check, "metric"));
    const golden_out_value *o = golden_find_out(g, t->name);
    pool single = { 0 }, *p = pooled ? pooled : &single;

    if (for_later(check) || golden_skips(g, t->name))
        return;
    if (!o) {
        bool may = json_is_true(json_object_get(check, "optional")) ||
                   strcmp(metric, "report") == 0;
        if (!may)
            golden_fail(g, "%s was not computed", t->name);
        else
            note_left_out(g, t->name);
        return;
    }
    if (against) {
        char name[256];
        expand(name, sizeof name, against, k);
        t = vbg_st_find(g->data, name);
        if (!t) {
            golden_fail(g, "%s is not stored", name);
            return;
        }
    }
    const bool median = strcmp(metric, "median_max_abs") == 0;
    if (!select_elements(g, check, k, o, t, median ? &single : p)) {
        g->failed = true;
        return;
    }
    if (median) /* the pool holds one number for each tensor */
        append_worst(g, p, &single);
    if (!pooled)
        conclude(g, o->name, check, p);
}

/* All tensors whose first matching glob is this one. */
static void judge_glob(golden *g, json_t *section, const char *glob, const json_t *check,
                       bool pooling)
{
    pool all = { 0 };
    json_t *lists[3] = { json_object_get(g->family, "inputs"),
                         json_object_get(g->family, "weights"),
                         json_object_get(g->family, "truth") };

    for (size_t i = 0; i < vbg_st_count(g->data); i++) {
        const vbg_st_tensor *t = vbg_st_at(g->data, i);
        golden_caught k = { 0 };
        const char *first = NULL, *name;
        json_t *v;
        if (!g->own && (listed(lists[0], t->name) || listed(lists[1], t->name) ||
                        listed(lists[2], t->name)))
            continue;
        json_object_foreach(section, name, v)
        {
            k.count = 0;
            if (golden_match(name, t->name, &k)) {
                first = name;
                break;
            }
        }
        if (first && strcmp(first, glob) == 0)
            apply(g, check, &k, t, pooling ? &all : NULL);
    }
    if (pooling)
        conclude(g, glob, check, &all);
}

static void judge_tensors(golden *g, json_t *section)
{
    const char *glob;
    json_t *checks;

    json_object_foreach(section, glob, checks)
    {
        size_t n = json_is_array(checks) ? json_array_size(checks) : 1;
        for (size_t i = 0; i < n; i++) {
            const json_t *c = json_is_array(checks) ? json_array_get(checks, i) : checks;
            const char *m = json_string_value(json_object_get(c, "metric"));
            judge_glob(g, section, glob, c,
                       json_is_true(json_object_get(c, "pool")) ||
                           strcmp(m, "median_max_abs") == 0);
        }
    }
}

/* ---- numbers of the JSON ---- */

static void judge_number(golden *g, const char *path, const json_t *stored,
                         const json_t *check)
{
    const char *m = json_string_value(json_object_get(check, "metric"));
    double limit = json_number_value(json_object_get(check, "limit"));
    double skip = json_number_value(json_object_get(check, "skip_above"));
    double r = json_number_value(stored);
    const golden_out_value *o = NULL;

    char skipped[512];

    snprintf(skipped, sizeof skipped, "json:%s", path);
    if (golden_skips(g, skipped))
        return;
    for (size_t i = 0; i < g->nnumbers; i++)
        if (strcmp(g->numbers[i].name, path) == 0)
            o = &g->numbers[i];
    if (strcmp(m, "report") == 0 || !json_is_number(stored) || (skip > 0 && r > skip))
        return;
    if (!o) {
        golden_fail(g, "%s of the JSON was not computed", path);
        return;
    }
    double error;
    if (strcmp(m, "at_most") == 0)
        error = o->v[0] - r;
    else if (strcmp(m, "at_least") == 0)
        error = r - o->v[0];
    else if (strcmp(m, "max_rel") == 0)
        error = fabs(o->v[0] - r) / (r != 0 ? fabs(r) : 1);
    else
        error = fabs(o->v[0] - r);
    golden_verdict(g, path, error, limit, error <= limit);
}

static void walk_json(golden *g, json_t *checks, const json_t *node, const char *path)
{
    char deeper[512];
    const char *key, *glob;
    json_t *child, *check;

    if (json_is_object(node)) {
        json_object_foreach((json_t *)(uintptr_t)node, key, child)
        {
            snprintf(deeper, sizeof deeper, "%s%s%s", path, *path ? "/" : "", key);
            walk_json(g, checks, child, deeper);
        }
        return;
    }
    if (json_is_array(node)) {
        for (size_t i = 0; i < json_array_size(node); i++) {
            snprintf(deeper, sizeof deeper, "%s/%zu", path, i);
            walk_json(g, checks, json_array_get(node, i), deeper);
        }
        return;
    }
    json_object_foreach(checks, glob, check)
    {
        if (golden_match(glob, path, NULL)) {
            judge_number(g, path, node, check);
            return;
        }
    }
}

void golden_judge(golden *g)
{
    json_t *section = json_object_get(g->family, g->own ? "own_geometry" : "tensors");
    json_t *numbers = json_object_get(g->family, "json");

    if (g->data && json_is_object(section))
        judge_tensors(g, section);
    if (numbers && g->json && !g->own)
        walk_json(g, numbers, g->json, "");
}
