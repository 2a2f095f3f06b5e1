/* .vbg files in another type; see convert/retype.h. */
#include "convert/retype.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/package.h"
#include "engine/weights_format.h"
#include "kernels/gemm.h"
#include "models/unet.h"
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

/* Where the tensors come from: the file itself, and others for single components. */
enum { OWN, VAE, CAA, SOURCES };

static const char *const component_of[SOURCES] = { "", "vae", "caa" };

typedef struct sources {
    const char *path[SOURCES];
    vbg_weights *file[SOURCES]; /* all but the first may be NULL */
} sources;

static bool is_taken(const sources *s, int source, const vbg_entry *e)
{
    for (int i = OWN + 1; i < SOURCES; i++)
        if (strcmp(e->component, component_of[i]) == 0 && s->file[i])
            return i == source;
    return source == OWN;
}

/* Calls fn for every tensor that is taken. */
static vbg_status each_tensor(const sources *s,
                              vbg_status (*fn)(void *arg, const vbg_entry *e,
                                               vbg_err *err),
                              void *arg, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (int f = 0; f < SOURCES; f++)
        for (size_t i = 0;
             s->file[f] && i < vbg_weights_count(s->file[f]) && st == VBG_OK; i++) {
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

/* ---- components of another file ---- */

static vbg_status read_vae(const sources *s, int source, vbg_vae_config *cfg,
                           vbg_err *err)
{
    const char *json = NULL;

    if (!vbg_weights_string(s->file[source], "vae.config", &json))
        return vbg_fail(err, VBG_EFORMAT, "%s: no autoencoder", s->path[source]);
    return vbg_vae_config_read(cfg, json, err);
}

/* Both must speak of latents of the same kind. */
static vbg_status check_vae(const sources *s, vbg_err *err)
{
    vbg_vae_config a, b;
    vbg_status st = read_vae(s, OWN, &a, err);

    if (st == VBG_OK)
        st = read_vae(s, VAE, &b, err);
    if (st == VBG_OK && (a.latent != b.latent || a.levels != b.levels))
        st =
            vbg_fail(err, VBG_EUNSUPPORTED,
                     "%s: latents of %d channels, %d times smaller; those of %s have %d, "
                     "%d times smaller",
                     s->path[VAE], b.latent, vbg_vae_down(&b), s->path[OWN], a.latent,
                     vbg_vae_down(&a));
    return st;
}

/* One block for every level of the UNet, as wide as the level. */
static vbg_status check_caa(const sources *s, vbg_err *err)
{
    const char *json = NULL;
    vbg_unet_config cfg;

    if (!vbg_weights_string(s->file[OWN], "unet.config", &json))
        return vbg_fail(err, VBG_EFORMAT, "%s: no UNet", s->path[OWN]);
    vbg_status st = vbg_unet_config_read(&cfg, json, err);
    for (int i = 0; i < cfg.levels && st == VBG_OK; i++) {
        char name[64];
        snprintf(name, sizeof name, "cp_blocks_encoder.%d.transformer.norm1.weight", i);
        const vbg_entry *e = vbg_weights_find(s->file[CAA], "caa", name);
        if (!e || e->rank != 1 || e->dim[0] != cfg.width[i])
            st = vbg_fail(err, VBG_EUNSUPPORTED,
                          "%s: no CAA blocks for a UNet with %d channels in level %d",
                          s->path[CAA], cfg.width[i], i);
    }
    return st;
}

static vbg_status copy_meta(vbg_writer *w, const sources *s, vbg_err *err)
{
    const char *config = NULL;
    vbg_status st = VBG_OK;

    if (s->file[VAE] && vbg_weights_string(s->file[VAE], "vae.config", &config))
        st = vbg_writer_string(w, "vae.config", config, err);
    return st == VBG_OK ? vbg_writer_copy_meta(w, s->file[OWN], err) : st;
}

/* ---- the whole ---- */

static vbg_status open_sources(sources *s, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (int i = 0; i < SOURCES && st == VBG_OK; i++) {
        if (!s->path[i])
            continue;
        st = vbg_weights_open(&s->file[i], s->path[i], err);
        if (st == VBG_OK)
            st = vbg_weights_verify(s->file[i], err);
    }
    if (st == VBG_OK && s->file[VAE])
        st = check_vae(s, err);
    return st == VBG_OK && s->file[CAA] ? check_caa(s, err) : st;
}

vbg_status vbg_retype(const char *in, const vbg_retype_parts *parts, const char *out,
                      vbg_dtype t, vbg_retype_result *result, vbg_err *err)
{
    sources s = { .path = { in, parts->vae, parts->caa } };
    retyping r = { .type = t, .result = result };
    vbg_status st = open_sources(&s, err);

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
    for (int i = 0; i < SOURCES; i++)
        vbg_weights_close(s.file[i]);
    return st;
}
