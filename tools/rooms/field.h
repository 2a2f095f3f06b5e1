/* Signed distances of round things and the blends between them.  Negative inside.
 * Ellipsoids are close to true distances near their surface and below 1.5 times them
 * elsewhere, which is what surface_net.c counts on. */
#ifndef VBG_ROOMS_FIELD_H
#define VBG_ROOMS_FIELD_H

#include "tools/rooms/vec.h"

static inline float field_ball(vec3 p, vec3 c, float r)
{
    return v3_len(v3_sub(p, c)) - r;
}

/* Ellipsoid with radii r. */
static inline float field_blob(vec3 p, vec3 c, vec3 r)
{
    const vec3 q = v3_sub(p, c), i = v3(1 / r.x, 1 / r.y, 1 / r.z);
    const vec3 a = v3_had(q, i), b = v3_had(a, i);
    const float k0 = v3_dot(a, a), k1 = v3_dot(b, b);

    if (k1 < 1e-12f)
        return -vr_min(r.x, vr_min(r.y, r.z));
    const float k = sqrtf(k0);
    return k * (k - 1) / sqrtf(k1);
}

/* Capsule from a to b whose radius goes from ra to rb. */
static inline float field_limb(vec3 p, vec3 a, vec3 b, float ra, float rb)
{
    const vec3 ab = v3_sub(b, a), ap = v3_sub(p, a);
    const float t = vr_clamp(v3_dot(ap, ab) / v3_dot(ab, ab), 0, 1);

    return v3_len(v3_mad(ap, ab, -t)) - vr_mix(ra, rb, t);
}

/* Box with half sides h and rounded edges, about c. */
static inline float field_box(vec3 p, vec3 c, vec3 h, float round)
{
    const vec3 q = v3_sub(p, c);
    const vec3 d =
        v3(fabsf(q.x) - h.x + round, fabsf(q.y) - h.y + round, fabsf(q.z) - h.z + round);
    const vec3 o = v3(vr_max(d.x, 0), vr_max(d.y, 0), vr_max(d.z, 0));

    return v3_len(o) + vr_min(v3_max(d), 0) - round;
}

/* Union whose seam is rounded over about k. */
static inline float field_join(float a, float b, float k)
{
    const float h = vr_max(k - fabsf(a - b), 0) / k;

    return vr_min(a, b) - h * h * k * .25f;
}

/* a without b, the edge rounded over about k. */
static inline float field_cut(float a, float b, float k)
{
    const float h = vr_max(k - fabsf(a + b), 0) / k;

    return vr_max(a, -b) + h * h * k * .25f;
}

/* Both a and b. */
static inline float field_meet(float a, float b, float k)
{
    const float h = vr_max(k - fabsf(a - b), 0) / k;

    return vr_max(a, b) + h * h * k * .25f;
}

#endif
