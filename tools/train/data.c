/* Broken samples, lists of files, order and chance; see tools/train/data.h. */
#define _GNU_SOURCE
#include "tools/train/data.h"

#include <errno.h>
#include <fts.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "models/rng.h"
#include "tools/options.h"

enum { SHOWN = 10 }; /* broken samples that are named */

/* ---- broken samples ---- */

vbg_status vbg_tally_broken(vbg_tally *t, vbg_err *err, const char *fmt, ...)
{
    char text[900];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (t->strict)
        return vbg_fail(err, VBG_EFORMAT, "%s", text);
    const size_t before = __atomic_fetch_add(&t->broken, 1, __ATOMIC_RELAXED);
    if (before < SHOWN)
        vbg_warning("skipped: %s", text);
    else if (before == SHOWN)
        vbg_warning("%s: more broken samples, which are only counted", t->where);
    return VBG_OK;
}

vbg_status vbg_tally_close(const vbg_tally *t, const char *what, vbg_err *err)
{
    if (t->good == 0)
        return vbg_fail(err, VBG_EFORMAT, "%s: no %s to learn from (%zu broken)",
                        t->where, what, t->broken);
    if (t->broken > t->good)
        return vbg_fail(err, VBG_EFORMAT, "%s: %zu of %zu %s are broken", t->where,
                        t->broken, t->good + t->broken, what);
    if (t->broken)
        vbg_warning("%s: %zu broken %s skipped, %zu left", t->where, t->broken, what,
                    t->good);
    return VBG_OK;
}

/* ---- lists of files ---- */

static bool picture_suffix(const char *name)
{
    static const char *const suffix[] = { ".jpg", ".jpeg", ".png", ".webp" };
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof suffix / sizeof *suffix; i++)
        if (strcasecmp(dot, suffix[i]) == 0)
            return true;
    return false;
}

/* What renderers lay beside a picture: depths and regions, nothing to look at. */
static bool truth_suffix(const char *name)
{
    static const char *const suffix[] = { ".depth.png", ".label.png" };
    const size_t n = strlen(name);

    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) {
        const size_t k = strlen(suffix[i]);
        if (n > k && strcmp(name + n - k, suffix[i]) == 0)
            return true;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static vbg_status append(vbg_paths *p, const char *path, vbg_err *err)
{
    if (p->count == p->room) {
        const size_t room = p->room ? 2 * p->room : 64;
        char **grown = realloc(p->path, room * sizeof *grown);
        if (!grown)
            return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", path);
        p->path = grown;
        p->room = room;
    }
    p->path[p->count] = strdup(path);
    if (!p->path[p->count])
        return vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", path);
    p->count++;
    return VBG_OK;
}

/* One entry of the walk. */
static vbg_status visit(vbg_paths *p, FTS *tree, FTSENT *e, const char *dir, vbg_err *err)
{
    const bool hidden = e->fts_level > 0 && e->fts_name[0] == '.';

    if (e->fts_level == 0 && (e->fts_info == FTS_NS || e->fts_info == FTS_DNR))
        return vbg_fail(err, VBG_EIO, "%s: %s", dir, strerror(e->fts_errno));
    if (e->fts_level == 0 && e->fts_info != FTS_D && e->fts_info != FTS_DP)
        return vbg_fail(err, VBG_EIO, "%s: not a folder", dir);
    if (e->fts_info == FTS_D && hidden)
        fts_set(tree, e, FTS_SKIP);
    if (!hidden && e->fts_info == FTS_F && picture_suffix(e->fts_name) &&
        !truth_suffix(e->fts_name))
        return append(p, e->fts_path, err);
    return VBG_OK;
}

vbg_status vbg_paths_pictures(vbg_paths *out, const char *dir, vbg_err *err)
{
    char *copy = strdup(dir);
    char *roots[2] = { copy, NULL };
    vbg_status st = VBG_OK;
    FTSENT *e;

    *out = (vbg_paths){ 0 };
    FTS *tree = copy ? fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL) : NULL;
    if (!tree)
        st = vbg_fail(err, copy ? VBG_EIO : VBG_ENOMEM, "%s: %s", dir, strerror(errno));
    while (st == VBG_OK && (e = fts_read(tree)) != NULL)
        st = visit(out, tree, e, dir, err);
    if (tree)
        fts_close(tree);
    free(copy);
    if (st != VBG_OK)
        vbg_paths_free(out);
    else if (out->count)
        qsort(out->path, out->count, sizeof *out->path, by_name);
    return st;
}

void vbg_paths_free(vbg_paths *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        free(p->path[i]);
    free(p->path);
    *p = (vbg_paths){ 0 };
}

char *vbg_with_suffix(const char *path, const char *suffix)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    const size_t n = dot && (!slash || dot > slash) ? (size_t)(dot - path) : strlen(path);
    const size_t size = n + strlen(suffix) + 1;
    char *out = malloc(size);

    if (out)
        snprintf(out, size, "%.*s%s", (int)n, path, suffix);
    return out;
}

char *vbg_beside(const char *file, const char *name)
{
    const char *slash = strrchr(file, '/');
    const size_t n = name[0] == '/' || !slash ? 0 : (size_t)(slash - file) + 1;
    const size_t size = n + strlen(name) + 1;
    char *out = malloc(size);

    if (out)
        snprintf(out, size, "%.*s%s", (int)n, file, name);
    return out;
}

/* ---- order and chance ---- */

enum { PURPOSE_ORDER = 0x6f726472 };

void vbg_epoch_order(uint32_t *order, size_t count, uint64_t seed, uint64_t epoch,
                     bool shuffle)
{
    vbg_dice d = vbg_dice_for(seed, (uint32_t)epoch, 0, PURPOSE_ORDER);

    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    for (size_t i = count; shuffle && i > 1; i--) { /* Fisher and Yates */
        const size_t k = (size_t)vbg_dice_int(&d, (int)i);
        const uint32_t t = order[i - 1];
        order[i - 1] = order[k];
        order[k] = t;
    }
}

vbg_dice vbg_dice_for(uint64_t seed, uint32_t epoch, uint32_t sample, uint32_t purpose)
{
    return (vbg_dice){ .key = { (uint32_t)seed, (uint32_t)(seed >> 32) },
                       .counter = { 0, epoch, sample, purpose } };
}

uint32_t vbg_dice_word(vbg_dice *d)
{
    if (d->left == 0) {
        vbg_philox4x32(d->out, d->counter, d->key);
        d->counter[0]++;
        d->left = 4;
    }
    return d->out[--d->left];
}

double vbg_dice_unit(vbg_dice *d)
{
    return vbg_dice_word(d) * 0x1p-32;
}

double vbg_dice_range(vbg_dice *d, double lo, double hi)
{
    return lo + (hi - lo) * vbg_dice_unit(d);
}

int vbg_dice_int(vbg_dice *d, int count)
{
    return (int)(((uint64_t)vbg_dice_word(d) * (uint64_t)count) >> 32);
}

bool vbg_dice_chance(vbg_dice *d, double p)
{
    return vbg_dice_unit(d) < p;
}

double vbg_dice_normal(vbg_dice *d)
{
    const double u = (vbg_dice_word(d) + 0.5) * 0x1p-32, v = vbg_dice_unit(d);
    return sqrt(-2 * log(u)) * cos(6.283185307179586477 * v);
}
