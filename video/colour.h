/* Colour: RGB <-> YUV in the layouts of cameras and codecs, gray, HSV, Lab, sRGB
 * light, mixing.  RGB is sRGB, 8 bits, interleaved.
 *
 * YUV codes are the f64 formula rounded half to even and clipped, exactly, on every
 * instruction set.  Sources: ITU-R BT.601-7, BT.709-6; IEC 61966-2-1; CIE 1976. */
#ifndef VBG_VIDEO_COLOUR_H
#define VBG_VIDEO_COLOUR_H

#include "kernels/table.h"
#include "video/image.h"

typedef enum vbg_yuv_layout {
    VBG_YUV_444,  /* three planes */
    VBG_YUV_YUYV, /* one plane of Y0 U Y1 V */
    VBG_YUV_I420, /* planes Y, U, V; chroma halved in both directions */
    VBG_YUV_NV12  /* planes Y and UV */
} vbg_yuv_layout;

/* A frame in memory that belongs to somebody else.  Odd sizes have (w+1)/2 x (h+1)/2
 * chroma samples. */
typedef struct vbg_yuv {
    vbg_yuv_layout layout;
    bool bt709, full_range; /* else BT.601, 16..235 */
    int w, h;
    uint8_t *plane[3];
    size_t stride[3];
} vbg_yuv;

/* Chroma of a 4:2:x block: the mean of its pixels, or its top-left pixel alone. */
typedef enum vbg_chroma { VBG_CHROMA_MEAN, VBG_CHROMA_FIRST } vbg_chroma;

/* The matrix of BT.601 or BT.709, limited (16..235, 16..240) or full range. */
void vbg_yuv_matrix_make(vbg_yuv_matrix *m, bool bt709, bool full_range);

/* Rows [y0, y1) of the whole frame (even numbers but at the end), so that callers may
 * share the work; y1 <= 0 means all.  Sizes are equal.  Chroma is repeated, not
 * interpolated. */
void vbg_yuv_to_rgb(const vbg_kernels *k, vbg_picture *dst, const vbg_yuv *src, int y0,
                    int y1);
void vbg_yuv_from_rgb(const vbg_kernels *k, vbg_yuv *dst, const vbg_picture *src,
                      vbg_chroma chroma, int y0, int y1);

/* Rounded .299 R + .587 G + .114 B; dst has one channel. */
void vbg_rgb_to_gray(vbg_picture *dst, const vbg_picture *src);

/* Hue 0..179 (degrees / 2), saturation and value 0..255, as OpenCV's u8 HSV. */
void vbg_rgb_to_hsv(uint8_t hsv[3], const uint8_t rgb[3]);
/* CIE L*a*b*, D65, from sRGB values in 0..1. */
void vbg_rgb_to_lab(double lab[3], const double rgb[3]);
/* sRGB electro-optical function and its inverse, 0..1. */
double vbg_srgb_to_linear(double v);
double vbg_linear_to_srgb(double v);

/* dst = round((front*a + back*(255 - a)) / 255); alpha has one channel; dst may be
 * either picture.  Rows as above. */
void vbg_composite(const vbg_kernels *k, vbg_picture *dst, const vbg_picture *front,
                   const vbg_picture *back, const vbg_picture *alpha, int y0, int y1);
/* The same in linear light. */
void vbg_composite_linear(vbg_picture *dst, const vbg_picture *front,
                          const vbg_picture *back, const vbg_picture *alpha);

#endif
