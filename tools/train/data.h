/* Common ground of the readers of training data.
 *
 * Every reader lists its samples once (in the order of their names or rows, so that it is
 * the same everywhere), looks at the pictures' headers, and leaves broken samples out:
 * the first few are named in a warning, all are counted.  What turns out broken later,
 * while a picture is decoded, is replaced by the next sample of the list that is whole.
 * With strict, the first broken sample is an error.
 *
 * Order and chance come from counters, never from a running generator: what sample i of
 * epoch e looks like follows from (seed, e, i) alone, whatever thread makes it and
 * wherever a resumed run begins. */
#ifndef VBG_TOOLS_TRAIN_DATA_H
#define VBG_TOOLS_TRAIN_DATA_H

#include "engine/picture.h"

/* ---- broken samples ---- */

typedef struct vbg_tally {
    const char *where; /* the data's path, for messages; not owned */
    bool strict;
    size_t good, broken;
} vbg_tally;

/* Counts a broken sample: warns (the first ten) and returns VBG_OK, or, when strict, puts
 * the text into err and returns VBG_EFORMAT. */
vbg_status vbg_tally_broken(vbg_tally *t, vbg_err *err, const char *fmt, ...)
    VBG_PRINTF(3, 4);
/* After listing: says how many were left out.  Errors: VBG_EFORMAT when nothing is left
 * or more than half is broken. */
vbg_status vbg_tally_close(const vbg_tally *t, const char *what, vbg_err *err);

/* ---- lists of files ---- */

typedef struct vbg_paths {
    char **path; /* sorted by name */
    size_t count, room;
} vbg_paths;

/* All pictures (.jpg .jpeg .png .webp in any case) below dir; hidden ones and renderers'
 * x.depth.png and x.label.png are left out.
 * Errors: VBG_EIO, VBG_ENOMEM; an empty list is none. */
vbg_status vbg_paths_pictures(vbg_paths *out, const char *dir, vbg_err *err);
void vbg_paths_free(vbg_paths *p); /* accepts NULL; zeroes *p */

/* A copy of path with everything behind the last dot of its name replaced by suffix
 * (".txt"), to be freed; NULL: no memory. */
char *vbg_with_suffix(const char *path, const char *suffix);
/* name, relative to the folder of file unless absolute; to be freed. */
char *vbg_beside(const char *file, const char *name);

/* ---- order and chance ---- */

/* The order in which epoch goes through count samples: order[i] is a permutation of
 * 0..count-1, the same for the same seed and epoch.  shuffle false: 0, 1, 2, ... */
void vbg_epoch_order(uint32_t *order, size_t count, uint64_t seed, uint64_t epoch,
                     bool shuffle);

/* Chance for one sample: a counter-based stream (Philox4x32-10). */
typedef struct vbg_dice {
    uint32_t key[2], counter[4], out[4];
    int left;
} vbg_dice;

/* purpose keeps streams for different uses of one sample apart. */
vbg_dice vbg_dice_for(uint64_t seed, uint32_t epoch, uint32_t sample, uint32_t purpose);
uint32_t vbg_dice_word(vbg_dice *d);
double vbg_dice_unit(vbg_dice *d);                        /* in [0, 1) */
double vbg_dice_range(vbg_dice *d, double lo, double hi); /* in [lo, hi) */
int vbg_dice_int(vbg_dice *d, int count);                 /* 0..count-1 */
bool vbg_dice_chance(vbg_dice *d, double p);
double vbg_dice_normal(vbg_dice *d); /* standard */

#endif
