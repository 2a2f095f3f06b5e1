/* Backward of linear layers and convolutions: recording, biases, input gradients; see
 * op_gemm_back.h. */
#include "engine/op_gemm_back.h"

#include <string.h>

#include "engine/op_util.h"

/* ---- input gradients ---- */

/* dy seen as the input of a convolution whose output is dx. */
static vbg_conv_args over_dy(const vbg_layer *l, const vbg_tensor *dy,
                             const vbg_tensor *dx, vbg_dtype wt)
{
    return (vbg_conv_args){ .x = dy->data,
                            .ldx = dy->ld,
                            .y = dx->data,
                            .ldy = dx->ld,
                            .n = dy->n,
                            .h = dy->h,
                            .w_in = dy->w,
                            .c = dy->c,
                            .oh = dx->h,
                            .ow = dx->w,
                            .oc = dx->c,
                            .kh = l->a.kh,
                            .kw = l->a.kw,
                            .stride_y = 1,
                            .stride_x = 1,
                            .dil_y = 1,
                            .dil_x = 1,
                            .groups = l->a.groups,
                            .xt = dy->dtype,
                            .wt = wt,
                            .yt = dx->dtype };
}

/* Copies of pixels of a phase to where they belong, or zeros. */
typedef struct spread {
    const vbg_tensor *to, *from; /* from NULL: zeros */
    int py, px, stride_y, stride_x;
} spread;

static void spread_row(void *arg, size_t index, int thread)
{
    const spread *s = arg;
    const vbg_tensor *to = s->to;
    const int rows = (to->h - s->py + s->stride_y - 1) / s->stride_y;
    const size_t image = index / (size_t)rows, y = index % (size_t)rows;
    const size_t bytes = (size_t)to->c * vbg_dtype_size(to->dtype);
    const size_t first =
        (image * (size_t)to->h + (size_t)s->py + y * (size_t)s->stride_y) *
            (size_t)to->w +
        (size_t)s->px;

    (void)thread;
    for (int x = 0; s->px + x * s->stride_x < to->w; x++) {
        void *dst = vbg_row_at(to, first + (size_t)(x * s->stride_x));
        if (s->from)
            memcpy(dst, vbg_row_at(s->from, index * (size_t)s->from->w + (size_t)x),
                   bytes);
        else
            memset(dst, 0, bytes);
    }
}

static void spread_phase(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dx,
                         const vbg_tensor *part, int py, int px)
{
    spread s = { dx, part, py, px, l->a.stride_y, l->a.stride_x };
    const int rows = (dx->h - py + s.stride_y - 1) / s.stride_y;

    if (!vbg_planning(c) && rows > 0)
        vbg_parallel(c, (size_t)dx->n * (size_t)rows, spread_row, &s);
}

typedef struct fold_job {
    const vbg_train_kernels *k;
    const vbg_tensor *y, *x;
    size_t times;
} fold_job;

static void fold_rows(void *arg, size_t r0, size_t r1, int thread)
{
    const fold_job *j = arg;
    vbg_row_io io = vbg_io_of(j->y, j->x, r0, r1);

    (void)thread;
    j->k->fold(&io, j->times);
}

/* One phase of a depthwise convolution: its f32 kernel [kh*kw][oc] is turned here, and
 * input channels that are read several times add up. */
static void depthwise_phase(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dy,
                            const vbg_tensor *dx, vbg_phase y, vbg_phase x)
{
    const size_t oc = (size_t)l->a.oc, times = oc / (size_t)l->a.c;
    const vbg_tensor *all = dx;
    const float *w = l->w.data;

    vbg_scope_open(c);
    vbg_tensor *kernel = vbg_new_typed(c, VBG_F32, 1, y.count, x.count, l->a.oc);
    for (int i = 0; i < y.count * x.count && !vbg_planning(c); i++) {
        int ky = y.first - i / x.count * y.step, kx = x.first - i % x.count * x.step;
        memcpy((float *)kernel->data + (size_t)i * oc,
               w + (size_t)(ky * l->a.kw + kx) * oc, oc * sizeof *w);
    }
    if (times > 1)
        all = vbg_new_typed(c, VBG_F32, dx->n, dx->h, dx->w, l->a.oc);
    vbg_conv_args a = over_dy(l, dy, all, VBG_F32);
    a.w = kernel->data;
    a.groups = l->a.oc;
    a.kh = y.count;
    a.kw = x.count;
    a.dil_y = y.dil;
    a.dil_x = x.dil;
    a.pad_top = y.pad;
    a.pad_left = x.pad;
    vbg_depthwise_run(c, &a);
    fold_job j = { &vbg_ctx_kernels(c)->train, dx, all, times };
    if (times > 1 && !vbg_planning(c))
        vbg_parallel_rows(c, vbg_rows(dx), oc, fold_rows, &j);
    vbg_scope_close(c, NULL);
}

/* The gradient so far, of dx's type and size, as an epilogue that adds it. */
static vbg_epilogue plus_of(const vbg_tensor *plus, const vbg_tensor *dx)
{
    return plus ? (vbg_epilogue){ .residual = plus->data, .ldr = (size_t)dx->c }
                : (vbg_epilogue){ .residual = NULL };
}

/* One phase into dx, which has its size. */
static void phase_run(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dy,
                      const vbg_tensor *dx, vbg_phase y, vbg_phase x, const void *kernel,
                      const vbg_tensor *plus)
{
    if (vbg_is_depthwise(&l->w)) {
        depthwise_phase(c, l, dy, dx, y, x);
        return;
    }
    vbg_conv_args a = over_dy(l, dy, dx, vbg_ctx_act(c));

    a.w = kernel;
    a.ep = plus_of(plus, dx);
    a.kh = y.count;
    a.kw = x.count;
    a.dil_y = y.dil;
    a.dil_x = x.dil;
    a.pad_top = y.pad;
    a.pad_left = x.pad;
    if (a.kh * a.kw == 1 && a.groups == 1 && a.oh == a.h && a.ow == a.w_in &&
        a.pad_top == 0 && a.pad_left == 0) {
        vbg_gemm_args g = { .x = a.x,
                            .ldx = a.ldx,
                            .w = a.w,
                            .y = a.y,
                            .ldy = a.ldy,
                            .k = (size_t)a.c,
                            .oc = (size_t)a.oc,
                            .xt = a.xt,
                            .wt = a.wt,
                            .yt = a.yt,
                            .ep = a.ep };
        vbg_gemm_run(c, &g, vbg_rows(dx));
    } else {
        vbg_conv_run(c, &a);
    }
}

static void phases_input_grad(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dy,
                              const vbg_tensor *dx, const vbg_tensor *plus)
{
    const vbg_conv_args *a = &l->a;
    const char *kernel = vbg_is_depthwise(&l->w) ? NULL : vbg_back_kernels(c, l);

    for (int py = 0; py < a->stride_y; py++)
        for (int px = 0; px < a->stride_x; px++) {
            const vbg_phase y = vbg_phase_y(l, py), x = vbg_phase_x(l, px);
            const size_t bytes = kernel ? vbg_phase_bytes(c, l, y.count * x.count) : 0;
            if (y.out <= 0 || x.out <= 0) {
            } else if (y.count * x.count == 0) {
                spread_phase(c, l, dx, NULL, py, px);
            } else if (a->stride_y * a->stride_x == 1) {
                phase_run(c, l, dy, dx, y, x, kernel, plus);
            } else {
                vbg_scope_open(c);
                vbg_tensor *part =
                    vbg_new_typed(c, dx->dtype, dx->n, y.out, x.out, dx->c);
                phase_run(c, l, dy, part, y, x, kernel, NULL);
                spread_phase(c, l, dx, part, py, px);
                vbg_scope_close(c, NULL);
            }
            if (kernel)
                kernel += bytes;
        }
}

/* The convolution of stride 2 over dy that is the input gradient of an upsampled one. */
static vbg_conv_args upsampled_over_dy(vbg_ctx *c, const vbg_layer *l,
                                       const vbg_tensor *dy, const vbg_tensor *dx)
{
    vbg_conv_args a = over_dy(l, dy, dx, vbg_ctx_act(c));

    a.kh++;
    a.kw++;
    a.stride_y = a.stride_x = 2;
    a.pad_top = l->a.kh - 1 - l->a.pad_top;
    a.pad_left = l->a.kw - 1 - l->a.pad_left;
    return a;
}

/* Upsampled and transposed convolutions: a strided one over dy. */
static void strided_input_grad(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dy,
                               const vbg_tensor *dx, const vbg_tensor *plus)
{
    vbg_conv_args a = l->a.upsample2 ? upsampled_over_dy(c, l, dy, dx)
                                     : over_dy(l, dy, dx, vbg_ctx_act(c));

    a.w = vbg_back_kernels(c, l);
    a.ep = plus_of(plus, dx);
    if (!l->a.upsample2) {
        a.stride_y = l->a.stride_y;
        a.stride_x = l->a.stride_x;
        a.pad_top = l->a.pad_top;
        a.pad_left = l->a.pad_left;
    }
    vbg_conv_run(c, &a);
}

/* Whether the kernels add what is there already. */
static bool adds_up(const vbg_layer *l)
{
    return !vbg_is_depthwise(&l->w) &&
           (l->a.upsample2 || l->w.transposed || l->a.stride_y * l->a.stride_x == 1);
}

/* Gives x its input gradient. */
static void input_grad(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dy)
{
    const vbg_tensor *x = &l->x, *plus = adds_up(l) ? vbg_grad_so_far(c, x) : NULL;
    vbg_tensor *dx = vbg_new_typed(c, x->dtype, x->n, x->h, x->w, x->c);

    if (l->a.upsample2 || l->w.transposed)
        strided_input_grad(c, l, dy, dx, plus);
    else
        phases_input_grad(c, l, dy, dx, plus);
    if (plus)
        vbg_grad_replace(c, x, dx);
    else
        vbg_grad_add(c, x, dx);
}

/* ---- the rest ---- */

/* The bias as a parameter whose gradient is wanted, or NULL. */
static vbg_param *bias_of(const vbg_ctx *c, const vbg_layer *l)
{
    return l->w.idle_bias ? NULL : vbg_trainable(c, l->w.bias);
}

/* Whether the weight gradient sums up dy on its way. */
static bool bias_beside_weight(const vbg_ctx *c, const vbg_layer *l)
{
    return vbg_trainable(c, l->w.data) && !l->w.transposed && !l->a.upsample2 &&
           !l->w.scale && !vbg_is_depthwise(&l->w);
}

/* param += sums, which are added up in a fixed order. */
static void add_bias(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dy)
{
    vbg_param *m = bias_of(c, l);

    if (!m || bias_beside_weight(c, l))
        return;
    const vbg_tensor *s = vbg_sum_rows(c, dy, NULL, 1);
    for (int i = 0; i < l->w.oc && !vbg_planning(c); i++)
        m->grad[i] += ((const float *)s->data)[i];
}

/* dy times the scale of a folded batch norm. */
static const vbg_tensor *scaled(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dy)
{
    if (!l->w.scale)
        return dy;
    vbg_tensor *zero = vbg_new_typed(c, VBG_F32, 1, 1, 1, l->w.oc);
    if (!vbg_planning(c))
        memset(zero->data, 0, (size_t)l->w.oc * sizeof(float));
    return vbg_scale_shift(c, dy, l->w.scale, zero->data, VBG_ACT_NONE);
}

/* Of an upsampled convolution: that of the strided one which is its input gradient, from
 * dy to x, so that the upsampled map is never read. */
static void upsampled_weight_grad(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dy,
                                  const vbg_tensor *x, float *grad)
{
    const vbg_conv_args a = upsampled_over_dy(c, l, dy, x);

    VBG_CHECK(l->a.kh == l->a.kw, "weight gradient of an upsampled %dx%d kernel", l->a.kh,
              l->a.kw);
    vbg_conv_weight_grad(c, &a, x, &(vbg_wgrad_out){ .grad = grad, .folded = l->a.kh });
}

static void weight_grad(vbg_ctx *c, const vbg_layer *l, const vbg_tensor *dy)
{
    vbg_param *m = vbg_trainable(c, l->w.data);
    vbg_param *bias = bias_beside_weight(c, l) ? bias_of(c, l) : NULL;
    const vbg_tensor *x = &l->x;
    vbg_conv_args a = l->a;

    if (!m)
        return;
    if (x->dtype != dy->dtype)
        x = vbg_cast(c, x, dy->dtype);
    if (l->a.upsample2) {
        upsampled_weight_grad(c, l, dy, x, m->grad);
        return;
    }
    if (l->w.transposed) { /* from dy to x */
        a = over_dy(l, dy, x, dy->dtype);
        a.stride_y = l->a.stride_y;
        a.stride_x = l->a.stride_x;
        a.pad_top = l->a.pad_top;
        a.pad_left = l->a.pad_left;
        vbg_conv_weight_grad(c, &a, x, &(vbg_wgrad_out){ .grad = m->grad });
        return;
    }
    a.x = x->data;
    a.ldx = x->ld;
    a.xt = x->dtype;
    if (vbg_is_depthwise(&l->w))
        vbg_depthwise_weight_grad(c, &a, dy, m->grad);
    else
        vbg_conv_weight_grad(
            c, &a, dy,
            &(vbg_wgrad_out){ .grad = m->grad, .bias = bias ? bias->grad : NULL });
}

static void layer_back(vbg_ctx *c, const vbg_tensor *dy, void *arg)
{
    const vbg_layer *l = arg;

    if (l->act != VBG_ACT_NONE)
        dy = vbg_act_back(c, dy, l->y, l->act);
    if (l->has_residual)
        vbg_grad_add(c, &l->residual, dy);
    add_bias(c, l, dy);
    if (dy->dtype != vbg_ctx_act(c))
        dy = vbg_cast(c, dy, vbg_ctx_act(c));
    dy = scaled(c, l, dy);
    weight_grad(c, l, dy);
    if (vbg_needs_grad(c, &l->x))
        input_grad(c, l, dy);
}

bool vbg_conv_recorded(const vbg_ctx *c, const vbg_tensor *x, const vbg_weight *w,
                       const vbg_tensor *residual)
{
    return vbg_recording(c) &&
           (vbg_needs_grad(c, x) || (residual && vbg_needs_grad(c, residual)) ||
            vbg_trainable(c, w->data) || vbg_trainable(c, w->bias));
}

void vbg_conv_record(vbg_ctx *c, vbg_tensor *y, const vbg_tensor *x, const vbg_weight *w,
                     const vbg_conv_args *a, const vbg_tensor *residual, vbg_act act)
{
    vbg_layer *l = vbg_record(c, y, layer_back, sizeof *l);

    VBG_CHECK((a->kh + 1) * (a->kw + 1) <= VBG_BACK_TAPS, "backward of a %dx%d kernel",
              a->kh, a->kw);
    VBG_CHECK(!a->upsample2 || (a->stride_y * a->stride_x * a->dil_y * a->dil_x == 1),
              "backward of an upsampled convolution of stride %d, dilation %d",
              a->stride_y, a->dil_y);
    if (!l)
        return;
    *l = (vbg_layer){ .a = *a, .w = *w, .x = *x, .act = act };
    if (vbg_trainable(c, w->data))
        vbg_save(c, x);
    if (act != VBG_ACT_NONE)
        l->y = vbg_save(c, y);
    if (residual) {
        l->residual = *residual;
        l->has_residual = true;
    }
}
