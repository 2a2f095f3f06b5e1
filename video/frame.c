/* Memory of frames. */
#include "video/frame.h"

#include <string.h>

vbg_status vbg_frame_new(vbg_frame *out, int w, int h, vbg_err *err)
{
    vbg_frame f = { .yuv = { .layout = VBG_YUV_I420, .w = w, .h = h } };

    if (w < 1 || h < 1 || w > VBG_VIDEO_MAX_SIDE || h > VBG_VIDEO_MAX_SIDE ||
        (int64_t)w * h > VBG_VIDEO_MAX_PIXELS)
        return vbg_fail(err, VBG_ELIMIT,
                        "frames of %dx%d are beyond the limit of %d a side "
                        "and %d pixels",
                        w, h, VBG_VIDEO_MAX_SIDE, VBG_VIDEO_MAX_PIXELS);
    size_t cw = ((size_t)w + 1) / 2, ch = ((size_t)h + 1) / 2;
    vbg_yuv *v = &f.yuv;
    v->stride[0] = vbg_round_up((size_t)w, 64);
    v->stride[1] = v->stride[2] = vbg_round_up(cw, 64);
    size_t y = v->stride[0] * (size_t)h + 64, c = v->stride[1] * ch + 64;
    uint8_t *p = vbg_alloc(y + 2 * c);
    if (!p)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a frame of %dx%d", w, h);
    f.memory = p;
    v->plane[0] = p;
    v->plane[1] = p + y;
    v->plane[2] = p + y + c;
    memset(v->plane[0], 16, y);
    memset(v->plane[1], 128, 2 * c);
    *out = f;
    return VBG_OK;
}

void vbg_frame_free(vbg_frame *f)
{
    if (!f)
        return;
    vbg_free_mem(f->memory);
    *f = (vbg_frame){ 0 };
}
