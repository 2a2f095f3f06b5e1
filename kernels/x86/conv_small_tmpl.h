/* Depthwise and transposed convolution, after the vector wrapper and
 * store_tmpl.h.  Sums run over the taps in order, so they are the same for any
 * cut of the rows.
 *
 * Depthwise, away from the left and right border: for each block of LANES channels
 * one pass along the row, four pixels at a time, so that a weight is loaded once for
 * four products and four independent sums hide the latency. */

#include <math.h>

enum { MAX_TAPS = 49, ABREAST = 4 };

/* LANES values of x for output channels o..: each input channel feeds mult. */
static inline vf load_spread(const vbg_conv_args *a, size_t at, size_t o, size_t mult)
{
    if (mult == 1)
        return load_any(a->x, a->xt, at + o);
    float t[LANES];
    for (size_t i = 0; i < LANES; i++)
        t[i] = load_one(a->x, a->xt, at + (o + i) / mult);
    return vf_load(t);
}

/* The taps of one pixel inside the picture: x offsets and weight rows. */
typedef struct tap_list {
    int count;
    size_t at[MAX_TAPS], tap[MAX_TAPS];
} tap_list;

/* Source of one coordinate, -1 outside. */
static inline int tap_source(int o, int k, int stride, int dil, int pad, int size)
{
    int i = o * stride + k * dil - pad;
    return i < 0 || i >= size ? -1 : i;
}

static void tap_list_fill(tap_list *l, const vbg_conv_args *a, size_t row, int ox)
{
    const size_t image = row / (size_t)a->oh;
    const int oy = (int)(row % (size_t)a->oh), up = a->upsample2 ? 1 : 0;

    l->count = 0;
    for (int ky = 0; ky < a->kh; ky++) {
        int y = tap_source(oy, ky, a->stride_y, a->dil_y, a->pad_top, a->h << up);
        for (int kx = 0; kx < a->kw && y >= 0; kx++) {
            int x = tap_source(ox, kx, a->stride_x, a->dil_x, a->pad_left, a->w_in << up);
            if (x < 0)
                continue;
            size_t px = (image * (size_t)a->h + (size_t)(y >> up)) * (size_t)a->w_in +
                        (size_t)(x >> up);
            l->at[l->count] = px * a->ldx;
            l->tap[l->count++] = (size_t)(ky * a->kw + kx);
        }
    }
}

/* One pixel, any border, any multiplier. */
static void depthwise_pixel(const vbg_conv_args *a, const vbg_store *s, const tap_list *l,
                            size_t pixel)
{
    const size_t oc = (size_t)a->oc, mult = oc / (size_t)a->c;
    const float *w = a->w;
    float sums[BLOCK];
    size_t o = 0;

    for (; o + BLOCK <= oc; o += BLOCK) {
        for (size_t v = 0; v < BLOCK; v += LANES) {
            vf sum = vf_zero();
            for (int i = 0; i < l->count; i++)
                sum = vf_fma(load_spread(a, l->at[i], o + v, mult),
                             vf_load(w + l->tap[i] * oc + o + v), sum);
            vf_store(sums + v, sum);
        }
        store_row(s, sums, pixel, o, BLOCK);
    }
    if (o == oc)
        return;
    for (size_t j = 0; j < oc - o; j++) {
        float sum = 0;
        for (int i = 0; i < l->count; i++)
            sum = fmaf(load_one(a->x, a->xt, l->at[i] + (o + j) / mult),
                       w[l->tap[i] * oc + o + j], sum);
        sums[j] = sum;
    }
    store_row(s, sums, pixel, o, BLOCK);
}

/* One block of channels of a run of pixels; n == LANES or a last part of it. */
typedef struct depthwise_run {
    const vbg_conv_args *a;
    const vbg_store *s;
    const tap_list *l;   /* of the run's first pixel */
    size_t o, n, step;   /* channels; elements of x from pixel to pixel */
    size_t from;         /* first input channel of the block: o / multiplier */
    int32_t pick[LANES]; /* input channel of each lane, less `from` */
} depthwise_run;

/* What the compiler should know of a run. */
typedef struct dw_kind {
    bool bf16, whole; /* type of x; n == LANES                  */
    bool spread;      /* several output channels of one input's */
} dw_kind;

#define DW_INLINE static inline __attribute__((always_inline))

/* A spread load reads up to LANES - 1 values behind the pixel's channels: the next
 * pixel's, or the readable bytes behind a tensor. */
DW_INLINE vf dw_load(const depthwise_run *r, size_t at, dw_kind k)
{
    const bool whole = k.whole;

    if (k.spread)
        return vf_pick(k.bf16 ? vf_load_bf16((const uint16_t *)r->a->x + at)
                              : vf_load((const float *)r->a->x + at),
                       r->pick);
    if (k.bf16)
        return whole ? vf_load_bf16((const uint16_t *)r->a->x + at)
                     : vf_load_bf16_n((const uint16_t *)r->a->x + at, r->n);
    return whole ? vf_load((const float *)r->a->x + at)
                 : vf_load_n((const float *)r->a->x + at, r->n);
}

/* Pixels i .. i+count of the run, which are pixels of y from `pixel` on. */
DW_INLINE void dw_pixels(const depthwise_run *r, size_t i, size_t pixel, int count,
                         dw_kind kind)
{
    const bool whole = kind.whole;
    const float *w = (const float *)r->a->w + r->o;
    const size_t oc = (size_t)r->a->oc;
    const vbg_epilogue *e = &r->s->ep;
    vf sum[ABREAST];

    for (int k = 0; k < count; k++)
        sum[k] = vf_zero();
    for (int t = 0; t < r->l->count; t++) {
        const float *wt = w + r->l->tap[t] * oc;
        vf v = whole ? vf_load(wt) : vf_load_n(wt, r->n);
        size_t at = r->l->at[t] + r->from + i * r->step;
        for (int k = 0; k < count; k++)
            sum[k] = vf_fma(dw_load(r, at + (size_t)k * r->step, kind), v, sum[k]);
    }
    for (int k = 0; k < count; k++) {
        if (!whole || e->residual) {
            float sums[BLOCK] = { 0 };
            vf_store(sums, sum[k]);
            vbg_store part = *r->s;
            part.oc = r->o + r->n;
            store_row(&part, sums, pixel + (size_t)k, r->o, BLOCK);
            continue;
        }
        vf v = vf_act_quick(affine(e, r->o, sum[k]), e->act);
        store_any(r->s->y, r->s->yt, (pixel + (size_t)k) * r->s->ldy + r->o, v);
    }
}

DW_INLINE void dw_row(const depthwise_run *r, size_t pixel, size_t count, dw_kind kind)
{
    size_t i = 0;

    for (; i + ABREAST <= count; i += ABREAST)
        dw_pixels(r, i, pixel + i, ABREAST, kind);
    for (; i < count; i++)
        dw_pixels(r, i, pixel + i, 1, kind);
}

/* Output columns [first, last) of row r, whose taps are all inside from left to
 * right. */
static void depthwise_middle(const vbg_conv_args *a, const vbg_store *s, size_t r,
                             int first, int last)
{
    const size_t pixel = r * (size_t)a->ow + (size_t)first, oc = (size_t)a->oc;
    const size_t count = (size_t)(last - first), mult = oc / (size_t)a->c;
    const bool bf16 = a->xt == VBG_BF16;
    tap_list l;

    tap_list_fill(&l, a, r, first);
    depthwise_run run = {
        .a = a, .s = s, .l = &l, .step = (size_t)a->stride_x * a->ldx, .n = LANES
    };
    for (; run.o + LANES <= oc; run.o += LANES) {
        run.from = run.o / mult;
        for (size_t i = 0; i < LANES; i++)
            run.pick[i] = (int32_t)((run.o + i) / mult - run.from);
        if (mult > 1 && bf16)
            dw_row(&run, pixel, count, (dw_kind){ true, true, true });
        else if (mult > 1)
            dw_row(&run, pixel, count, (dw_kind){ false, true, true });
        else if (bf16)
            dw_row(&run, pixel, count, (dw_kind){ true, true, false });
        else
            dw_row(&run, pixel, count, (dw_kind){ false, true, false });
    }
    run.n = oc - run.o;
    run.from = run.o; /* only without a multiplier */
    if (run.n && bf16)
        dw_row(&run, pixel, count, (dw_kind){ true, false, false });
    else if (run.n)
        dw_row(&run, pixel, count, (dw_kind){ false, false, false });
}

static void depthwise(const vbg_depthwise_args *a, size_t r0, size_t r1)
{
    const vbg_store s = {
        .y = a->y, .ldy = a->ldy, .yt = a->yt, .oc = (size_t)a->oc, .ep = a->ep
    };
    const int reach = (a->kw - 1) * a->dil_x, room = a->w_in + a->pad_left - reach;
    int first = (a->pad_left + a->stride_x - 1) / a->stride_x;
    int last = room > 0 ? (room - 1) / a->stride_x + 1 : 0;
    tap_list l;

    if (last > a->ow)
        last = a->ow;
    if (a->upsample2 || (a->oc != a->c && a->oc % LANES != 0) || last <= first)
        first = last = a->ow;
    for (size_t r = r0; r < r1; r++)
        for (int ox = 0; ox < a->ow; ox++) {
            if (ox == first && first < last) {
                depthwise_middle(a, &s, r, first, last);
                ox = last - 1;
                continue;
            }
            tap_list_fill(&l, a, r, ox);
            depthwise_pixel(a, &s, &l, r * (size_t)a->ow + (size_t)ox);
        }
}

/* The input pixels and taps that reach one output pixel of a transposed one. */
static void transpose_list_fill(tap_list *l, const vbg_conv_args *a, size_t row, int ox)
{
    const size_t image = row / (size_t)a->oh;
    const int oy = (int)(row % (size_t)a->oh);

    l->count = 0;
    for (int ky = 0; ky < a->kh; ky++)
        for (int kx = 0; kx < a->kw; kx++) {
            int y = oy + a->pad_top - ky, x = ox + a->pad_left - kx;
            if (y < 0 || x < 0 || y % a->stride_y || x % a->stride_x ||
                y / a->stride_y >= a->h || x / a->stride_x >= a->w_in)
                continue;
            size_t px =
                (image * (size_t)a->h + (size_t)(y / a->stride_y)) * (size_t)a->w_in +
                (size_t)(x / a->stride_x);
            l->at[l->count] = px * a->ldx;
            l->tap[l->count++] = (size_t)(ky * a->kw + kx);
        }
}

static float transpose_sum(const vbg_conv_args *a, const tap_list *l, size_t o)
{
    const size_t c = (size_t)a->c, oc = (size_t)a->oc;
    vf sum = vf_zero();
    float rest = 0, lanes[LANES];

    for (int i = 0; i < l->count; i++) {
        const float *w = (const float *)a->w + (l->tap[i] * oc + o) * c;
        size_t k = 0;
        for (; k + LANES <= c; k += LANES)
            sum = vf_fma(load_any(a->x, a->xt, l->at[i] + k), vf_load(w + k), sum);
        for (; k < c; k++)
            rest += load_one(a->x, a->xt, l->at[i] + k) * w[k];
    }
    vf_store(lanes, sum);
    for (int i = 0; i < LANES; i++)
        rest += lanes[i];
    return rest;
}

static void transpose_any(const vbg_transpose_args *a, const vbg_store *s, size_t r)
{
    tap_list l;
    float sums[BLOCK];

    for (int ox = 0; ox < a->ow; ox++) {
        transpose_list_fill(&l, a, r, ox);
        for (size_t o = 0; o < s->oc; o += BLOCK) {
            size_t n = s->oc - o < BLOCK ? s->oc - o : BLOCK;
            for (size_t j = 0; j < n; j++)
                sums[j] = transpose_sum(a, &l, o + j);
            store_row(s, sums, r * (size_t)a->ow + (size_t)ox, o, BLOCK);
        }
    }
}

/* Kernels that do not overlap (stride = size): an input pixel makes kw*oc neighbouring
 * outputs of a row, kept in the lanes of one vector. */
enum { NARROW_C = 64 };

static bool transpose_is_narrow(const vbg_transpose_args *a)
{
    return a->stride_y == a->kh && a->stride_x == a->kw && a->pad_top == 0 &&
           a->pad_left == 0 && a->oh == a->h * a->kh && a->ow == a->w_in * a->kw &&
           a->c <= NARROW_C && a->kw * a->oc <= LANES && a->ldy == (size_t)a->oc &&
           !a->ep.residual;
}

/* c channels at element `at` of x as f32. */
static inline void pixel_as_f32(float *to, const vbg_conv_args *a, size_t at)
{
    size_t k = 0, c = (size_t)a->c;

    for (; k + LANES <= c; k += LANES)
        vf_store(to + k, load_any(a->x, a->xt, at + k));
    if (k < c)
        vf_store_n(to + k, load_any_n(a->x, a->xt, at + k, c - k), c - k);
}

static void transpose_narrow(const vbg_transpose_args *a, size_t r)
{
    const size_t image = r / (size_t)a->oh, oy = r % (size_t)a->oh;
    const size_t ky = oy % (size_t)a->kh, oc = (size_t)a->oc, c = (size_t)a->c;
    const size_t n = (size_t)a->kw * oc, in = image * (size_t)a->h + oy / (size_t)a->kh;
    float x[ABREAST][NARROW_C], w[NARROW_C * LANES] = { 0 };
    float scale[LANES] = { 0 }, bias[LANES] = { 0 };

    for (size_t j = 0; j < n; j++) {
        const float *from = (const float *)a->w + (ky * n + j) * c; /* [ky][kx][o][c] */
        for (size_t k = 0; k < c; k++)
            w[k * LANES + j] = from[k];
        scale[j] = a->ep.scale ? a->ep.scale[j % oc] : 1;
        bias[j] = a->ep.bias ? a->ep.bias[j % oc] : 0;
    }
    for (size_t ix = 0; ix < (size_t)a->w_in; ix += ABREAST) {
        const size_t left = (size_t)a->w_in - ix, count = left < ABREAST ? left : ABREAST;
        vf sum[ABREAST];
        for (size_t p = 0; p < ABREAST; p++) {
            size_t pixel = in * (size_t)a->w_in + ix + (p < count ? p : 0);
            sum[p] = vf_zero();
            pixel_as_f32(x[p], a, pixel * a->ldx);
        }
        for (size_t k = 0; k < c; k++) {
            vf v = vf_load(w + k * LANES);
            sum[0] = vf_fma(vf_set1(x[0][k]), v, sum[0]);
            sum[1] = vf_fma(vf_set1(x[1][k]), v, sum[1]);
            sum[2] = vf_fma(vf_set1(x[2][k]), v, sum[2]);
            sum[3] = vf_fma(vf_set1(x[3][k]), v, sum[3]);
        }
        for (size_t p = 0; p < count; p++) {
            vf v = vf_add(vf_mul(sum[p], vf_load(scale)), vf_load(bias));
            v = vf_act_quick(v, a->ep.act);
            size_t to = (r * (size_t)a->ow) * oc + (ix + p) * n;
            if (n == LANES)
                store_any(a->y, a->yt, to, v);
            else
                store_any_n(a->y, a->yt, to, v, n);
        }
    }
}

static void transpose(const vbg_transpose_args *a, size_t r0, size_t r1)
{
    const vbg_store s = {
        .y = a->y, .ldy = a->ldy, .yt = a->yt, .oc = (size_t)a->oc, .ep = a->ep
    };
    const bool narrow = transpose_is_narrow(a);

    for (size_t r = r0; r < r1; r++) {
        if (narrow)
            transpose_narrow(a, r);
        else
            transpose_any(a, &s, r);
    }
}
