/* Memory of float pictures. */
#include "video/image.h"

vbg_status vbg_image_new(vbg_image *out, int w, int h, int channels, vbg_err *err)
{
    bool shape = w > 0 && h > 0 && channels > 0 && channels <= 4;

    if (!shape || w > VBG_PICTURE_MAX_SIDE || h > VBG_PICTURE_MAX_SIDE ||
        (int64_t)w * h > VBG_PICTURE_MAX_PIXELS)
        return vbg_fail(err, VBG_ELIMIT, "image of %dx%dx%d", w, h, channels);
    size_t stride = vbg_round_up((size_t)w * (size_t)channels, 16);
    float *data = vbg_alloc(stride * (size_t)h * sizeof *data);
    if (!data)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for an image of %dx%d", w, h);
    *out = (vbg_image){ data, w, h, channels, stride };
    return VBG_OK;
}

void vbg_image_free(vbg_image *p)
{
    if (!p)
        return;
    vbg_free_mem(p->data);
    *p = (vbg_image){ .data = NULL };
}
