/* vbg-run's options, what they exclude, and which way a job goes. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/io.h"
#include "tools/config.h"
#include "tools/control.h"
#include "tools/run.h"
#include "video/video_out.h"

enum { CONF = VBG_OPT_CONFIG, LIVE = VBG_OPT_CONFIG | VBG_OPT_LIVE };

static const vbg_option options[] = {
    { "input", 'i', VBG_OPT_STRING, "FILE", NULL, NULL,
      "camera, video, picture, folder, or - (y4m)", "input", VBG_OPT_COMMON | LIVE },
    { "output", 'o', VBG_OPT_STRING, "FILE", NULL, NULL,
      "camera, pipewire, video, picture, folder, or -", "output", VBG_OPT_COMMON | CONF },
    { "input-size", 0, VBG_OPT_SIZE, "WxH", NULL, "16..16384",
      "size asked of the camera (720p)", "input", CONF },
    { "input-fps", 0, VBG_OPT_REAL, "N", "30", "1..1000", "rate asked of the camera",
      "input", CONF },
    { "input-format", 0, VBG_OPT_CHOICE, "TYPE", "auto", "auto|mjpg|yuyv|nv12|yu12",
      "pixels asked of the camera", "input", CONF },
    { "list-cameras", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "list cameras, what they offer, what is taken and why", "input", 0 },
    { "wait", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "start although the camera is not there yet", "input", CONF },
    { "output-size", 0, VBG_OPT_SIZE, "WxH", NULL, "64..16384",
      "size of the virtual camera (the camera's)", "output", CONF },
    { "output-format", 0, VBG_OPT_CHOICE, "TYPE", "y4m", "y4m|raw|ts|mjpeg",
      "what goes to standard output", "output", CONF },
    { "preview", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "show the picture in a window (cameras; SDL2)", "output", CONF },
    { "always-on", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "keep the camera on while nobody looks", "output", CONF },
    { "background", 'b', VBG_OPT_STRING, "WHAT", NULL, NULL,
      "panorama, picture, video, \"#rrggbb\", blur, alpha", "background",
      VBG_OPT_COMMON | VBG_OPT_PATH | LIVE },
    { "slide-time", 0, VBG_OPT_REAL, "S", "10", "1..86400",
      "seconds for each picture of a folder", "background", LIVE },
    { "blur", 0, VBG_OPT_REAL, "PX", "0", "0..256", "blur what stands behind",
      "background", LIVE },
    { "text", 0, VBG_OPT_STRING, "TEXT", NULL, NULL, "make the room from a sentence",
      "background", VBG_OPT_COMMON },
    { "model", 'm', VBG_OPT_STRING, "FILE", "room", NULL,
      "model for --text, a path or a name", "background", VBG_OPT_COMMON },
    { "seed", 's', VBG_OPT_SEED, "N", "42", NULL,
      "of --text; random or negative draws one", "background", 0 },
    { "steps", 0, VBG_OPT_INT, "N", "20", "1..1000", "denoising steps of --text",
      "background", 0 },
    { "guidance", 0, VBG_OPT_REAL, "X", NULL, "0..100",
      "guidance of --text (default: the model's own)", "background", 0 },
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
    { "follow", 0, VBG_OPT_CHOICE, "WHAT", "camera", "camera|head|none",
      "what the view of a panorama answers to", "camera", LIVE },
    { "recenter", 0, VBG_OPT_REAL, "S", "0", "0..3600",
      "turn back to the middle with this time constant (0: never)", "camera", LIVE },
    { "motion-log", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "write yaw, pitch, roll per frame as CSV", "camera", 0 },
    { "segmenter", 'S', VBG_OPT_STRING, "FILE", "person", NULL,
      "network that finds people (file, name, auto)", "mask",
      VBG_OPT_COMMON | VBG_OPT_CONFIG },
    { "segmenter-size", 0, VBG_OPT_SIZE, "WxH", NULL, "32..4096",
      "its input where it is free (cameras: 320x192)", "mask", VBG_OPT_CONFIG },
    { "mask-mode", 0, VBG_OPT_CHOICE, "HOW", "frame", "frame|latest",
      "a camera frame gets its own mask, or the latest there is", "mask", CONF },
    { "mask-max-age", 0, VBG_OPT_INT, "N", "15", "0..300",
      "frames a mask may be old in mode latest", "mask", CONF },
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
    { "mask-smooth", 0, VBG_OPT_REAL, "X", "0.95", "0..1",
      "steady the mask over time (0: not at all)", "mask", LIVE },
    { "islands", 0, VBG_OPT_REAL, "SHARE", "0.03", "0..1",
      "drop patches smaller than this share of the largest (0: none)", "mask", LIVE },
    { "despill", 0, VBG_OPT_REAL, "X", "0.5", "0..1",
      "take the old room's colour off the edge", "mask", LIVE },
    { "light-wrap", 0, VBG_OPT_REAL, "X", "0.2", "0..1",
      "let the new room's light reach around the edge", "mask", LIVE },
    { "match-light", 0, VBG_OPT_REAL, "X", "0", "0..1",
      "match exposure and tint of the person to the room", "mask", LIVE },
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
    { "socket", 0, VBG_OPT_STRING, "PATH", NULL, NULL,
      "control socket (in the folder of XDG_RUNTIME_DIR)", "control", CONF },
    { "no-socket", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "no control socket", "control",
      CONF },
    { "config", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "read this configuration instead of ~/.config/vbg/run.conf", "control", 0 },
    { "no-config", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "read no configuration", "control",
      0 },
    { "profile", 0, VBG_OPT_STRING, "NAME", NULL, NULL, "a profile of the configuration",
      "control", 0 },
    { "preset", 0, VBG_OPT_CHOICE, "NAME", NULL, "viba|dvb|bswap|bisenet",
      "the constants of a project that vbg replaces", "control", 0 },
    { "background-blur", 0, VBG_OPT_REAL, NULL, NULL, NULL, "blur", NULL, VBG_OPT_ALIAS },
    { "prompt", 'p', VBG_OPT_STRING, NULL, NULL, NULL, "text", NULL, VBG_OPT_ALIAS },
    { "cfg-scale", 0, VBG_OPT_REAL, NULL, NULL, NULL, "guidance", NULL, VBG_OPT_ALIAS },
    { 0 }
};

static const vbg_program program = {
    .name = "vbg-run",
    .purpose = "puts people into another room that follows the camera",
    .usage = "vbg-run --input CAMERA|CLIP --background ROOM --output FILE [options]",
    .examples = { "vbg-run -i /dev/video0 -b kitchen.png -o /dev/video10",
                  "vbg-run --input me.mp4 --background kitchen.png --output out.mp4" },
    .extra =
        "vbg-run sheet VIDEO   pictures from all along a video, side by side\n"
        "vbg-run doctor        what a virtual camera still needs, and how to get it\n"
        "                      (also vbg-run --check)\n"
        "vbg-run ctl COMMAND   change a running one (vbg-run ctl --help)\n"
        "Where the mask fails the background alone is shown, never the raw frame.\n",
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

    if (!in || (!out && !vbg_value_flag(v, "preview")))
        return vbg_fail(err, VBG_EUSAGE, "name the %s with --%s", in ? "output" : "input",
                        in ? "output" : "input");
    const bool blur = vbg_value_real(v, "blur") > 0; /* alone: of the own room */
    if (vbg_value_given(v, "background") + vbg_value_given(v, "text") != 1 &&
        (back || text || !blur))
        return vbg_fail(err, VBG_EUSAGE,
                        back ? "--background and --text exclude each other"
                             : "say what stands behind the person with "
                               "--background or --text");
    if (!text && vbg_value_given(v, "model"))
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
    if (out && strcmp(out, "-") == 0 && isatty(1))
        return vbg_fail(err, VBG_EUSAGE, "a video is not written to a terminal; pipe it");
    return VBG_OK;
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

static bool is_device(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISCHR(info.st_mode);
}

bool vbg_run_is_pipewire(const char *output)
{
    return strcmp(output, "pipewire") == 0 || strncmp(output, "pipewire:", 9) == 0;
}

/* Does the picture go where only a camera's may? */
static bool for_cameras(const vbg_run_setup *s)
{
    return !s->output || strncmp(s->output, "/dev/", 5) == 0 ||
           vbg_run_is_pipewire(s->output);
}

/* A path below /dev, a number, or a part of a camera's name that is no file.  s->camera
 * gets the path. */
static vbg_status find_camera(vbg_run_setup *s, const vbg_device *d, bool *is,
                              vbg_err *err)
{
    const char *in = s->input;
    const size_t n = strlen(in);
    const bool number = n > 0 && n < 4 && strspn(in, "0123456789") == n;
    vbg_err none = { "" };

    *is = strncmp(in, "/dev/", 5) == 0 || is_device(in);
    if (*is || (number && access(in, F_OK) != 0)) {
        *is = true;
        return vbg_camera_find(s->camera, d, in, err);
    }
    if (n > 0 && strcmp(in, "-") != 0 && access(in, F_OK) != 0 && !strchr(in, '/') &&
        !strchr(in, '.'))
        *is = vbg_camera_find(s->camera, d, in, &none) == VBG_OK;
    if (!*is && none.text[0] && for_cameras(s)) /* no clip could go there either */
        return vbg_fail(err, VBG_EUSAGE, "%s", none.text);
    return VBG_OK;
}

/* An alpha goes only where it can be kept. */
static vbg_status check_alpha(const vbg_run_setup *s, bool live, bool stills, bool folder,
                              vbg_err *err)
{
    const char *out = s->output;
    const size_t n = out ? strlen(out) : 0;
    const bool png = n > 4 && strcasecmp(out + n - 4, ".png") == 0;
    const bool pipe = out && strcmp(out, "-") == 0;
    const bool y4m = strcmp(vbg_value(s->v, "output-format"), "y4m") == 0;

    if (!vbg_run_is_alpha(vbg_value(s->v, "background")) || folder)
        return VBG_OK;
    if (stills ? png : pipe ? y4m : out && vbg_video_has_alpha(out))
        return VBG_OK;
    return vbg_fail(err, VBG_EUSAGE,
                    "%s: carries no alpha; %s, or give a colour (--background green)",
                    out ? out : "the preview",
                    stills ? "name a .png"
                    : live ? "name a .mov, .webm or .y4m, or - (y4m)"
                           : "name a .mov, .webm or .y4m");
}

/* What only one of the ways can do. */
static vbg_status check_live(const vbg_run_setup *s, vbg_err *err)
{
    const bool device = s->output && strncmp(s->output, "/dev/", 5) == 0;

    if (s->mask || s->mask_out || s->motion_log)
        return vbg_fail(err, VBG_EUSAGE, "--%s is for clips, not for a camera",
                        s->mask       ? "mask"
                        : s->mask_out ? "mask-out"
                                      : "motion-log");
    if (device && vbg_same_place(s->camera, s->output))
        return vbg_fail(err, VBG_EUSAGE, "%s: input and output are the same", s->output);
    if (s->output && !device && strcmp(s->output, "-") != 0 &&
        !vbg_run_is_pipewire(s->output) && !vbg_video_writable(s->output))
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: a camera goes to a virtual camera (/dev/video10), to "
                        "pipewire, to - or into a video",
                        s->output);
    return VBG_OK;
}

/* Which way, and whether the outputs can hold it. */
static vbg_status route(const vbg_run_setup *s, bool *stills, bool *folder, vbg_err *err)
{
    struct stat info;

    if (!s->output)
        return vbg_fail(err, VBG_EUSAGE, "name the output with --output");
    if (vbg_value_flag(s->v, "preview"))
        return vbg_fail(err, VBG_EUSAGE, "--preview is for cameras");
    if (strncmp(s->output, "/dev/video", 10) == 0 || vbg_run_is_pipewire(s->output))
        return vbg_fail(err, VBG_EUSAGE, "%s: only a camera goes to a virtual camera",
                        s->output);
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
                        "%s: name a video that ends in .mp4, .mkv, .mov, .webm, .gif, "
                        ".ts, .mjpeg or .y4m",
                        s->output);
    return VBG_OK;
}

/* Options, configuration, preset; -1 to go on, else the exit code. */
static int read_options(vbg_values **v, int argc, char **argv)
{
    char *none[] = { argv[0], (char[]){ "--" }, NULL };
    vbg_err err = { "" };
    const bool bare = argc <= 1 && vbg_config_exists();
    const int code = bare ? vbg_options_start(v, &program, 2, none)
                          : vbg_options_start(v, &program, argc, argv);

    if (code >= 0)
        return code;
    vbg_message_setup(*v);
    vbg_status st = vbg_config_read(*v, &err);
    if (st == VBG_OK)
        st = vbg_preset_apply(*v, &err);
    if (st == VBG_OK)
        return -1;
    vbg_values_free(*v);
    return vbg_exit_code(st, &err);
}

/* Reads everything again, as at the start. */
vbg_status vbg_run_reread(vbg_values **out, const vbg_run_setup *s, vbg_err *err)
{
    vbg_status st = vbg_options_parse(out, &program, s->argc, s->argv, err);

    if (st == VBG_OK)
        st = vbg_config_read(*out, err);
    if (st == VBG_OK)
        st = vbg_preset_apply(*out, err);
    return st;
}

static vbg_status run(vbg_run_setup *s, const vbg_device *device, int *code, vbg_err *err)
{
    bool stills = false, folder = false, camera = false;
    vbg_status st = check(s->v, err);

    if (st != VBG_OK)
        return st;
    s->input = vbg_value(s->v, "input");
    s->output = vbg_value(s->v, "output");
    s->mask = vbg_value(s->v, "mask");
    s->mask_out = vbg_value(s->v, "mask-out");
    s->motion_log = vbg_value(s->v, "motion-log");
    if (vbg_value_given(s->v, "output-format") && s->output &&
        strcmp(s->output, "-") != 0)
        vbg_warning("--output-format is for --output -; %s goes by its name", s->output);
    st = find_camera(s, device, &camera, err);
    if (st == VBG_OK)
        st = camera ? check_live(s, err) : route(s, &stills, &folder, err);
    if (st == VBG_OK)
        st = check_alpha(s, camera, stills, folder, err);
    if (st == VBG_OK)
        st = vbg_run_prepare(s, err);
    if (st != VBG_OK)
        return st;
    return camera   ? vbg_run_live(s, device, code, err)
           : stills ? vbg_run_stills(s, folder, code, err)
                    : vbg_run_video(s, code, err);
}

int vbg_run_main(int argc, char **argv, const vbg_device *device)
{
    vbg_run_setup s = { .argc = argc, .argv = argv };
    vbg_err err = { "" };

    if (argc > 1 && strcmp(argv[1], "ctl") == 0)
        return vbg_control_client(argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "sheet") == 0)
        return vbg_run_sheet(argc - 1, argv + 1);
    if (argc == 2 && (strcmp(argv[1], "doctor") == 0 || strcmp(argv[1], "--check") == 0))
        return vbg_run_doctor(device, "");
    vbg_signals_setup();
    int code = read_options(&s.v, argc, argv);
    if (code >= 0)
        return code;
    code = 0;
    if (vbg_value_flag(s.v, "list-cameras")) {
        vbg_camera_want want;
        vbg_run_want(&want, s.v);
        vbg_run_list_cameras(device, &want);
        vbg_values_free(s.v);
        return vbg_finish_output(0);
    }
    vbg_status st = run(&s, device, &code, &err);
    if (st != VBG_OK)
        code = vbg_exit_code(st, &err);
    if (s.stuck) { /* a network that never returns still uses these */
        fflush(NULL);
        _exit(code);
    }
    vbg_segmenter_close(s.segmenter);
    vbg_ctx_free(s.ctx);
    vbg_values_free(s.v);
    return code;
}
