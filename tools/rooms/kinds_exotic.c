/* A spaceship and an underwater hotel. */
#include "tools/rooms/kinds.h"
#include "tools/rooms/land.h"

/* ---- spaceship: an eight-sided hull along z, a wide window at its bow ---- */

typedef struct hull {
    scene *s;
    rng *r;
    room m;
    vec3 p[8]; /* section: floor right, wall right up, ... counter-clockwise from below */
    int panel, dark, trim, accent;
    vec3 light;
} hull;

static void hull_section(hull *h)
{
    const float w = h->m.w / 2, k = h->m.h;
    const float side[4][2] = {
        { w, 0 }, { w + .45f, k * .42f }, { w * .98f, k * .82f }, { w * .62f, k }
    };

    for (int i = 0; i < 4; i++) {
        h->p[i] = v3(side[i][0], side[i][1], 0);
        h->p[7 - i] = v3(-side[i][0], side[i][1], 0);
    }
}

/* The plating, ribs every few metres, strips of light. */
static void plating(hull *h)
{
    scene *s = h->s;
    const float d = h->m.d;

    s->at = frame_unit();
    s->wall = vr_object(s, T_WALL, s->hue, S_METAL);
    for (int i = 0; i < 7; i++) {
        if (i == 3) { /* the ceiling */
            s->ceiling = vr_object(s, T_CEILING, NO_COLOUR, 0);
            s->mat = h->panel;
        } else {
            s->obj = s->wall;
            s->mat = i == 1 || i == 5 ? h->panel : h->accent;
        }
        const vec3 a = h->p[i], b = h->p[i + 1];
        vr_rect(s, v3(a.x, a.y, -d / 2), v3(0, 0, d), v3_sub(b, a));
    }
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    const int n = (int)(d / rnd_in(h->r, 1.7f, 2.5f));
    for (int k = 0; k <= n; k++) {
        const float z = -d / 2 + d * (float)k / (float)n;
        s->mat = h->trim;
        for (int i = 0; i < 7; i++)
            vr_rod(s, v3(h->p[i].x, h->p[i].y, z), v3(h->p[i + 1].x, h->p[i + 1].y, z),
                   .09f, .09f, 8);
    }
    for (int e = 0; e < 2; e++) {
        const vec3 a = h->p[e ? 4 : 3], b = h->p[e ? 0 : 7];
        s->to = &s->veil;
        vr_m_emit(s, h->light, true);
        vr_box(s, v3(a.x - .05f, a.y - .10f, -d / 2 + .1f),
               v3(a.x + .05f, a.y - .04f, d / 2 - .1f), .01f);
        vr_m_emit(s, v3_mul(vr_paint(s->accent, h->r), .9f), true);
        vr_box(s, v3(b.x - .06f, .05f, -d / 2 + .1f), v3(b.x + .06f, .09f, d / 2 - .1f),
               .01f);
        s->to = &s->solid;
        for (int k = 0; k < 3; k++)
            vr_add_light(s,
                         (light){ .shape = LIGHT_RECT,
                                  .o = v3(a.x * .96f, a.y - .12f, d * ((float)k - 1) / 3),
                                  .u = v3(.06f, 0, 0),
                                  .v = v3(0, 0, d / 6),
                                  .n = v3_unit(v3(e ? .3f : -.3f, -1, 0)),
                                  .emit = v3_mul(h->light, 14 / d) });
    }
}

/* Bow and stern: frames of a window, or a door. */
static void bow(hull *h)
{
    scene *s = h->s;
    const float z = -h->m.d / 2, w = h->m.w / 2, k = h->m.h;
    const float lo = k * rnd_in(h->r, .16f, .26f), hi = k * .88f, half = w * .90f;
    vec3 *q = s->windows[s->n_windows];

    s->at = frame_unit();
    s->obj = s->wall;
    s->mat = h->accent;
    vr_rect(s, v3(-w - .5f, 0, z), v3(2 * w + 1, 0, 0), v3(0, lo, 0));
    vr_rect(s, v3(-w - .5f, hi, z), v3(2 * w + 1, 0, 0), v3(0, k - hi, 0));
    vr_rect(s, v3(-w - .5f, lo, z), v3(w + .5f - half, 0, 0), v3(0, hi - lo, 0));
    vr_rect(s, v3(half, lo, z), v3(w + .5f - half, 0, 0), v3(0, hi - lo, 0));
    const int pane = vr_object(s, T_PANE, NO_COLOUR, 0);
    s->window_obj[s->n_windows++] = pane;
    q[0] = v3(-half, lo, z);
    q[1] = v3(half, lo, z);
    q[2] = v3(half, hi, z);
    q[3] = v3(-half, hi, z);
    s->mat = h->trim;
    const int bars = 2 + rnd_int(h->r, 3);
    for (int i = 0; i <= bars; i++) {
        const float x = -half + 2 * half * (float)i / (float)bars;
        vr_box(s, v3(x - .05f, lo, z - .06f), v3(x + .05f, hi, z + .1f), .02f);
    }
    vr_box(s, v3(-half, lo - .06f, z - .06f), v3(half, lo + .05f, z + .16f), .02f);
    vr_box(s, v3(-half, hi - .05f, z - .06f), v3(half, hi + .06f, z + .16f), .02f);
    /* stern: a round door */
    s->obj = s->wall;
    s->mat = h->accent;
    vr_rect(s, v3(w + .5f, 0, -z), v3(-2 * w - 1, 0, 0), v3(0, k, 0));
    vr_object(s, T_DOOR, NO_COLOUR, S_METAL);
    s->mat = h->panel;
    vr_box(s, v3(-.7f, 0, -z - .12f), v3(.7f, 2.1f, -z), .12f);
    s->mat = h->trim;
    vr_box(s, v3(-.03f, 0, -z - .15f), v3(.03f, 2.1f, -z - .11f), .005f);
    for (int e = -1; e <= 1; e += 2)
        vr_box(s, v3(.78f * (float)e - .1f, 0, -z - .2f),
               v3(.78f * (float)e + .1f, 2.3f, -z), .04f);
    vr_box(s, v3(-.88f, 2.12f, -z - .2f), v3(.88f, 2.34f, -z), .04f);
}

static void screen(scene *s, rng *r, vec3 o, vec3 u, vec3 v)
{
    static const vec3 glow[4] = {
        { .25f, .8f, 1 }, { .3f, 1, .5f }, { 1, .6f, .2f }, { .7f, .8f, 1 }
    };

    vr_material(s, (material){ .kind = MAT_SCREEN,
                               .style = rnd_int(r, 8),
                               .a = vr_paint(rnd_int(r, COLOURS), r),
                               .b = vr_paint(rnd_int(r, COLOURS), r),
                               .c = v3s(.02f),
                               .emit = v3_mul(glow[rnd_int(r, 4)], 1.1f),
                               .rough = .12f });
    vr_card(s, o, u, v);
}

/* A desk with sloped screens; front to +z. */
static void console(hull *h, float w, int colour)
{
    scene *s = h->s;
    rng *r = h->r;

    vr_object(s, T_CONSOLE, colour, 0);
    vr_m_paint(s, vr_paint(colour, r), .3f);
    const int body = s->mat;
    vr_box(s, v3(-w / 2, 0, -.25f), v3(w / 2, .70f, .12f), .05f);
    vr_box(s, v3(-w / 2, .64f, -.28f), v3(w / 2, .76f, .46f), .04f);
    const frame keep = s->at;
    s->at = frame_pitch(frame_move(keep, v3(0, .78f, -.12f), 0), -28);
    s->mat = body;
    vr_box(s, v3(-w / 2, 0, -.07f), v3(w / 2, .48f, 0), .03f);
    const int n = (int)(w / .62f);
    for (int i = 0; i < n; i++) {
        const float x0 = -w / 2 + w * ((float)i + .08f) / (float)n;
        screen(s, r, v3(x0, .06f, .004f), v3(w * .84f / (float)n, 0, 0), v3(0, .36f, 0));
    }
    s->at = keep;
    for (int i = 0; i < (int)(w * 26); i++) { /* keys */
        const vec3 c = vr_paint(rnd_int(r, COLOURS), r);
        if (chance(r, .35f))
            vr_m_emit(s, v3_mul(c, .8f), false);
        else
            vr_m_paint(s, v3_mul(c, .5f), .4f);
        const float x = rnd_in(r, -.46f, .46f) * w, z = rnd_in(r, .02f, .40f);
        vr_box(s, v3(x - .018f, .755f, z - .014f), v3(x + .018f, .775f, z + .014f),
               .004f);
    }
}

static void pilot_seat(hull *h, int colour)
{
    scene *s = h->s;

    vr_object(s, T_PILOT_SEAT, colour, 0);
    vr_m_leather(s, vr_paint(colour, h->r));
    vr_cushion(s, v3(0, .52f, .06f), v3(.56f, .16f, .56f), .12f);
    vr_cushion(s, v3(0, .95f, -.24f), v3(.54f, .86f, .16f), .12f);
    vr_cushion(s, v3(0, 1.45f, -.26f), v3(.30f, .20f, .12f), .15f);
    for (int e = -1; e <= 1; e += 2)
        vr_box(s, v3(.33f * (float)e - .06f, .62f, -.18f),
               v3(.33f * (float)e + .06f, .70f, .28f), .025f);
    s->mat = h->dark;
    vr_rod(s, v3(0, .05f, 0), v3(0, .45f, 0), .07f, .09f, 16);
    vr_rod(s, v3(0, 0, 0), v3(0, .06f, 0), .34f, .30f, 24);
    s->mat = h->trim;
    vr_box(s, v3(-.29f, .45f, -.36f), v3(.29f, 1.42f, -.31f), .04f);
}

static void pod(hull *h, int colour)
{
    scene *s = h->s;

    vr_object(s, T_POD, colour, 0);
    vr_m_paint(s, vr_paint(colour, h->r), .25f);
    vr_box(s, v3(-.55f, .0f, -.2f), v3(.55f, 2.05f, .35f), .2f);
    s->mat = h->dark;
    vr_box(s, v3(-.40f, .25f, .30f), v3(.40f, 1.85f, .42f), .1f);
    vr_m_emit(s, v3_mul(v3(.35f, .75f, 1), .28f), false);
    vr_box(s, v3(-.32f, .35f, .40f), v3(.32f, 1.75f, .43f), .08f);
}

static void crew(hull *h)
{
    scene *s = h->s;
    rng *r = h->r;
    const float z = -h->m.d / 2, w = h->m.w;
    const int colour = rnd_int(r, COLOURS), seat = rnd_int(r, COLOURS),
              n = w > 4.4f ? 3 : 2;

    for (int i = 0; i < n; i++) { /* the crew looks out of the bow */
        const float x = w * .78f * (((float)i + .5f) / (float)n - .5f);
        s->at = frame_move(frame_unit(), v3(x, 0, z + .55f), 0);
        console(h, w * .70f / (float)n, colour);
        if (s->main < 0 && chance(r, .5f))
            s->main = s->obj;
        s->at = frame_move(frame_unit(), v3(x, 0, z + 1.7f), 180 + rnd_in(r, -25, 25));
        pilot_seat(h, seat);
        if (s->main < 0)
            s->main = s->obj;
    }
    for (int e = -1; e <= 1; e += 2)
        for (float at = z + 3.2f; at < -z - 1; at += rnd_in(r, 1.5f, 2.3f)) {
            s->at = frame_move(frame_unit(), v3((w / 2 - .15f) * (float)e, 0, at),
                               e > 0 ? -90.f : 90.f);
            if (chance(r, .4f))
                console(h, 1.2f, colour);
            else if (chance(r, .55f))
                pod(h, chance(r, .5f) ? WHITE : colour);
            else
                screen(s, r, v3(-.5f, 1.15f, -.18f), v3(1, 0, 0), v3(0, .6f, -.05f));
        }
}

void vr_kind_spaceship(scene *s)
{
    static const vec3 lights[4] = {
        { .85f, .95f, 1.1f }, { 1.1f, .95f, .8f }, { .6f, .8f, 1.2f }, { 1, 1, 1 }
    };
    hull h = { .s = s, .r = &s->r };
    rng *r = h.r;

    vr_room_start(&h.m, s, rnd_in(r, 3.4f, 5.8f), rnd_in(r, 6.5f, 10),
                  rnd_in(r, 2.7f, 3.4f));
    s->time = SKY_SPACE;
    s->outside = BACK_SPACE;
    s->sky = vr_sky_make(SKY_SPACE, BACK_SPACE, r);
    s->sky.sun_colour = v3s(0);
    s->lamps_on = true;
    s->key = .16f;
    s->view_gain = .8f;
    h.light = v3_mul(lights[rnd_int(r, 4)], 1.3f);
    s->hue = chance(r, .55f) ? (chance(r, .5f) ? WHITE : GREY) : rnd_int(r, COLOURS);
    const vec3 c = vr_wall_paint(s->hue, r);
    const float rough = rnd_in(r, .25f, .5f);
    h.panel = vr_material(s, (material){ .kind = MAT_PANEL,
                                         .a = c,
                                         .b = v3_mul(c, .7f),
                                         .emit = v3s(.9f),
                                         .scale = rnd_in(r, .6f, 1),
                                         .rough = rough });
    h.accent = vr_material(s, (material){ .kind = MAT_PANEL,
                                          .a = v3_mul(c, .85f),
                                          .b = vr_paint(s->accent, r),
                                          .emit = v3s(.9f),
                                          .scale = rnd_in(r, .7f, 1.1f),
                                          .rough = rough });
    h.dark = vr_material(s, (material){ .kind = MAT_PANEL,
                                        .a = v3s(.12f),
                                        .b = v3s(.2f),
                                        .emit = v3s(.6f),
                                        .scale = .8f,
                                        .rough = .5f });
    h.trim = vr_m_paint(s, chance(r, .5f) ? v3s(.08f) : v3s(.5f), .35f);
    const int floor = rnd_int(r, 3) == 0 ? s->accent : chance(r, .5f) ? BLACK : GREY;
    s->floor = vr_object(s, T_FLOOR, floor, S_METAL);
    vr_material(s, (material){ .kind = MAT_TILE,
                               .a = vr_paint(floor, r),
                               .c = v3s(.03f),
                               .rough = rnd_in(r, .12f, .4f),
                               .scale = rnd_in(r, .5f, 1) });
    s->at = frame_unit();
    vr_rect(s, v3(-h.m.w / 2, 0, h.m.d / 2), v3(h.m.w, 0, 0), v3(0, 0, -h.m.d));
    hull_section(&h);
    plating(&h);
    bow(&h);
    crew(&h);
    s->objs[s->main].main = true;
    s->eye = v3(rnd_in(r, -.5f, .5f), 1.6f, -h.m.d / 2 + rnd_in(r, 3, 4.5f));
}

/* ---- underwater hotel ---- */

static void fish(scene *s, rng *r, float size, vec3 a, vec3 b)
{
    vr_material(s, (material){ .kind = MAT_FABRIC,
                               .style = 1,
                               .a = a,
                               .b = b,
                               .rough = .4f,
                               .scale = size * .35f });
    vr_ball(s, v3s(0), v3(size * .5f, size * .24f, size * .11f), 14);
    vr_m_paint(s, b, .5f);
    const vec3 tail = v3(size * .46f, 0, 0);
    for (int e = -1; e <= 1; e += 2) {
        const uint32_t i = vr_vertex(s, tail, v3(0, 0, 1), v3s(0)),
                       j = vr_vertex(s, v3(size * .75f, size * .20f * (float)e, 0),
                                     v3(0, 0, 1), v3s(0)),
                       k = vr_vertex(s, v3(size * .62f, 0, 0), v3(0, 0, 1), v3s(0));
        vr_triangle(s, i, j, k);
    }
    const uint32_t i = vr_vertex(s, v3(-size * .1f, size * .2f, 0), v3(0, 0, 1), v3s(0)),
                   j = vr_vertex(s, v3(size * .25f, size * .36f, 0), v3(0, 0, 1), v3s(0)),
                   k = vr_vertex(s, v3(size * .28f, size * .12f, 0), v3(0, 0, 1), v3s(0));
    vr_triangle(s, i, j, k);
    vr_m_paint(s, v3s(.01f), .1f);
    for (int e = -1; e <= 1; e += 2)
        vr_ball(s, v3(-size * .36f, size * .06f, size * .075f * (float)e),
                v3s(size * .03f), 8);
    (void)r;
}

static void coral(scene *s, rng *r, float size)
{
    const int arms = 7 + rnd_int(r, 8);

    for (int i = 0; i < arms; i++) {
        const float a = (float)i * 2.4f;
        vec3 p[5], d = v3_unit(v3(cosf(a) * .6f, 1, sinf(a) * .6f));
        p[0] = v3(0, -.05f, 0);
        for (int k = 1; k < 5; k++) {
            p[k] = v3_mad(p[k - 1], d, size * .27f);
            d = v3_unit(v3_add(d, v3(rnd_gauss(r) * .3f, .1f, rnd_gauss(r) * .3f)));
        }
        vr_tube(s, p, 5, size * .055f, size * .03f, 8);
        vr_ball(s, p[4], v3s(size * .045f), 8);
        const vec3 twig[3] = {
            p[2], v3_add(p[2], v3_mul(v3(rnd_gauss(r), .8f, rnd_gauss(r)), size * .16f)),
            v3_add(p[2], v3_mul(v3(rnd_gauss(r), 2, rnd_gauss(r)), size * .17f))
        };
        vr_tube(s, twig, 3, size * .035f, size * .02f, 7);
    }
}

/* The ground of the sea before window wall k, with what lives there. */
static void reef(const room *m, int wall)
{
    static const int bright[6] = { RED, ORANGE, PINK, PURPLE, YELLOW, WHITE };
    enum { N = 30 };
    scene *s = m->s;
    rng *r = m->r;
    vec3 p[N * N];
    const frame f = frame_move(vr_wall_frame(m, wall), v3(0, -.35f, -.3f), 180);

    s->at = f; /* z leads away from the hotel */
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    vr_material(s, (material){ .kind = MAT_GROUND,
                               .style = GROUND_SAND,
                               .a = v3(.50f, .46f, .36f),
                               .rough = 1,
                               .f0 = .02f });
    for (int j = 0; j < N; j++)
        for (int i = 0; i < N; i++) {
            const float z = 60 * (float)j * (float)j / (float)((N - 1) * (N - 1)),
                        x = 90 * ((float)i / (N - 1) - .5f);
            p[j * N + i] = v3(
                x,
                .5f * sinf(x * .21f) * sinf(z * .17f) * vr_min(z * .2f, 2.5f) + .02f * z,
                z);
        }
    vr_patch(s, p, N, N, false, false);
    for (int i = 0; i < 26; i++) {
        const float z = 1.4f + 16 * rnd(r) * rnd(r), x = rnd_in(r, -.7f, .7f) * (3 + z);
        s->at = frame_move(f, v3(x, .02f * z - .1f, z), rnd_in(r, 0, 360));
        if (chance(r, .35f)) {
            vr_object(s, T_ROCK, NO_COLOUR, 0);
            vr_material(s, (material){ .kind = MAT_CONCRETE,
                                       .a = v3(.16f, .17f, .16f),
                                       .rough = .9f });
            vr_rock(s, r, rnd_in(r, .4f, 1.4f));
        } else {
            const int c = bright[rnd_int(r, 6)];
            vr_object(s, T_CORAL, c, 0);
            vr_m_paint(s, vr_paint(c, r), .8f);
            coral(s, r, rnd_in(r, .35f, 1.1f));
        }
    }
    for (int school = 0; school < 4; school++) {
        const int c = bright[rnd_int(r, 6)];
        const vec3 a = vr_paint(c, r), b = chance(r, .5f) ? v3s(.7f) : v3s(.04f);
        const float z = rnd_in(r, 1.8f, 8), y = rnd_in(r, 1, 2.6f),
                    x = rnd_in(r, -.5f, .5f) * (2 + z),
                    yaw = rnd_in(r, -40, 40) + (chance(r, .5f) ? 180.f : 0.f);
        const float size = school == 0 ? rnd_in(r, .5f, .9f) : rnd_in(r, .14f, .34f);
        vr_object(s, T_FISH, c, 0);
        const int n = school == 0 ? 1 : 4 + rnd_int(r, 9);
        s->objs[s->obj].count = n;
        for (int i = 0; i < n; i++) {
            s->at = frame_move(f,
                               v3(x + rnd_gauss(r) * .5f, y + rnd_gauss(r) * .3f,
                                  z + rnd_gauss(r) * .5f),
                               yaw + 12 * rnd_gauss(r));
            fish(s, r, size * rnd_in(r, .8f, 1.2f), a, b);
        }
    }
}

static void hotel_room(room *m, rng *r)
{
    scene *s = m->s;
    frame f;

    if (chance(r, .6f) && vr_place_wall(m, 1.9f, 2.2f, .9f, .6f, &f)) {
        s->at = f;
        s->main = vr_bed(m, rnd_in(r, 1.5f, 1.8f), rnd_int(r, COLOURS));
    } else if (vr_place_wall(m, 2.2f, .95f, .6f, 1, &f)) {
        s->at = f;
        s->main = vr_sofa(m, 2.1f, rnd_int(r, COLOURS));
        s->at = frame_move(f, v3(0, 0, 1.3f), 0);
        vr_coffee_table(m, 1, .6f, rnd_int(r, 3));
    }
    for (int i = 0; i < 2; i++)
        if (vr_place_free(m, 1, 1, .3f, &f)) {
            s->at = frame_move(f, v3(0, 0, .1f), rnd_in(r, -30, 30));
            vr_armchair(m, rnd_int(r, COLOURS));
        }
    if (vr_place_corner(m, .6f, .6f, 1.5f, &f)) {
        s->at = frame_move(f, v3(0, 0, .3f), 0);
        vr_floor_lamp(m, true, rnd_int(r, COLOURS));
    }
    if (chance(r, .6f) && vr_place_corner(m, .6f, .6f, 1.2f, &f)) {
        s->at = frame_move(f, v3(0, 0, .3f), 0);
        vr_plant(m, rnd_in(r, .8f, 1.5f), rnd_int(r, 3));
    }
    if (chance(r, .6f)) {
        s->at = frame_move(frame_unit(), v3(0, 0, 0), 0);
        vr_rug(m, rnd_in(r, 2, 3), rnd_in(r, 1.5f, 2.2f), rnd_int(r, COLOURS));
    }
    vr_room_pictures(m, 2);
}

void vr_kind_underwater(scene *s)
{
    rng *r = &s->r;
    room m;

    vr_room_start(&m, s, rnd_in(r, 4.5f, 7), rnd_in(r, 4.5f, 7), rnd_in(r, 2.7f, 3.4f));
    s->time = SKY_WATER;
    s->outside = BACK_UNDERWATER;
    s->sky = vr_sky_make(SKY_WATER, BACK_UNDERWATER, r);
    s->lamps_on = true;
    s->key = .15f;
    s->caustics = .45f;
    s->fog = 1 / rnd_in(r, 18, 30);
    s->fog_colour = v3_mix(s->sky.middle, s->sky.horizon, .4f);
    s->room_lo = v3(-m.w / 2 - .15f, -.1f, -m.d / 2 - .15f);
    s->room_hi = v3(m.w / 2 + .15f, m.h + .1f, m.d / 2 + .15f);
    const int wall = rnd_int(r, 4), second = chance(r, .6f) ? (wall + 1) & 3 : -1;
    for (int k = 0; k < 4; k++)
        if (k == wall || k == second)
            m.open[m.n_open++] = (opening){
                k, 0, vr_wall_length(&m, k) - .7f, rnd_in(r, .12f, .4f), m.h - .35f, false
            };
    vr_room_opening(&m, (wall + 2) & 3, .9f, 0, 2.1f, true);
    shell_style st = vr_shell_home(&m);
    st.ceiling_style = 0;
    vr_room_shell(&m, &st);
    for (int i = 0; i < s->n_objs; i++)
        if (s->objs[i].what == T_WINDOW)
            s->objs[i].what = T_PANE;
    hotel_room(&m, r);
    if (s->main < 0)
        s->main = s->floor;
    s->objs[s->main].main = true;
    vr_room_eye(&m, 1.55f);
    s->at = frame_unit();
    reef(&m, wall);
    if (second >= 0)
        reef(&m, second);
}
