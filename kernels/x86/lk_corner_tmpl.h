/* Corner rows, vectorised by the compiler for the ISA of the file that includes this.
 * The arithmetic is that of kernels/ref/lk.c. */

static void corner_row(int32_t *const sum[3], const uint8_t *const rows[3], int w,
                       int sign)
{
    const uint8_t *a = rows[0], *b = rows[1], *c = rows[2];
    int32_t *restrict xx = sum[0], *restrict xy = sum[1], *restrict yy = sum[2];

#pragma omp simd
    for (int x = 0; x < w; x++) {
        const int dx =
            a[x + 1] - a[x - 1] + c[x + 1] - c[x - 1] + 2 * (b[x + 1] - b[x - 1]);
        const int dy = c[x - 1] - a[x - 1] + c[x + 1] - a[x + 1] + 2 * (c[x] - a[x]);
        xx[x] += sign * dx * dx;
        xy[x] += sign * dx * dy;
        yy[x] += sign * dy * dy;
    }
}

static void corner_response(float *dst, int32_t *const sum[3], int w, int block,
                            float scale, float k)
{
    enum { STRIP = 256 };
    int32_t box[3][STRIP];

    for (int first = 0; first < w; first += STRIP) {
        const int n = w - first < STRIP ? w - first : STRIP;
        for (int t = 0; t < 3; t++) {
            const int32_t *s = sum[t] + first - block / 2;
            for (int x = 0; x < n; x++)
                box[t][x] = s[x];
            for (int i = 1; i < block; i++) {
#pragma omp simd
                for (int x = 0; x < n; x++)
                    box[t][x] += s[x + i];
            }
        }
#pragma omp simd
        for (int x = 0; x < n; x++) {
            const float a = (float)box[0][x] * scale, b = (float)box[1][x] * scale;
            const float c = (float)box[2][x] * scale, d = (a - c) * 0.5f;
            dst[first + x] = k < 0 ? (a + c) * 0.5f - sqrtf(d * d + b * b)
                                   : a * c - b * b - k * (a + c) * (a + c);
        }
    }
}

static void corner_peaks(uint8_t *peak, const float *const rows[3], int w, float limit)
{
    const float *a = rows[0], *b = rows[1], *c = rows[2];

    peak[0] = peak[w - 1] = 0;
#pragma omp simd
    for (int x = 1; x < w - 1; x++) {
        const float v = b[x];
        peak[x] = (v > limit) & (v >= b[x - 1]) & (v >= b[x + 1]) & (v >= a[x - 1]) &
                  (v >= a[x]) & (v >= a[x + 1]) & (v >= c[x - 1]) & (v >= c[x]) &
                  (v >= c[x + 1]);
    }
}
