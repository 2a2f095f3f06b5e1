/* Opening a package, and checking and planning requests; see models/generate.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/generate_internal.h"
#include "models/known_words.h"

/* ---- opening ---- */

static const char *config(const vbg_generator *g, const char *key)
{
    const char *text = NULL;

    return vbg_weights_string(g->file, key, &text) ? text : "";
}

static vbg_status check_kind(const vbg_generator *g, const char *path, vbg_err *err)
{
    const char *arch = config(g, "model.arch");

    if (strcmp(arch, "sd") != 0)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: a model of kind \"%s\" cannot generate pictures; a Stable "
                        "Diffusion package is needed",
                        path, *arch ? arch : "unknown");
    if (!vbg_weights_has_component(g->file, "unet"))
        return vbg_fail(err, VBG_EFORMAT, "%s: the package has no UNet", path);
    if (!vbg_weights_has_component(g->file, "text"))
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: the package has no text tower; convert the whole model "
                        "folder",
                        path);
    return VBG_OK;
}

/* Channels of a latent. */
static int latent_of(const vbg_generator *g)
{
    return g->m.unet.cfg.out_channels;
}

static vbg_status bind_decoders(vbg_generator *g, const char *path, vbg_err *err)
{
    vbg_vae_config cfg;
    vbg_status st = VBG_OK;

    if (vbg_weights_has_component(g->file, "vae")) {
        g->has_vae = true;
        st = vbg_vae_config_read(&cfg, config(g, "vae.config"), err);
        if (st == VBG_OK)
            st = vbg_vae_bind(&g->vae, &cfg, g->file, "vae", err);
        if (st == VBG_OK && cfg.latent != latent_of(g))
            st = vbg_fail(err, VBG_EFORMAT,
                          "%s: the VAE has %d latent channels, the UNet makes %d", path,
                          cfg.latent, latent_of(g));
    }
    if (st == VBG_OK && vbg_weights_has_component(g->file, "taesd")) {
        st = vbg_taesd_bind(&g->tiny, g->file, "taesd", err);
        g->has_tiny = g->tiny.has_decoder && latent_of(g) == 4;
    }
    if (st == VBG_OK && !g->has_vae && !g->has_tiny)
        st = vbg_fail(err, VBG_EFORMAT, "%s: the package has no VAE and no tiny decoder",
                      path);
    return st;
}

static vbg_status bind_all(vbg_generator *g, const char *path, vbg_err *err)
{
    vbg_unet_config cfg;

    vbg_status st = check_kind(g, path, err);
    if (st == VBG_OK)
        st = vbg_unet_config_read(&cfg, config(g, "unet.config"), err);
    if (st == VBG_OK)
        st = vbg_mvunet_bind(&g->m, &cfg, g->file, "unet", "caa", err);
    if (st == VBG_OK && cfg.in_channels != cfg.out_channels &&
        cfg.in_channels != 2 * cfg.out_channels + 1)
        st = vbg_fail(err, VBG_EUNSUPPORTED,
                      "%s: a UNet with %d input and %d output "
                      "channels",
                      path, cfg.in_channels, cfg.out_channels);
    if (st == VBG_OK)
        st = vbg_clip_text_open(&g->text, g->file, err);
    if (st == VBG_OK && g->text.tower.width != cfg.context)
        st = vbg_fail(err, VBG_EFORMAT,
                      "%s: the text tower is %d wide, the UNet expects %d", path,
                      g->text.tower.width, cfg.context);
    if (st == VBG_OK)
        st = vbg_tokenizer_open(&g->tokenizer, g->file, err);
    if (st == VBG_OK)
        st = bind_decoders(g, path, err);
    if (st == VBG_OK)
        st = vbg_noise_schedule_read(&g->schedule, config(g, "scheduler.config"), err);
    return st;
}

/* The package's own name, else the file's. */
static void set_name(vbg_generator *g, const char *path)
{
    const char *name = config(g, "model.name"), *slash = strrchr(path, '/');

    snprintf(g->name, sizeof g->name, "%s", *name ? name : slash ? slash + 1 : path);
    size_t n = strlen(g->name);
    if (!*name && n > 4 && strcmp(g->name + n - 4, ".vbg") == 0)
        g->name[n - 4] = 0;
}

vbg_status vbg_generator_open(vbg_generator **out, const char *path,
                              const vbg_ctx_opt *opt, vbg_err *err)
{
    vbg_generator *g = calloc(1, sizeof *g);

    if (!g)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory");
    vbg_status st = vbg_weights_open(&g->file, path, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&g->c, opt, err);
    if (st == VBG_OK)
        st = bind_all(g, path, err);
    if (st == VBG_OK && !(g->pool = vbg_pool_new()))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
    if (st == VBG_OK)
        st = vbg_unet_prepare(&g->m.unet, g->c, g->pool, err);
    if (st == VBG_OK && g->has_vae)
        st = vbg_vae_prepare(&g->vae, g->c, g->pool, err);
    if (st == VBG_OK) {
        g->isa = vbg_ctx_kernels(g->c)->isa;
        for (size_t i = 0; i < vbg_weights_count(g->file); i++)
            g->weight_bytes += vbg_weights_at(g->file, i)->bytes;
        set_name(g, path);
        *out = g;
        g = NULL;
    }
    vbg_generator_close(g);
    return st;
}

void vbg_generator_close(vbg_generator *g)
{
    if (!g)
        return;
    vbg_rig_close(g->rig);
    vbg_tokenizer_close(g->tokenizer);
    vbg_pool_free(g->pool);
    vbg_ctx_free(g->c);
    vbg_weights_close(g->file);
    free(g);
}

static int factor_of(const vbg_generator *g)
{
    return g->has_vae ? vbg_vae_up(&g->vae.cfg) : 8;
}

void vbg_generator_get_info(const vbg_generator *g, vbg_generator_info *info)
{
    *info = (vbg_generator_info){ .name = g->name,
                                  .hash = config(g, "model.hash"),
                                  .about = config(g, "model.about"),
                                  .has_caa = g->m.places > 0,
                                  .has_vae = g->has_vae,
                                  .in_channels = g->m.unet.cfg.in_channels,
                                  .latent_channels = latent_of(g),
                                  .factor = factor_of(g),
                                  .schedule = g->schedule,
                                  .isa = g->isa,
                                  .compute = vbg_ctx_act(g->c),
                                  .threads = vbg_ctx_threads(g->c) };
    info->default_side = g->m.unet.cfg.sample_size * info->factor;
}

int vbg_generator_unknown_words(const vbg_generator *g, const char *prompt, char *out,
                                size_t size)
{
    const char *list = config(g, "model.words");

    *out = 0;
    return *list ? vbg_unknown_words(list, prompt, out, size) : 0;
}

int vbg_generator_tokens_cut(const vbg_generator *g, const char *prompt)
{
    ptrdiff_t n = vbg_tokenizer_encode(g->tokenizer, prompt, strlen(prompt), NULL, 0);

    return n > VBG_TOKENS - 2 ? (int)(n - (VBG_TOKENS - 2)) : 0;
}

/* ---- checking ---- */

vbg_gen_request vbg_gen_request_default(void)
{
    return (vbg_gen_request){ .views = 8,
                              .prompts = 1,
                              .steps = 20,
                              .guidance = VBG_GEN_MODEL,
                              .seed = 42,
                              .hfov_deg = 90 };
}

static vbg_status check_prompt(const char *what, const char *s, bool blank_is_fine,
                               vbg_err *err)
{
    size_t n = s ? strlen(s) : 0;

    if (!s)
        return vbg_fail(err, VBG_EUSAGE, "%s: missing", what);
    if (n > VBG_PROMPT_MAX_BYTES)
        return vbg_fail(err, VBG_ELIMIT, "%s: longer than %d bytes", what,
                        VBG_PROMPT_MAX_BYTES);
    if (!vbg_utf8_valid(s, n))
        return vbg_fail(err, VBG_EUSAGE, "%s: not valid UTF-8", what);
    if (!blank_is_fine && strspn(s, " \t\r\n\v\f") == n)
        return vbg_fail(err, VBG_EUSAGE, "%s: empty, describe what to show", what);
    return VBG_OK;
}

static vbg_status check_texts(const vbg_gen_request *r, vbg_err *err)
{
    vbg_status st = VBG_OK;
    char what[32];

    if (!r->prompt || (r->prompts != 1 && r->prompts != r->views))
        return vbg_fail(err, VBG_EUSAGE,
                        "%d prompts for %d views: give one, or one for "
                        "each view",
                        r->prompt ? r->prompts : 0, r->views);
    for (int i = 0; i < r->prompts && st == VBG_OK; i++) {
        snprintf(what, sizeof what, r->prompts > 1 ? "prompt %d" : "prompt", i + 1);
        st = check_prompt(what, r->prompt[i], false, err);
    }
    if (st == VBG_OK && r->negative)
        st = check_prompt("negative prompt", r->negative, true, err);
    return st;
}

static vbg_status check_size(const vbg_generator *g, vbg_gen_task *t, vbg_err *err)
{
    const vbg_gen_request *r = t->r;
    const int side = g->m.unet.cfg.sample_size * t->factor;
    int w = r->width, h = r->height;

    if (r->latents && r->latent_c != t->latent)
        return vbg_fail(err, VBG_EUSAGE, "latents of %d channels, the model's have %d",
                        r->latent_c, t->latent);
    if (r->latents) {
        if ((w && w != r->latent_w * t->factor) || (h && h != r->latent_h * t->factor))
            return vbg_fail(err, VBG_EUSAGE, "size %dx%d contradicts latents of %dx%d", w,
                            h, r->latent_w, r->latent_h);
        w = r->latent_w * t->factor;
        h = r->latent_h * t->factor;
    }
    w = w ? w : h ? h : side;
    h = h ? h : w;
    if (w % t->factor || h % t->factor || w < VBG_GEN_MIN_SIDE || h < VBG_GEN_MIN_SIDE ||
        w > VBG_GEN_MAX_SIDE || h > VBG_GEN_MAX_SIDE)
        return vbg_fail(err, VBG_EUSAGE,
                        "size %dx%d: sides are multiples of %d from %d to %d", w, h,
                        t->factor, VBG_GEN_MIN_SIDE, VBG_GEN_MAX_SIDE);
    if (t->coupled && w != h)
        return vbg_fail(err, VBG_EUSAGE, "size %dx%d: views of a panorama are square", w,
                        h);
    t->lw = w / t->factor;
    t->lh = h / t->factor;
    const size_t count =
        (size_t)t->views * (size_t)t->latent * (size_t)t->lw * (size_t)t->lh;
    for (size_t i = 0; r->latents && i < count; i++)
        if (!isfinite(r->latents[i]))
            return vbg_fail(err, VBG_EUSAGE, "the starting latents are not finite");
    return VBG_OK;
}

/* Prompts of the batch: the negative half first when guided. */
static void deal_prompts(vbg_gen_task *t)
{
    t->texts = t->r->prompts + t->guided;
    for (int i = 0; i < t->batch; i++) {
        int view = i % t->views;
        bool negative = t->guided && i < t->views;
        t->pick[i] = negative ? 0 : t->guided + (t->r->prompts > 1 ? view : 0);
    }
}

static vbg_status set_cameras(vbg_gen_task *t, vbg_err *err)
{
    const vbg_gen_request *r = t->r;

    if (!(r->hfov_deg >= 20 && r->hfov_deg <= 150))
        return vbg_fail(err, VBG_EUSAGE, "field of view %g: between 20 and 150 degrees",
                        r->hfov_deg);
    for (int i = 0; i < t->views; i++) {
        double yaw = r->yaw_deg ? r->yaw_deg[i] : 360.0 * i / t->views;
        double pitch = r->pitch_deg ? r->pitch_deg[i] : 0;
        if (!isfinite(yaw) || !isfinite(pitch))
            return vbg_fail(err, VBG_EUSAGE, "camera %d is not a direction", i + 1);
        t->cam[i] =
            vbg_camera_look(r->hfov_deg, yaw, pitch, t->lw * t->coded, t->lh * t->coded);
    }
    return VBG_OK;
}

/* The request's guidance, or the package's; how far its spread is brought back is the
 * package's alone. */
static void set_guidance(const vbg_generator *g, vbg_gen_task *t)
{
    double rescale = 0;

    t->guidance = t->r->guidance;
    if (t->guidance == VBG_GEN_MODEL &&
        !vbg_weights_real(g->file, "model.guidance", &t->guidance))
        t->guidance = 7.5;
    vbg_weights_real(g->file, "model.guidance_rescale", &rescale);
    t->rescale = rescale >= 0 && rescale <= 1 ? rescale : 0;
    t->guided = t->guidance > 1;
}

vbg_status vbg_gen_check(const vbg_generator *g, const vbg_gen_request *r,
                         vbg_gen_task *t, vbg_err *err)
{
    *t = (vbg_gen_task){ .r = r, .views = r->views, .coupled = !r->flat };
    t->factor = factor_of(g);
    t->coded = g->has_vae ? vbg_vae_down(&g->vae.cfg) : t->factor;
    t->channels = g->m.unet.cfg.in_channels;
    t->latent = latent_of(g);
    set_guidance(g, t);
    t->tiny = g->has_tiny && (r->tiny_decoder || !g->has_vae);
    const int least = r->flat ? 1 : 3;
    if (r->views < least || r->views > VBG_GEN_MAX_VIEWS)
        return vbg_fail(err, VBG_EUSAGE, "%d views: between %d and %d", r->views, least,
                        VBG_GEN_MAX_VIEWS);
    if (t->coupled && g->m.places == 0)
        return vbg_fail(err, VBG_EUSAGE,
                        "%s has no multi-view attention (CAA) and cannot make panoramas; "
                        "ask for a flat picture",
                        g->name);
    if (r->tiny_decoder && !g->has_tiny)
        return vbg_fail(err, VBG_EUSAGE, "%s has no tiny decoder", g->name);
    if (!(t->guidance >= 0 && t->guidance <= 1000))
        return vbg_fail(err, VBG_EUSAGE, "guidance %g: between 0 and 1000", t->guidance);
    t->batch = t->views * (t->guided ? 2 : 1);
    vbg_status st = check_texts(r, err);
    if (st == VBG_OK)
        st = check_size(g, t, err);
    if (st == VBG_OK && t->coupled)
        st = set_cameras(t, err);
    if (st == VBG_OK)
        deal_prompts(t);
    return st;
}

/* ---- planning ---- */

/* Slab of one call, with tables and texts that are only shapes. */
static vbg_status plan_call(vbg_generator *g, const vbg_gen_task *t, size_t *slab,
                            size_t *tables, vbg_err *err)
{
    const vbg_dtype act = vbg_ctx_act(g->c);
    vbg_gen_call call = { .g = g, .t = t };
    vbg_unet_text *text = NULL;
    vbg_status st = VBG_OK;

    if (t->coupled)
        st = vbg_rig_open(&call.rig, &g->m, t->cam, t->views, t->lw * t->coded,
                          t->lh * t->coded, t->lw, t->lh, err);
    if (st == VBG_OK && t->coupled)
        st = vbg_rig_shapes(call.rig, act, err);
    if (st == VBG_OK)
        st = vbg_unet_text_new(&text, g->c, &g->m.unet, NULL, t->texts, VBG_TOKENS, NULL,
                               t->batch, err);
    call.text = text;
    if (st == VBG_OK)
        st = vbg_plan(g->c, vbg_gen_call_job, &call, slab, err);
    if (st == VBG_OK)
        *tables = vbg_unet_text_bytes(&g->m.unet, VBG_TOKENS, t->batch, act) +
                  (t->coupled ? vbg_rig_bytes(call.rig, act) : 0);
    vbg_unet_text_free(text);
    vbg_rig_close(call.rig);
    return st;
}

static double macs_of(const vbg_generator *g, const vbg_gen_task *t, int calls)
{
    double unet = vbg_unet_macs(&g->m.unet, t->lh, t->lw, VBG_TOKENS);
    double tiny = 70.7e9 / 4096 * t->lh * t->lw; /* measured at 64x64 */

    if (t->coupled)
        unet += vbg_mvunet_caa_macs(&g->m, t->lh, t->lw);
    double decode = t->tiny ? tiny : vbg_vae_decode_macs(&g->vae, t->lh, t->lw);
    return unet * t->batch * calls + decode * t->views;
}

vbg_status vbg_generator_plan(vbg_generator *g, const vbg_gen_request *r,
                              vbg_gen_plan *plan, vbg_err *err)
{
    vbg_gen_task t;
    vbg_sampler *s = NULL;
    size_t call = 0, tables = 0, decode = 0, text = 0;

    vbg_status st = vbg_gen_check(g, r, &t, err);
    const size_t count = (size_t)t.views * (size_t)t.latent * (size_t)t.lh * (size_t)t.lw;
    if (st == VBG_OK)
        st = vbg_sampler_open(&s, &g->schedule, r->sampler, r->steps, count, err);
    if (st == VBG_OK)
        st = plan_call(g, &t, &call, &tables, err);
    vbg_gen_decode d = { .g = g, .t = &t };
    vbg_gen_text x = { .g = g, .texts = t.texts };
    if (st == VBG_OK)
        st = vbg_plan(g->c, vbg_gen_decode_job, &d, &decode, err);
    if (st == VBG_OK)
        st = vbg_plan(g->c, vbg_gen_text_job, &x, &text, err);
    if (st == VBG_OK) {
        size_t slab = call > decode ? call : decode;
        size_t pixels = (size_t)(t.lh * t.factor) * (size_t)(t.lw * t.factor);
        *plan = (vbg_gen_plan){ .width = t.lw * t.factor,
                                .height = t.lh * t.factor,
                                .views = t.views,
                                .steps = r->steps,
                                .calls = vbg_sampler_calls(s),
                                .batch = t.batch,
                                .sampler = vbg_sampler_kind_of(s),
                                .weight_bytes = g->weight_bytes };
        plan->work_bytes = (slab > text ? slab : text) + tables +
                           count * sizeof(float) * 16 +
                           pixels * (12 + 3 * (size_t)t.views);
        plan->guidance = t.guidance;
        plan->macs = macs_of(g, &t, plan->calls);
    }
    vbg_sampler_close(s);
    return st;
}
