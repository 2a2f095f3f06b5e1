/* Kitchen, bathroom, and the furniture of public rooms. */
#include "tools/rooms/room.h"

int vr_fridge(room *m, int colour)
{
    scene *s = m->s;
    const bool steel = colour < 0;
    const int obj = vr_object(s, T_FRIDGE, steel ? GREY : colour, steel ? S_METAL : 0);

    if (steel)
        vr_m_metal(s, 0, .3f);
    else
        vr_m_paint(s, vr_paint(colour, m->r), .15f);
    vr_box(s, v3(-.34f, .03f, 0), v3(.34f, 1.84f, .6f), .015f);
    vr_box(s, v3(-.34f, .72f, .605f), v3(.34f, 1.84f, .66f), .02f);
    vr_box(s, v3(-.34f, .05f, .605f), v3(.34f, .71f, .66f), .02f);
    vr_m_metal(s, 0, .2f);
    vr_rod(s, v3(.28f, .85f, .7f), v3(.28f, 1.35f, .7f), .011f, .011f, 10);
    vr_rod(s, v3(.28f, .4f, .7f), v3(.28f, .66f, .7f), .011f, .011f, 10);
    s->mat = m->dark_mat;
    vr_box(s, v3(-.33f, 0, .03f), v3(.33f, .05f, .58f), 0);
    return obj;
}

static void tap(room *m, float z)
{
    scene *s = m->s;
    const vec3 p[8] = { v3(0, 0, z),           v3(0, .15f, z),
                        v3(0, .22f, z + .01f), v3(0, .26f, z + .05f),
                        v3(0, .27f, z + .09f), v3(0, .26f, z + .13f),
                        v3(0, .23f, z + .15f), v3(0, .20f, z + .155f) };

    vr_m_metal(s, 0, .08f);
    vr_tube(s, p, 8, .012f, .012f, 12);
    vr_rod(s, v3(.05f, .0f, z), v3(.05f, .06f, z), .012f, .01f, 10);
}

/* What is let into a counter; the frame lies on its top. */
static void counter_top(room *m, float w, int what)
{
    scene *s = m->s;
    rng *r = m->r;
    const frame keep = s->at;
    const float d = .6f;

    if (what == 1) {
        vr_object(s, T_SINK, NO_COLOUR, S_METAL);
        vr_m_metal(s, 0, .2f);
        vr_box(s, v3(-.3f, -.001f, .1f), v3(.3f, .006f, .52f), .003f);
        vr_m_metal(s, 0, .3f);
        s->mats[s->mat].a = v3s(.22f);
        vr_box(s, v3(-.25f, .0055f, .17f), v3(.25f, .0075f, .48f), 0);
        tap(m, .12f);
    } else if (what == 2) {
        vr_object(s, T_OVEN, BLACK, 0);
        vr_m_paint(s, v3s(.012f), .04f);
        vr_box(s, v3(-.29f, 0, .06f), v3(.29f, .008f, .55f), .003f);
        vr_box(s, v3(-.28f, -.68f, d - .01f), v3(.28f, -.14f, d + .012f), .006f);
        vr_m_metal(s, 0, .3f);
        vr_box(s, v3(-.28f, -.135f, d - .01f), v3(.28f, -.05f, d + .012f), .004f);
        vr_rod(s, v3(-.22f, -.19f, d + .045f), v3(.22f, -.19f, d + .045f), .009f, .009f,
               10);
        vr_m_paint(s, v3s(.06f), .3f);
        for (int i = 0; i < 4; i++) {
            s->at = frame_move(keep,
                               v3((i & 1 ? .14f : -.14f), .008f, i & 2 ? .42f : .19f), 0);
            const float p[3][2] = { { .06f, .0005f },
                                    { .085f, .0008f },
                                    { .085f, .001f } };
            vr_lathe(s, p, 3, 24);
        }
        if (chance(r, .6f)) {
            s->at = frame_move(keep, v3(.14f, .008f, .19f), 30);
            vr_m_metal(s, chance(r, .3f) ? 2 : 0, .15f);
            const float p[6][2] = { { 0, 0 },        { .1f, 0 },    { .105f, .01f },
                                    { .105f, .13f }, { .1f, .13f }, { .098f, .02f } };
            vr_lathe(s, p, 6, 32);
            vr_rod(s, v3(.1f, .11f, 0), v3(.27f, .13f, 0), .01f, .009f, 8);
        }
    } else if (w > .8f) {
        s->at = frame_move(keep, v3(0, 0, .1f), 0);
        vr_clutter(m, w * .9f, .35f, 1 + rnd_int(r, 3));
    }
}

int vr_counter(room *m, float w, int colour, int what)
{
    scene *s = m->s;
    rng *r = m->r;
    const int obj = vr_object(s, T_COUNTER, colour, 0);
    const int mat = colour < 0 ? m->wood_mat : vr_m_paint(s, vr_paint(colour, r), .25f);
    const float h = .9f, d = .6f;

    if (colour < 0) {
        s->objs[obj].colour = m->wood_name;
        s->objs[obj].stuff = S_WOOD;
    }
    s->mat = mat;
    vr_box(s, v3(-w / 2, .09f, 0), v3(w / 2, h - .04f, d - .02f), 0);
    s->mat = m->dark_mat;
    vr_box(s, v3(-w / 2, 0, .02f), v3(w / 2, .1f, d - .07f), 0);
    const int n = (int)(w / .55f + .5f);
    for (int i = 0; i < n; i++) {
        const float x0 = -w / 2 + w * (float)i / (float)n + .003f,
                    x1 = -w / 2 + w * (float)(i + 1) / (float)n - .003f,
                    cx = (x0 + x1) / 2;
        const bool drawers = what != 1 && chance(r, .4f);
        for (int k = 0; k < (drawers ? 3 : 1); k++) {
            const float y0 = drawers ? .1f + .255f * (float)k : .1f,
                        y1 = drawers ? y0 + .25f : h - .045f;
            s->mat = mat;
            vr_box(s, v3(x0, y0, d - .02f), v3(x1, y1, d), .003f);
            s->mat = m->metal_mat;
            if (drawers)
                vr_rod(s, v3(cx - .07f, y1 - .05f, d + .025f),
                       v3(cx + .07f, y1 - .05f, d + .025f), .006f, .006f, 8);
            else
                vr_rod(s, v3(x1 - .05f, y1 - .22f, d + .025f),
                       v3(x1 - .05f, y1 - .06f, d + .025f), .006f, .006f, 8);
        }
    }
    static const vec3 tops[4] = {
        { .55f, .53f, .5f }, { .03f, .03f, .033f }, { .7f, .69f, .66f }, { .3f, .3f, .3f }
    };
    const int t = (int)((m->s->seed >> 3) & 3u);
    if (t == 3)
        s->mat = m->wood2_mat;
    else
        vr_material(s, (material){ .kind = MAT_MARBLE,
                                   .a = tops[t],
                                   .b = v3_mul(tops[t], .6f),
                                   .rough = .12f,
                                   .scale = .8f });
    vr_box(s, v3(-w / 2 - .004f, h - .04f, 0), v3(w / 2 + .004f, h, d + .02f), .005f);
    const frame keep = s->at;
    s->at = frame_move(keep, v3(0, h, 0), 0);
    counter_top(m, w, what);
    s->at = keep;
    s->obj = obj;
    return obj;
}

int vr_wall_cupboards(room *m, float w, int colour)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_CABINET, colour < 0 ? m->wood_name : colour,
                              colour < 0 ? S_WOOD : 0);
    const int mat =
        colour < 0 ? m->wood_mat : vr_m_paint(s, vr_paint(colour, m->r), .25f);
    const int n = (int)(w / .5f + .5f);

    s->mat = mat;
    vr_box(s, v3(-w / 2, 1.45f, 0), v3(w / 2, 2.15f, .32f), .003f);
    for (int i = 0; i < n; i++) {
        const float x0 = -w / 2 + w * (float)i / (float)n,
                    x1 = -w / 2 + w * (float)(i + 1) / (float)n;
        s->mat = mat;
        vr_box(s, v3(x0 + .002f, 1.452f, .32f), v3(x1 - .002f, 2.148f, .34f), .003f);
        s->mat = m->metal_mat;
        vr_rod(s, v3(x1 - .04f, 1.5f, .365f), v3(x1 - .04f, 1.64f, .365f), .005f, .005f,
               8);
    }
    return obj;
}

int vr_hood(room *m)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_HOOD, GREY, S_METAL);

    vr_m_metal(s, 0, .25f);
    vr_box(s, v3(-.3f, 1.55f, .0f), v3(.3f, 1.62f, .5f), .005f);
    vr_box(s, v3(-.14f, 1.6f, 0), v3(.14f, m->h - .02f, .28f), .005f);
    return obj;
}

int vr_bathtub(room *m)
{
    enum { NU = 41, NV = 9 };
    scene *s = m->s;
    const int obj = vr_object(s, T_BATHTUB, WHITE, 0);
    vec3 p[NU * NV];
    static const float prof[NV][2] = { { .80f, .0f },  { .90f, .04f },   { .97f, .4f },
                                       { 1.0f, .58f }, { .985f, .595f }, { .93f, .59f },
                                       { .90f, .55f }, { .80f, .2f },    { .05f, .14f } };

    vr_m_paint(s, v3s(.78f), .06f);
    s->at = frame_move(s->at, v3(0, 0, .4f), 0);
    for (int j = 0; j < NV; j++)
        for (int i = 0; i < NU; i++) {
            const float t = -2 * VR_PI * (float)i / (NU - 1), c = cosf(t), k = sinf(t);
            const float e = powf(powf(fabsf(c), 3.2f) + powf(fabsf(k), 3.2f), -1 / 3.2f);
            p[j * NU + i] =
                v3(.85f * prof[j][0] * c * e, prof[j][1],
                   .38f * (prof[j][0] > .5f ? prof[j][0] : prof[j][0]) * k * e);
        }
    vr_patch(s, p, NU, NV, true, false);
    if (chance(m->r, .6f)) {
        vr_material(s, (material){ .kind = MAT_WATER,
                                   .a = v3(.35f, .5f, .52f),
                                   .rough = .03f,
                                   .f0 = .02f,
                                   .scale = .2f,
                                   .bump = .012f });
        vr_rect(s, v3(-.7f, .42f, .3f), v3(1.4f, 0, 0), v3(0, 0, -.6f));
    }
    s->at = frame_move(s->at, v3(.72f, .59f, -.36f), 0);
    tap(m, 0);
    return obj;
}

int vr_toilet(room *m)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_TOILET, WHITE, 0);

    vr_m_paint(s, v3s(.79f), .07f);
    vr_box(s, v3(-.19f, .38f, .0f), v3(.19f, .8f, .18f), .03f);
    vr_box(s, v3(-.2f, .8f, -.005f), v3(.2f, .83f, .19f), .012f);
    const frame keep = s->at;
    s->at = frame_scale(frame_move(keep, v3(0, 0, .42f), 0), 1, 1, 1.3f);
    const float p[8][2] = { { .11f, 0 },   { .12f, .02f },  { .10f, .16f },
                            { .16f, .3f }, { .185f, .38f }, { .185f, .4f },
                            { .14f, .4f }, { .02f, .2f } };
    vr_lathe(s, p, 8, 36);
    const float lid[5][2] = {
        { .02f, .43f }, { .17f, .43f }, { .19f, .42f }, { .19f, .405f }, { .02f, .4f }
    };
    vr_lathe(s, lid, 5, 36);
    s->at = keep;
    vr_m_metal(s, 0, .1f);
    vr_rod(s, v3(0, .83f, .09f), v3(0, .838f, .09f), .02f, .02f, 14);
    return obj;
}

int vr_basin(room *m, int colour)
{
    scene *s = m->s;
    const float w = rnd_in(m->r, .7f, 1.1f);
    const bool wood = chance(m->r, .5f);

    vr_object(s, T_CABINET, wood ? m->wood_name : colour, wood ? S_WOOD : 0);
    s->mat = wood ? m->wood_mat : vr_m_paint(s, vr_paint(colour, m->r), .25f);
    vr_box(s, v3(-w / 2, .25f, 0), v3(w / 2, .78f, .45f), .006f);
    const int mat = s->mat;
    for (int k = 0; k < 2; k++) {
        s->mat = mat;
        vr_box(s, v3(-w / 2 + .004f, .255f + .26f * (float)k, .45f),
               v3(w / 2 - .004f, .505f + .26f * (float)k, .465f), .003f);
        s->mat = m->metal_mat;
        vr_rod(s, v3(-.1f, .45f + .26f * (float)k, .49f),
               v3(.1f, .45f + .26f * (float)k, .49f), .006f, .006f, 8);
    }
    const int obj = vr_object(s, T_BASIN, WHITE, 0);
    vr_m_paint(s, v3s(.79f), .06f);
    vr_box(s, v3(-w / 2 - .01f, .78f, 0), v3(w / 2 + .01f, .82f, .48f), .008f);
    const frame keep = s->at;
    s->at = frame_scale(frame_move(keep, v3(0, .81f, .25f), 0), 1.3f, 1, 1);
    const float p[6][2] = { { .10f, 0 },     { .15f, .05f }, { .175f, .12f },
                            { .17f, .125f }, { .14f, .06f }, { .02f, .03f } };
    vr_lathe(s, p, 6, 36);
    s->at = frame_move(keep, v3(0, .82f, .05f), 0);
    tap(m, 0);
    s->at = keep;
    return obj;
}

int vr_shower(room *m)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_SHOWER, NO_COLOUR, S_GLASS);

    vr_m_paint(s, v3s(.78f), .12f);
    vr_box(s, v3(-.45f, 0, 0), v3(.45f, .06f, .9f), .015f);
    vr_m_metal(s, 0, .1f);
    vr_rod(s, v3(0, .9f, .03f), v3(0, 2.1f, .03f), .012f, .012f, 10);
    vr_rod(s, v3(0, 2.1f, .03f), v3(0, 2.12f, .38f), .012f, .012f, 10);
    vr_rod(s, v3(0, 2.09f, .38f), v3(0, 2.11f, .38f), .11f, .11f, 28);
    vr_box(s, v3(-.08f, 1.05f, .02f), v3(.08f, 1.1f, .07f), .01f);
    vr_box(s, v3(-.46f, 2.0f, .885f), v3(.46f, 2.03f, .91f), .004f);
    vr_box(s, v3(.435f, .06f, .885f), v3(.46f, 2.0f, .91f), .004f);
    vr_box(s, v3(-.46f, .06f, .885f), v3(-.435f, 2.0f, .91f), .004f);
    s->to = &s->veil;
    vr_m_glass(s);
    vr_rect(s, v3(-.44f, .06f, .9f), v3(.88f, 0, 0), v3(0, 1.94f, 0));
    vr_rect(s, v3(.45f, .06f, .9f), v3(0, 0, -.88f), v3(0, 1.94f, 0));
    s->to = &s->solid;
    return obj;
}

/* A rail with a towel, at 1.25 m. */
int vr_towel(room *m, int colour)
{
    enum { NU = 24, NV = 16 };
    scene *s = m->s;
    const int obj = vr_object(s, T_TOWEL, colour, S_FABRIC);
    vec3 p[NU * NV];
    const float ph = rnd_in(m->r, 0, 6);

    vr_m_metal(s, 0, .12f);
    vr_rod(s, v3(-.3f, 1.25f, .07f), v3(.3f, 1.25f, .07f), .01f, .01f, 10);
    vr_rod(s, v3(-.28f, 1.25f, 0), v3(-.28f, 1.25f, .07f), .008f, .008f, 8);
    vr_rod(s, v3(.28f, 1.25f, 0), v3(.28f, 1.25f, .07f), .008f, .008f, 8);
    vr_m_fabric(s, vr_paint(colour, m->r), m->r);
    for (int j = 0; j < NV; j++)
        for (int i = 0; i < NU; i++) {
            const float u = (float)i / (NU - 1), v = (float)j / (NV - 1);
            p[j * NU + i] = v3(-.2f + .4f * u, 1.262f - .62f * v,
                               .085f + .012f * v * sinf(14 * u + ph) + .01f * v);
        }
    vr_patch(s, p, NU, NV, false, false);
    vr_box(s, v3(-.2f, .72f, .05f), v3(.2f, 1.262f, .062f), .005f);
    return obj;
}

int vr_arcade(room *m, int colour)
{
    scene *s = m->s;
    rng *r = m->r;
    const int obj = vr_object(s, T_ARCADE_MACHINE, colour, 0);
    const float w = .66f;
    const int body = vr_m_paint(s, vr_paint(colour, r), .2f);
    /* side panels as thick outlines */
    static const float side[9][2] = { { .0f, 0 },      { .0f, 1.8f },  { .35f, 1.8f },
                                      { .5f, 1.72f },  { .46f, 1.5f }, { .3f, 1.45f },
                                      { .38f, 1.08f }, { .72f, .95f }, { .7f, 0 } };

    for (int k = -1; k <= 1; k += 2)
        for (int f = 0; f < 2; f++) {
            const float x = (float)k * w / 2 + (f ? .012f : -.012f);
            const vec3 n = v3(f ? 1.f : -1.f, 0, 0);
            uint32_t id[9];
            for (int i = 0; i < 9; i++)
                id[i] = vr_vertex(s, v3(x, side[i][1], side[i][0]), n,
                                  v3(0, side[i][1], side[i][0]));
            const int tri[7][3] = { { 0, 1, 5 }, { 1, 2, 5 }, { 2, 3, 4 }, { 2, 4, 5 },
                                    { 0, 5, 6 }, { 0, 6, 7 }, { 0, 7, 8 } };
            for (int i = 0; i < 7; i++)
                vr_triangle(s, id[tri[i][0]], id[tri[i][1]], id[tri[i][2]]);
        }
    vr_m_emit(s, v3_mul(vr_paint(rnd_int(r, COLOURS - 3) + 3, r), 1.5f), false);
    for (int k = -1; k <= 1; k += 2)
        for (int i = 1; i < 8; i++) { /* glowing edge */
            const vec3 a = v3((float)k * w / 2, side[i][1], side[i][0]),
                       b = v3((float)k * w / 2, side[i + 1][1], side[i + 1][0]);
            vr_rod(s, a, b, .014f, .014f, 6);
        }
    s->mat = body;
    vr_box(s, v3(-w / 2, 0, .02f), v3(w / 2, .93f, .68f), .006f);
    s->mat = m->dark_mat;
    vr_box(s, v3(-w / 2, .9f, .02f), v3(w / 2, 1.78f, .28f), .006f);
    vr_box(s, v3(-.12f, .3f, .67f), v3(.12f, .6f, .69f), .004f);
    const vec3 a = vr_paint(rnd_int(r, COLOURS - 3) + 3, r),
               b = vr_paint(rnd_int(r, COLOURS - 3) + 3, r),
               c = vr_paint(rnd_int(r, COLOURS - 3) + 3, r);
    vr_material(s, (material){ .kind = MAT_SCREEN,
                               .style = 10,
                               .a = a,
                               .b = b,
                               .c = c,
                               .emit = v3s(1.6f),
                               .rough = .15f });
    vr_card(s, v3(-w / 2 + .05f, 1.06f, .37f), v3(w - .1f, 0, 0), v3(0, .4f, -.085f));
    vr_material(s, (material){ .kind = MAT_SCREEN,
                               .style = 6,
                               .a = b,
                               .b = c,
                               .c = a,
                               .emit = v3s(1.4f),
                               .rough = .15f });
    vr_card(s, v3(-w / 2 + .02f, 1.5f, .455f), v3(w - .04f, 0, 0), v3(0, .21f, .035f));
    s->mat = body;
    const vec3 desk[4] = { v3(-w / 2, 1.07f, .37f), v3(w / 2, 1.07f, .37f),
                           v3(w / 2, .95f, .71f), v3(-w / 2, .95f, .71f) };
    vr_rect(s, desk[3], v3_sub(desk[2], desk[3]), v3_sub(desk[0], desk[3]));
    s->mat = m->dark_mat;
    vr_rod(s, v3(-.15f, 1.0f, .53f), v3(-.15f, 1.1f, .54f), .008f, .008f, 8);
    vr_m_paint(s, v3(.7f, .03f, .03f), .1f);
    vr_ball(s, v3(-.15f, 1.11f, .54f), v3s(.024f), 14);
    for (int i = 0; i < 4; i++) {
        vr_m_emit(s, v3_mul(vr_paint(rnd_int(r, COLOURS - 3) + 3, r), 1.1f), false);
        vr_rod(s, v3(.03f + .07f * (float)i, 1.0f, .53f),
               v3(.03f + .07f * (float)i, 1.03f, .54f), .022f, .02f, 14);
    }
    return obj;
}

int vr_pool_table(room *m)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_POOL_TABLE, GREEN, 0);
    const float w = 2.3f, d = 1.3f;

    s->mat = m->wood_mat;
    for (int i = 0; i < 4; i++)
        vr_block(s, v3((i & 1 ? 1.f : -1.f) * (w / 2 - .2f), 0, i & 2 ? d - .2f : .2f),
                 v3(.16f, .6f, .16f), .02f);
    vr_box(s, v3(-w / 2, .56f, 0), v3(w / 2, .84f, .12f), .02f);
    vr_box(s, v3(-w / 2, .56f, d - .12f), v3(w / 2, .84f, d), .02f);
    vr_box(s, v3(-w / 2, .56f, .1f), v3(-w / 2 + .12f, .84f, d - .1f), .02f);
    vr_box(s, v3(w / 2 - .12f, .56f, .1f), v3(w / 2, .84f, d - .1f), .02f);
    vr_m_fabric(s, v3(.03f, .22f, .08f), m->r);
    vr_box(s, v3(-w / 2 + .1f, .6f, .1f), v3(w / 2 - .1f, .79f, d - .1f), 0);
    for (int i = 0; i < 10; i++) {
        vr_m_paint(s, vr_paint(rnd_int(m->r, COLOURS), m->r), .05f);
        vr_ball(s, v3(rnd_in(m->r, -.85f, .85f), .82f, rnd_in(m->r, .3f, 1.0f)),
                v3s(.03f), 18);
    }
    return obj;
}

int vr_whiteboard(room *m, float w, float h, bool black)
{
    scene *s = m->s;
    const int obj = vr_object(s, black ? T_BLACKBOARD : T_WHITEBOARD, NO_COLOUR, 0);

    s->mat = black ? m->wood_mat : m->metal_mat;
    vr_box(s, v3(-w / 2 - .03f, .9f, 0), v3(w / 2 + .03f, .9f + h + .06f, .02f), .004f);
    vr_box(s, v3(-w / 2, .9f, .01f), v3(w / 2, .92f, .08f), .004f);
    const vec3 ink = black ? v3s(.55f) : v3(.05f, .08f, .3f);
    const vec3 back =
        black ? (chance(m->r, .5f) ? v3(.025f, .06f, .04f) : v3s(.03f)) : v3s(.79f);
    vr_material(s, (material){ .kind = MAT_PICTURE,
                               .style = 8,
                               .a = ink,
                               .b = black ? v3(.6f, .55f, .2f) : v3(.5f, .05f, .05f),
                               .c = back,
                               .rough = black ? .8f : .15f,
                               .mean = back });
    vr_card(s, v3(-w / 2, .93f, .021f), v3(w, 0, 0), v3(0, h, 0));
    return obj;
}

int vr_projection(room *m, float w)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_SCREEN, NO_COLOUR, 0);
    const float h = w * .6f, y = fmaxf(1.0f, m->h - h - .5f);

    s->mat = m->dark_mat;
    vr_box(s, v3(-w / 2 - .05f, y - .05f, .03f), v3(w / 2 + .05f, y + h + .05f, .05f),
           .004f);
    vr_material(s, (material){ .kind = MAT_SCREEN,
                               .style = chance(m->r, .6f) ? 8 : rnd_int(m->r, 8),
                               .a = v3(.05f, .1f, .25f),
                               .b = vr_paint(rnd_int(m->r, COLOURS), m->r),
                               .c = v3s(.8f),
                               .emit = v3s(.8f),
                               .rough = .8f });
    vr_card(s, v3(-w / 2, y, .052f), v3(w, 0, 0), v3(0, h, 0));
    return obj;
}

int vr_lectern(room *m)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_LECTERN, m->wood_name, S_WOOD);

    s->mat = m->wood_mat;
    vr_box(s, v3(-.3f, .0f, .1f), v3(.3f, .04f, .5f), .006f);
    vr_box(s, v3(-.26f, .03f, .15f), v3(.26f, 1.05f, .45f), .008f);
    const frame keep = s->at;
    s->at = frame_pitch(frame_move(keep, v3(0, 1.05f, .12f), 0), -18);
    vr_box(s, v3(-.31f, 0, 0), v3(.31f, .03f, .44f), .008f);
    s->at = keep;
    s->mat = m->dark_mat;
    const vec3 p[4] = { v3(.15f, 1.1f, .2f), v3(.15f, 1.25f, .2f), v3(.14f, 1.33f, .17f),
                        v3(.13f, 1.36f, .12f) };
    vr_tube(s, p, 4, .006f, .006f, 8);
    return obj;
}

int vr_ladder(room *m, float h)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_LADDER, m->wood_name, S_WOOD);

    s->mat = m->wood_mat;
    for (int k = -1; k <= 1; k += 2)
        vr_rod(s, v3((float)k * .22f, 0, h * .25f), v3((float)k * .2f, h, .02f), .022f,
               .02f, 10);
    for (float y = .3f; y < h - .1f; y += .3f)
        vr_rod(s, v3(-.21f, y, h * .25f * (1 - y / h) + .01f),
               v3(.21f, y, h * .25f * (1 - y / h) + .01f), .014f, .014f, 8);
    return obj;
}
