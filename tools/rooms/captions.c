/* Sentences that are true: every word comes from a measured fact.
 *
 * An object is named where it fills enough of the view; its colour only when the picture
 * bears the word out there.  Wording, order and length vary with the seed. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/rooms/facts.h"

typedef struct text {
    char *s;
    size_t n;
} text;

static void put(text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(text *t, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const int k = vsnprintf(t->s + t->n, CAPTION_BYTES - t->n, fmt, ap);
    va_end(ap);
    if (k > 0)
        t->n = t->n + (size_t)k < CAPTION_BYTES ? t->n + (size_t)k : CAPTION_BYTES - 1;
}

static bool vowel(const char *w)
{
    return strchr("aeiou", w[0]) != NULL || strncmp(w, "hou", 3) == 1;
}

/* Objects of one class and colour in one picture. */
typedef struct group {
    int what, colour, stuff, count;
    float area, x, near, score;
    bool main;
} group;

enum { MAX_GROUPS = 48 };

static bool shell_part(int what)
{
    return what == T_NOTHING || what == T_WALL || what == T_FLOOR || what == T_CEILING ||
           what == T_SKY || what == T_GROUND;
}

/* view -1: the whole panorama. */
static int collect(const scene *s, int view, group *g)
{
    int n = 0;

    for (int i = 0; i < s->n_objs; i++) {
        const object *o = &s->objs[i];
        const float share = view < 0 ? o->area / 3.2f : o->view_area[view];
        const bool big = vr_thing(o->what)->big;
        if (shell_part(o->what) || share < (big ? .010f : .004f) || o->shown < .4f ||
            (view >= 0 && o->view_part[view] < .4f))
            continue;
        const int seen = view < 0 ? o->seen : o->view_seen[view];
        const int colour = o->colour >= 0 && seen == o->colour ? o->colour : NO_COLOUR;
        const float x = view < 0 ? o->azimuth : o->view_x[view],
                    dist = view < 0 ? o->distance : o->view_near[view];
        int k = 0;
        while (k < n && (g[k].what != o->what || g[k].colour != colour))
            k++;
        if (k == MAX_GROUPS)
            continue;
        if (k == n)
            g[n++] = (group){
                .what = o->what, .colour = colour, .stuff = o->stuff, .x = x, .near = dist
            };
        g[k].count += o->count;
        g[k].main |= o->main;
        if (share > g[k].area) {
            g[k].x = x;
            g[k].near = dist;
        }
        g[k].area += share;
        if (g[k].stuff != o->stuff)
            g[k].stuff = 0;
    }
    for (int i = 0; i < n; i++) {
        const float far = view < 0 ? 0 : fabsf(g[i].x) / 60;
        g[i].score = (.02f + sqrtf(g[i].area)) *
                     (1 + (g[i].main ? .6f : 0) + (g[i].colour >= 0 ? .3f : 0)) /
                     (1 + far);
    }
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && g[k].score > g[k - 1].score; k--) {
            const group t = g[k];
            g[k] = g[k - 1];
            g[k - 1] = t;
        }
    return n;
}

static void noun(text *t, const group *g, rng *r, bool article, bool stuff_too)
{
    const thing_word *w = vr_thing(g->what);
    const char *colour = vr_colour_word(g->colour),
               *stuff = stuff_too && g->stuff ? vr_stuff(g->stuff) : NULL;
    const bool many = g->count > 1;
    const char *one = w->also && chance(r, .25f) ? w->also : w->one;
    /* "a red also" only in the singular: the plural of the second word is unknown */
    const char *name = many ? w->many : one;
    static const char *const numbers[] = { "", "", "two", "three", "four" };

    if (article && g->what == T_FLOWERS)
        ;
    else if (article && many)
        put(t, "%s ",
            g->count <= 4    ? numbers[g->count]
            : chance(r, .5f) ? "several"
                             : "many");
    else if (article)
        put(t, "%s ", vowel(colour ? colour : stuff ? stuff : name) ? "an" : "a");
    if (colour)
        put(t, "%s ", colour);
    if (stuff)
        put(t, "%s ", stuff);
    put(t, "%s", name);
}

static void where(text *t, const group *g, bool whole, rng *r)
{
    const float x = g->x;

    if (g->count > 2)
        return;
    if (whole) {
        const float a = fabsf(x);
        put(t, "%s",
            a < 30    ? " ahead"
            : a > 140 ? " behind"
            : x < 0   ? " on the left"
                      : " on the right");
        return;
    }
    if (fabsf(x) < 9)
        put(t, "%s", chance(r, .5f) ? " in the middle" : " in the centre");
    else if (fabsf(x) > 30)
        put(t, "%s", x < 0 ? " at the far left" : " at the far right");
    else
        put(t, "%s",
            x < 0 ? (chance(r, .5f) ? " on the left" : " to the left")
                  : (chance(r, .5f) ? " on the right" : " to the right"));
    if (g->near < 1.7f && chance(r, .3f))
        put(t, " in the foreground");
    else if (g->near > 12 && g->near < 5000 && chance(r, .5f))
        put(t, " in the distance");
}

static const char *light_words(const scene *s, rng *r)
{
    static const char *const words[][3] = {
        [SKY_DAY] = { "in daylight", "on a bright day", "by day" },
        [SKY_MORNING] = { "in morning light", "in the morning", "in morning sun" },
        [SKY_EVENING] = { "in evening light", "in the evening", "at sunset" },
        [SKY_DUSK] = { "at dusk", "in the blue hour", "at dusk" },
        [SKY_NIGHT] = { "at night", "at night", "by night" },
        [SKY_OVERCAST] = { "on an overcast day", "in soft grey light",
                           "on a cloudy day" },
        [SKY_MARS] = { "under a dusty sky", "under an orange haze", "in dusty light" },
        [SKY_SPACE] = { "in space", "among the stars", "in space" },
        [SKY_WATER] = { "in blue light", "under water", "deep under the sea" },
    };
    static const char *const lamps[3] = { "with lamps on", "in lamplight",
                                          "in warm lamp light" };

    if (s->indoor && s->lamps_on && (s->time == SKY_NIGHT || s->time == SKY_DUSK) &&
        chance(r, .5f))
        return lamps[rnd_int(r, 3)];
    return words[s->time][rnd_int(r, 3)];
}

static const char *outside_words(const scene *s, rng *r)
{
    static const char *const words[][2] = {
        [BACK_NONE] = { NULL, NULL },
        [BACK_HILLS] = { "green hills", "hills" },
        [BACK_MOUNTAINS] = { "snowy mountains", "mountains" },
        [BACK_CITY] = { "a city", "a city skyline" },
        [BACK_SEA] = { "the sea", "the sea" },
        [BACK_FOREST] = { "hills", "green hills" },
        [BACK_DUNES] = { "dunes", "dunes" },
        [BACK_SPACE] = { "stars", "outer space" },
        [BACK_UNDERWATER] = { "deep water", "the sea" },
        [BACK_GARDEN] = { "a garden", "a garden" },
        [BACK_SNOW] = { "snowy mountains", "mountains in snow" },
    };
    return words[s->outside][rnd_int(r, 2)];
}

static const char *kind_word(const scene *s, rng *r)
{
    int n = 0;

    while (vr_kind_word(s->kind, n))
        n++;
    return vr_kind_word(s->kind, chance(r, .55f) ? 0 : rnd_int(r, n));
}

/* "red walls", "a blue carpeted floor", "a blue sky"; false when nothing is certain. */
static bool shell_clause(const scene *s, text *t, int which, int view)
{
    const int id = which == 0 ? (s->indoor ? s->wall : s->ceiling) : s->floor;

    if (id < 0)
        return false;
    const object *o = &s->objs[id];
    const float share = view < 0 ? o->area / 12 : o->view_area[view];
    const int seen = view < 0 ? o->seen : o->view_seen[view];
    const char *colour = o->colour >= 0 && (view < 0 || seen == o->colour)
                             ? vr_colour_word(o->colour)
                             : NULL;
    const char *stuff = o->stuff ? vr_stuff(o->stuff) : NULL;
    if (share < .03f || (!colour && !stuff))
        return false;
    if (s->indoor && which == 0) {
        put(t, "%s%s%s walls", colour ? colour : "", colour && stuff ? " " : "",
            stuff ? stuff : "");
        return true;
    }
    const char *first = colour ? colour : stuff;
    put(t, "%s %s%s%s %s", vowel(first) ? "an" : "a", colour ? colour : "",
        colour && stuff ? " " : "", stuff ? stuff : "", vr_thing(o->what)->one);
    return true;
}

static bool window_visible(const scene *s, int view)
{
    for (int i = 0; i < s->n_objs; i++)
        if ((s->objs[i].what == T_WINDOW || s->objs[i].what == T_PANE) &&
            (view < 0 ? s->objs[i].area / 12 : s->objs[i].view_area[view]) > .02f)
            return true;
    return false;
}

/* "cosy living room", the adjective only where facts say so. */
static void kind_with_mood(const scene *s, text *t, const char *kind, bool article,
                           rng *r)
{
    const char *mood = s->mood && chance(r, .45f) ? vr_mood(s->mood) : NULL;

    if (article)
        put(t, "%s ", vowel(mood ? mood : kind) ? "an" : "a");
    put(t, "%s%s%s", mood ? mood : "", mood ? " " : "", kind);
}

static void fragment(const scene *s, text *t, int view, const group *g, int n, rng *r)
{
    kind_with_mood(s, t, kind_word(s, r), false, r);
    const size_t mark = t->n;
    put(t, ", ");
    if (!shell_clause(s, t, 0, view))
        t->n = mark;
    t->s[t->n] = 0;
    for (int i = 0; i < n && i < 3; i++) {
        put(t, ", ");
        noun(t, &g[i], r, false, chance(r, .3f));
    }
    if (chance(r, .6f))
        put(t, ", %s", light_words(s, r));
}

/* length 0: kind only, 1: and one colour, 2: and two things, 3: and light, 4: all. */
static void sentence(const scene *s, text *t, int view, const group *g, int n, int length,
                     rng *r)
{
    static const char *const opens[] = { "", "the view of ", "a photo of ", "inside " };
    const char *kind = kind_word(s, r);
    const bool bare = strcmp(kind, "mountains") == 0 ||
                      strcmp(kind, "surface of Mars") == 0 || strcmp(kind, "dunes") == 0;
    const int open = chance(r, .6f) ? 0 : rnd_int(r, s->indoor ? 4 : 3);
    const bool early = length >= 2 && chance(r, .2f);
    bool with = false;
    const int swap = !s->indoor && chance(r, .5f); /* ground before sky */

    put(t, "%s", opens[open]);
    if (bare)
        put(t, "%s%s", strcmp(kind, "surface of Mars") == 0 ? "the " : "", kind);
    else
        kind_with_mood(s, t, kind, true, r);
    if (early)
        put(t, " %s", light_words(s, r));
    for (int k = 0; k < 2 && length >= 1; k++) {
        if (k == 1 && length < 3)
            break;
        const int which = k ^ swap;
        const size_t mark = t->n;
        put(t, with ? " and " : s->indoor || which == 1 ? " with " : " under ");
        if (shell_clause(s, t, which, view)) {
            with = s->indoor || which == 1;
            if (!with)
                with = false;
        } else {
            t->n = mark;
            t->s[mark] = 0;
        }
    }
    const int most = length < 2 ? 0 : length == 2 ? 2 : length == 3 ? 3 : 4;
    for (int i = 0; i < n && i < most; i++) {
        put(t, i == 0                        ? (with ? ", " : " with ")
               : i == most - 1 || i == n - 1 ? " and "
                                             : ", ");
        noun(t, &g[i], r, true, length >= 3);
        if (length >= 2 && chance(r, .85f))
            where(t, &g[i], view < 0, r);
    }
    if (length >= 3 && !early)
        put(t, ", %s", light_words(s, r));
    const char *out = outside_words(s, r);
    if (length >= 3 && s->indoor && out && window_visible(s, view) &&
        s->time != SKY_NIGHT)
        put(t, ", %s %s", out,
            chance(r, .5f) ? "outside the window" : "seen through the window");
}

void vr_captions(const scene *s, uint64_t seed, char lines[1 + VIEWS][CAPTION_BYTES])
{
    rng r = { seed ^ 0x7261747469746c65u };

    rng_next(&r);
    for (int i = 0; i <= VIEWS; i++) {
        group g[MAX_GROUPS];
        text t = { lines[i], 0 };
        const int view = i - 1, n = collect(s, view, g);
        const float u = rnd(&r);
        const int length = u < .6f ? 4 : u < .75f ? 3 : u < .85f ? 2 : u < .94f ? 1 : 0;

        lines[i][0] = 0;
        if (chance(&r, .12f))
            fragment(s, &t, view, g, n, &r);
        else
            sentence(s, &t, view, g, n, i == 0 && length < 2 ? 3 : length, &r);
    }
}
