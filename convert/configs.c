/* The JSON configs that a single file does not carry, told from shapes: Stable Diffusion
 * 1 or 2 as their folders on the hub say it.
 *
 *   head counts   SD1: 8 everywhere; SD2 (linear projections): heads of width 64
 *   text          width 1024: OpenCLIP-H, exact GELU; else CLIP-L, QuickGELU
 *   scheduler     PNDM, scaled linear 0.00085..0.012, steps_offset 1; prediction type by
 *                 option, else by the file's name or metadata, else epsilon
 * Source: ../shared/spec/generation.md section 5. */
#define _GNU_SOURCE
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/json_text.h"
#include "convert/package.h"

enum { LEVELS = 4 };

/* dim k of a tensor, 0 when it is absent. */
static json_int_t dim_of(const vbg_package *p, const char *component, const char *name,
                         int k)
{
    const vbg_item *i = vbg_package_find(p, component, name);
    return i && k < i->rank ? (json_int_t)i->dim[k] : 0;
}

static json_int_t dim_at(const vbg_package *p, const char *component, int k,
                         const char *fmt, int level)
{
    char name[128];
    const char *hole = strchr(fmt, '#');

    snprintf(name, sizeof name, "%.*s%d%s", (int)(hole - fmt), fmt, level, hole + 1);
    return dim_of(p, component, name, k);
}

/* [dim0 of the tensor at level 0, 1, 2, 3] */
static json_t *widths(const vbg_package *p, const char *component, const char *fmt)
{
    json_t *list = json_array();

    for (int i = 0; i < LEVELS; i++)
        json_array_append_new(list, json_integer(dim_at(p, component, 0, fmt, i)));
    return list;
}

/* GroupNorm groups: 32 in every real model, fewer where a width is no multiple. */
static int groups_for(const json_t *list)
{
    int groups = 32;

    for (size_t i = 0; i < json_array_size(list); i++)
        while (groups > 1 && json_integer_value(json_array_get(list, i)) % groups)
            groups /= 2;
    return groups;
}

/* "768-v", "v-pred" and the like in the file's name or its metadata. */
static bool looks_like_v(const vbg_package *p)
{
    const vbg_source *s = p->source[0];
    const char *base = strrchr(s->path, '/');
    const char *type =
        s->files ? vbg_st_metadata(s->file[0], "modelspec.prediction_type") : NULL;

    base = base ? base + 1 : s->path;
    return strcasestr(base, "768-v") || strcasestr(base, "768v") ||
           strcasestr(base, "v-pred") || strcasestr(base, "vpred") ||
           (type && (strcmp(type, "v") == 0 || strcmp(type, "v_prediction") == 0));
}

static json_t *unet_config(const vbg_package *p)
{
    static const char conv1[] = "down_blocks.#.resnets.0.conv1.weight";
    static const char proj[] = "down_blocks.#.attentions.0.proj_in.weight";
    const vbg_item *linear =
        vbg_package_find(p, "unet", "down_blocks.0.attentions.0.proj_in.weight");
    bool sd2 = linear && linear->rank == 2;
    json_t *heads = json_array(), *down = json_array(), *up = json_array();
    json_t *width_list = widths(p, "unet", conv1);
    int groups = groups_for(width_list);

    for (int i = 0; i < LEVELS; i++) {
        json_int_t width = dim_at(p, "unet", 0, conv1, i);
        json_int_t count = sd2 && width >= 64 ? width / 64 : sd2 ? 1 : 8;
        bool cross = dim_at(p, "unet", 0, proj, i) > 0;
        json_array_append_new(heads, json_integer(count));
        json_array_append_new(
            down, json_string(cross ? "CrossAttnDownBlock2D" : "DownBlock2D"));
        json_array_insert_new(up, 0,
                              json_string(cross ? "CrossAttnUpBlock2D" : "UpBlock2D"));
    }
    /* latents the model was made for: 768 pixels for the v models */
    int sample = looks_like_v(p) ? 96 : 64;
    return json_pack(
        "{s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:i,s:i,s:f,s:b,s:i}", "_class_name",
        "UNet2DConditionModel", "attention_head_dim", heads, "block_out_channels",
        width_list, "down_block_types", down, "up_block_types", up, "cross_attention_dim",
        dim_of(p, "unet", "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
               1),
        "in_channels", dim_of(p, "unet", "conv_in.weight", 1), "out_channels",
        dim_of(p, "unet", "conv_out.weight", 0), "layers_per_block", 2, "norm_num_groups",
        groups, "norm_eps", 1e-5, "use_linear_projection", (int)sd2, "sample_size",
        sample);
}

static json_t *vae_config(const vbg_package *p)
{
    static const char down[] = "encoder.down_blocks.#.resnets.0.conv1.weight";
    static const char up[] = "decoder.up_blocks.#.resnets.0.conv1.weight";
    json_t *list = json_array();

    for (int i = 0; i < LEVELS; i++) { /* a decoder alone has the widths backwards */
        json_int_t width = dim_at(p, "vae", 0, down, i);
        json_array_append_new(
            list, json_integer(width ? width : dim_at(p, "vae", 0, up, LEVELS - 1 - i)));
    }
    int groups = groups_for(list);

    return json_pack("{s:s,s:o,s:I,s:I,s:i,s:i,s:f}", "_class_name", "AutoencoderKL",
                     "block_out_channels", list, "in_channels",
                     dim_of(p, "vae", "encoder.conv_in.weight", 1), "latent_channels",
                     dim_of(p, "vae", "decoder.conv_in.weight", 1), "layers_per_block", 2,
                     "norm_num_groups", groups, "scaling_factor", 0.18215);
}

static json_t *text_config(const vbg_package *p)
{
    static const char token[] = "embeddings.token_embedding.weight";
    json_int_t width = dim_of(p, "text", token, 1);
    int layers = 0;

    while (dim_at(p, "text", 0, "encoder.layers.#.mlp.fc1.weight", layers) > 0)
        layers++;
    return json_pack("{s:s,s:I,s:I,s:I,s:i,s:s,s:I,s:I,s:f}", "model_type",
                     "clip_text_model", "hidden_size", width, "intermediate_size",
                     dim_of(p, "text", "encoder.layers.0.mlp.fc1.weight", 0),
                     "num_attention_heads", width >= 64 ? width / 64 : 1,
                     "num_hidden_layers", layers, "hidden_act",
                     width == 1024 || p->openclip ? "gelu" : "quick_gelu", "vocab_size",
                     dim_of(p, "text", token, 0), "max_position_embeddings",
                     dim_of(p, "text", "embeddings.position_embedding.weight", 0),
                     "layer_norm_eps", 1e-5);
}

/* Distilled models ("turbo" in the name) are made for Euler steps from the very end. */
static json_t *scheduler_config(const vbg_package *p)
{
    const char *base = strrchr(p->source[0]->path, '/');
    bool turbo = strcasestr(base ? base + 1 : p->source[0]->path, "turbo") != NULL;

    return json_pack("{s:s,s:s,s:f,s:f,s:s,s:b,s:i,s:s,s:b,s:b,s:i}", "_class_name",
                     turbo ? "EulerDiscreteScheduler" : "PNDMScheduler",
                     "timestep_spacing", turbo ? "trailing" : "leading", "beta_start",
                     0.00085, "beta_end", 0.012, "beta_schedule", "scaled_linear",
                     "clip_sample", 0, "num_train_timesteps", 1000, "prediction_type",
                     looks_like_v(p) ? "v_prediction" : "epsilon", "set_alpha_to_one", 0,
                     "skip_prk_steps", 1, "steps_offset", 1);
}

/* Stores j as text in *out when that is empty; j is consumed. */
static vbg_status fill(char **out, json_t *j, vbg_err *err)
{
    if (!*out)
        *out = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(9))
                 : NULL;
    json_decref(j);
    return *out ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "out of memory");
}

/* Puts the option's prediction type over that of the scheduler. */
static vbg_status set_prediction(vbg_package *p, const char *type, vbg_err *err)
{
    const char *cause;
    json_t *j =
        vbg_json_parse(p->texts.scheduler, strlen(p->texts.scheduler), 32, 65536, &cause);

    if (!j)
        return vbg_fail(err, VBG_EFORMAT, "%s: scheduler config: %s", p->source[0]->path,
                        cause);
    json_object_set_new(j, "prediction_type", json_string(type));
    free(p->texts.scheduler);
    p->texts.scheduler = NULL;
    return fill(&p->texts.scheduler, j, err);
}

vbg_status vbg_package_configs(vbg_package *p, const vbg_package_opt *opt, vbg_err *err)
{
    vbg_status st = VBG_OK;
    vbg_source_texts *t = &p->texts;

    if (vbg_package_has(p, "unet") && !t->unet)
        st = fill(&t->unet, unet_config(p), err);
    if (st == VBG_OK && vbg_package_has(p, "vae") && !t->vae)
        st = fill(&t->vae, vae_config(p), err);
    if (st == VBG_OK && vbg_package_has(p, "text") && !t->text)
        st = fill(&t->text, text_config(p), err);
    if (st == VBG_OK && !t->scheduler)
        st = fill(&t->scheduler, scheduler_config(p), err);
    if (st == VBG_OK && opt->prediction)
        st = set_prediction(p, opt->prediction, err);
    if (st == VBG_OK && !t->tokenizer) {
        bool sd2 = dim_of(p, "unet",
                          "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
                          1) != 768;
        t->tokenizer = strdup(sd2 ? "{\"pad_token_id\":0,\"special_pad\":true}"
                                  : "{\"pad_token_id\":49407,\"special_pad\":false}");
        if (!t->tokenizer)
            st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    return st;
}
