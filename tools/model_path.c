/* Looking for models, and the folder of cached rooms. */
#define _GNU_SOURCE
#include "tools/model_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/weights.h"

#define RESTORE                                                                          \
    "'%s' ships with vbg: restore it with 'git checkout -- weights/%s*' in its clone, "  \
    "or "                                                                                \
    "install vbg again"

static bool readable_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

/* dir/name or dir/name.vbg */
static bool try_dir(char *path, size_t size, const char *dir, const char *name)
{
    static const char *const suffix[] = { "", ".vbg" };

    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, size, "%s/%s%s", dir, name, suffix[i]);
        if (n > 0 && (size_t)n < size && readable_file(path))
            return true;
    }
    return false;
}

/* The folder of the running program, "" when unknown. */
static void program_dir(char *dir, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", dir, size - 1);

    dir[n > 0 ? n : 0] = 0;
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = 0;
}

enum { PLACES = 16 };

/* Writes the folders to search into place[]; returns how many. */
static int list_places(char place[PLACES][1024])
{
    const char *env = getenv("VBG_MODEL_PATH"), *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    char self[900];
    int n = 0;

    while (env && *env && n < PLACES - 4) {
        size_t len = strcspn(env, ":");
        if (len)
            snprintf(place[n++], 1024, "%.*s", (int)len, env);
        env += len + (env[len] == ':');
    }
    if (data && *data)
        snprintf(place[n++], 1024, "%s/vbg/models", data);
    else if (home && *home)
        snprintf(place[n++], 1024, "%s/.local/share/vbg/models", home);
    program_dir(self, sizeof self);
    snprintf(place[n++], 1024, "%s/../share/vbg/models", self);
    snprintf(place[n++], 1024, "%s/../../../weights", self); /* build/MODE/bin */
    return n;
}

/* Whether name (with or without .vbg) is one of the models in weights/. */
static bool ships(const char *name)
{
    static const char *const names[] = { "room", "person", "bisenet" };
    const char *dot = strrchr(name, '.');
    const size_t n =
        dot && strcmp(dot, ".vbg") == 0 ? (size_t)(dot - name) : strlen(name);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && strncmp(name, names[i], n) == 0)
            return true;
    return false;
}

/* A model that everybody has and nobody made: damage is told apart from a bad result. */
static vbg_status check_shipped(const char *path, const char *name, vbg_err *err)
{
    vbg_weights *w = NULL;
    vbg_err why = { "" };
    vbg_status st = vbg_weights_open(&w, path, &why);

    if (st == VBG_OK)
        st = vbg_weights_verify(w, &why);
    vbg_weights_close(w);
    return st == VBG_OK ? st : vbg_fail(err, st, "%s; " RESTORE, why.text, name, name);
}

vbg_status vbg_model_find(char *path, size_t size, const char *name, vbg_err *err)
{
    char place[PLACES][1024], all[600] = "";
    size_t used = 0;

    int n = snprintf(path, size, "%s", name);
    if (n > 0 && (size_t)n < size && readable_file(path))
        return VBG_OK;
    if (strchr(name, '/'))
        return vbg_fail(err, VBG_EIO, "%s: %s", name,
                        access(name, F_OK) == 0 ? "not a readable file"
                                                : strerror(ENOENT));
    int count = list_places(place);
    for (int i = 0; i < count; i++) {
        if (try_dir(path, size, place[i], name))
            return ships(name) ? check_shipped(path, name, err) : VBG_OK;
        if (used < sizeof all)
            used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "",
                                     place[i]);
    }
    return ships(name)
               ? vbg_fail(err, VBG_EIO, "no model '%s' here nor in %s; " RESTORE, name,
                          all, name, name)
               : vbg_fail(err, VBG_EIO, "no model '%s' here nor in %s", name, all);
}

/* mkdir -p of one more level. */
static bool make_dir(const char *path)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

bool vbg_cache_dir(char *path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char base[900];

    if (cache && *cache)
        snprintf(base, sizeof base, "%s", cache);
    else if (home && *home)
        snprintf(base, sizeof base, "%s/.cache", home);
    else
        return false;
    if (!make_dir(base))
        return false;
    snprintf(path, size, "%s/vbg", base);
    if (!make_dir(path))
        return false;
    snprintf(path, size, "%s/vbg/rooms", base);
    return make_dir(path);
}
