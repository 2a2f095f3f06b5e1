/* The parts of a live session, for the live_*.c files. */
#ifndef VBG_VIDEO_LIVE_INTERNAL_H
#define VBG_VIDEO_LIVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "video/carry.h"
#include "video/frame_scale.h"
#include "video/live.h"

enum {
    VBG_LIVE_SINKS = 4,
    VBG_LIVE_TIMES = 300, /* latencies that are remembered */
    VBG_LIVE_RETRY_MS = 250,
    VBG_LIVE_STALL_MS = 1500 /* a camera that gives nothing for so long is reopened */
};

/* Three frames go round: one is written, one waits, one is read. */
typedef struct vbg_mailbox {
    int writing, waiting, reading;
    bool fresh; /* the waiting one has not been taken */
} vbg_mailbox;

/* Events of one second, for rates. */
typedef struct vbg_rate {
    double since;
    int count;
    double per_s;
} vbg_rate;

struct vbg_live {
    vbg_live_opt opt;
    vbg_sink *sinks[VBG_LIVE_SINKS];
    int sink_count;
    pthread_mutex_t lock; /* everything down to `view` */
    pthread_cond_t changed;
    bool stop, paused, idle, recenter, camera_new;
    pthread_t threads[4];
    int started, alive;
    int64_t next_index;
    vbg_mailbox raw_box, out_box;
    vbg_mask_opt mask_opt;
    bool mask_opt_new, flip_h, flip_v;
    vbg_live_status status;
    vbg_rate frame_rate, mask_rate;
    double times[VBG_LIVE_TIMES];
    int time_count;
    int64_t epoch;
    vbg_outlook seen; /* the last view */
    vbg_follow_opt follow;
    vbg_relight_opt relight;
    /* mask mode latest */
    bool mask_busy;
    int mask_writing, mask_ready, mask_reading;
    bool mask_fresh;

    pthread_mutex_t view; /* the background; taken after `lock` is released */
    vbg_background *background;

    vbg_raw_frame raw[3];
    vbg_out_frame *out[3], *alone;
    double out_since[3]; /* when its raw frame came */
    bool out_person[3];

    vbg_chain *chain;
    vbg_ctx *mask_ctx, *out_ctx;
    vbg_masker *mask_masker;
    vbg_raw_frame mask_raw;
    vbg_mask masks[3];
    vbg_carry *carry; /* the chain thread's */
    vbg_frame_scaler *scaler;
    vbg_frame camera_frame;
};

void *vbg_live_camera_thread(void *arg);
void *vbg_live_chain_thread(void *arg);
void *vbg_live_mask_thread(void *arg);
void *vbg_live_output_thread(void *arg);

/* Under the lock: waits for a change, at most seconds. */
void vbg_live_wait(vbg_live *l, double seconds);
/* Takes the lock and leaves a note. */
void vbg_live_note(vbg_live *l, const char *fmt, ...) VBG_PRINTF(2, 3);
/* Under the lock. */
void vbg_rate_add(vbg_rate *r, double now);
/* Under the lock: the camera has nothing to do. */
bool vbg_live_resting(const vbg_live *l);
/* The end of each thread. */
void vbg_live_leave(vbg_live *l);

#endif
