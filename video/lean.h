/* A flat picture seen past somebody's head: a window of it that moves and grows. */
#ifndef VBG_VIDEO_LEAN_H
#define VBG_VIDEO_LEAN_H

#include "kernels/table.h"
#include "engine/picture.h"

typedef struct vbg_lean vbg_lean;

/* How much larger than the view the picture is made, in each direction. */
#define VBG_LEAN_ROOM 1.15

/* wide becomes the lean's, also when it fails; views are of w x h, wide is larger.
 * Errors: VBG_ENOMEM. */
vbg_status vbg_lean_new(vbg_lean **out, vbg_picture *wide, int w, int h, vbg_err *err);
void vbg_lean_free(vbg_lean *l); /* accepts NULL */
/* dst: w x h.  x, y: where the middle of the view lies from the picture's, in pixels of
 * the view, right and down; zoom: above 1 shows less.  Both are held inside the picture.
 * Bilinear. */
void vbg_lean_run(vbg_lean *l, const vbg_kernels *k, vbg_picture *dst, double x, double y,
                  double zoom);

#endif
