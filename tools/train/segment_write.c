/* The trained network as a .vbg file; see tools/train/segment_new.h. */
#include "tools/train/segment_new.h"

static vbg_dtype stored_type(const vbg_entry *e, vbg_dtype t)
{
    return e->layout == VBG_LAYOUT_PACK16 ? t : VBG_F32;
}

static vbg_status write_metadata(vbg_writer *out, const vbg_weights *w, const char *name,
                                 vbg_err *err)
{
    static const char *const number[] = { "segmenter.width", "segmenter.height",
                                          "segmenter.person", "segmenter.stride" };
    const char *arch = "";
    vbg_status st;

    vbg_weights_string(w, "model.arch", &arch);
    st = vbg_writer_string(out, "model.arch", arch, err);
    if (st == VBG_OK)
        st = vbg_writer_string(out, "model.name", name, err);
    if (st == VBG_OK)
        st =
            vbg_writer_string(out, "model.source", "vbg-train segment " VBG_VERSION, err);
    for (size_t i = 0; st == VBG_OK && i < sizeof number / sizeof *number; i++) {
        int64_t v;
        if (vbg_weights_int(w, number[i], &v))
            st = vbg_writer_int(out, number[i], v, err);
    }
    return st;
}

vbg_status vbg_segment_write(const char *path, const vbg_weights *w, const vbg_params *p,
                             vbg_dtype t, bool trim, const char *name, vbg_err *err)
{
    vbg_writer *out;
    vbg_status st = vbg_writer_new(&out, path, err);

    if (st != VBG_OK)
        return st;
    st = write_metadata(out, w, name, err);
    for (size_t i = 0; st == VBG_OK && i < vbg_weights_count(w); i++) {
        const vbg_entry *e = vbg_weights_at(w, i);
        if (trim && vbg_segment_is_aux(e->name))
            continue;
        st = vbg_writer_declare(out, e->component, e->name, stored_type(e, t), e->layout,
                                e->rank, e->dim, err);
    }
    for (size_t i = 0; st == VBG_OK && i < vbg_weights_count(w); i++) {
        const vbg_entry *e = vbg_weights_at(w, i);
        const vbg_param *m = vbg_params_find(p, e->component, e->name);
        if (trim && vbg_segment_is_aux(e->name))
            continue;
        VBG_CHECK(m, "%s is no parameter", e->name);
        st = vbg_writer_data(out, e->component, e->name, m->value, err);
    }
    if (st == VBG_OK)
        st = vbg_writer_finish(out, err);
    if (st != VBG_OK)
        vbg_writer_abort(out);
    return st;
}
