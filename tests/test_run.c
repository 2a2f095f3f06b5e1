/* vbg-run as a user meets it: small clips made here through every output, what stays
 * untouched, the marker room, and everything that can be wrong (one line, the right exit
 * code, nothing left behind). */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <signal.h>

#include "engine/picture_io.h"
#include "tests/malformed.h"
#include "tests/program.h"
#include "tests/texts.h"
#include "video/reader.h"

enum { W = 64, H = 48, FRAMES = 6 };

/* A y4m clip of one colour with a block in the middle of another. */
static void make_clip(const char *path, int w, int h, int frames, const uint8_t room[3],
                      const uint8_t person[3])
{
    FILE *f = fopen(path, "wb");

    cr_assert(f);
    fprintf(f, "YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL\n", w, h);
    for (int n = 0; n < frames; n++) {
        fputs("FRAME\n", f);
        for (int p = 0; p < 3; p++) {
            const int pw = p ? (w + 1) / 2 : w, ph = p ? (h + 1) / 2 : h;
            for (int y = 0; y < ph; y++)
                for (int x = 0; x < pw; x++) {
                    bool in = x >= pw / 4 && x < pw / 2 && y >= ph / 4 && y < ph / 2;
                    putc(in ? person[p] : room[p], f);
                }
        }
    }
    cr_assert_eq(fclose(f), 0);
}

static const uint8_t magenta[3] = { 105, 212, 234 }, gray[3] = { 100, 128, 128 },
                     white[3] = { 255, 128, 128 }, none[3] = { 0, 128, 128 };

static void make_pair(const char *clip, const char *mask, int mask_frames)
{
    make_clip(clip, W, H, FRAMES, magenta, gray);
    make_clip(mask, W, H, mask_frames, none, white);
}

/* Nothing but these names may lie in the scratch folder. */
static int strangers(const char *const *known)
{
    DIR *d = opendir(scratch_dir());
    struct dirent *e;
    int n = 0;

    cr_assert(d);
    while ((e = readdir(d))) {
        bool found = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        for (int i = 0; known[i] && !found; i++)
            found = strcmp(known[i], e->d_name) == 0;
        n += !found;
    }
    closedir(d);
    return n;
}

/* Pixels of the marker room (far from gray in chroma) in a frame. */
static int marker_pixels(const vbg_frame *f)
{
    int n = 0;

    for (int y = 0; y < (f->yuv.h + 1) / 2; y++)
        for (int x = 0; x < (f->yuv.w + 1) / 2; x++)
            n += abs(f->yuv.plane[1][(size_t)y * f->yuv.stride[1] + (size_t)x] - 128) > 8;
    return n;
}

/* The person where the mask is, bit by bit; the background elsewhere; frames kept. */
Test(run, composites, .fini = remove_scratch, .timeout = 60)
{
    const char *clip = in_scratch("clip.y4m"), *mask = in_scratch("mask.y4m");
    const char *out = in_scratch("out.y4m");
    vbg_reader *r;
    vbg_frame f;
    bool end = false;
    int frames = 0;

    make_pair(clip, mask, FRAMES);
    said s = RUN("vbg-run", "-i", clip, "--mask", mask, "-b", "#404040", "-o", out);
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert_eq(vbg_reader_open(&r, out, NULL), VBG_OK);
    cr_assert_eq(vbg_frame_new(&f, W, H, NULL), VBG_OK);
    while (vbg_reader_next(r, &f, &end, NULL) == VBG_OK && !end) {
        frames++;
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                bool in = x >= W / 4 && x < W / 2 && y >= H / 4 && y < H / 2;
                int v = f.yuv.plane[0][(size_t)y * f.yuv.stride[0] + (size_t)x];
                cr_assert_eq(v, in ? 100 : 64, "%d at %d,%d", v, x, y);
            }
        cr_assert_eq(marker_pixels(&f), 0);
    }
    cr_expect_eq(frames, FRAMES);
    vbg_reader_close(r);
    vbg_frame_free(&f);
}

/* The room is one colour that nobody else has.  The mask ends early: from then on the
 * background alone, not one pixel of the room. */
Test(run, never_a_raw_frame, .fini = remove_scratch, .timeout = 60)
{
    const char *clip = in_scratch("clip.y4m"), *mask = in_scratch("mask.y4m");
    const char *out = in_scratch("out.y4m");
    vbg_reader *r;
    vbg_frame f;
    bool end = false;
    int frames = 0;

    make_pair(clip, mask, 2);
    said s = RUN("vbg-run", "-i", clip, "--mask", mask, "-b", "#404040", "-o", out);
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_expect(strstr(s.err, "no mask for 4 frames"), "%s", s.err);
    cr_assert_eq(vbg_reader_open(&r, out, NULL), VBG_OK);
    cr_assert_eq(vbg_frame_new(&f, W, H, NULL), VBG_OK);
    while (vbg_reader_next(r, &f, &end, NULL) == VBG_OK && !end) {
        cr_assert_eq(marker_pixels(&f), 0, "frame %d", frames);
        int person = f.yuv.plane[0][(size_t)(H / 3) * f.yuv.stride[0] + W / 3];
        cr_expect_eq(person, frames < 2 ? 100 : 64, "frame %d: %d", frames, person);
        frames++;
    }
    cr_expect_eq(frames, FRAMES);
    vbg_reader_close(r);
    vbg_frame_free(&f);
}

/* A clip that brightens frame by frame: so does its sheet, from first to last. */
Test(run, sheet, .fini = remove_scratch, .timeout = 60)
{
    const char *clip = in_scratch("bright.y4m"), *out = in_scratch("sheet.png");
    enum { LONG = 50, SIDE = 32, CELL = 16 };
    static uint8_t plane[SIDE * SIDE * 3 / 2];
    vbg_picture p;
    FILE *f = fopen(clip, "wb");

    cr_assert(f);
    fprintf(f, "YUV4MPEG2 W%d H%d F25:1 C420jpeg\n", SIDE, SIDE);
    for (int i = 0; i < LONG; i++) {
        memset(plane, 128, sizeof plane);
        memset(plane, 20 + 4 * i, SIDE * SIDE);
        fputs("FRAME\n", f);
        cr_assert_eq(fwrite(plane, 1, sizeof plane, f), sizeof plane);
    }
    fclose(f);
    for (int n = 1; n <= 6; n += 5) {
        char count[8];
        int last = 0;
        snprintf(count, sizeof count, "%d", n);
        said s = RUN("vbg-run", "sheet", clip, "-o", out, "-n", count, "-w", "16");
        cr_assert_eq(s.code, 0, "%s", s.err);
        cr_assert_eq(vbg_picture_load(&p, NULL, out, 3, NULL), VBG_OK);
        cr_expect_eq(p.w, n == 1 ? CELL : 4 * CELL);
        cr_expect_eq(p.h, n == 1 ? CELL : 2 * CELL);
        for (int i = 0; i < n; i++) {
            const int v = vbg_picture_row(&p, i / 4 * CELL + 8)[(i % 4 * CELL + 8) * 3];
            cr_expect_gt(v, last, "cell %d of %d", i, n);
            last = v;
        }
        vbg_picture_free(&p);
    }
    cr_expect_eq(RUN("vbg-run", "sheet", "-o", out).code, 2);
    cr_expect_eq(RUN("vbg-run", "sheet", clip, "-o", clip).code, 2);
    cr_expect_eq(RUN("vbg-run", "sheet", out, "-o", in_scratch("b.png")).code, 1);
    said s = RUN("vbg-run", "sheet", "/nonexistent.mp4", "-o", out);
    cr_expect(s.code == 1 && s.err_lines == 1, "%s", s.err);
}

Test(run, chroma_key_and_outputs, .fini = remove_scratch, .timeout = 100)
{
    static const char *const names[] = { "o.mp4", "o.mkv", "o.gif", "o.y4m" };
    const char *clip = in_scratch("clip.y4m");

    make_clip(clip, 63, 47, FRAMES, magenta, gray); /* odd sizes too */
    for (int i = 0; i < 4; i++) {
        const char *out = in_scratch(names[i]);
        said s = RUN("vbg-run", "-i", clip, "--chroma", "#ff00ff", "-b", "blue", "-o",
                     out, "--grow", "1", "--close", "1", "--feather", "3");
        if (i < 3 && strstr(s.err, "libav"))
            continue; /* built without */
        cr_expect_eq(s.code, 0, "%s: %s", names[i], s.err);
        vbg_reader *r;
        vbg_reader_info info;
        vbg_frame f;
        bool end = false;
        int frames = 0;
        cr_assert_eq(vbg_reader_open(&r, out, NULL), VBG_OK, "%s", names[i]);
        vbg_reader_get_info(r, &info);
        cr_expect(info.w - 63 >= 0 && info.w - 63 <= 1, "%s: %d", names[i], info.w);
        cr_assert_eq(vbg_frame_new(&f, info.w, info.h, NULL), VBG_OK);
        while (vbg_reader_next(r, &f, &end, NULL) == VBG_OK && !end)
            frames++;
        cr_expect_eq(frames, FRAMES, "%s: %d", names[i], frames);
        vbg_reader_close(r);
        vbg_frame_free(&f);
    }
}

Test(run, motion_log_and_mask_out, .fini = remove_scratch, .timeout = 60)
{
    const char *clip = in_scratch("clip.y4m"), *mask = in_scratch("mask.y4m");
    const char *out = in_scratch("out.y4m"), *log = in_scratch("log.csv");
    const char *alpha = in_scratch("alpha.y4m");
    size_t n;

    make_clip(clip, 96, 80, FRAMES, magenta, gray);
    make_clip(mask, 48, 40, FRAMES, none, white); /* another size than the frames */
    said s = RUN("vbg-run", "-i", clip, "--mask", mask, "-b", "black", "-o", out,
                 "--motion-log", log, "--mask-out", alpha);
    cr_assert_eq(s.code, 0, "%s", s.err);
    unsigned char *text = slurp(log, &n);
    int lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    cr_expect_eq(lines, FRAMES + 1);
    cr_expect(n > 10 && memcmp(text, "frame,time_s,yaw_deg", 20) == 0);
    free(text);
    cr_expect_eq(access(alpha, R_OK), 0);
}

Test(run, pictures_and_folders, .fini = remove_scratch, .timeout = 60)
{
    const char *dir = in_scratch("in"), *masks = in_scratch("masks"),
               *out = in_scratch("out");
    char path[300];
    vbg_picture p, q;

    mkdir(dir, 0700);
    mkdir(masks, 0700);
    cr_assert_eq(vbg_picture_new(&p, 20, 10, 3, NULL), VBG_OK);
    memset(p.data, 200, p.stride * 10);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%c.png", dir, 'a' + i);
        cr_assert_eq(vbg_picture_save(path, &p, NULL, 92, NULL), VBG_OK);
        snprintf(path, sizeof path, "%s/%c.png", masks, 'a' + i);
        cr_assert_eq(vbg_picture_save(path, &p, NULL, 92, NULL), VBG_OK);
    }
    snprintf(path, sizeof path, "%s/a.png", dir);
    said s = RUN("vbg-run", "-i", path, "--chroma", "green", "-b", "black", "-o",
                 in_scratch("one.png"));
    cr_assert_eq(s.code, 0, "%s", s.err);
    cr_assert_eq(vbg_picture_load(&q, NULL, in_scratch("one.png"), 3, NULL), VBG_OK);
    cr_expect(q.w == 20 && q.data[0] == 200, "%d", q.data[0]); /* untouched */
    vbg_picture_free(&q);
    snprintf(path, sizeof path, "%s/note.txt", dir);
    FILE *f = fopen(path, "w");
    fputs("no picture\n", f);
    fclose(f);
    s = RUN("vbg-run", "-i", dir, "--mask", masks, "-b", "black", "-o", out);
    cr_expect_eq(s.code, 1, "%s", s.err); /* one of three failed */
    cr_expect(strstr(s.err, "2 of 3 pictures") && strstr(s.err, "note.txt"), "%s", s.err);
    snprintf(path, sizeof path, "%s/b.png", out);
    cr_expect_eq(access(path, R_OK), 0);
    vbg_picture_free(&p);
}

/* A still of 1x1 and a background of 16384x1: sizes at the edge. */
Test(run, extreme_sizes, .fini = remove_scratch, .timeout = 60)
{
    vbg_picture p;
    const char *dot = in_scratch("dot.png"), *wide = in_scratch("wide.png");
    const char *clip = in_scratch("one.y4m");

    cr_assert_eq(vbg_picture_new(&p, 1, 1, 3, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_save(dot, &p, NULL, 92, NULL), VBG_OK);
    vbg_picture_free(&p);
    cr_assert_eq(vbg_picture_new(&p, 16384, 1, 3, NULL), VBG_OK);
    cr_assert_eq(vbg_picture_save(wide, &p, NULL, 92, NULL), VBG_OK);
    vbg_picture_free(&p);
    make_clip(clip, 1, 1, 2, magenta, gray);
    said s = RUN("vbg-run", "-i", dot, "--chroma", "green", "-b", wide, "-o",
                 in_scratch("a.png"));
    cr_expect_eq(s.code, 0, "%s", s.err);
    s = RUN("vbg-run", "-i", wide, "--chroma", "green", "-b", dot, "-o",
            in_scratch("b.png"));
    cr_expect_eq(s.code, 0, "%s", s.err);
    s = RUN("vbg-run", "-i", clip, "--chroma", "green", "-b", wide, "-o",
            in_scratch("c.y4m"));
    cr_expect_eq(s.code, 0, "%s", s.err);
    s = RUN("vbg-run", "-i", clip, "--chroma", "green", "-b", "blur", "-o",
            in_scratch("d.y4m"));
    cr_expect_eq(s.code, 0, "%s", s.err);
}

/* One line, this exit code, no new file. */
static void refused(const char *const *argv, int code, const char *word)
{
    static const char *const known[] = { "clip.y4m", "link.y4m", "hard.y4m", "empty.y4m",
                                         "cut.y4m",  "none.y4m", "bad.vbg",  NULL };
    said s = run_program(argv);

    cr_expect_eq(s.code, code, "%s: exit %d: %s", word, s.code, s.err);
    cr_expect_eq(s.err_lines, 1, "%s: %d lines: %s", word, s.err_lines, s.err);
    cr_expect(strstr(s.err, word), "no '%s' in: %s", word, s.err);
    cr_expect(strlen(s.err) <= 1100, "%s: long", word);
    cr_expect_eq(strangers(known), 0, "%s: left something behind", word);
}

#define REFUSED(code, word, ...)                                                         \
    refused((const char *const[]){ "vbg-run", __VA_ARGS__, NULL }, code, word)

Test(run, refuses, .fini = remove_scratch, .timeout = 100)
{
    char clip[256], out[256], other[256];

    snprintf(clip, sizeof clip, "%s", in_scratch("clip.y4m"));
    snprintf(out, sizeof out, "%s", in_scratch("out.y4m"));
    make_clip(clip, W, H, 3, magenta, gray);
    const char *const key = "--chroma";
    REFUSED(2, "--output", "-i", clip, "-b", "black", key, "green");
    REFUSED(2, "--input", "-o", out, "-b", "black", key, "green");
    REFUSED(2, "--background or --text", "-i", clip, "-o", out, key, "green");
    REFUSED(2, "exclude", "-i", clip, "-o", out, "-b", "black", "--text", "x", "--model",
            "y");
    REFUSED(2, "--model is for --text", "-i", clip, "-o", out, "-b", "black", "-m", "x",
            key, "green");
    REFUSED(2, "exclude", "-i", clip, "-o", out, "-b", "black", key, "green", "--mask",
            clip);
    REFUSED(2, "colour", "-i", clip, "-o", out, "-b", "black", key, "mauve-ish");
    REFUSED(2, "threshold", "-i", clip, "-o", out, "-b", "black", key, "green",
            "--threshold", "1.5");
    REFUSED(2, "fov", "-i", clip, "-o", out, "-b", "black", key, "green", "--fov", "200");
    REFUSED(2, "blur", "-i", clip, "-o", out, "-b", "blur:-3", key, "green");
    REFUSED(2, "same file", "-i", clip, "-o", out, "-b", "black", key, "green",
            "--mask-out", out);
    REFUSED(2, "name a video", "-i", clip, "-o", in_scratch("out.doc"), "-b", "black",
            key, "green");
    REFUSED(1, "No such file", "-i", clip, "-o", out, "-b", "/nonexistent/room.png", key,
            "green");
    REFUSED(1, "no such file", "-i", "/nonexistent/clip.mp4", "-o", out, "-b", "black",
            key, "green");
    REFUSED(1, "cannot be written", "-i", clip, "-o", "/nonexistent/out.y4m", "-b",
            "black", key, "green");
    REFUSED(2, "overwrite", "-i", clip, "-o", clip, "-b", "black", key, "green");
    snprintf(other, sizeof other, "%s", in_scratch("link.y4m"));
    cr_assert_eq(symlink(clip, other), 0);
    REFUSED(2, "overwrite", "-i", clip, "-o", other, "-b", "black", key, "green");
    snprintf(other, sizeof other, "%s", in_scratch("hard.y4m"));
    cr_assert_eq(link(clip, other), 0);
    REFUSED(2, "overwrite", "-i", clip, "-o", other, "-b", "black", key, "green");
    snprintf(other, sizeof other, "%s", in_scratch("empty.y4m"));
    write_text(other, "");
    REFUSED(1, "empty", "-i", other, "-o", out, "-b", "black", key, "green");
    REFUSED(1, "empty", "-i", clip, "-o", out, "-b", other, key, "green");
    snprintf(other, sizeof other, "%s", in_scratch("none.y4m"));
    write_text(other, "YUV4MPEG2 W16 H16 F25:1\n");
    REFUSED(1, "no readable frame", "-i", other, "-o", out, "-b", "black", key, "green");
    snprintf(other, sizeof other, "%s", in_scratch("cut.y4m"));
    write_text(other, "YUV4MPEG2 W16 H16 F25:1\nFRAME\nabc");
    REFUSED(1, "cut.y4m", "-i", other, "-o", out, "-b", "black", key, "green");
    snprintf(other, sizeof other, "%s", in_scratch("bad.vbg"));
    write_text(other, "VBG?not a model");
    REFUSED(1, "bad.vbg", "-i", clip, "-o", out, "-b", "black", "--segmenter", other);
    /* An older output survives a failed run. */
    snprintf(other, sizeof other, "%s", in_scratch("cut.y4m"));
    REFUSED(1, "No such file", "-i", clip, "-o", other, "-b", "/nonexistent.png", key,
            "green");
    size_t n;
    unsigned char *old = slurp(other, &n);
    cr_expect(n == 33 && memcmp(old, "YUV4MPEG2 W16", 13) == 0, "%zu bytes", n);
    free(old);
}

/* A full disk: an error line and no file. */
Test(run, full_disk, .fini = remove_scratch, .timeout = 60)
{
    const char *clip = in_scratch("clip.y4m");
    char command[1600];

    make_clip(clip, W, H, FRAMES, magenta, gray);
    snprintf(command, sizeof command,
             "%s/vbg-run -i %s -b black --chroma green -o - > /dev/full 2> %s/err",
             program_dir(), clip, scratch_dir());
    int status = system(command);
    cr_expect_eq(WEXITSTATUS(status), 1);
    snprintf(command, sizeof command,
             "ulimit -f 1; trap '' XFSZ; %s/vbg-run -i %s -b black --chroma green -o "
             "%s/out.y4m 2> %s/err2",
             program_dir(), clip, scratch_dir(), scratch_dir());
    status = system(command);
    cr_expect_eq(WEXITSTATUS(status), 1);
    cr_expect(access(in_scratch("out.y4m"), F_OK) != 0);
}

/* Does the process hold this file open? */
static bool has_open(pid_t pid, const char *file)
{
    char dir[64], path[400], target[400];
    struct dirent *e;
    bool found = false;

    snprintf(dir, sizeof dir, "/proc/%ld/fd", (long)pid);
    DIR *d = opendir(dir);
    while (d && !found && (e = readdir(d))) {
        snprintf(path, sizeof path, "%s/%.200s", dir, e->d_name);
        const ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = 0;
        found = strcmp(target, file) == 0;
    }
    if (d)
        closedir(d);
    return found;
}

/* SIGINT: the file is finished, playable, shorter; exit code 130. */
Test(run, interrupt_finishes_the_file, .fini = remove_scratch, .timeout = 60)
{
    const char *clip = in_scratch("clip.y4m"), *out = in_scratch("out.y4m");
    char program[1100];
    const char *const argv[] = { program,   "-q",       "-i",    clip,        "-b",
                                 "blur:40", "--chroma", "green", "--feather", "20",
                                 "-o",      out,        NULL };
    pid_t pid;
    int status = 0;
    size_t n;

    make_clip(clip, 320, 240, 1500, magenta, gray);
    snprintf(program, sizeof program, "%s/vbg-run", program_dir());
    cr_assert_eq(
        posix_spawn(&pid, program, NULL, NULL, (char *const *)(uintptr_t)argv, environ),
        0);
    for (int i = 0; i < 2000 && !has_open(pid, clip); i++)
        usleep(10000); /* a busy machine takes its time to start it */
    usleep(300000);
    kill(pid, SIGINT);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) &&
                  (WEXITSTATUS(status) == 130 || WEXITSTATUS(status) == 0),
              "status %x", (unsigned)status);
    unsigned char *data = slurp(out, &n);
    cr_assert(data && n > 20 && memcmp(data, "YUV4MPEG2", 9) == 0);
    const unsigned char *body = memchr(data, '\n', n);
    cr_expect_eq((n - (size_t)(body + 1 - data)) % (6 + 320 * 240 * 3 / 2), 0,
                 "a frame is cut");
    free(data);
}

/* Every video and y4m of the malformed media gets its verdict. */
static void check_media(const char *name, const json_t *c)
{
    char in[1200];
    const char *out = in_scratch("media.y4m");
    const char *verdict = json_string_value(json_object_get(c, "verdict"));
    const json_t *frames = json_object_get(c, "frames");

    snprintf(in, sizeof in, "%s/golden/malformed_media/%s", shared_dir(), name);
    said s = RUN("vbg-run", "-i", in, "-b", "#102030", "--chroma", "green", "-o", out);
    const bool made = access(out, F_OK) == 0;
    if (strcmp(verdict, "accept") == 0)
        cr_expect(s.code == 0 && made, "%s: %s", name, s.err);
    if (strcmp(verdict, "reject") == 0)
        cr_expect(s.code == 1 && !made && s.err_lines == 1, "%s: exit %d: %s", name,
                  s.code, s.err);
    cr_expect(s.code == 0 || s.code == 1, "%s: exit %d", name, s.code);
    cr_expect_eq(made, s.code == 0, "%s", name);
    for (const char *p = s.err; *p; p++)
        cr_expect((unsigned char)*p >= 0x20 || *p == '\n', "%s: control character", name);
    if (made && frames && strcmp(verdict, "accept") == 0) {
        vbg_reader *r;
        vbg_reader_info info;
        vbg_frame f;
        bool end = false;
        int n = 0;
        const json_t *shown = json_object_get(c, "shown");
        cr_assert_eq(vbg_reader_open(&r, out, NULL), VBG_OK);
        vbg_reader_get_info(r, &info);
        if (shown)
            cr_expect(info.w == json_integer_value(json_array_get(shown, 0)) &&
                          info.h == json_integer_value(json_array_get(shown, 1)),
                      "%s", name);
        cr_assert_eq(vbg_frame_new(&f, info.w, info.h, NULL), VBG_OK);
        while (vbg_reader_next(r, &f, &end, NULL) == VBG_OK && !end)
            n++;
        cr_expect_eq(n, json_integer_value(frames), "%s: %d frames", name, n);
        vbg_reader_close(r);
        vbg_frame_free(&f);
    }
    unlink(out);
}

Test(run, malformed_media, .fini = remove_scratch, .timeout = 120)
{
    if (!shared_dir())
        cr_skip_test("no ../shared");
    cr_expect_gt(each_malformed("video/", "y4m/", check_media), 70);
}
