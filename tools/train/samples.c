/* Pictures with captions; see tools/train/samples.h. */
#include "tools/train/samples.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_matterport(const char *path)
{
    char name[4200];

    snprintf(name, sizeof name, "%s/train.npy", path);
    return access(name, R_OK) == 0;
}

vbg_status vbg_samples_open(vbg_samples *s, const char *path, bool strict, vbg_err *err)
{
    const vbg_captions_opt opt = { .strict = strict };
    vbg_status st = VBG_OK;

    *s = (vbg_samples){ .strict = strict, .loaded = SIZE_MAX };
    s->panoramas = is_matterport(path);
    if (!s->panoramas) {
        st = vbg_captions_open(&s->list, path, &opt, err);
        if (st != VBG_OK || s->list.item[0].w != 2 * s->list.item[0].h)
            return st;
        vbg_captions_free(&s->list);
        s->panoramas = true;
    }
    return vbg_panos_open(&s->panos, path, &(vbg_panos_opt){ .strict = strict }, err);
}

void vbg_samples_close(vbg_samples *s)
{
    if (s->loaded != SIZE_MAX)
        vbg_pano_views_free(&s->views);
    vbg_captions_free(&s->list);
    vbg_panos_free(&s->panos);
}

size_t vbg_samples_count(const vbg_samples *s)
{
    return s->panoramas ? s->panos.count * VBG_PANO_VIEWS : s->list.count;
}

size_t vbg_samples_a_scene(const vbg_samples *s)
{
    return s->panoramas ? VBG_PANO_VIEWS : 1;
}

const char *vbg_samples_name(const vbg_samples *s, size_t i)
{
    return s->panoramas ? s->panos.item[i / VBG_PANO_VIEWS].name
                        : s->list.item[i].picture;
}

const char *vbg_samples_text(const vbg_samples *s, size_t i)
{
    return s->panoramas ? s->panos.item[i / VBG_PANO_VIEWS].caption[i % VBG_PANO_VIEWS]
                        : s->list.item[i].text;
}

const char *vbg_samples_whole(const vbg_samples *s, size_t i)
{
    const char *whole = s->panoramas ? s->panos.item[i / VBG_PANO_VIEWS].whole : NULL;

    return whole ? whole : vbg_samples_text(s, i);
}

static bool load_panorama(vbg_samples *s, size_t pano, int side, vbg_err *err)
{
    size_t used = pano;

    if (s->loaded == pano && s->loaded_side == side)
        return true;
    if (s->loaded != SIZE_MAX)
        vbg_pano_views_free(&s->views);
    s->loaded = SIZE_MAX;
    if (vbg_panos_views(&s->panos, pano, side, 0, &s->views, &used, err) != VBG_OK)
        return false;
    s->loaded = used;
    s->loaded_side = side;
    return used == pano;
}

bool vbg_samples_picture(vbg_samples *s, size_t i, int side, vbg_picture *out,
                         vbg_err *err)
{
    const vbg_crop_opt crop = { .w = side, .h = side };
    size_t used = i;

    if (!s->panoramas) {
        if (vbg_captions_picture(&s->list, i, out, &crop, NULL, &used, err) != VBG_OK)
            return false;
        if (used != i)
            vbg_picture_free(out);
        return used == i;
    }
    if (!load_panorama(s, i / VBG_PANO_VIEWS, side, err) ||
        vbg_picture_new(out, side, side, 3, err) != VBG_OK)
        return false;
    const vbg_picture *v = &s->views.view[i % VBG_PANO_VIEWS];
    for (int y = 0; y < side; y++)
        memcpy(out->data + (size_t)y * out->stride, v->data + (size_t)y * v->stride,
               3 * (size_t)side);
    return true;
}
