/* Names of files in folders. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

vbg_status vbg_names_list(vbg_names *out, const char *dir, bool (*keep)(const char *name),
                          vbg_err *err)
{
    DIR *d = opendir(dir);
    size_t room = 0;
    vbg_status st = VBG_OK;

    *out = (vbg_names){ 0 };
    if (!d)
        return vbg_fail(err, VBG_EIO, "%s: cannot be listed: %s", dir, strerror(errno));
    for (struct dirent *e; st == VBG_OK && (e = readdir(d)) != NULL;)
        if (keep(e->d_name))
            st = add(out, &room, e->d_name, err);
    closedir(d);
    if (st != VBG_OK)
        vbg_names_free(out);
    else if (out->count)
        qsort(out->name, out->count, sizeof *out->name, by_name);
    return st;
}

void vbg_names_free(vbg_names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->name[i]);
    free(n->name);
    *n = (vbg_names){ 0 };
}
