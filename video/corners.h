/* Corners worth tracking: Shi-Tomasi (smaller eigenvalue) or Harris response, the local
 * maxima above a share of the best one, strongest first, a minimum distance apart. */
#ifndef VBG_VIDEO_CORNERS_H
#define VBG_VIDEO_CORNERS_H

#include "engine/tensor.h"
#include "video/flow.h"

typedef struct vbg_corner_opt {
    int max_corners;     /* at most this many (0: all that fit in the workspace) */
    float quality;       /* share of the strongest response, 0..1                */
    float min_distance;  /* pixels; below 1: no distance test                    */
    int block;           /* summation window, 1..VBG_CORNER_BLOCK_MAX            */
    bool harris;         /* det - k trace^2 instead of the smaller eigenvalue    */
    float k;             /* Harris' constant, 0.04                               */
    const uint8_t *mask; /* u8 [h, w]: corners only where it is not zero; NULL: all  */
    size_t mask_stride;  /* bytes from row to row                                    */
} vbg_corner_opt;

/* Points found so far; new ones are appended. */
typedef struct vbg_point_list {
    vbg_point *p;
    int count, cap;
} vbg_point_list;

enum { VBG_CORNER_BLOCK_MAX = 31 };

/* Memory for pictures up to w x h; no call below allocates. */
typedef struct vbg_corners vbg_corners;
vbg_status vbg_corners_new(vbg_corners **out, int w, int h, vbg_err *err);
void vbg_corners_free(vbg_corners *c); /* accepts NULL */

/* The response of every pixel: [h, w] f32 in the workspace, valid until the next call.
 * Sobel derivatives of the picture in 0..1, sums over block x block, mirrored borders.
 * im is padded by at least block/2 + 1 mirrored pixels (a pyramid level is).
 * Source: Shi and Tomasi 1994; Harris and Stephens 1988. */
const float *vbg_corners_response(vbg_corners *c, vbg_ctx *ctx, const vbg_plane *im,
                                  const vbg_corner_opt *opt);

/* Appends corners of im (as above) to the list, at least min_distance from the points
 * already in it, until it holds max_corners or is full.  Ties: the later pixel in reading
 * order first.  A blank picture gives none. */
void vbg_corners_find(vbg_corners *c, vbg_ctx *ctx, const vbg_plane *im,
                      const vbg_corner_opt *opt, vbg_point_list *list);

#endif
