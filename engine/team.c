/* Threads: claiming, sleeping, waking. */
#define _GNU_SOURCE
#include "engine/team.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* About 20 us: longer than the gap between two ops of a small network, shorter than
 * what a sleeping thread would notice. */
enum { SPINS = 800 };

typedef void task(void *arg, size_t index, int thread);

typedef struct worker {
    vbg_team *team;
    pthread_t thread;
    int id;
} worker;

struct vbg_team {
    /* job number in the upper half, next index in the lower one */
    _Alignas(64) _Atomic uint64_t claim;
    _Alignas(64) _Atomic uint32_t job; /* what sleepers wait on */
    _Atomic uint32_t sleepers;
    _Alignas(64) _Atomic uint32_t done; /* tasks of this job; the caller waits on it */
    _Atomic uint32_t caller_sleeps;
    _Atomic(task *) fn;
    _Atomic(void *) arg;
    _Atomic uint32_t count;
    _Atomic bool stop;
    int threads, started;
    worker *workers;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Takes tasks of job number until there are none or the job has changed. */
static void work(vbg_team *t, uint32_t number, int thread)
{
    task *fn = atomic_load(&t->fn);
    void *arg = atomic_load(&t->arg);
    uint32_t count = atomic_load(&t->count);
    uint64_t at = atomic_load(&t->claim);

    /* a claim that succeeds proves that fn, arg and count belong to this job */
    while ((uint32_t)(at >> 32) == number && (uint32_t)at < count) {
        if (!atomic_compare_exchange_weak(&t->claim, &at, at + 1))
            continue;
        fn(arg, (uint32_t)at, thread);
        if (atomic_fetch_add(&t->done, 1) + 1 == count && atomic_load(&t->caller_sleeps))
            futex_wake(&t->done);
        at = atomic_load(&t->claim);
    }
}

/* Waits until the job number differs from seen. */
static uint32_t next_job(vbg_team *t, uint32_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t now = atomic_load(&t->job);
        if (now != seen)
            return now;
        pause_briefly();
    }
    atomic_fetch_add(&t->sleepers, 1);
    while (atomic_load(&t->job) == seen)
        futex_wait(&t->job, seen);
    atomic_fetch_sub(&t->sleepers, 1);
    return atomic_load(&t->job);
}

static void *worker_main(void *p)
{
    worker *w = p;
    uint32_t seen = 0;

    while (!atomic_load(&w->team->stop)) {
        seen = next_job(w->team, seen);
        work(w->team, seen, w->id);
    }
    return NULL;
}

vbg_status vbg_team_new(vbg_team **out, int threads, vbg_err *err)
{
    vbg_team *t = vbg_alloc(sizeof *t);

    if (t) {
        t->threads = threads;
        t->workers = calloc((size_t)threads, sizeof *t->workers);
    }
    if (!t || !t->workers) {
        vbg_free_mem(t);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for %d threads", threads);
    }
    for (int i = 1; i < threads; i++) {
        worker *w = &t->workers[i];
        *w = (worker){ .team = t, .id = i };
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
            vbg_team_free(t);
            return vbg_fail(err, VBG_ENOMEM, "cannot start %d threads", threads);
        }
        t->started = i;
    }
    *out = t;
    return VBG_OK;
}

void vbg_team_free(vbg_team *t)
{
    if (!t)
        return;
    atomic_store(&t->stop, true);
    atomic_fetch_add(&t->job, 1);
    futex_wake(&t->job);
    for (int i = 1; i <= t->started; i++)
        pthread_join(t->workers[i].thread, NULL);
    free(t->workers);
    vbg_free_mem(t);
}

static void wait_for_all(vbg_team *t, uint32_t count)
{
    uint32_t done;

    for (int i = 0; i < SPINS; i++) {
        if (atomic_load(&t->done) == count)
            return;
        pause_briefly();
    }
    atomic_store(&t->caller_sleeps, 1);
    while ((done = atomic_load(&t->done)) != count)
        futex_wait(&t->done, done);
    atomic_store(&t->caller_sleeps, 0);
}

void vbg_team_run(vbg_team *t, size_t count, task *fn, void *arg)
{
    VBG_CHECK(count < UINT32_MAX, "a job of %zu tasks", count);
    if (count <= 1 || t->threads == 1) {
        for (size_t i = 0; i < count; i++)
            fn(arg, i, 0);
        return;
    }
    uint32_t number = atomic_load(&t->job) + 1;
    /* An old worker may still read these; its claim will fail, for the job number in
     * claim has been taken out first. */
    atomic_store(&t->claim, (uint64_t)number << 32 | UINT32_MAX);
    atomic_store(&t->fn, fn);
    atomic_store(&t->arg, arg);
    atomic_store(&t->count, (uint32_t)count);
    atomic_store(&t->done, 0);
    atomic_store(&t->claim, (uint64_t)number << 32);
    atomic_store(&t->job, number);
    if (atomic_load(&t->sleepers))
        futex_wake(&t->job);
    work(t, number, 0);
    wait_for_all(t, (uint32_t)count);
}
