/* Surfaces of figures: skin with a face painted on, cloth, hair, eyes. */
#ifndef VBG_ROOMS_FIGURE_SHADE_H
#define VBG_ROOMS_FIGURE_SHADE_H

#include "tools/rooms/figure.h"
#include "tools/rooms/figure_light.h"

typedef struct figure_spot {
    vec3 n, tex, wo; /* normal towards the eye, place, towards the eye */
    float open;      /* share of the surroundings that reaches it */
    float key;       /* share of the key light that does */
    float w;         /* metres a pixel covers */
} figure_spot;

/* Linear radiance towards the eye. */
vec3 vr_figure_shade(const material *m, const figure_spot *q, const figure_light *l);

#endif
