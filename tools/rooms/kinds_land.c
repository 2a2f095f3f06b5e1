/* Landscapes: ground, what grows and lies on it, sky all round. */
#include "tools/rooms/kinds.h"
#include "tools/rooms/land.h"
#include "tools/rooms/noise.h"

void vr_weather(scene *s, int time, int back)
{
    s->indoor = false;
    s->time = time;
    s->outside = BACK_NONE;
    s->sky = vr_sky_make(time, back, &s->r);
    s->lamps_on = time == SKY_DUSK || time == SKY_NIGHT || time == SKY_EVENING;
    s->key = time == SKY_NIGHT     ? .06f
             : time == SKY_DUSK    ? .11f
             : time == SKY_EVENING ? .16f
                                   : .20f;
    /* outdoors the sun stands well above the sky, as it does */
    s->sky.sun_colour = v3_mul(s->sky.sun_colour, time == SKY_NIGHT ? 1.2f : 1.25f);
    s->fog = 1 / rnd_in(&s->r, 900, 2500);
    s->fog_colour = v3_mul(v3_mix(s->sky.horizon, s->sky.middle, .3f), .95f);
    const int name = time == SKY_DAY || time == SKY_MORNING ? BLUE
                     : time == SKY_OVERCAST                 ? GREY
                     : time == SKY_EVENING                  ? ORANGE
                     : time == SKY_MARS                     ? ORANGE
                     : time == SKY_NIGHT                    ? BLACK
                                                            : BLUE;
    s->ceiling = vr_object(s, T_SKY, name, 0);
}

int vr_any_time(rng *r)
{
    static const int t[10] = { SKY_DAY,      SKY_DAY,     SKY_DAY,     SKY_DAY,
                               SKY_MORNING,  SKY_MORNING, SKY_EVENING, SKY_EVENING,
                               SKY_OVERCAST, SKY_DUSK };

    return t[rnd_int(r, 10)];
}

void vr_ground(scene *s, const land *l, int colour, int stuff, material m, float far)
{
    s->at = frame_unit();
    s->floor = vr_object(s, T_GROUND, colour, stuff);
    m.kind = MAT_GROUND;
    m.rough = .95f;
    m.f0 = .025f;
    vr_material(s, m);
    vr_land_mesh(s, l, far);
}

/* Onto the ground at distance d and direction a, turned by yaw. */
void vr_stand(scene *s, const land *l, float d, float a, float yaw)
{
    const float x = d * sinf(a), z = -d * cosf(a);

    s->at = frame_move(frame_unit(), v3(x, vr_land_height(l, x, z), z), yaw);
}

int vr_m_leaf(scene *s, vec3 c, rng *r)
{
    const vec3 v = v3_had(
        c, v3(rnd_in(r, .75f, 1.35f), rnd_in(r, .85f, 1.15f), rnd_in(r, .7f, 1.2f)));

    return vr_material(
        s, (material){ .kind = MAT_LEAF, .a = v, .rough = .5f, .through = .42f });
}

int vr_m_bark(scene *s, vec3 c, int style)
{
    return vr_material(
        s, (material){ .kind = MAT_BARK, .style = style, .a = c, .rough = .9f });
}

static void scatter_rocks(scene *s, const land *l, int n, float lo, float hi, float reach,
                          vec3 colour, int name)
{
    rng *r = &s->r;

    for (int i = 0; i < n; i++) {
        const float far = 2.5f + reach * rnd(r) * rnd(r);
        vr_stand(s, l, far, rnd_in(r, 0, 6.2832f), rnd_in(r, 0, 360));
        vr_object(s, T_ROCK, name, 0);
        vr_material(s, (material){ .kind = MAT_GROUND,
                                   .style = GROUND_ROCK,
                                   .a = colour,
                                   .b = colour,
                                   .c = v3_mul(colour, rnd_in(r, .8f, 1.15f)),
                                   .rough = .9f,
                                   .f0 = .03f });
        s->mats[s->mat].kind = MAT_CONCRETE;
        const float k = rnd(r);
        vr_rock(s, r, fminf(lo + (hi - lo) * k * k * k, .13f * far));
    }
}

void vr_eye_at(scene *s, const land *l, float h)
{
    s->eye = v3(0, vr_land_height(l, 0, 0) + h, 0);
}

static void beach(scene *s)
{
    rng *r = &s->r;
    const land l = { LAND_SHORE, 1, 1, (uint32_t)rng_next(r), rnd_in(r, -.6f, .6f) };
    const int time = vr_any_time(r), white = chance(r, .4f);

    vr_weather(s, time, BACK_SEA);
    s->sky.eye = 3;
    vr_ground(s, &l, white ? WHITE : NO_COLOUR, S_SAND,
              (material){ .style = GROUND_BEACH,
                          .a = white ? v3(.72f, .66f, .55f) : v3(.55f, .42f, .27f) },
              700);
    vr_object(s, T_WATER, BLUE, 0);
    const bool south = chance(r, .5f);
    vr_material(s, (material){ .kind = MAT_WATER,
                               .style = 1,
                               .a = south ? v3(.01f, .10f, .20f) : v3(.015f, .06f, .13f),
                               .b = south ? v3(.10f, .42f, .42f) : v3(.10f, .22f, .20f),
                               .rough = .05f,
                               .f0 = .02f,
                               .scale = 1,
                               .bump = rnd_in(r, .035f, .08f) });
    vr_sea_mesh(s, &l, 3000);
    const int green = vr_m_leaf(s, v3(.07f, .19f, .04f), r),
              bark = vr_m_bark(s, v3(.2f, .15f, .1f), 0);
    const int palms = chance(r, .75f) ? 2 + rnd_int(r, 6) : 0;
    const int palm = vr_object(s, T_PALM, GREEN, 0);
    for (int i = 0; i < palms; i++) {
        vr_stand(s, &l, rnd_in(r, 6, 26), VR_PI - l.turn + rnd_in(r, -1.5f, 1.5f),
                 rnd_in(r, 0, 360));
        s->obj = vr_object(s, T_PALM, GREEN, 0);
        vr_tree(s, r, TREE_PALM, rnd_in(r, 5, 9), bark, green, false);
    }
    if (palms)
        s->main = palm + 1;
    const int pc = rnd_int(r, COLOURS), sets = rnd_int(r, 4);
    for (int i = 0; i < sets; i++) {
        const float a = VR_PI / 2 * (float)(i & 1 ? 1 : -1) + rnd_in(r, -.9f, .9f) -
                        l.turn,
                    d = rnd_in(r, 3, 8);
        vr_stand(s, &l, d, a, rnd_in(r, 0, 360));
        const frame f = s->at;
        vr_parasol(s, r, chance(r, .6f) ? pc : rnd_int(r, COLOURS));
        const int obj = s->obj;
        s->at = frame_move(f, v3(.8f, 0, .4f), rnd_in(r, -15, 15));
        vr_lounger(s, r, rnd_int(r, COLOURS));
        if (s->main < 0 || chance(r, .3f))
            s->main = obj;
    }
    if (chance(r, .4f)) {
        vr_stand(s, &l, rnd_in(r, 5, 9), rnd_in(r, -1.2f, 1.2f) - l.turn,
                 rnd_in(r, 0, 360));
        s->at.o.y = fmaxf(s->at.o.y, .05f);
        vr_boat(s, r, rnd_int(r, COLOURS));
        s->main = s->obj;
    }
    scatter_rocks(s, &l, rnd_int(r, 14), .15f, 1.6f, 25, v3(.2f, .18f, .16f), NO_COLOUR);
    vr_eye_at(s, &l, 1.65f);
}

static void forest(scene *s)
{
    static const vec3 greens[4] = { { .06f, .17f, .03f },
                                    { .09f, .2f, .04f },
                                    { .3f, .14f, .02f },
                                    { .045f, .12f, .035f } };
    rng *r = &s->r;
    const land l = { LAND_ROLLING, 3, 3, (uint32_t)rng_next(r), 0 };
    const int kind = rnd_int(r, 3), autumn = kind != TREE_PINE && chance(r, .25f);

    vr_weather(s, vr_any_time(r), BACK_FOREST);
    s->fog = 1 / rnd_in(r, 180, 600);
    s->key *= .85f;
    vr_ground(
        s, &l, NO_COLOUR, 0,
        (material){ .style = GROUND_SOIL,
                    .a = v3(.09f, .055f, .03f),
                    .b = chance(r, .6f) ? v3(.05f, .10f, .025f) : v3(.13f, .08f, .04f) },
        300);
    const int bark = kind == TREE_BIRCH ? vr_m_bark(s, v3(.55f, .54f, .5f), 1)
                                        : vr_m_bark(s, v3(.12f, .085f, .06f), 0);
    const int leaf = vr_m_leaf(
        s, kind == TREE_PINE ? v3(.03f, .085f, .03f) : greens[autumn ? 2 : rnd_int(r, 2)],
        r);
    const int leaf2 = vr_m_leaf(s, autumn ? v3(.32f, .2f, .03f) : greens[3], r);
    const float path = rnd_in(r, 0, 3.14f);
    int near = 0;
    for (int i = 0; i < 190; i++) {
        const float d = 3 + 62 * sqrtf(((float)i + rnd(r)) / 190),
                    a = (float)i * 2.39996f + rnd_in(r, -.5f, .5f);
        const float off = fabsf(d * sinf(a - path));
        if (d < 3.2f || off < 1.6f)
            continue;
        vr_stand(s, &l, d, a, rnd_in(r, 0, 360));
        const int obj = vr_object(s, T_TREE, autumn ? ORANGE : GREEN, 0);
        if (s->main < 0)
            s->main = obj;
        const bool cheap = d > 17 || near > 26;
        near += !cheap;
        vr_tree(s, r, chance(r, .85f) ? kind : TREE_BROAD, rnd_in(r, 8, 15), bark,
                chance(r, .7f) ? leaf : leaf2, cheap);
    }
    vr_object(s, T_FERN, GREEN, 0);
    for (int i = 0; i < 70; i++) {
        vr_stand(s, &l, 1.8f + 14 * rnd(r) * rnd(r), rnd_in(r, 0, 6.28f),
                 rnd_in(r, 0, 360));
        vr_fern(s, r, rnd_in(r, .35f, .8f), leaf);
    }
    s->at = frame_unit();
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    vr_grass_tufts(s, r, &l, 1500, 14, leaf);
    if (chance(r, .6f)) {
        vr_stand(s, &l, rnd_in(r, 3, 6), path + 1.57f, rnd_in(r, 0, 360));
        vr_object(s, T_LOG, NO_COLOUR, S_WOOD);
        s->mat = bark;
        vr_rod(s, v3(-2.5f, .22f, 0), v3(2.5f, .26f, .3f), .28f, .22f, 14);
    }
    scatter_rocks(s, &l, rnd_int(r, 10), .2f, 1.2f, 18, v3(.19f, .19f, .17f), GREY);
    vr_eye_at(s, &l, 1.62f);
}

static void mountains(scene *s)
{
    rng *r = &s->r;
    const land l = { LAND_PEAKS, rnd_in(r, 110, 190), 14, (uint32_t)rng_next(r), 0 };

    vr_weather(s, vr_any_time(r), BACK_MOUNTAINS);
    s->sky.eye = 60;
    vr_ground(s, &l, GREEN, S_GRASS,
              (material){ .style = GROUND_ALPINE,
                          .a = v3(.07f, .15f, .03f),
                          .b = v3(.78f, .81f, .86f),
                          .c = v3(.2f, .185f, .165f),
                          .scale = rnd_in(r, 38, 80) },
              900);
    s->main = vr_object(s, T_MOUNTAIN, NO_COLOUR, 0);
    const int bark = vr_m_bark(s, v3(.12f, .085f, .06f), 0),
              leaf = vr_m_leaf(s, v3(.028f, .075f, .028f), r);
    for (int i = 0; i < 170; i++) {
        const float d = 9 + 120 * rnd(r), a = rnd_in(r, 0, 6.28f);
        if (vr_noise(v3(d * sinf(a) * .03f, 3, d * cosf(a) * .03f)) < .02f)
            continue;
        vr_stand(s, &l, d, a, rnd_in(r, 0, 360));
        const int obj = vr_object(s, T_TREE, GREEN, 0);
        (void)obj;
        vr_tree(s, r, TREE_PINE, rnd_in(r, 5, 12), bark, leaf, d > 24);
    }
    const int grass = vr_m_leaf(s, v3(.08f, .18f, .03f), r);
    s->at = frame_unit();
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    vr_grass_tufts(s, r, &l, 4500, 22, grass);
    const int bed = rnd_int(r, COLOURS - 3) + 3;
    if (chance(r, .5f) && bed != GREEN) {
        vr_object(s, T_FLOWERS, bed, 0);
        for (int i = 0; i < 25; i++) {
            vr_stand(s, &l, rnd_in(r, 1.5f, 12), rnd_in(r, 0, 6.28f), 0);
            vr_flower_bed(s, r, .8f, .8f, bed);
        }
    }
    scatter_rocks(s, &l, 14 + rnd_int(r, 20), .2f, 2.2f, 40, v3(.21f, .2f, .18f), GREY);
    if (chance(r, .45f)) {
        vr_stand(s, &l, rnd_in(r, 13, 24), rnd_in(r, 0, 6.28f), rnd_in(r, 0, 360));
        vr_cabin(s, r, false);
        s->main = s->obj;
    } else if (chance(r, .4f)) {
        vr_stand(s, &l, rnd_in(r, 5, 9), rnd_in(r, 0, 6.28f), rnd_in(r, 0, 360));
        vr_tent(s, r, rnd_int(r, COLOURS));
        s->main = s->obj;
    } else {
        s->main = s->n_objs - 1;
    }
    vr_eye_at(s, &l, 1.65f);
}

static void desert(scene *s)
{
    rng *r = &s->r;
    const land l = { LAND_DUNES, rnd_in(r, 3, 8), 13, (uint32_t)rng_next(r),
                     rnd_in(r, 0, 6) };
    const bool red = chance(r, .35f);

    vr_weather(s, vr_any_time(r), BACK_DUNES);
    vr_ground(s, &l, red ? ORANGE : NO_COLOUR, S_SAND,
              (material){ .style = GROUND_SAND,
                          .a = red ? v3(.62f, .27f, .09f) : v3(.60f, .42f, .22f) },
              900);
    s->sky.land = red ? v3(.55f, .26f, .1f) : v3(.55f, .4f, .22f);
    if (chance(r, .7f))
        for (int i = 0; i < 4 + rnd_int(r, 10); i++) {
            vr_stand(s, &l, rnd_in(r, 4, 45), rnd_in(r, 0, 6.28f), rnd_in(r, 0, 360));
            vr_object(s, T_CACTUS, GREEN, 0);
            s->main = s->obj;
            vr_cactus(s, r, rnd_in(r, 1.4f, 4));
        }
    scatter_rocks(s, &l, 6 + rnd_int(r, 20), .15f, 2.4f, 45, v3(.33f, .22f, .14f),
                  NO_COLOUR);
    if (s->main < 0)
        s->main = s->obj;
    if (chance(r, .35f)) {
        vr_stand(s, &l, rnd_in(r, 5, 10), rnd_in(r, 0, 6.28f), rnd_in(r, 0, 360));
        vr_tent(s, r, rnd_int(r, COLOURS));
        s->main = s->obj;
    }
    const int dry = vr_m_leaf(s, v3(.2f, .2f, .09f), r);
    for (int i = 0; i < rnd_int(r, 12); i++) {
        vr_stand(s, &l, rnd_in(r, 3, 25), rnd_in(r, 0, 6.28f), 0);
        vr_object(s, T_BUSH, NO_COLOUR, 0);
        vr_bush(s, r, rnd_in(r, .4f, .9f), dry);
    }
    vr_eye_at(s, &l, 1.65f);
}

static void rover(scene *s, rng *r, int colour)
{
    vr_object(s, T_ROVER, colour, 0);
    vr_m_paint(s, vr_paint(colour, r), .3f);
    vr_box(s, v3(-1.2f, .65f, -.8f), v3(1.2f, 1.25f, .8f), .06f);
    vr_box(s, v3(.1f, 1.25f, -.6f), v3(1.05f, 1.75f, .6f), .12f);
    vr_m_paint(s, v3(.015f, .02f, .03f), .05f);
    vr_box(s, v3(.95f, 1.35f, -.5f), v3(1.08f, 1.65f, .5f), .03f);
    const int tyre = vr_m_paint(s, v3s(.035f), .8f), metal = vr_m_metal(s, 0, .3f);
    for (int i = 0; i < 6; i++) {
        const float x = ((float)(i % 3) - 1) * 1.05f, z = i < 3 ? -1.05f : 1.05f;
        s->mat = tyre;
        vr_rod(s, v3(x, .42f, z - .16f), v3(x, .42f, z + .16f), .42f, .42f, 20);
        s->mat = metal;
        vr_rod(s, v3(x, .42f, z * .6f), v3(x, .42f, z + (z > 0 ? .18f : -.18f)), .12f,
               .1f, 12);
    }
    vr_rod(s, v3(-.8f, 1.25f, .4f), v3(-.8f, 2.5f, .4f), .03f, .02f, 8);
    vr_object(s, T_ANTENNA, NO_COLOUR, 0);
    s->at = frame_pitch(frame_move(s->at, v3(-.8f, 2.5f, .4f), 40), -40);
    const float dish[5][2] = {
        { .02f, 0 }, { .2f, .03f }, { .38f, .11f }, { .48f, .2f }, { .46f, .2f }
    };
    vr_lathe(s, dish, 5, 24);
}

static void mars(scene *s)
{
    rng *r = &s->r;
    const land l = { LAND_CRATERS, rnd_in(r, 5, 14), 8, (uint32_t)rng_next(r), 0 };

    vr_weather(s, SKY_MARS, BACK_DUNES);
    s->fog = 1 / rnd_in(r, 350, 900);
    s->sky.land = v3(.36f, .15f, .065f);
    vr_ground(s, &l, chance(r, .5f) ? ORANGE : RED, 0,
              (material){ .style = GROUND_MARS,
                          .a = v3(.42f, .165f, .065f),
                          .b = v3(.30f, .115f, .05f),
                          .c = v3(.2f, .09f, .05f) },
              900);
    scatter_rocks(s, &l, 50 + rnd_int(r, 60), .08f, 2.6f, 60, v3(.24f, .105f, .06f),
                  NO_COLOUR);
    s->main = s->obj;
    if (chance(r, .6f)) {
        vr_stand(s, &l, rnd_in(r, 5, 10), rnd_in(r, 0, 6.28f), rnd_in(r, 0, 360));
        const int n = s->n_objs;
        rover(s, r, rnd_int(r, COLOURS));
        s->main = n;
    }
    const int domes = rnd_int(r, 4);
    for (int i = 0; i < domes; i++) {
        vr_stand(s, &l, rnd_in(r, 14, 35), rnd_in(r, 0, 6.28f), rnd_in(r, 0, 360));
        const int colour = chance(r, .6f) ? WHITE : rnd_int(r, COLOURS);
        const float R = rnd_in(r, 3, 6);
        vr_object(s, T_DOME, colour, 0);
        if (i == 0 && chance(r, .5f))
            s->main = s->obj;
        vr_m_paint(s, vr_paint(colour, r), .3f);
        vr_ball(s, v3(0, 0, 0), v3(R, R * .85f, R), 40);
        vr_rod(s, v3(0, .2f, R * .8f), v3(0, .2f, R + 1.2f), 1.15f, 1.15f, 24);
        vr_m_metal(s, 0, .3f);
        for (int k = 0; k < 3; k++) {
            const float t = .35f + .5f * (float)k, rr = R * cosf(t),
                        ring[4][2] = { { rr + .03f, R * .85f * sinf(t) - .08f },
                                       { rr + .06f, R * .85f * sinf(t) },
                                       { rr + .03f, R * .85f * sinf(t) + .08f },
                                       { rr, R * .85f * sinf(t) + .09f } };
            vr_lathe(s, ring, 4, 40);
        }
        vr_m_emit(s, v3(.7f, .85f, 1), false);
        for (int k = 0; k < 6; k++) {
            const float a = 1.05f * (float)k + .5f;
            vr_ball(s, v3(R * .93f * cosf(a), R * .33f, R * .93f * sinf(a)), v3s(.3f),
                    14);
        }
    }
    vr_eye_at(s, &l, 1.7f);
}

static void snowman(scene *s, rng *r)
{
    vr_object(s, T_SNOWMAN, WHITE, 0);
    vr_material(
        s, (material){
               .kind = MAT_PLAIN, .a = v3(.8f, .83f, .87f), .rough = .9f, .bump = .15f });
    vr_ball(s, v3(0, .38f, 0), v3(.46f, .42f, .46f), 30);
    vr_ball(s, v3(0, 1.0f, 0), v3(.34f, .31f, .34f), 28);
    vr_ball(s, v3(0, 1.48f, 0), v3(.24f, .23f, .24f), 26);
    vr_m_paint(s, v3s(.02f), .6f);
    for (int k = -1; k <= 1; k += 2)
        vr_ball(s, v3((float)k * .08f, 1.54f, .215f), v3s(.025f), 10);
    for (int k = 0; k < 3; k++)
        vr_ball(s, v3(0, .9f + .13f * (float)k, .335f), v3s(.025f), 10);
    vr_rod(s, v3(0, 1.69f, 0), v3(0, 1.71f, 0), .24f, .24f, 24);
    vr_rod(s, v3(0, 1.7f, 0), v3(0, 1.98f, 0), .16f, .16f, 24);
    vr_m_paint(s, v3(.75f, .26f, .03f), .6f);
    vr_rod(s, v3(0, 1.48f, .22f), v3(0, 1.46f, .46f), .03f, .004f, 10);
    vr_m_fabric(s, vr_paint(rnd_int(r, COLOURS), r), r);
    vr_rod(s, v3(0, 1.25f, 0), v3(0, 1.32f, 0), .26f, .25f, 24);
}

static void snow(scene *s)
{
    rng *r = &s->r;
    const land l = { chance(r, .4f) ? LAND_PEAKS : LAND_ROLLING, rnd_in(r, 7, 12), 6,
                     (uint32_t)rng_next(r), 0 };
    land big = l;

    if (l.shape == LAND_PEAKS)
        big.amp = rnd_in(r, 90, 150);
    vr_weather(s, vr_any_time(r), BACK_SNOW);
    s->key *= 1.2f;
    s->sky.land = v3(.75f, .78f, .83f);
    vr_ground(s, &big, WHITE, S_SNOW,
              (material){ .style = GROUND_SNOW,
                          .a = v3(.80f, .83f, .87f),
                          .b = v3(.8f, .83f, .87f),
                          .c = v3(.2f, .19f, .18f) },
              900);
    const int bark = vr_m_bark(s, v3(.12f, .085f, .06f), 0),
              leaf = vr_m_leaf(s, v3(.03f, .08f, .032f), r);
    const int white = vr_material(s, (material){ .kind = MAT_LEAF,
                                                 .a = v3(.7f, .74f, .78f),
                                                 .rough = .9f,
                                                 .through = .1f });
    for (int i = 0; i < 120; i++) {
        const float d = 6 + 90 * rnd(r), a = rnd_in(r, 0, 6.28f);
        if (vr_noise(v3(d * sinf(a) * .04f, 3, d * cosf(a) * .04f)) < -.05f)
            continue;
        vr_stand(s, &big, d, a, rnd_in(r, 0, 360));
        vr_object(s, T_TREE, chance(r, .5f) ? GREEN : NO_COLOUR, 0);
        s->main = s->obj;
        vr_tree(s, r, TREE_PINE, rnd_in(r, 4, 10), bark, chance(r, .45f) ? white : leaf,
                d > 22);
    }
    if (chance(r, .6f)) {
        vr_stand(s, &big, rnd_in(r, 11, 20), rnd_in(r, 0, 6.28f), rnd_in(r, 0, 360));
        vr_cabin(s, r, true);
        s->main = s->obj;
    }
    if (chance(r, .5f)) {
        const float a = rnd_in(r, 0, 6.28f);
        vr_stand(s, &big, rnd_in(r, 3, 6), a, 180 - a * 180 / VR_PI + 180);
        snowman(s, r);
        s->main = s->obj;
    }
    scatter_rocks(s, &big, rnd_int(r, 8), .3f, 1.5f, 25, v3(.2f, .2f, .2f), GREY);
    vr_eye_at(s, &big, 1.65f);
}

void vr_kind_land(scene *s, int kind)
{
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    switch (kind) {
    case K_BEACH:
        beach(s);
        break;
    case K_FOREST:
        forest(s);
        break;
    case K_MOUNTAINS:
        mountains(s);
        break;
    case K_DESERT:
        desert(s);
        break;
    case K_MARS:
        mars(s);
        break;
    default:
        snow(s);
    }
    if (s->main >= 0)
        s->objs[s->main].main = true;
}
