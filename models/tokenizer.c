/* CLIP's byte-pair encoder.
 *
 *     bytes -> code points -> special strings cut out -> per piece:
 *       drop controls, blanks to spaces, spaces around ideographs, NFC,
 *       words in lower case, joined by single spaces  -> scan by the word pattern
 *       -> per word: byte symbols, pair merges by rank -> ids
 *
 * Ids: 0..255 the byte symbols in the order of their code points (bytes 33..126,
 * 161..172, 174..255, then the other 68), 256..511 the same at a word's end, 512 + r
 * the result of merge r, then the start and the end token.  As no result occurs
 * twice, the table is a hash from a pair of ids to an id.
 * Source: Radford et al. 2021; rules: transformers, CLIPTokenizer (slow). */
#include "models/tokenizer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "models/unicode_text.h"

enum {
    BYTE_SYMBOLS = 256,
    FIRST_MERGE = 512,
    TABLE_BITS = 17, /* 131,072 slots for 48,894 pairs and 49,408 strings */
    TABLE = 1 << TABLE_BITS
};

typedef struct slot {
    uint32_t pair;   /* left id << 16 | right id; 0xFFFFFFFF: empty */
    uint32_t result; /* id, whose order is the rank */
} slot;

struct vbg_tokenizer {
    slot table[TABLE];
    uint16_t byte_symbol[256];
    int merges, start_id, end_id, pad_id;
    bool special_pad;
};

/* ---- the merge table ---- */

static uint32_t pair_hash(uint32_t pair)
{
    return (pair * 2654435769u) >> (32 - TABLE_BITS);
}

/* The id that left and right merge to, 0 when the pair is not in the table. */
static uint32_t merge_of(const vbg_tokenizer *t, uint32_t left, uint32_t right)
{
    uint32_t pair = left << 16 | right;

    for (uint32_t i = pair_hash(pair);; i = (i + 1) & (TABLE - 1)) {
        if (t->table[i].pair == pair)
            return t->table[i].result;
        if (t->table[i].pair == UINT32_MAX)
            return 0;
    }
}

static void merge_add(vbg_tokenizer *t, uint32_t left, uint32_t right, uint32_t result)
{
    uint32_t pair = left << 16 | right, i = pair_hash(pair);

    while (t->table[i].pair != UINT32_MAX)
        i = (i + 1) & (TABLE - 1);
    t->table[i] = (slot){ pair, result };
}

/* Symbol texts while the table is built: one arena, one hash from text to id. */
typedef struct vocabulary {
    char *arena;
    size_t used;
    struct {
        size_t at;
        uint32_t bytes, id; /* bytes 0: empty */
    } slot[TABLE];
} vocabulary;

static uint32_t text_hash(const char *s, size_t bytes)
{
    uint32_t h = 2166136261u;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return (h ^ h >> 15) & (TABLE - 1);
}

/* Slot of a text, or the empty one where it belongs. */
static uint32_t vocabulary_slot(const vocabulary *v, const char *s, size_t bytes)
{
    uint32_t i = text_hash(s, bytes);

    while (v->slot[i].bytes &&
           (v->slot[i].bytes != bytes || memcmp(v->arena + v->slot[i].at, s, bytes) != 0))
        i = (i + 1) & (TABLE - 1);
    return i;
}

/* The last `bytes` written to the arena become the text of id; false: known already. */
static bool vocabulary_add(vocabulary *v, size_t bytes, uint32_t id)
{
    uint32_t i = vocabulary_slot(v, v->arena + v->used, bytes);

    if (v->slot[i].bytes)
        return false;
    v->slot[i].at = v->used;
    v->slot[i].bytes = (uint32_t)bytes;
    v->slot[i].id = id;
    v->used += bytes;
    return true;
}

static bool own_code_point(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* The 512 symbols every word starts from. */
static void add_byte_symbols(vocabulary *v, uint16_t byte_symbol[256])
{
    uint32_t id = 0;

    for (int pass = 0; pass < 2; pass++) /* those with their own code point first */
        for (int b = 0; b < 256; b++)
            if (own_code_point(b) == (pass == 0))
                byte_symbol[b] = (uint16_t)id++;
    for (int b = 0; b < 256; b++) {
        id = byte_symbol[b];
        int32_t cp = own_code_point(b) ? b : 0x100 + (int32_t)id - 188;
        uint8_t utf8[4];
        size_t n = (size_t)vbg_utf8_encode(utf8, cp);
        memcpy(v->arena + v->used, utf8, n);
        vocabulary_add(v, n, id);
        memcpy(v->arena + v->used, utf8, n);
        memcpy(v->arena + v->used + n, "</w>", 4);
        vocabulary_add(v, n + 4, id + BYTE_SYMBOLS);
    }
}

/* One line "left right" of `bytes` characters becomes merge number rank. */
static bool add_merge(vbg_tokenizer *t, vocabulary *v, const char *line, size_t bytes,
                      uint32_t rank)
{
    const char *space = memchr(line, ' ', bytes);

    if (!space)
        return false;
    size_t nl = (size_t)(space - line), nr = bytes - nl - 1;
    if (nl == 0 || nr == 0 || memchr(space + 1, ' ', nr))
        return false;
    uint32_t left = vocabulary_slot(v, line, nl);
    uint32_t right = vocabulary_slot(v, space + 1, nr);
    if (!v->slot[left].bytes || !v->slot[right].bytes)
        return false;
    memcpy(v->arena + v->used, line, nl);
    memcpy(v->arena + v->used + nl, space + 1, nr);
    if (!vocabulary_add(v, nl + nr, FIRST_MERGE + rank))
        return false;
    merge_add(t, v->slot[left].id, v->slot[right].id, FIRST_MERGE + rank);
    return true;
}

static vbg_status read_merges(vbg_tokenizer *t, vocabulary *v, const char *text,
                              size_t bytes, vbg_err *err)
{
    const char *end = text + bytes;
    const char *line = memchr(text, '\n', bytes); /* behind the header */
    uint32_t rank = 0;

    while (line && ++line < end && rank < (uint32_t)t->merges) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((next ? next : end) - line);
        if (n && line[n - 1] == '\r')
            n--;
        if (!add_merge(t, v, line, n, rank))
            return vbg_fail(err, VBG_EFORMAT,
                            "tokenizer merges: line %u is not a pair of known symbols",
                            rank + 2);
        rank++;
        line = next;
    }
    if (rank < (uint32_t)t->merges)
        return vbg_fail(err, VBG_EFORMAT, "tokenizer merges: %u lines, %d expected", rank,
                        t->merges);
    return VBG_OK;
}

vbg_status vbg_tokenizer_open_merges(vbg_tokenizer **out, const void *text, size_t bytes,
                                     int merges, int pad_id, bool special_pad,
                                     vbg_err *err)
{
    enum { MAX_TEXT = 64 << 20, SYMBOL_ROOM = 512 * 8 };

    if (bytes > MAX_TEXT)
        return vbg_fail(err, VBG_ELIMIT, "tokenizer merges: %zu bytes", bytes);
    if (merges < 0 || merges > VBG_CLIP_MERGES)
        return vbg_fail(err, VBG_EFORMAT, "tokenizer: %d merges", merges);
    if (pad_id < -1 || pad_id > FIRST_MERGE + merges + 1)
        return vbg_fail(err, VBG_EFORMAT, "tokenizer: pad token %d", pad_id);
    vbg_tokenizer *t = malloc(sizeof *t);
    vocabulary *v = calloc(1, sizeof *v);
    if (v)
        v->arena = malloc(bytes + SYMBOL_ROOM);
    vbg_status st;
    if (!t || !v || !v->arena) {
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for the tokenizer");
        goto done;
    }
    t->merges = merges;
    t->start_id = FIRST_MERGE + merges;
    t->end_id = t->start_id + 1;
    t->pad_id = pad_id < 0 ? t->end_id : pad_id;
    t->special_pad = special_pad;
    memset(t->table, 0xFF, sizeof t->table);
    add_byte_symbols(v, t->byte_symbol);
    st = read_merges(t, v, text, bytes, err);
    if (st == VBG_OK) {
        *out = t;
        t = NULL;
    }
done:
    if (v)
        free(v->arena);
    free(v);
    free(t);
    return st;
}

/* What the package's JSON says of the tokenizer. */
typedef struct settings {
    int merges, pad_id;
    bool special_pad;
} settings;

/* An integer field into *value if it is there: -2 when it does not fit. */
static void read_int(const json_t *root, const char *key, int *value)
{
    const json_t *v = json_object_get(root, key);

    if (json_is_integer(v)) {
        json_int_t n = json_integer_value(v);
        *value = n < 0 || n > VBG_CLIP_MERGES + FIRST_MERGE + 1 ? -2 : (int)n;
    }
}

static vbg_status read_config(const char *json, settings *s, vbg_err *err)
{
    json_error_t e;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &e);

    if (!json_is_object(root)) {
        json_decref(root);
        return vbg_fail(err, VBG_EFORMAT, "tokenizer.config: not a JSON object");
    }
    read_int(root, "pad_token_id", &s->pad_id);
    read_int(root, "merges", &s->merges);
    s->special_pad = json_is_true(json_object_get(root, "special_pad"));
    json_decref(root);
    return VBG_OK;
}

vbg_status vbg_tokenizer_open(vbg_tokenizer **out, const vbg_weights *w, vbg_err *err)
{
    const void *merges;
    size_t bytes;
    const char *config;
    settings s = { .merges = VBG_CLIP_MERGES, .pad_id = -1 };

    if (!vbg_weights_bytes(w, "tokenizer.merges", &merges, &bytes))
        return vbg_fail(err, VBG_EFORMAT, "the model has no tokenizer");
    if (vbg_weights_string(w, "tokenizer.config", &config)) {
        vbg_status st = read_config(config, &s, err);
        if (st != VBG_OK)
            return st;
    }
    return vbg_tokenizer_open_merges(out, merges, bytes, s.merges, s.pad_id,
                                     s.special_pad, err);
}

void vbg_tokenizer_close(vbg_tokenizer *t)
{
    free(t);
}

int vbg_tokenizer_count(const vbg_tokenizer *t)
{
    return t->end_id + 1;
}

/* ---- pair merges of one word ---- */

/* A possible merge; the heap's order is (result, at): lowest rank first, and among
 * equal ones left to right.  A result only enters when its parts exist, and every
 * later pair with it ranks behind it, so this is the textbook's "take the best
 * pair, merge all its occurrences" in n log n. */
typedef struct candidate {
    uint32_t result, at, left, right;
} candidate;

typedef struct encoder {
    const vbg_tokenizer *t;
    int32_t *a, *b; /* code points, two buffers of 4 len */
    uint32_t *symbol;
    int32_t *prev, *next; /* list of the symbols that are left, -1 ends */
    candidate *heap;
    size_t heap_count;
    int *ids;
    size_t cap, count;
} encoder;

static bool before(const candidate *a, const candidate *b)
{
    return a->result != b->result ? a->result < b->result : a->at < b->at;
}

static void push(encoder *e, candidate c)
{
    size_t i = e->heap_count++;

    while (i > 0 && before(&c, &e->heap[(i - 1) / 2])) {
        e->heap[i] = e->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    e->heap[i] = c;
}

static candidate pop(encoder *e)
{
    candidate top = e->heap[0], last = e->heap[--e->heap_count];
    size_t i = 0;

    for (size_t k = 1; k < e->heap_count; k = 2 * i + 1) {
        if (k + 1 < e->heap_count && before(&e->heap[k + 1], &e->heap[k]))
            k++;
        if (!before(&e->heap[k], &last))
            break;
        e->heap[i] = e->heap[k];
        i = k;
    }
    e->heap[i] = last;
    return top;
}

static void consider(encoder *e, int32_t at)
{
    if (at < 0 || e->next[at] < 0)
        return;
    uint32_t left = e->symbol[at], right = e->symbol[e->next[at]];
    uint32_t result = merge_of(e->t, left, right);
    if (result)
        push(e, (candidate){ result, (uint32_t)at, left, right });
}

static void emit(encoder *e, uint32_t id)
{
    if (e->count < e->cap)
        e->ids[e->count] = (int)id;
    e->count++;
}

/* n symbols in e->symbol, the last one with its end mark, become ids. */
static void merge_word(encoder *e, size_t n)
{
    const uint32_t gone = UINT32_MAX;

    for (size_t i = 0; i < n; i++) {
        e->prev[i] = (int32_t)i - 1;
        e->next[i] = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    e->heap_count = 0;
    for (size_t i = 0; i + 1 < n; i++)
        consider(e, (int32_t)i);
    while (e->heap_count) {
        candidate c = pop(e);
        int32_t at = (int32_t)c.at, right = e->next[at];
        if (e->symbol[at] != c.left || right < 0 || e->symbol[right] != c.right)
            continue; /* something was merged away meanwhile */
        e->symbol[at] = c.result;
        e->symbol[right] = gone;
        e->next[at] = e->next[right];
        if (e->next[at] >= 0)
            e->prev[e->next[at]] = at;
        consider(e, e->prev[at]);
        consider(e, at);
    }
    for (int32_t i = 0; i >= 0; i = e->next[i])
        emit(e, e->symbol[i]);
}

static void encode_word(encoder *e, const int32_t *word, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        uint8_t utf8[4];
        int bytes = vbg_utf8_encode(utf8, word[i]);
        for (int k = 0; k < bytes; k++)
            e->symbol[count++] = e->t->byte_symbol[utf8[k]];
    }
    e->symbol[count - 1] += BYTE_SYMBOLS;
    merge_word(e, count);
}

/* ---- text to words ---- */

static const char *const start_text = "<|startoftext|>", *const end_text =
                                                             "<|endoftext|>";

/* Length of `what` when it stands at s, else 0.  fold: also the letter U+017F, which
 * a case-insensitive pattern takes for s (the text is in lower case already). */
static size_t literal(const int32_t *s, size_t left, const char *what, bool fold)
{
    size_t i = 0;

    for (; what[i]; i++) {
        if (i >= left)
            return 0;
        if (s[i] != what[i] && !(fold && what[i] == 's' && s[i] == 0x17F))
            return 0;
    }
    return i;
}

/* Length of the pattern's next match at s, 0 on white space. */
static size_t match(const int32_t *s, size_t left)
{
    static const char *const first[] = {
        "<|startoftext|>", "<|endoftext|>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"
    };
    size_t n = 0;

    if (*s == '<' || *s == '\'')
        for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
            if ((n = literal(s, left, first[i], true)) != 0)
                return n;
    vbg_char_class k = vbg_char_classify(*s);
    if (k == VBG_CHAR_SPACE)
        return 0;
    if (k == VBG_CHAR_NUMBER)
        return 1;
    for (n = 1; n < left && vbg_char_classify(s[n]) == k; n++)
        ;
    return n;
}

static void scan(encoder *e, const int32_t *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t got = match(s + i, n - i);
        if (got == 0)
            i++;
        else if (literal(s + i, got, start_text, false) == got)
            emit(e, (uint32_t)e->t->start_id);
        else if (literal(s + i, got, end_text, false) == got)
            emit(e, (uint32_t)e->t->end_id);
        else
            encode_word(e, s + i, got);
        i += got;
    }
}

/* Steps 2 to 6 for one piece between special strings. */
static void encode_piece(encoder *e, const int32_t *piece, size_t n)
{
    size_t m = 0;

    for (size_t i = 0; i < n; i++) {
        int32_t cp = piece[i];
        if (vbg_char_dropped(cp) && !vbg_char_blank(cp))
            continue;
        if (vbg_char_blank(cp)) {
            e->a[m++] = ' ';
        } else if (vbg_char_ideograph(cp)) {
            e->a[m++] = ' ';
            e->a[m++] = cp;
            e->a[m++] = ' ';
        } else {
            e->a[m++] = cp;
        }
    }
    m = vbg_text_nfc(e->a, e->b, m);
    size_t out = 0;
    for (size_t i = 0; i < m;) {
        if (vbg_char_splits(e->a[i])) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < m && !vbg_char_splits(e->a[end]))
            end++;
        out += vbg_text_lower(e->b + out, e->a + i, end - i);
        e->b[out++] = ' ';
        i = end;
    }
    scan(e, e->b, out);
}

/* Step 1: special strings in exact case, and SD2's pad token. */
static void encode_text(encoder *e, const int32_t *text, size_t n)
{
    size_t from = 0;

    for (size_t i = 0; i < n;) {
        size_t got = 0;
        int id = 0;
        if (text[i] == '!' && e->t->special_pad) {
            got = 1;
            id = e->t->pad_id;
        } else if (text[i] == '<') {
            if ((got = literal(text + i, n - i, start_text, false)) != 0)
                id = e->t->start_id;
            else if ((got = literal(text + i, n - i, end_text, false)) != 0)
                id = e->t->end_id;
        }
        if (got) {
            encode_piece(e, text + from, i - from);
            emit(e, (uint32_t)id);
            from = i += got;
        } else {
            i++;
        }
    }
    encode_piece(e, text + from, n - from);
}

ptrdiff_t vbg_tokenizer_encode(const vbg_tokenizer *t, const void *text, size_t len,
                               int *ids, size_t cap)
{
    if (len > VBG_PROMPT_MAX_BYTES)
        return -1;
    /* One block.  A code point becomes at most four by NFC and an ideograph three, a
     * space follows each word: 4n + 4.  In UTF-8 NFC triples and lower case adds half:
     * fewer than 5n + 8 symbols, each pushed once and each merge twice more. */
    size_t text_room = 4 * len + 4, word_room = 5 * len + 8;
    size_t words = len + 2 * text_room + 3 * word_room;
    int32_t *block = malloc(words * sizeof *block + 3 * word_room * sizeof(candidate));
    if (!block)
        return -1;
    encoder e = { .t = t, .ids = ids, .cap = cap };
    e.heap = (candidate *)block;
    int32_t *p = (int32_t *)(e.heap + 3 * word_room);
    e.symbol = (uint32_t *)p;
    e.prev = p + word_room;
    e.next = e.prev + word_room;
    e.a = e.next + word_room;
    e.b = e.a + text_room;
    int32_t *points = e.b + text_room;
    size_t n = vbg_utf8_decode(points, text, len, NULL);
    encode_text(&e, points, n);
    free(block);
    return (ptrdiff_t)e.count;
}

ptrdiff_t vbg_tokenizer_encode77(const vbg_tokenizer *t, const void *text, size_t len,
                                 int ids[VBG_TOKENS])
{
    ptrdiff_t count = vbg_tokenizer_encode(t, text, len, ids + 1, VBG_TOKENS - 2);
    ptrdiff_t used = count < 0 ? 0 : count;

    if (used > VBG_TOKENS - 2)
        used = VBG_TOKENS - 2;
    ids[0] = t->start_id;
    ids[used + 1] = t->end_id;
    for (ptrdiff_t i = used + 2; i < VBG_TOKENS; i++)
        ids[i] = t->pad_id;
    return count;
}
