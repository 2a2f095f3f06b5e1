/* The tape: what happened in a forward pass downstream of something trainable, so that
 * the gradients can be worked out backwards.
 *
 *     job:  vbg_tape_start(tape, true);
 *           y = model(c, x);
 *           loss = vbg_loss_mse(c, y, target);
 *           vbg_backward(c, loss);                 parameters' grad += d loss / d value
 *           vbg_tape_stop(tape);
 *
 * The whole step is one job of vbg_run: it is planned and then computed, so nothing in
 * it can fail for memory.  Gradients of tensors have the type and shape of the tensor
 * and live in the slab; gradients of parameters are f32, outside.
 *
 * An op records itself directly after computing y:
 *
 *     if (vbg_needs_grad(c, x) || vbg_trainable(c, w->data)) {
 *         saved *s = vbg_record(c, y, my_backward, sizeof *s);
 *         if (s) {                               NULL while a segment is not kept
 *             s->x = vbg_save(c, x);             x lives until my_backward has run
 *             s->w = *w;
 *         }
 *     }
 *
 * and its backward makes new tensors with ops and adds them up:
 *
 *     static void my_backward(vbg_ctx *c, const vbg_tensor *dy, void *arg)
 *     {
 *         saved *s = arg;
 *         if (vbg_needs_grad(c, s->x))
 *             vbg_grad_add(c, s->x, scaled_by_derivative(c, dy, s->x));
 *     }
 *
 * Backwards run in planning too and must allocate the same shapes both times; each runs
 * in a scope of its own with recording off. */
#ifndef VBG_ENGINE_TAPE_H
#define VBG_ENGINE_TAPE_H

#include "engine/param.h"
#include "engine/tensor.h"

typedef struct vbg_tape vbg_tape;

/* A tape for context c, params may be NULL.  Both must outlive it; one tape a context.
 * Errors: VBG_ENOMEM. */
vbg_status vbg_tape_new(vbg_tape **out, vbg_ctx *c, vbg_params *params, vbg_err *err);
void vbg_tape_free(vbg_tape *t); /* accepts NULL */

/* Several processes train as one: fn replaces v[n] by its sums over all `count` of them.
 * Batch norms in training then take the statistics of all, weighted means the weights of
 * all; gradients of parameters stay those of this process.  All of them must run the same ops. */
typedef void vbg_share_fn(void *arg, double *v, int n);
void vbg_tape_share(vbg_tape *t, int count, vbg_share_fn *fn, void *arg);

/* Recording on.  training: batch norm uses and updates batch statistics. */
void vbg_tape_start(vbg_tape *t, bool training);
void vbg_tape_stop(vbg_tape *t);

/* Whether ops are recorded now: what an op keeps apart for its backward. */
bool vbg_recording(const vbg_ctx *c);
/* Whether batch norm works on batch statistics. */
bool vbg_training(const vbg_ctx *c);
/* Whether a running statistic may be updated now: training, not planning, and not in the
 * first pass over a segment that will be computed again. */
bool vbg_updates_statistics(const vbg_ctx *c);

/* x is a leaf whose gradient is wanted; read it with vbg_grad after vbg_backward. */
void vbg_require_grad(vbg_ctx *c, vbg_tensor *x);
/* Gradient of x so far, or NULL. */
const vbg_tensor *vbg_grad(const vbg_ctx *c, const vbg_tensor *x);

/* x's values without its gradient: a view that the tape does not know. */
vbg_tensor *vbg_detach(vbg_ctx *c, const vbg_tensor *x);

/* Seeds the gradient of loss (one f32 value) with 1 and runs the tape backwards.
 * vbg_backward_from: seeds y's gradient with dy, of y's shape and type. */
void vbg_backward(vbg_ctx *c, const vbg_tensor *loss);
void vbg_backward_from(vbg_ctx *c, const vbg_tensor *y, vbg_tensor *dy);
/* Part of the way: what was recorded since mark is run backwards and forgotten, what came
 * before stays for a later call.  A leaf made after the mark (vbg_detach,
 * vbg_require_grad) has its gradient then. */
size_t vbg_tape_mark(const vbg_ctx *c);
void vbg_backward_to(vbg_ctx *c, const vbg_tensor *y, vbg_tensor *dy, size_t mark);

/* y = fn(c, arg), whose inner tensors are not kept but computed again when the backward
 * gets there.  arg (bytes, copied) may point to tensors: every one of them that is not a
 * leaf of the job must be listed in in[n].  Without a recording tape: only fn. */
typedef vbg_tensor *vbg_segment(vbg_ctx *c, void *arg);
vbg_tensor *vbg_checkpoint(vbg_ctx *c, vbg_segment *fn, const void *arg, size_t bytes,
                           const vbg_tensor *const *in, int n);

/* ---- for ops ---- */

/* Whether a gradient of x is wanted (false without a recording tape). */
bool vbg_needs_grad(const vbg_ctx *c, const vbg_tensor *x);
/* The parameter that data belongs to if it is trained now, else NULL. */
vbg_param *vbg_trainable(const vbg_ctx *c, const void *data);

/* dy is the gradient of y, of its shape: contiguous, read only. */
typedef void vbg_backward_fn(vbg_ctx *c, const vbg_tensor *dy, void *saved);
/* Appends an entry for y (a tensor of its own, not a view) and marks it as wanting a
 * gradient.  Returns zeroed memory of bytes, kept until the tape stops, or NULL. */
void *vbg_record(vbg_ctx *c, vbg_tensor *y, vbg_backward_fn *fn, size_t bytes);
/* Keeps t until the backward of the entry recorded last has run.  Returns t. */
vbg_tensor *vbg_save(vbg_ctx *c, const vbg_tensor *t);

/* x's shape and number without its memory: all that vbg_needs_grad, vbg_grad_add and
 * vbg_grad_full ask for, so that an op whose backward reads no values keeps none. */
static inline vbg_tensor vbg_outline(const vbg_tensor *x)
{
    vbg_tensor o = *x;

    o.data = NULL;
    return o;
}

/* Adds g, of x's shape and of type f32 or bf16, to the gradient of x; does nothing when
 * none is wanted.  g must not be written to afterwards; it may be dy itself or a view. */
void vbg_grad_add(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *g);
/* The gradient of x so far for an op that adds to it while computing (contiguous, of x's
 * type and size; NULL: none), and the sum of both in its place.  g as in vbg_grad_add. */
const vbg_tensor *vbg_grad_so_far(const vbg_ctx *c, const vbg_tensor *x);
void vbg_grad_replace(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *g);
/* The whole gradient of x, zero at first, to be added to in place (scattering ops).
 * Planning: data is NULL. */
vbg_tensor *vbg_grad_full(vbg_ctx *c, const vbg_tensor *x);

/* How many processes share sums (1: only this one), and the sums over them. */
int vbg_sharers(const vbg_ctx *c);
void vbg_share(vbg_ctx *c, double *v, int n);
/* v[n] = their means over the processes while recording: what a loss divides by. */
void vbg_share_mean(vbg_ctx *c, double *v, int n);

/* Memory that lasts as long as the tape, e.g. a frozen weight packed for its backward:
 * the block made for key before (*made false), or a new zeroed one (*made true).
 * NULL: no memory. */
void *vbg_tape_cache(vbg_ctx *c, const void *key, size_t bytes, bool *made);

#endif
