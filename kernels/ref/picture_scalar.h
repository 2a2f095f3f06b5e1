/* The exact formulas of one pixel: the reference, and what the fast kernels fall back
 * to where f32 cannot tell on which side of a half a value lies. */
#ifndef VBG_KERNELS_REF_PICTURE_SCALAR_H
#define VBG_KERNELS_REF_PICTURE_SCALAR_H

#include <math.h>

#include "kernels/picture.h"

/* Round half to even (the machine's mode), clip to 0..255; NaN gives 0. */
static inline uint8_t vbg_clip_level(double v)
{
    double r = rint(v);

    return (uint8_t)(r > 255 ? 255 : r > 0 ? r : 0);
}

static inline void vbg_yuv_pixel(uint8_t rgb[3], uint8_t y, uint8_t u, uint8_t v,
                                 const vbg_yuv_matrix *m)
{
    double luma = m->ry * (y - m->y_off), du = u - 128.0, dv = v - 128.0;

    rgb[0] = vbg_clip_level(luma + m->rv * dv);
    rgb[1] = vbg_clip_level(luma + m->gu * du + m->gv * dv);
    rgb[2] = vbg_clip_level(luma + m->bu * du);
}

static inline uint8_t vbg_luma_pixel(const uint8_t rgb[3], const vbg_yuv_matrix *m)
{
    return vbg_clip_level(m->y_off + m->y[0] * rgb[0] + m->y[1] * rgb[1] +
                          m->y[2] * rgb[2]);
}

/* sum: of the block's four pixels */
static inline void vbg_chroma_block(uint8_t *u, uint8_t *v, const int sum[3],
                                    const vbg_yuv_matrix *m)
{
    double r = 0.25 * sum[0], g = 0.25 * sum[1], b = 0.25 * sum[2];

    *u = vbg_clip_level(128 + m->u[0] * r + m->u[1] * g + m->u[2] * b);
    *v = vbg_clip_level(128 + m->v[0] * r + m->v[1] * g + m->v[2] * b);
}

#endif
