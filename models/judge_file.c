/* A judge from its file: names and network; see models/judge.h. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "models/judge.h"

struct vbg_judge {
    vbg_weights *file;
    vbg_ctx *c;
    vbg_judge_net net;
    json_t *labels, *kinds; /* arrays of names */
    int side;
};

/* A JSON array of 1..VBG_JUDGE_MAX_NAMES strings. */
static vbg_status read_names(json_t **out, const vbg_weights *w, const char *path,
                             const char *key, vbg_err *err)
{
    const char *text = NULL;
    size_t i;
    json_t *name;

    if (!vbg_weights_string(w, key, &text))
        return vbg_fail(err, VBG_EFORMAT, "%s: no %s in its metadata", path, key);
    *out = json_loads(text, 0, NULL);
    const size_t n = json_is_array(*out) ? json_array_size(*out) : 0;
    bool ok = n >= 1 && n <= VBG_JUDGE_MAX_NAMES;
    json_array_foreach(*out, i, name) ok = ok && json_is_string(name);
    return ok ? VBG_OK
              : vbg_fail(err, VBG_EFORMAT, "%s: %s is no list of 1..%d names", path, key,
                         VBG_JUDGE_MAX_NAMES);
}

static vbg_status read_file(vbg_judge *j, const char *path, vbg_err *err)
{
    const char *arch = "";
    int64_t side = 0;

    vbg_weights_string(j->file, "model.arch", &arch);
    if (strcmp(arch, "judge") != 0)
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: is no judge (vbg-train judge makes one)", path);
    vbg_status st = read_names(&j->labels, j->file, path, "judge.labels", err);
    if (st == VBG_OK)
        st = read_names(&j->kinds, j->file, path, "judge.kinds", err);
    if (st != VBG_OK)
        return st;
    if (!vbg_weights_int(j->file, "judge.side", &side) || side < VBG_JUDGE_STEP ||
        side > 2048 || side % VBG_JUDGE_STEP)
        return vbg_fail(err, VBG_EFORMAT, "%s: judge.side is no size of views", path);
    j->side = (int)side;
    return vbg_judge_bind(&j->net, j->file, vbg_judge_labels(j), vbg_judge_kinds(j), err);
}

vbg_status vbg_judge_open(vbg_judge **out, const char *path, const vbg_ctx_opt *opt,
                          vbg_err *err)
{
    vbg_judge *j = calloc(1, sizeof *j);

    *out = NULL;
    if (!j)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a model");
    vbg_status st = vbg_weights_open(&j->file, path, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&j->c, opt, err);
    if (st == VBG_OK)
        st = read_file(j, path, err);
    if (st == VBG_OK)
        *out = j;
    else
        vbg_judge_close(j);
    return st;
}

void vbg_judge_close(vbg_judge *j)
{
    if (!j)
        return;
    json_decref(j->labels);
    json_decref(j->kinds);
    vbg_ctx_free(j->c);
    vbg_weights_close(j->file);
    free(j);
}

const char *vbg_judge_label(const vbg_judge *j, int i)
{
    return i < 0 ? NULL : json_string_value(json_array_get(j->labels, (size_t)i));
}

const char *vbg_judge_kind(const vbg_judge *j, int i)
{
    return i < 0 ? NULL : json_string_value(json_array_get(j->kinds, (size_t)i));
}

int vbg_judge_labels(const vbg_judge *j)
{
    return (int)json_array_size(j->labels);
}

int vbg_judge_kinds(const vbg_judge *j)
{
    return (int)json_array_size(j->kinds);
}

int vbg_judge_side(const vbg_judge *j)
{
    return j->side;
}

vbg_status vbg_judge_see(vbg_judge *j, const vbg_picture *p, vbg_judge_view *out,
                         vbg_err *err)
{
    return vbg_judge_look(j->c, &j->net, p, j->side, out, err);
}
