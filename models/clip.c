/* The transformer both towers consist of, and the text tower; see models/clip.h. */
#include "models/clip.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "models/clip_internal.h"

enum { MAX_SIDE = 1 << 20 }; /* of any table or layer that is believed */

/* ---- options ---- */

static vbg_status read_act(vbg_act *act, const char *name, vbg_err *err)
{
    if (strcmp(name, "quick_gelu") == 0)
        *act = VBG_ACT_QUICK_GELU;
    else if (strcmp(name, "gelu") == 0)
        *act = VBG_ACT_GELU;
    else
        return vbg_fail(err, VBG_EUNSUPPORTED, "CLIP activation \"%s\"", name);
    return VBG_OK;
}

vbg_status vbg_clip_opt_read(vbg_clip_opt *opt, const char *json, const char *section,
                             vbg_err *err)
{
    vbg_status st = VBG_OK;
    json_t *root = json ? json_loads(json, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *o = root;

    if (json && !json_is_object(root)) {
        st = vbg_fail(err, VBG_EFORMAT, "CLIP config: not a JSON object");
        goto done;
    }
    if (section && json_is_object(json_object_get(root, section)))
        o = json_object_get(root, section);
    const json_t *heads = json_object_get(o, "num_attention_heads");
    const json_t *act = json_object_get(o, "hidden_act");
    const json_t *eps = json_object_get(o, "layer_norm_eps");
    if (json_is_integer(heads)) {
        json_int_t n = json_integer_value(heads);
        if (n < 1 || n > 1024) {
            st = vbg_fail(err, VBG_EFORMAT, "CLIP config: %lld heads", (long long)n);
            goto done;
        }
        opt->heads = (int)n;
    }
    if (json_is_number(eps))
        opt->eps = (float)json_number_value(eps);
    if (json_is_string(act))
        st = read_act(&opt->act, json_string_value(act), err);
done:
    json_decref(root);
    return st;
}

/* ---- the tower ---- */

const vbg_entry *vbg_clip_bind_table(vbg_bind *b, int rows, int width, const char *prefix,
                                     const char *name)
{
    const vbg_entry *e = vbg_bind_entry(b, "%s%s", prefix, name);

    if (!e)
        return NULL;
    bool type = e->dtype == VBG_F32 || e->dtype == VBG_BF16 || e->dtype == VBG_F16;
    bool shape = e->rank == 2 && e->dim[0] > 0 && e->dim[0] < MAX_SIDE && e->dim[1] > 0 &&
                 e->dim[1] < MAX_SIDE && (rows == 0 || e->dim[0] == rows) &&
                 (width == 0 || e->dim[1] == width);
    if (type && shape && e->layout == VBG_LAYOUT_PLAIN)
        return e;
    vbg_bind_problem(b, "%s%s is not a plain table", prefix, name);
    return NULL;
}

static void bind_block(vbg_bind *b, vbg_clip_block *k, const char *prefix, int layer,
                       int width, int mlp)
{
    const char *p = prefix;
    const int bias = VBG_BIND_BIAS;

    vbg_bind_norm(b, &k->norm1, width, "%sencoder.layers.%d.layer_norm1", p, layer);
    vbg_bind_norm(b, &k->norm2, width, "%sencoder.layers.%d.layer_norm2", p, layer);
    vbg_bind_layer(b, &k->q, width, width, 1, 1, bias,
                   "%sencoder.layers.%d.self_attn.q_proj", p, layer);
    vbg_bind_layer(b, &k->k, width, width, 1, 1, bias,
                   "%sencoder.layers.%d.self_attn.k_proj", p, layer);
    vbg_bind_layer(b, &k->v, width, width, 1, 1, bias,
                   "%sencoder.layers.%d.self_attn.v_proj", p, layer);
    vbg_bind_layer(b, &k->out, width, width, 1, 1, bias,
                   "%sencoder.layers.%d.self_attn.out_proj", p, layer);
    vbg_bind_layer(b, &k->fc1, mlp, width, 1, 1, bias, "%sencoder.layers.%d.mlp.fc1", p,
                   layer);
    vbg_bind_layer(b, &k->fc2, width, mlp, 1, 1, bias, "%sencoder.layers.%d.mlp.fc2", p,
                   layer);
}

void vbg_clip_bind_tower(vbg_bind *b, vbg_clip_tower *t, const char *prefix, int width,
                         vbg_clip_opt opt)
{
    t->width = width;
    t->heads = opt.heads ? opt.heads : width >= 64 ? width / 64 : 1;
    t->act = opt.act;
    t->eps = opt.eps > 0 ? opt.eps : 1e-5f;
    t->layers = 0;
    if (width % t->heads != 0)
        vbg_bind_problem(b, "%d heads do not divide width %d", t->heads, width);
    for (int i = 0; i <= VBG_CLIP_MAX_LAYERS; i++) {
        const vbg_entry *fc1 =
            vbg_bind_maybe(b, "%sencoder.layers.%d.mlp.fc1.weight", prefix, i);
        if (!fc1)
            break;
        if (i == VBG_CLIP_MAX_LAYERS) {
            vbg_bind_problem(b, "more than %d layers", i);
            break;
        }
        int mlp = fc1->rank >= 1 && fc1->dim[0] < MAX_SIDE ? (int)fc1->dim[0] : 0;
        bind_block(b, &t->block[i], prefix, i, width, mlp);
        t->layers = i + 1;
    }
    if (t->layers == 0)
        vbg_bind_problem(b, "%sencoder.layers.0 is missing", prefix);
}

/* x [n,1,t,width] -> the same shape, new */
static vbg_tensor *block(vbg_ctx *c, const vbg_clip_tower *t, const vbg_clip_block *w,
                         const vbg_tensor *x, bool causal)
{
    vbg_scope_open(c);
    vbg_tensor *h = vbg_layer_norm(c, x, &w->norm1, t->eps);
    vbg_tensor *q = vbg_linear(c, h, &w->q);
    vbg_tensor *k = vbg_linear(c, h, &w->k);
    vbg_tensor *v = vbg_linear(c, h, &w->v);
    h = vbg_attention(c, q, k, v, t->heads, causal);
    x = vbg_linear_ex(c, h, &w->out, (vbg_linear_opt){ .residual = x });
    h = vbg_layer_norm(c, x, &w->norm2, t->eps);
    h = vbg_linear_ex(c, h, &w->fc1, (vbg_linear_opt){ .act = t->act });
    h = vbg_linear_ex(c, h, &w->fc2, (vbg_linear_opt){ .residual = x });
    return vbg_scope_close(c, h);
}

vbg_tensor *vbg_clip_blocks(vbg_ctx *c, const vbg_clip_tower *t, vbg_tensor *x, int first,
                            int last, bool causal)
{
    VBG_CHECK(first >= 0 && last <= t->layers, "blocks up to %d of %d", last, t->layers);
    for (int i = first; i < last; i++) {
        vbg_tensor *y = block(c, t, &t->block[i], x, causal);
        vbg_drop(c, x);
        x = y;
    }
    return x;
}

int *vbg_clip_ints(vbg_ctx *c, int count)
{
    return vbg_new_typed(c, VBG_I32, 1, 1, 1, count)->data;
}

vbg_tensor *vbg_clip_add_positions(vbg_ctx *c, const vbg_tensor *x,
                                   const vbg_entry *table)
{
    int t = x->w, width = x->c;

    VBG_CHECK(table->dim[0] == t && table->dim[1] == width, "%d positions of %d", t,
              width);
    vbg_scope_open(c);
    int *number = vbg_clip_ints(c, t);
    for (int i = 0; number && i < t; i++)
        number[i] = i;
    vbg_tensor *p = vbg_embed(c, table->data, table->dtype, t, width, number, 1, t);
    /* All tokens of an image as one pixel, so that the table is broadcast. */
    vbg_tensor *sum = vbg_add(c, vbg_view(c, x, x->n, 1, 1, t * width),
                              vbg_view(c, p, 1, 1, 1, t * width), VBG_ACT_NONE);
    return vbg_scope_close(c, vbg_view(c, sum, x->n, 1, t, width));
}

vbg_tensor *vbg_clip_pick_rows(vbg_ctx *c, const vbg_tensor *x, const int *row, int n)
{
    VBG_CHECK(vbg_contiguous(x), "rows of a column view");
    return vbg_embed(c, x->data, x->dtype, (int)vbg_rows(x), x->c, row, n, 1);
}

/* ---- the text tower ---- */

vbg_status vbg_clip_text_bind(vbg_clip_text *m, const vbg_weights *w,
                              const char *component, const char *prefix, vbg_clip_opt opt,
                              vbg_err *err)
{
    vbg_bind b;

    *m = (vbg_clip_text){ .vocab = 0 };
    vbg_bind_start(&b, w, component);
    m->token = vbg_clip_bind_table(&b, 0, 0, prefix, "embeddings.token_embedding.weight");
    if (!m->token)
        return vbg_bind_finish(&b, err);
    int width = (int)m->token->dim[1];
    m->vocab = (int)m->token->dim[0];
    m->position =
        vbg_clip_bind_table(&b, 0, width, prefix, "embeddings.position_embedding.weight");
    m->positions = m->position ? (int)m->position->dim[0] : 0;
    vbg_clip_bind_tower(&b, &m->tower, prefix, width, opt);
    vbg_bind_norm(&b, &m->final_norm, width, "%sfinal_layer_norm", prefix);
    vbg_bind_layer(&b, &m->projection, 0, width, 1, 1, VBG_BIND_OPTIONAL,
                   "text_projection");
    return vbg_bind_finish(&b, err);
}

vbg_status vbg_clip_text_open(vbg_clip_text *m, const vbg_weights *w, vbg_err *err)
{
    const char *config = NULL;
    vbg_clip_opt opt = { .act = VBG_ACT_QUICK_GELU };

    vbg_weights_string(w, "text.config", &config);
    vbg_status st = vbg_clip_opt_read(&opt, config, NULL, err);
    if (st != VBG_OK)
        return st;
    return vbg_clip_text_bind(m, w, "text", "", opt, err);
}

bool vbg_clip_ids_valid(const vbg_clip_text *m, const int *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= m->vocab)
            return false;
    return true;
}

vbg_tensor *vbg_clip_text_hidden(vbg_ctx *c, const vbg_clip_text *m, const int *ids,
                                 int n, int layers)
{
    int t = m->positions, width = m->tower.width;

    if (!vbg_planning(c))
        VBG_CHECK(vbg_clip_ids_valid(m, ids, (size_t)n * (size_t)t),
                  "token id outside 0..%d", m->vocab - 1);
    vbg_scope_open(c);
    vbg_tensor *x =
        vbg_embed(c, m->token->data, m->token->dtype, m->vocab, width, ids, n, t);
    x = vbg_clip_add_positions(c, x, m->position);
    return vbg_scope_close(c, vbg_clip_blocks(c, &m->tower, x, 0, layers, true));
}

vbg_tensor *vbg_clip_text_forward(vbg_ctx *c, const vbg_clip_text *m, const int *ids,
                                  int n)
{
    vbg_scope_open(c);
    vbg_tensor *x = vbg_clip_text_hidden(c, m, ids, n, m->tower.layers);
    return vbg_scope_close(c, vbg_layer_norm(c, x, &m->final_norm, m->tower.eps));
}

vbg_tensor *vbg_clip_text_pool(vbg_ctx *c, const vbg_clip_text *m,
                               const vbg_tensor *state, const int *ids)
{
    int n = state->n, t = m->positions;

    vbg_scope_open(c);
    int *row = vbg_clip_ints(c, n);
    for (int i = 0; row && i < n; i++) {
        row[i] = i * t;
        for (int k = 1; k < t; k++)
            if (ids[i * t + k] > ids[row[i]])
                row[i] = i * t + k;
    }
    return vbg_scope_close(c, vbg_clip_pick_rows(c, state, row, n));
}
