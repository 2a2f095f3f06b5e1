/* What the convolutional segmentation networks share: binding a convolution with
 * its batch norm, pictures as input tensors, and looking at intermediate maps. */
#ifndef VBG_MODELS_CONVNET_H
#define VBG_MODELS_CONVNET_H

#include "engine/bind.h"
#include "engine/ops.h"
#include "engine/picture.h"

/* A convolution PREFIXconv with the batch norm PREFIXbn folded into it.  Sizes of 0
 * take what the file has; k 0 likewise. */
typedef struct vbg_conv_bn {
    const char *conv, *bn; /* endings of the names, ".0" and ".1" */
    int oc, c, k, flags;   /* flags of vbg_bind_layer */
    float eps;             /* 0: 1e-5, PyTorch's default */
} vbg_conv_bn;

/* Binds names PREFIX + opt.conv and PREFIX + opt.bn; scale and bias come from pool.
 * Returns false (and notes it in b) when something is missing or misshapen. */
bool vbg_bind_conv_bn(vbg_bind *b, vbg_pool_mem *pool, vbg_weight *out, vbg_conv_bn opt,
                      const char *prefix, ...) VBG_PRINTF(5, 6);

/* Somebody who wants to see intermediate maps (tests).  Called while running only;
 * t is lent for the call. */
typedef struct vbg_probe {
    void (*see)(void *arg, const char *name, const vbg_tensor *t);
    void *arg;
} vbg_probe;

/* Shows t; p may be NULL. */
void vbg_see(const vbg_ctx *c, const vbg_probe *p, const char *name, const vbg_tensor *t);

/* How 8-bit RGB becomes network input: (v / 255 - mean) / std per channel. */
typedef struct vbg_input_norm {
    float mean[3], std[3];
} vbg_input_norm;

vbg_input_norm vbg_norm_imagenet(void); /* torchvision and both BiSeNets */
vbg_input_norm vbg_norm_unit(void);     /* v / 255: Selfie               */
vbg_input_norm vbg_norm_signed(void);   /* v / 127.5 - 1: BodyPix, DeepLab TFLite */

/* rgb (3 channels; read while running only) -> [1,h,w,3] of the activation type.
 * rgb's size must be known when planning. */
vbg_tensor *vbg_picture_input(vbg_ctx *c, const vbg_picture *rgb, vbg_input_norm norm);

/* x * sigmoid(gate): gate [n,1,1,c] or of x's shape. */
vbg_tensor *vbg_gated(vbg_ctx *c, const vbg_tensor *x, const vbg_tensor *gate);

#endif
