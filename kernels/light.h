/* Rows of camera frames: their code range, and the light on the edge of a person. */
#ifndef VBG_KERNELS_LIGHT_H
#define VBG_KERNELS_LIGHT_H

#include "engine/base.h"

/* Columns of a small field: the mean of 8 columns of luma, 4 of chroma. */
enum { VBG_LIGHT_SCALE = 8 };

/* One row of a plane beside fields of an eighth of the width, which are read linearly
 * between the middles of their columns.  Small column s covers the pixels 8s .. 8s+7 of
 * luma, 4s .. 4s+3 of chroma (half); the fields are read from column from-1 to to+8.
 *
 *   a = alpha / 255,  c = src
 *   c += spill (1 - a) (person / weight - c)    where weight > 0.02
 *   c += wrap (1 - inside) (back - c)
 *   dst = clip(c + add), rounded half up;  src itself where alpha is 0
 *
 * alpha is that of pixel x of luma, 2x of chroma.  Whole groups of 8 pixels are read and
 * written: rows are padded to that.  From and to are even for chroma.  A result may
 * differ by one between instruction sets where c lies on a half. */
typedef struct vbg_light_row {
    uint8_t *dst;
    const uint8_t *src, *alpha;
    const float *person, *weight, *inside, *back;
    float spill, wrap, add;
    bool half;
} vbg_light_row;

typedef struct vbg_light_kernels {
    /* dst = (src * k + c) >> 16, n bytes, in place or not; c is a multiple of 256, k and
     * all results fit 16 bits before the last 8 are dropped */
    void (*range)(uint8_t *dst, const uint8_t *src, uint32_t k, uint32_t c, size_t n);
    /* One row of Y U Y V from planes: n pairs of pixels.  dst[4 n] */
    void (*yuyv)(uint8_t *dst, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                 size_t n);
    /* small columns from .. to-1 */
    void (*edge)(const vbg_light_row *r, int from, int to);
} vbg_light_kernels;

void vbg_light_init_ref(vbg_light_kernels *k);
void vbg_light_init_avx2(vbg_light_kernels *k);

#endif
