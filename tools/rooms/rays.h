/* Sixteen rays for Embree at a time. */
#ifndef VBG_TOOLS_ROOMS_RAYS_H
#define VBG_TOOLS_ROOMS_RAYS_H

#include <embree3/rtcore.h>

#include "tools/rooms/vec.h"

/* Lane l becomes the ray from o along d, up to far, at a time within the shutter (0..1),
 * that has hit nothing yet; valid [16] says which lanes are rays. */
static inline void vr_ray_put(struct RTCRayHit16 *rh, int *valid, int l, vec3 o, vec3 d,
                              float far, float time)
{
    struct RTCRay16 *r = &rh->ray;

    r->org_x[l] = o.x;
    r->org_y[l] = o.y;
    r->org_z[l] = o.z;
    r->dir_x[l] = d.x;
    r->dir_y[l] = d.y;
    r->dir_z[l] = d.z;
    r->tnear[l] = 0;
    r->tfar[l] = far;
    r->time[l] = time;
    r->mask[l] = ~0u;
    r->id[l] = 0;
    r->flags[l] = 0;
    rh->hit.geomID[l] = RTC_INVALID_GEOMETRY_ID;
    rh->hit.instID[0][l] = RTC_INVALID_GEOMETRY_ID;
    valid[l] = -1;
}

#endif
