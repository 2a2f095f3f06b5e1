/* The inner loops of the renderer: rays in packets of 16, surfaces, light.  Included once
 * per instruction set (core_sse2.c, core_avx2.c, core_avx512.c).
 *
 * Per packet of 4x4 pixels: primary rays; per light sample one lamp or window, the sun,
 * and a cosine bounce whose hit (mean albedo only) is lit by one more sample and an
 * ambient term; one mirrored ray where the surface is glossy. */
#include <embree3/rtcore.h>
#include <string.h>

#include "tools/rooms/core.h"
#include "tools/rooms/material_tmpl.h"
#include "tools/rooms/rays.h"

enum { LANES = 16 };

typedef struct packet {
    struct RTCRayHit16 rh;
    int valid[LANES] __attribute__((aligned(64)));
} packet;

typedef struct hit {
    vec3 p, ng, n, wo, tex;
    float t, w;
    uint32_t part;
    bool met, glass;
    float glass_f;
    vec3 glass_p, glass_n;
} hit;

static inline float lane_random(uint32_t pixel_hash, int sample, uint32_t dim)
{
    static const float step[4] = { .7548776662f, .5698402910f, .6180339887f,
                                   .8191725134f };

    return vr_fract(vr_unit(vr_hash(pixel_hash + dim * 0x9e3779b9u)) +
                    (float)sample * step[dim & 3]);
}

static vec3 cosine_dir(vec3 n, float u, float v)
{
    const float r = sqrtf(u), a = 2 * VR_PI * v, z = sqrtf(vr_max(0, 1 - u));
    const float s = n.z >= 0 ? 1.f : -1.f, k = -1 / (s + n.z), b = n.x * n.y * k;
    const vec3 t = v3(1 + s * n.x * n.x * k, s * b, -s * n.x),
               bt = v3(b, s + n.y * n.y * k, -n.y);

    return v3_unit(
        v3_add(v3_add(v3_mul(t, r * cosf(a)), v3_mul(bt, r * sinf(a))), v3_mul(n, z)));
}

static vec3 env_lookup(const vec3 *map, int w, int h, vec3 d)
{
    const float u = (atan2f(d.x, -d.z) / (2 * VR_PI) + .5f) * (float)w - .5f;
    const float v = (.5f - asinf(vr_clamp(d.y, -1, 1)) / VR_PI) * (float)h - .5f;
    const int x = vr_floor(u), y = vr_floor(v);
    const float fx = u - (float)x, fy = v - (float)y;
    const int x0 = ((x % w) + w) % w, x1 = (x0 + 1) % w;
    const int y0 = y < 0 ? 0 : y >= h ? h - 1 : y, y1 = y0 + 1 < h ? y0 + 1 : y0;

    return v3_mix(v3_mix(map[y0 * w + x0], map[y0 * w + x1], fx),
                  v3_mix(map[y1 * w + x0], map[y1 * w + x1], fx), fy);
}

/* ---- rays ---- */

static void ray_set(packet *k, int l, vec3 o, vec3 d, float far)
{
    vr_ray_put(&k->rh, k->valid, l, o, d, far, 0);
}

static int valid_count(const packet *k)
{
    int n = 0;

    for (int l = 0; l < LANES; l++)
        n -= k->valid[l];
    return n;
}

static int intersect(RTCScene sc, packet *k, bool coherent)
{
    struct RTCIntersectContext ctx;
    const int n = valid_count(k);

    rtcInitIntersectContext(&ctx);
    if (coherent)
        ctx.flags = RTC_INTERSECT_CONTEXT_FLAG_COHERENT;
    if (n)
        rtcIntersect16(k->valid, sc, &ctx, &k->rh);
    return n;
}

/* Afterwards tfar is negative where something lies between. */
static int occluded(RTCScene sc, packet *k)
{
    struct RTCIntersectContext ctx;
    const int n = valid_count(k);

    rtcInitIntersectContext(&ctx);
    if (n)
        rtcOccluded16(k->valid, sc, &ctx, &k->rh.ray);
    return n;
}

static void hit_fetch(const mesh *m, const packet *k, int l, hit *h)
{
    const uint32_t prim = k->rh.hit.primID[l];
    const uint32_t *id = m->idx + 3 * (size_t)prim;
    const float u = k->rh.hit.u[l], v = k->rh.hit.v[l], w = 1 - u - v;
    const float *a = m->nrm + 3 * (size_t)id[0], *b = m->nrm + 3 * (size_t)id[1],
                *c = m->nrm + 3 * (size_t)id[2];
    const float *ta = m->tex + 3 * (size_t)id[0], *tb = m->tex + 3 * (size_t)id[1],
                *tc = m->tex + 3 * (size_t)id[2];
    const struct RTCRay16 *r = &k->rh.ray;
    const vec3 d = v3(r->dir_x[l], r->dir_y[l], r->dir_z[l]);

    h->met = true;
    h->t = r->tfar[l];
    h->part = m->part[prim];
    h->wo = v3_mul(d, -1);
    h->p = v3_mad(v3(r->org_x[l], r->org_y[l], r->org_z[l]), d, h->t);
    h->ng = v3_unit(v3(k->rh.hit.Ng_x[l], k->rh.hit.Ng_y[l], k->rh.hit.Ng_z[l]));
    h->n = v3_unit(v3(w * a[0] + u * b[0] + v * c[0], w * a[1] + u * b[1] + v * c[1],
                      w * a[2] + u * b[2] + v * c[2]));
    h->tex = v3(w * ta[0] + u * tb[0] + v * tc[0], w * ta[1] + u * tb[1] + v * tc[1],
                w * ta[2] + u * tb[2] + v * tc[2]);
    if (v3_dot(h->ng, d) > 0)
        h->ng = v3_mul(h->ng, -1);
    if (v3_dot(h->n, h->ng) < 0)
        h->n = v3_mul(h->n, -1);
}

/* Fetches hits of both meshes: a lamp shade in front replaces what lies behind, glass in
 * front is noted. */
static void hits(const core_job *j, packet *k, hit *h, bool coherent, uint64_t *rays)
{
    packet veil;

    if (j->veil)
        veil = *k;
    *rays += (uint64_t)intersect(j->solid, k, coherent);
    for (int l = 0; l < LANES; l++) {
        h[l].met = h[l].glass = false;
        if (k->valid[l] && k->rh.hit.geomID[l] != RTC_INVALID_GEOMETRY_ID)
            hit_fetch(&j->s->solid, k, l, &h[l]);
    }
    if (!j->veil)
        return;
    for (int l = 0; l < LANES; l++)
        if (k->valid[l])
            veil.rh.ray.tfar[l] = k->rh.ray.tfar[l];
    *rays += (uint64_t)intersect(j->veil, &veil, coherent);
    for (int l = 0; l < LANES; l++) {
        if (!k->valid[l] || veil.rh.hit.geomID[l] == RTC_INVALID_GEOMETRY_ID)
            continue;
        hit v;
        hit_fetch(&j->s->veil, &veil, l, &v);
        const material *m = &j->s->mats[v.part >> 16];
        if (m->kind != MAT_GLASS) {
            v.glass = false;
            h[l] = v;
            continue;
        }
        const float c = fabsf(v3_dot(v.n, v.wo)), q = 1 - c;
        h[l].glass = true;
        h[l].glass_f = .04f + .96f * q * q * q * q * q;
        h[l].glass_p = v.p;
        h[l].glass_n = v.n;
        if (!h[l].met)
            h[l].part = v.part;
    }
}

/* ---- light ---- */

typedef struct lit {
    vec3 dir, value; /* value: radiance x solid angle / chance, without cosine */
    float dist;
} lit;

/* Share of each light at p, summed up; returns the total. */
static float light_shares(const scene *s, vec3 p, vec3 n, bool both, float *sum)
{
    float total = 0;

    for (int i = 0; i < s->n_lights; i++) {
        const light *l = &s->lights[i];
        const vec3 d = v3_sub(l->o, p);
        const float d2 = v3_dot(d, d);
        float w = v3_luma(l->emit) * l->area / (d2 + .35f * l->area);
        if (l->shape == LIGHT_BALL) {
            w *= .25f;
            if (!both && v3_dot(d, n) < -l->r)
                w = 0;
        } else {
            const float front = -v3_dot(d, l->n);
            const float reach =
                v3_dot(d, n) + fabsf(v3_dot(l->u, n)) + fabsf(v3_dot(l->v, n));
            w = front <= 0 || (!both && reach <= 0)
                    ? 0
                    : w * vr_max(front / sqrtf(d2 + 1e-6f), .15f);
        }
        total += w;
        sum[i] = total;
    }
    return total;
}

static bool light_pick(const core_job *j, const float *sum, float total, vec3 p,
                       const float u[3], lit *o)
{
    const scene *s = j->s;
    const float at = u[0] * total;
    int i = 0;

    while (i + 1 < s->n_lights && sum[i] <= at)
        i++;
    const light *l = &s->lights[i];
    const float pick = (sum[i] - (i ? sum[i - 1] : 0)) / total;
    if (!(pick > 0))
        return false;
    if (l->shape == LIGHT_BALL) {
        const vec3 d = v3_sub(l->o, p);
        const float dist = v3_len(d);
        const vec3 w = v3_mul(d, 1 / vr_max(dist, 1e-4f));
        const vec3 t = v3_unit(v3_cross(fabsf(w.y) < .9f ? v3(0, 1, 0) : v3(1, 0, 0), w));
        const float r = l->r * sqrtf(u[1]), a = 2 * VR_PI * u[2];
        const vec3 q = v3_add(
            l->o, v3_add(v3_mul(t, r * cosf(a)), v3_mul(v3_cross(w, t), r * sinf(a))));
        const vec3 e = v3_sub(q, p);
        o->dist = v3_len(e);
        o->dir = v3_mul(e, 1 / vr_max(o->dist, 1e-4f));
        o->value = v3_mul(
            l->emit,
            vr_min(VR_PI * l->r * l->r / vr_max(dist * dist, l->r * l->r), 2.5f) / pick);
        o->dist = vr_max(o->dist - l->r, 0);
        return o->dist > 0;
    }
    const vec3 q = v3_mad(v3_mad(l->o, l->u, 2 * u[1] - 1), l->v, 2 * u[2] - 1);
    const vec3 e = v3_sub(q, p);
    const float d2 = v3_dot(e, e), dist = sqrtf(d2);
    o->dir = v3_mul(e, 1 / vr_max(dist, 1e-4f));
    o->dist = dist * .999f - 1e-3f;
    const float c = -v3_dot(o->dir, l->n);
    if (c <= 0 || o->dist <= 0)
        return false;
    const vec3 rad = l->shape == LIGHT_PORTAL
                         ? v3_had(env_lookup(j->low, LOW_W, LOW_H, o->dir), l->emit)
                         : l->emit;
    o->value = v3_mul(rad, l->area * vr_min(c / vr_max(d2, 1e-4f), 2.5f) / pick);
    return true;
}

/* p lies out of doors: what is seen through a window may be a thing too. */
static bool outdoors(const scene *s, vec3 p)
{
    const vec3 lo = s->room_lo, hi = s->room_hi;

    return !s->indoor || (hi.x > lo.x && (p.x < lo.x || p.y < lo.y || p.z < lo.z ||
                                          p.x > hi.x || p.y > hi.y || p.z > hi.z));
}

/* True when a line from p towards the sun may leave the room. */
static bool sun_window(const scene *s, vec3 p, vec3 d)
{
    if (outdoors(s, p))
        return true;
    for (int i = 0; i < s->n_windows; i++) {
        const vec3 *c = s->windows[i];
        const vec3 u = v3_sub(c[1], c[0]), v = v3_sub(c[3], c[0]), n = v3_cross(u, v);
        const float t = v3_dot(v3_sub(c[0], p), n) / v3_dot(d, n);
        const vec3 q = v3_sub(v3_mad(p, d, t), c[0]);
        const float a = v3_dot(q, u) / v3_dot(u, u), b = v3_dot(q, v) / v3_dot(v, v);
        if (t > 0 && a >= 0 && a <= 1 && b >= 0 && b <= 1)
            return true;
    }
    return false;
}

static vec3 sun_jitter(const scene *s, float u, float v)
{
    const vec3 d = s->sky.sun_dir;
    const vec3 t = v3_unit(v3_cross(fabsf(d.y) < .9f ? v3(0, 1, 0) : v3(1, 0, 0), d));
    const float r = s->sky.sun_size * sqrtf(u), a = 2 * VR_PI * v;

    return v3_unit(
        v3_add(d, v3_add(v3_mul(t, r * cosf(a)), v3_mul(v3_cross(d, t), r * sinf(a)))));
}

/* Light patterns on the ground of the sea. */
static float caustic(const scene *s, vec3 p)
{
    if (s->caustics <= 0)
        return 1;
    const float x = p.x * 2.2f + .4f * p.y, z = p.z * 2.2f + .3f * p.y;
    const float n = vr_noise(v3(x, 3, z)) + .5f * vr_noise(v3(x * 2.1f, 9, z * 2.1f));
    const float m = vr_noise(v3(x * 1.3f + 9, 5, z * 1.3f));
    const float v =
        powf(vr_max(0, 1 - 1.6f * fabsf(n)), 3) + powf(vr_max(0, 1 - 2 * fabsf(m)), 4);

    return 1 + s->caustics * (1.6f * v - .5f);
}

/* GGX highlight: radiance towards wo per radiance x solid angle from l. */
static float ggx(vec3 n, vec3 l, vec3 wo, float rough)
{
    const vec3 h = v3_unit(v3_add(l, wo));
    const float nh = v3_dot(n, h), lh = vr_max(v3_dot(l, h), .05f), nl = v3_dot(n, l);
    const float a2 = rough * rough, d = nh * nh * (a2 - 1) + 1;

    return nl <= 0 ? 0 : nl * a2 / (VR_PI * d * d) / (4 * lh * lh);
}

static vec3 clamp_light(vec3 c, float most)
{
    const float m = v3_max(c);

    return m > most ? v3_mul(c, most / m) : c;
}

/* ---- one packet ---- */

typedef struct lanes {
    hit h[LANES];
    surf f[LANES];
    uint32_t rnd[LANES];
    vec3 irr[LANES], spec[LANES];
    float sums[LANES][VR_MAX_LIGHTS], total[LANES];
    vec3 pend[LANES], pend_spec[LANES];
    uint64_t rays;
} lanes;

static vec3 off_surface(const hit *h, vec3 dir)
{
    const float e = 1e-3f + 2e-4f * h->t;

    return v3_mad(h->p, h->ng, v3_dot(h->ng, dir) > 0 ? e : -e);
}

/* Cosine with the light that passes through leaves and curtains. */
static float facing(const surf *f, vec3 d)
{
    const float c = v3_dot(f->n, d);

    return c > 0 ? c : -c * f->through;
}

/* What was put into pend arrives where the rays of k were not stopped. */
static void settle(const core_job *j, lanes *a, packet *k, float scale)
{
    a->rays += (uint64_t)occluded(j->solid, k);
    for (int l = 0; l < LANES; l++)
        if (k->valid[l] && k->rh.ray.tfar[l] >= 0) {
            a->irr[l] = v3_mad(a->irr[l], a->pend[l], scale);
            a->spec[l] = v3_mad(a->spec[l], a->pend_spec[l], scale);
        }
}

static void pend_light(lanes *a, int l, vec3 dir, vec3 value)
{
    const surf *f = &a->f[l];
    const float c = facing(f, dir);

    a->pend[l] = v3_mul(value, c * (1 / VR_PI) * (1 + f->sheen));
    a->pend_spec[l] = v3s(0);
    if (f->rough >= .35f && v3_max(f->f0) > 0) {
        const vec3 h = v3_unit(v3_add(dir, a->h[l].wo));
        const float q = 1 - vr_max(v3_dot(dir, h), 0), q5 = q * q * q * q * q;
        const vec3 fr = v3_mix(f->f0, v3s(1), q5);
        a->pend_spec[l] = v3_mul(v3_had(value, fr), ggx(f->n, dir, a->h[l].wo, f->rough));
    }
}

static void direct_light(const core_job *j, lanes *a, int sample, int spp)
{
    const scene *s = j->s;
    packet k;

    memset(k.valid, 0, sizeof k.valid);
    for (int l = 0; l < LANES && s->n_lights; l++) {
        lit li;
        if (!a->h[l].met || !(a->total[l] > 0))
            continue;
        const float u[3] = { ((float)sample + lane_random(a->rnd[l], 0, 1)) / (float)spp,
                             lane_random(a->rnd[l], sample, 4),
                             lane_random(a->rnd[l], sample, 5) };
        if (!light_pick(j, a->sums[l], a->total[l], a->h[l].p, u, &li) ||
            facing(&a->f[l], li.dir) <= 0)
            continue;
        pend_light(a, l, li.dir, li.value);
        ray_set(&k, l, off_surface(&a->h[l], li.dir), li.dir, li.dist);
    }
    settle(j, a, &k, 1 / (float)spp);
    if (v3_max(s->sky.sun_colour) <= 0)
        return;
    memset(k.valid, 0, sizeof k.valid);
    for (int l = 0; l < LANES; l++) {
        if (!a->h[l].met)
            continue;
        const vec3 d = sun_jitter(s, lane_random(a->rnd[l], sample, 8),
                                  lane_random(a->rnd[l], sample, 9));
        if (facing(&a->f[l], d) <= 0 || !sun_window(s, a->h[l].p, d))
            continue;
        pend_light(a, l, d, v3_mul(s->sky.sun_colour, VR_PI * caustic(s, a->h[l].p)));
        ray_set(&k, l, off_surface(&a->h[l], d), d, 1e4f);
    }
    settle(j, a, &k, 1 / (float)spp);
}

/* Light that leaves the second hit: ambient now, one sampled light after its shadow ray.
 */
static void bounce_hits(const core_job *j, lanes *a, packet *k, int sample, float scale)
{
    const scene *s = j->s;
    const float most = 1.2f / j->exposure;
    packet sh;

    a->rays += (uint64_t)intersect(j->solid, k, false);
    memset(sh.valid, 0, sizeof sh.valid);
    for (int l = 0; l < LANES; l++) {
        if (!k->valid[l])
            continue;
        const vec3 d = v3(k->rh.ray.dir_x[l], k->rh.ray.dir_y[l], k->rh.ray.dir_z[l]);
        if (k->rh.hit.geomID[l] == RTC_INVALID_GEOMETRY_ID) {
            if (outdoors(s, a->h[l].p))
                a->irr[l] = v3_mad(a->irr[l], env_lookup(j->low, LOW_W, LOW_H, d), scale);
            continue;
        }
        const material *m = &s->mats[s->solid.part[k->rh.hit.primID[l]] >> 16];
        vec3 ng = v3_unit(v3(k->rh.hit.Ng_x[l], k->rh.hit.Ng_y[l], k->rh.hit.Ng_z[l]));
        if (v3_dot(ng, d) > 0)
            ng = v3_mul(ng, -1);
        vec3 out = v3_had(m->mean, j->ambient);
        if (m->kind == MAT_EMIT && m->style == 1)
            out = v3_add(out, m->emit);
        a->irr[l] = v3_mad(a->irr[l], clamp_light(out, most), scale);
        const vec3 p =
            v3_mad(v3_mad(v3(k->rh.ray.org_x[l], k->rh.ray.org_y[l], k->rh.ray.org_z[l]),
                          d, k->rh.ray.tfar[l]),
                   ng, 1e-3f);
        const bool sun = v3_max(s->sky.sun_colour) > 0 &&
                         v3_dot(ng, s->sky.sun_dir) > 0 &&
                         (!s->n_lights || (lane_random(a->rnd[l], sample, 10) < .5f)) &&
                         sun_window(s, p, s->sky.sun_dir);
        const float share = s->n_lights && v3_max(s->sky.sun_colour) > 0 &&
                                    v3_dot(ng, s->sky.sun_dir) > 0 && sun
                                ? 2.f
                                : 1.f;
        float sums[VR_MAX_LIGHTS], total;
        lit li;
        if (sun) {
            li.dir = s->sky.sun_dir;
            li.dist = 1e4f;
            li.value = v3_mul(s->sky.sun_colour, VR_PI * share);
        } else {
            const float u[3] = { lane_random(a->rnd[l], sample, 11),
                                 lane_random(a->rnd[l], sample, 12),
                                 lane_random(a->rnd[l], sample, 13) };
            total = light_shares(s, p, ng, false, sums);
            if (!(total > 0) || !light_pick(j, sums, total, p, u, &li))
                continue;
        }
        const float c = v3_dot(ng, li.dir);
        if (c <= 0)
            continue;
        a->pend[l] = clamp_light(v3_mul(v3_had(m->mean, li.value), c / VR_PI), most);
        a->pend_spec[l] = v3s(0);
        ray_set(&sh, l, p, li.dir, li.dist);
    }
    settle(j, a, &sh, scale);
}

static void bounce_light(const core_job *j, lanes *a, int sample, int spp)
{
    packet k;

    memset(k.valid, 0, sizeof k.valid);
    for (int l = 0; l < LANES; l++) {
        if (!a->h[l].met)
            continue;
        const surf *f = &a->f[l];
        vec3 n = f->n;
        if (f->through > 0 &&
            lane_random(a->rnd[l], sample, 6) < f->through / (1 + f->through))
            n = v3_mul(n, -1);
        const vec3 d =
            cosine_dir(n, ((float)sample + lane_random(a->rnd[l], 0, 2)) / (float)spp,
                       lane_random(a->rnd[l], sample, 3));
        if (v3_dot(d, a->h[l].ng) * v3_dot(n, a->h[l].ng) <= 0)
            continue;
        ray_set(&k, l, off_surface(&a->h[l], d), d, 1e4f);
    }
    bounce_hits(j, a, &k, sample, 1 / (float)spp);
}

/* Radiance of a hit seen in a mirror: texture, ambient and one light without shadow. */
static vec3 mirrored(const core_job *j, const hit *h, uint32_t rnd)
{
    const scene *s = j->s;
    const material *m = &s->mats[h->part >> 16];
    const spot q = { h->tex, h->p, h->n, h->w };
    float sums[VR_MAX_LIGHTS];
    surf f;
    lit li;

    material_at(m, &q, &f);
    vec3 e = v3_mul(j->ambient, 1.6f);
    const float u[3] = { vr_unit(vr_hash(rnd + 1)), vr_unit(vr_hash(rnd + 2)),
                         vr_unit(vr_hash(rnd + 3)) };
    const float total = light_shares(s, h->p, f.n, false, sums);
    if (total > 0 && light_pick(j, sums, total, h->p, u, &li))
        e = v3_add(e, v3_mul(li.value, .7f * vr_max(v3_dot(f.n, li.dir), 0) / VR_PI));
    if (!s->indoor)
        e = v3_add(
            e, v3_mul(s->sky.sun_colour, .6f * vr_max(v3_dot(f.n, s->sky.sun_dir), 0)));
    if (m->metal)
        f.albedo = v3_mul(f.f0, .6f);
    return v3_add(v3_had(f.albedo, clamp_light(e, 3 / j->exposure)), f.emit);
}

static vec3 mirror_dir(const hit *h, vec3 n, float rough, uint32_t rnd)
{
    const float u = vr_unit(vr_hash(rnd + 21)), v = vr_unit(vr_hash(rnd + 22));
    vec3 m = n;

    if (rough > .02f) {
        const float a2 = rough * rough, c = sqrtf((1 - u) / (1 + (a2 - 1) * u)),
                    s = sqrtf(vr_max(0, 1 - c * c));
        const vec3 t = v3_unit(v3_cross(fabsf(n.y) < .9f ? v3(0, 1, 0) : v3(1, 0, 0), n)),
                   b = v3_cross(n, t);
        m = v3_unit(v3_add(v3_mul(n, c), v3_add(v3_mul(t, s * cosf(6.2831853f * v)),
                                                v3_mul(b, s * sinf(6.2831853f * v)))));
    }
    vec3 r = v3_sub(v3_mul(m, 2 * v3_dot(h->wo, m)), h->wo);
    const float c = v3_dot(r, h->ng);
    if (c < .02f)
        r = v3_unit(v3_mad(r, h->ng, .04f - 2 * c));
    return r;
}

static void mirror_light(const core_job *j, lanes *a)
{
    packet k;
    hit h[LANES];
    vec3 fr[LANES];

    memset(k.valid, 0, sizeof k.valid);
    for (int l = 0; l < LANES; l++) {
        const hit *p = &a->h[l];
        const surf *f = &a->f[l];
        if (p->glass) {
            hit g = *p;
            g.ng = g.n = p->glass_n;
            g.p = p->glass_p;
            if (!p->met)
                g.wo = v3_mul(g.wo, 1);
            const vec3 d = mirror_dir(&g, g.n, 0, a->rnd[l]);
            ray_set(&k, l, v3_mad(g.p, g.n, 2e-3f), d, 1e4f);
            fr[l] = v3s(p->glass_f);
        } else if (p->met && f->rough < .35f) {
            const float q = 1 - vr_max(v3_dot(f->n, p->wo), 0),
                        q5 = q * q * q * q * q * (1 - f->rough * 1.5f);
            fr[l] = v3_mix(f->f0, v3s(1), q5);
            if (v3_max(fr[l]) < .012f)
                continue;
            const vec3 d = mirror_dir(p, f->n, f->rough, a->rnd[l]);
            ray_set(&k, l, off_surface(p, d), d, 1e4f);
        }
    }
    if (!valid_count(&k))
        return;
    hits(j, &k, h, false, &a->rays);
    for (int l = 0; l < LANES; l++) {
        if (!k.valid[l])
            continue;
        vec3 c;
        if (h[l].met) {
            h[l].w = (a->h[l].met ? a->h[l].w : .002f) +
                     h[l].t * (.004f + .5f * a->f[l].rough);
            c = mirrored(j, &h[l], a->rnd[l]);
        } else {
            const vec3 d = v3(k.rh.ray.dir_x[l], k.rh.ray.dir_y[l], k.rh.ray.dir_z[l]);
            c = v3_mul(env_lookup(j->env, ENV_W, ENV_H, d), j->view_gain);
        }
        a->spec[l] = v3_add(a->spec[l], v3_had(fr[l], clamp_light(c, 4 / j->exposure)));
    }
}

/* Surface of a primary hit; w is set. */
static void surface_at(const core_job *j, hit *h, float px, surf *f)
{
    const float c = vr_max(v3_dot(h->ng, h->wo), .12f);
    h->w = h->t * px / c;
    const spot q = { h->tex, h->p, h->n, .5f * (h->w + h->t * px) };

    material_at(&j->s->mats[h->part >> 16], &q, f);
    const float back = v3_dot(f->n, h->wo);
    if (back < .02f) /* relief never turns away from the eye */
        f->n = v3_unit(v3_mad(f->n, h->wo, .03f - back));
    if (h->glass) {
        f->albedo = v3_mul(f->albedo, .95f * (1 - h->glass_f));
        f->emit = v3_mul(f->emit, .95f * (1 - h->glass_f));
    }
}

static float pixel_angle(const canvas *c)
{
    return c->camera == CAMERA_EQUIRECT ? VR_PI / (float)c->h : 1.6f / (float)c->w;
}

static inline void put3(const canvas *c, int plane, size_t i, vec3 v)
{
    c->p[plane][i] = v.x;
    c->p[plane + 1][i] = v.y;
    c->p[plane + 2][i] = v.z;
}

static inline vec3 get3(const canvas *c, int plane, size_t i)
{
    return v3(c->p[plane][i], c->p[plane + 1][i], c->p[plane + 2][i]);
}

static vec3 sky_seen(const core_job *j, vec3 d, const hit *h)
{
    vec3 c = v3_mul(vr_sky(&j->s->sky, d, true, pixel_angle(j->c)), j->view_gain);

    return h->glass ? v3_mul(c, 1 - h->glass_f) : c;
}

static void store(const core_job *j, lanes *a, int l, size_t i, vec3 d)
{
    const canvas *c = j->c;
    const hit *h = &a->h[l];

    if (h->met && j->s->indoor && outdoors(j->s, h->p)) { /* as bright as the sky there */
        a->irr[l] = v3_mul(a->irr[l], j->view_gain);
        a->spec[l] = v3_mul(a->spec[l], j->view_gain);
    }
    if (!h->met) {
        put3(c, P_AR, i, v3s(0));
        put3(c, P_ER, i, sky_seen(j, d, h));
        put3(c, P_NX, i, v3s(0));
        put3(c, P_PX, i, v3_mul(d, 1e4f));
        put3(c, P_IR, i, v3s(0));
        c->p[P_D][i] = 0;
        c->part[i] = (uint32_t)VR_NO_PART;
    } else {
        put3(c, P_AR, i, a->f[l].albedo);
        put3(c, P_ER, i, a->f[l].emit);
        put3(c, P_NX, i, a->f[l].n);
        put3(c, P_PX, i, h->p);
        put3(c, P_IR, i, a->irr[l]);
        c->p[P_D][i] = h->t;
        c->part[i] = h->part;
    }
    c->p[P_Q][i] = 1 / (.008f * h->t * (h->met ? 1.f : 0.f) + .002f);
    put3(c, P_SR, i, a->spec[l]);
    c->gloss[i] = (uint8_t)(h->glass || (h->met && a->f[l].rough < .12f) ? 1 : 2);
}

static void trace_tile(const core_job *j, int x0, int y0, int spp, uint64_t *rays)
{
    const canvas *c = j->c;
    const float px = pixel_angle(c);
    lanes a;
    packet k;
    vec3 dir[LANES];

    a.rays = 0;
    memset(k.valid, 0, sizeof k.valid);
    for (int l = 0; l < LANES; l++) {
        const int x = x0 + (l & 3), y = y0 + (l >> 2);
        dir[l] = vr_direction(c, (float)x + .5f, (float)y + .5f);
        a.rnd[l] = vr_hash((uint32_t)(y * c->w + x) ^ j->seed);
        a.irr[l] = a.spec[l] = v3s(0);
        a.h[l] = (hit){ 0 };
        a.h[l].wo = v3_mul(dir[l], -1);
        a.f[l] = (surf){ 0 };
        ray_set(&k, l, j->s->eye, dir[l], 1e4f);
    }
    hits(j, &k, a.h, true, &a.rays);
    bool any = false;
    for (int l = 0; l < LANES; l++) {
        if (!a.h[l].met)
            continue;
        any = true;
        surface_at(j, &a.h[l], px, &a.f[l]);
        a.total[l] =
            light_shares(j->s, a.h[l].p, a.f[l].n, a.f[l].through > 0, a.sums[l]);
    }
    for (int s = 0; any && s < spp; s++) {
        direct_light(j, &a, s, spp);
        if (j->o->bounces)
            bounce_light(j, &a, s, spp);
        else
            for (int l = 0; l < LANES; l++)
                a.irr[l] = v3_mad(a.irr[l], j->ambient, 1 / (float)spp);
    }
    mirror_light(j, &a);
    for (int l = 0; l < LANES; l++)
        store(j, &a, l, (size_t)(y0 + (l >> 2)) * (size_t)c->w + (size_t)(x0 + (l & 3)),
              dir[l]);
    *rays += a.rays;
}

static void trace_row(const core_job *j, int ty)
{
    const canvas *c = j->c;
    const float lat = fabsf(.5f - ((float)ty * 4 + 2) / (float)c->h) * 180;
    const bool band = c->camera != CAMERA_EQUIRECT || lat < 47;
    uint64_t rays = 0;

    for (int x = 0; x < c->w; x += 4)
        trace_tile(j, x, ty * 4, band ? j->o->spp_band : j->o->spp_pole, &rays);
    j->rays[ty] = rays;
}

#include "tools/rooms/finish_tmpl.h"
