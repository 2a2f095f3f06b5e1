/* Shared by the tests of matrix products and convolutions: random operands with
 * poisoned gaps, the kernels of every level this CPU has, and comparison. */
#ifndef VBG_TESTS_GEMM_CASE_H
#define VBG_TESTS_GEMM_CASE_H

#include "kernels/gemm.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64 };

/* Kernels of one level; false when this CPU lacks it. */
static inline bool case_kernels(vbg_gemm_kernels *k, vbg_isa isa)
{
    if (isa > vbg_isa_detect())
        return false;
    vbg_gemm_init_ref(k);
    if (isa >= VBG_ISA_AVX2)
        vbg_gemm_init_avx2(k);
    if (isa >= VBG_ISA_AVX512)
        vbg_gemm_init_avx512(k);
    if (isa >= VBG_ISA_AVX512_BF16)
        vbg_gemm_init_avx512_bf16(k);
    if (isa >= VBG_ISA_AMX_BF16)
        vbg_gemm_init_amx_bf16(k);
    return true;
}

/* Uniform in [-1, 1), from a plain LCG. */
static inline float case_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) * 0x1p-31f;
}

/* A matrix of rows x cols, rows ld apart, type f32 or bf16, with a NaN guard on
 * both sides; what is not set stays NaN (all bits one). */
typedef struct matrix {
    char *block, *data;
    size_t rows, cols, ld, bytes;
    vbg_dtype t;
} matrix;

static inline matrix matrix_new(vbg_dtype t, size_t rows, size_t cols, size_t ld)
{
    matrix m = { .rows = rows, .cols = cols, .ld = ld, .t = t };
    m.bytes = rows * ld * vbg_dtype_size(t);
    m.block = malloc(m.bytes + 2 * GUARD * 4);
    m.data = m.block + (size_t)GUARD * 4;
    memset(m.block, 0xff, m.bytes + 2 * GUARD * 4);
    return m;
}

static inline float matrix_get(const matrix *m, size_t r, size_t c)
{
    size_t i = r * m->ld + c;
    if (m->t == VBG_F32)
        return ((const float *)(const void *)m->data)[i];
    return vbg_bf16_to_f32(((const uint16_t *)(const void *)m->data)[i]);
}

static inline void matrix_set(const matrix *m, size_t r, size_t c, float v)
{
    size_t i = r * m->ld + c;
    if (m->t == VBG_F32)
        ((float *)(void *)m->data)[i] = v;
    else
        ((uint16_t *)(void *)m->data)[i] = vbg_f32_to_bf16(v);
}

static inline void matrix_fill(const matrix *m, uint64_t *seed, bool absolute)
{
    for (size_t r = 0; r < m->rows; r++)
        for (size_t c = 0; c < m->cols; c++) {
            float v = case_random(seed);
            matrix_set(m, r, c, absolute ? fabsf(v) : v);
        }
}

/* True when everything outside rows x cols is still poison. */
static inline bool matrix_guarded(const matrix *m)
{
    size_t size = vbg_dtype_size(m->t), used = m->cols * size, row = m->ld * size;
    for (size_t i = 0; i < m->bytes + 2 * GUARD * 4; i++) {
        size_t at = i - GUARD * 4;
        bool inside = i >= GUARD * 4 && at < m->bytes && at % row < used;
        if (!inside && (unsigned char)m->block[i] != 0xff)
            return false;
    }
    return true;
}

static inline void matrix_free(matrix *m)
{
    free(m->block);
}

/* Random weights packed as t, exactly vbg_pack_bytes long (ASan sees overreads). */
static inline void *case_weights(vbg_dtype t, size_t oc, size_t c, size_t kh, size_t kw,
                                 uint64_t seed, bool absolute)
{
    size_t count = oc * c * kh * kw, bytes = vbg_pack_bytes(t, oc, c, kh * kw);
    float *w = malloc(count * sizeof *w);
    void *packed = aligned_alloc(64, vbg_round_up(bytes, 64));
    for (size_t i = 0; i < count; i++) {
        float v = case_random(&seed);
        w[i] = absolute ? fabsf(v) : v;
    }
    vbg_pack(packed, t, w, oc, c, kh, kw);
    free(w);
    return packed;
}

static inline float *case_vector(size_t n, uint64_t seed, bool absolute)
{
    float *v = malloc(n * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        v[i] = case_random(&seed);
        if (absolute)
            v[i] = fabsf(v[i]);
    }
    return v;
}

/* got against want, where mag holds the sums of absolute values.
 *
 * Every rounding of a sum of k products is at most 2^-24 of the running sum of
 * absolute values, and no chain has more than k + 8 roundings (bias, residual,
 * activation and the reference's own rounding included).  Activations have a
 * slope of at most 1.5.  A bf16 output is rounded on both sides, by up to 2^-8 each. */
static inline void case_compare(const char *name, vbg_isa isa, const matrix *got,
                                const matrix *want, const matrix *mag, size_t k)
{
    cr_assert(matrix_guarded(got), "%s %s: wrote outside its output", name,
              vbg_isa_name(isa));
    for (size_t r = 0; r < got->rows; r++)
        for (size_t c = 0; c < got->cols; c++) {
            double a = (double)matrix_get(got, r, c), b = (double)matrix_get(want, r, c);
            double tol = 1.5 * (double)(k + 8) * 0x1p-24 * (double)matrix_get(mag, r, c);
            if (got->t == VBG_BF16)
                tol += fabs(b) * 0x1p-7;
            cr_assert(fabs(a - b) <= tol, "%s %s: [%zu,%zu] is %.9g, not %.9g (+-%.2g)",
                      name, vbg_isa_name(isa), r, c, a, b, tol);
        }
}

#endif
