/* Adapters between the programs and the stitcher. */
#include "tools/room_stitch.h"

#include <stdlib.h>

#include "engine/picture_resize.h"
#include "engine/tensor.h"
#include "video/stitch.h"

vbg_status vbg_room_stitch(vbg_picture *out, const vbg_picture *view, int views,
                           double fov_deg, int w, int h, int threads, vbg_err *err)
{
    vbg_ctx *c = NULL;
    vbg_ctx_opt opt = { .threads = threads, .isa = VBG_ISA_BEST, .precision = VBG_F32 };
    vbg_pinhole *ring = calloc((size_t)views, sizeof *ring);
    const double rad = 3.14159265358979323846 / 180;

    if (!ring)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the panorama");
    vbg_stitch_ring(ring, views, view[0].w);
    for (int i = 0; i < views; i++)
        ring[i].fov_x = fov_deg * rad;
    vbg_status st = vbg_ctx_new(&c, &opt, err);
    if (st == VBG_OK)
        st = vbg_picture_new(out, w, h, 3, err);
    if (st == VBG_OK)
        st = vbg_stitch(c, out, NULL, view, ring, views, err);
    if (st != VBG_OK)
        vbg_picture_free(out);
    vbg_ctx_free(c);
    free(ring);
    return st;
}

vbg_status vbg_room_shrink(vbg_picture *out, const vbg_picture *in, int w, int h,
                           vbg_err *err)
{
    vbg_status st = vbg_picture_new(out, w, h, in->channels, err);

    if (st == VBG_OK)
        st = vbg_picture_resample(out, in, VBG_FILTER_LANCZOS, err);
    if (st != VBG_OK)
        vbg_picture_free(out);
    return st;
}
