/* A tokenizer folder from the merges of a .vbg file; see convert/export.h.
 * The vocabulary is what the ids of models/tokenizer.h say: 256 byte symbols, the same
 * with </w>, the merges, start and end. */
#define _GNU_SOURCE
#include "convert/export.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char START[] = "<|startoftext|>", END[] = "<|endoftext|>";

/* Bytes that stand for themselves; the others are 256, 257, ... */
static bool own_code_point(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

static void utf8_of(char out[4], int code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        out[1] = 0;
    } else {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        out[2] = 0;
    }
}

/* Byte symbols in the order of their ids: those that stand for themselves first. */
static int add_symbols(json_t *vocab, const char *end)
{
    char text[16], symbol[4];
    int id = (int)json_object_size(vocab), bad = 0, extra = 256;

    for (int own = 1; own >= 0; own--)
        for (int byte = 0; byte < 256; byte++) {
            if (own_code_point(byte) != (own == 1))
                continue;
            utf8_of(symbol, own ? byte : extra++);
            snprintf(text, sizeof text, "%s%s", symbol, end);
            bad |= json_object_set_new(vocab, text, json_integer(id++));
        }
    return bad;
}

/* The first count lines "a b" behind the header line. */
static bool add_merges(json_t *vocab, const char *text, size_t bytes, long count)
{
    const char *end = text + bytes, *line = memchr(text, '\n', bytes);
    char joined[2100];

    line = line ? line + 1 : end;
    for (long i = 0; i < count; i++) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *last = stop ? stop : end;
        const char *space = memchr(line, ' ', (size_t)(last - line));
        size_t n = (size_t)(last - line);
        if (!space || n > 2048)
            return false;
        while (n > 0 && line[n - 1] == '\r')
            n--;
        snprintf(joined, sizeof joined, "%.*s%.*s", (int)(space - line), line,
                 (int)((size_t)(line + n - space) - 1), space + 1);
        if (json_object_set_new(vocab, joined,
                                json_integer((json_int_t)json_object_size(vocab))) != 0)
            return false;
        line = stop ? stop + 1 : end;
    }
    return true;
}

static vbg_status write_json(const char *folder, const char *name, json_t *j,
                             vbg_err *err)
{
    char path[4352];
    char *text = j ? json_dumps(j, JSON_INDENT(1)) : NULL;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    const vbg_status st = text ? vbg_export_text(path, text, strlen(text), err)
                               : vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", path);
    free(text);
    json_decref(j);
    return st;
}

/* The text of token id. */
static const char *token_of(json_t *vocab, json_int_t id)
{
    const char *key;
    json_t *value;

    json_object_foreach(vocab, key, value)
    {
        if (json_integer_value(value) == id)
            return key;
    }
    return END;
}

static vbg_status write_settings(const char *folder, const char *pad, vbg_err *err)
{
    vbg_status st =
        write_json(folder, "special_tokens_map.json",
                   json_pack("{s:s,s:s,s:s,s:s}", "bos_token", START, "eos_token", END,
                             "pad_token", pad, "unk_token", END),
                   err);

    if (st == VBG_OK)
        st = write_json(folder, "tokenizer_config.json",
                        json_pack("{s:s,s:s,s:s,s:s,s:b,s:s,s:i,s:s}", "tokenizer_class",
                                  "CLIPTokenizer", "bos_token", START, "eos_token", END,
                                  "pad_token", pad, "add_prefix_space", 0, "errors",
                                  "replace", "model_max_length", 77, "unk_token", END),
                        err);
    return st;
}

vbg_status vbg_export_tokenizer(const vbg_weights *w, const char *folder, vbg_err *err)
{
    const void *merges;
    size_t bytes;
    const char *config = NULL;
    char path[4352];

    if (!vbg_weights_bytes(w, "tokenizer.merges", &merges, &bytes))
        return VBG_OK;
    vbg_weights_string(w, "tokenizer.config", &config);
    json_t *c = config ? json_loads(config, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *given = json_object_get(c, "merges"),
                 *pad_id = json_object_get(c, "pad_token_id");
    const long count = given ? (long)json_integer_value(given) : 49408 - 514;
    json_t *vocab = json_object();
    vbg_status st = VBG_OK;

    if (!vocab || add_symbols(vocab, "") || add_symbols(vocab, "</w>") ||
        !add_merges(vocab, merges, bytes, count) ||
        json_object_set_new(vocab, START, json_integer(512 + count)) ||
        json_object_set_new(vocab, END, json_integer(513 + count)))
        st = vbg_fail(err, VBG_EFORMAT, "%s: the merges are no tokenizer", folder);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    if (st == VBG_OK)
        st = vbg_export_text(path, merges, bytes, err);
    if (st == VBG_OK)
        st = write_settings(
            folder, pad_id ? token_of(vocab, json_integer_value(pad_id)) : END, err);
    if (st == VBG_OK)
        st = write_json(folder, "vocab.json", json_incref(vocab), err);
    json_decref(vocab);
    json_decref(c);
    return st;
}
