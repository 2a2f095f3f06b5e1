/* Rows of features; see tools/eval/embed.h. */
#include "tools/eval/embed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/picture_io.h"
#include "models/judge.h"
#include "tools/eval/towers.h"

struct vbg_embedder {
    vbg_towers *towers; /* or */
    vbg_judge *judge;
    const char *file;
};

vbg_status vbg_embedder_open(vbg_embedder **out, const vbg_values *v, vbg_err *err)
{
    const bool f32 = strcmp(vbg_value(v, "precision"), "f32") == 0;
    const vbg_ctx_opt opt = vbg_value_ctx(v, f32 ? VBG_F32 : VBG_BF16);
    const char *judge = vbg_value(v, "judge"), *model = vbg_value(v, "model");
    vbg_embedder *e;
    vbg_status st;

    if (!judge && !model)
        return vbg_fail(err, VBG_EUSAGE,
                        "nothing to see pictures with: give --judge FILE.vbg or --model "
                        "FILE.vbg, or feature files");
    e = calloc(1, sizeof *e);
    if (!e)
        return vbg_fail(err, VBG_ENOMEM, "not enough memory");
    e->file = judge ? judge : model;
    st = judge ? vbg_judge_open(&e->judge, judge, &opt, err)
               : vbg_towers_open(&e->towers, model, &opt, err);
    if (st == VBG_OK)
        *out = e;
    else
        vbg_embedder_close(e);
    return st;
}

void vbg_embedder_close(vbg_embedder *e)
{
    if (!e)
        return;
    vbg_judge_close(e->judge);
    vbg_towers_close(e->towers);
    free(e);
}

size_t vbg_embedder_width(const vbg_embedder *e)
{
    return e->judge ? VBG_JUDGE_FEATURES : vbg_towers_width(e->towers);
}

const char *vbg_embedder_file(const vbg_embedder *e)
{
    return e->file;
}

static vbg_status by_judge(vbg_judge *j, const char *path, float *out, int *rows,
                           vbg_err *err)
{
    const vbg_look look = { vbg_judge_side(j), VBG_ROOM_VIEWS, 0 };
    vbg_picture view[VBG_ROOM_VIEWS];
    vbg_status st = vbg_room_load(view, rows, path, look, err);

    for (int i = 0; st == VBG_OK && i < *rows; i++) {
        vbg_judge_view seen = { 0 };
        st = vbg_judge_see(j, &view[i], &seen, err);
        if (st == VBG_OK)
            memcpy(out + (size_t)i * VBG_JUDGE_FEATURES, seen.feature,
                   VBG_JUDGE_FEATURES * sizeof *out);
        vbg_judge_view_free(&seen);
    }
    vbg_room_views_free(view);
    return st;
}

vbg_status vbg_embed_picture(vbg_embedder *e, const char *path, float *out, int *rows,
                             vbg_err *err)
{
    vbg_picture p = { 0 };

    if (e->judge)
        return by_judge(e->judge, path, out, rows, err);
    *rows = 1;
    vbg_status st = vbg_picture_load(&p, NULL, path, 3, err);
    if (st == VBG_OK)
        st = vbg_towers_picture(e->towers, &p, out, err);
    vbg_picture_free(&p);
    return st;
}

void vbg_feature_set_free(vbg_feature_set *s)
{
    vbg_names_free(&s->names);
    free(s->x);
    free(s->first);
    *s = (vbg_feature_set){ 0 };
}

/* Rows for all names: as many as there can be, given back after. */
static vbg_status make_room(vbg_feature_set *s, const vbg_embedder *e, const char *dir,
                            vbg_err *err)
{
    if (s->names.count == 0)
        return vbg_fail(err, VBG_EUSAGE, "%s: no pictures", dir);
    s->x = malloc(s->names.count * VBG_ROOM_VIEWS * vbg_embedder_width(e) * sizeof *s->x);
    s->first = calloc(s->names.count + 1, sizeof *s->first);
    return s->x && s->first ? VBG_OK
                            : vbg_fail(err, VBG_ENOMEM, "not enough memory for features");
}

vbg_status vbg_embed_folder(vbg_feature_set *out, vbg_embedder *e, const char *dir,
                            vbg_err *err)
{
    vbg_progress bar;

    *out = (vbg_feature_set){ 0 };
    vbg_status st = vbg_names_rooms(&out->names, dir, e->judge != NULL, err);
    if (st == VBG_OK)
        st = make_room(out, e, dir, err);
    vbg_progress_start(&bar, "features", (long)out->names.count);
    for (size_t i = 0; i < out->names.count && st == VBG_OK; i++) {
        char path[4400];
        int rows = 0;
        snprintf(path, sizeof path, "%.4000s/%s", dir, out->names.name[i]);
        st = vbg_embed_picture(e, path, out->x + out->rows * vbg_embedder_width(e), &rows,
                               err);
        out->rows += (size_t)rows;
        out->first[i + 1] = out->rows;
        vbg_progress_step(&bar, (long)i + 1);
        if (st == VBG_OK && vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
    }
    vbg_progress_end(&bar);
    if (st != VBG_OK)
        vbg_feature_set_free(out);
    return st;
}
