/* Whether rooms show what their sentences say: the named colour of a surface, the kind of
 * scene, the main thing, each as a judge sees it (tools/judge/verdict.h).
 *
 *     PROMPTS.json   {"prompts": [{"name", "prompt", "kind", "region", "colour",
 *                    "object"}, ...]}, as vbg-train rooms --prompts writes it
 *
 * The rooms are those of --pictures (NAME.png or .jpg, or NAME/0.png ...); those missing
 * there are made with --model, and kept there.  --truth measures the judge itself on
 * renders with facts: below 0.97, 0.95 and 0.90 it judges nothing. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/io.h"
#include "engine/picture_io.h"
#include "models/generate.h"
#include "tools/eval/commands.h"
#include "tools/judge/verdict.h"
#include "tools/judge/views.h"

/* Shares asked for: of generated rooms, and of the judge on true renders. */
static const char *const what[3] = { "colours", "kinds", "things" };
static const char *const bars[3] = { "0.75 / 0.90", "0.75 / 0.90", "0.50 / 0.70" };
static const double judge_bars[3] = { 0.97, 0.95, 0.90 };

typedef struct asked {
    const char *name, *prompt;
    int kind, region, colour, object; /* numbers of the judge, the region, the palette */
} asked;

typedef struct study {
    const vbg_values *v;
    vbg_judge *judge;
    vbg_judge_names names;
    vbg_generator *generator; /* opened on first use */
    json_t *file;
    long right[3], rooms;
} study;

/* ---- the prompts ---- */

/* One entry; false: something is missing or unknown, *why says what. */
static bool read_entry(const study *s, asked *a, const json_t *o, const char **why)
{
    static const char *const keys[] = { "name",   "prompt", "kind",
                                        "region", "colour", "object" };
    const char *text[6];

    for (int i = 0; i < 6; i++) {
        text[i] = json_string_value(json_object_get(o, keys[i]));
        *why = keys[i];
        if (!text[i])
            return false;
    }
    *a = (asked){ .name = text[0],
                  .prompt = text[1],
                  .kind = vbg_judge_find_kind(&s->names, text[2]),
                  .region = vbg_region_find(text[3]),
                  .colour = vbg_colour_find(text[4]),
                  .object = vbg_judge_find_label(&s->names, text[5]) };
    const int number[4] = { a->kind, a->region, a->colour, a->object };
    for (int i = 0; i < 4; i++)
        if (number[i] < 0) {
            *why = text[2 + i];
            return false;
        }
    *why = text[0]; /* becomes a file's name */
    return vbg_name_ok(text[0], strlen(text[0]), 100) && !strchr(text[0], '/');
}

static vbg_status open_prompts(study *s, const char *path, const json_t **list,
                               vbg_err *err)
{
    vbg_map m;
    vbg_status st = vbg_map_open(&m, path, 1 << 24, err);

    if (st != VBG_OK)
        return st;
    s->file = json_loadb(m.data ? (const char *)m.data : "", m.bytes, 0, NULL);
    vbg_map_close(&m);
    *list = json_object_get(s->file, "prompts");
    if (!json_is_array(*list) || json_array_size(*list) == 0)
        return vbg_fail(err, VBG_EFORMAT,
                        "%s: no list of prompts (vbg-train rooms --prompts writes one)",
                        path);
    return VBG_OK;
}

/* ---- the rooms ---- */

/* NAME with whatever ending is there; false: nothing. */
static bool find_room(char *path, size_t size, const char *dir, const char *name)
{
    static const char *const ending[] = { "/0.png", "/0.jpg", ".png", ".jpg", ".webp" };

    for (int i = 0; i < 5; i++) {
        snprintf(path, size, "%.4000s/%s%s", dir, name, ending[i]);
        if (access(path, F_OK) != 0)
            continue;
        if (i < 2)
            path[strlen(path) - strlen(ending[i])] = 0; /* the folder */
        return true;
    }
    return false;
}

static int on_progress(void *arg, vbg_gen_stage stage, int done, int total,
                       double seconds)
{
    (void)arg, (void)stage, (void)done, (void)total, (void)seconds;
    return vbg_stop_signal();
}

static vbg_status generate(study *s, const asked *a, vbg_picture *view, int *count,
                           vbg_err *err)
{
    const vbg_values *v = s->v;
    const bool f32 = strcmp(vbg_value(v, "precision"), "f32") == 0;
    const vbg_ctx_opt opt = vbg_value_ctx(v, f32 ? VBG_F32 : VBG_BF16);
    const vbg_gen_hooks hooks = { .progress = on_progress };
    vbg_gen_request r = vbg_gen_request_default();
    vbg_generator_info info;
    vbg_status st = VBG_OK;

    if (!s->generator)
        st = vbg_generator_open(&s->generator, vbg_value(v, "model"), &opt, err);
    if (st != VBG_OK)
        return st;
    vbg_generator_get_info(s->generator, &info);
    r.flat = !info.has_caa;
    r.views = *count = (int)vbg_value_int(v, "views");
    r.prompt = &a->prompt;
    r.prompts = 1;
    r.seed = vbg_value_seed(v, "seed");
    r.steps = (int)vbg_value_int(v, "steps");
    if (vbg_value_given(v, "guidance"))
        r.guidance = vbg_value_real(v, "guidance");
    return vbg_generate(s->generator, &r, &hooks, view, err);
}

/* The finished room as DIR/NAME/0.png ...: the first view last, for it says that the
 * others are there. */
static vbg_status keep(const char *dir, const char *name, const vbg_picture *view,
                       int count, vbg_err *err)
{
    char path[4400];
    vbg_status st = VBG_OK;

    snprintf(path, sizeof path, "%.4000s/%s", dir, name);
    if ((mkdir(dir, 0777) != 0 && errno != EEXIST) ||
        (mkdir(path, 0777) != 0 && errno != EEXIST))
        return vbg_fail(err, VBG_EIO, "%s: %s", path, strerror(errno));
    for (int i = count - 1; i >= 0 && st == VBG_OK; i--) {
        snprintf(path, sizeof path, "%.4000s/%s/%d.png", dir, name, i);
        st = vbg_picture_save(path, &view[i], NULL, 90, err);
    }
    return st;
}

static vbg_status see(const study *s, const vbg_picture *view, int count,
                      vbg_verdict *verdict, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (int i = 0; i < count && st == VBG_OK; i++) {
        vbg_judge_view seen = { 0 };
        st = vbg_judge_see(s->judge, &view[i], &seen, err);
        if (st == VBG_OK)
            vbg_verdict_add(verdict, &s->names, &seen);
        vbg_judge_view_free(&seen);
    }
    return st;
}

static vbg_status see_file(const study *s, const char *path, vbg_verdict *verdict,
                           vbg_err *err)
{
    const vbg_look look = { vbg_judge_side(s->judge), VBG_ROOM_VIEWS, 0 };
    vbg_picture view[VBG_ROOM_VIEWS];
    int count = 0;
    vbg_status st = vbg_room_load(view, &count, path, look, err);

    if (st == VBG_OK)
        st = see(s, view, count, verdict, err);
    vbg_room_views_free(view);
    return st;
}

/* The room of one prompt, found or made. */
static vbg_status room(study *s, const asked *a, vbg_verdict *verdict, vbg_err *err)
{
    const char *dir = vbg_value(s->v, "pictures");
    vbg_picture view[VBG_GEN_MAX_VIEWS] = { { 0 } };
    char path[4400];
    int count = 0;

    if (dir && find_room(path, sizeof path, dir, a->name))
        return see_file(s, path, verdict, err);
    if (!vbg_value(s->v, "model"))
        return vbg_fail(err, VBG_EIO,
                        "%s/%s.png: not there, and no --model to make it with", dir,
                        a->name);
    vbg_status st = generate(s, a, view, &count, err);
    if (st == VBG_OK && dir)
        st = keep(dir, a->name, view, count, err);
    if (st == VBG_OK)
        st = see(s, view, count, verdict, err);
    for (int i = 0; i < VBG_GEN_MAX_VIEWS; i++)
        vbg_picture_free(&view[i]);
    return st;
}

/* ---- counting ---- */

static void count_room(study *s, const asked *a, const vbg_verdict *verdict,
                       vbg_report *r)
{
    const int colour = vbg_verdict_colour(verdict, a->region);
    const int kind = vbg_verdict_kind(verdict, &s->names);
    const bool is[3] = { colour == a->colour, kind == a->kind,
                         vbg_verdict_has(verdict, a->object) };

    for (int i = 0; i < 3; i++)
        s->right[i] += is[i];
    s->rooms++;
    vbg_report_sample(r, a->name, is[0] + is[1] + is[2]);
    if (!is[0] || !is[1] || !is[2])
        vbg_detail("%s: %s %s, kind %s, %s %s (%s)", a->name, vbg_region_name(a->region),
                   colour < 0 ? "not seen" : vbg_colour_word(colour), s->names.kind[kind],
                   is[2] ? "a" : "no", s->names.label[a->object], a->prompt);
}

static vbg_status over_prompts(study *s, const char *path, vbg_report *r, vbg_err *err)
{
    const long most = vbg_value_int(s->v, "count");
    const json_t *list = NULL;
    vbg_progress bar;
    vbg_status st = open_prompts(s, path, &list, err);

    if (st != VBG_OK)
        return st;
    const long n = (long)json_array_size(list) < most || most == 0
                       ? (long)json_array_size(list)
                       : most;
    vbg_progress_start(&bar, "rooms", n);
    for (long i = 0; i < n && st == VBG_OK; i++) {
        vbg_verdict verdict = { .views = 0 };
        const char *why = "";
        asked a;
        if (!read_entry(s, &a, json_array_get(list, (size_t)i), &why))
            st = vbg_fail(err, VBG_EFORMAT,
                          "%s: prompt %ld: '%s' is missing or unknown to the judge", path,
                          i + 1, why);
        if (st == VBG_OK)
            st = room(s, &a, &verdict, err);
        if (st == VBG_OK)
            count_room(s, &a, &verdict, r);
        vbg_progress_step(&bar, i + 1);
        if (st == VBG_OK && vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
    }
    vbg_progress_end(&bar);
    if (st != VBG_OK)
        return st;
    vbg_report_int(r, "rooms", s->rooms);
    for (int i = 0; i < 3; i++) {
        char name[64];
        vbg_report_real(r, what[i], (double)s->right[i] / (double)s->rooms, 3);
        snprintf(name, sizeof name, "%s, floor / goal", what[i]);
        vbg_report_text(r, name, bars[i]);
    }
    return VBG_OK;
}

/* ---- the judge itself ---- */

/* Facts of the panorama DIR/NAME. */
static vbg_status facts_of(vbg_facts *f, const char *dir, const char *name, vbg_err *err)
{
    char path[4400];

    snprintf(path, sizeof path, "%.4000s/%.*s.json", dir,
             (int)(strrchr(name, '.') - name), name);
    return vbg_facts_read(f, path, err);
}

/* Labels that are the main thing of some render. */
static vbg_status find_mains(const study *s, const char *dir, const vbg_names *names,
                             int *label, int *count, vbg_err *err)
{
    bool is[VBG_JUDGE_MAX_NAMES] = { false };
    vbg_status st = VBG_OK;

    for (size_t i = 0; i < names->count && st == VBG_OK; i++) {
        vbg_facts f;
        st = facts_of(&f, dir, names->name[i], err);
        const int k = st == VBG_OK ? vbg_judge_find_label(&s->names, f.main) : -1;
        if (k >= 0)
            is[k] = true;
    }
    *count = 0;
    for (int i = 0; i < s->names.labels; i++)
        if (is[i])
            label[(*count)++] = i;
    return st;
}

static void report_judge(const vbg_score *s, vbg_report *r)
{
    const double share[3] = { vbg_score_colour(s), vbg_score_kind(s),
                              vbg_score_things(s) };
    bool good = true;

    vbg_report_int(r, "renders", s->kinds);
    vbg_report_int(r, "surfaces with a named colour", s->colours);
    for (int i = 0; i < 3; i++) {
        char name[64];
        vbg_report_real(r, what[i], share[i], 3);
        snprintf(name, sizeof name, "%s, bar", what[i]);
        vbg_report_real(r, name, judge_bars[i], 2);
        good = good && share[i] >= judge_bars[i];
    }
    vbg_report_real(r, "main things found", (double)s->found / (double)s->mains, 3);
    vbg_report_real(r, "absent things refused", (double)s->refused / (double)s->absences,
                    3);
    vbg_report_text(r, "fit to judge", good ? "yes" : "no");
}

/* What the judge says wrongly of one render. */
static void tell_mistakes(const study *s, const char *name, const vbg_facts *f,
                          const vbg_verdict *v, const vbg_score *one)
{
    const int kind = vbg_verdict_kind(v, &s->names);

    for (int r = 0; r < VBG_REGIONS; r++) {
        const int seen = vbg_verdict_colour(v, r);
        if (f->colour[r] >= 0 && seen != f->colour[r])
            vbg_detail("%s: the %s %s of a %s is taken for %s", name,
                       vbg_colour_word(f->colour[r]), vbg_region_name(r), f->kind,
                       seen < 0 ? "absent" : vbg_colour_word(seen));
    }
    if (one->kind < one->kinds)
        vbg_detail("%s: a %s is taken for a %s", name, f->kind, s->names.kind[kind]);
    if (one->found < one->mains)
        vbg_detail("%s: the %s (%.2f %%) is not seen", name, f->main,
                   100 * vbg_facts_share(f, f->main));
}

static vbg_status over_truth(study *s, const char *dir, vbg_report *r, vbg_err *err)
{
    const long most = vbg_value_int(s->v, "count");
    int mains[VBG_JUDGE_MAX_NAMES], n_mains = 0;
    vbg_names names;
    vbg_score score = { 0 };
    vbg_progress bar;
    vbg_status st = vbg_names_list(&names, dir, vbg_is_picture_name, err);

    if (st == VBG_OK && names.count == 0)
        st = vbg_fail(err, VBG_EUSAGE, "%s: no pictures", dir);
    if (st == VBG_OK)
        st = find_mains(s, dir, &names, mains, &n_mains, err);
    const long n = most > 0 && (long)names.count > most ? most : (long)names.count;
    vbg_progress_start(&bar, "renders", n);
    for (long i = 0; i < n && st == VBG_OK; i++) {
        vbg_verdict verdict = { .views = 0 };
        vbg_score one = { 0 };
        vbg_facts f;
        char path[4400];
        snprintf(path, sizeof path, "%.4000s/%s", dir, names.name[i]);
        st = facts_of(&f, dir, names.name[i], err);
        if (st == VBG_OK)
            st = see_file(s, path, &verdict, err);
        if (st != VBG_OK)
            break;
        vbg_score_add(&score, &verdict, &s->names, &f, mains, n_mains);
        vbg_score_add(&one, &verdict, &s->names, &f, mains, n_mains);
        vbg_report_sample(r, names.name[i],
                          (double)(one.colours - one.colour + one.kinds - one.kind +
                                   one.mains - one.found + one.absences - one.refused));
        tell_mistakes(s, names.name[i], &f, &verdict, &one);
        vbg_progress_step(&bar, i + 1);
        if (vbg_stop_signal())
            st = vbg_fail(err, VBG_ECANCEL, "stopped");
    }
    vbg_progress_end(&bar);
    vbg_names_free(&names);
    if (st == VBG_OK)
        report_judge(&score, r);
    return st;
}

vbg_status vbg_eval_adherence(const vbg_values *v, vbg_report *r, vbg_err *err)
{
    const bool f32 = strcmp(vbg_value(v, "precision"), "f32") == 0;
    const vbg_ctx_opt opt = vbg_value_ctx(v, f32 ? VBG_F32 : VBG_BF16);
    const char *truth = vbg_value(v, "truth");
    study s = { .v = v };

    if (!vbg_value(v, "judge"))
        return vbg_fail(err, VBG_EUSAGE, "no judge: give --judge FILE.vbg");
    if (!truth && vbg_positionals(v) < 2)
        return vbg_fail(err, VBG_EUSAGE,
                        "want: vbg-eval adherence PROMPTS.json, or --truth DIR");
    if (!truth && !vbg_value(v, "model") && !vbg_value(v, "pictures"))
        return vbg_fail(err, VBG_EUSAGE,
                        "no rooms: give --model FILE.vbg or --pictures DIR, or both");
    vbg_status st = vbg_judge_open(&s.judge, vbg_value(v, "judge"), &opt, err);
    if (st == VBG_OK)
        vbg_judge_names_of(&s.names, s.judge);
    if (st == VBG_OK)
        st = truth ? over_truth(&s, truth, r, err)
                   : over_prompts(&s, vbg_positional(v, 1), r, err);
    vbg_generator_close(s.generator);
    vbg_judge_close(s.judge);
    json_decref(s.file);
    return st;
}
