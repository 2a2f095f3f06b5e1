/* The way back through correspondence-aware attention for any vector width, after
 * caa_tmpl.h; formulas in kernels/caa.h. */

enum { PATCH = 16 }; /* pixels a neighbour's entries read */

/* One head of one pixel. */
typedef struct head_back {
    vf q[HEAD], dy[HEAD];
    float raw[VBG_CAA_ENTRIES][VBG_CAA_HEAD]; /* kraw */
    float s[SLOTS], t[SLOTS], p[SLOTS], alpha[SLOTS], beta[SLOTS];
    float q_one, dy_one;
} head_back;

/* Products of q and dy with the entries, up to the norm. */
VF_INLINE void back_products(const vbg_caa_back *b, size_t p, size_t c0, const entry *e,
                             int n, head_back *h, vbg_dtype t)
{
    const vbg_caa_args *a = &b->of;

    VF_UNROLL
    for (size_t i = 0; i < HEAD; i++) {
        h->q[i] = vf_get(a->q, t, p * a->ldq + c0 + i * VF);
        h->dy[i] = vf_get(b->dy, t, p * b->lddy + c0 + i * VF);
    }
    h->q_one = dot_head(h->q, a->k_one + c0);
    h->dy_one = dot_head(h->dy, a->v_one + c0);
    for (int k = 0; k < n; k++) {
        const vf w[4] = { vf_set1(e[k].weight[0]), vf_set1(e[k].weight[1]),
                          vf_set1(e[k].weight[2]), vf_set1(e[k].weight[3]) };
        vf s = vf_zero(), d = vf_zero();
        VF_UNROLL
        for (size_t i = 0; i < HEAD; i++) {
            vf g = gather(e[k].k, e[k].ek, w, t, c0 + i * VF);
            vf_store(h->raw[k] + i * VF, g);
            s = vf_fma(h->q[i], g, s);
            d = vf_fma(h->dy[i], gather(e[k].v, e[k].ev, w, t, c0 + i * VF), d);
        }
        h->s[k] = vf_sum(s);
        h->t[k] = vf_sum(d);
    }
}

/* alpha and beta; what the norms of the entries get is added to dr and dm. */
static void back_weights(const entry *e, int n, head_back *h, float *dr, float *dm)
{
    const float scale = 0.17677669529663689f; /* 1/sqrt(32) */
    float top = 0, sum, mean = 0;

    if (n == VBG_CAA_ENTRIES)
        top = -__builtin_inff();
    for (int k = 0; k < n; k++) {
        h->s[k] = scale * e[k].rstd * (h->s[k] - e[k].mean * h->q_one);
        h->t[k] = e[k].rstd * (h->t[k] - e[k].mean * h->dy_one);
        top = h->s[k] > top ? h->s[k] : top;
    }
    for (int k = n; k < SLOTS; k++)
        h->s[k] = 0;
    for (int k = 0; k <= n; k += VF)
        vf_store(h->p + k, vf_exp(vf_sub(vf_load(h->s + k), vf_set1(top))));
    sum = (float)(VBG_CAA_ENTRIES - n) * h->p[n];
    if (n == VBG_CAA_ENTRIES)
        sum = 0;
    for (int k = 0; k < n; k++)
        sum += h->p[k];
    for (int k = 0; k < n; k++)
        mean += (h->p[k] /= sum) * h->t[k];
    for (int k = 0; k < n; k++) {
        const float ds = h->p[k] * (h->t[k] - mean), r = e[k].rstd;
        h->alpha[k] = scale * r * ds;
        h->beta[k] = r * h->p[k];
        dr[k] += (ds * h->s[k] + h->p[k] * h->t[k]) / r;
        dm[k] -= h->alpha[k] * h->q_one + h->beta[k] * h->dy_one;
    }
}

/* p += f*v over one head. */
VF_INLINE void add_head(float *p, float f, const vf v[HEAD])
{
    VF_UNROLL
    for (size_t i = 0; i < HEAD; i++)
        vf_store(p + i * VF, vf_fma(vf_set1(f), v[i], vf_load(p + i * VF)));
}

VF_INLINE void back_spread(const vbg_caa_back *b, size_t p, size_t c0, const entry *e,
                           int n, const head_back *h, size_t row[], vbg_dtype t)
{
    const vbg_caa_args *a = &b->of;
    const size_t c = (size_t)a->c;
    float mk = 0, mv = 0;
    vf dq[HEAD];

    VF_UNROLL
    for (size_t i = 0; i < HEAD; i++)
        dq[i] = vf_zero();
    for (int k = 0; k < n; k++) {
        add_head(b->dek + row[k] * c + c0, h->alpha[k], h->q);
        add_head(b->dev + row[k] * c + c0, h->beta[k], h->dy);
        mk += h->alpha[k] * e[k].mean;
        mv += h->beta[k] * e[k].mean;
        VF_UNROLL
        for (size_t i = 0; i < HEAD; i++)
            dq[i] = vf_fma(vf_set1(h->alpha[k]), vf_load(h->raw[k] + i * VF), dq[i]);
    }
    VF_UNROLL
    for (size_t i = 0; i < HEAD; i++)
        vf_put(b->dq, t, p * b->lddq + c0 + i * VF,
               vf_fnma(vf_set1(mk), vf_load(a->k_one + c0 + i * VF), dq[i]));
    add_head(b->dvec + c0, -mk, h->q);
    add_head(b->dvec + c + c0, -mv, h->dy);
    add_head(b->dvec + 2 * c + c0, 1, h->dy);
}

VF_INLINE void back_typed(const vbg_caa_back *b, size_t p0, size_t p1, vbg_dtype t)
{
    const size_t c = (size_t)b->of.c, heads = c / VBG_CAA_HEAD, size = vbg_dtype_size(t);
    entry e[VBG_CAA_ENTRIES];
    size_t row[VBG_CAA_ENTRIES];
    head_back h;

    for (size_t p = p0; p < p1; p++) {
        float dr[VBG_CAA_ENTRIES] = { 0 }, dm[VBG_CAA_ENTRIES] = { 0 };
        const int n = list_entries(&b->of, p, e, t);
        for (int i = 0; i < n; i++)
            row[i] = (size_t)(e[i].enc - (const char *)b->of.enc) / (c * size) - b->row0;
        for (size_t k = 0; k < heads; k++) {
            back_products(b, p, k * VBG_CAA_HEAD, e, n, &h, t);
            back_weights(e, n, &h, dr, dm);
            back_spread(b, p, k * VBG_CAA_HEAD, e, n, &h, row, t);
            for (int i = 0; i < n; i++) {
                b->coef[(row[i] * heads + k) * 2] = h.alpha[i];
                b->coef[(row[i] * heads + k) * 2 + 1] = h.beta[i];
            }
        }
        for (int i = 0; i < n; i++) {
            const float r = e[i].rstd, slope = -dr[i] * r * r * r / (float)c;
            b->line[row[i] * 2 + 1] = slope;
            b->line[row[i] * 2] = dm[i] / (float)c - slope * e[i].mean;
        }
    }
}

static void back(const vbg_caa_back *b, size_t p0, size_t p1)
{
    if (b->of.t == VBG_BF16)
        back_typed(b, p0, p1, VBG_BF16);
    else
        back_typed(b, p0, p1, VBG_F32);
}

/* One neighbour's patch as one pixel sees it. */
typedef struct patch_back {
    size_t at[PATCH]; /* pixel of the map; those outside have no weight */
    bool inside[PATCH];
    int entries, first[VBG_CAA_ENTRIES / 2]; /* corner of each entry in the patch */
    size_t row[VBG_CAA_ENTRIES / 2];
    float weight[VBG_CAA_ENTRIES / 2][4];
} patch_back;

static void set_patch(patch_back *p, const vbg_caa_args *a, const vbg_caa_spot *s)
{
    const float f[4] = { (1 - s->fx) * (1 - s->fy), s->fx * (1 - s->fy),
                         (1 - s->fx) * s->fy, s->fx * s->fy };
    size_t row = s->row;

    for (int i = 0; i < PATCH; i++) {
        int x = s->x0 + i % 4, y = s->y0 + i / 4;
        p->inside[i] = x >= 0 && x < a->w && y >= 0 && y < a->h;
        p->at[i] = p->inside[i] ? (size_t)y * (size_t)a->w + (size_t)x : 0;
    }
    p->entries = 0;
    for (int e = 0; e < VBG_CAA_ENTRIES / 2; e++) {
        if (!(s->mask >> e & 1))
            continue;
        const int k = p->entries++, corner = e % 3 * 4 + e / 3;
        p->first[k] = corner;
        p->row[k] = row++;
        for (int i = 0; i < 4; i++)
            p->weight[k][i] = p->inside[corner + (i & 1) + 4 * (i >> 1)] ? f[i] : 0;
    }
}

/* dk and dv: q and dy times one factor for each pixel of the patch. */
VF_INLINE void scatter_products(const vbg_caa_back *b, const patch_back *p, size_t pixel,
                                size_t c0, vbg_dtype t)
{
    const vbg_caa_args *a = &b->of;
    const size_t heads = (size_t)a->c / VBG_CAA_HEAD;
    float fk[PATCH] = { 0 }, fv[PATCH] = { 0 };
    vf q[HEAD], dy[HEAD];

    for (int k = 0; k < p->entries; k++) {
        const float *coef =
            b->coef + ((p->row[k] - b->row0) * heads + c0 / VBG_CAA_HEAD) * 2;
        for (int i = 0; i < 4; i++) {
            fk[p->first[k] + (i & 1) + 4 * (i >> 1)] += coef[0] * p->weight[k][i];
            fv[p->first[k] + (i & 1) + 4 * (i >> 1)] += coef[1] * p->weight[k][i];
        }
    }
    VF_UNROLL
    for (size_t i = 0; i < HEAD; i++) {
        q[i] = vf_get(a->q, t, pixel * a->ldq + c0 + i * VF);
        dy[i] = vf_get(b->dy, t, pixel * b->lddy + c0 + i * VF);
    }
    for (int i = 0; i < PATCH; i++)
        if (p->inside[i]) {
            add_head(b->dk + p->at[i] * VBG_CAA_HEAD, fk[i], q);
            add_head(b->dv + p->at[i] * VBG_CAA_HEAD, fv[i], dy);
        }
}

/* dx, one vector of channels from c0 + i on. */
VF_INLINE void scatter_values(const vbg_caa_back *b, const patch_back *p, int side,
                              size_t c0, size_t i, vbg_dtype t)
{
    const vbg_caa_args *a = &b->of;
    const size_t c = (size_t)a->c;
    vf x[PATCH], g[PATCH];

    for (int k = 0; k < PATCH; k++) {
        x[k] = vf_get(a->x[side], t, p->at[k] * a->ldx + c0 + i);
        g[k] = vf_zero();
    }
    for (int k = 0; k < p->entries; k++) {
        const float *line = b->line + (p->row[k] - b->row0) * 2;
        const int f = p->first[k];
        vf w[4], e = vf_get(a->enc, t, p->row[k] * c + c0 + i);
        VF_UNROLL
        for (int n = 0; n < 4; n++) {
            w[n] = vf_set1(p->weight[k][n]);
            e = vf_fma(w[n], x[f + (n & 1) + 4 * (n >> 1)], e);
        }
        e = vf_fma(e, vf_set1(line[1]), vf_set1(line[0]));
        VF_UNROLL
        for (int n = 0; n < 4; n++) {
            const int to = f + (n & 1) + 4 * (n >> 1);
            g[to] = vf_fma(w[n], e, g[to]);
        }
    }
    for (int k = 0; k < PATCH; k++) {
        float *to = b->dx + p->at[k] * VBG_CAA_HEAD + i;
        if (p->inside[k])
            vf_store(to, vf_add(vf_load(to), g[k]));
    }
}

VF_INLINE void scatter_typed(const vbg_caa_back *b, int side, size_t c0, vbg_dtype t)
{
    const size_t pixels = (size_t)b->of.h * (size_t)b->of.w;
    patch_back p;

    for (size_t i = 0; i < pixels; i++) {
        const vbg_caa_spot *s = &b->of.spot[2 * i + (size_t)side];
        if (!s->mask)
            continue;
        set_patch(&p, &b->of, s);
        scatter_products(b, &p, i, c0, t);
        for (size_t k = 0; k < VBG_CAA_HEAD; k += VF)
            scatter_values(b, &p, side, c0, k, t);
    }
}

static void scatter(const vbg_caa_back *b, int side, size_t c0)
{
    if (b->of.t == VBG_BF16)
        scatter_typed(b, side, c0, VBG_BF16);
    else
        scatter_typed(b, side, c0, VBG_F32);
}
