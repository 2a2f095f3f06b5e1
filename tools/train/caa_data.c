/* Latents of panoramas; see tools/train/caa_data.h.
 *
 * A kept file: "VBGM", version, side of the latents, channels (4 bytes each), the f16
 * moments in native order, XXH3 of them. */
#define _GNU_SOURCE
#include "tools/train/caa_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "engine/io.h"
#include "kernels/gemm.h"
#include "tools/train/lock.h"

enum { VERSION = 1, HEAD = 16 };

static int latent_side(const vbg_pano_latents *l)
{
    return l->side / vbg_vae_down(&l->vae->cfg);
}

size_t vbg_pano_pixels(const vbg_pano_latents *l)
{
    return (size_t)latent_side(l) * (size_t)latent_side(l);
}

size_t vbg_pano_moments(const vbg_pano_latents *l)
{
    return VBG_PANO_VIEWS * vbg_pano_pixels(l) * 2 * (size_t)l->vae->cfg.latent;
}

vbg_status vbg_pano_latents_open(vbg_pano_latents *l, const char *data,
                                 const char *folder, bool strict, double held_out,
                                 vbg_err *err)
{
    const vbg_panos_opt opt = { .strict = strict };
    vbg_status st = vbg_panos_open(&l->panos, data, &opt, err);

    if (st != VBG_OK)
        return st;
    size_t held = (size_t)(held_out * (double)l->panos.count + 0.5);
    if (held >= l->panos.count)
        return vbg_fail(err, VBG_EUSAGE, "%s: %zu panoramas, all of them held out", data,
                        l->panos.count);
    l->count = l->panos.count - held;
    l->folder = strdup(folder);
    if (!l->folder)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory");
    return l->turns ? vbg_make_folder(folder, err) : VBG_OK;
}

void vbg_pano_latents_close(vbg_pano_latents *l)
{
    vbg_panos_free(&l->panos);
    free(l->folder);
    l->folder = NULL;
}

vbg_status vbg_pano_sample_new(vbg_pano_sample *s, const vbg_pano_latents *l,
                               vbg_err *err)
{
    *s = (vbg_pano_sample){ .path = "" };
    s->moments = vbg_alloc(vbg_pano_moments(l) * sizeof *s->moments);
    s->pixels = vbg_alloc((size_t)VBG_PANO_VIEWS * 3 * (size_t)l->side * (size_t)l->side *
                          sizeof *s->pixels);
    return s->moments && s->pixels
               ? VBG_OK
               : vbg_fail(err, VBG_ENOMEM, "not enough memory for panoramas");
}

void vbg_pano_sample_free(vbg_pano_sample *s)
{
    vbg_free_mem(s->moments);
    vbg_free_mem(s->pixels);
    *s = (vbg_pano_sample){ .path = "" };
}

/* ---- kept moments ---- */

/* Everything that the moments follow from: pictures (by name, size and time), turn,
 * side, VAE. */
static void name_file(const vbg_pano_latents *l, vbg_pano_sample *s)
{
    const vbg_pano_item *item = &l->panos.item[s->item];
    uint64_t hash = l->salt ^ (uint64_t)s->start << 32 ^ (uint64_t)l->side;
    struct stat info;

    s->path[0] = 0;
    if (!l->turns)
        return;
    for (int i = 0; i < 6 && item->face[i]; i++) {
        uint64_t about[2] = { 0, 0 };
        if (stat(item->face[i], &info) == 0) {
            about[0] = (uint64_t)info.st_size;
            about[1] = (uint64_t)info.st_mtime;
        }
        hash = XXH3_64bits_withSeed(item->face[i], strlen(item->face[i]), hash);
        hash = XXH3_64bits_withSeed(about, sizeof about, hash);
    }
    snprintf(s->path, sizeof s->path, "%s/%016llx.moments", l->folder,
             (unsigned long long)hash);
}

static void fill_head(const vbg_pano_latents *l, unsigned char head[HEAD])
{
    const uint32_t v[3] = { VERSION, (uint32_t)latent_side(l),
                            (uint32_t)l->vae->cfg.latent };

    memcpy(head, "VBGM", 4);
    memcpy(head + 4, v, sizeof v);
}

/* False when there is no such file or it is not what it should be. */
static bool read_kept(const vbg_pano_latents *l, vbg_pano_sample *s)
{
    const size_t count = vbg_pano_moments(l), bytes = count * sizeof(uint16_t);
    unsigned char head[HEAD];
    vbg_map map = { 0 };
    uint64_t sum;

    if (!s->path[0] || vbg_map_open(&map, s->path, HEAD + bytes + 8, NULL) != VBG_OK)
        return false;
    fill_head(l, head);
    bool ok = map.bytes == HEAD + bytes + 8 && memcmp(map.data, head, HEAD) == 0;
    if (ok) {
        memcpy(&sum, map.data + HEAD + bytes, 8);
        ok = XXH3_64bits(map.data + HEAD, bytes) == sum;
    }
    for (size_t i = 0; ok && i < count; i++) {
        uint16_t bits;
        memcpy(&bits, map.data + HEAD + i * sizeof bits, sizeof bits);
        s->moments[i] = vbg_f16_to_f32(bits);
    }
    vbg_map_close(&map);
    return ok;
}

/* Rounds the moments and keeps them. */
static vbg_status keep(const vbg_pano_latents *l, vbg_pano_sample *s, vbg_err *err)
{
    const size_t count = vbg_pano_moments(l), bytes = count * sizeof(uint16_t);
    uint16_t *half = vbg_alloc(bytes);
    unsigned char head[HEAD];
    vbg_file *f = NULL;
    vbg_status st = VBG_OK;

    if (!half)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for latents");
    for (size_t i = 0; i < count; i++) {
        half[i] = vbg_f32_to_f16(s->moments[i]);
        s->moments[i] = vbg_f16_to_f32(half[i]);
    }
    if (s->path[0]) {
        const uint64_t sum = XXH3_64bits(half, bytes);
        fill_head(l, head);
        st = vbg_file_create(&f, s->path, err);
        if (st == VBG_OK)
            st = vbg_file_write(f, head, HEAD, err);
        if (st == VBG_OK)
            st = vbg_file_write(f, half, bytes, err);
        if (st == VBG_OK)
            st = vbg_file_write(f, &sum, sizeof sum, err);
        if (st == VBG_OK)
            st = vbg_file_commit(f, err);
        else
            vbg_file_abort(f);
    }
    vbg_free_mem(half);
    return st;
}

/* ---- samples ---- */

/* Captions of the views from s->first on, as vbg_panos_views deals them out. */
static void set_captions(const vbg_pano_latents *l, vbg_pano_sample *s)
{
    const vbg_pano_item *item = &l->panos.item[s->item];
    int nearest = s->start / 45, rest = s->start % 45;

    s->whole = item->whole;
    if (rest > 22)
        nearest++;
    for (int k = 0; k < VBG_PANO_VIEWS; k++)
        s->caption[k] = item->caption[(nearest + s->first + k) % VBG_PANO_VIEWS];
}

static void to_floats(float *to, const vbg_picture *p)
{
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w * 3; x++)
            *to++ = (float)p->data[(size_t)y * p->stride + (size_t)x] / 127.5f - 1;
}

static vbg_status render(vbg_pano_latents *l, vbg_pano_sample *s, vbg_err *err)
{
    const size_t each = 3 * (size_t)l->side * (size_t)l->side;
    vbg_pano_views v = { 0 };
    size_t used = s->item;

    vbg_status st =
        vbg_panos_views(&l->panos, s->item, l->side, s->start, &v, &used, err);
    if (st != VBG_OK)
        return st;
    if (used != s->item) { /* broken: another in its place, perhaps kept already */
        s->item = used;
        name_file(l, s);
        s->ready = read_kept(l, s);
    }
    for (size_t k = 0; k < VBG_PANO_VIEWS && !s->ready; k++)
        to_floats(s->pixels + k * each, &v.view[k]);
    vbg_pano_views_free(&v);
    return VBG_OK;
}

static vbg_status fetch(vbg_pano_latents *l, vbg_pano_sample *s, vbg_err *err)
{
    name_file(l, s);
    s->ready = read_kept(l, s);
    vbg_status st = s->ready ? VBG_OK : render(l, s, err);
    set_captions(l, s);
    return st;
}

vbg_status vbg_pano_sample_load(vbg_pano_latents *l, vbg_pano_sample *s, uint64_t number,
                                vbg_err *err)
{
    uint32_t *order = malloc(l->count * sizeof *order);

    if (!order)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the order of panoramas");
    s->epoch = (uint32_t)(number / l->count);
    s->place = (uint32_t)(number % l->count);
    vbg_epoch_order(order, l->count, l->seed, s->epoch, true);
    s->item = order[s->place];
    free(order);
    vbg_dice d = vbg_dice_for(l->seed, s->epoch, s->place, 1);
    s->first = 0;
    if (l->turns) {
        s->start = 45 * vbg_dice_int(&d, l->turns) / l->turns;
        s->first = vbg_dice_int(&d, VBG_PANO_VIEWS);
    } else {
        s->start = vbg_dice_int(&d, 360);
    }
    return fetch(l, s, err);
}

vbg_status vbg_pano_sample_held_out(vbg_pano_latents *l, vbg_pano_sample *s, size_t i,
                                    vbg_err *err)
{
    s->epoch = 0xFFFFFFFFu; /* chance of its own */
    s->place = (uint32_t)i;
    s->item = l->count + i % (l->panos.count - l->count);
    s->start = s->first = 0;
    return fetch(l, s, err);
}

/* ---- the VAE ---- */

typedef struct encode_job {
    const vbg_pano_latents *l;
    vbg_pano_sample *s;
} encode_job;

static vbg_status encode(vbg_ctx *c, void *arg, vbg_err *err)
{
    const encode_job *j = arg;
    const vbg_pano_latents *l = j->l;
    const size_t px = vbg_pano_pixels(l), lat = (size_t)l->vae->cfg.latent;
    const size_t each = 3 * (size_t)l->side * (size_t)l->side;

    (void)err;
    for (size_t k = 0; k < VBG_PANO_VIEWS; k++) { /* one by one: little memory */
        vbg_scope_open(c);
        const float *from = vbg_planning(c) ? NULL : j->s->pixels + k * each;
        vbg_tensor *x = vbg_wrap(c, from, VBG_F32, 1, l->side, l->side, 3);
        vbg_tensor *m = vbg_vae_encode(c, l->vae, x, NULL);
        if (!vbg_planning(c)) {
            float *mean = j->s->moments + k * px * 2 * lat;
            vbg_vae_moments(l->vae, m->data, px, mean, NULL, mean + px * lat);
        }
        vbg_scope_close(c, NULL);
    }
    return VBG_OK;
}

vbg_status vbg_pano_sample_encode(const vbg_pano_latents *l, vbg_pano_sample *s,
                                  vbg_ctx *c, vbg_err *err)
{
    encode_job j = { l, s };

    if (s->ready)
        return VBG_OK;
    vbg_status st = vbg_run(c, encode, &j, err);
    if (st == VBG_OK)
        st = keep(l, s, err);
    s->ready = st == VBG_OK;
    return st;
}

vbg_status vbg_pano_encode_plan(const vbg_pano_latents *l, vbg_ctx *c, size_t *bytes,
                                vbg_err *err)
{
    encode_job j = { .l = l };

    return vbg_plan(c, encode, &j, bytes, err);
}

void vbg_pano_draw(const vbg_pano_latents *l, const vbg_pano_sample *s, int k,
                   vbg_dice *dice, float *z)
{
    const size_t count = vbg_pano_pixels(l) * (size_t)l->vae->cfg.latent;
    const size_t view = (size_t)((k + s->first) % VBG_PANO_VIEWS);
    const float *mean = s->moments + view * 2 * count, *std = mean + count;
    const double scale = l->vae->cfg.scaling;

    for (size_t i = 0; i < count; i++)
        z[i] =
            (float)(scale * ((double)mean[i] + (double)std[i] * vbg_dice_normal(dice)));
}
