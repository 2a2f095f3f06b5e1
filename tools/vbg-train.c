/* vbg-train: everything vbg runs can be trained here.  This file only finds the command.
 */
#include <stdio.h>
#include <string.h>

#include "engine/base.h"
#include "tools/options.h"
#include "tools/train/commands.h"

static const vbg_option options[] = { { 0 } };

/* The help of the program itself; every command has its own. */
static int overview(int argc, char **argv)
{
    static char list[2048];
    size_t at = (size_t)snprintf(list, sizeof list, "Commands:\n");
    vbg_values *v;

    for (const vbg_command *k = vbg_train_commands; k->name && at < sizeof list; k++)
        at += (size_t)snprintf(list + at, sizeof list - at, "  %-10s %s\n", k->name,
                               k->purpose);
    if (at < sizeof list)
        snprintf(list + at, sizeof list - at,
                 "Each has its own options: vbg-train COMMAND --help\n");
    const vbg_program program = { .name = "vbg-train",
                                  .purpose = "trains models",
                                  .usage = "vbg-train COMMAND [options]",
                                  .extra = list,
                                  .options = options };
    int code = vbg_options_start(&v, &program, argc, argv);
    if (code >= 0)
        return code;
    vbg_values_free(v);
    fprintf(stderr, "vbg-train: no command; vbg-train --help lists them\n");
    return 2;
}

int main(int argc, char **argv)
{
    char name[64];

    if (argc < 2 || argv[1][0] == '-')
        return overview(argc, argv);
    for (const vbg_command *k = vbg_train_commands; k->name; k++)
        if (strcmp(k->name, argv[1]) == 0) {
            snprintf(name, sizeof name, "vbg-train %s", k->name);
            argv[1] = name;
            return k->run(argc - 1, argv + 1);
        }
    fprintf(stderr, "vbg-train: unknown command '%s'; vbg-train --help lists them\n",
            argv[1]);
    return 2;
}
