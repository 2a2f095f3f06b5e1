/* Noise schedules and samplers of latent diffusion.
 *
 * A sampler is a small state machine over f32 latents of any shape:
 *
 *     vbg_sampler_start(s, steps)                    calls, timesteps, sigmas
 *     x = noise * vbg_sampler_init_sigma(s)
 *     for i in 0..calls-1:
 *         in = x * vbg_sampler_input_scale(s, i)     what the network sees
 *         out = network(in, vbg_sampler_timestep(s, i))
 *         vbg_sampler_step(s, i, x, out, noise or NULL, count)   x is updated
 *
 * Steps follow diffusers' schedulers, whose scheduler_config.json is read: the
 * spacing of timesteps (leading, linspace, trailing), steps_offset, the last
 * "previous" alpha and the prediction type come from it; what an old config does
 * not say has the default of the class it names.
 * Sources: DDIM: Song et al. 2021 (eq. 12, 16); PNDM: Liu et al. 2022 (PLMS);
 * Euler, Euler ancestral, Karras sigmas: Karras et al. 2022 (alg. 2, eq. 5);
 * DPM-Solver++ 2M: Lu et al. 2022 (alg. 2); v prediction: Salimans and Ho 2022. */
#ifndef VBG_MODELS_SAMPLER_H
#define VBG_MODELS_SAMPLER_H

#include "engine/base.h"

typedef enum vbg_sampler_kind {
    VBG_SAMPLER_MODEL, /* what the scheduler config names */
    VBG_SAMPLER_DDIM,
    VBG_SAMPLER_PNDM,
    VBG_SAMPLER_EULER,
    VBG_SAMPLER_EULER_KARRAS,
    VBG_SAMPLER_EULER_A,
    VBG_SAMPLER_DPMPP_2M,
    VBG_SAMPLER_DPMPP_2M_KARRAS,
    VBG_SAMPLER_KINDS
} vbg_sampler_kind;

/* "model", "ddim", "pndm", "euler", "euler_karras", "euler_a", "dpmpp_2m",
 * "dpmpp_2m_karras". */
const char *vbg_sampler_name(vbg_sampler_kind kind);
/* False when name is none of them (case and '-' versus '_' do not matter). */
bool vbg_sampler_parse(vbg_sampler_kind *out, const char *name);
/* The name other programs write into pictures: "DDIM", "PLMS", "Euler", "Euler a",
 * "DPM++ 2M"; with " Karras" at the end for Karras sigmas. */
const char *vbg_sampler_label(vbg_sampler_kind kind);

typedef enum vbg_spacing {
    VBG_SPACING_DEFAULT, /* of the sampler's class */
    VBG_SPACING_LEADING,
    VBG_SPACING_LINSPACE,
    VBG_SPACING_TRAILING
} vbg_spacing;

typedef enum vbg_prediction { VBG_PREDICT_EPSILON, VBG_PREDICT_V } vbg_prediction;

enum { VBG_SAMPLER_MAX_STEPS = 1000 };

/* The fields of a scheduler_config.json that matter. */
typedef struct vbg_noise_schedule {
    vbg_sampler_kind kind; /* never VBG_SAMPLER_MODEL */
    int train_steps;       /* 1000 */
    double beta_start, beta_end;
    bool scaled_linear; /* betas are squares of a line; else a line */
    vbg_prediction prediction;
    vbg_spacing spacing;
    int steps_offset;
    bool set_alpha_to_one, clip_sample, zero_snr, skip_prk;
    double clip_range;
    double eta; /* DDIM: 0 */
} vbg_noise_schedule;

/* The SD defaults (scaled_linear 0.00085..0.012, 1000, epsilon, offset 1, DDIM). */
vbg_noise_schedule vbg_noise_schedule_default(void);
/* Reads a config; json NULL or "" gives the defaults.  Errors: VBG_EFORMAT,
 * VBG_EUNSUPPORTED (prediction type "sample", unknown beta schedule). */
vbg_status vbg_noise_schedule_read(vbg_noise_schedule *out, const char *json,
                                   vbg_err *err);

typedef struct vbg_sampler vbg_sampler;

/* kind VBG_SAMPLER_MODEL takes schedule->kind; steps 1..VBG_SAMPLER_MAX_STEPS and
 * at most train_steps.  count: elements of the latents.
 * Errors: VBG_EUSAGE (steps), VBG_EUNSUPPORTED, VBG_ENOMEM. */
vbg_status vbg_sampler_open(vbg_sampler **out, const vbg_noise_schedule *schedule,
                            vbg_sampler_kind kind, int steps, size_t count, vbg_err *err);
void vbg_sampler_close(vbg_sampler *s); /* accepts NULL */

vbg_sampler_kind vbg_sampler_kind_of(const vbg_sampler *s);
/* Network calls: steps, PNDM one more (from two steps on). */
int vbg_sampler_calls(const vbg_sampler *s);
/* Value for the time embedding at call i; fractional with Karras sigmas. */
double vbg_sampler_timestep(const vbg_sampler *s, int i);
/* calls + 1 sigmas of the sigma-based samplers, NULL otherwise. */
const float *vbg_sampler_sigmas(const vbg_sampler *s);
double vbg_sampler_init_sigma(const vbg_sampler *s);
double vbg_sampler_input_scale(const vbg_sampler *s, int i);
/* Whether step i wants fresh normal noise. */
bool vbg_sampler_wants_noise(const vbg_sampler *s, int i);

/* One step: x [count] becomes the next latents; out [count] is the network's
 * (guided) output; noise [count] standard normal or NULL when not wanted.
 * Calls must come in order i = 0, 1, ... */
void vbg_sampler_step(vbg_sampler *s, int i, float *x, const float *out,
                      const float *noise);

/* Tables: train_steps values each. */
const float *vbg_sampler_betas(const vbg_sampler *s);
const float *vbg_sampler_alphas_cumprod(const vbg_sampler *s);
/* y = sqrt(acp[t]) x + sqrt(1-acp[t]) noise, and the v target
 * sqrt(acp[t]) noise - sqrt(1-acp[t]) x.  t is clamped to the table. */
void vbg_add_noise(const vbg_sampler *s, float *y, const float *x, const float *noise,
                   int t, size_t count);
void vbg_velocity(const vbg_sampler *s, float *y, const float *x, const float *noise,
                  int t, size_t count);

#endif
