/* WebP through libwebp, where the build has it. */
#include "engine/picture_internal.h"

#include <stdlib.h>

#ifdef VBG_HAVE_LIBWEBP
#include <webp/decode.h>
#include <webp/encode.h>

vbg_status vbg_webp_decode(vbg_picture_raw *r, const unsigned char *data, size_t bytes,
                           vbg_err *err)
{
    WebPBitstreamFeatures f;
    vbg_status st;

    if (WebPGetFeatures(data, bytes, &f) != VP8_STATUS_OK || f.has_animation)
        return vbg_fail(err, VBG_EFORMAT, "%s: damaged or animated WebP", r->name);
    st = vbg_picture_check(r->name, (uint64_t)f.width, (uint64_t)f.height, err);
    if (st != VBG_OK)
        return st;
    r->w = f.width;
    r->h = f.height;
    r->alpha = f.has_alpha;
    if (r->only_info)
        return VBG_OK;
    st = vbg_picture_new_unset(&r->picture, f.width, f.height, f.has_alpha ? 4 : 3, err);
    if (st != VBG_OK)
        return st;
    vbg_picture *p = &r->picture;
    size_t size = p->stride * (size_t)p->h;
    if (!(f.has_alpha ? WebPDecodeRGBAInto(data, bytes, p->data, size, (int)p->stride)
                      : WebPDecodeRGBInto(data, bytes, p->data, size, (int)p->stride)))
        return vbg_fail(err, VBG_EFORMAT, "%s: damaged WebP", r->name);
    return VBG_OK;
}

vbg_status vbg_webp_encode(vbg_file *f, const vbg_picture *p, int quality, vbg_err *err)
{
    uint8_t *out = NULL;
    size_t n = 0;
    vbg_status st;
    vbg_picture rgb = *p;

    if (p->channels == 1) {
        st = vbg_picture_new_unset(&rgb, p->w, p->h, 3, err);
        if (st != VBG_OK)
            return st;
        for (int y = 0; y < p->h; y++)
            for (int x = 0; x < 3 * p->w; x++)
                rgb.data[(size_t)y * rgb.stride + (size_t)x] =
                    p->data[(size_t)y * p->stride + (size_t)(x / 3)];
    }
    n = rgb.channels == 4 ? WebPEncodeRGBA(rgb.data, rgb.w, rgb.h, (int)rgb.stride,
                                           (float)quality, &out)
                          : WebPEncodeRGB(rgb.data, rgb.w, rgb.h, (int)rgb.stride,
                                          (float)quality, &out);
    st = n ? vbg_file_write(f, out, n, err)
           : vbg_fail(err, VBG_ELIMIT, "WebP holds at most 16383x16383 pixels");
    WebPFree(out);
    if (p->channels == 1)
        vbg_picture_free(&rgb);
    return st;
}

#else

vbg_status vbg_webp_decode(vbg_picture_raw *r, const unsigned char *data, size_t bytes,
                           vbg_err *err)
{
    (void)data;
    (void)bytes;
    return vbg_fail(err, VBG_EUNSUPPORTED,
                    "%s: this build has no WebP; convert it to PNG", r->name);
}

vbg_status vbg_webp_encode(vbg_file *f, const vbg_picture *p, int quality, vbg_err *err)
{
    (void)f;
    (void)p;
    (void)quality;
    return vbg_fail(err, VBG_EUNSUPPORTED, "this build has no WebP; write .png or .jpg");
}

#endif
