/* A live session: start, stop, settings, status. */
#define _GNU_SOURCE
#include "video/live.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "video/live_internal.h"

void vbg_live_wait(vbg_live *l, double seconds)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    const double end = (double)t.tv_nsec * 1e-9 + seconds;
    t.tv_sec += (time_t)end;
    t.tv_nsec = (long)((end - (double)(time_t)end) * 1e9);
    pthread_cond_timedwait(&l->changed, &l->lock, &t);
}

void vbg_live_note(vbg_live *l, const char *fmt, ...)
{
    va_list ap;

    pthread_mutex_lock(&l->lock);
    va_start(ap, fmt);
    vsnprintf(l->status.note, sizeof l->status.note, fmt, ap);
    va_end(ap);
    l->status.notes++;
    pthread_mutex_unlock(&l->lock);
}

void vbg_rate_add(vbg_rate *r, double now)
{
    r->count++;
    if (r->since == 0 || now - r->since > 5) {
        *r = (vbg_rate){ .since = now };
    } else if (now - r->since >= 1) {
        r->per_s = r->count / (now - r->since);
        r->since = now;
        r->count = 0;
    }
}

bool vbg_live_resting(const vbg_live *l)
{
    return l->paused || l->idle;
}

static void free_all(vbg_live *l)
{
    for (int i = 0; i < l->sink_count; i++)
        vbg_sink_close(l->sinks[i]);
    vbg_background_close(l->background);
    for (int i = 0; i < 3; i++) {
        vbg_frame_free(&l->raw[i].frame);
        vbg_out_frame_free(l->out[i]);
        vbg_picture_free(&l->masks[i].alpha);
    }
    vbg_out_frame_free(l->alone);
    vbg_chain_free(l->chain);
    vbg_masker_free(l->mask_masker);
    vbg_frame_free(&l->mask_raw.frame);
    vbg_carry_free(l->carry);
    vbg_frame_free(&l->camera_frame);
    vbg_frame_scaler_free(l->scaler);
    vbg_ctx_free(l->mask_ctx);
    vbg_ctx_free(l->out_ctx);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->view);
    pthread_cond_destroy(&l->changed);
    free(l);
}

/* Everything but the threads. */
static vbg_status build(vbg_live *l, vbg_err *err)
{
    const vbg_live_opt *o = &l->opt;
    const vbg_chain_opt chain = {
        .mask = l->mask_opt, .background = l->background, .fov_x = o->fov_x, .track = true
    };
    vbg_status (*new_frame)(vbg_out_frame **, int, int, vbg_err *) =
        o->alpha ? vbg_out_frame_new_alpha : vbg_out_frame_new;
    vbg_ctx_opt one = o->ctx_opt;
    vbg_status st = vbg_chain_new(&l->chain, o->ctx, &chain, err);

    one.threads = 1;
    if (st == VBG_OK)
        st = vbg_ctx_new(&l->out_ctx, &one, err);
    if (st == VBG_OK)
        st = vbg_frame_scaler_new(&l->scaler, err);
    for (int i = 0; i < 3 && st == VBG_OK; i++) {
        st = vbg_frame_new(&l->raw[i].frame, o->w, o->h, err);
        if (st == VBG_OK)
            st = new_frame(&l->out[i], o->w, o->h, err);
        if (st == VBG_OK && o->latest)
            st = vbg_picture_new(&l->masks[i].alpha, o->w, o->h, 1, err);
    }
    if (st == VBG_OK)
        st = new_frame(&l->alone, o->w, o->h, err);
    if (st == VBG_OK && o->latest) {
        st = vbg_ctx_new(&l->mask_ctx, &one, err);
        if (st == VBG_OK)
            st = vbg_masker_new(&l->mask_masker, &l->mask_opt, err);
        if (st == VBG_OK)
            st = vbg_frame_new(&l->mask_raw.frame, o->w, o->h, err);
        if (st == VBG_OK)
            st = vbg_carry_new(&l->carry, o->w, o->h, err);
    }
    return st;
}

static void start_state(vbg_live *l)
{
    pthread_condattr_t a;

    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->view, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &a);
    pthread_condattr_destroy(&a);
    l->raw_box = l->out_box = (vbg_mailbox){ 0, 1, 2, false };
    l->mask_ready = 1;
    l->mask_reading = 2;
    l->mask_opt = l->opt.mask;
    l->mask_opt.w = l->opt.w;
    l->mask_opt.h = l->opt.h;
    l->flip_h = l->opt.flip_h;
    l->flip_v = l->opt.flip_v;
    l->background = l->opt.background;
    l->follow = l->opt.follow;
    l->relight = l->opt.relight;
    l->status.readers = -1;
}

/* A thread is counted before it runs. */
static bool launch(vbg_live *l, void *(*fn)(void *))
{
    pthread_mutex_lock(&l->lock);
    const bool ok = pthread_create(&l->threads[l->started], NULL, fn, l) == 0;
    l->started += ok;
    l->alive += ok;
    pthread_mutex_unlock(&l->lock);
    return ok;
}

vbg_status vbg_live_start(vbg_live **out, const vbg_live_opt *opt, vbg_sink **sinks,
                          int n, vbg_err *err)
{
    vbg_live *l = calloc(1, sizeof *l);
    vbg_status st;

    *out = NULL;
    if (!l || n < 1 || n > VBG_LIVE_SINKS) {
        for (int i = 0; i < n; i++)
            vbg_sink_close(sinks[i]);
        vbg_background_close(opt->background);
        free(l);
        return l ? vbg_fail(err, VBG_EUSAGE, "%d outputs", n)
                 : vbg_fail(err, VBG_ENOMEM, "out of memory");
    }
    l->opt = *opt;
    l->sink_count = n;
    memcpy(l->sinks, sinks, (size_t)n * sizeof *sinks);
    start_state(l);
    st = build(l, err);
    if (st != VBG_OK) {
        free_all(l);
        return st;
    }
    if (!launch(l, vbg_live_output_thread) || !launch(l, vbg_live_chain_thread) ||
        (opt->latest && !launch(l, vbg_live_mask_thread)) ||
        !launch(l, vbg_live_camera_thread)) {
        vbg_live_stop(l);
        return vbg_fail(err, VBG_ENOMEM, "cannot start a thread");
    }
    *out = l;
    return VBG_OK;
}

void vbg_live_leave(vbg_live *l)
{
    pthread_mutex_lock(&l->lock);
    l->alive--;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

bool vbg_live_stop(vbg_live *l)
{
    if (!l)
        return true;
    const double end = vbg_now() + 3;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->changed);
    while (l->alive > 0 && vbg_now() < end)
        vbg_live_wait(l, 0.1);
    const bool done = l->alive == 0;
    pthread_mutex_unlock(&l->lock);
    if (!done)
        return false;
    for (int i = 0; i < l->started; i++)
        pthread_join(l->threads[i], NULL);
    free_all(l);
    return true;
}

void vbg_live_get_status(vbg_live *l, vbg_live_status *s)
{
    pthread_mutex_lock(&l->lock);
    *s = l->status;
    s->frames_s = l->frame_rate.per_s;
    s->masks_s = l->mask_rate.per_s;
    s->paused = l->paused;
    s->idle = l->idle;
    pthread_mutex_unlock(&l->lock);
}

void vbg_live_pause(vbg_live *l, bool on)
{
    pthread_mutex_lock(&l->lock);
    l->paused = on;
    l->out_box.fresh = false;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void vbg_live_set_background(vbg_live *l, vbg_background *b)
{
    pthread_mutex_lock(&l->view);
    vbg_background *old = l->background;
    l->background = b;
    pthread_mutex_unlock(&l->view);
    vbg_background_close(old);
}

void vbg_live_set_mask(vbg_live *l, const vbg_mask_opt *opt)
{
    pthread_mutex_lock(&l->lock);
    l->mask_opt = *opt;
    l->mask_opt_new = true;
    pthread_mutex_unlock(&l->lock);
}

void vbg_live_set_look(vbg_live *l, const vbg_follow_opt *follow,
                       const vbg_relight_opt *relight)
{
    pthread_mutex_lock(&l->lock);
    l->follow = *follow;
    l->relight = *relight;
    pthread_mutex_unlock(&l->lock);
}

void vbg_live_set_camera(vbg_live *l, const char *path, const vbg_camera_want *want)
{
    pthread_mutex_lock(&l->lock);
    snprintf(l->opt.camera, sizeof l->opt.camera, "%s", path);
    l->opt.want = *want;
    l->camera_new = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void vbg_live_set_flip(vbg_live *l, bool h, bool v)
{
    pthread_mutex_lock(&l->lock);
    l->flip_h = h;
    l->flip_v = v;
    pthread_mutex_unlock(&l->lock);
}

void vbg_live_recenter(vbg_live *l)
{
    pthread_mutex_lock(&l->lock);
    l->recenter = true;
    pthread_mutex_unlock(&l->lock);
}
