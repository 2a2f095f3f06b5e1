/* A mask of an earlier frame, moved to where the person is now (mask mode "latest").
 *
 *     alpha'(x) = alpha(x - flow(x))
 *
 * The flow is that of the person: measured from the mask's frame to this one, at a
 * quarter of the size, on cells that he covers, and spread to the cells around him.  Ways
 * that do not lead back, or that the neighbours do not share, are not believed: on plain
 * cloth, noise (of a JPEG, say) looks like a motion of any length.
 * Where the present picture then does not look like what the flow says, he is not
 * believed to be (video/doubt.h).
 * Source: Bouguet 2000 for the flow. */
#ifndef VBG_VIDEO_CARRY_H
#define VBG_VIDEO_CARRY_H

#include "video/compose.h"

typedef struct vbg_carry vbg_carry;

/* Frames of w x h.  Errors: VBG_ENOMEM. */
vbg_status vbg_carry_new(vbg_carry **out, int w, int h, vbg_err *err);
void vbg_carry_free(vbg_carry *k); /* accepts NULL */
/* To be called with every frame: the last 16 are remembered.  The mask for this frame:
 * mask itself where it cannot be used, is of this frame, or where its frame is not
 * remembered; else a moved one with the same index, epoch and greatest age, until the
 * next call. */
const vbg_mask *vbg_carry_run(vbg_carry *k, vbg_ctx *c, const vbg_raw_frame *raw,
                              const vbg_mask *mask);

#endif
