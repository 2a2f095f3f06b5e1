/* Crops of pictures; see tools/train/crops.h. */
#include "tools/train/crops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "engine/picture_resize.h"

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), k = strlen(end);

    return n >= k && strcmp(s + n - k, end) == 0;
}

/* Masks of people are no pictures here. */
static void leave_out(vbg_captions *l)
{
    size_t n = 0;

    for (size_t i = 0; i < l->count; i++) {
        if (!ends_with(l->item[i].picture, ".mask.png")) {
            l->item[n++] = l->item[i];
            continue;
        }
        free(l->item[i].picture);
        free(l->item[i].text);
    }
    l->count = n;
}

vbg_status vbg_crops_open(vbg_crops *c, const char *path, int side, double share,
                          bool strict, vbg_err *err)
{
    const vbg_captions_opt opt = { .strict = strict, .no_text = true, .min_side = side };

    *c = (vbg_crops){ 0 };
    vbg_status st = vbg_captions_open(&c->list, path, &opt, err);
    if (st != VBG_OK)
        return st;
    leave_out(&c->list);
    c->held_out = (size_t)fmax(1, floor(share * (double)c->list.count));
    if (c->list.count < 2) {
        st = vbg_fail(err, VBG_EFORMAT, "%s: fewer than two pictures of %d pixels", path,
                      side);
        vbg_crops_close(c);
    }
    return st;
}

void vbg_crops_close(vbg_crops *c)
{
    vbg_captions_free(&c->list);
}

size_t vbg_crops_count(const vbg_crops *c)
{
    return c->list.count - c->held_out;
}

const char *vbg_crops_name(const vbg_crops *c, size_t i)
{
    return c->list.item[i].picture;
}

/* The next whole picture from i on within [first, first + count). */
static vbg_status load_whole(vbg_crops *c, size_t first, size_t count, size_t i, int side,
                             vbg_picture *p, vbg_err *err)
{
    for (size_t k = 0; k < count; k++) {
        vbg_captioned *item = &c->list.item[first + (i + k) % count];
        vbg_err why = { "" };
        if (__atomic_load_n(&item->broken, __ATOMIC_RELAXED))
            continue;
        vbg_status st = vbg_picture_load(p, NULL, item->picture, 3, &why);
        if (st == VBG_OK && p->w >= side && p->h >= side)
            return VBG_OK;
        if (st == VBG_OK) {
            vbg_picture_free(p);
            vbg_fail(&why, VBG_EFORMAT, "%s: smaller than %d pixels", item->picture,
                     side);
        }
        if (st == VBG_ENOMEM)
            return vbg_fail(err, st, "%s", why.text);
        if (!__atomic_exchange_n(&item->broken, true, __ATOMIC_RELAXED)) {
            st = vbg_tally_broken(&c->list.tally, err, "%s", why.text);
            if (st != VBG_OK)
                return st;
        }
    }
    return vbg_fail(err, VBG_EFORMAT, "%s: no picture can be read", c->list.tally.where);
}

/* The part of p at (x, y), of size w. */
static vbg_picture part_of(const vbg_picture *p, int x, int y, int w)
{
    vbg_picture part = *p;

    part.w = part.h = w;
    part.data += (size_t)y * p->stride + (size_t)(x * p->channels);
    return part;
}

static void to_floats(float *out, const vbg_picture *p, bool mirrored)
{
    for (int y = 0; y < p->h; y++) {
        const uint8_t *row = p->data + (size_t)y * p->stride;
        for (int x = 0; x < p->w; x++) {
            const uint8_t *from = row + 3 * (mirrored ? p->w - 1 - x : x);
            for (int k = 0; k < 3; k++)
                *out++ = (float)from[k] / 127.5f - 1;
        }
    }
}

vbg_status vbg_shrink_to_floats(float *out, vbg_picture *dst, const vbg_picture *src,
                                vbg_err *err)
{
    vbg_status st = vbg_picture_resample(dst, src, VBG_FILTER_LANCZOS, err);

    if (st == VBG_OK)
        to_floats(out, dst, false);
    return st;
}

static vbg_status one_crop(const vbg_picture *p, int side, vbg_dice *dice, float *out,
                           vbg_err *err)
{
    const bool pano = p->w == 2 * p->h;
    const int top = pano ? p->h * 35 / 180 : 0, high = p->h - 2 * top;
    int size = side;
    vbg_picture small, part;
    bool mirrored = false;
    vbg_status st;

    if (dice) {
        bool half = vbg_dice_chance(dice, 1.0 / 3);
        mirrored = vbg_dice_chance(dice, 0.5);
        size = half && vbg_min_int(p->w, high) >= 2 * side ? 2 * side : side;
    }
    int rows = vbg_max_int(high - size, 0), x = (p->w - size) / 2, y = top + rows / 2;
    if (dice) {
        x = vbg_dice_int(dice, p->w - size + 1);
        y = top + vbg_dice_int(dice, rows + 1);
    }
    y = vbg_min_int(y, p->h - size);
    part = part_of(p, x, y, size);
    if (size == side) {
        to_floats(out, &part, mirrored);
        return VBG_OK;
    }
    st = vbg_picture_new(&small, side, side, 3, err);
    if (st != VBG_OK)
        return st;
    st = vbg_picture_resample(&small, &part, VBG_FILTER_LANCZOS, err);
    if (st == VBG_OK)
        to_floats(out, &small, mirrored);
    vbg_picture_free(&small);
    return st;
}

vbg_status vbg_crops_take(vbg_crops *c, size_t i, bool held_out, int side, int count,
                          vbg_dice *dice, float *out, vbg_err *err)
{
    const size_t train = vbg_crops_count(c), each = 3 * (size_t)side * (size_t)side;
    const size_t first = held_out ? train : 0, n = held_out ? c->held_out : train;
    vbg_picture p = { 0 };
    vbg_status st = load_whole(c, first, n, i, side, &p, err);

    for (int k = 0; k < count && st == VBG_OK; k++)
        st = one_crop(&p, side, dice, out + (size_t)k * each, err);
    vbg_picture_free(&p);
    return st;
}

vbg_status vbg_tiles(vbg_picture *p, const float *x, int side, int columns, int rows,
                     vbg_err *err)
{
    vbg_status st = vbg_picture_new(p, side * columns, side * rows, 3, err);

    for (int t = 0; st == VBG_OK && t < columns * rows; t++)
        for (int y = 0; y < side; y++) {
            uint8_t *row = p->data + (size_t)(t / columns * side + y) * p->stride +
                           (size_t)(3 * (t % columns) * side);
            const float *from =
                x + ((size_t)t * (size_t)side + (size_t)y) * 3 * (size_t)side;
            for (int k = 0; k < 3 * side; k++) {
                float v = (from[k] + 1) * 127.5f;
                row[k] = (uint8_t)lrintf(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    return st;
}
