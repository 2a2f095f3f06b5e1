/* Which parts of a tensor a check looks at, and which tensors it leaves out. */
#include <stdio.h>
#include <string.h>

#include "tests/golden/golden_internal.h"

static size_t integer(const json_t *check, const char *key, size_t otherwise)
{
    const json_t *v = json_object_get(check, key);

    return v ? (size_t)json_integer_value(v) : otherwise;
}

/* Whether entry i is in the list; no list: yes. */
static bool in_list(const json_t *list, size_t i)
{
    size_t k;
    json_t *v;

    if (!list)
        return true;
    json_array_foreach(list, k,
                       v) if (json_integer_value(v) == (json_int_t)i) return true;
    return false;
}

static bool wants_last(const json_t *rows)
{
    size_t k;
    json_t *v;

    json_array_foreach(rows, k, v) if (json_integer_value(v) == -1) return true;
    return false;
}

bool golden_slice(golden *g, const json_t *check, const golden_out_value *o,
                  const vbg_st_tensor *t, const double *r, golden_pair *out)
{
    const json_t *rows = json_object_get(check, "rows");
    const json_t *cols = json_object_get(check, "cols");
    const json_t *from_row = json_object_get(check, "from_row");
    const json_t *to_row = json_object_get(check, "to_row");
    const size_t row = t->rank > 1 && t->dim[0] ? t->count / (size_t)t->dim[0] : 1;
    const size_t last = t->rank > 1 ? (size_t)t->dim[t->rank - 1] : 1;
    const size_t nx = o->count / row, nr = t->count / row, n = nx < nr ? nx : nr;
    double *x = golden_alloc(g, (t->count + row + 1) * sizeof *x);
    double *y = golden_alloc(g, (t->count + row + 1) * sizeof *y);
    size_t kept = 0;

    if (!rows && !cols && !from_row && !to_row)
        return false;
    for (size_t i = integer(check, "from_row", 0);
         i < n && i < integer(check, "to_row", n); i++)
        for (size_t k = 0; k < row && in_list(rows, i); k++)
            if (in_list(cols, k % last)) {
                x[kept] = o->v[i * row + k];
                y[kept++] = r[i * row + k];
            }
    for (size_t k = 0; k < row && n && wants_last(rows); k++)
        if (in_list(cols, k % last)) {
            x[kept] = o->v[(nx - 1) * row + k];
            y[kept++] = r[(nr - 1) * row + k];
        }
    *out = (golden_pair){ .x = x, .r = y, .nx = kept, .nr = kept };
    return true;
}

/* "grad.{name}" with name put in. */
static bool matches_with(const char *pattern, const char *name, const char *put_in)
{
    const char *hole = strstr(pattern, "{name}");
    char full[400];

    if (!hole)
        return strcmp(pattern, name) == 0;
    snprintf(full, sizeof full, "%.*s%s%s", (int)(hole - pattern), pattern, put_in,
             hole + strlen("{name}"));
    return strcmp(full, name) == 0;
}

bool golden_skips(const golden *g, const char *name)
{
    json_t *skip = json_object_get(g->family, "skip"), *one, *v;
    size_t i, k;
    const char *key;

    json_array_foreach(skip, i, one)
    {
        const char *pattern = json_string_value(json_object_get(one, "match"));
        const char *field = json_string_value(json_object_get(one, "names"));
        json_t *names = field ? json_object_get(g->json, field) : NULL;
        json_object_foreach(names, key,
                            v) if (matches_with(pattern, name, key)) return true;
        json_array_foreach(
            names, k,
            v) if (matches_with(pattern, name, json_string_value(v))) return true;
    }
    return false;
}
