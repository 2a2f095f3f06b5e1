/* Strings of .npy files; see tools/train/npy.h.  The header is a Python dictionary of
 * fixed form: {'descr': '<U73', 'fortran_order': False, 'shape': (9820, 6), }
 * Source: numpy's format description (numpy.lib.format). */
#include "tools/train/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "engine/io.h"

enum { MAX_TEXT = 4096, MAX_HEADER = 65536 };

typedef struct array {
    const unsigned char *data;
    size_t bytes, rows, cols, chars;
    bool ucs4; /* else bytes */
} array;

/* The value behind 'key': in the header text, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    char quoted[64];

    snprintf(quoted, sizeof quoted, "'%s':", key);
    const char *at = strstr(header, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    return at + strspn(at, " ");
}

static vbg_status parse_header(array *a, const char *header, const char *path,
                               vbg_err *err)
{
    const char *descr = value_of(header, "descr"), *shape = value_of(header, "shape");
    const char *order = value_of(header, "fortran_order");
    unsigned long long rows, cols, chars;
    char kind, little;

    if (!descr || !shape || !order || strncmp(order, "False", 5) != 0)
        return vbg_fail(err, VBG_EFORMAT, "%s: not a plain NumPy array", path);
    if (sscanf(descr, "'%c%c%5llu'", &little, &kind, &chars) != 3 ||
        (kind != 'U' && kind != 'S') || (kind == 'U' && little != '<') || chars < 1 ||
        chars > MAX_TEXT)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: holds %.12s, not strings; save it as a string array", path,
                        descr);
    if (sscanf(shape, "(%12llu, %12llu)", &rows, &cols) != 2 || rows < 1 || cols < 1 ||
        rows > (1u << 28) || cols > 4096)
        return vbg_fail(err, VBG_EFORMAT, "%s: shape %.32s is not (N, columns)", path,
                        shape);
    a->rows = (size_t)rows;
    a->cols = (size_t)cols;
    a->chars = (size_t)chars;
    a->ucs4 = kind == 'U';
    return VBG_OK;
}

static uint32_t u32_at(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static vbg_status open_array(array *a, const vbg_map *m, const char *path, vbg_err *err)
{
    const unsigned char *d = m->data;
    char header[MAX_HEADER + 1];
    size_t start, n, need;

    if (m->bytes < 16 || memcmp(d, "\x93NUMPY", 6) != 0 || d[6] < 1 || d[6] > 3)
        return vbg_fail(err, VBG_EFORMAT, "%s: not a NumPy file", path);
    start = d[6] == 1 ? 10 : 12;
    n = d[6] == 1 ? (size_t)d[8] | (size_t)d[9] << 8 : u32_at(d + 8);
    if (n > MAX_HEADER || n > m->bytes - start)
        return vbg_fail(err, VBG_EFORMAT, "%s: the header is longer than the file", path);
    memcpy(header, d + start, n);
    header[n] = 0;
    vbg_status st = parse_header(a, header, path, err);
    if (st != VBG_OK)
        return st;
    a->data = d + start + n;
    if (!vbg_mul_size(&need, a->rows, a->cols) ||
        !vbg_mul_size(&need, need, a->chars * (a->ucs4 ? 4 : 1)) ||
        need != m->bytes - start - n)
        return vbg_fail(err, VBG_EFORMAT, "%s: %zu bytes of data for %zu x %zu strings",
                        path, m->bytes - start - n, a->rows, a->cols);
    return VBG_OK;
}

/* String i as UTF-8 in dst (room for 4 bytes a character and a NUL); false when it is
 * no text. */
static bool text_of(char *dst, const array *a, size_t i)
{
    const unsigned char *p = a->data + i * a->chars * (a->ucs4 ? 4 : 1);
    size_t at = 0;

    for (size_t k = 0; k < a->chars; k++) {
        const uint32_t code = a->ucs4 ? u32_at(p + 4 * k) : p[k];
        if (code == 0)
            break;
        if (!a->ucs4)
            dst[at++] = (char)code;
        else if (code <= 0x10ffff && utf8proc_codepoint_valid((utf8proc_int32_t)code))
            at += (size_t)utf8proc_encode_char((utf8proc_int32_t)code,
                                               (utf8proc_uint8_t *)dst + at);
        else
            return false;
    }
    dst[at] = 0;
    return at > 0;
}

static vbg_status copy_strings(vbg_npy_strings *s, const array *a, const char *path,
                               vbg_err *err)
{
    char text[MAX_TEXT * 4 + 1];
    const size_t count = a->rows * a->cols;

    s->text = calloc(count, sizeof *s->text);
    if (!s->text)
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", path);
    s->rows = a->rows;
    s->cols = a->cols;
    for (size_t i = 0; i < count; i++) {
        if (!text_of(text, a, i))
            return vbg_fail(err, VBG_EFORMAT, "%s: string %zu is empty or no text", path,
                            i);
        const size_t n = strlen(text) + 1;
        s->text[i] = malloc(n);
        if (!s->text[i])
            return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", path);
        memcpy(s->text[i], text, n);
    }
    return VBG_OK;
}

vbg_status vbg_npy_strings_read(vbg_npy_strings *out, const char *path, vbg_err *err)
{
    vbg_npy_strings s = { 0 };
    array a;
    vbg_map m;
    vbg_status st = vbg_map_open(&m, path, (uint64_t)1 << 30, err);

    *out = s;
    if (st != VBG_OK)
        return st;
    st = open_array(&a, &m, path, err);
    if (st == VBG_OK)
        st = copy_strings(&s, &a, path, err);
    vbg_map_close(&m);
    if (st == VBG_OK)
        *out = s;
    else
        vbg_npy_strings_free(&s);
    return st;
}

void vbg_npy_strings_free(vbg_npy_strings *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->text && i < s->rows * s->cols; i++)
        free(s->text[i]);
    free(s->text);
    *s = (vbg_npy_strings){ 0 };
}
