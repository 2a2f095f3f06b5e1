/* Tokenizer folders (vocab.json, merges.txt, special_tokens_map.json,
 * tokenizer_config.json) and the local hub cache.
 *
 * Ids follow from the order of the merges: 256 bytes, 256 byte ends, one per merge, two
 * specials.  vocab.json is only compared with that, since vbg's tokenizer needs no more
 * than the merges. */
#define _GNU_SOURCE
#include "convert/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert/json_text.h"
#include "engine/io.h"

enum {
    MAX_TOKENIZER_JSON = 32 << 20,
    MAX_MERGES = 15 << 20, /* a metadata value of a .vbg holds 16 MiB */
    MAX_ENTRIES = 262144,
    MAX_TOKEN = 1024,
    FIRST_MERGE = 512,
    CLIP_VOCABULARY = 49408 /* symbols, merges, start and end token */
};

/* Reads and parses folder/name; *out stays NULL when it is absent. */
static vbg_status read_json(json_t **out, int dir, const char *folder, const char *name,
                            vbg_err *err)
{
    char shown[4096], *text = NULL;
    size_t bytes;
    const char *cause;

    *out = NULL;
    if (faccessat(dir, name, F_OK, 0) < 0)
        return VBG_OK;
    snprintf(shown, sizeof shown, "%s/%s", folder, name);
    vbg_status st =
        vbg_read_text(&text, &bytes, dir, name, shown, MAX_TOKENIZER_JSON, err);
    if (st != VBG_OK)
        return st;
    *out = vbg_json_parse(text, bytes, 32, MAX_ENTRIES + 64, &cause);
    free(text);
    if (!json_is_object(*out)) {
        st = vbg_fail(err, VBG_EFORMAT, "%s: %s", shown, *out ? "not an object" : cause);
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

/* Ids must be exactly 0..n-1, and the end token must be there. */
static vbg_status check_vocab(const json_t *vocab, const char *folder, vbg_err *err)
{
    size_t n = json_object_size(vocab);
    const char *key;
    json_t *value;
    vbg_status st = VBG_OK;
    unsigned char *seen = calloc(n + 1, 1);

    if (!seen)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", folder);
    json_object_foreach((json_t *)(uintptr_t)vocab, key, value)
    {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
        if (strlen(key) > MAX_TOKEN || id < 0 || (size_t)id >= n || seen[id]) {
            st = vbg_fail(err, VBG_EFORMAT,
                          "%s/vocab.json: a token is too long, or its id is no number, "
                          "outside 0..%zu or given twice",
                          folder, n - 1);
            break;
        }
        seen[id] = 1;
    }
    free(seen);
    if (st == VBG_OK && n < FIRST_MERGE + 2)
        st = vbg_fail(err, VBG_EFORMAT, "%s/vocab.json: only %zu tokens", folder, n);
    if (st == VBG_OK && !json_object_get(vocab, "<|endoftext|>"))
        st = vbg_fail(err, VBG_EFORMAT, "%s/vocab.json: no token <|endoftext|>", folder);
    return st;
}

/* Compares each merge "a b" with the id of "ab" in the vocabulary. */
static vbg_status check_merges(const json_t *vocab, const char *merges,
                               const char *folder, vbg_err *err)
{
    char token[2 * MAX_TOKEN];
    const char *line = strchr(merges, '\n');
    json_int_t id = FIRST_MERGE;
    json_int_t last = (json_int_t)json_object_size(vocab) - 2;

    for (line = line ? line + 1 : ""; *line && id < last; id++) {
        size_t n = strcspn(line, "\n"), o = 0;
        if (n >= sizeof token)
            return vbg_fail(err, VBG_EFORMAT, "%s/merges.txt: line %lld is too long",
                            folder, (long long)(id - FIRST_MERGE + 2));
        for (size_t i = 0; i < n; i++)
            if (line[i] != ' ' && line[i] != '\r')
                token[o++] = line[i];
        token[o] = 0;
        json_t *found = json_object_get(vocab, token);
        if (!json_is_integer(found) || json_integer_value(found) != id)
            return vbg_fail(err, VBG_EFORMAT,
                            "%s: line %lld of merges.txt and vocab.json disagree", folder,
                            (long long)(id - FIRST_MERGE + 2));
        line += n + (line[n] == '\n');
    }
    return VBG_OK;
}

/* The text of a special token entry: a string or {"content": ...}. */
static const char *token_text(const json_t *entry)
{
    return json_is_object(entry) ? json_string_value(json_object_get(entry, "content"))
                                 : json_string_value(entry);
}

/* special_tokens_map.json wins over tokenizer_config.json (SD2's folders contradict
 * themselves, and the slow tokenizer follows the map). */
static vbg_status read_pad(vbg_source_texts *out, const json_t *vocab, int dir,
                           const char *folder, vbg_err *err)
{
    json_t *map = NULL, *config = NULL;
    const json_int_t n = vocab ? (json_int_t)json_object_size(vocab) : CLIP_VOCABULARY;
    json_int_t id = n - 1; /* the end token */
    char text[128];
    vbg_status st = read_json(&map, dir, folder, "special_tokens_map.json", err);

    if (st == VBG_OK)
        st = read_json(&config, dir, folder, "tokenizer_config.json", err);
    if (st == VBG_OK) {
        const char *pad = token_text(json_object_get(map, "pad_token"));
        if (!pad)
            pad = token_text(json_object_get(config, "pad_token"));
        json_t *found = pad ? json_object_get(vocab, pad) : NULL;
        if (json_is_integer(found))
            id = json_integer_value(found);
        else if (pad && strcmp(pad, "!") == 0)
            id = 0;
        snprintf(text, sizeof text,
                 "{\"pad_token_id\":%lld,\"special_pad\":%s,\"merges\":%lld}",
                 (long long)id, id < n - 2 ? "true" : "false",
                 (long long)(n - FIRST_MERGE - 2));
        out->tokenizer = strdup(text);
        if (!out->tokenizer)
            st = vbg_fail(err, VBG_ENOMEM, "%s: out of memory", folder);
    }
    json_decref(map);
    json_decref(config);
    return st;
}

vbg_status vbg_tokenizer_files(vbg_source_texts *out, int dir, const char *folder,
                               vbg_err *err)
{
    json_t *vocab = NULL;
    char shown[4096];

    if (faccessat(dir, "merges.txt", F_OK, 0) < 0)
        return VBG_OK;
    snprintf(shown, sizeof shown, "%s/merges.txt", folder);
    vbg_status st = vbg_read_text(&out->merges, &out->merges_bytes, dir, "merges.txt",
                                  shown, MAX_MERGES, err);
    if (st == VBG_OK)
        st = read_json(&vocab, dir, folder, "vocab.json", err);
    if (st == VBG_OK && vocab)
        st = check_vocab(vocab, folder, err);
    if (st == VBG_OK && vocab)
        st = check_merges(vocab, out->merges, folder, err);
    if (st == VBG_OK)
        st = read_pad(out, vocab, dir, folder, err);
    json_decref(vocab);
    return st;
}

/* ---- hub cache ---- */

/* Root of the hub cache in the order of huggingface_hub. */
static bool hub_root(char *dst, size_t size)
{
    const char *cache = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME");
    int n;

    if (cache && *cache)
        n = snprintf(dst, size, "%s", cache);
    else if (home && *home)
        n = snprintf(dst, size, "%s/hub", home);
    else if ((home = getenv("HOME")) && *home)
        n = snprintf(dst, size, "%s/.cache/huggingface/hub", home);
    else
        return false;
    return n > 0 && (size_t)n < size;
}

vbg_status vbg_hub_folder(char **out, const char *id, vbg_err *err)
{
    char root[2048], repo[3072], path[4096], *ref = NULL;
    const char *slash = strchr(id, '/');
    struct stat info;

    if (!slash || slash == id || !slash[1] || strchr(slash + 1, '/') ||
        !vbg_plain_name(slash + 1) || id[0] == '.' || !hub_root(root, sizeof root))
        return vbg_fail(err, VBG_EIO, "%.200s: no such file or folder", id);
    snprintf(repo, sizeof repo, "%s/models--%.*s--%s", root, (int)(slash - id), id,
             slash + 1);
    snprintf(path, sizeof path, "%s/refs/main", repo);
    if (stat(path, &info) < 0 ||
        vbg_read_text(&ref, NULL, AT_FDCWD, path, path, 4096, err) != VBG_OK)
        return vbg_fail(err, VBG_EIO,
                        "%.200s: no such file, and not in the local hub cache %s (vbg "
                        "downloads nothing)",
                        id, root);
    ref[strcspn(ref, "\r\n")] = 0;
    bool plain = vbg_plain_name(ref);
    snprintf(path, sizeof path, "%s/snapshots/%s", repo, plain ? ref : "");
    free(ref);
    if (!plain || stat(path, &info) < 0 || !S_ISDIR(info.st_mode))
        return vbg_fail(err, VBG_EIO, "%.200s: its snapshot is not in the hub cache %s",
                        id, root);
    *out = strdup(path);
    return *out ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "out of memory");
}
