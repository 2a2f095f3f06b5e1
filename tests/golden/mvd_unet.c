/* Oracles of the multi-view UNet and its sampling loop. */
#include <stdio.h>
#include <string.h>

#include "models/sampler.h"
#include "tests/golden/mvd.h"

bool mvd_model_open(golden *g, mvd_model *m, const char *config, int picture, int w,
                    int h)
{
    vbg_unet_config cfg;
    vbg_err err = { 0 };
    char name[48];

    m->w = w;
    m->h = h;
    const vbg_camera *cam = mvd_cameras(g, &m->views);
    m->unet_file = golden_weights(g, "unet", "mv_base_model.unet.", NULL);
    m->caa_file = golden_weights(g, "caa", "mv_base_model.", NULL);
    if (!cam || !m->unet_file || !m->caa_file)
        return false;
    if (m->params)
        vbg_params_attach(m->params, m->caa_file);
    vbg_status st = vbg_unet_config_read(&cfg, mvd_config(g, config), &err);
    if (st == VBG_OK)
        st = vbg_unet_bind(&m->m.unet, &cfg, m->unet_file, "unet", &err);
    if (st == VBG_OK)
        st = vbg_mvunet_bind_caa(&m->m, m->caa_file, "caa", &err);
    if (st == VBG_OK)
        st = vbg_rig_open(&m->rig, &m->m, cam, m->views, picture, picture, w, h, &err);
    for (int i = 0; i < cfg.levels && st == VBG_OK; i++) {
        vbg_caa_level *l = vbg_rig_level(m->rig, i);
        snprintf(name, sizeof name, "act.geom.%d", l->h);
        if (i == 0 || l->h != vbg_rig_level(m->rig, i - 1)->h)
            mvd_geometry(g, l, name);
    }
    if (m->params && st == VBG_OK)
        st = vbg_rig_train(m->rig, golden_ctx(g), &err);
    for (int i = 0; i < m->m.places && st == VBG_OK && !m->params; i++)
        st = vbg_rig_tables(m->rig, golden_ctx(g), i, &err);
    if (st != VBG_OK)
        golden_fail(g, "%s", err.text);
    return st == VBG_OK;
}

void mvd_model_close(mvd_model *m)
{
    vbg_rig_close(m->rig);
    vbg_weights_close(m->unet_file);
    vbg_weights_close(m->caa_file);
}

typedef struct call {
    golden *g;
    mvd_model *m;
    const vbg_unet_text *text;
    const float *x;
    float *y;
    const double *time;
    int n, times;
    bool couple, trace;
} call;

/* act.cp_encoder.0.in and the like. */
static void report_place(const call *k, vbg_ctx *c, int place, const char *end,
                         const vbg_tensor *x)
{
    const int levels = k->m->m.unet.cfg.levels;
    char name[48];

    if (place == levels)
        snprintf(name, sizeof name, "cp_mid.%s", end);
    else
        snprintf(name, sizeof name, "cp_%s.%d.%s", place < levels ? "encoder" : "decoder",
                 place < levels ? place : place - levels - 1, end);
    if (k->trace)
        mvd_report(k->g, c, "act", name, x);
}

static vbg_tensor *couple(void *arg, vbg_ctx *c, int place, const vbg_tensor *x)
{
    const call *k = arg;

    report_place(k, c, place, "in", x);
    vbg_tensor *y = k->couple ? vbg_mvunet_couple(k->m->rig, c, place, x)
                              : vbg_view(c, x, x->n, x->h, x->w, x->c);
    report_place(k, c, place, "out", y);
    return y;
}

static void trace(void *arg, vbg_ctx *c, const char *name, const vbg_tensor *x)
{
    const call *k = arg;
    char longer[80];

    if (!k->trace)
        return;
    mvd_report(k->g, c, "act", name, x);
    snprintf(longer, sizeof longer, "%s.%s", name,
             name[0] == 'd' ? "downsample" : "upsample");
    mvd_report(k->g, c, "act", longer, x);
}

static vbg_status run(vbg_ctx *c, void *arg, vbg_err *err)
{
    call *k = arg;
    const vbg_unet_hooks hooks = { .arg = k, .couple = couple, .trace = trace };

    (void)err;
    vbg_tensor *x =
        vbg_wrap(c, k->x, VBG_F32, k->n, k->m->h, k->m->w, k->m->m.unet.cfg.in_channels);
    vbg_tensor *y =
        vbg_unet_forward(c, &k->m->m.unet, x, k->time, k->times, k->text, &hooks);
    vbg_copy_out(c, k->y, VBG_F32, y);
    return VBG_OK;
}

bool mvd_model_run(golden *g, mvd_model *m, const vbg_unet_text *text, const float *x,
                   int n, const double *time, int times, bool with_caa, bool with_trace,
                   float *y)
{
    call k = { .g = g,
               .m = m,
               .text = text,
               .x = x,
               .y = y,
               .n = n,
               .time = time,
               .times = times,
               .couple = with_caa,
               .trace = with_trace };
    vbg_err err = { 0 };

    if (vbg_run(golden_ctx(g), run, &k, &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        return false;
    }
    return true;
}

float *mvd_in_views(golden *g, const char *name)
{
    const vbg_st_tensor *t = golden_in(g, "%s", name);
    const float *v = golden_in_f32(g, "%s", name);

    return t && v ? mvd_to_nhwc(g, v, (int)(t->dim[0] * t->dim[1]), (int)t->dim[2],
                                (int)t->dim[3], (int)t->dim[4])
                  : NULL;
}

static int picture_side(golden *g, int latent)
{
    const json_t *size = json_object_get(golden_json(g), "image_hw");

    return size ? (int)json_integer_value(json_array_get(size, 0)) : 8 * latent;
}

void run_mvunet(golden *g)
{
    const vbg_st_tensor *t = golden_in(g, "in.latents");
    const vbg_st_tensor *st = golden_in(g, "in.prompt_embd");
    const float *state = golden_in_f32(g, "in.prompt_embd");
    const float *x = mvd_in_views(g, "in.latents"),
                *time = golden_in_f32(g, "in.timestep");
    mvd_model m = { 0 };
    vbg_unet_text *text = NULL;
    vbg_err err = { 0 };
    int pick[64];
    double times[64];

    if (!t || !st || !state || !x || !time)
        return;
    const int n = (int)(t->dim[0] * t->dim[1]), h = (int)t->dim[3], w = (int)t->dim[4];
    for (int i = 0; i < n && i < 64; i++) {
        pick[i] = i;
        times[i] = (double)time[i];
    }
    if (n > 64 || !mvd_model_open(g, &m, "unet_config", picture_side(g, h), w, h))
        goto done;
    const int oc = m.m.unet.cfg.out_channels;
    float *y = golden_alloc(g, (size_t)(n * h * w * oc) * sizeof *y);
    if (vbg_unet_text_new(&text, golden_ctx(g), &m.m.unet, state, n, (int)st->dim[2],
                          pick, n, &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        goto done;
    }
    if (mvd_model_run(g, &m, text, x, n, times, n, true, !golden_own_geometry(g), y))
        golden_out_nhwc(g, "out.sample", y, n, h, w, oc, 1);
    if (!golden_own_geometry(g) &&
        mvd_model_run(g, &m, text, x, n, times, n, false, false, y))
        golden_out_nhwc(g, "out.sample_caa_zeroed", y, n, h, w, oc, 1);
done:
    vbg_unet_text_free(text);
    mvd_model_close(&m);
}

/* ---- the sampling loop ---- */

typedef struct pipe {
    golden *g;
    mvd_model m;
    vbg_unet_text *text;
    vbg_sampler *sampler;
    int views, h, w, steps;
    size_t count; /* latents of all views */
    float guidance;
    float *z;           /* [views][4][h][w] */
    const float *extra; /* constant input channels [views][more][h][w] or NULL */
    int more;
} pipe;

/* Input channels beside the latents (mask and masked picture), whatever they are
 * called: every other recorded array of the latents' size, masks first. */
static float *constant_inputs(pipe *p)
{
    const vbg_safetensors *f = golden_data(p->g);
    const size_t px = (size_t)p->h * (size_t)p->w, views = (size_t)p->views;
    const size_t more = (size_t)p->more;
    float *out = golden_alloc(p->g, views * more * px * sizeof *out);
    size_t first = 0;

    for (int64_t want = 1; want <= p->more; want++)
        for (size_t i = 0; i < vbg_st_count(f) && first < more; i++) {
            const vbg_st_tensor *t = vbg_st_at(f, i);
            size_t c = t->count / px / views;
            if (strncmp(t->name, "in.", 3) != 0 || strcmp(t->name, "in.latents") == 0 ||
                t->rank < 4 || t->dim[t->rank - 1] != p->w ||
                t->dim[t->rank - 2] != p->h || (int64_t)c != want || first + c > more)
                continue;
            const float *v = golden_in_f32(p->g, "%s", t->name);
            for (size_t k = 0; k < views; k++)
                memcpy(out + (k * more + first) * px, v + k * c * px,
                       c * px * sizeof *out);
            first += c;
        }
    if (first != more)
        golden_fail(p->g, "%zu of %zu constant input channels found", first, more);
    return out;
}

/* The network's input: both halves [2*views][h][w][4 + more]. */
static float *network_input(const pipe *p)
{
    const size_t px = (size_t)p->h * (size_t)p->w, c = 4 + (size_t)p->more;
    float *x = golden_alloc(p->g, 2 * (size_t)p->views * px * c * sizeof *x);

    for (size_t i = 0; i < 2 * (size_t)p->views * px * c; i++) {
        size_t ch = i % c, at = i / c % px, view = i / c / px % (size_t)p->views;
        x[i] = ch < 4 ? p->z[(view * 4 + ch) * px + at]
                      : p->extra[(view * (c - 4) + ch - 4) * px + at];
    }
    return x;
}

static void report_step(const pipe *p, int step, const char *what, const float *v)
{
    char name[48];

    snprintf(name, sizeof name, "act.step%d.%s", step, what);
    if (vbg_st_find(golden_data(p->g), name))
        golden_out_f32(p->g, name, v, p->count);
}

static bool step(pipe *p, int i)
{
    const double t = vbg_sampler_timestep(p->sampler, i);
    float *y = golden_alloc(p->g, 2 * p->count * sizeof *y);

    if (!mvd_model_run(p->g, &p->m, p->text, network_input(p), 2 * p->views, &t, 1, true,
                       false, y))
        return false;
    float *eps = mvd_to_nchw(p->g, y, 2 * p->views, 4, p->h, p->w);
    report_step(p, i, "noise_uncond", eps);
    report_step(p, i, "noise_text", eps + p->count);
    for (size_t k = 0; k < p->count; k++)
        eps[k] += p->guidance * (eps[p->count + k] - eps[k]);
    report_step(p, i, "noise_guided", eps);
    vbg_sampler_step(p->sampler, i, p->z, eps, NULL);
    report_step(p, i, "latents", p->z);
    return true;
}

/* State of [null; prompts], images: views times null, then each its own. */
static bool make_text(pipe *p)
{
    const vbg_st_tensor *t = golden_in(p->g, "in.prompt_embd");
    const float *null = golden_in_f32(p->g, "in.null_embd");
    const float *prompt = golden_in_f32(p->g, "in.prompt_embd");
    int pick[128];
    vbg_err err = { 0 };

    if (!t || !null || !prompt || p->views > 64)
        return false;
    const size_t one = (size_t)(t->dim[2] * t->dim[3]);
    float *state = golden_alloc(p->g, (t->count + one) * sizeof *state);
    memcpy(state, null, one * sizeof *state);
    memcpy(state + one, prompt, t->count * sizeof *state);
    for (int i = 0; i < p->views; i++) {
        pick[i] = 0;
        pick[p->views + i] = 1 + i;
    }
    vbg_status st =
        vbg_unet_text_new(&p->text, golden_ctx(p->g), &p->m.m.unet, state, p->views + 1,
                          (int)t->dim[2], pick, 2 * p->views, &err);
    if (st != VBG_OK)
        golden_fail(p->g, "%s", err.text);
    return st == VBG_OK;
}

static void report_times(const pipe *p)
{
    int64_t t[1000];

    for (int i = 0; i < p->steps && i < 1000; i++)
        t[i] = (int64_t)vbg_sampler_timestep(p->sampler, i);
    golden_out_i64(p->g, "act.timesteps", t, (size_t)p->steps);
}

void run_mvpipe(golden *g)
{
    const vbg_st_tensor *t = golden_in(g, "in.latents");
    const json_t *j = golden_json(g);
    pipe p = { .g = g };
    vbg_noise_schedule sc;
    vbg_err err = { 0 };

    if (!t || t->rank != 5)
        return;
    p.views = (int)t->dim[1];
    p.h = (int)t->dim[3];
    p.w = (int)t->dim[4];
    p.count = t->count;
    p.z = golden_in_f32(g, "in.latents");
    p.guidance = (float)json_number_value(json_object_get(j, "guidance_scale"));
    p.steps = (int)json_integer_value(json_object_get(j, "num_inference_steps"));
    if (!mvd_model_open(g, &p.m, "unet_config", picture_side(g, p.h), p.w, p.h))
        goto done;
    p.more = p.m.m.unet.cfg.in_channels - 4;
    p.extra = p.more > 0 ? constant_inputs(&p) : NULL;
    vbg_status st = vbg_noise_schedule_read(&sc, mvd_config(g, "scheduler"), &err);
    if (st == VBG_OK)
        st = vbg_sampler_open(&p.sampler, &sc, VBG_SAMPLER_DDIM, p.steps, p.count, &err);
    if (st != VBG_OK) {
        golden_fail(g, "%s", err.text);
        goto done;
    }
    report_times(&p);
    if (!make_text(&p))
        goto done;
    for (int i = 0; i < p.steps; i++)
        if (!step(&p, i))
            goto done;
    golden_out_f32(g, "out.latents", p.z, p.count);
done:
    vbg_unet_text_free(p.text);
    vbg_sampler_close(p.sampler);
    mvd_model_close(&p.m);
}
