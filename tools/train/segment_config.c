/* noisrucer's configuration; see tools/train/segment_config.h. */
#define _GNU_SOURCE
#include "tools/train/segment_config.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/json_text.h"
#include "engine/io.h"

enum { MAX_BYTES = 1 << 20, MAX_TEXT = 4096, MAX_NUMBER = 64, DEPTH = 32 };

typedef enum key_type { OBJECT, TEXT, WHOLE, REAL, BOOLEAN, ANYTHING } key_type;

/* A key with its range; option: what it becomes, NULL: nothing or by hand below. */
typedef struct key {
    const char *path;
    key_type type;
    double min, max;
    const char *option;
} key;

static const key keys[] = {
    { "project_name", TEXT, 0, 0, NULL },
    { "device", TEXT, 0, 0, NULL },
    { "n_gpu", WHOLE, 0, 64, NULL },
    { "run_id", TEXT, 0, 0, NULL },
    { "n_class", WHOLE, 1, 256, NULL },
    { "model", OBJECT, 0, 0, NULL },
    { "model.type", TEXT, 0, 0, NULL },
    { "model.args", OBJECT, 0, 0, NULL },
    { "model.args.in_channels", WHOLE, 3, 3, NULL },
    { "model.args.num_classes", WHOLE, 1, 2, "classes" },
    { "model.args.training", BOOLEAN, 0, 0, NULL },
    { "data_loaders", OBJECT, 0, 0, NULL },
    { "data_loaders.type", TEXT, 0, 0, NULL },
    { "data_loaders.args", OBJECT, 0, 0, NULL },
    { "data_loaders.args.img_dir", TEXT, 0, 0, NULL },
    { "data_loaders.args.matting_dir", TEXT, 0, 0, NULL },
    { "data_loaders.args.csv_path", TEXT, 0, 0, NULL },
    { "data_loaders.args.batch_size", WHOLE, 1, 65536, "batch" },
    { "data_loaders.args.shuffle", BOOLEAN, 0, 0, "shuffle" },
    { "data_loaders.args.num_workers", WHOLE, 0, 64, NULL },
    { "optimizer", OBJECT, 0, 0, NULL },
    { "optimizer.type", TEXT, 0, 0, NULL },
    { "optimizer.args", OBJECT, 0, 0, NULL },
    { "optimizer.args.lr", REAL, 0, 1000, "lr" },
    { "optimizer.args.weight_decay", REAL, 0, 10, "weight-decay" },
    { "optimizer.args.amsgrad", BOOLEAN, 0, 0, NULL },
    { "optimizer.args.momentum", REAL, 0, 1, "momentum" },
    { "optimizer.args.nesterov", BOOLEAN, 0, 0, NULL },
    { "loss", ANYTHING, 0, 0, NULL },
    { "metrics", ANYTHING, 0, 0, NULL },
    { "lr_scheduler", OBJECT, 0, 0, NULL },
    { "lr_scheduler.type", TEXT, 0, 0, NULL },
    { "lr_scheduler.args", OBJECT, 0, 0, NULL },
    { "lr_scheduler.args.step_size", WHOLE, 1, 1e6, "every" },
    { "lr_scheduler.args.gamma", REAL, 0, 1, "gamma" },
    { "trainer", OBJECT, 0, 0, NULL },
    { "trainer.epochs", WHOLE, 1, 1e6, "epochs" },
    { "trainer.save_dir", TEXT, 0, 0, NULL },
    { "trainer.save_period", WHOLE, 1, 1e6, NULL },
    { "trainer.verbosity", WHOLE, 0, 2, NULL },
};

enum { KEYS = sizeof keys / sizeof *keys };

/* A configuration being read. */
typedef struct config {
    vbg_values *v;
    const char *path;
    json_t *root;
    const json_t *found[KEYS];
    vbg_err *err;
} config;

static const json_t *value_of(const config *c, const char *path)
{
    for (int i = 0; i < KEYS; i++)
        if (strcmp(keys[i].path, path) == 0)
            return c->found[i];
    VBG_CHECK(false, "no key %s", path);
    return NULL;
}

static const char *text_of(const config *c, const char *path)
{
    return json_string_value(value_of(c, path));
}

/* ---- checking ---- */

static vbg_status unknown_key(const config *c, const char *path)
{
    const char *nearest = NULL;
    size_t best = 6;

    for (int i = 0; i < KEYS; i++) {
        /* the last part alone: keys are mistyped, not their places */
        const char *dot = strrchr(keys[i].path, '.'), *mine = strrchr(path, '.');
        const size_t d =
            vbg_edit_distance(dot ? dot + 1 : keys[i].path, mine ? mine + 1 : path);
        if (d < best) {
            best = d;
            nearest = keys[i].path;
        }
    }
    return nearest ? vbg_fail(c->err, VBG_EFORMAT,
                              "%s: unknown key \"%.100s\", did you mean \"%s\"?", c->path,
                              path, nearest)
                   : vbg_fail(c->err, VBG_EFORMAT, "%s: unknown key \"%.100s\"", c->path,
                              path);
}

/* What a value looks like in a message. */
static const char *shown(char *dst, size_t size, const json_t *v)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

    vbg_shorten(dst, size, text ? text : "?");
    free(text);
    return dst;
}

static vbg_status check_value(const config *c, const key *k, const json_t *v)
{
    static const char *const name[] = { "an object", "a text",        "a whole number",
                                        "a number",  "true or false", "" };
    const bool fits = k->type == OBJECT    ? json_is_object(v)
                      : k->type == TEXT    ? json_is_string(v)
                      : k->type == WHOLE   ? json_is_integer(v)
                      : k->type == REAL    ? json_is_number(v)
                      : k->type == BOOLEAN ? json_is_boolean(v)
                                           : true;
    char text[80];

    if (!fits)
        return vbg_fail(c->err, VBG_EFORMAT, "%s: \"%s\" is %s, not %s", c->path, k->path,
                        shown(text, sizeof text, v), name[k->type]);
    if (k->type == TEXT && json_string_length(v) > MAX_TEXT)
        return vbg_fail(c->err, VBG_ELIMIT, "%s: \"%s\" has %zu bytes (at most %d)",
                        c->path, k->path, json_string_length(v), MAX_TEXT);
    if (k->type != WHOLE && k->type != REAL)
        return VBG_OK;
    const double x = json_number_value(v);
    if (!(x >= k->min && x <= k->max) ||
        (x <= 0 && k->option && strcmp(k->option, "lr") == 0))
        return vbg_fail(c->err, VBG_EFORMAT, "%s: \"%s\" is %s (%g to %g)", c->path,
                        k->path, shown(text, sizeof text, v), k->min, k->max);
    return VBG_OK;
}

/* Every key of object, below prefix ("" or "model."). */
static vbg_status check_object(config *c, json_t *object, const char *prefix, int depth)
{
    const char *name;
    json_t *v;
    char path[256];

    json_object_foreach(object, name, v)
    {
        int i = 0;
        snprintf(path, sizeof path, "%s%.100s", prefix, name);
        while (i < KEYS && strcmp(keys[i].path, path) != 0)
            i++;
        if (i == KEYS)
            return unknown_key(c, path);
        vbg_status st = check_value(c, &keys[i], v);
        if (st == VBG_OK && keys[i].type == OBJECT && depth < 3) {
            snprintf(path, sizeof path, "%s.", keys[i].path);
            st = check_object(c, v, path, depth + 1);
        }
        if (st != VBG_OK)
            return st;
        c->found[i] = v;
    }
    return VBG_OK;
}

/* A run of number characters that no honest number needs: refused before it is parsed. */
static bool long_number(const char *text, size_t bytes)
{
    size_t run = 0;
    bool string = false;

    for (size_t i = 0; i < bytes; i++) {
        const char ch = text[i];
        if (string && ch == '\\')
            i++;
        else if (ch == '"')
            string = !string;
        run = !string && (strchr("0123456789.eE+-", ch) && ch) ? run + 1 : 0;
        if (run > MAX_NUMBER)
            return true;
    }
    return false;
}

static vbg_status parse(config *c)
{
    const char *cause = "";
    vbg_map m;
    vbg_status st = vbg_map_open(&m, c->path, MAX_BYTES, c->err);

    if (st != VBG_OK)
        return st;
    const unsigned char *d = m.data;
    if (m.bytes == 0)
        st = vbg_fail(c->err, VBG_EFORMAT, "%s: is empty", c->path);
    else if (m.bytes > 1 && (d[0] == 0xff || d[0] == 0xfe))
        st = vbg_fail(c->err, VBG_EFORMAT, "%s: is UTF-16; save it as UTF-8", c->path);
    else if (long_number((const char *)d, m.bytes))
        st = vbg_fail(c->err, VBG_ELIMIT, "%s: a number of more than %d characters",
                      c->path, MAX_NUMBER);
    else
        c->root = vbg_json_parse((const char *)d, m.bytes, DEPTH, 4096, &cause);
    vbg_map_close(&m);
    if (st == VBG_OK && !c->root)
        st = vbg_fail(c->err, VBG_EFORMAT, "%s: %s", c->path, cause);
    if (st == VBG_OK && !json_is_object(c->root))
        st = vbg_fail(c->err, VBG_EFORMAT, "%s: not a JSON object", c->path);
    return st == VBG_OK ? check_object(c, c->root, "", 0) : st;
}

/* ---- what it means ---- */

static vbg_status set(const config *c, const char *option, const char *text)
{
    const bool other = strcmp(option, "epochs") == 0 && vbg_value_given(c->v, "steps");

    return other || vbg_value_given(c->v, option)
               ? VBG_OK
               : vbg_values_set(c->v, option, text, c->err);
}

/* Keys that are options as they stand. */
static vbg_status set_plain(const config *c)
{
    char text[80];

    for (int i = 0; i < KEYS; i++) {
        if (!keys[i].option || !c->found[i])
            continue;
        if (json_is_boolean(c->found[i]))
            snprintf(text, sizeof text, "%s", json_is_true(c->found[i]) ? "yes" : "no");
        else if (json_is_integer(c->found[i]))
            snprintf(text, sizeof text, "%lld",
                     (long long)json_integer_value(c->found[i]));
        else
            snprintf(text, sizeof text, "%.17g", json_number_value(c->found[i]));
        vbg_status st = set(c, keys[i].option, text);
        if (st != VBG_OK)
            return st;
    }
    return VBG_OK;
}

static vbg_status set_device(const config *c)
{
    const char *device = text_of(c, "device");
    char text[80], end;
    unsigned n;

    if (!device || strcmp(device, "cpu") == 0)
        return VBG_OK;
    if (strcmp(device, "cuda") == 0 || strcmp(device, "gpu") == 0 ||
        (sscanf(device, "cuda:%2u%c", &n, &end) == 1 && n < 16)) {
        vbg_note("%s: device %s: vbg trains on the CPU", c->path, device);
        return VBG_OK;
    }
    return vbg_fail(c->err, VBG_EFORMAT, "%s: device \"%s\" does not exist (\"cpu\")",
                    c->path, vbg_shorten(text, sizeof text, device));
}

static vbg_status set_optimizer(const config *c)
{
    static const struct {
        const char *name, *option, *variant; /* variant: with amsgrad or nesterov */
    } kinds[] = { { "Adam", "adam", "amsgrad" },
                  { "AdamW", "adamw", "adamw" },
                  { "SGD", "sgd", "nesterov" },
                  { "RMSprop", "rmsprop", "rmsprop" } };
    const char *type = text_of(c, "optimizer.type");
    const bool variant = json_is_true(value_of(c, "optimizer.args.amsgrad")) ||
                         json_is_true(value_of(c, "optimizer.args.nesterov"));
    char text[80];

    if (!type)
        return VBG_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].name) == 0)
            return set(c, "optimizer", variant ? kinds[i].variant : kinds[i].option);
    return vbg_fail(c->err, VBG_EFORMAT,
                    "%s: optimizer \"%s\" (Adam, AdamW, SGD or RMSprop)", c->path,
                    vbg_shorten(text, sizeof text, type));
}

static vbg_status set_schedule(const config *c)
{
    const char *type = text_of(c, "lr_scheduler.type");
    char text[80];
    vbg_status st;

    if (!type)
        return VBG_OK;
    if (strcmp(type, "StepLR") != 0)
        return vbg_fail(c->err, VBG_EFORMAT, "%s: lr_scheduler \"%s\" (StepLR)", c->path,
                        vbg_shorten(text, sizeof text, type));
    st = set(c, "schedule", "step");
    return st == VBG_OK ? set(c, "schedule-per", "epoch") : st;
}

/* The table where the configuration says, else beside the configuration. */
static vbg_status set_data(const config *c)
{
    const char *csv = text_of(c, "data_loaders.args.csv_path");
    const json_t *workers = value_of(c, "data_loaders.args.num_workers");
    char text[32];
    vbg_status st = VBG_OK;

    if (workers && json_integer_value(workers) > 0) {
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(workers));
        st = set(c, "loaders", text);
    }
    if (!csv || st != VBG_OK)
        return st;
    if (!*csv)
        return vbg_fail(c->err, VBG_EFORMAT,
                        "%s: \"data_loaders.args.csv_path\" is empty", c->path);
    const char *slash = strrchr(c->path, '/');
    char *beside = NULL;
    if (csv[0] != '/' && access(csv, F_OK) != 0 && slash &&
        asprintf(&beside, "%.*s/%s", (int)(slash - c->path), c->path, csv) < 0)
        return vbg_fail(c->err, VBG_ENOMEM, "not enough memory");
    st = set(c, "data", beside ? beside : csv);
    free(beside);
    return st;
}

/* save_dir/models/run_id, as the original lays it out. */
static vbg_status set_out(const config *c)
{
    const char *dir = text_of(c, "trainer.save_dir"), *run = text_of(c, "run_id");
    char *out = NULL;

    if (!dir)
        return VBG_OK;
    if (!*dir)
        return vbg_fail(c->err, VBG_EFORMAT, "%s: \"trainer.save_dir\" is empty",
                        c->path);
    const size_t n = strlen(dir);
    if (asprintf(&out, "%s%smodels/%s", dir, dir[n - 1] == '/' ? "" : "/",
                 run && *run ? run : "run") < 0)
        return vbg_fail(c->err, VBG_ENOMEM, "not enough memory");
    const vbg_status st = set(c, "out", out);
    free(out);
    return st;
}

vbg_status vbg_segment_config(vbg_values *v, const char *path, vbg_err *err)
{
    config c = { .v = v, .path = path, .err = err };
    vbg_status (*const part[])(const config *) = { set_plain,     set_device,
                                                   set_optimizer, set_schedule,
                                                   set_data,      set_out };
    vbg_status st = parse(&c);

    for (size_t i = 0; st == VBG_OK && i < sizeof part / sizeof *part; i++)
        st = part[i](&c);
    json_decref(c.root);
    return st;
}
