/* What vbg-run's options mean: masks, backgrounds, segmenter, room. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tools/model_path.h"
#include "tools/prompt.h"
#include "tools/room.h"
#include "tools/run.h"
#include "video/live.h"

/* The room of --text, made or taken from the cache. */
static vbg_status make_room(vbg_run_setup *s, vbg_err *err)
{
    const vbg_values *v = s->v;
    const char *text = vbg_value(v, "text");
    vbg_room_spec spec = { .prompts = 1,
                           .views = 8,
                           .width = 4096,
                           .height = 2048,
                           .sampler = VBG_SAMPLER_MODEL,
                           .precision = s->ctx_opt.precision };
    char model[4096];
    vbg_status st;

    spec.seed = vbg_value_seed(v, "seed");
    spec.steps = (int)vbg_value_int(v, "steps");
    spec.guidance =
        vbg_value_given(v, "guidance") ? vbg_value_real(v, "guidance") : VBG_GEN_MODEL;
    st = vbg_prompt_take(&spec.prompt[0], text, strlen(text), "--text", err);
    if (st == VBG_OK)
        st = vbg_model_find(model, sizeof model, vbg_value(v, "model"), err);
    if (st == VBG_OK && !(spec.model = strdup(model)))
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    if (st == VBG_OK)
        st = vbg_room_cached(s->background, sizeof s->background, &spec, v, err);
    vbg_room_spec_free(&spec);
    return st;
}

static vbg_status open_segmenter(vbg_run_setup *s, vbg_err *err)
{
    const vbg_values *v = s->v;
    const bool amx = vbg_ctx_kernels(s->ctx)->isa >= VBG_ISA_AMX_BF16;
    char path[4096];
    const bool live = s->camera[0] != 0;
    int w = live ? VBG_LIVE_NETWORK_W : amx ? 512 : 320;
    int h = live ? VBG_LIVE_NETWORK_H : amx ? 512 : 180;
    const bool choose = strcmp(vbg_value(v, "segmenter"), "auto") == 0;
    vbg_err e = { "" };
    vbg_status st =
        choose ? VBG_OK : vbg_model_find(path, sizeof path, vbg_value(v, "segmenter"), &e);

    if (st != VBG_OK)
        return vbg_fail(
            err, st, "%s%s", e.text,
            vbg_value_given(v, "segmenter")
                ? ""
                : "; name a network with --segmenter, or use --mask or --chroma");
    if (vbg_value_given(v, "segmenter-size"))
        vbg_value_size(v, "segmenter-size", &w, &h);
    if (choose) /* a third of a camera's frame time; clips wait */
        st = vbg_run_auto_segmenter(
            &s->segmenter, &s->ctx_opt, w, h,
            s->camera[0] ? 1 / (3 * vbg_value_real(v, "input-fps")) : 1e9, err);
    else
        st = vbg_segmenter_open(&s->segmenter, path, &s->ctx_opt, w, h, err);
    if (st == VBG_OK) {
        vbg_segmenter_size(s->segmenter, &w, &h);
        vbg_detail("segmenter: %s at %dx%d", vbg_segmenter_arch(s->segmenter), w, h);
    }
    s->mask_opt.segmenter = s->segmenter;
    return st;
}

/* Which of the words separated by | it is. */
static int word_index(const char *words, const char *text)
{
    int i = 0;

    for (; *words; i++) {
        const size_t n = strcspn(words, "|");
        if (strlen(text) == n && strncmp(words, text, n) == 0)
            return i;
        words += n + (words[n] == '|');
    }
    return 0;
}

/* A given mask is taken as it is unless asked otherwise. */
static double unless_given_mask(const vbg_run_setup *s, const vbg_values *v,
                                const char *name)
{
    return s->mask && !vbg_value_given(v, name) ? 0 : vbg_value_real(v, name);
}

bool vbg_run_is_alpha(const char *background)
{
    return background && (strcasecmp(background, "alpha") == 0 ||
                          strcasecmp(background, "transparent") == 0);
}

vbg_status vbg_run_read(vbg_run_setup *s, const vbg_values *v, vbg_err *err)
{
    const char *chroma = vbg_value(v, "chroma"), *flip = vbg_value(v, "flip");
    const char *background = vbg_value(v, "background");
    const double rad = 3.14159265358979323846 / 180;
    int n = 0;

    s->back_opt.fit =
        (vbg_fit)word_index("stretch|cover|contain|tile", vbg_value(v, "fit"));
    s->back_opt.type = (vbg_background_type)word_index("auto|sphere|strip|flat",
                                                       vbg_value(v, "background-type"));
    s->back_opt.fov_x = vbg_value_real(v, "fov") * rad;
    s->back_opt.yaw = vbg_value_real(v, "start-yaw") * rad;
    s->back_opt.blur = vbg_value_real(v, "blur");
    s->back_opt.slide_s = vbg_value_real(v, "slide-time");
    s->follow.mode =
        (vbg_follow_mode)word_index("camera|head|none", vbg_value(v, "follow"));
    s->follow.recenter_s = vbg_value_real(v, "recenter");
    s->relight = (vbg_relight_opt){ .spill = unless_given_mask(s, v, "despill"),
                                    .wrap = unless_given_mask(s, v, "light-wrap"),
                                    .match = vbg_value_real(v, "match-light") };
    s->alpha = vbg_run_is_alpha(background);
    if (s->alpha) /* nothing shines around an edge */
        s->relight.wrap = s->relight.match = 0;
    s->mask_opt.smooth = vbg_value_real(v, "mask-smooth");
    s->mask_opt.islands = vbg_value_real(v, "islands");
    s->flip_h = strchr(flip, 'h') != NULL;
    s->flip_v = strchr(flip, 'v') != NULL;
    s->mask_opt.threshold =
        vbg_value_given(v, "threshold") ? vbg_value_real(v, "threshold") : -1;
    s->mask_opt.close = (int)vbg_value_int(v, "close");
    s->mask_opt.grow = (int)vbg_value_int(v, "grow");
    s->mask_opt.feather = unless_given_mask(s, v, "feather");
    s->mask_opt.plain = vbg_value_flag(v, "plain-mask");
    s->mask_opt.chroma = chroma != NULL;
    if (chroma && !vbg_colour_parse(s->mask_opt.key, chroma))
        return vbg_fail(err, VBG_EUSAGE,
                        "--chroma %s: a colour is \"#rrggbb\", green or blue", chroma);
    if (vbg_value(v, "text"))
        return VBG_OK; /* the room's path is found later */
    if (background)
        n = snprintf(s->background, sizeof s->background, "%s", background);
    else /* --blur alone is about the own room */
        n = snprintf(s->background, sizeof s->background, "blur:%g",
                     s->back_opt.blur < 1 ? 1 : s->back_opt.blur);
    return (size_t)n < sizeof s->background
               ? VBG_OK
               : vbg_fail(err, VBG_EUSAGE, "--background: too long");
}

vbg_status vbg_run_prepare(vbg_run_setup *s, vbg_err *err)
{
    const vbg_values *v = s->v;
    vbg_status st = vbg_run_read(s, v, err);

    s->ctx_opt = vbg_value_ctx(
        v, strcmp(vbg_value(v, "precision"), "f32") == 0 ? VBG_F32 : VBG_BF16);
    if (st == VBG_OK)
        st = vbg_ctx_new(&s->ctx, &s->ctx_opt, err);
    if (st == VBG_OK && vbg_value(v, "text"))
        st = make_room(s, err);
    if (st == VBG_OK && !s->mask_opt.chroma && !s->mask && !s->mask_opt.source.find)
        st = open_segmenter(s, err);
    return st;
}
