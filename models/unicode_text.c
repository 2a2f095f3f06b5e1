/* UTF-8, categories, NFC and lower case; see the header. */
#include "models/unicode_text.h"

#include <string.h>
#include <utf8proc.h>

#include "models/tokenizer.h"

enum { REPLACEMENT = 0xFFFD };

typedef struct range {
    int32_t first, last;
} range;

static bool in_ranges(const range *r, size_t count, int32_t cp)
{
    for (size_t i = 0; i < count; i++)
        if (cp >= r[i].first && cp <= r[i].last)
            return true;
    return false;
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Length of the longest well-formed prefix of a sequence that starts with a lead
 * byte (at least 1), *need its full length, *cp its value when complete.
 * Table 3-7 of the standard: only the second byte has narrowed ranges. */
static size_t sequence(const uint8_t *s, size_t left, size_t *need, int32_t *cp)
{
    uint8_t b = s[0], low = 0x80, high = 0xBF;

    if (b < 0xC2 || b > 0xF4) {
        *need = b < 0x80 ? 1 : 0;
        *cp = b;
        return 1;
    }
    *need = b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
    *cp = b & (0xFF >> (*need + 1));
    if (b == 0xE0)
        low = 0xA0;
    else if (b == 0xED)
        high = 0x9F;
    else if (b == 0xF0)
        low = 0x90;
    else if (b == 0xF4)
        high = 0x8F;
    size_t got = 1;
    while (got < *need && got < left && s[got] >= low && s[got] <= high) {
        *cp = *cp << 6 | (s[got++] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    return got;
}

size_t vbg_utf8_decode(int32_t *dst, const uint8_t *src, size_t len, size_t *bad)
{
    size_t n = 0, wrong = 0;

    for (size_t i = 0; i < len;) {
        size_t need;
        int32_t cp;
        size_t got = sequence(src + i, len - i, &need, &cp);
        if (got != need) {
            cp = REPLACEMENT;
            wrong++;
        }
        dst[n++] = cp;
        i += got;
    }
    if (bad)
        *bad = wrong;
    return n;
}

bool vbg_utf8_valid(const void *text, size_t len)
{
    const uint8_t *src = text;

    for (size_t i = 0; i < len;) {
        size_t need;
        int32_t cp;
        size_t got = sequence(src + i, len - i, &need, &cp);
        if (got != need)
            return false;
        i += got;
    }
    return true;
}

int vbg_utf8_encode(uint8_t dst[4], int32_t cp)
{
    return (int)utf8proc_encode_char(cp, dst);
}

/* Unassigned in Unicode 14, which the oracle's Python knows; utf8proc 2.8 has 15.
 * Listed so that ids do not change with the library's version. */
static const range after_unicode_14[] = {
    { 0xCF3, 0xCF3 },     { 0xECE, 0xECE },     { 0x10EFD, 0x10EFF },
    { 0x1123F, 0x11241 }, { 0x11B00, 0x11B09 }, { 0x11F00, 0x11F10 },
    { 0x11F12, 0x11F3A }, { 0x11F3E, 0x11F59 }, { 0x1342F, 0x1342F },
    { 0x13440, 0x13455 }, { 0x1B132, 0x1B132 }, { 0x1B155, 0x1B155 },
    { 0x1D2C0, 0x1D2D3 }, { 0x1DF25, 0x1DF2A }, { 0x1E030, 0x1E06D },
    { 0x1E08F, 0x1E08F }, { 0x1E4D0, 0x1E4F9 }, { 0x1F6DC, 0x1F6DC },
    { 0x1F774, 0x1F776 }, { 0x1F77B, 0x1F77F }, { 0x1F7D9, 0x1F7D9 },
    { 0x1FA75, 0x1FA77 }, { 0x1FA87, 0x1FA88 }, { 0x1FAAD, 0x1FAAF },
    { 0x1FABB, 0x1FABD }, { 0x1FABF, 0x1FABF }, { 0x1FACE, 0x1FACF },
    { 0x1FADA, 0x1FADB }, { 0x1FAE8, 0x1FAE8 }, { 0x1FAF7, 0x1FAF8 },
    { 0x2B739, 0x2B739 }, { 0x31350, 0x323AF },
};

static utf8proc_category_t category(int32_t cp)
{
    if (cp >= 0x0CF3 && in_ranges(after_unicode_14, COUNT(after_unicode_14), cp))
        return UTF8PROC_CATEGORY_CN;
    return utf8proc_category(cp);
}

bool vbg_char_blank(int32_t cp)
{
    if (cp < 0x80)
        return cp == ' ' || cp == '\t' || cp == '\n' || cp == '\r';
    return category(cp) == UTF8PROC_CATEGORY_ZS;
}

bool vbg_char_splits(int32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 28 && cp <= 32) || cp == 0x85 ||
           cp == 0x2028 || cp == 0x2029 || vbg_char_blank(cp);
}

bool vbg_char_dropped(int32_t cp)
{
    if (cp < 0x7F)
        return cp < 32 && !vbg_char_blank(cp);
    switch (category(cp)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
        return true;
    default:
        return cp == REPLACEMENT;
    }
}

vbg_char_class vbg_char_classify(int32_t cp)
{
    if ((cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z'))
        return VBG_CHAR_LETTER;
    if ((cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85)
        return VBG_CHAR_SPACE;
    switch (category(cp)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return VBG_CHAR_LETTER;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return VBG_CHAR_NUMBER;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return VBG_CHAR_SPACE;
    default:
        return VBG_CHAR_OTHER;
    }
}

bool vbg_char_ideograph(int32_t cp)
{
    static const range cjk[] = {
        { 0x4E00, 0x9FFF },   { 0x3400, 0x4DBF },   { 0x20000, 0x2A6DF },
        { 0x2A700, 0x2B73F }, { 0x2B740, 0x2B81F }, { 0x2B820, 0x2CEAF },
        { 0xF900, 0xFAFF },   { 0x2F800, 0x2FA1F },
    };
    return cp >= 0x3400 && in_ranges(cjk, COUNT(cjk), cp);
}

static int combining_class(int32_t cp)
{
    return cp < 0x300 ? 0 : utf8proc_get_property(cp)->combining_class;
}

/* Stable counting sort of a run of combining marks by class. */
static void sort_marks(int32_t *run, int32_t *tmp, size_t n)
{
    size_t at[257] = { 0 };

    for (size_t i = 0; i < n; i++)
        at[combining_class(run[i]) + 1]++;
    for (int k = 0; k < 256; k++)
        at[k + 1] += at[k];
    for (size_t i = 0; i < n; i++)
        tmp[at[combining_class(run[i])]++] = run[i];
    memcpy(run, tmp, n * sizeof *run);
}

size_t vbg_text_nfc(int32_t *text, int32_t *tmp, size_t n)
{
    bool plain = true;
    size_t m = 0;

    for (size_t i = 0; i < n && plain; i++)
        plain = text[i] < 0x300; /* such text is its own composition */
    if (plain)
        return n;
    for (size_t i = 0; i < n; i++) {
        utf8proc_ssize_t got = utf8proc_decompose_char(
            text[i], tmp + m, (utf8proc_ssize_t)(4 * n - m), UTF8PROC_DECOMPOSE, NULL);
        if (got > 0)
            m += (size_t)got;
    }
    for (size_t i = 0; i < m;) {
        size_t end = i;
        while (end < m && combining_class(tmp[end]) > 0)
            end++;
        if (end - i > 1)
            sort_marks(tmp + i, text, end - i);
        i = end > i ? end : i + 1;
    }
    utf8proc_ssize_t out = utf8proc_normalize_utf32(tmp, (utf8proc_ssize_t)m,
                                                    UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    m = out > 0 ? (size_t)out : 0;
    memcpy(text, tmp, m * sizeof *text);
    return m;
}

/* Lowercase or uppercase in the sense of DerivedCoreProperties, or title case. */
static bool cased(int32_t cp)
{
    static const range other[] = {
        { 0xAA, 0xAA },       { 0xBA, 0xBA },       { 0x2B0, 0x2B8 },
        { 0x2C0, 0x2C1 },     { 0x2E0, 0x2E4 },     { 0x345, 0x345 },
        { 0x37A, 0x37A },     { 0x1D2C, 0x1D6A },   { 0x1D78, 0x1D78 },
        { 0x1D9B, 0x1DBF },   { 0x2071, 0x2071 },   { 0x207F, 0x207F },
        { 0x2090, 0x209C },   { 0x2160, 0x217F },   { 0x24B6, 0x24E9 },
        { 0x2C7C, 0x2C7D },   { 0xA69C, 0xA69D },   { 0xA770, 0xA770 },
        { 0xA7F8, 0xA7F9 },   { 0xAB5C, 0xAB5F },   { 0x10780, 0x10780 },
        { 0x10783, 0x10785 }, { 0x10787, 0x107B0 }, { 0x107B2, 0x107BA },
        { 0x1F130, 0x1F149 }, { 0x1F150, 0x1F169 }, { 0x1F170, 0x1F189 },
    };
    utf8proc_category_t k = category(cp);
    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL ||
           k == UTF8PROC_CATEGORY_LT || in_ranges(other, COUNT(other), cp);
}

/* Mn, Me, Cf, Lm, Sk and the mid-word punctuation of UAX 29. */
static bool case_ignorable(int32_t cp)
{
    static const int32_t mid_word[] = { '\'',   '.',    ':',    0xB7,   0x387,  0x55F,
                                        0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                        0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A };
    for (size_t i = 0; i < COUNT(mid_word); i++)
        if (cp == mid_word[i])
            return true;
    switch (category(cp)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return false;
    }
}

/* Does a cased character follow src[i] when ignorable ones are skipped? */
static bool cased_follows(const int32_t *src, size_t n, size_t i)
{
    for (i++; i < n && case_ignorable(src[i]); i++)
        ;
    return i < n && cased(src[i]);
}

static bool cased_precedes(const int32_t *src, size_t i)
{
    while (i > 0 && case_ignorable(src[i - 1]))
        i--;
    return i > 0 && cased(src[i - 1]);
}

size_t vbg_text_lower(int32_t *dst, const int32_t *src, size_t n)
{
    enum { CAPITAL_SIGMA = 0x3A3, SIGMA = 0x3C3, FINAL_SIGMA = 0x3C2 };
    size_t m = 0;

    for (size_t i = 0; i < n; i++) {
        int32_t cp = src[i];
        if (cp < 0x80) {
            dst[m++] = cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
        } else if (cp == CAPITAL_SIGMA) {
            bool final = cased_precedes(src, i) && !cased_follows(src, n, i);
            dst[m++] = final ? FINAL_SIGMA : SIGMA;
        } else if (cp == 0x130) {
            dst[m++] = 'i';
            dst[m++] = 0x307;
        } else {
            dst[m++] = utf8proc_tolower(cp);
        }
    }
    return m;
}
