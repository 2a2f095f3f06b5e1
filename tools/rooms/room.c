/* The shell of a room: walls with reveals, casings, skirting and cornice; windows that
 * let in sky light and sun; doors; ceilings. */
#include "tools/rooms/room.h"

#include <string.h>

void vr_room_start(room *m, scene *s, float w, float d, float h)
{
    rng *r = &s->r;

    *m = (room){ .s = s, .r = r, .w = w, .d = d, .h = h };
    s->indoor = true;
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    m->wood = vr_wood(r, &m->wood_name);
    m->wood2 = chance(r, .6f) ? m->wood : vr_wood(r, NULL);
    m->wood_mat = vr_m_wood(s, m->wood, rnd_in(r, .22f, .45f));
    m->wood2_mat = vr_m_wood(s, m->wood2, rnd_in(r, .25f, .45f));
    m->metal_mat = vr_m_metal(s, rnd_int(r, 5), .22f);
    m->white_mat = vr_m_paint(s, v3s(rnd_in(r, .72f, .82f)), .4f);
    m->dark_mat = vr_m_paint(s, v3s(.03f), .35f);
}

frame vr_wall_frame(const room *m, int wall)
{
    static const float yaw[4] = { 0, -90, 180, 90 };
    const vec3 at[4] = { v3(0, 0, -m->d / 2), v3(m->w / 2, 0, 0), v3(0, 0, m->d / 2),
                         v3(-m->w / 2, 0, 0) };

    return frame_move(frame_unit(), at[wall], yaw[wall]);
}

float vr_wall_length(const room *m, int wall)
{
    return wall & 1 ? m->d : m->w;
}

bool vr_room_opening(room *m, int wall, float w, float sill, float head, bool door)
{
    const float half = vr_wall_length(m, wall) / 2 - .25f - w / 2;

    if (m->n_open == MAX_OPENINGS || half < 0)
        return false;
    for (int k = 0; k < 20; k++) {
        const float x =
            door ? (chance(m->r, .5f) ? 1.f : -1.f) * half * rnd_in(m->r, .6f, 1)
                 : half * rnd_in(m->r, -1, 1) * .9f;
        bool ok = true;
        for (int i = 0; i < m->n_open; i++)
            if (m->open[i].wall == wall &&
                fabsf(m->open[i].x - x) < (m->open[i].w + w) / 2 + .3f)
                ok = false;
        if (!ok)
            continue;
        m->open[m->n_open++] = (opening){ wall, x, w, sill, head, door };
        if (door) {
            const frame f = frame_move(vr_wall_frame(m, wall), v3(x, 0, 0), 0);
            vr_take(m, &f, w + .1f, .9f, 2.1f);
        }
        return true;
    }
    return false;
}

/* A piece of wall in the wall's frame; tex is the place on the wall. */
static void wall_piece(scene *s, float x0, float x1, float y0, float y1)
{
    if (x1 - x0 < 1e-3f || y1 - y0 < 1e-3f)
        return;
    const vec3 n = v3(0, 0, 1);
    const uint32_t a = vr_vertex(s, v3(x0, y0, 0), n, v3(x0 + 20, y0, 0)),
                   b = vr_vertex(s, v3(x1, y0, 0), n, v3(x1 + 20, y0, 0));
    const uint32_t c = vr_vertex(s, v3(x1, y1, 0), n, v3(x1 + 20, y1, 0)),
                   d = vr_vertex(s, v3(x0, y1, 0), n, v3(x0 + 20, y1, 0));

    vr_triangle(s, a, b, c);
    vr_triangle(s, a, c, d);
}

static void window_frame(room *m, const opening *o)
{
    scene *s = m->s;
    const float w = o->w, h = o->head - o->sill, t = .06f;
    const int bars = w > 2.2f ? 3 : w > 1.1f ? 2 : 1;

    s->at = frame_move(s->at, v3(o->x, o->sill, -.16f), 0);
    const int window = vr_object(s, T_WINDOW, NO_COLOUR, 0);
    s->mat = m->white_mat;
    vr_box(s, v3(-w / 2, 0, 0), v3(w / 2, t, .06f), .006f);
    vr_box(s, v3(-w / 2, h - t, 0), v3(w / 2, h, .06f), .006f);
    for (int i = 0; i <= bars; i++) {
        const float x = -w / 2 + t / 2 + (w - t) * (float)i / (float)bars;
        vr_box(s, v3(x - t / 2, 0, 0), v3(x + t / 2, h, .06f), .006f);
    }
    if (h > 1.1f && chance(m->r, .5f))
        vr_box(s, v3(-w / 2, h * .68f, .01f), v3(w / 2, h * .68f + .04f, .05f), .006f);
    /* casing and sill inside */
    vr_box(s, v3(-w / 2 - .08f, -.06f, .155f), v3(-w / 2, h + .08f, .18f), .004f);
    vr_box(s, v3(w / 2, -.06f, .155f), v3(w / 2 + .08f, h + .08f, .18f), .004f);
    vr_box(s, v3(-w / 2 - .1f, h, .155f), v3(w / 2 + .1f, h + .09f, .185f), .004f);
    vr_box(s, v3(-w / 2 - .1f, -.035f, .04f), v3(w / 2 + .1f, 0, .24f), .006f);
    /* the portal and the way of the sun */
    const vec3 lo = frame_point(&s->at, v3(-w / 2, 0, .03f));
    const vec3 u = v3_mul(s->at.x, w), v = v3_mul(s->at.y, h);
    if (s->n_windows < 16) {
        s->window_obj[s->n_windows] = window;
        vec3 *q = s->windows[s->n_windows++];
        q[0] = lo;
        q[1] = v3_add(lo, u);
        q[2] = v3_add(q[1], v);
        q[3] = v3_add(lo, v);
    }
    vr_add_light(s, (light){ .shape = LIGHT_PORTAL,
                             .o = v3_mad(v3_mad(lo, u, .5f), v, .5f),
                             .u = v3_mul(u, .5f),
                             .v = v3_mul(v, .5f),
                             .n = s->at.z,
                             .emit = v3s(1) });
}

static void door_leaf(room *m, const opening *o)
{
    scene *s = m->s;
    const float w = o->w, h = o->head;
    const int colour = chance(m->r, .6f) ? WHITE : vr_pick_colour(s, m->r, true);

    s->at = frame_move(s->at, v3(o->x, 0, -.10f), 0);
    const bool wood = chance(m->r, .4f);
    vr_object(s, T_DOOR, wood ? m->wood_name : colour, wood ? S_WOOD : 0);
    s->mat = wood ? m->wood_mat : vr_m_paint(s, vr_paint(colour, m->r), .35f);
    const int leaf = s->mat;
    vr_box(s, v3(-w / 2, 0, 0), v3(w / 2, h, .04f), .003f);
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) { /* raised panels */
            const float x0 = -w / 2 + .1f + (w - .1f) / 2 * (float)i,
                        y0 = j ? h * .48f : .14f;
            vr_box(s, v3(x0, y0, .03f),
                   v3(x0 + w / 2 - .15f, j ? h - .14f : h * .42f, .052f), .012f);
        }
    s->mat = m->metal_mat;
    vr_ball(s, v3(w / 2 - .07f, 1.02f, .09f), v3s(.028f), 16);
    vr_rod(s, v3(w / 2 - .07f, 1.02f, .03f), v3(w / 2 - .07f, 1.02f, .09f), .012f, .012f,
           10);
    s->mat = wood ? leaf : m->white_mat;
    vr_box(s, v3(-w / 2 - .08f, 0, .095f), v3(-w / 2, h + .08f, .12f), .004f);
    vr_box(s, v3(w / 2, 0, .095f), v3(w / 2 + .08f, h + .08f, .12f), .004f);
    vr_box(s, v3(-w / 2 - .09f, h, .095f), v3(w / 2 + .09f, h + .09f, .125f), .004f);
}

/* Reveals of an opening of depth t. */
static void reveals(scene *s, const opening *o, float t)
{
    const float x0 = o->x - o->w / 2, x1 = o->x + o->w / 2, y0 = o->sill, y1 = o->head;

    vr_rect(s, v3(x0, y0, -t), v3(0, 0, t), v3(0, y1 - y0, 0));
    vr_rect(s, v3(x1, y0, 0), v3(0, 0, -t), v3(0, y1 - y0, 0));
    vr_rect(s, v3(x0, y1, 0), v3(x1 - x0, 0, 0), v3(0, 0, -t));
    vr_rect(s, v3(x0, y0, -t), v3(x1 - x0, 0, 0), v3(0, 0, t));
}

static void strip(scene *s, float x0, float x1, float y0, float y1, float deep)
{
    if (x1 - x0 > .01f)
        vr_box(s, v3(x0, y0, -.01f), v3(x1, y1, deep), .004f);
}

void vr_room_wall(room *m, const shell_style *st, int k, frame f, float half,
                  float height)
{
    scene *s = m->s;
    float edge = -half;
    opening order[MAX_OPENINGS];
    int n = 0;

    for (int i = 0; i < m->n_open; i++)
        if (m->open[i].wall == k) {
            int at = n++;
            for (; at > 0 && order[at - 1].x > m->open[i].x; at--)
                order[at] = order[at - 1];
            order[at] = m->open[i];
        }
    const int mat = st->accent_wall == k ? st->accent_mat : st->wall_mat;
    for (int i = 0; i <= n; i++) {
        const float x0 = i < n ? order[i].x - order[i].w / 2 : half,
                    x1 = i < n ? order[i].x + order[i].w / 2 : half;
        s->at = f;
        s->obj = st->accent_wall == k ? 0 : s->wall;
        s->mat = mat;
        const float low = st->dado > 0 ? st->dado : 0;
        wall_piece(s, edge, x0, low, height);
        if (i < n) {
            wall_piece(s, x0, x1, order[i].head, height);
            wall_piece(s, x0, x1, fminf(low, order[i].sill), fmaxf(order[i].sill, 0));
        }
        if (low > 0) {
            s->mat = st->dado_mat;
            s->obj = 0;
            wall_piece(s, edge, x0, 0, low);
            if (i < n)
                wall_piece(s, x0, x1, 0, fminf(low, order[i].sill));
        }
        s->obj = 0;
        s->mat = m->white_mat;
        if (low > 0 && low < height - .5f)
            strip(s, edge, x0, low - .01f, low + .03f, .025f);
        if (!m->no_skirting && k < 4)
            strip(s, edge, x0, 0, .09f, .016f);
        if (i < n) {
            if (!order[i].door && !m->no_skirting && k < 4)
                strip(s, x0, x1, 0, .09f, .016f);
            s->mat = mat;
            s->obj = 0;
            reveals(s, &order[i], order[i].door ? .1f : .16f);
            s->at = f;
            if (order[i].door)
                door_leaf(m, &order[i]);
            else
                window_frame(m, &order[i]);
        }
        edge = x1;
    }
    if (!m->no_crown && k < 4) {
        s->at = f;
        s->obj = 0;
        s->mat = m->white_mat;
        strip(s, -half, half, height - .05f, height, .05f);
        strip(s, -half, half, height - .09f, height - .05f, .02f);
    }
}

static void ceiling(room *m, const shell_style *st)
{
    scene *s = m->s;

    s->at = frame_unit();
    s->ceiling = vr_object(s, T_CEILING, NO_COLOUR, 0);
    s->mat = st->ceiling_mat;
    vr_rect(s, v3(-m->w / 2, m->h, -m->d / 2), v3(m->w, 0, 0), v3(0, 0, m->d));
    if (st->ceiling_style == 1) { /* beams across the shorter way */
        const bool along_x = m->w < m->d;
        const float len = along_x ? m->d : m->w;
        const int n = (int)(len / rnd_in(m->r, .9f, 1.4f));
        s->mat = m->wood_mat;
        vr_object(s, T_BEAM, m->wood_name, S_WOOD);
        for (int i = 0; i < n; i++) {
            const float at = -len / 2 + len * ((float)i + .5f) / (float)n;
            const vec3 base = along_x ? v3(0, m->h - .17f, at) : v3(at, m->h - .17f, 0);
            vr_block(s, base, along_x ? v3(m->w, .18f, .14f) : v3(.14f, .18f, m->d),
                     .008f);
        }
    } else if (st->ceiling_style == 3) {
        s->obj = 0;
        s->mat = m->white_mat;
        for (int i = 1; i < 4; i++) {
            vr_block(s, v3(0, m->h - .11f, -m->d / 2 + m->d * (float)i / 4),
                     v3(m->w, .12f, .18f), .01f);
            vr_block(s, v3(-m->w / 2 + m->w * (float)i / 4, m->h - .11f, 0),
                     v3(.18f, .12f, m->d), .01f);
        }
    }
}

void vr_room_shell(room *m, const shell_style *st)
{
    scene *s = m->s;

    s->at = frame_unit();
    s->floor = vr_object(s, T_FLOOR, st->floor_colour, st->floor_stuff);
    s->mat = st->floor_mat;
    vr_rect(s, v3(-m->w / 2, 0, m->d / 2), v3(m->w, 0, 0), v3(0, 0, -m->d));
    s->wall = vr_object(s, T_WALL, st->wall_colour, st->wall_stuff);
    for (int k = 0; k < 4; k++)
        vr_room_wall(m, st, k, vr_wall_frame(m, k), vr_wall_length(m, k) / 2, m->h);
    ceiling(m, st);
    s->at = frame_unit();
}

static int floor_mat(room *m, shell_style *st)
{
    scene *s = m->s;
    rng *r = m->r;
    const float t = rnd(r);

    if (t < .58f) {
        vec3 c = vr_wood(r, &st->floor_colour);
        st->floor_stuff = chance(r, .3f) ? S_PARQUET : S_WOOD;
        const float bw = st->floor_stuff == S_PARQUET ? .09f : rnd_in(r, .11f, .19f);
        return vr_material(s,
                           (material){ .kind = MAT_PLANKS,
                                       .a = c,
                                       .rough = rnd_in(r, .10f, .32f),
                                       .scale = bw,
                                       .style = st->floor_stuff == S_PARQUET ? 1 : 0 });
    }
    if (t < .8f) {
        st->floor_colour = vr_pick_colour(s, r, true);
        st->floor_stuff = S_CARPET;
        return vr_material(s, (material){ .kind = MAT_CARPET,
                                          .a = vr_paint(st->floor_colour, r),
                                          .rough = 1,
                                          .f0 = .02f });
    }
    if (t < .92f) {
        const bool check = chance(r, .35f);
        st->floor_colour = check ? NO_COLOUR : vr_pick_colour(s, r, true);
        st->floor_stuff = S_TILE;
        const vec3 a = check ? v3s(.75f) : vr_paint(st->floor_colour, r);
        return vr_material(s, (material){ .kind = MAT_TILE,
                                          .style = check ? 1 : 0,
                                          .a = a,
                                          .b = v3s(.03f),
                                          .c = v3s(.4f),
                                          .rough = rnd_in(r, .05f, .25f),
                                          .scale = rnd_in(r, .3f, .6f) });
    }
    const bool dark = chance(r, .3f);
    st->floor_colour = dark ? BLACK : WHITE;
    st->floor_stuff = S_MARBLE;
    return vr_material(s, (material){ .kind = MAT_MARBLE,
                                      .a = dark ? v3s(.03f) : v3(.74f, .73f, .70f),
                                      .b = dark ? v3s(.4f) : v3(.32f, .31f, .31f),
                                      .rough = .06f,
                                      .scale = 1.3f });
}

shell_style vr_shell_home(room *m)
{
    scene *s = m->s;
    rng *r = m->r;
    shell_style st = { .accent_wall = -1 };
    const float t = rnd(r);

    st.wall_colour = chance(r, .28f) ? WHITE : rnd_int(r, COLOURS);
    if (st.wall_colour == BLACK && chance(r, .6f))
        st.wall_colour = GREY;
    const vec3 c = vr_wall_paint(st.wall_colour, r);
    if (t < .74f) {
        st.wall_mat = vr_m_paint(s, c, .8f);
    } else if (t < .88f) {
        st.wall_stuff = S_PAPER;
        st.wall_mat =
            vr_material(s, (material){ .kind = MAT_WALLPAPER,
                                       .style = rnd_int(r, 3),
                                       .a = c,
                                       .b = v3_mul(c, chance(r, .5f) ? .8f : 1.12f),
                                       .rough = .8f,
                                       .scale = rnd_in(r, .12f, .35f) });
    } else if (t < .96f) {
        st.wall_stuff = S_BRICK;
        st.wall_colour = chance(r, .35f) ? WHITE : NO_COLOUR;
        const bool white = st.wall_colour == WHITE;
        st.wall_mat =
            vr_material(s, (material){ .kind = MAT_BRICK,
                                       .a = white ? v3s(.74f) : v3(.34f, .12f, .07f),
                                       .b = white ? v3s(.66f) : v3(.24f, .10f, .06f),
                                       .c = white ? v3s(.62f) : v3(.42f, .40f, .36f),
                                       .rough = .85f });
    } else {
        st.wall_stuff = S_CONCRETE;
        st.wall_colour = GREY;
        st.wall_mat = vr_material(s, (material){ .kind = MAT_CONCRETE,
                                                 .style = 1,
                                                 .a = v3s(.26f),
                                                 .rough = .75f,
                                                 .scale = 1.2f });
    }
    if (chance(r, .15f)) {
        st.accent_wall = rnd_int(r, 4);
        st.accent_mat = vr_m_paint(s, vr_wall_paint(rnd_int(r, COLOURS), r), .8f);
    }
    st.floor_mat = floor_mat(m, &st);
    st.ceiling_mat = vr_m_paint(s, v3s(rnd_in(r, .76f, .84f)), .85f);
    st.ceiling_style = chance(r, .15f) ? 1 : chance(r, .1f) ? 3 : 0;
    if (chance(r, .12f)) {
        st.dado = rnd_in(r, .85f, 1.1f);
        st.dado_mat = chance(r, .5f) ? m->white_mat
                                     : vr_material(s, (material){ .kind = MAT_PLANKS,
                                                                  .a = m->wood2,
                                                                  .rough = .35f,
                                                                  .scale = .3f,
                                                                  .style = 2 });
    }
    return st;
}

void vr_curtains(room *m, const opening *o, int colour)
{
    enum { NU = 140, NV = 20 };
    scene *s = m->s;
    rng *r = m->r;
    const float top = fminf(o->head + .18f, m->h - .08f),
                bottom = o->sill < .3f || chance(r, .7f) ? .02f : o->sill - .15f;
    const float each = o->w * rnd_in(r, .18f, .34f);
    const frame f = frame_move(vr_wall_frame(m, o->wall), v3(o->x, 0, .10f), 0);
    vec3 p[NU * NV];

    s->at = f;
    vr_object(s, T_CURTAIN, colour, S_FABRIC);
    s->mat = m->metal_mat;
    vr_rod(s, v3(-o->w / 2 - .35f, top + .03f, 0), v3(o->w / 2 + .35f, top + .03f, 0),
           .012f, .012f, 10);
    vr_ball(s, v3(-o->w / 2 - .36f, top + .03f, 0), v3s(.028f), 12);
    vr_ball(s, v3(o->w / 2 + .36f, top + .03f, 0), v3s(.028f), 12);
    vr_m_fabric(s, vr_paint(colour, r), r);
    s->mats[s->mat].through = .35f;
    for (int side = -1; side <= 1; side += 2) {
        const float x0 = (float)side * (o->w / 2 + .26f), ph = rnd_in(r, 0, 6);
        for (int j = 0; j < NV; j++)
            for (int i = 0; i < NU; i++) {
                const float t = (float)i / (NU - 1), v = (float)j / (NV - 1),
                            y = vr_mix(bottom, top, v);
                const float amp = .045f * vr_mix(1, .72f, v);
                const float z =
                    amp * sinf(2 * VR_PI * 8 * t + .6f * sinf(3 * t + y + ph)) +
                    .012f * sinf(23 * t + 2 * y);
                p[j * NU + (side < 0 ? i : NU - 1 - i)] =
                    v3(x0 - (float)side * each * t * vr_mix(1.06f, .98f, v), y, z);
            }
        vr_patch(s, p, NU, NV, false, false);
    }
}
