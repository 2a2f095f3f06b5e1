/* Scenes like a given one; see tools/rooms/like.h. */
#include "tools/rooms/like.h"

#include <stdio.h>
#include <string.h>

enum { PARTS = 4, PART_BYTES = 48 };

static int find_surface(const char *word)
{
    static const struct {
        const char *word;
        int surface;
    } all[] = { { "wall", SURFACE_WALL },
                { "floor", SURFACE_FLOOR },
                { "ground", SURFACE_FLOOR },
                { "sky", SURFACE_SKY } };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(word, all[i].word) == 0)
            return all[i].surface;
    return -1;
}

static int find_colour(const char *word)
{
    int i = COLOURS - 1;

    while (i >= 0 && strcmp(word, vr_colour_word(i)) != 0)
        i--;
    return i;
}

static int find_thing(const char *word)
{
    int i = THINGS - 1;

    while (i > T_NOTHING && strcmp(word, vr_thing(i)->one) != 0)
        i--;
    return i > T_NOTHING ? i : -1;
}

vbg_status vr_like_parse(likeness *out, const char *text, vbg_err *err)
{
    char part[PARTS][PART_BYTES];
    int n = 0;

    for (const char *p = text; n < PARTS; n++) {
        const size_t length = strcspn(p, ",");
        snprintf(part[n], PART_BYTES, "%.*s", (int)length, p);
        if (!p[length] || (n == PARTS - 1)) {
            n += !p[length];
            break;
        }
        p += length + 1;
    }
    if (n != PARTS)
        return vbg_fail(err, VBG_EUSAGE,
                        "--like %s: want KIND,SURFACE,COLOUR,THING, as in "
                        "kitchen,wall,red,kitchen island",
                        text);
    *out = (likeness){ vr_kind_find(part[0]), find_surface(part[1]), find_colour(part[2]),
                       find_thing(part[3]) };
    const int number[PARTS] = { out->kind, out->surface, out->colour, out->what };
    for (int i = 0; i < PARTS; i++)
        if (number[i] < 0)
            return vbg_fail(err, VBG_EUSAGE, "--like: '%s' is not known", part[i]);
    return VBG_OK;
}

bool vr_like_fits(const likeness *l, const scene *s)
{
    const int id[] = { [SURFACE_WALL] = s->indoor ? s->wall : -1,
                       [SURFACE_FLOOR] = s->floor,
                       [SURFACE_SKY] = s->indoor ? -1 : s->ceiling };
    const int surface = id[l->surface];

    return s->kind == l->kind && s->main >= 0 && s->objs[s->main].what == l->what &&
           surface >= 0 && s->objs[surface].colour == l->colour;
}
