/* From a seed to a scene. */
#include "tools/rooms/kinds.h"

#include <stdio.h>
#include <string.h>

bool vr_kind_built(int kind)
{
    return kind >= 0 && kind < KINDS;
}

vbg_status vr_kinds_of(const char *list, int *kinds, int *count, vbg_err *err)
{
    char name[64];

    *count = 0;
    for (int k = 0; k < KINDS && !list; k++)
        if (vr_kind_built(k))
            kinds[(*count)++] = k;
    while (list && *list) {
        const size_t n = strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, list);
        const int k = vr_kind_find(name);
        if (!vr_kind_built(k))
            return vbg_fail(err, VBG_EUSAGE,
                            "--kind: no scene is called '%s' (see --list-kinds)", name);
        if (*count < KINDS)
            kinds[(*count)++] = k;
        list += n + (list[n] == ',');
    }
    return *count ? VBG_OK : vbg_fail(err, VBG_EUSAGE, "--kind: no kind given");
}

void vr_build(scene *s, int kind)
{
    s->kind = kind;
    s->hue = rnd_int(&s->r, COLOURS - 3) + 3;
    s->accent = rnd_int(&s->r, COLOURS - 3) + 3;
    s->outside = BACK_NONE;
    switch (kind) {
    case K_KITCHEN:
        vr_kind_kitchen(s);
        break;
    case K_BEDROOM:
        vr_kind_bedroom(s);
        break;
    case K_OFFICE:
        vr_kind_office(s);
        break;
    case K_LECTURE:
        vr_kind_lecture(s);
        break;
    case K_LIBRARY:
        vr_kind_library(s);
        break;
    case K_ARCADE:
        vr_kind_arcade(s);
        break;
    case K_BATHROOM:
        vr_kind_bathroom(s);
        break;
    case K_CORRIDOR:
        vr_kind_corridor(s);
        break;
    case K_GALLERY:
        vr_kind_gallery(s);
        break;
    case K_ATTIC:
        vr_kind_attic(s);
        break;
    case K_SPACESHIP:
        vr_kind_spaceship(s);
        break;
    case K_UNDERWATER:
        vr_kind_underwater(s);
        break;
    case K_CITY:
        vr_kind_city(s);
        break;
    case K_ROOFTOP:
        vr_kind_rooftop(s);
        break;
    case K_GARDEN:
        vr_kind_garden(s);
        break;
    case K_BEACH:
    case K_FOREST:
    case K_MOUNTAINS:
    case K_DESERT:
    case K_MARS:
    case K_SNOW:
        vr_kind_land(s, kind);
        break;
    default:
        vr_kind_living(s);
    }
}
