/* Pictures of people with masks: what `vbg-train segment` learns from.
 *
 *     FILE.csv                        columns img_path,matting_path, relative to FILE:
 *                                     the mask is the matte's alpha channel
 *     DIR/x.jpg + DIR/x.mask.png      8-bit gray alpha, 255 is the person
 *     DIR/images/x.* + DIR/masks/x.*  the same; a mask with transparency is its alpha
 *
 * A gray mask without values above 1 holds classes: 1 is the person. */
#ifndef VBG_TOOLS_TRAIN_MASKS_H
#define VBG_TOOLS_TRAIN_MASKS_H

#include "tools/train/data.h"

typedef struct vbg_masked {
    char *picture, *mask;
    bool broken; /* found out while decoding */
} vbg_masked;

typedef struct vbg_masks {
    vbg_masked *item;
    size_t count, room;
    bool matte; /* CSV: any alpha but 0 is the person, as the recipe has it */
    vbg_tally tally;
} vbg_masks;

/* Lists the pairs of path.  A mask whose size is not its picture's is a broken sample.
 * Errors: VBG_EIO, VBG_EFORMAT, VBG_ELIMIT, VBG_ENOMEM, VBG_EUNSUPPORTED (CSV in a
 * build without libcsv). */
vbg_status vbg_masks_open(vbg_masks *out, const char *path, bool strict, vbg_err *err);
void vbg_masks_free(vbg_masks *m); /* accepts NULL; zeroes *m */

/* Pair i: an RGB picture and a mask of one channel, of one size; the caller frees both.
 * Broken pairs are replaced by the next whole one and counted: *used (may be NULL) says
 * which it became.  Thread-safe.
 * Errors: VBG_EFORMAT (strict, or no whole pair at all), VBG_ENOMEM. */
vbg_status vbg_masks_load(vbg_masks *m, size_t i, vbg_picture *picture, vbg_picture *mask,
                          size_t *used, vbg_err *err);

#endif
