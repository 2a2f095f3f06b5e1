/* The chain thread: newest raw frame to composite; the mask thread of mode "latest". */
#include <stdio.h>
#include <string.h>

#include "video/live_internal.h"

/* What was set since the last frame. */
typedef struct settings {
    vbg_mask_opt mask;
    vbg_follow_opt follow;
    vbg_relight_opt relight;
    bool mask_new, recenter;
} settings;

/* The next raw frame's slot, or -1 to stop. */
static int take_raw(vbg_live *l, settings *s)
{
    vbg_mailbox *b = &l->raw_box;

    pthread_mutex_lock(&l->lock);
    while (!l->stop && !b->fresh)
        vbg_live_wait(l, 1);
    if (l->stop) {
        pthread_mutex_unlock(&l->lock);
        return -1;
    }
    const int slot = b->waiting;
    b->waiting = b->reading;
    b->reading = slot;
    b->fresh = false;
    *s = (settings){ .mask = l->mask_opt,
                     .follow = l->follow,
                     .relight = l->relight,
                     .mask_new = l->mask_opt_new && !l->opt.latest,
                     .recenter = l->recenter };
    if (!l->opt.latest)
        l->mask_opt_new = false;
    l->recenter = false;
    pthread_mutex_unlock(&l->lock);
    return slot;
}

/* Mode "latest": gives the mask thread this frame if it has nothing to do, and takes
 * the newest mask there is. */
static const vbg_mask *newest_mask(vbg_live *l, const vbg_raw_frame *raw)
{
    pthread_mutex_lock(&l->lock);
    const bool give = !l->mask_busy;
    pthread_mutex_unlock(&l->lock);
    if (give) { /* the mask thread does not look at it while it is not busy */
        vbg_frame_copy(&l->mask_raw.frame, &raw->frame);
        l->mask_raw.index = raw->index;
        l->mask_raw.epoch = raw->epoch;
    }
    pthread_mutex_lock(&l->lock);
    if (give) {
        l->mask_busy = true;
        pthread_cond_broadcast(&l->changed);
    }
    if (l->mask_fresh) {
        const int t = l->mask_reading;
        l->mask_reading = l->mask_ready;
        l->mask_ready = t;
        l->mask_fresh = false;
    }
    const vbg_mask *m = &l->masks[l->mask_reading];
    pthread_mutex_unlock(&l->lock);
    return m;
}

static void publish(vbg_live *l, const vbg_raw_frame *raw, const vbg_mask *mask,
                    const vbg_chain_report *r)
{
    vbg_mailbox *b = &l->out_box;
    const double now = vbg_now();

    pthread_mutex_lock(&l->lock);
    const int slot = b->writing;
    l->out_since[slot] = raw->frame.time_s;
    l->out_person[slot] = r->person;
    if (!l->opt.latest && mask->valid) {
        l->status.masks++;
        vbg_rate_add(&l->mask_rate, now);
    }
    if (r->person) {
        const double period =
            l->frame_rate.per_s > 0 ? 1000 / l->frame_rate.per_s : 1000.0 / 30;
        l->status.mask_age_ms = (double)(raw->index - mask->index) * period;
    }
    l->status.view = l->seen = r->view;
    b->writing = b->waiting;
    b->waiting = slot;
    b->fresh = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

/* Says once why there is no mask, and that there is one again. */
static void tell(vbg_live *l, bool *failing, const vbg_mask *mask, const vbg_err *err)
{
    if (!mask->valid && !*failing && err->text[0])
        vbg_live_note(l, "no mask: %.200s; the background alone is shown", err->text);
    if (mask->valid && *failing)
        vbg_live_note(l, "masks are back");
    *failing = !mask->valid;
}

void *vbg_live_chain_thread(void *arg)
{
    vbg_live *l = arg;
    bool failing = false;
    settings set;
    int slot;

    while ((slot = take_raw(l, &set)) >= 0) {
        const vbg_raw_frame *raw = &l->raw[slot];
        vbg_chain_report r = { .index = raw->index, .time_s = raw->frame.time_s };
        const vbg_mask *mask;
        if (set.mask_new)
            vbg_chain_set_mask(l->chain, &set.mask, NULL);
        vbg_chain_set_look(l->chain, &set.follow, &set.relight);
        if (set.recenter)
            vbg_chain_recenter(l->chain);
        if (l->opt.latest) {
            mask = vbg_carry_run(l->carry, l->opt.ctx, raw, newest_mask(l, raw));
        } else {
            vbg_chain_find(l->chain, raw, NULL, &r);
            mask = vbg_chain_mask(l->chain);
            tell(l, &failing, mask, &r.mask_err);
        }
        vbg_chain_follow(l->chain, raw, mask, &r);
        pthread_mutex_lock(&l->lock);
        vbg_out_frame *out = l->out[l->out_box.writing];
        pthread_mutex_unlock(&l->lock);
        pthread_mutex_lock(&l->view);
        vbg_chain_show(l->chain, l->background, raw, mask, out, &r);
        pthread_mutex_unlock(&l->view);
        publish(l, raw, mask, &r);
    }
    vbg_live_leave(l);
    return NULL;
}

void *vbg_live_mask_thread(void *arg)
{
    vbg_live *l = arg;
    bool failing = false;

    for (;;) {
        pthread_mutex_lock(&l->lock);
        while (!l->stop && !l->mask_busy)
            vbg_live_wait(l, 1);
        const bool stop = l->stop, opt_new = l->mask_opt_new;
        const vbg_mask_opt opt = l->mask_opt;
        l->mask_opt_new = false;
        vbg_mask *m = &l->masks[l->mask_writing];
        pthread_mutex_unlock(&l->lock);
        if (stop)
            break;
        vbg_err err = { "" };
        if (opt_new)
            vbg_masker_set(l->mask_masker, &opt, NULL);
        vbg_masker_run(l->mask_masker, l->mask_ctx, &l->mask_raw, NULL, m, &err);
        tell(l, &failing, m, &err);
        pthread_mutex_lock(&l->lock);
        if (m->valid) {
            l->status.masks++;
            vbg_rate_add(&l->mask_rate, vbg_now());
        }
        const int t = l->mask_ready;
        l->mask_ready = l->mask_writing;
        l->mask_writing = t;
        l->mask_fresh = true;
        l->mask_busy = false;
        pthread_mutex_unlock(&l->lock);
    }
    vbg_live_leave(l);
    return NULL;
}
