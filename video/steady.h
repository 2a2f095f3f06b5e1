/* Steady masks: the mask of the frame before, carried along by the measured flow, helps
 * out where the network is unsure.
 *
 *     p = now + ratio * unsure(now) * trust * (before(x + flow) - now)
 *     unsure(p) = 1 - (2 p - 1)^2
 *
 * Where the network is sure its word stands at once: a moved edge does not lag.  trust is
 * the share of a cell's flow that can be believed: found in both frames, the same levels
 * there.  The flow is found at a quarter of the frame's size, on a grid of cells, near
 * edges of the mask only.
 * Sources: the temporal blend of MediaPipe's segmentation graphs (entropy as weight);
 * Bouguet 2000 for the flow. */
#ifndef VBG_VIDEO_STEADY_H
#define VBG_VIDEO_STEADY_H

#include "video/compose.h"
#include "video/image.h"

typedef struct vbg_steady vbg_steady;

/* Frames of w x h, masks of mask_w x mask_h.  Errors: VBG_ENOMEM. */
vbg_status vbg_steady_new(vbg_steady **out, int w, int h, int mask_w, int mask_h,
                          vbg_err *err);
void vbg_steady_free(vbg_steady *s); /* accepts NULL */
/* prob [mask_h][mask_w], 0..1, becomes the filtered mask.  ratio 0..1; 0 only remembers.
 * Frames come in order; another epoch, or a gap of more than 5 frames, starts anew. */
void vbg_steady_run(vbg_steady *s, vbg_ctx *c, const vbg_raw_frame *raw, vbg_image *prob,
                    double ratio);

#endif
