/* Philox4x32-10 and Box-Muller; see models/rng.h. */
#include "models/rng.h"

#include <math.h>

void vbg_philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c[4] = { counter[0], counter[1], counter[2], counter[3] };
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)c[0] * 0xD2511F53u, b = (uint64_t)c[2] * 0xCD9E8D57u;
        uint32_t c1 = c[1], c3 = c[3];
        c[0] = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c[3] = (uint32_t)a;
        k0 += 0x9E3779B9u; /* the golden ratio and sqrt(3) - 1 */
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++)
        out[i] = c[i];
}

/* Four normal values of block b. */
static void block(float out[4], uint64_t seed, uint64_t stream, uint64_t b)
{
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    const uint32_t counter[4] = { (uint32_t)b, (uint32_t)(b >> 32), (uint32_t)stream,
                                  (uint32_t)(stream >> 32) };
    uint32_t r[4];

    vbg_philox4x32(r, counter, key);
    for (int i = 0; i < 4; i += 2) {
        double u = (r[i] + 0.5) * 0x1p-32, v = (r[i + 1] + 0.5) * 0x1p-32;
        double radius = sqrt(-2 * log(u)), angle = 6.283185307179586477 * v;
        out[i] = (float)(radius * cos(angle));
        out[i + 1] = (float)(radius * sin(angle));
    }
}

void vbg_normal(float *out, size_t count, uint64_t seed, uint64_t stream, uint64_t first)
{
    float four[4];

    for (size_t i = 0; i < count; i++) {
        uint64_t at = first + i;
        if (i == 0 || at % 4 == 0)
            block(four, seed, stream, at / 4);
        out[i] = four[at % 4];
    }
}
