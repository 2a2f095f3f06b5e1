/* Oracles of the family group "mvd": UNet and VAE. */
#include "tests/golden/mvd.h"

#include <stdlib.h>
#include <string.h>

#include "models/vae.h"

const char *mvd_config(golden *g, const char *key)
{
    char *text = json_dumps(json_object_get(golden_json(g), key), JSON_COMPACT);

    if (!text) {
        golden_fail(g, "no %s in the JSON", key);
        return "{}";
    }
    char *copy = golden_alloc(g, strlen(text) + 1);
    strcpy(copy, text);
    free(text);
    return copy;
}

float *mvd_copy(golden *g, vbg_ctx *c, const vbg_tensor *t)
{
    if (vbg_planning(c))
        return NULL;
    float *v = golden_alloc(g, vbg_rows(t) * (size_t)t->c * sizeof *v);
    vbg_copy_out(c, v, VBG_F32, t);
    return v;
}

void mvd_report(golden *g, vbg_ctx *c, const char *prefix, const char *name,
                const vbg_tensor *x)
{
    char full[96];

    snprintf(full, sizeof full, "%s.%s", prefix, name);
    if (vbg_planning(c) || !vbg_st_find(golden_data(g), full))
        return;
    golden_out_nhwc(g, full, mvd_copy(g, c, x), x->n, x->h, x->w, x->c, 1);
}

void mvd_trace(void *arg, vbg_ctx *c, const char *name, const vbg_tensor *x)
{
    mvd_report(arg, c, "act", name, x);
}

float *mvd_to_nhwc(golden *g, const float *x, int n, int c, int h, int w)
{
    size_t plane = (size_t)h * (size_t)w, ch = (size_t)c;
    float *y = golden_alloc(g, (size_t)n * plane * ch * sizeof *y);

    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t k = 0; k < ch; k++)
            for (size_t p = 0; p < plane; p++)
                y[(i * plane + p) * ch + k] = x[(i * ch + k) * plane + p];
    return y;
}

float *mvd_to_nchw(golden *g, const float *x, int n, int c, int h, int w)
{
    return mvd_to_nhwc(g, x, n, h * w, 1, c);
}

typedef struct job {
    golden *g;
    vbg_unet unet;
    vbg_vae vae;
    const vbg_unet_text *text;
    const vbg_st_tensor *shape; /* of the input, NCHW */
    const float *x;
    double time[64];
} job;

/* ---- unet ---- */

static vbg_status unet_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    job *j = arg;
    const int64_t *d = j->shape->dim;
    const vbg_unet_hooks hooks = { .arg = j->g, .trace = mvd_trace };

    (void)err;
    vbg_tensor *x =
        vbg_wrap(c, j->x, VBG_F32, (int)d[0], (int)d[2], (int)d[3], (int)d[1]);
    vbg_tensor *y = vbg_unet_forward(c, &j->unet, x, j->time, (int)d[0], j->text, &hooks);
    mvd_report(j->g, c, "out", "sample", y);
    return VBG_OK;
}

static void run_unet(golden *g)
{
    vbg_weights *w = golden_weights(g, "unet", NULL, NULL);
    job *j = golden_alloc(g, sizeof *j);
    vbg_unet_config cfg;
    vbg_unet_text *text = NULL;
    vbg_err err = { 0 };
    int pick[64];

    if (!w)
        return;
    j->g = g;
    j->shape = golden_in(g, "in.sample");
    j->x = golden_in_nhwc(g, "in.sample");
    const float *state = golden_in_f32(g, "in.encoder_hidden_states");
    const vbg_st_tensor *st = golden_in(g, "in.encoder_hidden_states");
    const float *time = golden_in_f32(g, "in.timestep");
    if (!j->x || !state || !st || !time || j->shape->dim[0] > 64)
        goto done;
    for (int i = 0; i < (int)j->shape->dim[0]; i++) {
        pick[i] = i;
        j->time[i] = (double)time[i];
    }
    vbg_status ok = vbg_unet_config_read(&cfg, mvd_config(g, "config"), &err);
    if (ok == VBG_OK)
        ok = vbg_unet_bind(&j->unet, &cfg, w, "unet", &err);
    if (ok == VBG_OK)
        ok = vbg_unet_text_new(&text, golden_ctx(g), &j->unet, state, (int)st->dim[0],
                               (int)st->dim[1], pick, (int)st->dim[0], &err);
    j->text = text;
    if (ok == VBG_OK)
        ok = vbg_run(golden_ctx(g), unet_job, j, &err);
    if (ok != VBG_OK)
        golden_fail(g, "%s", err.text);
done:
    vbg_unet_text_free(text);
    vbg_weights_close(w);
}

/* ---- vae ---- */

static void report_pixels(golden *g, const char *name, const float *v,
                          const vbg_tensor *t)
{
    golden_out_nhwc(g, name, v, t->n, t->h, t->w, t->c / 2, 1);
}

static vbg_status encode_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    job *j = arg;
    const int64_t *d = j->shape->dim;
    const vbg_vae_trace tr = { j->g, mvd_trace };

    (void)err;
    vbg_tensor *x =
        vbg_wrap(c, j->x, VBG_F32, (int)d[0], (int)d[2], (int)d[3], (int)d[1]);
    vbg_tensor *y = vbg_vae_encode(c, &j->vae, x, &tr);
    if (vbg_planning(c))
        return VBG_OK;
    size_t count = vbg_rows(y) * (size_t)j->vae.cfg.latent;
    const float *noise = golden_in_nhwc(j->g, "in.posterior_noise");
    float *mean = golden_alloc(j->g, count * sizeof *mean);
    float *std = golden_alloc(j->g, count * sizeof *std);
    float *z = golden_alloc(j->g, count * sizeof *z);
    vbg_vae_moments(&j->vae, mvd_copy(j->g, c, y), vbg_rows(y), mean, NULL, std);
    for (size_t i = 0; noise && i < count; i++)
        z[i] = (mean[i] + std[i] * noise[i]) * (float)j->vae.cfg.scaling;
    mvd_report(j->g, c, "out", "moments", y);
    report_pixels(j->g, "out.mean", mean, y);
    report_pixels(j->g, "out.std", std, y);
    report_pixels(j->g, "out.latent_scaled", z, y);
    return VBG_OK;
}

static vbg_status decode_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    job *j = arg;
    const int64_t *d = j->shape->dim;
    const vbg_vae_trace tr = { j->g, mvd_trace };

    (void)err;
    vbg_tensor *x =
        vbg_wrap(c, j->x, VBG_F32, (int)d[0], (int)d[2], (int)d[3], (int)d[1]);
    mvd_report(j->g, c, "out", "image", vbg_vae_decode(c, &j->vae, x, &tr));
    return VBG_OK;
}

static void run_vae(golden *g)
{
    vbg_weights *w = golden_weights(g, "vae", NULL, NULL);
    job *j = golden_alloc(g, sizeof *j);
    vbg_vae_config cfg;
    vbg_err err = { 0 };

    if (!w)
        return;
    j->g = g;
    j->shape = golden_in(g, "in.image");
    j->x = golden_in_nhwc(g, "in.image");
    vbg_status st = vbg_vae_config_read(&cfg, mvd_config(g, "config"), &err);
    if (st == VBG_OK)
        st = vbg_vae_bind(&j->vae, &cfg, w, "vae", &err);
    if (st == VBG_OK && j->x)
        st = vbg_run(golden_ctx(g), encode_job, j, &err);
    j->shape = golden_in(g, "in.latent_scaled");
    float *z = golden_in_nhwc(g, "in.latent_scaled");
    for (size_t i = 0; z && i < j->shape->count; i++)
        z[i] = z[i] / (float)cfg.scaling;
    j->x = z;
    if (st == VBG_OK && z)
        st = vbg_run(golden_ctx(g), decode_job, j, &err);
    if (st != VBG_OK)
        golden_fail(g, "%s", err.text);
    vbg_weights_close(w);
}

const golden_family golden_families_mvd[] = {
    { "mvd/unet_sd2", run_unet },     { "mvd/unet_sd1", run_unet },
    { "mvd/unet_inpaint", run_unet }, { "mvd/vae", run_vae },
    { "mvd/posenc", run_posenc },     { "mvd/schedulers", run_schedulers },
    { "mvd/caa_block", run_caa },     { "mvd/caa320", run_caa },
    { "mvd/mvunet", run_mvunet },     { "mvd/mvpipe", run_mvpipe },
    { "mvd/train", run_train },       { NULL, NULL },
};
