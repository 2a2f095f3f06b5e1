/* Gradient noise, sums of octaves, and cells: the raw stuff of every procedural material.
 *
 * The eight corners of a cell are worked on as one vector and added in a fixed order, so
 * every instruction set gives the same bits. */
#ifndef VBG_ROOMS_NOISE_H
#define VBG_ROOMS_NOISE_H

#include "tools/rooms/vec.h"

/* Smooth noise with mean 0, about -1..1, features of size 1. */
static inline float vr_noise(vec3 p)
{
    const int ix = vr_floor(p.x), iy = vr_floor(p.y), iz = vr_floor(p.z);
    const float fx = p.x - (float)ix, fy = p.y - (float)iy, fz = p.z - (float)iz;
    const float ux = fx * fx * fx * (fx * (fx * 6 - 15) + 10);
    const float uy = fy * fy * fy * (fy * (fy * 6 - 15) + 10);
    const float uz = fz * fz * fz * (fz * (fz * 6 - 15) + 10);
    float v[8];

#pragma omp simd
    for (int c = 0; c < 8; c++) {
        const int bx = c & 1, by = (c >> 1) & 1, bz = c >> 2;
        uint32_t h = (uint32_t)(ix + bx) * 0x8da6b343u ^
                     (uint32_t)(iy + by) * 0xd8163841u ^
                     (uint32_t)(iz + bz) * 0xcb1ab31fu;
        h ^= h >> 15;
        h *= 0x2c1b3c6du;
        h ^= h >> 12;
        h *= 0x297a2d39u;
        h ^= h >> 15;
        const float gx = (float)(int)(h & 1023) - 511.5f;
        const float gy = (float)(int)((h >> 10) & 1023) - 511.5f;
        const float gz = (float)(int)((h >> 20) & 1023) - 511.5f;
        const float w = (bx ? ux : 1 - ux) * (by ? uy : 1 - uy) * (bz ? uz : 1 - uz);
        v[c] =
            w * (gx * (fx - (float)bx) + gy * (fy - (float)by) + gz * (fz - (float)bz));
    }
    return (((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]))) *
           (1.9f / 511.5f);
}

/* Octaves of noise, each twice as fine and gain times as strong; what is finer than the
 * footprint w (in the units of p) is left out softly. */
static inline float vr_fbm(vec3 p, int octaves, float gain, float w)
{
    float sum = 0, a = 1;

    for (int i = 0; i < octaves; i++) {
        const float keep = w > 0 ? vr_clamp(1.33f - w * .67f, 0, 1) : 1;
        if (keep <= 0)
            break;
        sum += a * keep * vr_noise(p);
        p = v3(p.x * 2.03f + 17.1f, p.y * 2.03f - 5.3f, p.z * 2.03f + 9.7f);
        a *= gain;
        w *= 2.03f;
    }
    return sum;
}

/* Distance to the nearest of one point per unit cell; *id names it. */
static inline float vr_cells(float x, float y, uint32_t seed, uint32_t *id)
{
    const int ix = vr_floor(x), iy = vr_floor(y);
    float best = 9;

    for (int j = -1; j <= 1; j++)
        for (int i = -1; i <= 1; i++) {
            const uint32_t h = vr_hash2(ix + i, iy + j, seed);
            const float dx = (float)(ix + i) + vr_unit(h) - x;
            const float dy = (float)(iy + j) + vr_unit(vr_hash(h + 1)) - y;
            const float d = dx * dx + dy * dy;
            if (d < best) {
                best = d;
                *id = h;
            }
        }
    return sqrtf(best);
}

/* 1 inside |d| < half, box-filtered over the footprint w. */
static inline float vr_line(float d, float half, float w)
{
    return vr_clamp((half - fabsf(d)) / vr_max(w, 1e-5f) + .5f, 0, 1) *
           vr_min(1, 2 * half / vr_max(w, 1e-5f) + (w < 2 * half ? 1.f : 0.f));
}

#endif
