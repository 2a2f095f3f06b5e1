/* Latents of a list of pictures; see tools/train/latents.h. */
#include "tools/train/latents.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "engine/tensor.h"
#include "tools/options.h"

typedef struct maker {
    vbg_ctx *c;
    const vbg_vae *vae;
    vbg_samples *list;
    const vbg_latents_opt *opt;
    uint64_t key;
    float *picture, *out; /* of the pair (whole and mirrored) under way */
    int side;
} maker;

static uint64_t mix(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * 0x100000001B3u;
    return h;
}

/* What the latents depend on. */
static uint64_t key_of(const vbg_weights *w, const vbg_samples *list,
                       const vbg_latents_opt *opt)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (size_t i = 0; i < vbg_weights_count(w); i++)
        h = mix(h, &vbg_weights_at(w, i)->checksum, sizeof(uint64_t));
    for (size_t i = 0; i < vbg_samples_count(list); i++)
        h = mix(h, vbg_samples_name(list, i), strlen(vbg_samples_name(list, i)) + 1);
    h = mix(h, &opt->picture, sizeof opt->picture);
    return mix(h, &opt->mirrored, sizeof opt->mirrored);
}

/* True when the cache is there and of these pictures. */
static bool open_cache(vbg_latents *l, const maker *m)
{
    const void *key = NULL;
    size_t bytes = 0;
    vbg_err err = { "" };

    if (access(m->opt->cache, R_OK) != 0 ||
        vbg_weights_open(&l->file, m->opt->cache, &err) != VBG_OK)
        return false;
    const vbg_entry *e = vbg_weights_find(l->file, "latents", "all");
    bool fits = e && vbg_weights_bytes(l->file, "latents.key", &key, &bytes) &&
                bytes == sizeof m->key && memcmp(key, &m->key, bytes) == 0 &&
                vbg_weights_verify(l->file, &err) == VBG_OK;
    if (!fits) {
        vbg_weights_close(l->file);
        l->file = NULL;
        return false;
    }
    l->data = e->data;
    l->count = vbg_samples_count(m->list);
    l->side = (int)e->dim[1];
    l->channels = (int)e->dim[3];
    l->each = (size_t)(l->side * l->side * l->channels);
    l->mirrored = m->opt->mirrored;
    return true;
}

static vbg_status encode(vbg_ctx *c, void *arg, vbg_err *err)
{
    maker *m = arg;
    const int n = 1 + m->opt->mirrored, s = m->opt->picture;

    (void)err;
    vbg_tensor *x = vbg_wrap(c, m->picture, VBG_F32, n, s, s, 3);
    vbg_tensor *t = vbg_vae_encode(c, m->vae, x, NULL);
    if (vbg_planning(c))
        return VBG_OK;
    size_t count = vbg_rows(t) * (size_t)m->vae->cfg.latent;
    vbg_vae_moments(m->vae, t->data, vbg_rows(t), m->out, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        m->out[i] *= (float)m->vae->cfg.scaling;
    return VBG_OK;
}

/* The middle of picture i, twice: as it is and mirrored. */
static bool read_picture(maker *m, size_t i, vbg_err *err)
{
    const int s = m->opt->picture;
    const size_t each = 3 * (size_t)s * (size_t)s;
    vbg_picture p;

    if (!vbg_samples_picture(m->list, i, s, &p, err))
        return false;
    for (size_t y = 0; y < (size_t)s; y++)
        for (size_t x = 0; x < (size_t)s; x++)
            for (size_t k = 0; k < 3; k++) {
                float v = (float)p.data[y * p.stride + 3 * x + k] / 127.5f - 1;
                size_t row = y * (size_t)s;
                m->picture[(row + x) * 3 + k] = v;
                m->picture[each + (row + (size_t)s - 1 - x) * 3 + k] = v;
            }
    vbg_picture_free(&p);
    return true;
}

static vbg_status encode_all(maker *m, float *all, size_t each, vbg_err *err)
{
    const size_t pair = each * (1 + (size_t)m->opt->mirrored);
    vbg_progress bar;
    vbg_status st = VBG_OK;

    vbg_progress_start(&bar, "latents", (long)vbg_samples_count(m->list));
    for (size_t i = 0; i < vbg_samples_count(m->list) && st == VBG_OK; i++) {
        vbg_err why = { "" };
        m->out = all + i * pair;
        if (vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
        else if (read_picture(m, i, &why))
            st = vbg_run(m->c, encode, m, err);
        else if (m->list->strict)
            st = vbg_fail(err, VBG_EFORMAT, "%s", why.text);
        else
            m->out[0] = NAN;
        vbg_progress_step(&bar, (long)i + 1);
    }
    vbg_progress_end(&bar);
    return st;
}

static vbg_status write_cache(const maker *m, const float *all, vbg_err *err)
{
    const int64_t dim[4] = { (int64_t)(vbg_samples_count(m->list) *
                                       (1 + (size_t)m->opt->mirrored)),
                             m->side, m->side, m->vae->cfg.latent };
    vbg_writer *w;
    vbg_status st = vbg_writer_new(&w, m->opt->cache, err);

    if (st != VBG_OK)
        return st;
    st = vbg_writer_bytes(w, "latents.key", &m->key, sizeof m->key, err);
    if (st == VBG_OK)
        st = vbg_writer_declare(w, "latents", "all", VBG_BF16, VBG_LAYOUT_PLAIN, 4, dim,
                                err);
    if (st == VBG_OK)
        st = vbg_writer_data(w, "latents", "all", all, err);
    if (st == VBG_OK)
        st = vbg_writer_finish(w, err);
    if (st != VBG_OK)
        vbg_writer_abort(w);
    return st;
}

static vbg_status make_cache(maker *m, vbg_err *err)
{
    const size_t each = (size_t)(m->side * m->side * m->vae->cfg.latent);
    const size_t pictures = vbg_samples_count(m->list) * (1 + (size_t)m->opt->mirrored);
    float *all = vbg_alloc(pictures * each * sizeof *all);
    vbg_status st = VBG_OK;

    m->picture = vbg_alloc(6 * (size_t)m->opt->picture * (size_t)m->opt->picture *
                           sizeof *m->picture);
    if (!all || !m->picture)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for %zu latents", pictures);
    if (st == VBG_OK)
        st = encode_all(m, all, each, err);
    if (st == VBG_OK)
        st = write_cache(m, all, err);
    vbg_free_mem(all);
    vbg_free_mem(m->picture);
    return st;
}

vbg_status vbg_latents_open(vbg_latents *out, vbg_ctx *c, const vbg_vae *vae,
                            const vbg_weights *weights, vbg_samples *list,
                            const vbg_latents_opt *opt, vbg_err *err)
{
    maker m = { .c = c, .vae = vae, .list = list, .opt = opt };

    *out = (vbg_latents){ 0 };
    m.key = key_of(weights, list, opt);
    m.side = opt->picture >> (vae->cfg.levels - 1);
    if (open_cache(out, &m))
        return VBG_OK;
    vbg_status st = make_cache(&m, err);
    if (st == VBG_OK && !open_cache(out, &m))
        st = vbg_fail(err, VBG_EIO, "%s: cannot be read again", opt->cache);
    return st;
}

void vbg_latents_close(vbg_latents *l)
{
    vbg_weights_close(l->file);
    *l = (vbg_latents){ 0 };
}

static const uint16_t *at(const vbg_latents *l, size_t i, bool mirrored)
{
    return l->data +
           (i * (1 + (size_t)l->mirrored) + (mirrored && l->mirrored)) * l->each;
}

bool vbg_latents_good(const vbg_latents *l, size_t i)
{
    return isfinite(vbg_bf16_to_f32(at(l, i, false)[0]));
}

void vbg_latents_get(const vbg_latents *l, size_t i, bool mirrored, float *out)
{
    const uint16_t *v = at(l, i, mirrored);

    for (size_t k = 0; k < l->each; k++)
        out[k] = vbg_bf16_to_f32(v[k]);
}
