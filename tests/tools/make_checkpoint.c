/* Writes a random checkpoint of Stable Diffusion 2.1 shape: a diffusers folder (UNet, VAE
 * and OpenCLIP-H text tower in fp16, scheduler, tokenizer copied from a folder) and a CAA
 * state dict, for tests and measurements of real size.
 *
 *     make_checkpoint OUT [--tokenizer DIR] [--width N] [--text-width N]
 *                     [--text-layers N] [--vae-width N] [--seed N]
 *
 * Defaults 320, 1024, 23, 128: 865.9 M + 340.4 M + 83.7 M values in OUT and 147.6 M in
 * OUT/caa.safetensors.  Layers are N(0, 1/fan_in) (those that close a residual branch
 * 0.3 of it), norms 1 and 0, biases 0.  Memory: the largest tensor. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "convert/safetensors.h"
#include "engine/io.h"

enum { TABLE = 4096, LEVELS = 4, MAX_TENSORS = 2048 };

typedef struct plan {
    vbg_st_out t[MAX_TENSORS];
    float deviation[MAX_TENSORS]; /* < 0: constant -deviation - 1 */
    size_t count;
    uint16_t *buffer;
    size_t room;
    uint64_t state; /* xorshift64* */
    float normal[TABLE];
} plan;

typedef struct sizes {
    int width[LEVELS], heads[LEVELS], vae[LEVELS];
    int context, layers; /* of the text tower */
} sizes;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "make_checkpoint: %s: %s\n", what, why);
    exit(1);
}

/* ---- values ---- */

/* TABLE quantiles of the normal distribution, by Newton's method on erf. */
static void fill_table(float *table)
{
    for (int i = 0; i < TABLE; i++) {
        double p = ((double)i + 0.5) / TABLE, x = 0;
        for (int k = 0; k < 60; k++)
            x -= (0.5 * (1 + erf(x / sqrt(2.0))) - p) /
                 fmax(exp(-0.5 * x * x) / sqrt(6.283185307179586), 1e-6);
        table[i] = (float)x;
    }
}

static uint64_t next_random(plan *p)
{
    p->state ^= p->state >> 12;
    p->state ^= p->state << 25;
    p->state ^= p->state >> 27;
    return p->state * 2685821657736338717u;
}

static size_t count_of(const vbg_st_out *t)
{
    size_t n = 1;
    for (int i = 0; i < t->rank; i++)
        n *= (size_t)t->dim[i];
    return n;
}

static const void *fill(void *arg, const vbg_st_out *t)
{
    plan *p = arg;
    uint16_t half[TABLE];
    size_t n = count_of(t);
    float d = p->deviation[t - p->t];

    if (n > p->room) {
        free(p->buffer);
        p->buffer = malloc((n + 8) * sizeof *p->buffer);
        p->room = n;
        if (!p->buffer)
            die(t->name, "out of memory");
    }
    for (int i = 0; i < TABLE; i++)
        half[i] = vbg_f32_to_f16(d < 0 ? -d - 1 : p->normal[i] * d);
    for (size_t i = 0; i < n; i += 5) {
        uint64_t r = next_random(p) >> 4;
        for (size_t k = 0; k < 5; k++, r >>= 12)
            p->buffer[i + k] = half[r % TABLE];
    }
    return p->buffer;
}

/* ---- shapes ---- */

static void add(plan *p, float deviation, int rank, const int64_t *dim, const char *name)
{
    if (p->count == MAX_TENSORS)
        die(name, "too many tensors");
    vbg_st_out *t = &p->t[p->count];
    *t = (vbg_st_out){ .name = strdup(name), .dtype = VBG_F16, .rank = rank };
    memcpy(t->dim, dim, (size_t)rank * sizeof *dim);
    p->deviation[p->count++] = deviation;
}

static const char *text(char *dst, const char *fmt, ...) VBG_PRINTF(2, 3);
static const char *text(char *dst, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(dst, 160, fmt, ap);
    va_end(ap);
    return dst;
}

/* PREFIX.weight [oc][c] or [oc][c][k][k] (k > 0), PREFIX.bias unless nobias. */
static void layer(plan *p, const char *prefix, int oc, int c, int k, float gain,
                  bool bias)
{
    char name[200];
    int64_t dim[4] = { oc, c, k, k }, one[1] = { oc };
    float fan = (float)c * (float)(k ? k * k : 1);

    snprintf(name, sizeof name, "%s.weight", prefix);
    add(p, gain / sqrtf(fan), k ? 4 : 2, dim, name);
    snprintf(name, sizeof name, "%s.bias", prefix);
    if (bias)
        add(p, 0, 1, one, name);
}

static void norm(plan *p, const char *prefix, int c)
{
    char name[200];
    int64_t one[1] = { c };

    snprintf(name, sizeof name, "%s.weight", prefix);
    add(p, -2, 1, one, name);
    snprintf(name, sizeof name, "%s.bias", prefix);
    add(p, 0, 1, one, name);
}

/* temb 0: a resnet of the VAE. */
static void resnet(plan *p, const char *prefix, int c, int oc, int temb)
{
    char n[160];

    norm(p, text(n, "%s.norm1", prefix), c);
    layer(p, text(n, "%s.conv1", prefix), oc, c, 3, 1, true);
    if (temb)
        layer(p, text(n, "%s.time_emb_proj", prefix), oc, temb, 0, 0.3f, true);
    norm(p, text(n, "%s.norm2", prefix), oc);
    layer(p, text(n, "%s.conv2", prefix), oc, oc, 3, 0.3f, true);
    if (c != oc)
        layer(p, text(n, "%s.conv_shortcut", prefix), oc, c, 1, 1, true);
}

static void transformer(plan *p, const char *prefix, int c, int context)
{
    static const char *const qkv[] = { "to_q", "to_k", "to_v" };
    char n[160];

    norm(p, text(n, "%s.norm", prefix), c);
    layer(p, text(n, "%s.proj_in", prefix), c, c, 0, 1, true);
    layer(p, text(n, "%s.proj_out", prefix), c, c, 0, 0.3f, true);
    for (int a = 1; a <= 2; a++) {
        for (int k = 0; k < 3; k++)
            layer(p, text(n, "%s.transformer_blocks.0.attn%d.%s", prefix, a, qkv[k]), c,
                  a == 2 && k ? context : c, 0, 1, false);
        layer(p, text(n, "%s.transformer_blocks.0.attn%d.to_out.0", prefix, a), c, c, 0,
              0.3f, true);
    }
    for (int k = 1; k <= 3; k++)
        norm(p, text(n, "%s.transformer_blocks.0.norm%d", prefix, k), c);
    layer(p, text(n, "%s.transformer_blocks.0.ff.net.0.proj", prefix), 8 * c, c, 0, 1,
          true);
    layer(p, text(n, "%s.transformer_blocks.0.ff.net.2", prefix), c, 4 * c, 0, 0.3f,
          true);
}

static void unet(plan *p, const sizes *s)
{
    const int *w = s->width, temb = 4 * w[0];
    int skip[12], top = 0, c = w[0];
    char n[160];

    layer(p, "conv_in", w[0], 4, 3, 1, true);
    layer(p, "time_embedding.linear_1", temb, w[0], 0, 1, true);
    layer(p, "time_embedding.linear_2", temb, temb, 0, 1, true);
    skip[top++] = c;
    for (int i = 0; i < LEVELS; i++) {
        for (int j = 0; j < 2; j++, c = w[i], skip[top++] = c) {
            resnet(p, text(n, "down_blocks.%d.resnets.%d", i, j), c, w[i], temb);
            if (i < 3)
                transformer(p, text(n, "down_blocks.%d.attentions.%d", i, j), w[i],
                            s->context);
        }
        if (i < 3) {
            layer(p, text(n, "down_blocks.%d.downsamplers.0.conv", i), c, c, 3, 1, true);
            skip[top++] = c;
        }
    }
    resnet(p, "mid_block.resnets.0", c, c, temb);
    transformer(p, "mid_block.attentions.0", c, s->context);
    resnet(p, "mid_block.resnets.1", c, c, temb);
    for (int i = 0; i < LEVELS; i++) {
        int oc = w[3 - i];
        for (int j = 0; j < 3; j++, c = oc) {
            resnet(p, text(n, "up_blocks.%d.resnets.%d", i, j), c + skip[--top], oc,
                   temb);
            if (i > 0)
                transformer(p, text(n, "up_blocks.%d.attentions.%d", i, j), oc,
                            s->context);
        }
        if (i < 3)
            layer(p, text(n, "up_blocks.%d.upsamplers.0.conv", i), oc, oc, 3, 1, true);
    }
    norm(p, "conv_norm_out", c);
    layer(p, "conv_out", 4, c, 3, 1, true);
}

static void vae_mid(plan *p, const char *half, int c)
{
    static const char *const names[] = { "to_q", "to_k", "to_v", "to_out.0" };
    char n[160];

    resnet(p, text(n, "%s.mid_block.resnets.0", half), c, c, 0);
    norm(p, text(n, "%s.mid_block.attentions.0.group_norm", half), c);
    for (int k = 0; k < 4; k++)
        layer(p, text(n, "%s.mid_block.attentions.0.%s", half, names[k]), c, c, 0,
              k < 3 ? 1 : 0.3f, true);
    resnet(p, text(n, "%s.mid_block.resnets.1", half), c, c, 0);
}

static void vae(plan *p, const sizes *s)
{
    const int *w = s->vae;
    int c = w[0];
    char n[160];

    layer(p, "encoder.conv_in", c, 3, 3, 1, true);
    for (int i = 0; i < LEVELS; i++) {
        for (int j = 0; j < 2; j++, c = w[i])
            resnet(p, text(n, "encoder.down_blocks.%d.resnets.%d", i, j), c, w[i], 0);
        if (i < 3)
            layer(p, text(n, "encoder.down_blocks.%d.downsamplers.0.conv", i), c, c, 3, 1,
                  true);
    }
    vae_mid(p, "encoder", c);
    norm(p, "encoder.conv_norm_out", c);
    layer(p, "encoder.conv_out", 8, c, 3, 1, true);
    layer(p, "quant_conv", 8, 8, 1, 1, true);
    layer(p, "post_quant_conv", 4, 4, 1, 1, true);
    layer(p, "decoder.conv_in", c, 4, 3, 1, true);
    vae_mid(p, "decoder", c);
    for (int i = 0; i < LEVELS; i++) {
        for (int j = 0; j < 3; j++, c = w[3 - i])
            resnet(p, text(n, "decoder.up_blocks.%d.resnets.%d", i, j), c, w[3 - i], 0);
        if (i < 3)
            layer(p, text(n, "decoder.up_blocks.%d.upsamplers.0.conv", i), c, c, 3, 1,
                  true);
    }
    norm(p, "decoder.conv_norm_out", c);
    layer(p, "decoder.conv_out", 3, c, 3, 1, true);
}

static void text_tower(plan *p, const sizes *s)
{
    static const char *const names[] = { "q_proj", "k_proj", "v_proj", "out_proj" };
    int64_t token[2] = { 49408, s->context }, position[2] = { 77, s->context };
    char n[160];

    add(p, 0.02f, 2, token, "text_model.embeddings.token_embedding.weight");
    add(p, 0.01f, 2, position, "text_model.embeddings.position_embedding.weight");
    for (int i = 0; i < s->layers; i++) {
        for (int k = 0; k < 4; k++)
            layer(p, text(n, "text_model.encoder.layers.%d.self_attn.%s", i, names[k]),
                  s->context, s->context, 0, k < 3 ? 1 : 0.3f, true);
        for (int k = 1; k <= 2; k++)
            norm(p, text(n, "text_model.encoder.layers.%d.layer_norm%d", i, k),
                 s->context);
        layer(p, text(n, "text_model.encoder.layers.%d.mlp.fc1", i), 4 * s->context,
              s->context, 0, 1, true);
        layer(p, text(n, "text_model.encoder.layers.%d.mlp.fc2", i), s->context,
              4 * s->context, 0, 0.3f, true);
    }
    norm(p, "text_model.final_layer_norm", s->context);
}

/* One CAA block; the frequency table is its only f32 tensor. */
static void caa_block(plan *p, const char *prefix, int c)
{
    static const char *const qkv[] = { "to_q", "to_k", "to_v" };
    char n[160];
    int bands = c / 4;
    int64_t dim[3] = { 1, 1, bands };
    float *freq = malloc((size_t)bands * sizeof *freq);

    for (int k = 0; k < 3; k++)
        layer(p, text(n, "%s.transformer.attn1.%s", prefix, qkv[k]), c, c, 0, 1, false);
    layer(p, text(n, "%s.transformer.attn1.to_out", prefix), c, c, 0, 0.3f, true);
    layer(p, text(n, "%s.transformer.ff.net.0.proj", prefix), 8 * c, c, 0, 1, true);
    layer(p, text(n, "%s.transformer.ff.net.2", prefix), c, 4 * c, 0, 0.3f, true);
    norm(p, text(n, "%s.transformer.norm1", prefix), c);
    norm(p, text(n, "%s.transformer.norm2", prefix), c);
    double base = bands <= 80 ? 2 : pow(5000, 2.5 / bands);
    for (int i = 0; i < bands && freq; i++)
        freq[i] = (float)pow(base, i);
    add(p, 0, 3, dim, text(n, "%s.pe.freq_bands", prefix));
    p->t[p->count - 1].dtype = VBG_F32;
    p->t[p->count - 1].data = freq;
}

static void caa(plan *p, const sizes *s)
{
    char n[160];

    for (int i = 0; i < LEVELS; i++) {
        caa_block(p, text(n, "mv_base_model.cp_blocks_encoder.%d", i), s->width[i]);
        caa_block(p, text(n, "mv_base_model.cp_blocks_decoder.%d", i), s->width[3 - i]);
    }
    caa_block(p, "mv_base_model.cp_blocks_mid", s->width[3]);
}

/* ---- files ---- */

static void folder(const char *dir, const char *name)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        die(path, strerror(errno));
}

static void write_text(const char *dir, const char *name, const void *data, size_t bytes)
{
    char path[4096];
    vbg_file *f;
    vbg_err err = { "" };

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (vbg_file_create(&f, path, &err) != VBG_OK ||
        vbg_file_write(f, data, bytes, &err) != VBG_OK ||
        vbg_file_commit(f, &err) != VBG_OK)
        die(path, err.text);
}

static void write_string(const char *dir, const char *name, const char *string)
{
    write_text(dir, name, string, strlen(string));
}

static void write_part(plan *p, const char *dir, const char *name,
                       void (*shapes)(plan *, const sizes *), const sizes *s)
{
    static const char *const meta[] = { "format", "pt", NULL };
    char path[4096];
    size_t values = 0;
    vbg_err err = { "" };

    p->count = 0;
    shapes(p, s);
    for (size_t i = 0; i < p->count; i++)
        values += count_of(&p->t[i]);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (vbg_st_write_stream(path, p->t, p->count, meta, fill, p, &err) != VBG_OK)
        die(path, err.text);
    printf("%s: %zu tensors, %zu values\n", path, p->count, values);
    for (size_t i = 0; i < p->count; i++) {
        free((void *)(uintptr_t)p->t[i].name);
        free((void *)(uintptr_t)p->t[i].data);
    }
}

static const char *list(char *dst, const int *v)
{
    snprintf(dst, 80, "[%d,%d,%d,%d]", v[0], v[1], v[2], v[3]);
    return dst;
}

static int groups_of(const int *v)
{
    int g = 32;
    for (int i = 0; i < LEVELS; i++)
        while (v[i] % g)
            g /= 2;
    return g;
}

static void write_configs(const char *out, const sizes *s)
{
    char json[2048], a[80], b[80];

    snprintf(
        json, sizeof json,
        "{\"_class_name\":\"UNet2DConditionModel\",\"attention_head_dim\":%s,"
        "\"block_out_channels\":%s,\"cross_attention_dim\":%d,\"down_block_types\":["
        "\"CrossAttnDownBlock2D\",\"CrossAttnDownBlock2D\",\"CrossAttnDownBlock2D\","
        "\"DownBlock2D\"],\"up_block_types\":[\"UpBlock2D\",\"CrossAttnUpBlock2D\","
        "\"CrossAttnUpBlock2D\",\"CrossAttnUpBlock2D\"],\"in_channels\":4,"
        "\"out_channels\":4,\"layers_per_block\":2,\"norm_eps\":1e-05,"
        "\"norm_num_groups\":%d,\"sample_size\":64,\"use_linear_projection\":true}\n",
        list(a, s->heads), list(b, s->width), s->context, groups_of(s->width));
    write_string(out, "unet/config.json", json);
    snprintf(json, sizeof json,
             "{\"_class_name\":\"AutoencoderKL\",\"block_out_channels\":%s,"
             "\"in_channels\":3,\"latent_channels\":4,\"layers_per_block\":2,"
             "\"norm_num_groups\":%d,\"out_channels\":3,\"scaling_factor\":0.18215}\n",
             list(a, s->vae), groups_of(s->vae));
    write_string(out, "vae/config.json", json);
    snprintf(
        json, sizeof json,
        "{\"model_type\":\"clip_text_model\",\"hidden_act\":\"gelu\",\"hidden_size\":%d,"
        "\"intermediate_size\":%d,\"layer_norm_eps\":1e-05,"
        "\"max_position_embeddings\":77,\"num_attention_heads\":%d,"
        "\"num_hidden_layers\":%d,\"vocab_size\":49408}\n",
        s->context, 4 * s->context, s->context >= 64 ? s->context / 64 : 1, s->layers);
    write_string(out, "text_encoder/config.json", json);
    write_string(out, "scheduler/scheduler_config.json",
                 "{\"_class_name\":\"PNDMScheduler\",\"beta_end\":0.012,"
                 "\"beta_schedule\":\"scaled_linear\",\"beta_start\":0.00085,"
                 "\"clip_sample\":false,\"num_train_timesteps\":1000,"
                 "\"prediction_type\":\"epsilon\",\"set_alpha_to_one\":false,"
                 "\"skip_prk_steps\":true,\"steps_offset\":1}\n");
    write_string(out, "model_index.json",
                 "{\"_class_name\":\"StableDiffusionPipeline\",\"unet\":[\"diffusers\","
                 "\"UNet2DConditionModel\"],\"vae\":[\"diffusers\",\"AutoencoderKL\"],"
                 "\"text_encoder\":[\"transformers\",\"CLIPTextModel\"],\"tokenizer\":["
                 "\"transformers\",\"CLIPTokenizer\"],\"scheduler\":[\"diffusers\","
                 "\"PNDMScheduler\"]}\n");
}

static void copy_tokenizer(const char *out, const char *from)
{
    static const char *const names[] = { "vocab.json", "merges.txt",
                                         "special_tokens_map.json",
                                         "tokenizer_config.json" };
    char path[4096], to[4096];

    folder(out, "tokenizer");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        vbg_map m;
        vbg_err err = { "" };
        snprintf(path, sizeof path, "%s/%s", from, names[i]);
        if (vbg_map_open(&m, path, 64 << 20, &err) != VBG_OK)
            die(path, err.text);
        snprintf(to, sizeof to, "tokenizer/%s", names[i]);
        write_text(out, to, m.data, m.bytes);
        vbg_map_close(&m);
    }
}

int main(int argc, char **argv)
{
    static const char *const folders[] = { "", "unet", "vae", "text_encoder",
                                           "scheduler" };
    const char *out = NULL, *tokenizer = NULL;
    int width = 320, context = 1024, layers = 23, vae_width = 128;
    plan *p = calloc(1, sizeof *p);
    sizes s;

    if (!p)
        die("plan", "out of memory");
    p->state = 42;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : "";
        int *number = strcmp(a, "--width") == 0         ? &width
                      : strcmp(a, "--text-width") == 0  ? &context
                      : strcmp(a, "--text-layers") == 0 ? &layers
                      : strcmp(a, "--vae-width") == 0   ? &vae_width
                                                        : NULL;
        if (number)
            *number = atoi(v);
        else if (strcmp(a, "--tokenizer") == 0)
            tokenizer = v;
        else if (strcmp(a, "--seed") == 0)
            p->state = strtoull(v, NULL, 10) * 2 + 1;
        else if (a[0] != '-' && !out)
            out = a;
        else
            die(a, "unknown option");
        i += a[0] == '-';
    }
    if (!out || width < 8 || context < 8 || layers < 1 || vae_width < 8)
        die("usage", "make_checkpoint OUT [--tokenizer DIR] [--width N] [--text-width N] "
                     "[--text-layers N] [--vae-width N] [--seed N]");
    for (int i = 0; i < LEVELS; i++) {
        s.width[i] = width * (i < 2 ? i + 1 : 4);
        s.heads[i] = s.width[i] >= 64 ? s.width[i] / 64 : 1;
        s.vae[i] = vae_width * (i < 2 ? i + 1 : 4);
    }
    s.context = context;
    s.layers = layers;
    fill_table(p->normal);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        folder(out, folders[i]);
    write_configs(out, &s);
    if (tokenizer)
        copy_tokenizer(out, tokenizer);
    write_part(p, out, "unet/diffusion_pytorch_model.safetensors", unet, &s);
    write_part(p, out, "vae/diffusion_pytorch_model.safetensors", vae, &s);
    write_part(p, out, "text_encoder/model.safetensors", text_tower, &s);
    write_part(p, out, "caa.safetensors", caa, &s);
    free(p->buffer);
    free(p);
    return 0;
}
