/* Layers stored in 8 bits: one f32 scale per output channel (padded to 16), then the
 * packed form of bf16 with one signed byte a value.  Only files hold them: at opening
 * they are widened to bf16, so that nothing downstream knows. */
#include <math.h>
#include <string.h>

#include "engine/weights_format.h"
#include "kernels/gemm.h"

enum { BLOCK = 16 };

size_t vbg_int8_bytes(size_t oc, size_t c, size_t taps)
{
    return vbg_round_up(oc, BLOCK) * sizeof(float) +
           vbg_pack_bytes(VBG_BF16, oc, c, taps) / 2;
}

void vbg_int8_pack(void *dst, const float *w, size_t oc, size_t c, size_t taps)
{
    const vbg_pack_dims d = vbg_pack_shape(VBG_BF16, c, taps);
    float *scale = dst;
    int8_t *q = (int8_t *)(scale + vbg_round_up(oc, BLOCK));

    memset(dst, 0, vbg_int8_bytes(oc, c, taps));
    for (size_t o = 0; o < oc; o++) {
        const float *row = w + o * c * taps;
        int8_t *block = q + o / BLOCK * d.k * BLOCK + o % BLOCK * 2;
        float most = 0;
        for (size_t i = 0; i < c * taps; i++)
            most = fmaxf(most, fabsf(row[i]));
        scale[o] = most / 127;
        for (size_t i = 0; i < c && most > 0; i++)
            for (size_t t = 0; t < taps; t++) {
                size_t k = t * d.cp + i;
                block[k / 2 * BLOCK * 2 + k % 2] =
                    (int8_t)lrintf(row[i * taps + t] / scale[o]);
            }
    }
}

void vbg_int8_widen(uint16_t *dst, const void *src, size_t oc, size_t c, size_t taps)
{
    const size_t k = vbg_pack_shape(VBG_BF16, c, taps).k;
    const size_t blocks = vbg_round_up(oc, BLOCK) / BLOCK;
    const float *scale = src;
    const int8_t *q = (const int8_t *)(scale + blocks * BLOCK);

    for (size_t b = 0; b < blocks; b++) {
        float pair[2 * BLOCK];
        for (size_t i = 0; i < 2 * BLOCK; i++)
            pair[i] = scale[b * BLOCK + i / 2];
        for (size_t p = 0; p < k / 2; p++, q += 2 * BLOCK, dst += 2 * BLOCK)
            for (size_t i = 0; i < 2 * BLOCK; i++)
                dst[i] = vbg_f32_to_bf16((float)q[i] * pair[i]);
    }
}
