/* What stands on the horizon and lies below it: hills, mountains, city, sea, trees and
 * fields.  Painted: near things are meshes. */
#include "tools/rooms/sky_far.h"

#include "tools/rooms/noise.h"

static float ridge(const sky *k, vec3 d, float freq, float layer, int octaves)
{
    const float l = 1 / sqrtf(d.x * d.x + d.z * d.z + 1e-6f);
    const vec3 p =
        v3(d.x * l * freq, layer * 9.1f + (float)(k->seed & 63), d.z * l * freq);
    float sum = 0, a = 1;

    for (int i = 0; i < octaves; i++) {
        const float n = vr_noise(v3_mul(p, (float)(1 << i)));
        sum += a * (1 - 2 * fabsf(n));
        a *= .45f;
    }
    return sum;
}

static vec3 land_light(const sky *k, vec3 colour)
{
    const float up = vr_max(k->sun_dir.y, .15f);
    return v3_had(colour, v3_add(v3_mul(v3_mix(k->middle, k->zenith, .3f), .75f),
                                 v3_mul(k->sun_colour, .75f * up)));
}

static vec3 hazed(const sky *k, vec3 c, float far)
{
    return v3_mix(c, v3_mul(v3_mix(k->horizon, k->middle, .25f), .92f),
                  1 - expf(-far * k->haze));
}

/* One tree that stands cx radians round and dist metres away. */
typedef struct far_tree {
    float cx, dist, tall, wide;
    uint32_t id;
    bool pine;
} far_tree;

/* How much of direction az, slope the tree covers; *lit: its light there, 0..1. */
static float tree_cover(const sky *k, const far_tree *t, float az, float slope, float px,
                        float *lit)
{
    const float x = (az - t->cx) * t->dist, y = slope * t->dist + k->eye; /* metres */
    const float w = px * t->dist,
                n = vr_noise(v3(x * 1.1f, y * 1.1f, (float)(t->id & 255)));
    const float fine = w < .5f ? vr_noise(v3(x * 4, y * 4, (float)(t->id & 63))) : 0;
    float r;

    if (y < 0 || y > 1.2f * t->tall || fabsf(x) > 1.4f * t->wide)
        return 0;
    if (t->pine) {
        const float half =
            t->wide * .75f * (1 - y / t->tall) * (.8f + .35f * vr_fract(y * .9f));
        r = y < .1f * t->tall ? 2 : fabsf(x) / vr_max(half, .02f) + .3f * fine;
    } else {
        const float v = (y - .62f * t->tall) / (.40f * t->tall), u = x / t->wide;
        r = sqrtf(u * u + v * v) + .28f * n + .14f * fine;
    }
    const float trunk = y < .5f * t->tall ? vr_line(x, .02f * t->tall, w) : 0;
    const float side = k->sun_dir.x * cosf(t->cx) + k->sun_dir.z * sinf(t->cx);
    *lit = vr_clamp(.55f + .35f * side * x / t->wide + .30f * (y / t->tall - .5f) +
                        .30f * n + .25f * fine,
                    .12f, 1);
    return vr_max(vr_step(1 + w / t->wide, 1 - w / t->wide, r), trunk);
}

/* Rows of trees between the horizon and the house, the far ones first. */
static vec3 tree_rows(const sky *k, vec3 d, vec3 c, float px)
{
    static const float rows[4] = { 150, 80, 42, 24 };
    static const uint32_t share[4] = { 85, 60, 45, 26 };
    const float az = atan2f(d.x, -d.z),
                slope = d.y / sqrtf(d.x * d.x + d.z * d.z + 1e-6f);
    const bool pine = k->back == BACK_SNOW || k->back == BACK_MOUNTAINS;

    for (int i = 0; i < 4; i++) {
        const float dist = rows[i], y = slope * dist + k->eye;
        if (y < 0 || y > 14)
            continue;
        const int total = (int)(2 * VR_PI * dist / 6.5f);
        const float step = 2 * VR_PI / (float)total;
        const int n = vr_floor(az / step);
        for (int j = n - 1; j <= n + 1; j++) {
            const uint32_t h = vr_hash2(((j % total) + total) % total, i + 40, k->seed);
            if (h % 100 >= share[i])
                continue;
            const far_tree t = { .cx =
                                     step * ((float)j + .2f + .6f * vr_unit(vr_hash(h))),
                                 .dist = dist,
                                 .tall = 4.5f + 6 * vr_unit(vr_hash(h + 1)),
                                 .wide = 1.6f + 1.6f * vr_unit(vr_hash(h + 2)),
                                 .id = h,
                                 .pine = pine };
            float lit = 0;
            const float in = tree_cover(k, &t, az, slope, px, &lit);
            if (in <= 0)
                continue;
            const float hue = vr_unit(vr_hash(h + 3));
            const vec3 leaf =
                pine ? v3(.028f, .060f, .028f)
                     : v3_mix(v3(.035f, .085f, .018f), v3(.09f, .12f, .025f), hue);
            c = v3_mix(
                c, hazed(k, land_light(k, v3_mul(leaf, .35f + 1.1f * lit)), dist / 900),
                in);
        }
    }
    return c;
}

static vec3 layers(const sky *k, vec3 d, vec3 c, float px)
{
    if (d.y < -.04f) /* below the horizon lies the ground */
        return c;
    const bool snow = k->back == BACK_MOUNTAINS || k->back == BACK_SNOW;
    const float base[3] = { snow ? .20f : .075f, snow ? .10f : .035f, .01f };
    const float amp[3] = { snow ? .17f : .035f, snow ? .08f : .03f, .022f };

    for (int i = 0; i < 3; i++) {
        const float fl = (float)i;
        const float r = ridge(k, d, 2.2f + 2.2f * fl, fl, snow ? 6 : 4);
        const float trees = i == 2 && k->back != BACK_DUNES
                                ? .006f * vr_noise(v3(d.x * 160, 3, d.z * 160))
                                : 0;
        const float h = base[i] * .45f + amp[i] * r * .5f + trees;
        const float in = vr_step(h + px, h - px, d.y) * vr_step(-.04f, -.012f, d.y);
        if (in <= 0)
            continue;
        const float f = vr_fbm(v3(d.x * 30, d.y * 45, d.z * 30), 4, .6f, px * 30);
        vec3 m =
            v3_mul(k->back == BACK_DUNES ? v3(.5f, .36f, .2f) : v3(.075f, .12f, .045f),
                   1 + .3f * f);
        if (snow) {
            const float side =
                .75f + .35f * vr_clamp(ridge(k, v3(d.x + .01f, d.y, d.z), 9, fl, 3) -
                                           ridge(k, d, 9, fl, 3) + .3f,
                                       -1, 1);
            const float line = i == 2 ? 9.f : .07f + .03f * f;
            m = v3_mix(v3_mul(v3(.16f, .15f, .14f), 1 + .5f * f),
                       v3_mul(v3(.80f, .83f, .88f), side),
                       vr_step(line - .025f, line + .02f, d.y + .03f * f));
            if (k->back == BACK_SNOW && i > 0)
                m = v3_mix(m, v3(.78f, .81f, .86f), .75f);
            if (i == 2 && k->back != BACK_SNOW)
                m = v3_mul(v3(.04f, .075f, .04f), 1 + .5f * f);
        }
        c = v3_mix(
            c, hazed(k, land_light(k, m), snow ? .55f - .2f * fl : .9f - .35f * fl), in);
    }
    return c;
}

static vec3 skyline(const sky *k, vec3 d, vec3 c, float px)
{
    const float az = atan2f(d.x, -d.z), l = 1 / sqrtf(d.x * d.x + d.z * d.z + 1e-6f);
    const float slope = d.y * l;

    for (int i = 0; i < 3; i++) {
        const float width = .055f + .03f * (float)i;
        const float t = az / width + (float)i * 37.3f;
        const int n = vr_floor(t), total = vr_floor(2 * VR_PI / width);
        const uint32_t h = vr_hash2(((n % total) + total) % total, i, k->seed);
        const float tall = (h % 9 == 0 ? .26f : .13f) * vr_unit(vr_hash(h)) + .03f;
        const float u = vr_fract(t);
        const float top = (tall - .012f * (float)i) * (u > .08f && u < .92f ? 1 : .55f);
        const float foot = -k->eye / (260 - 75 * (float)i);
        const float in =
            vr_step(top + px, top - px, slope) * vr_step(foot - px, foot + px, slope);
        if (in <= 0)
            continue;
        const float fx = vr_fract(u * (7 + 2 * (float)(h % 4))) - .5f,
                    fy = vr_fract(slope * 110) - .5f;
        const float win = vr_line(fx, .28f, px / width * 9) * vr_line(fy, .26f, px * 110);
        vec3 wall = v3_mul(
            v3_mix(v3(.30f, .27f, .24f), v3(.16f, .19f, .24f), vr_unit(vr_hash(h + 2))),
            .6f + .6f * vr_unit(vr_hash(h + 5)));
        vec3 m = land_light(k, v3_mix(wall, v3(.06f, .075f, .09f), win));
        m = hazed(k, m, .75f - .25f * (float)i);
        if (k->lit_windows &&
            vr_hash2(vr_floor(u * 9) + n * 13, vr_floor(slope * 110), h) % 100 < 38)
            m = v3_mad(m, v3(1, .66f, .32f),
                       win * (k->time == SKY_EVENING ? .22f : .38f));
        c = v3_mix(c, m, in);
    }
    return c;
}

/* Roofs, streets and yards, looked down upon; p in metres, w a pixel's width. */
static vec3 from_above(const sky *k, vec3 p, float w)
{
    const float block = 46, lot = block / 3;
    const int bx = vr_floor(p.x / block), bz = vr_floor(p.z / block);
    const float x = p.x - block * ((float)bx + .5f), z = p.z - block * ((float)bz + .5f);
    const float edge =
        block / 2 - vr_max(fabsf(x), fabsf(z)); /* to the middle of the street */
    const int lx = vr_floor(p.x / lot), lz = vr_floor(p.z / lot);
    const uint32_t id = vr_hash2(lx, lz, k->seed + 7);
    const float ex = lot * (.5f - fabsf(vr_fract(p.x / lot) - .5f)),
                ez = lot * (.5f - fabsf(vr_fract(p.z / lot) - .5f));
    vec3 roof = id % 3 == 0   ? v3(.20f, .085f, .055f)
                : id % 3 == 1 ? v3(.13f, .125f, .12f)
                              : v3(.24f, .22f, .19f);

    roof = v3_mul(roof, .75f + .5f * vr_unit(vr_hash(id)));
    if (id % 5 == 0)
        roof = v3(.05f, .09f, .03f); /* a yard with trees */
    roof = v3_mul(roof, 1 - .45f * vr_line(vr_min(ex, ez), .35f, w + .1f));
    vec3 street =
        v3_mix(v3s(.065f), v3s(.16f), vr_line(edge - 4.2f, 1.1f, w)); /* pavement */
    street = v3_mix(street, v3s(.4f),
                    vr_line(edge, .12f, w) *
                        vr_line(vr_fract((x + z) / 7) - .5f, .25f, w / 7));
    return v3_mix(roof, street, vr_line(edge, 5.3f, w));
}

/* Meadows, ploughed land, hedges between, a lane. */
static vec3 fields(const sky *k, vec3 p, float w)
{
    const float turn = 6.28f * vr_unit(k->seed), c = cosf(turn), s = sinf(turn);
    const float x = c * p.x + s * p.z, z = c * p.z - s * p.x;
    const float wob = 6 * vr_noise(v3(p.x * .013f, 1, p.z * .013f));
    const float fx = (x + wob) / 62, fz = (z - wob) / 44;
    const int ix = vr_floor(fx), iz = vr_floor(fz);
    const uint32_t id = vr_hash2(ix, iz, k->seed + 3);
    const float ex = 62 * (.5f - fabsf(fx - (float)ix - .5f)),
                ez = 44 * (.5f - fabsf(fz - (float)iz - .5f));
    vec3 m = v3_had(k->land, v3(vr_mix(.75f, 1.7f, vr_unit(vr_hash(id))),
                                vr_mix(.85f, 1.25f, vr_unit(vr_hash(id + 1))), .9f));

    if (k->back == BACK_SNOW)
        m = v3_mul(v3(.70f, .74f, .80f), .9f + .15f * vr_unit(id));
    else if (id % 4 == 0) /* rows of a crop */
        m = v3_mul(m, 1 + .22f * sinf(z * 2.4f) * vr_clamp(1.4f - w * 1.5f, 0, 1));
    const float hedge = vr_line(vr_min(ex, ez), .8f + .5f * vr_noise(v3_mul(p, .35f)), w);
    m = v3_mix(m, v3(.028f, .055f, .02f), .85f * hedge);
    const float lane = x - 9 - 5 * sinf(z * .035f);
    m = v3_mix(m, k->back == BACK_SNOW ? v3s(.5f) : v3(.26f, .23f, .18f),
               vr_line(lane, 1.5f, w));
    return v3_mul(m, 1 + .25f * vr_fbm(v3_mul(p, 2.2f), 3, .6f, w * 2.2f));
}

vec3 vr_far_ground(const sky *k, vec3 d, float px)
{
    const float t = k->eye / vr_max(-d.y, 1e-4f), w = t * px;
    const vec3 p = v3(d.x * t, 0, d.z * t);
    vec3 m = k->land;

    if (k->back == BACK_SEA) {
        const float f = vr_fbm(v3(p.x * .25f, 5, p.z * .25f), 4, .55f, w * .25f);
        const float q = 1 - vr_clamp(-d.y, 0, 1), fres = .02f + .98f * q * q * q * q * q;
        const vec3 up = vr_sky_gradient(k, vr_clamp(-d.y + .12f + .2f * f, 0, 1));
        const vec3 deep =
            v3_had(v3(.02f, .10f, .13f), v3_add(k->middle, v3_mul(k->sun_colour, .5f)));
        const vec3 c =
            v3_mix(v3_mul(deep, 1 + .3f * f), up, vr_clamp(fres * .8f + .15f * f, 0, 1));
        return v3_mix(c, k->horizon, vr_step(.05f, .0f, -d.y) * .5f);
    }
    const float f = vr_fbm(v3_mul(p, .08f), 4, .55f, w * .08f) +
                    .5f * vr_fbm(v3_mul(p, 1.3f), 3, .6f, w * 1.3f);
    if (k->back == BACK_CITY)
        m = from_above(k, p, w);
    else if (k->back != BACK_DUNES && k->back != BACK_SPACE)
        m = fields(k, p, w);
    m = v3_mul(m, 1 + .35f * f);
    return hazed(k, land_light(k, m), t / 900);
}

vec3 vr_far_world(const sky *k, vec3 d, vec3 c, float px)
{
    if (k->back == BACK_SPACE || k->back == BACK_SEA || d.y > .5f)
        return c;
    if (k->back == BACK_CITY)
        return skyline(k, d, c, px);
    c = layers(k, d, c, px);
    return k->trees ? tree_rows(k, d, c, px) : c;
}
