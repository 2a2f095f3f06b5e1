/* vbg-train rooms: invents scenes and renders panoramas with captions and truth.
 *
 * Scene i of seed S is the same picture whatever the number of threads or processes: its
 * own seed is drawn from (S, i, attempt), an attempt being given up when the scene is
 * kept out of training or the picture fails the gate.  Finished scenes are skipped. */
#include "tools/rooms/command.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/options.h"
#include "tools/rooms/files.h"
#include "tools/rooms/kinds.h"
#include "tools/rooms/like.h"
#include "tools/rooms/prompts.h"

static const vbg_option options[] = {
    { "out", 'o', VBG_OPT_STRING, "DIR", NULL, NULL, "folder for the scenes", "rooms",
      VBG_OPT_COMMON },
    { "count", 'n', VBG_OPT_INT, "N", "1", "1..10000000", "how many scenes", "rooms",
      VBG_OPT_COMMON },
    { "seed", 's', VBG_OPT_SEED, "S", "0", NULL, "the same seed gives the same scenes",
      "rooms", VBG_OPT_COMMON },
    { "first", 0, VBG_OPT_INT, "I", "0", "0..10000000",
      "number of the first scene: for several processes", "rooms", VBG_OPT_COMMON },
    { "kind", 'k', VBG_OPT_STRING, "NAMES", NULL, NULL,
      "only these kinds, with commas between", "rooms", VBG_OPT_COMMON },
    { "held-out", 0, VBG_OPT_CHOICE, "WHICH", "skip", "skip|only|any",
      "combinations kept out of training", "rooms", VBG_OPT_COMMON },
    { "like", 0, VBG_OPT_STRING, "WORDS", NULL, NULL,
      "only scenes like KIND,SURFACE,COLOUR,THING: what a prompt asks for", "rooms", 0 },
    { "prompts", 0, VBG_OPT_INT, "N", NULL, "1..100000",
      "no pictures: N sentences with what they ask for, as JSON on standard output",
      "rooms", 0 },
    { "quality", 'q', VBG_OPT_CHOICE, "Q", "train", "preview|fast|train|high",
      "light samples per pixel: 1, 2, 4, 64", "picture", VBG_OPT_COMMON },
    { "width", 'w', VBG_OPT_INT, "W", "2048", "256..4096",
      "width of the panorama, a multiple of 64; half as high", "picture",
      VBG_OPT_COMMON },
    { "views", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "eight 512x512 views instead of a panorama", "picture", VBG_OPT_COMMON },
    { "no-truth", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "no depth and no label pictures",
      "picture", VBG_OPT_COMMON },
    { "jpeg", 0, VBG_OPT_INT, "Q", "93", "50..100", "JPEG quality", "picture", 0 },
    { "list-kinds", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "print the kinds of scenes and stop", "rooms", 0 },
    { 0 }
};

static const vbg_program program = {
    .name = "vbg-train rooms",
    .purpose = "renders rooms and landscapes with captions to learn from",
    .usage = "vbg-train rooms --out DIR --count N [--seed S]",
    .examples = { "vbg-train rooms -o rooms -n 1000 -s 1",
                  "vbg-train rooms --held-out only --prompts 200 > prompts.json" },
    .options = options,
};

#ifdef VBG_HAVE_EMBREE

typedef struct job {
    const char *dir;
    long first, count;
    uint64_t seed;
    int kinds[KINDS], n_kinds;
    int held; /* 0 skip, 1 only, 2 any */
    bool alike;
    likeness like; /* when alike */
    int camera, w, h, quality;
    bool truth;
    render_opt opt;
    int threads;
    atomic_long next, done, skipped, rejected;
    _Atomic uint64_t rays;
    _Atomic uint64_t micro; /* time in vr_render */
    atomic_int status;
    vbg_err err;
    vbg_progress progress;
} job;

static uint64_t scene_seed(const job *j, long i, int attempt)
{
    rng r = { j->seed * 0xd1342543de82ef95u + (uint64_t)i };

    r.s = rng_next(&r) + (uint64_t)attempt;
    return rng_next(&r) >> 1;
}

/* The gate: too dark, burnt out, or nothing to see. */
static bool acceptable(const scene *s, const render_stats *st)
{
    const float low = s->kind == K_ARCADE || s->kind == K_SPACESHIP ||
                              s->time == SKY_NIGHT || s->time == SKY_DUSK ||
                              s->kind == K_UNDERWATER
                          ? .06f
                          : .18f;
    int things = 0;

    for (int i = 0; i < s->n_objs; i++)
        things += s->objs[i].what > T_WATER && s->objs[i].area > .004f;
    return st->mean_luminance > low && st->mean_luminance < .78f && st->clipped < .08f &&
           things >= (s->indoor ? 4 : 1);
}

/* Whether a scene is one of those asked for. */
static bool wanted(const job *j, const scene *s)
{
    if (j->alike)
        return vr_like_fits(&j->like, s);
    return j->held == 2 || vr_scene_held_out(s) == (j->held == 1);
}

static vbg_status one(job *j, renderer *r, scene *s, canvas *c, long i,
                      const render_opt *o, vbg_err *err)
{
    const room_files f = { j->dir, i, j->truth, j->quality };

    if (vr_files_done(&f, j->camera)) {
        atomic_fetch_add(&j->skipped, 1);
        return VBG_OK;
    }
    const int attempts = j->alike ? 600 : 40;
    int drawn = 0;

    for (int attempt = 0; attempt < attempts; attempt++) {
        render_stats st;
        const uint64_t seed = scene_seed(j, i, attempt);
        /* the kind belongs to the number: kinds kept out do not thin a kind out */
        const int kind = j->kinds[scene_seed(j, i, 1000) % (uint64_t)j->n_kinds];

        if (vbg_stop_signal())
            return VBG_OK;
        vr_scene_reset(s, seed);
        vr_build(s, kind);
        if (!wanted(j, s))
            continue;
        const double t = vbg_now();
        vbg_status e = vr_render(r, s, c, o, &st, err);
        if (e != VBG_OK)
            return e;
        atomic_fetch_add(&j->micro, (uint64_t)((vbg_now() - t) * 1e6));
        atomic_fetch_add(&j->rays, st.rays);
        const bool strict = j->alike || (j->held == 1 && vr_scene_held_out(s));
        vr_measure(s, c);
        if (s->failed)
            return vbg_fail(err, VBG_ENOMEM, "rooms: out of memory");
        /* the picture must still show the colour that it was chosen for */
        if (drawn++ < 12 && (!acceptable(s, &st) || (strict && !wanted(j, s)))) {
            atomic_fetch_add(&j->rejected, 1);
            continue;
        }
        return vr_files_write(&f, s, c, &st, err);
    }
    return VBG_OK; /* this number has no such scene */
}

static void work(job *j, int inner)
{
    renderer *r = NULL;
    canvas c = { 0 };
    scene s = { 0 };
    vbg_err err = { "" };
    render_opt o = j->opt;
    vbg_status st = vr_renderer_new(&r, &err);

    o.threads = inner;
    if (st == VBG_OK)
        st = vr_canvas_new(&c, j->w, j->h, j->camera, &err);
    while (st == VBG_OK && !vbg_stop_signal() && atomic_load(&j->status) == VBG_OK) {
        const long k = atomic_fetch_add(&j->next, 1);
        if (k >= j->count)
            break;
        st = one(j, r, &s, &c, j->first + k, &o, &err);
        const long done = atomic_fetch_add(&j->done, 1) + 1;
#pragma omp critical(rooms_progress)
        vbg_progress_step(&j->progress, done);
    }
    if (st != VBG_OK) {
#pragma omp critical(rooms_progress)
        if (atomic_exchange(&j->status, (int)st) == VBG_OK)
            j->err = err;
    }
    vr_canvas_free(&c);
    vr_scene_free(&s);
    vr_renderer_free(r);
}

static int run(job *j)
{
    const int outer = (int)(j->count < j->threads ? j->count : j->threads);
    const double start = vbg_now();

    vbg_signals_setup();
    vbg_progress_start(&j->progress, "scenes", j->count);
#pragma omp parallel num_threads(outer)
    work(j, outer == 1 ? j->threads : 1);
    vbg_progress_end(&j->progress);
    const int st = atomic_load(&j->status);
    if (st != VBG_OK)
        return vbg_exit_code((vbg_status)st, &j->err);
    const double t = vbg_now() - start, render = (double)atomic_load(&j->micro) * 1e-6;
    const long made = atomic_load(&j->done) - atomic_load(&j->skipped);
    vbg_note("%ld scenes in %.1f s (%ld were there already, %ld drawn again): %.2f "
             "scenes/s, %.1f million rays/s per thread",
             made, t, atomic_load(&j->skipped), atomic_load(&j->rejected),
             t > 0 ? (double)made / t : 0,
             render > 0 ? (double)atomic_load(&j->rays) / render * 1e-6 : 0);
    return vbg_stop_signal() ? 128 + vbg_stop_signal() : 0;
}

/* --prompts: sentences instead of pictures. */
static int print_prompts(const job *j, int count)
{
    prompt_opt o = { .seed = j->seed,
                     .count = count,
                     .n_kinds = j->n_kinds,
                     .held = j->held,
                     .threads = j->threads };
    json_t *all = NULL;
    vbg_err err = { "" };

    memcpy(o.kinds, j->kinds, sizeof o.kinds);
    vbg_signals_setup();
    const vbg_status st = vr_prompts(&all, &o, &err);
    if (st != VBG_OK)
        return vbg_exit_code(st, &err);
    json_dumpf(all, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(all);
    return 0;
}

static int start(const vbg_values *v)
{
    static const char *const held[] = { "skip", "only", "any" };
    job j = { .dir = vbg_value(v, "out"),
              .first = vbg_value_int(v, "first"),
              .count = vbg_value_int(v, "count"),
              .seed = vbg_value_seed(v, "seed"),
              .quality = (int)vbg_value_int(v, "jpeg"),
              .truth = !vbg_value_flag(v, "no-truth") };
    vbg_err err = { "" };

    if (!j.dir && !vbg_value_given(v, "prompts")) {
        vbg_error("--out: where shall the scenes go?");
        return 2;
    }
    j.opt = *vr_mode(vbg_value(v, "quality"));
    for (int i = 0; i < 3; i++)
        if (strcmp(vbg_value(v, "held-out"), held[i]) == 0)
            j.held = i;
    vbg_status st = vr_kinds_of(vbg_value(v, "kind"), j.kinds, &j.n_kinds, &err);
    if (st == VBG_OK && vbg_value(v, "like")) {
        j.alike = true;
        st = vr_like_parse(&j.like, vbg_value(v, "like"), &err);
        j.kinds[0] = j.like.kind;
        j.n_kinds = 1;
    }
    if (st != VBG_OK)
        return vbg_exit_code(st, &err);
    j.threads = vbg_value_ctx(v, VBG_F32).threads;
    if (j.threads < 1)
        j.threads = vr_default_threads();
    if (vbg_value_given(v, "prompts"))
        return print_prompts(&j, (int)vbg_value_int(v, "prompts"));
    const long w = vbg_value_int(v, "width");
    if (w % 64) {
        vbg_error("--width: %ld is no multiple of 64", w);
        return 2;
    }
    const bool views = vbg_value_flag(v, "views");
    j.camera = views ? CAMERA_VIEWS : CAMERA_EQUIRECT;
    j.w = views ? 512 : (int)w;
    j.h = views ? 512 * VIEWS : (int)w / 2;
    if (mkdir(j.dir, 0777) != 0 && errno != EEXIST) {
        vbg_error("%s: %s", j.dir, strerror(errno));
        return 1;
    }
    return run(&j);
}

#else

static int start(const vbg_values *v)
{
    (void)v;
    vbg_error("this build has no Embree; install it (Debian: apt-get install "
              "libembree-dev) and build again");
    return 1;
}

#endif

int vbg_train_rooms(int argc, char **argv)
{
    vbg_values *v = NULL;
    int code = vbg_options_start(&v, &program, argc, argv);

    if (code >= 0)
        return code;
    if (vbg_value_flag(v, "list-kinds")) {
        for (int k = 0; k < KINDS; k++)
            if (vr_kind_built(k))
                printf("%s\n", vr_kind_name(k));
        code = 0;
    } else {
        code = start(v);
    }
    vbg_values_free(v);
    return vbg_finish_output(code);
}
