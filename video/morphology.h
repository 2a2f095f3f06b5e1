/* Masks: dilation and erosion, exact distances, connected components. One channel. */
#ifndef VBG_VIDEO_MORPHOLOGY_H
#define VBG_VIDEO_MORPHOLOGY_H

#include "video/image.h"

typedef enum vbg_morph { VBG_DILATE, VBG_ERODE, VBG_OPEN, VBG_CLOSE } vbg_morph;
typedef enum vbg_shape { VBG_SHAPE_RECT, VBG_SHAPE_ELLIPSE } vbg_shape;

/* Largest (dilate) or smallest (erode) value under a size x size element, `times`
 * times over; open erodes first, close dilates first.  The anchor is at size/2, as in
 * OpenCV: even sizes reach one further left and up.  Outside the picture nothing
 * counts.  size 1..1023, times 1..64.  dst may be src.
 * Errors: VBG_EUSAGE, VBG_ENOMEM. */
vbg_status vbg_morphology(vbg_picture *dst, const vbg_picture *src, vbg_morph op,
                          vbg_shape shape, int size, int times, vbg_err *err);

/* The elliptic element [size][size] of 0 and 1, as OpenCV draws it. */
void vbg_ellipse(uint8_t *element, int size);

/* Exact Euclidean distance of each non-zero pixel to the nearest zero one (0 there;
 * infinity when there is none), of src's size, one channel.  Linear.
 * Errors: VBG_ENOMEM.  Source: Felzenszwalb and Huttenlocher 2012. */
vbg_status vbg_distance(vbg_image *dst, const vbg_picture *src, vbg_err *err);

typedef struct vbg_component {
    int x, y, w, h; /* bounding box */
    int64_t area;
} vbg_component;

/* 8-connected components of the non-zero pixels: labels [h*w], 0 for the background,
 * then 1.. in order of their first pixel; *stats [*count], index = label, 0 the
 * background, owned by the caller (free).  Errors: VBG_ENOMEM. */
vbg_status vbg_components(int32_t *labels, vbg_component **stats, int *count,
                          const vbg_picture *src, vbg_err *err);

/* Removes (sets to 0) all components smaller than min_area and fills holes smaller
 * than it (sets them to 255), in place.  Errors: VBG_ENOMEM. */
vbg_status vbg_mask_clean(vbg_picture *mask, int64_t min_area, vbg_err *err);

#endif
