/* DeepLabV3 (torchvision's layout) on dilated ResNets or MobileNetV3-Large, and
 * LR-ASPP on MobileNetV3-Large.
 *
 *   backbone -> ASPP: 1x1, three 3x3 of dilation 12, 24, 36, pooled picture
 *            -> concatenation, 1x1 -> 3x3 -> 1x1 to the classes -> bilinear to h x w
 *
 * Input normalised with ImageNet's mean and deviation.  Widths, blocks and classes
 * come from the file.  Models with 21 classes are those of PASCAL VOC, person 15.
 * Source: Chen et al. 2017, section 3; LR-ASPP: Howard et al. 2019, section 6.4. */
#ifndef VBG_MODELS_DEEPLAB_H
#define VBG_MODELS_DEEPLAB_H

#include "models/mobilenetv3.h"
#include "models/resnet.h"

typedef struct vbg_deeplab {
    bool mobilenet; /* which backbone is bound */
    vbg_resnet resnet;
    vbg_mobilenetv3 mobilenetv3;
    vbg_weight aspp[4], pooled, project; /* 1x1, 3x3 x 3; 1x1 of the mean; 1x1 */
    vbg_weight conv, out;                /* 3x3, 1x1 */
    vbg_weight aux_conv, aux_out;        /* FCN head, absent in trimmed files */
    int classes;
} vbg_deeplab;

/* The backbone is recognised by its names.  m borrows from w and pool.
 * Errors: VBG_EFORMAT naming all missing and misshapen tensors. */
vbg_status vbg_deeplab_bind(vbg_deeplab *m, vbg_pool_mem *pool, const vbg_weights *w,
                            const char *component, vbg_err *err);

/* x [n,h,w,3] -> logits [n,h,w,classes] f32.  With a probe the auxiliary head is
 * computed too and shown as "aux". */
vbg_tensor *vbg_deeplab_forward(vbg_ctx *c, const vbg_deeplab *m, const vbg_tensor *x,
                                const vbg_probe *probe);

typedef struct vbg_lraspp {
    vbg_mobilenetv3 backbone;
    vbg_weight cbr, scale, low, high;
    int classes;
} vbg_lraspp;

vbg_status vbg_lraspp_bind(vbg_lraspp *m, vbg_pool_mem *pool, const vbg_weights *w,
                           const char *component, vbg_err *err);

/* x [n,h,w,3] -> logits [n,h,w,classes] f32. */
vbg_tensor *vbg_lraspp_forward(vbg_ctx *c, const vbg_lraspp *m, const vbg_tensor *x,
                               const vbg_probe *probe);

#endif
