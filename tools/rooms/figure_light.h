/* Light of a panorama on what stands in front of it: a coarse map, nine spherical
 * harmonics of it, and one key light taken out of its brightest region.  Scene axes. */
#ifndef VBG_ROOMS_FIGURE_LIGHT_H
#define VBG_ROOMS_FIGURE_LIGHT_H

#include "engine/picture.h"
#include "tools/rooms/vec.h"

enum { FL_W = 64, FL_H = 32 };

typedef struct figure_light {
    vec3 map[FL_W * FL_H]; /* linear radiance, rows from the zenith down */
    vec3 sh[9];            /* irradiance / pi */
    vec3 key_dir, key;     /* unit, towards the light; irradiance / pi head on */
    float key_size;        /* sine of its half angle */
    float yaw;             /* the map is turned by this, radians, to the right */
} figure_light;

/* From a panorama (sphere) or a photo, which is taken as what lies behind the figure and,
 * mirrored, in front of it.  yaw: where the camera looks in the panorama, radians. */
void vr_light_from_picture(figure_light *l, const vbg_picture *p, bool sphere, float yaw);
/* Another lamp: a key light of strength (irradiance / pi) instead of the found one. */
void vr_light_key(figure_light *l, vec3 dir, vec3 strength, float size);
/* Irradiance / pi on a surface of normal n. */
vec3 vr_light_at(const figure_light *l, vec3 n);
/* Radiance from direction d, blurred to about 10 degrees. */
vec3 vr_light_from(const figure_light *l, vec3 d);
/* Axes of the clips' truth (x right, y down, z forward) to scene axes (y up, z towards
 * the viewer), and back. */
static inline vec3 vr_scene_axes(vec3 d)
{
    return v3(d.x, -d.y, -d.z);
}

#endif
