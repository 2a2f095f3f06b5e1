/* Lamps, plants, vases, pictures, rugs and the small things on tables. */
#include "tools/rooms/room.h"

static const vec3 warm = { 1, .78f, .54f };

/* A shade: visible, but light passes from the bulb in its middle. */
static void shade(room *m, const float (*rh)[2], int n, vec3 tint, bool on)
{
    scene *s = m->s;

    if (on) {
        s->to = &s->veil;
        vr_m_emit(s, v3_mul(v3_had(tint, v3(1, .84f, .62f)), 1.0f), true);
    } else {
        vr_material(s, (material){ .kind = MAT_FABRIC,
                                   .a = v3_mul(tint, .8f),
                                   .b = tint,
                                   .rough = .9f,
                                   .through = .3f,
                                   .scale = .1f });
    }
    vr_lathe(s, rh, n, 40);
    s->to = &s->solid;
}

int vr_floor_lamp(room *m, bool on, int colour)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_LAMP, NO_COLOUR, 0);
    const float h = rnd_in(m->r, 1.5f, 1.75f);

    s->at = frame_move(s->at, v3(0, 0, .22f), 0);
    s->mat = m->metal_mat;
    const float base[5][2] = {
        { 0, 0 }, { .15f, 0 }, { .15f, .015f }, { .13f, .025f }, { .012f, .035f }
    };
    vr_lathe(s, base, 5, 32);
    vr_rod(s, v3(0, .03f, 0), v3(0, h, 0), .011f, .011f, 12);
    const float rt = rnd_in(m->r, .10f, .2f), rb = rnd_in(m->r, .2f, .26f);
    const float p[2][2] = { { rb, h - .16f }, { rt, h + .12f } };
    vec3 tint =
        colour == WHITE ? v3s(.95f) : v3_mix(vr_paint(colour, m->r), v3s(1), .35f);
    shade(m, p, 2, tint, on);
    if (on)
        vr_lamp_light(s, v3(0, h - .02f, 0), .06f, .30f, warm);
    return obj;
}

int vr_table_lamp(room *m, bool on, int colour)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_LAMP, colour, 0);
    const float k = rnd_in(m->r, .85f, 1.15f);

    if (chance(m->r, .5f))
        vr_m_paint(s, vr_paint(colour, m->r), .12f);
    else {
        s->mat = m->metal_mat;
        s->objs[obj].colour = NO_COLOUR;
    }
    const float base[8][2] = { { 0, 0 },
                               { .07f * k, 0 },
                               { .075f * k, .015f * k },
                               { .05f * k, .03f * k },
                               { .075f * k, .10f * k },
                               { .06f * k, .17f * k },
                               { .015f * k, .22f * k },
                               { .012f * k, .3f * k } };
    vr_lathe(s, base, 8, 28);
    const float p[2][2] = { { .15f * k, .26f * k }, { .09f * k, .46f * k } };
    shade(m, p, 2, v3(.96f, .92f, .85f), on);
    if (on)
        vr_lamp_light(s, v3(0, .36f * k, 0), .04f, .13f, warm);
    return obj;
}

/* Hangs from the frame's origin (on the ceiling) downwards. */
int vr_pendant(room *m, float drop, bool on, int style, float power)
{
    scene *s = m->s;
    const int colour = style == 3 ? rnd_int(m->r, COLOURS) : NO_COLOUR;
    const int obj = vr_object(s, T_CEILING_LAMP, colour, 0);

    if (style == 0) { /* flat disc on the ceiling */
        if (on)
            s->to = &s->veil;
        vr_m_emit(s, v3_mul(v3(1, .93f, .82f), on ? 1.15f : 0), true);
        if (!on)
            vr_m_paint(s, v3s(.8f), .3f);
        const float p[5][2] = {
            { 0, -.09f }, { .12f, -.085f }, { .19f, -.06f }, { .215f, -.03f }, { .22f, 0 }
        };
        vr_lathe(s, p, 5, 40);
        s->to = &s->solid;
        if (on)
            vr_lamp_light(s, v3(0, -.14f, 0), .09f, power, v3(1, .90f, .76f));
        return obj;
    }
    vr_m_paint(s, v3s(.03f), .5f);
    vr_rod(s, v3(0, -drop, 0), v3(0, 0, 0), .004f, .004f, 6);
    const float rose[4][2] = {
        { .0f, -.03f }, { .05f, -.03f }, { .06f, -.01f }, { .06f, 0 }
    };
    vr_lathe(s, rose, 4, 20);
    if (style == 1) { /* glowing ball */
        s->to = on ? &s->veil : &s->solid;
        if (on)
            vr_m_emit(s, v3(1.15f, 1.0f, .82f), true);
        else
            vr_m_paint(s, v3s(.82f), .15f);
        vr_ball(s, v3(0, -drop - .12f, 0), v3s(.13f), 28);
        s->to = &s->solid;
    } else if (style == 2) { /* drum */
        const float p[2][2] = { { .24f, -drop - .2f }, { .22f, -drop + .06f } };
        shade(m, p, 2, v3(.97f, .93f, .86f), on);
    } else { /* metal bell, light below */
        vr_m_paint(s, vr_paint(colour, m->r), .25f);
        const float p[5][2] = { { .22f, -drop - .16f },
                                { .19f, -drop - .08f },
                                { .12f, -drop - .01f },
                                { .05f, -drop + .04f },
                                { .02f, -drop + .06f } };
        vr_lathe(s, p, 5, 36);
        if (on) {
            s->to = &s->veil;
            vr_m_emit(s, v3(1.4f, 1.15f, .85f), true);
            vr_ball(s, v3(0, -drop - .1f, 0), v3s(.055f), 16);
            s->to = &s->solid;
        }
    }
    if (on)
        vr_lamp_light(s, v3(0, -drop - (style == 3 ? .2f : .12f), 0), .08f, power,
                      v3(1, .86f, .68f));
    return obj;
}

static void leaf(scene *s, vec3 root, float az, float el, float len, float width,
                 float droop)
{
    enum { N = 8 };
    vec3 p[N * 3];
    const float ca = cosf(az), sa = sinf(az);

    for (int j = 0; j < N; j++) {
        const float t = (float)j / (N - 1);
        const float out = len * t * cosf(el),
                    up = len * t * sinf(el) - droop * len * t * t;
        const float w = width * sinf(VR_PI * powf(fmaxf(t, .0001f), .75f)) + .002f;
        for (int i = 0; i < 3; i++) {
            const float side = (float)(i - 1) * w;
            p[j * 3 + i] = v3_add(root, v3(out * ca - side * sa, up - fabsf(side) * -.25f,
                                           out * sa + side * ca));
        }
    }
    vr_patch(s, p, 3, N, false, true);
}

static void pot(room *m, float r, float h)
{
    scene *s = m->s;
    const int c = chance(m->r, .5f) ? -1 : rnd_int(m->r, COLOURS);

    vr_m_paint(s, c < 0 ? v3(.36f, .15f, .08f) : vr_paint(c, m->r),
               chance(m->r, .5f) ? .12f : .7f);
    const float p[7][2] = { { r * .72f, 0 },        { r * .78f, .01f },
                            { r * .98f, h - .05f }, { r * 1.05f, h - .045f },
                            { r * 1.05f, h },       { r * .95f, h },
                            { r * .9f, h - .04f } };
    vr_lathe(s, p, 7, 32);
    vr_m_paint(s, v3(.045f, .03f, .02f), .95f);
    vr_rod(s, v3(0, h - .05f, 0), v3(0, h - .035f, 0), r * .93f, r * .93f, 24);
}

int vr_plant(room *m, float h, int style)
{
    scene *s = m->s;
    rng *r = m->r;
    const int obj = vr_object(s, T_PLANT, GREEN, 0);
    const float pr = h * rnd_in(r, .10f, .15f) + .02f, ph = fminf(pr * 1.7f, h * .4f);

    pot(m, pr, ph);
    const vec3 green =
        v3_had(v3(.055f, .18f, .04f),
               v3(rnd_in(r, .7f, 1.5f), rnd_in(r, .7f, 1.1f), rnd_in(r, .7f, 1.4f)));
    const int mat = vr_material(
        s, (material){
               .kind = MAT_LEAF, .style = 1, .a = green, .rough = .35f, .through = .4f });
    if (style == 2) { /* a small tree with clumps */
        vr_material(
            s, (material){ .kind = MAT_BARK, .a = v3(.14f, .09f, .055f), .rough = .9f });
        const vec3 stem[4] = { v3(0, ph - .05f, 0), v3(.02f, h * .4f, .01f),
                               v3(-.02f, h * .55f, 0), v3(.01f, h * .8f, .01f) };
        vr_tube(s, stem, 4, .018f, .008f, 8);
        s->mat = mat;
        for (int i = 0; i < 170; i++) {
            const float az = rnd_in(r, 0, 6.283f), y = rnd_in(r, .5f, .98f) * h;
            const float R =
                .26f * h * sinf(VR_PI * vr_clamp((y / h - .42f) / .62f, 0, 1));
            leaf(s, v3(R * .75f * cosf(az), y, R * .75f * sinf(az)),
                 az + rnd_in(r, -1, 1), rnd_in(r, -.2f, 1.1f), rnd_in(r, .06f, .11f),
                 .022f, .3f);
        }
        return obj;
    }
    const int n = style == 1 ? 16 + rnd_int(r, 12) : 26 + rnd_int(r, 26);
    const float broad = rnd_in(r, .03f, .10f);
    for (int i = 0; i < n; i++) {
        const float az = (float)i * 2.39996f + rnd_in(r, -.2f, .2f),
                    el = rnd_in(r, .5f, 1.42f);
        const float len =
            (h - ph) * rnd_in(r, .7f, 1.08f) / fmaxf(sinf(el) - .25f, .45f) * .8f;
        leaf(s, v3(rnd_in(r, -.3f, .3f) * pr, ph - .04f, rnd_in(r, -.3f, .3f) * pr), az,
             el, len, len * broad * rnd_in(r, .8f, 1.2f), rnd_in(r, .25f, .6f));
    }
    return obj;
}

int vr_vase(room *m, float h, int colour, bool flowers)
{
    scene *s = m->s;
    rng *r = m->r;
    const int obj = vr_object(s, T_VASE, colour, 0);
    const float a = rnd_in(r, .25f, .4f) * h, b = rnd_in(r, .10f, .2f) * h;

    vr_m_paint(s, vr_paint(colour, r), rnd_in(r, .06f, .3f));
    float p[14][2];
    for (int i = 0; i < 12; i++) {
        const float t = (float)i / 11;
        p[i][0] = b + (a - b) * sinf(VR_PI * powf(t, .75f)) * (1 - .2f * t) + .01f * t;
        p[i][1] = h * t;
    }
    p[12][0] = p[11][0] - .006f;
    p[12][1] = h;
    p[13][0] = p[11][0] - .008f;
    p[13][1] = h - .05f;
    vr_lathe(s, (const float(*)[2])p, 14, 32);
    if (flowers) {
        vr_object(s, T_FLOWERS, rnd_int(r, COLOURS - 2) + 2, 0);
        const int fc = s->objs[s->obj].colour;
        const int stem = vr_material(s, (material){ .kind = MAT_LEAF,
                                                    .a = v3(.06f, .17f, .04f),
                                                    .rough = .5f,
                                                    .through = .3f });
        const int bloom =
            vr_material(s, (material){ .kind = MAT_LEAF,
                                       .a = vr_paint(fc == GREEN ? PINK : fc, r),
                                       .rough = .7f,
                                       .through = .35f });
        if (fc == GREEN)
            s->objs[s->obj].colour = PINK;
        for (int i = 0; i < 11; i++) {
            const float az = rnd_in(r, 0, 6.28f), out = rnd_in(r, .02f, .13f),
                        top = h + rnd_in(r, .08f, .2f);
            const vec3 e = v3(out * cosf(az), top, out * sinf(az));
            const vec3 q[3] = { v3(0, h * .9f, 0), v3(e.x * .4f, h + .05f, e.z * .4f),
                                e };
            s->mat = stem;
            vr_tube(s, q, 3, .003f, .002f, 5);
            leaf(s, q[1], az + 1, .6f, .07f, .015f, .2f);
            s->mat = bloom;
            for (int k = 0; k < 7; k++)
                leaf(s, e, (float)k * .9f, .5f, .045f, .018f, .3f);
        }
    }
    return obj;
}

int vr_picture(room *m, float w, float h, int style)
{
    scene *s = m->s;
    rng *r = m->r;
    const int obj = vr_object(s, T_PICTURE, NO_COLOUR, 0);
    const float t = rnd_in(r, .018f, .045f),
                mount = chance(r, .5f) ? rnd_in(r, .04f, .09f) : 0;
    const int f = rnd_int(r, 4);

    s->mat = f == 0   ? m->wood_mat
             : f == 1 ? m->dark_mat
             : f == 2 ? m->white_mat
                      : vr_m_metal(s, 4, .3f);
    vr_box(s, v3(-w / 2 - t, -h / 2 - t, 0), v3(w / 2 + t, -h / 2, .03f), .006f);
    vr_box(s, v3(-w / 2 - t, h / 2, 0), v3(w / 2 + t, h / 2 + t, .03f), .006f);
    vr_box(s, v3(-w / 2 - t, -h / 2, 0), v3(-w / 2, h / 2, .03f), .006f);
    vr_box(s, v3(w / 2, -h / 2, 0), v3(w / 2 + t, h / 2, .03f), .006f);
    if (mount > 0) {
        vr_m_paint(s, v3(.76f, .75f, .71f), .8f);
        vr_rect(s, v3(-w / 2, -h / 2, .012f), v3(w, 0, 0), v3(0, h, 0));
    }
    vr_m_picture(s, r, style);
    vr_card(s, v3(-w / 2 + mount, -h / 2 + mount, .014f), v3(w - 2 * mount, 0, 0),
            v3(0, h - 2 * mount, 0));
    return obj;
}

int vr_mirror(room *m, float w, float h)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_MIRROR, NO_COLOUR, 0);

    s->mat = chance(m->r, .5f) ? m->wood_mat : m->metal_mat;
    vr_box(s, v3(-w / 2 - .03f, -h / 2 - .03f, 0), v3(w / 2 + .03f, -h / 2, .03f), .006f);
    vr_box(s, v3(-w / 2 - .03f, h / 2, 0), v3(w / 2 + .03f, h / 2 + .03f, .03f), .006f);
    vr_box(s, v3(-w / 2 - .03f, -h / 2, 0), v3(-w / 2, h / 2, .03f), .006f);
    vr_box(s, v3(w / 2, -h / 2, 0), v3(w / 2 + .03f, h / 2, .03f), .006f);
    vr_material(
        s,
        (material){ .kind = MAT_PLAIN, .a = v3s(.88f), .rough = .011f, .metal = true });
    vr_rect(s, v3(-w / 2, -h / 2, .015f), v3(w, 0, 0), v3(0, h, 0));
    return obj;
}

/* Middle at the frame's origin. */
int vr_rug(room *m, float w, float d, int colour)
{
    scene *s = m->s;
    rng *r = m->r;
    const int obj = vr_object(s, T_RUG, colour, 0);
    const bool round = chance(r, .15f);
    const int style = round ? 2 : rnd_int(r, 5);
    const vec3 a = vr_paint(colour, r);
    const int mat = vr_material(
        s, (material){ .kind = MAT_RUG,
                       .style = style,
                       .a = a,
                       .b = chance(r, .5f) ? v3_mix(a, v3s(.7f), .6f)
                                           : vr_paint(rnd_int(r, COLOURS), r),
                       .c = chance(r, .5f) ? v3(.66f, .6f, .5f) : vr_paint(s->accent, r),
                       .rough = 1,
                       .f0 = .02f,
                       .scale = w / d });
    (void)mat;
    if (round) {
        const float R = d / 2;
        const uint32_t mid = vr_vertex(s, v3(0, .014f, 0), v3(0, 1, 0), v3(.5f, .5f, 0));
        uint32_t first = 0, last = 0;
        for (int i = 0; i <= 64; i++) {
            const float t = (float)i * 2 * VR_PI / 64;
            const uint32_t v =
                vr_vertex(s, v3(R * cosf(t), .012f, -R * sinf(t)), v3(0, 1, 0),
                          v3(.5f + .5f * cosf(t) * d / w, .5f - .5f * sinf(t), 0));
            if (i)
                vr_triangle(s, mid, last, v);
            else
                first = v;
            last = v;
        }
        (void)first;
        return obj;
    }
    vr_card(s, v3(-w / 2, .013f, d / 2), v3(w, 0, 0), v3(0, 0, -d));
    vr_m_fabric(s, v3_mul(a, .7f), r); /* edges */
    vr_box(s, v3(-w / 2 - .004f, 0, -d / 2 - .004f),
           v3(w / 2 + .004f, .0125f, d / 2 + .004f), .004f);
    return obj;
}

int vr_computer(room *m)
{
    scene *s = m->s;
    rng *r = m->r;
    const int obj = vr_object(s, T_COMPUTER, NO_COLOUR, 0);
    const bool laptop = chance(r, .35f);
    const material screen = { .kind = MAT_SCREEN,
                              .style = chance(r, .5f) ? 8 : rnd_int(r, 8),
                              .a = v3(.1f, .12f, .16f),
                              .b = vr_paint(rnd_int(r, COLOURS), r),
                              .c = chance(r, .5f) ? v3s(.75f) : v3(.03f, .04f, .06f),
                              .emit = v3s(.9f),
                              .rough = .1f };

    if (laptop) {
        vr_m_metal(s, 0, .4f);
        vr_box(s, v3(-.17f, 0, .1f), v3(.17f, .016f, .34f), .004f);
        s->mat = m->dark_mat;
        vr_box(s, v3(-.15f, .0155f, .13f), v3(.15f, .0175f, .25f), 0);
        const frame keep = s->at;
        s->at = frame_pitch(frame_move(keep, v3(0, .015f, .1f), 0), -14);
        vr_box(s, v3(-.17f, 0, -.008f), v3(.17f, .23f, 0), .003f);
        vr_material(s, screen);
        vr_card(s, v3(-.16f, .01f, .001f), v3(.32f, 0, 0), v3(0, .21f, 0));
        s->at = keep;
        return obj;
    }
    s->mat = m->dark_mat;
    vr_box(s, v3(-.28f, .13f, .08f), v3(.28f, .48f, .11f), .006f);
    vr_box(s, v3(-.03f, 0, .07f), v3(.03f, .2f, .09f), .004f);
    vr_box(s, v3(-.12f, 0, .02f), v3(.12f, .012f, .18f), .004f);
    vr_material(s, screen);
    vr_card(s, v3(-.27f, .14f, .1112f), v3(.54f, 0, 0), v3(0, .33f, 0));
    s->mat = chance(r, .5f) ? m->dark_mat : m->white_mat;
    vr_box(s, v3(-.22f, 0, .3f), v3(.22f, .018f, .43f), .005f);
    vr_ball(s, v3(.3f, .012f, .37f), v3(.03f, .016f, .05f), 12);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 14; i++)
            vr_box(s, v3(-.21f + .03f * (float)i, .017f, .31f + .028f * (float)j),
                   v3(-.185f + .03f * (float)i, .024f, .334f + .028f * (float)j), 0);
    return obj;
}

static void mug(room *m)
{
    const float p[8][2] = { { 0, 0 },         { .036f, 0 },     { .04f, .008f },
                            { .041f, .09f },  { .039f, .092f }, { .036f, .09f },
                            { .035f, .012f }, { 0, .01f } };
    scene *s = m->s;

    vr_m_paint(s, vr_paint(rnd_int(m->r, COLOURS), m->r), .12f);
    vr_lathe(s, p, 8, 24);
    vec3 h[7];
    for (int i = 0; i < 7; i++) {
        const float a = -1.4f + 2.8f * (float)i / 6;
        h[i] = v3(.04f + .028f * cosf(a), .048f + .028f * sinf(a), 0);
    }
    vr_tube(s, h, 7, .006f, .006f, 8);
}

static void books_lying(room *m)
{
    float y = 0;

    for (int i = 0; i < 1 + rnd_int(m->r, 4); i++) {
        const float t = rnd_in(m->r, .015f, .04f), w = rnd_in(m->r, .14f, .2f);
        const frame keep = m->s->at;
        m->s->at = frame_move(keep, v3(0, y, 0), rnd_in(m->r, -18, 18));
        vr_m_paint(m->s, vr_paint(rnd_int(m->r, COLOURS), m->r), .4f);
        vr_block(m->s, v3(0, 0, 0), v3(w, t, w * 1.4f), .002f);
        vr_m_paint(m->s, v3(.72f, .69f, .6f), .9f);
        vr_block(m->s, v3(.004f, .003f, 0), v3(w - .002f, t - .006f, w * 1.4f + .001f),
                 0);
        m->s->at = keep;
        y += t;
    }
}

static void bowl(room *m)
{
    scene *s = m->s;
    const float p[8][2] = { { 0, 0 },       { .05f, 0 },      { .06f, .01f },
                            { .12f, .06f }, { .145f, .085f }, { .14f, .087f },
                            { .11f, .06f }, { .03f, .02f } };

    vr_m_paint(s, vr_paint(rnd_int(m->r, COLOURS), m->r), .15f);
    vr_lathe(s, p, 8, 32);
    const vec3 fruit[3] = { { .62f, .10f, .05f },
                            { .75f, .30f, .03f },
                            { .35f, .5f, .08f } };
    for (int i = 0; i < 6; i++) {
        vr_m_paint(s, v3_mul(fruit[rnd_int(m->r, 3)], rnd_in(m->r, .8f, 1.1f)), .25f);
        vr_ball(s,
                v3(.055f * cosf((float)i * 1.26f) * (i < 5 ? 1.f : 0.f),
                   i < 5 ? .075f : .12f,
                   .055f * sinf((float)i * 1.26f) * (i < 5 ? 1.f : 0.f)),
                v3s(.036f), 16);
    }
}

static void candle(room *m)
{
    scene *s = m->s;
    const float h = rnd_in(m->r, .08f, .2f);

    vr_m_paint(s, v3(.76f, .7f, .6f), .4f);
    vr_rod(s, v3(0, 0, 0), v3(0, h, 0), .025f, .025f, 16);
    s->mat = m->dark_mat;
    vr_rod(s, v3(0, h, 0), v3(0, h + .012f, 0), .002f, .002f, 5);
}

static void bottle(room *m)
{
    const float p[8][2] = { { 0, 0 },         { .037f, .002f }, { .038f, .15f },
                            { .034f, .18f },  { .014f, .21f },  { .013f, .27f },
                            { .016f, .275f }, { 0, .28f } };
    const vec3 c[3] = { { .02f, .10f, .03f },
                        { .12f, .05f, .015f },
                        { .03f, .08f, .15f } };

    vr_m_paint(m->s, c[rnd_int(m->r, 3)], .05f);
    vr_lathe(m->s, p, 8, 24);
}

static void frame_photo(room *m)
{
    const frame keep = m->s->at;

    m->s->at = frame_pitch(frame_move(keep, v3(0, .11f, 0), rnd_in(m->r, -20, 20)), -10);
    const int obj = m->s->obj;
    vr_picture(m, .12f, .16f, -1);
    m->s->obj = obj;
    m->s->n_objs = obj + 1 > m->s->n_objs ? m->s->n_objs : m->s->n_objs;
    m->s->at = keep;
}

/* n small things along a surface w x d whose back middle is the origin. */
int vr_clutter(room *m, float w, float d, int n)
{
    scene *s = m->s;
    const frame keep = s->at;
    const int obj = vr_object(s, T_NOTHING, NO_COLOUR, 0);

    for (int i = 0; i < n; i++) {
        const float x = -w / 2 + w * ((float)i + rnd_in(m->r, .25f, .75f)) / (float)n,
                    z = d * rnd_in(m->r, .25f, .75f);
        s->at = frame_move(keep, v3(x, 0, z), rnd_in(m->r, -30, 30));
        s->obj = obj;
        switch (rnd_int(m->r, 8)) {
        case 0:
            mug(m);
            break;
        case 1:
        case 2:
            books_lying(m);
            break;
        case 3:
            bowl(m);
            break;
        case 4:
            candle(m);
            break;
        case 5:
            bottle(m);
            break;
        case 6:
            frame_photo(m);
            break;
        default:
            vr_vase(m, rnd_in(m->r, .15f, .3f), rnd_int(m->r, COLOURS),
                    chance(m->r, .5f));
        }
    }
    s->at = keep;
    return obj;
}

int vr_statue(room *m)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_STATUE, NO_COLOUR, 0);

    if (chance(m->r, .5f))
        vr_m_metal(s, 1 + rnd_int(m->r, 2), .3f);
    else
        vr_m_paint(s, v3s(chance(m->r, .5f) ? .7f : .04f), .3f);
    float p[16][2];
    const float a = rnd_in(m->r, 0, 6), h = rnd_in(m->r, .2f, .3f);
    for (int i = 0; i < 16; i++) {
        const float t = (float)i / 15;
        p[i][0] = fmaxf(.002f, (.045f + .02f * sinf(9 * t + a) + .01f * sinf(17 * t)) *
                                   sqrtf(fmaxf(1 - t * t * .96f, 0)));
        p[i][1] = h * t;
    }
    vr_lathe(s, (const float(*)[2])p, 16, 28);
    return obj;
}

int vr_globe(room *m)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_GLOBE, BLUE, 0);

    s->at = frame_move(s->at, v3(0, 0, .25f), 0);
    s->mat = m->wood_mat;
    const float p[6][2] = { { 0, 0 },       { .2f, 0 },     { .2f, .03f },
                            { .05f, .06f }, { .035f, .4f }, { .05f, .62f } };
    vr_lathe(s, p, 6, 28);
    vr_m_metal(s, 1, .25f);
    vec3 ring[20];
    for (int i = 0; i < 20; i++) {
        const float a = -1.9f + 3.8f * (float)i / 19;
        ring[i] = v3(-.28f * cosf(a), .92f + .28f * sinf(a), 0);
    }
    vr_tube(s, ring, 20, .01f, .01f, 8);
    vr_material(s, (material){ .kind = MAT_PICTURE,
                               .style = 6,
                               .a = v3(.05f, .14f, .32f),
                               .b = v3(.06f, .17f, .36f),
                               .c = v3(.30f, .32f, .12f),
                               .rough = .2f,
                               .mean = v3(.1f, .15f, .25f) });
    vr_ball(s, v3(0, .92f, 0), v3s(.25f), 36);
    return obj;
}
