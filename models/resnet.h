/* Residual networks as backbones: ResNet-18 (basic blocks) and ResNet-50/101 and
 * their relatives (bottlenecks, stride on the 3x3), batch norms folded.
 *
 *     x [n,h,w,3] -> 7x7/2 -> max pool 3x3/2 -> layer1 (1/4) -> layer2 (1/8)
 *                 -> layer3 (1/16) -> layer4 (1/32)
 *
 * Widths, number of blocks and kind of block come from the file.  With dilated set,
 * layer3 and layer4 stay at 1/8: their strides become dilations 2 and 4 of all blocks
 * but the first, which has the dilation of the layer before (torchvision's
 * replace_stride_with_dilation).
 * Source: He et al. 2015; Chen et al. 2017 for the dilations. */
#ifndef VBG_MODELS_RESNET_H
#define VBG_MODELS_RESNET_H

#include "models/convnet.h"

enum { VBG_RESNET_MAX_BLOCKS = 64 }; /* of one layer; ResNet-152 has 36 */

/* Basic: two 3x3.  Bottleneck: 1x1, 3x3, 1x1; conv3.data is NULL in a basic one. */
typedef struct vbg_resnet_block {
    vbg_weight conv1, conv2, conv3, down; /* down: 1x1 of the skip or absent */
} vbg_resnet_block;

typedef struct vbg_resnet {
    vbg_weight stem;
    vbg_resnet_block *block[4]; /* owned by the pool given to bind */
    int blocks[4];
    bool dilated;
} vbg_resnet;

/* Binds PREFIX + stem.conv, stem.bn (".conv1", ".bn1" in torchvision) and
 * PREFIX.layer1.0.conv1, ... .  Problems are noted in b. */
void vbg_resnet_bind(vbg_bind *b, vbg_pool_mem *pool, vbg_resnet *m, const char *prefix,
                     const char *stem_conv, const char *stem_bn, bool dilated);

/* Channels of layer i's map (0 when nothing is bound). */
int vbg_resnet_width(const vbg_resnet *m, int i);

/* x [n,h,w,3] -> the stem's map at 1/4, [n,h/4,w/4,64], after its max pool. */
vbg_tensor *vbg_resnet_stem(vbg_ctx *c, const vbg_resnet *m, const vbg_tensor *x);
/* Layer i in 0..3 on the map of the layer before. */
vbg_tensor *vbg_resnet_layer(vbg_ctx *c, const vbg_resnet *m, const vbg_tensor *x, int i);

#endif
