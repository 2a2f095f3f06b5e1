/* Exif (libexif) and GPano inside XMP (expat to read, a template to write).
 *
 * Reading trusts nothing: odd Exif means orientation 1, an XMP packet with a DTD or bad
 * numbers means no panorama.  Numbers of a resized picture are scaled by the width it
 * has over the width its packet claims, as Photo Sphere Viewer does.
 * Source: Google Photo Sphere XMP metadata; Exif 2.3. */
#include "engine/picture_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <expat.h>
#include <libexif/exif-data.h>

#define NS_PANO "http://ns.google.com/photos/1.0/panorama/|"
#define NS_VBG "https://vbg.invalid/ns/1.0/|"
enum { FIELD_SIZE = 64, MAX_JSON = 1 << 20 };

/* ---- Exif ---- */

/* UTF-16 (big endian unless le) to malloc'd UTF-8; lone surrogates become '?'. */
static char *utf16_to_utf8(const unsigned char *p, size_t bytes, bool le)
{
    char *out = malloc(bytes / 2 * 3 + 1), *o = out;

    if (!out)
        return NULL;
    for (size_t i = 0; i + 1 < bytes; i += 2) {
        unsigned u = le ? p[i] | (unsigned)p[i + 1] << 8 : (unsigned)p[i] << 8 | p[i + 1];
        if (u >= 0xd800 && u < 0xe000) {
            unsigned v = 0;
            if (u < 0xdc00 && i + 3 < bytes)
                v = le ? p[i + 2] | (unsigned)p[i + 3] << 8
                       : (unsigned)p[i + 2] << 8 | p[i + 3];
            if (v >= 0xdc00 && v < 0xe000) {
                u = 0x10000 + ((u - 0xd800) << 10) + (v - 0xdc00);
                i += 2;
            } else {
                u = '?';
            }
        }
        if (u == 0)
            break;
        if (u < 0x80) {
            *o++ = (char)u;
        } else if (u < 0x800) {
            *o++ = (char)(0xc0 | u >> 6);
            *o++ = (char)(0x80 | (u & 63));
        } else if (u < 0x10000) {
            *o++ = (char)(0xe0 | u >> 12);
            *o++ = (char)(0x80 | (u >> 6 & 63));
            *o++ = (char)(0x80 | (u & 63));
        } else {
            *o++ = (char)(0xf0 | u >> 18);
            *o++ = (char)(0x80 | (u >> 12 & 63));
            *o++ = (char)(0x80 | (u >> 6 & 63));
            *o++ = (char)(0x80 | (u & 63));
        }
    }
    *o = 0;
    return out;
}

/* UserComment: eight bytes of character code, then the text. */
static char *read_comment(const ExifEntry *e)
{
    if (!e || !e->data || e->size <= 8)
        return NULL;
    if (memcmp(e->data, "UNICODE\0", 8) == 0) {
        const unsigned char *p = e->data + 8;
        size_t n = e->size - 8, low = 0, high = 0;
        /* The byte order is not said: Latin text has its zeroes in the high bytes. */
        for (size_t i = 0; i + 1 < n; i += 2) {
            high += p[i] == 0;
            low += p[i + 1] == 0;
        }
        return utf16_to_utf8(p, n, low > high);
    }
    if (memcmp(e->data, "ASCII\0\0\0", 8) == 0)
        return vbg_copy_text(e->data + 8, e->size - 8);
    return NULL;
}

/* True when the first directory of the TIFF block is whole and not its own successor:
 * a damaged block is ignored altogether, half-read values are worse than none. */
static bool plausible(const unsigned char *p, size_t n)
{
    if (n < 14 || (memcmp(p, "II", 2) != 0 && memcmp(p, "MM", 2) != 0))
        return false;
    const ExifByteOrder order =
        p[0] == 'I' ? EXIF_BYTE_ORDER_INTEL : EXIF_BYTE_ORDER_MOTOROLA;
    const size_t first = exif_get_long(p + 4, order);
    if (first < 8 || first > n - 2)
        return false;
    const size_t entries = exif_get_short(p + first, order);
    const size_t end = first + 2 + 12 * entries;
    if (entries > 512 || end > n)
        return false;
    return end + 4 > n || exif_get_long(p + end, order) != first;
}

int vbg_exif_read(const unsigned char *data, size_t bytes, char **comment,
                  char **software)
{
    static const unsigned char head[6] = "Exif\0";
    unsigned char *block = NULL;
    int orientation = 1;
    ExifData *x;

    if (bytes < 8 || bytes > 1 << 20)
        return 1;
    if (memcmp(data, head, 6) != 0) { /* PNG stores it bare */
        block = malloc(bytes + 6);
        if (!block)
            return 1;
        memcpy(block, head, 6);
        memcpy(block + 6, data, bytes);
        data = block;
        bytes += 6;
    }
    x = plausible(data + 6, bytes - 6) ? exif_data_new() : NULL;
    if (x) {
        exif_data_unset_option(x, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
        exif_data_load_data(x, data, (unsigned)bytes);
        ExifEntry *e = exif_content_get_entry(x->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
        if (e && e->format == EXIF_FORMAT_SHORT && e->components == 1 && e->size >= 2)
            orientation = exif_get_short(e->data, exif_data_get_byte_order(x));
        if (orientation < 1 || orientation > 8)
            orientation = 1;
        if (comment && !*comment)
            *comment = read_comment(
                exif_content_get_entry(x->ifd[EXIF_IFD_EXIF], EXIF_TAG_USER_COMMENT));
        e = exif_content_get_entry(x->ifd[EXIF_IFD_0], EXIF_TAG_SOFTWARE);
        if (software && !*software && e && e->format == EXIF_FORMAT_ASCII && e->data)
            *software = vbg_copy_text(e->data, e->size);
        exif_data_unref(x);
    }
    free(block);
    return orientation;
}

/* Valid UTF-8 to UTF-16BE behind "UNICODE\0". */
static void add_comment(vbg_bytes *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    vbg_bytes_add(out, "UNICODE\0", 8);
    while (*p) {
        unsigned u = *p, more = u < 0x80 ? 0 : u < 0xe0 ? 1 : u < 0xf0 ? 2 : 3;
        unsigned char b[4];
        p++;
        if (more)
            u &= 0x3fu >> more;
        for (; more && *p; more--)
            u = u << 6 | (*p++ & 63u);
        if (u >= 0x10000) {
            unsigned hi = 0xd800 + ((u - 0x10000) >> 10), lo = 0xdc00 + (u & 0x3ff);
            b[0] = (unsigned char)(hi >> 8);
            b[1] = (unsigned char)hi;
            b[2] = (unsigned char)(lo >> 8);
            b[3] = (unsigned char)lo;
            vbg_bytes_add(out, b, 4);
        } else {
            b[0] = (unsigned char)(u >> 8);
            b[1] = (unsigned char)u;
            vbg_bytes_add(out, b, 2);
        }
    }
}

/* Adds an entry whose bytes libexif will free. */
static void add_entry(ExifData *x, ExifIfd ifd, ExifTag tag, ExifFormat format,
                      const void *data, size_t bytes)
{
    ExifMem *mem = exif_mem_new_default();
    ExifEntry *e = mem ? exif_entry_new_mem(mem) : NULL;
    unsigned char *copy = mem ? exif_mem_alloc(mem, (ExifLong)bytes) : NULL;

    if (e && copy) {
        memcpy(copy, data, bytes);
        e->tag = tag;
        e->format = format;
        e->components = bytes;
        e->size = (unsigned)bytes;
        e->data = copy;
        exif_content_add_entry(x->ifd[ifd], e);
    } else if (mem) {
        exif_mem_free(mem, copy);
    }
    exif_entry_unref(e);
    exif_mem_unref(mem);
}

void vbg_exif_write(vbg_bytes *out, const char *comment, const char *software)
{
    ExifData *x = exif_data_new();
    vbg_bytes text = { 0 };
    unsigned char *data = NULL;
    unsigned size = 0;

    if (!x) {
        out->failed = true;
        return;
    }
    exif_data_set_byte_order(x, EXIF_BYTE_ORDER_MOTOROLA);
    if (software)
        add_entry(x, EXIF_IFD_0, EXIF_TAG_SOFTWARE, EXIF_FORMAT_ASCII, software,
                  strlen(software) + 1);
    if (comment) {
        add_comment(&text, comment);
        if (!text.failed && text.size < 64000)
            add_entry(x, EXIF_IFD_EXIF, EXIF_TAG_USER_COMMENT, EXIF_FORMAT_UNDEFINED,
                      text.data, text.size);
    }
    exif_data_save_data(x, &data, &size);
    if (data)
        vbg_bytes_add(out, data, size);
    free(data);
    vbg_bytes_free(&text);
    exif_data_unref(x);
}

/* ---- XMP, reading ---- */

typedef struct field {
    const char *name;
    char text[FIELD_SIZE];
} field;

enum {
    USE,
    KIND,
    CROP_W,
    CROP_H,
    FULL_W,
    FULL_H,
    LEFT,
    TOP,
    HEADING,
    PITCH,
    FOV,
    FIELDS
};

typedef struct xmp_reader {
    XML_Parser parser;
    field f[FIELDS];
    field *open; /* element form: where its text goes */
    vbg_bytes json;
    bool refused;
} xmp_reader;

static field *find_field(xmp_reader *x, const char *name)
{
    const size_t ns = sizeof NS_PANO - 1;

    if (strncmp(name, NS_PANO, ns) != 0)
        return NULL;
    for (int i = 0; i < FIELDS; i++)
        if (strcmp(x->f[i].name, name + ns) == 0)
            return &x->f[i];
    return NULL;
}

static void XMLCALL on_start(void *user, const XML_Char *name, const XML_Char **attr)
{
    xmp_reader *x = user;

    x->open = find_field(x, name);
    if (x->open)
        x->open->text[0] = 0;
    for (; attr[0]; attr += 2) {
        field *f = find_field(x, attr[0]);
        if (f)
            snprintf(f->text, sizeof f->text, "%s", attr[1]);
        else if (strcmp(attr[0], NS_VBG "json") == 0 && x->json.size == 0)
            vbg_bytes_text(&x->json, attr[1]);
    }
}

static void XMLCALL on_end(void *user, const XML_Char *name)
{
    xmp_reader *x = user;

    (void)name;
    x->open = NULL;
}

static void XMLCALL on_text(void *user, const XML_Char *s, int n)
{
    xmp_reader *x = user;

    if (!x->open)
        return;
    size_t have = strlen(x->open->text), room = sizeof x->open->text - 1 - have;
    size_t take = (size_t)n < room ? (size_t)n : room;
    memcpy(x->open->text + have, s, take);
    x->open->text[have + take] = 0;
}

static void XMLCALL on_doctype(void *user, const XML_Char *name, const XML_Char *sysid,
                               const XML_Char *pubid, int internal)
{
    xmp_reader *x = user;

    (void)name;
    (void)sysid;
    (void)pubid;
    (void)internal;
    x->refused = true;
    XML_StopParser(x->parser, XML_FALSE);
}

/* A finite number within +-1e6, else missing. */
static double number(const field *f, double missing)
{
    char *end;
    double v = strtod(f->text, &end);

    while (*end == ' ' || *end == '\n' || *end == '\t' || *end == '\r')
        end++;
    if (end == f->text || *end || !isfinite(v) || fabs(v) > 1e6)
        return missing;
    return v;
}

static bool is_word(const field *f, const char *word)
{
    const char *s = f->text + strspn(f->text, " \t\r\n");

    return strncasecmp(s, word, strlen(word)) == 0 &&
           strspn(s + strlen(word), " \t\r\n") == strlen(s + strlen(word));
}

static void fill_pano(vbg_pano *p, const xmp_reader *x, int w, int h)
{
    const field *f = x->f;
    double crop_w = number(&f[CROP_W], w), crop_h = number(&f[CROP_H], h);

    for (int i = 0; i < FIELDS; i++)
        p->present |= f[i].text[0] != 0;
    if (!p->present || crop_w < 1 || crop_h < 1)
        return;
    double sx = w / crop_w, sy = h / crop_h;
    p->full_w = number(&f[FULL_W], crop_w) * sx;
    p->full_h = number(&f[FULL_H], p->full_w / 2 / sx) * sy;
    p->left = number(&f[LEFT], (p->full_w - w) / 2 / sx) * sx;
    p->top = number(&f[TOP], (p->full_h - h) / 2 / sy) * sy;
    p->sphere = (f[KIND].text[0] == 0 || is_word(&f[KIND], "equirectangular")) &&
                !is_word(&f[USE], "False") && p->full_w >= w - 0.5 &&
                p->full_h >= h - 0.5 && p->left > -0.5 && p->top > -0.5 &&
                p->left + w < p->full_w + 1 && p->top + h < p->full_h + 1;
    p->has_view = f[HEADING].text[0] || f[PITCH].text[0] || f[FOV].text[0];
    p->heading_deg = number(&f[HEADING], 0);
    p->pitch_deg = number(&f[PITCH], 0);
    p->hfov_deg = number(&f[FOV], 0);
}

void vbg_xmp_read(vbg_pano *pano, char **vbg, const unsigned char *data, size_t bytes,
                  int w, int h)
{
    xmp_reader x = { .f = { [USE] = { "UsePanoramaViewer", "" },
                            [KIND] = { "ProjectionType", "" },
                            [CROP_W] = { "CroppedAreaImageWidthPixels", "" },
                            [CROP_H] = { "CroppedAreaImageHeightPixels", "" },
                            [FULL_W] = { "FullPanoWidthPixels", "" },
                            [FULL_H] = { "FullPanoHeightPixels", "" },
                            [LEFT] = { "CroppedAreaLeftPixels", "" },
                            [TOP] = { "CroppedAreaTopPixels", "" },
                            [HEADING] = { "InitialViewHeadingDegrees", "" },
                            [PITCH] = { "InitialViewPitchDegrees", "" },
                            [FOV] = { "InitialHorizontalFOVDegrees", "" } } };

    *pano = (vbg_pano){ 0 };
    while (bytes > 0 && data[bytes - 1] == 0)
        bytes--;
    if (bytes == 0 || bytes > MAX_JSON)
        return;
    x.parser = XML_ParserCreateNS(NULL, '|');
    if (!x.parser)
        return;
    XML_SetUserData(x.parser, &x);
    XML_SetElementHandler(x.parser, on_start, on_end);
    XML_SetCharacterDataHandler(x.parser, on_text);
    XML_SetStartDoctypeDeclHandler(x.parser, on_doctype);
    bool good = XML_Parse(x.parser, (const char *)data, (int)bytes, 1) == XML_STATUS_OK;
    if (good && !x.refused) {
        fill_pano(pano, &x, w, h);
        if (vbg && !*vbg && x.json.size && !x.json.failed)
            *vbg = vbg_copy_text(x.json.data, x.json.size);
    }
    XML_ParserFree(x.parser);
    vbg_bytes_free(&x.json);
}

/* ---- XMP, writing ---- */

/* Text inside an attribute or element; characters XML cannot hold are left out. */
static void add_escaped(vbg_bytes *b, const char *s)
{
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;
        if (ch == '&')
            vbg_bytes_text(b, "&amp;");
        else if (ch == '<')
            vbg_bytes_text(b, "&lt;");
        else if (ch == '>')
            vbg_bytes_text(b, "&gt;");
        else if (ch == '"')
            vbg_bytes_text(b, "&quot;");
        else if (ch == '\n' || ch == '\t' || ch == '\r')
            vbg_bytes_text(b, ch == '\n' ? "&#10;" : ch == '\t' ? "&#9;" : "&#13;");
        else if (ch >= 0x20)
            vbg_bytes_add(b, s, 1);
    }
}

static void add_attribute(vbg_bytes *b, const char *name, const char *value)
{
    vbg_bytes_text(b, "\n   ");
    vbg_bytes_text(b, name);
    vbg_bytes_text(b, "=\"");
    add_escaped(b, value);
    vbg_bytes_text(b, "\"");
}

static void add_number(vbg_bytes *b, const char *name, double value)
{
    char text[32];

    snprintf(text, sizeof text, "%.0f", value);
    add_attribute(b, name, text);
}

static void add_pano(vbg_bytes *b, const vbg_picture_meta *m, int w, int h)
{
    const vbg_pano *p = m->pano;

    add_attribute(b, "GPano:UsePanoramaViewer", "True");
    add_attribute(b, "GPano:ProjectionType", "equirectangular");
    add_number(b, "GPano:CroppedAreaImageWidthPixels", w);
    add_number(b, "GPano:CroppedAreaImageHeightPixels", h);
    add_number(b, "GPano:FullPanoWidthPixels", p->full_w > 0 ? p->full_w : w);
    add_number(b, "GPano:FullPanoHeightPixels", p->full_h > 0 ? p->full_h : w / 2);
    add_number(b, "GPano:CroppedAreaLeftPixels", p->left);
    add_number(b, "GPano:CroppedAreaTopPixels", p->top);
    if (m->software)
        add_attribute(b, "GPano:StitchingSoftware", m->software);
    if (m->source_photos > 0)
        add_number(b, "GPano:SourcePhotosCount", m->source_photos);
    if (p->has_view) {
        add_number(b, "GPano:InitialViewHeadingDegrees", p->heading_deg);
        add_number(b, "GPano:InitialViewPitchDegrees", p->pitch_deg);
        if (p->hfov_deg > 0)
            add_number(b, "GPano:InitialHorizontalFOVDegrees", p->hfov_deg);
    }
}

void vbg_xmp_write(vbg_bytes *b, const vbg_picture_meta *m, int w, int h, bool with_json)
{
    bool json = with_json && m->vbg;

    if (!m->pano && !m->description && !m->source_type && !json)
        return;
    vbg_bytes_text(
        b, "<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
           "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
           " <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
           "  <rdf:Description rdf:about=\"\"\n"
           "   xmlns:GPano=\"http://ns.google.com/photos/1.0/panorama/\"\n"
           "   xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\"\n"
           "   xmlns:dc=\"http://purl.org/dc/elements/1.1/\"\n"
           "   xmlns:vbg=\"https://vbg.invalid/ns/1.0/\"\n"
           "   xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\"");
    if (m->pano)
        add_pano(b, m, w, h);
    if (m->software)
        add_attribute(b, "xmp:CreatorTool", m->software);
    if (m->source_type) {
        char url[256];
        snprintf(url, sizeof url, "http://cv.iptc.org/newscodes/digitalsourcetype/%s",
                 m->source_type);
        add_attribute(b, "Iptc4xmpExt:DigitalSourceType", url);
    }
    if (json)
        add_attribute(b, "vbg:json", m->vbg);
    vbg_bytes_text(b, ">");
    if (m->description) {
        vbg_bytes_text(b,
                       "\n   <dc:description><rdf:Alt><rdf:li xml:lang=\"x-default\">");
        add_escaped(b, m->description);
        vbg_bytes_text(b, "</rdf:li></rdf:Alt></dc:description>");
    }
    vbg_bytes_text(b, "\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n"
                      "<?xpacket end=\"r\"?>");
}
