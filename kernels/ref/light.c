/* Reference rows of camera frames. */
#include "kernels/light.h"

#include <math.h>

static void range(uint8_t *dst, const uint8_t *src, uint32_t k, uint32_t c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (uint8_t)((src[i] * k + c) >> 16);
}

/* A field at pixel x. */
static float at(const float *f, int x, int per_column)
{
    const float s = ((float)x - 0.5f * (float)per_column) / (float)per_column;
    const int i = (int)floorf(s);

    return f[i] + (s - (float)i) * (f[i + 1] - f[i]);
}

static void edge(const vbg_light_row *r, int from, int to)
{
    const int per = r->half ? VBG_LIGHT_SCALE / 2 : VBG_LIGHT_SCALE;

    for (int x = from * per; x < to * per; x++) {
        const uint8_t own = r->alpha[r->half ? 2 * x : x];
        const float weight = at(r->weight, x, per), a = (float)own / 255;
        float c = r->src[x];
        if (weight > 0.02f)
            c += r->spill * (1 - a) * (at(r->person, x, per) / weight - c);
        c += r->wrap * (1 - at(r->inside, x, per)) * (at(r->back, x, per) - c);
        c += r->add + 0.5f;
        r->dst[x] = own == 0 ? r->src[x] : (uint8_t)(c < 0 ? 0 : c > 255 ? 255 : c);
    }
}

static void yuyv(uint8_t *dst, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                 size_t n)
{
    for (size_t i = 0; i < n; i++) {
        dst[4 * i] = y[2 * i];
        dst[4 * i + 1] = u[i];
        dst[4 * i + 2] = y[2 * i + 1];
        dst[4 * i + 3] = v[i];
    }
}

void vbg_light_init_ref(vbg_light_kernels *k)
{
    *k = (vbg_light_kernels){ .range = range, .yuyv = yuyv, .edge = edge };
}
