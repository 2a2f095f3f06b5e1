/* --help, --version and --generate, all from the option table. */
#include "tools/options_help.h"

#include <jansson.h>
#include <png.h>
#include <string.h>
#include <utf8proc.h>
#include <zip.h>
#ifdef VBG_HAVE_LIBAV
#include <libavutil/avutil.h>
#endif

enum { HELP_COLUMN = 30, HELP_WIDTH = 80 };

/* The row an alias stands for, else the row itself. */
static const vbg_option *meant(const vbg_program *p, const vbg_option *o)
{
    const vbg_option *m = vbg_option_find(p, o->name);
    return m ? m : o;
}

static bool visible(const vbg_option *o)
{
    return !(o->flags & (VBG_OPT_ALIAS | VBG_OPT_HIDDEN));
}

/* Text in the right column, broken after spaces and bars. */
static void print_wrapped(FILE *f, const char *text)
{
    while (strlen(text) > HELP_WIDTH - HELP_COLUMN) {
        size_t n = HELP_WIDTH - HELP_COLUMN;
        while (n > 0 && text[n - 1] != ' ' && text[n - 1] != '|')
            n--;
        if (n == 0)
            break;
        size_t printed = text[n - 1] == ' ' ? n - 1 : n;
        fprintf(f, "%.*s\n%*s", (int)printed, text, HELP_COLUMN, "");
        text += n;
    }
    fprintf(f, "%s\n", text);
}

static void print_option(FILE *f, const vbg_option *o)
{
    char left[96], right[512];
    bool shown = o->value && *o->value;
    int n = o->letter ? snprintf(left, sizeof left, "  -%c, --%s", o->letter, o->name)
                      : snprintf(left, sizeof left, "      --%s", o->name);

    if (o->type != VBG_OPT_FLAG && n > 0 && (size_t)n < sizeof left)
        snprintf(left + n, sizeof left - (size_t)n, " %s", o->arg ? o->arg : "VALUE");
    fprintf(f, "%-*s", HELP_COLUMN, left);
    if (strlen(left) >= HELP_COLUMN)
        fprintf(f, "\n%*s", HELP_COLUMN, "");
    snprintf(right, sizeof right, "%s%s%s%s%s%s", o->help,
             o->type == VBG_OPT_CHOICE ? ": " : "",
             o->type == VBG_OPT_CHOICE ? o->range : "", shown ? " [" : "",
             shown ? o->value : "", shown ? "]" : "");
    print_wrapped(f, right);
}

/* Prints the options of one group from both tables. */
static void print_group(FILE *f, const vbg_program *p, const char *group)
{
    const vbg_option *tables[] = { p->options, vbg_shared_options };

    fprintf(f, "\n%s:\n", group);
    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name; o++)
            if (visible(o) && o->group && strcmp(o->group, group) == 0)
                print_option(f, o);
}

/* True when a visible option before end belongs to the group. */
static bool group_seen(const vbg_option *table, const vbg_option *end, const char *group)
{
    for (; table != end && table->name; table++)
        if (visible(table) && table->group && strcmp(table->group, group) == 0)
            return true;
    return false;
}

static void print_all_groups(FILE *f, const vbg_program *p)
{
    for (const vbg_option *o = p->options; o->name; o++)
        if (visible(o) && o->group && !group_seen(p->options, o, o->group))
            print_group(f, p, o->group);
    for (const vbg_option *o = vbg_shared_options; o->name; o++)
        if (!group_seen(p->options, NULL, o->group) &&
            !group_seen(vbg_shared_options, o, o->group))
            print_group(f, p, o->group);
}

void vbg_print_help(FILE *f, const vbg_program *p, bool all)
{
    fprintf(f, "%s: %s\n\nusage: %s\n", p->name, p->purpose, p->usage);
    for (int i = 0; i < 3 && p->examples[i]; i++)
        fprintf(f, "%s  %s\n", i ? "" : "\nexamples:\n", p->examples[i]);
    if (all && p->extra)
        fprintf(f, "\n%s\n", p->extra);
    if (all) {
        print_all_groups(f, p);
        return;
    }
    fputs("\noptions:\n", f);
    for (const vbg_option *o = p->options; o->name; o++)
        if (o->flags & VBG_OPT_COMMON)
            print_option(f, o);
    fprintf(f, "all options: %s --help-all\n", p->name);
}

void vbg_print_version(FILE *f, vbg_isa cap)
{
    vbg_isa found = vbg_isa_detect();

    fprintf(f, "vbg %s\n", VBG_VERSION);
    fprintf(f, "instruction set: %s found, %s in use\n", vbg_isa_name(found),
            vbg_isa_name(found < cap ? found : cap));
    fprintf(f, "libraries: libpng %s, jansson %s, utf8proc %s, libzip %s",
            png_get_libpng_ver(NULL), jansson_version_str(), utf8proc_version(),
            zip_libzip_version());
#ifdef VBG_HAVE_LIBAV
    fprintf(f, ", ffmpeg %s", av_version_info());
#endif
    fputs("\nfeatures:"
#ifdef VBG_HAVE_LIBAV
          " +libav"
#else
          " -libav"
#endif
#ifdef VBG_HAVE_NETTLE
          " +nettle"
#else
          " -nettle"
#endif
#ifdef VBG_HAVE_LIBWEBP
          " +webp"
#else
          " -webp"
#endif
#ifdef VBG_HAVE_SDL2
          " +sdl2"
#else
          " -sdl2"
#endif
#ifdef VBG_HAVE_PIPEWIRE
          " +pipewire"
#else
          " -pipewire"
#endif
          "\n",
          f);
}

/* mdoc(7): a leading dot or quote would be a request. */
static void man_text(FILE *f, const char *s)
{
    for (bool line = true; *s; s++) {
        if (line && (*s == '.' || *s == '\''))
            fputs("\\&", f);
        if (*s == '\\')
            fputs("\\e", f);
        else
            fputc(*s, f);
        line = *s == '\n';
    }
}

static void man_option(FILE *f, const vbg_option *o)
{
    fputs(".It ", f);
    if (o->letter)
        fprintf(f, "Fl %c , ", o->letter);
    fprintf(f, "Fl -%s", o->name);
    if (o->type != VBG_OPT_FLAG)
        fprintf(f, " Ar %s", o->arg ? o->arg : "VALUE");
    fputc('\n', f);
    if (o->flags & VBG_OPT_ALIAS) {
        fprintf(f, "Another name for\n.Fl -%s .\n", o->help);
        return;
    }
    man_text(f, o->help);
    if (o->range)
        fprintf(f, " (%s)", o->range);
    if (o->value) {
        fputs("; default: ", f);
        man_text(f, o->value);
    }
    fputs(".\n", f);
}

static void man_examples(FILE *f, const vbg_program *p)
{
    if (!p->examples[0])
        return;
    fputs(".Sh EXAMPLES\n.Bd -literal\n", f);
    for (int i = 0; i < 3 && p->examples[i]; i++) {
        man_text(f, p->examples[i]);
        fputc('\n', f);
    }
    fputs(".Ed\n", f);
}

static void print_man(FILE *f, const vbg_program *p)
{
    const vbg_option *tables[] = { p->options, vbg_shared_options };

    fputs(".Dd November 21, 2026\n.Dt ", f);
    for (const char *s = p->name; *s; s++)
        fputc(*s >= 'a' && *s <= 'z' ? *s - 'a' + 'A' : *s, f);
    fprintf(f, " 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n.Sh SYNOPSIS\n.Nm\n.Op Ar options\n",
            p->name, p->purpose);
    fputs(".Sh DESCRIPTION\n", f);
    man_text(f, p->purpose);
    fputs(".\n", f);
    if (p->extra) {
        fputs(".Bd -literal\n", f);
        man_text(f, p->extra);
        fputs("\n.Ed\n", f);
    }
    fputs(".Bl -tag -width Ds\n", f);
    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name; o++)
            man_option(f, o);
    fputs(".El\n.Sh EXIT STATUS\n0 done, 1 failure, 2 wrong usage, 128+n stopped by "
          "signal n.\n",
          f);
    man_examples(f, p);
}

static void print_words(FILE *f, const char *range)
{
    for (; *range; range++)
        fputc(*range == '|' ? ' ' : *range, f);
}

static void print_bash(FILE *f, const vbg_program *p)
{
    const vbg_option *tables[] = { p->options, vbg_shared_options };
    char fn[64];

    snprintf(fn, sizeof fn, "_%s", p->name);
    for (char *s = fn; *s; s++)
        if (*s == '-')
            *s = '_';
    fprintf(f,
            "%s()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]}\n"
            "    case ${COMP_WORDS[COMP_CWORD-1]} in\n",
            fn);
    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name; o++)
            if (o->type == VBG_OPT_CHOICE) {
                fprintf(f, "    --%s) COMPREPLY=($(compgen -W '", o->name);
                print_words(f, meant(p, o)->range);
                fputs("' -- \"$cur\")); return;;\n", f);
            }
    fputs("    esac\n    if [[ $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W '",
          f);
    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name; o++)
            fprintf(f, "--%s ", o->name);
    fprintf(f,
            "' -- \"$cur\"))\n    else\n        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
            "    fi\n}\ncomplete -o filenames -F %s %s\n",
            fn, p->name);
}

/* A help text inside single quotes of a shell. */
static void shell_text(FILE *f, const char *s, bool zsh)
{
    for (; *s; s++) {
        if (*s == '\'')
            fputs("'\\''", f);
        else if (zsh && strchr("[]:", *s))
            fprintf(f, "\\%c", *s);
        else
            fputc(*s, f);
    }
}

static void print_zsh(FILE *f, const vbg_program *p)
{
    const vbg_option *tables[] = { p->options, vbg_shared_options };

    fprintf(f, "#compdef %s\n_arguments \\\n", p->name);
    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name; o++) {
            fprintf(f, "    '--%s[", o->name);
            shell_text(f, meant(p, o)->help, true);
            fputc(']', f);
            if (o->type == VBG_OPT_CHOICE) {
                fputs(":value:(", f);
                print_words(f, meant(p, o)->range);
                fputc(')', f);
            } else if (o->type != VBG_OPT_FLAG) {
                fputs(":value:_files", f);
            }
            fputs("' \\\n", f);
        }
    fputs("    '*:file:_files'\n", f);
}

static void print_fish(FILE *f, const vbg_program *p)
{
    const vbg_option *tables[] = { p->options, vbg_shared_options };

    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name; o++) {
            fprintf(f, "complete -c %s -l %s", p->name, o->name);
            if (o->letter)
                fprintf(f, " -s %c", o->letter);
            if (o->type == VBG_OPT_CHOICE) {
                fputs(" -x -a '", f);
                print_words(f, meant(p, o)->range);
                fputc('\'', f);
            } else if (o->type != VBG_OPT_FLAG) {
                fputs(" -r", f);
            }
            fputs(" -d '", f);
            shell_text(f, meant(p, o)->help, false);
            fputs("'\n", f);
        }
}

static void print_config(FILE *f, const vbg_program *p)
{
    const vbg_option *tables[] = { p->options, vbg_shared_options };

    fprintf(f, "# %s: every option a configuration file may hold, with its default\n",
            p->name);
    for (int t = 0; t < 2; t++)
        for (const vbg_option *o = tables[t]; o->name; o++)
            if (o->flags & VBG_OPT_CONFIG) {
                const bool flag = o->type == VBG_OPT_FLAG;
                const char *range = flag ? "yes|no" : o->range;
                fprintf(f, "\n# %s%s%s%s\n# %s = \"%s\"\n", o->help, range ? " (" : "",
                        range ? range : "", range ? ")" : "", o->name,
                        flag       ? "no"
                        : o->value ? o->value
                                   : "");
            }
}

void vbg_print_generated(FILE *f, const vbg_program *p, const char *kind)
{
    if (strcmp(kind, "man") == 0)
        print_man(f, p);
    else if (strcmp(kind, "complete-bash") == 0)
        print_bash(f, p);
    else if (strcmp(kind, "complete-zsh") == 0)
        print_zsh(f, p);
    else if (strcmp(kind, "complete-fish") == 0)
        print_fish(f, p);
    else
        print_config(f, p);
}
