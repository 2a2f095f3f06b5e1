/* Distances and scores over features: FID, inception score, CLIP score. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "convert/safetensors.h"
#include "engine/picture_io.h"
#include "models/metrics.h"
#include "tools/eval/embed.h"
#include "tools/eval/towers.h"

/* n rows of d values. */
typedef struct rows {
    float *x;
    size_t n, d;
} rows;

static vbg_status from_file(rows *out, const char *path, vbg_err *err)
{
    vbg_safetensors *f;
    vbg_status st = vbg_st_open(&f, path, err);

    if (st != VBG_OK)
        return st;
    const vbg_st_tensor *t = vbg_st_count(f) == 1 ? vbg_st_at(f, 0) : NULL;
    if (!t || t->rank != 2 || t->dtype == VBG_DTYPES || t->count == 0) {
        st = vbg_fail(err, VBG_EFORMAT, "%s: want exactly one tensor [n, d]", path);
    } else if (!(out->x = malloc(t->count * sizeof *out->x))) {
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory for the features of %s", path);
    } else {
        out->n = (size_t)t->dim[0];
        out->d = (size_t)t->dim[1];
        vbg_st_to_f32(out->x, t);
    }
    vbg_st_close(f);
    return st;
}

static vbg_status from_folder(rows *out, vbg_embedder *e, const char *dir, vbg_err *err)
{
    vbg_feature_set set;
    vbg_status st = vbg_embed_folder(&set, e, dir, err);

    if (st != VBG_OK)
        return st;
    *out = (rows){ set.x, set.rows, vbg_embedder_width(e) };
    set.x = NULL;
    vbg_feature_set_free(&set);
    return VBG_OK;
}

/* Features of a folder (by what sees pictures, opened on first use) or file. */
static vbg_status features(rows *out, vbg_embedder **e, const vbg_values *v,
                           const char *path, vbg_err *err)
{
    struct stat info;
    vbg_status st = VBG_OK;

    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return from_file(out, path, err);
    if (!*e)
        st = vbg_embedder_open(e, v, err);
    return st == VBG_OK ? from_folder(out, *e, path, err) : st;
}

static vbg_status save(const rows *x, const char *path, vbg_err *err)
{
    vbg_st_out t = { .name = "features",
                     .dtype = VBG_F32,
                     .rank = 2,
                     .dim = { (int64_t)x->n, (int64_t)x->d },
                     .data = x->x };

    return vbg_st_write(path, &t, 1, NULL, err);
}

vbg_status vbg_eval_fid(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    rows a = { 0 }, b = { 0 };
    vbg_embedder *e = NULL;
    double fid = 0;
    vbg_status st = features(&a, &e, v, vbg_positional(v, 1), err);

    if (st == VBG_OK)
        st = features(&b, &e, v, vbg_positional(v, 2), err);
    if (st == VBG_OK && a.d != b.d)
        st = vbg_fail(err, VBG_EUSAGE, "features of %zu and of %zu values", a.d, b.d);
    if (st == VBG_OK)
        st = vbg_frechet_distance(&fid, a.x, a.n, b.x, b.n, a.d, err);
    if (st == VBG_OK && vbg_value(v, "save-features"))
        st = save(&a, vbg_value(v, "save-features"), err);
    if (st == VBG_OK) {
        vbg_report_int(r, "rows of A", (int64_t)a.n);
        vbg_report_int(r, "rows of B", (int64_t)b.n);
        vbg_report_int(r, "features", (int64_t)a.d);
        vbg_report_text(r, "features by", e ? vbg_embedder_file(e) : "files");
        vbg_report_real(r, "FID", fid, 3);
        if (a.n <= a.d || b.n <= b.d)
            vbg_warning("fewer samples than features: the distance is biased upwards");
    }
    vbg_embedder_close(e);
    free(a.x);
    free(b.x);
    return st;
}

vbg_status vbg_eval_is(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    rows a = { 0 };
    double mean = 0, deviation = 0;
    vbg_status st = from_file(&a, vbg_positional(v, 1), err);

    if (st == VBG_OK)
        st = vbg_inception_score(&mean, &deviation, a.x, a.n, a.d,
                                 (int)vbg_value_int(v, "splits"), err);
    if (st == VBG_OK) {
        vbg_report_int(r, "samples", (int64_t)a.n);
        vbg_report_int(r, "classes", (int64_t)a.d);
        vbg_report_real(r, "inception score", mean, 3);
        vbg_report_real(r, "deviation over splits", deviation, 3);
    }
    free(a.x);
    return st;
}

/* ---- pictures against their texts ---- */

enum { TEXT_MAX = 1 << 16 };

/* The first line of DIR/x.txt beside DIR/x.jpg; false: none. */
static bool read_text(char *text, size_t size, const char *dir, const char *name)
{
    char path[4400];

    snprintf(path, sizeof path, "%.4000s/%.*s.txt", dir, (int)(strrchr(name, '.') - name),
             name);
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(text, (int)size, f);
    if (f)
        fclose(f);
    if (ok)
        text[strcspn(text, "\r\n")] = 0;
    return ok;
}

static vbg_status embed_file(vbg_towers *t, const char *path, float *out, vbg_err *err)
{
    vbg_picture p = { 0 };
    vbg_status st = vbg_picture_load(&p, NULL, path, 3, err);

    if (st == VBG_OK)
        st = vbg_towers_picture(t, &p, out, err);
    vbg_picture_free(&p);
    return st;
}

static vbg_status score_folder(vbg_towers *t, const char *dir, vbg_report *r,
                               vbg_err *err)
{
    vbg_names names;
    const size_t d = vbg_towers_width(t);
    double sum = 0;
    int64_t count = 0;
    char *text = malloc(TEXT_MAX);
    float *e = malloc(2 * d * sizeof *e);
    vbg_status st = vbg_names_list(&names, dir, vbg_is_picture_name, err);

    if (st == VBG_OK && (!text || !e))
        st = vbg_fail(err, VBG_ENOMEM, "not enough memory");
    for (size_t i = 0; i < names.count && st == VBG_OK; i++) {
        char path[4400];
        if (!read_text(text, TEXT_MAX, dir, names.name[i]))
            continue;
        snprintf(path, sizeof path, "%.4000s/%s", dir, names.name[i]);
        st = embed_file(t, path, e, err);
        if (st == VBG_OK)
            st = vbg_towers_text(t, text, e + d, err);
        if (st == VBG_OK) {
            double score = vbg_clip_score(e, e + d, d);
            vbg_report_sample(r, names.name[i], score);
            sum += score;
            count++;
        }
        if (st == VBG_OK && vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
    }
    if (st == VBG_OK && count == 0)
        st = vbg_fail(err, VBG_EUSAGE, "%s: no picture with a text (x.jpg, x.txt)", dir);
    if (st == VBG_OK) {
        vbg_report_int(r, "pictures", count);
        vbg_report_real(r, "CLIP score", sum / (double)count, 3);
    }
    vbg_names_free(&names);
    free(text);
    free(e);
    return st;
}

vbg_status vbg_eval_clip(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    const bool f32 = strcmp(vbg_value(v, "precision"), "f32") == 0;
    const vbg_ctx_opt opt = vbg_value_ctx(v, f32 ? VBG_F32 : VBG_BF16);
    vbg_towers *t = NULL;

    if (!vbg_value(v, "model"))
        return vbg_fail(err, VBG_EUSAGE, "no two-tower model: give --model FILE.vbg");
    vbg_status st = vbg_towers_open(&t, vbg_value(v, "model"), &opt, err);
    if (st == VBG_OK)
        st = score_folder(t, vbg_positional(v, 1), r, err);
    vbg_towers_close(t);
    return st;
}
