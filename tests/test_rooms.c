/* The scene renderer: colours and their names, scenes of every kind, sentences that agree
 * with the facts, the same bits for every number of threads. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/rooms/facts.h"
#include "tools/rooms/kinds.h"
#include "tools/rooms/like.h"
#include "tools/rooms/palette.h"
#include "tools/rooms/prompts.h"

/* Lab of the anchors as the specification lists them, rounded. */
static const struct {
    int r, g, b, l, a, bb;
} anchors[COLOURS] = {
    { 0xF0, 0xEE, 0xE8, 94, 0, 3 },    { 0x1E, 0x1E, 0x20, 11, 1, -1 },
    { 0x80, 0x82, 0x85, 54, 0, -2 },   { 0xB8, 0x27, 0x2C, 41, 57, 34 },
    { 0xE0, 0x7B, 0x22, 62, 34, 61 },  { 0xEB, 0xC5, 0x34, 81, 0, 72 },
    { 0x3F, 0x8F, 0x47, 53, -40, 31 }, { 0x2B, 0x5F, 0xA8, 40, 9, -44 },
    { 0x6F, 0x3F, 0x93, 36, 37, -38 }, { 0xE5, 0x9B, 0xB4, 72, 31, -2 },
    { 0x7A, 0x4B, 0x2A, 37, 17, 28 },
};

Test(rooms, palette)
{
    for (int i = 0; i < COLOURS; i++) {
        const vec3 l =
            vr_lab(vr_srgb_to_linear(anchors[i].r, anchors[i].g, anchors[i].b));
        cr_assert_float_eq(l.x, (float)anchors[i].l, .6f, "%d L %f", i, (double)l.x);
        cr_assert_float_eq(l.y, (float)anchors[i].a, .6f, "%d a %f", i, (double)l.y);
        cr_assert_float_eq(l.z, (float)anchors[i].bb, 1.1f, "%d b %f", i, (double)l.z);
    }
}

Test(rooms, paint_keeps_its_name)
{
    rng r = { 7 };

    for (int i = 0; i < 400; i++) {
        const int c = i % COLOURS;
        const vec3 p = i & 1 ? vr_paint(c, &r) : vr_wall_paint(c, &r);
        cr_assert_eq(vr_nearest_colour(p, NULL), c, "%s", vr_colour_word(c));
        cr_assert(v3_max(p) <= .8701f);
    }
}

Test(rooms, likeness_is_read_and_found)
{
    static const char *const wrong[] = { "",
                                         "kitchen,wall,red",
                                         "kitchen,wall,red,",
                                         "moon,wall,red,sofa",
                                         "kitchen,lid,red,sofa",
                                         "kitchen,wall,crimson,sofa",
                                         "kitchen,wall,red,thing",
                                         "kitchen,wall,red,sofa,desk" };
    likeness l;
    scene s = { 0 };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_eq(vr_like_parse(&l, wrong[i], NULL), VBG_EUSAGE, "%s", wrong[i]);
    cr_assert_eq(vr_like_parse(&l, "desert,ground,orange,cactus", NULL), VBG_OK);
    cr_expect(l.kind == K_DESERT && l.surface == SURFACE_FLOOR && l.colour == ORANGE &&
              l.what == T_CACTUS);
    vr_scene_reset(&s, 4);
    s.kind = K_KITCHEN;
    s.indoor = true;
    s.wall = vr_object(&s, T_WALL, RED, 0);
    s.main = vr_object(&s, T_ISLAND, BLUE, 0);
    cr_assert_eq(vr_like_parse(&l, "kitchen,wall,red,kitchen island", NULL), VBG_OK);
    cr_expect(vr_like_fits(&l, &s));
    s.objs[s.wall].colour = NO_COLOUR;
    cr_expect_not(vr_like_fits(&l, &s));
    cr_assert_eq(vr_like_parse(&l, "kitchen,sky,red,kitchen island", NULL), VBG_OK);
    cr_expect_not(vr_like_fits(&l, &s));
    vr_scene_free(&s);
}

/* Neighbouring seeds share nothing: the first draws are spread evenly. */
Test(rooms, seeds_are_apart)
{
    scene s = { 0 };
    float mean = 0;
    float last = -1;

    for (uint64_t seed = 0; seed < 64; seed++) {
        vr_scene_reset(&s, seed);
        rnd(&s.r);
        const float v = rnd(&s.r);
        cr_assert_neq(v, last);
        last = v;
        mean += v / 64;
    }
    cr_assert_float_eq(mean, .5f, .12f);
    vr_scene_free(&s);
}

Test(rooms, every_kind_is_built_and_finite, .timeout = 120)
{
    scene s = { 0 };

    for (int kind = 0; kind < KINDS; kind++)
        for (uint64_t seed = 1; seed < 4 && vr_kind_built(kind); seed++) {
            vr_scene_reset(&s, seed * 1000 + (uint64_t)kind);
            vr_build(&s, kind);
            cr_assert_not(s.failed);
            cr_assert_gt(s.solid.nt, 100);
            cr_assert_lt(s.n_mats, VR_MAX_MATERIALS);
            for (size_t i = 0; i < s.solid.nv * 4; i++)
                cr_assert(isfinite(s.solid.pos[i]), "%s %d", vr_kind_name(kind),
                          (int)seed);
            for (size_t i = 0; i < s.solid.nv * 3; i++)
                cr_assert(isfinite(s.solid.nrm[i]), "%s %d", vr_kind_name(kind),
                          (int)seed);
            for (size_t i = 0; i < s.solid.nt * 3; i++)
                cr_assert_lt(s.solid.idx[i], s.solid.nv);
            if (s.indoor)
                cr_assert(s.eye.y > .9f);
        }
    vr_scene_free(&s);
}

Test(rooms, held_out_share)
{
    int held = 0, all = 0;

    for (int kind = 0; kind < KINDS; kind++)
        for (int colour = 0; colour < COLOURS; colour++)
            for (int what = T_SOFA; what < T_SOFA + 20; what++) {
                held += vr_triple_held_out(kind, colour, what);
                all++;
            }
    cr_assert_float_eq((double)held / all, 1. / 12, .012);
    cr_assert_not(vr_triple_held_out(0, NO_COLOUR, T_SOFA));
}

#ifdef VBG_HAVE_EMBREE

static void render(scene *s, canvas *c, int threads)
{
    const render_opt o = {
        .spp_band = 2, .spp_pole = 1, .aa = 4, .bounces = 1, .threads = threads
    };
    render_stats st;
    renderer *r = NULL;

    cr_assert_eq(vr_renderer_new(&r, NULL), VBG_OK);
    cr_assert_eq(vr_render(r, s, c, &o, &st, NULL), VBG_OK);
    cr_assert(st.mean_luminance > .05f && st.mean_luminance < .9f);
    vr_renderer_free(r);
}

Test(rooms, same_picture_for_any_threads, .timeout = 120)
{
    scene s = { 0 };
    canvas a, b;

    cr_assert_eq(vr_canvas_new(&a, 256, 128, CAMERA_EQUIRECT, NULL), VBG_OK);
    cr_assert_eq(vr_canvas_new(&b, 256, 128, CAMERA_EQUIRECT, NULL), VBG_OK);
    vr_scene_reset(&s, 5);
    vr_build(&s, K_LIVING);
    render(&s, &a, 1);
    render(&s, &b, 3);
    cr_assert_eq(memcmp(a.rgb, b.rgb, 256 * 128 * 3), 0);
    cr_assert_eq(memcmp(a.part, b.part, 256 * 128 * 4), 0);
    /* floor below, ceiling above */
    cr_assert_eq(vr_pixel_object(&s, &a, 127 * 256 + 40) == s.ceiling, false);
    cr_assert_eq(vr_pixel_object(&s, &a, 40), s.ceiling);
    vr_canvas_free(&a);
    vr_canvas_free(&b);
    vr_scene_free(&s);
}

static bool has_word(const char *text, const char *word)
{
    const size_t n = strlen(word);

    for (const char *p = strstr(text, word); p; p = strstr(p + 1, word))
        if ((p == text || p[-1] == ' ') && (p[n] == ' ' || p[n] == ',' || !p[n]))
            return true;
    return false;
}

/* No colour word in a caption that the measured region does not bear out. */
Test(rooms, captions_do_not_lie, .timeout = 240)
{
    scene s = { 0 };
    canvas c;
    char lines[1 + VIEWS][CAPTION_BYTES];

    cr_assert_eq(vr_canvas_new(&c, 512, 256, CAMERA_EQUIRECT, NULL), VBG_OK);
    for (int kind = 0; kind < KINDS; kind += 3) {
        if (!vr_kind_built(kind))
            continue;
        vr_scene_reset(&s, 77 + (uint64_t)kind);
        vr_build(&s, kind);
        render(&s, &c, 2);
        vr_measure(&s, &c);
        vr_captions(&s, 1, lines);
        for (int i = 0; i <= VIEWS; i++) {
            cr_assert_gt(strlen(lines[i]), 3);
            for (int colour = 0; colour < COLOURS; colour++) {
                bool borne_out = !has_word(lines[i], vr_colour_word(colour));
                for (int k = 0; k < s.n_objs; k++)
                    borne_out |= s.objs[k].colour == colour && s.objs[k].area > 0;
                /* "soft grey light", "green hills", "blue light" are set phrases */
                if (!borne_out &&
                    (strstr(lines[i], "light") || strstr(lines[i], "hills") ||
                     strstr(lines[i], "blue hour") || strstr(lines[i], "orange haze")))
                    continue;
                cr_assert(borne_out, "%s: %s", vr_kind_name(kind), lines[i]);
            }
        }
    }
    vr_canvas_free(&c);
    vr_scene_free(&s);
}

/* Sentences to judge with: what each asks for stands in it. */
Test(rooms, prompts_say_what_they_ask_for, .timeout = 240)
{
    const prompt_opt o = { .seed = 3,
                           .count = 3,
                           .kinds = { K_GALLERY, K_LIBRARY },
                           .n_kinds = 2,
                           .held = 2,
                           .threads = 2 };
    json_t *all, *again, *p;
    size_t i;

    cr_assert_eq(vr_prompts(&all, &o, NULL), VBG_OK);
    cr_assert_eq(json_array_size(json_object_get(all, "prompts")), 3);
    json_array_foreach(json_object_get(all, "prompts"), i, p)
    {
        const char *text = json_string_value(json_object_get(p, "prompt"));
        const char *region = json_string_value(json_object_get(p, "region"));
        const char *kind = json_string_value(json_object_get(p, "kind"));
        cr_expect(strcmp(kind, "library") == 0 || strcmp(kind, "gallery") == 0, "%s",
                  kind);
        cr_expect(vr_says_colour(text, json_string_value(json_object_get(p, "colour")),
                                 strcmp(region, "wall") ? region : "walls"),
                  "%s", text);
    }
    cr_assert_eq(vr_prompts(&again, &o, NULL), VBG_OK);
    cr_expect(json_equal(all, again));
    json_decref(all);
    json_decref(again);
}

Test(rooms, colours_belong_to_their_nouns)
{
    const char *text = "a library with red papered walls and a blue carpeted floor, "
                       "two greyish chairs";

    cr_expect(vr_says_colour(text, "red", "walls"));
    cr_expect(vr_says_colour(text, "blue", "floor"));
    cr_expect_not(vr_says_colour(text, "red", "floor"));
    cr_expect_not(vr_says_colour(text, "grey", "chairs"));
    cr_expect_not(vr_says_colour("", "red", "walls"));
}

/* The longest prefix of a caption that names things: what follows the light and the view
 * through windows are set phrases. */
static void strip_phrases(char *line)
{
    static const char *const set[] = { "with lamps on",           "in lamplight",
                                       "in warm lamp light",      "in soft grey light",
                                       "seen through the window", "outside the window" };

    for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
        char *at = strstr(line, set[i]);
        if (!at)
            continue;
        if (i >= 4) /* and what is to be seen there */
            while (at > line && *at != ',')
                *at-- = 0;
        else
            memset(at, '_', strlen(set[i]));
    }
}

/* Some object of class `what` may be named in view k. */
static bool in_view(const scene *s, int what, int k)
{
    for (int i = 0; i < s->n_objs; i++) {
        const object *o = &s->objs[i];
        if (o->what == what && o->shown >= .4f && o->view_part[k] >= .4f &&
            o->view_area[k] >= .004f)
            return true;
    }
    return false;
}

/* Whatever a view's sentence names is in that view, and not mostly hidden. */
Test(rooms, named_things_are_visible, .timeout = 240)
{
    static const int some[] = { K_LIVING, K_BEDROOM, K_OFFICE, K_CITY, K_GARDEN };
    scene s = { 0 };
    canvas c;
    char lines[1 + VIEWS][CAPTION_BYTES];
    int named = 0;

    cr_assert_eq(vr_canvas_new(&c, 512, 256, CAMERA_EQUIRECT, NULL), VBG_OK);
    for (size_t n = 0; n < sizeof some / sizeof *some; n++) {
        vr_scene_reset(&s, 321 + n);
        vr_build(&s, some[n]);
        render(&s, &c, 2);
        vr_measure(&s, &c);
        vr_captions(&s, 9, lines);
        for (int k = 0; k < VIEWS; k++) {
            char *line = lines[1 + k];
            strip_phrases(line);
            for (int what = T_WINDOW; what < THINGS; what++) {
                const thing_word *w = vr_thing(what);
                if (!w->one || (!has_word(line, w->one) && !has_word(line, w->many)))
                    continue;
                bool other = false; /* "coffee table" says "table" too; so may the kind */
                for (int i = 0; vr_kind_word(s.kind, i); i++)
                    other |= has_word(vr_kind_word(s.kind, i), w->one);
                for (int i = T_WINDOW; i < THINGS && !other; i++) {
                    const thing_word *v = vr_thing(i);
                    other = i != what && v->one &&
                            ((has_word(v->one, w->one) && has_word(line, v->one)) ||
                             (has_word(v->many, w->many) && has_word(line, v->many)) ||
                             (v->also && has_word(v->also, w->one) &&
                              has_word(line, v->also)));
                }
                cr_assert(other || in_view(&s, what, k), "%s, view %d: '%s' in '%s'",
                          vr_kind_name(s.kind), k, w->one, line);
                named += !other;
            }
        }
    }
    cr_assert_gt(named, 60, "%d", named);
    vr_canvas_free(&c);
    vr_scene_free(&s);
}

static const char *text_of(const json_t *o, const char *key)
{
    const char *t = json_string_value(json_object_get(o, key));

    return t ? t : "";
}

static int find_colour(const char *word)
{
    int i = COLOURS - 1;

    while (i >= 0 && strcmp(word, vr_colour_word(i)) != 0)
        i--;
    return i;
}

static bool triple_held_out(const json_t *p)
{
    const json_t *t = json_object_get(p, "triple");
    const char *kind = json_string_value(json_array_get(t, 0)),
               *colour = json_string_value(json_array_get(t, 1)),
               *thing = json_string_value(json_array_get(t, 2));
    int what = THINGS - 1;

    while (thing && what > 0 && strcmp(thing, vr_thing(what)->one) != 0)
        what--;
    return kind && colour && thing && strcmp(kind, text_of(p, "kind")) == 0 &&
           vr_triple_held_out(vr_kind_find(kind), find_colour(colour), what);
}

/* The committed prompts ask for what is kept out of training, and say it. */
Test(rooms, adherence_file_is_held_out)
{
    json_t *all = json_load_file("tests/data/adherence.json", 0, NULL), *p;
    bool kinds[KINDS] = { false };
    size_t i;
    int covered = 0;

    cr_assert_eq(json_array_size(json_object_get(all, "prompts")), 200);
    json_array_foreach(json_object_get(all, "prompts"), i, p)
    {
        const char *region = text_of(p, "region");
        cr_expect(triple_held_out(p), "%s", text_of(p, "name"));
        cr_expect(vr_says_colour(text_of(p, "prompt"), text_of(p, "colour"),
                                 strcmp(region, "wall") ? region : "walls"),
                  "%s: %s", text_of(p, "name"), text_of(p, "prompt"));
        const int kind = vr_kind_find(text_of(p, "kind"));
        cr_assert(kind >= 0, "%s", text_of(p, "name"));
        covered += !kinds[kind];
        kinds[kind] = true;
    }
    cr_expect_geq(covered, 17);
    json_decref(all);
}

#endif
