/* Kernel of the viewport: one row of a perspective view out of a panorama. */
#ifndef VBG_KERNELS_VIEW_H
#define VBG_KERNELS_VIEW_H

#include <stddef.h>
#include <stdint.h>

/* A w x h equirect picture as R G B X pixels with one extra pixel on every side: columns
 * wrap, rows beyond a pole continue on its other side.  Bytes are stored xor 0x80, so
 * that byte products with unsigned weights need no widening.
 *
 *     picture column u, row v  ->  data[((v + 1) * stride + u + 1) * 4]
 *
 * 64 readable bytes follow the last row. */
typedef struct vbg_sphere_table {
    const uint8_t *data;
    size_t stride; /* pixels from row to row, >= w + 2; stride * (h + 2) < 2^31 */
    int w, h;
} vbg_sphere_table;

typedef struct vbg_view_kernels {
    /* rgb[3*n]: pixel x looks in direction dir + x * step (x right, y down, z forward,
     * any length but zero).  Bilinear with 7-bit fractions; positions are good to 0.01
     * pixel of the panorama, levels to 1 where it changes by up to 100 levels a pixel. */
    void (*row)(uint8_t *rgb, int n, const vbg_sphere_table *t, const float dir[3],
                const float step[3]);
} vbg_view_kernels;

void vbg_view_init_ref(vbg_view_kernels *k);
void vbg_view_init_avx2(vbg_view_kernels *k);
void vbg_view_init_avx512(vbg_view_kernels *k);

#endif
