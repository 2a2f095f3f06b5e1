/* What this machine can do: loops that touch registers only.  The functions carry
 * their instruction set as an attribute, so that this file builds everywhere and
 * each is called only where the CPU has it. */
#include "bench/bench.h"

#include <immintrin.h>
#include <string.h>

#define TARGET(x) __attribute__((target(x), noinline))

enum { ROUNDS = 20000, CHAINS = 12 };
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Each loop returns the floating point operations of one call; the sums leave
 * through sink so that they are not optimised away. */
typedef double peak_fn(float *sink);

TARGET("avx2,fma") static double fma_avx2(float *sink)
{
    __m256 acc[CHAINS], x = _mm256_set1_ps(1e-9f);

    UNROLL
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm256_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
        UNROLL
        for (int i = 0; i < CHAINS; i++) {
            acc[i] = _mm256_fmadd_ps(acc[i], x, x);
            __asm__("" : "+x"(acc[i]));
        }
    }
    UNROLL
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm256_add_ps(acc[0], acc[i]);
    _mm256_storeu_ps(sink, acc[0]);
    return 2.0 * 8 * CHAINS * ROUNDS;
}

TARGET("avx512f") static double fma_avx512(float *sink)
{
    __m512 acc[CHAINS], x = _mm512_set1_ps(1e-9f);

    UNROLL
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
        UNROLL
        for (int i = 0; i < CHAINS; i++) {
            acc[i] = _mm512_fmadd_ps(acc[i], x, x);
            __asm__("" : "+v"(acc[i]));
        }
    }
    UNROLL
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm512_add_ps(acc[0], acc[i]);
    _mm512_storeu_ps(sink, acc[0]);
    return 2.0 * 16 * CHAINS * ROUNDS;
}

TARGET("avx512f,avx512bf16") static double dot_avx512(float *sink)
{
    __m512 acc[CHAINS];
    __m512bh x;

    memset(&x, 0, sizeof x);
    UNROLL
    for (int i = 0; i < CHAINS; i++)
        acc[i] = _mm512_set1_ps((float)i);
    for (int r = 0; r < ROUNDS; r++) {
        UNROLL
        for (int i = 0; i < CHAINS; i++) {
            acc[i] = _mm512_dpbf16_ps(acc[i], x, x);
            __asm__("" : "+v"(acc[i]));
        }
    }
    UNROLL
    for (int i = 1; i < CHAINS; i++)
        acc[0] = _mm512_add_ps(acc[0], acc[i]);
    _mm512_storeu_ps(sink, acc[0]);
    return 4.0 * 16 * CHAINS * ROUNDS;
}

TARGET("amx-tile,amx-bf16") static double tiles(float *sink)
{
    /* volatile: gcc 12 may drop the stores into this struct otherwise */
    volatile struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t colsb[16];
        uint8_t rows[16];
    } config;
    float zero[16 * 16] = { 0 };

    for (size_t i = 0; i < sizeof config; i++)
        ((volatile uint8_t *)&config)[i] = 0;
    config.palette = 1;
    for (int i = 0; i < 8; i++) {
        config.rows[i] = 16;
        config.colsb[i] = 64;
    }
    __asm__ volatile("" ::: "memory");
    _tile_loadconfig((const void *)(uintptr_t)&config);
    _tile_loadd(6, zero, 64);
    _tile_loadd(7, zero, 64);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int r = 0; r < ROUNDS / 4; r++) {
        _tile_dpbf16ps(0, 6, 7);
        _tile_dpbf16ps(1, 6, 7);
        _tile_dpbf16ps(2, 6, 7);
        _tile_dpbf16ps(3, 6, 7);
    }
    _tile_stored(0, zero, 64);
    *sink = zero[0];
    _tile_release();
    return 2.0 * 16 * 16 * 32 * 4 * (ROUNDS / 4);
}

/* Scalar multiply-add chains: what the reference could reach. */
static double scalar(float *sink)
{
    float acc[CHAINS];

    UNROLL
    for (int i = 0; i < CHAINS; i++)
        acc[i] = (float)i;
    for (int r = 0; r < ROUNDS; r++) {
        UNROLL
        for (int i = 0; i < CHAINS; i++) {
            acc[i] = acc[i] * 0.999f + 1e-9f;
            __asm__("" : "+x"(acc[i]));
        }
    }
    UNROLL
    for (int i = 0; i < CHAINS; i++)
        *sink += acc[i];
    return 2.0 * CHAINS * ROUNDS;
}

double bench_peak_loop(vbg_isa isa, bool bf16, double ms)
{
    static peak_fn *const loops[VBG_ISA_COUNT][2] = {
        [VBG_ISA_REF] = { scalar, scalar },
        [VBG_ISA_AVX2] = { fma_avx2, fma_avx2 },
        [VBG_ISA_AVX512] = { fma_avx512, fma_avx512 },
        [VBG_ISA_AVX512_BF16] = { fma_avx512, dot_avx512 },
        [VBG_ISA_AMX_BF16] = { fma_avx512, tiles },
    };
    float sink[16] = { 0 };
    double start = vbg_now(), best = 0, now = start;

    while (now - start < 1e-3 * ms) {
        double work = loops[isa][bf16](sink), end = vbg_now();
        double rate = work / (end - now) * 1e-9;
        if (rate > best)
            best = rate;
        now = end;
    }
    return best;
}
