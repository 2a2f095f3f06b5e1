/* Pictures with captions; see tools/train/samples.h. */
#include "tools/train/samples.h"

#include <math.h>
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

vbg_status vbg_samples_open(vbg_samples *s, const char *path, const vbg_samples_opt *opt,
                            vbg_err *err)
{
    const vbg_captions_opt co = { .strict = opt->strict };
    const vbg_panos_opt po = { .strict = opt->strict };
    vbg_status st = VBG_OK;

    *s = (vbg_samples){ .opt = *opt, .loaded = SIZE_MAX, .truth_of = SIZE_MAX };
    s->opt.starts = vbg_max_int(opt->starts, 1);
    s->panoramas = is_matterport(path);
    if (!s->panoramas) {
        st = vbg_captions_open(&s->list, path, &co, err);
        if (st != VBG_OK || s->list.item[0].w != 2 * s->list.item[0].h)
            return st;
        vbg_captions_free(&s->list);
        s->panoramas = true;
    }
    return vbg_panos_open(&s->panos, path, &po, err);
}

void vbg_samples_close(vbg_samples *s)
{
    if (s->loaded != SIZE_MAX)
        vbg_pano_views_free(&s->views);
    vbg_truth_free(&s->truth);
    vbg_captions_free(&s->list);
    vbg_panos_free(&s->panos);
}

/* ---- numbers: scene, turn, view ---- */

size_t vbg_samples_a_scene(const vbg_samples *s)
{
    return s->panoramas ? VBG_PANO_VIEWS * (size_t)s->opt.starts : 1;
}

size_t vbg_samples_count(const vbg_samples *s)
{
    return (s->panoramas ? s->panos.count : s->list.count) * vbg_samples_a_scene(s);
}

/* Yaw of the first view of sample i's turn. */
static double start_of(const vbg_samples *s, size_t i)
{
    return 45.0 * (double)(i / VBG_PANO_VIEWS % (size_t)s->opt.starts) / s->opt.starts;
}

static double yaw_of(const vbg_samples *s, size_t i)
{
    return start_of(s, i) + 45.0 * (double)(i % VBG_PANO_VIEWS);
}

static const vbg_pano_item *pano_of(const vbg_samples *s, size_t i)
{
    return &s->panos.item[i / vbg_samples_a_scene(s)];
}

const char *vbg_samples_name(const vbg_samples *s, size_t i)
{
    return s->panoramas ? pano_of(s, i)->name : s->list.item[i].picture;
}

const char *vbg_samples_text(const vbg_samples *s, size_t i)
{
    if (!s->panoramas)
        return s->list.item[i].text;
    return pano_of(s, i)->caption[lrint(yaw_of(s, i) / 45) % VBG_PANO_VIEWS];
}

const char *vbg_samples_whole(const vbg_samples *s, size_t i)
{
    const char *whole = s->panoramas ? pano_of(s, i)->whole : NULL;

    return whole ? whole : vbg_samples_text(s, i);
}

/* ---- pictures ---- */

static bool load_panorama(vbg_samples *s, size_t i, int side, vbg_err *err)
{
    const size_t turn = i / VBG_PANO_VIEWS, pano = i / vbg_samples_a_scene(s);
    size_t used = pano;

    if (s->loaded == turn && s->loaded_side == side)
        return true;
    if (s->loaded != SIZE_MAX)
        vbg_pano_views_free(&s->views);
    s->loaded = SIZE_MAX;
    if (vbg_panos_views(&s->panos, pano, side, start_of(s, i), &s->views, &used, err) !=
        VBG_OK)
        return false;
    if (used != pano) { /* another stands in for a broken one */
        vbg_pano_views_free(&s->views);
        return false;
    }
    s->loaded = turn;
    s->loaded_side = side;
    return true;
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
    if (!load_panorama(s, i, side, err) ||
        vbg_picture_new(out, side, side, 3, err) != VBG_OK)
        return false;
    const vbg_picture *v = &s->views.view[i % VBG_PANO_VIEWS];
    for (int y = 0; y < side; y++)
        memcpy(out->data + (size_t)y * out->stride, v->data + (size_t)y * v->stride,
               3 * (size_t)side);
    return true;
}

/* ---- regions and depths ---- */

static const char *file_of(const vbg_samples *s, size_t i)
{
    if (s->panoramas && s->panos.skybox)
        return NULL;
    return s->panoramas ? pano_of(s, i)->face[0] : s->list.item[i].picture;
}

bool vbg_samples_has_truth(const vbg_samples *s, size_t i)
{
    const char *file = file_of(s, i);

    return file && vbg_truth_there(file);
}

bool vbg_samples_truth(vbg_samples *s, size_t i, int side, uint8_t *label, float *depth,
                       vbg_err *err)
{
    const size_t scene = i / vbg_samples_a_scene(s);
    const char *file = file_of(s, i);

    if (!file)
        return false;
    if (s->truth_of != scene) {
        vbg_truth_free(&s->truth);
        s->truth_of = SIZE_MAX;
        if (vbg_truth_load(&s->truth, file, err) != VBG_OK)
            return false;
        s->truth_of = scene;
    }
    if (s->panoramas)
        vbg_truth_view(&s->truth, yaw_of(s, i), side, label, depth);
    else
        vbg_truth_middle(&s->truth, side, label, depth);
    return true;
}
