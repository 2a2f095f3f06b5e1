/* CLIP towers on a tiny made-up model: results against a plain double-precision
 * forward in this file, independence of threads, names, options, crops. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/clip_names.h"
#include "models/clip.h"

enum { VOCAB = 30, TOKENS = 9, WIDTH = 32, HEADS = 4, LAYERS = 2, MLP = 64, PROJ = 12 };

/* All values of the model in one list: name, rank, dims, data. */
typedef struct part {
    char name[96];
    int rank;
    int64_t dim[2];
    float *v;
} part;

typedef struct model {
    part part[64];
    int count;
    uint32_t seed;
} model;

static float *add(model *m, int rows, int cols, float centre, float spread,
                  const char *fmt, ...) VBG_PRINTF(6, 7);

static float *add(model *m, int rows, int cols, float centre, float spread,
                  const char *fmt, ...)
{
    part *p = &m->part[m->count++];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->name, sizeof p->name, fmt, ap);
    va_end(ap);
    p->rank = cols ? 2 : 1;
    p->dim[0] = rows;
    p->dim[1] = cols;
    size_t n = (size_t)rows * (size_t)(cols ? cols : 1);
    p->v = malloc(n * sizeof *p->v);
    for (size_t i = 0; i < n; i++) {
        m->seed = m->seed * 1664525u + 1013904223u;
        p->v[i] = centre + spread * ((float)(m->seed >> 8) * 0x1p-23f - 1);
    }
    return p->v;
}

static void add_linear(model *m, int oc, int c, const char *name, int layer)
{
    add(m, oc, c, 0, 0.25f, "encoder.layers.%d.%s.weight", layer, name);
    add(m, oc, 0, 0, 0.1f, "encoder.layers.%d.%s.bias", layer, name);
}

static void make_model(model *m)
{
    *m = (model){ .seed = 3 };
    add(m, VOCAB, WIDTH, 0, 1, "embeddings.token_embedding.weight");
    add(m, TOKENS, WIDTH, 0, 0.5f, "embeddings.position_embedding.weight");
    for (int i = 0; i < LAYERS; i++) {
        for (int k = 1; k <= 2; k++) {
            add(m, WIDTH, 0, 1, 0.3f, "encoder.layers.%d.layer_norm%d.weight", i, k);
            add(m, WIDTH, 0, 0, 0.3f, "encoder.layers.%d.layer_norm%d.bias", i, k);
        }
        add_linear(m, WIDTH, WIDTH, "self_attn.q_proj", i);
        add_linear(m, WIDTH, WIDTH, "self_attn.k_proj", i);
        add_linear(m, WIDTH, WIDTH, "self_attn.v_proj", i);
        add_linear(m, WIDTH, WIDTH, "self_attn.out_proj", i);
        add_linear(m, MLP, WIDTH, "mlp.fc1", i);
        add_linear(m, WIDTH, MLP, "mlp.fc2", i);
    }
    add(m, WIDTH, 0, 1, 0.3f, "final_layer_norm.weight");
    add(m, WIDTH, 0, 0, 0.3f, "final_layer_norm.bias");
    add(m, PROJ, WIDTH, 0, 0.3f, "text_projection.weight");
}

static void free_model(model *m)
{
    for (int i = 0; i < m->count; i++)
        free(m->part[i].v);
}

/* The tensor `name`, of a layer when that is not negative. */
static const float *value(const model *m, int layer, const char *name)
{
    char full[96];

    if (layer >= 0)
        snprintf(full, sizeof full, "encoder.layers.%d.%s", layer, name);
    else
        snprintf(full, sizeof full, "%s", name);
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->part[i].name, full) == 0)
            return m->part[i].v;
    cr_assert_fail("no tensor %s", full);
    return NULL;
}

/* The model as a .vbg file (already unlinked); skip: a name to leave out. */
static vbg_weights *store(const model *m, const char *skip)
{
    char path[64];
    vbg_writer *w = NULL;
    vbg_weights *out = NULL;
    vbg_err err = { 0 };

    snprintf(path, sizeof path, "/tmp/vbg-test-clip-%ld.vbg", (long)getpid());
    cr_assert(vbg_writer_new(&w, path, &err) == VBG_OK, "%s", err.text);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < m->count; i++) {
            const part *p = &m->part[i];
            bool plain = p->rank == 1 || strstr(p->name, "embedding");
            if (skip && strcmp(skip, p->name) == 0)
                continue;
            vbg_status st =
                pass ? vbg_writer_data(w, "text", p->name, p->v, &err)
                     : vbg_writer_declare(w, "text", p->name, VBG_F32,
                                          plain ? VBG_LAYOUT_PLAIN : VBG_LAYOUT_PACK16,
                                          p->rank, p->dim, &err);
            cr_assert(st == VBG_OK, "%s", err.text);
        }
    cr_assert(vbg_writer_finish(w, &err) == VBG_OK, "%s", err.text);
    cr_assert(vbg_weights_open(&out, path, &err) == VBG_OK, "%s", err.text);
    unlink(path);
    return out;
}

/* ---- the plain forward ---- */

static void plain_norm(double *y, const double *x, const float *gamma, const float *beta)
{
    for (int t = 0; t < TOKENS; t++, x += WIDTH, y += WIDTH) {
        double mean = 0, var = 0;
        for (int i = 0; i < WIDTH; i++)
            mean += x[i] / WIDTH;
        for (int i = 0; i < WIDTH; i++)
            var += (x[i] - mean) * (x[i] - mean) / WIDTH;
        for (int i = 0; i < WIDTH; i++)
            y[i] = (x[i] - mean) / sqrt(var + 1e-5) * (double)gamma[i] + (double)beta[i];
    }
}

static void plain_linear(double *y, const double *x, const model *m, int layer,
                         const char *name, int oc, int c)
{
    char full[64];

    snprintf(full, sizeof full, "%s.weight", name);
    const float *w = value(m, layer, full);
    snprintf(full, sizeof full, "%s.bias", name);
    const float *b = value(m, layer, full);
    for (int t = 0; t < TOKENS; t++)
        for (int o = 0; o < oc; o++) {
            double s = (double)b[o];
            for (int i = 0; i < c; i++)
                s += (double)w[o * c + i] * x[t * c + i];
            y[t * oc + o] = s;
        }
}

/* Causal attention of all heads. */
static void plain_attention(double *y, const double *q, const double *k, const double *v)
{
    enum { D = WIDTH / HEADS };

    for (int h = 0; h < HEADS; h++)
        for (int t = 0; t < TOKENS; t++) {
            double p[TOKENS], sum = 0, out[D] = { 0 };
            for (int j = 0; j <= t; j++) {
                double s = 0;
                for (int i = 0; i < D; i++)
                    s += q[t * WIDTH + h * D + i] * k[j * WIDTH + h * D + i];
                sum += p[j] = exp(s / sqrt(D));
            }
            for (int j = 0; j <= t; j++)
                for (int i = 0; i < D; i++)
                    out[i] += p[j] / sum * v[j * WIDTH + h * D + i];
            memcpy(y + t * WIDTH + h * D, out, sizeof out);
        }
}

static void plain_forward(double *state, const model *m, const int *ids, bool quick)
{
    enum { N = TOKENS * WIDTH };
    double x[N], h[N], q[N], k[N], v[N], wide[TOKENS * MLP];
    const float *token = value(m, -1, "embeddings.token_embedding.weight");
    const float *position = value(m, -1, "embeddings.position_embedding.weight");

    for (int i = 0; i < N; i++)
        x[i] = (double)token[ids[i / WIDTH] * WIDTH + i % WIDTH] + (double)position[i];
    for (int l = 0; l < LAYERS; l++) {
        plain_norm(h, x, value(m, l, "layer_norm1.weight"),
                   value(m, l, "layer_norm1.bias"));
        plain_linear(q, h, m, l, "self_attn.q_proj", WIDTH, WIDTH);
        plain_linear(k, h, m, l, "self_attn.k_proj", WIDTH, WIDTH);
        plain_linear(v, h, m, l, "self_attn.v_proj", WIDTH, WIDTH);
        plain_attention(h, q, k, v);
        plain_linear(q, h, m, l, "self_attn.out_proj", WIDTH, WIDTH);
        for (int i = 0; i < N; i++)
            x[i] += q[i];
        plain_norm(h, x, value(m, l, "layer_norm2.weight"),
                   value(m, l, "layer_norm2.bias"));
        plain_linear(wide, h, m, l, "mlp.fc1", MLP, WIDTH);
        for (int i = 0; i < TOKENS * MLP; i++)
            wide[i] = quick ? wide[i] / (1 + exp(-1.702 * wide[i]))
                            : wide[i] * 0.5 * (1 + erf(wide[i] / sqrt(2)));
        plain_linear(q, wide, m, l, "mlp.fc2", WIDTH, MLP);
        for (int i = 0; i < N; i++)
            x[i] += q[i];
    }
    plain_norm(state, x, value(m, -1, "final_layer_norm.weight"),
               value(m, -1, "final_layer_norm.bias"));
}

/* ---- running ours ---- */

typedef struct job {
    vbg_clip_text m;
    const int *ids;
    int n;
    float *state, *pooled;
} job;

static vbg_status run(vbg_ctx *c, void *arg, vbg_err *err)
{
    job *j = arg;
    vbg_tensor *x = vbg_clip_text_forward(c, &j->m, j->ids, j->n);

    (void)err;
    vbg_copy_out(c, j->state, VBG_F32, x);
    vbg_copy_out(c, j->pooled, VBG_F32, vbg_clip_text_pool(c, &j->m, x, j->ids));
    return VBG_OK;
}

static const int prompts[3][TOKENS] = { { 28, 5, 6, 29, 0, 0, 0, 0, 0 },
                                        { 28, 29, 29, 29, 29, 29, 29, 29, 29 },
                                        { 28, 1, 2, 3, 4, 5, 6, 7, 29 } };
static const int end_row[3] = { 3, 1, 8 };
enum { STATE = TOKENS * WIDTH };

static void run_with(job *j, vbg_ctx_opt opt, float *state, float *pooled)
{
    vbg_ctx *c = NULL;
    vbg_err err = { 0 };

    j->state = state;
    j->pooled = pooled;
    cr_assert(vbg_ctx_new(&c, &opt, &err) == VBG_OK);
    cr_assert(vbg_run(c, run, j, &err) == VBG_OK, "%s", err.text);
    vbg_ctx_free(c);
}

static double rel_l2(const float *x, const double *r, size_t n)
{
    double d = 0, s = 0;

    for (size_t i = 0; i < n; i++) {
        d += ((double)x[i] - r[i]) * ((double)x[i] - r[i]);
        s += r[i] * r[i];
    }
    return sqrt(d / s);
}

/* f32: about ten roundings of 6e-8 in a row through two blocks: 2e-6.
 * bf16: activations of 8 bits, about ten roundings of 2e-3 (rms): 2 %. */
Test(clip, text_tower)
{
    model m;
    make_model(&m);
    vbg_weights *w = store(&m, NULL);

    for (int quick = 0; quick < 2; quick++) {
        double want[3 * STATE];
        float state[3 * STATE], again[3 * STATE], pooled[3 * WIDTH];
        job j = { .ids = prompts[0], .n = 3 };
        vbg_err err = { 0 };
        vbg_clip_opt o = { .heads = HEADS,
                           .act = quick ? VBG_ACT_QUICK_GELU : VBG_ACT_GELU };
        cr_assert(vbg_clip_text_bind(&j.m, w, "text", "", o, &err) == VBG_OK, "%s",
                  err.text);
        cr_assert(j.m.vocab == VOCAB && j.m.positions == TOKENS &&
                  j.m.tower.layers == LAYERS && j.m.projection.oc == PROJ);
        for (int i = 0; i < 3; i++)
            plain_forward(want + i * STATE, &m, prompts[i], quick);
        for (int isa = VBG_ISA_REF; isa <= VBG_ISA_BEST; isa++) {
            vbg_ctx_opt opt = { .threads = 1, .isa = (vbg_isa)isa, .precision = VBG_F32 };
            run_with(&j, opt, state, pooled);
            double e = rel_l2(state, want, 3 * STATE);
            cr_assert(e < 2e-6, "isa %d: %g", isa, e);
            for (int i = 0; i < 3; i++)
                cr_assert(memcmp(pooled + i * WIDTH,
                                 state + i * STATE + end_row[i] * WIDTH,
                                 WIDTH * sizeof *state) == 0);
            for (int threads = 2; threads <= 5; threads += 3) {
                opt.threads = threads;
                run_with(&j, opt, again, pooled);
                cr_assert(memcmp(state, again, sizeof state) == 0, "%d threads", threads);
            }
            opt.precision = VBG_BF16;
            run_with(&j, opt, state, pooled);
            e = rel_l2(state, want, 3 * STATE);
            cr_assert(e < 2e-2, "isa %d in bf16: %g", isa, e);
        }
    }
    vbg_weights_close(w);
    free_model(&m);
}

Test(clip, broken_models)
{
    static const char *const names[] = {
        "embeddings.token_embedding.weight",      "embeddings.position_embedding.weight",
        "encoder.layers.1.self_attn.k_proj.bias", "final_layer_norm.weight",
        "encoder.layers.0.mlp.fc1.weight",
    };
    model m;
    make_model(&m);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        vbg_weights *w = store(&m, names[i]);
        vbg_clip_text t;
        vbg_err err = { 0 };
        vbg_clip_opt o = { .heads = HEADS };
        cr_assert(vbg_clip_text_bind(&t, w, "text", "", o, &err) == VBG_EFORMAT, "%zu",
                  i);
        cr_assert(err.text[0] != 0);
        if (i < 4)
            cr_assert(strstr(err.text, names[i]) != NULL, "%s", err.text);
        vbg_weights_close(w);
    }
    vbg_weights *w = store(&m, "text_projection.weight"); /* that one is optional */
    vbg_clip_text t;
    vbg_err err = { 0 };
    cr_assert(vbg_clip_text_bind(&t, w, "text", "", (vbg_clip_opt){ .heads = 5 }, &err) ==
              VBG_EFORMAT);
    err.text[0] = 0;
    cr_assert(vbg_clip_text_open(&t, w, &err) == VBG_OK, "%s", err.text);
    cr_assert(t.projection.data == NULL && t.tower.heads == 1);
    const int good[] = { 0, 29 }, bad[] = { 0, 30 }, low[] = { -1 };
    cr_assert(vbg_clip_ids_valid(&t, good, 2) && !vbg_clip_ids_valid(&t, bad, 2) &&
              !vbg_clip_ids_valid(&t, low, 1));
    vbg_weights_close(w);
    free_model(&m);
}

Test(clip, options)
{
    vbg_clip_opt o = { .heads = 7, .act = VBG_ACT_QUICK_GELU };
    vbg_err err = { 0 };

    cr_assert(vbg_clip_opt_read(&o, NULL, NULL, &err) == VBG_OK && o.heads == 7);
    cr_assert(vbg_clip_opt_read(&o,
                                "{\"num_attention_heads\": 16, \"hidden_act\": \"gelu\"}",
                                NULL, &err) == VBG_OK);
    cr_assert(o.heads == 16 && o.act == VBG_ACT_GELU);
    cr_assert(vbg_clip_opt_read(&o, "{\"vision_config\": {\"num_attention_heads\": 12}}",
                                "vision_config", &err) == VBG_OK &&
              o.heads == 12);
    cr_assert(vbg_clip_opt_read(&o, "[1]", NULL, &err) == VBG_EFORMAT);
    cr_assert(vbg_clip_opt_read(&o, "{", NULL, NULL) == VBG_EFORMAT);
    cr_assert(vbg_clip_opt_read(&o, "{\"num_attention_heads\": 0}", NULL, NULL) ==
              VBG_EFORMAT);
    cr_assert(vbg_clip_opt_read(&o, "{\"hidden_act\": \"swish\"}", NULL, NULL) ==
              VBG_EUNSUPPORTED);
}

Test(clip, names)
{
    static const struct {
        const char *from, *to;
        bool vision;
        vbg_clip_change change;
        int layer;
    } names[] = {
        { "transformer.resblocks.11.attn.in_proj_bias",
          "encoder.layers.11.self_attn.q_proj.bias", false, VBG_CLIP_SPLIT3, 11 },
        { "transformer.resblocks.0.mlp.c_proj.weight", "encoder.layers.0.mlp.fc2.weight",
          false, VBG_CLIP_COPY, 0 },
        { "text_projection", "text_projection.weight", false, VBG_CLIP_TRANSPOSE, -1 },
        { "visual.proj", "visual_projection.weight", true, VBG_CLIP_TRANSPOSE, -1 },
        { "visual.transformer.resblocks.3.ln_2.bias", "encoder.layers.3.layer_norm2.bias",
          true, VBG_CLIP_COPY, 3 },
        { "attn_mask", "", false, VBG_CLIP_LEAVE_OUT, -1 },
    };
    vbg_clip_rename r;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cr_assert(vbg_clip_openclip_name(&r, names[i].from), "%s", names[i].from);
        cr_assert(strcmp(r.name[0], names[i].to) == 0 && r.vision == names[i].vision &&
                      r.change == names[i].change && r.layer == names[i].layer,
                  "%s -> %s", names[i].from, r.name[0]);
    }
    cr_assert(!vbg_clip_openclip_name(&r, "transformer.resblocks.x.ln_1.weight"));
    cr_assert(!vbg_clip_openclip_name(&r, "transformer.resblocks.1234.ln_1.weight"));
    cr_assert(!vbg_clip_openclip_name(&r, "text_model.final_layer_norm.bias"));
    cr_assert(vbg_clip_hf_name(&r, "vision_model.post_layernorm.bias") && r.vision &&
              strcmp(r.name[0], "post_layernorm.bias") == 0);
    cr_assert(vbg_clip_hf_name(&r, "text_model.embeddings.position_ids") &&
              r.change == VBG_CLIP_LEAVE_OUT);
    cr_assert(!vbg_clip_hf_name(&r, "unet.conv_in.weight"));
}

/* A ramp keeps its middle; the two crops differ by a pixel where 7 are spare. */
Test(clip, preprocessing)
{
    vbg_picture src, a, b;
    vbg_err err = { 0 };

    cr_assert(vbg_picture_new(&src, 160, 165, 3, &err) == VBG_OK);
    for (int y = 0; y < src.h; y++)
        memset(src.data + (size_t)y * src.stride, y, 480);
    cr_assert(vbg_clip_preprocess(&a, &src, 224, VBG_CLIP_CROP_TORCHVISION, &err) ==
              VBG_OK);
    cr_assert(vbg_clip_preprocess(&b, &src, 224, VBG_CLIP_CROP_FLOOR, &err) == VBG_OK);
    for (int y = 0; y + 1 < 224; y++) /* 231 rows: 4 or 3 are cut off above */
        cr_assert(memcmp(a.data + (size_t)y * a.stride,
                         b.data + (size_t)(y + 1) * b.stride, 224 * 3) == 0);
    float *x = malloc(224 * 224 * 3 * sizeof *x);
    vbg_clip_normalise(x, &a);
    cr_assert(fabsf(x[0] - ((float)a.data[0] / 255 - 0.48145466f) / 0.26862954f) < 1e-6f);
    float rows[2][3] = { { 3, 0, 4 }, { 0, 0, 0 } };
    vbg_clip_unit_rows(rows[0], 2, 3);
    cr_assert(fabsf(rows[0][0] - 0.6f) < 1e-7f && rows[1][2] == 0);
    free(x);
    vbg_picture_free(&src);
    vbg_picture_free(&a);
    vbg_picture_free(&b);
}
