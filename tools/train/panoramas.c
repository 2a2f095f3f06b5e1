/* Panoramas with captions; see tools/train/panoramas.h. */
#define _GNU_SOURCE
#include "tools/train/panoramas.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/io.h"
#include "engine/picture_io.h"
#include "engine/picture_resize.h"
#include "tools/options.h"
#include "tools/train/captions.h"
#include "tools/train/npy.h"
#include "video/compat.h"
#include "video/viewport.h"

static const char VIEW_PREFIX[] = "This is one view of a scene. ";
static const double DEGREE = 3.14159265358979323846 / 180;

/* ---- listing ---- */

static void free_item(vbg_pano_item *item)
{
    free(item->name);
    for (int i = 0; i < 6; i++)
        free(item->face[i]);
    for (int i = 0; i < VBG_PANO_VIEWS; i++)
        free(item->caption[i]);
    free(item->whole);
    *item = (vbg_pano_item){ 0 };
}

static vbg_status no_memory(const vbg_panos *p, vbg_err *err)
{
    return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", p->tally.where);
}

/* Takes the item over: whole (st VBG_OK) into the list, broken with its reason to the
 * tally. */
static vbg_status settle(vbg_panos *p, vbg_pano_item *item, vbg_status st,
                         const vbg_err *why, vbg_err *err)
{
    if (st == VBG_OK && p->count == p->room) {
        const size_t room = p->room ? 2 * p->room : 64;
        vbg_pano_item *grown = realloc(p->item, room * sizeof *grown);
        st = grown ? VBG_OK : VBG_ENOMEM;
        p->item = grown ? grown : p->item;
        p->room = grown ? room : p->room;
    }
    if (st == VBG_OK) {
        p->item[p->count++] = *item;
        p->tally.good++;
        return VBG_OK;
    }
    free_item(item);
    return st == VBG_ENOMEM ? no_memory(p, err)
                            : vbg_tally_broken(&p->tally, err, "%s", why->text);
}

/* Line i of text as a caption. */
static vbg_status line_caption(char **out, const char *text, size_t bytes, int i,
                               const char *name, vbg_err *err)
{
    const char *end = text + bytes;

    for (; i > 0 && text < end; i--) {
        const char *next = memchr(text, '\n', (size_t)(end - text));
        text = next ? next + 1 : end;
    }
    const char *stop = memchr(text, '\n', (size_t)(end - text));
    return vbg_caption_clean(out, text, (size_t)((stop ? stop : end) - text), name, err);
}

/* Lines of text, blank ones at the end left out. */
static int count_lines(const char *text, size_t bytes)
{
    int lines = 0, last = 0;
    bool blank = true;

    for (size_t i = 0; i <= bytes; i++) {
        if (i < bytes && text[i] != '\n') {
            blank = blank && (unsigned char)text[i] <= ' ';
            continue;
        }
        lines++;
        last = blank ? last : lines;
        blank = true;
    }
    return last;
}

/* x.txt: one line for all views, or the whole and 8 lines. */
static vbg_status read_views(vbg_pano_item *item, const char *path, vbg_err *err)
{
    vbg_map m;
    vbg_status st = VBG_OK;

    if (access(path, F_OK) != 0)
        return vbg_fail(err, VBG_EIO, "%s: the captions are missing", path);
    st = vbg_map_open(&m, path, 1 << 20, err);
    if (st != VBG_OK)
        return st;
    const char *text = m.bytes ? (const char *)m.data : "";
    const int lines = count_lines(text, m.bytes);
    if (lines > 1 && lines != 1 + VBG_PANO_VIEWS)
        st = vbg_fail(err, VBG_EFORMAT,
                      "%s: %d lines (1 for the whole, or 9 with those of the views)",
                      path, lines);
    for (int i = 0; st == VBG_OK && i < VBG_PANO_VIEWS; i++)
        st = line_caption(&item->caption[i], text, m.bytes, lines > 1 ? 1 + i : 0, path,
                          err);
    if (st == VBG_OK && lines > 1)
        st = line_caption(&item->whole, text, m.bytes, 0, path, err);
    vbg_map_close(&m);
    return st;
}

/* Size of a picture by its header; side: must be square, else twice as wide as high. */
static vbg_status check_shape(const char *path, bool square, vbg_err *err)
{
    vbg_picture_info info = { 0 };
    int w, h;
    vbg_status st = vbg_picture_read_info(&info, &w, &h, path, err);

    if (st != VBG_OK)
        return st;
    vbg_picture_info_free(&info);
    if (square && w != h)
        return vbg_fail(err, VBG_EFORMAT, "%s: a face of %dx%d is not square", path, w,
                        h);
    if (!square && abs(w - 2 * h) > w / 50)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: %dx%d is no equirectangular panorama (twice as wide as "
                        "high)",
                        path, w, h);
    return VBG_OK;
}

static vbg_status list_equirect(vbg_panos *p, const char *dir, vbg_err *err)
{
    vbg_paths all = { 0 };
    vbg_status st = vbg_paths_pictures(&all, dir, err);

    for (size_t i = 0; st == VBG_OK && i < all.count; i++) {
        vbg_pano_item item = { .name = strdup(all.path[i]),
                               .face = { strdup(all.path[i]) } };
        char *captions = vbg_with_suffix(all.path[i], ".txt");
        vbg_err why = { "" };
        vbg_status good = item.name && item.face[0] && captions ? VBG_OK : VBG_ENOMEM;
        if (good == VBG_OK)
            good = check_shape(item.face[0], false, &why);
        if (good == VBG_OK)
            good = read_views(&item, captions, &why);
        free(captions);
        st = settle(p, &item, good, &why, err);
    }
    vbg_paths_free(&all);
    return st;
}

/* First line of <scene>/blip3/<pano>_<degrees>.txt behind the fixed words. */
static vbg_status read_blip(char **out, const char *path, vbg_err *err)
{
    char *line = NULL;
    vbg_map m;

    if (access(path, F_OK) != 0)
        return vbg_fail(err, VBG_EIO, "%s: the caption is missing", path);
    vbg_status st = vbg_map_open(&m, path, 1 << 20, err);
    if (st != VBG_OK)
        return st;
    st = line_caption(&line, m.bytes ? (const char *)m.data : "", m.bytes, 0, path, err);
    vbg_map_close(&m);
    if (st == VBG_OK && asprintf(out, "%s%s", VIEW_PREFIX, line) < 0) {
        *out = NULL;
        st = VBG_ENOMEM;
    }
    free(line);
    return st;
}

/* Faces and captions of one row of train.npy. */
static vbg_status read_skybox(vbg_pano_item *item, const char *dir, char *const face[6],
                              vbg_err *err)
{
    const char *slash = strchr(face[0], '/'), *name = strrchr(face[0], '/');
    const char *pano = name ? strstr(name, "_skybox") : NULL;
    char path[4096];

    if (!slash || !pano)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: not SCENE/matterport_skybox_images/PANO_skybox0_...",
                        face[0]);
    for (int i = 0; i < 6; i++) {
        if (asprintf(&item->face[i], "%s/%s", dir, face[i]) < 0) {
            item->face[i] = NULL;
            return VBG_ENOMEM;
        }
        vbg_status st = check_shape(item->face[i], true, err);
        if (st != VBG_OK)
            return st;
    }
    for (int i = 0; i < VBG_PANO_VIEWS; i++) {
        snprintf(path, sizeof path, "%s/%.*s/blip3/%.*s_%d.txt", dir,
                 (int)(slash - face[0]), face[0], (int)(pano - name - 1), name + 1,
                 45 * i);
        vbg_status st = read_blip(&item->caption[i], path, err);
        if (st != VBG_OK)
            return st;
    }
    item->name = strdup(face[0]);
    return item->name ? VBG_OK : VBG_ENOMEM;
}

static vbg_status list_skyboxes(vbg_panos *p, const char *dir, const char *list,
                                vbg_err *err)
{
    vbg_npy_strings s;
    vbg_status st = vbg_npy_strings_read(&s, list, err);

    if (st != VBG_OK)
        return st;
    if (s.cols != 6)
        st = vbg_fail(err, VBG_EFORMAT, "%s: %zu columns, not the 6 faces", list, s.cols);
    for (size_t i = 0; st == VBG_OK && i < s.rows; i++) {
        vbg_pano_item item = { 0 };
        vbg_err why = { "" };
        const vbg_status good = read_skybox(&item, dir, s.text + 6 * i, &why);
        st = settle(p, &item, good, &why, err);
    }
    vbg_npy_strings_free(&s);
    return st;
}

vbg_status vbg_panos_open(vbg_panos *out, const char *dir, const vbg_panos_opt *opt,
                          vbg_err *err)
{
    vbg_panos p = { .tally = { .where = dir, .strict = opt->strict } };
    char list[4096];

    *out = (vbg_panos){ 0 };
    snprintf(list, sizeof list, "%s/%s.npy", dir, opt->test ? "test" : "train");
    p.skybox = access(list, F_OK) == 0;
    vbg_status st =
        p.skybox ? list_skyboxes(&p, dir, list, err) : list_equirect(&p, dir, err);
    if (st == VBG_OK)
        st = vbg_tally_close(&p.tally, "captioned panoramas", err);
    if (st == VBG_OK)
        *out = p;
    else
        vbg_panos_free(&p);
    return st;
}

void vbg_panos_free(vbg_panos *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        free_item(&p->item[i]);
    free(p->item);
    *p = (vbg_panos){ 0 };
}

/* ---- views ---- */

/* p scaled to w x h in place. */
static vbg_status rescale(vbg_picture *p, int w, int h, vbg_err *err)
{
    vbg_picture small;
    vbg_status st = vbg_picture_new(&small, w, h, 3, err);

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

static vbg_status view_equirect(const vbg_pano_item *item, int size, double start_deg,
                                vbg_pano_views *out, vbg_err *err)
{
    vbg_picture pano;
    vbg_viewport *port = NULL;
    vbg_ctx *c = NULL;
    vbg_status st = vbg_picture_load(&pano, NULL, item->face[0], 3, err);

    if (st != VBG_OK)
        return st;
    /* a pixel of the panorama is then about one in the middle of the views */
    if (pano.w >= 8 * size)
        st = rescale(&pano, 4 * size, 2 * size, err);
    if (st == VBG_OK)
        st = vbg_viewport_new(&port, &pano, err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&c, &(vbg_ctx_opt){ .threads = 1, .isa = VBG_ISA_BEST }, err);
    for (int i = 0; st == VBG_OK && i < VBG_PANO_VIEWS; i++) {
        const vbg_pinhole camera = { .fov_x = 90 * DEGREE,
                                     .yaw = (start_deg + 45 * i) * DEGREE };
        st = vbg_picture_new(&out->view[i], size, size, 3, err);
        if (st == VBG_OK)
            vbg_viewport_render(port, c, &out->view[i], &camera);
    }
    vbg_ctx_free(c);
    vbg_viewport_free(port);
    vbg_picture_free(&pano);
    return st;
}

static vbg_status load_faces(vbg_picture face[6], const vbg_pano_item *item, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (int i = 0; st == VBG_OK && i < 6; i++) {
        st = vbg_picture_load(&face[i], NULL, item->face[i], 3, err);
        if (st == VBG_OK && (face[i].w != face[0].w || face[i].h != face[0].h))
            st = vbg_fail(err, VBG_EFORMAT, "%s: %dx%d beside faces of %dx%d",
                          item->face[i], face[i].w, face[i].h, face[0].w, face[0].h);
    }
    return st;
}

static vbg_status view_skybox(const vbg_pano_item *item, int size, double start_deg,
                              vbg_pano_views *out, vbg_err *err)
{
    vbg_picture face[6] = { { 0 } };
    vbg_status st = load_faces(face, item, err);

    for (int i = 0; st == VBG_OK && i < VBG_PANO_VIEWS; i++) {
        st = vbg_picture_new(&out->view[i], face[0].w, face[0].h, 3, err);
        if (st != VBG_OK)
            break;
        vbg_compat_skybox(&out->view[i], face, fmod(start_deg + 45 * i, 360));
        if (face[0].w != size)
            st = rescale(&out->view[i], size, size, err);
    }
    for (int i = 0; i < 6; i++)
        vbg_picture_free(&face[i]);
    return st;
}

static vbg_status load_views(const vbg_panos *p, const vbg_pano_item *item, int size,
                             double start_deg, vbg_pano_views *out, vbg_err *err)
{
    *out = (vbg_pano_views){ 0 };
    vbg_status st = p->skybox ? view_skybox(item, size, start_deg, out, err)
                              : view_equirect(item, size, start_deg, out, err);
    if (st != VBG_OK)
        vbg_pano_views_free(out);
    for (int i = 0; i < VBG_PANO_VIEWS; i++) {
        const long k = lrint((start_deg + 45 * i) / 45) % VBG_PANO_VIEWS;
        out->caption[i] = item->caption[k < 0 ? k + VBG_PANO_VIEWS : k];
    }
    return st;
}

vbg_status vbg_panos_views(vbg_panos *p, size_t i, int size, double start_deg,
                           vbg_pano_views *out, size_t *used, vbg_err *err)
{
    for (size_t k = 0; k < p->count; k++) {
        vbg_pano_item *item = &p->item[(i + k) % p->count];
        vbg_err why = { "" };

        if (__atomic_load_n(&item->broken, __ATOMIC_RELAXED))
            continue;
        vbg_status st = load_views(p, item, size, start_deg, out, &why);
        if (st == VBG_OK) {
            if (used)
                *used = (i + k) % p->count;
            return VBG_OK;
        }
        if (st == VBG_ENOMEM)
            return vbg_fail(err, st, "%s", why.text);
        if (!__atomic_exchange_n(&item->broken, true, __ATOMIC_RELAXED)) {
            st = vbg_tally_broken(&p->tally, err, "%s", why.text);
            if (st != VBG_OK)
                return st;
        }
    }
    return vbg_fail(err, VBG_EFORMAT, "%s: no panorama can be read", p->tally.where);
}

void vbg_pano_views_free(vbg_pano_views *v)
{
    if (!v)
        return;
    for (int i = 0; i < VBG_PANO_VIEWS; i++)
        vbg_picture_free(&v->view[i]);
}
