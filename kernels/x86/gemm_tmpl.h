/* Matrix product and convolution on vectors, one text for AVX2, AVX-512 and
 * AVX-512 BF16.
 *
 * The including file defines the vector wrapper (vf, LANES, vf_*), the tile
 * height MR, and NB, the blocks of 16 output channels a register tile spans.
 * With DOT_BF16 both operands are bf16 and a step takes a pair of k (vdpbf16ps);
 * without it everything is widened to f32.
 *
 * One rectangle of the output is made in groups of 32 blocks and 8*MR pixels:
 *
 *     for each piece of KC values of k         its weights stay in L2
 *         for each tile of MR pixels
 *             copy the patches' piece     a   [MR][KC]  (18 KB: stays in L1)
 *             for each NB blocks of weights, straight from the packed file
 *                 acc [MR][columns] += a * w     MR x NB*16 sums in registers
 *     epilogue of acc -> y
 *
 * Copying A costs a percent or two and pays three times: any stride, dilation,
 * padding, grouping and type of x is handled by the copy alone, the tile loop
 * has constant offsets, and rows a power of two apart do not collide in L1.
 * Sums are plain FMA chains over at most KC values, then added up: the error
 * grows with KC/2 + K/KC roundings, not with K.  The chain of an element is the
 * same in every tile height, so results do not depend on how work is cut.
 * Training in f32 asks for chains of KC/2: after a few steps its oracles tell the two
 * apart (a ReLU that flips), while 4 % of the time is too much for everything else.
 *
 * Not here: groups whose width is no multiple of 16 channels (vbg_conv_ref). */
#include "kernels/gemm.h"
#include "kernels/ref/act.h"

#include <string.h>

enum {
    KC = 320,
    BLOCK = 16,
    NV = BLOCK / LANES,
    NR = NB * NV,
    TALL = 8 * MR, /* pixels that share a piece of weights in L2 */
    GROUP = 32     /* blocks of such a piece: 512 KB in f32      */
};

/* What a rectangle is made from: a gemm is a 1x1 convolution over one long row. */
typedef struct source {
    const vbg_conv_args *conv; /* NULL for gemm */
    const char *x;             /* first channel of the group */
    size_t xsize, ldx, c, cp, taps, k;
    size_t chain; /* longest sum, KC at most */
    vbg_dtype xt;
} source;

static size_t chain_of(bool short_sums, vbg_dtype xt)
{
    return short_sums && xt == VBG_F32 ? KC / 2 : KC;
}

/* One pixel of the tile: its image and the input position of its first tap. */
typedef struct origin {
    const char *image;
    int y, x;
} origin;

#ifdef DOT_BF16
typedef uint16_t patch_value;

/* n bf16 values, as they are. */
static void take(patch_value *dst, const char *src, vbg_dtype t, size_t n)
{
    (void)t;
    memcpy(dst, src, n * sizeof *dst);
}
#else
typedef float patch_value;

/* n values of type t at src become f32 at dst. */
static void take(patch_value *dst, const char *src, vbg_dtype t, size_t n)
{
    if (t == VBG_F32) {
        memcpy(dst, src, n * sizeof *dst);
        return;
    }
    const uint16_t *s = (const uint16_t *)(const void *)src;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(dst + i, vf_load_bf16(s + i));
    for (; i < n; i++)
        dst[i] = vbg_bf16_to_f32(s[i]);
}
#endif

static origin locate(const source *s, size_t pixel)
{
    const vbg_conv_args *a = s->conv;

    if (!a)
        return (origin){ .image = s->x + pixel * s->ldx * s->xsize };
    size_t row = pixel / (size_t)a->ow, image = row / (size_t)a->oh;
    size_t pixels = (size_t)a->h * (size_t)a->w_in;
    return (origin){ .image = s->x + image * pixels * s->ldx * s->xsize,
                     .y = (int)(row % (size_t)a->oh) * a->stride_y - a->pad_top,
                     .x = (int)(pixel % (size_t)a->ow) * a->stride_x - a->pad_left };
}

/* First channel of what a tap of a pixel reads, NULL outside the picture. */
static const char *tap_at(const source *s, const origin *o, size_t tap)
{
    const vbg_conv_args *a = s->conv;

    if (!a)
        return o->image;
    int y = o->y + (int)(tap / (size_t)a->kw) * a->dil_y;
    int x = o->x + (int)(tap % (size_t)a->kw) * a->dil_x;
    int up = a->upsample2 ? 1 : 0;
    if (y < 0 || x < 0 || y >> up >= a->h || x >> up >= a->w_in)
        return NULL;
    size_t at = (size_t)(y >> up) * (size_t)a->w_in + (size_t)(x >> up);
    return o->image + at * s->ldx * s->xsize;
}

/* a[0..kc) = values k0.. of the pixel's patch, in the order of packed weights;
 * padding channels and taps outside the picture are zero. */
static void copy_patch(patch_value *a, const source *s, const origin *o, size_t k0,
                       size_t kc)
{
    size_t k = k0, end = k0 + kc;

    while (k < end) {
        size_t tap = k / s->cp, i = k % s->cp;
        size_t n = s->cp - i < end - k ? s->cp - i : end - k;
        const char *p = tap < s->taps ? tap_at(s, o, tap) : NULL;
        size_t real = p && i < s->c ? (s->c - i < n ? s->c - i : n) : 0;
        if (real)
            take(a, p + i * s->xsize, s->xt, real);
        if (real < n)
            memset(a + real, 0, (n - real) * sizeof *a);
        a += n;
        k += n;
    }
}

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Weights a kilobyte further on: worth 7 % where they come from L2. */
INLINE void ahead(const char *const *w, size_t at, int nb)
{
    UNROLL
    for (int j = 0; j < nb; j++)
        _mm_prefetch(w[j] + at + 1024, _MM_HINT_T0);
}

#ifdef DOT_BF16
/* acc += a * b over kc values, two k at a time. */
INLINE void all_steps(vf acc[MR][NR], const patch_value *a, const char *const *w,
                      size_t kc, vbg_dtype t, int mr, int nb)
{
    (void)t;
    for (size_t k = 0; k < kc; k += 2) {
        __m512i b[NB];
        ahead(w, k * BLOCK * 2, nb);
        UNROLL
        for (int j = 0; j < nb; j++)
            b[j] = _mm512_loadu_si512(w[j] + k * BLOCK * 2);
        UNROLL
        for (int m = 0; m < mr; m++) {
            int pair;
            memcpy(&pair, a + (size_t)m * KC + k, sizeof pair);
            __m512i x = _mm512_set1_epi32(pair);
            UNROLL
            for (int j = 0; j < nb; j++)
                acc[m][j] = _mm512_dpbf16_ps(acc[m][j], (__m512bh)x, (__m512bh)b[j]);
        }
    }
}
#else
/* acc[m][v] += a[m][k] * b[v] for one k. */
INLINE void fma_step(vf acc[MR][NR], const float *a, const vf *b, int mr, int nr)
{
    UNROLL
    for (int m = 0; m < mr; m++) {
        vf x = vf_set1(a[m * KC]);
        UNROLL
        for (int v = 0; v < nr; v++)
            acc[m][v] = vf_fma(x, b[v], acc[m][v]);
    }
}

/* Vectors of one k of nb blocks; odd picks the second of a 16-bit pair. */
INLINE void load_b(vf *b, const char *const *w, size_t at, vbg_dtype t, int odd, int nb)
{
    UNROLL
    for (int j = 0; j < nb; j++) {
        UNROLL
        for (int v = 0; v < NV; v++) {
            const char *p = w[j] + at + (size_t)v * LANES * 4;
            b[j * NV + v] = t == VBG_F32    ? vf_load((const float *)(const void *)p)
                            : t == VBG_BF16 ? vf_pair_bf16(p, odd)
                                            : vf_pair_f16(p, odd);
        }
    }
}

/* acc += a * b over kc values. */
INLINE void all_steps(vf acc[MR][NR], const patch_value *a, const char *const *w,
                      size_t kc, vbg_dtype t, int mr, int nb)
{
    const int nr = nb * NV;
    vf b[NR];

    if (t == VBG_F32) {
        for (size_t k = 0; k < kc; k++) {
            ahead(w, k * BLOCK * 4, nb);
            load_b(b, w, k * BLOCK * 4, t, 0, nb);
            fma_step(acc, a + k, b, mr, nr);
        }
    } else {
        for (size_t k = 0; k < kc; k += 2) {
            ahead(w, k * BLOCK * 2, nb);
            load_b(b, w, k * BLOCK * 2, t, 0, nb);
            fma_step(acc, a + k, b, mr, nr);
            load_b(b, w, k * BLOCK * 2, t, 1, nb);
            fma_step(acc, a + k + 1, b, mr, nr);
        }
    }
}
#endif

/* The register tile: mr pixels x nb blocks over kc values of k. */
INLINE void micro(const patch_value *a, const char *const *w, float *y, size_t ldy,
                  size_t kc, bool first, vbg_dtype t, int mr, int nb)
{
    const int nr = nb * NV;
    vf acc[MR][NR];

    UNROLL
    for (int m = 0; m < mr; m++) {
        UNROLL
        for (int v = 0; v < nr; v++)
            acc[m][v] = vf_zero();
    }
    all_steps(acc, a, w, kc, t, mr, nb);
    UNROLL
    for (int m = 0; m < mr; m++) {
        UNROLL
        for (int v = 0; v < nr; v++) {
            float *p = y + (size_t)m * ldy + v * LANES;
            vf_store(p, first ? acc[m][v] : vf_add(vf_load(p), acc[m][v]));
        }
    }
}

/* Tile heights: the smallest that holds the rows is taken; what the rows beyond
 * compute is never stored to y. */
enum { MR_HALF = MR / 2, MR_FEW = 3 };

INLINE void micro_rows(const patch_value *a, const char *const *w, float *y, size_t ldy,
                       size_t kc, bool first, vbg_dtype t, int rows, int nb)
{
    if (rows > MR_HALF)
        micro(a, w, y, ldy, kc, first, t, MR, nb);
    else if (rows > MR_FEW)
        micro(a, w, y, ldy, kc, first, t, MR_HALF, nb);
    else if (rows > 1)
        micro(a, w, y, ldy, kc, first, t, MR_FEW, nb);
    else
        micro(a, w, y, ldy, kc, first, t, 1, nb);
}

#ifndef DOT_BF16
static void micro_f32(const patch_value *a, const char *const *w, float *y, size_t ldy,
                      size_t kc, bool first, int rows, int nb)
{
    if (nb == NB)
        micro_rows(a, w, y, ldy, kc, first, VBG_F32, rows, NB);
    else
        micro_rows(a, w, y, ldy, kc, first, VBG_F32, rows, 1);
}

static void micro_f16(const patch_value *a, const char *const *w, float *y, size_t ldy,
                      size_t kc, bool first, int rows, int nb)
{
    if (nb == NB)
        micro_rows(a, w, y, ldy, kc, first, VBG_F16, rows, NB);
    else
        micro_rows(a, w, y, ldy, kc, first, VBG_F16, rows, 1);
}
#endif

static void micro_bf16(const patch_value *a, const char *const *w, float *y, size_t ldy,
                       size_t kc, bool first, int rows, int nb)
{
    if (nb == NB)
        micro_rows(a, w, y, ldy, kc, first, VBG_BF16, rows, NB);
    else
        micro_rows(a, w, y, ldy, kc, first, VBG_BF16, rows, 1);
}

typedef void micro_fn(const patch_value *a, const char *const *w, float *y, size_t ldy,
                      size_t kc, bool first, int rows, int nb);

/* One run of neighbouring blocks of one piece of k, into acc from column 0. */
static void piece(const patch_value *a, const char *w, size_t block_bytes, float *acc,
                  size_t ldacc, size_t kc, bool first, vbg_dtype wt, int rows,
                  size_t blocks)
{
#ifdef DOT_BF16
    micro_fn *fn = micro_bf16;
    (void)wt;
#else
    micro_fn *fn = wt == VBG_F32 ? micro_f32 : wt == VBG_BF16 ? micro_bf16 : micro_f16;
#endif

    for (size_t b = 0; b < blocks; b += NB) {
        const char *const p[2] = { w + b * block_bytes, w + (b + 1) * block_bytes };
        int nb = blocks - b < NB ? 1 : NB;
        fn(a, p, acc + b * BLOCK, ldacc, kc, first, rows, nb);
    }
}

/* The rectangle: pixels [p0, p1), blocks [b0, b1) and, with geglu, as many again
 * from block gate on. */
typedef struct rectangle {
    size_t p0, p1, b0, b1, gate;
    bool geglu;
    const void *w;
    vbg_dtype wt;
    const vbg_store *out;
} rectangle;

/* Piece of k of TALL tiles at most: their patches, then all their products. */
static void piece_run(const source *s, const rectangle *r, const origin *at, size_t rows,
                      size_t k, patch_value *a, float *acc, size_t ldacc)
{
    const size_t blocks = r->b1 - r->b0, wsize = vbg_dtype_size(r->wt);
    const size_t block_bytes = s->k * BLOCK * wsize, left = s->k - k;
    const size_t kc = left < s->chain ? left : s->chain;
    const char *w = (const char *)r->w + k * BLOCK * wsize;

    for (size_t p = 0; p < rows; p += MR, acc += MR * ldacc) {
        int mr = (int)(rows - p < MR ? rows - p : MR);
        for (int m = 0; m < mr; m++)
            copy_patch(a + m * KC, s, &at[p + (size_t)m], k, kc);
        piece(a, w + r->b0 * block_bytes, block_bytes, acc, ldacc, kc, k == 0, r->wt, mr,
              blocks);
        if (r->geglu)
            piece(a, w + (r->gate + r->b0) * block_bytes, block_bytes,
                  acc + blocks * BLOCK, ldacc, kc, k == 0, r->wt, mr, blocks);
    }
}

static void group_run(const source *s, const rectangle *r, void *scratch)
{
    const size_t blocks = r->b1 - r->b0, ldacc = blocks * BLOCK * (r->geglu ? 2 : 1);
    patch_value *a = scratch;
    float *acc = (float *)(void *)(a + MR * KC);

    for (size_t p = r->p0; p < r->p1; p += TALL) {
        const size_t rows = r->p1 - p < TALL ? r->p1 - p : TALL;
        origin at[TALL];
        for (size_t m = 0; m < rows; m++)
            at[m] = locate(s, p + m);
        for (size_t k = 0; k < s->k; k += s->chain)
            piece_run(s, r, at, rows, k, a, acc, ldacc);
        for (size_t m = 0; m < rows; m++) {
            if (r->geglu)
                store_geglu(r->out, acc + m * ldacc, p + m, r->b0 * BLOCK,
                            r->gate * BLOCK, blocks * BLOCK);
            else
                store_row(r->out, acc + m * ldacc, p + m, r->b0 * BLOCK, blocks * BLOCK);
        }
    }
}

/* In groups of GROUP blocks. */
static void rectangle_run(const source *s, const rectangle *r, void *scratch)
{
    const size_t group = r->geglu ? GROUP / 2 : GROUP;
    rectangle part = *r;

    for (size_t b = r->b0; b < r->b1; b += group) {
        part.b0 = b;
        part.b1 = b + group < r->b1 ? b + group : r->b1;
        group_run(s, &part, scratch);
    }
}

/* Patches of one tile, sums of TALL pixels and one group. */
static size_t scratch_bytes(size_t oc)
{
    size_t cols = vbg_round_up(oc, BLOCK);

    cols = cols < GROUP * BLOCK ? cols : GROUP * BLOCK;
    return MR * KC * sizeof(patch_value) + TALL * cols * sizeof(float);
}

static void gemm(const vbg_gemm_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                 void *scratch)
{
    const vbg_pack_dims d = vbg_pack_shape(a->wt, a->k, 1);
    const source s = { .x = a->x,
                       .xsize = vbg_dtype_size(a->xt),
                       .ldx = a->ldx,
                       .c = a->k,
                       .cp = d.cp,
                       .taps = 1,
                       .k = d.k,
                       .chain = chain_of(a->short_sums, a->xt),
                       .xt = a->xt };
    const vbg_store out = { .y = a->y,
                            .ldy = a->ldy,
                            .yt = a->yt,
                            .oc = a->geglu ? a->oc / 2 : a->oc,
                            .ep = a->ep };
    const rectangle r = { .p0 = r0,
                          .p1 = r1,
                          .b0 = b0,
                          .b1 = b1,
                          .gate = a->oc / 2 / BLOCK,
                          .geglu = a->geglu,
                          .w = a->w,
                          .wt = a->wt,
                          .out = &out };
    rectangle_run(&s, &r, scratch);
}

static size_t gemm_scratch(const vbg_gemm_args *a)
{
    return scratch_bytes(a->oc);
}

static void conv(const vbg_conv_args *a, size_t r0, size_t r1, size_t b0, size_t b1,
                 void *scratch)
{
    const size_t groups = (size_t)a->groups, c = (size_t)a->c / groups;
    const size_t group_blocks = (size_t)a->oc / groups / BLOCK;
    const vbg_pack_dims d = vbg_pack_shape(a->wt, c, (size_t)(a->kh * a->kw));
    const vbg_store out = {
        .y = a->y, .ldy = a->ldy, .yt = a->yt, .oc = (size_t)a->oc, .ep = a->ep
    };
    source s = { .conv = a,
                 .xsize = vbg_dtype_size(a->xt),
                 .ldx = a->ldx,
                 .c = c,
                 .cp = d.cp,
                 .taps = (size_t)(a->kh * a->kw),
                 .k = d.k,
                 .chain = chain_of(a->short_sums, a->xt),
                 .xt = a->xt };
    rectangle r = { .p0 = r0 * (size_t)a->ow,
                    .p1 = r1 * (size_t)a->ow,
                    .w = a->w,
                    .wt = a->wt,
                    .out = &out };

    if (groups > 1 && (size_t)a->oc / groups % BLOCK) {
        vbg_conv_ref(a, r0, r1, b0, b1, scratch);
        return;
    }
    for (size_t b = b0; b < b1; b = r.b1) {
        size_t g = groups > 1 ? b / group_blocks : 0;
        r.b0 = b;
        r.b1 = groups > 1 && (g + 1) * group_blocks < b1 ? (g + 1) * group_blocks : b1;
        s.x = (const char *)a->x + g * c * s.xsize;
        rectangle_run(&s, &r, scratch);
    }
}

static size_t conv_scratch(const vbg_conv_args *a)
{
    return scratch_bytes((size_t)a->oc);
}
