/* Tables from OpenCLIP's words to Hugging Face's; see the header. */
#include "convert/clip_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct word {
    const char *from, *to;
    vbg_clip_change change;
} word;

static const word text_words[] = {
    { "token_embedding.weight", "embeddings.token_embedding.weight", VBG_CLIP_COPY },
    { "positional_embedding", "embeddings.position_embedding.weight", VBG_CLIP_COPY },
    { "ln_final.weight", "final_layer_norm.weight", VBG_CLIP_COPY },
    { "ln_final.bias", "final_layer_norm.bias", VBG_CLIP_COPY },
    { "text_projection", "text_projection.weight", VBG_CLIP_TRANSPOSE },
    { "logit_scale", "logit_scale", VBG_CLIP_COPY },
    { "attn_mask", "", VBG_CLIP_LEAVE_OUT },
};

static const word vision_words[] = {
    { "class_embedding", "embeddings.class_embedding", VBG_CLIP_COPY },
    { "positional_embedding", "embeddings.position_embedding.weight", VBG_CLIP_COPY },
    { "conv1.weight", "embeddings.patch_embedding.weight", VBG_CLIP_COPY },
    { "ln_pre.weight", "pre_layrnorm.weight", VBG_CLIP_COPY },
    { "ln_pre.bias", "pre_layrnorm.bias", VBG_CLIP_COPY },
    { "ln_post.weight", "post_layernorm.weight", VBG_CLIP_COPY },
    { "ln_post.bias", "post_layernorm.bias", VBG_CLIP_COPY },
    { "proj", "visual_projection.weight", VBG_CLIP_TRANSPOSE },
};

static const word block_words[] = {
    { "ln_1.weight", "layer_norm1.weight", VBG_CLIP_COPY },
    { "ln_1.bias", "layer_norm1.bias", VBG_CLIP_COPY },
    { "ln_2.weight", "layer_norm2.weight", VBG_CLIP_COPY },
    { "ln_2.bias", "layer_norm2.bias", VBG_CLIP_COPY },
    { "attn.in_proj_weight", "weight", VBG_CLIP_SPLIT3 },
    { "attn.in_proj_bias", "bias", VBG_CLIP_SPLIT3 },
    { "attn.out_proj.weight", "self_attn.out_proj.weight", VBG_CLIP_COPY },
    { "attn.out_proj.bias", "self_attn.out_proj.bias", VBG_CLIP_COPY },
    { "mlp.c_fc.weight", "mlp.fc1.weight", VBG_CLIP_COPY },
    { "mlp.c_fc.bias", "mlp.fc1.bias", VBG_CLIP_COPY },
    { "mlp.c_proj.weight", "mlp.fc2.weight", VBG_CLIP_COPY },
    { "mlp.c_proj.bias", "mlp.fc2.bias", VBG_CLIP_COPY },
};

static const word *find(const word *w, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(w[i].from, name) == 0)
            return &w[i];
    return NULL;
}

/* The rest behind prefix, or NULL. */
static const char *behind(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

/* "12.rest": the number (at most three digits) and the rest, or NULL. */
static const char *number(const char *s, int *value)
{
    int n = 0, digits = 0;

    for (; *s >= '0' && *s <= '9' && digits < 3; s++, digits++)
        n = 10 * n + (*s - '0');
    if (digits == 0 || *s != '.')
        return NULL;
    *value = n;
    return s + 1;
}

bool vbg_clip_openclip_name(vbg_clip_rename *out, const char *name)
{
    const char *inner = behind(name, "visual.");
    const word *w;

    *out = (vbg_clip_rename){ .vision = inner != NULL, .layer = -1 };
    if (inner)
        name = inner;
    const char *rest = behind(name, "transformer.resblocks.");
    if (rest) {
        rest = number(rest, &out->layer);
        w = rest ? find(block_words, sizeof block_words / sizeof *block_words, rest)
                 : NULL;
    } else if (out->vision) {
        w = find(vision_words, sizeof vision_words / sizeof *vision_words, name);
    } else {
        w = find(text_words, sizeof text_words / sizeof *text_words, name);
    }
    if (!w)
        return false;
    out->change = w->change;
    if (w->change == VBG_CLIP_SPLIT3)
        for (int i = 0; i < 3; i++)
            snprintf(out->name[i], sizeof out->name[i],
                     "encoder.layers.%d.self_attn.%c_proj.%s", out->layer, "qkv"[i],
                     w -> to);
    else if (out->layer >= 0)
        snprintf(out->name[0], sizeof out->name[0], "encoder.layers.%d.%s", out->layer,
                 w->to);
    else
        snprintf(out->name[0], sizeof out->name[0], "%s", w->to);
    return true;
}

bool vbg_clip_hf_name(vbg_clip_rename *out, const char *name)
{
    const char *text = behind(name, "text_model."),
               *image = behind(name, "vision_model.");
    const char *rest = text ? text : image;

    *out = (vbg_clip_rename){ .layer = -1 };
    if (strcmp(name, "visual_projection.weight") == 0)
        out->vision = true;
    else if (strcmp(name, "text_projection.weight") != 0 &&
             strcmp(name, "logit_scale") != 0 && !rest)
        return false;
    if (image)
        out->vision = true;
    if (rest) {
        const char *layer = behind(rest, "encoder.layers.");
        if (layer)
            number(layer, &out->layer);
        name = rest;
    }
    if (strcmp(name, "embeddings.position_ids") == 0)
        out->change = VBG_CLIP_LEAVE_OUT;
    if (strlen(name) >= sizeof out->name[0])
        return false;
    snprintf(out->name[0], sizeof out->name[0], "%s", name);
    return true;
}
