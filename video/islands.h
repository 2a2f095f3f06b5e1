/* Small patches of a mask that stand apart from the person: a lamp, a ball, a corner of
 * the curtain that a network takes for somebody.  They are where most of a real room
 * that leaks through is to be seen. */
#ifndef VBG_VIDEO_ISLANDS_H
#define VBG_VIDEO_ISLANDS_H

#include "video/image.h"

typedef struct vbg_islands vbg_islands;

/* For masks of w x h.  Errors: VBG_ENOMEM. */
vbg_status vbg_islands_new(vbg_islands **out, int w, int h, vbg_err *err);
void vbg_islands_free(vbg_islands *d); /* accepts NULL */

/* Clears every connected patch (over edges, of values above veil) of mask, one channel in
 * 0..1, whose sum is less than share of the largest patch's.  A patch that keeps its
 * place keeps its values. */
void vbg_islands_drop(vbg_islands *d, vbg_image *mask, float veil, double share);

#endif
