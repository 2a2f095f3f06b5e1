/* Primitives with bevels: what furniture is made of.  Every visible edge gets a radius,
 * since the highlight along it is what makes a thing look made. */
#include "tools/rooms/scene.h"

#include <stdlib.h>
#include <string.h>

#include "tools/rooms/things.h"

static bool grow(void **p, size_t bytes)
{
    void *q = realloc(*p, bytes);

    if (q)
        *p = q;
    return q != NULL;
}

static bool mesh_room(scene *s, size_t verts, size_t tris)
{
    mesh *m = s->to;

    if (s->failed)
        return false;
    if (m->nv + verts > m->cap_v) {
        const size_t n = (m->nv + verts) * 3 / 2 + 4096;
        if (!grow((void **)&m->pos, (n * 4 + 4) * sizeof *m->pos) ||
            !grow((void **)&m->nrm, n * 3 * sizeof *m->nrm) ||
            !grow((void **)&m->tex, n * 3 * sizeof *m->tex)) {
            s->failed = true;
            return false;
        }
        m->cap_v = n;
    }
    if (m->nt + tris > m->cap_t) {
        const size_t n = (m->nt + tris) * 3 / 2 + 4096;
        if (!grow((void **)&m->idx, n * 3 * sizeof *m->idx) ||
            !grow((void **)&m->part, n * sizeof *m->part)) {
            s->failed = true;
            return false;
        }
        m->cap_t = n;
    }
    return true;
}

void vr_scene_reset(scene *s, uint64_t seed)
{
    const scene old = *s;

    *s = (scene){ 0 };
    s->solid = old.solid;
    s->veil = old.veil;
    s->solid.nv = s->solid.nt = s->veil.nv = s->veil.nt = 0;
    s->mats = old.mats ? old.mats : malloc(VR_MAX_MATERIALS * sizeof *s->mats);
    s->objs = old.objs ? old.objs : malloc(VR_MAX_OBJECTS * sizeof *s->objs);
    s->windows = old.windows ? old.windows : malloc(16 * sizeof *s->windows);
    s->failed = !s->mats || !s->objs || !s->windows;
    s->to = &s->solid;
    s->at = frame_unit();
    s->seed = seed;
    s->r = (rng){ seed ^ 0x5851f42d4c957f2du };
    s->r.s = rng_next(&s->r) ^ seed << 32; /* else neighbouring seeds share a stream */
    rng_next(&s->r);
    s->key = .28f;
    s->view_gain = 1;
    s->floor = s->wall = s->ceiling = s->main = -1;
    s->fog_colour = v3s(.5f);
}

void vr_scene_free(scene *s)
{
    mesh *m[2] = { &s->solid, &s->veil };

    for (int i = 0; i < 2; i++) {
        free(m[i]->pos);
        free(m[i]->nrm);
        free(m[i]->tex);
        free(m[i]->idx);
        free(m[i]->part);
    }
    free(s->mats);
    free(s->objs);
    free(s->windows);
    *s = (scene){ 0 };
}

int vr_material(scene *s, material m)
{
    if (s->n_mats == VR_MAX_MATERIALS) /* a very full room: the last one serves again */
        return s->mat = VR_MAX_MATERIALS - 1;
    if (s->failed)
        return 0;
    if (m.rough <= 0)
        m.rough = .6f;
    if (m.f0 <= 0)
        m.f0 = .04f;
    if (m.scale <= 0)
        m.scale = 1;
    if (!m.seed)
        m.seed = vr_hash((uint32_t)s->n_mats + (uint32_t)s->seed * 977u);
    if (v3_max(m.mean) <= 0) {
        m.mean = m.a;
        if (m.kind == MAT_TILE || m.kind == MAT_RUG)
            m.mean = v3_mix(m.a, m.b, .4f);
        if (m.metal)
            m.mean = v3_mul(m.a, .6f);
    }
    s->mats[s->n_mats] = m;
    return s->mat = s->n_mats++;
}

int vr_object(scene *s, int what, int colour, int stuff)
{
    if (s->n_objs == VR_MAX_OBJECTS)
        return s->obj = VR_MAX_OBJECTS - 1;
    if (s->failed)
        return 0;
    s->objs[s->n_objs] = (object){ .what = what,
                                   .colour = colour,
                                   .stuff = stuff,
                                   .count = 1,
                                   .lo = v3s(1e9f),
                                   .hi = v3s(-1e9f),
                                   .seen = NO_COLOUR };
    return s->obj = s->n_objs++;
}

void vr_add_light(scene *s, light l)
{
    if (s->n_lights == VR_MAX_LIGHTS)
        return;
    if (l.shape == LIGHT_BALL)
        l.area = 4 * VR_PI * l.r * l.r;
    else
        l.area = 4 * v3_len(v3_cross(l.u, l.v));
    s->lights[s->n_lights++] = l;
}

uint32_t vr_vertex(scene *s, vec3 p, vec3 n, vec3 tex)
{
    const frame *f = &s->at;

    if (!mesh_room(s, 1, 0))
        return 0;
    mesh *m = s->to;
    const vec3 q = frame_point(f, p);
    /* normals of a stretched frame go with the inverse lengths */
    const vec3 k =
        v3_unit(frame_dir(f, v3(n.x / v3_dot(f->x, f->x), n.y / v3_dot(f->y, f->y),
                                n.z / v3_dot(f->z, f->z))));
    memcpy(m->pos + m->nv * 4, (float[4]){ q.x, q.y, q.z, 0 }, 4 * sizeof(float));
    memcpy(m->nrm + m->nv * 3, &k, sizeof k);
    memcpy(m->tex + m->nv * 3, &tex, sizeof tex);
    object *o = &s->objs[s->obj];
    o->lo = v3(fminf(o->lo.x, q.x), fminf(o->lo.y, q.y), fminf(o->lo.z, q.z));
    o->hi = v3(fmaxf(o->hi.x, q.x), fmaxf(o->hi.y, q.y), fmaxf(o->hi.z, q.z));
    return (uint32_t)m->nv++;
}

void vr_triangle(scene *s, uint32_t a, uint32_t b, uint32_t c)
{
    if (!mesh_room(s, 0, 1))
        return;
    mesh *m = s->to;
    m->idx[m->nt * 3] = a;
    m->idx[m->nt * 3 + 1] = b;
    m->idx[m->nt * 3 + 2] = c;
    m->part[m->nt++] = (uint32_t)s->mat << 16 | (uint32_t)s->obj;
}

static void quad(scene *s, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    vr_triangle(s, a, b, c);
    vr_triangle(s, a, c, d);
}

static void flat(scene *s, vec3 o, vec3 u, vec3 v, float tu, float tv)
{
    const vec3 n = v3_unit(v3_cross(u, v));
    const uint32_t a = vr_vertex(s, o, n, v3(0, 0, 0));
    const uint32_t b = vr_vertex(s, v3_add(o, u), n, v3(tu, 0, 0));
    const uint32_t c = vr_vertex(s, v3_add(v3_add(o, u), v), n, v3(tu, tv, 0));
    const uint32_t d = vr_vertex(s, v3_add(o, v), n, v3(0, tv, 0));

    quad(s, a, b, c, d);
}

void vr_rect(scene *s, vec3 o, vec3 u, vec3 v)
{
    flat(s, o, u, v, v3_len(u), v3_len(v));
}

void vr_card(scene *s, vec3 o, vec3 u, vec3 v)
{
    flat(s, o, u, v, 1, 1);
}

static float axis(vec3 v, int i)
{
    return i == 0 ? v.x : i == 1 ? v.y : v.z;
}

static vec3 from_axes(float a, float b, float c,
                      int i) /* a along axis i, b, c after it */
{
    return i == 0 ? v3(a, b, c) : i == 1 ? v3(c, a, b) : v3(b, c, a);
}

/* Own piece of material for each primitive; z along the longest side. */
static vec3 grain_tex(vec3 p, vec3 size, uint32_t id)
{
    const float off = (float)(vr_hash(id) & 1023) * .37f;
    vec3 q = size.x >= size.y && size.x >= size.z ? v3(p.y, p.z, p.x)
             : size.y >= size.z                   ? v3(p.z, p.x, p.y)
                                                  : p;
    q.x += off;
    q.z += off * 1.7f;
    return q;
}

enum { BOX_SEG = 2 }; /* segments of a rounded edge */

typedef struct box_shape {
    vec3 mid, half, inner;
    float r, puff;
    int n; /* grid points of a face */
    uint32_t id;
    bool soft;
} box_shape;

/* Grid coordinate i of n: the two ends carry the rounding, the middle is flat. */
static float spread(const box_shape *b, int i, float inner, float *dir)
{
    const int k = b->soft ? b->n - 1 : BOX_SEG;
    const int last = b->n - 1;

    if (b->soft) { /* cushions: evenly over the face */
        const float t = 2 * (float)i / (float)k - 1;
        *dir = t;
        return inner * t;
    }
    if (i <= BOX_SEG) {
        const float t = (float)(BOX_SEG - i) / (float)BOX_SEG;
        *dir = -tanf(t * VR_PI / 4);
        return -inner;
    }
    const float t = (float)(i - (last - BOX_SEG)) / (float)BOX_SEG;
    *dir = tanf(t * VR_PI / 4);
    return inner;
}

static void box_face(scene *s, const box_shape *b, int ax, float sign)
{
    uint32_t ids[12][12];
    const int n = b->n;

    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++) {
            float du, dv;
            const float u = spread(b, i, axis(b->inner, (ax + 1) % 3), &du);
            const float v = spread(b, j, axis(b->inner, (ax + 2) % 3), &dv);
            const vec3 dir = v3_unit(from_axes(sign, du, dv, ax));
            vec3 p = v3_mad(from_axes(sign * axis(b->inner, ax), u, v, ax), dir, b->r);
            vec3 nn = dir;
            if (b->soft) { /* pillow: thickest in the middle */
                const float e = (1 - du * du * du * du) * (1 - dv * dv * dv * dv);
                const float h = axis(b->half, ax);
                p = from_axes(
                    sign * h * (.25f + .75f * sqrtf(fmaxf(e, 0))) * (1 + b->puff * e),
                    u * (1 - .06f * (1 - dv * dv)), v * (1 - .06f * (1 - du * du)), ax);
                nn = v3_unit(
                    from_axes(sign * 1.f, du * du * du * 1.2f, dv * dv * dv * 1.2f, ax));
            }
            vec3 tex = s->face_uv ? v3(u + axis(b->half, (ax + 1) % 3),
                                       v + axis(b->half, (ax + 2) % 3), (float)ax)
                                  : grain_tex(p, b->half, b->id);
            if (s->face_uv && ax == 0)
                tex = v3(tex.y, tex.x, 0);
            ids[j][i] = vr_vertex(s, v3_add(b->mid, p), nn, tex);
        }
    for (int j = 0; j + 1 < n; j++)
        for (int i = 0; i + 1 < n; i++) {
            if (sign > 0)
                quad(s, ids[j][i], ids[j][i + 1], ids[j + 1][i + 1], ids[j + 1][i]);
            else
                quad(s, ids[j][i], ids[j + 1][i], ids[j + 1][i + 1], ids[j][i + 1]);
        }
}

static void sharp_face(scene *s, const box_shape *b, int ax, float sign)
{
    const vec3 n = from_axes(sign, 0, 0, ax);
    uint32_t id[4];

    for (int i = 0; i < 4; i++) {
        const float u = (i == 1 || i == 2 ? 1.f : -1.f) * axis(b->half, (ax + 1) % 3);
        const float v = (i >= 2 ? 1.f : -1.f) * axis(b->half, (ax + 2) % 3);
        const vec3 p = from_axes(sign * axis(b->half, ax), u, v, ax);
        vec3 tex = s->face_uv ? v3(u + axis(b->half, (ax + 1) % 3),
                                   v + axis(b->half, (ax + 2) % 3), (float)ax)
                              : grain_tex(p, b->half, b->id);
        if (s->face_uv && ax == 0)
            tex = v3(tex.y, tex.x, 0);
        id[i] = vr_vertex(s, v3_add(b->mid, p), n, tex);
    }
    if (sign > 0)
        quad(s, id[0], id[1], id[2], id[3]);
    else
        quad(s, id[0], id[3], id[2], id[1]);
}

void vr_box(scene *s, vec3 lo, vec3 hi, float r)
{
    box_shape b = { .mid = v3_mul(v3_add(lo, hi), .5f),
                    .half = v3_mul(v3_sub(hi, lo), .5f) };

    b.id = s->grain++;
    b.r = fminf(r, .99f * fminf(b.half.x, fminf(b.half.y, b.half.z)));
    b.inner = v3_sub(b.half, v3s(b.r));
    b.n = 2 * BOX_SEG + 2;
    for (int ax = 0; ax < 3; ax++)
        for (int k = -1; k <= 1; k += 2) {
            if (r > 0)
                box_face(s, &b, ax, (float)k);
            else
                sharp_face(s, &b, ax, (float)k);
        }
}

void vr_block(scene *s, vec3 base, vec3 size, float r)
{
    vr_box(s, v3(base.x - size.x / 2, base.y, base.z - size.z / 2),
           v3(base.x + size.x / 2, base.y + size.y, base.z + size.z / 2), r);
}

void vr_cushion(scene *s, vec3 mid, vec3 size, float puff)
{
    box_shape b = {
        .mid = mid, .half = v3_mul(size, .5f), .soft = true, .n = 9, .puff = puff
    };
    int ax = size.x <= size.y && size.x <= size.z ? 0 : size.y <= size.z ? 1 : 2;

    b.id = s->grain++;
    b.inner = b.half;
    box_face(s, &b, ax, 1);
    box_face(s, &b, ax, -1);
    /* the rim that joins both faces is a quarter of the thickness high */
    const int order[4][2] = { { 0, 0 }, { 1, 0 }, { 1, 1 }, { 0, 1 } };
    for (int e = 0; e < 4; e++)
        for (int i = 0; i + 1 < b.n; i++) {
            uint32_t id[4];
            for (int k = 0; k < 4; k++) {
                const float t =
                    2 * (float)(i + (k == 1 || k == 2)) / (float)(b.n - 1) - 1;
                const float w = order[e][1] ? -t : t;
                const float du = e % 2 == 0 ? w : order[e][0] ? 1.f : -1.f;
                const float dv = e % 2 == 0 ? (order[e][1] ? 1.f : -1.f) : w;
                const float up = k >= 2 ? 1.f : -1.f;
                const vec3 p = from_axes(
                    up * .25f * axis(b.half, ax),
                    axis(b.half, (ax + 1) % 3) * du * (1 - .06f * (1 - dv * dv)),
                    axis(b.half, (ax + 2) % 3) * dv * (1 - .06f * (1 - du * du)), ax);
                id[k] =
                    vr_vertex(s, v3_add(mid, p),
                              v3_unit(from_axes(0, e % 2 ? du : 0, e % 2 ? 0 : dv, ax)),
                              grain_tex(p, b.half, b.id));
            }
            quad(s, id[0], id[1], id[2], id[3]);
        }
}

void vr_ball(scene *s, vec3 mid, vec3 radii, int seg)
{
    const int rows = seg / 2;
    const uint32_t base = (uint32_t)s->to->nv;

    for (int j = 0; j <= rows; j++)
        for (int i = 0; i <= seg; i++) {
            const float th = VR_PI * (float)j / (float)rows;
            const float ph = 2 * VR_PI * (float)i / (float)seg;
            const vec3 d = v3(sinf(th) * cosf(ph), cosf(th), sinf(th) * sinf(ph));
            vr_vertex(s, v3_add(mid, v3_had(d, radii)),
                      v3_unit(v3(d.x / radii.x, d.y / radii.y, d.z / radii.z)),
                      v3_had(d, radii));
        }
    for (int j = 0; j < rows; j++)
        for (int i = 0; i < seg; i++) {
            const uint32_t a = base + (uint32_t)(j * (seg + 1) + i);
            quad(s, a, a + 1, a + (uint32_t)seg + 2, a + (uint32_t)seg + 1);
        }
}

static void rings(scene *s, uint32_t base, int rows, int seg)
{
    for (int j = 0; j + 1 < rows; j++)
        for (int i = 0; i < seg; i++) {
            const uint32_t a = base + (uint32_t)(j * (seg + 1) + i);
            quad(s, a, a + (uint32_t)seg + 1, a + (uint32_t)seg + 2, a + 1);
        }
}

static void basis(vec3 d, vec3 *u, vec3 *v)
{
    *u = v3_unit(v3_cross(fabsf(d.y) < .9f ? v3(0, 1, 0) : v3(1, 0, 0), d));
    *v = v3_cross(d, *u);
}

void vr_rod(scene *s, vec3 a, vec3 b, float ra, float rb, int seg)
{
    const vec3 d = v3_unit(v3_sub(b, a));
    const float len = v3_len(v3_sub(b, a)),
                off = (float)(vr_hash(s->grain++) & 255) * .31f;
    const float bevel = fminf(.003f, .3f * fminf(ra, rb));
    vec3 u, v;

    basis(d, &u, &v);
    /* cap, bevel, side, bevel, cap: radius, height, slope of the normal along d */
    const float prof[6][4] = { { 0, 0, -1, 0 },           { ra - bevel, 0, -1, 0 },
                               { ra, bevel, 0, 1 },       { rb, len - bevel, 0, 1 },
                               { rb - bevel, len, 1, 0 }, { 0, len, 1, 0 } };
    const uint32_t base = (uint32_t)s->to->nv;
    for (int j = 0; j < 6; j++)
        for (int i = 0; i <= seg; i++) {
            const float t = 2 * VR_PI * (float)i / (float)seg;
            const vec3 out = v3_add(v3_mul(u, cosf(t)), v3_mul(v, sinf(t)));
            const vec3 p = v3_mad(v3_mad(a, d, prof[j][1]), out, prof[j][0]);
            vr_vertex(
                s, p, v3_unit(v3_add(v3_mul(d, prof[j][2]), v3_mul(out, prof[j][3]))),
                v3(prof[j][0] * cosf(t) + off, prof[j][0] * sinf(t), prof[j][1] + off));
        }
    rings(s, base, 6, seg);
}

void vr_lathe(scene *s, const float (*rh)[2], int n, int seg)
{
    const uint32_t base = (uint32_t)s->to->nv;

    for (int j = 0; j < n; j++) {
        const int a = j > 0 ? j - 1 : 0, b = j + 1 < n ? j + 1 : n - 1;
        const float dr = rh[b][0] - rh[a][0], dh = rh[b][1] - rh[a][1];
        for (int i = 0; i <= seg; i++) {
            const float t = -2 * VR_PI * (float)i / (float)seg;
            const vec3 out = v3(cosf(t), 0, sinf(t));
            const vec3 p = v3(out.x * rh[j][0], rh[j][1], out.z * rh[j][0]);
            vr_vertex(s, p, v3_unit(v3(out.x * dh, -dr, out.z * dh)), p);
        }
    }
    rings(s, base, n, seg);
}

void vr_tube(scene *s, const vec3 *p, int n, float r0, float r1, int seg)
{
    const uint32_t base = (uint32_t)s->to->nv;
    const float off = (float)(vr_hash(s->grain++) & 255) * .31f;
    float along = 0;

    for (int j = 0; j < n; j++) {
        const vec3 d = v3_unit(v3_sub(p[j + 1 < n ? j + 1 : j], p[j > 0 ? j - 1 : 0]));
        const float r = vr_mix(r0, r1, (float)j / (float)(n - 1));
        vec3 u, v;
        basis(d, &u, &v);
        if (j > 0)
            along += v3_len(v3_sub(p[j], p[j - 1]));
        for (int i = 0; i <= seg; i++) {
            const float t = 2 * VR_PI * (float)i / (float)seg;
            const vec3 out = v3_add(v3_mul(u, cosf(t)), v3_mul(v, sinf(t)));
            vr_vertex(s, v3_mad(p[j], out, r), out,
                      v3(r * cosf(t) + off, r * sinf(t), along + off));
        }
    }
    rings(s, base, n, seg);
}

void vr_patch(scene *s, const vec3 *p, int nu, int nv, bool wrap_u, bool card)
{
    const uint32_t base = (uint32_t)s->to->nv;

    for (int j = 0; j < nv; j++)
        for (int i = 0; i < nu; i++) {
            const int l = i > 0 ? i - 1 : wrap_u ? nu - 2 : 0;
            const int r = i + 1 < nu ? i + 1 : wrap_u ? 1 : nu - 1;
            const vec3 du = v3_sub(p[j * nu + r], p[j * nu + l]);
            const vec3 dv = v3_sub(p[(j + 1 < nv ? j + 1 : j) * nu + i],
                                   p[(j > 0 ? j - 1 : 0) * nu + i]);
            const vec3 q = p[j * nu + i];
            vr_vertex(s, q, v3_unit(v3_cross(du, dv)),
                      card ? v3((float)i / (float)(nu - 1), (float)j / (float)(nv - 1), 0)
                           : q);
        }
    for (int j = 0; j + 1 < nv; j++)
        for (int i = 0; i + 1 < nu; i++) {
            const uint32_t a = base + (uint32_t)(j * nu + i);
            quad(s, a, a + 1, a + (uint32_t)nu + 1, a + (uint32_t)nu);
        }
}
