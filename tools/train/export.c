/* Trained parameters as a .vbg component; see tools/train/export.h. */
#include "tools/train/export.h"

#include <string.h>

#include "kernels/gemm.h"

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

static vbg_status copy_meta(vbg_writer *to, const vbg_weights *w, const char *key,
                            vbg_err *err)
{
    const char *text;
    const void *data;
    int64_t whole;
    double real;
    size_t bytes;

    if (vbg_weights_string(w, key, &text))
        return vbg_writer_string(to, key, text, err);
    if (vbg_weights_int(w, key, &whole))
        return vbg_writer_int(to, key, whole, err);
    if (vbg_weights_real(w, key, &real))
        return vbg_writer_real(to, key, real, err);
    if (vbg_weights_bytes(w, key, &data, &bytes))
        return vbg_writer_bytes(to, key, data, bytes, err);
    return VBG_OK;
}

vbg_status vbg_export_declare_file(vbg_export *e, const vbg_weights *w,
                                   const char *without, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (size_t i = 0; vbg_weights_key(w, i) && st == VBG_OK; i++)
        st = copy_meta(e->w, w, vbg_weights_key(w, i), err);
    for (size_t i = 0; i < vbg_weights_count(w) && st == VBG_OK; i++) {
        const vbg_entry *t = vbg_weights_at(w, i);
        if (strcmp(t->component, without) != 0)
            st = vbg_writer_declare(e->w, t->component, t->name, t->dtype, t->layout,
                                    t->rank, t->dim, err);
    }
    return st;
}

/* One tensor as vbg_writer_data wants it: floats widened and in PyTorch order. */
static vbg_status copy_tensor(vbg_export *e, const vbg_entry *t, vbg_err *err)
{
    const bool floats =
        t->dtype == VBG_F32 || t->dtype == VBG_BF16 || t->dtype == VBG_F16;
    const size_t taps = t->rank == 4 ? (size_t)t->dim[2] * (size_t)t->dim[3] : 1;
    size_t count = 1;

    for (int i = 0; i < t->rank; i++)
        count *= (size_t)t->dim[i];
    if (!floats || (t->layout == VBG_LAYOUT_PLAIN && t->dtype == VBG_F32))
        return vbg_writer_data(e->w, t->component, t->name, t->data, err);
    if (t->layout != VBG_LAYOUT_PLAIN && t->layout != VBG_LAYOUT_PACK16)
        return vbg_fail(err, VBG_EUNSUPPORTED, "%s/%s: a layout that is not copied",
                        t->component, t->name);
    float *v = vbg_alloc(count * sizeof *v);
    if (!v)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory to copy %s", t->name);
    if (t->layout == VBG_LAYOUT_PACK16)
        vbg_unpack(v, t->data, t->dtype, (size_t)t->dim[0], (size_t)t->dim[1],
                   taps == 1 ? 1 : (size_t)t->dim[2], taps == 1 ? 1 : (size_t)t->dim[3]);
    for (size_t i = 0; t->layout == VBG_LAYOUT_PLAIN && i < count; i++) {
        uint16_t bits = ((const uint16_t *)t->data)[i];
        v[i] = t->dtype == VBG_BF16 ? vbg_bf16_to_f32(bits) : vbg_f16_to_f32(bits);
    }
    vbg_status st = vbg_writer_data(e->w, t->component, t->name, v, err);
    vbg_free_mem(v);
    return st;
}

vbg_status vbg_export_put_file(vbg_export *e, const vbg_weights *w, const char *without,
                               vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < vbg_weights_count(w) && st == VBG_OK; i++) {
        const vbg_entry *t = vbg_weights_at(w, i);
        if (strcmp(t->component, without) != 0)
            st = copy_tensor(e, t, err);
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
