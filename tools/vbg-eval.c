/* vbg-eval: how good models, masks and rooms are.  The measurements are in tools/eval. */
#include <stdio.h>
#include <string.h>

#include "tools/eval/commands.h"
#include "tools/options.h"
#include "tools/train/plot.h"

static const vbg_option options[] = {
    { "segmenter", 's', VBG_OPT_STRING, "FILE", NULL, NULL, "segmenter (iou, flicker)",
      "model", VBG_OPT_COMMON },
    { "size", 0, VBG_OPT_SIZE, "WxH", NULL, "32..4096",
      "input of segmenters of free size (default 512x512)", "model", VBG_OPT_COMMON },
    { "model", 'm', VBG_OPT_STRING, "FILE", NULL, NULL,
      "two-tower model (clip, fid), generator (adherence)", "model", VBG_OPT_COMMON },
    { "judge", 'j', VBG_OPT_STRING, "FILE", NULL, NULL,
      "judge of rooms (adherence, fid, variety, nearest)", "model", VBG_OPT_COMMON },
    { "precision", 0, VBG_OPT_CHOICE, "TYPE", "bf16", "bf16|f32", "arithmetic", "model",
      VBG_OPT_COMMON },
    { "threshold", 0, VBG_OPT_REAL, "T", "0.5", "0..1", "alpha that counts as person",
      "measure", VBG_OPT_COMMON },
    { "repeat", 0, VBG_OPT_INT, "N", "1", "1..1000", "runs of each photo, for timing",
      "measure", 0 },
    { "fov", 0, VBG_OPT_REAL, "DEG", "90", "10..170", "width of the views (overlap)",
      "measure", VBG_OPT_COMMON },
    { "truth", 0, VBG_OPT_STRING, "DIR", NULL, NULL,
      "the same as it is (overlap, variety, adherence)", "measure", VBG_OPT_COMMON },
    { "pictures", 0, VBG_OPT_STRING, "DIR", NULL, NULL,
      "rooms there already, and those made (adherence)", "measure", VBG_OPT_COMMON },
    { "count", 'n', VBG_OPT_INT, "N", "0", "0..1000000",
      "only the first N prompts or renders, 0: all (adherence)", "measure", 0 },
    { "views", 0, VBG_OPT_INT, "N", "8", "3..8", "views of a generated room (adherence)",
      "measure", 0 },
    { "steps", 0, VBG_OPT_INT, "N", "20", "1..1000", "denoising steps (adherence)",
      "measure", 0 },
    { "guidance", 0, VBG_OPT_REAL, "X", NULL, "0..100",
      "guidance (adherence; default: the model's own)", "measure", 0 },
    { "seed", 0, VBG_OPT_SEED, "S", "42", NULL, "of generated rooms (adherence)",
      "measure", 0 },
    { "splits", 0, VBG_OPT_INT, "N", "10", "1..1000", "parts of the inception score",
      "measure", 0 },
    { "save-features", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "write the features of A as safetensors (fid)", "measure", 0 },
    { "out", 'o', VBG_OPT_STRING, "FILE", NULL, NULL, "sheet of pictures (nearest)",
      "output", VBG_OPT_COMMON },
    { "plot", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "every sample's value in order, as .png or .svg", "output", VBG_OPT_COMMON },
    { "json", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "one JSON value on stdout", "output",
      VBG_OPT_COMMON },
    { 0 }
};

/* The measurements, for the help. */
static const char *list(char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "Measurements:\n");

    for (const vbg_measurement *m = vbg_measurements; m->name && at < size; m++)
        at += (size_t)snprintf(text + at, size - at, "  %-9s %-14s %s\n", m->name,
                               m->arguments, m->purpose);
    if (at < size)
        snprintf(text + at, size - at,
                 "-v lists every sample.  A feature or logit file is a safetensors file "
                 "with one\ntensor [n, d].\n");
    return text;
}

static vbg_status measure(const vbg_values *v, vbg_err *err)
{
    const char *name = vbg_positionals(v) ? vbg_positional(v, 0) : "";
    const vbg_measurement *m = vbg_measurements;
    const char *plot = vbg_value(v, "plot");
    vbg_report *r;

    while (m->name && strcmp(m->name, name) != 0)
        m++;
    if (!m->name)
        return vbg_fail(err, VBG_EUSAGE, "%s%s; vbg-eval --help lists the measurements",
                        *name ? "unknown measurement " : "no measurement", name);
    if (vbg_positionals(v) < 1 + m->least)
        return vbg_fail(err, VBG_EUSAGE, "want: vbg-eval %s %s", m->name, m->arguments);
    if (plot && !vbg_plot_suffix(plot)) /* before the work, not after it */
        return vbg_fail(err, VBG_EUSAGE, "--plot %s: plots are .png or .svg", plot);
    vbg_status st = vbg_report_new(&r, m->name, err);
    if (st != VBG_OK)
        return st;
    st = m->run(v, r, err);
    if (st == VBG_OK)
        st = vbg_report_print(r, vbg_value_flag(v, "json"), vbg_value_flag(v, "verbose"),
                              err);
    if (st == VBG_OK && plot)
        st = vbg_report_plot(r, plot, err);
    vbg_report_free(r);
    return st;
}

int main(int argc, char **argv)
{
    char text[2048];
    const vbg_program program = {
        .name = "vbg-eval",
        .purpose = "measures models, masks and rooms",
        .usage = "vbg-eval MEASUREMENT [options] PATH...",
        .examples = { "vbg-eval iou --segmenter selfie.vbg photos/",
                      "vbg-eval overlap --truth renders/ rooms/*/" },
        .extra = list(text, sizeof text),
        .options = options,
        .max_positional = 100000,
    };
    vbg_values *v;
    vbg_err err = { "" };
    int code = vbg_options_start(&v, &program, argc, argv);

    if (code >= 0)
        return code;
    vbg_message_setup(v);
    vbg_signals_setup();
    code = vbg_finish_output(vbg_exit_code(measure(v, &err), &err));
    vbg_values_free(v);
    return code;
}
