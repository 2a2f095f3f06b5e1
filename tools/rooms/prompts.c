/* Sentences to judge generators with; see tools/rooms/prompts.h. */
#include "tools/rooms/prompts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/options.h"
#include "tools/rooms/kinds.h"

/* Scenes that are built for one prompt and for all of a kind at most: kinds of which
 * little is kept out of training get fewer. */
enum { WIDTH = 256, ATTEMPTS = 200, TRIED = 900, FRESH = 60, WORDINGS = 24 };

typedef struct maker {
    const prompt_opt *o;
    renderer *r;
    canvas c;
    scene s;
    json_t *list;
    bool repeats[KINDS];   /* nothing new is found of it any more */
    uint64_t tried[KINDS]; /* scenes: each kind has its own, whatever others there are */
} maker;

static bool letter(char c)
{
    return c >= 'a' && c <= 'z';
}

bool vr_says_colour(const char *text, const char *colour, const char *noun)
{
    const size_t n = strlen(colour), m = strlen(noun);

    for (const char *p = strstr(text, colour); p; p = strstr(p + 1, colour)) {
        if ((p > text && letter(p[-1])) || p[n] != ' ')
            continue;
        const char *word = p + n + 1;
        for (int skipped = 0; skipped < 2; skipped++) {
            if (strncmp(word, noun, m) == 0 && !letter(word[m]))
                return true;
            word += strcspn(word, " ");
            word += *word == ' ';
        }
    }
    return false;
}

static bool says_thing(const char *text, const thing_word *w)
{
    return strstr(text, w->one) || strstr(text, w->many) ||
           (w->also && strstr(text, w->also));
}

/* A surface whose colour the sentence names. */
typedef struct surface {
    const char *region, *noun;
    int object;
} surface;

/* Surfaces of a scene; returns how many. */
static int surfaces(const scene *s, surface out[3])
{
    const surface all[3] = {
        { "wall", "walls", s->indoor ? s->wall : -1 },
        { s->indoor ? "floor" : "ground", s->indoor ? "floor" : "ground", s->floor },
        { "sky", "sky", s->indoor ? -1 : s->ceiling },
    };
    int n = 0;

    for (int i = 0; i < 3; i++)
        if (all[i].object >= 0 && s->objs[all[i].object].colour >= 0)
            out[n++] = all[i];
    return n;
}

/* The combination that keeps the scene out of training. */
static json_t *triple(const scene *s)
{
    const int big = s->indoor ? s->wall : -1, what = s->objs[s->main].what;
    const int colours[2] = { big >= 0 ? s->objs[big].colour : NO_COLOUR,
                             s->objs[s->main].colour };

    for (int i = 0; i < 2; i++)
        if (vr_triple_held_out(s->kind, colours[i], what))
            return json_pack("[sss]", vr_kind_name(s->kind), vr_colour_word(colours[i]),
                             vr_thing(what)->one);
    return json_null();
}

/* Whether a prompt for the same things is there already. */
static bool known(const json_t *list, const char *kind, const char *region,
                  const char *colour, const char *thing)
{
    size_t i;
    json_t *p;

    json_array_foreach(
        (json_t *)(uintptr_t)list, i,
        p) if (strcmp(json_string_value(json_object_get(p, "kind")), kind) == 0 &&
               strcmp(json_string_value(json_object_get(p, "region")), region) == 0 &&
               strcmp(json_string_value(json_object_get(p, "colour")), colour) == 0 &&
               strcmp(json_string_value(json_object_get(p, "object")), thing) ==
                   0) return true;
    return false;
}

/* Whether a built scene has a surface of which there is no prompt yet: what is not so is
 * not worth a picture. */
static bool promising(const maker *m, bool fresh)
{
    const scene *s = &m->s;
    surface has[3];
    int n = surfaces(s, has);

    while (n > 0 && fresh) {
        const surface *f = &has[n - 1];
        if (!known(m->list, vr_kind_name(s->kind), f->region,
                   vr_colour_word(s->objs[f->object].colour),
                   vr_thing(s->objs[s->main].what)->one))
            break;
        n--;
    }
    return n > 0;
}

/* Adds a prompt that names surface f of the measured scene, when some wording says its
 * colour and the thing. */
static bool add_prompt(maker *m, const surface *f, bool fresh)
{
    const scene *s = &m->s;
    const thing_word *thing = vr_thing(s->objs[s->main].what);
    const char *kind = vr_kind_name(s->kind),
               *colour = vr_colour_word(s->objs[f->object].colour);
    char lines[1 + VIEWS][CAPTION_BYTES], name[80];

    if (fresh && known(m->list, kind, f->region, colour, thing->one))
        return false;
    for (int i = 0; i < WORDINGS; i++) {
        vr_captions(s, s->seed + (uint64_t)i, lines);
        if (!vr_says_colour(lines[0], colour, f->noun) || !says_thing(lines[0], thing))
            continue;
        snprintf(name, sizeof name, "%03zu_%s", json_array_size(m->list), kind);
        json_array_append_new(
            m->list, json_pack("{ss ss ss ss ss ss so sI}", "name", name, "prompt",
                               lines[0], "kind", kind, "region", f->region, "colour",
                               colour, "object", thing->one, "triple", triple(s), "scene",
                               (json_int_t)(s->seed & 0x7fffffffffffffff)));
        return true;
    }
    return false;
}

/* One for every surface of the scene that has a name. */
static bool add_prompts(maker *m, bool fresh)
{
    surface has[3];
    const int n = surfaces(&m->s, has);
    bool made = false;

    for (int i = 0; i < n && json_array_size(m->list) < (size_t)m->o->count; i++)
        made |= add_prompt(m, &has[i], fresh);
    return made;
}

/* Builds scenes of a kind until one yields a prompt. */
static vbg_status one(maker *m, int kind, bool *made, vbg_err *err)
{
    const render_opt o = {
        .spp_band = 1, .spp_pole = 1, .aa = 2, .bounces = 0, .threads = m->o->threads
    };

    *made = false;
    for (int i = 0; i < ATTEMPTS && m->tried[kind] < TRIED && !*made; i++) {
        rng r = { m->o->seed * 0xd1342543de82ef95u + ((uint64_t)kind << 32) +
                  m->tried[kind]++ };
        render_stats st;
        if (vbg_stop_signal())
            return vbg_fail(err, VBG_ECANCEL, "stopped");
        m->repeats[kind] = m->repeats[kind] || i == FRESH;
        const bool fresh = !m->repeats[kind];
        rng_next(&r);
        vr_scene_reset(&m->s, rng_next(&r) >> 1);
        vr_build(&m->s, kind);
        if (m->s.failed)
            return vbg_fail(err, VBG_ENOMEM, "rooms: out of memory");
        if (m->s.main < 0 ||
            (m->o->held < 2 && vr_scene_held_out(&m->s) != (m->o->held == 1)) ||
            !promising(m, fresh))
            continue;
        vbg_status e = vr_render(m->r, &m->s, &m->c, &o, &st, err);
        if (e != VBG_OK)
            return e;
        vr_measure(&m->s, &m->c);
        if (m->o->held == 1 && !vr_scene_held_out(&m->s))
            continue; /* the picture does not bear the colour out */
        *made = add_prompts(m, fresh);
    }
    return VBG_OK;
}

/* Prompts of a kind so far. */
static int count_of(const json_t *list, int kind)
{
    size_t i;
    json_t *p;
    int n = 0;

    json_array_foreach((json_t *)(uintptr_t)list, i, p) n +=
        strcmp(json_string_value(json_object_get(p, "kind")), vr_kind_name(kind)) == 0;
    return n;
}

/* Kinds in turn until there are enough; one that yields nothing is not asked again. */
static vbg_status all(maker *m, vbg_err *err)
{
    bool barren[KINDS] = { false };
    int left = m->o->n_kinds;
    vbg_progress bar;
    vbg_status st = VBG_OK;

    vbg_progress_start(&bar, "prompts", m->o->count);
    for (int k = 0; left > 0 && st == VBG_OK; k = (k + 1) % m->o->n_kinds) {
        bool made = false;
        if (json_array_size(m->list) >= (size_t)m->o->count)
            break;
        if (barren[k])
            continue;
        st = one(m, m->o->kinds[k], &made, err);
        vbg_progress_step(&bar, (long)json_array_size(m->list));
        if (st == VBG_OK && !made) {
            barren[k] = true;
            left--;
        }
    }
    vbg_progress_end(&bar);
    for (int k = 0; k < m->o->n_kinds && st == VBG_OK; k++)
        if (barren[k])
            vbg_note("%s: %d prompts in %llu scenes", vr_kind_name(m->o->kinds[k]),
                     count_of(m->list, m->o->kinds[k]),
                     (unsigned long long)m->tried[m->o->kinds[k]]);
    return st;
}

vbg_status vr_prompts(json_t **out, const prompt_opt *o, vbg_err *err)
{
    maker m = { .o = o, .list = json_array() };
    vbg_status st = vr_renderer_new(&m.r, err);

    *out = NULL;
    if (st == VBG_OK)
        st = vr_canvas_new(&m.c, WIDTH, WIDTH / 2, CAMERA_EQUIRECT, err);
    if (st == VBG_OK)
        st = all(&m, err);
    if (st == VBG_OK)
        *out = json_pack("{ss sI sO}", "about",
                         "sentences of the renderer with what a room of theirs must show",
                         "seed", (json_int_t)o->seed, "prompts", m.list);
    if (st == VBG_OK && !*out)
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for prompts");
    json_decref(m.list);
    vr_canvas_free(&m.c);
    vr_scene_free(&m.s);
    vr_renderer_free(m.r);
    return st;
}
