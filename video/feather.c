/* Soft edges, tile by tile. */
#include "video/feather.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "video/blur.h"

enum {
    TILE_W = 64,
    TILE_H = 16,
    MAX_RADIUS = 12, /* below a tile: its eight neighbours decide */
    MAX_TAPS = 2 * MAX_RADIUS + 1,
    UNEVEN = 256
};

struct vbg_feather {
    int w, h, taps;
    float weight[MAX_TAPS];
    vbg_picture before;
    int tiles_w, tiles_h;
    short *tile;       /* the one value of each, or UNEVEN */
    vbg_blurrer *wide; /* more than MAX_RADIUS; then nothing above is used */
};

vbg_status vbg_feather_new(vbg_feather **out, int w, int h, double width, vbg_err *err)
{
    const double sigma = fmax(0.5, width / 2.6);
    double exact[MAX_TAPS];
    vbg_feather *f = calloc(1, sizeof *f);
    vbg_status st = VBG_OK;

    *out = NULL;
    if (!f)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    f->w = w;
    f->h = h;
    f->taps = vbg_gauss_length(sigma, 3);
    f->tiles_w = (w + TILE_W - 1) / TILE_W;
    f->tiles_h = (h + TILE_H - 1) / TILE_H;
    if (f->taps > MAX_TAPS || w < TILE_W || h < TILE_H) {
        st = vbg_blurrer_new(&f->wide, w, h, 1, sigma, err);
    } else {
        vbg_gauss_kernel(exact, f->taps, sigma);
        for (int i = 0; i < f->taps; i++)
            f->weight[i] = (float)exact[i];
        f->tile = calloc((size_t)f->tiles_w * (size_t)f->tiles_h, sizeof *f->tile);
        st = f->tile ? vbg_picture_new(&f->before, w, h, 1, err)
                     : vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    if (st == VBG_OK)
        *out = f;
    else
        vbg_feather_free(f);
    return st;
}

void vbg_feather_free(vbg_feather *f)
{
    if (!f)
        return;
    vbg_picture_free(&f->before);
    vbg_blurrer_free(f->wide);
    free(f->tile);
    free(f);
}

/* The value of all n pixels, or UNEVEN. */
static short one_value(const uint8_t *p, int n)
{
    const uint64_t all = p[0] * 0x0101010101010101u;
    uint64_t other = 0;
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, sizeof v);
        other |= v ^ all;
    }
    for (; i < n; i++)
        other |= (uint64_t)(p[i] ^ p[0]);
    return other ? UNEVEN : p[0];
}

static void find_tiles(vbg_feather *f)
{
    for (int ty = 0; ty < f->tiles_h; ty++)
        for (int tx = 0; tx < f->tiles_w; tx++) {
            const int x = tx * TILE_W, n = vbg_min_int(TILE_W, f->w - x);
            const int y1 = vbg_min_int((ty + 1) * TILE_H, f->h);
            short v = one_value(vbg_picture_row(&f->before, ty * TILE_H) + x, n);
            for (int y = ty * TILE_H + 1; y < y1 && v != UNEVEN; y++)
                if (one_value(vbg_picture_row(&f->before, y) + x, n) != v)
                    v = UNEVEN;
            f->tile[ty * f->tiles_w + tx] = v;
        }
}

/* The tile and all around it have one value. */
static bool is_even(const vbg_feather *f, int tx, int ty)
{
    const short v = f->tile[ty * f->tiles_w + tx];

    for (int y = vbg_max_int(ty - 1, 0); y <= vbg_min_int(ty + 1, f->tiles_h - 1); y++)
        for (int x = vbg_max_int(tx - 1, 0); x <= vbg_min_int(tx + 1, f->tiles_w - 1);
             x++)
            if (f->tile[y * f->tiles_w + x] != v)
                return false;
    return v != UNEVEN;
}

/* Mirrored at the border, the border pixel twice. */
static int mirror(int i, int n)
{
    return i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i;
}

static void blur_tile(const vbg_feather *f, const vbg_picture_kernels *k,
                      vbg_picture *alpha, int tx, int ty)
{
    const int radius = f->taps / 2, x0 = tx * TILE_W;
    const int n = vbg_min_int(TILE_W, f->w - x0);
    const int from = vbg_max_int(x0 - radius, 0);
    const int to = vbg_min_int(x0 + n + radius, f->w);
    float line[TILE_W + 2 * MAX_RADIUS + 16], sum[TILE_W + 16];
    float *at = line + radius - x0; /* of column 0 */

    for (int y = ty * TILE_H; y < vbg_min_int((ty + 1) * TILE_H, f->h); y++) {
        const uint8_t *rows[MAX_TAPS];
        for (int i = 0; i < f->taps; i++)
            rows[i] = vbg_picture_row(&f->before, mirror(y + i - radius, f->h)) + from;
        k->column_u8(at + from, rows, f->weight, f->taps, (size_t)(to - from));
        for (int x = x0 - radius; x < from; x++)
            at[x] = at[mirror(x, f->w)];
        for (int x = to; x < x0 + n + radius; x++)
            at[x] = at[mirror(x, f->w)];
        k->row_filter(sum, line, f->weight, f->taps, 1, (size_t)n);
        k->to_u8(vbg_picture_row(alpha, y) + x0, sum, (size_t)n);
    }
}

void vbg_feather_run(vbg_feather *f, const vbg_kernels *k, vbg_picture *alpha)
{
    VBG_CHECK(alpha->w == f->w && alpha->h == f->h && alpha->channels == 1,
              "feather of %dx%d given %dx%dx%d", f->w, f->h, alpha->w, alpha->h,
              alpha->channels);
    if (f->wide) {
        vbg_blurrer_run(f->wide, k, alpha, alpha);
        return;
    }
    for (int y = 0; y < f->h; y++)
        memcpy(vbg_picture_row(&f->before, y), vbg_picture_row(alpha, y), (size_t)f->w);
    find_tiles(f);
    for (int ty = 0; ty < f->tiles_h; ty++)
        for (int tx = 0; tx < f->tiles_w; tx++)
            if (!is_even(f, tx, ty))
                blur_tile(f, &k->picture, alpha, tx, ty);
}
