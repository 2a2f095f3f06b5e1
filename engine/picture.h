/* 8-bit pictures in memory: interleaved rows, 1 (gray), 3 (RGB) or 4 (RGBA)
 * channels, sRGB, top row first. */
#ifndef VBG_ENGINE_PICTURE_H
#define VBG_ENGINE_PICTURE_H

#include "engine/base.h"

typedef struct vbg_picture {
    uint8_t *data;
    int w, h, channels;
    size_t stride; /* bytes from row to row */
} vbg_picture;

/* Limits of every picture and frame that comes from outside. */
enum {
    VBG_PICTURE_MAX_SIDE = 32768,
    VBG_PICTURE_MAX_PIXELS = 1 << 27,
    VBG_PICTURE_MAX_FILE_MB = 512
};

/* Zeroed picture, rows 64-byte aligned and followed by 64 readable bytes.
 * Errors: VBG_ENOMEM, VBG_ELIMIT. */
vbg_status vbg_picture_new(vbg_picture *out, int w, int h, int channels, vbg_err *err);
void vbg_picture_free(vbg_picture *p); /* accepts NULL and zeroed; zeroes *p */

#endif
