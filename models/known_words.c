/* Words a model knows; see models/known_words.h. */
#define _GNU_SOURCE
#include "models/known_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORTEST = 3, LONGEST = 40 };

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool in_word(int c)
{
    c = lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 0x80;
}

/* The next word at or behind *text in lower case; false at the end. */
static bool next_word(const char **text, char word[LONGEST + 1])
{
    const unsigned char *p = (const unsigned char *)*text;
    size_t n = 0;

    while (*p && n < SHORTEST) {
        while (*p && !in_word(*p))
            p++;
        for (n = 0; *p && in_word(*p); p++)
            if (n < LONGEST)
                word[n++] = (char)lower(*p);
    }
    word[n] = 0;
    *text = (const char *)p;
    return n >= SHORTEST;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* ---- the list ---- */

typedef struct heap {
    char *byte; /* words, each ended by 0 */
    size_t used, room, words;
} heap;

static bool keep(heap *h, const char *word)
{
    const size_t n = strlen(word) + 1;

    if (h->used + n > h->room) {
        const size_t room = h->room ? 2 * h->room : 1 << 16;
        char *more = realloc(h->byte, room);
        if (!more)
            return false;
        h->byte = more;
        h->room = room;
    }
    memcpy(h->byte + h->used, word, n);
    h->used += n;
    h->words++;
    return true;
}

/* Joins the words of a sorted list that occur at least `least` times. */
static char *join(char **word, size_t n, size_t bytes, size_t least)
{
    char *out = malloc(bytes + 1), *end = out;

    if (!out)
        return NULL;
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && strcmp(word[i], word[k]) == 0; k++) {
        }
        if (k - i < least)
            continue;
        if (end > out)
            *end++ = ' ';
        end = stpcpy(end, word[i]);
    }
    *end = 0;
    return out;
}

vbg_status vbg_known_words(char **out, const char *const *text, size_t count,
                           size_t least, vbg_err *err)
{
    char one[LONGEST + 1];
    heap h = { 0 };
    bool fits = true;

    *out = NULL;
    for (size_t i = 0; i < count && fits; i++)
        for (const char *p = text[i]; p && fits && next_word(&p, one);)
            fits = keep(&h, one);
    char **word = fits ? malloc((h.words + 1) * sizeof *word) : NULL;
    if (word) {
        char *p = h.byte;
        for (size_t i = 0; i < h.words; i++, p += strlen(p) + 1)
            word[i] = p;
        qsort(word, h.words, sizeof *word, by_text);
        *out = join(word, h.words, h.used, least);
    }
    free(word);
    free(h.byte);
    return *out ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "not enough memory for words");
}

/* ---- asking ---- */

/* Whether list holds the n bytes at word as a word of its own. */
static bool holds(const char *list, const char *word, size_t n)
{
    for (const char *p = list; (p = memmem(p, strlen(p), word, n)); p++)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
            return true;
    return false;
}

static bool known(const char *list, const char *word)
{
    char more[LONGEST + 3];
    const size_t n = strlen(word);

    snprintf(more, sizeof more, "%ses", word);
    if (holds(list, word, n) || holds(list, more, n + 2))
        return true;
    more[n] = 's';
    if (holds(list, more, n + 1))
        return true;
    if (word[n - 1] != 's')
        return false;
    return holds(list, word, n - 1) || (word[n - 2] == 'e' && holds(list, word, n - 2));
}

int vbg_unknown_words(const char *list, const char *text, char *out, size_t size)
{
    char word[LONGEST + 1], quoted[LONGEST + 3];
    size_t used = 0;
    int count = 0;

    *out = 0;
    while (next_word(&text, word)) {
        snprintf(quoted, sizeof quoted, "'%s'", word);
        if (known(list, word) || strstr(out, quoted))
            continue;
        count++;
        if (used + strlen(quoted) + sizeof ", " > size)
            continue;
        used +=
            (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", quoted);
    }
    return count;
}
