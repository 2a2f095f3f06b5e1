/* A small random multi-view UNet as a .vbg file, for tests: two levels of 32 and 64
 * channels, one layer each, context 16, with CAA blocks. */
#ifndef VBG_TESTS_SMALL_MODEL_H
#define VBG_TESTS_SMALL_MODEL_H

#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/mvunet.h"
#include "models/rng.h"

static const char small_config[] =
    "{\"block_out_channels\":[32,64],\"layers_per_block\":1,\"attention_head_dim\":[1,2],"
    "\"cross_attention_dim\":16,\"norm_num_groups\":8,\"sample_size\":16,"
    "\"down_block_types\":[\"CrossAttnDownBlock2D\",\"DownBlock2D\"],"
    "\"up_block_types\":[\"UpBlock2D\",\"CrossAttnUpBlock2D\"]}";

typedef struct small_tensor {
    const char *component;
    char name[128];
    int rank;
    int64_t dim[4];
} small_tensor;

typedef struct small_list {
    small_tensor t[512];
    int count;
    const char *component;
} small_list;

/* A tensor of the rank its last non-zero size says. */
static inline void small_add(small_list *l, int a, int b, int c, int d, const char *fmt,
                             ...)
{
    small_tensor *t = &l->t[l->count++];
    va_list args;

    *t = (small_tensor){ .component = l->component, .dim = { a, b, c, d } };
    t->rank = d ? 4 : c ? 3 : b ? 2 : 1;
    va_start(args, fmt);
    vsnprintf(t->name, sizeof t->name, fmt, args);
    va_end(args);
}

static inline void small_layer(small_list *l, int oc, int c, int k, bool bias,
                               const char *p)
{
    small_add(l, oc, c, k, k, "%s.weight", p);
    if (bias)
        small_add(l, oc, 0, 0, 0, "%s.bias", p);
}

static inline void small_part(small_list *l, int oc, int c, int k, bool bias,
                              const char *p, const char *name)
{
    char full[160];

    snprintf(full, sizeof full, "%s.%s", p, name);
    small_layer(l, oc, c, k, bias, full);
}

static inline void small_norm(small_list *l, int c, const char *p, const char *name)
{
    small_add(l, c, 0, 0, 0, "%s.%s.weight", p, name);
    small_add(l, c, 0, 0, 0, "%s.%s.bias", p, name);
}

static inline void small_resnet(small_list *l, int c, int oc, const char *p)
{
    small_norm(l, c, p, "norm1");
    small_part(l, oc, c, 3, true, p, "conv1");
    small_part(l, oc, 128, 0, true, p, "time_emb_proj");
    small_norm(l, oc, p, "norm2");
    small_part(l, oc, oc, 3, true, p, "conv2");
    if (c != oc)
        small_part(l, oc, c, 1, true, p, "conv_shortcut");
}

static inline void small_transformer(small_list *l, int c, const char *p)
{
    char q[96], a[96];

    small_norm(l, c, p, "norm");
    small_part(l, c, c, 0, true, p, "proj_in");
    small_part(l, c, c, 0, true, p, "proj_out");
    snprintf(q, sizeof q, "%s.transformer_blocks.0", p);
    for (int i = 1; i <= 2; i++) {
        int context = i == 1 ? c : 16;
        snprintf(a, sizeof a, "%s.transformer_blocks.0.attn%d", p, i);
        small_part(l, c, c, 0, false, a, "to_q");
        small_part(l, c, context, 0, false, a, "to_k");
        small_part(l, c, context, 0, false, a, "to_v");
        small_part(l, c, c, 0, true, a, "to_out.0");
    }
    small_norm(l, c, q, "norm1");
    small_norm(l, c, q, "norm2");
    small_norm(l, c, q, "norm3");
    small_part(l, 8 * c, c, 0, true, q, "ff.net.0.proj");
    small_part(l, c, 4 * c, 0, true, q, "ff.net.2");
}

static inline void small_caa(small_list *l, int c, const char *block)
{
    char p[96];

    snprintf(p, sizeof p, "%s.transformer", block);
    small_part(l, c, c, 0, false, p, "attn1.to_q");
    small_part(l, c, c, 0, false, p, "attn1.to_k");
    small_part(l, c, c, 0, false, p, "attn1.to_v");
    small_part(l, c, c, 0, true, p, "attn1.to_out");
    small_part(l, 8 * c, c, 0, true, p, "ff.net.0.proj");
    small_part(l, c, 4 * c, 0, true, p, "ff.net.2");
    small_norm(l, c, p, "norm1");
    small_norm(l, c, p, "norm2");
    small_add(l, 1, 1, c / 4, 0, "%s.pe.freq_bands", block);
}

static inline void small_names(small_list *l)
{
    l->component = "unet";
    small_layer(l, 32, 4, 3, true, "conv_in");
    small_layer(l, 128, 32, 0, true, "time_embedding.linear_1");
    small_layer(l, 128, 128, 0, true, "time_embedding.linear_2");
    small_resnet(l, 32, 32, "down_blocks.0.resnets.0");
    small_transformer(l, 32, "down_blocks.0.attentions.0");
    small_layer(l, 32, 32, 3, true, "down_blocks.0.downsamplers.0.conv");
    small_resnet(l, 32, 64, "down_blocks.1.resnets.0");
    small_resnet(l, 64, 64, "mid_block.resnets.0");
    small_transformer(l, 64, "mid_block.attentions.0");
    small_resnet(l, 64, 64, "mid_block.resnets.1");
    small_resnet(l, 128, 64, "up_blocks.0.resnets.0");
    small_resnet(l, 96, 64, "up_blocks.0.resnets.1");
    small_layer(l, 64, 64, 3, true, "up_blocks.0.upsamplers.0.conv");
    small_resnet(l, 96, 32, "up_blocks.1.resnets.0");
    small_transformer(l, 32, "up_blocks.1.attentions.0");
    small_resnet(l, 64, 32, "up_blocks.1.resnets.1");
    small_transformer(l, 32, "up_blocks.1.attentions.1");
    small_add(l, 32, 0, 0, 0, "conv_norm_out.weight");
    small_add(l, 32, 0, 0, 0, "conv_norm_out.bias");
    small_layer(l, 4, 32, 3, true, "conv_out");
    l->component = "caa";
    small_caa(l, 32, "cp_blocks_encoder.0");
    small_caa(l, 64, "cp_blocks_encoder.1");
    small_caa(l, 64, "cp_blocks_mid");
    small_caa(l, 64, "cp_blocks_decoder.0");
    small_caa(l, 32, "cp_blocks_decoder.1");
}

/* Whether a tensor closes a CAA block: zero at the start of training. */
static inline bool small_closes(const small_tensor *t)
{
    return strcmp(t->component, "caa") == 0 &&
           (strstr(t->name, "to_out") || strstr(t->name, "ff.net.2"));
}

static inline void small_values(const small_tensor *t, int index, bool zero_caa,
                                const char *poison, float *v)
{
    size_t count = 1, fan = 1;

    for (int i = 0; i < t->rank; i++) {
        count *= (size_t)t->dim[i];
        fan *= i ? (size_t)t->dim[i] : 1;
    }
    vbg_normal(v, count, 7, (uint64_t)index, 0);
    for (size_t i = 0; i < count; i++) {
        bool norm = t->rank == 1 && strstr(t->name, "norm");
        v[i] *= t->rank > 1 ? 1 / sqrtf((float)fan) : 0.1f;
        if (norm && strstr(t->name, ".weight"))
            v[i] += 1;
        if (zero_caa && small_closes(t))
            v[i] = 0;
    }
    if (strstr(t->name, "freq_bands"))
        vbg_encoding_bands(v, (int)count * 4);
    if (poison && strcmp(t->name, poison) == 0)
        v[count / 2] = NAN;
}

/* Writes and opens the model; poison (may be NULL) gets one NaN. */
static inline vbg_weights *small_weights(vbg_dtype type, bool zero_caa,
                                         const char *poison)
{
    small_list *l = calloc(1, sizeof *l);
    float *v = malloc(sizeof(float) * 1000000);
    char path[96];
    vbg_writer *w = NULL;
    vbg_weights *out = NULL;
    vbg_err err = { 0 };

    snprintf(path, sizeof path, "/tmp/vbg-small-%ld.vbg", (long)getpid());
    small_names(l);
    cr_assert_eq(vbg_writer_new(&w, path, &err), VBG_OK, "%s", err.text);
    for (int i = 0; i < l->count; i++) {
        const small_tensor *t = &l->t[i];
        bool layer = t->rank == 2 || t->rank == 4;
        cr_assert_eq(vbg_writer_declare(w, t->component, t->name, layer ? type : VBG_F32,
                                        layer ? VBG_LAYOUT_PACK16 : VBG_LAYOUT_PLAIN,
                                        t->rank, t->dim, &err),
                     VBG_OK, "%s", err.text);
    }
    for (int i = 0; i < l->count; i++) {
        small_values(&l->t[i], i, zero_caa, poison, v);
        cr_assert_eq(vbg_writer_data(w, l->t[i].component, l->t[i].name, v, &err), VBG_OK,
                     "%s", err.text);
    }
    cr_assert_eq(vbg_writer_finish(w, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_weights_open(&out, path, &err), VBG_OK, "%s", err.text);
    unlink(path);
    free(l);
    free(v);
    return out;
}

/* One run of the network. */
typedef struct small_run {
    vbg_mvunet m;
    vbg_unet_text *text;
    vbg_rig *rig;
    const float *x;
    float *y;
    int views, side;
} small_run;

static inline vbg_status small_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    small_run *r = arg;
    const vbg_unet_hooks hooks = { .arg = r->rig, .couple = vbg_mvunet_couple };
    const double time = 321;

    (void)err;
    vbg_tensor *x = vbg_wrap(c, r->x, VBG_F32, r->views, r->side, r->side, 4);
    vbg_tensor *y =
        vbg_unet_forward(c, &r->m.unet, x, &time, 1, r->text, r->rig ? &hooks : NULL);
    vbg_copy_out(c, r->y, VBG_F32, y);
    return VBG_OK;
}

/* y [views][side][side][4] of the network on fixed noise; coupled or not. */
static inline void small_forward(const vbg_weights *w, vbg_isa isa, vbg_dtype precision,
                                 int threads, int views, int side, bool coupled, float *y)
{
    const vbg_ctx_opt opt = { .threads = threads, .isa = isa, .precision = precision };
    small_run r = { .y = y, .views = views, .side = side };
    const size_t count = (size_t)(views * side * side * 4);
    float *x = malloc(count * sizeof *x), state[5 * 16];
    int pick[16] = { 0 };
    vbg_camera cam[16];
    vbg_unet_config cfg;
    vbg_ctx *c = NULL;
    vbg_err err = { 0 };

    vbg_normal(x, count, 1, 0, 0);
    vbg_normal(state, 5 * 16, 1, 1, 0);
    r.x = x;
    for (int i = 0; i < views; i++)
        cam[i] = vbg_camera_look(90, 360.0 * i / views, 0, 8 * side, 8 * side);
    cr_assert_eq(vbg_ctx_new(&c, &opt, &err), VBG_OK);
    cr_assert_eq(vbg_unet_config_read(&cfg, small_config, &err), VBG_OK, "%s", err.text);
    cr_assert_eq(vbg_mvunet_bind(&r.m, &cfg, w, "unet", "caa", &err), VBG_OK, "%s",
                 err.text);
    cr_assert_eq(vbg_unet_text_new(&r.text, c, &r.m.unet, state, 1, 5, pick, views, &err),
                 VBG_OK);
    if (coupled)
        cr_assert_eq(
            vbg_rig_open(&r.rig, &r.m, cam, views, 8 * side, 8 * side, side, side, &err),
            VBG_OK);
    for (int i = 0; coupled && i < r.m.places; i++)
        cr_assert_eq(vbg_rig_tables(r.rig, c, i, &err), VBG_OK);
    cr_assert_eq(vbg_run(c, small_job, &r, &err), VBG_OK, "%s", err.text);
    vbg_rig_close(r.rig);
    vbg_unet_text_free(r.text);
    vbg_ctx_free(c);
    free(x);
}

#endif
