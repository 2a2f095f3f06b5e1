/* What stands in streets, on roofs and in gardens. */
#include "tools/rooms/land.h"

static const float floor_height = 3.2f;

/* A facade of n bays; its windows come from the material. */
static void front(scene *s, float w, float h, int bays)
{
    s->mats[s->mat].scale = w / (float)bays;
    vr_rect(s, v3(-w / 2, 0, 0), v3(w, 0, 0), v3(0, h, 0));
}

static void balconies(scene *s, rng *r, float w, int floors, int bays)
{
    const int first = rnd_int(r, bays), step = 1 + rnd_int(r, 2);
    const int iron = vr_m_paint(s, v3s(.03f), .4f), slab = vr_m_paint(s, v3s(.45f), .8f);
    const float bay = w / (float)bays;

    for (int k = 1; k < floors; k++)
        for (int i = first; i < bays; i += step) {
            const float x = -w / 2 + bay * ((float)i + .5f), y = floor_height * (float)k;
            s->mat = slab;
            vr_box(s, v3(x - bay * .42f, y - .02f, 0), v3(x + bay * .42f, y + .12f, .95f),
                   .01f);
            s->mat = iron;
            vr_box(s, v3(x - bay * .42f, y + 1.02f, .90f),
                   v3(x + bay * .42f, y + 1.07f, .95f), .005f);
            for (int b = 0; b <= 10; b++) {
                const float bx = x - bay * .42f + bay * .084f * (float)b;
                vr_box(s, v3(bx - .01f, y + .12f, .915f), v3(bx + .01f, y + 1.03f, .935f),
                       0);
            }
        }
}

/* Awning and sign of the shop on the ground floor. */
static void shop(scene *s, rng *r, float w)
{
    const int colour = rnd_int(r, COLOURS), house = s->obj;
    const float aw = w * rnd_in(r, .5f, .9f);

    if (chance(r, .65f)) {
        vr_object(s, T_AWNING, colour, S_FABRIC);
        vr_material(s, (material){ .kind = MAT_FABRIC,
                                   .style = chance(r, .5f) ? 1 : 0,
                                   .a = vr_paint(colour, r),
                                   .b = v3s(.7f),
                                   .rough = .9f,
                                   .scale = .5f,
                                   .through = .25f });
        vr_rect(s, v3(-aw / 2, 2.45f, 1.35f), v3(aw, 0, 0), v3(0, .65f, -1.32f));
        vr_rect(s, v3(-aw / 2, 2.25f, 1.36f), v3(aw, 0, 0), v3(0, .2f, 0));
    }
    s->obj = house;
    if (chance(r, .6f)) {
        const int sign = rnd_int(r, COLOURS);
        if (s->lamps_on)
            vr_m_emit(s, v3_mul(vr_paint(sign, r), 1.1f), false);
        else
            vr_m_paint(s, vr_paint(sign, r), .3f);
        vr_box(s, v3(-aw * .35f, 3.15f, .02f), v3(aw * .35f, 3.55f, .12f), .01f);
    }
}

void vr_house(scene *s, rng *r, float w, int floors, float deep)
{
    static const int walls[9] = { WHITE,  GREY,  BROWN, YELLOW, RED,
                                  ORANGE, WHITE, PINK,  BLUE };
    const float h = floor_height * (float)floors;
    const int colour = walls[rnd_int(r, 9)], bays = (int)(w / rnd_in(r, 2.3f, 3.3f)) + 1;
    const int style = chance(r, .25f) ? 1 : chance(r, .35f) ? 2 : 0;
    const vec3 wall = style == 2 ? v3(.34f, .13f, .08f) : vr_wall_paint(colour, r);

    /* lit windows do not outshine the evening */
    const float glow = !s->lamps_on           ? 0
                       : s->time == SKY_NIGHT ? .40f
                       : s->time == SKY_DUSK  ? .28f
                                              : .20f;
    vr_object(s, T_HOUSE, style == 2 ? NO_COLOUR : colour, style == 2 ? S_BRICK : 0);
    vr_material(s, (material){ .kind = MAT_FACADE,
                               .style = style,
                               .a = wall,
                               .b = v3(.24f, .10f, .06f),
                               .c = chance(r, .6f) ? v3s(.7f) : v3(.06f, .05f, .045f),
                               .emit = v3(glow, .3f, 0),
                               .rough = .8f,
                               .mean = v3_mul(wall, .7f) });
    front(s, w, h, bays);
    const int side = vr_m_paint(s, v3_mul(wall, .85f), .9f);
    vr_rect(s, v3(w / 2, 0, 0), v3(0, 0, -deep), v3(0, h, 0));
    vr_rect(s, v3(-w / 2, 0, -deep), v3(0, 0, deep), v3(0, h, 0));
    vr_rect(s, v3(w / 2, 0, -deep), v3(-w, 0, 0), v3(0, h, 0));
    vr_m_paint(s, v3s(.10f), .9f);
    vr_rect(s, v3(-w / 2, h, 0), v3(w, 0, 0), v3(0, 0, -deep));
    /* courses between floors and a cornice: their shadows make a front of a picture */
    const int trim = vr_m_paint(s, v3_mix(wall, v3s(.6f), .5f), .8f);
    for (int k = 1; k < floors; k += 1 + (style == 1))
        vr_box(s, v3(-w / 2, floor_height * (float)k - .09f, -.05f),
               v3(w / 2, floor_height * (float)k + .05f, .09f), .012f);
    vr_box(s, v3(-w / 2 - .02f, h - .12f, -.3f), v3(w / 2 + .02f, h + .34f, .38f), .03f);
    vr_box(s, v3(-w / 2, h + .3f, -.25f), v3(w / 2, h + .8f, .05f), .02f);
    s->mat = side;
    if (style == 0 && chance(r, .45f))
        balconies(s, r, w, floors, bays);
    s->mat = trim;
    if (chance(r, .3f))
        vr_block(s, v3(w * .2f, h, -deep * .5f), v3(1.1f, 1.8f, .8f), .02f); /* chimney */
    if (floors > 2)
        shop(s, r, w);
}

void vr_hedge(scene *s, rng *r, vec3 size, int leaf)
{
    const int n = (int)(240 * (size.x * size.y + size.y * size.z + size.x * size.z));

    s->mat = leaf;
    vr_block(s, v3(0, 0, 0), v3_mul(size, .94f), .08f);
    for (int i = 0; i < n; i++) {
        const int face = rnd_int(r, 5); /* top twice as likely as an end */
        const float u = rnd_in(r, -.5f, .5f), v = rnd(r);
        const vec3 p = face == 0   ? v3(size.x * u, size.y * v, size.z / 2)
                       : face == 1 ? v3(size.x * u, size.y * v, -size.z / 2)
                       : face == 2 ? v3(size.x / 2, size.y * v, size.z * u)
                       : face == 3 ? v3(-size.x / 2, size.y * v, size.z * u)
                                   : v3(size.x * u, size.y, size.z * (v - .5f));
        const vec3 n0 = face == 0   ? v3(0, 0, 1)
                        : face == 1 ? v3(0, 0, -1)
                        : face == 2 ? v3(1, 0, 0)
                        : face == 3 ? v3(-1, 0, 0)
                                    : v3(0, 1, 0);
        const vec3 lean = v3(rnd_gauss(r), rnd_gauss(r), rnd_gauss(r));
        const vec3 dir = v3_unit(v3_mad(lean, n0, .4f));
        const vec3 nn = v3_unit(v3_mad(n0, lean, .4f));
        vr_leaf_card(s, v3_mad(p, n0, -.03f), dir, v3_unit(v3_cross(dir, nn)), .075f,
                     .045f, nn);
    }
}

void vr_park_bench(scene *s, rng *r)
{
    vr_object(s, T_BENCH, NO_COLOUR, S_WOOD);
    const int wood =
        vr_m_wood(s, v3_mul(v3(.28f, .15f, .07f), rnd_in(r, .8f, 1.3f)), .5f);
    for (int i = 0; i < 4; i++)
        vr_box(s, v3(-.8f, .42f, -.22f + .13f * (float)i),
               v3(.8f, .455f, -.12f + .13f * (float)i), .008f);
    for (int i = 0; i < 3; i++)
        vr_box(s, v3(-.8f, .55f + .13f * (float)i, -.28f - .02f * (float)i),
               v3(.8f, .65f + .13f * (float)i, -.25f - .02f * (float)i), .008f);
    vr_m_paint(s, v3s(.03f), .4f);
    for (int e = -1; e <= 1; e += 2) {
        const float x = .68f * (float)e;
        vr_rod(s, v3(x, 0, .2f), v3(x, .42f, .16f), .022f, .022f, 8);
        vr_rod(s, v3(x, 0, -.24f), v3(x, .95f, -.33f), .022f, .022f, 8);
        vr_rod(s, v3(x, .42f, .18f), v3(x, .42f, -.28f), .02f, .02f, 8);
        vr_rod(s, v3(x, .64f, .2f), v3(x, .64f, -.28f), .02f, .02f, 8);
    }
    s->mat = wood;
}

void vr_pergola(scene *s, rng *r, float w, float d, int leaf)
{
    vr_object(s, T_PERGOLA, NO_COLOUR, S_WOOD);
    const int wood = vr_m_wood(s, v3_mul(v3(.34f, .2f, .1f), rnd_in(r, .7f, 1.4f)), .6f);
    const float h = 2.5f;

    for (int i = 0; i < 4; i++) {
        const float x = (i & 1 ? .5f : -.5f) * w, z = (i & 2 ? .5f : -.5f) * d;
        vr_box(s, v3(x - .06f, 0, z - .06f), v3(x + .06f, h, z + .06f), .01f);
    }
    for (int e = -1; e <= 1; e += 2)
        vr_box(s, v3(-w / 2 - .3f, h, (float)e * d / 2 - .05f),
               v3(w / 2 + .3f, h + .18f, (float)e * d / 2 + .05f), .01f);
    const int n = (int)(w / .45f);
    for (int i = 0; i <= n; i++) {
        const float x = -w / 2 + w * (float)i / (float)n;
        vr_box(s, v3(x - .035f, h + .18f, -d / 2 - .3f),
               v3(x + .035f, h + .3f, d / 2 + .3f), .008f);
    }
    s->mat = leaf;
    for (int i = 0; i < (int)(w * d * 90); i++) { /* what climbs over it */
        const float x = rnd_in(r, -.55f, .55f) * w, z = rnd_in(r, -.55f, .55f) * d;
        const vec3 n0 = v3_unit(v3(rnd_gauss(r) * .5f, 1, rnd_gauss(r) * .5f));
        const float a = rnd_in(r, 0, 6.28f);
        vr_leaf_card(s, v3(x, h + .3f + .14f * rnd_gauss(r), z),
                     v3_unit(v3(cosf(a), -.2f, sinf(a))), v3(-sinf(a), 0, cosf(a)), .12f,
                     .08f, n0);
    }
    s->mat = wood;
}

void vr_pond(scene *s, rng *r, float radius)
{
    enum { N = 40 };
    vec3 p[N * 2];

    vr_object(s, T_POND, NO_COLOUR, 0);
    vr_material(s, (material){ .kind = MAT_WATER,
                               .a = v3(.015f, .05f, .05f),
                               .b = v3(.04f, .10f, .07f),
                               .rough = .05f,
                               .f0 = .02f,
                               .scale = .3f,
                               .bump = .01f });
    const float wob = rnd_in(r, .12f, .25f), ph = rnd_in(r, 0, 6);
    for (int i = 0; i < N; i++) {
        const float a = 2 * VR_PI * (float)i / (N - 1),
                    k = radius * (1 + wob * sinf(2 * a + ph) + .1f * sinf(3 * a));
        p[i] = v3(0, .03f, 0);
        p[N + i] = v3(k * sinf(a), .03f, k * cosf(a));
    }
    vr_patch(s, p, N, 2, true, false);
    for (int i = 0; i + 1 < N; i++) { /* stones along the rim */
        const vec3 q = p[N + i];
        const float k = rnd_in(r, .12f, .26f);
        vr_material(s, (material){ .kind = MAT_CONCRETE,
                                   .a = v3s(rnd_in(r, .12f, .30f)),
                                   .rough = .9f });
        vr_ball(s, v3(q.x, .02f, q.z), v3(k, k * .55f, k * .8f), 10);
    }
}

void vr_water_tank(scene *s, rng *r)
{
    vr_object(s, T_WATER_TANK, NO_COLOUR, S_WOOD);
    vr_m_paint(s, v3s(.05f), .5f);
    for (int i = 0; i < 4; i++) {
        const float x = i & 1 ? .9f : -.9f, z = i & 2 ? .9f : -.9f;
        vr_box(s, v3(x - .07f, 0, z - .07f), v3(x + .07f, 2.2f, z + .07f), .01f);
        vr_rod(s, v3(x, .2f, z), v3(-x, 2.1f, z), .03f, .03f, 6);
    }
    vr_box(s, v3(-1.15f, 2.2f, -1.15f), v3(1.15f, 2.35f, 1.15f), .01f);
    vr_material(s, (material){ .kind = MAT_PLANKS,
                               .style = 2,
                               .a = v3_mul(v3(.25f, .15f, .09f), rnd_in(r, .7f, 1.2f)),
                               .rough = .8f,
                               .scale = .12f });
    vr_rod(s, v3(0, 2.35f, 0), v3(0, 4.9f, 0), 1.25f, 1.2f, 30);
    vr_m_paint(s, v3(.10f, .09f, .08f), .6f);
    vr_rod(s, v3(0, 4.9f, 0), v3(0, 5.9f, 0), 1.4f, .06f, 30);
}

void vr_vent(scene *s, rng *r)
{
    vr_object(s, T_VENT, NO_COLOUR, S_METAL);
    const float w = rnd_in(r, .9f, 1.7f), h = rnd_in(r, .7f, 1.2f);
    vr_m_paint(s, v3s(rnd_in(r, .35f, .6f)), .45f);
    vr_block(s, v3(0, .12f, 0), v3(w, h, w * .7f), .02f);
    vr_m_paint(s, v3s(.04f), .6f);
    for (int i = 0; i < 7; i++)
        vr_box(s, v3(-w * .42f, .25f + h * .11f * (float)i, w * .35f),
               v3(w * .42f, .25f + h * .11f * ((float)i + .55f), w * .36f), 0);
    vr_rod(s, v3(0, .12f + h, 0), v3(0, .2f + h, 0), w * .28f, w * .28f, 24);
    vr_m_metal(s, 0, .35f);
    vr_rod(s, v3(w * .6f, 0, 0), v3(w * .6f, h + .9f, 0), .09f, .09f, 14);
}
