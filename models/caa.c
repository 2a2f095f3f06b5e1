/* Correspondence-aware attention; see models/caa.h. */
#include "models/caa_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float EPS = 1e-5f;

enum { SPOTS = 256 }; /* per piece of table making: at most 2304 rows */

/* A layer that starts at zero when the file lacks it. */
static void bind_zero(vbg_bind *b, vbg_weight *w, int oc, int c, const char *prefix)
{
    static const char *const ends[] = { "weight", "bias" };
    char name[128];

    vbg_bind_layer(b, w, oc, c, 1, 1, VBG_BIND_BIAS, "%s", prefix);
    for (int i = 0; b->params && i < 2; i++) {
        snprintf(name, sizeof name, "%s.%s", prefix, ends[i]);
        vbg_param *m = vbg_params_find(b->params, b->component, name);
        if (!m || vbg_weights_find(b->file, b->component, name))
            continue;
        memset(m->value, 0, m->count * sizeof *m->value);
        memset(m->packed, 0, m->entry.bytes);
    }
}

static void bind_bands(vbg_bind *b, vbg_caa_block *m, const char *prefix)
{
    const size_t bands = (size_t)m->c / 4;
    char name[128];

    m->freq = vbg_bind_vector(b, bands, NULL, "%spe.freq_bands", prefix);
    snprintf(name, sizeof name, "%spe.freq_bands", prefix);
    vbg_param *p = b->params ? vbg_params_find(b->params, b->component, name) : NULL;
    if (!p)
        return;
    vbg_param_is_buffer(p);
    if (vbg_weights_find(b->file, b->component, name))
        return;
    p->entry.rank = 3; /* as MVDiffusion stores it */
    p->entry.dim[0] = p->entry.dim[1] = 1;
    p->entry.dim[2] = (int64_t)bands;
    vbg_encoding_bands(p->value, m->c);
}

void vbg_caa_bind(vbg_bind *b, vbg_caa_block *m, int c, const char *prefix)
{
    char p[96], name[128];

    m->c = c;
    if (c % VBG_CAA_HEAD)
        vbg_bind_problem(b, "%s: %d channels do not divide into heads of 32", prefix, c);
    snprintf(p, sizeof p, "%stransformer", prefix);
    vbg_bind_layer(b, &m->q, c, c, 1, 1, 0, "%s.attn1.to_q", p);
    vbg_bind_layer(b, &m->k, c, c, 1, 1, 0, "%s.attn1.to_k", p);
    vbg_bind_layer(b, &m->v, c, c, 1, 1, 0, "%s.attn1.to_v", p);
    snprintf(name, sizeof name, "%s.attn1.to_out", p);
    bind_zero(b, &m->out, c, c, name);
    vbg_bind_layer(b, &m->ff1, 8 * c, c, 1, 1, VBG_BIND_BIAS, "%s.ff.net.0.proj", p);
    snprintf(name, sizeof name, "%s.ff.net.2", p);
    bind_zero(b, &m->ff2, c, 4 * c, name);
    vbg_bind_norm(b, &m->norm1, c, "%s.norm1", p);
    vbg_bind_norm(b, &m->norm2, c, "%s.norm2", p);
    bind_bands(b, m, prefix);
}

void vbg_caa_limit_bands(vbg_params *p, float max)
{
    for (size_t i = 0; i < vbg_params_count(p); i++) {
        vbg_param *m = vbg_params_at(p, i);
        const char *end = strstr(m->entry.name, "pe.freq_bands");
        for (size_t k = 0; end && m->buffer && k < m->count; k++)
            m->value[k] = m->value[k] > max ? max : m->value[k];
    }
}

/* ---- tables ---- */

typedef struct making {
    vbg_caa_tables *t;
    const vbg_caa_block *m;
    size_t spot0, spot1; /* of the piece at work */
    float *enc;
} making;

/* Encodings of the in-view entries of one spot. */
static void encode_spot(void *arg, size_t index, int thread)
{
    const making *k = arg;
    const vbg_caa_level *l = k->t->level;
    const size_t at = k->spot0 + index, c = (size_t)k->t->c;
    const vbg_caa_spot *s = &l->spot[at];
    float *row = k->enc + (size_t)(s->row - l->spot[k->spot0].row) * c;

    (void)thread;
    for (size_t e = 0; e < VBG_CAA_ENTRIES / 2; e++) {
        if (!(s->mask >> e & 1))
            continue;
        const float *d = l->offset + (at * (VBG_CAA_ENTRIES / 2) + e) * 2;
        vbg_encoding(row, d, k->m->freq, k->t->c / 4);
        row += c;
    }
}

/* Sum and sum of squares of one table row as it is stored. */
static void sum_row(void *arg, size_t row, int thread)
{
    vbg_caa_tables *t = arg;
    const uint16_t *v = (const uint16_t *)t->enc + row * (size_t)t->c;
    float sum = 0, square = 0;

    (void)thread;
    for (int i = 0; i < t->c; i++) {
        float x = vbg_bf16_to_f32(v[i]);
        sum += x;
        square += x * x;
    }
    t->sums[2 * row] = sum;
    t->sums[2 * row + 1] = square;
}

/* x (f32) times gamma, as the activation type. */
static vbg_tensor *times_gamma(vbg_ctx *c, const vbg_caa_block *m, const vbg_tensor *x,
                               const float *zero)
{
    return vbg_scale_shift(c, x, m->norm1.gamma, zero, VBG_ACT_NONE);
}

/* Table rows of the piece: enc, A enc, Av enc. */
static void make_piece(vbg_ctx *c, making *k, size_t rows)
{
    vbg_caa_tables *t = k->t;
    const size_t at =
        (size_t)t->level->spot[k->spot0].row * (size_t)t->c * vbg_dtype_size(t->t);

    vbg_scope_open(c);
    vbg_tensor *enc = vbg_new_typed(c, VBG_F32, 1, 1, (int)rows, t->c);
    k->enc = enc->data;
    if (!vbg_planning(c)) {
        vbg_parallel(c, k->spot1 - k->spot0, encode_spot, k);
        if (!t->shared)
            vbg_copy_out(c, (char *)t->enc + at, t->t, enc);
    }
    if (t->train) {
        vbg_scope_close(c, NULL);
        return;
    }
    vbg_tensor *g =
        times_gamma(c, k->m, enc, t->vec + (size_t)VBG_CAA_ZERO * (size_t)t->c);
    g = vbg_cast(c, g, t->t);
    vbg_tensor *y = vbg_linear(c, g, &k->m->k);
    vbg_copy_out(c, (char *)t->ek + at, t->t, y);
    y = vbg_linear(c, g, &k->m->v);
    vbg_copy_out(c, (char *)t->ev + at, t->t, y);
    vbg_scope_close(c, NULL);
}

/* W times one vector, into row `to` of vec. */
static void project_vector(vbg_ctx *c, vbg_caa_tables *t, const float *v,
                           const vbg_weight *w, int to)
{
    vbg_scope_open(c);
    vbg_tensor *x = vbg_wrap(c, v, VBG_F32, 1, 1, 1, t->c);
    vbg_tensor *y = vbg_linear_ex(c, x, w, (vbg_linear_opt){ .f32_out = true });
    vbg_copy_out(c, t->vec + (size_t)to * (size_t)t->c, VBG_F32, y);
    vbg_scope_close(c, NULL);
}

static void project_vectors(vbg_ctx *c, const making *k)
{
    project_vector(c, k->t, k->m->norm1.gamma, &k->m->k, VBG_CAA_K_ONE);
    project_vector(c, k->t, k->m->norm1.gamma, &k->m->v, VBG_CAA_V_ONE);
    project_vector(c, k->t, k->m->norm1.beta, &k->m->k, VBG_CAA_K_NULL);
    project_vector(c, k->t, k->m->norm1.beta, &k->m->v, VBG_CAA_V_NULL);
}

static vbg_status make_tables(vbg_ctx *c, void *arg, vbg_err *err)
{
    making *k = arg;
    const vbg_caa_level *l = k->t->level;
    const size_t spots = (size_t)l->poses * (size_t)l->h * (size_t)l->w * 2;

    (void)err;
    if (!k->t->train)
        project_vectors(c, k);
    for (size_t s = 0; s < spots; s += SPOTS) {
        k->spot0 = s;
        k->spot1 = s + SPOTS < spots ? s + SPOTS : spots;
        size_t end = k->spot1 < spots ? l->spot[k->spot1].row : l->rows;
        if (end > l->spot[s].row)
            make_piece(c, k, end - l->spot[s].row);
    }
    if (!vbg_planning(c) && k->t->t == VBG_BF16 && !k->t->shared)
        vbg_parallel(c, l->rows, sum_row, k->t);
    return VBG_OK;
}

size_t vbg_caa_tables_bytes(const vbg_caa_block *m, const vbg_caa_level *level,
                            bool shared, vbg_dtype t)
{
    return level->rows * (size_t)m->c * vbg_dtype_size(t) * (shared ? 2 : 3) +
           (size_t)m->c * (VBG_CAA_VECS + 1) * sizeof(float);
}

/* A new object with its vectors, tables still missing; NULL: no memory. */
static vbg_caa_tables *start(const vbg_caa_block *m, const vbg_caa_level *level,
                             vbg_dtype dtype, vbg_err *err)
{
    vbg_caa_tables *t = calloc(1, sizeof *t);

    if (t) {
        *t = (vbg_caa_tables){ .level = level, .freq = m->freq, .t = dtype, .c = m->c };
        t->vec = vbg_alloc(VBG_CAA_VECS * (size_t)t->c * sizeof *t->vec);
        t->centre = vbg_alloc((size_t)t->c * vbg_dtype_size(dtype));
    }
    if (t && t->vec && t->centre)
        return t;
    vbg_fail(err, VBG_ENOMEM, "not enough memory for the tables of the camera rig");
    vbg_caa_tables_free(t);
    return NULL;
}

vbg_status vbg_caa_tables_shape(vbg_caa_tables **out, const vbg_caa_block *m,
                                const vbg_caa_level *level, vbg_dtype t, vbg_err *err)
{
    *out = start(m, level, t, err);
    return *out ? VBG_OK : VBG_ENOMEM;
}

static bool take_tables(vbg_caa_tables *t, const vbg_caa_tables *share)
{
    const size_t c = (size_t)t->c;
    const size_t bytes = (t->level->rows + 1) * c * vbg_dtype_size(t->t);

    if (!t->train) {
        t->ek = vbg_alloc(bytes);
        t->ev = vbg_alloc(bytes);
    }
    t->shared = share && share->level == t->level && share->c == t->c &&
                memcmp(share->freq, t->freq, c / 4 * sizeof(float)) == 0;
    t->enc = t->shared ? share->enc : vbg_alloc(bytes);
    t->sums =
        t->shared ? share->sums : vbg_alloc((t->level->rows + 1) * 2 * sizeof *t->sums);
    return (t->train || (t->ek && t->ev)) && t->enc && t->sums;
}

/* enc(0): sines 0, cosines 1. */
static void fill_centre(vbg_caa_tables *t)
{
    for (int i = t->c / 2; i < t->c; i++) {
        if (t->t == VBG_BF16)
            ((uint16_t *)t->centre)[i] = vbg_f32_to_bf16(1);
        else
            ((float *)t->centre)[i] = 1;
    }
}

/* t is owned here; NULL: it could not be made. */
static vbg_status complete(vbg_caa_tables **out, vbg_ctx *c, const vbg_caa_block *m,
                           vbg_caa_tables *t, const vbg_caa_tables *share, vbg_err *err)
{
    making k = { .t = t, .m = m };
    vbg_status st = VBG_ENOMEM;

    if (t && take_tables(t, share)) {
        fill_centre(t);
        st = t->train && t->shared ? VBG_OK : vbg_run(c, make_tables, &k, err);
    } else {
        vbg_fail(err, st, "not enough memory for the tables of the camera rig");
    }
    if (st == VBG_OK) {
        *out = t;
        t = NULL;
    }
    vbg_caa_tables_free(t);
    return st;
}

vbg_status vbg_caa_tables_new(vbg_caa_tables **out, vbg_ctx *c, const vbg_caa_block *m,
                              const vbg_caa_level *level, const vbg_caa_tables *share,
                              vbg_err *err)
{
    return complete(out, c, m, start(m, level, vbg_ctx_act(c), err), share, err);
}

vbg_status vbg_caa_tables_train(vbg_caa_tables **out, vbg_ctx *c, const vbg_caa_block *m,
                                const vbg_caa_level *level, const vbg_caa_tables *share,
                                vbg_err *err)
{
    vbg_caa_tables *t = start(m, level, vbg_ctx_act(c), err);

    if (t)
        t->train = true;
    return complete(out, c, m, t, share, err);
}

void vbg_caa_tables_free(vbg_caa_tables *t)
{
    if (!t)
        return;
    vbg_free_mem(t->vec);
    vbg_free_mem(t->centre);
    vbg_free_mem(t->ek);
    vbg_free_mem(t->ev);
    if (!t->shared) {
        vbg_free_mem(t->enc);
        vbg_free_mem(t->sums);
    }
    free(t);
}

/* ---- forward ---- */

/* next, made from old, which is no longer needed. */
static vbg_tensor *after(vbg_ctx *c, vbg_tensor *old, vbg_tensor *next)
{
    vbg_drop(c, old);
    return next;
}

vbg_tensor *vbg_caa_query(vbg_ctx *c, const vbg_caa_block *m, const vbg_caa_tables *t,
                          const vbg_tensor *x)
{
    vbg_scope_open(c);
    vbg_tensor *g =
        vbg_add(c, x, vbg_wrap(c, t->centre, t->t, 1, 1, 1, t->c), VBG_ACT_NONE);
    g = after(c, g, vbg_layer_norm(c, g, &m->norm1, EPS));
    return vbg_scope_close(c, vbg_linear(c, g, &m->q));
}

static vbg_tensor *vector(vbg_ctx *c, const vbg_caa_tables *t, int row)
{
    return vbg_wrap(c, t->vec + (size_t)row * (size_t)t->c, VBG_F32, 1, 1, 1, t->c);
}

static vbg_tensor *rows_of(vbg_ctx *c, const vbg_caa_tables *t, const void *table)
{
    return vbg_wrap(c, table, t->t, 1, 1, (int)t->level->rows, t->c);
}

/* What the tables hold otherwise, made from the weights as they are now. */
static void project_now(vbg_ctx *c, const vbg_caa_block *m, vbg_caa_inputs *in)
{
    const vbg_caa_tables *t = in->t;
    const float *zero = t->vec + (size_t)VBG_CAA_ZERO * (size_t)t->c;
    const vbg_linear_opt f32 = { .f32_out = true };

    if (t->level->rows) {
        vbg_tensor *g = times_gamma(c, m, rows_of(c, t, t->enc), zero);
        in->ek = vbg_linear(c, g, &m->k);
        in->ev = vbg_linear(c, g, &m->v);
        vbg_drop(c, g);
    }
    vbg_tensor *one = vbg_new_typed(c, VBG_F32, 1, 1, 1, t->c);
    for (int i = 0; !vbg_planning(c) && i < t->c; i++)
        ((float *)one->data)[i] = 1;
    vbg_tensor *gamma = vbg_scale_shift(c, one, m->norm1.gamma, zero, VBG_ACT_NONE);
    vbg_tensor *beta = vbg_scale_shift(c, one, zero, m->norm1.beta, VBG_ACT_NONE);
    in->k_one = vbg_linear_ex(c, gamma, &m->k, f32);
    in->v_one = vbg_linear_ex(c, gamma, &m->v, f32);
    in->v_null = vbg_linear_ex(c, beta, &m->v, f32);
}

/* Attention before to_out. */
static vbg_tensor *attention(vbg_ctx *c, const vbg_caa_block *m, const vbg_caa_tables *t,
                             const vbg_tensor *x)
{
    const float *zero = t->vec + (size_t)VBG_CAA_ZERO * (size_t)t->c;
    vbg_caa_inputs in = { .t = t, .x = x };

    vbg_scope_open(c);
    vbg_tensor *g = vbg_scale_shift(c, x, m->norm1.gamma, zero, VBG_ACT_NONE);
    in.k = vbg_linear(c, g, &m->k);
    in.v = vbg_linear(c, g, &m->v);
    vbg_drop(c, g);
    in.q = vbg_caa_query(c, m, t, x);
    in.ek = rows_of(c, t, t->ek);
    in.ev = rows_of(c, t, t->ev);
    in.k_one = vector(c, t, VBG_CAA_K_ONE);
    in.v_one = vector(c, t, VBG_CAA_V_ONE);
    in.k_null = vector(c, t, VBG_CAA_K_NULL); /* zero in training: drops out */
    in.v_null = vector(c, t, VBG_CAA_V_NULL);
    if (t->train)
        project_now(c, m, &in);
    return vbg_scope_close(c, vbg_caa_couple(c, &in));
}

vbg_tensor *vbg_caa_attend(vbg_ctx *c, const vbg_caa_block *m, const vbg_caa_tables *t,
                           const vbg_tensor *x)
{
    vbg_scope_open(c);
    return vbg_scope_close(c, vbg_linear(c, attention(c, m, t, x), &m->out));
}

vbg_tensor *vbg_caa_forward(vbg_ctx *c, const vbg_caa_block *m, const vbg_caa_tables *t,
                            const vbg_tensor *x)
{
    vbg_scope_open(c);
    vbg_tensor *h = attention(c, m, t, x);
    h = after(c, h, vbg_linear_ex(c, h, &m->out, (vbg_linear_opt){ .residual = x }));
    vbg_tensor *f = vbg_layer_norm(c, h, &m->norm2, EPS);
    f = after(c, f, vbg_linear_geglu(c, f, &m->ff1));
    h = vbg_linear_ex(c, f, &m->ff2, (vbg_linear_opt){ .residual = h });
    return vbg_scope_close(c, h);
}
