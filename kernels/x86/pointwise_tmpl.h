/* Elementwise kernels for any vector width: included by pointwise_<isa>.c after
 * simd.h.  All are bound by memory; bf16 halves the traffic. */

/* y = act(x) */
static void act_rows(const vbg_row_io *io, vbg_act act)
{
    for (size_t r = 0; r < io->rows; r++) {
        size_t x = r * io->ldx, y = r * io->ldy, j = 0;
        for (; j + VF <= io->cols; j += VF)
            vf_put(io->y, io->yt, y + j,
                   vf_act_for(vf_get(io->x, io->xt, x + j), act, io->yt));
        if (j < io->cols) {
            size_t n = io->cols - j;
            vf v = vf_act_for(vf_get_n(io->x, io->xt, x + j, n), act, io->yt);
            vf_put_n(io->y, io->yt, y + j, v, n);
        }
    }
}

static void add(const vbg_row_io *io, const void *b, size_t ldb, vbg_act act)
{
    vbg_dtype t = io->xt;

    for (size_t r = 0; r < io->rows; r++) {
        size_t x = r * io->ldx, y = r * io->ldy, at = r * ldb, j = 0;
        for (; j + VF <= io->cols; j += VF) {
            vf v = vf_add(vf_get(io->x, t, x + j), vf_get(b, t, at + j));
            vf_put(io->y, io->yt, y + j, vf_act_for(v, act, io->yt));
        }
        if (j < io->cols) {
            size_t n = io->cols - j;
            vf v = vf_add(vf_get_n(io->x, t, x + j, n), vf_get_n(b, t, at + j, n));
            vf_put_n(io->y, io->yt, y + j, vf_act_for(v, act, io->yt), n);
        }
    }
}

static void mul(const vbg_row_io *io, const void *b, size_t ldb)
{
    vbg_dtype t = io->xt;

    for (size_t r = 0; r < io->rows; r++) {
        size_t x = r * io->ldx, y = r * io->ldy, at = r * ldb, j = 0;
        for (; j + VF <= io->cols; j += VF)
            vf_put(io->y, io->yt, y + j,
                   vf_mul(vf_get(io->x, t, x + j), vf_get(b, t, at + j)));
        if (j < io->cols) {
            size_t n = io->cols - j;
            vf v = vf_mul(vf_get_n(io->x, t, x + j, n), vf_get_n(b, t, at + j, n));
            vf_put_n(io->y, io->yt, y + j, v, n);
        }
    }
}

static void affine(const vbg_row_io *io, float scale, float shift)
{
    vf a = vf_set1(scale), b = vf_set1(shift);

    for (size_t r = 0; r < io->rows; r++) {
        size_t x = r * io->ldx, y = r * io->ldy, j = 0;
        for (; j + VF <= io->cols; j += VF)
            vf_put(io->y, io->yt, y + j, vf_fma(vf_get(io->x, io->xt, x + j), a, b));
        if (j < io->cols) {
            size_t n = io->cols - j;
            vf v = vf_fma(vf_get_n(io->x, io->xt, x + j, n), a, b);
            vf_put_n(io->y, io->yt, y + j, v, n);
        }
    }
}

static void geglu(const vbg_row_io *io)
{
    for (size_t r = 0; r < io->rows; r++) {
        size_t x = r * io->ldx, gate = x + io->cols, y = r * io->ldy, j = 0;
        for (; j + VF <= io->cols; j += VF) {
            vf g = vf_gelu(vf_get(io->x, io->xt, gate + j));
            vf_put(io->y, io->yt, y + j, vf_mul(vf_get(io->x, io->xt, x + j), g));
        }
        if (j < io->cols) {
            size_t n = io->cols - j;
            vf g = vf_gelu(vf_get_n(io->x, io->xt, gate + j, n));
            vf v = vf_mul(vf_get_n(io->x, io->xt, x + j, n), g);
            vf_put_n(io->y, io->yt, y + j, v, n);
        }
    }
}

static void act_back(const vbg_row_io *io, const void *dy, size_t lddy, vbg_act act)
{
    for (size_t r = 0; r < io->rows; r++) {
        size_t x = r * io->ldx, y = r * io->ldy, d = r * lddy, j = 0;
        for (; j + VF <= io->cols; j += VF) {
            vf s = vf_act_slope(vf_get(io->x, io->xt, x + j), act);
            vf_put(io->y, io->yt, y + j, vf_mul(vf_get(dy, io->yt, d + j), s));
        }
        if (j < io->cols) {
            size_t n = io->cols - j;
            vf s = vf_act_slope(vf_get_n(io->x, io->xt, x + j, n), act);
            vf_put_n(io->y, io->yt, y + j, vf_mul(vf_get_n(dy, io->yt, d + j, n), s), n);
        }
    }
}

/* n lanes at column j of a row: dx = dy gelu(g), dg = dy x gelu'(g) with one erf. */
VF_INLINE void geglu_back_lanes(const vbg_row_io *io, const void *dy, size_t lddy,
                                vbg_dtype xt, vbg_dtype yt, size_t r, size_t j, size_t n)
{
    const size_t x = r * io->ldx + j, y = r * io->ldy + j, d = r * lddy + j;
    const size_t c = io->cols;
    const bool whole = n == VF;
    vf v = whole ? vf_get(io->x, xt, x) : vf_get_n(io->x, xt, x, n);
    vf g = whole ? vf_get(io->x, xt, x + c) : vf_get_n(io->x, xt, x + c, n);
    vf k = whole ? vf_get(dy, yt, d) : vf_get_n(dy, yt, d, n);
    vf slope, dx = vf_mul(k, vf_gelu_slope(g, &slope));
    vf dg = vf_mul(vf_mul(k, v), slope);

    if (whole) {
        vf_put(io->y, yt, y, dx);
        vf_put(io->y, yt, y + c, dg);
    } else {
        vf_put_n(io->y, yt, y, dx, n);
        vf_put_n(io->y, yt, y + c, dg, n);
    }
}

VF_INLINE void geglu_back_as(const vbg_row_io *io, const void *dy, size_t lddy,
                             vbg_dtype xt, vbg_dtype yt)
{
    const size_t c = io->cols;

    for (size_t r = 0; r < io->rows; r++) {
        size_t j = 0;
        for (; j + VF <= c; j += VF)
            geglu_back_lanes(io, dy, lddy, xt, yt, r, j, VF);
        if (j < c)
            geglu_back_lanes(io, dy, lddy, xt, yt, r, j, c - j);
    }
}

static void geglu_back(const vbg_row_io *io, const void *dy, size_t lddy)
{
    if (io->xt == VBG_BF16 && io->yt == VBG_BF16)
        geglu_back_as(io, dy, lddy, VBG_BF16, VBG_BF16);
    else
        geglu_back_as(io, dy, lddy, io->xt, io->yt);
}

/* n lanes of row r at column j, times b's. */
static vf dot_term(const vbg_row_io *io, const void *b, size_t ldb, size_t r, size_t j,
                   size_t n)
{
    size_t x = r * io->ldx + j, at = r * ldb + j;

    if (n == VF) {
        vf v = vf_get(io->x, io->xt, x);
        return b ? vf_mul(v, vf_get(b, io->xt, at)) : v;
    }
    vf v = vf_get_n(io->x, io->xt, x, n);
    return b ? vf_mul(v, vf_get_n(b, io->xt, at, n)) : v;
}

static void dot_columns(float *sum, const vbg_row_io *io, const void *b, size_t ldb)
{
    size_t j = 0;

    for (; j + 4 * VF <= io->cols; j += 4 * VF) {
        vf s[4] = { vf_zero(), vf_zero(), vf_zero(), vf_zero() };
        for (size_t r = 0; r < io->rows; r++)
            VF_UNROLL
        for (size_t k = 0; k < 4; k++)
            s[k] = vf_add(s[k], dot_term(io, b, ldb, r, j + k * VF, VF));
        VF_UNROLL
        for (size_t k = 0; k < 4; k++)
            vf_store(sum + j + k * VF, vf_add(vf_load(sum + j + k * VF), s[k]));
    }
    for (; j < io->cols; j += VF) {
        size_t n = io->cols - j < VF ? io->cols - j : VF;
        vf s = vf_zero();
        for (size_t r = 0; r < io->rows; r++)
            s = vf_add(s, dot_term(io, b, ldb, r, j, n));
        if (n == VF)
            vf_store(sum + j, vf_add(vf_load(sum + j), s));
        else
            vf_store_n(sum + j, vf_add(vf_load_n(sum + j, n), s), n);
    }
}

static vf get_f16(const uint16_t *p)
{
#ifdef __AVX512F__
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
#else
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
#endif
}

static void put_f16(uint16_t *p, vf v)
{
    enum { NEAREST = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC };
#ifdef __AVX512F__
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(v, NEAREST));
#else
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(v, NEAREST));
#endif
}

static vf get_u8(const uint8_t *p)
{
#ifdef __AVX512F__
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(b));
#else
    __m128i b = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(b));
#endif
}

static vf get_i32(const int32_t *p)
{
#ifdef __AVX512F__
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
#else
    return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
#endif
}

static vf get_any(const void *x, vbg_dtype t, size_t i)
{
    if (t == VBG_F16)
        return get_f16((const uint16_t *)x + i);
    if (t == VBG_U8)
        return get_u8((const uint8_t *)x + i);
    if (t == VBG_I32)
        return get_i32((const int32_t *)x + i);
    return vf_get(x, t, i);
}

static void put_any(void *y, vbg_dtype t, size_t i, vf v)
{
    if (t == VBG_F16)
        put_f16((uint16_t *)y + i, v);
    else
        vf_put(y, t, i, v);
}

/* The rest that fills no vector goes through a padded copy. */
static void convert(void *y, vbg_dtype yt, const void *x, vbg_dtype xt, size_t count)
{
    size_t i = 0, xs = vbg_dtype_size(xt), ys = vbg_dtype_size(yt);

    for (; i + VF <= count; i += VF)
        put_any(y, yt, i, get_any(x, xt, i));
    if (i < count) {
        unsigned char in[VF * sizeof(float)] = { 0 }, out[VF * sizeof(float)];
        memcpy(in, (const char *)x + i * xs, (count - i) * xs);
        put_any(out, yt, 0, get_any(in, xt, 0));
        memcpy((char *)y + i * ys, out, (count - i) * ys);
    }
}

static void fill(vbg_pointwise_kernels *k)
{
    *k = (vbg_pointwise_kernels){ .act = act_rows,
                                  .add = add,
                                  .mul = mul,
                                  .affine = affine,
                                  .geglu = geglu,
                                  .act_back = act_back,
                                  .geglu_back = geglu_back,
                                  .dot_columns = dot_columns,
                                  .convert = convert };
}
