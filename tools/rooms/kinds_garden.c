/* Gardens: lawn, path, borders, beds, trees, somewhere to sit. */
#include "tools/rooms/kinds.h"
#include "tools/rooms/land.h"

/* A path of slabs from one side to the other, in soft curves. */
static void garden_path(scene *s, rng *r, float turn)
{
    enum { N = 60 };
    vec3 p[N * 2];
    const float w = rnd_in(r, .5f, .8f), bend = rnd_in(r, .6f, 1.8f),
                ph = rnd_in(r, 0, 6);

    s->at = frame_move(frame_unit(), v3s(0), turn);
    vr_object(s, T_PATH, NO_COLOUR, S_STONE);
    const bool gravel = chance(r, .4f);
    vr_material(
        s, (material){ .kind = gravel ? MAT_GROUND : MAT_TILE,
                       .style = gravel ? GROUND_SAND : 0,
                       .a = gravel ? v3(.46f, .40f, .31f) : v3s(rnd_in(r, .24f, .42f)),
                       .c = v3(.08f, .10f, .04f),
                       .rough = .9f,
                       .f0 = .03f,
                       .scale = .45f });
    for (int i = 0; i < N; i++) {
        const float z = 16 - 32 * (float)i / (N - 1),
                    x = bend * sinf(z * .22f + ph) + 1.4f;
        p[2 * i] = v3(x - w, .045f, z);
        p[2 * i + 1] = v3(x + w, .045f, z);
    }
    vr_patch(s, p, 2, N, false, false);
}

static void garden_border(scene *s, rng *r, float half, int leaf)
{
    const int kind = rnd_int(r, 3); /* hedge, fence, wall */

    for (int k = 0; k < 4; k++) {
        s->at = frame_move(frame_move(frame_unit(), v3s(0), 90 * (float)k),
                           v3(0, 0, -half), 0);
        if (kind == 0) {
            vr_object(s, T_HEDGE, GREEN, 0);
            vr_hedge(s, r, v3(2 * half, rnd_in(r, 1.3f, 2), .8f), leaf);
        } else if (kind == 1) {
            vr_object(s, T_FENCE, chance(r, .5f) ? WHITE : NO_COLOUR, S_WOOD);
            if (s->objs[s->obj].colour == WHITE)
                vr_m_paint(s, v3s(.75f), .6f);
            else
                vr_m_wood(s, v3(.28f, .17f, .09f), .7f);
            for (float x = -half; x < half; x += .17f)
                vr_box(s, v3(x, .05f, -.02f),
                       v3(x + .12f,
                          1.35f + .05f * vr_unit(vr_hash((uint32_t)(x * 99 + 5000))),
                          .01f),
                       .004f);
            for (int j = 0; j < 2; j++)
                vr_box(s, v3(-half, .35f + .65f * (float)j, -.07f),
                       v3(half, .45f + .65f * (float)j, -.02f), .004f);
        } else {
            vr_object(s, T_WALL, NO_COLOUR, S_BRICK);
            vr_material(s, (material){ .kind = MAT_BRICK,
                                       .a = v3(.36f, .14f, .08f),
                                       .b = v3(.26f, .11f, .07f),
                                       .c = v3s(.4f),
                                       .rough = .9f });
            vr_rect(s, v3(-half, 0, 0), v3(2 * half, 0, 0), v3(0, 1.9f, 0));
            vr_m_paint(s, v3s(.4f), .8f);
            vr_box(s, v3(-half, 1.9f, -.25f), v3(half, 2, .05f), .015f);
        }
    }
}

static void beds(scene *s, rng *r, const land *l, float half, int leaf)
{
    for (int i = 0; i < 9 + rnd_int(r, 7); i++) {
        const int colour = rnd_int(r, COLOURS - 3) + 3;
        if (colour == GREEN || colour == BROWN)
            continue;
        vr_stand(s, l, rnd_in(r, 2.4f, half - 1.5f), rnd_in(r, 0, 6.28f),
                 90 * (float)rnd_int(r, 4));
        vr_object(s, T_FLOWERS, colour, 0);
        const float w = rnd_in(r, 1, 2.6f), d = rnd_in(r, .6f, 1.1f);
        vr_material(s, (material){ .kind = MAT_GROUND,
                                   .style = GROUND_SOIL,
                                   .a = v3(.06f, .04f, .025f),
                                   .b = v3(.08f, .05f, .03f),
                                   .rough = 1 });
        vr_box(s, v3(-w / 2 - .08f, -.1f, -d / 2 - .08f),
               v3(w / 2 + .08f, .06f, d / 2 + .08f), .02f);
        vr_flower_bed(s, r, w, d, colour);
        if (s->main < 0)
            s->main = s->obj;
    }
    for (int i = 0; i < 26; i++) {
        vr_stand(s, l, vr_mix(half - .8f, 3.2f, rnd(r) * rnd(r)), rnd_in(r, 0, 6.28f), 0);
        vr_object(s, T_BUSH, GREEN, 0);
        vr_bush(s, r, rnd_in(r, .5f, 1), leaf);
    }
}

static void garden_seat(scene *s, rng *r, const land *l, int leaf)
{
    const float a = rnd_in(r, 0, 6.28f), d = rnd_in(r, 3.2f, 5.5f);
    const float look = -a * 180 / VR_PI; /* towards the eye */

    vr_stand(s, l, d, a, look);
    if (chance(r, .4f)) {
        vr_pergola(s, r, rnd_in(r, 2.6f, 3.6f), rnd_in(r, 2, 2.8f), leaf);
        s->main = s->obj;
        vr_park_bench(s, r);
    } else if (chance(r, .5f)) {
        vr_park_bench(s, r);
        s->main = s->obj;
    } else {
        room m;
        const bool indoor = s->indoor;
        vr_room_start(&m, s, 8, 8, 3);
        s->indoor = indoor;
        const frame f = s->at;
        vr_table(&m, 1.1f, 1.1f, .74f, 1);
        const int colour = rnd_int(r, COLOURS);
        for (int i = 0; i < 4; i++) {
            s->at = frame_move(frame_move(f, v3s(0), 90 * (float)i), v3(0, 0, -1), 0);
            vr_chair(&m, colour, 0);
        }
        s->at = f;
        vr_parasol(s, r, rnd_int(r, COLOURS));
        s->main = s->obj;
    }
}

void vr_kind_garden(scene *s)
{
    rng *r = &s->r;
    const land l = { LAND_FLAT, 1, 1, (uint32_t)rng_next(r), 0 };
    const float half = rnd_in(r, 8, 13);

    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    vr_weather(s, vr_any_time(r), BACK_HILLS);
    vr_ground(s, &l, GREEN, S_GRASS,
              (material){ .style = GROUND_GRASS,
                          .a = v3(.075f, .165f, .03f),
                          .b = v3(.12f, .15f, .05f) },
              260);
    const int bark = vr_m_bark(s, v3(.14f, .10f, .07f), 0),
              leaf = vr_m_leaf(s, v3(.06f, .17f, .035f), r),
              dark = vr_m_leaf(s, v3(.035f, .11f, .03f), r);
    garden_path(s, r, rnd_in(r, 0, 360));
    garden_border(s, r, half, dark);
    s->at = frame_move(frame_unit(), v3(rnd_in(r, -.4f, .4f) * half, 0, -half - 1.5f), 0);
    vr_house(s, r, rnd_in(r, 9, 14), 2, 8);
    for (int i = 0; i < 5 + rnd_int(r, 6); i++) {
        vr_stand(s, &l, rnd_in(r, 4.5f, half - 1), rnd_in(r, 0, 6.28f),
                 rnd_in(r, 0, 360));
        vr_object(s, T_TREE, GREEN, 0);
        vr_tree(s, r, chance(r, .8f) ? TREE_BROAD : TREE_BIRCH, rnd_in(r, 3.2f, 6.5f),
                bark, leaf, false);
    }
    for (int i = 0; i < 40; i++) {
        vr_stand(s, &l, rnd_in(r, half + 6, 70), rnd_in(r, 0, 6.28f), rnd_in(r, 0, 360));
        vr_object(s, T_TREE, GREEN, 0);
        vr_tree(s, r, TREE_BROAD, rnd_in(r, 6, 11), bark, dark, true);
    }
    beds(s, r, &l, half, leaf);
    garden_seat(s, r, &l, leaf);
    if (chance(r, .4f)) {
        vr_stand(s, &l, rnd_in(r, 3, 5), rnd_in(r, 0, 6.28f), 0);
        vr_pond(s, r, rnd_in(r, .9f, 1.8f));
        s->main = s->obj;
    }
    s->at = frame_unit();
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    vr_grass_tufts(s, r, &l, 2600, half, leaf);
    vr_eye_at(s, &l, 1.62f);
    if (s->main >= 0)
        s->objs[s->main].main = true;
}
