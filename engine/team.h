/* A team of threads that shares out the tasks of one job after the other.
 *
 * The caller is thread 0 and takes part.  A task is claimed by compare-and-swap on one
 * word that holds the job's number and the next index, so a worker that wakes up late
 * finds the job's number changed and goes back to sleep: nobody ever waits for a worker
 * that has nothing left to do.  Idle workers spin for some microseconds, then sleep on
 * the job number (futex). */
#ifndef VBG_ENGINE_TEAM_H
#define VBG_ENGINE_TEAM_H

#include "engine/base.h"

typedef struct vbg_team vbg_team;

/* Errors: VBG_ENOMEM (also when threads cannot be started). */
vbg_status vbg_team_new(vbg_team **out, int threads, vbg_err *err);
void vbg_team_free(vbg_team *t); /* accepts NULL; between jobs */

/* fn(arg, index, thread) for every index below count (below 2^32), thread in
 * 0..threads-1; returns when all are done.  One caller at a time. */
void vbg_team_run(vbg_team *t, size_t count,
                  void (*fn)(void *arg, size_t index, int thread), void *arg);

#endif
