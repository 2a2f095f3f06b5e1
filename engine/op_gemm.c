/* Linear layers and convolutions: checks, output allocation, cutting of the work.
 *
 * The output of every op here is a matrix of pixels x channels.  It is cut into
 * rectangles of rows (pixels, or image rows for convolutions) and blocks of 16
 * channels; the kernels promise that an element does not depend on the cut, so
 * the number of threads may choose it. */
#include "engine/op_gemm.h"

enum {
    BLOCK = 16,
    ROWS = 512,    /* pixels of a task: what passes over a panel of weights   */
    STRIP_ROWS = 8 /* image rows of a task: neighbours read 2 more for a 3x3  */
};

/* A job of one op: exactly one of the argument structs is in use. */
typedef struct gemm_job {
    vbg_ctx *c;
    const vbg_gemm_kernels *k;
    const vbg_gemm_args *gemm;
    const vbg_conv_args *conv;
    size_t rows, blocks, row_step, block_step, row_tasks;
} gemm_job;

static void gemm_task(void *arg, size_t index, int thread)
{
    const gemm_job *j = arg;
    size_t r0 = index % j->row_tasks * j->row_step;
    size_t b0 = index / j->row_tasks * j->block_step;
    size_t r1 = r0 + j->row_step < j->rows ? r0 + j->row_step : j->rows;
    size_t b1 = b0 + j->block_step < j->blocks ? b0 + j->block_step : j->blocks;
    void *scratch = vbg_scratch(j->c, thread);

    if (j->gemm)
        j->k->gemm(j->gemm, r0, r1, b0, b1, scratch);
    else
        j->k->conv(j->conv, r0, r1, b0, b1, scratch);
}

/* Chooses the rectangle.  unit is the number of pixels in a row.  Aims at four tasks per
 * thread (a kernel prefetches within a task, so larger is better); halves the rows first,
 * down to what makes a panel of weights worth reading, then the blocks, then what is left
 * of the rows. */
static void cut(gemm_job *j, size_t unit)
{
    const size_t threads = (size_t)vbg_ctx_threads(j->c);
    const size_t want = threads > 1 ? 4 * threads : 1;
    const size_t least = j->conv && vbg_divide_up(ROWS, unit) < STRIP_ROWS
                             ? STRIP_ROWS
                             : vbg_divide_up(ROWS, unit);

    j->row_step = j->rows;
    j->block_step = j->blocks;
    while (vbg_divide_up(j->rows, j->row_step) * vbg_divide_up(j->blocks, j->block_step) <
           want) {
        if (j->row_step >= 2 * least)
            j->row_step = vbg_divide_up(j->row_step, 2);
        else if (j->block_step >= 8)
            j->block_step = vbg_round_up(j->block_step / 2, 4);
        else if (j->row_step * unit >= 64 && j->row_step > 1)
            j->row_step = vbg_divide_up(j->row_step, 2);
        else if (j->block_step > 2)
            j->block_step = 2;
        else
            break;
    }
    if (!j->conv && j->row_step > 32) /* whole pairs of tiles */
        j->row_step = vbg_round_up(j->row_step, 32);
    j->row_tasks = vbg_divide_up(j->rows, j->row_step);
}

void vbg_gemm_run(vbg_ctx *c, const vbg_gemm_args *a, size_t rows)
{
    const vbg_gemm_kernels *k = &vbg_ctx_kernels(c)->gemm;

    vbg_scratch_reserve(c, k->gemm_scratch(a));
    vbg_count_macs(c, (double)rows * (double)a->k * (double)a->oc);
    if (vbg_planning(c))
        return;
    vbg_gemm_args args = *a;
    args.short_sums = vbg_training(c);
    gemm_job j = { .c = c,
                   .k = k,
                   .gemm = &args,
                   .rows = rows,
                   .blocks = vbg_divide_up(a->geglu ? a->oc / 2 : a->oc, BLOCK) };
    cut(&j, 1);
    vbg_parallel(c, j.row_tasks * vbg_divide_up(j.blocks, j.block_step), gemm_task, &j);
}

void vbg_conv_run(vbg_ctx *c, const vbg_conv_args *a)
{
    const vbg_gemm_kernels *k = &vbg_ctx_kernels(c)->gemm;

    vbg_scratch_reserve(c, k->conv_scratch(a));
    vbg_count_macs(c, vbg_conv_macs(a));
    if (vbg_planning(c))
        return;
    vbg_conv_args args = *a;
    args.short_sums = vbg_training(c);
    gemm_job j = { .c = c,
                   .k = k,
                   .conv = &args,
                   .rows = (size_t)a->n * (size_t)a->oh,
                   .blocks = vbg_divide_up((size_t)a->oc, BLOCK) };
    cut(&j, (size_t)a->ow);
    vbg_parallel(c, j.row_tasks * vbg_divide_up(j.blocks, j.block_step), gemm_task, &j);
}

static void check_residual(const vbg_tensor *r, const vbg_tensor *y)
{
    VBG_CHECK(!r || (vbg_rows(r) == vbg_rows(y) && r->c == y->c && r->dtype == y->dtype),
              "residual [%d,%d,%d,%d] %s for [%d,%d,%d,%d] %s", r->n, r->h, r->w, r->c,
              vbg_dtype_name(r->dtype), y->n, y->h, y->w, y->c, vbg_dtype_name(y->dtype));
}

static vbg_epilogue epilogue(const vbg_weight *w, const vbg_tensor *residual, vbg_act act)
{
    return (vbg_epilogue){ .scale = w->scale,
                           .bias = w->bias,
                           .residual = residual ? residual->data : NULL,
                           .ldr = residual ? residual->ld : 0,
                           .act = act };
}

/* y [n,h,w,oc] = gemm of the pixels of x; geglu halves the channels. */
static vbg_tensor *run_gemm(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                            const vbg_conv_opt *opt, bool geglu)
{
    vbg_dtype yt = opt->f32_out ? VBG_F32 : vbg_ctx_act(c);
    vbg_tensor *y = vbg_new_typed(c, yt, x->n, x->h, x->w, geglu ? w->oc / 2 : w->oc);
    check_residual(opt->residual, y);

    vbg_gemm_args a = { .x = x->data,
                        .ldx = x->ld,
                        .w = w->data,
                        .y = y->data,
                        .ldy = y->ld,
                        .k = (size_t)w->c,
                        .oc = (size_t)w->oc,
                        .xt = x->dtype,
                        .wt = w->dtype,
                        .yt = yt,
                        .geglu = geglu,
                        .ep = epilogue(w, opt->residual, opt->act) };
    vbg_gemm_run(c, &a, vbg_rows(x));
    return y;
}

static void check_linear(const vbg_tensor *x, const vbg_weight *w)
{
    VBG_CHECK(w->data && w->c == x->c && w->groups <= 1 && !w->transposed &&
                  w->kh * w->kw == 1,
              "linear [%d,%d,%d,%d] with weight [%d,%d,%d,%d] groups %d", x->n, x->h,
              x->w, x->c, w->oc, w->c, w->kh, w->kw, w->groups);
}

vbg_tensor *vbg_linear(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w)
{
    return vbg_linear_ex(c, x, w, (vbg_linear_opt){ 0 });
}

vbg_tensor *vbg_linear_ex(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                          vbg_linear_opt opt)
{
    check_linear(x, w);
    return vbg_conv2d(c, x, w,
                      (vbg_conv_opt){ .act = opt.act,
                                      .residual = opt.residual,
                                      .f32_out = opt.f32_out });
}

vbg_tensor *vbg_linear_geglu(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w)
{
    check_linear(x, w);
    VBG_CHECK(w->oc % 32 == 0 && !w->bn, "geglu of %d channels", w->oc);
    if (!vbg_conv_recorded(c, x, w, NULL))
        return run_gemm(c, x, w, &(vbg_conv_opt){ 0 }, true);
    vbg_scope_open(c);
    return vbg_scope_close(c, vbg_geglu(c, vbg_linear(c, x, w)));
}

/* Output size and first padding of one axis. */
typedef struct axis {
    int out, pad;
} axis;

static axis conv_axis(int in, int k, int stride, int dil, bool same, int pad0, int pad1)
{
    int reach = dil * (k - 1) + 1;

    if (same) {
        int out = (in + stride - 1) / stride;
        int total = vbg_max_int((out - 1) * stride + reach - in, 0);
        return (axis){ out, total / 2 };
    }
    VBG_CHECK(in + pad0 + pad1 >= reach, "window of %d over %d + %d + %d", reach, in,
              pad0, pad1);
    return (axis){ (in + pad0 + pad1 - reach) / stride + 1, pad0 };
}

/* Everything but the pointers of y. */
static vbg_conv_args conv_shape(const vbg_tensor *x, const vbg_weight *w,
                                const vbg_conv_opt *o)
{
    const int stride = o->stride ? o->stride : 1, dil = o->dilation ? o->dilation : 1;
    const int stride_x = o->stride_x ? o->stride_x : stride, up = o->upsample2 ? 2 : 1;
    axis v = conv_axis(x->h * up, w->kh, stride, dil, o->same, o->pad + o->pad_top,
                       o->pad + o->pad_bottom);
    axis h = conv_axis(x->w * up, w->kw, stride_x, dil, o->same, o->pad + o->pad_left,
                       o->pad + o->pad_right);

    return (vbg_conv_args){ .x = x->data,
                            .ldx = x->ld,
                            .w = w->data,
                            .n = x->n,
                            .h = x->h,
                            .w_in = x->w,
                            .c = x->c,
                            .oh = v.out,
                            .ow = h.out,
                            .oc = w->oc,
                            .kh = w->kh,
                            .kw = w->kw,
                            .stride_y = stride,
                            .stride_x = stride_x,
                            .pad_top = v.pad,
                            .pad_left = h.pad,
                            .dil_y = dil,
                            .dil_x = dil,
                            .groups = w->groups > 1 ? w->groups : 1,
                            .xt = x->dtype,
                            .wt = w->dtype,
                            .upsample2 = o->upsample2 };
}

/* Image rows of a kernel that needs no scratch and makes all channels. */
typedef struct row_job {
    void (*run)(const vbg_conv_args *a, size_t r0, size_t r1);
    const vbg_conv_args *a;
    size_t rows, step;
} row_job;

static void row_task(void *arg, size_t index, int thread)
{
    const row_job *j = arg;
    size_t r0 = index * j->step;
    size_t r1 = r0 + j->step < j->rows ? r0 + j->step : j->rows;

    (void)thread;
    j->run(j->a, r0, r1);
}

static void run_rows(vbg_ctx *c, const vbg_conv_args *a,
                     void (*run)(const vbg_conv_args *a, size_t r0, size_t r1))
{
    row_job j = { .run = run, .a = a, .rows = (size_t)a->n * (size_t)a->oh };

    j.step = vbg_divide_up(j.rows, 4 * (size_t)vbg_ctx_threads(c));
    vbg_parallel(c, vbg_divide_up(j.rows, j.step), row_task, &j);
}

void vbg_depthwise_run(vbg_ctx *c, const vbg_conv_args *a)
{
    if (!vbg_planning(c))
        run_rows(c, a, vbg_ctx_kernels(c)->gemm.depthwise);
}

/* ---- upsampling as four small convolutions ---- */

/* Which rows (or columns) of a 3-tap kernel fall on tap t of phase p: output 2y + p
 * reads the upsampled rows 2y+p-1 .. 2y+p+1, which are the rows y+p-1 and y+p. */
static const int phase_taps[2][2][2] = { { { 0, 1 }, { 1, 3 } }, { { 0, 2 }, { 2, 3 } } };

size_t vbg_weight_phases_bytes(const vbg_ctx *c, const vbg_weight *w)
{
    if (vbg_ctx_act(c) != VBG_BF16 || vbg_ctx_kernels(c)->isa < VBG_ISA_AMX_BF16 ||
        !w->data || w->dtype != VBG_BF16 || w->kh != 3 || w->kw != 3 || w->groups > 1 ||
        w->transposed || w->c % 32)
        return 0;
    return 4 * vbg_pack_bytes(VBG_BF16, (size_t)w->oc, (size_t)w->c, 4);
}

/* Tap (ty, tx) of phase (py, px) of one block: the sum of its source taps. */
static void sum_taps(uint16_t *dst, const uint16_t *src, size_t tap_values, int py,
                     int px, int ty, int tx)
{
    const int *ry = phase_taps[py][ty], *rx = phase_taps[px][tx];

    for (size_t i = 0; i < tap_values; i++) {
        float sum = 0;
        for (int y = ry[0]; y < ry[1]; y++)
            for (int x = rx[0]; x < rx[1]; x++)
                sum += vbg_bf16_to_f32(src[(size_t)(y * 3 + x) * tap_values + i]);
        dst[i] = vbg_f32_to_bf16(sum);
    }
}

void vbg_weight_phases_make(vbg_weight *w, void *dst)
{
    const size_t tap = (size_t)w->c * BLOCK, blocks = vbg_divide_up((size_t)w->oc, BLOCK);
    uint16_t *to = dst;

    for (int phase = 0; phase < 4; phase++)
        for (size_t b = 0; b < blocks; b++)
            for (int t = 0; t < 4; t++, to += tap)
                sum_taps(to, (const uint16_t *)w->data + b * 9 * tap, tap, phase / 2,
                         phase % 2, t / 2, t % 2);
    w->phases = dst;
}

/* Whether the phases of w may be used: the kernel must write rows apart. */
static bool use_phases(const vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                       const vbg_conv_opt *o)
{
    return w->phases && !vbg_trainable(c, w->data) && o->upsample2 && o->pad == 1 &&
           o->stride <= 1 && !o->residual && !o->same &&
           o->pad_top + o->pad_left + o->pad_bottom + o->pad_right == 0 &&
           x->dtype == VBG_BF16 && vbg_ctx_kernels(c)->isa >= VBG_ISA_AMX_BF16 &&
           x->w >= BLOCK && (x->w % BLOCK == 0 || x->w >= 64);
}

/* a: the whole convolution, y and epilogue set. */
static void run_phases(vbg_ctx *c, const vbg_conv_args *a, const vbg_weight *w)
{
    const size_t bytes = vbg_pack_bytes(VBG_BF16, (size_t)w->oc, (size_t)w->c, 4);
    const size_t pixel = a->ldy * vbg_dtype_size(a->yt);
    vbg_conv_args p = *a;

    p.upsample2 = false;
    p.kh = p.kw = 2;
    p.oh = a->h;
    p.ow = a->w_in;
    p.ldy = 2 * a->ldy;
    p.y_row = 2 * (size_t)a->w_in;
    for (size_t phase = 0; phase < 4; phase++) {
        size_t first = phase / 2 * (size_t)a->ow + phase % 2;
        p.w = (const char *)w->phases + phase * bytes;
        p.pad_top = phase / 2 ? 0 : 1;
        p.pad_left = phase % 2 ? 0 : 1;
        if (a->y)
            p.y = (char *)a->y + first * pixel;
        vbg_conv_run(c, &p);
    }
}

/* y of a convolution whose shape is a. */
static vbg_tensor *run_conv(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                            const vbg_conv_opt *opt, const vbg_conv_args *shape)
{
    vbg_conv_args a = *shape;
    vbg_tensor *y = vbg_new_typed(c, opt->f32_out ? VBG_F32 : vbg_ctx_act(c), x->n, a.oh,
                                  a.ow, w->oc);

    check_residual(opt->residual, y);
    a.yt = y->dtype;
    a.y = y->data;
    a.ldy = y->ld;
    a.ep = epilogue(w, opt->residual, opt->act);
    if (use_phases(c, x, w, opt))
        run_phases(c, &a, w);
    else if (vbg_is_depthwise(w))
        vbg_depthwise_run(c, &a);
    else
        vbg_conv_run(c, &a);
    return y;
}

/* What is kept apart for the backward, or because the batch norm is trained. */
static vbg_tensor *conv_in_steps(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                                 vbg_conv_opt opt)
{
    const vbg_conv_opt after = opt;
    vbg_weight plain = *w;

    plain.bn = NULL;
    plain.idle_bias = w->bn && vbg_training(c);
    opt.act = VBG_ACT_NONE;
    if (w->bn)
        opt.residual = NULL;
    vbg_scope_open(c);
    vbg_tensor *y = vbg_conv2d(c, x, &plain, opt);
    if (w->bn)
        y = vbg_batch_norm(c, y, w->bn, after.residual, after.act);
    else
        y = vbg_activate(c, y, after.act);
    return vbg_scope_close(c, y);
}

vbg_tensor *vbg_conv2d(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                       vbg_conv_opt opt)
{
    const bool depthwise = vbg_is_depthwise(w);
    const int groups = w->groups > 1 ? w->groups : 1;

    VBG_CHECK(w->data && !w->transposed &&
                  (depthwise ? w->oc % x->c == 0
                             : w->c * groups == x->c && w->oc % groups == 0),
              "convolution of [%d,%d,%d,%d] with weight [%d,%d,%d,%d] groups %d", x->n,
              x->h, x->w, x->c, w->oc, w->c, w->kh, w->kw, w->groups);
    VBG_CHECK(!depthwise || (w->dtype == VBG_F32 && w->kh * w->kw <= 49),
              "depthwise weights are f32, at most 7x7");
    const bool recorded = vbg_conv_recorded(c, x, w, opt.residual);
    if (w->bn || (recorded && !vbg_act_from_result(opt.act)))
        return conv_in_steps(c, x, w, opt);
    /* the way back wants it so, and tiles too */
    if (recorded && x->dtype == VBG_F32 && w->dtype == VBG_BF16 &&
        vbg_ctx_act(c) == VBG_BF16)
        x = vbg_cast(c, x, VBG_BF16);
    const vbg_conv_args a = conv_shape(x, w, &opt);
    const bool plain = a.kh * a.kw == 1 && groups == 1 && a.oh == x->h && a.ow == x->w &&
                       !opt.upsample2 && a.pad_top == 0 && a.pad_left == 0;
    vbg_tensor *y = plain ? run_gemm(c, x, w, &opt, false) : run_conv(c, x, w, &opt, &a);
    if (recorded)
        vbg_conv_record(c, y, x, w, &a, opt.residual, opt.act);
    return y;
}

static vbg_tensor *transpose_in_steps(vbg_ctx *c, const vbg_tensor *x,
                                      const vbg_weight *w, int stride, int pad,
                                      int out_pad, vbg_act act)
{
    vbg_weight plain = *w;

    plain.bn = NULL;
    plain.idle_bias = w->bn && vbg_training(c);
    vbg_scope_open(c);
    vbg_tensor *y =
        vbg_conv_transpose2d(c, x, &plain, stride, pad, out_pad, VBG_ACT_NONE);
    y = w->bn ? vbg_batch_norm(c, y, w->bn, NULL, act) : vbg_activate(c, y, act);
    return vbg_scope_close(c, y);
}

vbg_tensor *vbg_conv_transpose2d(vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                                 int stride, int pad, int out_pad, vbg_act act)
{
    VBG_CHECK(w->data && w->transposed && w->c == x->c && w->groups <= 1 &&
                  w->dtype == VBG_F32 && w->kh * w->kw <= 49 && stride > 0,
              "transposed convolution of [%d,%d,%d,%d] with weight [%d,%d,%d,%d]", x->n,
              x->h, x->w, x->c, w->oc, w->c, w->kh, w->kw);
    const bool recorded = vbg_conv_recorded(c, x, w, NULL);
    if (w->bn || (recorded && !vbg_act_from_result(act)))
        return transpose_in_steps(c, x, w, stride, pad, out_pad, act);
    vbg_conv_args a = conv_shape(x, w, &(vbg_conv_opt){ .pad = w->kh + w->kw });
    a.oh = (x->h - 1) * stride + w->kh - 2 * pad + out_pad;
    a.ow = (x->w - 1) * stride + w->kw - 2 * pad + out_pad;
    a.stride_y = a.stride_x = stride;
    a.pad_top = a.pad_left = pad;
    a.yt = vbg_ctx_act(c);
    vbg_tensor *y = vbg_new(c, x->n, a.oh, a.ow, w->oc);
    a.y = y->data;
    a.ldy = y->ld;
    a.ep = epilogue(w, NULL, act);
    if (!vbg_planning(c))
        run_rows(c, &a, vbg_ctx_kernels(c)->gemm.transpose);
    if (recorded)
        vbg_conv_record(c, y, x, w, &a, NULL, act);
    return y;
}
