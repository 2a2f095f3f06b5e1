/* Blurring: Gaussian and box, u8 and f32.  Interleaved pictures of 1 to 4 channels. */
#ifndef VBG_VIDEO_BLUR_H
#define VBG_VIDEO_BLUR_H

#include "kernels/table.h"
#include "video/image.h"

typedef enum vbg_border {
    VBG_BORDER_REFLECT_101, /* dcb|abcd|cba (OpenCV's default, SciPy's mirror) */
    VBG_BORDER_REPLICATE,   /* aaa|abcd|ddd (SciPy's nearest) */
    VBG_BORDER_REFLECT      /* cba|abcd|dcb (SciPy's reflect) */
} vbg_border;

/* Normalised Gaussian of n taps (odd).  sigma <= 0: 0.3*((n-1)/2 - 1) + 0.8, and for
 * n up to 7 OpenCV's fixed binomial-like tables. */
void vbg_gauss_kernel(double *w, int n, double sigma);
/* Odd length for sigma > 0: round(2*spread*sigma + 1) | 1; OpenCV's spread is 3 for u8
 * and 4 for f32. */
int vbg_gauss_length(double sigma, double spread);

/* Separable filter with taps (odd) weights for both axes; dst may be src.
 * Errors: VBG_ENOMEM. */
vbg_status vbg_filter_f32(const vbg_kernels *k, vbg_image *dst, const vbg_image *src,
                          const float *w, int taps, vbg_border border, vbg_err *err);
vbg_status vbg_filter_u8(const vbg_kernels *k, vbg_picture *dst, const vbg_picture *src,
                         const float *w, int taps, vbg_border border, vbg_err *err);

/* Gaussian blur, reflect-101.  taps 0: from sigma; sigma 0: from taps.  taps <= 2047.
 * dst may be src.  Errors: VBG_ENOMEM, VBG_EUSAGE. */
vbg_status vbg_gauss_f32(const vbg_kernels *k, vbg_image *dst, const vbg_image *src,
                         int taps, double sigma, vbg_err *err);
vbg_status vbg_gauss_u8(const vbg_kernels *k, vbg_picture *dst, const vbg_picture *src,
                        int taps, double sigma, vbg_err *err);

/* Wide blurs of every frame: the picture is shrunk until sigma is 2 to 4 pixels,
 * blurred there and widened bilinearly; within two levels of the exact one.  Made once
 * per size and sigma (0.5 to 200). */
typedef struct vbg_blurrer vbg_blurrer;
/* Errors: VBG_EUSAGE, VBG_ENOMEM. */
vbg_status vbg_blurrer_new(vbg_blurrer **out, int w, int h, int channels, double sigma,
                           vbg_err *err);
void vbg_blurrer_free(vbg_blurrer *b); /* accepts NULL */
/* dst may be src; sizes and channels as given.  Not for two threads with one b. */
void vbg_blurrer_run(vbg_blurrer *b, const vbg_kernels *k, vbg_picture *dst,
                     const vbg_picture *src);

/* Mean over size x size pixels, anchor at size/2 (even sizes reach one further left
 * and up), reflect-101, sums exact in integers.  dst may be src.
 * Errors: VBG_ENOMEM, VBG_EUSAGE (size outside 1..4095). */
vbg_status vbg_box_u8(vbg_picture *dst, const vbg_picture *src, int size, vbg_err *err);
/* As above into f32, not rounded. */
vbg_status vbg_box_u8_f32(vbg_image *dst, const vbg_picture *src, int size, vbg_err *err);

#endif
