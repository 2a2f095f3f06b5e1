/* Binds the segmenters for a check. */
#include "models/check.h"

#include <stdlib.h>
#include <string.h>

#include "models/bisenet.h"
#include "models/bodypix.h"
#include "models/deeplab.h"
#include "models/deeplab_tflite.h"
#include "models/selfie.h"

typedef union networks {
    vbg_bisenet bisenet;
    vbg_bisenet1 bisenet1;
    vbg_bisenet2 bisenet2;
    vbg_deeplab deeplab;
    vbg_lraspp lraspp;
    vbg_selfie selfie;
    vbg_bodypix bodypix;
    vbg_deeplab_tflite deeplab_tflite;
} networks;

vbg_status vbg_check_segmenter(const vbg_weights *w, const char *arch, bool *known,
                               vbg_err *err)
{
    networks *n = calloc(1, sizeof *n);
    vbg_pool_mem *pool = vbg_pool_new();
    static const char component[] = "segmenter";
    vbg_status st = VBG_OK;

    *known = true;
    if (!n || !pool)
        st = vbg_fail(err, VBG_ENOMEM, "out of memory");
    else if (strcmp(arch, "bisenet-noisrucer") == 0)
        st = vbg_bisenet_bind(&n->bisenet, pool, w, component, err);
    else if (strcmp(arch, "bisenetv1") == 0)
        st = vbg_bisenet1_bind(&n->bisenet1, pool, w, component, err);
    else if (strcmp(arch, "bisenetv2") == 0)
        st = vbg_bisenet2_bind(&n->bisenet2, pool, w, component, err);
    else if (strncmp(arch, "deeplabv3-", 10) == 0)
        st = vbg_deeplab_bind(&n->deeplab, pool, w, component, err);
    else if (strcmp(arch, "lraspp-mobilenetv3") == 0)
        st = vbg_lraspp_bind(&n->lraspp, pool, w, component, err);
    else if (strcmp(arch, "selfie") == 0)
        st = vbg_selfie_bind(&n->selfie, w, component, err);
    else if (strcmp(arch, "bodypix-mobilenet") == 0)
        st = vbg_bodypix_bind(&n->bodypix, w, component, 8, err);
    else if (strcmp(arch, "deeplab-tflite") == 0)
        st = vbg_deeplab_tflite_bind(&n->deeplab_tflite, w, component, err);
    else
        *known = false;
    vbg_pool_free(pool);
    free(n);
    return st;
}

vbg_status vbg_model_check(const vbg_weights *w, const char *arch, vbg_err *err)
{
    bool known;
    vbg_status st = vbg_check_diffusion(w, arch, &known, err);

    if (st == VBG_OK && !known)
        st = vbg_check_segmenter(w, arch, &known, err);
    return st;
}
