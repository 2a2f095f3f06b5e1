/* Picture files: which codec, then orientation, colour and channels. */
#define _POSIX_C_SOURCE 200809L
#include "engine/picture_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/map_guard.h"

/* ---- bytes ---- */

void vbg_bytes_add(vbg_bytes *b, const void *data, size_t bytes)
{
    size_t need;

    if (b->failed || bytes == 0)
        return;
    if (!vbg_add_size(&need, b->size, bytes)) {
        b->failed = true;
        return;
    }
    if (need > b->room) {
        size_t room = need < 256 ? 256 : need + need / 2;
        unsigned char *p = realloc(b->data, room);
        if (!p) {
            b->failed = true;
            return;
        }
        b->data = p;
        b->room = room;
    }
    memcpy(b->data + b->size, data, bytes);
    b->size = need;
}

void vbg_bytes_text(vbg_bytes *b, const char *text)
{
    vbg_bytes_add(b, text, strlen(text));
}

void vbg_bytes_free(vbg_bytes *b)
{
    free(b->data);
    *b = (vbg_bytes){ 0 };
}

char *vbg_copy_text(const void *data, size_t n)
{
    char *s = malloc(n + 1);

    if (s) {
        memcpy(s, data, n);
        s[n] = 0;
    }
    return s;
}

void vbg_picture_raw_free(vbg_picture_raw *r)
{
    vbg_picture_free(&r->picture);
    vbg_bytes_free(&r->icc);
    vbg_bytes_free(&r->exif);
    vbg_bytes_free(&r->xmp);
    free(r->parameters);
    free(r->vbg);
    free(r->software);
    *r = (vbg_picture_raw){ 0 };
}

void vbg_picture_info_free(vbg_picture_info *info)
{
    if (!info)
        return;
    free(info->parameters);
    free(info->vbg);
    free(info->software);
    *info = (vbg_picture_info){ 0 };
}

vbg_status vbg_picture_check(const char *name, uint64_t w, uint64_t h, vbg_err *err)
{
    if (w < 1 || h < 1)
        return vbg_fail(err, VBG_EFORMAT, "%s: a picture without pixels", name);
    if (w > VBG_PICTURE_MAX_SIDE || h > VBG_PICTURE_MAX_SIDE ||
        w * h > VBG_PICTURE_MAX_PIXELS)
        return vbg_fail(err, VBG_ELIMIT,
                        "%s: %llux%llu pixels are beyond the limit (sides to %d, %d "
                        "megapixels); make it smaller",
                        name, (unsigned long long)w, (unsigned long long)h,
                        VBG_PICTURE_MAX_SIDE, VBG_PICTURE_MAX_PIXELS >> 20);
    return VBG_OK;
}

/* ---- geometry and channels ---- */

/* Exif orientation o applied: where pixel (x, y) of the turned picture comes from. */
static void source_of(int o, int w, int h, int x, int y, int *sx, int *sy)
{
    const bool swap = o >= 5;
    int u = swap ? y : x, v = swap ? x : y;

    if (o == 2 || o == 3 || o == 7 || o == 8)
        u = w - 1 - u;
    if (o == 3 || o == 4 || o == 6 || o == 7)
        v = h - 1 - v;
    *sx = u;
    *sy = v;
}

static vbg_status turn(vbg_picture *p, int o, vbg_err *err)
{
    vbg_picture out;
    const size_t ch = (size_t)p->channels;
    vbg_status st;

    if (o <= 1)
        return VBG_OK;
    st = vbg_picture_new_unset(&out, o >= 5 ? p->h : p->w, o >= 5 ? p->w : p->h,
                               p->channels, err);
    if (st != VBG_OK)
        return st;
    for (int y = 0; y < out.h; y++)
        for (int x = 0; x < out.w; x++) {
            int sx, sy;
            source_of(o, p->w, p->h, x, y, &sx, &sy);
            memcpy(out.data + (size_t)y * out.stride + (size_t)x * ch,
                   p->data + (size_t)sy * p->stride + (size_t)sx * ch, ch);
        }
    vbg_picture_free(p);
    *p = out;
    return VBG_OK;
}

/* One row from `from` channels to `to`. */
static void convert_row(uint8_t *d, int to, const uint8_t *s, int from, int w)
{
    for (int x = 0; x < w; x++, d += to, s += from) {
        int rgb[3] = { s[0], s[from > 1 ? 1 : 0], s[from > 1 ? 2 : 0] };
        if (from == 4 && to < 4)
            for (int c = 0; c < 3; c++)
                rgb[c] = (rgb[c] * s[3] + 127) / 255;
        if (to == 1) {
            d[0] = from == 1
                       ? s[0]
                       : (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) /
                                   1000);
            continue;
        }
        for (int c = 0; c < 3; c++)
            d[c] = (uint8_t)rgb[c];
        if (to == 4)
            d[3] = 255;
    }
}

static vbg_status convert(vbg_picture *p, int channels, vbg_err *err)
{
    vbg_picture out;
    vbg_status st;

    if (channels == 0 || channels == p->channels)
        return VBG_OK;
    st = vbg_picture_new_unset(&out, p->w, p->h, channels, err);
    if (st != VBG_OK)
        return st;
    for (int y = 0; y < p->h; y++)
        convert_row(out.data + (size_t)y * out.stride, channels,
                    p->data + (size_t)y * p->stride, p->channels, p->w);
    vbg_picture_free(p);
    *p = out;
    return VBG_OK;
}

/* ---- loading ---- */

typedef enum kind { NONE, PNG_FILE, JPEG_FILE, WEBP_FILE } kind;

static kind kind_of(const unsigned char *d, size_t n)
{
    if (n >= 8 && memcmp(d, "\x89PNG\r\n\x1a\n", 8) == 0)
        return PNG_FILE;
    if (n >= 3 && memcmp(d, "\xff\xd8\xff", 3) == 0)
        return JPEG_FILE;
    if (n >= 12 && memcmp(d, "RIFF", 4) == 0 && memcmp(d + 8, "WEBP", 4) == 0)
        return WEBP_FILE;
    return NONE;
}

bool vbg_picture_known(const void *data, size_t bytes)
{
    return kind_of(data, bytes) != NONE;
}

/* Says what a file is instead of a picture. */
static vbg_status no_picture(const char *name, const unsigned char *d, size_t n,
                             vbg_err *err)
{
    if (n == 0)
        return vbg_fail(err, VBG_EFORMAT, "%s: the file is empty", name);
    if (n > 23 && memcmp(d, "version https://git-lfs", 23) == 0)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: a Git LFS pointer, not the picture; run git lfs pull", name);
    if (n > 5 && (strncasecmp((const char *)d, "<!doc", 5) == 0 ||
                  strncasecmp((const char *)d, "<html", 5) == 0))
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: a web page under a picture's name; download it again", name);
    if (n > 8 && memcmp(d, "\x89PNG", 4) == 0)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: damaged PNG: its first bytes were changed by a text-mode "
                        "transfer; copy it again",
                        name);
    return vbg_fail(err, VBG_EFORMAT, "%s: not a PNG, JPEG or WebP picture", name);
}

static vbg_status decode(vbg_picture_raw *r, kind k, const unsigned char *data,
                         size_t bytes, vbg_err *err)
{
    switch (k) {
    case PNG_FILE:
        return vbg_png_decode(r, data, bytes, err);
    case JPEG_FILE:
        return vbg_jpeg_decode(r, data, bytes, err);
    case WEBP_FILE:
        return vbg_webp_decode(r, data, bytes, err);
    default:
        return no_picture(r->name, data, bytes, err);
    }
}

/* Fills info from the findings; owns their strings afterwards. */
static void describe(vbg_picture_info *info, vbg_picture_raw *r, kind k)
{
    static const char *const names[] = { "", "PNG", "JPEG", "WebP" };

    info->file_w = r->w;
    info->file_h = r->h;
    info->kind = names[k];
    info->alpha = r->alpha;
    info->orientation = vbg_exif_read(r->exif.data, r->exif.failed ? 0 : r->exif.size,
                                      &r->parameters, &r->software);
    if (k != JPEG_FILE) /* cameras turn JPEGs by note, programs turn PNG pixels */
        info->orientation = 1;
    const bool turned = info->orientation >= 5;
    vbg_xmp_read(&info->pano, &r->vbg, r->xmp.data, r->xmp.failed ? 0 : r->xmp.size,
                 turned ? r->h : r->w, turned ? r->w : r->h);
    info->parameters = r->parameters;
    info->vbg = r->vbg;
    info->software = r->software;
    r->parameters = r->vbg = r->software = NULL;
}

vbg_status vbg_picture_load_memory(vbg_picture *out, vbg_picture_info *info,
                                   const void *data, size_t bytes, const char *name,
                                   int channels, vbg_err *err)
{
    vbg_picture_raw r = { .name = name, .only_info = !out };
    vbg_picture_info own = { 0 };
    const kind k = kind_of(data, bytes);
    vbg_status st = decode(&r, k, data, bytes, err);

    if (out)
        *out = (vbg_picture){ 0 };
    if (st == VBG_OK)
        describe(&own, &r, k);
    if (st == VBG_OK && out) {
        own.converted = vbg_icc_to_srgb(&r);
        if (r.cmyk && r.picture.channels == 4)
            st = vbg_fail(err, VBG_ENOMEM, "%s: out of memory", name);
        if (st == VBG_OK)
            st = turn(&r.picture, own.orientation, err);
        if (st == VBG_OK)
            st = convert(&r.picture, channels, err);
    }
    if (st == VBG_OK && out) {
        *out = r.picture;
        r.picture = (vbg_picture){ 0 };
    }
    vbg_picture_raw_free(&r);
    if (st != VBG_OK || !info)
        vbg_picture_info_free(&own);
    if (info)
        *info = own;
    return st;
}

vbg_status vbg_picture_load(vbg_picture *out, vbg_picture_info *info, const char *path,
                            int channels, vbg_err *err)
{
    vbg_map map;
    vbg_status st;

    if (out)
        *out = (vbg_picture){ 0 };
    if (info)
        *info = (vbg_picture_info){ 0 };
    st = vbg_map_open(&map, path, (uint64_t)VBG_PICTURE_MAX_FILE_MB << 20, err);
    if (st != VBG_OK)
        return st;
    st = vbg_picture_load_memory(out, info, map.data ? map.data : (const void *)"",
                                 map.bytes, path, channels, err);
    if (st == VBG_OK && (st = vbg_map_guard_check(err)) != VBG_OK) {
        if (out)
            vbg_picture_free(out);
        if (info)
            vbg_picture_info_free(info);
    }
    vbg_map_close(&map);
    return st;
}

vbg_status vbg_picture_read_info(vbg_picture_info *info, int *w, int *h, const char *path,
                                 vbg_err *err)
{
    vbg_status st = vbg_picture_load(NULL, info, path, 0, err);

    if (st == VBG_OK) {
        const bool turned = info->orientation >= 5;
        *w = turned ? info->file_h : info->file_w;
        *h = turned ? info->file_w : info->file_h;
    }
    return st;
}

/* ---- saving ---- */

static kind kind_of_name(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (!dot || strchr(dot, '/'))
        return NONE;
    if (strcasecmp(dot, ".png") == 0)
        return PNG_FILE;
    if (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0)
        return JPEG_FILE;
    return strcasecmp(dot, ".webp") == 0 ? WEBP_FILE : NONE;
}

bool vbg_picture_writable(const char *path)
{
    return kind_of_name(path) != NONE;
}

static vbg_status save_jpeg(vbg_file *f, const vbg_picture *p,
                            const vbg_picture_meta *meta, int quality, vbg_err *err)
{
    unsigned char *data;
    size_t bytes;
    vbg_status st = vbg_jpeg_encode(&data, &bytes, p, meta, quality, err);

    if (st == VBG_OK)
        st = vbg_file_write(f, data, bytes, err);
    free(data);
    return st;
}

vbg_status vbg_picture_save(const char *path, const vbg_picture *p,
                            const vbg_picture_meta *meta, int quality, vbg_err *err)
{
    const kind k = kind_of_name(path);
    vbg_file *f;
    vbg_status st;

    if (k == NONE)
        return vbg_fail(err, VBG_EUSAGE,
                        "%s: unknown suffix; name the picture .png, .jpg or .webp", path);
    if (quality < 1 || quality > 100)
        return vbg_fail(err, VBG_EUSAGE, "quality %d is outside 1..100", quality);
    st = vbg_file_create(&f, path, err);
    if (st != VBG_OK)
        return st;
    st = k == PNG_FILE    ? vbg_png_encode(f, p, meta, err)
         : k == JPEG_FILE ? save_jpeg(f, p, meta, quality, err)
                          : vbg_webp_encode(f, p, quality, err);
    if (st == VBG_OK)
        return vbg_file_commit(f, err);
    vbg_file_abort(f);
    return st;
}
