/* Learning a CLIP tokenizer's merges from texts. */
#ifndef VBG_TOOLS_TRAIN_BASE_TOKENIZER_H
#define VBG_TOOLS_TRAIN_BASE_TOKENIZER_H

#include "tools/train/samples.h"

/* At most `merges` merges, most frequent pair first (equally frequent: the one whose
 * symbols come first), each of a pair seen at least twice; *text is a merges.txt as
 * vbg_tokenizer_open_merges reads it, *learned how many lines of merges it has.  Texts
 * are cut into words as the tokenizer itself does.  The caller frees *text.
 * Errors: VBG_ENOMEM, VBG_EFORMAT.  Source: Sennrich et al. 2016. */
vbg_status vbg_merges_learn(char **out, int *learned, const char *const *text,
                            size_t count, int merges, vbg_err *err);

/* The same from the captions of samples. */
vbg_status vbg_merges_from(char **out, int *learned, const vbg_samples *s, int merges,
                           vbg_err *err);

#endif
