/* Oracles of cameras, encodings and single CAA blocks. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden/mvd.h"

enum { E = VBG_CAA_ENTRIES };

vbg_camera *mvd_cameras(golden *g, int *views)
{
    const vbg_st_tensor *t = golden_in(g, "in.K");
    const float *k = golden_in_f32(g, "in.K"), *r = golden_in_f32(g, "in.R");

    if (!t || !k || !r)
        return NULL;
    size_t count = t->count / 9;
    vbg_camera *cam = golden_alloc(g, count * sizeof *cam);
    *views = (int)t->dim[1];
    for (size_t i = 0; i < count * 9; i++) {
        cam[i / 9].k[i % 9] = (double)k[i];
        cam[i / 9].r[i % 9] = (double)r[i];
    }
    return cam;
}

/* Own displacements and masks of all batch items, then the recorded ones. */
static void exchange(golden *g, vbg_caa_level *l, int items, const char *prefix)
{
    const size_t pixels = (size_t)l->views * E * (size_t)l->h * (size_t)l->w;
    float *xy = golden_alloc(g, (size_t)items * pixels * 2 * sizeof *xy);
    uint8_t *mask = golden_alloc(g, (size_t)items * pixels);
    char name[96];
    vbg_err err = { 0 };

    for (int i = 0; i < items; i++)
        vbg_caa_level_dump(&l[i], xy + (size_t)i * pixels * 2, mask + (size_t)i * pixels);
    snprintf(name, sizeof name, "%s.xy_rel", prefix);
    golden_out_f32(g, name, xy, (size_t)items * pixels * 2);
    snprintf(name, sizeof name, "%s.mask", prefix);
    golden_out_u8(g, name, mask, (size_t)items * pixels);
    if (golden_own_geometry(g))
        return;
    const float *fed = golden_in_f32(g, "%s.xy_rel", prefix);
    const vbg_st_tensor *bits = golden_in(g, "%s.mask", prefix);
    for (int i = 0; i < items && fed && bits; i++)
        if (vbg_caa_level_feed(&l[i], fed + (size_t)i * pixels * 2,
                               (const uint8_t *)bits->data + (size_t)i * pixels,
                               &err) != VBG_OK)
            golden_fail(g, "%s", err.text);
}

void mvd_geometry(golden *g, vbg_caa_level *l, const char *prefix)
{
    exchange(g, l, 1, prefix);
}

/* ---- encoding ---- */

void run_posenc(golden *g)
{
    const vbg_safetensors *f = golden_data(g);

    for (size_t i = 0; i < vbg_st_count(f); i++) {
        const vbg_st_tensor *t = vbg_st_at(f, i);
        int c;
        char name[64];
        if (sscanf(t->name, "in.xy.%d", &c) != 1)
            continue;
        float *bands = golden_alloc(g, (size_t)c * sizeof *bands);
        vbg_encoding_bands(bands, c);
        snprintf(name, sizeof name, "freq_bands.%d", c);
        golden_out_f32(g, name, bands, (size_t)c / 4);
        const float *freq = golden_in_f32(g, "freq_bands.%d", c);
        const float *xy = golden_in_f32(g, "%s", t->name);
        size_t rows = t->count / 2;
        float *y = golden_alloc(g, rows * (size_t)c * sizeof *y);
        for (size_t r = 0; r < rows && freq; r++)
            vbg_encoding(y + r * (size_t)c, xy + 2 * r, freq, c / 4);
        snprintf(name, sizeof name, "out.pe.%d", c);
        golden_out_f32(g, name, y, rows * (size_t)c);
    }
}

/* ---- one block, with everything computed the long way beside it ---- */

typedef struct block {
    golden *g;
    vbg_caa_block m;
    vbg_caa_level *level; /* [items] */
    vbg_caa_tables *tables;
    int items, views, h, w;
    const float *x;              /* [items*views][h][w][c] */
    float *y, *q, *attn;         /* results */
    float *sampled, *pe, *k, *v; /* of view 0 of every item */
} block;

static void report(const block *b, const char *name, const float *v, size_t count)
{
    const vbg_st_tensor *t = vbg_st_find(golden_data(b->g), name);

    if (t) /* some hold the first rows only */
        golden_out_f32(b->g, name, v, t->count < count ? t->count : count);
}

static void correspondences(block *b, const vbg_camera *cam, int picture)
{
    const size_t m = (size_t)b->views, px = (size_t)b->h * (size_t)b->w;
    float *out = golden_alloc(b->g, (size_t)b->items * m * m * px * 2 * sizeof *out);
    const int s = picture / b->h;
    double map[9], p[2];

    for (size_t i = 0; i < (size_t)b->items * m * m * px; i++) {
        size_t at = i % px, j = i / px % m, from = i / px / m % m, item = i / px / m / m;
        vbg_camera_homography(map, &cam[item * m + from], &cam[item * m + j]);
        vbg_homography_apply(p, map, s / 2 + s * (double)(at % (size_t)b->w),
                             s / 2 + s * (double)(at / (size_t)b->w));
        out[2 * i] = (float)p[0];
        out[2 * i + 1] = (float)p[1];
    }
    report(b, "act.corr_at_queries", out, (size_t)b->items * m * m * px * 2);
}

/* Bilinear sample of channel i, zero outside. */
static double sample(const block *b, const float *map, const vbg_caa_spot *s, int e,
                     int ch)
{
    double sum = 0;

    for (int k = 0; k < 4; k++) {
        int x = s->x0 + e / 3 + (k & 1), y = s->y0 + e % 3 + (k >> 1);
        double fx = (double)s->fx, fy = (double)s->fy;
        if (x >= 0 && x < b->w && y >= 0 && y < b->h)
            sum += (k & 1 ? fx : 1 - fx) * (k >> 1 ? fy : 1 - fy) *
                   (double)map[(y * b->w + x) * b->m.c + ch];
    }
    return sum;
}

static void project(float *out, const double *e, const float *w, int c)
{
    for (int o = 0; o < c; o++) {
        double sum = 0;
        for (int i = 0; i < c; i++)
            sum += e[i] * (double)w[o * c + i];
        out[o] = (float)sum;
    }
}

/* LayerNorm in place. */
static void normalise(double *e, const vbg_norm_w *n, int c)
{
    double mean = 0, var = 0;

    for (int i = 0; i < c; i++)
        mean += e[i] / c;
    for (int i = 0; i < c; i++)
        var += (e[i] - mean) * (e[i] - mean) / c;
    for (int i = 0; i < c; i++)
        e[i] =
            (e[i] - mean) / sqrt(var + 1e-5) * (double)n->gamma[i] + (double)n->beta[i];
}

/* Entry (pixel, n) of view 0 of an item, as the paper writes it. */
static void dense_entry(block *b, int item, int at, int n)
{
    const vbg_caa_level *l = &b->level[item];
    const int c = b->m.c, px = b->h * b->w, side = n / (E / 2), e = n % (E / 2);
    const size_t spot = ((size_t)l->pose[0] * (size_t)px + (size_t)at) * 2 + (size_t)side;
    const int near = side ? 1 % b->views : b->views - 1;
    const float *map = b->x + (size_t)(item * b->views + near) * (size_t)(px * c);
    const size_t row = ((size_t)(item * px + at) * E + (size_t)n) * (size_t)c;
    double *v = golden_alloc(b->g, (size_t)c * sizeof *v);

    vbg_encoding(b->pe + row, l->offset + (spot * (E / 2) + (size_t)e) * 2, b->m.freq,
                 c / 4);
    for (int i = 0; i < c; i++) {
        double s = sample(b, map, &l->spot[spot], e, i);
        b->sampled[((item * E + n) * c + i) * px + at] = (float)s;
        v[i] = l->spot[spot].mask >> e & 1 ? s + (double)b->pe[row + (size_t)i] : 0;
    }
    if (!b->k)
        return;
    normalise(v, &b->m.norm1, c);
    project(b->k + row, v, golden_in_f32(b->g, "transformer.attn1.to_k.weight"), c);
    project(b->v + row, v, golden_in_f32(b->g, "transformer.attn1.to_v.weight"), c);
}

static void dense(block *b)
{
    const size_t px = (size_t)b->h * (size_t)b->w, c = (size_t)b->m.c;
    const size_t rows = (size_t)b->items * px, all = rows * E * c;

    b->sampled = golden_alloc(b->g, all * sizeof *b->sampled);
    b->pe = golden_alloc(b->g, all * sizeof *b->pe);
    if (vbg_st_find(golden_data(b->g), "act.view0.k")) {
        b->k = golden_alloc(b->g, all * sizeof *b->k);
        b->v = golden_alloc(b->g, all * sizeof *b->v);
    }
    for (int i = 0; i < b->items; i++)
        for (int p = 0; p < (int)px; p++)
            for (int n = 0; n < E; n++)
                dense_entry(b, i, p, n);
    report(b, "act.view0.kv_sampled", b->sampled, all);
    report(b, "act.view0.kv_pe", b->pe, all);
    if (b->k) {
        report(b, "act.view0.k", b->k, all);
        report(b, "act.view0.v", b->v, all);
    }
    const float zero[2] = { 0, 0 };
    vbg_encoding(b->pe, zero, b->m.freq, b->m.c / 4);
    report(b, "act.view0.query_pe_row0", b->pe, c);
}

static vbg_status forward(vbg_ctx *c, void *arg, vbg_err *err)
{
    block *b = arg;

    (void)err;
    vbg_tensor *x = vbg_wrap(c, b->x, VBG_F32, b->views, b->h, b->w, b->m.c);
    vbg_copy_out(c, b->y, VBG_F32, vbg_caa_forward(c, &b->m, b->tables, x));
    vbg_tensor *q = vbg_caa_query(c, &b->m, b->tables, x);
    vbg_copy_out(c, b->q, VBG_F32, vbg_images(c, q, 0, 1));
    vbg_tensor *a = vbg_caa_attend(c, &b->m, b->tables, x);
    vbg_copy_out(c, b->attn, VBG_F32, vbg_images(c, a, 0, 1));
    return VBG_OK;
}

/* Every batch item has its own cameras, so its own tables. */
static void run_items(block *b)
{
    const size_t map = (size_t)b->h * (size_t)b->w * (size_t)b->m.c;
    block one = *b;
    vbg_status st = VBG_OK;
    vbg_err err = { 0 };

    for (size_t i = 0; i < (size_t)b->items && st == VBG_OK; i++) {
        one.x = b->x + i * (size_t)b->views * map;
        one.y = b->y + i * (size_t)b->views * map;
        one.q = b->q + i * map;
        one.attn = b->attn + i * map;
        one.tables = NULL;
        st = vbg_caa_tables_new(&one.tables, golden_ctx(b->g), &b->m, &b->level[i], NULL,
                                &err);
        if (st == VBG_OK)
            st = vbg_run(golden_ctx(b->g), forward, &one, &err);
        vbg_caa_tables_free(one.tables);
    }
    if (st != VBG_OK)
        golden_fail(b->g, "%s", err.text);
    golden_out_nhwc(b->g, "out.x", b->y, b->items * b->views, b->h, b->w, b->m.c, 1);
    report(b, "act.view0.q", b->q, (size_t)b->items * map);
    report(b, "act.view0.attn_out", b->attn, (size_t)b->items * map);
}

void run_caa(golden *g)
{
    block b = { .g = g };
    const vbg_st_tensor *t = golden_in(g, "in.x");
    const json_t *size = json_object_get(golden_json(g), "image_hw");
    const int picture = (int)json_integer_value(json_array_get(size, 0));
    vbg_camera *cam = mvd_cameras(g, &b.views);
    vbg_weights *w = golden_weights(g, "caa", NULL, NULL);
    vbg_err err = { 0 };
    vbg_bind bind;

    b.x = golden_in_nhwc(g, "in.x");
    if (!w || !cam || !t || !b.x || picture == 0)
        goto done;
    b.items = (int)t->dim[0] / b.views;
    b.h = (int)t->dim[2];
    b.w = (int)t->dim[3];
    vbg_bind_start(&bind, w, "caa");
    vbg_caa_bind(&bind, &b.m, (int)t->dim[1], "");
    b.level = golden_alloc(g, (size_t)b.items * sizeof *b.level);
    b.y = golden_alloc(g, t->count * sizeof *b.y);
    b.q = golden_alloc(g, t->count * sizeof *b.q);
    b.attn = golden_alloc(g, t->count * sizeof *b.attn);
    vbg_status st = vbg_bind_finish(&bind, &err);
    for (int i = 0; i < b.items && st == VBG_OK; i++)
        st = vbg_caa_level_new(&b.level[i], cam + i * b.views, b.views, picture, picture,
                               b.w, b.h, &err);
    if (st != VBG_OK) {
        golden_fail(g, "%s", err.text);
        goto done;
    }
    exchange(g, b.level, b.items, "act");
    correspondences(&b, cam, picture);
    if (!golden_own_geometry(g))
        dense(&b);
    run_items(&b);
done:
    for (int i = 0; i < b.items && b.level; i++)
        vbg_caa_level_free(&b.level[i]);
    vbg_weights_close(w);
}
