/* Oracle of MVDiffusion's training step: loss, gradients of all CAA parameters, the
 * parameters after some steps of AdamW, the state with zero output layers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/loss.h"
#include "engine/optim.h"
#include "engine/tape.h"
#include "models/sampler.h"
#include "tests/golden/mvd.h"

enum { IMAGES = 64 };

typedef struct training {
    golden *g;
    mvd_model m;
    vbg_params *params;
    vbg_tape *tape;
    vbg_unet_text *text;
    vbg_unet_hooks hooks;
    int n, h, w;
    double time[IMAGES];
    float *noisy, *noise; /* [n][h][w][4] */
    float *eps, loss;
} training;

static vbg_status step_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    training *t = arg;

    (void)err;
    vbg_tape_start(t->tape, true);
    vbg_tensor *x = vbg_wrap(c, t->noisy, VBG_F32, t->n, t->h, t->w, 4);
    vbg_tensor *want = vbg_wrap(c, t->noise, VBG_F32, t->n, t->h, t->w, 4);
    vbg_tensor *y =
        vbg_unet_forward(c, &t->m.m.unet, x, t->time, t->n, t->text, &t->hooks);
    vbg_copy_out(c, t->eps, VBG_F32, y);
    vbg_tensor *loss = vbg_loss_mse(c, y, want);
    vbg_copy_out(c, &t->loss, VBG_F32, loss);
    vbg_backward(c, loss);
    vbg_tape_stop(t->tape);
    return VBG_OK;
}

static bool run_step(training *t, bool checkpoint)
{
    vbg_err err = { 0 };

    t->hooks.checkpoint = checkpoint;
    vbg_params_zero_grad(t->params, golden_ctx(t->g));
    if (vbg_run(golden_ctx(t->g), step_job, t, &err) == VBG_OK)
        return true;
    golden_fail(t->g, "%s", err.text);
    return false;
}

/* Values or gradients under PREFIX.mv_base_model.NAME where the oracle stores them;
 * gradients it leaves out must be zero when absent is set. */
static void report(training *t, const char *prefix, bool grad, bool absent)
{
    char name[192];

    for (size_t i = 0; i < vbg_params_count(t->params); i++) {
        const vbg_param *m = vbg_params_at(t->params, i);
        const float *v = grad ? m->grad : m->value;
        if (m->buffer)
            continue;
        snprintf(name, sizeof name, "%s.mv_base_model.%s", prefix, m->entry.name);
        if (vbg_st_find(golden_data(t->g), name)) {
            golden_out_f32(t->g, name, v, m->count);
            continue;
        }
        for (size_t k = 0; absent && k < m->count; k++)
            if (v[k] != 0) {
                golden_fail(t->g, "%s is not zero", name);
                break;
            }
    }
}

/* The output layers of the blocks become zero; the values go to keep. */
static bool is_output(const vbg_param *m)
{
    return strstr(m->entry.name, ".attn1.to_out.") || strstr(m->entry.name, ".ff.net.2.");
}

static void zero_outputs(training *t)
{
    for (size_t i = 0; i < vbg_params_count(t->params); i++) {
        vbg_param *m = vbg_params_at(t->params, i);
        if (is_output(m)) {
            memset(m->value, 0, m->count * sizeof *m->value);
            vbg_param_changed(m);
        }
    }
    vbg_params_refresh(t->params, golden_ctx(t->g));
}

static float *copy_values(const training *t)
{
    size_t at = 0;

    for (size_t i = 0; i < vbg_params_count(t->params); i++)
        at += vbg_params_at(t->params, i)->count;
    float *copy = golden_alloc(t->g, at * sizeof *copy);
    at = 0;
    for (size_t i = 0; i < vbg_params_count(t->params); i++) {
        const vbg_param *m = vbg_params_at(t->params, i);
        memcpy(copy + at, m->value, m->count * sizeof *copy);
        at += m->count;
    }
    return copy;
}

static void put_values(training *t, const float *from)
{
    for (size_t i = 0; i < vbg_params_count(t->params); i++) {
        vbg_param *m = vbg_params_at(t->params, i);
        memcpy(m->value, from, m->count * sizeof *from);
        from += m->count;
        vbg_param_changed(m);
    }
    vbg_params_refresh(t->params, golden_ctx(t->g));
}

/* The same gradients, bit for bit, whether blocks are computed twice or not. */
static void compare_checkpointed(training *t)
{
    size_t count = vbg_params_values(t->params), at = 0;
    float *first = golden_alloc(t->g, count * sizeof *first);

    for (size_t i = 0; i < vbg_params_count(t->params); i++) {
        const vbg_param *m = vbg_params_at(t->params, i);
        if (m->grad)
            memcpy(first + at, m->grad, m->count * sizeof *first);
        at += m->grad ? m->count : 0;
    }
    if (!run_step(t, true))
        return;
    at = 0;
    for (size_t i = 0; i < vbg_params_count(t->params); i++) {
        const vbg_param *m = vbg_params_at(t->params, i);
        if (m->grad && memcmp(first + at, m->grad, m->count * sizeof *first) != 0)
            golden_fail(t->g, "%s: another gradient when blocks are computed twice",
                        m->entry.name);
        at += m->grad ? m->count : 0;
    }
}

static void optimise(training *t)
{
    const json_t *j = golden_json(t->g);
    const int steps = (int)json_integer_value(json_object_get(j, "steps"));
    double lr = json_number_value(json_object_get(json_object_get(j, "optimizer"), "lr"));
    vbg_optim_opt opt = vbg_optim_defaults(VBG_ADAMW);
    double *losses = golden_alloc(t->g, (size_t)steps * sizeof *losses);
    char prefix[24];
    vbg_optim *o;
    vbg_err err = { 0 };

    opt.decay_all = true;
    if (vbg_optim_new(&o, t->params, &opt, &err) != VBG_OK) {
        golden_fail(t->g, "%s", err.text);
        return;
    }
    for (int i = 0; i < steps && run_step(t, i % 2); i++) {
        losses[i] = (double)t->loss;
        vbg_optim_step(o, golden_ctx(t->g), lr, 1);
        vbg_params_refresh(t->params, golden_ctx(t->g));
    }
    vbg_optim_free(o);
    golden_out_f64(t->g, "out.losses", losses, (size_t)steps);
    snprintf(prefix, sizeof prefix, "after%d", steps);
    report(t, prefix, false, false);
}

/* Noisy latents by the schedule, one time for the views of a panorama. */
static bool make_noisy(training *t, const vbg_st_tensor *shape)
{
    const size_t one = t->n ? shape->count / (size_t)t->n : 0;
    const float *x = golden_in_f32(t->g, "in.latents");
    const float *noise = golden_in_f32(t->g, "in.noise");
    const float *time = golden_in_f32(t->g, "in.timestep");
    float *y = golden_alloc(t->g, shape->count * sizeof *y);
    vbg_noise_schedule sc;
    vbg_sampler *s = NULL;
    vbg_err err = { 0 };

    vbg_status st = vbg_noise_schedule_read(&sc, mvd_config(t->g, "scheduler"), &err);
    if (st == VBG_OK)
        st = vbg_sampler_open(&s, &sc, VBG_SAMPLER_DDIM, 10, one, &err);
    if (!x || !noise || !time || st != VBG_OK)
        return false;
    for (int i = 0; i < t->n; i++) {
        t->time[i] = (double)time[i / t->m.views];
        vbg_add_noise(s, y + (size_t)i * one, x + (size_t)i * one,
                      noise + (size_t)i * one, (int)t->time[i], one);
    }
    vbg_sampler_close(s);
    golden_out_f32(t->g, "act.noisy_latents", y, shape->count);
    t->noisy = mvd_to_nhwc(t->g, y, t->n, 4, t->h, t->w);
    t->noise = mvd_in_views(t->g, "in.noise");
    t->eps = golden_alloc(t->g, shape->count * sizeof *t->eps);
    return t->noise != NULL;
}

static bool make_text(training *t)
{
    const vbg_st_tensor *st = golden_in(t->g, "in.prompt_embd");
    const float *state = golden_in_f32(t->g, "in.prompt_embd");
    int pick[IMAGES];
    vbg_err err = { 0 };

    for (int i = 0; i < t->n; i++)
        pick[i] = i;
    if (!st || !state)
        return false;
    if (vbg_unet_text_new(&t->text, golden_ctx(t->g), &t->m.m.unet, state, t->n,
                          (int)st->dim[2], pick, t->n, &err) == VBG_OK)
        return true;
    golden_fail(t->g, "%s", err.text);
    return false;
}

static bool open_training(training *t, const vbg_st_tensor *shape)
{
    vbg_err err = { 0 };

    t->n = (int)(shape->dim[0] * shape->dim[1]);
    t->h = (int)shape->dim[3];
    t->w = (int)shape->dim[4];
    if (t->n > IMAGES || vbg_params_new(&t->params, VBG_F32, &err) != VBG_OK)
        return false;
    vbg_params_select(t->params, "caa", "*", true);
    t->m.params = t->params;
    const json_t *size = json_object_get(golden_json(t->g), "image_hw");
    int side = size ? (int)json_integer_value(json_array_get(size, 0)) : 8 * t->h;
    if (!mvd_model_open(t->g, &t->m, "unet_config", side, t->w, t->h) ||
        vbg_tape_new(&t->tape, golden_ctx(t->g), t->params, &err) != VBG_OK)
        return false;
    t->hooks = (vbg_unet_hooks){ .arg = t->m.rig, .couple = vbg_mvunet_couple };
    return make_noisy(t, shape) && make_text(t);
}

void run_train(golden *g)
{
    const vbg_st_tensor *shape = golden_in(g, "in.latents");
    training t = { .g = g };

    if (!shape)
        return;
    if (!open_training(&t, shape)) {
        golden_fail(g, "the model did not open");
        goto done;
    }
    float *values = copy_values(&t);
    zero_outputs(&t);
    if (!run_step(&t, false))
        goto done;
    golden_out_f32(g, "out.loss_zero_init", &t.loss, 1);
    report(&t, "grad_zero_init", true, true);
    put_values(&t, values);
    if (!run_step(&t, false))
        goto done;
    golden_out_nhwc(g, "out.eps", t.eps, t.n, t.h, t.w, 4, 1);
    report(&t, "grad", true, false);
    compare_checkpointed(&t);
    optimise(&t);
done:
    vbg_unet_text_free(t.text);
    vbg_tape_free(t.tape);
    mvd_model_close(&t.m);
    vbg_params_free(t.params);
}
