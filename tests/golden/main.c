/* check-golden DIR...: runs every oracle below DIR.
 *
 * DIR is the whole golden folder (it holds tolerances.json) or one of its family
 * folders (tolerances.json is then in it or one level up).  VBG_ISA caps the
 * instruction set; -f TEXT runs only oracles whose key holds TEXT. */
#define _GNU_SOURCE
#include "tests/golden/golden_internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const golden_family *const groups[] = {
    golden_families_mvd,        golden_families_seg,       golden_families_flow,
    golden_families_picture,    golden_families_clip,      golden_families_checkpoint,
    golden_families_segmenters, golden_families_files,     golden_families_optim,
    golden_families_train,      golden_families_train_seg, golden_families_style,
};

typedef struct totals {
    int passed, failed, skipped;
    const char *filter;
    vbg_isa isa;
} totals;

static const golden_family *find_family(const char *key)
{
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        for (const golden_family *f = groups[i]; f->key; f++)
            if (strcmp(f->key, key) == 0)
                return f;
    return NULL;
}

static void open_parts(golden *g, const char *dir, const char *stem)
{
    char path[1024];
    vbg_err err = { 0 };
    json_error_t jerr;

    snprintf(g->dir, sizeof g->dir, "%s", dir);
    snprintf(g->stem, sizeof g->stem, "%s", stem);
    const char *cut = strrchr(stem, '_');
    snprintf(g->suffix, sizeof g->suffix, "%s", cut ? cut + 1 : "");
    snprintf(path, sizeof path, "%s/%s.json", dir, stem);
    if (access(path, R_OK) == 0) {
        g->json = json_load_file(path, JSON_ALLOW_NUL, &jerr);
        if (!g->json)
            golden_fail(g, "%s.json: %s", stem, jerr.text);
    }
    snprintf(path, sizeof path, "%s/%s.safetensors", dir, stem);
    if (access(path, R_OK) == 0 && vbg_st_open(&g->data, path, &err) != VBG_OK)
        golden_fail(g, "%s", err.text);
}

static void forget_outputs(golden *g)
{
    free(g->outs);
    free(g->numbers);
    g->outs = g->numbers = NULL;
    g->nouts = g->nnumbers = 0;
}

static void close_parts(golden *g)
{
    forget_outputs(g);
    for (size_t i = 0; i < g->nmemory; i++)
        free(g->memory[i]);
    free(g->memory);
    vbg_ctx_free(g->ctx);
    vbg_st_close(g->data);
    json_decref(g->json);
}

static void print_line(const golden *g, const char *key, double seconds, totals *t)
{
    char label[420];

    snprintf(label, sizeof label, "%s_%s", key, g->suffix);
    if (g->skipped && !g->failed) {
        printf("%-38s SKIP: %s\n", label, g->skip_reason);
        t->skipped++;
    } else if (g->failed || g->checks == 0) {
        printf("%-38s FAIL  (%s)\n", label,
               g->nnotes ? g->notes[0] : "nothing was checked");
        t->failed++;
    } else {
        printf("%-38s error %.3g  limit %.3g  ok   (%s, worst of %zu checks, %.1f s)\n",
               label, g->worst_error, g->worst_limit, g->worst, g->checks, seconds);
        t->passed++;
    }
    for (int i = g->failed ? 1 : 0; i < g->nnotes; i++)
        printf("    %s\n", g->notes[i]);
    if (g->nleft_out)
        printf("    SKIP: %zu optional tensors left out: %s ...\n", g->nleft_out,
               g->left_out);
    fflush(stdout);
}

/* Whether vbg is to compute a family of this tag already; others are left for later. */
static bool is_due(const char *issue)
{
    return !issue || strcmp(issue, "inference") == 0 || strcmp(issue, "training") == 0;
}

static void run_one(const char *dir, const char *stem, const char *key, json_t *family,
                    totals *t)
{
    const char *issue = json_string_value(json_object_get(family, "issue"));
    const golden_family *f = find_family(key);
    golden g = { .family = family, .isa = t->isa };
    double start = vbg_now();

    if (t->filter && !strstr(key, t->filter))
        return;
    open_parts(&g, dir, stem);
    if (!f && !is_due(issue)) {
        golden_skip(&g, "belongs to a later issue (%s)", issue);
    } else if (!f) {
        golden_fail(&g, "no program computes this family");
    } else if (!g.failed) {
        f->run(&g);
        golden_judge(&g);
        if (json_object_get(family, "own_geometry") && !g.skipped) {
            forget_outputs(&g);
            g.own = true;
            f->run(&g);
            golden_judge(&g);
        }
    }
    print_line(&g, key, vbg_now() - start, t);
    close_parts(&g);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* stem = name without extension; key = set/stem before the last '_' (with the
 * extension when tolerances.json has that). */
static json_t *look_up(json_t *families, const char *set, const char *file, char *stem,
                       char *key, size_t size)
{
    const char *dot = strrchr(file, '.');
    size_t n = dot && dot != file ? (size_t)(dot - file) : strlen(file);

    snprintf(stem, size, "%.*s", (int)n, file);
    char *cut = strrchr(stem, '_');
    if (!cut)
        return NULL;
    snprintf(key, size, "%s/%.*s%s", set, (int)(cut - stem), stem, dot ? dot : "");
    json_t *f = json_object_get(families, key);
    if (f)
        return f;
    snprintf(key, size, "%s/%.*s", set, (int)(cut - stem), stem);
    return json_object_get(families, key);
}

static void run_set(const char *dir, const char *set, json_t *families, totals *t)
{
    struct dirent **list;
    int n = scandir(dir, &list, NULL, by_name);
    char seen[256][200], stem[200], key[200], id[200];
    int nseen = 0;

    for (int i = 0; i < n; i++) {
        json_t *f = look_up(families, set, list[i]->d_name, stem, key, sizeof stem);
        bool again = false;
        snprintf(id, sizeof id, "%.120s|%.70s", key, stem);
        for (int k = 0; f && k < nseen; k++)
            again |= strcmp(seen[k], id) == 0;
        if (f && !again && nseen < 256) {
            strcpy(seen[nseen++], id);
            run_one(dir, stem, key, f, t);
        }
        free(list[i]);
    }
    if (n >= 0)
        free(list);
}

static const char *const sets[] = { "mvd", "seg", "clip", "checkpoint", "segmenters" };

enum { SETS = sizeof sets / sizeof *sets };

static json_t *load_tolerances(const char *dir)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/tolerances.json", dir);
    json_t *j = json_load_file(path, 0, NULL);
    snprintf(path, sizeof path, "%s/../tolerances.json", dir);
    return j ? j : json_load_file(path, 0, NULL);
}

/* Runs the sets that are folders of dir; how many there were. */
static int run_folders(const char *dir, json_t *families, totals *t)
{
    char path[1024];
    struct stat st;
    int found = 0;

    for (int i = 0; i < SETS; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, sets[i]);
        if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
            continue;
        run_set(path, sets[i], families, t);
        found++;
    }
    return found;
}

/* A folder of one set, known by its name; under another name every set is tried. */
static void run_family_folder(const char *dir, json_t *families, totals *t)
{
    char real[4096];
    const char *name = realpath(dir, real) ? strrchr(real, '/') + 1 : dir;
    bool known = false;

    for (int i = 0; i < SETS; i++)
        known |= strcmp(sets[i], name) == 0;
    for (int i = 0; i < SETS; i++)
        if (!known || strcmp(sets[i], name) == 0)
            run_set(dir, sets[i], families, t);
}

static bool run_dir(const char *dir, totals *t)
{
    json_t *tol = load_tolerances(dir);
    json_t *families = json_object_get(tol, "families");

    if (!families) {
        fprintf(stderr, "check-golden: %s: no tolerances.json in it or above it\n", dir);
        return false;
    }
    if (run_folders(dir, families, t) == 0)
        run_family_folder(dir, families, t);
    json_decref(tol);
    return true;
}

int main(int argc, char **argv)
{
    totals t = { .isa = VBG_ISA_BEST };
    const char *isa = getenv("VBG_ISA");
    bool ok = true;

    if (isa && !vbg_isa_parse(&t.isa, isa)) {
        fprintf(stderr, "check-golden: VBG_ISA=%s is unknown\n", isa);
        return 2;
    }
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "-f") == 0)
            t.filter = argv[i + 1];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-f") == 0)
            i++;
        else
            ok &= run_dir(argv[i], &t);
    }
    printf("oracles: %d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped);
    return ok && t.failed == 0 ? 0 : 1;
}
