/* Binds every network of a model package without running it: whether all tensors are
 * there in the right shape.  vbg-convert does it before it writes anything. */
#ifndef VBG_MODELS_CHECK_H
#define VBG_MODELS_CHECK_H

#include "engine/weights.h"

/* arch: metadata model.arch; one that this build does not know is not checked.
 * Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_model_check(const vbg_weights *w, const char *arch, vbg_err *err);

/* The parts of it: a Stable Diffusion package, TAESD and CLIP; the segmenters.
 * *known is false when arch is none of theirs. */
vbg_status vbg_check_diffusion(const vbg_weights *w, const char *arch, bool *known,
                               vbg_err *err);
vbg_status vbg_check_segmenter(const vbg_weights *w, const char *arch, bool *known,
                               vbg_err *err);

#endif
