/* Gather, bilinear rows and pooling for any vector width: included by
 * resample_<isa>.c after simd.h. */

/* n lanes of the weighted sum of one output pixel's taps. */
static vf gather_lanes(const vbg_gather_args *a, size_t first, size_t j, size_t n)
{
    vf s = vf_zero();

    for (size_t k = first; k < first + (size_t)a->taps; k++) {
        if (a->index[k] < 0)
            continue;
        size_t at = (size_t)a->index[k] * a->ldx + j;
        vf v = n == VF ? vf_get(a->x, a->t, at) : vf_get_n(a->x, a->t, at, n);
        s = vf_fma(v, vf_set1(a->weight[k]), s);
    }
    return s;
}

static void gather(const vbg_gather_args *a)
{
    for (size_t i = 0; i < a->count; i++) {
        size_t first = i * (size_t)a->taps, y = i * a->ldy, j = 0;
        for (; j + VF <= a->c; j += VF)
            vf_put(a->y, a->t, y + j, gather_lanes(a, first, j, VF));
        if (j < a->c)
            vf_put_n(a->y, a->t, y + j, gather_lanes(a, first, j, a->c - j), a->c - j);
    }
}

/* (1-f)*a + f*b as PyTorch rounds it. */
static vf mix(vf a, vf b, vf f)
{
    return vf_fma(b, f, vf_mul(a, vf_sub(vf_set1(1), f)));
}

static float load_one(const void *p, vbg_dtype t, size_t i)
{
    return t == VBG_BF16 ? vbg_bf16_to_f32(((const uint16_t *)p)[i])
                         : ((const float *)p)[i];
}

/* One channel: vectors run along the row instead. */
static void bilinear_gray(const vbg_bilinear_args *a)
{
    for (size_t i = 0; i < a->ow; i++) {
        size_t l = (size_t)a->x0[i] * a->ldx, r = (size_t)a->x1[i] * a->ldx;
        float f = a->fx[i];
        float top = load_one(a->row0, a->t, l) * (1 - f) + load_one(a->row0, a->t, r) * f;
        float low = load_one(a->row1, a->t, l) * (1 - f) + load_one(a->row1, a->t, r) * f;
        float v = top * (1 - a->fy) + low * a->fy;
        if (a->t == VBG_BF16)
            ((uint16_t *)a->y)[i * a->ldy] = vbg_f32_to_bf16(v);
        else
            ((float *)a->y)[i * a->ldy] = v;
    }
}

static void bilinear_row(const vbg_bilinear_args *a)
{
    vf fy = vf_set1(a->fy);
    vbg_dtype t = a->t;

    if (a->c == 1) {
        bilinear_gray(a);
        return;
    }
    for (size_t i = 0; i < a->ow; i++) {
        size_t l = (size_t)a->x0[i] * a->ldx, r = (size_t)a->x1[i] * a->ldx, j = 0;
        vf fx = vf_set1(a->fx[i]);
        for (; j + VF <= a->c; j += VF) {
            vf top = mix(vf_get(a->row0, t, l + j), vf_get(a->row0, t, r + j), fx);
            vf low = mix(vf_get(a->row1, t, l + j), vf_get(a->row1, t, r + j), fx);
            vf_put(a->y, t, i * a->ldy + j, mix(top, low, fy));
        }
        if (j < a->c) {
            size_t n = a->c - j;
            vf top =
                mix(vf_get_n(a->row0, t, l + j, n), vf_get_n(a->row0, t, r + j, n), fx);
            vf low =
                mix(vf_get_n(a->row1, t, l + j, n), vf_get_n(a->row1, t, r + j, n), fx);
            vf_put_n(a->y, t, i * a->ldy + j, mix(top, low, fy), n);
        }
    }
}

/* The part of a window that lies in the picture, and the average's divisor. */
typedef struct window {
    size_t y0, y1, x0, x1;
    float factor;
} window;

static window window_at(const vbg_pool_args *a, int oy, int ox)
{
    int y0 = oy * a->stride - a->pad_top, x0 = ox * a->stride - a->pad_left;
    int y1 = vbg_min_int(y0 + a->kh, a->h + a->pad_bottom);
    int x1 = vbg_min_int(x0 + a->kw, a->w + a->pad_right);
    int count = (y1 - y0) * (x1 - x0);
    window w = { .y0 = (size_t)vbg_max_int(y0, 0),
                 .y1 = (size_t)vbg_min_int(y1, a->h),
                 .x0 = (size_t)vbg_max_int(x0, 0),
                 .x1 = (size_t)vbg_min_int(x1, a->w) };

    if (!a->count_padding)
        count = (int)((w.y1 - w.y0) * (w.x1 - w.x0));
    w.factor = 1 / (float)vbg_max_int(count, 1);
    return w;
}

/* n lanes of one window. */
static vf pool_lanes(const vbg_pool_args *a, const window *w, size_t j, size_t n)
{
    vf m = vf_set1(a->max ? -__builtin_inff() : 0);

    for (size_t y = w->y0; y < w->y1; y++)
        for (size_t x = w->x0; x < w->x1; x++) {
            size_t at = (y * (size_t)a->w + x) * a->ldx + j;
            vf v = n == VF ? vf_get(a->x, a->t, at) : vf_get_n(a->x, a->t, at, n);
            m = a->max ? vf_max(m, v) : vf_add(m, v);
        }
    return a->max ? m : vf_mul(m, vf_set1(w->factor));
}

static void pool_row(const vbg_pool_args *a, int oy)
{
    for (int ox = 0; ox < a->ow; ox++) {
        window w = window_at(a, oy, ox);
        size_t y = ((size_t)oy * (size_t)a->ow + (size_t)ox) * a->ldy, j = 0;
        for (; j + VF <= a->c; j += VF)
            vf_put(a->y, a->t, y + j, pool_lanes(a, &w, j, VF));
        if (j < a->c)
            vf_put_n(a->y, a->t, y + j, pool_lanes(a, &w, j, a->c - j), a->c - j);
    }
}

/* dx[0..c) += w * dy[0..c) */
static void add_scaled(float *dx, const void *dy, vbg_dtype t, size_t at, size_t c,
                       float w)
{
    vf k = vf_set1(w);
    size_t j = 0;

    for (; j + VF <= c; j += VF)
        vf_store(dx + j, vf_fma(vf_get(dy, t, at + j), k, vf_load(dx + j)));
    if (j < c) {
        size_t n = c - j;
        vf v = vf_fma(vf_get_n(dy, t, at + j, n), k, vf_load_n(dx + j, n));
        vf_store_n(dx + j, v, n);
    }
}

static void gather_back(const vbg_gather_back_args *a)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = i * (size_t)a->taps; k < (i + 1) * (size_t)a->taps; k++)
            if (a->index[k] >= 0)
                add_scaled(a->dx + (size_t)a->index[k] * a->lddx, a->dy, a->t,
                           i * a->lddy, a->c, a->weight[k]);
}

/* One channel, a value at a time: masks on logits. */
static void bilinear_row_back_single(const vbg_bilinear_back_args *a)
{
    for (size_t i = 0; i < a->ow; i++) {
        const float d = a->t == VBG_BF16
                            ? vbg_bf16_to_f32(((const uint16_t *)a->dy)[i * a->lddy])
                            : ((const float *)a->dy)[i * a->lddy];
        const float right = a->weight * a->fx[i], left = a->weight * (1 - a->fx[i]);
        float *first = a->dx + a->x0[i], *second = a->dx + a->x1[i];
        *first = __builtin_fmaf(d, left, *first);
        if (right != 0)
            *second = __builtin_fmaf(d, right, *second);
    }
}

static void bilinear_row_back(const vbg_bilinear_back_args *a)
{
    if (a->c == 1) {
        bilinear_row_back_single(a);
        return;
    }
    for (size_t i = 0; i < a->ow; i++) {
        float right = a->weight * a->fx[i], left = a->weight * (1 - a->fx[i]);
        add_scaled(a->dx + (size_t)a->x0[i] * a->c, a->dy, a->t, i * a->lddy, a->c, left);
        if (right != 0)
            add_scaled(a->dx + (size_t)a->x1[i] * a->c, a->dy, a->t, i * a->lddy, a->c,
                       right);
    }
}

/* n lanes of one window's gradient d: to the first maximum, or to all. */
static void pool_lanes_back(const vbg_pool_args *a, const window *w, size_t j, size_t n,
                            vf d, float *dx, size_t lddx)
{
    vf max = a->max ? pool_lanes(a, w, j, n) : vf_zero();

    if (!a->max)
        d = vf_mul(d, vf_set1(w->factor));
    for (size_t y = w->y0; y < w->y1; y++)
        for (size_t x = w->x0; x < w->x1; x++) {
            size_t at = y * (size_t)a->w + x;
            float *to = dx + at * lddx + j;
            vf g = d;
            if (a->max) {
                size_t from = at * a->ldx + j;
                vf v = n == VF ? vf_get(a->x, a->t, from) : vf_get_n(a->x, a->t, from, n);
                vf below = vf_sub(max, v);
                g = vf_if_positive(below, vf_zero(), d);
                d = vf_if_positive(below, d, vf_zero());
            }
            if (n == VF)
                vf_store(to, vf_add(vf_load(to), g));
            else
                vf_store_n(to, vf_add(vf_load_n(to, n), g), n);
        }
}

static void pool_row_back(const vbg_pool_args *a, const void *dy, float *dx, size_t lddx,
                          int oy)
{
    for (int ox = 0; ox < a->ow; ox++) {
        window w = window_at(a, oy, ox);
        size_t y = ((size_t)oy * (size_t)a->ow + (size_t)ox) * a->ldy, j = 0;
        for (; j + VF <= a->c; j += VF)
            pool_lanes_back(a, &w, j, VF, vf_get(dy, a->t, y + j), dx, lddx);
        if (j < a->c)
            pool_lanes_back(a, &w, j, a->c - j, vf_get_n(dy, a->t, y + j, a->c - j), dx,
                            lddx);
    }
}

static void fill(vbg_resample_kernels *k)
{
    *k = (vbg_resample_kernels){ .gather = gather,
                                 .bilinear_row = bilinear_row,
                                 .pool_row = pool_row,
                                 .gather_back = gather_back,
                                 .bilinear_row_back = bilinear_row_back,
                                 .pool_row_back = pool_row_back };
}
