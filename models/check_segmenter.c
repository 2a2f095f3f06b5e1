/* Binds the segmenters for a check. */
#include "models/check.h"

#include "models/segnet.h"

vbg_status vbg_check_segmenter(const vbg_weights *w, const char *arch, bool *known,
                               vbg_err *err)
{
    vbg_segnet *net = NULL;
    vbg_status st = VBG_OK;

    *known = vbg_segnet_known(arch);
    if (*known)
        st = vbg_segnet_open(&net, w, arch, err);
    vbg_segnet_close(net);
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
