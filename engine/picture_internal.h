/* Between the picture readers and writers of this folder. */
#ifndef VBG_ENGINE_PICTURE_INTERNAL_H
#define VBG_ENGINE_PICTURE_INTERNAL_H

#include "engine/io.h"
#include "engine/picture_io.h"

/* A growing byte buffer; failed stays true once memory ran out. */
typedef struct vbg_bytes {
    unsigned char *data;
    size_t size, room;
    bool failed;
} vbg_bytes;
void vbg_bytes_add(vbg_bytes *b, const void *data, size_t bytes);
void vbg_bytes_text(vbg_bytes *b, const char *text);
void vbg_bytes_free(vbg_bytes *b);

/* Raw findings of a codec, before orientation and colour. */
typedef struct vbg_picture_raw {
    const char *name;    /* for messages */
    bool only_info;      /* decode no pixels */
    vbg_picture picture; /* 1, 3 or 4 channels */
    int w, h;
    vbg_bytes icc, exif, xmp;
    bool alpha; /* the file has transparency */
    bool cmyk;  /* 4 channels are CMYK */
    char *parameters, *vbg, *software;
} vbg_picture_raw;
void vbg_picture_raw_free(vbg_picture_raw *r);

/* vbg_picture_new without the zeroes: decoders write every row, and a lying header must
 * not cost memory that no row ever fills. */
vbg_status vbg_picture_new_unset(vbg_picture *out, int w, int h, int channels,
                                 vbg_err *err);

/* Limits of sides and pixels, with the picture's name in the message. */
vbg_status vbg_picture_check(const char *name, uint64_t w, uint64_t h, vbg_err *err);

/* Codecs: fill r from a whole file in memory.  Errors as vbg_picture_load. */
vbg_status vbg_png_decode(vbg_picture_raw *r, const unsigned char *data, size_t bytes,
                          vbg_err *err);
vbg_status vbg_jpeg_decode(vbg_picture_raw *r, const unsigned char *data, size_t bytes,
                           vbg_err *err);
vbg_status vbg_webp_decode(vbg_picture_raw *r, const unsigned char *data, size_t bytes,
                           vbg_err *err);

/* Encoders write into an open file or a buffer. */
vbg_status vbg_png_encode(vbg_file *f, const vbg_picture *p, const vbg_picture_meta *m,
                          vbg_err *err);
vbg_status vbg_webp_encode(vbg_file *f, const vbg_picture *p, int quality, vbg_err *err);

/* ---- metadata (picture_meta.c) ---- */

/* Exif block (without the "Exif\0\0" prefix or with it): orientation 1..8; *comment gets
 * a malloc'd UTF-8 copy of UserComment when there is one.  Odd data: 1. */
int vbg_exif_read(const unsigned char *data, size_t bytes, char **comment,
                  char **software);
/* Exif block with UserComment (UTF-8 in, UTF-16BE stored) and Software. */
void vbg_exif_write(vbg_bytes *out, const char *comment, const char *software);
/* XMP packet to GPano; w, h: size of the picture as stored.  *vbg gets the text of the
 * attribute vbg:json when present. */
void vbg_xmp_read(vbg_pano *pano, char **vbg, const unsigned char *data, size_t bytes,
                  int w, int h);
/* XMP packet of meta, or nothing when meta asks for none. */
void vbg_xmp_write(vbg_bytes *out, const vbg_picture_meta *m, int w, int h,
                   bool with_json);
/* Converts pixels from the ICC profile to sRGB in place (or CMYK to RGB).  Returns true
 * when something was done; a bad profile is ignored. */
bool vbg_icc_to_srgb(vbg_picture_raw *r);
/* Malloc'd copy of n bytes as a C string. */
char *vbg_copy_text(const void *data, size_t n);

#endif
