/* Rooms with their truth; see tools/train/judge_data.h. */
#define _GNU_SOURCE
#include "tools/train/judge_data.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "engine/picture_resize.h"
#include "models/judge.h"
#include "tools/rooms/things.h"
#include "tools/train/pixels.h"
#include "video/panorama.h"

enum { SUB = 3 };

/* ---- listing ---- */

static void free_room(vbg_judge_room *r)
{
    free(r->picture);
    free(r->label);
    *r = (vbg_judge_room){ 0 };
}

static vbg_status read_room(vbg_judge_room *r, const char *path, vbg_err *err)
{
    char *json = vbg_with_suffix(path, ".json");
    vbg_status st = VBG_OK;

    r->picture = strdup(path);
    r->label = vbg_with_suffix(path, ".label.png");
    if (!json || !r->picture || !r->label)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for a list of rooms");
    if (st == VBG_OK)
        st = vbg_facts_read(&r->facts, json, err);
    r->kind = st == VBG_OK ? vr_kind_find(r->facts.kind) : -1;
    if (st == VBG_OK && r->kind < 0)
        st = vbg_fail(err, VBG_EFORMAT, "%s: no kind of scene is called '%s'", json,
                      r->facts.kind);
    free(json);
    return st;
}

/* Takes the room over. */
static vbg_status settle(vbg_judge_data *d, vbg_judge_room *r, vbg_status st,
                         const vbg_err *why, vbg_err *err)
{
    if (st == VBG_OK && d->count == d->room_for) {
        const size_t more = d->room_for ? 2 * d->room_for : 64;
        vbg_judge_room *grown = realloc(d->room, more * sizeof *grown);
        st = grown ? VBG_OK : VBG_ENOMEM;
        d->room = grown ? grown : d->room;
        d->room_for = grown ? more : d->room_for;
    }
    if (st == VBG_OK) {
        d->room[d->count++] = *r;
        d->tally.good++;
        return VBG_OK;
    }
    free_room(r);
    return st == VBG_ENOMEM ? vbg_fail(err, st, "not enough memory for a list of rooms")
                            : vbg_tally_broken(&d->tally, err, "%s", why->text);
}

/* Where each sample of a view's label map lies in a panorama. */
static vbg_status make_rays(vbg_judge_data *d, vbg_err *err)
{
    const int n = d->cells * d->sub;
    const vbg_pinhole camera = { .w = n, .h = n, .fov_x = 3.14159265358979323846 / 2 };

    d->ray = vbg_alloc((size_t)n * (size_t)n * sizeof *d->ray);
    if (!d->ray)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory");
    for (int i = 0; i < n * n; i++) {
        double dir[3], uv[2];
        vbg_pinhole_ray(dir, &camera, i % n, i / n);
        vbg_equirect_position(uv, dir, 4096, 2048);
        d->ray[i][0] = (float)((uv[0] + 0.5) / 4096);
        d->ray[i][1] = (float)((uv[1] + 0.5) / 2048);
    }
    return VBG_OK;
}

vbg_status vbg_judge_data_open(vbg_judge_data *d, const char *dir, int side, bool strict,
                               vbg_err *err)
{
    vbg_paths all = { 0 };

    *d = (vbg_judge_data){ .tally = { .where = dir, .strict = strict },
                           .side = side,
                           .cells = side / VBG_JUDGE_CELL,
                           .sub = SUB };
    vbg_status st = vbg_paths_pictures(&all, dir, err);
    for (size_t i = 0; st == VBG_OK && i < all.count; i++) {
        vbg_judge_room r = { 0 };
        vbg_err why = { "" };
        const vbg_status good = read_room(&r, all.path[i], &why);
        st = settle(d, &r, good, &why, err);
    }
    vbg_paths_free(&all);
    if (st == VBG_OK)
        st = vbg_tally_close(&d->tally, "rooms with facts", err);
    if (st == VBG_OK)
        st = make_rays(d, err);
    if (st != VBG_OK)
        vbg_judge_data_close(d);
    return st;
}

void vbg_judge_data_close(vbg_judge_data *d)
{
    for (size_t i = 0; i < d->count; i++)
        free_room(&d->room[i]);
    free(d->room);
    vbg_free_mem(d->ray);
    *d = (vbg_judge_data){ 0 };
}

void vbg_judge_data_shares(const vbg_judge_data *d, double *share, int labels)
{
    double sum = 0;

    for (int k = 0; k < labels; k++) {
        share[k] = 0;
        for (size_t i = 0; i < d->count; i++)
            share[k] += vbg_facts_share(&d->room[i].facts, vr_thing(k)->one);
        sum += share[k];
    }
    for (int k = 0; k < labels && sum > 0; k++)
        share[k] /= sum;
}

/* ---- truth ---- */

/* The label that most samples of a place show; of equal ones that of the first. */
static uint8_t commonest(const uint8_t *seen, int n)
{
    int best = 0;
    uint8_t label = seen[0];

    for (int i = 0; i < n; i++) {
        int same = 0;
        for (int k = 0; k < n; k++)
            same += seen[k] == seen[i];
        if (same > best) {
            best = same;
            label = seen[i];
        }
    }
    return label;
}

static void cut_labels(const vbg_judge_data *d, const vbg_picture *p, double yaw_deg,
                       bool mirrored, uint8_t *out)
{
    const int n = d->cells * d->sub;
    uint8_t seen[SUB * SUB];

    for (int y = 0; y < d->cells; y++)
        for (int x = 0; x < d->cells; x++) {
            for (int s = 0; s < SUB * SUB; s++) {
                const int at = (y * SUB + s / SUB) * n + x * SUB + s % SUB;
                const double turn = (double)d->ray[at][0] + yaw_deg / 360;
                const int u = vbg_min_int((int)((turn - floor(turn)) * p->w), p->w - 1);
                const int v = vbg_min_int((int)((double)d->ray[at][1] * p->h), p->h - 1);
                seen[s] = p->data[(size_t)v * p->stride + (size_t)u];
            }
            out[y * d->cells + (mirrored ? d->cells - 1 - x : x)] =
                commonest(seen, SUB * SUB);
        }
}

/* ---- changes ---- */

/* Shrunk and enlarged again: as soft as decoded latents. */
static vbg_status soften(vbg_picture *p, int side, vbg_err *err)
{
    vbg_picture small = { 0 };
    vbg_status st = vbg_picture_new(&small, side, side, 3, err);

    if (st == VBG_OK)
        st = vbg_picture_resample(&small, p, VBG_FILTER_BILINEAR, err);
    if (st == VBG_OK)
        st = vbg_picture_resample(p, &small, VBG_FILTER_BICUBIC, err);
    vbg_picture_free(&small);
    return st;
}

static vbg_status squeeze_jpeg(vbg_picture *p, int quality, vbg_err *err)
{
    unsigned char *bytes = NULL;
    size_t n = 0;
    vbg_picture back = { 0 };
    vbg_status st = vbg_jpeg_encode(&bytes, &n, p, NULL, quality, err);

    if (st == VBG_OK)
        st = vbg_picture_load_memory(&back, NULL, bytes, n, "a view", 3, err);
    free(bytes);
    if (st == VBG_OK) {
        vbg_picture_free(p);
        *p = back;
    }
    return st;
}

/* A view's tone and grain, mirrored or not, into floats. */
static vbg_status finish(const vbg_picture *p, bool mirrored, vbg_dice *dice, float *out,
                         vbg_err *err)
{
    const double m[6] = { mirrored ? -1 : 1, 0, mirrored ? p->w - 1 : 0, 0, 1, 0 };
    vbg_levels l;
    vbg_status st = vbg_levels_new(&l, p->w, p->h, 3, err);

    if (st != VBG_OK)
        return st;
    const double bright = vbg_dice_range(dice, 0.85, 1.15);
    vbg_tone tone = { .offset = vbg_dice_range(dice, -8, 8),
                      .gamma = exp(vbg_dice_range(dice, -0.25, 0.25)),
                      .saturation = vbg_dice_range(dice, 0.75, 1.2) };
    for (int k = 0; k < 3; k++)
        tone.gain[k] = bright * vbg_dice_range(dice, 0.95, 1.05);
    vbg_warp(&l, p, m, false);
    vbg_apply_tone(&l, &tone);
    if (vbg_dice_chance(dice, 0.3))
        vbg_add_grain(&l, vbg_dice_range(dice, 0.5, 6), dice);
    for (size_t i = 0; i < (size_t)(3 * p->w * p->h); i++)
        out[i] = fminf(fmaxf(l.v[i], 0), 255) / 127.5f - 1;
    vbg_levels_free(&l);
    return VBG_OK;
}

/* ---- views ---- */

static vbg_status take(const vbg_judge_data *d, const vbg_judge_room *r, int count,
                       vbg_dice *dice, const vbg_judge_batch *out, vbg_err *err)
{
    const size_t floats = 3 * (size_t)d->side * (size_t)d->side;
    const size_t places = (size_t)d->cells * (size_t)d->cells;
    const vbg_look look = { d->side, count, vbg_dice_range(dice, 0, 360) };
    vbg_picture pano = { 0 }, label = { 0 }, view[VBG_ROOM_VIEWS] = { { 0 } };
    int made = 0;
    vbg_status st = vbg_picture_load(&pano, NULL, r->picture, 3, err);

    if (st == VBG_OK)
        st = vbg_picture_load(&label, NULL, r->label, 1, err);
    if (st == VBG_OK && pano.w == pano.h)
        st = vbg_fail(err, VBG_EFORMAT, "%s: is no panorama", r->picture);
    if (st == VBG_OK)
        st = vbg_room_views(view, &made, &pano, look, r->picture, err);
    for (int i = 0; st == VBG_OK && i < count; i++) {
        const bool mirrored = vbg_dice_chance(dice, 0.5);
        uint8_t *map = out->label + (size_t)i * places;
        cut_labels(d, &label, look.start_deg + 360.0 / count * i, mirrored, map);
        for (size_t k = 0; k < places; k++)
            if (map[k] >= THINGS)
                map[k] = T_NOTHING; /* of a newer renderer */
        out->kind[i] = (uint8_t)r->kind;
        if (vbg_dice_chance(dice, 0.5))
            st = soften(&view[i], d->side * (2 + vbg_dice_int(dice, 6)) / 8, err);
        if (st == VBG_OK && vbg_dice_chance(dice, 0.25))
            st = squeeze_jpeg(&view[i], 40 + vbg_dice_int(dice, 56), err);
        if (st == VBG_OK)
            st = finish(&view[i], mirrored, dice, out->x + (size_t)i * floats, err);
    }
    vbg_room_views_free(view);
    vbg_picture_free(&label);
    vbg_picture_free(&pano);
    return st;
}

vbg_status vbg_judge_data_views(vbg_judge_data *d, size_t i, int count, vbg_dice *dice,
                                const vbg_judge_batch *out, vbg_err *err)
{
    const vbg_dice start = *dice;

    for (size_t k = 0; k < d->count; k++) {
        vbg_judge_room *r = &d->room[(i + k) % d->count];
        vbg_err why = { "" };

        if (__atomic_load_n(&r->broken, __ATOMIC_RELAXED))
            continue;
        *dice = start;
        vbg_status st = take(d, r, count, dice, out, &why);
        if (st == VBG_OK)
            return VBG_OK;
        if (st == VBG_ENOMEM)
            return vbg_fail(err, st, "%s", why.text);
        if (!__atomic_exchange_n(&r->broken, true, __ATOMIC_RELAXED)) {
            st = vbg_tally_broken(&d->tally, err, "%s", why.text);
            if (st != VBG_OK)
                return st;
        }
    }
    return vbg_fail(err, VBG_EFORMAT, "%s: no room can be read", d->tally.where);
}
