/* What the op files share: work cut into fixed runs of rows.  Private to engine/. */
#ifndef VBG_ENGINE_OP_UTIL_H
#define VBG_ENGINE_OP_UTIL_H

#include "engine/tensor.h"
#include "kernels/rows.h"

/* Rows [r0, r1) of something. */
typedef void vbg_rows_task(void *arg, size_t r0, size_t r1, int thread);

/* Calls fn for runs of rows that cover 0..rows-1, each of about 32 K elements (cols
 * a row).  The cut depends on the shape only. */
void vbg_parallel_rows(vbg_ctx *c, size_t rows, size_t cols, vbg_rows_task *fn,
                       void *arg);

/* dx = dy act'(x): x is what act was applied to or, where vbg_act_from_result(act), its
 * result; of one shape, dx of dy's type. */
vbg_tensor *vbg_act_back(vbg_ctx *c, const vbg_tensor *dy, const vbg_tensor *x,
                         vbg_act act);

/* Sums over the rows of each of groups equal runs of rows -> f32 [groups,1,1,c]; of x*b
 * when b (of x's size and type) is not NULL. */
vbg_tensor *vbg_sum_rows(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *b,
                         int groups);

/* vbg_gather by tables that are tensors: index i32, weight f32 [1,oh,ow,taps]. */
vbg_tensor *vbg_gather_table(vbg_ctx *c, const vbg_tensor *x, vbg_tensor *index,
                             vbg_tensor *weight);

/* Address of row r of t. */
static inline void *vbg_row_at(const vbg_tensor *t, size_t r)
{
    return (char *)t->data + r * t->ld * vbg_dtype_size(t->dtype);
}

/* Rows [r0, r1) of x and y as the kernels take them. */
static inline vbg_row_io vbg_io_of(const vbg_tensor *y, const vbg_tensor *x, size_t r0,
                                   size_t r1)
{
    return (vbg_row_io){ .y = vbg_row_at(y, r0),
                         .x = vbg_row_at(x, r0),
                         .ldy = y->ld,
                         .ldx = x->ld,
                         .rows = r1 - r0,
                         .cols = (size_t)y->c,
                         .yt = y->dtype,
                         .xt = x->dtype };
}

/* f32 or bf16, what ops compute with. */
static inline bool vbg_is_float_act(const vbg_tensor *x)
{
    return x->dtype == VBG_F32 || x->dtype == VBG_BF16;
}

#endif
