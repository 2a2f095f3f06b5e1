/* vbg-train caa: teaches the correspondence-aware attention blocks of a latent diffusion
 * model from panoramas, as MVDiffusion does: UNet, VAE and text tower frozen, MSE on the
 * noise (or v), one timestep for the eight views of a panorama, AdamW.
 *
 * Departures are options: prompt dropout, a cap on the encoding's frequencies, moments of
 * the VAE kept on disk for a few turns of each panorama instead of any degree.
 * Source: Tang et al. 2023, section 4 and its reference implementation. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert/safetensors.h"
#include "engine/loss.h"
#include "engine/tape.h"
#include "models/clip.h"
#include "models/mvunet.h"
#include "models/sampler.h"
#include "models/tokenizer.h"
#include "tools/train/caa_data.h"
#include "tools/train/commands.h"
#include "tools/train/export.h"
#include "tools/train/loop.h"
#include "tools/train/show.h"

enum { DEPTH = 3, HELD_OUT = 5, VIEWS = VBG_PANO_VIEWS };

static const vbg_option own[] = {
    { "model", 'm', VBG_OPT_STRING, "FILE", NULL, NULL,
      "the .vbg package whose views are to be coupled", "model", VBG_OPT_COMMON },
    { "data", 'd', VBG_OPT_STRING, "DIR", NULL, NULL,
      "panoramas x.jpg with x.txt, or Matterport3D skyboxes", "data", VBG_OPT_COMMON },
    { "strict", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "a broken panorama is an error",
      "data", 0 },
    { "cache", 0, VBG_OPT_STRING, "DIR", NULL, NULL,
      "folder of kept latents (default: latents in --out)", "data", 0 },
    { "turns", 0, VBG_OPT_INT, "N", "2", "0..45",
      "turns within 45 degrees; 0: any degree, nothing is kept", "data", 0 },
    { "val-share", 0, VBG_OPT_REAL, "SHARE", "0", "0..0.9",
      "share of the panoramas held out", "data", 0 },
    { "prefix", 0, VBG_OPT_STRING, "TEXT", "This is one view of a scene.", NULL,
      "what every caption begins with", "data", 0 },
    { "prompt-dropout", 0, VBG_OPT_REAL, "SHARE", "0", "0..1",
      "panoramas that are learned without captions", "data", 0 },
    { "whole-captions", 0, VBG_OPT_REAL, "SHARE", "0", "0..1",
      "panoramas whose views all get the line about the whole", "data", 0 },
    { "early", 0, VBG_OPT_REAL, "SHARE", "0", "0..1",
      "panoramas whose time is in the noisiest third, where views agree on layout and "
      "colour",
      "loss", 0 },
    { "size", 0, VBG_OPT_INT, "PIXELS", NULL, "64..2048",
      "side of a view (default: the model's)", "model", 0 },
    { "caa-max-freq", 0, VBG_OPT_REAL, "F", NULL, "1..1e30",
      "largest frequency of the encoding of a new model", "model", 0 },
    { "precision", 0, VBG_OPT_CHOICE, "TYPE", "bf16", "bf16|f32",
      "of the arithmetic; values, moments and sums are f32", "model", 0 },
    { "keep-activations", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "store everything between forward and backward: faster, more memory", "model", 0 },
    { "safetensors", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "with every model also the blocks under MVDiffusion's names", "model", 0 },
    { "batch", 'b', VBG_OPT_INT, "N", "1", "1..64", "panoramas of a micro-batch",
      "course", VBG_OPT_COMMON },
    { "steps", 0, VBG_OPT_INT, "N", "1000", "1..1000000000",
      "updates in all (default: 10 epochs)", "course", VBG_OPT_COMMON },
    { "sample-steps", 0, VBG_OPT_INT, "N", "12", "0..1000",
      "denoising steps of sample pictures, 0: no pictures", "watching", 0 },
    { "clip", 0, VBG_OPT_REAL, "NORM", "0", "0..1000000",
      "largest norm of the whole gradient, 0: any", "optimiser", 0 },
    { "schedule-per", 0, VBG_OPT_CHOICE, "WHAT", "epoch", "step|epoch",
      "how often the rate moves", "optimiser", 0 },
    { "min-lr", 0, VBG_OPT_REAL, "X", "0.0005", "0..1",
      "last rate as a share of the first", "optimiser", 0 },
    { 0 },
};

typedef struct slot {
    vbg_pano_sample *sample; /* [batch] */
} slot;

typedef struct trainer {
    vbg_loop loop;
    vbg_loop_calls calls;
    vbg_values *v;
    vbg_weights *file;
    vbg_mvunet m;
    vbg_vae vae;
    vbg_clip_text text;
    vbg_tokenizer *tokens;
    vbg_noise_schedule schedule;
    vbg_sampler *sampler; /* for its tables */
    vbg_rig *rig;
    vbg_tape *tape;
    vbg_unet_hooks hooks;
    vbg_pano_latents data;
    slot slots[DEPTH + 1]; /* the last: held-out panoramas */
    int batch, side;       /* of the latents */
    double dropout, whole, early;
    float *noisy, *target; /* [batch*8][side][side][latent] */
    float *state;          /* [batch*8][77][width] */
    double time[64 * VIEWS];
} trainer;

static size_t latent_count(const trainer *t)
{
    return (size_t)t->side * (size_t)t->side * (size_t)t->vae.cfg.latent;
}

/* ---- data ---- */

static vbg_status load(void *arg, uint64_t job, int n, vbg_err *err)
{
    trainer *t = arg;
    const uint64_t jobs = t->loop.jobs_per_epoch, count = t->data.count;
    vbg_status st = VBG_OK;

    for (int b = 0; b < t->batch && st == VBG_OK; b++) {
        uint64_t place = (job % jobs * (uint64_t)t->batch + (uint64_t)b) % count;
        st = vbg_pano_sample_load(&t->data, &t->slots[n].sample[b],
                                  job / jobs * count + place, err);
    }
    return st;
}

static void describe(void *arg, uint64_t job, int n, char *text, size_t size)
{
    const trainer *t = arg;
    size_t at = 0;

    (void)job;
    for (int b = 0; b < t->batch && at < size; b++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", b ? ", " : "",
                               t->data.panos.item[t->slots[n].sample[b].item].name);
}

static int draw_time(const trainer *t, vbg_dice *d)
{
    const int n = t->schedule.train_steps;

    if (t->early > 0 && vbg_dice_chance(d, t->early))
        return n - n / 3 + vbg_dice_int(d, n / 3);
    return vbg_dice_int(d, n);
}

/* Noisy latents and what is to be found in them, for panorama b. */
static void make_noisy(trainer *t, const vbg_pano_sample *s, int b, int fixed_time)
{
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, s->epoch, s->place, 2);
    const int time = fixed_time < 0 ? draw_time(t, &d) : fixed_time;
    const size_t count = latent_count(t);

    for (int k = 0; k < VIEWS; k++) {
        const size_t at = (size_t)(b * VIEWS + k) * count;
        float *z = t->noisy + at, *noise = t->target + at;
        t->time[b * VIEWS + k] = time;
        vbg_pano_draw(&t->data, s, k, &d, z);
        for (size_t i = 0; i < count; i++)
            noise[i] = (float)vbg_dice_normal(&d);
        for (size_t i = 0; i < count; i++) {
            const float x = z[i], e = noise[i];
            vbg_add_noise(t->sampler, &z[i], &x, &e, time, 1);
            if (t->schedule.prediction == VBG_PREDICT_V)
                vbg_velocity(t->sampler, &noise[i], &x, &e, time, 1);
        }
    }
}

/* ---- captions ---- */

typedef struct text_job {
    const trainer *t;
    const int *ids;
    float *state;
} text_job;

static vbg_status text_forward(vbg_ctx *c, void *arg, vbg_err *err)
{
    const text_job *j = arg;
    static const int none[VBG_TOKENS];

    (void)err;
    vbg_tensor *y = vbg_clip_text_forward(c, &j->t->text, j->ids ? j->ids : none, 1);
    if (!vbg_planning(c))
        vbg_copy_out(c, j->state, VBG_F32, y);
    return VBG_OK;
}

/* A caption behind the prefix, to be freed; "" stays empty.  NULL: no memory. */
static char *prompt_of(const trainer *t, const char *caption)
{
    const char *prefix = vbg_value(t->v, "prefix");
    char *text = NULL;

    if (!*caption || !prefix || !*prefix)
        return strdup(caption);
    return asprintf(&text, "%s %s", prefix, caption) < 0 ? NULL : text;
}

/* The text tower's state of a caption. */
static vbg_status caption_state(const trainer *t, const char *caption, float *state,
                                vbg_err *err)
{
    char *text = prompt_of(t, caption);
    int ids[VBG_TOKENS];

    if (!text || vbg_tokenizer_encode77(t->tokens, text, strlen(text), ids) < 0) {
        free(text);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a caption");
    }
    free(text);
    text_job j = { t, ids, state };
    return vbg_run(t->loop.ctx, text_forward, &j, err);
}

/* States of the eight views of panorama b; equal captions are worked out once. */
static vbg_status make_states(trainer *t, const vbg_pano_sample *s, int b, vbg_err *err)
{
    const size_t one = (size_t)VBG_TOKENS * (size_t)t->text.tower.width;
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, s->epoch, s->place, 3);
    const bool blank = vbg_dice_chance(&d, t->dropout);
    const bool whole = t->whole > 0 && vbg_dice_chance(&d, t->whole) && s->whole;
    float *state = t->state + (size_t)b * VIEWS * one;
    const char *text[VIEWS];
    vbg_status st = VBG_OK;

    for (int k = 0; k < VIEWS && st == VBG_OK; k++) {
        int same = 0;
        text[k] = blank ? "" : whole ? s->whole : s->caption[k];
        while (strcmp(text[same], text[k]) != 0)
            same++;
        if (same < k)
            memcpy(state + (size_t)k * one, state + (size_t)same * one,
                   one * sizeof *state);
        else
            st = caption_state(t, text[k], state + (size_t)k * one, err);
    }
    return st;
}

/* ---- a step ---- */

typedef struct step_job {
    trainer *t;
    const vbg_unet_text *text;
    int images;
    bool learn;
    float loss;
} step_job;

static vbg_status step_forward(vbg_ctx *c, void *arg, vbg_err *err)
{
    step_job *j = arg;
    trainer *t = j->t;
    const int n = j->images, side = t->side, lat = t->vae.cfg.latent;

    (void)err;
    if (j->learn)
        vbg_tape_start(t->tape, true);
    vbg_tensor *x = vbg_wrap(c, t->noisy, VBG_F32, n, side, side, lat);
    vbg_tensor *want = vbg_wrap(c, t->target, VBG_F32, n, side, side, lat);
    vbg_tensor *y = vbg_unet_forward(c, &t->m.unet, x, t->time, n, j->text, &t->hooks);
    vbg_tensor *loss = vbg_loss_mse(c, y, want);
    vbg_copy_out(c, &j->loss, VBG_F32, loss);
    if (j->learn) {
        vbg_backward(c, loss);
        vbg_tape_stop(t->tape);
    }
    return VBG_OK;
}

/* Loss (and gradients) of `count` panoramas; fixed_time below 0: drawn. */
static vbg_status run_samples(trainer *t, vbg_pano_sample *s, int count, int fixed_time,
                              bool learn, float *loss, vbg_err *err)
{
    step_job j = { .t = t, .images = count * VIEWS, .learn = learn };
    vbg_unet_text *text = NULL;
    int pick[64 * VIEWS];
    vbg_status st = VBG_OK;

    for (int b = 0; b < count && st == VBG_OK; b++) {
        st = vbg_pano_sample_encode(&t->data, &s[b], t->loop.ctx, err);
        if (st == VBG_OK)
            st = make_states(t, &s[b], b, err);
        if (st == VBG_OK)
            make_noisy(t, &s[b], b, fixed_time);
    }
    for (int i = 0; i < j.images; i++)
        pick[i] = i;
    if (st == VBG_OK)
        st = vbg_unet_text_new(&text, t->loop.ctx, &t->m.unet, t->state, j.images,
                               VBG_TOKENS, pick, j.images, err);
    j.text = text;
    if (st == VBG_OK)
        st = vbg_run(t->loop.ctx, step_forward, &j, err);
    vbg_unet_text_free(text);
    *loss = j.loss;
    return st;
}

static vbg_status step(void *arg, uint64_t job, int n, vbg_measure *m, vbg_err *err)
{
    trainer *t = arg;
    float loss = 0;

    (void)job;
    vbg_status st = run_samples(t, t->slots[n].sample, t->batch, -1, true, &loss, err);
    m->loss = (double)loss;
    return st;
}

static vbg_status plan(void *arg, size_t *bytes, vbg_err *err)
{
    trainer *t = arg;
    step_job j = { .t = t, .images = t->batch * VIEWS, .learn = true };
    vbg_unet_text *text = NULL;
    size_t encode = 0;

    vbg_status st = vbg_unet_text_new(&text, t->loop.ctx, &t->m.unet, NULL, j.images,
                                      VBG_TOKENS, NULL, j.images, err);
    j.text = text;
    if (st == VBG_OK)
        st = vbg_plan(t->loop.ctx, step_forward, &j, bytes, err);
    if (st == VBG_OK)
        st = vbg_pano_encode_plan(&t->data, t->loop.ctx, &encode, err);
    *bytes = encode > *bytes ? encode : *bytes;
    vbg_unet_text_free(text);
    return st;
}

/* Five panoramas at five times with always the same noise. */
static vbg_status validate(void *arg, vbg_measure *m, vbg_err *err)
{
    trainer *t = arg;
    vbg_pano_sample *s = t->slots[DEPTH].sample;
    const double dropout = t->dropout, whole = t->whole;
    vbg_status st = VBG_OK;

    t->dropout = t->whole = 0;
    for (size_t i = 0; i < HELD_OUT && st == VBG_OK; i++) {
        const int time = (int)(2 * i + 1) * t->schedule.train_steps / (2 * HELD_OUT);
        float loss = 0;
        st = vbg_pano_sample_held_out(&t->data, s, i, err);
        if (st == VBG_OK)
            st = run_samples(t, s, 1, time, false, &loss, err);
        m->loss += (double)loss / HELD_OUT;
    }
    t->dropout = dropout;
    t->whole = whole;
    return st;
}

/* ---- export ---- */

/* The blocks in f32 as MVDiffusion names them. */
static vbg_status export_names(const trainer *t, const char *path, vbg_err *err)
{
    const vbg_params *p = t->loop.params;
    const size_t count = vbg_params_count(p);
    vbg_st_out *out = calloc(count, sizeof *out);
    char(*name)[160] = calloc(count, sizeof *name);
    vbg_status st = VBG_ENOMEM;

    for (size_t i = 0; out && name && i < count; i++) {
        const vbg_param *m = vbg_params_at(p, i);
        snprintf(name[i], sizeof name[i], "mv_base_model.%s", m->entry.name);
        out[i] = (vbg_st_out){
            .name = name[i], .dtype = VBG_F32, .rank = m->entry.rank, .data = m->value
        };
        memcpy(out[i].dim, m->entry.dim, sizeof out[i].dim);
    }
    if (out && name)
        st = vbg_st_write(path, out, count, NULL, err);
    else
        vbg_fail(err, st, "not enough memory for %s", path);
    free(out);
    free(name);
    return st;
}

/* The package with the blocks as they are now. */
static vbg_status export_package(trainer *t, const char *path, vbg_err *err)
{
    vbg_export e;
    vbg_status st = vbg_export_new(&e, path, VBG_BF16, err);

    if (st != VBG_OK)
        return st;
    st = vbg_export_declare_file(&e, t->file, "caa", err);
    if (st == VBG_OK)
        st = vbg_export_declare(&e, t->loop.params, "caa", err);
    if (st == VBG_OK)
        st = vbg_export_put_file(&e, t->file, "caa", err);
    if (st == VBG_OK)
        st = vbg_export_put_all(&e, t->loop.params, "caa", NULL, err);
    return vbg_export_end(&e, st, err);
}

static vbg_status export_model(void *arg, const char *path, vbg_err *err)
{
    trainer *t = arg;
    const char *names = vbg_value(t->v, "safetensors");
    vbg_status st = names ? export_names(t, names, err) : VBG_OK;

    return st == VBG_OK ? export_package(t, path, err) : st;
}

/* The first held-out panorama's captions, drawn by the package as it is now. */
static vbg_status sample(void *arg, const char *path, vbg_err *err)
{
    trainer *t = arg;
    vbg_pano_sample *s = t->slots[DEPTH].sample;
    vbg_gen_request r = vbg_gen_request_default();
    char *text[VIEWS] = { NULL }, model[4200];
    const int steps = (int)vbg_value_int(t->v, "sample-steps");

    if (steps == 0)
        return VBG_OK;
    snprintf(model, sizeof model, "%s.vbg", path);
    vbg_status st = vbg_pano_sample_held_out(&t->data, s, 0, err);
    for (int k = 0; k < VIEWS && st == VBG_OK; k++) {
        text[k] = prompt_of(t, s->caption[k]);
        if (!text[k])
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory for prompts");
    }
    r.views = r.prompts = VIEWS;
    r.prompt = (const char *const *)text;
    r.width = r.height = t->data.side;
    r.steps = steps;
    if (st == VBG_OK)
        st = export_package(t, model, err);
    if (st == VBG_OK)
        st = vbg_show_package(t->loop.ctx, model, &r, path, err);
    unlink(model);
    for (int k = 0; k < VIEWS; k++)
        free(text[k]);
    return st;
}

/* ---- beginning ---- */

static const char *config(const trainer *t, const char *key)
{
    const char *text = NULL;

    return vbg_weights_string(t->file, key, &text) ? text : "";
}

/* The frozen parts. */
static vbg_status bind_frozen(trainer *t, const char *path, vbg_err *err)
{
    vbg_unet_config unet;
    vbg_vae_config vae;

    if (strcmp(config(t, "model.arch"), "sd") != 0 ||
        !vbg_weights_has_component(t->file, "vae"))
        return vbg_fail(
            err, VBG_EFORMAT,
            "%s: not a Stable Diffusion package with UNet, VAE and text tower", path);
    vbg_status st = vbg_unet_config_read(&unet, config(t, "unet.config"), err);
    if (st == VBG_OK)
        st = vbg_unet_bind(&t->m.unet, &unet, t->file, "unet", err);
    if (st == VBG_OK)
        st = vbg_vae_config_read(&vae, config(t, "vae.config"), err);
    if (st == VBG_OK)
        st = vbg_vae_bind(&t->vae, &vae, t->file, "vae", err);
    if (st == VBG_OK && !t->vae.has_encoder)
        st = vbg_fail(err, VBG_EFORMAT, "%s: its VAE cannot encode pictures", path);
    if (st == VBG_OK)
        st = vbg_clip_text_open(&t->text, t->file, err);
    if (st == VBG_OK)
        st = vbg_tokenizer_open(&t->tokens, t->file, err);
    if (st == VBG_OK)
        st = vbg_noise_schedule_read(&t->schedule, config(t, "scheduler.config"), err);
    if (st == VBG_OK &&
        (unet.in_channels != vae.latent || unet.out_channels != vae.latent))
        st = vbg_fail(err, VBG_EUNSUPPORTED,
                      "%s: a UNet of %d input and %d output channels with latents of %d",
                      path, unet.in_channels, unet.out_channels, vae.latent);
    if (st == VBG_OK && t->text.tower.width != unet.context)
        st = vbg_fail(err, VBG_EFORMAT, "%s: text tower and UNet do not fit", path);
    return st;
}

static vbg_status check_size(trainer *t, vbg_err *err)
{
    const int factor = vbg_vae_down(&t->vae.cfg);
    const int least = 2 << (t->m.unet.cfg.levels - 1);

    t->data.side = vbg_value_given(t->v, "size") ? (int)vbg_value_int(t->v, "size")
                                                 : t->m.unet.cfg.sample_size * factor;
    t->side = t->data.side / factor;
    if (t->data.side % factor || t->side < least)
        return vbg_fail(err, VBG_EUSAGE,
                        "views of %d pixels: a multiple of %d, at least %d", t->data.side,
                        factor, least * factor);
    return VBG_OK;
}

static vbg_status open_rig(trainer *t, vbg_err *err)
{
    vbg_camera cam[VIEWS];

    for (int i = 0; i < VIEWS; i++)
        cam[i] = vbg_camera_look(90, 45 * i, 0, t->data.side, t->data.side);
    vbg_status st = vbg_rig_open(&t->rig, &t->m, cam, VIEWS, t->data.side, t->data.side,
                                 t->side, t->side, err);
    if (st == VBG_OK)
        st = vbg_rig_train(t->rig, t->loop.ctx, err);
    t->hooks =
        (vbg_unet_hooks){ .arg = t->rig,
                          .couple = vbg_mvunet_couple,
                          .checkpoint = !vbg_value_flag(t->v, "keep-activations") };
    return st;
}

static vbg_status open_blocks(trainer *t, const char *path, vbg_err *err)
{
    vbg_loop *l = &t->loop;
    const bool fresh = !vbg_weights_has_component(t->file, "caa");

    vbg_status st = vbg_params_new(&l->params, vbg_ctx_act(l->ctx), err);
    if (st != VBG_OK)
        return st;
    vbg_params_select(l->params, "caa", "*", true);
    if (fresh)
        vbg_params_declare(l->params, l->opt.seed);
    vbg_params_attach(l->params, t->file);
    st = vbg_mvunet_bind_caa(&t->m, t->file, "caa", err);
    if (st == VBG_OK && vbg_value_given(t->v, "caa-max-freq")) {
        if (!fresh)
            return vbg_fail(err, VBG_EUSAGE,
                            "--caa-max-freq: %s has blocks with frequencies of their own",
                            path);
        vbg_caa_limit_bands(l->params, (float)vbg_value_real(t->v, "caa-max-freq"));
    }
    if (st == VBG_OK)
        st = vbg_optim_new(&l->optim, l->params, &l->opt.optim, err);
    if (st == VBG_OK)
        vbg_params_refresh(l->params, l->ctx);
    return st == VBG_OK ? vbg_tape_new(&t->tape, l->ctx, l->params, err) : st;
}

static vbg_status open_model(trainer *t, vbg_err *err)
{
    const char *path = vbg_value(t->v, "model");
    vbg_ctx_opt co = vbg_value_ctx(
        t->v, strcmp(vbg_value(t->v, "precision"), "f32") == 0 ? VBG_F32 : VBG_BF16);

    if (!path)
        return vbg_fail(err, VBG_EUSAGE, "--model FILE is missing");
    vbg_status st = vbg_weights_open(&t->file, path, err);
    if (st == VBG_OK)
        st = bind_frozen(t, path, err);
    if (st == VBG_OK)
        st = check_size(t, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&t->loop.ctx, &co, err);
    if (st == VBG_OK)
        st = open_blocks(t, path, err);
    if (st == VBG_OK)
        st = vbg_sampler_open(&t->sampler, &t->schedule, VBG_SAMPLER_DDIM, 1, 1, err);
    return st == VBG_OK ? open_rig(t, err) : st;
}

static vbg_status open_slots(trainer *t, vbg_err *err)
{
    const size_t images = (size_t)t->batch * VIEWS;
    vbg_status st = VBG_OK;

    for (int n = 0; n <= DEPTH; n++) {
        const int count = n < DEPTH ? t->batch : 1;
        t->slots[n].sample = calloc((size_t)count, sizeof *t->slots[n].sample);
        if (!t->slots[n].sample)
            return vbg_fail(err, VBG_ENOMEM, "not enough memory for panoramas");
        for (int b = 0; b < count && st == VBG_OK; b++)
            st = vbg_pano_sample_new(&t->slots[n].sample[b], &t->data, err);
    }
    t->noisy = vbg_alloc(images * latent_count(t) * sizeof(float));
    t->target = vbg_alloc(images * latent_count(t) * sizeof(float));
    t->state =
        vbg_alloc(images * VBG_TOKENS * (size_t)t->text.tower.width * sizeof(float));
    if (st == VBG_OK && (!t->noisy || !t->target || !t->state))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for latents");
    return st;
}

static vbg_status open_data(trainer *t, vbg_err *err)
{
    const char *data = vbg_value(t->v, "data"), *cache = vbg_value(t->v, "cache");
    struct stat info;
    char folder[4200];

    if (!data)
        return vbg_fail(err, VBG_EUSAGE, "--data DIR is missing");
    snprintf(folder, sizeof folder, "%s/latents", t->loop.opt.out);
    t->data.vae = &t->vae;
    t->data.turns = (int)vbg_value_int(t->v, "turns");
    t->data.seed = t->loop.opt.seed;
    if (stat(vbg_value(t->v, "model"), &info) == 0)
        t->data.salt = (uint64_t)info.st_size * 1000003u + (uint64_t)info.st_mtime;
    vbg_status st = vbg_pano_latents_open(&t->data, data, cache ? cache : folder,
                                          vbg_value_flag(t->v, "strict"),
                                          vbg_value_real(t->v, "val-share"), err);
    if (st != VBG_OK)
        return st;
    t->loop.jobs_per_epoch = t->data.count / (size_t)t->batch;
    if (!t->loop.jobs_per_epoch)
        t->loop.jobs_per_epoch = 1;
    if (t->data.count < t->data.panos.count) {
        t->calls.validate = validate;
        t->calls.sample = sample;
    }
    return open_slots(t, err);
}

static void close_trainer(void *arg)
{
    trainer *t = arg;

    vbg_tape_free(t->tape);
    vbg_rig_close(t->rig);
    vbg_optim_free(t->loop.optim);
    vbg_sampler_close(t->sampler);
    vbg_tokenizer_close(t->tokens);
    vbg_params_free(t->loop.params);
    vbg_ctx_free(t->loop.ctx);
    vbg_weights_close(t->file);
    for (int n = 0; n <= DEPTH; n++) {
        const int count = n < DEPTH ? t->batch : 1;
        for (int b = 0; b < count && t->slots[n].sample; b++)
            vbg_pano_sample_free(&t->slots[n].sample[b]);
        free(t->slots[n].sample);
    }
    vbg_pano_latents_close(&t->data);
    vbg_free_mem(t->noisy);
    vbg_free_mem(t->target);
    vbg_free_mem(t->state);
    json_decref(t->loop.config);
}

static vbg_status train(void *arg, const vbg_program *program, vbg_values *v,
                        vbg_err *err)
{
    trainer *t = arg;

    t->v = v;
    t->batch = (int)vbg_value_int(t->v, "batch");
    t->dropout = vbg_value_real(t->v, "prompt-dropout");
    t->whole = vbg_value_real(t->v, "whole-captions");
    t->early = vbg_value_real(t->v, "early");
    vbg_status st = vbg_loop_options(&t->loop.opt, t->v, err);
    if (st == VBG_OK && !vbg_value_given(t->v, "steps") &&
        !vbg_value_given(t->v, "epochs")) {
        t->loop.opt.steps = 0;
        t->loop.opt.epochs = 10;
    }
    t->loop.opt.optim.decay_all = true; /* as PyTorch without groups */
    if (st == VBG_OK)
        st = open_model(t, err);
    if (st == VBG_OK)
        st = open_data(t, err);
    if (st != VBG_OK)
        return st;
    t->loop.samples_per_job = t->batch;
    t->loop.config = vbg_loop_config(program, t->v);
    return vbg_loop_run(&t->loop, err);
}

int vbg_train_caa(int argc, char **argv)
{
    static const vbg_trainer command = {
        .program = { .name = "vbg-train caa",
                     .purpose =
                         "couples the views of a panorama in a model that makes pictures",
                     .usage =
                         "vbg-train caa --model base.vbg --data DIR --out DIR [options]",
                     .examples = { "vbg-train caa -m base.vbg -d panoramas -o room "
                                   "--resume",
                                   "vbg-train caa -m base.vbg -d mp3d_skybox -o room "
                                   "--accumulate 4 "
                                   "--turns 0" } },
        .own = own,
        .train = train,
        .close = close_trainer
    };
    trainer t = { .loop = { .kind = "caa",
                            .argv = argv,
                            .depth = DEPTH,
                            .best = "loss",
                            .rare_exports = true },
                  .calls = { .load = load,
                             .step = step,
                             .describe = describe,
                             .plan = plan,
                             .export_model = export_model } };

    t.loop.arg = &t;
    t.loop.calls = &t.calls;
    return vbg_trainer_main(&command, &t, argc, argv);
}
