/* Readers of JSON configs; see models/json_field.h. */
#include "models/json_field.h"

bool vbg_fields_open(vbg_fields *f, const char *what, const char *text, vbg_err *err)
{
    json_error_t e;

    *f = (vbg_fields){ .what = what, .st = VBG_OK, .err = err };
    f->root =
        text && *text ? json_loads(text, JSON_REJECT_DUPLICATES, &e) : json_object();
    if (json_is_object(f->root))
        return true;
    f->st = vbg_fail(err, VBG_EFORMAT, "%s: not a JSON object", what);
    return false;
}

vbg_status vbg_fields_close(vbg_fields *f)
{
    json_decref(f->root);
    f->root = NULL;
    return f->st;
}

static void wrong(vbg_fields *f, const char *key)
{
    if (f->st == VBG_OK)
        f->st = vbg_fail(f->err, VBG_EFORMAT, "%s: %s has a value that cannot be used",
                         f->what, key);
}

/* The field, or NULL when absent or null. */
static const json_t *get(const vbg_fields *f, const char *key)
{
    const json_t *v = json_object_get(f->root, key);

    return json_is_null(v) ? NULL : v;
}

static bool in_range(const json_t *v, int min, int max)
{
    return json_is_integer(v) && json_integer_value(v) >= min &&
           json_integer_value(v) <= max;
}

void vbg_field_int(vbg_fields *f, const char *key, int *v, int min, int max)
{
    const json_t *j = get(f, key);

    if (!j)
        return;
    if (in_range(j, min, max))
        *v = (int)json_integer_value(j);
    else
        wrong(f, key);
}

void vbg_field_real(vbg_fields *f, const char *key, double *v, double min, double max)
{
    const json_t *j = get(f, key);

    if (!j)
        return;
    double x = json_number_value(j);
    if (json_is_number(j) && x >= min && x <= max)
        *v = x;
    else
        wrong(f, key);
}

void vbg_field_bool(vbg_fields *f, const char *key, bool *v)
{
    const json_t *j = get(f, key);

    if (!j)
        return;
    if (json_is_boolean(j))
        *v = json_is_true(j);
    else
        wrong(f, key);
}

const char *vbg_field_text(vbg_fields *f, const char *key)
{
    const json_t *j = get(f, key);

    if (!j)
        return NULL;
    if (!json_is_string(j))
        wrong(f, key);
    return json_string_value(j);
}

void vbg_field_ints(vbg_fields *f, const char *key, int *v, int *count, int cap, int min,
                    int max)
{
    const json_t *j = get(f, key);
    size_t n = json_array_size(j);
    bool good = json_is_array(j)
                    ? n > 0 && n <= (size_t)cap && (*count == 0 || n == (size_t)*count)
                    : *count > 0 && in_range(j, min, max);

    if (!j)
        return;
    for (size_t i = 0; good && i < n; i++)
        good = in_range(json_array_get(j, i), min, max);
    if (!good) {
        wrong(f, key);
        return;
    }
    if (json_is_array(j))
        *count = (int)n;
    for (int i = 0; i < *count; i++)
        v[i] =
            (int)json_integer_value(json_is_array(j) ? json_array_get(j, (size_t)i) : j);
}
