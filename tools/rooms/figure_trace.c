/* Rays at figures, 4x4 pixels at a time.
 *
 * How much of its surroundings every vertex sees is found once from a fixed set of
 * directions, so that neighbouring frames agree; the key light's shadow is one ray for
 * every sample.  Pixels that a first set of samples finds neither full nor empty, and
 * their tile, get more. */
#include "tools/rooms/figure_trace.h"

#include <embree3/rtcore.h>
#include <stdlib.h>
#include <string.h>
#include <xmmintrin.h>

#include "tools/rooms/figure_shade.h"
#include "tools/rooms/rays.h"

enum { LANES = 16, AROUND = 16 };

struct figure_tracer {
    RTCDevice device;
    float *open; /* share of the surroundings seen, per vertex */
    size_t cap;
};

typedef struct batch {
    struct RTCRayHit16 rh;
    int valid[LANES] __attribute__((aligned(64)));
} batch;

vbg_status vr_tracer_new(figure_tracer **out, vbg_err *err)
{
    figure_tracer *t = calloc(1, sizeof *t);

    *out = NULL;
    if (t)
        t->device = rtcNewDevice("threads=1,set_affinity=0");
    if (!t || !t->device) {
        vr_tracer_free(t);
        return vbg_fail(err, VBG_ENOMEM, "figure: cannot start Embree or out of memory");
    }
    *out = t;
    return VBG_OK;
}

void vr_tracer_free(figure_tracer *t)
{
    if (!t)
        return;
    if (t->device)
        rtcReleaseDevice(t->device);
    free(t->open);
    free(t);
}

static void set_ray(batch *b, int l, vec3 o, vec3 d, float far, float time)
{
    vr_ray_put(&b->rh, b->valid, l, o, d, far, time);
}

static RTCScene build(RTCDevice dev, const figure_shot *k)
{
    RTCScene sc = rtcNewScene(dev);
    RTCGeometry g = rtcNewGeometry(dev, RTC_GEOMETRY_TYPE_TRIANGLE);
    const mesh *m = &k->s->solid;
    const bool moves = k->open && k->shut;

    if (moves)
        rtcSetGeometryTimeStepCount(g, 2);
    rtcSetSharedGeometryBuffer(g, RTC_BUFFER_TYPE_VERTEX, 0, RTC_FORMAT_FLOAT3,
                               moves ? k->open : m->pos, 0, 16, m->nv);
    if (moves)
        rtcSetSharedGeometryBuffer(g, RTC_BUFFER_TYPE_VERTEX, 1, RTC_FORMAT_FLOAT3,
                                   k->shut, 0, 16, m->nv);
    rtcSetSharedGeometryBuffer(g, RTC_BUFFER_TYPE_INDEX, 0, RTC_FORMAT_UINT3, m->idx, 0,
                               12, m->nt);
    rtcCommitGeometry(g);
    rtcAttachGeometry(sc, g);
    rtcReleaseGeometry(g);
    rtcSetSceneBuildQuality(sc, RTC_BUILD_QUALITY_LOW);
    rtcCommitScene(sc);
    return sc;
}

/* ---- how open every vertex lies ---- */

static void around_dirs(vec3 d[AROUND])
{
    for (int i = 0; i < AROUND; i++) {
        const float y = 1 - (2 * (float)i + 1) / AROUND, r = sqrtf(1 - y * y),
                    a = (float)i * 2.39996323f + .3f;
        d[i] = v3(r * sinf(a), y, r * cosf(a));
    }
}

static void see_around(RTCScene sc, const mesh *m, const figure_light *around,
                       float *open)
{
    vec3 dir[AROUND];
    float bright[AROUND];
    struct RTCIntersectContext ctx;

    around_dirs(dir);
    for (int i = 0; i < AROUND; i++)
        bright[i] = v3_luma(vr_light_from(around, dir[i])) + .02f;
    for (size_t v0 = 0; v0 < m->nv; v0 += LANES) {
        const int n = m->nv - v0 < LANES ? (int)(m->nv - v0) : LANES;
        float seen[LANES] = { 0 }, all[LANES] = { 0 };
        for (int i = 0; i < AROUND; i++) {
            batch b;
            float cosine[LANES];
            memset(b.valid, 0, sizeof b.valid);
            int any = 0;
            for (int l = 0; l < n; l++) {
                const float *p = m->pos + (v0 + (size_t)l) * 4,
                            *q = m->nrm + (v0 + (size_t)l) * 3;
                const vec3 nn = v3(q[0], q[1], q[2]);
                cosine[l] = v3_dot(nn, dir[i]);
                if (cosine[l] <= .02f)
                    continue;
                all[l] += cosine[l] * bright[i];
                set_ray(&b, l, v3_mad(v3(p[0], p[1], p[2]), nn, .004f), dir[i], .6f, .5f);
                any++;
            }
            if (!any)
                continue;
            rtcInitIntersectContext(&ctx);
            rtcOccluded16(b.valid, sc, &ctx, &b.rh.ray);
            for (int l = 0; l < n; l++)
                if (b.valid[l] && b.rh.ray.tfar[l] >= 0)
                    seen[l] += cosine[l] * bright[i];
        }
        for (int l = 0; l < n; l++)
            open[v0 + (size_t)l] = all[l] > 0 ? .06f + .94f * seen[l] / all[l] : 1;
    }
}

/* ---- one tile ---- */

typedef struct frame_job {
    const figure_shot *k;
    RTCScene sc;
    const float *open;
    vec3 key_u, key_v; /* across the key light */
} frame_job;

typedef struct tile_sums {
    vec3 colour[LANES];
    int hit[LANES], n;
} tile_sums;

static vec3 mix3(const float *a, const float *b, const float *c, float u, float v)
{
    const float w = 1 - u - v;

    return v3(w * a[0] + u * b[0] + v * c[0], w * a[1] + u * b[1] + v * c[1],
              w * a[2] + u * b[2] + v * c[2]);
}

static void fetch(const frame_job *j, const batch *b, int l, figure_spot *q, vec3 *at,
                  vec3 *flat)
{
    const mesh *m = &j->k->s->solid;
    const uint32_t *id = m->idx + 3 * (size_t)b->rh.hit.primID[l];
    const float u = b->rh.hit.u[l], v = b->rh.hit.v[l];
    const struct RTCRay16 *r = &b->rh.ray;
    const vec3 d = v3(r->dir_x[l], r->dir_y[l], r->dir_z[l]);
    const size_t i0 = id[0], i1 = id[1], i2 = id[2];

    q->wo = v3_mul(d, -1);
    q->n = v3_unit(mix3(m->nrm + 3 * i0, m->nrm + 3 * i1, m->nrm + 3 * i2, u, v));
    q->tex = mix3(m->tex + 3 * i0, m->tex + 3 * i1, m->tex + 3 * i2, u, v);
    q->open = (1 - u - v) * j->open[i0] + u * j->open[i1] + v * j->open[i2];
    q->w = r->tfar[l] / j->k->focal;
    *at = v3_mad(v3(r->org_x[l], r->org_y[l], r->org_z[l]), d, r->tfar[l]);
    *flat = v3_unit(v3(b->rh.hit.Ng_x[l], b->rh.hit.Ng_y[l], b->rh.hit.Ng_z[l]));
    if (v3_dot(*flat, d) > 0)
        *flat = v3_mul(*flat, -1);
    const float back = v3_dot(q->n, q->wo);
    if (back < .03f)
        q->n = v3_unit(v3_mad(q->n, q->wo, .05f - back));
}

static float radical(uint32_t h, float step, int i)
{
    return vr_fract(vr_unit(h) + (float)i * step);
}

static vec3 pixel_dir(const figure_shot *k, const frame *cam, float x, float y)
{
    return v3_unit(
        frame_dir(cam, v3(x - .5f * (float)k->w, .5f * (float)k->h - y, -k->focal)));
}

/* Sample i of every pixel of the tile at x0, y0. */
static void sample_tile(const frame_job *j, int x0, int y0, int i, tile_sums *t)
{
    const figure_shot *k = j->k;
    struct RTCIntersectContext ctx;
    const int instant = (i * 5) % SHUTTER; /* neighbours in time lie apart in the list */
    const frame *cam = &k->camera[instant];
    const float time = ((float)instant + .5f) / SHUTTER;
    batch b, sh;
    figure_spot q[LANES];
    const material *mat[LANES];
    uint32_t h[LANES];

    memset(b.valid, 0, sizeof b.valid);
    memset(sh.valid, 0, sizeof sh.valid);
    for (int l = 0; l < LANES; l++) {
        const int x = x0 + (l & 3), y = y0 + (l >> 2);
        if (x >= k->w || y >= k->h)
            continue;
        h[l] = vr_hash2(x, y, k->seed);
        set_ray(&b, l, cam->o,
                pixel_dir(k, cam, (float)x + radical(h[l], .7548776662f, i),
                          (float)y + radical(vr_hash(h[l]), .5698402910f, i)),
                1e4f, time);
    }
    rtcInitIntersectContext(&ctx);
    ctx.flags = RTC_INTERSECT_CONTEXT_FLAG_COHERENT;
    rtcIntersect16(b.valid, j->sc, &ctx, &b.rh);
    t->n++;
    for (int l = 0; l < LANES; l++) {
        vec3 p, flat;
        if (!b.valid[l] || b.rh.hit.geomID[l] == RTC_INVALID_GEOMETRY_ID)
            continue;
        fetch(j, &b, l, &q[l], &p, &flat);
        t->hit[l]++;
        mat[l] = &k->s->mats[k->s->solid.part[b.rh.hit.primID[l]] >> 16];
        q[l].key = 0;
        const float a = 6.2831853f * radical(h[l] + 7, .6180339887f, i),
                    r = k->light->key_size * sqrtf(radical(h[l] + 11, .8191725134f, i));
        const vec3 d =
            v3_unit(v3_add(k->light->key_dir, v3_add(v3_mul(j->key_u, r * cosf(a)),
                                                     v3_mul(j->key_v, r * sinf(a)))));
        set_ray(&sh, l, v3_mad(p, flat, v3_dot(flat, d) > 0 ? .0025f : -.0025f), d, 4,
                time);
    }
    rtcInitIntersectContext(&ctx);
    rtcOccluded16(sh.valid, j->sc, &ctx, &sh.rh.ray);
    for (int l = 0; l < LANES; l++)
        if (sh.valid[l]) {
            q[l].key = sh.rh.ray.tfar[l] >= 0 ? 1.f : 0.f;
            t->colour[l] = v3_add(t->colour[l], vr_figure_shade(mat[l], &q[l], k->light));
        }
}

static void trace_tile(const frame_job *j, int x0, int y0, float *rgba)
{
    const figure_shot *k = j->k;
    tile_sums t = { .n = 0 };
    bool mixed = false;

    for (int i = 0; i < k->inside; i++)
        sample_tile(j, x0, y0, i, &t);
    int some = 0;
    for (int l = 0; l < LANES; l++) {
        mixed |= t.hit[l] > 0 && t.hit[l] < t.n;
        some += t.hit[l] > 0;
    }
    /* an outline may run between two full and empty pixels */
    mixed |= some > 0 && some < LANES;
    for (int i = 0; i < k->edge && mixed; i++)
        sample_tile(j, x0, y0, k->inside + i, &t);
    for (int l = 0; l < LANES; l++) {
        const int x = x0 + (l & 3), y = y0 + (l >> 2);
        if (x >= k->w || y >= k->h)
            continue;
        const vec3 c = v3_mul(t.colour[l], 1 / (float)t.n);
        memcpy(rgba + ((size_t)y * (size_t)k->w + (size_t)x) * 4,
               (float[4]){ c.x, c.y, c.z, (float)t.hit[l] / (float)t.n },
               4 * sizeof(float));
    }
}

/* Pixels that the mesh may touch at any instant: x0, y0, x1, y1, whole tiles. */
static void screen_box(const figure_shot *k, int box[4])
{
    const mesh *m = &k->s->solid;
    float lo[2] = { 1e9f, 1e9f }, hi[2] = { -1e9f, -1e9f };

    for (int c = 0; c < SHUTTER; c += SHUTTER - 1)
        for (size_t i = 0; i < m->nv; i++) {
            const float *p = (k->open && c ? k->shut
                              : k->open    ? k->open
                                           : m->pos) +
                             4 * i;
            const vec3 d = v3_sub(v3(p[0], p[1], p[2]), k->camera[c].o);
            const float z = -v3_dot(d, k->camera[c].z);
            const float inv = k->focal / vr_max(z, .02f);
            const float x = .5f * (float)k->w + v3_dot(d, k->camera[c].x) * inv,
                        y = .5f * (float)k->h - v3_dot(d, k->camera[c].y) * inv;
            lo[0] = vr_min(lo[0], x);
            lo[1] = vr_min(lo[1], y);
            hi[0] = vr_max(hi[0], x);
            hi[1] = vr_max(hi[1], y);
        }
    const float slack = 4;
    box[0] = (int)vr_clamp(lo[0] - slack, 0, (float)k->w) & ~3;
    box[1] = (int)vr_clamp(lo[1] - slack, 0, (float)k->h) & ~3;
    box[2] = (int)vr_clamp(hi[0] + slack, 0, (float)k->w);
    box[3] = (int)vr_clamp(hi[1] + slack, 0, (float)k->h);
}

vbg_status vr_trace_figure(figure_tracer *t, const figure_shot *k, float *rgba,
                           vbg_err *err)
{
    const mesh *m = &k->s->solid;
    int box[4];

    if (t->cap < m->nv) {
        free(t->open);
        t->open = malloc(m->nv * sizeof *t->open);
        t->cap = t->open ? m->nv : 0;
        if (!t->open)
            return vbg_fail(err, VBG_ENOMEM, "figure: out of memory");
    }
    const unsigned mode = _mm_getcsr();
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
    frame_job j = { .k = k, .sc = build(t->device, k), .open = t->open };
    const vec3 d = k->light->key_dir;
    j.key_u = v3_unit(v3_cross(fabsf(d.y) < .9f ? v3(0, 1, 0) : v3(1, 0, 0), d));
    j.key_v = v3_cross(d, j.key_u);
    see_around(j.sc, m, k->light, t->open);
    memset(rgba, 0, (size_t)k->w * (size_t)k->h * 4 * sizeof *rgba);
    screen_box(k, box);
    for (int y = box[1]; y < box[3]; y += 4)
        for (int x = box[0]; x < box[2]; x += 4)
            trace_tile(&j, x, y, rgba);
    rtcReleaseScene(j.sc);
    _mm_setcsr(mode);
    return VBG_OK;
}
