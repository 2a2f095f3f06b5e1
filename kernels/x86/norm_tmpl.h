/* Norms for any vector width: included by norm_<isa>.c after simd.h. */

/* Sum of a row, in four chains. */
static float row_sum(const void *x, vbg_dtype t, size_t at, size_t cols)
{
    vf s[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
    size_t j = 0;

    for (; j + 4 * VF <= cols; j += 4 * VF) {
        VF_UNROLL
        for (size_t k = 0; k < 4; k++)
            s[k] = vf_add(s[k], vf_get(x, t, at + j + k * VF));
    }
    for (; j + VF <= cols; j += VF)
        s[0] = vf_add(s[0], vf_get(x, t, at + j));
    if (j < cols)
        s[1] = vf_add(s[1], vf_get_n(x, t, at + j, cols - j));
    return vf_sum(vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3])));
}

/* Sum of (x - mean)^2 of a row. */
static float row_squares(const void *x, vbg_dtype t, size_t at, size_t cols, float mean)
{
    vf s[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() }, m = vf_set1(mean), d;
    size_t j = 0;

    for (; j + 4 * VF <= cols; j += 4 * VF) {
        VF_UNROLL
        for (size_t k = 0; k < 4; k++) {
            d = vf_sub(vf_get(x, t, at + j + k * VF), m);
            s[k] = vf_fma(d, d, s[k]);
        }
    }
    for (; j + VF <= cols; j += VF) {
        d = vf_sub(vf_get(x, t, at + j), m);
        s[0] = vf_fma(d, d, s[0]);
    }
    if (j < cols) {
        d = vf_fill_n(vf_sub(vf_get_n(x, t, at + j, cols - j), m), vf_zero(), cols - j);
        s[1] = vf_fma(d, d, s[1]);
    }
    return vf_sum(vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3])));
}

/* Two passes over a row that fits L1 are cheaper and more exact than
 * E[x^2] - E[x]^2, which cancels when the mean is large. */
static void layer(const vbg_row_io *io, const float *gamma, const float *beta, float eps)
{
    const vf one = vf_set1(1), zero = vf_zero();

    for (size_t r = 0; r < io->rows; r++) {
        size_t x = r * io->ldx, y = r * io->ldy, j = 0, cols = io->cols;
        float mean = row_sum(io->x, io->xt, x, cols) / (float)cols;
        float var = row_squares(io->x, io->xt, x, cols, mean) / (float)cols;
        vf m = vf_set1(mean), s = vf_set1(1 / __builtin_sqrtf(var + eps));
        for (; j + VF <= cols; j += VF) {
            vf v = vf_mul(vf_sub(vf_get(io->x, io->xt, x + j), m), s);
            v = vf_fma(v, gamma ? vf_load(gamma + j) : one,
                       beta ? vf_load(beta + j) : zero);
            vf_put(io->y, io->yt, y + j, v);
        }
        if (j < cols) {
            size_t n = cols - j;
            vf v = vf_mul(vf_sub(vf_get_n(io->x, io->xt, x + j, n), m), s);
            v = vf_fma(v, gamma ? vf_load_n(gamma + j, n) : one,
                       beta ? vf_load_n(beta + j, n) : zero);
            vf_put_n(io->y, io->yt, y + j, v, n);
        }
    }
}

/* acc[i] += v[i] for n lanes, in double. */
static void add_lanes(double *acc, vf v, size_t n)
{
    float lane[VF];

    vf_store(lane, v);
    for (size_t i = 0; i < n; i++)
        acc[i] += (double)lane[i];
}

/* Four vectors of channels down `rows` pixels: the sums stay in registers. */
static void sum_block4(double *sum, double *sq, const float *shift, const vbg_row_io *io,
                       size_t at, size_t rows)
{
    vf s[4], q[4], f[4];

    VF_UNROLL
    for (size_t k = 0; k < 4; k++) {
        s[k] = q[k] = vf_zero();
        f[k] = shift ? vf_load(shift + k * VF) : vf_zero();
    }
    for (size_t r = 0; r < rows; r++) {
        VF_UNROLL
        for (size_t k = 0; k < 4; k++) {
            vf d = vf_sub(vf_get(io->x, io->xt, at + r * io->ldx + k * VF), f[k]);
            s[k] = vf_add(s[k], d);
            q[k] = vf_fma(d, d, q[k]);
        }
    }
    VF_UNROLL
    for (size_t k = 0; k < 4; k++) {
        add_lanes(sum + k * VF, s[k], VF);
        if (sq)
            add_lanes(sq + k * VF, q[k], VF);
    }
}

/* One vector of n channels. */
static void sum_block1(double *sum, double *sq, const float *shift, const vbg_row_io *io,
                       size_t at, size_t rows, size_t n)
{
    vf s = vf_zero(), q = vf_zero(), f = shift ? vf_load_n(shift, n) : vf_zero();

    for (size_t r = 0; r < rows; r++) {
        vf d = vf_sub(vf_get_n(io->x, io->xt, at + r * io->ldx, n), f);
        s = vf_add(s, d);
        q = vf_fma(d, d, q);
    }
    add_lanes(sum, s, n);
    if (sq)
        add_lanes(sq, q, n);
}

static void channel_sums(double *sum, double *sq, const float *shift,
                         const vbg_row_io *io, size_t piece)
{
    for (size_t r = 0; r < io->rows; r += piece) {
        size_t rows = io->rows - r < piece ? io->rows - r : piece, j = 0;
        for (; j + 4 * VF <= io->cols; j += 4 * VF)
            sum_block4(sum + j, sq ? sq + j : NULL, shift ? shift + j : NULL, io,
                       r * io->ldx + j, rows);
        for (; j < io->cols; j += VF)
            sum_block1(sum + j, sq ? sq + j : NULL, shift ? shift + j : NULL, io,
                       r * io->ldx + j, rows, io->cols - j < VF ? io->cols - j : VF);
    }
}

/* What the compiler should know of a call: types of x and of what is made, act. */
typedef struct norm_kind {
    vbg_dtype xt, yt;
    vbg_act act;
    bool res;
} norm_kind;

/* n lanes of row r at column j of act(x*scale + shift + res). */
VF_INLINE void scale_lanes(const vbg_row_io *io, const float *const f[2], const void *res,
                           size_t ldres, norm_kind k, size_t r, size_t j, size_t n)
{
    const bool whole = n == VF;
    const size_t x = r * io->ldx + j, y = r * io->ldy + j, at = r * ldres + j;
    vf v = whole ? vf_get(io->x, k.xt, x) : vf_get_n(io->x, k.xt, x, n);

    v = whole ? vf_fma(v, vf_load(f[0] + j), vf_load(f[1] + j))
              : vf_fma(v, vf_load_n(f[0] + j, n), vf_load_n(f[1] + j, n));
    if (k.res)
        v = vf_add(v, whole ? vf_get(res, k.yt, at) : vf_get_n(res, k.yt, at, n));
    v = vf_act_for(v, k.act, k.yt);
    if (whole)
        vf_put(io->y, k.yt, y, v);
    else
        vf_put_n(io->y, k.yt, y, v, n);
}

VF_INLINE void scale_rows_as(const vbg_row_io *io, const float *const f[2],
                             const void *res, size_t ldres, norm_kind k)
{
    for (size_t r = 0; r < io->rows; r++) {
        size_t j = 0;
        for (; j + 2 * VF <= io->cols; j += 2 * VF) {
            scale_lanes(io, f, res, ldres, k, r, j, VF);
            scale_lanes(io, f, res, ldres, k, r, j + VF, VF);
        }
        for (; j + VF <= io->cols; j += VF)
            scale_lanes(io, f, res, ldres, k, r, j, VF);
        if (j < io->cols)
            scale_lanes(io, f, res, ldres, k, r, j, io->cols - j);
    }
}

static void scale_shift(const vbg_row_io *io, const float *scale, const float *shift,
                        const void *res, size_t ldres, vbg_act act)
{
    const float *const f[2] = { scale, shift };
    const bool bf16 = io->xt == VBG_BF16 && io->yt == VBG_BF16, fast = bf16 && !res;

    if (bf16 && res && act == VBG_ACT_RELU)
        scale_rows_as(io, f, res, ldres,
                      (norm_kind){ VBG_BF16, VBG_BF16, VBG_ACT_RELU, true });
    else if (fast && act == VBG_ACT_SILU)
        scale_rows_as(io, f, NULL, 0,
                      (norm_kind){ VBG_BF16, VBG_BF16, VBG_ACT_SILU, false });
    else if (fast && act == VBG_ACT_RELU)
        scale_rows_as(io, f, NULL, 0,
                      (norm_kind){ VBG_BF16, VBG_BF16, VBG_ACT_RELU, false });
    else if (fast && act == VBG_ACT_NONE)
        scale_rows_as(io, f, NULL, 0,
                      (norm_kind){ VBG_BF16, VBG_BF16, VBG_ACT_NONE, false });
    else
        scale_rows_as(io, f, res, ldres, (norm_kind){ io->xt, io->yt, act, res != NULL });
}

static float row_top(const void *x, vbg_dtype t, size_t at, size_t cols)
{
    const vf low = vf_set1(-__builtin_inff());
    vf m = low;
    size_t j = 0;

    for (; j + VF <= cols; j += VF)
        m = vf_max(m, vf_get(x, t, at + j));
    if (j < cols)
        m = vf_max(m, vf_fill_n(vf_get_n(x, t, at + j, cols - j), low, cols - j));
    return vf_top(m);
}

/* The exponentials are computed twice rather than stored: y may be bf16. */
static void softmax(const vbg_row_io *io)
{
    for (size_t r = 0; r < io->rows; r++) {
        size_t x = r * io->ldx, y = r * io->ldy, j = 0, cols = io->cols;
        vf top = vf_set1(row_top(io->x, io->xt, x, cols)), s = vf_zero();
        for (; j + VF <= cols; j += VF)
            s = vf_add(s, vf_exp(vf_sub(vf_get(io->x, io->xt, x + j), top)));
        if (j < cols) {
            vf e = vf_exp(vf_sub(vf_get_n(io->x, io->xt, x + j, cols - j), top));
            s = vf_add(s, vf_fill_n(e, vf_zero(), cols - j));
        }
        vf f = vf_set1(1 / vf_sum(s));
        for (j = 0; j + VF <= cols; j += VF) {
            vf e = vf_exp(vf_sub(vf_get(io->x, io->xt, x + j), top));
            vf_put(io->y, io->yt, y + j, vf_mul(e, f));
        }
        if (j < cols) {
            vf e = vf_exp(vf_sub(vf_get_n(io->x, io->xt, x + j, cols - j), top));
            vf_put_n(io->y, io->yt, y + j, vf_mul(e, f), cols - j);
        }
    }
}

/* ---- backwards ---- */

VF_INLINE vf get_lanes(const void *p, vbg_dtype t, size_t at, size_t n)
{
    return n == VF ? vf_get(p, t, at) : vf_get_n(p, t, at, n);
}

VF_INLINE vf load_lanes(const float *p, size_t n)
{
    return n == VF ? vf_load(p) : vf_load_n(p, n);
}

/* dz of n lanes at column j of row r, with x. */
VF_INLINE vf back_dz(const vbg_norm_back *b, norm_kind k, size_t r, size_t j, size_t n,
                     vf x)
{
    vf dy = get_lanes(b->dy, k.yt, r * b->lddy + j, n);

    if (k.act == VBG_ACT_NONE)
        return dy;
    vf z = vf_fma(x, load_lanes(b->scale + j, n), load_lanes(b->shift + j, n));
    if (k.res)
        z = vf_add(z, get_lanes(b->res, k.yt, r * b->ldres + j, n));
    return vf_mul(dy, vf_act_slope_for(z, k.act, k.yt));
}

/* acc[i] += v[i] for a piece of rows, n channels from j on. */
VF_INLINE void back_block(double *sum, double *sumx, const vbg_norm_back *b, norm_kind k,
                          size_t r0, size_t r1, size_t j, size_t n)
{
    vf s = vf_zero(), q = vf_zero();
    vf m = b->centre ? load_lanes(b->centre + j, n) : vf_zero();

    for (size_t r = r0; r < r1; r++) {
        vf x = get_lanes(b->x, k.xt, r * b->ldx + j, n);
        vf dz = back_dz(b, k, r, j, n, x);
        s = vf_add(s, dz);
        q = vf_fma(dz, vf_sub(x, m), q);
    }
    add_lanes(sum + j, s, n);
    add_lanes(sumx + j, q, n);
}

VF_INLINE void back_sums_as(double *sum, double *sumx, const vbg_norm_back *b,
                            norm_kind k, size_t piece)
{
    for (size_t r = 0; r < b->rows; r += piece) {
        size_t end = b->rows - r < piece ? b->rows : r + piece, j = 0;
        for (; j + VF <= b->cols; j += VF)
            back_block(sum, sumx, b, k, r, end, j, VF);
        if (j < b->cols)
            back_block(sum, sumx, b, k, r, end, j, b->cols - j);
    }
}

static bool all_bf16(const vbg_norm_back *b)
{
    return b->xt == VBG_BF16 && b->yt == VBG_BF16;
}

/* The kinds that networks have, and any other. */
static void back_sums(double *sum, double *sumx, const vbg_norm_back *b, size_t piece)
{
    const vbg_dtype h = VBG_BF16;
    const bool bf16 = all_bf16(b), fast = bf16 && !b->res;

    if (fast && b->act == VBG_ACT_SILU)
        back_sums_as(sum, sumx, b, (norm_kind){ h, h, VBG_ACT_SILU, false }, piece);
    else if (fast && b->act == VBG_ACT_RELU)
        back_sums_as(sum, sumx, b, (norm_kind){ h, h, VBG_ACT_RELU, false }, piece);
    else if (fast && b->act == VBG_ACT_NONE)
        back_sums_as(sum, sumx, b, (norm_kind){ h, h, VBG_ACT_NONE, false }, piece);
    else if (bf16 && b->res && b->act == VBG_ACT_RELU)
        back_sums_as(sum, sumx, b, (norm_kind){ h, h, VBG_ACT_RELU, true }, piece);
    else
        back_sums_as(sum, sumx, b, (norm_kind){ b->xt, b->yt, b->act, b->res != NULL },
                     piece);
}

/* What a map does beside dx = fz dz: statistics that depend on x, sums, dz for res. */
typedef struct map_kind {
    bool dx, dres, stats, plus;
} map_kind;

VF_INLINE void map_lanes(const vbg_norm_back *b, norm_kind k, map_kind does,
                         const float *const f[3], size_t r, size_t j, size_t n)
{
    vf x = get_lanes(b->x, k.xt, r * b->ldx + j, n), dz = back_dz(b, k, r, j, n, x);

    if (does.dres)
        vf_put_n(b->dres, k.yt, r * b->lddres + j, dz, n);
    if (!does.dx)
        return;
    vf dx = vf_mul(dz, load_lanes(f[0] + j, n));
    if (does.stats) {
        if (b->centre)
            x = vf_sub(x, load_lanes(b->centre + j, n));
        dx = vf_fma(x, load_lanes(f[1] + j, n), dx);
        dx = vf_add(dx, load_lanes(f[2] + j, n));
    }
    if (does.plus)
        dx = vf_add(dx, get_lanes(b->plus, k.xt, r * b->ldplus + j, n));
    if (n == VF)
        vf_put(b->dx, k.xt, r * b->lddx + j, dx);
    else
        vf_put_n(b->dx, k.xt, r * b->lddx + j, dx, n);
}

VF_INLINE void back_map_as(const vbg_norm_back *b, norm_kind k, map_kind does,
                           const float *const f[3])
{
    for (size_t r = 0; r < b->rows; r++) {
        size_t j = 0;
        for (; j + VF <= b->cols; j += VF)
            map_lanes(b, k, does, f, r, j, VF);
        if (j < b->cols)
            map_lanes(b, k, does, f, r, j, b->cols - j);
    }
}

/* bf16 of one act, with statistics, without res. */
VF_INLINE void back_map_act(const vbg_norm_back *b, vbg_act act, const float *const f[3])
{
    const norm_kind k = { VBG_BF16, VBG_BF16, act, false };

    if (b->plus)
        back_map_as(b, k, (map_kind){ .dx = true, .stats = true, .plus = true }, f);
    else
        back_map_as(b, k, (map_kind){ .dx = true, .stats = true }, f);
}

static void back_map(const vbg_norm_back *b, const float *fz, const float *fx,
                     const float *f1)
{
    const float *const f[3] = { fz, fx, f1 };
    const bool fast = all_bf16(b) && b->dx && fx && f1 && (!b->res == !b->dres);

    if (fast && !b->res && b->act == VBG_ACT_SILU)
        back_map_act(b, VBG_ACT_SILU, f);
    else if (fast && !b->res && b->act == VBG_ACT_RELU)
        back_map_act(b, VBG_ACT_RELU, f);
    else if (fast && !b->res && b->act == VBG_ACT_NONE)
        back_map_act(b, VBG_ACT_NONE, f);
    else if (fast && b->res && !b->plus && b->act == VBG_ACT_RELU)
        back_map_as(b, (norm_kind){ VBG_BF16, VBG_BF16, VBG_ACT_RELU, true },
                    (map_kind){ .dx = true, .dres = true, .stats = true }, f);
    else
        back_map_as(b, (norm_kind){ b->xt, b->yt, b->act, b->res != NULL },
                    (map_kind){ .dx = b->dx != NULL,
                                .dres = b->dres != NULL,
                                .stats = fx != NULL,
                                .plus = b->plus != NULL },
                    f);
}

/* A row of layer norm: what its lanes share. */
typedef struct layer_row {
    vf mean, rstd, mg, mgn;
    const float *gamma;
    float *dgamma, *dbeta;
    size_t r;
} layer_row;

VF_INLINE void layer_means(const vbg_norm_back *b, layer_row *w, size_t j, size_t n)
{
    vf x = vf_get_n(b->x, b->xt, w->r * b->ldx + j, n);
    vf g = vf_get_n(b->dy, b->yt, w->r * b->lddy + j, n); /* zero beyond n */

    if (w->gamma)
        g = vf_mul(g, vf_load_n(w->gamma + j, n));
    w->mg = vf_add(w->mg, g);
    w->mgn = vf_fma(g, vf_mul(vf_sub(x, w->mean), w->rstd), w->mgn);
}

VF_INLINE void layer_lanes(const vbg_norm_back *b, const layer_row *w, size_t j, size_t n)
{
    vf x = vf_get_n(b->x, b->xt, w->r * b->ldx + j, n);
    vf dy = vf_get_n(b->dy, b->yt, w->r * b->lddy + j, n);
    vf xn = vf_mul(vf_sub(x, w->mean), w->rstd);

    if (w->dgamma) {
        vf_store_n(w->dgamma + j, vf_fma(dy, xn, vf_load_n(w->dgamma + j, n)), n);
        vf_store_n(w->dbeta + j, vf_add(dy, vf_load_n(w->dbeta + j, n)), n);
    }
    if (!b->dx)
        return;
    vf g = w->gamma ? vf_mul(dy, vf_load_n(w->gamma + j, n)) : dy;
    vf dx = vf_mul(vf_fnma(xn, w->mgn, vf_sub(g, w->mg)), w->rstd);
    if (b->plus)
        dx = vf_add(dx, get_lanes(b->plus, b->xt, w->r * b->ldplus + j, n));
    vf_put_n(b->dx, b->xt, w->r * b->lddx + j, dx, n);
}

static void layer_back(const vbg_norm_back *b, const float *gamma, float eps,
                       float *dgamma, float *dbeta)
{
    const size_t cols = b->cols, whole = cols / VF * VF;
    const float n = (float)cols;

    for (size_t r = 0; r < b->rows; r++) {
        float mean = row_sum(b->x, b->xt, r * b->ldx, cols) / n;
        float var = row_squares(b->x, b->xt, r * b->ldx, cols, mean) / n;
        layer_row w = { vf_set1(mean), vf_set1(1 / __builtin_sqrtf(var + eps)),
                        vf_zero(),     vf_zero(),
                        gamma,         dgamma,
                        dbeta,         r };
        for (size_t j = 0; j < whole; j += VF)
            layer_means(b, &w, j, VF);
        if (whole < cols)
            layer_means(b, &w, whole, cols - whole);
        w.mg = vf_set1(vf_sum(w.mg) / n);
        w.mgn = vf_set1(vf_sum(w.mgn) / n);
        for (size_t j = 0; j < whole; j += VF)
            layer_lanes(b, &w, j, VF);
        if (whole < cols)
            layer_lanes(b, &w, whole, cols - whole);
    }
}

static void softmax_back(const vbg_norm_back *b)
{
    const size_t cols = b->cols;

    for (size_t r = 0; r < b->rows; r++) {
        const size_t x = r * b->ldx, dy = r * b->lddy;
        vf dot = vf_zero();
        for (size_t j = 0; j < cols; j += VF) {
            size_t n = cols - j < VF ? cols - j : VF;
            dot = vf_fma(vf_get_n(b->x, b->xt, x + j, n),
                         vf_get_n(b->dy, b->yt, dy + j, n), dot);
        }
        dot = vf_set1(vf_sum(dot));
        for (size_t j = 0; j < cols; j += VF) {
            size_t n = cols - j < VF ? cols - j : VF;
            vf v = vf_sub(vf_get_n(b->dy, b->yt, dy + j, n), dot);
            v = vf_mul(v, vf_get_n(b->x, b->xt, x + j, n));
            vf_put_n(b->dx, b->xt, r * b->lddx + j, v, n);
        }
    }
}

static void fill(vbg_norm_kernels *k)
{
    *k = (vbg_norm_kernels){ .layer = layer,
                             .channel_sums = channel_sums,
                             .scale_shift = scale_shift,
                             .softmax = softmax,
                             .back_sums = back_sums,
                             .back_map = back_map,
                             .layer_back = layer_back,
                             .softmax_back = softmax_back };
}
