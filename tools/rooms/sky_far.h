/* The painted far world around a scene. */
#ifndef VBG_ROOMS_SKY_FAR_H
#define VBG_ROOMS_SKY_FAR_H

#include "tools/rooms/scene.h"

/* Clear air at height y of a unit direction (sky.c). */
vec3 vr_sky_gradient(const sky *k, float y);
/* The ground of direction d, d.y < 0; px: footprint in radians. */
vec3 vr_far_ground(const sky *k, vec3 d, float px);
/* What stands before the sky or ground of colour c. */
vec3 vr_far_world(const sky *k, vec3 d, vec3 c, float px);

#endif
