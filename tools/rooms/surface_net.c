/* Naive surface nets over a narrow band. */
#include "tools/rooms/surface_net.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4, NO_VERTEX = -1 };

typedef struct grid {
    int n[3]; /* corners along x, y, z */
    vec3 lo;
    float cell;
    net_field f;
    const void *what;
} grid;

static size_t at(const grid *g, int x, int y, int z)
{
    return ((size_t)z * (size_t)g->n[1] + (size_t)y) * (size_t)g->n[0] + (size_t)x;
}

static vec3 corner(const grid *g, float x, float y, float z)
{
    return v3(g->lo.x + g->cell * x, g->lo.y + g->cell * y, g->lo.z + g->cell * z);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Samples a block of corners, or gives all of them the value of its middle; true when
 * the surface may pass it. */
static bool sample_block(const grid *g, float *value, int bx, int by, int bz)
{
    const int x1 = least(bx + BLOCK, g->n[0]), y1 = least(by + BLOCK, g->n[1]),
              z1 = least(bz + BLOCK, g->n[2]);
    const float half = BLOCK * .5f - .5f;
    const float mid =
        g->f(g->what, corner(g, (float)bx + half, (float)by + half, (float)bz + half));
    /* 1.73 x half a block, one cell more for the neighbours, slopes up to 1.5 */
    const bool near = fabsf(mid) < 1.5f * g->cell * (1.7321f * half + 1);

    for (int z = bz; z < z1; z++)
        for (int y = by; y < y1; y++)
            for (int x = bx; x < x1; x++)
                value[at(g, x, y, z)] =
                    near ? g->f(g->what, corner(g, (float)x, (float)y, (float)z)) : mid;
    return near;
}

static bool grow_vertices(surface_net *n)
{
    if (n->nv < n->cap_v)
        return true;
    const size_t cap = n->cap_v * 2 + 4096;
    vec3 *p = realloc(n->pos, cap * sizeof *p), *q = NULL;
    if (p)
        n->pos = p;
    if (p && (q = realloc(n->nrm, cap * sizeof *q)) != NULL) {
        n->nrm = q;
        n->cap_v = cap;
    }
    return q != NULL;
}

static bool add_triangle(surface_net *n, uint32_t a, uint32_t b, uint32_t c)
{
    if (n->nt == n->cap_t) {
        const size_t cap = n->cap_t * 2 + 8192;
        uint32_t *p = realloc(n->idx, cap * 3 * sizeof *p);
        if (!p)
            return false;
        n->idx = p;
        n->cap_t = cap;
    }
    memcpy(n->idx + 3 * n->nt++, (uint32_t[3]){ a, b, c }, 3 * sizeof(uint32_t));
    return true;
}

/* The vertex of cell x, y, z, if the surface passes it. */
static bool make_vertex(surface_net *n, const grid *g, int x, int y, int z)
{
    static const uint8_t edge[12][2] = { { 0, 1 }, { 2, 3 }, { 4, 5 }, { 6, 7 },
                                         { 0, 2 }, { 1, 3 }, { 4, 6 }, { 5, 7 },
                                         { 0, 4 }, { 1, 5 }, { 2, 6 }, { 3, 7 } };
    float v[8];
    int inside = 0, crossed = 0;
    vec3 sum = v3s(0);

    for (int i = 0; i < 8; i++) {
        v[i] = n->value[at(g, x + (i & 1), y + (i >> 1 & 1), z + (i >> 2))];
        inside += v[i] < 0;
    }
    if (inside == 0 || inside == 8)
        return true;
    for (int e = 0; e < 12; e++) {
        const int a = edge[e][0], b = edge[e][1];
        if ((v[a] < 0) == (v[b] < 0))
            continue;
        const float t = v[a] / (v[a] - v[b]);
        const vec3 pa = v3((float)(a & 1), (float)(a >> 1 & 1), (float)(a >> 2)),
                   pb = v3((float)(b & 1), (float)(b >> 1 & 1), (float)(b >> 2));
        sum = v3_add(sum, v3_mix(pa, pb, t));
        crossed++;
    }
    if (!grow_vertices(n))
        return false;
    const vec3 q = v3_mul(sum, 1 / (float)crossed);
    n->pos[n->nv] = corner(g, (float)x + q.x, (float)y + q.y, (float)z + q.z);
    n->cell[at(g, x, y, z)] = (uint32_t)n->nv++;
    return true;
}

/* The quad of the four cells around the grid edge from x, y, z along axis. */
static bool make_quad(surface_net *n, const grid *g, const int at0[3], int axis)
{
    const int u = (axis + 1) % 3, w = (axis + 2) % 3;
    int far[3] = { at0[0], at0[1], at0[2] };
    uint32_t id[4];

    if (at0[u] == 0 || at0[w] == 0)
        return true;
    far[axis]++;
    const bool in = n->value[at(g, at0[0], at0[1], at0[2])] < 0;
    if (in == (n->value[at(g, far[0], far[1], far[2])] < 0))
        return true;
    for (int k = 0; k < 4; k++) {
        int c[3] = { at0[0], at0[1], at0[2] };
        c[u] -= k == 0 || k == 3;
        c[w] -= k < 2;
        if (c[u] >= g->n[u] - 1 || c[w] >= g->n[w] - 1)
            return true;
        id[k] = n->cell[at(g, c[0], c[1], c[2])];
        if (id[k] == (uint32_t)NO_VERTEX) /* the field jumps here */
            return true;
    }
    return in ? add_triangle(n, id[0], id[1], id[2]) &&
                    add_triangle(n, id[0], id[2], id[3])
              : add_triangle(n, id[0], id[2], id[1]) &&
                    add_triangle(n, id[0], id[3], id[2]);
}

static bool make_quads(surface_net *n, const grid *g, int x, int y, int z)
{
    const int c[3] = { x, y, z };

    return make_quad(n, g, c, 0) && make_quad(n, g, c, 1) && make_quad(n, g, c, 2);
}

/* Some corner of the block's cells lies in a block that the surface may pass. */
static bool reached(const surface_net *n, const int blocks[3], int x, int y, int z)
{
    for (int k = 0; k < 8; k++) {
        const int i = x + (k & 1), j = y + (k >> 1 & 1), l = z + (k >> 2);
        if (i < blocks[0] && j < blocks[1] && l < blocks[2] &&
            n->near[((size_t)l * (size_t)blocks[1] + (size_t)j) * (size_t)blocks[0] +
                    (size_t)i])
            return true;
    }
    return false;
}

/* Calls f for the cells of all blocks that the surface may pass; a cell belongs to the
 * block of its lowest corner. */
static bool each_cell(surface_net *n, const grid *g,
                      bool (*f)(surface_net *, const grid *, int, int, int))
{
    const int blocks[3] = { (g->n[0] + BLOCK - 1) / BLOCK, (g->n[1] + BLOCK - 1) / BLOCK,
                            (g->n[2] + BLOCK - 1) / BLOCK };

    for (int bz = 0; bz < g->n[2]; bz += BLOCK)
        for (int by = 0; by < g->n[1]; by += BLOCK)
            for (int bx = 0; bx < g->n[0]; bx += BLOCK) {
                if (!reached(n, blocks, bx / BLOCK, by / BLOCK, bz / BLOCK))
                    continue;
                const int x1 = least(bx + BLOCK, g->n[0] - 1),
                          y1 = least(by + BLOCK, g->n[1] - 1),
                          z1 = least(bz + BLOCK, g->n[2] - 1);
                for (int z = bz; z < z1; z++)
                    for (int y = by; y < y1; y++)
                        for (int x = bx; x < x1; x++)
                            if (!f(n, g, x, y, z))
                                return false;
            }
    return true;
}

/* Onto the surface, and the normal there. */
static void settle(surface_net *n, const grid *g, size_t i)
{
    static const float tet[4][3] = {
        { 1, -1, -1 }, { -1, -1, 1 }, { -1, 1, -1 }, { 1, 1, 1 }
    };
    const float e = .25f * g->cell;
    vec3 grad = v3s(0);
    float mean = 0;

    for (int k = 0; k < 4; k++) {
        const vec3 d = v3(tet[k][0], tet[k][1], tet[k][2]);
        const float v = g->f(g->what, v3_mad(n->pos[i], d, e));
        grad = v3_mad(grad, d, v / (4 * e));
        mean += v / 4;
    }
    const float len = v3_len(grad);
    n->nrm[i] = v3_unit(grad);
    if (len > .2f)
        n->pos[i] = v3_mad(n->pos[i], n->nrm[i],
                           vr_clamp(-mean / len, -.5f * g->cell, .5f * g->cell));
}

static bool reserve(surface_net *n, const grid *g)
{
    const size_t cells = (size_t)g->n[0] * (size_t)g->n[1] * (size_t)g->n[2];

    n->nv = n->nt = 0;
    if (cells <= n->cap_grid) {
        memset(n->cell, 0xff, cells * sizeof *n->cell); /* NO_VERTEX */
        return true;
    }
    free(n->value);
    free(n->cell);
    free(n->near);
    n->near = malloc(cells);
    n->value = malloc(cells * sizeof *n->value);
    n->cell = malloc(cells * sizeof *n->cell);
    n->cap_grid = n->value && n->cell && n->near ? cells : 0;
    if (n->cap_grid)
        memset(n->cell, 0xff, cells * sizeof *n->cell);
    return n->cap_grid > 0;
}

bool vr_net_build(surface_net *n, vec3 lo, vec3 hi, float cell, net_field f,
                  const void *what)
{
    const grid g = { .n = { (int)((hi.x - lo.x) / cell) + 2,
                            (int)((hi.y - lo.y) / cell) + 2,
                            (int)((hi.z - lo.z) / cell) + 2 },
                     .lo = lo,
                     .cell = cell,
                     .f = f,
                     .what = what };

    if (!reserve(n, &g))
        return false;
    size_t block = 0;
    for (int z = 0; z < g.n[2]; z += BLOCK)
        for (int y = 0; y < g.n[1]; y += BLOCK)
            for (int x = 0; x < g.n[0]; x += BLOCK)
                n->near[block++] = sample_block(&g, n->value, x, y, z);
    if (!each_cell(n, &g, make_vertex) || !each_cell(n, &g, make_quads))
        return false;
    for (size_t i = 0; i < n->nv; i++)
        settle(n, &g, i);
    return true;
}

void vr_net_free(surface_net *n)
{
    free(n->pos);
    free(n->nrm);
    free(n->idx);
    free(n->value);
    free(n->cell);
    free(n->near);
    *n = (surface_net){ 0 };
}
