/* The person's pixels made to belong to the room: the old room's colour taken off the
 * edge, the new room's light laid over it, exposure and tint matched.  All of it changes
 * raw frames before the compositor sees them.
 *
 *   spill   edge pixels move towards the person's own colour nearby, as far as they are
 *           background:  c += spill (1 - a) (person - c)
 *   wrap    the new background shines around the outline:  c += wrap (1 - A) (back - c),
 *           A: alpha, blurred wide
 *   match   the person's mean luma and its tint move towards those of
 *           the background around him
 * Found at an eighth of the frame's size; pixels deep inside are copied (match: shifted).
 * Sources: light wrapping as compositors do it by hand; Reinhard et al. 2001 for match.
 */
#ifndef VBG_VIDEO_RELIGHT_H
#define VBG_VIDEO_RELIGHT_H

#include "video/compose.h"

typedef struct vbg_relight_opt {
    double spill, wrap, match; /* 0..1 each; all 0: nothing to do */
} vbg_relight_opt;

typedef struct vbg_relight vbg_relight;

/* Errors: VBG_ENOMEM. */
vbg_status vbg_relight_new(vbg_relight **out, int w, int h, vbg_err *err);
void vbg_relight_free(vbg_relight *r); /* accepts NULL */
/* raw with the person's pixels changed; the relight's own, valid until the next call.
 * The raw frame itself when there is nothing to do or no usable mask.  back: codes. */
const vbg_raw_frame *vbg_relight_run(vbg_relight *r, vbg_ctx *c,
                                     const vbg_relight_opt *opt, const vbg_raw_frame *raw,
                                     const vbg_mask *mask, const vbg_picture *back);

#endif
