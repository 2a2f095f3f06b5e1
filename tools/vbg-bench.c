/* vbg-bench: how fast this machine runs the kernels, the video chain and the
 * generation, beside the machine's own peak and other libraries. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const vbg_option options[] = {
    { "output", 'o', VBG_OPT_CHOICE, "FORMAT", "md", "md|csv|json|jsonl",
      "how the table is printed", "output", VBG_OPT_COMMON },
    { "repetitions", 'r', VBG_OPT_INT, "N", "5", "5..200",
      "runs per row, the median counts", "cases", VBG_OPT_COMMON },
    { "filter", 0, VBG_OPT_STRING, "TEXT", NULL, NULL,
      "only rows whose name and shape contain TEXT", "cases", VBG_OPT_COMMON },
    { "dtype", 0, VBG_OPT_CHOICE, "TYPE", NULL, "f32|bf16", "only rows of this type",
      "cases", VBG_OPT_COMMON },
    { "model", 'm', VBG_OPT_STRING, "FILE", NULL, NULL,
      "gen, train: package to measure (tests/tools/make_checkpoint writes one of full "
      "size)",
      "cases", VBG_OPT_COMMON },
    { "segmenter", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "run: network of the whole chain (a given mask without)", "cases", VBG_OPT_COMMON },
    { "peer-file", 0, VBG_OPT_STRING, "FILE", NULL, NULL,
      "train: what bench/peers/train_torch.py printed, to compare with", "cases", 0 },
    { 0 }
};

static const vbg_program program = {
    .name = "vbg-bench",
    .purpose =
        "measures kernels, video, generation, training, renderer",
    .usage = "vbg-bench kernels|run|gen|train|rooms [options]",
    .examples = { "vbg-bench kernels --filter conv3",
                  "vbg-bench kernels -o json > k.json" },
    .extra =
        "kernels   matrix products, convolutions and attention at the shapes of SD2\n"
        "run       the parts of vbg-run at 1280x720\n"
        "gen       the parts of vbg-gen\n"
        "train     layers forward and backward, steps of whole networks\n"
        "rooms     scenes of vbg-train rooms at 2048x1024, rays a second\n",
    .options = options,
    .max_positional = 1,
};

static int threads_of(const vbg_values *v)
{
    vbg_ctx_opt opt = vbg_value_ctx(v, VBG_F32);
    vbg_ctx *c;
    int n = 1;

    if (vbg_ctx_new(&c, &opt, NULL) == VBG_OK) {
        n = vbg_ctx_threads(c);
        vbg_ctx_free(c);
    }
    return n;
}

int main(int argc, char **argv)
{
    vbg_values *v;
    int code = vbg_options_start(&v, &program, argc, argv);

    if (code >= 0)
        return code;
    vbg_message_setup(v);
    vbg_signals_setup();
    const char *what = vbg_positionals(v) ? vbg_positional(v, 0) : "kernels";
    vbg_ctx_opt opt = vbg_value_ctx(v, VBG_F32);
    bench b = { .values = v,
                .threads = threads_of(v),
                .repetitions = (int)vbg_value_int(v, "repetitions"),
                .isa = opt.isa < vbg_isa_detect() ? opt.isa : vbg_isa_detect(),
                .filter = vbg_value(v, "filter") };

    if (strcmp(what, "kernels") == 0) {
        code = bench_kernels(&b);
    } else if (strcmp(what, "run") == 0) {
        code = bench_run(&b);
    } else if (strcmp(what, "gen") == 0) {
        code = bench_generate(&b);
    } else if (strcmp(what, "train") == 0) {
        code = bench_train(&b);
    } else if (strcmp(what, "rooms") == 0) {
        code = bench_rooms(&b);
    } else {
        vbg_error("there is no bench \"%.40s\", only kernels, run, gen, train and rooms",
                  what);
        code = 2;
    }
    if (b.count == 0 && code == 0) {
        vbg_error("no row matches --filter and --dtype");
        code = 1;
    }
    if (b.count)
        bench_print(&b, vbg_value(v, "output"));
    free(b.rows);
    vbg_values_free(v);
    return vbg_finish_output(code);
}
