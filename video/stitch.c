/* Views into a panorama.  One task per panorama row; a row's longitudes are shared by
 * all views, so per pixel and view there are nine products, two divisions and one
 * bicubic read for the two or three views that see it. */
#include "video/stitch.h"

#include <math.h>
#include <string.h>

void vbg_stitch_ring(vbg_pinhole *views, int n, int size)
{
    const double turn = 2.0 * 3.14159265358979323846;

    for (int i = 0; i < n; i++)
        views[i] =
            (vbg_pinhole){ .w = size, .h = size, .fov_x = turn / 4, .yaw = turn * i / n };
}

/* What a row needs of a view. */
typedef struct camera {
    double r[9], f, cx, cy;
    const vbg_picture *picture;
} camera;

typedef struct job {
    const camera *cameras;
    const double *sine, *cosine; /* of the columns' longitudes */
    int n, w, h;
    vbg_sphere_filter filter;
    float *f32; /* one of the two outputs */
    vbg_picture *u8;
    uint8_t *covered;
} job;

/* Adds weight * picture(x, y) to sum; positions outside repeat the border pixels. */
static void add_sample(double sum[3], const vbg_picture *p, double x, double y,
                       double weight, vbg_sphere_filter filter)
{
    const int ix = (int)floor(x), iy = (int)floor(y);
    double wx[4] = { 0, 1.0 - (x - ix), x - ix, 0 },
           wy[4] = { 0, 1.0 - (y - iy), y - iy, 0 };

    if (filter == VBG_SPHERE_BICUBIC) {
        vbg_cubic_weights(wx, x - ix);
        vbg_cubic_weights(wy, y - iy);
    }
    for (int j = 0; j < 4; j++) {
        const int row = vbg_min_int(vbg_max_int(iy + j - 1, 0), p->h - 1);
        const uint8_t *line = p->data + (size_t)row * p->stride;
        double part[3] = { 0, 0, 0 };
        for (int i = 0; i < 4; i++) {
            const int col = vbg_min_int(vbg_max_int(ix + i - 1, 0), p->w - 1);
            const uint8_t *px = line + (size_t)col * 3;
            for (int k = 0; k < 3; k++)
                part[k] += wx[i] * px[k];
        }
        for (int k = 0; k < 3; k++)
            sum[k] += weight * wy[j] * part[k];
    }
}

/* One panorama pixel: the weighted mean of the views; false when there is none. */
static bool mix(double out[3], const job *j, const double d[3])
{
    double sum[3] = { 0, 0, 0 }, total = 0;

    for (int i = 0; i < j->n; i++) {
        const camera *c = &j->cameras[i];
        const double z = c->r[2] * d[0] + c->r[5] * d[1] + c->r[8] * d[2];
        if (!(z > 1e-9))
            continue;
        const double x =
            (c->r[0] * d[0] + c->r[3] * d[1] + c->r[6] * d[2]) / z * c->f + c->cx;
        const double y =
            (c->r[1] * d[0] + c->r[4] * d[1] + c->r[7] * d[2]) / z * c->f + c->cy;
        if (!(x >= -0.5 && x <= c->picture->w - 0.5 && y >= -0.5 &&
              y <= c->picture->h - 0.5))
            continue;
        const double weight = fmax(1.0 - fabs(x - c->cx) / (0.5 * c->picture->w), 1e-6);
        add_sample(sum, c->picture, x, y, weight, j->filter);
        total += weight;
    }
    for (int k = 0; k < 3; k++)
        out[k] = total > 0 ? sum[k] / total : 0.0;
    return total > 0;
}

static void row_task(void *arg, size_t row, int thread)
{
    const job *j = arg;
    const double down = ((double)row + 0.5) / j->h * 3.14159265358979323846;
    const double ring = sin(down), dy = -cos(down);

    (void)thread;
    for (int x = 0; x < j->w; x++) {
        const double d[3] = { ring * j->sine[x], dy, ring * j->cosine[x] };
        const size_t at = row * (size_t)j->w + (size_t)x;
        double level[3];
        j->covered[at] = mix(level, j, d);
        for (int k = 0; k < 3; k++) {
            if (j->f32)
                j->f32[at * 3 + (size_t)k] = (float)level[k];
            else
                j->u8->data[row * j->u8->stride + (size_t)x * 3 + (size_t)k] =
                    (uint8_t)lrint(fmin(fmax(level[k], 0.0), 255.0));
        }
    }
}

/* Prepares cameras and longitudes and runs the rows. */
static vbg_status run(vbg_ctx *c, job *j, const vbg_picture *pictures,
                      const vbg_pinhole *views, vbg_err *err)
{
    if (j->n < 1 || j->w < 1 || j->h < 1)
        return vbg_fail(err, VBG_EUSAGE, "stitching %d views to %dx%d: nothing to do",
                        j->n, j->w, j->h);
    for (int i = 0; i < j->n; i++)
        if (pictures[i].w != views[i].w || pictures[i].h != views[i].h ||
            pictures[i].channels != 3)
            return vbg_fail(err, VBG_EUSAGE, "view %d is %dx%dx%d, its camera %dx%dx3", i,
                            pictures[i].w, pictures[i].h, pictures[i].channels,
                            views[i].w, views[i].h);
    camera *cameras = vbg_alloc((size_t)j->n * sizeof *cameras);
    double *table = vbg_alloc(2 * (size_t)j->w * sizeof *table);
    if (!cameras || !table) {
        vbg_free_mem(cameras);
        vbg_free_mem(table);
        return vbg_fail(err, VBG_ENOMEM, "not enough memory to stitch %d views", j->n);
    }
    for (int i = 0; i < j->n; i++) {
        camera *k = &cameras[i];
        vbg_rotation_from_angles(k->r, views[i].yaw, views[i].pitch, views[i].roll);
        k->f = vbg_pinhole_focal(&views[i]);
        k->cx = 0.5 * (views[i].w - 1);
        k->cy = 0.5 * (views[i].h - 1);
        k->picture = &pictures[i];
    }
    for (int x = 0; x < j->w; x++) {
        const double lon = ((x + 0.5) / j->w - 0.5) * 2.0 * 3.14159265358979323846;
        table[x] = sin(lon);
        table[j->w + x] = cos(lon);
    }
    j->cameras = cameras;
    j->sine = table;
    j->cosine = table + j->w;
    vbg_parallel(c, (size_t)j->h, row_task, j);
    vbg_free_mem(cameras);
    vbg_free_mem(table);
    return VBG_OK;
}

vbg_status vbg_stitch_f32(vbg_ctx *c, const vbg_stitch_out *out,
                          const vbg_picture *pictures, const vbg_pinhole *views, int n,
                          vbg_err *err)
{
    job j = { .n = n,
              .w = out->w,
              .h = out->h,
              .filter = out->filter,
              .f32 = out->levels,
              .covered = out->covered };

    return run(c, &j, pictures, views, err);
}

vbg_status vbg_stitch(vbg_ctx *c, vbg_picture *out, uint8_t *covered,
                      const vbg_picture *pictures, const vbg_pinhole *views, int n,
                      vbg_err *err)
{
    job j = { .n = n, .w = out->w, .h = out->h, .filter = VBG_SPHERE_BICUBIC, .u8 = out };
    uint8_t *own = NULL;

    if (out->channels != 3)
        return vbg_fail(err, VBG_EUSAGE, "stitching needs an RGB picture");
    if (!covered) {
        own = vbg_alloc((size_t)out->w * (size_t)out->h);
        if (!own)
            return vbg_fail(err, VBG_ENOMEM, "not enough memory for a %dx%d panorama",
                            out->w, out->h);
    }
    j.covered = covered ? covered : own;
    vbg_status st = run(c, &j, pictures, views, err);
    if (st == VBG_OK)
        st = vbg_stitch_caps(out, j.covered, err);
    vbg_free_mem(own);
    return st;
}
