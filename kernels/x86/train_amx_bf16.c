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

enum { TILE = 16, DEPTH = 32, ROW = 64, SUB_TAPS = 8 * DEPTH, SUB_ONE = 12 * DEPTH };

/* The sums of two tiles of rows times two blocks. */
typedef struct place {
    float *sum; /* NULL: none */
    size_t ld;  /* bytes between rows */
} place;

/* One pair of tiles times one pair of blocks. */
typedef struct pair {
    const char *dy, *x;
    size_t dy_block, block; /* bytes between blocks of dy, of x */
    size_t steps;
    place to, old, next; /* sums; those still in the tiles, which leave; prefetched */
    bool zero;
} pair;

#define INLINE static inline __attribute__((always_inline))

/* Part i of the sums: 0, 1 of the first rows, 2, 3 of the second. */
INLINE char *part_of(const place *p, int i)
{
    return (char *)p->sum + (size_t)(i / 2) * TILE * p->ld + (size_t)(i % 2) * 4 * TILE;
}

/* The tile's old sums leave, its new ones come.  A tile store beside products costs
 * nothing, four in a row cost 20 ns; what is loaded was prefetched.  A macro, for tiles
 * are named by literals. */
#define EXCHANGE(tile)                                                                   \
    do {                                                                                 \
        if (full && q->old.sum)                                                          \
            _tile_stored(tile, part_of(&q->old, tile), q->old.ld);                       \
        if (q->zero)                                                                     \
            _tile_zero(tile);                                                            \
        else                                                                             \
            _tile_loadd(tile, part_of(&q->to, tile), q->to.ld);                          \
    } while (0)

/* Lines of the next sums: eight a step, all of them in eight. */
INLINE void look_ahead(const place *p, size_t step)
{
    const char *rows = (const char *)p->sum + 4 * step * p->ld;

    for (size_t r = 0; r < 4; r++, rows += p->ld) {
        _mm_prefetch(rows, _MM_HINT_T0);
        _mm_prefetch(rows + 64, _MM_HINT_T0);
    }
}

INLINE void step(const pair *q, size_t i, bool two_a, bool two_b, bool first)
{
    const bool full = two_a && two_b;
    const char *a = q->dy + i * TILE * ROW, *b = q->x + i * TILE * ROW;

    _tile_loadd(4, a, ROW);
    _tile_loadd(6, b, ROW);
    if (first)
        EXCHANGE(0);
    _tile_dpbf16ps(0, 4, 6);
    if (two_a) {
        _tile_loadd(5, a + q->dy_block, ROW);
        if (first)
            EXCHANGE(2);
        _tile_dpbf16ps(2, 5, 6);
    }
    if (two_b) {
        _tile_loadd(7, b + q->block, ROW);
        if (first)
            EXCHANGE(1);
        _tile_dpbf16ps(1, 4, 7);
        if (full) {
            if (first)
                EXCHANGE(3);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    if (i < 8 && q->next.sum)
        look_ahead(&q->next, i);
}

INLINE void pair_run(const pair *q, bool two_a, bool two_b)
{
    step(q, 0, two_a, two_b, true);
    for (size_t i = 1; i < q->steps; i++)
        step(q, i, two_a, two_b, false);
    if (two_a && two_b) /* these wait in the tiles */
        return;
    _tile_stored(0, part_of(&q->to, 0), q->to.ld);
    if (two_b)
        _tile_stored(1, part_of(&q->to, 1), q->to.ld);
    if (two_a)
        _tile_stored(2, part_of(&q->to, 2), q->to.ld);
}

static void tiles_out(place *old)
{
    if (old->sum) {
        _tile_stored(0, part_of(old, 0), old->ld);
        _tile_stored(1, part_of(old, 1), old->ld);
        _tile_stored(2, part_of(old, 2), old->ld);
        _tile_stored(3, part_of(old, 3), old->ld);
    }
    old->sum = NULL;
}

/* Where the sums of a pair at tile o and block b lie, for the first tap. */
INLINE float *sums_at(const vbg_tap_args *a, size_t o, size_t b)
{
    return a->sum + o * TILE * a->ld_sum + b * TILE;
}

/* Every tap of one pair of tiles and blocks over positions p0..; old: sums that wait in
 * the tiles, before and afterwards; next: sums of the pair that follows. */
static void pair_taps(const vbg_tap_args *a, size_t o, size_t b, const size_t end[2],
                      size_t p0, size_t steps, float *next, place *old)
{
    const bool two_a = o + 1 < end[0], two_b = b + 1 < end[1], full = two_a && two_b;
    pair q = { .dy = (const char *)a->dy + (o * a->dy_block + p0 * TILE) * 2,
               .dy_block = a->dy_block * 2,
               .block = a->block * 2,
               .steps = steps,
               .zero = a->first && p0 == 0 };

    if (!full)
        tiles_out(old);
    for (size_t k = 0; k < a->taps; k++) {
        q.x = (const char *)a->x[k] + (b * a->block + p0 * TILE) * 2;
        q.to = (place){ sums_at(a, o, b) + k * a->tap_sum, a->ld_sum * 4 };
        q.next = (place){ k + 1 < a->taps ? q.to.sum + a->tap_sum : next, q.to.ld };
        if (!full || q.zero)
            q.next.sum = NULL;
        q.old = *old;
        if (full)
            pair_run(&q, true, true);
        else if (two_a)
            pair_run(&q, true, false);
        else if (two_b)
            pair_run(&q, false, true);
        else
            pair_run(&q, false, false);
        if (full)
            *old = q.to;
    }
}

static void taps(const vbg_tap_args *a, size_t o0, size_t o1, size_t b0, size_t b1)
{
    const size_t sub = a->taps > 1 ? SUB_TAPS : SUB_ONE;
    const size_t end[2] = { o1, b1 };
    place old = { NULL, 0 };

    if (a->t != VBG_BF16) {
        vbg_taps_avx512(a, o0, o1, b0, b1);
        return;
    }
    tiles_on();
    for (size_t p = 0; p < a->m; p += sub) {
        const size_t left = a->m - p, steps = (left < sub ? left : sub) / DEPTH;
        for (size_t o = o0; o < o1; o += 2)
            for (size_t b = b0; b < b1; b += 2) {
                float *next = b + 3 < b1   ? sums_at(a, o, b + 2)
                              : o + 3 < o1 ? sums_at(a, o + 2, b0)
                                           : NULL;
                pair_taps(a, o, b, end, p, steps, next, &old);
            }
    }
    tiles_out(&old);
    _tile_release();
}

void vbg_train_init_amx_bf16(vbg_train_kernels *k)
{
    k->taps = taps;
}
