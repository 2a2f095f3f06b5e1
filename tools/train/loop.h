/* The training loop that every command of vbg-train runs.
 *
 *     command                               loop
 *     options -> vbg_loop_options           lock, resume, plan
 *     bind the model, vbg_optim_new         for each step:
 *     vbg_loop l = { ..., .calls = ... }      for each micro-batch: load (ahead, in
 *     return vbg_loop_run(&l)                   threads of their own), step
 *                                             clip, update, average, pack
 *                                             log, validate, samples, checkpoints
 *                                           export
 *
 * Micro-batches are numbered from 0 ("jobs"): job j belongs to step j / (accumulate x
 * ranks) and epoch j / jobs_per_epoch.  What a job holds and every random number in it
 * must follow from (opt.seed, j) alone; then a resumed training repeats an undisturbed
 * one bit for bit.  A resumed training has the checkpoint's seed, whatever the options
 * say.
 *
 * Under mpirun every rank takes its share of the jobs (job j: rank j mod ranks), so two
 * ranks do what one does with twice --accumulate; rank 0 alone writes.  Losses are means
 * of images or of all ranks' weights (vbg_share_mean), never of one rank's count; what a
 * micro-batch measures of itself (loudness of a critic, size of latents) is its own, with
 * --accumulate as with ranks.
 *
 * Folder of a training (--out DIR):
 *     log.jsonl  loss.png            the course
 *     last.vbg  best.vbg  step-*.vbg checkpoints (engine/train_state.h)
 *     samples/STEP.png               pictures from fixed seeds
 *     model.vbg  model-best.vbg      the result, for the other programs; the averages
 *                                    where they are kept
 *     model-ema2.vbg                 the same of the second averages
 *     lock                           held while a trainer works here */
#ifndef VBG_TOOLS_TRAIN_LOOP_H
#define VBG_TOOLS_TRAIN_LOOP_H

#include <jansson.h>

#include "engine/optim.h"
#include "engine/schedule.h"
#include "tools/options.h"

enum { VBG_LOOP_VALUES = 16 };

/* What a micro-batch or a validation measured: means over its samples. */
typedef struct vbg_measure {
    double loss;
    int count; /* of value */
    struct {
        char
            name[32]; /* "miou", logged as "miou" in training, "val/miou" in validation */
        double value;
    } value[VBG_LOOP_VALUES];
} vbg_measure;

void vbg_measure_set(vbg_measure *m, const char *name, double value);

/* Calls of a command; those marked "or NULL" are optional. */
typedef struct vbg_loop_calls {
    /* Fills slot (0..depth-1) with job's samples; in a loader thread. */
    vbg_status (*load)(void *arg, uint64_t job, int slot, vbg_err *err);
    /* Forward and backward of the job in slot (one vbg_run): adds to the gradients of
     * the mean loss over the micro-batch and fills m. */
    vbg_status (*step)(void *arg, uint64_t job, int slot, vbg_measure *m, vbg_err *err);
    /* Names the job's samples for a message, e.g. "a.jpg, b.jpg"; or NULL. */
    void (*describe)(void *arg, uint64_t job, int slot, char *text, size_t size);
    /* Bytes that a step takes from the slab (vbg_plan); or NULL. */
    vbg_status (*plan)(void *arg, size_t *bytes, vbg_err *err);
    /* Measures on held-out samples; the averages are in place of the values.  Or NULL. */
    vbg_status (*validate)(void *arg, vbg_measure *m, vbg_err *err);
    /* Writes sample pictures to path (a .png), averages in place; or NULL. */
    vbg_status (*sample)(void *arg, const char *path, vbg_err *err);
    /* Writes the model to path (a .vbg), averages in place. */
    vbg_status (*export_model)(void *arg, const char *path, vbg_err *err);
} vbg_loop_calls;

/* The options below, read. */
typedef struct vbg_loop_opt {
    const char *out, *compact;
    bool resume, fresh;
    const char *from; /* checkpoint to start from, or NULL */
    long steps;       /* 0: from epochs */
    double epochs;
    int accumulate, loaders;
    long log_every, val_every, save_every, keep_every, sample_every;
    double max_seconds; /* 0: none */
    bool fit;           /* steps chosen so that the decay ends in that time */
    double lr;
    bool per_epoch; /* the schedule moves once per epoch */
    vbg_schedule schedule;
    vbg_optim_opt optim;
    uint64_t seed;
} vbg_loop_opt;

typedef struct vbg_loop {
    const char *kind; /* "caa" */
    vbg_ctx *ctx;
    vbg_params *params;
    vbg_optim *optim;      /* made from opt.optim, groups set by the command */
    struct vbg_tape *tape; /* whose batch norms all ranks share, or NULL */
    const vbg_loop_calls *calls;
    void *arg;
    json_t *config; /* what shapes the course (vbg_loop_config); borrowed */
    char **argv;    /* for the log, ended by NULL */
    vbg_loop_opt opt;
    uint64_t jobs_per_epoch;
    int samples_per_job;
    double jobs;       /* micro-batches in all, over all ranks; set by the loop */
    int depth;         /* slots of load */
    bool rare_exports; /* model.vbg only at the end: it is large beside what is trained */
    const char *best;  /* "loss", or a value of validate that is better when higher */
} vbg_loop;

/* The option table of a command: its own rows, then the loop's (loop_options.c) without
 * those that it has itself (other defaults).  --batch is the command's to read. */
enum { VBG_LOOP_ROWS = 80 };
void vbg_loop_table(vbg_option table[VBG_LOOP_ROWS], const vbg_option *own);

/* A command of vbg-train. */
typedef struct vbg_trainer {
    vbg_program program;   /* without options */
    const vbg_option *own; /* ended by a row without a name */
    /* Opens what the command needs from v (which outlives close) and ends in
     * vbg_loop_run. */
    vbg_status (*train)(void *arg, const vbg_program *program, vbg_values *v,
                        vbg_err *err);
    void (*close)(void *arg); /* whatever came of train */
} vbg_trainer;

/* Runs it; returns the program's exit code. */
int vbg_trainer_main(const vbg_trainer *t, void *arg, int argc, char **argv);

/* Reads those rows.  Errors: VBG_EUSAGE. */
vbg_status vbg_loop_options(vbg_loop_opt *o, const vbg_values *v, vbg_err *err);
/* The values of all options that shape the course, as {"lr":"0.0002",...}; the caller
 * owns it. */
json_t *vbg_loop_config(const vbg_program *p, const vbg_values *v);

/* Share of the training that lies before a job, 0..1. */
double vbg_loop_progress(const vbg_loop *l, uint64_t job);

/* Trains to the end, the clock or a signal.  Errors: those of the calls; VBG_EUSAGE (a
 * training is already there, another trainer works there); VBG_EFORMAT (checkpoint, loss
 * that is not finite); VBG_EIO; VBG_ECANCEL after a signal, saved. */
vbg_status vbg_loop_run(vbg_loop *l, vbg_err *err);

#endif
