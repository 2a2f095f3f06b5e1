/* The generation loop; see models/generate.h. */
#include "models/generate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/generate_internal.h"
#include "models/rng.h"

/* ---- jobs ---- */

vbg_status vbg_gen_text_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    const vbg_gen_text *j = arg;
    static const int none[VBG_TOKENS];

    (void)err;
    for (int i = 0; i < j->texts; i++) { /* one by one: little memory, same speed */
        const int *ids = j->ids ? j->ids + i * VBG_TOKENS : none;
        vbg_scope_open(c);
        vbg_tensor *y = vbg_clip_text_forward(c, &j->g->text, ids, 1);
        if (!vbg_planning(c))
            vbg_copy_out(c, j->state + (size_t)i * VBG_TOKENS * (size_t)y->c, VBG_F32, y);
        vbg_scope_close(c, NULL);
    }
    return VBG_OK;
}

vbg_status vbg_gen_call_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    const vbg_gen_call *j = arg;
    const vbg_gen_task *t = j->t;
    const vbg_unet_hooks hooks = { .arg = j->rig, .couple = vbg_mvunet_couple };

    (void)err;
    vbg_tensor *x = vbg_wrap(c, j->in, VBG_F32, t->batch, t->lh, t->lw, t->channels);
    vbg_tensor *y = vbg_unet_forward(c, &j->g->m.unet, x, &j->time, 1, j->text,
                                     j->rig ? &hooks : NULL);
    if (!vbg_planning(c))
        vbg_copy_out(c, j->out, VBG_F32, y);
    return VBG_OK;
}

vbg_status vbg_gen_decode_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    const vbg_gen_decode *j = arg;
    const vbg_generator *g = j->g;
    vbg_tensor *y, *z = vbg_wrap(c, j->z, VBG_F32, 1, j->t->lh, j->t->lw, j->t->latent);

    (void)err;
    if (j->t->tiny)
        y = vbg_taesd_decode(c, &g->tiny, z, NULL, NULL);
    else
        y = vbg_vae_decode(c, &g->vae,
                           vbg_affine(c, z, (float)(1 / g->vae.cfg.scaling), 0), NULL);
    if (!vbg_planning(c))
        vbg_copy_out(c, j->out, VBG_F32, y);
    return VBG_OK;
}

/* The masked picture of an inpainting model: mid grey everywhere. */
typedef struct grey_job {
    const vbg_generator *g;
    const vbg_gen_task *t;
    float *moments, *pixels;
} grey_job;

static vbg_status encode_grey(vbg_ctx *c, void *arg, vbg_err *err)
{
    const grey_job *j = arg;
    const int f = j->t->coded;
    vbg_tensor *x = vbg_wrap(c, j->pixels, VBG_F32, 1, j->t->lh * f, j->t->lw * f, 3);

    (void)err;
    vbg_tensor *y = vbg_vae_encode(c, &j->g->vae, x, NULL);
    if (!vbg_planning(c))
        vbg_copy_out(c, j->moments, VBG_F32, y);
    return VBG_OK;
}

/* ---- one run ---- */

typedef struct run {
    vbg_generator *g;
    vbg_gen_task t;
    const vbg_gen_hooks *hooks;
    vbg_sampler *sampler;
    vbg_unet_text *text;
    size_t px, count; /* pixels of a latent map, latents of all views */
    float *z;         /* [views][latent][px] */
    float *in, *out;  /* NHWC, see vbg_gen_call */
    float *pred;      /* [batch][latent][px] */
    float *noise;     /* [views][latent][px] */
    float *grey;      /* [px][latent] or NULL */
    double stage_start;
} run;

static vbg_status progress(run *k, vbg_gen_stage stage, int done, int total, vbg_err *err)
{
    const double now = vbg_now();

    if (done == 0)
        k->stage_start = now;
    if (!k->hooks || !k->hooks->progress)
        return VBG_OK;
    if (k->hooks->progress(k->hooks->arg, stage, done, total, now - k->stage_start) == 0)
        return VBG_OK;
    return vbg_fail(err, VBG_ECANCEL, "stopped");
}

static vbg_status dump(const run *k, const char *name, const float *v, int n, int c,
                       int h, int w, vbg_err *err)
{
    const int64_t nchw[4] = { n, c, h, w }, rows[3] = { n, h, w };

    if (!k->hooks || !k->hooks->dump)
        return VBG_OK;
    return k->hooks->dump(k->hooks->arg, name, v, c ? 4 : 3, c ? nchw : rows, err);
}

static vbg_status dump_step(const run *k, const char *what, int i, const float *v, int n,
                            vbg_err *err)
{
    char name[32];

    if (!k->hooks || !k->hooks->dump_steps)
        return VBG_OK;
    snprintf(name, sizeof name, "%s.%d", what, i);
    return dump(k, name, v, n, k->t.latent, k->t.lh, k->t.lw, err);
}

static bool all_finite(const float *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

static vbg_status damaged(const run *k, const char *part, vbg_err *err)
{
    return vbg_fail(
        err, VBG_EFORMAT,
        "%s: %s produces values that are not numbers; the weights are damaged "
        "or not made for this program (vbg-convert --list shows them)",
        k->g->name, part);
}

/* Prompts to keys and values. */
static vbg_status encode_prompts(run *k, vbg_err *err)
{
    const vbg_gen_request *r = k->t.r;
    const int texts = k->t.texts, width = k->g->text.tower.width;
    const size_t count = (size_t)texts * VBG_TOKENS;
    int *ids = calloc(count, sizeof *ids);
    float *state = calloc(count * (size_t)width, sizeof *state);
    vbg_gen_text j = { .g = k->g, .ids = ids, .texts = texts, .state = state };
    vbg_status st = progress(k, VBG_GEN_TEXT, 0, 1, err);

    if (!ids || !state)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for the prompts");
    for (int i = 0; i < texts && st == VBG_OK; i++) {
        const char *s = k->t.guided && i == 0 ? (r->negative ? r->negative : "")
                                              : r->prompt[i - k->t.guided];
        if (vbg_tokenizer_encode77(k->g->tokenizer, s, strlen(s), ids + i * VBG_TOKENS) <
            0)
            st = vbg_fail(err, VBG_ENOMEM, "not enough memory for the prompts");
    }
    if (st == VBG_OK && !vbg_clip_ids_valid(&k->g->text, ids, count))
        st = vbg_fail(err, VBG_EFORMAT, "%s: tokenizer and text tower do not fit",
                      k->g->name);
    if (st == VBG_OK)
        st = vbg_run(k->g->c, vbg_gen_text_job, &j, err);
    if (st == VBG_OK && !all_finite(state, count * (size_t)width))
        st = damaged(k, "the text tower", err);
    if (st == VBG_OK)
        st = dump(k, "text", state, texts, 0, VBG_TOKENS, width, err);
    if (st == VBG_OK)
        st = vbg_unet_text_new(&k->text, k->g->c, &k->g->m.unet, state, texts, VBG_TOKENS,
                               k->t.pick, k->t.batch, err);
    free(ids);
    free(state);
    return st == VBG_OK ? progress(k, VBG_GEN_TEXT, 1, 1, err) : st;
}

/* The tables of the rig, unless the last request had the same one. */
static vbg_status make_rig(run *k, vbg_err *err)
{
    vbg_generator *g = k->g;
    const vbg_gen_task *t = &k->t;
    const size_t bytes = (size_t)t->views * sizeof *t->cam;

    if (!t->coupled || (g->rig && g->rig_views == t->views && g->rig_w == t->lw &&
                        g->rig_h == t->lh && memcmp(g->rig_cam, t->cam, bytes) == 0))
        return VBG_OK;
    vbg_rig_close(g->rig);
    g->rig = NULL;
    vbg_rig *rig = NULL;
    vbg_status st = vbg_rig_open(&rig, &g->m, t->cam, t->views, t->lw * t->coded,
                                 t->lh * t->coded, t->lw, t->lh, err);
    for (int i = 0; i <= g->m.places && st == VBG_OK; i++) {
        st = progress(k, VBG_GEN_TABLES, i, g->m.places, err);
        if (st == VBG_OK && i < g->m.places)
            st = vbg_rig_tables(rig, g->c, i, err);
    }
    if (st != VBG_OK) {
        vbg_rig_close(rig);
        return st;
    }
    g->rig = rig;
    g->rig_views = t->views;
    g->rig_w = t->lw;
    g->rig_h = t->lh;
    memcpy(g->rig_cam, t->cam, bytes);
    return VBG_OK;
}

/* Latents of a grey picture, for models that also take a masked one. */
static vbg_status make_grey(run *k, vbg_err *err)
{
    const size_t f = (size_t)k->t.coded, pixels = k->px * f * f;
    const size_t values = k->px * (size_t)k->t.latent;

    if (k->t.channels == k->t.latent)
        return VBG_OK;
    k->grey = calloc(values, sizeof *k->grey);
    if (!k->grey)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory");
    if (!k->g->has_vae || !k->g->vae.has_encoder)
        return VBG_OK;
    grey_job j = { .g = k->g, .t = &k->t };
    j.pixels = calloc(pixels * 3, sizeof *j.pixels);
    j.moments = calloc(2 * values, sizeof *j.moments);
    vbg_status st = j.pixels && j.moments
                        ? vbg_run(k->g->c, encode_grey, &j, err)
                        : vbg_fail(err, VBG_ENOMEM, "not enough memory");
    if (st == VBG_OK) {
        vbg_vae_moments(&k->g->vae, j.moments, k->px, k->grey, NULL, NULL);
        for (size_t i = 0; i < values; i++)
            k->grey[i] *= (float)k->g->vae.cfg.scaling;
    }
    free(j.pixels);
    free(j.moments);
    return st;
}

static vbg_status take_memory(run *k, vbg_err *err)
{
    const size_t batch = (size_t)k->t.batch, px = k->px;
    const size_t values = batch * px * (size_t)k->t.latent;

    k->z = calloc(k->count, sizeof *k->z);
    k->noise = calloc(k->count, sizeof *k->noise);
    k->in = calloc(batch * px * (size_t)k->t.channels, sizeof *k->in);
    k->out = calloc(values, sizeof *k->out);
    k->pred = calloc(values, sizeof *k->pred);
    if (k->z && k->noise && k->in && k->out && k->pred)
        return VBG_OK;
    return vbg_fail(err, VBG_ENOMEM, "not enough memory for the latents");
}

static void start_latents(run *k)
{
    const double sigma = vbg_sampler_init_sigma(k->sampler);

    if (k->t.r->latents)
        memcpy(k->z, k->t.r->latents, k->count * sizeof *k->z);
    else
        vbg_normal(k->z, k->count, k->t.r->seed, 0, 0);
    for (size_t i = 0; i < k->count; i++)
        k->z[i] = (float)((double)k->z[i] * sigma);
}

/* Both halves of the batch see the same latents. */
static void fill_input(run *k, double scale)
{
    const size_t c = (size_t)k->t.channels, l = (size_t)k->t.latent, px = k->px;

    for (size_t n = 0; n < (size_t)k->t.batch; n++) {
        const float *z = k->z + n % (size_t)k->t.views * l * px;
        float *x = k->in + n * px * c;
        for (size_t p = 0; p < px; p++, x += c) {
            for (size_t i = 0; i < l; i++)
                x[i] = (float)((double)z[i * px + p] * scale);
            if (c > l) {
                x[l] = 1;
                memcpy(x + l + 1, k->grey + p * l, l * sizeof *x);
            }
        }
    }
}

/* NHWC output to [batch][latent][px]. */
static void fill_prediction(run *k)
{
    const size_t px = k->px, l = (size_t)k->t.latent;

    for (size_t i = 0; i < (size_t)k->t.batch * px * l; i++)
        k->pred[i / px / l * px * l + i % l * px + i / l % px] = k->out[i];
}

static double deviation(const float *x, size_t n)
{
    double sum = 0, squares = 0;

    for (size_t i = 0; i < n; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    return sqrt(fmax(0, squares / (double)n - sum / (double)n * (sum / (double)n)));
}

/* The guided output, in the first half of pred.  Guidance widens the spread of values,
 * which schedules without terminal signal turn into too much contrast: a share of it is
 * taken back, view by view. */
static void guide(run *k)
{
    const size_t n = (size_t)k->t.latent * k->px;
    const float s = (float)k->t.guidance;

    for (size_t v = 0; k->t.guided && v < (size_t)k->t.views; v++) {
        float *x = k->pred + v * n;
        const float *text = x + k->count;
        for (size_t i = 0; i < n; i++)
            x[i] += s * (text[i] - x[i]);
        const double wide = deviation(x, n);
        const double back = wide > 0 ? deviation(text, n) / wide : 1;
        const float f = (float)(1 + k->t.rescale * (back - 1));
        for (size_t i = 0; f != 1 && i < n; i++)
            x[i] *= f;
    }
}

static vbg_status sample_step(run *k, int i, vbg_err *err)
{
    const uint64_t stream = 1 + (uint64_t)i;
    vbg_gen_call call = { .g = k->g,
                          .t = &k->t,
                          .text = k->text,
                          .rig = k->t.coupled ? k->g->rig : NULL,
                          .in = k->in,
                          .out = k->out,
                          .time = vbg_sampler_timestep(k->sampler, i) };

    fill_input(k, vbg_sampler_input_scale(k->sampler, i));
    vbg_status st = vbg_run(k->g->c, vbg_gen_call_job, &call, err);
    if (st != VBG_OK)
        return st;
    fill_prediction(k);
    if (!all_finite(k->pred, (size_t)k->t.batch * k->px * (size_t)k->t.latent))
        return damaged(k, "the UNet", err);
    st = dump_step(k, "prediction", i, k->pred, k->t.batch, err);
    guide(k);
    if (vbg_sampler_wants_noise(k->sampler, i))
        vbg_normal(k->noise, k->count, k->t.r->seed, stream, 0);
    vbg_sampler_step(k->sampler, i, k->z, k->pred, k->noise);
    if (st == VBG_OK)
        st = dump_step(k, "latents", i, k->z, k->t.views, err);
    return st;
}

static vbg_status sample(run *k, vbg_err *err)
{
    const int calls = vbg_sampler_calls(k->sampler);
    vbg_status st = progress(k, VBG_GEN_SAMPLE, 0, calls, err);

    for (int i = 0; i < calls && st == VBG_OK; i++) {
        st = sample_step(k, i, err);
        if (st == VBG_OK)
            st = progress(k, VBG_GEN_SAMPLE, i + 1, calls, err);
    }
    return st;
}

/* ---- pictures ---- */

/* To 0..1, clamped, in place. */
static void to_unit(const run *k, float *v, size_t count)
{
    const float scale = k->t.tiny ? 1 : 0.5f, shift = k->t.tiny ? 0 : 0.5f;

    for (size_t i = 0; i < count; i++) {
        float x = v[i] * scale + shift;
        v[i] = x < 0 ? 0 : x > 1 ? 1 : x;
    }
}

static void to_picture(vbg_picture *p, const float *v)
{
    for (int y = 0; y < p->h; y++) {
        uint8_t *row = p->data + (size_t)y * p->stride;
        for (int i = 0; i < 3 * p->w; i++)
            row[i] = (uint8_t)lrintf(*v++ * 255); /* half to even */
    }
}

static void to_planes(float *dst, const float *v, size_t pixels)
{
    for (size_t i = 0; i < pixels * 3; i++)
        dst[i % 3 * pixels + i / 3] = v[i];
}

static vbg_status decode_view(run *k, int view, float *image, vbg_picture *out,
                              vbg_err *err)
{
    const int w = k->t.lw * k->t.factor, h = k->t.lh * k->t.factor;
    const size_t count = (size_t)w * (size_t)h * 3, l = (size_t)k->t.latent;
    vbg_gen_decode j = { .g = k->g, .t = &k->t, .z = k->in, .out = image };

    for (size_t i = 0; i < k->px * l; i++)
        k->in[i] = k->z[(size_t)view * k->px * l + i % l * k->px + i / l];
    vbg_status st = vbg_run(k->g->c, vbg_gen_decode_job, &j, err);
    if (st == VBG_OK && !all_finite(image, count))
        st = damaged(k, k->t.tiny ? "the tiny decoder" : "the VAE", err);
    if (st == VBG_OK)
        st = vbg_picture_new(out, w, h, 3, err);
    if (st != VBG_OK)
        return st;
    to_unit(k, image, count);
    to_picture(out, image);
    return VBG_OK;
}

static vbg_status decode(run *k, vbg_picture *view, vbg_err *err)
{
    const int n = k->t.views, w = k->t.lw * k->t.factor, h = k->t.lh * k->t.factor;
    const size_t pixels = (size_t)w * (size_t)h;
    const bool keep = k->hooks && k->hooks->dump;
    float *image = calloc(pixels * 3, sizeof *image);
    float *all = keep ? calloc((size_t)n * pixels * 3, sizeof *all) : NULL;
    vbg_status st = progress(k, VBG_GEN_DECODE, 0, n, err);

    if (!image || (keep && !all))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for the pictures");
    for (int i = 0; i < n && st == VBG_OK; i++) {
        st = decode_view(k, i, image, &view[i], err);
        if (st == VBG_OK && keep)
            to_planes(all + (size_t)i * pixels * 3, image, pixels);
        if (st == VBG_OK)
            st = progress(k, VBG_GEN_DECODE, i + 1, n, err);
    }
    if (st == VBG_OK && keep)
        st = dump(k, "views", all, n, 3, h, w, err);
    free(image);
    free(all);
    return st;
}

vbg_status vbg_generate(vbg_generator *g, const vbg_gen_request *r,
                        const vbg_gen_hooks *hooks, vbg_picture *view, vbg_err *err)
{
    run k = { .g = g, .hooks = hooks };

    vbg_status st = vbg_gen_check(g, r, &k.t, err);
    if (st != VBG_OK)
        return st;
    memset(view, 0, (size_t)r->views * sizeof *view);
    k.px = (size_t)k.t.lh * (size_t)k.t.lw;
    k.count = (size_t)k.t.views * (size_t)k.t.latent * k.px;
    st = vbg_sampler_open(&k.sampler, &g->schedule, r->sampler, r->steps, k.count, err);
    if (st == VBG_OK)
        st = take_memory(&k, err);
    if (st == VBG_OK)
        st = encode_prompts(&k, err);
    if (st == VBG_OK)
        st = make_rig(&k, err);
    if (st == VBG_OK)
        st = make_grey(&k, err);
    if (st == VBG_OK) {
        start_latents(&k);
        st = sample(&k, err);
    }
    if (st == VBG_OK)
        st = decode(&k, view, err);
    for (int i = 0; st != VBG_OK && i < r->views; i++)
        vbg_picture_free(&view[i]);
    vbg_unet_text_free(k.text);
    vbg_sampler_close(k.sampler);
    free(k.z);
    free(k.noise);
    free(k.in);
    free(k.out);
    free(k.pred);
    free(k.grey);
    return st;
}
