/* Renderer: Embree scenes, the probe pass that sets exposure, and the order of steps. */
#include "tools/rooms/render.h"

#include <embree3/rtcore.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <xmmintrin.h>

#include "tools/rooms/core.h"
#include "tools/rooms/things.h"

enum { PROBE_W = 128, PROBE_H = 64 };

struct renderer {
    RTCDevice device;
    const core_table *core;
    canvas probe;
    vec3 *env, *low;
    uint32_t *edge; /* list of pixels */
    uint8_t *mark;
    uint64_t *rays;
    size_t cap;
    float gamma[GAMMA];
};

static const core_table *choose_core(void)
{
    const char *isa = getenv("VBG_ISA");

    __builtin_cpu_init();
    if (isa && strncmp(isa, "ref", 3) == 0)
        return vr_core_sse2();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        !(isa && strncmp(isa, "avx2", 4) == 0))
        return vr_core_avx512();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return vr_core_avx2();
    return vr_core_sse2();
}

vbg_status vr_renderer_new(renderer **out, vbg_err *err)
{
    renderer *r = calloc(1, sizeof *r);

    *out = NULL;
    if (!r)
        return vbg_fail(err, VBG_ENOMEM, "rooms: out of memory");
    r->core = choose_core();
    for (int i = 0; i < GAMMA; i++) {
        const float v = (float)i / (GAMMA - 1), l = v * v;
        r->gamma[i] =
            255 * (l <= .0031308f ? 12.92f * l : 1.055f * powf(l, 1 / 2.4f) - .055f);
    }
    r->env = malloc(ENV_W * ENV_H * sizeof *r->env);
    r->low = malloc(LOW_W * LOW_H * sizeof *r->low);
    r->device = rtcNewDevice("threads=1,set_affinity=0");
    if (!r->env || !r->low || !r->device ||
        vr_canvas_new(&r->probe, PROBE_W, PROBE_H, CAMERA_EQUIRECT, NULL) != VBG_OK) {
        vr_renderer_free(r);
        return vbg_fail(err, VBG_ENOMEM, "rooms: cannot start Embree or out of memory");
    }
    *out = r;
    return VBG_OK;
}

void vr_renderer_free(renderer *r)
{
    if (!r)
        return;
    if (r->device)
        rtcReleaseDevice(r->device);
    vr_canvas_free(&r->probe);
    free(r->env);
    free(r->low);
    free(r->edge);
    free(r->mark);
    free(r->rays);
    free(r);
}

vbg_status vr_canvas_new(canvas *c, int w, int h, int camera, vbg_err *err)
{
    const size_t n = (size_t)w * (size_t)h;

    *c = (canvas){ .w = w, .h = h, .camera = camera };
    c->memory = vbg_alloc(n * (PLANES * sizeof(float) + sizeof(uint32_t) + 4) +
                          n / 16 * 12 + 4096);
    if (!c->memory)
        return vbg_fail(err, VBG_ENOMEM, "rooms: out of memory for a %dx%d picture", w,
                        h);
    float *f = c->memory;
    for (int i = 0; i < PLANES; i++)
        c->p[i] = f + n * (size_t)i;
    c->part = (uint32_t *)(void *)(f + n * PLANES);
    c->bloom = (float *)(void *)(c->part + n);
    c->rgb = (uint8_t *)(c->bloom + n / 16 * 3);
    c->gloss = c->rgb + 3 * n;
    return VBG_OK;
}

void vr_canvas_free(canvas *c)
{
    vbg_free_mem(c->memory);
    *c = (canvas){ 0 };
}

vec3 vr_direction(const canvas *c, float x, float y)
{
    if (c->camera == CAMERA_VIEWS) {
        const int view = (int)y / c->w;
        const float u = 2 * x / (float)c->w - 1,
                    v = 1 - 2 * (y - (float)(view * c->w)) / (float)c->w;
        const float a = (float)view * VR_PI / 4, s = sinf(a), k = cosf(a);
        return v3_unit(v3(u * k + s, v, u * s - k));
    }
    const float lon = 2 * VR_PI * (x / (float)c->w - .5f),
                lat = VR_PI * (.5f - y / (float)c->h);
    const float cl = cosf(lat);
    return v3(sinf(lon) * cl, sinf(lat), -cosf(lon) * cl);
}

static RTCScene build(RTCDevice dev, const mesh *m)
{
    RTCScene sc = rtcNewScene(dev);
    RTCGeometry g = rtcNewGeometry(dev, RTC_GEOMETRY_TYPE_TRIANGLE);

    rtcSetSharedGeometryBuffer(g, RTC_BUFFER_TYPE_VERTEX, 0, RTC_FORMAT_FLOAT3, m->pos, 0,
                               16, m->nv);
    rtcSetSharedGeometryBuffer(g, RTC_BUFFER_TYPE_INDEX, 0, RTC_FORMAT_UINT3, m->idx, 0,
                               12, m->nt);
    rtcCommitGeometry(g);
    rtcAttachGeometry(sc, g);
    rtcReleaseGeometry(g);
    rtcSetSceneBuildQuality(sc, RTC_BUILD_QUALITY_MEDIUM);
    rtcCommitScene(sc);
    return sc;
}

static bool reserve(renderer *r, const canvas *c)
{
    const size_t n = (size_t)c->w * (size_t)c->h;

    if (r->cap >= n)
        return true;
    free(r->edge);
    free(r->mark);
    free(r->rays);
    r->edge = malloc(n * sizeof *r->edge);
    r->mark = malloc(n);
    r->rays = malloc(n * sizeof *r->rays / 4);
    r->cap = r->edge && r->mark && r->rays ? n : 0;
    return r->cap > 0;
}

static void make_env(const renderer *r, const scene *s, int threads)
{
    const canvas env = { .w = ENV_W, .h = ENV_H };

#pragma omp parallel for schedule(dynamic, 8) num_threads(threads)
    for (int y = 0; y < ENV_H; y++)
        for (int x = 0; x < ENV_W; x++)
            r->env[y * ENV_W + x] = vr_sky(
                &s->sky, vr_direction(&env, (float)x + .5f, (float)y + .5f), true, .024f);
    for (int y = 0; y < LOW_H; y++)
        for (int x = 0; x < LOW_W; x++) {
            vec3 sum = v3s(0);
            for (int j = 0; j < 4; j++)
                for (int i = 0; i < 4; i++) {
                    const vec3 v = r->env[(y * 4 + j) * ENV_W + x * 4 + i];
                    const float m = v3_max(v);
                    sum = v3_add(sum, m > 2 ? v3_mul(v, 2 / m)
                                            : v); /* the sun is its own light */
                }
            vec3 low = v3_mul(sum, 1.f / 16);
            if (y > LOW_H / 2 &&
                s->indoor) { /* green meadows do not paint ceilings green */
                const float l = v3_luma(low);
                low = v3_mix(low, v3s(l), .5f);
            }
            r->low[y * LOW_W + x] = low;
        }
}

static void trace(const renderer *r, core_job *j, render_stats *st)
{
    const int rows = j->c->h / 4;

    j->rays = r->rays;
#pragma omp parallel num_threads(j->o->threads)
    {
        _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
#pragma omp for schedule(dynamic, 2)
        for (int y = 0; y < rows; y++)
            r->core->trace_row(j, y);
    }
    for (int y = 0; y < rows; y++)
        st->rays += j->rays[y];
}

static void luminance_plane(const canvas *c, int src, float exposure, int threads)
{
    const size_t n = (size_t)c->w * (size_t)c->h;
    const float *a = c->p[src], *b = c->p[src + 1], *d = c->p[src + 2];
    float *l = c->p[P_L];

#pragma omp parallel for num_threads(threads)
    for (size_t i = 0; i < n; i++)
        l[i] = exposure * (.2126f * a[i] + .7152f * b[i] + .0722f * d[i]);
}

static void filter(const renderer *r, const canvas *c, int threads, float exposure,
                   int first, int passes, float sigma)
{
    int src = first, dst = P_TR;

    for (int i = 0; i < passes; i++) {
        luminance_plane(c, src, exposure, threads);
#pragma omp parallel for schedule(dynamic, 8) num_threads(threads)
        for (int y = 0; y < c->h; y++)
            r->core->filter_row(c, y, 1 << i, src, dst, 1 / sigma,
                                i == 0 || i == 2 ? 2 : 1);
        const int t = src;
        src = dst;
        dst = t;
        sigma *= .7f;
    }
    if (src != first)
        for (int m = 0; m < 3; m++)
            memcpy(c->p[first + m], c->p[src + m],
                   (size_t)c->w * (size_t)c->h * sizeof(float));
}

/* Ambient light and exposure from a small picture. */
static void measure(const core_job *j, vec3 *ambient, float *mean_log, bool outside)
{
    const canvas *c = j->c;
    vec3 sum = v3s(0);
    double logs = 0, weight = 0, n = 0;

    for (int y = 0; y < c->h; y++) {
        const float cl = cosf(VR_PI * (.5f - ((float)y + .5f) / (float)c->h));
        const bool middle = y > c->h / 6 && y < c->h * 5 / 6;
        for (int x = 0; x < c->w; x++) {
            const size_t i = (size_t)y * (size_t)c->w + (size_t)x;
            const vec3 irr = v3(c->p[P_IR][i], c->p[P_IG][i], c->p[P_IB][i]);
            if (c->part[i] != (uint32_t)VR_NO_PART) {
                sum = v3_mad(sum, irr, cl);
                weight += (double)cl;
            }
            if (!middle || (c->part[i] == (uint32_t)VR_NO_PART && !outside))
                continue;
            const vec3 v =
                v3_add(v3_had(v3(c->p[P_AR][i], c->p[P_AG][i], c->p[P_AB][i]), irr),
                       v3_add(v3(c->p[P_ER][i], c->p[P_EG][i], c->p[P_EB][i]),
                              v3(c->p[P_SR][i], c->p[P_SG][i], c->p[P_SB][i])));
            logs += (double)(cl * logf(fminf(v3_luma(v), 3.f) + 1e-4f));
            n += (double)cl;
        }
    }
    *ambient = v3_mul(sum, weight > 0 ? (float)(1 / weight) : 0);
    *mean_log = n > 0 ? (float)(logs / n) : 0;
}

/* Brightness of the view through windows: about one stop above the room. */
static float window_gain(const renderer *r, const scene *s, float exposure)
{
    static const float aim[] = {
        [SKY_DAY] = 1.15f, [SKY_MORNING] = 1.05f, [SKY_EVENING] = .75f,
        [SKY_DUSK] = .30f, [SKY_NIGHT] = .045f,   [SKY_OVERCAST] = 1.0f,
        [SKY_MARS] = .8f,  [SKY_SPACE] = .25f,    [SKY_WATER] = .45f
    };
    float sum = 0;

    if (!s->indoor || s->sky.time == SKY_SPACE)
        return s->indoor ? 1 / exposure : 1;
    for (int y = LOW_H / 4; y < LOW_H * 5 / 8; y++)
        for (int x = 0; x < LOW_W; x++)
            sum += v3_luma(r->low[y * LOW_W + x]);
    sum /= (float)(LOW_W * LOW_H * 3 / 8);
    return vr_clamp(aim[s->sky.time] / (exposure * fmaxf(sum, 1e-4f)), .02f, 20);
}

static void probe(const renderer *r, core_job *j, render_stats *st)
{
    render_opt o = {
        .spp_band = 6, .spp_pole = 2, .bounces = 1, .threads = j->o->threads
    };
    const scene *s = j->s;
    core_job p = *j;
    float mean_log;

    p.c = (canvas *)(uintptr_t)&r->probe;
    p.o = &o;
    p.exposure = .2f;
    p.view_gain = s->indoor ? 0 : s->view_gain; /* windows are set by what is found */
    for (int pass = 0; pass < 2; pass++) {
        o.spp_band = o.spp_pole = pass ? 5 : 2;
        trace(r, &p, st);
        measure(&p, &p.ambient, &mean_log, !s->indoor);
        p.exposure = s->key / expf(mean_log);
    }
    j->ambient = v3_mul(p.ambient, s->indoor ? .6f : .5f);
    j->exposure = p.exposure;
    j->view_gain = window_gain(r, s, p.exposure) * s->view_gain;
}

static void bloom(const canvas *c, const core_job *j, float *scratch)
{
    const int w = c->w / 4, h = c->h / 4;

    (void)scratch;
#pragma omp parallel for num_threads(j->o->threads)
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            vec3 sum = v3s(0);
            for (int k = 0; k < 16; k++) {
                const size_t i =
                    (size_t)(y * 4 + k / 4) * (size_t)c->w + (size_t)(x * 4 + k % 4);
                vec3 v = v3(c->p[P_ER][i] + c->p[P_SR][i], c->p[P_EG][i] + c->p[P_SG][i],
                            c->p[P_EB][i] + c->p[P_SB][i]);
                v = v3_add(v, v3_had(v3(c->p[P_AR][i], c->p[P_AG][i], c->p[P_AB][i]),
                                     v3(c->p[P_IR][i], c->p[P_IG][i], c->p[P_IB][i])));
                const float m = v3_max(v) * j->exposure;
                if (m > 1.2f)
                    sum = v3_mad(sum, v, fminf(m - 1.2f, 4) / m);
            }
            const vec3 b = v3_mul(sum, j->exposure / 16);
            memcpy(c->bloom + (size_t)(y * w + x) * 3, &b, sizeof b);
        }
    /* three box blurs each way, in place, columns wrap */
    for (int pass = 0; pass < 3; pass++)
        for (int dirn = 0; dirn < 2; dirn++) {
            const int n = dirn ? h : w, lines = dirn ? w : h, step = dirn ? w * 3 : 3,
                      rad = 5;
#pragma omp parallel for num_threads(j->o->threads)
            for (int l = 0; l < lines; l++) {
                float *line = c->bloom + (size_t)l * (dirn ? 3u : (size_t)w * 3u);
                float tmp[4096 / 4];
                for (int m = 0; m < 3; m++) {
                    float sum = 0;
                    for (int i = -rad; i <= rad; i++)
                        sum += line[(dirn ? vbg_max_int(i, 0) : (i + n) % n) * step + m];
                    for (int i = 0; i < n; i++) {
                        tmp[i] = sum;
                        const int in = i + rad + 1, out = i - rad;
                        sum +=
                            line[(dirn ? vbg_min_int(in, n - 1) : in % n) * step + m] -
                            line[(dirn ? vbg_max_int(out, 0) : (out + n) % n) * step + m];
                    }
                    for (int i = 0; i < n; i++)
                        line[i * step + m] = tmp[i] / 11;
                }
            }
        }
    const size_t n = (size_t)w * (size_t)h * 3;
    for (size_t i = 0; i < n; i++)
        c->bloom[i] *= .035f;
}

static void finish(const renderer *r, const core_job *j, render_stats *st)
{
    canvas *c = j->c;
    const bool aa = j->o->aa > 0;
    int n = 0;

    bloom(c, j, NULL);
#pragma omp parallel for schedule(dynamic, 8) num_threads(j->o->threads)
    for (int y = 0; y < c->h; y++)
        r->core->finish_row(j, y, aa ? r->mark + (size_t)y * (size_t)c->w : NULL);
    for (int i = 0; aa && i < c->w * c->h; i++)
        if (r->mark[i])
            r->edge[n++] = (uint32_t)i;
    const int chunk = 1024;
#pragma omp parallel for schedule(dynamic, 1) num_threads(j->o->threads)
    for (int i = 0; i < (n + chunk - 1) / chunk; i++)
        r->core->edges(j, r->edge + i * chunk, vbg_min_int(chunk, n - i * chunk));
    st->rays += (uint64_t)n * (uint64_t)j->o->aa;
}

static void judge(const canvas *c, render_stats *st)
{
    double sum = 0;
    size_t burnt = 0, n = 0;

    for (int y = 2; y < c->h; y += 4)
        for (int x = 2; x < c->w; x += 4) {
            const uint8_t *p = c->rgb + ((size_t)y * (size_t)c->w + (size_t)x) * 3;
            sum += .2126 * p[0] + .7152 * p[1] + .0722 * p[2];
            burnt += p[0] > 252 && p[1] > 252 && p[2] > 252;
            n++;
        }
    st->mean_luminance = (float)(sum / (255.0 * (double)n));
    st->clipped = (float)burnt / (float)n;
}

vbg_status vr_render(renderer *r, scene *s, canvas *c, const render_opt *o,
                     render_stats *st, vbg_err *err)
{
    *st = (render_stats){ 0 };
    if (s->failed || !reserve(r, c))
        return vbg_fail(err, VBG_ENOMEM, "rooms: out of memory");
    double t = vbg_now();
    RTCScene solid = build(r->device, &s->solid);
    RTCScene veil = s->veil.nt ? build(r->device, &s->veil) : NULL;
    core_job j = { .s = s,
                   .solid = solid,
                   .veil = veil,
                   .c = c,
                   .o = o,
                   .env = r->env,
                   .low = r->low,
                   .gamma = r->gamma,
                   .seed = vr_hash((uint32_t)s->seed * 2654435761u + 99) };
    make_env(r, s, o->threads);
    st->build_s = vbg_now() - t;
    t = vbg_now();
    probe(r, &j, st);
    if (!o->bounces)
        j.ambient = v3_mul(j.ambient, s->indoor ? .5f : 1.3f);
    trace(r, &j, st);
    st->trace_s = vbg_now() - t;
    t = vbg_now();
    if (o->spp_band < 256) {
        filter(r, c, o->threads, j.exposure, P_IR, o->spp_band > 16 ? 3 : 6, 2.2f);
        filter(r, c, o->threads, j.exposure, P_SR, o->spp_band > 16 ? 1 : 2, 2.2f);
    }
    st->filter_s = vbg_now() - t;
    t = vbg_now();
    finish(r, &j, st);
    judge(c, st);
    st->finish_s = vbg_now() - t;
    rtcReleaseScene(solid);
    if (veil)
        rtcReleaseScene(veil);
    return VBG_OK;
}

int vr_default_threads(void)
{
    return omp_get_num_procs();
}

const render_opt *vr_mode(const char *name)
{
    static const struct {
        const char *name;
        render_opt o;
    } modes[] = {
        { "preview", { .spp_band = 1, .spp_pole = 1, .aa = 2, .bounces = 0 } },
        { "fast", { .spp_band = 2, .spp_pole = 1, .aa = 8, .bounces = 1 } },
        { "train", { .spp_band = 4, .spp_pole = 1, .aa = 8, .bounces = 1 } },
        { "high", { .spp_band = 64, .spp_pole = 24, .aa = 16, .bounces = 1 } },
    };

    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(name, modes[i].name) == 0)
            return &modes[i].o;
    return NULL;
}
