/* Packed kernels of input gradients: weights turned, output channels as input channels.
 *
 * Where the forward's packed bf16 form has whole tiles both ways it is turned itself,
 * else the values are packed. */
#include "engine/op_gemm_back.h"

#include <string.h>

#include "engine/op_util.h"

enum { BLOCK = 16 };

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

static back_head head_of(const vbg_ctx *c, const vbg_layer *l)
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

static vbg_phase phase_of(int p, int in, int k, int stride, int dil, int pad)
{
    vbg_phase t = { .count = 0, .out = (in - p + stride - 1) / stride };

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

vbg_phase vbg_phase_y(const vbg_layer *l, int p)
{
    return phase_of(p, l->a.h, l->a.kh, l->a.stride_y, l->a.dil_y, l->a.pad_top);
}

vbg_phase vbg_phase_x(const vbg_layer *l, int p)
{
    return phase_of(p, l->a.w_in, l->a.kw, l->a.stride_x, l->a.dil_x, l->a.pad_left);
}

/* Bytes of the kernel of one phase. */
size_t vbg_phase_bytes(const vbg_ctx *c, const vbg_layer *l, int count)
{
    const size_t group_oc = (size_t)(l->a.oc / l->a.groups);

    return vbg_round_up(
        vbg_pack_bytes(vbg_ctx_act(c), (size_t)l->a.c, group_oc, (size_t)count), 64);
}

static size_t back_bytes(const vbg_ctx *c, const vbg_layer *l)
{
    const vbg_conv_args *a = &l->a;
    size_t bytes = sizeof(back_head);

    if (a->upsample2)
        return bytes + vbg_phase_bytes(c, l, (a->kh + 1) * (a->kw + 1));
    if (l->w.transposed)
        return bytes + vbg_phase_bytes(c, l, a->kh * a->kw);
    for (int py = 0; py < a->stride_y; py++)
        for (int px = 0; px < a->stride_x; px++)
            bytes += vbg_phase_bytes(c, l,
                                     vbg_phase_y(l, py).count * vbg_phase_x(l, px).count);
    return bytes;
}

/* value [oc][c of a group][kh][kw] the other way round. */
static vbg_pack_args turned(vbg_ctx *c, const vbg_layer *l, const float *value, void *dst,
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

typedef struct turn_job {
    const vbg_train_kernels *k;
    const vbg_turn_args *a;
} turn_job;

static void turn_block(void *arg, size_t index, int thread)
{
    const turn_job *j = arg;

    (void)thread;
    j->k->turn_weights(j->a, index, index + 1);
}

/* Whether the forward's packed weights, which are up to date, can be turned. */
static bool turns(const vbg_ctx *c, const vbg_layer *l)
{
    return vbg_ctx_act(c) == VBG_BF16 && l->w.dtype == VBG_BF16 && l->a.groups == 1 &&
           l->a.c % VBG_TURN == 0 && l->a.oc % VBG_TURN == 0 && !l->w.transposed &&
           !l->a.upsample2;
}

/* One phase of those taps; value is read where turning will not do. */
static void pack_phase(vbg_ctx *c, const vbg_layer *l, const float *value, char *dst,
                       const size_t *tap, size_t count)
{
    if (!turns(c, l)) {
        const vbg_pack_args p = turned(c, l, value, dst, tap, count);
        pack_all(c, &p);
        return;
    }
    const vbg_turn_args a = { .dst = dst,
                              .src = l->w.data,
                              .oc = (size_t)l->a.oc,
                              .c = (size_t)l->a.c,
                              .all = (size_t)(l->a.kh * l->a.kw),
                              .tap = tap,
                              .taps = count };
    turn_job j = { &vbg_ctx_kernels(c)->train, &a };
    vbg_parallel(c, a.c / BLOCK, turn_block, &j);
}

static void pack_phases(vbg_ctx *c, const vbg_layer *l, const float *value, char *dst)
{
    const vbg_conv_args *a = &l->a;

    for (int py = 0; py < a->stride_y; py++)
        for (int px = 0; px < a->stride_x; px++) {
            const vbg_phase y = vbg_phase_y(l, py), x = vbg_phase_x(l, px);
            size_t tap[VBG_BACK_TAPS], n = 0;
            for (int i = 0; i < y.count; i++)
                for (int j = 0; j < x.count; j++)
                    tap[n++] =
                        (size_t)((y.first - i * y.step) * a->kw + x.first - j * x.step);
            if (n)
                pack_phase(c, l, value, dst, tap, n);
            dst += vbg_phase_bytes(c, l, y.count * x.count);
        }
}

/* Sums of up to four taps: tap (d, e) of the kernel of stride 2 is what reaches the
 * upsampled rows 2j (k-1-d) and 2j+1 (k-d), and columns alike. */
static void pack_upsampled(vbg_ctx *c, const vbg_layer *l, const float *value, char *dst)
{
    const int kh = l->a.kh, kw = l->a.kw;
    size_t tap[4 * VBG_BACK_TAPS], until[VBG_BACK_TAPS], n = 0, count = 0;

    for (int d = 0; d <= kh; d++)
        for (int e = 0; e <= kw; e++) {
            for (int ky = kh - 1 - d; ky <= kh - d; ky++)
                for (int kx = kw - 1 - e; kx <= kw - e; kx++)
                    if (ky >= 0 && ky < kh && kx >= 0 && kx < kw)
                        tap[n++] = (size_t)(ky * kw + kx);
            until[count++] = n;
        }
    vbg_pack_args p = turned(c, l, value, dst, tap, count);
    p.until = until;
    pack_all(c, &p);
}

/* f32 [kh*kw][oc][c] of a transposed convolution as a strided one from oc to c. */
static void pack_transposed(vbg_ctx *c, const vbg_layer *l, char *dst)
{
    const size_t oc = (size_t)l->a.oc, ic = (size_t)l->a.c;
    const size_t all = (size_t)(l->a.kh * l->a.kw);
    size_t tap[VBG_BACK_TAPS];

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
static void make_back(vbg_ctx *c, const vbg_layer *l, const float *value, char *block)
{
    const vbg_weight *w = &l->w;
    const back_head h = head_of(c, l);
    float *unpacked = NULL;

    if (!value && !w->transposed && !turns(c, l)) {
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
const char *vbg_back_kernels(vbg_ctx *c, const vbg_layer *l)
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
