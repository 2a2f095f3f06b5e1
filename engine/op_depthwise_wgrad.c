/* Weight gradients of depthwise convolutions: sums over pixels of dy times x, tap by tap.
 * The rows are cut into fixed pieces whose sums are added in order. */
#include "engine/op_gemm.h"

#include <string.h>

#include "engine/op_util.h"

enum { PIECES = 16 }; /* of the rows, whose sums are added in order */

typedef struct depthwise_job {
    const vbg_train_kernels *k;
    vbg_depthwise_grad_args args;
    size_t rows, pieces, count; /* count: taps * oc */
    size_t times;               /* output channels of an input channel */
    const vbg_tensor *x;
    vbg_tensor *wide;
    float *grad;
} depthwise_job;

static void depthwise_piece(void *arg, size_t index, int thread)
{
    const depthwise_job *j = arg;
    vbg_depthwise_grad_args a = j->args;

    (void)thread;
    a.sum += index * j->count;
    memset(a.sum, 0, j->count * sizeof *a.sum);
    j->k->depthwise_grad(&a, index * j->rows / j->pieces,
                         (index + 1) * j->rows / j->pieces);
}

static void repeat_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const depthwise_job *j = arg;
    vbg_row_io io = vbg_io_of(j->wide, j->x, r0, r1);

    (void)thread;
    io.cols = (size_t)j->x->c;
    j->k->repeat(&io, j->times);
}

/* grad [oc][taps] += the pieces' sums [taps][oc]. */
static void add_pieces(const depthwise_job *j)
{
    const size_t oc = (size_t)j->args.a->oc, taps = j->count / oc;

    for (size_t o = 0; o < oc; o++)
        for (size_t t = 0; t < taps; t++) {
            double sum = 0;
            for (size_t p = 0; p < j->pieces; p++)
                sum += (double)j->args.sum[p * j->count + t * oc + o];
            j->grad[o * taps + t] += (float)sum;
        }
}

void vbg_depthwise_weight_grad(vbg_ctx *c, const vbg_conv_args *a, const vbg_tensor *dy,
                               float *grad)
{
    const size_t rows = (size_t)(a->n * a->oh), oc = (size_t)a->oc;
    vbg_conv_args all = *a;
    depthwise_job j = { .k = &vbg_ctx_kernels(c)->train,
                        .rows = rows,
                        .pieces = rows < PIECES ? rows : PIECES,
                        .count = (size_t)(a->kh * a->kw) * oc,
                        .times = oc / (size_t)a->c,
                        .grad = grad };

    vbg_scope_open(c);
    if (j.times > 1) {
        vbg_tensor *x = vbg_wrap(c, a->x, a->xt, a->n, a->h, a->w_in, a->c);
        x->ld = a->ldx;
        j.x = x;
        j.wide = vbg_new_typed(c, a->xt, a->n, a->h, a->w_in, a->oc);
        if (!vbg_planning(c))
            vbg_parallel_rows(c, vbg_rows(x), oc, repeat_rows, &j);
        all.x = j.wide->data;
        all.ldx = oc;
        all.c = a->oc;
    }
    j.args = (vbg_depthwise_grad_args){ .a = &all,
                                        .dy = dy->data,
                                        .lddy = dy->ld,
                                        .sum = vbg_room(c, VBG_F32, j.pieces * j.count) };
    if (!vbg_planning(c)) {
        vbg_parallel(c, j.pieces, depthwise_piece, &j);
        add_pieces(&j);
    }
    vbg_scope_close(c, NULL);
}
