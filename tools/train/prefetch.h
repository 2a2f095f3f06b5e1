/* Samples made ahead by threads of their own while the team's threads compute.
 *
 * Jobs are numbered from `first` on; make(arg, job, slot, err) fills slot (of depth),
 * and the consumer takes the jobs in order.  What a job yields must follow from its
 * number alone, so that results do not depend on threads or on where a run resumed. */
#ifndef VBG_TOOLS_TRAIN_PREFETCH_H
#define VBG_TOOLS_TRAIN_PREFETCH_H

#include "engine/base.h"

typedef struct vbg_prefetch vbg_prefetch;

typedef vbg_status vbg_prefetch_make(void *arg, uint64_t job, int slot, vbg_err *err);

/* threads 1.., depth > 0 slots; the threads run at a lower priority (nice +5).
 * Errors: VBG_ENOMEM. */
vbg_status vbg_prefetch_new(vbg_prefetch **out, int threads, int depth, uint64_t first,
                            vbg_prefetch_make *make, void *arg, vbg_err *err);
void vbg_prefetch_free(vbg_prefetch *p); /* accepts NULL; waits for the jobs under way */

/* Waits for the next job; *slot stays the caller's until vbg_prefetch_done.
 * Errors: those of make for this job. */
vbg_status vbg_prefetch_next(vbg_prefetch *p, uint64_t *job, int *slot, vbg_err *err);
void vbg_prefetch_done(vbg_prefetch *p, int slot);

#endif
