/* Backward of linear layers and convolutions: recording, biases, input gradients.
 *
 * The input gradient of a convolution is a convolution of dy.  With stride s the input
 * pixels fall into s*s phases, each reached by every s-th tap only:
 *
 *     dx[s*j + p] = sum over the taps k with s | p + pad - k*dil of
 *                   dy[j + (p + pad - k*dil)/s] w[k]
 *
 * so each phase is a plain convolution of dy with some of the taps, the last first.  With
 * stride 1 there is one phase, written in place.  Weights for it are packed the other way
 * round, output channels as input channels, and kept with the parameter until its values
 * change, or for frozen weights as long as the tape.
 *
 * Upsampling by two in front of a k x k kernel is, backwards, one convolution of stride 2
 * with (k+1) x (k+1) sums of taps; a transposed convolution is a strided one. */
#include "engine/op_gemm.h"

#include <string.h>

#include "engine/op_util.h"

enum { BLOCK = 16, MAX_TAPS = 64 };

/* What a recorded layer keeps. */
typedef struct layer {
    vbg_conv_args a; /* sizes; pointers are those of the forward and not read */
    vbg_weight w;
    vbg_tensor x, residual; /* data is read only where it was saved */
    vbg_tensor *y;          /* for the slope of act */
    vbg_act act;
    bool has_residual;
} layer;

/* One axis of one phase. */
typedef struct taps {
    int count, first, step; /* taps first, first - step, ... */
    int dil, pad;           /* of the convolution over dy */
    int out;                /* input pixels of the phase */
} taps;

/* ---- packing ---- */

typedef struct pack_job {
    const vbg_train_kernels *k;
    const vbg_pack_args *a;
} pack_job;

static void pack_block(void *arg, size_t index, int thread)
{
    const pack_job *j = arg;

    (void)thread;
    j->k->pack(j->a, index, index + 1);
}

static void pack_all(vbg_ctx *c, const vbg_pack_args *a)
{
    pack_job j = { &vbg_ctx_kernels(c)->train, a };

    vbg_parallel(c, vbg_divide_up(a->oc, BLOCK), pack_block, &j);
}

/* What a packed backward was made for, in front of it. */
typedef union back_head {
    struct {
        int stride_y, stride_x, dil_y, dil_x, pad_top, pad_left, upsample2;
        vbg_dtype t;
    } of;
    char room[64];
} back_head;

static back_head head_of(const vbg_ctx *c, const layer *l)
{
    back_head h;

    memset(&h, 0, sizeof h);
    h.of.stride_y = l->a.stride_y;
    h.of.stride_x = l->a.stride_x;
    h.of.dil_y = l->a.dil_y;
    h.of.dil_x = l->a.dil_x;
    h.of.pad_top = l->a.pad_top;
    h.of.pad_left = l->a.pad_left;
    h.of.upsample2 = l->a.upsample2;
    h.of.t = vbg_ctx_act(c);
    return h;
}

static taps phase_of(int p, int in, int k, int stride, int dil, int pad)
{
    taps t = { .count = 0, .out = (in - p + stride - 1) / stride };

    for (int ky = k - 1; ky >= 0; ky--) {
        if ((p + pad - ky * dil) % stride)
            continue;
        if (t.count == 0) {
            t.first = ky;
            t.pad = -(p + pad - ky * dil) / stride;
            t.dil = 1;
        } else if (t.count == 1) {
            t.step = t.first - ky;
            t.dil = t.step * dil / stride;
        }
        t.count++;
    }
    return t;
}

static taps phase_y(const layer *l, int p)
{
    return phase_of(p, l->a.h, l->a.kh, l->a.stride_y, l->a.dil_y, l->a.pad_top);
}

static taps phase_x(const layer *l, int p)
{
    return phase_of(p, l->a.w_in, l->a.kw, l->a.stride_x, l->a.dil_x, l->a.pad_left);
}

/* Bytes of the kernel of one phase. */
static size_t phase_bytes(const vbg_ctx *c, const layer *l, int count)
{
    const size_t group_oc = (size_t)(l->a.oc / l->a.groups);

    return vbg_round_up(
        vbg_pack_bytes(vbg_ctx_act(c), (size_t)l->a.c, group_oc, (size_t)count), 64);
}

static size_t back_bytes(const vbg_ctx *c, const layer *l)
{
    const vbg_conv_args *a = &l->a;
    size_t bytes = sizeof(back_head);

    if (a->upsample2)
        return bytes + phase_bytes(c, l, (a->kh + 1) * (a->kw + 1));
    if (l->w.transposed)
        return bytes + phase_bytes(c, l, a->kh * a->kw);
    for (int py = 0; py < a->stride_y; py++)
        for (int px = 0; px < a->stride_x; px++)
            bytes += phase_bytes(c, l, phase_y(l, py).count * phase_x(l, px).count);
    return bytes;
}

/* value [oc][c of a group][kh][kw] the other way round. */
static vbg_pack_args turned(vbg_ctx *c, const layer *l, const float *value, void *dst,
                            const size_t *tap, size_t count)
{
    const size_t groups = (size_t)l->a.groups, all = (size_t)(l->a.kh * l->a.kw);
    const size_t oc = (size_t)l->a.oc / groups, ic = (size_t)l->a.c / groups;

    return (vbg_pack_args){ .dst = dst,
                            .t = vbg_ctx_act(c),
                            .w = value,
                            .oc = (size_t)l->a.c,
                            .c = oc,
                            .taps = count,
                            .group = ic,
                            .sg = oc * ic * all,
                            .so = all,
                            .si = ic * all,
                            .tap = tap };
}

static void pack_phases(vbg_ctx *c, const layer *l, const float *value, char *dst)
{
    const vbg_conv_args *a = &l->a;

    for (int py = 0; py < a->stride_y; py++)
        for (int px = 0; px < a->stride_x; px++) {
            const taps y = phase_y(l, py), x = phase_x(l, px);
            size_t tap[MAX_TAPS], n = 0;
            for (int i = 0; i < y.count; i++)
                for (int j = 0; j < x.count; j++)
                    tap[n++] =
                        (size_t)((y.first - i * y.step) * a->kw + x.first - j * x.step);
            if (n) {
                vbg_pack_args p = turned(c, l, value, dst, tap, n);
                pack_all(c, &p);
            }
            dst += phase_bytes(c, l, y.count * x.count);
        }
}

/* Sums of up to four taps: tap (d, e) of the kernel of stride 2 is what reaches the
 * upsampled rows 2j (k-1-d) and 2j+1 (k-d), and columns alike. */
static void pack_upsampled(vbg_ctx *c, const layer *l, const float *value, char *dst)
{
    const int kh = l->a.kh, kw = l->a.kw;
    const size_t pairs = (size_t)l->a.oc * (size_t)(l->a.c / l->a.groups);
    const size_t all = (size_t)((kh + 1) * (kw + 1));
    float *sums = vbg_alloc(pairs * all * sizeof *sums);
    size_t tap[MAX_TAPS];
    layer wide = *l;

    VBG_CHECK(sums, "out of memory for %zu sums of weights", pairs * all);
    for (size_t i = 0; i < pairs; i++, value += kh * kw)
        for (int ky = 0; ky < kh; ky++)
            for (int kx = 0; kx < kw; kx++)
                for (int s = 0; s < 4; s++) {
                    int d = kh - 1 - ky + s / 2, e = kw - 1 - kx + s % 2;
                    sums[i * all + (size_t)(d * (kw + 1) + e)] += value[ky * kw + kx];
                }
    for (size_t i = 0; i < all; i++)
        tap[i] = i;
    wide.a.kh++;
    wide.a.kw++;
    vbg_pack_args p = turned(c, &wide, sums, dst, tap, all);
    pack_all(c, &p);
    vbg_free_mem(sums);
}

/* f32 [kh*kw][oc][c] of a transposed convolution as a strided one from oc to c. */
static void pack_transposed(vbg_ctx *c, const layer *l, char *dst)
{
    const size_t oc = (size_t)l->a.oc, ic = (size_t)l->a.c;
    const size_t all = (size_t)(l->a.kh * l->a.kw);
    size_t tap[MAX_TAPS];

    for (size_t i = 0; i < all; i++)
        tap[i] = i * oc * ic;
    pack_all(c, &(vbg_pack_args){ .dst = dst,
                                  .t = vbg_ctx_act(c),
                                  .w = l->w.data,
                                  .oc = ic,
                                  .c = oc,
                                  .taps = all,
                                  .group = ic,
                                  .so = 1,
                                  .si = ic,
                                  .tap = tap });
}

/* Fills block with head and kernels.  value: PyTorch's order, NULL: of a frozen layer,
 * taken from its packed form. */
static void make_back(vbg_ctx *c, const layer *l, const float *value, char *block)
{
    const vbg_weight *w = &l->w;
    const back_head h = head_of(c, l);
    float *unpacked = NULL;

    if (!value && !w->transposed) {
        size_t count = (size_t)w->oc * (size_t)w->c * (size_t)(w->kh * w->kw);
        unpacked = vbg_alloc(count * sizeof *unpacked);
        VBG_CHECK(unpacked, "out of memory for %zu unpacked weights", count);
        vbg_unpack(unpacked, w->data, w->dtype, (size_t)w->oc, (size_t)w->c,
                   (size_t)w->kh, (size_t)w->kw);
        value = unpacked;
    }
    memcpy(block, &h, sizeof h);
    block += sizeof h;
    if (w->transposed)
        pack_transposed(c, l, block);
    else if (l->a.upsample2)
        pack_upsampled(c, l, value, block);
    else
        pack_phases(c, l, value, block);
    vbg_free_mem(unpacked);
}

/* The kernels of l's backward, made again where the values changed.  Planning: NULL. */
static const char *back_kernels(vbg_ctx *c, const layer *l)
{
    const size_t bytes = back_bytes(c, l);
    const back_head h = head_of(c, l);
    vbg_param *m = vbg_trainable(c, l->w.data);
    bool made = false;

    if (vbg_planning(c))
        return NULL;
    if (!m) {
        char *block = vbg_tape_cache(c, l->w.data, bytes, &made);
        VBG_CHECK(block, "out of memory for %zu bytes of weights", bytes);
        if (made || memcmp(block, &h, sizeof h) != 0)
            make_back(c, l, NULL, block);
        return block + sizeof h;
    }
    if (m->back_bytes < bytes) {
        vbg_free_mem(m->back);
        m->back = vbg_alloc(bytes);
        m->back_bytes = bytes;
        VBG_CHECK(m->back, "out of memory for %zu bytes of weights", bytes);
    } else if (m->back_version == m->version && memcmp(m->back, &h, sizeof h) == 0) {
        return (const char *)m->back + sizeof h;
    }
    make_back(c, l, m->value, m->back);
    m->back_version = m->version;
    return (const char *)m->back + sizeof h;
}

/* ---- input gradients ---- */

/* dy seen as the input of a convolution whose output is dx. */
static vbg_conv_args over_dy(const layer *l, const vbg_tensor *dy, const vbg_tensor *dx,
                             vbg_dtype wt)
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

static void spread_phase(vbg_ctx *c, const layer *l, const vbg_tensor *dx,
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
static void depthwise_phase(vbg_ctx *c, const layer *l, const vbg_tensor *dy,
                            const vbg_tensor *dx, taps y, taps x)
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
static void phase_run(vbg_ctx *c, const layer *l, const vbg_tensor *dy,
                      const vbg_tensor *dx, taps y, taps x, const void *kernel,
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

static void phases_input_grad(vbg_ctx *c, const layer *l, const vbg_tensor *dy,
                              const vbg_tensor *dx, const vbg_tensor *plus)
{
    const vbg_conv_args *a = &l->a;
    const char *kernel = vbg_is_depthwise(&l->w) ? NULL : back_kernels(c, l);

    for (int py = 0; py < a->stride_y; py++)
        for (int px = 0; px < a->stride_x; px++) {
            const taps y = phase_y(l, py), x = phase_x(l, px);
            const size_t bytes = kernel ? phase_bytes(c, l, y.count * x.count) : 0;
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
static vbg_conv_args upsampled_over_dy(vbg_ctx *c, const layer *l, const vbg_tensor *dy,
                                       const vbg_tensor *dx)
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
static void strided_input_grad(vbg_ctx *c, const layer *l, const vbg_tensor *dy,
                               const vbg_tensor *dx, const vbg_tensor *plus)
{
    vbg_conv_args a = l->a.upsample2 ? upsampled_over_dy(c, l, dy, dx)
                                     : over_dy(l, dy, dx, vbg_ctx_act(c));

    a.w = back_kernels(c, l);
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
static bool adds_up(const layer *l)
{
    return !vbg_is_depthwise(&l->w) &&
           (l->a.upsample2 || l->w.transposed || l->a.stride_y * l->a.stride_x == 1);
}

/* Gives x its input gradient. */
static void input_grad(vbg_ctx *c, const layer *l, const vbg_tensor *dy)
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
static vbg_param *bias_of(const vbg_ctx *c, const layer *l)
{
    return l->w.idle_bias ? NULL : vbg_trainable(c, l->w.bias);
}

/* Whether the weight gradient sums up dy on its way. */
static bool bias_beside_weight(const vbg_ctx *c, const layer *l)
{
    return vbg_trainable(c, l->w.data) && !l->w.transposed && !l->a.upsample2 &&
           !l->w.scale && !vbg_is_depthwise(&l->w);
}

/* param += sums, which are added up in a fixed order. */
static void add_bias(vbg_ctx *c, const layer *l, const vbg_tensor *dy)
{
    vbg_param *m = bias_of(c, l);

    if (!m || bias_beside_weight(c, l))
        return;
    const vbg_tensor *s = vbg_sum_rows(c, dy, NULL, 1);
    for (int i = 0; i < l->w.oc && !vbg_planning(c); i++)
        m->grad[i] += ((const float *)s->data)[i];
}

/* dy times the scale of a folded batch norm. */
static const vbg_tensor *scaled(vbg_ctx *c, const layer *l, const vbg_tensor *dy)
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
static void upsampled_weight_grad(vbg_ctx *c, const layer *l, const vbg_tensor *dy,
                                  const vbg_tensor *x, float *grad)
{
    const vbg_conv_args a = upsampled_over_dy(c, l, dy, x);

    VBG_CHECK(l->a.kh == l->a.kw, "weight gradient of an upsampled %dx%d kernel", l->a.kh,
              l->a.kw);
    vbg_conv_weight_grad(c, &a, x, &(vbg_wgrad_out){ .grad = grad, .folded = l->a.kh });
}

static void weight_grad(vbg_ctx *c, const layer *l, const vbg_tensor *dy)
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
    const layer *l = arg;

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
    layer *l = vbg_record(c, y, layer_back, sizeof *l);

    VBG_CHECK((a->kh + 1) * (a->kw + 1) <= MAX_TAPS, "backward of a %dx%d kernel", a->kh,
              a->kw);
    VBG_CHECK(!a->upsample2 || (a->stride_y * a->stride_x * a->dil_y * a->dil_x == 1),
              "backward of an upsampled convolution of stride %d, dilation %d",
              a->stride_y, a->dil_y);
    if (!l)
        return;
    *l = (layer){ .a = *a, .w = *w, .x = *x, .act = act };
    if (vbg_trainable(c, w->data))
        vbg_save(c, x);
    if (act != VBG_ACT_NONE)
        l->y = vbg_save(c, y);
    if (residual) {
        l->residual = *residual;
        l->has_residual = true;
    }
}
