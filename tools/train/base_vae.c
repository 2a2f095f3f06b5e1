/* vbg-train base vae: an autoencoder from a folder of pictures.
 *
 * Crops go through encoder, drawn latents and decoder; the loss is L1 plus L1 of a
 * Laplacian pyramid plus a small KL term.  In a third of the micro-batches the latents
 * are shrunk first and the result is compared with the shrunk crops, which keeps the
 * latent space even in scale (Skorokhodov et al. 2025, Kouzelis et al. 2025).  The
 * exported file has latents of mean 0 and deviation 1 in every channel: what they are
 * on held-out pictures is folded into quant_conv and post_quant_conv. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/io.h"
#include "engine/picture_io.h"
#include "engine/tape.h"
#include "models/vae.h"
#include "tools/train/base.h"
#include "tools/train/base_vae_loss.h"
#include "tools/train/commands.h"
#include "tools/train/crops.h"
#include "tools/train/export.h"
#include "tools/train/loop.h"

enum { DEPTH = 3, PER_PICTURE = 4, VAL_CROPS = 16, SAMPLES = 8 };

/* Widths for 16 times smaller latents of 8 channels; 512 x 512 takes 20 GMAC to decode.
 */
static const char usual_config[] =
    "{\"_class_name\":\"AutoencoderKL\",\"in_channels\":3,\"out_channels\":3,"
    "\"latent_channels\":8,\"block_out_channels\":[32,64,96,128,128],"
    "\"layers_per_block\":1,\"norm_num_groups\":8,\"scaling_factor\":1.0,"
    "\"mid_block_add_attention\":false}";

static const vbg_option own[] = {
    { "data", 'd', VBG_OPT_STRING, "DIR", NULL, NULL, "folder of pictures", "data",
      VBG_OPT_COMMON },
    { "strict", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "a broken picture is an error", "data",
      0 },
    { "crop", 0, VBG_OPT_INT, "PIXELS", "128", "16..2048", "side of the crops", "data",
      VBG_OPT_COMMON },
    { "val-crop", 0, VBG_OPT_INT, "PIXELS", "256", "16..2048",
      "side of the held-out crops", "data", 0 },
    { "val-share", 0, VBG_OPT_REAL, "SHARE", "0.03", "0..0.5",
      "share of the pictures held out", "data", 0 },
    { "config", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "sizes, a diffusers config.json (default: 16 times smaller, 8 channels)", "model",
      VBG_OPT_COMMON },
    { "model", 'm', VBG_OPT_STRING, "FILE", NULL, NULL,
      "begin with the weights of a .vbg file", "model", 0 },
    { "decoder-only", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "leave the encoder of --model as it is", "model", 0 },
    { "precision", 0, VBG_OPT_CHOICE, "TYPE", "bf16", "bf16|f32",
      "of the arithmetic; values, moments and sums are f32", "model", 0 },
    { "detail", 0, VBG_OPT_REAL, "X", "0.5", "0..100",
      "weight of the Laplacian pyramid's L1", "loss", 0 },
    { "kl", 0, VBG_OPT_REAL, "X", "0.00001", "0..100", "weight of the KL term", "loss",
      0 },
    { "latent-noise", 0, VBG_OPT_REAL, "X", "0.08", "0..10",
      "noise on latents, as a share of their size", "loss", 0 },
    { "shrink", 0, VBG_OPT_REAL, "SHARE", "0.33", "0..1",
      "micro-batches whose latents are shrunk", "loss", 0 },
    { "lr", 0, VBG_OPT_REAL, "RATE", "0.0003", "0..1000", "learning rate", "optimiser",
      VBG_OPT_COMMON },
    { "beta2", 0, VBG_OPT_REAL, "X", "0.99", "0..1", "of the Adam kinds and rmsprop",
      "optimiser", 0 },
    { "ema", 0, VBG_OPT_REAL, "DECAY", "0.999", "0..1",
      "moving average of the values, 0: none", "optimiser", 0 },
    { "warmup", 0, VBG_OPT_REAL, "N", "100", "0..1000000000",
      "steps (or epochs) of rising rate", "optimiser", 0 },
    { "hold", 0, VBG_OPT_REAL, "SHARE", "0.5", "0..1",
      "share of the rest before the decay begins", "optimiser", 0 },
    { "steps", 0, VBG_OPT_INT, "N", "20000", "1..1000000000", "updates in all", "course",
      VBG_OPT_COMMON },
    { "batch", 'b', VBG_OPT_INT, "N", "16", "1..65536", "crops of a micro-batch",
      "course", VBG_OPT_COMMON },
    { 0 },
};

typedef struct slot {
    float *x, *target; /* target: the crops shrunk, or NULL */
    int target_side;
} slot;

typedef struct trainer {
    vbg_loop loop;
    vbg_values *v;
    char *config;
    vbg_weights *file;
    vbg_vae vae;
    vbg_tape *tape;
    vbg_crops crops;
    slot slots[DEPTH];
    int batch, side, val_side, factor;
    double detail, shrink;
    float kl, noise;
    bool decoder_only;
    float *val; /* [VAL_CROPS][val_side][val_side][3] */
} trainer;

/* ---- data ---- */

/* 2 of 3, 3 of 4 or (mostly) all of the latents' side, by the job alone. */
static int target_side(const trainer *t, uint64_t job)
{
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, (uint32_t)(job >> 32), (uint32_t)job, 2);
    int latent = t->side / t->factor;

    if (!vbg_dice_chance(&d, t->shrink) || latent < 4)
        return t->side;
    return (vbg_dice_chance(&d, 0.5) ? latent / 2 : latent * 3 / 4) * t->factor;
}

static vbg_status shrink_crops(const trainer *t, slot *s, vbg_err *err)
{
    const int a = t->side, b = s->target_side;
    vbg_status st = VBG_OK;

    for (int i = 0; i < t->batch && st == VBG_OK; i++) {
        vbg_picture big = { 0 }, small = { 0 };
        const size_t from = (size_t)i * 3 * (size_t)a * (size_t)a;
        float *to = s->target + (size_t)i * 3 * (size_t)b * (size_t)b;
        st = vbg_tiles(&big, s->x + from, a, 1, 1, err);
        if (st == VBG_OK)
            st = vbg_picture_new(&small, b, b, 3, err);
        if (st == VBG_OK)
            st = vbg_shrink_to_floats(to, &small, &big, err);
        vbg_picture_free(&big);
        vbg_picture_free(&small);
    }
    return st;
}

static vbg_status load(void *arg, uint64_t job, int n, vbg_err *err)
{
    trainer *t = arg;
    slot *s = &t->slots[n];
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, (uint32_t)(job >> 32), (uint32_t)job, 1);
    vbg_status st = VBG_OK;

    for (int i = 0; i < t->batch && st == VBG_OK; i += PER_PICTURE) {
        size_t picture = vbg_dice_word(&d) % vbg_crops_count(&t->crops);
        size_t at = (size_t)i * 3 * (size_t)t->side * (size_t)t->side;
        st = vbg_crops_take(&t->crops, picture, false, t->side,
                            vbg_min_int(PER_PICTURE, t->batch - i), &d, s->x + at, err);
    }
    s->target_side = target_side(t, job);
    if (st == VBG_OK && s->target_side != t->side)
        st = shrink_crops(t, s, err);
    return st;
}

/* The held-out crops, always the same. */
static vbg_status load_val(trainer *t, vbg_err *err)
{
    const size_t each = 3 * (size_t)t->val_side * (size_t)t->val_side;
    vbg_status st = VBG_OK;

    t->val = vbg_alloc(VAL_CROPS * each * sizeof *t->val);
    if (!t->val)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for held-out crops");
    for (size_t i = 0; i < VAL_CROPS && st == VBG_OK; i++) {
        vbg_dice d = vbg_dice_for(1, 0, (uint32_t)i, 3);
        size_t n = t->crops.held_out;
        bool again = i >= n; /* few pictures: other places of the same */
        st = vbg_crops_take(&t->crops, i % n, true, t->val_side, 1, again ? &d : NULL,
                            t->val + i * each, err);
    }
    return st;
}

/* ---- a step ---- */

typedef struct step_job {
    trainer *t;
    const slot *s;
    uint64_t job;
    vbg_measure *m;
} step_job;

static vbg_status step_forward(vbg_ctx *c, void *arg, vbg_err *err)
{
    const step_job *j = arg;
    trainer *t = j->t;
    const bool whole = j->s->target_side == t->side;
    const int side = j->s->target_side, latent = side / t->factor;
    const vbg_draw_opt draw = { t->loop.opt.seed ^ (j->job + 1) * 0x9E3779B97F4A7C15u,
                                t->noise, t->kl };
    double kl = 0;

    (void)err;
    if (!t->decoder_only)
        vbg_tape_start(t->tape, true);
    vbg_tensor *x = vbg_wrap(c, j->s->x, VBG_F32, t->batch, t->side, t->side, 3);
    vbg_tensor *z = vbg_draw_latents(c, vbg_vae_encode(c, &t->vae, x, NULL), draw, &kl);
    if (t->decoder_only)
        vbg_tape_start(t->tape, true);
    if (!whole) {
        x = vbg_wrap(c, j->s->target, VBG_F32, t->batch, side, side, 3);
        z = vbg_resize(c, z, latent, latent, VBG_RESIZE_BILINEAR);
    }
    vbg_tensor *y = vbg_vae_decode(c, &t->vae, z, NULL);
    vbg_tensor *dy = vbg_new_typed(c, VBG_F32, y->n, y->h, y->w, y->c);
    vbg_picture_loss l = vbg_loss_picture(c, y, x, t->detail, dy);
    vbg_backward_from(c, y, dy);
    vbg_tape_stop(t->tape);
    j->m->loss = l.l1 + t->detail * l.detail + (double)t->kl * kl;
    vbg_measure_set(j->m, "l1", l.l1);
    vbg_measure_set(j->m, "kl", kl);
    vbg_measure_set(j->m, "psnr", -10 * log10(l.mse / 4 + 1e-12));
    return VBG_OK;
}

static vbg_status step(void *arg, uint64_t job, int n, vbg_measure *m, vbg_err *err)
{
    trainer *t = arg;
    step_job j = { t, &t->slots[n], job, m };

    return vbg_run(t->loop.ctx, step_forward, &j, err);
}

static vbg_status plan(void *arg, size_t *bytes, vbg_err *err)
{
    trainer *t = arg;
    vbg_measure m = { 0 };
    slot s = { .x = t->slots[0].x, .target_side = t->side };
    step_job j = { t, &s, 0, &m };

    return vbg_plan(t->loop.ctx, step_forward, &j, bytes, err);
}

/* ---- held-out pictures ---- */

typedef struct pass_job {
    const trainer *t;
    const float *x;
    int n;
    float *mean; /* [n][h][w][latent] or NULL */
    float *y;    /* [n][side][side][3] or NULL */
    vbg_picture_loss loss;
} pass_job;

static vbg_status pass(vbg_ctx *c, void *arg, vbg_err *err)
{
    pass_job *j = arg;
    const trainer *t = j->t;

    (void)err;
    vbg_tensor *x = vbg_wrap(c, j->x, VBG_F32, j->n, t->val_side, t->val_side, 3);
    vbg_tensor *m = vbg_vae_encode(c, &t->vae, x, NULL);
    vbg_tensor *z = vbg_new_typed(c, VBG_F32, m->n, m->h, m->w, m->c / 2);
    if (!vbg_planning(c))
        vbg_vae_moments(&t->vae, m->data, vbg_rows(m), z->data, NULL, NULL);
    vbg_tensor *y = vbg_vae_decode(c, &t->vae, z, NULL);
    j->loss = vbg_loss_picture(c, y, x, t->detail, NULL);
    if (!vbg_planning(c) && j->mean)
        memcpy(j->mean, z->data, vbg_rows(z) * (size_t)z->c * sizeof(float));
    if (!vbg_planning(c) && j->y)
        memcpy(j->y, y->data, vbg_rows(y) * 3 * sizeof(float));
    return VBG_OK;
}

static size_t val_floats(const trainer *t)
{
    return 3 * (size_t)t->val_side * (size_t)t->val_side;
}

static vbg_status validate(void *arg, vbg_measure *m, vbg_err *err)
{
    trainer *t = arg;
    double l1 = 0, psnr = 0;
    vbg_status st = VBG_OK;

    for (int i = 0; i < VAL_CROPS && st == VBG_OK; i++) {
        pass_job j = { .t = t, .x = t->val + (size_t)i * val_floats(t), .n = 1 };
        st = vbg_run(t->loop.ctx, pass, &j, err);
        m->loss += (j.loss.l1 + t->detail * j.loss.detail) / VAL_CROPS;
        l1 += j.loss.l1 / VAL_CROPS;
        psnr += -10 * log10(j.loss.mse / 4 + 1e-12) / VAL_CROPS;
    }
    vbg_measure_set(m, "l1", l1);
    vbg_measure_set(m, "psnr", psnr);
    return st;
}

/* Above, crops; below, what came back. */
static vbg_status sample(void *arg, const char *path, vbg_err *err)
{
    trainer *t = arg;
    const size_t each = val_floats(t);
    float *x = vbg_alloc(2 * SAMPLES * each * sizeof *x);
    vbg_picture p = { 0 };

    if (!x)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for samples");
    memcpy(x, t->val, SAMPLES * each * sizeof *x);
    vbg_status st = VBG_OK;
    for (size_t i = 0; i < SAMPLES && st == VBG_OK; i++) {
        pass_job j = { .t = t, .x = x + i * each, .n = 1, .y = x + (SAMPLES + i) * each };
        st = vbg_run(t->loop.ctx, pass, &j, err);
    }
    if (st == VBG_OK)
        st = vbg_tiles(&p, x, t->val_side, SAMPLES, 2, err);
    if (st == VBG_OK)
        st = vbg_picture_save(path, &p, NULL, 90, err);
    vbg_picture_free(&p);
    vbg_free_mem(x);
    return st;
}

/* ---- export ---- */

typedef struct spread_of {
    double mean[64], std[64];
} spread_of;

/* Mean and deviation of every latent channel on the held-out crops. */
static vbg_status measure(trainer *t, spread_of *s, vbg_err *err)
{
    const int l = t->vae.cfg.latent, side = t->val_side / t->factor;
    const size_t n = (size_t)side * (size_t)side;
    float *z = vbg_alloc(n * (size_t)l * sizeof *z);
    double square[64] = { 0 };
    vbg_status st = z ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "not enough memory");

    *s = (spread_of){ { 0 }, { 0 } };
    for (int i = 0; i < VAL_CROPS && st == VBG_OK; i++) {
        pass_job j = {
            .t = t, .x = t->val + (size_t)i * val_floats(t), .n = 1, .mean = z
        };
        st = vbg_run(t->loop.ctx, pass, &j, err);
        for (size_t k = 0; k < n * (size_t)l; k++) {
            s->mean[k % (size_t)l] += (double)z[k] / (double)n / VAL_CROPS;
            square[k % (size_t)l] += (double)z[k] * (double)z[k] / (double)n / VAL_CROPS;
        }
    }
    for (int k = 0; k < l; k++)
        s->std[k] = sqrt(fmax(square[k] - s->mean[k] * s->mean[k], 1e-12));
    vbg_free_mem(z);
    return st;
}

/* quant_conv: means become (mean - m) / s, log variances lose 2 log s. */
static void fold_quant(float *w, float *b, int l, const spread_of *s)
{
    for (int i = 0; i < l; i++) {
        for (int k = 0; k < 2 * l; k++)
            w[i * 2 * l + k] = (float)((double)w[i * 2 * l + k] / s->std[i]);
        b[i] = (float)(((double)b[i] - s->mean[i]) / s->std[i]);
        b[l + i] = (float)((double)b[l + i] - 2 * log(s->std[i]));
    }
}

/* post_quant_conv takes them back. */
static void fold_post(float *w, float *b, int l, const spread_of *s)
{
    for (int o = 0; o < l; o++)
        for (int i = 0; i < l; i++) {
            double v = (double)w[o * l + i];
            b[o] = (float)((double)b[o] + v * s->mean[i]);
            w[o * l + i] = (float)(v * s->std[i]);
        }
}

static const char *const folded[] = { "quant_conv.weight", "quant_conv.bias",
                                      "post_quant_conv.weight", "post_quant_conv.bias",
                                      NULL };

static vbg_status put_folded(trainer *t, vbg_export *e, const spread_of *s, vbg_err *err)
{
    vbg_param *p[4];
    float *copy[4];
    vbg_status st = VBG_OK;

    for (int i = 0; i < 4; i++) {
        p[i] = vbg_params_find(t->loop.params, "vae", folded[i]);
        VBG_CHECK(p[i], "no %s", folded[i]);
        copy[i] = vbg_alloc(p[i]->count * sizeof(float));
        if (!copy[i])
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
        else
            memcpy(copy[i], p[i]->value, p[i]->count * sizeof(float));
    }
    if (st == VBG_OK) {
        fold_quant(copy[0], copy[1], t->vae.cfg.latent, s);
        fold_post(copy[2], copy[3], t->vae.cfg.latent, s);
    }
    for (int i = 0; i < 4; i++) {
        if (st == VBG_OK)
            st = vbg_export_put(e, p[i], copy[i], err);
        vbg_free_mem(copy[i]);
    }
    return st;
}

/* Config with a scaling of 1, as the folding makes it. */
static char *final_config(const trainer *t)
{
    json_error_t why;
    json_t *o = json_loads(t->config, 0, &why);

    json_object_set_new(o, "scaling_factor", json_real(1));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static vbg_status export_model(void *arg, const char *path, vbg_err *err)
{
    trainer *t = arg;
    vbg_export e;
    spread_of s;
    char *config = final_config(t);

    vbg_status st = measure(t, &s, err);
    if (st == VBG_OK)
        st = vbg_export_new(&e, path, VBG_BF16, err);
    if (st != VBG_OK) {
        free(config);
        return st;
    }
    st = vbg_writer_string(e.w, "model.arch", "vae", err);
    if (st == VBG_OK && config)
        st = vbg_writer_string(e.w, "vae.config", config, err);
    if (st == VBG_OK)
        st = vbg_export_declare(&e, t->loop.params, "vae", err);
    if (st == VBG_OK)
        st = vbg_export_put_all(&e, t->loop.params, "vae", folded, err);
    if (st == VBG_OK)
        st = put_folded(t, &e, &s, err);
    free(config);
    return vbg_export_end(&e, st, err);
}

static void describe(void *arg, uint64_t job, int n, char *text, size_t size)
{
    const trainer *t = arg;
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, (uint32_t)(job >> 32), (uint32_t)job, 1);
    size_t picture = vbg_dice_word(&d) % vbg_crops_count(&t->crops);

    (void)n;
    snprintf(text, size, "%s ...", vbg_crops_name(&t->crops, picture));
}

static const vbg_loop_calls calls = { .load = load,
                                      .step = step,
                                      .describe = describe,
                                      .plan = plan,
                                      .validate = validate,
                                      .sample = sample,
                                      .export_model = export_model };

/* ---- beginning ---- */

static vbg_status read_config(trainer *t, vbg_vae_config *cfg, vbg_err *err)
{
    const char *path = vbg_value(t->v, "config"), *stored = NULL;
    vbg_map map = { 0 };
    vbg_status st = VBG_OK;

    if (path)
        st = vbg_map_open(&map, path, 1 << 20, err);
    else if (t->file)
        vbg_weights_string(t->file, "vae.config", &stored);
    if (st != VBG_OK)
        return st;
    t->config = path ? strndup(map.data ? (const char *)map.data : "", map.bytes)
                     : strdup(stored ? stored : usual_config);
    vbg_map_close(&map);
    if (!t->config)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory");
    st = vbg_vae_config_read(cfg, t->config, err);
    t->factor = 1 << (cfg->levels - 1);
    if (st == VBG_OK && cfg->latent > 64)
        st = vbg_fail(err, VBG_EUSAGE, "more than 64 latent channels");
    if (st == VBG_OK && (t->side % t->factor || t->val_side % t->factor))
        st = vbg_fail(err, VBG_EUSAGE, "--crop and --val-crop must be multiples of %d",
                      t->factor);
    return st;
}

static vbg_status open_model(trainer *t, vbg_err *err)
{
    const char *path = vbg_value(t->v, "model");
    vbg_vae_config cfg;
    vbg_ctx_opt co = vbg_value_ctx(
        t->v, strcmp(vbg_value(t->v, "precision"), "f32") == 0 ? VBG_F32 : VBG_BF16);
    vbg_loop *l = &t->loop;

    if (t->decoder_only && !path)
        return vbg_fail(err, VBG_EUSAGE, "--decoder-only needs --model");
    vbg_status st =
        path ? vbg_weights_open(&t->file, path, err) : vbg_weights_empty(&t->file, err);
    if (st == VBG_OK)
        st = read_config(t, &cfg, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&l->ctx, &co, err);
    if (st == VBG_OK)
        st = vbg_params_new(&l->params, vbg_ctx_act(l->ctx), err);
    if (st != VBG_OK)
        return st;
    if (!path)
        vbg_params_declare(l->params, l->opt.seed);
    vbg_params_select(l->params, "vae", "*", true);
    vbg_params_attach(l->params, t->file);
    st = vbg_vae_bind(&t->vae, &cfg, t->file, "vae", err);
    if (st == VBG_OK)
        st = vbg_optim_new(&l->optim, l->params, &l->opt.optim, err);
    if (st == VBG_OK && t->decoder_only) { /* exported, never changed */
        vbg_optim_group(l->optim, "vae", "encoder*", 0, 0);
        vbg_optim_group(l->optim, "vae", "quant_conv*", 0, 0);
    }
    if (st == VBG_OK)
        vbg_params_refresh(l->params, l->ctx);
    return st == VBG_OK ? vbg_tape_new(&t->tape, l->ctx, l->params, err) : st;
}

static vbg_status open_data(trainer *t, vbg_err *err)
{
    const char *data = vbg_value(t->v, "data");
    const size_t floats = (size_t)t->batch * 3 * (size_t)t->side * (size_t)t->side;
    vbg_status st;

    if (!data)
        return vbg_fail(err, VBG_EUSAGE, "--data DIR is missing");
    st = vbg_crops_open(&t->crops, data, vbg_max_int(t->side, t->val_side),
                        vbg_value_real(t->v, "val-share"), vbg_value_flag(t->v, "strict"),
                        err);
    for (int i = 0; i < DEPTH && st == VBG_OK; i++) {
        t->slots[i].x = vbg_alloc(floats * sizeof(float));
        t->slots[i].target = vbg_alloc(floats * sizeof(float));
        if (!t->slots[i].x || !t->slots[i].target)
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory for crops");
    }
    t->loop.jobs_per_epoch =
        (vbg_crops_count(&t->crops) * PER_PICTURE - 1) / (size_t)t->batch + 1;
    return st == VBG_OK ? load_val(t, err) : st;
}

static void close_trainer(trainer *t)
{
    vbg_tape_free(t->tape);
    vbg_optim_free(t->loop.optim);
    vbg_params_free(t->loop.params);
    vbg_ctx_free(t->loop.ctx);
    vbg_weights_close(t->file);
    vbg_crops_close(&t->crops);
    for (int i = 0; i < DEPTH; i++) {
        vbg_free_mem(t->slots[i].x);
        vbg_free_mem(t->slots[i].target);
    }
    vbg_free_mem(t->val);
    free(t->config);
    json_decref(t->loop.config);
    vbg_values_free(t->v);
}

static vbg_status train(trainer *t, const vbg_program *program, vbg_err *err)
{
    t->batch = (int)vbg_value_int(t->v, "batch");
    t->side = (int)vbg_value_int(t->v, "crop");
    t->val_side = (int)vbg_value_int(t->v, "val-crop");
    t->decoder_only = vbg_value_flag(t->v, "decoder-only");
    t->detail = vbg_value_real(t->v, "detail");
    t->shrink = vbg_value_real(t->v, "shrink");
    t->kl = (float)vbg_value_real(t->v, "kl");
    t->noise = (float)vbg_value_real(t->v, "latent-noise");
    vbg_status st = vbg_loop_options(&t->loop.opt, t->v, err);
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

int vbg_train_base_vae(int argc, char **argv)
{
    vbg_option table[VBG_LOOP_ROWS];
    const vbg_program program = {
        .name = "vbg-train base vae",
        .purpose = "trains an autoencoder: pictures to latents and back",
        .usage = "vbg-train base vae --data DIR --out DIR [options]",
        .examples = { "vbg-train base vae --data rooms -o vae --steps 20000 --resume" },
        .options = table
    };
    trainer t = { .loop = { .kind = "vae",
                            .calls = &calls,
                            .argv = argv,
                            .depth = DEPTH,
                            .best = "psnr" } };
    vbg_err err = { 0 };

    vbg_message_start("vbg-train");
    vbg_loop_table(table, own);
    int code = vbg_options_start(&t.v, &program, argc, argv);
    if (code >= 0)
        return code;
    vbg_message_setup(t.v);
    t.loop.arg = &t;
    code = vbg_exit_code(train(&t, &program, &err), &err);
    close_trainer(&t);
    return vbg_finish_output(code);
}
