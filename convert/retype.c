/* .vbg files in another type; see convert/retype.h. */
#include "convert/retype.h"

#include <math.h>
#include <string.h>

#include "convert/package.h"
#include "engine/weights_format.h"
#include "kernels/gemm.h"
#include "models/vae.h"

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

/* Where the tensors come from: two files, the second for the autoencoder alone. */
typedef struct sources {
    vbg_weights *file[2]; /* the second may be NULL */
} sources;

static bool is_taken(const sources *s, int file, const vbg_entry *e)
{
    const bool vae = strcmp(e->component, "vae") == 0;

    return file == 1 ? vae : !(vae && s->file[1]);
}

/* Calls fn for every tensor that is taken. */
static vbg_status each_tensor(const sources *s,
                              vbg_status (*fn)(void *arg, const vbg_entry *e,
                                               vbg_err *err),
                              void *arg, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (int f = 0; f < 2 && s->file[f]; f++)
        for (size_t i = 0; i < vbg_weights_count(s->file[f]) && st == VBG_OK; i++) {
            const vbg_entry *e = vbg_weights_at(s->file[f], i);
            if (is_taken(s, f, e))
                st = fn(arg, e, err);
        }
    return st;
}

typedef struct retyping {
    vbg_writer *w;
    vbg_dtype type;
    float *values;
    size_t most;
    vbg_retype_result *result;
} retyping;

static vbg_status declare(void *arg, const vbg_entry *e, vbg_err *err)
{
    retyping *r = arg;
    size_t count = 0;

    vbg_dims_count(&count, e->rank, e->dim);
    r->most = count > r->most ? count : r->most;
    return vbg_writer_declare(r->w, e->component, e->name, type_of(e, r->type), e->layout,
                              e->rank, e->dim, err);
}

static vbg_status write_values(void *arg, const vbg_entry *e, vbg_err *err)
{
    retyping *r = arg;
    const vbg_dtype type = type_of(e, r->type);
    size_t count = 0;

    vbg_dims_count(&count, e->rank, e->dim);
    const bool floats = vbg_entry_values(r->values, e);
    if (floats && !fits(r->values, count, type))
        return vbg_fail(err, VBG_EFORMAT,
                        "%s/%s: values that are not finite or too large for %s",
                        e->component, e->name, vbg_dtype_name(type));
    r->result->tensors++;
    r->result->parameters += count;
    return vbg_writer_data(r->w, e->component, e->name, floats ? r->values : e->data,
                           err);
}

/* ---- another autoencoder ---- */

static vbg_status read_vae(const vbg_weights *w, const char *path, vbg_vae_config *cfg,
                           vbg_err *err)
{
    const char *json = NULL;

    if (!vbg_weights_string(w, "vae.config", &json))
        return vbg_fail(err, VBG_EFORMAT, "%s: no autoencoder", path);
    return vbg_vae_config_read(cfg, json, err);
}

/* Both must speak of latents of the same kind. */
static vbg_status check_vae(const sources *s, const char *in, const char *vae,
                            vbg_err *err)
{
    vbg_vae_config a, b;
    vbg_status st = read_vae(s->file[0], in, &a, err);

    if (st == VBG_OK)
        st = read_vae(s->file[1], vae, &b, err);
    if (st == VBG_OK && (a.latent != b.latent || a.levels != b.levels))
        st =
            vbg_fail(err, VBG_EUNSUPPORTED,
                     "%s: latents of %d channels, %d times smaller; those of %s have %d, "
                     "%d times smaller",
                     vae, b.latent, vbg_vae_down(&b), in, a.latent, vbg_vae_down(&a));
    return st;
}

static vbg_status copy_meta(vbg_writer *w, const sources *s, vbg_err *err)
{
    const char *config = NULL;
    vbg_status st = VBG_OK;

    if (s->file[1] && vbg_weights_string(s->file[1], "vae.config", &config))
        st = vbg_writer_string(w, "vae.config", config, err);
    return st == VBG_OK ? vbg_writer_copy_meta(w, s->file[0], err) : st;
}

/* ---- the whole ---- */

static vbg_status open_sources(sources *s, const char *in, const char *vae, vbg_err *err)
{
    vbg_status st = vbg_weights_open(&s->file[0], in, err);

    if (st == VBG_OK)
        st = vbg_weights_verify(s->file[0], err);
    if (st == VBG_OK && vae)
        st = vbg_weights_open(&s->file[1], vae, err);
    if (st == VBG_OK && vae)
        st = vbg_weights_verify(s->file[1], err);
    return st == VBG_OK && vae ? check_vae(s, in, vae, err) : st;
}

vbg_status vbg_retype(const char *in, const char *vae, const char *out, vbg_dtype t,
                      vbg_retype_result *result, vbg_err *err)
{
    sources s = { { NULL } };
    retyping r = { .type = t, .result = result };
    vbg_status st = open_sources(&s, in, vae, err);

    *result = (vbg_retype_result){ 0 };
    if (st == VBG_OK)
        st = vbg_writer_new(&r.w, out, err);
    if (st == VBG_OK)
        st = copy_meta(r.w, &s, err);
    if (st == VBG_OK)
        st = each_tensor(&s, declare, &r, err);
    if (st == VBG_OK && !(r.values = vbg_alloc(r.most * sizeof *r.values)))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for the largest tensor");
    if (st == VBG_OK)
        st = each_tensor(&s, write_values, &r, err);
    if (st == VBG_OK)
        st = vbg_writer_finish(r.w, err);
    if (st != VBG_OK)
        vbg_writer_abort(r.w);
    vbg_free_mem(r.values);
    vbg_weights_close(s.file[0]);
    vbg_weights_close(s.file[1]);
    return st;
}
