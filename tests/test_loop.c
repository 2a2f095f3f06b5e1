/* The training loop on a model small enough to work out by hand: a line through points.
 * Continuation after kill -9, signals, the lock, losses that are no number, full disks.
 */
#define _GNU_SOURCE
#include "tools/train/loop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/weights.h"
#include "tools/train/lock.h"

enum { BATCH = 4, DEPTH = 3, WIDTH = 2000 };

typedef struct line_model {
    vbg_ctx *ctx;
    vbg_params *params;
    vbg_param *w, *b;
    uint64_t seed;
    const vbg_loop *loop;
    float x[DEPTH][BATCH];
    long nan_at;  /* step whose loss is no number, or -1 */
    int pause_us; /* per step */
    int exports;
} line_model;

static vbg_status load(void *arg, uint64_t job, int slot, vbg_err *err)
{
    line_model *m = arg;
    uint64_t z = (job + 1) * 0x9E3779B97F4A7C15u ^ m->loop->opt.seed;

    (void)err;
    for (int i = 0; i < BATCH; i++) {
        z = z * 6364136223846793005u + 1442695040888963407u;
        m->x[slot][i] = (float)(z >> 40) * 0x1p-24f;
    }
    return VBG_OK;
}

/* mean over the batch of (w.x + b - (3 x + 1))^2; every w has its own multiple of x */
static vbg_status step(void *arg, uint64_t job, int slot, vbg_measure *r, vbg_err *err)
{
    line_model *m = arg;

    (void)err;
    for (int i = 0; i < BATCH; i++) {
        float x = m->x[slot][i], y = m->b->value[0];
        for (int k = 0; k < WIDTH; k++)
            y += m->w->value[k] * x / WIDTH;
        float d = y - (3 * x + 1);
        r->loss += (double)(d * d) / BATCH;
        for (int k = 0; k < WIDTH; k++)
            m->w->grad[k] += 2 * d * x / BATCH;
        m->b->grad[0] += 2 * d / BATCH;
    }
    if (m->nan_at >= 0 && job == (uint64_t)m->nan_at)
        r->loss = NAN;
    vbg_measure_set(r, "slope", (double)m->w->value[0]);
    if (m->pause_us)
        usleep((useconds_t)m->pause_us);
    return VBG_OK;
}

static void describe(void *arg, uint64_t job, int slot, char *text, size_t size)
{
    (void)arg;
    (void)slot;
    snprintf(text, size, "point %llu", (unsigned long long)job);
}

static vbg_status validate(void *arg, vbg_measure *r, vbg_err *err)
{
    line_model *m = arg;

    (void)err;
    r->loss = fabs((double)m->w->value[0] - 3);
    return VBG_OK;
}

static vbg_status export_model(void *arg, const char *path, vbg_err *err)
{
    line_model *m = arg;
    vbg_writer *w;
    vbg_status st = vbg_writer_new(&w, path, err);
    int64_t dim[1] = { WIDTH };

    m->exports++;
    if (st != VBG_OK)
        return st;
    st = vbg_writer_declare(w, "line", "w", VBG_F32, VBG_LAYOUT_PLAIN, 1, dim, err);
    if (st == VBG_OK)
        st = vbg_writer_data(w, "line", "w", m->w->value, err);
    if (st == VBG_OK)
        st = vbg_writer_finish(w, err);
    if (st != VBG_OK)
        vbg_writer_abort(w);
    return st;
}

static const vbg_loop_calls calls = { .load = load,
                                      .step = step,
                                      .describe = describe,
                                      .validate = validate,
                                      .export_model = export_model };

static vbg_param *take(vbg_params *p, const char *name, int64_t n)
{
    vbg_entry e = { .component = "line", .name = name, .rank = 1, .dim = { n } };
    return vbg_params_take(p, NULL, &e, VBG_INIT_ZERO, 0);
}

static const vbg_option own[] = {
    { "steps", 0, VBG_OPT_INT, "N", "60", "1..1000000", "updates", "course", 0 },
    { "lr", 0, VBG_OPT_REAL, "X", "0.05", "0..10", "rate", "course", 0 },
    { 0 },
};

/* A whole training as a command would run it; argv after the program's name. */
static vbg_status train(line_model *m, int argc, char **argv, vbg_err *err)
{
    vbg_option table[VBG_LOOP_ROWS];
    vbg_loop_table(table, own);
    const vbg_program program = { .name = "vbg-train line", .options = table };
    vbg_ctx_opt co = { .threads = 1, .isa = VBG_ISA_AMX_BF16, .precision = VBG_F32 };
    char *args[40] = { (char *)(uintptr_t) "vbg-train line",
                       (char *)(uintptr_t) "--quiet" };
    vbg_values *v = NULL;
    vbg_loop l = { .kind = "line",
                   .calls = &calls,
                   .arg = m,
                   .jobs_per_epoch = 10,
                   .samples_per_job = BATCH,
                   .depth = DEPTH };

    memcpy(args + 2, argv, (size_t)argc * sizeof *argv);
    cr_assert(vbg_options_parse(&v, &program, argc + 2, args, err) == VBG_OK, "%s",
              err->text);
    vbg_message_setup(v);
    vbg_status st = vbg_loop_options(&l.opt, v, err);
    cr_assert(vbg_ctx_new(&m->ctx, &co, err) == VBG_OK);
    cr_assert(vbg_params_new(&m->params, VBG_F32, err) == VBG_OK);
    vbg_params_declare(m->params, 1);
    vbg_params_select(m->params, "line", "*", true);
    m->w = take(m->params, "w", WIDTH);
    m->b = take(m->params, "b", 1);
    m->loop = &l;
    l.ctx = m->ctx;
    l.params = m->params;
    l.config = vbg_loop_config(&program, v);
    if (st == VBG_OK)
        st = vbg_optim_new(&l.optim, m->params, &l.opt.optim, err);
    if (st == VBG_OK)
        st = vbg_loop_run(&l, err);
    vbg_optim_free(l.optim);
    json_decref(l.config);
    vbg_params_free(m->params);
    vbg_ctx_free(m->ctx);
    vbg_values_free(v);
    return st;
}

#define ARGS(...)                                                                        \
    (char *[]){ __VA_ARGS__ }, (int)(sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *))

static vbg_status run(line_model *m, char **argv, int argc, vbg_err *err)
{
    *err = (vbg_err){ 0 };
    return train(m, argc, argv, err);
}

static char *folder(void)
{
    static char path[64];

    strcpy(path, "/tmp/vbg-loop-XXXXXX");
    cr_assert(mkdtemp(path) != NULL);
    return strdup(path);
}

static void remove_folder(char *dir)
{
    char command[128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    cr_assert(system(command) == 0);
    free(dir);
}

static void in_folder(char path[256], const char *dir, const char *name)
{
    snprintf(path, 256, "%s/%s", dir, name);
}

static bool same_file(const char *a, const char *b, const char *name)
{
    char command[600];

    snprintf(command, sizeof command, "cmp -s %s/%s %s/%s", a, name, b, name);
    return system(command) == 0;
}

static bool exists(const char *dir, const char *name)
{
    char path[256];

    in_folder(path, dir, name);
    return access(path, F_OK) == 0;
}

Test(loop, learns_and_leaves_its_files)
{
    char *dir = folder();
    line_model m = { .nan_at = -1 };
    vbg_err err;

    cr_assert(run(&m,
                  ARGS("-o", dir, "--steps", "300", "--ema", "0.9", "--val-every", "50",
                       "--keep-every", "100", "--weight-decay", "0"),
                  &err) == VBG_OK,
              "%s", err.text);
    cr_assert(exists(dir, "last.vbg") && exists(dir, "best.vbg"));
    cr_assert(exists(dir, "model.vbg") && exists(dir, "model-best.vbg"));
    cr_assert(exists(dir, "step-0000100.vbg") && exists(dir, "log.jsonl"));
    cr_assert(run(&m, ARGS("-o", dir), &err) == VBG_EUSAGE);
    cr_assert(strstr(err.text, "--resume"), "%s", err.text);
    char path[256];
    in_folder(path, dir, "model.vbg");
    vbg_weights *w;
    cr_assert(vbg_weights_open(&w, path, &err) == VBG_OK);
    const vbg_entry *e = vbg_weights_find(w, "line", "w");
    cr_assert_float_eq(((const float *)e->data)[7], 3, 0.2);
    vbg_weights_close(w);
    remove_folder(dir);
}

Test(loop, continues_bit_for_bit)
{
    char *a = folder(), *b = folder();
    line_model m = { .nan_at = -1 };
    vbg_err err;
    char *common[] = { "--ema", "0.9", "--accumulate", "2", "--seed", "5" };
    char *whole[10] = { "-o", a },
         *part[20] = { "-o", b, "--resume", "--max-seconds", "1" };

    memcpy(whole + 2, common, sizeof common);
    memcpy(part + 5, common, sizeof common);
    cr_assert(run(&m, whole, 8, &err) == VBG_OK, "%s", err.text);
    m.pause_us = 20000; /* 60 steps of two micro-batches: ends by the clock */
    cr_assert(run(&m, part, 11, &err) == VBG_OK, "%s", err.text);
    cr_assert(!same_file(a, b, "last.vbg"));
    m.pause_us = 0;
    part[4] = "1000";
    cr_assert(run(&m, part, 11, &err) == VBG_OK, "%s", err.text);
    cr_assert(same_file(a, b, "model.vbg"));
    remove_folder(a);
    remove_folder(b);
}

/* The last value of a key in the log's lines of an event. */
static double last_logged(const char *dir, const char *event, const char *key)
{
    char path[256], line[4096];
    double value = NAN;

    in_folder(path, dir, "log.jsonl");
    FILE *f = fopen(path, "r");
    cr_assert(f);
    while (fgets(line, sizeof line, f)) {
        const char *at = strstr(line, key);
        if (strstr(line, event) && at)
            value = strtod(at + strlen(key), NULL);
    }
    fclose(f);
    return value;
}

/* Far more steps are asked for than there is time: the rate is down when it is over, and
 * the checkpoint says how many it were to be. */
Test(loop, fit_ends_the_decay_in_time)
{
    char *dir = folder(), path[256];
    line_model m = { .nan_at = -1, .pause_us = 2000 };
    vbg_err err;
    vbg_weights *w;
    int64_t last = 0;

    cr_assert(run(&m,
                  ARGS("-o", dir, "--steps", "1000000", "--max-seconds", "2", "--fit",
                       "--schedule", "linear", "--save-every", "30", "--log-every", "1"),
                  &err) == VBG_OK,
              "%s", err.text);
    const double step = last_logged(dir, "\"train\"", "\"step\":");
    cr_assert(step > 30 && step < 10000);
    /* by the options' steps it would still be within 1 % of the first */
    cr_assert(last_logged(dir, "\"train\"", "\"lr\":") < 0.6 * 0.05);
    in_folder(path, dir, "last.vbg");
    cr_assert(vbg_weights_open(&w, path, &err) == VBG_OK, "%s", err.text);
    cr_assert(vbg_weights_int(w, "train.last", &last));
    cr_assert((double)last >= step && last < 10000);
    vbg_weights_close(w);
    cr_assert(run(&m, ARGS("-o", dir, "--fit", "--resume"), &err) == VBG_EUSAGE);
    cr_assert(strstr(err.text, "--max-seconds"));
    remove_folder(dir);
}

/* A child that trains; the parent kills it again and again. */
static pid_t spawn(char **argv, int argc)
{
    pid_t child = fork();

    if (child == 0) {
        line_model m = { .nan_at = -1, .pause_us = 500 };
        vbg_err err;
        _exit(run(&m, argv, argc, &err) == VBG_OK ? 0 : 1);
    }
    return child;
}

Test(loop, kill_nine_at_any_moment)
{
    char *a = folder(), *b = folder();
    vbg_err err;
    line_model m = { .nan_at = -1 };
    char *common[] = { "--steps", "120",   "--save-every", "7",      "--val-every",
                       "5",       "--ema", "0.95",         "--seed", "3" };
    char *whole[12] = { "-o", a }, *part[13] = { "-o", b, "--resume" };
    unsigned seed = 12345;
    int status = -1, killed = 0;

    memcpy(whole + 2, common, sizeof common);
    memcpy(part + 3, common, sizeof common);
    cr_assert(run(&m, whole, 12, &err) == VBG_OK, "%s", err.text);
    for (int i = 0; i < 200 && status != 0; i++) {
        pid_t child = spawn(part, 13);
        seed = seed * 1664525u + 1013904223u;
        usleep(20000 + (seed >> 16) % 50000 * (unsigned)(i % 8));
        kill(child, SIGKILL);
        cr_assert(waitpid(child, &status, 0) == child);
        killed += WIFSIGNALED(status);
        cr_assert(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
    }
    cr_assert(status == 0 && killed >= 3, "%d times killed", killed);
    cr_assert(same_file(a, b, "last.vbg") && same_file(a, b, "model.vbg") &&
              same_file(a, b, "best.vbg") && same_file(a, b, "model-best.vbg"));
    remove_folder(a);
    remove_folder(b);
}

Test(loop, interrupt_finishes_the_step)
{
    char *dir = folder();
    pid_t child = fork();
    int status;

    if (child == 0) {
        line_model m = { .nan_at = -1, .pause_us = 20000 };
        vbg_err err;
        vbg_status st = run(&m, ARGS("-o", dir, "--steps", "100000"), &err);
        _exit(vbg_exit_code(st, &err));
    }
    usleep(400000);
    kill(child, SIGINT);
    cr_assert(waitpid(child, &status, 0) == child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 130);
    cr_assert(exists(dir, "last.vbg") && exists(dir, "model.vbg"));
    remove_folder(dir);
}

Test(loop, no_number_stops_and_names_the_sample)
{
    char *dir = folder();
    line_model m = { .nan_at = 30 };
    vbg_err err;

    cr_assert(run(&m, ARGS("-o", dir, "--save-every", "10"), &err) == VBG_EFORMAT);
    cr_assert(strstr(err.text, "step 31") && strstr(err.text, "point 30"), "%s",
              err.text);
    m.nan_at = -1;
    cr_assert(run(&m, ARGS("-o", dir, "--resume"), &err) == VBG_OK, "%s", err.text);
    remove_folder(dir);
}

/* Nothing is promised that is not there. */
Test(loop, no_number_before_any_checkpoint)
{
    char *dir = folder();
    line_model m = { .nan_at = 1 };
    vbg_err err;

    cr_assert(run(&m, ARGS("-o", dir, "--save-every", "10"), &err) == VBG_EFORMAT);
    cr_assert(strstr(err.text, "there is no checkpoint yet"), "%s", err.text);
    cr_assert(!strstr(err.text, "last.vbg"), "%s", err.text);
    remove_folder(dir);
}

Test(loop, one_trainer_a_folder)
{
    char *dir = folder();
    vbg_err err = { 0 };
    line_model m = { .nan_at = -1 };
    int lock = -1;

    cr_assert(vbg_lock_take(&lock, dir, &err) == VBG_OK, "%s", err.text);
    cr_assert(run(&m, ARGS("-o", dir), &err) == VBG_EUSAGE);
    cr_assert(strstr(err.text, "another trainer"), "%s", err.text);
    vbg_lock_release(lock);
    cr_assert(run(&m, ARGS("-o", dir), &err) == VBG_OK, "%s", err.text);
    remove_folder(dir);
}

/* Files may grow to 4 KB: no checkpoint fits, an older one would stay. */
Test(loop, full_disk)
{
    char *dir = folder();
    struct rlimit small = { 4096, RLIM_INFINITY }, before;
    line_model m = { .nan_at = -1 };
    vbg_err err;

    cr_assert(run(&m, ARGS("-o", dir, "--steps", "10"), &err) == VBG_OK);
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    vbg_status st = run(&m, ARGS("-o", dir, "--resume", "--steps", "20"), &err);
    setrlimit(RLIMIT_FSIZE, &before);
    cr_assert(st == VBG_EIO, "%s", err.text);
    cr_assert(run(&m, ARGS("-o", dir, "--resume", "--steps", "20"), &err) == VBG_OK, "%s",
              err.text);
    remove_folder(dir);
}

Test(loop, compact_start)
{
    char *a = folder(), *b = folder(), path[256];
    line_model m = { .nan_at = -1 };
    vbg_err err;

    in_folder(path, a, "small.vbg");
    cr_assert(run(&m, ARGS("-o", a, "--compact-checkpoint", path, "--ema", "0.9"),
                  &err) == VBG_OK);
    cr_assert(run(&m, ARGS("-o", b, "--from", path, "--steps", "80", "--ema", "0.9"),
                  &err) == VBG_OK,
              "%s", err.text);
    cr_assert(exists(b, "last.vbg"));
    remove_folder(a);
    remove_folder(b);
}
