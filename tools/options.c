/* The option table at work: parsing and typed access. */
#define _GNU_SOURCE
#include "tools/options.h"
#include "tools/options_help.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

const vbg_option vbg_shared_options[] = {
    { "threads", 't', VBG_OPT_INT, "N", "0", "0..1024", "threads to use (0: all cores)",
      "machine", VBG_OPT_CONFIG },
    { "isa", 0, VBG_OPT_CHOICE, "NAME", NULL, "ref|avx2|avx512|avx512_bf16|amx_bf16",
      "highest instruction set to use", "machine", VBG_OPT_CONFIG },
    { "quiet", 'q', VBG_OPT_FLAG, NULL, NULL, NULL, "print errors only", "messages", 0 },
    { "verbose", 'v', VBG_OPT_FLAG, NULL, NULL, NULL, "print timings and details",
      "messages", 0 },
    { "color", 0, VBG_OPT_CHOICE, "WHEN", "auto", "auto|always|never",
      "colour the words error and warning", "messages", VBG_OPT_CONFIG },
    { "help", 'h', VBG_OPT_FLAG, NULL, NULL, NULL, "print the common options", "help",
      VBG_OPT_COMMON },
    { "help-all", 0, VBG_OPT_FLAG, NULL, NULL, NULL, "print all options", "help", 0 },
    { "version", 0, VBG_OPT_FLAG, NULL, NULL, NULL,
      "print version, instruction sets and features", "help", 0 },
    { "generate", 0, VBG_OPT_CHOICE, "KIND", NULL,
      "man|complete-bash|complete-zsh|complete-fish|config",
      "print a man page, completions or a commented configuration", "help", 0 },
    { 0 }
};

typedef struct slot {
    const vbg_option *option;
    char *text; /* NULL: not given */
} slot;

struct vbg_values {
    const vbg_program *program;
    slot *slots;
    size_t count;
    char **positional;
    size_t npositional;
    uint64_t drawn; /* what "random" became */
    bool has_drawn;
};

static const vbg_option *find_in(const vbg_option *table, const char *name)
{
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

const vbg_option *vbg_option_find(const vbg_program *p, const char *name)
{
    const vbg_option *o = find_in(p->options, name);

    if (!o)
        o = find_in(vbg_shared_options, name);
    if (o && (o->flags & VBG_OPT_ALIAS))
        o = find_in(p->options, o->help);
    return o;
}

static const vbg_option *find_letter(const vbg_program *p, char letter)
{
    const vbg_option *tables[] = { p->options, vbg_shared_options };

    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name; o++)
            if (o->letter == letter)
                return vbg_option_find(p, o->name);
    return NULL;
}

size_t vbg_edit_distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    size_t row[MAX + 1], la = strlen(a), lb = strlen(b);

    if (la > MAX || lb > MAX)
        return MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

static vbg_status unknown_option(const vbg_program *p, const char *name, vbg_err *err)
{
    const vbg_option *tables[] = { p->options, vbg_shared_options };
    const char *nearest = NULL;
    size_t best = 4;

    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name; o++) {
            size_t d = vbg_edit_distance(name, o->name);
            if (d < best) {
                best = d;
                nearest = o->name;
            }
        }
    if (nearest)
        return vbg_fail(err, VBG_EUSAGE, "unknown option --%.60s, did you mean --%s?",
                        name, nearest);
    return vbg_fail(err, VBG_EUSAGE, "unknown option --%.60s; %s --help-all lists them",
                    name, p->name);
}

static bool in_choices(const char *range, const char *text)
{
    size_t n = strlen(text);

    while (*range) {
        size_t len = strcspn(range, "|");
        if (len == n && memcmp(range, text, n) == 0)
            return true;
        range += len + (range[len] == '|');
    }
    return false;
}

static bool parse_long(long *out, const char *text)
{
    char *end;

    errno = 0;
    *out = strtol(text, &end, 10);
    return end != text && !*end && errno == 0;
}

static bool parse_real(double *out, const char *text)
{
    char *end;

    errno = 0;
    *out = strtod(text, &end);
    return end != text && !*end && isfinite(*out);
}

static bool in_range(const char *range, double v)
{
    const char *dots = range ? strstr(range, "..") : NULL;

    return !dots || (v >= strtod(range, NULL) && v <= strtod(dots + 2, NULL));
}

static bool valid_size(const vbg_option *o, const char *text)
{
    int w, h, used = 0;

    return sscanf(text, "%5dx%5d%n", &w, &h, &used) == 2 && !text[used] &&
           in_range(o->range, w) && in_range(o->range, h);
}

/* One validator for command line, configuration and control socket. */
static bool valid(const vbg_option *o, const char *text)
{
    long n;
    double r;

    switch (o->type) {
    case VBG_OPT_INT:
        return parse_long(&n, text) && in_range(o->range, (double)n);
    case VBG_OPT_REAL:
        return parse_real(&r, text) && in_range(o->range, r);
    case VBG_OPT_CHOICE:
        return in_choices(o->range, text);
    case VBG_OPT_SIZE:
        return valid_size(o, text);
    case VBG_OPT_SEED:
        return strcmp(text, "random") == 0 || parse_long(&n, text);
    default:
        return true;
    }
}

static const char *const wants[] = {
    [VBG_OPT_INT] = "a whole number",
    [VBG_OPT_REAL] = "a number",
    [VBG_OPT_CHOICE] = "one",
    [VBG_OPT_SIZE] = "WIDTHxHEIGHT, each",
    [VBG_OPT_SEED] = "a whole number or 'random'",
};

static slot *slot_of(const vbg_values *v, const vbg_option *o)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->slots[i].option == o)
            return &v->slots[i];
    return NULL;
}

static vbg_status set_option(vbg_values *v, const vbg_option *o, const char *text,
                             vbg_err *err)
{
    if (!valid(o, text))
        return vbg_fail(err, VBG_EUSAGE, "--%s takes %s%s%s, not '%.60s'", o->name,
                        wants[o->type],
                        !o->range                   ? ""
                        : o->type == VBG_OPT_CHOICE ? " of "
                                                    : " in ",
                        o->range ? o->range : "", text);
    char *copy = strdup(text);
    if (!copy)
        return vbg_fail(err, VBG_ENOMEM, "out of memory for --%s", o->name);
    slot *s = slot_of(v, o);
    free(s->text);
    s->text = copy;
    return VBG_OK;
}

vbg_status vbg_values_set(vbg_values *v, const char *name, const char *text, vbg_err *err)
{
    const vbg_option *o = vbg_option_find(v->program, name);

    if (!o)
        return unknown_option(v->program, name, err);
    return set_option(v, o, text, err);
}

/* The words of a flag in files and commands: 1, 0 or -1 for neither. */
static int flag_word(const char *text)
{
    static const char *const words[] = { "0",   "1",  "no",    "yes",
                                         "off", "on", "false", "true" };

    for (int i = 0; i < 8; i++)
        if (strcmp(text, words[i]) == 0)
            return i % 2;
    return -1;
}

vbg_status vbg_option_check(const vbg_option *o, const char *text, vbg_err *err)
{
    if (o->type == VBG_OPT_FLAG && flag_word(text) < 0)
        return vbg_fail(err, VBG_EUSAGE, "%s takes yes or no, not '%.60s'", o->name,
                        text);
    if (o->type != VBG_OPT_FLAG && !valid(o, text))
        return vbg_fail(err, VBG_EUSAGE, "%s takes %s%s%s, not '%.60s'", o->name,
                        wants[o->type],
                        !o->range                   ? ""
                        : o->type == VBG_OPT_CHOICE ? " of "
                                                    : " in ",
                        o->range ? o->range : "", text);
    return VBG_OK;
}

vbg_status vbg_values_offer(vbg_values *v, const char *name, const char *text,
                            vbg_err *err)
{
    const vbg_option *o = vbg_option_find(v->program, name);

    if (!o)
        return unknown_option(v->program, name, err);
    vbg_status st = vbg_option_check(o, text, err);
    if (st != VBG_OK || slot_of(v, o)->text)
        return st;
    if (o->type == VBG_OPT_FLAG)
        return flag_word(text) == 1 ? set_option(v, o, "1", err) : VBG_OK;
    return set_option(v, o, text, err);
}

void vbg_values_clear(vbg_values *v, const char *name)
{
    const vbg_option *o = vbg_option_find(v->program, name);
    slot *s = o ? slot_of(v, o) : NULL;

    if (s) {
        free(s->text);
        s->text = NULL;
    }
}

const vbg_program *vbg_values_program(const vbg_values *v)
{
    return v->program;
}

/* "--name", "--name=value"; *i moves on when the value is the next argument. */
static vbg_status parse_one_long(vbg_values *v, int argc, char **argv, int *i,
                                 vbg_err *err)
{
    char name[64];
    const char *arg = argv[*i] + 2, *eq = strchr(arg, '=');
    size_t n = eq ? (size_t)(eq - arg) : strlen(arg);

    if (n >= sizeof name)
        return unknown_option(v->program, arg, err);
    memcpy(name, arg, n);
    name[n] = 0;
    const vbg_option *o = vbg_option_find(v->program, name);
    if (!o)
        return unknown_option(v->program, name, err);
    if (o->type == VBG_OPT_FLAG) {
        if (eq)
            return vbg_fail(err, VBG_EUSAGE, "--%s takes no value", name);
        return set_option(v, o, "1", err);
    }
    if (eq)
        return set_option(v, o, eq + 1, err);
    if (*i + 1 >= argc)
        return vbg_fail(err, VBG_EUSAGE, "--%s needs a value (%s)", name,
                        o->arg ? o->arg : "VALUE");
    return set_option(v, o, argv[++*i], err);
}

/* "-q", "-qv", "-o FILE", "-oFILE". */
static vbg_status parse_letters(vbg_values *v, int argc, char **argv, int *i,
                                vbg_err *err)
{
    for (const char *s = argv[*i] + 1; *s; s++) {
        const vbg_option *o = find_letter(v->program, *s);
        if (!o)
            return vbg_fail(err, VBG_EUSAGE,
                            "unknown option -%c; %s --help-all lists them", *s,
                            v->program->name);
        if (o->type == VBG_OPT_FLAG) {
            vbg_status st = set_option(v, o, "1", err);
            if (st != VBG_OK)
                return st;
            continue;
        }
        if (s[1])
            return set_option(v, o, s + 1, err);
        if (*i + 1 >= argc)
            return vbg_fail(err, VBG_EUSAGE, "-%c needs a value (%s)", *s,
                            o->arg ? o->arg : "VALUE");
        return set_option(v, o, argv[++*i], err);
    }
    return VBG_OK;
}

static size_t table_size(const vbg_option *t)
{
    size_t n = 0;

    while (t[n].name)
        n++;
    return n;
}

static vbg_values *values_new(const vbg_program *p, int argc)
{
    vbg_values *v = calloc(1, sizeof *v);
    size_t own = table_size(p->options), all = own + table_size(vbg_shared_options);

    if (!v)
        return NULL;
    v->program = p;
    v->slots = calloc(all, sizeof *v->slots);
    v->positional = calloc((size_t)argc + 1, sizeof *v->positional);
    if (!v->slots || !v->positional) {
        vbg_values_free(v);
        return NULL;
    }
    v->count = all;
    for (size_t i = 0; i < all; i++)
        v->slots[i].option = i < own ? &p->options[i] : &vbg_shared_options[i - own];
    return v;
}

vbg_status vbg_options_parse(vbg_values **out, const vbg_program *p, int argc,
                             char **argv, vbg_err *err)
{
    vbg_values *v = values_new(p, argc);
    vbg_status st = VBG_OK;
    bool only_positional = false;

    if (!v)
        return vbg_fail(err, VBG_ENOMEM, "out of memory for options");
    for (int i = 1; i < argc && st == VBG_OK; i++) {
        const char *a = argv[i];
        if (!only_positional && strcmp(a, "--") == 0)
            only_positional = true;
        else if (!only_positional && a[0] == '-' && a[1] == '-')
            st = parse_one_long(v, argc, argv, &i, err);
        else if (!only_positional && a[0] == '-' && a[1])
            st = parse_letters(v, argc, argv, &i, err);
        else if ((int)v->npositional >= p->max_positional)
            st = vbg_fail(err, VBG_EUSAGE, "unexpected argument '%.80s'", a);
        else
            v->positional[v->npositional++] = argv[i];
    }
    if (st == VBG_OK) {
        *out = v;
        v = NULL;
    }
    vbg_values_free(v);
    return st;
}

vbg_status vbg_values_copy(vbg_values **out, const vbg_values *v, vbg_err *err)
{
    vbg_values *c = values_new(v->program, 0);
    bool ok = c != NULL;

    for (size_t i = 0; ok && i < v->count; i++)
        if (v->slots[i].text)
            ok = (c->slots[i].text = strdup(v->slots[i].text)) != NULL;
    if (!ok) {
        vbg_values_free(c);
        return vbg_fail(err, VBG_ENOMEM, "out of memory for options");
    }
    c->drawn = v->drawn;
    c->has_drawn = v->has_drawn;
    *out = c;
    return VBG_OK;
}

void vbg_values_swap(vbg_values *a, vbg_values *b)
{
    slot *s = a->slots;

    a->slots = b->slots;
    b->slots = s;
}

void vbg_values_free(vbg_values *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->count; i++)
        free(v->slots[i].text);
    free(v->slots);
    free(v->positional);
    free(v);
}

/* --help and its kin; false when none was asked for. */
static bool answer_help(const vbg_values *v)
{
    const vbg_program *p = v->program;

    if (vbg_value_flag(v, "help-all"))
        vbg_print_help(stdout, p, true);
    else if (vbg_value_flag(v, "help"))
        vbg_print_help(stdout, p, false);
    else if (vbg_value_flag(v, "version"))
        vbg_print_version(stdout, vbg_value_ctx(v, VBG_F32).isa);
    else if (vbg_value(v, "generate"))
        vbg_print_generated(stdout, p, vbg_value(v, "generate"));
    else
        return false;
    return true;
}

int vbg_options_start(vbg_values **out, const vbg_program *p, int argc, char **argv)
{
    vbg_err err = { 0 };
    vbg_values *v = NULL;

    vbg_message_start(p->name);
    if (argc <= 1) {
        vbg_print_help(stderr, p, false);
        return 2;
    }
    if (vbg_options_parse(&v, p, argc, argv, &err) != VBG_OK) {
        fprintf(stderr, "%s: %s\n", p->name, err.text);
        return 2;
    }
    if (answer_help(v)) {
        vbg_values_free(v);
        return vbg_finish_output(0);
    }
    vbg_message_setup(v);
    *out = v;
    return -1;
}

const char *vbg_program_name(const vbg_values *v)
{
    return v->program->name;
}

static const slot *need(const vbg_values *v, const char *name)
{
    const vbg_option *o = vbg_option_find(v->program, name);

    VBG_CHECK(o, "%s has no option --%s", v->program->name, name);
    return slot_of(v, o);
}

const char *vbg_value(const vbg_values *v, const char *name)
{
    const slot *s = need(v, name);
    return s->text ? s->text : s->option->value;
}

bool vbg_value_given(const vbg_values *v, const char *name)
{
    return need(v, name)->text != NULL;
}

bool vbg_value_flag(const vbg_values *v, const char *name)
{
    return vbg_value(v, name) != NULL;
}

long vbg_value_int(const vbg_values *v, const char *name)
{
    const char *text = vbg_value(v, name);
    long n = 0;

    if (text)
        parse_long(&n, text);
    return n;
}

double vbg_value_real(const vbg_values *v, const char *name)
{
    const char *text = vbg_value(v, name);
    double r = 0;

    if (text)
        parse_real(&r, text);
    return r;
}

void vbg_value_size(const vbg_values *v, const char *name, int *w, int *h)
{
    const char *text = vbg_value(v, name);

    *w = *h = 0;
    if (text)
        sscanf(text, "%5dx%5d", w, h);
}

uint64_t vbg_value_seed(const vbg_values *v, const char *name)
{
    const char *text = vbg_value(v, name);
    vbg_values *m = (vbg_values *)(uintptr_t)v;
    long n = 0;

    if (text && parse_long(&n, text) && n >= 0)
        return (uint64_t)n;
    if (!m->has_drawn) {
        uint32_t r = 0;
        if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
            r = (uint32_t)(vbg_now() * 1e6);
        m->drawn = r;
        m->has_drawn = true;
    }
    return m->drawn;
}

size_t vbg_positionals(const vbg_values *v)
{
    return v->npositional;
}

const char *vbg_positional(const vbg_values *v, size_t i)
{
    return i < v->npositional ? v->positional[i] : NULL;
}

vbg_ctx_opt vbg_value_ctx(const vbg_values *v, vbg_dtype precision)
{
    vbg_ctx_opt o = { .isa = VBG_ISA_BEST, .precision = precision };
    const char *isa = vbg_value(v, "isa"), *threads = getenv("VBG_THREADS");
    long n;

    if (!isa)
        isa = getenv("VBG_ISA");
    if (isa && !vbg_isa_parse(&o.isa, isa))
        vbg_warning("VBG_ISA=%s is unknown and ignored", isa);
    if (vbg_value_given(v, "threads"))
        o.threads = (int)vbg_value_int(v, "threads");
    else if (threads && parse_long(&n, threads) && n >= 0 && n <= 1024)
        o.threads = (int)n;
    return o;
}
