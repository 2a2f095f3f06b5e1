/* Where a carried mask is not believed (mask mode "latest").
 *
 * A mask of an earlier frame says "person" of a place; the flow says how that place must
 * look now.  Where it looks unlike all within a small pixel around it, there is the room that the person has just left,
 * or a hand whose way could not be measured.  Such places count as background when
 * nothing but their like lies between them and the background, so that lips and lids
 * make no holes. */
#ifndef VBG_VIDEO_DOUBT_H
#define VBG_VIDEO_DOUBT_H

#include "video/image.h"

typedef struct vbg_doubt vbg_doubt;

/* Small pictures of w x h.  Errors: VBG_ENOMEM. */
vbg_status vbg_doubt_new(vbg_doubt **out, int w, int h, vbg_err *err);
void vbg_doubt_free(vbg_doubt *d); /* accepts NULL */
/* expected, now: how the luma must look and does, w x h.  alpha: scale times that size
 * (or less than scale pixels more); 255 person.  Light that changes for the whole person
 * is no doubt. */
void vbg_doubt_run(vbg_doubt *d, const vbg_picture *expected, const vbg_picture *now,
                   vbg_picture *alpha, int scale);

#endif
