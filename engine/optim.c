/* Optimisers; see engine/optim.h.  The rules themselves are kernels (kernels/optim.h). */
#include "engine/optim.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/muon.h"
#include "engine/tensor.h"

/* Values of one task: 64 KB a stream, so that a chunk's six streams fit a level-2 cache
 * while the norm, the update and the packing visit it.  More where what packs by itself
 * is larger. */
enum { CHUNK = 16384 };

enum { MOMENTUM, SQUARE, SQUARE_MAX, EMA, EMA2 };

typedef struct state {
    float *slot[VBG_OPTIM_SLOTS];
    double lr_factor, weight_decay;
} state;

typedef struct chunk {
    size_t param, first, count;
} chunk;

struct vbg_optim {
    vbg_params *params;
    vbg_optim_opt opt;
    state *states; /* one per parameter of the set */
    size_t nstates;
    chunk *chunks;
    size_t nchunks;
    double *sums; /* one per chunk */
    vbg_muon *muon;
    long steps;
};

vbg_optim_opt vbg_optim_defaults(vbg_optim_kind kind)
{
    return (vbg_optim_opt){ .kind = kind,
                            .beta1 = 0.9,
                            .beta2 = kind == VBG_RMSPROP ? 0.99 : 0.999,
                            .eps = 1e-8,
                            .momentum = kind == VBG_MUON ? 0.95 : 0,
                            .weight_decay =
                                kind == VBG_ADAMW || kind == VBG_MUON ? 0.01 : 0 };
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Sides of a parameter that Muon turns, false for all others. */
static bool sides_of(const vbg_optim *o, const vbg_param *m, size_t *rows, size_t *cols)
{
    const vbg_entry *e = &m->entry;

    if (o->opt.kind != VBG_MUON || m->buffer || e->layout != VBG_LAYOUT_PACK16 ||
        e->rank < 2)
        return false;
    *rows = (size_t)e->dim[0];
    *cols = m->count / *rows;
    return *rows > 1 && *cols > 1;
}

static bool turned(const vbg_optim *o, const vbg_param *m)
{
    size_t rows, cols;

    return sides_of(o, m, &rows, &cols);
}

static bool keeps(const vbg_optim *o, const vbg_param *m, int slot)
{
    const vbg_optim_opt *opt = &o->opt;
    bool adam = opt->kind == VBG_ADAM || opt->kind == VBG_ADAMW || opt->kind == VBG_MUON;

    switch (slot) {
    case MOMENTUM:
        return adam || opt->momentum > 0;
    case SQUARE:
        return opt->kind != VBG_SGD && !turned(o, m);
    case SQUARE_MAX:
        return adam && opt->amsgrad;
    case EMA:
        return opt->ema > 0;
    default:
        return opt->ema2 > 0;
    }
}

void vbg_optim_free(vbg_optim *o)
{
    if (!o)
        return;
    for (size_t i = 0; o->states && i < o->nstates; i++)
        for (int k = 0; k < VBG_OPTIM_SLOTS; k++)
            vbg_free_mem(o->states[i].slot[k]);
    free(o->states);
    free(o->chunks);
    free(o->sums);
    vbg_muon_free(o->muon);
    free(o);
}

static bool make_state(vbg_optim *o, size_t i)
{
    const vbg_param *m = vbg_params_at(o->params, i);
    state *s = &o->states[i];
    bool decays = o->opt.decay_all || m->entry.rank >= 2;

    s->lr_factor = 1;
    s->weight_decay = decays ? o->opt.weight_decay : 0;
    for (int k = 0; k < VBG_OPTIM_SLOTS; k++) {
        if (m->buffer || !keeps(o, m, k))
            continue;
        s->slot[k] = vbg_alloc(m->count * sizeof(float));
        if (!s->slot[k])
            return false;
    }
    return true;
}

static bool make_chunks(vbg_optim *o)
{
    size_t n = 0;

    for (size_t i = 0; i < o->nstates; i++)
        n += 2 * vbg_params_at(o->params, i)->count / CHUNK + 1;
    o->chunks = calloc(n + 1, sizeof *o->chunks);
    o->sums = calloc(n + 1, sizeof *o->sums);
    if (!o->chunks || !o->sums)
        return false;
    for (size_t i = 0; i < o->nstates; i++) {
        const vbg_param *m = vbg_params_at(o->params, i);
        const size_t run = vbg_param_run(m) ? vbg_param_run(m) : 1;
        const size_t most = run < CHUNK ? CHUNK / run * run : run;
        for (size_t at = 0; at < m->count && !m->buffer; at += most) {
            size_t left = m->count - at;
            o->chunks[o->nchunks++] = (chunk){ i, at, left < most ? left : most };
        }
    }
    return true;
}

/* Room for the largest of the matrices. */
static bool make_muon(vbg_optim *o)
{
    size_t most = 0, least = 0, rows, cols;

    for (size_t i = 0; i < o->nstates; i++)
        if (sides_of(o, vbg_params_at(o->params, i), &rows, &cols)) {
            most = larger(most, larger(rows, cols));
            least = larger(least, rows < cols ? rows : cols);
        }
    return most == 0 || vbg_muon_new(&o->muon, most, least, NULL) == VBG_OK;
}

vbg_status vbg_optim_new(vbg_optim **out, vbg_params *p, const vbg_optim_opt *opt,
                         vbg_err *err)
{
    vbg_optim *o = calloc(1, sizeof *o);
    bool ok = o != NULL;

    if (ok) {
        o->params = p;
        o->opt = *opt;
        o->nstates = vbg_params_count(p);
        o->states = calloc(o->nstates + 1, sizeof *o->states);
        ok = o->states != NULL;
    }
    for (size_t i = 0; ok && i < o->nstates; i++)
        ok = make_state(o, i);
    if (!ok || !make_chunks(o) || !make_muon(o)) {
        vbg_optim_free(o);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the optimiser's moments");
    }
    vbg_optim_reset_ema(o);
    *out = o;
    return VBG_OK;
}

const vbg_optim_opt *vbg_optim_options(const vbg_optim *o)
{
    return &o->opt;
}

void vbg_optim_group(vbg_optim *o, const char *component, const char *pattern,
                     double lr_factor, double weight_decay)
{
    for (size_t i = 0; i < o->nstates; i++) {
        const vbg_entry *e = &vbg_params_at(o->params, i)->entry;
        if (strcmp(e->component, component) != 0 || fnmatch(pattern, e->name, 0) != 0)
            continue;
        o->states[i].lr_factor = lr_factor;
        if (weight_decay >= 0)
            o->states[i].weight_decay = weight_decay;
    }
}

/* ---- a step ---- */

typedef struct step_job {
    vbg_optim *o;
    const vbg_kernels *k;
    double lr, scale, ema, ema2;
} step_job;

static void sum_chunk(void *arg, size_t i, int thread)
{
    step_job *j = arg;
    const chunk *c = &j->o->chunks[i];
    const vbg_param *m = vbg_params_at(j->o->params, c->param);

    (void)thread;
    j->o->sums[i] = j->k->optim.squares(m->grad + c->first, c->count);
}

static float *at(float *p, size_t first)
{
    return p ? p + first : NULL;
}

/* Everything of a chunk's update that does not depend on the kind. */
static vbg_update chunk_update(const step_job *j, const chunk *c)
{
    const vbg_param *m = vbg_params_at(j->o->params, c->param);
    const state *s = &j->o->states[c->param];

    return (vbg_update){ .value = m->value + c->first,
                         .grad = m->grad + c->first,
                         .m = at(s->slot[MOMENTUM], c->first),
                         .v = at(s->slot[SQUARE], c->first),
                         .vmax = at(s->slot[SQUARE_MAX], c->first),
                         .ema = at(s->slot[EMA], c->first),
                         .count = c->count,
                         .grad_scale = (float)j->scale,
                         .decay = (float)s->weight_decay,
                         .shrink = 1,
                         .lr = (float)(j->lr * s->lr_factor),
                         .beta2 = (float)j->o->opt.beta2,
                         .beta2_rest = (float)(1 - j->o->opt.beta2),
                         .eps = (float)j->o->opt.eps,
                         .ema_decay = (float)j->ema,
                         .ema_rest = (float)(1 - j->ema),
                         .nesterov = j->o->opt.nesterov };
}

static void update(const step_job *j, const chunk *k)
{
    const vbg_optim_opt *opt = &j->o->opt;
    const state *s = &j->o->states[k->param];
    const vbg_param *m = vbg_params_at(j->o->params, k->param);
    vbg_update u = chunk_update(j, k);
    size_t rows, cols;
    double lr = j->lr * s->lr_factor, t = (double)j->o->steps + 1;

    if (opt->kind == VBG_SGD || opt->kind == VBG_RMSPROP) {
        u.beta1 = (float)opt->momentum;
        u.beta1_rest = 1;
        (opt->kind == VBG_SGD ? j->k->optim.sgd : j->k->optim.rmsprop)(&u);
        return;
    }
    if (sides_of(j->o, m, &rows, &cols)) { /* grad holds the direction */
        u.m = NULL;
        u.grad_scale = (float)(0.2 * sqrt((double)larger(rows, cols)));
        j->k->optim.sgd(&u);
        return;
    }
    u.beta1 = (float)opt->beta1;
    u.beta1_rest = (float)(1 - opt->beta1);
    u.lr = (float)(lr / (1 - pow(opt->beta1, t)));
    u.root_scale = (float)(1 / sqrt(1 - pow(opt->beta2, t)));
    if (opt->kind != VBG_ADAM) {
        u.decay = 0;
        u.shrink = (float)(1 - lr * s->weight_decay);
    }
    j->k->optim.adam(&u);
}

/* Averaged and packed at once, while the new values are near. */
static void update_chunk(void *arg, size_t i, int thread)
{
    const step_job *j = arg;
    const chunk *c = &j->o->chunks[i];
    vbg_param *m = vbg_params_at(j->o->params, c->param);
    const float *value = m->value + c->first, keep = (float)j->ema2;
    float *mean = at(j->o->states[c->param].slot[EMA2], c->first);

    (void)thread;
    update(j, c);
    for (size_t k = 0; mean && k < c->count; k++)
        mean[k] = keep * mean[k] + (float)(1 - j->ema2) * value[k];
    vbg_param_pack(m, &j->k->train, c->first, c->count);
}

/* Momentum of what Muon turns; its gradient becomes g + momentum m. */
static void momentum_chunk(void *arg, size_t i, int thread)
{
    const step_job *j = arg;
    const chunk *c = &j->o->chunks[i];
    const vbg_param *p = vbg_params_at(j->o->params, c->param);
    const float scale = (float)j->scale, keep = (float)j->o->opt.momentum;

    (void)thread;
    if (!turned(j->o, p))
        return;
    float *m = j->o->states[c->param].slot[MOMENTUM] + c->first, *g = p->grad + c->first;
    for (size_t k = 0; k < c->count; k++) {
        const float v = scale * g[k];
        m[k] = keep * m[k] + v;
        g[k] = v + keep * m[k];
    }
}

static void turn_all(step_job *j, vbg_ctx *c)
{
    size_t rows, cols;

    vbg_parallel(c, j->o->nchunks, momentum_chunk, j);
    for (size_t i = 0; i < j->o->nstates; i++) {
        const vbg_param *m = vbg_params_at(j->o->params, i);
        if (sides_of(j->o, m, &rows, &cols))
            vbg_muon_direction(j->o->muon, c, m->grad, rows, cols);
    }
}

double vbg_optim_step(vbg_optim *o, vbg_ctx *c, double lr, double grad_scale)
{
    step_job j = { o, vbg_ctx_kernels(c), lr, grad_scale, o->opt.ema, o->opt.ema2 };
    double sum = 0, most = (1 + (double)o->steps) / (10 + (double)o->steps);

    vbg_parallel(c, o->nchunks, sum_chunk, &j);
    for (size_t i = 0; i < o->nchunks; i++)
        sum += o->sums[i];
    double norm = sqrt(sum) * fabs(grad_scale);
    if (!isfinite(norm)) {
        vbg_params_zero_grad(o->params, c);
        return norm;
    }
    if (o->opt.clip > 0 && norm > 0)
        j.scale *= fmin(1, o->opt.clip / (norm + 1e-6));
    if (o->opt.ema_warmup) {
        j.ema = fmin(j.ema, most);
        j.ema2 = fmin(j.ema2, most);
    }
    if (o->muon)
        turn_all(&j, c);
    vbg_parallel(c, o->nchunks, update_chunk, &j);
    o->steps++;
    for (size_t i = 0; i < o->nstates; i++)
        if (!vbg_params_at(o->params, i)->buffer)
            vbg_param_packed(vbg_params_at(o->params, i));
    return norm;
}

long vbg_optim_steps(const vbg_optim *o)
{
    return o->steps;
}

void vbg_optim_set_steps(vbg_optim *o, long steps)
{
    o->steps = steps;
}

/* ---- averages and slots ---- */

typedef struct swap_job {
    vbg_optim *o;
    int slot;
} swap_job;

static void swap_chunk(void *arg, size_t i, int thread)
{
    const swap_job *j = arg;
    vbg_optim *o = j->o;
    const chunk *c = &o->chunks[i];
    float *a = vbg_params_at(o->params, c->param)->value + c->first;
    float *b = o->states[c->param].slot[j->slot] + c->first;

    (void)thread;
    for (size_t k = 0; k < c->count; k++) {
        float v = a[k];
        a[k] = b[k];
        b[k] = v;
    }
}

void vbg_optim_swap_ema(vbg_optim *o, vbg_ctx *c, int which)
{
    swap_job j = { o, which ? EMA2 : EMA };

    VBG_CHECK((which ? o->opt.ema2 : o->opt.ema) > 0, "no average is kept");
    vbg_parallel(c, o->nchunks, swap_chunk, &j);
    for (size_t i = 0; i < o->nstates; i++)
        if (!vbg_params_at(o->params, i)->buffer)
            vbg_param_changed(vbg_params_at(o->params, i));
    vbg_params_refresh(o->params, c);
}

void vbg_optim_reset_ema(vbg_optim *o)
{
    for (size_t i = 0; i < o->nstates; i++) {
        const vbg_param *m = vbg_params_at(o->params, i);
        for (int slot = EMA; slot <= EMA2; slot++)
            if (o->states[i].slot[slot])
                memcpy(o->states[i].slot[slot], m->value, m->count * sizeof(float));
    }
}

const char *vbg_optim_slot_name(int slot)
{
    static const char *const names[] = { "momentum", "square", "square_max", "ema",
                                         "ema2" };

    return names[slot];
}

float *vbg_optim_slot(vbg_optim *o, size_t i, int slot)
{
    return o->states[i].slot[slot];
}
