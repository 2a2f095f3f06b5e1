/* Where things may stand: rectangles by rejection, walls first. */
#include "tools/rooms/room.h"

bool vr_is_free(const room *m, float x0, float x1, float z0, float z1)
{
    for (int i = 0; i < m->n_took; i++) {
        const taken *t = &m->took[i];
        if (x0 < t->x1 && x1 > t->x0 && z0 < t->z1 && z1 > t->z0)
            return false;
    }
    return true;
}

static taken footprint(const frame *f, float w, float z0, float z1)
{
    taken t = { 1e9f, -1e9f, 1e9f, -1e9f, 0 };

    for (int i = 0; i < 4; i++) {
        const vec3 p = frame_point(f, v3(i & 1 ? w / 2 : -w / 2, 0, i & 2 ? z1 : z0));
        t.x0 = fminf(t.x0, p.x);
        t.x1 = fmaxf(t.x1, p.x);
        t.z0 = fminf(t.z0, p.z);
        t.z1 = fmaxf(t.z1, p.z);
    }
    return t;
}

void vr_take(room *m, const frame *f, float w, float d, float top)
{
    if (m->n_took == MAX_TAKEN)
        return;
    taken t = footprint(f, w, 0, d);
    t.top = top;
    m->took[m->n_took++] = t;
}

bool vr_place_on(room *m, int wall, float w, float d, float h, float front, frame *f)
{
    const float half = vr_wall_length(m, wall) / 2 - w / 2 - .03f;

    if (half < 0)
        return false;
    for (int k = 0; k < 16; k++) {
        const float x = k == 0 ? 0 : rnd_in(m->r, -half, half);
        const frame at = frame_move(vr_wall_frame(m, wall), v3(x, 0, .035f), 0);
        const taken t = footprint(&at, w - .02f, .01f, d + front);
        bool ok = vr_is_free(m, t.x0, t.x1, t.z0, t.z1);
        ok = ok && t.x0 > -m->w / 2 - .01f && t.x1 < m->w / 2 + .01f &&
             t.z0 > -m->d / 2 - .01f && t.z1 < m->d / 2 + .01f;
        for (int i = 0; i < m->n_open && ok; i++) {
            const opening *o = &m->open[i];
            if (o->wall == wall && h > o->sill + .02f &&
                fabsf(o->x - x) < (o->w + w) / 2 + .05f)
                ok = false;
        }
        if (!ok)
            continue;
        *f = at;
        vr_take(m, &at, w, d, h);
        return true;
    }
    return false;
}

bool vr_place_wall(room *m, float w, float d, float h, float front, frame *f)
{
    const int first = rnd_int(m->r, 4);

    for (int i = 0; i < 4; i++)
        if (vr_place_on(m, (first + i) & 3, w, d, h, front, f))
            return true;
    return false;
}

bool vr_place_free(room *m, float w, float d, float margin, frame *f)
{
    const int quarter = rnd_int(m->r, 4);

    for (int k = 0; k < 24; k++) {
        const float sx = (quarter & 1 ? d : w) / 2 + margin,
                    sz = (quarter & 1 ? w : d) / 2 + margin;
        if (sx * 2 > m->w || sz * 2 > m->d)
            return false;
        const float x = rnd_in(m->r, -m->w / 2 + sx, m->w / 2 - sx),
                    z = rnd_in(m->r, -m->d / 2 + sz, m->d / 2 - sz);
        if (!vr_is_free(m, x - sx, x + sx, z - sz, z + sz))
            continue;
        const frame mid = frame_move(frame_unit(), v3(x, 0, z), (float)quarter * 90);
        *f = frame_move(mid, v3(0, 0, -d / 2), 0);
        vr_take(m, f, w, d, 1);
        return true;
    }
    return false;
}

bool vr_place_corner(room *m, float w, float d, float h, frame *f)
{
    const int first = rnd_int(m->r, 4);

    for (int i = 0; i < 8; i++) {
        const int wall = (first + i) & 3;
        const float x =
            (i < 4 ? 1.f : -1.f) * (vr_wall_length(m, wall) / 2 - w / 2 - .06f);
        const frame at = frame_move(vr_wall_frame(m, wall), v3(x, 0, .06f), 0);
        const taken t = footprint(&at, w, .01f, d);
        bool ok = vr_is_free(m, t.x0, t.x1, t.z0, t.z1);
        for (int k = 0; k < m->n_open && ok; k++)
            if (m->open[k].wall == wall && h > m->open[k].sill &&
                fabsf(m->open[k].x - x) < (m->open[k].w + w) / 2)
                ok = false;
        if (!ok)
            continue;
        *f = at;
        vr_take(m, &at, w, d, h);
        return true;
    }
    return false;
}

void vr_room_eye(room *m, float height)
{
    float best = -1;
    vec3 eye = v3(0, height, 0);

    for (int k = 0; k < 400; k++) {
        const float x = rnd_in(m->r, -.42f, .42f) * m->w,
                    z = rnd_in(m->r, -.42f, .42f) * m->d;
        float room_left =
            fminf(fminf(x + m->w / 2, m->w / 2 - x), fminf(z + m->d / 2, m->d / 2 - z));
        for (int i = 0; i < m->n_took; i++) {
            const taken *t = &m->took[i];
            const float dx = fmaxf(0, fmaxf(t->x0 - x, x - t->x1)),
                        dz = fmaxf(0, fmaxf(t->z0 - z, z - t->z1));
            const float d = sqrtf(dx * dx + dz * dz) + (t->top < .6f ? .35f : 0);
            room_left = fminf(room_left, d);
        }
        const float score = fminf(room_left, 1.7f) - .10f * (fabsf(x) + fabsf(z));
        if (score > best) {
            best = score;
            eye = v3(x, height, z);
        }
    }
    m->s->eye = eye;
}

void vr_lamp_light(scene *s, vec3 at, float r, float power, vec3 tint)
{
    const float area = VR_PI * r * r;

    vr_add_light(s, (light){ .shape = LIGHT_BALL,
                             .o = frame_point(&s->at, at),
                             .r = r,
                             .emit = v3_mul(tint, power / area) });
}
