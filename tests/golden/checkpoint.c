/* Oracles of the family group "checkpoint": whole generations and TAESD. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/picture_io.h"
#include "models/generate_internal.h"
#include "tests/golden/checkpoint_run.h"
#include "tests/golden/mvd.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static double number_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* ---- one picture, several samplers ---- */

typedef struct encode_job {
    const vbg_vae *vae;
    const float *x;
    int h, w;
    float *moments;
} encode_job;

static vbg_status encode(vbg_ctx *c, void *arg, vbg_err *err)
{
    const encode_job *j = arg;

    (void)err;
    vbg_tensor *y =
        vbg_vae_encode(c, j->vae, vbg_wrap(c, j->x, VBG_F32, 1, j->h, j->w, 3), NULL);
    vbg_copy_out(c, j->moments, VBG_F32, y);
    return VBG_OK;
}

static void check_encode(golden *g, const vbg_generator *m)
{
    const vbg_st_tensor *t = golden_in(g, "in.picture");
    const vbg_st_tensor *z = golden_in(g, "out.encode.mean");
    encode_job j = { .vae = &m->vae, .x = golden_in_nhwc(g, "in.picture") };
    vbg_err err = { 0 };

    if (!t || !z || !j.x)
        return;
    j.h = (int)t->dim[t->rank - 2];
    j.w = (int)t->dim[t->rank - 1];
    float *mean = golden_alloc(g, z->count * sizeof *mean);
    float *logvar = golden_alloc(g, z->count * sizeof *logvar);
    j.moments = golden_alloc(g, 2 * z->count * sizeof *j.moments);
    if (vbg_run(golden_ctx(g), encode, &j, &err) != VBG_OK) {
        golden_fail(g, "%s", err.text);
        return;
    }
    vbg_vae_moments(&m->vae, j.moments, z->count / 4, mean, logvar, NULL);
    const int h = (int)z->dim[2], w = (int)z->dim[3];
    golden_out_nhwc(g, "out.encode.mean", mean, 1, h, w, 4, 1);
    golden_out_nhwc(g, "out.encode.logvar", logvar, 1, h, w, 4, 1);
}

/* Bytes of the recorded PNG against the picture made. */
static void check_png(golden *g, const char *run, const vbg_picture *p)
{
    const char *path = golden_path(g, "tiny_sd2_%s_%s.png", golden_suffix(g), run);
    vbg_picture want = { 0 };
    vbg_err err = { 0 };
    int worst = 0, differing = 0;

    if (vbg_picture_load(&want, NULL, path, 3, &err) != VBG_OK || want.w != p->w ||
        want.h != p->h) {
        golden_fail(g, "%s: %s", path, *err.text ? err.text : "another size");
        vbg_picture_free(&want);
        return;
    }
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < 3 * p->w; x++) {
            int d = p->data[(size_t)y * p->stride + (size_t)x] -
                    want.data[(size_t)y * want.stride + (size_t)x];
            worst = vbg_max_int(worst, d < 0 ? -d : d);
            differing += d != 0;
        }
    vbg_picture_free(&want);
    const double share = (double)differing / (3.0 * p->w * p->h);
    char what[96];
    snprintf(what, sizeof what, "%s.png, %d bytes differ", run, differing);
    golden_verdict(g, what, worst, 1, worst <= 1 && share <= 0.003);
}

static vbg_sampler_kind sampler_of(const char *name)
{
    vbg_sampler_kind kind = VBG_SAMPLER_MODEL;

    if (strcmp(name, "dpmpp") == 0)
        return VBG_SAMPLER_DPMPP_2M;
    vbg_sampler_parse(&kind, name);
    return kind;
}

static void report_run(golden *g, const vbg_generator *m, const char *run,
                       const checkpoint_record *k, const json_t *o,
                       const vbg_gen_request *r)
{
    char name[96];
    vbg_sampler *s = NULL;
    vbg_err err = { 0 };
    int64_t times[64];

    for (int i = 0; i < k->calls; i++) {
        snprintf(name, sizeof name, "act.%s.latents.%d", run, i);
        golden_out_f32(g, name, k->latents[i], k->latents_count);
    }
    snprintf(name, sizeof name, "act.%s.prediction.0", run);
    golden_out_f32(g, name, k->prediction[0], k->prediction_count);
    snprintf(name, sizeof name, "out.%s.image", run);
    golden_out_f32(g, name, k->views, k->views_count);
    if (vbg_sampler_open(&s, &m->schedule, r->sampler, r->steps, 1, &err) == VBG_OK)
        for (int i = 0; i < k->calls; i++)
            times[i] = (int64_t)vbg_sampler_timestep(s, i);
    vbg_sampler_close(s);
    snprintf(name, sizeof name, "act.%s.timesteps", run);
    golden_out_i64(g, name, times, (size_t)k->calls);
    if (k->calls != (int)number_of(o, "model_calls"))
        golden_fail(g, "%s: %d calls", run, k->calls);
    check_png(g, run, &k->picture[0]);
}

static void one_run(golden *g, const char *run, const json_t *o)
{
    const json_t *size = json_object_get(o, "latent");
    const char *prompt = text_of(golden_json(g), "prompt");
    char source[64];
    vbg_gen_request r = vbg_gen_request_default();
    checkpoint_record k;

    snprintf(source, sizeof source, "tiny_sd2_%s", golden_suffix(g));
    vbg_generator *m = checkpoint_open(g, source, NULL, text_of(o, "prediction_type"));
    if (!m)
        return;
    r.flat = true;
    r.views = 1;
    r.prompt = &prompt;
    r.negative = text_of(golden_json(g), "negative_prompt");
    r.steps = (int)number_of(o, "steps");
    r.guidance = number_of(o, "guidance");
    r.sampler = sampler_of(text_of(o, "sampler"));
    r.latent_c = 4;
    r.latent_h = (int)json_integer_value(json_array_get(size, 0));
    r.latent_w = (int)json_integer_value(json_array_get(size, 1));
    r.latents = golden_in_f32(g, "in.latents.%dx%d", r.latent_h, r.latent_w);
    if (r.latents && checkpoint_generate(g, m, &r, &k)) {
        report_run(g, m, run, &k, o, &r);
        const vbg_st_tensor *t = vbg_st_find(golden_data(g), "out.text_embeddings");
        if (r.guidance > 1 && t && k.text_count == t->count && strstr(run, "ddim_eps") &&
            strlen(run) == 8) {
            const char *both[2] = { r.negative, prompt };
            golden_out_f32(g, "out.text_embeddings", k.text, k.text_count);
            checkpoint_check_ids(g, m, both, 2);
            check_encode(g, m);
        }
        vbg_picture_free(&k.picture[0]);
    }
    vbg_generator_close(m);
}

static void run_expect(golden *g)
{
    json_t *runs = json_object_get(golden_json(g), "runs"), *o;
    const char *name;

    json_object_foreach(runs, name, o) one_run(g, name, o);
}

/* ---- eight coupled views ---- */

/* The generator's rig, with recorded displacements, for this request. */
static bool feed_rig(golden *g, vbg_generator *m, const vbg_gen_request *r)
{
    vbg_gen_task t;
    vbg_err err = { 0 };
    char name[48];
    int views = 0;
    const vbg_camera *cam = mvd_cameras(g, &views);

    vbg_status st = vbg_gen_check(m, r, &t, &err);
    if (!cam || st != VBG_OK || views != t.views) {
        golden_fail(g, "cameras: %s", err.text);
        return false;
    }
    st = vbg_rig_open(&m->rig, &m->m, cam, views, t.lw * t.factor, t.lh * t.factor, t.lw,
                      t.lh, &err);
    for (int i = 0; i < m->m.unet.cfg.levels && st == VBG_OK; i++) {
        vbg_caa_level *l = vbg_rig_level(m->rig, i);
        snprintf(name, sizeof name, "act.geom.%d", l->h);
        mvd_geometry(g, l, name);
    }
    for (int i = 0; i < m->m.places && st == VBG_OK; i++)
        st = vbg_rig_tables(m->rig, m->c, i, &err);
    m->rig_views = t.views;
    m->rig_w = t.lw;
    m->rig_h = t.lh;
    memcpy(m->rig_cam, t.cam, sizeof t.cam);
    if (st != VBG_OK)
        golden_fail(g, "%s", err.text);
    return st == VBG_OK;
}

static void report_views(golden *g, const checkpoint_record *k, const vbg_gen_request *r)
{
    const size_t half = k->latents_count;
    char name[64];

    for (int i = 0; i < k->calls; i++) {
        snprintf(name, sizeof name, "act.step%d.latents", i);
        golden_out_f32(g, name, k->latents[i], half);
    }
    golden_out_f32(g, "act.step0.noise_uncond", k->prediction[0], half);
    golden_out_f32(g, "act.step0.noise_text", k->prediction[0] + half, half);
    golden_out_f32(g, "out.latents", k->latents[k->calls - 1], half);
    golden_out_f32(g, "out.image0", k->views, k->views_count / (size_t)r->views);
    uint8_t *bytes = golden_alloc(g, k->views_count);
    for (size_t i = 0; i < k->views_count; i++)
        bytes[i] = (uint8_t)lrintf(k->views[i] * 255);
    golden_out_u8(g, "out.images_u8", bytes, k->views_count);
}

/* Recorded: prompts first, the empty prompt last; made: the other way round. */
static void report_texts(golden *g, const checkpoint_record *k, int prompts)
{
    const size_t one = k->text_count / (size_t)(prompts + 1);
    float *v = golden_alloc(g, k->text_count * sizeof *v);

    memcpy(v, k->text + one, (size_t)prompts * one * sizeof *v);
    memcpy(v + (size_t)prompts * one, k->text, one * sizeof *v);
    golden_out_f32(g, "act.text_embeddings", v, k->text_count);
}

static void run_views(golden *g)
{
    const json_t *j = golden_json(g), *list = json_object_get(j, "prompts");
    const vbg_st_tensor *z = golden_in(g, "in.latents");
    const char *prompt[VBG_GEN_MAX_VIEWS + 1];
    vbg_gen_request r = vbg_gen_request_default();
    checkpoint_record k;
    char source[64], caa[64];
    double yaw[VBG_GEN_MAX_VIEWS];
    int64_t times[64];

    snprintf(source, sizeof source, "tiny_sd2_%s", golden_suffix(g));
    snprintf(caa, sizeof caa, "tiny_sd2_mvd_%s.safetensors", golden_suffix(g));
    vbg_generator *m = z ? checkpoint_open(g, source, caa, "epsilon") : NULL;
    if (!m)
        return;
    r.views = (int)z->dim[1];
    r.prompts = r.views;
    for (int i = 0; i < r.views && i < VBG_GEN_MAX_VIEWS; i++) {
        prompt[i] = json_string_value(json_array_get(list, (size_t)i));
        yaw[i] = json_number_value(json_array_get(json_object_get(j, "yaw"), (size_t)i));
    }
    prompt[r.views] = r.negative = text_of(j, "negative_prompt");
    r.prompt = prompt;
    r.yaw_deg = yaw;
    r.hfov_deg = number_of(j, "fov");
    r.steps = (int)number_of(j, "steps");
    r.guidance = number_of(j, "guidance");
    r.sampler = VBG_SAMPLER_DDIM;
    r.latent_c = (int)z->dim[2];
    r.latent_h = (int)z->dim[3];
    r.latent_w = (int)z->dim[4];
    r.latents = golden_in_f32(g, "in.latents");
    if (feed_rig(g, m, &r) && checkpoint_generate(g, m, &r, &k)) {
        vbg_sampler *s = NULL;
        vbg_err err = { 0 };
        checkpoint_check_ids(g, m, prompt, r.views + 1);
        report_texts(g, &k, r.views);
        report_views(g, &k, &r);
        if (vbg_sampler_open(&s, &m->schedule, r.sampler, r.steps, 1, &err) == VBG_OK)
            for (int i = 0; i < k.calls; i++)
                times[i] = (int64_t)vbg_sampler_timestep(s, i);
        vbg_sampler_close(s);
        golden_out_i64(g, "act.timesteps", times, (size_t)k.calls);
        for (int i = 0; i < r.views; i++)
            vbg_picture_free(&k.picture[i]);
    }
    vbg_generator_close(m);
}

/* ---- TAESD ---- */

typedef struct tiny_job {
    golden *g;
    vbg_taesd m;
    const float *x;
    int h, w;
    float *keep; /* the decoded picture, NULL: reported instead */
} tiny_job;

static void tiny_trace(void *arg, vbg_ctx *c, const char *name, const vbg_tensor *x)
{
    const tiny_job *j = arg;
    char full[48];

    snprintf(full, sizeof full, "act.%s", name);
    const vbg_st_tensor *t = vbg_st_find(golden_data(j->g), full);
    if (vbg_planning(c) || !t)
        return;
    const int step = x->c / (int)t->dim[1];
    golden_out_nhwc(j->g, full, mvd_copy(j->g, c, x), x->n, x->h, x->w, x->c, step);
}

static vbg_status tiny_encode(vbg_ctx *c, void *arg, vbg_err *err)
{
    tiny_job *j = arg;
    vbg_tensor *x = vbg_wrap(c, j->x, VBG_F32, 1, j->h, j->w, 3);

    (void)err;
    mvd_report(j->g, c, "out", "latent", vbg_taesd_encode(c, &j->m, x, tiny_trace, j));
    return VBG_OK;
}

static vbg_status tiny_decode(vbg_ctx *c, void *arg, vbg_err *err)
{
    tiny_job *j = arg;
    vbg_tensor *x = vbg_wrap(c, j->x, VBG_F32, 1, j->h, j->w, 4);

    (void)err;
    if (j->keep) {
        vbg_copy_out(c, j->keep, VBG_F32, vbg_taesd_decode(c, &j->m, x, NULL, NULL));
        return VBG_OK;
    }
    vbg_tensor *y = vbg_taesd_decode(c, &j->m, x, tiny_trace, j);
    mvd_report(j->g, c, "out", "image", y);
    float *v = mvd_copy(j->g, c, y);
    for (size_t i = 0; v && i < vbg_rows(y) * 3; i++)
        v[i] = fminf(fmaxf(v[i], 0), 1);
    if (v && vbg_st_find(golden_data(j->g), "out.image_clamped"))
        golden_out_nhwc(j->g, "out.image_clamped", v, y->n, y->h, y->w, 3, 1);
    return VBG_OK;
}

static void set_input(golden *g, tiny_job *j, const char *name)
{
    const vbg_st_tensor *t = golden_in(g, "%s", name);

    j->x = golden_in_nhwc(g, "%s", name);
    if (t) {
        j->h = (int)t->dim[2];
        j->w = (int)t->dim[3];
    }
}

static void run_taesd(golden *g)
{
    vbg_weights *w = golden_weights(g, "taesd", NULL, NULL);
    tiny_job j = { .g = g };
    vbg_err err = { 0 };

    if (!w)
        return;
    vbg_status st = vbg_taesd_bind(&j.m, w, "taesd", &err);
    set_input(g, &j, "in.image");
    if (st == VBG_OK && j.x)
        st = vbg_run(golden_ctx(g), tiny_encode, &j, &err);
    set_input(g, &j, "in.latent");
    if (st == VBG_OK && j.x)
        st = vbg_run(golden_ctx(g), tiny_decode, &j, &err);
    if (st != VBG_OK)
        golden_fail(g, "%s", err.text);
    vbg_weights_close(w);
}

/* The decoder in other names: converted, it must decode as the recorded one. */
static void run_tinynames(golden *g)
{
    const char *path = golden_path(g, "taesd_%s.safetensors", golden_suffix(g));
    vbg_safetensors *f = NULL;
    vbg_weights *w = checkpoint_weights(g, golden_stem(g));
    tiny_job j = { .g = g };
    vbg_err err = { 0 };
    double sum = 0, norm = 0;

    vbg_status st = w ? vbg_st_open(&f, path, &err) : VBG_EIO;
    const vbg_st_tensor *z = f ? vbg_st_find(f, "in.latent") : NULL;
    const vbg_st_tensor *want = f ? vbg_st_find(f, "out.image") : NULL;
    if (st == VBG_OK)
        st = vbg_taesd_bind(&j.m, w, "taesd", &err);
    if (st == VBG_OK && z && want) {
        float *x = golden_alloc(g, z->count * sizeof *x);
        float *r = golden_alloc(g, want->count * sizeof *r);
        vbg_st_to_f32(x, z);
        vbg_st_to_f32(r, want);
        j.h = (int)z->dim[2];
        j.w = (int)z->dim[3];
        j.x = mvd_to_nhwc(g, x, 1, 4, j.h, j.w);
        j.keep = golden_alloc(g, want->count * sizeof *j.keep);
        st = vbg_run(golden_ctx(g), tiny_decode, &j, &err);
        float *y = mvd_to_nchw(g, j.keep, 1, 3, 8 * j.h, 8 * j.w);
        for (size_t i = 0; i < want->count; i++) {
            sum += pow((double)y[i] - (double)r[i], 2);
            norm += pow((double)r[i], 2);
        }
        golden_verdict(g, "out.image", sqrt(sum / norm), 1e-5, sqrt(sum / norm) <= 1e-5);
    }
    if (st != VBG_OK)
        golden_fail(g, "%s", err.text);
    vbg_st_close(f);
    vbg_weights_close(w);
}

const golden_family golden_families_checkpoint[] = {
    { "checkpoint/taesd_tinynames", run_tinynames },
    { "checkpoint/tiny_sd2_expect", run_expect },
    { "checkpoint/tiny_sd2_mvd_expect", run_views },
    { "checkpoint/taesd", run_taesd },
    { NULL, NULL },
};
