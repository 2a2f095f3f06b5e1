/* Binds the networks of generation packages for a check. */
#include "models/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/caa.h"
#include "models/clip.h"
#include "models/taesd.h"
#include "models/unet.h"
#include "models/vae.h"

/* Everything a package may bind; too large for the stack. */
typedef struct networks {
    vbg_unet unet;
    vbg_vae vae;
    vbg_taesd taesd;
    vbg_clip_text text;
    vbg_clip_image image;
} networks;

static vbg_status no_config(const char *what, vbg_err *err)
{
    return vbg_fail(err, VBG_EFORMAT, "the package has no %s.config", what);
}

static vbg_status check_unet(networks *n, const vbg_weights *w, vbg_err *err)
{
    vbg_unet_config cfg;
    const char *json;

    if (!vbg_weights_string(w, "unet.config", &json))
        return no_config("unet", err);
    vbg_status st = vbg_unet_config_read(&cfg, json, err);
    return st == VBG_OK ? vbg_unet_bind(&n->unet, &cfg, w, "unet", err) : st;
}

static vbg_status check_vae(networks *n, const vbg_weights *w, vbg_err *err)
{
    vbg_vae_config cfg;
    const char *json;

    if (!vbg_weights_string(w, "vae.config", &json))
        return no_config("vae", err);
    vbg_status st = vbg_vae_config_read(&cfg, json, err);
    return st == VBG_OK ? vbg_vae_bind(&n->vae, &cfg, w, "vae", err) : st;
}

/* One block per place of the UNet where views are coupled; without a UNet beside them
 * their widths are unknown and nothing is checked. */
static vbg_status check_caa(const vbg_weights *w, vbg_err *err)
{
    vbg_unet_config cfg;
    vbg_caa_block block;
    const char *json;
    char prefix[64];
    vbg_bind b;

    if (!vbg_weights_string(w, "unet.config", &json))
        return VBG_OK;
    vbg_status st = vbg_unet_config_read(&cfg, json, err);
    if (st != VBG_OK)
        return st;
    vbg_bind_start(&b, w, "caa");
    for (int i = 0; i < cfg.levels; i++) {
        snprintf(prefix, sizeof prefix, "cp_blocks_encoder.%d.", i);
        vbg_caa_bind(&b, &block, cfg.width[i], prefix);
        snprintf(prefix, sizeof prefix, "cp_blocks_decoder.%d.", i);
        vbg_caa_bind(&b, &block, cfg.width[cfg.levels - 1 - i], prefix);
    }
    vbg_caa_bind(&b, &block, cfg.width[cfg.levels - 1], "cp_blocks_mid.");
    return vbg_bind_finish(&b, err);
}

/* The first problem of each component, joined. */
static void join(vbg_status *st, vbg_err *err, vbg_status one, const vbg_err *text)
{
    vbg_err both = { "" };

    if (one == VBG_OK)
        return;
    if (*st == VBG_OK) {
        vbg_fail(err, one, "%s", text->text);
    } else {
        vbg_fail(&both, one, "%.500s; %.500s", err->text, text->text);
        *err = both;
    }
    *st = one;
}

static vbg_status check_sd(networks *n, const vbg_weights *w, vbg_err *err)
{
    vbg_status st = VBG_OK;
    vbg_err e = { "" };

    if (vbg_weights_has_component(w, "unet"))
        join(&st, err, check_unet(n, w, &e), &e);
    e = (vbg_err){ "" };
    if (vbg_weights_has_component(w, "vae"))
        join(&st, err, check_vae(n, w, &e), &e);
    e = (vbg_err){ "" };
    if (vbg_weights_has_component(w, "text"))
        join(&st, err, vbg_clip_text_open(&n->text, w, &e), &e);
    e = (vbg_err){ "" };
    if (vbg_weights_has_component(w, "caa"))
        join(&st, err, check_caa(w, &e), &e);
    return st;
}

/* A whole CLIP model or its text tower; head counts do not matter here. */
static vbg_status check_clip(networks *n, const vbg_weights *w, vbg_err *err)
{
    vbg_clip_opt opt = { .act = VBG_ACT_QUICK_GELU };
    vbg_status st = VBG_OK;

    if (vbg_weights_has_component(w, "text"))
        st = vbg_clip_text_bind(&n->text, w, "text", "", opt, err);
    if (st == VBG_OK && vbg_weights_has_component(w, "vision"))
        st = vbg_clip_image_bind(&n->image, w, "vision", "", "visual_projection", opt,
                                 err);
    return st;
}

vbg_status vbg_check_diffusion(const vbg_weights *w, const char *arch, bool *known,
                               vbg_err *err)
{
    networks *n = calloc(1, sizeof *n);
    vbg_status st = VBG_OK;

    *known = true;
    if (!n)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (strcmp(arch, "sd") == 0)
        st = check_sd(n, w, err);
    else if (strcmp(arch, "taesd") == 0)
        st = vbg_taesd_bind(&n->taesd, w, "taesd", err);
    else if (strcmp(arch, "clip") == 0)
        st = check_clip(n, w, err);
    else
        *known = false;
    free(n);
    return st;
}
