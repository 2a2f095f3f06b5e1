/* Micro-batches and steps of `vbg-train base vae`. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/train/base_vae.h"

/* ---- data ---- */

/* 2 of 3, 3 of 4 or (mostly) all of the latents' side, by the job alone. */
static int target_side(const vbg_vae_trainer *t, uint64_t job)
{
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, (uint32_t)(job >> 32), (uint32_t)job, 2);
    int latent = t->side / t->factor;

    if (!vbg_dice_chance(&d, t->shrink) || latent < 4)
        return t->side;
    return (vbg_dice_chance(&d, 0.5) ? latent / 2 : latent * 3 / 4) * t->factor;
}

vbg_status vbg_vae_shrink(float *dst, int to, const float *src, int from, int n,
                          vbg_err *err)
{
    const size_t big_floats = 3 * (size_t)from * (size_t)from;
    const size_t small_floats = 3 * (size_t)to * (size_t)to;
    vbg_status st = VBG_OK;

    for (int i = 0; i < n && st == VBG_OK; i++) {
        vbg_picture big = { 0 }, small = { 0 };
        st = vbg_tiles(&big, src + (size_t)i * big_floats, from, 1, 1, err);
        if (st == VBG_OK)
            st = vbg_picture_new(&small, to, to, 3, err);
        if (st == VBG_OK)
            st = vbg_shrink_to_floats(dst + (size_t)i * small_floats, &small, &big, err);
        vbg_picture_free(&big);
        vbg_picture_free(&small);
    }
    return st;
}

vbg_status vbg_vae_load(void *arg, uint64_t job, int n, vbg_err *err)
{
    vbg_vae_trainer *t = arg;
    vbg_vae_slot *s = &t->slots[n];
    const int side = t->grow * t->side;
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, (uint32_t)(job >> 32), (uint32_t)job, 1);
    vbg_status st = VBG_OK;

    for (int i = 0; i < t->batch && st == VBG_OK; i += VBG_VAE_PER_PICTURE) {
        size_t picture = vbg_dice_word(&d) % vbg_crops_count(&t->crops);
        size_t at = (size_t)i * 3 * (size_t)side * (size_t)side;
        st = vbg_crops_take(&t->crops, picture, false, side,
                            vbg_min_int(VBG_VAE_PER_PICTURE, t->batch - i), &d,
                            s->whole + at, err);
    }
    if (st == VBG_OK && t->grow > 1)
        st = vbg_vae_shrink(s->x, t->side, s->whole, side, t->batch, err);
    s->target_side = target_side(t, job);
    if (st == VBG_OK && s->target_side != t->side)
        st = vbg_vae_shrink(s->target, t->grow * s->target_side, s->whole, side, t->batch,
                            err);
    return st;
}

/* ---- a step ---- */

typedef struct step_job {
    vbg_vae_trainer *t;
    const vbg_vae_slot *s;
    uint64_t job;
    vbg_measure *m;
    bool latest; /* planned for the end of the training, where all terms count */
} step_job;

/* Keeps what the decoder's last convolution reads. */
static void keep_last(void *arg, vbg_ctx *c, const char *name, const vbg_tensor *x)
{
    vbg_tensor **last = arg;

    if (strcmp(name, "dec.norm_out") != 0)
        return;
    *last = vbg_view(c, x, x->n, x->h, x->w, x->c);
    vbg_keep(c, *last);
}

/* Share of the critic in job: nothing at first, then rising over a twentieth. */
static double critic_share(const vbg_vae_trainer *t, uint64_t job)
{
    const double done = vbg_loop_progress(&t->loop, job) - t->gan_start;

    return done < 0 ? 0 : t->gan * fmin(1, 20 * done + 1e-3);
}

static void with_critic(vbg_ctx *c, const step_job *j, const vbg_tensor *last,
                        vbg_tensor *y, const vbg_tensor *x, vbg_tensor *dy)
{
    const vbg_vae_trainer *t = j->t;
    const vbg_gan_in in = { .critic = &t->critic,
                            .params = t->loop.params,
                            .y = y,
                            .x = x,
                            .last = last,
                            .share = critic_share(t, j->job) };
    vbg_gan_out out = { .critic = 2 };

    if (t->gan <= 0)
        return;
    if (in.share > 0 || j->latest)
        out = vbg_gan(c, &in, dy);
    vbg_measure_set(j->m, "critic", out.critic);
    vbg_measure_set(j->m, "critic_weight", out.weight);
}

static vbg_status step_forward(vbg_ctx *c, void *arg, vbg_err *err)
{
    const step_job *j = arg;
    vbg_vae_trainer *t = j->t;
    const bool whole = j->s->target_side == t->side;
    const int side = t->grow * j->s->target_side;
    const int latent = j->s->target_side / t->factor;
    const vbg_draw_opt draw = { t->loop.opt.seed ^ (j->job + 1) * 0x9E3779B97F4A7C15u,
                                t->noise, t->kl };
    vbg_tensor *last = NULL;
    const vbg_vae_trace trace = { &last, keep_last };
    double kl = 0;

    (void)err;
    if (!t->decoder_only)
        vbg_tape_start(t->tape, true);
    vbg_tensor *x = vbg_wrap(c, j->s->x, VBG_F32, t->batch, t->side, t->side, 3);
    vbg_tensor *z = vbg_draw_latents(c, vbg_vae_encode(c, &t->vae, x, NULL), draw, &kl);
    if (t->decoder_only)
        vbg_tape_start(t->tape, true);
    if (!whole)
        z = vbg_resize(c, z, latent, latent, VBG_RESIZE_BILINEAR);
    x = vbg_wrap(c, whole ? j->s->whole : j->s->target, VBG_F32, t->batch, side, side, 3);
    vbg_tensor *y = vbg_vae_decode(c, &t->vae, z, t->gan > 0 ? &trace : NULL);
    vbg_tensor *dy = vbg_new_typed(c, VBG_F32, y->n, y->h, y->w, y->c);
    vbg_picture_loss l = vbg_loss_picture(c, y, x, t->detail, dy);
    double spectrum = 0;
    if (t->spectrum > 0)
        spectrum = vbg_loss_spectrum(c, y, x, t->spectrum, dy);
    with_critic(c, j, last, y, x, dy);
    vbg_backward_from(c, y, dy);
    vbg_tape_stop(t->tape);
    j->m->loss =
        l.l1 + t->detail * l.detail + t->spectrum * spectrum + (double)t->kl * kl;
    vbg_measure_set(j->m, "l1", l.l1);
    vbg_measure_set(j->m, "kl", kl);
    vbg_measure_set(j->m, "psnr", -10 * log10(l.mse / 4 + 1e-12));
    return VBG_OK;
}

vbg_status vbg_vae_step(void *arg, uint64_t job, int n, vbg_measure *m, vbg_err *err)
{
    vbg_vae_trainer *t = arg;
    step_job j = { .t = t, .s = &t->slots[n], .job = job, .m = m };

    return vbg_run(t->loop.ctx, step_forward, &j, err);
}

vbg_status vbg_vae_plan(void *arg, size_t *bytes, vbg_err *err)
{
    vbg_vae_trainer *t = arg;
    vbg_measure m = { 0 };
    vbg_vae_slot s = t->slots[0];
    step_job j = { .t = t, .s = &s, .m = &m, .latest = true };

    s.target_side = t->side;
    return vbg_plan(t->loop.ctx, step_forward, &j, bytes, err);
}

void vbg_vae_describe(void *arg, uint64_t job, int n, char *text, size_t size)
{
    const vbg_vae_trainer *t = arg;
    vbg_dice d = vbg_dice_for(t->loop.opt.seed, (uint32_t)(job >> 32), (uint32_t)job, 1);
    size_t picture = vbg_dice_word(&d) % vbg_crops_count(&t->crops);

    (void)n;
    snprintf(text, size, "%s ...", vbg_crops_name(&t->crops, picture));
}
