/* Memory of 8-bit pictures. */
#include "engine/picture_internal.h"

#include <stdlib.h>
#include <string.h>

vbg_status vbg_picture_new_unset(vbg_picture *out, int w, int h, int channels,
                                 vbg_err *err)
{
    size_t row, stride, bytes;

    *out = (vbg_picture){ 0 };
    VBG_CHECK(channels == 1 || channels == 3 || channels == 4, "channels %d", channels);
    if (w < 1 || h < 1 || w > VBG_PICTURE_MAX_SIDE || h > VBG_PICTURE_MAX_SIDE ||
        (int64_t)w * h > VBG_PICTURE_MAX_PIXELS)
        return vbg_fail(
            err, VBG_ELIMIT,
            "a picture of %dx%d is beyond the limits (sides 1..%d, %d pixels)", w, h,
            VBG_PICTURE_MAX_SIDE, VBG_PICTURE_MAX_PIXELS);
    if (!vbg_mul_size(&row, (size_t)w, (size_t)channels) ||
        !vbg_align_up(&stride, row, 64) || !vbg_mul_size(&bytes, stride, (size_t)h) ||
        !vbg_add_size(&bytes, bytes, 64))
        return vbg_fail(err, VBG_ELIMIT, "a picture of %dx%d is too large", w, h);
    out->data = aligned_alloc(64, bytes);
    if (!out->data)
        return vbg_fail(err, VBG_ENOMEM, "out of memory for a picture of %dx%d (%zu MB)",
                        w, h, bytes >> 20);
    out->w = w;
    out->h = h;
    out->channels = channels;
    out->stride = stride;
    return VBG_OK;
}

vbg_status vbg_picture_new(vbg_picture *out, int w, int h, int channels, vbg_err *err)
{
    vbg_status st = vbg_picture_new_unset(out, w, h, channels, err);

    if (st == VBG_OK)
        memset(out->data, 0, out->stride * (size_t)h + 64);
    return st;
}

void vbg_picture_free(vbg_picture *p)
{
    if (!p)
        return;
    vbg_free_mem(p->data);
    *p = (vbg_picture){ 0 };
}
