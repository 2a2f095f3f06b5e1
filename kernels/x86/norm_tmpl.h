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

static void scale_shift(const vbg_row_io *io, const float *scale, const float *shift,
                        vbg_act act)
{
    for (size_t r = 0; r < io->rows; r++) {
        size_t x = r * io->ldx, y = r * io->ldy, j = 0;
        for (; j + VF <= io->cols; j += VF) {
            vf v = vf_get(io->x, io->xt, x + j);
            v = vf_fma(v, vf_load(scale + j), vf_load(shift + j));
            vf_put(io->y, io->yt, y + j, vf_act_for(v, act, io->yt));
        }
        if (j < io->cols) {
            size_t n = io->cols - j;
            vf v = vf_get_n(io->x, io->xt, x + j, n);
            v = vf_fma(v, vf_load_n(scale + j, n), vf_load_n(shift + j, n));
            vf_put_n(io->y, io->yt, y + j, vf_act_for(v, act, io->yt), n);
        }
    }
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

static void fill(vbg_norm_kernels *k)
{
    *k = (vbg_norm_kernels){ .layer = layer,
                             .channel_sums = channel_sums,
                             .scale_shift = scale_shift,
                             .softmax = softmax };
}
