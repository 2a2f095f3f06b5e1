/* Training checkpoints; see engine/train_state.h. */
#define _GNU_SOURCE
#include "engine/train_state.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, EMA_SLOT = VBG_OPTIM_SLOTS - 2 /* from there on averages */ };

/* "unet" or "unet@square" */
static const char *component_of(char *text, size_t size, const vbg_param *m, int slot)
{
    if (slot < 0)
        snprintf(text, size, "%s", m->entry.component);
    else
        snprintf(text, size, "%s@%s", m->entry.component, vbg_optim_slot_name(slot));
    return text;
}

static float *values_of(vbg_params *p, vbg_optim *o, size_t i, int slot)
{
    if (slot < 0)
        return vbg_params_at(p, i)->value;
    return o ? vbg_optim_slot(o, i, slot) : NULL;
}

/* ---- saving ---- */

static vbg_status write_meta(vbg_writer *w, const vbg_params *p, vbg_optim *o,
                             const vbg_train_state *s, vbg_err *err)
{
    vbg_status st = vbg_writer_int(w, "train.version", VERSION, err);

    if (st == VBG_OK)
        st = vbg_writer_string(w, "train.kind", s->kind, err);
    if (st == VBG_OK)
        st = vbg_writer_string(w, "train.config", s->config ? s->config : "{}", err);
    if (st == VBG_OK)
        st = vbg_writer_int(w, "train.step", s->step, err);
    if (st == VBG_OK)
        st = vbg_writer_bytes(w, "train.seed", &s->seed, sizeof s->seed, err);
    if (st == VBG_OK && isfinite(s->best))
        st = vbg_writer_real(w, "train.best", s->best, err);
    if (st == VBG_OK)
        st = vbg_writer_int(w, "train.rewarm", s->rewarm, err);
    if (st == VBG_OK && s->last > 0)
        st = vbg_writer_int(w, "train.last", s->last, err);
    if (st == VBG_OK)
        st = vbg_writer_int(w, "train.compact", s->compact, err);
    if (st == VBG_OK)
        st = vbg_writer_int(w, "train.parameters", (int64_t)vbg_params_count(p), err);
    if (st == VBG_OK && o)
        st = vbg_writer_int(w, "optim.steps", vbg_optim_steps(o), err);
    if (st == VBG_OK && o)
        st = vbg_writer_int(w, "optim.kind", vbg_optim_options(o)->kind, err);
    return st;
}

/* Which arrays the file holds. */
static bool stored(const vbg_train_state *s, int slot)
{
    return slot < 0 || slot >= EMA_SLOT || !s->compact;
}

typedef vbg_status visit(void *arg, vbg_param *m, const char *component, float *values,
                         vbg_err *err);

static vbg_status visit_all(vbg_params *p, vbg_optim *o, const vbg_train_state *s,
                            visit *fn, void *arg, vbg_err *err)
{
    char component[256];
    vbg_status st = VBG_OK;

    for (int slot = -1; slot < VBG_OPTIM_SLOTS; slot++)
        for (size_t i = 0; i < vbg_params_count(p) && st == VBG_OK; i++) {
            vbg_param *m = vbg_params_at(p, i);
            float *v = values_of(p, o, i, slot);
            if (v && stored(s, slot))
                st = fn(arg, m, component_of(component, sizeof component, m, slot), v,
                        err);
        }
    return st;
}

typedef struct saving {
    vbg_writer *w;
    bool compact;
} saving;

static vbg_status declare(void *arg, vbg_param *m, const char *component, float *values,
                          vbg_err *err)
{
    const saving *s = arg;

    (void)values; /* running statistics stay exact: they are few */
    return vbg_writer_declare(s->w, component, m->entry.name,
                              s->compact && !m->buffer ? VBG_BF16 : VBG_F32,
                              VBG_LAYOUT_PLAIN, m->entry.rank, m->entry.dim, err);
}

static vbg_status put(void *arg, vbg_param *m, const char *component, float *values,
                      vbg_err *err)
{
    const saving *s = arg;

    return vbg_writer_data(s->w, component, m->entry.name, values, err);
}

vbg_status vbg_train_save(const char *path, vbg_params *p, vbg_optim *o,
                          const vbg_train_state *s, vbg_err *err)
{
    saving job = { .compact = s->compact };
    vbg_status st = vbg_writer_new(&job.w, path, err);

    if (st != VBG_OK)
        return st;
    st = write_meta(job.w, p, o, s, err);
    if (st == VBG_OK)
        st = visit_all(p, o, s, declare, &job, err);
    if (st == VBG_OK)
        st = visit_all(p, o, s, put, &job, err);
    if (st == VBG_OK)
        st = vbg_writer_finish(job.w, err);
    if (st != VBG_OK)
        vbg_writer_abort(job.w);
    return st;
}

/* ---- loading ---- */

typedef struct loading {
    const char *path;
    vbg_weights *w;
    bool compact;
} loading;

static vbg_status differs(const loading *l, vbg_err *err, const char *fmt, ...)
    VBG_PRINTF(3, 4);

static vbg_status differs(const loading *l, vbg_err *err, const char *fmt, ...)
{
    char why[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return vbg_fail(err, VBG_EFORMAT, "%s: %s", l->path, why);
}

static vbg_status read_meta(const loading *l, vbg_train_state *s, vbg_err *err)
{
    int64_t version = 0, step = 0, rewarm = -1, compact = 0, last = 0;
    const char *kind = NULL, *config = NULL;
    const void *seed = NULL;
    size_t bytes = 0;

    if (!vbg_weights_int(l->w, "train.version", &version))
        return differs(l, err, "no training checkpoint");
    if (version != VERSION)
        return differs(l, err, "checkpoint of version %lld, this program reads %d",
                       (long long)version, VERSION);
    if (!vbg_weights_string(l->w, "train.kind", &kind) ||
        !vbg_weights_string(l->w, "train.config", &config) ||
        !vbg_weights_int(l->w, "train.step", &step) || step < 0 ||
        !vbg_weights_bytes(l->w, "train.seed", &seed, &bytes) || bytes != sizeof s->seed)
        return differs(l, err, "checkpoint without its state");
    if (s->kind && strcmp(s->kind, kind) != 0)
        return differs(l, err, "checkpoint of a training of another kind: %s, not %s",
                       kind, s->kind);
    vbg_weights_int(l->w, "train.rewarm", &rewarm);
    vbg_weights_int(l->w, "train.last", &last);
    vbg_weights_int(l->w, "train.compact", &compact);
    if (asprintf(&s->storage, "%s%c%s", kind, 0, config) < 0) {
        s->storage = NULL;
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a checkpoint");
    }
    s->kind = s->storage;
    s->config = s->storage + strlen(kind) + 1;
    memcpy(&s->seed, seed, sizeof s->seed);
    s->step = (long)step;
    s->rewarm = (long)rewarm;
    s->last = (long)last;
    s->compact = compact != 0;
    s->best = NAN;
    vbg_weights_real(l->w, "train.best", &s->best);
    return VBG_OK;
}

/* Shape and type of every array before the first is taken. */
static vbg_status check_one(void *arg, vbg_param *m, const char *component, float *values,
                            vbg_err *err)
{
    const loading *l = arg;
    const vbg_entry *e = vbg_weights_find(l->w, component, m->entry.name), *want;
    bool same;

    (void)values;
    if (!e && l->compact && strchr(component, '@'))
        return VBG_OK; /* no average was kept */
    if (!e)
        return differs(l, err, "another architecture or optimiser: no %s/%s", component,
                       m->entry.name);
    want = &m->entry;
    same = e->rank == want->rank && e->layout == VBG_LAYOUT_PLAIN;
    for (int i = 0; same && i < e->rank; i++)
        same = e->dim[i] == want->dim[i];
    if (!same || (e->dtype != VBG_F32 && e->dtype != VBG_BF16))
        return differs(l, err, "another architecture: %s/%s has another shape", component,
                       m->entry.name);
    return VBG_OK;
}

static vbg_status take_one(void *arg, vbg_param *m, const char *component, float *values,
                           vbg_err *err)
{
    const loading *l = arg;
    const vbg_entry *e = vbg_weights_find(l->w, component, m->entry.name);

    (void)err;
    if (!e)
        memcpy(values, m->value, m->count * sizeof *values);
    else if (e->dtype == VBG_F32)
        memcpy(values, e->data, m->count * sizeof *values);
    else
        for (size_t i = 0; i < m->count; i++)
            values[i] = vbg_bf16_to_f32(((const uint16_t *)e->data)[i]);
    vbg_param_changed(m);
    return VBG_OK;
}

static vbg_status check_all(const loading *l, vbg_params *p, vbg_optim *o,
                            const vbg_train_state *s, vbg_err *err)
{
    int64_t count = 0, kind = -1;
    loading job = *l;

    job.compact = s->compact;
    vbg_weights_int(l->w, "train.parameters", &count);
    vbg_status st = visit_all(p, o, s, check_one, &job, err);
    if (st == VBG_OK && count != (int64_t)vbg_params_count(p))
        st = differs(l, err, "another architecture: %lld tensors, not %zu",
                     (long long)count, vbg_params_count(p));
    if (st != VBG_OK || !o || s->compact)
        return st;
    vbg_weights_int(l->w, "optim.kind", &kind);
    if (kind != (int64_t)vbg_optim_options(o)->kind)
        st = differs(l, err, "moments of another optimiser");
    return st;
}

vbg_status vbg_train_load(const char *path, vbg_params *p, vbg_optim *o,
                          vbg_train_state *s, vbg_err *err)
{
    loading l = { .path = path };
    vbg_train_state found = { .kind = s->kind, .rewarm = -1 };
    int64_t steps = 0;
    vbg_status st = vbg_weights_open(&l.w, path, err);

    if (st == VBG_OK)
        st = vbg_weights_verify(l.w, err);
    if (st == VBG_OK)
        st = read_meta(&l, &found, err);
    if (st == VBG_OK)
        st = check_all(&l, p, o, &found, err);
    if (st == VBG_OK)
        st = visit_all(p, o, &found, take_one, &l, err);
    if (st == VBG_OK) {
        vbg_weights_int(l.w, "optim.steps", &steps);
        if (o)
            vbg_optim_set_steps(o, found.compact ? 0 : (long)steps);
        if (found.compact)
            found.rewarm = found.step;
        *s = found;
        found.storage = NULL;
    }
    free(found.storage);
    vbg_weights_close(l.w);
    return st;
}

void vbg_train_state_free(vbg_train_state *s)
{
    if (!s || !s->storage)
        return;
    free(s->storage);
    s->storage = NULL;
    s->kind = s->config = NULL;
}
