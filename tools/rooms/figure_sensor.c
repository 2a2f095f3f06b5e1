/* Source of the noise's statistics: Brooks et al. 2019, "Unprocessing images for learned
 * raw denoising". */
#include "tools/rooms/figure_sensor.h"

#include <string.h>

sensor vr_sensor(rng *r)
{
    const float log_shot =
        rnd_in(r, logf(1e-4f), logf(.008f)) - .8f * (float)chance(r, .5f);
    const float exposure = expf(.18f * rnd_gauss(r)), warm = .06f * rnd_gauss(r);

    return (sensor){ .gain = v3(exposure * (1 + warm), exposure, exposure * (1 - warm)),
                     .shot = .5f * expf(log_shot),
                     .read = .25f * expf(2.18f * log_shot + 1.2f + .26f * rnd_gauss(r)),
                     .soft = chance(r, .25f) ? rnd_in(r, .4f, 1.3f) : 0,
                     .sharpen = rnd_in(r, 0, .5f),
                     .seed = (uint32_t)rng_next(r) };
}

/* One running mean along a line of n values, step apart. */
static void blur_line(float *out, const float *in, int n, size_t step, int rad)
{
    float sum = 0;

    for (int i = -rad; i <= rad; i++)
        sum += in[(size_t)(i < 0 ? 0 : i >= n ? n - 1 : i) * step];
    for (int i = 0; i < n; i++) {
        out[(size_t)i * step] = sum / (float)(2 * rad + 1);
        const int a = i + rad + 1, b = i - rad;
        sum +=
            in[(size_t)(a >= n ? n - 1 : a) * step] - in[(size_t)(b < 0 ? 0 : b) * step];
    }
}

void vr_blur(float *data, float *scratch, int w, int h, int channels, float radius)
{
    const int rad = (int)(radius * .6f + .5f);
    const size_t c = (size_t)channels, row = (size_t)w * c;

    for (int pass = 0; pass < 3 && rad > 0; pass++) {
        for (int y = 0; y < h; y++)
            for (size_t k = 0; k < c; k++)
                blur_line(scratch + (size_t)y * row + k, data + (size_t)y * row + k, w, c,
                          rad);
        for (int x = 0; x < w; x++)
            for (size_t k = 0; k < c; k++)
                blur_line(data + (size_t)x * c + k, scratch + (size_t)x * c + k, h, row,
                          rad);
    }
}

/* 3x3 binomial blur, weight mixes it in; negative sharpens. */
static void binomial(float *data, float *scratch, int w, int h, float weight)
{
    const size_t row = (size_t)w * 3;

    memcpy(scratch, data, row * (size_t)h * sizeof *data);
    for (int y = 1; y + 1 < h; y++)
        for (size_t i = 3; i < row - 3; i++) {
            const float *p = scratch + (size_t)y * row + i;
            const float *u = p - row, *d = p + row;
            const float mean = .25f * p[0] + .125f * (p[-3] + p[3] + u[0] + d[0]) +
                               .0625f * (u[-3] + u[3] + d[-3] + d[3]);
            data[(size_t)y * row + i] = p[0] + weight * (mean - p[0]);
        }
}

static void add_noise(const sensor *s, float *light, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t a = vr_hash((uint32_t)i * 2654435761u ^ s->seed);
        float sum = 0;
        for (int k = 0; k < 4; k++, a = vr_hash(a))
            sum += vr_unit(a);
        light[i] +=
            (sum - 2) * 1.7320508f * sqrtf(s->shot * vr_max(light[i], 0) + s->read);
    }
}

static uint8_t encode(float v)
{
    v = vr_clamp(v, 0, 1);
    v = v <= .0031308f ? 12.92f * v : 1.055f * powf(v, 1 / 2.4f) - .055f;
    return (uint8_t)(255 * v + .5f);
}

/* Bright light is bent over softly instead of being cut. */
static float shoulder(float v)
{
    return v < .7f ? v : 1 - .3f * expf(-(v - .7f) / .3f);
}

void vr_sensor_expose(const sensor *s, float *light, float *scratch, vbg_picture *rgb)
{
    enum { STEPS = 4096 };
    const int w = rgb->w, h = rgb->h;
    const size_t n = (size_t)w * (size_t)h;
    uint8_t table[STEPS];

    for (size_t i = 0; i < n; i++) {
        light[3 * i] *= s->gain.x;
        light[3 * i + 1] *= s->gain.y;
        light[3 * i + 2] *= s->gain.z;
    }
    if (s->soft > 0)
        binomial(light, scratch, w, h, vr_min(s->soft, 1));
    add_noise(s, light, 3 * n);
    if (s->sharpen > 0)
        binomial(light, scratch, w, h, -s->sharpen);
    for (int i = 0; i < STEPS; i++) {
        const float v = (float)i / (STEPS - 1);
        table[i] = encode(shoulder(1.6f * v * v));
    }
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w * 3; x++) {
            const float v = light[(size_t)y * (size_t)w * 3 + (size_t)x];
            rgb->data[(size_t)y * rgb->stride + (size_t)x] =
                table[(int)(sqrtf(vr_clamp(v / 1.6f, 0, 1)) * (STEPS - 1) + .5f)];
        }
}
