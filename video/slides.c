/* A folder of pictures as background. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "video/moving.h"

enum { MOST_FILES = 4096 };

struct vbg_slides {
    vbg_background_opt opt;
    char **paths;
    int count, at; /* at: of the one that is shown or was tried last */
    vbg_background *shown;
    double since;
    bool started;
    pthread_t thread;
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t changed;
    bool want, stop, running;
    vbg_background *next;
};

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strverscmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static vbg_status list(vbg_slides *s, const char *folder, vbg_err *err)
{
    struct dirent **names;
    const int n = scandir(folder, &names, no_dots, by_name);
    bool ok = true;

    if (n < 0)
        return vbg_fail(err, VBG_EIO, "%s: %s", folder, strerror(errno));
    s->paths = calloc((size_t)n + 1, sizeof *s->paths);
    for (int i = 0; i < n; i++) {
        if (s->paths && s->count < MOST_FILES &&
            asprintf(&s->paths[s->count], "%s/%s", folder, names[i]->d_name) >= 0)
            s->count++;
        else
            ok &= s->paths && s->count >= MOST_FILES;
        free(names[i]);
    }
    free(names);
    return s->paths && ok ? VBG_OK : vbg_fail(err, VBG_ENOMEM, "out of memory");
}

/* The next picture that can be read; NULL when there is none. */
static vbg_background *load_next(vbg_slides *s)
{
    vbg_background_opt opt = s->opt;

    opt.no_folder = true;
    for (int tries = 0; tries < s->count; tries++) {
        vbg_background *b;
        s->at = (s->at + 1) % s->count;
        if (vbg_background_open(&b, s->paths[s->at], &opt, NULL) == VBG_OK)
            return b;
    }
    return NULL;
}

static void *load_thread(void *arg)
{
    vbg_slides *s = arg;

    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        if (!s->want || s->next) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        vbg_background *b = load_next(s);
        pthread_mutex_lock(&s->lock);
        s->next = b;
        s->want = false;
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

vbg_status vbg_slides_open(vbg_slides **out, const char *folder,
                           const vbg_background_opt *opt, vbg_err *err)
{
    vbg_slides *s = vbg_alloc(sizeof *s);
    vbg_status st;

    *out = NULL;
    if (!s)
        return vbg_fail(err, VBG_ENOMEM, "out of memory");
    s->opt = *opt;
    s->at = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    st = list(s, folder, err);
    if (st == VBG_OK && !(s->shown = load_next(s)))
        st = vbg_fail(err, VBG_EFORMAT,
                      "%s: none of its %d files is a picture that can be read", folder,
                      s->count);
    if (st == VBG_OK && pthread_create(&s->thread, NULL, load_thread, s) != 0)
        st = vbg_fail(err, VBG_ENOMEM, "cannot start a thread");
    s->running = st == VBG_OK;
    if (st == VBG_OK)
        *out = s;
    else
        vbg_slides_close(s);
    return st;
}

void vbg_slides_close(vbg_slides *s)
{
    if (!s)
        return;
    if (s->running) {
        pthread_mutex_lock(&s->lock);
        s->stop = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    vbg_background_close(s->shown);
    vbg_background_close(s->next);
    for (int i = 0; i < s->count; i++)
        free(s->paths[i]);
    free(s->paths);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    vbg_free_mem(s);
}

vbg_background *vbg_slides_show(vbg_slides *s, double time_s)
{
    if (!s->started)
        s->since = time_s;
    s->started = true;
    if (time_s - s->since < s->opt.slide_s || s->count < 2)
        return s->shown;
    vbg_background *old = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->next) {
        old = s->shown;
        s->shown = s->next;
        s->next = NULL;
        s->since = time_s;
    } else if (!s->want) {
        s->want = true;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    vbg_background_close(old);
    return s->shown;
}
