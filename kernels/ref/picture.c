/* Plain reference of kernels/picture.h. */
#include "kernels/picture.h"

#include "kernels/ref/picture_scalar.h"

static void column_u8(float *dst, const uint8_t *const *rows, const float *w, int taps,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float s = 0;
        for (int k = 0; k < taps; k++)
            s += w[k] * (float)rows[k][i];
        dst[i] = s;
    }
}

static void column_f32(float *dst, const float *const *rows, const float *w, int taps,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float s = 0;
        for (int k = 0; k < taps; k++)
            s += w[k] * rows[k][i];
        dst[i] = s;
    }
}

static void mean2(uint8_t *dst, const uint8_t *const rows[2], size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (uint8_t)((rows[0][2 * i] + rows[0][2 * i + 1] + rows[1][2 * i] +
                            rows[1][2 * i + 1] + 2) >>
                           2);
}

static void mean4(float *dst, const uint8_t *const rows[4], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int sum = 0;
        for (int r = 0; r < 4; r++)
            for (int k = 0; k < 4; k++)
                sum += rows[r][4 * i + (size_t)k];
        dst[i] = (float)sum / 16;
    }
}

static void row_taps(float *dst, const float *src, const int *first, const float *w,
                     int taps, size_t n, int ch)
{
    for (size_t x = 0; x < n; x++)
        for (int c = 0; c < ch; c++) {
            const float *p = src + (size_t)first[x] * (size_t)ch + c;
            float s = 0;
            for (int k = 0; k < taps; k++)
                s += w[(size_t)k * n + x] * p[k * ch];
            *dst++ = s;
        }
}

static void row_filter(float *dst, const float *src, const float *w, int taps,
                       size_t step, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float s = 0;
        for (int k = 0; k < taps; k++)
            s += w[k] * src[i + (size_t)k * step];
        dst[i] = s;
    }
}

static void to_u8(uint8_t *dst, const float *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = vbg_clip_level((double)src[i]);
}

static void yuv_rgb(uint8_t *rgb, const uint8_t *y, size_t y_step, const uint8_t *u,
                    const uint8_t *v, size_t step, int shift, const vbg_yuv_matrix *m,
                    size_t n)
{
    for (size_t x = 0; x < n; x++, rgb += 3) {
        size_t c = (x >> shift) * step;
        vbg_yuv_pixel(rgb, y[x * y_step], u[c], v[c], m);
    }
}

static void rgb_y(uint8_t *y, size_t y_step, const uint8_t *rgb, const vbg_yuv_matrix *m,
                  size_t n)
{
    for (size_t x = 0; x < n; x++, rgb += 3)
        y[x * y_step] = vbg_luma_pixel(rgb, m);
}

static void rgb_uv(uint8_t *u, uint8_t *v, size_t step, const uint8_t *a,
                   const uint8_t *b, const vbg_yuv_matrix *m, size_t n)
{
    for (size_t x = 0; x < n; x++, a += 6, b += 6) {
        int sum[3];
        for (int c = 0; c < 3; c++)
            sum[c] = a[c] + a[c + 3] + b[c] + b[c + 3];
        vbg_chroma_block(u + x * step, v + x * step, sum, m);
    }
}

static void products(float *i, float *ip, float *ii, const float *p, float scale,
                     size_t n)
{
    for (size_t x = 0; x < n; x++) {
        i[x] *= scale;
        ip[x] = i[x] * p[x];
        ii[x] = i[x] * i[x];
    }
}

static void guided(float *a, float *b, const float *i, const float *p, const float *ip,
                   const float *ii, float eps, size_t n)
{
    for (size_t x = 0; x < n; x++) {
        float mean = p[x], slope = (ip[x] - i[x] * mean) / (ii[x] - i[x] * i[x] + eps);
        a[x] = slope;
        b[x] = mean - slope * i[x];
    }
}

static void apply(uint8_t *dst, const float *a, const float *b, const uint8_t *src,
                  size_t n)
{
    for (size_t x = 0; x < n; x++)
        dst[x] = vbg_clip_level((double)(a[x] * (float)src[x] + 255.0f * b[x]));
}

static void mix(uint8_t *dst, const uint8_t *front, const uint8_t *back,
                const uint8_t *alpha, size_t n)
{
    for (size_t x = 0; x < n; x++)
        for (size_t c = 3 * x; c < 3 * x + 3; c++) {
            int sum = front[c] * alpha[x] + back[c] * (255 - alpha[x]);
            dst[c] = (uint8_t)((sum + 127) / 255); /* 255 is odd: there are no halves */
        }
}

void vbg_picture_init_ref(vbg_picture_kernels *k)
{
    *k = (vbg_picture_kernels){
        .column_u8 = column_u8,
        .column_f32 = column_f32,
        .mean2 = mean2,
        .mean4 = mean4,
        .row_taps = row_taps,
        .row_filter = row_filter,
        .to_u8 = to_u8,
        .yuv_rgb = yuv_rgb,
        .rgb_y = rgb_y,
        .rgb_uv = rgb_uv,
        .products = products,
        .guided = guided,
        .apply = apply,
        .mix = mix,
    };
}
