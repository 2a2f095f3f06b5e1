/* Viewport rows for AVX2 and AVX-512; included after simd.h by each.
 *
 * Positions: exact longitude and latitude every 8 pixels, a parabola through three of
 * these in between (its error is below 0.001 pixel where the second difference is below
 * 1), exact per pixel where they bend more, that is near the poles.
 *
 * Pixels: one 64-bit gather brings two neighbours R G B X R G B X.  Group A holds pixels
 * 0 1 4 5 8 9 12 13 of a segment, group B 2 3 6 7 10 11 14 15 (AVX2: of half a segment):
 * packing the 16-bit results of both interleaves 128-bit lanes and yields 0..15. */

enum { SEGMENT = 16, KNOT = 8, SPAN = 1024 /* pixels per pass over the knots */ };

typedef struct knots {
    float u[SPAN / KNOT + 32], v[SPAN / KNOT + 32];
} knots;

/* What every pixel of a row needs. */
typedef struct row_job {
    const vbg_sphere_table *t;
    vf dir[3], step[3];
    vf scale_u, shift_u, scale_v, shift_v;
} row_job;

/* atan of t in 0..1, error 5e-8. */
VF_INLINE vf atan_unit(vf t)
{
    static const float c[8] = { 0.999999336f,  -0.333298608f,  0.199465654f,
                                -0.139086285f, 0.0964219444f,  -0.0559122855f,
                                0.0218629281f, -0.00405455864f };
    const vf s = vf_mul(t, t);
    vf p = vf_set1(c[7]);

    for (int i = 6; i >= 0; i--)
        p = vf_fma(p, s, vf_set1(c[i]));
    return vf_mul(p, t);
}

/* atan2(y, x) */
VF_INLINE vf atan2_vf(vf y, vf x)
{
    const vf ax = vf_abs(x), ay = vf_abs(y);
    const vf big = vf_max(ax, ay), small = vf_min(ax, ay);
    vf r = atan_unit(vf_div(small, vf_max(big, vf_set1(1e-30f))));

    r = vf_if_less(ax, ay, vf_sub(vf_set1(1.57079632679f), r), r);
    r = vf_if_less(x, vf_zero(), vf_sub(vf_set1(3.14159265359f), r), r);
    return vf_copy_sign(r, y);
}

/* Table position (plus one half) of the pixels at x. */
VF_INLINE void locate(vf *u, vf *v, const row_job *j, vf x)
{
    const vf dx = vf_fma(x, j->step[0], j->dir[0]), dy = vf_fma(x, j->step[1], j->dir[1]);
    const vf dz = vf_fma(x, j->step[2], j->dir[2]);
    const vf ring = vf_sqrt(vf_fma(dx, dx, vf_mul(dz, dz)));

    *u = vf_fma(atan2_vf(dx, dz), j->scale_u, j->shift_u);
    *v = vf_fma(atan2_vf(dy, ring), j->scale_v, j->shift_v);
}

/* Reads and mixes LANES pixels at (u, v), in group order, and stores them as RGB. */
VF_INLINE void fetch(uint8_t *rgb, const row_job *j, vf u, vf v)
{
    const vbg_sphere_table *t = j->t;
    const vf w = vf_set1((float)t->w);

    u = vf_if_less(u, vf_set1(0.5f), vf_add(u, w), u);
    u = vf_if_less(vf_set1((float)t->w + 0.5f), u, vf_sub(u, w), u);
    v = vf_min(vf_max(v, vf_set1(0.5f)), vf_set1((float)t->h + 0.5f));
    const vi fu = vf_to_int(vf_mul(u, vf_set1(128.0f)));
    const vi fv = vf_to_int(vf_mul(v, vf_set1(128.0f)));
    const vi at =
        vi_add(vi_mul(vi_shift_right7(fv), vi_set1((int)t->stride)), vi_shift_right7(fu));
    const vi right = vi_and(fu, vi_set1(127)), down = vi_and(fv, vi_set1(127));
    /* two bytes 128-a, a; and b << 8 */
    const vi wx = vi_add(vi_shift_left8(right), vi_sub(vi_set1(128), right));
    const vi wy = vi_shift_left8(down);
    const uint8_t *data = t->data;
    const uint8_t *below = t->data + t->stride * 4;
    const vi a = mix_pairs(data, below, vi_half(at, 0), vi_half(wx, 0), vi_half(wy, 0));
    const vi b = mix_pairs(data, below, vi_half(at, 1), vi_half(wx, 1), vi_half(wy, 1));

    store_rgb(rgb, a, b);
}

/* A value interpolated by a parabola through knots p, q, r at 0, 8 and 16; s = x/8. */
VF_INLINE vf parabola(vf s, float p, float q, float r)
{
    const vf bend =
        vf_mul(vf_mul(s, vf_sub(s, vf_set1(1.0f))), vf_set1(0.5f * (p - 2.0f * q + r)));

    return vf_add(vf_fma(s, vf_set1(q - p), vf_set1(p)), bend);
}

/* The value that equals x modulo w and is nearest to base. */
static inline float unwrap(float x, float base, float w)
{
    return x - base > 0.5f * w ? x - w : x - base < -0.5f * w ? x + w : x;
}

/* 16 pixels from x on; knots k, k+1, k+2. */
static inline void segment(uint8_t *rgb, const row_job *j, const knots *k, int i, int x)
{
    const float w = (float)j->t->w;
    const float u0 = k->u[i], u1 = unwrap(k->u[i + 1], u0, w);
    const float u2 = unwrap(k->u[i + 2], u1, w);
    const float v0 = k->v[i], v1 = k->v[i + 1], v2 = k->v[i + 2];
    const float bu = u0 - 2.0f * u1 + u2, bv = v0 - 2.0f * v1 + v2;
    const bool smooth = bu < 0.5f && bu > -0.5f && bv < 0.5f && bv > -0.5f;

    for (int part = 0; part < SEGMENT; part += LANES) {
        const vf lane = vf_add(group_order(), vf_set1((float)part));
        vf u, v;
        if (smooth) {
            const vf s = vf_mul(lane, vf_set1(1.0f / KNOT));
            u = parabola(s, u0, u1, u2);
            v = parabola(s, v0, v1, v2);
        } else {
            locate(&u, &v, j, vf_add(lane, vf_set1((float)x)));
        }
        fetch(rgb + 3 * part, j, u, v);
    }
}

static void row(uint8_t *rgb, int n, const vbg_sphere_table *t, const float dir[3],
                const float step[3])
{
    row_job j = { .t = t,
                  .scale_u = vf_set1((float)t->w / 6.28318530718f),
                  .shift_u = vf_set1(0.5f * (float)t->w + 0.5f),
                  .scale_v = vf_set1((float)t->h / 3.14159265359f),
                  .shift_v = vf_set1(0.5f * (float)t->h + 0.5f) };
    knots k;

    for (int i = 0; i < 3; i++) {
        j.dir[i] = vf_set1(dir[i]);
        j.step[i] = vf_set1(step[i]);
    }
    for (int first = 0; first < n; first += SPAN) {
        const int count = n - first < SPAN ? n - first : SPAN;
        for (int i = 0; i < count / KNOT + 3; i += LANES) {
            const vf x =
                vf_fma(vf_count(), vf_set1(KNOT), vf_set1((float)(first + i * KNOT)));
            vf u, v;
            locate(&u, &v, &j, x);
            vf_store(k.u + i, u);
            vf_store(k.v + i, v);
        }
        for (int x = 0; x < count; x += SEGMENT) {
            uint8_t *out = rgb + 3 * (size_t)(first + x);
            uint8_t tail[SEGMENT * 3 + 64];
            const int left = count - x;
            segment(left < SEGMENT ? tail : out, &j, &k, x / KNOT, first + x);
            if (left < SEGMENT)
                memcpy(out, tail, 3 * (size_t)left);
        }
    }
}
