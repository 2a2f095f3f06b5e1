/* A picture moved along the flow of its cells.
 *
 *     to(x) = from(x - shift(x)),  shift: bilinear between the middles of cells
 *
 * Where nothing is known around a place, it stays as it is. */
#ifndef VBG_VIDEO_CELL_WARP_H
#define VBG_VIDEO_CELL_WARP_H

#include "video/image.h"

typedef struct vbg_cell_shift {
    float dx, dy; /* pixels of the small picture (video/cell_flow.h) */
    bool known;
} vbg_cell_shift;

typedef struct vbg_cell_grid {
    const vbg_cell_shift *cells; /* [h][w] */
    int w, h;
    int side;  /* pixels of a cell in the picture that is moved */
    int scale; /* pixels of that picture per pixel of the small one */
} vbg_cell_grid;

/* to and from: one channel, one size, apart.  The cells cover it all. */
void vbg_cell_warp(const vbg_cell_grid *grid, vbg_picture *to, const vbg_picture *from);

/* The same for pictures that are flat nearly everywhere, as masks are: only places where
 * something changes are computed.  flat: memory of vbg_cell_warp_flat_bytes. */
void vbg_cell_warp_flat(const vbg_cell_grid *grid, vbg_picture *to,
                        const vbg_picture *from, uint8_t *flat);
size_t vbg_cell_warp_flat_bytes(int w, int h);

#endif
