/* The chain from raw frames to frames that may be shown, and the threads around it.
 *
 *     reader --queue--> chain (mask -> track -> view -> compose) --queue--> writer
 *
 * vbg_chain_step is one frame, on the caller's thread and the context's; nothing is
 * allocated after the first frames.  vbg_pipeline_run puts reader and writer on threads
 * of their own with bounded queues of frames.
 *
 * Never a raw frame: when the mask fails or is missing, the background alone is shown. */
#ifndef VBG_VIDEO_PIPELINE_H
#define VBG_VIDEO_PIPELINE_H

#include "video/background.h"
#include "video/follow.h"
#include "video/mask.h"
#include "video/reader.h"
#include "video/relight.h"
#include "video/tracker.h"
#include "video/video_out.h"

typedef struct vbg_chain_opt {
    vbg_mask_opt mask;
    vbg_background *background; /* borrowed */
    double fov_x;               /* radians */
    vbg_follow_opt follow;      /* fov_x is filled in */
    vbg_relight_opt relight;
    bool track; /* follow the camera (a panorama, a motion log) */
} vbg_chain_opt;

/* What one frame told. */
typedef struct vbg_chain_report {
    int64_t index;
    double time_s;
    vbg_tracker_state motion; /* of the camera */
    vbg_outlook view;         /* what is shown of the room */
    bool person;              /* the mask was good, the person is shown */
    vbg_err mask_err;         /* why not */
    double mask_s, track_s, view_s, compose_s;
} vbg_chain_report;

typedef struct vbg_chain vbg_chain;

/* c: threads and kernels, borrowed.  Errors: VBG_ENOMEM, VBG_EUSAGE. */
vbg_status vbg_chain_new(vbg_chain **out, vbg_ctx *c, const vbg_chain_opt *opt,
                         vbg_err *err);
void vbg_chain_free(vbg_chain *ch); /* accepts NULL */

/* One frame.  given: the mask of a --mask video for this frame, or NULL.  out and, when
 * mask_out is not NULL, the alpha as a gray frame.  Cannot fail. */
void vbg_chain_step(vbg_chain *ch, const vbg_raw_frame *raw, const vbg_frame *given,
                    vbg_out_frame *out, vbg_out_frame *mask_out,
                    vbg_chain_report *report);

/* The same in parts, for frames whose mask is made elsewhere.  find: the mask of this
 * frame (vbg_chain_mask).  follow: where the camera looks; mask NULL or not usable:
 * nobody is left out.  show: view and composite, with a background of the caller. */
void vbg_chain_find(vbg_chain *ch, const vbg_raw_frame *raw, const vbg_frame *given,
                    vbg_chain_report *report);
void vbg_chain_follow(vbg_chain *ch, const vbg_raw_frame *raw, const vbg_mask *mask,
                      vbg_chain_report *report);
void vbg_chain_show(vbg_chain *ch, vbg_background *back, const vbg_raw_frame *raw,
                    const vbg_mask *mask, vbg_out_frame *out, vbg_chain_report *report);
/* As vbg_masker_set. */
vbg_status vbg_chain_set_mask(vbg_chain *ch, const vbg_mask_opt *opt, vbg_err *err);
/* From the next frame on. */
void vbg_chain_set_look(vbg_chain *ch, const vbg_follow_opt *follow,
                        const vbg_relight_opt *relight);
/* The present view becomes the middle. */
void vbg_chain_recenter(vbg_chain *ch);

/* The alpha of the last step (for stills). */
const vbg_mask *vbg_chain_mask(const vbg_chain *ch);

typedef struct vbg_pipeline {
    vbg_reader *reader, *mask_reader; /* the latter NULL: none */
    vbg_chain *chain;
    vbg_video_out *writer, *mask_writer; /* the latter NULL: none */
    const vbg_frame *first;              /* the reader's first frame, already read */
    const vbg_frame *first_mask;
    bool flip_h, flip_v;
    bool alpha; /* the writer takes an alpha */
    /* After each frame, from the thread of vbg_pipeline_run.  Nonzero: stop, finish. */
    int (*frame)(void *arg, const vbg_chain_report *report);
    void *arg;
} vbg_pipeline;

typedef struct vbg_pipeline_result {
    int64_t frames, without_person, masks_missing;
    bool stopped; /* by the callback */
    double seconds;
} vbg_pipeline_result;

/* Runs until the reader ends, the callback says stop or something fails.  Reader and
 * writers stay open: the caller finishes or aborts them.
 * Errors: those of reader and writers. */
vbg_status vbg_pipeline_run(const vbg_pipeline *p, vbg_pipeline_result *result,
                            vbg_err *err);

/* Writers take composed frames only. */
vbg_status vbg_pipeline_write(vbg_video_out *v, const vbg_out_frame *f, vbg_err *err);

/* Mirrors a frame in place. */
void vbg_frame_flip(vbg_frame *f, bool h, bool v);

#endif
