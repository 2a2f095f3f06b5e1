/* Windows of Lucas-Kanade, pyramid and corner rows for AVX2 and AVX-512; each includes
 * this after its wrappers (LANES words of 16 bits in a vs, widths in words).
 *
 * Bilinear reads in fixed point: the words (p[x], p[x+1]) are interleaved, a multiply-add
 * with the pair of weights gives 32-bit sums of the upper row, another of the lower row;
 * packing interleaved halves restores the order.  A row's interleaved words serve twice,
 * as lower row and then as upper row of the next one.
 *
 * Sums of products run in 32-bit lanes for at most BLOCK rows (a product pair is below
 * 2 * 8160 * 4080 < 2^27, so 16 rows stay below 2^31), then widen to 64 bits. */

enum { BLOCK = 16 };

/* The two weight pairs of a spot. */
typedef struct pairs {
    vs top, bottom;
} pairs;

VS_INLINE pairs weight_pairs(const vbg_lk_spot *s)
{
    return (pairs){ .top = vs_set_pair(s->weight[0], s->weight[1]),
                    .bottom = vs_set_pair(s->weight[2], s->weight[3]) };
}

/* Interleaved words of one row. */
typedef struct both {
    vs lo, hi;
} both;

VS_INLINE both interleave(vs a, vs b)
{
    return (both){ .lo = vs_unpack_lo(a, b), .hi = vs_unpack_hi(a, b) };
}

VS_INLINE both load_row(const uint8_t *p)
{
    return interleave(vs_load_u8(p), vs_load_u8(p + 1));
}

/* (upper . top + lower . bottom + half) >> bits, as words. */
VS_INLINE vs blend(both upper, both lower, pairs w, int bits)
{
    const vs half = vs_set1_32(1 << (bits - 1));
    const vs lo = vs_add32(vs_madd(upper.lo, w.top), vs_madd(lower.lo, w.bottom));
    const vs hi = vs_add32(vs_madd(upper.hi, w.top), vs_madd(lower.hi, w.bottom));

    return vs_pack32(vs_shift32(vs_add32(lo, half), bits),
                     vs_shift32(vs_add32(hi, half), bits));
}

static const uint8_t *address(const vbg_plane *im, int x, int y)
{
    return im->data + (ptrdiff_t)im->stride * y + x;
}

static void step(int64_t b[2], const vbg_lk_patch *p, const vbg_plane *im,
                 const vbg_lk_spot *s)
{
    const pairs w = weight_pairs(s);

    b[0] = b[1] = 0;
    for (int c = 0; c < p->w; c += LANES) {
        const uint8_t *src = address(im, s->x + c, s->y);
        both upper = load_row(src);
        for (int first = 0; first < p->h; first += BLOCK) {
            const int last = first + BLOCK < p->h ? first + BLOCK : p->h;
            vs bx = vs_zero(), by = vs_zero();
            for (int r = first; r < last; r++) {
                const int at = r * VBG_LK_LD + c;
                src += im->stride;
                const both lower = load_row(src);
                const vs diff = vs_sub(blend(upper, lower, w, 9), vs_load(p->level + at));
                bx = vs_add32(bx, vs_madd(diff, vs_load(p->dx + at)));
                by = vs_add32(by, vs_madd(diff, vs_load(p->dy + at)));
                upper = lower;
            }
            b[0] += vs_sum32(bx);
            b[1] += vs_sum32(by);
        }
    }
}

static int64_t residual(const vbg_lk_patch *p, const vbg_plane *im, const vbg_lk_spot *s)
{
    const pairs w = weight_pairs(s);
    const vs one = vs_set_pair(1, 1);
    int64_t sum = 0;

    for (int c = 0; c < p->w; c += LANES) {
        const uint8_t *src = address(im, s->x + c, s->y);
        const vs mask = vs_first(p->w - c);
        both upper = load_row(src);
        vs total = vs_zero();
        for (int r = 0; r < p->h; r++) {
            src += im->stride;
            const both lower = load_row(src);
            const vs level = vs_load(p->level + r * VBG_LK_LD + c);
            const vs diff = vs_abs(vs_sub(blend(upper, lower, w, 9), level));
            total = vs_add32(total, vs_madd(vs_and(diff, mask), one));
            upper = lower;
        }
        sum += vs_sum32(total);
    }
    return sum;
}

/* Three columns of one row, widened. */
typedef struct triple {
    vs left, middle, right;
} triple;

VS_INLINE triple load_triple(const uint8_t *p)
{
    return (triple){ .left = vs_load_u8(p - 1),
                     .middle = vs_load_u8(p),
                     .right = vs_load_u8(p + 1) };
}

/* 3 a + 10 b */
VS_INLINE vs three_ten(vs a, vs b)
{
    return vs_add(vs_mul(a, vs_set1(3)), vs_mul(b, vs_set1(10)));
}

enum { RAW_LD = VBG_LK_LD + 32 };

/* Scharr derivatives at whole pixels for the window and one more row and column, zero
 * outside the picture. */
static void raw_derivatives(int16_t *dx, int16_t *dy, const vbg_lk_patch *p,
                            const vbg_plane *im, const vbg_lk_spot *s)
{
    for (int c = 0; c <= p->w; c += LANES) {
        const uint8_t *src = address(im, s->x + c, s->y);
        const vs inside = vs_andnot(vs_first(-(s->x + c)), vs_first(im->w - (s->x + c)));
        triple a = load_triple(src - im->stride), b = load_triple(src);
        for (int r = 0; r <= p->h; r++) {
            const bool row_inside = s->y + r >= 0 && s->y + r < im->h;
            const vs mask = row_inside ? inside : vs_zero();
            src += im->stride;
            const triple e = load_triple(src);
            const vs x =
                three_ten(vs_sub(vs_add(a.right, e.right), vs_add(a.left, e.left)),
                          vs_sub(b.right, b.left));
            const vs y =
                three_ten(vs_sub(vs_add(e.left, e.right), vs_add(a.left, a.right)),
                          vs_sub(e.middle, a.middle));
            vs_store(dx + r * RAW_LD + c, vs_and(x, mask));
            vs_store(dy + r * RAW_LD + c, vs_and(y, mask));
            a = b;
            b = e;
        }
    }
}

VS_INLINE both load_words(const int16_t *p)
{
    return interleave(vs_loadu(p), vs_loadu(p + 1));
}

/* One column strip of the patch; sums a11 a12 a22 are added. */
static void patch_strip(vbg_lk_patch *p, const vbg_plane *im, const vbg_lk_spot *s, int c,
                        const int16_t *raw_x, const int16_t *raw_y)
{
    const pairs w = weight_pairs(s);
    const vs mask = vs_first(p->w - c);
    const uint8_t *src = address(im, s->x + c, s->y);
    both upper = load_row(src);
    both ux = load_words(raw_x + c), uy = load_words(raw_y + c);

    for (int first = 0; first < p->h; first += BLOCK) {
        const int last = first + BLOCK < p->h ? first + BLOCK : p->h;
        vs xx = vs_zero(), xy = vs_zero(), yy = vs_zero();
        for (int r = first; r < last; r++) {
            const int at = r * VBG_LK_LD + c, below = (r + 1) * RAW_LD + c;
            src += im->stride;
            const both lower = load_row(src);
            const both lx = load_words(raw_x + below), ly = load_words(raw_y + below);
            const vs x = vs_and(blend(ux, lx, w, 14), mask);
            const vs y = vs_and(blend(uy, ly, w, 14), mask);
            vs_store(p->level + at, vs_and(blend(upper, lower, w, 9), mask));
            vs_store(p->dx + at, x);
            vs_store(p->dy + at, y);
            xx = vs_add32(xx, vs_madd(x, x));
            xy = vs_add32(xy, vs_madd(x, y));
            yy = vs_add32(yy, vs_madd(y, y));
            upper = lower;
            ux = lx;
            uy = ly;
        }
        p->a11 += vs_sum32(xx);
        p->a12 += vs_sum32(xy);
        p->a22 += vs_sum32(yy);
    }
}

static void patch(vbg_lk_patch *p, const vbg_plane *im, const vbg_lk_spot *s)
{
    /* one row more than the window, and the overread of the last shifted load */
    int16_t raw_x[(VBG_LK_WINDOW_MAX + 1) * RAW_LD + 64];
    int16_t raw_y[(VBG_LK_WINDOW_MAX + 1) * RAW_LD + 64];

    raw_derivatives(raw_x, raw_y, p, im, s);
    p->a11 = p->a12 = p->a22 = 0;
    for (int c = 0; c < p->w; c += LANES)
        patch_strip(p, im, s, c, raw_x, raw_y);
}

static void halve(uint8_t *dst, const uint8_t *const rows[5], int w, uint16_t *tmp)
{
    const vs four = vs_set1(4), six = vs_set1(6), half = vs_set1_32(128);
    const vs first = vs_set_pair(1, 4), second = vs_set_pair(6, 4),
             third = vs_set_pair(1, 0);

    for (int x = -2; x < 2 * w + 1; x += LANES) {
        const vs ends = vs_add(vs_load_u8(rows[0] + x), vs_load_u8(rows[4] + x));
        const vs near = vs_add(vs_load_u8(rows[1] + x), vs_load_u8(rows[3] + x));
        const vs mid = vs_mul(vs_load_u8(rows[2] + x), six);
        vs_storeu(tmp + x + 2, vs_add(vs_add(ends, mid), vs_mul(near, four)));
    }
    for (int x = 0; x < w; x += LANES / 2) {
        const uint16_t *t = tmp + 2 * x;
        vs sum = vs_madd(vs_loadu((const int16_t *)t), first);
        sum = vs_add32(sum, vs_madd(vs_loadu((const int16_t *)t + 2), second));
        sum = vs_add32(sum, vs_madd(vs_loadu((const int16_t *)t + 4), third));
        vs_store32_u8(dst + x, vs_shift32(vs_add32(sum, half), 8), w - x);
    }
}
