/* Skies by time of day: air, sun, clouds, stars, a planet, the sea from below. */
#include "tools/rooms/noise.h"
#include "tools/rooms/sky_far.h"

typedef struct stops {
    vec3 zenith, middle, horizon;
    vec3 sun;
    float sun_lo, sun_hi; /* elevation, degrees */
    float glow;
} stops;

static const stops times[] = {
    [SKY_DAY] = { { .10f, .26f, .72f },
                  { .26f, .50f, 1.0f },
                  { .72f, .90f, 1.15f },
                  { 3.3f, 3.0f, 2.55f },
                  28,
                  62,
                  .5f },
    [SKY_MORNING] = { { .15f, .30f, .66f },
                      { .42f, .56f, .86f },
                      { 1.10f, .92f, .80f },
                      { 3.0f, 2.25f, 1.5f },
                      10,
                      26,
                      .9f },
    [SKY_EVENING] = { { .12f, .18f, .46f },
                      { .50f, .40f, .52f },
                      { 1.35f, .68f, .34f },
                      { 2.4f, 1.25f, .52f },
                      5,
                      13,
                      1.3f },
    [SKY_DUSK] = { { .030f, .045f, .14f },
                   { .10f, .09f, .22f },
                   { .42f, .24f, .26f },
                   { 0, 0, 0 },
                   -3,
                   1,
                   .5f },
    [SKY_NIGHT] = { { .004f, .006f, .016f },
                    { .008f, .012f, .028f },
                    { .022f, .026f, .045f },
                    { .05f, .06f, .085f },
                    25,
                    55,
                    .05f },
    [SKY_OVERCAST] = { { .60f, .66f, .74f },
                       { .72f, .77f, .84f },
                       { .80f, .84f, .90f },
                       { 0, 0, 0 },
                       30,
                       60,
                       0 },
    [SKY_MARS] = { { .42f, .24f, .13f },
                   { .58f, .36f, .20f },
                   { .80f, .55f, .33f },
                   { 2.3f, 1.75f, 1.2f },
                   15,
                   50,
                   .25f },
    [SKY_SPACE] = { { .001f, .001f, .002f },
                    { .001f, .001f, .002f },
                    { .001f, .001f, .002f },
                    { 2.6f, 2.5f, 2.3f },
                    10,
                    50,
                    0 },
    [SKY_WATER] = { { .16f, .52f, .62f },
                    { .05f, .26f, .36f },
                    { .018f, .11f, .18f },
                    { 1.0f, 1.2f, 1.1f },
                    60,
                    80,
                    0 },
};

sky vr_sky_make(int time, int back, rng *r)
{
    const stops *t = &times[time];
    sky k = { .time = time,
              .back = back,
              .zenith = t->zenith,
              .middle = t->middle,
              .horizon = t->horizon,
              .sun_colour = t->sun,
              .glow = t->glow,
              .eye = 1.6f };
    const float az = rnd_in(r, -VR_PI, VR_PI);
    const float el = rnd_in(r, t->sun_lo, t->sun_hi) * VR_PI / 180;

    k.sun_dir = v3(sinf(az) * cosf(el), sinf(el), -cosf(az) * cosf(el));
    k.sun_size = time == SKY_NIGHT ? .012f : .011f;
    k.seed = (uint32_t)rng_next(r);
    k.cloud = chance(r, .25f) ? 0 : rnd_in(r, .2f, .75f);
    if (time == SKY_OVERCAST)
        k.cloud = 1.2f;
    if (time == SKY_SPACE || time == SKY_WATER || time == SKY_MARS)
        k.cloud = 0;
    k.stars = time == SKY_NIGHT   ? .8f
              : time == SKY_SPACE ? 1.2f
              : time == SKY_DUSK  ? .03f
                                  : 0;
    k.haze = rnd_in(r, .5f, 1.2f);
    k.cloud_light = v3_mad(v3_mul(k.horizon, .55f), t->sun, .30f);
    k.cloud_dark = v3_mul(v3_mix(k.middle, k.horizon, .5f), .75f);
    if (time == SKY_OVERCAST) {
        k.cloud_light = v3s(.95f);
        k.cloud_dark = v3(.52f, .56f, .62f);
    }
    k.land = v3(.10f, .15f, .05f);
    const float tilt = rnd_in(r, .9f, 1.1f);
    k.zenith = v3_mul(k.zenith, tilt);
    k.ground = v3_mul(v3_had(k.land, v3_mad(k.middle, t->sun, .8f)), .9f);
    k.lit_windows = time == SKY_DUSK || time == SKY_NIGHT || time == SKY_EVENING;
    return k;
}

vec3 vr_sky_gradient(const sky *k, float y)
{
    const float a = vr_step(0, .28f, y), b = vr_step(.18f, .95f, y);

    return v3_mix(v3_mix(k->horizon, k->middle, a), k->zenith, b);
}

static vec3 air(const sky *k, vec3 d, bool disc)
{
    vec3 c = vr_sky_gradient(k, vr_max(d.y, 0));
    const float s = v3_dot(d, k->sun_dir);

    if (v3_max(k->sun_colour) > 0 || k->time == SKY_DUSK) {
        const float g = vr_max(s, 0), g2 = g * g, g8 = g2 * g2 * g2 * g2;
        const vec3 tint =
            k->time == SKY_DUSK ? v3(.9f, .35f, .12f) : v3_mul(k->sun_colour, .30f);
        const float low = k->time == SKY_DUSK ? expf(-fabsf(d.y) * 5) : 1;
        c = v3_mad(c, tint,
                   k->glow * low *
                       (.22f * g2 * g2 + .35f * g8 * g8 + .9f * powf(g8, 16)));
    }
    if (disc && v3_max(k->sun_colour) > 0 && k->time != SKY_WATER) {
        const float e = cosf(k->sun_size * (k->time == SKY_NIGHT ? 1.5f : 1));
        const float in = vr_step(e - .00003f, e + .00003f, s);
        c = v3_mad(
            c, k->time == SKY_NIGHT ? v3(.9f, .9f, .82f) : v3_mul(k->sun_colour, 14), in);
    }
    return c;
}

static vec3 stars(const sky *k, vec3 d, float px)
{
    const vec3 p = v3_mul(d, 90);
    const int x = vr_floor(p.x), y = vr_floor(p.y), z = vr_floor(p.z);
    const uint32_t h = vr_hash2(x, y, vr_hash((uint32_t)z * 7919u + k->seed));
    vec3 c = v3s(0);

    if (h % 23 < 2) {
        const vec3 at = v3_unit(v3((float)x + .3f + .4f * vr_unit(vr_hash(h + 1)),
                                   (float)y + .3f + .4f * vr_unit(vr_hash(h + 2)),
                                   (float)z + .3f + .4f * vr_unit(vr_hash(h + 3))));
        const float dist = v3_len(v3_sub(at, d)),
                    r = .0009f + .0007f * vr_unit(vr_hash(h + 4));
        const float m = vr_unit(vr_hash(h + 5));
        const vec3 tint =
            v3_mix(v3(1, .8f, .6f), v3(.7f, .8f, 1), vr_unit(vr_hash(h + 6)));
        c = v3_mul(tint, k->stars * (.15f + 1.2f * m * m * m) *
                             vr_step(r + px, r - px * .5f, dist));
    }
    if (k->time == SKY_SPACE) { /* a band of dust */
        const float band = expf(-6 * fabsf(d.y * .8f + d.x * .35f + .2f * d.z));
        const float f = vr_fbm(v3(d.x * 4, d.y * 4 + 7, d.z * 4), 4, .6f, 0);
        c = v3_mad(c, v3(.06f, .045f, .09f), band * vr_clamp(.5f + f, 0, 1.4f));
    }
    return c;
}

/* A planet: bands or seas by noise, night side, a rim of air. */
static vec3 planet(const sky *k, vec3 d, vec3 c)
{
    const float az = 1.0f * (vr_unit(vr_hash(k->seed + 31)) - .5f), /* before the bow */
        el = -.08f + .26f * vr_unit(vr_hash(k->seed + 32)),
                size = .16f + .30f * vr_unit(vr_hash(k->seed + 33));
    const vec3 mid = v3(sinf(az) * cosf(el), sinf(el), -cosf(az) * cosf(el));
    const vec3 u = v3_unit(v3_cross(v3(0, 1, 0), mid)), v = v3_cross(mid, u);
    const float x = v3_dot(d, u) / size, y = v3_dot(d, v) / size, r2 = x * x + y * y;

    if (v3_dot(d, mid) < 0 || r2 > 1.08f)
        return c;
    const uint32_t kind = vr_hash(k->seed + 34) % 3;
    const vec3 air = kind == 0   ? v3(.25f, .5f, 1)
                     : kind == 1 ? v3(1, .7f, .45f)
                                 : v3(.8f, .45f, .3f);
    const float rim = expf(-fabsf(sqrtf(r2) - 1) * 34);
    const vec3 n = v3_add(v3_add(v3_mul(u, x), v3_mul(v, y)),
                          v3_mul(mid, -sqrtf(vr_max(0, 1 - r2))));
    const float lit = vr_clamp(.12f + 1.05f * v3_dot(n, k->sun_dir), .015f, 1);
    if (r2 >= 1)
        return v3_mad(c, air, .5f * rim * lit);
    const vec3 p = v3(v3_dot(n, u), v3_dot(n, v), v3_dot(n, mid));
    const float f = vr_fbm(v3_mul(p, 2.3f), 5, .55f, 0),
                g = vr_fbm(v3_add(v3_mul(p, 3.1f), v3s(7)), 5, .6f, 0);
    vec3 m;
    if (kind == 0) { /* seas, land, clouds */
        m = v3_mix(
            v3(.02f, .09f, .28f),
            v3_mix(v3(.10f, .22f, .06f), v3(.38f, .30f, .17f), vr_step(.0f, .4f, g)),
            vr_step(.05f, .10f, f));
        m = v3_mix(m, v3s(.85f), vr_step(.08f, .45f, g + .2f * f));
    } else if (kind == 1) { /* bands of gas */
        const float b = p.y * 9 + .5f * f;
        m = v3_mix(v3(.62f, .42f, .26f), v3(.80f, .70f, .56f),
                   .5f + .5f * sinf(b + .8f * sinf(2.3f * b)));
    } else {
        m = v3_mul(
            v3_mix(v3(.42f, .17f, .08f), v3(.24f, .12f, .08f), vr_step(-.2f, .3f, f)),
            1 + .35f * g);
    }
    return v3_mad(v3_mul(m, 1.2f * lit), air, .35f * rim * lit);
}

static vec3 clouds(const sky *k, vec3 d, vec3 c, float px)
{
    if (d.y < .02f)
        return c;
    const float z = (float)(k->seed & 255);
    const float inv = 1 / (d.y + .09f), w = px * inv * inv * 2;
    const vec3 p = v3(d.x * inv * 1.1f, z, d.z * inv * 1.1f);
    const float warp = .35f * vr_noise(v3_mul(p, .8f));
    const vec3 q = v3(p.x + warp, p.y, p.z - warp);
    const float f = vr_fbm(q, 6, .52f, w);
    const float cover = vr_step(.30f - .55f * k->cloud, .62f - .45f * k->cloud, f);
    if (cover <= 0)
        return c;
    const vec3 s = v3(q.x + .16f * k->sun_dir.x, q.y + .12f, q.z + .16f * k->sun_dir.z);
    const float thick = vr_fbm(s, 4, .52f, w);
    const float lit = vr_clamp(.62f + 1.1f * (f - thick) - .35f * thick, 0, 1);
    const float silver = powf(vr_max(v3_dot(d, k->sun_dir), 0), 8) * .6f;
    const vec3 white = v3_mad(v3_mix(k->cloud_dark, k->cloud_light, lit), k->sun_colour,
                              .22f * silver * (1 - cover * .5f));
    return v3_mix(c, white, cover * .93f * vr_step(.02f, .16f, d.y));
}

vec3 vr_sky(const sky *k, vec3 d, bool fine, float px)
{
    vec3 c;

    if (k->time == SKY_WATER) {
        const float f = fine ? vr_fbm(v3(d.x * 3, d.y * 2, d.z * 3), 3, .5f, px * 3) : 0;
        c = v3_mix(v3_mul(k->horizon, .55f),
                   v3_mix(k->middle, k->zenith, vr_step(.2f, 1, d.y)),
                   vr_step(-.5f, .55f, d.y + .05f * f));
        const float rays = fine ? .5f + .5f * vr_noise(v3(d.x * 9 / (fabsf(d.y) + .3f), 2,
                                                          d.z * 9 / (fabsf(d.y) + .3f)))
                                : .5f;
        return v3_mad(c, v3(.10f, .30f, .34f), rays * vr_step(.0f, .9f, d.y) * .8f);
    }
    if (d.y < 0 && k->back != BACK_SPACE)
        c = vr_far_ground(k, d, px);
    else
        c = air(k, k->back == BACK_SPACE ? d : v3(d.x, vr_max(d.y, 0), d.z), fine);
    if (fine && k->stars > 0 && (d.y > 0 || k->back == BACK_SPACE))
        c = v3_add(c, stars(k, d, px));
    if (k->time == SKY_SPACE)
        c = planet(k, d, c);
    if (k->cloud > 0 && fine)
        c = clouds(k, d, c, px);
    else if (k->cloud > .9f)
        c = v3_mix(c, v3_mix(k->cloud_dark, k->cloud_light, .45f), d.y > 0 ? .9f : 0);
    return vr_far_world(k, d, c, px);
}
