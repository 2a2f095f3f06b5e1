/* Trainings under mpirun: two processes do what one does with twice the batch, batch
 * norms included, and a process that dies ends the others with the last checkpoint whole.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <signal.h>

#include "engine/weights.h"
#include "tests/little_rooms.h"
#include "tests/portraits.h"

TestSuite(ranks, .fini = remove_scratch, .timeout = 600);

#define MPIRUN                                                                           \
    "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 exec mpirun "             \
    "--quiet --oversubscribe -n 2 "

/* False where there is no Open MPI, or none in this build. */
static bool have_ranks(void)
{
    char line[2400];

    if (system("mpirun --version >/dev/null 2>&1") != 0)
        return false;
    snprintf(line, sizeof line,
             MPIRUN "%s/vbg-train segment --data %s/none --out %s/none 2>&1 | "
                    "grep -q 'cannot use mpirun'",
             program_dir(), scratch_dir(), scratch_dir());
    return system(line) != 0;
}

/* A training of eight portraits with the losses of the defaults; SGD, as Adam divides
 * gradients that are nothing but rounding by themselves.  Few steps: from about the
 * eighth on a ReLU or a maximum of two equal values falls the other way, as it does
 * between two ISAs. */
static void command(char *line, size_t size, const char *before, const char *out,
                    const char *more)
{
    snprintf(line, size,
             "%s%s/vbg-train segment -q --data %s/people --val-data %s/people --size "
             "64x64 --arch bisenetv1 --width 0.125 --head 8 --augment flip --precision "
             "f32 --store f32 --optimizer sgd --lr 0.01 -t 1 --sample-every 100000 "
             "--out %s/%s %s",
             before, program_dir(), scratch_dir(), scratch_dir(), scratch_dir(), out,
             more);
}

/* Largest difference of two checkpoints' values and statistics of a component, relative
 * to the largest value: what sums round away is as large as gradients are, however small
 * the value. */
static double difference(const char *a, const char *b, const char *component)
{
    vbg_weights *x, *y;
    vbg_err err = { 0 };
    double most = 0, size = 0;

    cr_assert(vbg_weights_open(&x, a, &err) == VBG_OK, "%s", err.text);
    cr_assert(vbg_weights_open(&y, b, &err) == VBG_OK, "%s", err.text);
    for (size_t i = 0; i < vbg_weights_count(x); i++) {
        const vbg_entry *e = vbg_weights_at(x, i);
        const vbg_entry *f = vbg_weights_find(y, e->component, e->name);
        cr_assert(f && f->bytes == e->bytes, "%s", e->name);
        if (strcmp(e->component, component) != 0)
            continue;
        for (size_t k = 0; k < e->bytes / 4; k++) {
            const double u = (double)((const float *)e->data)[k];
            most = fmax(most, fabs(u - (double)((const float *)f->data)[k]));
            size = fmax(size, fabs(u));
        }
    }
    vbg_weights_close(x);
    vbg_weights_close(y);
    return most / size;
}

Test(ranks, statistics_of_all)
{
    char line[2400];

    if (!have_ranks()) {
        cr_log_warn("skipped: no Open MPI here or not in this build");
        return;
    }
    write_people("people", 8);
    command(line, sizeof line, "", "one", "--batch 4 --steps 4");
    cr_assert(system(line) == 0);
    command(line, sizeof line, MPIRUN, "two", "--batch 2 --steps 4");
    cr_assert(system(line) == 0);
    const double d =
        difference(in_scratch("one/last.vbg"), in_scratch("two/last.vbg"), "segmenter");
    cr_assert_leq(d, 1e-5, "%g", d);
}

/* A step of generators, which have no batch norms: AdamW and all losses of the defaults,
 * those that count cells and the critic's loudness included. */
static void generator(const char *before, const char *command, const char *out,
                      const char *more)
{
    const char *dir = scratch_dir();
    char line[2400];

    snprintf(line, sizeof line,
             "cd %s && %s%s/vbg-train %s -q -d data --precision f32 -b 2 --steps 6 "
             "--warmup 1 -t 1 --sample-every 100000 --out %s %s",
             dir, before, program_dir(), command, out, more);
    cr_assert(system(line) == 0, "%s", line);
}

Test(ranks, generators)
{
    static const struct {
        const char *command, *component;
    } cases[] = {
        { "base vae --config vae.json --crop 32 --val-crop 32 --gan 0.1", "vae" },
        { "base text+unet --vae vae/model.vbg --config unet.json --size 64", "unet" },
    };

    if (!have_ranks()) {
        cr_log_warn("skipped: no Open MPI here or not in this build");
        return;
    }
    make_data();
    for (int i = 0; i < 2; i++) {
        char one[64], two[64], a[300], b[300];
        snprintf(one, sizeof one, "one%d", i);
        snprintf(two, sizeof two, "two%d", i);
        generator("", cases[i].command, one, "--accumulate 2");
        generator(MPIRUN, cases[i].command, two, "");
        snprintf(a, sizeof a, "%s/%s/last.vbg", scratch_dir(), one);
        snprintf(b, sizeof b, "%s/%s/last.vbg", scratch_dir(), two);
        const double d = difference(a, b, cases[i].component);
        cr_assert_leq(d, 1e-5, "%s: %g", cases[i].component, d);
    }
}

/* A child process of parent, or 0. */
static pid_t child_of(pid_t parent)
{
    DIR *proc = opendir("/proc");
    struct dirent *e;
    pid_t found = 0;

    while (proc && !found && (e = readdir(proc)) != NULL) {
        char path[300], text[512] = "";
        int ppid = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        FILE *f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (!f)
            continue;
        const char *name = fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
        if (name && sscanf(name, ") %*c %d", &ppid) == 1 && ppid == parent)
            found = atoi(e->d_name);
        fclose(f);
    }
    if (proc)
        closedir(proc);
    return found;
}

/* What was said on stderr: that a process died, and where the checkpoint is. */
static void one_line(const char *last)
{
    char text[4096] = "";
    FILE *f = fopen(in_scratch("said"), "r");

    cr_assert(f && fread(text, 1, sizeof text - 1, f) > 0, "nothing was said");
    cr_assert(strstr(text, "of 2 died at step") && strstr(text, last), "%s", text);
    cr_assert_eq(strchr(text, '\n') + 1 - text, (ptrdiff_t)strlen(text), "%s", text);
    fclose(f);
}

Test(ranks, a_process_that_dies_ends_all)
{
    char line[2400];
    char last[256];
    vbg_err err = { 0 };
    vbg_weights *w;
    int status = 0;

    if (!have_ranks()) {
        cr_log_warn("skipped: no Open MPI here or not in this build");
        return;
    }
    write_people("people", 8);
    snprintf(last, sizeof last, "%s/dies/last.vbg", scratch_dir());
    command(line, sizeof line, MPIRUN, "dies",
            "--batch 2 --steps 1000000 --save-every 2 --val-every 1000000 2>said");
    const pid_t job = fork();
    if (job == 0) {
        if (chdir(scratch_dir()) != 0)
            _exit(127);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 3000 && access(last, R_OK) != 0; i++)
        usleep(20000);
    cr_assert(access(last, R_OK) == 0, "no checkpoint");
    const pid_t rank = child_of(job);
    cr_assert(rank > 0);
    cr_assert(kill(rank, SIGKILL) == 0);
    cr_assert(waitpid(job, &status, 0) == job);
    cr_assert(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
    one_line(last);
    cr_assert(vbg_weights_open(&w, last, &err) == VBG_OK, "%s", err.text);
    cr_assert(vbg_weights_verify(w, &err) == VBG_OK, "%s", err.text);
    int64_t step = 0;
    cr_assert(vbg_weights_int(w, "train.step", &step) && step >= 2);
    vbg_weights_close(w);
    char more[64];
    snprintf(more, sizeof more, "--batch 2 --steps %lld --resume", (long long)step + 2);
    command(line, sizeof line, "", "dies", more);
    cr_assert(system(line) == 0, "it goes on alone");
}

/* How often a word stands in what was said. */
static int times_said(const char *word)
{
    char text[2000];
    int times = 0;
    FILE *f = fopen(in_scratch("said"), "r");

    cr_assert(f);
    while (fgets(text, sizeof text, f))
        times += strstr(text, word) != NULL;
    fclose(f);
    return times;
}

Test(ranks, say_everything_once)
{
    char line[2400], *quiet;

    if (!have_ranks()) {
        cr_log_warn("skipped: no Open MPI here or not in this build");
        return;
    }
    write_people("people", 4);
    command(line, sizeof line, MPIRUN, "once", "--batch 2 --steps 1 2>");
    quiet = strstr(line, " -q ");
    cr_assert(quiet != NULL);
    memset(quiet, ' ', 4);
    strcat(line, in_scratch("said"));
    cr_assert(system(line) == 0);
    cr_assert_eq(times_said("pairs to train on"), 1);
    cr_assert_eq(times_said("values and moments"), 1);
}
