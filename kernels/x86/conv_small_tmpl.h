/* Depthwise and transposed convolution, after the vector wrapper and
 * store_tmpl.h.  Sums run over the taps in order, so they are the same for any
 * cut of the rows. */

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
    size_t at[49], tap[49];
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
        sums[j] = 0;
        for (int i = 0; i < l->count; i++)
            sums[j] += load_one(a->x, a->xt, l->at[i] + (o + j) / mult) *
                       w[l->tap[i] * oc + o + j];
    }
    store_row(s, sums, pixel, o, BLOCK);
}

static void depthwise(const vbg_depthwise_args *a, size_t r0, size_t r1)
{
    const vbg_store s = {
        .y = a->y, .ldy = a->ldy, .yt = a->yt, .oc = (size_t)a->oc, .ep = a->ep
    };
    tap_list l;

    for (size_t r = r0; r < r1; r++)
        for (int ox = 0; ox < a->ow; ox++) {
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
            size_t px = (image * (size_t)a->h + (size_t)(y / a->stride_y)) *
                            (size_t)a->w_in + (size_t)(x / a->stride_x);
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

static void transpose(const vbg_transpose_args *a, size_t r0, size_t r1)
{
    const vbg_store s = {
        .y = a->y, .ldy = a->ldy, .yt = a->yt, .oc = (size_t)a->oc, .ep = a->ep
    };
    tap_list l;
    float sums[BLOCK];

    for (size_t r = r0; r < r1; r++)
        for (int ox = 0; ox < a->ow; ox++) {
            transpose_list_fill(&l, a, r, ox);
            for (size_t o = 0; o < s.oc; o += BLOCK) {
                size_t n = s.oc - o < BLOCK ? s.oc - o : BLOCK;
                for (size_t j = 0; j < n; j++)
                    sums[j] = transpose_sum(a, &l, o + j);
                store_row(&s, sums, r * (size_t)a->ow + (size_t)ox, o, BLOCK);
            }
        }
}
