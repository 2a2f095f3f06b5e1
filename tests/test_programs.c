/* All programs as a careless user meets them: help and generated texts, outputs that are
 * inputs, full disks, closed pipes, signals. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>

#include "engine/picture_io.h"
#include "tests/program.h"

static const char *const programs[] = { "vbg-gen", "vbg-run", "vbg-convert", "vbg-bench",
                                        "vbg-eval" };
enum { PROGRAMS = 5 };

/* Exit code of a shell command line; $BIN is the folder of the programs. */
static int shell(const char *line)
{
    setenv("BIN", program_dir(), 1);
    setenv("DIR", scratch_dir(), 1);
    int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A 2:1 picture of 128x64. */
static const char *write_panorama(const char *name)
{
    const char *path = in_scratch(name);
    vbg_picture p = { 0 };
    vbg_err err = { 0 };

    cr_assert_eq(vbg_picture_new(&p, 128, 64, 3, &err), VBG_OK, "%s", err.text);
    for (int y = 0; y < p.h; y++)
        for (int x = 0; x < 3 * p.w; x++)
            p.data[(size_t)y * p.stride + (size_t)x] = (uint8_t)(x + y);
    cr_assert_eq(vbg_picture_save(path, &p, NULL, 92, &err), VBG_OK, "%s", err.text);
    vbg_picture_free(&p);
    return path;
}

/* One line, the right code. */
static void refused(said s, int code, const char *says)
{
    cr_expect_eq(s.code, code, "code %d, not %d: %s", s.code, code, s.err);
    cr_expect_eq(s.err_lines, 1, "%s", s.err);
    cr_expect(strstr(s.err, says), "'%s' is not in: %s", says, s.err);
}

/* Entries of the scratch folder that begin with a dot or look temporary. */
static int leftovers(void)
{
    DIR *d = opendir(scratch_dir());
    int n = 0;

    cr_assert(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strstr(e->d_name, "tmp-") || (e->d_name[0] == '.' && strlen(e->d_name) > 2);
    closedir(d);
    return n;
}

static void longest_line(const char *text, int *lines, size_t *width)
{
    *lines = 0;
    *width = 0;
    while (*text) {
        size_t n = strcspn(text, "\n");
        *width = n > *width ? n : *width;
        ++*lines;
        text += n + (text[n] == '\n');
    }
}

Test(programs, help_fits_the_terminal, .fini = remove_scratch)
{
    for (int i = 0; i < PROGRAMS; i++) {
        int lines;
        size_t width;
        said s = RUN(programs[i], "--help");
        longest_line(s.out, &lines, &width);
        cr_expect(s.code == 0 && lines > 8 && lines <= 24 && width <= 80,
                  "%s --help: code %d, %d lines of %zu", programs[i], s.code, lines,
                  width);
        s = RUN(programs[i]);
        cr_expect(s.code == 2 && !s.out[0] && s.err_lines == lines, "%s: %d %s",
                  programs[i], s.code, s.err);
        s = RUN(programs[i], "--version");
        cr_expect(s.code == 0 && strncmp(s.out, "vbg ", 4) == 0, "%s", s.out);
        refused(RUN(programs[i], "--steeps"), 2, "unknown option --steeps");
        refused(RUN(programs[i], "--\033[31m"), 2, "\\x1b[31m");
        refused(RUN(programs[i], "--threads", "-1"), 2, "0..1024");
        refused(RUN(programs[i], "--isa", "sse"), 2, "--isa takes one of");
    }
}

Test(programs, generated_texts, .fini = remove_scratch)
{
    static const char *const kinds[] = { "man", "complete-bash", "complete-zsh",
                                         "complete-fish", "config" };

    for (int i = 0; i < PROGRAMS; i++)
        for (int k = 0; k < 5; k++) {
            said s = RUN(programs[i], "--generate", kinds[k]);
            cr_expect(s.code == 0 && strlen(s.out) > 200 && !s.err[0],
                      "%s --generate %s: %d", programs[i], kinds[k], s.code);
            if (k != 3)
                continue;
            for (char c = 'A'; c <= 'z'; c++) { /* each letter means one option */
                char letter[] = { ' ', '-', 's', ' ', c, ' ', 0 };
                const char *first = strstr(s.out, letter);
                cr_expect(!first || !strstr(first + 1, letter), "%s: two options -%c",
                          programs[i], c);
            }
        }
}

Test(programs, standard_output, .fini = remove_scratch)
{
    cr_expect_eq(shell("$BIN/vbg-gen --help-all >/dev/full 2>/dev/null"), 1);
    cr_expect_eq(shell("$BIN/vbg-gen --help-all >&-"), 0);
    cr_expect_eq(shell("($BIN/vbg-gen --generate man; echo $? >$DIR/code) | true; "
                       "exit $(cat $DIR/code)"),
                 0);
}

Test(programs, outputs_are_no_inputs, .fini = remove_scratch)
{
    const char *pano = write_panorama("p.png"), *hard = in_scratch("hard.png");
    const char *soft = in_scratch("soft.png");
    size_t before, after;

    cr_assert(link(pano, hard) == 0 && symlink(pano, soft) == 0);
    free(slurp(pano, &before));
    refused(RUN("vbg-gen", "view", pano, "-o", pano), 2, "overwrite an input");
    refused(RUN("vbg-gen", "view", pano, "-o", hard), 2, "overwrite an input");
    refused(RUN("vbg-gen", "view", pano, "-o", soft), 2, "overwrite an input");
    refused(RUN("vbg-gen", "view", soft, "-o", pano), 2, "overwrite an input");
    refused(RUN("vbg-gen", "--replay", pano, "-o", hard), 2, "overwrite an input");
    refused(RUN("vbg-gen", "--text", "a", "--model", pano, "-o", in_scratch("x.png"),
                "--dump", pano),
            2, "overwrite an input");
    refused(RUN("vbg-gen", "--text", "a", "-o", in_scratch("x.png"), "--html",
                in_scratch("../nowhere/../x.png")),
            1, "x.png");
    refused(RUN("vbg-gen", "--text", "a", "-o", in_scratch("x.png"), "--dump",
                in_scratch("./x.png")),
            2, "the same file");
    refused(RUN("vbg-run", "-i", pano, "-b", "blur", "--chroma", "green", "-o", soft), 2,
            "overwrite an input");
    refused(RUN("vbg-convert", pano, "-o", hard), 2, "same file");
    free(slurp(pano, &after));
    cr_expect_eq(before, after);
}

Test(programs, places_that_cannot_be_written, .fini = remove_scratch)
{
    const char *pano = write_panorama("p.png"), *out = in_scratch("x.png");

    refused(RUN("vbg-gen", "view", pano, "-o", "/dev/full"), 1, "not a regular file");
    refused(RUN("vbg-gen", "view", pano, "-o", scratch_dir()), 1, "folder");
    refused(RUN("vbg-gen", "view", pano, "-o", in_scratch("no/x.html")), 1,
            "cannot write");
    refused(RUN("vbg-gen", "--text", "a", "--views", pano, "-o", out), 1, "no folder");
    refused(RUN("vbg-gen", "--text", "a", "--dump", "/dev/full", "-o", out), 1,
            "not a regular file");
    refused(RUN("vbg-gen", "--text", "a", "--size", "256x100", "-o", out), 2,
            "twice as wide");
    refused(RUN("vbg-gen", "--replay", pano, "--seed", "1", "-o", out), 2,
            "leave --seed out");
    refused(RUN("vbg-run", "-i", pano, "-b", "blur", "--chroma", "green", "-o",
                in_scratch("no/x.png")),
            1, "x.png");
    cr_expect_eq(leftovers(), 0);
    cr_expect_neq(access(out, F_OK), 0);
}

Test(programs, contradictions, .fini = remove_scratch)
{
    const char *out = in_scratch("x.vbg");

    refused(RUN("vbg-convert", "a", "--list", "-o", out), 2, "exclude each other");
    refused(RUN("vbg-convert", "a", "--list", "--verify"), 2, "exclude each other");
    refused(RUN("vbg-convert", "a", "--json", "-o", out), 2, "--json goes with --list");
    refused(RUN("vbg-run", "-i", "a", "-b", "blur", "--text", "b", "-o", "c.mp4"), 2,
            "exclude each other");
    refused(RUN("vbg-run", "-i", "a", "-b", "blur", "--mask", "m", "--chroma", "green",
                "-o", "c.mp4"),
            2, "exclude each other");
    refused(RUN("vbg-eval", "iou"), 2, "vbg-eval iou");
    refused(RUN("vbg-bench", "nothing"), 2, "no bench");
}

Test(programs, names_with_control_characters, .fini = remove_scratch)
{
    const char *pano = write_panorama("p.png");
    said s = RUN("vbg-run", "-i", pano, "-b", "blur", "--chroma", "green", "-o",
                 in_scratch("x\033[31m\302\233.png"));

    cr_expect_eq(s.code, 0, "%s", s.err);
    cr_expect(strstr(s.err, "x\\x1b[31m\\xc2\\x9b.png"), "%s", s.err);
    cr_expect_eq(
        shell("NO_COLOR=1 $BIN/vbg-gen --info $DIR/p.png 2>&1 | grep -q \"$(printf "
              "'\\033')\""),
        1);
}

/* Self-contained, no path of this machine, the name escaped. */
Test(programs, room_page, .fini = remove_scratch)
{
    const char *page = in_scratch("p.html");
    size_t n;
    said s = RUN("vbg-gen", "view", write_panorama("a<b>&.png"), "-o", page);

    cr_assert_eq(s.code, 0, "%s", s.err);
    char *text = (char *)slurp(page, &n);
    cr_assert(text && n > 4000);
    text[n - 1] = 0;
    cr_expect(strstr(text, "<title>a&lt;b&gt;&amp;.png</title>"));
    cr_expect(strstr(text, "default-src 'none'"));
    cr_expect(!strstr(text, scratch_dir()) && !strstr(text, "http:") &&
              !strstr(text, "https:"));
    cr_expect(strstr(text, "left:0.000000,width:1.000000"));
    free(text);
}

/* Two signals: the clip is dropped at once and nothing stays behind.  The clip comes
 * through a pipe that stays open. */
Test(programs, second_signal_leaves_nothing, .fini = remove_scratch, .timeout = 30)
{
    static const char head[] = "YUV4MPEG2 W64 H64 F25:1 Ip A1:1 C420jpeg\n";
    static unsigned char frame[6 + 64 * 64 * 3 / 2] = "FRAME\n";
    char path[1200];
    int in[2], status;

    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    snprintf(path, sizeof path, "%s/vbg-run", program_dir());
    const char *out = in_scratch("x.y4m");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        execl(path, path, "-q", "-i", "-", "-b", "blur", "--chroma", "green", "-o", out,
              (char *)NULL);
        _exit(127);
    }
    cr_assert_eq(write(in[1], head, sizeof head - 1), (ssize_t)sizeof head - 1);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(write(in[1], frame, sizeof frame), (ssize_t)sizeof frame);
    usleep(1000 * 1000);
    kill(pid, SIGINT);
    usleep(100 * 1000);
    kill(pid, SIGINT);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    close(in[0]);
    close(in[1]);
    /* killed, or already through with its five frames */
    cr_expect(WIFSIGNALED(status) ? WTERMSIG(status) == SIGINT
                                  : WEXITSTATUS(status) == 128 + SIGINT,
              "%x", status);
    int unnamed = open(scratch_dir(), O_TMPFILE | O_RDWR, 0600);
    if (unnamed >= 0) /* else the file system has no unnamed files */
        cr_expect_eq(leftovers(), 0);
    close(unnamed);
    if (WIFSIGNALED(status))
        cr_expect_neq(access(out, F_OK), 0);
}
