/* What the norms and their way back share.  Private to engine/. */
#ifndef VBG_ENGINE_OP_NORM_H
#define VBG_ENGINE_OP_NORM_H

#include "engine/op_util.h"
#include "engine/ops.h"
#include "engine/tape.h"

enum { VBG_NORM_SCALE, VBG_NORM_SHIFT, VBG_NORM_CENTRE, VBG_NORM_ROWS };
enum { VBG_NORM_MOMENTS = 3 }; /* mean, 1/deviation, variance */

/* Statistics of a group or batch norm. */
typedef struct vbg_norm_stats {
    int groups;
    bool fixed;          /* they do not depend on x */
    int sharers;         /* processes whose x they are of, 0 or 1: this one alone */
    vbg_tensor *factors; /* f32 [n,VBG_NORM_ROWS,1,c]: y = act(x*scale + shift); centre is
                            a value near the mean of the channel */
    vbg_tensor *moments; /* f64 [n,groups,1,VBG_NORM_MOMENTS] */
} vbg_norm_stats;

/* Row `row` of image n's factors; NULL while planning. */
static inline float *vbg_norm_row(const vbg_norm_stats *s, int row, size_t n)
{
    float *f = s->factors->data;

    return f ? f + (n * VBG_NORM_ROWS + (size_t)row) * (size_t)s->factors->c : NULL;
}

/* Moments of group g of image n. */
static inline double *vbg_norm_moments(const vbg_norm_stats *s, size_t n, size_t g)
{
    return (double *)s->moments->data + (n * (size_t)s->groups + g) * VBG_NORM_MOMENTS;
}

/* A cut of every image into runs of image rows, by the shape only. */
typedef struct vbg_chunks {
    size_t count, rows; /* chunks of an image; image rows of a chunk */
} vbg_chunks;
vbg_chunks vbg_chunks_of(const vbg_tensor *x);

/* Chunk `index` of all images: pixels [first, first + rows). */
typedef struct vbg_chunk {
    size_t image, first, rows;
} vbg_chunk;
vbg_chunk vbg_chunk_at(vbg_chunks k, const vbg_tensor *x, size_t index);

/* Whether every image is a task of its own: its second pass then finds it in L2. */
static inline bool vbg_image_tasks(const vbg_ctx *c, const vbg_tensor *x)
{
    const int threads = vbg_ctx_threads(c);

    return x->n % threads == 0 || x->n >= 4 * threads;
}

/* Adds chunks of count sums to the first of them, in order. */
void vbg_add_chunks(double *sums, size_t chunks, size_t count);

/* Entries on the tape, where gradients are wanted. */
void vbg_record_layer_norm(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x,
                           const vbg_norm_w *w, float eps);
void vbg_record_scale_shift(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x,
                            const float *scale, const float *shift, vbg_act act);
/* x has as many images as s, whatever y's shape. */
void vbg_record_norm(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x,
                     const vbg_norm_stats *s, const vbg_norm_w *w, const vbg_tensor *res,
                     vbg_act act);
void vbg_record_softmax(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x);

#endif
