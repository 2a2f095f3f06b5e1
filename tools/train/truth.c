/* Regions and depths beside a picture; see tools/train/truth.h. */
#include "tools/train/truth.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/io.h"
#include "engine/picture.h"
#include "tools/train/data.h"
#include "video/panorama.h"

enum { POINTS = 6 }; /* places of a cell, in a row and in a column */

/* ---- files ---- */

bool vbg_truth_there(const char *picture)
{
    static const char *const suffix[] = { ".label.png", ".depth.png" };
    bool there = true;

    for (int i = 0; i < 2 && there; i++) {
        char *path = vbg_with_suffix(picture, suffix[i]);
        there = path && access(path, R_OK) == 0;
        free(path);
    }
    return there;
}

/* Gray pixels of bytes (1 or 2) each.  libpng's plain interface: what is stored as 16 bit
 * is taken for linear and not touched. */
static vbg_status read_gray(void **out, int *w, int *h, const char *path, size_t bytes,
                            vbg_err *err)
{
    png_image image = { .version = PNG_IMAGE_VERSION };
    vbg_map map = { 0 };
    void *data = NULL;
    vbg_status st =
        vbg_map_open(&map, path, (uint64_t)VBG_PICTURE_MAX_FILE_MB << 20, err);

    if (st != VBG_OK)
        return st;
    if (!map.bytes || !png_image_begin_read_from_memory(&image, map.data, map.bytes))
        st = vbg_fail(err, VBG_EFORMAT, "%s: no whole PNG file", path);
    else if (image.format != (bytes == 2 ? PNG_FORMAT_LINEAR_Y : PNG_FORMAT_GRAY))
        st = vbg_fail(err, VBG_EFORMAT, "%s: not a gray picture of %zu bits", path,
                      8 * bytes);
    else if ((uint64_t)image.width * image.height > VBG_PICTURE_MAX_PIXELS)
        st = vbg_fail(err, VBG_ELIMIT, "%s: %ux%u pixels", path, image.width,
                      image.height);
    else if (!(data = malloc((size_t)image.width * image.height * bytes)))
        st = vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", path);
    else if (!png_image_finish_read(&image, NULL, data, 0, NULL))
        st = vbg_fail(err, VBG_EFORMAT, "%s: damaged: %s", path, image.message);
    png_image_free(&image);
    vbg_map_close(&map);
    if (st != VBG_OK) {
        free(data);
        return st;
    }
    *out = data;
    *w = (int)image.width;
    *h = (int)image.height;
    return VBG_OK;
}

static vbg_status read_beside(void **out, int *w, int *h, const char *picture,
                              const char *suffix, size_t bytes, vbg_err *err)
{
    char *path = vbg_with_suffix(picture, suffix);
    vbg_status st = path ? read_gray(out, w, h, path, bytes, err)
                         : vbg_fail(err, VBG_ENOMEM, "%s: not enough memory", picture);

    free(path);
    return st;
}

vbg_status vbg_truth_load(vbg_truth *out, const char *picture, vbg_err *err)
{
    vbg_truth t = { 0 };
    void *label = NULL, *depth = NULL;
    int w = 0, h = 0;
    vbg_status st = read_beside(&label, &t.w, &t.h, picture, ".label.png", 1, err);

    *out = (vbg_truth){ 0 };
    if (st == VBG_OK)
        st = read_beside(&depth, &w, &h, picture, ".depth.png", 2, err);
    t.label = label;
    t.depth = depth;
    if (st == VBG_OK && (w != t.w || h != t.h))
        st = vbg_fail(err, VBG_EFORMAT, "%s: labels of %dx%d, depths of %dx%d", picture,
                      t.w, t.h, w, h);
    if (st != VBG_OK) {
        vbg_truth_free(&t);
        return st;
    }
    for (size_t i = 0; i < (size_t)w * (size_t)h; i++)
        if (t.label[i] >= VBG_TRUTH_REGIONS)
            t.label[i] = VBG_TRUTH_NONE;
    *out = t;
    return VBG_OK;
}

void vbg_truth_free(vbg_truth *t)
{
    if (!t)
        return;
    free(t->label);
    free(t->depth);
    *t = (vbg_truth){ 0 };
}

/* ---- cells ---- */

/* Where the picture is read for a place of the map, both from 0 to 1. */
typedef void place_fn(const void *arg, double x, double y, double uv[2]);

static int nearest(double v, int count)
{
    return vbg_min_int(vbg_max_int((int)lrint(v), 0), count - 1);
}

/* The most frequent region and the mean depth of one cell. */
static void one_cell(const vbg_truth *t, const int xy[2], int side, place_fn *place,
                     const void *arg, uint8_t *label, float *depth)
{
    int votes[256] = { 0 }, best = VBG_TRUTH_NONE, found = 0;
    double sum = 0;

    for (int i = 0; i < POINTS * POINTS; i++) {
        double uv[2];
        place(arg, (xy[0] + (i % POINTS + 0.5) / POINTS) / side,
              (xy[1] + ((double)(i / POINTS) + 0.5) / POINTS) / side, uv);
        const size_t at =
            (size_t)nearest(uv[1], t->h) * (size_t)t->w + (size_t)nearest(uv[0], t->w);
        votes[t->label[at]]++;
        if (t->depth[at]) {
            sum += log(t->depth[at] / 1000.0);
            found++;
        }
    }
    for (int k = 0; k < VBG_TRUTH_REGIONS; k++)
        if (votes[k] > votes[best])
            best = k;
    *label = (uint8_t)best;
    *depth = 2 * found >= POINTS * POINTS ? (float)(sum / found) : NAN;
}

static void all_cells(const vbg_truth *t, int side, place_fn *place, const void *arg,
                      uint8_t *label, float *depth)
{
    for (int i = 0; i < side * side; i++)
        one_cell(t, (const int[]){ i % side, i / side }, side, place, arg, label + i,
                 depth + i);
}

typedef struct view_place {
    vbg_pinhole camera;
    int w, h;
} view_place;

static void in_view(const void *arg, double x, double y, double uv[2])
{
    const view_place *v = arg;
    double d[3];

    /* pixel centres are at whole numbers */
    vbg_pinhole_ray(d, &v->camera, x * v->camera.w - 0.5, y * v->camera.h - 0.5);
    vbg_equirect_position(uv, d, v->w, v->h);
}

void vbg_truth_view(const vbg_truth *t, double yaw_deg, int side, uint8_t *label,
                    float *depth)
{
    const double degree = 0.017453292519943295;
    const view_place v = { { .w = POINTS * side,
                             .h = POINTS * side,
                             .fov_x = 90 * degree,
                             .yaw = yaw_deg * degree },
                           t->w,
                           t->h };

    all_cells(t, side, in_view, &v, label, depth);
}

static void in_middle(const void *arg, double x, double y, double uv[2])
{
    const vbg_truth *t = arg;
    const double side = vbg_min_int(t->w, t->h);

    uv[0] = (t->w - side) / 2 + x * side - 0.5;
    uv[1] = (t->h - side) / 2 + y * side - 0.5;
}

void vbg_truth_middle(const vbg_truth *t, int side, uint8_t *label, float *depth)
{
    all_cells(t, side, in_middle, t, label, depth);
}
