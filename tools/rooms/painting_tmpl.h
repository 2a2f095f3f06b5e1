/* Pictures on walls and screens: small painters over u, v in 0..1 (v up). */

static vec3 ramp(const material *m, uint32_t i)
{
    const vec3 c[5] = { m->a, m->b, m->c, v3(.78f, .74f, .66f), v3(.03f, .035f, .05f) };
    return c[i % 5];
}

static vec3 paint_hills(const material *m, float u, float v)
{
    vec3 c = v3_mix(v3_mix(m->c, v3s(.8f), .6f), v3_mix(m->b, v3s(.8f), .3f), v);
    const float sx = .25f + .5f * vr_unit(m->seed),
                d = (u - sx) * (u - sx) + (v - .68f) * (v - .68f);

    if (d < .012f)
        c = v3(.85f, .6f, .25f);
    for (int i = 0; i < 4; i++) {
        const float h =
            .55f - .13f * (float)i +
            .1f * vr_noise(v3(u * (2 + (float)i), (float)i * 7, (float)(m->seed & 63)));
        if (v < h)
            c = v3_mul(v3_mix(m->b, m->a, (float)i / 3), .45f + .2f * (float)(3 - i));
    }
    return c;
}

static vec3 paint_blocks(const material *m, float u, float v)
{
    float x0 = 0, x1 = 1, y0 = 0, y1 = 1;
    uint32_t h = m->seed;

    for (int i = 0; i < 5; i++) {
        h = vr_hash(h + 1);
        const float t = .3f + .4f * vr_unit(h);
        if (i & 1) {
            const float s = vr_mix(x0, x1, t);
            if (fabsf(u - s) < .008f)
                return v3s(.02f);
            if (u < s)
                x1 = s;
            else
                x0 = s, h += 77;
        } else {
            const float s = vr_mix(y0, y1, t);
            if (fabsf(v - s) < .008f)
                return v3s(.02f);
            if (v < s)
                y1 = s;
            else
                y0 = s, h += 131;
        }
    }
    h = vr_hash(h);
    return h % 2 ? v3(.78f, .76f, .7f) : ramp(m, h >> 4);
}

static vec3 paint_circles(const material *m, float u, float v)
{
    vec3 c = v3(.74f, .70f, .62f);

    for (uint32_t i = 0; i < 7; i++) {
        const uint32_t h = vr_hash(m->seed + i * 31);
        const float x = vr_unit(h) - u, y = vr_unit(vr_hash(h)) - v,
                    r = .08f + .22f * vr_unit(vr_hash(h + 1));
        if (x * x + y * y < r * r)
            c = v3_mix(c, ramp(m, h >> 3), .8f);
    }
    return c;
}

static vec3 paint_sea(const material *m, float u, float v)
{
    const float f = vr_fbm(v3(u * 3, v * 9, (float)(m->seed & 63)), 4, .55f, 0);

    if (v < .45f)
        return v3_mix(v3_mul(m->a, .5f), v3_mix(m->a, v3s(.7f), .6f),
                      vr_clamp(.4f + .7f * f + .4f * v, 0, 1));
    return v3_mix(v3_mix(m->c, v3s(.75f), .6f), v3_mix(m->b, v3s(.6f), .4f),
                  vr_clamp(.5f * v + f, 0, 1));
}

static vec3 paint_leaves(const material *m, float u, float v)
{
    vec3 c = v3(.76f, .73f, .66f);

    for (uint32_t i = 0; i < 9; i++) {
        const float a = (float)i * .35f - 1.4f,
                    l = .3f + .25f * vr_unit(vr_hash(m->seed + i));
        const float x = u - .5f, y = v - .2f, ca = cosf(a), sa = sinf(a);
        const float t = (x * sa + y * ca) / l, s = (x * ca - y * sa) / l;
        if (t > 0 && t < 1 && fabsf(s) < .16f * sinf(VR_PI * t))
            c = v3_mul(ramp(m, i & 1), .7f + .5f * t);
    }
    return c;
}

static vec3 paint_portrait(const material *m, float u, float v)
{
    const float n = .03f * vr_noise(v3(u * 6, v * 6, (float)(m->seed & 63)));
    const float x = u - .5f + n, y = v - .6f + n;
    vec3 c = v3_mul(v3_mix(m->b, v3(.05f, .04f, .03f), .5f), .7f + .6f * v);

    if (v < .32f + .12f * cosf((u - .5f) * 5) && fabsf(u - .5f) < .36f)
        c = m->a;
    if (x * x / .024f + (y + .01f) * (y + .01f) / .042f < 1)
        c = v3(.09f, .05f, .03f); /* hair */
    if (x * x / .015f + (y + .04f) * (y + .04f) / .027f < 1)
        c = v3_mul(v3(.55f, .32f, .21f), .8f + 1.5f * x + .3f);
    return c;
}

static vec3 paint_abstract(const material *m, float u, float v)
{
    const float z = (float)(m->seed & 255);
    const float f = vr_fbm(v3(u * 2.2f, v * 2.2f, z), 4, .55f, 0);
    const float g = vr_fbm(v3(u * 2.2f + 3 * f, v * 2.2f - 2 * f, z + 9), 3, .5f, 0);
    vec3 c = v3_mix(m->a, m->b, vr_step(-.25f, .3f, g));

    c = v3_mix(c, m->c, vr_step(.12f, .2f, f) * .8f);
    return v3_mix(c, v3(.78f, .74f, .66f), vr_step(.25f, .32f, g - f));
}

static vec3 paint_stripes(const material *m, float u, float v)
{
    const float t = (m->seed & 1) ? u : v + .15f * sinf(u * 5);

    return ramp(m, vr_hash2(vr_floor(t * 9), 3, m->seed));
}

static vec3 paint_text(const material *m, float u, float v)
{
    const int row = vr_floor(v * 16);
    const float len = .35f + .55f * vr_unit(vr_hash2(row, 1, m->seed));

    if (row > 1 && row < 14 && vr_fract(v * 16) > .35f && vr_fract(v * 16) < .7f &&
        u > .08f && u < .08f + len &&
        vr_unit(vr_hash2(row, vr_floor(u * 60), m->seed)) > .25f)
        return row == 13 ? m->b : m->a;
    return m->c;
}

static vec3 paint_planet(const material *m, float u, float v)
{
    const float x = (u - .5f) * 2.4f, y = (v - .5f) * 2.4f, r2 = x * x + y * y;

    if (r2 < 1) {
        const float z = sqrtf(1 - r2),
                    f = vr_fbm(v3(x * 2, y * 3, z * 2 + (float)(m->seed & 63)), 4, .55f,
                               0);
        return v3_mul(v3_mix(m->a, m->b, vr_step(-.2f, .3f, f)),
                      .15f + .85f * vr_clamp(.6f * z + .7f * x + .3f * y, 0, 1));
    }
    return v3s(.01f);
}

static vec3 paint_game(const material *m, float u, float v)
{
    const int x = vr_floor(u * 24), y = vr_floor(v * 20);
    const uint32_t h = vr_hash2(x < 12 ? x : 23 - x, y / 2, m->seed);

    if (y < 3)
        return v3_mul(ramp(m, (uint32_t)x / 6), .7f);
    return h % 7 == 0    ? ramp(m, h >> 8)
           : h % 23 == 1 ? v3(.9f, .8f, .2f)
                         : v3_mul(m->c, .06f);
}

enum {
    PAINT_HILLS,
    PAINT_BLOCKS,
    PAINT_CIRCLES,
    PAINT_SEA,
    PAINT_LEAVES,
    PAINT_PORTRAIT,
    PAINT_ABSTRACT,
    PAINT_STRIPES,
    PAINT_TEXT,
    PAINT_PLANET,
    PAINT_GAME
};

static vec3 painting(const material *m, float u, float v, float w)
{
    vec3 (*const paint[])(const material *, float, float) = {
        paint_hills,  paint_blocks,   paint_circles,  paint_sea,
        paint_leaves, paint_portrait, paint_abstract, paint_stripes,
        paint_text,   paint_planet,   paint_game,
    };
    const float grain = m->kind == MAT_PICTURE
                            ? 1 + .06f * vr_fbm(v3(u * 40, v * 40, 3), 2, .5f, w * 40)
                            : 1;

    return v3_mul(paint[(uint32_t)m->style % 11u](m, u, v), grain);
}
