/* Products of weight gradients on AMX tiles: two tiles of rows of dy times two blocks of
 * channels of x, four tiles of sums.
 *
 *     for each run of SUB positions              rows of dy and blocks of x: in L1
 *       for each pair of tiles of rows
 *         for each pair of blocks
 *           for each tap                         sums: from memory and back
 *             2x2 products over the run
 *
 * A run is short when there are many taps, which share dy and most of x, and long for a
 * single one, which has only dy to use again.  Everything but the sums is loaded from
 * addresses that are multiples of 64. */
#include "kernels/train.h"
#include "kernels/x86/tiles.h"

enum { TILE = 16, DEPTH = 32, SUB_TAPS = 8 * DEPTH, SUB_ONE = 16 * DEPTH };

/* One pair of tiles times one pair of blocks. */
typedef struct pair {
    const char *dy, *x;
    size_t pitch, block; /* bytes between rows of dy, blocks of x */
    float *sum;
    size_t ld_sum; /* bytes */
    size_t steps;
    bool zero;
} pair;

static inline __attribute__((always_inline)) void pair_run(const pair *q, bool two_a,
                                                           bool two_b)
{
    const char *a0 = q->dy, *a1 = q->dy + TILE * q->pitch;
    const char *b0 = q->x, *b1 = q->x + q->block;
    char *s0 = (char *)q->sum, *s1 = s0 + TILE * q->ld_sum;

    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (!q->zero) {
        _tile_loadd(0, s0, q->ld_sum);
        if (two_b)
            _tile_loadd(1, s0 + 4 * TILE, q->ld_sum);
        if (two_a)
            _tile_loadd(2, s1, q->ld_sum);
        if (two_a && two_b)
            _tile_loadd(3, s1 + 4 * TILE, q->ld_sum);
    }
    for (size_t i = 0; i < q->steps; i++, a0 += 2 * DEPTH, a1 += 2 * DEPTH) {
        _tile_loadd(4, a0, q->pitch);
        _tile_loadd(6, b0 + i * 1024, 64);
        _tile_dpbf16ps(0, 4, 6);
        if (two_a) {
            _tile_loadd(5, a1, q->pitch);
            _tile_dpbf16ps(2, 5, 6);
        }
        if (two_b) {
            _tile_loadd(7, b1 + i * 1024, 64);
            _tile_dpbf16ps(1, 4, 7);
            if (two_a)
                _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, s0, q->ld_sum);
    if (two_b)
        _tile_stored(1, s0 + 4 * TILE, q->ld_sum);
    if (two_a)
        _tile_stored(2, s1, q->ld_sum);
    if (two_a && two_b)
        _tile_stored(3, s1 + 4 * TILE, q->ld_sum);
}

/* Every tap of one pair of tiles and blocks over positions p0... */
static void pair_taps(const vbg_tap_args *a, size_t o, size_t b, bool two_a, bool two_b,
                      size_t p0, size_t steps)
{
    pair q = { .dy = (const char *)a->dy + (o * TILE * a->ld + p0) * 2,
               .pitch = a->ld * 2,
               .block = a->block * 2,
               .ld_sum = a->ld_sum * 4,
               .steps = steps,
               .zero = a->first && p0 == 0 };

    for (size_t k = 0; k < a->taps; k++) {
        q.x = (const char *)a->x[k] + (b * a->block + p0 * TILE) * 2;
        q.sum = a->sum + k * a->tap_sum + o * TILE * a->ld_sum + b * TILE;
        if (two_a && two_b)
            pair_run(&q, true, true);
        else if (two_a)
            pair_run(&q, true, false);
        else if (two_b)
            pair_run(&q, false, true);
        else
            pair_run(&q, false, false);
    }
}

static void taps(const vbg_tap_args *a, size_t o0, size_t o1, size_t b0, size_t b1)
{
    const size_t sub = a->taps > 1 ? SUB_TAPS : SUB_ONE;

    if (a->t != VBG_BF16) {
        vbg_taps_avx512(a, o0, o1, b0, b1);
        return;
    }
    tiles_on();
    for (size_t p = 0; p < a->m; p += sub) {
        const size_t left = a->m - p, steps = (left < sub ? left : sub) / DEPTH;
        for (size_t o = o0; o < o1; o += 2)
            for (size_t b = b0; b < b1; b += 2)
                pair_taps(a, o, b, o + 1 < o1, b + 1 < b1, p, steps);
    }
    _tile_release();
}

void vbg_train_init_amx_bf16(vbg_train_kernels *k)
{
    k->taps = taps;
}
