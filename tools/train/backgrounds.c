/* Backgrounds; see tools/train/backgrounds.h. */
#include "tools/train/backgrounds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "engine/picture_resize.h"

static const double DEGREE = 3.14159265358979323846 / 180;
static const size_t MOST_BYTES = (size_t)2 << 30;

/* p reduced in place so that its longer side is at most side. */
static vbg_status reduce(vbg_picture *p, int side, vbg_err *err)
{
    const int longer = vbg_max_int(p->w, p->h);
    vbg_picture small;

    if (longer <= side)
        return VBG_OK;
    const double f = (double)side / longer;
    vbg_status st = vbg_picture_new(&small, vbg_max_int((int)lrint(p->w * f), 1),
                                    vbg_max_int((int)lrint(p->h * f), 1), 3, err);
    if (st != VBG_OK)
        return st;
    st = vbg_picture_resample(&small, p, VBG_FILTER_BILINEAR, err);
    if (st != VBG_OK) {
        vbg_picture_free(&small);
        return st;
    }
    vbg_picture_free(p);
    *p = small;
    return VBG_OK;
}

static vbg_status read_one(vbg_background *b, const char *path, int side, vbg_err *err)
{
    vbg_picture p;
    vbg_status st = vbg_picture_load(&p, NULL, path, 3, err);

    *b = (vbg_background){ 0 };
    if (st != VBG_OK)
        return st;
    const bool sphere = p.w >= 64 && abs(p.w - 2 * p.h) <= p.w / 50;
    if (p.w < 16 || p.h < 16)
        st = vbg_fail(err, VBG_EFORMAT, "%s: %dx%d pixels are no background", path, p.w,
                      p.h);
    if (st == VBG_OK)
        st = reduce(&p, sphere ? 6 * side : 2 * side, err);
    if (st == VBG_OK && sphere)
        st = vbg_viewport_new(&b->sphere, &p, err);
    if (st == VBG_OK && !sphere)
        b->picture = p;
    else
        vbg_picture_free(&p);
    return st;
}

static size_t bytes_of(const vbg_background *b, int side)
{
    return b->sphere ? (size_t)side * (size_t)side * 72 /* (6 side)(3 side) 4 at most */
                     : b->picture.stride * (size_t)b->picture.h;
}

static vbg_status append(vbg_backgrounds *b, vbg_background *one, vbg_err *err)
{
    if (b->count == b->room) {
        const size_t room = b->room ? 2 * b->room : 64;
        vbg_background *grown = realloc(b->item, room * sizeof *grown);
        if (!grown) {
            vbg_picture_free(&one->picture);
            vbg_viewport_free(one->sphere);
            return vbg_fail(err, VBG_ENOMEM, "backgrounds: not enough memory");
        }
        b->item = grown;
        b->room = room;
    }
    b->item[b->count++] = *one;
    b->tally.good++;
    return VBG_OK;
}

static vbg_status read_folder(vbg_backgrounds *b, const char *dir, int side,
                              size_t *bytes, vbg_err *err)
{
    vbg_paths all;
    vbg_status st = vbg_paths_pictures(&all, dir, err);

    for (size_t i = 0; st == VBG_OK && i < all.count; i++) {
        vbg_background one;
        vbg_err why = { "" };
        st = read_one(&one, all.path[i], side, &why);
        if (st == VBG_OK) {
            *bytes += bytes_of(&one, side);
            st = append(b, &one, err);
        } else if (st == VBG_ENOMEM) {
            vbg_fail(err, st, "%s", why.text);
        } else {
            st = vbg_tally_broken(&b->tally, err, "%s", why.text);
        }
        if (st == VBG_OK && *bytes > MOST_BYTES)
            st = vbg_fail(err, VBG_ELIMIT,
                          "%s: the backgrounds take more than 2 GiB; give a smaller "
                          "folder",
                          dir);
    }
    vbg_paths_free(&all);
    return st;
}

vbg_status vbg_backgrounds_open(vbg_backgrounds *out, const char *const *dir, int dirs,
                                int side, bool strict, vbg_err *err)
{
    vbg_backgrounds b = { .tally = { .where = dirs ? dir[0] : "", .strict = strict } };
    vbg_status st = VBG_OK;
    size_t bytes = 0;

    *out = (vbg_backgrounds){ 0 };
    for (int i = 0; st == VBG_OK && i < dirs; i++)
        st = read_folder(&b, dir[i], side, &bytes, err);
    if (st == VBG_OK && dirs)
        st = vbg_tally_close(&b.tally, "backgrounds", err);
    if (st == VBG_OK)
        *out = b;
    else
        vbg_backgrounds_free(&b);
    return st;
}

void vbg_backgrounds_free(vbg_backgrounds *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->count; i++) {
        vbg_picture_free(&b->item[i].picture);
        vbg_viewport_free(b->item[i].sphere);
    }
    free(b->item);
    *b = (vbg_backgrounds){ 0 };
}

/* A view into a panorama, squeezed to out's size. */
static vbg_status look(const vbg_viewport *v, vbg_ctx *c, vbg_levels *out, double aspect,
                       vbg_dice *d, vbg_err *err)
{
    const double fov = vbg_dice_range(d, 40, 85) * DEGREE;
    const double yaw = vbg_dice_range(d, -180, 180) * DEGREE;
    const double pitch = vbg_dice_normal(d) * 8 * DEGREE;
    const int w = vbg_max_int((int)lrint(out->h * aspect), 16);
    vbg_picture seen;
    vbg_status st = vbg_picture_new(&seen, w, out->h, 3, err);

    if (st != VBG_OK)
        return st;
    const vbg_pinhole camera = { .fov_x = fov, .yaw = yaw, .pitch = pitch };
    vbg_viewport_render(v, c, &seen, &camera);
    const double m[6] = { (double)w / out->w, 0, 0.5 * w / out->w - 0.5, 0, 1, 0 };
    vbg_warp(out, &seen, m, false);
    vbg_picture_free(&seen);
    return VBG_OK;
}

/* A random part of a picture of about the aspect ratio. */
static vbg_status cut(const vbg_picture *p, vbg_levels *out, double aspect, vbg_dice *d,
                      vbg_err *err)
{
    const double zoom = exp(vbg_dice_range(d, 0, log(2.2)));
    const double h = fmax(fmin(p->h, p->w / aspect) / zoom, 8);
    const double w = fmin(fmax(h * aspect, 8), p->w);
    const int iw = vbg_max_int((int)lrint(w), 1);
    const int ih = vbg_max_int(vbg_min_int((int)lrint(h), p->h), 1);
    const int x = vbg_dice_int(d, p->w - iw + 1), y = vbg_dice_int(d, p->h - ih + 1);
    const bool mirrored = vbg_dice_chance(d, 0.5);
    vbg_picture part = *p, small;
    vbg_status st = vbg_picture_new(&small, out->w, out->h, 3, err);

    if (st != VBG_OK)
        return st;
    part.data += (size_t)y * p->stride + (size_t)(3 * x);
    part.w = iw;
    part.h = ih;
    st = vbg_picture_resample(&small, &part, VBG_FILTER_BILINEAR, err);
    if (st == VBG_OK) {
        const double m[6] = { mirrored ? -1 : 1, 0, mirrored ? out->w - 1 : 0, 0, 1, 0 };
        vbg_warp(out, &small, m, false);
    }
    vbg_picture_free(&small);
    return st;
}

vbg_status vbg_backgrounds_draw(const vbg_backgrounds *b, vbg_ctx *c, vbg_levels *out,
                                double aspect, vbg_dice *dice, vbg_err *err)
{
    const vbg_background *one = &b->item[vbg_dice_int(dice, (int)b->count)];

    return one->sphere ? look(one->sphere, c, out, aspect, dice, err)
                       : cut(&one->picture, out, aspect, dice, err);
}
