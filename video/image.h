/* Float planes and pictures in memory: interleaved rows, top row first. */
#ifndef VBG_VIDEO_IMAGE_H
#define VBG_VIDEO_IMAGE_H

#include "engine/picture.h"

typedef struct vbg_image {
    float *data;
    int w, h, channels;
    size_t stride; /* floats from row to row */
} vbg_image;

/* Zeroed, rows 64-byte aligned and followed by 64 readable bytes.
 * Errors: VBG_ENOMEM, VBG_ELIMIT (as vbg_picture_new). */
vbg_status vbg_image_new(vbg_image *out, int w, int h, int channels, vbg_err *err);
void vbg_image_free(vbg_image *p); /* accepts NULL and zeroed; zeroes *p */

/* First value of row y. */
static inline float *vbg_image_row(const vbg_image *p, int y)
{
    return p->data + (size_t)y * p->stride;
}

/* First byte of row y. */
static inline uint8_t *vbg_picture_row(const vbg_picture *p, int y)
{
    return p->data + (size_t)y * p->stride;
}

#endif
