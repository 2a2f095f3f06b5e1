/* The judge: what it says of views, how verdicts and scores come about, its training on
 * made-up rooms, and what vbg-eval makes of it. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>

#include "models/judge.h"
#include "models/metrics.h"
#include "tests/judge_rooms.h"
#include "tests/json_answer.h"
#include "tests/program.h"
#include "tests/texts.h"
#include "tools/judge/facts.h"
#include "tools/judge/verdict.h"
#include "tools/judge/views.h"

/* ---- verdicts ---- */

enum { CELLS = 4, SIDE = CELLS * VBG_JUDGE_CELL };
enum { OTHER, WALL, FLOOR, SOFA, LABELS };

static const vbg_judge_names names = { .label = { "thing", "wall", "ground", "sofa" },
                                       .kind = { "kitchen", "office" },
                                       .labels = LABELS,
                                       .kinds = 2 };

/* A view whose upper half is wall of one level of grey, the lower half red floor. */
static vbg_judge_view made_view(int level, float sofa)
{
    vbg_judge_view v = { .side = SIDE, .cells = CELLS };

    cr_assert_eq(vbg_picture_new(&v.rgb, SIDE, SIDE, 3, NULL), VBG_OK);
    v.label = vbg_alloc(CELLS * CELLS * LABELS * sizeof(float));
    v.kind = vbg_alloc(2 * sizeof(float));
    v.feature = vbg_alloc(VBG_JUDGE_FEATURES * sizeof(float));
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            uint8_t *p = v.rgb.data + (size_t)y * v.rgb.stride + (size_t)(3 * x);
            const bool up = y < SIDE / 2;
            p[0] = (uint8_t)(up ? level : 184);
            p[1] = (uint8_t)(up ? level : 39);
            p[2] = (uint8_t)(up ? level : 44);
        }
    for (int i = 0; i < CELLS * CELLS; i++) {
        float *p = v.label + i * LABELS;
        p[i < CELLS * CELLS / 2 ? WALL : FLOOR] = 1 - sofa;
        p[SOFA] = sofa;
    }
    v.kind[0] = logf(0.3f);
    v.kind[1] = logf(0.7f);
    return v;
}

static vbg_verdict verdict_of(int level, float sofa)
{
    vbg_judge_view view = made_view(level, sofa);
    vbg_verdict v = { .views = 0 };

    vbg_verdict_add(&v, &names, &view);
    vbg_judge_view_free(&view);
    return v;
}

Test(verdict, surfaces_have_the_colours_of_their_places)
{
    vbg_verdict v = verdict_of(130, 0);

    cr_expect_eq(vbg_verdict_colour(&v, VBG_REGION_FLOOR), vbg_colour_find("red"));
    cr_expect_eq(vbg_verdict_colour(&v, VBG_REGION_WALL), vbg_colour_find("grey"));
    cr_expect_eq(vbg_verdict_colour(&v, VBG_REGION_SKY), -1, "there is no sky");
    cr_expect_eq(vbg_verdict_kind(&v, &names), 1);
    cr_expect_not(vbg_verdict_has(&v, SOFA));
}

Test(verdict, mean_luminance_is_divided_out)
{
    /* linear .24 in the whole room is what colours are named at */
    vbg_verdict v = { .light[VBG_REGION_WALL] = { .06, .06, .06 },
                      .weight[VBG_REGION_WALL] = 1,
                      .luminance = .24,
                      .total = 1 };

    cr_expect_eq(vbg_verdict_colour(&v, VBG_REGION_WALL), vbg_colour_find("black"));
    v.luminance = .12; /* a dim room: the same wall is brighter than it looks */
    cr_expect_eq(vbg_verdict_colour(&v, VBG_REGION_WALL), vbg_colour_find("grey"));
}

Test(verdict, a_thing_counts_from_its_share_of_one_view)
{
    vbg_verdict v = verdict_of(130, 0.004f);

    cr_expect_not(vbg_verdict_has(&v, SOFA));
    vbg_judge_view more = made_view(130, 0.006f);
    vbg_verdict_add(&v, &names, &more);
    cr_expect(vbg_verdict_has(&v, SOFA), "%g", v.share[SOFA]);
    cr_expect_eq(v.views, 2);
    vbg_judge_view_free(&more);
}

Test(verdict, scores_count_what_was_asked)
{
    const int mains[2] = { SOFA, OTHER };
    vbg_verdict v = verdict_of(130, 0.2f);
    vbg_score s = { 0 };
    vbg_facts f = { .kind = "office",
                    .colour = { -1, vbg_colour_find("red"), -1, vbg_colour_find("blue") },
                    .main = "sofa" };

    vbg_score_add(&s, &v, &names, &f, mains, 2);
    /* the floor is right, the sky is not there; the sofa is found, "thing" refused */
    cr_expect_eq(vbg_score_colour(&s), 0.5);
    cr_expect_eq(vbg_score_kind(&s), 1);
    cr_expect_eq(vbg_score_things(&s), 1);
    snprintf(f.kind, sizeof f.kind, "kitchen");
    f.main[0] = 0;
    vbg_score_add(&s, &v, &names, &f, mains, 2);
    cr_expect_eq(vbg_score_kind(&s), 0.5);
    /* a sofa is said to be there that is not: one of three refused wrongly */
    cr_expect_float_eq(vbg_score_things(&s), (1 + 2 / 3.0) / 2, 1e-12);
    s = (vbg_score){ 0 };
    cr_expect(isnan(vbg_score_colour(&s)));
}

/* ---- facts and views ---- */

Test(facts, are_read_and_refused, .fini = remove_scratch)
{
    vbg_facts f;
    vbg_err err = { "" };
    const char *path = in_scratch("a.json");

    scratch_dir();
    write_facts(path, 1);
    cr_assert_eq(vbg_facts_read(&f, path, &err), VBG_OK, "%s", err.text);
    cr_expect_str_eq(f.kind, "office");
    cr_expect_str_eq(f.main, "desk");
    cr_expect_eq(f.colour[VBG_REGION_WALL], vbg_colour_find("blue"));
    cr_expect_eq(f.colour[VBG_REGION_CEILING], -1);
    /* two desks of one view count together */
    cr_expect_float_eq(vbg_facts_share(&f, "desk"), 0.15, 1e-9);
    cr_expect_eq(vbg_facts_share(&f, "sofa"), 0);
    FILE *file = fopen(path, "w");
    fputs("{\"kind\":3}", file);
    fclose(file);
    cr_expect_eq(vbg_facts_read(&f, path, &err), VBG_EFORMAT);
    cr_expect_eq(vbg_facts_read(&f, in_scratch("none"), NULL), VBG_EIO);
}

Test(views, panoramas_are_cut_and_squares_are_taken_whole)
{
    vbg_picture pano, square, view[VBG_ROOM_VIEWS];
    vbg_err err = { "" };
    int made;

    cr_assert_eq(vbg_picture_new(&pano, 256, 128, 3, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_new(&square, 96, 96, 3, NULL), VBG_OK);
    for (int y = 0; y < 128; y++) /* longitude in red */
        for (int x = 0; x < 256; x++)
            pano.data[(size_t)y * pano.stride + (size_t)(3 * x)] = (uint8_t)x;
    cr_assert_eq(vbg_room_views(view, &made, &pano, (vbg_look){ 64, 4, 0 }, "p", &err),
                 VBG_OK);
    cr_expect_eq(made, 4);
    /* ahead is the middle column, 128; each quarter turn 64 columns */
    cr_expect_leq(abs(view[0].data[32 * view[0].stride + 3 * 32] - 128), 2);
    cr_expect_leq(abs(view[1].data[32 * view[1].stride + 3 * 32] - 192), 2);
    vbg_room_views_free(view);
    cr_assert_eq(vbg_room_views(view, &made, &square, (vbg_look){ 64, 8, 0 }, "s", &err),
                 VBG_OK);
    cr_expect_eq(made, 1);
    cr_expect_eq(view[0].w, 64);
    vbg_room_views_free(view);
    vbg_picture_free(&square);
    cr_assert_eq(vbg_picture_new(&square, 96, 64, 3, NULL), VBG_OK);
    cr_expect_eq(vbg_room_views(view, &made, &square, (vbg_look){ 64, 8, 0 }, "s", &err),
                 VBG_EUSAGE);
    vbg_picture_free(&square);
    vbg_picture_free(&pano);
}

Test(variety, pairs_of_a_triangle)
{
    /* three items of two rows: corners of a 3-4-5 triangle, twice */
    const float x[6][2] = { { 0, 0 }, { 1, 1 }, { 3, 0 }, { 4, 1 }, { 0, 4 }, { 1, 5 } };
    const size_t first[4] = { 0, 2, 4, 6 };

    cr_expect_float_eq(vbg_pair_distance(&x[0][0], first, 3, 2), (3 + 4 + 5) / 3.0, 1e-9);
    cr_expect_eq(vbg_pair_distance(&x[0][0], (const size_t[]){ 0, 1, 1 + 1 }, 2, 2),
                 sqrt(2));
}

/* ---- training and judging ---- */

static const char prompts[] =
    "{\"prompts\":["
    "{\"name\":\"000\",\"prompt\":\"a kitchen with red walls\",\"kind\":\"kitchen\","
    "\"region\":\"wall\",\"colour\":\"red\",\"object\":\"sofa\"},"
    "{\"name\":\"001\",\"prompt\":\"an office with a green floor\",\"kind\":\"kitchen\","
    "\"region\":\"floor\",\"colour\":\"green\",\"object\":\"sofa\"}]}";

/* One training serves all of these: it is what takes time. */
static void check_training(const char *data, const char *out, const char *model)
{
    said s = RUN("vbg-train", "judge", "--data", data, "--out", out, "--side", "64",
                 "--steps", "160", "-b", "8", "--val-rooms", "2", "--lr", "0.004", "-q",
                 "--threads", "2");
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = RUN("vbg-train", "judge", "--data", data, "--out", out, "--side", "64", "--steps",
            "161", "-b", "8", "--val-rooms", "2", "--lr", "0.004", "-q", "--threads", "1",
            "--resume");
    cr_expect_eq(s.code, 0, "%s", s.err);
    cr_expect_eq(access(model, R_OK), 0);
}

static void check_truth(const char *data, const char *model)
{
    json_t *j =
        answer(RUN("vbg-eval", "adherence", "--judge", model, "--truth", data, "--json"));

    cr_expect_eq(number(j, "renders"), 8);
    cr_expect_eq(number(j, "surfaces with a named colour"), 16);
    cr_expect_geq(number(j, "colours"), 0.97);
    cr_expect_geq(number(j, "kinds"), 0.95);
    cr_expect_geq(number(j, "things"), 0.9);
    cr_expect_str_eq(json_string_value(json_object_get(j, "fit to judge")), "yes");
    json_decref(j);
}

static void check_prompts(const char *data, const char *model)
{
    const char *path = in_scratch("prompts.json");

    write_text(path, prompts);
    json_t *j = answer(RUN("vbg-eval", "adherence", "--judge", model, "--pictures", data,
                           "--json", path));
    /* the second asks an office for a kitchen with a sofa */
    cr_expect_eq(number(j, "rooms"), 2);
    cr_expect_eq(number(j, "colours"), 1);
    cr_expect_eq(number(j, "kinds"), 0.5);
    cr_expect_eq(number(j, "things"), 0.5);
    json_decref(j);
    j = answer(RUN("vbg-eval", "adherence", "--judge", model, "--pictures", data, "-n",
                   "1", "--json", path));
    cr_expect_eq(number(j, "kinds"), 1);
    json_decref(j);
    said s = RUN("vbg-eval", "adherence", "--judge", model, "--pictures",
                 in_scratch("none"), path);
    cr_expect_eq(s.code, 1);
    cr_expect(strstr(s.err, "--model"), "%s", s.err);
    write_text(path, "{\"prompts\":[{\"name\":\"000\",\"prompt\":\"x\",\"kind\":\"moon\","
                     "\"region\":\"wall\",\"colour\":\"red\",\"object\":\"sofa\"}]}");
    s = RUN("vbg-eval", "adherence", "--judge", model, "--pictures", data, path);
    cr_expect_eq(s.code, 1);
    cr_expect(strstr(s.err, "'moon'"), "%s", s.err);
}

/* Rooms of a generator: made once, then judged as they lie there. */
static void check_generation(const char *model)
{
    char folder[1200], caa[1200], rooms[300], first[400];
    const char *path = in_scratch("prompts.json"), *room = in_scratch("room.vbg");

    if (!shared_dir())
        return;
    snprintf(folder, sizeof folder, "%s/golden/checkpoint/tiny_sd2_a", shared_dir());
    snprintf(caa, sizeof caa, "%s/golden/checkpoint/tiny_sd2_mvd_a.safetensors",
             shared_dir());
    snprintf(rooms, sizeof rooms, "%s", in_scratch("rooms"));
    snprintf(first, sizeof first, "%s/001/0.png", rooms);
    said s = RUN("vbg-convert", folder, "--dtype", "f32", "--caa", caa, "-o", room);
    cr_assert_eq(s.code, 0, "%s", s.err);
    write_text(path, prompts);
    json_t *made =
        answer(RUN("vbg-eval", "adherence", "--judge", model, "--model", room,
                   "--pictures", rooms, "--steps", "1", "--views", "3", "--json", path));
    cr_expect_eq(number(made, "rooms"), 2);
    cr_expect_eq(access(first, R_OK), 0);
    json_t *again = answer(RUN("vbg-eval", "adherence", "--judge", model, "--pictures",
                               rooms, "--json", path));
    cr_expect(json_equal(made, again));
    json_decref(made);
    json_decref(again);
}

/* Rooms of one kind are alike, those of two are not. */
static void check_distances(const char *data, const char *model)
{
    char one[300], both[300], path[400];
    const char *sheet = in_scratch("sheet.png");
    vbg_picture p;

    snprintf(one, sizeof one, "%s", in_scratch("one"));
    snprintf(both, sizeof both, "%s", in_scratch("both"));
    mkdir(one, 0777);
    mkdir(both, 0777);
    for (int i = 0; i < 3; i++) {
        char from[400];
        snprintf(from, sizeof from, "%s/%03d.jpg", data, 2 * i);
        snprintf(path, sizeof path, "%s/%d.jpg", one, i + 1);
        cr_assert_eq(symlink(from, path), 0);
        snprintf(from, sizeof from, "%s/%03d.jpg", data, i);
        snprintf(path, sizeof path, "%s/%d.jpg", both, i + 1);
        cr_assert_eq(symlink(from, path), 0);
    }
    json_t *j = answer(RUN("vbg-eval", "variety", "--judge", model, one, both, "--json"));
    const json_t *each = json_object_get(j, "samples");
    cr_expect_gt(number(each, both), 2 * number(each, one));
    json_decref(j);
    j = answer(RUN("vbg-eval", "variety", "--judge", model, one, "--json", "--truth",
                   scratch_dir()));
    cr_expect_float_eq(number(j, "ratio"), 1, 1e-6);
    json_decref(j);
    j = answer(RUN("vbg-eval", "fid", "--judge", model, one, one, "--json"));
    cr_expect_eq(number(j, "rows of A"), 24);
    cr_expect_lt(fabs(number(j, "FID")), 1e-3);
    json_decref(j);
    j = answer(
        RUN("vbg-eval", "nearest", "--judge", model, one, data, "-o", sheet, "--json"));
    cr_expect_lt(number(j, "smallest"), 1e-6, "the pictures themselves are there");
    json_decref(j);
    cr_assert_eq(vbg_picture_load(&p, NULL, sheet, 3, NULL), VBG_OK);
    cr_expect_eq(p.w, 4 * 192);
    cr_expect_eq(p.h, 3 * 192);
    vbg_picture_free(&p);
}

Test(judge, learns_rooms_and_measures_others, .fini = remove_scratch, .timeout = 240)
{
    char data[300], out[300], model[400];

    snprintf(data, sizeof data, "%s", in_scratch("data"));
    snprintf(out, sizeof out, "%s", in_scratch("out"));
    snprintf(model, sizeof model, "%s/model.vbg", out);
    write_rooms(data, 8);
    check_training(data, out, model);
    check_truth(data, model);
    check_prompts(data, model);
    check_generation(model);
    check_distances(data, model);
}

Test(judge, bad_input_is_one_line, .fini = remove_scratch)
{
    char data[300], path[400];

    snprintf(data, sizeof data, "%s", in_scratch("data"));
    write_rooms(data, 2);
    said s = RUN("vbg-train", "judge", "--out", in_scratch("o"));
    cr_expect_eq(s.code, 2);
    s = RUN("vbg-train", "judge", "--data", data, "--out", in_scratch("o"), "--side",
            "100");
    cr_expect_eq(s.code, 2);
    cr_expect(strstr(s.err, "multiple of 32"), "%s", s.err);
    s = RUN("vbg-train", "judge", "--data", data, "--out", in_scratch("o"));
    cr_expect_eq(s.code, 2);
    cr_expect(strstr(s.err, "--val-data"), "%s", s.err);
    snprintf(path, sizeof path, "%s/000.json", data);
    write_text(path, "{\"kind\":\"moon\",\"objects\":[]}");
    s = RUN("vbg-train", "judge", "--data", data, "--out", in_scratch("o"), "--strict");
    cr_expect_eq(s.code, 1);
    cr_expect(strstr(s.err, "'moon'"), "%s", s.err);
    cr_expect_eq(s.err_lines, 1, "%s", s.err);
    s = RUN("vbg-eval", "adherence", "--truth", data);
    cr_expect_eq(s.code, 2);
    s = RUN("vbg-eval", "variety", data);
    cr_expect_eq(s.code, 2);
    s = RUN("vbg-eval", "nearest", data, data, "-o", in_scratch("s.gif"));
    cr_expect_eq(s.code, 2);
}

/* A file that says it is a judge but is not. */
Test(judge, damaged_files_are_refused, .fini = remove_scratch)
{
    const vbg_ctx_opt opt = { .threads = 1, .isa = VBG_ISA_BEST };
    const char *path = in_scratch("j.vbg");
    const char *const labels[] = { NULL, "3", "[]", "[1]", "[\"wall\"]" };
    vbg_judge *j;

    scratch_dir();
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        vbg_writer *w;
        vbg_err err = { "" };
        cr_assert_eq(vbg_writer_new(&w, path, NULL), VBG_OK);
        vbg_writer_string(w, "model.arch", "judge", NULL);
        if (labels[i])
            vbg_writer_string(w, "judge.labels", labels[i], NULL);
        vbg_writer_string(w, "judge.kinds", "[\"kitchen\"]", NULL);
        vbg_writer_int(w, "judge.side", i == 4 ? 64 : 63, NULL);
        cr_assert_eq(vbg_writer_finish(w, NULL), VBG_OK);
        cr_expect_eq(vbg_judge_open(&j, path, &opt, &err), VBG_EFORMAT, "case %zu", i);
        cr_expect_neq(err.text[0], 0);
        cr_expect_null(j);
    }
}
