/* Rows of the compositor: a YUV 4:2:0 frame over (or under) an interleaved YUV picture.
 *
 * mix(f, b, a) = round((f*a + b*(255 - a)) / 255), exact on every instruction set. */
#ifndef VBG_KERNELS_COMPOSE_H
#define VBG_KERNELS_COMPOSE_H

#include "engine/base.h"

typedef struct vbg_compose_kernels {
    /* dst[i] = mix(front[i], back[3*i], alpha[i]), i < n; back is followed by 64
     * readable bytes */
    void (*luma)(uint8_t *dst, const uint8_t *front, const uint8_t *back,
                 const uint8_t *alpha, size_t n);
    /* n chroma samples of two picture rows a and b (b == a: one row), each of 2*n
     * pixels; alpha and back are averaged over the 2x2 block, (sum + 2) >> 2:
     *   u[i] = mix(fu[i], mean back[..][1], mean alpha), v likewise with [2] */
    void (*chroma)(uint8_t *u, uint8_t *v, const uint8_t *fu, const uint8_t *fv,
                   const uint8_t *back_a, const uint8_t *back_b, const uint8_t *alpha_a,
                   const uint8_t *alpha_b, size_t n);
} vbg_compose_kernels;

void vbg_compose_init_ref(vbg_compose_kernels *k);
void vbg_compose_init_avx2(vbg_compose_kernels *k);

#endif
