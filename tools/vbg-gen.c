/* vbg-gen: a sentence to a seamless 360-degree panorama. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/io.h"
#include "engine/picture_io.h"
#include "tools/gen_files.h"
#include "tools/model_path.h"
#include "tools/options.h"
#include "tools/prompt.h"
#include "tools/room.h"

#define SAMPLERS "model|ddim|pndm|euler|euler_karras|euler_a|dpmpp_2m|dpmpp_2m_karras"

static const vbg_option options[] = {
    { "text", 0, VBG_OPT_STRING, "TEXT", NULL, NULL,
      "the sentence that describes the room", "room", VBG_OPT_COMMON },
    { "model", 'm', VBG_OPT_STRING, "FILE", "room", NULL,
      "model package (.vbg), a path or a name", "room", VBG_OPT_COMMON },
    { "output", 'o', VBG_OPT_STRING, "FILE", NULL, NULL, "picture to write: .png or .jpg",
      "output", VBG_OPT_COMMON },
    { "negative", 'n', VBG_OPT_STRING, "TEXT", "", NULL, "what the room should not show",
      "room", VBG_OPT_COMMON },
    { "seed", 's', VBG_OPT_SEED, "N", "42", NULL,
      "same seed, same room; negative or 'random' draws one", "sampling",
      VBG_OPT_COMMON },
    { "steps", 0, VBG_OPT_INT, "N", "20", "1..1000", "denoising steps", "sampling",
      VBG_OPT_COMMON },
    { "guidance", 0, VBG_OPT_REAL, "X", NULL, "0..100",
      "how strictly to follow the sentence; 1 halves the work (default: the model's own, "
      "else 7.5)",
      "sampling", VBG_OPT_COMMON },
    { "sampler", 0, VBG_OPT_CHOICE, "NAME", "model", SAMPLERS, "sampler", "sampling", 0 },
    { "preset", 0, VBG_OPT_CHOICE, "NAME", NULL, "dvb",
      "settings of another program (50 steps, guidance 9, seed 0)", "sampling", 0 },
    { "text-file", 0, VBG_OPT_STRING, "FILE", NULL, NULL, "read the sentence from a file",
      "room", 0 },
    { "view-prompts", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "one line per view instead of --text", "room", 0 },
    { "size", 0, VBG_OPT_SIZE, "WxH", "4096x2048", "64..16384", "size of the panorama",
      "output", VBG_OPT_COMMON },
    { "view-size", 0, VBG_OPT_INT, "N", "0", "0..2048",
      "side of a view in pixels, a multiple of 8 (0: the model's)", "room", 0 },
    { "view-count", 0, VBG_OPT_INT, "N", "8", "5..32", "views around the circle", "room",
      0 },
    { "views", 0, VBG_OPT_STRING, "DIR", NULL, NULL, "also write the views there",
      "output", 0 },
    { "flat", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "one ordinary picture, no panorama (works with any model)", "room",
      VBG_OPT_COMMON },
    { "html", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "also write a page to look around in, for any browser", "output", VBG_OPT_COMMON },
    { "quality", 0, VBG_OPT_INT, "N", "92", "1..100", "JPEG quality", "output", 0 },
    { "fov", 0, VBG_OPT_REAL, "DEG", "90", "30..150",
      "stitch: field of view of each view", "output", 0 },
    { "no-metadata", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "leave sentence and settings out of the picture", "output", 0 },
    { "no-clobber", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "refuse to replace a file",
      "output", 0 },
    { "yes", 'y', VBG_OPT_FLAG, NULL, NULL, NULL, "replace files (always so; for habit)",
      "output", VBG_OPT_HIDDEN },
    { "precision", 0, VBG_OPT_CHOICE, "NAME", "bf16", "bf16|f32",
      "bf16 is fast, f32 exact", "machine", 0 },
    { "tiny-decoder", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "decode with TAESD when the model has it", "sampling", 0 },
    { "latents", 0, VBG_OPT_STRING, "FILE[:KEY]", NULL, NULL,
      "starting latents [views,4,h,w] from a safetensors file", "research", 0 },
    { "dump", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "write text, latents, predictions and views as safetensors", "research", 0 },
    { "replay", 0, VBG_OPT_STRING, "PICTURE", NULL, NULL,
      "make the room of an earlier picture again", "room", 0 },
    { "info", 0, VBG_OPT_STRING, "PICTURE", NULL, NULL,
      "print how a picture was made and stop", "room", 0 },
    { "prompt", 'p', VBG_OPT_STRING, NULL, NULL, NULL, "text", NULL, VBG_OPT_ALIAS },
    { "negative-prompt", 0, VBG_OPT_STRING, NULL, NULL, NULL, "negative", NULL,
      VBG_OPT_ALIAS },
    { "cfg-scale", 0, VBG_OPT_REAL, NULL, NULL, NULL, "guidance", NULL, VBG_OPT_ALIAS },
    { "sampling-method", 0, VBG_OPT_CHOICE, NULL, NULL, NULL, "sampler", NULL,
      VBG_OPT_ALIAS },
    { "disable-image-metadata", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "no-metadata", NULL,
      VBG_OPT_ALIAS },
    { 0 }
};

static const vbg_program program = {
    .name = "vbg-gen",
    .purpose = "a sentence to a seamless 360-degree panorama",
    .usage = "vbg-gen --model FILE --text TEXT -o FILE",
    .examples = { "vbg-gen --model room.vbg --text \"a bright modern kitchen\" -o "
                  "kitchen.png",
                  "vbg-gen view kitchen.png -o kitchen.html" },
    .extra =
        "vbg-gen stitch DIR -o FILE    stitch views DIR/0.png, DIR/1.png, ... alone\n"
        "vbg-gen view PICTURE -o FILE  a page to look around in any panorama",
    .options = options,
    .max_positional = 2
};

static vbg_status usage_of_text(const vbg_values *v, vbg_err *err)
{
    int texts = vbg_value_given(v, "text") + vbg_value_given(v, "text-file") +
                vbg_value_given(v, "view-prompts");

    if (texts > 1)
        return vbg_fail(err, VBG_EUSAGE,
                        "--text, --text-file and --view-prompts exclude each other");
    if (vbg_value_given(v, "flat") && vbg_value_given(v, "view-prompts"))
        return vbg_fail(err, VBG_EUSAGE, "--flat makes one picture: use --text");
    if (vbg_value_given(v, "flat") && vbg_value_given(v, "html"))
        return vbg_fail(err, VBG_EUSAGE, "--html shows panoramas: leave --flat out");
    if (texts == 0)
        return vbg_fail(err, VBG_EUSAGE, "say what the room looks like with --text");
    return VBG_OK;
}

/* Fills the spec from the command line. */
static vbg_status read_spec(vbg_room_spec *s, const vbg_values *v, vbg_err *err)
{
    bool dvb = vbg_value(v, "preset") != NULL;
    vbg_status st = usage_of_text(v, err);

    if (st != VBG_OK)
        return st;
    s->flat = vbg_value_flag(v, "flat");
    s->views = s->flat ? 1 : (int)vbg_value_int(v, "view-count");
    s->steps = dvb && !vbg_value_given(v, "steps") ? 50 : (int)vbg_value_int(v, "steps");
    s->guidance = vbg_value_given(v, "guidance") ? vbg_value_real(v, "guidance")
                  : dvb                          ? 9
                                                 : VBG_GEN_MODEL;
    s->seed = dvb && !vbg_value_given(v, "seed") ? 0 : vbg_value_seed(v, "seed");
    s->view_side = (int)vbg_value_int(v, "view-size");
    s->tiny_decoder = vbg_value_flag(v, "tiny-decoder");
    s->precision = strcmp(vbg_value(v, "precision"), "f32") == 0 ? VBG_F32 : VBG_BF16;
    s->dump = vbg_value(v, "dump");
    vbg_value_size(v, "size", &s->width, &s->height);
    vbg_sampler_parse(&s->sampler, vbg_value(v, "sampler"));
    if (s->view_side % 8)
        return vbg_fail(err, VBG_EUSAGE, "--view-size is a multiple of 8, not %d",
                        s->view_side);
    const char *negative = vbg_value(v, "negative");
    if (*negative)
        st = vbg_prompt_take(&s->negative, negative, strlen(negative), "--negative", err);
    if (st != VBG_OK)
        return st;
    if (vbg_value(v, "view-prompts"))
        st = vbg_gen_read_prompts(s, vbg_value(v, "view-prompts"), err);
    else if (vbg_value(v, "text-file"))
        st = vbg_gen_read_prompt(s, vbg_value(v, "text-file"), err);
    else
        st = vbg_gen_set_prompt(s, vbg_value(v, "text"), err);
    if (st == VBG_OK && vbg_value(v, "latents"))
        st = vbg_gen_read_latents(s, vbg_value(v, "latents"), err);
    return st;
}

static const char *const outputs[] = { "output", "html", "dump" };

/* True when an output would replace the file of an option or argument. */
static vbg_status keep_input(const vbg_values *v, const char *input, vbg_err *err)
{
    for (int i = 0; i < 3 && input; i++) {
        const char *out = vbg_value(v, outputs[i]);
        if (out && vbg_same_place(out, input))
            return vbg_fail(err, VBG_EUSAGE,
                            "%s: --%s would overwrite an input; name another file", out,
                            outputs[i]);
    }
    return VBG_OK;
}

static vbg_status find_model(vbg_room_spec *s, const vbg_values *v, vbg_err *err)
{
    char path[4096];
    vbg_status st = vbg_model_find(path, sizeof path, vbg_value(v, "model"), err);

    if (st != VBG_OK)
        return st;
    s->model = strdup(path);
    return s->model ? keep_input(v, s->model, err)
                    : vbg_fail(err, VBG_ENOMEM, "out of memory");
}

/* --replay: the settings of an earlier picture. */
static vbg_status read_replay(vbg_room_spec *s, char hash[64], char isa[32],
                              const vbg_values *v, vbg_err *err)
{
    static const char *const settings[] = {
        "text",     "text-file", "view-prompts", "negative",    "seed",      "steps",
        "guidance", "sampler",   "preset",       "size",        "view-size", "view-count",
        "flat",     "latents",   "precision",    "tiny-decoder"
    };
    const char *path = vbg_value(v, "replay");
    vbg_picture_info info;
    int w, h;

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (vbg_value_given(v, settings[i]))
            return vbg_fail(
                err, VBG_EUSAGE,
                "--replay takes the settings from the picture: leave --%s out",
                settings[i]);
    vbg_status st = vbg_picture_read_info(&info, &w, &h, path, err);

    if (st != VBG_OK)
        return st;
    if (!info.vbg)
        st = vbg_fail(err, VBG_EFORMAT,
                      "%s: holds no settings of vbg; was it made with "
                      "--no-metadata?",
                      path);
    else
        st = vbg_room_from_json(s, hash, isa, info.vbg, err);
    s->dump = vbg_value(v, "dump");
    vbg_picture_info_free(&info);
    return st;
}

static void say_differences(const vbg_room *r, const char *hash, const char *isa)
{
    if (*hash && *r->model_hash && strcmp(hash, r->model_hash) != 0)
        vbg_warning("the picture was made with model %s, this is %s", hash,
                    r->model_hash);
    if (*isa && strcmp(isa, vbg_isa_name(r->isa)) != 0)
        vbg_warning(
            "the picture was made with %s, this machine uses %s: bytes may differ", isa,
            vbg_isa_name(r->isa));
}

/* Outputs that are inputs, or each other. */
static vbg_status check_places(const vbg_values *v, vbg_err *err)
{
    static const char *const inputs[] = { "model", "text-file", "view-prompts", "replay",
                                          "latents" };
    char latents[4096];
    vbg_status st = keep_input(v, vbg_positional(v, 1), err);

    for (int i = 0; i < 5 && st == VBG_OK; i++)
        st = keep_input(v, vbg_value(v, inputs[i]), err);
    if (st == VBG_OK && vbg_value(v, "latents") &&
        strrchr(vbg_value(v, "latents"), ':')) {
        snprintf(latents, sizeof latents, "%s", vbg_value(v, "latents"));
        *strrchr(latents, ':') = 0; /* FILE:KEY */
        st = keep_input(v, latents, err);
    }
    for (int i = 0; i < 3 && st == VBG_OK; i++)
        for (int k = 0; k < i && st == VBG_OK; k++)
            if (vbg_value(v, outputs[i]) && vbg_value(v, outputs[k]) &&
                vbg_same_place(vbg_value(v, outputs[i]), vbg_value(v, outputs[k])))
                st = vbg_fail(err, VBG_EUSAGE, "%s: --%s and --%s name the same file",
                              vbg_value(v, outputs[i]), outputs[k], outputs[i]);
    return st;
}

/* Everything that can be refused before the long work. */
static vbg_status check_outputs(const vbg_values *v, vbg_err *err)
{
    int w, h;

    if (!vbg_value(v, "output"))
        return vbg_fail(err, VBG_EUSAGE, "name the picture to write with -o FILE");
    vbg_value_size(v, "size", &w, &h);
    if (w % 2)
        return vbg_fail(err, VBG_EUSAGE, "--size: the width of a panorama is even");
    if (w != 2 * h)
        return vbg_fail(err, VBG_EUSAGE,
                        "--size: a panorama is twice as wide as high, not %dx%d", w, h);
    vbg_status st = vbg_gen_check_picture_name(vbg_value(v, "output"), err);
    if (st == VBG_OK)
        st = check_places(v, err);
    for (int i = 0; i < 3 && st == VBG_OK; i++)
        if (vbg_value(v, outputs[i]))
            st = vbg_gen_check_writable(vbg_value(v, outputs[i]),
                                        vbg_value_flag(v, "no-clobber"), err);
    if (st == VBG_OK && vbg_value(v, "views"))
        st = vbg_gen_check_folder(vbg_value(v, "views"), err);
    return st;
}

static vbg_status write_all(const vbg_room *r, const vbg_room_spec *s,
                            const vbg_values *v, vbg_err *err)
{
    bool metadata = !vbg_value_flag(v, "no-metadata");
    int quality = (int)vbg_value_int(v, "quality");
    vbg_status st = vbg_room_save(vbg_value(v, "output"), r, s, metadata, quality, err);

    if (st == VBG_OK && vbg_value(v, "views"))
        st = vbg_gen_write_views(vbg_value(v, "views"), r, s, err);
    if (st == VBG_OK && vbg_value(v, "html"))
        st = vbg_gen_write_page(vbg_value(v, "html"), &r->panorama, s->prompt[0], err);
    return st;
}

static vbg_status make_room(const vbg_values *v, vbg_err *err)
{
    vbg_room_spec spec = { 0 };
    vbg_room room = { 0 };
    char hash[64] = "", isa[32] = "";
    vbg_status st = check_outputs(v, err);

    if (st == VBG_OK && vbg_value(v, "replay"))
        st = read_replay(&spec, hash, isa, v, err);
    else if (st == VBG_OK)
        st = read_spec(&spec, v, err);
    if (st == VBG_OK)
        st = find_model(&spec, v, err);
    if (st == VBG_OK)
        st = vbg_room_make(&room, &spec, v, err);
    if (st == VBG_OK) {
        if (vbg_value(v, "replay"))
            say_differences(&room, hash, isa);
        st = write_all(&room, &spec, v, err);
    }
    if (st == VBG_OK)
        vbg_note("%s: %s, seed %llu, %.1f s", vbg_value(v, "output"),
                 spec.flat ? "picture" : "panorama", (unsigned long long)spec.seed,
                 room.seconds);
    vbg_room_free(&room);
    vbg_room_spec_free(&spec);
    return st;
}

static vbg_status stitch(const vbg_values *v, vbg_err *err)
{
    const char *dir = vbg_positional(v, 1);
    int w, h;

    vbg_value_size(v, "size", &w, &h);
    if (!dir)
        return vbg_fail(err, VBG_EUSAGE, "stitch needs the folder of the views");
    vbg_status st = check_outputs(v, err);
    vbg_gen_stitch job = { .out = vbg_value(v, "output"),
                           .dir = dir,
                           .fov_deg = vbg_value_real(v, "fov"),
                           .width = w,
                           .height = h,
                           .quality = (int)vbg_value_int(v, "quality"),
                           .threads = vbg_value_ctx(v, VBG_F32).threads };
    return st == VBG_OK ? vbg_gen_stitch_folder(&job, err) : st;
}

static vbg_status view(const vbg_values *v, vbg_err *err)
{
    const char *path = vbg_positional(v, 1), *out = vbg_value(v, "output");

    if (!path || !out)
        return vbg_fail(err, VBG_EUSAGE, "view needs a panorama and -o PAGE.html");
    vbg_status st = check_places(v, err);
    if (st == VBG_OK)
        st = vbg_gen_check_writable(out, vbg_value_flag(v, "no-clobber"), err);
    return st == VBG_OK ? vbg_gen_page_of_picture(out, path, err) : st;
}

static vbg_status info(const vbg_values *v, vbg_err *err)
{
    const char *path = vbg_value(v, "info");
    vbg_picture_info p;
    int w, h;
    vbg_status st = vbg_picture_read_info(&p, &w, &h, path, err);

    if (st != VBG_OK)
        return st;
    if (!p.parameters)
        st = vbg_fail(err, VBG_EFORMAT, "%s: holds no text about how it was made", path);
    else
        puts(p.parameters);
    vbg_picture_info_free(&p);
    return st;
}

int main(int argc, char **argv)
{
    vbg_values *v;
    vbg_err err = { 0 };
    vbg_status st;
    int code = vbg_options_start(&v, &program, argc, argv);

    if (code >= 0)
        return code;
    vbg_signals_setup();
    const char *word = vbg_positional(v, 0);
    if (vbg_value(v, "info"))
        st = info(v, &err);
    else if (!word)
        st = make_room(v, &err);
    else if (strcmp(word, "stitch") == 0)
        st = stitch(v, &err);
    else if (strcmp(word, "view") == 0)
        st = view(v, &err);
    else
        st = vbg_fail(&err, VBG_EUSAGE, "unknown command '%.60s': stitch or view", word);
    code = vbg_finish_output(vbg_exit_code(st, &err));
    vbg_values_free(v);
    return code;
}
