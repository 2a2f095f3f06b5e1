/* The output thread: composites as they come, the background alone when none comes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "video/live_internal.h"

enum { RETRY_MS = 250, ALONE_MS = 100, IDLE_MS = 1000, IDLE_AFTER_MS = 1500 };

/* Insertion sort: the library's may ask for memory. */
static void sort(double *v, int n)
{
    for (int i = 1; i < n; i++) {
        const double x = v[i];
        int k = i;
        for (; k > 0 && v[k - 1] > x; k--)
            v[k] = v[k - 1];
        v[k] = x;
    }
}

/* One more latency; p50 and p95 of the last ones now and then. */
static void count_time(vbg_live *l, double seconds)
{
    double sorted[VBG_LIVE_TIMES];

    pthread_mutex_lock(&l->lock);
    l->times[l->time_count++ % VBG_LIVE_TIMES] = seconds;
    const int n = vbg_min_int(l->time_count, VBG_LIVE_TIMES);
    const bool sum_up = l->time_count % 15 == 0 || l->time_count < 15;
    if (sum_up)
        memcpy(sorted, l->times, (size_t)n * sizeof *sorted);
    pthread_mutex_unlock(&l->lock);
    if (!sum_up)
        return;
    sort(sorted, n);
    pthread_mutex_lock(&l->lock);
    l->status.latency_p50_ms = 1e3 * sorted[n / 2];
    l->status.latency_p95_ms = 1e3 * sorted[vbg_min_int(n - 1, n * 95 / 100)];
    pthread_mutex_unlock(&l->lock);
}

/* To one sink; lost ones are tried again four times a second. */
static void write_one(vbg_live *l, vbg_sink *s, const vbg_out_frame *f)
{
    vbg_err err = { "" };
    bool dropped = false;
    vbg_status st = VBG_OK;

    if (s->lost) {
        if (!s->class->reopen || vbg_now() < s->retry_at)
            return;
        st = s->class->reopen(s, &err);
        if (st == VBG_OK)
            vbg_live_note(l, "%s is back", s->name);
        s->lost = st != VBG_OK;
    }
    if (st == VBG_OK) {
        st = s->class->write(s, vbg_ctx_kernels(l->out_ctx), f, &dropped, &err);
        if (st != VBG_OK && st != VBG_ECANCEL)
            vbg_live_note(l, "output lost: %s; trying again", err.text);
        s->lost = st != VBG_OK;
    }
    s->retry_at = vbg_now() + RETRY_MS / 1000.0;
    if (dropped || st == VBG_ECANCEL) {
        pthread_mutex_lock(&l->lock);
        l->status.dropped += dropped;
        l->status.ended |= st == VBG_ECANCEL;
        pthread_mutex_unlock(&l->lock);
    }
}

static void write_all(vbg_live *l, const vbg_out_frame *f, bool person)
{
    for (int i = 0; i < l->sink_count; i++)
        write_one(l, l->sinks[i], f);
    pthread_mutex_lock(&l->lock);
    l->status.frames++;
    l->status.background += !person;
    l->status.person = person;
    vbg_rate_add(&l->frame_rate, vbg_now());
    pthread_mutex_unlock(&l->lock);
}

/* The background by itself, from where the camera looked last. */
static void write_alone(vbg_live *l)
{
    pthread_mutex_lock(&l->lock);
    const vbg_outlook v = l->seen;
    const int64_t index = l->next_index;
    pthread_mutex_unlock(&l->lock);
    pthread_mutex_lock(&l->view);
    const vbg_picture *back = vbg_background_view(l->background, l->out_ctx, v.yaw,
                                                  v.pitch, v.roll, NULL, NULL);
    vbg_compose_background(l->out_ctx, l->alone, back, index, vbg_now());
    pthread_mutex_unlock(&l->view);
    write_all(l, l->alone, false);
}

/* Does anybody look?  -1: not known. */
static int count_readers(vbg_live *l)
{
    int sum = 0;

    for (int i = 0; i < l->sink_count; i++) {
        vbg_sink *s = l->sinks[i];
        int n = 0;
        if (!s->class->readers || !s->class->readers(s, &n))
            return -1;
        sum += n;
    }
    return sum;
}

/* Idle after a while without readers, awake at once with one. */
static void watch_readers(vbg_live *l, double *alone_since, double now)
{
    const int readers = count_readers(l);

    if (readers != 0 || *alone_since == 0)
        *alone_since = readers != 0 ? 0 : now;
    pthread_mutex_lock(&l->lock);
    const bool idle =
        l->opt.on_demand && readers == 0 && now - *alone_since > IDLE_AFTER_MS / 1000.0;
    const bool awake = l->idle && !idle;
    if (idle != l->idle)
        pthread_cond_broadcast(&l->changed);
    l->idle = idle;
    l->status.readers = readers;
    pthread_mutex_unlock(&l->lock);
    if (awake)
        vbg_live_note(l, "somebody looks: camera on");
}

typedef struct pace {
    double composite, period; /* of the last composite; smoothed */
    double written;
    bool alone;         /* the background was shown since */
    double alone_since; /* no reader since */
} pace;

/* The slot of the next composite, -1: show the background alone, -2: stop. */
static int wait_for_frame(vbg_live *l, const pace *k)
{
    vbg_mailbox *b = &l->out_box;
    int slot = -1;

    pthread_mutex_lock(&l->lock);
    /* A slow network is no reason to blink: up to three of its periods the last
     * composite stays. */
    const double hold = fmin(1.0, fmax(0.3, 3 * k->period));
    while (!l->stop) {
        const double now = vbg_now();
        const bool resting = vbg_live_resting(l);
        if (b->fresh && !resting) {
            slot = b->waiting;
            b->waiting = b->reading;
            b->reading = slot;
            b->fresh = false;
            break;
        }
        const double step = l->idle ? IDLE_MS / 1000.0 : ALONE_MS / 1000.0;
        const double due =
            resting ? k->written + step : fmax(k->composite + hold, k->written + step);
        if (now >= due)
            break;
        if (l->idle && now - k->written > 0.05) { /* look for readers meanwhile */
            vbg_live_wait(l, 0.05);
            slot = -3;
            break;
        }
        vbg_live_wait(l, fmin(due - now, 0.1));
    }
    if (l->stop)
        slot = -2;
    pthread_mutex_unlock(&l->lock);
    return slot;
}

void *vbg_live_output_thread(void *arg)
{
    vbg_live *l = arg;
    pace k = { .period = 0.1 };
    int slot;

    while ((slot = wait_for_frame(l, &k)) != -2) {
        const double now = vbg_now();
        if (slot >= 0) {
            write_all(l, l->out[slot], l->out_person[slot]);
            count_time(l, vbg_now() - l->out_since[slot]);
            if (k.composite > 0 && !k.alone) /* an outage is no period */
                k.period += 0.2 * (fmin(now - k.composite, 1) - k.period);
            k.composite = now;
            k.alone = false;
        } else if (slot == -1) {
            write_alone(l);
            k.alone = true;
        }
        if (slot != -3)
            k.written = now;
        watch_readers(l, &k.alone_since, now);
    }
    write_alone(l); /* the last picture is never a person */
    for (int i = 0; i < l->sink_count; i++)
        vbg_sink_close(l->sinks[i]);
    l->sink_count = 0;
    vbg_live_leave(l);
    return NULL;
}
