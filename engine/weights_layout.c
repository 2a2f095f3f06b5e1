/* Values of a tensor, f32 in PyTorch order, to and from the form of its layout. */
#include <string.h>

#include "engine/weights_format.h"
#include "kernels/gemm.h"

/* Dims of a tensor of rank 4 at most, the missing ones 1. */
typedef struct sizes {
    size_t d[4], taps, count;
} sizes;

static sizes sizes_of(int rank, const int64_t *dim)
{
    sizes s = { .d = { 1, 1, 1, 1 } };

    for (int i = 0; i < rank && i < 4; i++)
        s.d[i] = (size_t)dim[i];
    s.taps = s.d[2] * s.d[3];
    vbg_dims_count(&s.count, rank, dim);
    return s;
}

/* Where value i of PyTorch's [c][1][kh][kw] or [c][oc][kh][kw] stands in [taps][c] or
 * [taps][oc][c]. */
static size_t turned(vbg_layout layout, const sizes *s, size_t i)
{
    size_t tap = i % s->taps, rest = i / s->taps;

    if (layout == VBG_LAYOUT_DEPTHWISE)
        return tap * s->d[0] + rest;
    return (tap * s->d[1] + rest % s->d[1]) * s->d[0] + rest / s->d[1];
}

void vbg_layout_pack(void *dst, vbg_dtype t, vbg_layout layout, int rank,
                     const int64_t *dim, const float *values)
{
    const sizes s = sizes_of(rank, dim);

    if (layout == VBG_LAYOUT_PACK16 && t == VBG_I8)
        vbg_int8_pack(dst, values, s.d[0], s.d[1], s.taps);
    else if (layout == VBG_LAYOUT_PACK16)
        vbg_pack(dst, t, values, s.d[0], s.d[1], s.d[2], s.d[3]);
    else if (layout != VBG_LAYOUT_PLAIN)
        for (size_t i = 0; i < s.count; i++)
            ((float *)dst)[turned(layout, &s, i)] = values[i];
    else if (t == VBG_F32)
        memcpy(dst, values, s.count * sizeof *values);
    else
        for (size_t i = 0; i < s.count; i++)
            ((uint16_t *)dst)[i] =
                t == VBG_BF16 ? vbg_f32_to_bf16(values[i]) : vbg_f32_to_f16(values[i]);
}

bool vbg_entry_values(float *dst, const vbg_entry *e)
{
    const sizes s = sizes_of(e->rank, e->dim);
    const float *f32 = e->data;
    const uint16_t *half = e->data;

    if (e->dtype != VBG_F32 && e->dtype != VBG_BF16 && e->dtype != VBG_F16)
        return false;
    if (e->layout == VBG_LAYOUT_PACK16)
        vbg_unpack(dst, e->data, e->dtype, s.d[0], s.d[1], s.d[2], s.d[3]);
    else if (e->layout != VBG_LAYOUT_PLAIN)
        for (size_t i = 0; i < s.count; i++)
            dst[i] = f32[turned(e->layout, &s, i)];
    else
        for (size_t i = 0; i < s.count; i++)
            dst[i] = e->dtype == VBG_F32    ? f32[i]
                     : e->dtype == VBG_BF16 ? vbg_bf16_to_f32(half[i])
                                            : vbg_f16_to_f32(half[i]);
    return true;
}
