/* Latents of a list of pictures; see tools/train/latents.h. */
#include "tools/train/latents.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/tensor.h"
#include "tools/options.h"

enum { RUN = 256 }; /* pictures of a run */

typedef struct maker {
    vbg_ctx *c;
    const vbg_vae *vae;
    vbg_samples *list;
    const vbg_latents_opt *opt;
    uint64_t key;
    float *picture, *out; /* of the pair (whole and mirrored) under way */
    int side;
    bool truth; /* some picture has any */
    vbg_writer *w;
    float *latents, *depth; /* of the run under way */
    uint8_t *label;
} maker;

static size_t runs_of(size_t pictures)
{
    return (pictures + RUN - 1) / RUN;
}

/* Pictures of a run. */
static size_t pictures_of(size_t run, size_t count)
{
    return run + 1 < runs_of(count) ? RUN : count - run * RUN;
}

static const char *run_name(char name[24], size_t run)
{
    snprintf(name, 24, "%05zu", run);
    return name;
}

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
        if (strcmp(vbg_weights_at(w, i)->component, "vae") == 0)
            h = mix(h, &vbg_weights_at(w, i)->checksum, sizeof(uint64_t));
    for (size_t i = 0; i < vbg_samples_count(list); i += vbg_samples_a_scene(list)) {
        const bool truth = vbg_samples_has_truth(list, i);
        h = mix(h, vbg_samples_name(list, i), strlen(vbg_samples_name(list, i)) + 1);
        h = mix(h, &truth, sizeof truth);
    }
    h = mix(h, &list->opt.starts, sizeof list->opt.starts);
    h = mix(h, &opt->picture, sizeof opt->picture);
    return mix(h, &opt->mirrored, sizeof opt->mirrored);
}

/* ---- reading ---- */

/* Data of a run, or NULL. */
static const vbg_entry *entry_of(const vbg_latents *l, const char *component, size_t run)
{
    char name[24];

    return vbg_weights_find(l->file, component, run_name(name, run));
}

static bool bind_runs(vbg_latents *l)
{
    const vbg_entry *first = entry_of(l, "latents", 0), *e;

    l->run = calloc(l->runs, sizeof *l->run);
    l->label = calloc(l->runs, sizeof *l->label);
    l->depth = calloc(l->runs, sizeof *l->depth);
    if (!first || !l->run || !l->label || !l->depth)
        return false;
    l->side = (int)first->dim[1];
    l->channels = (int)first->dim[3];
    l->each = (size_t)(l->side * l->side * l->channels);
    e = entry_of(l, "label", 0);
    l->truth_side = e ? (int)e->dim[1] : 0;
    for (size_t i = 0; i < l->runs; i++) {
        const vbg_entry *label = entry_of(l, "label", i),
                        *depth = entry_of(l, "depth", i);
        e = entry_of(l, "latents", i);
        if (!e || (l->truth_side && (!label || !depth)))
            return false;
        l->run[i] = e->data;
        l->label[i] = label ? label->data : NULL;
        l->depth[i] = depth ? depth->data : NULL;
    }
    return true;
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
    l->count = vbg_samples_count(m->list);
    l->runs = runs_of(l->count);
    l->mirrored = m->opt->mirrored;
    bool fits = vbg_weights_bytes(l->file, "latents.key", &key, &bytes) &&
                bytes == sizeof m->key && memcmp(key, &m->key, bytes) == 0 &&
                bind_runs(l) && vbg_weights_verify(l->file, &err) == VBG_OK;
    if (!fits)
        vbg_latents_close(l);
    return fits;
}

/* ---- making ---- */

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

/* As a convolution of stride 2 leaves it. */
static int truth_side(const maker *m)
{
    return (m->side + 1) / 2;
}

static size_t pair_floats(const maker *m)
{
    return (size_t)(m->side * m->side * m->vae->cfg.latent) *
           (1 + (size_t)m->opt->mirrored);
}

/* Regions and depths of picture i at place k of the run. */
static vbg_status put_truth(maker *m, size_t i, size_t k, vbg_err *err)
{
    const size_t cells = (size_t)truth_side(m) * (size_t)truth_side(m);
    uint8_t *label = m->label + k * cells;
    float *depth = m->depth + k * cells;
    vbg_err why = { "" };

    if (!m->truth || vbg_samples_truth(m->list, i, truth_side(m), label, depth, &why))
        return VBG_OK;
    memset(label, VBG_TRUTH_NONE, cells);
    for (size_t c = 0; c < cells; c++)
        depth[c] = NAN;
    if (!vbg_samples_has_truth(m->list, i))
        return VBG_OK;
    if (m->list->opt.strict)
        return vbg_fail(err, VBG_EFORMAT, "%s", why.text);
    if (why.text[0] && i % vbg_samples_a_scene(m->list) == 0)
        vbg_warning("no regions: %s", why.text);
    return VBG_OK;
}

static vbg_status encode_run(maker *m, size_t first, size_t n, vbg_progress *bar,
                             vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (size_t k = 0; k < n && st == VBG_OK; k++) {
        vbg_err why = { "" };
        m->out = m->latents + k * pair_floats(m);
        if (vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
        else if (read_picture(m, first + k, &why))
            st = vbg_run(m->c, encode, m, err);
        else if (m->list->opt.strict)
            st = vbg_fail(err, VBG_EFORMAT, "%s", why.text);
        else
            m->out[0] = NAN;
        if (st == VBG_OK)
            st = put_truth(m, first + k, k, err);
        vbg_progress_step(bar, (long)(first + k) + 1);
    }
    return st;
}

static vbg_status declare_run(maker *m, size_t run, size_t n, vbg_err *err)
{
    const int64_t d[4] = { (int64_t)(n * (1 + (size_t)m->opt->mirrored)), m->side,
                           m->side, m->vae->cfg.latent };
    const int64_t t[3] = { (int64_t)n, truth_side(m), truth_side(m) };
    char name[24];
    vbg_status st = vbg_writer_declare(m->w, "latents", run_name(name, run), VBG_BF16,
                                       VBG_LAYOUT_PLAIN, 4, d, err);

    if (st == VBG_OK && m->truth)
        st = vbg_writer_declare(m->w, "label", name, VBG_U8, VBG_LAYOUT_PLAIN, 3, t, err);
    if (st == VBG_OK && m->truth)
        st = vbg_writer_declare(m->w, "depth", name, VBG_BF16, VBG_LAYOUT_PLAIN, 3, t,
                                err);
    return st;
}

static vbg_status put_run(maker *m, size_t run, vbg_err *err)
{
    char name[24];
    vbg_status st =
        vbg_writer_data(m->w, "latents", run_name(name, run), m->latents, err);

    if (st == VBG_OK && m->truth)
        st = vbg_writer_data(m->w, "label", name, m->label, err);
    if (st == VBG_OK && m->truth)
        st = vbg_writer_data(m->w, "depth", name, m->depth, err);
    return st;
}

/* Run by run into the file: memory does not grow with the list. */
static vbg_status write_runs(maker *m, vbg_err *err)
{
    const size_t count = vbg_samples_count(m->list);
    vbg_progress bar;
    vbg_status st = vbg_writer_bytes(m->w, "latents.key", &m->key, sizeof m->key, err);

    for (size_t i = 0; i < runs_of(count) && st == VBG_OK; i++)
        st = declare_run(m, i, pictures_of(i, count), err);
    vbg_progress_start(&bar, "latents", (long)count);
    for (size_t i = 0; i < runs_of(count) && st == VBG_OK; i++) {
        st = encode_run(m, i * RUN, pictures_of(i, count), &bar, err);
        if (st == VBG_OK)
            st = put_run(m, i, err);
    }
    vbg_progress_end(&bar);
    return st;
}

static vbg_status make_cache(maker *m, vbg_err *err)
{
    const size_t cells = (size_t)truth_side(m) * (size_t)truth_side(m);
    const size_t side = (size_t)m->opt->picture;
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < vbg_samples_count(m->list) && !m->truth;
         i += vbg_samples_a_scene(m->list))
        m->truth = vbg_samples_has_truth(m->list, i);
    m->picture = vbg_alloc(6 * side * side * sizeof *m->picture);
    m->latents = vbg_alloc(RUN * pair_floats(m) * sizeof *m->latents);
    m->depth = vbg_alloc(RUN * cells * sizeof *m->depth);
    m->label = vbg_alloc(RUN * cells);
    if (!m->picture || !m->latents || !m->depth || !m->label)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for latents");
    if (st == VBG_OK)
        st = vbg_writer_new(&m->w, m->opt->cache, err);
    if (st == VBG_OK)
        st = write_runs(m, err);
    if (st == VBG_OK)
        st = vbg_writer_finish(m->w, err);
    if (st != VBG_OK)
        vbg_writer_abort(m->w);
    vbg_free_mem(m->picture);
    vbg_free_mem(m->latents);
    vbg_free_mem(m->depth);
    vbg_free_mem(m->label);
    return st;
}

vbg_status vbg_latents_open(vbg_latents *out, vbg_ctx *c, const vbg_vae *vae,
                            const vbg_weights *weights, vbg_samples *list,
                            const vbg_latents_opt *opt, vbg_err *err)
{
    maker m = { .c = c, .vae = vae, .list = list, .opt = opt };

    *out = (vbg_latents){ 0 };
    m.key = key_of(weights, list, opt);
    m.side = opt->picture / vbg_vae_down(&vae->cfg);
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
    free(l->run);
    free(l->label);
    free(l->depth);
    *l = (vbg_latents){ 0 };
}

static const uint16_t *at(const vbg_latents *l, size_t i, bool mirrored)
{
    return l->run[i / RUN] +
           (i % RUN * (1 + (size_t)l->mirrored) + (mirrored && l->mirrored)) * l->each;
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

void vbg_latents_truth(const vbg_latents *l, size_t i, bool mirrored, uint8_t *label,
                       float *depth)
{
    const size_t side = (size_t)l->truth_side, at = i % RUN * side * side;

    for (size_t y = 0; y < side; y++)
        for (size_t x = 0; x < side; x++) {
            const size_t from = at + y * side + (mirrored ? side - 1 - x : x);
            *label++ = l->label[i / RUN][from];
            *depth++ = vbg_bf16_to_f32(l->depth[i / RUN][from]);
        }
}
