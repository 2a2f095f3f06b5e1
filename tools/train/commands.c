/* The list of vbg-train's commands. */
#include "tools/train/commands.h"

#include <stddef.h>

const vbg_command vbg_train_commands[] = {
    { NULL, NULL, NULL },
};
