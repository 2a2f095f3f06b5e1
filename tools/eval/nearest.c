/* The training pictures most like generated ones, as a sheet: whether a generator copies.
 * Every row: a generated view, then the three training views whose features are nearest;
 * the most alike row comes first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "engine/picture_resize.h"
#include "tools/eval/embed.h"
#include "tools/gen_files.h"

enum { NEAR = 3, TILE = 192, ROWS = 12 };

/* A generated row and the training rows nearest to it. */
typedef struct match {
    size_t row, near[NEAR];
    double distance[NEAR];
} match;

static double row_distance(const float *a, const float *b, size_t d)
{
    double sum = 0;

    for (size_t i = 0; i < d; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

/* The nearest rows of train to x, those of [skip, skip_end) left out. */
static void find_near(match *m, const float *x, const vbg_feature_set *train, size_t d,
                      size_t skip, size_t skip_end)
{
    for (int k = 0; k < NEAR; k++)
        m->distance[k] = INFINITY;
    for (size_t i = 0; i < train->rows; i++) {
        size_t row = i;
        double r = row_distance(x, train->x + i * d, d);
        if (i >= skip && i < skip_end)
            continue;
        for (int k = 0; k < NEAR; k++)
            if (r < m->distance[k]) { /* the place's old owner moves on */
                const double was = m->distance[k];
                const size_t was_row = m->near[k];
                m->distance[k] = r;
                m->near[k] = row;
                r = was;
                row = was_row;
            }
    }
}

/* Name that a row belongs to. */
static size_t owner(const vbg_feature_set *s, size_t row)
{
    size_t i = 0;

    while (s->first[i + 1] <= row)
        i++;
    return i;
}

/* Mean distance of true pictures to the nearest of another name: what is usual. */
static double usual(const vbg_feature_set *train, size_t d)
{
    const size_t step = train->names.count > 200 ? train->names.count / 200 : 1;
    double sum = 0;
    long n = 0;

    for (size_t i = 0; i < train->names.count; i += step) {
        match m = { 0 };
        find_near(&m, train->x + train->first[i] * d, train, d, train->first[i],
                  train->first[i + 1]);
        if (isfinite(m.distance[0])) {
            sum += m.distance[0];
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

static int by_distance(const void *a, const void *b)
{
    const match *x = a, *y = b;

    return (x->distance[0] > y->distance[0]) - (x->distance[0] < y->distance[0]);
}

/* ---- the sheet ---- */

/* View of a row into a tile of the sheet. */
static vbg_status draw(vbg_picture *sheet, int column, int line, const char *dir,
                       const vbg_feature_set *s, size_t row, vbg_err *err)
{
    const size_t i = owner(s, row);
    const vbg_look look = { TILE, VBG_ROOM_VIEWS, 0 };
    vbg_picture view[VBG_ROOM_VIEWS];
    char path[4400];
    int made = 0;

    snprintf(path, sizeof path, "%.4000s/%s", dir, s->names.name[i]);
    vbg_status st = vbg_room_load(view, &made, path, look, err);
    const size_t k = row - s->first[i];
    for (int y = 0; st == VBG_OK && k < (size_t)made && y < TILE; y++)
        memcpy(sheet->data + (size_t)(line * TILE + y) * sheet->stride +
                   (size_t)(column * TILE) * 3,
               view[k].data + (size_t)y * view[k].stride, TILE * 3);
    vbg_room_views_free(view);
    return st;
}

static vbg_status draw_sheet(const vbg_values *v, const match *m, size_t lines,
                             const vbg_feature_set *made, const vbg_feature_set *train,
                             vbg_err *err)
{
    const char *path = vbg_value(v, "out");
    vbg_picture sheet = { 0 };
    vbg_status st = vbg_picture_new(&sheet, (1 + NEAR) * TILE, (int)lines * TILE, 3, err);

    for (size_t i = 0; i < lines && st == VBG_OK; i++) {
        st = draw(&sheet, 0, (int)i, vbg_positional(v, 1), made, m[i].row, err);
        for (int k = 0; k < NEAR && st == VBG_OK; k++)
            if (isfinite(m[i].distance[k]))
                st = draw(&sheet, 1 + k, (int)i, vbg_positional(v, 2), train,
                          m[i].near[k], err);
    }
    if (st == VBG_OK)
        st = vbg_picture_save(path, &sheet, NULL, 90, err);
    vbg_picture_free(&sheet);
    return st;
}

/* For every generated picture its row that is nearest to a training row. */
static vbg_status match_all(match **out, const vbg_feature_set *made,
                            const vbg_feature_set *train, size_t d, vbg_report *r,
                            vbg_err *err)
{
    match *m = calloc(made->names.count, sizeof *m);

    if (!m)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory");
    for (size_t i = 0; i < made->names.count; i++) {
        m[i].distance[0] = INFINITY;
        for (size_t row = made->first[i]; row < made->first[i + 1]; row++) {
            match one = { .row = row };
            find_near(&one, made->x + row * d, train, d, 0, 0);
            if (one.distance[0] < m[i].distance[0])
                m[i] = one;
        }
        vbg_report_sample(r, made->names.name[i], m[i].distance[0]);
    }
    *out = m;
    return VBG_OK;
}

vbg_status vbg_eval_nearest(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    vbg_feature_set made = { 0 }, train = { 0 };
    vbg_embedder *e = NULL;
    match *m = NULL;
    double sum = 0;
    vbg_status st = vbg_value(v, "out")
                        ? vbg_gen_check_picture_name(vbg_value(v, "out"), err)
                        : VBG_OK;

    if (st == VBG_OK && !vbg_value(v, "judge"))
        st = vbg_fail(err, VBG_EUSAGE, "no judge: give --judge FILE.vbg");
    if (st == VBG_OK)
        st = vbg_embedder_open(&e, v, err);
    if (st == VBG_OK)
        st = vbg_embed_folder(&made, e, vbg_positional(v, 1), err);
    if (st == VBG_OK)
        st = vbg_embed_folder(&train, e, vbg_positional(v, 2), err);
    const size_t d = st == VBG_OK ? vbg_embedder_width(e) : 0;
    if (st == VBG_OK)
        st = match_all(&m, &made, &train, d, r, err);
    if (st == VBG_OK) {
        for (size_t i = 0; i < made.names.count; i++)
            sum += m[i].distance[0];
        qsort(m, made.names.count, sizeof *m, by_distance);
        const double mean = sum / (double)made.names.count, among = usual(&train, d);
        vbg_report_int(r, "pictures", (int64_t)made.names.count);
        vbg_report_int(r, "training pictures", (int64_t)train.names.count);
        vbg_report_real(r, "mean distance to the nearest", mean, 4);
        vbg_report_real(r, "smallest", m[0].distance[0], 4);
        vbg_report_real(r, "usual among training pictures", among, 4);
    }
    if (st == VBG_OK && vbg_value(v, "out"))
        st = draw_sheet(v, m, made.names.count < ROWS ? made.names.count : ROWS, &made,
                        &train, err);
    free(m);
    vbg_feature_set_free(&made);
    vbg_feature_set_free(&train);
    vbg_embedder_close(e);
    return st;
}
