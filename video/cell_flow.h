/* Flow of a small copy of the frame, on a grid of cells: what the temporal filter and the
 * carrying of old masks share.
 *
 *     frame w x h --1/scale--> small picture, in cells of VBG_CELL x VBG_CELL pixels
 *     scale: 4 from 960 columns on, 2 from 480 on, else 1
 *
 * The caller lists the cells that he wants to know about; each is followed from its
 * middle.  Source: Bouguet 2000 (video/flow.h). */
#ifndef VBG_VIDEO_CELL_FLOW_H
#define VBG_VIDEO_CELL_FLOW_H

#include "video/compose.h"
#include "video/flow.h"
#include "video/resize.h"

enum { VBG_CELL = 8 /* pixels of the small picture */ };

/* Readable throughout; only the functions below write. */
typedef struct vbg_cell_flow {
    int scale;
    int w, h;             /* of the small picture */
    int cells_w, cells_h; /* the last ones may hang over */
    vbg_resizer *shrink;
    vbg_pyramid pyramid[2];
    /* of the listed cells */
    int count;
    int *cell; /* y * cells_w + x */
    vbg_point *from, *to, *back;
    uint8_t *ok, *back_ok; /* found in the other picture, and back */
    float *unlike;         /* mean difference of levels there */
} vbg_cell_flow;

/* For frames of w x h; the small picture has at least `least` pixels on either side.
 * Errors: VBG_ENOMEM; then f is empty. */
vbg_status vbg_cell_flow_open(vbg_cell_flow *f, int w, int h, int least, vbg_err *err);
void vbg_cell_flow_close(vbg_cell_flow *f); /* accepts one full of zeros */

/* How many cells there are. */
size_t vbg_cell_flow_cells(const vbg_cell_flow *f);
/* The frame's luma to small [f->h][f->w]. */
void vbg_cell_flow_shrink(const vbg_cell_flow *f, const vbg_kernels *k,
                          vbg_picture *small, const vbg_raw_frame *raw);
/* small becomes pyramid `which`, 0 or 1. */
void vbg_cell_flow_look(vbg_cell_flow *f, const vbg_kernels *k, int which,
                        const vbg_picture *small);

/* Forgets the listed cells. */
void vbg_cell_flow_clear(vbg_cell_flow *f);
/* The middle of a cell, or the last pixel of the picture before it. */
vbg_point vbg_cell_flow_middle(const vbg_cell_flow *f, int cell);
/* One more cell, each at most once. */
void vbg_cell_flow_add(vbg_cell_flow *f, int cell);
/* Fills to, ok and unlike of the listed cells: from pyramid `from` into the other. */
void vbg_cell_flow_track(vbg_cell_flow *f, vbg_ctx *c, int from);
/* After that: follows what was found back again.  ok becomes 0 where the way back ends
 * more than a pixel from where it began, as it does where there is nothing to follow but
 * noise. */
void vbg_cell_flow_check(vbg_cell_flow *f, vbg_ctx *c, int from);
/* Is the i-th listed cell's way to be believed?  0: no, 1: the same levels there. */
float vbg_cell_flow_trust(const vbg_cell_flow *f, int i);

#endif
