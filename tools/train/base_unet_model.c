/* Configuration and model of `vbg-train base text+unet`. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/io.h"
#include "tools/train/base_tokenizer.h"
#include "tools/train/base_unet.h"

/* Sizes that two cores can train: 28 M parameters in the UNet, 4 M in the tower.  The
 * noise schedule ends without any signal (Lin et al. 2024). */
static const char usual_config[] =
    "{\"unet\":{\"_class_name\":\"UNet2DConditionModel\",\"block_out_channels\":"
    "[64,128,192,256],\"layers_per_block\":1,\"attention_head_dim\":[1,2,3,4],"
    "\"cross_attention_dim\":256,\"norm_num_groups\":16,\"norm_eps\":1e-05,"
    "\"use_linear_projection\":true,\"down_block_types\":[\"DownBlock2D\","
    "\"CrossAttnDownBlock2D\",\"CrossAttnDownBlock2D\",\"CrossAttnDownBlock2D\"],"
    "\"up_block_types\":[\"CrossAttnUpBlock2D\",\"CrossAttnUpBlock2D\","
    "\"CrossAttnUpBlock2D\",\"UpBlock2D\"]},"
    "\"text\":{\"model_type\":\"clip_text_model\",\"hidden_size\":256,"
    "\"num_hidden_layers\":5,\"num_attention_heads\":4,\"intermediate_size\":1024,"
    "\"hidden_act\":\"gelu\",\"max_position_embeddings\":77},"
    "\"scheduler\":{\"_class_name\":\"DDIMScheduler\",\"num_train_timesteps\":1000,"
    "\"beta_start\":0.00085,\"beta_end\":0.012,\"beta_schedule\":\"scaled_linear\","
    "\"prediction_type\":\"v_prediction\",\"timestep_spacing\":\"trailing\","
    "\"rescale_betas_zero_snr\":true,\"set_alpha_to_one\":false,\"clip_sample\":false,"
    "\"steps_offset\":1},\"merges\":1534,\"guidance\":4,\"guidance_rescale\":0.7}";

/* ---- configuration ---- */

static void set_int(json_t *o, const char *key, int value)
{
    json_object_set_new(o, key, json_integer(value));
}

/* What follows from the autoencoder and the options. */
static void complete_config(vbg_base *b)
{
    json_t *unet = json_object_get(b->config, "unet");

    set_int(unet, "sample_size",
            (int)vbg_value_int(b->v, "size") / vbg_vae_down(&b->vae.cfg));
    if (!b->own_file || vbg_value_given(b->v, "prediction"))
        json_object_set_new(json_object_get(b->config, "scheduler"), "prediction_type",
                            json_string(vbg_value(b->v, "prediction")));
}

/* How to sample the package, where it says so. */
static void package_advice(vbg_base *b)
{
    static const char *const name[] = { "guidance", "guidance_rescale" };

    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        char key[48];
        double value;
        snprintf(key, sizeof key, "model.%s", name[i]);
        if (vbg_weights_real(b->file, key, &value))
            json_object_set_new(b->config, name[i], json_real(value));
    }
}

/* The sizes of --model are in its metadata. */
static vbg_status package_config(vbg_base *b, const char *path, vbg_err *err)
{
    static const char *const part[] = { "unet", "text", "scheduler", "tokenizer" };
    vbg_status st = vbg_weights_open(&b->file, path, err);

    b->own_file = true;
    b->config = json_object();
    for (size_t i = 0; i < sizeof part / sizeof *part && st == VBG_OK; i++) {
        const char *text = "{}";
        char key[32];
        json_error_t why;
        snprintf(key, sizeof key, "%s.config", part[i]);
        vbg_weights_string(b->file, key, &text);
        json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(o))
            st = vbg_fail(err, VBG_EFORMAT, "%s: %s: %s", path, key, why.text);
        json_object_set_new(b->config, part[i], o ? o : json_object());
    }
    if (st == VBG_OK && (!vbg_weights_has_component(b->file, "unet") ||
                         !vbg_weights_has_component(b->file, "text")))
        st = vbg_fail(err, VBG_EFORMAT, "%s: no package with text tower and UNet", path);
    if (st == VBG_OK &&
        (vbg_value_given(b->v, "config") || vbg_value_given(b->v, "tokenizer")))
        st = vbg_fail(err, VBG_EUSAGE,
                      "--model brings its sizes and tokenizer: no --config, no "
                      "--tokenizer");
    if (st != VBG_OK)
        return st;
    package_advice(b);
    complete_config(b);
    return VBG_OK;
}

vbg_status vbg_base_config(vbg_base *b, vbg_err *err)
{
    const char *path = vbg_value(b->v, "config"), *model = vbg_value(b->v, "model");
    json_error_t why;
    vbg_map map = { 0 };
    vbg_status st = VBG_OK;

    if (model)
        return package_config(b, model, err);
    st = vbg_weights_empty(&b->file, err);
    if (st != VBG_OK)
        return st;

    b->config = json_loads(usual_config, 0, &why);
    VBG_CHECK(b->config, "the usual sizes are no JSON: %s", why.text);
    if (path)
        st = vbg_map_open(&map, path, 1 << 20, err);
    if (st != VBG_OK)
        return st;
    json_t *given =
        path ? json_loadb((const char *)map.data, map.bytes, JSON_REJECT_DUPLICATES, &why)
             : json_object();
    vbg_map_close(&map);
    if (!json_is_object(given)) {
        st = vbg_fail(err, VBG_EFORMAT, "%s: line %d: %s", path, why.line, why.text);
    } else {
        json_object_update_recursive(b->config, given);
        json_t *unet = json_object_get(b->config, "unet");
        set_int(unet, "in_channels", b->vae.cfg.latent);
        set_int(unet, "out_channels", b->vae.cfg.latent);
        complete_config(b);
    }
    json_decref(given);
    return st;
}

/* ---- text ---- */

/* That of --model. */
static vbg_status package_tokenizer(vbg_base *b, vbg_err *err)
{
    const void *merges;
    size_t bytes;
    vbg_status st = vbg_tokenizer_open(&b->tokenizer, b->file, err);

    if (st == VBG_OK && vbg_weights_bytes(b->file, "tokenizer.merges", &merges, &bytes) &&
        !(b->merges = strndup(merges, bytes)))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
    return st;
}

static json_t *tokenizer_config(const vbg_base *b)
{
    return json_pack("{s:i,s:b}", "merges", b->merge_count, "special_pad", 0);
}

static vbg_status make_tokenizer(vbg_base *b, vbg_err *err)
{
    const char *path = vbg_value(b->v, "tokenizer");
    int merges = (int)json_integer_value(json_object_get(b->config, "merges"));
    vbg_map map = { 0 };
    vbg_status st;

    if (!path) {
        st = vbg_merges_from(&b->merges, &b->merge_count, &b->list, merges, err);
    } else {
        st = vbg_map_open(&map, path, 1 << 24, err);
        if (st == VBG_OK && map.data)
            b->merges = strndup((const char *)map.data, map.bytes);
        vbg_map_close(&map);
        if (st == VBG_OK && !b->merges)
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
        b->merge_count = -1; /* lines but the header */
        for (const char *p = b->merges; p && *p; p++)
            b->merge_count += *p == '\n';
        if (b->merge_count > merges)
            b->merge_count = merges;
    }
    if (st != VBG_OK)
        return st;
    json_object_set_new(b->config, "tokenizer", tokenizer_config(b));
    return vbg_tokenizer_open_merges(&b->tokenizer, b->merges, strlen(b->merges),
                                     b->merge_count, -1, false, err);
}

static bool declare(vbg_base *b, const char *name, vbg_layout layout, int64_t rows,
                    int64_t cols, vbg_init init, float scale)
{
    vbg_entry e = { .component = "text",
                    .name = name,
                    .layout = layout,
                    .rank = 2,
                    .dim = { rows, cols } };

    return vbg_params_take(b->loop.params, NULL, &e, init, scale) != NULL;
}

/* What the binder cannot know without a file: tables, and how many blocks there are. */
static vbg_status declare_tower(vbg_base *b, vbg_err *err)
{
    const json_t *t = json_object_get(b->config, "text");
    json_int_t width = json_integer_value(json_object_get(t, "hidden_size"));
    json_int_t mlp = json_integer_value(json_object_get(t, "intermediate_size"));
    json_int_t layers = json_integer_value(json_object_get(t, "num_hidden_layers"));
    char name[96];

    if (width < 16 || width > 4096 || mlp < 16 || mlp > 16384 || layers < 1 ||
        layers > VBG_CLIP_MAX_LAYERS || width % 16)
        return vbg_fail(err, VBG_EFORMAT,
                        "config: text tower of width %lld, %lld inside, %lld layers",
                        (long long)width, (long long)mlp, (long long)layers);
    bool ok = declare(b, "embeddings.token_embedding.weight", VBG_LAYOUT_PLAIN,
                      vbg_tokenizer_count(b->tokenizer), width, VBG_INIT_NORMAL, 0.02f) &&
              declare(b, "embeddings.position_embedding.weight", VBG_LAYOUT_PLAIN,
                      VBG_TOKENS, width, VBG_INIT_NORMAL, 0.01f);
    for (int i = 0; i < (int)layers && ok; i++) {
        snprintf(name, sizeof name, "encoder.layers.%d.mlp.fc1.weight", i);
        ok = declare(b, name, VBG_LAYOUT_PACK16, mlp, width, VBG_INIT_NORMAL,
                     1 / sqrtf((float)(2 * width)));
    }
    return ok ? VBG_OK
              : vbg_fail(err, VBG_ENOMEM, "not enough memory for the text tower");
}

static vbg_status bind_text(vbg_base *b, vbg_err *err)
{
    vbg_clip_opt opt = { .act = VBG_ACT_GELU };
    char *json = json_dumps(json_object_get(b->config, "text"), 0);
    vbg_status st = vbg_clip_opt_read(&opt, json, NULL, err);

    free(json);
    if (st == VBG_OK && !b->own_file)
        st = declare_tower(b, err);
    if (st == VBG_OK)
        st = vbg_clip_text_bind(&b->text, b->file, "text", "", opt, err);
    return st;
}

/* ---- UNet ---- */

static vbg_status bind_unet(vbg_base *b, vbg_err *err)
{
    vbg_unet_config cfg;
    char *json = json_dumps(json_object_get(b->config, "unet"), 0);
    vbg_status st = vbg_unet_config_read(&cfg, json, err);

    free(json);
    if (st == VBG_OK && cfg.context != b->text.tower.width)
        st = vbg_fail(err, VBG_EFORMAT,
                      "config: the text tower is %d wide, cross_attention_dim is %d",
                      b->text.tower.width, cfg.context);
    if (st == VBG_OK &&
        (cfg.in_channels != b->vae.cfg.latent || cfg.out_channels != b->vae.cfg.latent))
        st = vbg_fail(err, VBG_EFORMAT,
                      "the UNet has %d channels in, %d out; the latents have %d",
                      cfg.in_channels, cfg.out_channels, b->vae.cfg.latent);
    if (st == VBG_OK && b->text.vocab != vbg_tokenizer_count(b->tokenizer))
        st = vbg_fail(err, VBG_EFORMAT, "a text tower of %d words, a tokenizer of %d",
                      b->text.vocab, vbg_tokenizer_count(b->tokenizer));
    if (st == VBG_OK)
        st = vbg_unet_bind(&b->unet, &cfg, b->file, "unet", err);
    return st;
}

static vbg_status make_tables(vbg_base *b, vbg_err *err)
{
    char *json = json_dumps(json_object_get(b->config, "scheduler"), 0);
    vbg_status st = vbg_noise_schedule_read(&b->schedule, json, err);

    free(json);
    return st == VBG_OK
               ? vbg_sampler_open(&b->tables, &b->schedule, VBG_SAMPLER_DDIM, 10, 1, err)
               : st;
}

vbg_status vbg_base_model(vbg_base *b, vbg_err *err)
{
    vbg_loop *l = &b->loop;
    vbg_status st = b->own_file ? package_tokenizer(b, err) : make_tokenizer(b, err);

    if (st == VBG_OK)
        st = make_tables(b, err);
    if (st == VBG_OK)
        st = vbg_params_new(&l->params, vbg_ctx_act(l->ctx), err);
    if (st != VBG_OK)
        return st;
    vbg_params_declare(l->params, l->opt.seed);
    vbg_params_select(l->params, "text", "*", true);
    vbg_params_select(l->params, "unet", "*", true);
    vbg_params_attach(l->params, b->file);
    st = bind_text(b, err);
    if (st == VBG_OK)
        st = bind_unet(b, err);
    if (st == VBG_OK)
        st = vbg_base_aux_bind(b, err);
    if (st == VBG_OK)
        st = vbg_base_text_bind(b, err);
    if (st == VBG_OK)
        st = vbg_optim_new(&l->optim, l->params, &l->opt.optim, err);
    if (st == VBG_OK) {
        vbg_optim_group(l->optim, "text", "*", vbg_value_real(b->v, "text-lr"), -1);
        vbg_optim_group(l->optim, "text", "embeddings.*", vbg_value_real(b->v, "text-lr"),
                        0);
        vbg_params_refresh(l->params, l->ctx);
        st = vbg_tape_new(&b->tape, l->ctx, l->params, err);
    }
    return st;
}
