/* ICC profiles to sRGB with Little CMS; CMYK to RGB. */
#include "engine/picture_internal.h"

#include <stdlib.h>
#include <string.h>

#include <lcms2.h>

/* True when the profile calls itself sRGB: most do, and the transform costs time. */
static bool is_srgb(cmsHPROFILE p)
{
    char text[128] = "";

    cmsGetProfileInfoASCII(p, cmsInfoDescription, "en", "US", text, sizeof text);
    return strncmp(text, "sRGB", 4) == 0;
}

/* Rows through the transform, into a new RGB picture when the channels change. */
static bool apply(vbg_picture_raw *r, cmsHTRANSFORM t, bool to_rgb)
{
    vbg_picture out = r->picture;

    if (to_rgb &&
        vbg_picture_new_unset(&out, r->picture.w, r->picture.h, 3, NULL) != VBG_OK)
        return false;
    for (int y = 0; y < out.h; y++)
        cmsDoTransform(t, r->picture.data + (size_t)y * r->picture.stride,
                       out.data + (size_t)y * out.stride, (cmsUInt32Number)out.w);
    if (to_rgb) {
        vbg_picture_free(&r->picture);
        r->picture = out;
    }
    return true;
}

/* Inverted CMYK (255: no ink) to RGB without a profile. */
static bool plain_cmyk(vbg_picture_raw *r)
{
    vbg_picture out;

    if (vbg_picture_new_unset(&out, r->picture.w, r->picture.h, 3, NULL) != VBG_OK)
        return false;
    for (int y = 0; y < out.h; y++) {
        const uint8_t *s = r->picture.data + (size_t)y * r->picture.stride;
        uint8_t *d = out.data + (size_t)y * out.stride;
        for (int x = 0; x < out.w; x++)
            for (int c = 0; c < 3; c++)
                d[3 * x + c] = (uint8_t)((s[4 * x + c] * s[4 * x + 3] + 127) / 255);
    }
    vbg_picture_free(&r->picture);
    r->picture = out;
    return true;
}

bool vbg_icc_to_srgb(vbg_picture_raw *r)
{
    cmsContext cms = NULL;
    cmsHPROFILE from = NULL, to = NULL;
    cmsHTRANSFORM t = NULL;
    const int ch = r->picture.channels;
    bool done = false;

    if (!r->picture.data)
        return false;
    if (r->icc.size > 0 && !r->icc.failed && r->icc.size <= 16u << 20) {
        cms = cmsCreateContext(NULL, NULL);
        from = cmsOpenProfileFromMemTHR(cms, r->icc.data, (cmsUInt32Number)r->icc.size);
        to = cmsCreate_sRGBProfileTHR(cms);
    }
    if (from && to && !is_srgb(from)) {
        cmsColorSpaceSignature space = cmsGetColorSpace(from);
        cmsUInt32Number in = 0, out = TYPE_RGB_8;
        if (r->cmyk && space == cmsSigCmykData)
            in = TYPE_CMYK_8_REV;
        else if (!r->cmyk && ch == 1 && space == cmsSigGrayData)
            in = TYPE_GRAY_8;
        else if (!r->cmyk && ch == 3 && space == cmsSigRgbData)
            in = TYPE_RGB_8;
        else if (!r->cmyk && ch == 4 && space == cmsSigRgbData)
            in = out = TYPE_RGBA_8;
        if (in)
            t = cmsCreateTransformTHR(cms, from, in, to, out, INTENT_PERCEPTUAL,
                                      cmsFLAGS_COPY_ALPHA);
        if (t)
            done = apply(r, t, r->cmyk || ch == 1);
    }
    if (t)
        cmsDeleteTransform(t);
    if (from)
        cmsCloseProfile(from);
    if (to)
        cmsCloseProfile(to);
    if (cms)
        cmsDeleteContext(cms);
    if (r->cmyk && r->picture.channels == 4)
        plain_cmyk(r);
    return done;
}
