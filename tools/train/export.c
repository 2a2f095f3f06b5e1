/* Trained parameters as a .vbg component; see tools/train/export.h. */
#include "tools/train/export.h"

#include <string.h>

vbg_status vbg_export_new(vbg_export *e, const char *path, vbg_dtype layers, vbg_err *err)
{
    *e = (vbg_export){ .layers = layers };
    return vbg_writer_new(&e->w, path, err);
}

static bool belongs(const vbg_param *m, const char *component)
{
    return strcmp(m->entry.component, component) == 0;
}

vbg_status vbg_export_declare(vbg_export *e, const vbg_params *p, const char *component,
                              vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < vbg_params_count(p) && st == VBG_OK; i++) {
        const vbg_param *m = vbg_params_at(p, i);
        vbg_dtype t = m->entry.layout == VBG_LAYOUT_PACK16 ? e->layers : VBG_F32;
        if (belongs(m, component))
            st = vbg_writer_declare(e->w, component, m->entry.name, t, m->entry.layout,
                                    m->entry.rank, m->entry.dim, err);
    }
    return st;
}

vbg_status vbg_export_put(vbg_export *e, const vbg_param *m, const float *v, vbg_err *err)
{
    return vbg_writer_data(e->w, m->entry.component, m->entry.name, v, err);
}

static bool listed(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

vbg_status vbg_export_put_all(vbg_export *e, const vbg_params *p, const char *component,
                              const char *const *without, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < vbg_params_count(p) && st == VBG_OK; i++) {
        const vbg_param *m = vbg_params_at(p, i);
        if (belongs(m, component) && !listed(without, m->entry.name))
            st = vbg_export_put(e, m, m->value, err);
    }
    return st;
}

vbg_status vbg_export_end(vbg_export *e, vbg_status st, vbg_err *err)
{
    if (st == VBG_OK)
        st = vbg_writer_finish(e->w, err);
    if (st != VBG_OK)
        vbg_writer_abort(e->w);
    e->w = NULL;
    return st;
}
