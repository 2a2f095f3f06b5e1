/* Files of figures: photos with masks, clips with their truth. */
#ifndef VBG_ROOMS_FIGURE_FILES_H
#define VBG_ROOMS_FIGURE_FILES_H

#include "engine/picture.h"
#include "engine/tensor.h"

/* DIR/000012.jpg with DIR/000012.mask.png, the photo last.  Errors: VBG_EIO, VBG_ENOMEM.
 */
vbg_status vr_still_write(const char *dir, long index, const vbg_picture *rgb,
                          const vbg_picture *alpha, int jpeg, vbg_err *err);
bool vr_still_done(const char *dir, long index);

/* STEM.mp4, STEM.alpha.mp4 (its luma is the alpha, full range) and STEM.csv with a line
 * frame,time_s,yaw_deg,pitch_deg,roll_deg at the middle of each exposure. */
typedef struct clip_files clip_files;
typedef struct clip_opt {
    int w, h, rate; /* frames a second, a whole number */
    int crf, alpha_crf;
} clip_opt;
/* Errors: those of vbg_video_create. */
vbg_status vr_clip_create(clip_files **out, const char *stem, const clip_opt *o,
                          vbg_ctx *c, vbg_err *err);
vbg_status vr_clip_add(clip_files *f, const vbg_picture *rgb, const vbg_picture *alpha,
                       const double angles[3], vbg_err *err);
/* Everything appears now; frees f in every case. */
vbg_status vr_clip_finish(clip_files *f, vbg_err *err);
void vr_clip_abort(clip_files *f); /* accepts NULL */

#endif
