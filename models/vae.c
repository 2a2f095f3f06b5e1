/* AutoencoderKL; see models/vae.h. */
#include "models/vae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/json_field.h"

static const float EPS = 1e-6f;

static vbg_status check_widths(const int *width, int levels, int groups, vbg_err *err)
{
    for (int i = 0; i < levels; i++)
        if (width[i] % groups)
            return vbg_fail(err, VBG_EFORMAT, "vae config: width %d with %d groups",
                            width[i], groups);
    return VBG_OK;
}

vbg_status vbg_vae_config_read(vbg_vae_config *out, const char *json, vbg_err *err)
{
    vbg_vae_config g = { .channels = 3,
                         .latent = 4,
                         .layers = 2,
                         .groups = 32,
                         .scaling = 0.18215,
                         .attention = true };
    vbg_fields f;

    vbg_fields_open(&f, "vae config", json, err);
    vbg_field_int(&f, "in_channels", &g.channels, 3, 3);
    vbg_field_int(&f, "latent_channels", &g.latent, 1, 64);
    vbg_field_int(&f, "layers_per_block", &g.layers, 1, VBG_VAE_LAYERS);
    vbg_field_int(&f, "norm_num_groups", &g.groups, 1, 1024);
    vbg_field_bool(&f, "mid_block_add_attention", &g.attention);
    vbg_field_real(&f, "scaling_factor", &g.scaling, 1e-6, 1e6);
    vbg_field_ints(&f, "block_out_channels", g.width, &g.levels, VBG_VAE_LEVELS, 1,
                   16384);
    if (f.st == VBG_OK && g.levels == 0)
        f.st = vbg_fail(err, VBG_EFORMAT, "vae config: no block_out_channels");
    vbg_field_ints(&f, "up_block_out_channels", g.up_width, &g.up_levels, VBG_VAE_LEVELS,
                   1, 16384);
    if (f.st == VBG_OK && g.up_levels == 0) {
        g.up_levels = g.levels;
        memcpy(g.up_width, g.width, sizeof g.up_width);
    }
    if (f.st == VBG_OK && g.up_levels < g.levels)
        f.st =
            vbg_fail(err, VBG_EFORMAT,
                     "vae config: fewer up_block_out_channels than block_out_channels");
    if (f.st == VBG_OK)
        f.st = check_widths(g.width, g.levels, g.groups, err);
    if (f.st == VBG_OK)
        f.st = check_widths(g.up_width, g.up_levels, g.groups, err);
    if (f.st == VBG_OK)
        *out = g;
    return vbg_fields_close(&f);
}

int vbg_vae_down(const vbg_vae_config *cfg)
{
    return 1 << (cfg->levels - 1);
}

int vbg_vae_up(const vbg_vae_config *cfg)
{
    return 1 << (cfg->up_levels - 1);
}

/* ---- binding ---- */

static void bind_resnet(vbg_bind *b, vbg_vae_resnet *r, int c, int oc, const char *p)
{
    vbg_bind_norm(b, &r->norm1, c, "%s.norm1", p);
    vbg_bind_layer(b, &r->conv1, oc, c, 3, 3, VBG_BIND_BIAS, "%s.conv1", p);
    vbg_bind_norm(b, &r->norm2, oc, "%s.norm2", p);
    vbg_bind_layer(b, &r->conv2, oc, oc, 3, 3, VBG_BIND_BIAS, "%s.conv2", p);
    if (c != oc)
        vbg_bind_layer(b, &r->skip, oc, c, 1, 1, VBG_BIND_BIAS, "%s.conv_shortcut", p);
}

/* Files from before 2023 spell the attention query, key, value, proj_attn. */
static void bind_attention(vbg_bind *b, vbg_vae_half *h, int c, const char *p)
{
    static const char *const names[2][4] = { { "to_q", "to_k", "to_v", "to_out.0" },
                                             { "query", "key", "value", "proj_attn" } };
    vbg_weight *layer[4] = { &h->q, &h->k, &h->v, &h->out };
    const bool old = vbg_bind_maybe(b, "%s.query.weight", p) != NULL;

    vbg_bind_norm(b, &h->attn_norm, c, "%s.group_norm", p);
    for (int i = 0; i < 4; i++)
        vbg_bind_layer(b, layer[i], c, c, 1, 1, VBG_BIND_BIAS, "%s.%s", p, names[old][i]);
}

static void bind_mid(vbg_bind *b, vbg_vae_half *h, int c, const char *half,
                     bool attention)
{
    char p[64];

    for (int i = 0; i < 2; i++) {
        snprintf(p, sizeof p, "%s.mid_block.resnets.%d", half, i);
        bind_resnet(b, &h->mid[i], c, c, p);
    }
    snprintf(p, sizeof p, "%s.mid_block.attentions.0", half);
    if (attention)
        bind_attention(b, h, c, p);
}

static void bind_block(vbg_bind *b, vbg_vae_block *k, int c, int oc, const char *p)
{
    char name[96];

    for (int j = 0; j < k->count; j++) {
        snprintf(name, sizeof name, "%s.resnets.%d", p, j);
        bind_resnet(b, &k->resnet[j], j ? oc : c, oc, name);
    }
}

static void bind_encoder(vbg_bind *b, vbg_vae *m)
{
    const vbg_vae_config *g = &m->cfg;
    vbg_vae_half *h = &m->encoder;
    const int last = g->levels - 1;
    char p[64];

    vbg_bind_layer(b, &h->conv_in, g->width[0], g->channels, 3, 3, VBG_BIND_BIAS,
                   "encoder.conv_in");
    for (int i = 0; i <= last; i++) {
        vbg_vae_block *k = &h->block[i];
        k->count = g->layers;
        snprintf(p, sizeof p, "encoder.down_blocks.%d", i);
        bind_block(b, k, g->width[i ? i - 1 : 0], g->width[i], p);
        if (i < last)
            vbg_bind_layer(b, &k->conv, g->width[i], g->width[i], 3, 3, VBG_BIND_BIAS,
                           "%s.downsamplers.0.conv", p);
    }
    bind_mid(b, h, g->width[last], "encoder", g->attention);
    vbg_bind_norm(b, &h->norm_out, g->width[last], "encoder.conv_norm_out");
    vbg_bind_layer(b, &h->conv_out, 2 * g->latent, g->width[last], 3, 3, VBG_BIND_BIAS,
                   "encoder.conv_out");
    vbg_bind_layer(b, &h->quant, 2 * g->latent, 2 * g->latent, 1, 1, VBG_BIND_BIAS,
                   "quant_conv");
}

static void bind_decoder(vbg_bind *b, vbg_vae *m)
{
    const vbg_vae_config *g = &m->cfg;
    vbg_vae_half *h = &m->decoder;
    const int last = g->up_levels - 1, *width = g->up_width;
    char p[64];

    vbg_bind_layer(b, &h->quant, g->latent, g->latent, 1, 1, VBG_BIND_BIAS,
                   "post_quant_conv");
    vbg_bind_layer(b, &h->conv_in, width[last], g->latent, 3, 3, VBG_BIND_BIAS,
                   "decoder.conv_in");
    bind_mid(b, h, width[last], "decoder", g->attention);
    for (int i = 0; i <= last; i++) {
        vbg_vae_block *k = &h->block[i];
        int oc = width[last - i];
        k->count = g->layers + 1;
        snprintf(p, sizeof p, "decoder.up_blocks.%d", i);
        bind_block(b, k, i ? width[last - i + 1] : oc, oc, p);
        if (i < last)
            vbg_bind_layer(b, &k->conv, oc, oc, 3, 3, VBG_BIND_BIAS,
                           "%s.upsamplers.0.conv", p);
    }
    vbg_bind_norm(b, &h->norm_out, width[0], "decoder.conv_norm_out");
    vbg_bind_layer(b, &h->conv_out, g->channels, width[0], 3, 3, VBG_BIND_BIAS,
                   "decoder.conv_out");
}

vbg_status vbg_vae_bind(vbg_vae *m, const vbg_vae_config *cfg, const vbg_weights *w,
                        const char *component, vbg_err *err)
{
    vbg_bind b;

    memset(m, 0, sizeof *m);
    m->cfg = *cfg;
    m->has_encoder =
        vbg_weights_find(w, component, "encoder.conv_in.weight") != NULL ||
        (vbg_weights_params(w) &&
         vbg_params_selected(vbg_weights_params(w), component, "encoder.conv_in.weight"));
    vbg_bind_start(&b, w, component);
    if (m->has_encoder)
        bind_encoder(&b, m);
    bind_decoder(&b, m);
    return vbg_bind_finish(&b, err);
}

vbg_status vbg_vae_prepare(vbg_vae *m, const vbg_ctx *c, vbg_pool_mem *pool, vbg_err *err)
{
    for (int i = 0; i < m->cfg.up_levels; i++) {
        vbg_weight *w = &m->decoder.block[i].conv;
        size_t bytes = vbg_weight_phases_bytes(c, w);
        void *p = bytes ? vbg_pool_take(pool, bytes) : NULL;
        if (bytes && !p)
            return vbg_fail(err, VBG_ENOMEM, "not enough memory for prepared weights");
        if (p)
            vbg_weight_phases_make(w, p);
    }
    return VBG_OK;
}

/* ---- forward ---- */

typedef struct call {
    vbg_ctx *c;
    const vbg_vae *m;
    const vbg_vae_trace *trace;
    const char *half; /* "enc", "dec" */
} call;

/* index < 0: the name alone. */
static void trace(const call *k, const vbg_tensor *x, const char *what, int index)
{
    char name[64];

    if (!k->trace)
        return;
    snprintf(name, sizeof name, index < 0 ? "%s.%s" : "%s.%s.%d", k->half, what, index);
    k->trace->fn(k->trace->arg, k->c, name, x);
}

/* next, made from old, which is no longer needed. */
static vbg_tensor *after(vbg_ctx *c, vbg_tensor *old, vbg_tensor *next)
{
    vbg_drop(c, old);
    return next;
}

/* x [n,h,w,c] -> [n,h,w,oc]; x is dropped. */
static vbg_tensor *resnet(const call *k, const vbg_vae_resnet *r, vbg_tensor *x)
{
    vbg_ctx *c = k->c;
    const int groups = k->m->cfg.groups;

    vbg_scope_open(c);
    vbg_tensor *h = vbg_group_norm(c, x, &r->norm1, groups, EPS, VBG_ACT_SILU);
    h = after(c, h, vbg_conv2d(c, h, &r->conv1, (vbg_conv_opt){ .pad = 1 }));
    h = after(c, h, vbg_group_norm(c, h, &r->norm2, groups, EPS, VBG_ACT_SILU));
    vbg_conv_opt o = { .pad = 1, .residual = x };
    if (r->skip.data)
        o.residual = vbg_linear(c, x, &r->skip);
    return after(c, x, vbg_scope_close(c, vbg_conv2d(c, h, &r->conv2, o)));
}

/* One head over all positions, with residual; x is dropped. */
static vbg_tensor *attention(const call *k, const vbg_vae_half *m, vbg_tensor *x)
{
    vbg_ctx *c = k->c;

    vbg_scope_open(c);
    vbg_tensor *h =
        vbg_group_norm(c, x, &m->attn_norm, k->m->cfg.groups, EPS, VBG_ACT_NONE);
    vbg_tensor *q = vbg_linear(c, h, &m->q), *key = vbg_linear(c, h, &m->k);
    vbg_tensor *v = vbg_linear(c, h, &m->v);
    h = after(c, h, vbg_attention(c, q, key, v, 1, false));
    h = vbg_linear_ex(c, h, &m->out, (vbg_linear_opt){ .residual = x });
    return after(c, x, vbg_scope_close(c, h));
}

static vbg_tensor *middle(const call *k, const vbg_vae_half *m, vbg_tensor *x)
{
    x = resnet(k, &m->mid[0], x);
    if (k->m->cfg.attention)
        x = attention(k, m, x);
    trace(k, x, "mid.attn", -1);
    x = resnet(k, &m->mid[1], x);
    trace(k, x, "mid", -1);
    return x;
}

/* Norm, SiLU and the last convolution, f32. */
static vbg_tensor *finish(const call *k, const vbg_vae_half *m, vbg_tensor *x)
{
    vbg_ctx *c = k->c;
    const vbg_conv_opt o = { .pad = 1, .f32_out = true };

    x = after(c, x,
              vbg_group_norm(c, x, &m->norm_out, k->m->cfg.groups, EPS, VBG_ACT_SILU));
    trace(k, x, "norm_out", -1);
    return after(c, x, vbg_conv2d(c, x, &m->conv_out, o));
}

vbg_tensor *vbg_vae_encode(vbg_ctx *c, const vbg_vae *m, const vbg_tensor *x,
                           const vbg_vae_trace *tr)
{
    const vbg_vae_half *e = &m->encoder;
    const vbg_conv_opt down = { .stride = 2, .pad_bottom = 1, .pad_right = 1 };
    call k = { c, m, tr, "enc" };

    VBG_CHECK(m->has_encoder && x->c == m->cfg.channels, "vae encode of %d channels",
              x->c);
    vbg_scope_open(c);
    vbg_tensor *h = vbg_conv2d(c, x, &e->conv_in, (vbg_conv_opt){ .pad = 1 });
    trace(&k, h, "conv_in", -1);
    for (int i = 0; i < m->cfg.levels; i++) {
        for (int j = 0; j < e->block[i].count; j++)
            h = resnet(&k, &e->block[i].resnet[j], h);
        if (e->block[i].conv.data)
            h = after(c, h, vbg_conv2d(c, h, &e->block[i].conv, down));
        trace(&k, h, "down", i);
    }
    h = finish(&k, e, middle(&k, e, h));
    trace(&k, h, "conv_out", -1);
    h = vbg_linear_ex(c, h, &e->quant, (vbg_linear_opt){ .f32_out = true });
    return vbg_scope_close(c, h);
}

vbg_tensor *vbg_vae_decode(vbg_ctx *c, const vbg_vae *m, const vbg_tensor *z,
                           const vbg_vae_trace *tr)
{
    const vbg_vae_half *d = &m->decoder;
    const vbg_conv_opt up = { .pad = 1, .upsample2 = true };
    call k = { c, m, tr, "dec" };

    VBG_CHECK(z->c == m->cfg.latent, "vae decode of %d channels", z->c);
    vbg_scope_open(c);
    vbg_tensor *h = vbg_linear_ex(c, z, &d->quant, (vbg_linear_opt){ .f32_out = true });
    trace(&k, h, "post_quant_conv", -1);
    h = vbg_conv2d(c, h, &d->conv_in, (vbg_conv_opt){ .pad = 1 });
    trace(&k, h, "conv_in", -1);
    h = middle(&k, d, h);
    for (int i = 0; i < m->cfg.up_levels; i++) {
        for (int j = 0; j < d->block[i].count; j++)
            h = resnet(&k, &d->block[i].resnet[j], h);
        if (d->block[i].conv.data)
            h = after(c, h, vbg_conv2d(c, h, &d->block[i].conv, up));
        trace(&k, h, "up", i);
    }
    return vbg_scope_close(c, finish(&k, d, h));
}

void vbg_vae_moments(const vbg_vae *m, const float *moments, size_t pixels, float *mean,
                     float *logvar, float *std)
{
    const size_t n = (size_t)m->cfg.latent;

    for (size_t p = 0; p < pixels; p++, moments += 2 * n) {
        for (size_t i = 0; i < n; i++) {
            float v = moments[n + i];
            v = v < -30 ? -30 : v > 20 ? 20 : v;
            mean[p * n + i] = moments[i];
            if (logvar)
                logvar[p * n + i] = v;
            if (std)
                std[p * n + i] = (float)exp(0.5 * (double)v);
        }
    }
}

/* ---- cost ---- */

static double layer_macs(const vbg_weight *w)
{
    return w->data ? (double)w->oc * w->c * w->kh * w->kw : 0;
}

static double resnet_macs(const vbg_vae_resnet *r)
{
    return layer_macs(&r->conv1) + layer_macs(&r->conv2) + layer_macs(&r->skip);
}

double vbg_vae_decode_macs(const vbg_vae *m, int h, int w)
{
    const vbg_vae_half *d = &m->decoder;
    double pixels = (double)h * w, sum = 0;

    sum += layer_macs(&d->conv_in) + resnet_macs(&d->mid[0]) + resnet_macs(&d->mid[1]) +
           4 * layer_macs(&d->q) + 2 * pixels * d->q.oc;
    for (int i = 0; i < m->cfg.up_levels; i++) {
        for (int j = 0; j < d->block[i].count; j++)
            sum += resnet_macs(&d->block[i].resnet[j]) * pow(4, i);
        sum += layer_macs(&d->block[i].conv) * pow(4, i + 1);
    }
    return pixels * (sum + layer_macs(&d->conv_out) * pow(4, m->cfg.up_levels - 1));
}
