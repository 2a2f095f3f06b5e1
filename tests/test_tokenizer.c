/* The tokenizer: Unicode steps, byte-pair merges on a small table, bad input.
 * The real table of 48,894 merges is proven by the oracle clip/tokenizer. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/tokenizer.h"
#include "models/unicode_text.h"

enum { START_ID = 49406, END_ID = 49407 };

enum { MERGES = 48894 };

/* A few real merges in front, then pairs of symbols no test text holds. */
static const char *const real[] = { "i n", "t h",      "a n",    "th e</w>",
                                    "c a", "ca t</w>", "' s</w>" };

/* Byte b as its symbol in UTF-8. */
static void symbol(char out[8], int b)
{
    int below = 0;
    int32_t cp = b;

    if (b < 33 || (b > 126 && b < 161) || b == 173) {
        for (int i = 0; i < b; i++)
            below += i < 33 || (i > 126 && i < 161) || i == 173;
        cp = 256 + below;
    }
    int n = vbg_utf8_encode((uint8_t *)out, cp);
    out[n] = 0;
}

/* merges.txt with `lines` merges; rank of the fillers starts behind `real`. */
static char *make_table(size_t *bytes, int lines, const char *end_of_line)
{
    size_t cap = (size_t)lines * 24 + 64, used;
    char *text = malloc(cap), a[8], b[8];
    int done = 0;

    cr_assert(text != NULL);
    used = (size_t)sprintf(text, "#version: 0.2%s", end_of_line);
    for (size_t i = 0; i < sizeof real / sizeof *real && done < lines; i++, done++)
        used += (size_t)sprintf(text + used, "%s%s", real[i], end_of_line);
    for (int k = 0; k < 256 * 256 * 2 && done < lines; k++) {
        int left = k >> 9, right = k >> 1 & 255;
        bool usable = (left < 33 || left > 126) && (right < 33 || right > 126);
        if (!usable)
            continue;
        symbol(a, left);
        symbol(b, right);
        used += (size_t)sprintf(text + used, "%s %s%s%s", a, b, k & 1 ? "</w>" : "",
                                end_of_line);
        done++;
    }
    *bytes = used;
    return text;
}

static vbg_tokenizer *open_table(int pad, bool special)
{
    size_t bytes;
    char *text = make_table(&bytes, MERGES, "\n");
    vbg_tokenizer *t = NULL;
    vbg_err err = { 0 };

    cr_assert(vbg_tokenizer_open_merges(&t, text, bytes, VBG_CLIP_MERGES, pad, special,
                                        &err) == VBG_OK,
              "%s", err.text);
    free(text);
    return t;
}

/* Ids of ASCII symbols: byte - 33, at a word's end + 256. */
enum { A = 'a' - 33, B = 'b' - 33, S = 's' - 33, END = 256, MERGED = 512 };

static const struct {
    const char *text;
    size_t len; /* 0: strlen */
    int count, ids[8];
} cases[] = {
    { "", 0, 0, { 0 } },
    { " \t\n ", 0, 0, { 0 } },
    { "a", 0, 1, { A + END } },
    { "ab", 0, 2, { A, B + END } },
    { "AB", 0, 2, { A, B + END } },
    { "a b", 0, 2, { A + END, B + END } },
    { "the", 0, 1, { MERGED + 3 } }, /* t h, then th e</w> */
    { "cat CAT", 0, 2, { MERGED + 5, MERGED + 5 } },
    { "a\xff"
      "b",
      3,
      2,
      { A, B + END } },               /* broken bytes join neighbours */
    { "a\0b", 3, 2, { A, B + END } }, /* so do controls */
    { "a\xe2\x80\x8b"
      "b",
      0,
      2,
      { A, B + END } }, /* zero width space: category Cf */
    { "a\xc2\xa0"
      "b",
      0,
      2,
      { A + END, B + END } }, /* no-break space separates */
    { "a's", 0, 2, { A + END, MERGED + 6 } },
    { "a'\xc5\xbf", 0, 3, { A + END, '\'' - 33, 0 } }, /* long s counts as s; a filler */
    { "1b2", 0, 3, { '1' - 33 + END, B + END, '2' - 33 + END } },
    { "<|endoftext|>a", 0, 2, { END_ID, A + END } },
    { "<|ENDOFTEXT|>", 0, 1, { END_ID } },
    { "a!", 0, 2, { A + END, 256 } },
};

Test(tokenizer, small_table)
{
    vbg_tokenizer *t = open_table(END_ID, false);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int ids[8] = { 0 };
        size_t len = cases[i].len ? cases[i].len : strlen(cases[i].text);
        ptrdiff_t n = vbg_tokenizer_encode(t, cases[i].text, len, ids, 8);
        cr_assert(n == cases[i].count, "case %zu (%s): %td ids", i, cases[i].text, n);
        for (int k = 0; k < n && !(cases[i].ids[k] == 0 && k > 1); k++)
            cr_assert(ids[k] == cases[i].ids[k], "case %zu (%s) id %d: %d, not %d", i,
                      cases[i].text, k, ids[k], cases[i].ids[k]);
    }
    vbg_tokenizer_close(t);
}

Test(tokenizer, model_input)
{
    vbg_tokenizer *sd1 = open_table(END_ID, false), *sd2 = open_table(0, true);
    char text[400];
    int ids[VBG_TOKENS];

    cr_assert(vbg_tokenizer_encode77(sd1, "a", 1, ids) == 1);
    cr_assert(ids[0] == START_ID && ids[1] == A + END && ids[2] == END_ID &&
              ids[3] == END_ID && ids[76] == END_ID);
    cr_assert(vbg_tokenizer_encode77(sd2, "a!!", 3, ids) == 3);
    cr_assert(ids[1] == A + END && ids[2] == 0 && ids[3] == 0 && ids[4] == END_ID &&
              ids[5] == 0 && ids[76] == 0);
    for (int i = 0; i < 200; i++)
        memcpy(text + 2 * i, "a ", 2);
    cr_assert(vbg_tokenizer_encode77(sd1, text, 400, ids) == 200);
    cr_assert(ids[75] == A + END && ids[76] == END_ID);
    vbg_tokenizer_close(sd1);
    vbg_tokenizer_close(sd2);
}

Test(tokenizer, any_bytes_and_lengths)
{
    enum { LONG = 200000 };
    vbg_tokenizer *t = open_table(0, true);
    uint8_t *text = malloc(LONG);
    uint32_t s = 1;
    int ids[4];

    for (int round = 0; round < 2000; round++) {
        size_t n = (size_t)round % 50;
        for (size_t i = 0; i < n; i++)
            text[i] = (uint8_t)((s = s * 1664525u + 1013904223u) >> 24);
        cr_assert(vbg_tokenizer_encode(t, text, n, ids, 4) >= 0);
    }
    memset(text, 'a', LONG); /* one word, no merges */
    cr_assert(vbg_tokenizer_encode(t, text, LONG, ids, 4) == LONG);
    for (size_t i = 0; i < LONG; i += 2) /* one run of marks, worst order for NFC */
        memcpy(text + i, i % 4 ? "\xcc\x81" : "\xcc\xa7", 2);
    cr_assert(vbg_tokenizer_encode(t, text, LONG, ids, 4) > 0);
    cr_assert(vbg_tokenizer_encode(t, text, (size_t)VBG_PROMPT_MAX_BYTES + 1, ids, 4) ==
              -1);
    free(text);
    vbg_tokenizer_close(t);
}

Test(tokenizer, broken_tables)
{
    size_t bytes;
    char *text = make_table(&bytes, 1000, "\n");
    vbg_tokenizer *t = NULL;
    vbg_err err = { 0 };

    cr_assert(vbg_tokenizer_open_merges(&t, text, bytes, VBG_CLIP_MERGES, 0, false,
                                        &err) == VBG_EFORMAT);
    cr_assert(strstr(err.text, "1000 lines") != NULL, "%s", err.text);
    free(text);
    static const char *const bad[] = { "",           "#v\n",       "#v\nab\n",
                                       "#v\na  b\n", "#v\nzz a\n", "#v\na b\na b\n",
                                       "#v\n a\n",   "#v\na \n",   "#v\n\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err.text[0] = 0;
        cr_assert(vbg_tokenizer_open_merges(&t, bad[i], strlen(bad[i]), VBG_CLIP_MERGES,
                                            0, false, &err) == VBG_EFORMAT,
                  "table %zu", i);
        cr_assert(err.text[0] != 0 && t == NULL);
    }
    text = make_table(&bytes, MERGES, "\r\n");
    cr_assert(vbg_tokenizer_open_merges(&t, text, bytes, VBG_CLIP_MERGES, 0, false,
                                        NULL) == VBG_OK);
    vbg_tokenizer_close(t);
    cr_assert(vbg_tokenizer_open_merges(&t, text, bytes, VBG_CLIP_MERGES, 50000, false,
                                        NULL) == VBG_EFORMAT);
    free(text);
    vbg_tokenizer_close(NULL);
}

Test(unicode, utf8)
{
    /* one replacement per maximal ill-formed part (Unicode 15, table 3-8 and 3-9) */
    static const struct {
        const char *bytes;
        size_t points, bad;
    } parts[] = {
        { "abc", 3, 0 },
        { "\xc3\xa9", 1, 0 },
        { "\xf0\x9f\x98\x80", 1, 0 },
        { "\xc0\xaf", 2, 2 },
        { "\xed\xa0\x80", 3, 3 },
        { "\xf4\x91\x92\x93", 4, 4 },
        { "\xe1\x80\xe2", 2, 2 },
        { "\xf0\x91\x92\xf1\xbf\x41", 3, 2 },
        { "\x80", 1, 1 },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int32_t cp[8];
        size_t bad, len = strlen(parts[i].bytes);
        size_t n = vbg_utf8_decode(cp, (const uint8_t *)parts[i].bytes, len, &bad);
        cr_assert(n == parts[i].points && bad == parts[i].bad, "case %zu: %zu, %zu", i, n,
                  bad);
        cr_assert(vbg_utf8_valid(parts[i].bytes, len) == (bad == 0));
    }
}

Test(unicode, lower_case)
{
    /* final sigma, with what may stand around it; U+0130; capital sharp s */
    static const struct {
        int32_t in[6];
        size_t n;
        int32_t out[6];
        size_t m;
    } words[] = {
        { { 'A', 0x3A3 }, 2, { 'a', 0x3C2 }, 2 },
        { { 0x3A3 }, 1, { 0x3C3 }, 1 },
        { { 'A', 0x3A3, 'B' }, 3, { 'a', 0x3C3, 'b' }, 3 },
        { { 'A', 0x3A3, '.' }, 3, { 'a', 0x3C2, '.' }, 3 },
        { { 'A', 0x301, 0x3A3, '\'', 'B' }, 5, { 'a', 0x301, 0x3C3, '\'', 'b' }, 5 },
        { { 0x130 }, 1, { 'i', 0x307 }, 2 },
        { { 0x1E9E }, 1, { 0xDF }, 1 },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        int32_t out[12];
        size_t m = vbg_text_lower(out, words[i].in, words[i].n);
        cr_assert(m == words[i].m && memcmp(out, words[i].out, m * sizeof *out) == 0,
                  "word %zu", i);
    }
}

Test(unicode, composition)
{
    int32_t text[64] = { 'e', 0x301, 0x1100, 0x1161, 0x11A8, 'a', 0x315, 0x300, 0x5AE };
    int32_t tmp[64];
    size_t n = vbg_text_nfc(text, tmp, 9);
    /* e acute; a Hangul syllable; marks of class 232, 230, 228 in order, a grave */
    static const int32_t want[] = { 0xE9, 0xAC01, 0xE0, 0x5AE, 0x315 };

    cr_assert(n == 5 && memcmp(text, want, sizeof want) == 0);
}

Test(tokenizer, own_merges_make_a_small_vocabulary)
{
    static const char text[] = "#version: 0.2\nr o\no m</w>\nro om</w>\n";
    int ids[VBG_TOKENS];
    vbg_tokenizer *t;
    vbg_err err = { "" };

    cr_assert_eq(vbg_tokenizer_open_merges(&t, text, strlen(text), 3, -1, false, &err),
                 VBG_OK, "%s", err.text);
    cr_expect_eq(vbg_tokenizer_count(t), 517);
    cr_expect_eq(vbg_tokenizer_encode77(t, "Room", 4, ids), 1);
    cr_expect(ids[0] == 515 && ids[1] == 514 && ids[2] == 516 && ids[76] == 516);
    vbg_tokenizer_close(t);
    cr_expect_eq(vbg_tokenizer_open_merges(&t, text, strlen(text), 4, -1, false, &err),
                 VBG_EFORMAT);
    cr_expect_eq(vbg_tokenizer_open_merges(&t, text, strlen(text), 3, 517, false, &err),
                 VBG_EFORMAT);
}
