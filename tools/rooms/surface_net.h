/* The surface of a signed distance field as triangles: naive surface nets.
 *
 * One vertex for each cell of a grid that the surface passes, at the mean of the points
 * where it crosses the cell's edges, then moved onto the surface along the gradient; four
 * cells around a crossed grid edge make a quad.  Blocks of cells that the surface cannot
 * reach are told by one sample.  Where the surface leaves the box it stays open.
 * Source: Gibson 1998, "Constrained elastic surface nets". */
#ifndef VBG_ROOMS_SURFACE_NET_H
#define VBG_ROOMS_SURFACE_NET_H

#include <stddef.h>

#include "tools/rooms/vec.h"

/* Distance at p, negative inside; its slope is at most 1.5 and rarely below .5. */
typedef float (*net_field)(const void *what, vec3 p);

typedef struct surface_net {
    vec3 *pos, *nrm; /* nv each */
    uint32_t *idx;   /* 3 for each of nt triangles */
    size_t nv, nt;
    size_t cap_v, cap_t, cap_grid;
    float *value;   /* of the grid's corners */
    uint32_t *cell; /* vertex of a cell */
    uint8_t *near;  /* of a block: the surface may pass it */
} surface_net;

/* Replaces n's triangles by the surface of f in the box lo..hi with cubic cells.  Keeps
 * its memory for the next call.  False when out of memory. */
bool vr_net_build(surface_net *n, vec3 lo, vec3 hi, float cell, net_field f,
                  const void *what);
void vr_net_free(surface_net *n); /* accepts a zeroed one */

#endif
