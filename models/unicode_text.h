/* The Unicode rules that CLIP's tokenizer needs, on arrays of code points.
 * Categories, simple case and (de)composition come from utf8proc; what Python does
 * and utf8proc does not know (final sigma, U+0130) stands here.
 * Source: The Unicode Standard, chapters 3.11 and 3.13; CPython's str.lower. */
#ifndef VBG_MODELS_UNICODE_TEXT_H
#define VBG_MODELS_UNICODE_TEXT_H

#include "engine/base.h"

/* What the word pattern tells apart. */
typedef enum vbg_char_class {
    VBG_CHAR_SPACE,
    VBG_CHAR_LETTER, /* L* */
    VBG_CHAR_NUMBER, /* N* */
    VBG_CHAR_OTHER   /* marks, punctuation, symbols */
} vbg_char_class;

/* Decodes len bytes to at most len code points; ill-formed UTF-8 gives one U+FFFD
 * per maximal subpart (WHATWG, Python).  *bad (may be NULL) counts those. */
size_t vbg_utf8_decode(int32_t *dst, const uint8_t *src, size_t len, size_t *bad);
/* Writes one valid code point as UTF-8 and returns its 1 to 4 bytes. */
int vbg_utf8_encode(uint8_t dst[4], int32_t cp);

/* The class of a code point in the word pattern (letters L*, numbers N*). */
vbg_char_class vbg_char_classify(int32_t cp);
/* Category C* (control, format, surrogate, private, unassigned), U+FFFD. */
bool vbg_char_dropped(int32_t cp);
/* Tab, line feed, carriage return, Zs: what becomes a space. */
bool vbg_char_blank(int32_t cp);
/* White space in the sense of Python's str.split. */
bool vbg_char_splits(int32_t cp);
/* The ideograph ranges of BERT's tokenizer (no kana, no Hangul). */
bool vbg_char_ideograph(int32_t cp);

/* Canonical composition (NFC) of n code points in text, in place; tmp and text hold
 * 4 n values each.  Returns the new length.  Linear: runs of combining marks are
 * sorted by counting. */
size_t vbg_text_nfc(int32_t *text, int32_t *tmp, size_t n);
/* Full lower case of one word, as Python's str.lower: U+0130 becomes two code
 * points, capital sigma a final one at a word's end.  dst holds 2 n values and does
 * not overlap src.  Returns the new length. */
size_t vbg_text_lower(int32_t *dst, const int32_t *src, size_t n);

#endif
