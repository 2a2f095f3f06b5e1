/* VGG19; see models/vgg.h. */
#include "models/vgg.h"

/* Number of each convolution in torchvision's list of layers; a pool comes before those
 * marked. */
typedef struct place {
    int index;
    bool pool;
    int tap; /* -1: none */
} place;

static const place places[VBG_VGG_CONVS] = {
    { 0, false, VBG_RELU1_1 },  { 2, false, -1 },          { 5, true, VBG_RELU2_1 },
    { 7, false, -1 },           { 10, true, VBG_RELU3_1 }, { 12, false, -1 },
    { 14, false, -1 },          { 16, false, -1 },         { 19, true, VBG_RELU4_1 },
    { 21, false, VBG_RELU4_2 }, { 23, false, -1 },         { 25, false, -1 },
    { 28, true, VBG_RELU5_1 },
};

vbg_status vbg_vgg_bind(vbg_vgg *m, const vbg_weights *w, const char *component,
                        vbg_err *err)
{
    vbg_bind b;

    *m = (vbg_vgg){ 0 };
    vbg_bind_start(&b, w, component);
    for (int i = 0; i < VBG_VGG_CONVS; i++)
        vbg_bind_layer(&b, &m->conv[i], 0, i ? m->conv[i - 1].oc : 3, 3, 3, VBG_BIND_BIAS,
                       "features.%d", places[i].index);
    return vbg_bind_finish(&b, err);
}

void vbg_vgg_forward(vbg_ctx *c, const vbg_vgg *m, const vbg_tensor *x,
                     vbg_tensor *tap[VBG_VGG_TAPS])
{
    const vbg_conv_opt k3 = { .pad = 1, .act = VBG_ACT_RELU };
    const vbg_pool_opt half = { .k_y = 2, .stride = 2, .max = true };

    vbg_scope_open(c);
    for (int i = 0; i < VBG_VGG_CONVS; i++) {
        if (places[i].pool)
            x = vbg_pool(c, x, half);
        vbg_tensor *y = vbg_conv2d(c, x, &m->conv[i], k3);
        if (places[i].tap >= 0) {
            tap[places[i].tap] = y;
            vbg_keep(c, y);
        }
        x = y;
    }
    vbg_scope_close(c, NULL);
}
