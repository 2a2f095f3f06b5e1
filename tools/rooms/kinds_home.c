/* Rooms of a home. */
#include "tools/rooms/kinds.h"

void vr_room_light(room *m)
{
    static const int times[10] = { SKY_DAY,     SKY_DAY,     SKY_DAY,     SKY_DAY,
                                   SKY_MORNING, SKY_MORNING, SKY_EVENING, SKY_DUSK,
                                   SKY_NIGHT,   SKY_OVERCAST };
    static const int backs[8] = { BACK_HILLS, BACK_CITY,  BACK_CITY,   BACK_MOUNTAINS,
                                  BACK_SEA,   BACK_HILLS, BACK_FOREST, BACK_SNOW };
    scene *s = m->s;

    s->time = times[rnd_int(m->r, 10)];
    s->outside = backs[rnd_int(m->r, 8)];
    s->sky = vr_sky_make(s->time, s->outside, m->r);
    s->sky.eye = s->outside == BACK_CITY  ? rnd_in(m->r, 8, 40)
                 : s->outside == BACK_SEA ? rnd_in(m->r, 4, 15)
                                          : rnd_in(m->r, 2, 12);
    s->sky.trees = s->outside != BACK_CITY && s->outside != BACK_SEA;
    s->lamps_on = s->time == SKY_DUSK || s->time == SKY_NIGHT || s->time == SKY_EVENING ||
                  chance(m->r, .3f);
    s->sky.sun_colour = v3_mul(s->sky.sun_colour, s->time == SKY_NIGHT ? 1.f : .9f);
    s->key = s->time == SKY_NIGHT || s->time == SKY_DUSK ? .13f
             : s->time == SKY_EVENING                    ? .16f
             : s->time == SKY_OVERCAST                   ? .19f
                                                         : .20f;
}

void vr_room_windows(room *m, float sill_lo, float sill_hi, bool must)
{
    const int n = must ? 1 + rnd_int(m->r, 3) : rnd_int(m->r, 3);
    const int wall = rnd_int(m->r, 4),
              other = chance(m->r, .5f) ? wall : (wall + (chance(m->r, .5f) ? 1 : 3)) & 3;

    for (int i = 0; i < n; i++) {
        const bool french = sill_lo < 1 && chance(m->r, .2f);
        const float sill = french ? .12f : rnd_in(m->r, sill_lo, sill_hi),
                    head = fminf(rnd_in(m->r, 2.1f, 2.45f), m->h - .25f);
        vr_room_opening(m, i == 0 ? wall : other,
                        rnd_in(m->r, 1.1f, fminf(2.8f, vr_wall_length(m, wall) * .5f)),
                        sill, head, false);
    }
}

void vr_room_lamps(room *m, int nx, int nz, int style, float power)
{
    scene *s = m->s;

    for (int j = 0; j < nz; j++)
        for (int i = 0; i < nx; i++) {
            const float x = m->w * (((float)i + .5f) / (float)nx - .5f),
                        z = m->d * (((float)j + .5f) / (float)nz - .5f);
            s->at = frame_move(frame_unit(), v3(x, m->h, z), 0);
            rng keep = *m->r;
            vr_pendant(m, m->h > 2.9f ? m->h - 2.3f : rnd_in(m->r, .3f, .55f),
                       s->lamps_on, style, power);
            if (i + j * nx + 1 < nx * nz)
                *m->r = keep; /* all alike */
        }
}

void vr_room_pictures(room *m, int n)
{
    scene *s = m->s;

    for (int i = 0; i < n; i++) {
        const float w = rnd_in(m->r, .35f, 1.1f), h = w * rnd_in(m->r, .65f, 1.4f);
        const int wall = rnd_int(m->r, 4);
        for (int k = 0; k < 10; k++) {
            const float x = rnd_in(m->r, -.5f, .5f) * (vr_wall_length(m, wall) - w - .3f);
            const frame f = frame_move(vr_wall_frame(m, wall), v3(x, 1.62f, .002f), 0);
            bool ok = true;
            for (int j = 0; j < m->n_open; j++)
                if (m->open[j].wall == wall &&
                    fabsf(m->open[j].x - x) < (m->open[j].w + w) / 2 + .3f)
                    ok = false;
            const vec3 a = frame_point(&f, v3(-w / 2 - .1f, 0, 0)),
                       b = frame_point(&f, v3(w / 2 + .1f, 0, .12f));
            for (int j = 0; j < m->n_took && ok; j++) {
                const taken *t = &m->took[j];
                if (t->top > 1.15f && fminf(a.x, b.x) < t->x1 &&
                    fmaxf(a.x, b.x) > t->x0 && fminf(a.z, b.z) < t->z1 &&
                    fmaxf(a.z, b.z) > t->z0)
                    ok = false;
            }
            if (!ok)
                continue;
            if (m->n_took < MAX_TAKEN) /* no second one there; nobody stands on it */
                m->took[m->n_took++] = (taken){ fminf(a.x, b.x), fmaxf(a.x, b.x),
                                                fminf(a.z, b.z), fmaxf(a.z, b.z), 2 };
            s->at = f;
            vr_picture(m, w, fminf(h, 1.2f), -1);
            break;
        }
    }
}

static void curtains_all(room *m, float p)
{
    const int colour = vr_pick_colour(m->s, m->r, chance(m->r, .5f));

    for (int i = 0; i < m->n_open; i++)
        if (!m->open[i].door && chance(m->r, p))
            vr_curtains(m, &m->open[i], colour);
    m->s->at = frame_unit();
}

/* Sofa with what belongs to it; true when it found a place. */
static bool sofa_group(room *m)
{
    scene *s = m->s;
    rng *r = m->r;
    const float w = fminf(rnd_in(r, 1.7f, 2.6f), fmaxf(m->w, m->d) - 1);
    frame f;
    int wall = -1;

    for (int i = 0; i < 8 && wall < 0; i++) {
        const int k = rnd_int(r, 4);
        if (vr_place_on(m, k, w, .95f, .6f, 1.2f, &f))
            wall = k;
    }
    if (wall < 0)
        return false;
    s->at = f;
    const int colour = rnd_int(r, COLOURS);
    s->main = vr_sofa(m, w, colour);
    s->objs[s->main].main = true;
    const float td = rnd_in(r, .5f, .7f), tw = rnd_in(r, .8f, 1.2f);
    frame t = frame_move(f, v3(rnd_in(r, -.15f, .15f), 0, 1.34f), 0);
    const vec3 a = frame_point(&t, v3(-tw / 2, 0, -.1f)),
               b = frame_point(&t, v3(tw / 2, 0, td));
    if (vr_is_free(m, fminf(a.x, b.x), fmaxf(a.x, b.x), fminf(a.z, b.z),
                   fmaxf(a.z, b.z)) &&
        fabsf(b.x) < m->w / 2 && fabsf(b.z) < m->d / 2) {
        if (chance(r, .85f)) {
            s->at = frame_move(f, v3(0, 0, 1.45f), rnd_in(r, -2, 2));
            vr_rug(m, fminf(w + .7f, 3.2f), rnd_in(r, 1.7f, 2.1f),
                   vr_pick_colour(s, r, false));
        }
        s->at = t;
        vr_take(m, &t, tw, td, .45f);
        vr_coffee_table(m, tw, td, rnd_int(r, 5));
        s->at = frame_move(t, v3(0, .46f, 0), 0);
        s->at.o.y = s->objs[s->obj].hi.y;
        vr_clutter(m, tw * .7f, td, 1 + rnd_int(r, 3));
    }
    if (chance(r, .75f)) {
        const float tv = rnd_in(r, .95f, 1.5f);
        if (vr_place_on(m, (wall + 2) & 3, tv * 1.4f, .45f, 1.3f, .8f, &f)) {
            s->at = f;
            vr_tv(m, tv, chance(r, .35f));
        }
    }
    return true;
}

static void corner_things(room *m)
{
    scene *s = m->s;
    rng *r = m->r;
    frame f;

    if (chance(r, .8f) && vr_place_corner(m, .5f, .5f, 1.7f, &f)) {
        s->at = f;
        vr_floor_lamp(m, s->lamps_on, chance(r, .5f) ? WHITE : rnd_int(r, COLOURS));
    }
    const int plants = rnd_int(r, 3);
    for (int i = 0; i < plants; i++)
        if (vr_place_corner(m, .7f, .7f, .5f, &f)) {
            s->at = frame_move(f, v3(0, 0, .35f), rnd_in(r, 0, 360));
            vr_plant(m, rnd_in(r, .9f, 1.75f), rnd_int(r, 3));
        }
}

void vr_kind_living(scene *s)
{
    room m;
    rng *r = &s->r;
    frame f;

    vr_room_start(&m, s, rnd_in(r, 4.4f, 7), rnd_in(r, 4, 6.2f), rnd_in(r, 2.5f, 3.1f));
    vr_room_light(&m);
    vr_room_windows(&m, .45f, .9f, true);
    vr_room_opening(&m, rnd_int(r, 4), .9f, 0, 2.1f, true);
    const shell_style st = vr_shell_home(&m);
    vr_room_shell(&m, &st);
    curtains_all(&m, .75f);
    sofa_group(&m);
    if (chance(r, .22f) && vr_place_wall(&m, 1.6f, .45f, 2.5f, .8f, &f)) {
        s->at = f;
        vr_fireplace(&m, s->lamps_on || chance(r, .4f));
    }
    const float sw = rnd_in(r, .9f, 2.2f), sh = rnd_in(r, 1.2f, 2.2f);
    if (chance(r, .7f) && vr_place_wall(&m, sw, .36f, sh, .6f, &f)) {
        s->at = f;
        vr_shelf(&m, sw, sh, 0);
    }
    if (chance(r, .14f) && vr_place_wall(&m, 1.6f, .65f, 1.25f, .9f, &f)) {
        s->at = f;
        vr_piano(&m);
    }
    const int chairs = rnd_int(r, 3), cc = vr_pick_colour(s, r, false);
    for (int i = 0; i < chairs; i++)
        if (vr_place_free(&m, .95f, .95f, .15f, &f)) {
            const vec3 p = frame_point(&f, v3(0, 0, .45f));
            s->at = frame_move(
                frame_move(frame_unit(), p,
                           atan2f(-p.x, -p.z) * 180 / VR_PI + rnd_in(r, -25, 25)),
                v3(0, 0, -.45f), 0);
            vr_armchair(&m, cc);
        }
    if (chance(r, .4f) && vr_place_wall(&m, 1.1f, .48f, .95f, .5f, &f)) {
        s->at = f;
        vr_dresser(&m, 1.1f);
        s->at = frame_move(f, v3(0, s->objs[s->obj].hi.y, 0), 0);
        s->at.o.y = s->objs[s->n_objs - 1].hi.y;
        vr_clutter(&m, 1, .42f, 2 + rnd_int(r, 3));
    }
    if (chance(r, .3f) && vr_place_free(&m, .7f, .6f, .1f, &f)) {
        s->at = f;
        vr_ottoman(&m, rnd_int(r, COLOURS));
    }
    corner_things(&m);
    vr_room_pictures(&m, 2 + rnd_int(r, 5));
    vr_room_lamps(&m, 1, 1, rnd_int(r, 4), 1.5f);
    vr_room_eye(&m, rnd_in(r, 1.45f, 1.62f));
}

void vr_kind_bedroom(scene *s)
{
    room m;
    rng *r = &s->r;
    frame f;

    vr_room_start(&m, s, rnd_in(r, 3.6f, 5.4f), rnd_in(r, 3.5f, 5),
                  rnd_in(r, 2.45f, 2.9f));
    vr_room_light(&m);
    vr_room_windows(&m, .5f, .9f, true);
    vr_room_opening(&m, rnd_int(r, 4), .9f, 0, 2.1f, true);
    const shell_style st = vr_shell_home(&m);
    vr_room_shell(&m, &st);
    curtains_all(&m, .9f);
    const float w = chance(r, .75f) ? rnd_in(r, 1.4f, 1.8f) : 1;
    if (vr_place_wall(&m, w + 1.1f, 2.15f, .5f, .4f, &f) ||
        vr_place_wall(&m, w + .2f, 2.15f, .5f, .2f, &f)) {
        s->at = f;
        const int colour = rnd_int(r, COLOURS);
        s->main = vr_bed(&m, w, colour);
        s->objs[s->main].main = true;
        const int lc = rnd_int(r, COLOURS);
        for (int k = -1; k <= 1; k += 2) {
            s->at = frame_move(f, v3((float)k * (w / 2 + .34f), 0, .02f), 0);
            vr_side_table(&m);
            s->at = frame_move(s->at, v3(0, .53f, .2f), 0);
            if (chance(r, .8f))
                vr_table_lamp(&m, s->lamps_on, lc);
            else
                vr_clutter(&m, .3f, .1f, 1);
        }
        s->at = frame_move(f, v3(0, 1.75f, 0), 0);
        if (chance(r, .6f))
            vr_picture(&m, rnd_in(r, .6f, 1.3f), rnd_in(r, .4f, .6f), -1);
        if (chance(r, .7f)) {
            s->at = frame_move(f, v3(0, 0, 1.6f), rnd_in(r, -2, 2));
            vr_rug(&m, w + 1.3f, 1.8f, vr_pick_colour(s, r, false));
        }
    }
    const float ww = rnd_in(r, 1.1f, 2);
    if (chance(r, .75f) && vr_place_wall(&m, ww, .62f, 2.2f, .6f, &f)) {
        s->at = f;
        vr_wardrobe(&m, ww, chance(r, .5f) ? -1 : vr_pick_colour(s, r, true));
    }
    if (chance(r, .5f) && vr_place_wall(&m, 1.2f, .75f, .9f, .6f, &f)) {
        s->at = f;
        const int desk = vr_desk(&m, 1.2f);
        s->at = frame_move(f, v3(0, .74f, .02f), 0);
        vr_computer(&m);
        s->at = frame_move(f, v3(.1f, 0, 1.15f), 180 + rnd_in(r, -30, 30));
        if (chance(r, .5f))
            vr_chair(&m, rnd_int(r, COLOURS), rnd_int(r, 4));
        else
            vr_office_chair(&m, rnd_int(r, COLOURS));
        s->obj = desk;
    }
    if (chance(r, .5f) && vr_place_wall(&m, 1, .48f, .95f, .5f, &f)) {
        s->at = f;
        const int d = vr_dresser(&m, 1);
        s->at = frame_move(f, v3(0, s->objs[d].hi.y, 0), 0);
        vr_clutter(&m, .9f, .4f, 3);
        if (chance(r, .5f)) {
            s->at = frame_move(f, v3(0, 1.5f, 0), 0);
            vr_mirror(&m, .7f, .8f);
        }
    }
    if (chance(r, .35f) && vr_place_wall(&m, .9f, .36f, 1.9f, .5f, &f)) {
        s->at = f;
        vr_shelf(&m, .9f, 1.9f, 0);
    }
    if (chance(r, .3f) && vr_place_free(&m, .95f, .95f, .1f, &f)) {
        s->at = f;
        vr_armchair(&m, rnd_int(r, COLOURS));
    }
    corner_things(&m);
    vr_room_pictures(&m, 1 + rnd_int(r, 4));
    vr_room_lamps(&m, 1, 1, rnd_int(r, 4), 1.2f);
    vr_room_eye(&m, rnd_in(r, 1.45f, 1.6f));
}

static void dining(room *m, bool island)
{
    scene *s = m->s;
    rng *r = m->r;
    frame f;
    const float w = rnd_in(r, 1.2f, 1.7f), d = .85f;

    if (!vr_place_free(m, w + .2f, d + 1.1f, 0, &f))
        return;
    s->at = frame_move(f, v3(0, 0, .55f), 0);
    const int colour = vr_pick_colour(s, r, false);
    if (island) {
        const int obj = vr_object(s, T_ISLAND, colour, 0);
        vr_m_paint(s, vr_paint(colour, r), .25f);
        vr_box(s, v3(-w / 2 + .05f, .0f, .05f), v3(w / 2 - .05f, .88f, d - .05f), .006f);
        vr_material(
            s, (material){
                   .kind = MAT_MARBLE, .a = v3s(.7f), .b = v3s(.35f), .rough = .1f });
        vr_box(s, v3(-w / 2, .88f, -.1f), v3(w / 2, .92f, d), .006f);
        const frame keep = s->at;
        s->at = frame_move(keep, v3(0, .92f, 0), 0);
        vr_clutter(m, w, d, 3);
        const int sc = rnd_int(r, COLOURS);
        for (int i = 0; i < 3; i++) {
            s->at = frame_move(keep, v3(((float)i - 1) * w * .3f, 0, -.5f),
                               rnd_in(r, -20, 20));
            vr_stool(m, sc, .68f);
        }
        s->main = obj;
        return;
    }
    const frame keep = s->at;
    s->main = vr_table(m, w, d, .75f, rnd_int(r, 3));
    s->at = frame_move(keep, v3(0, .75f, .1f), 0);
    vr_clutter(m, w * .8f, d * .7f, 1 + rnd_int(r, 3));
    const int style = rnd_int(r, 4);
    for (int k = 0; k < 4; k++) {
        const float x = (k & 1 ? .26f : -.26f) * w;
        s->at = k < 2 ? frame_move(keep, v3(x, 0, -.28f), rnd_in(r, -8, 8))
                      : frame_move(keep, v3(x, 0, d + .28f), 180 + rnd_in(r, -8, 8));
        vr_chair(m, colour, style);
    }
}

void vr_kind_kitchen(scene *s)
{
    room m;
    rng *r = &s->r;
    frame f;

    vr_room_start(&m, s, rnd_in(r, 3.6f, 5.6f), rnd_in(r, 3.4f, 5),
                  rnd_in(r, 2.5f, 2.9f));
    vr_room_light(&m);
    const int run = rnd_int(r, 4), side = (run + (chance(r, .5f) ? 1 : 3)) & 3;
    vr_room_opening(&m, run, rnd_in(r, 1.0f, 1.5f), 1.08f, 2.15f, false);
    vr_room_opening(&m, (run + 2) & 3, .9f, 0, 2.1f, true);
    if (chance(r, .6f))
        vr_room_opening(&m, side ^ 2, rnd_in(r, 1.1f, 2), rnd_in(r, .3f, .95f), 2.2f,
                        false);
    shell_style st = vr_shell_home(&m);
    st.dado = 0;
    vr_room_shell(&m, &st);
    const int colour = chance(r, .25f) ? -1 : rnd_int(r, COLOURS);
    const float len = vr_wall_length(&m, run), unit = 1.2f;
    const opening *win = &m.open[0];
    /* tiles behind the counter */
    s->at = vr_wall_frame(&m, run);
    const int tc = vr_pick_colour(s, r, true);
    vr_object(s, T_NOTHING, NO_COLOUR, 0);
    vr_material(s, (material){ .kind = MAT_TILE,
                               .style = chance(r, .5f) ? 3 : 0,
                               .a = vr_paint(tc, r),
                               .c = v3s(.5f),
                               .rough = .08f,
                               .scale = rnd_in(r, .1f, .2f) });
    vr_rect(s, v3(-len / 2, .9f, .004f), v3(win->x - win->w / 2 - .1f + len / 2, 0, 0),
            v3(0, .56f, 0));
    vr_rect(s, v3(win->x + win->w / 2 + .1f, .9f, .004f),
            v3(len / 2 - win->x - win->w / 2 - .1f, 0, 0), v3(0, .56f, 0));
    vr_rect(s, v3(win->x - win->w / 2 - .1f, .9f, .004f), v3(win->w + .2f, 0, 0),
            v3(0, .12f, 0));
    /* counters from one end; sink below the window */
    const int steps = (int)((len - .75f) / unit);
    const bool left = chance(r, .5f);
    const float x0 = left ? -len / 2 + .74f : -len / 2 + .02f,
                cw = (len - .76f) / (float)steps;
    s->at = frame_move(vr_wall_frame(&m, run),
                       v3(left ? -len / 2 + .37f : len / 2 - .37f, 0, .03f), 0);
    vr_fridge(&m, chance(r, .5f) ? -1 : vr_pick_colour(s, r, true));
    int hob = -1;
    for (int i = 0; i < steps; i++) {
        const float x = x0 + cw * ((float)i + .5f);
        const bool under = fabsf(x - win->x) < cw / 2;
        const bool cook = !under && hob < 0;
        s->at = frame_move(vr_wall_frame(&m, run), v3(x, 0, .005f), 0);
        const int c = vr_counter(&m, cw, colour, under ? 1 : cook ? 2 : 0);
        if (s->main < 0)
            s->main = c;
        const bool clear = fabsf(x - win->x) > (win->w + cw) / 2 + .12f;
        s->at = frame_move(vr_wall_frame(&m, run), v3(x, 0, .005f), 0);
        if (cook) {
            hob = i;
            if (clear)
                vr_hood(&m);
        } else if (clear) {
            vr_wall_cupboards(&m, cw, chance(r, .8f) ? colour : WHITE);
        }
    }
    f = frame_move(vr_wall_frame(&m, run), v3(0, 0, 0), 0);
    vr_take(&m, &f, len, .65f, 2);
    if (chance(r, .5f) && vr_place_on(&m, side, 1.8f, .62f, .9f, .7f, &f)) {
        s->at = f;
        vr_counter(&m, 1.8f, colour, 0);
    }
    dining(&m, chance(r, .35f) && m.w > 4);
    if (s->main >= 0)
        s->objs[s->main].main = true;
    corner_things(&m);
    vr_room_pictures(&m, rnd_int(r, 3));
    vr_room_lamps(&m, 1, 1, rnd_int(r, 4), 1.4f);
    vr_room_eye(&m, rnd_in(r, 1.45f, 1.62f));
}

static void bathroom_things(room *m)
{
    scene *s = m->s;
    rng *r = m->r;
    frame f;

    if (chance(r, .7f) && vr_place_wall(m, 1.75f, .82f, .6f, .5f, &f)) {
        s->at = f;
        s->main = vr_bathtub(m);
    }
    if ((s->main < 0 || chance(r, .4f)) && vr_place_corner(m, .95f, .95f, 2.1f, &f)) {
        s->at = f;
        const int sh = vr_shower(m);
        if (s->main < 0)
            s->main = sh;
    }
    if (vr_place_wall(m, 1.1f, .5f, 1.9f, .6f, &f)) {
        s->at = f;
        vr_basin(m, rnd_int(r, COLOURS));
        s->at = frame_move(f, v3(0, 1.55f, 0), 0);
        vr_mirror(m, rnd_in(r, .6f, 1), rnd_in(r, .6f, .9f));
        s->at = frame_move(f, v3(.35f, .82f, .02f), 0);
        vr_clutter(m, .25f, .2f, 1);
    }
    if (vr_place_wall(m, .5f, .75f, .9f, .4f, &f)) {
        s->at = f;
        vr_toilet(m);
    }
    const int towel = rnd_int(r, COLOURS);
    for (int i = 0; i < 2; i++)
        if (vr_place_wall(m, .7f, .12f, 1.4f, .1f, &f)) {
            s->at = f;
            vr_towel(m, towel);
        }
    s->at = frame_unit();
    if (chance(r, .6f) && vr_place_free(m, 1.0f, .65f, .05f, &f)) {
        s->at = frame_move(f, v3(0, 0, .32f), 0);
        m->n_took--;
        vr_rug(m, 1, .6f, rnd_int(r, COLOURS));
    }
    if (vr_place_corner(m, .45f, .45f, .5f, &f) && chance(r, .6f)) {
        s->at = frame_move(f, v3(0, 0, .22f), 0);
        vr_plant(m, rnd_in(r, .5f, 1), rnd_int(r, 2));
    }
    if (s->main >= 0)
        s->objs[s->main].main = true;
}

void vr_kind_bathroom(scene *s)
{
    room m;
    rng *r = &s->r;

    vr_room_start(&m, s, rnd_in(r, 2.6f, 4), rnd_in(r, 2.5f, 3.6f),
                  rnd_in(r, 2.4f, 2.7f));
    vr_room_light(&m);
    s->lamps_on = s->lamps_on || chance(r, .6f);
    const int wall = rnd_int(r, 4);
    vr_room_opening(&m, wall, rnd_in(r, .7f, 1.3f), rnd_in(r, 1.0f, 1.2f), 2.1f, false);
    vr_room_opening(&m, (wall + 1 + rnd_int(r, 3)) & 3, .85f, 0, 2.05f, true);
    const int tile = rnd_int(r, COLOURS), floor = vr_pick_colour(s, r, true);
    shell_style st = { .accent_wall = -1,
                       .wall_colour = tile,
                       .wall_stuff = S_TILE,
                       .floor_colour = floor,
                       .floor_stuff = S_TILE };
    const vec3 tc = chance(r, .6f) ? vr_wall_paint(tile, r) : vr_paint(tile, r);
    const int tiles = vr_material(s, (material){ .kind = MAT_TILE,
                                                 .style = chance(r, .4f) ? 3 : 0,
                                                 .a = tc,
                                                 .c = v3s(chance(r, .7f) ? .55f : .2f),
                                                 .rough = .07f,
                                                 .scale = rnd_in(r, .1f, .3f) });
    st.wall_mat = tiles;
    if (chance(r, .45f)) { /* tiles to a height, paint above */
        st.dado = rnd_in(r, 1.1f, 1.4f);
        st.dado_mat = tiles;
        st.wall_stuff = 0;
        st.wall_colour = chance(r, .6f) ? WHITE : rnd_int(r, COLOURS);
        st.wall_mat = vr_m_paint(s, vr_wall_paint(st.wall_colour, r), .7f);
    }
    m.no_skirting = true;
    const bool check = chance(r, .3f);
    if (check)
        st.floor_colour = NO_COLOUR;
    st.floor_mat = vr_material(s, (material){ .kind = MAT_TILE,
                                              .style = check ? 1 : 0,
                                              .a = check ? v3s(.72f) : vr_paint(floor, r),
                                              .b = v3s(.03f),
                                              .c = v3s(.35f),
                                              .rough = .1f,
                                              .scale = rnd_in(r, .2f, .45f) });
    st.ceiling_mat = vr_m_paint(s, v3s(.8f), .8f);
    vr_room_shell(&m, &st);
    bathroom_things(&m);
    vr_room_lamps(&m, 1, 1, 0, 1.0f);
    vr_room_eye(&m, rnd_in(r, 1.45f, 1.6f));
}

/* Roof slopes from knee walls to the ridge; the far and near walls are gables. */
static void attic_shell(room *m, const shell_style *st, float knee)
{
    scene *s = m->s;
    const float run = m->w / 2, rise = m->h - knee, len = sqrtf(run * run + rise * rise),
                tilt = atan2f(rise, run) * 180 / VR_PI;

    s->at = frame_unit();
    s->floor = vr_object(s, T_FLOOR, st->floor_colour, st->floor_stuff);
    s->mat = st->floor_mat;
    vr_rect(s, v3(-m->w / 2, 0, m->d / 2), v3(m->w, 0, 0), v3(0, 0, -m->d));
    s->wall = vr_object(s, T_WALL, st->wall_colour, st->wall_stuff);
    for (int k = 0; k < 4; k++)
        vr_room_wall(m, st, k, vr_wall_frame(m, k), vr_wall_length(m, k) / 2,
                     k & 1 ? knee : m->h);
    for (int k = 0; k < 2; k++) {
        frame f = vr_wall_frame(m, k ? 3 : 1);
        f = frame_move(f, v3(0, knee, 0), 0);
        f = frame_pitch(f, 90 - tilt); /* y runs up the slope */
        vr_room_wall(m, st, 4 + k, f, m->d / 2, len);
        s->at = f;
        s->obj = 0;
        s->mat = m->wood_mat;
        const int n = (int)(m->d / 1.1f);
        for (int i = 0; i <= n; i++) {
            const float x = -m->d / 2 + m->d * (float)i / (float)n;
            bool free = true;
            for (int o = 0; o < m->n_open; o++)
                if (m->open[o].wall == 4 + k &&
                    fabsf(m->open[o].x - x) < m->open[o].w / 2 + .1f)
                    free = false;
            if (free)
                vr_box(s, v3(x - .06f, 0, -.02f), v3(x + .06f, len, .12f), .008f);
        }
    }
    s->at = frame_unit();
    vr_object(s, T_BEAM, m->wood_name, S_WOOD);
    s->mat = m->wood_mat;
    vr_block(s, v3(0, m->h - .2f, 0), v3(.16f, .2f, m->d), .008f);
    for (int i = 0; i < 2; i++)
        vr_block(s, v3(0, m->h - .75f, m->d * ((float)i - .5f) * .5f),
                 v3(m->w * .42f, .14f, .12f), .008f);
}

void vr_kind_attic(scene *s)
{
    room m;
    rng *r = &s->r;
    frame f;
    const float knee = rnd_in(r, .9f, 1.25f);

    vr_room_start(&m, s, rnd_in(r, 4.4f, 6.2f), rnd_in(r, 5, 8), rnd_in(r, 2.9f, 3.4f));
    vr_room_light(&m);
    m.no_crown = true;
    vr_room_opening(&m, 0, rnd_in(r, .9f, 1.6f), .8f, 2.0f, false);
    vr_room_opening(&m, 2, .85f, 0, 2.0f, true);
    for (int i = 0; i < 3 && m.n_open < MAX_OPENINGS; i++)
        m.open[m.n_open++] =
            (opening){ 4 + (i & 1),
                       m.d * (((float)(i >> 1) + .5f) / 2 - .5f) + rnd_in(r, -.3f, .3f),
                       rnd_in(r, .7f, 1.1f),
                       .35f,
                       1.45f,
                       false };
    shell_style st = vr_shell_home(&m);
    st.accent_wall = -1;
    st.dado = 0;
    attic_shell(&m, &st, knee);
    m.open[0].x = m.open[0].x > 0 ? fminf(m.open[0].x, .5f) : fmaxf(m.open[0].x, -.5f);
    const int what = rnd_int(r, 3);
    if (what == 0 && vr_place_on(&m, 0, 1.7f, 2.15f, .5f, .4f, &f)) {
        s->at = f;
        s->main = vr_bed(&m, 1.5f, rnd_int(r, COLOURS));
    } else if (vr_place_on(&m, rnd_int(r, 2) ? 1 : 3, 1.9f, .95f, .5f, .6f, &f)) {
        s->at = f;
        s->main = vr_sofa(&m, 1.85f, rnd_int(r, COLOURS));
        s->at = frame_move(f, v3(0, 0, 1.5f), 3);
        vr_rug(&m, 2.4f, 1.7f, rnd_int(r, COLOURS));
    }
    for (int i = 0; i < 3; i++)
        if (vr_place_wall(&m, .95f, .55f, .5f, .3f, &f)) {
            s->at = f;
            const int t = vr_trunk(&m, chance(r, .5f) ? -1 : rnd_int(r, COLOURS));
            if (s->main < 0)
                s->main = t;
        }
    for (int i = 0; i < 3; i++)
        if (vr_place_wall(&m, .65f, .55f, .8f, .2f, &f)) {
            s->at = f;
            vr_box_pile(&m);
        }
    if (vr_place_on(&m, rnd_int(r, 2) ? 1 : 3, 1.6f, .36f, .8f, .5f, &f)) {
        s->at = f;
        vr_shelf(&m, 1.6f, .8f, 0);
    }
    if (chance(r, .5f) && vr_place_free(&m, .95f, .95f, .2f, &f)) {
        s->at = f;
        vr_armchair(&m, rnd_int(r, COLOURS));
    }
    if (vr_place_free(&m, .5f, .5f, .1f, &f) && chance(r, .7f)) {
        s->at = f;
        vr_floor_lamp(&m, s->lamps_on, WHITE);
    }
    if (s->main >= 0)
        s->objs[s->main].main = true;
    s->at = frame_move(frame_unit(), v3(0, m.h - .75f, 0), 0);
    vr_pendant(&m, .2f, s->lamps_on, 1 + rnd_int(r, 3), 1.2f);
    vr_room_eye(&m, 1.5f);
    s->eye.x *= .4f;
}
