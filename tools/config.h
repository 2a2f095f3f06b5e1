/* run.conf: libConfuse's syntax, the program's own option table.
 *
 *     key = value            # every long option that may stand in a file
 *     profile night { background = "dark.png" }      chosen by --profile night
 *
 * Order, the first that names an option wins: command line, profile, the user's file,
 * the system's files, preset, default. */
#ifndef VBG_TOOLS_CONFIG_H
#define VBG_TOOLS_CONFIG_H

#include "tools/options.h"

/* Offers what the files say to v: --config FILE alone, or $XDG_CONFIG_HOME/vbg/run.conf
 * and vbg/run.conf in each of $XDG_CONFIG_DIRS; nothing with --no-config.  Files that are
 * not there are passed over, but for --config.  A file's relative paths (options that
 * are marked with VBG_OPT_PATH) count from its folder, ~ is the home folder.
 * Errors: VBG_EUSAGE with "FILE:LINE: what". */
vbg_status vbg_config_read(vbg_values *v, vbg_err *err);

/* Is there one of the usual files? */
bool vbg_config_exists(void);

/* The constants of a replaced project (--preset). */
vbg_status vbg_preset_apply(vbg_values *v, vbg_err *err);

#endif
