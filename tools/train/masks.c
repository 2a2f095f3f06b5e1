/* Pictures with masks; see tools/train/masks.h. */
#define _GNU_SOURCE
#include "tools/train/masks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/picture_io.h"
#include "tools/options.h"
#include "tools/train/csv_table.h"

enum { MAX_FIELD = 4096 };

/* ---- listing ---- */

static vbg_status no_memory(const vbg_masks *m, vbg_err *err)
{
    return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", m->tally.where);
}

/* Takes picture and mask over. */
static vbg_status append(vbg_masks *m, char *picture, char *mask, vbg_err *err)
{
    if (m->count == m->room) {
        const size_t room = m->room ? 2 * m->room : 64;
        vbg_masked *grown = realloc(m->item, room * sizeof *grown);
        if (!grown) {
            free(picture);
            free(mask);
            return no_memory(m, err);
        }
        m->item = grown;
        m->room = room;
    }
    m->item[m->count++] = (vbg_masked){ .picture = picture, .mask = mask };
    m->tally.good++;
    return VBG_OK;
}

/* What the headers say against a pair; false with the reason. */
static bool pair_fits(const char *picture, const char *mask, bool matte, vbg_err *why)
{
    vbg_picture_info info = { 0 };
    int w, h, mw, mh;
    bool swapped, gray_ok = true;

    if (vbg_picture_read_info(&info, &w, &h, picture, why) != VBG_OK)
        return false;
    vbg_picture_info_free(&info);
    if (vbg_picture_read_info(&info, &mw, &mh, mask, why) != VBG_OK)
        return false;
    if (matte && !info.alpha) { /* colour says nothing; gray is taken as the alpha */
        vbg_picture p = { 0 };
        gray_ok = vbg_picture_load(&p, NULL, mask, 0, why) == VBG_OK && p.channels == 1;
        vbg_picture_free(&p);
    }
    vbg_picture_info_free(&info);
    swapped = w != mw || h != mh;
    if (swapped)
        vbg_fail(why, VBG_EFORMAT, "%s: mask of %dx%d for a picture of %dx%d", mask, mw,
                 mh, w, h);
    else if (!gray_ok)
        vbg_fail(why, VBG_EFORMAT, "%s: the matte has no alpha channel", mask);
    return !swapped && gray_ok;
}

/* Takes picture and mask over (either may be NULL: no memory). */
static vbg_status add_pair(vbg_masks *m, char *picture, char *mask, vbg_err *err)
{
    vbg_err why = { "" };

    if (picture && mask && pair_fits(picture, mask, m->matte, &why))
        return append(m, picture, mask, err);
    const bool memory = !picture || !mask;
    free(picture);
    free(mask);
    return memory ? no_memory(m, err) : vbg_tally_broken(&m->tally, err, "%s", why.text);
}

static vbg_status csv_row(void *arg, size_t row, const char *const *field,
                          const char *why, vbg_err *err)
{
    vbg_masks *m = arg;

    if (field && (!field[0][0] || !field[1][0]))
        why = "an empty path";
    if (why)
        return vbg_tally_broken(&m->tally, err, "%s: row %zu: %s", m->tally.where, row,
                                why);
    return add_pair(m, vbg_beside(m->tally.where, field[0]),
                    vbg_beside(m->tally.where, field[1]), err);
}

static vbg_status list_csv(vbg_masks *m, const char *path, vbg_err *err)
{
    const vbg_csv_opt opt = { .column = { "img_path", "matting_path" },
                              .columns = 2,
                              .max_field = MAX_FIELD };

    m->matte = true;
    return vbg_csv_read(path, &opt, csv_row, m, err);
}

/* Order of file names without folder and suffix. */
static int compare_bases(const char *a, const char *b)
{
    const char *na = strrchr(a, '/'), *nb = strrchr(b, '/');

    na = na ? na + 1 : a;
    nb = nb ? nb + 1 : b;
    const char *ea = strrchr(na, '.'), *eb = strrchr(nb, '.');
    const size_t la = ea ? (size_t)(ea - na) : strlen(na);
    const size_t lb = eb ? (size_t)(eb - nb) : strlen(nb);
    const int c = memcmp(na, nb, la < lb ? la : lb);
    return c ? c : (la > lb) - (la < lb);
}

static int by_base(const void *a, const void *b)
{
    return compare_bases(*(char *const *)a, *(char *const *)b);
}

/* images/ and masks/ below dir. */
static vbg_status list_two_folders(vbg_masks *m, const char *dir, vbg_err *err)
{
    char path[4096];
    vbg_paths pictures = { 0 }, masks = { 0 };

    snprintf(path, sizeof path, "%s/images", dir);
    vbg_status st = vbg_paths_pictures(&pictures, path, err);
    snprintf(path, sizeof path, "%s/masks", dir);
    if (st == VBG_OK)
        st = vbg_paths_pictures(&masks, path, err);
    if (st == VBG_OK && masks.count)
        qsort(masks.path, masks.count, sizeof *masks.path, by_base);
    for (size_t i = 0; st == VBG_OK && i < pictures.count; i++) {
        char **mask = masks.count ? bsearch(&pictures.path[i], masks.path, masks.count,
                                            sizeof *masks.path, by_base)
                                  : NULL;
        if (mask)
            st = add_pair(m, strdup(pictures.path[i]), strdup(*mask), err);
        else
            st = vbg_tally_broken(&m->tally, err, "%s: no mask of that name in %s",
                                  pictures.path[i], path);
    }
    vbg_paths_free(&pictures);
    vbg_paths_free(&masks);
    return st;
}

static bool is_mask(const char *path)
{
    const size_t n = strlen(path), m = sizeof ".mask.png" - 1;
    return n > m && strcasecmp(path + n - m, ".mask.png") == 0;
}

/* x.jpg with x.mask.png beside it. */
static vbg_status list_folder(vbg_masks *m, const char *dir, vbg_err *err)
{
    vbg_paths all = { 0 };
    vbg_status st = vbg_paths_pictures(&all, dir, err);

    for (size_t i = 0; st == VBG_OK && i < all.count; i++) {
        if (is_mask(all.path[i]))
            continue;
        char *mask = vbg_with_suffix(all.path[i], ".mask.png");
        if (mask && access(mask, F_OK) != 0) {
            st = vbg_tally_broken(&m->tally, err, "%s: no mask beside it", all.path[i]);
            free(mask);
            continue;
        }
        st = add_pair(m, strdup(all.path[i]), mask, err);
    }
    vbg_paths_free(&all);
    return st;
}

static bool has_folder(const char *dir, const char *name)
{
    char path[4096];
    struct stat info;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int by_picture(const void *a, const void *b)
{
    return strcmp(((const vbg_masked *)a)->picture, ((const vbg_masked *)b)->picture);
}

/* The same picture twice leaks from the training part into the validation part. */
static void warn_twice(const vbg_masks *m)
{
    vbg_masked *sorted = malloc(m->count * sizeof *sorted);
    size_t twice = 0;

    if (!sorted)
        return;
    memcpy(sorted, m->item, m->count * sizeof *sorted);
    qsort(sorted, m->count, sizeof *sorted, by_picture);
    for (size_t i = 1; i < m->count; i++)
        twice += strcmp(sorted[i - 1].picture, sorted[i].picture) == 0;
    free(sorted);
    if (twice)
        vbg_warning("%s: %zu pictures are listed more than once; they may stand in "
                    "training and validation alike",
                    m->tally.where, twice);
}

vbg_status vbg_masks_open(vbg_masks *out, const char *path, bool strict, vbg_err *err)
{
    vbg_masks m = { .tally = { .where = path, .strict = strict } };
    struct stat info;
    vbg_status st;

    *out = m;
    if (stat(path, &info) != 0)
        return vbg_fail(err, VBG_EIO, "%s: cannot be found", path);
    if (!S_ISDIR(info.st_mode))
        st = list_csv(&m, path, err);
    else if (has_folder(path, "images") && has_folder(path, "masks"))
        st = list_two_folders(&m, path, err);
    else
        st = list_folder(&m, path, err);
    if (st == VBG_OK)
        st = vbg_tally_close(&m.tally, "pairs of picture and mask", err);
    if (st == VBG_OK) {
        warn_twice(&m);
        *out = m;
    } else {
        vbg_masks_free(&m);
    }
    return st;
}

void vbg_masks_free(vbg_masks *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++) {
        free(m->item[i].picture);
        free(m->item[i].mask);
    }
    free(m->item);
    *m = (vbg_masks){ 0 };
}

/* ---- loading ---- */

/* The last channel of p alone, in place of p. */
static vbg_status keep_alpha(vbg_picture *p, vbg_err *err)
{
    vbg_picture a;
    const int last = p->channels - 1;
    const vbg_status st = vbg_picture_new(&a, p->w, p->h, 1, err);

    if (st != VBG_OK)
        return st;
    for (int y = 0; y < p->h; y++) {
        const uint8_t *from = p->data + (size_t)y * p->stride;
        uint8_t *to = a.data + (size_t)y * a.stride;
        for (int x = 0; x < p->w; x++)
            to[x] = from[x * p->channels + last];
    }
    vbg_picture_free(p);
    *p = a;
    return VBG_OK;
}

/* Largest value of a one-channel picture. */
static uint8_t largest(const vbg_picture *p)
{
    uint8_t top = 0;

    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++) {
            const uint8_t v = p->data[(size_t)y * p->stride + (size_t)x];
            top = v > top ? v : top;
        }
    return top;
}

/* Everything above zero becomes 255. */
static void harden(vbg_picture *p)
{
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++) {
            uint8_t *v = p->data + (size_t)y * p->stride + (size_t)x;
            *v = *v ? 255 : 0;
        }
}

static vbg_status load_mask(vbg_picture *mask, const char *path, bool matte, vbg_err *err)
{
    vbg_status st = vbg_picture_load(mask, NULL, path, 0, err);

    if (st == VBG_OK && mask->channels == 3) {
        vbg_picture_free(mask);
        if (matte)
            return vbg_fail(err, VBG_EFORMAT, "%s: the matte has no alpha channel", path);
        st = vbg_picture_load(mask, NULL, path, 1, err);
    }
    if (st == VBG_OK && mask->channels == 4)
        st = keep_alpha(mask, err);
    if (st == VBG_OK && (matte || largest(mask) == 1))
        harden(mask);
    return st;
}

static vbg_status load_pair(const vbg_masks *m, const vbg_masked *pair,
                            vbg_picture *picture, vbg_picture *mask, vbg_err *err)
{
    *mask = (vbg_picture){ 0 };
    vbg_status st = vbg_picture_load(picture, NULL, pair->picture, 3, err);

    if (st == VBG_OK)
        st = load_mask(mask, pair->mask, m->matte, err);
    if (st == VBG_OK && (picture->w != mask->w || picture->h != mask->h))
        st = vbg_fail(err, VBG_EFORMAT, "%s: mask of %dx%d for a picture of %dx%d",
                      pair->mask, mask->w, mask->h, picture->w, picture->h);
    if (st != VBG_OK) {
        vbg_picture_free(picture);
        vbg_picture_free(mask);
    }
    return st;
}

vbg_status vbg_masks_load(vbg_masks *m, size_t i, vbg_picture *picture, vbg_picture *mask,
                          size_t *used, vbg_err *err)
{
    for (size_t k = 0; k < m->count; k++) {
        vbg_masked *pair = &m->item[(i + k) % m->count];
        vbg_err why = { "" };

        if (__atomic_load_n(&pair->broken, __ATOMIC_RELAXED))
            continue;
        vbg_status st = load_pair(m, pair, picture, mask, &why);
        if (st == VBG_OK) {
            if (used)
                *used = (i + k) % m->count;
            return VBG_OK;
        }
        if (st == VBG_ENOMEM)
            return vbg_fail(err, st, "%s", why.text);
        if (!__atomic_exchange_n(&pair->broken, true, __ATOMIC_RELAXED)) {
            st = vbg_tally_broken(&m->tally, err, "%s", why.text);
            if (st != VBG_OK)
                return st;
        }
    }
    return vbg_fail(err, VBG_EFORMAT, "%s: no pair can be read", m->tally.where);
}
