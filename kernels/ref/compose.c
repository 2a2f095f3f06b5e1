/* Reference rows of the compositor. */
#include "kernels/compose.h"

static uint8_t mix(unsigned f, unsigned b, unsigned a)
{
    unsigned t = f * a + b * (255 - a) + 128;

    return (uint8_t)((t + (t >> 8)) >> 8); /* exact t/255 for t below 65536 */
}

static void luma(uint8_t *dst, const uint8_t *front, const uint8_t *back,
                 const uint8_t *alpha, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = mix(front[i], back[3 * i], alpha[i]);
}

static unsigned mean(const uint8_t *a, const uint8_t *b, size_t step)
{
    return ((unsigned)(a[0] + a[step] + b[0] + b[step]) + 2u) >> 2;
}

static void chroma(uint8_t *u, uint8_t *v, const uint8_t *fu, const uint8_t *fv,
                   const uint8_t *back_a, const uint8_t *back_b, const uint8_t *alpha_a,
                   const uint8_t *alpha_b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned a = mean(alpha_a + 2 * i, alpha_b + 2 * i, 1);
        u[i] = mix(fu[i], mean(back_a + 6 * i + 1, back_b + 6 * i + 1, 3), a);
        v[i] = mix(fv[i], mean(back_a + 6 * i + 2, back_b + 6 * i + 2, 3), a);
    }
}

void vbg_compose_init_ref(vbg_compose_kernels *k)
{
    *k = (vbg_compose_kernels){ .luma = luma, .chroma = chroma };
}
