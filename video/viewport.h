/* A camera inside a panorama: perspective views out of an equirectangular picture, fast
 * enough for every frame of a video.  Conventions of panorama.h. */
#ifndef VBG_VIDEO_VIEWPORT_H
#define VBG_VIDEO_VIEWPORT_H

#include "engine/picture.h"
#include "engine/tensor.h"
#include "video/panorama.h"

typedef struct vbg_viewport vbg_viewport;

enum { VBG_VIEWPORT_MAX_WIDTH = 8192 /* wider panoramas are halved until they fit */ };

/* Takes a copy of pano (equirect, 1, 3 or 4 channels, alpha ignored), 4 bytes a pixel.
 * Any aspect ratio is stretched over the whole sphere.
 * Errors: VBG_ENOMEM, VBG_EUSAGE (empty picture). */
vbg_status vbg_viewport_new(vbg_viewport **out, const vbg_picture *pano, vbg_err *err);
void vbg_viewport_free(vbg_viewport *v); /* accepts NULL */

/* Renders into dst, an RGB picture of the camera's size: bilinear, positions and levels
 * as documented in kernels/view.h.  Roll turns the camera clockwise seen from behind.
 * The camera's w and h are taken from dst.  c: threads and kernels. */
void vbg_viewport_render(const vbg_viewport *v, vbg_ctx *c, vbg_picture *dst,
                         const vbg_pinhole *camera);
/* The same but for what a person hides: pixels of which all within VBG_VIEWPORT_MARGIN
 * have alpha 255 keep what dst held.  alpha: one channel, the size of dst. */
enum { VBG_VIEWPORT_MARGIN = 32 };
void vbg_viewport_render_around(const vbg_viewport *v, vbg_ctx *c, vbg_picture *dst,
                                const vbg_pinhole *camera, const vbg_picture *alpha);
/* The same with bicubic reads, in double: for stills. */
void vbg_viewport_render_bicubic(const vbg_viewport *v, vbg_ctx *c, vbg_picture *dst,
                                 const vbg_pinhole *camera);

/* A pitch that never passes +-limit_rad: unchanged up to 70 % of it, then eased, with a
 * continuous slope.  limit_rad <= 0: always 0. */
double vbg_viewport_ease_pitch(double pitch_rad, double limit_rad);
/* The usual limit for a camera: the view's upper and lower border stay within 80 degrees
 * of the horizon, but at least 10 degrees of pitch remain. */
double vbg_viewport_pitch_limit(const vbg_pinhole *camera);

#endif
