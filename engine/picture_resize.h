/* Resampling of 8-bit pictures with Pillow's filters: antialiased when shrinking
 * (the filter's support grows with the scale), horizontal pass first, weights of 22
 * bits, 8 bits between the passes.
 * Agrees with Pillow within two levels, usually exactly.
 * Source: Turkowski 1990; Mitchell and Netravali 1988 (bicubic: a = -0.5). */
#ifndef VBG_ENGINE_PICTURE_RESIZE_H
#define VBG_ENGINE_PICTURE_RESIZE_H

#include "engine/picture.h"

typedef enum vbg_filter {
    VBG_FILTER_NEAREST,
    VBG_FILTER_BOX,
    VBG_FILTER_BILINEAR,
    VBG_FILTER_HAMMING,
    VBG_FILTER_BICUBIC,
    VBG_FILTER_LANCZOS /* three lobes */
} vbg_filter;

/* Fills dst (its size says how far) from src; channels must be equal, the pictures
 * distinct.  Alpha is treated like a colour: premultiply first where that matters.
 * Errors: VBG_EUSAGE (channels), VBG_ENOMEM. */
vbg_status vbg_picture_resample(vbg_picture *dst, const vbg_picture *src,
                                vbg_filter filter, vbg_err *err);

#endif
