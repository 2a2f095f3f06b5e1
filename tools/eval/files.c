/* Names of files in folders. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "tools/eval/commands.h"

bool vbg_is_any_picture_name(const char *name)
{
    static const char *const suffix[] = { ".jpg", ".jpeg", ".png", ".webp" };
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < sizeof suffix / sizeof *suffix; i++)
        if (strcasecmp(dot, suffix[i]) == 0)
            return name[0] != '.';
    return false;
}

bool vbg_is_picture_name(const char *name)
{
    return vbg_is_any_picture_name(name) && !strstr(name, ".mask.") &&
           !strstr(name, ".depth.") && !strstr(name, ".label.");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static vbg_status add(vbg_names *n, size_t *room, const char *name, vbg_err *err)
{
    if (n->count == *room) {
        size_t more = *room ? 2 * *room : 64;
        char **p = realloc(n->name, more * sizeof *p);
        if (!p)
            return vbg_fail(err, VBG_ENOMEM, "not enough memory for a list of files");
        n->name = p;
        *room = more;
    }
    n->name[n->count] = strdup(name);
    if (!n->name[n->count])
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a list of files");
    n->count++;
    return VBG_OK;
}

/* A folder of views: its first is there. */
static bool holds_views(const char *dir, const char *name)
{
    static const char *const first[] = { "0.png", "0.jpg" };
    char path[4400];

    for (size_t i = 0; name[0] != '.' && i < 2; i++) {
        snprintf(path, sizeof path, "%.4000s/%.300s/%s", dir, name, first[i]);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

/* Names for which keep holds and, with folders, those of folders of views. */
static vbg_status list(vbg_names *out, const char *dir, bool (*keep)(const char *name),
                       bool folders, vbg_err *err)
{
    DIR *d = opendir(dir);
    size_t room = 0;
    vbg_status st = VBG_OK;

    *out = (vbg_names){ 0 };
    if (!d)
        return vbg_fail(err, VBG_EIO, "%s: cannot be listed: %s", dir, strerror(errno));
    for (struct dirent *e; st == VBG_OK && (e = readdir(d)) != NULL;)
        if (keep(e->d_name) || (folders && holds_views(dir, e->d_name)))
            st = add(out, &room, e->d_name, err);
    closedir(d);
    if (st != VBG_OK)
        vbg_names_free(out);
    else if (out->count)
        qsort(out->name, out->count, sizeof *out->name, by_name);
    return st;
}

vbg_status vbg_names_list(vbg_names *out, const char *dir, bool (*keep)(const char *name),
                          vbg_err *err)
{
    return list(out, dir, keep, false, err);
}

vbg_status vbg_names_rooms(vbg_names *out, const char *dir, bool folders, vbg_err *err)
{
    return list(out, dir, vbg_is_picture_name, folders, err);
}

void vbg_names_free(vbg_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->name[i]);
    free(n->name);
    *n = (vbg_names){ 0 };
}

void vbg_truth_path(char *path, size_t size, const char *truth, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    size_t at = n;
    while (at > 0 && dir[at - 1] != '/')
        at--;
    snprintf(path, size, "%.3000s/%.*s", truth, (int)(n - at), dir + at);
}
