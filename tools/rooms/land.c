/* Height fields by noise, and plants that stand on them. */
#include "tools/rooms/land.h"

#include "tools/rooms/noise.h"

static float ridged(vec3 p, int octaves)
{
    float sum = 0, a = .5f, weight = 1;

    for (int i = 0; i < octaves; i++) {
        float n = 1 - fabsf(vr_noise(p));
        n *= n * weight;
        weight = vr_clamp(n * 1.8f, 0, 1);
        sum += a * n;
        a *= .5f;
        p = v3_mul(p, 2.07f);
    }
    return sum;
}

float vr_land_height(const land *l, float x, float z)
{
    const float d = sqrtf(x * x + z * z), c = cosf(l->turn), s = sinf(l->turn);
    const float u = c * x + s * z, v = -s * x + c * z, o = (float)(l->seed & 1023) * .37f;
    const float level = vr_step(l->flat * .4f, l->flat * 2.5f, d);
    const float small = .04f * vr_fbm(v3(x * .6f, o, z * .6f), 3, .5f, 0);

    switch (l->shape) {
    case LAND_ROLLING:
        return level * l->amp * vr_fbm(v3(x * .02f, o, z * .02f), 4, .5f, 0) + small;
    case LAND_PEAKS: {
        const float far = vr_step(25, 260, d);
        const float r = ridged(v3(x * .0042f + o, 3, z * .0042f), 7);
        return far * l->amp * (r - .22f) +
               level * 1.6f * vr_fbm(v3(x * .04f, o, z * .04f), 3, .5f, 0) + small;
    }
    case LAND_DUNES: {
        const float w = u * .028f + .8f * vr_noise(v3(x * .011f, o, z * .011f));
        const float t = vr_fract(w), up = t < .72f ? t / .72f : (1 - t) / .28f;
        const float k = .6f + .5f * vr_noise(v3(x * .008f, o + 9, z * .008f));
        return level * l->amp * k * up * up * (3 - 2 * up) +
               .35f * level * vr_fbm(v3(x * .1f, o, z * .1f), 2, .5f, 0) + .4f * small;
    }
    case LAND_SHORE: {
        const float edge = v + 7 + 2.5f * vr_noise(v3(u * .05f, o, 0)) +
                           6 * vr_noise(v3(u * .012f, o, 5));
        const float beach = edge > 0 ? .055f * edge * (1 + .02f * edge) : .075f * edge;
        const float dune = vr_step(14, 40, edge) *
                           (2.2f + 2 * vr_fbm(v3(x * .05f, o, z * .05f), 3, .5f, 0));
        return fmaxf(beach, -8) * (edge > 30 ? 30 / edge : 1) + dune + .6f * small - .0f;
    }
    case LAND_CRATERS: {
        float h = level * l->amp * vr_fbm(v3(x * .015f, o, z * .015f), 5, .5f, 0);
        for (int i = 0; i < 7; i++) {
            const uint32_t k = vr_hash(l->seed + (uint32_t)i * 77u);
            const float cx = (vr_unit(k) - .5f) * 160,
                        cz = (vr_unit(vr_hash(k)) - .5f) * 160,
                        R = 5 + 14 * vr_unit(vr_hash(k + 1));
            const float q = sqrtf((x - cx) * (x - cx) + (z - cz) * (z - cz)) / R;
            if (q < 1.6f && sqrtf(cx * cx + cz * cz) > R + 6)
                h += R * .13f * (q < 1 ? q * q * 1.6f - 1 : .6f * vr_step(1.6f, 1, q));
        }
        return h + 1.5f * small;
    }
    default:
        return small * .5f;
    }
}

/* Rings of polar cells: fine below the eye, coarse far away. */
void vr_land_mesh(scene *s, const land *l, float far)
{
    enum { AROUND = 288, RINGS = 170 };
    const uint32_t base = (uint32_t)s->to->nv;

    for (int j = 0; j < RINGS; j++) {
        const float t = (float)j / (RINGS - 1), d = .25f * powf(far / .25f, t);
        for (int i = 0; i <= AROUND; i++) {
            const float a = 2 * VR_PI * (float)i / AROUND, x = d * sinf(a),
                        z = -d * cosf(a), e = fmaxf(d * .012f, .02f);
            const vec3 n = v3_unit(
                v3(vr_land_height(l, x - e, z) - vr_land_height(l, x + e, z), 2 * e,
                   vr_land_height(l, x, z - e) - vr_land_height(l, x, z + e)));
            const float y = vr_land_height(l, x, z);
            vr_vertex(s, v3(x, y, z), n, v3(x, z, y));
        }
    }
    for (int j = 0; j + 1 < RINGS; j++)
        for (int i = 0; i < AROUND; i++) {
            const uint32_t a = base + (uint32_t)(j * (AROUND + 1) + i),
                           b = a + AROUND + 1;
            vr_triangle(s, a, a + 1, b + 1);
            vr_triangle(s, a, b + 1, b);
        }
    const uint32_t mid =
        vr_vertex(s, v3(0, vr_land_height(l, 0, 0), 0), v3(0, 1, 0), v3(0, 0, 0));
    for (int i = 0; i < AROUND; i++)
        vr_triangle(s, mid, base + (uint32_t)i + 1, base + (uint32_t)i);
}

void vr_sea_mesh(scene *s, const land *l, float far)
{
    enum { AROUND = 180, RINGS = 90 };
    const uint32_t base = (uint32_t)s->to->nv;

    for (int j = 0; j < RINGS; j++) {
        const float t = (float)j / (RINGS - 1), d = 1.5f * powf(far / 1.5f, t);
        for (int i = 0; i <= AROUND; i++) {
            const float a = 2 * VR_PI * (float)i / AROUND, x = d * sinf(a),
                        z = -d * cosf(a);
            vr_vertex(s, v3(x, 0, z), v3(0, 1, 0), v3(x, -vr_land_height(l, x, z), z));
        }
    }
    for (int j = 0; j + 1 < RINGS; j++)
        for (int i = 0; i < AROUND; i++) {
            const uint32_t a = base + (uint32_t)(j * (AROUND + 1) + i),
                           b = a + AROUND + 1;
            vr_triangle(s, a, a + 1, b + 1);
            vr_triangle(s, a, b + 1, b);
        }
}

/* ---- plants ---- */

void vr_leaf_card(scene *s, vec3 p, vec3 dir, vec3 side, float len, float wide, vec3 n)
{
    const vec3 a = v3_mad(p, side, -wide * .25f), b = v3_mad(p, side, wide * .25f);
    const vec3 m = v3_mad(p, dir, len * .5f),
               t = v3_mad(v3_mad(p, dir, len), n, -len * .15f);
    const uint32_t i0 = vr_vertex(s, a, n, v3(.3f, 0, 0)),
                   i1 = vr_vertex(s, b, n, v3(.7f, 0, 0));
    const uint32_t i2 = vr_vertex(s, v3_mad(m, side, -wide * .5f), n, v3(0, .5f, 0)),
                   i3 = vr_vertex(s, v3_mad(m, side, wide * .5f), n, v3(1, .5f, 0));
    const uint32_t i4 = vr_vertex(s, t, n, v3(.5f, 1, 0));

    vr_triangle(s, i0, i1, i3);
    vr_triangle(s, i0, i3, i2);
    vr_triangle(s, i2, i3, i4);
}

static vec3 sphere_dir(rng *r)
{
    const float z = rnd_in(r, -1, 1), a = rnd_in(r, 0, 6.2831853f), q = sqrtf(1 - z * z);

    return v3(q * cosf(a), z, q * sinf(a));
}

/* Leaves in a ball; their normals lean outwards, so that the crown shades as a whole. */
static void clump(scene *s, rng *r, vec3 c, float R, int n, float size)
{
    for (int i = 0; i < n; i++) {
        const vec3 d = sphere_dir(r);
        const vec3 p = v3_mad(c, v3(d.x, d.y * .8f, d.z), R * powf(rnd(r), .4f));
        const vec3 dir = v3_unit(v3_add(v3_mul(d, .6f), sphere_dir(r)));
        const vec3 side = v3_unit(v3_cross(dir, v3_add(d, v3(.01f, .3f, .02f))));
        const vec3 n0 = v3_cross(side, dir);
        vr_leaf_card(
            s, p, dir, side, size * rnd_in(r, .7f, 1.3f), size * .6f,
            v3_unit(v3_add(v3_mul(d, .8f), v3_mul(n0, v3_dot(n0, d) > 0 ? .7f : -.7f))));
    }
}

/* Closed bumpy shell for crowns far away. */
static void shell(scene *s, rng *r, vec3 c, vec3 radii, float rough)
{
    enum { NU = 15, NV = 9 };
    const float o = rnd_in(r, 0, 99);
    vec3 p[NU * NV];

    for (int j = 0; j < NV; j++)
        for (int i = 0; i < NU; i++) {
            const float th = VR_PI * (float)j / (NV - 1),
                        ph = -2 * VR_PI * (float)i / (NU - 1);
            const vec3 d = v3(sinf(th) * cosf(ph), cosf(th), sinf(th) * sinf(ph));
            const float k =
                1 + rough * vr_noise(v3(d.x * 2.4f + o, d.y * 2.4f, d.z * 2.4f));
            p[j * NU + i] = v3_add(c, v3_mul(v3_had(d, radii), k));
        }
    vr_patch(s, p, NU, NV, true, false);
}

static void branch(scene *s, rng *r, vec3 a, vec3 dir, float len, float rad, int level,
                   int bark, int leaf, float leafsize)
{
    vec3 p[4];

    p[0] = a;
    for (int i = 1; i < 4; i++) {
        dir = v3_unit(v3_add(dir, v3_add(v3_mul(sphere_dir(r), .16f), v3(0, .12f, 0))));
        p[i] = v3_mad(p[i - 1], dir, len / 3);
    }
    s->mat = bark;
    vr_tube(s, p, 4, rad, rad * .55f, level == 0 ? 9 : 5);
    if (level >= 2) {
        s->mat = leaf;
        clump(s, r, p[3], len * .66f, 120, leafsize);
        return;
    }
    const int n = level == 0 ? 6 + rnd_int(r, 3) : 3;
    for (int i = 0; i < n; i++) {
        const float t = level == 0 ? rnd_in(r, .45f, 1) : rnd_in(r, .4f, 1),
                    az = (float)i * 2.39996f + rnd_in(r, -.4f, .4f);
        const int k = t > .67f ? 2 : 1;
        const vec3 at = v3_mix(p[k], p[k + 1], vr_fract(t * 3));
        const vec3 side = v3(cosf(az), rnd_in(r, .1f, .6f), sinf(az));
        branch(s, r, at, v3_unit(v3_add(v3_mul(dir, .45f), side)),
               len * rnd_in(r, .48f, .66f), rad * .5f, level + 1, bark, leaf, leafsize);
    }
}

static void pine(scene *s, rng *r, float h, int bark, int leaf, bool cheap)
{
    const int tiers = cheap ? 5 : 11;

    s->mat = bark;
    vr_rod(s, v3(0, 0, 0), v3(0, h * .95f, 0), h * .017f, h * .004f, cheap ? 5 : 8);
    s->mat = leaf;
    for (int k = 0; k < tiers; k++) {
        const float t = (float)k / (float)tiers, y = h * (.14f + .84f * t),
                    R = h * .21f * (1 - t) + .08f * h * .2f;
        if (cheap) {
            const float p[3][2] = { { R * 1.1f, y - h * .05f },
                                    { R * .45f, y + h * .08f },
                                    { .01f, y + h * .2f } };
            vr_lathe(s, p, 3, 9);
            continue;
        }
        const int n = 9 + (int)(9 * (1 - t));
        for (int i = 0; i < n; i++) {
            const float az = (float)i * 6.2832f / (float)n + (float)k * .7f +
                             rnd_in(r, -.2f, .2f),
                        l = R * rnd_in(r, .75f, 1.12f);
            const vec3 out = v3(cosf(az), -.28f - .2f * (1 - t), sinf(az)),
                       side = v3(-sinf(az), 0, cosf(az));
            for (int m = 0; m < 6; m++) { /* sprays along the bough */
                const float q = ((float)m + .6f) / 6;
                const vec3 at = v3_mad(v3(0, y, 0), out, l * q);
                for (int sg = -1; sg <= 1; sg++)
                    vr_leaf_card(s, at,
                                 v3_unit(v3_add(out, v3_mul(side, (float)sg * .9f))),
                                 v3_unit(v3_add(side, v3_mul(out, -.5f * (float)sg))),
                                 l * .34f * (1.15f - .5f * q), l * .13f,
                                 v3_unit(v3(out.x * .5f, 1, out.z * .5f)));
            }
        }
    }
}

static void palm(scene *s, rng *r, float h, int bark, int leaf)
{
    const float lean = rnd_in(r, .05f, .25f), az = rnd_in(r, 0, 6.28f);
    vec3 p[7];

    for (int i = 0; i < 7; i++) {
        const float t = (float)i / 6;
        p[i] = v3(cosf(az) * lean * h * t * t, h * t, sinf(az) * lean * h * t * t);
    }
    s->mat = bark;
    vr_tube(s, p, 7, h * .024f, h * .016f, 9);
    s->mat = leaf;
    for (int i = 0; i < 17; i++) {
        const float a = (float)i * 2.39996f, el = rnd_in(r, -.1f, 1.0f),
                    len = h * rnd_in(r, .26f, .34f);
        vec3 at = p[6], dir = v3(cosf(a) * cosf(el), sinf(el), sinf(a) * cosf(el));
        const vec3 side = v3(-sinf(a), 0, cosf(a));
        for (int k = 0; k < 16; k++) { /* feathers on both sides of a bending rib */
            const float t = (float)k / 16;
            const vec3 up = v3_cross(side, dir);
            for (int sg = -1; sg <= 1; sg += 2)
                vr_leaf_card(
                    s, at,
                    v3_unit(v3_add(v3_add(v3_mul(side, (float)sg), v3_mul(dir, .55f)),
                                   v3(0, -.35f, 0))),
                    dir, len * .3f * sinf(VR_PI * (.12f + .86f * t)) + .05f, len * .055f,
                    v3_unit(v3_add(v3_mul(up, up.y > 0 ? 1.f : -1.f), v3(0, .3f, 0))));
            at = v3_mad(at, dir, len / 16);
            dir = v3_unit(v3_add(dir, v3(0, -.085f, 0)));
        }
    }
}

void vr_tree(scene *s, rng *r, int kind, float h, int bark, int leaf, bool cheap)
{
    if (kind == TREE_PINE) {
        pine(s, r, h, bark, leaf, cheap);
    } else if (kind == TREE_PALM) {
        palm(s, r, h, bark, leaf);
    } else if (cheap) {
        s->mat = bark;
        vr_rod(s, v3(0, -.2f, 0), v3(0, h * .5f, 0), h * .02f, h * .012f, 6);
        s->mat = leaf;
        for (int i = 0; i < 5; i++)
            shell(s, r,
                  v3(rnd_in(r, -.14f, .14f) * h, h * rnd_in(r, .48f, .82f),
                     rnd_in(r, -.14f, .14f) * h),
                  v3(.2f * h, .17f * h, .2f * h), .5f);
    } else {
        branch(s, r, v3(0, -.2f, 0),
               v3(rnd_in(r, -.05f, .05f), 1, rnd_in(r, -.05f, .05f)), h * .62f,
               h * (kind == TREE_BIRCH ? .012f : .02f), 0, bark, leaf, .08f + .016f * h);
    }
}

void vr_bush(scene *s, rng *r, float size, int leaf)
{
    s->mat = leaf;
    for (int i = 0; i < 6; i++)
        clump(s, r,
              v3(rnd_in(r, -.35f, .35f) * size, rnd_in(r, .25f, .6f) * size,
                 rnd_in(r, -.35f, .35f) * size),
              size * .36f, 90, .05f + .045f * size);
}

void vr_rock(scene *s, rng *r, float size)
{
    enum { NU = 33, NV = 17 };
    const vec3 radii = v3(size * rnd_in(r, .7f, 1.2f), size * rnd_in(r, .45f, .8f),
                          size * rnd_in(r, .7f, 1.1f));
    const float o = rnd_in(r, 0, 99);
    vec3 p[NU * NV];

    for (int j = 0; j < NV; j++)
        for (int i = 0; i < NU; i++) {
            const float th = VR_PI * (float)j / (NV - 1),
                        ph = -2 * VR_PI * (float)i / (NU - 1);
            const vec3 d = v3(sinf(th) * cosf(ph), cosf(th), sinf(th) * sinf(ph));
            const float k = 1 +
                            .38f * vr_noise(v3(d.x * 1.3f + o, d.y * 1.3f, d.z * 1.3f)) +
                            .16f * fabsf(vr_noise(v3(d.x * 3 + o, d.y * 3, d.z * 3))) +
                            .05f * vr_noise(v3(d.x * 8, d.y * 8 + o, d.z * 8));
            p[j * NU + i] = v3_mul(v3_had(d, radii), k);
            p[j * NU + i].y += radii.y * .45f;
        }
    vr_patch(s, p, NU, NV, true, false);
}

void vr_cactus(scene *s, rng *r, float h)
{
    vr_material(
        s, (material){
               .kind = MAT_PLAIN, .a = v3(.07f, .17f, .06f), .rough = .7f, .bump = .2f });
    const float w = h * .07f;
    const vec3 stem[4] = { v3(0, -.1f, 0), v3(0, h * .4f, 0), v3(0, h * .85f, 0),
                           v3(0, h, 0) };
    vr_tube(s, stem, 4, w, w * .8f, 14);
    vr_ball(s, v3(0, h, 0), v3(w * .8f, w * .9f, w * .8f), 14);
    for (int i = 0; i < 1 + rnd_int(r, 3); i++) {
        const float a = rnd_in(r, 0, 6.28f), y = h * rnd_in(r, .35f, .6f),
                    l = h * rnd_in(r, .15f, .24f), up = h * rnd_in(r, .15f, .3f);
        const vec3 d = v3(cosf(a), 0, sinf(a));
        const vec3 arm[5] = { v3(0, y, 0), v3_add(v3_mul(d, l * .7f), v3(0, y, 0)),
                              v3_add(v3_mul(d, l), v3(0, y + w, 0)),
                              v3_add(v3_mul(d, l), v3(0, y + up * .6f, 0)),
                              v3_add(v3_mul(d, l), v3(0, y + up, 0)) };
        vr_tube(s, arm, 5, w * .7f, w * .6f, 12);
        vr_ball(s, arm[4], v3s(w * .6f), 12);
    }
}

void vr_fern(scene *s, rng *r, float size, int leaf)
{
    s->mat = leaf;
    for (int i = 0; i < 11; i++) {
        const float a = (float)i * 2.39996f, el = rnd_in(r, .5f, 1.1f);
        vec3 at = v3(0, 0, 0), dir = v3(cosf(a) * cosf(el), sinf(el), sinf(a) * cosf(el));
        const vec3 side = v3(-sinf(a), 0, cosf(a));
        for (int k = 0; k < 10; k++) {
            const float t = (float)k / 10;
            for (int sg = -1; sg <= 1; sg += 2)
                vr_leaf_card(s, at,
                             v3_unit(v3_add(v3_mul(side, (float)sg), v3_mul(dir, .4f))),
                             dir, size * .3f * (1 - t) + .01f, size * .075f, v3(0, 1, 0));
            at = v3_mad(at, dir, size / 10);
            dir = v3_unit(v3_add(dir, v3(0, -.17f, 0)));
        }
    }
}

void vr_grass_tufts(scene *s, rng *r, const land *l, int n, float reach, int leaf)
{
    s->mat = leaf;
    for (int i = 0; i < n; i++) {
        const float d = .6f + reach * rnd(r) * rnd(r), a = rnd_in(r, 0, 6.2832f),
                    x = d * sinf(a), z = d * cosf(a);
        const vec3 p = v3(x, vr_land_height(l, x, z) - .01f, z);
        for (int k = 0; k < 6; k++) {
            const float b = rnd_in(r, 0, 6.28f);
            vr_leaf_card(s, p, v3_unit(v3(cosf(b) * .5f, 1, sinf(b) * .5f)),
                         v3(-sinf(b), 0, cosf(b)), rnd_in(r, .06f, .2f), .012f,
                         v3_unit(v3(cosf(b) * .3f, 1, sinf(b) * .3f)));
        }
    }
}

void vr_flower_bed(scene *s, rng *r, float w, float d, int colour)
{
    const int leaf = vr_material(s, (material){ .kind = MAT_LEAF,
                                                .a = v3(.05f, .16f, .03f),
                                                .rough = .5f,
                                                .through = .4f });
    const int petal = vr_material(s, (material){ .kind = MAT_LEAF,
                                                 .a = vr_paint(colour, r),
                                                 .rough = .7f,
                                                 .through = .3f });
    const int n = (int)(w * d * 60);

    for (int i = 0; i < n; i++) {
        const vec3 p = v3(rnd_in(r, -w / 2, w / 2), 0, rnd_in(r, -d / 2, d / 2));
        const float h = rnd_in(r, .15f, .4f);
        s->mat = leaf;
        for (int k = 0; k < 5; k++) {
            const float a = rnd_in(r, 0, 6.28f);
            vr_leaf_card(s, p, v3_unit(v3(cosf(a) * .5f, 1, sinf(a) * .5f)),
                         v3(-sinf(a), 0, cosf(a)), h * .9f, .03f,
                         v3_unit(v3(cosf(a) * .5f, 1, sinf(a) * .5f)));
        }
        s->mat = petal;
        for (int k = 0; k < 7; k++) {
            const float a = (float)k * .9f;
            vr_leaf_card(s, v3_add(p, v3(0, h, 0)), v3_unit(v3(cosf(a), .45f, sinf(a))),
                         v3(-sinf(a), 0, cosf(a)), .055f, .045f,
                         v3_unit(v3(cosf(a) * .3f, 1, sinf(a) * .3f)));
        }
    }
}
