/* Made-up correspondences for the tests of the CAA kernels. */
#ifndef VBG_TESTS_CAA_SPOTS_H
#define VBG_TESTS_CAA_SPOTS_H

#include "tests/guard.h"

/* Random patches: outside, across every edge, inside; masks empty, full, mixed. */
static inline size_t fill_spots(vbg_caa_spot *s, int h, int w, uint32_t *seed)
{
    uint32_t row = 0;

    for (int i = 0; i < 2 * h * w; i++) {
        float kind = guard_random(seed);
        s[i] = (vbg_caa_spot){ .x0 = (int)(guard_random(seed) * (float)(w + 3)),
                               .y0 = (int)(guard_random(seed) * (float)(h + 3)),
                               .fx = 0.5f + 0.4999f * guard_random(seed),
                               .fy = 0.5f + 0.4999f * guard_random(seed),
                               .row = row,
                               .mask = kind < -0.4f  ? 0
                                       : kind < 0.2f ? 0x1ff
                                                     : (uint32_t)(kind * 511) };
        for (uint32_t m = s[i].mask; m; m &= m - 1)
            row++;
    }
    return row;
}

#endif
