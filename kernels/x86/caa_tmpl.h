/* Correspondence-aware attention for any vector width: included by caa_<isa>.c after
 * simd.h.  Scores and outputs are rearranged so that K and V of an entry are never
 * made; with n the constant token and p the softmax:
 *
 *     score(e) = ((q.(gK+tK)) - mean q.one) rstd + q.n
 *     y = n + sum p rstd (gV+tV) - one sum p rstd mean
 */
enum {
    HEAD = VBG_CAA_HEAD / VF, /* vectors of a head */
    SLOTS = 32                /* entries + 1 in whole vectors */
};

/* One in-view entry: four taps and what LayerNorm makes of it. */
typedef struct entry {
    const char *x[4], *k[4], *v[4]; /* pixels of the maps */
    const char *enc, *ek, *ev;      /* table rows */
    float weight[4], mean, rstd;
} entry;

/* Pixels outside get weight zero and the address of one inside. */
static void set_taps(entry *e, const vbg_caa_args *a, int side, const vbg_caa_spot *s,
                     int index)
{
    const size_t size = a->t == VBG_BF16 ? 2 : 4;

    for (int j = 0; j < 4; j++) {
        int x = s->x0 + index / 3 + (j & 1), y = s->y0 + index % 3 + (j >> 1);
        bool inside = x >= 0 && x < a->w && y >= 0 && y < a->h;
        size_t at = inside ? ((size_t)y * (size_t)a->w + (size_t)x) * size : 0;
        float w = (j & 1 ? s->fx : 1 - s->fx) * (j >> 1 ? s->fy : 1 - s->fy);
        e->weight[j] = inside ? w : 0;
        e->x[j] = (const char *)a->x[side] + at * a->ldx;
        e->k[j] = (const char *)a->k[side] + at * a->ldk;
        e->v[j] = (const char *)a->v[side] + at * a->ldv;
    }
}

/* Elements i.. of the four taps, weighted, plus the table row. */
VF_INLINE vf gather(const char *const p[4], const char *row, const vf w[4], vbg_dtype t,
                    size_t i)
{
    vf s = vf_fma(w[0], vf_get(p[0], t, i), vf_get(row, t, i));

    s = vf_fma(w[1], vf_get(p[1], t, i), s);
    return vf_fma(w[3], vf_get(p[3], t, i), vf_fma(w[2], vf_get(p[2], t, i), s));
}

VF_INLINE void set_stats(entry *e, size_t c, float eps, vbg_dtype t)
{
    const vf w[4] = { vf_set1(e->weight[0]), vf_set1(e->weight[1]), vf_set1(e->weight[2]),
                      vf_set1(e->weight[3]) };
    vf sum[2] = { vf_zero(), vf_zero() }, sq[2] = { vf_zero(), vf_zero() };

    for (size_t i = 0; i < c; i += 2 * VF) {
        vf g = gather(e->x, e->enc, w, t, i), h = gather(e->x, e->enc, w, t, i + VF);
        sum[0] = vf_add(sum[0], g);
        sum[1] = vf_add(sum[1], h);
        sq[0] = vf_fma(g, g, sq[0]);
        sq[1] = vf_fma(h, h, sq[1]);
    }
    /* the encoding has unit length per frequency: the mean is small beside the
     * spread and E[x^2] - E[x]^2 keeps its digits */
    e->mean = vf_sum(vf_add(sum[0], sum[1])) / (float)c;
    float var = vf_sum(vf_add(sq[0], sq[1])) / (float)c - e->mean * e->mean;
    e->rstd = 1 / __builtin_sqrtf((var > 0 ? var : var != var ? var : 0) + eps);
}

VF_INLINE int list_entries(const vbg_caa_args *a, size_t p, entry *e, vbg_dtype t)
{
    const size_t bytes = (size_t)a->c * (t == VBG_BF16 ? 2 : 4);
    int n = 0;

    for (int side = 0; side < 2; side++) {
        const vbg_caa_spot *s = &a->spot[p * 2 + (size_t)side];
        size_t at = s->row * bytes;
        for (int i = 0; i < VBG_CAA_ENTRIES / 2; i++) {
            if (!(s->mask >> i & 1))
                continue;
            set_taps(&e[n], a, side, s, i);
            e[n].enc = (const char *)a->enc + at;
            e[n].ek = (const char *)a->ek + at;
            e[n].ev = (const char *)a->ev + at;
            set_stats(&e[n++], (size_t)a->c, a->eps, t);
            at += bytes;
        }
    }
    return n;
}

/* q.b over one head. */
VF_INLINE float dot_head(const vf q[HEAD], const float *b)
{
    vf s = vf_mul(q[0], vf_load(b));

    VF_UNROLL
    for (size_t i = 1; i < HEAD; i++)
        s = vf_fma(q[i], vf_load(b + i * VF), s);
    return vf_sum(s);
}

/* Softmax weights of one head into p (p[n] is the constant tokens'). */
VF_INLINE void weights_of(const vbg_caa_args *a, const char *row, size_t c0,
                          const entry *e, int n, float *p, vbg_dtype t)
{
    const float scale = 0.17677669529663689f; /* 1/sqrt(32) */
    float score[SLOTS], top, sum;
    vf q[HEAD];

    VF_UNROLL
    for (size_t i = 0; i < HEAD; i++)
        q[i] = vf_mul(vf_get(row, t, c0 + i * VF), vf_set1(scale));
    const float one = dot_head(q, a->k_one + c0), null = dot_head(q, a->k_null + c0);
    for (int k = 0; k < n; k++) {
        const vf w[4] = { vf_set1(e[k].weight[0]), vf_set1(e[k].weight[1]),
                          vf_set1(e[k].weight[2]), vf_set1(e[k].weight[3]) };
        vf s = vf_zero();
        VF_UNROLL
        for (size_t i = 0; i < HEAD; i++)
            s = vf_fma(q[i], gather(e[k].k, e[k].ek, w, t, c0 + i * VF), s);
        score[k] = (vf_sum(s) - e[k].mean * one) * e[k].rstd + null;
    }
    for (int k = n; k < SLOTS; k++)
        score[k] = null;
    top = n < VBG_CAA_ENTRIES ? null : score[0];
    for (int k = 0; k < n; k++)
        top = score[k] > top ? score[k] : top;
    for (int k = 0; k <= n; k += VF)
        vf_store(p + k, vf_exp(vf_sub(vf_load(score + k), vf_set1(top))));
    p[n] *= (float)(VBG_CAA_ENTRIES - n);
    sum = 0;
    for (int k = 0; k <= n; k++)
        sum += p[k];
    for (int k = 0; k <= n; k++)
        p[k] /= sum;
}

/* y of one head. */
VF_INLINE void output(const vbg_caa_args *a, char *row, size_t c0, const entry *e, int n,
                      const float *p, vbg_dtype t)
{
    vf y[HEAD];
    float shift = 0;

    VF_UNROLL
    for (size_t i = 0; i < HEAD; i++)
        y[i] = vf_load(a->v_null + c0 + i * VF);
    for (int k = 0; k < n; k++) {
        const vf f = vf_set1(p[k] * e[k].rstd);
        const vf w[4] = { vf_set1(e[k].weight[0]), vf_set1(e[k].weight[1]),
                          vf_set1(e[k].weight[2]), vf_set1(e[k].weight[3]) };
        shift += p[k] * e[k].rstd * e[k].mean;
        VF_UNROLL
        for (size_t i = 0; i < HEAD; i++)
            y[i] = vf_fma(f, gather(e[k].v, e[k].ev, w, t, c0 + i * VF), y[i]);
    }
    VF_UNROLL
    for (size_t i = 0; i < HEAD; i++)
        vf_put(row, t, c0 + i * VF,
               vf_fnma(vf_set1(shift), vf_load(a->v_one + c0 + i * VF), y[i]));
}

VF_INLINE void run_typed(const vbg_caa_args *a, size_t p0, size_t p1, vbg_dtype t)
{
    const size_t size = t == VBG_BF16 ? 2 : 4;
    entry e[VBG_CAA_ENTRIES];
    float p[SLOTS];

    for (size_t i = p0; i < p1; i++) {
        const char *q = (const char *)a->q + i * a->ldq * size;
        char *y = (char *)a->y + i * a->ldy * size;
        int n = list_entries(a, i, e, t);
        for (size_t c0 = 0; c0 < (size_t)a->c; c0 += VBG_CAA_HEAD) {
            weights_of(a, q, c0, e, n, p, t);
            output(a, y, c0, e, n, p, t);
        }
    }
}

static void run(const vbg_caa_args *a, size_t p0, size_t p1)
{
    if (a->t == VBG_BF16)
        run_typed(a, p0, p1, VBG_BF16);
    else
        run_typed(a, p0, p1, VBG_F32);
}
