/* Named colours and their variations (anchors and rules: CIELAB, D65). */
#include "tools/rooms/palette.h"

static const unsigned char anchors[COLOURS][3] = {
    [WHITE] = { 0xF0, 0xEE, 0xE8 },  [BLACK] = { 0x1E, 0x1E, 0x20 },
    [GREY] = { 0x80, 0x82, 0x85 },   [RED] = { 0xB8, 0x27, 0x2C },
    [ORANGE] = { 0xE0, 0x7B, 0x22 }, [YELLOW] = { 0xEB, 0xC5, 0x34 },
    [GREEN] = { 0x3F, 0x8F, 0x47 },  [BLUE] = { 0x2B, 0x5F, 0xA8 },
    [PURPLE] = { 0x6F, 0x3F, 0x93 }, [PINK] = { 0xE5, 0x9B, 0xB4 },
    [BROWN] = { 0x7A, 0x4B, 0x2A },
};

static float decode(int v)
{
    const float c = (float)v / 255;

    return c <= .04045f ? c / 12.92f : powf((c + .055f) / 1.055f, 2.4f);
}

vec3 vr_srgb_to_linear(int r, int g, int b)
{
    return v3(decode(r), decode(g), decode(b));
}

static float lab_f(float t)
{
    return t > .008856f ? cbrtf(t) : 7.787f * t + 16.f / 116;
}

static float lab_inv(float t)
{
    return t > .2069f ? t * t * t : (t - 16.f / 116) / 7.787f;
}

vec3 vr_lab(vec3 c)
{
    const float x = (.4124564f * c.x + .3575761f * c.y + .1804375f * c.z) / .95047f;
    const float y = .2126729f * c.x + .7151522f * c.y + .0721750f * c.z;
    const float z = (.0193339f * c.x + .1191920f * c.y + .9503041f * c.z) / 1.08883f;
    const float fx = lab_f(x), fy = lab_f(y), fz = lab_f(z);

    return v3(116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz));
}

static vec3 from_lab(vec3 l)
{
    const float fy = (l.x + 16) / 116, fx = fy + l.y / 500, fz = fy - l.z / 200;
    const float x = .95047f * lab_inv(fx), y = lab_inv(fy), z = 1.08883f * lab_inv(fz);

    return v3(3.2404542f * x - 1.5371385f * y - .4985314f * z,
              -.9692660f * x + 1.8760108f * y + .0415560f * z,
              .0556434f * x - .2040259f * y + 1.0572252f * z);
}

static vec3 anchor_lab(int colour)
{
    const unsigned char *a = anchors[colour];

    return vr_lab(vr_srgb_to_linear(a[0], a[1], a[2]));
}

int vr_nearest_colour(vec3 linear, float *margin)
{
    const vec3 l = vr_lab(linear);
    float best = 1e9f, second = 1e9f;
    int name = NO_COLOUR;

    for (int i = 0; i < COLOURS; i++) {
        const float d = v3_len(v3_sub(l, anchor_lab(i)));
        if (d < best) {
            second = best;
            best = d;
            name = i;
        } else if (d < second) {
            second = d;
        }
    }
    if (margin)
        *margin = second - best;
    return name;
}

float vr_luminance_gain(float mean)
{
    return vr_clamp(.24f / fmaxf(mean, 1e-4f), .75f, 1.7f);
}

static vec3 vary(int colour, rng *r, float chroma_lo, float chroma_hi, float lift)
{
    const vec3 base = anchor_lab(colour);
    vec3 c = v3s(.5f);

    for (int i = 0; i < 30; i++) {
        const float hue = rnd_in(r, -9, 9) * VR_PI / 180,
                    k = rnd_in(r, chroma_lo, chroma_hi);
        const float co = cosf(hue) * k, si = sinf(hue) * k;
        const float lum = base.x + rnd_in(r, -9, 9) + lift;
        float margin;
        c = from_lab(v3(vr_clamp(lum, 8, 96), co * base.y - si * base.z,
                        si * base.y + co * base.z));
        c = v3(vr_clamp(c.x, .012f, .87f), vr_clamp(c.y, .012f, .87f),
               vr_clamp(c.z, .012f, .87f));
        if (vr_nearest_colour(c, &margin) == colour && margin > 8)
            return c;
    }
    const unsigned char *a = anchors[colour];
    return v3_mul(vr_srgb_to_linear(a[0], a[1], a[2]), .95f);
}

vec3 vr_paint(int colour, rng *r)
{
    return vary(colour, r, .8f, 1.15f, 0);
}

vec3 vr_wall_paint(int colour, rng *r)
{
    const bool grey = colour == WHITE || colour == BLACK || colour == GREY;

    return vary(colour, r, grey ? .6f : .6f, grey ? 1.2f : .95f, grey ? 0.f : 5.f);
}

vec3 vr_wood(rng *r, int *name)
{
    static const float woods[7][3] = {
        { .36f, .20f, .095f }, { .16f, .08f, .04f }, { .50f, .31f, .15f },
        { .26f, .12f, .055f }, { .30f, .17f, .09f }, { .095f, .05f, .03f },
        { .42f, .26f, .14f },
    };
    const float *w = woods[rnd_int(r, 7)];
    const vec3 c = v3_mul(v3(w[0], w[1], w[2]), rnd_in(r, .88f, 1.12f));

    if (name)
        *name = vr_nearest_colour(c, NULL);
    return c;
}
