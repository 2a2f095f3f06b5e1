/* Tensors, the context that owns them, planning runs, scopes and threads.
 *
 * Everything is NHWC.  An image [n,h,w,c] and its tokens [n,1,h*w,c] are the
 * same memory.  A tensor's c values of one pixel are contiguous; neighbouring
 * pixels lie ld elements apart (ld > c in column views such as the q, k, v
 * thirds of one projection).
 *
 *     pixel (n,y,x), channel c  ->  data[((n*h + y)*w + x)*ld + c]
 *
 * Memory: all tensors of a context live in one slab.  A job is a function that
 * is called twice by vbg_run: first to plan (shapes only, data == NULL, nothing
 * computed), then, with a slab of the size found, for real.  Allocation is a
 * deterministic first fit over a free list, so the second call repeats the first
 * and no op can fail for memory.  Scopes return memory early:
 *
 *     vbg_scope_open(c);
 *     ... temporaries ...
 *     return vbg_scope_close(c, y);      y survives in the outer scope
 */
#ifndef VBG_ENGINE_TENSOR_H
#define VBG_ENGINE_TENSOR_H

#include "engine/base.h"
#include "kernels/table.h"

typedef struct vbg_ctx vbg_ctx;

typedef struct vbg_tensor {
    void *data; /* NULL while planning */
    vbg_dtype dtype;
    int n, h, w, c;
    size_t ld; /* elements from one pixel to the next, >= c */
    int var;   /* number of its gradient on the tape (engine/tape.h), 0: none */
} vbg_tensor;

typedef struct vbg_ctx_opt {
    int threads;         /* 0: as many as cores this process may use        */
    vbg_isa isa;         /* highest level that may be used                  */
    vbg_dtype precision; /* VBG_F32 exact; VBG_BF16 fast where the CPU can  */
} vbg_ctx_opt;

/* A context with its kernel table.  Errors: VBG_ENOMEM. */
vbg_status vbg_ctx_new(vbg_ctx **out, const vbg_ctx_opt *opt, vbg_err *err);
void vbg_ctx_free(vbg_ctx *c); /* accepts NULL */

const vbg_kernels *vbg_ctx_kernels(const vbg_ctx *c);
int vbg_ctx_threads(const vbg_ctx *c);
/* Type in which ops store activations: VBG_BF16 when the precision asks for it
 * and the CPU multiplies bf16, else VBG_F32. */
vbg_dtype vbg_ctx_act(const vbg_ctx *c);
bool vbg_planning(const vbg_ctx *c);

/* Plans job, takes the slab, runs job.  The job must allocate the same shapes
 * both times and must not touch data while vbg_planning(c).  Tensors do not
 * outlive the call: copy results out.  bytes_out (may be NULL) gets the slab
 * size.  Errors: VBG_ENOMEM with the number of bytes; a status the job returns. */
typedef vbg_status vbg_job(vbg_ctx *c, void *arg, vbg_err *err);
vbg_status vbg_run(vbg_ctx *c, vbg_job *job, void *arg, vbg_err *err);
/* Only plans: *bytes is what vbg_run would take. */
vbg_status vbg_plan(vbg_ctx *c, vbg_job *job, void *arg, size_t *bytes, vbg_err *err);
/* Bytes of the largest slab so far. */
size_t vbg_ctx_slab_bytes(const vbg_ctx *c);

/* Multiply-adds of the matrix products (linear layers, convolutions, attention and their
 * gradients) of the job planned last, computed twice where a segment is; CAA's own
 * attention is left out. */
double vbg_ctx_macs(const vbg_ctx *c);

/* New tensor in the current scope, contents undefined, ld == c, followed by at
 * least 64 readable bytes.  vbg_new uses vbg_ctx_act. */
vbg_tensor *vbg_new_typed(vbg_ctx *c, vbg_dtype t, int n, int h, int w, int ch);
vbg_tensor *vbg_new(vbg_ctx *c, int n, int h, int w, int ch);

/* A tensor header over memory of the caller's (not copied, must outlive use).
 * vbg_wrap's header belongs to the current scope. */
vbg_tensor *vbg_wrap(vbg_ctx *c, const void *data, vbg_dtype t, int n, int h, int w,
                     int ch);

/* Views share memory with t and keep it alive in their scope.
 *   vbg_view     the same elements with other n,h,w,c (t contiguous or the same c)
 *   vbg_columns  channels [first, first+ch)
 *   vbg_images   images [first, first+n) */
vbg_tensor *vbg_view(vbg_ctx *c, const vbg_tensor *t, int n, int h, int w, int ch);
vbg_tensor *vbg_columns(vbg_ctx *c, const vbg_tensor *t, int first, int ch);
vbg_tensor *vbg_images(vbg_ctx *c, const vbg_tensor *t, int first, int n);

/* Scopes.  close frees every tensor made since open except keep (may be NULL),
 * which moves to the outer scope and is returned.  vbg_keep moves t one scope
 * out without closing.  vbg_drop frees t now. */
void vbg_scope_open(vbg_ctx *c);
vbg_tensor *vbg_scope_close(vbg_ctx *c, vbg_tensor *keep);
void vbg_keep(vbg_ctx *c, vbg_tensor *t);
void vbg_drop(vbg_ctx *c, vbg_tensor *t);

/* Number of pixels n*h*w. */
static inline size_t vbg_rows(const vbg_tensor *t)
{
    return (size_t)t->n * (size_t)t->h * (size_t)t->w;
}

static inline bool vbg_contiguous(const vbg_tensor *t)
{
    return t->ld == (size_t)t->c;
}

/* Runs fn(arg, index, thread) for every index in 0..count-1 on the context's
 * threads, thread in 0..threads-1.  Which thread runs which index is not fixed:
 * tasks write disjoint outputs, so results never depend on the thread count. */
typedef void vbg_task(void *arg, size_t index, int thread);
void vbg_parallel(vbg_ctx *c, size_t count, vbg_task *fn, void *arg);

/* Private scratch of each thread, 64-byte aligned.  An op calls reserve while
 * planning and while running, then vbg_scratch inside its tasks. */
void vbg_scratch_reserve(vbg_ctx *c, size_t bytes_per_thread);
void *vbg_scratch(vbg_ctx *c, int thread);

#endif
