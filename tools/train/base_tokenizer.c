/* vbg-train base tokenizer: byte-pair merges from captions.
 *
 * A tokenizer without merges turns every text into symbols of one byte, those above 255
 * at the end of a word: that is the cutting into words.  Equal words are counted once;
 * each round merges the most frequent pair in all of them.  A few thousand different
 * words are expected (captions of a renderer), so pairs are simply counted again. */
#define _GNU_SOURCE
#include "tools/train/base_tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/io.h"
#include "models/tokenizer.h"
#include "tools/options.h"
#include "tools/train/base.h"

enum { BYTES = 256, MAX_WORD = 256 };

typedef struct word {
    int *symbol;
    int length;
    size_t times;
} word;

typedef struct learner {
    word *words;
    size_t count, slots; /* a hash table, slots a power of two */
    char **name;         /* of each symbol */
    int symbols;
} learner;

/* ---- words ---- */

static uint64_t hash_of(const int *s, int n)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (int i = 0; i < n; i++)
        h = (h ^ (uint64_t)s[i]) * 0x100000001B3u;
    return h ^ h >> 29;
}

static word *slot_of(learner *l, const int *s, int n)
{
    size_t i = hash_of(s, n) & (l->slots - 1);

    while (l->words[i].length && (l->words[i].length != n ||
                                  memcmp(l->words[i].symbol, s, (size_t)n * sizeof *s)))
        i = (i + 1) & (l->slots - 1);
    return &l->words[i];
}

static bool grow(learner *l)
{
    word *old = l->words;
    size_t n = l->slots;

    l->slots = n ? 2 * n : 1024;
    l->words = calloc(l->slots, sizeof *l->words);
    if (!l->words)
        return false;
    for (size_t i = 0; i < n; i++)
        if (old[i].length)
            *slot_of(l, old[i].symbol, old[i].length) = old[i];
    free(old);
    return true;
}

static bool add_word(learner *l, const int *s, int n)
{
    if (2 * (l->count + 1) > l->slots && !grow(l))
        return false;
    word *w = slot_of(l, s, n);
    if (!w->length) {
        w->symbol = malloc((size_t)n * sizeof *s);
        if (!w->symbol)
            return false;
        memcpy(w->symbol, s, (size_t)n * sizeof *s);
        w->length = n;
        l->count++;
    }
    w->times++;
    return true;
}

/* Words longer than MAX_WORD bytes teach nothing. */
static bool add_text(learner *l, const vbg_tokenizer *t, const char *text, int **ids,
                     size_t *room)
{
    size_t bytes = strlen(text);
    ptrdiff_t n = vbg_tokenizer_encode(t, text, bytes, *ids, *room);

    if (n > (ptrdiff_t)*room) {
        free(*ids);
        *room = (size_t)n;
        *ids = malloc(*room * sizeof **ids);
        if (!*ids)
            return false;
        n = vbg_tokenizer_encode(t, text, bytes, *ids, *room);
    }
    for (ptrdiff_t at = 0, i = 0; i < n; i++) {
        if ((*ids)[i] < BYTES)
            continue;
        if (i + 1 - at <= MAX_WORD && !add_word(l, *ids + at, (int)(i + 1 - at)))
            return false;
        at = i + 1;
    }
    return n >= 0;
}

/* ---- names ---- */

/* Character of byte symbol i in CLIP's order: the printable bytes stand for themselves,
 * the others for U+0100 and on. */
static int char_of(int i)
{
    int n = 0;

    for (int c = '!'; c <= 0xFF; c++) {
        if ((c > '~' && c < 0xA1) || c == 0xAD)
            continue;
        if (n++ == i)
            return c;
    }
    return 0x100 + i - n;
}

static bool name_symbols(learner *l, int merges)
{
    l->name = calloc((size_t)(2 * BYTES + merges), sizeof *l->name);
    if (!l->name)
        return false;
    for (int i = 0; i < 2 * BYTES; i++) {
        int c = char_of(i % BYTES);
        char utf8[3] = { (char)c, 0, 0 };
        if (c > 0x7F) {
            utf8[0] = (char)(0xC0 | c >> 6);
            utf8[1] = (char)(0x80 | (c & 0x3F));
        }
        if (asprintf(&l->name[i], "%s%s", utf8, i < BYTES ? "" : "</w>") < 0)
            return false;
    }
    l->symbols = 2 * BYTES;
    return true;
}

/* ---- merging ---- */

typedef struct pair {
    int a, b;
    size_t times;
} pair;

typedef struct pairs {
    pair *p;
    size_t count, slots;
} pairs;

static pair *pair_slot(const pairs *t, int a, int b)
{
    uint64_t h = ((uint64_t)a << 20 ^ (uint64_t)b) * 0x9E3779B97F4A7C15u;
    size_t i = (size_t)(h >> 32) & (t->slots - 1);

    while (t->p[i].times && (t->p[i].a != a || t->p[i].b != b))
        i = (i + 1) & (t->slots - 1);
    return &t->p[i];
}

static bool pairs_grow(pairs *t)
{
    pairs bigger = { .slots = t->slots ? 2 * t->slots : 4096, .count = t->count };

    bigger.p = calloc(bigger.slots, sizeof *bigger.p);
    if (!bigger.p)
        return false;
    for (size_t i = 0; i < t->slots; i++)
        if (t->p[i].times)
            *pair_slot(&bigger, t->p[i].a, t->p[i].b) = t->p[i];
    free(t->p);
    *t = bigger;
    return true;
}

static bool count_pairs(const learner *l, pairs *t)
{
    memset(t->p, 0, t->slots * sizeof *t->p);
    t->count = 0;
    for (size_t i = 0; i < l->slots; i++) {
        const word *w = &l->words[i];
        for (int k = 0; k + 1 < w->length; k++) {
            if (2 * (t->count + 1) > t->slots && !pairs_grow(t))
                return false;
            pair *p = pair_slot(t, w->symbol[k], w->symbol[k + 1]);
            if (!p->times) {
                p->a = w->symbol[k];
                p->b = w->symbol[k + 1];
                t->count++;
            }
            p->times += w->times;
        }
    }
    return true;
}

static pair most_frequent(const pairs *t)
{
    pair best = { 0, 0, 1 };

    for (size_t i = 0; i < t->slots; i++) {
        const pair *p = &t->p[i];
        bool first = p->a < best.a || (p->a == best.a && p->b < best.b);
        if (p->times > best.times || (p->times == best.times && p->times > 1 && first))
            best = *p;
    }
    return best;
}

static void merge(learner *l, pair m, int into)
{
    for (size_t i = 0; i < l->slots; i++) {
        word *w = &l->words[i];
        int n = 0;
        for (int k = 0; k < w->length; k++, n++) {
            bool both =
                k + 1 < w->length && w->symbol[k] == m.a && w->symbol[k + 1] == m.b;
            w->symbol[n] = both ? into : w->symbol[k];
            k += both;
        }
        w->length = n;
    }
}

static vbg_status learn(learner *l, FILE *f, int merges, int *learned, vbg_err *err)
{
    pairs t = { 0 };
    bool ok = pairs_grow(&t);

    fprintf(f, "#version: 0.2\n");
    *learned = 0;
    for (int i = 0; i < merges && ok; i++) {
        ok = count_pairs(l, &t);
        pair best = most_frequent(&t);
        if (!ok || best.times < 2)
            break;
        fprintf(f, "%s %s\n", l->name[best.a], l->name[best.b]);
        ok =
            asprintf(&l->name[l->symbols], "%s%s", l->name[best.a], l->name[best.b]) >= 0;
        merge(l, best, l->symbols++);
        ++*learned;
    }
    free(t.p);
    return ok ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "not enough memory for merges");
}

static void free_learner(learner *l)
{
    for (size_t i = 0; i < l->slots && l->words; i++)
        free(l->words[i].symbol);
    for (int i = 0; i < l->symbols && l->name; i++)
        free(l->name[i]);
    free(l->words);
    free(l->name);
}

vbg_status vbg_merges_learn(char **out, int *learned, const char *const *text,
                            size_t count, int merges, vbg_err *err)
{
    learner l = { 0 };
    vbg_tokenizer *t = NULL;
    int *ids = NULL;
    size_t room = 0, bytes = 0;
    char *made = NULL;
    vbg_status st = vbg_tokenizer_open_merges(&t, "#\n", 2, 0, -1, false, err);

    if (st != VBG_OK)
        return st;
    bool ok = name_symbols(&l, merges) && grow(&l);
    for (size_t i = 0; i < count && ok; i++)
        ok = add_text(&l, t, text[i], &ids, &room);
    FILE *f = ok ? open_memstream(&made, &bytes) : NULL;
    if (f) {
        st = learn(&l, f, merges, learned, err);
        ok = fclose(f) == 0;
    }
    if (st == VBG_OK && (!f || !ok))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for merges");
    if (st == VBG_OK)
        *out = made;
    else
        free(made);
    free(ids);
    free_learner(&l);
    vbg_tokenizer_close(t);
    return st;
}

/* ---- command ---- */

static const vbg_option options[] = {
    { "data", 'd', VBG_OPT_STRING, "DIR", NULL, NULL, "folder of pictures with captions",
      "data", VBG_OPT_COMMON },
    { "strict", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "a broken sample is an error", "data",
      0 },
    { "merges", 0, VBG_OPT_INT, "N", "1534", "0..48894",
      "merges at most; 514 ids come on top", "data", VBG_OPT_COMMON },
    { "out", 'o', VBG_OPT_STRING, "FILE", NULL, NULL, "merges.txt to write", "data",
      VBG_OPT_COMMON },
    { 0 },
};

vbg_status vbg_merges_from(char **out, int *learned, const vbg_samples *s, int merges,
                           vbg_err *err)
{
    const size_t count = vbg_samples_count(s);
    const char **text = calloc(count + 1, sizeof *text);
    vbg_status st;

    if (!text)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory");
    for (size_t i = 0; i < count; i++)
        text[i] = vbg_samples_text(s, i);
    st = vbg_merges_learn(out, learned, text, count, merges, err);
    free(text);
    return st;
}

static vbg_status run(const vbg_values *v, vbg_err *err)
{
    const char *data = vbg_value(v, "data"), *path = vbg_value(v, "out");
    vbg_samples s = { 0 };
    vbg_file *f = NULL;
    char *text = NULL;
    int learned = 0;

    if (!data || !path)
        return vbg_fail(err, VBG_EUSAGE, "--%s is missing",
                        data ? "out FILE" : "data DIR");
    const vbg_samples_opt so = { .strict = vbg_value_flag(v, "strict") };
    vbg_status st = vbg_samples_open(&s, data, &so, err);
    if (st == VBG_OK)
        st = vbg_merges_from(&text, &learned, &s, (int)vbg_value_int(v, "merges"), err);
    if (st == VBG_OK)
        st = vbg_file_create(&f, path, err);
    if (st == VBG_OK)
        st = vbg_file_write(f, text, strlen(text), err);
    if (st == VBG_OK) {
        st = vbg_file_commit(f, err);
        f = NULL;
    }
    vbg_file_abort(f);
    if (st == VBG_OK)
        vbg_note("%d merges from %zu captions, %d ids: %s", learned,
                 vbg_samples_count(&s), learned + 2 * BYTES + 2, path);
    free(text);
    vbg_samples_close(&s);
    return st;
}

int vbg_train_base_tokenizer(int argc, char **argv)
{
    const vbg_program program = {
        .name = "vbg-train base tokenizer",
        .purpose = "learns a tokenizer's merges from captions",
        .usage = "vbg-train base tokenizer --data DIR -o merges.txt [options]",
        .options = options
    };
    vbg_values *v = NULL;
    vbg_err err = { 0 };

    vbg_message_start("vbg-train");
    int code = vbg_options_start(&v, &program, argc, argv);
    if (code >= 0)
        return code;
    vbg_message_setup(v);
    code = vbg_exit_code(run(v, &err), &err);
    vbg_values_free(v);
    return vbg_finish_output(code);
}
