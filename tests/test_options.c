/* The option table: parsing, ranges, aliases, suggestions, generated texts. */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/options.h"
#include "tools/options_help.h"

static const vbg_option options[] = {
    { "text", 'T', VBG_OPT_STRING, "TEXT", NULL, NULL, "what to draw", "input",
      VBG_OPT_COMMON },
    { "steps", 's', VBG_OPT_INT, "N", "20", "1..1000", "steps", "sampling",
      VBG_OPT_COMMON },
    { "guidance", 'g', VBG_OPT_REAL, "X", "7.5", "0..100", "guidance", "sampling", 0 },
    { "size", 0, VBG_OPT_SIZE, "WxH", "4096x2048", "64..16384", "size", "output", 0 },
    { "seed", 0, VBG_OPT_SEED, "N", "42", NULL, "seed", "sampling", 0 },
    { "flat", 'f', VBG_OPT_FLAG, NULL, NULL, NULL, "one picture", "output", 0 },
    { "prompt", 'p', VBG_OPT_STRING, NULL, NULL, NULL, "text", NULL, VBG_OPT_ALIAS },
    { 0 }
};

static const vbg_program program = { .name = "vbg-test",
                                     .purpose = "tests options",
                                     .usage = "vbg-test [options]",
                                     .examples = { "vbg-test -T x" },
                                     .options = options,
                                     .max_positional = 1 };

static vbg_status parse(vbg_values **v, vbg_err *err, int argc, const char *const *args)
{
    char *argv[16] = { (char *)(uintptr_t) "vbg-test" };

    for (int i = 0; i < argc; i++)
        argv[i + 1] = (char *)(uintptr_t)args[i];
    *v = NULL;
    *err = (vbg_err){ 0 };
    return vbg_options_parse(v, &program, argc + 1, argv, err);
}

#define PARSE(v, err, ...)                                                               \
    parse(&(v), &(err), (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), \
          (const char *[]){ __VA_ARGS__ })

Test(options, values_and_defaults)
{
    vbg_values *v;
    vbg_err err;
    int w, h;

    cr_assert_eq(
        PARSE(v, err, "-s", "7", "--guidance=2.5", "-fq", "--prompt", "a b", "in"),
        VBG_OK, "%s", err.text);
    cr_expect_eq(vbg_value_int(v, "steps"), 7);
    cr_expect_eq(vbg_value_real(v, "guidance"), 2.5);
    cr_expect(vbg_value_flag(v, "flat") && vbg_value_flag(v, "quiet"));
    cr_expect_str_eq(vbg_value(v, "text"), "a b");
    cr_expect_str_eq(vbg_positional(v, 0), "in");
    cr_expect_eq(vbg_value_seed(v, "seed"), 42u);
    cr_expect_not(vbg_value_given(v, "seed"));
    vbg_value_size(v, "size", &w, &h);
    cr_expect(w == 4096 && h == 2048);
    vbg_values_free(v);
}

Test(options, a_drawn_seed_stays)
{
    vbg_values *v;
    vbg_err err;

    cr_assert_eq(PARSE(v, err, "--seed", "-1"), VBG_OK);
    cr_expect_eq(vbg_value_seed(v, "seed"), vbg_value_seed(v, "seed"));
    vbg_values_free(v);
}

Test(options, wrong_input_is_one_clear_line)
{
    static const struct {
        const char *a, *b, *says;
    } cases[] = {
        { "--steeps", "3", "did you mean --steps?" },
        { "--step", "3", "did you mean --steps?" }, /* no abbreviations */
        { "--steps", "0", "in 1..1000" },
        { "--steps", "3x", "whole number" },
        { "--guidance", "nan", "takes a number" },
        { "--guidance", "1e999", "takes a number" },
        { "--size", "10x10", "64..16384" },
        { "--size", "640", "WIDTHxHEIGHT" },
        { "--isa", "sse", "one of ref|avx2" },
        { "--flat=1", NULL, "takes no value" },
        { "--steps", NULL, "needs a value" },
        { "-z", NULL, "unknown option -z" },
        { "a", "b", "unexpected argument 'b'" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *args[2] = { cases[i].a, cases[i].b };
        vbg_values *v;
        vbg_err err;
        cr_expect_eq(parse(&v, &err, cases[i].b ? 2 : 1, args), VBG_EUSAGE);
        cr_expect(strstr(err.text, cases[i].says), "%s: %s", cases[i].a, err.text);
        cr_expect_null(v);
    }
}

Test(options, control_characters_are_escaped)
{
    vbg_values *v;
    vbg_err err;

    cr_assert_eq(PARSE(v, err, "--steps", "1\n\033[31m"), VBG_EUSAGE);
    cr_expect(strstr(err.text, "\\x0a\\x1b"), "%s", err.text);
}

Test(options, every_generated_text_names_every_option)
{
    static const char *const kinds[] = { "man", "complete-bash", "complete-zsh",
                                         "complete-fish" };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        vbg_print_generated(f, &program, kinds[i]);
        fclose(f);
        for (const vbg_option *o = options; o->name; o++)
            cr_expect(strstr(text, o->name), "%s lacks %s", kinds[i], o->name);
        free(text);
    }
}

Test(options, help_fits_a_terminal)
{
    char *text = NULL;
    size_t size = 0, line = 0, lines = 0;
    FILE *f = open_memstream(&text, &size);

    vbg_print_help(f, &program, false);
    fclose(f);
    for (size_t i = 0; i < size; i++) {
        line = text[i] == '\n' ? 0 : line + 1;
        lines += text[i] == '\n';
        cr_expect_leq(line, 90u);
    }
    cr_expect_leq(lines, 24u);
    free(text);
}
