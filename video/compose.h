/* The compositor, and the rule that no raw frame leaves the program.
 *
 *   vbg_raw_frame   what the camera or file shows: may hold the real room
 *   vbg_out_frame   what may be shown: only this file makes one, and it needs a mask
 *                   that belongs to the same raw frame; without one the background
 *                   alone is drawn
 *
 * Colours: the background is an interleaved picture of Y U V codes (video) in the
 * frame's own matrix and range, so that no frame is ever converted to RGB. */
#ifndef VBG_VIDEO_COMPOSE_H
#define VBG_VIDEO_COMPOSE_H

#include "engine/tensor.h"
#include "video/frame.h"

typedef struct vbg_raw_frame {
    vbg_frame frame;
    int64_t index; /* 0, 1, ...                                                */
    int64_t epoch; /* grows whenever the camera is started: masks do not pass over */
} vbg_raw_frame;

/* A person's alpha at frame size: 255 person, 0 background. */
typedef struct vbg_mask {
    vbg_picture alpha;
    int64_t index, epoch; /* of the raw frame it was made from */
    int max_age;          /* frames that it may be older than the one it is used for */
    bool valid;
} vbg_mask;

typedef struct vbg_out_frame vbg_out_frame;
vbg_status vbg_out_frame_new(vbg_out_frame **out, int w, int h, vbg_err *err);
/* The same with an alpha of its own, for what is to be put over something else: the
 * compositor then mixes in the background only where less than a quarter of a pixel is
 * person, so that edges keep their colour and no pixel of the room is left.
 * Errors: VBG_ENOMEM. */
vbg_status vbg_out_frame_new_alpha(vbg_out_frame **out, int w, int h, vbg_err *err);
void vbg_out_frame_free(vbg_out_frame *f); /* accepts NULL */
/* One channel, 255 person; NULL when it has none. */
const vbg_picture *vbg_out_frame_alpha(const vbg_out_frame *f);
/* For writers: the pixels and the number of the raw frame. */
const vbg_frame *vbg_out_frame_pixels(const vbg_out_frame *f);
int64_t vbg_out_frame_index(const vbg_out_frame *f);

/* True when the mask may be used for this frame: valid, of its size and epoch, and of
 * this frame or one at most max_age before it. */
bool vbg_mask_usable(const vbg_mask *mask, const vbg_raw_frame *raw);

/* out = raw where the mask says person, back elsewhere.  raw, out and back have one
 * size; back holds Y U V codes, three channels.  mask NULL or not usable: the
 * background alone.  Returns true when the person is shown.
 * Time, range and matrix of raw are carried over.  c: threads. */
bool vbg_compose(vbg_ctx *c, vbg_out_frame *out, const vbg_raw_frame *raw,
                 const vbg_mask *mask, const vbg_picture *back);

/* The background alone, when there is no raw frame.  Range and matrix are those of out's
 * last frame (limited, BT.601 at first). */
void vbg_compose_background(vbg_ctx *c, vbg_out_frame *out, const vbg_picture *back,
                            int64_t index, double time_s);

/* The alpha itself as a gray frame, full range, for --mask-out (black without one). */
void vbg_compose_mask(vbg_out_frame *out, const vbg_raw_frame *raw, const vbg_mask *mask);

/* Blur of the frame's own background: weights exclude the person, so that no halo of
 * the person's colours forms around him.
 *     back = blur(frame * (1 - alpha)) / blur(1 - alpha)
 * at a quarter of the size, widened bilinearly.  Made once per size. */
typedef struct vbg_own_blur vbg_own_blur;
/* sigma in pixels of the frame, 0.5 to 256.  Errors: VBG_ENOMEM. */
vbg_status vbg_own_blur_new(vbg_own_blur **out, int w, int h, double sigma, vbg_err *err);
void vbg_own_blur_free(vbg_own_blur *b); /* accepts NULL */
/* back: w x h, three channels.  mask as above.  Without one, or without a raw frame,
 * back is an even gray: nothing of the room is shown while nobody can be told from it. */
void vbg_own_blur_run(vbg_own_blur *b, const vbg_kernels *k, vbg_picture *back,
                      const vbg_raw_frame *raw, const vbg_mask *mask);

#endif
