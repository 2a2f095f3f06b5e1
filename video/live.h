/* The virtual camera: a camera in, composed frames out, all day.
 *
 *     camera thread --newest frame--> chain thread --newest composite--> output thread
 *                                       | mask thread (mask mode "latest")
 *
 * Each hand-over holds one frame: what nobody took in time is replaced by a newer one, so
 * nothing ever queues up and no thread waits for a slower one.
 *
 * Never a raw frame: output frames come from the compositor alone.  When no composite
 * comes (no camera, no mask, a network that hangs, a pause), the output thread shows the
 * background by itself, at least five times a second, and the last frame that is written
 * is background.  Every start of the camera is a new epoch: masks of an older one count
 * for nothing.
 *
 * The camera is opened again for ever when it fails, sinks likewise: a call never loses
 * its picture because something went wrong. */
#ifndef VBG_VIDEO_LIVE_H
#define VBG_VIDEO_LIVE_H

#include "video/camera.h"
#include "video/pipeline.h"
#include "video/sink.h"

/* The input of networks whose size is free (BiSeNet): what a core can do 30 times a
 * second; the edge-aware widening brings the detail back. */
enum { VBG_LIVE_NETWORK_W = 320, VBG_LIVE_NETWORK_H = 192 };

typedef struct vbg_live_opt {
    const vbg_device *device; /* borrowed, as everything here */
    char camera[64];          /* its path */
    vbg_camera_want want;
    int w, h;            /* of the composed frames; camera frames are scaled to it */
    vbg_ctx *ctx;        /* threads of the chain; the session's alone while it runs */
    vbg_ctx_opt ctx_opt; /* how further contexts are made */
    vbg_mask_opt mask;   /* w and h are filled in */
    double fov_x;        /* radians */
    vbg_follow_opt follow;
    vbg_relight_opt relight;
    bool latest; /* never wait for a mask: use the newest one there is, carried along
                    (video/carry.h) */
    bool flip_h, flip_v;
    bool alpha;     /* composites with an alpha: the sinks take one */
    bool on_demand; /* camera off while the sinks know that nobody reads */
    /* The background to start with; becomes the session's. */
    vbg_background *background;
} vbg_live_opt;

typedef struct vbg_live_status {
    int64_t frames, masks;                 /* written; found */
    int64_t background;                    /* frames that showed the background alone */
    int64_t skipped;                       /* camera frames that nobody had time for */
    int64_t damaged;                       /* that the camera sent */
    int64_t dropped;                       /* that a reader had no room for */
    double frames_s, masks_s;              /* rates of the last second */
    double mask_age_ms;                    /* of the last composite */
    double latency_p50_ms, latency_p95_ms; /* frame in hand to last sink, last 300 */
    vbg_outlook view;
    bool camera_on, paused, idle;
    bool person; /* in the last written frame */
    bool ended;  /* a reader has seen enough: stop */
    int readers; /* -1: not known */
    vbg_camera_info camera;
    int notes;      /* grows with each new note */
    char note[256]; /* what happened last: camera or sink lost, found, mask failed */
} vbg_live_status;

typedef struct vbg_live vbg_live;

/* Starts the threads.  sinks [n], at least one, become the session's (also when it
 * fails, as the background).  Errors: VBG_ENOMEM, VBG_EUSAGE. */
vbg_status vbg_live_start(vbg_live **out, const vbg_live_opt *opt, vbg_sink **sinks,
                          int n, vbg_err *err);
/* Writes a last frame of background, stops, frees everything.  Accepts NULL.  False: a
 * mask source does not return; its thread, the session and what was borrowed must be
 * left alone. */
bool vbg_live_stop(vbg_live *l);

void vbg_live_get_status(vbg_live *l, vbg_live_status *s);
/* Background only and the camera off, until it is taken back. */
void vbg_live_pause(vbg_live *l, bool on);
/* From the next frame on.  The old background is closed. */
void vbg_live_set_background(vbg_live *l, vbg_background *b);
void vbg_live_set_mask(vbg_live *l, const vbg_mask_opt *opt);
void vbg_live_set_look(vbg_live *l, const vbg_follow_opt *follow,
                       const vbg_relight_opt *relight);
/* Another camera, by path. */
void vbg_live_set_camera(vbg_live *l, const char *path, const vbg_camera_want *want);
void vbg_live_set_flip(vbg_live *l, bool h, bool v);
/* The present view becomes the middle. */
void vbg_live_recenter(vbg_live *l);

#endif
