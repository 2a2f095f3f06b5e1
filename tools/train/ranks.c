/* Several processes that train one model; see tools/train/ranks.h. */
#define _GNU_SOURCE
#include "tools/train/ranks.h"

#include <stdlib.h>
#include <string.h>

static bool under_mpirun(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_RANK");
}

bool vbg_ranks_follows(void)
{
    const char *open_mpi = getenv("OMPI_COMM_WORLD_RANK"), *other = getenv("PMI_RANK");
    const char *rank = open_mpi ? open_mpi : other;

    return rank && strtol(rank, NULL, 10) > 0;
}

#ifdef VBG_HAVE_MPI

#include <errno.h>
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* Who the others are: processes of this machine can be asked whether they live. */
struct vbg_peer {
    char host[56];
    long long pid;
};

static vbg_status meet(vbg_ranks *r, vbg_err *err)
{
    vbg_peer own = { .pid = getpid() };

    gethostname(own.host, sizeof own.host - 1);
    r->peer = calloc((size_t)r->count, sizeof *r->peer);
    if (!r->peer)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory");
    MPI_Allgather(&own, (int)sizeof own, MPI_BYTE, r->peer, (int)sizeof own, MPI_BYTE,
                  MPI_COMM_WORLD);
    return VBG_OK;
}

/* The number of a process of this machine that is no more, or -1. */
static int dead_peer(const vbg_ranks *r)
{
    for (int i = 0; r->peer && i < r->count; i++)
        if (strcmp(r->peer[i].host, r->peer[r->rank].host) == 0 &&
            kill((pid_t)r->peer[i].pid, 0) != 0 && errno == ESRCH)
            return i;
    return -1;
}

/* Waits for the others without keeping a core from them; for one that died nobody else
 * would wait less than for ever. */
static void wait_for(const vbg_ranks *r, MPI_Request *q)
{
    enum { SPINS = 200, LOOK = 1000 };
    const struct timespec nap = { .tv_nsec = 20000 };
    int done = 0;

    for (unsigned i = 1;; i++) {
        MPI_Test(q, &done, MPI_STATUS_IGNORE);
        if (done)
            return;
        if (i < SPINS)
            sched_yield();
        else
            nanosleep(&nap, NULL);
        const int dead = i % LOOK ? -1 : dead_peer(r);
        if (dead >= 0 && r->lost) {
            r->lost(r->arg, dead);
            _exit(1);
        }
    }
}

static void reduce(const vbg_ranks *r, void *v, int n, MPI_Datatype type, MPI_Op op)
{
    MPI_Request q;

    MPI_Iallreduce(MPI_IN_PLACE, v, n, type, op, MPI_COMM_WORLD, &q);
    wait_for(r, &q);
}

vbg_status vbg_ranks_start(vbg_ranks *r, vbg_err *err)
{
    int began = 0, ended = 0;

    *r = (vbg_ranks){ .count = 1 };
    if (!under_mpirun())
        return VBG_OK;
    MPI_Initialized(&began);
    MPI_Finalized(&ended);
    if (ended || (!began && MPI_Init(NULL, NULL) != MPI_SUCCESS))
        return vbg_fail(err, VBG_EIO, "mpirun: the other processes cannot be reached");
    MPI_Comm_rank(MPI_COMM_WORLD, &r->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &r->count);
    return meet(r, err);
}

void vbg_ranks_end(vbg_ranks *r, bool ok)
{
    int began = 0;

    free(r->peer);
    r->peer = NULL;
    MPI_Initialized(&began);
    if (began && !ok)
        MPI_Abort(MPI_COMM_WORLD, 1);
    if (began)
        MPI_Finalize();
}

enum { PIECE = 1 << 22 }; /* counts of MPI are ints */

static void sum_floats(const vbg_ranks *r, float *v, size_t n)
{
    for (size_t at = 0; at < n; at += PIECE) {
        size_t left = n - at;
        reduce(r, v + at, (int)(left < PIECE ? left : PIECE), MPI_FLOAT, MPI_SUM);
    }
}

void vbg_ranks_sum_gradients(const vbg_ranks *r, vbg_params *p)
{
    for (size_t i = 0; r->count > 1 && i < vbg_params_count(p); i++) {
        vbg_param *m = vbg_params_at(p, i);
        if (m->grad)
            sum_floats(r, m->grad, m->count);
    }
}

void vbg_ranks_mean_buffers(const vbg_ranks *r, vbg_params *p)
{
    for (size_t i = 0; r->count > 1 && i < vbg_params_count(p); i++) {
        vbg_param *m = vbg_params_at(p, i);
        if (!m->buffer)
            continue;
        sum_floats(r, m->value, m->count);
        for (size_t k = 0; k < m->count; k++)
            m->value[k] /= (float)r->count;
        vbg_param_changed(m);
    }
}

void vbg_ranks_sum(const vbg_ranks *r, double *v, int n)
{
    if (r->count > 1)
        reduce(r, v, n, MPI_DOUBLE, MPI_SUM);
}

void vbg_ranks_max(const vbg_ranks *r, double *v, int n)
{
    if (r->count > 1)
        reduce(r, v, n, MPI_DOUBLE, MPI_MAX);
}

#else

vbg_status vbg_ranks_start(vbg_ranks *r, vbg_err *err)
{
    *r = (vbg_ranks){ .count = 1 };
    if (under_mpirun())
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "this build cannot use mpirun: install libopenmpi-dev and build "
                        "again");
    return VBG_OK;
}

void vbg_ranks_end(vbg_ranks *r, bool ok)
{
    (void)r;
    (void)ok;
}

void vbg_ranks_sum_gradients(const vbg_ranks *r, vbg_params *p)
{
    (void)r;
    (void)p;
}

void vbg_ranks_mean_buffers(const vbg_ranks *r, vbg_params *p)
{
    (void)r;
    (void)p;
}

void vbg_ranks_sum(const vbg_ranks *r, double *v, int n)
{
    (void)r;
    (void)v;
    (void)n;
}

void vbg_ranks_max(const vbg_ranks *r, double *v, int n)
{
    (void)r;
    (void)v;
    (void)n;
}

#endif
