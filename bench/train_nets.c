/* vbg-bench train: steps of whole networks, as vbg-train takes them: forward, loss,
 * backward, clipped AdamW with an average, packing.  Random inputs, random weights.
 *
 *     vae         the autoencoder of `base vae`, crops of 128
 *     unet64      the UNet of `base text+unet`: width 64, latents of 32x32
 *     unet128     the same at twice the width
 *     caa64       its correspondence-aware attention, the UNet frozen: 8 views
 *     bisenetv2   a segmenter at 256x256
 *     caa         CAA for the package of --model, 8 views, blocks computed twice: at the
 *                 size of Stable Diffusion 2 (tests/tools/make_checkpoint) 10 GB
 *
 * bench/peers/train_torch.py times the same in PyTorch and prints a line
 * "name milliseconds" for each; --peer-file hands them over. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/loss.h"
#include "engine/optim.h"
#include "engine/tape.h"
#include "models/mvunet.h"
#include "models/rng.h"
#include "models/segnet.h"
#include "models/vae.h"
#include "tools/train/segment_new.h"

enum { VIEWS = 8, TOKENS = 77, MOST_IMAGES = 64 };

#define WIDTHS_64 "[64,128,192,256]"
#define WIDTHS_128 "[128,256,384,512]"
#define UNET(widths, context)                                                            \
    "{\"_class_name\":\"UNet2DConditionModel\",\"block_out_channels\":" widths           \
    ",\"layers_per_block\":1,\"attention_head_dim\":[1,2,3,4],"                          \
    "\"cross_attention_dim\":" context ",\"norm_num_groups\":16,\"norm_eps\":1e-05,"     \
    "\"use_linear_projection\":true,\"in_channels\":8,\"out_channels\":8,"               \
    "\"sample_size\":32,\"down_block_types\":[\"DownBlock2D\","                          \
    "\"CrossAttnDownBlock2D\",\"CrossAttnDownBlock2D\",\"CrossAttnDownBlock2D\"],"       \
    "\"up_block_types\":[\"CrossAttnUpBlock2D\",\"CrossAttnUpBlock2D\","                 \
    "\"CrossAttnUpBlock2D\",\"UpBlock2D\"]}"
static const char autoencoder[] =
    "{\"_class_name\":\"AutoencoderKL\",\"in_channels\":3,\"out_channels\":3,"
    "\"latent_channels\":8,\"block_out_channels\":[32,64,96,128,128],"
    "\"layers_per_block\":1,\"norm_num_groups\":8,\"scaling_factor\":1.0,"
    "\"mid_block_add_attention\":false}";

typedef enum net_kind { VAE, TEXT_TO_PICTURE, COUPLED, SEGMENTER } net_kind;

typedef struct net_case {
    const char *name;
    net_kind kind;
    const char *config;
    int n, size; /* images, side of pictures or latents; size 0: the model's */
} net_case;

static const net_case cases[] = {
    { "vae", VAE, autoencoder, 16, 128 },
    { "unet64", TEXT_TO_PICTURE, UNET(WIDTHS_64, "256"), 32, 32 },
    { "unet128", TEXT_TO_PICTURE, UNET(WIDTHS_128, "512"), 16, 32 },
    { "caa64", COUPLED, UNET(WIDTHS_64, "256"), VIEWS, 32 },
    { "bisenetv2", SEGMENTER, "bisenetv2", 16, 256 },
    { "caa", COUPLED, NULL, VIEWS, 0 },
};

typedef struct net_run {
    const net_case *t;
    int size;
    vbg_ctx *c;
    vbg_weights *file;
    vbg_params *params;
    vbg_optim *optim;
    vbg_tape *tape;
    vbg_vae vae;
    vbg_mvunet m;
    vbg_segnet *net;
    vbg_rig *rig;
    vbg_unet_text *text;
    vbg_unet_hooks hooks;
    float *x, *target, *state;
    double time[MOST_IMAGES];
    vbg_status st;
    vbg_err err;
} net_run;

/* ---- the step ---- */

static vbg_tensor *loss_of(vbg_ctx *c, const net_run *r)
{
    const net_case *t = r->t;
    const int n = t->n, side = r->size, ch = r->m.unet.cfg.in_channels;

    if (t->kind == VAE) {
        vbg_tensor *x = vbg_wrap(c, r->x, VBG_F32, n, side, side, 3);
        vbg_tensor *moments = vbg_vae_encode(c, &r->vae, x, NULL);
        vbg_tensor *mean = vbg_columns(c, moments, 0, r->vae.cfg.latent);
        return vbg_loss_l1(c, vbg_vae_decode(c, &r->vae, mean, NULL), x);
    }
    if (t->kind == SEGMENTER) {
        vbg_tensor *x = vbg_wrap(c, r->x, VBG_F32, n, side, side, 3);
        vbg_tensor *want = vbg_wrap(c, r->target, VBG_F32, n, side, side, 1);
        x = vbg_cast(c, x, vbg_ctx_act(c));
        return vbg_loss_bce(c, vbg_segnet_forward(c, r->net, x), want);
    }
    vbg_tensor *x = vbg_wrap(c, r->x, VBG_F32, n, side, side, ch), *y;
    vbg_tensor *want = vbg_wrap(c, r->target, VBG_F32, n, side, side, ch);
    if (t->kind == COUPLED) {
        y = vbg_unet_forward(c, &r->m.unet, x, r->time, n, r->text, &r->hooks);
    } else {
        vbg_tensor *state =
            vbg_wrap(c, r->state, VBG_F32, n, 1, TOKENS, r->m.unet.cfg.context);
        state = vbg_cast(c, state, vbg_ctx_act(c));
        y = vbg_unet_forward_state(c, &r->m.unet, x, r->time, n, state, NULL);
    }
    return vbg_loss_mse(c, y, want);
}

static vbg_status step_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    net_run *r = arg;

    (void)err;
    vbg_tape_start(r->tape, true);
    vbg_backward(c, loss_of(c, r));
    vbg_tape_stop(r->tape);
    return VBG_OK;
}

static void once(void *arg)
{
    net_run *r = arg;

    if (r->st == VBG_OK)
        r->st = vbg_run(r->c, step_job, r, &r->err);
    vbg_optim_step(r->optim, r->c, 1e-5, 1);
    vbg_params_refresh(r->params, r->c);
}

/* ---- building ---- */

static vbg_status bind_vae(net_run *r)
{
    vbg_vae_config cfg;

    vbg_params_select(r->params, "vae", "*", true);
    vbg_params_attach(r->params, r->file);
    vbg_status st = vbg_vae_config_read(&cfg, r->t->config, &r->err);
    return st == VBG_OK ? vbg_vae_bind(&r->vae, &cfg, r->file, "vae", &r->err) : st;
}

static vbg_status bind_segmenter(net_run *r)
{
    const net_case *t = r->t;
    const vbg_segment_shape shape = {
        .arch = t->config, .width = 1, .classes = 1, .w = t->size, .h = t->size
    };

    vbg_weights_close(r->file);
    r->file = NULL;
    vbg_status st = vbg_segment_new(&r->file, &shape, &r->err);
    if (st != VBG_OK)
        return st;
    vbg_params_select(r->params, "segmenter", "*", true);
    vbg_params_attach(r->params, r->file);
    st = vbg_segnet_open(&r->net, r->file, t->config, &r->err);
    vbg_segment_init(r->params, 1);
    return st;
}

static vbg_status bind_unet(net_run *r)
{
    const bool coupled = r->t->kind == COUPLED;
    vbg_unet_config cfg;

    const char *config = r->t->config;

    if (config)
        vbg_params_select(r->params, "unet", "*", true);
    else
        vbg_weights_string(r->file, "unet.config", &config);
    if (coupled)
        vbg_params_select(r->params, "caa", "*", true);
    vbg_params_attach(r->params, r->file);
    vbg_status st = vbg_unet_config_read(&cfg, config ? config : "", &r->err);
    if (st != VBG_OK)
        return st;
    if (!r->size)
        r->size = cfg.sample_size;
    st = vbg_mvunet_bind(&r->m, &cfg, r->file, "unet", NULL, &r->err);
    if (st == VBG_OK && coupled)
        st = vbg_mvunet_bind_caa(&r->m, r->file, "caa", &r->err);
    for (size_t i = 0; i < vbg_params_count(r->params) && coupled; i++) {
        vbg_param *m = vbg_params_at(r->params, i);
        if (strcmp(m->entry.component, "unet") == 0)
            vbg_param_is_buffer(m);
    }
    return st;
}

/* Cameras and captions of coupled views. */
static vbg_status couple(net_run *r)
{
    const int n = r->t->n, side = r->size;
    vbg_camera cam[VIEWS];
    int pick[VIEWS];

    for (int i = 0; i < VIEWS; i++) {
        cam[i] = vbg_camera_look(90, 45.0 * i, 0, 8 * side, 8 * side);
        pick[i] = i;
    }
    vbg_status st = vbg_unet_text_new(&r->text, r->c, &r->m.unet, r->state, n, TOKENS,
                                      pick, n, &r->err);
    if (st == VBG_OK)
        st = vbg_rig_open(&r->rig, &r->m, cam, VIEWS, 8 * side, 8 * side, side, side,
                          &r->err);
    if (st == VBG_OK)
        st = vbg_rig_train(r->rig, r->c, &r->err);
    r->hooks = (vbg_unet_hooks){ .arg = r->rig,
                                 .couple = vbg_mvunet_couple,
                                 .checkpoint = !r->t->config };
    return st;
}

static float *random_values(size_t count, uint64_t seed)
{
    float *p = vbg_alloc(count * sizeof *p);

    if (p)
        vbg_normal(p, count, seed, 0, 0);
    return p;
}

static vbg_status make_inputs(net_run *r)
{
    const net_case *t = r->t;
    const int ch = t->kind == VAE || t->kind == SEGMENTER ? 3 : r->m.unet.cfg.in_channels;
    const size_t count = (size_t)t->n * (size_t)r->size * (size_t)r->size * (size_t)ch;
    const int context = r->m.unet.cfg.context;

    r->x = random_values(count, 1);
    r->target = random_values(count, 2);
    r->state = random_values((size_t)(t->n * TOKENS * (context ? context : 1)), 3);
    if (!r->x || !r->target || !r->state)
        return vbg_fail(&r->err, VBG_ENOMEM, "not enough memory");
    for (size_t i = 0; i < count && t->kind == SEGMENTER; i++)
        r->target[i] = r->target[i] > 0;
    for (int i = 0; i < t->n; i++)
        r->time[i] = 1000 * (i + 0.5) / t->n;
    return VBG_OK;
}

static vbg_status open_net(net_run *r, const bench *b, vbg_dtype type)
{
    const net_case *t = r->t;
    const vbg_ctx_opt opt = { .threads = b->threads, .isa = b->isa, .precision = type };
    vbg_optim_opt adam = vbg_optim_defaults(VBG_ADAMW);
    vbg_status st = vbg_ctx_new(&r->c, &opt, &r->err);

    adam.clip = 1;
    adam.ema = 0.999;
    if (st == VBG_OK)
        st = t->config ? vbg_weights_empty(&r->file, &r->err)
                       : vbg_weights_open(&r->file, vbg_value(b->values, "model"),
                                          &r->err);
    if (st == VBG_OK)
        st = vbg_params_new(&r->params, vbg_ctx_act(r->c), &r->err);
    if (st != VBG_OK)
        return st;
    if (t->kind != SEGMENTER)
        vbg_params_declare(r->params, 1);
    st = t->kind == VAE ? bind_vae(r)
         : t->kind == SEGMENTER ? bind_segmenter(r)
                                : bind_unet(r);
    if (st == VBG_OK)
        st = vbg_optim_new(&r->optim, r->params, &adam, &r->err);
    if (st == VBG_OK)
        st = make_inputs(r);
    if (st == VBG_OK) {
        vbg_params_refresh(r->params, r->c);
        st = vbg_tape_new(&r->tape, r->c, r->params, &r->err);
    }
    return st == VBG_OK && t->kind == COUPLED ? couple(r) : st;
}

static void close_net(net_run *r)
{
    vbg_rig_close(r->rig);
    vbg_unet_text_free(r->text);
    vbg_segnet_close(r->net);
    vbg_tape_free(r->tape);
    vbg_optim_free(r->optim);
    vbg_params_free(r->params);
    vbg_ctx_free(r->c);
    vbg_weights_close(r->file);
    vbg_free_mem(r->x);
    vbg_free_mem(r->target);
    vbg_free_mem(r->state);
    free(r);
}

/* ---- measuring ---- */

/* Milliseconds of a line "name ms" of the peer's file, 0: none. */
static double peer_ms(const char *path, const char *name)
{
    char line[128], what[64];
    double ms, found = 0;
    FILE *f = path ? fopen(path, "r") : NULL;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%63s %lf", what, &ms) == 2 && strcmp(what, name) == 0)
            found = ms;
    if (f)
        fclose(f);
    return found;
}

static int run_case(bench *b, const net_case *t, vbg_dtype type)
{
    bench_row row = { .threads = b->threads, .isa = b->isa };

    snprintf(row.name, sizeof row.name, "%s", t->name);
    snprintf(row.shape, sizeof row.shape, "%dx%dx%d step", t->n, t->size, t->size);
    if (!t->config)
        snprintf(row.shape, sizeof row.shape, "%d views, step", t->n);
    snprintf(row.dtype, sizeof row.dtype, "%s", vbg_dtype_name(type));
    if (type == VBG_F32 && b->isa > VBG_ISA_AVX512)
        row.isa = VBG_ISA_AVX512;
    if (!bench_wanted(b, row.name, row.shape) ||
        (!t->config && !vbg_value(b->values, "model")))
        return 0;
    net_run *r = calloc(1, sizeof *r);
    if (!r)
        return 1;
    r->t = t;
    r->size = t->size;
    r->st = open_net(r, b, type);
    if (r->st == VBG_OK) {
        bench_peak(b, row.isa, type);
        bench_measure(b, &row, once, r);
        row.gflop = 2e-9 * vbg_ctx_macs(r->c);
        bench_peak(b, row.isa, type);
        row.peer_ms = peer_ms(vbg_value(b->values, "peer-file"), t->name);
        if (row.peer_ms > 0)
            snprintf(row.peer, sizeof row.peer, "PyTorch");
    }
    if (r->st == VBG_OK)
        bench_add(b, &row);
    else
        vbg_error("%s: %s", t->name, r->err.text);
    const int code = r->st == VBG_OK ? 0 : 1;
    close_net(r);
    return code;
}

int bench_train_nets(bench *b)
{
    const char *want = vbg_value(b->values, "dtype");
    const vbg_dtype type = (want && want[0] == 'f') || b->isa < VBG_ISA_AVX512_BF16
                               ? VBG_F32
                               : VBG_BF16;
    int code = 0;

    for (size_t i = 0; i < sizeof cases / sizeof *cases && code == 0; i++)
        if (!vbg_stop_signal())
            code = run_case(b, &cases[i], type);
    return code;
}
