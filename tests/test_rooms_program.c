/* vbg-train rooms and vbg-train figure as a user meets them: files, resuming, several
 * processes, bad input, Ctrl-C. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <time.h>

#include "engine/picture_io.h"
#include "tests/program.h"

/* NULL: this build renders; else the test is over. */
static bool without_embree(const said *s)
{
    return strstr(s->err, "no Embree") != NULL;
}

static bool there(const char *dir, const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, R_OK) == 0;
}

static bool same_file(const char *a, const char *b, const char *name)
{
    char pa[512], pb[512];
    size_t na, nb;

    snprintf(pa, sizeof pa, "%s/%s", a, name);
    snprintf(pb, sizeof pb, "%s/%s", b, name);
    unsigned char *da = slurp(pa, &na), *db = slurp(pb, &nb);
    const bool same = da && db && na == nb && memcmp(da, db, na) == 0;
    free(da);
    free(db);
    return same;
}

#define ROOMS(...)                                                                       \
    RUN("vbg-train", "rooms", "--quality", "preview", "-w", "256", __VA_ARGS__)

/* Two processes make what one makes; what is there is not made again; what is missing of
 * it is. */
Test(rooms_program, parts_resume_and_agree, .timeout = 240, .fini = remove_scratch)
{
    char all[300], part[300], path[400];

    snprintf(all, sizeof all, "%s", in_scratch("all"));
    snprintf(part, sizeof part, "%s", in_scratch("part"));
    said s = ROOMS("-o", all, "-n", "3", "-s", "4", "-k", "bathroom,corridor");
    if (without_embree(&s))
        return;
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = ROOMS("-o", part, "-n", "1", "--first", "2", "-s", "4", "-k",
              "bathroom,corridor");
    cr_assert_eq(s.code, 0, "%s", s.err);
    static const char *const files[] = { "000002.jpg", "000002.txt", "000002.json",
                                         "000002.depth.png", "000002.label.png" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        cr_assert(same_file(all, part, files[i]), "%s", files[i]);
    snprintf(path, sizeof path, "%s/000001.jpg", all);
    cr_assert_eq(unlink(path), 0);
    s = ROOMS("-o", all, "-n", "3", "-s", "4", "-k", "bathroom,corridor", "--threads",
              "1");
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(strstr(s.err, "2 were there already"), "%s", s.err);
    cr_assert(there(all, "000001.jpg"));
}

/* Eight pictures with a sentence each, no panorama. */
Test(rooms_program, views, .timeout = 240, .fini = remove_scratch)
{
    const char *dir = in_scratch("views");
    const said s = RUN("vbg-train", "rooms", "--quality", "preview", "--views", "-o", dir,
                       "-n", "1", "-s", "2", "-k", "bathroom", "--no-truth");

    if (without_embree(&s))
        return;
    cr_assert_eq(s.code, 0, "%s", s.err);
    for (int k = 0; k < 8; k++) {
        char name[64], path[400];
        int w, h;
        vbg_picture_info info = { 0 };
        snprintf(name, sizeof name, "000000_%03d.txt", 45 * k);
        cr_assert(there(dir, name), "%s", name);
        snprintf(path, sizeof path, "%s/000000_%03d.jpg", dir, 45 * k);
        cr_assert_eq(vbg_picture_read_info(&info, &w, &h, path, NULL), VBG_OK, "%s",
                     path);
        cr_assert(w == 512 && h == 512);
        vbg_picture_info_free(&info);
    }
    cr_assert_not(there(dir, "000000.jpg"));
    cr_assert_not(there(dir, "000000.depth.png"));
}

/* --held-out only makes what training never sees. */
Test(rooms_program, held_out_only, .timeout = 240, .fini = remove_scratch)
{
    const char *dir = in_scratch("held");
    char path[400];
    const said s = ROOMS("-o", dir, "-n", "1", "-s", "3", "--held-out", "only", "-k",
                         "living_room", "--no-truth");

    if (without_embree(&s))
        return;
    cr_assert_eq(s.code, 0, "%s", s.err);
    snprintf(path, sizeof path, "%s/000000.json", dir);
    json_t *j = json_load_file(path, 0, NULL);
    cr_assert(j && json_is_true(json_object_get(j, "held_out")));
    json_decref(j);
}

Test(rooms_program, high_quality, .timeout = 300, .fini = remove_scratch)
{
    const char *dir = in_scratch("high");
    const said s = RUN("vbg-train", "rooms", "--quality", "high", "-w", "256", "-o", dir,
                       "-n", "1", "-s", "2", "-k", "corridor", "--no-truth");

    if (without_embree(&s))
        return;
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(there(dir, "000000.jpg") && there(dir, "000000.txt"));
}

/* One line, what is wrong and where; nothing is left behind. */
Test(rooms_program, bad_input, .fini = remove_scratch)
{
    const char *file = in_scratch("file");
    static const struct {
        const char *argv[10];
        int code;
        const char *says;
    } cases[] = {
        { { "vbg-train", "rooms" }, 2, NULL },
        { { "vbg-train", "rooms", "-n", "2" }, 2, "--out" },
        { { "vbg-train", "rooms", "-o", "x", "-k", "sauna" }, 2, "sauna" },
        { { "vbg-train", "rooms", "-o", "x", "-w", "300" }, 2, "300" },
        { { "vbg-train", "rooms", "-o", "x", "--quality", "best" }, 2, "best" },
        { { "vbg-train", "rooms", "-o", "/nonexistent/x", "-n", "1" },
          1,
          "/nonexistent/x" },
        { { "vbg-train", "figure", "-n", "2" }, 2, "--out" },
        { { "vbg-train", "figure", "-o", "x" }, 2, "--stills" },
        { { "vbg-train", "figure", "-o", "x", "-n", "1", "-c", "1" }, 2, "--clips" },
        { { "vbg-train", "figure", "-o", "x", "-n", "1", "-k", "sauna" }, 2, "sauna" },
        { { "vbg-train", "figure", "-o", "x", "-n", "1", "-b", "/nonexistent" },
          1,
          "/nonexistent" },
        { { "vbg-train", "figure", "-o", "/nonexistent/x", "-n", "1" },
          1,
          "/nonexistent/x" },
        { { "vbg-train", "figure", "-o", "x", "-n", "1", "--size", "8x8" }, 2, "8x8" },
    };

    fclose(fopen(file, "w"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const said s = run_program(cases[i].argv);
        if (without_embree(&s)) {
            cr_assert_eq(s.code, 1);
            continue;
        }
        cr_assert_eq(s.code, cases[i].code, "case %zu: %d %s", i, s.code, s.err);
        if (cases[i].says) {
            cr_assert(strstr(s.err, cases[i].says), "case %zu: %s", i, s.err);
            cr_assert_eq(s.err_lines, 1, "case %zu: %s", i, s.err);
        }
        cr_assert_neq(access("x", F_OK), 0, "case %zu left a folder", i);
    }
}

/* Stills come with masks of their size, one process or two; a folder of photos serves. */
Test(rooms_program, figure_stills, .timeout = 240, .fini = remove_scratch)
{
    char people[300], part[300], back[300], path[400];
    vbg_picture p;

    snprintf(people, sizeof people, "%s", in_scratch("people"));
    snprintf(part, sizeof part, "%s", in_scratch("part"));
    snprintf(back, sizeof back, "%s", in_scratch("back"));
    mkdir(back, 0700);
    cr_assert_eq(vbg_picture_new(&p, 120, 80, 3, NULL), VBG_OK);
    memset(p.data, 140, p.stride * 80);
    snprintf(path, sizeof path, "%s/wall.png", back);
    cr_assert_eq(vbg_picture_save(path, &p, NULL, 90, NULL), VBG_OK);
    vbg_picture_free(&p);
    said s = RUN("vbg-train", "figure", "-o", people, "-n", "2", "-s", "6", "-b", back,
                 "--size", "96x128");
    if (without_embree(&s))
        return;
    cr_assert_eq(s.code, 0, "%s", s.err);
    s = RUN("vbg-train", "figure", "-o", part, "-n", "1", "--first", "1", "-s", "6", "-b",
            back, "--size", "96x128", "--threads", "1");
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert(same_file(people, part, "000001.jpg"));
    cr_assert(same_file(people, part, "000001.mask.png"));
    snprintf(path, sizeof path, "%s/000000.mask.png", people);
    cr_assert_eq(vbg_picture_load(&p, NULL, path, 0, NULL), VBG_OK);
    cr_assert(p.w == 96 && p.h == 128 && p.channels == 1);
    vbg_picture_free(&p);
    /* photos cannot be turned in */
    s = RUN("vbg-train", "figure", "-o", part, "-c", "1", "-b", back, "--size", "96x64");
    cr_assert_eq(s.code, 2, "%s", s.err);
    cr_assert(strstr(s.err, "panoramas"), "%s", s.err);
    cr_assert_not(there(part, "000000.mp4") || there(part, "000000.csv"));
}

/* Ctrl-C: 130, and only whole files. */
Test(rooms_program, interrupt, .timeout = 240, .fini = remove_scratch)
{
    const char *dir = in_scratch("stop");
    char program[1200];
    int status;

    const said s = ROOMS("-o", in_scratch("probe"), "-n", "1", "-k", "bathroom");
    if (without_embree(&s))
        return;
    snprintf(program, sizeof program, "%s/vbg-train", program_dir());
    const char *const argv[] = { program,  "rooms", "-o",       dir,         "-n",
                                 "100000", "-k",    "bathroom", "--quality", "preview",
                                 "-w",     "256",   "--quiet",  NULL };
    pid_t pid;
    cr_assert_eq(
        posix_spawn(&pid, program, NULL, NULL, (char *const *)(uintptr_t)argv, environ),
        0);
    for (int i = 0; i < 1200 && !there(dir, "000001.jpg"); i++)
        nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    kill(pid, SIGINT);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 130, "%x", status);
    char path[400];
    vbg_picture p;
    snprintf(path, sizeof path, "%s/000001.jpg", dir);
    cr_assert_eq(vbg_picture_load(&p, NULL, path, 3, NULL), VBG_OK);
    vbg_picture_free(&p);
    char command[500];
    snprintf(command, sizeof command,
             "ls -A %s | grep -vE '^[0-9]{6}\\.(jpg|txt|json|depth\\.png|label\\.png)$'",
             dir);
    cr_assert_neq(system(command), 0, "something else was left");
}
