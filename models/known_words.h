/* The words a model has learned from, so that a program can tell its user which words of
 * a prompt mean nothing to it.  A word is a run of three or more ASCII letters, digits or
 * bytes of other scripts; case does not count. */
#ifndef VBG_MODELS_KNOWN_WORDS_H
#define VBG_MODELS_KNOWN_WORDS_H

#include "engine/base.h"

/* The words that occur at least `least` times in the count texts (NULL ones are skipped),
 * in lower case, sorted, one space between two.  *out is new, freed by the caller; ""
 * when there is none.  Errors: VBG_ENOMEM. */
vbg_status vbg_known_words(char **out, const char *const *text, size_t count,
                           size_t least, vbg_err *err);

/* Writes the words of text that are not in list (as made above; singular and plural are
 * one word) into out, each once, as 'one', 'two'; size >= 1, what does not fit is left
 * out.  Returns how many there are. */
int vbg_unknown_words(const char *list, const char *text, char *out, size_t size);

#endif
