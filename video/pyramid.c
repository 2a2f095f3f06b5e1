/* Padded grey pyramids.  Source of the filter: Burt and Adelson 1983. */
#include "video/pyramid.h"

#include <string.h>

int vbg_reflect(int i, int n)
{
    if (n <= 1)
        return 0;
    while (i < 0 || i >= n)
        i = i < 0 ? -i : 2 * (n - 1) - i;
    return i;
}

/* Where the levels lie inside one block; *bytes gets its size.  data pointers are
 * only set when base is not NULL. */
static void layout(vbg_pyramid *p, uint8_t *base, int w, int h, size_t *bytes)
{
    size_t at = 0;

    for (int i = 0; i < p->levels; i++) {
        const size_t stride = vbg_round_up((size_t)w + 2 * (size_t)p->pad, 64);
        p->level[i] = (vbg_plane){ .stride = stride, .w = w, .h = h };
        if (base)
            p->level[i].data = base + at + (size_t)p->pad * stride + (size_t)p->pad;
        at += stride * ((size_t)h + 2 * (size_t)p->pad) + VBG_LK_OVERREAD;
        w = (w + 1) / 2;
        h = (h + 1) / 2;
    }
    *bytes = vbg_round_up(at, 64);
}

vbg_status vbg_pyramid_new(vbg_pyramid *out, int w, int h, int max_level, int window,
                           vbg_err *err)
{
    vbg_pyramid p = { .levels = 1 };
    size_t bytes;

    if (w < 1 || h < 1 || w > 32768 || h > 32768 || window < 1 ||
        window > VBG_LK_WINDOW_MAX || max_level < 0)
        return vbg_fail(err, VBG_ELIMIT, "pyramid of %dx%d, window %d: out of range", w,
                        h, window);
    for (int lw = (w + 1) / 2, lh = (h + 1) / 2;
         p.levels <= max_level && p.levels < VBG_PYRAMID_LEVELS && lw > window &&
         lh > window;
         lw = (lw + 1) / 2, lh = (lh + 1) / 2)
        p.levels++;
    p.pad = (int)vbg_round_up((size_t)window + VBG_LK_MARGIN, 32);
    layout(&p, NULL, w, h, &bytes);
    const size_t row = 2 * (size_t)w + 256;
    p.memory = vbg_alloc(bytes + row * sizeof(uint16_t));
    if (!p.memory)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a %dx%d pyramid", w, h);
    layout(&p, p.memory, w, h, &bytes);
    p.row = (uint16_t *)(void *)((uint8_t *)p.memory + bytes);
    *out = p;
    return VBG_OK;
}

void vbg_pyramid_free(vbg_pyramid *p)
{
    if (!p)
        return;
    vbg_free_mem(p->memory);
    *p = (vbg_pyramid){ .levels = 0 };
}

/* Mirrors the borders of one level. */
static void mirror(const vbg_pyramid *p, const vbg_plane *im)
{
    uint8_t *data = (uint8_t *)(uintptr_t)im->data;
    const int pad = p->pad;

    for (int y = 0; y < im->h; y++) {
        uint8_t *row = data + (size_t)y * im->stride;
        for (int i = 1; i <= pad; i++) {
            row[-i] = row[vbg_reflect(-i, im->w)];
            row[im->w - 1 + i] = row[vbg_reflect(im->w - 1 + i, im->w)];
        }
    }
    const size_t width = (size_t)im->w + 2 * (size_t)pad;
    for (int i = 1; i <= pad; i++) {
        const ptrdiff_t stride = (ptrdiff_t)im->stride;
        const int bottom = im->h - 1 + i;
        memcpy(data - i * stride - pad, data + vbg_reflect(-i, im->h) * stride - pad,
               width);
        memcpy(data + bottom * stride - pad,
               data + vbg_reflect(bottom, im->h) * stride - pad, width);
    }
}

void vbg_pyramid_build(vbg_pyramid *p, const uint8_t *y, size_t stride,
                       const vbg_lk_kernels *k)
{
    for (int r = 0; r < p->level[0].h; r++)
        memcpy((uint8_t *)(uintptr_t)p->level[0].data + (size_t)r * p->level[0].stride,
               y + (size_t)r * stride, (size_t)p->level[0].w);
    mirror(p, &p->level[0]);
    for (int i = 1; i < p->levels; i++) {
        const vbg_plane *src = &p->level[i - 1], *dst = &p->level[i];
        for (int r = 0; r < dst->h; r++) {
            const uint8_t *rows[5];
            for (int t = 0; t < 5; t++)
                rows[t] = src->data + (ptrdiff_t)src->stride * (2 * r - 2 + t);
            k->halve((uint8_t *)(uintptr_t)dst->data + (size_t)r * dst->stride, rows,
                     dst->w, p->row);
        }
        mirror(p, dst);
    }
}
