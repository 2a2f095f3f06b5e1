/* Things to sit and lie on. */
#include "tools/rooms/room.h"

static float vary(rng *r, float v)
{
    return v * (1 + .07f * rnd_gauss(r) * .6f);
}

static int cover(room *m, int colour, int *stuff)
{
    const vec3 c = vr_paint(colour, m->r);

    if (chance(m->r, .3f)) {
        *stuff = S_LEATHER;
        return vr_m_leather(m->s, c);
    }
    *stuff = chance(m->r, .25f) ? S_VELVET : S_FABRIC;
    const int mat = vr_m_fabric(m->s, c, m->r);
    if (*stuff == S_VELVET)
        m->s->mats[mat].sheen = .5f;
    return mat;
}

static void pillow(room *m, vec3 at, float size, float lean, int colour)
{
    scene *s = m->s;
    const frame keep = s->at;

    vr_m_fabric(s, vr_paint(colour, m->r), m->r);
    s->mats[s->mat].style = rnd_int(m->r, 4);
    s->at = frame_roll(frame_pitch(frame_move(keep, at, rnd_in(m->r, -14, 14)), -lean),
                       rnd_in(m->r, -12, 12));
    vr_cushion(s, v3(0, size * .48f, 0), v3(size, size, .15f), .1f);
    s->at = keep;
}

static void legs(room *m, float w, float d, float h, float r, bool splay)
{
    scene *s = m->s;

    for (int i = 0; i < 4; i++) {
        const float x = (i & 1 ? 1.f : -1.f) * (w / 2 - .06f),
                    z = i & 2 ? d - .07f : .07f;
        const float o = splay ? .03f : 0;
        vr_rod(s, v3(x + (x > 0 ? o : -o), 0, z), v3(x, h, z), r * .7f, r, 12);
    }
}

int vr_sofa(room *m, float w, int colour)
{
    scene *s = m->s;
    rng *r = m->r;
    const float d = vary(r, .92f), arm = rnd_in(r, .12f, .22f),
                leg = rnd_in(r, .06f, .15f), seat = .43f;
    const float arm_h = rnd_in(r, .56f, .66f), back_h = rnd_in(r, .78f, .92f),
                bevel = rnd_in(r, .03f, .06f);
    const int n = w > 1.9f ? 3 : 2;
    int stuff;
    const int obj = vr_object(s, T_SOFA, colour, 0);
    const int mat = cover(m, colour, &stuff);

    s->objs[obj].stuff = stuff;
    s->mat = m->wood_mat;
    legs(m, w, d, leg + .02f, .025f, false);
    s->mat = mat;
    vr_box(s, v3(-w / 2 + .01f, leg, .02f), v3(w / 2 - .01f, seat - .12f, d - .03f),
           bevel * .5f);
    for (int k = -1; k <= 1; k += 2) { /* arms */
        const float x0 = (float)k * w / 2, x1 = x0 - (float)k * arm;
        vr_box(s, v3(fminf(x0, x1), leg, .02f), v3(fmaxf(x0, x1), arm_h, d), bevel);
    }
    s->at = frame_pitch(s->at, -4);
    vr_box(s, v3(-w / 2 + arm * .5f, leg + .05f, .01f),
           v3(w / 2 - arm * .5f, back_h - .04f, .18f), bevel);
    s->at = frame_pitch(s->at, 4);
    const float cw = (w - 2 * arm) / (float)n;
    for (int i = 0; i < n; i++) {
        const float x = -w / 2 + arm + cw * ((float)i + .5f);
        vr_box(s, v3(x - cw / 2 + .004f, seat - .14f, .17f),
               v3(x + cw / 2 - .004f, seat + .02f, d - .01f), .05f);
        const frame keep = s->at;
        s->at = frame_pitch(frame_move(keep, v3(x, seat + .01f, .26f), 0), -12);
        vr_box(s, v3(-cw / 2 + .006f, 0, -.10f),
               v3(cw / 2 - .006f, back_h - seat - .01f, .07f), .065f);
        s->at = keep;
    }
    const int many = rnd_int(r, 4);
    for (int i = 0; i < many; i++)
        pillow(m, v3(rnd_in(r, -.42f, .42f) * (w - 2 * arm), seat + .02f, .42f),
               rnd_in(r, .36f, .44f), 24,
               chance(r, .5f) ? s->accent : rnd_int(r, COLOURS));
    if (chance(r, .2f)) { /* a throw over the arm */
        vr_m_fabric(s, vr_paint(rnd_int(r, COLOURS), r), r);
        vr_box(s, v3(w / 2 - arm - .012f, .2f, d * .4f),
               v3(w / 2 + .012f, arm_h + .014f, d * .75f), .012f);
    }
    return obj;
}

int vr_armchair(room *m, int colour)
{
    scene *s = m->s;
    rng *r = m->r;
    int stuff;
    const int obj = vr_object(s, T_ARMCHAIR, colour, 0);
    const int mat = cover(m, colour, &stuff);
    const float w = vary(r, .82f), d = .85f, seat = .42f;

    s->objs[obj].stuff = stuff;
    s->mat = m->wood_mat;
    legs(m, w - .06f, d, .2f, .022f, true);
    s->mat = mat;
    vr_box(s, v3(-w / 2 + .05f, .17f, .05f), v3(w / 2 - .05f, .32f, d - .04f), .03f);
    vr_box(s, v3(-w / 2 + .13f, .31f, .16f), v3(w / 2 - .13f, seat + .03f, d), .055f);
    for (int k = -1; k <= 1; k += 2)
        vr_box(s, v3(k < 0 ? -w / 2 : w / 2 - .14f, .17f, .04f),
               v3(k < 0 ? -w / 2 + .14f : w / 2, .6f, d - .06f), .06f);
    s->at = frame_pitch(s->at, -9);
    vr_box(s, v3(-w / 2 + .04f, .24f, .06f), v3(w / 2 - .04f, vary(r, .92f), .24f),
           .085f);
    s->at = frame_pitch(s->at, 9);
    if (chance(r, .5f))
        pillow(m, v3(0, seat + .03f, .38f), .38f, 22, rnd_int(r, COLOURS));
    return obj;
}

int vr_chair(room *m, int colour, int style)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_CHAIR, colour, colour == m->wood_name ? S_WOOD : 0);
    const int frame_mat = style & 1 ? m->metal_mat : m->wood_mat;
    const int seat_mat =
        style == 0 ? m->wood_mat : vr_m_paint(s, vr_paint(colour, m->r), .35f);
    const float w = .44f, d = .46f, h = .46f;

    if (style == 0)
        s->objs[obj].colour = m->wood_name;
    s->mat = frame_mat;
    for (int i = 0; i < 4; i++) {
        const float x = (i & 1 ? 1.f : -1.f) * (w / 2 - .025f),
                    z = i & 2 ? d - .03f : .03f;
        vr_rod(s, v3(x * 1.08f, 0, z + (z > .2f ? .02f : -.02f)), v3(x, h - .02f, z),
               .013f, .018f, 10);
    }
    if (style == 0 || style == 2) {
        for (int k = -1; k <= 1; k += 2) {
            const vec3 p[3] = { v3((float)k * (w / 2 - .025f), h - .02f, .03f),
                                v3((float)k * (w / 2 - .025f), .68f, .0f),
                                v3((float)k * (w / 2 - .03f), .9f, -.05f) };
            vr_tube(s, p, 3, .018f, .014f, 10);
        }
        s->mat = style == 0 ? frame_mat : seat_mat;
        const frame keep = s->at;
        s->at = frame_pitch(frame_move(keep, v3(0, .66f, 0), 0), -13);
        vr_box(s, v3(-w / 2, .14f, -.012f), v3(w / 2, .25f, .012f), .01f);
        vr_box(s, v3(-w / 2, 0, -.012f), v3(w / 2, .07f, .012f), .01f);
        s->at = keep;
    } else { /* one shell */
        enum { NU = 9, NV = 12 };
        vec3 p[NU * NV];
        for (int j = 0; j < NV; j++)
            for (int i = 0; i < NU; i++) {
                const float u = 2 * (float)i / (NU - 1) - 1, v = (float)j / (NV - 1);
                const float y = v < .5f ? h - .01f + .02f * cosf(v * 9)
                                        : h + .42f * powf((v - .5f) * 2, 1.15f);
                const float z =
                    v < .5f ? d - d * .88f * v * 2 : .055f - .07f * (v - .5f) * 2;
                p[j * NU + i] = v3(u * w * .5f * (1 - .12f * v * fabsf(u)),
                                   y + .03f * u * u, z + (v > .5f ? .06f * u * u : 0));
            }
        s->mat = seat_mat;
        vr_patch(s, p, NU, NV, false, false);
        return obj;
    }
    s->mat = seat_mat;
    vr_box(s, v3(-w / 2, h - .025f, .01f), v3(w / 2, h + .012f, d), .012f);
    if (chance(m->r, .3f)) {
        vr_m_fabric(s, vr_paint(colour, m->r), m->r);
        vr_box(s, v3(-w / 2 + .02f, h + .005f, .03f),
               v3(w / 2 - .02f, h + .05f, d - .02f), .022f);
    }
    return obj;
}

int vr_office_chair(room *m, int colour)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_CHAIR, colour, S_FABRIC);

    vr_m_metal(s, 0, .25f);
    for (int i = 0; i < 5; i++) {
        const float a = (float)i * 1.2566f;
        vr_rod(s, v3(.02f * cosf(a), .1f, .3f + .02f * sinf(a)),
               v3(.28f * cosf(a), .06f, .3f + .28f * sinf(a)), .02f, .014f, 8);
        vr_ball(s, v3(.29f * cosf(a), .03f, .3f + .29f * sinf(a)), v3s(.03f), 10);
    }
    vr_rod(s, v3(0, .09f, .3f), v3(0, .45f, .3f), .025f, .025f, 12);
    vr_m_fabric(s, vr_paint(colour, m->r), m->r);
    vr_box(s, v3(-.25f, .44f, .06f), v3(.25f, .52f, .55f), .035f);
    const frame keep = s->at;
    s->at = frame_pitch(frame_move(keep, v3(0, .6f, .04f), 0), -8);
    vr_box(s, v3(-.22f, 0, -.03f), v3(.22f, .56f, .03f), .028f);
    s->at = keep;
    s->mat = m->dark_mat;
    vr_box(s, v3(-.03f, .42f, -.01f), v3(.03f, .75f, .02f), .01f);
    for (int k = -1; k <= 1; k += 2) {
        vr_box(s, v3((float)k * .29f - .03f, .66f, .12f),
               v3((float)k * .29f + .03f, .69f, .4f), .012f);
        vr_rod(s, v3((float)k * .29f, .46f, .26f), v3((float)k * .29f, .67f, .26f), .014f,
               .014f, 8);
    }
    return obj;
}

int vr_stool(room *m, int colour, float h)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_STOOL, colour, 0);

    s->mat = m->metal_mat;
    for (int i = 0; i < 4; i++) {
        const float a = .785f + (float)i * 1.571f;
        vr_rod(s, v3(.2f * cosf(a), 0, .2f + .2f * sinf(a)),
               v3(.11f * cosf(a), h - .04f, .2f + .11f * sinf(a)), .012f, .013f, 8);
    }
    vr_m_leather(s, vr_paint(colour, m->r));
    s->at = frame_move(s->at, v3(0, h - .05f, .2f), 0);
    const float p[6][2] = { { 0, 0 },       { .17f, 0 },     { .19f, .02f },
                            { .19f, .05f }, { .16f, .075f }, { 0, .08f } };
    vr_lathe(s, p, 6, 28);
    return obj;
}

int vr_ottoman(room *m, int colour)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_OTTOMAN, colour, S_FABRIC);

    vr_m_fabric(s, vr_paint(colour, m->r), m->r);
    if (chance(m->r, .5f)) {
        vr_box(s, v3(-.36f, .05f, 0), v3(.36f, .42f, .55f), .07f);
        s->mat = m->wood_mat;
        legs(m, .7f, .55f, .07f, .02f, false);
    } else {
        s->at = frame_move(s->at, v3(0, 0, .3f), 0);
        const float p[8][2] = { { .24f, 0 },    { .29f, .05f }, { .31f, .15f },
                                { .31f, .25f }, { .29f, .34f }, { .24f, .39f },
                                { .12f, .41f }, { 0, .415f } };
        vr_lathe(s, p, 8, 32);
    }
    return obj;
}

int vr_bench(room *m, float w, int colour)
{
    scene *s = m->s;
    const int obj = vr_object(s, T_BENCH, colour, colour < 0 ? S_WOOD : S_LEATHER);

    if (colour < 0) {
        s->objs[obj].colour = m->wood_name;
        s->mat = m->wood_mat;
        for (int i = 0; i < 4; i++)
            vr_box(s, v3(-w / 2, .42f, .02f + .11f * (float)i),
                   v3(w / 2, .455f, .115f + .11f * (float)i), .008f);
    } else {
        vr_m_leather(s, vr_paint(colour, m->r));
        vr_box(s, v3(-w / 2, .34f, .0f), v3(w / 2, .46f, .46f), .035f);
    }
    s->mat = m->dark_mat;
    for (int k = -1; k <= 1; k += 2) {
        const float x = (float)k * (w / 2 - .2f);
        vr_box(s, v3(x - .03f, 0, .04f), v3(x + .03f, .42f, .09f), .006f);
        vr_box(s, v3(x - .03f, 0, .37f), v3(x + .03f, .42f, .42f), .006f);
        vr_box(s, v3(x - .03f, .37f, .04f), v3(x + .03f, .42f, .42f), .006f);
    }
    return obj;
}

/* Bed cover: hangs over three sides, with folds. */
static void duvet(room *m, float w, float y, float z0, float z1)
{
    enum { NU = 44, NV = 40 };
    scene *s = m->s;
    vec3 p[NU * NV];
    const float ph = rnd_in(m->r, 0, 9), drop = rnd_in(m->r, .16f, .3f);

    for (int j = 0; j < NV; j++)
        for (int i = 0; i < NU; i++) {
            const float u = (2 * (float)i / (NU - 1) - 1) * (w / 2 + drop),
                        v = (float)j / (NV - 1);
            float x = u, yy = y, z = vr_mix(z0, z1 + drop, v);
            const float over = fabsf(u) - w / 2, foot = z - z1;
            const float wr = .010f * sinf(7 * u + 3 * z + ph) +
                             .008f * sinf(11 * z - 5 * u + 2 * ph) +
                             .006f * sinf(23 * u + 9 * z);
            yy += .035f * expf(-over * over * 30) + wr;
            if (over > 0) {
                x = (u > 0 ? 1.f : -1.f) *
                    (w / 2 + .03f + .018f * sinf(19 * z + ph) * over / drop);
                yy = y + .01f - over;
            }
            if (foot > 0) {
                z = z1 + .03f + .018f * sinf(17 * u + ph) * foot / drop;
                yy = fminf(yy, y + .01f - foot);
            }
            p[j * NU + i] = v3(x, fmaxf(yy, .04f), z);
        }
    vr_patch(s, p, NU, NV, false, false);
}

int vr_bed(room *m, float w, int colour)
{
    scene *s = m->s;
    rng *r = m->r;
    const int obj = vr_object(s, T_BED, colour, 0);
    const float len = 2.08f, top = rnd_in(r, .46f, .58f), head = rnd_in(r, .95f, 1.3f);
    const bool soft = chance(r, .5f);

    s->objs[obj].stuff = 0;
    if (soft)
        vr_m_fabric(s, vr_paint(chance(r, .5f) ? GREY : colour, r), r);
    else
        s->mat = m->wood_mat;
    vr_box(s, v3(-w / 2 - .06f, 0, 0), v3(w / 2 + .06f, head, soft ? .11f : .05f),
           soft ? .045f : .012f);
    vr_box(s, v3(-w / 2 - .04f, .1f, .04f), v3(w / 2 + .04f, .3f, len + .02f), .015f);
    for (int i = 0; i < 4; i++)
        vr_block(s,
                 v3((i & 1 ? 1.f : -1.f) * (w / 2 - .05f), 0, i & 2 ? len - .08f : .1f),
                 v3(.07f, .12f, .07f), .006f);
    vr_m_fabric(s, v3s(.74f), r);
    vr_box(s, v3(-w / 2, .28f, .1f), v3(w / 2, top, len), .06f);
    vr_m_fabric(s, vr_paint(colour, r), r);
    const int cover_mat = s->mat;
    s->mats[cover_mat].style = chance(r, .3f) ? 1 + rnd_int(r, 3) : 0;
    duvet(m, w, top, .55f, len);
    vr_m_fabric(s, v3_mix(vr_paint(colour, r), v3s(.75f), .55f), r);
    vr_box(s, v3(-w / 2 - .02f, top - .02f, .52f), v3(w / 2 + .02f, top + .075f, .78f),
           .035f); /* turned-down edge */
    const int n = w > 1.3f ? 2 : 1;
    for (int i = 0; i < n; i++) {
        const float x = n == 1 ? 0 : ((float)i - .5f) * w * .5f;
        vr_m_fabric(s, v3s(.76f), r);
        const frame keep = s->at;
        s->at =
            frame_pitch(frame_move(keep, v3(x, top + .08f, .33f), rnd_in(r, -4, 4)), -58);
        vr_cushion(s, v3(0, .1f, 0), v3(fminf(.68f, w * .46f), .44f, .19f), .08f);
        s->at = keep;
    }
    if (chance(r, .55f))
        for (int i = 0; i < 2; i++)
            pillow(m, v3(((float)i - .5f) * .5f, top + .04f, .52f), .36f, 40,
                   chance(r, .5f) ? s->accent : colour);
    return obj;
}
