/* Views into an equirectangular panorama.
 *
 * Every panorama pixel looks into all views it falls into (projection inside the picture
 * area -0.5..size-0.5) and takes their weighted mean; a view's weight falls linearly from
 * its middle column to its sides and is at least 1e-6 (ends exactly at the border of the
 * picture).  What no view covers, the caps, is filled from the last covered pixels:
 * carried towards the pole, blurred wider and wider, one colour at the pole. */
#ifndef VBG_VIDEO_STITCH_H
#define VBG_VIDEO_STITCH_H

#include "engine/picture.h"
#include "engine/tensor.h"
#include "video/panorama.h"

/* The cameras of a ring: n square views, fov 90 degrees, yaw i * 360/n. */
void vbg_stitch_ring(vbg_pinhole *views, int n, int size);

/* Stitches n RGB pictures (pictures[i] of the size of views[i]) into out, an RGB picture
 * of the wanted size that the caller made.  c: threads; results do not depend on them.
 * covered (u8 [h, w], may be NULL) gets 1 where a view reaches.
 * Errors: VBG_EUSAGE (sizes differ, no view), VBG_ENOMEM. */
vbg_status vbg_stitch(vbg_ctx *c, vbg_picture *out, uint8_t *covered,
                      const vbg_picture *pictures, const vbg_pinhole *views, int n,
                      vbg_err *err);

/* What vbg_stitch_f32 writes, and how it reads. */
typedef struct vbg_stitch_out {
    int w, h;
    float *levels;            /* [h, w, 3] 0..255, zero where uncovered         */
    uint8_t *covered;         /* [h, w] 1 where a view reaches                  */
    vbg_sphere_filter filter; /* the product's bicubic, or bilinear for comparison */
} vbg_stitch_out;

/* The same without rounding and without caps. */
vbg_status vbg_stitch_f32(vbg_ctx *c, const vbg_stitch_out *out,
                          const vbg_picture *pictures, const vbg_pinhole *views, int n,
                          vbg_err *err);

/* Fills the uncovered pixels above and below the covered band in place. */
vbg_status vbg_stitch_caps(vbg_picture *pano, const uint8_t *covered, vbg_err *err);

#endif
