/* The list of vbg-train's commands. */
#include "tools/train/commands.h"

#include <stddef.h>

const vbg_command vbg_train_commands[] = {
    { "base", "a small Stable Diffusion model: autoencoder", vbg_train_base },
    { NULL, NULL, NULL },
};
