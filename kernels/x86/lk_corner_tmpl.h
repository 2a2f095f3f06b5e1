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

enum { STRIP = 256 };

static void harris(float *dst, const int32_t *xx, const int32_t *xy, const int32_t *yy,
                   int n, float scale, float k)
{
#pragma omp simd
    for (int x = 0; x < n; x++) {
        const float a = (float)xx[x] * scale, b = (float)xy[x] * scale;
        const float c = (float)yy[x] * scale;
        dst[x] = a * c - b * b - k * (a + c) * (a + c);
    }
}

/* The root is taken by the file's own roots(): sqrtf may set errno, which keeps compilers
 * from vectorising. */
static void small_eigenvalues(float *dst, const int32_t *xx, const int32_t *xy,
                              const int32_t *yy, int n, float scale)
{
    float mean[STRIP], square[STRIP] = { 0 };

#pragma omp simd
    for (int x = 0; x < n; x++) {
        const float a = (float)xx[x] * scale, b = (float)xy[x] * scale;
        const float c = (float)yy[x] * scale, d = (a - c) * 0.5f;
        mean[x] = (a + c) * 0.5f;
        square[x] = d * d + b * b;
    }
    roots(square, n);
#pragma omp simd
    for (int x = 0; x < n; x++)
        dst[x] = mean[x] - square[x];
}

static void corner_response(float *dst, int32_t *const sum[3], int w, int block,
                            float scale, float k)
{
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
        if (k < 0)
            small_eigenvalues(dst + first, box[0], box[1], box[2], n, scale);
        else
            harris(dst + first, box[0], box[1], box[2], n, scale, k);
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
