/* Measuring the finished picture. */
#include "tools/rooms/facts.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/rooms/palette.h"

static int window_at(const scene *s, vec3 d)
{
    for (int i = 0; i < s->n_windows; i++) {
        const vec3 *c = s->windows[i];
        const vec3 u = v3_sub(c[1], c[0]), v = v3_sub(c[3], c[0]), n = v3_cross(u, v);
        const float t = v3_dot(v3_sub(c[0], s->eye), n) / v3_dot(d, n);
        const vec3 q = v3_sub(v3_mad(s->eye, d, t), c[0]);
        const float a = v3_dot(q, u) / v3_dot(u, u), b = v3_dot(q, v) / v3_dot(v, v);
        if (t > 0 && a > -.05f && a < 1.05f && b > -.05f && b < 1.05f)
            return s->window_obj[i];
    }
    return -1;
}

int vr_pixel_object(const scene *s, const canvas *c, size_t i)
{
    if (c->part[i] != (uint32_t)VR_NO_PART)
        return (int)(c->part[i] & 0xffff);
    if (!s->indoor)
        return s->ceiling; /* outdoors this is the sky */
    return window_at(s, v3_unit(v3(c->p[P_PX][i], c->p[P_PY][i], c->p[P_PZ][i])));
}

/* Colours are those of what the level views show: a sky may be blue overhead and pink
 * all around. */
typedef struct sums {
    vec3 colour, dir, view_colour[VIEWS];
    float weight, shown, view_weight[VIEWS], view_x[VIEWS], nearest, view_near[VIEWS];
    float view_omega[VIEWS];
    vec3 mid, across, up; /* towards the middle of its bounds; zero: all around */
    float box[2], seen_lo[2], seen_hi[2]; /* half extents of the bounds, what is seen */
} sums;

/* The extent of o's bounds around its middle, as tangents. */
static void aim_at(sums *m, const object *o, vec3 eye)
{
    const vec3 mid = v3_sub(v3_mul(v3_add(o->lo, o->hi), .5f), eye);
    const float size = v3_len(v3_sub(o->hi, o->lo));

    if (!(v3_len(mid) > .55f * size)) /* around the eye, or too near to say */
        return;
    m->mid = v3_unit(mid);
    m->across = v3_unit(v3_cross(v3(0, 1, 0), m->mid));
    m->up = v3_cross(m->mid, m->across);
    for (int i = 0; i < 2; i++) {
        m->box[i] = 1e-4f;
        m->seen_lo[i] = 1e9f;
        m->seen_hi[i] = -1e9f;
    }
    for (int i = 0; i < 8; i++) {
        const vec3 d = v3_sub(v3(i & 1 ? o->hi.x : o->lo.x, i & 2 ? o->hi.y : o->lo.y,
                                 i & 4 ? o->hi.z : o->lo.z),
                              eye);
        const float z = fmaxf(v3_dot(d, m->mid), .05f);
        m->box[0] = fmaxf(m->box[0], fabsf(v3_dot(d, m->across)) / z);
        m->box[1] = fmaxf(m->box[1], fabsf(v3_dot(d, m->up)) / z);
    }
}

static void see_extent(sums *m, vec3 d)
{
    const float z = v3_dot(d, m->mid);

    if (!(z > .1f))
        return;
    const float at[2] = { v3_dot(d, m->across) / z, v3_dot(d, m->up) / z };
    for (int i = 0; i < 2; i++) {
        m->seen_lo[i] = fminf(m->seen_lo[i], at[i]);
        m->seen_hi[i] = fmaxf(m->seen_hi[i], at[i]);
    }
}

/* How much of the bounds' extent is seen; pixel: the angle between looks. */
static float extent_shown(const sums *m, float pixel)
{
    float share = 1;

    if (!(v3_dot(m->mid, m->mid) > 0))
        return 1;
    if (!(m->seen_hi[0] >= m->seen_lo[0]))
        return 0;
    for (int i = 0; i < 2; i++)
        share *= fminf((m->seen_hi[i] - m->seen_lo[i] + pixel) / (2 * m->box[i]), 1);
    return share;
}

/* Steradians of the views that a surface fills at least when its colour is named. */
static const float SMALLEST_SURFACE = .1f;

/* Whether one of the eight level views looks in direction d. */
static bool in_views(vec3 d)
{
    const float lon = atan2f(d.x, -d.z), turn = VR_PI / 4;
    const float off = lon - turn * floorf(lon / turn + .5f);

    return fabsf(d.y) < sqrtf(d.x * d.x + d.z * d.z) * cosf(off);
}

static void add_pixel(const canvas *c, const float *decoded, sums *m, size_t i, vec3 d,
                      float omega)
{
    const uint8_t *p = c->rgb + i * 3;
    const vec3 col = v3(decoded[p[0]], decoded[p[1]], decoded[p[2]]);
    const float dist = c->p[P_D][i] > 0 ? c->p[P_D][i] : 1e4f;
    const float lon = atan2f(d.x, -d.z) * 180 / VR_PI;
    const int own =
        c->camera == CAMERA_VIEWS ? (int)(i / ((size_t)c->w * (size_t)c->w)) : -1;

    m->dir = v3_mad(m->dir, d, omega);
    m->weight += omega;
    m->nearest = fminf(m->nearest, dist);
    see_extent(m, d);
    for (int k = 0; k < VIEWS; k++) {
        if (own >= 0 && own != k)
            continue;
        float dx = lon - 45 * (float)k;
        dx -= 360 * floorf((dx + 180) / 360);
        if (fabsf(dx) >= 45)
            continue;
        const float a = dx * VR_PI / 180, flat = sqrtf(d.x * d.x + d.z * d.z),
                    z = flat * cosf(a);
        if (fabsf(d.y) >= z)
            continue;
        const float share = (own >= 0 ? 2 : 1) * omega / (4 * z * z * z);
        m->view_colour[k] = v3_mad(m->view_colour[k], col, share);
        m->view_weight[k] += share;
        m->view_omega[k] += own >= 0 ? 2 * omega : omega;
        m->view_x[k] += share * dx;
        m->view_near[k] = fminf(m->view_near[k], dist);
    }
    if (own >= 0 || in_views(d)) {
        m->colour = v3_mad(m->colour, col, omega);
        m->shown += omega;
    }
}

static int named(vec3 sum, float weight, float gain)
{
    float margin;
    const int n =
        weight > 0 ? vr_nearest_colour(v3_mul(sum, gain / weight), &margin) : NO_COLOUR;

    return n >= 0 && margin > 3 ? n : NO_COLOUR;
}

static void store_object(object *o, const sums *m, float gain, float pixel)
{
    o->area = m->weight;
    o->seen = named(m->colour, m->shown, gain);
    o->sum = m->shown > 0 ? v3_mul(m->colour, 1 / m->shown) : v3s(0);
    o->azimuth = atan2f(m->dir.x, -m->dir.z) * 180 / VR_PI;
    o->elevation =
        atan2f(m->dir.y, sqrtf(m->dir.x * m->dir.x + m->dir.z * m->dir.z)) * 180 / VR_PI;
    o->distance = m->nearest;
    o->shown = extent_shown(m, pixel);
    for (int k = 0; k < VIEWS; k++) {
        const float w = m->view_weight[k];
        o->view_area[k] = w;
        o->view_part[k] = m->weight > 0 ? m->view_omega[k] / m->weight : 0;
        o->view_x[k] = w > 0 ? m->view_x[k] / w : 0;
        o->view_near[k] = m->view_near[k];
        o->view_seen[k] = named(m->view_colour[k], w, gain);
    }
    if (o->colour >= 0 && o->seen != o->colour)
        o->colour = NO_COLOUR;
}

/* A word for the whole, where facts bear it out; luma: mean light of the picture. */
static int mood_of(const scene *s, float luma)
{
    bool soft = false;

    for (int i = 0; i < s->n_objs; i++)
        soft |= (s->objs[i].what == T_RUG || s->objs[i].what == T_FIREPLACE ||
                 s->objs[i].what == T_SOFA || s->objs[i].what == T_BED) &&
                s->objs[i].area > .05f;
    const bool night =
        s->time == SKY_NIGHT || s->time == SKY_DUSK || s->time == SKY_EVENING;
    if (s->indoor && soft && s->lamps_on && night)
        return MOOD_COSY;
    if (luma > .24f && (s->time == SKY_DAY || s->time == SKY_MORNING))
        return MOOD_BRIGHT;
    if (s->indoor && luma < .09f)
        return MOOD_DIM;
    if (s->indoor && (s->kind == K_ATTIC || s->kind == K_LIBRARY) && s->floor >= 0 &&
        s->objs[s->floor].stuff == S_WOOD)
        return MOOD_OLD;
    return MOOD_NONE;
}

void vr_measure(scene *s, const canvas *c)
{
    sums *m = calloc((size_t)s->n_objs, sizeof *m);
    float table[256], luma = 0, total = 0;

    if (!m) {
        s->failed = true;
        return;
    }
    for (int i = 0; i < 256; i++)
        table[i] = vr_srgb_to_linear(i, i, i).x;
    for (int i = 0; i < s->n_objs; i++) {
        m[i].nearest = 1e4f;
        aim_at(&m[i], &s->objs[i], s->eye);
        for (int k = 0; k < VIEWS; k++)
            m[i].view_near[k] = 1e4f;
    }
    const int step = c->w >= 1024 ? 4 : c->w >= 512 ? 2 : 1;
    for (int y = step / 2; y < c->h; y += step)
        for (int x = step / 2; x < c->w; x += step) {
            const size_t i = (size_t)y * (size_t)c->w + (size_t)x;
            const vec3 d = vr_direction(c, (float)x + .5f, (float)y + .5f);
            float omega;
            if (c->camera == CAMERA_EQUIRECT) {
                omega = 2 * VR_PI / (float)c->w * VR_PI / (float)c->h *
                        sqrtf(d.x * d.x + d.z * d.z);
            } else {
                const float a = (float)(i / ((size_t)c->w * (size_t)c->w)) * VR_PI / 4,
                            z = d.x * sinf(a) - d.z * cosf(a);
                omega = 4 / ((float)c->w * (float)c->w) * z * z * z * .5f;
            }
            omega *= (float)(step * step);
            const uint8_t *p = c->rgb + i * 3;
            if (c->camera == CAMERA_VIEWS || in_views(d)) {
                luma += omega * (.2126f * table[p[0]] + .7152f * table[p[1]] +
                                 .0722f * table[p[2]]);
                total += omega;
            }
            const int o = vr_pixel_object(s, c, i);
            if (o >= 0)
                add_pixel(c, table, &m[o], i, d, omega);
        }
    const float gain = vr_luminance_gain(luma / total);
    for (int i = 0; i < s->n_objs; i++)
        store_object(&s->objs[i], &m[i], gain, 2 * VR_PI / (float)c->w * (float)step);
    const int surface[3] = { s->wall, s->floor, s->ceiling };
    for (int i = 0; i < 3; i++)
        if (surface[i] >= 0 && m[surface[i]].shown < SMALLEST_SURFACE)
            s->objs[surface[i]].colour = NO_COLOUR;
    s->mood = mood_of(s, luma / total);
    free(m);
}

/* Which twelfth of a kind's combinations is kept out: chosen so that it is 5 to 13 % of
 * the scenes of a kind (none of forests and snow, whose main things have no colour of
 * their own), and no main thing is always kept out. */
static const uint8_t held_out_salt[KINDS] = {
    [K_LIVING] = 13,      [K_KITCHEN] = 146, [K_BEDROOM] = 20, [K_OFFICE] = 7,
    [K_LECTURE] = 21,     [K_LIBRARY] = 73,  [K_ARCADE] = 50,  [K_BATHROOM] = 78,
    [K_CORRIDOR] = 5,     [K_GALLERY] = 98,  [K_ATTIC] = 103,  [K_SPACESHIP] = 44,
    [K_UNDERWATER] = 109, [K_BEACH] = 195,   [K_FOREST] = 0,   [K_MOUNTAINS] = 253,
    [K_DESERT] = 28,      [K_MARS] = 67,     [K_CITY] = 108,   [K_ROOFTOP] = 162,
    [K_GARDEN] = 113,     [K_SNOW] = 0
};

bool vr_triple_held_out(int kind, int colour, int what)
{
    const char *part[3] = { vr_kind_name(kind), vr_colour_word(colour),
                            vr_thing(what)->one };
    uint32_t h = 2166136261u;

    if (colour < 0)
        return false;
    for (int i = 0; i < 3; i++) {
        for (const char *p = part[i]; *p; p++)
            h = (h ^ (uint8_t)*p) * 16777619u;
        h = (h ^ '|') * 16777619u;
    }
    return vr_hash(h + held_out_salt[kind]) % 12 == 0;
}

bool vr_scene_held_out(const scene *s)
{
    const int big = s->indoor ? s->wall : -1;

    if (s->main < 0)
        return false;
    const object *m = &s->objs[s->main];
    return vr_triple_held_out(s->kind, m->colour, m->what) ||
           (big >= 0 && vr_triple_held_out(s->kind, s->objs[big].colour, m->what));
}

/* ---- JSON ---- */

static json_t *rounded(double v, double unit)
{
    return json_real(floor(v / unit + .5) * unit);
}

static json_t *colour_json(const object *o)
{
    const vec3 l = vr_lab(o->sum);
    json_t *j = json_object();

    json_object_set_new(
        j, "name", o->colour >= 0 ? json_string(vr_colour_word(o->colour)) : json_null());
    json_object_set_new(
        j, "nearest", o->seen >= 0 ? json_string(vr_colour_word(o->seen)) : json_null());
    json_object_set_new(j, "lab",
                        json_pack("[fff]", floor((double)l.x + .5),
                                  floor((double)l.y + .5), floor((double)l.z + .5)));
    return j;
}

static json_t *object_json(const object *o)
{
    json_t *j = json_object(), *views = json_array();

    json_object_set_new(j, "thing", json_string(vr_thing(o->what)->one));
    json_object_set_new(j, "label", json_integer(o->what));
    json_object_set_new(j, "colour", colour_json(o));
    json_object_set_new(j, "material",
                        o->stuff ? json_string(vr_stuff(o->stuff)) : json_null());
    json_object_set_new(j, "main", json_boolean(o->main));
    json_object_set_new(j, "azimuth_deg", rounded((double)o->azimuth, .1));
    json_object_set_new(j, "elevation_deg", rounded((double)o->elevation, .1));
    json_object_set_new(j, "distance_m", rounded((double)o->distance, .01));
    json_object_set_new(j, "shown", rounded((double)o->shown, .01));
    json_object_set_new(j, "steradian", rounded((double)o->area, .0001));
    for (int k = 0; k < VIEWS; k++)
        json_array_append_new(views, rounded((double)o->view_area[k], .0001));
    json_object_set_new(j, "view_share", views);
    return j;
}

static const char *const time_names[] = { "day",  "morning", "evening",
                                          "dusk", "night",   "overcast",
                                          "mars", "space",   "water" };

char *vr_facts_json(const scene *s, char lines[1 + VIEWS][CAPTION_BYTES],
                    const render_stats *st)
{
    json_t *j = json_object(), *objs = json_array(), *caps = json_array();

    json_object_set_new(j, "kind", json_string(vr_kind_name(s->kind)));
    json_object_set_new(j, "seed",
                        json_integer((json_int_t)(s->seed & 0x7fffffffffffffff)));
    json_object_set_new(j, "place", json_string(s->indoor ? "in" : "out"));
    json_object_set_new(j, "time", json_string(time_names[s->time]));
    json_object_set_new(j, "mood", s->mood ? json_string(vr_mood(s->mood)) : json_null());
    json_object_set_new(j, "lamps_on", json_boolean(s->lamps_on));
    json_object_set_new(j, "held_out", json_boolean(vr_scene_held_out(s)));
    json_object_set_new(j, "eye_height_m", rounded((double)s->eye.y, .01));
    json_object_set_new(j, "mean_luminance", rounded((double)st->mean_luminance, .001));
    if (s->wall >= 0)
        json_object_set_new(j, "wall", colour_json(&s->objs[s->wall]));
    if (s->floor >= 0)
        json_object_set_new(j, s->indoor ? "floor" : "ground",
                            colour_json(&s->objs[s->floor]));
    if (s->ceiling >= 0)
        json_object_set_new(j, s->indoor ? "ceiling" : "sky",
                            colour_json(&s->objs[s->ceiling]));
    if (s->main >= 0)
        json_object_set_new(j, "main", json_string(vr_thing(s->objs[s->main].what)->one));
    for (int i = 0; i < s->n_objs; i++)
        if (s->objs[i].what != T_NOTHING && s->objs[i].area > 2e-4f)
            json_array_append_new(objs, object_json(&s->objs[i]));
    json_object_set_new(j, "objects", objs);
    for (int i = 0; i <= VIEWS; i++)
        json_array_append_new(caps, json_string(lines[i]));
    json_object_set_new(j, "captions", caps);
    char *text = json_dumps(j, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    json_decref(j);
    return text;
}
