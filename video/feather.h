/* The soft edge of a mask: a Gaussian where the mask changes, nothing elsewhere.
 *
 * Most of a mask is one value: tiles whose neighbourhood is even stay as they are, which
 * is what the Gaussian would make of them. */
#ifndef VBG_VIDEO_FEATHER_H
#define VBG_VIDEO_FEATHER_H

#include "engine/picture.h"
#include "kernels/table.h"

typedef struct vbg_feather vbg_feather;

/* For masks of w x h; width: of the soft edge in pixels, above 0 to 256 (2.6 standard
 * deviations).  Errors: VBG_ENOMEM, VBG_EUSAGE. */
vbg_status vbg_feather_new(vbg_feather **out, int w, int h, double width, vbg_err *err);
void vbg_feather_free(vbg_feather *f); /* accepts NULL */
/* In place; one channel. */
void vbg_feather_run(vbg_feather *f, const vbg_kernels *k, vbg_picture *alpha);

#endif
