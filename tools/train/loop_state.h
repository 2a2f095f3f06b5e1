/* What the files of the training loop share. */
#ifndef VBG_TOOLS_TRAIN_LOOP_STATE_H
#define VBG_TOOLS_TRAIN_LOOP_STATE_H

#include "engine/train_state.h"
#include "tools/train/log.h"
#include "tools/train/loop.h"
#include "tools/train/prefetch.h"
#include "tools/train/ranks.h"

typedef struct vbg_course {
    vbg_loop *l;
    vbg_ranks ranks;
    vbg_log *log;
    vbg_prefetch *prefetch;
    int lock;
    long step, steps, first; /* done, in all, done when this run began */
    long wanted, last;       /* steps of the options; those that --fit chose, or 0 */
    long rewarm;
    double best;
    char *config; /* JSON text */
    bool save_failed, silent; /* silent: another process says what is wrong */

    /* since the last log line */
    vbg_measure sum;
    long summed;
    double norm_sum, data_s, since;
    double start, begun, step_s, shown, lr; /* begun: first step; step_s: running mean */
} vbg_course;

/* Micro-batches of one update, over all ranks. */
static inline long vbg_course_jobs(const vbg_course *c)
{
    return (long)c->l->opt.accumulate * c->ranks.count;
}

/* ---- loop_files.c ---- */

/* DIR/name; "step-000120.vbg" for a format with the step. */
void vbg_course_path(const vbg_course *c, char *path, size_t size, const char *fmt, ...)
    VBG_PRINTF(4, 5);
/* Folders, lock, log; reads the checkpoint to go on from. */
vbg_status vbg_course_open(vbg_course *c, vbg_err *err);
void vbg_course_close(vbg_course *c);
/* Where a training that fails now can go on from, as the end of a sentence. */
void vbg_course_last_good(const vbg_course *c, char *text, size_t size);
/* last.vbg, every-N and compact checkpoints, model.vbg; last: the training ends.  A
 * failure is a warning and remembered. */
void vbg_course_save(vbg_course *c, bool last);
void vbg_course_save_best(vbg_course *c);
/* Values and averages changed over around fn; nothing without averages. */
void vbg_course_averages(vbg_course *c);

/* ---- loop_time.c ---- */

/* Seconds of a step, by one that changes nothing; 0 where that is not worth while. */
double vbg_course_trial(vbg_course *c);
/* The number of steps, and what follows from it. */
void vbg_course_set_steps(vbg_course *c, long steps);
/* --fit, after a step and before its checkpoint; all ranks call it. */
void vbg_course_fit(vbg_course *c);

/* ---- loop_report.c ---- */

/* What memory and time the training will take. */
vbg_status vbg_course_plan(vbg_course *c, vbg_err *err);
/* The step just done: progress line, and every log_every steps a log line. */
void vbg_course_report(vbg_course *c);
void vbg_course_log_validation(vbg_course *c, const vbg_measure *m);
void vbg_course_log_start(vbg_course *c);
void vbg_course_log_end(vbg_course *c, const char *why);

#endif
