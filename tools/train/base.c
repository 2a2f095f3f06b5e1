/* vbg-train base PART: finds the part. */
#include "tools/train/base.h"

#include <stdio.h>
#include <string.h>

#include "tools/options.h"
#include "tools/train/commands.h"

static const struct {
    const char *name, *purpose;
    int (*run)(int argc, char **argv);
} parts[] = {
    { "tokenizer", "captions to merges of a tokenizer", vbg_train_base_tokenizer },
    { "vae", "pictures to latents and back", vbg_train_base_vae },
    { "text+unet", "captions and latents to a generator", vbg_train_base_unet },
};
enum { PARTS = sizeof parts / sizeof *parts };

int vbg_train_base(int argc, char **argv)
{
    static const vbg_option none[] = { { 0 } };
    char list[1024], name[64];
    size_t at = (size_t)snprintf(list, sizeof list, "Parts:\n");
    vbg_values *v = NULL;

    for (int i = 0; i < PARTS; i++)
        if (argc > 1 && strcmp(argv[1], parts[i].name) == 0) {
            snprintf(name, sizeof name, "vbg-train base %s", parts[i].name);
            argv[1] = name;
            return parts[i].run(argc - 1, argv + 1);
        }
    for (int i = 0; i < PARTS; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "  %-10s %s\n", parts[i].name,
                               parts[i].purpose);
    const vbg_program program = { .name = "vbg-train base",
                                  .purpose = "trains a small Stable Diffusion model",
                                  .usage = "vbg-train base PART [options]",
                                  .extra = list,
                                  .options = none,
                                  .max_positional = 0 };
    int code = vbg_options_start(&v, &program, argc, argv);
    vbg_values_free(v);
    if (code >= 0)
        return code;
    fprintf(stderr, "vbg-train base: no part; vbg-train base --help lists them\n");
    return 2;
}
