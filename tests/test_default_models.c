/* Words a model never met, and models that ship with vbg. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include "engine/weights.h"
#include "models/known_words.h"
#include "tests/program.h"

Test(known_words, lists_what_occurs_often_enough)
{
    const char *const text[] = { "A Red sofa, a red door", NULL,
                                 "red sofas; \xC3\xA9t\xC3\xA9" };
    vbg_err err = { "" };
    char *list;

    cr_assert_eq(vbg_known_words(&list, text, 3, 1, &err), VBG_OK);
    cr_expect_str_eq(list, "door red sofa sofas \xC3\xA9t\xC3\xA9");
    free(list);
    cr_assert_eq(vbg_known_words(&list, text, 3, 2, &err), VBG_OK);
    cr_expect_str_eq(list, "red");
    free(list);
    cr_assert_eq(vbg_known_words(&list, text, 0, 1, &err), VBG_OK);
    cr_expect_str_eq(list, "");
    free(list);
}

Test(known_words, names_the_unknown_once_and_forgives_plurals)
{
    static const struct {
        const char *text, *out;
        int count;
    } cases[] = {
        { "Red sofas and a RED bench", "'and', 'bench'", 2 },
        { "a portrait of a king, a king", "'portrait', 'king'", 2 },
        { "reds so", "", 0 },
        { "", "", 0 },
        { "benches re sofa", "'benches'", 1 },
    };
    char out[64];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(vbg_unknown_words("door red sofa", cases[i].text, out, sizeof out),
                     cases[i].count, "%s", cases[i].text);
        cr_expect_str_eq(out, cases[i].out);
    }
    cr_expect_eq(vbg_unknown_words("", "one two three four", out, 12), 4);
    cr_expect_str_eq(out, "'one'", "what does not fit is left out");
    cr_expect_eq(vbg_unknown_words("box", "boxes box", out, sizeof out), 0);
}

/* A file that opens but is no generator. */
static void write_package(const char *path)
{
    const int64_t dim = 1024;
    float zero[1024] = { 0 };
    vbg_err err = { "" };
    vbg_writer *w;

    cr_assert_eq(vbg_writer_new(&w, path, &err), VBG_OK, "%s", err.text);
    vbg_writer_string(w, "model.arch", "other", &err);
    vbg_writer_declare(w, "net", "a", VBG_F32, VBG_LAYOUT_PLAIN, 1, &dim, &err);
    vbg_writer_data(w, "net", "a", zero, &err);
    cr_assert_eq(vbg_writer_finish(w, &err), VBG_OK, "%s", err.text);
}

static void flip_last_byte(const char *path)
{
    FILE *f = fopen(path, "r+b");

    cr_assert(f && fseek(f, -1, SEEK_END) == 0 && fputc(0x55, f) != EOF);
    fclose(f);
}

Test(default_models, damaged_ones_say_how_to_restore_them, .fini = remove_scratch)
{
    const char *out = in_scratch("x.png");

    setenv("VBG_MODEL_PATH", scratch_dir(), 1);
    write_package(in_scratch("room.vbg"));
    said s = RUN("vbg-gen", "--text", "a room", "-o", out);
    cr_expect_eq(s.code, 1);
    cr_expect(strstr(s.err, "cannot generate pictures") && !strstr(s.err, "restore"),
              "%s", s.err);
    flip_last_byte(in_scratch("room.vbg"));
    s = RUN("vbg-gen", "--text", "a room", "-o", out);
    cr_expect(s.code == 1 && s.err_lines == 1, "%s", s.err);
    cr_expect(strstr(s.err, "room.vbg") && strstr(s.err, "git checkout -- weights/room"),
              "%s", s.err);
    cr_expect_neq(access(out, F_OK), 0);
    s = RUN("vbg-gen", "--text", "a room", "--model", "other", "-o", out);
    cr_expect(s.code == 1 && strstr(s.err, "no model 'other'") && !strstr(s.err, "ships"),
              "%s", s.err);
}
