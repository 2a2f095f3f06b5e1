/* Pictures and panoramas that people are put in front of.
 *
 * A picture twice as wide as high (within 2 %) is taken as an equirectangular panorama
 * and looked into from a random direction; of others a random part is cut.  The pictures
 * are held in memory, reduced to what the output needs. */
#ifndef VBG_TOOLS_TRAIN_BACKGROUNDS_H
#define VBG_TOOLS_TRAIN_BACKGROUNDS_H

#include "tools/train/pixels.h"
#include "video/viewport.h"

typedef struct vbg_background {
    vbg_picture picture;  /* zeroed for a panorama */
    vbg_viewport *sphere; /* NULL for a picture */
} vbg_background;

typedef struct vbg_backgrounds {
    vbg_background *item;
    size_t count, room;
    vbg_tally tally;
} vbg_backgrounds;

/* Reads every picture below the folders dir[0..dirs-1]; side: the longer side of the
 * pictures that will be made.  More than 2 GiB of them are refused.
 * Errors: VBG_EIO, VBG_EFORMAT, VBG_ELIMIT, VBG_ENOMEM. */
vbg_status vbg_backgrounds_open(vbg_backgrounds *out, const char *const *dir, int dirs,
                                int side, bool strict, vbg_err *err);
void vbg_backgrounds_free(vbg_backgrounds *b); /* accepts NULL; zeroes *b */

/* A random background into out (3 channels), as a camera of the given aspect ratio sees
 * it; c: a context of the calling thread. */
vbg_status vbg_backgrounds_draw(const vbg_backgrounds *b, vbg_ctx *c, vbg_levels *out,
                                double aspect, vbg_dice *dice, vbg_err *err);

#endif
