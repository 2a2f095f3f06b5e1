/* vbg-train figure: people that never lived, with the exact share of every pixel that
 * they cover, to learn from and to measure by.
 *
 * Still or clip i of seed S is the same whatever the number of threads or processes;
 * finished ones are skipped. */
#include "tools/rooms/command.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/options.h"
#include "tools/rooms/kinds.h"

static const vbg_option options[] = {
    { "out", 'o', VBG_OPT_STRING, "DIR", NULL, NULL, "folder for what is made", "figures",
      VBG_OPT_COMMON },
    { "stills", 'n', VBG_OPT_INT, "N", "0", "0..10000000",
      "photos of people: x.jpg with x.mask.png", "figures", VBG_OPT_COMMON },
    { "clips", 'c', VBG_OPT_INT, "N", "0", "0..100000",
      "talking figures before a hand-held camera: x.mp4, x.alpha.mp4, x.csv", "figures",
      VBG_OPT_COMMON },
    { "seed", 's', VBG_OPT_SEED, "S", "0", NULL, "the same seed gives the same people",
      "figures", VBG_OPT_COMMON },
    { "first", 0, VBG_OPT_INT, "I", "0", "0..10000000",
      "number of the first one: for several processes", "figures", VBG_OPT_COMMON },
    { "backgrounds", 'b', VBG_OPT_STRING, "DIR", NULL, NULL,
      "pictures and panoramas to stand before, else rooms are rendered", "figures",
      VBG_OPT_COMMON | VBG_OPT_PATH },
    { "kind", 'k', VBG_OPT_STRING, "NAMES", NULL, NULL,
      "only these kinds of rendered rooms (vbg-train rooms --list-kinds)", "figures",
      VBG_OPT_COMMON },
    { "size", 'w', VBG_OPT_SIZE, "WxH", NULL, "64..3840",
      "of the pictures (default: 512x512, clips 1280x720)", "picture", VBG_OPT_COMMON },
    { "fov", 0, VBG_OPT_REAL, "DEG", "70", "20..120", "width of view of clips", "clips",
      VBG_OPT_COMMON },
    { "seconds", 't', VBG_OPT_REAL, "T", "8", "0.1..3600", "length of clips", "clips",
      VBG_OPT_COMMON },
    { "fps", 0, VBG_OPT_INT, "F", "30", "1..120", "frames a second of clips", "clips",
      VBG_OPT_COMMON },
    { "crf", 0, VBG_OPT_INT, "Q", "21", "1..51",
      "H.264 quality of clips, lower is better", "clips", 0 },
    { "alpha-crf", 0, VBG_OPT_INT, "Q", "12", "1..51", "the same of their alpha", "clips",
      0 },
    { "jpeg", 0, VBG_OPT_INT, "Q", "92", "50..100", "JPEG quality of stills", "picture",
      0 },
    { 0 }
};

static const vbg_program program = {
    .name = "vbg-train figure",
    .purpose =
        "renders people with exact masks to learn from, and clips with exact truth",
    .usage = "vbg-train figure --out DIR --stills N | --clips N",
    .examples = { "vbg-train figure -o people -n 5000 -s 1",
                  "vbg-train figure -o clips --clips 3 --fov 60" },
    .options = options,
};

#ifdef VBG_HAVE_EMBREE

#include "tools/rooms/backdrop.h"
#include "tools/rooms/figure_files.h"

typedef struct job {
    const char *dir;
    long first, count;
    uint64_t seed;
    int w, h, jpeg, threads;
    float fov, seconds;
    clip_opt clip;
    vbg_paths files;
    int kinds[KINDS], n_kinds;
    long group; /* stills that share a backdrop */
    atomic_long next, done, skipped;
    atomic_int status;
    vbg_err err;
    vbg_progress progress;
} job;

static uint64_t number_seed(const job *j, long i, uint64_t what)
{
    rng r = { j->seed * 0xd1342543de82ef95u + (uint64_t)i * 0x2545f4914f6cdd1du + what };

    rng_next(&r);
    return rng_next(&r) >> 1;
}

static void fail(job *j, vbg_status st, const vbg_err *err)
{
#pragma omp critical(figure_progress)
    if (atomic_exchange(&j->status, (int)st) == VBG_OK)
        j->err = *err;
}

static backdrops backdrops_of(const job *j, int w, int threads, bool fine)
{
    backdrops b = {
        .files = &j->files,
        .n_kinds = j->n_kinds,
        .w = w,
        .threads = threads,
        .quality = { .spp_band = fine ? 4 : 2, .spp_pole = 1, .aa = 8, .bounces = 1 }
    };

    memcpy(b.kinds, j->kinds, sizeof b.kinds);
    return b;
}

/* ---- stills ---- */

typedef struct studio {
    backdrops back;
    film *film;
    vbg_picture rgb, alpha;
} studio;

static vbg_status studio_open(studio *s, const job *j, vbg_err *err)
{
    *s = (studio){ .back = backdrops_of(j, 2048, 1, false) };
    vbg_status st = vr_backdrops_open(&s->back, err);

    if (st == VBG_OK)
        st = vr_film_new(&s->film, j->w, j->h, err);
    if (st == VBG_OK)
        st = vbg_picture_new(&s->rgb, j->w, j->h, 3, err);
    return st == VBG_OK ? vbg_picture_new(&s->alpha, j->w, j->h, 1, err) : st;
}

static void studio_close(studio *s)
{
    vr_backdrops_close(&s->back);
    vr_film_free(s->film);
    vbg_picture_free(&s->rgb);
    vbg_picture_free(&s->alpha);
}

/* The stills of one backdrop that are not there yet. */
static vbg_status shoot(job *j, studio *s, long from, long to, vbg_err *err)
{
    backdrop b = { 0 };
    bool made = false;
    vbg_status st = VBG_OK;

    for (long i = from; i < to && st == VBG_OK && !vbg_stop_signal(); i++) {
        if (vr_still_done(j->dir, i)) {
            atomic_fetch_add(&j->skipped, 1);
        } else {
            if (!made)
                st =
                    vr_backdrops_make(&s->back, number_seed(j, i / j->group, 1), &b, err);
            made = true;
            if (st == VBG_OK)
                st = vr_film_still(s->film, &b, number_seed(j, i, 2), &s->rgb, &s->alpha,
                                   err);
            if (st == VBG_OK)
                st = vr_still_write(j->dir, i, &s->rgb, &s->alpha, j->jpeg, err);
        }
        const long done = atomic_fetch_add(&j->done, 1) + 1;
#pragma omp critical(figure_progress)
        vbg_progress_step(&j->progress, done);
    }
    vr_backdrop_free(&b);
    return st;
}

static void work(job *j)
{
    studio s;
    vbg_err err = { "" };
    vbg_status st = studio_open(&s, j, &err);
    const long groups = (j->first + j->count + j->group - 1) / j->group;

    while (st == VBG_OK && !vbg_stop_signal() && atomic_load(&j->status) == VBG_OK) {
        const long g = atomic_fetch_add(&j->next, 1);
        if (g >= groups)
            break;
        const long a = g * j->group, z = a + j->group, end = j->first + j->count;
        st = shoot(j, &s, a < j->first ? j->first : a, z < end ? z : end, &err);
    }
    if (st != VBG_OK)
        fail(j, st, &err);
    studio_close(&s);
}

static void make_stills(job *j)
{
    j->group = j->files.count > 0 ? 1 : 8;
    atomic_store(&j->next, j->first / j->group);
    vbg_progress_start(&j->progress, "stills", j->count);
#pragma omp parallel num_threads(j->threads)
    work(j);
}

/* ---- clips ---- */

typedef struct shot {
    film *film;
    vbg_picture rgb, alpha;
    double angles[3];
    vbg_status st;
    vbg_err err;
} shot;

static vbg_status shots_open(shot *s, int n, const job *j, vbg_err *err)
{
    vbg_status st = VBG_OK;

    for (int i = 0; i < n && st == VBG_OK; i++) {
        st = vr_film_new(&s[i].film, j->w, j->h, err);
        if (st == VBG_OK)
            st = vbg_picture_new(&s[i].rgb, j->w, j->h, 3, err);
        if (st == VBG_OK)
            st = vbg_picture_new(&s[i].alpha, j->w, j->h, 1, err);
    }
    return st;
}

static void shots_close(shot *s, int n)
{
    for (int i = 0; i < n; i++) {
        vr_film_free(s[i].film);
        vbg_picture_free(&s[i].rgb);
        vbg_picture_free(&s[i].alpha);
    }
    free(s);
}

static vbg_status film_it(job *j, shot *s, const backdrop *b, const film_clip *c,
                          clip_files *out, vbg_err *err)
{
    const int frames = (int)((double)j->seconds * j->clip.rate + .5);
    vbg_status st = VBG_OK;

    for (int f = 0; f < frames && st == VBG_OK && !vbg_stop_signal(); f += j->threads) {
        const int n = frames - f < j->threads ? frames - f : j->threads;
#pragma omp parallel for schedule(static, 1) num_threads(j->threads)
        for (int i = 0; i < n; i++)
            s[i].st = vr_film_frame(s[i].film, b, c, f + i, &s[i].rgb, &s[i].alpha,
                                    s[i].angles, &s[i].err);
        for (int i = 0; i < n && st == VBG_OK; i++) {
            st = s[i].st;
            if (st != VBG_OK)
                *err = s[i].err;
            else
                st = vr_clip_add(out, &s[i].rgb, &s[i].alpha, s[i].angles, err);
        }
        vbg_progress_step(&j->progress, atomic_fetch_add(&j->done, n) + n);
    }
    return st;
}

static vbg_status one_clip(job *j, shot *s, backdrops *back, vbg_ctx *ctx, long i,
                           vbg_err *err)
{
    char stem[4000], path[4096];
    backdrop b = { 0 };
    clip_files *out = NULL;

    snprintf(stem, sizeof stem, "%s/%06ld", j->dir, i);
    snprintf(path, sizeof path, "%s.mp4", stem);
    if (access(path, F_OK) == 0) {
        atomic_fetch_add(&j->skipped, 1);
        return VBG_OK;
    }
    vbg_status st = vr_backdrops_make(back, number_seed(j, i, 1), &b, err);
    if (st == VBG_OK && !b.view)
        st = vbg_fail(err, VBG_EUSAGE,
                      "--backgrounds: clips need panoramas, twice as wide as "
                      "high, since their camera turns");
    const film_clip c =
        vr_film_clip(number_seed(j, i, 2), j->fov, j->seconds, (float)j->clip.rate);
    if (st == VBG_OK)
        st = vr_clip_create(&out, stem, &j->clip, ctx, err);
    if (st == VBG_OK)
        st = film_it(j, s, &b, &c, out, err);
    vr_backdrop_free(&b);
    if (out && st == VBG_OK && !vbg_stop_signal())
        return vr_clip_finish(out, err);
    vr_clip_abort(out);
    return st;
}

static void make_clips(job *j)
{
    const vbg_ctx_opt opt = { .threads = 1, .isa = VBG_ISA_BEST, .precision = VBG_F32 };
    vbg_err err = { "" };
    backdrops back = backdrops_of(j, 4096, j->threads, true);
    shot *s = calloc((size_t)j->threads, sizeof *s);
    vbg_ctx *ctx = NULL;
    vbg_status st = s ? vbg_ctx_new(&ctx, &opt, &err)
                      : vbg_fail(&err, VBG_ENOMEM, "figure: out of memory");

    vbg_progress_start(&j->progress, "frames",
                       (long)((double)j->seconds * j->clip.rate + .5) * j->count);
    if (st == VBG_OK)
        st = vr_backdrops_open(&back, &err);
    if (st == VBG_OK)
        st = shots_open(s, j->threads, j, &err);
    for (long i = 0; i < j->count && st == VBG_OK && !vbg_stop_signal(); i++)
        st = one_clip(j, s, &back, ctx, j->first + i, &err);
    if (st != VBG_OK)
        fail(j, st, &err);
    if (s)
        shots_close(s, j->threads);
    vr_backdrops_close(&back);
    vbg_ctx_free(ctx);
}

static int run(job *j, bool clips)
{
    const double start = vbg_now();

    vbg_signals_setup();
    if (clips)
        make_clips(j);
    else
        make_stills(j);
    vbg_progress_end(&j->progress);
    const int st = atomic_load(&j->status);
    if (st != VBG_OK)
        return vbg_exit_code((vbg_status)st, &j->err);
    const double t = vbg_now() - start;
    const long made = atomic_load(&j->done) - (clips ? 0 : atomic_load(&j->skipped));
    vbg_note("%ld %s in %.1f s (%ld were there already): %.2f a second", made,
             clips ? "frames" : "stills", t, atomic_load(&j->skipped),
             t > 0 ? (double)made / t : 0);
    return vbg_stop_signal() ? 128 + vbg_stop_signal() : 0;
}

static vbg_status prepare(job *j, const vbg_values *v, bool clips, vbg_err *err)
{
    const char *folder = vbg_value(v, "backgrounds");
    vbg_status st = vr_kinds_of(vbg_value(v, "kind"), j->kinds, &j->n_kinds, err);

    j->w = clips ? 1280 : 512;
    j->h = clips ? 720 : 512;
    if (vbg_value_given(v, "size"))
        vbg_value_size(v, "size", &j->w, &j->h);
    j->clip = (clip_opt){ .w = j->w,
                          .h = j->h,
                          .rate = (int)vbg_value_int(v, "fps"),
                          .crf = (int)vbg_value_int(v, "crf"),
                          .alpha_crf = (int)vbg_value_int(v, "alpha-crf") };
    j->threads = vbg_value_ctx(v, VBG_F32).threads;
    if (j->threads < 1)
        j->threads = vr_default_threads();
    if (st == VBG_OK && folder)
        st = vbg_paths_pictures(&j->files, folder, err);
    if (st == VBG_OK && folder && j->files.count == 0)
        st = vbg_fail(err, VBG_EUSAGE, "--backgrounds: no pictures in %s", folder);
    if (st == VBG_OK && mkdir(j->dir, 0777) != 0 && errno != EEXIST)
        st = vbg_fail(err, VBG_EIO, "%s: %s", j->dir, strerror(errno));
    return st;
}

static int start(const vbg_values *v)
{
    const long stills = vbg_value_int(v, "stills"), clips = vbg_value_int(v, "clips");
    job j = { .dir = vbg_value(v, "out"),
              .first = vbg_value_int(v, "first"),
              .count = clips > 0 ? clips : stills,
              .seed = vbg_value_seed(v, "seed"),
              .jpeg = (int)vbg_value_int(v, "jpeg"),
              .fov = (float)vbg_value_real(v, "fov"),
              .seconds = (float)vbg_value_real(v, "seconds") };
    vbg_err err = { "" };

    if (!j.dir) {
        vbg_error("--out: where shall the pictures go?");
        return 2;
    }
    if ((stills > 0) == (clips > 0)) {
        vbg_error("either --stills N or --clips N says what to make");
        return 2;
    }
    const vbg_status st = prepare(&j, v, clips > 0, &err);
    const int code = st == VBG_OK ? run(&j, clips > 0) : vbg_exit_code(st, &err);
    vbg_paths_free(&j.files);
    return code;
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

int vbg_train_figure(int argc, char **argv)
{
    vbg_values *v = NULL;
    int code = vbg_options_start(&v, &program, argc, argv);

    if (code >= 0)
        return code;
    code = start(v);
    vbg_values_free(v);
    return vbg_finish_output(code);
}
