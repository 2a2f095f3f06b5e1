/* Several processes that train one model; see tools/train/ranks.h. */
#define _GNU_SOURCE
#include "tools/train/ranks.h"

#include <stdlib.h>

static bool under_mpirun(void)
{
    return getenv("OMPI_COMM_WORLD_SIZE") || getenv("PMI_RANK");
}

#ifdef VBG_HAVE_MPI

#include <mpi.h>

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
    return VBG_OK;
}

void vbg_ranks_end(const vbg_ranks *r, bool ok)
{
    int began = 0;

    (void)r;
    MPI_Initialized(&began);
    if (began && !ok)
        MPI_Abort(MPI_COMM_WORLD, 1);
    if (began)
        MPI_Finalize();
}

enum { PIECE = 1 << 22 }; /* counts of MPI are ints */

static void sum_floats(float *v, size_t n)
{
    for (size_t at = 0; at < n; at += PIECE) {
        size_t left = n - at;
        MPI_Allreduce(MPI_IN_PLACE, v + at, (int)(left < PIECE ? left : PIECE), MPI_FLOAT,
                      MPI_SUM, MPI_COMM_WORLD);
    }
}

void vbg_ranks_sum_gradients(const vbg_ranks *r, vbg_params *p)
{
    for (size_t i = 0; r->count > 1 && i < vbg_params_count(p); i++) {
        vbg_param *m = vbg_params_at(p, i);
        if (m->grad)
            sum_floats(m->grad, m->count);
    }
}

void vbg_ranks_mean_buffers(const vbg_ranks *r, vbg_params *p)
{
    for (size_t i = 0; r->count > 1 && i < vbg_params_count(p); i++) {
        vbg_param *m = vbg_params_at(p, i);
        if (!m->buffer)
            continue;
        sum_floats(m->value, m->count);
        for (size_t k = 0; k < m->count; k++)
            m->value[k] /= (float)r->count;
        vbg_param_changed(m);
    }
}

void vbg_ranks_sum(const vbg_ranks *r, double *v, int n)
{
    if (r->count > 1)
        MPI_Allreduce(MPI_IN_PLACE, v, n, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

void vbg_ranks_max(const vbg_ranks *r, double *v, int n)
{
    if (r->count > 1)
        MPI_Allreduce(MPI_IN_PLACE, v, n, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
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

void vbg_ranks_end(const vbg_ranks *r, bool ok)
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
