/* Memory of 8-bit pictures. */
#include "engine/picture.h"

vbg_status vbg_picture_new(vbg_picture *out, int w, int h, int channels, vbg_err *err)
{
    if (w < 1 || h < 1 || channels < 1 || channels > 4 || w > VBG_PICTURE_MAX_SIDE ||
        h > VBG_PICTURE_MAX_SIDE || (int64_t)w * h > VBG_PICTURE_MAX_PIXELS)
        return vbg_fail(err, VBG_ELIMIT, "picture of %dx%dx%d", w, h, channels);
    size_t stride = vbg_round_up((size_t)w * (size_t)channels, 64);
    uint8_t *data = vbg_alloc(stride * (size_t)h);
    if (!data)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a picture of %dx%d", w,
                        h);
    *out = (vbg_picture){ data, w, h, channels, stride };
    return VBG_OK;
}

void vbg_picture_free(vbg_picture *p)
{
    if (!p)
        return;
    vbg_free_mem(p->data);
    *p = (vbg_picture){ .data = NULL };
}
