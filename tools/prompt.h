/* The user's sentence: checked and cleaned before anything else sees it. */
#ifndef VBG_TOOLS_PROMPT_H
#define VBG_TOOLS_PROMPT_H

#include "engine/base.h"

enum { VBG_PROMPT_MAX = 65536 };

/* Copies text (bytes long, may hold NUL) into a new string *out, freed by the caller:
 * tab and line ends become spaces, other control characters are dropped (they would
 * end up in terminals and picture texts).  what names it in messages ("--text").
 * Errors, all VBG_EUSAGE: empty or only white space, more than VBG_PROMPT_MAX bytes,
 * NUL, invalid UTF-8 (the offset is named), parentheses nested deeper than 32,
 * a weight "(word:1e999)" that is not finite or beyond 100; VBG_ENOMEM. */
vbg_status vbg_prompt_take(char **out, const char *text, size_t bytes, const char *what,
                           vbg_err *err);

#endif
