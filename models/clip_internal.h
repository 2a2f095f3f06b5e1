/* What the two towers of models/clip.h share; for models/clip*.c alone. */
#ifndef VBG_MODELS_CLIP_INTERNAL_H
#define VBG_MODELS_CLIP_INTERNAL_H

#include "models/clip.h"

/* Binds PREFIXencoder.layers.0... until the numbers end. */
void vbg_clip_bind_tower(vbg_bind *b, vbg_clip_tower *t, const char *prefix, int width,
                         vbg_clip_opt opt);
/* A plain [rows][width] table; 0 accepts any.  NULL and noted when it is not one. */
const vbg_entry *vbg_clip_bind_table(vbg_bind *b, int rows, int width, const char *prefix,
                                     const char *name);
/* x [n,1,t,width] through the blocks [first, last); x is dropped. */
vbg_tensor *vbg_clip_blocks(vbg_ctx *c, const vbg_clip_tower *t, vbg_tensor *x, int first,
                            int last, bool causal);
/* x [n,1,t,width] + table [t][width] -> the same shape. */
vbg_tensor *vbg_clip_add_positions(vbg_ctx *c, const vbg_tensor *x,
                                   const vbg_entry *table);
/* Row row[i] of the flattened x for each of n images -> [n,1,1,width].  The array is
 * read while running only. */
vbg_tensor *vbg_clip_pick_rows(vbg_ctx *c, const vbg_tensor *x, const int *row, int n);
/* count ints in the slab for such an array; NULL while planning. */
int *vbg_clip_ints(vbg_ctx *c, int count);

#endif
