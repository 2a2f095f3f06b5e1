/* Views out of a panorama.  The table is built once; a frame costs one ray per row and
 * column step, the kernel does the rest (kernels/view.h). */
#include "video/viewport.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/view.h"

enum { ROWS = 16 /* rows per task */, TILE = 64 /* columns that are hidden or not */ };

struct vbg_viewport {
    uint8_t *memory;
    vbg_sphere_table table;
};

/* Mean of the block x block pixels at (x, y), RGB. */
static void average(uint8_t rgb[3], const vbg_picture *p, int x, int y, int block)
{
    for (int k = 0; k < 3; k++) {
        const int channel = p->channels >= 3 ? k : 0;
        unsigned sum = 0;
        for (int j = 0; j < block; j++)
            for (int i = 0; i < block; i++)
                sum += p->data[(size_t)(y * block + j) * p->stride +
                               (size_t)((x * block + i) * p->channels + channel)];
        const unsigned count = (unsigned)(block * block);
        rgb[k] = (uint8_t)((sum + count / 2) / count);
    }
}

/* Address of table pixel (x, y), both from -1. */
static uint8_t *entry(const vbg_viewport *v, int x, int y)
{
    return v->memory + ((size_t)(y + 1) * v->table.stride + (size_t)(x + 1)) * 4;
}

/* The pixels around the picture: columns wrap, rows go over the poles. */
static void close_sphere(vbg_viewport *v)
{
    const int w = v->table.w, h = v->table.h;

    for (int x = 0; x < w; x++) {
        memcpy(entry(v, x, -1), entry(v, (x + w / 2) % w, 0), 4);
        memcpy(entry(v, x, h), entry(v, (x + w / 2) % w, h - 1), 4);
    }
    for (int y = -1; y <= h; y++) {
        memcpy(entry(v, -1, y), entry(v, w - 1, y), 4);
        memcpy(entry(v, w, y), entry(v, 0, y), 4);
    }
}

vbg_status vbg_viewport_new(vbg_viewport **out, const vbg_picture *pano, vbg_err *err)
{
    int block = 1;

    if (!pano->data || pano->w < 1 || pano->h < 1)
        return vbg_fail(err, VBG_EUSAGE, "an empty picture is no panorama");
    while (pano->w / block > VBG_VIEWPORT_MAX_WIDTH && pano->h / block > 1)
        block *= 2;
    vbg_viewport *v = calloc(1, sizeof *v);
    if (!v)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for the panorama");
    v->table.w = pano->w / block;
    v->table.h = pano->h / block;
    v->table.stride = vbg_round_up((size_t)v->table.w + 2, 16) + 16;
    v->memory = vbg_alloc(v->table.stride * ((size_t)v->table.h + 2) * 4);
    if (!v->memory) {
        vbg_viewport_free(v);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory for a %dx%d panorama",
                        pano->w, pano->h);
    }
    v->table.data = v->memory;
    for (int y = 0; y < v->table.h; y++)
        for (int x = 0; x < v->table.w; x++) {
            uint8_t rgb[3], *e = entry(v, x, y);
            average(rgb, pano, x, y, block);
            for (int k = 0; k < 3; k++)
                e[k] = rgb[k] ^ 0x80;
        }
    close_sphere(v);
    *out = v;
    return VBG_OK;
}

void vbg_viewport_free(vbg_viewport *v)
{
    if (!v)
        return;
    vbg_free_mem(v->memory);
    free(v);
}

/* One frame: the ray of pixel (x, y) is corner + x * right + y * down. */
typedef struct job {
    const vbg_viewport *v;
    const vbg_view_kernels *k;
    vbg_picture *dst;
    double corner[3], right[3], down[3];
    const vbg_picture *alpha; /* NULL: nobody hides anything */
} job;

static job prepare(const vbg_viewport *v, vbg_ctx *c, vbg_picture *dst,
                   const vbg_pinhole *camera)
{
    vbg_pinhole sized = *camera;
    job j = { .v = v, .k = &vbg_ctx_kernels(c)->view, .dst = dst };

    VBG_CHECK(dst->channels == 3, "viewport: %d channels", dst->channels);
    sized.w = dst->w;
    sized.h = dst->h;
    vbg_pinhole_ray(j.corner, &sized, 0, 0);
    vbg_pinhole_ray(j.right, &sized, 1, 0);
    vbg_pinhole_ray(j.down, &sized, 0, 1);
    for (int i = 0; i < 3; i++) {
        j.right[i] -= j.corner[i];
        j.down[i] -= j.corner[i];
    }
    return j;
}

/* Pixels x0 to x1-1 of rows y0 to y1-1. */
static void render_part(const job *j, int x0, int x1, int y0, int y1)
{
    for (int y = y0; y < y1; y++) {
        float dir[3], step[3];
        for (int i = 0; i < 3; i++) {
            dir[i] = (float)(j->corner[i] + x0 * j->right[i] + y * j->down[i]);
            step[i] = (float)j->right[i];
        }
        j->k->row(j->dst->data + (size_t)y * j->dst->stride + 3 * (size_t)x0, x1 - x0,
                  &j->v->table, dir, step);
    }
}

/* All of the alpha between these borders is 255. */
static bool opaque(const vbg_picture *alpha, int x0, int x1, int y0, int y1)
{
    x0 = vbg_max_int(x0, 0);
    x1 = vbg_min_int(x1, alpha->w);
    for (int y = vbg_max_int(y0, 0); y < vbg_min_int(y1, alpha->h); y++) {
        const uint8_t *row = vbg_picture_row(alpha, y);
        int x = x0;
        for (; x + 8 <= x1; x += 8) {
            uint64_t v;
            memcpy(&v, row + x, sizeof v);
            if (v != UINT64_MAX)
                return false;
        }
        for (; x < x1; x++)
            if (row[x] != 255)
                return false;
    }
    return true;
}

static bool hidden(const job *j, int x, int y)
{
    enum { M = VBG_VIEWPORT_MARGIN };

    return j->alpha && opaque(j->alpha, x - M, x + TILE + M, y - M, y + ROWS + M);
}

static void render_rows(void *arg, size_t index, int thread)
{
    const job *j = arg;
    const int y0 = (int)index * ROWS, y1 = vbg_min_int(y0 + ROWS, j->dst->h);
    int from = 0; /* of the part not yet drawn */

    (void)thread;
    for (int x = 0; x < j->dst->w; x += TILE) {
        if (!hidden(j, x, y0))
            continue;
        if (from < x)
            render_part(j, from, x, y0, y1);
        from = vbg_min_int(x + TILE, j->dst->w);
    }
    if (from < j->dst->w)
        render_part(j, from, j->dst->w, y0, y1);
}

void vbg_viewport_render_around(const vbg_viewport *v, vbg_ctx *c, vbg_picture *dst,
                                const vbg_pinhole *camera, const vbg_picture *alpha)
{
    job j = prepare(v, c, dst, camera);

    VBG_CHECK(alpha->w == dst->w && alpha->h == dst->h && alpha->channels == 1,
              "viewport of %dx%d, alpha %dx%dx%d", dst->w, dst->h, alpha->w, alpha->h,
              alpha->channels);
    j.alpha = alpha;
    vbg_parallel(c, (size_t)(dst->h + ROWS - 1) / ROWS, render_rows, &j);
}

void vbg_viewport_render(const vbg_viewport *v, vbg_ctx *c, vbg_picture *dst,
                         const vbg_pinhole *camera)
{
    job j = prepare(v, c, dst, camera);

    vbg_parallel(c, (size_t)(dst->h + ROWS - 1) / ROWS, render_rows, &j);
}

/* Bicubic read of the table at picture position (u, v). */
static void read_bicubic(uint8_t rgb[3], const vbg_sphere_table *t, double u, double v)
{
    const int x = (int)floor(u), y = (int)floor(v);
    double wx[4], wy[4], sum[3] = { 0, 0, 0 };

    vbg_cubic_weights(wx, u - x);
    vbg_cubic_weights(wy, v - y);
    for (int j = 0; j < 4; j++)
        for (int i = 0; i < 4; i++) {
            int row = y + j - 1, col = x + i - 1;
            if (row < 0 || row >= t->h) {
                row = row < 0 ? -1 - row : 2 * t->h - 1 - row;
                row = vbg_min_int(vbg_max_int(row, 0), t->h - 1);
                col += t->w / 2;
            }
            col = (col % t->w + t->w) % t->w;
            const uint8_t *p =
                t->data + ((size_t)(row + 1) * t->stride + (size_t)(col + 1)) * 4;
            for (int k = 0; k < 3; k++)
                sum[k] += wx[i] * wy[j] * (p[k] ^ 0x80);
        }
    for (int k = 0; k < 3; k++)
        rgb[k] = (uint8_t)lrint(fmin(fmax(sum[k], 0.0), 255.0));
}

static void render_bicubic_rows(void *arg, size_t index, int thread)
{
    const job *j = arg;
    const vbg_sphere_table *t = &j->v->table;
    const int first = (int)index * ROWS;

    (void)thread;
    for (int y = first; y < first + ROWS && y < j->dst->h; y++)
        for (int x = 0; x < j->dst->w; x++) {
            double d[3], uv[2];
            for (int i = 0; i < 3; i++)
                d[i] = j->corner[i] + x * j->right[i] + y * j->down[i];
            vbg_equirect_position(uv, d, t->w, t->h);
            read_bicubic(j->dst->data + (size_t)y * j->dst->stride + (size_t)x * 3, t,
                         uv[0], uv[1]);
        }
}

void vbg_viewport_render_bicubic(const vbg_viewport *v, vbg_ctx *c, vbg_picture *dst,
                                 const vbg_pinhole *camera)
{
    job j = prepare(v, c, dst, camera);

    vbg_parallel(c, (size_t)(dst->h + ROWS - 1) / ROWS, render_bicubic_rows, &j);
}

double vbg_viewport_ease_pitch(double pitch_rad, double limit_rad)
{
    const double soft = 0.7 * limit_rad, size = fabs(pitch_rad);

    if (!(limit_rad > 0))
        return 0;
    if (size <= soft)
        return pitch_rad;
    const double rest = limit_rad - soft;
    return copysign(soft + rest * tanh((size - soft) / rest), pitch_rad);
}

double vbg_viewport_pitch_limit(const vbg_pinhole *camera)
{
    const double degree = 3.14159265358979323846 / 180.0;
    const double half = atan(0.5 * camera->h / vbg_pinhole_focal(camera));

    return fmax(80.0 * degree - half, 10.0 * degree);
}
