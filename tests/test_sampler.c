/* Random numbers, schedules and samplers. */
#include "models/rng.h"
#include "models/sampler.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* Known answers of the Random123 library. */
Test(rng, philox_known_answers)
{
    static const uint32_t in[3][6] = {
        { 0, 0, 0, 0, 0, 0 },
        { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
        { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0 }
    };
    static const uint32_t want[3][4] = {
        { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
        { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd },
        { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 }
    };

    for (int i = 0; i < 3; i++) {
        uint32_t out[4];
        vbg_philox4x32(out, in[i], in[i] + 4);
        for (int k = 0; k < 4; k++)
            cr_assert_eq(out[k], want[i][k], "case %d word %d: %08x", i, k, out[k]);
    }
}

Test(rng, normal_is_normal_and_random_access)
{
    enum { N = 40000 };
    static float v[N], part[100];
    double sum = 0, square = 0, cube = 0, fourth = 0;

    vbg_normal(v, N, 42, 3, 0);
    for (int i = 0; i < N; i++) {
        double x = (double)v[i];
        sum += x / N;
        square += x * x / N;
        cube += x * x * x / N;
        fourth += x * x * x * x / N;
    }
    /* standard errors: 1/sqrt(N), sqrt(2/N), sqrt(15/N), sqrt(96/N); five of them */
    cr_assert_lt(fabs(sum), 5 / sqrt(N));
    cr_assert_lt(fabs(square - 1), 5 * sqrt(2.0 / N));
    cr_assert_lt(fabs(cube), 5 * sqrt(15.0 / N));
    cr_assert_lt(fabs(fourth - 3), 5 * sqrt(96.0 / N));
    for (size_t first = 1; first < 8; first++) {
        vbg_normal(part, 100, 42, 3, first);
        cr_assert_arr_eq(part, v + first, sizeof part);
    }
    vbg_normal(part, 100, 42, 4, 0);
    cr_assert_neq(part[0], v[0]);
}

/* Data that is one point: the ideal network knows the noise exactly and every sampler
 * without fresh noise must walk straight to the point (Karras et al. 2022, section 3). */
Test(sampler, point_mass_is_found)
{
    for (int kind = 1; kind < VBG_SAMPLER_KINDS; kind++)
        for (int v = 0; v < 2; v++)
            for (int steps = 1; steps <= 25; steps += 4) {
                vbg_noise_schedule sc = vbg_noise_schedule_default();
                vbg_sampler *s = NULL;
                vbg_err err = { 0 };
                const double target = 0.7;
                sc.prediction = v ? VBG_PREDICT_V : VBG_PREDICT_EPSILON;
                cr_assert_eq(
                    vbg_sampler_open(&s, &sc, (vbg_sampler_kind)kind, steps, 1, &err),
                    VBG_OK, "%s", err.text);
                const float *acp = vbg_sampler_alphas_cumprod(s);
                float x = (float)(1.3 * vbg_sampler_init_sigma(s));
                double left = 0;
                for (int i = 0; i < vbg_sampler_calls(s); i++) {
                    double a, in = (double)x * vbg_sampler_input_scale(s, i);
                    if (vbg_sampler_sigmas(s))
                        a = pow(vbg_sampler_input_scale(s, i), 2);
                    else
                        a = (double)acp[(int)vbg_sampler_timestep(s, i)];
                    if (kind == VBG_SAMPLER_DPMPP_2M_KARRAS)
                        a = -1; /* its timesteps are rounded: no closed form */
                    double eps = (in - sqrt(a) * target) / sqrt(1 - a);
                    float out = (float)(v ? sqrt(a) * eps - sqrt(1 - a) * target : eps);
                    if (a < 0)
                        break;
                    vbg_sampler_step(s, i, &x, &out, NULL);
                    left = eps;
                }
                double want =
                    sqrt((double)acp[0]) * target + sqrt(1 - (double)acp[0]) * left;
                if (vbg_sampler_sigmas(s))
                    want = target; /* down to sigma 0 */
                /* PNDM extrapolates v, which is not constant on the way */
                bool skip = kind == VBG_SAMPLER_DPMPP_2M_KARRAS ||
                            kind == VBG_SAMPLER_EULER_A ||
                            (kind == VBG_SAMPLER_PNDM && v);
                if (!skip)
                    cr_assert_float_eq((double)x, want, 2e-3, "%s v %d steps %d: %g, %g",
                                       vbg_sampler_name((vbg_sampler_kind)kind), v, steps,
                                       (double)x, want);
                vbg_sampler_close(s);
            }
}

Test(sampler, timesteps_of_known_cases)
{
    static const struct {
        vbg_sampler_kind kind;
        vbg_spacing spacing;
        int steps, offset, calls;
        int t[6];
    } cases[] = {
        { VBG_SAMPLER_DDIM, VBG_SPACING_LEADING, 4, 1, 4, { 751, 501, 251, 1 } },
        { VBG_SAMPLER_DDIM, VBG_SPACING_LEADING, 3, 1, 3, { 667, 334, 1 } },
        { VBG_SAMPLER_DDIM, VBG_SPACING_TRAILING, 4, 1, 4, { 999, 749, 499, 249 } },
        { VBG_SAMPLER_DDIM, VBG_SPACING_LINSPACE, 3, 0, 3, { 999, 500, 0 } },
        { VBG_SAMPLER_PNDM, VBG_SPACING_DEFAULT, 4, 1, 5, { 751, 501, 501, 251, 1 } },
        { VBG_SAMPLER_PNDM, VBG_SPACING_DEFAULT, 1, 1, 1, { 1 } },
        { VBG_SAMPLER_DPMPP_2M,
          VBG_SPACING_DEFAULT,
          5,
          1,
          5,
          { 999, 799, 599, 400, 200 } },
        { VBG_SAMPLER_EULER, VBG_SPACING_TRAILING, 1, 0, 1, { 999 } },
        { VBG_SAMPLER_EULER_A, VBG_SPACING_DEFAULT, 2, 0, 2, { 999, 0 } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vbg_noise_schedule sc = vbg_noise_schedule_default();
        vbg_sampler *s = NULL;
        sc.spacing = cases[i].spacing;
        sc.steps_offset = cases[i].offset;
        cr_assert_eq(vbg_sampler_open(&s, &sc, cases[i].kind, cases[i].steps, 1, NULL),
                     VBG_OK);
        cr_assert_eq(vbg_sampler_calls(s), cases[i].calls, "case %zu", i);
        for (int k = 0; k < cases[i].calls; k++)
            cr_assert_float_eq(vbg_sampler_timestep(s, k), cases[i].t[k], 1e-9,
                               "case %zu call %d: %g", i, k, vbg_sampler_timestep(s, k));
        vbg_sampler_close(s);
    }
}

/* Every sampler, every step count: finite, positive sigmas falling. */
Test(sampler, all_stay_finite)
{
    for (int kind = 1; kind < VBG_SAMPLER_KINDS; kind++)
        for (int steps = 1; steps <= 60; steps += steps < 20 ? 1 : 13) {
            vbg_noise_schedule sc = vbg_noise_schedule_default();
            vbg_sampler *s = NULL;
            float x[4] = { 1, -1, 0.5f, 2 }, out[4], noise[4] = { 0.1f, -1, 1, 0 };
            cr_assert_eq(
                vbg_sampler_open(&s, &sc, (vbg_sampler_kind)kind, steps, 4, NULL),
                VBG_OK);
            for (int i = 0; i < vbg_sampler_calls(s); i++) {
                for (int k = 0; k < 4; k++)
                    out[k] = 0.3f * x[k];
                vbg_sampler_step(s, i, x, out, noise);
                for (int k = 0; k < 4; k++)
                    cr_assert(isfinite(x[k]), "%s, %d steps, call %d",
                              vbg_sampler_name((vbg_sampler_kind)kind), steps, i);
            }
            vbg_sampler_close(s);
        }
}

Test(sampler, names_and_configs)
{
    vbg_sampler_kind k;
    vbg_noise_schedule s;
    vbg_err err = { 0 };

    cr_assert(vbg_sampler_parse(&k, "DPMPP-2M") && k == VBG_SAMPLER_DPMPP_2M);
    cr_assert(vbg_sampler_parse(&k, "euler_a") && k == VBG_SAMPLER_EULER_A);
    cr_assert(!vbg_sampler_parse(&k, "euler_ab") && !vbg_sampler_parse(&k, ""));
    cr_assert_eq(vbg_noise_schedule_read(&s, NULL, &err), VBG_OK);
    cr_assert_eq(vbg_noise_schedule_read(&s,
                                         "{\"_class_name\":\"EulerDiscreteScheduler\","
                                         "\"use_karras_sigmas\":true,"
                                         "\"prediction_type\":\"v_prediction\"}",
                                         &err),
                 VBG_OK);
    cr_assert(s.kind == VBG_SAMPLER_EULER_KARRAS && s.prediction == VBG_PREDICT_V);
    cr_assert_eq(vbg_noise_schedule_read(&s, "{\"prediction_type\":\"sample\"}", &err),
                 VBG_EUNSUPPORTED);
    cr_assert(strstr(err.text, "prediction_type"), "%s", err.text);
    vbg_noise_schedule d = vbg_noise_schedule_default();
    vbg_sampler *none = NULL;
    vbg_err e2 = { 0 };
    cr_assert_eq(vbg_sampler_open(&none, &d, VBG_SAMPLER_DDIM, 0, 1, &e2), VBG_EUSAGE);
    cr_assert_eq(vbg_sampler_open(&none, &d, VBG_SAMPLER_DDIM, 1001, 1, &e2), VBG_EUSAGE);
}
