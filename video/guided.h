/* The guided filter: smooths a mask along the edges of a picture.
 *
 *     a = cov(I, p) / (var(I) + eps), b = mean p - a mean I over windows of
 *     (2 radius + 1)^2 pixels (clipped at the border), q = mean a * I + mean b
 * Source: He, Sun and Tang 2013; fast form: He and Sun 2015. */
#ifndef VBG_VIDEO_GUIDED_H
#define VBG_VIDEO_GUIDED_H

#include "kernels/table.h"
#include "video/image.h"

/* dst, guide, p: one channel, the same size; dst may be p.  Sums in double.
 * Errors: VBG_ENOMEM. */
vbg_status vbg_guided_filter(vbg_image *dst, const vbg_image *guide, const vbg_image *p,
                             int radius, double eps, vbg_err *err);

/* Mask refinement for video: the coefficients are found at 1/scale of the frame's
 * size, widened bilinearly, applied at full size.  Made once per pair of sizes. */
typedef struct vbg_refiner vbg_refiner;
/* A frame of w x h, a mask of mask_w x mask_h, scale 1..8 (4 is good at 720p).
 * Errors: VBG_ENOMEM. */
vbg_status vbg_refiner_new(vbg_refiner **out, int w, int h, int mask_w, int mask_h,
                           int scale, vbg_err *err);
void vbg_refiner_free(vbg_refiner *r); /* accepts NULL */
/* luma: the frame's gray or Y plane, w x h, one channel; mask: probabilities 0..1;
 * alpha: w x h, one channel, 0..255.  radius counts pixels at 1/scale, eps is for
 * luma in 0..1 (4 and 1e-4 are good).  finish (NULL: none), which leaves 0 and 255 alone,
 * goes over what is written while it is in the cache.  Not for two threads with one r. */
void vbg_refiner_run(vbg_refiner *r, const vbg_kernels *k, vbg_picture *alpha,
                     const vbg_picture *luma, const vbg_image *mask, int radius,
                     float eps, void (*finish)(uint8_t *alpha, int n));

#endif
