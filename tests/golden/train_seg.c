/* seg/train_bsn, seg/train_cc1: training steps of BiSeNet in two layouts. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/loss.h"
#include "engine/optim.h"
#include "engine/tape.h"
#include "models/bisenet.h"
#include "tests/golden/golden.h"

enum { COLUMNS = 8, HEADS = 3 };

static const char COMPONENT[] = "segmenter";

typedef struct trainer {
    golden *g;
    const struct recipe *how;
    vbg_params *params;
    vbg_tape *tape;
    vbg_optim *optim;
    vbg_bisenet bsn;
    vbg_bisenet1 cc1;
    const float *x; /* NHWC */
    const float *mask;
    const uint8_t *labels;
    int n, h, w;
    float *logits;
    int classes;
    float losses[COLUMNS]; /* of the last step, as in the log */
    int64_t kept[HEADS];
} trainer;

typedef struct recipe {
    vbg_status (*bind)(trainer *t, vbg_pool_mem *pool, const vbg_weights *w,
                       vbg_err *err);
    vbg_tensor *(*loss)(vbg_ctx *c, trainer *t, const vbg_tensor *x);
    vbg_status (*optimise)(trainer *t, vbg_err *err);
    double lr;
    int columns; /* of the log */
} recipe;

static void keep_logits(vbg_ctx *c, trainer *t, const vbg_tensor *y)
{
    if (!t->logits) {
        t->classes = y->c;
        t->logits = golden_alloc(t->g, vbg_rows(y) * (size_t)y->c * sizeof *t->logits);
    }
    vbg_copy_out(c, t->logits, VBG_F32, y);
}

/* ---- noisrucer: 0.25 Dice + 0.75 binary cross entropy, Adam with AMSGrad ---- */

static vbg_status bind_bsn(trainer *t, vbg_pool_mem *pool, const vbg_weights *w,
                           vbg_err *err)
{
    vbg_status st = vbg_bisenet_bind(&t->bsn, pool, w, COMPONENT, err);
    t->bsn.detach = true;
    return st;
}

static vbg_tensor *loss_bsn(vbg_ctx *c, trainer *t, const vbg_tensor *x)
{
    static const float weight[2] = { 0.25f, 0.75f };
    vbg_tensor *y = vbg_bisenet_forward(c, &t->bsn, x, NULL);
    vbg_tensor *mask = vbg_wrap(c, t->mask, VBG_F32, t->n, t->h, t->w, 1);
    vbg_tensor *terms[] = { vbg_loss_dice(c, y, mask), vbg_loss_bce(c, y, mask) };
    vbg_tensor *sum = vbg_loss_sum(c, terms, weight, 2);

    keep_logits(c, t, y);
    vbg_copy_out(c, &t->losses[0], VBG_F32, sum);
    vbg_copy_out(c, &t->losses[1], VBG_F32, terms[0]);
    vbg_copy_out(c, &t->losses[2], VBG_F32, terms[1]);
    return sum;
}

static vbg_status adam(trainer *t, vbg_err *err)
{
    vbg_optim_opt o = vbg_optim_defaults(VBG_ADAM);

    o.weight_decay = 1e-5;
    o.decay_all = true;
    o.amsgrad = true;
    return vbg_optim_new(&t->optim, t->params, &o, err);
}

/* ---- CoinCheung: hard pixels in three maps, SGD ---- */

static vbg_status bind_cc1(trainer *t, vbg_pool_mem *pool, const vbg_weights *w,
                           vbg_err *err)
{
    return vbg_bisenet1_bind(&t->cc1, pool, w, COMPONENT, err);
}

static int64_t fewest_kept(const trainer *t)
{
    int64_t valid = 0;

    for (int i = 0; i < t->n * t->h * t->w; i++)
        valid += t->labels[i] != 255;
    return valid / 16;
}

static vbg_tensor *loss_cc1(vbg_ctx *c, trainer *t, const vbg_tensor *x)
{
    static const float weight[HEADS] = { 1, 1, 1 };
    vbg_tensor *y[HEADS], *terms[HEADS];
    vbg_tensor *labels = vbg_wrap(c, t->labels, VBG_U8, t->n, t->h, t->w, 1);

    y[0] = vbg_bisenet1_train(c, &t->cc1, x, &y[1]);
    for (int i = 0; i < HEADS; i++)
        terms[i] = vbg_loss_ohem(
            c, y[i], labels,
            (vbg_ohem_opt){ .ignore = 255, .threshold = 0.7f, .kept = &t->kept[i] });
    vbg_tensor *sum = vbg_loss_sum(c, terms, weight, HEADS);
    keep_logits(c, t, y[0]);
    vbg_copy_out(c, &t->losses[0], VBG_F32, sum);
    for (int i = 0; i < HEADS; i++) {
        vbg_copy_out(c, &t->losses[1 + i], VBG_F32, terms[i]);
        t->losses[4 + i] = (float)t->kept[i];
    }
    t->losses[7] = (float)fewest_kept(t);
    return sum;
}

static vbg_status sgd(trainer *t, vbg_err *err)
{
    vbg_optim_opt o = vbg_optim_defaults(VBG_SGD);

    o.momentum = 0.9;
    o.weight_decay = 5e-4;
    vbg_status st = vbg_optim_new(&t->optim, t->params, &o, err);
    if (st != VBG_OK)
        return st;
    vbg_optim_group(t->optim, COMPONENT, "ffm.*", 10, -1);
    vbg_optim_group(t->optim, COMPONENT, "conv_out*", 10, -1);
    return VBG_OK;
}

/* ---- steps ---- */

static vbg_status step_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    trainer *t = arg;

    (void)err;
    vbg_tape_start(t->tape, true);
    vbg_tensor *x = vbg_wrap(c, t->x, VBG_F32, t->n, t->h, t->w, 3);
    vbg_backward(c, t->how->loss(c, t, x));
    vbg_tape_stop(t->tape);
    return VBG_OK;
}

/* Large tensors are stored as 64 samples. */
static void report_values(golden *g, const char *what, const char *name, const float *v,
                          size_t count)
{
    char full[200];
    float some[64];
    size_t step = count / 64 > 1 ? count / 64 : 1;

    snprintf(full, sizeof full, "%s.%s", what, name);
    if (!vbg_st_find(golden_data(g), full))
        return;
    if (count <= 256) {
        golden_out_f32(g, full, v, count);
        return;
    }
    for (size_t i = 0; i < 64; i++)
        some[i] = v[i * step];
    golden_out_f32(g, full, some, 64);
}

static void report_gradients(const trainer *t)
{
    char path[200];

    for (size_t i = 0; i < vbg_params_count(t->params); i++) {
        const vbg_param *m = vbg_params_at(t->params, i);
        double sum = 0;
        if (!m->grad)
            continue;
        for (size_t k = 0; k < m->count; k++)
            sum += (double)m->grad[k] * (double)m->grad[k];
        report_values(t->g, "grad", m->entry.name, m->grad, m->count);
        snprintf(path, sizeof path, "grad_l2/%s", m->entry.name);
        golden_out_number(t->g, path, sqrt(sum));
    }
}

static void report_parameters(const trainer *t, const char *what)
{
    for (size_t i = 0; i < vbg_params_count(t->params); i++) {
        const vbg_param *m = vbg_params_at(t->params, i);
        report_values(t->g, what, m->entry.name, m->value, m->count);
    }
}

/* Tensors that no model reads are what they were. */
static void report_untouched(const trainer *t)
{
    static const char *const names[] = { "aux_conv_16x.weight", "aux_conv_16x.bias",
                                         "aux_conv_32x.weight", "aux_conv_32x.bias" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const vbg_st_tensor *e = vbg_st_find(golden_data(t->g), names[i]);
        if (!e || vbg_params_find(t->params, COMPONENT, names[i]))
            continue;
        report_values(t->g, "after", names[i], golden_in_f32(t->g, "%s", names[i]),
                      e->count);
    }
}

/* The first classes are stored. */
static void report_logits(const trainer *t)
{
    const vbg_st_tensor *s = golden_in(t->g, "out.logits_step0");
    size_t hw = (size_t)t->h * (size_t)t->w, c = (size_t)t->classes, used = 0;
    size_t kept = s ? (size_t)s->dim[1] : 0;
    float *v = golden_alloc(t->g, (size_t)t->n * c * hw * sizeof *v);

    for (size_t n = 0; n < (size_t)t->n; n++)
        for (size_t k = 0; k < kept; k++)
            for (size_t p = 0; p < hw; p++)
                v[used++] = t->logits[(n * hw + p) * c + k];
    golden_out_f32(t->g, "out.logits_step0", v, used);
}

static vbg_status train(trainer *t, vbg_err *err)
{
    const int steps =
        (int)json_integer_value(json_object_get(golden_json(t->g), "steps"));
    vbg_ctx *c = golden_ctx(t->g);
    double *log = golden_alloc(t->g, (size_t)(steps * t->how->columns) * sizeof *log);

    for (int i = 0; i < steps; i++) {
        vbg_params_refresh(t->params, c);
        vbg_status st = vbg_run(c, step_job, t, err);
        if (st != VBG_OK)
            return st;
        for (int k = 0; k < t->how->columns; k++)
            log[i * t->how->columns + k] = (double)t->losses[k];
        if (i == 0) {
            report_logits(t);
            report_gradients(t);
        }
        vbg_optim_step(t->optim, c, t->how->lr, 1);
        if (i == 0)
            report_parameters(t, "step1");
    }
    golden_out_f64(t->g, "out.loss_log", log, (size_t)(steps * t->how->columns));
    report_parameters(t, "after");
    report_untouched(t);
    return VBG_OK;
}

static bool load(trainer *t)
{
    const vbg_st_tensor *x = golden_in(t->g, "in.x");

    t->x = golden_in_nhwc(t->g, "in.x");
    t->mask = golden_in_f32(t->g, "in.target");
    if (!x || !t->x || !t->mask)
        return false;
    t->labels = golden_in(t->g, "in.target")->data;
    t->n = (int)x->dim[0];
    t->h = (int)x->dim[2];
    t->w = (int)x->dim[3];
    return true;
}

static void run(golden *g, const recipe *how)
{
    trainer t = { .g = g, .how = how };
    vbg_weights *w = golden_weights(g, COMPONENT, NULL, NULL);
    vbg_pool_mem *pool = vbg_pool_new();
    vbg_ctx *c = golden_ctx(g);
    vbg_err err = { 0 };
    bool ok = w && pool && load(&t) &&
              vbg_params_new(&t.params, vbg_ctx_act(c), &err) == VBG_OK;

    if (ok) {
        vbg_params_select(t.params, COMPONENT, "*", true);
        vbg_params_attach(t.params, w);
        ok = how->bind(&t, pool, w, &err) == VBG_OK &&
             vbg_tape_new(&t.tape, c, t.params, &err) == VBG_OK &&
             how->optimise(&t, &err) == VBG_OK && train(&t, &err) == VBG_OK;
    }
    if (!ok)
        golden_fail(g, "%s", err.text);
    vbg_optim_free(t.optim);
    vbg_tape_free(t.tape);
    vbg_pool_free(pool);
    vbg_params_free(t.params);
    vbg_weights_close(w);
}

static void run_bsn(golden *g)
{
    static const recipe how = {
        .bind = bind_bsn, .loss = loss_bsn, .optimise = adam, .lr = 8e-4, .columns = 3
    };

    run(g, &how);
}

static void run_cc1(golden *g)
{
    static const recipe how = {
        .bind = bind_cc1, .loss = loss_cc1, .optimise = sgd, .lr = 1e-2, .columns = 8
    };

    run(g, &how);
}

const golden_family golden_families_train_seg[] = {
    { "seg/train_bsn", run_bsn },
    { "seg/train_cc1", run_cc1 },
    { NULL, NULL },
};
