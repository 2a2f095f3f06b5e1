/* Procedural materials: colour, gloss and small relief at a point.  Included by the
 * core of each instruction set; w is the footprint of the pixel in metres, and whatever
 * is finer fades to its mean. */
#include "tools/rooms/noise.h"
#include "tools/rooms/scene.h"

typedef struct surf {
    vec3 albedo, emit, n;
    vec3 f0;
    float rough, through, sheen;
} surf;

typedef struct spot {
    vec3 tex, pos, n;
    float w;
} spot;

static inline float tint(uint32_t h, float lo, float hi)
{
    return vr_mix(lo, hi, vr_unit(h));
}

/* Grain of wood: z along, x and y across. */
static vec3 wood_grain(vec3 base, vec3 p, float w, uint32_t id)
{
    const float o = (float)(id & 255) * 1.7f;
    const float warp = vr_fbm(v3(p.x * 7 + o, p.y * 7, p.z * .9f + o), 2, .5f, w * 7);
    const float fine = vr_fbm(v3(p.x * 140 + o, p.y * 140, p.z * 5), 2, .6f, w * 90);
    const float keep = vr_clamp(1.4f - w * 60, 0, 1);
    const float ring = .5f + .5f * sinf(p.x * 70 + p.y * 50 + 7 * warp);
    const float k =
        1 + .30f * warp * .6f - .22f * keep * (ring * ring - .35f) + .14f * fine;

    return v3(base.x * k, base.y * (k * 1.02f - .02f), base.z * (k * 1.05f - .05f));
}

static void mat_planks(const material *m, const spot *q, surf *o)
{
    const float bw = m->scale > .5f ? .14f : m->scale, bl = bw * 9;
    float x = q->tex.x, z = q->tex.y, len = bl;

    if (m->style == 2) { /* upright, one board high */
        len = 100;
        z += 31;
    }
    if (m->style == 1) { /* chevron: two slanted halves */
        const float col = bw * 6, cx = x / col;
        const int i = vr_floor(cx);
        const float fx = (cx - (float)i) * col;
        z += (i & 1) ? fx : col - fx;
        const float t = x;
        x = z;
        z = t;
        len = col;
    }
    const int row = vr_floor(x / bw);
    const float shift = m->style == 1 ? 0 : vr_unit(vr_hash2(row, 7, m->seed)) * bl;
    const int seg = vr_floor((z + shift) / len);
    const uint32_t id = vr_hash2(row, seg, m->seed);
    const float dx = fabsf(x / bw - (float)row - .5f) * bw, lx = bw / 2 - dx;
    const float dz = fabsf((z + shift) / len - (float)seg - .5f) * len, lz = len / 2 - dz;
    const float joint = vr_max(vr_line(lx, .0018f, q->w), vr_line(lz, .0016f, q->w));
    const vec3 g = wood_grain(m->a, v3(x, (float)(id & 63), z), q->w, id);

    o->albedo = v3_mul(g, tint(id, .80f, 1.17f) * (1 - .62f * joint));
    o->n = v3_unit(v3_add(o->n, v3((vr_unit(vr_hash(id + 3)) - .5f) * .006f, 0,
                                   (vr_unit(vr_hash(id + 5)) - .5f) * .006f)));
}

static void mat_tile(const material *m, const spot *q, surf *o)
{
    const float s = m->scale, sy = m->style == 3 ? s * .5f : s; /* 3: metro tiles */
    float x = q->tex.x / s, y = q->tex.y / sy;
    const int iy = vr_floor(y);

    if (m->style == 3)
        x += (iy & 1) ? .5f : 0;
    const int ix = vr_floor(x);
    const uint32_t id = vr_hash2(ix, iy, m->seed);
    const float ex = (.5f - fabsf(x - (float)ix - .5f)) * s;
    const float ey = (.5f - fabsf(y - (float)iy - .5f)) * sy;
    const float grout = vr_max(vr_line(ex, .0022f, q->w), vr_line(ey, .0022f, q->w));
    vec3 c = m->style == 1 && ((ix + iy) & 1) ? m->b : m->a;

    c = v3_mul(c, tint(id, .95f, 1.04f) *
                      (1 + .05f * vr_fbm(v3(q->tex.x * 9, q->tex.y * 9, (float)(id & 63)),
                                         2, .5f, q->w * 9)));
    o->albedo = v3_mix(c, m->c, grout);
    o->rough = vr_mix(m->rough, .8f, grout);
    o->f0 = v3s(vr_mix(.045f, .02f, grout));
    o->n = v3_unit(v3_add(o->n, v3((vr_unit(vr_hash(id + 3)) - .5f) * .008f,
                                   (vr_unit(vr_hash(id + 9)) - .5f) * .008f,
                                   (vr_unit(vr_hash(id + 5)) - .5f) * .008f)));
}

static void mat_brick(const material *m, const spot *q, surf *o)
{
    const float bw = .24f, bh = .077f;
    const float wob = .004f * vr_noise(v3(q->tex.x * 25, q->tex.y * 25, 0));
    const float y = (q->tex.y + wob) / bh;
    const int iy = vr_floor(y);
    const float x = (q->tex.x + wob) / bw + ((iy & 1) ? .5f : 0);
    const int ix = vr_floor(x);
    const uint32_t id = vr_hash2(ix, iy, m->seed);
    const float ex = (.5f - fabsf(x - (float)ix - .5f)) * bw;
    const float ey = (.5f - fabsf(y - (float)iy - .5f)) * bh;
    const float joint =
        vr_max(vr_line(ex, .005f, q->w + .002f), vr_line(ey, .005f, q->w + .002f));
    const float f =
        vr_fbm(v3(q->tex.x * 30, q->tex.y * 30, (float)(id & 31)), 3, .6f, q->w * 30);
    vec3 c = v3_mul(v3_mix(m->a, m->b, vr_unit(vr_hash(id)) * .7f),
                    tint(id, .72f, 1.15f) * (1 + .22f * f));

    o->albedo = v3_mix(c, v3_mul(m->c, 1 + .1f * f), joint);
    o->n = v3_unit(v3_add(o->n, v3_mul(v3((vr_unit(vr_hash(id + 3)) - .5f),
                                          (vr_unit(vr_hash(id + 7)) - .5f), f * .4f),
                                       .09f)));
}

static void mat_marble(const material *m, const spot *q, surf *o)
{
    const vec3 p = v3_mul(q->tex, 1 / m->scale);
    const float w = q->w / m->scale;
    const float f = vr_fbm(v3_mul(p, 1.6f), 4, .55f, w * 1.6f);
    const float g = vr_fbm(v3(p.x * 1.1f + 7, p.y * 1.1f, p.z * 1.1f + 3), 3, .5f, w);
    const float v1 = powf(1 - fabsf(sinf(3 * p.x + 2 * p.y + 5 * f)), 6);
    const float v2 = powf(1 - fabsf(sinf(7 * p.z + 6 * p.y - 5 * p.x + 6 * g)), 9);

    o->albedo =
        v3_mix(v3_mul(m->a, 1 + .08f * f), m->b, vr_clamp(.75f * v1 + .5f * v2, 0, 1));
}

/* Distance-like value of a five-pointed star. */
static float star_shape(float x, float y, float r)
{
    const float a = atan2f(x, y), k = cosf(2.5f * a);
    return sqrtf(x * x + y * y) - r * (.45f + .55f * k * k * k * k);
}

static void mat_carpet(const material *m, const spot *q, surf *o)
{
    const float keep = vr_clamp(1.3f - q->w * 200, 0, 1);
    const float n =
        vr_fbm(v3(q->tex.x * 160, q->tex.y * 160, q->tex.z * 160), 1, .5f, q->w * 120) *
        keep;
    const float big = vr_fbm(v3_mul(q->tex, 2.5f), 2, .5f, q->w * 2.5f);

    o->albedo = v3_mul(m->a, 1 + .22f * n + .07f * big);
    o->sheen = .12f;
    if (m->style == 1) { /* arcade carpet: stars and rings */
        uint32_t id = 0;
        const float s = m->scale, x = q->tex.x / s, y = q->tex.y / s;
        const int ix = vr_floor(x), iy = vr_floor(y);
        id = vr_hash2(ix, iy, m->seed);
        const float fx = (x - (float)ix - .3f - .4f * vr_unit(vr_hash(id + 1))) * s;
        const float fy = (y - (float)iy - .3f - .4f * vr_unit(vr_hash(id + 2))) * s;
        const float size = s * tint(vr_hash(id + 4), .13f, .28f);
        const float d = id % 3 == 0
                            ? fabsf(sqrtf(fx * fx + fy * fy) - size * .6f) - size * .12f
                        : id % 3 == 1 ? star_shape(fx, fy, size)
                                      : fabsf(fx + .3f * size * sinf(fy / size * 3)) +
                                            fabsf(fy) * .2f - size * .2f;
        const float in = vr_clamp(.5f - d / vr_max(q->w, .002f), 0, 1);
        const vec3 c = (id >> 8) % 3 == 0   ? m->b
                       : (id >> 8) % 3 == 1 ? m->c
                                            : v3(.75f, .55f, .06f);
        o->albedo = v3_mix(o->albedo, c, in * .9f);
        o->emit = v3_mul(c, in * m->emit.x);
    }
}

static void mat_rug(const material *m, const spot *q, surf *o)
{
    const float u = q->tex.x, v = q->tex.y;
    const float bu = vr_min(u, 1 - u) * m->scale,
                bv = vr_min(v, 1 - v); /* scale: aspect */
    const float b = vr_min(bu, bv);
    vec3 c = m->a;

    if (m->style == 0) { /* stripes */
        const float t = v * 14;
        const uint32_t h = vr_hash2(vr_floor(t), 3, m->seed);
        c = h % 3 == 0 ? m->a : h % 3 == 1 ? m->b : v3_mix(m->a, m->c, .6f);
    } else if (m->style == 1) { /* kilim diamonds */
        const float x = fabsf(vr_fract(u * 4 * m->scale) - .5f),
                    y = fabsf(vr_fract(v * 4) - .5f);
        const float d = x + y;
        c = d < .16f ? m->c : d < .30f ? m->b : d < .36f ? m->c : m->a;
    } else if (m->style == 2) { /* medallion */
        const float x = (u - .5f) * 2 * m->scale, y = (v - .5f) * 2;
        const float r = sqrtf(x * x + y * y), a = atan2f(y, x);
        const float d = r - .1f * cosf(8 * a);
        const float leaf = sinf(26 * x) * sinf(26 * y);
        c = d < .22f      ? m->c
            : d < .42f    ? m->b
            : d < .46f    ? m->c
            : leaf > .55f ? v3_mix(m->a, m->b, .7f)
                          : m->a;
    } else if (m->style == 3) { /* soft abstract */
        const float f =
            vr_fbm(v3(u * 3 * m->scale, v * 3, (float)(m->seed & 63)), 3, .5f, 0);
        c = v3_mix(m->a, m->b, vr_step(.0f, .15f, f));
    } /* 4: plain */
    if (m->style != 4 && m->style != 3) {
        if (b < .02f)
            c = m->b;
        else if (b > .05f && b < .065f)
            c = m->c;
        else if (b < .085f)
            c = m->a;
    }
    const float keep = vr_clamp(1.3f - q->w * 150, 0, 1);
    const float n =
        keep > 0 ? keep * vr_noise(v3(q->pos.x * 160, q->pos.y * 90, q->pos.z * 160)) : 0;
    const float big = vr_fbm(v3_mul(q->pos, 5), 2, .5f, q->w * 5);
    o->albedo = v3_mul(c, 1 + .2f * n + .09f * big);
    o->sheen = .1f;
}

static void mat_fabric(const material *m, const spot *q, surf *o)
{
    const float s = m->scale;
    const float keep = vr_clamp(1.5f - q->w * 500, 0, 1);
    const float big = vr_fbm(v3_mul(q->tex, 9), 2, .5f, q->w * 9);
    const float mid = vr_fbm(v3_mul(q->tex, 90), 1, .5f, q->w * 90);
    vec3 c = m->a;

    if (m->style == 1)
        c = v3_mix(m->a, m->b, vr_line(vr_fract(q->tex.x / s) - .5f, .2f, q->w / s));
    else if (m->style == 2)
        c = v3_mix(m->a, m->b,
                   .5f * vr_line(vr_fract(q->tex.x / s) - .5f, .2f, q->w / s) +
                       .5f * vr_line(vr_fract(q->tex.z / s) - .5f, .2f, q->w / s));
    else if (m->style == 3) {
        const float x = vr_fract(q->tex.x / s) - .5f, y = vr_fract(q->tex.z / s) - .5f;
        c = v3_mix(m->a, m->b, vr_line(sqrtf(x * x + y * y), .22f, q->w / s));
    }
    const float weave =
        keep > 0 ? keep * .1f * (sinf(q->tex.x * 4000) + sinf(q->tex.z * 4000)) : 0;
    o->albedo = v3_mul(c, 1 + .10f * big + .09f * mid + weave);
    o->sheen = m->sheen > 0 ? m->sheen : .12f;
    o->through = m->through;
    o->n = v3_unit(
        v3_add(o->n, v3(.05f * big, .04f * mid, .05f * vr_noise(v3_mul(q->tex, 7)))));
}

static void mat_leaf(const material *m, const spot *q, surf *o)
{
    const float f = vr_noise(v3_mul(q->pos, 11)), g = vr_noise(v3_mul(q->pos, 1.3f));
    const float mid = m->style == 1 ? vr_line(q->tex.x - .5f, .035f, q->w * 6) : 0;
    vec3 c = v3(m->a.x * (1 + .35f * g + .25f * f), m->a.y * (1 + .14f * f),
                m->a.z * (1 - .2f * g));

    o->albedo =
        v3_mul(v3_mix(c, v3_mul(v3_add(c, v3(.04f, .06f, .01f)), 1.4f), mid * .7f),
               .82f + .3f * vr_clamp(q->tex.y, 0, 1));
    o->through = m->through;
}

static vec3 grass_colour(const spot *q, vec3 base)
{
    const float f = vr_fbm(v3(q->pos.x * .45f, 0, q->pos.z * .45f), 3, .5f, q->w * .45f);
    const float g =
        vr_fbm(v3(q->pos.x * 14, q->pos.y * 14, q->pos.z * 14), 3, .7f, q->w * 14);
    const float k = 1 + .2f * f + .42f * g;

    return v3(base.x * (k + .22f * f), base.y * k, base.z * (k - .2f * f));
}

static vec3 paved(const material *m, const spot *q, float f, float big)
{
    const vec3 p = q->pos;
    const float w = q->w;

    if (m->style == GROUND_PAVING) {
        const float s = m->scale, x = p.x / s, z = p.z / s;
        const int iz = vr_floor(z);
        const float xs = x + ((iz & 1) ? .5f : 0);
        const int ix = vr_floor(xs);
        const uint32_t id = vr_hash2(ix, iz, m->seed);
        const float e =
            vr_min(.5f - fabsf(xs - (float)ix - .5f), .5f - fabsf(z - (float)iz - .5f)) *
            s;
        return v3_mul(m->a, tint(id, .82f, 1.14f) * (1 + .16f * f) *
                                (1 - .5f * vr_line(e, .008f, w)));
    }
    const float g = vr_fbm(v3_mul(p, 60), 2, .6f, w * 60);
    return v3_mul(m->a, 1 + .25f * g + .14f * f + .1f * big);
}

static void mat_ground(const material *m, const spot *q, surf *o)
{
    const vec3 p = q->pos;
    const float up = o->n.y, w = q->w;
    const float big = vr_fbm(v3_mul(p, .12f), 3, .5f, w * .12f);
    const float f = vr_fbm(v3_mul(p, 2.1f), 5, .62f, w * 2.1f);
    const float ripple =
        m->style == GROUND_SAND || m->style == GROUND_MARS
            ? vr_clamp(1.3f - w * 14, 0, 1) *
                  sinf(p.x * 34 + p.z * 21 + 5 * vr_noise(v3_mul(p, .9f)) +
                       2 * vr_noise(v3_mul(p, 2.7f)))
            : 0;
    vec3 c = m->a;
    const vec3 rock = v3_mul(m->c, 1 + .45f * f + .15f * sinf(p.y * 5 + 6 * big));

    switch (m->style) {
    case GROUND_GRASS:
        c = grass_colour(q, m->a);
        c = v3_mix(c, v3_mul(m->b, 1 + .3f * f), vr_step(.45f, .75f, big + .3f * f));
        break;
    case GROUND_SAND:
        c = v3_mul(m->a, 1 + .08f * f + .10f * big + .05f * ripple);
        o->n = v3_unit(v3_add(o->n, v3(.13f * ripple, 0, .08f * ripple)));
        break;
    case GROUND_MARS: {
        uint32_t id = 0;
        const float d = w < .03f ? vr_cells(p.x * 3, p.z * 3, m->seed, &id) : 1;
        c = v3_mul(v3_mix(m->a, m->b, vr_step(-.3f, .5f, big + .4f * f)),
                   1 + .16f * f + .05f * ripple);
        if (id % 5 == 0 && d < .22f)
            c = v3_mul(c, .55f);
        o->n = v3_unit(v3_add(o->n, v3(.10f * ripple + .12f * f, 0, .08f * ripple)));
        break;
    }
    case GROUND_SNOW:
        c = v3_mix(v3_mul(m->a, 1 + .035f * f), rock, vr_step(.72f, .6f, up + .1f * f));
        o->n = v3_unit(
            v3_add(o->n, v3(.05f * f, 0, .05f * vr_noise(v3(p.x * 5, 3, p.z * 5)))));
        break;
    case GROUND_ROCK:
        c = v3_mix(grass_colour(q, m->a), rock, vr_step(.92f, .8f, up + .12f * f));
        o->n = v3_unit(v3_add(o->n, v3(.2f * f, 0, .2f * vr_noise(v3_mul(p, 3.7f)))));
        break;
    case GROUND_ALPINE: {
        const float line = m->scale + 5 * big + 3 * f;
        const vec3 green = grass_colour(q, m->a);
        c = v3_mix(green, rock, vr_step(.86f, .70f, up + .10f * f));
        c = v3_mix(c, rock, vr_step(line * .55f, line * .8f, p.y));
        c = v3_mix(c, m->b,
                   vr_step(line - 3, line + 3, p.y) * vr_step(.52f, .68f, up + .14f * f));
        o->n = v3_unit(v3_add(o->n, v3(.22f * f, 0, .2f * vr_noise(v3_mul(p, 1.3f)))));
        break;
    }
    case GROUND_SOIL: {
        uint32_t id = 0;
        const float d = w < .05f ? vr_cells(p.x * 13, p.z * 13, m->seed, &id) : 1;
        c = v3_mul(v3_mix(m->a, m->b, vr_step(-.2f, .4f, big * 1.5f + .5f * f)),
                   1 + .4f * f);
        if (w < .05f && id % 3 != 0) /* fallen leaves */
            c = v3_mix(c, v3(tint(id, .08f, .32f), tint(vr_hash(id), .06f, .15f), .03f),
                       .75f * vr_step(.46f, .36f, d));
        break;
    }
    case GROUND_BEACH: {
        const float wet = vr_step(.30f, .02f, p.y + .08f * f);
        c = v3_mul(m->a, (1 + .10f * f + .07f * big) * (1 - .5f * wet));
        o->rough = vr_mix(.9f, .18f, wet);
        o->f0 = v3s(vr_mix(.02f, .04f, wet));
        o->n = v3_unit(
            v3_add(o->n, v3_mul(v3(f, 0, vr_noise(v3_mul(p, 4))), .12f * (1 - wet))));
        break;
    }
    default:
        c = paved(m, q, f, big);
    }
    o->albedo = c;
}

/* Slope of the waves at p: six directions, the finer ones left out far away. */
static void mat_water(const material *m, const spot *q, surf *o)
{
    static const float waves[8][3] = {
        /* direction x, z, length */
        { .8f, .6f, 5.1f },   { .5f, .87f, 3.3f },  { .97f, .26f, 2.2f },
        { -.2f, .98f, 1.7f }, { .7f, -.7f, 1.1f },  { .3f, .95f, .73f },
        { -.6f, .8f, .47f },  { .99f, -.1f, .31f },
    };
    float sx = 0, sz = 0;

    for (int i = 0; i < 8; i++) {
        const float l = waves[i][2] * m->scale, k = 2 * VR_PI / l;
        const float keep = vr_clamp(l / (2 * q->w) - 1, 0, 1);
        if (keep <= 0)
            continue;
        const float ph =
            k * (waves[i][0] * q->pos.x + waves[i][1] * q->pos.z) + (float)i * 1.9f +
            1.3f * vr_noise(v3(q->pos.x / l * .3f, (float)i, q->pos.z / l * .3f));
        const float s = m->bump * keep * cosf(ph);
        sx += s * waves[i][0];
        sz += s * waves[i][1];
    }
    sx += m->bump * .8f *
          vr_fbm(v3(q->pos.x * 2.3f, 1, q->pos.z * 2.3f), 3, .6f, q->w * 2.3f);
    sz += m->bump * .8f *
          vr_fbm(v3(q->pos.x * 2.3f, 9, q->pos.z * 2.3f), 3, .6f, q->w * 2.3f);
    o->n = v3_unit(v3(o->n.x - sx, o->n.y, o->n.z - sz));
    const float foam = m->style == 1 ? vr_step(.3f, .0f, q->tex.y) : 0; /* tex.y: depth */
    const float f = foam > 0 ? vr_fbm(v3_mul(q->pos, 3), 3, .6f, q->w * 3) : 0;
    o->albedo = v3_mix(m->a, m->b, m->style == 1 ? expf(-vr_max(q->tex.y, 0) / 1.6f) : 0);
    o->albedo = v3_mix(o->albedo, v3s(.8f),
                       vr_clamp(foam * (1.2f * foam + f - .15f) * 1.3f, 0, .95f));
}

static void mat_facade(const material *m, const spot *q, surf *o)
{
    const float fl = 3.2f, bw = m->scale;
    const float x = q->tex.x / bw, y = q->tex.y / fl;
    const int ix = vr_floor(x), iy = vr_floor(y);
    const float fx = (x - (float)ix - .5f) * bw, fy = (y - (float)iy - .52f) * fl;
    const uint32_t id = vr_hash2(ix, iy, m->seed);
    const float ww = bw * (m->style == 1   ? .47f
                           : m->style == 2 ? .36f
                                           : .30f),
                wh = m->style == 1 ? 1.35f : .85f;
    const bool shop = iy == 0;
    const float half_w = shop ? bw * .42f : ww, half_h = shop ? 1.15f : wh;
    const float in = vr_line(fx, half_w, q->w) * vr_line(fy, half_h, q->w);
    const float bars =
        in * (1 - vr_line(fx, half_w - .07f, q->w) * vr_line(fy, half_h - .07f, q->w)) +
        in * vr_line(fx, .03f, q->w) * (m->style == 0 ? 1 : 0);
    const float f = vr_fbm(v3(q->tex.x * .7f, q->tex.y * .7f, 0), 3, .55f, q->w);
    vec3 wall = v3_mul(m->a, 1 + .09f * f);

    if (m->style == 2 && q->w < .06f) {
        surf t = *o;
        mat_brick(m, q, &t);
        wall = t.albedo;
    }
    wall = v3_mul(wall, 1 - .35f * vr_line(y - (float)iy - .98f, .02f, q->w / fl));
    const float depth =
        (vr_line(fx, half_w, q->w + .05f) * vr_line(fy + .06f, half_h, q->w + .05f));
    vec3 glass = v3(.02f, .025f, .03f);
    const bool blind = id % 5 == 0 && !shop;
    if (blind)
        glass = v3_mul(v3(.5f, .47f, .42f), tint(id, .6f, 1));
    else
        glass = v3_add(glass, v3_mul(v3s(.03f), vr_unit(vr_hash(id))));
    o->albedo =
        v3_mix(v3_mul(wall, 1 - .3f * depth * (1 - in)), v3_mix(glass, m->c, bars), in);
    if (in > .5f && bars < .5f && !blind) {
        o->rough = .05f;
        o->f0 = v3s(.09f);
        o->n = v3_unit(v3_add(o->n, v3((vr_unit(vr_hash(id + 1)) - .5f) * .02f,
                                       (vr_unit(vr_hash(id + 2)) - .5f) * .02f, 0)));
    } else {
        o->rough = .8f;
    }
    if (m->emit.x > 0 && vr_unit(vr_hash(id + 11)) < m->emit.y) {
        const vec3 warm =
            v3_mix(v3(1, .62f, .28f), v3(.9f, .95f, 1), vr_unit(vr_hash(id + 17)) * .6f);
        const float shade =
            .55f + .45f * vr_noise(v3(q->tex.x * 3, q->tex.y * 3, (float)(id & 31)));
        o->emit = v3_mul(warm, in * (1 - bars) * m->emit.x * shade * tint(id, .4f, 1.2f));
    }
}

static void mat_panel(const material *m, const spot *q, surf *o)
{
    const float s = m->scale;
    float x = q->tex.x / s, y = q->tex.y / s;
    int ix = vr_floor(x), iy = vr_floor(y);
    uint32_t id = vr_hash2(ix, iy, m->seed);

    if (id % 3 == 0) { /* some are divided once more */
        x = x * 2;
        y = y * 3;
        ix = vr_floor(x);
        iy = vr_floor(y);
        id = vr_hash2(ix + 99, iy, m->seed);
    }
    const float e =
        vr_min((.5f - fabsf(x - (float)ix - .5f)), (.5f - fabsf(y - (float)iy - .5f))) *
        s;
    const float seam = vr_line(e, .005f, q->w);
    const float f = vr_fbm(v3_mul(q->tex, 4), 3, .5f, q->w * 4);
    vec3 c = v3_mul(id % 7 == 0 ? m->b : m->a, tint(id, .86f, 1.08f) * (1 + .06f * f));

    o->albedo = v3_mul(c, 1 - .75f * seam);
    if (id % 9 == 1) { /* vents */
        const float v = vr_line(vr_fract(q->tex.y * 28) - .5f, .22f, q->w * 28);
        o->albedo = v3_mul(o->albedo, 1 - .6f * v * vr_clamp(e / .03f - 1, 0, 1));
    }
    if (id % 11 == 2 && m->emit.x > 0) { /* a row of small lights */
        const float lx = vr_fract(q->tex.x * 16) - .5f, ly = (y - (float)iy - .3f) * s;
        const float in = vr_line(lx, .2f, q->w * 16) * vr_line(ly, .012f, q->w);
        const uint32_t h = vr_hash2(vr_floor(q->tex.x * 16), iy, m->seed + 5);
        const vec3 col = h % 4 == 0   ? v3(1, .25f, .1f)
                         : h % 4 == 1 ? v3(.2f, 1, .4f)
                                      : v3(.25f, .6f, 1);
        o->emit = v3_mul(col, in * m->emit.x);
    }
}

#include "tools/rooms/painting_tmpl.h"

static void mat_book(const material *m, const spot *q, surf *o)
{
    const float t = q->tex.z * 2.2f + vr_unit(m->seed) * 3;
    const float band = vr_line(vr_fract(t) - .12f, .035f, q->w * 2.2f) +
                       vr_line(vr_fract(t) - .22f, .012f, q->w * 2.2f);
    const float title =
        vr_line(vr_fract(t) - .55f, .13f, q->w * 2.2f) *
        vr_clamp(1.2f - q->w * 120, .45f, 1) *
        (.35f + .65f * vr_clamp(vr_noise(v3(q->tex.z * 220, q->tex.x * 130, 0)) * 3 + .5f,
                                0, 1));
    o->albedo = v3_mix(m->a, m->b, vr_clamp(band + .8f * title, 0, 1));
}

static void mat_simple(const material *m, const spot *q, surf *o)
{
    const float w = q->w;

    switch (m->kind) {
    case MAT_WOOD:
        o->albedo = wood_grain(m->a, q->tex, w, m->seed);
        break;
    case MAT_LEATHER: {
        const float f = vr_fbm(v3_mul(q->tex, 60), 2, .6f, w * 60),
                    g = vr_fbm(v3_mul(q->tex, 5), 2, .5f, w * 5);
        o->albedo = v3_mul(m->a, 1 + .16f * g + .1f * f);
        o->n = v3_unit(
            v3_add(o->n, v3(.06f * f, .05f * g, .06f * vr_noise(v3_mul(q->tex, 31)))));
        break;
    }
    case MAT_BARK: {
        const float f =
            vr_fbm(v3(q->tex.x * 22, q->tex.y * 22, q->tex.z * 5), 3, .6f, w * 15);
        o->albedo = v3_mul(m->a, 1 + .6f * f);
        o->n = v3_unit(v3_add(o->n, v3(.3f * f, 0, .3f * f)));
        if (m->style == 1 &&
            vr_noise(v3(q->tex.x * 3, q->tex.y * 3, q->tex.z * 9)) > .32f) /* birch */
            o->albedo = v3s(.03f);
        break;
    }
    case MAT_CONCRETE: {
        const float f = vr_fbm(v3_mul(q->tex, 1.7f), 5, .55f, w * 1.7f);
        o->albedo = v3_mul(m->a, 1 + .16f * f);
        if (m->scale > 1 && m->style == 1) {
            const float x = vr_fract(q->tex.x / m->scale),
                        y = vr_fract(q->tex.y / m->scale);
            const float e = vr_min(vr_min(x, 1 - x), vr_min(y, 1 - y)) * m->scale;
            o->albedo = v3_mul(o->albedo, 1 - .4f * vr_line(e, .006f, w));
        }
        break;
    }
    case MAT_WALLPAPER: {
        const float s = m->scale, x = q->tex.x / s, y = q->tex.y / s;
        float k = 0;
        if (m->style == 0) {
            k = vr_line(vr_fract(x) - .5f, .25f, w / s);
        } else if (m->style == 1) {
            const float fx = vr_fract(x) - .5f,
                        fy = vr_fract(y + ((vr_floor(x) & 1) ? .5f : 0)) - .5f;
            const float r = sqrtf(fx * fx + fy * fy), a = atan2f(fy, fx);
            k = vr_line(r - .22f - .1f * cosf(5 * a), .05f, w / s) +
                vr_line(r, .09f, w / s);
        } else {
            k = vr_line(fabsf(vr_fract(x + y) - .5f) + fabsf(vr_fract(x - y) - .5f) - .5f,
                        .08f, w / s);
        }
        o->albedo = v3_mul(v3_mix(m->a, m->b, vr_clamp(k, 0, 1)),
                           1 + .03f * vr_fbm(v3_mul(q->tex, 3), 2, .5f, w * 3));
        break;
    }
    default: {
        const float f = vr_fbm(v3_mul(q->pos, 2.7f), 2, .5f, w * 2.7f);
        o->albedo = v3_mul(m->a, 1 + (m->metal ? .03f : .045f) * f);
        if (m->bump > 0 && w < .02f) {
            const float k = m->bump * vr_clamp(1 - w * 60, 0, 1);
            o->n = v3_unit(v3_add(o->n, v3_mul(v3(vr_noise(v3_mul(q->pos, 70)),
                                                  vr_noise(v3_mul(q->pos, 51)),
                                                  vr_noise(v3_mul(q->pos, 63))),
                                               k)));
        }
    }
    }
}

/* The surface at q, facing o->n. */
static void material_at(const material *m, const spot *q, surf *o)
{
    *o = (surf){ .albedo = m->a,
                 .n = q->n,
                 .f0 = v3s(m->f0),
                 .rough = m->rough,
                 .through = m->through,
                 .sheen = m->sheen };
    switch (m->kind) {
    case MAT_PLANKS:
        mat_planks(m, q, o);
        break;
    case MAT_TILE:
        mat_tile(m, q, o);
        break;
    case MAT_BRICK:
        mat_brick(m, q, o);
        break;
    case MAT_MARBLE:
        mat_marble(m, q, o);
        break;
    case MAT_CARPET:
        mat_carpet(m, q, o);
        break;
    case MAT_RUG:
        mat_rug(m, q, o);
        break;
    case MAT_FABRIC:
        mat_fabric(m, q, o);
        break;
    case MAT_LEAF:
        mat_leaf(m, q, o);
        break;
    case MAT_GROUND:
        mat_ground(m, q, o);
        break;
    case MAT_WATER:
        mat_water(m, q, o);
        break;
    case MAT_PICTURE:
        o->albedo = painting(m, q->tex.x, q->tex.y, q->w);
        break;
    case MAT_SCREEN:
        o->emit = v3_had(painting(m, q->tex.x, q->tex.y, q->w), m->emit);
        o->albedo = v3s(.02f);
        break;
    case MAT_EMIT:
        o->emit = m->emit;
        break;
    case MAT_FACADE:
        mat_facade(m, q, o);
        break;
    case MAT_PANEL:
        mat_panel(m, q, o);
        break;
    case MAT_BOOK:
        mat_book(m, q, o);
        break;
    default:
        mat_simple(m, q, o);
    }
    o->albedo = v3(vr_clamp(o->albedo.x, .004f, .9f), vr_clamp(o->albedo.y, .004f, .9f),
                   vr_clamp(o->albedo.z, .004f, .9f));
    if (m->metal) {
        o->f0 = o->albedo;
        o->albedo = v3_mul(o->albedo, m->rough < .35f ? .03f : .25f);
    }
}
