/* What render.c and the cores (one per instruction set) share. */
#ifndef VBG_ROOMS_CORE_H
#define VBG_ROOMS_CORE_H

#include "tools/rooms/render.h"

enum { ENV_W = 256, ENV_H = 128, LOW_W = 64, LOW_H = 32, GAMMA = 4096 };

/* Everything a tile needs; read only while tiles run. */
typedef struct core_job {
    const scene *s;
    void *solid, *veil; /* RTCScene; veil NULL when empty */
    canvas *c;
    const render_opt *o;
    const vec3 *env; /* ENV_W x ENV_H equirect radiance, fine sky */
    const vec3 *low; /* LOW_W x LOW_H blurred */
    vec3 ambient;    /* irradiance / pi at the second hit */
    float exposure;  /* of pass 0; bounce light is clamped by it */
    float view_gain;
    const float *gamma; /* sRGB of (i / (GAMMA - 1))^2, times 255 */
    uint32_t seed;
    uint64_t *rays; /* per tile row, added up in order */
} core_job;

typedef struct core_table {
    void (*trace_row)(const core_job *j, int tile_y); /* 4 pixel rows */
    void (*filter_row)(const canvas *c, int y, int step, int src, int dst, float sigma,
                       int radius);
    void (*finish_row)(const core_job *j, int y, uint8_t *edge);    /* tone, no edges */
    void (*edges)(const core_job *j, const uint32_t *pixel, int n); /* 16 / aa pixels */
} core_table;

const core_table *vr_core_sse2(void);
const core_table *vr_core_avx2(void);
const core_table *vr_core_avx512(void);

#endif
