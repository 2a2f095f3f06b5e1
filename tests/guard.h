/* Buffers of kernel tests: everything starts as NaN, inputs are filled only where
 * they may be read, so a missed write, an overread that matters and an overwrite
 * all fail. */
#ifndef VBG_TESTS_GUARD_H
#define VBG_TESTS_GUARD_H

#include "kernels/table.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64 }; /* elements before and after */

typedef struct guarded {
    vbg_dtype t;
    size_t rows, cols, ld, total;
    unsigned char *base;
} guarded;

/* Element 0. */
static inline void *guard_data(const guarded *g)
{
    return g->base + GUARD * vbg_dtype_size(g->t);
}

static inline float guard_get(const guarded *g, size_t i)
{
    if (g->t == VBG_F32)
        return ((const float *)guard_data(g))[i];
    uint16_t v = ((const uint16_t *)guard_data(g))[i];
    return g->t == VBG_BF16 ? vbg_bf16_to_f32(v) : vbg_f16_to_f32(v);
}

static inline void guard_put(const guarded *g, size_t i, float v)
{
    if (g->t == VBG_F32)
        ((float *)guard_data(g))[i] = v;
    else
        ((uint16_t *)guard_data(g))[i] =
            g->t == VBG_BF16 ? vbg_f32_to_bf16(v) : vbg_f32_to_f16(v);
}

/* rows x cols, ld elements apart, all NaN. */
static inline guarded guard_new(vbg_dtype t, size_t rows, size_t cols, size_t ld)
{
    guarded g = { .t = t, .rows = rows, .cols = cols, .ld = ld };

    g.total = rows * ld + 2 * GUARD;
    g.base = malloc(g.total * vbg_dtype_size(t));
    cr_assert(g.base != NULL);
    memset(g.base, 0xff, g.total * vbg_dtype_size(t));
    return g;
}

/* Deterministic values in [-1, 1). */
static inline float guard_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) * 0x1p-23f - 1;
}

/* Values of centre +- spread where they may be read. */
static inline guarded guard_filled(vbg_dtype t, size_t rows, size_t cols, size_t ld,
                                   float centre, float spread, uint32_t seed)
{
    guarded g = guard_new(t, rows, cols, ld);
    uint32_t s = seed * 2654435761u + 12345;

    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < cols; j++)
            guard_put(&g, r * ld + j, centre + spread * guard_random(&s));
    return g;
}

static inline void guard_free(guarded *g)
{
    free(g->base);
}

/* got against want inside: |got - want| <= abs + rel*|want|; untouched outside. */
static inline void guard_check(const guarded *got, const guarded *want, double abs_tol,
                               double rel_tol, const char *what, size_t index)
{
    size_t size = vbg_dtype_size(got->t);

    for (size_t i = 0; i < got->total; i++) {
        size_t at = i - GUARD, r = at / got->ld, j = at % got->ld;
        bool inside = i >= GUARD && r < got->rows && j < got->cols;
        if (!inside) {
            for (size_t b = 0; b < size; b++)
                cr_assert(got->base[i * size + b] == 0xff,
                          "%s case %zu: wrote outside, at row %zu column %zu", what,
                          index, r, j);
            continue;
        }
        double a = (double)guard_get(got, at), w = (double)guard_get(want, at);
        cr_assert(fabs(a - w) <= abs_tol + rel_tol * fabs(w) || (isnan(a) && isnan(w)),
                  "%s case %zu row %zu column %zu: %.9g, reference %.9g", what, index, r,
                  j, a, w);
    }
}

/* Half a unit in the last place of t (a rounding may also fall the other way). */
static inline double guard_eps(vbg_dtype t)
{
    return t == VBG_BF16 ? 0x1p-8 : t == VBG_F16 ? 0x1p-11 : 0x1p-24;
}

#endif
