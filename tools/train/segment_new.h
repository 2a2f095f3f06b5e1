/* Segmentation networks that begin from nothing: their tensors' names and shapes, and
 * the values they start with. */
#ifndef VBG_TOOLS_TRAIN_SEGMENT_NEW_H
#define VBG_TOOLS_TRAIN_SEGMENT_NEW_H

#include "engine/param.h"

typedef struct vbg_segment_shape {
    const char *arch; /* "selfie", "bisenet-noisrucer", "bisenetv1", "bisenetv2" */
    double width;     /* times the published widths, rounded to multiples of 8 */
    int head;         /* channels of the last 3x3 of bisenetv1 and bisenetv2, 0: as
                         published (256, 1024) times width */
    int classes;      /* 1 or 2 */
    int w, h;         /* of the input, for networks of fixed size */
    bool aux;         /* bisenetv1 and bisenetv2: with the heads that only training has */
} vbg_segment_shape;

/* A file (in memory) whose tensors are all zero, ready to be bound with parameters
 * attached.  Errors: VBG_EUSAGE (arch), VBG_ENOMEM. */
vbg_status vbg_segment_new(vbg_weights **out, const vbg_segment_shape *shape,
                           vbg_err *err);

/* Values to start from, by the names of the tensors: layers by He et al. 2015 (fan in),
 * norms 1 and 0, running statistics 0 and 1, biases 0. */
void vbg_segment_init(vbg_params *p, uint64_t seed);

/* Writes the network to path: w's tensors, all of which are parameters, with their
 * values, and the metadata model.arch, segmenter.*.  trim: without auxiliary heads.
 * t: type of packed layers, VBG_F32 or
 * VBG_BF16.  Errors: VBG_EIO, VBG_ENOMEM. */
vbg_status vbg_segment_write(const char *path, const vbg_weights *w, const vbg_params *p,
                             vbg_dtype t, bool trim, const char *name, vbg_err *err);
/* Whether a tensor of bisenetv1 or bisenetv2 belongs to an auxiliary head. */
bool vbg_segment_is_aux(const char *name);

#endif
