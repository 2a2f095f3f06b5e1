/* One tensor name of any supported layout to its component and canonical name. */
#include "convert/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/clip_names.h"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static vbg_name_fate mapped(vbg_mapped *out, const char *component, const char *name)
{
    out->component = component;
    return (size_t)snprintf(out->name, sizeof out->name, "%s", name) < sizeof out->name
               ? VBG_NAME_MAPPED
               : VBG_NAME_UNKNOWN;
}

/* A diffusers VAE name with either attention spelling. */
static vbg_name_fate vae_name(vbg_mapped *out, const char *name)
{
    static const struct {
        const char *old, *spelling;
    } attention[] = {
        { "query.", "to_q." },
        { "key.", "to_k." },
        { "value.", "to_v." },
        { "proj_attn.", "to_out.0." },
    };
    const char *at = strstr(name, ".attentions.0.");

    if (!vbg_after(name, "encoder.") && !vbg_after(name, "decoder.") &&
        !vbg_after(name, "quant_conv.") && !vbg_after(name, "post_quant_conv."))
        return VBG_NAME_UNKNOWN;
    if (!at)
        return mapped(out, "vae", name);
    at += strlen(".attentions.0.");
    out->change = VBG_CHANGE_SQUEEZE;
    for (size_t i = 0; i < sizeof attention / sizeof *attention; i++) {
        const char *tail = vbg_after(at, attention[i].old);
        if (!tail)
            continue;
        out->component = "vae";
        return (size_t)snprintf(out->name, sizeof out->name, "%.*s%s%s", (int)(at - name),
                                name, attention[i].spelling, tail) < sizeof out->name
                   ? VBG_NAME_MAPPED
                   : VBG_NAME_UNKNOWN;
    }
    return mapped(out, "vae", name);
}

static vbg_name_fate from_clip(vbg_mapped *out, const vbg_clip_rename *r, bool openclip)
{
    out->component = r->vision ? "vision" : "text";
    out->openclip_layer = openclip && !r->vision ? r->layer : -1;
    snprintf(out->name, sizeof out->name, "%s", r->name[0]);
    switch (r->change) {
    case VBG_CLIP_LEAVE_OUT:
        return VBG_NAME_IGNORED;
    case VBG_CLIP_SPLIT3:
        out->change = VBG_CHANGE_SPLIT3;
        snprintf(out->name2, sizeof out->name2, "%s", r->name[1]);
        snprintf(out->name3, sizeof out->name3, "%s", r->name[2]);
        break;
    case VBG_CLIP_TRANSPOSE:
        out->change = VBG_CHANGE_TRANSPOSE;
        break;
    case VBG_CLIP_COPY:
        break;
    }
    return VBG_NAME_MAPPED;
}

/* The text tower of a Stable Diffusion model in Hugging Face names, with or without
 * text_model.; the projection is not used there. */
static vbg_name_fate sd_text_hf(vbg_mapped *out, const char *name)
{
    char full[1100];
    vbg_clip_rename r;

    if (vbg_after(name, "text_projection") || ends_with(name, "logit_scale"))
        return VBG_NAME_IGNORED;
    snprintf(full, sizeof full, "%s%s",
             vbg_after(name, "text_model.") ? "" : "text_model.", name);
    return vbg_clip_hf_name(&r, full) && !r.vision ? from_clip(out, &r, false)
                                                   : VBG_NAME_UNKNOWN;
}

static vbg_name_fate sd_text_openclip(vbg_mapped *out, const char *name)
{
    vbg_clip_rename r;

    if (strcmp(name, "text_projection") == 0 || strcmp(name, "logit_scale") == 0 ||
        vbg_after(name, "visual."))
        return VBG_NAME_IGNORED;
    return vbg_clip_openclip_name(&r, name) && !r.vision ? from_clip(out, &r, true)
                                                         : VBG_NAME_UNKNOWN;
}

/* CAA names behind mv_base_model.; DVB's spelling is accepted too. */
static vbg_name_fate caa_name(vbg_mapped *out, const char *name)
{
    static const struct {
        const char *from, *to;
    } alias[] = {
        { "cp_blocks_encoder.cp_blocks.", "cp_blocks_encoder." },
        { "cp_blocks_decoder.cp_blocks.", "cp_blocks_decoder." },
        { "transformer.attn.query_projection.", "transformer.attn1.to_q." },
        { "transformer.attn.key_projection.", "transformer.attn1.to_k." },
        { "transformer.attn.value_projection.", "transformer.attn1.to_v." },
        { "transformer.attn.output_projection.", "transformer.attn1.to_out." },
        { "transformer.layer_norm", "transformer.norm" },
        { "positional_embedding.frequency_bands", "pe.freq_bands" },
    };
    char text[1040], next[1040];

    if (!vbg_after(name, "cp_blocks_") || strlen(name) >= sizeof text - 64)
        return VBG_NAME_UNKNOWN;
    snprintf(text, sizeof text, "%s", name);
    for (size_t i = 0; i < sizeof alias / sizeof *alias; i++) {
        char *at = strstr(text, alias[i].from);
        if (!at)
            continue;
        snprintf(next, sizeof next, "%.*s%.64s%.900s", (int)(at - text), text,
                 alias[i].to, at + strlen(alias[i].from));
        memcpy(text, next, sizeof text);
    }
    return mapped(out, "caa", text);
}

/* What every single file may carry along without use. */
static bool ignored_everywhere(const char *name)
{
    static const char *const prefixes[] = {
        "model_ema.",
        "alphas_cumprod",
        "sqrt_",
        "log_one_minus_",
        "posterior_",
        "denoiser.",
        "first_stage_model.loss.",
        "embedding_manager",
        "lvlb_weights",
        "scale_factor",
        "model_ema_",
        "conditioner.embedders.0.model.visual.",
        "safety_checker.",
        "ddconfig",
    };
    static const char *const names[] = { "betas", "logvar", "global_step", "epoch" };

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (vbg_after(name, prefixes[i]))
            return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return ends_with(name, ".position_ids") || ends_with(name, ".num_batches_tracked");
}

/* Files with prefixes: ldm, MVDiffusion, and trainers that put diffusers names behind
 * unet. vae. te. */
static vbg_name_fate prefixed_name(vbg_mapped *out, const char *name)
{
    const char *r;

    if ((r = vbg_after(name, "state_dict.")))
        name = r;
    if (ignored_everywhere(name))
        return VBG_NAME_IGNORED;
    if ((r = vbg_after(name, "model.diffusion_model."))) {
        out->component = "unet";
        return vbg_ldm_unet_name(out->name, sizeof out->name, r) ? VBG_NAME_MAPPED
                                                                 : VBG_NAME_UNKNOWN;
    }
    if ((r = vbg_after(name, "first_stage_model."))) {
        out->component = "vae";
        if (!vbg_ldm_vae_name(out->name, sizeof out->name, r))
            return VBG_NAME_UNKNOWN;
        if (strstr(out->name, ".attentions.0."))
            out->change = VBG_CHANGE_SQUEEZE;
        return VBG_NAME_MAPPED;
    }
    if ((r = vbg_after(name, "cond_stage_model.model.")) ||
        (r = vbg_after(name, "conditioner.embedders.0.model.")))
        return sd_text_openclip(out, r);
    if ((r = vbg_after(name, "cond_stage_model.transformer.")) ||
        (r = vbg_after(name, "conditioner.embedders.0.transformer.")) ||
        (r = vbg_after(name, "text_encoder.")) || (r = vbg_after(name, "te.")))
        return sd_text_hf(out, r);
    if ((r = vbg_after(name, "mv_base_model.unet.")) ||
        (r = vbg_after(name, "mv_base_model.unet_model.")) ||
        (r = vbg_after(name, "unet.")))
        return mapped(out, "unet", r);
    if ((r = vbg_after(name, "mv_base_model.")))
        return caa_name(out, r);
    if ((r = vbg_after(name, "vae.")))
        return vae_name(out, r);
    return caa_name(out, name);
}

/* encoder.layers.N -> encoder.N; decoder.layers.N -> decoder.(N+1): the clamp in front
 * is a module of its own in the original only. */
static vbg_name_fate taesd_tiny_name(vbg_mapped *out, const char *name)
{
    const char *r = vbg_after(name, "encoder.layers.");
    bool encoder = r != NULL;
    char text[160];

    if (!r && !(r = vbg_after(name, "decoder.layers.")))
        return VBG_NAME_UNKNOWN;
    char *end;
    long n = strtol(r, &end, 10);
    if (end == r || *end != '.' || n < 0 || n > 99 || strlen(end) > 100)
        return VBG_NAME_UNKNOWN;
    snprintf(text, sizeof text, "%s.%ld%.100s", encoder ? "encoder" : "decoder",
             n + !encoder, end);
    return mapped(out, "taesd", text);
}

static vbg_name_fate clip_name(vbg_mapped *out, const char *name, bool openclip)
{
    vbg_clip_rename r;

    if (!(openclip ? vbg_clip_openclip_name(&r, name) : vbg_clip_hf_name(&r, name)))
        return VBG_NAME_UNKNOWN;
    if (strcmp(r.name[0], "logit_scale") == 0)
        return VBG_NAME_IGNORED;
    return from_clip(out, &r, false);
}

vbg_name_fate vbg_map_name(vbg_mapped *out, vbg_naming naming, const char *part,
                           const char *name)
{
    const char *r;

    *out =
        (vbg_mapped){ .component = "", .change = VBG_CHANGE_COPY, .openclip_layer = -1 };
    if (naming == VBG_NAMING_FOLDER) {
        naming = strcmp(part, "unet") == 0  ? VBG_NAMING_UNET
                 : strcmp(part, "vae") == 0 ? VBG_NAMING_VAE
                                            : VBG_NAMING_FOLDER;
        if (naming == VBG_NAMING_FOLDER)
            return sd_text_hf(out, name);
    }
    switch (naming) {
    case VBG_NAMING_PREFIXED:
        return prefixed_name(out, name);
    case VBG_NAMING_UNET:
        return mapped(out, "unet", name);
    case VBG_NAMING_VAE:
        return vae_name(out, name);
    case VBG_NAMING_CAA:
        r = vbg_after(name, "mv_base_model.");
        return caa_name(out, r ? r : name);
    case VBG_NAMING_TAESD:
        return vbg_after(name, "encoder.") || vbg_after(name, "decoder.")
                   ? mapped(out, "taesd", name)
                   : VBG_NAME_UNKNOWN;
    case VBG_NAMING_TAESD_TINY:
        return taesd_tiny_name(out, name);
    case VBG_NAMING_CLIP:
        return clip_name(out, name, false);
    case VBG_NAMING_OPENCLIP:
        return clip_name(out, name, true);
    case VBG_NAMING_SEGMENTER:
        return ends_with(name, ".num_batches_tracked") ? VBG_NAME_IGNORED
                                                       : mapped(out, "segmenter", name);
    default:
        return VBG_NAME_UNKNOWN;
    }
}
