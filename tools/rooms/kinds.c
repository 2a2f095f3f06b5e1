/* From a seed to a scene. */
#include "tools/rooms/kinds.h"

bool vr_kind_built(int kind)
{
    return kind >= 0 && kind < KINDS && kind != K_SPACESHIP && kind != K_UNDERWATER &&
           kind != K_CITY && kind != K_ROOFTOP && kind != K_GARDEN;
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
