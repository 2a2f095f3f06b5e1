/* Where the tile products find their pixels: strips of the input in L2.
 *
 * A tile of A is 16 output pixels x 32 channels.  The tile unit reads its 16 rows
 * at any constant pitch, so one layer needs only, per tile, the address of its
 * first pixel, and per step of k an offset that all tiles share.  Four ways:
 *
 *   DIRECT   1x1: straight from the activation map, nothing is copied
 *   PADDED   a copy of a patch with its border of zeros; a step (ky,kx) is an
 *            offset of ky rows and kx pixels; stride 2 doubles the pitch
 *                 0 0 0 0 0 0
 *                 0 a b c d 0      tap (0,1) of a: one pixel on, two rows of tile
 *                 0 e f g h 0      pixels stay neighbours
 *   PLANES   narrow maps: one copy per kx (per tap when rows are strided or
 *            dilated), each as wide as the output, so that a tile runs on over
 *            the end of a row and 8x8 maps still fill it
 *   PATCHES  16 channels or fewer: whole patches, k values in a row per pixel
 *
 * The pitch of copied pixels gets 64 bytes more where rows would otherwise fall
 * into the same few sets of L1.  Channels beyond c are zero in every copy. */
#ifndef VBG_KERNELS_X86_STRIP_H
#define VBG_KERNELS_X86_STRIP_H

#include "kernels/gemm.h"

#include <immintrin.h>
#include <string.h>

enum {
    TILE = 16,        /* pixels of a tile                                  */
    DEPTH = 32,       /* channels of a tile                                */
    MAX_TILES = 64,   /* of one patch: what passes over a panel of weights */
    PATCH_TILES = 32, /* aimed at */
    MAX_STEPS = 128,  /* of one piece of k                                 */
    STRIP_BYTES = 768 << 10
};

typedef enum strip_mode { DIRECT, PADDED, PLANES, PATCHES } strip_mode;

typedef struct strips {
    const vbg_conv_args *a;
    strip_mode mode;
    size_t c, cp, k, taps; /* of one group, as packed */
    size_t chunk;          /* channels per piece (PATCHES: all of k) */
    size_t pitch;          /* bytes between pixels of a copy */
    bool shared;           /* PLANES: a copy per kx serves every ky */
    int planes;            /* PLANES: copies; kw when shared, else kh*kw */
    size_t bytes;          /* capacity of the strip */
} strips;

/* Some output pixels and the copy they are read from. */
typedef struct segment {
    size_t image;
    int y0, y1, x0, x1;
    size_t at; /* of the copy in the strip */
    int width; /* PADDED: pixels in a row of the copy */
} segment;

typedef struct tile {
    const char *a;
    size_t pitch, pixel; /* pixel: output index of its first row */
    int rows;
} tile;

static inline size_t up_to(size_t a, size_t unit)
{
    return (a + unit - 1) / unit * unit;
}

/* A pitch of copied pixels that spreads 16 rows over at least 8 sets of L1. */
static inline size_t good_pitch(size_t bytes)
{
    bytes = up_to(bytes, 64);
    return bytes % 1024 == 0 ? bytes + 64 : bytes;
}

/* Rows of the copy that `rows` output rows need. */
static inline int copy_rows(const vbg_conv_args *a, int rows)
{
    return (rows - 1) * a->stride_y + (a->kh - 1) * a->dil_y + 1;
}

static inline int copy_width(const vbg_conv_args *a, int cols)
{
    return (cols - 1) * a->stride_x + (a->kw - 1) * a->dil_x + 1;
}

/* Bytes of the copy of rows x cols output pixels, with room for tiles that run
 * over the end. */
static inline size_t segment_bytes(const strips *s, int rows, int cols)
{
    const vbg_conv_args *a = s->a;
    size_t pixels, slack = TILE * (size_t)a->stride_x;

    if (s->mode == PADDED)
        pixels = (size_t)copy_rows(a, rows) * (size_t)copy_width(a, cols);
    else if (s->mode == PATCHES)
        pixels = (size_t)rows * (size_t)cols;
    else if (s->shared)
        pixels = (size_t)copy_rows(a, rows) * (size_t)cols * (size_t)s->planes;
    else
        pixels = (size_t)rows * (size_t)cols * (size_t)s->planes;
    return up_to((pixels + slack) * s->pitch + 64, 64);
}

/* Width of a segment: whole rows but for wide maps. */
static inline int segment_cols(const strips *s)
{
    int ow = s->a->ow;
    return s->mode == PADDED && ow > 96 ? 64 : ow;
}

static inline void choose_chunk(strips *s, size_t limit)
{
    size_t tiles = s->cp / DEPTH, most = limit / s->taps;

    if (most < 1)
        most = 1;
    size_t pieces = (tiles + most - 1) / most;
    s->chunk = (tiles + pieces - 1) / pieces * DEPTH;
    s->pitch = good_pitch(s->chunk * 2);
}

/* PLANES: bytes of a whole patch. */
static inline size_t patch_bytes(const strips *s)
{
    const vbg_conv_args *a = s->a;
    const int rows = vbg_min_int(a->oh, vbg_max_int(1, PATCH_TILES * TILE / a->ow));
    const int images =
        vbg_min_int(a->n, vbg_max_int(1, PATCH_TILES * TILE / (rows * a->ow)));

    return (size_t)images * segment_bytes(s, rows, a->ow);
}

static inline void plan_mode(strips *s)
{
    const vbg_conv_args *a = s->a;
    const int waste = (TILE - a->ow % TILE) % TILE;

    s->planes = 1;
    if (s->cp % DEPTH) {
        s->mode = PATCHES;
        return;
    }
    bool plain = s->taps == 1 && a->stride_y == 1 && a->stride_x == 1 && !a->upsample2 &&
                 a->pad_top == 0 && a->pad_left == 0 && a->oh == a->h && a->ow == a->w_in;
    if (plain && s->c == s->cp && a->ldx * 2 % 4096) {
        s->mode = DIRECT;
        return;
    }
    bool far = (a->kh - 1) * a->dil_y > 8 || (a->kw - 1) * a->dil_x > 8;
    if (a->ow <= 512 && (far || a->ow < TILE || (a->ow < 64 && waste * 8 > a->ow))) {
        s->mode = PLANES;
        s->shared = a->stride_y == 1 && (a->kh - 1) * a->dil_y <= 8;
        s->planes = s->shared ? a->kw : a->kh * a->kw;
        return;
    }
    s->mode = PADDED;
}

static inline strips strips_plan(const vbg_conv_args *a)
{
    const size_t c = (size_t)(a->c / a->groups);
    strips s = { .a = a, .c = c, .taps = (size_t)(a->kh * a->kw) };
    vbg_pack_dims d = vbg_pack_shape(VBG_BF16, c, s.taps);

    s.cp = d.cp;
    s.k = d.k;
    plan_mode(&s);
    if (s.mode == PATCHES) {
        s.chunk = s.k;
        s.pitch = good_pitch(s.k * 2);
    } else {
        size_t limit = s.taps > 1 ? 96 : 40;
        choose_chunk(&s, limit);
        while (s.mode != DIRECT && limit > s.taps &&
               segment_bytes(&s, 1, segment_cols(&s)) > STRIP_BYTES / 4) {
            limit /= 2;
            choose_chunk(&s, limit);
        }
        /* k comes in pieces anyway: short enough for the weights to pass once only */
        while (s.mode == PLANES && s.cp > s.chunk && limit >= 8 * s.taps &&
               patch_bytes(&s) > STRIP_BYTES) {
            limit /= 2;
            choose_chunk(&s, limit);
        }
    }
    size_t least = segment_bytes(&s, 1, segment_cols(&s));
    s.bytes = s.mode == DIRECT ? 0 : least > STRIP_BYTES ? least : STRIP_BYTES;
    return s;
}

/* ---- copying ---- */

/* One pixel: real channels, then zeros up to padded (a multiple of 32). */
static inline void copy_pixel(char *dst, const char *src, size_t real, size_t padded)
{
    for (size_t i = 0; i < padded; i += DEPTH) {
        __m512i v = _mm512_setzero_si512();
        if (i + DEPTH <= real)
            v = _mm512_loadu_si512(src + 2 * i);
        else if (i < real)
            v = _mm512_maskz_loadu_epi16((__mmask32)((1u << (real - i)) - 1),
                                         src + 2 * i);
        _mm512_storeu_si512(dst + 2 * i, v);
    }
}

/* count pixels of input row iy of an image, from input column ix on in steps of
 * step, zeros outside the picture. */
static inline void copy_run(const strips *s, char *dst, const char *image, int iy, int ix,
                            int step, int count, size_t c0)
{
    const vbg_conv_args *a = s->a;
    const int up = a->upsample2 ? 1 : 0;
    const size_t left = s->c - c0, real = left < s->chunk ? left : s->chunk;
    const bool inside = iy >= 0 && iy >> up < a->h;
    const char *row =
        image + ((size_t)(inside ? iy >> up : 0) * (size_t)a->w_in * a->ldx + c0) * 2;

    for (int i = 0; i < count; i++, ix += step, dst += s->pitch) {
        if (inside && ix >= 0 && ix >> up < a->w_in)
            copy_pixel(dst, row + (size_t)(ix >> up) * a->ldx * 2, real, s->chunk);
        else
            copy_pixel(dst, NULL, 0, s->chunk);
    }
}

/* n values: a masked move where they are few, which a call of memcpy would cost more. */
static inline void copy_values(char *dst, const char *src, size_t n)
{
    if (n > DEPTH) {
        memcpy(dst, src, 2 * n);
        return;
    }
    const __mmask32 m = (__mmask32)(((uint64_t)1 << n) - 1);
    _mm512_mask_storeu_epi16(dst, m, _mm512_maskz_loadu_epi16(m, src));
}

/* Whole patches of n*oh*ow pixels first..: tap after tap, c channels each. */
static inline void copy_patches(const strips *s, char *dst, const segment *g,
                                const char *image)
{
    const vbg_conv_args *a = s->a;
    const int up = a->upsample2 ? 1 : 0;
    const bool together = a->dil_x == 1 && a->ldx == s->c && !up;
    const __mmask16 one = (__mmask16)((1u << s->c) - 1);

    for (int y = g->y0; y < g->y1; y++)
        for (int x = g->x0; x < g->x1; x++, dst += s->pitch) {
            char *p = dst;
            int ix0 = x * a->stride_x - a->pad_left;
            for (size_t k = 0; k < s->k; k += DEPTH)
                _mm512_storeu_si512(dst + 2 * k, _mm512_setzero_si512());
            for (int ky = 0; ky < a->kh; ky++) {
                int iy = y * a->stride_y - a->pad_top + ky * a->dil_y;
                size_t tap_row = s->c * 2 * (size_t)a->kw;
                p = dst + (size_t)ky * tap_row;
                if (iy < 0 || iy >> up >= a->h)
                    continue;
                const char *row =
                    image + (size_t)(iy >> up) * (size_t)a->w_in * a->ldx * 2;
                if (together && ix0 >= 0 && ix0 + a->kw <= a->w_in) {
                    copy_values(p, row + (size_t)ix0 * s->c * 2, tap_row / 2);
                    continue;
                }
                for (int kx = 0; kx < a->kw; kx++, p += s->c * 2) {
                    int ix = ix0 + kx * a->dil_x;
                    if (ix < 0 || ix >> up >= a->w_in)
                        continue;
                    const char *from = row + (size_t)(ix >> up) * a->ldx * 2;
                    _mm256_mask_storeu_epi16(p, one, _mm256_maskz_loadu_epi16(one, from));
                }
            }
        }
}

/* Fills the copy of one segment with channels c0.. of the group at x. */
static inline void copy_segment(const strips *s, char *strip, const segment *g,
                                const char *x, size_t c0)
{
    const vbg_conv_args *a = s->a;
    const char *image = x + g->image * (size_t)a->h * (size_t)a->w_in * a->ldx * 2;
    const int iy = g->y0 * a->stride_y - a->pad_top;
    const int ix = g->x0 * a->stride_x - a->pad_left, cols = g->x1 - g->x0;
    char *dst = strip + g->at;

    if (s->mode == PATCHES) {
        copy_patches(s, dst, g, image);
    } else if (s->mode == PADDED) {
        int rows = copy_rows(a, g->y1 - g->y0);
        for (int r = 0; r < rows; r++, dst += (size_t)g->width * s->pitch)
            copy_run(s, dst, image, iy + r, ix, 1, g->width, c0);
    } else if (s->shared) {
        int rows = copy_rows(a, g->y1 - g->y0);
        for (int kx = 0; kx < a->kw; kx++)
            for (int r = 0; r < rows; r++, dst += (size_t)cols * s->pitch)
                copy_run(s, dst, image, iy + r, ix + kx * a->dil_x, a->stride_x, cols,
                         c0);
    } else {
        for (int t = 0; t < a->kh * a->kw; t++)
            for (int y = g->y0; y < g->y1; y++, dst += (size_t)cols * s->pitch)
                copy_run(s, dst, image,
                         y * a->stride_y - a->pad_top + t / a->kw * a->dil_y,
                         ix + t % a->kw * a->dil_x, a->stride_x, cols, c0);
    }
}

/* ---- tiles and steps ---- */

/* Adds the tiles of a segment; DIRECT tiles point into x. */
static inline int segment_tiles(const strips *s, const char *strip, const segment *g,
                                const char *x, tile *out)
{
    const vbg_conv_args *a = s->a;
    const size_t row = s->mode == PADDED && a->y_row ? a->y_row : (size_t)a->ow;
    const size_t first = (g->image * (size_t)a->oh + (size_t)g->y0) * row;
    int n = 0;

    if (s->mode == PADDED) {
        /* Down the columns: a pair is two rows of 16, which share most of their pixels
         * in L1, and the next pair starts with what this one read last. */
        for (int tx = g->x0; tx < g->x1; tx += TILE)
            for (int y = g->y0; y < g->y1; y++) {
                size_t at = (size_t)((y - g->y0) * a->stride_y) * (size_t)g->width +
                            (size_t)((tx - g->x0) * a->stride_x);
                out[n++] =
                    (tile){ .a = strip + g->at + at * s->pitch,
                            .pitch = (size_t)a->stride_x * s->pitch,
                            .pixel = first + (size_t)(y - g->y0) * row + (size_t)tx,
                            .rows = vbg_min_int(TILE, g->x1 - tx) };
            }
        return n;
    }
    int pixels = (g->y1 - g->y0) * a->ow;
    for (int f = 0; f < pixels; f += TILE) {
        tile t = { .pixel = first + (size_t)f, .rows = vbg_min_int(TILE, pixels - f) };
        t.pitch = s->mode == DIRECT ? a->ldx * 2 : s->pitch;
        t.a = s->mode == DIRECT ? x + t.pixel * t.pitch
                                : strip + g->at + (size_t)f * s->pitch;
        out[n++] = t;
    }
    return n;
}

/* Offsets of the steps of one piece: of A from a tile's first pixel (all segments
 * of a patch have the same width), of B from the start of a block of 16 channels. */
static inline int fill_steps(const strips *s, const segment *g, size_t c0, size_t *aoff,
                             size_t *boff)
{
    const vbg_conv_args *a = s->a;
    const size_t left = s->mode == PATCHES ? s->k : s->cp - c0;
    const size_t chunk = left < s->chunk ? left : s->chunk;
    int n = 0;

    if (s->mode == PATCHES) {
        for (size_t k = 0; k < s->k; k += DEPTH, n++) {
            aoff[n] = k * 2;
            boff[n] = k * TILE * 2;
        }
        return n;
    }
    for (int ky = 0; ky < a->kh; ky++)
        for (int kx = 0; kx < a->kw; kx++)
            for (size_t j = 0; j < chunk; j += DEPTH, n++) {
                size_t tap = (size_t)(ky * a->kw + kx), at = 0;
                if (s->mode == PADDED)
                    at = ((size_t)(ky * a->dil_y) * (size_t)g->width +
                          (size_t)(kx * a->dil_x)) *
                         s->pitch;
                else if (s->mode == PLANES && s->shared)
                    at = ((size_t)kx * (size_t)copy_rows(a, g->y1 - g->y0) +
                          (size_t)(ky * a->dil_y)) *
                         (size_t)a->ow * s->pitch;
                else if (s->mode == PLANES)
                    at = tap * (size_t)(g->y1 - g->y0) * (size_t)a->ow * s->pitch;
                aoff[n] = at + (s->mode == DIRECT ? c0 + j : j) * 2;
                boff[n] = (tap * s->cp + c0 + j) * TILE * 2;
            }
    return n;
}

#endif
