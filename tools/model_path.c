/* Looking for models, and the folder of cached rooms. */
#define _GNU_SOURCE
#include "tools/model_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
            return VBG_OK;
        if (used < sizeof all)
            used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "",
                                     place[i]);
    }
    return vbg_fail(err, VBG_EIO, "no model '%s' here nor in %s", name, all);
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
