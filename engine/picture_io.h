/* PNG, JPEG (and WebP, where built in) files: pixels, colour, and what they say about
 * themselves.
 *
 * Reading: the kind is recognised by the first bytes, never by the name.  Limits before
 * allocation (engine/picture.h); only regular files; a JPEG's Exif orientation applied;
 * an embedded ICC profile is converted to sRGB; 16 bits become 8; damaged data is an
 * error, damaged metadata is ignored. Writing: the kind is chosen by the suffix (.png,
 * .jpg, .jpeg, .webp); the file is made under a temporary name and renamed (engine/io.h).
 */
#ifndef VBG_ENGINE_PICTURE_IO_H
#define VBG_ENGINE_PICTURE_IO_H

#include "engine/picture.h"

/* GPano: the part of a sphere that a picture shows, in pixels of this picture. */
typedef struct vbg_pano {
    bool present;          /* the file said anything about it */
    bool sphere;           /* equirectangular and meant for a viewer */
    double full_w, full_h; /* the whole 360 x 180 degrees */
    double left, top;      /* where this picture lies in it */
    bool has_view;         /* the initial view is given */
    double heading_deg, pitch_deg, hfov_deg;
} vbg_pano;

/* What a file said.  Strings are owned by the struct, NULL when absent. */
typedef struct vbg_picture_info {
    int file_w, file_h; /* before the orientation was applied */
    int orientation;    /* Exif 1..8 */
    bool alpha;         /* the file has transparency */
    bool converted;     /* an ICC profile was converted to sRGB */
    const char *kind;   /* "PNG", "JPEG", "WebP"; not owned */
    vbg_pano pano;
    char *parameters; /* A1111 generation text */
    char *vbg;        /* vbg's JSON */
    char *software;
} vbg_picture_info;
void vbg_picture_info_free(vbg_picture_info *info); /* accepts NULL; zeroes *info */

/* Reads a picture.  channels: 1, 3 or 4 to force that many (transparency is blended over
 * black when it cannot be kept), 0 for what the file has (gray with alpha becomes RGBA).
 * out and info are freed by the caller; info may be NULL.
 * Errors: VBG_EIO, VBG_EFORMAT, VBG_ELIMIT, VBG_EUNSUPPORTED, VBG_ENOMEM; then out and
 * info are zeroed. */
vbg_status vbg_picture_load(vbg_picture *out, vbg_picture_info *info, const char *path,
                            int channels, vbg_err *err);
/* The same from memory; name is for messages. */
vbg_status vbg_picture_load_memory(vbg_picture *out, vbg_picture_info *info,
                                   const void *data, size_t bytes, const char *name,
                                   int channels, vbg_err *err);
/* Size and texts only (pixels are not decoded). */
vbg_status vbg_picture_read_info(vbg_picture_info *info, int *w, int *h, const char *path,
                                 vbg_err *err);
/* True when the first bytes look like a kind that vbg_picture_load reads. */
bool vbg_picture_known(const void *data, size_t bytes);

/* What to write besides pixels; NULL or zero: left out. */
typedef struct vbg_picture_meta {
    const vbg_pano *pano;
    int source_photos;       /* GPano:SourcePhotosCount */
    const char *description; /* dc:description, UTF-8: the prompt */
    const char *source_type; /* "trainedAlgorithmicMedia" and its kin */
    const char *parameters;  /* A1111 text, UTF-8 */
    const char *vbg;         /* JSON */
    const char *software;    /* "vbg 0.1.0" */
} vbg_picture_meta;

/* Writes a picture of 1, 3 or 4 channels (JPEG: alpha is dropped).  meta may be NULL.
 * quality 1..100 for JPEG (4:4:4 from 90 up) and WebP; PNG ignores it.
 * Errors: VBG_EUSAGE (suffix, quality), VBG_EIO, VBG_ENOMEM, VBG_EUNSUPPORTED. */
vbg_status vbg_picture_save(const char *path, const vbg_picture *p,
                            const vbg_picture_meta *meta, int quality, vbg_err *err);
/* A PNG of one channel of 8 (bytes) or 16 bits (big-endian pairs) without metadata, for
 * masks, labels and depths: quick to write.  Errors: VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_png_save_map(const char *path, const uint8_t *data, int w, int h, int bits,
                            vbg_err *err);
/* True when the suffix is one that vbg_picture_save writes. */
bool vbg_picture_writable(const char *path);

/* Encodes a JPEG into memory (malloc'd, freed by the caller with free). */
vbg_status vbg_jpeg_encode(unsigned char **out, size_t *bytes, const vbg_picture *p,
                           const vbg_picture_meta *meta, int quality, vbg_err *err);

#endif
