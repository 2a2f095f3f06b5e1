/* Kernels of camera tracking: 5-tap pyramid rows, the windows of Lucas-Kanade and the
 * rows of the corner response.
 *
 * All of it is integer arithmetic with exact sums, so that every ISA gives the same
 * bits.  Fixed point as in Bouguet's pyramidal tracker with 14-bit bilinear weights:
 * grey levels carry 5 fractional bits, Scharr derivatives are 32 times the slope.
 *
 * Planes are padded: the pixels around (0,0)..(w-1,h-1) that a window may touch are
 * readable and mirrored (reflect-101), see video/pyramid.h. */
#ifndef VBG_KERNELS_LK_H
#define VBG_KERNELS_LK_H

#include <stddef.h>
#include <stdint.h>

/* An 8-bit grey picture; data is pixel (0,0), stride bytes from row to row. */
typedef struct vbg_plane {
    const uint8_t *data;
    size_t stride;
    int w, h;
} vbg_plane;

enum {
    VBG_LK_WINDOW_MAX = 48, /* widest and highest window        */
    VBG_LK_LD = 64,         /* samples from patch row to row    */
    VBG_LK_MARGIN = 2,      /* readable pixels beyond a window  */
    VBG_LK_OVERREAD = 128   /* readable bytes after a plane     */
};

/* Where a window of w x h samples lies: integer corner and the four bilinear weights
 * (top left, top right, bottom left, bottom right; they sum to 1 << 14). */
typedef struct vbg_lk_spot {
    int x, y;
    int weight[4];
} vbg_lk_spot;

/* The template: levels << 5, derivatives << 5; from column w to the end of its vector
 * the kernels write zeros.
 *
 *     row r, column c  ->  [r*VBG_LK_LD + c]
 *
 * a11, a12, a22: sums of dx dx, dx dy, dy dy over the window. */
typedef struct vbg_lk_patch {
    int w, h;
    int64_t a11, a12, a22;
    _Alignas(64) int16_t level[VBG_LK_WINDOW_MAX * VBG_LK_LD];
    _Alignas(64) int16_t dx[VBG_LK_WINDOW_MAX * VBG_LK_LD];
    _Alignas(64) int16_t dy[VBG_LK_WINDOW_MAX * VBG_LK_LD];
} vbg_lk_patch;

typedef struct vbg_lk_kernels {
    /* Fills p (w, h set by the caller) from im at s.  Derivatives outside the picture
     * are zero, levels there are the mirrored ones. */
    void (*patch)(vbg_lk_patch *p, const vbg_plane *im, const vbg_lk_spot *s);
    /* b[0] = sum (J - I) dx, b[1] = sum (J - I) dy with J sampled from im at s. */
    void (*step)(int64_t b[2], const vbg_lk_patch *p, const vbg_plane *im,
                 const vbg_lk_spot *s);
    /* sum |J - I| */
    int64_t (*residual)(const vbg_lk_patch *p, const vbg_plane *im, const vbg_lk_spot *s);
    /* One row of the half-size picture: rows are five source rows from 2y-2 on, each
     * readable from column -2 to 2w+1 (and VBG_LK_OVERREAD beyond).  tmp holds
     * 2w + 128 values.  dst[x] = (sum of 1 4 6 4 1 in both directions + 128) >> 8. */
    void (*halve)(uint8_t *dst, const uint8_t *const rows[5], int w, uint16_t *tmp);
    /* Adds (sign 1) or takes away (sign -1) the products of the 3x3 Sobel derivatives
     * of one row: xx += sign*dx*dx, xy, yy alike; rows are the three source rows,
     * readable from column -1 to w. */
    void (*corner_row)(int32_t *const sum[3], const uint8_t *const rows[3], int w,
                       int sign);
    /* Sums over a box of `block` columns (sum[.] readable from column -block/2 to
     * w+block/2) turned into the smaller eigenvalue (k < 0) or Harris' response
     * det - k trace^2; scale multiplies every sum. */
    void (*corner_response)(float *dst, int32_t *const sum[3], int w, int block,
                            float scale, float k);
    /* peak[x] = 1 where the middle row's value is above limit and none of its eight
     * neighbours is larger, for x in 1..w-2; 0 at both ends. */
    void (*corner_peaks)(uint8_t *peak, const float *const rows[3], int w, float limit);
} vbg_lk_kernels;

void vbg_lk_init_ref(vbg_lk_kernels *k);
void vbg_lk_init_avx2(vbg_lk_kernels *k);
void vbg_lk_init_avx512(vbg_lk_kernels *k);

#endif
