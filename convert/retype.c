/* .vbg files in another type; see convert/retype.h. */
#include "convert/retype.h"

#include <math.h>
#include <string.h>

#include "convert/package.h"
#include "engine/weights_format.h"
#include "kernels/gemm.h"

static bool is_float(vbg_dtype t)
{
    return t == VBG_F32 || t == VBG_BF16 || t == VBG_F16;
}

/* The type that e is written in. */
static vbg_dtype type_of(const vbg_entry *e, vbg_dtype t)
{
    if (e->layout == VBG_LAYOUT_PACK16)
        return t == VBG_I8 ? vbg_package_small(e->name, e->rank, e->dim) : t;
    if (is_float(e->dtype) && vbg_package_is_table(e->name, e->rank))
        return t == VBG_I8 ? VBG_BF16 : t;
    return e->dtype;
}

static bool fits(const float *v, size_t count, vbg_dtype t)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(v[i]) || (t == VBG_F16 && fabsf(v[i]) > 65504))
            return false;
    return true;
}

static vbg_status declare(vbg_writer *w, const vbg_weights *in, vbg_dtype t, size_t *most,
                          vbg_err *err)
{
    vbg_status st = vbg_writer_copy_meta(w, in, err);

    for (size_t i = 0; i < vbg_weights_count(in) && st == VBG_OK; i++) {
        const vbg_entry *e = vbg_weights_at(in, i);
        size_t count = 0;
        vbg_dims_count(&count, e->rank, e->dim);
        *most = count > *most ? count : *most;
        st = vbg_writer_declare(w, e->component, e->name, type_of(e, t), e->layout,
                                e->rank, e->dim, err);
    }
    return st;
}

static vbg_status write_values(vbg_writer *w, const vbg_weights *in, vbg_dtype t,
                               float *values, vbg_retype_result *result, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < vbg_weights_count(in) && st == VBG_OK; i++) {
        const vbg_entry *e = vbg_weights_at(in, i);
        size_t count = 0;
        vbg_dims_count(&count, e->rank, e->dim);
        const bool floats = vbg_entry_values(values, e);
        if (floats && !fits(values, count, type_of(e, t)))
            return vbg_fail(err, VBG_EFORMAT,
                            "%s/%s: values that are not finite or too large for %s",
                            e->component, e->name, vbg_dtype_name(type_of(e, t)));
        st = vbg_writer_data(w, e->component, e->name, floats ? values : e->data, err);
        result->tensors++;
        result->parameters += count;
    }
    return st;
}

vbg_status vbg_retype(const char *in, const char *out, vbg_dtype t,
                      vbg_retype_result *result, vbg_err *err)
{
    vbg_weights *from = NULL;
    vbg_writer *w = NULL;
    float *values = NULL;
    size_t most = 0;
    vbg_status st = vbg_weights_open(&from, in, err);

    *result = (vbg_retype_result){ 0 };
    if (st == VBG_OK)
        st = vbg_weights_verify(from, err);
    if (st == VBG_OK)
        st = vbg_writer_new(&w, out, err);
    if (st == VBG_OK)
        st = declare(w, from, t, &most, err);
    if (st == VBG_OK && !(values = vbg_alloc(most * sizeof *values)))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for the largest tensor");
    if (st == VBG_OK)
        st = write_values(w, from, t, values, result, err);
    if (st == VBG_OK)
        st = vbg_writer_finish(w, err);
    if (st != VBG_OK)
        vbg_writer_abort(w);
    vbg_free_mem(values);
    vbg_weights_close(from);
    return st;
}
