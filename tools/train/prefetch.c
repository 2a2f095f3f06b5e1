/* Samples made ahead; see tools/train/prefetch.h. */
#define _GNU_SOURCE
#include "tools/train/prefetch.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NICE = 5 };

/* One job on its way: free, being made, ready or with the consumer. */
typedef struct place {
    uint64_t job;
    enum { FREE, MAKING, READY, TAKEN } state;
    vbg_status st;
    vbg_err err;
} place;

struct vbg_prefetch {
    pthread_mutex_t lock;
    pthread_cond_t room, ready; /* a place became free; a job became ready */
    place *place;
    int depth, threads;
    uint64_t next_make, next_take;
    bool stop;
    vbg_prefetch_make *make;
    void *arg;
    pthread_t thread[];
};

/* A free place for the next job, or -1 to end.  The lock is held. */
static int claim(vbg_prefetch *p)
{
    while (!p->stop) {
        /* never further ahead than the places, so that the next job to be taken always
         * finds one */
        for (int i = 0; i < p->depth; i++)
            if (p->place[i].state == FREE)
                return i;
        pthread_cond_wait(&p->room, &p->lock);
    }
    return -1;
}

static void *work(void *arg)
{
    vbg_prefetch *p = arg;

    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    pthread_mutex_lock(&p->lock);
    for (int slot; (slot = claim(p)) >= 0;) {
        place *q = &p->place[slot];
        *q = (place){ .job = p->next_make++, .state = MAKING };
        pthread_mutex_unlock(&p->lock);
        vbg_err err = { "" };
        const vbg_status st = p->make(p->arg, q->job, slot, &err);
        pthread_mutex_lock(&p->lock);
        q->st = st;
        q->err = err;
        q->state = READY;
        pthread_cond_signal(&p->ready);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

vbg_status vbg_prefetch_new(vbg_prefetch **out, int threads, int depth, uint64_t first,
                            vbg_prefetch_make *make, void *arg, vbg_err *err)
{
    vbg_prefetch *p = calloc(1, sizeof *p + (size_t)threads * sizeof *p->thread);
    place *places = calloc((size_t)depth, sizeof *places);

    if (!p || !places) {
        free(p);
        free(places);
        return vbg_fail(err, VBG_ENOMEM, "loader: not enough memory");
    }
    p->place = places;
    p->depth = depth;
    p->next_make = p->next_take = first;
    p->make = make;
    p->arg = arg;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->room, NULL);
    pthread_cond_init(&p->ready, NULL);
    while (p->threads < threads &&
           pthread_create(&p->thread[p->threads], NULL, work, p) == 0)
        p->threads++;
    if (p->threads == 0) {
        vbg_prefetch_free(p);
        return vbg_fail(err, VBG_ENOMEM, "loader: no thread can be started");
    }
    *out = p;
    return VBG_OK;
}

void vbg_prefetch_free(vbg_prefetch *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->room);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->room);
    pthread_cond_destroy(&p->ready);
    free(p->place);
    free(p);
}

/* The place of the next job when it is ready, else -1.  The lock is held. */
static int ready(const vbg_prefetch *p)
{
    for (int i = 0; i < p->depth; i++)
        if (p->place[i].state == READY && p->place[i].job == p->next_take)
            return i;
    return -1;
}

vbg_status vbg_prefetch_next(vbg_prefetch *p, uint64_t *job, int *slot, vbg_err *err)
{
    pthread_mutex_lock(&p->lock);
    while ((*slot = ready(p)) < 0)
        pthread_cond_wait(&p->ready, &p->lock);
    place *q = &p->place[*slot];
    q->state = TAKEN;
    *job = q->job;
    p->next_take++;
    const vbg_status st = q->st;
    if (st != VBG_OK)
        vbg_fail(err, st, "%s", q->err.text);
    pthread_mutex_unlock(&p->lock);
    return st;
}

void vbg_prefetch_done(vbg_prefetch *p, int slot)
{
    pthread_mutex_lock(&p->lock);
    p->place[slot].state = FREE;
    pthread_cond_signal(&p->room);
    pthread_mutex_unlock(&p->lock);
}
