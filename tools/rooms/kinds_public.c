/* Rooms for many people, and two exotic ones. */
#include "tools/rooms/kinds.h"

static int ceiling_panels(room *m)
{
    return vr_material(m->s, (material){ .kind = MAT_TILE,
                                         .a = v3s(.78f),
                                         .c = v3s(.45f),
                                         .rough = .9f,
                                         .scale = .6f });
}

/* Bright panels let into the ceiling; each is a light when on. */
static void light_panels(room *m, int nx, int nz, float w, float d, vec3 tint,
                         float power)
{
    scene *s = m->s;

    for (int j = 0; j < nz; j++)
        for (int i = 0; i < nx; i++) {
            const float x = m->w * (((float)i + .5f) / (float)nx - .5f),
                        z = m->d * (((float)j + .5f) / (float)nz - .5f);
            s->at = frame_move(frame_unit(), v3(x, m->h - .012f, z), 0);
            vr_object(s, T_CEILING_LAMP, NO_COLOUR, 0);
            s->mat = m->white_mat;
            vr_box(s, v3(-w / 2 - .03f, -.006f, -d / 2 - .03f),
                   v3(w / 2 + .03f, .01f, d / 2 + .03f), .002f);
            vr_m_emit(s, s->lamps_on ? v3_mul(tint, 1.25f) : v3s(0), true);
            if (!s->lamps_on)
                vr_m_paint(s, v3s(.8f), .4f);
            vr_rect(s, v3(-w / 2, -.008f, -d / 2), v3(w, 0, 0), v3(0, 0, d));
            if (s->lamps_on)
                vr_add_light(s, (light){ .shape = LIGHT_RECT,
                                         .o = frame_point(&s->at, v3(0, -.015f, 0)),
                                         .u = v3(w / 2, 0, 0),
                                         .v = v3(0, 0, d / 2),
                                         .n = v3(0, -1, 0),
                                         .emit = v3_mul(tint, power / (w * d)) });
        }
}

void vr_kind_office(scene *s)
{
    room m;
    rng *r = &s->r;
    frame f;
    const bool big = chance(r, .5f);

    vr_room_start(&m, s, big ? rnd_in(r, 6, 9) : rnd_in(r, 3.5f, 5),
                  big ? rnd_in(r, 6, 10) : rnd_in(r, 3.5f, 5), rnd_in(r, 2.6f, 3));
    vr_room_light(&m);
    s->lamps_on = s->lamps_on || chance(r, .5f);
    vr_room_windows(&m, .6f, .95f, true);
    vr_room_windows(&m, .6f, .95f, big);
    vr_room_opening(&m, rnd_int(r, 4), .9f, 0, 2.1f, true);
    shell_style st = vr_shell_home(&m);
    st.dado = 0;
    if (chance(r, .6f)) {
        st.floor_colour = vr_pick_colour(s, r, true);
        st.floor_stuff = S_CARPET;
        st.floor_mat = vr_material(s, (material){ .kind = MAT_CARPET,
                                                  .a = vr_paint(st.floor_colour, r),
                                                  .rough = 1,
                                                  .f0 = .02f });
    }
    if (chance(r, .7f)) {
        st.ceiling_mat = ceiling_panels(&m);
        st.ceiling_style = 2;
    }
    vr_room_shell(&m, &st);
    const int cc = rnd_int(r, COLOURS),
              desks = big ? 4 + rnd_int(r, 4) : 1 + rnd_int(r, 2);
    for (int i = 0; i < desks; i++) {
        const float w = rnd_in(r, 1.3f, 1.7f);
        const bool ok = i < 2 ? vr_place_wall(&m, w, .75f, .8f, 1.0f, &f)
                              : vr_place_free(&m, w, 1.7f, .1f, &f);
        if (!ok)
            continue;
        s->at = f;
        const int d = vr_desk(&m, w);
        if (s->main < 0)
            s->main = d;
        s->at = frame_move(f, v3(rnd_in(r, -.2f, .1f), .74f, .02f), 0);
        vr_computer(&m);
        s->at = frame_move(f, v3(w * .36f, .74f, .05f), 0);
        vr_clutter(&m, .3f, .5f, 1);
        s->at =
            frame_move(f, v3(rnd_in(r, -.1f, .1f), 0, 1.3f), 180 + rnd_in(r, -40, 40));
        vr_office_chair(&m, cc);
        if (chance(r, .3f)) {
            s->at = frame_move(f, v3(-w * .4f, .74f, .2f), 0);
            vr_table_lamp(&m, s->lamps_on, rnd_int(r, COLOURS));
        }
    }
    if (s->main >= 0)
        s->objs[s->main].main = true;
    const float sw = rnd_in(r, .9f, 2.4f), sh = rnd_in(r, 1.2f, 2.1f);
    if (chance(r, .8f) && vr_place_wall(&m, sw, .36f, sh, .5f, &f)) {
        s->at = f;
        vr_shelf(&m, sw, sh, 0);
    }
    if (chance(r, .6f) && vr_place_wall(&m, 2, .1f, 2.1f, .5f, &f)) {
        s->at = f;
        vr_whiteboard(&m, 1.8f, 1.1f, false);
    }
    for (int i = 0; i < 2 + rnd_int(r, 2); i++)
        if (vr_place_corner(&m, .6f, .6f, .5f, &f)) {
            s->at = frame_move(f, v3(0, 0, .3f), 0);
            vr_plant(&m, rnd_in(r, .9f, 1.7f), rnd_int(r, 3));
        }
    vr_room_pictures(&m, 1 + rnd_int(r, 3));
    if (st.ceiling_style == 2)
        light_panels(&m, big ? 2 : 1, big ? 3 : 2, .6f, 1.2f, v3(1, .96f, .9f),
                     big ? 1.3f : 1.5f);
    else
        vr_room_lamps(&m, big ? 2 : 1, big ? 2 : 1, rnd_int(r, 4), 1.3f);
    vr_room_eye(&m, rnd_in(r, 1.45f, 1.65f));
}

/* One row with an aisle in the middle. */
static void seat_row(room *m, float half, int obj, int seat_mat)
{
    scene *s = m->s;
    const float aisle = .65f;

    for (int k = -1; k <= 1; k += 2) {
        const float a = k < 0 ? -half : aisle, b = k < 0 ? -aisle : half;
        s->obj = 0;
        s->mat = m->wood_mat;
        vr_box(s, v3(a, .72f, .06f), v3(b, .75f, .38f), .006f);
        vr_box(s, v3(a, .1f, .06f), v3(b, .72f, .085f), .004f);
        s->obj = obj;
        const int n = (int)((b - a) / .58f);
        for (int c = 0; c < n; c++) {
            const float x = a + (b - a) * ((float)c + .5f) / (float)n;
            s->mat = seat_mat;
            vr_box(s, v3(x - .23f, .42f, .45f), v3(x + .23f, .49f, .85f), .025f);
            const frame keep = s->at;
            s->at = frame_pitch(frame_move(keep, v3(x, .48f, .86f), 0), 10);
            vr_box(s, v3(-.23f, 0, -.03f), v3(.23f, .42f, .03f), .025f);
            s->at = keep;
            s->mat = m->dark_mat;
            vr_box(s, v3(x - .03f, 0, .62f), v3(x + .03f, .43f, .7f), 0);
        }
    }
}

void vr_kind_lecture(scene *s)
{
    room m;
    rng *r = &s->r;
    const float rise = rnd_in(r, .16f, .3f), tread = rnd_in(r, .95f, 1.1f);

    vr_room_start(&m, s, rnd_in(r, 9, 14), rnd_in(r, 10, 15), 4.2f);
    vr_room_light(&m);
    s->lamps_on = s->lamps_on || chance(r, .7f);
    const int rows = (int)((m.d - 5.2f) / tread);
    m.h = fmaxf(rise * (float)rows + 3, 4.2f);
    m.no_crown = m.no_skirting = true;
    for (int i = 0; i < 3 && chance(r, .75f); i++)
        vr_room_opening(&m, 1, rnd_in(r, 1.5f, 2.4f), 1.9f, m.h - .7f, false);
    vr_room_opening(&m, 0, 1, 0, 2.1f, true);
    const int wc = chance(r, .35f) ? WHITE : rnd_int(r, COLOURS),
              fc = vr_pick_colour(s, r, false);
    shell_style st = {
        .accent_wall = -1, .wall_colour = wc, .floor_colour = fc, .floor_stuff = S_CARPET
    };
    if (chance(r, .4f)) {
        st.wall_stuff = S_WOOD;
        st.wall_colour = m.wood_name;
        st.wall_mat = vr_material(s, (material){ .kind = MAT_PLANKS,
                                                 .a = m.wood,
                                                 .rough = .4f,
                                                 .scale = .35f,
                                                 .style = 2 });
    } else {
        st.wall_mat = vr_m_paint(s, vr_wall_paint(wc, r), .8f);
    }
    st.floor_mat = vr_material(
        s,
        (material){ .kind = MAT_CARPET, .a = vr_paint(fc, r), .rough = 1, .f0 = .02f });
    st.ceiling_mat = ceiling_panels(&m);
    vr_room_shell(&m, &st);
    /* rising rows towards the near wall */
    const int seat = rnd_int(r, COLOURS);
    const float z0 = -m.d / 2 + 5.0f, half = m.w / 2 - 1.2f;
    const int seat_mat = chance(r, .5f) ? vr_m_fabric(s, vr_paint(seat, r), r)
                                        : vr_m_paint(s, vr_paint(seat, r), .3f);
    for (int i = 0; i < rows; i++) {
        const float y = rise * (float)i, z = z0 + tread * (float)i;
        s->at = frame_unit();
        s->obj = s->floor;
        s->mat = st.floor_mat;
        if (i > 0)
            vr_box(s, v3(-m.w / 2, 0, z), v3(m.w / 2, y, m.d / 2), 0);
        s->at = frame_move(frame_unit(), v3(0, y, z), 0);
        const int obj = vr_object(s, T_SEATS, seat, 0);
        if (i == 0)
            s->main = obj;
        seat_row(&m, half, obj, seat_mat);
    }
    s->objs[s->main].main = true;
    s->at = vr_wall_frame(&m, 0);
    const bool board = chance(r, .4f);
    s->at = frame_move(s->at, v3(board ? -1.5f : 0, 0, 0), 0);
    if (board) {
        vr_whiteboard(&m, 3.6f, 1.3f, chance(r, .7f));
        s->at = frame_move(s->at, v3(3.3f, 0, 0), 0);
        vr_projection(&m, 2.4f);
    } else {
        vr_projection(&m, rnd_in(r, 3.2f, 4.4f));
    }
    s->at = frame_move(frame_unit(), v3(rnd_in(r, -3, -1.8f), 0, -m.d / 2 + 1.8f), 0);
    vr_lectern(&m);
    s->at = frame_move(frame_unit(), v3(rnd_in(r, .5f, 1.5f), 0, -m.d / 2 + 1.5f), 0);
    vr_table(&m, 2, .8f, .78f, 0);
    light_panels(&m, 2, 3, .4f, 2, v3(1, .96f, .9f), 5);
    const int row = 1 + rnd_int(r, rows > 4 ? rows / 2 : 1);
    s->eye = chance(r, .5f)
                 ? v3(0, 1.55f, -m.d / 2 + 3.4f)
                 : v3(0, rise * (float)row + 1.5f, z0 + tread * (float)row + .2f);
}

void vr_kind_library(scene *s)
{
    room m;
    rng *r = &s->r;
    frame f;

    vr_room_start(&m, s, rnd_in(r, 6, 10), rnd_in(r, 6, 10), rnd_in(r, 2.9f, 4.2f));
    vr_room_light(&m);
    vr_room_windows(&m, .6f, 1, true);
    vr_room_opening(&m, rnd_int(r, 4), 1, 0, 2.2f, true);
    shell_style st = vr_shell_home(&m);
    if (chance(r, .3f))
        st.ceiling_style = 1;
    vr_room_shell(&m, &st);
    const float h = fminf(m.h - .25f, rnd_in(r, 2.1f, 3.4f));
    for (int wall = 0; wall < 4; wall++)
        for (int i = 0; i < 6; i++) {
            const float w = rnd_in(r, 1.4f, 2.2f);
            if (!vr_place_on(&m, wall, w, .34f, h, .6f, &f))
                continue;
            s->at = f;
            const int obj = vr_shelf(&m, w, h, 1);
            if (s->main < 0)
                s->main = obj;
            if (h > 2.5f && chance(r, .12f)) {
                s->at = frame_move(f, v3(0, 0, .36f), 0);
                vr_ladder(&m, h);
            }
        }
    if (m.w > 7.5f)
        for (int i = 0; i < 2; i++)
            if (vr_place_free(&m, 2.2f, .7f, .45f, &f)) { /* low cases back to back */
                s->at = f;
                vr_shelf(&m, 2.2f, 1.2f, 1);
                s->at = frame_move(f, v3(0, 0, .7f), 180);
                vr_shelf(&m, 2.2f, 1.2f, 1);
                m.took[m.n_took - 1].top = 1.2f;
            }
    for (int i = 0; i < 1 + rnd_int(r, 2); i++)
        if (vr_place_free(&m, 1.9f, 2, .1f, &f)) {
            s->at = frame_move(f, v3(0, 0, .55f), 0);
            vr_table(&m, 1.8f, .9f, .76f, 0);
            s->at = frame_move(f, v3(-.4f, .76f, .95f), 0);
            vr_table_lamp(&m, s->lamps_on || chance(r, .5f), GREEN);
            s->at = frame_move(f, v3(.3f, .76f, .7f), 0);
            vr_clutter(&m, 1, .6f, 2);
            for (int k = 0; k < 4; k++) {
                s->at = frame_move(f, v3(k & 1 ? .45f : -.45f, 0, k & 2 ? 1.75f : .25f),
                                   (k & 2 ? 180.f : 0.f) + rnd_in(r, -10, 10));
                vr_chair(&m, BROWN, 0);
            }
        }
    for (int i = 0; i < 2; i++)
        if (vr_place_free(&m, .95f, .95f, .15f, &f)) {
            s->at = f;
            vr_armchair(&m, rnd_int(r, COLOURS));
        }
    if (chance(r, .5f) && vr_place_free(&m, .6f, .6f, .1f, &f)) {
        s->at = f;
        vr_globe(&m);
    }
    if (s->main >= 0)
        s->objs[s->main].main = true;
    s->at = frame_move(frame_unit(), v3(0, 0, 0), 0);
    if (chance(r, .6f))
        vr_rug(&m, rnd_in(r, 2.5f, 3.5f), rnd_in(r, 2, 2.6f), rnd_int(r, COLOURS));
    vr_room_lamps(&m, 2, 2, 1 + rnd_int(r, 3), 1.4f);
    vr_room_eye(&m, 1.58f);
}

static void neon(scene *s, vec3 a, vec3 b, int colour, float power, rng *r)
{
    const vec3 c = vr_paint(colour, r),
               e = v3_mul(v3_mix(c, v3_mul(v3_had(c, c), 2), .5f), 3.2f);

    vr_object(s, T_NEON, colour, 0);
    s->to = &s->veil;
    vr_m_emit(s, e, true);
    vr_rod(s, a, b, .018f, .018f, 8);
    s->to = &s->solid;
    if (power > 0)
        for (int i = 0; i < 2; i++)
            vr_add_light(
                s, (light){ .shape = LIGHT_BALL,
                            .o = frame_point(&s->at, v3_mad(v3_mix(a, b, i ? .75f : .25f),
                                                            v3(0, -1, 0), .08f)),
                            .r = .12f,
                            .emit = v3_mul(e, power / (VR_PI * .0144f) * .5f /
                                                  fmaxf(v3_max(e), .1f)) });
}

void vr_kind_arcade(scene *s)
{
    static const int bright[6] = { RED, PURPLE, BLUE, PINK, GREEN, ORANGE };
    room m;
    rng *r = &s->r;
    frame f;

    vr_room_start(&m, s, rnd_in(r, 7, 11), rnd_in(r, 7, 11), rnd_in(r, 2.9f, 3.6f));
    s->time = SKY_NIGHT;
    s->sky = vr_sky_make(SKY_NIGHT, BACK_CITY, r);
    s->lamps_on = true;
    s->key = .10f;
    const int wc = chance(r, .5f) ? PURPLE : rnd_int(r, COLOURS),
              fc = chance(r, .5f) ? BLUE : PURPLE;
    shell_style st = {
        .accent_wall = -1, .wall_colour = wc, .floor_colour = fc, .floor_stuff = S_CARPET
    };
    st.wall_mat = vr_m_paint(s, v3_mul(vr_paint(wc, r), .8f), .6f);
    st.floor_mat = vr_material(
        s, (material){ .kind = MAT_CARPET,
                       .style = 1,
                       .a = fc == BLUE ? v3(.02f, .03f, .12f) : v3(.06f, .02f, .11f),
                       .b = vr_paint(bright[rnd_int(r, 6)], r),
                       .c = vr_paint(bright[rnd_int(r, 6)], r),
                       .scale = .5f,
                       .rough = 1,
                       .f0 = .02f,
                       .emit = v3s(.08f) });
    st.ceiling_mat = vr_m_paint(s, v3s(.02f), .8f);
    vr_room_opening(&m, rnd_int(r, 4), 1, 0, 2.1f, true);
    vr_room_shell(&m, &st);
    for (int i = 0; i < 5; i++) {
        const int c = bright[rnd_int(r, 6)], wall = i & 3;
        const float y = i < 4 ? m.h - .35f : 0, half = vr_wall_length(&m, wall) / 2 - .3f;
        s->at = frame_move(vr_wall_frame(&m, wall), v3(0, 0, .06f), 0);
        if (i < 4)
            neon(s, v3(-half, y, 0), v3(half, y, 0), c, 1.1f, r);
    }
    for (int i = 0; i < 4; i++) {
        s->at = frame_move(frame_unit(),
                           v3(m.w * ((float)(i & 1) - .5f) * .5f, m.h - .06f,
                              m.d * ((float)(i >> 1) - .5f) * .5f),
                           0);
        neon(s, v3(-1.2f, 0, 0), v3(1.2f, 0, 0), bright[rnd_int(r, 6)], .9f, r);
    }
    int n = 0;
    const int same = rnd_int(r, COLOURS);
    for (int wall = 0; wall < 4; wall++)
        for (int i = 0; i < 7; i++)
            if (vr_place_on(&m, wall, .78f, .8f, 1.8f, .9f, &f)) {
                s->at = f;
                const int a = vr_arcade(&m, chance(r, .6f) ? same : rnd_int(r, COLOURS));
                if (s->main < 0)
                    s->main = a;
                n++;
            }
    if (vr_place_free(&m, 2.4f, 1.4f, .5f, &f)) {
        s->at = f;
        vr_pool_table(&m);
        s->at = frame_move(f, v3(0, m.h, .65f), 0);
        vr_pendant(&m, m.h - 1.9f, true, 3, .7f);
    }
    for (int i = 0; i < 3; i++)
        if (vr_place_free(&m, 1.6f, .85f, .35f,
                          &f)) { /* two in the middle, back to back below the lamps */
            for (int k = 0; k < 2; k++) {
                s->at = frame_move(f, v3((float)k * .72f - .36f, 0, .05f), 0);
                vr_arcade(&m, rnd_int(r, COLOURS));
            }
            m.took[m.n_took - 1].top = 1.8f;
        }
    if (s->main >= 0)
        s->objs[s->main].main = true;
    s->sky.sun_colour = v3s(0);
    vr_room_eye(&m, 1.55f);
}

void vr_kind_corridor(scene *s)
{
    room m;
    rng *r = &s->r;
    frame f;
    const float len = rnd_in(r, 10, 18);

    vr_room_start(&m, s, rnd_in(r, 1.8f, 2.7f), len, rnd_in(r, 2.5f, 3.1f));
    vr_room_light(&m);
    s->lamps_on = true;
    vr_room_opening(&m, 0, rnd_in(r, 1, 1.4f), rnd_in(r, .1f, .9f), 2.2f, false);
    for (int side = 1; side <= 3; side += 2)
        for (float z = -len / 2 + 1.4f; z < len / 2 - 1; z += rnd_in(r, 2.6f, 3.4f))
            if (m.n_open < MAX_OPENINGS)
                m.open[m.n_open++] = (opening){ side, z, .9f, 0, 2.1f, true };
    shell_style st = vr_shell_home(&m);
    st.accent_wall = -1;
    vr_room_shell(&m, &st);
    if (chance(r, .75f)) {
        const int c = rnd_int(r, COLOURS);
        s->at = frame_move(frame_unit(), v3(0, 0, 0), 90);
        s->main = vr_rug(&m, len - 1.5f, m.w * .55f, c);
        s->objs[s->main].main = true;
    }
    const int n = (int)(len / 2.6f);
    const int style = rnd_int(r, 3);
    for (int i = 0; i < n; i++) {
        s->at = frame_move(frame_unit(),
                           v3(0, m.h, -len / 2 + len * ((float)i + .5f) / (float)n), 0);
        rng keep = *r;
        vr_pendant(&m, .25f, true, style, .42f);
        *r = keep;
    }
    rng_next(r);
    vr_room_pictures(&m, 5);
    for (int i = 0; i < 3; i++)
        if (vr_place_wall(&m, .5f, .4f, .6f, .1f, &f)) {
            s->at = frame_move(f, v3(0, 0, .2f), 0);
            if (chance(r, .6f))
                vr_plant(&m, rnd_in(r, .7f, 1.4f), rnd_int(r, 3));
            else
                vr_vase(&m, rnd_in(r, .4f, .7f), rnd_int(r, COLOURS), true);
        }
    s->eye = v3(rnd_in(r, -.2f, .2f), 1.55f, rnd_in(r, -.3f, .3f) * len);
}

void vr_kind_gallery(scene *s)
{
    room m;
    rng *r = &s->r;
    frame f;

    vr_room_start(&m, s, rnd_in(r, 6, 10), rnd_in(r, 7, 14), rnd_in(r, 3.6f, 4.8f));
    vr_room_light(&m);
    s->lamps_on = true;
    m.no_crown = true;
    vr_room_opening(&m, 2, 1.2f, 0, 2.4f, true);
    const int wc = chance(r, .55f) ? WHITE : rnd_int(r, COLOURS);
    shell_style st = vr_shell_home(&m);
    st.wall_colour = wc;
    st.wall_stuff = 0;
    st.dado = 0;
    st.accent_wall = -1;
    st.wall_mat = vr_m_paint(s, vr_wall_paint(wc, r), .85f);
    st.ceiling_style = 0;
    vr_room_shell(&m, &st);
    for (int wall = 0; wall < 4; wall++) {
        const float len = vr_wall_length(&m, wall);
        const int n = (int)(len / 2.6f);
        for (int i = 0; i < n; i++) {
            const float x = len * (((float)i + .5f) / (float)n - .5f),
                        w = rnd_in(r, 1.1f, 1.9f), h = rnd_in(r, .9f, 1.7f);
            if (wall == 2 && fabsf(x - m.open[0].x) < (w + 1.4f) / 2)
                continue;
            s->at = frame_move(vr_wall_frame(&m, wall), v3(x, 1.72f, .003f), 0);
            const int obj = vr_picture(&m, w, h, -1);
            s->objs[obj].what = T_PAINTING;
            if (s->main < 0)
                s->main = obj;
        }
    }
    s->objs[s->main].main = true;
    if (vr_place_free(&m, 1.9f, .5f, .8f, &f)) {
        s->at = f;
        vr_bench(&m, 1.8f, chance(r, .5f) ? -1 : rnd_int(r, COLOURS));
        m.took[m.n_took - 1].top = .45f;
    }
    for (int i = 0; i < rnd_int(r, 4); i++)
        if (vr_place_free(&m, .5f, .5f, .8f, &f)) {
            s->at = frame_move(f, v3(0, 0, .25f), 0);
            vr_object(s, T_NOTHING, NO_COLOUR, 0);
            s->mat = m.white_mat;
            vr_block(s, v3(0, 0, 0), v3(.42f, 1, .42f), .005f);
            s->at = frame_scale(frame_move(s->at, v3(0, 1, 0), 0), 2, 2, 2);
            vr_statue(&m);
        }
    light_panels(&m, 2, m.d > 10 ? 3 : 2, 1.0f, 2.0f, v3(1, .97f, .92f), 4);
    vr_room_eye(&m, 1.6f);
}
