/* The shape shared by elementwise and normalising kernels: rows of contiguous
 * elements, some distance apart, read as one type and written as another.
 *
 *     x[r*ldx + j]  ->  y[r*ldy + j]     r < rows, j < cols
 *
 * y may be x itself when the types are the same size. */
#ifndef VBG_KERNELS_ROWS_H
#define VBG_KERNELS_ROWS_H

#include "engine/base.h"

typedef struct vbg_row_io {
    void *y;
    const void *x;
    size_t ldy, ldx; /* elements from row to row */
    size_t rows, cols;
    vbg_dtype yt, xt; /* f32 or bf16 */
} vbg_row_io;

#endif
