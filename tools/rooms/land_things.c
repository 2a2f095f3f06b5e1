/* Things that stand outdoors: boats, parasols, tents, cabins, cars, lamps. */
#include "tools/rooms/land.h"

void vr_boat(scene *s, rng *r, int colour)
{
    enum { NU = 15, NV = 15 };
    vec3 p[NU * NV];

    vr_object(s, T_BOAT, colour, S_WOOD);
    vr_material(s,
                (material){ .kind = MAT_PLAIN, .a = vr_paint(colour, r), .rough = .4f });
    for (int j = 0; j < NV; j++)
        for (int i = 0; i < NU; i++) {
            const float t = 2 * (float)j / (NV - 1) - 1, u = 2 * (float)i / (NU - 1) - 1;
            const float half = .68f * powf(fmaxf(1 - fabsf(t * t * t), 0), .6f) + .01f;
            p[j * NU + i] =
                v3(u * half, .62f * powf(fabsf(u), 2.2f) + .22f * t * t, 2.1f * t);
        }
    vr_patch(s, p, NU, NV, false, false);
    vr_material(s, (material){ .kind = MAT_WOOD, .a = v3(.36f, .2f, .1f), .rough = .5f });
    for (int k = -1; k <= 1; k++)
        vr_box(s, v3(-.55f + .08f * fabsf((float)k), .38f, (float)k * .95f - .12f),
               v3(.55f - .08f * fabsf((float)k), .41f, (float)k * .95f + .12f), .006f);
    for (int k = -1; k <= 1; k += 2) {
        vec3 rail[NV];
        for (int j = 0; j < NV; j++)
            rail[j] = v3_add(p[j * NU + (k < 0 ? 0 : NU - 1)], v3(0, .01f, 0));
        vr_tube(s, rail, NV, .035f, .035f, 8);
        vr_rod(s, v3((float)k * .3f, .46f, -1.2f), v3((float)k * .9f, .5f, 1.0f), .022f,
               .022f, 8);
    }
}

void vr_parasol(scene *s, rng *r, int colour)
{
    enum { RIBS = 8 };
    const bool stripes = chance(r, .4f);
    const float R = rnd_in(r, 1.2f, 1.6f), h = rnd_in(r, 2.1f, 2.4f);

    vr_object(s, T_PARASOL, stripes ? NO_COLOUR : colour, 0);
    vr_material(s, (material){ .kind = MAT_PLAIN, .a = v3s(.7f), .rough = .3f });
    vr_rod(s, v3(0, -.2f, 0), v3(0, h + .05f, 0), .025f, .02f, 10);
    const int a = vr_material(s, (material){ .kind = MAT_FABRIC,
                                             .a = vr_paint(colour, r),
                                             .rough = .9f,
                                             .through = .35f });
    const int b = stripes ? vr_material(s, (material){ .kind = MAT_FABRIC,
                                                       .a = v3s(.75f),
                                                       .rough = .9f,
                                                       .through = .35f })
                          : a;
    for (int i = 0; i < RIBS; i++) {
        vec3 p[6 * 6];
        s->mat = i & 1 ? a : b;
        for (int j = 0; j < 6; j++)
            for (int k = 0; k < 6; k++) {
                const float t = (float)j / 5, u = (float)k / 5,
                            an = 2 * VR_PI * ((float)i + u) / RIBS,
                            sag = .06f * sinf(VR_PI * u) * t;
                p[j * 6 + k] = v3(R * t * cosf(an) * (1 - .05f * sinf(VR_PI * u)),
                                  h - .5f * t * t - sag,
                                  R * t * sinf(an) * (1 - .05f * sinf(VR_PI * u)));
            }
        vr_patch(s, p, 6, 6, false, false);
    }
}

void vr_lounger(scene *s, rng *r, int colour)
{
    vr_object(s, T_COUCH_BED, colour, S_FABRIC);
    const int wood = vr_material(
        s, (material){ .kind = MAT_WOOD, .a = v3(.4f, .24f, .12f), .rough = .5f });
    for (int k = -1; k <= 1; k += 2) {
        vr_box(s, v3((float)k * .3f - .025f, .28f, -.9f),
               v3((float)k * .3f + .025f, .33f, .9f), .006f);
        for (int e = -1; e <= 1; e += 2)
            vr_block(s, v3((float)k * .3f, -.1f, (float)e * .75f), v3(.05f, .4f, .05f),
                     .006f);
    }
    vr_material(s, (material){ .kind = MAT_FABRIC,
                               .style = rnd_int(r, 2),
                               .a = vr_paint(colour, r),
                               .b = v3s(.75f),
                               .rough = .9f,
                               .scale = .12f });
    vr_box(s, v3(-.3f, .33f, -.25f), v3(.3f, .41f, .92f), .03f);
    const frame keep = s->at;
    s->at = frame_pitch(frame_move(keep, v3(0, .34f, -.24f), 0), -48);
    vr_box(s, v3(-.3f, 0, -.04f), v3(.3f, .72f, .04f), .03f);
    s->mat = wood;
    vr_box(s, v3(-.31f, 0, -.07f), v3(.31f, .74f, -.045f), .006f);
    s->at = keep;
}

void vr_tent(scene *s, rng *r, int colour)
{
    enum { NU = 17, NV = 13 };
    const float L = rnd_in(r, 2.2f, 3), W = rnd_in(r, 1.8f, 2.4f),
                H = rnd_in(r, 1.2f, 1.6f);
    vec3 p[NU * NV];

    vr_object(s, T_TENT, colour, S_FABRIC);
    vr_material(s, (material){ .kind = MAT_FABRIC,
                               .a = vr_paint(colour, r),
                               .rough = .7f,
                               .through = .25f });
    for (int j = 0; j < NV; j++)
        for (int i = 0; i < NU; i++) {
            const float u = (float)i / (NU - 1), v = 2 * (float)j / (NV - 1) - 1,
                        a = VR_PI * u;
            const float k = sqrtf(fmaxf(0, 1 - v * v * .72f));
            p[j * NU + i] = v3(-W / 2 * cosf(a) * k,
                               H * powf(fmaxf(sinf(a), 0), .75f) * k - .02f, v * L / 2);
        }
    vr_patch(s, p, NU, NV, false, false);
    vr_material(s, (material){ .kind = MAT_FABRIC,
                               .a = v3_mul(vr_paint(colour, r), .35f),
                               .rough = .9f });
    const float e = sqrtf(1 - .72f);
    for (int k = -1; k <= 1; k += 2) { /* closed ends, darker */
        const uint32_t m = vr_vertex(s, v3(0, H * e * .3f, (float)k * (L / 2 - .02f)),
                                     v3(0, 0, (float)k), v3(0, 0, 0));
        uint32_t last = 0;
        for (int i = 0; i < NU; i++) {
            const vec3 q = p[(k < 0 ? 0 : NV - 1) * NU + i];
            const uint32_t id = vr_vertex(s, v3_mul(q, .995f), v3(0, 0, (float)k), q);
            if (i)
                vr_triangle(s, m, last, id);
            last = id;
        }
    }
}

/* A hut of logs with a steep roof. */
void vr_cabin(scene *s, rng *r, bool snow)
{
    const float w = rnd_in(r, 4.5f, 6.5f), d = rnd_in(r, 4, 5.5f), h = 2.5f,
                ridge = rnd_in(r, 1.6f, 2.6f);

    vr_object(s, T_CABIN, NO_COLOUR, 0);
    const int logs = vr_material(
        s, (material){ .kind = MAT_WOOD,
                       .a = v3_mul(v3(.26f, .14f, .07f), rnd_in(r, .8f, 1.2f)),
                       .rough = .7f });
    for (int k = 0; k < 11; k++) {
        const float y = .11f + .23f * (float)k;
        for (int e = -1; e <= 1; e += 2) {
            vr_rod(s, v3(-w / 2 - .2f, y, (float)e * d / 2),
                   v3(w / 2 + .2f, y, (float)e * d / 2), .125f, .125f, 10);
            vr_rod(s, v3((float)e * w / 2, y + .11f, -d / 2 - .2f),
                   v3((float)e * w / 2, y + .11f, d / 2 + .2f), .125f, .125f, 10);
        }
    }
    for (int e = -1; e <= 1; e += 2) { /* gables */
        const float z = (float)e * d / 2;
        const vec3 n = v3(0, 0, (float)e);
        const uint32_t a = vr_vertex(s, v3(-w / 2, h, z), n, v3(0, 0, 0)),
                       b = vr_vertex(s, v3(w / 2, h, z), n, v3(0, 0, w)),
                       c = vr_vertex(s, v3(0, h + ridge, z), n, v3(ridge, 0, w / 2));
        vr_triangle(s, a, b, c);
    }
    if (snow)
        vr_material(
            s, (material){ .kind = MAT_PLAIN, .a = v3(.8f, .83f, .87f), .rough = .9f });
    else
        vr_material(s, (material){ .kind = MAT_PLANKS,
                                   .a = v3(.14f, .09f, .06f),
                                   .rough = .8f,
                                   .scale = .2f });
    for (int e = -1; e <= 1; e += 2) {
        const frame keep = s->at;
        s->at = frame_roll(frame_move(keep, v3(0, h + ridge, 0), 0),
                           (float)-e * atan2f(ridge, w / 2) * 180 / VR_PI);
        const float len = sqrtf(w * w / 4 + ridge * ridge) + .5f;
        vr_box(s, v3(e > 0 ? 0 : -len, -.02f, -d / 2 - .4f),
               v3(e > 0 ? len : 0, snow ? .22f : .1f, d / 2 + .4f), snow ? .1f : .01f);
        s->at = keep;
    }
    s->mat = logs;
    vr_m_paint(s, v3(.16f, .06f, .03f), .5f);
    vr_box(s, v3(-.5f, 0, d / 2 + .08f), v3(.45f, 2, d / 2 + .15f), .01f);
    for (int k = -1; k <= 1; k += 2) {
        const float x = (float)k * w * .32f;
        vr_m_paint(s, v3s(.7f), .4f);
        vr_box(s, v3(x - .5f, .95f, d / 2 + .08f), v3(x + .5f, 1.95f, d / 2 + .15f),
               .01f);
        vr_m_emit(s, s->lamps_on ? v3(.9f, .6f, .28f) : v3s(0), false);
        if (!s->lamps_on)
            vr_m_paint(s, v3(.03f, .04f, .05f), .05f);
        vr_box(s, v3(x - .43f, 1.02f, d / 2 + .09f), v3(x - .03f, 1.88f, d / 2 + .16f),
               0);
        vr_box(s, v3(x + .03f, 1.02f, d / 2 + .09f), v3(x + .43f, 1.88f, d / 2 + .16f),
               0);
    }
    vr_material(s, (material){ .kind = MAT_BRICK,
                               .a = v3(.3f, .12f, .08f),
                               .b = v3(.2f, .1f, .07f),
                               .c = v3s(.35f),
                               .rough = .9f });
    s->face_uv = true;
    vr_block(s, v3(w * .25f, h + .2f, -d * .2f), v3(.6f, ridge + .5f, .6f), .01f);
    s->face_uv = false;
}

/* Side view of a car as a band of points, swept across its width. */
void vr_car(scene *s, rng *r, int colour)
{
    enum { NP = 15, NS = 9 };
    static const float prof[NP][2] = {
        { -2.1f, .28f }, { -2.15f, .5f },  { -2.1f, .74f }, { -1.6f, .84f },
        { -1.1f, .92f }, { -.55f, 1.32f }, { -.1f, 1.44f }, { .6f, 1.44f },
        { 1.15f, 1.3f }, { 1.7f, .98f },   { 2.05f, .9f },  { 2.15f, .62f },
        { 2.1f, .35f },  { 1.9f, .24f },   { -1.9f, .24f }
    };
    vec3 p[NP * NS];
    const float k = rnd_in(r, .95f, 1.08f);

    vr_object(s, T_CAR, colour, 0);
    const vec3 paint = vr_paint(colour, r);
    vr_material(s, (material){ .kind = MAT_PLAIN, .a = paint, .rough = .08f });
    for (int j = 0; j < NS; j++)
        for (int i = 0; i < NP; i++) {
            const float v = 2 * (float)j / (NS - 1) - 1, y = prof[i][1] * k;
            const float edge = powf(fabsf(v), 6),
                        half = y > .95f ? .86f - .22f * (y - .95f) / .5f : .9f;
            p[j * NP + i] = v3(prof[i][0] * (1 - .03f * edge),
                               y - (y > .9f ? .06f : .02f) * edge, v * half);
        }
    vr_patch(s, p, NP, NS, false, false);
    for (int e = -1; e <= 1; e += 2) { /* flanks */
        uint32_t id[NP];
        const vec3 n = v3(0, .15f, (float)e);
        for (int i = 0; i < NP; i++)
            id[i] =
                vr_vertex(s, p[(e < 0 ? 0 : NS - 1) * NP + i], v3_unit(n), v3(0, 0, 0));
        for (int i = 1; i + 1 < NP; i++)
            vr_triangle(s, id[0], id[i], id[i + 1]);
    }
    vr_m_paint(s, v3(.012f, .014f, .016f), .04f);
    for (int e = -1; e <= 1; e += 2) { /* side windows */
        const float z = (float)e * .80f;
        const vec3 w[4] = { v3(-.95f, .95f * k, z * 1.085f),
                            v3(1.35f, .97f * k, z * 1.085f),
                            v3(.85f, 1.33f * k, z * .95f),
                            v3(-.45f, 1.33f * k, z * .95f) };
        const uint32_t a = vr_vertex(s, w[0], v3(0, .2f, (float)e), w[0]),
                       b = vr_vertex(s, w[1], v3(0, .2f, (float)e), w[1]);
        const uint32_t c = vr_vertex(s, w[2], v3(0, .2f, (float)e), w[2]),
                       d = vr_vertex(s, w[3], v3(0, .2f, (float)e), w[3]);
        vr_triangle(s, a, b, c);
        vr_triangle(s, a, c, d);
    }
    const vec3 front[4] = { v3(-1.06f, .96f * k, -.74f), v3(-1.06f, .96f * k, .74f),
                            v3(-.58f, 1.31f * k, .64f), v3(-.58f, 1.31f * k, -.64f) };
    const vec3 rear[4] = { v3(1.2f, 1.29f * k, -.62f), v3(1.2f, 1.29f * k, .62f),
                           v3(1.66f, 1.02f * k, .74f), v3(1.66f, 1.02f * k, -.74f) };
    vr_rect(s, v3_add(front[0], v3(-.02f, .02f, 0)), v3_sub(front[1], front[0]),
            v3_sub(front[3], front[0]));
    vr_rect(s, v3_add(rear[0], v3(.02f, .02f, 0)), v3_sub(rear[1], rear[0]),
            v3_sub(rear[3], rear[0]));
    const int tyre = vr_m_paint(s, v3s(.02f), .8f), rim = vr_m_metal(s, 0, .25f);
    for (int i = 0; i < 4; i++) {
        const float x = i & 1 ? 1.3f : -1.35f, z = i & 2 ? .8f : -.8f,
                    o = z > 0 ? .12f : -.12f;
        s->mat = tyre;
        vr_rod(s, v3(x, .31f, z - o), v3(x, .31f, z + o), .31f, .31f, 22);
        s->mat = rim;
        vr_rod(s, v3(x, .31f, z), v3(x, .31f, z + o * 1.06f), .2f, .19f, 18);
    }
    vr_m_emit(s, v3(.8f, .78f, .7f), false);
    for (int e = -1; e <= 1; e += 2)
        vr_ball(s, v3(-2.08f, .66f, (float)e * .65f), v3(.07f, .07f, .14f), 12);
    vr_m_paint(s, v3(.45f, .01f, .01f), .1f);
    for (int e = -1; e <= 1; e += 2)
        vr_ball(s, v3(2.08f, .72f, (float)e * .7f), v3(.06f, .07f, .12f), 12);
}

void vr_street_lamp(scene *s, bool on)
{
    vr_object(s, T_STREET_LAMP, NO_COLOUR, 0);
    vr_m_paint(s, v3s(.045f), .4f);
    const float base[5][2] = {
        { .14f, 0 }, { .14f, .1f }, { .09f, .5f }, { .06f, .6f }, { .05f, 5.2f }
    };
    vr_lathe(s, base, 5, 14);
    const vec3 arm[5] = { v3(0, 5.1f, 0), v3(0, 5.6f, 0), v3(.15f, 5.85f, 0),
                          v3(.5f, 5.95f, 0), v3(.9f, 5.9f, 0) };
    vr_tube(s, arm, 5, .045f, .035f, 10);
    vr_ball(s, v3(1.05f, 5.88f, 0), v3(.25f, .06f, .12f), 16);
    if (on) {
        s->to = &s->veil;
        vr_m_emit(s, v3(2.2f, 1.6f, .9f), true);
        vr_ball(s, v3(1.05f, 5.84f, 0), v3(.2f, .04f, .09f), 14);
        s->to = &s->solid;
        vr_lamp_light(s, v3(1.05f, 5.7f, 0), .15f, 14, v3(1, .72f, .4f));
    }
}
