/* Config and weights of the UNet; see models/unet.h. */
#include <stdio.h>
#include <string.h>

#include "models/json_field.h"
#include "models/unet.h"

enum { MAX_WIDTH = 16384 };

/* Which blocks of a list of block types have transformers. */
static void read_types(vbg_fields *f, const char *key, const char *with,
                       const char *without, bool *cross, int levels)
{
    const json_t *list = json_object_get(f->root, key);

    if (!list || f->st != VBG_OK)
        return;
    bool good = json_array_size(list) == (size_t)levels;
    for (int i = 0; good && i < levels; i++) {
        const char *s = json_string_value(json_array_get(list, (size_t)i));
        good = s && (strcmp(s, with) == 0 || strcmp(s, without) == 0);
        cross[i] = good && strcmp(s, with) == 0;
    }
    if (!good)
        f->st = vbg_fail(f->err, VBG_EUNSUPPORTED, "unet config: %s", key);
}

/* Fields that must have one value for this implementation to be right. */
static void check_rest(vbg_fields *f)
{
    const char *act = vbg_field_text(f, "act_fn");
    const char *mid = vbg_field_text(f, "mid_block_type");
    const json_t *depth = json_object_get(f->root, "transformer_layers_per_block");
    bool centre = false;

    vbg_field_bool(f, "center_input_sample", &centre);
    if (f->st != VBG_OK)
        return;
    if ((act && strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0) || centre ||
        (mid && strcmp(mid, "UNetMidBlock2DCrossAttn") != 0) ||
        (json_is_integer(depth) && json_integer_value(depth) != 1) ||
        json_is_array(depth))
        f->st = vbg_fail(f->err, VBG_EUNSUPPORTED,
                         "unet config: neither SD1 nor SD2 (activation, middle block or "
                         "transformer depth)");
}

vbg_status vbg_unet_config_read(vbg_unet_config *out, const char *json, vbg_err *err)
{
    vbg_unet_config g = { .in_channels = 4,
                          .out_channels = 4,
                          .layers = 2,
                          .context = 1024,
                          .groups = 32,
                          .flip_sin_to_cos = true,
                          .sample_size = 64 };
    vbg_fields f;
    double eps = 1e-5;

    vbg_fields_open(&f, "unet config", json, err);
    vbg_field_int(&f, "in_channels", &g.in_channels, 1, 64);
    vbg_field_int(&f, "out_channels", &g.out_channels, 1, 64);
    vbg_field_int(&f, "layers_per_block", &g.layers, 1, VBG_UNET_LAYERS);
    vbg_field_int(&f, "cross_attention_dim", &g.context, 1, MAX_WIDTH);
    vbg_field_int(&f, "norm_num_groups", &g.groups, 1, 1024);
    vbg_field_int(&f, "sample_size", &g.sample_size, 1, 1024);
    vbg_field_bool(&f, "flip_sin_to_cos", &g.flip_sin_to_cos);
    vbg_field_real(&f, "freq_shift", &g.freq_shift, 0, 1);
    vbg_field_real(&f, "norm_eps", &eps, 1e-12, 1);
    vbg_field_ints(&f, "block_out_channels", g.width, &g.levels, VBG_UNET_LEVELS, 1,
                   MAX_WIDTH);
    if (f.st == VBG_OK && g.levels == 0)
        f.st = vbg_fail(err, VBG_EFORMAT, "unet config: no block_out_channels");
    for (int i = 0; i < g.levels; i++) {
        g.heads[i] = 8;
        g.cross[i] = i < g.levels - 1;
        g.up_cross[i] = i > 0;
    }
    vbg_field_ints(&f, "attention_head_dim", g.heads, &g.levels, VBG_UNET_LEVELS, 1,
                   1024);
    vbg_field_ints(&f, "num_attention_heads", g.heads, &g.levels, VBG_UNET_LEVELS, 1,
                   1024);
    read_types(&f, "down_block_types", "CrossAttnDownBlock2D", "DownBlock2D", g.cross,
               g.levels);
    read_types(&f, "up_block_types", "CrossAttnUpBlock2D", "UpBlock2D", g.up_cross,
               g.levels);
    check_rest(&f);
    for (int i = 0; f.st == VBG_OK && i < g.levels; i++)
        if (g.width[i] % g.groups || g.width[i] % g.heads[i])
            f.st = vbg_fail(err, VBG_EFORMAT,
                            "unet config: width %d with %d groups and %d heads",
                            g.width[i], g.groups, g.heads[i]);
    g.eps = (float)eps;
    if (f.st == VBG_OK)
        *out = g;
    return vbg_fields_close(&f);
}

static void bind_resnet(vbg_bind *b, vbg_resnet *r, int c, int oc, int temb,
                        const char *p)
{
    vbg_bind_norm(b, &r->norm1, c, "%s.norm1", p);
    vbg_bind_layer(b, &r->conv1, oc, c, 3, 3, VBG_BIND_BIAS, "%s.conv1", p);
    vbg_bind_layer(b, &r->temb, oc, temb, 1, 1, VBG_BIND_BIAS, "%s.time_emb_proj", p);
    vbg_bind_norm(b, &r->norm2, oc, "%s.norm2", p);
    vbg_bind_layer(b, &r->conv2, oc, oc, 3, 3, VBG_BIND_BIAS, "%s.conv2", p);
    if (c != oc)
        vbg_bind_layer(b, &r->skip, oc, c, 1, 1, VBG_BIND_BIAS, "%s.conv_shortcut", p);
}

static void bind_attention(vbg_bind *b, vbg_attn_w *a, int c, int context, const char *p)
{
    vbg_bind_layer(b, &a->q, c, c, 1, 1, 0, "%s.to_q", p);
    vbg_bind_layer(b, &a->k, c, context, 1, 1, 0, "%s.to_k", p);
    vbg_bind_layer(b, &a->v, c, context, 1, 1, 0, "%s.to_v", p);
    vbg_bind_layer(b, &a->out, c, c, 1, 1, VBG_BIND_BIAS, "%s.to_out.0", p);
}

static void bind_transformer(vbg_bind *b, vbg_transformer *t, int c, int heads,
                             int context, int index, const char *p)
{
    char q[96], name[112];

    t->heads = heads;
    t->index = index;
    vbg_bind_norm(b, &t->norm, c, "%s.norm", p);
    vbg_bind_layer(b, &t->proj_in, c, c, 1, 1, VBG_BIND_BIAS, "%s.proj_in", p);
    vbg_bind_layer(b, &t->proj_out, c, c, 1, 1, VBG_BIND_BIAS, "%s.proj_out", p);
    snprintf(q, sizeof q, "%s.transformer_blocks.0", p);
    vbg_bind_norm(b, &t->norm1, c, "%s.norm1", q);
    vbg_bind_norm(b, &t->norm2, c, "%s.norm2", q);
    vbg_bind_norm(b, &t->norm3, c, "%s.norm3", q);
    snprintf(name, sizeof name, "%s.attn1", q);
    bind_attention(b, &t->self, c, c, name);
    snprintf(name, sizeof name, "%s.attn2", q);
    bind_attention(b, &t->cross, c, context, name);
    vbg_bind_layer(b, &t->ff1, 8 * c, c, 1, 1, VBG_BIND_BIAS, "%s.ff.net.0.proj", q);
    vbg_bind_layer(b, &t->ff2, c, 4 * c, 1, 1, VBG_BIND_BIAS, "%s.ff.net.2", q);
}

/* Layers of one block; in[j] channels go into resnet j. */
static void bind_block(vbg_bind *b, vbg_unet *m, vbg_unet_block *k, const char *p,
                       const int *in, int oc, int heads)
{
    char name[64];

    for (int j = 0; j < k->count; j++) {
        snprintf(name, sizeof name, "%s.resnets.%d", p, j);
        bind_resnet(b, &k->resnet[j], in[j], oc, 4 * m->cfg.width[0], name);
        snprintf(name, sizeof name, "%s.attentions.%d", p, j);
        if (k->cross)
            bind_transformer(b, &k->attn[j], oc, heads, m->cfg.context, m->transformers++,
                             name);
    }
}

static void bind_down(vbg_bind *b, vbg_unet *m)
{
    const vbg_unet_config *g = &m->cfg;
    char p[48];

    for (int i = 0; i < g->levels; i++) {
        vbg_unet_block *k = &m->down[i];
        int in[VBG_UNET_LAYERS + 1];
        k->count = g->layers;
        k->cross = g->cross[i];
        k->resample = i + 1 < g->levels;
        for (int j = 0; j < k->count; j++)
            in[j] = j || i == 0 ? g->width[i] : g->width[i - 1];
        snprintf(p, sizeof p, "down_blocks.%d", i);
        bind_block(b, m, k, p, in, g->width[i], g->heads[i]);
        if (k->resample)
            vbg_bind_layer(b, &k->conv, g->width[i], g->width[i], 3, 3, VBG_BIND_BIAS,
                           "%s.downsamplers.0.conv", p);
    }
}

static void bind_up(vbg_bind *b, vbg_unet *m)
{
    const vbg_unet_config *g = &m->cfg;
    const int last = g->levels - 1;
    char p[48];

    for (int i = 0; i < g->levels; i++) {
        vbg_unet_block *k = &m->up[i];
        int in[VBG_UNET_LAYERS + 1], level = last - i, oc = g->width[level];
        int below = level ? g->width[level - 1] : g->width[0];
        k->count = g->layers + 1;
        k->cross = g->up_cross[i];
        k->resample = i < last;
        for (int j = 0; j < k->count; j++) {
            int main = j ? oc : i ? g->width[level + 1] : g->width[last];
            in[j] = main + (j == g->layers ? below : oc);
        }
        snprintf(p, sizeof p, "up_blocks.%d", i);
        bind_block(b, m, k, p, in, oc, g->heads[level]);
        if (k->resample)
            vbg_bind_layer(b, &k->conv, oc, oc, 3, 3, VBG_BIND_BIAS,
                           "%s.upsamplers.0.conv", p);
    }
}

vbg_status vbg_unet_bind(vbg_unet *m, const vbg_unet_config *cfg, const vbg_weights *w,
                         const char *component, vbg_err *err)
{
    const int last = cfg->levels - 1, c0 = cfg->width[0], c1 = cfg->width[last];
    vbg_bind b;

    memset(m, 0, sizeof *m);
    m->cfg = *cfg;
    vbg_bind_start(&b, w, component);
    vbg_bind_layer(&b, &m->conv_in, c0, cfg->in_channels, 3, 3, VBG_BIND_BIAS, "conv_in");
    vbg_bind_layer(&b, &m->time1, 4 * c0, c0, 1, 1, VBG_BIND_BIAS,
                   "time_embedding.linear_1");
    vbg_bind_layer(&b, &m->time2, 4 * c0, 4 * c0, 1, 1, VBG_BIND_BIAS,
                   "time_embedding.linear_2");
    bind_down(&b, m);
    bind_resnet(&b, &m->mid[0], c1, c1, 4 * c0, "mid_block.resnets.0");
    bind_resnet(&b, &m->mid[1], c1, c1, 4 * c0, "mid_block.resnets.1");
    bind_transformer(&b, &m->mid_attn, c1, cfg->heads[last], cfg->context,
                     m->transformers++, "mid_block.attentions.0");
    bind_up(&b, m);
    vbg_bind_norm(&b, &m->norm_out, c0, "conv_norm_out");
    vbg_bind_layer(&b, &m->conv_out, cfg->out_channels, c0, 3, 3, VBG_BIND_BIAS,
                   "conv_out");
    return vbg_bind_finish(&b, err);
}

vbg_status vbg_unet_prepare(vbg_unet *m, const vbg_ctx *c, vbg_pool_mem *pool,
                            vbg_err *err)
{
    for (int i = 0; i < m->cfg.levels; i++) {
        vbg_weight *w = &m->up[i].conv;
        size_t bytes = vbg_weight_phases_bytes(c, w);
        void *p = bytes ? vbg_pool_take(pool, bytes) : NULL;
        if (bytes && !p)
            return vbg_fail(err, VBG_ENOMEM, "not enough memory for prepared weights");
        if (p)
            vbg_weight_phases_make(w, p);
    }
    return VBG_OK;
}
