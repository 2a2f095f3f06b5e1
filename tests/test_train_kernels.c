/* Turning, packing and adding up: every level against the reference, in poisoned
 * buffers of exactly the bytes that may be written. */
#include "tests/guard.h"

#include "kernels/table.h"

static const size_t widths[] = { 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 65, 320 };
static const vbg_dtype types[] = { VBG_F32, VBG_BF16 };

enum { WIDTHS = sizeof widths / sizeof *widths };

static void same(const guarded *got, const guarded *want, const char *what, int isa,
                 size_t width)
{
    cr_assert(memcmp(got->base, want->base, got->total * vbg_dtype_size(got->t)) == 0,
              "%s of %zu %s, instruction set %d", what, width, vbg_dtype_name(got->t),
              isa);
}

/* Both turnings of 32 pixels that lie in disorder. */
static void turnings(const vbg_train_kernels *k, const vbg_train_kernels *ref, int isa,
                     size_t cols, vbg_dtype t)
{
    const size_t ld = cols + 5, blocks = (cols + 15) / 16;
    guarded x = guard_filled(t, 40, cols, ld, 0, 1, 7);
    guarded a = guard_new(t, blocks, 32 * 16, 33 * 16);
    guarded b = guard_new(t, blocks, 32 * 16, 33 * 16);
    guarded c = guard_new(t, blocks, 32 * 16, 33 * 16);
    guarded d = guard_new(t, blocks, 32 * 16, 33 * 16);
    const void *px[VBG_TURN];

    for (size_t i = 0; i < VBG_TURN; i++)
        px[i] = (char *)guard_data(&x) + i * 11 % 40 * ld * vbg_dtype_size(t);
    k->transpose(guard_data(&a), a.ld, px, cols, t);
    ref->transpose(guard_data(&b), b.ld, px, cols, t);
    same(&a, &b, "transpose", isa, cols);
    k->interleave(guard_data(&c), c.ld, px, cols, t);
    ref->interleave(guard_data(&d), d.ld, px, cols, t);
    same(&c, &d, "interleave", isa, cols);
    guard_free(&x);
    guard_free(&a);
    guard_free(&b);
    guard_free(&c);
    guard_free(&d);
}

typedef struct pack_case {
    size_t oc, c, taps, groups;
    bool back; /* the other way round, taps reversed; of one group also sums of taps */
} pack_case;

static const pack_case packs[] = {
    { 1, 1, 1, 1, false },   { 16, 16, 1, 1, false },  { 17, 33, 9, 1, false },
    { 40, 5, 9, 1, false },  { 33, 3, 49, 1, false },  { 64, 320, 1, 1, false },
    { 20, 64, 9, 2, false }, { 1, 1, 1, 1, true },     { 16, 40, 1, 1, true },
    { 20, 33, 9, 1, true },  { 36, 16, 4, 1, true },   { 12, 7, 9, 3, true },
    { 64, 32, 9, 2, true },  { 320, 17, 25, 1, true }, { 6, 1, 9, 2, true },
};

static void packing(const vbg_train_kernels *k, const vbg_train_kernels *ref, int isa,
                    const pack_case *p, vbg_dtype t)
{
    const size_t group = p->oc / p->groups,
                 bytes = vbg_pack_bytes(t, p->oc, p->c, p->taps);
    const size_t count = bytes / vbg_dtype_size(t), blocks = (p->oc + 15) / 16;
    guarded w =
        guard_filled(VBG_F32, 1, p->oc * p->c * p->taps, p->oc * p->c * p->taps, 0, 1, 3);
    guarded a = guard_new(t, 1, count, count), b = guard_new(t, 1, count, count);
    size_t tap[64];

    for (size_t i = 0; i < p->taps; i++)
        tap[i] = p->back ? p->taps - 1 - i : i;
    vbg_pack_args args = { .dst = guard_data(&a),
                           .t = t,
                           .w = guard_data(&w),
                           .oc = p->oc,
                           .c = p->c,
                           .taps = p->taps,
                           .group = group,
                           .sg = group * p->c * p->taps,
                           .so = p->back ? p->taps : p->c * p->taps,
                           .si = p->back ? group * p->taps : p->taps,
                           .tap = tap };
    for (size_t i = 0; i < blocks; i++)
        k->pack(&args, i, i + 1);
    args.dst = guard_data(&b);
    ref->pack(&args, 0, blocks);
    same(&a, &b, "pack", isa, p->oc);
    if (p->back && p->groups == 1) { /* each tap with its neighbour */
        const size_t pair[] = { 0, p->taps - 1, p->taps / 2 }, until[] = { 1, 3 };
        args.tap = pair;
        args.until = until;
        args.taps = p->taps < 2 ? 1 : 2;
        ref->pack(&args, 0, blocks);
        args.dst = guard_data(&a);
        k->pack(&args, 0, blocks);
        same(&a, &b, "pack of sums", isa, p->oc);
    }
    if (!p->back) {
        vbg_pack(guard_data(&a), t, guard_data(&w), p->oc, p->c, p->taps, 1);
        same(&a, &b, "vbg_pack", isa, p->oc);
    }
    guard_free(&w);
    guard_free(&a);
    guard_free(&b);
}

/* Packed weights turned are what packing them the other way round gives. */
static void turning(const vbg_train_kernels *k, const vbg_train_kernels *ref, int isa,
                    size_t oc, size_t c, size_t all, size_t taps)
{
    const size_t count = oc * c * all, kept = oc * c * taps;
    guarded w = guard_filled(VBG_F32, 1, count, count, 0, 1, 4);
    guarded packed = guard_new(VBG_BF16, 1, count, count);
    guarded a = guard_new(VBG_BF16, 1, kept, kept),
            b = guard_new(VBG_BF16, 1, kept, kept);
    size_t tap[64];

    for (size_t i = 0; i < taps; i++)
        tap[i] = all - 1 - i;
    vbg_pack(guard_data(&packed), VBG_BF16, guard_data(&w), oc, c, all, 1);
    const vbg_pack_args want = { .dst = guard_data(&b),
                                 .t = VBG_BF16,
                                 .w = guard_data(&w),
                                 .oc = c,
                                 .c = oc,
                                 .taps = taps,
                                 .group = c,
                                 .so = all,
                                 .si = c * all,
                                 .tap = tap };
    ref->pack(&want, 0, c / 16);
    const vbg_turn_args args = { .dst = guard_data(&a),
                                 .src = guard_data(&packed),
                                 .oc = oc,
                                 .c = c,
                                 .all = all,
                                 .taps = taps,
                                 .tap = tap };
    for (size_t i = 0; i < c / 16; i++)
        k->turn_weights(&args, i, i + 1);
    same(&a, &b, "turned weights", isa, c);
    guard_free(&w);
    guard_free(&packed);
    guard_free(&a);
    guard_free(&b);
}

/* Sums of oc x c into the gradient, rows from `cut` on by themselves; swapped: into that
 * of c x oc. */
static void adding(const vbg_train_kernels *k, vbg_add_args a, size_t oc, size_t cut,
                   bool swapped)
{
    const size_t row = a.row, c = a.cols;

    if (swapped) {
        a.run = oc * a.taps;
        a.row = 1;
        a.col = row;
        a.rows = c;
    }
    for (size_t o = 0; o < oc; o = cut) {
        const size_t n = o < cut ? cut : oc - o;
        cut = o + n;
        if (swapped)
            a.cols = n;
        else
            a.rows = n;
        k->add_taps(&a);
        a.sum += n * row;
        a.grad += n * (swapped ? 1 : c) * a.taps;
    }
}

/* Products of all taps and their way into the gradient.  An element is a chain of m
 * products in f32; bf16 products are exact. */
static void tapping(const vbg_train_kernels *k, const vbg_train_kernels *ref, int isa,
                    size_t oc, size_t c, size_t taps, size_t m, vbg_dtype t)
{
    const bool swapped = m == 64;
    size_t from[64];
    const size_t ob = (oc + 15) / 16, cb = (c + 15) / 16, half = ob / 2;
    const size_t ld = m * 16 + 32, len = m + 2 * taps, count = oc * c * taps;
    const size_t tap_sum = ob * 16 * (cb * 16 + 3);
    guarded dy = guard_filled(t, ob, m * 16, ld, 0, 1, 8);
    guarded x = guard_filled(t, cb, len * 16, len * 16, 0, 1, 9);
    guarded a = guard_filled(VBG_F32, taps, tap_sum, tap_sum, 0, 1, 5);
    guarded b = guard_filled(VBG_F32, taps, tap_sum, tap_sum, 0, 1, 5);
    guarded g = guard_filled(VBG_F32, 1, count, count, 0, 1, 6);
    guarded h = guard_filled(VBG_F32, 1, count, count, 0, 1, 6);
    const void *at[64];

    for (size_t i = 0; i < taps; i++)
        from[i] = (taps - 1 - i) * tap_sum;
    for (size_t i = 0; i < taps; i++)
        at[i] = (char *)guard_data(&x) + 2 * i * 16 * vbg_dtype_size(t);
    vbg_tap_args args = { .dy = guard_data(&dy),
                          .dy_block = ld,
                          .x = at,
                          .block = len * 16,
                          .sum = guard_data(&a),
                          .ld_sum = cb * 16 + 3,
                          .tap_sum = tap_sum,
                          .m = m,
                          .oc = oc,
                          .c = c,
                          .taps = taps,
                          .t = t };
    k->taps(&args, 0, half, 0, cb);
    k->taps(&args, half, ob, 0, cb);
    vbg_add_args add = { .grad = guard_data(&g),
                         .run = c * taps,
                         .sum = guard_data(&a),
                         .tap = from,
                         .row = args.ld_sum,
                         .col = 1,
                         .rows = oc / 2,
                         .cols = c,
                         .taps = taps };
    adding(k, add, oc, oc / 2, swapped);
    args.sum = guard_data(&b);
    ref->taps(&args, 0, ob, 0, cb);
    add.grad = guard_data(&h);
    add.sum = guard_data(&b);
    adding(ref, add, oc, 0, swapped);
    guard_check(&g, &h, (double)(m + 4) * (double)m * 0x1p-24, 0, "taps", (size_t)isa);
    guard_free(&dy);
    guard_free(&x);
    guard_free(&a);
    guard_free(&b);
    guard_free(&g);
    guard_free(&h);
}

/* A sum of m values of at most 1: f32 chains of m/16 and their sums. */
static void row_summing(const vbg_train_kernels *k, const vbg_train_kernels *ref, int isa,
                        size_t rows, size_t m, vbg_dtype t)
{
    guarded x = guard_filled(t, (rows + 15) / 16, m * 16, m * 16 + 32, 0, 1, 8);
    double a[33] = { 1 }, b[33] = { 1 };

    k->row_sums(a, guard_data(&x), x.ld, rows, m, t);
    ref->row_sums(b, guard_data(&x), x.ld, rows, m, t);
    for (size_t i = 0; i < 33; i++)
        cr_assert(fabs(a[i] - b[i]) <= (double)(m + 5) * (double)m * 0x1p-24,
                  "row %zu of %zu, %zu %s, instruction set %d", i, rows, m,
                  vbg_dtype_name(t), isa);
    guard_free(&x);
}

typedef struct depthwise_case {
    int n, h, w, c, k, stride, dil, pad;
} depthwise_case;

static const depthwise_case depthwise[] = {
    { 1, 1, 1, 1, 1, 1, 1, 0 },   { 2, 6, 7, 8, 3, 1, 1, 1 },
    { 1, 9, 8, 19, 3, 2, 1, 1 },  { 1, 9, 8, 16, 5, 1, 1, 2 },
    { 1, 9, 12, 33, 7, 2, 1, 3 }, { 2, 5, 6, 32, 3, 1, 2, 2 },
    { 1, 3, 2, 20, 5, 1, 1, 4 },  { 1, 4, 30, 64, 3, 3, 1, 0 },
};

/* A chain of at most n*ow products in f32 for a tap and channel. */
static void depthwise_sums(const vbg_train_kernels *k, const vbg_train_kernels *ref,
                           int isa, const depthwise_case *d, vbg_dtype t)
{
    const int o_h = (d->h + 2 * d->pad - d->dil * (d->k - 1) - 1) / d->stride + 1;
    const int o_w = (d->w + 2 * d->pad - d->dil * (d->k - 1) - 1) / d->stride + 1;
    const size_t c = (size_t)d->c, ld = c + 3, rows = (size_t)(d->n * o_h);
    guarded x = guard_filled(t, (size_t)(d->n * d->h * d->w), c, ld, 0, 1, 1);
    guarded dy = guard_filled(t, rows * (size_t)o_w, c, ld + 2, 0, 1, 2);
    guarded a = guard_filled(VBG_F32, (size_t)(d->k * d->k), c, c, 0, 1, 3);
    guarded b = guard_filled(VBG_F32, (size_t)(d->k * d->k), c, c, 0, 1, 3);
    const vbg_conv_args conv = { .x = guard_data(&x),
                                 .ldx = ld,
                                 .n = d->n,
                                 .h = d->h,
                                 .w_in = d->w,
                                 .c = d->c,
                                 .oh = o_h,
                                 .ow = o_w,
                                 .oc = d->c,
                                 .kh = d->k,
                                 .kw = d->k,
                                 .stride_y = d->stride,
                                 .stride_x = d->stride,
                                 .pad_top = d->pad,
                                 .pad_left = d->pad,
                                 .dil_y = d->dil,
                                 .dil_x = d->dil,
                                 .groups = d->c,
                                 .xt = t };
    vbg_depthwise_grad_args args = {
        .a = &conv, .dy = guard_data(&dy), .lddy = ld + 2, .sum = guard_data(&a)
    };

    k->depthwise_grad(&args, 0, rows / 2);
    k->depthwise_grad(&args, rows / 2, rows);
    args.sum = guard_data(&b);
    ref->depthwise_grad(&args, 0, rows);
    double products = (double)rows * o_w;
    guard_check(&a, &b, (products + 2) * products * 0x1p-24, 0, "depthwise", (size_t)isa);
    guard_free(&x);
    guard_free(&dy);
    guard_free(&a);
    guard_free(&b);
}

/* Channels repeated and added up again: at most 40 values below 1 in f32, rounded once.
 */
static void repeating(const vbg_train_kernels *k, const vbg_train_kernels *ref, int isa,
                      size_t cols, size_t times, vbg_dtype t)
{
    const size_t all = cols * times;
    guarded x = guard_filled(t, 3, cols, cols + 2, 0, 1, 1);
    guarded wide = guard_filled(t, 3, all, all + 1, 0, 1, 2);
    guarded f32 = guard_filled(VBG_F32, 3, all, all + 1, 0, 1, 3);
    guarded a = guard_new(t, 3, all, all + 3), b = guard_new(t, 3, all, all + 3);
    guarded c = guard_new(t, 3, cols, cols + 3), d = guard_new(t, 3, cols, cols + 3);
    vbg_row_io io = { .y = guard_data(&a),
                      .x = guard_data(&x),
                      .ldy = a.ld,
                      .ldx = x.ld,
                      .rows = 3,
                      .cols = cols,
                      .yt = t,
                      .xt = t };

    k->repeat(&io, times);
    io.y = guard_data(&b);
    ref->repeat(&io, times);
    same(&a, &b, "repeat", isa, cols);
    io.ldy = c.ld;
    for (size_t i = 0; i < 2; i++) {
        io.xt = i ? VBG_F32 : t;
        io.ldx = i ? f32.ld : wide.ld;
        io.x = i ? guard_data(&f32) : guard_data(&wide);
        io.y = guard_data(&c);
        k->fold(&io, times);
        io.y = guard_data(&d);
        ref->fold(&io, times);
        guard_check(&c, &d, (double)(times * times) * 0x1p-24, 2 * guard_eps(t), "fold",
                    (size_t)isa);
    }
    guard_free(&x);
    guard_free(&wide);
    guard_free(&f32);
    guard_free(&a);
    guard_free(&b);
    guard_free(&c);
    guard_free(&d);
}

static void all_of(const vbg_train_kernels *k, const vbg_train_kernels *ref, int isa)
{
    for (size_t i = 0; i < 2; i++) {
        for (size_t w = 0; w < WIDTHS; w++)
            turnings(k, ref, isa, widths[w], types[i]);
        for (size_t p = 0; p < sizeof packs / sizeof *packs; p++)
            packing(k, ref, isa, &packs[p], types[i]);
        for (size_t m = 32; m <= 320; m += 96)
            row_summing(k, ref, isa, m % 33 + 1, m, types[i]);
        for (size_t w = 0; w < WIDTHS; w++)
            for (size_t times = 2; times <= 40; times += w % 2 ? 19 : 4)
                repeating(k, ref, isa, widths[w], times, types[i]);
        for (size_t d = 0; d < sizeof depthwise / sizeof *depthwise; d++)
            depthwise_sums(k, ref, isa, &depthwise[d], types[i]);
    }
    turning(k, ref, isa, 32, 32, 1, 1);
    turning(k, ref, isa, 64, 96, 9, 9);
    turning(k, ref, isa, 96, 32, 9, 4);
    for (size_t i = 0; i < 2; i++)
        for (size_t w = 0; w + 1 < WIDTHS; w++) {
            tapping(k, ref, isa, widths[w], widths[WIDTHS - 1 - w] % 50 + 1, 9, 64,
                    types[i]);
            tapping(k, ref, isa, widths[w], 5, 49, 32, types[i]);
            tapping(k, ref, isa, widths[w], 33, 1, 1056, types[i]);
        }
}

Test(train_kernels, every_level)
{
    vbg_kernels ref, k;

    vbg_kernels_init(&ref, VBG_ISA_REF);
    for (int isa = 0; isa <= (int)vbg_isa_detect(); isa++) {
        vbg_kernels_init(&k, (vbg_isa)isa);
        all_of(&k.train, &ref.train, isa);
    }
}
