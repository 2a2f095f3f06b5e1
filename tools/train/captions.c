/* Pictures with captions; see tools/train/captions.h. */
#define _GNU_SOURCE
#include "tools/train/captions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utf8proc.h>

#include "convert/json_text.h"
#include "engine/io.h"
#include "engine/picture_io.h"
#include "engine/picture_resize.h"
#include "tools/options.h"
#include "tools/train/csv_table.h"

enum { MAX_CAPTION = 65536, MAX_LINE = 1 << 20 };

/* ---- captions ---- */

/* First byte of text that is no valid UTF-8, or bytes. */
static size_t valid_utf8(const char *text, size_t bytes)
{
    size_t at = 0;

    while (at < bytes) {
        utf8proc_int32_t code;
        const utf8proc_ssize_t n = utf8proc_iterate(
            (const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(bytes - at), &code);
        if (n <= 0 || code == 0)
            break;
        at += (size_t)n;
    }
    return at;
}

vbg_status vbg_caption_clean(char **out, const char *text, size_t bytes, const char *name,
                             vbg_err *err)
{
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    while (bytes && (unsigned char)text[bytes - 1] <= ' ')
        bytes--;
    while (bytes && (unsigned char)text[0] <= ' ' && text[0]) {
        text++;
        bytes--;
    }
    if (bytes == 0)
        return vbg_fail(err, VBG_EFORMAT, "%s: the caption is empty", name);
    if (bytes > MAX_CAPTION)
        return vbg_fail(err, VBG_EFORMAT, "%s: a caption of %zu bytes (at most %d)", name,
                        bytes, MAX_CAPTION);
    const size_t good = valid_utf8(text, bytes);
    if (good < bytes)
        return vbg_fail(err, VBG_EFORMAT, "%s: the caption is not UTF-8 at byte %zu",
                        name, good);
    *out = malloc(bytes + 1);
    if (!*out)
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", name);
    for (size_t i = 0; i < bytes; i++)
        (*out)[i] = (unsigned char)text[i] < ' ' || text[i] == 127 ? ' ' : text[i];
    (*out)[bytes] = 0;
    return VBG_OK;
}

vbg_status vbg_caption_read(char **out, const char *path, vbg_err *err)
{
    vbg_map m;

    if (access(path, F_OK) != 0)
        return vbg_fail(err, VBG_EIO, "%s: the caption is missing", path);
    vbg_status st = vbg_map_open(&m, path, MAX_LINE, err);
    if (st != VBG_OK)
        return st;
    st = vbg_caption_clean(out, m.bytes ? (const char *)m.data : "", m.bytes, path, err);
    vbg_map_close(&m);
    return st;
}

/* ---- listing ---- */

typedef struct lister {
    vbg_captions *c;
    const vbg_captions_opt *opt;
    const char *table; /* the metadata file */
} lister;

/* Takes picture and text over. */
static vbg_status append(vbg_captions *c, vbg_captioned item, vbg_err *err)
{
    if (c->count == c->room) {
        const size_t room = c->room ? 2 * c->room : 64;
        vbg_captioned *grown = realloc(c->item, room * sizeof *grown);
        if (!grown) {
            free(item.picture);
            free(item.text);
            return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", c->tally.where);
        }
        c->item = grown;
        c->room = room;
    }
    c->item[c->count++] = item;
    c->tally.good++;
    return VBG_OK;
}

/* Looks at the picture's header.  Takes text (may be NULL) over. */
static vbg_status add(const lister *l, const char *picture, char *text, vbg_err *err)
{
    vbg_captioned item = { .picture = strdup(picture), .text = text };
    vbg_picture_info info = { 0 };
    vbg_err why = { "" };

    vbg_status st = item.picture ? VBG_OK : VBG_ENOMEM;
    if (st == VBG_OK)
        st = vbg_picture_read_info(&info, &item.w, &item.h, picture, &why);
    if (st == VBG_OK)
        vbg_picture_info_free(&info);
    if (st == VBG_OK && vbg_min_int(item.w, item.h) < l->opt->min_side)
        st = vbg_fail(&why, VBG_EFORMAT, "%s: %dx%d pixels (at least %d needed)", picture,
                      item.w, item.h, l->opt->min_side);
    if (st == VBG_OK)
        return append(l->c, item, err);
    free(item.picture);
    free(text);
    if (st == VBG_ENOMEM)
        return vbg_fail(err, st, "%s: not enough memory", picture);
    return vbg_tally_broken(&l->c->tally, err, "%s", why.text);
}

/* A row of a metadata file: name is relative to it. */
static vbg_status add_row(const lister *l, const char *name, const char *text,
                          size_t bytes, size_t row, vbg_err *err)
{
    char where[4352], *clean = NULL;
    vbg_err why = { "" };
    vbg_status st = VBG_OK;

    snprintf(where, sizeof where, "%s: row %zu", l->table, row);
    if (!l->opt->no_text)
        st = vbg_caption_clean(&clean, text, bytes, where, &why);
    if (st == VBG_ENOMEM)
        return vbg_fail(err, st, "%s", why.text);
    if (st != VBG_OK)
        return vbg_tally_broken(&l->c->tally, err, "%s", why.text);
    char *picture = vbg_beside(l->table, name);
    if (!picture) {
        free(clean);
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", where);
    }
    st = add(l, picture, clean, err);
    free(picture);
    return st;
}

static vbg_status csv_row(void *arg, size_t row, const char *const *field,
                          const char *why, vbg_err *err)
{
    const lister *l = arg;

    if (field && !field[0][0])
        why = "no file name";
    if (why)
        return vbg_tally_broken(&l->c->tally, err, "%s: row %zu: %s", l->table, row, why);
    return add_row(l, field[0], field[1], strlen(field[1]), row, err);
}

/* One line of metadata.jsonl. */
static vbg_status json_line(const lister *l, const char *line, size_t bytes, size_t row,
                            vbg_err *err)
{
    const char *cause = "";
    json_t *j = vbg_json_parse(line, bytes, 32, 65536, &cause);
    const json_t *text = json_object_get(j, "text");
    const char *name = json_string_value(json_object_get(j, "file_name"));
    vbg_status st;

    if (!j)
        st = vbg_tally_broken(&l->c->tally, err, "%s: row %zu: %s", l->table, row, cause);
    else if (!name || !name[0])
        st = vbg_tally_broken(&l->c->tally, err, "%s: row %zu: no \"file_name\"",
                              l->table, row);
    else if (!json_is_string(text) && !l->opt->no_text)
        st = vbg_tally_broken(&l->c->tally, err, "%s: row %zu: no \"text\"", l->table,
                              row);
    else
        st =
            add_row(l, name, json_string_value(text), json_string_length(text), row, err);
    json_decref(j);
    return st;
}

static bool blank(const char *s, size_t n)
{
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
        n--;
    return n == 0;
}

static vbg_status list_jsonl(const lister *l, vbg_err *err)
{
    vbg_map m;
    vbg_status st = vbg_map_open(&m, l->table, (uint64_t)1 << 30, err);
    size_t row = 0;

    if (st != VBG_OK)
        return st;
    for (size_t at = 0; st == VBG_OK && at < m.bytes;) {
        const char *line = (const char *)m.data + at;
        const char *end = memchr(line, '\n', m.bytes - at);
        const size_t n = end ? (size_t)(end - line) : m.bytes - at;
        row++;
        if (n > MAX_LINE)
            st = vbg_tally_broken(&l->c->tally, err, "%s: row %zu: %zu bytes long",
                                  l->table, row, n);
        else if (!blank(line, n))
            st = json_line(l, line, n, row, err);
        at += n + 1;
    }
    vbg_map_close(&m);
    return st;
}

static vbg_status list_table(const lister *l, vbg_err *err)
{
    const vbg_csv_opt opt = { .column = { "file_name", "text" },
                              .columns = l->opt->no_text ? 1 : 2,
                              .max_field = MAX_LINE };
    const char *dot = strrchr(l->table, '.');

    if (dot && strcmp(dot, ".csv") == 0)
        return vbg_csv_read(l->table, &opt, csv_row, (void *)(uintptr_t)l, err);
    if (dot && strcmp(dot, ".jsonl") == 0)
        return list_jsonl(l, err);
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "%s: not a folder, metadata.jsonl or metadata.csv%s", l->table,
                    dot && strcmp(dot, ".tar") == 0 ? "; unpack it first" : "");
}

static vbg_status list_folder(const lister *l, const char *dir, vbg_err *err)
{
    vbg_paths all = { 0 };
    vbg_status st = vbg_paths_pictures(&all, dir, err);

    for (size_t i = 0; st == VBG_OK && i < all.count; i++) {
        char *file = vbg_with_suffix(all.path[i], ".txt"), *text = NULL;
        vbg_err why = { "" };
        if (!file)
            st = vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", dir);
        else if (!l->opt->no_text)
            st = vbg_caption_read(&text, file, &why);
        if (st == VBG_OK)
            st = add(l, all.path[i], text, err);
        else if (why.text[0])
            st = vbg_tally_broken(&l->c->tally, err, "%s", why.text);
        free(file);
    }
    vbg_paths_free(&all);
    return st;
}

vbg_status vbg_captions_open(vbg_captions *out, const char *path,
                             const vbg_captions_opt *opt, vbg_err *err)
{
    static const char *const name[] = { "metadata.jsonl", "metadata.csv" };
    vbg_captions c = { .tally = { .where = path, .strict = opt->strict } };
    lister l = { .c = &c, .opt = opt };
    char file[4096];
    struct stat info;
    vbg_status st;

    *out = (vbg_captions){ 0 };
    if (stat(path, &info) != 0)
        return vbg_fail(err, VBG_EIO, "%s: cannot be found", path);
    if (!S_ISDIR(info.st_mode))
        l.table = path;
    for (int i = 0; i < 2 && !l.table; i++) {
        snprintf(file, sizeof file, "%s/%s", path, name[i]);
        if (access(file, F_OK) == 0)
            l.table = file;
    }
    st = l.table ? list_table(&l, err) : list_folder(&l, path, err);
    if (st == VBG_OK)
        st = vbg_tally_close(&c.tally, opt->no_text ? "pictures" : "captioned pictures",
                             err);
    if (st == VBG_OK)
        *out = c;
    else
        vbg_captions_free(&c);
    return st;
}

void vbg_captions_free(vbg_captions *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        free(c->item[i].picture);
        free(c->item[i].text);
    }
    free(c->item);
    *c = (vbg_captions){ 0 };
}

/* ---- pictures ---- */

/* The largest part of p with out's aspect ratio, scaled into out. */
static vbg_status cover(vbg_picture *out, const vbg_picture *p, vbg_dice *dice,
                        vbg_err *err)
{
    const double scale = fmax((double)out->w / p->w, (double)out->h / p->h);
    const int w = vbg_max_int(vbg_min_int((int)lrint(out->w / scale), p->w), 1);
    const int h = vbg_max_int(vbg_min_int((int)lrint(out->h / scale), p->h), 1);
    const int x = dice ? vbg_dice_int(dice, p->w - w + 1) : (p->w - w) / 2;
    const int y = dice ? vbg_dice_int(dice, p->h - h + 1) : (p->h - h) / 2;
    vbg_picture part = *p;

    part.w = w;
    part.h = h;
    part.data += (size_t)y * p->stride + (size_t)(x * p->channels);
    return vbg_picture_resample(out, &part, VBG_FILTER_LANCZOS, err);
}

static void mirror(vbg_picture *p)
{
    for (int y = 0; y < p->h; y++) {
        uint8_t *row = p->data + (size_t)y * p->stride;
        for (int a = 0, b = p->w - 1; a < b; a++, b--)
            for (int k = 0; k < p->channels; k++) {
                const uint8_t t = row[a * p->channels + k];
                row[a * p->channels + k] = row[b * p->channels + k];
                row[b * p->channels + k] = t;
            }
    }
}

static vbg_status load(const char *path, vbg_picture *out, const vbg_crop_opt *opt,
                       vbg_dice *dice, vbg_err *err)
{
    vbg_picture p;
    vbg_status st = vbg_picture_load(&p, NULL, path, 3, err);

    *out = (vbg_picture){ 0 };
    if (st != VBG_OK)
        return st;
    st = vbg_picture_new(out, opt->w, opt->h, 3, err);
    if (st == VBG_OK)
        st = cover(out, &p, dice, err);
    vbg_picture_free(&p);
    if (st != VBG_OK)
        vbg_picture_free(out);
    else if (dice && opt->flip && vbg_dice_chance(dice, 0.5))
        mirror(out);
    return st;
}

vbg_status vbg_captions_picture(vbg_captions *c, size_t i, vbg_picture *out,
                                const vbg_crop_opt *opt, vbg_dice *dice, size_t *used,
                                vbg_err *err)
{
    for (size_t k = 0; k < c->count; k++) {
        vbg_captioned *item = &c->item[(i + k) % c->count];
        vbg_err why = { "" };

        if (__atomic_load_n(&item->broken, __ATOMIC_RELAXED))
            continue;
        vbg_status st = load(item->picture, out, opt, dice, &why);
        if (st == VBG_OK) {
            if (used)
                *used = (i + k) % c->count;
            return VBG_OK;
        }
        if (st == VBG_ENOMEM)
            return vbg_fail(err, st, "%s", why.text);
        if (!__atomic_exchange_n(&item->broken, true, __ATOMIC_RELAXED)) {
            st = vbg_tally_broken(&c->tally, err, "%s", why.text);
            if (st != VBG_OK)
                return st;
        }
    }
    return vbg_fail(err, VBG_EFORMAT, "%s: no picture can be read", c->tally.where);
}
