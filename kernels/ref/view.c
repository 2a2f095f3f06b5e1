/* Reference of the viewport row: exact position per pixel, fixed-point bilinear read. */
#include "kernels/view.h"

#include <math.h>

static const float pi = 3.14159265358979f;

/* The level minus 128: what xor 0x80 leaves, read as a signed byte. */
static int level(uint8_t stored)
{
    return (int)(stored ^ 0x80) - 128;
}

/* One channel between four neighbours; a, b: 7-bit fractions right and down. */
static uint8_t mix(const uint8_t *p, size_t below, int a, int b)
{
    const int top = level(p[0]) * (128 - a) + level(p[4]) * a;
    const int bottom = level(p[below]) * (128 - a) + level(p[below + 4]) * a;
    const int v = top + (((bottom - top) * (b << 8) + 0x4000) >> 15);

    return (uint8_t)(((v + 64) >> 7) + 128);
}

static void row(uint8_t *rgb, int n, const vbg_sphere_table *t, const float dir[3],
                const float step[3])
{
    for (int i = 0; i < n; i++) {
        const float x = dir[0] + (float)i * step[0], y = dir[1] + (float)i * step[1];
        const float z = dir[2] + (float)i * step[2];
        const float lon = atan2f(x, z), down = atan2f(y, sqrtf(x * x + z * z));
        /* table position + 0.5: 0.5..w+0.5 and 0.5..h+0.5 */
        const float u = (lon / (2.0f * pi) + 0.5f) * (float)t->w + 0.5f;
        const float v = (down / pi + 0.5f) * (float)t->h + 0.5f;
        const int fu = (int)lrintf(u * 128.0f), fv = (int)lrintf(v * 128.0f);
        const uint8_t *p =
            t->data + ((size_t)(fv >> 7) * t->stride + (size_t)(fu >> 7)) * 4;
        for (int k = 0; k < 3; k++)
            rgb[3 * i + k] = mix(p + k, t->stride * 4, fu & 127, fv & 127);
    }
}

void vbg_view_init_ref(vbg_view_kernels *k)
{
    k->row = row;
}
