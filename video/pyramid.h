/* Padded grey pyramids for corner detection and Lucas-Kanade.
 *
 *        pad          w              pad
 *     +-------+----------------+-------+
 *     |       |  mirrored      |       |   every level is surrounded by `pad`
 *     +-------+----------------+-------+   mirrored pixels (reflect-101: the
 *     |       | (0,0)          |       |   border pixel itself is not repeated)
 *     |       |        (w-1,h-1)       |
 *     +-------+----------------+-------+
 *
 * Level i+1 has (w+1)/2 x (h+1)/2 pixels: 1 4 6 4 1 in both directions, rounded once
 * to 8 bits (bit-exact with OpenCV's pyrDown).  The chain ends early when the next
 * level would not be larger than the window in both directions. */
#ifndef VBG_VIDEO_PYRAMID_H
#define VBG_VIDEO_PYRAMID_H

#include "engine/base.h"
#include "kernels/lk.h"

enum { VBG_PYRAMID_LEVELS = 10 };

typedef struct vbg_pyramid {
    vbg_plane level[VBG_PYRAMID_LEVELS];
    int levels;    /* levels present, at least 1               */
    int pad;       /* mirrored pixels around each level        */
    void *memory;  /* owned                                    */
    uint16_t *row; /* scratch of the halving                  */
} vbg_pyramid;

/* A pyramid for w x h pictures with levels 0..max_level, for windows up to
 * window x window (at most VBG_LK_WINDOW_MAX).  Contents undefined until
 * vbg_pyramid_build.  Errors: VBG_ENOMEM, VBG_ELIMIT for absurd sizes. */
vbg_status vbg_pyramid_new(vbg_pyramid *out, int w, int h, int max_level, int window,
                           vbg_err *err);
/* Frees what new took; accepts NULL and a zeroed struct; zeroes *p. */
void vbg_pyramid_free(vbg_pyramid *p);
/* Fills all levels from the u8 picture y (stride bytes from row to row). */
void vbg_pyramid_build(vbg_pyramid *p, const uint8_t *y, size_t stride,
                       const vbg_lk_kernels *k);
/* The reflect-101 index of i in 0..n-1 for any i (n = 1: always 0). */
int vbg_reflect(int i, int n);

#endif
