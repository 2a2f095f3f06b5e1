/* Correspondence-aware attention in bf16.  f32 takes caa_tmpl.h; here the 4x4 patch of
 * a neighbour is the unit instead of its 9 entries:
 *
 *   scores  one product q.K per patch pixel and head (32 channels are one vdpbf16ps);
 *           the 16 sums of a head are one vector, in which the bilinear positions of
 *           all entries are two rotations and two multiply-adds
 *   output  softmax weights go through the transposed interpolation and give one
 *           factor per patch pixel
 *   norms   the mean and spread of gather(F) + enc follow from products of neighbouring
 *           pixels (gram, once per map) and from F.enc
 *
 * Lane 4*dy + dx of every vector is entry (dx, dy), or pixel (x, y) of the patch. */
#include "kernels/caa.h"
#include "kernels/x86/simd.h"
#include "kernels/x86/caa_tmpl.h"
#include "kernels/x86/caa_back_tmpl.h"

enum { LANES = 16 };

static inline __m512bh load32(const char *p)
{
    return (__m512bh)_mm512_loadu_si512(p);
}

/* Lane i of the result is the sum of all lanes of v[i]. */
static inline vf sum16(const vf v[16])
{
    vf t[8], q[4];

    VF_UNROLL
    for (size_t i = 0; i < 8; i++)
        t[i] = _mm512_add_ps(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]),
                             _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
    VF_UNROLL
    for (size_t i = 0; i < 4; i++) {
        __m512d a = _mm512_castps_pd(t[2 * i]), b = _mm512_castps_pd(t[2 * i + 1]);
        q[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                             _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    VF_UNROLL
    for (size_t i = 0; i < 2; i++)
        t[i] = _mm512_add_ps(_mm512_shuffle_f32x4(q[2 * i], q[2 * i + 1], 0x88),
                             _mm512_shuffle_f32x4(q[2 * i], q[2 * i + 1], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(t[0], t[1], 0x88),
                         _mm512_shuffle_f32x4(t[0], t[1], 0xdd));
}

/* Lane i becomes lane i + n (down) or i - n (up); what comes in is zero. */
static inline vf lanes_down(vf v, int n)
{
    const __m512i zero = _mm512_setzero_si512(), b = _mm512_castps_si512(v);
    return _mm512_castsi512_ps(n == 1 ? _mm512_alignr_epi32(zero, b, 1)
                                      : _mm512_alignr_epi32(zero, b, 4));
}
static inline vf lanes_up(vf v, int n)
{
    const __m512i zero = _mm512_setzero_si512(), b = _mm512_castps_si512(v);
    return _mm512_castsi512_ps(n == 1 ? _mm512_alignr_epi32(b, zero, 15)
                                      : _mm512_alignr_epi32(b, zero, 12));
}

/* What one neighbour gives to one pixel. */
typedef struct patch {
    const char *x[LANES], *k[LANES], *v[LANES]; /* pixels; outside: any valid address */
    const char *enc[LANES], *ek[LANES], *ev[LANES]; /* table rows, by lane */
    __mmask16 inside, in_view; /* pixels inside the map; entries in view */
    int lane[VBG_CAA_ENTRIES / 2], entries;
    vf fx, fy, mean, rstd; /* the last two by lane, 0 where not in view */
} patch;

static void set_pixels(patch *p, const vbg_caa_args *a, int side, const vbg_caa_spot *s)
{
    p->inside = 0;
    for (int i = 0; i < LANES; i++) {
        int x = s->x0 + i % 4, y = s->y0 + i / 4;
        bool in = x >= 0 && x < a->w && y >= 0 && y < a->h;
        size_t at = in ? ((size_t)y * (size_t)a->w + (size_t)x) * 2 : 0;
        p->inside |= (__mmask16)((unsigned)in << i);
        p->x[i] = (const char *)a->x[side] + at * a->ldx;
        p->k[i] = (const char *)a->k[side] + at * a->ldk;
        p->v[i] = (const char *)a->v[side] + at * a->ldv;
    }
}

/* F.enc of an entry: taps weighted after the sums over channels. */
static float cross(const patch *p, int lane, const float w[4], size_t c)
{
    const char *x0 = p->x[lane], *x1 = p->x[lane + 1], *x2 = p->x[lane + 4];
    const char *x3 = p->x[lane + 5], *e = p->enc[lane];
    vf s0 = vf_zero(), s1 = vf_zero(), s2 = vf_zero(), s3 = vf_zero();

    for (size_t i = 0; i < 2 * c; i += 64) {
        __m512bh t = load32(e + i);
        s0 = _mm512_dpbf16_ps(s0, load32(x0 + i), t);
        s1 = _mm512_dpbf16_ps(s1, load32(x1 + i), t);
        s2 = _mm512_dpbf16_ps(s2, load32(x2 + i), t);
        s3 = _mm512_dpbf16_ps(s3, load32(x3 + i), t);
    }
    s0 = vf_fma(s1, vf_set1(w[1]), vf_mul(s0, vf_set1(w[0])));
    return vf_sum(vf_fma(s3, vf_set1(w[3]), vf_fma(s2, vf_set1(w[2]), s0)));
}

/* Sum and sum of squares of gather(F) from the products of pixels. */
static void gathered(const float *gram, const vbg_caa_args *a, int x, int y,
                     const float w[4], float *sum, float *square)
{
    static const float none[VBG_CAA_GRAM];
    const float *g[4];

    for (int i = 0; i < 4; i++) {
        int px = x + (i & 1), py = y + (i >> 1);
        g[i] = px >= 0 && px < a->w && py >= 0 && py < a->h
                   ? gram + ((size_t)py * (size_t)a->w + (size_t)px) * VBG_CAA_GRAM
                   : none;
    }
    *sum = w[0] * g[0][0] + w[1] * g[1][0] + w[2] * g[2][0] + w[3] * g[3][0];
    float s = w[0] * w[0] * g[0][1] + w[1] * w[1] * g[1][1] + w[2] * w[2] * g[2][1] +
              w[3] * w[3] * g[3][1];
    float t = w[0] * w[1] * g[0][2] + w[2] * w[3] * g[2][2] + w[0] * w[2] * g[0][3] +
              w[1] * w[3] * g[1][3] + w[0] * w[3] * g[0][4] + w[1] * w[2] * g[1][5];
    *square = s + 2 * t;
}

static void set_entries(patch *p, const vbg_caa_args *a, int side, const vbg_caa_spot *s)
{
    const float fx = s->fx, fy = s->fy;
    const float f[4] = { (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy };
    const size_t bytes = (size_t)a->c * 2;
    const float scale = 1 / (float)a->c;
    float mean[LANES] = { 0 }, rstd[LANES] = { 0 };
    size_t row = s->row;

    p->in_view = 0;
    p->entries = 0;
    for (int e = 0; e < VBG_CAA_ENTRIES / 2; e++) {
        if (!(s->mask >> e & 1))
            continue;
        const int dx = e / 3, dy = e % 3, lane = 4 * dy + dx;
        float w[4], sum, square;
        p->lane[p->entries++] = lane;
        p->in_view |= (__mmask16)(1u << lane);
        p->enc[lane] = (const char *)a->enc + row * bytes;
        p->ek[lane] = (const char *)a->ek + row * bytes;
        p->ev[lane] = (const char *)a->ev + row * bytes;
        for (int i = 0; i < 4; i++) {
            int pixel = lane + (i & 1) + 4 * (i >> 1);
            w[i] = p->inside >> pixel & 1 ? f[i] : 0;
        }
        gathered(a->gram[side], a, s->x0 + dx, s->y0 + dy, w, &sum, &square);
        square += 2 * cross(p, lane, w, (size_t)a->c) + a->enc_sums[2 * row + 1];
        float m = (sum + a->enc_sums[2 * row]) * scale, var = square * scale - m * m;
        mean[lane] = m;
        rstd[lane] = 1 / __builtin_sqrtf((var > 0 ? var : var != var ? var : 0) + a->eps);
        row++;
    }
    p->fx = vf_set1(fx);
    p->fy = vf_set1(fy);
    p->mean = vf_load(mean);
    p->rstd = vf_load(rstd);
}

/* Scores of one head, by lane; lanes out of view are garbage. */
static inline vf scores(const patch *p, __m512bh q, size_t at, float one, float null)
{
    vf s[LANES], t[LANES];

    VF_UNROLL
    for (int i = 0; i < LANES; i++) {
        s[i] = _mm512_dpbf16_ps(vf_zero(), load32(p->k[i] + at), q);
        t[i] = vf_zero();
    }
    for (int i = 0; i < p->entries; i++) {
        int lane = p->lane[i];
        t[lane] = _mm512_dpbf16_ps(vf_zero(), load32(p->ek[lane] + at), q);
    }
    vf v = _mm512_maskz_mov_ps(p->inside, sum16(s));
    v = vf_fma(p->fx, vf_sub(lanes_down(v, 1), v), v);
    v = vf_fma(p->fy, vf_sub(lanes_down(v, 4), v), v);
    v = vf_fnma(p->mean, vf_set1(one), vf_add(v, sum16(t)));
    return vf_fma(v, p->rstd, vf_set1(null));
}

/* y += the values of one neighbour, weighted by f (by lane, 0 out of view). */
static inline void add_values(const patch *p, vf f, size_t at, vf y[2])
{
    float pixel[LANES], own[LANES];
    vf c = vf_fma(f, vf_sub(vf_set1(1), p->fy), lanes_up(vf_mul(f, p->fy), 4));

    c = vf_fma(c, vf_sub(vf_set1(1), p->fx), lanes_up(vf_mul(c, p->fx), 1));
    vf_store(pixel, _mm512_maskz_mov_ps(p->inside, c));
    vf_store(own, f);
    for (int i = 0; i < LANES; i++) {
        const uint16_t *v = (const uint16_t *)(const void *)(p->v[i] + at);
        y[0] = vf_fma(vf_set1(pixel[i]), vf_load_bf16(v), y[0]);
        y[1] = vf_fma(vf_set1(pixel[i]), vf_load_bf16(v + VF), y[1]);
    }
    for (int i = 0; i < p->entries; i++) {
        int lane = p->lane[i];
        const uint16_t *v = (const uint16_t *)(const void *)(p->ev[lane] + at);
        y[0] = vf_fma(vf_set1(own[lane]), vf_load_bf16(v), y[0]);
        y[1] = vf_fma(vf_set1(own[lane]), vf_load_bf16(v + VF), y[1]);
    }
}

/* q.b over one head, q in f32. */
static inline float dot2(const vf q[2], const float *b)
{
    return vf_sum(vf_fma(q[1], vf_load(b + VF), vf_mul(q[0], vf_load(b))));
}

/* One head of one pixel: sides neighbours that have entries in view. */
static void head_bf16(const vbg_caa_args *a, const patch *p, int sides, size_t pixel,
                      size_t c0)
{
    const float scale = 0.17677669529663689f; /* 1/sqrt(32) */
    const uint16_t *from = (const uint16_t *)a->q + pixel * a->ldq + c0;
    uint16_t *to = (uint16_t *)a->y + pixel * a->ldy + c0;
    const vf q[2] = { vf_load_bf16(from), vf_load_bf16(from + VF) };
    const __m512bh packed = load32((const char *)from);
    const float one = dot2(q, a->k_one + c0), null = dot2(q, a->k_null + c0);
    vf s[2], y[2] = { vf_load(a->v_null + c0), vf_load(a->v_null + c0 + VF) };
    int n = 0;

    for (int i = 0; i < sides; i++) {
        s[i] = scores(&p[i], packed, 2 * c0, one, null);
        n += p[i].entries;
    }
    float top = n < VBG_CAA_ENTRIES ? null : -3.402823466e38f;
    for (int i = 0; i < sides; i++)
        top = __builtin_fmaxf(top, _mm512_mask_reduce_max_ps(p[i].in_view, s[i]));
    float sum = (float)(VBG_CAA_ENTRIES - n) *
                _mm512_cvtss_f32(vf_exp(vf_set1((null - top) * scale)));
    for (int i = 0; i < sides; i++) {
        vf e = vf_exp(vf_mul(vf_sub(s[i], vf_set1(top)), vf_set1(scale)));
        s[i] = _mm512_maskz_mov_ps(p[i].in_view, e);
        sum += vf_sum(s[i]);
    }
    float shift = 0;
    for (int i = 0; i < sides; i++) {
        vf f = vf_mul(vf_mul(s[i], p[i].rstd), vf_set1(1 / sum));
        shift += vf_sum(vf_mul(f, p[i].mean));
        add_values(&p[i], f, 2 * c0, y);
    }
    for (size_t i = 0; i < 2; i++)
        vf_store_bf16(to + i * VF,
                      vf_fnma(vf_set1(shift), vf_load(a->v_one + c0 + i * VF), y[i]));
}

static void run_any(const vbg_caa_args *a, size_t p0, size_t p1)
{
    patch p[2];

    if (a->t != VBG_BF16 || !a->gram[0]) {
        run(a, p0, p1);
        return;
    }
    for (size_t i = p0; i < p1; i++) {
        int sides = 0;
        for (int side = 0; side < 2; side++) {
            const vbg_caa_spot *s = &a->spot[2 * i + (size_t)side];
            if (!s->mask)
                continue;
            set_pixels(&p[sides], a, side, s);
            set_entries(&p[sides++], a, side, s);
        }
        for (size_t c0 = 0; c0 < (size_t)a->c; c0 += VBG_CAA_HEAD)
            head_bf16(a, p, sides, i, c0);
    }
}

/* ---- products of pixels ---- */

static float dot_pixels(const uint16_t *a, const uint16_t *b, size_t c)
{
    vf s = vf_zero();

    for (size_t i = 0; i < c; i += 32)
        s = _mm512_dpbf16_ps(s, load32((const char *)(a + i)),
                             load32((const char *)(b + i)));
    return vf_sum(s);
}

static float sum_pixel(const uint16_t *a, size_t c)
{
    vf s = vf_zero();

    for (size_t i = 0; i < c; i += VF)
        s = vf_add(s, vf_load_bf16(a + i));
    return vf_sum(s);
}

static void gram(float *out, const void *x, size_t ldx, int h, int w, int c, int y)
{
    const size_t n = (size_t)c, row = (size_t)w * ldx;

    for (int i = 0; i < w; i++, out += VBG_CAA_GRAM) {
        const uint16_t *p = (const uint16_t *)x + (size_t)y * row + (size_t)i * ldx;
        const bool right = i + 1 < w, below = y + 1 < h, left = i > 0;
        out[0] = sum_pixel(p, n);
        out[1] = dot_pixels(p, p, n);
        out[2] = right ? dot_pixels(p, p + ldx, n) : 0;
        out[3] = below ? dot_pixels(p, p + row, n) : 0;
        out[4] = right && below ? dot_pixels(p, p + row + ldx, n) : 0;
        out[5] = left && below ? dot_pixels(p, p + row - ldx, n) : 0;
    }
}

void vbg_caa_init_avx512_bf16(vbg_caa_kernels *k)
{
    k->run = run_any;
    k->gram = gram;
    k->back = back;
    k->scatter = scatter;
}
