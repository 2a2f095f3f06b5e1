/* vbg-bench gen: the parts of the generation at the sizes of a panorama: one UNet call
 * of 8 views of 512x512 with and without CAA, the attention block of the first level,
 * one VAE decode, one prompt.  Needs a package (--model). */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/clip.h"
#include "models/mvunet.h"
#include "models/rng.h"
#include "models/taesd.h"
#include "models/tokenizer.h"
#include "models/vae.h"

enum { VIEWS = 8 };

typedef struct parts {
    vbg_weights *file;
    vbg_ctx *c;
    vbg_pool_mem *pool;
    vbg_mvunet m;
    vbg_vae vae;
    vbg_clip_text text;
    vbg_taesd tiny;
    vbg_rig *rig;
    vbg_unet_text *keys;
    vbg_job *job; /* what is measured */
    int side, views;
    bool coupled;
    float *x, *y; /* input and output of the job */
    vbg_status st;
    vbg_err err;
} parts;

static void once(void *arg)
{
    parts *p = arg;

    if (p->st == VBG_OK)
        p->st = vbg_run(p->c, p->job, p, &p->err);
}

static vbg_status unet_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    parts *p = arg;
    const vbg_unet_hooks hooks = { .arg = p->rig, .couple = vbg_mvunet_couple };
    const double time = 500;

    (void)err;
    vbg_tensor *x =
        vbg_wrap(c, p->x, VBG_F32, p->views, p->side, p->side, p->m.unet.cfg.in_channels);
    vbg_tensor *y =
        vbg_unet_forward(c, &p->m.unet, x, &time, 1, p->keys, p->coupled ? &hooks : NULL);
    vbg_copy_out(c, p->y, VBG_F32, y);
    return VBG_OK;
}

static vbg_status decode_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    parts *p = arg;

    (void)err;
    vbg_vae_decode(c, &p->vae, vbg_wrap(c, p->x, VBG_F32, 1, p->side, p->side, 4), NULL);
    return VBG_OK;
}

static vbg_status tiny_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    parts *p = arg;

    (void)err;
    vbg_taesd_decode(c, &p->tiny, vbg_wrap(c, p->x, VBG_F32, 1, p->side, p->side, 4),
                     NULL, NULL);
    return VBG_OK;
}

static vbg_status text_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    static const int ids[VBG_TOKENS] = { 49406, 320, 49407 }; /* of CLIP's vocabulary */
    parts *p = arg;

    (void)err;
    vbg_clip_text_forward(c, &p->text, ids, 1);
    return VBG_OK;
}

static vbg_status couple_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    parts *p = arg;
    vbg_tensor *x =
        vbg_wrap(c, p->x, VBG_F32, p->views, p->side, p->side, p->m.unet.cfg.in_channels);

    (void)err;
    x = vbg_conv2d(c, x, &p->m.unet.conv_in, (vbg_conv_opt){ .pad = 1 });
    vbg_mvunet_couple(p->rig, c, 0, x);
    return VBG_OK;
}

static const char *config(const parts *p, const char *key)
{
    const char *s = "";

    vbg_weights_string(p->file, key, &s);
    return s;
}

static vbg_status open_parts(parts *p, const bench *b, const char *path)
{
    const vbg_ctx_opt opt = { .threads = b->threads,
                              .isa = b->isa,
                              .precision = VBG_BF16 };
    vbg_unet_config unet;
    vbg_vae_config vae;

    vbg_status st = vbg_weights_open(&p->file, path, &p->err);
    if (st == VBG_OK)
        st = vbg_ctx_new(&p->c, &opt, &p->err);
    if (st == VBG_OK)
        st = vbg_unet_config_read(&unet, config(p, "unet.config"), &p->err);
    if (st == VBG_OK)
        st = vbg_mvunet_bind(&p->m, &unet, p->file, "unet", "caa", &p->err);
    if (st == VBG_OK)
        st = vbg_vae_config_read(&vae, config(p, "vae.config"), &p->err);
    if (st == VBG_OK)
        st = vbg_vae_bind(&p->vae, &vae, p->file, "vae", &p->err);
    if (st == VBG_OK)
        st = vbg_clip_text_open(&p->text, p->file, &p->err);
    if (st == VBG_OK)
        st = vbg_unet_prepare(&p->m.unet, p->c, p->pool, &p->err);
    if (st == VBG_OK)
        st = vbg_vae_prepare(&p->vae, p->c, p->pool, &p->err);
    if (st == VBG_OK && vbg_weights_has_component(p->file, "taesd"))
        st = vbg_taesd_bind(&p->tiny, p->file, "taesd", &p->err);
    return st;
}

/* Cameras, tables, keys and values, noise. */
static vbg_status prepare(parts *p)
{
    const size_t in = (size_t)(p->views * p->side * p->side * p->m.unet.cfg.in_channels);
    const size_t state = VBG_TOKENS * (size_t)p->m.unet.cfg.context;
    int pick[VIEWS] = { 0 };
    vbg_camera cam[VIEWS];

    for (int i = 0; i < VIEWS; i++)
        cam[i] = vbg_camera_look(90, 45.0 * i, 0, 8 * p->side, 8 * p->side);
    p->x = calloc(in > state ? in : state, sizeof *p->x);
    p->y = calloc(in, sizeof *p->y);
    if (!p->x || !p->y)
        return vbg_fail(&p->err, VBG_ENOMEM, "not enough memory");
    vbg_normal(p->x, state, 1, 1, 0);
    vbg_status st = vbg_unet_text_new(&p->keys, p->c, &p->m.unet, p->x, 1, VBG_TOKENS,
                                      pick, p->views, &p->err);
    vbg_normal(p->x, in, 1, 0, 0);
    if (st == VBG_OK && p->m.places)
        st = vbg_rig_open(&p->rig, &p->m, cam, VIEWS, 8 * p->side, 8 * p->side, p->side,
                          p->side, &p->err);
    for (int i = 0; i < p->m.places && st == VBG_OK; i++)
        st = vbg_rig_tables(p->rig, p->c, i, &p->err);
    return st;
}

static void measure(bench *b, parts *p, const char *name, const char *shape, vbg_job *job,
                    double macs)
{
    bench_row r = { .isa = b->isa, .threads = b->threads, .gflop = 2e-9 * macs };

    snprintf(r.name, sizeof r.name, "%s", name);
    snprintf(r.shape, sizeof r.shape, "%s", shape);
    snprintf(r.dtype, sizeof r.dtype, "%s", vbg_dtype_name(vbg_ctx_act(p->c)));
    if (!bench_wanted(b, r.name, r.shape) || p->st != VBG_OK)
        return;
    p->job = job;
    double peak = bench_peak(b, b->isa, vbg_ctx_act(p->c));
    bench_measure(b, &r, once, p);
    r.peak = fmax(peak, bench_peak(b, b->isa, vbg_ctx_act(p->c)));
    if (p->st == VBG_OK)
        bench_add(b, &r);
}

static void measure_all(bench *b, parts *p)
{
    const double unet = vbg_unet_macs(&p->m.unet, p->side, p->side, VBG_TOKENS);
    const double caa = vbg_mvunet_caa_macs(&p->m, p->side, p->side);
    char shape[32];

    snprintf(shape, sizeof shape, "%dx%dx%d", p->views, p->side, p->side);
    measure(b, p, "unet", shape, unet_job, unet * p->views);
    p->coupled = p->m.places > 0;
    if (p->coupled) {
        double c = p->m.caa[0].c;
        measure(b, p, "unet+caa", shape, unet_job, (unet + caa) * p->views);
        measure(b, p, "caa", shape, couple_job,
                16 * c * c * p->views * p->side * p->side);
    }
    snprintf(shape, sizeof shape, "%dx%d", p->side, p->side);
    measure(b, p, "vae decode", shape, decode_job,
            vbg_vae_decode_macs(&p->vae, p->side, p->side));
    if (p->tiny.has_decoder)
        measure(b, p, "taesd decode", shape, tiny_job, 70.7e9 / 4096 * p->side * p->side);
    double w = p->text.tower.width;
    measure(b, p, "text", "77", text_job, VBG_TOKENS * 12 * w * w * p->text.tower.layers);
}

int bench_generate(bench *b)
{
    const char *path = vbg_value(b->values, "model");
    parts *p = calloc(1, sizeof *p);

    if (!path || !p) {
        vbg_error("gen needs --model FILE, a converted Stable Diffusion package");
        free(p);
        return 2;
    }
    p->views = VIEWS;
    p->pool = vbg_pool_new();
    if (!p->pool) {
        free(p);
        return 1;
    }
    p->st = open_parts(p, b, path);
    p->side = p->m.unet.cfg.sample_size;
    if (p->st == VBG_OK)
        p->st = prepare(p);
    if (p->st == VBG_OK)
        measure_all(b, p);
    const vbg_status st = p->st;
    if (st != VBG_OK)
        vbg_error("%s", p->err.text);
    vbg_rig_close(p->rig);
    vbg_unet_text_free(p->keys);
    vbg_pool_free(p->pool);
    vbg_ctx_free(p->c);
    vbg_weights_close(p->file);
    free(p->x);
    free(p->y);
    free(p);
    return st == VBG_OK ? 0 : 1;
}
