/* Schedules and samplers; see models/sampler.h. */
#include "models/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "models/json_field.h"

struct vbg_sampler {
    vbg_noise_schedule sc;
    vbg_sampler_kind kind;
    int steps, calls;
    size_t count;
    float *betas, *acp;  /* [train_steps] */
    double *time;        /* [calls] */
    float *sigma;        /* [calls + 1], sigma-based samplers */
    double *alpha, *dev; /* [calls + 1], DPM-Solver: alpha and sigma of each point */
    double init;
    float *history[4]; /* outputs of earlier calls, newest first; PNDM keeps 4 */
    float *saved;      /* PNDM: the sample before the second call */
    int kept;          /* how many of history are valid */
    char *memory;
};

static const struct {
    const char *name, *label, *class;
} kinds[VBG_SAMPLER_KINDS] = {
    [VBG_SAMPLER_MODEL] = { "model", "", "" },
    [VBG_SAMPLER_DDIM] = { "ddim", "DDIM", "DDIMScheduler" },
    [VBG_SAMPLER_PNDM] = { "pndm", "PLMS", "PNDMScheduler" },
    [VBG_SAMPLER_EULER] = { "euler", "Euler", "EulerDiscreteScheduler" },
    [VBG_SAMPLER_EULER_KARRAS] = { "euler_karras", "Euler Karras", "" },
    [VBG_SAMPLER_EULER_A] = { "euler_a", "Euler a", "EulerAncestralDiscreteScheduler" },
    [VBG_SAMPLER_DPMPP_2M] = { "dpmpp_2m", "DPM++ 2M", "DPMSolverMultistepScheduler" },
    [VBG_SAMPLER_DPMPP_2M_KARRAS] = { "dpmpp_2m_karras", "DPM++ 2M Karras", "" },
};

const char *vbg_sampler_name(vbg_sampler_kind kind)
{
    return kinds[kind].name;
}

const char *vbg_sampler_label(vbg_sampler_kind kind)
{
    return kinds[kind].label;
}

bool vbg_sampler_parse(vbg_sampler_kind *out, const char *name)
{
    for (int i = 0; i < VBG_SAMPLER_KINDS; i++) {
        const char *a = kinds[i].name, *b = name;
        while (*a && (*a == *b || (*b >= 'A' && *b <= 'Z' && *a == *b - 'A' + 'a') ||
                      (*a == '_' && *b == '-')))
            a++, b++;
        if (*a == 0 && *b == 0) {
            *out = (vbg_sampler_kind)i;
            return true;
        }
    }
    return false;
}

/* ---- the config ---- */

vbg_noise_schedule vbg_noise_schedule_default(void)
{
    return (vbg_noise_schedule){ .kind = VBG_SAMPLER_DDIM,
                                 .train_steps = 1000,
                                 .beta_start = 0.00085,
                                 .beta_end = 0.012,
                                 .scaled_linear = true,
                                 .prediction = VBG_PREDICT_EPSILON,
                                 .steps_offset = 1,
                                 .skip_prk = true,
                                 .clip_range = 1 };
}

/* The sampler of a scheduler class; others are mapped to the nearest we have. */
static vbg_sampler_kind kind_of(const char *class, bool karras)
{
    vbg_sampler_kind k = VBG_SAMPLER_DDIM;

    for (int i = 1; class && i < VBG_SAMPLER_KINDS; i++)
        if (*kinds[i].class && strcmp(class, kinds[i].class) == 0)
            k = (vbg_sampler_kind)i;
    if (class && (strcmp(class, "DPMSolverSinglestepScheduler") == 0 ||
                  strcmp(class, "UniPCMultistepScheduler") == 0))
        k = VBG_SAMPLER_DPMPP_2M;
    if (karras && k == VBG_SAMPLER_EULER)
        k = VBG_SAMPLER_EULER_KARRAS;
    if (karras && k == VBG_SAMPLER_DPMPP_2M)
        k = VBG_SAMPLER_DPMPP_2M_KARRAS;
    return k;
}

/* A word out of a list; *out is its place.  Absent: untouched. */
static void read_word(vbg_fields *f, const char *key, const char *const *words, int *out)
{
    const char *s = vbg_field_text(f, key);

    if (!s || f->st != VBG_OK)
        return;
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], s) == 0) {
            *out = i;
            return;
        }
    f->st = vbg_fail(f->err, VBG_EUNSUPPORTED, "%s: %s \"%.40s\" is not supported",
                     f->what, key, s);
}

vbg_status vbg_noise_schedule_read(vbg_noise_schedule *out, const char *json,
                                   vbg_err *err)
{
    static const char *const betas[] = { "linear", "scaled_linear", NULL };
    static const char *const predictions[] = { "epsilon", "v_prediction", NULL };
    static const char *const spacings[] = { "", "leading", "linspace", "trailing", NULL };
    vbg_noise_schedule s = vbg_noise_schedule_default();
    int beta = 1, prediction = 0, spacing = 0;
    bool karras = false;
    vbg_fields f;

    if (!json || !*json) {
        *out = s;
        return VBG_OK;
    }
    vbg_fields_open(&f, "scheduler config", json, err);
    const char *class = vbg_field_text(&f, "_class_name");
    vbg_field_bool(&f, "use_karras_sigmas", &karras);
    s.kind = kind_of(class, karras);
    s.clip_sample = class && strcmp(class, "DDIMScheduler") == 0;
    s.set_alpha_to_one = s.clip_sample;
    s.steps_offset = 0;
    vbg_field_int(&f, "num_train_timesteps", &s.train_steps, 1, 100000);
    vbg_field_real(&f, "beta_start", &s.beta_start, 0, 1);
    vbg_field_real(&f, "beta_end", &s.beta_end, 0, 1);
    vbg_field_int(&f, "steps_offset", &s.steps_offset, 0, 1000);
    vbg_field_bool(&f, "set_alpha_to_one", &s.set_alpha_to_one);
    vbg_field_bool(&f, "clip_sample", &s.clip_sample);
    vbg_field_real(&f, "clip_sample_range", &s.clip_range, 0, 1e6);
    vbg_field_bool(&f, "rescale_betas_zero_snr", &s.zero_snr);
    vbg_field_bool(&f, "skip_prk_steps", &s.skip_prk);
    read_word(&f, "beta_schedule", betas, &beta);
    read_word(&f, "prediction_type", predictions, &prediction);
    read_word(&f, "timestep_spacing", spacings, &spacing);
    s.scaled_linear = beta == 1;
    s.prediction = prediction ? VBG_PREDICT_V : VBG_PREDICT_EPSILON;
    s.spacing = (vbg_spacing)spacing;
    if (f.st == VBG_OK)
        *out = s;
    return vbg_fields_close(&f);
}

/* ---- tables ---- */

/* Rescales so that the last signal level is zero (Lin et al. 2024, alg. 1). */
static void zero_terminal(float *acp, int n)
{
    const double first = sqrt((double)acp[0]), last = sqrt((double)acp[n - 1]);

    for (int i = 0; i < n; i++) {
        double s = (sqrt((double)acp[i]) - last) * first / (first - last);
        acp[i] = (float)(s * s);
    }
    acp[n - 1] = 0x1p-24f; /* keeps sigma finite */
}

/* Rounded to f32 where the reference keeps f32 tensors. */
static void fill_tables(vbg_sampler *s)
{
    const int n = s->sc.train_steps;
    float a = (float)s->sc.beta_start, b = (float)s->sc.beta_end;
    double product = 1;

    if (s->sc.scaled_linear) {
        a = (float)sqrt(s->sc.beta_start);
        b = (float)sqrt(s->sc.beta_end);
    }
    const float step = n > 1 ? (b - a) / (float)(n - 1) : 0;
    for (int i = 0; i < n; i++) {
        float v = i < n / 2 ? a + step * (float)i : b - step * (float)(n - 1 - i);
        s->betas[i] = s->sc.scaled_linear ? v * v : v;
        product *= (double)(1.0f - s->betas[i]);
        s->acp[i] = (float)product;
    }
    if (s->sc.zero_snr && n > 1)
        zero_terminal(s->acp, n);
}

/* Half to even, as numpy. */
static double round_even(double x)
{
    return nearbyint(x);
}

/* Spaced timesteps, descending, whole unless fractions is set (Euler's linspace).
 * DPM-Solver takes one point more and leaves the last. */
static void spread(const vbg_sampler *s, vbg_spacing spacing, bool fractions, double *t)
{
    const bool dpm = s->alpha != NULL;
    const int n = s->steps, train = s->sc.train_steps, points = n + dpm;

    for (int i = 0; i < n; i++) {
        int up = points - 1 - i; /* place in ascending order */
        double v;
        if (spacing == VBG_SPACING_LEADING) {
            v = (double)up * (train / points) + s->sc.steps_offset;
        } else if (spacing == VBG_SPACING_TRAILING) {
            v = round_even(train - i * ((double)train / n)) - 1;
        } else {
            double step = points > 1 ? (double)(train - 1) / (points - 1) : 0;
            v = up == points - 1 && points > 1 ? train - 1 : up * step;
            v = fractions ? v : round_even(v);
        }
        t[i] = fmin(fmax(v, 0), train - 1);
    }
}

static double sigma_of(const vbg_sampler *s, int t)
{
    double a = (double)s->acp[t];

    return sqrt((1 - a) / a);
}

/* Sigma at a fractional timestep, by linear interpolation. */
static double sigma_at(const vbg_sampler *s, double t)
{
    int low = (int)t, last = s->sc.train_steps - 1;

    if (low >= last)
        return sigma_of(s, last);
    double a = sigma_of(s, low), b = sigma_of(s, low + 1);
    return a + (b - a) * (t - low);
}

/* The timestep whose log sigma this is, fractional. */
static double time_of(const vbg_sampler *s, double sigma)
{
    int low = 0, last = s->sc.train_steps - 1;

    if (last == 0)
        return 0;
    while (low < last - 1 && sigma_of(s, low + 1) <= sigma)
        low++;
    double a = log(sigma_of(s, low)), b = log(sigma_of(s, low + 1));
    double w = fmin(fmax((a - log(sigma)) / (a - b), 0), 1);
    return (1 - w) * low + w * (low + 1);
}

/* Karras et al. 2022, eq. 5, rho = 7. */
static double karras_sigma(double top, double bottom, int i, int n)
{
    double r = n > 1 ? (double)i / (n - 1) : 0, rho = 7;

    return pow(pow(top, 1 / rho) + r * (pow(bottom, 1 / rho) - pow(top, 1 / rho)), rho);
}

static vbg_spacing spacing_of(const vbg_sampler *s, vbg_spacing fallback)
{
    return s->sc.spacing == VBG_SPACING_DEFAULT ? fallback : s->sc.spacing;
}

static void start_euler(vbg_sampler *s)
{
    const vbg_spacing spacing = spacing_of(s, VBG_SPACING_LINSPACE);
    const int n = s->steps;

    spread(s, spacing, true, s->time);
    for (int i = 0; i < n; i++)
        s->sigma[i] = (float)sigma_at(s, s->time[i]);
    if (s->kind == VBG_SAMPLER_EULER_KARRAS) {
        double top = sigma_at(s, s->time[0]), bottom = sigma_at(s, s->time[n - 1]);
        for (int i = 0; i < n; i++) {
            double sigma = karras_sigma(top, bottom, i, n);
            s->sigma[i] = (float)sigma;
            s->time[i] = time_of(s, sigma);
        }
    }
    s->sigma[n] = 0;
    s->init = (double)s->sigma[0];
    if (spacing == VBG_SPACING_LEADING)
        s->init = sqrt(s->init * s->init + 1);
}

static void start_dpm(vbg_sampler *s)
{
    const int n = s->steps;

    spread(s, spacing_of(s, VBG_SPACING_LINSPACE), false, s->time);
    for (int i = 0; i <= n; i++) {
        int t = i < n ? (int)s->time[i] : 0;
        s->alpha[i] = sqrt((double)s->acp[t]);
        s->dev[i] = sqrt(1 - (double)s->acp[t]);
    }
    if (s->kind != VBG_SAMPLER_DPMPP_2M_KARRAS)
        return;
    double top = sigma_of(s, s->sc.train_steps - 1), bottom = sigma_of(s, 0);
    for (int i = 0; i <= n; i++) {
        double sigma = i < n ? karras_sigma(top, bottom, i, n) : 0;
        s->alpha[i] = 1 / sqrt(sigma * sigma + 1);
        s->dev[i] = sigma * s->alpha[i];
        if (i < n)
            s->time[i] = round_even(time_of(s, sigma));
    }
}

/* The second of the descending timesteps is evaluated twice. */
static void start_pndm(vbg_sampler *s)
{
    spread(s, spacing_of(s, VBG_SPACING_LEADING), false, s->time);
    if (s->steps < 2)
        return;
    memmove(s->time + 2, s->time + 1, (size_t)(s->steps - 1) * sizeof *s->time);
}

static void *take(char **at, size_t bytes)
{
    void *p = *at;

    *at += vbg_round_up(bytes, 64);
    return p;
}

/* One block for all arrays. */
static bool take_memory(vbg_sampler *s)
{
    const size_t train = (size_t)s->sc.train_steps, points = (size_t)s->calls + 1;
    const size_t x = s->count * sizeof(float), slack = 64;
    const size_t bytes = 2 * (train * sizeof(float) + slack) +
                         4 * (points * sizeof(double) + slack) + 5 * (x + slack);
    const bool dpm =
        s->kind == VBG_SAMPLER_DPMPP_2M || s->kind == VBG_SAMPLER_DPMPP_2M_KARRAS;
    char *at = s->memory = vbg_alloc(bytes);

    if (!at)
        return false;
    s->betas = take(&at, train * sizeof(float));
    s->acp = take(&at, train * sizeof(float));
    s->time = take(&at, points * sizeof(double));
    s->sigma = take(&at, points * sizeof(double));
    s->alpha = take(&at, points * sizeof(double));
    s->dev = take(&at, points * sizeof(double));
    for (int i = 0; i < 4; i++)
        s->history[i] = take(&at, x);
    s->saved = take(&at, x);
    if (!dpm)
        s->alpha = NULL;
    return true;
}

vbg_status vbg_sampler_open(vbg_sampler **out, const vbg_noise_schedule *schedule,
                            vbg_sampler_kind kind, int steps, size_t count, vbg_err *err)
{
    if (kind == VBG_SAMPLER_MODEL)
        kind = schedule->kind;
    const int top = vbg_min_int(schedule->train_steps, VBG_SAMPLER_MAX_STEPS);
    if (steps < 1 || steps > top)
        return vbg_fail(err, VBG_EUSAGE, "steps: %d is not between 1 and %d", steps, top);
    if (kind == VBG_SAMPLER_PNDM && !schedule->skip_prk)
        return vbg_fail(err, VBG_EUNSUPPORTED,
                        "PNDM with Runge-Kutta warm-up is not supported: choose another "
                        "sampler");
    vbg_sampler *s = calloc(1, sizeof *s);
    if (s)
        *s = (vbg_sampler){ .sc = *schedule,
                            .kind = kind,
                            .steps = steps,
                            .calls = steps,
                            .count = count,
                            .init = 1 };
    if (s && kind == VBG_SAMPLER_PNDM && steps > 1)
        s->calls++;
    if (!s || !take_memory(s)) {
        vbg_sampler_close(s);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a sampler");
    }
    fill_tables(s);
    if (kind == VBG_SAMPLER_PNDM)
        start_pndm(s);
    else if (s->alpha)
        start_dpm(s);
    else if (kind == VBG_SAMPLER_DDIM)
        spread(s, spacing_of(s, VBG_SPACING_LEADING), false, s->time);
    else
        start_euler(s);
    *out = s;
    return VBG_OK;
}

void vbg_sampler_close(vbg_sampler *s)
{
    if (!s)
        return;
    vbg_free_mem(s->memory);
    free(s);
}

/* ---- what it is ---- */

static bool by_sigma(const vbg_sampler *s)
{
    return s->kind == VBG_SAMPLER_EULER || s->kind == VBG_SAMPLER_EULER_KARRAS ||
           s->kind == VBG_SAMPLER_EULER_A;
}

vbg_sampler_kind vbg_sampler_kind_of(const vbg_sampler *s)
{
    return s->kind;
}

int vbg_sampler_calls(const vbg_sampler *s)
{
    return s->calls;
}

double vbg_sampler_timestep(const vbg_sampler *s, int i)
{
    return s->time[i];
}

const float *vbg_sampler_sigmas(const vbg_sampler *s)
{
    return by_sigma(s) ? s->sigma : NULL;
}

double vbg_sampler_init_sigma(const vbg_sampler *s)
{
    return s->init;
}

double vbg_sampler_input_scale(const vbg_sampler *s, int i)
{
    double sigma = (double)s->sigma[i];

    return by_sigma(s) ? 1 / sqrt(sigma * sigma + 1) : 1;
}

bool vbg_sampler_wants_noise(const vbg_sampler *s, int i)
{
    return (s->kind == VBG_SAMPLER_EULER_A && i + 1 < s->calls) ||
           (s->kind == VBG_SAMPLER_DDIM && s->sc.eta > 0);
}

const float *vbg_sampler_betas(const vbg_sampler *s)
{
    return s->betas;
}

const float *vbg_sampler_alphas_cumprod(const vbg_sampler *s)
{
    return s->acp;
}

/* ---- steps ---- */

/* Alpha of a timestep that may lie below zero. */
static double alpha_at(const vbg_sampler *s, int t)
{
    if (t < 0)
        return s->sc.set_alpha_to_one ? 1 : (double)s->acp[0];
    return (double)s->acp[t < s->sc.train_steps ? t : s->sc.train_steps - 1];
}

static void step_ddim(const vbg_sampler *s, int i, float *x, const float *out,
                      const float *noise)
{
    const int t = (int)s->time[i];
    const double a = alpha_at(s, t);
    const double p = alpha_at(s, t - s->sc.train_steps / s->steps);
    const double ra = sqrt(a), rb = sqrt(1 - a);
    const double var = (1 - p) / (1 - a) * (1 - a / p);
    const double sigma = s->sc.eta * sqrt(var > 0 ? var : 0);
    const double left = 1 - p - sigma * sigma, dir = sqrt(left > 0 ? left : 0);

    for (size_t k = 0; k < s->count; k++) {
        double v = (double)x[k], o = (double)out[k], clean, eps;
        if (s->sc.prediction == VBG_PREDICT_V) {
            clean = ra * v - rb * o;
            eps = ra * o + rb * v;
        } else {
            clean = (v - rb * o) / ra;
            eps = o;
        }
        if (s->sc.clip_sample)
            clean = fmin(fmax(clean, -s->sc.clip_range), s->sc.clip_range);
        v = sqrt(p) * clean + dir * eps;
        x[k] = (float)(noise ? v + sigma * (double)noise[k] : v);
    }
}

/* Newest first: makes room for one more output. */
static float *push_history(vbg_sampler *s, int keep)
{
    float *last = s->history[3];

    memmove(s->history + 1, s->history, 3 * sizeof *s->history);
    s->history[0] = last;
    s->kept = s->kept < keep ? s->kept + 1 : keep;
    return last;
}

/* Linear multistep coefficients of Adams-Bashforth, orders 1 to 4. */
static const double adams[4][4] = { { 1, 0, 0, 0 },
                                    { 3.0 / 2, -1.0 / 2, 0, 0 },
                                    { 23.0 / 12, -16.0 / 12, 5.0 / 12, 0 },
                                    { 55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24 } };

/* Call 0 steps with the plain output; call 1, one step further down, repeats the
 * step from the saved sample with the mean of both; then Adams-Bashforth. */
static void step_pndm(vbg_sampler *s, int i, float *x, const float *out)
{
    const int stride = s->sc.train_steps / s->steps;
    int t = (int)s->time[i], prev = t - stride;
    double w[4] = { 0, 0, 0, 0 };

    if (i == 0)
        memcpy(s->saved, x, s->count * sizeof *x);
    if (i == 1) {
        prev = t;
        t += stride;
        w[0] = 0.5;
        memcpy(x, s->saved, s->count * sizeof *x);
    } else {
        memcpy(push_history(s, 4), out, s->count * sizeof *out);
        memcpy(w, adams[s->kept - 1], sizeof w);
    }
    const double a = alpha_at(s, t), p = alpha_at(s, prev);
    const double scale = sqrt(p / a);
    const double factor = (p - a) / (a * sqrt(1 - p) + sqrt(a * (1 - a) * p));
    for (size_t k = 0; k < s->count; k++) {
        double e = i == 1 ? (double)out[k] * 0.5 : 0, v = (double)x[k];
        for (int j = 0; j < s->kept; j++)
            e += w[j] * (double)s->history[j][k];
        if (s->sc.prediction == VBG_PREDICT_V)
            e = sqrt(a) * e + sqrt(1 - a) * v;
        x[k] = (float)(scale * v - factor * e);
    }
}

static void step_euler(const vbg_sampler *s, int i, float *x, const float *out,
                       const float *noise)
{
    const double sigma = (double)s->sigma[i], next = (double)s->sigma[i + 1];
    const double square = sigma * sigma + 1;
    double down = next, up = 0;

    if (s->kind == VBG_SAMPLER_EULER_A) {
        up = sqrt(next * next * (sigma * sigma - next * next) / (sigma * sigma));
        down = sqrt(next * next - up * up);
    }
    for (size_t k = 0; k < s->count; k++) {
        double v = (double)x[k], o = (double)out[k];
        double clean = s->sc.prediction == VBG_PREDICT_V
                           ? v / square - o * sigma / sqrt(square)
                           : v - sigma * o;
        v += (v - clean) / sigma * (down - sigma);
        x[k] = (float)(noise ? v + up * (double)noise[k] : v);
    }
}

/* Log signal-to-noise ratio of point i. */
static double lambda(const vbg_sampler *s, int i)
{
    return log(s->alpha[i]) - log(s->dev[i]);
}

static void step_dpm(vbg_sampler *s, int i, float *x, const float *out)
{
    const double a = s->alpha[i], d = s->dev[i], at = s->alpha[i + 1], dt = s->dev[i + 1];
    const bool last = i + 1 == s->calls && (s->steps < 15 || dt == 0);
    float *clean = push_history(s, 2);
    const double grow = dt == 0 ? -1 : exp(lambda(s, i) - lambda(s, i + 1)) - 1;
    double slope = 0;

    if (i > 0 && !last) {
        double h = lambda(s, i + 1) - lambda(s, i), h0 = lambda(s, i) - lambda(s, i - 1);
        slope = 0.5 * h / h0;
    }
    for (size_t k = 0; k < s->count; k++) {
        double v = (double)x[k], o = (double)out[k];
        double m = s->sc.prediction == VBG_PREDICT_V ? a * v - d * o : (v - d * o) / a;
        clean[k] = (float)m;
        if (i > 0 && !last)
            m += slope * (m - (double)s->history[1][k]);
        x[k] = (float)(dt / d * v - at * grow * m);
    }
}

void vbg_sampler_step(vbg_sampler *s, int i, float *x, const float *out,
                      const float *noise)
{
    VBG_CHECK(i >= 0 && i < s->calls, "sampler call %d of %d", i, s->calls);
    if (!vbg_sampler_wants_noise(s, i))
        noise = NULL;
    if (s->kind == VBG_SAMPLER_DDIM)
        step_ddim(s, i, x, out, noise);
    else if (s->kind == VBG_SAMPLER_PNDM)
        step_pndm(s, i, x, out);
    else if (s->alpha)
        step_dpm(s, i, x, out);
    else
        step_euler(s, i, x, out, noise);
}

/* ---- training targets ---- */

static void mix(const vbg_sampler *s, float *y, const float *a, const float *b, int t,
                double sign, size_t count)
{
    const double acp = alpha_at(s, t < 0 ? 0 : t), ra = sqrt(acp), rb = sqrt(1 - acp);

    for (size_t i = 0; i < count; i++)
        y[i] = (float)(ra * (double)a[i] + sign * rb * (double)b[i]);
}

void vbg_add_noise(const vbg_sampler *s, float *y, const float *x, const float *noise,
                   int t, size_t count)
{
    mix(s, y, x, noise, t, 1, count);
}

void vbg_velocity(const vbg_sampler *s, float *y, const float *x, const float *noise,
                  int t, size_t count)
{
    mix(s, y, noise, x, t, -1, count);
}
