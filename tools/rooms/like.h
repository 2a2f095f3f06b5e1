/* Scenes like a given one: the same kind, colour of a surface and main thing. */
#ifndef VBG_ROOMS_LIKE_H
#define VBG_ROOMS_LIKE_H

#include "engine/base.h"
#include "tools/rooms/things.h"

typedef enum surface_word {
    SURFACE_WALL,
    SURFACE_FLOOR, /* outdoors the ground */
    SURFACE_SKY
} surface_word;

typedef struct likeness {
    int kind, surface, colour, what;
} likeness;

/* "kitchen,wall,red,kitchen island": kind, wall|floor|ground|sky, colour, thing.
 * Errors: VBG_EUSAGE naming the word that is not known. */
vbg_status vr_like_parse(likeness *out, const char *text, vbg_err *err);
/* Whether a built (or measured) scene is so. */
bool vr_like_fits(const likeness *l, const scene *s);

#endif
