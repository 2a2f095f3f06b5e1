/* Losses of the VAE: gradients against differences. */
#define _GNU_SOURCE
#include "tools/train/base_vae_loss.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guard.h"

typedef struct setup {
    vbg_ctx *c;
    vbg_tape *tape;
    float *y, *x, *dy;
    int n, h, w, ch;
    double value, weight, kl;
    vbg_draw_opt draw;
} setup;

static setup open_setup(int n, int h, int w, int ch)
{
    setup s = { .n = n, .h = h, .w = w, .ch = ch, .weight = 0.5 };
    vbg_ctx_opt o = { .threads = 2, .isa = VBG_ISA_AMX_BF16, .precision = VBG_F32 };
    size_t count = (size_t)(n * h * w * ch);
    uint32_t seed = 5;
    vbg_err err;

    cr_assert(vbg_ctx_new(&s.c, &o, &err) == VBG_OK);
    cr_assert(vbg_tape_new(&s.tape, s.c, NULL, &err) == VBG_OK);
    s.y = vbg_alloc(count * sizeof(float));
    s.x = vbg_alloc(count * sizeof(float));
    s.dy = vbg_alloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        s.y[i] = guard_random(&seed);
        s.x[i] = guard_random(&seed);
    }
    return s;
}

static void close_setup(setup *s)
{
    vbg_free_mem(s->y);
    vbg_free_mem(s->x);
    vbg_free_mem(s->dy);
    vbg_tape_free(s->tape);
    vbg_ctx_free(s->c);
}

static vbg_status picture_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    setup *s = arg;
    vbg_tensor *y = vbg_wrap(c, s->y, VBG_F32, s->n, s->h, s->w, 3);
    vbg_tensor *x = vbg_wrap(c, s->x, VBG_F32, s->n, s->h, s->w, 3);
    vbg_tensor *dy = vbg_wrap(c, s->dy, VBG_F32, s->n, s->h, s->w, 3);
    vbg_picture_loss l = vbg_loss_picture(c, y, x, s->weight, dy);

    (void)err;
    s->value = l.l1 + s->weight * l.detail;
    return VBG_OK;
}

/* The loss is piecewise linear: away from kinks a difference is exact but for rounding,
 * 1e-7 of a value near 1 over a step of 1e-3. */
Test(vae_loss, picture_gradient)
{
    setup s = open_setup(2, 9, 14, 3);
    vbg_err err = { 0 };
    int wrong = 0;

    for (int i = 0; i < 40; i++) {
        size_t at = (size_t)(i * 37 % (2 * 9 * 14 * 3));
        const float e = 1e-3f;
        s.y[at] += e;
        cr_assert(vbg_run(s.c, picture_job, &s, &err) == VBG_OK);
        double up = s.value;
        s.y[at] -= 2 * e;
        cr_assert(vbg_run(s.c, picture_job, &s, &err) == VBG_OK);
        double down = s.value;
        s.y[at] += e;
        cr_assert(vbg_run(s.c, picture_job, &s, &err) == VBG_OK);
        double d = (up - down) / (2 * (double)e), g = (double)s.dy[at];
        wrong += fabs(d - g) > 2e-4; /* the gradient is about 1 / 756 */
    }
    cr_assert(wrong <= 4, "%d of 40 differ", wrong); /* a kink lies within the step */
    close_setup(&s);
}

static vbg_status draw_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    setup *s = arg;

    (void)err;
    vbg_tape_start(s->tape, true);
    vbg_tensor *m = vbg_wrap(c, s->y, VBG_F32, s->n, s->h, s->w, s->ch);
    vbg_require_grad(c, m);
    vbg_tensor *z = vbg_draw_latents(c, m, s->draw, &s->kl);
    vbg_tensor *dz = vbg_new_typed(c, VBG_F32, z->n, z->h, z->w, z->c);
    size_t count = vbg_rows(z) * (size_t)z->c;
    if (!vbg_planning(c)) {
        s->value = 0;
        for (size_t i = 0; i < count; i++) {
            ((float *)dz->data)[i] = s->x[i];
            s->value += (double)s->x[i] * (double)((float *)z->data)[i];
        }
        s->value += (double)s->draw.kl * s->kl;
    }
    vbg_backward_from(c, z, dz);
    if (!vbg_planning(c))
        memcpy(s->dy, vbg_grad(c, m)->data, 2 * count * sizeof(float));
    vbg_tape_stop(s->tape);
    return VBG_OK;
}

/* Without the noise relative to the means, whose size is held fixed on purpose. */
Test(vae_loss, latent_gradient)
{
    setup s = open_setup(1, 3, 4, 6);
    vbg_err err = { 0 };

    s.draw = (vbg_draw_opt){ .seed = 9, .kl = 0.7f };
    for (size_t at = 0; at < 72; at++) {
        const float e = 1e-2f;
        s.y[at] += e;
        cr_assert(vbg_run(s.c, draw_job, &s, &err) == VBG_OK);
        double up = s.value;
        s.y[at] -= 2 * e;
        cr_assert(vbg_run(s.c, draw_job, &s, &err) == VBG_OK);
        double down = s.value;
        s.y[at] += e;
        cr_assert(vbg_run(s.c, draw_job, &s, &err) == VBG_OK);
        double d = (up - down) / (2 * (double)e);
        /* third derivatives are below 1, f32 sums of about 10 round at 1e-6 */
        cr_assert_float_eq(d, s.dy[at], 3e-4, "%zu: %g, difference %g", at,
                           (double)s.dy[at], d);
    }
    close_setup(&s);
}

static vbg_status spectrum_job(vbg_ctx *c, void *arg, vbg_err *err)
{
    setup *s = arg;
    const size_t count = (size_t)(s->n * s->h * s->w * 3);
    vbg_tensor *y = vbg_wrap(c, s->y, VBG_F32, s->n, s->h, s->w, 3);
    vbg_tensor *x = vbg_wrap(c, s->x, VBG_F32, s->n, s->h, s->w, 3);
    vbg_tensor *dy = vbg_wrap(c, s->dy, VBG_F32, s->n, s->h, s->w, 3);

    (void)err;
    for (size_t i = 0; i < count && !vbg_planning(c); i++)
        s->dy[i] = 1; /* the gradient is added */
    s->value = s->weight * vbg_loss_spectrum(c, y, x, s->weight, dy);
    return VBG_OK;
}

/* 2 x 2 windows and a rim that no window covers. */
Test(vae_loss, spectrum_gradient)
{
    setup s = open_setup(1, 64, 70, 3);
    vbg_err err = { 0 };
    int wrong = 0;

    s.weight = 100;
    for (int i = 0; i < 40; i++) {
        size_t at = (size_t)(i * 337 % (64 * 70 * 3));
        const float e = 1e-2f;
        s.y[at] += e;
        cr_assert(vbg_run(s.c, spectrum_job, &s, &err) == VBG_OK);
        double up = s.value;
        s.y[at] -= 2 * e;
        cr_assert(vbg_run(s.c, spectrum_job, &s, &err) == VBG_OK);
        double down = s.value;
        s.y[at] += e;
        cr_assert(vbg_run(s.c, spectrum_job, &s, &err) == VBG_OK);
        double d = (up - down) / (2 * (double)e), g = (double)s.dy[at] - 1;
        if (at / 3 % 70 >= 64)
            cr_assert_eq(g, 0);
        /* kinks of 1024 coefficients lie within the step: each is worth 2 / 1024 of the
         * largest gradient, 100 / 12288 */
        wrong += fabs(d - g) > 2e-4;
    }
    cr_assert(wrong <= 4, "%d of 40 differ", wrong);
    close_setup(&s);
}

/* A shift within the window leaves the strengths as they are; two tones are told apart.
 */
Test(vae_loss, spectrum_of_tones)
{
    setup s = open_setup(1, 32, 32, 3);
    vbg_err err = { 0 };

    s.weight = 1;
    for (int i = 0; i < 32 * 32 * 3; i++) {
        const double x = i / 3 % 32;
        s.y[i] = (float)cos(2 * M_PI * 4 * x / 32);
        s.x[i] = (float)cos(2 * M_PI * 4 * (x + 3) / 32);
    }
    cr_assert(vbg_run(s.c, spectrum_job, &s, &err) == VBG_OK);
    cr_assert(s.value < 1e-5, "%g", s.value);
    for (int i = 0; i < 32 * 32 * 3; i++)
        s.x[i] = (float)cos(2 * M_PI * 7 * (i / 3 % 32) / 32);
    cr_assert(vbg_run(s.c, spectrum_job, &s, &err) == VBG_OK);
    /* four peaks of 16 each (32 * 32 / 2 over 32) among 1024 coefficients */
    cr_assert_float_eq(s.value, 4 * 16.0 / 1024, 1e-4, "%g", s.value);
    close_setup(&s);
}
