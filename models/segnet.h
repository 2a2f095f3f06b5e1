/* The segmentation networks behind one signature: bound by what the file says it is, run
 * from an input tensor to logits.  vbg_segmenter (segmenter.h) runs them on pictures, the
 * trainer with a tape. */
#ifndef VBG_MODELS_SEGNET_H
#define VBG_MODELS_SEGNET_H

#include "models/convnet.h"

typedef struct vbg_segnet vbg_segnet;

/* Whether model.arch names a segmenter. */
bool vbg_segnet_known(const char *arch);

/* Binds component "segmenter" of w, which must outlive it, by metadata model.arch.
 * Errors: VBG_EUNSUPPORTED (no segmenter; name is for this message), VBG_EFORMAT (tensors
 * missing or misshapen), VBG_ENOMEM. */
vbg_status vbg_segnet_open(vbg_segnet **out, const vbg_weights *w, const char *name,
                           vbg_err *err);
void vbg_segnet_close(vbg_segnet *s); /* accepts NULL */

const char *vbg_segnet_arch(const vbg_segnet *s);
vbg_input_norm vbg_segnet_norm(const vbg_segnet *s);
/* The input's sides are multiples of this. */
int vbg_segnet_step(const vbg_segnet *s);
/* True when the input's size stands in the file (segmenter.width, segmenter.height). */
bool vbg_segnet_fixed(const vbg_segnet *s);

/* x [n,h,w,3], normalised -> logits [n,h,w,classes] (noisrucer: h and w rounded up to
 * multiples of 8). */
vbg_tensor *vbg_segnet_forward(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x);
/* For training: the logits and those of the auxiliary heads, f32 of the same shape (NULL
 * where there is none). */
enum { VBG_SEGNET_AUX = 4 };
vbg_tensor *vbg_segnet_train(vbg_ctx *c, const vbg_segnet *s, const vbg_tensor *x,
                             vbg_tensor *aux[VBG_SEGNET_AUX]);

#endif
