/* vbg-run: a clip in, the same clip in another room out. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/io.h"
#include "tools/model_path.h"
#include "tools/prompt.h"
#include "tools/room.h"
#include "tools/run.h"
#include "video/video_out.h"

static const vbg_option options[] = {
    { "input", 'i', VBG_OPT_STRING, "FILE", NULL, NULL,
      "video, picture, folder of pictures, or - (y4m)", "input", VBG_OPT_COMMON },
    { "output", 'o', VBG_OPT_STRING, "FILE", NULL, NULL,
      "video, picture, folder, or - (y4m)", "output", VBG_OPT_COMMON },
    { "background", 'b', VBG_OPT_STRING, "WHAT", NULL, NULL,
      "panorama, picture, \"#rrggbb\" or blur[:N]", "background",
      VBG_OPT_COMMON | VBG_OPT_CONFIG | VBG_OPT_LIVE },
    { "text", 0, VBG_OPT_STRING, "TEXT", NULL, NULL,
      "make the room from a sentence (with --model)", "background", VBG_OPT_COMMON },
    { "model", 'm', VBG_OPT_STRING, "FILE", NULL, NULL, "model for --text", "background",
      VBG_OPT_COMMON },
    { "seed", 's', VBG_OPT_SEED, "N", "42", NULL,
      "of --text; random or negative draws one", "background", 0 },
    { "steps", 0, VBG_OPT_INT, "N", "20", "1..1000", "denoising steps of --text",
      "background", 0 },
    { "guidance", 0, VBG_OPT_REAL, "X", "7.5", "0..100", "guidance of --text",
      "background", 0 },
    { "background-type", 0, VBG_OPT_CHOICE, "TYPE", "auto", "auto|sphere|strip|flat",
      "what the picture is (auto: GPano, or 2:1)", "background", VBG_OPT_CONFIG },
    { "fit", 0, VBG_OPT_CHOICE, "HOW", "cover", "stretch|cover|contain|tile",
      "how flat pictures fit", "background", VBG_OPT_COMMON | VBG_OPT_CONFIG },
    { "fov", 0, VBG_OPT_REAL, "DEG", "70", "10..170",
      "horizontal field of view of the camera", "camera",
      VBG_OPT_COMMON | VBG_OPT_CONFIG },
    { "start-yaw", 0, VBG_OPT_REAL, "DEG", "0", "-360..360",
      "where in the panorama the first frame looks", "camera", VBG_OPT_CONFIG },
    { "flip", 0, VBG_OPT_CHOICE, "AXIS", "none", "none|h|v|hv",
      "mirror the camera's picture", "camera", VBG_OPT_CONFIG | VBG_OPT_LIVE },
    { "motion-log", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "write yaw, pitch, roll per frame as CSV", "camera", VBG_OPT_COMMON },
    { "segmenter", 'S', VBG_OPT_STRING, "FILE", "person", NULL,
      "network that finds people (.vbg file or name)", "mask",
      VBG_OPT_COMMON | VBG_OPT_CONFIG },
    { "segmenter-size", 0, VBG_OPT_SIZE, "WxH", NULL, "32..4096",
      "its input size where it is free", "mask", VBG_OPT_CONFIG },
    { "mask", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "take the mask from a video, picture or folder", "mask", VBG_OPT_COMMON },
    { "chroma", 0, VBG_OPT_STRING, "COLOUR", NULL, NULL,
      "key out this colour; no network", "mask", VBG_OPT_COMMON },
    { "mask-out", 0, VBG_OPT_STRING, "FILE", NULL, NULL, "save the mask", "mask",
      VBG_OPT_COMMON },
    { "threshold", 0, VBG_OPT_REAL, "X", NULL, "0..1",
      "cut the mask here instead of keeping it soft", "mask",
      VBG_OPT_CONFIG | VBG_OPT_LIVE },
    { "close", 0, VBG_OPT_INT, "PX", "0", "0..100", "fill holes up to this size", "mask",
      VBG_OPT_CONFIG | VBG_OPT_LIVE },
    { "grow", 0, VBG_OPT_INT, "PX", "0", "-100..100", "widen (or shrink) the person",
      "mask", VBG_OPT_CONFIG | VBG_OPT_LIVE },
    { "feather", 0, VBG_OPT_REAL, "PX", "2", "0..256", "width of the soft edge", "mask",
      VBG_OPT_CONFIG | VBG_OPT_LIVE },
    { "plain-mask", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "no edge-aware refinement", "mask",
      0 },
    { "precision", 0, VBG_OPT_CHOICE, "TYPE", "bf16", "bf16|f32", "of the networks",
      "machine", VBG_OPT_CONFIG },
    { "crf", 0, VBG_OPT_INT, "N", "20", "1..51", "video quality, smaller is better",
      "output", VBG_OPT_CONFIG },
    { "no-clobber", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "refuse to replace the output",
      "output", 0 },
    { "yes", 'y', VBG_OPT_FLAG, NULL, NULL, NULL,
      "accepted for habit's sake: output is replaced anyway", "output", VBG_OPT_HIDDEN },
    { "prompt", 'p', VBG_OPT_STRING, NULL, NULL, NULL, "text", NULL, VBG_OPT_ALIAS },
    { "cfg-scale", 0, VBG_OPT_REAL, NULL, NULL, NULL, "guidance", NULL, VBG_OPT_ALIAS },
    { 0 }
};

static const vbg_program program = {
    .name = "vbg-run",
    .purpose = "puts the people of a clip into another room that follows the camera",
    .usage = "vbg-run --input CLIP --background ROOM --output FILE [options]",
    .examples = { "vbg-run --input me.mp4 --background kitchen.png --output out.mp4",
                  "vbg-run -i me.mp4 --text \"a bright kitchen\" -m room.vbg -o "
                  "out.mp4" },
    .extra =
        "Videos keep their times, rotation and sound.  A folder of pictures goes into "
        "a folder.\nWhere the mask fails the background alone is shown, never the raw "
        "frame.\n",
    .options = options,
    .max_positional = 0,
};

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool same_place(const char *a, const char *b)
{
    return a && b && strcmp(a, "-") != 0 && strcmp(b, "-") != 0 && vbg_same_place(a, b);
}

/* Options that exclude or need each other; outputs that are inputs. */
static vbg_status check(const vbg_values *v, vbg_err *err)
{
    const char *in = vbg_value(v, "input"), *out = vbg_value(v, "output");
    const char *mask = vbg_value(v, "mask"), *back = vbg_value(v, "background");
    const char *text = vbg_value(v, "text");
    const int masks = (mask != NULL) + (vbg_value(v, "chroma") != NULL) +
                      vbg_value_given(v, "segmenter");

    if (!in || !out)
        return vbg_fail(err, VBG_EUSAGE, "name the %s with --%s", in ? "output" : "input",
                        in ? "output" : "input");
    if (vbg_value_given(v, "background") == vbg_value_given(v, "text"))
        return vbg_fail(err, VBG_EUSAGE,
                        back ? "--background and --text exclude each other"
                             : "say what stands behind the person with "
                               "--background or --text");
    if (text && !vbg_value(v, "model"))
        return vbg_fail(err, VBG_EUSAGE, "--text needs --model");
    if (!text && vbg_value(v, "model"))
        return vbg_fail(err, VBG_EUSAGE, "--model is for --text; leave it out");
    if (masks > 1)
        return vbg_fail(err, VBG_EUSAGE,
                        "--segmenter, --mask and --chroma exclude each other");
    const char *outs[] = { out, vbg_value(v, "mask-out"), vbg_value(v, "motion-log") };
    static const char *const names[] = { "output", "mask-out", "motion-log" };
    const char *ins[] = { in, mask, back, vbg_value(v, "model") };
    for (int o = 0; o < 3; o++) {
        for (int i = 0; outs[o] && i < 4; i++)
            if (same_place(outs[o], ins[i]))
                return vbg_fail(err, VBG_EUSAGE,
                                "%s: --%s would overwrite an input; name another file",
                                outs[o], names[o]);
        for (int p = 0; outs[o] && p < o; p++)
            if (same_place(outs[o], outs[p]))
                return vbg_fail(err, VBG_EUSAGE, "%s: --%s and --%s name the same file",
                                outs[o], names[p], names[o]);
        if (outs[o] && vbg_value_flag(v, "no-clobber") && access(outs[o], F_OK) == 0)
            return vbg_fail(err, VBG_EUSAGE, "%s: exists, and --no-clobber was given",
                            outs[o]);
    }
    if (strcmp(out, "-") == 0 && isatty(1))
        return vbg_fail(err, VBG_EUSAGE, "a video is not written to a terminal; pipe it");
    return VBG_OK;
}

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
    spec.guidance = vbg_value_real(v, "guidance");
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
    int w = amx ? 512 : 320, h = amx ? 512 : 180;
    vbg_err e = { "" };
    vbg_status st = vbg_model_find(path, sizeof path, vbg_value(v, "segmenter"), &e);

    if (st != VBG_OK)
        return vbg_fail(
            err, st, "%s%s", e.text,
            vbg_value_given(v, "segmenter")
                ? ""
                : "; name a network with --segmenter, or use --mask or --chroma");
    if (vbg_value_given(v, "segmenter-size"))
        vbg_value_size(v, "segmenter-size", &w, &h);
    st = vbg_segmenter_open(&s->segmenter, path, &s->ctx_opt, w, h, err);
    if (st == VBG_OK) {
        vbg_segmenter_size(s->segmenter, &w, &h);
        vbg_detail("segmenter: %s at %dx%d", vbg_segmenter_arch(s->segmenter), w, h);
    }
    s->mask_opt.segmenter = s->segmenter;
    return st;
}

/* Everything but the inputs. */
static vbg_status prepare(vbg_run_setup *s, vbg_err *err)
{
    static const char *const fits[] = { "stretch", "cover", "contain", "tile" };
    static const char *const types[] = { "auto", "sphere", "strip", "flat" };
    const vbg_values *v = s->v;
    const char *chroma = vbg_value(v, "chroma");
    const double rad = 3.14159265358979323846 / 180;
    vbg_status st;

    s->ctx_opt = vbg_value_ctx(
        v, strcmp(vbg_value(v, "precision"), "f32") == 0 ? VBG_F32 : VBG_BF16);
    for (int i = 0; i < 4; i++) {
        if (strcmp(fits[i], vbg_value(v, "fit")) == 0)
            s->back_opt.fit = (vbg_fit)i;
        if (strcmp(types[i], vbg_value(v, "background-type")) == 0)
            s->back_opt.type = (vbg_background_type)i;
    }
    s->back_opt.fov_x = vbg_value_real(v, "fov") * rad;
    s->back_opt.yaw = vbg_value_real(v, "start-yaw") * rad;
    s->flip_h = strchr(vbg_value(v, "flip"), 'h') != NULL;
    s->flip_v =
        strcmp(vbg_value(v, "flip"), "v") == 0 || strcmp(vbg_value(v, "flip"), "hv") == 0;
    s->mask_opt.threshold =
        vbg_value_given(v, "threshold") ? vbg_value_real(v, "threshold") : -1;
    s->mask_opt.close = (int)vbg_value_int(v, "close");
    s->mask_opt.grow = (int)vbg_value_int(v, "grow");
    /* A given mask is taken as it is unless asked otherwise. */
    s->mask_opt.feather =
        s->mask && !vbg_value_given(v, "feather") ? 0 : vbg_value_real(v, "feather");
    s->mask_opt.plain = vbg_value_flag(v, "plain-mask");
    s->mask_opt.chroma = chroma != NULL;
    if (chroma && !vbg_colour_parse(s->mask_opt.key, chroma))
        return vbg_fail(err, VBG_EUSAGE,
                        "--chroma %s: a colour is \"#rrggbb\", green or blue", chroma);
    st = vbg_ctx_new(&s->ctx, &s->ctx_opt, err);
    if (st == VBG_OK && vbg_value(v, "text"))
        st = make_room(s, err);
    else if (st == VBG_OK &&
             (size_t)snprintf(s->background, sizeof s->background, "%s",
                              vbg_value(v, "background")) >= sizeof s->background)
        st = vbg_fail(err, VBG_EUSAGE, "--background: too long");
    if (st == VBG_OK && !chroma && !s->mask)
        st = open_segmenter(s, err);
    return st;
}

/* A picture by its first bytes. */
static bool is_picture(const char *path)
{
    unsigned char head[16];
    struct stat info;

    if (strcmp(path, "-") == 0 || stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    FILE *f = fopen(path, "rbe");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f)
        fclose(f);
    return vbg_picture_known(head, n);
}

/* Which way, and whether the outputs can hold it. */
static vbg_status route(const vbg_run_setup *s, bool *stills, bool *folder, vbg_err *err)
{
    struct stat info;

    *folder = is_folder(s->input);
    *stills = *folder || is_picture(s->input);
    if (strcmp(s->input, "-") != 0 && stat(s->input, &info) != 0)
        return vbg_fail(err, VBG_EIO, "%s: no such file", s->input);
    if (*stills && s->motion_log)
        return vbg_fail(err, VBG_EUSAGE, "--motion-log is for videos");
    if (*folder && (s->mask && !is_folder(s->mask)))
        return vbg_fail(err, VBG_EUSAGE,
                        "a folder of pictures needs a folder of masks with --mask");
    if (*stills && !*folder && !vbg_picture_writable(s->output))
        return vbg_fail(err, VBG_EUSAGE, "%s: a picture goes into a .png or .jpg",
                        s->output);
    if (!*stills && !vbg_video_writable(s->output))
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: name a video that ends in .mp4, .mkv, .webm, .gif or .y4m",
                        s->output);
    return VBG_OK;
}

int main(int argc, char **argv)
{
    vbg_values *v;
    vbg_err err = { "" };
    vbg_run_setup s = { 0 };
    bool stills = false, folder = false;
    int code = vbg_options_start(&v, &program, argc, argv);

    if (code >= 0)
        return code;
    code = 0;
    vbg_message_setup(v);
    vbg_signals_setup();
    s.v = v;
    vbg_status st = check(v, &err);
    if (st == VBG_OK) {
        s.input = vbg_value(v, "input");
        s.output = vbg_value(v, "output");
        s.mask = vbg_value(v, "mask");
        s.mask_out = vbg_value(v, "mask-out");
        s.motion_log = vbg_value(v, "motion-log");
        st = route(&s, &stills, &folder, &err);
    }
    if (st == VBG_OK)
        st = prepare(&s, &err);
    if (st == VBG_OK)
        st = stills ? vbg_run_stills(&s, folder, &code, &err)
                    : vbg_run_video(&s, &code, &err);
    if (st != VBG_OK)
        code = vbg_exit_code(st, &err);
    vbg_segmenter_close(s.segmenter);
    vbg_ctx_free(s.ctx);
    vbg_values_free(v);
    return code;
}
