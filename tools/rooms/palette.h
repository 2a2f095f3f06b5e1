/* Eleven named colours, Lab, and the nearest name of a measured colour. */
#ifndef VBG_ROOMS_PALETTE_H
#define VBG_ROOMS_PALETTE_H

#include "tools/rooms/scene.h"

vec3 vr_srgb_to_linear(int r, int g, int b);
/* CIELAB (D65) of linear sRGB light. */
vec3 vr_lab(vec3 linear);
/* The name nearest in Lab; *margin (may be NULL): distance to the second minus first. */
int vr_nearest_colour(vec3 linear, float *margin);
/* Factor that takes a picture's mean luminance out of its colours before they are named:
 * dim and bright light are adapted to, within limits. */
float vr_luminance_gain(float mean);
/* A variation of a named colour: lightness, hue and chroma jittered so that the name
 * stays nearest.  Linear, at most .87 and at least .015 per channel. */
vec3 vr_paint(int colour, rng *r);
/* The same, paler: for walls. */
vec3 vr_wall_paint(int colour, rng *r);
/* A wood colour; *name gets brown, white, black, ... as seen. */
vec3 vr_wood(rng *r, int *name);

#endif
