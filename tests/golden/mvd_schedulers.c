/* Oracles of the samplers: a fixed linear "model" and recorded noise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/sampler.h"
#include "tests/golden/mvd.h"

typedef struct walk {
    golden *g;
    const char *label;
    vbg_sampler *s;
    const float *model_noise, *step_noise;
    size_t count;
} walk;

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static void report(const walk *k, const char *what, const float *v, size_t count)
{
    char name[96];

    snprintf(name, sizeof name, "%s.%s", k->label, what);
    if (vbg_st_find(golden_data(k->g), name))
        golden_out_f32(k->g, name, v, count);
}

static void report_schedule(const walk *k)
{
    const int calls = vbg_sampler_calls(k->s);
    const float *sigmas = vbg_sampler_sigmas(k->s);
    double *t = golden_alloc(k->g, (size_t)calls * sizeof *t);
    char name[96];

    for (int i = 0; i < calls; i++)
        t[i] = vbg_sampler_timestep(k->s, i);
    snprintf(name, sizeof name, "%s.timesteps", k->label);
    golden_out_f64(k->g, name, t, (size_t)calls);
    if (sigmas)
        report(k, "sigmas", sigmas, (size_t)calls + 1);
}

/* The loop of the README; every stored step is reported. */
static void loop(walk *k)
{
    const float *x0 = golden_in_f32(k->g, "in.x0");
    float *x = golden_alloc(k->g, k->count * sizeof *x);
    float *out = golden_alloc(k->g, k->count * sizeof *out);
    char name[32];

    for (size_t j = 0; j < k->count; j++)
        x[j] = x0[j] * (float)vbg_sampler_init_sigma(k->s);
    for (int i = 0; i < vbg_sampler_calls(k->s); i++) {
        const float *noise = k->model_noise + (size_t)i * k->count;
        const double scale = vbg_sampler_input_scale(k->s, i);
        for (size_t j = 0; j < k->count; j++)
            out[j] = (float)(0.6 * scale * (double)x[j] + 0.8 * (double)noise[j]);
        vbg_sampler_step(k->s, i, x, out, k->step_noise + (size_t)i * k->count);
        snprintf(name, sizeof name, "step%d", i);
        report(k, name, x, k->count);
    }
    report(k, "final", x, k->count);
}

static vbg_sampler_kind kind_of(const char *label)
{
    static const struct {
        const char *start;
        vbg_sampler_kind kind;
    } map[] = { { "ddim", VBG_SAMPLER_DDIM },
                { "pndm", VBG_SAMPLER_PNDM },
                { "euler_karras", VBG_SAMPLER_EULER_KARRAS },
                { "euler_a", VBG_SAMPLER_EULER_A },
                { "euler", VBG_SAMPLER_EULER },
                { "dpmpp2m", VBG_SAMPLER_DPMPP_2M } };

    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (strncmp(label, map[i].start, strlen(map[i].start)) == 0)
            return map[i].kind;
    return VBG_SAMPLER_MODEL;
}

static bool open_case(golden *g, walk *k, const json_t *c)
{
    json_t *copy = json_deep_copy(json_object_get(c, "config"));
    const json_t *args = json_object_get(c, "step_args");
    vbg_noise_schedule sc;
    vbg_err err = { 0 };

    json_object_set(copy, "_class_name", json_object_get(c, "scheduler"));
    char *text = json_dumps(copy, 0);
    vbg_status st = vbg_noise_schedule_read(&sc, text, &err);
    free(text);
    json_decref(copy);
    sc.eta = json_number_value(json_object_get(args, "eta"));
    int steps = (int)json_integer_value(json_object_get(c, "num_inference_steps"));
    if (st == VBG_OK)
        st = vbg_sampler_open(&k->s, &sc, VBG_SAMPLER_MODEL, steps, k->count, &err);
    if (st != VBG_OK)
        golden_fail(g, "%s: %s", k->label, err.text);
    else if (vbg_sampler_kind_of(k->s) != kind_of(k->label))
        golden_fail(g, "%s: read as %s", k->label,
                    vbg_sampler_name(vbg_sampler_kind_of(k->s)));
    return st == VBG_OK;
}

/* add_noise, velocity and the tables, with the first case's sampler. */
static void targets(golden *g, const vbg_sampler *s)
{
    const vbg_st_tensor *t = golden_in(g, "in.add_noise.x");
    const float *x = golden_in_f32(g, "in.add_noise.x");
    const float *noise = golden_in_f32(g, "in.add_noise.noise");
    const float *at = golden_in_f32(g, "in.add_noise.t");

    if (!t || !x || !noise || !at)
        return;
    const size_t n = (size_t)t->dim[0], one = t->count / n;
    float *a = golden_alloc(g, t->count * sizeof *a);
    float *v = golden_alloc(g, t->count * sizeof *v);
    for (size_t i = 0; i < n; i++) {
        vbg_add_noise(s, a + i * one, x + i * one, noise + i * one, (int)at[i], one);
        vbg_velocity(s, v + i * one, x + i * one, noise + i * one, (int)at[i], one);
    }
    golden_out_f32(g, "out.add_noise", a, t->count);
    golden_out_f32(g, "out.velocity", v, t->count);
    const vbg_st_tensor *acp = vbg_st_find(golden_data(g), "alphas_cumprod");
    if (acp)
        golden_out_f32(g, "alphas_cumprod", vbg_sampler_alphas_cumprod(s), acp->count);
    if (vbg_st_find(golden_data(g), "betas"))
        golden_out_f32(g, "betas", vbg_sampler_betas(s), acp ? acp->count : 0);
}

void run_schedulers(golden *g)
{
    const json_t *cases = json_object_get(golden_json(g), "cases"), *c;
    const vbg_st_tensor *t = golden_in(g, "in.x0");
    walk k = { .g = g, .count = t ? t->count : 0 };
    size_t i;

    k.model_noise = golden_in_f32(g, "in.model_noise");
    k.step_noise = golden_in_f32(g, "in.step_noise");
    if (!t || !k.model_noise || !k.step_noise)
        return;
    json_array_foreach(cases, i, c)
    {
        k.label = text_of(c, "label");
        k.s = NULL;
        if (open_case(g, &k, c)) {
            double want = json_number_value(json_object_get(c, "init_noise_sigma"));
            double got = vbg_sampler_init_sigma(k.s);
            if (got < want * 0.99999 || got > want * 1.00001)
                golden_fail(g, "%s: init sigma %g instead of %g", k.label, got, want);
            report_schedule(&k);
            loop(&k);
            if (i == 0)
                targets(g, k.s);
        }
        vbg_sampler_close(k.s);
    }
}
