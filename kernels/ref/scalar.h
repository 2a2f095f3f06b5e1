/* Element access of the reference kernels, one value at a time.
 * Private to kernels/ref. */
#ifndef VBG_KERNELS_REF_SCALAR_H
#define VBG_KERNELS_REF_SCALAR_H

#include "kernels/ref/act.h"

/* Element i of p (f32, bf16, f16, u8 or i32). */
static inline float vbg_ref_get(const void *p, vbg_dtype t, size_t i)
{
    switch (t) {
    case VBG_BF16:
        return vbg_bf16_to_f32(((const uint16_t *)p)[i]);
    case VBG_F16:
        return vbg_f16_to_f32(((const uint16_t *)p)[i]);
    case VBG_U8:
        return (float)((const uint8_t *)p)[i];
    case VBG_I32:
        return (float)((const int32_t *)p)[i];
    default:
        return ((const float *)p)[i];
    }
}

/* Stores v as element i of p (f32, bf16 or f16). */
static inline void vbg_ref_put(void *p, vbg_dtype t, size_t i, float v)
{
    if (t == VBG_BF16)
        ((uint16_t *)p)[i] = vbg_f32_to_bf16(v);
    else if (t == VBG_F16)
        ((uint16_t *)p)[i] = vbg_f32_to_f16(v);
    else
        ((float *)p)[i] = v;
}

#endif
