/* vbg-train base text+unet: text tower and UNet of a small Stable Diffusion model from
 * pictures with captions, with a VAE of `vbg-train base vae`.  model.vbg is complete:
 * vbg-gen makes pictures with it, vbg-train caa couples its views. */
#define _GNU_SOURCE
#include "tools/train/base_unet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/train/base.h"
#include "tools/train/lock.h"

static const vbg_option own[] = {
    { "data", 'd', VBG_OPT_STRING, "DIR", NULL, NULL,
      "folder of pictures or panoramas with captions", "data", VBG_OPT_COMMON },
    { "strict", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "a broken sample is an error", "data",
      0 },
    { "size", 0, VBG_OPT_INT, "PIXELS", "512", "64..2048", "side of the pictures", "data",
      VBG_OPT_COMMON },
    { "mirror", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "also mirrored pictures, left and right exchanged in captions", "data",
      VBG_OPT_COMMON },
    { "val-share", 0, VBG_OPT_REAL, "SHARE", "0.03", "0..0.5",
      "share of the pictures held out", "data", 0 },
    { "turns", 0, VBG_OPT_INT, "N", "2", "1..16",
      "turns of each panorama, spread over 45 degrees", "data", 0 },
    { "cache", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "where latents are kept (default: DIR/latents-SIZE.vbg)", "data", 0 },
    { "vae", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "autoencoder to use (default: that of --model)", "model", VBG_OPT_COMMON },
    { "model", 'm', VBG_OPT_STRING, "FILE", NULL, NULL,
      "begin with text tower, UNet and tokenizer of a package", "model", VBG_OPT_COMMON },
    { "tokenizer", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "merges.txt (default: learned from the captions)", "model", 0 },
    { "config", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "JSON with sizes: unet, text, scheduler, merges", "model", VBG_OPT_COMMON },
    { "precision", 0, VBG_OPT_CHOICE, "TYPE", "bf16", "bf16|f32",
      "of the arithmetic; values, moments and sums are f32", "model", 0 },
    { "about", 0, VBG_OPT_STRING, "TEXT", NULL, NULL,
      "what the model can draw, for the message about words it does not know", "model",
      0 },
    { "prediction", 0, VBG_OPT_CHOICE, "WHAT", "v_prediction", "v_prediction|epsilon",
      "what the UNet says", "loss", 0 },
    { "prompt-dropout", 0, VBG_OPT_REAL, "SHARE", "0.1", "0..1",
      "captions left out, for guidance", "loss", 0 },
    { "whole-captions", 0, VBG_OPT_REAL, "SHARE", "0.15", "0..1",
      "views of panoramas that get the line about the whole", "loss", 0 },
    { "min-snr", 0, VBG_OPT_REAL, "GAMMA", "5", "0..1000",
      "weight of times by min(SNR, GAMMA), 0: all alike", "loss", 0 },
    { "text-head", 0, VBG_OPT_REAL, "X", "0.2", "0..100",
      "weight of a head that says coarse latents from the text alone", "loss", 0 },
    { "aux", 0, VBG_OPT_REAL, "X", "0.3", "0..100",
      "weight of naming regions and depths where the data has them", "loss", 0 },
    { "text-lr", 0, VBG_OPT_REAL, "X", "0.5", "0..100",
      "learning rate of the text tower, times --lr", "optimiser", 0 },
    { "lr", 0, VBG_OPT_REAL, "RATE", "0.0003", "0..1000", "learning rate", "optimiser",
      VBG_OPT_COMMON },
    { "beta2", 0, VBG_OPT_REAL, "X", "0.99", "0..1", "of the Adam kinds and rmsprop",
      "optimiser", 0 },
    { "ema", 0, VBG_OPT_REAL, "DECAY", "0.999", "0..1",
      "moving average of the values, 0: none", "optimiser", 0 },
    { "schedule", 0, VBG_OPT_CHOICE, "NAME", "linear", "cosine|linear|poly|step|constant",
      "decay of the rate", "optimiser", 0 },
    { "warmup", 0, VBG_OPT_REAL, "N", "500", "0..1000000000",
      "steps (or epochs) of rising rate", "optimiser", 0 },
    { "hold", 0, VBG_OPT_REAL, "SHARE", "0.75", "0..1",
      "share of the rest before the decay begins", "optimiser", 0 },
    { "steps", 0, VBG_OPT_INT, "N", "20000", "1..1000000000", "updates in all", "course",
      VBG_OPT_COMMON },
    { "batch", 'b', VBG_OPT_INT, "N", "32", "1..65536", "pictures of a micro-batch",
      "course", VBG_OPT_COMMON },
    { 0 },
};

static const vbg_loop_calls calls = { .load = vbg_base_load,
                                      .step = vbg_base_step,
                                      .describe = vbg_base_describe,
                                      .plan = vbg_base_plan,
                                      .validate = vbg_base_validate,
                                      .sample = vbg_base_sample,
                                      .export_model = vbg_base_export };

static vbg_status open_vae(vbg_base *b, vbg_err *err)
{
    const char *vae = vbg_value(b->v, "vae"), *model = vbg_value(b->v, "model");
    const char *path = vae ? vae : model, *config = NULL;
    vbg_vae_config cfg;
    vbg_ctx_opt co = vbg_value_ctx(
        b->v, strcmp(vbg_value(b->v, "precision"), "f32") == 0 ? VBG_F32 : VBG_BF16);
    vbg_status st;

    if (!path)
        return vbg_fail(err, VBG_EUSAGE, "--vae FILE is missing");
    st = vbg_ctx_new(&b->loop.ctx, &co, err);
    if (st == VBG_OK)
        st = vbg_weights_open(&b->vae_file, path, err);
    if (st == VBG_OK && !vbg_weights_string(b->vae_file, "vae.config", &config))
        st = vbg_fail(err, VBG_EFORMAT, "%s: no autoencoder", path);
    if (st == VBG_OK)
        st = vbg_vae_config_read(&cfg, config, err);
    if (st == VBG_OK)
        st = vbg_params_new(&b->vae_params, vbg_ctx_act(b->loop.ctx), err);
    if (st != VBG_OK)
        return st;
    vbg_params_select(b->vae_params, "vae", "*", true);
    vbg_params_attach(b->vae_params, b->vae_file);
    st = vbg_vae_bind(&b->vae, &cfg, b->vae_file, "vae", err);
    if (st == VBG_OK && !b->vae.has_encoder)
        st = vbg_fail(err, VBG_EFORMAT, "%s: an autoencoder without encoder", path);
    if (st == VBG_OK && vbg_value_int(b->v, "size") % vbg_vae_down(&cfg))
        st = vbg_fail(err, VBG_EUSAGE, "--size must be a multiple of %d",
                      vbg_vae_down(&cfg));
    return st;
}

static vbg_status open_data(vbg_base *b, vbg_err *err)
{
    const char *data = vbg_value(b->v, "data"), *cache = vbg_value(b->v, "cache");
    vbg_latents_opt lo = { .picture = (int)vbg_value_int(b->v, "size"),
                           .mirrored = vbg_value_flag(b->v, "mirror") };
    const vbg_samples_opt so = { .strict = vbg_value_flag(b->v, "strict"),
                                 .starts = (int)vbg_value_int(b->v, "turns") };
    char path[4200];

    if (!data)
        return vbg_fail(err, VBG_EUSAGE, "--data DIR is missing");
    vbg_status st = vbg_samples_open(&b->list, data, &so, err);
    b->count = vbg_samples_count(&b->list);
    const size_t scene = vbg_samples_a_scene(&b->list);
    if (st == VBG_OK && b->count < 2 * scene)
        st =
            vbg_fail(err, VBG_EFORMAT, "%s: fewer than two pictures with captions", data);
    if (st == VBG_OK)
        st = vbg_make_folder(b->loop.opt.out, err);
    if (st != VBG_OK)
        return st;
    snprintf(path, sizeof path, "%s/latents-%d.vbg", b->loop.opt.out, lo.picture);
    lo.cache = cache ? cache : path;
    /* whole scenes are held out, from the end of the list */
    size_t held =
        (size_t)(vbg_value_real(b->v, "val-share") * (double)(b->count / scene));
    b->train = b->count - (held ? held : 1) * scene;
    st = vbg_latents_open(&b->latents, b->loop.ctx, &b->vae, b->vae_file, &b->list, &lo,
                          err);
    b->order = malloc(b->train * sizeof *b->order);
    if (st == VBG_OK && !b->order)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
    b->order_epoch = UINT64_MAX;
    for (size_t i = 0; i < 8; i++)
        b->prompt[i] =
            vbg_samples_text(&b->list, b->train + i * scene % (b->count - b->train));
    return st;
}

static vbg_status open_batches(vbg_base *b, vbg_err *err)
{
    vbg_status st = vbg_base_batch_new(&b->held_out, b, VBG_BASE_HELD_OUT, err);

    for (int i = 0; i < VBG_BASE_DEPTH && st == VBG_OK; i++)
        st = vbg_base_batch_new(&b->slots[i], b, b->batch, err);
    return st;
}

static void close_base(void *arg)
{
    vbg_base *b = arg;

    for (int i = 0; i < VBG_BASE_DEPTH; i++)
        vbg_base_batch_free(&b->slots[i]);
    vbg_base_batch_free(&b->held_out);
    vbg_tape_free(b->tape);
    vbg_optim_free(b->loop.optim);
    vbg_params_free(b->loop.params);
    vbg_params_free(b->vae_params);
    vbg_latents_close(&b->latents);
    vbg_ctx_free(b->loop.ctx);
    vbg_weights_close(b->file);
    vbg_weights_close(b->vae_file);
    vbg_sampler_close(b->tables);
    vbg_tokenizer_close(b->tokenizer);
    vbg_samples_close(&b->list);
    free(b->merges);
    free(b->order);
    json_decref(b->config);
    json_decref(b->loop.config);
    pthread_mutex_destroy(&b->lock);
}

static vbg_status train(void *arg, const vbg_program *program, vbg_values *v,
                        vbg_err *err)
{
    vbg_base *b = arg;
    vbg_loop *l = &b->loop;

    b->v = v;
    b->batch = (int)vbg_value_int(b->v, "batch");
    b->dropout = vbg_value_real(b->v, "prompt-dropout");
    b->whole = vbg_value_real(b->v, "whole-captions");
    b->gamma = vbg_value_real(b->v, "min-snr");
    b->aux = vbg_value_real(b->v, "aux");
    b->text_share = vbg_value_real(b->v, "text-head");
    vbg_status st = vbg_loop_options(&l->opt, b->v, err);
    if (st == VBG_OK)
        st = open_vae(b, err);
    if (st == VBG_OK)
        st = vbg_base_config(b, err);
    if (st == VBG_OK)
        st = open_data(b, err);
    if (st == VBG_OK)
        st = vbg_base_model(b, err);
    if (st == VBG_OK)
        st = open_batches(b, err);
    if (st != VBG_OK)
        return st;
    l->jobs_per_epoch = (b->train + (size_t)b->batch - 1) / (size_t)b->batch;
    l->samples_per_job = b->batch;
    l->config = vbg_loop_config(program, b->v);
    return vbg_loop_run(l, err);
}

int vbg_train_base_unet(int argc, char **argv)
{
    static const vbg_trainer command = {
        .program = { .name = "vbg-train base text+unet",
                     .purpose =
                         "trains a text tower and a UNet on pictures with captions",
                     .usage = "vbg-train base text+unet --data DIR --vae FILE --out DIR "
                              "[options]",
                     .examples = { "vbg-train base text+unet --data rooms --vae "
                                   "vae/model.vbg -o room "
                                   "--resume" } },
        .own = own,
        .train = train,
        .close = close_base
    };
    vbg_base b = { .loop = { .kind = "text+unet",
                             .calls = &calls,
                             .argv = argv,
                             .depth = VBG_BASE_DEPTH } };

    pthread_mutex_init(&b.lock, NULL);
    b.loop.arg = &b;
    return vbg_trainer_main(&command, &b, argc, argv);
}
