/* Coarse light from a picture.  Source of the harmonics: Ramamoorthi and Hanrahan 2001,
 * "An efficient representation for irradiance environment maps". */
#include "tools/rooms/figure_light.h"

#include "tools/rooms/palette.h"

/* Radiance that a finished pixel stands for: what is nearly white was brighter. */
static vec3 radiance(const float table[256], const uint8_t *p)
{
    const vec3 c = v3(table[p[0]], table[p[1]], table[p[2]]);
    const float over = vr_max(v3_luma(c) - .75f, 0) / .25f;

    return v3_mul(c, 1 + 5 * over * over);
}

/* Mean over the block of the picture that cell x, y of the map covers. */
static vec3 block_mean(const vbg_picture *p, const float table[256], float u0, float u1,
                       int y)
{
    const int x0 = (int)(u0 * (float)p->w), x1 = (int)(u1 * (float)p->w);
    const int y0 = y * p->h / FL_H, y1 = (y + 1) * p->h / FL_H;
    vec3 sum = v3s(0);
    float n = 0;

    for (int j = y0; j < (y1 > y0 ? y1 : y0 + 1); j += 1 + (y1 - y0) / 8)
        for (int i = x0; i < (x1 > x0 ? x1 : x0 + 1); i += 1 + (x1 - x0) / 8) {
            const uint8_t *q = p->data + (size_t)(j < p->h ? j : p->h - 1) * p->stride +
                               (size_t)(i < p->w ? i : p->w - 1) * (size_t)p->channels;
            sum = v3_add(sum, radiance(table, q));
            n++;
        }
    return v3_mul(sum, 1 / n);
}

static vec3 map_dir(const figure_light *l, int x, int y)
{
    const float lon = 2 * VR_PI * (((float)x + .5f) / FL_W - .5f) - l->yaw,
                lat = VR_PI * (.5f - ((float)y + .5f) / FL_H), c = cosf(lat);

    return v3(sinf(lon) * c, sinf(lat), -cosf(lon) * c);
}

static float map_omega(int y)
{
    return cosf(VR_PI * (.5f - ((float)y + .5f) / FL_H)) * (VR_PI / FL_H) *
           (2 * VR_PI / FL_W);
}

static void harmonics(float b[9], vec3 d)
{
    b[0] = .282095f;
    b[1] = .488603f * d.y;
    b[2] = .488603f * d.z;
    b[3] = .488603f * d.x;
    b[4] = 1.092548f * d.x * d.y;
    b[5] = 1.092548f * d.y * d.z;
    b[6] = .315392f * (3 * d.z * d.z - 1);
    b[7] = 1.092548f * d.x * d.z;
    b[8] = .546274f * (d.x * d.x - d.y * d.y);
}

/* Moves the light above `most` within about 25 degrees of the brightest cell into the
 * key light. */
static void find_key(figure_light *l)
{
    float best = -1, mean = 0;
    int at = 0;

    for (int i = 0; i < FL_W * FL_H; i++) {
        const float v = v3_luma(l->map[i]);
        mean += v * map_omega(i / FL_W) / (4 * VR_PI);
        if (v > best && i / FL_W < FL_H * 5 / 8) {
            best = v;
            at = i;
        }
    }
    const vec3 peak = map_dir(l, at % FL_W, at / FL_W);
    const float most = 1.6f * mean;
    vec3 dir = v3s(0), sum = v3s(0);
    for (int i = 0; i < FL_W * FL_H; i++) {
        const vec3 d = map_dir(l, i % FL_W, i / FL_W);
        const float v = v3_luma(l->map[i]);
        if (v <= most || v3_dot(d, peak) < .90f)
            continue;
        const vec3 over = v3_mul(l->map[i], (v - most) / v);
        sum = v3_mad(sum, over, map_omega(i / FL_W) / VR_PI);
        dir = v3_mad(dir, d, v3_luma(over) * map_omega(i / FL_W));
        l->map[i] = v3_mul(l->map[i], most / v);
    }
    l->key = sum;
    l->key_dir = v3_unit(v3_add(dir, v3_mul(peak, 1e-6f)));
    l->key_size = .16f;
}

static void project(figure_light *l)
{
    /* the clamped cosine in each band, over pi */
    static const float band[9] = {
        1, .6667f, .6667f, .6667f, .25f, .25f, .25f, .25f, .25f
    };

    for (int k = 0; k < 9; k++)
        l->sh[k] = v3s(0);
    for (int i = 0; i < FL_W * FL_H; i++) {
        float b[9];
        harmonics(b, map_dir(l, i % FL_W, i / FL_W));
        for (int k = 0; k < 9; k++)
            l->sh[k] = v3_mad(l->sh[k], l->map[i], b[k] * band[k] * map_omega(i / FL_W));
    }
}

void vr_light_from_picture(figure_light *l, const vbg_picture *p, bool sphere, float yaw)
{
    float table[256];

    for (int i = 0; i < 256; i++)
        table[i] = vr_srgb_to_linear(i, i, i).x;
    l->yaw = sphere ? yaw : 0;
    for (int y = 0; y < FL_H; y++)
        for (int x = 0; x < FL_W; x++) {
            float u0 = (float)x / FL_W, u1 = (float)(x + 1) / FL_W;
            if (!sphere) { /* behind: the middle half of the map; in front: mirrored */
                const float t = 2 * (u0 + u1) / 2 - .5f;
                const float c = t < 0 ? -t : t > 1 ? 2 - t : t;
                u0 = vr_clamp(c - .02f, 0, .95f);
                u1 = u0 + .04f;
            }
            l->map[y * FL_W + x] = block_mean(p, table, u0, u1, y);
        }
    find_key(l);
    project(l);
}

void vr_light_key(figure_light *l, vec3 dir, vec3 strength, float size)
{
    l->key_dir = v3_unit(dir);
    l->key = strength;
    l->key_size = size;
}

vec3 vr_light_at(const figure_light *l, vec3 n)
{
    float b[9];
    vec3 sum = v3s(0);

    harmonics(b, n);
    for (int k = 0; k < 9; k++)
        sum = v3_mad(sum, l->sh[k], b[k]);
    const float least = .08f * .282095f; /* the second band may undershoot */
    return v3(vr_max(sum.x, least * l->sh[0].x), vr_max(sum.y, least * l->sh[0].y),
              vr_max(sum.z, least * l->sh[0].z));
}

vec3 vr_light_from(const figure_light *l, vec3 d)
{
    const float u = ((atan2f(d.x, -d.z) + l->yaw) / (2 * VR_PI) + .5f) * FL_W;
    const float v = (.5f - asinf(vr_clamp(d.y, -1, 1)) / VR_PI) * FL_H;
    const int x = ((vr_floor(u) % FL_W) + FL_W) % FL_W, y = v < 0       ? 0
                                                            : v >= FL_H ? FL_H - 1
                                                                        : (int)v;

    return l->map[y * FL_W + x];
}
