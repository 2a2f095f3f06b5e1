/* The pack16 layout of weights (drawing in kernels/gemm.h): written once at
 * conversion, read in place by every instruction set. */
#include "kernels/gemm.h"

#include <string.h>

enum { BLOCK = 16, DEPTH = 32, SMALL = 16 };

vbg_pack_dims vbg_pack_shape(vbg_dtype t, size_t c, size_t taps)
{
    if (t == VBG_F32)
        return (vbg_pack_dims){ .cp = c, .k = taps * c };
    if (c <= SMALL)
        return (vbg_pack_dims){ .cp = c, .k = vbg_round_up(taps * c, DEPTH) };
    size_t cp = vbg_round_up(c, DEPTH);
    return (vbg_pack_dims){ .cp = cp, .k = taps * cp };
}

size_t vbg_pack_bytes(vbg_dtype t, size_t oc, size_t c, size_t taps)
{
    return vbg_round_up(oc, BLOCK) * vbg_pack_shape(t, c, taps).k * vbg_dtype_size(t);
}

/* Element index of output channel o and packed k. */
static size_t place(vbg_dtype t, size_t kk, size_t o, size_t k)
{
    size_t group = t == VBG_F32 ? 1 : t == VBG_I8 ? 4 : 2;
    size_t at = (o / BLOCK) * kk * BLOCK + (k / group) * BLOCK * group;
    return at + (o % BLOCK) * group + k % group;
}

void vbg_pack(void *dst, vbg_dtype t, const float *w, size_t oc, size_t c, size_t kh,
              size_t kw)
{
    size_t taps = kh * kw;
    vbg_pack_dims d = vbg_pack_shape(t, c, taps);

    memset(dst, 0, vbg_pack_bytes(t, oc, c, taps));
    for (size_t o = 0; o < oc; o++)
        for (size_t tap = 0; tap < taps; tap++)
            for (size_t i = 0; i < c; i++) {
                float v = w[(o * c + i) * taps + tap];
                size_t at = place(t, d.k, o, tap * d.cp + i);
                if (t == VBG_F32)
                    ((float *)dst)[at] = v;
                else
                    ((uint16_t *)dst)[at] =
                        t == VBG_BF16 ? vbg_f32_to_bf16(v) : vbg_f32_to_f16(v);
            }
}

void vbg_unpack(float *w, const void *src, vbg_dtype t, size_t oc, size_t c, size_t kh,
                size_t kw)
{
    size_t taps = kh * kw;
    vbg_pack_dims d = vbg_pack_shape(t, c, taps);

    for (size_t o = 0; o < oc; o++)
        for (size_t tap = 0; tap < taps; tap++)
            for (size_t i = 0; i < c; i++) {
                size_t at = place(t, d.k, o, tap * d.cp + i);
                float v;
                if (t == VBG_F32)
                    v = ((const float *)src)[at];
                else if (t == VBG_BF16)
                    v = vbg_bf16_to_f32(((const uint16_t *)src)[at]);
                else
                    v = vbg_f16_to_f32(((const uint16_t *)src)[at]);
                w[(o * c + i) * taps + tap] = v;
            }
}
