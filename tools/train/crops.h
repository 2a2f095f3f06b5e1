/* Square crops of pictures at their own scale, for training on texture. */
#ifndef VBG_TOOLS_TRAIN_CROPS_H
#define VBG_TOOLS_TRAIN_CROPS_H

#include "tools/train/captions.h"

typedef struct vbg_crops {
    vbg_captions list; /* captions are not read */
    size_t held_out;   /* the last pictures of the list are for validation */
} vbg_crops;

/* Lists the pictures below path (x.mask.png is none) whose sides are at least side; share
 * of them, at least one, is held out. Errors: those of vbg_captions_open; VBG_EFORMAT
 * when fewer than two are there. */
vbg_status vbg_crops_open(vbg_crops *c, const char *path, int side, double share,
                          bool strict, vbg_err *err);
void vbg_crops_close(vbg_crops *c); /* accepts zeroed */

/* Pictures to train on. */
size_t vbg_crops_count(const vbg_crops *c);

/* count crops of side x side from picture i (of those to train on, or held-out ones):
 * out [count][side][side][3] f32 in -1..1.  With dice at random places, one in three
 * from a region twice as large shrunk to size, mirrored half the time; without dice the
 * middle.  Of pictures twice as wide as high (panoramas) the band within 55 degrees of
 * the horizon is used.  A broken picture is replaced by the next whole one.
 * Thread-safe.  Errors: VBG_EFORMAT, VBG_ENOMEM. */
vbg_status vbg_crops_take(vbg_crops *c, size_t i, bool held_out, int side, int count,
                          vbg_dice *dice, float *out, vbg_err *err);
/* Name of picture i. */
const char *vbg_crops_name(const vbg_crops *c, size_t i);

/* src shrunk to dst's size (antialiased), then as f32 in -1..1 to out. */
vbg_status vbg_shrink_to_floats(float *out, vbg_picture *dst, const vbg_picture *src,
                                vbg_err *err);

/* [n][side][side][3] in -1..1 -> columns x rows tiles as one RGB picture; p is new. */
vbg_status vbg_tiles(vbg_picture *p, const float *x, int side, int columns, int rows,
                     vbg_err *err);

#endif
