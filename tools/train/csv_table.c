/* CSV tables; see tools/train/csv_table.h. */
#include "tools/train/csv_table.h"

#ifndef VBG_HAVE_LIBCSV

vbg_status vbg_csv_read(const char *path, const vbg_csv_opt *opt, vbg_csv_row *row,
                        void *arg, vbg_err *err)
{
    (void)opt;
    (void)row;
    (void)arg;
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "%s: this vbg-train was built without libcsv and reads no CSV "
                    "(Debian: libcsv-dev)",
                    path);
}

#else

#include <csv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/io.h"

enum { CHUNK = 1 << 16, MAX_FIELDS = 256 };

/* The row being collected, and where the wanted columns lie. */
typedef struct table {
    const char *path;
    const vbg_csv_opt *opt;
    vbg_csv_row *row;
    void *arg;
    vbg_err *err;
    vbg_status st;
    char *text; /* the fields of this row, each with its NUL */
    size_t used, room;
    size_t start[MAX_FIELDS], bytes[MAX_FIELDS];
    int fields, header; /* of this row; of the header row, 0 before it */
    int where[VBG_CSV_COLUMNS];
    size_t rows;
} table;

static void on_field(void *data, size_t bytes, void *arg)
{
    table *t = arg;

    if (t->st != VBG_OK)
        return;
    if (bytes > t->opt->max_field) {
        t->st = vbg_fail(t->err, VBG_ELIMIT,
                         "%s: row %zu has a field of %zu bytes (at most %zu)", t->path,
                         t->rows, bytes, t->opt->max_field);
        return;
    }
    if (t->used + bytes + 1 > t->room) {
        const size_t room = 2 * (t->used + bytes) + 256;
        char *grown = realloc(t->text, room);
        if (!grown) {
            t->st = vbg_fail(t->err, VBG_ENOMEM, "%s: not enough memory", t->path);
            return;
        }
        t->text = grown;
        t->room = room;
    }
    if (t->fields < MAX_FIELDS) {
        t->start[t->fields] = t->used;
        t->bytes[t->fields] = bytes;
        if (bytes)
            memcpy(t->text + t->used, data, bytes);
        t->text[t->used + bytes] = 0;
        t->used += bytes + 1;
    }
    t->fields++;
}

/* Column i of the row being collected, NULL with a NUL inside. */
static const char *cell(const table *t, int i)
{
    const char *s = t->text + t->start[i];

    return strlen(s) == t->bytes[i] ? s : NULL;
}

/* "img_path,matting_path" */
static const char *wanted_text(char *dst, size_t size, const vbg_csv_opt *opt)
{
    size_t at = 0;

    dst[0] = 0;
    for (int i = 0; i < opt->columns && at < size; i++)
        at += (size_t)snprintf(dst + at, size - at, "%s%s", i ? "," : "", opt->column[i]);
    return dst;
}

/* Finds the wanted columns in the first row. */
static vbg_status read_header(table *t)
{
    char want[256], got[80] = "";

    if (t->fields > MAX_FIELDS)
        return vbg_fail(t->err, VBG_EFORMAT, "%s: %d columns (at most %d)", t->path,
                        t->fields, MAX_FIELDS);
    for (int i = 0; i < t->fields; i++) {
        const size_t n = strlen(got);
        snprintf(got + n, sizeof got - n, "%s%s", i ? "," : "", t->text + t->start[i]);
    }
    for (int k = 0; k < t->opt->columns; k++) {
        t->where[k] = -1;
        for (int i = 0; i < t->fields; i++) {
            const char *name = cell(t, i);
            if (!name || strcmp(name, t->opt->column[k]) != 0)
                continue;
            if (t->where[k] >= 0)
                return vbg_fail(t->err, VBG_EFORMAT, "%s: column %s stands there twice",
                                t->path, name);
            t->where[k] = i;
        }
        if (t->where[k] < 0)
            return vbg_fail(t->err, VBG_EFORMAT,
                            "%s: the first row is \"%s\", not the columns %s", t->path,
                            got, wanted_text(want, sizeof want, t->opt));
    }
    t->header = t->fields;
    return VBG_OK;
}

static vbg_status read_row(table *t)
{
    const char *field[VBG_CSV_COLUMNS];
    char why[80];

    t->rows++;
    if (t->fields != t->header) {
        snprintf(why, sizeof why, "%d fields under %d columns", t->fields, t->header);
        return t->row(t->arg, t->rows, NULL, why, t->err);
    }
    for (int k = 0; k < t->opt->columns; k++) {
        field[k] = cell(t, t->where[k]);
        if (!field[k])
            return t->row(t->arg, t->rows, NULL, "a NUL inside a field", t->err);
    }
    return t->row(t->arg, t->rows, field, NULL, t->err);
}

static void on_row(int end, void *arg)
{
    table *t = arg;

    (void)end;
    if (t->st == VBG_OK && t->fields > 0)
        t->st = t->header ? read_row(t) : read_header(t);
    t->fields = 0;
    t->used = 0;
}

static vbg_status feed(table *t, struct csv_parser *p, const unsigned char *data,
                       size_t bytes)
{
    const size_t room = t->opt->max_field + 2 * CHUNK;

    for (size_t at = 0; at < bytes && t->st == VBG_OK;) {
        const size_t n = bytes - at < CHUNK ? bytes - at : CHUNK;
        if (csv_parse(p, data + at, n, on_field, on_row, t) != n)
            return vbg_fail(t->err, VBG_EFORMAT, "%s: row %zu: %s", t->path, t->rows + 1,
                            csv_strerror(csv_error(p)));
        at += n;
        if (csv_get_buffer_size(p) > room)
            return vbg_fail(t->err, VBG_ELIMIT,
                            "%s: row %zu has a field of more than %zu bytes", t->path,
                            t->rows + 1, t->opt->max_field);
    }
    if (t->st == VBG_OK && csv_fini(p, on_field, on_row, t) != 0)
        return vbg_fail(t->err, VBG_EFORMAT, "%s: a quoted field never ends", t->path);
    return t->st;
}

/* Says why a file cannot be a table before libcsv sees it. */
static vbg_status check_start(const vbg_map *m, const char *path, vbg_err *err)
{
    const unsigned char *d = m->data;

    if (m->bytes == 0)
        return vbg_fail(err, VBG_EFORMAT, "%s: is empty", path);
    if (m->bytes >= 2 &&
        ((d[0] == 0xff && d[1] == 0xfe) || (d[0] == 0xfe && d[1] == 0xff)))
        return vbg_fail(err, VBG_EFORMAT, "%s: is UTF-16; save it as UTF-8", path);
    return VBG_OK;
}

vbg_status vbg_csv_read(const char *path, const vbg_csv_opt *opt, vbg_csv_row *row,
                        void *arg, vbg_err *err)
{
    static const unsigned char bom[3] = { 0xef, 0xbb, 0xbf };
    table t = { .path = path, .opt = opt, .row = row, .arg = arg, .err = err };
    struct csv_parser p;
    vbg_map m;
    vbg_status st = vbg_map_open(&m, path, (uint64_t)1 << 30, err);

    if (st != VBG_OK)
        return st;
    st = check_start(&m, path, err);
    if (st == VBG_OK && csv_init(&p, CSV_STRICT | CSV_STRICT_FINI) != 0)
        st = vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", path);
    else if (st == VBG_OK) {
        const size_t skip = m.bytes >= 3 && memcmp(m.data, bom, 3) == 0 ? 3 : 0;
        st = feed(&t, &p, m.data + skip, m.bytes - skip);
        csv_free(&p);
    }
    if (st == VBG_OK && !t.header)
        st = vbg_fail(err, VBG_EFORMAT, "%s: holds no table", path);
    free(t.text);
    vbg_map_close(&m);
    return st;
}

#endif
