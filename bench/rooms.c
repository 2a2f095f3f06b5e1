/* vbg-bench rooms: how fast vbg-train rooms makes panoramas of 2048x1024, and how many
 * rays that takes.  One repetition is a scene each of a few kinds, cheap and dear ones, a
 * thread having a scene to itself, as in the command. */
#include "bench/bench.h"

#ifdef VBG_HAVE_EMBREE

#include <stdatomic.h>
#include <stdio.h>

#include "tools/rooms/kinds.h"
#include "tools/rooms/render.h"

enum { WIDTH = 2048, MAX_THREADS = 64 };

static const int kinds[] = { K_FOREST, K_CITY, K_LIVING, K_LIBRARY, K_BEACH, K_GALLERY };
enum { SCENES = sizeof kinds / sizeof *kinds };

/* What a thread keeps from scene to scene. */
typedef struct worker {
    renderer *r;
    canvas c;
    scene s;
    uint64_t rays;
} worker;

typedef struct rooms_run {
    worker w[MAX_THREADS];
    int threads;
    render_opt o;
    atomic_int status;
} rooms_run;

static vbg_status work(rooms_run *b, worker *w, atomic_int *next)
{
    vbg_status st = VBG_OK;
    int i;

    w->rays = 0;
    while (st == VBG_OK && (i = atomic_fetch_add(next, 1)) < SCENES) {
        render_stats stats;
        vr_scene_reset(&w->s, 20 + (uint64_t)i);
        vr_build(&w->s, kinds[i]);
        st = vr_render(w->r, &w->s, &w->c, &b->o, &stats, NULL);
        w->rays += stats.rays;
    }
    return st;
}

static void once(void *arg)
{
    rooms_run *b = arg;
    atomic_int next = 0;

#pragma omp parallel for num_threads(b->threads) schedule(static, 1)
    for (int t = 0; t < b->threads; t++) {
        const vbg_status st = work(b, &b->w[t], &next);
        if (st != VBG_OK)
            atomic_store(&b->status, (int)st);
    }
}

static void measure(bench *b, rooms_run *run, const char *mode)
{
    bench_row r = { .name = "rooms", .isa = b->isa, .threads = b->threads };

    snprintf(r.shape, sizeof r.shape, "%d of %s", SCENES, mode);
    if (!bench_wanted(b, r.name, r.shape))
        return;
    run->o = *vr_mode(mode);
    run->o.threads = 1;
    bench_measure(b, &r, once, run);
    for (int t = 0; t < run->threads; t++)
        r.mray += (double)run->w[t].rays * 1e-6;
    bench_add(b, &r);
}

int bench_rooms(bench *b)
{
    static const char *const modes[] = { "preview", "fast", "train" };
    rooms_run run = { .threads = vbg_min_int(b->threads, MAX_THREADS) };
    vbg_err err = { "" };
    vbg_status st = VBG_OK;

    for (int t = 0; t < run.threads && st == VBG_OK; t++) {
        st = vr_renderer_new(&run.w[t].r, &err);
        if (st == VBG_OK)
            st = vr_canvas_new(&run.w[t].c, WIDTH, WIDTH / 2, CAMERA_EQUIRECT, &err);
    }
    for (int i = 0; i < 3 && st == VBG_OK; i++) {
        measure(b, &run, modes[i]);
        st = (vbg_status)atomic_load(&run.status);
    }
    for (int t = 0; t < run.threads; t++) {
        vr_renderer_free(run.w[t].r);
        vr_canvas_free(&run.w[t].c);
        vr_scene_free(&run.w[t].s);
    }
    return st == VBG_OK ? 0 : vbg_exit_code(st, &err);
}

#else

int bench_rooms(bench *b)
{
    (void)b;
    vbg_error("rooms: this build has no Embree; install it (Debian: apt-get install "
              "libembree-dev) and build again");
    return 1;
}

#endif
