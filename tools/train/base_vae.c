/* vbg-train base vae: an autoencoder from a folder of pictures.
 *
 * Crops go through encoder, drawn latents and decoder; the loss is L1 plus L1 of a
 * Laplacian pyramid, the difference of frequencies' strengths, a small KL term and, late
 * and where asked for, the word of a critic that is trained beside it.  In a third of the
 * micro-batches the latents are shrunk first and the result is compared with the shrunk
 * crops, which keeps the latent space even in scale (Skorokhodov et al. 2025, Kouzelis et
 * al. 2025).  The exported file has latents of mean 0 and deviation 1 in every channel:
 * what they are on held-out pictures is folded into quant_conv and post_quant_conv. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/io.h"
#include "tools/train/base.h"
#include "tools/train/base_vae.h"
#include "tools/train/commands.h"
#include "tools/train/vae_start.h"

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
      "sizes, a diffusers config.json (default: 16 times smaller, 8 channels); "
      "up_block_out_channels: the decoder's own, one more: twice as large",
      "model", VBG_OPT_COMMON },
    { "model", 'm', VBG_OPT_STRING, "FILE", NULL, NULL,
      "begin with the weights of a .vbg file", "model", 0 },
    { "decoder-only", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "leave the encoder of --model as it is", "model", 0 },
    { "precision", 0, VBG_OPT_CHOICE, "TYPE", "bf16", "bf16|f32",
      "of the arithmetic; values, moments and sums are f32", "model", 0 },
    { "detail", 0, VBG_OPT_REAL, "X", "0.5", "0..100",
      "weight of the Laplacian pyramid's L1", "loss", 0 },
    { "spectrum", 0, VBG_OPT_REAL, "X", "0.1", "0..100",
      "weight of the strengths of frequencies", "loss", 0 },
    { "gan", 0, VBG_OPT_REAL, "SHARE", "0", "0..10",
      "critic of textures: its gradient as a share of the others', 0: none", "loss", 0 },
    { "gan-start", 0, VBG_OPT_REAL, "SHARE", "0.4", "0..1",
      "share of the training after which the critic is heard", "loss", 0 },
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

static const vbg_loop_calls calls = { .load = vbg_vae_load,
                                      .step = vbg_vae_step,
                                      .describe = vbg_vae_describe,
                                      .plan = vbg_vae_plan,
                                      .validate = vbg_vae_validate,
                                      .sample = vbg_vae_sample,
                                      .export_model = vbg_vae_export };

/* ---- beginning ---- */

static vbg_status read_config(vbg_vae_trainer *t, vbg_vae_config *cfg, vbg_err *err)
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
    t->factor = vbg_vae_down(cfg);
    t->grow = vbg_vae_up(cfg) / t->factor;
    if (st == VBG_OK && cfg->latent > 64)
        st = vbg_fail(err, VBG_EUSAGE, "more than 64 latent channels");
    if (st == VBG_OK && (t->side % t->factor || t->val_side % t->factor))
        st = vbg_fail(err, VBG_EUSAGE, "--crop and --val-crop must be multiples of %d",
                      t->factor);
    return st;
}

static vbg_status open_model(vbg_vae_trainer *t, vbg_err *err)
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
    if (st == VBG_OK && path && !vbg_weights_has_component(t->file, "vae"))
        st = vbg_fail(err, VBG_EFORMAT, "%s: no autoencoder", path);
    if (st == VBG_OK)
        st = read_config(t, &cfg, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&l->ctx, &co, err);
    if (st == VBG_OK)
        st = vbg_params_new(&l->params, vbg_ctx_act(l->ctx), err);
    if (st != VBG_OK)
        return st;
    if (!path || t->grow > 1)
        vbg_params_declare(l->params, l->opt.seed);
    vbg_params_select(l->params, "vae", "*", true);
    vbg_params_attach(l->params, t->file);
    st = vbg_vae_bind(&t->vae, &cfg, t->file, "vae", err);
    if (st == VBG_OK && !path)
        vbg_vae_start(l->params, &cfg);
    if (st == VBG_OK && t->grow > 1)
        vbg_vae_start_grown(l->params, t->file, &cfg);
    if (st == VBG_OK && t->gan > 0) {
        vbg_params_declare(l->params, l->opt.seed);
        vbg_params_select(l->params, "critic", "*", true);
        st = vbg_critic_bind(&t->critic, t->file, err);
    }
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

static vbg_status open_data(vbg_vae_trainer *t, vbg_err *err)
{
    const char *data = vbg_value(t->v, "data");
    const size_t floats = (size_t)t->batch * 3 * (size_t)t->side * (size_t)t->side;
    const size_t grown = floats * (size_t)t->grow * (size_t)t->grow;
    vbg_status st;

    if (!data)
        return vbg_fail(err, VBG_EUSAGE, "--data DIR is missing");
    st = vbg_crops_open(&t->crops, data, t->grow * vbg_max_int(t->side, t->val_side),
                        vbg_value_real(t->v, "val-share"), vbg_value_flag(t->v, "strict"),
                        err);
    for (int i = 0; i < VBG_VAE_DEPTH && st == VBG_OK; i++) {
        vbg_vae_slot *s = &t->slots[i];
        s->whole = vbg_alloc(grown * sizeof(float));
        s->x = t->grow > 1 ? vbg_alloc(floats * sizeof(float)) : s->whole;
        s->target = vbg_alloc(grown * sizeof(float));
        if (!s->whole || !s->x || !s->target)
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory for crops");
    }
    t->loop.jobs_per_epoch =
        (vbg_crops_count(&t->crops) * VBG_VAE_PER_PICTURE - 1) / (size_t)t->batch + 1;
    return st == VBG_OK ? vbg_vae_load_val(t, err) : st;
}

static void close_trainer(void *arg)
{
    vbg_vae_trainer *t = arg;

    vbg_tape_free(t->tape);
    vbg_optim_free(t->loop.optim);
    vbg_params_free(t->loop.params);
    vbg_ctx_free(t->loop.ctx);
    vbg_weights_close(t->file);
    vbg_crops_close(&t->crops);
    for (int i = 0; i < VBG_VAE_DEPTH; i++) {
        if (t->slots[i].x != t->slots[i].whole)
            vbg_free_mem(t->slots[i].x);
        vbg_free_mem(t->slots[i].whole);
        vbg_free_mem(t->slots[i].target);
    }
    if (t->val_x != t->val)
        vbg_free_mem(t->val_x);
    vbg_free_mem(t->val);
    free(t->config);
    json_decref(t->loop.config);
}

static vbg_status train(void *arg, const vbg_program *program, vbg_values *v,
                        vbg_err *err)
{
    vbg_vae_trainer *t = arg;

    t->v = v;
    t->batch = (int)vbg_value_int(t->v, "batch");
    t->side = (int)vbg_value_int(t->v, "crop");
    t->val_side = (int)vbg_value_int(t->v, "val-crop");
    t->decoder_only = vbg_value_flag(t->v, "decoder-only");
    t->detail = vbg_value_real(t->v, "detail");
    t->spectrum = vbg_value_real(t->v, "spectrum");
    t->gan = vbg_value_real(t->v, "gan");
    t->gan_start = vbg_value_real(t->v, "gan-start");
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
    static const vbg_trainer command = {
        .program = { .name = "vbg-train base vae",
                     .purpose = "trains an autoencoder: pictures to latents and back",
                     .usage = "vbg-train base vae --data DIR --out DIR [options]",
                     .examples = { "vbg-train base vae --data rooms -o vae --steps 20000 "
                                   "--resume" } },
        .own = own,
        .train = train,
        .close = close_trainer
    };
    vbg_vae_trainer t = { .loop = { .kind = "vae",
                                    .calls = &calls,
                                    .argv = argv,
                                    .depth = VBG_VAE_DEPTH,
                                    .best = "psnr" } };

    t.loop.arg = &t;
    return vbg_trainer_main(&command, &t, argc, argv);
}
