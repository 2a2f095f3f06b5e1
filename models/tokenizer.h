/* CLIP's tokenizer, with OpenAI's merges or one's own: text in UTF-8 to token ids, byte
 * for byte as transformers' slow CLIPTokenizer without ftfy (mid 2023 to the last 4.x),
 * which is what diffusers pipelines use.
 *
 * Any bytes are accepted: ill-formed UTF-8 vanishes and joins its neighbours, as
 * in the original.  Programs that want to refuse it ask vbg_utf8_valid first.
 * Source: Radford et al. 2021; byte-pair encoding: Sennrich et al. 2016. */
#ifndef VBG_MODELS_TOKENIZER_H
#define VBG_MODELS_TOKENIZER_H

#include "engine/base.h"
#include "engine/weights.h"

enum {
    VBG_TOKENS = 77,         /* length of a model input */
    VBG_CLIP_MERGES = 48894, /* of OpenAI's vocabulary: 49,408 ids */
    VBG_PROMPT_MAX_BYTES = 1 << 20
};

typedef struct vbg_tokenizer vbg_tokenizer;

/* The tokenizer of a model package: metadata `tokenizer.merges` (the bytes of
 * merges.txt) and `tokenizer.config` (JSON with pad_token_id, special_pad and merges,
 * the number of lines to read; absent: the end token, not special, VBG_CLIP_MERGES).
 * *out is owned by the caller.
 * Errors: VBG_EFORMAT, VBG_ENOMEM. */
vbg_status vbg_tokenizer_open(vbg_tokenizer **out, const vbg_weights *w, vbg_err *err);

/* From the text of merges.txt, or of bpe_simple_vocab_16e6.txt: one header line,
 * then at least `merges` lines of two symbols each; further lines are ignored.  There are
 * 512 + merges + 2 ids; the last two are the start and the end token.
 *   merges       0..VBG_CLIP_MERGES
 *   pad_id       what fills a model input after the end token: 49407 (SD1), 0 (SD2);
 *                -1: the end token
 *   special_pad  every `!` of a text is the pad token itself (SD2's folders)
 * Errors: VBG_EFORMAT with the line, VBG_ENOMEM. */
vbg_status vbg_tokenizer_open_merges(vbg_tokenizer **out, const void *text, size_t bytes,
                                     int merges, int pad_id, bool special_pad,
                                     vbg_err *err);
void vbg_tokenizer_close(vbg_tokenizer *t); /* accepts NULL */
/* Ids are 0..count-1: count - 2 starts, count - 1 ends a text. */
int vbg_tokenizer_count(const vbg_tokenizer *t);

/* Encodes len bytes.  At most cap ids are stored, without start and end token; the
 * return value is how many there are in all, or -1 when memory ran out or len is
 * above VBG_PROMPT_MAX_BYTES.  Linear in len but for single words of thousands of
 * letters (n log n).  Safe from several threads at once. */
ptrdiff_t vbg_tokenizer_encode(const vbg_tokenizer *t, const void *text, size_t len,
                               int *ids, size_t cap);

/* A complete model input: start token, the first 75 ids, end token, padding.
 * Returns the untruncated number of ids, or -1 as above (ids are then those of
 * the empty text). */
ptrdiff_t vbg_tokenizer_encode77(const vbg_tokenizer *t, const void *text, size_t len,
                                 int ids[VBG_TOKENS]);

/* True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool vbg_utf8_valid(const void *text, size_t len);

#endif
