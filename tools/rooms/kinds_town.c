/* Streets and roofs. */
#include "tools/rooms/kinds.h"
#include "tools/rooms/land.h"

static int town_time(rng *r)
{
    return chance(r, .12f) ? SKY_NIGHT : vr_any_time(r);
}

/* ---- city street: the road runs along z of the town's frame ---- */

typedef struct street {
    scene *s;
    rng *r;
    frame town;
    float road, walk; /* half the road, the pavement's width */
} street;

/* A place in the street, turned by yaw. */
static void at(const street *t, float x, float y, float z, float yaw)
{
    t->s->at = frame_move(t->town, v3(x, y, z), yaw);
}

static void pave(const street *t)
{
    scene *s = t->s;
    const float far = 110, w = t->road, k = t->walk;

    s->at = t->town;
    s->floor = vr_object(s, T_GROUND, GREY, 0);
    vr_material(s, (material){ .kind = MAT_GROUND,
                               .style = GROUND_ASPHALT,
                               .a = v3s(rnd_in(t->r, .045f, .085f)),
                               .rough = .85f,
                               .f0 = .03f });
    vr_rect(s, v3(-w, 0, far), v3(2 * w, 0, 0), v3(0, 0, -2 * far));
    vr_rect(s, v3(-60, 0, far + 14), v3(120, 0, 0), v3(0, 0, -14));
    vr_rect(s, v3(-60, 0, -far), v3(120, 0, 0), v3(0, 0, -14));
    const int slab = vr_material(s, (material){ .kind = MAT_TILE,
                                                .a = v3s(rnd_in(t->r, .22f, .36f)),
                                                .c = v3s(.12f),
                                                .rough = .8f,
                                                .f0 = .03f,
                                                .scale = rnd_in(t->r, .3f, .6f) });
    for (int e = -1; e <= 1; e += 2)
        vr_rect(s, v3(e > 0 ? w : -w - k, .13f, far), v3(k, 0, 0), v3(0, 0, -2 * far));
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    vr_m_paint(s, v3s(.36f), .8f);
    for (int e = -1; e <= 1; e += 2)
        vr_box(s, v3((float)e * w - .09f, 0, -far), v3((float)e * w + .09f, .135f, far),
               .02f);
    vr_m_paint(s, v3s(.62f), .8f);
    for (float z = -80; z < 80; z += 6)
        vr_rect(s, v3(-.07f, .004f, z + 3), v3(.14f, 0, 0), v3(0, 0, -3));
    const float zebra = rnd_in(t->r, 5, 11) * (chance(t->r, .5f) ? 1.f : -1.f);
    for (float x = -w + .4f; x < w - .5f && chance(t->r, .97f); x += .95f)
        vr_rect(s, v3(x, .005f, zebra + 1.6f), v3(.5f, 0, 0), v3(0, 0, -3.2f));
    s->mat = slab;
}

/* One row of house fronts; side -1 or 1. */
static void row_of_houses(const street *t, int side)
{
    rng *r = t->r;
    const float x = (float)side * (t->road + t->walk);

    for (float z = -108; z < 100;) {
        const float w = rnd_in(r, 8, 17), tall = expf(.42f * rnd_gauss(r)) * 4.6f;
        const int floors = (int)vr_clamp(tall, 2, 14);
        at(t, x, 0, z + w / 2, side > 0 ? -90.f : 90.f);
        vr_house(t->s, r, w, floors, 13);
        if (t->s->main < 0 && fabsf(z + w / 2) < 12)
            t->s->main = t->s->objs[t->s->obj].what == T_HOUSE ? t->s->obj : -1;
        z += w + (chance(r, .08f) ? 3.f : .0f);
    }
}

/* The street ends on a square with houses across. */
static void ends(const street *t)
{
    for (int e = -1; e <= 1; e += 2)
        for (float x = -42; x < 40;) {
            const float w = rnd_in(t->r, 10, 17);
            at(t, x + w / 2, 0, (float)e * 123, e > 0 ? 180.f : 0.f);
            vr_house(t->s, t->r, w, 4 + rnd_int(t->r, 6), 12);
            x += w;
        }
}

static void trees_and_lamps(const street *t)
{
    scene *s = t->s;
    rng *r = t->r;
    const int bark = vr_m_bark(s, v3(.12f, .085f, .06f), 0),
              leaf = vr_m_leaf(
                  s, chance(r, .85f) ? v3(.07f, .17f, .035f) : v3(.3f, .15f, .03f), r);
    const bool planted = chance(r, .75f), both = chance(r, .5f);
    const float step = rnd_in(r, 8, 12), off = rnd_in(r, 0, step);

    for (float z = -70 + off; z < 70 && planted; z += step)
        for (int e = both ? -1 : 1; e <= 1; e += 2) {
            if (fabsf(z) < 2.2f)
                continue;
            at(t, (float)e * (t->road + .9f), .13f, z, rnd_in(r, 0, 360));
            vr_object(s, T_TREE, GREEN, 0);
            vr_tree(s, r, TREE_BROAD, rnd_in(r, 5.5f, 8.5f), bark, leaf, fabsf(z) > 21);
            vr_m_paint(s, v3(.06f, .04f, .03f), .9f);
            vr_box(s, v3(-.6f, -.02f, -.6f), v3(.6f, .012f, .6f), .005f);
        }
    for (float z = -66 + rnd_in(r, 0, 8); z < 70; z += 22)
        for (int e = -1; e <= 1; e += 2) {
            at(t, (float)e * (t->road + .45f), .13f, z + (e > 0 ? 5.5f : 0),
               e > 0 ? 180.f : 0.f);
            vr_street_lamp(s, s->lamps_on && fabsf(z) < 40);
        }
}

static void cars(const street *t)
{
    scene *s = t->s;
    rng *r = t->r;

    for (float z = -62; z < 62; z += rnd_in(r, 5.4f, 7))
        for (int e = -1; e <= 1; e += 2) {
            if (!chance(r, .5f) || fabsf(z - t->s->eye.z) < 1.5f)
                continue;
            at(t, (float)e * (t->road - 1.15f), 0, z, e > 0 ? 90.f : -90.f);
            vr_car(s, r, rnd_int(r, COLOURS));
            if (fabsf(z) < 10 && fabsf(z) > 2.5f && chance(r, .6f))
                s->main = s->obj;
        }
    for (int i = 0; i < rnd_int(r, 4); i++) {
        const int e = chance(r, .5f) ? 1 : -1;
        at(t, (float)e * t->road * .35f, 0,
           rnd_in(r, 9, 55) * (chance(r, .5f) ? 1.f : -1.f), e > 0 ? 90.f : -90.f);
        vr_car(s, r, rnd_int(r, COLOURS));
    }
}

static void on_the_pavement(const street *t)
{
    scene *s = t->s;
    rng *r = t->r;

    for (int i = 0; i < 3; i++) {
        const int e = chance(r, .5f) ? 1 : -1;
        at(t, (float)e * (t->road + t->walk - .5f), .13f,
           rnd_in(r, 3, 16) * (chance(r, .5f) ? 1.f : -1.f), e > 0 ? -90.f : 90.f);
        vr_park_bench(s, r);
    }
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    vr_m_paint(s, v3s(.05f), .4f);
    for (int i = 0; i < 14; i++) {
        at(t, (t->road + .3f) * (i & 1 ? 1.f : -1.f), .13f, -14 + 4 * (float)(i / 2), 0);
        vr_rod(s, v3(0, 0, 0), v3(0, .85f, 0), .055f, .05f, 12);
    }
}

void vr_kind_city(scene *s)
{
    rng *r = &s->r;

    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    vr_weather(s, town_time(r), BACK_CITY);
    s->lamps_on |= s->time == SKY_OVERCAST && chance(r, .4f);
    s->sky.eye = 4;
    s->sky.stars *= .3f; /* the town's own light hides most */
    s->fog = 1 / rnd_in(r, 350, 1200);
    s->sky.land = v3s(.12f);
    street t = { s, r, frame_move(frame_unit(), v3s(0), rnd_in(r, 0, 360)),
                 rnd_in(r, 3.4f, 5.5f), rnd_in(r, 2.6f, 4.4f) };
    pave(&t);
    row_of_houses(&t, -1);
    row_of_houses(&t, 1);
    ends(&t);
    trees_and_lamps(&t);
    cars(&t);
    on_the_pavement(&t);
    const bool walk = chance(r, .6f);
    const float x = walk ? (t.road + t.walk * .40f) * (chance(r, .5f) ? 1.f : -1.f)
                         : rnd_in(r, -.3f, .3f) * t.road;
    s->eye = frame_point(&t.town, v3(x, 1.65f + (walk ? .13f : 0), 0));
    if (s->main >= 0)
        s->objs[s->main].main = true;
}

/* ---- rooftop ---- */

static void roof_floor(room *m, shell_style *st)
{
    scene *s = m->s;
    rng *r = m->r;
    const float t = rnd(r);

    if (t < .5f) {
        const vec3 c = vr_wood(r, &st->floor_colour);
        st->floor_stuff = S_WOOD;
        st->floor_mat = vr_material(
            s, (material){ .kind = MAT_PLANKS, .a = c, .rough = .6f, .scale = .14f });
    } else if (t < .8f) {
        st->floor_colour = chance(r, .5f) ? GREY : rnd_int(r, COLOURS);
        st->floor_stuff = S_TILE;
        st->floor_mat = vr_material(s, (material){ .kind = MAT_TILE,
                                                   .a = vr_paint(st->floor_colour, r),
                                                   .c = v3s(.25f),
                                                   .rough = .6f,
                                                   .scale = rnd_in(r, .4f, .7f) });
    } else {
        st->floor_colour = GREY;
        st->floor_stuff = S_CONCRETE;
        st->floor_mat = vr_material(s, (material){ .kind = MAT_CONCRETE,
                                                   .style = 1,
                                                   .a = v3s(.28f),
                                                   .rough = .85f,
                                                   .scale = 2 });
    }
}

/* A low wall all round with a coping. */
static void parapet(room *m, rng *r)
{
    scene *s = m->s;
    const bool brick = chance(r, .45f);
    const float h = rnd_in(r, .55f, 1);

    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    const int wall = brick ? vr_material(s, (material){ .kind = MAT_BRICK,
                                                        .a = v3(.34f, .12f, .07f),
                                                        .b = v3(.24f, .1f, .06f),
                                                        .c = v3s(.4f),
                                                        .rough = .9f })
                           : vr_m_paint(s, v3s(rnd_in(r, .4f, .65f)), .9f);
    const int cope = vr_m_paint(s, v3s(.5f), .8f);
    for (int k = 0; k < 4; k++) {
        const float half = vr_wall_length(m, k) / 2;
        s->at = vr_wall_frame(m, k);
        s->face_uv = true;
        s->mat = wall;
        vr_box(s, v3(-half - .2f, 0, -.2f), v3(half + .2f, h, 0), .01f);
        s->face_uv = false;
        s->mat = cope;
        vr_box(s, v3(-half - .26f, h, -.26f), v3(half + .26f, h + .07f, .06f), .015f);
    }
    /* the house below */
    s->mat = wall;
    s->at = frame_unit();
    vr_rect(s, v3(-m->w / 2, 0, m->d / 2), v3(m->w, 0, 0), v3(0, 0, -m->d));
}

/* Houses around, seen from above and from the side. */
static void neighbours(scene *s, rng *r, float below, float clear)
{
    const float step = 26;

    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    s->at = frame_unit();
    vr_material(s, (material){ .kind = MAT_GROUND,
                               .style = GROUND_ASPHALT,
                               .a = v3s(.06f),
                               .rough = .9f });
    vr_rect(s, v3(-400, -below, 400), v3(800, 0, 0), v3(0, 0, -800));
    for (int j = -5; j <= 5; j++)
        for (int i = -5; i <= 5; i++) {
            const float x = step * (float)i + rnd_in(r, -2, 2),
                        z = step * (float)j + rnd_in(r, -2, 2);
            const float w = rnd_in(r, 13, 19), d = rnd_in(r, 13, 19);
            if (fabsf(x) < clear + w / 2 && fabsf(z) < clear + d / 2)
                continue;
            const float tall = expf(.38f * rnd_gauss(r)) * below *
                               (.72f + .012f * (fabsf(x) + fabsf(z)) * .5f);
            const int floors = (int)vr_clamp(tall / 3.2f, 2, 40);
            /* the side that is seen looks to the eye */
            const float yaw = fabsf(x) > fabsf(z) ? (x > 0 ? -90.f : 90.f)
                              : z > 0             ? 180.f
                                                  : 0.f;
            s->at = frame_move(frame_unit(), v3(x, -below, z), yaw);
            s->at.o = v3_mad(s->at.o, s->at.z, d / 2);
            vr_house(s, r, w, floors, d);
        }
}

static void roof_furniture(room *m, rng *r)
{
    scene *s = m->s;
    frame f;

    if (chance(r, .75f) && vr_place_wall(m, 2.2f, .95f, .6f, 1.2f, &f)) {
        s->at = f;
        s->main = vr_sofa(m, 2.1f, rnd_int(r, COLOURS));
        s->at = frame_move(f, v3(0, 0, 1.35f), 0);
        vr_coffee_table(m, 1, .6f, rnd_int(r, 3));
    }
    if (vr_place_free(m, 2.2f, 2.2f, .3f, &f)) {
        s->at = frame_move(f, v3(0, 0, 1.1f), 0);
        const frame mid = s->at;
        const int colour = rnd_int(r, COLOURS);
        vr_table(m, 1, 1, .74f, rnd_int(r, 2));
        for (int i = 0; i < 4; i++) {
            s->at = frame_move(frame_move(mid, v3s(0), 90 * (float)i), v3(0, 0, -.95f),
                               rnd_in(r, -12, 12));
            vr_chair(m, colour, 0);
        }
        if (chance(r, .6f)) {
            s->at = mid;
            vr_parasol(s, r, rnd_int(r, COLOURS));
            if (s->main < 0)
                s->main = s->obj;
        }
    }
    for (int i = 0; i < 2; i++)
        if (chance(r, .5f) && vr_place_free(m, .9f, 2, .3f, &f)) {
            s->at = frame_move(f, v3(0, 0, 1), 0);
            vr_lounger(s, r, rnd_int(r, COLOURS));
        }
    for (int i = 0; i < 4 + rnd_int(r, 5); i++)
        if (vr_place_wall(m, .6f, .6f, 1, 0, &f)) {
            s->at = frame_move(f, v3(0, 0, .3f), 0);
            vr_plant(m, rnd_in(r, .7f, 1.6f), rnd_int(r, 3));
        }
    for (int i = 0; i < 1 + rnd_int(r, 3); i++)
        if (vr_place_corner(m, 1.9f, 1.6f, 1.5f, &f)) {
            s->at = frame_move(f, v3(0, 0, .8f), 0);
            vr_vent(s, r);
        }
}

/* The house of the stairs, with a door. */
static void stair_house(room *m, rng *r)
{
    scene *s = m->s;
    const int colour = chance(r, .5f) ? WHITE : rnd_int(r, COLOURS);
    const float w = rnd_in(r, 2.6f, 4), z = -m->d / 2 + 1.1f;
    const float x = rnd_in(r, -.5f, .5f) * (m->w - w - 1);

    s->at = frame_move(frame_unit(), v3(x, 0, z), 0);
    const frame f = frame_move(s->at, v3(0, 0, -1.1f), 0);
    vr_take(m, &f, w + .4f, 3.2f, 2.6f);
    s->wall = vr_object(s, T_WALL, colour, 0);
    vr_m_paint(s, vr_wall_paint(colour, r), .85f);
    vr_box(s, v3(-w / 2, 0, -1), v3(w / 2, 2.6f, 1), .01f);
    vr_m_paint(s, v3s(.45f), .8f);
    vr_box(s, v3(-w / 2 - .15f, 2.6f, -1.15f), v3(w / 2 + .15f, 2.75f, 1.15f), .02f);
    vr_object(s, T_DOOR, NO_COLOUR, S_METAL);
    vr_m_paint(s, vr_paint(rnd_int(r, COLOURS), r), .35f);
    vr_box(s, v3(-.45f, 0, .99f), v3(.45f, 2.05f, 1.04f), .006f);
    vr_m_metal(s, 0, .3f);
    vr_rod(s, v3(.33f, 1, 1.04f), v3(.33f, 1, 1.1f), .02f, .02f, 10);
    if (s->lamps_on)
        vr_lamp_light(s, v3(0, 2.35f, 1.35f), .08f, 5, v3(1, .75f, .45f));
}

void vr_kind_rooftop(scene *s)
{
    rng *r = &s->r;
    room m;
    shell_style st = { .accent_wall = -1 };
    const float below = rnd_in(r, 16, 45);

    vr_room_start(&m, s, rnd_in(r, 8, 13), rnd_in(r, 8, 13), 3);
    vr_weather(s, town_time(r), BACK_CITY);
    s->sky.eye = below;
    s->sky.stars *= .3f;
    s->sky.land = v3s(.10f);
    s->fog = 1 / rnd_in(r, 500, 1800);
    roof_floor(&m, &st);
    s->at = frame_unit();
    s->floor = vr_object(s, T_FLOOR, st.floor_colour, st.floor_stuff);
    s->mat = st.floor_mat;
    vr_rect(s, v3(-m.w / 2, .004f, m.d / 2), v3(m.w, 0, 0), v3(0, 0, -m.d));
    parapet(&m, r);
    stair_house(&m, r);
    roof_furniture(&m, r);
    if (chance(r, .35f)) {
        frame f;
        if (vr_place_corner(&m, 2.6f, 2.6f, 3, &f)) {
            s->at = frame_move(f, v3(0, 0, 1.3f), 0);
            vr_water_tank(s, r);
            if (s->main < 0)
                s->main = s->obj;
        }
    }
    vr_room_eye(&m, 1.62f);
    s->indoor = false;
    neighbours(s, r, below, vr_max(m.w, m.d) / 2 + 4);
    if (s->main < 0)
        s->main = s->floor;
    s->objs[s->main].main = true;
}
