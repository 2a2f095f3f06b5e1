/* PNG through libpng's row interface.
 *
 * Reading: user limits on sides, chunk cache and chunk memory; CRC errors and every
 * error of the pixel stream are fatal; gamma is ignored (sRGB assumed unless an ICC
 * profile says otherwise).  Interlaced files are read in seven passes over the rows.
 * Writing: zlib level 3, all filters, sRGB chunk, texts before the pixels; the XMP text
 * uncompressed, since web viewers search the file's bytes for it. */
#include "engine/picture_internal.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#define XMP_KEY "XML:com.adobe.xmp"

typedef struct reader {
    const unsigned char *data;
    size_t size, at;
    const char *name;
    vbg_err *err;
    vbg_status status;
} reader;

static void on_error(png_structp png, png_const_charp text)
{
    reader *s = png_get_error_ptr(png);

    if (s->status == VBG_OK)
        s->status = vbg_fail(s->err, VBG_EFORMAT, "%s: damaged PNG: %s", s->name, text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void read_bytes(png_structp png, png_bytep out, size_t n)
{
    reader *s = png_get_io_ptr(png);

    if (n > s->size - s->at)
        png_error(png, "the file ends too early");
    memcpy(out, s->data + s->at, n);
    s->at += n;
}

/* Keeps the texts vbg knows. */
static void take_texts(vbg_picture_raw *r, png_structp png, png_infop info)
{
    png_textp text = NULL;
    int n = png_get_text(png, info, &text, NULL);

    for (int i = 0; i < n; i++) {
        size_t len = text[i].compression > 0 || text[i].itxt_length > 0
                         ? text[i].itxt_length
                         : text[i].text_length;
        char **to = NULL;
        if (!text[i].text)
            continue;
        if (len == 0)
            len = strlen(text[i].text);
        if (strcmp(text[i].key, XMP_KEY) == 0) {
            if (r->xmp.size == 0)
                vbg_bytes_add(&r->xmp, text[i].text, len);
        } else if (strcmp(text[i].key, "parameters") == 0) {
            to = &r->parameters;
        } else if (strcmp(text[i].key, "vbg") == 0) {
            to = &r->vbg;
        } else if (strcmp(text[i].key, "Software") == 0) {
            to = &r->software;
        }
        if (to && !*to)
            *to = vbg_copy_text(text[i].text, len);
    }
}

static void take_profiles(vbg_picture_raw *r, png_structp png, png_infop info)
{
    png_charp title;
    png_bytep profile, exif = NULL;
    png_uint_32 bytes;
    int how;

    if (!png_get_valid(png, info, PNG_INFO_sRGB) &&
        png_get_iCCP(png, info, &title, &how, &profile, &bytes) && r->icc.size == 0)
        vbg_bytes_add(&r->icc, profile, bytes);
    if (png_get_eXIf_1(png, info, &bytes, &exif) && exif && r->exif.size == 0)
        vbg_bytes_add(&r->exif, exif, bytes);
}

/* Everything between the setjmp of its caller and the end of the file. */
static void decode(vbg_picture_raw *r, png_structp png, png_infop info, reader *s)
{
    png_uint_32 w, h;
    int depth, type, interlace;

    png_set_user_limits(png, VBG_PICTURE_MAX_SIDE, VBG_PICTURE_MAX_SIDE);
    png_set_chunk_cache_max(png, 128);
    png_set_chunk_malloc_max(png, 1 << 20);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_read_fn(png, s, read_bytes);
    png_read_info(png, info);
    png_get_IHDR(png, info, &w, &h, &depth, &type, &interlace, NULL, NULL);
    s->status = vbg_picture_check(s->name, w, h, s->err);
    if (s->status != VBG_OK)
        png_longjmp(png, 1);
    r->w = (int)w;
    r->h = (int)h;
    take_texts(r, png, info);
    take_profiles(r, png, info);
    r->alpha = (type & PNG_COLOR_MASK_ALPHA) || png_get_valid(png, info, PNG_INFO_tRNS);
    if (r->only_info)
        return;

    png_set_expand(png);
    if (depth == 16)
        png_set_scale_16(png);
    if (r->alpha)
        png_set_gray_to_rgb(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    int channels = png_get_channels(png, info);
    if (png_get_rowbytes(png, info) != (size_t)w * (size_t)channels ||
        (channels != 1 && channels != 3 && channels != 4))
        png_error(png, "unexpected row layout");
    s->status = vbg_picture_new_unset(&r->picture, (int)w, (int)h, channels, s->err);
    if (s->status != VBG_OK)
        png_longjmp(png, 1);
    if (passes > 1) /* later passes read what the earlier ones left */
        memset(r->picture.data, 0, r->picture.stride * h);
    for (int pass = 0; pass < passes; pass++)
        for (png_uint_32 y = 0; y < h; y++)
            png_read_row(png, r->picture.data + y * r->picture.stride, NULL);
    png_read_end(png, info);
    take_texts(r, png, info);
    take_profiles(r, png, info);
}

vbg_status vbg_png_decode(vbg_picture_raw *r, const unsigned char *data, size_t bytes,
                          vbg_err *err)
{
    reader s = { .data = data, .size = bytes, .name = r->name, .err = err };
    png_structp png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;

    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return vbg_fail(err, VBG_ENOMEM, "%s: out of memory", r->name);
    }
    if (setjmp(png_jmpbuf(png)) == 0)
        decode(r, png, info, &s);
    png_destroy_read_struct(&png, &info, NULL);
    return s.status;
}

/* ---- writing ---- */

typedef struct writer {
    vbg_file *file;
    vbg_err *err;
    vbg_status status;
} writer;

static void on_write_error(png_structp png, png_const_charp text)
{
    writer *s = png_get_error_ptr(png);

    if (s->status == VBG_OK)
        s->status = vbg_fail(s->err, VBG_EIO, "PNG: %s", text);
    png_longjmp(png, 1);
}

static void write_bytes(png_structp png, png_bytep data, size_t n)
{
    writer *s = png_get_io_ptr(png);

    s->status = vbg_file_write(s->file, data, n, s->err);
    if (s->status != VBG_OK)
        png_longjmp(png, 1);
}

static void flush_bytes(png_structp png)
{
    (void)png;
}

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

/* One text; tEXt when plain is allowed and the text is ASCII, else uncompressed iTXt. */
static void add_text(png_structp png, png_infop info, const char *key, const char *value,
                     bool plain)
{
    png_text t = { 0 };
    char none[1] = "";

    if (!value || !*value)
        return;
    t.key = (char *)(uintptr_t)key;
    t.text = (char *)(uintptr_t)value;
    t.lang = none;
    t.lang_key = none;
    if (plain && is_ascii(value)) {
        t.compression = PNG_TEXT_COMPRESSION_NONE;
        t.text_length = strlen(value);
    } else {
        t.compression = PNG_ITXT_COMPRESSION_NONE;
        t.itxt_length = strlen(value);
    }
    png_set_text(png, info, &t, 1);
}

static void encode(png_structp png, png_infop info, writer *s, const vbg_picture *p,
                   const vbg_picture_meta *m, const char *xmp)
{
    const int type[] = { 0, PNG_COLOR_TYPE_GRAY, 0, PNG_COLOR_TYPE_RGB,
                         PNG_COLOR_TYPE_RGB_ALPHA };

    png_set_write_fn(png, s, write_bytes, flush_bytes);
    png_set_user_limits(png, VBG_PICTURE_MAX_SIDE, VBG_PICTURE_MAX_SIDE);
    png_set_compression_level(png, 3);
    png_set_filter(png, 0, PNG_ALL_FILTERS);
    png_set_IHDR(png, info, (png_uint_32)p->w, (png_uint_32)p->h, 8, type[p->channels],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_sRGB(png, info, PNG_sRGB_INTENT_PERCEPTUAL);
    if (m) {
        add_text(png, info, XMP_KEY, xmp, false);
        add_text(png, info, "parameters", m->parameters, true);
        add_text(png, info, "vbg", m->vbg, false);
        add_text(png, info, "Software", m->software, true);
    }
    png_write_info(png, info);
    for (int y = 0; y < p->h; y++)
        png_write_row(png, p->data + (size_t)y * p->stride);
    png_write_end(png, NULL);
}

vbg_status vbg_png_encode(vbg_file *f, const vbg_picture *p, const vbg_picture_meta *m,
                          vbg_err *err)
{
    writer s = { .file = f, .err = err };
    vbg_bytes xmp = { 0 };

    if (m)
        vbg_xmp_write(&xmp, m, p->w, p->h, false);
    vbg_bytes_add(&xmp, "", 1);
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, on_write_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info || xmp.failed) {
        s.status = vbg_fail(err, VBG_ENOMEM, "out of memory");
    } else if (setjmp(png_jmpbuf(png)) == 0) {
        encode(png, info, &s, p, m, (const char *)xmp.data);
    }
    png_destroy_write_struct(&png, &info);
    vbg_bytes_free(&xmp);
    return s.status;
}

/* ---- maps ---- */

static void encode_map(png_structp png, png_infop info, writer *s, const uint8_t *data,
                       int w, int h, int bits)
{
    const size_t row = (size_t)w * (size_t)bits / 8;

    png_set_write_fn(png, s, write_bytes, flush_bytes);
    png_set_compression_level(png, 1);
    png_set_filter(png, 0, bits == 16 ? PNG_FILTER_SUB : PNG_FILTER_NONE);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, bits, PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int y = 0; y < h; y++)
        png_write_row(png, data + (size_t)y * row);
    png_write_end(png, NULL);
}

vbg_status vbg_png_save_map(const char *path, const uint8_t *data, int w, int h, int bits,
                            vbg_err *err)
{
    writer s = { .err = err };

    s.status = vbg_file_create(&s.file, path, err);
    if (s.status != VBG_OK)
        return s.status;
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, on_write_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info)
        s.status = vbg_fail(err, VBG_ENOMEM, "%s: out of memory", path);
    else if (setjmp(png_jmpbuf(png)) == 0)
        encode_map(png, info, &s, data, w, h, bits);
    png_destroy_write_struct(&png, &info);
    if (s.status == VBG_OK)
        return vbg_file_commit(s.file, err);
    vbg_file_abort(s.file);
    return s.status;
}
