/* One face for all segmentation networks: a picture in, the person's alpha out.
 *
 * The network, its preprocessing and its person class follow from metadata model.arch:
 *
 *   selfie                 v/255           sigmoid
 *   bodypix-mobilenet      v/127.5 - 1     logits resized, then sigmoid
 *   deeplab-tflite         v/127.5 - 1     softmax, class 15 (PASCAL VOC)
 *   bisenet-noisrucer      ImageNet        sigmoid (1 class), softmax class 1 (2)
 *   bisenetv1, bisenetv2   ImageNet        softmax, person + rider of Cityscapes (19)
 *   deeplabv3-*, lraspp-*  ImageNet        softmax, class 15 of 21
 *
 * Other numbers of classes need metadata segmenter.person (the class). */
#ifndef VBG_MODELS_SEGMENTER_H
#define VBG_MODELS_SEGMENTER_H

#include "engine/picture.h"
#include "engine/tensor.h"

typedef struct vbg_segmenter vbg_segmenter;

/* Opens a .vbg file and plans the network.  want_w and want_h choose the network's
 * input where it is free (0: 512), rounded up to its steps (8 or 32) and held within
 * 32..4096; TFLite networks have their own.  opt as for vbg_ctx_new.
 * Errors: those of vbg_weights_open; VBG_EFORMAT (tensors missing or misshapen);
 * VBG_EUNSUPPORTED (the file is no segmenter, or its person class is unknown). */
vbg_status vbg_segmenter_open(vbg_segmenter **out, const char *path,
                              const vbg_ctx_opt *opt, int want_w, int want_h,
                              vbg_err *err);
void vbg_segmenter_close(vbg_segmenter *s); /* accepts NULL */

/* Size of the picture that run wants, and of the alpha that it writes. */
void vbg_segmenter_size(const vbg_segmenter *s, int *w, int *h);
void vbg_segmenter_mask_size(const vbg_segmenter *s, int *w, int *h);
/* model.arch, and bytes of memory that a run needs. */
const char *vbg_segmenter_arch(const vbg_segmenter *s);
size_t vbg_segmenter_bytes(const vbg_segmenter *s);

/* rgb: 3 channels, exactly the network's size.  alpha: mask_w * mask_h values in [0,1],
 * row by row; what the network leaves undefined (NaN) is background, 0.
 * Not for two threads at once.  Errors: VBG_EUSAGE (size), VBG_ENOMEM. */
vbg_status vbg_segmenter_run(vbg_segmenter *s, const vbg_picture *rgb, float *alpha,
                             vbg_err *err);

#endif
