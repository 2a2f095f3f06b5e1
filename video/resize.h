/* Resizing with OpenCV's conventions, f32 inside; Pillow's filters are in
 * engine/picture_resize.h.
 *
 *     nearest    source index floor(i * in/out)
 *     linear     half-pixel centres, no antialiasing
 *     cubic      a = -0.75, no antialiasing
 *     area       exact box coverage; an axis that grows is linear
 *     lanczos4   8 taps, no antialiasing
 *     smooth     triangle, antialiased when shrinking: frames to a network's size
 * Outside the picture its border is repeated. */
#ifndef VBG_VIDEO_RESIZE_H
#define VBG_VIDEO_RESIZE_H

#include "kernels/table.h"
#include "video/image.h"

typedef enum vbg_interp {
    VBG_INTERP_NEAREST,
    VBG_INTERP_LINEAR,
    VBG_INTERP_CUBIC,
    VBG_INTERP_AREA,
    VBG_INTERP_LANCZOS4,
    VBG_INTERP_SMOOTH
} vbg_interp;

/* Weights and scratch for one pair of sizes: made once, used for every frame. */
typedef struct vbg_resizer vbg_resizer;

/* From w x h to out_w x out_h pixels of `channels` values (1 to 4), all positive.
 * Errors: VBG_ENOMEM. */
vbg_status vbg_resizer_new(vbg_resizer **out, int w, int h, int out_w, int out_h,
                           int channels, vbg_interp mode, vbg_err *err);
void vbg_resizer_free(vbg_resizer *r); /* accepts NULL */

/* The four pairs of types; sizes and channels must be those of r.  u8 results are
 * rounded half to even and clipped.  Not for two threads with one r. */
void vbg_resizer_u8(vbg_resizer *r, const vbg_kernels *k, vbg_picture *dst,
                    const vbg_picture *src);
void vbg_resizer_u8_f32(vbg_resizer *r, const vbg_kernels *k, vbg_image *dst,
                        const vbg_picture *src);
void vbg_resizer_f32(vbg_resizer *r, const vbg_kernels *k, vbg_image *dst,
                     const vbg_image *src);
/* Row y of the result alone, out_w * channels values that stay until r's next use:
 * saves a whole f32 frame when rows are used up one by one.  Not for nearest. */
const float *vbg_resizer_row_f32(vbg_resizer *r, const vbg_kernels *k,
                                 const vbg_image *src, int y);
void vbg_resizer_f32_u8(vbg_resizer *r, const vbg_kernels *k, vbg_picture *dst,
                        const vbg_image *src);

#endif
