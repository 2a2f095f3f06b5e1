/* The training checkpoint: one .vbg file with everything that the next step depends on.
 *
 *     metadata   train.version, train.kind, train.step, train.seed, train.config (JSON),
 *                train.best, train.compact, train.rewarm, train.last, optimiser and its
 * steps tensors    component "unet": values, f32, PyTorch order, buffers too
 *                "unet@momentum", "@square", "@square_max", "@ema": as the optimiser
 * keeps
 *
 * Data order and every random number follow from (seed, step), so they need no place of
 * their own.  No times are stored: the same training gives the same bytes.
 * Compact: values and averages in bf16, no moments; a training that starts from one goes
 * on with fresh moments and a short warm-up. */
#ifndef VBG_ENGINE_TRAIN_STATE_H
#define VBG_ENGINE_TRAIN_STATE_H

#include "engine/optim.h"

typedef struct vbg_train_state {
    const char *kind;   /* "caa": a checkpoint of another kind is refused */
    const char *config; /* JSON text of the options that shape the course */
    uint64_t seed;
    long step;     /* steps done */
    double best;   /* best validation so far; NAN: none */
    long rewarm;   /* step at which moments were lost last (compact start), or -1 */
    long last;     /* steps in all, where the clock chose them; 0: as options say */
    bool compact;  /* loading: what the file is */
    char *storage; /* owns kind and config after loading */
} vbg_train_state;

/* Writes the checkpoint to path, complete or not at all (engine/io.h).  o may be NULL:
 * no moments.  Errors: VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_train_save(const char *path, vbg_params *p, vbg_optim *o,
                          const vbg_train_state *s, vbg_err *err);
/* Reads it into p and o, which are bound as they were when it was written; nothing is
 * changed on failure.  s->kind says what is expected (NULL: any); afterwards s is what
 * the file holds and vbg_train_state_free's.  The caller packs (vbg_params_refresh).
 * Errors: VBG_EIO, VBG_ENOMEM; VBG_EFORMAT with what differs: no checkpoint, damaged,
 * another version, kind, architecture (the first tensor that differs) or optimiser. */
vbg_status vbg_train_load(const char *path, vbg_params *p, vbg_optim *o,
                          vbg_train_state *s, vbg_err *err);
void vbg_train_state_free(vbg_train_state *s); /* accepts NULL and zeroed */

#endif
