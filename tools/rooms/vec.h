/* Three floats, a placed frame, and random numbers for the scene renderer.
 *
 * Axes: x right, y up, z towards the viewer at longitude 0 (which looks along -z).
 * vr_ is the prefix of what the files of this folder share with each other. */
#ifndef VBG_ROOMS_VEC_H
#define VBG_ROOMS_VEC_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define VR_PI 3.14159265f

/* fmaxf and fminf are calls as long as NaN has to be treated right; here it need not. */
static inline float vr_max(float a, float b)
{
    return a > b ? a : b;
}
static inline float vr_min(float a, float b)
{
    return a < b ? a : b;
}

typedef struct vec3 {
    float x, y, z;
} vec3;

static inline vec3 v3(float x, float y, float z)
{
    return (vec3){ x, y, z };
}
static inline vec3 v3s(float s)
{
    return (vec3){ s, s, s };
}
static inline vec3 v3_add(vec3 a, vec3 b)
{
    return v3(a.x + b.x, a.y + b.y, a.z + b.z);
}
static inline vec3 v3_sub(vec3 a, vec3 b)
{
    return v3(a.x - b.x, a.y - b.y, a.z - b.z);
}
static inline vec3 v3_mul(vec3 a, float s)
{
    return v3(a.x * s, a.y * s, a.z * s);
}
static inline vec3 v3_had(vec3 a, vec3 b)
{
    return v3(a.x * b.x, a.y * b.y, a.z * b.z);
}
static inline vec3 v3_mad(vec3 a, vec3 b, float s)
{
    return v3(a.x + b.x * s, a.y + b.y * s, a.z + b.z * s);
}
static inline vec3 v3_mix(vec3 a, vec3 b, float t)
{
    return v3(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t);
}
static inline float v3_dot(vec3 a, vec3 b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
static inline vec3 v3_cross(vec3 a, vec3 b)
{
    return v3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
static inline float v3_len(vec3 a)
{
    return sqrtf(v3_dot(a, a));
}
static inline vec3 v3_unit(vec3 a)
{
    const float l = v3_dot(a, a);
    return l > 0 ? v3_mul(a, 1 / sqrtf(l)) : v3(0, 1, 0);
}
static inline float v3_max(vec3 a)
{
    return vr_max(a.x, vr_max(a.y, a.z));
}
static inline float v3_luma(vec3 a)
{
    return .2126f * a.x + .7152f * a.y + .0722f * a.z;
}
static inline float vr_clamp(float x, float lo, float hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}
static inline float vr_mix(float a, float b, float t)
{
    return a + (b - a) * t;
}
static inline float vr_step(float lo, float hi, float x)
{
    const float t = vr_clamp((x - lo) / (hi - lo), 0, 1);
    return t * t * (3 - 2 * t);
}
/* floor as an integer, without a library call */
static inline int vr_floor(float x)
{
    const int i = (int)x;
    return (float)i > x ? i - 1 : i;
}
static inline float vr_fract(float x)
{
    return x - (float)vr_floor(x);
}

/* ---- frames: world = o + x*X + y*Y + z*Z ---- */

typedef struct frame {
    vec3 x, y, z, o;
} frame;

static inline frame frame_unit(void)
{
    return (frame){ { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 }, { 0, 0, 0 } };
}
static inline vec3 frame_dir(const frame *f, vec3 d)
{
    return v3_add(v3_add(v3_mul(f->x, d.x), v3_mul(f->y, d.y)), v3_mul(f->z, d.z));
}
static inline vec3 frame_point(const frame *f, vec3 p)
{
    return v3_add(f->o, frame_dir(f, p));
}
/* Moved to o (in f), then turned by yaw degrees about y (left seen from above). */
static inline frame frame_move(frame f, vec3 o, float yaw_deg)
{
    const float a = yaw_deg * VR_PI / 180, c = cosf(a), s = sinf(a);
    return (frame){ frame_dir(&f, v3(c, 0, -s)), f.y, frame_dir(&f, v3(s, 0, c)),
                    frame_point(&f, o) };
}
/* Turned about the frame's own x (tips z towards -y) and z axes. */
static inline frame frame_pitch(frame f, float deg)
{
    const float a = deg * VR_PI / 180, c = cosf(a), s = sinf(a);
    return (frame){ f.x, frame_dir(&f, v3(0, c, s)), frame_dir(&f, v3(0, -s, c)), f.o };
}
static inline frame frame_roll(frame f, float deg)
{
    const float a = deg * VR_PI / 180, c = cosf(a), s = sinf(a);
    return (frame){ frame_dir(&f, v3(c, s, 0)), frame_dir(&f, v3(-s, c, 0)), f.z, f.o };
}
static inline frame frame_scale(frame f, float sx, float sy, float sz)
{
    return (frame){ v3_mul(f.x, sx), v3_mul(f.y, sy), v3_mul(f.z, sz), f.o };
}

/* ---- random numbers: splitmix64, one stream per scene ---- */

typedef struct rng {
    uint64_t s;
} rng;

static inline uint64_t rng_next(rng *r)
{
    uint64_t z = (r->s += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static inline rng rng_fork(rng *r)
{
    return (rng){ rng_next(r) };
}
static inline float rnd(rng *r)
{
    return (float)(rng_next(r) >> 40) * 0x1p-24f;
}
static inline float rnd_in(rng *r, float lo, float hi)
{
    return lo + (hi - lo) * rnd(r);
}
static inline int rnd_int(rng *r, int n)
{
    return (int)(rng_next(r) % (uint64_t)n);
}
static inline bool chance(rng *r, float p)
{
    return rnd(r) < p;
}
/* Nearly normal: sum of four uniforms, at most 3.46 sigma. */
static inline float rnd_gauss(rng *r)
{
    return (rnd(r) + rnd(r) + rnd(r) + rnd(r) - 2) * 1.7320508f;
}
static inline uint32_t vr_hash(uint32_t h)
{
    h ^= h >> 16;
    h *= 0x7feb352du;
    h ^= h >> 15;
    h *= 0x846ca68bu;
    return h ^ (h >> 16);
}
static inline uint32_t vr_hash2(int x, int y, uint32_t seed)
{
    return vr_hash((uint32_t)x * 0x8da6b343u ^ vr_hash((uint32_t)y * 0xd8163841u + seed));
}
static inline float vr_unit(uint32_t h)
{
    return (float)(h >> 8) * 0x1p-24f;
}

#endif
