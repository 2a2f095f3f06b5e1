/* Several processes that train one model: the same program under mpirun.
 *
 * Every rank has all parameters and computes its own micro-batches; gradients are summed,
 * so every rank makes the same update.  Rank 0 alone writes files and speaks.  Without
 * MPI in the build, or not started by mpirun: one rank, and nothing happens here. */
#ifndef VBG_TOOLS_TRAIN_RANKS_H
#define VBG_TOOLS_TRAIN_RANKS_H

#include "engine/param.h"

typedef struct vbg_peer vbg_peer;

typedef struct vbg_ranks {
    int rank, count;
    vbg_peer *peer; /* [count], NULL for one rank */
    /* Called when process `rank` of this machine died while this one waits for it, which
     * then ends; or NULL. */
    void (*lost)(void *arg, int rank);
    void *arg;
} vbg_ranks;

/* Whether mpirun began this process as another than the first: such a one says nothing
 * but errors, from its very beginning. */
bool vbg_ranks_follows(void);

/* Joins the other processes.  Errors: VBG_EUNSUPPORTED (mpirun, but a build without
 * MPI). */
vbg_status vbg_ranks_start(vbg_ranks *r, vbg_err *err);
/* Leaves; ok false ends all of them, since the others would wait for ever. */
void vbg_ranks_end(vbg_ranks *r, bool ok);

/* grad of every parameter = the sum of all ranks'. */
void vbg_ranks_sum_gradients(const vbg_ranks *r, vbg_params *p);
/* Running statistics become the mean of all ranks'. */
void vbg_ranks_mean_buffers(const vbg_ranks *r, vbg_params *p);
/* v[n] = sum or maximum over the ranks. */
void vbg_ranks_sum(const vbg_ranks *r, double *v, int n);
void vbg_ranks_max(const vbg_ranks *r, double *v, int n);

#endif
