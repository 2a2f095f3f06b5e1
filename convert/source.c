/* Opens checkpoints made of safetensors files: single, sharded, diffusers folders. */
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
#include "engine/weights_format.h"

enum { MAX_INDEX = 16 << 20, MAX_SHARDS = 1024, MAX_CONFIG = 1 << 20, CONFIG_DEPTH = 32 };

bool vbg_plain_name(const char *name)
{
    return vbg_name_ok(name, strlen(name), 255) && !strchr(name, '/') &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

vbg_status vbg_read_text(char **out, size_t *bytes, int dir, const char *name,
                         const char *shown, size_t max_bytes, vbg_err *err)
{
    vbg_map map;
    vbg_status st = vbg_map_open_at(&map, dir, name, shown, max_bytes, err);

    if (st != VBG_OK)
        return st;
    char *text = malloc(map.bytes + 1);
    if (text) {
        if (map.bytes)
            memcpy(text, map.data, map.bytes);
        text[map.bytes] = 0;
        *out = text;
        if (bytes)
            *bytes = map.bytes;
    } else {
        st = vbg_fail(err, VBG_ENOMEM, "%s: out of memory", shown);
    }
    vbg_map_close(&map);
    return st;
}

static int by_file_offset(const void *a, const void *b)
{
    const vbg_source_tensor *x = a, *y = b;
    return (x->t->offset > y->t->offset) - (x->t->offset < y->t->offset);
}

vbg_status vbg_source_add_file(vbg_source *s, int dir, const char *name,
                               const char *shown, const char *part, vbg_err *err)
{
    vbg_safetensors *f = NULL;
    vbg_status st = vbg_st_open_at(&f, dir, name, shown, err);

    if (st != VBG_OK)
        return st;
    size_t n = vbg_st_count(f), total = s->count + n;
    void *files = realloc(s->file, (s->files + 1) * sizeof(*s->file));
    s->file = files ? files : s->file;
    void *paths = realloc(s->file_path, (s->files + 1) * sizeof(*s->file_path));
    s->file_path = paths ? paths : s->file_path;
    void *tensors = realloc(s->tensor, (total + 1) * sizeof *s->tensor);
    s->tensor = tensors ? tensors : s->tensor;
    char *copy = strdup(shown);
    if (!files || !paths || !tensors || !copy || total > VBG_MAX_TENSORS) {
        st = total > VBG_MAX_TENSORS
                 ? vbg_fail(err, VBG_ELIMIT, "%s: more than 65,536 tensors", s->path)
                 : vbg_fail(err, VBG_ENOMEM, "%s: out of memory", shown);
        free(copy);
        vbg_st_close(f);
        return st;
    }
    s->file[s->files] = f;
    s->file_path[s->files++] = copy;
    for (size_t i = 0; i < n; i++)
        s->tensor[s->count + i] = (vbg_source_tensor){ part, f, vbg_st_at(f, i) };
    if (n)
        qsort(s->tensor + s->count, n, sizeof *s->tensor, by_file_offset);
    s->count = total;
    return VBG_OK;
}

/* ---- shards ---- */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Opens every shard that the map names, once. */
static vbg_status add_named_shards(vbg_source *s, int dir, const char *folder,
                                   json_t *map, const char *part, vbg_err *err)
{
    const char *key;
    json_t *value;
    json_t *seen = json_object();
    vbg_status st = VBG_OK;
    char shown[4096], name[96];

    json_object_foreach(map, key, value)
    {
        const char *shard = json_string_value(value);
        if (!shard || strlen(shard) != json_string_length(value) ||
            !vbg_plain_name(shard) || !ends_with(shard, ".safetensors")) {
            st = vbg_fail(err, VBG_EFORMAT,
                          "%s: weight_map: shard of tensor \"%s\" is not a plain "
                          "safetensors file name",
                          folder, vbg_shorten(name, sizeof name, key));
            break;
        }
        if (json_object_get(seen, shard))
            continue;
        if (json_object_size(seen) >= MAX_SHARDS) {
            st = vbg_fail(err, VBG_ELIMIT, "%s: more than %d shards", folder, MAX_SHARDS);
            break;
        }
        json_object_set_new(seen, shard, json_integer((json_int_t)s->files));
        snprintf(shown, sizeof shown, "%s/%s", folder, shard);
        if (faccessat(dir, shard, F_OK, 0) < 0) {
            st = vbg_fail(err, VBG_EIO,
                          "%s: shard %s is absent; download the whole folder again",
                          folder, vbg_shorten(name, sizeof name, shard));
            break;
        }
        st = vbg_source_add_file(s, dir, shard, shown, part, err);
        if (st != VBG_OK)
            break;
    }
    json_decref(seen);
    return st;
}

static int by_tensor_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every tensor of the map must lie in the shard that the map names, and no name may
 * stand in two shards.  first: files of this index in s. */
static vbg_status check_shards(const vbg_source *s, size_t first_file,
                               size_t first_tensor, const char *folder, json_t *map,
                               vbg_err *err)
{
    const char *key;
    json_t *value;
    char name[96];
    size_t n = s->count - first_tensor;

    json_object_foreach(map, key, value)
    {
        bool found = false;
        for (size_t i = first_file; i < s->files && !found; i++) {
            const char *base = strrchr(s->file_path[i], '/');
            found = strcmp(base ? base + 1 : s->file_path[i], json_string_value(value)) ==
                        0 &&
                    vbg_st_find(s->file[i], key);
        }
        if (!found)
            return vbg_fail(err, VBG_EFORMAT,
                            "%s: tensor \"%s\" is not in the shard that the index names",
                            folder, vbg_shorten(name, sizeof name, key));
    }
    const char **names = calloc(n + 1, sizeof(*names));
    if (!names)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", folder);
    for (size_t i = 0; i < n; i++)
        names[i] = s->tensor[first_tensor + i].t->name;
    if (n)
        qsort(names, n, sizeof *names, by_tensor_name);
    vbg_status st = VBG_OK;
    for (size_t i = 1; i < n && st == VBG_OK; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            st = vbg_fail(err, VBG_EFORMAT, "%s: tensor \"%s\" is in two shards", folder,
                          vbg_shorten(name, sizeof name, names[i]));
    free(names);
    return st;
}

vbg_status vbg_source_add_shards(vbg_source *s, int dir, const char *folder,
                                 const char *index, const char *part, vbg_err *err)
{
    char shown[4096], *text = NULL;
    size_t bytes, first_file = s->files, first_tensor = s->count;
    const char *cause;
    json_t *root = NULL;

    snprintf(shown, sizeof shown, "%s/%s", folder, index);
    vbg_status st = vbg_read_text(&text, &bytes, dir, index, shown, MAX_INDEX, err);
    if (st != VBG_OK)
        return st;
    root = vbg_json_parse(text, bytes, 8, VBG_MAX_TENSORS + 64, &cause);
    free(text);
    if (!root)
        return vbg_fail(err, VBG_EFORMAT, "%s: %s", shown, cause);
    json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0)
        st = vbg_fail(err, VBG_EFORMAT, "%s: weight_map is missing, empty or no object",
                      shown);
    else
        st = add_named_shards(s, dir, folder, map, part, err);
    if (st == VBG_OK)
        st = check_shards(s, first_file, first_tensor, folder, map, err);
    json_decref(root);
    return st;
}

/* ---- folders ---- */

/* Opens folder/name as a folder: -1 when absent. */
static int open_folder(int dir, const char *name)
{
    return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool exists(int dir, const char *name)
{
    return faccessat(dir, name, F_OK, 0) == 0;
}

/* Adds the weights of one component folder; *found tells whether there were any. */
static vbg_status add_component(vbg_source *s, int dir, const char *folder,
                                const char *part, bool *found, vbg_err *err)
{
    static const char *const stems[] = { "diffusion_pytorch_model", "model" };
    static const char *const forms[] = {
        ".safetensors",
        ".fp16.safetensors",
        ".safetensors.index.json",
        ".safetensors.index.fp16.json",
        ".fp16.safetensors.index.json",
    };
    char name[128], shown[4096];

    *found = true;
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
        for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
            snprintf(name, sizeof name, "%s%s", stems[i], forms[f]);
            if (!exists(dir, name))
                continue;
            snprintf(shown, sizeof shown, "%s/%s", folder, name);
            return f < 2 ? vbg_source_add_file(s, dir, name, shown, part, err)
                         : vbg_source_add_shards(s, dir, folder, name, part, err);
        }
    *found = false;
    if (exists(dir, "diffusion_pytorch_model.bin") || exists(dir, "pytorch_model.bin"))
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "%s: only .bin (pickle) weights here, which vbg does not read; "
                        "download the .safetensors files",
                        folder);
    return VBG_OK;
}

/* A JSON object of a config file, kept as text; absent is fine. */
static vbg_status read_config(char **out, int dir, const char *folder, const char *name,
                              vbg_err *err)
{
    char shown[4096];
    size_t bytes;
    const char *cause;

    if (!exists(dir, name))
        return VBG_OK;
    snprintf(shown, sizeof shown, "%s/%s", folder, name);
    vbg_status st = vbg_read_text(out, &bytes, dir, name, shown, MAX_CONFIG, err);
    if (st != VBG_OK)
        return st;
    json_t *j = vbg_json_parse(*out, bytes, CONFIG_DEPTH, 65536, &cause);
    if (!json_is_object(j))
        st = vbg_fail(err, VBG_EFORMAT, "%s: %s", shown, j ? "not a JSON object" : cause);
    json_decref(j);
    return st;
}

/* The folders of a diffusers model that vbg uses, and what it calls them. */
static const struct {
    const char *folder, *part, *config;
} parts[] = {
    { "unet", "unet", "config.json" },
    { "vae", "vae", "config.json" },
    { "text_encoder", "text", "config.json" },
    { "scheduler", "scheduler", "scheduler_config.json" },
    { "tokenizer", "tokenizer", NULL },
};

static char **config_of(vbg_source_texts *t, const char *part)
{
    return strcmp(part, "unet") == 0   ? &t->unet
           : strcmp(part, "vae") == 0  ? &t->vae
           : strcmp(part, "text") == 0 ? &t->text
                                       : &t->scheduler;
}

/* model_index.json, if there: its component names must be plain. */
static vbg_status check_model_index(int dir, const char *folder, vbg_err *err)
{
    char *text = NULL;
    const char *key, *cause;
    json_t *value, *root;
    char name[96];
    vbg_status st = read_config(&text, dir, folder, "model_index.json", err);

    if (st == VBG_OK && text) {
        root = vbg_json_parse(text, strlen(text), CONFIG_DEPTH, 65536, &cause);
        json_object_foreach(root, key, value) if (!vbg_plain_name(key))
        {
            st = vbg_fail(err, VBG_EFORMAT,
                          "%s/model_index.json: component \"%s\" is not a plain name",
                          folder, vbg_shorten(name, sizeof name, key));
            break;
        }
        json_decref(root);
    }
    free(text);
    return st;
}

/* Reads the components of a diffusers folder; s NULL: only texts. */
static vbg_status read_parts(vbg_source *s, vbg_source_texts *texts, int dir,
                             const char *folder, size_t *found, vbg_err *err)
{
    char shown[4096];
    vbg_status st = check_model_index(dir, folder, err);

    *found = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && st == VBG_OK; i++) {
        int sub = open_folder(dir, parts[i].folder);
        bool weights = false;
        if (sub < 0)
            continue;
        snprintf(shown, sizeof shown, "%s/%s", folder, parts[i].folder);
        if (parts[i].config)
            st = read_config(config_of(texts, parts[i].part), sub, shown, parts[i].config,
                             err);
        else
            st = vbg_tokenizer_files(texts, sub, shown, err);
        if (st == VBG_OK && s && i < 3)
            st = add_component(s, sub, shown, parts[i].part, &weights, err);
        *found += weights || !s;
        close(sub);
    }
    return st;
}

/* Finds a weight file of the usual names with this ending. */
static bool usual_file(int dir, const char *end, char *name, size_t size)
{
    static const char *const names[] = { "diffusion_pytorch_model", "model" };

    for (size_t i = 0; i < 2; i++) {
        snprintf(name, size, "%s%s", names[i], end);
        if (exists(dir, name))
            return true;
    }
    return false;
}

static vbg_status open_dir(vbg_source *s, const char *path, vbg_err *err)
{
    char name[128];
    size_t found = 0;
    bool weights = false;
    vbg_status st;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
    if (usual_file(dir, ".safetensors.index.json", name, sizeof name)) {
        s->format = "sharded safetensors";
        st = vbg_source_add_shards(s, dir, path, name, "", err);
        found = 1;
    } else {
        s->format = "diffusers folder";
        st = read_parts(s, &s->texts, dir, path, &found, err);
        if (st == VBG_OK && !found) {
            st = add_component(s, dir, path, "", &weights, err);
            found = weights;
        }
    }
    if (st == VBG_OK && !found)
        st = vbg_fail(err, VBG_EFORMAT,
                      "%s: no weights found; a diffusers folder has unet/, vae/ and "
                      "text_encoder/ with .safetensors files",
                      path);
    close(dir);
    return st;
}

/* path is an index file: its folder is opened, the name is its last component. */
static vbg_status open_index(vbg_source *s, const char *path, vbg_err *err)
{
    char *folder = strdup(path);

    if (!folder)
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    char *slash = strrchr(folder, '/');
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    if (slash)
        slash[slash == folder ? 1 : 0] = 0;
    int dir = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->format = "sharded safetensors";
    vbg_status st =
        dir < 0 ? vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno))
                : vbg_source_add_shards(s, dir, slash ? folder : ".", base, "", err);
    if (dir >= 0)
        close(dir);
    free(folder);
    return st;
}

/* Names files that are something else, so that the message helps. */
static vbg_status refuse_others(const char *path, vbg_err *err)
{
    static const struct {
        const char *magic;
        size_t bytes;
        const char *what;
    } others[] = {
        { "PK\3\4", 4,
          "a zip archive (PyTorch checkpoint), which vbg does not read yet; use "
          "a .safetensors file" },
        { "\x80\2", 2,
          "a pickle (PyTorch checkpoint), which vbg does not read; use a "
          ".safetensors file" },
        { VBG_FILE_MAGIC, 8, "a .vbg file already; --list shows what is in it" },
        { "version https://git-lfs", 23,
          "a Git LFS pointer, not the file itself; download "
          "the file" },
        { "<!DOCTYPE", 9, "a web page, not a model; download the file again" },
        { "<html", 5, "a web page, not a model; download the file again" },
        { "GGUF", 4, "a GGUF file, which vbg does not read; use a .safetensors file" },
    };
    vbg_map map;
    vbg_status st = vbg_map_open(&map, path, VBG_MAX_MODEL_BYTES, err);

    for (size_t i = 0; i < sizeof others / sizeof *others && st == VBG_OK; i++)
        if (map.bytes >= others[i].bytes &&
            memcmp(map.data, others[i].magic, others[i].bytes) == 0)
            st = vbg_fail(err, VBG_EUNSUPPORTED, "%s: is %s", path, others[i].what);
    if (st == VBG_OK && ends_with(path, ".onnx"))
        st = vbg_fail(err, VBG_EUNSUPPORTED, "%s: ONNX files are not read yet", path);
    vbg_map_close(&map);
    return st;
}

vbg_status vbg_source_open(vbg_source **out, const char *path, vbg_err *err)
{
    vbg_source *s = calloc(1, sizeof *s);
    struct stat info;
    vbg_status st = VBG_ENOMEM;

    if (!s || !(s->path = strdup(path))) {
        vbg_fail(err, st, "%s: out of memory", path);
        goto done;
    }
    if (stat(path, &info) < 0) {
        st = vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
        goto done;
    }
    s->format = "safetensors";
    if (S_ISDIR(info.st_mode))
        st = open_dir(s, path, err);
    else if (ends_with(path, ".json"))
        st = open_index(s, path, err);
    else if ((st = refuse_others(path, err)) == VBG_OK)
        st = vbg_source_add_file(s, AT_FDCWD, path, path, "", err);
    if (st == VBG_OK) {
        *out = s;
        s = NULL;
    }
done:
    vbg_source_close(s);
    return st;
}

void vbg_source_close(vbg_source *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->files; i++) {
        vbg_st_close(s->file[i]);
        free(s->file_path[i]);
    }
    free(s->file);
    free(s->file_path);
    free(s->tensor);
    free(s->path);
    vbg_source_free_texts(&s->texts);
    free(s);
}

vbg_status vbg_source_read_texts(vbg_source_texts *out, const char *dir, vbg_err *err)
{
    size_t found = 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    *out = (vbg_source_texts){ 0 };
    if (fd < 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", dir, strerror(errno));
    vbg_status st = read_parts(NULL, out, fd, dir, &found, err);
    if (st == VBG_OK && !found)
        st = vbg_fail(err, VBG_EFORMAT,
                      "%s: not a diffusers folder (no unet/, tokenizer/, ...)", dir);
    close(fd);
    if (st != VBG_OK)
        vbg_source_free_texts(out);
    return st;
}

void vbg_source_free_texts(vbg_source_texts *t)
{
    free(t->unet);
    free(t->vae);
    free(t->text);
    free(t->scheduler);
    free(t->merges);
    free(t->tokenizer);
    *t = (vbg_source_texts){ 0 };
}
