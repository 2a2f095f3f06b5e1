/* Oracles of the family group "files": broken safetensors through the program, and the
 * one model in many layouts. */
#define _GNU_SOURCE
#include "tests/golden/golden.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/golden/files_same.h"
#include "tests/run_program.h"

/* vbg-convert --list FILE must end as the verdict says. */
static void judge_file(golden *g, const char *path, const char *name, const char *verdict,
                       long base_kib)
{
    char program[1100];
    const char *argv[] = { program_beside(program, sizeof program, "vbg-convert"),
                           "--list", path, NULL };
    program_result r = run_program(argv);
    bool accept = strcmp(verdict, "accept") == 0, reject = strcmp(verdict, "reject") == 0;
    bool one_line = r.lines == 1 && r.clean && strlen(r.text) <= 300 + strlen(path);
    bool ok = (r.code == 0 && !reject) || (r.code == 1 && !accept && one_line);

    if (!built_with_sanitizer() && (r.seconds > 5 || r.rss_kib > base_kib + 65536))
        ok = false;
    if (!ok)
        golden_fail(g, "%s (%s): exit %d, %zu lines, %.2f s, %ld KiB: %.120s", name,
                    verdict, r.code, r.lines, r.seconds, r.rss_kib, r.text);
    golden_verdict(g, name, ok ? 0 : 1, 0, ok);
}

/* All entries of one list; a value without "bytes" is a group of further entries. */
static void judge_list(golden *g, json_t *list, const char *verdict, const char *folder,
                       long base_kib)
{
    const char *name;
    json_t *value;
    char sub[400];

    json_object_foreach(list, name, value)
    {
        size_t n = strlen(name);
        if (json_is_object(value) && !json_object_get(value, "bytes")) {
            snprintf(sub, sizeof sub, "%.180s/%.180s", folder, name);
            judge_list(g, value, name[0] == '_' ? "either" : verdict, sub, base_kib);
            continue;
        }
        if (n < 12 || strcmp(name + n - 12, ".safetensors") != 0)
            continue; /* .pth files belong to a later issue */
        const char *path = golden_path(g, "%s/%s", folder, name);
        if (access(path, R_OK) < 0)
            path = golden_path(g, "%s/%s", golden_stem(g), name);
        judge_file(g, path, name, strncmp(name, "_flips/", 7) == 0 ? "either" : verdict,
                   base_kib);
    }
}

static void run_malformed(golden *g)
{
    char program[1100];
    const char *argv[] = { program_beside(program, sizeof program, "vbg-convert"),
                           "--version", NULL };
    program_result base = run_program(argv);

    if (base.code != 0) {
        golden_fail(g, "%s does not run (exit %d)", program, base.code);
        return;
    }
    judge_list(g, json_object_get(golden_json(g), "good"), "accept", golden_stem(g),
               base.rss_kib);
    judge_list(g, json_object_get(golden_json(g), "bad"), "reject", golden_stem(g),
               base.rss_kib);
}

const golden_family golden_families_files[] = {
    { "seg/malformed", run_malformed },
    { "checkpoint/tiny_sd2", files_tiny_sd2 },
    { "checkpoint/tiny_sd2_ldm", files_tiny_sd2_ldm },
    { "checkpoint/tiny_sd2_sharded", files_tiny_sd2_sharded },
    { "checkpoint/tiny_sd2_vae_newnames", files_tiny_sd2_vae_newnames },
    { "checkpoint/tiny_sd2_mvd", files_tiny_sd2_mvd },
    { NULL, NULL },
};
