/* MobileNetV3-Large as a segmentation backbone (torchvision's dilated form): the last
 * stage keeps 1/16 and has dilation 2.
 *
 *   features 0      3x3/2, hard swish                          1/2   16
 *   features 1..15  inverted residuals, some with squeeze-excite
 *                   4..6: 1/8, 40 channels     13..15: 1/16, 160 channels
 *   features 16     1x1, hard swish                            1/16  960
 *
 * Widths come from the file, kernel sizes, strides and activations from table 1 of
 * the paper.  Batch norms have eps 1e-3.
 * Source: Howard et al. 2019, "Searching for MobileNetV3". */
#ifndef VBG_MODELS_MOBILENETV3_H
#define VBG_MODELS_MOBILENETV3_H

#include "models/convnet.h"

enum {
    VBG_MOBILENETV3_BLOCKS = 15,
    VBG_MOBILENETV3_LOW = 4,  /* feature of the auxiliary head and of LR-ASPP, 1/8 */
    VBG_MOBILENETV3_HIGH = 16 /* last feature, 1/16 */
};

/* expand and se1/se2 are absent where the table has none. */
typedef struct vbg_mobilenetv3_block {
    vbg_weight expand, depthwise, se1, se2, project;
} vbg_mobilenetv3_block;

typedef struct vbg_mobilenetv3 {
    vbg_weight first, last;
    vbg_mobilenetv3_block block[VBG_MOBILENETV3_BLOCKS];
} vbg_mobilenetv3;

/* Binds PREFIX.0, PREFIX.1.block, ..., PREFIX.16; problems are noted in b. */
void vbg_mobilenetv3_bind(vbg_bind *b, vbg_pool_mem *pool, vbg_mobilenetv3 *m,
                          const char *prefix);

/* x [n,h,w,3] -> feature 16 [n,h/16,w/16,960]; *low (may be NULL) gets feature 4
 * [n,h/8,w/8,40] in the same scope.  Features are shown as feat0 .. feat16. */
vbg_tensor *vbg_mobilenetv3_forward(vbg_ctx *c, const vbg_mobilenetv3 *m,
                                    const vbg_tensor *x, vbg_tensor **low,
                                    const vbg_probe *probe);

#endif
