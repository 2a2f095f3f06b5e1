/* Rows of pictures: weighted sums for resizing and blurring, YUV <-> RGB, mixing.
 *
 * Resizing and blurring work in f32 between u8 ends; sums may differ by a rounding
 * between levels (FMA), so a u8 result may differ by one where it lies on a half.
 * Colour rows are exact: every level gives the f64 formula rounded half to even. */
#ifndef VBG_KERNELS_PICTURE_H
#define VBG_KERNELS_PICTURE_H

#include "engine/base.h"

/* Colour matrix between u8 codes, in double.
 *   code  Y = y_off + sum y[i] rgb[i],  U = 128 + sum u[i] rgb[i],  V likewise
 *   back  R = ry (Y - y_off) + rv (V - 128), G = ry (Y - y_off) + gu (U - 128) +
 *         gv (V - 128), B = ry (Y - y_off) + bu (U - 128) */
typedef struct vbg_yuv_matrix {
    double y[3], u[3], v[3], y_off;
    double ry, rv, gu, gv, bu;
} vbg_yuv_matrix;

typedef struct vbg_picture_kernels {
    /* dst[i] = sum_k w[k] * rows[k][i] for i < n */
    void (*column_u8)(float *dst, const uint8_t *const *rows, const float *w, int taps,
                      size_t n);
    void (*column_f32)(float *dst, const float *const *rows, const float *w, int taps,
                       size_t n);
    /* dst[i] = mean of the 2 x 2 values at column 2i of two rows, half up, i < n; exact */
    void (*mean2)(uint8_t *dst, const uint8_t *const rows[2], size_t n);
    /* dst[i] = mean of the 4 x 4 values at column 4i of four rows, i < n; exact */
    void (*mean4)(float *dst, const uint8_t *const rows[4], size_t n);
    /* dst[x*ch + c] = sum_k w[k*n + x] * src[(first[x] + k)*ch + c], x < n; first
     * ascends; src is followed by 64 readable bytes, dst by 16 writable ones */
    void (*row_taps)(float *dst, const float *src, const int *first, const float *w,
                     int taps, size_t n, int ch);
    /* dst[i] = sum_k w[k] * src[i + k*step], i < n */
    void (*row_filter)(float *dst, const float *src, const float *w, int taps,
                       size_t step, size_t n);
    /* round half to even, clip to 0..255 (NaN: 0) */
    void (*to_u8)(uint8_t *dst, const float *src, size_t n);
    /* n pixels; chroma of pixel x at [(x >> shift) * step]: planes step 1, NV12 and
     * YUYV 2 and 4; luma of pixel x at y[x * y_step] */
    void (*yuv_rgb)(uint8_t *rgb, const uint8_t *y, size_t y_step, const uint8_t *u,
                    const uint8_t *v, size_t step, int shift, const vbg_yuv_matrix *m,
                    size_t n);
    /* y[x * y_step], n pixels */
    void (*rgb_y)(uint8_t *y, size_t y_step, const uint8_t *rgb, const vbg_yuv_matrix *m,
                  size_t n);
    /* chroma of n blocks of two columns in rows a and b (b == a: one row), written
     * step apart; the mean of the block before rounding */
    void (*rgb_uv)(uint8_t *u, uint8_t *v, size_t step, const uint8_t *a,
                   const uint8_t *b, const vbg_yuv_matrix *m, size_t n);
    /* i *= scale, ip = i*p, ii = i*i */
    void (*products)(float *i, float *ip, float *ii, const float *p, float scale,
                     size_t n);
    /* The guided filter's coefficients from means of I, p, I*p, I*I:
     *   a = (ip - i*p) / (ii - i*i + eps), b = p - a*i; a and b may be ip and p */
    void (*guided)(float *a, float *b, const float *i, const float *p, const float *ip,
                   const float *ii, float eps, size_t n);
    /* dst[x] = to_u8(a[x]*src[x] + 255 b[x]) */
    void (*apply)(uint8_t *dst, const float *a, const float *b, const uint8_t *src,
                  size_t n);
    /* dst = round((front*a + back*(255 - a)) / 255), n pixels of 3, a one byte each */
    void (*mix)(uint8_t *dst, const uint8_t *front, const uint8_t *back,
                const uint8_t *alpha, size_t n);
} vbg_picture_kernels;

void vbg_picture_init_ref(vbg_picture_kernels *k);
void vbg_picture_init_avx2(vbg_picture_kernels *k);
void vbg_picture_init_avx512(vbg_picture_kernels *k);

#endif
