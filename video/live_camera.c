/* The camera thread: opens the camera for ever, hands out the newest frame. */
#include <stdio.h>
#include <string.h>

#include "video/live_internal.h"

/* The raw frame that is being written; this thread's alone. */
static vbg_raw_frame *writing(vbg_live *l)
{
    pthread_mutex_lock(&l->lock);
    vbg_raw_frame *raw = &l->raw[l->raw_box.writing];
    pthread_mutex_unlock(&l->lock);
    return raw;
}

/* Where the camera's next picture goes: at once into the raw frame if it fits. */
static vbg_frame *target(vbg_live *l)
{
    vbg_frame *raw = &writing(l)->frame;
    const vbg_yuv *c = &l->camera_frame.yuv;

    return c->w == raw->yuv.w && c->h == raw->yuv.h ? raw : &l->camera_frame;
}

/* Picture f becomes the newest raw frame. */
static void publish(vbg_live *l, const vbg_frame *f)
{
    vbg_mailbox *b = &l->raw_box;
    vbg_raw_frame *raw = writing(l);

    pthread_mutex_lock(&l->lock);
    const int slot = b->writing;
    const bool h = l->flip_h, v = l->flip_v;
    pthread_mutex_unlock(&l->lock);
    if (f != &raw->frame && vbg_frame_scale(l->scaler, vbg_ctx_kernels(l->out_ctx),
                                            &raw->frame, f, NULL) != VBG_OK)
        return;
    if (h || v)
        vbg_frame_flip(&raw->frame, h, v);
    pthread_mutex_lock(&l->lock);
    raw->index = l->next_index++;
    raw->epoch = l->epoch;
    l->status.skipped += b->fresh;
    b->writing = b->waiting;
    b->waiting = slot;
    b->fresh = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

/* True when the camera is to be let go. */
static bool leave(vbg_live *l)
{
    pthread_mutex_lock(&l->lock);
    const bool yes = l->stop || vbg_live_resting(l) || l->camera_new;
    pthread_mutex_unlock(&l->lock);
    return yes;
}

/* Until the camera is lost or not wanted. */
static void run(vbg_live *l, vbg_camera *c)
{
    double last = vbg_now();

    while (!leave(l)) {
        vbg_err err = { "" };
        vbg_frame *f = target(l);
        const vbg_camera_event e =
            vbg_camera_next(c, vbg_ctx_kernels(l->out_ctx), f, 100, &err);
        if (e == VBG_CAMERA_FRAME) {
            last = vbg_now();
            publish(l, f);
        } else if (e == VBG_CAMERA_DAMAGED) {
            pthread_mutex_lock(&l->lock);
            l->status.damaged++;
            pthread_mutex_unlock(&l->lock);
        } else if (e == VBG_CAMERA_GONE) {
            vbg_live_note(l, "camera lost: %s", err.text);
            return;
        }
        if (vbg_now() - last > VBG_LIVE_STALL_MS / 1000.0) {
            vbg_live_note(l, "camera lost: %s: no picture for %.1f s", l->opt.camera,
                          VBG_LIVE_STALL_MS / 1000.0);
            return;
        }
    }
}

static vbg_status open_camera(vbg_live *l, vbg_camera **c, vbg_err *err)
{
    vbg_camera_info info;

    pthread_mutex_lock(&l->lock);
    char path[sizeof l->opt.camera];
    const vbg_camera_want want = l->opt.want;
    memcpy(path, l->opt.camera, sizeof path);
    l->camera_new = false;
    l->epoch++; /* masks of what was before count for nothing */
    pthread_mutex_unlock(&l->lock);
    vbg_status st = vbg_camera_open(c, l->opt.device, path, &want, err);
    if (st != VBG_OK)
        return st;
    vbg_camera_get_info(*c, &info);
    if (l->camera_frame.yuv.w != info.mode.w || l->camera_frame.yuv.h != info.mode.h) {
        vbg_frame_free(&l->camera_frame);
        st = vbg_frame_new(&l->camera_frame, info.mode.w, info.mode.h, err);
    }
    if (st != VBG_OK) {
        vbg_camera_close(*c);
        return st;
    }
    pthread_mutex_lock(&l->lock);
    l->status.camera = info;
    l->status.camera_on = true;
    pthread_mutex_unlock(&l->lock);
    char text[5];
    vbg_live_note(l, "camera %s (%s): %s %dx%d", path, info.name.card,
                  vbg_fourcc_text(text, info.mode.fourcc), info.mode.w, info.mode.h);
    return VBG_OK;
}

void *vbg_live_camera_thread(void *arg)
{
    vbg_live *l = arg;
    vbg_err said = { "" };

    for (;;) {
        pthread_mutex_lock(&l->lock);
        while (!l->stop && vbg_live_resting(l))
            vbg_live_wait(l, 1);
        const bool stop = l->stop;
        pthread_mutex_unlock(&l->lock);
        if (stop)
            break;
        vbg_err err = { "" };
        vbg_camera *c;
        if (open_camera(l, &c, &err) != VBG_OK) {
            if (strcmp(said.text, err.text) != 0) /* once, not four times a second */
                vbg_live_note(l, "%s; trying again", err.text);
            said = err;
        } else {
            said.text[0] = 0;
            run(l, c);
            vbg_camera_close(c);
        }
        pthread_mutex_lock(&l->lock);
        l->status.camera_on = false;
        l->epoch++;
        l->raw_box.fresh = false;
        if (!l->stop && !vbg_live_resting(l))
            vbg_live_wait(l, VBG_LIVE_RETRY_MS / 1000.0);
        pthread_mutex_unlock(&l->lock);
    }
    vbg_live_leave(l);
    return NULL;
}
