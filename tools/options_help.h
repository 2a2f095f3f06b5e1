/* What is printed from an option table. */
#ifndef VBG_TOOLS_OPTIONS_HELP_H
#define VBG_TOOLS_OPTIONS_HELP_H

#include <stdio.h>

#include "tools/options.h"

/* Options every program has, ended by a NULL name. */
extern const vbg_option vbg_shared_options[];

/* Usage, examples and the common options (all: every option by group). */
void vbg_print_help(FILE *f, const vbg_program *p, bool all);
/* Version, instruction sets (found, and in use under cap) and features. */
void vbg_print_version(FILE *f, vbg_isa cap);
/* kind: man, complete-bash, complete-zsh, complete-fish or config. */
void vbg_print_generated(FILE *f, const vbg_program *p, const char *kind);

#endif
